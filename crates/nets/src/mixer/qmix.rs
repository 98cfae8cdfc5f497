//! The monotonic mixing network of QMIX.

use coact_core::math::exp_f32;
use coact_kernels::Backend;

use super::part::Part;
use super::{MixerInput, sum};

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
    n_agents: usize,
    embed: usize,
    w1: Part,
    w2: Part,
    b1: Part,
    v: Part,
    /// After the ELU `[R, M]`.
    hidden: Vec<f32>,
}

impl Qmix {
    pub(super) fn new(n_agents: usize, state: usize, widths: QmixWidths, offset: &mut usize) -> Self {
        let QmixWidths { embed, hypernet } = widths;
        let layers = || hypernet.into_iter().collect();
        Self {
            n_agents,
            embed,
            w1: Part::new("hyper_w_1", state, layers(), n_agents * embed, offset),
            w2: Part::new("hyper_w_final", state, layers(), embed, offset),
            b1: Part::new("hyper_b_1", state, Vec::new(), embed, offset),
            v: Part::new("V", state, vec![embed], 1, offset),
            hidden: Vec::new(),
        }
    }

    pub(super) fn parts(&self) -> [&Part; 4] {
        [&self.w1, &self.w2, &self.b1, &self.v]
    }

    fn parts_mut(&mut self) -> [&mut Part; 4] {
        [&mut self.w1, &mut self.w2, &mut self.b1, &mut self.v]
    }

    pub(super) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        total: &mut [f32],
    ) {
        let (n, m) = (self.n_agents, self.embed);
        for part in self.parts_mut() {
            part.forward(backend, params, input.rows, input.state);
        }
        self.hidden.resize(input.rows * m, 0.0);
        let rows = self.hidden.chunks_exact_mut(m).zip(input.q.chunks_exact(n)).zip(total);
        for (r, ((hidden, q), total)) in rows.enumerate() {
            let w1 = &self.w1.out[r * n * m..(r + 1) * n * m];
            hidden.copy_from_slice(&self.b1.out[r * m..(r + 1) * m]);
            for (&q, w1) in q.iter().zip(w1.chunks_exact(m)) {
                for (h, &w) in hidden.iter_mut().zip(w1) {
                    *h += q * w.abs();
                }
            }
            for h in hidden.iter_mut() {
                *h = if *h > 0.0 { *h } else { exp_f32(*h) - 1.0 };
            }
            let w2 = &self.w2.out[r * m..(r + 1) * m];
            *total = sum(hidden.iter().zip(w2).map(|(&h, &w)| h * w.abs())) + self.v.out[r];
        }
    }

    pub(super) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        d_total: &[f32],
        grads: &mut [f32],
        d_q: &mut [f32],
    ) {
        let (n, m) = (self.n_agents, self.embed);
        for (r, (&d, d_q)) in d_total.iter().zip(d_q.chunks_exact_mut(n)).enumerate() {
            let (one, all) = (r * m..(r + 1) * m, r * n * m..(r + 1) * n * m);
            let hidden = &self.hidden[one.clone()];
            // The gradient before the ELU is that of the bias.
            let d_pre = &mut self.b1.d_out[one.clone()];
            let second = self.w2.out[one.clone()].iter().zip(&mut self.w2.d_out[one]);
            for ((d_pre, &h), (&w, d_w)) in d_pre.iter_mut().zip(hidden).zip(second) {
                *d_w = d * h * sign(w);
                *d_pre = d * w.abs() * if h > 0.0 { 1.0 } else { h + 1.0 };
            }
            let first = self.w1.out[all.clone()].chunks_exact(m).zip(self.w1.d_out[all].chunks_exact_mut(m));
            for (((w1, d_w1), &q), d_q) in first.zip(&input.q[r * n..]).zip(d_q) {
                for ((d_w, &w), &d_pre) in d_w1.iter_mut().zip(w1).zip(d_pre.iter()) {
                    *d_w = d_pre * q * sign(w);
                }
                *d_q = sum(w1.iter().zip(d_pre.iter()).map(|(&w, &d)| d * w.abs()));
            }
            self.v.d_out[r] = d;
        }
        for part in self.parts_mut() {
            part.backward(backend, params, input.rows, input.state, grads);
        }
    }
}

/// The derivative of the absolute value, 0 at 0.
#[inline(always)]
pub(super) fn sign(w: f32) -> f32 {
    if w > 0.0 {
        1.0
    } else if w < 0.0 {
        -1.0
    } else {
        0.0
    }
}
