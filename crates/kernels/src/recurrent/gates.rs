//! What a cell does between products: loops over the units of each row. A row is gone through once an output, because
//! loops of few streams vectorize and the row stays in the nearest cache.

use crate::isa::per_isa;
use crate::math::{sigmoid_f32, tanh_f32};

#[inline(always)]
fn gru_body(h: usize, x: &[f32], gates: &mut [f32], n: &mut [f32], h_in: &[f32], hidden: &mut [f32]) {
    let rows = x.chunks_exact(3 * h).zip(gates.chunks_exact_mut(3 * h));
    let units = n.chunks_exact_mut(h).zip(h_in.chunks_exact(h)).zip(hidden.chunks_exact_mut(h));
    for ((x, gates), ((n, h_in), hidden)) in rows.zip(units) {
        let (rz, y) = gates.split_at_mut(2 * h);
        for (gate, &x) in rz.iter_mut().zip(x) {
            *gate = sigmoid_f32(*gate + x);
        }
        let (r, z) = rz.split_at(h);
        for (((n, &r), &y), &x) in n.iter_mut().zip(r).zip(y.iter()).zip(&x[2 * h..]) {
            *n = tanh_f32(r.mul_add(y, x));
        }
        for (((hidden, &z), &n), &h_in) in hidden.iter_mut().zip(z).zip(n.iter()).zip(h_in) {
            *hidden = z.mul_add(h_in - n, n);
        }
    }
}

