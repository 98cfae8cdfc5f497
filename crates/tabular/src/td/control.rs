//! Learning to act: one learner, and the rule by which its table changes.

use std::collections::VecDeque;

use coact_core::{Purpose, Stream};

use crate::simulate::{Step, World, epsilon_greedy, greedy};
use crate::{Error, Result};

/// How the table changes. `a'` is the action that is taken next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Target `q(s', a')`.
    Sarsa,
    /// Target: the mean of `q(s', .)` under the epsilon-greedy policy.
    ExpectedSarsa,
    /// Target `max q(s', .)` (Watkins 1989).
    Q,
    /// Two tables; one chooses the action, the other values it (van Hasselt 2010).
    DoubleQ,
    /// `n` rewards, then `q(s', a')`.
    NStepSarsa(usize),
    /// SARSA with replacing eligibility traces.
    SarsaLambda(f64),
    /// Q-learning with replacing traces that an exploring action cuts (Watkins).
    QLambda(f64),
    /// Q-learning and so many updates from remembered steps after each real one (Sutton 1990). It remembers the last outcome of each pair.
    DynaQ(usize),
}

/// Numbers of a learner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Discount.
    pub gamma: f64,
    /// Learning rate.
    pub alpha: f64,
    /// Probability of a random action.
    pub epsilon: f64,
    /// First value of all entries.
    pub initial: f64,
    /// Seed of actions and of what is remembered.
    pub seed: u64,
}

/// A table of action values and what its rule needs besides.
#[derive(Debug, Clone)]
pub struct Learner {
    rule: Rule,
    settings: Settings,
    n_actions: usize,
    /// `[S, A]`; for double Q the mean of both tables.
    q: Vec<f64>,
    /// Both tables of double Q.
    pair: [Vec<f64>; 2],
    trace: Vec<f64>,
    /// Pairs with a trace above zero.
    traced: Vec<usize>,
    /// Steps that wait for their target: entry and reward.
    waiting: VecDeque<(usize, f64)>,
    /// What followed each pair: reward, next state, terminated.
    memory: Vec<Option<(f64, usize, bool)>>,
    visited: Vec<usize>,
    rng: Stream,
}

impl Learner {
    /// A learner for a world.
    ///
    /// # Errors
    /// Rates outside 0 to 1, or 0 steps.
    pub fn new(world: &dyn World, rule: Rule, settings: Settings) -> Result<Self> {
        let lambda = match rule {
            Rule::SarsaLambda(lambda) | Rule::QLambda(lambda) => lambda,
            _ => 0.0,
        };
        let rates = [settings.gamma, settings.alpha, settings.epsilon, lambda];
        if rates.iter().any(|r| !(0.0..=1.0).contains(r)) || rule == Rule::NStepSarsa(0) {
            return Err(Error::invalid(format!(
                "{rule:?} with {settings:?}; expected rates from 0 to 1, at least one step"
            )));
        }
        let n = world.n_states() * world.n_actions();
        let q = vec![settings.initial; n];
        let has_traces = matches!(rule, Rule::SarsaLambda(_) | Rule::QLambda(_));
        Ok(Self {
            rule,
            settings,
            n_actions: world.n_actions(),
            pair: if rule == Rule::DoubleQ { [q.clone(), q.clone()] } else { [Vec::new(), Vec::new()] },
            q,
            trace: vec![0.0; if has_traces { n } else { 0 }],
            traced: Vec::with_capacity(if has_traces { n } else { 0 }),
            waiting: VecDeque::new(),
            memory: vec![None; if matches!(rule, Rule::DynaQ(_)) { n } else { 0 }],
            visited: Vec::with_capacity(if matches!(rule, Rule::DynaQ(_)) { n } else { 0 }),
            rng: Stream::new(settings.seed, Purpose::Explore, 0, 0),
        })
    }

    /// Action values `[S, A]`.
    pub fn q(&self) -> &[f64] {
        &self.q
    }

    /// The greedy action of each state `[S]`.
    pub fn policy(&self, world: &dyn World) -> Vec<usize> {
        self.q.chunks_exact(self.n_actions).enumerate().map(|(s, q)| greedy(world, s, q)).collect()
    }

    /// Largest change of learning from now on: the settings' `alpha` and `epsilon` anew, for schedules.
    pub fn set_rates(&mut self, alpha: f64, epsilon: f64) {
        self.settings.alpha = alpha;
        self.settings.epsilon = epsilon;
    }

    fn row(&self, state: usize) -> &[f64] {
        &self.q[state * self.n_actions..][..self.n_actions]
    }

    /// An epsilon-greedy action.
    pub fn act(&mut self, world: &dyn World, state: usize) -> usize {
        let row = &self.q[state * self.n_actions..][..self.n_actions];
        epsilon_greedy(world, state, row, self.settings.epsilon, &mut self.rng)
    }

    fn largest(&self, world: &dyn World, state: usize) -> f64 {
        self.row(state)[greedy(world, state, self.row(state))]
    }

    /// Mean of the epsilon-greedy policy; ties share the greedy part.
    fn mean(&self, world: &dyn World, state: usize) -> f64 {
        let (row, largest) = (self.row(state), self.largest(world, state));
        let legal = || (0..self.n_actions).filter(|&a| world.is_legal(state, a));
        let random = legal().map(|a| row[a]).sum::<f64>() / legal().count() as f64;
        self.settings.epsilon * random + (1.0 - self.settings.epsilon) * largest
    }

