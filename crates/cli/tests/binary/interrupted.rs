//! Killed at any moment and resumed, a run ends with the same bits.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use coact_core::{Purpose, Stream};
use coact_runner::metrics::read_metrics;
use serde_json::Value;

use crate::support::{coact, folder, last_json, succeed};

const RESUME: [&str; 5] = ["train", "--resume", "run", "--quiet", "--json"];

/// About a second of training with a checkpoint every 400 steps and much that has state.
fn train<'a>(out: &'a str, ending: &'a str) -> Vec<&'a str> {
    let mut args =
        vec!["train", "--env", "simple_spread", "--algorithm", "vdn", "--quiet", "--json", "--out", out];
    for pair in [
        "n_envs=4",
        "common_reward=mean",
        "normalize_obs=true",
        "normalize_returns=true",
        "last_action=true",
        "prioritized_replay=true",
        "n_step=3",
        "batch_size=32",
        "buffer_size=4000",
        "learning_starts=200",
        "eval_every=1000",
        "eval_episodes=4",
        "final_eval_episodes=4",
        "log_every=200",
        "checkpoint_every=400",
        "exploration_noise=ornstein_uhlenbeck",
        "learning_schedule=cosine",
        "threads=1",
        ending,
    ] {
        args.extend(["--set", pair]);
    }
    args
}

/// Starts `args`, kills it after `delay`; true if it had ended by itself.
fn kill_after(dir: &Path, args: &[&str], delay: Duration) -> bool {
    let mut child = coact(dir, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap().success()
}

/// Records of each kind come once a step, in order.
fn assert_metrics_are_whole(run: &Path, expected: &Path) {
    let steps = |dir: &Path, name: &str| -> Vec<(u64, f64)> {
        let records = read_metrics(&dir.join("metrics.jsonl")).unwrap();
        records.iter().filter_map(|r| Some((r.env_steps, r.get(name)?))).collect()
    };
    for name in ["eval/return", "count/grad_steps", "learn/loss", "train/return"] {
        let found = steps(run, name);
        assert!(found.windows(2).all(|w| w[0].0 < w[1].0), "{name}: {found:?}");
        assert_eq!(found, steps(expected, name), "{name}");
    }
}

fn killed_at_random(ending: &str, seed: u64, kills: usize) {
    let dir = folder();
    let began = Instant::now();
    let whole: Value = last_json(&succeed(dir.path(), &train("whole", ending)));
    let wall = began.elapsed();
    let mut rng = Stream::new(seed, Purpose::Eval, 0, 0);
    let mut delay = || wall.mul_f64(0.05 + 0.45 * rng.uniform_f64());
    // The first kill comes when there is a configuration to resume from.
    let mut first = coact(dir.path(), &train("run", ending)).stdout(Stdio::null()).spawn().unwrap();
    while !dir.path().join("run/config.toml").exists() {
        std::thread::yield_now();
    }
    std::thread::sleep(delay());
    first.kill().unwrap();
    first.wait().unwrap();
    for _ in 1..kills {
        if kill_after(dir.path(), &RESUME, delay()) {
            break;
        }
    }
    let resumed = last_json(&succeed(dir.path(), &RESUME));
    for key in
        ["params_hash", "env_steps", "grad_steps", "episodes", "evaluation", "stopped_by", "policy_env_steps"]
    {
        assert_eq!(resumed[key], whole[key], "{key}, seed {seed}");
    }
    assert_metrics_are_whole(&dir.path().join("run"), &dir.path().join("whole"));
    // Once more on the finished run: nothing changes.
    let again = last_json(&succeed(dir.path(), &RESUME));
    assert_eq!(again["params_hash"], whole["params_hash"]);
    assert_metrics_are_whole(&dir.path().join("run"), &dir.path().join("whole"));
}

#[test]
fn killed_runs_end_with_the_same_bits() {
    killed_at_random("env_steps=6000", 1, 5);
}

/// The end is a number of episodes, which falls between checkpoints and evaluations.
#[test]
fn killed_runs_end_after_the_same_episode() {
    killed_at_random("max_episodes=170", 2, 4);
}

/// Many more moments; minutes.
#[test]
fn killed_runs_end_with_the_same_bits_at_many_moments() {
    if std::env::var_os("COACT_SLOW_TESTS").is_none() {
        return;
    }
    for seed in 10..30 {
        killed_at_random("env_steps=12000", seed, 12);
    }
}

/// Killed before anything but the configuration was written, or amid the first files.
#[test]
fn a_run_killed_at_its_very_start_begins_again() {
    let dir = folder();
    let whole = last_json(&succeed(dir.path(), &train("whole", "env_steps=1000")));
    for torn in [&[][..], &["metrics.jsonl"], &["events"]] {
        let run = dir.path().join("run");
        std::fs::create_dir_all(run.join("checkpoints")).unwrap();
        std::fs::copy(dir.path().join("whole/config.toml"), run.join("config.toml")).unwrap();
        for file in torn {
            let name = if *file == "events" { "events.out.tfevents.1700000000.host" } else { file };
            std::fs::write(run.join(name), "").unwrap();
        }
        let resumed = last_json(&succeed(dir.path(), &RESUME));
        assert_eq!(resumed["params_hash"], whole["params_hash"], "{torn:?}");
        assert_metrics_are_whole(&run, &dir.path().join("whole"));
        std::fs::remove_dir_all(run).unwrap();
    }
}
