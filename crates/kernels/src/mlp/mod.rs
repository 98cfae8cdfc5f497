//! Whole multilayer perceptrons, forward and backward, with the activations kept in between: the layers under
//! `coact-nets`, and the pieces that `update` is made of.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod reference;

pub(crate) use cpu::{backward_rows, forward_rows, grads_rows, infer_rows, transpose_weights, weight_grads};

use crate::buffer::{Buffer, Shared};
pub(crate) use crate::chunks::CHUNK_ROWS;
use crate::chunks::{self, ChunkSums};
use crate::{Backend, MlpShape};

/// Rows that go through all layers before the next ones do, so that their activations stay near; a multiple of the
/// heights of all tiles.
const NEAR_ROWS: usize = 240;

/// Splits rows for threads: rows of a block, and the number of blocks.
pub(crate) fn blocks_of(rows: usize, threads: usize) -> (usize, usize) {
    let block = rows.div_ceil(threads).next_multiple_of(12).min(NEAR_ROWS);
    (block, rows.div_ceil(block.max(1)))
}

/// What backward needs of one hidden layer.
#[derive(Debug, Default)]
pub(crate) struct HiddenTape {
    /// After the activation `[rows, n]`.
    pub(crate) h: Buffer,
    /// Normalized rows and `1 / std`, with layer norm only.
    pub(crate) xhat: Buffer,
    pub(crate) inv_std: Buffer,
    /// Gradient before the activation and after the norm, with layer norm only.
    pub(crate) d_norm: Buffer,
    /// Gradient of the layer's sums.
    pub(crate) dz: Buffer,
}

/// Activations and their gradients of one network for some rows.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) hidden: Vec<HiddenTape>,
}

impl Tape {
    /// Makes room for `rows` rows.
    pub(crate) fn fit(&mut self, shape: &MlpShape, rows: usize) {
        if self.hidden.len() < shape.hidden.len() {
            self.hidden.resize_with(shape.hidden.len(), HiddenTape::default);
        }
        for (tape, &n) in self.hidden.iter_mut().zip(&shape.hidden) {
            tape.h.fit(rows * n);
            tape.dz.fit(rows * n);
            if shape.layer_norm {
                tape.xhat.fit(rows * n);
                tape.inv_std.fit(rows);
                tape.d_norm.fit(rows * n);
            }
        }
    }
}

/// What [`Backend::mlp_forward`] keeps for [`Backend::mlp_backward`]. Grows on first use.
#[derive(Debug, Default)]
pub struct MlpCache {
    tape: Tape,
    transposed: Buffer,
    sums: ChunkSums,
    rows: usize,
}

impl MlpCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend {
    /// Layers forward: `input` `[rows, K]` to `output` `[rows, N]`, keeping activations in `cache`. Large calls are
    /// spread over all threads.
    ///
    /// # Panics
    /// If a buffer does not fit the shape.
    pub fn mlp_forward(
        &mut self,
        shape: &MlpShape,
        params: &[f32],
        rows: usize,
        input: &[f32],
        cache: &mut MlpCache,
        output: &mut [f32],
    ) {
        assert_eq!(params.len(), shape.param_count(), "params [P]");
        assert_eq!(input.len(), rows * shape.input, "input [rows, K]");
        assert_eq!(output.len(), rows * shape.output, "output [rows, N]");
        cache.tape.fit(shape, rows);
        cache.rows = rows;
        let cpu = self.host_mut();
        let (isa, threads) = (cpu.isa, cpu.parts(rows * shape.multiply_adds()));
        let (block, blocks) = blocks_of(rows, threads);
        let (tape, output) = (&cache.tape, Shared::new(output));
        cpu.run(threads, blocks, &|b, _| {
            let (first, count) = (b * block, block.min(rows - b * block));
            // SAFETY: a row belongs to one block.
            let output = unsafe { output.part(first * shape.output, count * shape.output) };
            let x = (&input[first * shape.input..], shape.input);
            forward_rows(isa, shape, params, x, first, count, tape, output);
        });
    }

