//! The network of an agent: on request convolutions over a grid, an encoder, on request a recurrent cell, a head; forward over sequences and backward through
//! time. It owns no parameters, only what backward needs, so that one network serves any number of parameter sets.
//!
//! Without a cell this is one multilayer perceptron over all `T R` rows. With one, the encoder's last layer gives the input
//! side of the gates of all steps at once, and the head reads all hidden states at once; only the hidden side of the
//! gates goes step by step.
//!
//! Not here: actions, losses, targets, several agents with weights of their own (one call a set).

mod tensors;

use std::ops::Range;

use coact_core::rng::{Purpose, Stream};
use coact_kernels::{
    Activation, Backend, CellShape, LayersBackward, LayersForward, MlpCache, MlpShape, RecurrentBackward,
    RecurrentCache, RecurrentForward, RecurrentShape, TensorKind,
};

pub use coact_kernels::CellKind;
pub use tensors::NetTensor;

use self::tensors::{convolutions, layers};
use crate::grid::{GridNet, GridShape};
use crate::init::{Init, initialize_gates, initialize_part};
use crate::qnet::NamedTensor;
use crate::{Error, Result};

/// Number of the first tensor of the convolutions in the streams of first values, past those of all other layers.
const GRID_TENSORS: u64 = 1 << 32;

/// A recurrent cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// GRU or LSTM.
    pub kind: CellKind,
    /// Units, `H`.
    pub width: usize,
}

/// Widths and kinds of the layers of an [`AgentNet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentNetShape {
    /// Input width, `D`.
    pub input: usize,
    /// Convolutions over the grid that observations begin with, before the encoder.
    pub grid: Option<GridShape>,
    /// Widths of the hidden layers before the cell.
    pub encoder: Vec<usize>,
    /// Recurrent cell; without one, encoder and head are one row of layers.
    pub cell: Option<Cell>,
    /// Widths of the hidden layers after the cell.
    pub head: Vec<usize>,
    /// Output width, `N`.
    pub output: usize,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
    /// Layer norm between each hidden layer and its nonlinearity.
    pub layer_norm: bool,
}

impl AgentNetShape {
    /// A linear layer: no hidden layers and no cell.
    pub fn linear(input: usize, output: usize) -> Self {
        let activation = Activation::Relu;
        Self {
            input,
            grid: None,
            encoder: vec![],
            cell: None,
            head: vec![],
            output,
            activation,
            layer_norm: false,
        }
    }

    /// # Errors
    /// A layer without units, or a grid that does not fit.
    pub fn check(&self) -> Result<()> {
        if self.cell.is_some_and(|cell| cell.width == 0) {
            let rule = "a recurrent cell needs at least one unit";
            return Err(Error::Setting { key: "recurrent_width", value: "0".into(), rule });
        }
        if let Some(grid) = &self.grid {
            grid.convolutions(self.input)?;
        }
        let (trunk, _, head) = self.parts(self.input);
        trunk.check()?;
        Ok(head.map_or(Ok(()), |head| head.check())?)
    }

    fn cell_shape(&self) -> Option<CellShape> {
        self.cell.map(|Cell { kind, width }| CellShape { kind, width })
    }

    /// Layers up to the cell's gates (or all of them) from so many inputs, cell, layers after the cell.
    fn parts(&self, input: usize) -> (MlpShape, Option<CellShape>, Option<MlpShape>) {
        let layers = |input, hidden, output| MlpShape {
            input,
            hidden,
            output,
            activation: self.activation,
            layer_norm: self.layer_norm,
        };
        match self.cell_shape() {
            None => (layers(input, [&self.encoder[..], &self.head].concat(), self.output), None, None),
            Some(cell) => {
                let trunk = layers(input, self.encoder.clone(), cell.gate_width());
                (trunk, Some(cell), Some(layers(cell.width, self.head.clone(), self.output)))
            }
        }
    }
}

/// The cell and what follows it.
#[derive(Debug)]
struct Recurrence {
    cell: CellShape,
    head: MlpShape,
    /// What the whole network keeps for backward.
    cache: RecurrentCache,
}

