// `update`: gradients of a batch, in five launches: forward of three networks (activations of the learned one kept),
// targets and losses by sample, backward by row, gradients by chunk of rows, and the tree over chunks. Rows of a network
// (critic, set) are (sample, agent of the set); row `r` of set `s` is row `r * n_sets + s` of the batch. The order of
// every sum is that of the CPU: rows of a chunk ascending, then neighbors of chunks first.
#include "cuda/network.cuh"
#include "resident/step.cuh"

// Where the samples of a group lie: in columns [B, A, ..], or in rows of a replay ring, whose words say what is seen and
// what became of it. As `crate::update::cuda::Samples`.
struct Samples {
    const float *obs, *next_obs; // [B, A, D]
    const u8 *valid;             // [B, A]
    const u64 *now, *later;      // [B]: addresses of rows, of later ones perhaps null; or null, and columns count
    u32 obs_at, valid_at;        // words of a row
    u32 n_agents, unused;
};
static_assert(sizeof(Samples) == 56, "Samples as in Rust");

// Observations of row `row` of [B, A]; null where nothing came after.
INLINE const float *obs_of(const Samples &s, u32 row, u32 d, bool next) {
    if (!s.now) return (next ? s.next_obs : s.obs) + (u64)row * d;
    const u64 at = (next ? s.later : s.now)[row / s.n_agents];
    return at ? (const float *)at + s.obs_at + row % s.n_agents * d : 0;
}

INLINE bool bit_of(u64 at, u32 word, u32 bit) { return ((const u32 *)at)[word + bit / 32] >> (bit % 32) & 1; }

INLINE bool valid_of(const Samples &s, u32 row) {
    if (!s.now) return s.valid[row];
    return bit_of(s.now[row / s.n_agents], s.valid_at, row % s.n_agents);
}

// As `crate::update::cuda::ForwardArgs`.
struct ForwardArgs {
    Network net;
    const float *params, *target_params; // [C, S, P]
    Samples samples;
    Tape tape;
    float *q, *next_target, *next_online; // [C, S, rows, out], the last [S, rows, out]
    u32 n_sets, n_critics;
    u32 rows; // of a network
    u32 unused;
};
static_assert(sizeof(ForwardArgs) == 200, "ForwardArgs as in Rust");

// Grid: tiles of rows, networks, passes (learned network now, target network next, learned network next).
template <int ROWS> INLINE void update_forward(const ForwardArgs &args) {
    DYNAMIC_SHARED(float, memory);
    const int LD = Tile<ROWS>::LD;
    const Network &net = args.net;
    const u32 m = blockIdx.y, pass = blockIdx.z;
    const u32 set = m % args.n_sets, critic = m / args.n_sets;
    if (pass == 2 && critic > 0) return; // the first critic alone chooses; the whole block ends here
    const u32 first = blockIdx.x * ROWS, count = min_(ROWS, args.rows - first);
    const u32 d = net.width[0], out = net.width[net.n_layers];
    float *here = memory, *there = memory + net.max_width * LD;
    for (u32 i = threadIdx.x; i < d * ROWS; i += blockDim.x) {
        const u32 r = i / d, k = i % d;
        const u32 row = (first + r) * args.n_sets + set;
        // Numbers of rows that are not valid must not reach a gradient.
        const bool counts = r < count && (pass > 0 || valid_of(args.samples, row));
        const float *from = counts ? obs_of(args.samples, row, d, pass > 0) : 0;
        here[k * LD + r] = from ? from[k] : 0.0f;
    }
    __syncthreads();
    const float *params = (pass == 1 ? args.target_params : args.params) + (u64)m * net.n_params;
    const bool keep = pass == 0;
    const Tape tape = {keep ? args.tape.h : 0, keep ? args.tape.xhat : 0, keep ? args.tape.inv_std : 0};
    const u32 nets = args.n_critics * args.n_sets;
    float *y = forward<ROWS>(net, params, here, there, memory + norm_at<ROWS>(net), count, tape, nets,
                             args.rows, m, first);
    if (net.dueling) {
        for (u32 r = threadIdx.x; r < count; r += blockDim.x) dueling_(y + r, LD, net.n_actions);
        __syncthreads();
    }
    float *q = pass == 0 ? args.q : pass == 1 ? args.next_target : args.next_online;
    q += ((u64)(pass == 2 ? set : m) * args.rows + first) * out;
    for (u32 i = threadIdx.x; i < out * count; i += blockDim.x) q[i] = y[i % out * LD + i / out];
}

