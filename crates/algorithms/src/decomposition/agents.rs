//! The agents' networks of all groups: acting with memory, values of everything that a rollout saw, and gradients.

use std::ops::Range;

use coact_core::rng::{Purpose, below, counter_of, key_of, philox4x32, unit_f32};
use coact_core::{ActionBatch, EnvSpec, StepBatch};
use coact_kernels::td::{argmax_legal, is_legal};
use coact_kernels::{Act, ActScratch, Backend, Exploration, NextGroup, QShape};
use coact_nets::{AgentNet, AgentNetShape};
use coact_replay::{GroupRollout, Rollout};

use super::rows::GroupValues;
use super::settings::DecompositionSettings;
use crate::Result;

/// The networks of one group and their memories. `S` parameter sets: 1 if shared, else one an agent.
#[derive(Debug)]
pub(super) struct GroupNets {
    shape: AgentNetShape,
    n_agents: usize,
    n_sets: usize,
    obs_width: usize,
    /// Place in all parameters, sets one after the other.
    range: Range<usize>,
    /// Of one set.
    param_count: usize,
    /// Place in the memory of an environment, agents one after the other.
    memory: Range<usize>,
    memory_width: usize,
    /// One a set, as each keeps what its backward pass needs.
    learned: Vec<AgentNet>,
    /// For passes that nothing is learned from, and for the last observations of truncated episodes.
    other: AgentNet,
    ends: AgentNet,
    /// Feed-forward networks act through the fused kernel.
    q_shape: Option<QShape>,
    act_scratch: ActScratch,
    /// Rows of a set, gathered or repeated.
    obs: Vec<f32>,
    is_first: Vec<bool>,
    rows_memory: Vec<f32>,
    out: Vec<f32>,
    own_out: Vec<f32>,
    /// Memories before burn-in.
    cold: Vec<f32>,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Agents {
    pub(super) groups: Vec<GroupNets>,
    /// Numbers of memory of one environment, `M`.
    pub(super) memory_width: usize,
    /// Memories of exploring and of greedy play `[E, M]`.
    pub(super) explore_memory: Vec<f32>,
    greedy_memory: Vec<f32>,
}

/// Whether and how to explore.
#[derive(Debug, Clone, Copy)]
pub(super) struct Explore {
    pub(super) epsilon: f32,
    pub(super) seed: u64,
    pub(super) position: u64,
}

impl Agents {
    pub(super) fn new(spec: &EnvSpec, n_envs: usize, settings: &DecompositionSettings) -> Result<Self> {
        let (mut params, mut memory) = (0, 0);
        let mut groups = Vec::new();
        for group in &spec.groups {
            let (width, n_actions) = (group.obs_width(), group.action.n_discrete());
            let shape = settings.agent(width, n_actions);
            let n_sets = if settings.shares() { 1 } else { group.n_agents };
            let net = || AgentNet::new(shape.clone());
            let other = net()?;
            let (param_count, memory_width) = (other.param_count(), other.memory_width());
            let q_shape = (shape.cell.is_none() && shape.grid.is_none()).then(|| {
                let hidden = [&shape.encoder[..], &shape.head].concat();
                QShape::new(width, hidden, n_actions, shape.activation, shape.layer_norm, false)
            });
            groups.push(GroupNets {
                n_agents: group.n_agents,
                n_sets,
                obs_width: width,
                range: params..params + n_sets * param_count,
                param_count,
                memory: memory..memory + group.n_agents * memory_width,
                memory_width,
                learned: (0..n_sets).map(|_| net()).collect::<coact_nets::Result<_>>()?,
                other,
                ends: net()?,
                q_shape,
                act_scratch: ActScratch::default(),
                obs: Vec::new(),
                is_first: Vec::new(),
                rows_memory: Vec::new(),
                out: Vec::new(),
                own_out: Vec::new(),
                cold: Vec::new(),
                shape,
            });
            params += n_sets * param_count;
            memory += group.n_agents * memory_width;
        }
        Ok(Self {
            groups,
            memory_width: memory,
            explore_memory: vec![0.0; n_envs * memory],
            greedy_memory: Vec::new(),
        })
    }

