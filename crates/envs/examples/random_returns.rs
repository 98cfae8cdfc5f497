//! The mean return of the random policy in every environment, as listed in the registry.
//!
//! `cargo run --release -p coact-envs --example random_returns [EPISODES] [PREFIX]`; the listed ones are from 40000.

#![allow(clippy::print_stdout)]

use coact_core::{ActionBatch, StepBatch};
use coact_envs::golden::random_actions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted: f64 = std::env::args().nth(1).map_or(Ok(2_000.0), |n| n.parse())?;
    println!("{:28} {:>10} {:>12} {:>10}", "environment", "listed", "measured", "error");
    let prefix = std::env::args().nth(2).unwrap_or_default();
    for entry in coact_envs::ALL.iter().filter(|e| e.name.starts_with(&prefix)) {
        let n_envs = 256;
        let mut env = entry.build(&serde_json::Value::Null, n_envs)?;
        let mut step = StepBatch::new(env.spec(), n_envs);
        let mut actions = ActionBatch::new(env.spec(), n_envs);
        env.reset(1, &mut step)?;
        let (mut running, mut sum, mut squares, mut n) = (vec![0.0_f64; n_envs], 0.0, 0.0, 0.0);
        let mut t = 0;
        // The first episodes to end are short ones: let every copy play the same number of steps.
        while n < wanted || t % 1000 != 0 {
            random_actions(&*env, &step, 2, t, &mut actions);
            env.step(&actions, &mut step)?;
            for group in &step.groups {
                let per_env = group.reward.len() / n_envs;
                for (row, reward) in group.reward.iter().enumerate() {
                    running[row / per_env] += f64::from(*reward);
                }
            }
            for (total, first) in running.iter_mut().zip(&step.is_first) {
                if *first {
                    sum += *total;
                    squares += *total * *total;
                    n += 1.0;
                    *total = 0.0;
                }
            }
            t += 1;
        }
        let mean = sum / n;
        let error = ((squares / n - mean * mean).max(0.0) / n).sqrt();
        println!("{:28} {:10.3} {:12.4} {:10.4}", entry.name, entry.random_return, mean, error);
    }
    Ok(())
}
