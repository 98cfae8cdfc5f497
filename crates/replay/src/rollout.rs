//! Consecutive steps of several environments, in the order of time: what learners on policy and recurrent learners
//! learn from. A rollout comes from the environments directly ([`RolloutRecorder`]) or, as sequences of one length,
//! from memory ([`crate::SequenceReplay`]); the learner sees no difference.

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, EnvSpec, StepBatch};

use crate::check::Gate;
use crate::error::{Error, Result};

/// Columns of one group in a [`Rollout`] of `T` steps of `B` environments. `A` agents, `D` observation width, `W` mask
/// words or continuous components; `F` truncated ends, see [`Rollout::ends`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupRollout {
    /// Observations `[T + 1, B, A, D]`; the last ones are those after the last step.
    pub obs: Vec<f32>,
    /// Legality masks `[T + 1, B, A, W]` that belong to `obs`; empty if all is legal.
    pub mask: Vec<u32>,
    /// Actions `[T, B, A]`; empty for a continuous group.
    pub action: Vec<u32>,
    /// Actions `[T, B, A, W]`; empty for a discrete group.
    pub action_continuous: Vec<f32>,
    /// Rewards `[T, B, A]`.
    pub reward: Vec<f32>,
    /// `[T, B, A]`: gamma, or 0 where the agent's process ended in this step. A time limit does not make it 0.
    pub discount: Vec<f32>,
    /// `[T, B, A]`: the agent acted in this step. Where not, the row counts for nothing.
    pub valid: Vec<bool>,
    /// Last observations `[F, A, D]` of truncated episodes.
    pub final_obs: Vec<f32>,
    /// Legality masks `[F, A, W]` that belong to `final_obs`; empty if all is legal.
    pub final_mask: Vec<u32>,
}

/// `T` consecutive steps of `B` environments, episodes following each other within an environment.
///
/// The value after step `t` of environment `b` is that of observation `t + 1`, unless the episode ended in the step
/// (`is_first` at `t + 1`): it is then 0 (`discount` is 0) where the process ended, and that of the last observation of
/// the episode where a time limit cut it; [`Rollout::ends`] says where those observations are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rollout {
    /// Steps, `T`.
    pub n_steps: usize,
    /// Environments, `B`.
    pub n_envs: usize,
    /// One set of columns a group.
    pub groups: Vec<GroupRollout>,
    /// Global states `[T + 1, B, S]`.
    pub state: Vec<f32>,
    /// `[T + 1, B]`: observation `t` is the first of an episode; recurrent state is reset before it is read.
    pub is_first: Vec<bool>,
    /// `[T, B]`: the reward of the first agent, the team's where the reward is common.
    pub team_reward: Vec<f32>,
    /// `[T, B]`: gamma, or 0 where the episode ended by itself in this step.
    pub team_discount: Vec<f32>,
    /// Truncated ends in the order of time, then of environments: `(t, b)` for row `f` of the final columns.
    pub ends: Vec<(u32, u32)>,
    /// Last global states `[F, S]` of truncated episodes.
    pub final_state: Vec<f32>,
    /// Recurrent state of the actors `[B, M]` before the first observation is read; empty if they have none.
    pub memory: Vec<f32>,
    /// Leading steps that only warm recurrent state up: nothing is learned from them.
    pub burn_in: usize,
}

