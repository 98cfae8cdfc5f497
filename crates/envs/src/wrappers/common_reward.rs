//! Common reward: everybody is paid the sum or the mean of what all agents earned.

use coact_core::{ActionBatch, BatchEnv, EnvSpec, Result, RewardKind, StepBatch};
use serde::{Deserialize, Serialize};

use super::{pass_on, pass_on_limit, pass_on_state, pass_on_statistics, reset_keeping_raw, step_keeping_raw};

/// How one reward is made of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommonReward {
    /// The sum over all agents.
    Sum,
    /// The mean over all agents, dead ones included.
    Mean,
}

/// One reward for all agents of all groups.
pub struct WithCommonReward {
    inner: Box<dyn BatchEnv>,
    spec: EnvSpec,
    kind: CommonReward,
}

impl WithCommonReward {
    /// `inner` with one reward. An environment whose reward is common already keeps it.
    pub fn new(inner: Box<dyn BatchEnv>, kind: CommonReward) -> Self {
        let mut spec = inner.spec().clone();
        spec.reward = RewardKind::Common;
        Self { inner, spec, kind }
    }

    fn share(&self, out: &mut StepBatch) {
        let factor = match self.kind {
            CommonReward::Sum => 1.0,
            CommonReward::Mean => 1.0 / self.spec.n_agents() as f32,
        };
        for env in 0..out.n_envs {
            let mut sum = 0.0;
            for (spec, group) in self.spec.groups.iter().zip(&out.groups) {
                sum += group.reward[env * spec.n_agents..(env + 1) * spec.n_agents].iter().sum::<f32>();
            }
            for (spec, group) in self.spec.groups.iter().zip(&mut out.groups) {
                group.reward[env * spec.n_agents..(env + 1) * spec.n_agents].fill(sum * factor);
            }
        }
    }
}

impl BatchEnv for WithCommonReward {
    pass_on!();
    pass_on_limit!();
    pass_on_state!();
    pass_on_statistics!();

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        reset_keeping_raw(&mut *self.inner, seed, out)
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        step_keeping_raw(&mut *self.inner, actions, out)?;
        if self.inner.spec().reward == RewardKind::PerAgent {
            self.share(out);
        }
        Ok(())
    }
}
