//! A Q-learner whose memory stays on a GPU: parameters, targets, moments of the optimizer, and, on request, the replay ring.
//! One gradient step is one sequence of launches (draw, forward, targets, backward, gradients, clipping, step, priorities);
//! several are one captured graph, or one cooperative launch ([`StepForm`]). The host sends learning rates and what is new in the ring, and gets back what the
//! statistics need; parameters come down when somebody reads them.
//!
//! The numbers are those of [`Backend::update`], [`Backend::optim_step`] and [`Backend::blend`] on the processor, to the bit.
//! There is no such learner on the processor, where all memory is the caller's.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cuda")]
mod learn;
#[cfg(feature = "cuda")]
mod replay;

#[cfg(feature = "cuda")]
pub use cuda::Resident;
#[cfg(feature = "cuda")]
pub(crate) use cuda::StepIo;

/// A Q-learner on a GPU. This build has no code for one, so there is no value of this type.
#[cfg(not(feature = "cuda"))]
#[derive(Debug)]
pub enum Resident {}

use std::ops::Range;

use crate::{Act, ActScratch, Backend, Clip, Error, Loss, Mixer, QShape, Rule, Update, UpdateStats};

/// The networks of one group of agents; see [`crate::GroupBatch`].
#[derive(Debug, Clone)]
pub struct ResidentGroup {
    /// The network.
    pub shape: QShape,
    /// Agents `A`.
    pub n_agents: usize,
    /// Parameter sets `S`: 1 (shared) or A (one an agent).
    pub n_sets: usize,
    /// Critics `C`, 1 or 2.
    pub n_critics: usize,
}

/// How several gradient steps are launched. The numbers are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepForm {
    /// A graph with a node for each phase of each step.
    #[default]
    Graph,
    /// One cooperative launch with a barrier of all blocks between phases, where blocks take tiles of eight rows (some 4,000
    /// rows of a network and fewer); else a graph.
    Cooperative,
}

/// What a resident learner learns, and how. Parameters of the groups follow each other.
#[derive(Debug, Clone)]
pub struct ResidentConfig {
    /// The groups.
    pub groups: Vec<ResidentGroup>,
    /// See [`Update::double_q`].
    pub double_q: bool,
    /// Whose value is learned.
    pub mixer: Mixer,
    /// Loss of a TD error.
    pub loss: Loss,
    /// The optimizer's rule.
    pub rule: Rule,
    /// Clipping before it.
    pub clip: Clip,
    /// Parts of the parameters, ascending, that are each clipped by their own norm; they cover all. Empty: one part.
    pub partitions: Vec<Range<usize>>,
    /// The tensors, ascending, each inside of one part; they cover all. Empty: each part is one.
    pub tensors: Vec<Range<usize>>,
    /// How several steps are launched.
    pub form: StepForm,
}

/// Everything that the host may read of a resident learner, or replace. P parameters of all groups. Empty ones are left.
#[derive(Debug)]
pub struct ResidentState<'a> {
    /// Learned parameters `[P]`.
    pub params: &'a mut [f32],
    /// Target parameters `[P]`.
    pub target_params: &'a mut [f32],
    /// Moments `[P]` each, of those that the rule uses.
    pub moments: [&'a mut [f32]; 3],
}

/// What changes from one gradient step to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradStep {
    /// Learning rate.
    pub lr: f32,
    /// Number of this step; 1 for the first.
    pub step: u64,
    /// How far the target moves behind it; 1 copies, `None` leaves it.
    pub tau: Option<f32>,
}

/// What a gradient step measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Learned {
    /// Of the batch. With a loss that is not finite nothing has moved.
    pub stats: UpdateStats,
    /// Norm of the gradient before clipping, the largest over parts.
    pub grad_norm: f32,
}

/// Words of one group in a row of a replay ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingGroup {
    /// First of the observations `[A, D]`.
    pub obs: usize,
    /// First of the masks `[A, W]`, if the group has any.
    pub mask: Option<usize>,
    /// First of the actions `[A]`.
    pub action: usize,
    /// First of the rewards `[A]`.
    pub reward: usize,
    /// First of the discounts `[A]`.
    pub discount: usize,
    /// First of the bits that say which agents acted.
    pub valid: usize,
}

/// A replay ring on the host as its memory lies: rows of words over cells, the cell of time `t` and environment `e` being
/// `(t mod T) * E + e`. What is seen next lies in a later cell of the same environment, or in a row of a table for episodes
/// that were cut off.
#[derive(Debug, Clone, Copy)]
pub struct RingView<'a> {
    /// `[T * E, width]`.
    pub words: &'a [u32],
    /// `[R, seen]`.
    pub finals: &'a [u32],
    /// Words that the table is expected to grow to.
    pub final_words: usize,
    /// Words of each group.
    pub groups: &'a [RingGroup],
    /// Changes whenever rows change that were complete.
    pub revision: u64,
    /// Words of a row.
    pub width: usize,
    /// Words of the part that is seen, which comes first.
    pub seen: usize,
    /// The word that says where the next observation is: a number of moments, or bit 31 and a row of the table, or all ones.
    pub next: usize,
    /// The word of the team's reward.
    pub team_reward: usize,
    /// The word of the team's discount.
    pub team_discount: usize,
    /// Environments `E`.
    pub n_envs: usize,
    /// Moments `T`.
    pub n_slots: usize,
    /// Moments until a record is complete.
    pub n_step: usize,
    /// Moments stored so far.
    pub pushed: u64,
    /// How priorities come about; `None` draws uniformly.
    pub prioritized: Option<RingPriorities<'a>>,
}

