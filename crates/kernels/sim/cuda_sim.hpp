// CUDA's language on a CPU, as far as the kernels here use it: one fiber per thread of a block, blocks one after
// another, barriers that every thread must reach, shared memory that begins as NaN and ends at a guard page. It knows
// nothing of time, of warps, or of races inside a barrier interval beyond the orders that it tries.
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
struct alignas(16) float4 {
    float x, y, z, w;
};

namespace sim {
extern uint3 thread, block, block_dim, grid_dim;
void barrier();
char *shared();

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

#define DYNAMIC_SHARED(type, name) type *name = (type *)sim::shared()
#define KERNEL(name, Args)                                                                                             \
    static void name(const Args &args);                                                                                \
    static sim::Kernel name##_kernel(#name, sizeof(Args), [](const void *args) { name(*(const Args *)args); });        \
    static void name(const Args &args)
