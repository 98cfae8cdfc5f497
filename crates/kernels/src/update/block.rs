//! A block of samples: forward passes, targets and losses, and gradients of the rows. Everything here is separate
//! by sample, so several threads may each take some samples of a block.

use super::GroupBatch;
use super::cpu::GroupPlan;
use super::tree::PairTree;
use crate::buffer::Buffer;
use crate::mlp::{Tape, backward_rows, forward_rows, infer_rows};
use crate::td::{argmax_legal, dueling_q, q_grad, td_target};
use crate::{Error, Isa, Loss, Mixer};
use std::ops::Range;

/// Scratch of one group for the samples of a block. Rows of a network (critic `c`, set `s`) are `(sample, agent of
/// the set)`.
#[derive(Debug, Default)]
pub(super) struct GroupLane {
    /// One a network `[C, S]`.
    pub(super) tapes: Vec<Tape>,
    /// Outputs on `obs`, `[C, S, rows, out]`.
    q: Buffer,
    /// Gradients of those.
    pub(super) d_out: Buffer,
    /// Outputs of critic 0 on `next_obs`, `[S, rows, out]`.
    next_online: Buffer,
    /// Outputs of the targets on `next_obs`, `[C, S, rows, out]`.
    next_target: Buffer,
    /// Observations with invalid rows zeroed `[S, rows, D]`; used only if there are such rows.
    clean: Buffer,
    /// Hidden activations of passes that keep nothing: two of the widest layer, one for the norm.
    ping: Buffer,
    pong: Buffer,
    norm: Buffer,
    /// Rows of a network.
    rows: usize,
}

impl GroupLane {
    fn fit(&mut self, group: &GroupBatch<'_>, plan: &GroupPlan, samples: usize) {
        let mlp = &group.shape.mlp;
        let rows = samples * plan.agents_per_set;
        let nets = group.n_critics * group.n_sets;
        self.rows = rows;
        if self.tapes.len() < nets {
            self.tapes.resize_with(nets, Tape::default);
        }
        for tape in &mut self.tapes[..nets] {
            tape.fit(mlp, rows);
        }
        self.q.fit(nets * rows * mlp.output);
        self.d_out.fit(nets * rows * mlp.output);
        self.next_online.fit(group.n_sets * rows * mlp.output);
        self.next_target.fit(nets * rows * mlp.output);
        if plan.has_invalid {
            self.clean.fit(group.n_sets * rows * mlp.input);
        }
        let width = mlp.max_width();
        self.ping.fit(rows * width);
        self.pong.fit(rows * width);
        self.norm.fit(if mlp.layer_norm { rows * (width + 1) } else { 0 });
    }

    /// Place of row `row` of network `net` in a buffer `[C, S, rows, width]`.
    pub(super) fn at(&self, net: usize, row: usize, width: usize) -> usize {
        (net * self.rows + row) * width
    }

    /// Observations of rows `rows` of a set, of the block that starts at sample `first`.
    pub(super) fn input<'a>(
        &'a self,
        group: &GroupBatch<'a>,
        plan: &GroupPlan,
        set: usize,
        first: usize,
        rows: Range<usize>,
    ) -> (&'a [f32], usize) {
        let (d, row) = (group.shape.mlp.input, rows.start);
        if plan.has_invalid {
            let at = (set * self.rows + row) * d;
            // SAFETY: rows are cleaned before anyone reads them, by the thread that owns their samples.
            return (unsafe { self.clean.view(at, rows.len() * d) }, d);
        }
        (&group.obs[((first * plan.agents_per_set + row) * group.n_sets + set) * d..], group.n_sets * d)
    }
}

/// Scratch of one thread.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) groups: Vec<GroupLane>,
    pub(super) trees: Vec<PairTree>,
}

