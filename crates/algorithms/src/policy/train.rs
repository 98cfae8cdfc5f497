//! From a rollout to better parameters: estimates, then passes of gradient steps.

use coact_core::{Purpose, Stream};
use coact_replay::Rollout;

use super::group::{ActorLoss, Critic, CriticLoss, Objective, Part, Sums};
use super::network::Window;
use super::*;
use crate::learner::{Named, UpdateStats};

/// Deals the steps of a rollout to gradient steps, anew in every pass.
#[derive(Debug, Default)]
pub(super) struct Shuffle {
    seed: u64,
    /// Positions, or environments where networks are recurrent.
    order: Vec<u32>,
    /// Positions of the part in hand.
    positions: Vec<u32>,
}

impl Shuffle {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A permutation of `0..n`, the `pass`-th of rollout number `rollout`.
    fn shuffle(&mut self, n: usize, rollout: u64, pass: u32) {
        self.order.clear();
        self.order.extend(0..n as u32);
        let mut rng = Stream::new(self.seed, Purpose::Replay, pass, rollout);
        for i in (1..n).rev() {
            self.order.swap(i, rng.below(i as u32 + 1) as usize);
        }
    }

    /// The window of part `part` of `parts`.
    fn part(&mut self, rollout: &Rollout, recurrent: bool, part: usize, parts: usize) -> Window<'_> {
        let (n, n_envs, n_steps) = (self.order.len(), rollout.n_envs, rollout.n_steps);
        if parts == 1 {
            return Window::all(n_steps * n_envs, if recurrent { n_steps } else { 1 });
        }
        let chosen = &self.order[part * n / parts..(part + 1) * n / parts];
        if !recurrent {
            return Window::of(chosen, 1, n_envs);
        }
        self.positions.clear();
        for t in 0..n_steps {
            self.positions.extend(chosen.iter().map(|&env| (t * n_envs) as u32 + env));
        }
        Window::of(&self.positions, n_steps, n_envs)
    }
}

/// What passes over a rollout come to.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) sums: Sums,
    grad_norm: f32,
    target_synced: bool,
}

impl PolicyLearner {
    /// Learns from one rollout.
    ///
    /// # Errors
    /// A loss or gradient that is not finite.
    pub(super) fn train(&mut self, rollout: &Rollout) -> Result<UpdateStats> {
        let learning_rate = self.learning_rate.value(self.env_steps);
        self.prepare(rollout)?;
        let mut progress = Progress::default();
        if self.rule == Rule::Happo {
            self.one_by_one(rollout, learning_rate, &mut progress)?;
        } else {
            self.together(rollout, learning_rate, &mut progress)?;
        }
        for critic in self.groups.iter_mut().filter_map(|g| g.critic.as_mut()) {
            let Critic { memory, unrolled, .. } = critic;
            // A critic of actions has none, and was not unrolled.
            memory.iter_mut().zip(&unrolled.memory).for_each(|(to, from)| *to = *from);
        }
        self.env_steps += (rollout.n_steps * rollout.n_envs) as u64;
        self.rollouts += 1;
        self.stats(&progress, learning_rate)
    }

