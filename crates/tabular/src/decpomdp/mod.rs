//! Decentralized partially observable Markov decision processes: a team with one reward, each agent with its own
//! actions and observations, nobody sees the state.
//!
//! * [`parse`] and [`write()`]: the MADP `.dpomdp` text format.
//! * [`solve`]: exhaustive search and alternating best responses (JESP) for a finite horizon.
//! * [`bounds`]: what the team could get at most if it saw more.
//! * [`certificate`]: the value of a joint policy and what an agent gains by another one, by code of its own.
//! * [`problems`]: the well-known small problems.
//!
//! A horizon counts decisions. Joint actions and joint observations are numbered with the last agent's fastest.

pub mod bounds;
pub mod certificate;
mod parse;
pub mod problems;
pub mod solve;
mod write;

pub use parse::parse;
pub use write::write;

use crate::model::{Model, ModelBuilder};
use crate::{Error, Result};

/// How far probabilities of a row may miss 1 in sum: published files round to four digits.
pub const ROW_TOLERANCE: f64 = 1e-4;

/// One row of a sparse table: `(column, probability)`, columns ascending.
pub(crate) type Row = Vec<(u32, f64)>;

/// Reward of one joint action in one state, as detailed as the file was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RewardRow {
    /// The same whatever follows.
    Constant(f64),
    /// By next state and joint observation, `[S, JO]`.
    Full(Vec<f64>),
}

/// A decentralized POMDP: S states, J joint actions, JO joint observations.
#[derive(Debug, Clone, PartialEq)]
pub struct DecPomdp {
    pub(crate) discount: f64,
    /// Whether the file spoke of costs; rewards here are always to be maximized.
    pub(crate) cost: bool,
    pub(crate) states: Vec<String>,
    /// Names of each agent's actions.
    pub(crate) actions: Vec<Vec<String>>,
    pub(crate) observations: Vec<Vec<String>>,
    pub(crate) start: Vec<f64>,
    /// Rows `joint * S + s`.
    pub(crate) transition: Vec<Row>,
    /// Rows `joint * S + s'`.
    pub(crate) observation: Vec<Row>,
    /// Rows `joint * S + s`.
    pub(crate) reward: Vec<RewardRow>,
}

impl DecPomdp {
    /// Number of agents.
    pub fn n_agents(&self) -> usize {
        self.actions.len()
    }

    /// Number of states, S.
    pub fn n_states(&self) -> usize {
        self.states.len()
    }

    /// Number of actions of each agent.
    pub fn n_actions(&self) -> Vec<usize> {
        self.actions.iter().map(Vec::len).collect()
    }

    /// Number of observations of each agent.
    pub fn n_observations(&self) -> Vec<usize> {
        self.observations.iter().map(Vec::len).collect()
    }

    /// Number of joint actions, J.
    pub fn n_joint_actions(&self) -> usize {
        self.actions.iter().map(Vec::len).product()
    }

    /// Number of joint observations, JO.
    pub fn n_joint_observations(&self) -> usize {
        self.observations.iter().map(Vec::len).product()
    }

    /// Name of an action.
    pub fn action_name(&self, agent: usize, action: usize) -> &str {
        &self.actions[agent][action]
    }

    /// Name of an observation.
    pub fn observation_name(&self, agent: usize, observation: usize) -> &str {
        &self.observations[agent][observation]
    }

    /// Discount a decision.
    pub fn discount(&self) -> f64 {
        self.discount
    }