impl Lane {
    pub(super) fn fit(&mut self, groups: &[GroupBatch<'_>], plans: &[GroupPlan], samples: usize) {
        if self.groups.len() < groups.len() {
            self.groups.resize_with(groups.len(), GroupLane::default);
            self.trees.resize_with(groups.len(), PairTree::default);
        }
        for ((lane, group), plan) in self.groups.iter_mut().zip(groups).zip(plans) {
            lane.fit(group, plan, samples);
        }
    }
}

/// What is the same for all blocks of an update.
pub(super) struct Job<'a, 'g> {
    pub(super) isa: Isa,
    pub(super) groups: &'a [GroupBatch<'g>],
    pub(super) plans: &'a [GroupPlan],
    pub(super) weight: &'a [f32],
    pub(super) team_reward: &'a [f32],
    pub(super) team_discount: &'a [f32],
    pub(super) double_q: bool,
    pub(super) mixer: Mixer,
    pub(super) loss: Loss,
    pub(super) batch: usize,
}

/// One row as the rules see it: where it lies and whether it counts.
#[derive(Clone, Copy)]
struct Row {
    /// Index into `[B, A]`.
    index: usize,
    set: usize,
    /// Row of its network in the block.
    local: usize,
}

impl Job<'_, '_> {
    /// Samples `range` of the block that starts at sample `first`: leaves tapes and gradients of outputs in `lane`,
    /// writes `priority` and the four `sums` of each sample of the range.
    pub(super) fn rows(
        &self,
        lane: &[GroupLane],
        first: usize,
        range: Range<usize>,
        priority: &mut [f32],
        sums: &mut [f32],
    ) -> Result<(), Error> {
        for (g, lane) in lane.iter().enumerate().take(self.groups.len()) {
            self.forward(lane, g, first, range.clone());
        }
        for (i, sample) in range.clone().enumerate() {
            let sums = &mut sums[4 * i..4 * i + 4];
            priority[i] = match self.mixer {
                Mixer::Independent => self.independent(lane, first, sample, sums)?,
                Mixer::Sum => self.sum(lane, first, sample, sums)?,
            };
        }
        for (g, lane) in lane.iter().enumerate().take(self.groups.len()) {
            self.backward(lane, g, range.clone());
        }
        Ok(())
    }

    fn forward(&self, lane: &GroupLane, g: usize, first: usize, range: Range<usize>) {
        let (group, plan) = (&self.groups[g], &self.plans[g]);
        let mlp = &group.shape.mlp;
        let (p, d, out) = (mlp.param_count(), mlp.input, mlp.output);
        let (row, count) = (range.start * plan.agents_per_set, range.len() * plan.agents_per_set);
        if plan.has_invalid {
            clean(group, plan, lane, first, range);
        }
        for net in 0..group.n_critics * group.n_sets {
            let (set, critic) = (net % group.n_sets, net / group.n_sets);
            let params = &group.params[net * p..(net + 1) * p];
            // SAFETY: rows of the range belong to this thread, in all buffers of the lane.
            let part = |buffer, net| unsafe { part_of(buffer, lane.at(net, row, out), count * out) };
            let q = part(&lane.q, net);
            let x = lane.input(group, plan, set, first, row..row + count);
            forward_rows(self.isa, mlp, params, x, row, count, &lane.tapes[net], q);
            self.dueling(group, q);
            let next = &group.next_obs[((first * plan.agents_per_set + row) * group.n_sets + set) * d..];
            let target = &group.target_params[net * p..(net + 1) * p];
            let infer = |params, q: &mut [f32]| {
                let width = mlp.max_width();
                let norm = if mlp.layer_norm { width + 1 } else { 0 };
                // SAFETY: as above.
                let scratch = unsafe {
                    [
                        lane.ping.part(row * width, count * width),
                        lane.pong.part(row * width, count * width),
                        lane.norm.part(row * norm, count * norm),
                    ]
                };
                infer_rows(self.isa, mlp, params, (next, group.n_sets * d), count, scratch, q);
                self.dueling(group, q);
            };
            infer(target, part(&lane.next_target, net));
            if self.double_q && critic == 0 {
                infer(params, part(&lane.next_online, set));
            }
            if critic == 1 {
                // The lower critic counts: keep it in the place of the first.
                let lower = part(&lane.next_target, set);
                for (low, &other) in lower.iter_mut().zip(&*part(&lane.next_target, net)) {
                    *low = if other < *low { other } else { *low };
                }
            }
        }
    }

    fn dueling(&self, group: &GroupBatch<'_>, q: &mut [f32]) {
        if group.shape.dueling {
            for row in q.chunks_exact_mut(group.shape.mlp.output) {
                dueling_q(row, group.shape.n_actions);
            }
        }
    }

