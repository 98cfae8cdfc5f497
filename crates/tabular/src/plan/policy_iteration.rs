//! Howard's policy iteration: evaluate, make greedy, until nothing is better.

use super::evaluation::{evaluate, one_hot};
use super::sweep::expected;
use super::{Log, Plan, PlanOptions};
use crate::model::Model;
use crate::{Error, Result};

/// How much better, relative to the size of values, an action must be to replace the present one. Smaller gains
/// are rounding, and chasing them could cycle.
const GAIN: f64 = 1e-12;

/// A policy that ends from wherever an end can be reached: each state takes the action that may bring it nearer.
/// Where `gamma < 1` the first legal action does.
///
/// # Errors
/// `gamma` is 1 and some state cannot reach an end.
pub(super) fn first_policy(model: &Model) -> Result<Vec<usize>> {
    let legal = |state: usize| (0..model.n_actions).filter(move |&a| model.is_legal(state, a));
    let mut policy: Vec<usize> = (0..model.n_states).map(|s| legal(s).next().unwrap_or(0)).collect();
    if model.gamma < 1.0 {
        return Ok(policy);
    }
    let mut reaches: Vec<bool> = model.terminal.clone();
    loop {
        let mut found = Vec::new();
        for state in (0..model.n_states).filter(|&s| !reaches[s]) {
            let near = |action: usize| model.outcomes(state, action).any(|o| reaches[o.next]);
            if let Some(action) = legal(state).find(|&a| near(a)) {
                found.push((state, action));
            }
        }
        if found.is_empty() {
            break;
        }
        for (state, action) in found {
            policy[state] = action;
            reaches[state] = true;
        }
    }
    match reaches.iter().position(|&r| !r) {
        None => Ok(policy),
        Some(state) => Err(Error::NotApplicable {
            method: "a method that evaluates policies",
            reason: format!(
                "gamma is 1 and state {} never reaches an end; use gamma below 1, or value iteration",
                model.state_name(state)
            ),
        }),
    }
}

/// Action value of a legal action.
pub(super) fn q(model: &Model, state: usize, action: usize, values: &[f64]) -> f64 {
    let row = state * model.n_actions + action;
    model.reward[row] + model.gamma * expected(model, row, values)
}

/// Size below which differences of action values are rounding.
pub(super) fn rounding(values: &[f64], model: &Model) -> f64 {
    let size = values.iter().chain(&model.reward).fold(0.0_f64, |a, b| a.max(b.abs()));
    GAIN * size.max(f64::MIN_POSITIVE)
}

pub(super) fn policy_iteration(model: &Model, options: &PlanOptions, log: &mut Log<'_>) -> Result<Plan> {
    let mut policy = first_policy(model)?;
    for _ in 0..options.max_iterations {
        let values = evaluate(model, &one_hot(model, &policy))?;
        let least = rounding(&values, model);
        let mut residual = 0.0_f64;
        let mut changed = false;
        for state in (0..model.n_states).filter(|&s| !model.terminal[s]) {
            let present = q(model, state, policy[state], &values);
            let mut best = (present, policy[state]);
            for action in (0..model.n_actions).filter(|&a| model.is_legal(state, a)) {
                let value = q(model, state, action, &values);
                if value > best.0 + least {
                    best = (value, action);
                }
            }
            residual = residual.max(best.0 - present);
            changed |= best.1 != policy[state];
            policy[state] = best.1;
        }
        log.push(residual);
        if !changed {
            return Ok(log.finish(model, values));
        }
    }
    let residual = log.residuals.last().copied().unwrap_or(f64::NAN);
    Err(Error::NotConverged { method: "policy iteration", iterations: log.residuals.len(), residual })
}
