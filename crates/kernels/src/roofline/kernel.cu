// What bounds every other kernel of a device: independent fused multiply-adds, and a copy. Nothing else is here for its
// result; both leave one all the same, so that no compiler drops the work.
#include "cuda/strict.cuh"

#define CHAINS 8

// As `crate::roofline::cuda::RooflineArgs`.
struct RooflineArgs {
    const float4 *from; // [n], copied
    float4 *to;         // [n]
    float *chains;      // [threads of the grid]
    float factor, term;
    u32 n, rounds;
};
static_assert(sizeof(RooflineArgs) == 40, "RooflineArgs as in Rust");

// Grid: any. A thread has eight chains of `rounds` multiply-adds.
KERNEL(roofline_fma, RooflineArgs) {
    float chain[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; c++) chain[c] = (float)c;
#pragma unroll 8
    for (u32 i = 0; i < args.rounds; i++) {
#pragma unroll
        for (int c = 0; c < CHAINS; c++) chain[c] = fma_(chain[c], args.factor, args.term);
    }
    float sum = 0.0f;
#pragma unroll
    for (int c = 0; c < CHAINS; c++) sum += chain[c];
    args.chains[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

// Grid: any.
KERNEL(roofline_copy, RooflineArgs) {
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < args.n; i += gridDim.x * blockDim.x) args.to[i] = args.from[i];
}
