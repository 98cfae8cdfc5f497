//! Monte Carlo prediction and control: learning from whole returns (Sutton and Barto 2018, chapter 5).
//!
//! Values are averages of returns after the first or after every visit of an episode. A truncated episode has no return of its own:
//! the rest is taken from the present estimate of the state where it was cut.

use coact_core::{Purpose, Stream};

use crate::simulate::{World, epsilon_greedy, greedy, sample};
use crate::{Error, Result};

/// Which visits of a state in an episode count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visits {
    /// The first one: an unbiased average.
    First,
    /// Every one: biased, and often of less variance.
    Every,
}

/// How importance sampling averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// Over the number of returns: unbiased, of possibly infinite variance.
    Ordinary,
    /// Over the sum of the ratios: biased at first, of bounded variance.
    Weighted,
}

/// How control explores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exploration {
    /// Each episode begins with a random pair of state and action, all else is greedy.
    ExploringStarts,
    /// A random action with this probability.
    EpsilonSoft(f64),
}

/// Settings of all methods here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Discount.
    pub gamma: f64,
    /// Episodes to play.
    pub episodes: u32,
    /// Which visits count.
    pub visits: Visits,
    /// Seed of actions and starts.
    pub seed: u64,
}

/// One visited step: state, action, reward.
type Visit = (usize, usize, f64);

/// Plays one episode into `visits`; returns where it was cut, if it was.
fn play(
    world: &mut dyn World,
    first: Option<(usize, usize)>,
    visits: &mut Vec<Visit>,
    mut act: impl FnMut(&dyn World, usize) -> usize,
) -> Option<usize> {
    visits.clear();
    let mut state = match first {
        Some((state, _)) => {
            world.reset_to(state);
            state
        }
        None => world.reset(),
    };
    let mut forced = first.map(|f| f.1);
    loop {
        let action = match forced.take() {
            Some(action) => action,
            None => act(world, state),
        };
        let step = world.step(action);
        visits.push((state, action, step.reward));
        if step.terminated {
            return None;
        }
        if step.truncated {
            return Some(step.next);
        }
        state = step.next;
    }
}

/// For each visit, whether its key occurs earlier in the episode.
fn repeated(visits: &[Visit], key: impl Fn(&Visit) -> usize, n: usize, out: &mut Vec<bool>) {
    let mut seen = vec![false; n];
    out.clear();
    out.extend(visits.iter().map(|v| std::mem::replace(&mut seen[key(v)], true)));
}

fn check_policy(world: &dyn World, policy: &[f64], name: &str) -> Result<()> {
    let expected = world.n_states() * world.n_actions();
    match policy.len() == expected {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "the {name} policy has {} numbers; expected [S, A] = {expected}",
            policy.len()
        ))),
    }
}

fn check(settings: &Settings) -> Result<()> {
    match (0.0..=1.0).contains(&settings.gamma) {
        true => Ok(()),
        false => Err(Error::BadNumber {
            what: "gamma".into(),
            value: settings.gamma,
            expected: "a number from 0 to 1",
        }),
    }
}

fn draw(policy: &[f64], n_actions: usize, state: usize, rng: &mut Stream) -> usize {
    sample(policy[state * n_actions..][..n_actions].iter().copied(), rng)
}

/// Value `[S]` of a policy `[S, A]`, by averages of returns. States never visited stay at 0.
///
/// # Errors
/// A policy of another shape.
pub fn predict(world: &mut dyn World, policy: &[f64], settings: &Settings) -> Result<Vec<f64>> {
    check(settings)?;
    check_policy(world, policy, "given")?;
    let n_actions = world.n_actions();
    let mut rng = Stream::new(settings.seed, Purpose::Explore, 0, 0);
    let (mut value, mut count) = (vec![0.0; world.n_states()], vec![0_u32; world.n_states()]);
    let (mut visits, mut again) = (Vec::new(), Vec::new());
    for _ in 0..settings.episodes {
        let cut = play(world, None, &mut visits, |_, s| draw(policy, n_actions, s, &mut rng));
        repeated(&visits, |v| v.0, value.len(), &mut again);
        let mut return_ = cut.map_or(0.0, |s| value[s]);
        for (&(state, _, reward), again) in visits.iter().zip(&again).rev() {
            return_ = reward + settings.gamma * return_;
            if settings.visits == Visits::Every || !again {
                count[state] += 1;
                value[state] += (return_ - value[state]) / f64::from(count[state]);
            }
        }
    }
    Ok(value)
}

/// Action values and the policy that is greedy for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// `[S, A]`.
    pub q: Vec<f64>,
    /// `[S]`.
    pub policy: Vec<usize>,
}

fn greedy_policy(world: &dyn World, q: &[f64]) -> Vec<usize> {
    q.chunks_exact(world.n_actions()).enumerate().map(|(s, q)| greedy(world, s, q)).collect()
}

