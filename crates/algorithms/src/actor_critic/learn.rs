//! One group of agents through one gradient step: targets and slopes of its critics, then slopes of its actors. The order
//! of the steps, the optimizers and the targets' parameters are the learner's.

use coact_kernels::Backend;
use coact_replay::GroupColumns;

use super::networks::Networks;
use super::policy::{self, Actions, Draw, Head};
use super::rows::{CriticRows, Own, Place};
use crate::noise::Noise;

/// Networks, exploration and work memory of a group.
#[derive(Debug)]
pub(super) struct Group {
    pub place: Place,
    pub actors: Networks,
    /// One, or two.
    pub critics: Vec<Networks>,
    pub noise: Noise,
    /// Its first number among the entropy weights; one an actor's parameter set.
    pub first_weight: usize,
    /// Entropy in nats that a learned weight aims at.
    pub target_entropy: f32,
    pub work: Work,
}

/// Work memory of a group, `R = B A` rows. Grows on first use.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Outputs of actors `[R, outputs]`.
    pub raw: Vec<f32>,
    /// Actions after the transition, then actions now.
    pub chosen: Actions,
    /// Rows of critics `[R, X]`.
    pub input: Vec<f32>,
    /// Values `[R, 1]` or `[R, N]` of each critic.
    pub q: [Vec<f32>; 2],
    /// Targets `[R]`.
    pub target: Vec<f32>,
    /// Weight of each row in its set's mean, 0 where the agent did not act.
    weight: Vec<f32>,
    /// Rows of each set that count.
    counts: Vec<f32>,
    d_q: Vec<f32>,
    d_input: Vec<f32>,
    d_action: Vec<f32>,
    d_log_prob: Vec<f32>,
    pub d_raw: Vec<f32>,
    noise: Vec<f32>,
}

/// What the critics' step found, summed over rows that count and over critics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct CriticSums {
    pub loss: f64,
    pub q: f64,
    pub td_abs: f64,
    pub count: f64,
}

/// What the actors' step found, summed over rows that count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ActorSums {
    pub loss: f64,
    pub entropy: f64,
    pub count: f64,
}

/// What all groups share in a step of the critics.
pub(super) struct Before<'a> {
    pub rows: &'a CriticRows,
    /// What everyone saw, `[B, J]`.
    pub view: &'a [f32],
    /// What everyone did, `[B, U]`.
    pub taken: &'a [f32],
    /// Importance weights `[B]`.
    pub importance: &'a [f32],
}

/// What all groups share after the transition.
pub(super) struct After<'a> {
    pub rows: &'a CriticRows,
    /// What everyone sees, `[B, J]`.
    pub view: &'a [f32],
    /// What the policies that targets follow do there, `[B, U]`.
    pub actions: &'a [f32],
    /// Entropy weights of all sets.
    pub ent_coef: &'a [f32],
}

impl Group {
    fn n_sets(&self) -> usize {
        self.actors.layout.n_sets
    }

    /// The entropy weight's place of row `row`.
    fn weight_index(&self, row: usize) -> usize {
        self.first_weight + if self.n_sets() == 1 { 0 } else { row % self.place.n_agents }
    }

    /// Actions of the actors with `params` where they see `obs` `[B, A, D]`; left in `work.chosen`.
    pub(super) fn choose(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        obs: &[f32],
        mask: &[u32],
        draw: Draw,
    ) {
        let Place { head, action_width, mask_words, .. } = self.place;
        let Work { raw, chosen, .. } = &mut self.work;
        self.actors.forward(backend, params, obs, raw);
        policy::choose(head, action_width, raw, (mask, mask_words), draw, chosen);
    }

    /// Noise on target actions, where actions are continuous and deterministic.
    pub(super) fn smooth(&mut self, draw: Draw, scale: f32, clip: f32) {
        if self.place.head == Head::Tanh && scale > 0.0 {
            let Work { chosen, noise, .. } = &mut self.work;
            policy::smooth(&mut chosen.action, self.place.action_width, draw, scale, clip, noise);
        }
    }

    /// Targets `reward + discount * next value` of every row, by critics with `params`, into `work.target`. The actions of
    /// this group after the transition are in `work.chosen`.
    pub(super) fn set_targets(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        columns: &GroupColumns,
        after: &After<'_>,
    ) {
        let place = &self.place;
        let Work { input, q, .. } = &mut self.work;
        after.rows.write(place, (after.view, &columns.next_obs), after.actions, Own::Listed, input);
        for (critic, q) in self.critics.iter_mut().zip(&mut *q) {
            critic.forward(backend, params, input, q);
        }
        let rows = columns.reward.len();
        self.work.target.resize(rows, 0.0);
        for row in 0..rows {
            let mut target = columns.reward[row];
            // Where the process ended the next value must not matter, not even if it is not a number.
            if columns.discount[row] != 0.0 {
                let ent_coef = after.ent_coef[self.weight_index(row)];
                target += columns.discount[row] * self.next_value(row, ent_coef);
            }
            self.work.target[row] = target;
        }
    }