    pub(super) fn param_count(&self) -> usize {
        self.groups.last().map_or(0, |g| g.range.end)
    }

    /// Ranges of single networks.
    pub(super) fn networks(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.groups.iter().flat_map(|g| (0..g.n_sets).map(|s| g.set(s)))
    }

    /// Ranges of single tensors.
    pub(super) fn tensor_ranges(&self) -> Vec<Range<usize>> {
        let of = |(g, set): (&GroupNets, usize)| {
            let start = g.set(set).start;
            let tensors = g.other.tensors().into_iter();
            tensors.map(move |t| t.range.start + start..t.range.end + start).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(|g| (0..g.n_sets).map(move |s| (g, s))).flat_map(of).collect()
    }

    /// Empty values for every group.
    pub(super) fn values(&self) -> Vec<GroupValues> {
        let of = |g: &GroupNets| GroupValues {
            n_agents: g.n_agents,
            n_actions: g.shape.output,
            ..GroupValues::default()
        };
        self.groups.iter().map(of).collect()
    }

    /// Whether no network has a memory or convolutions.
    pub(super) fn are_plain(&self) -> bool {
        self.groups.iter().all(|group| group.q_shape.is_some())
    }

    /// Chooses actions; `explore` decides which memory is read and moved on.
    ///
    /// # Errors
    /// A row without a legal action.
    pub(super) fn act(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        step: &StepBatch,
        explore: Option<Explore>,
        actions: &mut ActionBatch,
    ) -> Result<()> {
        let memory = match explore {
            Some(_) => &mut self.explore_memory,
            None => &mut self.greedy_memory,
        };
        memory.resize(step.n_envs * self.memory_width, 0.0);
        let mut first_agent = 0;
        for (g, group) in self.groups.iter_mut().enumerate() {
            let params = &params[group.range.clone()];
            let chosen = &mut actions.discrete[g];
            let (columns, first_row) = (&step.groups[g], (g as u32) << 24);
            if let Some(shape) = &group.q_shape {
                let call = Act {
                    shape,
                    params,
                    n_sets: group.n_sets,
                    n_agents: group.n_agents,
                    obs: &columns.obs,
                    mask: &columns.mask,
                    alive: &columns.alive,
                    exploration: match explore {
                        Some(Explore { epsilon, .. }) => Exploration::EpsilonGreedy { epsilon },
                        None => Exploration::Greedy,
                    },
                    seed: explore.map_or(0, |e| e.seed),
                    step: explore.map_or(0, |e| e.position),
                    first_row,
                    actions: chosen,
                    q: None,
                };
                let chose = backend.act(&mut group.act_scratch, call);
                chose.map_err(|e| crate::value::over_all_groups(e, first_agent))?;
            } else {
                group.recall(backend, params, step, g, memory, self.memory_width)?;
                let rows = step.n_envs * group.n_agents;
                let words = columns.mask.len() / rows.max(1);
                let values = group.out.chunks_exact(group.shape.output);
                for (row, (q, action)) in values.zip(chosen.iter_mut()).enumerate() {
                    let mask = &columns.mask[row * words..(row + 1) * words];
                    let choice = choose(q, mask, columns.alive[row], explore, first_row + row as u32);
                    let (env, agent) = (row / group.n_agents, first_agent + row % group.n_agents);
                    *action = choice.ok_or(coact_core::Error::NoLegalAction { env, agent })?;
                }
            }
            first_agent += group.n_agents;
        }
        Ok(())
    }

    /// Values `[E, A, N]` of group `g` on the observations of `step`, by the memory of exploring, which stays.
    ///
    /// # Errors
    /// A kernel that refuses.
    pub(super) fn action_values(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        step: &StepBatch,
        g: usize,
    ) -> Result<Vec<f32>> {
        let mut memory = self.explore_memory.clone();
        memory.resize(step.n_envs * self.memory_width, 0.0);
        let group = &mut self.groups[g];
        let params = &params[group.range.clone()];
        group.recall(backend, params, step, g, &mut memory, self.memory_width)?;
        Ok(group.out.clone())
    }
}

impl GroupNets {
    /// Range of set `set` in all parameters.
    pub(super) fn set(&self, set: usize) -> Range<usize> {
        let start = self.range.start + set * self.param_count;
        start..start + self.param_count
    }

