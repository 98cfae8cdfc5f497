//! The replay itself: ring, accumulator, table of final observations and priorities behind one door.

use std::ops::Range;

use coact_core::rng::{key_of, philox4x32, unit_f64};
use coact_core::{ActionBatch, EnvSpec, StepBatch, Stream};
use pulp::{Arch, Simd, WithSimd};

use crate::accumulator::Accumulator;
use crate::batch::Batch;
use crate::check::Gate;
use crate::config::{Prioritized, ReplayConfig, WeightNorm};
use crate::error::{Error, Result};
use crate::finals::Finals;
use crate::priority::{self, PrioritySums};
use crate::ring::{Geometry, Layout, Ring, next, part, part_mut, put_bits};

/// Transitions whose memory is asked for at once.
const GATHERED: usize = 32;

/// Priorities of a replay.
#[derive(Debug, Clone)]
pub(crate) struct Priorities {
    pub settings: Prioritized,
    pub sums: PrioritySums,
    /// What new transitions get: the largest leaf so far, at first that of priority 1.
    pub largest: u32,
    /// Smallest leaf, if weights are divided by the largest of the buffer.
    pub least: Option<u32>,
}

/// The last transitions of `E` environments.
///
/// Feed it with [`Replay::begin`] and [`Replay::push`], draw with [`Replay::sample`]. Times count pushes over
/// the life of the replay; the transition of environment `e` at time `t` has the id `t * E + e`.
#[derive(Debug, Clone)]
pub struct Replay {
    pub(crate) config: ReplayConfig,
    pub(crate) gate: Gate,
    pub(crate) ring: Ring,
    pub(crate) finals: Finals,
    pub(crate) accumulator: Accumulator,
    pub(crate) priorities: Option<Priorities>,
    /// Whether the first observations are there.
    pub(crate) begun: bool,
    /// Number of pushes; also the time of the observation to act on.
    pub(crate) pushed: u64,
    /// First cell of that time: `pushed mod T * E`.
    pub(crate) head: usize,
    /// Times that complete rows changed.
    pub(crate) revision: u64,
    /// Times that everything was replaced.
    pub(crate) loaded: u64,
    /// Whether priorities are kept elsewhere.
    pub(crate) lent: bool,
    /// Number of pushes when lent priorities were last stored here.
    pub(crate) stored_at: u64,
}

impl Replay {
    /// Bytes that a replay will take, to be told before they are taken. The operating system gives most of
    /// them only as the replay fills. More are needed only if episodes are truncated before the limit in `spec`.
    ///
    /// # Errors
    /// Settings that make no sense, or a size beyond 64 bits.
    pub fn memory_bytes(spec: &EnvSpec, config: &ReplayConfig) -> Result<u64> {
        config.check(spec)?;
        let n_cells = (config.n_slots() * config.n_envs) as u64;
        let ring = n_cells.checked_mul(Ring::cell_bytes(spec));
        let finals = (config.n_final_rows(spec) as u64).checked_mul(Finals::row_bytes(&Layout::new(spec)));
        let priorities = match config.prioritized {
            Some(_) => PrioritySums::bytes(n_cells, config.normalize_weights_by == WeightNorm::Buffer),
            None => 0,
        };
        ring.zip(finals)
            .and_then(|(a, b)| a.checked_add(b)?.checked_add(priorities))
            .ok_or(Error::Memory { capacity: config.capacity, bytes: u64::MAX })
    }

    /// An empty replay.
    ///
    /// # Errors
    /// Settings that make no sense, or memory that is not there.
    pub fn new(spec: &EnvSpec, config: ReplayConfig) -> Result<Self> {
        let bytes = Self::memory_bytes(spec, &config)?;
        // Asks for the memory without touching it; the columns then come zeroed and untouched.
        let probe = usize::try_from(bytes).map(|n| Vec::<u8>::new().try_reserve_exact(n));
        if !matches!(probe, Ok(Ok(()))) {
            return Err(Error::Memory { capacity: config.capacity, bytes });
        }
        let geometry = Geometry { n_envs: config.n_envs, n_slots: config.n_slots() };
        let one = |settings: Prioritized| Priorities {
            settings,
            sums: match config.normalize_weights_by {
                WeightNorm::Batch => PrioritySums::new(geometry.n_cells()),
                WeightNorm::Buffer => PrioritySums::with_minimum(geometry.n_cells()),
            },
            largest: priority::leaf_of(1.0, 0.0, settings.alpha),
            least: None,
        };
        Ok(Self {
            gate: Gate {
                spec: spec.clone(),
                n_envs: config.n_envs,
                reward_limit: f32::MAX / config.n_step as f32,
            },
            finals: Finals::new(&Layout::new(spec), config.n_final_rows(spec)),
            ring: Ring::new(spec, geometry),
            accumulator: Accumulator::new(config.n_step, config.gamma, config.n_envs),
            priorities: config.prioritized.map(one),
            begun: false,
            pushed: 0,
            head: 0,
            revision: 0,
            loaded: 0,
            lent: false,
            stored_at: 0,
            config,
        })
    }

