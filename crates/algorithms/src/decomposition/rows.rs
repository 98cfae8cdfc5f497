//! What the loss reads of a rollout, one row a step and environment: values of the chosen and of the best actions,
//! states, actions one-hot, and the same of the moment after the step.

use coact_kernels::td::argmax_legal;
use coact_replay::Rollout;

use crate::Result;

/// No next row: the episode ended by itself.
const NONE: u32 = u32::MAX;

/// Values of one group's agents and the gradient of the loss with respect to them. `T` steps of `B` environments, `F`
/// truncated ends, `A` agents, `N` actions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupValues {
    /// Agents, `A`.
    pub n_agents: usize,
    /// Actions, `N`.
    pub n_actions: usize,
    /// Values by the learned networks `[(T + 1) B + F, A, N]`: of the observations in order, then of the last ones of
    /// truncated episodes.
    pub learned: Vec<f32>,
    /// Values by the target networks, of the same shape; empty if there are none and the learned ones stand in.
    pub target: Vec<f32>,
    /// Gradient of the loss with respect to `learned`, without the truncated ends: `[(T + 1) B, A, N]`, written.
    pub grad: Vec<f32>,
}

impl GroupValues {
    fn target(&self) -> &[f32] {
        if self.target.is_empty() { &self.learned } else { &self.target }
    }
}

/// Which columns somebody will read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// States.
    pub(super) state: bool,
    /// States beside one-hot actions.
    pub(super) joint: bool,
    /// Best actions of the present, their values and, with `joint`, their joint rows.
    pub(super) best: bool,
}

/// Widths over all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Widths {
    /// Agents, `J`.
    pub(super) agents: usize,
    /// State, `S`: the environment's, or all observations where it has none.
    pub(super) state: usize,
    /// State beside one-hot actions, `S + U`.
    pub(super) joint: usize,
    /// Whether the state is the environment's.
    pub(super) own_state: bool,
}

/// One side of a transition. `R` rows, `J` agents over all groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// Values of the actions `[R, J]`, 0 where the agent does not act.
    pub(super) q: Vec<f32>,
    /// Highest values `[R, J]`, 0 where the agent does not act.
    pub(super) best_q: Vec<f32>,
    /// States `[R, S]`.
    pub(super) state: Vec<f32>,
    /// States beside one-hot actions `[R, S + U]`.
    pub(super) joint: Vec<f32>,
}

impl Side {
    fn fit(&mut self, rows: usize, widths: Widths, wanted: Wanted) {
        self.q.resize(rows * widths.agents, 0.0);
        self.best_q.resize(rows * widths.agents, 0.0);
        self.state.resize(if wanted.state { rows * widths.state } else { 0 }, 0.0);
        self.joint.resize(if wanted.joint { rows * widths.joint } else { 0 }, 0.0);
        self.joint.fill(0.0);
    }
}

/// Rows of the steps after burn-in: row `r` is step `burn_in + r / B` of environment `r % B`.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    widths: Widths,
    wanted: Wanted,
    /// `R`.
    pub(super) n: usize,
    /// As it was: the actions taken.
    pub(super) taken: Side,
    /// What comes after: the actions that would be best.
    pub(super) next: Side,
    /// Best actions of the present `[R, J]`, and joint rows with them.
    pub(super) best_action: Vec<u32>,
    pub(super) best_joint: Vec<f32>,
    /// Whether the agent acted `[R, J]`, and whether any did `[R]`.
    pub(super) acted: Vec<bool>,
    pub(super) live: Vec<bool>,
    /// Row of what follows among everything seen `[R]`.
    after: Vec<u32>,
}

impl Rows {
    pub(super) fn new(widths: Widths, wanted: Wanted) -> Self {
        Self {
            widths,
            wanted,
            n: 0,
            taken: Side::default(),
            next: Side::default(),
            best_action: Vec::new(),
            best_joint: Vec::new(),
            acted: Vec::new(),
            live: Vec::new(),
            after: Vec::new(),
        }
    }

