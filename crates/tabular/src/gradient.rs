//! Policy gradients on tables: exact, and REINFORCE (Williams 1992).
//!
//! A policy is the softmax of logits `[G, A]`; `group[s]` says which row state `s` uses. One row a state is the usual
//! table; fewer rows are a policy that cannot tell some states apart.
//!
//! The exact gradient of the start value is `sum_s d(s) pi(a|s) (q(s, a) - v(s))`, summed over the states of a row, with the
//! discounted occupancy `d` of the policy (Sutton et al. 2000). REINFORCE samples the same gradient, the factor `gamma^t`
//! included, with the mean return of each state as optional baseline. Its episodes are whole: one that is truncated is scored by
//! what was seen, plus the baseline of the state where it was cut.

use coact_core::{Purpose, Stream};

use crate::exponential::softmax;
use crate::model::Model;
use crate::plan;
use crate::simulate::{World, sample};
use crate::{Error, Result};

/// Which row of the logits each state uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    group: Vec<usize>,
    n_groups: usize,
}

impl Groups {
    /// A row of its own for each state.
    pub fn each(n_states: usize) -> Self {
        Self { group: (0..n_states).collect(), n_groups: n_states }
    }

    /// The given row for each state.
    pub fn new(group: Vec<usize>) -> Self {
        let n_groups = group.iter().max().map_or(0, |g| g + 1);
        Self { group, n_groups }
    }

    /// Number of rows, G.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    fn check(&self, n_states: usize, n_actions: usize, logits: &[f64]) -> Result<()> {
        if self.group.len() == n_states && logits.len() == self.n_groups * n_actions {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} groups and {} logits for {n_states} states; expected [S] = {n_states} and [G, A] = {}",
            self.group.len(),
            logits.len(),
            self.n_groups * n_actions
        )))
    }
}

/// Probabilities `[S, A]` of a softmax policy. Every action must be legal in every state that is not terminal.
///
/// # Errors
/// Shapes that do not fit, or an illegal action.
pub fn policy(model: &Model, groups: &Groups, logits: &[f64]) -> Result<Vec<f64>> {
    let n = model.n_actions();
    groups.check(model.n_states(), n, logits)?;
    let mut out = vec![0.0; model.n_states() * n];
    for (state, out) in out.chunks_exact_mut(n).enumerate() {
        if !model.is_terminal(state) && (0..n).any(|a| !model.is_legal(state, a)) {
            return Err(Error::NotApplicable {
                method: "a softmax policy",
                reason: format!("not every action is legal in state {}", model.state_name(state)),
            });
        }
        softmax(&logits[groups.group[state] * n..][..n], 1.0, out);
    }
    Ok(out)
}

/// Value of the start and its gradient `[G, A]` with respect to the logits.
///
/// # Errors
/// As [`policy`], or a policy that never ends where `gamma` is 1.
pub fn exact(model: &Model, groups: &Groups, logits: &[f64]) -> Result<(f64, Vec<f64>)> {
    let n = model.n_actions();
    let policy = policy(model, groups, logits)?;
    let values = plan::evaluate(model, &policy)?;
    let q = plan::q_values(model, &values);
    let occupancy = plan::occupancy(model, &policy)?;
    let mut gradient = vec![0.0; logits.len()];
    for state in (0..model.n_states()).filter(|&s| !model.is_terminal(s)) {
        for action in 0..n {
            let at = state * n + action;
            gradient[groups.group[state] * n + action] +=
                occupancy[state] * policy[at] * (q[at] - values[state]);
        }
    }
    let value = model.start().iter().zip(&values).map(|(p, v)| p * v).sum();
    Ok((value, gradient))
}

/// Settings of REINFORCE.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reinforce {
    /// Discount.
    pub gamma: f64,
    /// Learning rate of the logits.
    pub alpha: f64,
    /// Learning rate of the baseline; 0 for none.
    pub baseline_alpha: f64,
    /// Episodes.
    pub episodes: u32,
    /// Seed of the actions.
    pub seed: u64,
}

/// Runs REINFORCE from `logits`, in place; returns the undiscounted return of each episode.
///
/// # Errors
/// Shapes that do not fit, rates below 0 or not finite.
pub fn reinforce(
    world: &mut dyn World,
    groups: &Groups,
    logits: &mut [f64],
    settings: &Reinforce,
) -> Result<Vec<f64>> {
    let n = world.n_actions();
    groups.check(world.n_states(), n, logits)?;
    let rates = [settings.alpha, settings.baseline_alpha];
    if !(0.0..=1.0).contains(&settings.gamma) || rates.iter().any(|r| !r.is_finite() || *r < 0.0) {
        return Err(Error::invalid(format!(
            "{settings:?}; expected gamma from 0 to 1 and rates of at least 0"
        )));
    }
    let mut rng = Stream::new(settings.seed, Purpose::Explore, 0, 0);
    let mut baseline = vec![0.0; world.n_states()];
    let mut visits: Vec<(usize, usize, f64)> = Vec::new();
    let mut returns = Vec::with_capacity(settings.episodes as usize);
    let mut prob = vec![0.0; n];
    for _ in 0..settings.episodes {
        visits.clear();
        let mut state = world.reset();
        let cut = loop {
            softmax(&logits[groups.group[state] * n..][..n], 1.0, &mut prob);
            let action = sample(prob.iter().copied(), &mut rng);
            let step = world.step(action);
            visits.push((state, action, step.reward));
            if step.ends_episode() {
                break if step.terminated { 0.0 } else { baseline[step.next] };
            }
            state = step.next;
        };
        let mut return_ = cut;
        let mut weight = (0..visits.len()).fold(1.0, |w, _| w * settings.gamma);
        // From the end, with the probabilities that were played: the logits change only after the episode.
        let mut change = vec![0.0; logits.len()];
        for &(state, action, reward) in visits.iter().rev() {
            return_ = reward + settings.gamma * return_;
            weight = if settings.gamma > 0.0 { weight / settings.gamma } else { 1.0 };
            let advantage = return_ - baseline[state];
            let row = groups.group[state] * n;
            softmax(&logits[row..][..n], 1.0, &mut prob);
            for (a, p) in prob.iter().enumerate() {
                let indicator = if a == action { 1.0 } else { 0.0 };
                change[row + a] += settings.alpha * weight * advantage * (indicator - p);
            }
            baseline[state] += settings.baseline_alpha * advantage;
        }
        logits.iter_mut().zip(&change).for_each(|(l, c)| *l += c);
        returns.push(visits.iter().map(|v| v.2).sum());
    }
    Ok(returns)
}
