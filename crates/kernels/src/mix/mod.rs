//! `mix`: the monotonic mixing network of QMIX (Rashid et al. 2018), from the values of agents and a state to the value of
//! the team, and back. Hypernetworks make its weights of the state:
//!
//! ```text
//! hidden_m = elu(sum_a |w1_am(s)| q_a + b1_m(s))        total = sum_m |w2_m(s)| hidden_m + V(s)
//! ```
//!
//! `w1` and `w2` are single layers, or two with ReLU in between; `b1` is one layer, `V` two. Nothing here is fused
//! but the layers: a product is rounded before it is added, and exp is [`coact_core::math::exp_f32`]. Sums over the hidden
//! units are eight interleaved chains and a fixed tree, gradients of the parameters chains over the rows of a chunk and a
//! pairwise tree, as in [`Backend::mlp_backward`].
//!
//! Per row `A M` multiply-adds and `M` exponentials beside those of the hypernetworks.
//!
//! R rows, A agents, S state width, M hidden units, H units of a hypernetwork, P parameters.

pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod reference;

use std::ops::Range;

use crate::error::check_len;
use crate::{Activation, Backend, Error, MlpCache, MlpShape};

/// Shape of a mixing network and its hypernetworks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixShape {
    /// Agents, `A`.
    pub n_agents: usize,
    /// State width, `S`.
    pub state: usize,
    /// Hidden units of the mixing network, `M`.
    pub embed: usize,
    /// Hidden units of the hypernetworks that make weights, `H`; `None` for single layers.
    pub hypernet: Option<usize>,
}

impl MixShape {
    /// The hypernetworks in the order of their parameters: `w1` `[S -> A M]`, `w2` `[S -> M]`, `b1` `[S -> M]`, `V`
    /// `[S -> 1]`. Each one's parameters lie as [`MlpShape::tensors`] says, one network behind the other.
    pub fn networks(&self) -> [MlpShape; 4] {
        let Self { n_agents, state, embed, hypernet } = *self;
        let network = |hidden: Vec<usize>, output: usize| MlpShape {
            input: state,
            hidden,
            output,
            activation: Activation::Relu,
            layer_norm: false,
        };
        let layers = || hypernet.into_iter().collect();
        [
            network(layers(), n_agents * embed),
            network(layers(), embed),
            network(Vec::new(), embed),
            network(vec![embed], 1),
        ]
    }

    /// Length of the flat parameters, `P`.
    pub fn param_count(&self) -> usize {
        let Self { n_agents, state, embed, hypernet } = *self;
        let layer = |k: usize, n: usize| k * n + n;
        let weights = |n: usize| hypernet.map_or_else(|| layer(state, n), |h| layer(state, h) + layer(h, n));
        let value = layer(state, embed) + layer(embed, 1);
        weights(n_agents * embed) + weights(embed) + layer(state, embed) + value
    }

    /// Refuses widths of zero.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn check(&self) -> Result<(), Error> {
        let Self { n_agents, state, embed, hypernet } = *self;
        if [n_agents, state, embed, hypernet.unwrap_or(1)].contains(&0) {
            return Err(Error::Shape(format!(
                "a mixer of {n_agents} agents, a state of {state}, {embed} hidden units and hypernetworks of {hypernet:?} has an empty layer; give each at least one"
            )));
        }
        Ok(())
    }
}

/// A hypernetwork with its outputs.
#[derive(Debug)]
pub(crate) struct Part {
    shape: MlpShape,
    /// Its place in the parameters.
    range: Range<usize>,
    cache: MlpCache,
    /// `[R, N]`.
    out: Vec<f32>,
    d_out: Vec<f32>,
}

/// What [`Backend::mix_forward`] keeps for [`Backend::mix_backward`]. Grows on first use, and belongs to one shape at a
/// time.
#[derive(Debug, Default)]
pub struct MixCache {
    shape: Option<MixShape>,
    parts: Vec<Part>,
    /// After the ELU `[R, M]`.
    hidden: Vec<f32>,
    /// Rows of the forward pass.
    rows: usize,
    /// Whether that was on a GPU.
    on_gpu: bool,
    param_count: usize,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    gpu: cuda::MixMemory,
}

