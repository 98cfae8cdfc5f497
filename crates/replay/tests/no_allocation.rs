//! Nothing is allocated in `push`, `sample` and `update_priorities` after warm-up. Alone in its program, without a
//! harness, because the counter counts every thread.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../../testkit/src/alone.rs"]
mod alone;

use std::alloc::System;

use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{Batch, Prioritized, Replay, ReplayConfig, WeightNorm};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    alone::run("push_sample_and_update_priorities", push_sample_and_update_priorities);
}

fn spec() -> EnvSpec {
    let group = |name: &str, action| GroupSpec {
        name: name.into(),
        n_agents: 2,
        obs: vec![ObsField::unbounded("x", 5)],
        masked: matches!(action, ActionSpace::Discrete { .. }),
        action,
    };
    EnvSpec {
        name: "counted".into(),
        version: 1,
        groups: vec![
            group("walkers", ActionSpace::Discrete { n: 5 }),
            group("drivers", ActionSpace::Continuous { width: 2, low: -1.0, high: 1.0 }),
        ],
        state_width: 3,
        episode_limit: Some(7),
        reward: RewardKind::PerAgent,
    }
}

fn push_sample_and_update_priorities() {
    let (spec, n_envs) = (spec(), 4);
    for (prioritized, normalize_weights_by, n_step) in [
        (None, WeightNorm::Batch, 1),
        (Some(Prioritized { alpha: 0.6, eps: 1e-6 }), WeightNorm::Batch, 3),
        (Some(Prioritized { alpha: 0.6, eps: 1e-6 }), WeightNorm::Buffer, 3),
    ] {
        let config =
            ReplayConfig { n_step, prioritized, normalize_weights_by, ..ReplayConfig::uniform(400, n_envs) };
        let mut replay = Replay::new(&spec, config).unwrap();
        let (actions, mut step) = (ActionBatch::new(&spec, n_envs), StepBatch::new(&spec, n_envs));
        let mut batch = Batch::new(&spec, 64);
        let td_abs = vec![0.5; 64];
        let mut rng = Stream::new(0, Purpose::Replay, 0, 0);
        replay.begin(&step).unwrap();
        let mut round = |replay: &mut Replay, t: u64| {
            step.is_first.fill(t % 7 == 6);
            step.truncated.fill(t % 7 == 6);
            replay.push(&actions, &step).unwrap();
            if replay.len() >= 64 {
                replay.sample(&mut rng, 64, 0.4, &mut batch).unwrap();
                if replay.config().prioritized.is_some() {
                    replay.update_priorities(&batch.ids, &td_abs).unwrap();
                }
            }
        };
        // The first time around the ring included: the columns have their memory from the start.
        for t in 0..20 {
            round(&mut replay, t);
        }
        let region = Region::new(GLOBAL);
        (20..1_220).for_each(|t| round(&mut replay, t));
        let change = region.change();
        assert_eq!(change.allocations + change.reallocations, 0, "{prioritized:?}: {change:?}");
    }
}
