//! Traces of Gymnasium's CartPole against one cart of `cartpole`.

use coact_core::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Certificate, Comparison, Replayed, Tally, read, torn, widened};
use crate::cartpole::physics::Integrator;
use crate::cartpole::{CartPole, CartPoleOptions};
use crate::rules::{ActionsOf, Outcome, Rules};

#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    integrator: String,
    init: [f64; 4],
    actions: Vec<u32>,
    states: Vec<[f64; 4]>,
    rewards: Vec<f64>,
    terminated_at: Option<usize>,
}

/// Replays the file.
pub(super) fn verify(value: &Value) -> Result<Certificate> {
    let file: File = read(value, "cartpole")?;
    let mut tally = Tally::new(value, "cartpole");
    for (index, case) in file.cases.iter().enumerate() {
        let integrator = match case.integrator.as_str() {
            "euler" => Integrator::Euler,
            "semi-implicit" => Integrator::SemiImplicit,
            _ => return Err(torn("cartpole", index, "the integrator is neither euler nor semi-implicit")),
        };
        if case.actions.len() != case.states.len() || case.actions.len() != case.rewards.len() {
            return Err(torn("cartpole", index, "actions, states and rewards differ in number"));
        }
        if case.actions.iter().any(|a| *a > 1) {
            return Err(torn("cartpole", index, "an action is neither 0 nor 1"));
        }
        let rules = CartPole::new(&CartPoleOptions { n_agents: 1, ..Default::default() })?;
        let rules = rules.with_integrator(integrator);
        tally.add(replay::<f64>(&rules, case, 1e-9), replay::<f32>(&rules, case, 1e-5));
    }
    Ok(tally.certificate)
}

fn replay<R: Replayed>(rules: &CartPole, case: &Case, tolerance: f64) -> Comparison {
    let mut comparison = Comparison::default();
    let mut vars = case.init.map(R::of);
    let mut alive = true;
    for (t, action) in case.actions.iter().enumerate() {
        let (mut reward, mut terminated) = ([R::of(0.0)], [false]);
        let actions = ActionsOf { discrete: &[*action], continuous: &[] };
        let outcome = Outcome { reward: &mut reward, terminated: &mut terminated };
        rules.advance::<R>(&mut vars, &[alive], actions, outcome, &mut [R::of(0.0)]);
        let step = t + 1;
        let both = (tolerance, tolerance);
        comparison.close(|| format!("state after step {step}"), &widened(&vars), &case.states[t], both);
        comparison.close(
            || format!("reward of step {step}"),
            &widened(&reward),
            &[case.rewards[t]],
            (0.0, 0.0),
        );
        let ended = case.terminated_at == Some(step);
        comparison.same(|| format!("termination in step {step}"), terminated[0], ended);
        comparison.steps += 1;
        alive &= !terminated[0];
    }
    comparison
}