impl Rollout {
    /// Room for `n_steps` steps of `n_envs` environments with `spec`; everything zero.
    pub fn new(spec: &EnvSpec, n_steps: usize, n_envs: usize) -> Self {
        let (steps, seen) = (n_steps * n_envs, (n_steps + 1) * n_envs);
        let columns = |g: &coact_core::GroupSpec| {
            let rows = steps * g.n_agents;
            GroupRollout {
                obs: vec![0.0; seen * g.n_agents * g.obs_width()],
                mask: vec![u32::MAX; seen * g.n_agents * g.mask_words()],
                action: vec![0; if g.action.n_discrete() > 0 { rows } else { 0 }],
                action_continuous: vec![0.0; rows * g.action.n_continuous()],
                reward: vec![0.0; rows],
                discount: vec![0.0; rows],
                valid: vec![false; rows],
                final_obs: Vec::new(),
                final_mask: Vec::new(),
            }
        };
        Self {
            n_steps,
            n_envs,
            groups: spec.groups.iter().map(columns).collect(),
            state: vec![0.0; seen * spec.state_width],
            is_first: vec![false; seen],
            team_reward: vec![0.0; steps],
            team_discount: vec![0.0; steps],
            ends: Vec::new(),
            final_state: Vec::new(),
            memory: Vec::new(),
            burn_in: 0,
        }
    }

    /// Forgets the truncated ends, to be filled again.
    pub(crate) fn clear_ends(&mut self) {
        self.ends.clear();
        self.final_state.clear();
        for group in &mut self.groups {
            group.final_obs.clear();
            group.final_mask.clear();
        }
    }

    /// Writes what is seen after `step` as observation `slot`.
    pub(crate) fn put_seen(&mut self, slot: usize, step: &StepBatch) {
        for (to, from) in self.groups.iter_mut().zip(&step.groups) {
            put(&mut to.obs, slot, &from.obs);
            put(&mut to.mask, slot, &from.mask);
        }
        put(&mut self.state, slot, &step.state);
        put(&mut self.is_first, slot, &step.is_first);
    }

    /// Writes step `slot`: the actions, and the rewards and discounts of `step`. `alive` `[E, A]` of each group says who
    /// acted.
    pub(crate) fn put_step(
        &mut self,
        slot: usize,
        actions: &ActionBatch,
        alive: &[Vec<bool>],
        step: &StepBatch,
        gamma: f32,
    ) {
        let ended_by_itself = |env: usize| step.is_first[env] && !step.truncated[env];
        for (g, (to, from)) in self.groups.iter_mut().zip(&step.groups).enumerate() {
            put(&mut to.action, slot, &actions.discrete[g]);
            put(&mut to.action_continuous, slot, &actions.continuous[g]);
            put(&mut to.reward, slot, &from.reward);
            put(&mut to.valid, slot, &alive[g]);
            let rows = from.reward.len();
            let n_agents = rows / step.n_envs;
            let discount = &mut to.discount[slot * rows..(slot + 1) * rows];
            for (row, d) in discount.iter_mut().enumerate() {
                let ended = from.terminated[row] || ended_by_itself(row / n_agents) || !alive[g][row];
                *d = if ended { 0.0 } else { gamma };
            }
            // Who did not act is paid nothing.
            let reward = &mut to.reward[slot * rows..(slot + 1) * rows];
            reward.iter_mut().zip(&alive[g]).filter(|(_, alive)| !**alive).for_each(|(r, _)| *r = 0.0);
        }
        let (n_envs, first_group) = (step.n_envs, &step.groups[0]);
        for env in 0..n_envs {
            let n_agents = first_group.reward.len() / n_envs;
            self.team_reward[slot * n_envs + env] = first_group.reward[env * n_agents];
            self.team_discount[slot * n_envs + env] = if ended_by_itself(env) { 0.0 } else { gamma };
        }
    }

    /// Adds the last observations of environment `env`, whose episode was truncated in step `t`.
    fn put_end(&mut self, t: usize, env: usize, step: &StepBatch) {
        self.ends.push((t as u32, env as u32));
        for (to, from) in self.groups.iter_mut().zip(&step.groups) {
            to.final_obs.extend_from_slice(row(&from.final_obs, env, step.n_envs));
            to.final_mask.extend_from_slice(row(&from.final_mask, env, step.n_envs));
        }
        self.final_state.extend_from_slice(row(&step.final_state, env, step.n_envs));
    }
}

