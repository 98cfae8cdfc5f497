//! Playing in a finite world: what the learners of this crate learn from.
//!
//! A step that `terminated` has nothing after it, so that its target is the reward alone. A step that is `truncated` ended
//! only because we stopped watching: its target bootstraps from the state that was reached. Both true: terminated wins.

use coact_core::{Purpose, Stream};

use crate::model::Model;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Reward.
    pub reward: f64,
    /// State reached.
    pub next: usize,
    /// The process ended.
    pub terminated: bool,
    /// The time limit was reached.
    pub truncated: bool,
}

impl Step {
    /// Whether a new episode begins after this step.
    pub fn ends_episode(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// A world of numbered states and actions, one episode at a time.
pub trait World {
    /// Number of states, S.
    fn n_states(&self) -> usize;

    /// Number of actions, A.
    fn n_actions(&self) -> usize;

    /// Whether an action may be taken in a state.
    fn is_legal(&self, state: usize, action: usize) -> bool;

    /// Starts an episode and returns its first state.
    fn reset(&mut self) -> usize;

    /// Starts an episode in this state.
    fn reset_to(&mut self, state: usize);

    /// Takes a legal action.
    fn step(&mut self, action: usize) -> Step;
}

/// A [`Model`] as a world.
#[derive(Debug, Clone)]
pub struct Simulator<'a> {
    model: &'a Model,
    state: usize,
    age: u32,
    max_steps: u32,
    rng: Stream,
}

impl<'a> Simulator<'a> {
    /// Episodes are truncated after `max_steps` at the latest.
    pub fn new(model: &'a Model, max_steps: u32, seed: u64) -> Self {
        Self { model, state: 0, age: 0, max_steps, rng: Stream::new(seed, Purpose::Step, 0, 0) }
    }
}

impl World for Simulator<'_> {
    fn n_states(&self) -> usize {
        self.model.n_states()
    }

    fn n_actions(&self) -> usize {
        self.model.n_actions()
    }

    fn is_legal(&self, state: usize, action: usize) -> bool {
        self.model.is_legal(state, action)
    }

    fn reset(&mut self) -> usize {
        let start = sample(self.model.start().iter().copied(), &mut self.rng);
        self.reset_to(start);
        start
    }

    fn reset_to(&mut self, state: usize) {
        self.state = state;
        self.age = 0;
    }

    fn step(&mut self, action: usize) -> Step {
        let outcomes = self.model.outcomes(self.state, action);
        let mut u = self.rng.uniform_f64();
        let mut chosen = None;
        for outcome in outcomes {
            chosen = Some(outcome);
            if u < outcome.prob {
                break;
            }
            u -= outcome.prob;
        }
        self.age += 1;
        let truncated = self.age >= self.max_steps;
        match chosen {
            Some(outcome) => {
                self.state = outcome.next;
                let terminated = self.model.is_terminal(outcome.next);
                Step { reward: outcome.reward, next: outcome.next, terminated, truncated }
            }
            // An illegal action: nothing can happen, and the learners of this crate never take one.
            None => Step { reward: 0.0, next: self.state, terminated: false, truncated: true },
        }
    }
}

/// An index drawn by its probability; the last one with any takes what rounding leaves.
pub(crate) fn sample(prob: impl Iterator<Item = f64>, rng: &mut Stream) -> usize {
    let mut u = rng.uniform_f64();
    let mut last = 0;
    for (i, p) in prob.enumerate() {
        if p > 0.0 {
            last = i;
            if u < p {
                return i;
            }
            u -= p;
        }
    }
    last
}

/// The legal action with the largest value, lowest index first; 0 if none is legal.
pub(crate) fn greedy(world: &dyn World, state: usize, q: &[f64]) -> usize {
    let legal = (0..q.len()).filter(|&a| world.is_legal(state, a));
    legal.reduce(|best, a| if q[a] > q[best] { a } else { best }).unwrap_or(0)
}

/// A legal action: uniformly random with probability `epsilon`, otherwise greedy with ties broken at random.
pub(crate) fn epsilon_greedy(
    world: &dyn World,
    state: usize,
    q: &[f64],
    epsilon: f64,
    rng: &mut Stream,
) -> usize {
    let explore = rng.uniform_f64() < epsilon;
    let best = if explore { f64::NEG_INFINITY } else { q[greedy(world, state, q)] };
    let fits = |a: usize| world.is_legal(state, a) && q[a] >= best;
    let n = (0..q.len()).filter(|&a| fits(a)).count();
    let pick = rng.below(n.max(1) as u32) as usize;
    (0..q.len()).filter(|&a| fits(a)).nth(pick).unwrap_or(0)
}
