//! Whole recurrent networks over sequences: layers to the gates of a cell, its steps, layers from its states to the outputs, and
//! back. On the CPU this is one call each of those; on a GPU nothing but inputs, outputs and states moves in between.
//!
//! Parameters are those of the layers before, `Wh` and `bh` of the cell, and those of the layers behind, in one flat buffer.
//! Orders of sums are those of the parts.

#[cfg(feature = "cuda")]
mod cuda;

use super::{CellBackward, CellCache, CellForward, CellKind, CellShape, MAX_DEVICE_WIDTH};
use crate::buffer::Buffer;
use crate::error::check_len;
use crate::mlp::is_worth_copying;
use crate::{Backend, Error, MlpCache, MlpShape};

/// A recurrent network. D inputs, H units of the cell, G gates a unit, M its memory, N outputs.
#[derive(Debug, Clone, Copy)]
pub struct RecurrentShape<'a> {
    /// Layers from the inputs to the input side of the gates, `G H` wide.
    pub encoder: &'a MlpShape,
    /// The cell.
    pub cell: CellShape,
    /// Layers from the states, `H` wide, to the outputs.
    pub head: &'a MlpShape,
}

impl RecurrentShape<'_> {
    /// Length of the flat parameters, `P`.
    pub fn param_count(&self) -> usize {
        self.encoder.param_count() + self.cell.param_count() + self.head.param_count()
    }

    /// Where the parameters of the cell and of the head begin.
    fn borders(&self) -> (usize, usize) {
        let cell = self.encoder.param_count();
        (cell, cell + self.cell.param_count())
    }

    fn check(&self) -> Result<(), Error> {
        let (encoder, cell, head) = (self.encoder, self.cell, self.head);
        if encoder.output == cell.gate_width() && head.input == cell.width {
            return Ok(());
        }
        Err(Error::Shape(format!(
            "a cell of {} units takes {} inputs from its encoder and gives {} to its head; they have {} and {}",
            cell.width,
            cell.gate_width(),
            cell.width,
            encoder.output,
            head.input
        )))
    }
}

/// What [`Backend::recurrent_forward`] keeps for [`Backend::recurrent_backward`]. Grows on first use.
#[derive(Debug, Default)]
pub struct RecurrentCache {
    encoder: MlpCache,
    cell: CellCache,
    head: MlpCache,
    /// Input side of the gates and later its gradient `[T, R, G H]`.
    gates: Buffer,
    /// States `[T, R, H]`, and their gradient.
    hidden: Buffer,
    d_hidden: Buffer,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    gpu: cuda::NetMemory,
}

impl RecurrentCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the memory `[M]` of row `row` after step `step` of the last forward pass of a network with this cell.
    ///
    /// # Panics
    /// If there was no such step and row, or `into` is not `[M]`.
    pub fn memory_after(&self, cell: CellShape, step: usize, row: usize, into: &mut [f32]) {
        let CellCache { steps, rows, .. } = self.cell;
        assert!(step < steps && row < rows, "step {step} of {steps}, row {row} of {rows}");
        let (h, c) = into.split_at_mut(cell.width);
        h.copy_from_slice(&self.hidden.as_slice()[(step * rows + row) * cell.width..][..cell.width]);
        match cell.kind {
            CellKind::Gru => assert!(c.is_empty(), "memory [M]"),
            CellKind::Lstm => c.copy_from_slice(self.cell.cell_state(cell, step, row)),
        }
    }
}

/// Sequences through a recurrent network. `T` steps, `R` rows.
#[derive(Debug)]
pub struct RecurrentForward<'a> {
    /// The network.
    pub shape: RecurrentShape<'a>,
    /// Parameters `[P]`.
    pub params: &'a [f32],
    /// `T`.
    pub steps: usize,
    /// `R`.
    pub rows: usize,
    /// `[T, R, D]`.
    pub input: &'a [f32],
    /// `[T, R]`: memory is cleared before this step.
    pub is_first: &'a [bool],
    /// Memory before the first step `[R, M]`.
    pub memory: &'a [f32],
    /// Written: `[T, R, N]`.
    pub output: &'a mut [f32],
}

impl RecurrentForward<'_> {
    fn check(&self) -> Result<(), Error> {
        let (n, shape) = (self.steps * self.rows, &self.shape);
        shape.check()?;
        check_len("params", "[P]", shape.param_count(), self.params.len())?;
        check_len("input", "[T, R, D]", n * shape.encoder.input, self.input.len())?;
        check_len("is_first", "[T, R]", n, self.is_first.len())?;
        check_len("memory", "[R, M]", self.rows * shape.cell.memory_width(), self.memory.len())?;
        check_len("output", "[T, R, N]", n * shape.head.output, self.output.len())
    }
}

/// Backward through the steps of the last [`RecurrentForward`].
#[derive(Debug)]
pub struct RecurrentBackward<'a> {
    /// The network.
    pub shape: RecurrentShape<'a>,
    /// Parameters `[P]`.
    pub params: &'a [f32],
    /// What the forward pass read `[T, R, D]`.
    pub input: &'a [f32],
    /// Gradient of the outputs `[T, R, N]`.
    pub d_output: &'a [f32],
    /// Written: gradient of the parameters `[P]`.
    pub grads: &'a mut [f32],
    /// Written if given: gradient of the input `[T, R, D]`.
    pub d_input: Option<&'a mut [f32]>,
}

