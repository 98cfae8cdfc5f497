//! The replay ring on the device: what is new goes up, indices are drawn and rows gathered there, priorities stay there.
//! Several gradient steps are one graph, captured once and launched as often as nothing moves in memory.

use super::cuda::{Ending, Resident, StepIo};
use super::{Draws, GradStep, Learned, RingView};
use crate::Error;
use crate::cuda::{Column, Cuda, failed, kernel_arguments};
use crate::error::check_len;
use crate::update::cuda::{Data, Fault, RowsArgs, Samples, flat_grid};
use coact_core::rng::key_of;
use cudarc::driver::{CudaGraph, sys};

/// Most levels of sums over leaves: each is over 16 of the one below, and 2^32 cells need no more.
const LEVELS: usize = 8;
/// Sums under a sum.
const FAN: usize = 16;
/// Most gradient steps of one graph.
const MAX_STEPS: usize = 32;

#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct GroupBits {
    valid_at: u32,
    n_agents: u32,
    n_sets: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RingArgs {
    words: u64,
    finals: u64,
    leaves: u64,
    sums: [u64; LEVELS],
    largest: u64,
    now: u64,
    later: u64,
    cell: u64,
    leaf: u64,
    td: u64,
    groups: u64,
    counts: u64,
    io: u64,
    halt: u64,
    n_levels: u32,
    n_cells: u32,
    n_envs: u32,
    width: u32,
    seen: u32,
    next_at: u32,
    n_groups: u32,
    pub(super) n_counts: u32,
    pub(super) batch: u32,
    first: u32,
    window: u32,
    newest: u32,
    alpha: f32,
    eps: f32,
}

kernel_arguments!(GroupBits: 16, RingArgs: 224);

/// A graph that may move to another thread with its learner.
struct Graph(CudaGraph);

// SAFETY: the learner that owns it is used by one thread at a time, and binds its context first.
unsafe impl Send for Graph {}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

/// What is launched for a gradient step on a batch that is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    pub(super) ring: RingArgs,
    pub(super) rows: RowsArgs,
    pub(super) ending: Ending,
}

/// A ring on the device, if there is one.
#[derive(Debug, Default)]
pub(super) struct Ring {
    words: Column<u32>,
    finals: Column<u32>,
    leaves: Column<u32>,
    sums: Vec<Column<u64>>,
    largest: Column<u32>,
    now: Column<u64>,
    later: Column<u64>,
    cell: Column<u32>,
    leaf: Column<u32>,
    bits: Column<GroupBits>,
    /// Moments of the host's ring that are here, and its revision.
    rows_of: Option<(u64, u64)>,
    /// Moments whose priorities are here, and the revision of the host's.
    leaves_of: Option<(u64, u64)>,
    /// What is launched, if it was planned: for batches of this size.
    plan: Option<Draw>,
    /// Graphs by the number of their steps.
    graphs: Vec<(usize, Graph)>,
}

/// The part of a ring between two moments, as cells: one piece, or two where it passes the end.
fn cells(view: &RingView<'_>, from: u64, to: u64) -> [std::ops::Range<usize>; 2] {
    let slots = view.n_slots as u64;
    let (from, n) = ((from % slots) as usize, (to - from) as usize);
    let end = (from + n).min(view.n_slots);
    let rest = from + n - end;
    [from * view.n_envs..end * view.n_envs, 0..rest * view.n_envs]
}

impl RingView<'_> {
    /// The first moment that can be drawn, and the first that cannot yet.
    fn stored(&self) -> (u64, u64) {
        let oldest = (self.pushed + 1).saturating_sub(self.n_slots as u64);
        (oldest, (self.pushed + 1).saturating_sub(self.n_step as u64))
    }

    fn n_cells(&self) -> usize {
        self.n_slots * self.n_envs
    }

    /// The first moment whose record may have changed since `pushed` moments were stored.
    fn changed_since(&self, pushed: u64) -> u64 {
        (pushed + 1).saturating_sub(self.n_step as u64).max(self.stored().0)
    }
}