    fn backward(&self, lane: &GroupLane, g: usize, range: Range<usize>) {
        let (group, plan) = (&self.groups[g], &self.plans[g]);
        let mlp = &group.shape.mlp;
        let (p, out) = (mlp.param_count(), mlp.output);
        let (row, count) = (range.start * plan.agents_per_set, range.len() * plan.agents_per_set);
        for net in 0..group.n_critics * group.n_sets {
            // SAFETY: written by this thread just now.
            let d_out = unsafe { lane.d_out.view(lane.at(net, row, out), count * out) };
            let params = &group.params[net * p..(net + 1) * p];
            let transposed = &plan.transposed.as_slice()[net * p..(net + 1) * p];
            backward_rows(self.isa, mlp, params, transposed, row, count, &lane.tapes[net], d_out, None);
        }
    }

    fn row(&self, g: usize, first: usize, sample: usize, agent: usize) -> Row {
        let per_set = self.plans[g].agents_per_set;
        Row {
            index: (first + sample) * self.groups[g].n_agents + agent,
            set: agent / per_set,
            local: sample * per_set + agent % per_set,
        }
    }

    /// Value of the next state of a row.
    #[inline]
    fn next_value(&self, lane: &GroupLane, g: usize, row: Row) -> Result<f32, Error> {
        let group = &self.groups[g];
        let (n, out) = (group.shape.n_actions, group.shape.mlp.output);
        let at = lane.at(row.set, row.local, out);
        // SAFETY: written by this thread before.
        let target = unsafe { lane.next_target.view(at, n) };
        // SAFETY: as above.
        let judge = if self.double_q { unsafe { lane.next_online.view(at, n) } } else { target };
        let words = if group.next_mask.is_empty() { 0 } else { n.div_ceil(32) };
        let mask = &group.next_mask[row.index * words..(row.index + 1) * words];
        match argmax_legal(judge, mask) {
            Some(best) => Ok(target[best]),
            None => Err(Error::NoLegalAction {
                env: row.index / group.n_agents,
                agent: row.index % group.n_agents,
            }),
        }
    }

    /// The action of a valid row.
    #[inline]
    fn action(&self, g: usize, row: Row) -> Result<usize, Error> {
        let group = &self.groups[g];
        let (action, n_actions) = (group.action[row.index], group.shape.n_actions);
        if (action as usize) < n_actions {
            return Ok(action as usize);
        }
        let (sample, agent) = (row.index / group.n_agents, row.index % group.n_agents);
        Err(Error::BadAction { sample, agent, action, n_actions })
    }

    /// Learned value of `action` by `critic`.
    #[inline]
    fn value(&self, lane: &GroupLane, g: usize, critic: usize, row: Row, action: usize) -> f32 {
        let group = &self.groups[g];
        let at = lane.at(critic * group.n_sets + row.set, row.local, group.shape.mlp.output);
        // SAFETY: written by this thread before.
        unsafe { lane.q.view(at + action, 1)[0] }
    }

    /// Writes the gradient of the outputs of a row: `grad` at `action`, or nothing.
    #[inline]
    fn write_grad(&self, lane: &GroupLane, g: usize, critic: usize, row: Row, grad: Option<(usize, f32)>) {
        let group = &self.groups[g];
        let out = group.shape.mlp.output;
        // SAFETY: the row belongs to this thread.
        let d = unsafe { lane.d_out.part(lane.at(critic * group.n_sets + row.set, row.local, out), out) };
        match grad {
            Some((action, grad)) => q_grad(d, group.shape.n_actions, group.shape.dueling, action, grad),
            None => d.fill(0.0),
        }
    }

