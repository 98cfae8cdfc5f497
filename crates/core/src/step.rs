//! Batched steps and actions as struct of arrays: one column a quantity, rows row-major.

use crate::spec::{EnvSpec, GroupSpec};

/// Columns of one group after a step of `E` environments.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupStep {
    /// Observations `[E, A, D]` to act on next. Where the episode ended, the first of the next episode.
    pub obs: Vec<f32>,
    /// Last observations `[E, A, D]` of the episode that ended in this step. Written for every environment with
    /// `is_first`; other rows are left as they were.
    pub final_obs: Vec<f32>,
    /// Legality masks `[E, A, W]` that belong to `obs`, see [`GroupSpec::mask_words`]. Empty if all is legal.
    pub mask: Vec<u32>,
    /// Legality masks `[E, A, W]` that belong to `final_obs`.
    pub final_mask: Vec<u32>,
    /// Rewards `[E, A]` of this step, after wrappers.
    pub reward: Vec<f32>,
    /// Rewards `[E, A]` as the environment gave them. Empty unless a wrapper changed `reward`.
    pub raw_reward: Vec<f32>,
    /// `[E, A]`: the agent's process ended in this step (not by a time limit).
    pub terminated: Vec<bool>,
    /// `[E, A]`: the agent acts on `obs`. False for an agent whose process ended while others go on.
    pub alive: Vec<bool>,
}

impl GroupStep {
    /// Columns for `n_envs` environments, all agents alive, everything else zero.
    pub fn new(spec: &GroupSpec, n_envs: usize) -> Self {
        let rows = n_envs * spec.n_agents;
        let obs = vec![0.0; rows * spec.obs_width()];
        let mask = vec![u32::MAX; rows * spec.mask_words()];
        Self {
            final_obs: obs.clone(),
            obs,
            final_mask: mask.clone(),
            mask,
            reward: vec![0.0; rows],
            raw_reward: Vec::new(),
            terminated: vec![false; rows],
            alive: vec![true; rows],
        }
    }

    /// Rewards as the environment gave them, `[E, A]`.
    pub fn raw_reward(&self) -> &[f32] {
        if self.raw_reward.is_empty() { &self.reward } else { &self.raw_reward }
    }
}

/// The result of stepping `E` environments once. Auto-reset is same-step: where an episode ended, `obs` is
/// already the first observation of the next one and the last of the old one is in `final_obs`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepBatch {
    /// Number of environments, `E`.
    pub n_envs: usize,
    /// One set of columns a group.
    pub groups: Vec<GroupStep>,
    /// Global state `[E, S]` that belongs to `obs`.
    pub state: Vec<f32>,
    /// Last global state `[E, S]` of the episode that ended in this step.
    pub final_state: Vec<f32>,
    /// `[E]`: we stopped watching in this step (a time limit), and some agent's process had not ended.
    pub truncated: Vec<bool>,
    /// `[E]`: `obs` is the first of an episode; after a step, the same as "the episode ended in this step".
    pub is_first: Vec<bool>,
}

impl StepBatch {
    /// Columns for `n_envs` environments with `spec`.
    pub fn new(spec: &EnvSpec, n_envs: usize) -> Self {
        let state = vec![0.0; n_envs * spec.state_width];
        Self {
            n_envs,
            groups: spec.groups.iter().map(|g| GroupStep::new(g, n_envs)).collect(),
            final_state: state.clone(),
            state,
            truncated: vec![false; n_envs],
            is_first: vec![true; n_envs],
        }
    }
}

/// Actions of `E` environments: one entry a group.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionBatch {
    /// Number of environments, `E`.
    pub n_envs: usize,
    /// Discrete actions `[E, A]` of each group; empty for a continuous group.
    pub discrete: Vec<Vec<u32>>,
    /// Continuous actions `[E, A, W]` of each group; empty for a discrete group.
    pub continuous: Vec<Vec<f32>>,
}

impl ActionBatch {
    /// All zeros, of the shape that `spec` asks for.
    pub fn new(spec: &EnvSpec, n_envs: usize) -> Self {
        let discrete = |g: &GroupSpec| match g.action.n_discrete() {
            0 => Vec::new(),
            _ => vec![0; n_envs * g.n_agents],
        };
        let continuous = |g: &GroupSpec| vec![0.0; n_envs * g.n_agents * g.action.n_continuous()];
        Self {
            n_envs,
            discrete: spec.groups.iter().map(discrete).collect(),
            continuous: spec.groups.iter().map(continuous).collect(),
        }
    }
}