/// Row `index` of `rows` equal rows.
pub(crate) fn row<T>(values: &[T], index: usize, rows: usize) -> &[T] {
    let width = values.len() / rows;
    &values[index * width..(index + 1) * width]
}

/// Copies row `from` of `rows` equal rows to the first.
fn to_front<T: Copy>(column: &mut [T], from: usize, rows: usize) {
    let width = column.len() / rows;
    column.copy_within(from * width..(from + 1) * width, 0);
}

/// Writes `from` as row `slot` of `to`.
fn put<T: Copy>(to: &mut [T], slot: usize, from: &[T]) {
    to[slot * from.len()..(slot + 1) * from.len()].copy_from_slice(from);
}

/// Fills a [`Rollout`] from environments, step by step, and starts again where the last one ended.
#[derive(Debug, Clone)]
pub struct RolloutRecorder {
    gate: Gate,
    gamma: f32,
    /// Steps recorded.
    filled: usize,
    /// Who acts next, `[E, A]` of each group; empty before the first observations.
    alive: Vec<Vec<bool>>,
    rollout: Rollout,
}

impl RolloutRecorder {
    /// For rollouts of `n_steps` steps of `n_envs` environments with `spec`, discounted by `gamma` a step.
    ///
    /// # Errors
    /// No steps, no environments, or a `gamma` outside 0 to 1.
    pub fn new(spec: &EnvSpec, n_steps: usize, n_envs: usize, gamma: f32) -> Result<Self> {
        if n_steps == 0 || n_envs == 0 {
            let text =
                format!("a rollout of {n_steps} steps of {n_envs} environments is empty; use 1 or more");
            return Err(Error::Config(text));
        }
        if !(0.0..=1.0).contains(&gamma) {
            return Err(Error::Config(format!("`gamma` is {gamma}; use 0 to 1")));
        }
        Ok(Self {
            gate: Gate { spec: spec.clone(), n_envs, reward_limit: f32::MAX },
            gamma,
            filled: 0,
            alive: Vec::new(),
            rollout: Rollout::new(spec, n_steps, n_envs),
        })
    }

    /// Takes first observations after a reset, and the recurrent state `[E, M]` of the actors (empty if none).
    ///
    /// # Errors
    /// Columns of another shape, or a number that is not finite; nothing is recorded then.
    pub fn begin(&mut self, first: &StepBatch, memory: &[f32]) -> Result<()> {
        self.gate.first(first)?;
        self.filled = 0;
        self.rollout.clear_ends();
        self.alive = first.groups.iter().map(|g| g.alive.clone()).collect();
        self.rollout.put_seen(0, first);
        self.remember(memory);
        Ok(())
    }

    fn remember(&mut self, memory: &[f32]) {
        self.rollout.memory.clear();
        self.rollout.memory.extend_from_slice(memory);
    }

    /// Records the actions taken on the observations given last, and what came of them.
    ///
    /// # Errors
    /// Columns of another shape, an action outside its space, or a number that is not finite; nothing is recorded
    /// then. A full rollout that was not taken.
    pub fn push(&mut self, actions: &ActionBatch, step: &StepBatch) -> Result<()> {
        if self.alive.is_empty() {
            return Err(Error::NotBegun);
        }
        if self.is_full() {
            return Err(Error::Config("the rollout is full; learn from it and call `restart` first".into()));
        }
        self.gate.actions(actions)?;
        self.gate.step(step)?;
        let t = self.filled;
        self.rollout.put_step(t, actions, &self.alive, step, self.gamma);
        for env in (0..step.n_envs).filter(|&e| step.is_first[e] && step.truncated[e]) {
            self.rollout.put_end(t, env, step);
        }
        self.rollout.put_seen(t + 1, step);
        self.alive.iter_mut().zip(&step.groups).for_each(|(to, from)| to.copy_from_slice(&from.alive));
        self.filled += 1;
        Ok(())
    }

