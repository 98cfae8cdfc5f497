//! The value of the team: mixing, targets and losses of every method of the family, from the values of agents to the
//! gradient with respect to them. It knows no agents' networks.

use std::ops::Range;

use coact_core::EnvSpec;
use coact_kernels::{Backend, Join, Loss, NextGroup, TdTarget, TdTargetScratch};
use coact_nets::{Init, JointValue, Mixer, MixerInput, MixerKind, MixerShape, NamedTensor};
use coact_replay::Rollout;

use super::Method;
use super::rows::{GroupValues, Rows, Wanted, Widths};
use super::settings::DecompositionSettings;
use crate::Result;
use crate::returns::{Steps, lambda_returns};

/// Which values are learned by which rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// How agents' values make the team's.
    pub method: Method,
    /// The learned networks choose the next action, the target networks value it.
    pub double_q: bool,
    /// Weight of longer returns; 0 for one step.
    pub lambda: f32,
    /// Loss of a TD error.
    pub loss: Loss,
    /// Independent learners: whether the agents of a group share their parameters.
    pub shared: bool,
    /// Weighted QMIX: weight of what is not worth more than it seems.
    pub weight: f32,
    /// QTRAN: weights of the losses of best and of other actions.
    pub optimum: f32,
    /// See `optimum`.
    pub other: f32,
}

impl Rule {
    /// The rule that the settings describe.
    pub fn new(method: Method, settings: &DecompositionSettings) -> Self {
        Self {
            method,
            double_q: settings.double_q,
            lambda: settings.td_lambda,
            loss: settings.loss(),
            shared: settings.shares(),
            weight: settings.wqmix_weight,
            optimum: settings.qtran_opt_loss,
            other: settings.qtran_nopt_loss,
        }
    }
}

/// What a loss measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TeamStats {
    /// The function whose gradient was computed.
    pub loss: f32,
    /// Mean learned value over what was learned from: agents' steps for independent learners, else the team's.
    pub q_mean: f32,
    /// Mean absolute TD error over the same.
    pub td_abs: f32,
}

/// Parameters of the team's part, in this order: mixer, joint value, state value.
#[derive(Debug)]
pub struct TeamValue {
    rule: Rule,
    rows: Rows,
    mixer: Mixer,
    next_scratch: TdTargetScratch,
    joint: Option<JointValue>,
    state_value: Option<JointValue>,
    ranges: [Range<usize>; 3],
    /// Columns of a target: agents for independent learners, else 1.
    columns: usize,
    /// Rewards, discounts, next values and targets `[R, columns]`.
    reward: Vec<f32>,
    discount: Vec<f32>,
    next_value: Vec<f32>,
    target: Vec<f32>,
    /// Whether the episode ended in the row, and that every row counts `[R, columns]`.
    ended: Vec<bool>,
    counted: Vec<bool>,
    /// Learned values and their gradients `[R, columns]`.
    total: Vec<f32>,
    d_total: Vec<f32>,
    /// Values of [`TeamValue::joint`] and gradients `[R]`.
    joint_value: Vec<f32>,
    best_value: Vec<f32>,
    d_joint: Vec<f32>,
    /// Gradients of the agents' chosen values `[R, J]`, and of their best ones.
    d_q: Vec<f32>,
    d_best_q: Vec<f32>,
    /// `|td|` and its count of each environment `[B]`.
    priority: Vec<f32>,
    counts: Vec<f32>,
}

