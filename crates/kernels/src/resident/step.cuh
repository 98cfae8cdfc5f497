// What one gradient step of a resident learner is told, and what it tells. A step of a captured graph finds both at an
// address that never changes, so that numbers that do (learning rate, where to draw) need no new graph.
#pragma once
#include "cuda/strict.cuh"

struct Step {
    float lr, minus_step, root_correction, keep; // of the optimizer; the last three of Adam
    float tau;                                   // how far the target moves
    float beta;                                  // exponent of importance weights
    u32 moves;                                   // whether the target does
    u32 stored, span, head;                      // draws: transitions, their age and the cell of the oldest
    u32 position_low, position_high, key0, key1; // draws: the random stream
    u32 unused[2];
};

struct Status {
    u64 error;       // lowest code of a bad row; all ones: none
    double square;   // largest square of a gradient norm
    double total[4]; // of the samples: loss, value, |td|, target
    u32 terms;       // over which means are
    u32 least;       // smallest priority drawn
    u32 bad;         // the loss or a gradient is not finite
    u32 ran;         // the parameters moved
};

struct StepIo {
    Step step;
    Status status;
};
static_assert(sizeof(StepIo) == 128, "StepIo as in Rust");

// Numbers `start..end`.
struct Span {
    u32 start, end;
};

// x^y for normal positive `x`, as `coact_replay::power`: nothing here is fused.
INLINE float power(float x, float y) {
    const float rounder = 12582912.0f;
    const float coarse = __uint_as_float(__float_as_uint(y) & 0xfffff000u), fine = y - coarse;
    const u32 shifted = __float_as_uint(x) - 0x3f3504f3u;
    const float e = (float)((int)shifted >> 23);
    const float m = __uint_as_float((shifted & 0x007fffffu) + 0x3f3504f3u);
    const float s = __fdiv_rn(m - 1.0f, m + 1.0f), z = s * s;
    float p = 0.3205989f * z + 0.4121986f;
    p = p * z + 0.57707804f;
    p = p * z + 0.9617967f;
    p = p * z + 2.88539f;
    const float l = s * p, big = coarse * e, small = fine * e + y * l;
    float t = big + small;
    t = t < -100.0f ? -100.0f : t > 100.0f ? 100.0f : t;
    const float rounded = t + rounder, k = rounded - rounder;
    float r = (big - k) + small;
    r = (r < -1.0f ? -1.0f : r > 1.0f ? 1.0f : r) * 0.69314718055994530942f;
    p = __fdiv_rn(1.0f, 5040.0f);
    p = p * r + __fdiv_rn(1.0f, 720.0f);
    p = p * r + __fdiv_rn(1.0f, 120.0f);
    p = p * r + __fdiv_rn(1.0f, 24.0f);
    p = p * r + __fdiv_rn(1.0f, 6.0f);
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * __uint_as_float((__float_as_uint(rounded) + 127u) << 23);
}

#define LEAST_NORMAL 1.17549435e-38f

// The importance weight of a priority, the smallest drawn having 1.
INLINE float importance(u32 leaf, u32 least, float beta) {
    const float ratio = __fdiv_rn((float)least, (float)leaf);
    return power(ratio < LEAST_NORMAL ? LEAST_NORMAL : ratio, beta);
}
