// `mix`: the mixing network of QMIX, forward in one launch, backward in one launch by rows and one by tiles of weights and
// chunks of rows; the tree over chunks is `update_tree`.
//
// Per row 2 (S H + H A M + S H + H M + S M + S M + M) operations of the hypernetworks, 2 A M + 2 M and M exponentials of the
// mixing; backward twice that. Bytes per row: forward reads 4 (S + A) and writes 4 (1 + 2 H + M + A M + 2 M), what backward
// needs; weights come from the caches. Barriers of a block: 6 forward, 3 backward, none for gradients of weights.
#pragma once
#include "cuda/plain.cuh"
#include "mix/mix.cuh"

// What forward keeps for backward, each `[R, width]`. As `crate::mix::cuda::MixTape`.
struct MixTape {
    float *h1, *h2, *hv, *w1, *w2, *hidden;
};

// As `crate::mix::cuda::MixArgs`.
struct MixArgs {
    MixNet net;
    const float *params; // [P]
    const float *q;      // [R, A]
    const float *state;  // [R, S]
    MixTape tape;
    float *total; // [R]
    u32 rows, unused;
};
static_assert(sizeof(MixArgs) == 112, "MixArgs as in Rust");

// Rows `[count, width]` of the batch, the first of them at `from`, into columns of the tile; columns past `count` become 0.
template <int ROWS> INLINE void load_columns(const float *from, u32 width, u32 count, float *to) {
    const int LD = Tile<ROWS>::LD;
    for (u32 i = threadIdx.x; i < width * ROWS; i += blockDim.x) {
        const u32 r = i / width;
        to[i % width * LD + r] = r < count ? from[i] : 0.0f;
    }
}

// The inverse, without the columns past `count`.
template <int ROWS> INLINE void keep_columns(const float *from, u32 width, u32 count, float *to) {
    const int LD = Tile<ROWS>::LD;
    for (u32 i = threadIdx.x; i < width * count; i += blockDim.x) to[i] = from[i % width * LD + i / width];
}

// Grid: tiles of rows. Shared memory: the tile, eight floats a row, the agents' values.
template <int ROWS> INLINE void mix_forward(const MixArgs &args) {
    DYNAMIC_SHARED(float, tile);
    const int LD = Tile<ROWS>::LD;
    const MixNet &net = args.net;
    const MixTile t = mix_tile(net);
    const u32 first = blockIdx.x * ROWS, count = min_(ROWS, args.rows - first);
    float *lanes = tile + t.end * LD, *q = lanes + 8 * ROWS;
    load_columns<ROWS>(args.state + (u64)first * net.state, net.state, count, tile + t.state * LD);
    load_columns<ROWS>(args.q + (u64)first * net.n_agents, net.n_agents, count, q);
    __syncthreads();
    hypernetworks<ROWS>(net, t, args.params, tile);
    const u32 all = net.n_agents * net.embed;
    keep_columns<ROWS>(tile + t.h1 * LD, net.hypernet, count, args.tape.h1 + (u64)first * net.hypernet);
    keep_columns<ROWS>(tile + t.h2 * LD, net.hypernet, count, args.tape.h2 + (u64)first * net.hypernet);
    keep_columns<ROWS>(tile + t.hv * LD, net.embed, count, args.tape.hv + (u64)first * net.embed);
    keep_columns<ROWS>(tile + t.w1 * LD, all, count, args.tape.w1 + (u64)first * all);
    keep_columns<ROWS>(tile + t.w2 * LD, net.embed, count, args.tape.w2 + (u64)first * net.embed);
    mix_rows<ROWS>(net, t, q, tile, lanes);
    keep_columns<ROWS>(tile + t.hidden * LD, net.embed, count, args.tape.hidden + (u64)first * net.embed);
    for (u32 r = threadIdx.x; r < count; r += blockDim.x) args.total[first + r] = tile[t.v * LD + r];
}

KERNEL(mix_forward_8, MixArgs) { mix_forward<8>(args); }
KERNEL(mix_forward_32, MixArgs) { mix_forward<32>(args); }

// As `crate::mix::cuda::MixBackArgs`. Gradients of the rows are laid out as what forward kept: of the sums of the hidden
// layers, and of the hypernetworks' outputs, of which that of `hidden` is before the ELU and so that of b1.
struct MixBackArgs {
    MixNet net;
    const float *params;
    const float *q;
    const float *d_total; // [R]
    MixTape tape, grad;
    float *d_q; // [R, A]
    u32 rows, unused;
};
static_assert(sizeof(MixBackArgs) == 160, "MixBackArgs as in Rust");

// The derivative of the absolute value, 0 at 0.
INLINE float sign_(float w) { return w > 0.0f ? 1.0f : w < 0.0f ? -1.0f : 0.0f; }

