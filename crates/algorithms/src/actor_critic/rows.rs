//! What critics read: rows of observations (own, everyone's, or the state) and actions. Not here: the critics.

use coact_core::{EnvSpec, GroupSpec};
use coact_replay::Batch;

use super::policy::{Bounds, Head};
use super::settings::CriticInput;

/// Where a group of agents stands among the columns of all agents.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Agents, `A`.
    pub n_agents: usize,
    /// Observation width, `D`.
    pub obs_width: usize,
    /// Action width, `W`.
    pub action_width: usize,
    /// First component of the group's observations among those of all agents.
    pub first_obs: usize,
    /// First component of the group's actions among those of all agents, `U`.
    pub first_action: usize,
    /// What its actors' outputs mean.
    pub head: Head,
    /// Bounds of its actions.
    pub bounds: Bounds,
    /// Words of its legality masks.
    pub mask_words: usize,
    /// Width of the agent index that critics read: `A` where agents share centralized critics, else 0.
    pub index_width: usize,
}

impl Place {
    /// The place of `group`, behind those `before`.
    pub(super) fn new(
        group: &GroupSpec,
        before: Option<&Place>,
        head: Head,
        shared: bool,
        input: CriticInput,
    ) -> Self {
        let index = input != CriticInput::Own && shared && group.n_agents > 1;
        Self {
            n_agents: group.n_agents,
            obs_width: group.obs_width(),
            action_width: group.action.n_discrete() + group.action.n_continuous(),
            first_obs: before.map_or(0, |p| p.first_obs + p.n_agents * p.obs_width),
            first_action: before.map_or(0, |p| p.first_action + p.n_agents * p.action_width),
            head,
            bounds: Bounds::of(&group.action),
            mask_words: group.mask_words(),
            index_width: if index { group.n_agents } else { 0 },
        }
    }
}

/// Which actions a row shows in the place of its own agent's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Own<'a> {
    /// Those of everyone's list.
    Listed,
    /// Those of another list `[B, U]`.
    From(&'a [f32]),
}

/// What all critics read together.
#[derive(Debug, Clone)]
pub(super) struct CriticRows {
    input: CriticInput,
    /// Width of everyone's observations, or of the state, `J`; 0 where critics read their own.
    view_width: usize,
    /// Width of everyone's actions, `U`.
    action_width: usize,
}

impl CriticRows {
    pub(super) fn new(input: CriticInput, spec: &EnvSpec, places: &[Place]) -> Self {
        let after = places.last();
        let everyone = after.map_or(0, |p| p.first_obs + p.n_agents * p.obs_width);
        let view_width = match input {
            CriticInput::All => everyone,
            CriticInput::State => spec.state_width,
            CriticInput::Own => 0,
        };
        let action_width = after.map_or(0, |p| p.first_action + p.n_agents * p.action_width);
        Self { input, view_width, action_width }
    }

    /// Width of a row for agents of `place`.
    pub(super) fn width(&self, place: &Place) -> usize {
        match self.input {
            CriticInput::Own if place.head.values_each_action() => place.obs_width,
            CriticInput::Own => place.obs_width + place.action_width,
            _ => self.view_width + self.action_width + place.index_width,
        }
    }

    /// First component of the own action of agent `agent` within its row.
    pub(super) fn own_action(&self, place: &Place, agent: usize) -> usize {
        match self.input {
            CriticInput::Own => place.obs_width,
            _ => self.view_width + place.first_action + agent * place.action_width,
        }
    }

