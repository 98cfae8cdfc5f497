//! The two faces of an environment: one copy, easy to write, and a batch, fast to run.

use crate::codec::{Reader, Writer};
use crate::rng::Stream;
use crate::scene::Scene;
use crate::spec::EnvSpec;
use crate::step::{ActionBatch, StepBatch};
use crate::{Error, Result};

/// Actions of all agents of one environment, agents in the order of [`EnvSpec::agents`].
#[derive(Debug, Clone, Copy)]
pub struct Actions<'a> {
    /// One entry an agent; unused (0) for agents with a continuous space.
    pub discrete: &'a [u32],
    /// The components of all agents with a continuous space, one after the other.
    pub continuous: &'a [f32],
}

/// One copy of a multi-agent environment: the easy way to add one.
///
/// It owns its state and writes into slices that the caller owns. It never resets itself, knows nothing of
/// batches, and draws only from the stream that it is handed. Agents are numbered over all groups.
pub trait MultiAgentEnv: Send {
    /// What the environment promises.
    fn spec(&self) -> &EnvSpec;

    /// Starts an episode; `rng` is a fresh stream for this environment and episode.
    fn reset(&mut self, rng: &mut Stream);

    /// Advances by one step. Writes `reward` and `terminated` of every agent (`[A]` over all groups; an agent
    /// that is not alive gets reward 0, unless the reward is common, and `terminated` false) and returns whether the episode was truncated.
    ///
    /// # Errors
    /// An action outside its space, or a state that is no longer finite.
    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool>;

    /// Writes the observation `[D]` of one agent.
    fn observe(&self, agent: usize, obs: &mut [f32]);

    /// Writes the global state `[S]`. Without one, does nothing.
    fn state(&self, state: &mut [f32]) {
        let _ = state;
    }

    /// Writes the legality mask `[W]` of one agent. Called only for groups with `masked`.
    fn legal(&self, agent: usize, mask: &mut [u32]) {
        let _ = agent;
        mask.fill(u32::MAX);
    }

    /// Whether the agent still acts. An episode is over when it was truncated or nobody is alive.
    fn alive(&self, agent: usize) -> bool {
        let _ = agent;
        true
    }

    /// The moment as shapes.
    fn scene(&self) -> Scene;

    /// Appends everything that the next step depends on.
    fn save(&self, out: &mut Writer);

    /// Restores what [`MultiAgentEnv::save`] wrote.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    fn load(&mut self, from: &mut Reader<'_>) -> Result<()>;
}

/// `E` copies stepped together: what runners use.
///
/// Auto-reset is same-step, see [`StepBatch`]. The episode number of each copy names its streams, so a batch of
/// `E` copies plays the same episodes as `E` batches of one copy with the same indices.
pub trait BatchEnv: Send {
    /// What the environment promises.
    fn spec(&self) -> &EnvSpec;

    /// Number of copies, `E`.
    fn n_envs(&self) -> usize;

    /// Starts episode 0 of every copy from `seed` and writes first observations, masks and states;
    /// `is_first` is true everywhere, rewards are 0.
    ///
    /// # Errors
    /// A state that is not finite.
    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()>;

    /// Steps every copy once. Allocates nothing.
    ///
    /// # Errors
    /// An action outside its space, or a number that is not finite.
    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()>;

    /// Truncates episodes after `max_steps` at the latest, and says so in the spec. Call it before `reset`.
    ///
    /// # Errors
    /// An environment that takes no limit, or a limit of 0.
    fn limit_episodes(&mut self, max_steps: u32) -> Result<()> {
        let name = &self.spec().name;
        Err(Error::invalid(format!("{name} takes no time limit of {max_steps} steps; leave it out")))
    }

    /// Copy `env` as shapes.
    fn scene(&self, env: usize) -> Scene;

    /// Appends everything that the next step depends on, seeds and counters included.
    fn save(&self, out: &mut Writer);

    /// Restores what [`BatchEnv::save`] wrote. The next `step` needs the `StepBatch` of that moment only for its
    /// shapes.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    fn load(&mut self, from: &mut Reader<'_>) -> Result<()>;

    /// Appends what an evaluation environment must share: running statistics of normalizers. Not the state of
    /// episodes.
    fn save_statistics(&self, out: &mut Writer) {
        let _ = out;
    }

    /// Takes over what [`BatchEnv::save_statistics`] wrote and freezes it.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    fn load_statistics(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let _ = from;
        Ok(())
    }
}
