//! The table of final observations: one row a truncated episode, shared by the last `n_step` records of that
//! episode, freed when the last of them is overwritten.

use coact_core::EnvSpec;

use crate::ring::{Ring, row, row_mut};

/// Columns of one group, one row an episode.
#[derive(Debug, Clone)]
pub(crate) struct GroupFinals {
    pub obs_row: usize,
    pub mask_row: usize,
    /// `[R, A, D]`.
    pub obs: Vec<f32>,
    /// `[R, A, W]`.
    pub mask: Vec<u32>,
}

/// The table. `R` rows, of which some are free.
#[derive(Debug, Clone)]
pub(crate) struct Finals {
    pub groups: Vec<GroupFinals>,
    pub state_row: usize,
    /// `[R, S]`.
    pub state: Vec<f32>,
    /// Rows that can be taken, the last first.
    pub free: Vec<u32>,
    pub n_rows: usize,
}

impl Finals {
    /// An empty table with memory for `n_rows` rows.
    pub fn new(spec: &EnvSpec, n_rows: usize) -> Self {
        let group = |g: &coact_core::GroupSpec| {
            let (obs_row, mask_row) = (g.n_agents * g.obs_width(), g.n_agents * g.mask_words());
            GroupFinals {
                obs_row,
                mask_row,
                obs: Vec::with_capacity(n_rows * obs_row),
                mask: Vec::with_capacity(n_rows * mask_row),
            }
        };
        Self {
            groups: spec.groups.iter().map(group).collect(),
            state_row: spec.state_width,
            state: Vec::with_capacity(n_rows * spec.state_width),
            free: Vec::with_capacity(n_rows),
            n_rows: 0,
        }
    }

    /// Bytes of one row.
    pub fn row_bytes(spec: &EnvSpec) -> u64 {
        let group = |g: &coact_core::GroupSpec| g.n_agents * (g.obs_width() + g.mask_words());
        4 * (spec.groups.iter().map(group).sum::<usize>() + spec.state_width + 1) as u64
    }

    /// Takes a row: a free one, or a new one at the end.
    pub fn take(&mut self) -> usize {
        if let Some(free) = self.free.pop() {
            return free as usize;
        }
        self.set_rows(self.n_rows + 1);
        self.n_rows - 1
    }

    /// Makes the table `n_rows` long.
    pub fn set_rows(&mut self, n_rows: usize) {
        for group in &mut self.groups {
            group.obs.resize(n_rows * group.obs_row, 0.0);
            group.mask.resize(n_rows * group.mask_row, 0);
        }
        self.state.resize(n_rows * self.state_row, 0.0);
        // As many as could ever be free at once, so that freeing never allocates.
        self.free.reserve(n_rows.saturating_sub(self.free.len()));
        self.n_rows = n_rows;
    }

    /// Gives a row back.
    pub fn give(&mut self, row: usize) {
        self.free.push(row as u32);
    }

    /// Writes the observations that are stored in `cell` of the ring into `row`.
    pub fn copy_from_ring(&mut self, at: usize, ring: &Ring, cell: usize) {
        for (to, from) in self.groups.iter_mut().zip(&ring.groups) {
            row_mut(&mut to.obs, at, to.obs_row).copy_from_slice(row(&from.obs, cell, from.obs_row));
            row_mut(&mut to.mask, at, to.mask_row).copy_from_slice(row(&from.mask, cell, from.mask_row));
        }
        row_mut(&mut self.state, at, self.state_row).copy_from_slice(row(&ring.state, cell, ring.state_row));
    }

    /// Writes the final observations of environment `env` into `row`.
    pub fn copy_from_step(&mut self, at: usize, step: &coact_core::StepBatch, env: usize) {
        for (to, from) in self.groups.iter_mut().zip(&step.groups) {
            row_mut(&mut to.obs, at, to.obs_row).copy_from_slice(row(&from.final_obs, env, to.obs_row));
            row_mut(&mut to.mask, at, to.mask_row).copy_from_slice(row(&from.final_mask, env, to.mask_row));
        }
        row_mut(&mut self.state, at, self.state_row).copy_from_slice(row(
            &step.final_state,
            env,
            self.state_row,
        ));
    }
}
