//! Convolutions in front of a network whose observations begin with a grid, channels first. What follows the grid in an
//! observation (an agent's index, a clock) passes by them.
//!
//! Not here: pooling; grids with the channels last.

use std::ops::Range;

use coact_core::rng::Stream;
use coact_kernels::{Activation, Backend, ConvBackward, ConvCache, ConvForward, ConvShape};
use serde::{Deserialize, Serialize};

use crate::init::{Init, initialize_convolution};
use crate::{Error, Result};

/// One convolution with a square kernel; the activation of the network follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvLayer {
    /// Channels of the output.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Step of the kernel; 1 if left out.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around the grid; 0 if left out.
    #[serde(default)]
    pub padding: usize,
}

fn one() -> usize {
    1
}

/// The grid at the beginning of an observation, and what convolves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridShape {
    /// Channels, `C`.
    pub channels: usize,
    /// Height, `Y`.
    pub height: usize,
    /// Width, `X`.
    pub width: usize,
    /// Convolutions, one after the other.
    pub layers: Vec<ConvLayer>,
}

impl GridShape {
    /// Numbers of the grid, `C Y X`, at the beginning of each observation.
    pub fn cells(&self) -> usize {
        [self.channels, self.height, self.width].into_iter().fold(1, usize::saturating_mul)
    }

    /// The convolutions with the grids that each reads.
    ///
    /// # Errors
    /// No layer, a kernel that does not fit, or a grid of another size than fits `input` numbers.
    pub fn convolutions(&self, input: usize) -> Result<Vec<ConvShape>> {
        let fault = |value: String, rule| Err(Error::Setting { key: "grid", value, rule });
        let Self { channels, height, width, .. } = *self;
        if self.layers.is_empty() {
            return fault("without layers".into(), "give at least one convolution");
        }
        if self.cells() > input {
            let rule = "an observation must begin with all of its numbers";
            return fault(format!("[{channels}, {height}, {width}] in observations of {input}"), rule);
        }
        let (mut channels, mut height, mut width) = (channels, height, width);
        let mut out = Vec::with_capacity(self.layers.len());
        for &ConvLayer { filters, kernel, stride, padding } in &self.layers {
            let kernel = [kernel; 2];
            let shape = ConvShape { channels, height, width, filters, kernel, stride, padding };
            shape.check()?;
            (channels, height, width) = (filters, shape.out_height(), shape.out_width());
            out.push(shape);
        }
        Ok(out)
    }
}

/// Convolutions and what their backward pass needs. Grows on first use.
#[derive(Debug)]
pub(crate) struct GridNet {
    convolutions: Vec<ConvShape>,
    activation: Activation,
    /// Width of an observation, `D`.
    input: usize,
    cache: ConvCache,
    /// Input of each convolution and, after the last, its output, `[n, ..]`; and their gradients.
    grids: Vec<Vec<f32>>,
    d_grids: Vec<Vec<f32>>,
    /// What the convolutions leave and what passed by them `[n, features]`, and its gradient.
    pub(crate) features: Vec<f32>,
    pub(crate) d_features: Vec<f32>,
}

impl GridNet {
    pub(crate) fn new(shape: &GridShape, input: usize, activation: Activation) -> Result<Self> {
        let convolutions = shape.convolutions(input)?;
        let grids = vec![Vec::new(); convolutions.len() + 1];
        Ok(Self {
            convolutions,
            activation,
            input,
            cache: ConvCache::new(),
            d_grids: grids.clone(),
            grids,
            features: Vec::new(),
            d_features: Vec::new(),
        })
    }

    /// Numbers of a row that the convolutions leave, and of all that goes on.
    fn widths(&self) -> (usize, usize) {
        let left = self.convolutions.last().map_or(0, ConvShape::output);
        (left, left + self.input - self.convolutions[0].input())
    }

    /// Width of what goes on to the next layers.
    pub(crate) fn output(&self) -> usize {
        self.widths().1
    }

    pub(crate) fn param_count(&self) -> usize {
        self.convolutions.iter().map(ConvShape::param_count).sum()
    }

