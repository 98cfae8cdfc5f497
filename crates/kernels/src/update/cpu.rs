//! `update` on the CPU: samples in blocks, each through [`super::block`], and the trees of gradients. With several
//! threads either each takes stretches of blocks, or, where there are few, all share each block: samples of it
//! first, then parts of the gradient. Neither changes the order of a sum.

use super::block::{GroupLane, Job, Lane};
use super::{GroupBatch, Update, UpdateStats};
use crate::blocks::{BLOCK, BlockTree, LANES, tree_of_lanes};
use crate::buffer::{Buffer, Shared};
use crate::chunks::stretch_of;
use crate::mlp::{CHUNK_ROWS, grads_rows, transpose_weights};
use crate::team::Team;
use crate::{Cpu, Error, Mixer, rows};
use std::ops::Range;
use std::sync::Mutex;

/// The caller's gradients of a group, taken apart from the rest of the group so that threads can share that.
#[derive(Debug)]
struct Root {
    ptr: *mut f32,
    len: usize,
}

// SAFETY: the slice behind it is lent exclusively for the length of an update, and `slice` says who may use it.
unsafe impl Send for Root {}
// SAFETY: as above.
unsafe impl Sync for Root {}

impl Default for Root {
    fn default() -> Self {
        Self { ptr: std::ptr::null_mut(), len: 0 }
    }
}

impl Root {
    /// # Safety
    /// The update that set it still runs, and nobody else uses the gradients.
    #[allow(clippy::mut_from_ref)]
    unsafe fn slice(&self) -> &mut [f32] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.ptr, self.len) }
    }
}

/// What an update needs to know of a group beyond its buffers.
#[derive(Debug, Default)]
pub(super) struct GroupPlan {
    /// Samples of a chunk.
    pub(super) chunk: usize,
    /// Agents that share a parameter set.
    pub(super) agents_per_set: usize,
    /// Valid rows of each set, `n`.
    n_valid: Vec<u32>,
    /// `1 / n`, 0 if a set has none.
    pub(super) inv_valid: Vec<f32>,
    /// Whether some row is not valid.
    pub(super) has_invalid: bool,
    /// Weights transposed, at the offsets of `params`.
    pub(super) transposed: Buffer,
    root: Root,
    /// Sums of all stretches of blocks but the first, if threads work apart.
    partials: Buffer,
}

/// Samples of a chunk of a group of so many agents.
pub(super) fn samples_of_chunk(n_agents: usize) -> usize {
    1 << (CHUNK_ROWS / n_agents).max(1).ilog2()
}

/// Appends the number of valid rows of each set to `counts`.
pub(crate) fn count_valid(group: &GroupBatch<'_>, counts: &mut Vec<u32>) {
    let agents_per_set = group.n_agents / group.n_sets;
    for set in 0..group.n_sets {
        let of_set = group.valid.chunks_exact(agents_per_set).skip(set).step_by(group.n_sets);
        let valid: usize = of_set.map(|rows| rows.iter().filter(|&&v| v).count()).sum();
        counts.push(valid as u32);
    }
}

impl GroupPlan {
    fn set(&mut self, group: &mut GroupBatch<'_>) {
        self.chunk = samples_of_chunk(group.n_agents);
        self.agents_per_set = group.n_agents / group.n_sets;
        self.n_valid.clear();
        count_valid(group, &mut self.n_valid);
        self.inv_valid.clear();
        self.inv_valid.extend(self.n_valid.iter().map(|&n| if n == 0 { 0.0 } else { 1.0 / n as f32 }));
        self.has_invalid = self.n_valid.iter().sum::<u32>() as usize != group.valid.len();
        let p = group.shape.param_count();
        self.transposed.fit(group.params.len());
        let out = self.transposed.as_mut_slice();
        for (w, out) in group.params.chunks_exact(p).zip(out.chunks_exact_mut(p)) {
            transpose_weights(&group.shape.mlp, w, out, false);
        }
        self.root = Root { ptr: group.grads.as_mut_ptr(), len: group.grads.len() };
    }
}

/// Memory of [`crate::Backend::update`]; grows on first use and is then kept.
#[derive(Debug, Default)]
pub struct UpdateScratch {
    plans: Vec<GroupPlan>,
    lanes: Vec<Lane>,
    /// Per sample: loss, value, `|td|`, target, each summed over its terms.
    sums: Buffer,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    pub(super) gpu: super::cuda::UpdateMemory,
}

impl UpdateScratch {
    /// Empty scratch.
    pub fn new() -> Self {
        Self::default()
    }
}

