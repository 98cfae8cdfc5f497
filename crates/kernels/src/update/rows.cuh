// Everything of a gradient step that concerns single rows, in one pass over whole samples: values now and next (in lockstep),
// the choice of the next action, targets, losses, and gradients down to the first layer. Values of the next state, and of
// actions not taken, never leave shared memory. What weights need (activations and gradients of the layers' sums) goes to a
// tape. Rows of a network (critic, set) are (sample, agent of the set): row `r` of set `s` is row `r * n_sets + s` of the
// batch. A row takes 2 (5 C + 1) forward passes' operations, less the first layer's share of one.
#pragma once
#include "update/data.cuh"

// A row of a group: its place in [B, A], and where a ring has it.
struct Row {
    u32 index, agent;
    u64 now, later;
};

INLINE Row row_of(const RowsGroup &g, u32 index) {
    const u32 sample = index / g.n_agents;
    const u64 now = g.samples.now ? g.samples.now[sample] : 0, later = g.samples.now ? g.samples.later[sample] : 0;
    const Row row = {index, index % g.n_agents, now, later};
    return row;
}

INLINE bool is_valid(const RowsGroup &g, Row row) {
    return row.now ? bit_of(row.now, g.samples.valid_at, row.agent) : g.samples.valid[row.index];
}
INLINE u32 action_of(const RowsGroup &g, Row row) {
    return row.now ? ((const u32 *)row.now)[g.action_at + row.agent] : g.action[row.index];
}
INLINE float reward_of(const RowsGroup &g, Row row) {
    return row.now ? ((const float *)row.now)[g.reward_at + row.agent] : g.reward[row.index];
}
INLINE float discount_of(const RowsGroup &g, Row row) {
    return row.now ? ((const float *)row.now)[g.discount_at + row.agent] : g.discount[row.index];
}
INLINE const u32 *mask_of(const RowsGroup &g, Row row) {
    const u32 words = (g.net.n_actions + 31) / 32;
    if (!g.masked) return 0;
    if (!row.now) return g.next_mask + (u64)row.index * words;
    return row.later ? (const u32 *)row.later + g.mask_at + row.agent * words : 0;
}
// Of the team: a column, or word `at` of a row of a ring.
INLINE float team_of(const RowsArgs &args, const float *column, u32 at, u32 b) {
    const u64 *now = args.groups[0].samples.now;
    return now ? ((const float *)now[b])[at] : column[b];
}
// The importance weight of a sample.
INLINE float weight_of(const RowsArgs &args, const StepIo *io, u32 b) {
    if (args.leaf) return importance(args.leaf[b], io->status.least, io->step.beta);
    return args.weight ? args.weight[b] : 1.0f;
}

#define VALID 1u
#define BAD_ACTION 2u
#define NO_LEGAL_ACTION 4u

// What is known of a row in shared memory. `q` becomes the gradient with respect to it.
struct Known {
    float q[2]; // of the action taken, by critic
    float next; // value of the next state
    u32 state;  // VALID, and what is wrong
};

// Code of a bad row: of all the lowest is told.
INLINE void report(StepIo *io, u32 sample, u32 group, u32 state, u32 agent) {
    const u64 kind = state & BAD_ACTION ? 1 : 0;
    atomicMin(&io->status.error, (u64)sample << 32 | group << 24 | kind << 23 | agent);
}

// Networks that a block computes in lockstep: passes `pass..` of sets `set..`, over rows `first..` of each. The passes of a
// set are its critics now, its critics' targets next, and, of a double Q, the first critic next.
struct Passes {
    const RowsGroup &g;
    u32 set, sets, pass, passes, first;
    INLINE u32 count() const { return sets * passes; }
    INLINE u32 set_of(u32 lane) const { return set + lane / passes; }
    INLINE u32 pass_of(u32 lane) const { return pass + lane % passes; }
    INLINE bool kept(u32 lane) const { return pass_of(lane) < g.n_critics; }
    INLINE u32 network(u32 lane) const {
        const u32 p = pass_of(lane);
        const u32 critic = p < g.n_critics ? p : p < 2 * g.n_critics ? p - g.n_critics : 0;
        return critic * g.n_sets + set_of(lane);
    }
    INLINE const float *params(u32 lane) const {
        const u32 p = pass_of(lane);
        const bool target = p >= g.n_critics && p < 2 * g.n_critics;
        return (target ? g.target_params : g.params) + (u64)network(lane) * g.net.n_params;
    }
    INLINE u64 at(u32 lane, u32 before, u32 n) const {
        return tape_at(before, g.n_critics * g.n_sets, g.rows, network(lane), first, n);
    }
    INLINE float *kept_h(u32 lane, u32 before, u32 n) const { return g.tape.h + at(lane, before, n); }
    INLINE float *kept_xhat(u32 lane, u32 before, u32 n) const { return g.tape.xhat + at(lane, before, n); }
    INLINE float *kept_inv_std(u32 lane, u32 index) const {
        return g.tape.inv_std + ((u64)index * g.n_critics * g.n_sets + network(lane)) * g.rows + first;
    }
};

