// Rollouts: T steps of many environments in one launch, state in shared memory from the first to the last. With a network, a
// block has as many environments as fit a tile of rows and chooses their actions as `act` does; without one, a thread has one
// environment. Bytes: the state once in and out, and what is asked for of each step.
#include "act/kernel.cu"
#include "rollout/env.cuh"

// As `crate::rollout::cuda::RolloutArgs`. What a step leaves is [T, E, ..], each null if not wanted.
struct RolloutArgs {
    Network net;
    EnvShape env;
    const float *params;
    float *vars;    // [E, S]
    u32 *alive;     // [E, A]
    u32 *elapsed;   // [E]
    u32 *episode;   // [E, 2], low and high
    const u32 *given; // [T, E, A]: actions, or null
    float *obs;       // [T, E, A, D], acted on
    u32 *actions;     // [T, E, A]
    float *reward;    // [T, E, A]
    u8 *acted;        // [T, E, A]: alive when it acted
    u8 *terminated;   // [T, E, A]
    u8 *truncated;    // [T, E]
    u8 *over;         // [T, E]
    float *final_obs; // [T, E, A, D], of episodes that are over
    float *next_obs;  // [E, A, D], to act on next
    u64 *error;       // the lowest step and environment whose state is not finite
    u32 n_envs, steps;
    u32 kind; // GREEDY, EPSILON or BOLTZMANN
    u32 unused;
    u32 step_low, step_high;
    u32 key0, key1;             // of exploration
    u32 reset_key0, reset_key1; // of starts
    float epsilon, temperature;
};
static_assert(sizeof(RolloutArgs) == 280, "RolloutArgs as in Rust");

// Floats of shared memory of a copy: variables, forces, rewards, actions, alive, fell, elapsed, episode.
INLINE u32 copy_floats(const EnvShape &env) { return env.n_vars + 6 * env.n_agents + 3; }

// Copy `e` of `stride` that lie side by side from `memory` on.
INLINE Copy copy_at(const EnvShape &env, float *memory, u32 stride, u32 e) {
    const u32 n = env.n_agents;
    Copy c;
    c.stride = stride;
    c.vars = memory + e;
    c.force = c.vars + env.n_vars * stride;
    c.reward = c.force + 2 * n * stride;
    c.action = (u32 *)(c.reward + n * stride);
    c.alive = c.action + n * stride;
    c.fell = c.alive + n * stride;
    c.elapsed = c.fell + n * stride;
    c.episode = c.elapsed + stride;
    return c;
}

INLINE void load_copy(const RolloutArgs &args, const Copy &c, u32 e) {
    const u32 n = args.env.n_agents;
    for (u32 v = 0; v < args.env.n_vars; v++) c.vars[v * c.stride] = args.vars[(u64)e * args.env.n_vars + v];
    for (u32 a = 0; a < n; a++) c.alive[a * c.stride] = args.alive[e * n + a];
    c.elapsed[0] = args.elapsed[e];
    c.episode[0] = args.episode[2 * e];
    c.episode[c.stride] = args.episode[2 * e + 1];
}

INLINE void store_copy(const RolloutArgs &args, const Copy &c, u32 e) {
    const u32 n = args.env.n_agents, d = args.env.obs_width;
    for (u32 v = 0; v < args.env.n_vars; v++) args.vars[(u64)e * args.env.n_vars + v] = c.vars[v * c.stride];
    for (u32 a = 0; a < n; a++) args.alive[e * n + a] = c.alive[a * c.stride];
    args.elapsed[e] = c.elapsed[0];
    args.episode[2 * e] = c.episode[0];
    args.episode[2 * e + 1] = c.episode[c.stride];
    if (!args.next_obs) return;
    for (u32 i = 0; i < n * d; i++) args.next_obs[(u64)e * n * d + i] = seen(args.env, c.vars, c.stride, i / d, i % d);
}

// One step of copy `e` by the actions that it holds, with what is written of it.
INLINE void step_copy(const RolloutArgs &args, const Copy &c, u32 t, u32 e) {
    const u32 n = args.env.n_agents, d = args.env.obs_width;
    const u64 at = (u64)t * args.n_envs + e;
    for (u32 a = 0; a < n; a++) {
        if (args.acted) args.acted[at * n + a] = c.alive[a * c.stride] != 0;
    }
    bool truncated;
    const bool over = env_step(args.env, c, &truncated);
    if (!env_finite(args.env, c)) atomicMin(args.error, (u64)t << 32 | e);
    for (u32 a = 0; a < n; a++) {
        if (args.reward) args.reward[at * n + a] = c.reward[a * c.stride];
        if (args.terminated) args.terminated[at * n + a] = c.fell[a * c.stride] != 0;
    }
    if (args.truncated) args.truncated[at] = truncated;
    if (args.over) args.over[at] = over;
    if (!over) return;
    if (args.final_obs) {
        for (u32 i = 0; i < n * d; i++) args.final_obs[at * n * d + i] = seen(args.env, c.vars, c.stride, i / d, i % d);
    }
    c.episode[0] += 1;
    c.episode[c.stride] += c.episode[0] == 0;
    begin_episode(args.env, c, e, args.reset_key0, args.reset_key1);
}