    /// The same problem with another discount.
    ///
    /// # Errors
    /// A discount outside 0 to 1.
    pub fn with_discount(mut self, discount: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&discount) {
            let expected = "a number from 0 to 1";
            return Err(Error::BadNumber { what: "discount".into(), value: discount, expected });
        }
        self.discount = discount;
        Ok(self)
    }

    /// Distribution of the first state.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// Next states of a joint action with their probabilities.
    pub fn transitions(&self, joint: usize, state: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.transition[joint * self.n_states() + state].iter().map(|&(next, p)| (next as usize, p))
    }

    /// Joint observations after a joint action that led to `next`, with their probabilities.
    pub fn observations_at(&self, joint: usize, next: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.observation[joint * self.n_states() + next].iter().map(|&(o, p)| (o as usize, p))
    }

    /// Expected reward of a joint action in a state.
    pub fn reward(&self, joint: usize, state: usize) -> f64 {
        match &self.reward[joint * self.n_states() + state] {
            RewardRow::Constant(r) => *r,
            RewardRow::Full(r) => {
                let width = self.n_joint_observations();
                let after = |next: usize| -> f64 {
                    self.observations_at(joint, next).map(|(o, p)| p * r[next * width + o]).sum()
                };
                self.transitions(joint, state).map(|(next, p)| p * after(next)).sum()
            }
        }
    }

    /// Expected rewards of all rows, `[J, S]`.
    pub(crate) fn expected_rewards(&self) -> Vec<f64> {
        let pairs =
            (0..self.n_joint_actions()).flat_map(|joint| (0..self.n_states()).map(move |s| (joint, s)));
        pairs.map(|(joint, state)| self.reward(joint, state)).collect()
    }

    /// Fails unless every row is a distribution. A file may be read that is none; nothing plans in it.
    ///
    /// # Errors
    /// The first row that is not.
    pub fn check(&self) -> Result<()> {
        let n = self.n_states();
        check_row(|| "start probabilities".into(), &mut self.start.iter().copied())?;
        for joint in 0..self.n_joint_actions() {
            let joint_name = || {
                let names = (0..self.n_agents()).map(|i| self.action_name(i, self.action_of(joint, i)));
                names.collect::<Vec<_>>().join(" ")
            };
            for state in 0..n {
                let what = || format!("T of `{}` in state {}", joint_name(), self.states[state]);
                check_row(what, &mut self.transition[joint * n + state].iter().map(|e| e.1))?;
                let what = || format!("O of `{}` at state {}", joint_name(), self.states[state]);
                check_row(what, &mut self.observation[joint * n + state].iter().map(|e| e.1))?;
            }
        }
        Ok(())
    }

    /// What an agent does in a joint action.
    pub fn action_of(&self, joint: usize, agent: usize) -> usize {
        part(joint, agent, self.actions.iter().map(Vec::len))
    }

    /// What an agent sees in a joint observation.
    pub fn observation_of(&self, joint: usize, agent: usize) -> usize {
        part(joint, agent, self.observations.iter().map(Vec::len))
    }

    /// The problem of one decision maker who sees the state and chooses joint actions (the MMDP).
    ///
    /// # Errors
    /// Rows that are not distributions.
    pub fn to_mmdp(&self) -> Result<Model> {
        self.check()?;
        let n_joint = self.n_joint_actions();
        let mut b = ModelBuilder::new(self.n_states(), n_joint, self.discount);
        for joint in 0..n_joint {
            for state in 0..self.n_states() {
                let reward = self.reward(joint, state);
                let row = &self.transition[joint * self.n_states() + state];
                // Rounded rows are what they are in the file; a model is stricter.
                let total: f64 = row.iter().map(|e| e.1).sum();
                for &(next, p) in row {
                    b.transition(state, joint, next as usize, p / total, reward);
                }
            }
        }
        let total: f64 = self.start.iter().sum();
        self.start.iter().enumerate().for_each(|(state, &p)| {
            b.start(state, p / total);
        });
        b.state_names(self.states.clone());
        b.build()
    }
}

/// The part of one agent in a joint number, last agent's fastest.
fn part(
    joint: usize,
    agent: usize,
    sizes: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator,
) -> usize {
    let mut rest = joint;
    let n = sizes.len();
    for (i, size) in sizes.enumerate().rev() {
        if i == agent {
            return rest % size;
        }
        rest /= size;
    }
    debug_assert!(agent < n, "agent {agent} of {n}");
    0
}

fn check_row(what: impl Fn() -> String, prob: &mut dyn Iterator<Item = f64>) -> Result<()> {
    let mut sum = 0.0;
    for p in prob {
        if !(0.0..=1.0 + ROW_TOLERANCE).contains(&p) {
            let what = format!("a probability of {}", what());
            return Err(Error::BadNumber { what, value: p, expected: "a number from 0 to 1" });
        }
        sum += p;
    }
    match (sum - 1.0).abs() <= ROW_TOLERANCE {
        true => Ok(()),
        false => Err(Error::Probabilities { what: what(), sum }),
    }
}

/// A deterministic policy of one agent: an action after each sequence of own observations.
///
/// Sequences of length `t` are numbered from `offset(t)`, in order of their observations, the latest fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPolicy {
    /// Observations of the agent.
    pub n_observations: usize,
    /// Action after each sequence.
    pub actions: Vec<usize>,
}

impl AgentPolicy {
    /// The policy that always takes action 0, for so many decisions.
    pub fn new(n_observations: usize, horizon: usize) -> Self {
        Self { n_observations, actions: vec![0; n_sequences(n_observations, horizon)] }
    }

    /// Action after sequence number `sequence` of length `t`.
    pub fn action(&self, t: usize, sequence: usize) -> usize {
        self.actions[n_sequences(self.n_observations, t) + sequence]
    }
}

/// Number of sequences shorter than `horizon`; at most `usize::MAX`.
pub(crate) fn n_sequences(n_observations: usize, horizon: usize) -> usize {
    let mut total = 0_usize;
    let mut level = 1_usize;
    for _ in 0..horizon {
        total = total.saturating_add(level);
        level = level.saturating_mul(n_observations);
    }
    total
}
