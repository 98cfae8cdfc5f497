//! Last action: what the agent did in the step before, behind its observation; zeros at the start of an episode
//! and for agents that are no longer alive.

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, ActionSpace, BatchEnv, EnvSpec, ObsField, Result, StepBatch};

use super::{copy_all_but_obs, forget_raw, pass_on, pass_on_statistics, widen};

/// Observations with the last action appended: a one-hot `[N]`, or the components of a continuous action.
pub struct WithLastAction {
    inner: Box<dyn BatchEnv>,
    spec: EnvSpec,
    view: StepBatch,
    /// Whether each agent acted in this step: alive before it, `[E, A]` a group.
    acted: Vec<Vec<bool>>,
}

impl WithLastAction {
    /// `inner` with last actions appended.
    pub fn new(inner: Box<dyn BatchEnv>) -> Self {
        let mut spec = inner.spec().clone();
        for group in &mut spec.groups {
            group.obs.push(match group.action {
                ActionSpace::Discrete { n } => ObsField::new("last_action", n, 0.0, 1.0),
                ActionSpace::Continuous { width, low, high } => {
                    ObsField::new("last_action", width, low.min(0.0), high.max(0.0))
                }
            });
        }
        let view = StepBatch::new(inner.spec(), inner.n_envs());
        let acted = view.groups.iter().map(|g| vec![true; g.alive.len()]).collect();
        Self { inner, spec, view, acted }
    }

    /// Writes observations; `actions` are those of the step, or none after a reset.
    fn extend(&self, actions: Option<&ActionBatch>, out: &mut StepBatch) {
        copy_all_but_obs(&self.view, out);
        for (g, narrow) in self.inner.spec().groups.iter().enumerate() {
            let (d, w, a) = (narrow.obs_width(), self.spec.groups[g].obs_width(), narrow.n_agents);
            let (from, to) = (&self.view.groups[g], &mut out.groups[g]);
            let ended = &self.view.is_first;
            widen(&from.obs, d, &mut to.obs, w, |_| true);
            widen(&from.final_obs, d, &mut to.final_obs, w, |row| ended[row / a]);
            for row in 0..self.view.n_envs * a {
                let first = self.view.is_first[row / a];
                // Where an episode ended, the action belongs to its last observation, not to the next first one.
                let place = row * w + d..(row + 1) * w;
                to.obs[place.clone()].fill(0.0);
                let tail = if first { &mut to.final_obs[place] } else { &mut to.obs[place] };
                tail.fill(0.0);
                let Some(actions) = actions.filter(|_| self.acted[g][row]) else { continue };
                match narrow.action {
                    ActionSpace::Discrete { .. } => tail[actions.discrete[g][row] as usize] = 1.0,
                    ActionSpace::Continuous { width, .. } => {
                        tail.copy_from_slice(&actions.continuous[g][row * width..(row + 1) * width]);
                    }
                }
            }
        }
    }

    fn keep_alive(&mut self) {
        for (acted, group) in self.acted.iter_mut().zip(&self.view.groups) {
            acted.copy_from_slice(&group.alive);
        }
    }
}

impl BatchEnv for WithLastAction {
    pass_on!();
    pass_on_statistics!();

    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        forget_raw(&mut self.view);
        self.inner.reset(seed, &mut self.view)?;
        self.extend(None, out);
        self.keep_alive();
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        forget_raw(&mut self.view);
        self.inner.step(actions, &mut self.view)?;
        self.extend(Some(actions), out);
        self.keep_alive();
        Ok(())
    }

    fn save(&self, out: &mut Writer) {
        self.acted.iter().for_each(|acted| out.bools(acted));
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        for acted in &mut self.acted {
            from.bools(acted)?;
        }
        self.inner.load(from)
    }
}
