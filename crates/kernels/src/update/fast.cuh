// A gradient step on matrix units: gradients of rows as in `rows.cuh` and of weights as in `grads.cuh`, with products as in
// `cuda/fast.cuh`. Biases, norms, targets, losses and the tree over chunks are those of strict code.
#pragma once
#include "cuda/fast.cuh"
#include "update/grads.cuh"
#include "update/rows.cuh"

// y = d w^T of all networks.
template <int ROWS> INLINE void dense_back(Fast, const Backs &nets, const Layer &l, const float *d, float *y, u32 stride) {
    layer_<ROWS, true>(nets, nets.count, l, false, d, y, stride);
}

// Numbers `at..at + N` of a row of `n`, as tf32; zeros outside, and where there is no row.
template <int N> INLINE void of_row_(const float *row, u32 at, u32 n, u32 *to) {
    float v[N];
#pragma unroll
    for (int t = 0; t < N; t++) v[t] = 0.0f;
    if (row && at + N <= n && (u64)(row + at) % (4 * N) == 0) {
        load_<N>(row + at, v);
    } else if (row) {
#pragma unroll
        for (int t = 0; t < N; t++)
            if (at + t < n) v[t] = row[at + t];
    }
#pragma unroll
    for (int t = 0; t < N; t++) to[t] = tf32_(v[t]);
}

#define ON_MATRIX_UNITS 0u // instead of sums a thread has of a tile

// A block has 64 inputs by 64 outputs, a warp 32 by 16; k of an instruction are eight rows of the batch. Per eight rows a
// warp takes 4 matrix instructions, 2 loads of 16 and 2 of 8 bytes a lane, and 12 conversions a lane.
template <> INLINE u32 weight_tiles<ON_MATRIX_UNITS>(const Layer &l) { return ((l.k + 63) / 64) * ((l.n + 63) / 64); }

template <>
INLINE void weight_grads<ON_MATRIX_UNITS>(const GradArgs &args, const Layer &l, u32 below, u32 here, u32 tile, u32 m,
                                          u32 first, u32 count, float *out) {
    const u32 set = m % args.n_sets, across = (l.n + 63) / 64, warp = threadIdx.x / 32;
    const u32 i = threadIdx.x % 32 / 4, j = threadIdx.x % 4;
    // Of a warp, and of a lane: as rows and columns are shared out in `cuda/fast.cuh`.
    const u32 warp_k = tile / across * 64 + warp / 4 * 32, warp_j = tile % across * 64 + warp % 4 * 16;
    const u32 own_k = warp_k + 4 * i, own_j = warp_j + 2 * (i % 2 * 4 + i / 2);
    const bool from_input = l.weight == 0;
    const float *h = args.tape.h + tape_at(below, args.nets, args.rows, m, 0, l.k);
    const float *d = l.hidden ? args.dz + tape_at(here, args.nets, args.rows, m, 0, l.n)
                              : args.d_out + (u64)m * args.rows * l.n;
    if (tile < across && threadIdx.x < 64 && tile * 64 + threadIdx.x < l.n) {
        const u32 column = tile * 64 + threadIdx.x;
        float sum = 0.0f;
        for (u32 row = first; row < first + count; row++) sum += d[(u64)row * l.n + column];
        out[l.bias + column] = sum;
    }
    if (warp_k >= l.k || warp_j >= l.n) return; // all lanes of the warp
    float c[2][2][4] = {};
    for (u32 r0 = first; r0 < first + count; r0 += 8) {
        u32 a[2][4], b[2][2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const u32 row = r0 + j + 4 * half;
            const bool real = row < first + count;
            const float *x = real ? h + (u64)row * l.k : 0;
            if (real && from_input) {
                const u32 index = row * args.n_sets + set;
                x = valid_of(args.samples, index) ? obs_of(args.samples, index, l.k, false) : 0;
            }
            of_row_<4>(x, own_k, l.k, a[half]);
            of_row_<2>(real ? d + (u64)row * l.n : 0, own_j, l.n, b[half]);
        }
        __syncwarp();
#pragma unroll
        for (int t = 0; t < 2; t++) {
            const u32 columns[2] = {b[0][t], b[1][t]};
#pragma unroll
            for (int part = 0; part < 2; part++) {
                const u32 rows[4] = {a[0][2 * part], a[0][2 * part + 1], a[1][2 * part], a[1][2 * part + 1]};
                mma_tf32(c[part][t], rows, columns);
            }
        }
    }
#pragma unroll
    for (int e = 0; e < 16; e++) {
        const int part = e / 8, t = e / 4 % 2, half = e / 2 % 2, odd = e % 2;
        const u32 k = own_k + 2 * part + half, column = warp_j + 2 * (4 * odd + j) + t;
        if (k < l.k && column < l.n) out[l.weight + (u64)k * l.n + column] = c[part][t][2 * half + odd];
    }
}
