// Numbers as the CPU computes them, bit for bit: +, -, *, / and sqrt of IEEE 754, fused multiply-adds only where
// they are written, polynomials of our own, Philox4x32-10 by counter, argmax with ties to the lowest index. Compiled
// with contraction off; `math.rs`, `td.rs` and `coact_core::rng` say the same in Rust.
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define INLINE __device__ __forceinline__

INLINE float fma_(float a, float b, float c) { return __fmaf_rn(a, b, c); }

// e^x, as `math::exp_f32`.
INLINE float exp_(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float magic = 12582912.0f;
    float t = fma_(x, 1.44269504088896340736f, magic);
    float k = t - magic;
    float r = fma_(k, -0.6933594f, x);
    r = fma_(k, 2.1219444e-4f, r);
    float p = 1.9875691e-4f;
    p = fma_(p, r, 1.3981999e-3f);
    p = fma_(p, r, 8.333452e-3f);
    p = fma_(p, r, 4.1665796e-2f);
    p = fma_(p, r, 1.6666665e-1f);
    p = fma_(p, r, 0.5f);
    float y = fma_(p, r * r, r) + 1.0f;
    u32 exponent = __float_as_uint(t) - __float_as_uint(magic) + 127u;
    return y * __uint_as_float(exponent << 23);
}

// e^x, as `coact_core::math::exp_f32`: for environments and mixers, which never fuse.
INLINE float unfused_exp_(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float magic = 12582912.0f;
    const float shifted = x * 1.44269504088896340736f + magic;
    const float k = shifted - magic;
    const float r = (x - k * 0.693359375f) - k * -2.1219444e-4f;
    float p = 1.9875691e-4f;
    p = p * r + 1.3981999e-3f;
    p = p * r + 8.333452e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666665e-1f;
    p = p * r + 5.0000001e-1f;
    const float y = p * (r * r) + r + 1.0f;
    const u32 exponent = __float_as_uint(shifted) - __float_as_uint(magic) + 127u;
    return y * __uint_as_float(exponent << 23);
}

// tanh(x), as `math::tanh_f32`.
INLINE float tanh_(float x) {
    float z = x * x;
    float p = -5.7049887e-3f;
    p = fma_(p, z, 2.0639088e-2f);
    p = fma_(p, z, -5.3739715e-2f);
    p = fma_(p, z, 1.3331442e-1f);
    p = fma_(p, z, -3.333328e-1f);
    float small = fma_(p * z, x, x);
    float size = __uint_as_float(__float_as_uint(x) & 0x7fffffffu);
    float large = 1.0f - __fdiv_rn(2.0f, exp_(2.0f * size) + 1.0f);
    large = __uint_as_float(__float_as_uint(large) | (__float_as_uint(x) & 0x80000000u));
    return size < 0.625f ? small : large;
}

// 1 / (1 + e^-x), as `math::sigmoid_f32`.
INLINE float sigmoid_(float x) { return __fdiv_rn(1.0f, 1.0f + exp_(-x)); }

// max(x, 0); a NaN stays.
INLINE float relu_(float x) { return 0.0f > x ? 0.0f : x; }

// An integer with the order of floats; zeros are equal, a NaN is lowest.
INLINE int ordered(float v) {
    int bits = (int)__float_as_uint(v + 0.0f);
    int key = bits ^ (int)((u32)(bits >> 31) >> 1);
    return v != v ? (int)0x80000000u : key;
}

// Whether action `a` is legal; no mask allows all.
INLINE bool is_legal(const u32 *mask, u32 a) { return !mask || (mask[a / 32] >> (a % 32) & 1); }

#define NO_ACTION 0xffffffffu

// A block of Philox4x32-10.
INLINE void philox4(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1, u32 *words) {
    for (int round = 0; round < 10; round++) {
        u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
        c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
        c1 = (u32)p1;
        c3 = (u32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

// Words 0 and 1 of block 0 of the stream (purpose, index, step).
INLINE void philox(u32 purpose, u32 index, u32 step_low, u32 step_high, u32 k0, u32 k1, u32 *word0, u32 *word1) {
    u32 words[4];
    philox4(0, step_low, index, purpose << 24 | (step_high & 0xffffffu), k0, k1, words);
    *word0 = words[0];
    *word1 = words[1];
}

// Uniform in [0, 1) with 24 bits.
INLINE float unit(u32 word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

// Uniform in 0..n.
INLINE u32 below(u32 word, u32 n) { return (u32)((u64)word * n >> 32); }