impl RecurrentBackward<'_> {
    fn check(&self, cache: &RecurrentCache) -> Result<(), Error> {
        let (n, shape) = (cache.cell.steps * cache.cell.rows, &self.shape);
        shape.check()?;
        cache.encoder.check_shape(shape.encoder)?;
        cache.cell.check_shape(shape.cell)?;
        cache.head.check_shape(shape.head)?;
        check_len("params", "[P]", shape.param_count(), self.params.len())?;
        check_len("input", "[T, R, D]", n * shape.encoder.input, self.input.len())?;
        check_len("d_output", "[T, R, N]", n * shape.head.output, self.d_output.len())?;
        check_len("grads", "[P]", shape.param_count(), self.grads.len())?;
        match &self.d_input {
            Some(d) => check_len("d_input", "[T, R, D]", n * shape.encoder.input, d.len()),
            None => Ok(()),
        }
    }
}

/// Whether a GPU takes the call.
fn goes_to_device(call: &RecurrentForward<'_>) -> bool {
    let RecurrentShape { encoder, cell, head } = call.shape;
    let multiply_adds = encoder.multiply_adds() + cell.multiply_adds() + head.multiply_adds();
    cell.width <= MAX_DEVICE_WIDTH && (call.steps != 1 || is_worth_copying(call.rows, multiply_adds))
}

impl Backend {
    /// Sequences through a recurrent network, keeping in `cache` what backward needs. On a GPU that stays there, but for the
    /// states. Networks with cells of more than 512 units are the host's, and single steps of fewer than two million
    /// multiply-adds, such as those of acting: it is done with them before they have been copied.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Shape`] for what does not fit; [`Error::Gpu`] from a GPU.
    pub fn recurrent_forward(
        &mut self,
        cache: &mut RecurrentCache,
        call: RecurrentForward<'_>,
    ) -> Result<(), Error> {
        call.check()?;
        let (shape, n) = (call.shape, call.steps * call.rows);
        cache.hidden.fit(n * shape.cell.width);
        match self {
            Backend::Cuda(gpu) if goes_to_device(&call) => {
                cache.encoder.begin(shape.encoder, n, true);
                cache.cell.begin(shape.cell, call.steps, call.rows, true);
                cache.head.begin(shape.head, n, true);
                let result = gpu.recurrent_forward(cache, call);
                if result.is_err() {
                    cache.cell.forget();
                }
                result
            }
            host => {
                host.recurrent_forward_on_host(cache, call);
                Ok(())
            }
        }
    }

    /// Backward of the last [`Backend::recurrent_forward`] with this cache and the same `params` and `input`. Nothing flows into
    /// the first memory.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Shape`] for what does not fit that forward pass; [`Error::Gpu`] from a GPU.
    pub fn recurrent_backward(
        &mut self,
        cache: &mut RecurrentCache,
        call: RecurrentBackward<'_>,
    ) -> Result<(), Error> {
        call.check(cache)?;
        match self.of_pass(cache.cell.on_device)? {
            Some(gpu) => gpu.recurrent_backward(cache, call),
            None => self.recurrent_backward_on_host(cache, call),
        }
    }

    fn recurrent_forward_on_host(&mut self, cache: &mut RecurrentCache, call: RecurrentForward<'_>) {
        let RecurrentForward { shape, params, steps, rows, input, is_first, memory, output } = call;
        let RecurrentShape { encoder, cell, head } = shape;
        let n = steps * rows;
        let (of_cell, of_head) = shape.borders();
        cache.gates.fit(n * cell.gate_width());
        let gates = &mut cache.gates.as_mut_slice()[..n * cell.gate_width()];
        let hidden = &mut cache.hidden.as_mut_slice()[..n * cell.width];
        self.mlp_forward(encoder, &params[..of_cell], n, input, &mut cache.encoder, gates);
        let params_cell = &params[of_cell..of_head];
        let steps = CellForward {
            shape: cell,
            params: params_cell,
            steps,
            rows,
            input_side: gates,
            is_first,
            memory,
            hidden,
        };
        self.cell_forward_on_host(&mut cache.cell, steps);
        self.mlp_forward(head, &params[of_head..], n, hidden, &mut cache.head, output);
    }

    fn recurrent_backward_on_host(
        &mut self,
        cache: &mut RecurrentCache,
        call: RecurrentBackward<'_>,
    ) -> Result<(), Error> {
        let RecurrentBackward { shape, params, input, d_output, grads, d_input } = call;
        let RecurrentShape { encoder, cell, head } = shape;
        let n = cache.cell.steps * cache.cell.rows;
        let (of_cell, of_head) = shape.borders();
        cache.d_hidden.fit(n * cell.width);
        let gates = &mut cache.gates.as_mut_slice()[..n * cell.gate_width()];
        let hidden = &cache.hidden.as_slice()[..n * cell.width];
        let d_hidden = &mut cache.d_hidden.as_mut_slice()[..n * cell.width];
        let (grads, grads_head) = grads.split_at_mut(of_head);
        let (grads_encoder, grads_cell) = grads.split_at_mut(of_cell);
        let below = Some(&mut *d_hidden);
        self.mlp_backward(head, &params[of_head..], n, hidden, &mut cache.head, d_output, grads_head, below);
        let steps = CellBackward {
            shape: cell,
            params: &params[of_cell..of_head],
            d_hidden,
            grads: grads_cell,
            d_input_side: gates,
            d_memory: None,
        };
        self.cell_backward(&mut cache.cell, steps)?;
        let cache = &mut cache.encoder;
        self.mlp_backward(encoder, &params[..of_cell], n, input, cache, gates, grads_encoder, d_input);
        Ok(())
    }
}