    /// Learns from a step that began with `action` in `state`; `next_action` is what will be done in `step.next`.
    pub fn update(
        &mut self,
        world: &dyn World,
        state: usize,
        action: usize,
        step: &Step,
        next_action: usize,
    ) {
        let at = state * self.n_actions + action;
        let discount = if step.terminated { 0.0 } else { self.settings.gamma };
        let next = step.next * self.n_actions + next_action;
        // What follows a terminated step is never looked at: its state may have no legal action.
        let after = |value: &dyn Fn() -> f64| if step.terminated { 0.0 } else { discount * value() };
        match self.rule {
            Rule::Sarsa => {
                let target = step.reward + after(&|| self.q[next]);
                self.learn(at, target);
            }
            Rule::ExpectedSarsa => {
                let target = step.reward + after(&|| self.mean(world, step.next));
                self.learn(at, target);
            }
            Rule::Q => {
                let target = step.reward + after(&|| self.largest(world, step.next));
                self.learn(at, target);
            }
            Rule::DoubleQ => self.double(world, at, step),
            Rule::NStepSarsa(n) => {
                let after = if step.terminated { 0.0 } else { self.q[next] };
                self.n_step(n, at, step, after);
            }
            Rule::SarsaLambda(lambda) => {
                let td_error = step.reward + after(&|| self.q[next]) - self.q[at];
                self.traces(at, td_error, lambda, true);
            }
            Rule::QLambda(lambda) => {
                let td_error = step.reward + after(&|| self.largest(world, step.next)) - self.q[at];
                let greedy_next = !step.terminated && self.q[next] == self.largest(world, step.next);
                self.traces(at, td_error, lambda, greedy_next);
            }
            Rule::DynaQ(planned) => {
                let target = step.reward + after(&|| self.largest(world, step.next));
                self.learn(at, target);
                if self.memory[at].replace((step.reward, step.next, step.terminated)).is_none() {
                    self.visited.push(at);
                }
                self.imagine(world, planned);
            }
        }
        if step.ends_episode() {
            self.traced.drain(..).for_each(|at| self.trace[at] = 0.0);
        }
    }

    fn learn(&mut self, at: usize, target: f64) {
        self.q[at] += self.settings.alpha * (target - self.q[at]);
    }

    fn double(&mut self, world: &dyn World, at: usize, step: &Step) {
        let chooses = (self.rng.next_u32() & 1) as usize;
        let mut target = step.reward;
        if !step.terminated {
            let row = step.next * self.n_actions;
            let best = greedy(world, step.next, &self.pair[chooses][row..][..self.n_actions]);
            target += self.settings.gamma * self.pair[1 - chooses][row + best];
        }
        let entry = &mut self.pair[chooses][at];
        *entry += self.settings.alpha * (target - *entry);
        self.q[at] = (self.pair[0][at] + self.pair[1][at]) / 2.0;
    }

    fn n_step(&mut self, n: usize, at: usize, step: &Step, after: f64) {
        self.waiting.push_back((at, step.reward));
        while self.waiting.len() == n || (step.ends_episode() && !self.waiting.is_empty()) {
            let gamma = self.settings.gamma;
            let target = self.waiting.iter().rev().fold(after, |g, (_, r)| r + gamma * g);
            if let Some((at, _)) = self.waiting.pop_front() {
                self.learn(at, target);
            }
        }
    }

    fn traces(&mut self, at: usize, td_error: f64, lambda: f64, goes_on: bool) {
        if self.trace[at] == 0.0 {
            self.traced.push(at);
        }
        self.trace[at] = 1.0;
        let decay = if goes_on { self.settings.gamma * lambda } else { 0.0 };
        let (q, trace, alpha) = (&mut self.q, &mut self.trace, self.settings.alpha);
        self.traced.retain(|&i| {
            q[i] += alpha * td_error * trace[i];
            trace[i] *= decay;
            trace[i] != 0.0
        });
    }

    fn imagine(&mut self, world: &dyn World, planned: usize) {
        for _ in 0..planned {
            let at = self.visited[self.rng.below(self.visited.len() as u32) as usize];
            if let Some((reward, next, terminated)) = self.memory[at] {
                let after = if terminated { 0.0 } else { self.settings.gamma * self.largest(world, next) };
                self.learn(at, reward + after);
            }
        }
    }
}

/// Lets a learner play; returns the undiscounted return of each episode. `before` is called with the number of each episode before it
/// begins, for schedules.
pub fn train(
    world: &mut dyn World,
    learner: &mut Learner,
    episodes: u32,
    before: &mut dyn FnMut(u32, &mut Learner),
) -> Vec<f64> {
    let mut returns = Vec::with_capacity(episodes as usize);
    for episode in 0..episodes {
        before(episode, learner);
        let mut state = world.reset();
        let mut action = learner.act(world, state);
        let mut return_ = 0.0;
        loop {
            let step = world.step(action);
            return_ += step.reward;
            let next_action = if step.terminated { 0 } else { learner.act(world, step.next) };
            learner.update(world, state, action, &step, next_action);
            if step.ends_episode() {
                break;
            }
            (state, action) = (step.next, next_action);
        }
        returns.push(return_);
    }
    returns
}
