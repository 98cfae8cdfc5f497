//! Recurrent cells over sequences, GRU and LSTM: the hidden side of their gates, forward and backward through time.
//! The input side for all steps comes from one product before ([`crate::Backend::mlp_forward`] with `G H` outputs), so
//! that only what depends on the step before is left here.
//!
//! With `x` the input side (bias included), `y = h Wh + bh` the hidden side, and `h`, `c` of the step before (0 where the
//! step is the first of an episode):
//! - GRU, gates `r z n`: `r = sigmoid(xr + yr)`, `z = sigmoid(xz + yz)`, `n = tanh(xn + r yn)`, `h' = (1 - z) n + z h`;
//! - LSTM, gates `i f g o`: `c' = sigmoid(f) c + sigmoid(i) tanh(g)`, `h' = sigmoid(o) tanh(c')`, each of `x + y`.
//!
//! These are PyTorch's definitions and its order of gates.
//!
//! Order of accumulation: a hidden side is a chain over `k` ascending from the bias; gradients of `Wh` and `bh` are chains
//! over the rows of a chunk (256 rows of `[T * R]`, in the order of time) and a pairwise tree over chunks. A row is one
//! sequence and needs no other, so threads take rows and never wait for each other between steps.
//!
//! Operations of a step and row: `G H H` multiply-adds forward, twice that backward, and `G H` exponentials forward.
//! Bytes kept for backward: `4 (G + 3) H` a step and row for a GRU, `4 (G + 4) H` for an LSTM.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod gates;
mod net;
pub mod reference;

pub use net::{RecurrentBackward, RecurrentCache, RecurrentForward, RecurrentShape};

use crate::buffer::Buffer;
use crate::chunks::ChunkSums;
use crate::{Backend, Error, error::check_len};

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// Gated recurrent unit (Cho et al. 2014), with the reset gate after the product, as PyTorch and cuDNN have it.
    Gru,
    /// Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000).
    Lstm,
}

/// A recurrent cell of `H` units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellShape {
    /// Which cell.
    pub kind: CellKind,
    /// Units, `H`.
    pub width: usize,
}

impl CellShape {
    /// Gates a unit, `G`: 3 (GRU) or 4 (LSTM).
    pub fn gates(&self) -> usize {
        match self.kind {
            CellKind::Gru => 3,
            CellKind::Lstm => 4,
        }
    }

    /// Width of the gates of all units, `G H`: what the input side has to provide.
    pub fn gate_width(&self) -> usize {
        self.gates() * self.width
    }

    /// Width of the memory, `M`: `h` (GRU), or `h` then `c` (LSTM).
    pub fn memory_width(&self) -> usize {
        match self.kind {
            CellKind::Gru => self.width,
            CellKind::Lstm => 2 * self.width,
        }
    }

    /// Length of the flat parameters of the hidden side: `Wh` `[H, G H]` input-major, then `bh` `[G H]`.
    pub fn param_count(&self) -> usize {
        (self.width + 1) * self.gate_width()
    }

    fn multiply_adds(&self) -> usize {
        // A unit of a gate costs some 32 multiply-adds for its nonlinearity.
        (self.width + 32) * self.gate_width()
    }
}

/// Widest cell that a GPU takes: the gradients of an LSTM's gates of eight rows fit the shared memory of a block. A wider one
/// stays on the host, to the same bits.
const MAX_DEVICE_WIDTH: usize = 512;

/// What [`Backend::cell_forward`] keeps for [`Backend::cell_backward`]. Grows on first use.
#[derive(Debug, Default)]
pub struct CellCache {
    /// The cell of the last forward pass, if that succeeded.
    shape: Option<CellShape>,
    /// Whether that pass was on a GPU, where its tape then is (but for `c`, which comes down).
    on_device: bool,
    tape: Tape,
    steps: usize,
    rows: usize,
    is_first: Vec<bool>,
    sums: ChunkSums,
    /// Recurrent weight transposed, `[G H, H]`.
    transposed: Buffer,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    gpu: cuda::CellMemory,
}