    /// Whether step `r / B + 1` of the same environment follows in the same episode.
    pub(super) fn continues(&self, r: usize, rollout: &Rollout) -> bool {
        let seen = r + (rollout.burn_in + 1) * rollout.n_envs;
        self.after[r] as usize == seen && r + rollout.n_envs < self.n
    }

    /// Reads the present: chosen and best actions, states.
    pub(super) fn read_taken(&mut self, rollout: &Rollout, values: &[GroupValues]) {
        let skipped = rollout.burn_in * rollout.n_envs;
        self.n = rollout.n_steps * rollout.n_envs - skipped;
        let (n, agents) = (self.n, self.widths.agents);
        let seen = (rollout.n_steps + 1) * rollout.n_envs;
        self.taken.fit(n, self.widths, self.wanted);
        self.acted.resize(n * agents, false);
        self.live.resize(n, false);
        self.live.fill(false);
        self.best_action.resize(n * agents, 0);
        self.best_joint.resize(if self.wanted.best { self.taken.joint.len() } else { 0 }, 0.0);
        self.best_joint.fill(0.0);
        let mut offset = Offset { agent: 0, action: self.widths.state };
        for (columns, values) in rollout.groups.iter().zip(values) {
            let (a_n, n_actions) = (values.n_agents, values.n_actions);
            let words = columns.mask.len() / (seen * a_n);
            for (r, a) in (0..n).flat_map(|r| (0..a_n).map(move |a| (r, a))) {
                let (row, at) = ((skipped + r) * a_n + a, r * agents + offset.agent + a);
                let acted = columns.valid[row];
                self.acted[at] = acted;
                self.live[r] |= acted;
                let q = &values.learned[row * n_actions..(row + 1) * n_actions];
                let action = columns.action[row] as usize;
                self.taken.q[at] = if acted { q[action] } else { 0.0 };
                let hot = r * self.widths.joint + offset.action + a * n_actions;
                if self.wanted.joint && acted {
                    self.taken.joint[hot + action] = 1.0;
                }
                if self.wanted.best {
                    let mask = &columns.mask[row * words..(row + 1) * words];
                    let best = argmax_legal(q, mask).unwrap_or(action);
                    self.best_action[at] = best as u32;
                    self.taken.best_q[at] = if acted { q[best] } else { 0.0 };
                    if self.wanted.joint && acted {
                        self.best_joint[hot + best] = 1.0;
                    }
                }
            }
            offset.pass(values);
        }
        if self.wanted.state {
            self.read_states(rollout, |r| Some(skipped + r), false);
        }
        if self.wanted.best && self.wanted.joint {
            copy_states(&self.taken.state, self.widths, &mut self.best_joint);
        }
    }

    /// Reads what follows: best actions by the learned networks (`double_q`) or the target networks, valued by the
    /// target networks.
    ///
    /// # Errors
    /// An agent whose value is needed and that has no legal action.
    pub(super) fn read_next(
        &mut self,
        rollout: &Rollout,
        values: &[GroupValues],
        double_q: bool,
    ) -> Result<()> {
        self.find_after(rollout);
        self.next.fit(self.n, self.widths, self.wanted);
        let (n, agents, skipped) = (self.n, self.widths.agents, rollout.burn_in * rollout.n_envs);
        let seen = (rollout.n_steps + 1) * rollout.n_envs;
        let mut offset = Offset { agent: 0, action: self.widths.state };
        for (columns, values) in rollout.groups.iter().zip(values) {
            let (a_n, n_actions) = (values.n_agents, values.n_actions);
            let words = columns.mask.len() / (seen * a_n);
            for (r, a) in (0..n).flat_map(|r| (0..a_n).map(move |a| (r, a))) {
                let at = r * agents + offset.agent + a;
                let (row, after) = ((skipped + r) * a_n + a, self.after[r]);
                if after == NONE || columns.discount[row] == 0.0 {
                    (self.next.q[at], self.next.best_q[at]) = (0.0, 0.0);
                    continue;
                }
                let row = after as usize * a_n + a;
                let mask = match (after as usize).checked_sub(seen) {
                    None => &columns.mask[row * words..(row + 1) * words],
                    Some(end) => &columns.final_mask[(end * a_n + a) * words..(end * a_n + a + 1) * words],
                };
                let own = row * n_actions..(row + 1) * n_actions;
                let target = &values.target()[own.clone()];
                let chooser = if double_q { &values.learned[own] } else { target };
                let no_action =
                    || coact_core::Error::NoLegalAction { env: r % rollout.n_envs, agent: offset.agent + a };
                let action = argmax_legal(chooser, mask).ok_or_else(no_action)?;
                self.next.q[at] = target[action];
                self.next.best_q[at] = argmax_legal(target, mask).map_or(target[action], |best| target[best]);
                if self.wanted.joint {
                    self.next.joint[r * self.widths.joint + offset.action + a * n_actions + action] = 1.0;
                }
            }
            offset.pass(values);
        }
        self.read_next_states(rollout);
        Ok(())
    }

