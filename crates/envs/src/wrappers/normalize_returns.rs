//! Reward normalization: rewards over the running standard deviation of discounted returns, per group.
//!
//! The mean is not subtracted. An agent's return starts anew after the step in which its process or its episode
//! ended; agents that did not act in a step are not taken in. Frozen after [`BatchEnv::load_statistics`].

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Result, StepBatch};

use super::{ReturnNormalizer, pass_on, reset_keeping_raw, step_keeping_raw};

/// Normalized rewards.
pub struct NormalizedReturns {
    inner: Box<dyn BatchEnv>,
    normalizers: Vec<ReturnNormalizer>,
    /// Whether each agent acts in the coming step, `[E, A]` a group.
    acting: Vec<Vec<bool>>,
    frozen: bool,
}

impl NormalizedReturns {
    /// `inner` with rewards normalized and clipped to +- `clip`.
    pub fn new(inner: Box<dyn BatchEnv>, gamma: f64, clip: f32) -> Self {
        let rows = |n_agents: usize| inner.n_envs() * n_agents;
        let groups = &inner.spec().groups;
        let normalizers =
            groups.iter().map(|g| ReturnNormalizer::new(rows(g.n_agents), gamma, clip)).collect();
        let acting = groups.iter().map(|g| vec![true; rows(g.n_agents)]).collect();
        Self { inner, normalizers, acting, frozen: false }
    }
}

impl BatchEnv for NormalizedReturns {
    pass_on!();

    fn spec(&self) -> &EnvSpec {
        self.inner.spec()
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        reset_keeping_raw(&mut *self.inner, seed, out)?;
        self.normalizers.iter_mut().for_each(ReturnNormalizer::restart_all);
        self.acting.iter_mut().zip(&out.groups).for_each(|(to, g)| to.copy_from_slice(&g.alive));
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        step_keeping_raw(&mut *self.inner, actions, out)?;
        for ((group, normalizer), acting) in
            out.groups.iter_mut().zip(&mut self.normalizers).zip(&mut self.acting)
        {
            if !self.frozen {
                normalizer.update(&group.reward, Some(acting));
            }
            group.reward.iter_mut().for_each(|r| *r = normalizer.normalize(*r));
            let per_env = group.reward.len() / out.n_envs;
            for row in 0..group.reward.len() {
                if group.terminated[row] || out.is_first[row / per_env] {
                    normalizer.restart(row);
                }
            }
            acting.copy_from_slice(&group.alive);
        }
        Ok(())
    }

    fn save(&self, out: &mut Writer) {
        out.bool(self.frozen);
        for (normalizer, acting) in self.normalizers.iter().zip(&self.acting) {
            normalizer.save(out);
            out.bools(acting);
        }
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.frozen = from.bool()?;
        for (normalizer, acting) in self.normalizers.iter_mut().zip(&mut self.acting) {
            normalizer.load(from)?;
            from.bools(acting)?;
        }
        self.inner.load(from)
    }

    fn save_statistics(&self, out: &mut Writer) {
        self.normalizers.iter().for_each(|n| n.save_statistics(out));
        self.inner.save_statistics(out);
    }

    fn load_statistics(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.frozen = true;
        self.normalizers.iter_mut().try_for_each(|n| n.load_statistics(from))?;
        self.inner.load_statistics(from)
    }
}
