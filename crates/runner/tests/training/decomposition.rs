//! The decomposition family: known values of the probes, known optima of small games, memory, and runs that are the same
//! bits at any number of threads and after a resumption.

use coact_envs::wrappers::CommonReward;
use coact_kernels::CpuOptions;
use coact_runner::{Evaluation, Policy, Training, evaluate};
use serde_json::{Value, json};

use crate::reproducible::{expect_same_end_after_cuts, expect_same_hash};
use crate::support::{Setup, values_at};

const GAMMA: f32 = 0.8;
const TOLERANCE: f32 = 0.03;

/// A run of one of the family that explores uniformly, on a team reward.
fn setup(env: &'static str, algorithm: &'static str, settings: Value) -> Setup {
    let mut setup = Setup::new(env, algorithm).learner(json!({
        "hidden": [16], "learning_rate": 1e-2, "learning_schedule": "linear", "learning_rate_min": 1e-5,
        "exploration_initial_eps": 1.0, "exploration_final_eps": 1.0,
    }));
    let pqn = algorithm.starts_with("pqn");
    if pqn {
        setup = setup.learner(json!({"epochs": 4, "minibatches": 4}));
    } else {
        setup = setup.learner(json!({"target_network_update_freq": 20}));
    }
    if algorithm.ends_with("-rnn") {
        setup = setup.learner(json!({"cell_width": 16}));
    }
    setup = setup.learner(settings);
    setup.wrappers.common_reward = (!algorithm.contains("iql")).then_some(CommonReward::Mean);
    setup.n_envs = 4;
    setup.run.env_steps = 4_000;
    setup.run.buffer_size = 2_000;
    setup.run.batch_size = 16;
    setup.run.learning_starts = 100;
    setup.run.sequence_length = 4;
    setup.run.rollout_steps = 8;
    setup.run.gamma = GAMMA;
    setup
}

fn greedy(run: &mut Training, episodes: usize) -> Evaluation {
    let (learner, env) = run.hand_over().unwrap();
    evaluate(env, Policy::Greedy(learner), episodes, 3, |_, _| {}).unwrap()
}

/// Methods whose agents' values are values of the game for one agent, each with another part of the machinery.
fn additive() -> Vec<(&'static str, Value)> {
    vec![
        ("iql-rnn", json!({"td_lambda": 0.5})),
        (
            "vdn-rnn",
            json!({"sharing": "separate", "double_q": false, "tau": 0.1, "target_network_update_freq": null}),
        ),
        ("vdn-rnn", json!({"cell": "lstm", "head": [8]})),
        ("vdn-rnn", json!({"cell": "none", "td_lambda": 0.7, "loss": "huber"})),
        ("pqn-iql", json!({"layer_norm": false, "init": "torch", "learning_rate": 2e-2})),
        ("pqn-vdn", json!({"cell": "gru", "cell_width": 16})),
    ]
}

