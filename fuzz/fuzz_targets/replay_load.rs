//! A saved replay with bytes changed: loading is refused, or gives a replay that works.

#![no_main]

use coact_core::codec::{Reader, Writer};
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_replay::{Batch, Prioritized, Replay, ReplayConfig, WeightNorm};
use libfuzzer_sys::fuzz_target;

fn spec() -> EnvSpec {
    let group = GroupSpec {
        name: "team".into(),
        n_agents: 2,
        obs: vec![ObsField::unbounded("x", 1)],
        action: ActionSpace::Discrete { n: 40 },
        masked: true,
    };
    EnvSpec {
        name: "fuzz".into(),
        version: 1,
        groups: vec![group],
        state_width: 1,
        episode_limit: Some(3),
        reward: RewardKind::PerAgent,
    }
}

/// A replay of two environments after `n_pushes` steps.
fn replay(n_pushes: usize, prioritized: bool) -> Replay {
    let spec = spec();
    let config = ReplayConfig {
        n_step: 2,
        prioritized: prioritized.then_some(Prioritized { alpha: 0.6, eps: 1e-6 }),
        normalize_weights_by: WeightNorm::Buffer,
        ..ReplayConfig::uniform(14, 2)
    };
    let mut replay = Replay::new(&spec, config).unwrap();
    if n_pushes > 0 {
        replay.begin(&StepBatch::new(&spec, 2)).unwrap();
    }
    for t in 1..n_pushes {
        push(&mut replay, t);
    }
    replay
}

/// Fails only before `begin`, and a changed byte may say that nothing was begun yet.
fn push(replay: &mut Replay, t: usize) {
    let spec = spec();
    let mut step = StepBatch::new(&spec, 2);
    step.is_first = vec![t % 3 == 0, t % 4 == 0];
    step.truncated = vec![true, t % 8 == 0];
    let _ = replay.push(&ActionBatch::new(&spec, 2), &step);
}

fuzz_target!(|input: &[u8]| {
    let [n_pushes, kind, edits @ ..] = input else { return };
    let (n_pushes, prioritized) = (*n_pushes as usize % 24, kind & 1 == 1);
    let mut writer = Writer::new();
    replay(n_pushes, prioritized).save(&mut writer);
    let mut bytes = writer.into_bytes();
    for edit in edits.chunks_exact(3) {
        let at = u16::from_le_bytes([edit[0], edit[1]]) as usize % (bytes.len() + 1);
        match bytes.get_mut(at) {
            Some(byte) if edit[2] != 0 => *byte = edit[2] - 1,
            _ => bytes.truncate(at),
        }
    }
    let mut loaded = replay(5, prioritized);
    let mut reader = Reader::new("replay", &bytes);
    let refused = loaded.load(&mut reader).is_err();
    let mut batch = Batch::new(&spec(), 1);
    let mut rng = Stream::new(1, Purpose::Replay, 0, 0);
    if refused {
        assert!(loaded.is_empty(), "a refused state left something behind");
        loaded.begin(&StepBatch::new(&spec(), 2)).unwrap();
    }
    for t in 0..40 {
        if !loaded.is_empty() {
            loaded.sample(&mut rng, loaded.len(), 0.5, &mut batch).unwrap();
            if prioritized {
                loaded.update_priorities(&batch.ids, &vec![0.5; batch.size]).unwrap();
            }
        }
        push(&mut loaded, t);
    }
});
