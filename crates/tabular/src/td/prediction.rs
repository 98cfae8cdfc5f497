//! The value of a policy, step by step.

use std::collections::VecDeque;

use coact_core::{Purpose, Stream};

use crate::simulate::{World, sample};
use crate::{Error, Result};

/// What an eligibility trace does when a state is visited again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Adds 1.
    Accumulating,
    /// Is set to 1.
    Replacing,
}

/// How far a target looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction {
    /// `n` rewards and the value after them; 1 is TD(0).
    NStep(usize),
    /// All rewards, weighted by `lambda`.
    Lambda(f64, Trace),
}

/// Value `[S]` of a policy `[S, A]` after `episodes`, all starting at `initial`.
///
/// # Errors
/// A policy of another shape, rates outside 0 to 1, or 0 steps.
pub fn predict(
    world: &mut dyn World,
    policy: &[f64],
    method: Prediction,
    gamma: f64,
    alpha: f64,
    initial: f64,
    episodes: u32,
    seed: u64,
) -> Result<Vec<f64>> {
    let (n_states, n_actions) = (world.n_states(), world.n_actions());
    let lambda = match method {
        Prediction::Lambda(lambda, _) => lambda,
        Prediction::NStep(_) => 0.0,
    };
    let unit = |x: f64| (0.0..=1.0).contains(&x);
    if policy.len() != n_states * n_actions
        || !(unit(gamma) && unit(alpha) && unit(lambda))
        || method == Prediction::NStep(0)
    {
        return Err(Error::invalid(format!(
            "a policy of {} numbers, gamma {gamma}, alpha {alpha}, {method:?}; expected [S, A] = {}, rates from 0 to 1 and \
             at least one step",
            policy.len(),
            n_states * n_actions
        )));
    }
    let mut values = vec![initial; n_states];
    let mut rng = Stream::new(seed, Purpose::Explore, 0, 0);
    let mut trace = vec![0.0; n_states];
    // Steps that wait for their target: state and reward.
    let mut waiting: VecDeque<(usize, f64)> = VecDeque::new();
    for _ in 0..episodes {
        let mut state = world.reset();
        trace.fill(0.0);
        loop {
            let action = sample(policy[state * n_actions..][..n_actions].iter().copied(), &mut rng);
            let step = world.step(action);
            let after = if step.terminated { 0.0 } else { values[step.next] };
            match method {
                Prediction::Lambda(lambda, kind) => {
                    trace.iter_mut().for_each(|e| *e *= gamma * lambda);
                    trace[state] = if kind == Trace::Replacing { 1.0 } else { trace[state] + 1.0 };
                    let td_error = step.reward + gamma * after - values[state];
                    values.iter_mut().zip(&trace).for_each(|(v, e)| *v += alpha * td_error * e);
                }
                Prediction::NStep(n) => {
                    waiting.push_back((state, step.reward));
                    while waiting.len() == n || (step.ends_episode() && !waiting.is_empty()) {
                        let target = waiting.iter().rev().fold(after, |g, (_, r)| r + gamma * g);
                        if let Some((state, _)) = waiting.pop_front() {
                            values[state] += alpha * (target - values[state]);
                        }
                    }
                }
            }
            if step.ends_episode() {
                break;
            }
            state = step.next;
        }
    }
    Ok(values)
}