    /// Every convolution with the range of its parameters.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (&ConvShape, Range<usize>)> {
        let mut start = 0;
        self.convolutions.iter().map(move |shape| {
            let range = start..start + shape.param_count();
            start = range.end;
            (shape, range)
        })
    }

    /// Fills the parameters; tensors are numbered from `first` on.
    pub(crate) fn init(&self, init: Init, stream: impl Fn(u64) -> Stream, first: u64, params: &mut [f32]) {
        for (i, (shape, range)) in self.layers().enumerate() {
            let (weight, bias) = params[range].split_at_mut(shape.filters * shape.patch());
            initialize_convolution(init, self.activation, &stream, first + 2 * i as u64, weight, bias);
        }
    }

    /// `obs` `[n, D]` to `features`.
    pub(crate) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        n: usize,
        obs: &[f32],
    ) -> Result<()> {
        self.fit(n);
        let (cells, (left, all)) = (self.convolutions[0].input(), self.widths());
        for (grid, obs) in self.grids[0].chunks_exact_mut(cells).zip(obs.chunks_exact(self.input)) {
            grid.copy_from_slice(&obs[..cells]);
        }
        let mut start = 0;
        for (i, &shape) in self.convolutions.iter().enumerate() {
            let (below, above) = self.grids.split_at_mut(i + 1);
            let call = ConvForward {
                shape,
                params: &params[start..start + shape.param_count()],
                rows: n,
                input: &below[i][..n * shape.input()],
                activation: Some(self.activation),
                output: &mut above[0][..n * shape.output()],
            };
            backend.conv_forward(&mut self.cache, call)?;
            start += shape.param_count();
        }
        let last = self.grids[self.convolutions.len()].chunks_exact(left);
        let rows = self.features.chunks_exact_mut(all).zip(last).zip(obs.chunks_exact(self.input));
        for ((features, grid), obs) in rows {
            features[..left].copy_from_slice(grid);
            features[left..].copy_from_slice(&obs[cells..]);
        }
        Ok(())
    }

    /// From `d_features` to the gradient of the parameters and, if given, that of `obs` `[n, D]`.
    pub(crate) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        n: usize,
        grads: &mut [f32],
        d_obs: Option<&mut [f32]>,
    ) -> Result<()> {
        let (cells, (left, all)) = (self.convolutions[0].input(), self.widths());
        let n_layers = self.convolutions.len();
        let last = self.d_grids[n_layers].chunks_exact_mut(left);
        for (d_grid, d_features) in last.zip(self.d_features[..n * all].chunks_exact(all)) {
            d_grid.copy_from_slice(&d_features[..left]);
        }
        let mut end = self.param_count();
        for (i, &shape) in self.convolutions.iter().enumerate().rev() {
            let range = end - shape.param_count()..end;
            end = range.start;
            let (below, above) = self.d_grids.split_at_mut(i + 1);
            let call = ConvBackward {
                shape,
                params: &params[range.clone()],
                rows: n,
                input: &self.grids[i][..n * shape.input()],
                activation: Some(self.activation),
                output: &self.grids[i + 1][..n * shape.output()],
                d_output: &above[0][..n * shape.output()],
                grads: &mut grads[range],
                d_input: (i > 0 || d_obs.is_some()).then(|| &mut below[i][..n * shape.input()]),
            };
            backend.conv_backward(&mut self.cache, call)?;
        }
        if let Some(d_obs) = d_obs {
            let rows = self.d_grids[0].chunks_exact(cells).zip(self.d_features.chunks_exact(all));
            for (d_obs, (d_grid, d_features)) in d_obs.chunks_exact_mut(self.input).zip(rows) {
                d_obs[..cells].copy_from_slice(d_grid);
                d_obs[cells..].copy_from_slice(&d_features[left..]);
            }
        }
        Ok(())
    }

    fn fit(&mut self, n: usize) {
        let grow = |buffer: &mut Vec<f32>, len: usize| {
            if buffer.len() < len {
                buffer.resize(len, 0.0);
            }
        };
        for (i, shape) in self.convolutions.iter().enumerate() {
            grow(&mut self.grids[i], n * shape.input());
            grow(&mut self.grids[i + 1], n * shape.output());
            grow(&mut self.d_grids[i], n * shape.input());
            grow(&mut self.d_grids[i + 1], n * shape.output());
        }
        let all = self.output();
        grow(&mut self.features, n * all);
        grow(&mut self.d_features, n * all);
    }
}