impl TeamValue {
    /// The team of `spec`, with networks as `settings` say.
    ///
    /// # Errors
    /// Widths of zero.
    pub fn new(spec: &EnvSpec, rule: Rule, settings: &DecompositionSettings) -> Result<Self> {
        let agents = spec.n_agents();
        let own_state = spec.state_width > 0;
        let obs: usize = spec.groups.iter().map(|g| g.n_agents * g.obs_width()).sum();
        let state = if own_state { spec.state_width } else { obs };
        let hot: usize = spec.groups.iter().map(|g| g.n_agents * g.action.n_discrete()).sum();
        let widths = Widths { agents, state, joint: state + hot, own_state };
        let method = rule.method;
        let kind = match method {
            Method::Qmix | Method::CwQmix | Method::OwQmix => MixerKind::Qmix(settings.qmix()),
            Method::Qplex => MixerKind::Qplex(settings.qplex()),
            Method::Iql | Method::Vdn | Method::Qtran => MixerKind::Sum,
        };
        let wanted = Wanted {
            state: !matches!(method, Method::Iql | Method::Vdn),
            joint: !matches!(method, Method::Iql | Method::Vdn | Method::Qmix),
            best: matches!(method, Method::Qplex | Method::Qtran | Method::CwQmix),
        };
        let mixer = Mixer::new(kind, MixerShape { n_agents: agents, state, joint: widths.joint })?;
        let free = matches!(method, Method::Qtran | Method::CwQmix | Method::OwQmix);
        let hidden = || settings.joint_hidden.clone();
        let joint = free.then(|| JointValue::new("Q_joint", widths.joint, hidden()));
        let state_value = (method == Method::Qtran).then(|| JointValue::new("V", state, hidden()));
        let mut start = 0;
        let ranges = [
            mixer.param_count(),
            joint.as_ref().map_or(0, JointValue::param_count),
            state_value.as_ref().map_or(0, JointValue::param_count),
        ]
        .map(|len| {
            start += len;
            start - len..start
        });
        Ok(Self {
            rule,
            rows: Rows::new(widths, wanted),
            mixer,
            next_scratch: TdTargetScratch::new(),
            joint,
            state_value,
            ranges,
            columns: if method == Method::Iql { agents } else { 1 },
            reward: Vec::new(),
            discount: Vec::new(),
            next_value: Vec::new(),
            target: Vec::new(),
            ended: Vec::new(),
            counted: Vec::new(),
            total: Vec::new(),
            d_total: Vec::new(),
            joint_value: Vec::new(),
            best_value: Vec::new(),
            d_joint: Vec::new(),
            d_q: Vec::new(),
            d_best_q: Vec::new(),
            priority: Vec::new(),
            counts: Vec::new(),
        })
    }

    /// Length of the flat parameters.
    pub fn param_count(&self) -> usize {
        self.ranges[2].end
    }

    /// Ranges of the single tensors.
    pub fn tensor_ranges(&self) -> Vec<Range<usize>> {
        let shift = |start: usize, ranges: Vec<Range<usize>>| {
            ranges.into_iter().map(move |r| r.start + start..r.end + start).collect::<Vec<_>>()
        };
        let joint = self.joint.as_ref().map_or(Vec::new(), JointValue::tensor_ranges);
        let state = self.state_value.as_ref().map_or(Vec::new(), JointValue::tensor_ranges);
        let [mixer_at, joint_at, state_at] = self.ranges.each_ref().map(|r| r.start);
        [shift(mixer_at, self.mixer.tensor_ranges()), shift(joint_at, joint), shift(state_at, state)].concat()
    }

    /// Starts the parameters; `first_index` names the first of up to eight networks.
    pub fn initialize(&self, init: Init, seed: u64, first_index: u32, gain: f32, params: &mut [f32]) {
        let [mixer, joint, state] = self.ranges.clone();
        self.mixer.initialize(init, seed, first_index, gain, &mut params[mixer]);
        if let Some(net) = &self.joint {
            net.initialize(init, seed, first_index + 6, &mut params[joint]);
        }
        if let Some(net) = &self.state_value {
            net.initialize(init, seed, first_index + 7, &mut params[state]);
        }
    }

    /// The tensors with PyTorch's names and shapes.
    pub fn to_torch(&self, params: &[f32]) -> Vec<NamedTensor> {
        let [mixer, joint, state] = self.ranges.clone();
        let mut out = self.mixer.to_torch(&params[mixer]);
        out.extend(self.joint.iter().flat_map(|net| net.to_torch(&params[joint.clone()])));
        out.extend(self.state_value.iter().flat_map(|net| net.to_torch(&params[state.clone()])));
        out
    }

