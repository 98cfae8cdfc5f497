//! Matrix games under uniform exploration: what a least-squares fit of the payoff table must give.
//!
//! With discount 0 and one constant observation the values of independent learners are the means of rows and
//! columns, and the summed values of a decomposition are the additive fit `row + column - mean`. Both are exact for
//! the expected table; the stored sample differs from it by chance, hence tolerances of five standard errors.

use serde_json::json;

use crate::support::{Setup, values_at};

const STEPS: u64 = 20_000;

fn learned(env: &'static str, algorithm: &'static str) -> Vec<Vec<f32>> {
    // Without a hidden layer the network is a bias an action: nothing but the fit is tested.
    let mut setup = Setup::new(env, algorithm).learner(json!({
        "hidden": [], "sharing": "separate", "loss": "squared",
        "learning_rate": 0.1, "learning_schedule": "linear", "learning_rate_min": 0.0,
        "exploration_initial_eps": 1.0, "exploration_final_eps": 1.0,
        "gradient_clipping_global_norm": null,
    }));
    setup.wrappers.common_reward = None;
    setup.run.env_steps = STEPS;
    setup.run.buffer_size = STEPS as usize;
    setup.run.batch_size = 256;
    setup.run.learning_starts = 1_000;
    setup.run.gamma = 0.0;
    setup.n_envs = 8;
    values_at(&mut setup.train(), &[0.0])
}

/// The payoffs as they are, not as the module remembers them.
fn table(env: &str) -> [[f64; 3]; 3] {
    let mut one = coact_envs::find(env).unwrap().build_one(&serde_json::Value::Null).unwrap();
    let mut rng = coact_core::Stream::new(0, coact_core::Purpose::Reset, 0, 0);
    let mut table = [[0.0; 3]; 3];
    for (a, row) in table.iter_mut().enumerate() {
        for (b, cell) in row.iter_mut().enumerate() {
            one.reset(&mut rng);
            let mut reward = [0.0; 2];
            let given = coact_core::Actions { discrete: &[a as u32, b as u32], continuous: &[] };
            one.step(given, &mut rng, &mut reward, &mut [false; 2]).unwrap();
            *cell = f64::from(reward[0]);
        }
    }
    table
}

fn check(env: &'static str) {
    let payoff = table(env);
    let cells = || payoff.iter().flatten();
    let mean = cells().sum::<f64>() / 9.0;
    let variance = cells().map(|p| (p - mean).powi(2)).sum::<f64>() / 9.0;
    let rows: Vec<f64> = payoff.iter().map(|r| r.iter().sum::<f64>() / 3.0).collect();
    let columns: Vec<f64> = (0..3).map(|b| payoff.iter().map(|r| r[b]).sum::<f64>() / 3.0).collect();

    // A row's mean is over a third of the steps.
    let tolerance = 5.0 * (3.0 * variance / STEPS as f64).sqrt();
    let q = learned(env, "iql");
    for (agent, expected) in [rows.clone(), columns.clone()].iter().enumerate() {
        for (found, expected) in q[agent].iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < tolerance, "{env}, iql agent {agent}: {q:?}");
        }
    }

    // row + column - mean: variances 3 + 3 - 1.
    let tolerance = 5.0 * (5.0 * variance / STEPS as f64).sqrt();
    let q = learned(env, "vdn");
    for (a, row) in rows.iter().enumerate() {
        for (b, column) in columns.iter().enumerate() {
            let (found, expected) = (f64::from(q[0][a] + q[1][b]), row + column - mean);
            assert!((found - expected).abs() < tolerance, "{env}, vdn ({a}, {b}): {found}, not {expected}");
        }
    }
}

/// (2, 2) pays 5, neither the best nor the safe cell: that is what averaging over a random partner gives.
#[test]
fn climbing_gives_the_additive_fit() {
    check("climbing");
    for algorithm in ["iql", "vdn"] {
        let q = learned("climbing", algorithm);
        let best = |q: &[f32]| (0..3).max_by(|&a, &b| q[a].total_cmp(&q[b])).unwrap();
        assert_eq!((best(&q[0]), best(&q[1])), (2, 2), "{algorithm}: {q:?}");
    }
}

/// The middle pays 2 and is safe.
#[test]
fn penalty_gives_the_additive_fit() {
    check("penalty");
    for algorithm in ["iql", "vdn"] {
        let q = learned("penalty", algorithm);
        let best = |q: &[f32]| (0..3).max_by(|&a, &b| q[a].total_cmp(&q[b])).unwrap();
        assert_eq!((best(&q[0]), best(&q[1])), (1, 1), "{algorithm}: {q:?}");
    }
}