// Target value of action `a`: of two critics the lower. `q` holds values by pass and action, `LD` apart.
template <int LD> INLINE float low_target(const float *q, u32 out, u32 critics, u32 a) {
    const float low = q[(critics * out + a) * LD];
    if (critics == 1) return low;
    const float other = q[((critics + 1) * out + a) * LD];
    return other < low ? other : low;
}

// Value of the next state of a row; false if no action is legal.
template <int LD>
INLINE bool next_value(const RowsGroup &g, bool double_q, const float *q, const u32 *mask, float *value) {
    const u32 out = g.net.width[g.net.n_layers], critics = g.n_critics;
    u32 best = NO_ACTION;
    int top = 0;
    for (u32 a = 0; a < g.net.n_actions; a++) {
        const int key = ordered(double_q ? q[(2 * critics * out + a) * LD] : low_target<LD>(q, out, critics, a));
        if (is_legal(mask, a) && (best == NO_ACTION || key > top)) {
            best = a;
            top = key;
        }
    }
    if (best == NO_ACTION) return false;
    *value = low_target<LD>(q, out, critics, best);
    return true;
}

// What the values of all passes say of row `index` of the batch.
template <int LD> INLINE Known known_of(const RowsArgs &args, const RowsGroup &g, u32 index, float *q) {
    const u32 out = g.net.width[g.net.n_layers], n = g.net.n_actions;
    const Row row = row_of(g, index);
    if (g.net.dueling) {
        for (u32 p = 0; p < 2 * g.n_critics + args.double_q; p++) dueling_(q + p * out * LD, LD, n);
    }
    Known known = {{0.0f, 0.0f}, 0.0f, 0};
    bool needed;
    if (is_valid(g, row)) {
        const u32 action = action_of(g, row);
        known.state = action < n ? VALID : VALID | BAD_ACTION;
        if (action < n) {
            known.q[0] = q[action * LD];
            if (g.n_critics == 2) known.q[1] = q[(out + action) * LD];
        }
        needed = discount_of(g, row) != 0.0f;
    } else {
        needed = args.sum_mixer && discount_of(g, row) != 0.0f;
    }
    if (args.sum_mixer)
        needed = needed && team_of(args, args.team_discount, args.team_discount_at, index / g.n_agents) != 0.0f;
    if (needed && !next_value<LD>(g, args.double_q, q, mask_of(g, row), &known.next)) known.state |= NO_LEGAL_ACTION;
    return known;
}

// Values of all rows of a group of samples `first..first + n`.
template <int ROWS, class Product>
INLINE void values_of(const RowsArgs &args, const RowsGroup &g, u32 first, u32 n, float *memory, Known *rows) {
    const int LD = Tile<ROWS>::LD;
    const Network &net = g.net;
    const u32 per_set = g.n_agents / g.n_sets, d = net.width[0], out = net.width[net.n_layers];
    const u32 all = 2 * g.n_critics + args.double_q, stride = net_floats<ROWS>(net);
    float *values = memory + args.q_at;
    for (u32 set = 0; set < g.n_sets; set += g.sets) {
        for (u32 r0 = 0; r0 < n * per_set; r0 += ROWS) {
            const u32 count = min_(ROWS, n * per_set - r0);
            Passes nets = {g, set, min_(g.sets, g.n_sets - set), 0, 0, first * per_set + r0};
            for (; nets.pass < all; nets.pass += g.passes) {
                nets.passes = min_(g.passes, all - nets.pass);
                for (u32 i = threadIdx.x; i < nets.count() * d * ROWS; i += blockDim.x) {
                    const u32 lane = i / (d * ROWS), r = i / d % ROWS, k = i % d;
                    const u32 row = (nets.first + r) * g.n_sets + nets.set_of(lane);
                    const bool next = !nets.kept(lane);
                    // Numbers of rows that are not valid must not reach a gradient.
                    const bool counts = r < count && (next || valid_of(g.samples, row));
                    const float *from = counts ? obs_of(g.samples, row, d, next) : 0;
                    memory[lane * stride + k * LD + r] = from ? from[k] : 0.0f;
                }
                __syncthreads();
                const u32 at = forward<ROWS, Product>(net, nets, memory, stride, count);
                for (u32 i = threadIdx.x; i < nets.count() * out * ROWS; i += blockDim.x) {
                    const u32 lane = i / (out * ROWS), j = i / ROWS % out, r = i % ROWS;
                    const u32 pass = lane / nets.passes * all + nets.pass_of(lane);
                    values[(pass * out + j) * LD + r] = memory[lane * stride + at + j * LD + r];
                }
                __syncthreads();
            }
            for (u32 i = threadIdx.x; i < nets.sets * count; i += blockDim.x) {
                const u32 s = i / count, r = i % count, index = (nets.first + r) * g.n_sets + set + s;
                rows[index - first * g.n_agents] = known_of<LD>(args, g, index, values + s * all * out * LD + r);
            }
            __syncthreads();
        }
    }
}

