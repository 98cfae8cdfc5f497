//! COMA's critic and advantages: what an action adds to what the agent would have done on average, the others doing what
//! they did.
//!
//! ```text
//! q(., a)     = critic(state, actions of the others, number of the agent)          a value for each own action
//! advantage   = q(action) - sum_u policy(u) q(u)
//! target      = lambda return of reward with values q_target(action)
//! ```

use coact_core::{Purpose, Stream};
use coact_kernels::Backend;
use coact_kernels::td::is_legal;
use coact_nets::Real;
use coact_replay::Rollout;

use super::PolicyLearner;
use super::group::{CriticLoss, Group, Part, Sums, memories, next_values};
use super::loss::value_loss;
use super::network::{Memories, SetNetwork, Window};
use super::unroll::Unrolled;
use crate::Result;
use crate::returns::{Steps, explained_variance, lambda_returns};

/// What COMA needs beside other learners.
#[derive(Debug)]
pub(super) struct Counterfactual {
    seed: u64,
    groups: Vec<GroupBuffers>,
    /// Agents of each group, and actions of each of them.
    shapes: Vec<(usize, usize)>,
    /// Drawn actions `[B, A]` after the last step and `[F, A]` after cut episodes, of each group.
    last: Vec<Vec<u32>>,
    finals: Vec<Vec<u32>>,
}

#[derive(Debug, Default)]
struct GroupBuffers {
    /// Probabilities of all actions.
    policy: Unrolled,
    /// Inputs of the critic `[T, B, A, K]`, `[B, A, K]`, `[F, A, K]`.
    inputs: Vec<f32>,
    last_inputs: Vec<f32>,
    final_inputs: Vec<f32>,
    last_value: Vec<f32>,
    final_value: Vec<f32>,
}

impl Counterfactual {
    /// For groups of so many agents with so many actions each.
    pub(super) fn new(seed: u64, shapes: Vec<(usize, usize)>) -> Self {
        let groups = shapes.iter().map(|_| GroupBuffers::default()).collect();
        let empty = vec![Vec::new(); shapes.len()];
        Self { seed, groups, shapes, last: empty.clone(), finals: empty }
    }

    /// Inputs of group `g`'s critic `[T, B, A, K]`.
    pub(super) fn inputs(&self, g: usize) -> &[f32] {
        &self.groups[g].inputs
    }
}

/// Logits to probabilities, in place; all zero where no action is legal.
pub(super) fn probabilities(row: &mut [f32], mask: &[u32]) {
    let legal = |a: usize| is_legal(mask, a);
    let top = (0..row.len()).filter(|&a| legal(a)).fold(f32::NEG_INFINITY, |top, a| Real::max(row[a], top));
    let mut total = 0.0;
    for (a, p) in row.iter_mut().enumerate() {
        *p = if legal(a) { Real::exp(*p - top) } else { 0.0 };
        total += *p;
    }
    if total > 0.0 {
        row.iter_mut().for_each(|p| *p /= total);
    }
}

/// Rows of logits `[rows, n]` to probabilities.
fn all_probabilities(rows: &mut [f32], n: usize, mask: &[u32], words: usize) {
    for (i, row) in rows.chunks_exact_mut(n).enumerate() {
        probabilities(row, &mask[i * words..(i + 1) * words]);
    }
}

/// An action a row of probabilities, from streams numbered by rows.
fn draw(rows: &[f32], n: usize, seed: u64, first: u32, position: u64, into: &mut Vec<u32>) {
    into.clear();
    for (i, row) in rows.chunks_exact(n).enumerate() {
        let uniform = Stream::new(seed, Purpose::Replay, first | i as u32, position).uniform();
        let mut sum = 0.0;
        let exceeds = |p: &f32| {
            sum += p;
            sum > uniform
        };
        let likely = || row.iter().rposition(|&p| p > 0.0).unwrap_or(0);
        into.push(row.iter().position(exceeds).unwrap_or_else(likely) as u32);
    }
}

/// What a group did `[.., A]`.
#[derive(Debug, Clone, Copy)]
struct Actions<'a> {
    chosen: &'a [u32],
    n_agents: usize,
    n_actions: usize,
}

impl<'a> Actions<'a> {
    fn of(chosen: &'a [u32], (n_agents, n_actions): (usize, usize)) -> Self {
        Self { chosen, n_agents, n_actions }
    }
}

