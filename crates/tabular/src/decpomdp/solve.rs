//! Joint policies for a finite horizon: the best one by exhaustive search, a stable one by alternating best responses.
//!
//! Both rest on the best response of one agent to fixed policies of all others: a decision tree over its own
//! observation sequences, solved from below with the weight of every (state, sequences of the others) at each node.
//! * Exhaustive search runs through all joint policies of all agents but one and takes the best response of that one (the one
//!   with the most policies), which is exact.
//! * JESP (Nair et al. 2003) lets agents respond in turn until nobody gains, from several random joint policies. What it
//!   returns is an equilibrium of the team, often but not always the best one.

use coact_core::{Purpose, Stream};

use super::{AgentPolicy, DecPomdp, n_sequences};
use crate::{Error, Result};

/// Gains below this (relative to values) are rounding and no reason to change a policy.
const GAIN: f64 = 1e-12;

/// Largest number of elementary steps that exhaustive search begins with: some minutes.
pub const MAX_WORK: f64 = 2e11;

/// A joint policy and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamPlan {
    /// Expected discounted sum of rewards from the start.
    pub value: f64,
    /// One policy an agent.
    pub policies: Vec<AgentPolicy>,
    /// Joint policies (exhaustive search) or best responses (JESP) computed.
    pub n_evaluated: u64,
    /// Best value after each of them at which it rose, with the number computed.
    pub history: Vec<(u64, f64)>,
}

/// How long exhaustive search will take: responses to compute, and elementary steps of all of them.
pub fn exhaustive_work(problem: &DecPomdp, horizon: usize) -> (f64, f64) {
    let policies = |agent: usize| -> f64 {
        let (a, o) = (problem.actions[agent].len() as f64, problem.observations[agent].len());
        a.powf(n_sequences(o, horizon) as f64)
    };
    let agent = responder(problem, horizon);
    let others: f64 = (0..problem.n_agents()).filter(|&i| i != agent).map(policies).product();
    (others, others * response_work(problem, agent, horizon))
}

/// Elementary steps of one best response.
fn response_work(problem: &DecPomdp, agent: usize, horizon: usize) -> f64 {
    let (a, o) = (problem.actions[agent].len() as f64, problem.observations[agent].len() as f64);
    let others = problem.n_joint_observations() as f64 / o;
    let branching: f64 = problem.transition.iter().map(Vec::len).sum::<usize>() as f64
        / problem.transition.len() as f64
        * problem.n_joint_observations() as f64;
    (0..horizon).map(|t| (a * o * others).powi(t as i32) * a * problem.n_states() as f64 * branching).sum()
}

/// The agent with the most policies; the last one of several.
fn responder(problem: &DecPomdp, horizon: usize) -> usize {
    let size = |i: usize| {
        (problem.actions[i].len() as f64).ln() * n_sequences(problem.observations[i].len(), horizon) as f64
    };
    (0..problem.n_agents()).reduce(|best, i| if size(i) >= size(best) { i } else { best }).unwrap_or(0)
}

fn check_horizon(horizon: usize) -> Result<()> {
    match horizon {
        1..=64 => Ok(()),
        _ => Err(Error::invalid(format!("horizon {horizon}; expected 1 to 64 decisions"))),
    }
}

/// The best joint policy. `observe` hears how many of how many responses are done.
///
/// # Errors
/// A problem that is not one, or more work than [`MAX_WORK`], with an estimate.
pub fn exhaustive(
    problem: &DecPomdp,
    horizon: usize,
    observe: &mut dyn FnMut(u64, f64, f64),
) -> Result<TeamPlan> {
    problem.check()?;
    check_horizon(horizon)?;
    let (total, work) = exhaustive_work(problem, horizon);
    if work.is_nan() || work > MAX_WORK {
        return Err(Error::TooLarge {
            what: format!("exhaustive search of horizon {horizon}"),
            estimate: format!("{total:.2e} best responses, about {work:.1e} steps"),
            advice: "shorten the horizon or use jesp",
        });
    }
    let agent = responder(problem, horizon);
    let mut search = Response::new(problem, horizon);
    let mut policies = zero_policies(problem, horizon);
    let mut best = TeamPlan {
        value: f64::NEG_INFINITY,
        policies: policies.clone(),
        n_evaluated: 0,
        history: Vec::new(),
    };
    loop {
        let value = search.value(agent, &policies);
        best.n_evaluated += 1;
        if value > best.value + GAIN * value.abs().max(1.0) || best.n_evaluated == 1 {
            best.value = value;
            best.policies.clone_from(&policies);
            best.policies[agent] = search.policy(agent, &policies).1;
            best.history.push((best.n_evaluated, value));
        }
        if best.n_evaluated.is_multiple_of(256) {
            observe(best.n_evaluated, total, best.value);
        }
        if !advance(problem, &mut policies, agent) {
            observe(best.n_evaluated, total, best.value);
            return Ok(best);
        }
    }
}

