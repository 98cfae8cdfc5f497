//! Targets in plain `f64`, one row at a time, written from the definition.

use super::{Join, NextGroup, TdTarget};
use crate::act::reference::q_values;
use crate::mix_reference;
use crate::td::argmax_legal;

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Value of the next state of row `row` of `[B, A]`; not a number without a legal action.
pub(crate) fn next_value(group: &NextGroup<'_>, double_q: bool, row: usize) -> f64 {
    let (agent, d, p) = (row % group.n_agents, group.shape.mlp.input, group.shape.param_count());
    let set = if group.n_sets == 1 { 0 } else { agent };
    let obs = wide(&group.next_obs[row * d..(row + 1) * d]);
    let values = |params: &[f32], critic: usize| {
        let net = critic * group.n_sets + set;
        q_values(group.shape, &wide(&params[net * p..(net + 1) * p]), &obs)
    };
    let mut target = values(group.target_params, 0);
    if group.n_critics == 2 {
        let other = values(group.target_params, 1);
        target = target.iter().zip(&other).map(|(a, b)| a.min(*b)).collect();
    }
    let judge = if double_q { values(group.params, 0) } else { target.clone() };
    let words = if group.next_mask.is_empty() { 0 } else { group.shape.mask_words() };
    let mask = &group.next_mask[row * words..(row + 1) * words];
    let judge: Vec<f32> = judge.iter().map(|&v| v as f32).collect();
    argmax_legal(&judge, mask).map_or(f64::NAN, |a| target[a])
}

/// Targets: `[B, agents of all groups]` for [`Join::Each`], else `[B]`.
pub fn targets(call: &TdTarget<'_, '_>) -> Vec<f64> {
    let mut out = Vec::new();
    for b in 0..call.batch {
        let mut next = Vec::new();
        for group in call.groups {
            for row in b * group.n_agents..(b + 1) * group.n_agents {
                let discount = f64::from(group.discount[row]);
                let ended = call.join.team().is_some_and(|(_, team)| team[b] == 0.0) || discount == 0.0;
                let value = if ended { 0.0 } else { next_value(group, call.double_q, row) };
                next.push(value);
                if matches!(call.join, Join::Each) {
                    out.push(f64::from(group.reward[row]) + discount * value);
                }
            }
        }
        let Some((reward, discount)) = call.join.team() else { continue };
        let total = match call.join {
            _ if discount[b] == 0.0 => 0.0,
            Join::Qmix { shape, params, next_state, .. } => {
                let state = wide(&next_state[b * shape.state..(b + 1) * shape.state]);
                mix_reference::forward(&shape, &wide(params), &next, &state).total
            }
            _ => next.iter().sum(),
        };
        out.push(f64::from(reward[b]) + f64::from(discount[b]) * total);
    }
    out
}
