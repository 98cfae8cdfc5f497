// Gradients of a weight matrix [k, n], input-major, and of the bias behind it, over the rows of a chunk.
#pragma once
#include "network.cuh"

#define GRAD_THREADS 256u // 16 by 16 of a tile

INLINE bool on_16_bytes(const float *x) { return (u64)x % 16 == 0; }

// Four neighbors in one load.
INLINE void load4(const float *x, float *to) {
    const float4 v = *(const float4 *)x;
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
}

// Tile `tile` of the matrix whose row `k_len` is the bias, `EACH` by `EACH` of it a thread: chains over rows first..first + count
// ascending, from 0. The bias is the weight of an input that is always 1. `rows.x(row)` leads to the inputs of a row, or to
// nothing where all are 0, and `rows.d(row)` to the gradients of its sums, `n` after those of the row before. A row is 2 EACH loads (two, of four numbers
// each, where they lie so) and EACH^2 multiply-adds.
template <u32 EACH, class Rows>
INLINE void grads_tile(const Rows &rows, u32 k_len, u32 n, u32 tile, u32 first, u32 count, float *out) {
    const u32 side = 16 * EACH, across = (n + side - 1) / side;
    const u32 k = tile / across * side + threadIdx.x / 16 * EACH, j = tile % across * side + threadIdx.x % 16 * EACH;
    if (k > k_len || j >= n) return;
    u32 ks[EACH], js[EACH];
#pragma unroll
    for (u32 i = 0; i < EACH; i++) {
        ks[i] = min_(k + i, k_len - 1);
        js[i] = min_(j + i, n - 1);
    }
    const bool inside = EACH == 4 && k + EACH <= k_len;
    const bool wide = EACH == 4 && j + EACH <= n && n % 4 == 0 && on_16_bytes(rows.d(first));
    float sum[EACH][EACH] = {};
    for (u32 row = first; row < first + count; row++) {
        const float *x = rows.x(row), *d = rows.d(row);
        float xs[EACH], ds[EACH];
        if (EACH == 4 && inside && x && on_16_bytes(x)) {
            load4(x + k, xs);
        } else {
#pragma unroll
            for (u32 i = 0; i < EACH; i++) xs[i] = k + i == k_len ? 1.0f : x ? x[ks[i]] : 0.0f;
        }
        if (EACH == 4 && wide) {
            load4(d + j, ds);
        } else {
#pragma unroll
            for (u32 i = 0; i < EACH; i++) ds[i] = d[js[i]];
        }
#pragma unroll
        for (u32 a = 0; a < EACH; a++)
#pragma unroll
            for (u32 c = 0; c < EACH; c++) sum[a][c] = fma_(xs[a], ds[c], sum[a][c]);
    }
#pragma unroll
    for (u32 a = 0; a < EACH; a++)
#pragma unroll
        for (u32 c = 0; c < EACH; c++) {
            // The bias lies behind the weights, where row `k_len` of the matrix would be.
            if (k + a <= k_len && j + c < n) out[(u64)(k + a) * n + j + c] = sum[a][c];
        }
}
