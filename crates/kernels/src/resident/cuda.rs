//! The learner's memory on the device, and its gradient steps.

use super::{GradStep, Learned, ResidentConfig, ResidentState};
use crate::blocks::BLOCK;
use crate::cuda::{Column, Cuda, Grid, MOST_SHARED_BYTES, kernel_arguments};
use crate::error::check_len;
use crate::optim::{AdamScalars, name_non_finite};
use crate::update::cuda::{
    Between, Columns, Form, Home, Plan, RowsArgs, RowsGroup, huber_of, named, shared_out,
};
use crate::update::layout::Layout;
use crate::update::{count_valid, means, samples_that_count};
use crate::{Act, ActScratch, Error, Mixer, Rule, Update};
use std::ops::Range;

/// Threads of a block that clips a part.
const CLIP_THREADS: u32 = 256;
/// Threads of a block that goes over parameters.
const BLOCK_THREADS: u32 = 128;
/// Bytes of shared memory of a block that sums: 64 chains, and a block of numbers.
const SUM_BYTES: u32 = 8 * 64 + 4 * BLOCK as u32;

/// `Step` of `step.cuh`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    lr: f32,
    minus_step: f32,
    root_correction: f32,
    keep: f32,
    tau: f32,
    pub(super) beta: f32,
    moves: u32,
    pub(super) stored: u32,
    pub(super) span: u32,
    pub(super) head: u32,
    pub(super) position: [u32; 2],
    pub(super) key: [u32; 2],
    unused: [u32; 2],
}

/// `Status` of `step.cuh`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Status {
    error: u64,
    square: f64,
    total: [f64; 4],
    terms: u32,
    least: u32,
    bad: u32,
    ran: u32,
}

