//! The value of a given policy: exactly by elimination, or by sweeps.
//!
//! A policy is a table `[S, A]` of probabilities; rows of terminal states do not matter.

use super::sweep::expected;
use crate::model::Model;
use crate::{Error, Result};

/// Most states for elimination; above, values come from sweeps in place. 2000 states take some seconds and 32 MB.
pub(super) const MAX_ELIMINATED: usize = 2000;

/// Value `[S]` of a stochastic policy `[S, A]`.
///
/// # Errors
/// A table that is not a policy of the model, or a policy that never ends where `gamma` is 1.
pub fn evaluate(model: &Model, policy: &[f64]) -> Result<Vec<f64>> {
    check_policy(model, policy)?;
    if model.n_states > MAX_ELIMINATED {
        return evaluate_sweeps(model, policy, true, 1e-13).map(|(values, _)| values);
    }
    let n = model.n_states;
    let (mut matrix, mut values) = (vec![0.0; n * n], vec![0.0; n]);
    for state in 0..n {
        matrix[state * n + state] = 1.0;
        for action in (0..model.n_actions).filter(|&a| model.is_legal(state, a)) {
            let weight = policy[state * model.n_actions + action];
            if weight == 0.0 {
                continue;
            }
            values[state] += weight * model.reward[state * model.n_actions + action];
            for o in model.outcomes(state, action).filter(|o| !model.terminal[o.next]) {
                matrix[state * n + o.next] -= model.gamma * weight * o.prob;
            }
        }
    }
    eliminate(&mut matrix, &mut values, n)?;
    Ok(values)
}

/// Value of a stochastic policy by sweeps (in place, or all states at once), until the largest change is below
/// `below` or below what doubles resolve; with the number of sweeps that changed more than that.
///
/// # Errors
/// As [`evaluate`]; no convergence in a million sweeps.
pub fn evaluate_sweeps(
    model: &Model,
    policy: &[f64],
    in_place: bool,
    below: f64,
) -> Result<(Vec<f64>, usize)> {
    check_policy(model, policy)?;
    let mut values = vec![0.0; model.n_states];
    let mut old = values.clone();
    let mut change = 0.0_f64;
    for sweep in 1..=1_000_000 {
        change = 0.0;
        let mut largest = 0.0_f64;
        old.copy_from_slice(&values);
        for state in (0..model.n_states).filter(|&s| !model.terminal[s]) {
            let mut value = 0.0;
            for action in 0..model.n_actions {
                let row = state * model.n_actions + action;
                if policy[row] > 0.0 {
                    let seen = if in_place { &values } else { &old };
                    value += policy[row] * (model.reward[row] + model.gamma * expected(model, row, seen));
                }
            }
            change = change.max((value - old[state]).abs());
            largest = largest.max(value.abs());
            values[state] = value;
        }
        if change < below || change <= 4.0 * f64::EPSILON * largest {
            return Ok((values, sweep - 1));
        }
        if !change.is_finite() {
            break;
        }
    }
    Err(Error::NotConverged { method: "policy evaluation", iterations: 1_000_000, residual: change })
}

/// Expected discounted number of visits `[S]` of each state from the start, under a stochastic policy `[S, A]`.
///
/// # Errors
/// As [`evaluate`]; more states than elimination can take.
pub fn occupancy(model: &Model, policy: &[f64]) -> Result<Vec<f64>> {
    check_policy(model, policy)?;
    let n = model.n_states;
    if n > MAX_ELIMINATED {
        return Err(Error::TooLarge {
            what: "the occupancy of a policy".into(),
            estimate: format!("{n} states, at most {MAX_ELIMINATED} are supported"),
            advice: "sample it by simulation",
        });
    }
    let (mut matrix, mut visits) = (vec![0.0; n * n], model.start.clone());
    for state in 0..n {
        matrix[state * n + state] = 1.0;
    }
    for state in (0..n).filter(|&s| !model.terminal[s]) {
        for action in (0..model.n_actions).filter(|&a| model.is_legal(state, a)) {
            let weight = policy[state * model.n_actions + action];
            for o in model.outcomes(state, action).filter(|_| weight > 0.0) {
                matrix[o.next * n + state] -= model.gamma * weight * o.prob;
            }
        }
    }
    eliminate(&mut matrix, &mut visits, n)?;
    Ok(visits)
}

/// The table of a deterministic policy `[S]`.
pub(crate) fn one_hot(model: &Model, policy: &[usize]) -> Vec<f64> {
    let mut table = vec![0.0; model.n_states * model.n_actions];
    for (state, &action) in policy.iter().enumerate() {
        table[state * model.n_actions + action] = 1.0;
    }
    table
}

/// Fails unless `policy` is a table of the model's shape that puts probability on legal actions only.
pub(crate) fn check_policy(model: &Model, policy: &[f64]) -> Result<()> {
    if policy.len() != model.n_states * model.n_actions {
        return Err(Error::invalid(format!(
            "a policy of {} numbers for {} states and {} actions; expected [S, A]",
            policy.len(),
            model.n_states,
            model.n_actions
        )));
    }
    for (state, row) in policy.chunks_exact(model.n_actions).enumerate().filter(|(s, _)| !model.terminal[*s])
    {
        let legal = row.iter().enumerate().all(|(a, &p)| p >= 0.0 && (p == 0.0 || model.is_legal(state, a)));
        let sum: f64 = row.iter().sum();
        if !legal || (sum - 1.0).abs() > crate::model::ROW_TOLERANCE {
            return Err(Error::invalid(format!(
                "the policy of state {} is {row:?}; expected probabilities of legal actions that sum to 1",
                model.state_name(state)
            )));
        }
    }
    Ok(())
}

/// Solves `matrix x = x` in place by elimination with row pivots; `matrix` `[n, n]` is destroyed.
pub(super) fn eliminate(matrix: &mut [f64], x: &mut [f64], n: usize) -> Result<()> {
    for k in 0..n {
        let size = |row: usize| matrix[row * n + k].abs();
        let pivot = (k..n).fold(k, |best, row| if size(row) > size(best) { row } else { best });
        if size(pivot) < 1e-13 {
            return Err(Error::invalid(
                "the policy never ends in some state and gamma is 1, so it has no finite value; \
                 use gamma below 1 or a policy that ends",
            ));
        }
        if pivot != k {
            for j in k..n {
                matrix.swap(k * n + j, pivot * n + j);
            }
            x.swap(k, pivot);
        }
        let (above, below) = matrix.split_at_mut((k + 1) * n);
        let pivot_row = &above[k * n..];
        for row in k + 1..n {
            let r = &mut below[(row - k - 1) * n..][..n];
            let factor = r[k] / pivot_row[k];
            if factor != 0.0 {
                r[k..].iter_mut().zip(&pivot_row[k..]).for_each(|(a, b)| *a -= factor * b);
                x[row] -= factor * x[k];
            }
        }
    }
    for k in (0..n).rev() {
        let row = &matrix[k * n..][..n];
        let known: f64 = row[k + 1..].iter().zip(&x[k + 1..]).map(|(a, b)| a * b).sum();
        x[k] = (x[k] - known) / row[k];
    }
    Ok(())
}
