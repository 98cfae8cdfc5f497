//! What every learner offers, and how one is listed and built.

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, Stream};
use coact_core::settings::Key;
use coact_core::{ActionBatch, EnvSpec, StepBatch};
use coact_kernels::{Backend, Precision};
use coact_nets::NamedTensor;
use coact_replay::{Batch, Replay, Rollout};

use crate::{Error, Result};

/// Counters of a run, each with its unit in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Environment steps, summed over all copies.
    pub env_steps: u64,
    /// Calls of `BatchEnv::step`; each steps every copy once.
    pub vector_steps: u64,
    /// Episodes finished.
    pub episodes: u64,
}

/// How to choose actions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ActMode {
    /// As training explores at this time.
    Explore(Clock),
    /// The best known action; no randomness.
    Greedy,
}

/// What an update did; means over its gradient steps where it takes several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UpdateStats {
    /// Mean loss.
    pub loss: f32,
    /// Largest gradient norm before clipping.
    pub grad_norm: f32,
    /// Learning rate used.
    pub learning_rate: f64,
    /// Whether target networks were copied from the online ones in this step.
    pub target_synced: bool,
    /// What else the family measures.
    pub named: Named,
}

/// Up to eight numbers with names, without memory of their own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Named([Option<(&'static str, f32)>; 8]);

impl Named {
    /// These numbers.
    ///
    /// # Panics
    /// If there are more than eight.
    pub fn new<const N: usize>(numbers: [(&'static str, f32); N]) -> Self {
        assert!(N <= 8, "{N} numbers where 8 fit");
        let mut own = [None; 8];
        own.iter_mut().zip(numbers).for_each(|(slot, number)| *slot = Some(number));
        Self(own)
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f32)> + '_ {
        self.0.iter().flatten().copied()
    }

    /// The number called `name`.
    pub fn get(&self, name: &str) -> Option<f32> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}

/// The greedy policy of one agent, as tensors with PyTorch names.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentPolicy {
    /// Name of the agent.
    pub agent: String,
    /// Its network; agents that share one have equal tensors.
    pub tensors: Vec<NamedTensor>,
    /// How to rebuild the network, as ordered name and value pairs.
    pub architecture: Vec<(&'static str, String)>,
}

/// What every learner can do: act on steps, show and take parameters, save itself. How it learns is one of
/// [`TransitionLearner`] and [`SequenceLearner`].
pub trait Learner: Send {
    /// Chooses actions for all environments and agents. A recurrent learner keeps one state for exploring and one for
    /// greedy play, and begins anew where `is_first`.
    ///
    /// # Errors
    /// A row without a legal action.
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()>;

    /// Brings to the host what a learner on another device has learned. To be called before anything reads parameters,
    /// policies or what is saved; without a device there is nothing to bring.
    ///
    /// # Errors
    /// A device that refuses.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// All online parameters, flat.
    ///
    /// # Panics
    /// If they are newer on another device; see [`Learner::settle`].
    fn params(&self) -> &[f32];

    /// Replaces all online parameters (for acting with an earlier, better set).
    fn set_params(&mut self, params: &[f32]);

    /// Gradient steps taken.
    fn grad_steps(&self) -> u64;

    /// Action values `[E, A, N]` of group `group` on the observations of `step`, for looking inside.
    ///
    /// # Errors
    /// A kernel that refuses.
    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>>;

    /// Recurrent state of exploring `[E, M]` as the next [`Learner::act`] will find it; empty without memory.
    fn memory(&self) -> &[f32] {
        &[]
    }

    /// Numbers to log that belong to the time of `clock`, for example epsilon.
    fn gauges(&self, clock: Clock) -> Vec<(&'static str, f64)>;

    /// The policy of each agent, in the order of [`EnvSpec::agents`].
    fn policies(&self) -> Vec<AgentPolicy>;

    /// Appends everything that the next step depends on.
    fn save(&self, out: &mut Writer);

    /// Restores what [`Learner::save`] wrote.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    fn load(&mut self, from: &mut Reader<'_>) -> Result<()>;
}

/// Batches to draw from a replay, for gradient steps one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draws {
    /// Gradient steps, each with a batch of its own.
    pub n: u64,
    /// Transitions of a batch.
    pub batch_size: usize,
    /// Seed of the run; a step draws from the stream of its number.
    pub seed: u64,
    /// Exponent of importance weights.
    pub beta: f32,
}

/// Memory of drawn batches, kept from call to call.
#[derive(Debug, Default)]
pub struct Drawn {
    batch: Batch,
    priority: Vec<f32>,
    /// What each step did.
    pub stats: Vec<UpdateStats>,
}

/// Learns from single transitions out of replay.
pub trait TransitionLearner: Learner {
    /// One gradient step on `batch`; writes how surprising each transition was to `priority` (`[B]`).
    ///
    /// # Errors
    /// A loss or gradient that is not finite; parameters are then as before.
    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats>;

