// A barrier of all blocks of a cooperative launch.
#pragma once
#include "strict.cuh"

// What a thread does while it waits for other blocks.
#ifndef SPIN
#define SPIN()
#endif

// What any thread wrote before is seen by all behind it. `arrived` begins as 0 and only grows: 32 bits are enough for
// 4 billion arrivals of a launch.
INLINE void grid_sync(u32 *arrived) {
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        const u32 all = (atomicAdd(arrived, 1u) / gridDim.x + 1) * gridDim.x;
        while (*(volatile u32 *)arrived < all) SPIN();
        __threadfence();
    }
    __syncthreads();
}
