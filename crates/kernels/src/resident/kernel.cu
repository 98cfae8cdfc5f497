// Replay on the device: rows of a ring as `coact_replay` has them, priorities as integers with exact sums over 16, 256,
// 4096 .. cells, draws and new priorities to the host's bits. Sums of integers are the same in any order, so threads add
// to them as they come.
#include "resident/step.cuh"

#define PURPOSE_REPLAY 5u
#define LEVELS 8
#define FAN 16u

// Where the next observation of a record is, as `coact_replay::ring::next`.
#define NOWHERE 0xffffffffu
#define FINAL 0x80000000u
#define OWNER 0x40000000u

struct GroupBits {
    u32 valid_at, n_agents, n_sets, unused;
};

// As `crate::resident::replay::RingArgs`.
struct RingArgs {
    const u32 *words;  // [T * E, width]
    const u32 *finals; // [R, seen]
    u32 *leaves;       // [T * E], or null
    u64 *sums[LEVELS]; // sums of 16 of the level below, each padded with zeros to 16; the last has 16 or fewer
    u32 *largest;      // what new transitions get
    u64 *now, *later;  // [B]: rows drawn, and what is seen after them
    u32 *cell, *leaf;  // [B]: the cells drawn, and their priorities
    const float *td;   // [B]: new priorities
    const GroupBits *groups;
    u32 *counts; // valid rows of each set, and samples with any
    StepIo *io;
    const u32 *halt;
    u32 n_levels, n_cells, n_envs, width;
    u32 seen, next_at, n_groups, n_counts;
    u32 batch, first, window, newest; // admit: cells from `first` on, `newest` of them complete
    float alpha, eps;
};
static_assert(sizeof(RingArgs) == 224, "RingArgs as in Rust");

// Sets a leaf; each cell is one thread's.
INLINE void set_leaf(const RingArgs &args, u32 cell, u32 leaf) {
    const u32 old = args.leaves[cell];
    const u64 delta = (u64)leaf - (u64)old;
    args.leaves[cell] = leaf;
    u32 at = cell / FAN;
    for (u32 level = 0; level < args.n_levels; level++, at /= FAN) atomicAdd(&args.sums[level][at], delta);
}

// Grid: cells that changed since the last update, in the order of time, one a thread.
KERNEL(replay_admit, RingArgs) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= args.window) return;
    const u32 at = args.first + i;
    set_leaf(args, at < args.n_cells ? at : at - args.n_cells, i < args.newest ? *args.largest : 0);
}

// The cell that `mass` falls into.
INLINE u32 find_cell(const RingArgs &args, u64 mass) {
    u32 at = 0;
    for (u32 level = args.n_levels; level-- > 0;) {
        const u64 *sums = args.sums[level] + (u64)at * FAN;
        u32 k = 0;
        while (k < FAN - 1 && mass >= sums[k]) mass -= sums[k++];
        at = at * FAN + k;
    }
    const u32 *leaves = args.leaves + (u64)at * FAN;
    u32 k = 0;
    while (k < FAN - 1 && mass >= leaves[k]) mass -= leaves[k++];
    return at * FAN + k;
}

// One draw from each of the equal parts of the total, as `PrioritySums::stratified`.
INLINE u32 draw_prioritized(const RingArgs &args, const Step &s, u32 b) {
    u64 total = 0;
    for (u32 k = 0; k < FAN; k++) total += args.sums[args.n_levels - 1][k];
    u32 key[4], w[4];
    philox4(0, s.position_low, 0, PURPOSE_REPLAY << 24 | (s.position_high & 0xffffffu), s.key0, s.key1, key);
    philox4(b / 2, 0, 0, 0, key[0], key[1], w);
    const u64 bits = (b % 2 ? (u64)w[2] << 32 | w[3] : (u64)w[0] << 32 | w[1]) >> 11;
    const double u = (double)bits * (1.0 / 9007199254740992.0);
    const double part = __ddiv_rn((double)total, (double)args.batch);
    const u64 mass = (u64)((u + (double)b) * part);
    return find_cell(args, mass < total ? mass : total - 1);
}