KERNEL(update_forward_8, ForwardArgs) { update_forward<8>(args); }
KERNEL(update_forward_32, ForwardArgs) { update_forward<32>(args); }

// One group as targets and losses see it. As `crate::update::cuda::TdGroup`.
struct TdGroup {
    const float *q, *next_target, *next_online;
    float *d_out;         // [C, S, rows, out]
    const u32 *next_mask; // [B, A, W] or null
    const u32 *action;
    const float *reward, *discount; // [B, A]
    const u32 *n_valid;             // [S]: rows that count
    Samples samples;
    u32 n_agents, n_sets, n_critics, rows;
    u32 n_actions, out, dueling, masked;
    u32 mask_at, action_at, reward_at, discount_at; // words of a row of a ring
};
static_assert(sizeof(TdGroup) == 176, "TdGroup as in Rust");

// As `crate::update::cuda::TdArgs`.
struct TdArgs {
    const TdGroup *groups;
    const float *weight, *team_reward, *team_discount; // [B], or null with a ring
    const u32 *leaf;                                   // [B]: priorities of draws, or null
    const StepIo *io;                                  // of draws; else null
    float *priority;                                   // [B]
    float *sums;                                       // [B, 4]: loss, value, |td|, target
    u64 *error;                                        // the lowest code of a bad row
    u32 n_groups, batch, double_q, sum_mixer;
    float huber; // 0: squared loss
    u32 team_reward_at, team_discount_at, unused;
};
static_assert(sizeof(TdArgs) == 104, "TdArgs as in Rust");

// A row of a group: its place in [B, A], its set, and its row of that set's networks; and where a ring has it.
struct Row {
    u32 index, set, local, agent;
    u64 now, later;
};

INLINE Row row_of(const TdGroup &g, u32 sample, u32 agent) {
    const u32 per_set = g.n_agents / g.n_sets;
    const u64 now = g.samples.now ? g.samples.now[sample] : 0, later = g.samples.now ? g.samples.later[sample] : 0;
    const Row row = {sample * g.n_agents + agent, agent / per_set, sample * per_set + agent % per_set, agent, now, later};
    return row;
}

INLINE bool is_valid(const TdGroup &g, Row row) {
    return row.now ? bit_of(row.now, g.samples.valid_at, row.agent) : g.samples.valid[row.index];
}
INLINE u32 action_of(const TdGroup &g, Row row) {
    return row.now ? ((const u32 *)row.now)[g.action_at + row.agent] : g.action[row.index];
}
INLINE float reward_of(const TdGroup &g, Row row) {
    return row.now ? ((const float *)row.now)[g.reward_at + row.agent] : g.reward[row.index];
}
INLINE float discount_of(const TdGroup &g, Row row) {
    return row.now ? ((const float *)row.now)[g.discount_at + row.agent] : g.discount[row.index];
}
INLINE const u32 *mask_of(const TdGroup &g, Row row) {
    const u32 words = (g.n_actions + 31) / 32;
    if (!g.masked) return 0;
    if (!row.now) return g.next_mask + (u64)row.index * words;
    return row.later ? (const u32 *)row.later + g.mask_at + row.agent * words : 0;
}
// Of the team: a column, or word `at` of a row of a ring.
INLINE float team_of(const TdArgs &args, const float *column, u32 at, u32 b) {
    const u64 *now = args.groups[0].samples.now;
    return now ? ((const float *)now[b])[at] : column[b];
}
// The importance weight of a sample.
INLINE float weight_of(const TdArgs &args, u32 b) {
    if (args.leaf) return importance(args.leaf[b], args.io->status.least, args.io->step.beta);
    return args.weight ? args.weight[b] : 1.0f;
}