    /// Settings.
    pub fn config(&self) -> &ReplayConfig {
        &self.config
    }

    /// Transitions that can be sampled. A transition can be sampled once `n_step` steps followed its start.
    pub fn len(&self) -> usize {
        (self.newest_time() - self.oldest_time()) as usize * self.config.n_envs
    }

    /// Whether nothing can be sampled.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Transitions that can be sampled when the replay is full.
    pub fn capacity(&self) -> usize {
        self.config.capacity / self.config.n_envs * self.config.n_envs
    }

    /// Transitions pushed so far, those included that were overwritten or cannot be sampled yet.
    pub fn inserted(&self) -> u64 {
        self.pushed * self.config.n_envs as u64
    }

    /// First time that can be sampled.
    pub(crate) fn oldest_time(&self) -> u64 {
        (self.pushed + 1).saturating_sub(self.ring.geometry.n_slots as u64)
    }

    /// First time that cannot be sampled yet.
    pub(crate) fn newest_time(&self) -> u64 {
        (self.pushed + 1).saturating_sub(self.config.n_step as u64)
    }

    /// First observations after a reset of the environments. If episodes were running, they count as truncated
    /// at the last observation pushed.
    ///
    /// # Errors
    /// Columns of another shape, or an observation or state that is not finite; nothing is stored then.
    pub fn begin(&mut self, first: &StepBatch) -> Result<()> {
        self.gate.first(first)?;
        if self.begun {
            self.revision += 1;
            self.accumulator.cut(&mut self.ring, &mut self.finals, self.head, self.pushed);
        }
        self.ring.open(self.head, first);
        self.begun = true;
        Ok(())
    }

    /// Stores one step of every environment: the actions taken on the observations given last, and what came of
    /// them.
    ///
    /// # Errors
    /// Columns of another shape, an action outside its space, or a number that is not finite (environment and
    /// agent are named). Nothing is stored then.
    pub fn push(&mut self, actions: &ActionBatch, step: &StepBatch) -> Result<()> {
        if !self.begun {
            return Err(Error::NotBegun);
        }
        self.gate.actions(actions)?;
        self.gate.step(step)?;
        let upcoming = self.ring.geometry.ahead(self.head, 1);
        self.evict(upcoming);
        self.act(actions);
        self.accumulator.push(&mut self.ring, &mut self.finals, self.head, step);
        self.ring.open(upcoming, step);
        self.head = upcoming;
        self.pushed += 1;
        self.admit();
        Ok(())
    }

    /// Stores the actions taken on the observations given last.
    fn act(&mut self, actions: &ActionBatch) {
        let Ring { layout, words, .. } = &mut self.ring;
        for env in 0..self.config.n_envs {
            let row = part_mut(words, self.head + env, layout.width);
            for (g, group) in layout.groups.iter().enumerate() {
                let (n, width) = (group.action.len(), group.continuous.len());
                row[group.action.clone()].copy_from_slice(part(&actions.discrete[g], env, n));
                put_bits(&mut row[group.continuous.clone()], part(&actions.continuous[g], env, width));
            }
        }
    }

    /// Frees what the `E` cells from `first` on still hold.
    fn evict(&mut self, first: usize) {
        if self.pushed + 1 < self.ring.geometry.n_slots as u64 {
            return;
        }
        for cell in first..first + self.config.n_envs {
            let code = self.ring.next(cell);
            if code & next::OWNER != 0
                && let Some(row) = next::final_row(code)
            {
                self.finals.give(row);
            }
            if !self.lent
                && let Some(p) = &mut self.priorities
            {
                p.sums.set(cell, 0);
            }
        }
    }

    /// Gives the transitions that became complete the priority of new ones.
    fn admit(&mut self) {
        let Some(p) = self.priorities.as_mut().filter(|_| !self.lent) else { return };
        if self.pushed >= self.config.n_step as u64 {
            let first = self.ring.geometry.behind(self.head, self.config.n_step);
            for cell in first..first + self.config.n_envs {
                p.sums.set(cell, p.largest);
            }
        }
        p.refresh(self.config.normalize_weights_by);
    }

