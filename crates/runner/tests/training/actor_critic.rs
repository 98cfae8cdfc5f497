//! The actor-critic family on transitions: probes learned to their known values, continuous actions through environment,
//! replay and evaluation, unequal groups, and options that change what is learned.

use coact_runner::{Policy, Training, evaluate};
use serde_json::json;

use crate::reproducible::{expect_same_end_after_cuts, expect_same_hash, expect_same_hash_on_every_isa};
use crate::support::{Setup, values_at};

const GAMMA: f32 = 0.8;

/// Actions are uniform throughout, so that every action is tried as often.
fn probe(env: &'static str, algorithm: &'static str, n_step: usize) -> Setup {
    let soft = algorithm.ends_with("sac");
    let mut setup = Setup::new(env, algorithm).learner(json!({
        "hidden": [32], "init": "orthogonal", "random_env_steps": 1_000_000,
        "learning_rate": 1e-2, "learning_schedule": "linear", "learning_rate_min": 1e-5,
        "target_network_update_freq": 25,
        // Almost no pay for entropy: values are then those of the table.
        "ent_coef": soft.then_some(1e-3),
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

/// Expects values of own actions (`None` for any) where agents see `signal`, within `tolerance`.
fn expect(env: &'static str, tolerance: f32, table: &[(f32, &[Option<f32>])]) {
    for algorithm in ["maddpg", "matd3", "masac", "isac"] {
        for n_step in [1, 3] {
            let mut run = probe(env, algorithm, n_step).train();
            for &(signal, expected) in table {
                let found = values_at(&mut run, &[signal]);
                let pairs = found[0].iter().zip(expected).filter_map(|(f, e)| e.map(|e| (f, e)));
                for (value, expected) in pairs {
                    let near = (value - expected).abs() < tolerance;
                    assert!(
                        near,
                        "{algorithm}, {n_step} steps, {env}: {found:?} at {signal}, not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn one_value() {
    expect("probe_one_value", 0.02, &[(0.0, &[Some(1.0); 2])]);
}

#[test]
fn a_reward_one_step_later_is_worth_the_discount() {
    expect("probe_two_step_discount", 0.02, &[(0.0, &[Some(GAMMA); 2]), (1.0, &[Some(1.0); 2])]);
}

/// A learner that takes the time limit of 10 steps for an end finds 4.46 or less; the lower of two critics is low by some
/// tenths while they still move.
#[test]
fn a_time_limit_bootstraps() {
    expect("probe_truncate_only", 0.2, &[(0.0, &[Some(1.0 / (1.0 - GAMMA)); 2])]);
}

#[test]
fn an_end_in_the_step_of_the_time_limit_does_not_bootstrap() {
    expect("probe_terminate_only", 0.02, &[(0.0, &[Some(1.0); 2])]);
}

#[test]
fn the_right_action_depends_on_the_observation() {
    expect(
        "probe_action_matters",
        0.02,
        &[(-1.0, &[Some(1.0), Some(-1.0)]), (1.0, &[Some(-1.0), Some(1.0)])],
    );
}

fn greedy_return(run: &mut Training, episodes: usize) -> f64 {
    let (learner, env) = run.hand_over().unwrap();
    evaluate(env, Policy::Greedy(learner), episodes, 3, |_, _| {}).unwrap().return_mean
}

/// The illegal action of the second step seems the best there, because it pays 10 in the first; it enters no target and is
/// never taken.
#[test]
fn an_illegal_action_is_neither_bootstrapped_nor_taken() {
    for algorithm in ["maddpg", "matd3", "masac", "isac"] {
        let mut run = probe("probe_masked", algorithm, 1).train();
        assert_eq!(greedy_return(&mut run, 8), 11.0, "{algorithm}");
        let first = &values_at(&mut run, &[0.0])[0];
        let near = |found: f32, expected: f32| (found - expected).abs() < 0.1;
        assert!(near(first[0], GAMMA) && near(first[2], 10.0 + GAMMA), "{algorithm}: {first:?}");
    }
}

#[test]
fn two_agents_coordinate() {
    for algorithm in ["maddpg", "matd3", "masac", "isac"] {
        let settings = json!({"random_env_steps": 200, "sharing": "separate"});
        let mut run = probe("probe_two_agents_coordinate", algorithm, 1).learner(settings).train();
        assert_eq!(greedy_return(&mut run, 8), 2.0, "{algorithm}");
    }
}

/// Two agents whose numbers interact find the one best pair for each observation: centralized or not, with shared weights
/// (of which only the agent's index tells one from the other) or separate ones.
#[test]
fn two_agents_find_the_best_pair_of_numbers() {
    for (algorithm, more) in [
        ("maddpg", json!({})),
        ("maddpg", json!({"critic_input": "state", "exploration_noise": "ornstein_uhlenbeck"})),
        ("maddpg", json!({"other_actions": "policy"})),
        (
            "matd3",
            json!({"exploration_noise": "orthogonal", "target_network_update_freq": null, "tau": 0.05}),
        ),
        ("masac", json!({"sharing": "separate"})),
        ("isac", json!({"sharing": "separate"})),
    ] {
        let mut setup = probe("probe_quadratic", algorithm, 1).learner(json!({
            "random_env_steps": 500, "exploration_noise_scale": 0.2, "actor_reg": 0.0, "learning_rate": 5e-3,
            "ent_coef": null,
        }));
        setup = setup.learner(more.clone());
        setup.wrappers.agent_index = true;
        let found = greedy_return(&mut setup.train(), 16);
        assert!(found > 1.9, "{algorithm} {more}: a return of {found}, not 2");
    }
}

/// A short run, of discrete and of continuous actions, leaves random play (-78 a team) well behind: 256 episodes tell the
/// return to within 3.
#[test]
fn simple_spread_improves() {
    let soft = json!({"ent_coef": 0.01});
    for (algorithm, continuous, more) in [("maddpg", false, json!({})), ("masac", true, soft)] {
        let mut setup = Setup::new("simple_spread", algorithm).learner(json!({
            "hidden": [32, 32], "learning_rate": 3e-3, "random_env_steps": 1_000,
        }));
        setup = setup.learner(more);
        setup.options = json!({"continuous": continuous});
        setup.n_envs = 8;
        setup.wrappers.agent_index = true;
        setup.run.env_steps = 16_000;
        setup.run.buffer_size = 16_000;
        setup.run.batch_size = 128;
        setup.run.learning_starts = 1_000;
        setup.run.update_every = 2;
        setup.run.gamma = 0.9;
        let found = greedy_return(&mut setup.train(), 256);
        assert!(found > -68.0, "{algorithm}, continuous {continuous}: {found}");
    }
}

/// Everything that has state: unequal groups, noise that remembers, resting actors, learned weights of entropy, priorities.
fn busy(algorithm: &'static str) -> Setup {
    let mut setup = Setup::new("simple_tag", algorithm).learner(json!({
        "hidden": [24, 16], "tau": 0.05, "policy_delay": 3, "exploration_noise": "ornstein_uhlenbeck",
        "learning_schedule": "cosine", "random_env_steps": 90, "sharing": "separate",
    }));
    setup.options = json!({"continuous": true});
    setup.n_envs = 3;
    setup.seed = 11;
    setup.wrappers.normalize_obs = true;
    setup.wrappers.last_action = true;
    setup.wrappers.time_limit = Some(7);
    setup.run.env_steps = 600;
    setup.run.buffer_size = 210;
    setup.run.batch_size = 40;
    setup.run.learning_starts = 60;
    setup.run.n_step = 3;
    setup.run.prioritized_replay = true;
    setup.run.eval_every = 150;
    setup.run.log_every = 60;
    setup
}

#[test]
fn threads_and_instruction_sets_do_not_show() {
    for algorithm in ["matd3", "masac"] {
        expect_same_hash(&busy(algorithm), &[2, 3]);
        expect_same_hash_on_every_isa(&busy(algorithm));
    }
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    for algorithm in ["maddpg", "matd3", "masac", "isac"] {
        // Amid episodes, before and after learning began.
        expect_same_end_after_cuts(&busy(algorithm), &[30, 102, 300, 537]);
    }
}
