//! `coact-envs` in a trainer of your own: a batch of environments, a policy that you bring, episodes counted.
//!
//! `cargo run --release -p coact-envs --example own_trainer`

#![allow(clippy::print_stdout)]

use coact_core::{ActionBatch, Purpose, StepBatch, Stream};

fn main() -> Result<(), coact_core::Error> {
    let n_envs = 64;
    let options = serde_json::json!({"n_agents": 3});
    let mut envs = coact_envs::find("simple_spread")?.build(&options, n_envs)?;
    let mut step = StepBatch::new(envs.spec(), n_envs);
    let mut actions = ActionBatch::new(envs.spec(), n_envs);
    envs.reset(0, &mut step)?;

    let (mut running, mut sum, mut episodes) = (vec![0.0_f64; n_envs], 0.0, 0);
    for t in 0..1000 {
        // Your policy: read `step.groups[g].obs` ([E, A, D]), write one action per row ([E, A]).
        for (g, group) in envs.spec().groups.iter().enumerate() {
            let mut rng = Stream::new(1, Purpose::Explore, g as u32, t);
            let n_actions = group.action.n_discrete() as u32;
            actions.discrete[g].iter_mut().for_each(|a| *a = rng.below(n_actions));
        }
        envs.step(&actions, &mut step)?;

        // Your learner: where `is_first[e]` holds, the episode of copy e ended in this step; its last
        // observation is in `final_obs`, and it may be bootstrapped from unless `terminated` says otherwise.
        for (group, spec) in step.groups.iter().zip(&envs.spec().groups) {
            for (row, reward) in group.reward.iter().enumerate() {
                running[row / spec.n_agents] += f64::from(*reward);
            }
        }
        for (total, ended) in running.iter_mut().zip(&step.is_first) {
            if *ended {
                sum += *total;
                episodes += 1;
                *total = 0.0;
            }
        }
    }
    println!("{episodes} episodes, mean return {:.2} summed over agents", sum / f64::from(episodes));
    Ok(())
}