/// An encoder, a recurrent cell if the shape has one, and a head.
///
/// Flat parameters: the convolutions (each a weight `[F, C, KY, KX]` and a bias `[F]`), the layers of the encoder (with a cell the last of them is the input side of its gates), `Wh` and `bh`
/// of the cell, the layers of the head.
#[derive(Debug)]
pub struct AgentNet {
    shape: AgentNetShape,
    grid: Option<GridNet>,
    trunk: MlpShape,
    trunk_cache: MlpCache,
    recurrence: Option<Recurrence>,
    steps: usize,
    rows: usize,
}

impl AgentNet {
    /// A network of this shape.
    ///
    /// # Errors
    /// A layer without units, or a grid that does not fit.
    pub fn new(shape: AgentNetShape) -> Result<Self> {
        shape.check()?;
        let grid = |grid| GridNet::new(grid, shape.input, shape.activation);
        let grid = shape.grid.as_ref().map(grid).transpose()?;
        let (trunk, cell, head) = shape.parts(grid.as_ref().map_or(shape.input, GridNet::output));
        let cache = RecurrentCache::new();
        let recurrence = cell.zip(head).map(|(cell, head)| Recurrence { cell, head, cache });
        Ok(Self { shape, grid, trunk, trunk_cache: MlpCache::new(), recurrence, steps: 0, rows: 0 })
    }

    /// Widths and kinds of the layers.
    pub fn shape(&self) -> &AgentNetShape {
        &self.shape
    }

    /// Length of the flat parameters, `P`.
    pub fn param_count(&self) -> usize {
        let [.., head] = self.ranges();
        head.end
    }

    /// Width of the recurrent memory of a row, `M`: `h` of a GRU, `h` then `c` of an LSTM, 0 without a cell.
    pub fn memory_width(&self) -> usize {
        self.recurrence.as_ref().map_or(0, |r| r.cell.memory_width())
    }

    /// Ranges of convolutions, encoder, cell and head; what is not there is empty.
    fn ranges(&self) -> [Range<usize>; 4] {
        let grid = self.grid.as_ref().map_or(0, GridNet::param_count);
        let (cell, head) =
            self.recurrence.as_ref().map_or((0, 0), |r| (r.cell.param_count(), r.head.param_count()));
        let ends = [grid, self.trunk.param_count(), cell, head];
        let mut end = 0;
        ends.map(|len| {
            end += len;
            end - len..end
        })
    }

    /// Every tensor of the flat parameters, in order.
    pub fn tensors(&self) -> Vec<NetTensor> {
        let [_, trunk, cell, head] = self.ranges();
        let mut out = self.grid.as_ref().map_or_else(Vec::new, convolutions);
        let Some(recurrence) = &self.recurrence else {
            let prefix = if self.grid.is_some() { "head." } else { "" };
            out.extend(layers(prefix, &self.trunk, trunk.start, false));
            return out;
        };
        out.extend(layers("encoder.", &self.trunk, trunk.start, true));
        let (h, width) = (recurrence.cell.width, recurrence.cell.gate_width());
        let bias = cell.start + h * width;
        let tensor = |name: &str, kind, range, rows| {
            let name = format!("rnn.{name}");
            NetTensor { name, kind, range, rows, cols: width, patch: None }
        };
        out.push(tensor("weight_hh", TensorKind::Weight, cell.start..bias, h));
        out.push(tensor("bias_hh", TensorKind::Bias, bias..cell.end, 1));
        out.extend(layers("head.", &recurrence.head, head.start, false));
        out
    }