pub(super) fn update(
    cpu: &mut Cpu,
    scratch: &mut UpdateScratch,
    call: &mut Update<'_, '_>,
) -> Result<UpdateStats, Error> {
    let UpdateScratch { plans, lanes, sums, .. } = scratch;
    let (batch, n_groups) = (call.batch, call.groups.len());
    if plans.len() < n_groups {
        plans.resize_with(n_groups, GroupPlan::default);
    }
    let plans = &mut plans[..n_groups];
    let mut work = 0;
    for (plan, group) in plans.iter_mut().zip(call.groups.iter_mut()) {
        plan.set(group);
        // Forward of three networks, and twice that of one for its backward pass.
        work += 5 * group.n_critics * group.n_agents * batch * group.shape.mlp.multiply_adds();
    }
    // A block is a chunk of the group with the longest chunks; others have several in it.
    let block = plans.iter().map(|p| p.chunk).max().unwrap_or(1).min(batch.max(1));
    let blocks = batch.div_ceil(block);
    let threads = cpu.parts(work);
    let apart = threads > 1 && (blocks.is_multiple_of(threads) || blocks >= 4 * threads);
    let n_lanes = if apart { cpu.team.threads() } else { 1 };
    if lanes.len() < n_lanes {
        lanes.resize_with(n_lanes, Lane::default);
    }
    let stretch = stretch_of(blocks, threads);
    for lane in &mut lanes[..n_lanes] {
        lane.fit(call.groups, plans, block);
        // Here, because which thread begins which stretch is not fixed, and nothing may grow in a later update.
        for (tree, plan) in lane.trees.iter_mut().zip(plans.iter()) {
            tree.start(stretch * block.div_ceil(plan.chunk), plan.root.len);
        }
    }
    sums.fit(4 * batch);
    if apart {
        for plan in plans.iter_mut() {
            plan.partials.fit((blocks.div_ceil(stretch) - 1) * plan.root.len);
        }
    }
    let run = Run {
        job: Job {
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
        },
        block,
        priority: Shared::new(call.priority),
        sums: Shared::new(sums.as_mut_slice()),
        error: Mutex::new(None),
    };
    if apart {
        run.apart(&mut cpu.team, lanes, stretch);
    } else {
        run.together(&mut cpu.team, &mut lanes[0], threads);
    }
    match run.error.into_inner() {
        Ok(None) => Ok(stats(call, scratch.sums.as_slice())),
        Ok(Some((_, error))) => Err(error),
        Err(_) => unreachable!("a panic of a part ends the update"),
    }
}

/// One update on its way.
struct Run<'a, 'g> {
    job: Job<'a, 'g>,
    block: usize,
    priority: Shared<'a, f32>,
    sums: Shared<'a, f32>,
    /// The error of the lowest samples, and where those begin.
    error: Mutex<Option<(usize, Error)>>,
}

impl Run<'_, '_> {
    /// Samples of block `b`: the first, and how many.
    fn samples(&self, b: usize) -> (usize, usize) {
        let first = b * self.block;
        (first, self.block.min(self.job.batch - first))
    }

    /// Samples `range` of the block at `first`. Only one thread at a time may do a sample.
    fn rows(&self, lane: &[GroupLane], first: usize, range: Range<usize>) {
        let (start, len) = (first + range.start, range.len());
        // SAFETY: the samples belong to this thread.
        let (priority, sums) =
            unsafe { (self.priority.part(start, len), self.sums.part(4 * start, 4 * len)) };
        if let Err(error) = self.job.rows(lane, first, range, priority, sums)
            && let Ok(mut slot) = self.error.lock()
            && slot.as_ref().is_none_or(|(at, _)| start < *at)
        {
            *slot = Some((start, error));
        }
    }

    /// Chunks of group `g` in a block of `count` samples, as ranges of its samples.
    fn chunks(&self, g: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
        let chunk = self.job.plans[g].chunk;
        (0..count).step_by(chunk).map(move |from| from..count.min(from + chunk))
    }

    /// All threads share each block.
    fn together(&self, team: &mut Team, lane: &mut Lane, threads: usize) {
        let Lane { groups: lane, trees } = lane;
        let isa = self.job.isa;
        let plans = self.job.plans;
        for (tree, plan) in trees.iter_mut().zip(plans) {
            tree.start(self.job.batch.div_ceil(plan.chunk), plan.root.len);
        }
        for b in 0..self.job.batch.div_ceil(self.block) {
            let (first, count) = self.samples(b);
            let parts = threads.min(count);
            team.run(parts, &|part, _| {
                self.rows(lane, first, count * part / parts..count * (part + 1) / parts);
            });
            for (g, (plan, tree)) in plans.iter().zip(&mut *trees).enumerate() {
                for range in self.chunks(g, count) {
                    // SAFETY: no part is running, so this thread alone uses the gradients.
                    tree.push(isa, unsafe { plan.root.slice() }, |out| {
                        let out = Shared::new(out);
                        team.run(threads, &|part, _| {
                            self.chunk_grads(lane, g, first, range.clone(), &out, (part, threads));
                        });
                    });
                }
            }
        }
        for (tree, plan) in trees.iter_mut().zip(plans) {
            // SAFETY: as above.
            tree.finish(isa, unsafe { plan.root.slice() });
        }
    }