    /// Range of all sets.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Range of the set of agent `agent`.
    pub(super) fn set_of(&self, agent: usize) -> Range<usize> {
        self.set(agent.min(self.n_sets - 1))
    }

    /// The network, whatever its parameters.
    pub(super) fn net(&self) -> &AgentNet {
        &self.other
    }

    pub(super) fn n_agents(&self) -> usize {
        self.n_agents
    }

    pub(super) fn n_sets(&self) -> usize {
        self.n_sets
    }

    /// Whether the network is feed-forward, so that kernels for whole networks take it.
    pub(super) fn is_plain(&self) -> bool {
        self.q_shape.is_some()
    }

    /// What comes next in `columns` of a rollout of one step; none where networks are not feed-forward.
    pub(super) fn next<'a>(
        &'a self,
        params: &'a [f32],
        target_params: &'a [f32],
        columns: &'a GroupRollout,
    ) -> Option<NextGroup<'a>> {
        // Two rows of observations and masks, one of all else.
        let next_obs = &columns.obs[columns.obs.len() / 2..];
        let next_mask = &columns.mask[columns.mask.len() / 2..];
        self.q_shape.as_ref().map(|shape| NextGroup {
            shape,
            n_agents: self.n_agents,
            n_sets: self.n_sets,
            n_critics: 1,
            params: &params[self.range.clone()],
            target_params: &target_params[self.range.clone()],
            next_obs,
            next_mask,
            reward: &[],
            discount: &columns.discount,
        })
    }

    /// One step forward: values `[E, A, N]` into `out`; reads and moves on the group's part of `memory` `[E, M]`.
    fn recall(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        step: &StepBatch,
        g: usize,
        memory: &mut [f32],
        memory_width: usize,
    ) -> Result<()> {
        let (n, m, width) = (self.n_agents, self.memory_width, self.shape.output);
        self.out.resize(step.n_envs * n * width, 0.0);
        for set in 0..self.n_sets {
            let (first, count) = if self.n_sets == 1 { (0, n) } else { (set, 1) };
            let rows = step.n_envs * count;
            self.is_first.clear();
            self.rows_memory.clear();
            for env in 0..step.n_envs {
                self.is_first.extend((0..count).map(|_| step.is_first[env]));
                let at = env * memory_width + self.memory.start + first * m;
                self.rows_memory.extend_from_slice(&memory[at..at + count * m]);
            }
            let params = &params[set * self.param_count..(set + 1) * self.param_count];
            let all = &step.groups[g].obs;
            if self.n_sets == 1 {
                let (first, memory) = (&self.is_first, &mut self.rows_memory);
                self.other.step(backend, params, rows, all, first, memory, &mut self.out)?;
            } else {
                gather(all, n, set, self.obs_width, &mut self.obs);
                self.own_out.resize(rows * width, 0.0);
                let (first, memory) = (&self.is_first, &mut self.rows_memory);
                self.other.step(backend, params, rows, &self.obs, first, memory, &mut self.own_out)?;
                spread(&self.own_out, n, set, width, &mut self.out);
            }
            for (env, own) in self.rows_memory.chunks_exact((count * m).max(1)).enumerate() {
                let at = env * memory_width + self.memory.start + first * m;
                memory[at..at + count * m].copy_from_slice(own);
            }
        }
        Ok(())
    }