impl Ring {
    /// A plan for draws no longer holds.
    pub(super) fn forget_plan(&mut self) {
        self.plan = None;
        self.graphs.clear();
    }

    /// Graphs no longer hold.
    pub(super) fn forget_graphs(&mut self) {
        self.graphs.clear();
    }

    /// Uploads the rows that have changed.
    fn sync_rows(&mut self, gpu: &Cuda, view: &RingView<'_>) -> Result<(), Error> {
        let known = self.rows_of.filter(|&(pushed, revision)| {
            revision == view.revision && pushed <= view.pushed && self.words.len() >= view.words.len()
        });
        self.rows_of = None;
        let rows = match known {
            None => {
                self.forget_plan();
                self.words.upload(gpu, view.words)?;
                [0..0, 0..0]
            }
            Some((pushed, _)) if pushed == view.pushed => [0..0, 0..0],
            Some((pushed, _)) => cells(view, view.changed_since(pushed), view.pushed + 1),
        };
        // The table grows while the ring fills; room for twice as much keeps that rare.
        if known.is_none() || view.finals.len() > self.finals.len() {
            let room = view.finals.len().max(view.final_words).next_power_of_two();
            if room > self.finals.len() {
                self.forget_plan();
                self.finals.fit(gpu, room)?;
            }
            self.finals.write(gpu, 0, view.finals)?;
        }
        for rows in rows {
            self.words.write(
                gpu,
                rows.start * view.width,
                &view.words[rows.start * view.width..rows.end * view.width],
            )?;
            let mut last = None;
            for cell in rows {
                let code = view.words[cell * view.width + view.next];
                if code & 1 << 31 != 0 && code != u32::MAX && last != Some(code) {
                    let at = (code & !(3 << 30)) as usize * view.seen;
                    self.finals.write(gpu, at, &view.finals[at..at + view.seen])?;
                    last = Some(code);
                }
            }
        }
        self.rows_of = Some((view.pushed, view.revision));
        Ok(())
    }

    /// Uploads all priorities and their sums, or gives new transitions theirs.
    fn sync_leaves(&mut self, gpu: &Cuda, view: &RingView<'_>, args: &RingArgs) -> Result<(), Error> {
        let Some(priorities) = &view.prioritized else { return Ok(()) };
        match self.leaves_of.take() {
            Some((pushed, revision)) if revision == priorities.revision && pushed <= view.pushed => {
                if pushed < view.pushed {
                    let (from, newest) = (view.changed_since(pushed), view.stored().1);
                    let n_envs = view.n_envs as u64;
                    let window = ((view.pushed + 1 - from) * n_envs) as u32;
                    let args = RingArgs {
                        first: (from % view.n_slots as u64 * n_envs) as u32,
                        window,
                        newest: (newest.saturating_sub(from) * n_envs) as u32,
                        ..*args
                    };
                    let grid = flat_grid(window as usize);
                    // SAFETY: leaves and sums are as long as there are cells.
                    unsafe { gpu.launch("store priorities", &gpu.kernels().replay_admit, grid, &args) }?;
                }
            }
            _ => self.upload_leaves(gpu, priorities.leaves, priorities.largest)?,
        }
        let revision = view.prioritized.map_or(0, |p| p.revision);
        self.leaves_of = Some((view.pushed, revision));
        Ok(())
    }

    /// Room for leaves and the sums over them.
    fn fit_leaves(&mut self, gpu: &Cuda, n_cells: usize) -> Result<(), Error> {
        let mut len = n_cells.next_multiple_of(FAN);
        self.leaves.fit(gpu, len)?;
        self.largest.fit(gpu, 1)?;
        let mut levels = 0;
        while len > FAN || levels == 0 {
            len = (len / FAN).next_multiple_of(FAN);
            if self.sums.len() == levels {
                self.sums.push(Column::default());
            }
            self.sums[levels].fit(gpu, len)?;
            levels += 1;
        }
        self.sums.truncate(levels);
        Ok(())
    }