    /// Of what follows only the states, for whoever values it otherwise.
    pub(super) fn read_after(&mut self, rollout: &Rollout) {
        self.find_after(rollout);
        self.next.fit(self.n, self.widths, self.wanted);
        self.read_next_states(rollout);
    }

    fn read_next_states(&mut self, rollout: &Rollout) {
        if self.wanted.state {
            let after = std::mem::take(&mut self.after);
            self.read_states(rollout, |r| (after[r] != NONE).then_some(after[r] as usize), true);
            self.after = after;
        }
    }

    fn find_after(&mut self, rollout: &Rollout) {
        let Rollout { n_steps, n_envs, burn_in, is_first, ends, .. } = rollout;
        let first_seen = (burn_in + 1) * n_envs;
        self.after.clear();
        self.after.extend((0..self.n).map(|r| {
            let seen = first_seen + r;
            if is_first[seen] { NONE } else { seen as u32 }
        }));
        for (end, &(t, b)) in ends.iter().enumerate() {
            if let Some(t) = (t as usize).checked_sub(*burn_in) {
                self.after[t * n_envs + b as usize] = ((n_steps + 1) * n_envs + end) as u32;
            }
        }
    }

    /// Writes the states of rows `source(r)` among everything seen to one side; rows without a source become zero.
    fn read_states(&mut self, rollout: &Rollout, source: impl Fn(usize) -> Option<usize>, next: bool) {
        let (widths, n) = (self.widths, self.n);
        let side = if next { &mut self.next } else { &mut self.taken };
        let seen = (rollout.n_steps + 1) * rollout.n_envs;
        for (r, out) in side.state.chunks_exact_mut(widths.state).enumerate().take(n) {
            let Some(from) = source(r) else {
                out.fill(0.0);
                continue;
            };
            if widths.own_state {
                out.copy_from_slice(part(&rollout.state, &rollout.final_state, widths.state, from, seen));
                continue;
            }
            let mut rest = out;
            for group in &rollout.groups {
                let width = group.obs.len() / seen;
                let (here, after) = rest.split_at_mut(width);
                here.copy_from_slice(part(&group.obs, &group.final_obs, width, from, seen));
                rest = after;
            }
        }
        if self.wanted.joint {
            copy_states(&side.state, widths, &mut side.joint);
        }
    }
}

/// Where the columns of a group begin.
#[derive(Clone, Copy)]
struct Offset {
    agent: usize,
    action: usize,
}

impl Offset {
    fn pass(&mut self, values: &GroupValues) {
        self.agent += values.n_agents;
        self.action += values.n_agents * values.n_actions;
    }
}

/// Row `row` of two columns that follow each other, the first of `seen` rows.
fn part<'a>(first: &'a [f32], second: &'a [f32], width: usize, row: usize, seen: usize) -> &'a [f32] {
    match row.checked_sub(seen) {
        None => &first[row * width..(row + 1) * width],
        Some(row) => &second[row * width..(row + 1) * width],
    }
}

/// Copies states to the heads of joint rows.
fn copy_states(state: &[f32], widths: Widths, joint: &mut [f32]) {
    for (joint, state) in joint.chunks_exact_mut(widths.joint).zip(state.chunks_exact(widths.state)) {
        joint[..widths.state].copy_from_slice(state);
    }
}