/// Inputs `[count, A, K]` of the critic of group `own`: state, the others' actions, which agent.
fn fill_inputs<'a>(
    into: &mut Vec<f32>,
    central: &[f32],
    count: usize,
    own: usize,
    n_agents: usize,
    groups: impl Iterator<Item = Actions<'a>> + Clone,
) {
    into.clear();
    let width = central.len().checked_div(count).unwrap_or(0);
    for position in 0..count {
        for agent in 0..n_agents {
            into.extend_from_slice(&central[position * width..(position + 1) * width]);
            for (g, Actions { chosen, n_agents, n_actions }) in groups.clone().enumerate() {
                for other in 0..n_agents {
                    let start = into.len();
                    into.resize(start + n_actions, 0.0);
                    if (g, other) != (own, agent) {
                        into[start + chosen[position * n_agents + other] as usize] = 1.0;
                    }
                }
            }
            let start = into.len();
            into.resize(start + n_agents, 0.0);
            into[start + agent] = 1.0;
        }
    }
}

/// Values `[count, A, N]` into the network's outputs.
fn action_values(
    network: &mut SetNetwork,
    backend: &mut Backend,
    params: &[f32],
    inputs: &[f32],
    window: Window<'_>,
) -> Result<()> {
    let none = Memories { values: &[], stride: 0, offset: 0 };
    network.forward(backend, params, 0, inputs, window, &[], none)?;
    Ok(())
}

/// `sum_u policy(u) q(u)` of each row.
fn expected(policy: &[f32], values: &[f32], n: usize, into: &mut Vec<f32>) {
    let mean = |(p, q): (&[f32], &[f32])| p.iter().zip(q).fold(0.0, |sum, (p, q)| sum + p * q);
    into.clear();
    into.extend(policy.chunks_exact(n).zip(values.chunks_exact(n)).map(mean));
}

impl PolicyLearner {
    /// Advantages and targets of every step.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn counterfactual(&mut self, rollout: &Rollout) -> Result<()> {
        self.look_ahead(rollout)?;
        let Self { groups, central, params, target_params, backend, settings, coma, .. } = self;
        let (steps, finals) = central.of(rollout);
        let count = rollout.n_steps * rollout.n_envs;
        let split = steps.len() / (rollout.n_steps + 1) * rollout.n_steps;
        let Counterfactual { groups: buffers, shapes, last, finals: final_actions, .. } = coma;
        for (g, group) in groups.iter_mut().enumerate() {
            let (n_agents, n) = shapes[g];
            let buffers = &mut buffers[g];
            let acted =
                rollout.groups.iter().enumerate().map(|(h, seen)| Actions::of(&seen.action, shapes[h]));
            fill_inputs(&mut buffers.inputs, &steps[..split], count, g, n_agents, acted);
            let drawn = last.iter().enumerate().map(|(h, chosen)| Actions::of(chosen, shapes[h]));
            fill_inputs(&mut buffers.last_inputs, &steps[split..], rollout.n_envs, g, n_agents, drawn);
            let drawn = final_actions.iter().enumerate().map(|(h, chosen)| Actions::of(chosen, shapes[h]));
            fill_inputs(&mut buffers.final_inputs, finals, rollout.ends.len(), g, n_agents, drawn);
            group.counterfactual(
                backend,
                [params, target_params],
                rollout,
                g,
                buffers,
                settings.gae_lambda,
                n,
            )?;
        }
        Ok(())
    }

    /// Probabilities of all actions in every step, and actions where nobody has acted yet.
    fn look_ahead(&mut self, rollout: &Rollout) -> Result<()> {
        let Self { groups, params, backend, coma, rollouts, .. } = self;
        let Counterfactual { seed, groups: buffers, last, finals, .. } = coma;
        for (g, group) in groups.iter_mut().enumerate() {
            let (seen, policy) = (&rollout.groups[g], &mut buffers[g].policy);
            let start = memories(rollout, group.memory_offset);
            policy.run(&mut group.actor, backend, params, &seen.obs, &seen.final_obs, rollout, start)?;
            let (n, words) = (group.head.outputs(), group.mask_words);
            let after = rollout.n_steps * rollout.n_envs * group.n_agents * words;
            all_probabilities(&mut policy.steps, n, &seen.mask, words);
            all_probabilities(&mut policy.last, n, &seen.mask[after.min(seen.mask.len())..], words);
            all_probabilities(&mut policy.finals, n, &seen.final_mask, words);
            let first = (g as u32) << 24;
            draw(&policy.last, n, *seed, first, *rollouts, &mut last[g]);
            draw(&policy.finals, n, *seed, 1 << 31 | first, *rollouts, &mut finals[g]);
        }
        Ok(())
    }
}