    /// Draws `batch_size` transitions with replacement into `out`, whose columns are resized if they must be.
    ///
    /// Uniform: each independently, all weights 1. Prioritized: one from each of `batch_size` equal parts of the
    /// total priority, in the order of the ring; weights are `(N P)^-beta`, divided by the largest.
    ///
    /// # Errors
    /// A batch of none or more than are stored, a `beta` that is negative or not finite, or priorities that are lent.
    pub fn sample(&self, rng: &mut Stream, batch_size: usize, beta: f32, out: &mut Batch) -> Result<()> {
        if batch_size == 0 {
            return Err(Error::Config("`batch_size` is 0; sample at least one transition".into()));
        }
        if batch_size > self.len() {
            return Err(Error::TooFew { batch_size, stored: self.len() });
        }
        if !(beta.is_finite() && beta >= 0.0) {
            return Err(Error::Config(format!(
                "`beta` is {beta}; use 0 (no correction) to 1 (full correction)"
            )));
        }
        if self.lent {
            return Err(Error::Config("priorities are kept elsewhere; draw there".into()));
        }
        out.resize(&self.gate.spec, batch_size);
        match &self.priorities {
            None => self.draw_uniform(rng, out),
            Some(p) => self.draw_prioritized(p, rng, beta, out),
        }
        self.gather(out);
        Ok(())
    }

    fn draw_uniform(&self, rng: &mut Stream, out: &mut Batch) {
        let (oldest, stored) = (self.oldest_time() * self.config.n_envs as u64, self.len());
        for id in &mut out.ids {
            let high = (u128::from(rng.next_u64()) * stored as u128) >> 64;
            *id = oldest + high as u64;
        }
        out.weight.fill(1.0);
    }

    fn draw_prioritized(&self, p: &Priorities, rng: &mut Stream, beta: f32, out: &mut Batch) {
        let key = key_of(rng.next_u64());
        Arch::new().dispatch(Draw {
            priorities: p,
            key,
            beta,
            cells: &mut out.ids,
            weights: &mut out.weight,
        });
        out.ids.iter_mut().for_each(|id| *id = self.id_of(*id as usize));
    }

    /// The cell of a stored id. `inserted` is the id of the first cell of `head`.
    #[inline]
    fn cell_of(&self, id: u64) -> usize {
        cell_of(self.inserted() - id, self.head, self.ring.geometry.n_cells())
    }

    /// The id stored in a cell that can be sampled.
    #[inline]
    fn id_of(&self, cell: usize) -> u64 {
        let age =
            if cell < self.head { self.head - cell } else { self.head + self.ring.geometry.n_cells() - cell };
        self.inserted() - age as u64
    }