    /// Draws batches and takes a gradient step on each; gives what was drawn its new priorities, if `replay` has any. What
    /// the steps did replaces `drawn.stats`, and stands there for those before a fault as well.
    ///
    /// # Errors
    /// Those of [`TransitionLearner::update`], and what replay refuses.
    fn update_from(&mut self, replay: &mut Replay, draws: Draws, drawn: &mut Drawn) -> Result<()> {
        update_on_host(self, replay, draws, drawn)
    }

    /// Brings to `replay` what a device keeps of it, so that it can be saved.
    ///
    /// # Errors
    /// A device that refuses.
    fn settle_replay(&mut self, _replay: &mut Replay) -> Result<()> {
        Ok(())
    }
}

/// [`TransitionLearner::update_from`] where replay is drawn from on the host.
pub(crate) fn update_on_host<L: TransitionLearner + ?Sized>(
    learner: &mut L,
    replay: &mut Replay,
    draws: Draws,
    drawn: &mut Drawn,
) -> Result<()> {
    drawn.stats.clear();
    for _ in 0..draws.n {
        let mut rng = Stream::new(draws.seed, Purpose::Replay, 0, learner.grad_steps());
        replay.sample(&mut rng, draws.batch_size, draws.beta, &mut drawn.batch)?;
        drawn.priority.resize(draws.batch_size, 0.0);
        drawn.stats.push(learner.update(&drawn.batch, &mut drawn.priority)?);
        if replay.config().prioritized.is_some() {
            replay.update_priorities(&drawn.batch.ids, &drawn.priority)?;
        }
    }
    Ok(())
}

/// Learns from consecutive steps: those since its last update (on policy), or sequences out of replay.
pub trait SequenceLearner: Learner {
    /// Learns from `rollout`, in one gradient step or several.
    ///
    /// # Errors
    /// A loss or gradient that is not finite.
    fn learn(&mut self, rollout: &Rollout) -> Result<UpdateStats>;
}

/// What a learner learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Batches of transitions out of replay.
    Transitions,
    /// Batches of sequences out of replay.
    Sequences,
    /// Every step once, in rollouts.
    OnPolicy,
}

/// A learner with the way it is fed.
pub enum AnyLearner {
    /// Fed with batches of transitions.
    Transitions(Box<dyn TransitionLearner>),
    /// Fed with batches of sequences.
    Sequences(Box<dyn SequenceLearner>),
    /// Fed with rollouts of its own steps.
    OnPolicy(Box<dyn SequenceLearner>),
}

impl AnyLearner {
    /// What it can do whatever it is fed with.
    pub fn into_learner(self) -> Box<dyn Learner> {
        match self {
            Self::Transitions(learner) => learner,
            Self::Sequences(learner) | Self::OnPolicy(learner) => learner,
        }
    }
}

/// What a learner is built from.
pub struct BuildContext<'a> {
    /// What the (wrapped) environment promises.
    pub spec: &'a EnvSpec,
    /// Copies stepped together in training.
    pub n_envs: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Environment steps that the run will take, for schedules given as fractions.
    pub total_env_steps: u64,
    /// Gradient steps that a run with replay will take at most, for learning-rate schedules.
    pub total_grad_steps: u64,
    /// Steps of each copy in a rollout, for learners on policy.
    pub rollout_steps: usize,
    /// Discount factor per environment step; data brings it as discounts, some families need it beside.
    pub gamma: f32,
    /// Where to compute.
    pub backend: Backend,
    /// The family's own settings, as a map from key to value; missing keys take their defaults.
    pub settings: &'a serde_json::Value,
}

/// An algorithm in the list of all.
pub struct AlgorithmEntry {
    /// Name users type.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Paper.
    pub source: &'static str,
    /// What it requires of an environment, in words.
    pub requires: &'static str,
    /// What it learns from.
    pub feed: Feed,
    /// Whether anything of it has kernels for the matrix units of a GPU ([`Precision::Fast`]).
    pub fast: bool,
    /// Its settings, with defaults and explanations.
    pub keys: &'static [Key],
    /// Fills in defaults and checks ranges: settings in, all settings out.
    pub resolve: fn(&serde_json::Value) -> Result<serde_json::Value>,
    /// Checks the environment before anything is allocated.
    pub check: fn(&EnvSpec) -> Result<()>,
    /// Builds it.
    pub build: fn(BuildContext<'_>) -> Result<AnyLearner>,
}

impl AlgorithmEntry {
    /// Refuses a precision that would change nothing.
    ///
    /// # Errors
    /// [`Error::NotFast`] for [`Precision::Fast`] where there are no kernels for it.
    pub fn check_precision(&self, precision: Precision) -> Result<()> {
        let in_vain = precision == Precision::Fast && !self.fast;
        if in_vain { Err(Error::NotFast { algorithm: self.name }) } else { Ok(()) }
    }
}
