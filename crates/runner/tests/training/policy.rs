//! The policy family through the training loop: probes, and runs that are the same bits however they are computed or
//! interrupted. Values and options are tested beside the family.

use coact_runner::{Policy, evaluate};
use serde_json::{Value, json};

use crate::reproducible::{expect_same_end_after_cuts, expect_same_hash, expect_same_hash_on_every_isa};
use crate::support::{Setup, values_at};

const ALL: [&str; 7] = ["reinforce", "ia2c", "maa2c", "ippo", "mappo", "coma", "happo"];

fn setup(env: &'static str, algorithm: &'static str, more: Value) -> Setup {
    let mut setup = Setup::new(env, algorithm)
        .learner(json!({
            "hidden": [16], "cell_width": 8, "learning_rate": 1e-2, "learning_schedule": "linear",
            "learning_rate_min": 1e-5, "ent_coef": 1e-3, "gradient_clipping_global_norm": 10.0,
        }))
        .learner(more);
    setup.n_envs = 8;
    setup.run.rollout_steps = 16;
    setup.run.env_steps = 100 * 8 * 16;
    setup.run.gamma = 0.8;
    setup
}

#[test]
fn the_best_actions_are_found_and_become_certain() {
    for algorithm in ALL {
        for (env, best) in [("probe_two_agents_coordinate", 2.0), ("probe_masked", 11.0)] {
            let mut run = setup(env, algorithm, json!({})).train();
            let (learner, copies) = run.hand_over().unwrap();
            let greedy = evaluate(copies, Policy::Greedy(learner), 8, 3, |_, _| {}).unwrap();
            assert_eq!((greedy.return_mean, greedy.return_std), (best, 0.0), "{algorithm}, {env}");
        }
        let mut run = setup("probe_action_matters", algorithm, json!({})).train();
        for (signal, best) in [(-1.0, 0), (1.0, 1)] {
            let p = &values_at(&mut run, &[signal])[0];
            assert!((p[0] + p[1] - 1.0).abs() < 1e-5 && p[best] > 0.9, "{algorithm}: {p:?} at {signal}");
        }
    }
}

/// Telling blindly on the last day is worth 1.444, and learners like to stay there; the best is 2.222.
#[test]
fn memory_solves_the_switch_riddle() {
    let mut setup = Setup::new("switch_riddle", "mappo").learner(json!({
        "hidden": [64], "cell": "gru", "learning_rate": 3e-3, "learning_schedule": "linear", "ent_coef": 5e-3,
    }));
    setup.n_envs = 16;
    setup.run.rollout_steps = 24;
    setup.run.env_steps = 250_000;
    setup.run.gamma = 1.0;
    let mut run = setup.train();
    let (learner, copies) = run.hand_over().unwrap();
    let greedy = evaluate(copies, Policy::Greedy(learner), 2000, 3, |_, _| {}).unwrap();
    assert!(greedy.return_mean > (1.444 + 2.222) / 2.0, "{}", greedy.return_mean);
}

#[test]
fn what_an_update_measures_is_told() {
    let (_, diary, _) = setup("probe_one_value", "mappo", json!({})).watch();
    for name in ["policy_loss", "value_loss", "entropy", "kl", "clip_fraction", "explained_variance"] {
        assert!(!diary.steps_of(&format!("learn/{name}")).is_empty(), "{name}");
    }
}

/// Two groups of unequal agents, wrappers, ends, memory.
fn busy(algorithm: &'static str, more: Value) -> Setup {
    let env = if algorithm == "coma" { "simple_speaker_listener" } else { "simple_tag" };
    let mut setup = setup(env, algorithm, json!({"hidden": [24], "minibatches": 2})).learner(more);
    setup.wrappers.agent_index = true;
    setup.wrappers.time_limit = Some(7);
    setup.n_envs = 3;
    setup.run.rollout_steps = 10;
    setup.run.env_steps = 300;
    setup.run.eval_every = 90;
    setup.run.log_every = 30;
    setup
}

fn of_every_kind() -> Vec<Setup> {
    let mut setups: Vec<Setup> = ALL.into_iter().map(|algorithm| busy(algorithm, json!({}))).collect();
    setups.push(busy("mappo", json!({"cell": "gru"})));
    setups.push(busy("ippo", json!({"cell": "lstm", "sharing": "separate"})));
    setups.push(busy("coma", json!({"cell": "gru", "target_network_update_freq": 3})));
    setups
}

#[test]
fn threads_do_not_show() {
    for mut setup in of_every_kind() {
        setup.n_envs = 12;
        setup.run.rollout_steps = 40;
        setup.run.env_steps = 960;
        expect_same_hash(&setup, &[2]);
    }
}

#[test]
fn instruction_sets_do_not_show() {
    for setup in of_every_kind() {
        expect_same_hash_on_every_isa(&setup);
    }
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    for setup in of_every_kind() {
        // Amid episodes and rollouts.
        expect_same_end_after_cuts(&setup, &[102, 189]);
    }
}
