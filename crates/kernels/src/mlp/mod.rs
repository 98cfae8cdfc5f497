//! Whole multilayer perceptrons, forward and backward, with the activations kept in between: the layers under
//! `coact-nets`, and the pieces that `update` is made of.

mod cpu;
pub mod reference;

pub(crate) use cpu::{backward_rows, forward_rows, grads_rows, infer_rows, transpose_weights};

use crate::buffer::Buffer;
use crate::update::tree::PairTree;
use crate::{Backend, MlpShape};

/// Rows of a chunk: gradients are chains over the rows of a chunk, then a tree over chunks.
pub(crate) const CHUNK_ROWS: usize = 256;

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
    tree: PairTree,
    rows: usize,
}

impl MlpCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend {
    /// Layers forward: `input` `[rows, K]` to `output` `[rows, N]`, keeping activations in `cache`.
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
        forward_rows(self.isa(), shape, params, (input, shape.input), 0, rows, &cache.tape, output);
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
        let isa = self.isa();
        cache.transposed.fit(p);
        transpose_weights(shape, params, cache.transposed.as_mut_slice(), grad_input.is_some());
        let transposed = cache.transposed.as_slice();
        backward_rows(isa, shape, params, transposed, 0, rows, &cache.tape, grad_output, grad_input);
        cache.tree.start(rows.div_ceil(CHUNK_ROWS), p);
        for first in (0..rows).step_by(CHUNK_ROWS) {
            let count = CHUNK_ROWS.min(rows - first);
            let x = &input[first * shape.input..];
            let d_out = &grad_output[first * shape.output..];
            cache.tree.push(isa, grads, |out| {
                let out = crate::buffer::Shared::new(out);
                grads_rows(isa, shape, (x, shape.input), first, count, &cache.tape, d_out, &out, 0, (0, 1));
            });
        }
        cache.tree.finish(isa, grads);
    }
}

#[cfg(test)]
mod tests;
