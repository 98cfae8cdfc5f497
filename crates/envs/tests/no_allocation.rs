//! Stepping allocates nothing, wrapped or not, with episodes ending all the time.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../testkit/src/alone.rs"]
mod alone;

use std::alloc::System;

use coact_core::{ActionBatch, StepBatch};
use coact_envs::ALL;
use coact_envs::golden::random_actions;
use coact_envs::scripts::{Actor, Cast, Moment};
use coact_envs::wrappers::{CommonReward, WrapperConfig, wrap};
use serde_json::Value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    // With more threads the queue of the thread pool grows by a block of 1.5 KiB every 63 parallel steps; steps
    // themselves allocate nothing.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    // Its thread allocates while it starts.
    rayon::broadcast(|_| ());
    alone::run("steps_allocate_nothing", steps_allocate_nothing);
    alone::run("scripts_allocate_nothing", scripts_allocate_nothing);
}

fn steps_allocate_nothing() {
    let all_on = WrapperConfig {
        normalize_obs: true,
        normalize_returns: true,
        reward_scaling: 0.5,
        agent_index: true,
        last_action: true,
        common_reward: Some(CommonReward::Mean),
        time_limit: Some(9),
        ..WrapperConfig::default()
    };
    for entry in ALL {
        for config in [WrapperConfig::default(), all_on.clone()] {
            let mut env = wrap(entry.build(&Value::Null, 33).unwrap(), &config).unwrap();
            let mut step = StepBatch::new(env.spec(), 33);
            let mut actions = ActionBatch::new(env.spec(), 33);
            env.reset(1, &mut step).unwrap();
            random_actions(&*env, &step, 1, 0, &mut actions);
            env.step(&actions, &mut step).unwrap();
            let mut ended = false;
            let region = Region::new(GLOBAL);
            for t in 1..181 {
                random_actions(&*env, &step, 1, t, &mut actions);
                env.step(&actions, &mut step).unwrap();
                ended |= step.is_first.contains(&true);
            }
            let change = region.change();
            assert_eq!(change.allocations + change.reallocations, 0, "{}: {change:?}", entry.name);
            let long = env.spec().episode_limit.is_some_and(|limit| limit > 180);
            assert!(ended || long, "{}: no episode ended", entry.name);
        }
    }
}

/// Scripts of whole environments, and one inside a wrapper.
fn scripts_allocate_nothing() {
    let mut played = WrapperConfig::default();
    played.scripted.insert("agent".into(), "flee".into());
    for (entry, cast) in ALL.iter().flat_map(|entry| [(entry, "scripted"), (entry, "uniform")]) {
        let wrapped = cast == "uniform" && entry.name == "simple_tag";
        let config = if wrapped { played.clone() } else { WrapperConfig::default() };
        let mut env = wrap(entry.build(&Value::Null, 33).unwrap(), &config).unwrap();
        let mut cast = Cast::new(env.spec(), cast).unwrap();
        let mut step = StepBatch::new(env.spec(), 33);
        let mut actions = ActionBatch::new(env.spec(), 33);
        env.reset(1, &mut step).unwrap();
        // Scripts learn the floor from the first observation.
        cast.act(&step, Moment { seed: 1, step: 0 }, &mut actions).unwrap();
        let region = Region::new(GLOBAL);
        for t in 0..60 {
            cast.act(&step, Moment { seed: 1, step: t }, &mut actions).unwrap();
            env.step(&actions, &mut step).unwrap();
        }
        let change = region.change();
        assert_eq!(change.allocations + change.reallocations, 0, "{}: {change:?}", entry.name);
    }
}
