//! Win or learn fast, by policy hill climbing (Bowling and Veloso 2002).
//!
//! Each player keeps `q(s, a)` of own actions, its policy and its average policy. It learns `q` like Q-learning and moves its
//! policy towards the greedy action by `delta_win` where the policy is worth more than the average policy, by the larger
//! `delta_lose` where not. In 2x2 zero-sum games the policies, not only their averages, then converge.

use coact_core::Stream;

use super::super::{MarkovGame, sample};
use super::{MarkovLearner, Rates, Transition};
use crate::{Error, Result};

/// The learner of all players.
#[derive(Debug, Clone)]
pub struct WolfPhc {
    rates: Rates,
    delta_win: f64,
    delta_lose: f64,
    gamma: f64,
    n_actions: Vec<usize>,
    alpha: f64,
    /// Learning steps so far, and steps after which both deltas are half as large.
    n_steps: u64,
    delta_half_life: f64,
    /// For each player `[S, A]`.
    q: Vec<Vec<f64>>,
    policy: Vec<Vec<f64>>,
    average: Vec<Vec<f64>>,
    /// Visits `[S]` of each player's average.
    visits: Vec<u32>,
}

impl WolfPhc {
    /// A learner with uniform policies. After `delta_half_life` steps both deltas have halved (then a third, a quarter, ...);
    /// infinity keeps them.
    ///
    /// # Errors
    /// Rates outside 0 to 1, or `delta_win` above `delta_lose`.
    pub fn new(
        game: &MarkovGame,
        rates: Rates,
        delta_win: f64,
        delta_lose: f64,
        delta_half_life: f64,
    ) -> Result<Self> {
        rates.check()?;
        if !(0.0 < delta_win && delta_win <= delta_lose && delta_lose <= 1.0 && delta_half_life > 0.0) {
            return Err(Error::Invalid(format!(
                "delta_win {delta_win}, delta_lose {delta_lose}, half-life {delta_half_life}; expected 0 < win <= lose \
                 <= 1 and a positive half-life"
            )));
        }
        let table = |x: &dyn Fn(usize) -> f64| -> Vec<Vec<f64>> {
            game.n_actions().iter().map(|&n| vec![x(n); n * game.n_states()]).collect()
        };
        Ok(Self {
            rates,
            delta_win,
            delta_lose,
            gamma: game.gamma(),
            n_actions: game.n_actions().to_vec(),
            alpha: rates.alpha,
            n_steps: 0,
            delta_half_life,
            q: table(&|_| 0.0),
            policy: table(&|n| 1.0 / n as f64),
            average: table(&|n| 1.0 / n as f64),
            visits: vec![0; game.n_states()],
        })
    }

    /// Average policy of a player in a state.
    pub fn average(&self, player: usize, state: usize) -> &[f64] {
        let n = self.n_actions[player];
        &self.average[player][state * n..][..n]
    }
}

impl MarkovLearner for WolfPhc {
    fn act(&mut self, state: usize, rng: &mut Stream, actions: &mut [usize]) {
        for (player, action) in actions.iter_mut().enumerate() {
            let n = self.n_actions[player];
            *action = match rng.uniform_f64() < self.rates.explore {
                true => rng.below(n as u32) as usize,
                false => sample(self.policy[player][state * n..][..n].iter().copied(), rng),
            };
        }
    }

    fn update(&mut self, step: &Transition<'_>) -> Result<()> {
        let state = step.state;
        self.visits[state] += 1;
        self.n_steps += 1;
        let shrink = 1.0 / (1.0 + self.n_steps as f64 / self.delta_half_life);
        let mut rest = step.joint;
        for player in (0..self.n_actions.len()).rev() {
            let n = self.n_actions[player];
            let action = rest % n;
            rest /= n;
            let after = match step.terminated {
                true => 0.0,
                false => {
                    self.q[player][step.next * n..][..n].iter().copied().fold(f64::NEG_INFINITY, f64::max)
                }
            };
            let q = &mut self.q[player][state * n..][..n];
            q[action] += self.alpha * (step.rewards[player] + self.gamma * after - q[action]);
            let policy = &mut self.policy[player][state * n..][..n];
            let average = &mut self.average[player][state * n..][..n];
            let weight = 1.0 / f64::from(self.visits[state]);
            average.iter_mut().zip(&*policy).for_each(|(a, p)| *a += weight * (p - *a));
            let worth = |p: &[f64]| p.iter().zip(&*q).map(|(p, q)| p * q).sum::<f64>();
            let winning = worth(policy) > worth(average);
            let delta = shrink * if winning { self.delta_win } else { self.delta_lose };
            climb(policy, q, delta);
        }
        self.alpha = (self.alpha * self.rates.alpha_decay).max(self.rates.alpha_min);
        Ok(())
    }

    fn strategy(&self, player: usize, state: usize) -> &[f64] {
        let n = self.n_actions[player];
        &self.policy[player][state * n..][..n]
    }

    fn set_rates(&mut self, alpha: f64, explore: f64) {
        self.alpha = alpha;
        self.rates.explore = explore;
    }
}

/// Moves up to `delta / (A - 1)` of probability from each other action to the greedy one.
fn climb(policy: &mut [f64], q: &[f64], delta: f64) {
    if policy.len() < 2 {
        return;
    }
    let greedy = (1..q.len()).fold(0, |best, a| if q[a] > q[best] { a } else { best });
    let share = delta / (policy.len() - 1) as f64;
    let mut moved = 0.0;
    for (_, p) in policy.iter_mut().enumerate().filter(|(a, _)| *a != greedy) {
        let step = p.min(share);
        *p -= step;
        moved += step;
    }
    policy[greedy] += moved;
}
