//! Every environment under any name and options, with arbitrary actions, legal or not: an error, or finite numbers and
//! somebody who can act; and a saved state, whole or changed, never breaks it.

#![no_main]

#[path = "../../crates/envs/tests/arbitrary_tasks/mod.rs"]
mod arbitrary_tasks;

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, StepBatch};
use libfuzzer_sys::fuzz_target;

fn assert_sound(env: &dyn BatchEnv, step: &StepBatch) {
    for (group, spec) in step.groups.iter().zip(&env.spec().groups) {
        assert!(group.obs.iter().chain(&group.reward).all(|x| x.is_finite()), "{}", env.spec().name);
        let words = spec.mask_words();
        let n = spec.action.n_discrete();
        for (row, &alive) in group.alive.iter().enumerate() {
            let mask = &group.mask[row * words..(row + 1) * words];
            let legal = |a: usize| mask[a / 32] >> (a % 32) & 1 == 1;
            assert!(!alive || words == 0 || (0..n).any(legal), "{}: no legal action", env.spec().name);
        }
    }
    assert!(step.state.iter().all(|x| x.is_finite()), "{}", env.spec().name);
}

/// An action: mostly of its space, now and then not.
fn action(byte: u8, n: usize) -> u32 {
    if byte == 255 { u32::MAX } else { u32::from(byte) % (n as u32 + u32::from(byte > 250)) }
}

fuzz_target!(|input: &[u8]| {
    let [n_envs, seed, tape @ ..] = input else { return };
    let mut tape = tape.iter().copied();
    let (name, options) = arbitrary_tasks::task(&mut tape);
    let n_envs = 1 + *n_envs as usize % 3;
    let mut env = match coact_envs::find(&name).and_then(|found| found.build(&options, n_envs)) {
        Ok(env) => env,
        Err(error) => return assert!(!error.to_string().contains('\n'), "{name} {options}: {error}"),
    };
    let spec = env.spec().clone();
    let (mut step, mut actions) = (StepBatch::new(&spec, n_envs), ActionBatch::new(&spec, n_envs));
    env.reset(u64::from(*seed), &mut step).unwrap();
    assert_sound(env.as_ref(), &step);
    while let Some(what) = tape.next() {
        if what == 0 {
            let mut writer = Writer::new();
            env.save(&mut writer);
            let mut bytes = writer.into_bytes();
            if let (Some(at), Some(value)) = (tape.next(), tape.next())
                && let Some(byte) = bytes.get_mut(usize::from(at))
            {
                *byte ^= value;
            }
            if env.load(&mut Reader::new("environment", &bytes)).is_err() {
                env.reset(u64::from(*seed), &mut step).unwrap();
            }
        }
        for (g, group) in spec.groups.iter().enumerate() {
            for a in &mut actions.discrete[g] {
                *a = action(tape.next().unwrap_or(0), group.action.n_discrete());
            }
            for x in &mut actions.continuous[g] {
                let byte = tape.next().unwrap_or(0);
                *x = if byte == 255 { f32::NAN } else { f32::from(byte) / 64.0 - 2.0 };
            }
        }
        if env.step(&actions, &mut step).is_ok() {
            assert_sound(env.as_ref(), &step);
        }
    }
});