INLINE ActArgs choice_of(const RolloutArgs &args, u32 t) {
    ActArgs act;
    act.net.n_actions = args.net.n_actions; // all that a choice asks of it
    act.mask = 0;
    act.alive = 0;
    act.noise = 0;
    act.kind = args.kind;
    act.first_row = 0;
    act.step_low = args.step_low + t;
    act.step_high = args.step_high + (act.step_low < t);
    act.key0 = args.key0;
    act.key1 = args.key1;
    act.epsilon = args.epsilon;
    act.temperature = args.temperature;
    return act;
}

// Grid: tiles of environments.
template <int ROWS, class Product = Strict> INLINE void rollout_policy(const RolloutArgs &args) {
    DYNAMIC_SHARED(float, memory);
    const int LD = Tile<ROWS>::LD;
    const Network &net = args.net;
    const u32 n = args.env.n_agents, d = args.env.obs_width, tile = ROWS / n;
    const u32 first = blockIdx.x * tile, count = min_(tile, args.n_envs - first), rows = count * n;
    float *copies = memory + net_floats<ROWS>(net);
    for (u32 e = threadIdx.x; e < count; e += blockDim.x) load_copy(args, copy_at(args.env, copies, tile, e), first + e);
    __syncthreads();
    for (u32 t = 0; t < args.steps; t++) {
        const u64 row0 = ((u64)t * args.n_envs + first) * n;
        for (u32 i = threadIdx.x; i < d * ROWS; i += blockDim.x) {
            const u32 r = i / d, k = i % d;
            const float x = r < rows ? seen(args.env, copies + r / n, tile, r % n, k) : 0.0f;
            memory[k * LD + r] = x;
            if (args.obs && r < rows) args.obs[(row0 + r) * d + k] = x;
        }
        __syncthreads();
        const Solo solo = {args.params};
        float *q = memory + forward<ROWS, Product>(net, solo, memory, 0, rows);
        if (net.dueling) {
            for (u32 r = threadIdx.x; r < rows; r += blockDim.x) dueling_(q + r, LD, net.n_actions);
            __syncthreads();
        }
        const ActArgs act = choice_of(args, t);
        for (u32 r = threadIdx.x; r < rows; r += blockDim.x) {
            const Copy c = copy_at(args.env, copies, tile, r / n);
            const u32 at = r % n * tile;
            const u32 action = c.alive[at] ? choose(act, first * n + r, q + r, LD) : 0;
            c.action[at] = action;
            if (args.actions) args.actions[row0 + r] = action;
        }
        __syncthreads();
        for (u32 e = threadIdx.x; e < count; e += blockDim.x) step_copy(args, copy_at(args.env, copies, tile, e), t, first + e);
        __syncthreads();
    }
    for (u32 e = threadIdx.x; e < count; e += blockDim.x) store_copy(args, copy_at(args.env, copies, tile, e), first + e);
}

KERNEL(rollout_policy_8, RolloutArgs) { rollout_policy<8>(args); }
KERNEL(rollout_policy_32, RolloutArgs) { rollout_policy<32>(args); }
KERNEL(rollout_policy_fast_16, RolloutArgs) { rollout_policy<16, Fast>(args); }
KERNEL(rollout_policy_fast_32, RolloutArgs) { rollout_policy<32, Fast>(args); }

// Grid: environments, one a thread. Actions are given, or uniform: those of `act` with an epsilon of 1.
KERNEL(rollout_env, RolloutArgs) {
    DYNAMIC_SHARED(float, memory);
    const u32 n = args.env.n_agents, d = args.env.obs_width, e = blockIdx.x * blockDim.x + threadIdx.x;
    if (e >= args.n_envs) return;
    const Copy c = copy_at(args.env, memory, blockDim.x, threadIdx.x);
    load_copy(args, c, e);
    for (u32 t = 0; t < args.steps; t++) {
        const u64 row0 = ((u64)t * args.n_envs + e) * n;
        const ActArgs act = choice_of(args, t);
        if (args.obs) {
            for (u32 i = 0; i < n * d; i++) args.obs[row0 * d + i] = seen(args.env, c.vars, c.stride, i / d, i % d);
        }
        for (u32 a = 0; a < n; a++) {
            u32 action = 0, unused;
            if (args.given) {
                action = args.given[row0 + a];
            } else if (c.alive[a * c.stride]) {
                philox(PURPOSE_EXPLORE, e * n + a, act.step_low, act.step_high, act.key0, act.key1, &unused, &action);
                action = below(action, args.env.n_actions);
            }
            c.action[a * c.stride] = action;
            if (args.actions) args.actions[row0 + a] = action;
        }
        step_copy(args, c, t, e);
    }
    store_copy(args, c, e);
}
