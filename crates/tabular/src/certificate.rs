//! Proof of how good values and a policy are, by code that shares nothing with the planners.
//!
//! It walks over the outcomes of the model one by one and computes two residuals: of the optimality equation,
//! `max_s |max_a q(s, a) - v(s)|`, and of the policy's own equation, `max_s |q(s, policy(s)) - v(s)|`. Where `gamma < 1`,
//! `v` is within `residual / (1 - gamma)` of the optimal values, and the policy loses at most the sum of both residuals
//! over `1 - gamma`. Where `gamma` is 1 there is no such bound, and none is claimed.

use crate::model::Model;
use crate::{Error, Result};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// Largest error of the optimality equation over all states.
    pub residual: f64,
    /// State where it is largest.
    pub worst_state: usize,
    /// Largest error of the policy's own equation.
    pub policy_residual: f64,
    /// Largest possible distance of a value from the optimal one; none if `gamma` is 1.
    pub value_bound: Option<f64>,
    /// Largest possible loss of the policy in any state; none if `gamma` is 1.
    pub policy_bound: Option<f64>,
}

/// Computes the certificate of `values` `[S]` and a deterministic `policy` `[S]`.
///
/// # Errors
/// Lengths that do not fit, values that are not finite, illegal actions, terminal states with another value than 0.
pub fn certify(model: &Model, values: &[f64], policy: &[usize]) -> Result<Certificate> {
    let n = model.n_states();
    if values.len() != n || policy.len() != n {
        return Err(Error::invalid(format!(
            "{} values and {} actions for a model of {n} states; expected one of each a state",
            values.len(),
            policy.len()
        )));
    }
    let mut c = Certificate {
        residual: 0.0,
        worst_state: 0,
        policy_residual: 0.0,
        value_bound: None,
        policy_bound: None,
    };
    for state in 0..n {
        let value = values[state];
        if !value.is_finite() {
            let what = format!("the value of state {}", model.state_name(state));
            return Err(Error::BadNumber { what, value, expected: "a finite number" });
        }
        if model.is_terminal(state) {
            if value != 0.0 {
                let what = format!("the value of terminal state {}", model.state_name(state));
                return Err(Error::BadNumber { what, value, expected: "0" });
            }
            continue;
        }
        let action_value = |action: usize| -> f64 {
            model.outcomes(state, action).map(|o| o.prob * (o.reward + model.gamma() * values[o.next])).sum()
        };
        let legal = (0..model.n_actions()).filter(|&a| model.is_legal(state, a));
        let best = legal.map(action_value).fold(f64::NEG_INFINITY, f64::max);
        if policy[state] >= model.n_actions() || !model.is_legal(state, policy[state]) {
            return Err(Error::invalid(format!(
                "action {} of the policy is illegal in state {}",
                policy[state],
                model.state_name(state)
            )));
        }
        if (best - value).abs() > c.residual {
            c.residual = (best - value).abs();
            c.worst_state = state;
        }
        c.policy_residual = c.policy_residual.max((action_value(policy[state]) - value).abs());
    }
    if model.gamma() < 1.0 {
        c.value_bound = Some(c.residual / (1.0 - model.gamma()));
        c.policy_bound = Some((c.residual + c.policy_residual) / (1.0 - model.gamma()));
    }
    Ok(c)
}
