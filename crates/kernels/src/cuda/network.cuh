// Multilayer perceptrons over a tile of rows in shared memory, one or several in lockstep. A column of the tile is one row
// of the batch, so that all its values are `LD` apart and four neighboring rows are one load: `x[k * LD + r]`. A thread
// computes four rows of one output, or of four; each output is a chain of fused multiply-adds over k ascending, from the
// bias, as on the CPU.
#pragma once
#include "strict.cuh"

#define MAX_LAYERS 8

// The shape of a Q-network, as `crate::cuda::Network`.
struct Network {
    u32 n_layers; // the output layer included
    u32 tanh;     // 0: ReLU
    u32 norm;     // layer norm between hidden layers and their activation
    u32 n_actions;
    u32 dueling;
    u32 n_params;
    u32 width[MAX_LAYERS + 1]; // input, hidden layers, output
    u32 max_width;
};
static_assert(sizeof(Network) == 64, "Network as in Rust");

// The network of a launch. A module that is compiled for one network (`special.rs`) knows it beforehand: its widths are
// constants, and the loop over layers is written out.
#ifdef NETWORK_SHAPE
INLINE Network network_of(const Network &) {
    const Network known = NETWORK_SHAPE;
    return known;
}
#define EACH_LAYER _Pragma("unroll")
#else
INLINE const Network &network_of(const Network &net) { return net; }
#define EACH_LAYER
#endif

// Offsets of one layer's tensors in the flat parameters.
struct Layer {
    u32 k, n, weight, bias, gain, shift, end;
    bool hidden;
};

INLINE Layer first_layer(const Network &net) {
    Layer l;
    l.end = 0;
    l.n = net.width[0];
    return l;
}

INLINE Layer next_layer(const Network &net, const Layer &before, u32 index) {
    Layer l;
    l.k = before.n;
    l.n = net.width[index + 1];
    l.hidden = index + 1 < net.n_layers;
    l.weight = before.end;
    l.bias = l.weight + l.k * l.n;
    l.gain = l.bias + l.n;
    l.shift = l.gain + l.n;
    l.end = l.hidden && net.norm ? l.shift + l.n : l.gain;
    return l;
}

// Floats between two rows of the tile's transpose: four more than rows, so that columns start in different banks. With
// eight rows a thread has one output, so that a layer of 64 occupies four warps and neighbors load neighboring weights;
// with 32 it has four, so that each weight that is loaded serves sixteen multiply-adds.
template <int ROWS> struct Tile {
    static const int LD = ROWS + 4;
    static const int GROUPS = ROWS / 4;
    static const int COLUMNS = ROWS >= 32 ? 4 : 1;
};

// Floats of shared memory of one network: two buffers of the widest layer, and what a layer norm needs.
template <int ROWS> INLINE u32 norm_at(const Network &net) { return 2 * net.max_width * Tile<ROWS>::LD; }
template <int ROWS> INLINE u32 net_floats(const Network &net) { return norm_at<ROWS>(net) + (net.norm ? 17 * ROWS : 0); }

// The one network of a tile, nothing of which is kept. Others that `forward` takes have the same members, for `count()`
// networks of one shape: their parameters, whether activations are kept, and where those of a layer of `n` units begin.
struct Solo {
    const float *weights;
    INLINE u32 count() const { return 1; }
    INLINE const float *params(u32) const { return weights; }
    INLINE bool kept(u32) const { return false; }
    INLINE float *kept_h(u32, u32, u32) const { return 0; }
    INLINE float *kept_xhat(u32, u32, u32) const { return 0; }
    INLINE float *kept_inv_std(u32, u32) const { return 0; }
};

INLINE u32 min_(u32 a, u32 b) { return a < b ? a : b; }

// The same number four times.
INLINE float4 four(float v) {
    float4 out;
    out.x = out.y = out.z = out.w = v;
    return out;
}

// s += a b, each fused.
INLINE void fma4(float4 &s, const float4 &a, float b) {
    s.x = fma_(a.x, b, s.x);
    s.y = fma_(a.y, b, s.y);
    s.z = fma_(a.z, b, s.z);
    s.w = fma_(a.w, b, s.w);
}

INLINE void store4(float4 s, bool relu, float *to) {
    if (relu) {
        s.x = relu_(s.x);
        s.y = relu_(s.y);
        s.z = relu_(s.z);
        s.w = relu_(s.w);
    }
    *(float4 *)to = s;
}

