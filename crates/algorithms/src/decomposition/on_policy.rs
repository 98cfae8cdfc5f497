//! PQN: Q(lambda) on policy. Targets of a rollout are computed once, by the networks as they are; then every step is
//! learned from once an epoch, in minibatches.

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, Stream, derive_seed};
use coact_core::{ActionBatch, StepBatch};
use coact_replay::Rollout;

use super::{CellSetting, DecompositionLearner, DecompositionSettings, Variant};
use crate::learner::{ActMode, AgentPolicy, BuildContext, Clock, Learner, SequenceLearner, UpdateStats};
use crate::{Error, Result};

/// A learner without replay and target networks.
pub(super) struct OnPolicy {
    inner: DecompositionLearner,
    epochs: usize,
    minibatches: usize,
    /// Whether minibatches are of whole environments, in the order of time.
    recurrent: bool,
    shuffle_seed: u64,
    /// Targets of the rollout and of the minibatch.
    targets: Vec<f32>,
    own_targets: Vec<f32>,
    /// Steps (or environments) in the order in which they are learned from.
    order: Vec<u32>,
    minibatch: Rollout,
}

impl OnPolicy {
    pub(super) fn new(
        variant: &Variant,
        settings: DecompositionSettings,
        mut context: BuildContext<'_>,
    ) -> Result<Self> {
        let (epochs, minibatches) = (settings.epochs, settings.minibatches);
        let recurrent = settings.cell != CellSetting::None;
        let steps = context.rollout_steps * context.n_envs;
        let parts = if recurrent { context.n_envs } else { steps };
        if minibatches > parts {
            let rule = match recurrent {
                true => "it cannot exceed `n_envs`, as a recurrent network learns from whole environments",
                false => "it cannot exceed the steps of a rollout, `rollout_steps` times `n_envs`",
            };
            return Err(Error::Setting { key: "minibatches", value: minibatches.to_string(), rule });
        }
        let rollouts = context.total_env_steps.div_ceil(steps.max(1) as u64);
        context.total_grad_steps = rollouts * (epochs * minibatches) as u64;
        let shuffle_seed = derive_seed(context.seed, Purpose::Replay, 1);
        let inner = DecompositionLearner::new(variant, settings, context)?;
        Ok(Self {
            inner,
            epochs,
            minibatches,
            recurrent,
            shuffle_seed,
            targets: Vec::new(),
            own_targets: Vec::new(),
            order: Vec::new(),
            minibatch: Rollout::default(),
        })
    }

    fn shuffle(&mut self, n: usize) {
        self.order.clear();
        self.order.extend(0..n as u32);
        let mut stream = Stream::new(self.shuffle_seed, Purpose::Replay, 0, self.inner.optimizer.grad_steps);
        for i in (1..n).rev() {
            self.order.swap(i, stream.below(i as u32 + 1) as usize);
        }
    }

    /// One gradient step on a part of `order`.
    fn fit(&mut self, rollout: &Rollout, part: std::ops::Range<usize>) -> Result<UpdateStats> {
        let mut minibatch = std::mem::take(&mut self.minibatch);
        let chosen = &self.order[part];
        let columns = self.targets.len() / (rollout.n_steps * rollout.n_envs);
        // One step of many environments, or all steps of some.
        let (steps, stride) = if self.recurrent { (rollout.n_steps, rollout.n_envs) } else { (1, 0) };
        let rows = || (0..steps).flat_map(|t| chosen.iter().map(move |&i| t * stride + i as usize));
        select(rollout, steps, chosen, rows, &mut minibatch);
        self.own_targets.clear();
        rows().for_each(|r| {
            self.own_targets.extend_from_slice(&self.targets[r * columns..(r + 1) * columns]);
        });
        let inner = &mut self.inner;
        inner.forward(&minibatch, false)?;
        let own = inner.agents.param_count();
        let DecompositionLearner { backend, team, values, params, grads, .. } = inner;
        let (params, grads) = (&params[own..], &mut grads[own..]);
        let stats = team.learn_from(backend, params, &minibatch, values, &self.own_targets, grads)?;
        let stats = inner.descend(&minibatch, stats);
        self.minibatch = minibatch;
        stats
    }
}

/// Copies rows of a rollout into a smaller one, without what comes after its last step.
fn select<I: Iterator<Item = usize>>(
    from: &Rollout,
    steps: usize,
    chosen: &[u32],
    rows: impl Fn() -> I,
    to: &mut Rollout,
) {
    fn take<T: Copy>(from: &[T], all: usize, rows: impl Iterator<Item = usize>, to: &mut Vec<T>) {
        let width = from.len() / all;
        to.clear();
        rows.for_each(|r| to.extend_from_slice(&from[r * width..(r + 1) * width]));
    }
    let (all, seen) = (from.n_steps * from.n_envs, (from.n_steps + 1) * from.n_envs);
    (to.n_steps, to.n_envs) = (steps, chosen.len());
    to.groups.resize_with(from.groups.len(), Default::default);
    for (to, from) in to.groups.iter_mut().zip(&from.groups) {
        take(&from.obs, seen, rows(), &mut to.obs);
        take(&from.action, all, rows(), &mut to.action);
        take(&from.valid, all, rows(), &mut to.valid);
    }
    take(&from.state, seen, rows(), &mut to.state);
    take(&from.is_first, seen, rows(), &mut to.is_first);
    to.memory.clear();
    if !from.memory.is_empty() {
        take(&from.memory, from.n_envs, chosen.iter().map(|&b| b as usize), &mut to.memory);
    }
}

impl SequenceLearner for OnPolicy {
    fn learn(&mut self, rollout: &Rollout) -> Result<UpdateStats> {
        let inner = &mut self.inner;
        inner.forward(rollout, true)?;
        let own = inner.agents.param_count();
        let DecompositionLearner { backend, team, values, params, .. } = inner;
        self.targets.clear();
        self.targets.extend_from_slice(team.targets(backend, &params[own..], rollout, values)?);
        let n = if self.recurrent { rollout.n_envs } else { rollout.n_steps * rollout.n_envs };
        let mut total = UpdateStats::default();
        let (mut q_mean, mut td_abs) = (0.0, 0.0);
        for _ in 0..self.epochs {
            self.shuffle(n);
            for part in 0..self.minibatches {
                let range = part * n / self.minibatches..(part + 1) * n / self.minibatches;
                let stats = self.fit(rollout, range)?;
                total.loss += stats.loss;
                total.grad_norm = total.grad_norm.max(stats.grad_norm);
                total.learning_rate = stats.learning_rate;
                q_mean += stats.named.get("q_mean").unwrap_or_default();
                td_abs += stats.named.get("td_abs").unwrap_or_default();
            }
        }
        let steps = (self.epochs * self.minibatches) as f32;
        total.loss /= steps;
        total.named = crate::learner::Named::new([("q_mean", q_mean / steps), ("td_abs", td_abs / steps)]);
        Ok(total)
    }
}

impl Learner for OnPolicy {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        self.inner.act(step, mode, actions)
    }

    fn params(&self) -> &[f32] {
        self.inner.params()
    }

    fn set_params(&mut self, params: &[f32]) {
        self.inner.set_params(params);
    }

    fn grad_steps(&self) -> u64 {
        self.inner.grad_steps()
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        self.inner.action_values(step, group)
    }

    fn memory(&self) -> &[f32] {
        self.inner.memory()
    }

    fn gauges(&self, clock: Clock) -> Vec<(&'static str, f64)> {
        self.inner.gauges(clock)
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        self.inner.policies()
    }

    fn save(&self, out: &mut Writer) {
        self.inner.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.inner.load(from)
    }
}