INLINE float td_target(float reward, float discount, float next) {
    return discount == 0.0f ? reward : fma_(discount, next, reward);
}

INLINE float abs_(float x) { return __uint_as_float(__float_as_uint(x) & 0x7fffffffu); }

// Loss of a TD error, and its derivative.
INLINE float loss_of(float huber, float td, float *slope) {
    if (huber == 0.0f) {
        *slope = 2.0f * td;
        return td * td;
    }
    const float size = abs_(td);
    if (size <= huber) {
        *slope = td;
        return 0.5f * td * td;
    }
    *slope = __uint_as_float(__float_as_uint(huber) | (__float_as_uint(td) & 0x80000000u));
    return huber * (size - 0.5f * huber);
}

// Each agent's own target, of sample `first + i` of the batch.
INLINE void td_independent(const RowsArgs &args, StepIo *io, Known *rows, u32 first, u32 i) {
    const u32 b = first + i;
    const float weight = weight_of(args, io, b);
    float loss_sum = 0.0f, q_sum = 0.0f, td_sum = 0.0f, target_sum = 0.0f;
    u32 terms = 0;
    for (u32 group = 0; group < args.n_groups; group++) {
        const RowsGroup &g = args.groups[group];
        const float share = __fdiv_rn(1.0f, (float)g.n_critics);
        for (u32 agent = 0; agent < g.n_agents; agent++) {
            Known &known = rows[g.first_agent * args.samples + i * g.n_agents + agent];
            if (!(known.state & VALID)) continue;
            if (known.state != VALID) return report(io, b, group, known.state, agent);
            const Row row = row_of(g, b * g.n_agents + agent);
            const float target = td_target(reward_of(g, row), discount_of(g, row), known.next);
            const float inv_valid = __fdiv_rn(1.0f, (float)g.n_valid[g.n_sets == 1 ? 0 : agent]);
#pragma unroll
            for (u32 critic = 0; critic < 2; critic++) {
                if (critic < g.n_critics) {
                    const float q = known.q[critic];
                    float slope;
                    const float loss = loss_of(args.huber, q - target, &slope);
                    known.q[critic] = weight * slope * inv_valid;
                    loss_sum += weight * loss * inv_valid;
                    q_sum += q * share;
                    td_sum += abs_(q - target) * share;
                }
            }
            target_sum += target;
            terms++;
        }
    }
    args.priority[b] = terms == 0 ? 0.0f : __fdiv_rn(td_sum, (float)terms);
    float *sums = args.sums + 4 * (u64)b;
    sums[0] = loss_sum;
    sums[1] = q_sum;
    sums[2] = td_sum;
    sums[3] = target_sum;
}

