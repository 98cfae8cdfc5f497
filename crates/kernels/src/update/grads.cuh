// Gradients of weights from activations and gradients of sums on the tape: chains over the rows of a chunk, then a tree over
// chunks.
#pragma once
#include "cuda/grads.cuh"
#include "update/data.cuh"

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

// Tiles of a layer: of its weights with the biases as one more row, and, where there is a norm, of its gain and shift. A
// thread has `EACH` by `EACH` of a tile: one where there are too few tiles to occupy a device, else four, so that what is
// loaded serves four multiply-adds.
template <u32 EACH> INLINE u32 weight_tiles(const Layer &l) {
    const u32 side = 16 * EACH;
    return ((l.k + side) / side) * ((l.n + side - 1) / side);
}

// Rows of network `m`, for the gradients of a layer.
struct LayerOfRows {
    const GradArgs &args;
    u32 k, n, set;
    const float *h, *d_sums; // of the layer below, and of the layer; null below the first
    INLINE const float *x(u32 row) const {
        const u32 index = row * args.n_sets + set;
        if (h) return h + (u64)row * k;
        return valid_of(args.samples, index) ? obs_of(args.samples, index, k, false) : 0;
    }
    INLINE const float *d(u32 row) const { return d_sums + (u64)row * n; }
};

// Gradients of a weight matrix and its bias.
template <u32 EACH>
INLINE void weight_grads(const GradArgs &args, const Layer &l, u32 below, u32 here, u32 tile, u32 m, u32 first,
                         u32 count, float *out) {
    const float *h = l.weight == 0 ? 0 : args.tape.h + tape_at(below, args.nets, args.rows, m, 0, l.k);
    const float *d = l.hidden ? args.dz + tape_at(here, args.nets, args.rows, m, 0, l.n)
                              : args.d_out + (u64)m * args.rows * l.n;
    const LayerOfRows rows = {args, l.k, l.n, m % args.n_sets, h, d};
    grads_tile<EACH>(rows, l.k, l.n, tile, first, count, out + l.weight);
}

INLINE void norm_grads(const GradArgs &args, const Layer &l, u32 here, u32 m, u32 first, u32 count, float *out) {
    const u64 at = tape_at(here, args.nets, args.rows, m, first, l.n);
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

// Tile `tile` of all layers, of chunk `chunk` of network `m`. The first 256 threads of a block work.
template <u32 EACH> INLINE void grads_of_chunk(const GradArgs &args, u32 tile, u32 chunk, u32 m) {
    const Network &net = args.net;
    const u32 first = chunk * args.chunk_rows, count = min_(args.chunk_rows, args.rows - first);
    float *out = args.partials + ((u64)chunk * args.nets + m) * net.n_params;
    u32 below = 0, here = 0;
    Layer layer = first_layer(net);
    for (u32 index = 0; index < net.n_layers; index++) {
        layer = next_layer(net, layer, index);
        const u32 tiles = weight_tiles<EACH>(layer), norms = layer.hidden && net.norm ? 1 : 0;
        if (tile < tiles) {
            if (threadIdx.x < GRAD_THREADS) weight_grads<EACH>(args, layer, below, here, tile, m, first, count, out);
            return;
        }
        if (tile < tiles + norms) return norm_grads(args, layer, here, m, first, count, out);
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

// Parameter `i` of all chunks. Neighbors first; an odd last one passes up.
INLINE float tree_of_chunks(float *partials, u32 len, u32 chunks, u32 i) {
    for (u32 gap = 1; gap < chunks; gap *= 2) {
        for (u32 c = 0; c + gap < chunks; c += 2 * gap) partials[(u64)c * len + i] += partials[(u64)(c + gap) * len + i];
    }
    return partials[i];
}
