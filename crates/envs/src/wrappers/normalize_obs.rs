//! Observation normalization: running mean and variance per group over all environments and acting agents.
//!
//! Statistics take in each first and each next observation once, before it is normalized. The last observation
//! of an episode is normalized by the same statistics and never taken in, and rows of agents that no longer act
//! are not taken in. Frozen after [`BatchEnv::load_statistics`].

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Result, StepBatch};

use super::{RunningStats, pass_on};

/// Normalized observations.
pub struct NormalizedObs {
    inner: Box<dyn BatchEnv>,
    spec: EnvSpec,
    stats: Vec<RunningStats>,
    clip: f32,
    frozen: bool,
}

impl NormalizedObs {
    /// `inner` with observations normalized and clipped to +- `clip`.
    pub fn new(inner: Box<dyn BatchEnv>, clip: f32) -> Self {
        let mut spec = inner.spec().clone();
        for field in spec.groups.iter_mut().flat_map(|g| &mut g.obs) {
            (field.low, field.high) = (-clip, clip);
        }
        let stats = spec.groups.iter().map(|g| RunningStats::new(g.obs_width())).collect();
        Self { inner, spec, stats, clip, frozen: false }
    }

    fn normalize(&mut self, out: &mut StepBatch, after_step: bool) {
        for ((spec, stats), group) in self.spec.groups.iter().zip(&mut self.stats).zip(&mut out.groups) {
            if !self.frozen {
                stats.update(&group.obs, Some(&group.alive));
            }
            stats.normalize(&mut group.obs, self.clip);
            if after_step {
                let rows = group.final_obs.chunks_exact_mut(spec.n_agents * spec.obs_width());
                for (row, _) in rows.zip(&out.is_first).filter(|(_, first)| **first) {
                    stats.normalize(row, self.clip);
                }
            }
        }
    }
}

impl BatchEnv for NormalizedObs {
    pass_on!();

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        self.inner.reset(seed, out)?;
        self.normalize(out, false);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        self.inner.step(actions, out)?;
        self.normalize(out, true);
        Ok(())
    }

    fn save(&self, out: &mut Writer) {
        out.bool(self.frozen);
        self.stats.iter().for_each(|s| s.save(out));
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.frozen = from.bool()?;
        self.stats.iter_mut().try_for_each(|s| s.load(from))?;
        self.inner.load(from)
    }

    fn save_statistics(&self, out: &mut Writer) {
        self.stats.iter().for_each(|s| s.save(out));
        self.inner.save_statistics(out);
    }

    fn load_statistics(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.frozen = true;
        self.stats.iter_mut().try_for_each(|s| s.load(from))?;
        self.inner.load_statistics(from)
    }
}
