//! A saved state that was changed is refused, or steps to an error or to finite numbers; it never slips infinities to
//! a learner. Found by fuzzing: an infinite position of an agent that no longer acts, and numbers so
//! large that the step failed, and the next one did not.

#![allow(clippy::unwrap_used)]

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, StepBatch};
use serde_json::Value;

#[test]
fn an_infinity_in_a_saved_state_never_reaches_a_learner() {
    for (entry, steps) in coact_envs::ALL.iter().flat_map(|entry| [(entry, 1), (entry, 15)]) {
        let mut env = entry.build(&Value::Null, 2).unwrap();
        let spec = env.spec().clone();
        let (mut step, mut actions) = (StepBatch::new(&spec, 2), ActionBatch::new(&spec, 2));
        env.reset(3, &mut step).unwrap();
        // A constant action fells the first pole of each pair, an alternating one keeps the second up.
        for t in 0..steps {
            if entry.name == "cartpole" {
                actions.discrete[0] = vec![0, t % 2, 0, t % 2];
            }
            env.step(&actions, &mut step).unwrap();
        }
        let fallen = step.groups[0].alive.contains(&false);
        assert_eq!(fallen, entry.name == "cartpole" && steps == 15, "{}", entry.name);
        let mut writer = Writer::new();
        env.save(&mut writer);
        let whole = writer.into_bytes();
        let changes = [f32::INFINITY, f32::MAX, 1e30, 1e20, 1e15, 1e10, 1e6].map(f32::to_le_bytes);
        for (at, change) in (0..whole.len().saturating_sub(3)).flat_map(|at| changes.map(|c| (at, c))) {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&change);
            if env.load(&mut Reader::new("environment", &bytes)).is_err() {
                continue;
            }
            // Also in the step after one that failed.
            for _ in 0..2 {
                if env.step(&actions, &mut step).is_ok() {
                    let finite =
                        step.groups.iter().all(|g| g.obs.iter().chain(&g.reward).all(|x| x.is_finite()));
                    assert!(finite, "{}: byte {at}", entry.name);
                }
            }
        }
    }
}

/// Its episode would be over: such a state is never saved, and no step could leave it.
#[test]
fn an_environment_without_a_standing_cart_is_refused() {
    for n_agents in [1, 2] {
        let options = serde_json::json!({"n_agents": n_agents});
        let mut env = coact_envs::find("cartpole").unwrap().build(&options, 3).unwrap();
        let mut step = StepBatch::new(env.spec(), 3);
        env.reset(3, &mut step).unwrap();
        let mut writer = Writer::new();
        env.save(&mut writer);
        let mut bytes = writer.into_bytes();
        // Behind the seed and four columns of numbers, each with its length, stands who is up.
        let rows = 3 * n_agents;
        let up = bytes
            .windows(4 * rows)
            .rposition(|w| w == [1_u32; 8][..rows].iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>());
        let up = up.unwrap();
        bytes[up..up + 4 * n_agents].fill(0);
        let error = env.load(&mut Reader::new("environment", &bytes)).unwrap_err().to_string();
        assert!(error.contains("are down"), "{error}");
    }
}