per_isa! {
    /// GRU: `gates` `[rows, 3 H]` holds the hidden side, and then `r`, `z` and the hidden side of `n`; writes `n` and
    /// `hidden` `[rows, H]`.
    pub(super) fn gru(
        h: usize, x: &[f32], gates: &mut [f32], n: &mut [f32], h_in: &[f32], hidden: &mut [f32],
    ) = gru_body
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn gru_grad_body(
    h: usize,
    d_hidden: &[f32],
    d_h: &mut [f32],
    gates: &[f32],
    n: &[f32],
    h_in: &[f32],
    d_x: &mut [f32],
    d_y: &mut [f32],
) {
    let ins = d_hidden
        .chunks_exact(h)
        .zip(gates.chunks_exact(3 * h))
        .zip(n.chunks_exact(h))
        .zip(h_in.chunks_exact(h));
    let outs = d_h.chunks_exact_mut(h).zip(d_x.chunks_exact_mut(3 * h)).zip(d_y.chunks_exact_mut(3 * h));
    for ((((d_hidden, gates), n), h_in), ((d_h, d_x), d_y)) in ins.zip(outs) {
        let (r, rest) = gates.split_at(h);
        let (z, y) = rest.split_at(h);
        let (d_r, rest) = d_x.split_at_mut(h);
        let (d_z, d_n) = rest.split_at_mut(h);
        for (d, &more) in d_h.iter_mut().zip(d_hidden) {
            *d += more;
        }
        for ((((d_z, &d), &z), &n), &h_in) in d_z.iter_mut().zip(d_h.iter()).zip(z).zip(n).zip(h_in) {
            *d_z = d * (h_in - n) * (z * (1.0 - z));
        }
        for (((d_n, &d), &z), &n) in d_n.iter_mut().zip(d_h.iter()).zip(z).zip(n) {
            *d_n = d * (1.0 - z) * n.mul_add(-n, 1.0);
        }
        for (((d_r, &d_n), &r), &y) in d_r.iter_mut().zip(d_n.iter()).zip(r).zip(y) {
            *d_r = d_n * y * (r * (1.0 - r));
        }
        for (d, &z) in d_h.iter_mut().zip(z) {
            *d *= z;
        }
        d_y[..h].copy_from_slice(d_r);
        d_y[h..2 * h].copy_from_slice(d_z);
        for ((d_y, &d_n), &r) in d_y[2 * h..].iter_mut().zip(d_n.iter()).zip(r) {
            *d_y = d_n * r;
        }
    }
}

per_isa! {
    /// Backward of [`gru`]: writes the gradients of both sides of the gates `[rows, 3 H]`. `d_h` `[rows, H]` comes with
    /// the gradient from the step after and leaves with what reaches the step before past the products.
    pub(super) fn gru_grad(
        h: usize, d_hidden: &[f32], d_h: &mut [f32], gates: &[f32], n: &[f32], h_in: &[f32],
        d_x: &mut [f32], d_y: &mut [f32],
    ) = gru_grad_body
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn lstm_body(
    h: usize,
    x: &[f32],
    gates: &mut [f32],
    c_in: &[f32],
    c: &mut [f32],
    tanh_c: &mut [f32],
    hidden: &mut [f32],
) {
    let rows = x.chunks_exact(4 * h).zip(gates.chunks_exact_mut(4 * h)).zip(c_in.chunks_exact(h));
    let outs = c.chunks_exact_mut(h).zip(tanh_c.chunks_exact_mut(h)).zip(hidden.chunks_exact_mut(h));
    for (((x, gates), c_in), ((c, tanh_c), hidden)) in rows.zip(outs) {
        for (gate, &x) in gates.iter_mut().zip(x) {
            *gate += x;
        }
        let (input_forget, rest) = gates.split_at_mut(2 * h);
        let (g, o) = rest.split_at_mut(h);
        for gate in input_forget.iter_mut() {
            *gate = sigmoid_f32(*gate);
        }
        for gate in g.iter_mut() {
            *gate = tanh_f32(*gate);
        }
        for gate in o.iter_mut() {
            *gate = sigmoid_f32(*gate);
        }
        let (i, f) = input_forget.split_at(h);
        for ((((c, &f), &c_in), &i), &g) in c.iter_mut().zip(f).zip(c_in).zip(i).zip(g.iter()) {
            *c = f.mul_add(c_in, i * g);
        }
        for (t, &c) in tanh_c.iter_mut().zip(c.iter()) {
            *t = tanh_f32(c);
        }
        for ((hidden, &o), &t) in hidden.iter_mut().zip(o.iter()).zip(tanh_c.iter()) {
            *hidden = o * t;
        }
    }
}

per_isa! {
    /// LSTM: `gates` `[rows, 4 H]` holds the hidden side, and then `i`, `f`, `g`, `o`; writes `c`, `tanh(c)` and `hidden`
    /// `[rows, H]`.
    pub(super) fn lstm(
        h: usize, x: &[f32], gates: &mut [f32], c_in: &[f32], c: &mut [f32], tanh_c: &mut [f32],
        hidden: &mut [f32],
    ) = lstm_body
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn lstm_grad_body(
    h: usize,
    d_hidden: &[f32],
    d_h: &mut [f32],
    d_c: &mut [f32],
    gates: &[f32],
    c_in: &[f32],
    tanh_c: &[f32],
    d_x: &mut [f32],
) {
    let ins = d_hidden
        .chunks_exact(h)
        .zip(gates.chunks_exact(4 * h))
        .zip(c_in.chunks_exact(h))
        .zip(tanh_c.chunks_exact(h));
    let outs = d_h.chunks_exact_mut(h).zip(d_c.chunks_exact_mut(h)).zip(d_x.chunks_exact_mut(4 * h));
    for ((((d_hidden, gates), c_in), tanh_c), ((d_h, d_c), d_x)) in ins.zip(outs) {
        let (i, rest) = gates.split_at(h);
        let (f, rest) = rest.split_at(h);
        let (g, o) = rest.split_at(h);
        let (d_i, rest) = d_x.split_at_mut(h);
        let (d_f, rest) = rest.split_at_mut(h);
        let (d_g, d_o) = rest.split_at_mut(h);
        for (d, &more) in d_h.iter_mut().zip(d_hidden) {
            *d += more;
        }
        for (((d_c, &d), &o), &t) in d_c.iter_mut().zip(d_h.iter()).zip(o).zip(tanh_c) {
            *d_c = (d * o).mul_add(t.mul_add(-t, 1.0), *d_c);
        }
        for (((d_o, &d), &o), &t) in d_o.iter_mut().zip(d_h.iter()).zip(o).zip(tanh_c) {
            *d_o = d * t * (o * (1.0 - o));
        }
        for (((d_i, &d_c), &i), &g) in d_i.iter_mut().zip(d_c.iter()).zip(i).zip(g) {
            *d_i = d_c * g * (i * (1.0 - i));
        }
        for (((d_f, &d_c), &f), &c_in) in d_f.iter_mut().zip(d_c.iter()).zip(f).zip(c_in) {
            *d_f = d_c * c_in * (f * (1.0 - f));
        }
        for (((d_g, &d_c), &i), &g) in d_g.iter_mut().zip(d_c.iter()).zip(i).zip(g) {
            *d_g = d_c * i * g.mul_add(-g, 1.0);
        }
        for (d_c, &f) in d_c.iter_mut().zip(f) {
            *d_c *= f;
        }
    }
}

per_isa! {
    /// Backward of [`lstm`]: writes the gradient of the gates `[rows, 4 H]`. `d_h` and `d_c` `[rows, H]` come with the
    /// gradients from the step after; `d_c` leaves with that of the step before.
    pub(super) fn lstm_grad(
        h: usize, d_hidden: &[f32], d_h: &mut [f32], d_c: &mut [f32], gates: &[f32], c_in: &[f32],
        tanh_c: &[f32], d_x: &mut [f32],
    ) = lstm_grad_body
}