fn zero_policies(problem: &DecPomdp, horizon: usize) -> Vec<AgentPolicy> {
    problem.observations.iter().map(|o| AgentPolicy::new(o.len(), horizon)).collect()
}

/// The next joint policy of all agents but one; false after the last.
fn advance(problem: &DecPomdp, policies: &mut [AgentPolicy], except: usize) -> bool {
    for (i, policy) in policies.iter_mut().enumerate().filter(|(i, _)| *i != except) {
        for action in policy.actions.iter_mut().rev() {
            *action += 1;
            if *action < problem.actions[i].len() {
                return true;
            }
            *action = 0;
        }
    }
    false
}

/// Alternating best responses from `restarts` random joint policies; the best of their ends.
///
/// # Errors
/// A problem that is not one, no restart, or a best response that is too large.
pub fn jesp(
    problem: &DecPomdp,
    horizon: usize,
    restarts: u32,
    seed: u64,
    observe: &mut dyn FnMut(u64, f64, f64),
) -> Result<TeamPlan> {
    problem.check()?;
    check_horizon(horizon)?;
    if restarts == 0 {
        return Err(Error::invalid("0 restarts; expected at least 1"));
    }
    let work = (0..problem.n_agents()).map(|i| response_work(problem, i, horizon)).fold(0.0, f64::max);
    if work.is_nan() || work > MAX_WORK / 100.0 {
        return Err(Error::TooLarge {
            what: format!("a best response of horizon {horizon}"),
            estimate: format!("about {work:.1e} steps"),
            advice: "shorten the horizon",
        });
    }
    let mut search = Response::new(problem, horizon);
    let mut best: Option<TeamPlan> = None;
    let mut n_evaluated = 0;
    let mut history = Vec::new();
    for restart in 0..restarts {
        let mut rng = Stream::new(seed, Purpose::Init, restart, 0);
        let mut policies = zero_policies(problem, horizon);
        for (i, policy) in policies.iter_mut().enumerate() {
            let n = problem.actions[i].len() as u32;
            policy.actions.iter_mut().for_each(|a| *a = rng.below(n) as usize);
        }
        let mut value = f64::NEG_INFINITY;
        let mut unchanged = 0;
        let mut agent = 0;
        while unchanged < problem.n_agents() {
            let (reached, policy) = search.policy(agent, &policies);
            n_evaluated += 1;
            if reached > value + GAIN * reached.abs().max(1.0) {
                value = reached;
                policies[agent] = policy;
                unchanged = 1;
            } else {
                unchanged += 1;
            }
            agent = (agent + 1) % problem.n_agents();
        }
        if best.as_ref().is_none_or(|b| value > b.value) {
            history.push((n_evaluated, value));
            best = Some(TeamPlan { value, policies, n_evaluated, history: Vec::new() });
        }
        observe(u64::from(restart) + 1, f64::from(restarts), best.as_ref().map_or(value, |b| b.value));
    }
    best.map(|b| TeamPlan { n_evaluated, history, ..b }).ok_or_else(|| Error::invalid("no restart"))
}

/// Best responses, with the weights of each depth kept from call to call.
struct Response<'a> {
    problem: &'a DecPomdp,
    horizon: usize,
    /// Expected rewards `[J, S]`.
    reward: Vec<f64>,
    /// For each depth, `[A, own observation, others' sequences, S]`: weights of the children of the node at work.
    children: Vec<Vec<f64>>,
    root: Vec<f64>,
}

/// Sequences of the other agents, as one number of all of them (last agent's fastest in each step).
struct Others<'a> {
    agent: usize,
    policies: &'a [AgentPolicy],
    /// Number of joint observations of the others.
    n_seen: usize,
}

impl<'a> Response<'a> {
    fn new(problem: &'a DecPomdp, horizon: usize) -> Self {
        Self {
            problem,
            horizon,
            reward: problem.expected_rewards(),
            children: vec![Vec::new(); horizon],
            root: problem.start.clone(),
        }
    }

    /// Value of the best response of `agent`.
    fn value(&mut self, agent: usize, policies: &[AgentPolicy]) -> f64 {
        let others = self.others(agent, policies);
        let root = std::mem::take(&mut self.root);
        let value = self.node(&others, 0, &root, 0, None);
        self.root = root;
        value
    }

    /// Value and policy of the best response of `agent`.
    fn policy(&mut self, agent: usize, policies: &[AgentPolicy]) -> (f64, AgentPolicy) {
        let others = self.others(agent, policies);
        let mut policy = AgentPolicy::new(self.problem.observations[agent].len(), self.horizon);
        let root = std::mem::take(&mut self.root);
        let value = self.node(&others, 0, &root, 0, Some(&mut policy));
        self.root = root;
        (value, policy)
    }

