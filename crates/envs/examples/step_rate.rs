//! Environment steps a second on one core, observations written, actions fixed in advance.
//!
//! `cargo run --release -p coact-envs --example step_rate [SECONDS_EACH] [NAME]`

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use coact_core::{ActionBatch, BatchEnv, StepBatch};
use coact_envs::golden::random_actions;
use serde_json::json;

/// Steps a second: the best and the median of rounds of about 20 ms.
fn rate(env: &mut dyn BatchEnv, seconds: f64) -> Result<(f64, f64), coact_core::Error> {
    let n_envs = env.n_envs();
    let mut step = StepBatch::new(env.spec(), n_envs);
    env.reset(0, &mut step)?;
    // Sixteen batches of random actions in turn: drawing them is not what is measured.
    let mut all = vec![ActionBatch::new(env.spec(), n_envs); 16];
    for (t, actions) in all.iter_mut().enumerate() {
        random_actions(env, &step, 7, t as u64, actions);
    }
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs_f64(seconds) || rounds.len() < 5 {
        let (round, mut n) = (Instant::now(), 0);
        while round.elapsed() < Duration::from_millis(20) {
            for actions in &all {
                env.step(actions, &mut step)?;
            }
            n += all.len() * n_envs;
        }
        rounds.push(n as f64 / round.elapsed().as_secs_f64());
    }
    rounds.sort_by(f64::total_cmp);
    Ok((rounds[rounds.len() - 1], rounds[rounds.len() / 2]))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(1.0), |s| s.parse())?;
    let cases = [
        ("cartpole", json!({"n_agents": 1}), 256),
        ("cartpole", json!({"n_agents": 1}), 1024),
        ("cartpole", json!({"n_agents": 2}), 1024),
        ("cartpole", json!({"n_agents": 2, "coupling": "spring"}), 1024),
        ("simple_spread", json!({}), 64),
        ("simple_spread", json!({}), 256),
        ("simple_spread", json!({}), 1024),
        ("simple_tag", json!({}), 256),
        ("simple_adversary", json!({}), 256),
        ("simple_speaker_listener", json!({}), 256),
        ("simple", json!({}), 256),
        ("climbing", json!({}), 256),
        ("lbf/Foraging-8x8-2p-2f-v3", json!({}), 64),
        ("lbf/Foraging-8x8-2p-2f-v3", json!({}), 256),
        ("lbf/Foraging-15x15-4p-5f-v3", json!({}), 256),
        ("rware/tiny-2ag-v2", json!({}), 16),
        ("rware/tiny-2ag-v2", json!({}), 64),
        ("rware/tiny-2ag-v2", json!({}), 256),
        ("rware/small-4ag-v2", json!({}), 16),
        ("rware/small-4ag-v2", json!({}), 256),
        ("overcooked", json!({}), 64),
        ("traffic_junction", json!({}), 256),
    ];
    let only = std::env::args().nth(2);
    println!("{:28} {:>6} {:>14} {:>14}  options", "environment", "E", "best M/s", "median M/s");
    for (name, options, n_envs) in cases {
        if only.as_deref().is_some_and(|o| !name.starts_with(o)) {
            continue;
        }
        let mut env = coact_envs::find(name)?.build(&options, n_envs)?;
        let (best, median) = rate(&mut *env, seconds)?;
        println!("{name:28} {n_envs:6} {:14.1} {:14.1}  {options}", best / 1e6, median / 1e6);
    }
    Ok(())
}