    /// What is to be known of every step before the first gradient step.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn prepare(&mut self, rollout: &Rollout) -> Result<()> {
        self.central.read(rollout);
        for (group, seen) in self.groups.iter_mut().zip(&rollout.groups) {
            group.read(rollout, seen);
        }
        if self.rule == Rule::Coma { self.counterfactual(rollout) } else { self.estimate(rollout) }
    }

    /// Values, advantages, targets and old log-probabilities of every step.
    fn estimate(&mut self, rollout: &Rollout) -> Result<()> {
        let Self { groups, central, params, backend, settings, rule, .. } = self;
        for (group, seen) in groups.iter_mut().zip(&rollout.groups) {
            let centralized = group.critic.as_ref().is_some_and(|critic| critic.centralized);
            let (inputs, finals) =
                if centralized { central.of(rollout) } else { (&seen.obs[..], &seen.final_obs[..]) };
            group.values(backend, params, rollout, inputs, finals)?;
            group.estimate(rollout, seen, settings.gae_lambda, settings.return_steps);
            if rule.is_clipped() {
                let mut old = std::mem::take(&mut group.columns.old_log_prob);
                let sets = 0..group.actor.sets.len();
                let found = group.log_probs(backend, params, rollout, seen, sets, &mut old);
                group.columns.old_log_prob = old;
                found?;
            }
        }
        Ok(())
    }

    fn actor_loss<'a>(&self, factor: Option<&'a [f32]>) -> ActorLoss<'a> {
        ActorLoss {
            objective: match self.rule.is_clipped() {
                true => Objective::Surrogate { clip: self.settings.clip_eps },
                false => Objective::LogProb,
            },
            ent_coef: self.settings.ent_coef,
            normalize_advantage: self.settings.normalize_advantage,
            factor,
        }
    }

    fn critic_loss(&self) -> CriticLoss {
        CriticLoss { vf_coef: self.settings.vf_coef, clip: self.settings.value_clip_eps }
    }

    /// One step of the optimizer of block `block`.
    fn descend(&mut self, block: usize, learning_rate: f64, progress: &mut Progress) -> Result<()> {
        let Block { range, optimizer } = &mut self.blocks[block];
        let (params, grads) = (&mut self.params[range.clone()], &mut self.grads[range.clone()]);
        let norm = optimizer.step(&mut self.backend, learning_rate, params, grads)?;
        progress.grad_norm = progress.grad_norm.max(norm);
        Ok(())
    }

    /// Runs `step` for every part of every pass. `agent` numbers calls for one rollout, so that their parts differ.
    fn passes(
        &mut self,
        rollout: &Rollout,
        agent: usize,
        step: &mut dyn FnMut(&mut Self, Window<'_>) -> Result<()>,
    ) -> Result<()> {
        let (epochs, parts) = (self.settings.epochs, self.settings.minibatches);
        let recurrent = self.settings.cell != CellSetting::None;
        let units = if recurrent { rollout.n_envs } else { rollout.n_steps * rollout.n_envs };
        let rollouts = self.rollouts;
        let mut shuffle = std::mem::take(&mut self.shuffle);
        let passed = (0..epochs).try_for_each(|pass| {
            shuffle.shuffle(units, rollouts, (agent * epochs + pass) as u32);
            (0..parts).try_for_each(|part| step(self, shuffle.part(rollout, recurrent, part, parts)))
        });
        self.shuffle = shuffle;
        passed
    }

    /// All actors and critics in every gradient step.
    fn together(&mut self, rollout: &Rollout, learning_rate: f64, progress: &mut Progress) -> Result<()> {
        self.passes(rollout, 0, &mut |learner, window| {
            for g in 0..learner.groups.len() {
                for set in 0..learner.groups[g].actor.sets.len() {
                    let mut rows = learner.actor_rows(g, set, window, rollout, None, progress)?;
                    if learner.groups[g].critic.as_ref().is_some_and(|critic| !critic.centralized) {
                        rows |= learner.critic_rows(g, set, window, rollout, progress)?;
                    }
                    if rows {
                        learner.descend(learner.groups[g].first_block + set, learning_rate, progress)?;
                    }
                }
            }
            learner.centralized_critics(window, rollout, learning_rate, progress)?;
            learner.grad_steps += 1;
            learner.sync_target(progress);
            Ok(())
        })
    }

    /// Actors one after the other in an order drawn anew for every rollout, then the critics. The advantages of an actor are
    /// times the ratios of those before it.
    fn one_by_one(&mut self, rollout: &Rollout, learning_rate: f64, progress: &mut Progress) -> Result<()> {
        let n_agents = self.agent_names.len();
        let mut factor = std::mem::take(&mut self.factor);
        let mut log_prob = std::mem::take(&mut self.log_prob);
        factor.clear();
        factor.resize(rollout.n_steps * rollout.n_envs, 1.0);
        let mut order = std::mem::take(&mut self.order);
        order.shuffle(n_agents, self.rollouts, 0);
        for (turn, &number) in order.order.iter().enumerate() {
            let (g, agent) = self.place_of(number as usize);
            self.passes(rollout, turn, &mut |learner, window| {
                if learner.actor_rows(g, agent, window, rollout, Some(&factor), progress)? {
                    learner.descend(learner.groups[g].first_block + agent, learning_rate, progress)?;
                }
                learner.grad_steps += 1;
                Ok(())
            })?;
            let Self { groups, params, backend, .. } = self;
            let group = &mut groups[g];
            let seen = &rollout.groups[g];
            group.log_probs(backend, params, rollout, seen, agent..agent + 1, &mut log_prob)?;
            group.multiply_ratios(agent, &log_prob, &mut factor);
        }
        (self.factor, self.log_prob, self.order) = (factor, log_prob, order);
        self.passes(rollout, n_agents, &mut |learner, window| {
            learner.centralized_critics(window, rollout, learning_rate, progress)?;
            learner.grad_steps += 1;
            Ok(())
        })
    }

    /// Group of agent number `number` over all groups, and its number there.
    fn place_of(&self, number: usize) -> (usize, usize) {
        let g = self.groups.partition_point(|group| group.first_agent <= number) - 1;
        (g, number - self.groups[g].first_agent)
    }

    fn centralized_critics(
        &mut self,
        window: Window<'_>,
        rollout: &Rollout,
        learning_rate: f64,
        progress: &mut Progress,
    ) -> Result<()> {
        for g in 0..self.groups.len() {
            let critic = self.groups[g].critic.as_ref().filter(|critic| critic.centralized);
            let Some(block) = critic.map(|critic| critic.block) else { continue };
            if self.critic_rows(g, 0, window, rollout, progress)? {
                self.descend(block, learning_rate, progress)?;
            }
        }
        Ok(())
    }

    /// Gradient of an actor; whether any row counted.
    pub(super) fn actor_rows(
        &mut self,
        g: usize,
        set: usize,
        window: Window<'_>,
        rollout: &Rollout,
        factor: Option<&[f32]>,
        progress: &mut Progress,
    ) -> Result<bool> {
        let loss = self.actor_loss(factor);
        let Self { groups, params, grads, backend, .. } = self;
        let part = Part { rollout, seen: &rollout.groups[g], window };
        let (before, sums) = (progress.sums.actor_rows, &mut progress.sums);
        groups[g].actor_gradient(backend, params, grads, set, part, loss, sums)?;
        Ok(sums.actor_rows > before)
    }

    /// Gradient of a critic; whether any row counted.
    pub(super) fn critic_rows(
        &mut self,
        g: usize,
        set: usize,
        window: Window<'_>,
        rollout: &Rollout,
        progress: &mut Progress,
    ) -> Result<bool> {
        let loss = self.critic_loss();
        let Self { groups, central, coma, params, grads, backend, rule, .. } = self;
        let (before, sums) = (progress.sums.critic_rows, &mut progress.sums);
        let group = &mut groups[g];
        let part = Part { rollout, seen: &rollout.groups[g], window };
        if *rule == Rule::Coma {
            group.action_critic_gradient(backend, params, grads, part, coma.inputs(g), loss, sums)?;
        } else {
            let centralized = group.critic.as_ref().is_some_and(|critic| critic.centralized);
            let inputs = if centralized { central.of(rollout).0 } else { &rollout.groups[g].obs };
            group.critic_gradient(backend, params, grads, set, part, inputs, loss, sums)?;
        }
        Ok(sums.critic_rows > before)
    }

    fn sync_target(&mut self, progress: &mut Progress) {
        let due = self.grad_steps.is_multiple_of(self.settings.target_network_update_freq);
        if self.rule == Rule::Coma && due {
            self.target_params.copy_from_slice(&self.params);
            progress.target_synced = true;
        }
    }

    fn stats(&self, progress: &Progress, learning_rate: f64) -> Result<UpdateStats> {
        let Progress { sums, grad_norm, target_synced } = *progress;
        let mean = |sum: f64, rows: f64| if rows > 0.0 { (sum / rows) as f32 } else { 0.0 };
        let policy_loss = mean(sums.policy_loss, sums.actor_rows);
        let entropy = mean(sums.entropy, sums.actor_rows);
        let value_loss = mean(sums.value_loss, sums.critic_rows);
        let PolicySettings { ent_coef, vf_coef, .. } = self.settings;
        let loss = policy_loss - ent_coef * entropy + vf_coef * value_loss;
        if !loss.is_finite() {
            return Err(Error::NonFinite { what: "loss", value: loss, grad_steps: self.grad_steps });
        }
        let explained: f32 = self.groups.iter().map(|g| g.columns.explained_variance).sum();
        Ok(UpdateStats {
            loss,
            grad_norm,
            learning_rate,
            target_synced,
            named: Named::new([
                ("policy_loss", policy_loss),
                ("value_loss", value_loss),
                ("entropy", entropy),
                ("kl", mean(sums.kl, sums.actor_rows)),
                ("clip_fraction", mean(sums.clipped, sums.actor_rows)),
                ("explained_variance", explained / self.groups.len() as f32),
            ]),
        })
    }
}
