//! After warm-up nothing allocates in collecting (act, step, store) or updating (sample, learn, priorities).
//!
//! One test in a program of its own: the counter sees every thread.

#![allow(clippy::unwrap_used)]

#[path = "training/support.rs"]
#[allow(dead_code)]
mod support;

use std::alloc::System;

use coact_runner::OffPolicy;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::support::Setup;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
    for setup in &mut setups {
        setup.n_envs = 4;
        setup.run.buffer_size = 400;
        setup.run.env_steps = 100_000;
        if setup.env != "probe_masked" {
            setup.wrappers.time_limit = Some(5);
        }
    }
    setups
}

fn go(run: &mut OffPolicy, vector_steps: usize) {
    for _ in 0..vector_steps {
        run.collect().unwrap();
        run.update().unwrap();
    }
}

#[test]
fn collecting_and_updating_allocate_nothing() {
    for setup in setups() {
        let mut run = setup.build();
        (0..40).for_each(|_| run.collect().unwrap());
        // The ring goes around twice, and the window of recent episodes fills.
        go(&mut run, 300);
        // The allocator counts the whole process, and a thread of the test harness may still be starting. What
        // the run itself takes, it takes in every region; what others take once is not in the smallest.
        let taken = |run: &mut OffPolicy| {
            let region = Region::new(ALLOCATOR);
            go(run, 150);
            let change = region.change();
            change.allocations + change.reallocations
        };
        let smallest = (0..3).map(|_| taken(&mut run)).min();
        assert_eq!(smallest, Some(0), "{} in {}", setup.algorithm, setup.env);
    }
}
