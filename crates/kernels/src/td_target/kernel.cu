// `td_target`: targets of a batch in one launch. A block owns whole samples: for every group and parameter set it takes tiles
// of rows through the target networks and the learned one in shared memory, in lockstep where there is room, chooses the best
// legal action of each row and gathers its value, then adds the values of a sample up or mixes them, hypernetworks included.
// Only targets are written.
//
// Per row C + 1 forward passes (double Q; else C) of 2 sum(k n) operations and 4 (D + 1) bytes read; per sample the operations
// of `mix`'s forward and 4 S bytes; 4 bytes written a target. Barriers of a block: one, and per tile of rows one for the load,
// those of `forward` and one after the choice (without lockstep a load, `forward` and a copy a pass); the mixer's six.
#pragma once
#include "cuda/network.cuh"
#include "mix/mix.cuh"

#define JOIN_EACH 0u
#define JOIN_SUM 1u
#define JOIN_QMIX 2u

// One group. As `crate::td_target::cuda::TargetGroup`.
struct TargetGroup {
    Network net;
    const float *params, *target_params; // [C, S, P]
    const float *next_obs;               // [B, A, D]
    const u32 *next_mask;                // [B, A, W] or null
    const float *reward, *discount;      // [B, A]
    u32 n_agents, n_sets, n_critics;
    u32 before; // agents of the groups before
    u32 lanes;  // passes in lockstep
    u32 unused;
};
static_assert(sizeof(TargetGroup) == 136, "TargetGroup as in Rust");

// As `crate::td_target::cuda::TargetArgs`.
struct TargetArgs {
    const TargetGroup *groups;
    MixNet mix;
    const float *mixer;             // [P]
    const float *next_state;        // [B, S]
    const float *reward, *discount; // of the team [B]
    float *target;                  // [B, agents] or [B]
    u64 *error;                     // the lowest code of a row without a legal action
    u32 n_groups, batch, n_agents;
    u32 samples; // of a block, at most the rows of a tile
    u32 double_q, join;
};
static_assert(sizeof(TargetArgs) == 104, "TargetArgs as in Rust");

INLINE float target_of(float reward, float discount, float next) {
    return discount == 0.0f ? reward : fma_(discount, next, reward);
}

// Place in [B, A] of row `row` of a set's rows, the first of which is of sample `first`.
INLINE u32 place_of(const TargetGroup &g, u32 set, u32 first, u32 row) {
    return (first * (g.n_agents / g.n_sets) + row) * g.n_sets + set;
}

// Whether the next value of a row counts.
INLINE bool counts(const TargetArgs &args, const TargetGroup &g, u32 place) {
    if (args.join != JOIN_EACH && args.discount[place / g.n_agents] == 0.0f) return false;
    return g.discount[place] != 0.0f;
}

// Networks of a set that a tile goes through in lockstep: passes `pass..pass + passes` of the critics' targets and, of a double
// Q, the first critic behind them.
struct NextPasses {
    const TargetGroup &g;
    u32 set, pass, passes;
    INLINE u32 count() const { return passes; }
    INLINE const float *params(u32 lane) const {
        const u32 p = pass + lane;
        const float *all = p < g.n_critics ? g.target_params + (u64)p * g.n_sets * g.net.n_params : g.params;
        return all + (u64)set * g.net.n_params;
    }
    INLINE bool kept(u32) const { return false; }
    INLINE float *kept_h(u32, u32, u32) const { return 0; }
    INLINE float *kept_xhat(u32, u32, u32) const { return 0; }
    INLINE float *kept_inv_std(u32, u32) const { return 0; }
};

// Rows `row..row + count` of a set into columns of the tile of every lane; what does not count becomes 0.
template <int ROWS>
INLINE void load_next(const TargetArgs &args, const NextPasses &nets, u32 first, u32 row, u32 count, float *to, u32 stride) {
    const u32 d = nets.g.net.width[0];
    for (u32 i = threadIdx.x; i < d * ROWS; i += blockDim.x) {
        const u32 r = i / d, k = i % d, place = place_of(nets.g, nets.set, first, row + r);
        const bool reads = r < count && counts(args, nets.g, place);
        const float value = reads ? nets.g.next_obs[(u64)place * d + k] : 0.0f;
        for (u32 lane = 0; lane < nets.passes; lane++) to[lane * stride + k * Tile<ROWS>::LD + r] = value;
    }
}

// Target value of action `a`: of two critics the lower. Values of two passes lie `step` apart, of two actions `LD`.
template <int LD> INLINE float low_value(const float *q, u32 step, u32 critics, u32 a) {
    const float low = q[a * LD];
    if (critics == 1) return low;
    const float other = q[step + a * LD];
    return other < low ? other : low;
}

// The best legal action, the lowest index of equals, and its value.
template <int LD>
INLINE u32 best_next(const TargetGroup &g, bool double_q, float *q, u32 step, const u32 *mask, float *value) {
    const u32 n = g.net.n_actions, critics = g.n_critics;
    if (g.net.dueling) {
        for (u32 pass = 0; pass < critics + double_q; pass++) dueling_(q + pass * step, LD, n);
    }
    u32 best = NO_ACTION;
    int top = 0;
    for (u32 a = 0; a < n; a++) {
        const int key = ordered(double_q ? q[critics * step + a * LD] : low_value<LD>(q, step, critics, a));
        if (is_legal(mask, a) && (best == NO_ACTION || key > top)) {
            best = a;
            top = key;
        }
    }
    if (best != NO_ACTION) *value = low_value<LD>(q, step, critics, best);
    return best;
}