    /// Targets `[R, columns]` of the steps after burn-in, row `r` being step `burn_in + r / B` of environment `r % B`:
    ///
    /// ```text
    /// y_t = reward_t + discount_t ((1 - lambda) v_t+1 + lambda y_t+1)      within an episode
    /// y_t = reward_t + discount_t v_t+1                                  at its end and at the end of the rollout
    /// ```
    /// # Errors
    /// An agent without a legal action.
    pub fn targets(
        &mut self,
        backend: &mut Backend,
        target_params: &[f32],
        rollout: &Rollout,
        values: &[GroupValues],
    ) -> Result<&[f32]> {
        self.rows.read_taken(rollout, values);
        self.rows.read_next(rollout, values, self.rule.double_q)?;
        let (n, k) = (self.rows.n, self.columns);
        for column in [&mut self.reward, &mut self.discount, &mut self.next_value, &mut self.target] {
            column.resize(n * k, 0.0);
        }
        let [mixer, joint, _] = self.ranges.clone();
        let next = &self.rows.next;
        match (&mut self.joint, self.rule.method) {
            (_, Method::Iql) => self.next_value.copy_from_slice(&next.q),
            (Some(net), _) => {
                net.forward(backend, &target_params[joint], n, &next.joint, &mut self.next_value);
            }
            (None, _) => {
                let input = MixerInput {
                    rows: n,
                    q: &next.q,
                    best_q: &next.best_q,
                    state: &next.state,
                    joint: &next.joint,
                };
                self.mixer.forward(backend, &target_params[mixer], input, &mut self.next_value)?;
            }
        }
        Ok(self.returns(rollout, values))
    }