    /// The lower critic's value, its mean over own actions where critics tell them apart, plus the entropy's share.
    fn next_value(&self, row: usize, ent_coef: f32) -> f32 {
        let Work { q, chosen, .. } = &self.work;
        let bonus = -ent_coef * chosen.log_prob[row];
        if !self.place.head.values_each_action() {
            return self.lower(q, row) + bonus;
        }
        let n = self.place.action_width;
        let probs = &chosen.inner[row * n..(row + 1) * n];
        let mean = |(a, &p): (usize, &f32)| if p > 0.0 { p * self.lower(q, row * n + a) } else { 0.0 };
        probs.iter().enumerate().map(mean).sum::<f32>() + bonus
    }

    /// The lower of the critics' values at `index`.
    fn lower(&self, q: &[Vec<f32>; 2], index: usize) -> f32 {
        if self.critics.len() == 2 { q[0][index].min(q[1][index]) } else { q[0][index] }
    }

    /// Fills the rows' weights: one over the rows of their set that count.
    fn weigh_rows(&mut self, valid: &[bool]) {
        let (sets, agents) = (self.n_sets(), self.place.n_agents);
        let Work { weight, counts, .. } = &mut self.work;
        let set_of = |row: usize| if sets == 1 { 0 } else { row % agents };
        counts.clear();
        counts.resize(sets, 0.0);
        valid.iter().enumerate().filter(|(_, v)| **v).for_each(|(row, _)| counts[set_of(row)] += 1.0);
        weight.clear();
        weight.extend(
            valid.iter().enumerate().map(|(row, &v)| if v { 1.0 / counts[set_of(row)] } else { 0.0 }),
        );
    }

    /// Slopes of the critics' mean squared error into `grads`; adds the mean absolute error of each transition to
    /// `priority` `[B]` (a sum over rows and critics). [`Group::set_targets`] comes first.
    pub(super) fn critic_slopes(
        &mut self,
        backend: &mut Backend,
        (params, grads): (&[f32], &mut [f32]),
        columns: &GroupColumns,
        before: &Before<'_>,
        priority: &mut [f32],
    ) -> CriticSums {
        self.weigh_rows(&columns.valid);
        let place = &self.place;
        let Work { input, q, target, weight, d_q, .. } = &mut self.work;
        before.rows.write(place, (before.view, &columns.obs), before.taken, Own::Listed, input);
        let mut sums = CriticSums::default();
        for (critic, q) in self.critics.iter_mut().zip(q) {
            critic.forward(backend, params, input, q);
            let width = critic.n_outputs();
            d_q.clear();
            d_q.resize(q.len(), 0.0);
            for (row, &target) in target.iter().enumerate().filter(|(row, _)| columns.valid[*row]) {
                let index = if width == 1 { row } else { row * width + columns.action[row] as usize };
                let (b, td) = (row / place.n_agents, target - q[index]);
                let weighted = weight[row] * before.importance[b];
                d_q[index] = -2.0 * weighted * td;
                priority[b] += td.abs();
                sums.loss += f64::from(before.importance[b] * td * td);
                sums.q += f64::from(q[index]);
                sums.td_abs += f64::from(td.abs());
                sums.count += 1.0;
            }
            critic.backward(backend, params, input, d_q, grads);
        }
        sums
    }

