//! One group of agents: its networks, what a rollout says about it, and the gradients of its actors and critic.

use std::ops::Range;

use coact_core::GroupSpec;
use coact_kernels::Backend;
use coact_replay::{GroupRollout, Rollout};

use super::categorical::CategoricalRows;
use super::head::Head;
use super::loss::{surrogate, value_loss};
use super::network::{Memories, SetNetwork, Window};
use super::unroll::Unrolled;
use crate::Result;
use crate::returns::{self, Steps};
use crate::value_norm::ValueNorm;

/// A group of `A` agents.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) head: Head,
    pub(super) n_agents: usize,
    /// Words of a legality mask.
    pub(super) mask_words: usize,
    /// Number of the first agent over all groups.
    pub(super) first_agent: usize,
    /// Where this group's recurrent states begin in those of an environment.
    pub(super) memory_offset: usize,
    pub(super) actor: SetNetwork,
    /// Optimizer of the actor's first set; the others follow.
    pub(super) first_block: usize,
    /// Learned log standard deviations of each set; empty for discrete actions.
    pub(super) log_std: Vec<Range<usize>>,
    pub(super) critic: Option<Critic>,
    pub(super) columns: Columns,
    pub(super) rows: CategoricalRows,
    scratch: Scratch,
}

/// The critic of a group.
#[derive(Debug)]
pub(super) struct Critic {
    /// One row an agent and one output, or (centralized) one row an environment and an output an agent.
    pub(super) network: SetNetwork,
    /// Whether it sees more than one agent does.
    pub(super) centralized: bool,
    /// Optimizer, where it is not the actor's.
    pub(super) block: usize,
    /// Recurrent states `[B, rows, M]` at the start of the rollout.
    pub(super) memory: Vec<f32>,
    pub(super) norm: Option<ValueNorm>,
    pub(super) unrolled: Unrolled,
}

/// What is known of every step before the first gradient step, `[T, B, A]` each.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Log-probabilities under the policy that acted.
    pub(super) old_log_prob: Vec<f32>,
    /// Components `[T, B, A, W]` before squashing; empty for discrete actions.
    pub(super) chosen: Vec<f32>,
    /// The row is learned from.
    pub(super) valid: Vec<bool>,
    /// The episode ended in the step.
    pub(super) ended: Vec<bool>,
    pub(super) value: Vec<f32>,
    pub(super) next_value: Vec<f32>,
    pub(super) advantage: Vec<f32>,
    /// What the critic is to say, on its own scale.
    pub(super) target: Vec<f32>,
    /// Share of the returns' variance that the values explained.
    pub(super) explained_variance: f32,
}

#[derive(Debug, Default)]
struct Scratch {
    advantage: Vec<f32>,
    valid: Vec<bool>,
    row: Vec<f32>,
}

/// What pulls an actor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Objective {
    /// `-advantage * log_prob`.
    LogProb,
    /// The clipped surrogate.
    Surrogate { clip: f32 },
}

/// What a gradient step is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) rollout: &'a Rollout,
    /// The group's columns of it.
    pub(super) seen: &'a GroupRollout,
    pub(super) window: Window<'a>,
}

/// How an actor's loss is put together.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActorLoss<'a> {
    pub(super) objective: Objective,
    pub(super) ent_coef: f32,
    pub(super) normalize_advantage: bool,
    /// Factors `[T, B]` on the advantages.
    pub(super) factor: Option<&'a [f32]>,
}

/// How a critic's loss is put together.
#[derive(Debug, Clone, Copy)]
pub(super) struct CriticLoss {
    pub(super) vf_coef: f32,
    pub(super) clip: Option<f32>,
}

/// Sums over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) actor_rows: f64,
    pub(super) policy_loss: f64,
    pub(super) entropy: f64,
    pub(super) clipped: f64,
    pub(super) kl: f64,
    pub(super) critic_rows: f64,
    pub(super) value_loss: f64,
}

impl Group {
    pub(super) fn new(spec: &GroupSpec, head: Head, actor: SetNetwork) -> Self {
        Self {
            head,
            n_agents: spec.n_agents,
            mask_words: spec.mask_words(),
            first_agent: 0,
            memory_offset: 0,
            actor,
            first_block: 0,
            log_std: Vec::new(),
            critic: None,
            columns: Columns::default(),
            rows: CategoricalRows::default(),
            scratch: Scratch::default(),
        }
    }

