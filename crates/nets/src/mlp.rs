//! A multilayer perceptron that owns its parameters: the plain building block, one layer after the other.

use coact_kernels::{Backend, MlpCache, MlpShape};
use ndarray::{Array2, ArrayView2};

use crate::init::{Init, initialize};

/// Layers `input -> hidden.. -> output` with parameters and what the backward pass needs.
#[derive(Debug)]
pub struct Mlp {
    shape: MlpShape,
    /// Flat parameters; ranges as in [`MlpShape::tensors`].
    pub params: Vec<f32>,
    /// Gradients of the last [`Mlp::backward`], same ranges.
    pub grads: Vec<f32>,
    cache: MlpCache,
}

impl Mlp {
    /// A network started by `init` from `seed`.
    pub fn new(shape: MlpShape, init: Init, seed: u64) -> Self {
        let mut params = vec![0.0; shape.param_count()];
        initialize(&shape, init, seed, 0, &mut params);
        let grads = vec![0.0; params.len()];
        Self { shape, params, grads, cache: MlpCache::default() }
    }

    /// Widths and kinds of the layers.
    pub fn shape(&self) -> &MlpShape {
        &self.shape
    }

    /// Outputs `[B, output]` of inputs `[B, input]`; remembers activations for [`Mlp::backward`].
    ///
    /// # Panics
    /// If the width of `input` is not the network's.
    pub fn forward(&mut self, backend: &mut Backend, input: ArrayView2<'_, f32>) -> Array2<f32> {
        let input = input.as_standard_layout();
        assert_eq!(input.ncols(), self.shape.input, "input width");
        let rows = input.nrows();
        let mut output = vec![0.0; rows * self.shape.output];
        let flat = input.as_slice().unwrap_or(&[]);
        backend.mlp_forward(&self.shape, &self.params, rows, flat, &mut self.cache, &mut output);
        Array2::from_shape_vec((rows, self.shape.output), output).unwrap_or_default()
    }

    /// Gradients of the last forward pass: fills `self.grads` and returns the gradient `[B, input]` with respect
    /// to the input.
    ///
    /// # Panics
    /// If `input` or `grad_output` have other shapes than in the forward pass.
    pub fn backward(
        &mut self,
        backend: &mut Backend,
        input: ArrayView2<'_, f32>,
        grad_output: ArrayView2<'_, f32>,
    ) -> Array2<f32> {
        let (input, grad_output) = (input.as_standard_layout(), grad_output.as_standard_layout());
        assert_eq!(grad_output.dim(), (input.nrows(), self.shape.output), "shape of the output gradient");
        let rows = input.nrows();
        let mut grad_input = vec![0.0; rows * self.shape.input];
        self.grads.fill(0.0);
        backend.mlp_backward(
            &self.shape,
            &self.params,
            rows,
            input.as_slice().unwrap_or(&[]),
            &mut self.cache,
            grad_output.as_slice().unwrap_or(&[]),
            &mut self.grads,
            Some(&mut grad_input),
        );
        Array2::from_shape_vec((rows, self.shape.input), grad_input).unwrap_or_default()
    }
}