// The team's target.
INLINE void td_sum(const RowsArgs &args, StepIo *io, Known *rows, u32 first, u32 i) {
    const u32 b = first + i;
    const float team_discount = team_of(args, args.team_discount, args.team_discount_at, b);
    const float weight = weight_of(args, io, b);
    const u32 critics = args.groups[0].n_critics;
    float q_tot[2] = {0.0f, 0.0f}, next = 0.0f;
    bool any = false;
    for (u32 group = 0; group < args.n_groups; group++) {
        const RowsGroup &g = args.groups[group];
        for (u32 agent = 0; agent < g.n_agents; agent++) {
            const Known &known = rows[g.first_agent * args.samples + i * g.n_agents + agent];
            if (known.state & ~VALID) return report(io, b, group, known.state, agent);
            if (known.state & VALID) {
                any = true;
                q_tot[0] += known.q[0];
                if (critics == 2) q_tot[1] += known.q[1];
            }
            if (team_discount != 0.0f && discount_of(g, row_of(g, b * g.n_agents + agent)) != 0.0f) next += known.next;
        }
    }
    float grad[2] = {0.0f, 0.0f}, loss_sum = 0.0f, q_sum = 0.0f, priority = 0.0f, target = 0.0f;
    if (any) {
        target = td_target(team_of(args, args.team_reward, args.team_reward_at, b), team_discount, next);
        const float share = __fdiv_rn(1.0f, (float)critics), inv_batch = __fdiv_rn(1.0f, (float)args.batch);
#pragma unroll
        for (u32 critic = 0; critic < 2; critic++) {
            if (critic < critics) {
                const float td = q_tot[critic] - target;
                float slope;
                const float loss = loss_of(args.huber, td, &slope);
                grad[critic] = weight * slope * inv_batch;
                loss_sum += weight * loss * inv_batch;
                q_sum += q_tot[critic] * share;
                priority += abs_(td) * share;
            }
        }
    }
    args.priority[b] = priority;
    float *sums = args.sums + 4 * (u64)b;
    sums[0] = loss_sum;
    sums[1] = q_sum;
    sums[2] = priority;
    sums[3] = target;
    for (u32 group = 0; group < args.n_groups; group++) {
        const RowsGroup &g = args.groups[group];
        for (u32 agent = 0; agent < g.n_agents; agent++) {
            Known &known = rows[g.first_agent * args.samples + i * g.n_agents + agent];
            known.q[0] = grad[0];
            known.q[1] = grad[1];
        }
    }
}

// Layer `index`, and the sum of the widths of the hidden layers below it.
INLINE Layer layer_at(const Network &net, u32 index, u32 *before) {
    Layer layer = first_layer(net);
    *before = 0;
    for (u32 i = 0; i <= index; i++) {
        if (i > 0) *before += layer.n;
        layer = next_layer(net, layer, i);
    }
    return layer;
}

// One row of weights: four rows of input `k`'s gradient, a chain over the outputs ascending, from 0.
template <int LD> INLINE void one_back(const float *d, u32 n, const float *w, float *y) {
    float4 s = four(0.0f);
    if (n % 4 == 0 && (u64)w % 16 == 0) {
#pragma unroll 2
        for (u32 j = 0; j < n; j += 4) {
            const float4 b = *(const float4 *)(w + j);
            fma4(s, *(const float4 *)(d + j * LD), b.x);
            fma4(s, *(const float4 *)(d + (j + 1) * LD), b.y);
            fma4(s, *(const float4 *)(d + (j + 2) * LD), b.z);
            fma4(s, *(const float4 *)(d + (j + 3) * LD), b.w);
        }
    } else {
#pragma unroll 4
        for (u32 j = 0; j < n; j++) fma4(s, *(const float4 *)(d + j * LD), w[j]);
    }
    store4(s, false, y);
}

// Four rows of the gradients of inputs `k..k + 4`. Inputs past the last one repeat it, and are not stored.
template <int LD> INLINE void four_back(const float *d, u32 n, const float *w, u32 k, u32 k_len, float *y) {
    const float *w0 = w + (u64)k * n, *w1 = w + (u64)min_(k + 1, k_len - 1) * n;
    const float *w2 = w + (u64)min_(k + 2, k_len - 1) * n, *w3 = w + (u64)min_(k + 3, k_len - 1) * n;
    float4 s0 = four(0.0f), s1 = s0, s2 = s0, s3 = s0;
#pragma unroll 4
    for (u32 j = 0; j < n; j++) {
        const float4 a = *(const float4 *)(d + j * LD);
        fma4(s0, a, w0[j]);
        fma4(s1, a, w1[j]);
        fma4(s2, a, w2[j]);
        fma4(s3, a, w3[j]);
    }
    store4(s0, false, y);
    if (k + 1 < k_len) store4(s1, false, y + LD);
    if (k + 2 < k_len) store4(s2, false, y + 2 * LD);
    if (k + 3 < k_len) store4(s3, false, y + 3 * LD);
}

