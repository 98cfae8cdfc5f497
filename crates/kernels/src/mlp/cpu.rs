//! Passes over a range of rows. Rows are independent in forward and backward; only [`grads_rows`] sums over
//! them, in ascending order.

use super::Tape;
use crate::buffer::Shared;
use crate::dense::{Finish, Product, Start, product};
use crate::shape::Layer;
use crate::{Activation, Isa, MlpShape, rows};

/// Rows of input and the distance between them.
pub(crate) type Rows<'a> = (&'a [f32], usize);

fn layer_forward<'a>(
    layer: &Layer,
    params: &'a [f32],
    x: Rows<'a>,
    count: usize,
    finish: Finish<'a>,
) -> Product<'a> {
    Product {
        m: count,
        n: layer.n,
        k: layer.k,
        a: x.0,
        a_row: x.1,
        a_col: 1,
        b: &params[layer.weight..layer.bias],
        b_row: layer.n,
        start: Start::Bias(&params[layer.bias..layer.bias + layer.n]),
        finish,
    }
}

/// ReLU is fused into the product unless a norm stands between.
fn fused_finish(shape: &MlpShape) -> Finish<'static> {
    if shape.activation == Activation::Relu && !shape.layer_norm { Finish::Relu } else { Finish::Plain }
}

/// What is left to do of the activation after the product (and the norm).
fn activate(isa: Isa, shape: &MlpShape, h: &mut [f32]) {
    match shape.activation {
        Activation::Tanh => rows::tanh(isa, h),
        Activation::Relu if shape.layer_norm => rows::relu(isa, h),
        Activation::Relu => {}
    }
}

/// Rows `first..first + count` forward; `x` and `output` start at row `first`. Writes the tape's activations.
#[allow(clippy::too_many_arguments)]
pub(crate) fn forward_rows(
    isa: Isa,
    shape: &MlpShape,
    params: &[f32],
    x: Rows<'_>,
    first: usize,
    count: usize,
    tape: &Tape,
    output: &mut [f32],
) {
    let mut below = x;
    for layer in shape.layers() {
        let n = layer.n;
        if !layer.hidden {
            product(isa, &layer_forward(&layer, params, below, count, Finish::Plain), output, n);
            return;
        }
        let t = &tape.hidden[layer.index];
        // SAFETY: these rows belong to the caller for the length of the pass.
        let h = unsafe { t.h.part(first * n, count * n) };
        product(isa, &layer_forward(&layer, params, below, count, fused_finish(shape)), h, n);
        if let Some((gain, shift)) = layer.norm {
            // SAFETY: as above.
            let (xhat, inv) = unsafe { (t.xhat.part(first * n, count * n), t.inv_std.part(first, count)) };
            rows::norm(isa, n, h, xhat, inv, &params[gain..gain + n], &params[shift..shift + n]);
        }
        activate(isa, shape, h);
        below = (h, n);
    }
}

/// Rows forward without keeping anything; `ping` and `pong` hold `count` rows of the widest layer each, and
/// `stats` `count` floats (with layer norm, else unused).
#[allow(clippy::too_many_arguments)]
pub(crate) fn infer_rows(
    isa: Isa,
    shape: &MlpShape,
    params: &[f32],
    x: Rows<'_>,
    count: usize,
    scratch: [&mut [f32]; 3],
    output: &mut [f32],
) {
    let [mut here, mut there, norm] = scratch;
    let mut from_input = true;
    for layer in shape.layers() {
        let n = layer.n;
        let below: Rows<'_> = if from_input { x } else { (&*there, layer.k) };
        if !layer.hidden {
            product(isa, &layer_forward(&layer, params, below, count, Finish::Plain), output, n);
            return;
        }
        let h = &mut here[..count * n];
        product(isa, &layer_forward(&layer, params, below, count, fused_finish(shape)), h, n);
        if let Some((gain, shift)) = layer.norm {
            let (inv, xhat) = norm.split_at_mut(count);
            let xhat = &mut xhat[..count * n];
            rows::norm(isa, n, h, xhat, inv, &params[gain..gain + n], &params[shift..shift + n]);
        }
        activate(isa, shape, h);
        std::mem::swap(&mut here, &mut there);
        from_input = false;
    }
}

/// Weights of every layer transposed, at the same offsets; the first layer only if `with_first`.
pub(crate) fn transpose_weights(shape: &MlpShape, params: &[f32], out: &mut [f32], with_first: bool) {
    for layer in shape.layers() {
        if layer.index > 0 || with_first {
            let range = layer.weight..layer.bias;
            rows::transpose(layer.k, layer.n, &params[range.clone()], &mut out[range]);
        }
    }
}

