//! A finite Markov decision process as tables, dense or sparse.
//!
//! Not here: solving it (`plan`), learning in it (`td`, `monte_carlo`), several agents (`joint`).
//!
//! # How an episode ends
//! Some states are *terminal*: their value is 0, nothing happens in them, and entering one terminates the
//! episode. A time limit is not part of a model; a simulation that stops watching truncates (see `simulate`).
//! Actions without any outcome are illegal in their state; a state that is not terminal has a legal action.

mod build;
pub mod builtin;
mod env;
mod file;
mod grid;

pub use build::ModelBuilder;
pub use env::from_env;
pub use file::{read_case, read_json, read_toml, write_json};
pub use grid::read_grid;

use crate::{Error, Result};

/// How far probabilities of a row may miss 1 in sum: files round.
pub const ROW_TOLERANCE: f64 = 1e-6;

/// Transition probabilities.
#[derive(Debug, Clone, PartialEq)]
pub enum Kernel {
    /// All of them, `[S, A, S]`; rows of illegal actions are zero.
    Dense(Vec<f64>),
    /// Rows of `(next state, probability)`, compressed.
    Sparse(SparseRows),
}

/// Compressed rows, one a pair of state and action.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseRows {
    /// `[S * A + 1]`: row `s * A + a` is `offsets[row]..offsets[row + 1]`.
    pub offsets: Vec<usize>,
    /// Next state of each entry, ascending in a row.
    pub next: Vec<u32>,
    /// Probability of each entry.
    pub prob: Vec<f64>,
}

/// A finite Markov decision process: S states, A actions, discount `gamma`.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(crate) n_states: usize,
    pub(crate) n_actions: usize,
    pub(crate) gamma: f64,
    pub(crate) kernel: Kernel,
    /// Expected reward `[S, A]`.
    pub(crate) reward: Vec<f64>,
    /// Reward of each entry of a sparse kernel where it depends on the next state; empty otherwise.
    pub(crate) outcome_reward: Vec<f64>,
    /// `[S, A]`, empty if every action is legal in every state.
    pub(crate) legal: Vec<bool>,
    pub(crate) terminal: Vec<bool>,
    pub(crate) start: Vec<f64>,
    pub(crate) state_names: Vec<String>,
    pub(crate) action_names: Vec<String>,
}

/// One possible outcome of an action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// State entered.
    pub next: usize,
    /// Its probability.
    pub prob: f64,
    /// Reward on the way.
    pub reward: f64,
}

impl Model {
    /// A dense model from `transition` `[S, A, S]` and expected `reward` `[S, A]`, every action legal, no
    /// terminal state, starting in state 0.
    ///
    /// # Errors
    /// Lengths that do not fit, rows that do not sum to one, numbers that are not finite, `gamma` outside 0 to 1.
    pub fn dense(
        n_states: usize,
        n_actions: usize,
        gamma: f64,
        transition: Vec<f64>,
        reward: Vec<f64>,
    ) -> Result<Self> {
        let rows = build::checked_rows(n_states, n_actions)?;
        if Some(transition.len()) != rows.checked_mul(n_states) || reward.len() != rows {
            return Err(Error::invalid(format!(
                "{} probabilities and {} rewards do not fit {n_states} states and {n_actions} actions; \
                 expected [S, A, S] and [S, A]",
                transition.len(),
                reward.len()
            )));
        }
        let mut start = vec![0.0; n_states];
        start[0] = 1.0;
        let model = Self {
            n_states,
            n_actions,
            gamma,
            kernel: Kernel::Dense(transition),
            reward,
            outcome_reward: Vec::new(),
            legal: Vec::new(),
            terminal: vec![false; n_states],
            start,
            state_names: Vec::new(),
            action_names: Vec::new(),
        };
        model.check()?;
        Ok(model)
    }

    /// Number of states, S.
    pub fn n_states(&self) -> usize {
        self.n_states
    }

    /// Number of actions, A.
    pub fn n_actions(&self) -> usize {
        self.n_actions
    }

    /// Discount a step.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// The same model with another discount.
    ///
    /// # Errors
    /// A discount outside 0 to 1.
    pub fn with_gamma(mut self, gamma: f64) -> Result<Self> {
        self.gamma = gamma;
        self.check_gamma()?;
        Ok(self)
    }

    /// The transition probabilities.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Expected rewards `[S, A]`.
    pub fn reward(&self) -> &[f64] {
        &self.reward
    }

    /// Distribution of the first state `[S]`.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// Whether entering `state` ends the episode.
    pub fn is_terminal(&self, state: usize) -> bool {
        self.terminal[state]
    }

    /// Whether `action` may be taken in `state`. In a terminal state none may.
    pub fn is_legal(&self, state: usize, action: usize) -> bool {
        !self.terminal[state] && (self.legal.is_empty() || self.legal[state * self.n_actions + action])
    }