    /// Steps recorded so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Whether all steps are there.
    pub fn is_full(&self) -> bool {
        self.filled == self.rollout.n_steps
    }

    /// The rollout; whole if [`RolloutRecorder::is_full`].
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Starts the next rollout where this one ended, with the recurrent state `[E, M]` of that moment.
    pub fn restart(&mut self, memory: &[f32]) {
        let (seen, last) = (self.rollout.n_steps + 1, self.filled);
        for group in &mut self.rollout.groups {
            to_front(&mut group.obs, last, seen);
            to_front(&mut group.mask, last, seen);
        }
        to_front(&mut self.rollout.state, last, seen);
        to_front(&mut self.rollout.is_first, last, seen);
        self.filled = 0;
        self.rollout.clear_ends();
        self.remember(memory);
    }

    /// Appends everything.
    pub fn save(&self, out: &mut Writer) {
        out.u64s(&[self.filled as u64, self.rollout.memory.len() as u64, self.rollout.ends.len() as u64]);
        out.f32s(&self.rollout.memory);
        self.alive.iter().for_each(|alive| out.bools(alive));
        let Rollout { groups, state, is_first, team_reward, team_discount, ends, final_state, .. } =
            &self.rollout;
        for g in groups {
            [&g.obs, &g.action_continuous, &g.reward, &g.discount, &g.final_obs]
                .into_iter()
                .for_each(|c| out.f32s(c));
            [&g.mask, &g.action, &g.final_mask].into_iter().for_each(|c| out.u32s(c));
            out.bools(&g.valid);
        }
        [state, team_reward, team_discount, final_state].into_iter().for_each(|c| out.f32s(c));
        out.bools(is_first);
        ends.iter().for_each(|&(t, env)| out.u32s(&[t, env]));
    }

    /// Restores what [`RolloutRecorder::save`] wrote, into a recorder made alike that was begun.
    ///
    /// # Errors
    /// Damaged bytes, or those of another recorder.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        if self.alive.is_empty() {
            return Err(Error::NotBegun);
        }
        let mut counts = [0; 3];
        from.u64s(&mut counts)?;
        let [filled, memory, n_ends] = counts;
        let steps = (self.rollout.n_steps * self.rollout.n_envs) as u64;
        if filled > self.rollout.n_steps as u64
            || n_ends > steps
            || memory != self.rollout.memory.len() as u64
        {
            return Err(from.error("it is no rollout of this length and memory").into());
        }
        self.filled = filled as usize;
        from.f32s(&mut self.rollout.memory)?;
        for alive in &mut self.alive {
            from.bools(alive)?;
        }
        let n_ends = n_ends as usize;
        let Rollout {
            n_envs, groups, state, is_first, team_reward, team_discount, ends, final_state, ..
        } = &mut self.rollout;
        for (g, spec) in groups.iter_mut().zip(&self.gate.spec.groups) {
            g.final_obs.resize(n_ends * spec.n_agents * spec.obs_width(), 0.0);
            g.final_mask.resize(n_ends * spec.n_agents * spec.mask_words(), 0);
            for c in [&mut g.obs, &mut g.action_continuous, &mut g.reward, &mut g.discount, &mut g.final_obs]
            {
                from.f32s(c)?;
            }
            for c in [&mut g.mask, &mut g.action, &mut g.final_mask] {
                from.u32s(c)?;
            }
            from.bools(&mut g.valid)?;
        }
        final_state.resize(n_ends * self.gate.spec.state_width, 0.0);
        for c in [state, team_reward, team_discount, final_state] {
            from.f32s(c)?;
        }
        from.bools(is_first)?;
        ends.clear();
        for _ in 0..n_ends {
            let mut end = [0; 2];
            from.u32s(&mut end)?;
            if u64::from(end[0]) >= filled || end[1] as usize >= *n_envs {
                return Err(from.error("a truncated end lies outside the rollout").into());
            }
            ends.push((end[0], end[1]));
        }
        Ok(())
    }
}