/// Rows in the order of time, `[T, R, ..]`, but for the last three, which are of one step.
#[derive(Debug, Default)]
struct Tape {
    /// `h` and `c` that a step read, 0 in first steps.
    h_in: Buffer,
    c_in: Buffer,
    /// GRU: `r`, `z` and the hidden side of `n`; LSTM: `i`, `f`, `g`, `o`.
    gates: Buffer,
    /// GRU: `n`; LSTM: `tanh(c')`.
    inner: Buffer,
    /// LSTM: `c'`.
    c: Buffer,
    /// GRU: gradients of the hidden side. (An LSTM's are those of the input side.)
    d_hidden_side: Buffer,
    /// Gradients of `h` and `c` on their way to the step before, and a product.
    d_h: Buffer,
    d_c: Buffer,
    product: Buffer,
}

impl CellCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a forward pass.
    fn begin(&mut self, shape: CellShape, steps: usize, rows: usize, on_device: bool) {
        (self.steps, self.rows, self.on_device) = (steps, rows, on_device);
        self.shape = Some(shape);
        if shape.kind == CellKind::Lstm {
            self.tape.c.fit(steps * rows * shape.width);
        }
    }

    /// Forgets a forward pass that failed: there may be no tape, or only a part of one.
    fn forget(&mut self) {
        (self.shape, self.steps) = (None, 0);
    }

    /// Refuses to go backward through another cell.
    fn check_shape(&self, shape: CellShape) -> Result<(), Error> {
        if self.shape == Some(shape) {
            return Ok(());
        }
        let before = self.shape.map_or("no forward pass".to_string(), |shape| format!("one of {shape:?}"));
        Err(Error::Shape(format!("backward of {shape:?} after {before}; go forward with it first")))
    }

    fn fit(&mut self, shape: CellShape, is_first: &[bool]) {
        let n = self.steps * self.rows;
        self.tape.h_in.fit(n * shape.width);
        self.tape.gates.fit(n * shape.gate_width());
        self.tape.inner.fit(n * shape.width);
        if shape.kind == CellKind::Lstm {
            self.tape.c_in.fit(n * shape.width);
        }
        self.is_first.clear();
        self.is_first.extend_from_slice(is_first);
    }

    fn fit_backward(&mut self, shape: CellShape) {
        let units = self.rows * shape.width;
        self.tape.d_h.fit(units);
        self.tape.product.fit(units);
        match shape.kind {
            CellKind::Gru => self.tape.d_hidden_side.fit(self.steps * self.rows * shape.gate_width()),
            CellKind::Lstm => self.tape.d_c.fit(units),
        }
        self.transposed.fit(shape.width * shape.gate_width());
    }

    /// Cell state `c` `[H]` of an LSTM after step `step` of row `row` in the last forward pass.
    ///
    /// # Panics
    /// If there was no such step and row, or the cell is a GRU.
    pub fn cell_state(&self, shape: CellShape, step: usize, row: usize) -> &[f32] {
        assert!(
            step < self.steps && row < self.rows,
            "step {step} of {}, row {row} of {}",
            self.steps,
            self.rows
        );
        assert_eq!(shape.kind, CellKind::Lstm, "a GRU has no cell state");
        &self.tape.c.as_slice()[(step * self.rows + row) * shape.width..][..shape.width]
    }
}

/// Steps of a cell. `T` steps, `R` rows.
#[derive(Debug)]
pub struct CellForward<'a> {
    /// The cell.
    pub shape: CellShape,
    /// Parameters of the hidden side, see [`CellShape::param_count`].
    pub params: &'a [f32],
    /// `T`.
    pub steps: usize,
    /// `R`.
    pub rows: usize,
    /// Input side of the gates `[T, R, G H]`.
    pub input_side: &'a [f32],
    /// `[T, R]`: memory is cleared before this step.
    pub is_first: &'a [bool],
    /// Memory before the first step `[R, M]`.
    pub memory: &'a [f32],
    /// Written: `h` after each step `[T, R, H]`.
    pub hidden: &'a mut [f32],
}

