//! Mixing on the CPU: the hypernetworks row by row in parallel, then the mixing network itself.

use coact_core::math::exp_f32;

use super::{MixBackward, MixCache, MixForward};
use crate::Backend;
use crate::math::{sign, sum8};

pub(crate) fn forward(backend: &mut Backend, cache: &mut MixCache, call: MixForward<'_>) {
    let MixForward { shape, params, q, state, total } = call;
    let (n, m, rows) = (shape.n_agents, shape.embed, total.len());
    for part in &mut cache.parts {
        part.out.resize(rows * part.shape.output, 0.0);
        let params = &params[part.range.clone()];
        backend.mlp_forward(&part.shape, params, rows, state, &mut part.cache, &mut part.out);
    }
    cache.hidden.resize(rows * m, 0.0);
    let [w1, w2, b1, v] = &cache.parts[..] else { unreachable!("a mixer has four hypernetworks") };
    let each = cache.hidden.chunks_exact_mut(m).zip(q.chunks_exact(n)).zip(total);
    for (r, ((hidden, q), total)) in each.enumerate() {
        let w1 = &w1.out[r * n * m..(r + 1) * n * m];
        hidden.copy_from_slice(&b1.out[r * m..(r + 1) * m]);
        for (&q, w1) in q.iter().zip(w1.chunks_exact(m)) {
            for (h, &w) in hidden.iter_mut().zip(w1) {
                *h += q * w.abs();
            }
        }
        for h in hidden.iter_mut() {
            *h = if *h > 0.0 { *h } else { exp_f32(*h) - 1.0 };
        }
        let w2 = &w2.out[r * m..(r + 1) * m];
        *total = sum8(hidden.iter().zip(w2).map(|(&h, &w)| h * w.abs())) + v.out[r];
    }
}

pub(crate) fn backward(backend: &mut Backend, cache: &mut MixCache, call: MixBackward<'_>) {
    let MixBackward { shape, params, q, state, d_total, grads, d_q } = call;
    let (n, m, rows) = (shape.n_agents, shape.embed, d_total.len());
    for part in &mut cache.parts {
        part.d_out.resize(rows * part.shape.output, 0.0);
    }
    let [w1, w2, b1, v] = &mut cache.parts[..] else { unreachable!("a mixer has four hypernetworks") };
    for (r, (&d, d_q)) in d_total.iter().zip(d_q.chunks_exact_mut(n)).enumerate() {
        let (one, all) = (r * m..(r + 1) * m, r * n * m..(r + 1) * n * m);
        let hidden = &cache.hidden[one.clone()];
        // The gradient before the ELU is that of the bias.
        let d_pre = &mut b1.d_out[one.clone()];
        let second = w2.out[one.clone()].iter().zip(&mut w2.d_out[one]);
        for ((d_pre, &h), (&w, d_w)) in d_pre.iter_mut().zip(hidden).zip(second) {
            *d_w = d * h * sign(w);
            *d_pre = d * w.abs() * if h > 0.0 { 1.0 } else { h + 1.0 };
        }
        let first = w1.out[all.clone()].chunks_exact(m).zip(w1.d_out[all].chunks_exact_mut(m));
        for (((w1, d_w1), &q), d_q) in first.zip(&q[r * n..]).zip(d_q) {
            for ((d_w, &w), &d_pre) in d_w1.iter_mut().zip(w1).zip(d_pre.iter()) {
                *d_w = d_pre * q * sign(w);
            }
            *d_q = sum8(w1.iter().zip(d_pre.iter()).map(|(&w, &d)| d * w.abs()));
        }
        v.d_out[r] = d;
    }
    for part in &mut cache.parts {
        let (params, grads) = (&params[part.range.clone()], &mut grads[part.range.clone()]);
        let (cache, d_out) = (&mut part.cache, &part.d_out);
        backend.mlp_backward(&part.shape, params, rows, state, cache, d_out, grads, None);
    }
}