    fn upload_leaves(&mut self, gpu: &Cuda, leaves: &[u32], largest: u32) -> Result<(), Error> {
        let mut own = leaves.to_vec();
        own.resize(leaves.len().next_multiple_of(FAN), 0);
        self.leaves.upload(gpu, &own)?;
        self.largest.upload(gpu, &[largest])?;
        let mut below: Vec<u64> = own.into_iter().map(u64::from).collect();
        for level in &mut self.sums {
            let mut sums: Vec<u64> = below.chunks(FAN).map(|under| under.iter().sum()).collect();
            sums.resize(sums.len().next_multiple_of(FAN), 0);
            level.upload(gpu, &sums)?;
            below = sums;
        }
        Ok(())
    }

    /// What all kernels of the ring take.
    fn args(&mut self, gpu: &Cuda, view: &RingView<'_>, batch: usize) -> Result<RingArgs, Error> {
        Ok(RingArgs {
            words: self.words.at(),
            finals: self.finals.at(),
            now: self.now.fit(gpu, batch)?,
            later: self.later.fit(gpu, batch)?,
            cell: self.cell.fit(gpu, batch)?,
            leaf: self.leaf.fit(gpu, batch)?,
            groups: self.bits.at(),
            n_envs: view.n_envs as u32,
            width: view.width as u32,
            seen: view.seen as u32,
            next_at: view.next as u32,
            n_groups: view.groups.len() as u32,
            batch: batch as u32,
            ..self.leaf_args(gpu, view)?
        })
    }

    /// The part of the arguments that priorities need; null without any.
    fn leaf_args(&mut self, gpu: &Cuda, view: &RingView<'_>) -> Result<RingArgs, Error> {
        let mut args = RingArgs { n_cells: view.n_cells() as u32, ..RingArgs::default() };
        let Some(priorities) = &view.prioritized else { return Ok(args) };
        self.fit_leaves(gpu, view.n_cells())?;
        args.leaves = self.leaves.at();
        args.largest = self.largest.at();
        args.n_levels = self.sums.len() as u32;
        for (to, level) in args.sums.iter_mut().zip(&self.sums) {
            *to = level.at();
        }
        (args.alpha, args.eps) = (priorities.alpha, priorities.eps);
        Ok(args)
    }
}

impl Cuda {
    pub(crate) fn resident_learn(
        &mut self,
        learner: &mut Resident,
        view: &RingView<'_>,
        draws: Draws,
        steps: &[GradStep],
        out: &mut Vec<Learned>,
    ) -> Result<(), Error> {
        learner.check_ring(view)?;
        let (oldest, newest) = view.stored();
        let stored = newest.saturating_sub(oldest) * view.n_envs as u64;
        if draws.batch_size == 0 || stored < draws.batch_size as u64 {
            let text = format!("{} samples asked of {stored} transitions", draws.batch_size);
            return Err(Error::Shape(text));
        }
        let mut position = draws.position;
        for steps in steps.chunks(MAX_STEPS) {
            learner.ring.sync_rows(self, view)?;
            let key = key_of(draws.seed);
            learner.host_io.clear();
            for &step in steps {
                let mut io = StepIo::new(learner.config.rule, step);
                io.step.beta = draws.beta;
                io.step.stored = stored as u32;
                io.step.span = ((view.pushed - oldest) * view.n_envs as u64) as u32;
                io.step.head = (view.pushed % view.n_slots as u64) as u32 * view.n_envs as u32;
                io.step.position = [position as u32, (position >> 32) as u32];
                io.step.key = key;
                learner.host_io.push(io);
                position += 1;
            }
            learner.learn_drawn(self, view, draws.batch_size)?;
            for k in 0..steps.len() {
                out.push(learner.drawn_outcome(self, view, k)?);
            }
        }
        Ok(())
    }