    /// Copies the transitions named by `out.ids`.
    fn gather(&self, out: &mut Batch) {
        let mut cells = [(0, 0); GATHERED];
        let mut rows: [Row<'_>; GATHERED] = [(&[], None); GATHERED];
        for first in (0..out.size).step_by(GATHERED) {
            let n = GATHERED.min(out.size - first);
            for (cell, &id) in cells.iter_mut().zip(&out.ids[first..first + n]) {
                cell.0 = self.cell_of(id);
            }
            self.fetch(&mut cells[..n]);
            for (row, &(cell, code)) in rows.iter_mut().zip(&cells[..n]) {
                *row = (self.ring.row(cell), self.seen_next(cell, code));
            }
            self.copy_rows(&rows[..n], first, out);
        }
    }

    /// Looks where the next observations of `cells` are, and reads one word of each line of memory that will be
    /// copied. Nothing waits for these reads, so that many are under way at once; copies would wait one by one.
    fn fetch(&self, cells: &mut [(usize, u32)]) {
        let line = |words: &[u32]| words.iter().step_by(16).fold(0, |all, w| all ^ w);
        let mut all = 0;
        for (cell, code) in cells.iter_mut() {
            *code = self.ring.next(*cell);
            all ^= line(self.ring.row(*cell));
        }
        for &mut (cell, code) in cells {
            all ^= self.seen_next(cell, code).map_or(0, line);
        }
        std::hint::black_box(all);
    }

    /// What is seen after the record in `cell`; nothing where its episode ended by itself.
    #[inline]
    fn seen_next(&self, cell: usize, code: u32) -> Option<&[u32]> {
        match next::final_row(code) {
            Some(row) => Some(self.finals.row(row)),
            None if code == next::NOWHERE => None,
            None => {
                let later = self.ring.geometry.ahead(cell, code as usize);
                Some(&self.ring.row(later)[..self.ring.layout.seen])
            }
        }
    }

    /// Copies `rows` to the columns of the batch, from row `first` on: column by column, in short loops.
    fn copy_rows(&self, rows: &[Row<'_>], first: usize, out: &mut Batch) {
        let layout = &self.ring.layout;
        let floats = |words: &Range<usize>, to: &mut [f32]| copy(rows, words, first, to, f32::from_bits);
        let next_floats =
            |words: &Range<usize>, to: &mut [f32]| copy_next(rows, words, first, to, f32::from_bits, 0.0);
        floats(&(layout.team_reward..layout.team_reward + 1), &mut out.team_reward);
        floats(&(layout.team_discount..layout.team_discount + 1), &mut out.team_discount);
        floats(&layout.state, &mut out.state);
        next_floats(&layout.state, &mut out.next_state);
        for (from, to) in layout.groups.iter().zip(&mut out.groups) {
            floats(&from.obs, &mut to.obs);
            next_floats(&from.obs, &mut to.next_obs);
            copy(rows, &from.mask, first, &mut to.mask, |w| w);
            copy_next(rows, &from.mask, first, &mut to.next_mask, |w| w, u32::MAX);
            copy(rows, &from.action, first, &mut to.action, |w| w);
            floats(&from.continuous, &mut to.action_continuous);
            floats(&from.reward, &mut to.reward);
            floats(&from.discount, &mut to.discount);
            let valid = to.valid[first * from.n_agents..].chunks_exact_mut(from.n_agents);
            for (valid, (now, _)) in valid.zip(rows) {
                for (agent, v) in valid.iter_mut().enumerate() {
                    *v = now[from.valid.start + agent / 32] >> (agent % 32) & 1 == 1;
                }
            }
        }
    }

    /// Sets priorities to `(td_abs + eps)^alpha`. Where an id occurs more than once, the last one counts. Ids of
    /// transitions overwritten since they were sampled are skipped; returns how many.
    ///
    /// # Errors
    /// A value that is negative or not finite, an id that cannot have been sampled, slices of unequal lengths, or a
    /// replay without priorities. Nothing is changed then.
    pub fn update_priorities(&mut self, ids: &[u64], td_abs: &[f32]) -> Result<usize> {
        let (oldest, newest) = (self.oldest_time(), self.newest_time());
        let (inserted, head, n_cells) = (self.inserted(), self.head, self.ring.geometry.n_cells());
        let Some(p) = self.priorities.as_mut().filter(|_| !self.lent) else {
            return Err(Error::NotPrioritized);
        };
        if ids.len() != td_abs.len() {
            return Err(Error::Shape { what: "td_abs", expected: ids.len(), found: td_abs.len() });
        }
        let n_envs = self.config.n_envs as u64;
        let (oldest, newest) = (oldest * n_envs, newest * n_envs);
        check_priorities(ids, td_abs, newest)?;
        let cells = CellsOf { inserted, oldest, head, n_cells };
        let n_set = Arch::new().dispatch(Update { priorities: &mut *p, ids, td_abs, cells });
        p.refresh(self.config.normalize_weights_by);
        Ok(ids.len() - n_set)
    }
}

/// The row of a record, and what is seen after it.
type Row<'a> = (&'a [u32], Option<&'a [u32]>);

/// Copies `words` of each record to a column, from row `first` on.
#[inline(always)]
fn copy<T: Copy>(
    rows: &[Row<'_>],
    words: &Range<usize>,
    first: usize,
    to: &mut [T],
    value: impl Fn(u32) -> T,
) {
    if words.len() == 1 {
        for (to, (now, _)) in to[first..].iter_mut().zip(rows) {
            *to = value(now[words.start]);
        }
    } else if !words.is_empty() {
        for (to, (now, _)) in to[first * words.len()..].chunks_exact_mut(words.len()).zip(rows) {
            to.iter_mut().zip(&now[words.clone()]).for_each(|(t, w)| *t = value(*w));
        }
    }
}

/// Copies `words` of what is seen after each record to a column, or `nothing` where its episode ended by itself.
#[inline(always)]
fn copy_next<T: Copy>(
    rows: &[Row<'_>],
    words: &Range<usize>,
    first: usize,
    to: &mut [T],
    value: impl Fn(u32) -> T,
    nothing: T,
) {
    if words.is_empty() {
        return;
    }
    for (to, (_, later)) in to[first * words.len()..].chunks_exact_mut(words.len()).zip(rows) {
        match later {
            Some(later) => to.iter_mut().zip(&later[words.clone()]).for_each(|(t, w)| *t = value(*w)),
            None => to.fill(nothing),
        }
    }
}

/// The cell that was the head `age` inserts ago.
#[inline(always)]
fn cell_of(age: u64, head: usize, n_cells: usize) -> usize {
    let at = head + n_cells - age as usize;
    if at >= n_cells { at - n_cells } else { at }
}

/// Refuses priorities that are negative or not finite, and ids from `newest` on. First over all without an early exit,
/// which vectorizes.
fn check_priorities(ids: &[u64], td_abs: &[f32], newest: u64) -> Result<()> {
    // Negative zero passes, NaN does not.
    let good = |td: f32| (0.0..=f32::MAX).contains(&td);
    let all_good = td_abs.iter().fold(true, |all, &td| all & good(td));
    if !all_good && let Some(i) = td_abs.iter().position(|&td| !good(td)) {
        return Err(Error::BadPriority { id: ids[i], value: td_abs[i] });
    }
    let all_known = ids.iter().fold(true, |all, &id| all & (id < newest));
    if !all_known && let Some(&id) = ids.iter().find(|&&id| id >= newest) {
        return Err(Error::UnknownId { id, newest: newest.saturating_sub(1) });
    }
    Ok(())
}

/// Where ids are stored.
#[derive(Clone, Copy)]
struct CellsOf {
    /// Id of the first cell of `head`.
    inserted: u64,
    /// The smallest id that is still stored.
    oldest: u64,
    head: usize,
    n_cells: usize,
}

/// Setting priorities, to be compiled for each instruction set: powers are most of the work.
struct Update<'a> {
    priorities: &'a mut Priorities,
    ids: &'a [u64],
    td_abs: &'a [f32],
    cells: CellsOf,
}

impl WithSimd for Update<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        let Self { priorities: p, ids, td_abs, cells } = self;
        let (mut n_set, mut largest) = (0, p.largest);
        for (ids, td_abs) in ids.chunks(64).zip(td_abs.chunks(64)) {
            let mut leaves = [0; 64];
            priority::leaves_of(td_abs, p.settings.eps, p.settings.alpha, &mut leaves);
            let entries = ids.iter().zip(&leaves).filter(|&(&id, _)| id >= cells.oldest);
            p.sums.set_each(entries.map(|(&id, &leaf)| {
                n_set += 1;
                largest = largest.max(leaf);
                (cell_of(cells.inserted - id, cells.head, cells.n_cells), leaf)
            }));
        }
        p.largest = largest;
        n_set
    }
}

/// A prioritized draw of cells and their weights, to be compiled for each instruction set.
struct Draw<'a> {
    priorities: &'a Priorities,
    /// Numbers are drawn by counter under this key, so that they do not wait for each other.
    key: [u32; 2],
    beta: f32,
    cells: &'a mut [u64],
    weights: &'a mut [f32],
}

