//! A small environment as a finite model: its states are found by search.
//!
//! Only for environments whose step is deterministic and whose saved state tells everything; each reachable state is
//! visited with every joint action. A joint action counts with the last agent fastest. Where a time limit belongs to
//! the saved state, so does the clock, and the model is of the finite episode: a truncated step leads to its end.

use std::collections::BTreeMap;

use coact_core::codec::{Reader, Writer};
use coact_core::{Actions, MultiAgentEnv, Purpose, Stream};

use super::{Model, ModelBuilder};
use crate::{Error, Result};

/// The model of `env` as one decision maker over joint actions, rewards summed over agents; terminal when every agent
/// terminated, or at the time limit.
///
/// # Errors
/// More than `max_states` states, a continuous action space, a random step, or a fault of the environment.
pub fn from_env(env: &mut dyn MultiAgentEnv, seed: u64, gamma: f64, max_states: usize) -> Result<Model> {
    let sizes: Vec<usize> = env
        .spec()
        .groups
        .iter()
        .flat_map(|g| std::iter::repeat_n(g.action.n_discrete(), g.n_agents))
        .collect();
    if sizes.contains(&0) {
        return Err(Error::NotApplicable {
            method: "enumeration of an environment",
            reason: format!("{} has a continuous action space; discretize it first", env.spec().name),
        });
    }
    let n_joint = sizes.iter().try_fold(1_usize, |n, &k| n.checked_mul(k)).unwrap_or(usize::MAX);
    if n_joint > 1 << 16 {
        return Err(Error::TooLarge {
            what: format!("the joint actions of {} agents", sizes.len()),
            estimate: format!("{n_joint} of them"),
            advice: "use a learner of independent agents",
        });
    }
    env.reset(&mut Stream::new(seed, Purpose::Reset, 0, 0));
    let mut search = Search { known: BTreeMap::new(), states: Vec::new(), found: Vec::new(), max_states };
    search.number(save(env))?;
    let mut at = 0;
    while at < search.states.len() {
        for joint in 0..n_joint {
            let bytes = search.states[at].clone();
            let (next, reward) = outcome(env, &bytes, &sizes, joint, seed)?;
            let next = match next {
                Some(bytes) => Some(search.number(bytes)?),
                None => None,
            };
            search.found.push((at, joint, next, reward));
        }
        at += 1;
    }
    let n = search.states.len();
    // One more state, entered when the process ends.
    let mut b = ModelBuilder::new(n + 1, n_joint, gamma);
    b.terminal(n);
    for (state, joint, next, reward) in search.found {
        b.transition(state, joint, next.unwrap_or(n), 1.0, reward);
    }
    b.build()
}

struct Search {
    known: BTreeMap<Vec<u8>, usize>,
    states: Vec<Vec<u8>>,
    found: Vec<(usize, usize, Option<usize>, f64)>,
    max_states: usize,
}

impl Search {
    fn number(&mut self, bytes: Vec<u8>) -> Result<usize> {
        if let Some(&i) = self.known.get(&bytes) {
            return Ok(i);
        }
        let i = self.states.len();
        if i == self.max_states {
            return Err(Error::TooLarge {
                what: "the environment as a finite model".into(),
                estimate: format!("more than {i} states"),
                advice: "raise the limit, or use a learner",
            });
        }
        self.known.insert(bytes.clone(), i);
        self.states.push(bytes);
        Ok(i)
    }
}

fn save(env: &dyn MultiAgentEnv) -> Vec<u8> {
    let mut out = Writer::new();
    env.save(&mut out);
    out.into_bytes()
}

/// Next state (none if the process ended) and summed reward of one joint action.
fn outcome(
    env: &mut dyn MultiAgentEnv,
    state: &[u8],
    sizes: &[usize],
    joint: usize,
    seed: u64,
) -> Result<(Option<Vec<u8>>, f64)> {
    let mut discrete = vec![0; sizes.len()];
    let mut rest = joint;
    for (action, &n) in discrete.iter_mut().zip(sizes).rev() {
        *action = (rest % n) as u32;
        rest /= n;
    }
    let fault = |e: coact_core::Error| Error::invalid(e.to_string());
    let mut results = Vec::new();
    for draw in 0..3 {
        env.load(&mut Reader::new("an environment", state)).map_err(fault)?;
        let (mut reward, mut terminated) = (vec![0.0; sizes.len()], vec![false; sizes.len()]);
        let actions = Actions { discrete: &discrete, continuous: &[] };
        let truncated = env
            .step(actions, &mut Stream::new(seed, Purpose::Step, draw, 1), &mut reward, &mut terminated)
            .map_err(fault)?;
        let ended = truncated || (0..sizes.len()).all(|agent| terminated[agent] || !env.alive(agent));
        let total: f64 = reward.iter().map(|&r| f64::from(r)).sum();
        results.push(((!ended).then(|| save(env)), total));
    }
    if results.windows(2).any(|w| w[0] != w[1]) {
        return Err(Error::NotApplicable {
            method: "enumeration of an environment",
            reason: "its steps are random; write its probabilities as a model file, or use a learner".into(),
        });
    }
    Ok(results.swap_remove(0))
}
