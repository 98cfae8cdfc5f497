//! The networks of one role (actors, or one of the critics) of a group of agents, run forward and backward on rows
//! `[R, A, K]`, whether the agents share one set of parameters or have one each. Not here: what outputs mean.

use std::ops::Range;

use coact_kernels::{Backend, MlpCache, QShape};
use coact_nets::QNetworks;

/// Networks of `A` agents: where their parameters lie, and what the backward pass needs of the last forward one.
#[derive(Debug)]
pub(super) struct Networks {
    /// Shapes and sets; one critic.
    pub layout: QNetworks,
    /// Their parameters `[S, P]` within those of the learner.
    pub range: Range<usize>,
    sets: Vec<SetWork>,
    output: Vec<f32>,
    d_input: Vec<f32>,
}

/// Work memory of one parameter set.
#[derive(Debug, Default)]
struct SetWork {
    cache: MlpCache,
    /// Its agent's rows, where each agent has a set of its own.
    input: Vec<f32>,
    d_output: Vec<f32>,
}

impl Networks {
    /// Networks of `n_agents` agents in `n_sets` sets (1 or `n_agents`), whose parameters begin at `start`.
    pub(super) fn new(shape: QShape, n_agents: usize, n_sets: usize, start: usize) -> Self {
        let layout = QNetworks { shape, n_agents, n_sets, n_critics: 1 };
        let range = start..start + layout.param_count();
        let sets = (0..n_sets).map(|_| SetWork::default()).collect();
        Self { layout, range, sets, output: Vec::new(), d_input: Vec::new() }
    }

    /// Width of a row of input.
    pub(super) fn n_inputs(&self) -> usize {
        self.layout.shape.mlp.input
    }

    /// Width of a row of output.
    pub(super) fn n_outputs(&self) -> usize {
        self.layout.shape.mlp.output
    }

    /// Parameters of set `set` within those of the learner.
    pub(super) fn set_range(&self, set: usize) -> Range<usize> {
        let within = self.layout.network(0, set);
        self.range.start + within.start..self.range.start + within.end
    }

    /// Outputs `[R, A, N]` of `input` `[R, A, K]`; `params` are all of the learner's, online or target ones.
    pub(super) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: &[f32],
        output: &mut Vec<f32>,
    ) {
        let (k, n) = (self.n_inputs(), self.n_outputs());
        let rows = input.len() / k;
        output.resize(rows * n, 0.0);
        if self.layout.n_sets == 1 {
            let shape = &self.layout.shape.mlp;
            let params = &params[self.range.clone()];
            return backend.mlp_forward(shape, params, rows, input, &mut self.sets[0].cache, output);
        }
        let agents = self.layout.n_agents;
        for agent in 0..agents {
            let range = self.set_range(agent);
            let set = &mut self.sets[agent];
            gather(input, k, agent, agents, &mut set.input);
            let own = rows / agents;
            self.output.resize(own * n, 0.0);
            let shape = &self.layout.shape.mlp;
            backend.mlp_forward(shape, &params[range], own, &set.input, &mut set.cache, &mut self.output);
            scatter(&self.output, n, agent, agents, output);
        }
    }

    /// Backward of the last [`Networks::forward`], which read the same `params` and `input`: overwrites the networks'
    /// part of `grads` (as long as `params`).
    pub(super) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: &[f32],
        d_output: &[f32],
        grads: &mut [f32],
    ) {
        let rows = input.len() / self.n_inputs();
        if self.layout.n_sets == 1 {
            let (params, grads) = (&params[self.range.clone()], &mut grads[self.range.clone()]);
            let (shape, cache) = (&self.layout.shape.mlp, &mut self.sets[0].cache);
            return backend.mlp_backward(shape, params, rows, input, cache, d_output, grads, None);
        }
        let (n, agents) = (self.n_outputs(), self.layout.n_agents);
        for agent in 0..agents {
            let range = self.set_range(agent);
            let shape = &self.layout.shape.mlp;
            let SetWork { cache, input, d_output: mine } = &mut self.sets[agent];
            gather(d_output, n, agent, agents, mine);
            let (params, grads) = (&params[range.clone()], &mut grads[range]);
            backend.mlp_backward(shape, params, rows / agents, input, cache, mine, grads, None);
        }
    }

    /// The gradient `d_input` `[R, A, K]` of the inputs of the last [`Networks::forward`], which read the same `params`.
    pub(super) fn backward_input(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        d_output: &[f32],
        d_input: &mut Vec<f32>,
    ) {
        let (k, n) = (self.n_inputs(), self.n_outputs());
        let rows = d_output.len() / n;
        d_input.resize(rows * k, 0.0);
        if self.layout.n_sets == 1 {
            let (shape, cache) = (&self.layout.shape.mlp, &mut self.sets[0].cache);
            let params = &params[self.range.clone()];
            return backend.mlp_backward_input(shape, params, rows, cache, d_output, d_input);
        }
        let agents = self.layout.n_agents;
        self.d_input.resize(rows / agents * k, 0.0);
        for agent in 0..agents {
            let params = &params[self.set_range(agent)];
            let shape = &self.layout.shape.mlp;
            let SetWork { cache, d_output: mine, .. } = &mut self.sets[agent];
            gather(d_output, n, agent, agents, mine);
            backend.mlp_backward_input(shape, params, rows / agents, cache, mine, &mut self.d_input);
            scatter(&self.d_input, k, agent, agents, d_input);
        }
    }
}

/// Rows of one agent out of `[R, A, width]`.
fn gather(all: &[f32], width: usize, agent: usize, agents: usize, mine: &mut Vec<f32>) {
    mine.clear();
    let rows = all.chunks_exact(width).skip(agent).step_by(agents);
    rows.for_each(|row| mine.extend_from_slice(row));
}

/// The inverse of [`gather`].
fn scatter(mine: &[f32], width: usize, agent: usize, agents: usize, all: &mut [f32]) {
    let rows = all.chunks_exact_mut(width).skip(agent).step_by(agents);
    rows.zip(mine.chunks_exact(width)).for_each(|(to, from)| to.copy_from_slice(from));
}
