//! Q-learning of a team: what each agent keeps, and which errors it listens to.
//!
//! All agents get the same reward. [`TeamRule`]:
//! * independent: each agent learns `q_i(s, a_i)` as if alone (Tan 1993). Others look like noise that punishes.
//! * joint-action: each agent learns `q(s, joint)` and counts what the others do; it values an own action by the mean over
//!   these counts (Claus and Boutilier 1998).
//! * team: one table of joint actions, one decision maker.
//! * distributed: an agent's value never falls, its policy changes only when it rises (Lauer and Riedmiller 2000). Right for
//!   deterministic teams, wrong by design where rewards are random.
//! * hysteretic: values rise at rate `alpha` and fall at the smaller `beta` (Matignon et al. 2007).
//! * lenient: bad news about an action is ignored with a probability that falls with its use (Panait et al. 2006; Wei and
//!   Luke 2016): `1 - exp(-leniency * temperature)`, the temperature of a pair starting at 50 and falling by 0.1 % a use.
//!
//! Ends: as everywhere, a terminated step is worth its reward, a truncated one bootstraps.

use coact_core::{Purpose, Stream};

use super::JointModel;
use crate::exponential::{exp, softmax};
use crate::simulate::{Simulator, Step, World, sample};
use crate::{Error, Result};

/// Temperature of lenience of an action never used, and its factor a use.
const LENIENT_START: f64 = 50.0;
const LENIENT_DECAY: f64 = 0.999;

/// What the agents keep and how they change it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TeamRule {
    /// Own actions only.
    Independent,
    /// Joint actions and counts of the others.
    JointAction,
    /// Joint actions, chosen together.
    Team,
    /// The best ever seen, from this first value: 0 where rewards are at least that, minus infinity where they may be
    /// below and episodes end.
    Distributed(f64),
    /// Slow to fall: the rate at which values fall.
    Hysteretic(f64),
    /// Forgiving at first: the leniency.
    Lenient(f64),
}

/// How actions are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Explore {
    /// Softmax with temperature `start * decay^trial`, at least `floor`.
    Boltzmann {
        /// First temperature.
        start: f64,
        /// Factor an episode.
        decay: f64,
        /// Least temperature.
        floor: f64,
    },
    /// A random action with this probability, otherwise greedy.
    Epsilon(f64),
}

/// All agents of a team.
#[derive(Debug, Clone)]
pub struct TeamLearner {
    rule: TeamRule,
    explore: Explore,
    alpha: f64,
    gamma: f64,
    n_states: usize,
    n_actions: Vec<usize>,
    n_joint: usize,
    /// For each agent `[S, A]`; for joint-action learners and teams one shared `[S, J]`, since all see the same.
    q: Vec<Vec<f64>>,
    /// Distributed: the action of each agent in each state.
    choice: Vec<Vec<usize>>,
    /// Joint-action: how often each agent did what, `[S, A]`.
    counts: Vec<Vec<f64>>,
    /// Lenient: temperatures `[S, A]` of each agent.
    lenience: Vec<Vec<f64>>,
    /// Of Boltzmann exploration, in this episode.
    temperature: f64,
    rng: Stream,
    values: Vec<f64>,
    prob: Vec<f64>,
}

