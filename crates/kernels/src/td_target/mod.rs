//! `td_target`: targets of a batch of transitions, from what comes next to `reward + discount * next`, in one call: the
//! learned network's best legal action, the target network's value of it, the lower of two critics, and how the values of
//! agents make that of the team: each its own, their sum (VDN), or a mixing network with its hypernetworks (QMIX). No
//! Q-value of the next state is written to memory on a GPU.
//!
//! The rules are those of [`Backend::update`], which forms its own targets within its passes; this is for whoever
//! learns by other means, such as through a mixer.
//!
//! Per row as many forward passes as critics, and one more for double Q; per sample that of the mixer.
//!
//! B samples, A agents, D observation width, N actions, W mask words, C critics, S parameter sets, P parameters of one network.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod reference;

use crate::buffer::Buffer;
use crate::error::check_len;
use crate::{Backend, Error, MixCache, MixForward, MixShape, QShape};

/// One group of agents after the steps.
#[derive(Debug, Clone, Copy)]
pub struct NextGroup<'a> {
    /// The network.
    pub shape: &'a QShape,
    /// Agents `A`.
    pub n_agents: usize,
    /// Parameter sets `S`: 1 (shared) or A (one an agent).
    pub n_sets: usize,
    /// Critics `C`: 1, or 2 of which the lower target value counts.
    pub n_critics: usize,
    /// Learned parameters `[C, S, P]`, of which the first critic chooses; not read, and may be empty, without double Q.
    pub params: &'a [f32],
    /// Target parameters `[C, S, P]`.
    pub target_params: &'a [f32],
    /// Observations `[B, A, D]` after the (n) steps.
    pub next_obs: &'a [f32],
    /// Legality after the steps `[B, A, W]`; empty: all legal.
    pub next_mask: &'a [u32],
    /// Rewards `[B, A]`; read by [`Join::Each`] only, else may be empty.
    pub reward: &'a [f32],
    /// Discount of the next value `[B, A]`: `gamma^h`, or 0 where the agent's process ended. But for [`Join::Each`] it says
    /// only whether the agent's next value counts.
    pub discount: &'a [f32],
}

impl NextGroup<'_> {
    fn check(&self, batch: usize, double_q: bool, each: bool) -> Result<(), Error> {
        self.shape.check()?;
        let (agents, sets, critics) = (self.n_agents, self.n_sets, self.n_critics);
        if agents == 0 || (sets != 1 && sets != agents) || !(1..=2).contains(&critics) {
            return Err(Error::Shape(format!(
                "{sets} parameter sets of {critics} critics for {agents} agents; use 1 set (shared) or one an agent, 1 or 2 critics, and at least one agent"
            )));
        }
        let (rows, params) = (batch * agents, critics * sets * self.shape.param_count());
        if double_q {
            check_len("params", "[C, S, P]", params, self.params.len())?;
        }
        check_len("target_params", "[C, S, P]", params, self.target_params.len())?;
        check_len("next_obs", "[B, A, D]", rows * self.shape.mlp.input, self.next_obs.len())?;
        if !self.next_mask.is_empty() {
            check_len("next_mask", "[B, A, W]", rows * self.shape.mask_words(), self.next_mask.len())?;
        }
        if each {
            check_len("reward", "[B, A]", rows, self.reward.len())?;
        }
        check_len("discount", "[B, A]", rows, self.discount.len())
    }
}

/// How the next values of agents make what targets are formed of.
#[derive(Debug, Clone, Copy)]
pub enum Join<'a> {
    /// Each agent's own: targets `[B, agents of all groups]`.
    Each,
    /// Their sum: targets `[B]`.
    Sum {
        /// Rewards of the team `[B]`.
        reward: &'a [f32],
        /// Discounts of the team's next value `[B]`, 0 where the process ended.
        discount: &'a [f32],
    },
    /// A mixing network's: targets `[B]`.
    Qmix {
        /// Rewards of the team `[B]`.
        reward: &'a [f32],
        /// Discounts of the team's next value `[B]`, 0 where the process ended.
        discount: &'a [f32],
        /// The mixer, of the agents of all groups.
        shape: MixShape,
        /// Its target parameters.
        params: &'a [f32],
        /// States after the steps `[B, state width]`.
        next_state: &'a [f32],
    },
}

impl<'a> Join<'a> {
    /// Rewards and discounts of the team.
    fn team(&self) -> Option<(&'a [f32], &'a [f32])> {
        match *self {
            Join::Each => None,
            Join::Sum { reward, discount } | Join::Qmix { reward, discount, .. } => Some((reward, discount)),
        }
    }
}