    /// Writes what the agents see together, `[B, J]`, from the observations `[B, A, D]` of each group and the state.
    pub(super) fn view<'a>(
        &self,
        places: &[Place],
        obs: impl Fn(usize) -> &'a [f32],
        state: &[f32],
        out: &mut Vec<f32>,
    ) {
        match self.input {
            CriticInput::Own => out.clear(),
            CriticInput::State => {
                out.clear();
                out.extend_from_slice(state);
            }
            CriticInput::All => {
                for (g, place) in places.iter().enumerate() {
                    let width = place.n_agents * place.obs_width;
                    let from = obs(g);
                    out.resize(from.len() / width * self.view_width, 0.0);
                    let rows = out.chunks_exact_mut(self.view_width).zip(from.chunks_exact(width));
                    rows.for_each(|(to, from)| to[place.first_obs..][..width].copy_from_slice(from));
                }
            }
        }
    }

    /// Puts the actions `[B, A, W]` of a group among those of everyone, `[B, U]`.
    pub(super) fn list(&self, place: &Place, actions: &[f32], everyone: &mut Vec<f32>) {
        let width = place.n_agents * place.action_width;
        everyone.resize(actions.len() / width * self.action_width, 0.0);
        let rows = everyone.chunks_exact_mut(self.action_width).zip(actions.chunks_exact(width));
        rows.for_each(|(to, from)| to[place.first_action..][..width].copy_from_slice(from));
    }

    /// Puts the actions of a batch among those of everyone, scaled or one-hot.
    pub(super) fn list_taken(&self, places: &[Place], batch: &Batch, everyone: &mut Vec<f32>) {
        everyone.clear();
        everyone.resize(batch.size * self.action_width, 0.0);
        for (place, columns) in places.iter().zip(&batch.groups) {
            let (n, width) = (place.n_agents, place.action_width);
            for (b, to) in everyone.chunks_exact_mut(self.action_width).enumerate() {
                let to = &mut to[place.first_action..][..n * width];
                if columns.action.is_empty() {
                    let from = &columns.action_continuous[b * n * width..][..n * width];
                    to.iter_mut().zip(from).for_each(|(t, f)| *t = place.bounds.scale_in(*f));
                } else {
                    let chosen = &columns.action[b * n..][..n];
                    to.chunks_exact_mut(width).zip(chosen).for_each(|(t, &a)| t[a as usize] = 1.0);
                }
            }
        }
    }

    /// Rows `[B, A, X]` for the critics of the agents of `place`: what they see (`view` `[B, J]`, or their own `obs`
    /// `[B, A, D]`), everyone's `actions` `[B, U]` with the own one from `own` (left out where critics give a value to each
    /// own action), and the agent's index where critics are shared.
    pub(super) fn write(
        &self,
        place: &Place,
        (view, obs): (&[f32], &[f32]),
        actions: &[f32],
        own: Own<'_>,
        out: &mut Vec<f32>,
    ) {
        let (n, d, w) = (place.n_agents, place.obs_width, place.action_width);
        let width = self.width(place);
        let rows = obs.len() / d;
        out.resize(rows * width, 0.0);
        for (r, row) in out.chunks_exact_mut(width).enumerate() {
            let (b, agent) = (r / n, r % n);
            let listed = &actions[b * self.action_width..][..self.action_width];
            let mine = place.first_action + agent * w;
            let given = match own {
                Own::Listed => &listed[mine..mine + w],
                Own::From(others) => &others[b * self.action_width + mine..][..w],
            };
            if self.input == CriticInput::Own {
                row[..d].copy_from_slice(&obs[r * d..][..d]);
                if !place.head.values_each_action() {
                    row[d..].copy_from_slice(given);
                }
                continue;
            }
            let (seen, rest) = row.split_at_mut(self.view_width);
            let (acted, index) = rest.split_at_mut(self.action_width);
            seen.copy_from_slice(&view[b * self.view_width..][..self.view_width]);
            acted.copy_from_slice(listed);
            let slot = &mut acted[mine..mine + w];
            if place.head.values_each_action() {
                slot.fill(0.0);
            } else {
                slot.copy_from_slice(given);
            }
            index.fill(0.0);
            if let Some(bit) = index.get_mut(agent) {
                *bit = 1.0;
            }
        }
    }
}
