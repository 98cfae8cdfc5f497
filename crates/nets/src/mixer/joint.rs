//! Values that are free of the agents' values: of a state, or of a state and all actions.

use std::ops::Range;

use coact_kernels::Backend;

use super::part::Part;
use crate::init::Init;
use crate::qnet::NamedTensor;

/// A network from rows of states, or of states beside one-hot actions, to one value a row.
#[derive(Debug)]
pub struct JointValue {
    part: Part,
    param_count: usize,
}

impl JointValue {
    /// A network called `name` from `input` numbers through `hidden` layers.
    pub fn new(name: &'static str, input: usize, hidden: Vec<usize>) -> Self {
        let mut param_count = 0;
        let part = Part::new(name, input, hidden, 1, &mut param_count);
        Self { part, param_count }
    }

    /// Length of the flat parameters.
    pub fn param_count(&self) -> usize {
        self.param_count
    }

    /// Ranges of the single tensors within the flat parameters.
    pub fn tensor_ranges(&self) -> Vec<Range<usize>> {
        self.part.tensor_ranges().collect()
    }

    /// Starts the parameters; `index` names the network.
    pub fn initialize(&self, init: Init, seed: u64, index: u32, params: &mut [f32]) {
        self.part.initialize(init, seed, index, 1.0, params);
    }

    /// The tensors with their PyTorch names and shapes.
    pub fn to_torch(&self, params: &[f32]) -> Vec<NamedTensor> {
        let mut out = Vec::new();
        self.part.to_torch(params, &mut out);
        out
    }

    /// Values `[R]` of `input` `[R, K]`; remembers what [`JointValue::backward`] needs.
    ///
    /// # Panics
    /// If a buffer does not fit the shape.
    pub fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rows: usize,
        input: &[f32],
        values: &mut [f32],
    ) {
        self.part.forward(backend, params, rows, input);
        values.copy_from_slice(&self.part.out);
    }

    /// Backward of the last [`JointValue::forward`]: from `d_values` `[R]` the gradient `grads` of the parameters,
    /// overwritten.
    ///
    /// # Panics
    /// If a buffer does not fit the shape or the forward pass.
    pub fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rows: usize,
        input: &[f32],
        d_values: &[f32],
        grads: &mut [f32],
    ) {
        self.part.d_out.copy_from_slice(d_values);
        self.part.backward(backend, params, rows, input, grads);
    }
}
