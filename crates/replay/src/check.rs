//! Checks of what comes in, before anything is stored: shapes, finite numbers, actions in range.

use coact_core::{ActionBatch, ActionSpace, EnvSpec, StepBatch};

use crate::error::{Error, Result};

/// Limits that incoming numbers keep to.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub spec: EnvSpec,
    pub n_envs: usize,
    /// Rewards up to here add up over `n_step` steps without overflow.
    pub reward_limit: f32,
}

impl Gate {
    /// Checks first observations after a reset.
    pub fn first(&self, step: &StepBatch) -> Result<()> {
        length("StepBatch::groups", step.groups.len(), self.spec.groups.len())?;
        length("StepBatch::n_envs", step.n_envs, self.n_envs)?;
        let mut first_agent = 0;
        for (group, spec) in step.groups.iter().zip(&self.spec.groups) {
            let rows = self.n_envs * spec.n_agents;
            length("GroupStep::obs", group.obs.len(), rows * spec.obs_width())?;
            length("GroupStep::mask", group.mask.len(), rows * spec.mask_words())?;
            length("GroupStep::alive", group.alive.len(), rows)?;
            self.finite("observation", &group.obs, first_agent, spec.n_agents, |_| true)?;
            first_agent += spec.n_agents;
        }
        length("StepBatch::state", step.state.len(), self.n_envs * self.spec.state_width)?;
        self.finite_state(&step.state, |_| true)
    }

    /// Checks the result of a step.
    pub fn step(&self, step: &StepBatch) -> Result<()> {
        self.first(step)?;
        length("StepBatch::is_first", step.is_first.len(), self.n_envs)?;
        length("StepBatch::truncated", step.truncated.len(), self.n_envs)?;
        length("StepBatch::final_state", step.final_state.len(), self.n_envs * self.spec.state_width)?;
        let ended = |env: usize| step.is_first[env];
        let any_ended = step.is_first.contains(&true);
        let mut first_agent = 0;
        for (group, spec) in step.groups.iter().zip(&self.spec.groups) {
            let rows = self.n_envs * spec.n_agents;
            length("GroupStep::final_obs", group.final_obs.len(), rows * spec.obs_width())?;
            length("GroupStep::final_mask", group.final_mask.len(), rows * spec.mask_words())?;
            length("GroupStep::reward", group.reward.len(), rows)?;
            length("GroupStep::terminated", group.terminated.len(), rows)?;
            if any_ended {
                self.finite("final observation", &group.final_obs, first_agent, spec.n_agents, ended)?;
            }
            self.rewards(&group.reward, first_agent, spec.n_agents)?;
            first_agent += spec.n_agents;
        }
        self.finite_state(&step.final_state, ended)
    }

    /// Checks the actions that led to a step.
    pub fn actions(&self, actions: &ActionBatch) -> Result<()> {
        length("ActionBatch::discrete", actions.discrete.len(), self.spec.groups.len())?;
        length("ActionBatch::continuous", actions.continuous.len(), self.spec.groups.len())?;
        let mut first_agent = 0;
        for (g, spec) in self.spec.groups.iter().enumerate() {
            let rows = self.n_envs * spec.n_agents;
            let (discrete, continuous) = (&actions.discrete[g], &actions.continuous[g]);
            length("ActionBatch::continuous", continuous.len(), rows * spec.action.n_continuous())?;
            match spec.action {
                ActionSpace::Discrete { n } => {
                    length("ActionBatch::discrete", discrete.len(), rows)?;
                    if let Some(row) = discrete.iter().position(|&action| action as usize >= n) {
                        let (env, agent) = (row / spec.n_agents, first_agent + row % spec.n_agents);
                        let (action, n_actions) = (discrete[row], n);
                        return Err(coact_core::Error::BadAction { env, agent, action, n_actions }.into());
                    }
                }
                ActionSpace::Continuous { .. } => {
                    length("ActionBatch::discrete", discrete.len(), 0)?;
                    self.finite("action", continuous, first_agent, spec.n_agents, |_| true)?;
                }
            }
            first_agent += spec.n_agents;
        }
        Ok(())
    }

    /// Fails on the first number that is not finite in `[E, A, ...]`, in environments that `counts` accepts.
    fn finite(
        &self,
        what: &'static str,
        values: &[f32],
        first_agent: usize,
        n_agents: usize,
        counts: impl Fn(usize) -> bool,
    ) -> Result<()> {
        if all_finite(values) {
            return Ok(());
        }
        let width = values.len() / (self.n_envs * n_agents);
        let bad = |&(i, v): &(usize, &f32)| !v.is_finite() && counts(i / (width * n_agents));
        match values.iter().enumerate().find(bad) {
            None => Ok(()),
            Some((i, &value)) => {
                let row = i / width;
                let (env, agent) = (row / n_agents, first_agent + row % n_agents);
                Err(coact_core::Error::NonFinite { what, env, agent, value }.into())
            }
        }
    }

    fn rewards(&self, rewards: &[f32], first_agent: usize, n_agents: usize) -> Result<()> {
        let good = |r: f32| r.abs() <= self.reward_limit;
        if rewards.iter().fold(true, |all, &r| all & good(r)) {
            return Ok(());
        }
        match rewards.iter().enumerate().find(|&(_, &r)| !good(r)) {
            None => Ok(()),
            Some((row, &value)) => {
                let (env, agent) = (row / n_agents, first_agent + row % n_agents);
                let what = if value.is_finite() { "reward (too large to add up)" } else { "reward" };
                Err(coact_core::Error::NonFinite { what, env, agent, value }.into())
            }
        }
    }

    fn finite_state(&self, state: &[f32], counts: impl Fn(usize) -> bool) -> Result<()> {
        if all_finite(state) {
            return Ok(());
        }
        let env_of = |i: usize| i / self.spec.state_width;
        match state.iter().enumerate().find(|&(i, v)| !v.is_finite() && counts(env_of(i))) {
            None => Ok(()),
            Some((i, &value)) => Err(Error::NonFiniteState { env: env_of(i), value }),
        }
    }
}

/// Whether every value is finite. Without an early exit, so that it vectorizes.
fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, v| all & v.is_finite())
}

fn length(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Shape { what, expected, found }) }
}
