// The end of a gradient step: gradients summed over chunks with their squares, clipping, and the optimizer's step with the
// target behind it. Norms and measures are sums in double precision over blocks of 512 numbers, sixteen interleaved chains and
// a fixed tree in a block, and the tree of neighbors over blocks, as on the CPU. A gradient or a loss that is not finite stops
// this step and all after it, with the parameters as they were.
#include "resident/step.cuh"
#include "update/grads.cuh"

#define LANES 16u
#define SUM_BLOCK 512u // numbers

// Sixteen chains of `lanes` by their tree.
INLINE double tree_of_lanes(const double *lanes) {
    // Four neighbors of the tree at a time: an array with all of it would lie on the stack.
    double quarter[4];
#pragma unroll
    for (int i = 0; i < 4; i++) quarter[i] = (lanes[i] + lanes[i + 8]) + (lanes[i + 4] + lanes[i + 12]);
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// Sum of `n` numbers that lie `stride` apart by the tree of neighbors. Every thread of the block comes, and gets it; `room` has
// `n` numbers.
INLINE double tree_of_blocks(const double *x, u32 n, u32 stride, double *room) {
    for (u32 i = threadIdx.x; i < n; i += blockDim.x) room[i] = x[i * stride];
    __syncthreads();
    for (u32 gap = 1; gap < n; gap *= 2) {
        for (u32 i = 2 * gap * threadIdx.x; i + gap < n; i += 2 * gap * blockDim.x) room[i] += room[i + gap];
        __syncthreads();
    }
    const double sum = n ? room[0] : 0.0;
    __syncthreads();
    return sum;
}

// Gradients of a group: chunks of all its parameters. As `crate::resident::cuda::SumGroup`.
struct SumGroup {
    float *partials; // [chunks, end - start]
    u32 start, end, chunks, unused;
};
static_assert(sizeof(SumGroup) == 24, "SumGroup as in Rust");

// As `crate::resident::cuda::SumArgs`.
struct SumArgs {
    const SumGroup *groups;
    float *grads;
    const Span *blocks; // of parameters, each inside of a part
    double *squares;    // of each block
    const float *sums;  // [B, 4] of samples
    double *totals;     // [blocks of samples, 4]
    u32 n_blocks, n_totals, batch, n_groups;
};
static_assert(sizeof(SumArgs) == 64, "SumArgs as in Rust");

// Blocks of parameters, then blocks of samples.
INLINE void sum_of_step(const SumArgs &args, u32 block) {
    DYNAMIC_SHARED(double, lanes);
    float *own = (float *)(lanes + 4 * LANES);
    if (block < args.n_blocks) {
        const Span span = args.blocks[block];
        const u32 n = span.end - span.start;
        for (u32 i = threadIdx.x; i < n; i += blockDim.x) {
            const u32 p = span.start + i;
            u32 g = 0;
            while (p >= args.groups[g].end) g++;
            const SumGroup group = args.groups[g];
            const u32 len = group.end - group.start;
            args.grads[p] = own[i] = tree_of_chunks(group.partials, len, group.chunks, p - group.start);
        }
        __syncthreads();
        if (threadIdx.x < LANES) {
            double sum = 0.0;
#pragma unroll 8
            for (u32 i = threadIdx.x; i < n; i += LANES) sum = __fma_rn((double)own[i], (double)own[i], sum);
            lanes[threadIdx.x] = sum;
        }
        __syncthreads();
        if (threadIdx.x == 0) args.squares[block] = tree_of_lanes(lanes);
    } else {
        const u32 at = block - args.n_blocks, first = at * SUM_BLOCK, end = min_(first + SUM_BLOCK, args.batch);
        const u32 which = threadIdx.x / LANES;
        if (which < 4) {
            double sum = 0.0;
#pragma unroll 8
            for (u32 b = first + threadIdx.x % LANES; b < end; b += LANES) sum += (double)args.sums[4 * (u64)b + which];
            lanes[threadIdx.x] = sum;
        }
        __syncthreads();
        if (threadIdx.x < 4) args.totals[4 * at + threadIdx.x] = tree_of_lanes(lanes + threadIdx.x * LANES);
    }
}

// Grid: blocks of parameters and of samples.
KERNEL(optim_sum, SumArgs) { sum_of_step(args, blockIdx.x); }

// What to multiply with so that the norm is `bound` at most.
INLINE float clip_factor(double square, float bound, float eps) {
    const double factor = __ddiv_rn((double)bound, __dsqrt_rn(square) + (double)eps);
    return factor < 1.0 ? (float)factor : 1.0f;
}

INLINE bool is_finite(double v) { return v - v == 0.0; }

// As `crate::resident::cuda::ClipArgs`.
struct ClipArgs {
    float *grads;
    const Span *parts;       // each clipped by its own norm
    const Span *tensors;     // in the order of the parts
    const u32 *first_tensor; // [parts + 1]: those of a part
    const u32 *first_block;  // [parts + 1]: blocks of a part
    const double *squares;
    float *factors; // [parts], written: what global clipping multiplies with
    float value, tensor_norm, global_norm, eps; // 0: off
    u32 n_parts, unused;
};
static_assert(sizeof(ClipArgs) == 80, "ClipArgs as in Rust");

// Sum of squares of `n` gradients by a block. `room` has a number a thread, and one for every 512 gradients.
INLINE double square_sum(const float *x, u32 n, double *room) {
    const u32 blocks = (n + SUM_BLOCK - 1) / SUM_BLOCK, group = threadIdx.x / LANES;
    double *lanes = room + group * LANES, *sums = room + blockDim.x;
    for (u32 first = 0; first < blocks; first += blockDim.x / LANES) {
        const u32 block = first + group, end = min_((block + 1) * SUM_BLOCK, n);
        double sum = 0.0;
#pragma unroll 8
        for (u32 i = block * SUM_BLOCK + threadIdx.x % LANES; i < end; i += LANES)
            sum = __fma_rn((double)x[i], (double)x[i], sum);
        lanes[threadIdx.x % LANES] = sum;
        __syncthreads();
        if (threadIdx.x % LANES == 0 && block < blocks) sums[block] = tree_of_lanes(lanes);
        __syncthreads();
    }
    return tree_of_blocks(sums, blocks, 1, sums);
}

// Clips the values and tensors of a part.
INLINE void clip_of_step(const ClipArgs &args, u32 block) {
    DYNAMIC_SHARED(double, room);
    const Span part = args.parts[block];
    const u32 n = part.end - part.start, first_block = args.first_block[block];
    float *grads = args.grads + part.start;
    const u32 blocks = args.first_block[block + 1] - first_block;
    const double before = tree_of_blocks(args.squares + first_block, blocks, 1, room + blockDim.x);
    if (!is_finite(before)) return; // the whole block: gradients stay, to be named
    if (args.value != 0.0f) {
        for (u32 i = threadIdx.x; i < n; i += blockDim.x) {
            const float g = grads[i], low = g < -args.value ? -args.value : g;
            grads[i] = low > args.value ? args.value : low;
        }
        __syncthreads();
    }
    if (args.tensor_norm != 0.0f) {
        for (u32 t = args.first_tensor[block]; t < args.first_tensor[block + 1]; t++) {
            const Span tensor = args.tensors[t];
            const u32 size = tensor.end - tensor.start;
            const float factor = clip_factor(square_sum(args.grads + tensor.start, size, room), args.tensor_norm, args.eps);
            for (u32 i = threadIdx.x; i < size; i += blockDim.x) args.grads[tensor.start + i] *= factor;
            __syncthreads();
        }
    }
    float factor = 1.0f;
    if (args.global_norm != 0.0f) factor = clip_factor(square_sum(grads, n, room), args.global_norm, args.eps);
    if (threadIdx.x == 0) args.factors[block] = factor;
}

// Grid: parts. Needed only where values or tensors are clipped.
KERNEL(optim_clip, ClipArgs) { clip_of_step(args, blockIdx.x); }

#define ADAM 0u
#define RMSPROP 1u

// As `crate::resident::cuda::OptimArgs`.
struct OptimArgs {
    float *params, *target;
    const float *grads;
    float *m0, *m1, *m2;    // null: not used
    const Span *blocks;     // of parameters
    const u32 *part_of;     // [blocks]
    const u32 *first_block; // [parts + 1]: blocks of a part
    const double *squares;  // of each block
    const double *totals;   // [blocks of samples, 4]
    const float *factors;   // [parts], or null: the norm says
    StepIo *io;
    u32 *halt;
    u32 *counts;                                               // rows that count of each set, and samples that do
    float one_minus_beta1, beta2, one_minus_beta2, eps, decay; // RMSprop: beta2 is its alpha
    float momentum;
    float global_norm, clip_eps; // 0: off
    u32 rule, nesterov;
    u32 n_blocks, n_totals, n_counts, sum_mixer;
};
static_assert(sizeof(OptimArgs) == 176, "OptimArgs as in Rust");

INLINE float adam(const OptimArgs &a, const Step &s, u32 i, float p, float g) {
    g = fma_(a.decay, p, g);
    const float m = a.m0[i] = fma_(g - a.m0[i], a.one_minus_beta1, a.m0[i]);
    const float v = a.m1[i] = fma_(a.one_minus_beta2 * g, g, a.beta2 * a.m1[i]);
    const float root = __fdiv_rn(__fsqrt_rn(v), s.root_correction) + a.eps;
    return fma_(s.minus_step, __fdiv_rn(m, root), p * s.keep);
}

INLINE float rmsprop(const OptimArgs &a, const Step &s, u32 i, float p, float g) {
    g = fma_(a.decay, p, g);
    const float square = a.m0[i] = fma_(a.one_minus_beta2 * g, g, a.beta2 * a.m0[i]);
    float under = square;
    if (a.m2) {
        const float mean = a.m2[i] = fma_(g - a.m2[i], a.one_minus_beta2, a.m2[i]);
        under = fma_(mean, -mean, under);
        under = under < 0.0f ? 0.0f : under;
    }
    float delta = __fdiv_rn(g, __fsqrt_rn(under) + a.eps);
    if (a.m1) delta = a.m1[i] = fma_(a.momentum, a.m1[i], delta);
    return fma_(delta, -s.lr, p);
}

INLINE float sgd(const OptimArgs &a, const Step &s, u32 i, float p, float g) {
    g = fma_(a.decay, p, g);
    if (a.m0) {
        const float buffer = a.m0[i] = fma_(a.momentum, a.m0[i], g);
        g = a.nesterov ? fma_(a.momentum, buffer, g) : buffer;
    }
    return fma_(g, -s.lr, p);
}

// Whether the step is to be, by its loss and its gradients. Every block comes to the same. The first one tells.
INLINE bool goes_on(const OptimArgs &args, StepIo *io, u32 block, double *room) {
    const double loss = tree_of_blocks(args.totals, args.n_totals, 4, room);
    u32 *bad = (u32 *)room;
    if (threadIdx.x == 0) *bad = is_finite((double)(float)loss) ? 0 : 1;
    __syncthreads();
    for (u32 i = threadIdx.x; i < args.n_blocks; i += blockDim.x) {
        if (!is_finite(args.squares[i])) atomicMax(bad, 2u);
    }
    __syncthreads();
    const u32 kind = *bad;
    __syncthreads();
    const bool halts = kind || io->status.error != ~0ull || *args.halt;
    if (block > 0) return !halts;
    Status &status = io->status;
    for (u32 i = 0; i < 4; i++) {
        const double total = tree_of_blocks(args.totals + i, args.n_totals, 4, room);
        if (threadIdx.x == 0) status.total[i] = total;
    }
    if (threadIdx.x == 0) {
        status.bad = kind;
        status.ran = !halts;
        if (halts) *args.halt = 1;
        u32 terms = 0;
        for (u32 i = 0; i + 1 < args.n_counts && !args.sum_mixer; i++) terms += args.counts[i];
        status.terms = args.sum_mixer ? args.counts[args.n_counts - 1] : terms;
        // The next step begins to count anew.
        for (u32 i = 0; i < args.n_counts; i++) args.counts[i] = 0;
    }
    return !halts;
}

// Block `block` of parameters.
INLINE void step_of_block(const OptimArgs &args, StepIo *io, u32 block) {
    DYNAMIC_SHARED(double, room);
    const bool goes = goes_on(args, io, block, room);
    const u32 part = args.part_of[block], first = args.first_block[part];
    const double square = tree_of_blocks(args.squares + first, args.first_block[part + 1] - first, 1, room);
    // Bits of numbers that are not negative have the order of the numbers.
    if (block == first && threadIdx.x == 0 && is_finite(square))
        atomicMax((u64 *)&io->status.square, (u64)__double_as_longlong(square));
    if (!goes) return;
    float factor = 1.0f;
    if (args.factors)
        factor = args.factors[part];
    else if (args.global_norm != 0.0f)
        factor = clip_factor(square, args.global_norm, args.clip_eps);
    const Step &s = io->step;
    const Span span = args.blocks[block];
    for (u32 i = span.start + threadIdx.x; i < span.end; i += blockDim.x) {
        const float g = args.grads[i] * factor, before = args.params[i];
        const float p = args.rule == ADAM      ? adam(args, s, i, before, g)
                        : args.rule == RMSPROP ? rmsprop(args, s, i, before, g)
                                               : sgd(args, s, i, before, g);
        args.params[i] = p;
        if (s.moves) {
            const float t = args.target[i];
            args.target[i] = s.tau == 1.0f ? p : fma_(s.tau, p - t, t);
        }
    }
}

// Grid: blocks of parameters.
KERNEL(optim_step, OptimArgs) { step_of_block(args, args.io, blockIdx.x); }