INLINE u64 q_at(const TdGroup &g, u32 critic, Row row) {
    return ((u64)(critic * g.n_sets + row.set) * g.rows + row.local) * g.out;
}

#define NO_LEGAL_ACTION 0u
#define BAD_ACTION 1u

INLINE void report(const TdArgs &args, u32 sample, u32 group, u32 kind, u32 agent) {
    atomicMin(args.error, (u64)sample << 32 | group << 24 | kind << 23 | agent);
}

// Target value of action `a`: of two critics the lower.
INLINE float low_target(const TdGroup &g, u64 first, u64 second, u32 a) {
    const float low = g.next_target[first + a];
    if (g.n_critics == 1) return low;
    const float other = g.next_target[second + a];
    return other < low ? other : low;
}

// Value of the next state of a row; false if no action is legal.
INLINE bool next_value(const TdGroup &g, bool double_q, Row row, float *value) {
    const u64 first = q_at(g, 0, row), second = q_at(g, 1, row);
    const u32 *mask = mask_of(g, row);
    u32 best = NO_ACTION;
    int top = 0;
    for (u32 a = 0; a < g.n_actions; a++) {
        const int key = ordered(double_q ? g.next_online[first + a] : low_target(g, first, second, a));
        if (is_legal(mask, a) && (best == NO_ACTION || key > top)) {
            best = a;
            top = key;
        }
    }
    if (best == NO_ACTION) return false;
    *value = low_target(g, first, second, best);
    return true;
}

INLINE float td_target(float reward, float discount, float next) {
    return discount == 0.0f ? reward : fma_(discount, next, reward);
}

INLINE float abs_(float x) { return __uint_as_float(__float_as_uint(x) & 0x7fffffffu); }

// Loss of a TD error, and its derivative.
INLINE float loss_of(float huber, float td, float *slope) {
    if (huber == 0.0f) {
        *slope = 2.0f * td;
        return td * td;
    }
    const float size = abs_(td);
    if (size <= huber) {
        *slope = td;
        return 0.5f * td * td;
    }
    *slope = __uint_as_float(__float_as_uint(huber) | (__float_as_uint(td) & 0x80000000u));
    return huber * (size - 0.5f * huber);
}

// Gradient of the outputs of a row: `grad` at `action`, or nothing.
INLINE void write_grad(const TdGroup &g, u32 critic, Row row, bool any, u32 action, float grad) {
    float *d = g.d_out + q_at(g, critic, row);
    for (u32 a = 0; a < g.out; a++) d[a] = 0.0f;
    if (!any) return;
    if (g.dueling) {
        const float share = __fdiv_rn(-grad, (float)g.n_actions);
        for (u32 a = 0; a < g.n_actions; a++) d[a] = share;
        d[action] += grad;
        d[g.n_actions] = grad;
    } else {
        d[action] = grad;
    }
}

