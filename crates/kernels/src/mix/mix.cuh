// The mixing network of QMIX over a tile of rows in shared memory: four hypernetworks of the state, then the mixing itself.
// A column of the tile is one row of the batch, as in `network.cuh`. Products are rounded before they are added, as on the
// CPU; only layers fuse.
#pragma once
#include "cuda/plain.cuh"

// As `crate::mix::cuda::MixNet`.
struct MixNet {
    u32 n_agents, state, embed;
    u32 hypernet; // units of the hypernetworks that make weights; 0: single layers
    u32 n_params, unused;
};
static_assert(sizeof(MixNet) == 24, "MixNet as in Rust");

// A layer of a hypernetwork: its place in the parameters, its widths, and the columns of the tile that it reads and writes.
struct HyperLayer {
    u32 weight, k, n, from, to;
    bool relu;
};

// Where columns of the tile begin, in columns; a column has LD floats.
struct MixTile {
    u32 state, h1, h2, hv, hidden, w1, w2, v, end;
};

INLINE MixTile mix_tile(const MixNet &net) {
    MixTile t;
    t.state = 0;
    t.h1 = net.state;
    t.h2 = t.h1 + net.hypernet;
    t.hv = t.h2 + net.hypernet;
    t.hidden = t.hv + net.embed;
    t.w1 = t.hidden + net.embed;
    t.w2 = t.w1 + net.n_agents * net.embed;
    t.v = t.w2 + net.embed;
    t.end = t.v + 1;
    return t;
}

// Parameters of a layer.
INLINE u32 layer_size(u32 k, u32 n) { return k * n + n; }

// Places of the hypernetworks' parameters: those of w2, b1 and V, those of w1 being first.
INLINE u32 w2_at(const MixNet &net) {
    const u32 out = net.n_agents * net.embed;
    return net.hypernet ? layer_size(net.state, net.hypernet) + layer_size(net.hypernet, out) : layer_size(net.state, out);
}
INLINE u32 b1_at(const MixNet &net) {
    const u32 size = net.hypernet ? layer_size(net.state, net.hypernet) + layer_size(net.hypernet, net.embed)
                                  : layer_size(net.state, net.embed);
    return w2_at(net) + size;
}
INLINE u32 v_at(const MixNet &net) { return b1_at(net) + layer_size(net.state, net.embed); }

// Layer `index` of 0..4, which read the state, or of 4..7, which read hidden layers; n is 0 where there is none.
INLINE HyperLayer hyper_layer(const MixNet &net, const MixTile &t, u32 index) {
    const u32 s = net.state, h = net.hypernet, m = net.embed, all = net.n_agents * m;
    HyperLayer l = {0, s, 0, t.state, 0, false};
    const bool deep = h > 0;
    if (index == 0) {
        l.n = deep ? h : all;
        l.to = deep ? t.h1 : t.w1;
        l.relu = deep;
    } else if (index == 1) {
        l.weight = w2_at(net);
        l.n = deep ? h : m;
        l.to = deep ? t.h2 : t.w2;
        l.relu = deep;
    } else if (index == 2) {
        l.weight = b1_at(net);
        l.n = m;
        l.to = t.hidden;
    } else if (index == 3) {
        l.weight = v_at(net);
        l.n = m;
        l.to = t.hv;
        l.relu = true;
    } else if (index == 4) {
        l.weight = v_at(net) + layer_size(s, m);
        l.k = m;
        l.n = 1;
        l.from = t.hv;
        l.to = t.v;
    } else if (deep) {
        l.weight = (index == 5 ? 0 : w2_at(net)) + layer_size(s, h);
        l.k = h;
        l.n = index == 5 ? all : m;
        l.from = index == 5 ? t.h1 : t.h2;
        l.to = index == 5 ? t.w1 : t.w2;
    }
    return l;
}

INLINE float size_(float x) { return __uint_as_float(__float_as_uint(x) & 0x7fffffffu); }

// Layers `first..last` of the hypernetworks; narrow ones side by side.
template <int ROWS>
INLINE void hyper_layers(const MixNet &net, const MixTile &t, const float *params, float *tile, u32 first, u32 last) {
    const int LD = Tile<ROWS>::LD;
    u32 turn = 0;
#pragma unroll 1
    for (u32 index = first; index < last; index++) {
        const HyperLayer l = hyper_layer(net, t, index);
        if (l.n == 0) continue;
        const float *w = params + l.weight;
        plain_dense<ROWS>(tile + l.from * LD, l.k, w, w + (u64)l.k * l.n, l.n, l.relu, tile + l.to * LD, turn);
        turn = turned_by(turn, items_of<ROWS>(l.n));
    }
}

// From the states in the tile to its columns `w1`, `w2`, `hidden` (before the mixing: b1) and `v`.
template <int ROWS>
INLINE void hypernetworks(const MixNet &net, const MixTile &t, const float *params, float *tile) {
    hyper_layers<ROWS>(net, t, params, tile, 0, 4);
    __syncthreads();
    hyper_layers<ROWS>(net, t, params, tile, 4, 7);
    __syncthreads();
}

// hidden = elu(sum_a q_a |w1_am| + b1_m), then the total of each row into the column `v`. `q` is [A][LD]. Sums over the
// hidden units: eight interleaved chains of a row, and a tree. `lanes` holds eight floats a row.
template <int ROWS> INLINE void mix_rows(const MixNet &net, const MixTile &t, const float *q, float *tile, float *lanes) {
    const int LD = Tile<ROWS>::LD;
    const u32 m = net.embed;
    float *hidden = tile + t.hidden * LD;
    const float *w1 = tile + t.w1 * LD, *w2 = tile + t.w2 * LD;
    for (u32 i = threadIdx.x; i < m * ROWS; i += blockDim.x) {
        const u32 j = i / ROWS, r = i % ROWS;
        float h = hidden[j * LD + r];
        for (u32 a = 0; a < net.n_agents; a++) h += q[a * LD + r] * size_(w1[(a * m + j) * LD + r]);
        hidden[j * LD + r] = h > 0.0f ? h : unfused_exp_(h) - 1.0f;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < 8 * ROWS; i += blockDim.x) {
        const u32 r = i % ROWS;
        float sum = 0.0f;
        for (u32 j = i / ROWS; j < m; j += 8) sum += hidden[j * LD + r] * size_(w2[j * LD + r]);
        lanes[i] = sum;
    }
    __syncthreads();
    for (u32 r = threadIdx.x; r < ROWS; r += blockDim.x) {
        const float *l = lanes + r;
        const float low = (l[0] + l[4 * ROWS]) + (l[2 * ROWS] + l[6 * ROWS]);
        const float high = (l[ROWS] + l[5 * ROWS]) + (l[3 * ROWS] + l[7 * ROWS]);
        float *v = tile + t.v * LD + r;
        *v = (low + high) + *v;
    }
    __syncthreads();
}
