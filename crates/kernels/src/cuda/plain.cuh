// Plain layers: several of them side by side over a tile of rows, gradients of the rows below a layer with ReLU, and of weights
// and biases over the rows of a chunk. The order of every sum is the CPU's: inputs, outputs, rows ascending.
#pragma once
#include "cuda/network.cuh"

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

#define PLAIN_SIDE 64u // of a tile of a gradient; a thread of 256 has four by four of it

// A layer whose weights `[k, n]` lie at `at` of the flat parameters, the biases `[n]` behind them.
struct PlainLayer {
    const float *x; // inputs [rows, k]
    const float *d; // gradients of the sums [rows, n]
    u32 k, n, at, unused;
};
static_assert(sizeof(PlainLayer) == 32, "PlainLayer as in Rust");

// Tiles of the gradient of a layer, its biases as one more row.
INLINE u32 plain_tiles(u32 k, u32 n) { return ((k + PLAIN_SIDE) / PLAIN_SIDE) * ((n + PLAIN_SIDE - 1) / PLAIN_SIDE); }

// Tile `tile` of the gradient of a layer over rows `first..first + count`, into `out` [P]. The bias is the weight of an input
// that is always 1.
INLINE void plain_grads(const PlainLayer &l, u32 tile, u32 first, u32 count, float *out) {
    const u32 across = (l.n + PLAIN_SIDE - 1) / PLAIN_SIDE;
    const u32 k = tile / across * PLAIN_SIDE + threadIdx.x / 16 * 4;
    const u32 j = tile % across * PLAIN_SIDE + threadIdx.x % 16 * 4;
    if (k > l.k || j >= l.n) return;
    u32 ks[4], js[4];
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        ks[i] = min_(k + i, l.k - 1);
        js[i] = min_(j + i, l.n - 1);
    }
    float sum[4][4] = {};
    for (u32 row = first; row < first + count; row++) {
        const float *x = l.x + (u64)row * l.k, *d = l.d + (u64)row * l.n;
        float xs[4], ds[4];
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            xs[i] = k + i == l.k ? 1.0f : x[ks[i]];
            ds[i] = d[js[i]];
        }
#pragma unroll
        for (u32 a = 0; a < 4; a++)
#pragma unroll
            for (u32 c = 0; c < 4; c++) sum[a][c] = fma_(xs[a], ds[c], sum[a][c]);
    }
    float *to = out + l.at;
#pragma unroll
    for (u32 a = 0; a < 4; a++)
#pragma unroll
        for (u32 c = 0; c < 4; c++) {
            // Biases lie behind the weights, where row `k` of the matrix would be.
            if (k + a <= l.k && j + c < l.n) to[(u64)(k + a) * l.n + j + c] = sum[a][c];
        }
}