/// Priorities of a ring.
#[derive(Debug, Clone, Copy)]
pub struct RingPriorities<'a> {
    /// Exponent.
    pub alpha: f32,
    /// Added to `|td|`.
    pub eps: f32,
    /// Leaves `[T * E]` as the host has them; read at first, and whenever `revision` changes. Then the device's count.
    pub leaves: &'a [u32],
    /// What new transitions get; read as the leaves are.
    pub largest: u32,
    /// Changes whenever the host's count again.
    pub revision: u64,
}

/// What to draw for a sequence of gradient steps.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    /// Samples of a batch.
    pub batch_size: usize,
    /// Seed of the stream.
    pub seed: u64,
    /// Position in the stream of the first step; the others follow.
    pub position: u64,
    /// Exponent of importance weights.
    pub beta: f32,
}

impl ResidentConfig {
    /// Parameters of all groups.
    pub fn param_count(&self) -> usize {
        self.groups.iter().map(|g| g.n_critics * g.n_sets * g.shape.param_count()).sum()
    }
}

fn elsewhere<T>() -> Result<T, Error> {
    Err(Error::Shape("a learner on a GPU was given to the cpu; use the backend that made it".to_string()))
}

impl Backend {
    /// A learner on the GPU, its memory not set yet; `None` on the processor.
    ///
    /// # Errors
    /// [`Error::Shape`] for networks that its kernels do not take, or parts that do not fit; [`Error::Gpu`] says how much
    /// memory was asked for and how much is free.
    pub fn resident(&mut self, config: &ResidentConfig) -> Result<Option<Resident>, Error> {
        match self {
            Backend::Cpu(_) => Ok(None),
            Backend::Cuda(gpu) => gpu.resident(config).map(Some),
        }
    }

    /// Replaces what the learner knows.
    ///
    /// # Errors
    /// [`Error::Length`] for what does not fit; [`Error::Gpu`].
    pub fn resident_set(&mut self, learner: &mut Resident, state: ResidentState<'_>) -> Result<(), Error> {
        match self {
            Backend::Cpu(_) => elsewhere(),
            Backend::Cuda(gpu) => gpu.resident_set(learner, state),
        }
    }

    /// Reads what the learner knows.
    ///
    /// # Errors
    /// [`Error::Length`] for what does not fit; [`Error::Gpu`].
    pub fn resident_get(&mut self, learner: &mut Resident, state: ResidentState<'_>) -> Result<(), Error> {
        match self {
            Backend::Cpu(_) => elsewhere(),
            Backend::Cuda(gpu) => gpu.resident_get(learner, state),
        }
    }

    /// [`Backend::act`] with the learner's parameters of group `group`; those of the call only have to have their length.
    ///
    /// # Errors
    /// As [`Backend::act`].
    pub fn resident_act(
        &mut self,
        learner: &Resident,
        group: usize,
        scratch: &mut ActScratch,
        mut call: Act<'_>,
    ) -> Result<(), Error> {
        call.check()?;
        match self {
            Backend::Cpu(_) => elsewhere(),
            Backend::Cuda(gpu) => gpu.resident_act(learner, group, scratch, &mut call),
        }
    }

    /// One gradient step on a batch of the host. Parameters and gradients of the call are neither read nor written, but have
    /// to have their lengths; settings are those of the learner.
    ///
    /// # Errors
    /// As [`Backend::update`] and [`Backend::optim_step`]; nothing has moved then.
    pub fn resident_step(
        &mut self,
        learner: &mut Resident,
        mut call: Update<'_, '_>,
        step: GradStep,
    ) -> Result<Learned, Error> {
        call.check()?;
        match self {
            Backend::Cpu(_) => elsewhere(),
            Backend::Cuda(gpu) => gpu.resident_step(learner, &mut call, step),
        }
    }

    /// Gradient steps on batches drawn from a replay ring, on the device: `steps` of them, whose measures are appended to
    /// `out`. Draws, weights and new priorities are those of `coact_replay::Replay`, each step drawing from the stream
    /// `(Replay, 0, position)`. Between two calls the ring may only be pushed to.
    ///
    /// # Errors
    /// As [`Backend::resident_step`], for the first step that fails; those before it have moved, those after it have not.
    /// [`Error::Shape`] for a ring of other groups, or one that holds less than a batch.
    pub fn resident_learn(
        &mut self,
        learner: &mut Resident,
        view: &RingView<'_>,
        draws: Draws,
        steps: &[GradStep],
        out: &mut Vec<Learned>,
    ) -> Result<(), Error> {
        match self {
            Backend::Cpu(_) => elsewhere(),
            Backend::Cuda(gpu) => gpu.resident_learn(learner, view, draws, steps, out),
        }
    }

    /// Reads the priorities of a ring that the learner learns from, into `leaves` `[T * E]`. Returns what new transitions
    /// get.
    ///
    /// # Errors
    /// [`Error::Shape`] if it has none; [`Error::Gpu`].
    pub fn resident_leaves(
        &mut self,
        learner: &mut Resident,
        view: &RingView<'_>,
        leaves: &mut [u32],
    ) -> Result<u32, Error> {
        match self {
            Backend::Cpu(_) => elsewhere(),
            Backend::Cuda(gpu) => gpu.resident_leaves(learner, view, leaves),
        }
    }
}
