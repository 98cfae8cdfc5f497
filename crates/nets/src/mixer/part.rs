//! A named perceptron within a larger flat buffer of parameters: the hypernetworks of mixers are made of these.

use std::ops::Range;

use coact_kernels::{Activation, Backend, MlpCache, MlpShape, TensorKind};

use crate::init::{Init, initialize};
use crate::qnet::NamedTensor;
use crate::{Error, Result};

/// Finds shape and values of a tensor by its name.
pub(crate) type Lookup<'f, 'a> = dyn Fn(&str) -> Option<(&'a [usize], &'a [f32])> + 'f;

/// `Linear, ReLU, .., Linear` with its outputs, their gradients, and its place in the parameters of its owner.
#[derive(Debug)]
pub(crate) struct Part {
    /// PyTorch name of the module.
    name: &'static str,
    shape: MlpShape,
    range: Range<usize>,
    cache: MlpCache,
    /// `[R, N]`, written by `forward`.
    pub(crate) out: Vec<f32>,
    /// `[R, N]`, read by `backward`.
    pub(crate) d_out: Vec<f32>,
}

impl Part {
    /// A part whose parameters begin at `*offset`, which moves behind them.
    pub(crate) fn new(
        name: &'static str,
        input: usize,
        hidden: Vec<usize>,
        output: usize,
        offset: &mut usize,
    ) -> Self {
        let shape = MlpShape { input, hidden, output, activation: Activation::Relu, layer_norm: false };
        Self::of(name, shape, offset)
    }

    /// A part of a given shape.
    pub(crate) fn of(name: &'static str, shape: MlpShape, offset: &mut usize) -> Self {
        let range = *offset..*offset + shape.param_count();
        *offset = range.end;
        Self { name, shape, range, cache: MlpCache::new(), out: Vec::new(), d_out: Vec::new() }
    }

    /// Outputs of `input` `[R, K]` into `out`.
    pub(crate) fn forward(&mut self, backend: &mut Backend, params: &[f32], rows: usize, input: &[f32]) {
        let n = rows * self.shape.output;
        self.out.resize(n, 0.0);
        self.d_out.resize(n, 0.0);
        let params = &params[self.range.clone()];
        backend.mlp_forward(&self.shape, params, rows, input, &mut self.cache, &mut self.out);
    }

    /// Gradients of the parameters from `d_out`, into this part's range of `grads`.
    pub(crate) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        rows: usize,
        input: &[f32],
        grads: &mut [f32],
    ) {
        backend.mlp_backward(
            &self.shape,
            &params[self.range.clone()],
            rows,
            input,
            &mut self.cache,
            &self.d_out,
            &mut grads[self.range.clone()],
            None,
        );
    }

    /// Starts the parameters; those of the last layer are `output_gain` times what `init` says.
    pub(crate) fn initialize(&self, init: Init, seed: u64, index: u32, output_gain: f32, params: &mut [f32]) {
        let params = &mut params[self.range.clone()];
        initialize(&self.shape, init, seed, index, params);
        let last = self.shape.hidden.len();
        for tensor in self.shape.tensors().iter().filter(|t| t.layer == last) {
            params[tensor.range()].iter_mut().for_each(|w| *w *= output_gain);
        }
    }

    /// Each tensor: its PyTorch name, its place in the owner's parameters, its shape as stored (`[K, N]` for weights).
    fn tensors(&self) -> impl Iterator<Item = (String, Range<usize>, usize, usize)> + '_ {
        let name = |layer: usize, kind| {
            let part = if kind == TensorKind::Weight { "weight" } else { "bias" };
            // A single layer is a bare Linear, more are a Sequential with activations in between.
            match self.shape.hidden.is_empty() {
                true => format!("{}.{part}", self.name),
                false => format!("{}.{}.{part}", self.name, 2 * layer),
            }
        };
        self.shape.tensors().into_iter().map(move |t| {
            let start = self.range.start + t.offset;
            let rows = if t.kind == TensorKind::Weight { t.rows } else { 0 };
            (name(t.layer, t.kind), start..start + t.range().len(), rows, t.cols)
        })
    }

    /// Ranges of the single tensors in the owner's parameters.
    pub(crate) fn tensor_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.tensors().map(|(_, range, _, _)| range)
    }

    /// The tensors as PyTorch holds them.
    pub(crate) fn to_torch(&self, params: &[f32], out: &mut Vec<NamedTensor>) {
        for (name, range, rows, cols) in self.tensors() {
            let source = &params[range];
            out.push(match rows {
                0 => NamedTensor { name, shape: vec![cols], values: source.to_vec() },
                _ => {
                    let column = |j: usize| (0..rows).map(move |k| source[k * cols + j]);
                    NamedTensor {
                        name,
                        shape: vec![cols, rows],
                        values: (0..cols).flat_map(column).collect(),
                    }
                }
            });
        }
    }

    /// The inverse of [`Part::to_torch`].
    pub(crate) fn read_torch(&self, lookup: &Lookup<'_, '_>, params: &mut [f32]) -> Result<()> {
        for (name, range, rows, cols) in self.tensors() {
            let fault = |reason: String| Error::Tensor { name: name.clone(), reason };
            let (shape, values) = lookup(&name).ok_or_else(|| fault("is missing".into()))?;
            let expected = if rows == 0 { vec![cols] } else { vec![cols, rows] };
            if shape != expected || values.len() != range.len() {
                return Err(fault(format!("has shape {shape:?} where {expected:?} belongs")));
            }
            if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                return Err(fault(format!("holds {bad}")));
            }
            let target = &mut params[range];
            for (i, &value) in values.iter().enumerate() {
                let at = if rows == 0 { i } else { i % rows * cols + i / rows };
                target[at] = value;
            }
        }
        Ok(())
    }
}