impl Default for Status {
    /// Before a step.
    fn default() -> Self {
        Self { error: u64::MAX, square: 0.0, total: [0.0; 4], terms: 0, least: u32::MAX, bad: 0, ran: 0 }
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StepIo {
    pub(super) step: Step,
    status: Status,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct SumGroup {
    partials: u64,
    start: u32,
    end: u32,
    chunks: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SumArgs {
    groups: u64,
    grads: u64,
    blocks: u64,
    squares: u64,
    sums: u64,
    totals: u64,
    pub(super) n_blocks: u32,
    pub(super) n_totals: u32,
    batch: u32,
    n_groups: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClipArgs {
    grads: u64,
    parts: u64,
    tensors: u64,
    first_tensor: u64,
    first_block: u64,
    squares: u64,
    factors: u64,
    value: f32,
    tensor_norm: f32,
    global_norm: f32,
    eps: f32,
    n_parts: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OptimArgs {
    params: u64,
    target: u64,
    grads: u64,
    moments: [u64; 3],
    blocks: u64,
    part_of: u64,
    first_block: u64,
    squares: u64,
    totals: u64,
    factors: u64,
    pub(super) io: u64,
    halt: u64,
    counts: u64,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    decay: f32,
    momentum: f32,
    global_norm: f32,
    clip_eps: f32,
    rule: u32,
    nesterov: u32,
    n_blocks: u32,
    n_totals: u32,
    n_counts: u32,
    sum_mixer: u32,
}

/// The end of a gradient step: what its launches are given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ending {
    pub(super) sum: SumArgs,
    pub(super) clip: ClipArgs,
    pub(super) optim: OptimArgs,
    /// Doubles of shared memory that a tree over blocks takes.
    room: u32,
}

kernel_arguments!(Step: 64, StepIo: 128, Span: 8, SumGroup: 24, SumArgs: 64, ClipArgs: 80, OptimArgs: 176);

impl Ending {
    /// Whether values or tensors are clipped, which takes a launch of its own.
    pub(super) fn clips(&self) -> bool {
        self.optim.factors != 0
    }

    /// Bytes of shared memory of a block of `threads` that does any part of it.
    pub(super) fn shared_bytes(&self, threads: u32) -> u32 {
        SUM_BYTES.max(8 * (threads + self.room))
    }
}

impl StepIo {
    pub(super) const BYTES: u64 = size_of::<Self>() as u64;

    pub(super) fn new(rule: Rule, step: GradStep) -> Self {
        let adam = AdamScalars::new(rule, step.lr, step.step);
        Self {
            step: Step {
                lr: step.lr,
                minus_step: adam.map_or(0.0, |a| a.minus_step),
                root_correction: adam.map_or(1.0, |a| a.root_correction),
                keep: adam.map_or(1.0, |a| a.keep),
                tau: step.tau.unwrap_or(0.0),
                moves: u32::from(step.tau.is_some()),
                ..Step::default()
            },
            status: Status::default(),
        }
    }

    /// Code of the lowest bad row, if any.
    pub(crate) fn fault(&self) -> Option<u64> {
        Some(self.status.error).filter(|&code| code != u64::MAX)
    }
}

/// Memory of one group beside the parameters.
#[derive(Debug, Default)]
pub(super) struct GroupMemory {
    pub(super) range: Range<usize>,
    /// Where its counts of valid rows begin.
    pub(super) first_count: usize,
    columns: Columns,
    pub(super) between: Between,
}

/// A Q-learner on a GPU.
#[derive(Debug)]
pub struct Resident {
    pub(super) config: ResidentConfig,
    n_params: usize,
    params: Column<f32>,
    target_params: Column<f32>,
    grads: Column<f32>,
    moments: [Column<f32>; 3],
    spans: Spans,
    pub(super) groups: Vec<GroupMemory>,
    weight: Column<f32>,
    team_reward: Column<f32>,
    team_discount: Column<f32>,
    pub(super) priority: Column<f32>,
    sums: Column<f32>,
    /// Valid rows of each set, and samples with any; zero between steps that draw.
    counts: Column<u32>,
    pub(super) n_counts: usize,
    rows_groups: Column<RowsGroup>,
    sum_groups: Column<SumGroup>,
    totals: Column<f64>,
    halt: Column<u32>,
    io: Column<StepIo>,
    pub(super) plans: Vec<Plan>,
    pub(super) layout: Option<Layout>,
    host_rows: Vec<RowsGroup>,
    host_counts: Vec<u32>,
    pub(super) host_io: Vec<StepIo>,
    pub(super) ring: super::replay::Ring,
    pub(super) together: super::learn::Together,
}

/// Parts and tensors on the device.
#[derive(Debug, Default)]
struct Spans {
    n_parts: usize,
    parts: Column<Span>,
    tensors: Column<Span>,
    first_tensor: Column<u32>,
    factors: Column<f32>,
    /// Blocks of parameters, each inside of a part.
    n_blocks: usize,
    /// Of the part that has most.
    most_blocks: usize,
    blocks: Column<Span>,
    part_of: Column<u32>,
    first_block: Column<u32>,
    squares: Column<f64>,
    tensors_on_host: Vec<Range<usize>>,
}

impl Spans {
    fn new(gpu: &Cuda, config: &ResidentConfig, n_params: usize) -> Result<Self, Error> {
        let all = std::iter::once(0..n_params).collect::<Vec<_>>();
        let parts = if config.partitions.is_empty() { &all } else { &config.partitions };
        let tensors = if config.tensors.is_empty() { parts } else { &config.tensors };
        for (what, ranges) in [("parts", parts), ("tensors", tensors)] {
            let end = ranges.iter().try_fold(0, |at, r| (r.start == at && r.end > at).then_some(r.end));
            if end != Some(n_params) {
                let text = format!("{what} that do not cover {n_params} parameters one after the other");
                return Err(Error::Shape(text));
            }
        }
        let first: Vec<u32> = std::iter::once(0)
            .chain(parts.iter().map(|p| tensors.iter().filter(|t| t.end <= p.end).count() as u32))
            .collect();
        let spans = |ranges: &[Range<usize>]| -> Vec<Span> {
            ranges.iter().map(|r| Span { start: r.start as u32, end: r.end as u32 }).collect()
        };
        let mut own = Self {
            n_parts: parts.len(),
            tensors_on_host: if config.tensors.is_empty() { all.clone() } else { config.tensors.clone() },
            ..Self::default()
        };
        let (mut blocks, mut part_of, mut first_block) = (Vec::new(), Vec::new(), vec![0]);
        for (p, part) in parts.iter().enumerate() {
            let starts = part.clone().step_by(BLOCK);
            blocks.extend(starts.map(|start| start..part.end.min(start + BLOCK)));
            part_of.resize(blocks.len(), p as u32);
            own.most_blocks = own.most_blocks.max(blocks.len() - first_block[p] as usize);
            first_block.push(blocks.len() as u32);
        }
        own.n_blocks = blocks.len();
        own.blocks.upload(gpu, &spans(&blocks))?;
        own.part_of.upload(gpu, &part_of)?;
        own.first_block.upload(gpu, &first_block)?;
        own.squares.fit(gpu, own.n_blocks)?;
        own.parts.upload(gpu, &spans(parts))?;
        own.tensors.upload(gpu, &spans(tensors))?;
        own.first_tensor.upload(gpu, &first)?;
        own.factors.fit(gpu, parts.len())?;
        Ok(own)
    }
}

impl Cuda {
    pub(crate) fn resident(&mut self, config: &ResidentConfig) -> Result<Resident, Error> {
        let n_params = config.param_count();
        if config.groups.is_empty() || n_params == 0 || n_params > u32::MAX as usize {
            return Err(Error::Shape(format!("a learner of {n_params} parameters; give it a group or more")));
        }
        let (mut start, mut first_count) = (0, 0);
        let groups = config.groups.iter().map(|g| {
            let range = start..start + g.n_critics * g.n_sets * g.shape.param_count();
            let group = GroupMemory { range: range.clone(), first_count, ..GroupMemory::default() };
            (start, first_count) = (range.end, first_count + g.n_sets);
            group
        });
        let groups = groups.collect();
        let n_counts = first_count + 1;
        let mut own = Resident {
            n_params,
            spans: Spans::new(self, config, n_params)?,
            config: config.clone(),
            params: Column::default(),
            target_params: Column::default(),
            grads: Column::default(),
            moments: Default::default(),
            groups,
            weight: Column::default(),
            team_reward: Column::default(),
            team_discount: Column::default(),
            priority: Column::default(),
            sums: Column::default(),
            counts: Column::default(),
            n_counts,
            rows_groups: Column::default(),
            sum_groups: Column::default(),
            totals: Column::default(),
            halt: Column::default(),
            io: Column::default(),
            plans: Vec::new(),
            layout: None,
            host_rows: Vec::new(),
            host_counts: Vec::new(),
            host_io: Vec::new(),
            ring: super::replay::Ring::default(),
            together: super::learn::Together::default(),
        };
        for column in [&mut own.params, &mut own.target_params, &mut own.grads] {
            column.fit(self, n_params)?;
        }
        for (moment, used) in own.moments.iter_mut().zip(config.rule.uses()) {
            moment.upload(self, &vec![0.0; if used { n_params } else { 0 }])?;
        }
        own.counts.upload(self, &vec![0; n_counts])?;
        own.halt.upload(self, &[0])?;
        Ok(own)
    }

    pub(crate) fn resident_set(
        &mut self,
        learner: &mut Resident,
        state: ResidentState<'_>,
    ) -> Result<(), Error> {
        learner.beside(state)?.try_for_each(|(column, host)| column.upload(self, host).map(|_| ()))
    }

    pub(crate) fn resident_get(
        &mut self,
        learner: &mut Resident,
        state: ResidentState<'_>,
    ) -> Result<(), Error> {
        learner.beside(state)?.try_for_each(|(column, host)| column.download(self, host))
    }

    pub(crate) fn resident_act(
        &mut self,
        learner: &Resident,
        group: usize,
        scratch: &mut ActScratch,
        call: &mut Act<'_>,
    ) -> Result<(), Error> {
        let params = learner.params.at() + 4 * learner.groups[group].range.start as u64;
        self.act_with(scratch, call, Some(params))
    }

    pub(crate) fn resident_step(
        &mut self,
        learner: &mut Resident,
        call: &mut Update<'_, '_>,
        step: GradStep,
    ) -> Result<Learned, Error> {
        let batch = call.batch;
        learner.host_io.clear();
        learner.host_io.push(StepIo::new(learner.config.rule, step));
        let io = learner.start(self)?;
        let counts = learner.count(self, call)?;
        if batch == 0 {
            learner.grads.upload(self, &vec![0.0; learner.n_params])?;
            learner.plans.clear();
        } else {
            learner.plan_batch(self, call, counts)?;
            let args = learner.columns(self, call, io)?;
            learner.gradients(self, &args)?;
        }
        let ending = learner.ending(self, batch)?;
        learner.finish_step(self, &ending, io)?;
        learner.priority.download(self, call.priority)?;
        learner.finish(self)?;
        learner.outcome(self, 0, |code| named(code, call.groups))
    }
}

impl Resident {
    fn check(&self, state: &ResidentState<'_>) -> Result<(), Error> {
        let [a, b, c] = &state.moments;
        let uses = self.config.rule.uses();
        let all =
            [(&state.params, true), (&state.target_params, true), (a, uses[0]), (b, uses[1]), (c, uses[2])];
        for ((host, used), what) in
            all.into_iter().zip(["params", "target_params", "moments[0]", "moments[1]", "moments[2]"])
        {
            if !host.is_empty() {
                check_len(what, "[P]", if used { self.n_params } else { 0 }, host.len())?;
            }
        }
        Ok(())
    }

    /// What outlives a step, each beside its place on the host; without those that the host leaves out.
    fn beside<'a>(
        &'a mut self,
        state: ResidentState<'a>,
    ) -> Result<impl Iterator<Item = (&'a mut Column<f32>, &'a mut [f32])>, Error> {
        self.check(&state)?;
        let [a, b, c] = &mut self.moments;
        let [x, y, z] = state.moments;
        let all = [
            (&mut self.params, state.params),
            (&mut self.target_params, state.target_params),
            (a, x),
            (b, y),
            (c, z),
        ];
        Ok(all.into_iter().filter(|(_, host)| !host.is_empty()))
    }

    fn form(&self, group: usize) -> Form<'_> {
        let g = &self.config.groups[group];
        Form { shape: &g.shape, n_agents: g.n_agents, n_sets: g.n_sets, n_critics: g.n_critics }
    }

    fn home(&self, group: usize) -> Home {
        let by = 4 * self.groups[group].range.start as u64;
        Home {
            params: self.params.at() + by,
            target_params: self.target_params.at() + by,
            grads: self.grads.at() + by,
        }
    }

    /// Uploads what the steps are told; where it lies.
    pub(super) fn start(&mut self, gpu: &Cuda) -> Result<u64, Error> {
        self.halt.upload(gpu, &[0])?;
        self.io.upload(gpu, &self.host_io)
    }

    pub(super) fn io_at(&self) -> u64 {
        self.io.at()
    }

    pub(super) fn halt_at(&self) -> u64 {
        self.halt.at()
    }

    /// Where draws count rows, from 0.
    pub(super) fn zero_counts(&mut self, gpu: &Cuda) -> Result<u64, Error> {
        self.counts.upload(gpu, &vec![0; self.n_counts])
    }

    /// Uploads how many rows of a batch count.
    fn count(&mut self, gpu: &Cuda, call: &Update<'_, '_>) -> Result<u64, Error> {
        self.host_counts.clear();
        for group in call.groups.iter() {
            count_valid(group, &mut self.host_counts);
        }
        self.host_counts.push(samples_that_count(call.groups, call.batch) as u32);
        check_len("groups", "[S]", self.n_counts, self.host_counts.len())?;
        self.counts.upload(gpu, &self.host_counts)
    }

    /// What to launch for a batch of the host.
    fn plan_batch(&mut self, gpu: &Cuda, call: &Update<'_, '_>, counts: u64) -> Result<(), Error> {
        self.plans.clear();
        self.ring.forget_plan();
        for (g, group) in call.groups.iter().enumerate() {
            check_len("grads", "[C, S, P]", self.groups[g].range.len(), group.grads.len())?;
            let n_valid = counts + 4 * self.groups[g].first_count as u64;
            let data = self.groups[g].columns.upload(gpu, group, n_valid)?;
            self.plan_group(gpu, g, call.batch, data)?;
        }
        Ok(())
    }

    pub(super) fn plan_group(
        &mut self,
        gpu: &Cuda,
        g: usize,
        batch: usize,
        data: crate::update::cuda::Data,
    ) -> Result<(), Error> {
        let mut between = std::mem::take(&mut self.groups[g].between);
        let plan = Plan::new(gpu, self.form(g), batch, self.home(g), data, &mut between);
        self.groups[g].between = between;
        self.plans.push(plan?);
        Ok(())
    }

    /// What rows are told, but for where samples lie.
    pub(super) fn rows_args(&mut self, gpu: &Cuda, batch: usize) -> Result<RowsArgs, Error> {
        let forms = (0..self.groups.len()).map(|g| self.form(g));
        let layout = Layout::of(forms, batch, self.config.double_q, gpu.precision())?;
        shared_out(&self.plans, &layout, &mut self.host_rows);
        let (samples, q_at, row_at) = (layout.samples, layout.q_at, layout.row_at);
        self.layout = Some(layout);
        Ok(RowsArgs {
            groups: self.rows_groups.upload(gpu, &self.host_rows)?,
            priority: self.priority.fit(gpu, batch)?,
            sums: self.sums.fit(gpu, 4 * batch)?,
            n_groups: self.host_rows.len() as u32,
            batch: batch as u32,
            double_q: u32::from(self.config.double_q),
            sum_mixer: u32::from(self.config.mixer == Mixer::Sum),
            huber: huber_of(self.config.loss),
            samples,
            q_at,
            row_at,
            ..RowsArgs::default()
        })
    }

    /// Uploads what all groups have in common.
    fn columns(&mut self, gpu: &Cuda, call: &Update<'_, '_>, io: u64) -> Result<RowsArgs, Error> {
        Ok(RowsArgs {
            weight: self.weight.upload(gpu, call.weight)?,
            team_reward: self.team_reward.upload(gpu, call.team_reward)?,
            team_discount: self.team_discount.upload(gpu, call.team_discount)?,
            io,
            ..self.rows_args(gpu, call.batch)?
        })
    }

    /// Launches everything up to the gradients of chunks.
    pub(super) fn gradients(&self, gpu: &Cuda, args: &RowsArgs) -> Result<(), Error> {
        let Some(layout) = &self.layout else { return Ok(()) };
        // SAFETY: the plans made columns as long as the shapes need, and those of the batch were checked.
        unsafe { gpu.go_over_rows(layout, args) }?;
        self.plans.iter().try_for_each(|plan| gpu.sum_chunks(layout, plan))
    }

    /// What the end of a step is given. Without plans the gradients are those that are there.
    pub(super) fn ending(&mut self, gpu: &Cuda, batch: usize) -> Result<Ending, Error> {
        let sum_groups: Vec<SumGroup> = self
            .groups
            .iter()
            .enumerate()
            .map(|(g, group)| {
                let home = self.home(g).grads;
                let plan = self.plans.get(g);
                SumGroup {
                    partials: plan.map_or(home, Plan::partials),
                    start: group.range.start as u32,
                    end: group.range.end as u32,
                    chunks: plan.map_or(1, |p| p.chunks),
                    unused: 0,
                }
            })
            .collect();
        let n_totals = batch.div_ceil(BLOCK);
        let Spans { n_parts, n_blocks, most_blocks, .. } = self.spans;
        let room = most_blocks.max(n_totals).max(1);
        if 8 * (room + CLIP_THREADS as usize) > MOST_SHARED_BYTES as usize {
            let text =
                format!("a part of {} parameters to be clipped together; use the cpu", most_blocks * BLOCK);
            return Err(Error::Shape(text));
        }
        let clip = self.config.clip;
        let clips = clip.value.is_some() || clip.tensor_norm.is_some();
        let sum = SumArgs {
            groups: self.sum_groups.upload(gpu, &sum_groups)?,
            grads: self.grads.at(),
            blocks: self.spans.blocks.at(),
            squares: self.spans.squares.at(),
            sums: self.sums.at(),
            totals: self.totals.fit(gpu, 4 * n_totals)?,
            n_blocks: n_blocks as u32,
            n_totals: n_totals as u32,
            batch: batch as u32,
            n_groups: sum_groups.len() as u32,
        };
        let clip_args = ClipArgs {
            grads: sum.grads,
            parts: self.spans.parts.at(),
            tensors: self.spans.tensors.at(),
            first_tensor: self.spans.first_tensor.at(),
            first_block: self.spans.first_block.at(),
            squares: sum.squares,
            factors: self.spans.factors.at(),
            value: clip.value.unwrap_or(0.0),
            tensor_norm: clip.tensor_norm.unwrap_or(0.0),
            global_norm: clip.global_norm.unwrap_or(0.0),
            eps: clip.eps,
            n_parts: n_parts as u32,
            unused: 0,
        };
        let optim = OptimArgs {
            params: self.params.at(),
            target: self.target_params.at(),
            grads: sum.grads,
            moments: [0, 1, 2].map(|m| self.moments[m].at()),
            blocks: sum.blocks,
            part_of: self.spans.part_of.at(),
            first_block: clip_args.first_block,
            squares: sum.squares,
            totals: sum.totals,
            factors: if clips { clip_args.factors } else { 0 },
            halt: self.halt.at(),
            counts: self.counts.at(),
            global_norm: clip_args.global_norm,
            clip_eps: clip.eps,
            n_blocks: sum.n_blocks,
            n_totals: sum.n_totals,
            n_counts: self.n_counts as u32,
            sum_mixer: u32::from(self.config.mixer == Mixer::Sum),
            ..rule_args(self.config.rule)
        };
        Ok(Ending { sum, clip: clip_args, optim, room: room as u32 })
    }

    /// Launches the sum over chunks, clipping and the optimizer's step.
    pub(super) fn finish_step(&self, gpu: &Cuda, ending: &Ending, io: u64) -> Result<(), Error> {
        let kernels = gpu.kernels();
        let Ending { sum, clip, optim, room } = ending;
        let grid = |blocks, threads, shared_bytes| Grid { blocks: (blocks, 1, 1), threads, shared_bytes };
        let blocks = grid(sum.n_blocks + sum.n_totals, BLOCK_THREADS, SUM_BYTES);
        // SAFETY: all columns were made as long as the number of parameters, parts, blocks and samples.
        unsafe { gpu.launch("sum gradients", &kernels.optim_sum, blocks, sum) }?;
        if ending.clips() {
            let parts = grid(clip.n_parts, CLIP_THREADS, 8 * (CLIP_THREADS + room));
            // SAFETY: as above.
            unsafe { gpu.launch("clip gradients", &kernels.optim_clip, parts, clip) }?;
        }
        let blocks = grid(sum.n_blocks, BLOCK_THREADS, 8 * room);
        // SAFETY: as above.
        unsafe { gpu.launch("move parameters", &kernels.optim_step, blocks, &OptimArgs { io, ..*optim }) }
    }

    /// Gets what the steps told, and waits for it.
    pub(super) fn finish(&mut self, gpu: &Cuda) -> Result<(), Error> {
        self.io.download(gpu, &mut self.host_io)
    }

    /// Whether step `k` moved the parameters, what it measured, or why it did not.
    pub(super) fn outcome(
        &self,
        gpu: &Cuda,
        k: usize,
        fault: impl FnOnce(u64) -> Error,
    ) -> Result<Learned, Error> {
        let status = self.host_io[k].status;
        if let Some(code) = self.host_io[k].fault() {
            return Err(fault(code));
        }
        let stats = means(status.total, status.terms as usize);
        if status.ran == 0 && stats.loss.is_finite() {
            let mut grads = vec![0.0; self.n_params];
            self.grads.download(gpu, &mut grads)?;
            return Err(name_non_finite(&grads, &self.spans.tensors_on_host));
        }
        Ok(Learned { stats, grad_norm: status.square.sqrt() as f32 })
    }
}

/// The part of the arguments that a rule says.
fn rule_args(rule: Rule) -> OptimArgs {
    let none = OptimArgs::default();
    match rule {
        Rule::Adam { beta1, beta2, eps, weight_decay, decoupled } => OptimArgs {
            one_minus_beta1: 1.0 - beta1,
            beta2,
            one_minus_beta2: 1.0 - beta2,
            eps,
            decay: if decoupled { 0.0 } else { weight_decay },
            ..none
        },
        Rule::RmsProp { alpha, eps, momentum, weight_decay, .. } => OptimArgs {
            beta2: alpha,
            one_minus_beta2: 1.0 - alpha,
            eps,
            momentum,
            decay: weight_decay,
            rule: 1,
            ..none
        },
        Rule::Sgd { momentum, nesterov, weight_decay } => {
            OptimArgs { momentum, decay: weight_decay, rule: 2, nesterov: u32::from(nesterov), ..none }
        }
    }
}