    /// Log standard deviations of set `set`.
    pub(super) fn log_std<'p>(&self, params: &'p [f32], set: usize) -> &'p [f32] {
        self.log_std.get(set).map_or(&[], |range| &params[range.clone()])
    }

    /// Which rows count, which steps end an episode, and actions as log-probabilities need them.
    pub(super) fn read(&mut self, rollout: &Rollout, seen: &GroupRollout) {
        let (n_envs, n_agents) = (rollout.n_envs, self.n_agents);
        let columns = &mut self.columns;
        columns.valid.clear();
        columns.valid.extend_from_slice(&seen.valid);
        columns.valid[..rollout.burn_in * n_envs * n_agents].fill(false);
        columns.ended.clear();
        for &first in &rollout.is_first[n_envs..] {
            columns.ended.extend(std::iter::repeat_n(first, n_agents));
        }
        self.head.unsquash(&seen.action_continuous, &mut columns.chosen);
    }

    /// Log-probabilities `[T, B, A]` of what was done, under `params`, of the agents of `sets`.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn log_probs(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        seen: &GroupRollout,
        sets: Range<usize>,
        into: &mut Vec<f32>,
    ) -> Result<()> {
        let (n, count) = (self.head.outputs(), rollout.n_steps * rollout.n_envs);
        into.resize(count * self.n_agents, 0.0);
        for set in sets {
            let window = Window::all(count, rollout.n_steps);
            let memories = memories(rollout, self.memory_offset);
            self.actor.forward(backend, params, set, &seen.obs, window, &rollout.is_first, memories)?;
            let (agents, n_agents, valid) = (self.actor.agents(set), self.n_agents, &self.columns.valid);
            let row_of = |i: usize| i / agents.len() * n_agents + agents.start + i % agents.len();
            let rows = (0..count * agents.len()).map(row_of);
            if let Head::Categorical { .. } = self.head {
                self.rows.read(seen, self.mask_words, rows.clone());
                self.rows.log_probs(backend, &mut self.actor.out);
                for (row, terms) in rows.zip(&self.rows.terms) {
                    into[row] = if valid[row] { terms.log_prob } else { 0.0 };
                }
                continue;
            }
            let log_std = self.log_std(params, set);
            for (row, mean) in rows.zip(self.actor.out.chunks_exact(n)) {
                let chosen = &self.columns.chosen[row * n..(row + 1) * n];
                into[row] = if valid[row] { Head::density(mean, log_std, chosen).log_prob } else { 0.0 };
            }
        }
        Ok(())
    }

    /// Values of every step and of what came after it, on the scale of returns. `columns` are the critic's inputs
    /// `[T + 1, B, ..]`, `finals` those of the last observations of cut episodes.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn values(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        columns: &[f32],
        finals: &[f32],
    ) -> Result<()> {
        let (n_envs, n_agents) = (rollout.n_envs, self.n_agents);
        let rows = rollout.n_steps * n_envs * n_agents;
        let Columns { value, next_value, ended, .. } = &mut self.columns;
        value.clear();
        value.resize(rows, 0.0);
        next_value.clear();
        next_value.resize(rows, 0.0);
        let Some(Critic { network, memory, norm, unrolled, .. }) = &mut self.critic else { return Ok(()) };
        let stride = network.n_agents * network.memory_width();
        let memories = Memories { values: memory, stride, offset: 0 };
        unrolled.run(network, backend, params, columns, finals, rollout, memories)?;
        value.copy_from_slice(&unrolled.steps);
        next_values(rollout, n_agents, &unrolled.steps, &unrolled.last, &unrolled.finals, ended, next_value);
        if let Some(norm) = norm {
            norm.denormalize(value);
            norm.denormalize(next_value);
        }
        Ok(())
    }

    /// Advantages, and the targets of the critic on its own scale. Without a critic an episode whose end the rollout does
    /// not hold has no return, and its rows no longer count.
    pub(super) fn estimate(
        &mut self,
        rollout: &Rollout,
        seen: &GroupRollout,
        lambda: f32,
        n_steps: Option<usize>,
    ) {
        let n_rows = rollout.n_envs * self.n_agents;
        if self.critic.is_none() {
            only_whole_episodes(&mut self.columns, &seen.discount, n_rows, &mut self.scratch.valid);
        }
        let Columns { valid, ended, value, next_value, advantage, target, .. } = &mut self.columns;
        advantage.resize(value.len(), 0.0);
        target.resize(value.len(), 0.0);
        let steps =
            Steps { n_rows, reward: &seen.reward, discount: &seen.discount, next_value, ended, valid };
        match n_steps {
            Some(n) => {
                returns::n_step_returns(&steps, n, target);
                advantage.iter_mut().zip(&*target).zip(&*value).for_each(|((a, r), v)| *a = r - v);
            }
            None => {
                returns::gae(&steps, value, lambda, advantage);
                target.iter_mut().zip(&*advantage).zip(&*value).for_each(|((r, a), v)| *r = a + v);
            }
        }
        advantage.iter_mut().zip(&*valid).filter(|(_, valid)| !**valid).for_each(|(a, _)| *a = 0.0);
        self.columns.explained_variance = returns::explained_variance(value, target, valid);
        let Columns { valid, target, .. } = &mut self.columns;
        if let Some(norm) = self.critic.as_mut().and_then(|critic| critic.norm.as_mut()) {
            norm.update(target, valid);
            norm.normalize(target);
        }
    }

    /// Multiplies `factor` `[T, B]` by what `agent`'s probabilities of what it did have become, against what they were.
    pub(super) fn multiply_ratios(&self, agent: usize, log_prob: &[f32], factor: &mut [f32]) {
        let rows = (agent..log_prob.len()).step_by(self.n_agents);
        for (factor, row) in factor.iter_mut().zip(rows) {
            if self.columns.valid[row] {
                *factor *= coact_kernels::math::exp_f32(log_prob[row] - self.columns.old_log_prob[row]);
            }
        }
    }

    /// Gradient of the actor of set `set` over the window's rows, into its part of `grads`.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn actor_gradient(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        grads: &mut [f32],
        set: usize,
        Part { rollout, seen, window }: Part<'_>,
        loss: ActorLoss<'_>,
        sums: &mut Sums,
    ) -> Result<()> {
        let memories = memories(rollout, self.memory_offset);
        self.actor.forward(backend, params, set, &seen.obs, window, &rollout.is_first, memories)?;
        let (head, n) = (self.head, self.head.outputs());
        let (agents, log_std) = (self.actor.agents(set), self.log_std(params, set));
        let d_log_std = self.log_std.get(set).map_or(&mut [][..], |range| &mut grads[range.clone()]);
        d_log_std.fill(0.0);
        let (columns, n_agents) = (&self.columns, self.n_agents);
        let row_of =
            |i: usize| window.position(i / agents.len()) * n_agents + agents.start + i % agents.len();
        let count =
            self.scratch.take(columns, &row_of, window.count * agents.len(), loss.normalize_advantage);
        let Scratch { advantage, valid, row: scratch } = &mut self.scratch;
        let rows = (0..valid.len()).map(row_of);
        if let Some(factor) = loss.factor {
            advantage.iter_mut().zip(rows.clone()).for_each(|(a, row)| *a *= factor[row / n_agents]);
        }
        sums.actor_rows += count as f64;
        if let Head::Categorical { .. } = head {
            self.rows.read(seen, self.mask_words, rows.clone());
            let old = (&columns.old_log_prob[..], rows);
            self.rows.gradient(backend, &mut self.actor.out, loss, (advantage, valid), old, sums);
            return self.actor.backward(backend, params, set, grads);
        }
        scratch.resize(n, 0.0);
        let share = 1.0 / count.max(1) as f32;
        for (i, (row, mean)) in rows.zip(self.actor.out.chunks_exact_mut(n)).enumerate() {
            if !valid[i] {
                mean.fill(0.0);
                continue;
            }
            let advantage = advantage[i];
            let chosen = &columns.chosen[row * n..(row + 1) * n];
            let density = Head::density(mean, log_std, chosen);
            let d_log_prob = match loss.objective {
                Objective::LogProb => {
                    sums.policy_loss -= f64::from(advantage * density.log_prob);
                    -advantage
                }
                Objective::Surrogate { clip } => {
                    let s = surrogate(density.log_prob, columns.old_log_prob[row], advantage, clip);
                    sums.policy_loss += f64::from(s.loss);
                    sums.clipped += f64::from(u8::from(s.clipped));
                    sums.kl += f64::from(s.kl);
                    s.d_log_prob
                }
            };
            sums.entropy += f64::from(density.entropy);
            let (d_log_prob, d_entropy) = (d_log_prob * share, -loss.ent_coef * share);
            Head::backward(mean, log_std, chosen, d_log_prob, d_entropy, d_log_std, scratch);
        }
        self.actor.backward(backend, params, set, grads)
    }

    /// Gradient of `vf_coef` times the critic's loss over the window's rows, of set `set` of its network.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn critic_gradient(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        grads: &mut [f32],
        set: usize,
        Part { rollout, window, .. }: Part<'_>,
        inputs: &[f32],
        loss: CriticLoss,
        sums: &mut Sums,
    ) -> Result<()> {
        let Some(Critic { network, centralized, memory, unrolled, .. }) = &mut self.critic else {
            return Ok(());
        };
        let stride = network.n_agents * network.memory_width();
        let memories = Memories { values: memory, stride, offset: 0 };
        network.forward(backend, params, set, inputs, window, &rollout.is_first, memories)?;
        let agents = if *centralized { 0..self.n_agents } else { network.agents(set) };
        let (columns, n_agents) = (&self.columns, self.n_agents);
        let row_of =
            |i: usize| window.position(i / agents.len()) * n_agents + agents.start + i % agents.len();
        let count = (0..network.out.len()).filter(|&i| columns.valid[row_of(i)]).count();
        let share = loss.vf_coef / count.max(1) as f32;
        for (i, out) in network.out.iter_mut().enumerate() {
            let row = row_of(i);
            if !columns.valid[row] {
                *out = 0.0;
                continue;
            }
            let (value, slope) = value_loss(*out, unrolled.steps[row], columns.target[row], loss.clip);
            sums.value_loss += f64::from(value);
            *out = slope * share;
        }
        sums.critic_rows += count as f64;
        network.backward(backend, params, set, grads)
    }
}

