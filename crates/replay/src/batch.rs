//! A sampled batch: columns per group, row-major, reused from sample to sample.

use coact_core::EnvSpec;
use ndarray::{ArrayView2, ArrayView3};

/// Columns of one group in a [`Batch`] of `B` transitions. A transition starts at time `t` and spans `h` steps:
/// `n_step`, or fewer where its episode ended earlier.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupColumns {
    /// Observations `[B, A, D]` at `t`.
    pub obs: Vec<f32>,
    /// Observations `[B, A, D]` at `t + h`; of a truncated episode its last. Zero where the episode ended by
    /// itself: there is nothing to bootstrap from.
    pub next_obs: Vec<f32>,
    /// Legality masks `[B, A, W]` at `t`; empty if all is legal.
    pub mask: Vec<u32>,
    /// Legality masks `[B, A, W]` that belong to `next_obs`; empty if all is legal. All ones where the episode
    /// ended by itself.
    pub next_mask: Vec<u32>,
    /// Actions `[B, A]` at `t`; empty for a continuous group.
    pub action: Vec<u32>,
    /// Actions `[B, A, W]` at `t`; empty for a discrete group.
    pub action_continuous: Vec<f32>,
    /// `[B, A]`: sum over i < h of gamma^i times the reward of step `t + i`, up to the agent's own termination.
    pub reward: Vec<f32>,
    /// `[B, A]`: gamma^h, or 0 where the agent's process ended inside the `h` steps.
    pub discount: Vec<f32>,
    /// `[B, A]`: the agent acted at `t`. Where not, reward and discount are 0.
    pub valid: Vec<bool>,
}

/// A batch of `B` transitions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Number of transitions, `B`.
    pub size: usize,
    /// One set of columns a group.
    pub groups: Vec<GroupColumns>,
    /// Global states `[B, S]` at `t`.
    pub state: Vec<f32>,
    /// Global states `[B, S]` at `t + h`; zero where the episode ended by itself.
    pub next_state: Vec<f32>,
    /// `[B]`: like `reward`, of the first agent, up to the end of the episode. The team's where the reward is common.
    pub team_reward: Vec<f32>,
    /// `[B]`: gamma^h, or 0 where the episode ended by itself inside the `h` steps.
    pub team_discount: Vec<f32>,
    /// `[B]`: importance weights, 1 where sampling is uniform.
    pub weight: Vec<f32>,
    /// `[B]`: insert numbers, for [`crate::Replay::update_priorities`].
    pub ids: Vec<u64>,
}

impl Batch {
    /// Columns for `batch_size` transitions of an environment with `spec`.
    pub fn new(spec: &EnvSpec, batch_size: usize) -> Self {
        let mut batch = Self {
            size: 0,
            groups: vec![GroupColumns::default(); spec.groups.len()],
            state: Vec::new(),
            next_state: Vec::new(),
            team_reward: Vec::new(),
            team_discount: Vec::new(),
            weight: Vec::new(),
            ids: Vec::new(),
        };
        batch.resize(spec, batch_size);
        batch
    }

    /// Gives every column the length that `spec` and `batch_size` ask for. Allocates only when it grows.
    pub(crate) fn resize(&mut self, spec: &EnvSpec, batch_size: usize) {
        self.size = batch_size;
        self.groups.resize_with(spec.groups.len(), GroupColumns::default);
        for (columns, group) in self.groups.iter_mut().zip(&spec.groups) {
            let rows = batch_size * group.n_agents;
            columns.obs.resize(rows * group.obs_width(), 0.0);
            columns.next_obs.resize(rows * group.obs_width(), 0.0);
            columns.mask.resize(rows * group.mask_words(), 0);
            columns.next_mask.resize(rows * group.mask_words(), 0);
            columns.action.resize(if group.action.n_discrete() > 0 { rows } else { 0 }, 0);
            columns.action_continuous.resize(rows * group.action.n_continuous(), 0.0);
            columns.reward.resize(rows, 0.0);
            columns.discount.resize(rows, 0.0);
            columns.valid.resize(rows, false);
        }
        self.state.resize(batch_size * spec.state_width, 0.0);
        self.next_state.resize(batch_size * spec.state_width, 0.0);
        self.team_reward.resize(batch_size, 0.0);
        self.team_discount.resize(batch_size, 0.0);
        self.weight.resize(batch_size, 0.0);
        self.ids.resize(batch_size, 0);
    }

    /// Observations of a group as a view `[B, A, D]`.
    ///
    /// # Panics
    /// If there is no such group, or a column's length was changed.
    pub fn obs_view(&self, group: usize) -> ArrayView3<'_, f32> {
        let columns = &self.groups[group];
        self.wide(&columns.obs, columns.reward.len())
    }

    /// Next observations of a group as a view `[B, A, D]`.
    ///
    /// # Panics
    /// If there is no such group, or a column's length was changed.
    pub fn next_obs_view(&self, group: usize) -> ArrayView3<'_, f32> {
        let columns = &self.groups[group];
        self.wide(&columns.next_obs, columns.reward.len())
    }

    /// Discrete actions of a group as a view `[B, A]`, `[B, 0]` for a continuous group.
    ///
    /// # Panics
    /// If there is no such group, or a column's length was changed.
    pub fn action_view(&self, group: usize) -> ArrayView2<'_, u32> {
        self.flat(&self.groups[group].action)
    }

    /// Rewards of a group as a view `[B, A]`.
    ///
    /// # Panics
    /// If there is no such group, or a column's length was changed.
    pub fn reward_view(&self, group: usize) -> ArrayView2<'_, f32> {
        self.flat(&self.groups[group].reward)
    }

    /// Discounts of a group as a view `[B, A]`.
    ///
    /// # Panics
    /// If there is no such group, or a column's length was changed.
    pub fn discount_view(&self, group: usize) -> ArrayView2<'_, f32> {
        self.flat(&self.groups[group].discount)
    }

    /// Which rows of a group hold an agent that acted, as a view `[B, A]`.
    ///
    /// # Panics
    /// If there is no such group, or a column's length was changed.
    pub fn valid_view(&self, group: usize) -> ArrayView2<'_, bool> {
        self.flat(&self.groups[group].valid)
    }

    fn flat<'a, T>(&self, column: &'a [T]) -> ArrayView2<'a, T> {
        let width = column.len().checked_div(self.size).unwrap_or(0);
        match ArrayView2::from_shape((self.size, width), column) {
            Ok(view) => view,
            Err(_) => panic!("{} values do not form [{}, {width}]", column.len(), self.size),
        }
    }

    fn wide<'a, T>(&self, column: &'a [T], rows: usize) -> ArrayView3<'a, T> {
        let agents = rows.checked_div(self.size).unwrap_or(0);
        let width = column.len().checked_div(rows).unwrap_or(0);
        match ArrayView3::from_shape((self.size, agents, width), column) {
            Ok(view) => view,
            Err(_) => panic!("{} values do not form [{}, {agents}, {width}]", column.len(), self.size),
        }
    }
}