// Each agent's own target.
INLINE void td_independent(const TdArgs &args, u32 b) {
    const float weight = weight_of(args, b);
    float loss_sum = 0.0f, q_sum = 0.0f, td_sum = 0.0f, target_sum = 0.0f;
    u32 terms = 0;
    for (u32 i = 0; i < args.n_groups; i++) {
        const TdGroup &g = args.groups[i];
        const float share = __fdiv_rn(1.0f, (float)g.n_critics);
        for (u32 agent = 0; agent < g.n_agents; agent++) {
            const Row row = row_of(g, b, agent);
            if (!is_valid(g, row)) {
                for (u32 critic = 0; critic < g.n_critics; critic++) write_grad(g, critic, row, false, 0, 0.0f);
                continue;
            }
            const u32 action = action_of(g, row);
            if (action >= g.n_actions) return report(args, b, i, BAD_ACTION, agent);
            const float discount = discount_of(g, row);
            float next = 0.0f;
            if (discount != 0.0f && !next_value(g, args.double_q, row, &next))
                return report(args, b, i, NO_LEGAL_ACTION, agent);
            const float target = td_target(reward_of(g, row), discount, next);
            const float inv_valid = __fdiv_rn(1.0f, (float)g.n_valid[row.set]);
            for (u32 critic = 0; critic < g.n_critics; critic++) {
                const float q = g.q[q_at(g, critic, row) + action];
                float slope;
                const float loss = loss_of(args.huber, q - target, &slope);
                write_grad(g, critic, row, true, action, weight * slope * inv_valid);
                loss_sum += weight * loss * inv_valid;
                q_sum += q * share;
                td_sum += abs_(q - target) * share;
            }
            target_sum += target;
            terms++;
        }
    }
    args.priority[b] = terms == 0 ? 0.0f : __fdiv_rn(td_sum, (float)terms);
    float *sums = args.sums + 4 * (u64)b;
    sums[0] = loss_sum;
    sums[1] = q_sum;
    sums[2] = td_sum;
    sums[3] = target_sum;
}

// The team's target.
INLINE void td_sum(const TdArgs &args, u32 b) {
    const float team_discount = team_of(args, args.team_discount, args.team_discount_at, b);
    const float weight = weight_of(args, b);
    const u32 critics = args.groups[0].n_critics;
    float q_tot[2] = {0.0f, 0.0f}, next = 0.0f;
    bool any = false;
    for (u32 i = 0; i < args.n_groups; i++) {
        const TdGroup &g = args.groups[i];
        for (u32 agent = 0; agent < g.n_agents; agent++) {
            const Row row = row_of(g, b, agent);
            if (is_valid(g, row)) {
                any = true;
                const u32 action = action_of(g, row);
                if (action >= g.n_actions) return report(args, b, i, BAD_ACTION, agent);
                q_tot[0] += g.q[q_at(g, 0, row) + action];
                if (critics == 2) q_tot[1] += g.q[q_at(g, 1, row) + action];
            }
            if (team_discount != 0.0f && discount_of(g, row) != 0.0f) {
                float value;
                if (!next_value(g, args.double_q, row, &value)) return report(args, b, i, NO_LEGAL_ACTION, agent);
                next += value;
            }
        }
    }
    float grad[2] = {0.0f, 0.0f}, loss_sum = 0.0f, q_sum = 0.0f, priority = 0.0f, target = 0.0f;
    if (any) {
        target = td_target(team_of(args, args.team_reward, args.team_reward_at, b), team_discount, next);
        const float share = __fdiv_rn(1.0f, (float)critics), inv_batch = __fdiv_rn(1.0f, (float)args.batch);
#pragma unroll
        for (u32 critic = 0; critic < 2; critic++) {
            if (critic < critics) {
                const float td = q_tot[critic] - target;
                float slope;
                const float loss = loss_of(args.huber, td, &slope);
                grad[critic] = weight * slope * inv_batch;
                loss_sum += weight * loss * inv_batch;
                q_sum += q_tot[critic] * share;
                priority += abs_(td) * share;
            }
        }
    }
    args.priority[b] = priority;
    float *sums = args.sums + 4 * (u64)b;
    sums[0] = loss_sum;
    sums[1] = q_sum;
    sums[2] = priority;
    sums[3] = target;
    for (u32 i = 0; i < args.n_groups; i++) {
        const TdGroup &g = args.groups[i];
        for (u32 agent = 0; agent < g.n_agents; agent++) {
            const Row row = row_of(g, b, agent);
            const bool valid = is_valid(g, row);
            const u32 action = valid ? action_of(g, row) : 0;
            write_grad(g, 0, row, valid, action, grad[0]);
            if (critics == 2) write_grad(g, 1, row, valid, action, grad[1]);
        }
    }
}