impl TeamLearner {
    /// A learner with all values 0.
    ///
    /// # Errors
    /// Rates outside 0 to 1, or temperatures that are not positive.
    pub fn new(world: &JointModel, rule: TeamRule, explore: Explore, alpha: f64, seed: u64) -> Result<Self> {
        let explores = match explore {
            Explore::Boltzmann { start, decay, floor } => {
                start > 0.0 && floor > 0.0 && (0.0..=1.0).contains(&decay)
            }
            Explore::Epsilon(epsilon) => (0.0..=1.0).contains(&epsilon),
        };
        let rates = match rule {
            TeamRule::Hysteretic(beta) => (0.0..=1.0).contains(&beta),
            TeamRule::Lenient(leniency) => leniency >= 0.0,
            _ => true,
        };
        if !explores || !rates || !(0.0..=1.0).contains(&alpha) {
            return Err(Error::invalid(format!(
                "{rule:?} with {explore:?} and alpha {alpha}; expected rates from 0 to 1 and positive temperatures"
            )));
        }
        let n_states = world.model.n_states();
        let n_joint = world.model.n_actions();
        let joint = matches!(rule, TeamRule::JointAction | TeamRule::Team);
        let tables = |x: f64, on: bool| -> Vec<Vec<f64>> {
            world.n_actions.iter().map(|&n| vec![x; if on { n * n_states } else { 0 }]).collect()
        };
        let first = if let TeamRule::Distributed(first) = rule { first } else { 0.0 };
        let largest = world.n_actions.iter().copied().max().unwrap_or(1).max(n_joint);
        Ok(Self {
            rule,
            explore,
            alpha,
            gamma: world.model.gamma(),
            n_states,
            n_actions: world.n_actions.clone(),
            n_joint,
            q: if joint { vec![vec![0.0; n_states * n_joint]] } else { tables(first, true) },
            choice: world.n_actions.iter().map(|_| vec![0; n_states]).collect(),
            counts: tables(1.0, rule == TeamRule::JointAction),
            lenience: tables(LENIENT_START, matches!(rule, TeamRule::Lenient(_))),
            temperature: if let Explore::Boltzmann { start, floor, .. } = explore {
                start.max(floor)
            } else {
                0.0
            },
            rng: Stream::new(seed, Purpose::Explore, 0, 0),
            values: vec![0.0; largest],
            prob: vec![0.0; largest],
        })
    }

    /// Writes what each action of `agent` (or, for a team, each joint action) seems worth; returns how many there are.
    fn value_actions(&mut self, agent: usize, state: usize) -> usize {
        match self.rule {
            TeamRule::Team => {
                self.values[..self.n_joint]
                    .copy_from_slice(&self.q[0][state * self.n_joint..][..self.n_joint]);
                self.n_joint
            }
            TeamRule::JointAction => {
                let n = self.n_actions[agent];
                self.values[..n].fill(0.0);
                for joint in 0..self.n_joint {
                    let mut weight = 1.0;
                    let mut own = 0;
                    let mut rest = joint;
                    for i in (0..self.n_actions.len()).rev() {
                        let action = rest % self.n_actions[i];
                        rest /= self.n_actions[i];
                        if i == agent {
                            own = action;
                        } else {
                            let counts = &self.counts[i][state * self.n_actions[i]..][..self.n_actions[i]];
                            weight *= counts[action] / counts.iter().sum::<f64>();
                        }
                    }
                    self.values[own] += weight * self.q[0][state * self.n_joint + joint];
                }
                n
            }
            _ => {
                let n = self.n_actions[agent];
                self.values[..n].copy_from_slice(&self.q[agent][state * n..][..n]);
                n
            }
        }
    }

