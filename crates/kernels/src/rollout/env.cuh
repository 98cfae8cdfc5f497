// Environments on a device, one copy of each a thread: `cartpole` without springs and `simple_spread`, as `coact-envs` steps
// them, bit for bit. Plain multiplication and addition throughout, never fused (contraction is off): that is what makes the
// bits those of the processor. Variable `v` of a copy lies at `vars[v * stride]`, so that neighbors are next to each other.
#pragma once
#include "cuda/strict.cuh"

#define CARTPOLE 0u
#define SPREAD 1u

#define SCALE_MPE2 0u
#define SCALE_PETTINGZOO 1u
#define SCALE_OPENAI 2u

#define PURPOSE_RESET 2u

// As `crate::rollout::cuda::EnvShape`.
struct EnvShape {
    u32 env; // CARTPOLE or SPREAD
    u32 n_agents, n_vars, obs_width, n_actions;
    u32 limit; // steps after which an episode is truncated
    u32 scale;
    float shared, local;  // of the reward: weights of what all are paid and of what one is
    float landmark_range; // landmarks start uniform in +- this
};
static_assert(sizeof(EnvShape) == 40, "EnvShape as in Rust");

// What one copy is, and what becomes of it in a step. All columns have the same stride.
struct Copy {
    float *vars;    // [S]
    float *force;   // [2 A], used within a step
    float *reward;  // [A]
    u32 *action;    // [A]
    u32 *alive;     // [A]
    u32 *fell;      // [A], of the last step
    u32 *elapsed;   // [1]
    u32 *episode;   // [2], low and high
    u32 stride;
};

// ln(x), as `coact_core::math::ln_f32`.
INLINE float env_ln(float x) {
    const u32 shifted = __float_as_uint(x) - 0x3f3504f3u;
    const float e = (float)((int)shifted >> 23);
    const float m = __uint_as_float((shifted & 0x007fffffu) + 0x3f3504f3u);
    const float f = m - 1.0f, z = f * f;
    float p = 7.0376836e-2f;
    p = p * f - 1.151461e-1f;
    p = p * f + 1.1676999e-1f;
    p = p * f - 1.2420141e-1f;
    p = p * f + 1.4249323e-1f;
    p = p * f - 1.6668058e-1f;
    p = p * f + 2.0000715e-1f;
    p = p * f - 2.4999994e-1f;
    p = p * f + 3.333333e-1f;
    const float y = f * z * p + e * -2.1219444e-4f - 0.5f * z;
    return f + y + e * 0.693359375f;
}

INLINE float env_abs(float x) { return __uint_as_float(__float_as_uint(x) & 0x7fffffffu); }

// ln(1 + e^x).
INLINE float env_softplus(float x) {
    const float top = x > 0.0f ? x : 0.0f;
    return top + env_ln(1.0f + unfused_exp_(-env_abs(x)));
}