// Four rows of output `j` of a layer.
template <int LD>
INLINE void one_column(const float *x, u32 k_len, const float *w, float bias, u32 n, bool relu, float *y) {
    float4 s = four(bias);
#pragma unroll 8
    for (u32 k = 0; k < k_len; k++) fma4(s, *(const float4 *)(x + k * LD), w[(u64)k * n]);
    store4(s, relu, y);
}

// Four rows of outputs `j..j + 4`. Columns past the last one repeat it, and are not stored.
template <int LD>
INLINE void four_columns(const float *x, u32 k_len, const float *w, const float *bias, u32 j, u32 n, bool relu, float *y) {
    const bool vectors = n % 4 == 0 && (u64)w % 16 == 0;
    const u32 j1 = min_(j + 1, n - 1), j2 = min_(j + 2, n - 1), j3 = min_(j + 3, n - 1);
    float4 s0 = four(bias[j]), s1 = four(bias[j1]), s2 = four(bias[j2]), s3 = four(bias[j3]);
#pragma unroll 4
    for (u32 k = 0; k < k_len; k++) {
        const float4 a = *(const float4 *)(x + k * LD);
        const float *row = w + (u64)k * n;
        float4 b;
        if (vectors) {
            b = *(const float4 *)(row + j);
        } else {
            b.x = row[j];
            b.y = row[j1];
            b.z = row[j2];
            b.w = row[j3];
        }
        fma4(s0, a, b.x);
        fma4(s1, a, b.y);
        fma4(s2, a, b.z);
        fma4(s3, a, b.w);
    }
    store4(s0, relu, y);
    if (j + 1 < n) store4(s1, relu, y + LD);
    if (j + 2 < n) store4(s2, relu, y + 2 * LD);
    if (j + 3 < n) store4(s3, relu, y + 3 * LD);
}

// y = x w + bias of all networks, with ReLU if asked for; buffers of two networks lie `stride` apart.
template <int ROWS, class Nets>
INLINE void dense(const Nets &nets, const Layer &l, bool relu, const float *x, float *y, u32 stride) {
    const int LD = Tile<ROWS>::LD, GROUPS = Tile<ROWS>::GROUPS, COLUMNS = Tile<ROWS>::COLUMNS;
    const u32 each = GROUPS * ((l.n + COLUMNS - 1) / COLUMNS), items = each * nets.count();
    for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
        const u32 net = nets.count() == 1 ? 0 : item / each, i = item - net * each;
        const u32 r = 4 * (COLUMNS == 1 ? i / l.n : i % GROUPS), j = COLUMNS == 1 ? i % l.n : i / GROUPS * 4;
        const float *params = nets.params(net), *w = params + l.weight, *bias = params + l.bias;
        const float *from = x + net * stride + r;
        float *to = y + net * stride + j * LD + r;
        if (COLUMNS == 1)
            one_column<LD>(from, l.k, w + j, bias[j], l.n, relu, to);
        else
            four_columns<LD>(from, l.k, w, bias, j, l.n, relu, to);
    }
}

// How `forward` computes layers: to the CPU's bits. `Fast` of `fast.cuh` is the other way.
struct Strict {
    template <int ROWS, class Nets>
    static INLINE void dense(const Nets &nets, const Layer &l, bool relu, const float *x, float *y, u32 stride) {
        ::dense<ROWS>(nets, l, relu, x, y, stride);
    }
};

