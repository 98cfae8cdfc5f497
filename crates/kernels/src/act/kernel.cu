// `act`: observations to Q-values to one legal action a row, in one launch. Grid: tiles of rows by parameter sets.
// A block reads its observations once, keeps activations in shared memory, and writes one action a row (and Q-values
// if wanted). Per row 2 sum(k n) operations and 4 (D + 1) bytes, weights from the caches.
#pragma once
#include "cuda/fast.cuh"

#define GREEDY 0u
#define EPSILON 1u
#define BOLTZMANN 2u
#define PURPOSE_EXPLORE 4u

// As `crate::act::cuda::ActArgs`.
struct ActArgs {
    Network net;
    const float *params; // [S, P]
    const float *obs;    // [E, A, D]
    const u32 *mask;     // [E, A, W] or null
    const u8 *alive;     // [E, A] or null
    const float *noise;  // [E, A, N] or null
    u32 *actions;        // [E, A]
    float *q;            // [E, A, N] or null
    u32 n_sets;
    u32 units; // rows of a set
    u32 kind;  // GREEDY, EPSILON or BOLTZMANN
    u32 first_row;
    u32 step_low, step_high;
    u32 key0, key1;
    float epsilon, temperature;
};
static_assert(sizeof(ActArgs) == 160, "ActArgs as in Rust");

// The `pick`-th legal action of a uniform draw.
INLINE u32 nth_legal(const u32 *mask, u32 n, u32 word) {
    if (!mask) return below(word, n);
    u32 legal = 0;
    for (u32 a = 0; a < n; a++) legal += is_legal(mask, a);
    if (legal == 0) return NO_ACTION;
    u32 pick = below(word, legal);
    for (u32 a = 0; a < n; a++) {
        if (is_legal(mask, a) && pick-- == 0) return a;
    }
    return NO_ACTION;
}

// A legal action with probability proportional to exp(q / temperature); `q` becomes the weights.
INLINE u32 boltzmann(float *q, u32 stride, u32 n, const u32 *mask, float temperature, u32 word) {
    const u32 best = argmax_legal(q, stride, n, mask);
    if (best == NO_ACTION) return best;
    const float top = q[best * stride];
    float total = 0.0f;
    for (u32 a = 0; a < n; a++) {
        const float weight = exp_(__fdiv_rn(q[a * stride] - top, temperature));
        const float kept = is_legal(mask, a) && weight > 0.0f ? weight : 0.0f;
        q[a * stride] = kept;
        total += kept;
    }
    const float aim = unit(word) * total;
    float sum = 0.0f;
    for (u32 a = 0; a < n; a++) {
        sum += q[a * stride];
        if (sum > aim) return a;
    }
    return best;
}

INLINE u32 choose(const ActArgs &args, u32 row, float *q, u32 stride) {
    const u32 n = network_of(args.net).n_actions;
    const u32 *mask = args.mask ? args.mask + (u64)row * ((n + 31) / 32) : 0;
    if (args.alive && !args.alive[row]) {
        for (u32 a = 0; a < n; a++) {
            if (is_legal(mask, a)) return a;
        }
        return 0;
    }
    u32 word0 = 0, word1 = 0;
    if (args.kind != GREEDY)
        philox(PURPOSE_EXPLORE, args.first_row + row, args.step_low, args.step_high, args.key0, args.key1, &word0, &word1);
    if (args.noise) {
        for (u32 a = 0; a < n; a++) q[a * stride] += args.noise[(u64)row * n + a];
    }
    if (args.kind == BOLTZMANN) return boltzmann(q, stride, n, mask, args.temperature, word1);
    if (args.kind == EPSILON && unit(word0) < args.epsilon) return nth_legal(mask, n, word1);
    return argmax_legal(q, stride, n, mask);
}

template <int ROWS, class Product = Strict> INLINE void act(const ActArgs &args) {
    DYNAMIC_SHARED(float, memory);
    const int LD = Tile<ROWS>::LD;
    const Network &net = network_of(args.net);
    const u32 set = blockIdx.y, first = blockIdx.x * ROWS;
    const u32 count = min_(ROWS, args.units - first);
    const u32 d = net.width[0], n = net.n_actions;
    for (u32 i = threadIdx.x; i < d * ROWS; i += blockDim.x) {
        const u32 r = i / d, k = i % d;
        memory[k * LD + r] = r < count ? args.obs[((u64)(first + r) * args.n_sets + set) * d + k] : 0.0f;
    }
    __syncthreads();
    const Solo solo = {args.params + (u64)set * net.n_params};
    float *q = memory + forward<ROWS, Product>(net, solo, memory, 0, count);
    if (net.dueling) {
        for (u32 r = threadIdx.x; r < count; r += blockDim.x) dueling_(q + r, LD, n);
        __syncthreads();
    }
    if (args.q) {
        for (u32 i = threadIdx.x; i < n * count; i += blockDim.x) {
            const u32 r = i / n, a = i % n;
            args.q[((u64)(first + r) * args.n_sets + set) * n + a] = q[a * LD + r];
        }
        __syncthreads();
    }
    for (u32 r = threadIdx.x; r < count; r += blockDim.x) {
        const u32 row = (first + r) * args.n_sets + set;
        args.actions[row] = choose(args, row, q + r, LD);
    }
}

// Few rows: many small blocks. Many rows: each weight that is loaded serves 32 rows.
KERNEL(act_8, ActArgs) { act<8>(args); }
KERNEL(act_32, ActArgs) { act<32>(args); }

// Fast mode; `Network::fast_tile` says from which shapes on.
KERNEL(act_fast_16, ActArgs) { act<16, Fast>(args); }
KERNEL(act_fast_32, ActArgs) { act<32, Fast>(args); }