    /// Each agent's own target. Returns the priority of the sample.
    fn independent(
        &self,
        lane: &[GroupLane],
        first: usize,
        sample: usize,
        sums: &mut [f32],
    ) -> Result<f32, Error> {
        let weight = self.weight[first + sample];
        let mut acc = [0.0_f32; 4];
        let mut rows = 0_u32;
        for (g, (group, lane)) in self.groups.iter().zip(lane).enumerate() {
            let share = 1.0 / group.n_critics as f32;
            for agent in 0..group.n_agents {
                let row = self.row(g, first, sample, agent);
                if !group.valid[row.index] {
                    for critic in 0..group.n_critics {
                        self.write_grad(lane, g, critic, row, None);
                    }
                    continue;
                }
                let action = self.action(g, row)?;
                let discount = group.discount[row.index];
                let next = if discount == 0.0 { 0.0 } else { self.next_value(lane, g, row)? };
                let target = td_target(group.reward[row.index], discount, next);
                let inv_valid = self.plans[g].inv_valid[row.set];
                for critic in 0..group.n_critics {
                    let q = self.value(lane, g, critic, row, action);
                    let (loss, slope) = self.loss.value_and_grad(q - target);
                    self.write_grad(lane, g, critic, row, Some((action, weight * slope * inv_valid)));
                    acc[0] += weight * loss * inv_valid;
                    acc[1] += q * share;
                    acc[2] += (q - target).abs() * share;
                }
                acc[3] += target;
                rows += 1;
            }
        }
        sums.copy_from_slice(&acc);
        Ok(if rows == 0 { 0.0 } else { acc[2] / rows as f32 })
    }

    /// The team's target. Returns the priority of the sample.
    fn sum(&self, lane: &[GroupLane], first: usize, sample: usize, sums: &mut [f32]) -> Result<f32, Error> {
        let b = first + sample;
        let discount = self.team_discount[b];
        let critics = self.groups[0].n_critics;
        let mut q_tot = [0.0_f32; 2];
        let mut next = 0.0;
        let mut any = false;
        for (g, (group, lane)) in self.groups.iter().zip(lane).enumerate() {
            for agent in 0..group.n_agents {
                let row = self.row(g, first, sample, agent);
                if group.valid[row.index] {
                    any = true;
                    let action = self.action(g, row)?;
                    for (critic, q) in q_tot[..critics].iter_mut().enumerate() {
                        *q += self.value(lane, g, critic, row, action);
                    }
                }
                if discount != 0.0 && group.discount[row.index] != 0.0 {
                    next += self.next_value(lane, g, row)?;
                }
            }
        }
        sums.fill(0.0);
        let mut grad = [0.0_f32; 2];
        let mut priority = 0.0;
        if any {
            let target = td_target(self.team_reward[b], discount, next);
            let (share, inv_batch) = (1.0 / critics as f32, 1.0 / self.batch as f32);
            for critic in 0..critics {
                let td = q_tot[critic] - target;
                let (loss, slope) = self.loss.value_and_grad(td);
                grad[critic] = self.weight[b] * slope * inv_batch;
                sums[0] += self.weight[b] * loss * inv_batch;
                sums[1] += q_tot[critic] * share;
                priority += td.abs() * share;
            }
            sums[2] = priority;
            sums[3] = target;
        }
        for (g, (group, lane)) in self.groups.iter().zip(lane).enumerate() {
            for agent in 0..group.n_agents {
                let row = self.row(g, first, sample, agent);
                for critic in 0..critics {
                    let valid = group.valid[row.index];
                    let grad = valid.then(|| (group.action[row.index] as usize, grad[critic]));
                    self.write_grad(lane, g, critic, row, grad);
                }
            }
        }
        Ok(priority)
    }
}

/// [`Buffer::part`] with its lifetimes spelled out, for closures.
///
/// # Safety
/// As there.
#[allow(clippy::mut_from_ref)]
unsafe fn part_of(buffer: &Buffer, start: usize, len: usize) -> &mut [f32] {
    // SAFETY: promised by the caller.
    unsafe { buffer.part(start, len) }
}

/// Copies observations of a range of samples, invalid rows as zeros, so that their numbers cannot reach a gradient.
fn clean(group: &GroupBatch<'_>, plan: &GroupPlan, lane: &GroupLane, first: usize, range: Range<usize>) {
    let d = group.shape.mlp.input;
    for set in 0..group.n_sets {
        for local in range.start * plan.agents_per_set..range.end * plan.agents_per_set {
            let index = (first * plan.agents_per_set + local) * group.n_sets + set;
            // SAFETY: the row belongs to this thread.
            let out = unsafe { lane.clean.part((set * lane.rows + local) * d, d) };
            match group.valid[index] {
                true => out.copy_from_slice(&group.obs[index * d..(index + 1) * d]),
                false => out.fill(0.0),
            }
        }
    }
}
