//! Putting a model together transition by transition, and the checks that every model passes.

use super::{Kernel, Model, ROW_TOLERANCE, SparseRows};
use crate::{Error, Result};

/// Most pairs of state and action that a model may have: 2^26.
const MAX_ROWS: usize = 1 << 26;

/// Number of rows of a model, checked.
pub(super) fn checked_rows(n_states: usize, n_actions: usize) -> Result<usize> {
    if n_states == 0 || n_actions == 0 {
        return Err(Error::invalid(format!(
            "a model of {n_states} states and {n_actions} actions; it needs at least one of each"
        )));
    }
    n_states
        .checked_mul(n_actions)
        .filter(|&rows| rows <= MAX_ROWS && n_states <= u32::MAX as usize)
        .ok_or_else(|| Error::TooLarge {
            what: format!("a model of {n_states} states and {n_actions} actions"),
            estimate: format!(
                "{:.1e} pairs, at most {MAX_ROWS} are supported",
                n_states as f64 * n_actions as f64
            ),
            advice: "aggregate states",
        })
}

/// Fails unless the numbers are probabilities that sum to one.
pub(super) fn check_distribution(what: &str, prob: impl Iterator<Item = f64>) -> Result<()> {
    let mut sum = 0.0;
    for p in prob {
        if !(0.0..=1.0 + ROW_TOLERANCE).contains(&p) {
            let what = format!("one of the {what}");
            return Err(Error::BadNumber { what, value: p, expected: "a number from 0 to 1" });
        }
        sum += p;
    }
    match (sum - 1.0).abs() <= ROW_TOLERANCE {
        true => Ok(()),
        false => Err(Error::Probabilities { what: what.into(), sum }),
    }
}

/// [`check_distribution`] with a name that is only put together for an error.
pub(super) fn check_row_of(what: &dyn Fn() -> String, prob: &[f64]) -> Result<()> {
    let sum: f64 = prob.iter().sum();
    let fine = prob.iter().all(|p| (0.0..=1.0 + ROW_TOLERANCE).contains(p));
    if fine && (sum - 1.0).abs() <= ROW_TOLERANCE {
        return Ok(());
    }
    check_distribution(&what(), prob.iter().copied())
}

/// Collects transitions into a sparse [`Model`].
#[derive(Debug, Clone)]
pub struct ModelBuilder {
    n_states: usize,
    n_actions: usize,
    gamma: f64,
    /// `(row, next, prob, reward)`.
    entries: Vec<(usize, u32, f64, f64)>,
    terminal: Vec<usize>,
    start: Vec<(usize, f64)>,
    state_names: Vec<String>,
    action_names: Vec<String>,
    fault: Option<Error>,
}

impl ModelBuilder {
    /// A model of so many states and actions without any transition yet.
    pub fn new(n_states: usize, n_actions: usize, gamma: f64) -> Self {
        Self {
            n_states,
            n_actions,
            gamma,
            entries: Vec::new(),
            terminal: Vec::new(),
            start: Vec::new(),
            state_names: Vec::new(),
            action_names: Vec::new(),
            fault: checked_rows(n_states, n_actions).err(),
        }
    }

    /// Adds probability `prob` of going from `state` to `next` by `action`, with `reward` on the way. Several
    /// entries for the same three add up in probability, their rewards averaged. An action without entries is illegal.
    pub fn transition(
        &mut self,
        state: usize,
        action: usize,
        next: usize,
        prob: f64,
        reward: f64,
    ) -> &mut Self {
        if state >= self.n_states || next >= self.n_states || action >= self.n_actions {
            self.fail(format!(
                "transition {state}, {action}, {next} is outside of {} states and {} actions",
                self.n_states, self.n_actions
            ));
        } else if !(prob.is_finite() && reward.is_finite() && prob >= 0.0) {
            self.fail(format!(
                "transition {state}, {action}, {next} has probability {prob} and reward {reward}; \
                 both must be finite, the first not negative"
            ));
        } else if prob > 0.0 {
            self.entries.push((state * self.n_actions + action, next as u32, prob, reward));
        }
        self
    }

    /// Makes a state terminal; its transitions, if any, are dropped.
    pub fn terminal(&mut self, state: usize) -> &mut Self {
        if state >= self.n_states {
            self.fail(format!("terminal state {state} is not one of {}", self.n_states));
        }
        self.terminal.push(state);
        self
    }

    /// Adds probability of starting in `state`. Without any, episodes start in state 0.
    pub fn start(&mut self, state: usize, prob: f64) -> &mut Self {
        if state >= self.n_states {
            self.fail(format!("start state {state} is not one of {}", self.n_states));
        }
        self.start.push((state, prob));
        self
    }

    /// Names the states, all or none.
    pub fn state_names(&mut self, names: Vec<String>) -> &mut Self {
        if names.len() != self.n_states {
            self.fail(format!("{} names for {} states", names.len(), self.n_states));
        }
        self.state_names = names;
        self
    }

    /// Names the actions, all or none.
    pub fn action_names(&mut self, names: Vec<String>) -> &mut Self {
        if names.len() != self.n_actions {
            self.fail(format!("{} names for {} actions", names.len(), self.n_actions));
        }
        self.action_names = names;
        self
    }

    fn fail(&mut self, text: String) {
        self.fault.get_or_insert(Error::Invalid(text));
    }

