//! The monotonic mixing network of QMIX: its tensors; the kernels `mix_forward` and `mix_backward` compute it.

use coact_kernels::{Backend, MixBackward, MixCache, MixForward, MixShape};

use super::MixerInput;
use super::part::Part;
use crate::Result;

/// Widths of a monotonic mixing network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QmixWidths {
    /// Hidden units of the mixing network, `M`.
    pub embed: usize,
    /// Hidden units of the hypernetworks that make weights; `None` for single linear layers.
    pub hypernet: Option<usize>,
}

/// `total = sum_m |w2_m(s)| elu(sum_a |w1_am(s)| q_a + b1_m(s)) + V(s)`.
#[derive(Debug)]
pub(super) struct Qmix {
    shape: MixShape,
    /// Names and places of the tensors.
    parts: [Part; 4],
    cache: MixCache,
}

impl Qmix {
    pub(super) fn new(n_agents: usize, state: usize, widths: QmixWidths, offset: &mut usize) -> Self {
        let QmixWidths { embed, hypernet } = widths;
        let shape = MixShape { n_agents, state, embed, hypernet };
        let [w1, w2, b1, v] = shape.networks();
        let parts = [
            Part::of("hyper_w_1", w1, offset),
            Part::of("hyper_w_final", w2, offset),
            Part::of("hyper_b_1", b1, offset),
            Part::of("V", v, offset),
        ];
        Self { shape, parts, cache: MixCache::new() }
    }

    pub(super) fn shape(&self) -> MixShape {
        self.shape
    }

    pub(super) fn parts(&self) -> [&Part; 4] {
        self.parts.each_ref()
    }

    pub(super) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        total: &mut [f32],
    ) -> Result<()> {
        let MixerInput { q, state, .. } = input;
        let call = MixForward { shape: self.shape, params, q, state, total };
        Ok(backend.mix_forward(&mut self.cache, call)?)
    }

    pub(super) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        d_total: &[f32],
        grads: &mut [f32],
        d_q: &mut [f32],
    ) -> Result<()> {
        let MixerInput { q, state, .. } = input;
        let call = MixBackward { shape: self.shape, params, q, state, d_total, grads, d_q };
        Ok(backend.mix_backward(&mut self.cache, call)?)
    }
}