    /// Starts the parameters of one network. `index` names it, so that no two start equal; the weights of the output
    /// layer are multiplied by `output_gain` (1 leaves them; policies often take 0.01).
    ///
    /// # Panics
    /// If `params` is not `[P]`.
    pub fn init(&self, init: Init, seed: u64, index: u32, params: &mut [f32], output_gain: f32) {
        assert_eq!(params.len(), self.param_count(), "params [P]");
        let [grid, trunk, cell, head] = self.ranges();
        let n_trunk = self.trunk.tensors().len() as u64;
        let stream = |number| Stream::new(seed, Purpose::Init, index, number);
        initialize_part(&self.trunk, init, seed, index, 0, &mut params[trunk.clone()]);
        if let Some(net) = &self.grid {
            net.init(init, stream, GRID_TENSORS, &mut params[grid]);
        }
        if let Some(recurrence) = &self.recurrence {
            let (h, width) = (recurrence.cell.width, recurrence.cell.gate_width());
            let last = self.trunk.hidden.last().copied().unwrap_or(self.trunk.input);
            let input_side = &mut params[trunk.end - (last + 1) * width..trunk.end];
            let (weight, bias) = input_side.split_at_mut(last * width);
            initialize_gates(init, h, stream, n_trunk - 2, weight, bias);
            let (weight, bias) = params[cell].split_at_mut(h * width);
            initialize_gates(init, h, stream, n_trunk, weight, bias);
            initialize_part(&recurrence.head, init, seed, index, n_trunk + 2, &mut params[head]);
        }
        let tensors = self.tensors();
        if let Some(output) = tensors.iter().rev().find(|t| t.kind == TensorKind::Weight) {
            params[output.range.clone()].iter_mut().for_each(|w| *w *= output_gain);
        }
    }