    /// The model.
    ///
    /// # Errors
    /// The first fault of what was added, rows that do not sum to one, a state without an action.
    pub fn build(mut self) -> Result<Model> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (n_states, n_actions) = (self.n_states, self.n_actions);
        let mut terminal = vec![false; n_states];
        self.terminal.iter().for_each(|&s| terminal[s] = true);
        let mut start = vec![0.0; n_states];
        self.start.iter().for_each(|&(s, p)| start[s] += p);
        if self.start.is_empty() {
            start[0] = 1.0;
        }
        // Stable, so that the sums below do not depend on how the sort works.
        self.entries.sort_by_key(|&(row, next, ..)| (row, next));
        let mut table = Rows::new(n_states * n_actions);
        for (row, next, prob, reward) in self.entries {
            if !terminal[row / n_actions] {
                table.push(row, next, prob, reward);
            }
        }
        let (rows, outcome_reward, reward, legal) = table.finish();
        let model = Model {
            n_states,
            n_actions,
            gamma: self.gamma,
            kernel: Kernel::Sparse(rows),
            reward,
            outcome_reward,
            legal,
            terminal,
            start,
            state_names: self.state_names,
            action_names: self.action_names,
        };
        model.check()?;
        Ok(model)
    }
}

/// Compressed rows under construction. Entries come in order of row and next state.
struct Rows {
    rows: SparseRows,
    /// Reward of each entry.
    reward: Vec<f64>,
    n_rows: usize,
}

impl Rows {
    fn new(n_rows: usize) -> Self {
        Self { rows: SparseRows { offsets: vec![0], ..SparseRows::default() }, reward: Vec::new(), n_rows }
    }

    fn push(&mut self, row: usize, next: u32, prob: f64, reward: f64) {
        let r = &mut self.rows;
        let same_row = r.offsets.len() == row + 1 && r.next.len() > r.offsets[row];
        while r.offsets.len() <= row {
            r.offsets.push(r.next.len());
        }
        match (r.next.last(), r.prob.last_mut(), self.reward.last_mut()) {
            (Some(&last), Some(p), Some(mean)) if same_row && last == next => {
                if *mean != reward {
                    *mean = (*p * *mean + prob * reward) / (*p + prob);
                }
                *p += prob;
            }
            _ => {
                r.next.push(next);
                r.prob.push(prob);
                self.reward.push(reward);
            }
        }
    }

    /// Rows, reward of each entry (empty where it never depends on the next state), expected reward, legality.
    fn finish(mut self) -> (SparseRows, Vec<f64>, Vec<f64>, Vec<bool>) {
        self.rows.offsets.resize(self.n_rows + 1, self.rows.next.len());
        let per_entry = self.reward;
        let (mut reward, mut legal) = (vec![0.0; self.n_rows], vec![true; self.n_rows]);
        let mut varies = false;
        for row in 0..self.n_rows {
            let range = self.rows.offsets[row]..self.rows.offsets[row + 1];
            legal[row] = !range.is_empty();
            let of_row = &per_entry[range.clone()];
            let constant = of_row.windows(2).all(|w| w[0] == w[1]);
            varies |= !constant;
            reward[row] = match of_row.first() {
                Some(&r) if constant => r,
                _ => of_row.iter().zip(&self.rows.prob[range]).map(|(r, p)| r * p).sum(),
            };
        }
        if legal.iter().all(|&l| l) {
            legal.clear();
        }
        (self.rows, if varies { per_entry } else { Vec::new() }, reward, legal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_add_up_and_rewards_average() {
        let mut b = ModelBuilder::new(3, 2, 0.5);
        b.transition(0, 1, 2, 0.25, 4.0).transition(0, 1, 1, 0.5, 1.0).transition(0, 1, 2, 0.25, 0.0);
        b.transition(1, 0, 1, 1.0, 7.0).terminal(2);
        let m = b.build().unwrap();
        let out: Vec<_> = m.outcomes(0, 1).collect();
        assert_eq!(out.len(), 2);
        assert_eq!((out[1].next, out[1].prob, out[1].reward), (2, 0.5, 2.0));
        assert_eq!(m.reward()[1], 1.5);
        assert!(!m.is_legal(0, 0) && m.is_legal(0, 1) && !m.is_legal(2, 0));
        assert_eq!(m.outcomes(2, 0).count(), 0);
    }

    #[test]
    fn faults_are_named() {
        let error = |f: &dyn Fn(&mut ModelBuilder)| {
            let mut b = ModelBuilder::new(2, 1, 0.9);
            f(&mut b);
            b.build().unwrap_err().to_string()
        };
        let short = error(&|b| {
            b.transition(0, 0, 1, 0.9, 0.0).terminal(1);
        });
        assert!(short.contains("state 0, action 0 sum to 0.9"), "{short}");
        let dead = error(&|b| {
            b.transition(0, 0, 1, 1.0, 0.0);
        });
        assert!(dead.contains("state 1 has no action"), "{dead}");
        let outside = error(&|b| {
            b.transition(0, 0, 2, 1.0, 0.0);
        });
        assert!(outside.contains("transition 0, 0, 2 is outside"), "{outside}");
        assert!(ModelBuilder::new(usize::MAX, 2, 0.9).build().is_err());
        assert!(ModelBuilder::new(1, 1, 1.5).build().is_err());
    }
}