// Draw `word` of the stream that starts episode `episode` of copy `env`.
INLINE float start(u32 env, u32 low, u32 high, u32 word, u32 key0, u32 key1, float from, float to) {
    u32 c0 = word / 4, c1 = low, c2 = env, c3 = PURPOSE_RESET << 24 | (high & 0xffffffu);
    for (int round = 0; round < 10; round++) {
        const u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(p1 >> 32) ^ c1 ^ key0;
        c2 = (u32)(p0 >> 32) ^ c3 ^ key1;
        c1 = (u32)p1;
        c3 = (u32)p0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    const u32 drawn = word & 2 ? (word & 1 ? c3 : c2) : (word & 1 ? c1 : c0);
    return from + (to - from) * unit(drawn);
}

// Starts the current episode of a copy.
INLINE void begin_episode(const EnvShape &shape, const Copy &copy, u32 env, u32 key0, u32 key1) {
    const u32 n = shape.n_agents, low = copy.episode[0], high = copy.episode[copy.stride];
    for (u32 v = 0; v < shape.n_vars; v++) {
        float value;
        if (shape.env == CARTPOLE) {
            value = start(env, low, high, v, key0, key1, -0.05f, 0.05f);
        } else if (v < 4 * n) {
            // Two draws an agent; at rest.
            value = v % 4 < 2 ? start(env, low, high, v / 4 * 2 + v % 4, key0, key1, -1.0f, 1.0f) : 0.0f;
        } else {
            value = start(env, low, high, v - 2 * n, key0, key1, -shape.landmark_range, shape.landmark_range);
        }
        copy.vars[v * copy.stride] = value;
    }
    for (u32 a = 0; a < n; a++) copy.alive[a * copy.stride] = 1;
    *copy.elapsed = 0;
}

// Number `k` of what agent `agent` sees.
INLINE float seen(const EnvShape &shape, const float *vars, u32 stride, u32 agent, u32 k) {
    const u32 me = 4 * agent, n = shape.n_agents;
    if (shape.env == CARTPOLE) return vars[(me + k) * stride];
    if (k < 2) return vars[(me + 2 + k) * stride];
    if (k < 4) return vars[(me + k - 2) * stride];
    const u32 axis = k % 2;
    const float mine = vars[(me + axis) * stride];
    if (k < 4 + 2 * n) return vars[(4 * n + k - 4) * stride] - mine;
    if (k < 2 + 4 * n) {
        u32 other = (k - 4 - 2 * n) / 2;
        other += other >= agent;
        return vars[(4 * other + axis) * stride] - mine;
    }
    return 0.0f; // the words of others, who are silent
}

// A cart under `force`, of which all four numbers are given and taken. True if its pole has fallen.
INLINE bool cart_step(float *cart, u32 stride, float force) {
    const float x = cart[0], v = cart[stride], theta = cart[2 * stride], omega = cart[3 * stride];
    const float inverse_mass = (float)(1.0 / 1.1), pole = (float)(0.1 * 0.5), tau = (float)0.02;
    const float z = theta * theta;
    const float sin = ((-1.9515296e-4f * z + 8.332161e-3f) * z - 1.6666655e-1f) * z * theta + theta;
    const float cos = ((2.4433157e-5f * z - 1.3887316e-3f) * z + 4.1666646e-2f) * z * z - 0.5f * z + 1.0f;
    const float temp = (force + pole * (omega * omega) * sin) * inverse_mass;
    const float below = (float)(0.5 * 4.0 / 3.0) - (float)(0.5 * 0.1 / 1.1) * (cos * cos);
    const float alpha = __fdiv_rn((float)9.8 * sin - cos * temp, below);
    const float a = temp - (float)(0.1 * 0.5 / 1.1) * alpha * cos;
    const float new_x = x + tau * v, new_theta = theta + tau * omega;
    cart[0] = new_x;
    cart[stride] = v + tau * a;
    cart[2 * stride] = new_theta;
    cart[3 * stride] = omega + tau * alpha;
    const float angle_limit = (float)(12.0 * 6.283185307179586 / 360.0);
    return (float)2.4 < env_abs(new_x) || angle_limit < env_abs(new_theta);
}

INLINE void cartpole_step(const EnvShape &shape, const Copy &copy) {
    for (u32 a = 0; a < shape.n_agents; a++) {
        const u32 at = a * copy.stride;
        const bool alive = copy.alive[at];
        copy.reward[at] = alive ? 1.0f : 0.0f;
        copy.fell[at] = alive && cart_step(copy.vars + 4 * at, copy.stride, copy.action[at] == 1 ? 10.0f : -10.0f);
    }
}

INLINE float square(float x, float y) { return x * x + y * y; }

// What agents that touch do to each other, then places, then velocities.
INLINE void spread_move(const EnvShape &shape, const Copy &copy) {
    const u32 n = shape.n_agents, s = copy.stride;
    float *vars = copy.vars, *force = copy.force;
    for (u32 a = 0; a < n; a++) {
        const u32 action = copy.action[a * s];
        force[2 * a * s] = action == 2 ? 5.0f : action == 1 ? -5.0f : 0.0f;
        force[(2 * a + 1) * s] = action == 4 ? 5.0f : action == 3 ? -5.0f : 0.0f;
    }
    for (u32 a = 0; a < n; a++)
        for (u32 b = a + 1; b < n; b++) {
            const float dx = vars[4 * a * s] - vars[4 * b * s], dy = vars[(4 * a + 1) * s] - vars[(4 * b + 1) * s];
            const float dist = __fsqrt_rn(square(dx, dy));
            const float depth = ((float)(0.15 + 0.15) - dist) * (float)(1.0 / 1e-3);
            const float penetration = env_softplus(depth) * (float)1e-3;
            const float scale = __fdiv_rn(100.0f * penetration, (float)1e-30 < dist ? dist : (float)1e-30);
            const float px = dx * scale, py = dy * scale;
            force[2 * a * s] = force[2 * a * s] + px;
            force[2 * b * s] = force[2 * b * s] - px;
            force[(2 * a + 1) * s] = force[(2 * a + 1) * s] + py;
            force[(2 * b + 1) * s] = force[(2 * b + 1) * s] - py;
        }
    const float dt = (float)0.1, kept = (float)(1.0 - 0.25);
    for (u32 a = 0; a < n; a++)
        for (u32 axis = 0; axis < 2; axis++) {
            float *place = vars + (4 * a + axis) * s, *velocity = vars + (4 * a + 2 + axis) * s;
            *place = *place + *velocity * dt;
            *velocity = *velocity * kept + force[(2 * a + axis) * s] * dt;
        }
}

INLINE void spread_reward(const EnvShape &shape, const Copy &copy) {
    const u32 n = shape.n_agents, s = copy.stride;
    const float *vars = copy.vars;
    float global = 0.0f;
    for (u32 l = 0; l < n; l++) {
        const float x = vars[(4 * n + 2 * l) * s], y = vars[(4 * n + 2 * l + 1) * s];
        float nearest = square(vars[0] - x, vars[s] - y);
        for (u32 a = 1; a < n; a++) {
            const float far = square(vars[4 * a * s] - x, vars[(4 * a + 1) * s] - y);
            nearest = far < nearest ? far : nearest;
        }
        global = global - __fsqrt_rn(nearest);
    }
    const float shared = global * shape.shared;
    for (u32 a = 0; a < n; a++) copy.reward[a * s] = 0.0f;
    for (u32 a = 0; a < n; a++)
        for (u32 b = a + 1; b < n; b++) {
            const float dx = vars[4 * a * s] - vars[4 * b * s], dy = vars[(4 * a + 1) * s] - vars[(4 * b + 1) * s];
            const float bump = __fsqrt_rn(square(dx, dy)) < (float)(0.15 + 0.15) ? 1.0f : 0.0f;
            copy.reward[a * s] = copy.reward[a * s] - bump;
            copy.reward[b * s] = copy.reward[b * s] - bump;
        }
    if (shape.scale == SCALE_OPENAI) {
        float bumps = -(float)n;
        for (u32 a = 0; a < n; a++) bumps = bumps + copy.reward[a * s];
        for (u32 a = 0; a < n; a++) copy.reward[a * s] = global * (float)n + bumps;
        return;
    }
    for (u32 a = 0; a < n; a++) {
        const float mine = copy.reward[a * s];
        copy.reward[a * s] = shared + (shape.scale == SCALE_MPE2 ? mine : mine - 1.0f) * shape.local;
    }
}

// One step of a copy; true if the episode is over. Whoever calls begins the next one.
INLINE bool env_step(const EnvShape &shape, const Copy &copy, bool *truncated) {
    if (shape.env == CARTPOLE) {
        cartpole_step(shape, copy);
    } else {
        spread_move(shape, copy);
        spread_reward(shape, copy);
        for (u32 a = 0; a < shape.n_agents; a++) copy.fell[a * copy.stride] = 0;
    }
    bool some = false;
    for (u32 a = 0; a < shape.n_agents; a++) {
        const u32 at = a * copy.stride;
        copy.alive[at] = copy.alive[at] && !copy.fell[at];
        some = some || copy.alive[at];
    }
    *copy.elapsed += 1;
    const bool over = !some || *copy.elapsed >= shape.limit;
    *truncated = over && some;
    return over;
}

// Whether all variables are finite.
INLINE bool env_finite(const EnvShape &shape, const Copy &copy) {
    bool finite = true;
    for (u32 v = 0; v < shape.n_vars; v++) {
        const u32 exponent = __float_as_uint(copy.vars[v * copy.stride]) >> 23 & 0xffu;
        finite = finite && exponent != 0xffu;
    }
    return finite;
}
