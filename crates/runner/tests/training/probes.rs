//! The probe environments of `coact-envs`, learned to their known values.
//!
//! Targets are deterministic and learning rates fall to almost zero, so a right learner ends much nearer than the
//! tolerance of 0.02, while every fault that a probe is for moves a value by 0.2 or more.

use coact_runner::{Policy, evaluate};
use serde_json::json;

use crate::support::{Setup, values_at};

const TOLERANCE: f32 = 0.02;
const GAMMA: f32 = 0.8;

fn setup(env: &'static str, algorithm: &'static str, n_step: usize) -> Setup {
    let mut setup = Setup::new(env, algorithm).learner(json!({
        "hidden": [32], "loss": "squared",
        "learning_rate": 2e-2, "learning_schedule": "linear", "learning_rate_min": 1e-5,
        "target_network_update_freq": 25,
        "exploration_initial_eps": 1.0, "exploration_final_eps": 1.0,
    }));
    setup.run.env_steps = 8_000;
    setup.run.buffer_size = 2_000;
    setup.run.batch_size = 32;
    setup.run.learning_starts = 100;
    setup.run.gamma = GAMMA;
    setup.run.n_step = n_step;
    setup.n_envs = 4;
    setup
}

/// Expects action values (at most one a legal action; `None` for any) where agents see `signal`.
fn expect(env: &'static str, algorithm: &'static str, n_step: usize, table: &[(f32, &[Option<f32>])]) {
    let mut run = setup(env, algorithm, n_step).train();
    for &(signal, expected) in table {
        for agent in values_at(&mut run, &[signal]) {
            for (action, (found, expected)) in agent.iter().zip(expected).enumerate() {
                let Some(expected) = expected else { continue };
                assert!(
                    (found - expected).abs() < TOLERANCE,
                    "{algorithm}, {n_step} steps, {env}: Q({signal}, {action}) is {found}, not {expected}"
                );
            }
        }
    }
}

/// Every algorithm, with and without multi-step returns, where all actions are worth the same.
fn expect_values(env: &'static str, table: &[(f32, f32)]) {
    for algorithm in ["iql", "vdn"] {
        for n_step in [1, 3] {
            for &(signal, value) in table {
                expect(env, algorithm, n_step, &[(signal, &[Some(value); 2])]);
            }
        }
    }
}

#[test]
fn one_value() {
    expect_values("probe_one_value", &[(0.0, 1.0)]);
}

#[test]
fn the_observation_is_seen() {
    for algorithm in ["iql", "vdn"] {
        expect("probe_obs_value", algorithm, 1, &[(-1.0, &[Some(-1.0); 2]), (1.0, &[Some(1.0); 2])]);
    }
}

#[test]
fn a_reward_one_step_later_is_worth_the_discount() {
    for algorithm in ["iql", "vdn"] {
        for n_step in [1, 3] {
            let table: [(f32, &[Option<f32>]); 2] = [(0.0, &[Some(GAMMA); 2]), (1.0, &[Some(1.0); 2])];
            expect("probe_two_step_discount", algorithm, n_step, &table);
        }
    }
}

/// A learner that takes the time limit of 10 steps for an end finds 4.46 or less.
#[test]
fn a_time_limit_bootstraps() {
    expect_values("probe_truncate_only", &[(0.0, 1.0 / (1.0 - GAMMA))]);
}

/// A learner that bootstraps through the end finds 5.
#[test]
fn an_end_in_the_step_of_the_time_limit_does_not_bootstrap() {
    expect_values("probe_terminate_only", &[(0.0, 1.0)]);
}

#[test]
fn the_right_action_depends_on_the_observation() {
    for algorithm in ["iql", "vdn"] {
        let table: [(f32, &[Option<f32>]); 2] =
            [(-1.0, &[Some(1.0), Some(-1.0)]), (1.0, &[Some(-1.0), Some(1.0)])];
        expect("probe_action_matters", algorithm, 1, &table);
    }
}

/// The illegal action of the second step seems the best there, because it pays 10 in the first; it enters no
/// target and is never taken.
#[test]
fn an_illegal_action_is_neither_bootstrapped_nor_taken() {
    for algorithm in ["iql", "vdn"] {
        let mut run = setup("probe_masked", algorithm, 1).train();
        let first = &values_at(&mut run, &[0.0])[0];
        let second = &values_at(&mut run, &[1.0])[0];
        for (found, expected) in first.iter().chain(&second[..2]).zip([GAMMA, GAMMA, 10.0 + GAMMA, 0.0, 1.0])
        {
            assert!((found - expected).abs() < 3.0 * TOLERANCE, "{algorithm}: {first:?} {second:?}");
        }
        assert!(second[2] > second[1] + 1.0, "{algorithm}: nothing tempts the learner: {second:?}");
        let (learner, env) = run.hand_over().unwrap();
        let greedy = evaluate(env, Policy::Greedy(learner), 8, 3, |_, _| {}).unwrap();
        assert_eq!((greedy.return_mean, greedy.return_std), (11.0, 0.0));
    }
}

/// Under uniform exploration every action of one agent pays 1/2 whatever the other does; once exploration has
/// fallen to nothing, both agents do the same and know that it pays 1.
#[test]
fn two_agents_coordinate() {
    for algorithm in ["iql", "vdn"] {
        let agents = if algorithm == "vdn" { 0.5 } else { 1.0 };
        let mut uniform = setup("probe_two_agents_coordinate", algorithm, 1).learner(json!({
            "sharing": "separate"
        }));
        uniform.wrappers.common_reward = None;
        let q = values_at(&mut uniform.train(), &[0.0]);
        let best = |q: &[f32]| q.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let total = best(&q[0]) + best(&q[1]);
        // The stored rewards are a sample of 2,000 fair coins: five standard errors of their mean.
        let by_chance = 5.0 * 0.5 / 500_f32.sqrt();
        assert!((total - agents).abs() < by_chance, "{algorithm}, uniform: {q:?}");

        let mut annealed = uniform.learner(json!({
            "exploration_final_eps": 0.0, "exploration_fraction": 0.4
        }));
        annealed.run.buffer_size = 500;
        let mut run = annealed.train();
        let q = values_at(&mut run, &[0.0]);
        let total = best(&q[0]) + best(&q[1]);
        assert!((total - 2.0 * agents).abs() < TOLERANCE, "{algorithm}, annealed: {q:?}");
        let (learner, env) = run.hand_over().unwrap();
        let greedy = evaluate(env, Policy::Greedy(learner), 8, 3, |_, _| {}).unwrap();
        assert_eq!(greedy.return_mean, 2.0, "{algorithm}: both are paid 1");
    }
}