    fn pick(&mut self, agent: usize, state: usize) -> usize {
        let n = self.value_actions(agent, state);
        match self.explore {
            Explore::Epsilon(epsilon) if self.rng.uniform_f64() < epsilon => {
                self.rng.below(n as u32) as usize
            }
            Explore::Epsilon(_) => self.greedy(agent, state),
            Explore::Boltzmann { .. } => {
                // Actions never tried by an optimist count as what its best one is worth.
                let best = self.values[..n].iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let untried = if best.is_finite() { best } else { 0.0 };
                self.values[..n].iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = untried);
                softmax(&self.values[..n], self.temperature, &mut self.prob[..n]);
                sample(self.prob[..n].iter().copied(), &mut self.rng)
            }
        }
    }

    /// The greedy choice of an agent (of a team: of all), lowest index first.
    fn greedy(&mut self, agent: usize, state: usize) -> usize {
        if matches!(self.rule, TeamRule::Distributed(_)) {
            return self.choice[agent][state];
        }
        let n = self.value_actions(agent, state);
        (1..n).fold(0, |best, a| if self.values[a] > self.values[best] { a } else { best })
    }

    /// Chooses a joint action, exploring.
    pub fn act(&mut self, state: usize) -> usize {
        match self.rule {
            TeamRule::Team => self.pick(0, state),
            _ => {
                (0..self.n_actions.len()).fold(0, |joint, i| joint * self.n_actions[i] + self.pick(i, state))
            }
        }
    }

    /// The joint action of all greedy choices.
    pub fn greedy_joint(&mut self, state: usize) -> usize {
        match self.rule {
            TeamRule::Team => self.greedy(0, state),
            _ => (0..self.n_actions.len())
                .fold(0, |joint, i| joint * self.n_actions[i] + self.greedy(i, state)),
        }
    }

    /// Learns from a joint step.
    pub fn update(&mut self, state: usize, joint: usize, step: &Step) {
        let discount = if step.terminated { 0.0 } else { self.gamma };
        let largest = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if matches!(self.rule, TeamRule::Team | TeamRule::JointAction) {
            let n = self.n_joint;
            let after =
                if discount > 0.0 { discount * largest(&self.q[0][step.next * n..][..n]) } else { 0.0 };
            let q = &mut self.q[0][state * n + joint];
            *q += self.alpha * (step.reward + after - *q);
        }
        let mut rest = joint;
        for agent in (0..self.n_actions.len()).rev() {
            let n = self.n_actions[agent];
            let action = rest % n;
            rest /= n;
            let at = state * n + action;
            match self.rule {
                TeamRule::Team => return,
                TeamRule::JointAction => {
                    self.counts[agent][at] += 1.0;
                    continue;
                }
                _ => {}
            }
            let after =
                if discount > 0.0 { discount * largest(&self.q[agent][step.next * n..][..n]) } else { 0.0 };
            let target = step.reward + after;
            let td_error = target - self.q[agent][at];
            let rate = match self.rule {
                TeamRule::Hysteretic(beta) if td_error < 0.0 => beta,
                TeamRule::Lenient(leniency) => {
                    let temperature = self.lenience[agent][at];
                    self.lenience[agent][at] *= LENIENT_DECAY;
                    let forgives =
                        td_error < 0.0 && self.rng.uniform_f64() < 1.0 - exp(-leniency * temperature);
                    if forgives { 0.0 } else { self.alpha }
                }
                TeamRule::Distributed(_) => {
                    self.rise(agent, state, action, target);
                    continue;
                }
                _ => self.alpha,
            };
            self.q[agent][at] += rate * td_error;
        }
    }

    /// Distributed Q-learning: the value rises to the target if that is higher, and the choice follows a new best value.
    fn rise(&mut self, agent: usize, state: usize, action: usize, target: f64) {
        let n = self.n_actions[agent];
        let row = &mut self.q[agent][state * n..][..n];
        let before = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if target > row[action] {
            row[action] = target;
        }
        if target > before {
            self.choice[agent][state] = action;
        }
    }

    /// Cools exploration; to be called after every episode.
    pub fn end_episode(&mut self) {
        if let Explore::Boltzmann { decay, floor, .. } = self.explore {
            self.temperature = (self.temperature * decay).max(floor);
        }
    }

    /// What an agent (of a team or of joint-action learners: all together) thinks a state is worth: its largest value.
    pub fn value(&self, agent: usize, state: usize) -> f64 {
        let table = &self.q[agent.min(self.q.len() - 1)];
        let n = table.len() / self.n_states;
        table[state * n..][..n].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// From now on this learning rate, and epsilon-greedy actions with this epsilon, for schedules.
    pub fn set_rates(&mut self, alpha: f64, epsilon: f64) {
        self.alpha = alpha;
        self.explore = Explore::Epsilon(epsilon);
    }

    /// Number of states.
    pub fn n_states(&self) -> usize {
        self.n_states
    }
}

/// Plays so many episodes, each truncated after `max_steps`.
pub fn train(world: &JointModel, learner: &mut TeamLearner, episodes: u32, max_steps: u32, seed: u64) {
    play(&mut Simulator::new(&world.model, max_steps, seed), learner, episodes, &mut |_, _| {});
}

/// Plays so many episodes in a world of joint actions. `before` is called with the number of each episode before it begins,
/// for schedules.
pub fn play(
    world: &mut dyn World,
    learner: &mut TeamLearner,
    episodes: u32,
    before: &mut dyn FnMut(u32, &mut TeamLearner),
) {
    for episode in 0..episodes {
        before(episode, learner);
        let mut state = world.reset();
        loop {
            let joint = learner.act(state);
            let step = world.step(joint);
            learner.update(state, joint, &step);
            if step.ends_episode() {
                break;
            }
            state = step.next;
        }
        learner.end_episode();
    }
}
