//! The accumulator: adds each step's reward to the open records of its episode, and closes records that are
//! `n` steps old or whose episode ended. A window never crosses the end of an episode.
//!
//! A record lives in the ring from its first step on; `reward` grows in place, and while it is open `discount`
//! is 1 for agents whose process goes on and 0 for the others.

use coact_core::StepBatch;

use crate::finals::Finals;
use crate::ring::{Ring, next, part, part_mut};

/// Discounts and where each environment's episode began.
#[derive(Debug, Clone)]
pub(crate) struct Accumulator {
    /// gamma^0 to gamma^n.
    powers: Vec<f32>,
    /// `[E]`: number of records of the running episode, at most `n`: those that can still be open.
    pub open: Vec<u32>,
}

impl Accumulator {
    /// For windows of `n_step` steps.
    pub fn new(n_step: usize, gamma: f32, n_envs: usize) -> Self {
        let mut power = 1.0_f64;
        let mut powers = Vec::with_capacity(n_step + 1);
        for _ in 0..=n_step {
            powers.push(power as f32);
            power *= f64::from(gamma);
        }
        Self { powers, open: vec![0; n_envs] }
    }

    fn n_step(&self) -> usize {
        self.powers.len() - 1
    }

    /// Adds a step whose actions were stored in the `E` cells from `first` on, and closes what it completes.
    pub fn push(&mut self, ring: &mut Ring, finals: &mut Finals, first: usize, step: &StepBatch) {
        for env in 0..step.n_envs {
            let cell = first + env;
            let open = (self.open[env] as usize + 1).min(self.n_step());
            for age in 0..open {
                let at = ring.geometry.behind(cell, age);
                self.add(ring, at, age, step, env);
            }
            if step.is_first[env] {
                let by_itself = !step.truncated[env] || nobody_left(ring, cell);
                let row = (!by_itself).then(|| {
                    let row = finals.take();
                    finals.see(row, &ring.layout, step, env);
                    row
                });
                self.end(ring, cell, open, row);
                self.open[env] = 0;
                continue;
            }
            if open == self.n_step() {
                let at = ring.geometry.behind(cell, open - 1);
                self.close(ring, at, open, open as u32, false);
                self.open[env] = open as u32 - 1;
            } else {
                self.open[env] = open as u32;
            }
        }
    }

    /// Treats running episodes as truncated at the observations stored in the `E` cells from `first` on, which
    /// are about to be replaced. `pushed` steps came before.
    pub fn cut(&mut self, ring: &mut Ring, finals: &mut Finals, first: usize, pushed: u64) {
        let reach = pushed.min(self.n_step() as u64) as usize;
        for env in 0..self.open.len() {
            let cell = first + env;
            if reach == 0 || ring.next(ring.geometry.behind(cell, 1)) & next::FINAL != 0 {
                continue;
            }
            let row = finals.take();
            finals.copy(row, ring.row(cell));
            let open = self.open[env] as usize;
            self.end(ring, ring.geometry.behind(cell, 1), open, Some(row));
            // The record that is complete and bootstraps from the very observation that goes.
            let complete = ring.geometry.behind(cell, reach);
            if reach == self.n_step() && ring.next(complete) == reach as u32 {
                let owner = if reach == 1 { next::OWNER } else { 0 };
                let at = ring.layout.next;
                ring.row_mut(complete)[at] = next::FINAL | owner | row as u32;
            }
            self.open[env] = 0;
        }
    }

    /// Adds the rewards of `step` to the record in `at`, which began `age` steps ago.
    #[inline]
    fn add(&self, ring: &mut Ring, at: usize, age: usize, step: &StepBatch, env: usize) {
        let power = self.powers[age];
        let Ring { layout, words, .. } = ring;
        let row = part_mut(words, at, layout.width);
        for (layout, group) in layout.groups.iter().zip(&step.groups) {
            let n = layout.n_agents;
            let (rewards, terminated) = (part(&group.reward, env, n), part(&group.terminated, env, n));
            let (before, after) = row.split_at_mut(layout.discount.start);
            let (sums, goes_on) = (&mut before[layout.reward.start..][..n], &mut after[..n]);
            for a in 0..n {
                let sum = f32::from_bits(sums[a]) + f32::from_bits(goes_on[a]) * power * rewards[a];
                sums[a] = sum.to_bits();
                goes_on[a] = if terminated[a] { 0.0_f32.to_bits() } else { goes_on[a] };
            }
        }
        let team = &mut row[layout.team_reward];
        let first = step.groups[0].reward[env * layout.groups[0].n_agents];
        *team = (f32::from_bits(*team) + power * first).to_bits();
    }

    /// Ends an episode whose last record is in `last`: its `open` youngest records have no later step.
    fn end(&self, ring: &mut Ring, last: usize, open: usize, row: Option<usize>) {
        for age in 0..open {
            let owner = if age == 0 { next::OWNER } else { 0 };
            let code = row.map_or(next::NOWHERE, |row| next::FINAL | owner | row as u32);
            self.close(ring, ring.geometry.behind(last, age), age + 1, code, row.is_none());
        }
    }

    /// Closes the record in `at` after `steps` steps.
    #[inline]
    fn close(&self, ring: &mut Ring, at: usize, steps: usize, code: u32, by_itself: bool) {
        let discount = if by_itself { 0.0 } else { self.powers[steps] };
        let Ring { layout, words, .. } = ring;
        let row = part_mut(words, at, layout.width);
        for group in &layout.groups {
            for d in &mut row[group.discount.clone()] {
                *d = (f32::from_bits(*d) * discount).to_bits();
            }
        }
        row[layout.team_discount] = discount.to_bits();
        row[layout.next] = code;
    }
}

/// Whether no agent's process goes on in the record that began last.
fn nobody_left(ring: &Ring, cell: usize) -> bool {
    let row = ring.row(cell);
    ring.layout.groups.iter().all(|g| row[g.discount.clone()].iter().all(|&d| f32::from_bits(d) == 0.0))
}
