//! A saved state that was changed is refused, or steps to an error or to finite numbers; it never slips infinities to
//! a learner. Found by fuzzing: an infinite position of an agent that no longer acts.

#![allow(clippy::unwrap_used)]

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, StepBatch};
use serde_json::Value;

#[test]
fn an_infinity_in_a_saved_state_never_reaches_an_observation() {
    for entry in coact_envs::ALL {
        let mut env = entry.build(&Value::Null, 2).unwrap();
        let spec = env.spec().clone();
        let (mut step, mut actions) = (StepBatch::new(&spec, 2), ActionBatch::new(&spec, 2));
        env.reset(3, &mut step).unwrap();
        // A constant action fells the first pole of each pair, an alternating one keeps the second up.
        for t in 0..15 {
            if entry.name == "cartpole" {
                actions.discrete[0] = vec![0, t % 2, 0, t % 2];
            }
            env.step(&actions, &mut step).unwrap();
        }
        let fallen = step.groups[0].alive.contains(&false);
        assert_eq!(fallen, entry.name == "cartpole", "{}", entry.name);
        let mut writer = Writer::new();
        env.save(&mut writer);
        let whole = writer.into_bytes();
        for at in 0..whole.len().saturating_sub(3) {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
            if env.load(&mut Reader::new("environment", &bytes)).is_err() {
                continue;
            }
            if env.step(&actions, &mut step).is_ok() {
                let finite = step.groups.iter().all(|g| g.obs.iter().all(|x| x.is_finite()));
                assert!(finite, "{}: byte {at}", entry.name);
            }
        }
    }
}