// Sixteen interleaved chains of a row are summed by a fixed tree.
template <int ROWS> INLINE float tree16(const float *lanes, u32 row) {
    const float *v = lanes + row;
    float quarter[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        quarter[i] = (v[i * ROWS] + v[(i + 8) * ROWS]) + (v[(i + 4) * ROWS] + v[(i + 12) * ROWS]);
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// Layer norm `index` in place; normalized rows and 1 / std of the first `count` rows go where networks keep them.
template <int ROWS, class Nets>
INLINE void layer_norm(const Nets &nets, const Layer &l, u32 index, u32 before, u32 count, float *z, float *scratch,
                       u32 stride) {
    const int LD = Tile<ROWS>::LD;
    const u32 n = l.n, all = nets.count();
    // Sixteen chains a row, and one number a row behind them.
    for (u32 i = threadIdx.x; i < all * 16 * ROWS; i += blockDim.x) {
        const u32 net = i / (16 * ROWS), chain = i % (16 * ROWS);
        const float *from = z + net * stride + chain % ROWS;
        float sum = 0.0f;
        for (u32 j = chain / ROWS; j < n; j += 16) sum += from[j * LD];
        scratch[net * stride + chain] = sum;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * ROWS; i += blockDim.x) {
        float *lanes = scratch + i / ROWS * stride;
        lanes[16 * ROWS + i % ROWS] = __fdiv_rn(tree16<ROWS>(lanes, i % ROWS), (float)n);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * n * ROWS; i += blockDim.x) {
        const u32 net = i / (n * ROWS), j = i / ROWS % n, r = i % ROWS;
        z[net * stride + j * LD + r] -= scratch[net * stride + 16 * ROWS + r];
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * 16 * ROWS; i += blockDim.x) {
        const u32 net = i / (16 * ROWS), chain = i % (16 * ROWS);
        const float *from = z + net * stride + chain % ROWS;
        float sum = 0.0f;
        for (u32 j = chain / ROWS; j < n; j += 16) sum = fma_(from[j * LD], from[j * LD], sum);
        scratch[net * stride + chain] = sum;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * ROWS; i += blockDim.x) {
        const u32 net = i / ROWS, r = i % ROWS;
        float *lanes = scratch + net * stride;
        const float inv = __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(tree16<ROWS>(lanes, r), (float)n) + 1e-5f));
        lanes[16 * ROWS + r] = inv;
        if (nets.kept(net) && r < count) nets.kept_inv_std(net, index)[r] = inv;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * n * ROWS; i += blockDim.x) {
        const u32 net = i / (n * ROWS), j = i / ROWS % n, r = i % ROWS;
        const float *params = nets.params(net);
        float *v = z + net * stride + j * LD + r;
        const float x = *v * scratch[net * stride + 16 * ROWS + r];
        if (nets.kept(net) && r < count) nets.kept_xhat(net, before, n)[(u64)r * n + j] = x;
        *v = fma_(x, params[l.gain + j], params[l.shift + j]);
    }
    __syncthreads();
}

// All layers of all networks over the tile. Network `m` has `net_floats` of `memory` from `m * stride` on, and its inputs
// at their beginning. Its outputs begin at the offset that is returned. `count` rows are real.
template <int ROWS, class Product = Strict, class Nets>
INLINE u32 forward(const Network &net, const Nets &nets, float *memory, u32 stride, u32 count) {
    const int LD = Tile<ROWS>::LD;
    float *here = memory, *there = memory + net.max_width * LD, *scratch = memory + norm_at<ROWS>(net);
    Layer layer = first_layer(net);
    u32 before = 0;
    EACH_LAYER
    for (u32 index = 0; index < net.n_layers; index++) {
        layer = next_layer(net, layer, index);
        const u32 n = layer.n;
        const bool fused = layer.hidden && !net.tanh && !net.norm;
        Product::template dense<ROWS>(nets, layer, fused, here, there, stride);
        __syncthreads();
        if (layer.hidden && net.norm) layer_norm<ROWS>(nets, layer, index, before, count, there, scratch, stride);
        if (layer.hidden && (net.tanh || net.norm)) {
            for (u32 i = threadIdx.x; i < nets.count() * n * ROWS; i += blockDim.x) {
                float *v = there + i / (n * ROWS) * stride + i / ROWS % n * LD + i % ROWS;
                *v = net.tanh ? tanh_(*v) : relu_(*v);
            }
            __syncthreads();
        }
        if (layer.hidden) {
            for (u32 i = threadIdx.x; i < nets.count() * n * count; i += blockDim.x) {
                const u32 m = i / (n * count), at = i % (n * count);
                if (nets.kept(m)) nets.kept_h(m, before, n)[at] = there[m * stride + at % n * LD + at / n];
            }
        }
        before += n;
        float *swap = here;
        here = there;
        there = swap;
    }
    return here - memory;
}

// Dueling head of column `r` of a tile: `Q = V + A - mean(A)` in place.
INLINE void dueling_(float *q, u32 stride, u32 n_actions) {
    float sum = 0.0f;
    for (u32 a = 0; a < n_actions; a++) sum += q[a * stride];
    const float shift = q[n_actions * stride] - __fdiv_rn(sum, (float)n_actions);
    for (u32 a = 0; a < n_actions; a++) q[a * stride] += shift;
}

// The legal action with the highest value, the lowest index of equals; values are `stride` apart.
INLINE u32 argmax_legal(const float *q, u32 stride, u32 n_actions, const u32 *mask) {
    u32 best = NO_ACTION;
    int top = 0;
    for (u32 a = 0; a < n_actions; a++) {
        const int key = ordered(q[a * stride]);
        if (is_legal(mask, a) && (best == NO_ACTION || key > top)) {
            best = a;
            top = key;
        }
    }
    return best;
}
