//! Cells on a GPU: all steps forward in one launch, back through time in another, and gradients of chunks and their sum. What
//! backward needs stays on the device in between. The launches are those of `kernel.cu`.

use super::{CellBackward, CellCache, CellForward, CellKind, CellShape, MAX_DEVICE_WIDTH};
use crate::Error;
use crate::chunks::CHUNK_ROWS;
use crate::cuda::{Column, Cuda, Grid, MAX_SHARED_BYTES, Mirror, bytes, kernel_arguments};
use crate::mlp::cuda::{EACH, Sums};
use crate::update::cuda::{GRAD_THREADS, flat_grid, tiles};

/// Rows of the small and of the large tile.
const FEW: usize = 8;
const MANY: usize = 32;

/// Rows from which on large tiles leave no multiprocessor without a block.
const MANY_ROWS: usize = MANY * 132;

const _: () = assert!(4 * FEW * MAX_DEVICE_WIDTH * 6 <= MAX_SHARED_BYTES as usize);

/// `CellArgs` of `kernel.cu`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct CellArgs {
    params: u64,
    transposed: u64,
    input_side: u64,
    is_first: u64,
    memory: u64,
    hidden: u64,
    cell: u64,
    gates: u64,
    inner: u64,
    d_hidden: u64,
    d_input_side: u64,
    d_hidden_side: u64,
    d_memory: u64,
    partials: u64,
    width: u32,
    steps: u32,
    rows: u32,
    chunk_rows: u32,
    stride: u32,
    unused: u32,
}

#[repr(C)]
struct TransposeArgs {
    from: u64,
    to: u64,
    rows: u32,
    columns: u32,
}

kernel_arguments!(CellArgs: 136, TransposeArgs: 24);

/// What the steps of a cell leave on a GPU.
#[derive(Debug, Default)]
pub(super) struct CellTape {
    is_first: Column<u8>,
    memory: Column<f32>,
    pub(super) hidden: Column<f32>,
    pub(super) cell: Column<f32>,
    gates: Column<f32>,
    inner: Column<f32>,
    transposed: Column<f32>,
    d_hidden_side: Column<f32>,
    d_memory: Column<f32>,
}

/// Memory of a GPU for the calls with one cache.
#[derive(Debug, Default)]
pub(super) struct CellMemory {
    pub(super) tape: CellTape,
    params: Mirror,
    /// The input side of the gates, and later its gradient: backward does not read it.
    input_side: Column<f32>,
    d_hidden: Column<f32>,
    partials: Column<f32>,
    grads: Column<f32>,
}

/// Steps of a cell whose parameters are at an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    pub(super) shape: CellShape,
    pub(super) params: u64,
    pub(super) steps: usize,
    pub(super) rows: usize,
}

impl Steps {
    fn n(self) -> usize {
        self.steps * self.rows
    }

    /// What all launches are told.
    fn args(self, tape: &CellTape) -> CellArgs {
        CellArgs {
            params: self.params,
            is_first: tape.is_first.at(),
            memory: tape.memory.at(),
            hidden: tape.hidden.at(),
            cell: tape.cell.at(),
            gates: tape.gates.at(),
            inner: tape.inner.at(),
            width: self.shape.width as u32,
            steps: self.steps as u32,
            rows: self.rows as u32,
            chunk_rows: CHUNK_ROWS as u32,
            ..CellArgs::default()
        }
    }
}

/// A tile of rows for so many columns of a tile in shared memory, and the grid over them.
fn grid_of(columns: usize, width: usize, rows: usize) -> (usize, Grid) {
    let shared = |tile: usize| (4 * tile * columns) as u32;
    let tile = if rows >= MANY_ROWS && shared(MANY) <= MAX_SHARED_BYTES { MANY } else { FEW };
    // A thread has a unit of four rows.
    let threads = (tile / 4 * width).next_multiple_of(32).min(256) as u32;
    (tile, Grid { blocks: (rows.div_ceil(tile) as u32, 1, 1), threads, shared_bytes: shared(tile) })
}

impl Cuda {
    /// [`crate::Backend::cell_forward`], of a cache that has noted the call.
    pub(crate) fn cell_forward(&mut self, cache: &mut CellCache, call: CellForward<'_>) -> Result<(), Error> {
        let CellForward { shape, params, steps, rows, input_side, is_first, memory, hidden } = call;
        if steps * rows == 0 {
            return Ok(());
        }
        let device = &mut cache.gpu;
        let steps = Steps { shape, params: device.params.upload(self, params)?, steps, rows };
        let input_side = device.input_side.upload(self, input_side)?;
        // SAFETY: the columns hold what `CellForward::check` found the shape to need.
        unsafe { self.steps_forward(&mut device.tape, steps, input_side, is_first, memory) }?;
        cache.states_down(self, hidden)
    }

    /// [`crate::Backend::cell_backward`], of a cache whose forward pass was here.
    pub(crate) fn cell_backward(
        &mut self,
        cache: &mut CellCache,
        call: CellBackward<'_>,
    ) -> Result<(), Error> {
        let CellBackward { shape, params, d_hidden, grads, d_input_side, d_memory } = call;
        let (steps, rows) = (cache.steps, cache.rows);
        let device = &mut cache.gpu;
        if steps * rows == 0 {
            grads.fill(0.0);
            d_memory.into_iter().for_each(|d| d.fill(0.0));
            return Ok(());
        }
        let steps = Steps { shape, params: device.params.upload(self, params)?, steps, rows };
        let d_hidden = device.d_hidden.upload(self, d_hidden)?;
        let sums = Sums::fit(self, steps.n(), shape.param_count(), &mut device.grads, &mut device.partials)?;
        let tape = &mut device.tape;
        // SAFETY: `CellBackward::check` found the forward pass to be of this shape, and columns are as long as it needs.
        unsafe {
            self.steps_backward(tape, steps, d_hidden, device.input_side.at(), (sums.partials, sums.len))?;
            self.sum_up(sums)?;
        }
        device.grads.download(self, grads)?;
        device.input_side.download(self, d_input_side)?;
        match d_memory {
            Some(d_memory) => tape.d_memory.download(self, d_memory),
            None => Ok(()),
        }
    }

