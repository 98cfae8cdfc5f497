//! The ring: rows of 32-bit words over cells. A cell is one environment at one time; the cell of time `t` and
//! environment `e` is `(t mod T) * E + e` of `T * E`, so the next moment of the same environment is `E` cells on.
//!
//! A row holds first what is seen at that time (observations, state, masks), then what became of it (actions,
//! sums of rewards, discounts). One row rather than one array a column: a random transition then costs two places in
//! memory, its row and the seen part of a later one, and not one place a column. Floats are kept as their bits.

use std::ops::Range;

use coact_core::{EnvSpec, StepBatch};

/// Where the next observation of a record is.
pub(crate) mod next {
    /// The record is not complete.
    pub const OPEN: u32 = 0;
    /// The episode ended by itself: there is no next observation.
    pub const NOWHERE: u32 = u32::MAX;
    /// The low bits are a row of the table of final observations; otherwise they are a number of steps.
    pub const FINAL: u32 = 1 << 31;
    /// This record is the last of its episode: its final row is free when it is overwritten.
    pub const OWNER: u32 = 1 << 30;

    /// The row of final observations, if the record has one.
    #[inline]
    pub fn final_row(code: u32) -> Option<usize> {
        (code & FINAL != 0 && code != NOWHERE).then_some((code & !(FINAL | OWNER)) as usize)
    }
}

/// Cells and how to walk them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Geometry {
    /// Environments, `E`.
    pub n_envs: usize,
    /// Moments kept, `T`.
    pub n_slots: usize,
}

impl Geometry {
    /// `T * E`.
    pub fn n_cells(self) -> usize {
        self.n_slots * self.n_envs
    }

    /// The cell `steps` moments after `cell`.
    #[inline]
    pub fn ahead(self, cell: usize, steps: usize) -> usize {
        let to = cell + steps * self.n_envs;
        if to >= self.n_cells() { to - self.n_cells() } else { to }
    }

    /// The cell `steps` moments before `cell`.
    #[inline]
    pub fn behind(self, cell: usize, steps: usize) -> usize {
        let by = steps * self.n_envs;
        if cell >= by { cell - by } else { cell + self.n_cells() - by }
    }
}

/// Words of one group in a row.
#[derive(Debug, Clone)]
pub(crate) struct GroupLayout {
    /// Agents, `A`.
    pub n_agents: usize,
    /// `[A, D]`.
    pub obs: Range<usize>,
    /// `[A, W]`.
    pub mask: Range<usize>,
    /// `[A]`, or none for a continuous group.
    pub action: Range<usize>,
    /// `[A, components]`.
    pub continuous: Range<usize>,
    /// `[A]`: n-step sums, growing while the record is open.
    pub reward: Range<usize>,
    /// `[A]`: while the record is open 1, or 0 once the agent's process ended; then the discount.
    pub discount: Range<usize>,
    /// A bit an agent: it acted.
    pub valid: Range<usize>,
}

/// Words of a row.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub groups: Vec<GroupLayout>,
    /// `[S]`.
    pub state: Range<usize>,
    /// Words of the seen part, which comes first.
    pub seen: usize,
    /// See [`next`].
    pub next: usize,
    /// n-step sum of the first agent.
    pub team_reward: usize,
    pub team_discount: usize,
    /// Words of a row.
    pub width: usize,
}

impl Layout {
    pub fn new(spec: &EnvSpec) -> Self {
        let mut width = 0;
        let mut words = |n: usize| {
            width += n;
            width - n..width
        };
        let obs: Vec<_> = spec.groups.iter().map(|g| words(g.n_agents * g.obs_width())).collect();
        let state = words(spec.state_width);
        let mask: Vec<_> = spec.groups.iter().map(|g| words(g.n_agents * g.mask_words())).collect();
        let [next, team_reward, team_discount] = [words(1).start, words(1).start, words(1).start];
        let groups = spec.groups.iter().zip(obs).zip(mask).map(|((g, obs), mask)| GroupLayout {
            n_agents: g.n_agents,
            obs,
            mask,
            action: words(if g.action.n_discrete() > 0 { g.n_agents } else { 0 }),
            continuous: words(g.n_agents * g.action.n_continuous()),
            reward: words(g.n_agents),
            discount: words(g.n_agents),
            valid: words(g.n_agents.div_ceil(32)),
        });
        let groups = groups.collect();
        Self { groups, state, seen: next, next, team_reward, team_discount, width }
    }

