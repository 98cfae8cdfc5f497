//! Agent index: a one-hot of the agent's index in its group behind its observation, so that shared weights can
//! tell agents apart.

use coact_core::{ActionBatch, BatchEnv, EnvSpec, ObsField, Result, StepBatch};

use super::{copy_all_but_obs, forget_raw, pass_on, pass_on_state, pass_on_statistics, widen};

/// Observations with the agent's index appended: `[D]` becomes `[D + A]`.
pub struct WithAgentIndex {
    inner: Box<dyn BatchEnv>,
    spec: EnvSpec,
    view: StepBatch,
}

impl WithAgentIndex {
    /// `inner` with indices appended.
    pub fn new(inner: Box<dyn BatchEnv>) -> Self {
        let mut spec = inner.spec().clone();
        for group in &mut spec.groups {
            group.obs.push(ObsField::new("agent_index", group.n_agents, 0.0, 1.0));
        }
        let view = StepBatch::new(inner.spec(), inner.n_envs());
        Self { inner, spec, view }
    }

    fn extend(&self, out: &mut StepBatch) {
        copy_all_but_obs(&self.view, out);
        let specs = self.inner.spec().groups.iter().zip(&self.spec.groups);
        for ((narrow, wide), (to, from)) in specs.zip(out.groups.iter_mut().zip(&self.view.groups)) {
            let (d, w) = (narrow.obs_width(), wide.obs_width());
            let (ended, n) = (&self.view.is_first, narrow.n_agents);
            append(&from.obs, d, &mut to.obs, w, n, |_| true);
            append(&from.final_obs, d, &mut to.final_obs, w, n, |row| ended[row / n]);
        }
    }
}

/// Widens rows and marks the index behind each, where `keep` says so.
fn append(from: &[f32], d: usize, to: &mut [f32], w: usize, n_agents: usize, keep: impl Fn(usize) -> bool) {
    widen(from, d, to, w, &keep);
    for (row, obs) in to.chunks_exact_mut(w).enumerate().filter(|(row, _)| keep(*row)) {
        obs[d..].fill(0.0);
        obs[d + row % n_agents] = 1.0;
    }
}

impl BatchEnv for WithAgentIndex {
    pass_on!();
    pass_on_state!();
    pass_on_statistics!();

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        forget_raw(&mut self.view);
        self.inner.reset(seed, &mut self.view)?;
        self.extend(out);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        forget_raw(&mut self.view);
        self.inner.step(actions, &mut self.view)?;
        self.extend(out);
        Ok(())
    }
}