/// On-policy control.
///
/// # Errors
/// A discount or an exploration outside 0 to 1.
pub fn control(world: &mut dyn World, exploration: Exploration, settings: &Settings) -> Result<Control> {
    check(settings)?;
    let epsilon = match exploration {
        Exploration::ExploringStarts => 0.0,
        Exploration::EpsilonSoft(epsilon) => epsilon,
    };
    if !(0.0..=1.0).contains(&epsilon) {
        return Err(Error::BadNumber {
            what: "epsilon".into(),
            value: epsilon,
            expected: "a number from 0 to 1",
        });
    }
    let n = world.n_actions();
    let pairs: Vec<(usize, usize)> = (0..world.n_states())
        .flat_map(|s| (0..n).map(move |a| (s, a)))
        .filter(|&(s, a)| world.is_legal(s, a))
        .collect();
    let mut rng = Stream::new(settings.seed, Purpose::Explore, 0, 0);
    let (mut q, mut count) = (vec![0.0; world.n_states() * n], vec![0_u32; world.n_states() * n]);
    let (mut visits, mut again) = (Vec::new(), Vec::new());
    for _ in 0..settings.episodes {
        let first = match exploration {
            Exploration::ExploringStarts => pairs.get(rng.below(pairs.len() as u32) as usize).copied(),
            Exploration::EpsilonSoft(_) => None,
        };
        let cut =
            play(world, first, &mut visits, |w, s| epsilon_greedy(w, s, &q[s * n..][..n], epsilon, &mut rng));
        repeated(&visits, |v| v.0 * n + v.1, q.len(), &mut again);
        let mut return_ = cut.map_or(0.0, |s| q[s * n + greedy(world, s, &q[s * n..][..n])]);
        for (&(state, action, reward), again) in visits.iter().zip(&again).rev() {
            return_ = reward + settings.gamma * return_;
            if settings.visits == Visits::Every || !again {
                let at = state * n + action;
                count[at] += 1;
                q[at] += (return_ - q[at]) / f64::from(count[at]);
            }
        }
    }
    let policy = greedy_policy(world, &q);
    Ok(Control { q, policy })
}

/// Value `[S]` of a target policy from episodes of a behavior policy (both `[S, A]`), by importance sampling.
///
/// # Errors
/// Policies of another shape, or a behavior that never does what the target may do.
pub fn predict_off_policy(
    world: &mut dyn World,
    target: &[f64],
    behavior: &[f64],
    weighting: Weighting,
    settings: &Settings,
) -> Result<Vec<f64>> {
    check(settings)?;
    check_policy(world, target, "target")?;
    check_policy(world, behavior, "behavior")?;
    if let Some(i) = (0..target.len()).find(|&i| target[i] > 0.0 && behavior[i] <= 0.0) {
        let (state, action) = (i / world.n_actions(), i % world.n_actions());
        return Err(Error::invalid(format!(
            "the behavior policy never takes action {action} in state {state}, but the target may; give it probability"
        )));
    }
    let n = world.n_actions();
    let mut rng = Stream::new(settings.seed, Purpose::Explore, 0, 0);
    let (mut sum, mut norm) = (vec![0.0; world.n_states()], vec![0.0; world.n_states()]);
    let (mut visits, mut again) = (Vec::new(), Vec::new());
    let value = |sum: &[f64], norm: &[f64], s: usize| if norm[s] > 0.0 { sum[s] / norm[s] } else { 0.0 };
    for _ in 0..settings.episodes {
        let cut = play(world, None, &mut visits, |_, s| draw(behavior, n, s, &mut rng));
        repeated(&visits, |v| v.0, sum.len(), &mut again);
        let mut return_ = cut.map_or(0.0, |s| value(&sum, &norm, s));
        let mut ratio = 1.0;
        for (&(state, action, reward), again) in visits.iter().zip(&again).rev() {
            return_ = reward + settings.gamma * return_;
            ratio *= target[state * n + action] / behavior[state * n + action];
            if settings.visits == Visits::Every || !again {
                sum[state] += ratio * return_;
                norm[state] += if weighting == Weighting::Weighted { ratio } else { 1.0 };
            }
        }
    }
    Ok((0..sum.len()).map(|s| value(&sum, &norm, s)).collect())
}

/// Off-policy control with weighted importance sampling: learns the greedy policy from an epsilon-soft one.
///
/// # Errors
/// A discount outside 0 to 1, or an `epsilon` that is not above 0 and at most 1.
pub fn control_off_policy(world: &mut dyn World, epsilon: f64, settings: &Settings) -> Result<Control> {
    check(settings)?;
    if !(epsilon > 0.0 && epsilon <= 1.0) {
        let expected = "above 0 and at most 1";
        return Err(Error::BadNumber { what: "epsilon".into(), value: epsilon, expected });
    }
    let n = world.n_actions();
    let mut rng = Stream::new(settings.seed, Purpose::Explore, 0, 0);
    let (mut q, mut norm) = (vec![0.0; world.n_states() * n], vec![0.0; world.n_states() * n]);
    let mut policy = greedy_policy(world, &q);
    let mut visits = Vec::new();
    for _ in 0..settings.episodes {
        // The behavior: the target's action, or with probability epsilon any legal one.
        let cut = play(world, None, &mut visits, |w, s| {
            if rng.uniform_f64() >= epsilon {
                return policy[s];
            }
            let legal: Vec<usize> = (0..n).filter(|&a| w.is_legal(s, a)).collect();
            legal[rng.below(legal.len() as u32) as usize]
        });
        let mut return_ = cut.map_or(0.0, |s| q[s * n + policy[s]]);
        let mut weight = 1.0;
        for &(state, action, reward) in visits.iter().rev() {
            return_ = reward + settings.gamma * return_;
            let at = state * n + action;
            norm[at] += weight;
            q[at] += weight / norm[at] * (return_ - q[at]);
            let acted = policy[state];
            policy[state] = greedy(world, state, &q[state * n..][..n]);
            if action != policy[state] {
                break;
            }
            let n_legal = (0..n).filter(|&a| world.is_legal(state, a)).count() as f64;
            let random = epsilon / n_legal;
            weight /= if action == acted { 1.0 - epsilon + random } else { random };
        }
    }
    Ok(Control { q, policy })
}
