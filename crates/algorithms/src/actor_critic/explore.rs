//! How the family acts: uniformly at first, then by its policies with noise; greedily when asked. Also what its critics
//! say about own actions, for looking inside.

use coact_core::rng::{Purpose, Stream};
use coact_core::{ActionBatch, StepBatch};
use coact_kernels::td::is_legal;

use super::policy::{Draw, Head};
use super::rows::{Own, Place};
use super::{ActorCritic, Group};
use crate::Result;
use crate::learner::{ActMode, Clock};

impl ActorCritic {
    /// Standard deviation of the noise at the time of `clock`, in half ranges of an action.
    pub(super) fn noise_scale(&self, clock: Clock) -> f64 {
        let episodes = i32::try_from(clock.episodes).unwrap_or(i32::MAX);
        let decayed =
            self.settings.exploration_noise_scale * self.settings.exploration_noise_decay.powi(episodes);
        decayed.max(self.settings.exploration_noise_min)
    }

    /// Actions for all environments and agents.
    pub(super) fn explore(
        &mut self,
        step: &StepBatch,
        mode: ActMode,
        actions: &mut ActionBatch,
    ) -> Result<()> {
        let mut first_agent = 0;
        for g in 0..self.groups.len() {
            let place = &self.places[g];
            ensure_legal(place, step, g, first_agent)?;
            first_agent += place.n_agents;
            let columns = &step.groups[g];
            let seed = self.explore_seed;
            match mode {
                ActMode::Explore(clock) if clock.env_steps < self.settings.random_env_steps => {
                    uniform(place, &columns.mask, (seed, g as u32, clock.vector_steps), g, actions);
                    continue;
                }
                ActMode::Explore(clock) => {
                    let draw = Draw::Sample { seed, group: g as u32, position: clock.vector_steps };
                    let scale = self.noise_scale(clock);
                    let group = &mut self.groups[g];
                    group.choose(&mut self.backend, &self.params, &columns.obs, &columns.mask, draw);
                    if place.head == Head::Tanh {
                        group.noise.restart(&step.is_first);
                        let noise = group.noise.next(scale, seed, g as u32, clock.vector_steps);
                        // Without noise there is nothing to zip with.
                        let noisy = group.work.chosen.action.iter_mut().zip(noise);
                        noisy.for_each(|(a, n)| *a = (*a + n).clamp(-1.0, 1.0));
                    }
                }
                ActMode::Greedy => {
                    let group = &mut self.groups[g];
                    group.choose(&mut self.backend, &self.params, &columns.obs, &columns.mask, Draw::Mode);
                }
            }
            write(&self.groups[g], g, actions);
        }
        Ok(())
    }

    /// Values of own actions `[E, A, N]` of a discrete group, or of the greedy action `[E, A, 1]` of a continuous one, while
    /// the other agents act greedily; by the first critics.
    pub(super) fn values_of(&mut self, step: &StepBatch, group: usize) -> Vec<f32> {
        for (group, columns) in self.groups.iter_mut().zip(&step.groups) {
            group.choose(&mut self.backend, &self.params, &columns.obs, &columns.mask, Draw::Mode);
            self.rows.list(&group.place, &group.work.chosen.action, &mut self.columns.now);
        }
        let view = &mut self.columns.view;
        self.rows.view(&self.places, |g| &step.groups[g].obs, &step.state, view);
        let (place, obs) = (&self.places[group], &step.groups[group].obs);
        let Group { critics, work, .. } = &mut self.groups[group];
        let n_own = if matches!(place.head, Head::Gumbel(_)) { place.action_width } else { 1 };
        let n_rows = obs.len() / place.obs_width;
        let mut values = Vec::new();
        let mut own = vec![0.0; n_rows * place.action_width];
        let mut listed = self.columns.now.clone();
        for action in 0..n_own {
            if n_own > 1 {
                own.fill(0.0);
                own.iter_mut().skip(action).step_by(place.action_width).for_each(|bit| *bit = 1.0);
                self.rows.list(place, &own, &mut listed);
            }
            let seen = (&self.columns.view[..], &obs[..]);
            self.rows.write(place, seen, &self.columns.now, Own::From(&listed), &mut work.input);
            critics[0].forward(&mut self.backend, &self.params, &work.input, &mut work.q[0]);
            if n_own == 1 {
                return work.q[0].clone();
            }
            values.resize(n_rows * n_own, 0.0);
            let slots = values.iter_mut().skip(action).step_by(n_own);
            slots.zip(&work.q[0]).for_each(|(v, q)| *v = *q);
        }
        values
    }
}

/// Refuses a living agent without a legal action.
fn ensure_legal(place: &Place, step: &StepBatch, g: usize, first_agent: usize) -> Result<()> {
    if place.mask_words == 0 {
        return Ok(());
    }
    let columns = &step.groups[g];
    for (row, mask) in columns.mask.chunks_exact(place.mask_words).enumerate() {
        if columns.alive[row] && !(0..place.action_width).any(|a| is_legal(mask, a)) {
            let (env, agent) = (row / place.n_agents, first_agent + row % place.n_agents);
            return Err(coact_core::Error::NoLegalAction { env, agent }.into());
        }
    }
    Ok(())
}

/// Uniform actions, legal where they are discrete.
fn uniform(
    place: &Place,
    mask: &[u32],
    (seed, group, position): (u64, u32, u64),
    g: usize,
    actions: &mut ActionBatch,
) {
    let stream = |row: usize| Stream::new(seed, Purpose::Explore, (group << 24) | row as u32, position);
    let width = place.action_width;
    for (row, components) in actions.continuous[g].chunks_exact_mut(width).enumerate() {
        let mut stream = stream(row);
        components.iter_mut().for_each(|c| *c = place.bounds.scale_out(stream.range(-1.0, 1.0)));
    }
    let words = place.mask_words;
    for (row, action) in actions.discrete[g].iter_mut().enumerate() {
        let mask = &mask[row * words..(row + 1) * words];
        let n_legal = (0..width).filter(|&a| is_legal(mask, a)).count() as u32;
        let pick = stream(row).below(n_legal.max(1)) as usize;
        *action = (0..width).filter(|&a| is_legal(mask, a)).nth(pick).unwrap_or(0) as u32;
    }
}

/// The chosen actions in the environment's own terms.
fn write(group: &Group, g: usize, actions: &mut ActionBatch) {
    let (place, chosen) = (&group.place, &group.work.chosen.action);
    let scaled = actions.continuous[g].iter_mut().zip(chosen);
    scaled.for_each(|(to, from)| *to = place.bounds.scale_out(*from));
    let rows = actions.discrete[g].iter_mut().zip(chosen.chunks_exact(place.action_width));
    rows.for_each(|(to, row)| *to = row.iter().position(|bit| *bit == 1.0).unwrap_or(0) as u32);
}