    /// Values of what `rollout` saw, `[(T + 1) B + F, A, N]` into `values`: by the `learned` networks, which keep what
    /// [`GroupNets::backward`] needs, or by others (`params` are then those of the target). Without `next` only those of
    /// the steps, `[T B, A, N]`. Rows before the end of burn-in, which nobody reads, are left as they were.
    ///
    /// # Errors
    /// A buffer that does not fit.
    pub(super) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        g: usize,
        (learned, next): (bool, bool),
        values: &mut Vec<f32>,
    ) -> Result<()> {
        let (n, width) = (self.n_agents, self.shape.output);
        let steps = rollout.n_steps + usize::from(next);
        let n_ends = if next { rollout.ends.len() } else { 0 };
        let rows = steps * rollout.n_envs * n;
        values.resize((rows + n_ends * n) * width, 0.0);
        let (seen, ends) = values.split_at_mut(rows * width);
        for set in 0..self.n_sets {
            let params = &params[set * self.param_count..(set + 1) * self.param_count];
            self.forward_set(backend, params, rollout, g, (set, learned, steps), seen)?;
            if n_ends > 0 {
                self.forward_ends(backend, params, rollout, g, (set, learned), ends)?;
            }
        }
        Ok(())
    }

    /// The sequences of one set.
    fn forward_set(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        g: usize,
        (set, learned, steps): (usize, bool, usize),
        seen: &mut [f32],
    ) -> Result<()> {
        let (n, d, width) = (self.n_agents, self.obs_width, self.shape.output);
        let count = if self.n_sets == 1 { n } else { 1 };
        let rows = rollout.n_envs * count;
        self.is_first.clear();
        self.is_first.extend(rollout.is_first.iter().flat_map(|&first| std::iter::repeat_n(first, count)));
        self.read_memory(rollout, set, count);
        let all = &rollout.groups[g].obs[..steps * rollout.n_envs * n * d];
        if self.n_sets > 1 {
            gather(all, n, set, d, &mut self.obs);
            self.out.resize(steps * rows * width, 0.0);
        }
        let (obs, out) = match self.n_sets {
            1 => (all, &mut *seen),
            _ => (&self.obs[..], &mut self.out[..]),
        };
        let (k, is_first) = (rollout.burn_in, &self.is_first);
        let (warm, rest) = (k * rows, steps - k);
        if k > 0 && self.memory_width > 0 {
            self.cold.clear();
            self.cold.extend_from_slice(&self.rows_memory);
            let (obs, first, out) = (&obs[..warm * d], &is_first[..warm], &mut out[..warm * width]);
            let after = Some(&mut self.rows_memory[..]);
            self.other.forward(backend, params, k, rows, obs, first, &self.cold, out, after)?;
        }
        let net = if learned { &mut self.learned[set] } else { &mut self.other };
        let (obs, first, out) = (&obs[warm * d..], &is_first[warm..], &mut out[warm * width..]);
        net.forward(backend, params, rest, rows, obs, &first[..rest * rows], &self.rows_memory, out, None)?;
        if self.n_sets > 1 {
            spread(&self.out, n, set, width, seen);
        }
        Ok(())
    }

    /// The last observations of truncated episodes, read after the step before them.
    fn forward_ends(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        g: usize,
        (set, learned): (usize, bool),
        ends: &mut [f32],
    ) -> Result<()> {
        let (n, m, width) = (self.n_agents, self.memory_width, self.shape.output);
        let (first, count) = if self.n_sets == 1 { (0, n) } else { (set, 1) };
        let rows = rollout.ends.len() * count;
        self.rows_memory.clear();
        self.rows_memory.resize(rows * m, 0.0);
        let net = if learned { &self.learned[set] } else { &self.other };
        for (end, &(t, b)) in rollout.ends.iter().enumerate() {
            // What ended during burn-in is read by nobody.
            let Some(step) = (t as usize).checked_sub(rollout.burn_in) else { continue };
            for a in 0..count {
                let row = end * count + a;
                net.memory_after(step, b as usize * count + a, &mut self.rows_memory[row * m..(row + 1) * m]);
            }
        }
        self.is_first.clear();
        self.is_first.resize(rows, false);
        let all = &rollout.groups[g].final_obs;
        gather_range(all, n, first, count, self.obs_width, &mut self.obs);
        self.out.resize(rows * width, 0.0);
        let (memory, out) = (&mut self.rows_memory, &mut self.out);
        self.ends.step(backend, params, rows, &self.obs, &self.is_first, memory, out)?;
        match count == n {
            true => ends.copy_from_slice(&self.out),
            false => spread(&self.out, n, set, width, ends),
        }
        Ok(())
    }

    /// Memories of the rows of a set before the first observation.
    fn read_memory(&mut self, rollout: &Rollout, set: usize, count: usize) {
        let m = self.memory_width;
        self.rows_memory.clear();
        if rollout.memory.is_empty() {
            self.rows_memory.resize(rollout.n_envs * count * m, 0.0);
            return;
        }
        let first = if count == self.n_agents { 0 } else { set };
        let whole = rollout.memory.len() / rollout.n_envs;
        for own in rollout.memory.chunks_exact(whole.max(1)) {
            let at = self.memory.start + first * m;
            self.rows_memory.extend_from_slice(&own[at..at + count * m]);
        }
    }

    /// Gradients of all parameter sets `[S, P]` from those of the values `[(T + 1) B, A, N]`, after
    /// [`GroupNets::forward`] of the learned networks.
    ///
    /// # Errors
    /// A buffer that does not fit.
    pub(super) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rollout: &Rollout,
        g: usize,
        d_values: &[f32],
        grads: &mut [f32],
    ) -> Result<()> {
        let (n, d, width) = (self.n_agents, self.obs_width, self.shape.output);
        let seen = d_values.len() / width;
        let all = &rollout.groups[g].obs[..seen * d];
        let skipped = rollout.burn_in * rollout.n_envs;
        for set in 0..self.n_sets {
            let own = set * self.param_count..(set + 1) * self.param_count;
            let (params, grads) = (&params[own.clone()], &mut grads[own]);
            let net = &mut self.learned[set];
            if self.n_sets == 1 {
                let (obs, d_out) = (&all[skipped * n * d..], &d_values[skipped * n * width..]);
                net.backward(backend, params, obs, d_out, grads, None)?;
            } else {
                gather(all, n, set, d, &mut self.obs);
                gather(d_values, n, set, width, &mut self.out);
                let (obs, d_out) = (&self.obs[skipped * d..], &self.out[skipped * width..]);
                net.backward(backend, params, obs, d_out, grads, None)?;
            }
        }
        Ok(())
    }
}

