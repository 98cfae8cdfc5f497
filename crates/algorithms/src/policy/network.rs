//! Networks of one group of agents: a shape, one parameter set for all agents or one an agent, and the rows that a pass
//! gathers for it.

use std::ops::Range;

use coact_kernels::Backend;
use coact_nets::{AgentNet, AgentNetShape};

use crate::Result;

/// Which observations a pass is over: rows of columns `[P, ..]`, P = T B numbered `t * B + b`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    /// The positions, `steps` times as many as environments in the pass, in the order of time; `None` for all from 0 on.
    pub(super) positions: Option<&'a [u32]>,
    /// Number of positions.
    pub(super) count: usize,
    /// Consecutive steps; 1 where order does not matter.
    pub(super) steps: usize,
    /// Environments of the columns, `B`.
    pub(super) n_envs: usize,
}

impl<'a> Window<'a> {
    /// All of `count` positions, over `steps` steps.
    pub(super) fn all(count: usize, steps: usize) -> Self {
        Self { positions: None, count, steps, n_envs: count / steps.max(1) }
    }

    /// These positions.
    pub(super) fn of(positions: &'a [u32], steps: usize, n_envs: usize) -> Self {
        Self { positions: Some(positions), count: positions.len(), steps, n_envs }
    }

    /// Position `i` of the pass.
    #[inline(always)]
    pub(super) fn position(&self, i: usize) -> usize {
        self.positions.map_or(i, |positions| positions[i] as usize)
    }

    /// Environments (or positions without order) side by side.
    pub(super) fn width(&self) -> usize {
        self.count / self.steps
    }
}

/// Recurrent states of all environments: row `(b, a)` begins at `b * stride + offset + a * M`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memories<'a> {
    pub(super) values: &'a [f32],
    pub(super) stride: usize,
    pub(super) offset: usize,
}

/// A network shape with its parameter sets, and the gathered rows of the pass under way.
#[derive(Debug)]
pub(super) struct SetNetwork {
    pub(super) net: AgentNet,
    /// Rows a position, `A`.
    pub(super) n_agents: usize,
    /// Parameters of each set within the learner's; 1 or `A` of them.
    pub(super) sets: Vec<Range<usize>>,
    input: Vec<f32>,
    is_first: Vec<bool>,
    memory: Vec<f32>,
    memory_out: Vec<f32>,
    /// Outputs `[rows, N]` of the pass, later their gradient.
    pub(super) out: Vec<f32>,
}

impl SetNetwork {
    /// # Errors
    /// A layer without units.
    pub(super) fn new(shape: AgentNetShape, n_agents: usize) -> Result<Self> {
        Ok(Self {
            net: AgentNet::new(shape)?,
            n_agents,
            sets: Vec::new(),
            input: Vec::new(),
            is_first: Vec::new(),
            memory: Vec::new(),
            memory_out: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Numbers of recurrent state a row, `M`.
    pub(super) fn memory_width(&self) -> usize {
        self.net.memory_width()
    }

    /// Agents that set `set` serves.
    pub(super) fn agents(&self, set: usize) -> Range<usize> {
        if self.sets.len() == 1 { 0..self.n_agents } else { set..set + 1 }
    }

    /// Outputs of set `set` in [`SetNetwork::out`], rows `(i, a)` of the window's positions and the set's agents. `columns`
    /// `[P, A, D]`; `is_first` `[P]` and `memories` are only read by recurrent networks. Returns the number of rows.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        set: usize,
        columns: &[f32],
        window: Window<'_>,
        is_first: &[bool],
        memories: Memories<'_>,
    ) -> Result<usize> {
        let agents = self.agents(set);
        let (k, d) = (agents.len(), self.net.shape().input);
        let rows = window.count * k;
        gather(&mut self.input, columns, window, self.n_agents * d, agents.start * d..agents.end * d);
        let m = self.memory_width();
        if m > 0 {
            self.is_first.clear();
            for i in 0..window.count {
                let first = is_first[window.position(i)];
                self.is_first.extend(std::iter::repeat_n(first, k));
            }
            self.memory.clear();
            for i in 0..window.width() {
                let start = window.position(i) % window.n_envs * memories.stride + memories.offset;
                self.memory
                    .extend_from_slice(&memories.values[start + agents.start * m..start + agents.end * m]);
            }
        }
        self.out.resize(rows * self.net.shape().output, 0.0);
        self.memory_out.resize(window.width() * k * m, 0.0);
        let params = &params[self.sets[set].clone()];
        self.net.forward(
            backend,
            params,
            window.steps,
            window.width() * k,
            &self.input,
            &self.is_first,
            &self.memory,
            &mut self.out,
            Some(&mut self.memory_out),
        )?;
        Ok(rows)
    }

    /// Recurrent states `[width, k, M]` after the last step of the pass.
    pub(super) fn memory_out(&self) -> &[f32] {
        &self.memory_out
    }

    /// Backward of the last [`SetNetwork::forward`], of set `set`, from the gradient in [`SetNetwork::out`]: overwrites the
    /// set's part of `grads`.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        set: usize,
        grads: &mut [f32],
    ) -> Result<()> {
        let range = self.sets[set].clone();
        let grads = &mut grads[range.clone()];
        Ok(self.net.backward(backend, &params[range], &self.input, &self.out, grads, None)?)
    }
}

/// Copies `part` of each of the window's rows of `columns` `[P, width]`, one behind the other.
fn gather(out: &mut Vec<f32>, columns: &[f32], window: Window<'_>, width: usize, part: Range<usize>) {
    out.clear();
    if window.positions.is_none() && part.len() == width {
        out.extend_from_slice(&columns[..window.count * width]);
        return;
    }
    for i in 0..window.count {
        let row = window.position(i) * width;
        out.extend_from_slice(&columns[row + part.start..row + part.end]);
    }
}
