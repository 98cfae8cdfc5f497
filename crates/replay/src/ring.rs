//! The ring: struct of arrays over cells. A cell is one environment at one time; the cell of time `t` and
//! environment `e` is `(t mod T) * E + e` of `T * E`, so the next moment of the same environment is `E` cells on.

use coact_core::{EnvSpec, GroupSpec, GroupStep, StepBatch};

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

/// Columns of one group. `C` cells.
#[derive(Debug, Clone)]
pub(crate) struct GroupRing {
    /// Agents, `A`.
    pub n_agents: usize,
    /// Floats of all observations in a cell, `A * D`.
    pub obs_row: usize,
    /// Mask words in a cell, `A * W`.
    pub mask_row: usize,
    /// Discrete actions in a cell, `A` or 0.
    pub action_row: usize,
    /// Continuous action components in a cell.
    pub continuous_row: usize,
    /// `[C, A, D]`.
    pub obs: Vec<f32>,
    /// `[C, A, W]`.
    pub mask: Vec<u32>,
    /// `[C, A]`.
    pub action: Vec<u32>,
    /// `[C, A, components]`.
    pub continuous: Vec<f32>,
    /// `[C, A]`: n-step sums, growing while the record is open.
    pub reward: Vec<f32>,
    /// `[C, A]`: while the record is open 1, or 0 once the agent's process ended; then the discount.
    pub discount: Vec<f32>,
    /// `[C, A]`.
    pub valid: Vec<bool>,
}

impl GroupRing {
    fn new(spec: &GroupSpec, n_cells: usize) -> Self {
        let n_agents = spec.n_agents;
        let obs_row = n_agents * spec.obs_width();
        let mask_row = n_agents * spec.mask_words();
        let action_row = if spec.action.n_discrete() > 0 { n_agents } else { 0 };
        let continuous_row = n_agents * spec.action.n_continuous();
        Self {
            n_agents,
            obs_row,
            mask_row,
            action_row,
            continuous_row,
            obs: vec![0.0; n_cells * obs_row],
            mask: vec![0; n_cells * mask_row],
            action: vec![0; n_cells * action_row],
            continuous: vec![0.0; n_cells * continuous_row],
            reward: vec![0.0; n_cells * n_agents],
            discount: vec![0.0; n_cells * n_agents],
            valid: vec![false; n_cells * n_agents],
        }
    }

    /// Opens the cells from `first` on with new observations `[E, ...]`.
    fn open(&mut self, first: usize, step: &GroupStep) {
        put(&mut self.obs, first * self.obs_row, &step.obs);
        put(&mut self.mask, first * self.mask_row, &step.mask);
        let at = first * self.n_agents;
        put(&mut self.valid, at, &step.alive);
        self.reward[at..at + step.alive.len()].fill(0.0);
        for (d, &alive) in self.discount[at..].iter_mut().zip(&step.alive) {
            *d = f32::from(u8::from(alive));
        }
    }
}

/// Every column.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub geometry: Geometry,
    /// One set a group.
    pub groups: Vec<GroupRing>,
    /// Width of the state, `S`.
    pub state_row: usize,
    /// `[C, S]`.
    pub state: Vec<f32>,
    /// `[C]`: n-step sums of the first agent.
    pub team_reward: Vec<f32>,
    /// `[C]`.
    pub team_discount: Vec<f32>,
    /// `[C]`: see [`next`].
    pub next: Vec<u32>,
}

impl Ring {
    /// Zeroed columns, whose pages the operating system gives only when they are written.
    pub fn new(spec: &EnvSpec, geometry: Geometry) -> Self {
        let n_cells = geometry.n_cells();
        Self {
            geometry,
            groups: spec.groups.iter().map(|g| GroupRing::new(g, n_cells)).collect(),
            state_row: spec.state_width,
            state: vec![0.0; n_cells * spec.state_width],
            team_reward: vec![0.0; n_cells],
            team_discount: vec![0.0; n_cells],
            next: vec![0; n_cells],
        }
    }

    /// Bytes of one cell.
    pub fn cell_bytes(spec: &EnvSpec) -> u64 {
        let groups: u64 = spec.groups.iter().map(group_cell_bytes).sum();
        groups + 4 * (spec.state_width as u64) + 12
    }

    /// Opens the `E` cells from `first` on with the observations of `step`.
    pub fn open(&mut self, first: usize, step: &StepBatch) {
        for (ring, group) in self.groups.iter_mut().zip(&step.groups) {
            ring.open(first, group);
        }
        put(&mut self.state, first * self.state_row, &step.state);
        let cells = first..first + self.geometry.n_envs;
        self.team_reward[cells.clone()].fill(0.0);
        self.team_discount[cells.clone()].fill(1.0);
        self.next[cells].fill(next::OPEN);
    }
}

fn group_cell_bytes(spec: &GroupSpec) -> u64 {
    let floats = spec.obs_width() + spec.action.n_continuous() + 2;
    let words = spec.mask_words() + usize::from(spec.action.n_discrete() > 0);
    spec.n_agents as u64 * (4 * (floats + words) as u64 + 1)
}

/// Copies `from` to `to[at..]`.
#[inline]
pub(crate) fn put<T: Copy>(to: &mut [T], at: usize, from: &[T]) {
    to[at..at + from.len()].copy_from_slice(from);
}

/// Row `index` of a column whose rows have `width` values.
#[inline]
pub(crate) fn row<T>(column: &[T], index: usize, width: usize) -> &[T] {
    &column[index * width..(index + 1) * width]
}

/// Like [`row`], to write.
#[inline]
pub(crate) fn row_mut<T>(column: &mut [T], index: usize, width: usize) -> &mut [T] {
    &mut column[index * width..(index + 1) * width]
}
