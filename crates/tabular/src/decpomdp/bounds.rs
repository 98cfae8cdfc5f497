//! Upper bounds on what a team can get: it would do at least as well if it saw more.
//!
//! For a finite horizon, `V_Dec <= V_POMDP <= V_QMDP <= V_MMDP` from the start:
//! * POMDP: the agents share their observations at once; the belief tree is searched whole.
//! * Q_MDP: the state is revealed after the first joint action.
//! * MMDP: the state is seen all along.

use super::DecPomdp;
use crate::plan::{self, Method, PlanOptions};
use crate::{Error, Result};

/// Bounds for a finite horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// State seen all along.
    pub mmdp: f64,
    /// State seen after the first joint action.
    pub qmdp: f64,
    /// Observations shared; none where the tree has more than ten million leaves.
    pub pomdp: Option<f64>,
}

/// The bounds for `horizon` decisions.
///
/// # Errors
/// A problem that is not one.
pub fn finite(problem: &DecPomdp, horizon: usize) -> Result<Bounds> {
    problem.check()?;
    if !(1..=10_000).contains(&horizon) {
        return Err(Error::invalid(format!("horizon {horizon}; expected 1 to 10000 decisions")));
    }
    let n = problem.n_states();
    let reward = problem.expected_rewards();
    let q = |joint: usize, state: usize, values: &[f64]| -> f64 {
        let after: f64 = problem.transitions(joint, state).map(|(next, p)| p * values[next]).sum();
        reward[joint * n + state] + problem.discount * after
    };
    let joints = 0..problem.n_joint_actions();
    let mut values = vec![0.0; n];
    for _ in 1..horizon {
        let best = |s: usize| joints.clone().map(|j| q(j, s, &values)).fold(f64::NEG_INFINITY, f64::max);
        values = (0..n).map(best).collect();
    }
    let best = |s: usize| joints.clone().map(|j| q(j, s, &values)).fold(f64::NEG_INFINITY, f64::max);
    let start = || problem.start.iter().enumerate().filter(|(_, p)| **p > 0.0);
    let mmdp = start().map(|(s, p)| p * best(s)).sum();
    let blind = |j: usize| start().map(|(s, p)| p * q(j, s, &values)).sum::<f64>();
    let qmdp = joints.clone().map(blind).fold(f64::NEG_INFINITY, f64::max);
    let leaves = (problem.n_joint_actions() as f64 * problem.n_joint_observations() as f64)
        .powi(horizon as i32 - 1)
        * problem.n_joint_actions() as f64
        * n as f64;
    let pomdp = (leaves <= 1e7).then(|| tree(problem, &reward, &problem.start, horizon));
    Ok(Bounds { mmdp, qmdp, pomdp })
}

/// Best value of a (not normalized) belief with all observations shared.
fn tree(problem: &DecPomdp, reward: &[f64], belief: &[f64], left: usize) -> f64 {
    let (n, width) = (problem.n_states(), problem.n_joint_observations());
    let mut best = f64::NEG_INFINITY;
    for joint in 0..problem.n_joint_actions() {
        let mut value: f64 = belief.iter().enumerate().map(|(s, w)| w * reward[joint * n + s]).sum();
        if left > 1 {
            let mut after = vec![0.0; width * n];
            for (state, &w) in belief.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                for (next, p) in problem.transitions(joint, state) {
                    problem.observations_at(joint, next).for_each(|(o, q)| after[o * n + next] += w * p * q);
                }
            }
            for belief in after.chunks_exact(n).filter(|b| b.iter().any(|&w| w > 0.0)) {
                value += problem.discount * tree(problem, reward, belief, left - 1);
            }
        }
        best = best.max(value);
    }
    best
}

/// The MMDP bound for an infinite horizon.
///
/// # Errors
/// A problem that is not one, or a discount of 1.
pub fn infinite(problem: &DecPomdp) -> Result<f64> {
    if problem.discount >= 1.0 {
        return Err(Error::NotApplicable {
            method: "the bound for an infinite horizon",
            reason: "the discount is 1; give a horizon, or a discount below 1".into(),
        });
    }
    let model = problem.to_mmdp()?;
    let plan = plan::plan(&model, Method::ModifiedPolicyIteration, &PlanOptions::default())?;
    Ok(model.start().iter().zip(&plan.values).map(|(p, v)| p * v).sum())
}