/// Gradients of the sums of every hidden layer for rows `first..first + count`, given those of the output;
/// `d_out` and `grad_input` start at row `first`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward_rows(
    isa: Isa,
    shape: &MlpShape,
    params: &[f32],
    transposed: &[f32],
    first: usize,
    count: usize,
    tape: &Tape,
    d_out: &[f32],
    grad_input: Option<&mut [f32]>,
) {
    let mut d = d_out;
    for index in (1..shape.n_layers()).rev() {
        let layer = shape.layer(index);
        let below = shape.layer(index - 1);
        let t = &tape.hidden[index - 1];
        let (at, len) = (first * layer.k, count * layer.k);
        // SAFETY: these rows belong to the caller for the length of the pass; `h` is only read now.
        let (h, dz) = unsafe { (t.h.view(at, len), t.dz.part(at, len)) };
        let relu = shape.activation == Activation::Relu;
        let finish = if relu { Finish::Where(h) } else { Finish::Plain };
        let target = match below.norm {
            // SAFETY: as above.
            Some(_) => unsafe { t.d_norm.part(at, len) },
            None => &mut *dz,
        };
        layer_backward(isa, &layer, transposed, d, count, finish, target);
        if !relu {
            rows::tanh_grad(isa, target, h);
        }
        if let Some((gain, _)) = below.norm {
            // SAFETY: as above; the norm's rows are only read now.
            let (d_norm, xhat, inv) =
                unsafe { (t.d_norm.part(at, len), t.xhat.view(at, len), t.inv_std.view(first, count)) };
            rows::norm_grad(isa, below.n, d_norm, dz, xhat, inv, &params[gain..gain + below.n]);
        }
        d = dz;
    }
    if let Some(grad_input) = grad_input {
        layer_backward(isa, &shape.layer(0), transposed, d, count, Finish::Plain, grad_input);
    }
}

fn layer_backward(
    isa: Isa,
    layer: &Layer,
    transposed: &[f32],
    d: &[f32],
    count: usize,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let call = Product {
        m: count,
        n: layer.k,
        k: layer.n,
        a: d,
        a_row: layer.n,
        a_col: 1,
        b: &transposed[layer.weight..layer.bias],
        b_row: layer.k,
        start: Start::Zero,
        finish,
    };
    product(isa, &call, out, layer.k);
}

/// Gradients of the parameters: chains over rows `first..first + count` ascending, from 0, into `out` `[P]` from `base` on.
/// `x` and `d_out` start at row `first`. `share` `(t, of)` computes only a part of `out`, so that `of` callers
/// with different `t` fill it together.
#[allow(clippy::too_many_arguments)]
pub(crate) fn grads_rows(
    isa: Isa,
    shape: &MlpShape,
    x: Rows<'_>,
    first: usize,
    count: usize,
    tape: &Tape,
    d_out: &[f32],
    out: &Shared<'_, f32>,
    base: usize,
    share: (usize, usize),
) {
    let (t, of) = share;
    let mut below = x;
    for layer in shape.layers() {
        let n = layer.n;
        // SAFETY: nobody writes activations and their gradients while parameters are summed.
        let hidden = layer.hidden.then(|| unsafe {
            let tape = &tape.hidden[layer.index];
            (tape, tape.h.view(first * n, count * n), tape.dz.view(first * n, count * n))
        });
        let d = hidden.map_or_else(|| &d_out[..count * n], |(_, _, dz)| dz);
        weight_grads(isa, (layer.k, n), below, d, count, out, base + layer.weight, share);
        if t == of - 1 {
            // SAFETY: only the last caller writes these.
            rows::column_sums(isa, n, d, unsafe { out.part(base + layer.bias, n) });
            if let (Some((gain, shift)), Some((tape, _, _))) = (layer.norm, hidden) {
                // SAFETY: as above.
                let (d_gain, d_shift) = unsafe { (out.part(base + gain, n), out.part(base + shift, n)) };
                // SAFETY: nobody writes these now.
                let (d_norm, xhat) =
                    unsafe { (tape.d_norm.view(first * n, count * n), tape.xhat.view(first * n, count * n)) };
                rows::column_dots(isa, n, d_norm, xhat, d_gain);
                rows::column_sums(isa, n, d_norm, d_shift);
            }
        }
        if let Some((_, h, _)) = hidden {
            below = (h, n);
        }
    }
}

/// Gradient of a weight `[K, N]` at offset `at` of `out`: chains over `count` rows of `x` `[rows, K]` and `d`
/// `[rows, N]`. Only part `share` of it, which is rows of the weight.
#[allow(clippy::too_many_arguments)]
pub(crate) fn weight_grads(
    isa: Isa,
    (k, n): (usize, usize),
    x: Rows<'_>,
    d: &[f32],
    count: usize,
    out: &Shared<'_, f32>,
    at: usize,
    (t, of): (usize, usize),
) {
    // A multiple of the tiles' six rows each.
    let per = k.div_ceil(of).next_multiple_of(6);
    let (low, high) = ((per * t).min(k), (per * (t + 1)).min(k));
    if low == high {
        return;
    }
    let call = Product {
        m: high - low,
        n,
        k: count,
        a: &x.0[low.min(x.0.len())..],
        a_row: 1,
        a_col: x.1,
        b: d,
        b_row: n,
        start: Start::Zero,
        finish: Finish::Plain,
    };
    // SAFETY: parts of different `t` are disjoint.
    let weight = unsafe { out.part(at + low * n, (high - low) * n) };
    product(isa, &call, weight, n);
}
