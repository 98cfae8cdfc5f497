// Layers over many rows, one launch a layer: what comes before and behind a recurrent cell, where rows are steps times
// sequences, and widths have no bound. (A few rows through small networks are fused instead: `cuda/network.cuh`.) Orders of
// sums are those of the CPU: products are chains over k ascending, sums within a row sixteen interleaved chains and a tree.
#pragma once
#include "cuda/grads.cuh"

#define PLAIN 0u
#define RELU 1u
#define TANH 2u
#define RELU_SLOPE 3u
#define TANH_SLOPE 4u

#define PRODUCT_SIDE 32u // rows and columns of a block's tile
#define PRODUCT_LD 36u   // floats between two of its k
#define PRODUCT_DEPTH 32u

// As `crate::mlp::cuda::ProductArgs`.
struct ProductArgs {
    const float *a;    // [rows, k]
    const float *b;    // element (k, j) is at k * b_row + j * b_col
    const float *bias; // [n], or null: 0
    const float *h;    // [rows, n]: activations whose slope the result is multiplied by
    float *c;          // [rows, n]
    u32 rows, n, k;
    u32 b_row, b_col;
    u32 finish; // PLAIN, RELU, TANH, RELU_SLOPE or TANH_SLOPE
};
static_assert(sizeof(ProductArgs) == 64, "ProductArgs as in Rust");

INLINE float finish(const ProductArgs &args, float v, u64 at) {
    if (args.finish == RELU) return relu_(v);
    if (args.finish == TANH) return tanh_(v);
    if (args.finish == RELU_SLOPE) return args.h[at] > 0.0f ? v : 0.0f;
    if (args.finish == TANH_SLOPE) return v * fma_(args.h[at], -args.h[at], 1.0f);
    return v;
}

