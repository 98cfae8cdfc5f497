// A multilayer perceptron over a tile of rows in shared memory. A column of the tile is one row of the batch, so that
// all its values are `LD` apart and four neighboring rows are one load: `x[k * LD + r]`. A thread computes four rows
// of four outputs; each output is a chain of fused multiply-adds over k ascending, from the bias, as on the CPU.
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

// Floats between two rows of the tile's transpose: four more than rows, so that columns start in different banks.
template <int ROWS> struct Tile {
    static const int LD = ROWS + 4;
    static const int GROUPS = ROWS / 4;
};

// Floats of shared memory: two buffers of the widest layer, and what a layer norm needs.
template <int ROWS> INLINE u32 norm_at(const Network &net) { return 2 * net.max_width * Tile<ROWS>::LD; }

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

// y = x w + bias, with ReLU if asked for.
template <int ROWS>
INLINE void dense(const float *x, u32 k_len, const float *w, const float *bias, u32 n, bool relu, float *y) {
    const int LD = Tile<ROWS>::LD, GROUPS = Tile<ROWS>::GROUPS;
    const bool vectors = n % 4 == 0 && (u64)w % 16 == 0;
    const u32 items = GROUPS * ((n + 3) / 4);
    for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
        const u32 r = item % GROUPS * 4, j = item / GROUPS * 4;
        // Columns past the last one repeat it, and are not stored.
        const u32 j1 = min_(j + 1, n - 1), j2 = min_(j + 2, n - 1), j3 = min_(j + 3, n - 1);
        float4 s0 = four(bias[j]), s1 = four(bias[j1]), s2 = four(bias[j2]), s3 = four(bias[j3]);
#pragma unroll 4
        for (u32 k = 0; k < k_len; k++) {
            const float4 a = *(const float4 *)(x + k * LD + r);
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
        store4(s0, relu, y + j * LD + r);
        if (j + 1 < n) store4(s1, relu, y + (j + 1) * LD + r);
        if (j + 2 < n) store4(s2, relu, y + (j + 2) * LD + r);
        if (j + 3 < n) store4(s3, relu, y + (j + 3) * LD + r);
    }
}

// Sixteen interleaved chains of a row are summed by a fixed tree.
template <int ROWS> INLINE float tree16(const float *lanes, u32 row) {
    const float *v = lanes + row;
    float quarter[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        quarter[i] = (v[i * ROWS] + v[(i + 8) * ROWS]) + (v[(i + 4) * ROWS] + v[(i + 12) * ROWS]);
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// Layer norm in place; normalized rows and 1 / std go to `xhat` and `inv` (of the tile's first row) if wanted.
template <int ROWS>
INLINE void layer_norm(float *z, u32 n, const float *gain, const float *shift, float *scratch, u32 count, float *xhat,
                       float *inv_std) {
    const int LD = Tile<ROWS>::LD;
    float *lanes = scratch, *stat = scratch + 16 * ROWS;
    for (u32 i = threadIdx.x; i < 16 * ROWS; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 j = i / ROWS; j < n; j += 16) sum += z[j * LD + i % ROWS];
        lanes[i] = sum;
    }
    __syncthreads();
    for (u32 r = threadIdx.x; r < ROWS; r += blockDim.x) stat[r] = __fdiv_rn(tree16<ROWS>(lanes, r), (float)n);
    __syncthreads();
    for (u32 i = threadIdx.x; i < n * ROWS; i += blockDim.x) z[i / ROWS * LD + i % ROWS] -= stat[i % ROWS];
    __syncthreads();
    for (u32 i = threadIdx.x; i < 16 * ROWS; i += blockDim.x) {
        float sum = 0.0f;
        for (u32 j = i / ROWS; j < n; j += 16) {
            const float v = z[j * LD + i % ROWS];
            sum = fma_(v, v, sum);
        }
        lanes[i] = sum;
    }
    __syncthreads();
    for (u32 r = threadIdx.x; r < ROWS; r += blockDim.x) {
        const float inv = __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(tree16<ROWS>(lanes, r), (float)n) + 1e-5f));
        stat[r] = inv;
        if (inv_std && r < count) inv_std[r] = inv;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < n * ROWS; i += blockDim.x) {
        const u32 j = i / ROWS, r = i % ROWS;
        const float x = z[j * LD + r] * stat[r];
        if (xhat && r < count) xhat[(u64)r * n + j] = x;
        z[j * LD + r] = fma_(x, gain[j], shift[j]);
    }
    __syncthreads();
}

// Where a forward pass keeps what backward needs. Each is `[layer][network][row][width]`, flat.
struct Tape {
    float *h, *xhat, *inv_std;
};

// Offset of row `row` of network `m` in hidden layer `l` of a tape; `before` is the sum of widths of the layers below.
INLINE u64 tape_at(u32 before, u64 nets, u64 rows, u64 m, u64 row, u32 n) {
    return before * nets * rows + (m * rows + row) * n;
}

// All layers over the tile whose inputs lie in `here`; the result names the buffer with the outputs. `count` rows are
// real. With `tape.h`, hidden activations of row `row` on of network `m` (of `nets`, each of `rows` rows) are kept.
template <int ROWS>
INLINE float *forward(const Network &net, const float *params, float *here, float *there, float *scratch, u32 count,
                      Tape tape, u64 nets, u64 rows, u64 m, u64 row) {
    const int LD = Tile<ROWS>::LD;
    Layer layer = first_layer(net);
    u32 before = 0;
    for (u32 index = 0; index < net.n_layers; index++) {
        layer = next_layer(net, layer, index);
        const u32 n = layer.n;
        const bool norm = layer.hidden && net.norm;
        const bool fused = layer.hidden && !net.tanh && !net.norm;
        dense<ROWS>(here, layer.k, params + layer.weight, params + layer.bias, n, fused, there);
        __syncthreads();
        if (norm) {
            float *xhat = tape.h ? tape.xhat + tape_at(before, nets, rows, m, row, n) : 0;
            float *inv = tape.h ? tape.inv_std + (index * nets + m) * rows + row : 0;
            layer_norm<ROWS>(there, n, params + layer.gain, params + layer.shift, scratch, count, xhat, inv);
        }
        if (layer.hidden && (net.tanh || net.norm)) {
            for (u32 i = threadIdx.x; i < n * ROWS; i += blockDim.x) {
                float *v = there + i / ROWS * LD + i % ROWS;
                *v = net.tanh ? tanh_(*v) : relu_(*v);
            }
            __syncthreads();
        }
        if (layer.hidden && tape.h) {
            float *out = tape.h + tape_at(before, nets, rows, m, row, n);
            for (u32 i = threadIdx.x; i < n * count; i += blockDim.x) out[i] = there[i % n * LD + i / n];
        }
        before += n;
        float *swap = here;
        here = there;
        there = swap;
    }
    return here;
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