/// Rows of agent `agent` out of `[X, A, K]`, into `[X, K]`.
fn gather(all: &[f32], n_agents: usize, agent: usize, width: usize, out: &mut Vec<f32>) {
    gather_range(all, n_agents, agent, 1, width, out);
}

/// Rows of `count` agents from `first` on out of `[X, A, K]`, into `[X, count, K]`.
fn gather_range(all: &[f32], n_agents: usize, first: usize, count: usize, width: usize, out: &mut Vec<f32>) {
    out.clear();
    for row in all.chunks_exact(n_agents * width) {
        out.extend_from_slice(&row[first * width..(first + count) * width]);
    }
}

/// The inverse of [`gather`].
fn spread(own: &[f32], n_agents: usize, agent: usize, width: usize, all: &mut [f32]) {
    for (row, own) in all.chunks_exact_mut(n_agents * width).zip(own.chunks_exact(width)) {
        row[agent * width..(agent + 1) * width].copy_from_slice(own);
    }
}

/// The action of one row: the rule and the random numbers of the `act` kernel.
fn choose(q: &[f32], mask: &[u32], alive: bool, explore: Option<Explore>, row: u32) -> Option<u32> {
    let legal = |a: &usize| is_legal(mask, *a);
    if !alive {
        return Some((0..q.len()).find(legal).unwrap_or(0) as u32);
    }
    if let Some(Explore { epsilon, seed, position }) = explore {
        let words = philox4x32(counter_of(Purpose::Explore, row, position, 0), key_of(seed));
        if unit_f32(words[0]) < epsilon {
            let n = (0..q.len()).filter(legal).count() as u32;
            return (0..q.len()).filter(legal).nth(below(words[1], n.max(1)) as usize).map(|a| a as u32);
        }
    }
    argmax_legal(q, mask).map(|a| a as u32)
}