// Networks whose gradients a block computes in lockstep: those from `m` on.
struct Backs {
    const RowsGroup &g;
    u32 m, count, first;
    INLINE u32 nets() const { return g.n_critics * g.n_sets; }
    INLINE const float *params(u32 lane) const { return g.params + (u64)(m + lane) * g.net.n_params; }
    INLINE u64 at(u32 lane, u32 before, u32 n) const { return tape_at(before, nets(), g.rows, m + lane, first, n); }
    INLINE u64 row(u32 lane, u32 index) const { return ((u64)index * nets() + m + lane) * g.rows + first; }
};

// y = d w^T of all networks.
template <int ROWS> INLINE void dense_back(Strict, const Backs &nets, const Layer &l, const float *d, float *y, u32 stride) {
    const int LD = Tile<ROWS>::LD, GROUPS = Tile<ROWS>::GROUPS, COLUMNS = Tile<ROWS>::COLUMNS;
    const u32 each = GROUPS * ((l.k + COLUMNS - 1) / COLUMNS), items = each * nets.count;
    for (u32 item = threadIdx.x; item < items; item += blockDim.x) {
        const u32 lane = item / each, i = item % each;
        const u32 r = 4 * (COLUMNS == 1 ? i / l.k : i % GROUPS), k = COLUMNS == 1 ? i % l.k : i / GROUPS * 4;
        const float *w = nets.params(lane) + l.weight, *from = d + lane * stride + r;
        float *to = y + lane * stride + k * LD + r;
        if (COLUMNS == 1)
            one_back<LD>(from, l.n, w + (u64)k * l.n, to);
        else
            four_back<LD>(from, l.n, w, k, l.k, to);
    }
}

// Backward of layer norm `index` in place: from the gradient after gain and shift to the one before the norm.
template <int ROWS>
INLINE void norm_back(const Backs &nets, const Layer &l, u32 index, u32 before, u32 count, float *d, float *scratch,
                      u32 stride) {
    const int LD = Tile<ROWS>::LD;
    const RowsGroup &g = nets.g;
    const u32 n = l.n, all = nets.count;
    for (u32 i = threadIdx.x; i < all * n * ROWS; i += blockDim.x) {
        const u32 lane = i / (n * ROWS), j = i / ROWS % n;
        d[lane * stride + j * LD + i % ROWS] *= nets.params(lane)[l.gain + j];
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * 16 * ROWS; i += blockDim.x) {
        const u32 lane = i / (16 * ROWS), chain = i % (16 * ROWS);
        const float *from = d + lane * stride + chain % ROWS;
        float sum = 0.0f;
        for (u32 j = chain / ROWS; j < n; j += 16) sum += from[j * LD];
        scratch[lane * stride + chain] = sum;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * ROWS; i += blockDim.x) {
        float *lanes = scratch + i / ROWS * stride;
        lanes[16 * ROWS + i % ROWS] = __fdiv_rn(tree16<ROWS>(lanes, i % ROWS), (float)n);
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * 16 * ROWS; i += blockDim.x) {
        const u32 lane = i / (16 * ROWS), chain = i % (16 * ROWS), r = chain % ROWS;
        const float *from = d + lane * stride + r, *xhat = g.tape.xhat + nets.at(lane, before, n) + (u64)r * n;
        float sum = 0.0f;
        for (u32 j = chain / ROWS; j < n && r < count; j += 16) sum = fma_(from[j * LD], xhat[j], sum);
        scratch[lane * stride + chain] = sum;
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < all * n * count; i += blockDim.x) {
        const u32 lane = i / (n * count), at = i % (n * count), r = at / n, j = at % n;
        const float *lanes = scratch + lane * stride;
        const float slope = __fdiv_rn(tree16<ROWS>(lanes, r), (float)n);
        const float xhat = g.tape.xhat[nets.at(lane, before, n) + at], inv = g.tape.inv_std[nets.row(lane, index) + r];
        float *v = d + lane * stride + j * LD + r;
        *v = fma_(xhat, -slope, *v - lanes[16 * ROWS + r]) * inv;
    }
    __syncthreads();
}

// Gradient of output `a` of a row.
INLINE float output_grad(const RowsGroup &g, const Known &known, u32 critic, u32 action, u32 a) {
    if (known.state != VALID) return 0.0f;
    const float grad = critic == 0 ? known.q[0] : known.q[1];
    if (!g.net.dueling) return a == action ? grad : 0.0f;
    if (a == g.net.n_actions) return grad;
    const float share = __fdiv_rn(-grad, (float)g.net.n_actions);
    return a == action ? share + grad : share;
}