    /// Writes what is seen of environment `env`: what to act on next, or the last of the episode that ended.
    pub fn see(&self, row: &mut [u32], step: &StepBatch, env: usize, is_last: bool) {
        for (layout, group) in self.groups.iter().zip(&step.groups) {
            let (obs, mask) = match is_last {
                true => (&group.final_obs, &group.final_mask),
                false => (&group.obs, &group.mask),
            };
            put_bits(&mut row[layout.obs.clone()], part(obs, env, layout.obs.len()));
            row[layout.mask.clone()].copy_from_slice(part(mask, env, layout.mask.len()));
        }
        let state = if is_last { &step.final_state } else { &step.state };
        put_bits(&mut row[self.state.clone()], part(state, env, self.state.len()));
    }
}

/// Every row.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub geometry: Geometry,
    pub layout: Layout,
    /// `[T * E, width]`.
    pub words: Vec<u32>,
}

impl Ring {
    /// Zeroed rows, whose pages the operating system gives only when they are written.
    pub fn new(spec: &EnvSpec, geometry: Geometry) -> Self {
        let layout = Layout::new(spec);
        Self { geometry, words: vec![0; geometry.n_cells() * layout.width], layout }
    }

    /// Bytes of one cell.
    pub fn cell_bytes(spec: &EnvSpec) -> u64 {
        4 * Layout::new(spec).width as u64
    }

    #[inline]
    pub fn row(&self, cell: usize) -> &[u32] {
        part(&self.words, cell, self.layout.width)
    }

    #[inline]
    pub fn row_mut(&mut self, cell: usize) -> &mut [u32] {
        &mut self.words[cell * self.layout.width..(cell + 1) * self.layout.width]
    }

    /// See [`next`].
    #[inline]
    pub fn next(&self, cell: usize) -> u32 {
        self.words[cell * self.layout.width + self.layout.next]
    }

    /// Opens the `E` cells from `first` on with the observations of `step`.
    pub fn open(&mut self, first: usize, step: &StepBatch) {
        let Self { layout, words, .. } = self;
        let rows = words[first * layout.width..].chunks_exact_mut(layout.width);
        for (env, row) in rows.take(step.n_envs).enumerate() {
            layout.see(row, step, env, false);
            row[layout.next] = next::OPEN;
            row[layout.team_reward] = 0.0_f32.to_bits();
            row[layout.team_discount] = 1.0_f32.to_bits();
            for (layout, group) in layout.groups.iter().zip(&step.groups) {
                let alive = part(&group.alive, env, layout.n_agents);
                row[layout.reward.clone()].fill(0.0_f32.to_bits());
                for (discount, &alive) in row[layout.discount.clone()].iter_mut().zip(alive) {
                    *discount = f32::from(u8::from(alive)).to_bits();
                }
                for (word, alive) in row[layout.valid.clone()].iter_mut().zip(alive.chunks(32)) {
                    *word = alive.iter().rev().fold(0, |bits, &a| bits << 1 | u32::from(a));
                }
            }
        }
    }
}

/// Row `index` of a column whose rows have `width` values.
#[inline]
pub(crate) fn part<T>(column: &[T], index: usize, width: usize) -> &[T] {
    &column[index * width..(index + 1) * width]
}

/// Like [`part`], to write.
#[inline]
pub(crate) fn part_mut<T>(column: &mut [T], index: usize, width: usize) -> &mut [T] {
    &mut column[index * width..(index + 1) * width]
}

/// Writes floats as their bits.
#[inline]
pub(crate) fn put_bits(to: &mut [u32], from: &[f32]) {
    assert_eq!(to.len(), from.len());
    to.iter_mut().zip(from).for_each(|(t, f)| *t = f.to_bits());
}