// Grid: samples, one a thread.
KERNEL(update_td, TdArgs) {
    const u32 b = blockIdx.x * blockDim.x + threadIdx.x;
    if (b >= args.batch) return;
    if (args.sum_mixer)
        td_sum(args, b);
    else
        td_independent(args, b);
}

// As `crate::update::cuda::BackwardArgs`. Buffers of hidden layers are laid out as a tape.
struct BackwardArgs {
    Network net;
    const float *params; // [C, S, P]
    Tape tape;
    const float *d_out; // [C, S, rows, out]
    float *dz, *d_norm; // gradients of the layers' sums, and of what stands between norm and activation
    u32 nets, rows;
};
static_assert(sizeof(BackwardArgs) == 128, "BackwardArgs as in Rust");

// Layer `index`, and the sum of the widths of the hidden layers below it.
INLINE Layer layer_at(const Network &net, u32 index, u32 *before) {
    Layer layer = first_layer(net);
    *before = 0;
    for (u32 i = 0; i <= index; i++) {
        if (i > 0) *before += layer.n;
        layer = next_layer(net, layer, i);
    }
    return layer;
}

// y = d w^T: chains over the outputs of the layer ascending, from 0. Transposed tiles, as in `dense`.
template <int ROWS> INLINE void dense_back(const float *d, u32 n, const float *w, u32 k_len, float *y) {
    const int LD = Tile<ROWS>::LD, GROUPS = Tile<ROWS>::GROUPS;
    const u32 items = GROUPS * ((k_len + 3) / 4);
    for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
        const u32 r = item % GROUPS * 4, k = item / GROUPS * 4;
        const float *w0 = w + (u64)k * n, *w1 = w + (u64)min_(k + 1, k_len - 1) * n;
        const float *w2 = w + (u64)min_(k + 2, k_len - 1) * n, *w3 = w + (u64)min_(k + 3, k_len - 1) * n;
        float sum[4][4] = {};
#pragma unroll 4
        for (u32 j = 0; j < n; j++) {
            const float4 a = *(const float4 *)(d + j * LD + r);
            const float as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {w0[j], w1[j], w2[j], w3[j]};
#pragma unroll
            for (int c = 0; c < 4; c++)
#pragma unroll
                for (int i = 0; i < 4; i++) sum[c][i] = fma_(as[i], bs[c], sum[c][i]);
        }
#pragma unroll
        for (int c = 0; c < 4; c++) {
            if (k + c < k_len) {
#pragma unroll
                for (int i = 0; i < 4; i++) y[(k + c) * LD + r + i] = sum[c][i];
            }
        }
    }
}

// Backward of a layer norm in place: from the gradient after gain and shift to the one before the norm.
template <int ROWS>
INLINE void norm_back(float *d, u32 n, const float *gain, const float *xhat, const float *inv_std, u32 count,
                      float *scratch) {
    const int LD = Tile<ROWS>::LD;
    float *lanes = scratch, *mean = scratch + 16 * ROWS;
    for (u32 i = threadIdx.x; i < n * ROWS; i += blockDim.x) d[i / ROWS * LD + i % ROWS] *= gain[i / ROWS];
    __syncthreads();
    for (u32 i = threadIdx.x; i < 16 * ROWS; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 j = i / ROWS; j < n; j += 16) sum += d[j * LD + i % ROWS];
        lanes[i] = sum;
    }
    __syncthreads();
    for (u32 r = threadIdx.x; r < ROWS; r += blockDim.x) mean[r] = __fdiv_rn(tree16<ROWS>(lanes, r), (float)n);
    __syncthreads();
    for (u32 i = threadIdx.x; i < 16 * ROWS; i += blockDim.x) {
        const u32 r = i % ROWS;
        float sum = 0.0f;
        for (u32 j = i / ROWS; j < n && r < count; j += 16) sum = fma_(d[j * LD + r], xhat[(u64)r * n + j], sum);
        lanes[i] = sum;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < n * count; i += blockDim.x) {
        const u32 r = i / n, j = i % n;
        const float slope = __fdiv_rn(tree16<ROWS>(lanes, r), (float)n);
        float *v = d + j * LD + r;
        *v = fma_(xhat[i], -slope, *v - mean[r]) * inv_std[r];
    }
    __syncthreads();
}