    /// Threads take stretches of blocks.
    fn apart(&self, team: &mut Team, lanes: &mut [Lane], stretch: usize) {
        let isa = self.job.isa;
        let plans = self.job.plans;
        let blocks = self.job.batch.div_ceil(self.block);
        let stretches = blocks.div_ceil(stretch);
        let lanes = Shared::new(lanes);
        // SAFETY: stretch `s` is done once, by one thread, and the sums over stretches come after all are done.
        let root = |plan: &GroupPlan, s: usize| unsafe {
            match s {
                0 => part_of(plan.root.ptr, plan.root.len),
                _ => part_of(
                    plan.partials.part((s - 1) * plan.root.len, plan.root.len).as_mut_ptr(),
                    plan.root.len,
                ),
            }
        };
        team.run(stretches, &|s, thread| {
            // SAFETY: each thread has a number, and a lane, of its own.
            let Lane { groups: lane, trees } = unsafe { &mut lanes.part(thread, 1)[0] };
            let own = s * stretch..blocks.min((s + 1) * stretch);
            for (tree, plan) in trees.iter_mut().zip(plans) {
                tree.start(own.len() * self.block.div_ceil(plan.chunk), plan.root.len);
            }
            for b in own {
                let (first, count) = self.samples(b);
                self.rows(lane, first, 0..count);
                for (g, (plan, tree)) in plans.iter().zip(&mut *trees).enumerate() {
                    for range in self.chunks(g, count) {
                        tree.push(isa, root(plan, s), |out| {
                            self.chunk_grads(lane, g, first, range, &Shared::new(out), (0, 1));
                        });
                    }
                }
            }
            for (tree, plan) in trees.iter_mut().zip(plans) {
                tree.finish(isa, root(plan, s));
            }
        });
        // The upper levels of the tree, in place.
        for plan in plans {
            let mut gap = 1;
            while gap < stretches {
                for s in (0..stretches - gap).step_by(2 * gap) {
                    rows::add(isa, root(plan, s), root(plan, s + gap));
                }
                gap *= 2;
            }
        }
    }

    /// Part `share` of the gradients of one chunk of group `g`: samples `range` of the block at `first`.
    fn chunk_grads(
        &self,
        lane: &[GroupLane],
        g: usize,
        first: usize,
        range: Range<usize>,
        out: &Shared<'_, f32>,
        share: (usize, usize),
    ) {
        let (group, plan, lane) = (&self.job.groups[g], &self.job.plans[g], &lane[g]);
        let shape = &group.shape.mlp;
        let (p, width) = (shape.param_count(), shape.output);
        let rows = range.start * plan.agents_per_set..range.end * plan.agents_per_set;
        for net in 0..group.n_critics * group.n_sets {
            let x = lane.input(group, plan, net % group.n_sets, first, rows.clone());
            // SAFETY: the gradients of the outputs were written before and are only read now.
            let d_out = unsafe { lane.d_out.view(lane.at(net, rows.start, width), rows.len() * width) };
            let tape = &lane.tapes[net];
            grads_rows(self.job.isa, shape, x, rows.start, rows.len(), tape, d_out, out, net * p, share);
        }
    }
}

/// # Safety
/// `len` floats at `ptr` are valid for as long as the result is used, and used by nobody else.
unsafe fn part_of<'a>(ptr: *mut f32, len: usize) -> &'a mut [f32] {
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts_mut(ptr, len) }
}

pub(super) fn stats(call: &Update<'_, '_>, sums: &[f32]) -> UpdateStats {
    let total = totals(&sums[..4 * call.batch]);
    let terms = match call.mixer {
        Mixer::Independent => {
            call.groups.iter().map(|g| g.valid.iter().filter(|&&v| v).count()).sum::<usize>()
        }
        Mixer::Sum => samples_that_count(call.groups, call.batch),
    };
    means(total, terms)
}

/// Sums over samples of their four measures, in the order of [`crate::blocks`].
fn totals(sums: &[f32]) -> [f64; 4] {
    let mut trees = [(); 4].map(|()| BlockTree::new());
    for block in sums.chunks(4 * BLOCK) {
        let mut lanes = [[0.0_f64; LANES]; 4];
        for (b, sample) in block.chunks_exact(4).enumerate() {
            for (lanes, &v) in lanes.iter_mut().zip(sample) {
                lanes[b % LANES] += f64::from(v);
            }
        }
        for (tree, lanes) in trees.iter_mut().zip(lanes) {
            tree.push(tree_of_lanes(lanes));
        }
    }
    trees.map(|tree| tree.sum())
}

/// Samples with a row that counts.
pub(crate) fn samples_that_count(groups: &[GroupBatch<'_>], batch: usize) -> usize {
    let counts =
        |b: usize| groups.iter().any(|g| g.valid[b * g.n_agents..(b + 1) * g.n_agents].contains(&true));
    (0..batch).filter(|&b| counts(b)).count()
}

/// What an update measured, of totals over samples and the number of terms.
pub(crate) fn means(total: [f64; 4], terms: usize) -> UpdateStats {
    let mean = |v: f64| if terms == 0 { 0.0 } else { (v / terms as f64) as f32 };
    UpdateStats {
        loss: total[0] as f32,
        q_mean: mean(total[1]),
        td_abs_mean: mean(total[2]),
        target_mean: mean(total[3]),
    }
}
