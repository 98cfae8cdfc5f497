//! Whatever is asked for: an error in one line, or an environment that keeps its promises under any legal actions.

#![allow(clippy::unwrap_used)]

mod arbitrary_tasks;

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, StepBatch};
use coact_envs::golden::random_actions;
use proptest::prelude::*;

/// Copies of a task; few, so that many tasks are tried.
const E: usize = 2;

/// What one step may show: finite numbers within their bounds, and an action for everybody who lives.
fn assert_sound(env: &dyn BatchEnv, step: &StepBatch, task: &str) {
    for (spec, group) in env.spec().groups.iter().zip(&step.groups) {
        let bounds = spec.obs.iter().flat_map(|f| std::iter::repeat_n((f.low, f.high), f.width));
        let bounds: Vec<_> = bounds.collect();
        for row in group.obs.chunks_exact(bounds.len().max(1)) {
            let inside = |(x, (low, high)): (&f32, &(f32, f32))| x.is_finite() && (*low..=*high).contains(x);
            let hidden = row.iter().all(|x| *x == 0.0);
            assert!(hidden || row.iter().zip(&bounds).all(inside), "{task}: {row:?}");
        }
        assert!(group.reward.iter().all(|r| r.is_finite()), "{task}: {:?}", group.reward);
        let words = spec.mask_words();
        for (row, alive) in group.alive.iter().enumerate() {
            let mask = &group.mask[row * words..(row + 1) * words];
            let some = words == 0 || mask.iter().any(|word| *word != 0);
            assert!(some || !alive, "{task}: no legal action");
        }
    }
    assert!(step.state.iter().all(|x| x.is_finite()), "{task}: {:?}", step.state);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn any_task_is_refused_in_one_line_or_keeps_its_promises(bytes in prop::collection::vec(any::<u8>(), 8..80)) {
        let (name, options) = arbitrary_tasks::task(&mut bytes.into_iter());
        let task = format!("{name} {options}");
        let built = coact_envs::find(&name).and_then(|found| found.build(&options, E));
        let one = coact_envs::find(&name).and_then(|found| found.build_one(&options));
        prop_assert_eq!(built.is_ok(), one.is_ok(), "{}", &task);
        let mut env = match built {
            Ok(env) => env,
            Err(error) => {
                let text = error.to_string();
                prop_assert!(!text.contains('\n') && text.len() > 10, "{}: {}", &task, text);
                return Ok(());
            }
        };
        prop_assert_eq!(one.ok().map(|one| one.spec().clone()), Some(env.spec().clone()));
        let spec = env.spec().clone();
        let (mut step, mut actions) = (StepBatch::new(&spec, E), ActionBatch::new(&spec, E));
        env.reset(5, &mut step).unwrap();
        assert_sound(&*env, &step, &task);
        let mut saved = None;
        for t in 0..24 {
            random_actions(&*env, &step, 9, t, &mut actions);
            if let Err(error) = env.step(&actions, &mut step) {
                // Springs as stiff as that throw carts out of all numbers.
                prop_assert!(name == "cartpole" && error.to_string().contains("finite"), "{}: {}", &task, error);
                return Ok(());
            }
            assert_sound(&*env, &step, &task);
            if t == 11 {
                let mut writer = Writer::new();
                env.save(&mut writer);
                saved = Some((writer.into_bytes(), step.clone()));
            }
        }
        // From the middle on again, to the same end.
        let (bytes, mut again) = saved.unwrap();
        let mut reader = Reader::new("environment", &bytes);
        env.load(&mut reader).unwrap();
        reader.finish().unwrap();
        for t in 12..24 {
            random_actions(&*env, &again, 9, t, &mut actions);
            env.step(&actions, &mut again).unwrap();
        }
        prop_assert!(again == step, "{}", &task);
        prop_assert!(!env.scene(0).shapes.is_empty());
    }
}