/// One call of [`Backend::td_target`].
#[derive(Debug)]
pub struct TdTarget<'a, 'g> {
    /// The groups.
    pub groups: &'a [NextGroup<'g>],
    /// Samples `B`.
    pub batch: usize,
    /// Choose the next action by the learned network (critic 0), value it by the target network.
    pub double_q: bool,
    /// What the values are joined to.
    pub join: Join<'a>,
    /// Targets, written: `[B, agents of all groups]` for [`Join::Each`], else `[B]`.
    pub target: &'a mut [f32],
}

impl TdTarget<'_, '_> {
    /// Agents of all groups.
    fn n_agents(&self) -> usize {
        self.groups.iter().map(|g| g.n_agents).sum()
    }

    fn check(&self) -> Result<(), Error> {
        if self.groups.is_empty() {
            return Err(Error::Shape("targets without a group; give at least one".to_string()));
        }
        let (batch, agents) = (self.batch, self.n_agents());
        match self.join.team() {
            None => check_len("target", "[B, agents]", batch * agents, self.target.len())?,
            Some((reward, discount)) => {
                check_len("reward", "[B]", batch, reward.len())?;
                check_len("discount", "[B]", batch, discount.len())?;
                check_len("target", "[B]", batch, self.target.len())?;
            }
        }
        if let Join::Qmix { shape, params, next_state, .. } = self.join {
            shape.check()?;
            if shape.n_agents != agents {
                return Err(Error::Shape(format!(
                    "a mixer of {} agents for groups of {agents}; give it as many",
                    shape.n_agents
                )));
            }
            check_len("mixer's params", "[P]", shape.param_count(), params.len())?;
            check_len("next_state", "[B, S]", batch * shape.state, next_state.len())?;
        }
        let each = matches!(self.join, Join::Each);
        self.groups.iter().try_for_each(|g| g.check(batch, self.double_q, each))
    }

    /// Whether the next value of an agent counts; `index` into `[B, A]` of its group.
    fn counts(&self, group: &NextGroup<'_>, index: usize) -> bool {
        let team = self.join.team().is_none_or(|(_, discount)| discount[index / group.n_agents] != 0.0);
        team && group.discount[index] != 0.0
    }
}

/// Memory of [`Backend::td_target`]; grows on first use and is then kept.
#[derive(Debug, Default)]
pub struct TdTargetScratch {
    /// One a thread.
    lanes: Vec<Buffer>,
    /// Next values `[B, agents of all groups]`, 0 where they do not count.
    next: Vec<f32>,
    /// Of the team `[B]`.
    total: Vec<f32>,
    mix: MixCache,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    gpu: cuda::TargetMemory,
}

impl TdTargetScratch {
    /// Empty scratch.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend {
    /// Computes targets.
    ///
    /// The target of a row is `reward + discount * next`, and `reward` alone where the discount is 0: then nothing of the
    /// next is read. `next` is the target network's value of the legal action that is best by the learned network
    /// (`double_q`) or by the target network itself, the lowest index of equals; of two critics' target values the lower
    /// counts, and the first critic chooses. The team's next value is the sum of its agents', or the mixer's value of them at
    /// the next state; an agent whose own discount is 0 adds nothing, and enters a mixer as 0.
    ///
    /// # Errors
    /// [`Error::NoLegalAction`] for a next value that is needed and has no legal action, its agent counted over all groups,
    /// [`Error::Length`] and
    /// [`Error::Shape`] for what does not fit; from a GPU [`Error::Shape`] for networks too wide for it and [`Error::Gpu`].
    /// Targets are then unspecified.
    pub fn td_target(
        &mut self,
        scratch: &mut TdTargetScratch,
        mut call: TdTarget<'_, '_>,
    ) -> Result<(), Error> {
        call.check()?;
        if let Backend::Cuda(gpu) = self {
            return gpu.td_target(scratch, &mut call);
        }
        cpu::next_values(self.host_mut(), scratch, &call)?;
        let TdTargetScratch { next, total, mix, .. } = scratch;
        match call.join {
            Join::Each => cpu::own_targets(&mut call, next),
            Join::Sum { reward, discount } => {
                total.clear();
                let sums = next.chunks_exact(call.n_agents()).map(|q| q.iter().fold(0.0, |sum, q| sum + q));
                total.extend(sums);
                cpu::team_targets(reward, discount, total, call.target);
            }
            Join::Qmix { reward, discount, shape, params, next_state } => {
                total.resize(call.batch, 0.0);
                let forward = MixForward { shape, params, q: next, state: next_state, total };
                self.mix_forward(mix, forward)?;
                cpu::team_targets(reward, discount, total, call.target);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