impl CellForward<'_> {
    fn check(&self) -> Result<(), Error> {
        let n = self.steps * self.rows;
        check_len("params", "[H + 1, G H]", self.shape.param_count(), self.params.len())?;
        check_len("input_side", "[T, R, G H]", n * self.shape.gate_width(), self.input_side.len())?;
        check_len("is_first", "[T, R]", n, self.is_first.len())?;
        check_len("memory", "[R, M]", self.rows * self.shape.memory_width(), self.memory.len())?;
        check_len("hidden", "[T, R, H]", n * self.shape.width, self.hidden.len())
    }
}

/// Backward through the steps of the last [`CellForward`].
#[derive(Debug)]
pub struct CellBackward<'a> {
    /// The cell.
    pub shape: CellShape,
    /// Parameters of the hidden side.
    pub params: &'a [f32],
    /// Gradient of `hidden` `[T, R, H]`.
    pub d_hidden: &'a [f32],
    /// Written: gradient of the parameters `[P]`.
    pub grads: &'a mut [f32],
    /// Written: gradient of the input side `[T, R, G H]`.
    pub d_input_side: &'a mut [f32],
    /// Written if given: gradient of the first memory `[R, M]`.
    pub d_memory: Option<&'a mut [f32]>,
}

impl CellBackward<'_> {
    fn check(&self, cache: &CellCache) -> Result<(), Error> {
        let n = cache.steps * cache.rows;
        cache.check_shape(self.shape)?;
        check_len("params", "[H + 1, G H]", self.shape.param_count(), self.params.len())?;
        check_len("d_hidden", "[T, R, H]", n * self.shape.width, self.d_hidden.len())?;
        check_len("grads", "[H + 1, G H]", self.shape.param_count(), self.grads.len())?;
        check_len("d_input_side", "[T, R, G H]", n * self.shape.gate_width(), self.d_input_side.len())?;
        match &self.d_memory {
            Some(d) => check_len("d_memory", "[R, M]", cache.rows * self.shape.memory_width(), d.len()),
            None => Ok(()),
        }
    }
}

impl Backend {
    /// All steps of a recurrent cell, keeping in `cache` what backward needs. On a GPU that stays there; cells of more than 512
    /// units are the host's.
    ///
    /// # Errors
    /// [`Error::Length`] if a buffer does not fit; [`Error::Gpu`] from a GPU.
    pub fn cell_forward(&mut self, cache: &mut CellCache, call: CellForward<'_>) -> Result<(), Error> {
        call.check()?;
        match self {
            Backend::Cuda(gpu) if call.shape.width <= MAX_DEVICE_WIDTH => {
                cache.begin(call.shape, call.steps, call.rows, true);
                let result = gpu.cell_forward(cache, call);
                if result.is_err() {
                    cache.forget();
                }
                result
            }
            host => {
                host.cell_forward_on_host(cache, call);
                Ok(())
            }
        }
    }

    fn cell_forward_on_host(&mut self, cache: &mut CellCache, call: CellForward<'_>) {
        cache.begin(call.shape, call.steps, call.rows, false);
        cache.fit(call.shape, call.is_first);
        cpu::forward(self.host_mut(), cache, call);
    }

    /// Backward through time of the last [`Backend::cell_forward`] with this cache and the same `params`.
    ///
    /// # Errors
    /// [`Error::Length`] and [`Error::Shape`] if a buffer, the cell or the kind of device does not fit that forward pass;
    /// [`Error::Gpu`] from a GPU.
    pub fn cell_backward(&mut self, cache: &mut CellCache, call: CellBackward<'_>) -> Result<(), Error> {
        call.check(cache)?;
        match self.of_pass(cache.on_device)? {
            Some(gpu) => gpu.cell_backward(cache, call),
            None => {
                cache.fit_backward(call.shape);
                cpu::backward(self.host_mut(), cache, call);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