// Gradients of all layers' sums, of a group's rows of samples `first..first + n`.
template <int ROWS, class Product>
INLINE void gradients_of(const RowsGroup &g, u32 first, u32 n, float *memory, const Known *rows) {
    const int LD = Tile<ROWS>::LD;
    const Network &net = g.net;
    const u32 per_set = g.n_agents / g.n_sets, out = net.width[net.n_layers], stride = net_floats<ROWS>(net);
    const u32 lanes = g.sets * g.passes, all = g.n_critics * g.n_sets;
    for (u32 m = 0; m < all; m += lanes) {
        for (u32 r0 = 0; r0 < n * per_set; r0 += ROWS) {
            const u32 count = min_(ROWS, n * per_set - r0);
            const Backs nets = {g, m, min_(lanes, all - m), first * per_set + r0};
            float *here = memory, *there = memory + net.max_width * LD, *scratch = memory + norm_at<ROWS>(net);
            for (u32 i = threadIdx.x; i < nets.count * out * ROWS; i += blockDim.x) {
                const u32 lane = i / (out * ROWS), r = i / out % ROWS, a = i % out;
                float grad = 0.0f;
                if (r < count) {
                    const u32 index = (nets.first + r) * g.n_sets + (m + lane) % g.n_sets;
                    const Known &known = rows[index - first * g.n_agents];
                    const u32 action = known.state == VALID ? action_of(g, row_of(g, index)) : 0;
                    grad = output_grad(g, known, (m + lane) / g.n_sets, action, a);
                    g.d_out[((u64)(m + lane) * g.rows + nets.first + r) * out + a] = grad;
                }
                here[lane * stride + a * LD + r] = grad;
            }
            __syncthreads();
            for (u32 index = net.n_layers - 1; index > 0; index--) {
                u32 before;
                const Layer layer = layer_at(net, index, &before);
                const u32 k = layer.k;
                before -= k; // that of the layer below
                dense_back<ROWS>(Product(), nets, layer, here, there, stride);
                __syncthreads();
                for (u32 i = threadIdx.x; i < nets.count * k * count; i += blockDim.x) {
                    const u32 lane = i / (k * count), of = i % (k * count);
                    const u64 at = nets.at(lane, before, k) + of;
                    const float h = g.tape.h[at];
                    float *v = there + lane * stride + of % k * LD + of / k;
                    *v = net.tanh ? *v * fma_(h, -h, 1.0f) : h > 0.0f ? *v : 0.0f;
                    if (net.norm) g.d_norm[at] = *v;
                }
                __syncthreads();
                if (net.norm) {
                    u32 unused;
                    const Layer below = layer_at(net, index - 1, &unused);
                    norm_back<ROWS>(nets, below, index - 1, before, count, there, scratch, stride);
                }
                for (u32 i = threadIdx.x; i < nets.count * k * count; i += blockDim.x) {
                    const u32 lane = i / (k * count), of = i % (k * count);
                    g.dz[nets.at(lane, before, k) + of] = there[lane * stride + of % k * LD + of / k];
                }
                float *swap = here;
                here = there;
                there = swap;
                __syncthreads();
            }
        }
    }
}

// Block `block` of all: `args.samples` samples of every group.
template <int ROWS, class Product = Strict> INLINE void rows_of_step(const RowsArgs &args, StepIo *io, u32 block) {
    DYNAMIC_SHARED(float, memory);
    const u32 first = block * args.samples, n = min_(args.samples, args.batch - first);
    Known *rows = (Known *)(memory + args.row_at);
    for (u32 i = 0; i < args.n_groups; i++) {
        const RowsGroup &g = args.groups[i];
        values_of<ROWS, Product>(args, g, first, n, memory, rows + g.first_agent * args.samples);
    }
    for (u32 i = threadIdx.x; i < n; i += blockDim.x) {
        if (args.sum_mixer)
            td_sum(args, io, rows, first, i);
        else
            td_independent(args, io, rows, first, i);
    }
    __syncthreads();
    for (u32 i = 0; i < args.n_groups; i++) {
        const RowsGroup &g = args.groups[i];
        gradients_of<ROWS, Product>(g, first, n, memory, rows + g.first_agent * args.samples);
    }
}
