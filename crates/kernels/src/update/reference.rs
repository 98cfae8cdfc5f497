//! The update in plain `f64`, one row at a time: targets, then the loss as a function of the parameters, then its
//! gradient. Written from the definitions, without chunks.

use super::{GroupBatch, Update};
use crate::act::reference::dueling;
use crate::td_target::reference::wide;
use crate::td_target::{self, NextGroup};
use crate::{Loss, Mixer, mlp_reference};

fn loss_and_slope(loss: Loss, td: f64) -> (f64, f64) {
    match loss {
        Loss::Squared => (td * td, 2.0 * td),
        Loss::Huber { delta } => {
            let delta = f64::from(delta);
            if td.abs() <= delta {
                (0.5 * td * td, td)
            } else {
                (delta * (td.abs() - 0.5 * delta), delta * td.signum())
            }
        }
    }
}

/// Parameters of network (critic, set of the agent) of a group.
fn network(group: &GroupBatch<'_>, critic: usize, agent: usize) -> std::ops::Range<usize> {
    let p = group.shape.param_count();
    let set = if group.n_sets == 1 { 0 } else { agent };
    let net = critic * group.n_sets + set;
    net * p..(net + 1) * p
}

fn next_value(group: &GroupBatch<'_>, double_q: bool, row: usize) -> f64 {
    let next = NextGroup {
        shape: group.shape,
        n_agents: group.n_agents,
        n_sets: group.n_sets,
        n_critics: group.n_critics,
        params: group.params,
        target_params: group.target_params,
        next_obs: group.next_obs,
        next_mask: group.next_mask,
        reward: group.reward,
        discount: group.discount,
    };
    td_target::reference::next_value(&next, double_q, row)
}

/// Targets: `[B, agents of all groups]` ([`Mixer::Independent`]; of invalid rows 0) or `[B]` ([`Mixer::Sum`]).
pub fn targets(call: &Update<'_, '_>) -> Vec<f64> {
    let mut out = Vec::new();
    for b in 0..call.batch {
        let mut next = 0.0;
        for group in call.groups.iter() {
            for row in b * group.n_agents..(b + 1) * group.n_agents {
                let discount = f64::from(group.discount[row]);
                match call.mixer {
                    Mixer::Sum if discount != 0.0 && call.team_discount[b] != 0.0 => {
                        next += next_value(group, call.double_q, row);
                    }
                    Mixer::Independent => out.push(match (group.valid[row], discount != 0.0) {
                        (false, _) => 0.0,
                        (true, false) => f64::from(group.reward[row]),
                        (true, true) => {
                            f64::from(group.reward[row]) + discount * next_value(group, call.double_q, row)
                        }
                    }),
                    Mixer::Sum => {}
                }
            }
        }
        if call.mixer == Mixer::Sum {
            let discount = f64::from(call.team_discount[b]);
            let more = if discount == 0.0 { 0.0 } else { discount * next };
            out.push(f64::from(call.team_reward[b]) + more);
        }
    }
    out
}

/// Loss, gradients of each group and priorities, for given targets and parameters (`[C, S, P]` a group).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The loss.
    pub loss: f64,
    /// Gradients `[C, S, P]` of each group.
    pub grads: Vec<Vec<f64>>,
    /// Priorities `[B]`.
    pub priority: Vec<f64>,
}

struct Pass<'c, 'a, 'g> {
    call: &'c Update<'a, 'g>,
    params: &'c [Vec<f64>],
    out: Outcome,
}

impl Pass<'_, '_, '_> {
    fn trace(&self, g: usize, critic: usize, row: usize) -> (mlp_reference::Trace, f64) {
        let group = &self.call.groups[g];
        let d = group.shape.mlp.input;
        let params = &self.params[g][network(group, critic, row % group.n_agents)];
        let obs = wide(&group.obs[row * d..(row + 1) * d]);
        let trace = mlp_reference::forward(&group.shape.mlp, params, &obs);
        let q = dueling(group.shape, trace.output.clone())[group.action[row] as usize];
        (trace, q)
    }

    fn push_back(&mut self, g: usize, critic: usize, row: usize, trace: &mlp_reference::Trace, slope: f64) {
        let group = &self.call.groups[g];
        let shape = group.shape;
        let mut d = vec![0.0; shape.mlp.output];
        if shape.dueling {
            d[..shape.n_actions].fill(-slope / shape.n_actions as f64);
            d[shape.n_actions] = slope;
        }
        d[group.action[row] as usize] += slope;
        let range = network(group, critic, row % group.n_agents);
        let params = &self.params[g][range.clone()];
        mlp_reference::backward(&shape.mlp, params, trace, &d, &mut self.out.grads[g][range]);
    }

    /// One term: value of `rows` against `target`, scaled. Returns `|td|`.
    fn term(&mut self, rows: &[(usize, usize)], critic: usize, target: f64, scale: f64) -> f64 {
        let traces: Vec<_> = rows.iter().map(|&(g, row)| self.trace(g, critic, row)).collect();
        let td = traces.iter().map(|t| t.1).sum::<f64>() - target;
        let (loss, slope) = loss_and_slope(self.call.loss, td);
        self.out.loss += scale * loss;
        for (&(g, row), (trace, _)) in rows.iter().zip(&traces) {
            self.push_back(g, critic, row, trace, scale * slope);
        }
        td.abs()
    }
}

/// Loss and gradients at `params` (`[C, S, P]` of each group) for fixed `targets`.
pub fn outcome(call: &Update<'_, '_>, params: &[Vec<f64>], targets: &[f64]) -> Outcome {
    let grads = params.iter().map(|p| vec![0.0; p.len()]).collect();
    let mut pass = Pass { call, params, out: Outcome { loss: 0.0, grads, priority: Vec::new() } };
    let agents: usize = call.groups.iter().map(|g| g.n_agents).sum();
    for b in 0..call.batch {
        let weight = f64::from(call.weight[b]);
        let mut valid = Vec::new();
        let mut place = Vec::new();
        let mut before = 0;
        for (g, group) in call.groups.iter().enumerate() {
            for agent in 0..group.n_agents {
                let row = b * group.n_agents + agent;
                if group.valid[row] {
                    valid.push((g, row));
                    place.push(b * agents + before + agent);
                }
            }
            before += group.n_agents;
        }
        let mut sizes = Vec::new();
        match call.mixer {
            Mixer::Independent => {
                for (&(g, row), &at) in valid.iter().zip(&place) {
                    let group = &call.groups[g];
                    let same_set = |r: usize| group.n_sets == 1 || r % group.n_agents == row % group.n_agents;
                    let n = (0..group.valid.len()).filter(|&r| group.valid[r] && same_set(r)).count();
                    for critic in 0..group.n_critics {
                        let size = pass.term(&[(g, row)], critic, targets[at], weight / n as f64);
                        sizes.push(size / group.n_critics as f64);
                    }
                }
                let n = valid.len().max(1) as f64;
                pass.out.priority.push(sizes.iter().sum::<f64>() / n);
            }
            Mixer::Sum => {
                let critics = call.groups[0].n_critics;
                if !valid.is_empty() {
                    for critic in 0..critics {
                        sizes.push(pass.term(&valid, critic, targets[b], weight / call.batch as f64));
                    }
                }
                pass.out.priority.push(sizes.iter().sum::<f64>() / critics as f64);
            }
        }
    }
    pass.out
}

/// The whole update at the call's own parameters.
pub fn update(call: &Update<'_, '_>) -> Outcome {
    let params: Vec<_> = call.groups.iter().map(|g| wide(g.params)).collect();
    outcome(call, &params, &targets(call))
}
