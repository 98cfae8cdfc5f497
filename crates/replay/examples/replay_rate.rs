//! How fast the replay is at one million transitions, on one core: nanoseconds per operation, the best of many
//! rounds. `cargo run --release -p coact-replay --example replay_rate`.

#![allow(clippy::print_stdout, reason = "an example shows its results")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{Batch, Error, Prioritized, PrioritySums, Replay, ReplayConfig, WeightNorm};

const N: usize = 1_000_000;
/// Time spent on each line.
const PATIENCE: Duration = Duration::from_millis(400);

fn main() -> Result<(), Error> {
    sums();
    for n_step in [1, 3] {
        replay(n_step)?;
    }
    Ok(())
}

/// Best time of a call, divided by `operations`, in nanoseconds.
fn best(name: &str, operations: usize, mut call: impl FnMut()) {
    let mut least = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let start = Instant::now();
        call();
        least = least.min(start.elapsed().as_secs_f64());
    }
    println!("{name:<58} {:>9.2} ns", least * 1e9 / operations as f64);
}

fn sums() {
    let mut rng = Stream::new(1, Purpose::Replay, 0, 0);
    let mut sums = PrioritySums::new(N);
    for i in 0..N {
        sums.set(i, 1 + rng.below(1 << 24));
    }
    let ids: Vec<usize> = (0..1 << 12).map(|_| rng.below(N as u32) as usize).collect();
    let leaves: Vec<u32> = ids.iter().map(|_| 1 + rng.below(1 << 24)).collect();
    best("set, 4,096 random leaves", ids.len(), || {
        sums.set_each(ids.iter().zip(&leaves).map(|(&id, &leaf)| (id, leaf)));
    });
    for batch_size in [32, 128, 1024, 65_536] {
        let mut out = vec![0; batch_size];
        best(&format!("stratified draw, batch of {batch_size}"), batch_size, || {
            sums.stratified(|drawn| drawn.fill_with(|| rng.uniform_f64()), &mut out);
            black_box(&out);
        });
    }
    let masses: Vec<u64> = (0..4096).map(|_| (rng.uniform_f64() * sums.total() as f64) as u64).collect();
    best("find, random masses", masses.len(), || {
        for &mass in &masses {
            black_box(sums.find(mass));
        }
    });
}

/// Three agents with 18 numbers each, as in `simple_spread`.
fn spec() -> EnvSpec {
    let team = GroupSpec {
        name: "team".into(),
        n_agents: 3,
        obs: vec![ObsField::unbounded("all", 18)],
        action: ActionSpace::Discrete { n: 5 },
        masked: false,
    };
    EnvSpec {
        name: "rate".into(),
        version: 1,
        groups: vec![team],
        state_width: 0,
        episode_limit: Some(25),
        reward: RewardKind::Common,
    }
}

fn replay(n_step: usize) -> Result<(), Error> {
    let (spec, n_envs) = (spec(), 64);
    let prioritized = Some(Prioritized { alpha: 0.6, eps: 1e-6 });
    for normalize_weights_by in [WeightNorm::Batch, WeightNorm::Buffer] {
        let uniform = ReplayConfig::uniform(N, n_envs);
        let config = ReplayConfig { n_step, prioritized, normalize_weights_by, ..uniform };
        println!(
            "{n_step}-step replay, weights by {normalize_weights_by:?}: {} MiB",
            Replay::memory_bytes(&spec, &config)? >> 20
        );
        let mut replay = Replay::new(&spec, config)?;
        measure(&spec, &mut replay)?;
    }
    Ok(())
}

fn measure(spec: &EnvSpec, replay: &mut Replay) -> Result<(), Error> {
    let n_envs = replay.config().n_envs;
    let (actions, mut step) = (ActionBatch::new(spec, n_envs), StepBatch::new(spec, n_envs));
    replay.begin(&step)?;
    let mut time = 0;
    let mut push = |replay: &mut Replay| {
        time += 1;
        step.is_first.fill(time % 25 == 0);
        step.truncated.fill(time % 25 == 0);
        replay.push(&actions, &step)
    };
    for _ in 0..N / n_envs + 1024 {
        push(replay)?;
    }
    let mut result = Ok(());
    best("  push, per transition", n_envs * 10, || {
        for _ in 0..10 {
            result = result.clone().and(push(replay));
        }
    });
    let mut rng = Stream::new(1, Purpose::Replay, 0, 0);
    let (oldest, stored) = (replay.inserted() - replay.len() as u64 - 256, replay.len() as u32);
    let ids: Vec<u64> = (0..1 << 16).map(|_| oldest + u64::from(rng.below(stored))).collect();
    let td_abs: Vec<f32> = ids.iter().map(|_| rng.uniform() * 4.0).collect();
    best("  update_priorities, 65,536 random transitions", ids.len(), || {
        result = result.clone().and(replay.update_priorities(&ids, &td_abs).map(|_| ()));
    });
    for batch_size in [32, 128, 1024] {
        let mut batch = Batch::new(spec, batch_size);
        best(&format!("  sample with all columns, batch of {batch_size}"), batch_size, || {
            result = result.clone().and(replay.sample(&mut rng, batch_size, 0.5, &mut batch));
            let ids: &[u64] = &batch.ids;
            black_box(ids);
        });
        best(&format!("  update_priorities, batch of {batch_size}"), batch_size, || {
            result =
                result.clone().and(replay.update_priorities(&batch.ids, &td_abs[..batch_size]).map(|_| ()));
        });
    }
    result
}