    pub(crate) fn resident_leaves(
        &mut self,
        learner: &mut Resident,
        view: &RingView<'_>,
        leaves: &mut [u32],
    ) -> Result<u32, Error> {
        learner.check_ring(view)?;
        check_len("leaves", "[T * E]", view.n_cells(), leaves.len())?;
        if view.prioritized.is_none() {
            return Err(Error::Shape("priorities of a ring that has none".to_string()));
        }
        let ring = &mut learner.ring;
        // Draws may never have been planned since, and new transitions need no rows to be stored here.
        let args = ring.leaf_args(self, view)?;
        ring.sync_leaves(self, view, &args)?;
        let mut largest = [0];
        ring.leaves.download(self, leaves)?;
        ring.largest.download(self, &mut largest)?;
        Ok(largest[0])
    }
}

impl Resident {
    fn check_ring(&self, view: &RingView<'_>) -> Result<(), Error> {
        check_len("words", "[T * E, width]", view.n_cells() * view.width, view.words.len())?;
        check_len("groups", "[G]", self.groups.len(), view.groups.len())?;
        if let Some(priorities) = &view.prioritized {
            check_len("leaves", "[T * E]", view.n_cells(), priorities.leaves.len())?;
        }
        let fits = self.config.groups.iter().zip(view.groups).all(|(own, words)| {
            let rows = [words.action, words.reward, words.discount].into_iter().max().unwrap_or(0);
            let masks = words.mask.unwrap_or(0) + own.n_agents * own.shape.mask_words();
            let seen = words.obs + own.n_agents * own.shape.mlp.input;
            rows + own.n_agents <= view.width
                && words.valid + own.n_agents.div_ceil(32) <= view.width
                && seen <= view.seen
                && (words.mask.is_none() || masks <= view.seen)
        });
        let cells = view.n_cells() + view.n_step * view.n_envs;
        if !fits
            || view.next >= view.width
            || cells > i32::MAX as usize
            || !view.finals.len().is_multiple_of(view.seen)
        {
            return Err(Error::Shape("a replay ring of other groups than the learner's".to_string()));
        }
        Ok(())
    }

    /// The steps in `host_io`, drawn from the ring.
    fn learn_drawn(&mut self, gpu: &Cuda, view: &RingView<'_>, batch: usize) -> Result<(), Error> {
        if self.ring.plan.as_ref().is_none_or(|draw| draw.ring.batch as usize != batch) {
            self.plan_draws(gpu, view, batch)?;
        }
        let before = self.io_at();
        let io = self.start(gpu)?;
        if io != before {
            self.ring.forget_graphs();
        }
        let Some(draw) = self.ring.plan else { return Ok(()) };
        self.ring.sync_leaves(gpu, view, &draw.ring)?;
        let n_steps = self.host_io.len();
        if self.goes_together() {
            self.learn_together(gpu, &draw, io, n_steps)?;
        } else if gpu.is_timing() {
            self.launch_draws(gpu, &draw, io, n_steps)?;
        } else {
            let known = self.ring.graphs.iter().position(|(n, _)| *n == n_steps);
            let at = match known {
                Some(at) => at,
                None => {
                    let graph = self.capture(gpu, &draw, io, n_steps)?;
                    self.ring.graphs.push((n_steps, graph));
                    self.ring.graphs.len() - 1
                }
            };
            let graph = &self.ring.graphs[at].1;
            graph.0.launch().map_err(|e| failed("launch gradient steps", e))?;
        }
        self.finish(gpu)
    }

    fn capture(&self, gpu: &Cuda, draw: &Draw, io: u64, n_steps: usize) -> Result<Graph, Error> {
        let what = "capture gradient steps";
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        gpu.stream().begin_capture(mode).map_err(|e| failed(what, e))?;
        let launched = self.launch_draws(gpu, draw, io, n_steps);
        // Ended in any case, or nothing else could be launched.
        let graph = gpu.stream().end_capture(sys::CUgraphInstantiate_flags(0));
        launched?;
        match graph.map_err(|e| failed(what, e))? {
            Some(graph) => Ok(Graph(graph)),
            None => Err(Error::Gpu { what: what.to_string(), why: "it captured nothing".to_string() }),
        }
    }