// Grid: tiles of rows, networks.
template <int ROWS> INLINE void update_backward(const BackwardArgs &args) {
    DYNAMIC_SHARED(float, memory);
    const int LD = Tile<ROWS>::LD;
    const Network &net = args.net;
    const u32 m = blockIdx.y, first = blockIdx.x * ROWS, count = min_(ROWS, args.rows - first);
    const u32 out = net.width[net.n_layers];
    const float *params = args.params + (u64)m * net.n_params;
    float *here = memory, *there = memory + net.max_width * LD, *scratch = memory + norm_at<ROWS>(net);
    const float *d_out = args.d_out + ((u64)m * args.rows + first) * out;
    for (u32 i = threadIdx.x; i < out * ROWS; i += blockDim.x) {
        const u32 r = i / out, j = i % out;
        here[j * LD + r] = r < count ? d_out[i] : 0.0f;
    }
    __syncthreads();
    for (u32 index = net.n_layers - 1; index > 0; index--) {
        u32 before;
        const Layer layer = layer_at(net, index, &before);
        const u32 k = layer.k;
        before -= k; // that of the layer below
        const u64 at = tape_at(before, args.nets, args.rows, m, first, k);
        dense_back<ROWS>(here, layer.n, params + layer.weight, k, there);
        __syncthreads();
        for (u32 i = threadIdx.x; i < k * count; i += blockDim.x) {
            const u32 r = i / k, j = i % k;
            const float h = args.tape.h[at + i];
            float *v = there + j * LD + r;
            *v = net.tanh ? *v * fma_(h, -h, 1.0f) : h > 0.0f ? *v : 0.0f;
            if (net.norm) args.d_norm[at + i] = *v;
        }
        __syncthreads();
        if (net.norm) {
            u32 unused;
            const Layer below = layer_at(net, index - 1, &unused);
            const float *inv = args.tape.inv_std + ((u64)(index - 1) * args.nets + m) * args.rows + first;
            norm_back<ROWS>(there, k, params + below.gain, args.tape.xhat + at, inv, count, scratch);
        }
        for (u32 i = threadIdx.x; i < k * count; i += blockDim.x) args.dz[at + i] = there[i % k * LD + i / k];
        float *swap = here;
        here = there;
        there = swap;
        __syncthreads();
    }
}

KERNEL(update_backward_8, BackwardArgs) { update_backward<8>(args); }
KERNEL(update_backward_32, BackwardArgs) { update_backward<32>(args); }

// As `crate::update::cuda::GradArgs`.
struct GradArgs {
    Network net;
    Samples samples;
    Tape tape;
    const float *d_out, *dz, *d_norm;
    float *partials; // [chunks, C, S, P]
    u32 nets, n_sets, rows, chunk_rows;
};
static_assert(sizeof(GradArgs) == 192, "GradArgs as in Rust");

#define SIDE 64u // of a tile of a gradient; a thread has four by four of it

// Tiles of a layer: of its weights with the biases as one more row, and, where there is a norm, of its gain and shift.
INLINE u32 weight_tiles(const Layer &l) { return ((l.k + SIDE) / SIDE) * ((l.n + SIDE - 1) / SIDE); }