    fn others<'p>(&self, agent: usize, policies: &'p [AgentPolicy]) -> Others<'p> {
        let n_seen = self.problem.n_joint_observations() / self.problem.observations[agent].len();
        Others { agent, policies, n_seen }
    }

    /// Best value of a node: `weights` `[others' sequences, S]` after own sequence number `own` of length `t`. Writes the
    /// chosen actions of the subtree into `policy`.
    fn node(
        &mut self,
        others: &Others<'_>,
        t: usize,
        weights: &[f64],
        own: usize,
        policy: Option<&mut AgentPolicy>,
    ) -> f64 {
        let p = self.problem;
        let (n_actions, n_own) = (p.actions[others.agent].len(), p.observations[others.agent].len());
        let last = t + 1 == self.horizon;
        let child = weights.len() * others.n_seen;
        let mut children = std::mem::take(&mut self.children[t]);
        if !last {
            children.clear();
            children.resize(n_actions * n_own * child, 0.0);
        }
        let mut values = vec![0.0; n_actions];
        for (action, value) in values.iter_mut().enumerate() {
            let into = if last { &mut [] } else { &mut children[action * n_own * child..][..n_own * child] };
            *value = self.spread(others, t, weights, action, into);
        }
        let mut best: Option<(f64, usize)> = None;
        for (action, immediate) in values.into_iter().enumerate() {
            let mut value = immediate;
            if !last {
                for seen in 0..n_own {
                    let from = (action * n_own + seen) * child;
                    // Sequences that cannot happen are worth nothing.
                    if children[from..from + child].iter().any(|&w| w > 0.0) {
                        let below =
                            self.node(others, t + 1, &children[from..from + child], own * n_own + seen, None);
                        value += p.discount * below;
                    }
                }
            }
            if best.is_none_or(|(b, _)| value > b) {
                best = Some((value, action));
            }
        }
        let (value, action) = best.unwrap_or((0.0, 0));
        if let Some(policy) = policy {
            let at = n_sequences(n_own, t) + own;
            policy.actions[at] = action;
            if !last {
                for seen in 0..n_own {
                    let from = (action * n_own + seen) * child;
                    let sequence = own * n_own + seen;
                    self.node(others, t + 1, &children[from..from + child], sequence, Some(&mut *policy));
                }
            }
        }
        self.children[t] = children;
        value
    }

    /// Expected reward of own `action` now; adds the weights that follow into `into` `[own observation, others, S]`.
    fn spread(&self, others: &Others<'_>, t: usize, weights: &[f64], action: usize, into: &mut [f64]) -> f64 {
        let p = self.problem;
        let n = p.n_states();
        let child = weights.len() * others.n_seen;
        let mut total = 0.0;
        for (sequence, weights) in weights.chunks_exact(n).enumerate() {
            if weights.iter().all(|&w| w == 0.0) {
                continue;
            }
            let joint = self.joint(others, t, sequence, action);
            for (state, &w) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                total += w * self.reward[joint * n + state];
                if into.is_empty() {
                    continue;
                }
                for &(next, prob) in &p.transition[joint * n + state] {
                    for &(seen, q) in &p.observation[joint * n + next as usize] {
                        let (own, other) = self.split(others, seen as usize);
                        let at = own * child + (sequence * others.n_seen + other) * n + next as usize;
                        into[at] += w * prob * q;
                    }
                }
            }
        }
        total
    }

    /// The joint action of own `action` and what the others do after their sequences.
    fn joint(&self, others: &Others<'_>, t: usize, sequence: usize, action: usize) -> usize {
        let p = self.problem;
        let mut joint = 0;
        for agent in 0..p.n_agents() {
            let own = if agent == others.agent {
                action
            } else {
                others.policies[agent].action(t, self.sequence_of(others, agent, t, sequence))
            };
            joint = joint * p.actions[agent].len() + own;
        }
        joint
    }

    /// The sequence of one of the others in their joint sequence of length `t`.
    fn sequence_of(&self, others: &Others<'_>, agent: usize, t: usize, sequence: usize) -> usize {
        if self.problem.n_agents() == 2 {
            return sequence;
        }
        let sizes = |i: usize| if i == others.agent { 1 } else { self.problem.observations[i].len() };
        let after: usize = (agent + 1..self.problem.n_agents()).map(sizes).product();
        let mut out = 0;
        for step in (0..t).rev() {
            let seen = sequence / others.n_seen.pow(step as u32) % others.n_seen;
            out = out * sizes(agent) + seen / after % sizes(agent);
        }
        out
    }

    /// Own part of a joint observation, and the others' part as one number.
    fn split(&self, others: &Others<'_>, seen: usize) -> (usize, usize) {
        let after: usize = self.problem.observations[others.agent + 1..].iter().map(Vec::len).product();
        let own = self.problem.observations[others.agent].len();
        (seen / after % own, seen / (after * own) * after + seen % after)
    }
}