    /// All launches of `n_steps` gradient steps, whose numbers lie at `io`.
    fn launch_draws(&self, gpu: &Cuda, draw: &Draw, io: u64, n_steps: usize) -> Result<(), Error> {
        let kernels = gpu.kernels();
        for k in 0..n_steps as u64 {
            let io = io + k * StepIo::BYTES;
            let args = RingArgs { io, ..draw.ring };
            let mut grid = flat_grid(args.batch as usize);
            grid.shared_bytes = 4 * args.n_counts;
            // SAFETY: the ring was checked, and every column is as long as the batch or the ring.
            unsafe { gpu.launch("draw from replay", &kernels.replay_draw, grid, &args) }?;
            self.gradients(gpu, &RowsArgs { io, ..draw.rows })?;
            self.finish_step(gpu, &draw.ending, io)?;
            if args.leaves != 0 {
                let grid = flat_grid(args.batch as usize);
                // SAFETY: as above.
                unsafe { gpu.launch("store priorities", &kernels.replay_priorities, grid, &args) }?;
            }
        }
        Ok(())
    }

    fn plan_draws(&mut self, gpu: &Cuda, view: &RingView<'_>, batch: usize) -> Result<(), Error> {
        self.ring.forget_plan();
        let bits: Vec<GroupBits> = self
            .config
            .groups
            .iter()
            .zip(view.groups)
            .map(|(own, words)| GroupBits {
                valid_at: words.valid as u32,
                n_agents: own.n_agents as u32,
                n_sets: own.n_sets as u32,
                unused: 0,
            })
            .collect();
        self.ring.bits.upload(gpu, &bits)?;
        let counts = self.zero_counts(gpu)?;
        let mut ring_args = self.ring.args(gpu, view, batch)?;
        (ring_args.counts, ring_args.n_counts) = (counts, self.n_counts as u32);
        self.plans.clear();
        for (g, words) in view.groups.iter().enumerate() {
            let data = Data {
                samples: Samples {
                    now: ring_args.now,
                    later: ring_args.later,
                    obs_at: words.obs as u32,
                    valid_at: words.valid as u32,
                    n_agents: self.config.groups[g].n_agents as u32,
                    ..Samples::default()
                },
                n_valid: counts + 4 * self.groups[g].first_count as u64,
                masked: words.mask.is_some(),
                mask_at: words.mask.unwrap_or(0) as u32,
                action_at: words.action as u32,
                reward_at: words.reward as u32,
                discount_at: words.discount as u32,
                ..Data::default()
            };
            self.plan_group(gpu, g, batch, data)?;
        }
        let rows = RowsArgs {
            leaf: if ring_args.leaves == 0 { 0 } else { ring_args.leaf },
            team_reward_at: view.team_reward as u32,
            team_discount_at: view.team_discount as u32,
            ..self.rows_args(gpu, batch)?
        };
        (ring_args.td, ring_args.halt) = (self.priority.at(), self.halt_at());
        let ending = self.ending(gpu, batch)?;
        self.ring.plan = Some(Draw { ring: ring_args, rows, ending });
        Ok(())
    }

    /// Of step `k`, a fault with its action in the host's ring.
    fn drawn_outcome(&self, gpu: &Cuda, view: &RingView<'_>, k: usize) -> Result<Learned, Error> {
        self.outcome(gpu, k, |code| {
            let fault = Fault::of(code);
            fault.error(self.config.groups[fault.group].shape.n_actions, |fault| {
                let mut cells = vec![0; fault.sample + 1];
                // An action that cannot be read is named by the largest number.
                match self.ring.cell.download(gpu, &mut cells) {
                    Ok(()) => {
                        let row = cells[fault.sample] as usize * view.width;
                        view.words[row + view.groups[fault.group].action + fault.agent]
                    }
                    Err(_) => u32::MAX,
                }
            })
        })
    }
}