    /// All steps, from the input side of the gates `[T, R, G H]`. The states lie on the tape.
    ///
    /// # Safety
    /// The addresses lead to as many floats as the shape needs.
    pub(super) unsafe fn steps_forward(
        &self,
        tape: &mut CellTape,
        steps: Steps,
        input_side: u64,
        is_first: &[bool],
        memory: &[f32],
    ) -> Result<(), Error> {
        let (shape, n) = (steps.shape, steps.n());
        let is_lstm = shape.kind == CellKind::Lstm;
        tape.is_first.upload(self, bytes(is_first))?;
        tape.memory.upload(self, memory)?;
        tape.hidden.fit(self, n * shape.width)?;
        tape.cell.fit(self, if is_lstm { n * shape.width } else { 0 })?;
        tape.gates.fit(self, n * shape.gate_width())?;
        tape.inner.fit(self, n * shape.width)?;
        let args = CellArgs { input_side, ..steps.args(tape) };
        let (tile, grid) = grid_of(shape.width * if is_lstm { 3 } else { 2 }, shape.width, steps.rows);
        let kernels = self.kernels();
        let kernel = match (shape.kind, tile) {
            (CellKind::Gru, FEW) => &kernels.gru_forward_8,
            (CellKind::Gru, _) => &kernels.gru_forward_32,
            (CellKind::Lstm, FEW) => &kernels.lstm_forward_8,
            (CellKind::Lstm, _) => &kernels.lstm_forward_32,
        };
        // SAFETY: the tape was just made long enough, and the caller promises the rest.
        unsafe { self.launch("go through the steps of a cell", kernel, grid, &args) }
    }

    /// Back through the steps of the last [`Cuda::steps_forward`] with this tape: the gradient of the input side to
    /// `d_input_side`, that of the first memory to the tape, those of the parameters over chunks of rows to `partials`, `stride`
    /// floats apart.
    ///
    /// # Safety
    /// As there; `partials` leads to so many chunks.
    pub(super) unsafe fn steps_backward(
        &self,
        tape: &mut CellTape,
        steps: Steps,
        d_hidden: u64,
        d_input_side: u64,
        (partials, stride): (u64, usize),
    ) -> Result<(), Error> {
        let (shape, n) = (steps.shape, steps.n());
        let transposed = tape.transposed.fit(self, shape.width * shape.gate_width())?;
        self.transpose(steps.params, transposed, shape)?;
        let d_hidden_side = match shape.kind {
            CellKind::Gru => tape.d_hidden_side.fit(self, n * shape.gate_width())?,
            CellKind::Lstm => d_input_side,
        };
        let d_memory = tape.d_memory.fit(self, steps.rows * shape.memory_width())?;
        let args = CellArgs {
            transposed,
            d_hidden,
            d_input_side,
            d_hidden_side,
            d_memory,
            partials,
            stride: stride as u32,
            ..steps.args(tape)
        };
        let (tile, grid) = grid_of(shape.gate_width() + shape.memory_width(), shape.width, steps.rows);
        let kernels = self.kernels();
        let (back, grads) = match (shape.kind, tile) {
            (CellKind::Gru, FEW) => (&kernels.gru_backward_8, &kernels.gru_grads),
            (CellKind::Gru, _) => (&kernels.gru_backward_32, &kernels.gru_grads),
            (CellKind::Lstm, FEW) => (&kernels.lstm_backward_8, &kernels.lstm_grads),
            (CellKind::Lstm, _) => (&kernels.lstm_backward_32, &kernels.lstm_grads),
        };
        // SAFETY: the columns were just made long enough, and the caller promises the rest.
        unsafe { self.launch("go back through time", back, grid, &args) }?;
        let tiles = tiles(shape.width, shape.gate_width(), false, EACH) as u32;
        let chunks = n.div_ceil(CHUNK_ROWS) as u32;
        let grid = Grid { blocks: (tiles, chunks, 1), threads: GRAD_THREADS, shared_bytes: 0 };
        // SAFETY: as above.
        unsafe { self.launch("sum gradients of chunks", grads, grid, &args) }
    }

    /// The recurrent weight at `params` to `to`, transposed.
    fn transpose(&self, params: u64, to: u64, shape: CellShape) -> Result<(), Error> {
        let (rows, columns) = (shape.width, shape.gate_width());
        let args = TransposeArgs { from: params, to, rows: rows as u32, columns: columns as u32 };
        let grid = flat_grid(rows * columns);
        // SAFETY: both columns are as long as the shape needs.
        unsafe { self.launch("transpose a weight", &self.kernels().cell_transpose, grid, &args) }
    }
}

impl CellCache {
    /// Copies the states of the last pass from the device: `h` to `hidden`, and `c` to where [`CellCache::cell_state`] finds it.
    pub(super) fn states_down(&mut self, gpu: &Cuda, hidden: &mut [f32]) -> Result<(), Error> {
        let tape = &self.gpu.tape;
        if self.shape.is_some_and(|shape| shape.kind == CellKind::Lstm) {
            tape.cell.download(gpu, &mut self.tape.c.as_mut_slice()[..hidden.len()])?;
        }
        tape.hidden.download(gpu, hidden)
    }
}
