//! `update`: from a batch of transitions to the gradients of Q-networks, in one call: forward of online and target
//! networks, TD targets (double Q, dueling, clipped double critics, value mixing), loss with importance weights,
//! backward. Parameters are not touched; see `optim_step`.
//!
//! Samples go through in chunks whose activations stay in cache. A chunk is whole samples: the largest power of two
//! with at most 256 rows. Gradients are chains over the rows of a chunk and a pairwise tree over chunks, so they
//! depend on the batch alone. About `5 x` the multiply-adds of a forward pass per row.

mod block;
mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(feature = "cuda")]
pub(crate) mod layout;
pub mod reference;
pub(crate) mod tree;

pub use cpu::UpdateScratch;
#[cfg(feature = "cuda")]
pub(crate) use cpu::{count_valid, means, samples_that_count};

use crate::error::check_len;
use crate::{Backend, Error, Loss, Mixer, QShape};

/// One group of agents in an update. B samples, A agents, D observation width, N actions, W mask words, C critics,
/// S parameter sets, P parameters of one network.
#[derive(Debug)]
pub struct GroupBatch<'a> {
    /// The network.
    pub shape: &'a QShape,
    /// Agents `A`.
    pub n_agents: usize,
    /// Parameter sets `S`: 1 (shared) or A (one an agent).
    pub n_sets: usize,
    /// Critics `C`: 1, or 2 for the clipped double critic (the lower target value counts).
    pub n_critics: usize,
    /// Learned parameters `[C, S, P]`.
    pub params: &'a [f32],
    /// Target parameters `[C, S, P]`.
    pub target_params: &'a [f32],
    /// Gradients `[C, S, P]`, written.
    pub grads: &'a mut [f32],
    /// Observations `[B, A, D]`.
    pub obs: &'a [f32],
    /// Observations `[B, A, D]` after the (n) steps.
    pub next_obs: &'a [f32],
    /// Legality after the steps `[B, A, W]`; empty: all legal. Not read where the discount is 0.
    pub next_mask: &'a [u32],
    /// Actions taken `[B, A]`.
    pub action: &'a [u32],
    /// Rewards `[B, A]`; read by [`Mixer::Independent`] only.
    pub reward: &'a [f32],
    /// Discount of the next value `[B, A]`: `gamma^h`, or 0 where the agent's process ended. With [`Mixer::Sum`] it
    /// says only whether the agent's next value counts.
    pub discount: &'a [f32],
    /// Whether the row holds a step of a living agent `[B, A]`. Others contribute nothing.
    pub valid: &'a [bool],
}

static EMPTY_SHAPE: QShape = QShape {
    mlp: crate::MlpShape {
        input: 0,
        hidden: Vec::new(),
        output: 0,
        activation: crate::Activation::Relu,
        layer_norm: false,
    },
    n_actions: 0,
    dueling: false,
};

impl Default for GroupBatch<'_> {
    /// A placeholder without agents, to fill an array of fixed length; not to be passed on.
    fn default() -> Self {
        Self {
            shape: &EMPTY_SHAPE,
            n_agents: 0,
            n_sets: 0,
            n_critics: 0,
            params: &[],
            target_params: &[],
            grads: &mut [],
            obs: &[],
            next_obs: &[],
            next_mask: &[],
            action: &[],
            reward: &[],
            discount: &[],
            valid: &[],
        }
    }
}

impl GroupBatch<'_> {
    fn check(&self, batch: usize) -> Result<(), Error> {
        self.shape.check()?;
        let (agents, sets, critics) = (self.n_agents, self.n_sets, self.n_critics);
        if agents == 0 || (sets != 1 && sets != agents) || !(1..=2).contains(&critics) {
            return Err(Error::Shape(format!(
                "{sets} parameter sets of {critics} critics for {agents} agents; use 1 set (shared) or one an agent, 1 or 2 critics, and at least one agent"
            )));
        }
        let rows = batch * agents;
        let params = critics * sets * self.shape.param_count();
        check_len("params", "[C, S, P]", params, self.params.len())?;
        check_len("target_params", "[C, S, P]", params, self.target_params.len())?;
        check_len("grads", "[C, S, P]", params, self.grads.len())?;
        check_len("obs", "[B, A, D]", rows * self.shape.mlp.input, self.obs.len())?;
        check_len("next_obs", "[B, A, D]", rows * self.shape.mlp.input, self.next_obs.len())?;
        if !self.next_mask.is_empty() {
            check_len("next_mask", "[B, A, W]", rows * self.shape.mask_words(), self.next_mask.len())?;
        }
        check_len("action", "[B, A]", rows, self.action.len())?;
        check_len("reward", "[B, A]", rows, self.reward.len())?;
        check_len("discount", "[B, A]", rows, self.discount.len())?;
        check_len("valid", "[B, A]", rows, self.valid.len())
    }
}