// c = a b + bias. Grid: tiles of rows, tiles of columns; 128 threads, four rows of two columns each. A tile's rows of `a` and
// columns of `b` go through shared memory, 32 k at a time: two barriers each, and 16 loads from the caches a thread for 256
// multiply-adds.
KERNEL(mlp_product, ProductArgs) {
    DYNAMIC_SHARED(float, memory);
    float *as = memory, *bs = memory + PRODUCT_DEPTH * PRODUCT_LD;
    const u32 first = blockIdx.x * PRODUCT_SIDE, column = blockIdx.y * PRODUCT_SIDE;
    const u32 r = threadIdx.x % 8 * 4, j = threadIdx.x / 8 * 2;
    float sum[2][4];
#pragma unroll
    for (u32 c = 0; c < 2; c++) {
        const float start = args.bias && column + j + c < args.n ? args.bias[column + j + c] : 0.0f;
#pragma unroll
        for (u32 i = 0; i < 4; i++) sum[c][i] = start;
    }
    for (u32 begin = 0; begin < args.k; begin += PRODUCT_DEPTH) {
        const u32 depth = min_(PRODUCT_DEPTH, args.k - begin);
        for (u32 i = threadIdx.x; i < PRODUCT_SIDE * PRODUCT_DEPTH; i += blockDim.x) {
            const u32 low = i % 32, high = i / 32;
            const bool in_a = low < depth && first + high < args.rows;
            as[low * PRODUCT_LD + high] = in_a ? args.a[(u64)(first + high) * args.k + begin + low] : 0.0f;
            // Neighbors read neighbors, whichever way the matrix lies.
            const u32 k = args.b_col == 1 ? high : low, n = args.b_col == 1 ? low : high;
            const bool in_b = k < depth && column + n < args.n;
            bs[k * PRODUCT_LD + n] = in_b ? args.b[(u64)(begin + k) * args.b_row + (u64)(column + n) * args.b_col] : 0.0f;
        }
        __syncthreads();
        // No further than `k`: adding a product of zeros would turn -0 into 0.
#pragma unroll 8
        for (u32 k = 0; k < depth; k++) {
            const float4 a = *(const float4 *)(as + k * PRODUCT_LD + r);
            const float rows[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
            for (u32 c = 0; c < 2; c++) {
                const float b = bs[k * PRODUCT_LD + j + c];
#pragma unroll
                for (u32 i = 0; i < 4; i++) sum[c][i] = fma_(rows[i], b, sum[c][i]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (u32 c = 0; c < 2; c++)
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (first + r + i < args.rows && column + j + c < args.n) {
                const u64 at = (u64)(first + r + i) * args.n + column + j + c;
                args.c[at] = finish(args, sum[c][i], at);
            }
        }
}

// As `crate::mlp::cuda::NormArgs`. All but the parameters are [rows, n] or [rows].
struct NormArgs {
    float *z;                 // sums of the layer, and then its activations; backward: gradients before the norm, written
    float *xhat, *inv_std;    // normalized rows, and 1 / std
    const float *d;           // backward: gradients after gain and shift
    const float *gain, *shift; // [n]
    u32 rows, n, tanh, unused;
};
static_assert(sizeof(NormArgs) == 64, "NormArgs as in Rust");

#define NORM_ROWS 16 // of a block; a thread has one of the sixteen chains of one of them

// The tree over the chains of row `r`, whose sixteen threads each bring theirs.
INLINE float norm_sum(float *lanes, u32 lane, u32 r, float chain) {
    lanes[lane * NORM_ROWS + r] = chain;
    __syncthreads();
    const float sum = tree16<NORM_ROWS>(lanes, r);
    __syncthreads();
    return sum;
}

// Grid: sixteen rows a block of 256 threads. A layer norm, and the activation behind it.
KERNEL(mlp_norm, NormArgs) {
    DYNAMIC_SHARED(float, lanes);
    const u32 lane = threadIdx.x % 16, r = threadIdx.x / 16, row = blockIdx.x * NORM_ROWS + r;
    // Rows past the end take part in barriers, and do nothing.
    const u32 n = row < args.rows ? args.n : 0;
    float *z = args.z + (u64)row * args.n, *xhat = args.xhat + (u64)row * args.n;
    const float count = (float)args.n;
    float sum = 0.0f;
    for (u32 j = lane; j < n; j += 16) sum += z[j];
    const float mean = __fdiv_rn(norm_sum(lanes, lane, r, sum), count);
    sum = 0.0f;
    for (u32 j = lane; j < n; j += 16) {
        const float x = z[j] - mean;
        xhat[j] = x;
        sum = fma_(x, x, sum);
    }
    const float inv = __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(norm_sum(lanes, lane, r, sum), count) + 1e-5f));
    if (lane == 0 && n > 0) args.inv_std[row] = inv;
    for (u32 j = lane; j < n; j += 16) {
        const float x = xhat[j] * inv;
        xhat[j] = x;
        const float y = fma_(x, args.gain[j], args.shift[j]);
        z[j] = args.tanh ? tanh_(y) : relu_(y);
    }
}

// As `mlp_norm`, backward: from the gradients after gain and shift to those before the norm.
KERNEL(mlp_norm_back, NormArgs) {
    DYNAMIC_SHARED(float, lanes);
    const u32 lane = threadIdx.x % 16, r = threadIdx.x / 16, row = blockIdx.x * NORM_ROWS + r;
    const u32 n = row < args.rows ? args.n : 0;
    const float *d = args.d + (u64)row * args.n, *xhat = args.xhat + (u64)row * args.n;
    const float count = (float)args.n;
    float *dz = args.z + (u64)row * args.n;
    float sum = 0.0f, dot = 0.0f;
    for (u32 j = lane; j < n; j += 16) {
        const float v = d[j] * args.gain[j];
        dz[j] = v;
        sum += v;
        dot = fma_(v, xhat[j], dot);
    }
    const float mean = __fdiv_rn(norm_sum(lanes, lane, r, sum), count);
    const float slope = __fdiv_rn(norm_sum(lanes, lane, r, dot), count);
    for (u32 j = lane; j < n; j += 16) dz[j] = fma_(xhat[j], -slope, dz[j] - mean) * args.inv_std[row];
}

// As `crate::mlp::cuda::LayerGradArgs`.
struct LayerGradArgs {
    const float *x, *d;              // [rows, k], [rows, n]
    const float *d_norm, *xhat;      // [rows, n], of a layer norm; else null
    float *partials;                 // the layer's place in the gradients of the first chunk
    u32 k, n, rows, chunk_rows;
    u32 stride; // between gradients of two chunks
    u32 tiles;  // of the weight and its bias
};
static_assert(sizeof(LayerGradArgs) == 64, "LayerGradArgs as in Rust");

struct LayerRows {
    const LayerGradArgs &args;
    INLINE const float *x(u32 row) const { return args.x + (u64)row * args.k; }
    INLINE const float *d(u32 row) const { return args.d + (u64)row * args.n; }
};

// Grid: tiles of the weight and its bias, and one for a norm; chunks of rows. 256 threads.
KERNEL(mlp_grads, LayerGradArgs) {
    const u32 first = blockIdx.y * args.chunk_rows, count = min_(args.chunk_rows, args.rows - first), n = args.n;
    float *out = args.partials + (u64)blockIdx.y * args.stride;
    if (blockIdx.x < args.tiles) {
        const LayerRows rows = {args};
        return grads_tile<4>(rows, args.k, n, blockIdx.x, first, count, out);
    }
    // Gain and shift lie behind the bias.
    out += (u64)(args.k + 1) * n;
    for (u32 j = threadIdx.x; j < n; j += blockDim.x) {
        float gain = 0.0f, shift = 0.0f;
        for (u32 row = first; row < first + count; row++) {
            const float d = args.d_norm[(u64)row * n + j];
            gain = fma_(d, args.xhat[(u64)row * n + j], gain);
            shift += d;
        }
        out[j] = gain;
        out[n + j] = shift;
    }
}