// Next values of `count` rows of a set from row `row` on into `chosen` [agents][LD], a column a sample of the block.
template <int ROWS>
INLINE void choose_next(const TargetArgs &args, const TargetGroup &g, u32 set, u32 first, u32 row, u32 count, float *chosen,
                        float *memory) {
    const int LD = Tile<ROWS>::LD;
    const Network &net = g.net;
    const u32 out = net.width[net.n_layers], words = (net.n_actions + 31) / 32, all = g.n_critics + args.double_q;
    u32 step = net_floats<ROWS>(net);
    NextPasses nets = {g, set, 0, g.lanes};
    float *q = memory;
    if (g.lanes == all) {
        load_next<ROWS>(args, nets, first, row, count, memory, step);
        __syncthreads();
        q += forward<ROWS>(net, nets, memory, step, count);
    } else {
        q += step;
        for (; nets.pass < all; nets.pass++) {
            load_next<ROWS>(args, nets, first, row, count, memory, step);
            __syncthreads();
            const float *y = memory + forward<ROWS>(net, nets, memory, step, count);
            for (u32 i = threadIdx.x; i < out * LD; i += blockDim.x) q[nets.pass * out * LD + i] = y[i];
            __syncthreads();
        }
        step = out * LD;
    }
    for (u32 r = threadIdx.x; r < count; r += blockDim.x) {
        const u32 place = place_of(g, set, first, row + r);
        const u32 sample = place / g.n_agents, agent = place % g.n_agents;
        const u32 *mask = g.next_mask ? g.next_mask + (u64)place * words : 0;
        float value = 0.0f;
        if (counts(args, g, place) && best_next<LD>(g, args.double_q, q + r, step, mask, &value) == NO_ACTION)
            atomicMin(args.error, (u64)sample << 32 | (g.before + agent));
        chosen[(g.before + agent) * LD + sample - first] = value;
    }
    __syncthreads();
}

// Targets of each agent.
template <int ROWS> INLINE void each_target(const TargetArgs &args, u32 first, u32 count, const float *chosen) {
    for (u32 index = 0; index < args.n_groups; index++) {
        const TargetGroup &g = args.groups[index];
        for (u32 i = threadIdx.x; i < g.n_agents * count; i += blockDim.x) {
            const u32 s = i / g.n_agents, agent = i % g.n_agents, place = first * g.n_agents + i;
            const float next = chosen[(g.before + agent) * Tile<ROWS>::LD + s];
            args.target[(u64)(first + s) * args.n_agents + g.before + agent] =
                target_of(g.reward[place], g.discount[place], next);
        }
    }
}

// The value of each sample by the mixer; the result leads to one a column.
template <int ROWS>
INLINE const float *mixed(const TargetArgs &args, u32 first, u32 count, const float *chosen, float *tile) {
    const int LD = Tile<ROWS>::LD;
    const u32 width = args.mix.state;
    const MixTile t = mix_tile(args.mix);
    for (u32 i = threadIdx.x; i < width * ROWS; i += blockDim.x) {
        const u32 r = i / width, sample = first + r;
        const bool there = r < count && args.discount[sample] != 0.0f;
        tile[(t.state + i % width) * LD + r] = there ? args.next_state[(u64)first * width + i] : 0.0f;
    }
    __syncthreads();
    hypernetworks<ROWS>(args.mix, t, args.mixer, tile);
    mix_rows<ROWS>(args.mix, t, chosen, tile, tile + t.end * LD);
    return tile + t.v * LD;
}

// Grid: samples, `args.samples` a block. Shared memory: values of the agents, then what the networks need, and in the same
// place what the mixer needs.
template <int ROWS> INLINE void td_target_block(const TargetArgs &args) {
    DYNAMIC_SHARED(float, chosen);
    const int LD = Tile<ROWS>::LD;
    const u32 first = blockIdx.x * args.samples, count = min_(args.samples, args.batch - first);
    float *memory = chosen + args.n_agents * LD;
    // Columns past the last sample are mixed, and not stored.
    for (u32 i = threadIdx.x; i < args.n_agents * LD; i += blockDim.x) chosen[i] = 0.0f;
    __syncthreads();
#pragma unroll 1
    for (u32 index = 0; index < args.n_groups; index++) {
        const TargetGroup &g = args.groups[index];
        const u32 rows = count * (g.n_agents / g.n_sets);
#pragma unroll 1
        for (u32 set = 0; set < g.n_sets; set++) {
#pragma unroll 1
            for (u32 row = 0; row < rows; row += ROWS)
                choose_next<ROWS>(args, g, set, first, row, min_(ROWS, rows - row), chosen, memory);
        }
    }
    if (args.join == JOIN_EACH) return each_target<ROWS>(args, first, count, chosen);
    const float *total = memory;
    if (args.join == JOIN_QMIX) total = mixed<ROWS>(args, first, count, chosen, memory);
    for (u32 r = threadIdx.x; r < count; r += blockDim.x) {
        float next = 0.0f;
        if (args.join == JOIN_QMIX)
            next = total[r];
        else
            for (u32 a = 0; a < args.n_agents; a++) next += chosen[a * LD + r];
        args.target[first + r] = target_of(args.reward[first + r], args.discount[first + r], next);
    }
}

KERNEL(td_target_8, TargetArgs) { td_target_block<8>(args); }
KERNEL(td_target_32, TargetArgs) { td_target_block<32>(args); }