/// One call of [`Backend::update`].
#[derive(Debug)]
pub struct Update<'a, 'g> {
    /// The groups.
    pub groups: &'a mut [GroupBatch<'g>],
    /// Samples `B`.
    pub batch: usize,
    /// Importance weights `[B]`.
    pub weight: &'a [f32],
    /// Rewards of the team `[B]`; read by [`Mixer::Sum`], else may be empty.
    pub team_reward: &'a [f32],
    /// Discounts of the team's next value `[B]`, 0 where the process ended; read by [`Mixer::Sum`], else may be empty.
    pub team_discount: &'a [f32],
    /// Choose the next action by the learned network (critic 0), value it by the target network.
    pub double_q: bool,
    /// Whose value is learned.
    pub mixer: Mixer,
    /// Loss of a TD error.
    pub loss: Loss,
    /// `|td|` of each sample `[B]`, written: its mean over valid rows and critics; 0 without valid rows.
    pub priority: &'a mut [f32],
}

impl Update<'_, '_> {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.groups.is_empty() {
            return Err(Error::Shape("an update without a group; give at least one".to_string()));
        }
        check_len("weight", "[B]", self.batch, self.weight.len())?;
        check_len("priority", "[B]", self.batch, self.priority.len())?;
        if self.mixer == Mixer::Sum {
            check_len("team_reward", "[B]", self.batch, self.team_reward.len())?;
            check_len("team_discount", "[B]", self.batch, self.team_discount.len())?;
            let critics = self.groups[0].n_critics;
            if self.groups.iter().any(|g| g.n_critics != critics) {
                return Err(Error::Shape(
                    "groups of a summed value differ in critics; give all the same number".to_string(),
                ));
            }
        }
        if let Loss::Huber { delta } = self.loss
            && (delta.is_nan() || delta <= 0.0)
        {
            return Err(Error::Setting { what: "huber delta", value: delta, must: "above 0" });
        }
        self.groups.iter().try_for_each(|g| g.check(self.batch))
    }
}

/// What an update measured. A term is a valid row ([`Mixer::Independent`]) or a sample ([`Mixer::Sum`]).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UpdateStats {
    /// The function whose gradient was computed: the sum over parameter sets and critics of mean losses.
    pub loss: f32,
    /// Mean over terms of the learned value of the actions taken.
    pub q_mean: f32,
    /// Mean over terms of `|td|`.
    pub td_abs_mean: f32,
    /// Mean over terms of the target.
    pub target_mean: f32,
}

impl Backend {
    /// Computes gradients of the loss of a batch.
    ///
    /// The target of a row is `reward + discount * next`, with the next value over legal actions only: of the target
    /// network at the learned network's best action (`double_q`), or its highest. With two critics the lower of the two
    /// counts, and both learn the same target. [`Mixer::Independent`]: each parameter set's loss is the mean over its
    /// valid rows of `weight * loss(q - target)`. [`Mixer::Sum`]: the value is the sum over valid rows of all groups, the
    /// target `team_reward + team_discount * sum of next values` of rows whose discount is not 0, and the loss the mean
    /// over samples; a sample without valid rows adds nothing.
    ///
    /// # Errors
    /// [`Error::NoLegalAction`] for a next value that is needed and has no legal action, [`Error::BadAction`] for an action
    /// out of range, [`Error::Length`], [`Error::Shape`] and [`Error::Setting`] for what does not fit; [`Error::Gpu`]
    /// from a GPU. Gradients and priorities are then unspecified.
    pub fn update(
        &mut self,
        scratch: &mut UpdateScratch,
        mut call: Update<'_, '_>,
    ) -> Result<UpdateStats, Error> {
        call.check()?;
        match self {
            Backend::Cpu(cpu) => cpu::update(cpu, scratch, &mut call),
            Backend::Cuda(gpu) => gpu.update(scratch, &mut call),
        }
    }
}

#[cfg(test)]
mod tests;
