//! One copy of foraging whose actions that would count as nothing are illegal.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{Actions, EnvSpec, MultiAgentEnv, Result, Stream};

use super::Foraging;
use crate::rules::{OneCopy, Rules};

/// Foraging with legality masks. Action 0, nothing, is always legal.
#[derive(Debug, Clone)]
pub struct MaskedForaging<T: Rules> {
    spec: EnvSpec,
    rules: Foraging,
    inner: OneCopy<T>,
}

impl<T: Rules> MaskedForaging<T> {
    /// A copy before its first reset: `rules` say what is legal, `observed` is what is played, with the same variables.
    pub fn new(rules: Foraging, observed: T) -> Self {
        let mut spec = rules.spec().clone();
        spec.groups.iter_mut().for_each(|g| g.masked = true);
        Self { spec, rules, inner: OneCopy::new(observed) }
    }
}

impl<T: Rules> MultiAgentEnv for MaskedForaging<T> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        self.inner.reset(rng);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        self.inner.step(actions, rng, reward, terminated)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        self.inner.observe(agent, obs);
    }

    fn state(&self, state: &mut [f32]) {
        self.inner.state(state);
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        mask[0] = (0..6)
            .filter(|a| self.rules.does_something(self.inner.vars(), agent, *a))
            .fold(1, |m, a| m | 1 << a);
    }

    fn alive(&self, agent: usize) -> bool {
        self.inner.alive(agent)
    }

    fn scene(&self) -> Scene {
        self.inner.scene()
    }

    fn save(&self, out: &mut Writer) {
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.inner.load(from)
    }
}