// Four by four gradients of a weight matrix: chains over the rows of a chunk ascending, from 0. The bias is the weight
// of an input that is always 1.
INLINE void weight_grads(const GradArgs &args, const Layer &l, u32 below, u32 here, u32 tile, u32 first, u32 count,
                         float *out) {
    const u32 m = blockIdx.z, set = m % args.n_sets, across = (l.n + SIDE - 1) / SIDE;
    const u32 k = tile / across * SIDE + threadIdx.x / 16 * 4, j = tile % across * SIDE + threadIdx.x % 16 * 4;
    if (k > l.k || j >= l.n) return;
    const bool from_input = l.weight == 0;
    const float *h = args.tape.h + tape_at(below, args.nets, args.rows, m, 0, l.k);
    const float *d = l.hidden ? args.dz + tape_at(here, args.nets, args.rows, m, 0, l.n)
                              : args.d_out + (u64)m * args.rows * l.n;
    u32 ks[4], js[4];
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        ks[i] = min_(k + i, l.k - 1);
        js[i] = min_(j + i, l.n - 1);
    }
    float sum[4][4] = {};
    for (u32 row = first; row < first + count; row++) {
        const u32 index = row * args.n_sets + set;
        const float *x = h + (u64)row * l.k;
        if (from_input) x = valid_of(args.samples, index) ? obs_of(args.samples, index, l.k, false) : 0;
        float xs[4], ds[4];
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            xs[i] = k + i == l.k ? 1.0f : x ? x[ks[i]] : 0.0f;
            ds[i] = d[(u64)row * l.n + js[i]];
        }
#pragma unroll
        for (u32 a = 0; a < 4; a++)
#pragma unroll
            for (u32 c = 0; c < 4; c++) sum[a][c] = fma_(xs[a], ds[c], sum[a][c]);
    }
#pragma unroll
    for (u32 a = 0; a < 4; a++)
#pragma unroll
        for (u32 c = 0; c < 4; c++) {
            // Biases lie behind the weights, where row `k` of the matrix would be.
            if (k + a <= l.k && j + c < l.n) out[l.weight + (u64)(k + a) * l.n + j + c] = sum[a][c];
        }
}

INLINE void norm_grads(const GradArgs &args, const Layer &l, u32 here, u32 first, u32 count, float *out) {
    const u64 at = tape_at(here, args.nets, args.rows, blockIdx.z, first, l.n);
    for (u32 j = threadIdx.x; j < l.n; j += blockDim.x) {
        float gain = 0.0f, shift = 0.0f;
        for (u32 r = 0; r < count; r++) {
            const float d = args.d_norm[at + (u64)r * l.n + j];
            gain = fma_(d, args.tape.xhat[at + (u64)r * l.n + j], gain);
            shift += d;
        }
        out[l.gain + j] = gain;
        out[l.shift + j] = shift;
    }
}

// Grid: tiles of all layers, chunks, networks; 256 threads.
KERNEL(update_grads, GradArgs) {
    const Network &net = args.net;
    const u32 first = blockIdx.y * args.chunk_rows, count = min_(args.chunk_rows, args.rows - first);
    float *out = args.partials + ((u64)blockIdx.y * args.nets + blockIdx.z) * net.n_params;
    u32 tile = blockIdx.x, below = 0, here = 0;
    Layer layer = first_layer(net);
    for (u32 index = 0; index < net.n_layers; index++) {
        layer = next_layer(net, layer, index);
        const u32 tiles = weight_tiles(layer), norms = layer.hidden && net.norm ? 1 : 0;
        if (tile < tiles) return weight_grads(args, layer, below, here, tile, first, count, out);
        if (tile < tiles + norms) return norm_grads(args, layer, here, first, count, out);
        tile -= tiles + norms;
        below = here;
        here += layer.n;
    }
}

// As `crate::update::cuda::TreeArgs`.
struct TreeArgs {
    float *partials; // [chunks, len]
    float *grads;    // [len]
    u32 len, chunks;
};
static_assert(sizeof(TreeArgs) == 24, "TreeArgs as in Rust");

// Grid: parameters, one a thread. Neighbors first; an odd last one passes up.
KERNEL(update_tree, TreeArgs) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= args.len) return;
    for (u32 gap = 1; gap < args.chunks; gap *= 2) {
        for (u32 c = 0; c + gap < args.chunks; c += 2 * gap)
            args.partials[(u64)c * args.len + i] += args.partials[(u64)(c + gap) * args.len + i];
    }
    args.grads[i] = args.partials[i];
}
