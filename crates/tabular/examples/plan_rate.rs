//! Times of planning in random models of 1,000 states and 4 actions, dense and sparse, in milliseconds.
//!
//! `cargo run --release -p coact-tabular --example plan_rate -- [GAMMA] [TOLERANCE]`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Instant;

use coact_core::{Purpose, Stream};
use coact_tabular::Result;
use coact_tabular::certificate::certify;
use coact_tabular::model::{Model, ModelBuilder};
use coact_tabular::plan::{Method, PlanOptions, plan};

const N_STATES: usize = 1_000;
const N_ACTIONS: usize = 4;
/// Outcomes of an action in the sparse model.
const N_NEXT: usize = 10;
const REPEATS: usize = 21;

fn dense(gamma: f64) -> Result<Model> {
    let mut rng = Stream::new(0, Purpose::Init, 0, 0);
    let mut p: Vec<f64> = (0..N_STATES * N_ACTIONS * N_STATES).map(|_| rng.uniform_f64()).collect();
    for row in p.chunks_exact_mut(N_STATES) {
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    let reward = (0..N_STATES * N_ACTIONS).map(|_| rng.normal()).collect();
    Model::dense(N_STATES, N_ACTIONS, gamma, p, reward)
}

fn sparse(gamma: f64) -> Result<Model> {
    let mut rng = Stream::new(0, Purpose::Init, 1, 0);
    let mut b = ModelBuilder::new(N_STATES, N_ACTIONS, gamma);
    for state in 0..N_STATES {
        for action in 0..N_ACTIONS {
            let weights: Vec<f64> = (0..N_NEXT).map(|_| rng.uniform_f64()).collect();
            let sum: f64 = weights.iter().sum();
            let reward = rng.normal();
            for w in weights {
                b.transition(state, action, rng.below(N_STATES as u32) as usize, w / sum, reward);
            }
        }
    }
    b.build()
}

fn main() -> Result<()> {
    let number = |i: usize, otherwise: f64| -> f64 {
        std::env::args().nth(i).and_then(|x| x.parse().ok()).unwrap_or(otherwise)
    };
    let gamma = number(1, 0.95);
    let options = PlanOptions { tolerance: number(2, 1e-8), ..PlanOptions::default() };
    println!(
        "{N_STATES} states, {N_ACTIONS} actions, gamma {gamma}, tolerance {:e}; median of {REPEATS}",
        options.tolerance
    );
    for (name, model) in [("dense", dense(gamma)?), ("sparse", sparse(gamma)?)] {
        for (label, method) in [
            ("modified policy iteration", Method::ModifiedPolicyIteration),
            ("value iteration", Method::ValueIteration),
        ] {
            let mut times = Vec::new();
            let mut last = None;
            for _ in 0..REPEATS {
                let start = Instant::now();
                last = Some(plan(&model, method, &options)?);
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            if let Some(plan) = last {
                let proof = certify(&model, &plan.values, &plan.policy)?;
                println!(
                    "{name:<7} {label:<26} {:>8.3} ms  (fastest {:.3})  {} iterations, loss at most {:.1e}",
                    times[REPEATS / 2],
                    times[0],
                    plan.iterations,
                    proof.policy_bound.unwrap_or(f64::NAN)
                );
            }
        }
    }
    Ok(())
}
