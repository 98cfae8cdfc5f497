//! Every combination of the value family's options trains, stays finite and repeats itself.

use serde_json::json;

use crate::support::Setup;

/// Trains {iql, vdn} x dueling x prioritized x {1, 3} steps x {hard, soft} x {shared, separate} for `exploration`.
fn all_with(exploration: &str) {
    let mut hashes = Vec::new();
    for bits in 0..64_u32 {
        let on = |bit: u32| bits >> bit & 1 == 1;
        let mut setup = Setup::new("simple_spread", if on(0) { "vdn" } else { "iql" }).learner(json!({
            "hidden": [8], "loss": "squared", "exploration": exploration, "dueling": on(1),
            "sharing": if on(2) { "separate" } else { "shared" },
        }));
        let target = if on(3) { json!({"tau": 0.1}) } else { json!({"target_network_update_freq": 5}) };
        setup = setup.learner(target);
        setup.run.n_step = if on(4) { 3 } else { 1 };
        setup.run.prioritized_replay = on(5);
        setup.n_envs = 2;
        setup.run.env_steps = 80;
        let run = setup.train();
        assert!(run.learner().grad_steps() >= 30, "{bits:06b}");
        assert!(run.learner().params().iter().all(|p| p.is_finite()), "{bits:06b}");
        let hash = setup.hash();
        assert_eq!(hash, coact_runner::policy::params_hash(run.learner().params()), "{bits:06b}");
        let twin = hashes.iter().position(|h| *h == hash);
        assert_eq!(twin.map(|t| format!("{t:06b}")), None, "{bits:06b} trains as another combination does");
        hashes.push(hash);
    }
}

#[test]
fn with_epsilon_greedy() {
    all_with("epsilon_greedy");
}

#[test]
fn with_boltzmann() {
    all_with("boltzmann");
}
