// What a gradient step learns from, and what it leaves between its phases.
#pragma once
#include "cuda/network.cuh"
#include "resident/step.cuh"

// Where the samples of a group lie: in columns [B, A, ..], or in rows of a replay ring, whose words say what is seen and
// what became of it. As `crate::update::cuda::Samples`.
struct Samples {
    const float *obs, *next_obs; // [B, A, D]
    const u8 *valid;             // [B, A]
    const u64 *now, *later;      // [B]: addresses of rows, of later ones perhaps null; or null, and columns count
    u32 obs_at, valid_at;        // words of a row
    u32 n_agents, unused;
};
static_assert(sizeof(Samples) == 56, "Samples as in Rust");

// Observations of row `row` of [B, A]; null where nothing came after.
INLINE const float *obs_of(const Samples &s, u32 row, u32 d, bool next) {
    if (!s.now) return (next ? s.next_obs : s.obs) + (u64)row * d;
    const u64 at = (next ? s.later : s.now)[row / s.n_agents];
    return at ? (const float *)at + s.obs_at + row % s.n_agents * d : 0;
}

INLINE bool bit_of(u64 at, u32 word, u32 bit) { return ((const u32 *)at)[word + bit / 32] >> (bit % 32) & 1; }

INLINE bool valid_of(const Samples &s, u32 row) {
    if (!s.now) return s.valid[row];
    return bit_of(s.now[row / s.n_agents], s.valid_at, row % s.n_agents);
}

// Where a forward pass keeps what backward needs. Each is `[layer][network][row][width]`, flat.
struct Tape {
    float *h, *xhat, *inv_std;
};

// Offset of row `row` of network `m` in hidden layer `l` of a tape; `before` is the sum of widths of the layers below.
INLINE u64 tape_at(u32 before, u64 nets, u64 rows, u64 m, u64 row, u32 n) {
    return before * nets * rows + (m * rows + row) * n;
}

// One group. As `crate::update::cuda::RowsGroup`.
struct RowsGroup {
    Network net;
    const float *params, *target_params; // [C, S, P]
    Tape tape;                           // of C * S networks
    float *d_out;                        // [C, S, rows, out]
    float *dz, *d_norm;                  // as the tape: gradients of the layers' sums, and of what is before an activation
    const u32 *next_mask;                // [B, A, W] or null
    const u32 *action;
    const float *reward, *discount; // [B, A]
    const u32 *n_valid;             // [S]: rows that count
    Samples samples;
    u32 n_agents, n_sets, n_critics, rows; // rows of a network
    u32 masked, mask_at, action_at, reward_at; // words of a row of a ring
    u32 discount_at;
    u32 sets, passes; // that a block computes in lockstep
    u32 first_agent;  // agents of the groups before
};
static_assert(sizeof(RowsGroup) == 272, "RowsGroup as in Rust");

// As `crate::update::cuda::RowsArgs`.
struct RowsArgs {
    const RowsGroup *groups;
    const float *weight, *team_reward, *team_discount; // [B], or null with a ring
    const u32 *leaf;                                   // [B]: priorities of draws, or null
    StepIo *io;
    float *priority; // [B]
    float *sums;     // [B, 4]: loss, value, |td|, target
    u32 n_groups, batch, double_q, sum_mixer;
    float huber;      // 0: squared loss
    u32 samples;      // of a block
    u32 q_at, row_at; // floats of shared memory before values, and before what is known of each row
    u32 team_reward_at, team_discount_at;
};
static_assert(sizeof(RowsArgs) == 104, "RowsArgs as in Rust");
