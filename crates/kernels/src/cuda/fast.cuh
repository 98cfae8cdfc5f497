// The layers of a network on matrix units, beside those of `network.cuh`: fast mode. Inputs and weights are rounded to tf32
// (ten bits of mantissa, to nearest, ties away from zero, so that each is off by a share of 2^-11 at most), their products
// are exact, and sums are f32, begun with the bias. In which order a device adds the eight products of an instruction is its
// own business, so these are not the CPU's bits; they are the same bits in every run on one kind of device, because nothing
// here depends on timing.
//
// Same tiles as in `network.cuh`: `x[k * LD + r]`. A warp computes all ROWS rows of 8 TILES columns of one network. An
// instruction takes 16 rows, 8 columns and 8 of k; which row, column or k of ours is which of its own is free, and chosen so
// that a lane loads neighbors at once and the lanes of a warp meet in few banks:
//   - lane (i, j) = (lane / 4, lane % 4) has rows ROWS / 8 * i on, ROWS / 8 of them: halves of each fragment of 16 rows;
//   - it has k 2 j and 2 j + 1 of each eight;
//   - it loads columns TILES * c(i) on, where c counts the even i first, and stores those of its even and its odd slot.
//
// Counts, per warp, eight of k, and 8 TILES columns: TILES * ROWS / 16 matrix instructions (1,024 multiply-adds each), 2
// loads of ROWS / 2 bytes a lane from shared memory without conflicts, 2 loads of 4 TILES bytes a lane of weights (backward
// TILES of 8 bytes), and ROWS / 4 + 2 TILES conversions a lane. Per item 2 TILES stores of ROWS / 2 bytes a lane, TILES / 2
// lanes to a bank.
#pragma once
#include "cuda/network.cuh"

// The stand-in driver brings its own.
#ifndef MATRIX_UNITS
INLINE u32 tf32_(float v) {
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
    return bits;
}

// c += a b, by all lanes of a warp together.
INLINE void mma_tf32(float *c, const u32 *a, const u32 *b) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// N numbers that lie side by side, in one access.
template <int N> INLINE void load_(const float *from, float *to);
template <> INLINE void load_<2>(const float *from, float *to) {
    const float2 v = *(const float2 *)from;
    to[0] = v.x;
    to[1] = v.y;
}
template <> INLINE void load_<4>(const float *from, float *to) {
    const float4 v = *(const float4 *)from;
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
}
template <int N> INLINE void store_(float *to, const float *from);
template <> INLINE void store_<2>(float *to, const float *from) {
    float2 v;
    v.x = from[0];
    v.y = from[1];
    *(float2 *)to = v;
}
template <> INLINE void store_<4>(float *to, const float *from) {
    float4 v;
    v.x = from[0];
    v.y = from[1];
    v.z = from[2];
    v.w = from[3];
    *(float4 *)to = v;
}

// Weights of `k` and `k + 1` and of columns `column` on, as tf32; zeros outside. `w` is [k_len, n], backward [n, k_len].
template <int TILES, bool BACK>
INLINE void weights_(const float *w, u32 k, u32 k_len, u32 column, u32 n, bool vectors, u32 (*to)[TILES]) {
    float v[2][TILES];
#pragma unroll
    for (int t = 0; t < TILES; t++) v[0][t] = v[1][t] = 0.0f;
    if (BACK) {
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const float *from = w + (u64)(column + t) * k_len + k;
            float pair[2] = {0.0f, 0.0f};
            if (column + t < n && k + 1 < k_len && vectors) {
                load_<2>(from, pair);
            } else if (column + t < n && k < k_len) {
                pair[0] = from[0];
                if (k + 1 < k_len) pair[1] = from[1];
            }
            v[0][t] = pair[0];
            v[1][t] = pair[1];
        }
    } else {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float *from = w + (u64)(k + i) * n + column;
            if (k + i < k_len && vectors) {
                if (column < n) load_<TILES>(from, v[i]);
            } else if (k + i < k_len) {
#pragma unroll
                for (int t = 0; t < TILES; t++)
                    if (column + t < n) v[i][t] = from[t];
            }
        }
    }
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        to[0][t] = tf32_(v[0][t]);
        to[1][t] = tf32_(v[1][t]);
    }
}