    /// Outputs `[T, R, N]` of `steps` steps of `rows` sequences of `obs` `[T, R, D]`, keeping what
    /// [`AgentNet::backward`] needs. Where `is_first` `[T, R]` the memory is cleared before the step; `memory` `[R, M]`
    /// is that before the first step, and `memory_out` `[R, M]`, if given, receives that after the last. Without a cell
    /// `is_first` and both memories may be empty.
    ///
    /// # Errors
    /// A buffer of another length.
    ///
    /// # Panics
    /// If `params`, `obs` or `out` have another length.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        steps: usize,
        rows: usize,
        obs: &[f32],
        is_first: &[bool],
        memory: &[f32],
        out: &mut [f32],
        memory_out: Option<&mut [f32]>,
    ) -> Result<()> {
        let [grid, trunk, _, head] = self.ranges();
        assert_eq!(params.len(), head.end, "params [P]");
        assert_eq!(obs.len(), steps * rows * self.shape.input, "obs [T, R, D]");
        (self.steps, self.rows) = (steps, rows);
        let n = steps * rows;
        let obs = match &mut self.grid {
            Some(net) => {
                net.forward(backend, &params[grid], n, obs)?;
                &net.features[..n * self.trunk.input]
            }
            None => obs,
        };
        let cache = &mut self.trunk_cache;
        let Some(r) = &mut self.recurrence else {
            let (shape, params) = (&self.trunk, &params[trunk]);
            let call = LayersForward { shape, params, rows: n, input: obs, output: out };
            return Ok(backend.layers_forward(cache, call)?);
        };
        let shape = RecurrentShape { encoder: &self.trunk, cell: r.cell, head: &r.head };
        let params = &params[trunk.start..];
        let call = RecurrentForward { shape, params, steps, rows, input: obs, is_first, memory, output: out };
        backend.recurrent_forward(&mut r.cache, call)?;
        if let Some(memory_out) = memory_out {
            let m = r.cell.memory_width();
            assert_eq!(memory_out.len(), rows * m, "memory_out [R, M]");
            for (row, to) in memory_out.chunks_exact_mut(m).enumerate() {
                match steps {
                    0 => to.copy_from_slice(&memory[row * m..(row + 1) * m]),
                    _ => self.memory_after(steps - 1, row, to),
                }
            }
        }
        Ok(())
    }

    /// [`AgentNet::forward`] of one step: `obs` `[R, D]`, `is_first` `[R]`, `out` `[R, N]`. `memory` `[R, M]` goes in and
    /// comes out.
    ///
    /// # Errors
    /// A buffer of another length.
    ///
    /// # Panics
    /// If `params`, `obs` or `out` have another length.
    #[allow(clippy::too_many_arguments)]
    pub fn step(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rows: usize,
        obs: &[f32],
        is_first: &[bool],
        memory: &mut [f32],
        out: &mut [f32],
    ) -> Result<()> {
        self.forward(backend, params, 1, rows, obs, is_first, memory, out, None)?;
        let m = self.memory_width();
        if m > 0 {
            for (row, to) in memory.chunks_exact_mut(m).enumerate() {
                self.memory_after(0, row, to);
            }
        }
        Ok(())
    }

    /// Writes the memory `[M]` of row `row` after step `step` of the last forward pass: what an observation after that
    /// step reads. Writes nothing without a cell.
    ///
    /// # Panics
    /// If there was no such step and row, or `into` is not `[M]`.
    pub fn memory_after(&self, step: usize, row: usize, into: &mut [f32]) {
        assert!(
            step < self.steps && row < self.rows,
            "step {step} of {}, row {row} of {}",
            self.steps,
            self.rows
        );
        assert_eq!(into.len(), self.memory_width(), "memory [M]");
        let Some(r) = &self.recurrence else { return };
        r.cache.memory_after(r.cell, step, row, into);
    }

    /// Backward of the last [`AgentNet::forward`] with the same `params` and `obs`: given the gradient `d_out`
    /// `[T, R, N]` of the outputs, overwrites `grads` `[P]` with that of the parameters and `d_obs` `[T, R, D]`, if
    /// given, with that of the inputs. Nothing flows into the first memory.
    ///
    /// # Errors
    /// A buffer of another length.
    ///
    /// # Panics
    /// If `params`, `obs`, `d_out`, `grads` or `d_obs` have another length.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        obs: &[f32],
        d_out: &[f32],
        grads: &mut [f32],
        d_obs: Option<&mut [f32]>,
    ) -> Result<()> {
        let [grid, trunk, ..] = self.ranges();
        let p = self.param_count();
        assert_eq!((params.len(), grads.len()), (p, p), "params [P], grads [P]");
        let n = self.steps * self.rows;
        assert_eq!(obs.len(), n * self.shape.input, "obs [T, R, D]");
        let mut d_obs = d_obs;
        let (input, d_input) = match &mut self.grid {
            Some(net) => {
                let width = n * self.trunk.input;
                (&net.features[..width], Some(&mut net.d_features[..width]))
            }
            None => (obs, d_obs.take()),
        };
        let (own, of_own) = (&params[trunk.start..], &mut grads[trunk.start..]);
        match &mut self.recurrence {
            Some(r) => {
                let shape = RecurrentShape { encoder: &self.trunk, cell: r.cell, head: &r.head };
                let (params, grads) = (own, of_own);
                let call = RecurrentBackward { shape, params, input, d_output: d_out, grads, d_input };
                backend.recurrent_backward(&mut r.cache, call)?;
            }
            None => {
                let (shape, params, grads) = (&self.trunk, own, of_own);
                let call = LayersBackward { shape, params, input, d_output: d_out, grads, d_input };
                backend.layers_backward(&mut self.trunk_cache, call)?;
            }
        }
        match &mut self.grid {
            Some(net) => net.backward(backend, &params[grid.clone()], n, &mut grads[grid], d_obs),
            None => Ok(()),
        }
    }

    /// The parameters as a PyTorch state dictionary, weights as `[out, in]`. A plain perceptron has the names of one
    /// `Sequential` (`0.weight`). Else they are those of what is there of `grid` (a `Sequential` of `Conv2d`), `encoder` (a
    /// `Sequential`), `rnn` (a `GRUCell` or `LSTMCell`) and `head` (a `Sequential`).
    ///
    /// # Panics
    /// If `params` is not `[P]`.
    pub fn to_torch(&self, params: &[f32]) -> Vec<NamedTensor> {
        assert_eq!(params.len(), self.param_count(), "params [P]");
        self.tensors().into_iter().map(|t| t.to_torch(params)).collect()
    }
}

#[cfg(test)]
mod tests;
