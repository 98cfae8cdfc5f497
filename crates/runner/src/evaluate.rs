//! Evaluation: whole episodes in an environment of its own, greedy or random, returns in the environment's own
//! reward.
//!
//! Each copy plays a fixed number of episodes. (Taking the first so-many episodes to finish would favor short
//! ones.)

use coact_algorithms::{ActMode, Learner};
use coact_core::rng::{Purpose, Stream};
use coact_core::{ActionBatch, BatchEnv, StepBatch};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::episodes::EpisodeTracker;

/// Who chooses actions in an evaluation.
pub enum Policy<'a> {
    /// The learner's best known actions.
    Greedy(&'a mut dyn Learner),
    /// Uniform over legal actions (uniform within the bounds where they are continuous).
    Random {
        /// Seed of the choices.
        seed: u64,
    },
    /// Anybody else, who writes the actions for a step; the number counts the steps since the reset.
    Other(&'a mut ActFn<'a>),
}

/// Writes the actions for a step.
pub type ActFn<'a> = dyn FnMut(&StepBatch, u64, &mut ActionBatch) -> coact_core::Result<()> + 'a;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Episodes played.
    pub episodes: usize,
    /// Mean over episodes of the undiscounted return, summed over agents.
    pub return_mean: f64,
    /// Standard deviation over episodes of the summed return (divided by n).
    pub return_std: f64,
    /// Mean return of each agent.
    pub return_per_agent: Vec<f64>,
    /// Mean steps an episode.
    pub length_mean: f64,
}

/// Plays `episodes` episodes in `env`, which is reset from `seed`. `watch` sees every step, with the episodes
/// finished so far.
///
/// # Errors
/// What the environment or the policy refuses.
pub fn evaluate(
    env: &mut dyn BatchEnv,
    mut policy: Policy<'_>,
    episodes: usize,
    seed: u64,
    mut watch: impl FnMut(&dyn BatchEnv, usize),
) -> Result<Evaluation> {
    let spec = env.spec().clone();
    let n_envs = env.n_envs();
    let mut step = StepBatch::new(&spec, n_envs);
    let mut actions = ActionBatch::new(&spec, n_envs);
    let mut tracker = EpisodeTracker::new(&spec, n_envs);
    // Copy e plays one more episode where the number does not divide.
    let mut left: Vec<usize> =
        (0..n_envs).map(|e| episodes / n_envs + usize::from(e < episodes % n_envs)).collect();
    let (mut sums, mut lengths) = (Vec::with_capacity(episodes), 0.0);
    let mut per_agent = vec![0.0; spec.n_agents()];
    env.reset(seed, &mut step)?;
    watch(env, 0);
    let mut vector_steps = 0;
    while sums.len() < episodes {
        match &mut policy {
            Policy::Greedy(learner) => learner.act(&step, ActMode::Greedy, &mut actions)?,
            Policy::Random { seed } => random_actions(env, &step, *seed, vector_steps, &mut actions)?,
            Policy::Other(act) => act(&step, vector_steps, &mut actions)?,
        }
        env.step(&actions, &mut step)?;
        vector_steps += 1;
        tracker.push(&step, |env, returns, length| {
            if left[env] > 0 {
                left[env] -= 1;
                sums.push(returns.iter().sum::<f64>());
                per_agent.iter_mut().zip(returns).for_each(|(sum, r)| *sum += r);
                lengths += length as f64;
            }
        });
        watch(env, sums.len());
    }
    let n = episodes.max(1) as f64;
    let return_mean = sums.iter().sum::<f64>() / n;
    let variance = sums.iter().map(|s| (s - return_mean).powi(2)).sum::<f64>() / n;
    per_agent.iter_mut().for_each(|sum| *sum /= n);
    Ok(Evaluation {
        episodes,
        return_mean,
        return_std: variance.sqrt(),
        return_per_agent: per_agent,
        length_mean: lengths / n,
    })
}

/// Uniform legal actions for every row; a dead agent's row gets its first legal action.
///
/// # Errors
/// A living agent without a legal action.
pub fn random_actions(
    env: &dyn BatchEnv,
    step: &StepBatch,
    seed: u64,
    vector_steps: u64,
    actions: &mut ActionBatch,
) -> Result<()> {
    let mut stream = Stream::new(seed, Purpose::Eval, 0, vector_steps);
    for (g, spec) in env.spec().groups.iter().enumerate() {
        let (n, words) = (spec.action.n_discrete(), spec.mask_words());
        if let coact_core::ActionSpace::Continuous { low, high, .. } = spec.action {
            actions.continuous[g].iter_mut().for_each(|a| *a = stream.range(low, high));
            continue;
        }
        let columns = &step.groups[g];
        for (row, action) in actions.discrete[g].iter_mut().enumerate() {
            let legal = |a: usize| words == 0 || columns.mask[row * words + a / 32] >> (a % 32) & 1 == 1;
            let n_legal = (0..n).filter(|&a| legal(a)).count();
            let pick = stream.next_u32();
            if n_legal == 0 {
                if columns.alive[row] {
                    let (env, agent) = (row / spec.n_agents, row % spec.n_agents);
                    return Err(coact_core::Error::NoLegalAction { env, agent }.into());
                }
                *action = 0;
                continue;
            }
            let k = coact_core::rng::below(pick, n_legal as u32) as usize;
            *action = (0..n).filter(|&a| legal(a)).nth(k).unwrap_or(0) as u32;
        }
    }
    Ok(())
}