impl MixCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Becomes that of `shape`.
    fn fit(&mut self, shape: MixShape) -> Result<(), Error> {
        if self.shape == Some(shape) {
            return Ok(());
        }
        shape.check()?;
        let mut end = 0;
        self.parts.clear();
        self.parts.extend(shape.networks().into_iter().map(|shape| {
            let range = end..end + shape.param_count();
            end = range.end;
            Part { shape, range, cache: MlpCache::new(), out: Vec::new(), d_out: Vec::new() }
        }));
        (self.shape, self.param_count, self.rows) = (Some(shape), end, 0);
        Ok(())
    }
}

/// One call of [`Backend::mix_forward`].
#[derive(Debug)]
pub struct MixForward<'a> {
    /// The mixer.
    pub shape: MixShape,
    /// Its parameters `[P]`.
    pub params: &'a [f32],
    /// Values of the agents `[R, A]`.
    pub q: &'a [f32],
    /// States `[R, S]`.
    pub state: &'a [f32],
    /// Values of the team `[R]`, written.
    pub total: &'a mut [f32],
}

impl MixForward<'_> {
    fn check(&self, param_count: usize) -> Result<(), Error> {
        let rows = self.total.len();
        check_len("params", "[P]", param_count, self.params.len())?;
        check_len("q", "[R, A]", rows * self.shape.n_agents, self.q.len())?;
        check_len("state", "[R, S]", rows * self.shape.state, self.state.len())
    }
}

/// One call of [`Backend::mix_backward`]: `shape`, `params`, `q` and `state` are those of the forward pass.
#[derive(Debug)]
pub struct MixBackward<'a> {
    /// The mixer.
    pub shape: MixShape,
    /// Its parameters `[P]`.
    pub params: &'a [f32],
    /// Values of the agents `[R, A]`.
    pub q: &'a [f32],
    /// States `[R, S]`.
    pub state: &'a [f32],
    /// Gradient of the team's values `[R]`.
    pub d_total: &'a [f32],
    /// Gradient of the parameters `[P]`, written.
    pub grads: &'a mut [f32],
    /// Gradient of the agents' values `[R, A]`, written.
    pub d_q: &'a mut [f32],
}

impl MixBackward<'_> {
    fn check(&self, cache: &MixCache) -> Result<(), Error> {
        if cache.shape != Some(self.shape) {
            return Err(Error::Shape(format!(
                "backward of {:?} after forward of {:?}; give both the same mixer",
                self.shape, cache.shape
            )));
        }
        let rows = cache.rows;
        check_len("d_total", "[R] of the forward pass", rows, self.d_total.len())?;
        check_len("params", "[P]", cache.param_count, self.params.len())?;
        check_len("q", "[R, A]", rows * self.shape.n_agents, self.q.len())?;
        check_len("state", "[R, S]", rows * self.shape.state, self.state.len())?;
        check_len("grads", "[P]", cache.param_count, self.grads.len())?;
        check_len("d_q", "[R, A]", rows * self.shape.n_agents, self.d_q.len())
    }
}

impl Backend {
    /// Values of the team; `cache` remembers what backward needs.
    ///
    /// # Errors
    /// [`Error::Shape`] for a width of zero, [`Error::Length`] if a buffer does not fit; from a GPU [`Error::Shape`] for a
    /// mixer too wide for it and [`Error::Gpu`].
    pub fn mix_forward(&mut self, cache: &mut MixCache, call: MixForward<'_>) -> Result<(), Error> {
        cache.fit(call.shape)?;
        call.check(cache.param_count)?;
        cache.rows = call.total.len();
        cache.on_gpu = matches!(self, Backend::Cuda(_));
        if let Backend::Cuda(gpu) = self {
            return gpu.mix_forward(cache, call);
        }
        cpu::forward(self, cache, call);
        Ok(())
    }

    /// Backward of the last [`Backend::mix_forward`] with this cache.
    ///
    /// # Errors
    /// [`Error::Shape`] for another mixer than that of the forward pass, [`Error::Length`] if a buffer does not fit,
    /// [`Error::Gpu`] from a GPU.
    pub fn mix_backward(&mut self, cache: &mut MixCache, call: MixBackward<'_>) -> Result<(), Error> {
        call.check(cache)?;
        if cache.on_gpu != matches!(self, Backend::Cuda(_)) {
            return Err(Error::Shape(
                "backward on another device than forward; use one backend for both".into(),
            ));
        }
        if let Backend::Cuda(gpu) = self {
            return gpu.mix_backward(cache, call);
        }
        cpu::backward(self, cache, call);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
