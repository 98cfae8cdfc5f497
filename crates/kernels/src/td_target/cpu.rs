//! Next values on the CPU: blocks of samples through the networks, then the choice row by row; and targets of them.

use super::{NextGroup, TdTarget, TdTargetScratch};
use crate::buffer::{Buffer, Shared};
use crate::mlp::infer_rows;
use crate::td::{argmax_legal, dueling_q, td_target};
use crate::{Cpu, Error, Isa};
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of a block, as in `act`.
const BLOCK_ROWS: usize = 96;

/// Floats of scratch for `samples` samples of a group: two buffers of the widest layer, a norm, and values of both networks.
fn lane_len(group: &NextGroup<'_>, samples: usize) -> usize {
    let (rows, mlp) = (samples * group.n_agents / group.n_sets, &group.shape.mlp);
    let norm = if mlp.layer_norm { mlp.max_width() + 1 } else { 0 };
    rows * (2 * mlp.max_width() + norm + 2 * mlp.output)
}

/// A row without a legal action, as a number with the order of (sample, agent of all groups).
pub(super) fn code_of(sample: usize, agent: usize) -> u64 {
    (sample as u64) << 32 | agent as u64
}

/// The error behind the lowest number.
pub(super) fn named(code: u64) -> Result<(), Error> {
    match code {
        u64::MAX => Ok(()),
        _ => Err(Error::NoLegalAction { env: (code >> 32) as usize, agent: code as u32 as usize }),
    }
}

/// Writes the next values of all agents to `scratch.next`.
pub(super) fn next_values(
    cpu: &mut Cpu,
    scratch: &mut TdTargetScratch,
    call: &TdTarget<'_, '_>,
) -> Result<(), Error> {
    let (agents, batch) = (call.n_agents(), call.batch);
    let passes = |g: &NextGroup<'_>| g.n_critics + usize::from(call.double_q);
    let work: usize = call.groups.iter().map(|g| passes(g) * g.n_agents * g.shape.mlp.multiply_adds()).sum();
    let parts = cpu.parts(batch * work);
    let block = batch.div_ceil(parts).min(BLOCK_ROWS.div_ceil(agents)).max(1);
    let threads = cpu.team.threads();
    if scratch.lanes.len() < threads {
        scratch.lanes.resize_with(threads, Buffer::new);
    }
    let len = call.groups.iter().map(|g| lane_len(g, block)).max().unwrap_or(0);
    scratch.lanes.iter_mut().for_each(|lane| lane.fit(len));
    scratch.next.resize(batch * agents, 0.0);
    let (lanes, next) = (Shared::new(&mut scratch.lanes), Shared::new(&mut scratch.next));
    let (isa, error) = (cpu.isa, AtomicU64::new(u64::MAX));
    cpu.run(parts, batch.div_ceil(block), &|b, thread| {
        let (first, count) = (b * block, block.min(batch - b * block));
        // SAFETY: each thread has a number, and a lane, of its own; a sample belongs to one block.
        let (lane, next) =
            unsafe { (&mut lanes.part(thread, 1)[0], next.part(first * agents, count * agents)) };
        let mut before = 0;
        for (g, group) in call.groups.iter().enumerate() {
            for set in 0..group.n_sets {
                let bad =
                    values(isa, call, g, (set, first, count), lane.as_mut_slice(), (before, agents), next);
                error.fetch_min(bad, Ordering::Relaxed);
            }
            before += group.n_agents;
        }
    });
    named(error.into_inner())
}

/// Next values of `count` samples of one set of a group from sample `first` on, into `next` `[count, agents]` from column
/// `before` on. Returns the lowest row without a legal action.
fn values(
    isa: Isa,
    call: &TdTarget<'_, '_>,
    g: usize,
    (set, first, count): (usize, usize, usize),
    lane: &mut [f32],
    (before, agents): (usize, usize),
    next: &mut [f32],
) -> u64 {
    let group = &call.groups[g];
    let (n, mlp) = (group.shape.n_actions, &group.shape.mlp);
    let (p, d, out) = (mlp.param_count(), mlp.input, mlp.output);
    let per_set = group.n_agents / group.n_sets;
    let rows = count * per_set;
    let (low, lane) = lane.split_at_mut(rows * out);
    let (judge, lane) = lane.split_at_mut(rows * out);
    let (ping, lane) = lane.split_at_mut(rows * mlp.max_width());
    let (pong, norm) = lane.split_at_mut(rows * mlp.max_width());
    let x = &group.next_obs[(first * per_set * group.n_sets + set) * d..];
    let mut infer = |params: &[f32], net: usize, q: &mut [f32]| {
        let scratch = [&mut *ping, &mut *pong, &mut *norm];
        infer_rows(isa, mlp, &params[net * p..(net + 1) * p], (x, group.n_sets * d), rows, scratch, q);
        if group.shape.dueling {
            q.chunks_exact_mut(out).for_each(|row| dueling_q(row, n));
        }
    };
    infer(group.target_params, set, low);
    if group.n_critics == 2 {
        infer(group.target_params, group.n_sets + set, judge);
        for (low, &other) in low.iter_mut().zip(&*judge) {
            *low = if other < *low { other } else { *low };
        }
    }
    if call.double_q {
        infer(group.params, set, judge);
    }
    let judge = if call.double_q { &*judge } else { &*low };
    let words = if group.next_mask.is_empty() { 0 } else { group.shape.mask_words() };
    let mut bad = u64::MAX;
    for (i, (judge, low)) in judge.chunks_exact(out).zip(low.chunks_exact(out)).enumerate() {
        let index = (first * per_set + i) * group.n_sets + set;
        let (sample, agent) = (index / group.n_agents, index % group.n_agents);
        let place = &mut next[(sample - first) * agents + before + agent];
        *place = 0.0;
        if call.counts(group, index) {
            let mask = &group.next_mask[index * words..(index + 1) * words];
            match argmax_legal(&judge[..n], mask) {
                Some(best) => *place = low[best],
                None => bad = bad.min(code_of(sample, before + agent)),
            }
        }
    }
    bad
}

/// Targets of each agent.
pub(super) fn own_targets(call: &mut TdTarget<'_, '_>, next: &[f32]) {
    let agents = call.n_agents();
    let mut before = 0;
    for group in call.groups {
        for (index, (&reward, &discount)) in group.reward.iter().zip(group.discount).enumerate() {
            let at = index / group.n_agents * agents + before + index % group.n_agents;
            call.target[at] = td_target(reward, discount, next[at]);
        }
        before += group.n_agents;
    }
}

/// Targets of the team.
pub(super) fn team_targets(reward: &[f32], discount: &[f32], next: &[f32], target: &mut [f32]) {
    for (((target, &reward), &discount), &next) in target.iter_mut().zip(reward).zip(discount).zip(next) {
        *target = td_target(reward, discount, next);
    }
}
