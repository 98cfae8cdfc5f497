//! Value iteration, synchronous and in place, and modified policy iteration.

use super::sweep::{backup, backup_policy, best};
use super::{Log, Plan, PlanOptions};
use crate::model::Model;
use crate::{Error, Result};

/// Smallest and largest change over all states.
fn change(old: &[f64], new: &[f64]) -> (f64, f64) {
    old.iter().zip(new).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (o, n)| {
        let d = n - o;
        (low.min(d), high.max(d))
    })
}

/// Changes below this are rounding of values of this size.
fn rounding(values: &[f64]) -> f64 {
    8.0 * f64::EPSILON * values.iter().fold(0.0_f64, |a, v| a.max(v.abs()))
}

/// Value iteration; with `sweeps`, each greedy policy is evaluated by so many more sweeps.
///
/// Where `gamma < 1` the optimum lies between `next + c * min` and `next + c * max` of the changes, `c = gamma / (1 -
/// gamma)` (MacQueen 1966, Porteus 1971): the iteration stops once that band is as narrow as twice the tolerance, and
/// returns its middle.
pub(super) fn synchronous(
    model: &Model,
    options: &PlanOptions,
    sweeps: usize,
    log: &mut Log<'_>,
) -> Result<Plan> {
    let method = if sweeps == 0 { "value iteration" } else { "modified policy iteration" };
    let n = model.n_states;
    let (mut values, mut next, mut policy) = (vec![0.0; n], vec![0.0; n], vec![0; n]);
    let scale = model.gamma / (1.0 - model.gamma);
    let has_terminal = model.terminal.iter().any(|&t| t);
    for _ in 0..options.max_iterations {
        backup(model, &values, &mut next, &mut policy);
        let (mut low, mut high) = change(&values, &next);
        let residual = low.abs().max(high.abs());
        log.push(residual);
        std::mem::swap(&mut values, &mut next);
        if has_terminal {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if model.gamma == 1.0 {
            if residual <= options.tolerance.max(rounding(&values)) {
                return Ok(log.finish(model, values));
            }
        } else if residual <= rounding(&values) {
            return Ok(log.finish(model, values));
        } else if scale * (high - low) / 2.0 <= options.tolerance {
            let middle = scale * (high + low) / 2.0;
            values.iter_mut().zip(&model.terminal).filter(|(_, t)| !**t).for_each(|(v, _)| *v += middle);
            return Ok(log.finish(model, values));
        }
        if !residual.is_finite() {
            break;
        }
        for _ in 0..sweeps {
            backup_policy(model, &policy, &values, &mut next);
            let (low, high) = change(&values, &next);
            std::mem::swap(&mut values, &mut next);
            // Once a sweep changes all states alike, more of them say nothing about which action is best.
            if scale.is_finite() && scale * (high - low) / 2.0 <= options.tolerance {
                break;
            }
        }
    }
    let residual = log.residuals.last().copied().unwrap_or(f64::NAN);
    Err(Error::NotConverged { method, iterations: log.residuals.len(), residual })
}

/// Value iteration in place: each state sees the new values of those before it.
pub(super) fn gauss_seidel(model: &Model, options: &PlanOptions, log: &mut Log<'_>) -> Result<Plan> {
    let mut values = vec![0.0; model.n_states];
    // The distance to the optimum is at most gamma / (1 - gamma) times the largest change of a sweep.
    let enough = match model.gamma {
        1.0 => options.tolerance,
        gamma => options.tolerance * (1.0 - gamma) / gamma.max(f64::MIN_POSITIVE),
    };
    for _ in 0..options.max_iterations {
        let mut residual = 0.0_f64;
        for state in 0..model.n_states {
            let value = best(model, state, &values).0;
            residual = residual.max((value - values[state]).abs());
            values[state] = value;
        }
        log.push(residual);
        if residual <= enough.max(rounding(&values)) {
            return Ok(log.finish(model, values));
        }
        if !residual.is_finite() {
            break;
        }
    }
    let residual = log.residuals.last().copied().unwrap_or(f64::NAN);
    Err(Error::NotConverged {
        method: "Gauss-Seidel value iteration",
        iterations: log.residuals.len(),
        residual,
    })
}
