//! Copies that are stepped one by one and copies that are stepped together give the same bits: every environment and many
//! options, ten thousand steps, on one thread and two. (That the portable code gives them too is a unit test.)

#![allow(clippy::unwrap_used)]

#[path = "tasks/forms.rs"]
mod forms;
mod tasks;

use coact_core::{ActionBatch, StepBatch};
use coact_envs::golden::random_actions;

/// Few copies for long, and so many for short that the last block of sixteen is not full.
#[test]
fn every_task_gives_the_same_bits_one_by_one_and_together() {
    for task in tasks::all() {
        let ended = forms::compare(&task, 2, 10_000) + forms::compare(&task, 19, 300);
        assert!(ended > 20, "{task:?}: {ended} episodes ended");
    }
}

/// As many copies as it takes to wake a second thread.
#[test]
fn threads_do_not_show_in_any_task() {
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    for (name, options) in tasks::all() {
        let found = coact_envs::find(&name).unwrap();
        let spec = found.build_one(&options).unwrap().spec().clone();
        let numbers: usize = spec.groups.iter().map(|g| g.n_agents * (g.obs_width() + 2)).sum();
        let n_envs = 40 + (1 << 19) / (numbers + spec.state_width);
        let run = || {
            let mut env = found.build(&options, n_envs).unwrap();
            let (mut step, mut actions) = (StepBatch::new(&spec, n_envs), ActionBatch::new(&spec, n_envs));
            env.reset(3, &mut step).unwrap();
            for t in 0..8 {
                random_actions(&*env, &step, 5, t, &mut actions);
                env.step(&actions, &mut step).unwrap();
            }
            step
        };
        assert!(pool(1).install(run) == pool(2).install(run), "{name} {options}");
    }
}
