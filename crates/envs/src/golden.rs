//! Golden playthroughs: ten steps of an environment as text, to be reviewed as a diff when a number changes.

use std::fmt::Write;

use coact_core::{ActionBatch, BatchEnv, Purpose, Result, StepBatch, Stream};
use serde_json::Value;

use crate::EnvEntry;

/// Steps of a playthrough.
const STEPS: u64 = 10;

/// Name of the file of a playthrough.
pub fn file_name(entry: &EnvEntry) -> String {
    format!("{}.txt", entry.name.replace('/', "-"))
}

/// Seed 0, default options, ten steps of pseudo-random legal actions: observations, rewards and ends, every
/// number in full.
///
/// # Errors
/// An environment that cannot be built or stepped with its default options.
pub fn playthrough(entry: &EnvEntry) -> Result<String> {
    let mut env = entry.build(&Value::Null, 1)?;
    let mut step = StepBatch::new(env.spec(), 1);
    let mut actions = ActionBatch::new(env.spec(), 1);
    env.reset(0, &mut step)?;
    let mut text = format!("{}, version {}, seed 0\n", entry.name, env.spec().version);
    describe(&*env, &step, None, &mut text);
    for t in 0..STEPS {
        random_actions(&*env, &step, 0, t, &mut actions);
        env.step(&actions, &mut step)?;
        text.push_str(&format!("step {}\n", t + 1));
        describe(&*env, &step, Some(&actions), &mut text);
    }
    Ok(text)
}

/// Fills `actions` with uniformly random actions, legal ones where masks say so: those of step `t` of a random
/// policy named `seed`.
pub fn random_actions(env: &dyn BatchEnv, step: &StepBatch, seed: u64, t: u64, actions: &mut ActionBatch) {
    for (g, group) in env.spec().groups.iter().enumerate() {
        let mut rng = Stream::new(seed, Purpose::Explore, g as u32, t);
        let (n, words) = (group.action.n_discrete() as u32, group.mask_words());
        if let coact_core::ActionSpace::Continuous { low, high, .. } = group.action {
            actions.continuous[g].iter_mut().for_each(|a| *a = rng.range(low, high));
        }
        for (row, action) in actions.discrete[g].iter_mut().enumerate() {
            if words == 0 {
                *action = rng.below(n);
                continue;
            }
            let mask = &step.groups[g].mask[row * words..(row + 1) * words];
            let legal = |a: &u32| mask[*a as usize / 32] >> (a % 32) & 1 == 1;
            let count = (0..n).filter(legal).count() as u32;
            let chosen = rng.below(count.max(1)) as usize;
            *action = (0..n).filter(legal).nth(chosen).unwrap_or(0);
        }
    }
}

/// Appends what every agent did, got and sees.
fn describe(env: &dyn BatchEnv, step: &StepBatch, actions: Option<&ActionBatch>, text: &mut String) {
    for (name, (g, a)) in env.spec().agent_names().iter().zip(env.spec().agents()) {
        let (group, column) = (&env.spec().groups[g], &step.groups[g]);
        let (d, w) = (group.obs_width(), group.mask_words());
        // Writing to a string cannot fail.
        if let Some(actions) = actions {
            let k = group.action.n_continuous();
            let _ = match actions.discrete[g].get(a) {
                Some(action) => write!(text, "  {name}: action {action}"),
                None => write!(text, "  {name}: action {:?}", &actions.continuous[g][a * k..(a + 1) * k]),
            };
            let _ = write!(text, ", reward {:?}", column.reward[a]);
            if column.terminated[a] {
                text.push_str(", terminated");
            }
            text.push('\n');
            if step.is_first[0] {
                let _ = writeln!(text, "    last obs {:?}", &column.final_obs[a * d..(a + 1) * d]);
            }
        } else {
            let _ = writeln!(text, "  {name}");
        }
        let _ = writeln!(text, "    obs {:?}", &column.obs[a * d..(a + 1) * d]);
        if w > 0 {
            let _ = writeln!(text, "    mask {:?}", &column.mask[a * w..(a + 1) * w]);
        }
    }
    if step.truncated[0] {
        text.push_str("  truncated\n");
    }
    if actions.is_some() && step.is_first[0] {
        text.push_str("  the next episode begins\n");
    }
}
