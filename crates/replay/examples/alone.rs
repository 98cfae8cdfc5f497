//! `coact-replay` by itself: two agents on a line, prioritized three-step replay, no other part of coact but the
//! plain data types. `cargo run -p coact-replay --example alone`.

#![allow(clippy::print_stdout, reason = "an example shows its results")]

use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{Batch, Error, Prioritized, Replay, ReplayConfig};

/// Steps of an episode.
const LIMIT: u32 = 20;

fn main() -> Result<(), Error> {
    // What is stored: two agents that see a position each and go left, stay or go right.
    let walkers = GroupSpec {
        name: "walkers".into(),
        n_agents: 2,
        obs: vec![ObsField::new("position", 1, -20.0, 20.0)],
        action: ActionSpace::Discrete { n: 3 },
        masked: false,
    };
    let spec = EnvSpec {
        name: "line".into(),
        version: 1,
        groups: vec![walkers],
        state_width: 0,
        episode_limit: Some(LIMIT),
        reward: RewardKind::PerAgent,
    };
    let config = ReplayConfig {
        n_step: 3,
        gamma: 0.9,
        prioritized: Some(Prioritized { alpha: 0.6, eps: 1e-6 }),
        ..ReplayConfig::uniform(1_000, 1)
    };
    println!("{} transitions take {} bytes", config.capacity, Replay::memory_bytes(&spec, &config)?);
    let mut replay = Replay::new(&spec, config)?;

    // Steps go in. Where an episode ends, `final_obs` is its last observation and `obs` the first of the next one.
    let (mut step, mut actions) = (StepBatch::new(&spec, 1), ActionBatch::new(&spec, 1));
    let mut explore = Stream::new(1, Purpose::Explore, 0, 0);
    replay.begin(&step)?;
    for t in 1..=500 {
        for agent in 0..2 {
            actions.discrete[0][agent] = explore.below(3);
            let moved = actions.discrete[0][agent] as f32 - 1.0;
            step.groups[0].obs[agent] += moved;
            step.groups[0].reward[agent] = -step.groups[0].obs[agent].abs();
        }
        step.is_first[0] = t % LIMIT == 0;
        step.truncated[0] = step.is_first[0];
        if step.is_first[0] {
            let group = &mut step.groups[0];
            group.final_obs.copy_from_slice(&group.obs);
            group.obs.fill(0.0);
        }
        replay.push(&actions, &step)?;
    }

    // Batches come out, and errors go back as priorities.
    let mut batch = Batch::new(&spec, 8);
    let mut rng = Stream::new(1, Purpose::Replay, 0, 0);
    for round in 0..3 {
        replay.sample(&mut rng, 8, 0.4, &mut batch)?;
        let reward = batch.reward_view(0).mean().unwrap_or_default();
        println!("round {round}: ids {:?}, mean three-step reward {reward:.2}", batch.ids);
        let td_abs: Vec<f32> = batch.reward_view(0).outer_iter().map(|r| r.sum().abs()).collect();
        replay.update_priorities(&batch.ids, &td_abs)?;
    }
    Ok(())
}