/// Values of the actions where an episode begins with `signal`.
fn expect(env: &'static str, table: &[(f32, &[f32])]) {
    for (algorithm, settings) in additive() {
        let mut run = setup(env, algorithm, settings.clone()).train();
        for &(signal, expected) in table {
            let found = values_at(&mut run, &[signal]).remove(0);
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < TOLERANCE,
                    "{algorithm} {settings}, {env}: at {signal} {found}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn one_value() {
    expect("probe_one_value", &[(0.0, &[1.0; 2])]);
}

#[test]
fn a_reward_one_step_later_is_worth_the_discount() {
    expect("probe_two_step_discount", &[(0.0, &[GAMMA; 2])]);
}

#[test]
fn a_time_limit_bootstraps() {
    expect("probe_truncate_only", &[(0.0, &[1.0 / (1.0 - GAMMA); 2])]);
}

#[test]
fn an_end_in_the_step_of_the_time_limit_does_not_bootstrap() {
    expect("probe_terminate_only", &[(0.0, &[1.0; 2])]);
}

#[test]
fn the_right_action_depends_on_the_observation() {
    expect("probe_action_matters", &[(-1.0, &[1.0, -1.0]), (1.0, &[-1.0, 1.0])]);
}

/// Sequences that begin anywhere, by stored memories and after steps that only warm up.
#[test]
fn burn_in_and_stored_memory_change_no_value() {
    for store_memory in [false, true] {
        let mut setup = setup("probe_truncate_only", "vdn-rnn", json!({}));
        setup.run.burn_in = 2;
        setup.run.store_memory = store_memory;
        let value = values_at(&mut setup.train(), &[0.0])[0][0];
        assert!((value - 1.0 / (1.0 - GAMMA)).abs() < TOLERANCE, "{store_memory}: {value}");
    }
}

/// What mixes values differently still finds the best actions, and takes no illegal one.
#[test]
fn every_method_finds_the_best_actions_of_probes() {
    let methods = [
        "qmix",
        "qplex",
        "qtran",
        "cw-qmix",
        "ow-qmix",
        "iql-rnn",
        "vdn-rnn",
        "qmix-rnn",
        "qplex-rnn",
        "qtran-rnn",
        "cw-qmix-rnn",
        "ow-qmix-rnn",
        "pqn-iql",
        "pqn-vdn",
    ];
    for algorithm in methods {
        for (env, best) in [("probe_action_matters", 1.0), ("probe_masked", 11.0)] {
            let found = greedy(&mut setup(env, algorithm, json!({})).train(), 16);
            assert_eq!((found.return_mean, found.return_std), (best, 0.0), "{algorithm}, {env}");
        }
    }
}

/// Whoever sees only the present cannot know which action pays.
#[test]
fn memory_lasts_and_only_networks_with_memory_have_it() {
    for (algorithm, settings) in [
        ("vdn-rnn", json!({})),
        ("iql-rnn", json!({"cell": "lstm"})),
        ("qmix-rnn", json!({})),
        ("pqn-vdn", json!({"cell": "gru", "cell_width": 16})),
    ] {
        let found = greedy(&mut setup("probe_memory", algorithm, settings).train(), 32);
        assert_eq!((found.return_mean, found.return_std), (1.0, 0.0), "{algorithm}");
    }
    for algorithm in ["vdn-rnn", "pqn-vdn"] {
        let found = greedy(&mut setup("probe_memory", algorithm, json!({"cell": "none"})).train(), 64);
        assert!(found.return_mean.abs() < 0.6, "{algorithm} without a cell: {}", found.return_mean);
    }
}

/// The team of a matrix game with one step's discount 0, explored uniformly.
fn bandit(env: &'static str, options: Value, algorithm: &'static str) -> Setup {
    let mut setup = setup(env, algorithm, json!({"sharing": "separate", "joint_hidden": [32]}));
    setup.options = options;
    setup.wrappers.common_reward = None;
    setup.run.gamma = 0.0;
    setup.run.env_steps = 16_000;
    setup.run.buffer_size = 16_000;
    setup.run.batch_size = 128;
    setup.n_envs = 8;
    setup
}

/// The actions that both agents prefer.
fn preferred(setup: &Setup) -> (usize, usize) {
    let q = values_at(&mut setup.train(), &[0.0]);
    let best = |q: &[f32]| (0..q.len()).max_by(|&a, &b| q[a].total_cmp(&q[b])).unwrap();
    (best(&q[0]), best(&q[1]))
}

/// What an additive or a monotonic fit of the uniformly explored table prefers.
#[test]
fn climbing_and_penalty_mislead_whoever_fits_them_monotonically() {
    for algorithm in ["iql-rnn", "vdn-rnn", "qmix", "qmix-rnn"] {
        let mut climbing = bandit("climbing", Value::Null, algorithm);
        let mut penalty = bandit("penalty", Value::Null, algorithm);
        for setup in [&mut climbing, &mut penalty] {
            if algorithm.ends_with("-rnn") {
                *setup = setup.clone().learner(json!({"cell": "none"}));
                setup.run.sequence_length = 1;
            }
        }
        assert_eq!(preferred(&climbing), (2, 2), "{algorithm}");
        assert_eq!(preferred(&penalty), (1, 1), "{algorithm}");
    }
}

/// QTRAN's matrix: the best cell, 8, is surrounded by -12.
#[test]
fn only_free_values_recover_the_best_cell_of_the_qtran_matrix() {
    let game = || json!({"table": {"payoffs": [[8, -12, -12], [-12, 0, 0], [-12, 0, 0]]}});
    for algorithm in ["qtran", "cw-qmix", "ow-qmix"] {
        let setup = bandit("matrix", game(), algorithm).learner(json!({"wqmix_weight": 0.1}));
        assert_eq!(preferred(&setup), (0, 0), "{algorithm}");
    }
    for algorithm in ["qmix", "vdn-rnn"] {
        let (row, column) = preferred(&bandit("matrix", game(), algorithm));
        assert!(row > 0 && column > 0, "{algorithm}: ({row}, {column})");
    }
}

/// The two-step game: the sum takes the safe 7, a mixing network finds 8 (both agents are paid).
#[test]
fn the_two_step_game_needs_mixing() {
    for (algorithm, expected) in [("vdn-rnn", 14.0), ("qmix", 16.0), ("qmix-rnn", 16.0), ("qplex", 16.0)] {
        let mut setup = setup("two_step", algorithm, json!({"sharing": "separate"}));
        setup.wrappers.common_reward = None;
        setup.run.gamma = 0.99;
        setup.run.env_steps = 8_000;
        setup.run.batch_size = 32;
        setup.n_envs = 8;
        let found = greedy(&mut setup.train(), 2).return_mean;
        assert_eq!(found, expected, "{algorithm}");
    }
}

/// Two groups, masks off and on, wrappers, ends and memory.
fn busy(algorithm: &'static str) -> Setup {
    let mut setup = setup("simple_tag", algorithm, json!({"hidden": [24]}));
    setup.wrappers.agent_index = true;
    setup.wrappers.time_limit = Some(7);
    setup.n_envs = 3;
    setup.run.env_steps = 300;
    setup.run.buffer_size = 210;
    setup.run.batch_size = 20;
    setup.run.learning_starts = 60;
    setup.run.burn_in = if algorithm.ends_with("-rnn") { 1 } else { 0 };
    setup.run.store_memory = algorithm.ends_with("-rnn");
    setup.run.eval_every = 90;
    setup.run.log_every = 30;
    setup
}

fn of_every_kind() -> [Setup; 6] {
    let separate =
        json!({"sharing": "separate", "cell": "lstm", "tau": 0.05, "target_network_update_freq": null});
    [
        busy("qmix"),
        busy("qtran"),
        busy("qplex-rnn"),
        busy("iql-rnn").learner(separate),
        busy("pqn-vdn"),
        busy("pqn-iql").learner(json!({"cell": "gru", "minibatches": 3})),
    ]
}

#[test]
fn threads_do_not_show() {
    for mut setup in of_every_kind() {
        setup.run.batch_size = 200;
        setup.n_envs = 12;
        expect_same_hash(&setup, &[2]);
    }
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    for setup in of_every_kind() {
        // Amid episodes and rollouts.
        expect_same_end_after_cuts(&setup, &[102, 189]);
    }
}

#[test]
fn what_cannot_be_learned_is_refused_in_one_line() {
    for (algorithm, settings, word) in [
        ("qmix", json!({"cell": "gru"}), "-rnn"),
        ("qmix", json!({"td_lambda": 0.5}), "-rnn"),
        ("vdn-rnn", json!({"epochs": 2}), "PQN"),
        ("pqn-vdn", json!({"tau": 0.1}), "target"),
        ("pqn-vdn", json!({"minibatches": 1_000}), "rollout_steps"),
        ("qmix", json!({"hypernet_layers": 3}), "1 or 2"),
        ("qmix", json!({"hiden": [3]}), "hiden"),
        ("ow-qmix", json!({"wqmix_weight": 0.0}), "(0, 1]"),
        ("qmix", json!({"learning_schedule": "piecewise"}), "cosine"),
    ] {
        let error = setup("two_step", algorithm, settings).try_build().err().unwrap().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{algorithm}: {error}");
    }
    let mut own_rewards = setup("simple_tag", "qmix", json!({}));
    own_rewards.wrappers.common_reward = None;
    let error = own_rewards.try_build().err().unwrap().to_string();
    assert!(error.contains("common_reward"), "{error}");
}

/// Convolutions before layers and cells learn, at any number of threads alike.
#[test]
fn observations_that_are_grids_are_convolved() {
    let grid = json!({"channels": 4, "height": 3, "width": 3, "layers": [{"filters": 5, "kernel": 2}]});
    for algorithm in ["vdn-rnn", "pqn-vdn"] {
        let weights = |threads: usize, env_steps: u64| {
            let settings = json!({"grid": grid, "exploration_final_eps": 0.5});
            let mut setup = setup("coin_game", algorithm, settings);
            (setup.run.env_steps, setup.cpu) = (env_steps, CpuOptions { threads, isa: None });
            let mut run = setup.train();
            let tensor = run.hand_over().unwrap().0.policies().remove(0).tensors.remove(0);
            assert_eq!((tensor.name.as_str(), &tensor.shape[..]), ("grid.0.weight", &[5, 4, 2, 2][..]));
            tensor.values
        };
        let learned = weights(1, 600);
        assert_ne!(learned, weights(1, 40), "{algorithm}");
        assert_eq!(learned, weights(2, 600), "{algorithm}");
    }
}
