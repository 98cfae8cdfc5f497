//! After warm-up nothing allocates in collecting (act, step, store) or updating (sample, learn, priorities).
//!
//! A program of its own, without a harness: the counter sees every thread.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../testkit/src/alone.rs"]
mod alone;

#[path = "training/support.rs"]
#[allow(dead_code)]
mod support;

use std::alloc::System;

use coact_algorithms::Feed;
use coact_envs::wrappers::CommonReward;
use coact_runner::Training;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::support::Setup;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    alone::run("collecting_and_updating_allocate_nothing", collecting_and_updating_allocate_nothing);
}

const N_ENVS: usize = 4;
/// Of learners on policy.
const ROLLOUT_STEPS: usize = 6;

fn setups() -> Vec<Setup> {
    let mut setups = Vec::new();
    for algorithm in ["iql", "vdn"] {
        let plain = Setup::new("simple_spread", algorithm);
        // Two groups of unequal agents, every wrapper, every part of replay.
        let mut rich = Setup::new("simple_tag", algorithm).learner(json!({
            "dueling": true, "double_qc": true, "layer_norm": true, "sharing": "separate",
            "exploration_noise": "orthogonal", "tau": 0.01, "optimizer": "rmsprop",
        }));
        rich.wrappers.normalize_obs = true;
        rich.wrappers.normalize_returns = true;
        rich.wrappers.reward_scaling = 0.5;
        rich.wrappers.agent_index = true;
        rich.wrappers.last_action = true;
        rich.run.prioritized_replay = true;
        rich.run.n_step = 3;
        let mut masked = Setup::new("probe_masked", algorithm).learner(json!({"exploration": "boltzmann"}));
        masked.run.prioritized_replay = true;
        let mut threaded = Setup::new("cartpole", algorithm);
        threaded.cpu.threads = 2;
        threaded.run.batch_size = 48;
        setups.extend([plain, rich, masked, threaded]);
    }
    for (algorithm, settings) in [
        ("qmix", json!({"sharing": "separate"})),
        ("qtran", json!({"joint_hidden": [8]})),
        ("iql-rnn", json!({"sharing": "separate", "cell": "lstm", "cell_width": 8})),
        ("qplex-rnn", json!({"cell_width": 8, "tau": 0.1})),
        ("cw-qmix-rnn", json!({"td_lambda": 0.5, "cell_width": 8})),
    ] {
        let mut mixed = Setup::new("simple_tag", algorithm).learner(settings);
        mixed.wrappers.common_reward = Some(CommonReward::Sum);
        mixed.run.sequence_length = 6;
        mixed.run.burn_in = if algorithm.ends_with("-rnn") { 2 } else { 0 };
        mixed.run.store_memory = algorithm == "iql-rnn";
        setups.push(mixed);
    }
    for (algorithm, settings) in [
        ("maddpg", json!({"exploration_noise": "ornstein_uhlenbeck"})),
        ("matd3", json!({"sharing": "separate", "exploration_noise": "orthogonal"})),
        ("masac", json!({"critic_input": "state", "sharing": "separate"})),
        ("isac", json!({"layer_norm": true})),
    ] {
        for continuous in [false, true] {
            let mut acting = Setup::new("simple_tag", algorithm).learner(settings.clone());
            acting = acting.learner(json!({"random_env_steps": 100}));
            acting.options = json!({"continuous": continuous});
            acting.run.prioritized_replay = continuous;
            setups.push(acting);
        }
        setups.push(Setup::new("probe_masked", algorithm));
    }
    for (algorithm, settings) in [
        ("reinforce", json!({})),
        ("ia2c", json!({"sharing": "separate"})),
        ("maa2c", json!({"cell": "lstm", "cell_width": 8})),
        ("ippo", json!({"minibatches": 3})),
        ("ippo", json!({"cell": "gru", "cell_width": 8, "sharing": "separate", "minibatches": 2})),
        ("mappo", json!({"layer_norm": true})),
        ("happo", json!({"minibatches": 2})),
        ("coma", json!({"cell": "gru", "cell_width": 8})),
        ("pqn-vdn", json!({"minibatches": 2})),
    ] {
        for continuous in [false, true] {
            let mut on_policy = Setup::new("simple_tag", algorithm).learner(settings.clone());
            if continuous && matches!(algorithm, "coma" | "pqn-vdn") {
                continue;
            }
            on_policy.options = json!({"continuous": continuous});
            on_policy.wrappers.common_reward = (algorithm == "pqn-vdn").then_some(CommonReward::Sum);
            on_policy.run.rollout_steps = ROLLOUT_STEPS;
            setups.push(on_policy);
        }
    }
    for setup in &mut setups {
        setup.n_envs = N_ENVS;
        setup.run.buffer_size = 400;
        setup.run.env_steps = 100_000;
        if setup.env != "probe_masked" {
            setup.wrappers.time_limit = Some(5);
        }
    }
    setups
}

/// Updates after every step, or (on policy) after every rollout.
fn go(run: &mut Training, on_policy: bool, vector_steps: usize) {
    for _ in 0..vector_steps {
        run.collect().unwrap();
        if !on_policy || run.stored() == ROLLOUT_STEPS * N_ENVS {
            run.update(1).unwrap();
        }
    }
}

fn collecting_and_updating_allocate_nothing() {
    // A thread of the pool takes memory when it begins, which on a busy machine may be long after the pool was made.
    rayon::broadcast(|_| ());
    for setup in setups() {
        let mut run = setup.build();
        let on_policy = coact_algorithms::find(setup.algorithm).unwrap().feed == Feed::OnPolicy;
        if !on_policy {
            (0..40).for_each(|_| run.collect().unwrap());
        }
        // The ring goes around twice, and the window of recent episodes fills.
        go(&mut run, on_policy, 300);
        let region = Region::new(ALLOCATOR);
        go(&mut run, on_policy, 450);
        let change = region.change();
        let taken = change.allocations + change.reallocations;
        assert_eq!(taken, 0, "{} in {}: {change:?}", setup.algorithm, setup.env);
    }
}
