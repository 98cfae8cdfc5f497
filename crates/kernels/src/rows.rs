//! Loops over rows that are not matrix products: tanh, layer norm, sums of columns. Sums inside a row are
//! sixteen interleaved chains (`j mod 16`) and a fixed tree, so the width of the vectors is invisible.

use crate::isa::per_isa;
use crate::math::tanh_f32;
use crate::shape::LAYER_NORM_EPS;

const LANES: usize = 16;

#[inline(always)]
fn tree16(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Sum of a row.
#[inline(always)]
fn row_sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            lanes[i] += block[i];
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += v;
    }
    tree16(lanes)
}

/// Sum of products of two rows.
#[inline(always)]
fn row_dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..LANES {
            lanes[i] = x[i].mul_add(y[i], lanes[i]);
        }
    }
    for ((lane, &x), &y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane = x.mul_add(y, *lane);
    }
    tree16(lanes)
}

#[inline(always)]
fn tanh_body(z: &mut [f32]) {
    for v in z {
        *v = tanh_f32(*v);
    }
}

per_isa! {
    /// Tanh in place.
    pub(crate) fn tanh(z: &mut [f32]) = tanh_body
}

#[inline(always)]
fn tanh_grad_body(d: &mut [f32], h: &[f32]) {
    for (d, &h) in d.iter_mut().zip(h) {
        *d *= h.mul_add(-h, 1.0);
    }
}

per_isa! {
    /// `d *= 1 - h^2`.
    pub(crate) fn tanh_grad(d: &mut [f32], h: &[f32]) = tanh_grad_body
}

#[inline(always)]
fn relu_body(z: &mut [f32]) {
    for v in z {
        // This way round a NaN stays a NaN.
        *v = if 0.0 > *v { 0.0 } else { *v };
    }
}

per_isa! {
    /// `max(z, 0)` in place; NaN stays.
    pub(crate) fn relu(z: &mut [f32]) = relu_body
}

#[inline(always)]
fn norm_body(n: usize, z: &mut [f32], xhat: &mut [f32], inv_std: &mut [f32], gain: &[f32], shift: &[f32]) {
    let count = n as f32;
    for ((z, xhat), inv) in z.chunks_exact_mut(n).zip(xhat.chunks_exact_mut(n)).zip(inv_std) {
        let mean = row_sum(z) / count;
        for (x, &v) in xhat.iter_mut().zip(z.iter()) {
            *x = v - mean;
        }
        *inv = 1.0 / (row_dot(xhat, xhat) / count + LAYER_NORM_EPS).sqrt();
        for (((z, x), &g), &s) in z.iter_mut().zip(xhat.iter_mut()).zip(gain).zip(shift) {
            *x *= *inv;
            *z = x.mul_add(g, s);
        }
    }
}

per_isa! {
    /// Layer norm of rows of width `n`, in place in `z`; keeps the normalized rows and `1 / std`.
    pub(crate) fn norm(
        n: usize, z: &mut [f32], xhat: &mut [f32], inv_std: &mut [f32], gain: &[f32], shift: &[f32],
    ) = norm_body
}

#[inline(always)]
fn norm_grad_body(n: usize, d: &mut [f32], dz: &mut [f32], xhat: &[f32], inv_std: &[f32], gain: &[f32]) {
    let count = n as f32;
    let rows = d.chunks_exact_mut(n).zip(dz.chunks_exact_mut(n)).zip(xhat.chunks_exact(n)).zip(inv_std);
    for (((d, dz), xhat), &inv) in rows {
        for ((dz, &d), &g) in dz.iter_mut().zip(d.iter()).zip(gain) {
            *dz = d * g;
        }
        let mean = row_sum(dz) / count;
        let slope = row_dot(dz, xhat) / count;
        for (dz, &x) in dz.iter_mut().zip(xhat) {
            *dz = x.mul_add(-slope, *dz - mean) * inv;
        }
    }
}

per_isa! {
    /// Backward of [`norm`]: from `d`, the gradient after gain and shift, writes `dz`, the one before the norm.
    pub(crate) fn norm_grad(
        n: usize, d: &mut [f32], dz: &mut [f32], xhat: &[f32], inv_std: &[f32], gain: &[f32],
    ) = norm_grad_body
}

#[inline(always)]
fn column_sums_body(n: usize, d: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    for row in d.chunks_exact(n) {
        for (o, &v) in out.iter_mut().zip(row) {
            *o += v;
        }
    }
}

per_isa! {
    /// Sums of columns of `d` `[rows, n]`: a chain over the rows, from 0.
    pub(crate) fn column_sums(n: usize, d: &[f32], out: &mut [f32]) = column_sums_body
}

#[inline(always)]
fn column_dots_body(n: usize, d: &[f32], x: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    for (d, x) in d.chunks_exact(n).zip(x.chunks_exact(n)) {
        for ((o, &d), &x) in out.iter_mut().zip(d).zip(x) {
            *o = d.mul_add(x, *o);
        }
    }
}

per_isa! {
    /// Sums of columns of `d * x`, a fused chain over the rows, from 0.
    pub(crate) fn column_dots(n: usize, d: &[f32], x: &[f32], out: &mut [f32]) = column_dots_body
}

#[inline(always)]
fn add_row_sums_body(n: usize, d: &[f32], out: &mut [f32]) {
    for (o, row) in out.iter_mut().zip(d.chunks_exact(n)) {
        *o += row_sum(row);
    }
}

per_isa! {
    /// Adds the sum of each row of `d` `[rows, n]` to `out` `[rows]`.
    pub(crate) fn add_row_sums(n: usize, d: &[f32], out: &mut [f32]) = add_row_sums_body
}

#[inline(always)]
fn relu_grad_body(d: &mut [f32], h: &[f32]) {
    for (d, &h) in d.iter_mut().zip(h) {
        *d = if h > 0.0 { *d } else { 0.0 };
    }
}

per_isa! {
    /// `d` where `h > 0`, else 0.
    pub(crate) fn relu_grad(d: &mut [f32], h: &[f32]) = relu_grad_body
}

#[inline(always)]
fn add_body(a: &mut [f32], b: &[f32]) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a += b;
    }
}

per_isa! {
    /// `a += b`.
    pub(crate) fn add(a: &mut [f32], b: &[f32]) = add_body
}

#[inline(always)]
fn blend_body(target: &mut [f32], source: &[f32], tau: f32) {
    for (t, &s) in target.iter_mut().zip(source) {
        *t = tau.mul_add(s - *t, *t);
    }
}

per_isa! {
    /// `target += tau * (source - target)`, fused.
    pub(crate) fn blend(target: &mut [f32], source: &[f32], tau: f32) = blend_body
}

/// `out[j, k] = w[k, j]` for `w` `[rows, cols]`.
pub(crate) fn transpose(rows: usize, cols: usize, w: &[f32], out: &mut [f32]) {
    for (j, column) in out.chunks_exact_mut(rows).enumerate().take(cols) {
        for (k, o) in column.iter_mut().enumerate() {
            *o = w[k * cols + j];
        }
    }
}
