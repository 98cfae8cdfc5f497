//! Settings of a replay, and the sizes that follow from them.

use coact_core::EnvSpec;

use crate::error::{Error, Result};

/// Settings of prioritized sampling (Schaul et al. 2016, "Prioritized experience replay", proportional form).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prioritized {
    /// Exponent of the priority: 0 samples uniformly, 1 in proportion. The paper uses 0.6.
    pub alpha: f32,
    /// Added to each absolute TD error, so that a transition learned by heart can still be drawn.
    pub eps: f32,
}

/// What the importance weights are divided by, so that the largest is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightNorm {
    /// The largest weight of the batch, as in the paper and in Dopamine.
    #[default]
    Batch,
    /// The largest weight that any stored transition would have, as in OpenAI Baselines and cpprb.
    Buffer,
}

/// Settings of a [`crate::Replay`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayConfig {
    /// Transitions kept, counted over all environments; rounded down to a multiple of `n_envs`.
    pub capacity: usize,
    /// Environments that step together, `E`.
    pub n_envs: usize,
    /// Steps whose rewards are added up before bootstrapping.
    pub n_step: usize,
    /// Discount of one step, 0 to 1.
    pub gamma: f32,
    /// Sampling by priority; `None` samples uniformly.
    pub prioritized: Option<Prioritized>,
    /// Scale of the importance weights.
    pub normalize_weights_by: WeightNorm,
}

impl ReplayConfig {
    /// Uniform sampling of one-step transitions with gamma 0.99.
    pub fn uniform(capacity: usize, n_envs: usize) -> Self {
        Self {
            capacity,
            n_envs,
            n_step: 1,
            gamma: 0.99,
            prioritized: None,
            normalize_weights_by: WeightNorm::Batch,
        }
    }

    /// Checks every setting by itself and against `spec`.
    pub(crate) fn check(&self, spec: &EnvSpec) -> Result<()> {
        let fail = |text: String| Err(Error::Config(text));
        if self.n_envs == 0 {
            return fail("`n_envs` is 0; at least one environment must feed it".into());
        }
        if self.n_step == 0 || self.n_step > 1024 {
            return fail(format!("`n_step` is {}; use 1 to 1024", self.n_step));
        }
        if !(0.0..=1.0).contains(&self.gamma) {
            return fail(format!("`gamma` is {}; use 0 to 1", self.gamma));
        }
        let least = self.n_envs.saturating_mul(self.n_step + 1);
        if self.capacity < least {
            return fail(format!(
                "`capacity` (a run: `buffer_size`) {} is too small for {} environments and {} steps; use at least {least}",
                self.capacity, self.n_envs, self.n_step
            ));
        }
        if self.capacity > 1 << 30 {
            return fail(format!(
                "`capacity` (a run: `buffer_size`) is {}; use at most {}",
                self.capacity,
                1 << 30
            ));
        }
        if let Some(Prioritized { alpha, eps }) = self.prioritized {
            if !(alpha.is_finite() && alpha >= 0.0) {
                return fail(format!("`alpha` is {alpha}; use 0 (uniform) to 1 (proportional)"));
            }
            if !(eps.is_finite() && eps >= 0.0) {
                return fail(format!("`eps` is {eps}; use a small number from 0 up, for example 1e-6"));
            }
        }
        if spec.groups.is_empty() || spec.groups.iter().any(|g| g.n_agents == 0) {
            return fail(format!("environment `{}` has no agents or an empty group", spec.name));
        }
        Ok(())
    }

    /// Time slots of the ring: those that can be sampled, and `n_step` more for the records still open and the
    /// observation to act on.
    pub(crate) fn n_slots(&self) -> usize {
        self.capacity / self.n_envs + self.n_step
    }

    /// Rows that the table of final observations starts with: exact if episodes are truncated by the limit alone.
    pub(crate) fn n_final_rows(&self, spec: &EnvSpec) -> usize {
        match spec.episode_limit {
            Some(limit) => self.n_envs * (self.n_slots() / (limit.max(1) as usize) + 2),
            None => 0,
        }
    }
}
