//! Prioritized sweeping: the state whose value may be most wrong comes first (Moore and Atkeson 1993).
//!
//! How wrong a state may be is bounded from above: whenever a value changes, each predecessor's bound grows by the
//! change times the discount and the largest probability of getting here. A state waits in the queue under the bound
//! that it had when it was put there, and is put there again once that has doubled. When the queue is empty, every
//! bound is small, and so is the Bellman residual.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::sweep::best;
use super::{Log, Plan, PlanOptions};
use crate::model::{Kernel, Model};
use crate::{Error, Result};

/// A state and the bound of its error when it was put into the queue. Ties go to the lower state.
#[derive(PartialEq)]
struct Entry {
    error: f64,
    state: usize,
}

impl Eq for Entry {}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.error.total_cmp(&other.error).then(other.state.cmp(&self.state))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// States from which each state can be entered, ascending, with the largest probability over their actions.
fn predecessors(model: &Model) -> Vec<Vec<(u32, f64)>> {
    let mut of: Vec<Vec<(u32, f64)>> = vec![Vec::new(); model.n_states];
    let mut note = |row: usize, next: usize, prob: f64| {
        let state = (row / model.n_actions) as u32;
        match of[next].last_mut() {
            Some((last, p)) if *last == state => *p = p.max(prob),
            _ => of[next].push((state, prob)),
        }
    };
    match &model.kernel {
        Kernel::Dense(p) => {
            for (row, p) in p.chunks_exact(model.n_states).enumerate() {
                p.iter().enumerate().filter(|(_, p)| **p > 0.0).for_each(|(next, &p)| note(row, next, p));
            }
        }
        Kernel::Sparse(rows) => {
            for row in 0..model.n_states * model.n_actions {
                let range = rows.offsets[row]..rows.offsets[row + 1];
                range.for_each(|i| note(row, rows.next[i] as usize, rows.prob[i]));
            }
        }
    }
    of
}

/// One iteration of the log is as many backups as there are states.
pub(super) fn prioritized(model: &Model, options: &PlanOptions, log: &mut Log<'_>) -> Result<Plan> {
    let n = model.n_states;
    let enough = match model.gamma {
        1.0 => options.tolerance,
        gamma => options.tolerance * (1.0 - gamma),
    };
    let of = predecessors(model);
    let mut values = vec![0.0; n];
    let mut bound: Vec<f64> = (0..n).map(|state| best(model, state, &values).0.abs()).collect();
    // The bound under which each state waits in the queue; 0 if it does not.
    let mut waits = bound.clone();
    let mut heap: BinaryHeap<Entry> =
        (0..n).filter(|&s| bound[s] > 0.0).map(|state| Entry { error: bound[state], state }).collect();
    let mut backups = 0;
    let mut largest = 0.0_f64;
    while let Some(Entry { error, state }) = heap.pop() {
        if error != waits[state] {
            continue;
        }
        let value = best(model, state, &values).0;
        let change = (value - values[state]).abs();
        values[state] = value;
        (waits[state], bound[state]) = (0.0, 0.0);
        largest = largest.max(change);
        let enough = enough.max(8.0 * f64::EPSILON * value.abs());
        for &(before, prob) in &of[state] {
            let before = before as usize;
            bound[before] += model.gamma * prob * change;
            if bound[before] > enough && bound[before] >= 2.0 * waits[before] {
                waits[before] = bound[before];
                heap.push(Entry { error: bound[before], state: before });
            }
        }
        backups += 1;
        if backups % n == 0 {
            log.push(largest);
            if log.residuals.len() >= options.max_iterations || !largest.is_finite() {
                let iterations = log.residuals.len();
                return Err(Error::NotConverged {
                    method: "prioritized sweeping",
                    iterations,
                    residual: largest,
                });
            }
            largest = 0.0;
        }
    }
    log.push(bound.iter().fold(0.0_f64, |a, &b| a.max(b)));
    Ok(log.finish(model, values))
}