INLINE u32 draw_uniform(const RingArgs &args, const Step &s, u32 b) {
    u32 w[4];
    philox4(b / 2, s.position_low, 0, PURPOSE_REPLAY << 24 | (s.position_high & 0xffffffu), s.key0, s.key1, w);
    const u64 word = b % 2 ? (u64)w[3] << 32 | w[2] : (u64)w[1] << 32 | w[0];
    const u32 age = s.span - (u32)__umul64hi(word, s.stored);
    return s.head >= age ? s.head - age : s.head + args.n_cells - age;
}

// Block `block` of samples, one a thread. Where each lies, and how many rows count.
INLINE void draw_of_step(const RingArgs &args, StepIo *io, u32 block) {
    DYNAMIC_SHARED(u32, counts);
    for (u32 i = threadIdx.x; i < args.n_counts; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    const u32 b = block * blockDim.x + threadIdx.x;
    if (b < args.batch) {
        const u32 cell = args.leaves ? draw_prioritized(args, io->step, b) : draw_uniform(args, io->step, b);
        const u32 *row = args.words + (u64)cell * args.width;
        const u32 code = row[args.next_at];
        const u32 *later = 0;
        if (code != NOWHERE && code & FINAL) {
            later = args.finals + (u64)(code & ~(FINAL | OWNER)) * args.seen;
        } else if (code != NOWHERE) {
            const u32 to = cell + code * args.n_envs;
            later = args.words + (u64)(to < args.n_cells ? to : to - args.n_cells) * args.width;
        }
        args.now[b] = (u64)row;
        args.later[b] = (u64)later;
        args.cell[b] = cell;
        if (args.leaves) {
            args.leaf[b] = args.leaves[cell];
            atomicMin(&io->status.least, args.leaves[cell]);
        }
        u32 set = 0;
        bool any = false;
        for (u32 g = 0; g < args.n_groups; g++) {
            const GroupBits bits = args.groups[g];
            for (u32 agent = 0; agent < bits.n_agents; agent++) {
                if (row[bits.valid_at + agent / 32] >> (agent % 32) & 1) {
                    any = true;
                    atomicAdd(&counts[set + (bits.n_sets == 1 ? 0 : agent)], 1u);
                }
            }
            set += bits.n_sets;
        }
        if (any) atomicAdd(&counts[set], 1u);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < args.n_counts; i += blockDim.x)
        if (counts[i]) atomicAdd(&args.counts[i], counts[i]);
}

// Grid: blocks of samples.
KERNEL(replay_draw, RingArgs) { draw_of_step(args, args.io, blockIdx.x); }

// Block `block` of samples, one a thread. `(|td| + eps)^alpha` as `coact_replay::leaf_of`. Draws ascend, so equal ones are
// neighbors, and the last of them counts.
INLINE void prioritize_of_step(const RingArgs &args, u32 block) {
    const u32 b = block * blockDim.x + threadIdx.x;
    if (b >= args.batch || *args.halt) return;
    float x = args.td[b] + args.eps;
    x = x < LEAST_NORMAL ? LEAST_NORMAL : x > 3.402823466e38f ? 3.402823466e38f : x;
    double scaled = (double)(power(x, args.alpha) * 4194304.0f);
    scaled = scaled < 1.0 ? 1.0 : scaled > 4294967295.0 ? 4294967295.0 : scaled;
    const u32 leaf = (u32)__double_as_longlong(scaled + 4503599627370496.0);
    atomicMax(args.largest, leaf);
    if (b + 1 < args.batch && args.cell[b + 1] == args.cell[b]) return;
    set_leaf(args, args.cell[b], leaf);
}

// Grid: blocks of samples.
KERNEL(replay_priorities, RingArgs) { prioritize_of_step(args, blockIdx.x); }