    /// [`TeamValue::targets`] of transitions, a rollout of one step of `groups`, mixed by a monotonic network: the kernel
    /// `td_target` values what comes next, so that `values` need hold the learned ones of the present only.
    ///
    /// # Errors
    /// An agent without a legal action; a device that refuses.
    pub(super) fn targets_of_transitions(
        &mut self,
        backend: &mut Backend,
        target_params: &[f32],
        rollout: &Rollout,
        values: &[GroupValues],
        groups: &[NextGroup<'_>],
    ) -> Result<()> {
        let Some(shape) = self.mixer.qmix_shape() else { unreachable!("only monotonic networks come here") };
        self.rows.read_taken(rollout, values);
        self.rows.read_after(rollout);
        let n = self.rows.n;
        for column in [&mut self.reward, &mut self.discount, &mut self.next_value, &mut self.target] {
            column.resize(n, 0.0);
        }
        // Targets for a reward of 0 and a discount of 1 are the values themselves.
        self.reward.fill(0.0);
        for (discount, &team) in self.discount.iter_mut().zip(&rollout.team_discount) {
            *discount = if team == 0.0 { 0.0 } else { 1.0 };
        }
        let join = Join::Qmix {
            reward: &self.reward,
            discount: &self.discount,
            shape,
            params: &target_params[self.ranges[0].clone()],
            next_state: &self.rows.next.state,
        };
        let (double_q, target) = (self.rule.double_q, &mut self.next_value[..]);
        let call = TdTarget { groups, batch: n, double_q, join, target };
        backend.td_target(&mut self.next_scratch, call).map_err(|e| crate::value::over_all_groups(e, 0))?;
        self.returns(rollout, values);
        Ok(())
    }

    /// Targets of rewards and next values.
    fn returns(&mut self, rollout: &Rollout, values: &[GroupValues]) -> &[f32] {
        let (n, k) = (self.rows.n, self.columns);
        self.read_rewards(rollout, values);
        self.ended.clear();
        let rows = &self.rows;
        self.ended.extend((0..n).flat_map(|r| std::iter::repeat_n(!rows.continues(r, rollout), k)));
        self.counted.resize(n * k, true);
        let steps = Steps {
            n_rows: rollout.n_envs * k,
            reward: &self.reward,
            discount: &self.discount,
            next_value: &self.next_value,
            ended: &self.ended,
            valid: &self.counted,
        };
        lambda_returns(&steps, self.rule.lambda, &mut self.target);
        &self.target
    }

    fn read_rewards(&mut self, rollout: &Rollout, values: &[GroupValues]) {
        let (n, k, skipped) = (self.rows.n, self.columns, rollout.burn_in * rollout.n_envs);
        if self.rule.method != Method::Iql {
            self.reward.copy_from_slice(&rollout.team_reward[skipped..]);
            self.discount.copy_from_slice(&rollout.team_discount[skipped..]);
            return;
        }
        let mut first = 0;
        for (columns, values) in rollout.groups.iter().zip(values) {
            let a_n = values.n_agents;
            for r in 0..n {
                let (from, to) = ((skipped + r) * a_n, r * k + first);
                self.reward[to..to + a_n].copy_from_slice(&columns.reward[from..from + a_n]);
                self.discount[to..to + a_n].copy_from_slice(&columns.discount[from..from + a_n]);
            }
            first += a_n;
        }
    }

    /// Loss and gradients for the targets of the last [`TeamValue::targets`] on the same rollout. `weight` `[B]` are
    /// importance weights, empty for none. Writes `grads` (of the team's parameters) and `grad` of every group.
    ///
    /// # Errors
    /// A device that refuses.
    pub fn learn(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        values: &mut [GroupValues],
        weight: &[f32],
        grads: &mut [f32],
    ) -> Result<TeamStats> {
        let target = std::mem::take(&mut self.target);
        let stats = self.descend(backend, params, rollout, values, weight, &target, grads);
        self.target = target;
        stats
    }

    /// [`TeamValue::learn`] for the given targets `[R, columns]`; reads the present of `rollout` anew.
    ///
    /// # Errors
    /// A device that refuses.
    #[allow(clippy::too_many_arguments)]
    pub fn learn_from(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        values: &mut [GroupValues],
        target: &[f32],
        grads: &mut [f32],
    ) -> Result<TeamStats> {
        self.rows.read_taken(rollout, values);
        self.descend(backend, params, rollout, values, &[], target, grads)
    }

    #[allow(clippy::too_many_arguments)]
    fn descend(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        values: &mut [GroupValues],
        weight: &[f32],
        target: &[f32],
        grads: &mut [f32],
    ) -> Result<TeamStats> {
        let (n, agents, k) = (self.rows.n, self.rows.acted.len() / self.rows.n.max(1), self.columns);
        assert_eq!(target.len(), n * k, "target [R, columns]");
        for buffer in [&mut self.total, &mut self.d_total] {
            buffer.resize(n * k, 0.0);
        }
        for buffer in [&mut self.d_q, &mut self.d_best_q] {
            buffer.resize(n * agents, 0.0);
        }
        self.priority.resize(rollout.n_envs, 0.0);
        self.priority.fill(0.0);
        self.counts.resize(rollout.n_envs, 0.0);
        self.counts.fill(0.0);
        let stats = match self.rule.method {
            Method::Iql => self.independent(rollout, values, weight, target),
            Method::Vdn | Method::Qmix | Method::Qplex => {
                self.mixed(backend, params, rollout, weight, target, grads)?
            }
            Method::CwQmix | Method::OwQmix => {
                self.weighted(backend, params, rollout, weight, target, grads)?
            }
            Method::Qtran => self.factored(backend, params, rollout, weight, target, grads),
        };
        for (priority, &count) in self.priority.iter_mut().zip(&self.counts) {
            *priority /= count.max(1.0);
        }
        self.scatter(rollout, values);
        Ok(stats)
    }

    /// Mean `|td|` of each environment (or transition) `[B]` in the last loss.
    pub fn priority(&self) -> &[f32] {
        &self.priority
    }

    /// Independent learners: every parameter set's loss is a mean over the rows of its agents.
    fn independent(
        &mut self,
        rollout: &Rollout,
        values: &[GroupValues],
        weight: &[f32],
        target: &[f32],
    ) -> TeamStats {
        let (n, agents) = (self.rows.n, self.columns);
        let mut sums = Sums::default();
        let mut first = 0;
        for values in values {
            let sets = if self.rule.shared { 1 } else { values.n_agents };
            let per_set = values.n_agents / sets;
            for start in (0..sets).map(|s| first + s * per_set) {
                let of_set = |r: usize| r * agents + start..r * agents + start + per_set;
                let count = (0..n).flat_map(of_set).filter(|&at| self.rows.acted[at]).count().max(1) as f32;
                for at in (0..n).flat_map(of_set) {
                    let b = (at / agents) % rollout.n_envs;
                    let scale = weight.get(b).copied().unwrap_or(1.0) / count;
                    let acted = self.rows.acted[at];
                    let td = if acted { self.rows.taken.q[at] - target[at] } else { 0.0 };
                    let (loss, slope) = self.rule.loss.value_and_grad(td);
                    self.d_q[at] = if acted { scale * slope } else { 0.0 };
                    if acted {
                        sums.add(scale * loss, self.rows.taken.q[at], td);
                        self.priority[b] += td.abs();
                        self.counts[b] += 1.0;
                    }
                }
            }
            first += values.n_agents;
        }
        sums.stats()
    }

    /// TD errors of `total` against `target` and the gradient of their mean loss over living rows; `importance(r, td)`
    /// weighs rows besides.
    fn td_loss(
        &mut self,
        rollout: &Rollout,
        weight: &[f32],
        target: &[f32],
        importance: impl Fn(usize, f32) -> f32,
    ) -> Sums {
        let count = self.rows.live.iter().filter(|&&live| live).count().max(1) as f32;
        let mut sums = Sums::default();
        for (r, &target) in target.iter().enumerate() {
            self.d_total[r] = 0.0;
            if !self.rows.live[r] {
                continue;
            }
            let b = r % rollout.n_envs;
            let td = self.total[r] - target;
            let scale = weight.get(b).copied().unwrap_or(1.0) * importance(r, td) / count;
            let (loss, slope) = self.rule.loss.value_and_grad(td);
            self.d_total[r] = scale * slope;
            sums.add(scale * loss, self.total[r], td);
            self.priority[b] += td.abs();
            self.counts[b] += 1.0;
        }
        sums
    }

    fn mix(&mut self, backend: &mut Backend, params: &[f32]) -> Result<()> {
        let taken = &self.rows.taken;
        let input = input_of(taken, self.rows.n);
        Ok(self.mixer.forward(backend, &params[self.ranges[0].clone()], input, &mut self.total)?)
    }

    fn unmix(&mut self, backend: &mut Backend, params: &[f32], grads: &mut [f32]) -> Result<()> {
        let range = self.ranges[0].clone();
        let input = input_of(&self.rows.taken, self.rows.n);
        let (params, grads) = (&params[range.clone()], &mut grads[range]);
        Ok(self.mixer.backward(backend, params, input, &self.d_total, grads, &mut self.d_q)?)
    }

    /// VDN, QMIX, QPLEX.
    fn mixed(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        weight: &[f32],
        target: &[f32],
        grads: &mut [f32],
    ) -> Result<TeamStats> {
        self.mix(backend, params)?;
        let sums = self.td_loss(rollout, weight, target, |_, _| 1.0);
        self.unmix(backend, params, grads)?;
        Ok(sums.stats())
    }

    /// The unrestricted value's TD loss; leaves its values in `joint_value`. Returns the loss.
    fn learn_joint(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        weight: &[f32],
        target: &[f32],
        grads: &mut [f32],
    ) -> Sums {
        let (n, range) = (self.rows.n, self.ranges[1].clone());
        for buffer in [&mut self.joint_value, &mut self.best_value, &mut self.d_joint] {
            buffer.resize(n, 0.0);
        }
        let Some(mut net) = self.joint.take() else { return Sums::default() };
        let params = &params[range.clone()];
        if !self.rows.best_joint.is_empty() {
            net.forward(backend, params, n, &self.rows.best_joint, &mut self.best_value);
        }
        net.forward(backend, params, n, &self.rows.taken.joint, &mut self.joint_value);
        std::mem::swap(&mut self.total, &mut self.joint_value);
        let sums = self.td_loss(rollout, weight, target, |_, _| 1.0);
        std::mem::swap(&mut self.total, &mut self.joint_value);
        net.backward(backend, params, n, &self.rows.taken.joint, &self.d_total, &mut grads[range]);
        self.joint = Some(net);
        sums
    }

    /// Weighted QMIX: the monotonic value follows the target of the unrestricted one, less where it lies above it.
    fn weighted(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        weight: &[f32],
        target: &[f32],
        grads: &mut [f32],
    ) -> Result<TeamStats> {
        let free = self.learn_joint(backend, params, rollout, weight, target, grads);
        self.priority.fill(0.0);
        self.counts.fill(0.0);
        self.mix(backend, params)?;
        let (low, centralized) = (self.rule.weight, self.rule.method == Method::CwQmix);
        let agents = self.d_q.len() / self.rows.n.max(1);
        let best_value = std::mem::take(&mut self.best_value);
        // Whether each row took the best actions, kept where the gradient goes later.
        for r in 0..self.rows.n {
            let same =
                |at: usize| !self.rows.acted[at] || self.rows.taken.q[at] == self.rows.taken.best_q[at];
            self.d_joint[r] = f32::from(u8::from((r * agents..(r + 1) * agents).all(same)));
        }
        let is_best = std::mem::take(&mut self.d_joint);
        let sums = self.td_loss(rollout, weight, target, |r, td| {
            let full = if centralized { target[r] > best_value[r] || is_best[r] > 0.0 } else { td < 0.0 };
            if full { 1.0 } else { low }
        });
        (self.best_value, self.d_joint) = (best_value, is_best);
        self.unmix(backend, params, grads)?;
        Ok(TeamStats { loss: free.loss + sums.loss, ..sums.stats() })
    }

    /// QTRAN: the joint value follows TD targets; the sum of agents' values plus a state value equals it at the best
    /// actions and lies nowhere below it.
    fn factored(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        weight: &[f32],
        target: &[f32],
        grads: &mut [f32],
    ) -> TeamStats {
        let td = self.learn_joint(backend, params, rollout, weight, target, grads);
        let (n, range) = (self.rows.n, self.ranges[2].clone());
        let agents = self.d_q.len() / n.max(1);
        let Some(net) = &mut self.state_value else { return td.stats() };
        let state = &self.rows.taken.state;
        net.forward(backend, &params[range.clone()], n, state, &mut self.total);
        let count = self.rows.live.iter().filter(|&&live| live).count().max(1) as f32;
        let mut loss = td.loss;
        for r in 0..n {
            let own = r * agents..(r + 1) * agents;
            let scale = weight.get(r % rollout.n_envs).copied().unwrap_or(1.0) / count;
            let live = f32::from(u8::from(self.rows.live[r]));
            let sum = |q: &[f32]| q[own.clone()].iter().fold(0.0, |sum, q| sum + q);
            // No gradient passes into the joint value here.
            let best = sum(&self.rows.taken.best_q) - self.best_value[r] + self.total[r];
            let taken = (sum(&self.rows.taken.q) - self.joint_value[r] + self.total[r]).min(0.0);
            let (optimum, other) = (live * scale * self.rule.optimum, live * scale * self.rule.other);
            loss += optimum * best * best + other * taken * taken;
            let (d_best, d_taken) = (2.0 * optimum * best, 2.0 * other * taken);
            self.d_best_q[own.clone()].fill(d_best);
            self.d_q[own].fill(d_taken);
            self.d_total[r] = d_best + d_taken;
        }
        let grads = &mut grads[range.clone()];
        net.backward(backend, &params[range], n, state, &self.d_total, grads);
        TeamStats { loss, ..td.stats() }
    }

    /// Gradients of chosen (and best) values to the places of those actions.
    fn scatter(&self, rollout: &Rollout, values: &mut [GroupValues]) {
        let (n, agents, skipped) =
            (self.rows.n, self.d_q.len() / self.rows.n.max(1), rollout.burn_in * rollout.n_envs);
        let with_best = self.rule.method == Method::Qtran;
        let mut first = 0;
        for (columns, values) in rollout.groups.iter().zip(values) {
            let (a_n, n_actions) = (values.n_agents, values.n_actions);
            let all = values.learned.len();
            let ends = (rollout.n_steps + 1) * rollout.n_envs * a_n * n_actions;
            values.grad.resize(all.min(ends), 0.0);
            values.grad.fill(0.0);
            for (r, a) in (0..n).flat_map(|r| (0..a_n).map(move |a| (r, a))) {
                let (row, at) = ((skipped + r) * a_n + a, r * agents + first + a);
                if !self.rows.acted[at] {
                    continue;
                }
                let grad = &mut values.grad[row * n_actions..(row + 1) * n_actions];
                grad[columns.action[row] as usize] += self.d_q[at];
                if with_best {
                    grad[self.rows.best_action[at] as usize] += self.d_best_q[at];
                }
            }
            first += a_n;
        }
    }
}

fn input_of(side: &super::rows::Side, rows: usize) -> MixerInput<'_> {
    MixerInput { rows, q: &side.q, best_q: &side.best_q, state: &side.state, joint: &side.joint }
}

/// Sums of a loss.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    loss: f32,
    q: f32,
    td_abs: f32,
    count: f32,
}

impl Sums {
    fn add(&mut self, loss: f32, q: f32, td: f32) {
        self.loss += loss;
        self.q += q;
        self.td_abs += td.abs();
        self.count += 1.0;
    }

    fn stats(self) -> TeamStats {
        let count = self.count.max(1.0);
        TeamStats { loss: self.loss, q_mean: self.q / count, td_abs: self.td_abs / count }
    }
}