// Gradients of the agents' values and of the outputs of the hypernetworks, in the places of what they are the gradients of.
template <int ROWS>
INLINE void unmix_rows(const MixBackArgs &args, u32 first, u32 count, float *w1, float *w2, float *hidden, const float *q,
                       const float *d_total) {
    const int LD = Tile<ROWS>::LD;
    const u32 n = args.net.n_agents, m = args.net.embed;
    for (u32 i = threadIdx.x; i < m * ROWS; i += blockDim.x) {
        const u32 at = i / ROWS * LD + i % ROWS;
        const float d = d_total[i % ROWS], h = hidden[at], w = w2[at];
        w2[at] = d * h * sign_(w);
        hidden[at] = d * size_(w) * (h > 0.0f ? 1.0f : h + 1.0f);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < n * ROWS; i += blockDim.x) {
        const u32 a = i / ROWS, r = i % ROWS;
        const float value = q[a * LD + r];
        float lane[8] = {};
        for (u32 j = 0; j < m; j += 8) {
#pragma unroll
            for (u32 c = 0; c < 8; c++) {
                if (j + c < m) {
                    float *w = w1 + (a * m + j + c) * LD + r;
                    const float d = hidden[(j + c) * LD + r];
                    lane[c] += d * size_(*w);
                    *w = d * value * sign_(*w);
                }
            }
        }
        const float sum = ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
        if (r < count) args.d_q[(u64)(first + r) * n + a] = sum;
    }
    __syncthreads();
}

// Grid: tiles of rows. Shared memory: columns of w1, w2, hidden, the agents' values, and one for the team's gradient.
template <int ROWS> INLINE void mix_backward(const MixBackArgs &args) {
    DYNAMIC_SHARED(float, w1);
    const int LD = Tile<ROWS>::LD;
    const MixNet &net = args.net;
    const MixTape &tape = args.tape, &grad = args.grad;
    const u32 first = blockIdx.x * ROWS, count = min_(ROWS, args.rows - first);
    const u32 n = net.n_agents, m = net.embed, h = net.hypernet, all = n * m;
    float *w2 = w1 + all * LD, *hidden = w2 + m * LD, *q = hidden + m * LD, *d_total = q + n * LD;
    load_columns<ROWS>(tape.w1 + (u64)first * all, all, count, w1);
    load_columns<ROWS>(tape.w2 + (u64)first * m, m, count, w2);
    load_columns<ROWS>(tape.hidden + (u64)first * m, m, count, hidden);
    load_columns<ROWS>(args.q + (u64)first * n, n, count, q);
    load_columns<ROWS>(args.d_total + first, 1, count, d_total);
    __syncthreads();
    unmix_rows<ROWS>(args, first, count, w1, w2, hidden, q, d_total);
    keep_columns<ROWS>(w1, all, count, grad.w1 + (u64)first * all);
    keep_columns<ROWS>(w2, m, count, grad.w2 + (u64)first * m);
    keep_columns<ROWS>(hidden, m, count, grad.hidden + (u64)first * m);
    const float *v = args.params + v_at(net) + layer_size(net.state, m);
    const u64 at_m = (u64)first * m, at_h = (u64)first * h;
    // The longest chains first.
    u32 turn = 0;
    if (h > 0) {
        const u32 below = layer_size(net.state, h), items = items_of<ROWS>(h);
        const float *deep1 = args.params + below, *deep2 = args.params + w2_at(net) + below;
        relu_back<ROWS>(w1, all, deep1, h, tape.h1 + at_h, grad.h1 + at_h, count, turn);
        turn = turned_by(turn, items);
        relu_back<ROWS>(w2, m, deep2, h, tape.h2 + at_h, grad.h2 + at_h, count, turn);
        turn = turned_by(turn, items);
    }
    relu_back<ROWS>(d_total, 1, v, m, tape.hv + at_m, grad.hv + at_m, count, turn);
}

KERNEL(mix_backward_8, MixBackArgs) { mix_backward<8>(args); }
KERNEL(mix_backward_32, MixBackArgs) { mix_backward<32>(args); }

// As `crate::mix::cuda::MixGradArgs`.
struct MixGradArgs {
    PlainLayer layers[7];
    float *partials; // [chunks, P]
    u32 n_layers, rows, chunk_rows, n_params;
};
static_assert(sizeof(MixGradArgs) == 248, "MixGradArgs as in Rust");

// Grid: tiles of all layers, chunks; 256 threads.
template <u32 EACH> INLINE void mix_grads(const MixGradArgs &args) {
    const u32 first = blockIdx.y * args.chunk_rows, count = min_(args.chunk_rows, args.rows - first);
    float *out = args.partials + (u64)blockIdx.y * args.n_params;
    u32 tile = blockIdx.x;
    for (u32 i = 0; i < args.n_layers; i++) {
        const PlainLayer &l = args.layers[i];
        const u32 tiles = plain_tiles<EACH>(l);
        if (tile < tiles) return grads_tile<EACH>(l, l.k, l.n, tile, first, count, out + l.at);
        tile -= tiles;
    }
}

KERNEL(mix_grads_1, MixGradArgs) { mix_grads<1>(args); }
KERNEL(mix_grads_4, MixGradArgs) { mix_grads<4>(args); }
