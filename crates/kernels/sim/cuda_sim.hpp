// CUDA's language on a CPU, as far as the kernels here use it: one fiber per thread of a block, blocks one after
// another (those of a cooperative launch at once), barriers that every thread must reach, collectives that every lane of a
// warp must reach, shared memory that begins as NaN and ends at a guard page. It knows nothing of time, or of races inside a
// barrier interval beyond the orders that it tries; of warps it knows what the collectives here say.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __device__
#define __forceinline__ inline
#define __global__

struct uint3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

namespace sim {
extern uint3 thread, block, block_dim, grid_dim;
void barrier();
char *shared();
void spin(); // lets other threads and blocks run

// What a lane brings to a collective of its warp: waits until all 32 have brought theirs to the same one, which is then
// computed once, for all of them.
void collective(void (*of_warp)(void *const *lanes), void *mine);

// A kernel: its name, the size of its argument, and its body.
struct Kernel {
    const char *name;
    size_t argument;
    void (*body)(const void *);
    const Kernel *next;
    Kernel(const char *name, size_t argument, void (*body)(const void *));
};
} // namespace sim

#define threadIdx sim::thread
#define blockIdx sim::block
#define blockDim sim::block_dim
#define gridDim sim::grid_dim
#define __syncthreads sim::barrier
#define SPIN sim::spin
inline void __threadfence() {}

// Contraction is off in this build too, so plain operations are the rounded ones.
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline unsigned __float_as_uint(float v) {
    unsigned bits;
    memcpy(&bits, &v, 4);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float v;
    memcpy(&v, &bits, 4);
    return v;
}
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return __builtin_sqrt(a); }
inline long long __double_as_longlong(double v) {
    long long bits;
    memcpy(&bits, &v, 8);
    return bits;
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
template <class T> T atomicMin(T *at, T v) {
    T old = *at;
    if (v < old) *at = v;
    return old;
}
template <class T> T atomicMax(T *at, T v) {
    T old = *at;
    if (v > old) *at = v;
    return old;
}
template <class T> T atomicAdd(T *at, T v) {
    T old = *at;
    *at = old + v;
    return old;
}

// Matrix units, as `cuda/fast.cuh` uses them.
#define MATRIX_UNITS

// cvt.rna.tf32.f32: ten bits of mantissa, to the nearest, ties away from zero.
inline unsigned tf32_(float v) {
    const unsigned bits = __float_as_uint(v);
    return v != v ? 0x7fffffffu : (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}

namespace sim {
struct Mma {
    float *c;
    const unsigned *a, *b;
};

// c += a b of 16 rows, 8 columns and 8 of k, for all lanes. Where a number of a matrix lies: lane `4 i + j` has of `a`
// rows i and i + 8 of columns j and j + 4, of `b` rows j and j + 4 of column i, of `c` rows i and i + 8 of columns
// 2 j and 2 j + 1. Products of such numbers are exact; a device adds them up in an order of its own, here it is a chain.
inline void mma(void *const *lanes) {
    auto lane = [&](unsigned i, unsigned j) { return *(const Mma *)lanes[4 * i + j]; };
    for (unsigned row = 0; row < 16; row++)
        for (unsigned column = 0; column < 8; column++) {
            float *sum = lane(row % 8, column / 2).c + (row / 8 * 2 + column % 2);
            for (unsigned k = 0; k < 8; k++) {
                const unsigned a = lane(row % 8, k % 4).a[k / 4 * 2 + row / 8], b = lane(column, k % 4).b[k / 4];
                *sum = __fmaf_rn(__uint_as_float(a & 0xffffe000u), __uint_as_float(b & 0xffffe000u), *sum);
            }
        }
}
} // namespace sim

// Where lanes that went different ways must be together again, which `collective` finds out.
inline void __syncwarp() {}

// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32, in place.
inline void mma_tf32(float *c, const unsigned *a, const unsigned *b) {
    sim::Mma mine = {c, a, b};
    sim::collective(sim::mma, &mine);
}

#define DYNAMIC_SHARED(type, name) type *name = (type *)sim::shared()
#define KERNEL(name, Args)                                                                                             \
    static void name(const Args &args);                                                                                \
    static sim::Kernel name##_kernel(#name, sizeof(Args), [](const void *args) { name(*(const Args *)args); });        \
    static void name(const Args &args)
