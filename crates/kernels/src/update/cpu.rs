//! `update` on the CPU: samples in blocks, each through [`super::block`], and the trees of gradients.

use super::block::{Job, Lane};
use super::tree::PairTree;
use super::{Update, UpdateStats};
use crate::buffer::{Buffer, Shared};
use crate::mlp::{CHUNK_ROWS, grads_rows, transpose_weights};
use crate::{Cpu, Error, Mixer};

/// What an update needs to know of a group beyond its buffers.
#[derive(Debug, Default)]
pub(super) struct GroupPlan {
    /// Samples of a chunk.
    pub(super) chunk: usize,
    /// Agents that share a parameter set.
    pub(super) agents_per_set: usize,
    /// `1 / n` for the `n` valid rows of each set, 0 if it has none.
    pub(super) inv_valid: Vec<f32>,
    /// Whether some row is not valid.
    pub(super) has_invalid: bool,
    /// Weights transposed, at the offsets of `params`.
    pub(super) transposed: Buffer,
}

/// Memory of [`crate::Backend::update`]; grows on first use and is then kept.
#[derive(Debug, Default)]
pub struct UpdateScratch {
    plans: Vec<GroupPlan>,
    lanes: Vec<Lane>,
    trees: Vec<PairTree>,
    /// Per sample: loss, value, `|td|`, target, each summed over its terms.
    sums: Buffer,
}

impl UpdateScratch {
    /// Empty scratch.
    pub fn new() -> Self {
        Self::default()
    }

    fn plan(&mut self, call: &Update<'_, '_>) {
        let n = call.groups.len();
        if self.plans.len() < n {
            self.plans.resize_with(n, GroupPlan::default);
            self.trees.resize_with(n, PairTree::default);
        }
        for (plan, group) in self.plans.iter_mut().zip(call.groups.iter()) {
            let per_chunk = (CHUNK_ROWS / group.n_agents).max(1);
            plan.chunk = 1 << per_chunk.ilog2();
            plan.agents_per_set = group.n_agents / group.n_sets;
            plan.inv_valid.clear();
            let mut all = 0;
            for set in 0..group.n_sets {
                let valid = group
                    .valid
                    .chunks_exact(plan.agents_per_set)
                    .skip(set)
                    .step_by(group.n_sets)
                    .map(|rows| rows.iter().filter(|&&v| v).count())
                    .sum::<usize>();
                all += valid;
                plan.inv_valid.push(if valid == 0 { 0.0 } else { 1.0 / valid as f32 });
            }
            plan.has_invalid = all < group.valid.len();
            let p = group.shape.param_count();
            plan.transposed.fit(group.params.len());
            let out = plan.transposed.as_mut_slice();
            for (w, out) in group.params.chunks_exact(p).zip(out.chunks_exact_mut(p)) {
                transpose_weights(&group.shape.mlp, w, out, false);
            }
        }
    }
}

pub(super) fn update(
    cpu: &mut Cpu,
    scratch: &mut UpdateScratch,
    call: &mut Update<'_, '_>,
) -> Result<UpdateStats, Error> {
    scratch.plan(call);
    let n_groups = call.groups.len();
    let batch = call.batch;
    let plans = &scratch.plans[..n_groups];
    // A block is a chunk of the group with the longest chunks; others have several in it.
    let block = plans.iter().map(|p| p.chunk).max().unwrap_or(1).min(batch.max(1));
    if scratch.lanes.is_empty() {
        scratch.lanes.push(Lane::default());
    }
    scratch.lanes[0].fit(call.groups, plans, block);
    scratch.sums.fit(4 * batch);
    for ((tree, plan), group) in scratch.trees.iter_mut().zip(plans).zip(call.groups.iter()) {
        tree.start(batch.div_ceil(plan.chunk), group.grads.len());
    }
    for first in (0..batch).step_by(block) {
        let count = block.min(batch - first);
        let lane = &scratch.lanes[0];
        let job = Job {
            isa: cpu.isa,
            groups: call.groups,
            plans,
            weight: call.weight,
            team_reward: call.team_reward,
            team_discount: call.team_discount,
            double_q: call.double_q,
            mixer: call.mixer,
            loss: call.loss,
            batch,
        };
        let priority = &mut call.priority[first..first + count];
        let sums = &mut scratch.sums.as_mut_slice()[4 * first..4 * (first + count)];
        job.rows(lane, first, 0..count, priority, sums)?;
        for (g, (plan, tree)) in plans.iter().zip(&mut scratch.trees).enumerate() {
            let group = &mut call.groups[g];
            let grads = std::mem::take(&mut group.grads);
            for from in (0..count).step_by(plan.chunk) {
                let len = plan.chunk.min(count - from);
                tree.push(cpu.isa, grads, |out| {
                    chunk_grads(cpu.isa, group, plan, lane, g, first, from..from + len, out);
                });
            }
            group.grads = grads;
        }
    }
    for (tree, group) in scratch.trees.iter_mut().zip(call.groups.iter_mut()) {
        tree.finish(cpu.isa, group.grads);
    }
    Ok(stats(call, scratch.sums.as_slice()))
}

/// Gradients of one chunk of one group: samples `range` of the block that starts at sample `first`.
#[allow(clippy::too_many_arguments)]
fn chunk_grads(
    isa: crate::Isa,
    group: &super::GroupBatch<'_>,
    plan: &GroupPlan,
    lane: &Lane,
    g: usize,
    first: usize,
    range: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let shape = group.shape;
    let p = shape.param_count();
    let rows = range.start * plan.agents_per_set..range.end * plan.agents_per_set;
    let scratch = &lane.groups[g];
    for (i, out) in out.chunks_exact_mut(p).enumerate() {
        let x = scratch.input(group, plan, i % group.n_sets, first, rows.clone());
        // SAFETY: the gradients of the outputs were written before and are only read now.
        let d_out = unsafe {
            scratch.d_out.view(scratch.at(i, rows.start, shape.mlp.output), rows.len() * shape.mlp.output)
        };
        let tape = &scratch.tapes[i];
        let out = Shared::new(out);
        grads_rows(isa, &shape.mlp, x, rows.start, rows.len(), tape, d_out, &out, (0, 1));
    }
}

fn stats(call: &Update<'_, '_>, sums: &[f32]) -> UpdateStats {
    let mut total = [0.0_f64; 4];
    for sample in sums.chunks_exact(4).take(call.batch) {
        for (t, &v) in total.iter_mut().zip(sample) {
            *t += f64::from(v);
        }
    }
    let terms = match call.mixer {
        Mixer::Independent => {
            call.groups.iter().map(|g| g.valid.iter().filter(|&&v| v).count()).sum::<usize>()
        }
        Mixer::Sum => (0..call.batch)
            .filter(|&b| {
                call.groups.iter().any(|g| g.valid[b * g.n_agents..(b + 1) * g.n_agents].contains(&true))
            })
            .count(),
    };
    let mean = |v: f64| if terms == 0 { 0.0 } else { (v / terms as f64) as f32 };
    UpdateStats {
        loss: total[0] as f32,
        q_mean: mean(total[1]),
        td_abs_mean: mean(total[2]),
        target_mean: mean(total[3]),
    }
}