    /// Name of a state, its number where it has none.
    pub fn state_name(&self, state: usize) -> String {
        self.state_names.get(state).cloned().unwrap_or_else(|| state.to_string())
    }

    /// Name of an action, its number where it has none.
    pub fn action_name(&self, action: usize) -> String {
        self.action_names.get(action).cloned().unwrap_or_else(|| action.to_string())
    }

    /// Outcomes of an action with positive probability, next states ascending. Empty where it is illegal.
    pub fn outcomes(&self, state: usize, action: usize) -> impl Iterator<Item = Outcome> + '_ {
        let row = state * self.n_actions + action;
        let legal = self.is_legal(state, action);
        let expected = self.reward[row];
        let (next, prob, at) = match &self.kernel {
            Kernel::Dense(p) => (None, &p[row * self.n_states..][..self.n_states], 0),
            Kernel::Sparse(rows) => {
                let range = rows.offsets[row]..rows.offsets[row + 1];
                (Some(&rows.next[range.clone()]), &rows.prob[range.clone()], range.start)
            }
        };
        let prob = if legal { prob } else { &[] };
        prob.iter().enumerate().filter(|(_, p)| **p > 0.0).map(move |(i, &prob)| Outcome {
            next: next.map_or(i, |n| n[i] as usize),
            prob,
            reward: self.outcome_reward.get(at + i).copied().unwrap_or(expected),
        })
    }

    /// The same model with its kernel compressed.
    pub fn to_sparse(&self) -> Self {
        let Kernel::Dense(p) = &self.kernel else { return self.clone() };
        let mut rows = SparseRows { offsets: vec![0], ..SparseRows::default() };
        for row in p.chunks_exact(self.n_states) {
            for (next, &prob) in row.iter().enumerate().filter(|(_, p)| **p != 0.0) {
                rows.next.push(next as u32);
                rows.prob.push(prob);
            }
            rows.offsets.push(rows.next.len());
        }
        Self { kernel: Kernel::Sparse(rows), ..self.clone() }
    }

    /// The same model with all probabilities written out. Rewards that depend on the next state become their mean.
    ///
    /// # Errors
    /// More than 2^27 probabilities (1 GiB).
    pub fn to_dense(&self) -> Result<Self> {
        let Kernel::Sparse(rows) = &self.kernel else { return Ok(self.clone()) };
        let n = self.n_states * self.n_actions;
        let size = n.checked_mul(self.n_states).filter(|&size| size <= 1 << 27);
        let Some(size) = size else {
            return Err(Error::TooLarge {
                what: format!("a dense table of {} states and {} actions", self.n_states, self.n_actions),
                estimate: format!("{:.1e} probabilities", n as f64 * self.n_states as f64),
                advice: "keep the model sparse",
            });
        };
        let mut p = vec![0.0; size];
        for row in 0..n {
            for i in rows.offsets[row]..rows.offsets[row + 1] {
                p[row * self.n_states + rows.next[i] as usize] = rows.prob[i];
            }
        }
        Ok(Self { kernel: Kernel::Dense(p), outcome_reward: Vec::new(), ..self.clone() })
    }

    fn check_gamma(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.gamma) {
            return Ok(());
        }
        Err(Error::BadNumber { what: "gamma".into(), value: self.gamma, expected: "a number from 0 to 1" })
    }

    /// Checks everything that a constructor promises.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_gamma()?;
        build::check_distribution("start probabilities", self.start.iter().copied())?;
        for state in 0..self.n_states {
            if self.terminal[state] {
                continue;
            }
            let mut any = false;
            for action in (0..self.n_actions).filter(|&a| self.is_legal(state, a)) {
                any = true;
                self.check_row(state, action)?;
            }
            if !any {
                return Err(Error::invalid(format!(
                    "state {} has no action with an outcome; list it as terminal or give it one",
                    self.state_name(state)
                )));
            }
        }
        Ok(())
    }

    fn check_row(&self, state: usize, action: usize) -> Result<()> {
        let row = state * self.n_actions + action;
        let what = || {
            format!("probabilities of state {}, action {}", self.state_name(state), self.action_name(action))
        };
        let prob = match &self.kernel {
            Kernel::Dense(p) => &p[row * self.n_states..][..self.n_states],
            Kernel::Sparse(rows) => &rows.prob[rows.offsets[row]..rows.offsets[row + 1]],
        };
        build::check_row_of(&what, prob)?;
        let reward = self.reward[row];
        if !reward.is_finite() {
            let what = format!(
                "the reward of state {}, action {}",
                self.state_name(state),
                self.action_name(action)
            );
            return Err(Error::BadNumber { what, value: reward, expected: "a finite number" });
        }
        Ok(())
    }
}