// The inputs of a lane's rows at `k`, as tf32; zeros outside.
template <int EACH> INLINE void inputs_(const float *x, u32 k, u32 k_len, u32 stride, u32 *to) {
    float v[EACH];
#pragma unroll
    for (int r = 0; r < EACH; r++) v[r] = 0.0f;
    if (k < k_len) load_<EACH>(x + k * stride, v);
#pragma unroll
    for (int r = 0; r < EACH; r++) to[r] = tf32_(v[r]);
}

// Columns `first..first + 8 TILES` of y = x w + bias (no bias: null), with ReLU if asked for, by one warp.
template <int ROWS, int TILES, bool BACK>
INLINE void product_(const float *x, u32 k_len, const float *w, const float *bias, u32 first, u32 n, bool relu, float *y) {
    const int LD = Tile<ROWS>::LD, EACH = ROWS / 8, PARTS = ROWS / 16;
    const u32 i = threadIdx.x % 32 / 4, j = threadIdx.x % 4;
    const u32 loaded = TILES * (i % 2 * 4 + i / 2);
    const bool vectors = BACK ? k_len % 2 == 0 && (u64)w % 8 == 0 : n % TILES == 0 && (u64)w % (4 * TILES) == 0;
    float c[PARTS][TILES][4];
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        const u32 even = first + TILES * j + t, odd = even + 4 * TILES;
        const float even_bias = !BACK && even < n ? bias[even] : 0.0f, odd_bias = !BACK && odd < n ? bias[odd] : 0.0f;
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            c[part][t][0] = c[part][t][2] = even_bias;
            c[part][t][1] = c[part][t][3] = odd_bias;
        }
    }
#pragma unroll 2
    for (u32 k = 2 * j; k < k_len + 2 * j; k += 8) {
        u32 a[2][EACH], b[2][TILES];
        inputs_<EACH>(x + EACH * i, k, k_len, LD, a[0]);
        inputs_<EACH>(x + EACH * i, k + 1, k_len, LD, a[1]);
        weights_<TILES, BACK>(w, k, k_len, first + loaded, n, vectors, b);
        __syncwarp();
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const u32 columns[2] = {b[0][t], b[1][t]};
#pragma unroll
            for (int part = 0; part < PARTS; part++) {
                const u32 rows[4] = {a[0][2 * part], a[0][2 * part + 1], a[1][2 * part], a[1][2 * part + 1]};
                mma_tf32(c[part][t], rows, columns);
            }
        }
    }
#pragma unroll
    for (int t = 0; t < TILES; t++) {
#pragma unroll
        for (int odd = 0; odd < 2; odd++) {
            const u32 column = first + TILES * (4 * odd + j) + t;
            float out[EACH];
#pragma unroll
            for (int r = 0; r < EACH; r++) {
                const float v = c[r / 2][t][r % 2 * 2 + odd];
                out[r] = relu ? relu_(v) : v;
            }
            if (column < n) store_<EACH>(y + column * LD + EACH * i, out);
        }
    }
}

// One layer of `count` networks, forward or backward, 8 TILES columns a warp. Buffers of two networks lie `stride` apart.
template <int ROWS, int TILES, bool BACK, class Nets>
INLINE void products_(const Nets &nets, u32 count, const Layer &l, bool relu, const float *x, float *y, u32 stride) {
    const u32 k_len = BACK ? l.n : l.k, n = BACK ? l.k : l.n, each = (n + 8 * TILES - 1) / (8 * TILES);
    for (u32 item = threadIdx.x / 32; item < each * count; item += blockDim.x / 32) {
        const u32 net = item / each, first = item % each * 8 * TILES;
        const float *params = nets.params(net);
        product_<ROWS, TILES, BACK>(x + net * stride, k_len, params + l.weight, params + l.bias, first, n, relu,
                                    y + net * stride);
    }
}

// 32 columns a warp where every warp of a block then has some, else 16.
template <int ROWS, bool BACK, class Nets>
INLINE void layer_(const Nets &nets, u32 count, const Layer &l, bool relu, const float *x, float *y, u32 stride) {
    if (((BACK ? l.k : l.n) + 31) / 32 * count >= blockDim.x / 32)
        products_<ROWS, 4, BACK>(nets, count, l, relu, x, y, stride);
    else
        products_<ROWS, 2, BACK>(nets, count, l, relu, x, y, stride);
}

// Layers on matrix units, as `Strict` of `network.cuh` on the others.
struct Fast {
    template <int ROWS, class Nets>
    static INLINE void dense(const Nets &nets, const Layer &l, bool relu, const float *x, float *y, u32 stride) {
        layer_<ROWS, false>(nets, nets.count(), l, relu, x, y, stride);
    }
};