impl WithSimd for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { priorities: p, key, beta, cells, weights } = self;
        let mut first = 0;
        let uniforms = |drawn: &mut [f64]| {
            let mut pairs = [[0.0; 2]; 32];
            for (block, pair) in (first..).zip(&mut pairs) {
                let words = philox4x32([block, 0, 0, 0], key);
                *pair = [unit_f64(words[0], words[1]), unit_f64(words[2], words[3])];
            }
            first += 32;
            drawn.copy_from_slice(&pairs.as_flattened()[..drawn.len()]);
        };
        p.sums.stratified(uniforms, cells);
        let leaf = |cell: u64| p.sums.get(cell as usize);
        let least = p.least.or_else(|| cells.iter().map(|&c| leaf(c)).min()).unwrap_or(1);
        for (weights, cells) in weights.chunks_mut(64).zip(cells.chunks(64)) {
            let mut leaves = [1; 64];
            leaves.iter_mut().zip(cells).for_each(|(l, &c)| *l = leaf(c));
            priority::importance_weights(&leaves[..cells.len()], least, beta, weights);
        }
    }
}

impl Priorities {
    /// Brings the smallest leaf up to date, if weights need it.
    pub fn refresh(&mut self, norm: WeightNorm) {
        if norm == WeightNorm::Buffer {
            self.least = self.sums.minimum();
        }
    }
}