impl Group {
    /// Advantages and targets of every step, by the online and the target critic.
    fn counterfactual(
        &mut self,
        backend: &mut Backend,
        [params, target_params]: [&[f32]; 2],
        rollout: &Rollout,
        g: usize,
        buffers: &mut GroupBuffers,
        lambda: f32,
        n: usize,
    ) -> Result<()> {
        let Some(critic) = &mut self.critic else { return Ok(()) };
        let (network, columns, seen) = (&mut critic.network, &mut self.columns, &rollout.groups[g]);
        let (count, n_ends) = (rollout.n_steps * rollout.n_envs, rollout.ends.len());
        let rows = count * self.n_agents;
        let GroupBuffers { policy, inputs, last_inputs, final_inputs, last_value, final_value } = buffers;
        action_values(network, backend, target_params, last_inputs, Window::all(rollout.n_envs, 1))?;
        expected(&policy.last, &network.out, n, last_value);
        final_value.clear();
        if n_ends > 0 {
            action_values(network, backend, target_params, final_inputs, Window::all(n_ends, 1))?;
            expected(&policy.finals, &network.out, n, final_value);
        }
        action_values(network, backend, target_params, inputs, Window::all(count, 1))?;
        let chosen = |row: usize, out: &[f32]| out[row * n + seen.action[row] as usize];
        columns.value.clear();
        columns.value.extend((0..rows).map(|row| chosen(row, &network.out)));
        columns.next_value.resize(rows, 0.0);
        let (value, next_value) = (&columns.value, &mut columns.next_value);
        next_values(rollout, self.n_agents, value, last_value, final_value, &columns.ended, next_value);
        let steps = Steps {
            n_rows: rollout.n_envs * self.n_agents,
            reward: &seen.reward,
            discount: &seen.discount,
            next_value,
            ended: &columns.ended,
            valid: &columns.valid,
        };
        columns.target.resize(rows, 0.0);
        lambda_returns(&steps, lambda, &mut columns.target);
        action_values(network, backend, params, inputs, Window::all(count, 1))?;
        expected(&policy.steps, &network.out, n, &mut columns.advantage);
        for row in 0..rows {
            let value = chosen(row, &network.out);
            columns.value[row] = value;
            columns.advantage[row] = if columns.valid[row] { value - columns.advantage[row] } else { 0.0 };
        }
        columns.explained_variance = explained_variance(&columns.value, &columns.target, &columns.valid);
        Ok(())
    }

    /// Gradient of `vf_coef` times the loss of a critic of actions over the window's rows.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn action_critic_gradient(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        grads: &mut [f32],
        Part { seen, window, .. }: Part<'_>,
        inputs: &[f32],
        loss: CriticLoss,
        sums: &mut Sums,
    ) -> Result<()> {
        let Some(critic) = &mut self.critic else { return Ok(()) };
        let network = &mut critic.network;
        // A recurrent actor's windows are in the order of time; to this critic every row is a step of its own.
        let flat = Window { steps: 1, ..window };
        action_values(network, backend, params, inputs, flat)?;
        let (columns, n_agents, n) = (&self.columns, self.n_agents, self.head.outputs());
        let row_of = |i: usize| window.position(i / n_agents) * n_agents + i % n_agents;
        let rows = network.out.len() / n;
        let count = (0..rows).filter(|&i| columns.valid[row_of(i)]).count();
        let share = loss.vf_coef / count.max(1) as f32;
        for (i, out) in network.out.chunks_exact_mut(n).enumerate() {
            let row = row_of(i);
            let action = seen.action[row] as usize;
            let value = out[action];
            out.fill(0.0);
            if columns.valid[row] {
                let (value, slope) = value_loss(value, value, columns.target[row], None);
                sums.value_loss += f64::from(value);
                out[action] = slope * share;
            }
        }
        sums.critic_rows += count as f64;
        network.backward(backend, params, 0, grads)
    }
}
