//! Reward scaling: the learner is paid a multiple; logs keep `raw_reward`.

use coact_core::{ActionBatch, BatchEnv, EnvSpec, Result, StepBatch};

use super::{pass_on, pass_on_state, pass_on_statistics, reset_keeping_raw, step_keeping_raw};

/// Rewards times a factor.
pub struct ScaledReward {
    inner: Box<dyn BatchEnv>,
    scale: f32,
}

impl ScaledReward {
    /// `inner` with rewards times `scale`.
    pub fn new(inner: Box<dyn BatchEnv>, scale: f32) -> Self {
        Self { inner, scale }
    }
}

impl BatchEnv for ScaledReward {
    pass_on!();
    pass_on_state!();
    pass_on_statistics!();

    fn spec(&self) -> &EnvSpec {
        self.inner.spec()
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        reset_keeping_raw(&mut *self.inner, seed, out)
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        step_keeping_raw(&mut *self.inner, actions, out)?;
        for group in &mut out.groups {
            group.reward.iter_mut().for_each(|r| *r *= self.scale);
        }
        Ok(())
    }
}
