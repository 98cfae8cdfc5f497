//! The linear program of a model, by the simplex method.
//!
//! Maximize the sum of `x[s, a] r[s, a]` over occupancies `x >= 0` that balance in every state: what leaves it equals
//! what started there plus `gamma` times what enters. Each basis is a deterministic policy, its dual prices are the
//! policy's values, and a pivot switches one action. With Dantzig's rule (largest reduced reward) the number of
//! pivots is strongly polynomial for a fixed discount (Ye 2011). The inverse of the basis is kept by rank-one updates
//! and the result is computed afresh at the end.

use super::evaluation::{MAX_ELIMINATED, evaluate, one_hot};
use super::policy_iteration::{first_policy, q, rounding};
use super::{Log, Plan, PlanOptions};
use crate::model::Model;
use crate::{Error, Result};

pub(super) fn linear_program(model: &Model, options: &PlanOptions, log: &mut Log<'_>) -> Result<Plan> {
    if model.n_states > MAX_ELIMINATED {
        return Err(Error::TooLarge {
            what: "the linear program".into(),
            estimate: format!("{} states, at most {MAX_ELIMINATED} are supported", model.n_states),
            advice: "use value iteration or modified policy iteration",
        });
    }
    let mut policy = first_policy(model)?;
    loop {
        let mut values = evaluate(model, &one_hot(model, &policy))?;
        let Some(entering) = entering(model, &policy, &values) else {
            log.push(0.0);
            return Ok(log.finish(model, values));
        };
        let mut basis = Basis::new(model, &policy)?;
        let mut next = Some(entering);
        while let Some((state, action, gain)) = next {
            log.push(gain);
            if log.residuals.len() >= options.max_iterations {
                let iterations = log.residuals.len();
                return Err(Error::NotConverged { method: "the linear program", iterations, residual: gain });
            }
            if !basis.pivot(model, &mut policy, &mut values, (state, action, gain)) {
                return Err(Error::invalid(
                    "the linear program is unbounded: a policy collects reward without end and gamma is 1",
                ));
            }
            next = self::entering(model, &policy, &values);
        }
    }
}

/// The pair with the largest reduced reward above rounding.
fn entering(model: &Model, policy: &[usize], values: &[f64]) -> Option<(usize, usize, f64)> {
    let mut best = None;
    let mut largest = rounding(values, model);
    for state in (0..model.n_states).filter(|&s| !model.terminal[s]) {
        for action in (0..model.n_actions).filter(|&a| a != policy[state] && model.is_legal(state, a)) {
            let gain = q(model, state, action, values) - values[state];
            if gain > largest {
                largest = gain;
                best = Some((state, action, gain));
            }
        }
    }
    best
}

/// Inverse of `I - gamma P` of a policy, `[S, S]`.
struct Basis {
    inverse: Vec<f64>,
    n: usize,
}

impl Basis {
    fn new(model: &Model, policy: &[usize]) -> Result<Self> {
        let n = model.n_states;
        // [matrix | identity], reduced in place.
        let mut matrix = vec![0.0; n * n];
        let mut inverse = vec![0.0; n * n];
        for state in 0..n {
            matrix[state * n + state] = 1.0;
            inverse[state * n + state] = 1.0;
            for o in model.outcomes(state, policy[state]).filter(|o| !model.is_terminal(o.next)) {
                matrix[state * n + o.next] -= model.gamma * o.prob;
            }
        }
        // Rows of I - gamma P are diagonally dominant, so that no row needs to be exchanged.
        for k in 0..n {
            let pivot = matrix[k * n + k];
            if pivot.abs() < 1e-13 {
                return Err(Error::invalid("a policy never ends and gamma is 1; use gamma below 1"));
            }
            let row: Vec<f64> = matrix[k * n + k..(k + 1) * n].to_vec();
            let inverse_row: Vec<f64> = inverse[k * n..(k + 1) * n].to_vec();
            for i in (0..n).filter(|&i| i != k) {
                let factor = matrix[i * n + k] / pivot;
                if factor != 0.0 {
                    matrix[i * n + k..(i + 1) * n].iter_mut().zip(&row).for_each(|(a, b)| *a -= factor * b);
                    inverse[i * n..(i + 1) * n]
                        .iter_mut()
                        .zip(&inverse_row)
                        .for_each(|(a, b)| *a -= factor * b);
                }
            }
        }
        for k in 0..n {
            let pivot = matrix[k * n + k];
            inverse[k * n..(k + 1) * n].iter_mut().for_each(|x| *x /= pivot);
        }
        Ok(Self { inverse, n })
    }

    /// Switches `state` to `action`, whose reduced reward is `gain`; false if that is unbounded.
    fn pivot(
        &mut self,
        model: &Model,
        policy: &mut [usize],
        values: &mut [f64],
        (state, action, gain): (usize, usize, f64),
    ) -> bool {
        let n = self.n;
        let column: Vec<f64> = (0..n).map(|i| self.inverse[i * n + state]).collect();
        // d = gamma (P of the old action - P of the new one), as d^T inverse.
        let mut row = vec![0.0; n];
        for (which, sign) in [(policy[state], 1.0), (action, -1.0)] {
            for o in model.outcomes(state, which).filter(|o| !model.is_terminal(o.next)) {
                let weight = sign * model.gamma * o.prob;
                row.iter_mut().zip(&self.inverse[o.next * n..]).for_each(|(r, x)| *r += weight * x);
            }
        }
        let denominator = 1.0 + row[state];
        if denominator <= 1e-13 {
            return false;
        }
        for (i, &c) in column.iter().enumerate().filter(|(_, c)| **c != 0.0) {
            let factor = c / denominator;
            self.inverse[i * n..(i + 1) * n].iter_mut().zip(&row).for_each(|(a, b)| *a -= factor * b);
            values[i] += factor * gain;
        }
        policy[state] = action;
        true
    }
}
