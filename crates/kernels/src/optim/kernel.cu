// Optimizer steps, in two launches: clipping, which needs norms over all gradients, and the step itself with the target
// behind it. Norms are sums of squares in double precision, sixteen interleaved chains and a fixed tree, as on the CPU.
// A gradient or a loss that is not finite stops this step and all after it, with the parameters as they were.
#include "resident/step.cuh"

// Threads that share a sum of squares, and sums that a block of 256 threads forms at a time.
#define LANES 16u
#define SUMS 16u

// As `crate::resident::cuda::ClipArgs`.
struct ClipArgs {
    float *grads;
    const Span *parts;       // each clipped by its own norm
    const Span *tensors;     // in the order of the parts
    const u32 *first_tensor; // [parts + 1]: those of a part
    float *factors;          // [parts], written: what global clipping multiplies with
    const float *sums;       // [B, 4] of samples
    const u32 *counts;       // rows that count of each set, and samples that do
    StepIo *io;
    u32 *halt;
    float value, tensor_norm, global_norm, eps; // 0: off
    u32 n_parts, batch, n_counts, sum_mixer;
};
static_assert(sizeof(ClipArgs) == 104, "ClipArgs as in Rust");

// Sum of squares of `n` gradients by sixteen threads; every thread of the block has to come. `lanes` is theirs.
INLINE double square_sum(const float *x, u32 n, double *lanes) {
    const u32 lane = threadIdx.x % LANES;
    double sum = 0.0;
#pragma unroll 8
    for (u32 i = lane; i < n; i += LANES) {
        const double v = (double)x[i];
        sum = __fma_rn(v, v, sum);
    }
    lanes[lane] = sum;
    __syncthreads();
    // Four neighbors of the tree at a time: an array with all of it would lie on the stack.
    double quarter[4];
#pragma unroll
    for (int i = 0; i < 4; i++) quarter[i] = (lanes[i] + lanes[i + 8]) + (lanes[i + 4] + lanes[i + 12]);
    __syncthreads();
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// What to multiply with so that the norm is `bound` at most.
INLINE float clip_factor(double square, float bound, float eps) {
    const double factor = __ddiv_rn((double)bound, __dsqrt_rn(square) + (double)eps);
    return factor < 1.0 ? (float)factor : 1.0f;
}

INLINE bool is_finite(double v) { return v - v == 0.0; }

// Means of the samples, each a chain over the samples.
INLINE void measure(const ClipArgs &args) {
    Status &status = args.io->status;
    if (threadIdx.x < 4) {
        double total = 0.0;
#pragma unroll 8
        for (u32 b = 0; b < args.batch; b++) total += (double)args.sums[4 * (u64)b + threadIdx.x];
        status.total[threadIdx.x] = total;
        if (threadIdx.x == 0 && !is_finite((double)(float)total)) {
            atomicMax(&status.bad, 1u);
            atomicMax(args.halt, 1u);
        }
    }
    if (threadIdx.x == 4) {
        u32 terms = 0;
        for (u32 i = 0; i + 1 < args.n_counts && !args.sum_mixer; i++) terms += args.counts[i];
        status.terms = args.sum_mixer ? args.counts[args.n_counts - 1] : terms;
        if (status.error != ~0ull) atomicMax(args.halt, 1u);
    }
}

// Grid: parts, and one block that measures; 256 threads.
KERNEL(optim_clip, ClipArgs) {
    DYNAMIC_SHARED(double, memory);
    if (blockIdx.x == args.n_parts) return measure(args);
    const Span part = args.parts[blockIdx.x];
    const u32 n = part.end - part.start, group = threadIdx.x / LANES;
    double *lanes = memory + group * LANES;
    float *grads = args.grads + part.start;
    double square = square_sum(grads, group == 0 ? n : 0, lanes);
    if (threadIdx.x == 0) {
        memory[SUMS * LANES] = square;
        if (is_finite(square)) {
            // Bits of numbers that are not negative have the order of the numbers.
            atomicMax((u64 *)&args.io->status.square, (u64)__double_as_longlong(square));
        } else {
            atomicMax(&args.io->status.bad, 2u);
            atomicMax(args.halt, 1u);
        }
    }
    __syncthreads();
    square = memory[SUMS * LANES];
    if (!is_finite(square)) return; // the whole block: gradients stay, to be named
    if (args.value != 0.0f) {
        for (u32 i = threadIdx.x; i < n; i += blockDim.x) {
            const float g = grads[i], low = g < -args.value ? -args.value : g;
            grads[i] = low > args.value ? args.value : low;
        }
        __syncthreads();
    }
    if (args.tensor_norm != 0.0f) {
        const u32 last = args.first_tensor[blockIdx.x + 1];
        for (u32 first = args.first_tensor[blockIdx.x]; first < last; first += SUMS) {
            const bool mine = first + group < last;
            const Span tensor = args.tensors[mine ? first + group : first];
            const u32 size = mine ? tensor.end - tensor.start : 0;
            const float factor = clip_factor(square_sum(args.grads + tensor.start, size, lanes), args.tensor_norm, args.eps);
            for (u32 i = threadIdx.x % LANES; i < size; i += LANES) args.grads[tensor.start + i] *= factor;
        }
        __syncthreads();
    }
    float factor = 1.0f;
    if (args.global_norm != 0.0f) {
        if (args.value != 0.0f || args.tensor_norm != 0.0f) square = square_sum(grads, group == 0 ? n : 0, lanes);
        factor = clip_factor(square, args.global_norm, args.eps);
    }
    if (threadIdx.x == 0) args.factors[blockIdx.x] = factor;
}

#define ADAM 0u
#define RMSPROP 1u

// As `crate::resident::cuda::OptimArgs`.
struct OptimArgs {
    float *params, *target;
    const float *grads;
    float *m0, *m1, *m2; // null: not used
    const Span *parts;
    const float *factors;
    StepIo *io;
    const u32 *halt;
    u32 *counts;                                              // to begin anew
    float one_minus_beta1, beta2, one_minus_beta2, eps, decay; // RMSprop: beta2 is its alpha
    float momentum;
    u32 rule, nesterov;
    u32 n_params, n_parts, n_counts, unused;
};
static_assert(sizeof(OptimArgs) == 136, "OptimArgs as in Rust");

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

// Grid: parameters, one a thread.
KERNEL(optim_step, OptimArgs) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    // All readers of the counts have ended.
    for (u32 c = i; c < args.n_counts; c += gridDim.x * blockDim.x) args.counts[c] = 0;
    if (i >= args.n_params || *args.halt) return;
    if (i == 0) args.io->status.ran = 1;
    const Step &s = args.io->step;
    u32 part = 0;
    while (part < args.n_parts && (i < args.parts[part].start || i >= args.parts[part].end)) part++;
    const float g = args.grads[i] * (part < args.n_parts ? args.factors[part] : 1.0f), before = args.params[i];
    const float p = args.rule == ADAM      ? adam(args, s, i, before, g)
                    : args.rule == RMSPROP ? rmsprop(args, s, i, before, g)
                                           : sgd(args, s, i, before, g);
    args.params[i] = p;
    if (s.moves) {
        const float t = args.target[i];
        args.target[i] = s.tau == 1.0f ? p : fma_(s.tau, p - t, t);
    }
}
