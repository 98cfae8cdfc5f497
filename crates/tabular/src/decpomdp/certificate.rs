//! What a joint policy is worth, and what any agent would gain by another one, by code that shares nothing with the
//! solvers: it follows the policy forward, as a list of (state, sequences of all agents, probability).
//!
//! No gain means a stable joint policy (an equilibrium of the team). That it is the best of all is proven by this only
//! where the value reaches an upper bound; for small problems exhaustive search is the proof.

use super::{AgentPolicy, DecPomdp};
use crate::{Error, Result};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamCertificate {
    /// Expected discounted sum of rewards.
    pub value: f64,
    /// What each agent would gain by its best response.
    pub gains: Vec<f64>,
}

/// One way things may have gone: state, number of each agent's sequence, probability.
type Branch = (usize, Vec<usize>, f64);

/// Computes the certificate of a joint policy for `horizon` decisions.
///
/// # Errors
/// Policies that do not fit the problem.
pub fn certify(problem: &DecPomdp, horizon: usize, policies: &[AgentPolicy]) -> Result<TeamCertificate> {
    problem.check()?;
    check(problem, horizon, policies)?;
    let start: Vec<Branch> = problem
        .start()
        .iter()
        .enumerate()
        .filter(|(_, p)| **p > 0.0)
        .map(|(s, &p)| (s, vec![0; problem.n_agents()], p))
        .collect();
    let value = follow(problem, horizon, policies, None, 0, start.clone());
    let gains = (0..problem.n_agents())
        .map(|agent| (follow(problem, horizon, policies, Some(agent), 0, start.clone()) - value).max(0.0))
        .collect();
    Ok(TeamCertificate { value, gains })
}

fn check(problem: &DecPomdp, horizon: usize, policies: &[AgentPolicy]) -> Result<()> {
    if policies.len() != problem.n_agents() || !(1..=64).contains(&horizon) {
        return Err(Error::invalid(format!(
            "{} policies of horizon {horizon} for {} agents; expected one each, and 1 to 64 decisions",
            policies.len(),
            problem.n_agents()
        )));
    }
    for (agent, policy) in policies.iter().enumerate() {
        let seen = problem.n_observations()[agent];
        let mut length = 0_usize;
        let mut level = 1_usize;
        for _ in 0..horizon {
            length = length.saturating_add(level);
            level = level.saturating_mul(seen);
        }
        let n_actions = problem.n_actions()[agent];
        if policy.n_observations != seen
            || policy.actions.len() != length
            || policy.actions.iter().any(|&a| a >= n_actions)
        {
            return Err(Error::invalid(format!(
                "the policy of agent {agent} has {} actions over {} observations; expected {length} actions below \
                 {n_actions} over {seen} observations",
                policy.actions.len(),
                policy.n_observations
            )));
        }
    }
    Ok(())
}

/// Value of all branches from decision `t` on; with `free`, that agent chooses anew, the same action for all branches,
/// which must share its sequence.
fn follow(
    problem: &DecPomdp,
    horizon: usize,
    policies: &[AgentPolicy],
    free: Option<usize>,
    t: usize,
    branches: Vec<Branch>,
) -> f64 {
    if t == horizon || branches.is_empty() {
        return 0.0;
    }
    let sizes = problem.n_actions();
    let choices = free.map_or(1, |agent| sizes[agent]);
    let mut best = f64::NEG_INFINITY;
    for choice in 0..choices {
        let mut value = 0.0;
        let mut after: Vec<Branch> = Vec::new();
        for (state, sequences, weight) in &branches {
            let mut joint = 0;
            for agent in 0..sizes.len() {
                let own =
                    if free == Some(agent) { choice } else { policies[agent].action(t, sequences[agent]) };
                joint = joint * sizes[agent] + own;
            }
            value += weight * problem.reward(joint, *state);
            if t + 1 == horizon {
                continue;
            }
            for (next, p) in problem.transitions(joint, *state) {
                for (seen, q) in problem.observations_at(joint, next) {
                    let longer = |(agent, s): (usize, &usize)| {
                        s * policies[agent].n_observations + problem.observation_of(seen, agent)
                    };
                    after.push((next, sequences.iter().enumerate().map(longer).collect(), weight * p * q));
                }
            }
        }
        // One node a sequence of the free agent; all branches together where nobody is free.
        let key = |b: &Branch| free.map_or(0, |agent| b.1[agent]);
        after.sort_by_key(key);
        while !after.is_empty() {
            let this = key(&after[after.len() - 1]);
            let from = after.partition_point(|b| key(b) < this);
            let group = after.split_off(from);
            value += problem.discount() * follow(problem, horizon, policies, free, t + 1, group);
        }
        best = best.max(value);
    }
    best
}