impl Scratch {
    /// Gathers advantages and whether rows count; returns how many do.
    fn take(
        &mut self,
        columns: &Columns,
        row_of: &dyn Fn(usize) -> usize,
        rows: usize,
        normalize: bool,
    ) -> usize {
        self.advantage.clear();
        self.valid.clear();
        self.advantage.extend((0..rows).map(|i| columns.advantage[row_of(i)]));
        self.valid.extend((0..rows).map(|i| columns.valid[row_of(i)]));
        if normalize {
            returns::normalize(&mut self.advantage, &self.valid);
        }
        self.valid.iter().filter(|&&valid| valid).count()
    }
}

/// Recurrent states of the actors at the start of a rollout, from `offset` on in each environment.
pub(super) fn memories(rollout: &Rollout, offset: usize) -> Memories<'_> {
    Memories { values: &rollout.memory, stride: rollout.memory.len() / rollout.n_envs.max(1), offset }
}

/// The value after each step `[T, B, A]`: of the next observation; where the episode ended, of its last observation if a
/// time limit cut it, else 0.
pub(super) fn next_values(
    rollout: &Rollout,
    n_agents: usize,
    steps: &[f32],
    last: &[f32],
    finals: &[f32],
    ended: &[bool],
    next_value: &mut [f32],
) {
    let row = rollout.n_envs * n_agents;
    let following = steps[row.min(steps.len())..].iter().chain(last);
    for ((next, &value), &ended) in next_value.iter_mut().zip(following).zip(ended) {
        *next = if ended { 0.0 } else { value };
    }
    for (f, &(t, env)) in rollout.ends.iter().enumerate() {
        let at = t as usize * row + env as usize * n_agents;
        next_value[at..at + n_agents].copy_from_slice(&finals[f * n_agents..(f + 1) * n_agents]);
    }
}

/// Strikes out rows that no end follows. `whole` is scratch.
fn only_whole_episodes(columns: &mut Columns, discount: &[f32], n_rows: usize, whole: &mut Vec<bool>) {
    let rows = columns.valid.len();
    whole.clear();
    whole.resize(rows, false);
    for i in (0..rows).rev() {
        let followed = i + n_rows < rows && whole[i + n_rows];
        whole[i] = columns.ended[i] || discount[i] == 0.0 || followed;
        columns.valid[i] &= whole[i];
    }
}