    /// Slopes of the actors' loss, `ent_coef * log_prob - Q` with the regularization of outputs, into `grads`; and slopes of the logarithms of entropy weights into `ent_grads`. The actions that
    /// the policies choose now are in `work.chosen` and, of all groups, in `now` `[B, U]`; `others` `[B, U]` says what the other
    /// agents do.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn actor_slopes(
        &mut self,
        backend: &mut Backend,
        (params, grads): (&[f32], &mut [f32]),
        columns: &GroupColumns,
        before: &Before<'_>,
        (others, now): (&[f32], &[f32]),
        (ent_coef, ent_grads): (&[f32], &mut [f32]),
        (soft, reg): (bool, f32),
    ) -> ActorSums {
        self.weigh_rows(&columns.valid);
        // A deterministic actor climbs its first critic, a soft one the lower.
        let read = if soft { self.critics.len() } else { 1 };
        let Work { input, q, .. } = &mut self.work;
        before.rows.write(&self.place, (before.view, &columns.obs), others, Own::From(now), input);
        for (critic, q) in self.critics[..read].iter_mut().zip(q) {
            critic.forward(backend, params, input, q);
        }
        let loss = if self.place.head.values_each_action() {
            self.slopes_of_expectation(ent_coef)
        } else {
            self.slopes_through_critics(backend, params, before.rows, ent_coef, read)
        };
        self.add_regularization(reg);
        self.actors.backward(backend, params, &columns.obs, &self.work.d_raw, grads);
        let mut sums = ActorSums { loss, ..ActorSums::default() };
        for row in (0..columns.valid.len()).filter(|&row| columns.valid[row]) {
            let (weight, log_prob) = (self.work.weight[row], self.work.chosen.log_prob[row]);
            ent_grads[self.weight_index(row)] -= weight * (log_prob + self.target_entropy);
            sums.entropy -= f64::from(log_prob);
            sums.count += 1.0;
        }
        sums
    }

    /// Slopes of outputs where the loss is a sum over own actions. Returns the loss, summed over rows that count.
    fn slopes_of_expectation(&mut self, ent_coef: &[f32]) -> f64 {
        let n = self.place.action_width;
        let rows = self.work.weight.len();
        self.work.d_raw.resize(rows * n, 0.0);
        let mut loss = 0.0;
        for row in 0..rows {
            let alpha = ent_coef[self.weight_index(row)];
            let span = row * n..(row + 1) * n;
            let Work { q, d_raw, chosen, weight, .. } = &mut self.work;
            let [first, second] = q;
            if self.critics.len() == 2 {
                let pairs = first[span.clone()].iter_mut().zip(&second[span.clone()]);
                pairs.for_each(|(a, b)| *a = a.min(*b));
            }
            let (probs, q) = (&chosen.inner[span.clone()], &first[span.clone()]);
            let mean = policy::expected_backward(probs, q, alpha, weight[row], &mut d_raw[span]);
            loss += f64::from(if weight[row] > 0.0 { mean } else { 0.0 });
        }
        loss
    }

    /// Slopes of outputs where they come through the critics' inputs. Returns the loss, summed over rows that count.
    fn slopes_through_critics(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rows: &CriticRows,
        ent_coef: &[f32],
        read: usize,
    ) -> f64 {
        let (n_rows, width) = (self.work.weight.len(), self.place.action_width);
        let (sets, agents) = (self.n_sets(), self.place.n_agents);
        let place = &self.place;
        let Work { raw, chosen, q, weight, d_q, d_input, d_action, d_log_prob, d_raw, .. } = &mut self.work;
        let lower = |row: usize| if read == 2 && q[1][row] < q[0][row] { 1 } else { 0 };
        d_action.clear();
        d_action.resize(n_rows * width, 0.0);
        d_log_prob.clear();
        let mut loss = 0.0;
        for row in 0..n_rows {
            let alpha = ent_coef[self.first_weight + if sets == 1 { 0 } else { row % agents }];
            d_log_prob.push(alpha * weight[row]);
            if weight[row] > 0.0 {
                loss += f64::from(alpha * chosen.log_prob[row] - q[lower(row)][row]);
            }
        }
        for (c, critic) in self.critics[..read].iter_mut().enumerate() {
            d_q.clear();
            d_q.extend(weight.iter().enumerate().map(|(row, w)| if lower(row) == c { -w } else { 0.0 }));
            critic.backward_input(backend, params, d_q, d_input);
            let stride = rows.width(place);
            for (row, d_action) in d_action.chunks_exact_mut(width).enumerate() {
                let from = row * stride + rows.own_action(place, row % agents);
                let d_own = &d_input[from..from + width];
                d_action.iter_mut().zip(d_own).for_each(|(d, own)| *d += own);
            }
        }
        policy::backward(place.head, width, raw, chosen, d_action, d_log_prob, d_raw);
        loss
    }

    /// Adds the slopes of `reg * mean of squared outputs` (of means, where outputs are means and deviations).
    fn add_regularization(&mut self, reg: f32) {
        let (width, outputs) = (self.place.action_width, self.actors.n_outputs());
        let Work { raw, d_raw, weight, .. } = &mut self.work;
        let rows = d_raw.chunks_exact_mut(outputs).zip(raw.chunks_exact(outputs));
        for ((d, raw), weight) in rows.zip(&*weight) {
            let slope = 2.0 * reg * weight / width as f32;
            d[..width].iter_mut().zip(raw).for_each(|(d, r)| *d += slope * r);
        }
    }
}
