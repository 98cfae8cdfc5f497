// Plain layers: several of them side by side over a tile of rows, gradients of the rows below a layer with ReLU, and where
// those of weights and biases are summed over the rows of a chunk. The order of every sum is the CPU's: inputs, outputs, rows ascending.
#pragma once
#include "cuda/grads.cuh"

// This thread's number if thread `turn` of the block were the first: layers between two barriers begin at different threads,
// so that narrow ones run beside each other.
INLINE u32 turned(u32 turn) { return threadIdx.x < turn ? threadIdx.x + blockDim.x - turn : threadIdx.x - turn; }

// Where the next layer begins, behind `items` items of this one.
INLINE u32 turned_by(u32 turn, u32 items) { return (turn + items) % blockDim.x; }

// Items of a layer of `n` outputs over a tile: four rows of one output, or of four.
template <int ROWS> INLINE u32 items_of(u32 n) {
    return Tile<ROWS>::GROUPS * ((n + Tile<ROWS>::COLUMNS - 1) / Tile<ROWS>::COLUMNS);
}

// y = x w + bias, with ReLU if asked for.
template <int ROWS>
INLINE void plain_dense(const float *x, u32 k_len, const float *w, const float *bias, u32 n, bool relu, float *y, u32 turn) {
    const int LD = Tile<ROWS>::LD, GROUPS = Tile<ROWS>::GROUPS, COLUMNS = Tile<ROWS>::COLUMNS;
    for (u32 item = turned(turn); item < items_of<ROWS>(n); item += blockDim.x) {
        const u32 r = 4 * (COLUMNS == 1 ? item / n : item % GROUPS), j = COLUMNS == 1 ? item % n : item / GROUPS * 4;
        if (COLUMNS == 1)
            one_column<LD>(x + r, k_len, w + j, bias[j], n, relu, y + j * LD + r);
        else
            four_columns<LD>(x + r, k_len, w, bias, j, n, relu, y + j * LD + r);
    }
}

// Four rows of `dz`, a number each of input `k` of a layer.
INLINE void store_back(const float4 &sum, u32 r, u32 k, u32 k_len, const float *h, float *dz, u32 count) {
    const float sums[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        const u64 at = (u64)(r + i) * k_len + k;
        if (r + i < count && k < k_len) dz[at] = h[at] > 0.0f ? sums[i] : 0.0f;
    }
}

// dz = d w^T where h > 0, else 0: from the gradient of a layer's sums, transposed in shared memory `[n][LD]`, to that of the
// sums of the layer with ReLU below it, whose activations are `h`. `h` and `dz` are `[rows, k_len]` from the tile's first row.
template <int ROWS>
INLINE void relu_back(const float *d, u32 n, const float *w, u32 k_len, const float *h, float *dz, u32 count, u32 turn) {
    const int LD = Tile<ROWS>::LD, GROUPS = Tile<ROWS>::GROUPS, COLUMNS = Tile<ROWS>::COLUMNS;
    for (u32 item = turned(turn); item < items_of<ROWS>(k_len); item += blockDim.x) {
        const u32 r = 4 * (COLUMNS == 1 ? item / k_len : item % GROUPS), k = COLUMNS == 1 ? item % k_len : item / GROUPS * 4;
        float4 sum[COLUMNS];
#pragma unroll
        for (u32 c = 0; c < COLUMNS; c++) sum[c] = four(0.0f);
#pragma unroll 4
        for (u32 j = 0; j < n; j++) {
            const float4 a = *(const float4 *)(d + j * LD + r);
#pragma unroll
            for (u32 c = 0; c < COLUMNS; c++) fma4(sum[c], a, w[(u64)min_(k + c, k_len - 1) * n + j]);
        }
#pragma unroll
        for (u32 c = 0; c < COLUMNS; c++) store_back(sum[c], r, k + c, k_len, h, dz, count);
    }
}

// A layer whose weights `[k, n]` lie at `at` of the flat parameters, the biases `[n]` behind them.
struct PlainLayer {
    const float *inputs, *sums; // [rows, k]; gradients of the sums [rows, n]
    u32 k, n, at, unused;
    INLINE const float *x(u32 row) const { return inputs + (u64)row * k; }
    INLINE const float *d(u32 row) const { return sums + (u64)row * n; }
};
static_assert(sizeof(PlainLayer) == 32, "PlainLayer as in Rust");

// Tiles of the gradient of a layer, its biases as one more row.
template <u32 EACH> INLINE u32 plain_tiles(const PlainLayer &l) {
    const u32 side = 16 * EACH;
    return ((l.k + side) / side) * ((l.n + side - 1) / side);
}