    /// Backward of the last [`Backend::mlp_forward`] with this cache, same `params` and `input`. Overwrites `grads`
    /// `[P]` with the gradient of the parameters and `grad_input` `[rows, K]` with that of the input, given
    /// `grad_output` `[rows, N]`.
    ///
    /// # Panics
    /// If a buffer does not fit the shape, or `rows` is not that of the forward pass.
    #[allow(clippy::too_many_arguments)]
    pub fn mlp_backward(
        &mut self,
        shape: &MlpShape,
        params: &[f32],
        rows: usize,
        input: &[f32],
        cache: &mut MlpCache,
        grad_output: &[f32],
        grads: &mut [f32],
        grad_input: Option<&mut [f32]>,
    ) {
        let p = shape.param_count();
        assert_eq!(params.len(), p, "params [P]");
        assert_eq!(grads.len(), p, "grads [P]");
        assert_eq!(rows, cache.rows, "rows of the forward pass");
        assert_eq!(input.len(), rows * shape.input, "input [rows, K]");
        assert_eq!(grad_output.len(), rows * shape.output, "grad_output [rows, N]");
        if let Some(g) = &grad_input {
            assert_eq!(g.len(), rows * shape.input, "grad_input [rows, K]");
        }
        let MlpCache { tape, transposed, sums, .. } = cache;
        transposed.fit(p);
        transpose_weights(shape, params, transposed.as_mut_slice(), grad_input.is_some());
        let (tape, transposed) = (&*tape, transposed.as_slice());
        let cpu = self.host_mut();
        let (isa, threads) = (cpu.isa, cpu.parts(2 * rows * shape.multiply_adds()));
        let grad_input = grad_input.map(Shared::new);
        let backward = |first: usize, count: usize| {
            // SAFETY: a row belongs to one block.
            let below =
                grad_input.as_ref().map(|g| unsafe { g.part(first * shape.input, count * shape.input) });
            let d_out = &grad_output[first * shape.output..][..count * shape.output];
            backward_rows(isa, shape, params, transposed, first, count, tape, d_out, below);
        };
        let n_chunks = rows.div_ceil(CHUNK_ROWS);
        // A thread that has a chunk to itself goes backward in it just before it sums it up.
        let at_once = threads == 1 || chunks::apart(n_chunks, threads);
        if !at_once {
            let (block, blocks) = blocks_of(rows, threads);
            cpu.run(threads, blocks, &|b, _| backward(b * block, block.min(rows - b * block)));
        }
        sums.run(cpu, threads, n_chunks, grads, &|part, out| {
            let first = part.chunk * CHUNK_ROWS;
            let count = CHUNK_ROWS.min(rows - first);
            if at_once {
                backward(first, count);
            }
            let x = (&input[first * shape.input..], shape.input);
            let d_out = &grad_output[first * shape.output..];
            grads_rows(isa, shape, x, first, count, tape, d_out, out, 0, part.share);
        });
    }

    /// [`Backend::mlp_backward`] without the parameters' part: only the gradient of the input, for whoever learns through a
    /// network that itself stays as it is.
    ///
    /// # Panics
    /// If a buffer does not fit the shape, or `rows` is not that of the forward pass.
    pub fn mlp_backward_input(
        &mut self,
        shape: &MlpShape,
        params: &[f32],
        rows: usize,
        cache: &mut MlpCache,
        grad_output: &[f32],
        grad_input: &mut [f32],
    ) {
        let p = shape.param_count();
        assert_eq!(params.len(), p, "params [P]");
        assert_eq!(rows, cache.rows, "rows of the forward pass");
        assert_eq!(grad_output.len(), rows * shape.output, "grad_output [rows, N]");
        assert_eq!(grad_input.len(), rows * shape.input, "grad_input [rows, K]");
        let MlpCache { tape, transposed, .. } = cache;
        transposed.fit(p);
        transpose_weights(shape, params, transposed.as_mut_slice(), true);
        let (tape, transposed) = (&*tape, transposed.as_slice());
        let cpu = self.host_mut();
        let (isa, threads) = (cpu.isa, cpu.parts(rows * shape.multiply_adds()));
        let (block, blocks) = blocks_of(rows, threads);
        let grad_input = Shared::new(grad_input);
        cpu.run(threads, blocks, &|b, _| {
            let (first, count) = (b * block, block.min(rows - b * block));
            // SAFETY: a row belongs to one block.
            let below = unsafe { grad_input.part(first * shape.input, count * shape.input) };
            let d_out = &grad_output[first * shape.output..][..count * shape.output];
            backward_rows(isa, shape, params, transposed, first, count, tape, d_out, Some(below));
        });
    }
}

#[cfg(test)]
mod tests;
