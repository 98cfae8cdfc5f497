//! Optimizer steps on the CPU: plain loops over slices that are compiled for each instruction set.

use coact_core::math::whole_power;

use super::{OptimStep, Rule};
use crate::blocks::{BLOCK, BlockTree, LANES, tree_of_lanes};
use crate::isa::per_isa;
use crate::{Error, Isa};
use std::ops::Range;

#[inline(always)]
fn square_sum_body(x: &[f32]) -> f64 {
    let mut tree = BlockTree::new();
    for block in x.chunks(BLOCK) {
        let mut lanes = [0.0_f64; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for row in whole {
            for i in 0..LANES {
                let v = f64::from(row[i]);
                lanes[i] = v.mul_add(v, lanes[i]);
            }
        }
        for (lane, &v) in lanes.iter_mut().zip(rest) {
            *lane = f64::from(v).mul_add(f64::from(v), *lane);
        }
        tree.push(tree_of_lanes(lanes));
    }
    tree.sum()
}

per_isa! {
    /// Sum of squares in `f64`. Finite if and only if all elements are.
    fn square_sum(x: &[f32]) -> f64 = square_sum_body
}

#[inline(always)]
fn scale_body(x: &mut [f32], factor: f32) {
    for v in x {
        *v *= factor;
    }
}

per_isa! {
    fn scale(x: &mut [f32], factor: f32) = scale_body
}

#[inline(always)]
fn clamp_body(x: &mut [f32], bound: f32) {
    for v in x {
        let low = if *v < -bound { -bound } else { *v };
        *v = if low > bound { bound } else { low };
    }
}

per_isa! {
    fn clamp(x: &mut [f32], bound: f32) = clamp_body
}

fn or_all<'a>(ranges: &'a [Range<usize>], all: &'a Range<usize>) -> &'a [Range<usize>] {
    if ranges.is_empty() { std::slice::from_ref(all) } else { ranges }
}

/// Checks and clips the gradients; the largest norm of a partition before clipping.
pub(crate) fn clip_and_norm(isa: Isa, call: &mut OptimStep<'_>) -> Result<f32, Error> {
    let all = 0..call.params.len();
    let partitions = or_all(call.partitions, &all);
    let tensors = or_all(call.tensors, &all);
    let mut largest = 0.0_f64;
    let mut finite = true;
    for range in partitions {
        let square = square_sum(isa, &call.grads[range.clone()]);
        finite &= square.is_finite();
        largest = largest.max(square);
    }
    if !finite {
        return Err(name_non_finite(call.grads, tensors));
    }
    if let Some(bound) = call.clip.value {
        clamp(isa, call.grads, bound);
    }
    if let Some(bound) = call.clip.tensor_norm {
        for range in tensors {
            clip_norm(isa, &mut call.grads[range.clone()], bound, call.clip.eps);
        }
    }
    if let Some(bound) = call.clip.global_norm {
        for range in partitions {
            clip_norm(isa, &mut call.grads[range.clone()], bound, call.clip.eps);
        }
    }
    Ok(largest.sqrt() as f32)
}

fn clip_norm(isa: Isa, grads: &mut [f32], bound: f32, eps: f32) {
    let norm = square_sum(isa, grads).sqrt();
    let factor = f64::from(bound) / (norm + f64::from(eps));
    if factor < 1.0 {
        scale(isa, grads, factor as f32);
    }
}

pub(crate) fn name_non_finite(grads: &[f32], tensors: &[Range<usize>]) -> Error {
    for (tensor, range) in tensors.iter().enumerate() {
        if let Some(&value) = grads[range.clone()].iter().find(|v| !v.is_finite()) {
            return Error::NonFiniteGradient { tensor, value };
        }
    }
    // In a partition, but in no tensor of the list.
    let value = grads.iter().copied().find(|v| !v.is_finite()).unwrap_or(f32::NAN);
    Error::NonFiniteGradient { tensor: tensors.len(), value }
}

/// Scalars of an Adam step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamScalars {
    pub(crate) one_minus_beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) one_minus_beta2: f32,
    pub(crate) eps: f32,
    /// Added to the gradient for each parameter.
    pub(crate) decay: f32,
    /// Factor of the parameters.
    pub(crate) keep: f32,
    /// `-lr / (1 - beta1^t)`.
    pub(crate) minus_step: f32,
    /// `sqrt(1 - beta2^t)`.
    pub(crate) root_correction: f32,
}

impl AdamScalars {
    /// Those of step number `step`; `None` for another rule.
    pub(crate) fn new(rule: Rule, lr: f32, step: u64) -> Option<Self> {
        let Rule::Adam { beta1, beta2, eps, weight_decay, decoupled } = rule else { return None };
        let lr = f64::from(lr);
        let keep = if decoupled { 1.0 - lr * f64::from(weight_decay) } else { 1.0 };
        Some(Self {
            one_minus_beta1: 1.0 - beta1,
            beta2,
            one_minus_beta2: 1.0 - beta2,
            eps,
            decay: if decoupled { 0.0 } else { weight_decay },
            keep: keep as f32,
            minus_step: (-lr / (1.0 - whole_power(beta1.into(), step))) as f32,
            root_correction: (1.0 - whole_power(beta2.into(), step)).sqrt() as f32,
        })
    }
}

#[inline(always)]
fn adam_body(s: AdamScalars, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = s.decay.mul_add(*p, g);
        *m = (g - *m).mul_add(s.one_minus_beta1, *m);
        *v = (s.one_minus_beta2 * g).mul_add(g, s.beta2 * *v);
        let root = v.sqrt() / s.root_correction + s.eps;
        *p = s.minus_step.mul_add(*m / root, *p * s.keep);
    }
}

per_isa! {
    fn adam(s: AdamScalars, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) = adam_body
}

/// Scalars of an RMSprop step.
#[derive(Clone, Copy)]
struct RmsScalars {
    alpha: f32,
    one_minus_alpha: f32,
    eps: f32,
    momentum: f32,
    decay: f32,
    lr: f32,
}

/// Where the pieces of RMSprop are optional, an empty slice stands for "not used".
#[inline(always)]
fn rms_body(s: RmsScalars, p: &mut [f32], g: &[f32], moments: [&mut [f32]; 3]) {
    let [square, buffer, mean] = moments;
    for i in 0..p.len() {
        let g = s.decay.mul_add(p[i], g[i]);
        square[i] = (s.one_minus_alpha * g).mul_add(g, s.alpha * square[i]);
        let mut under = square[i];
        if !mean.is_empty() {
            mean[i] = (g - mean[i]).mul_add(s.one_minus_alpha, mean[i]);
            under = mean[i].mul_add(-mean[i], under);
            // Rounding can take it a hair below zero.
            under = if under < 0.0 { 0.0 } else { under };
        }
        let mut delta = g / (under.sqrt() + s.eps);
        if !buffer.is_empty() {
            buffer[i] = s.momentum.mul_add(buffer[i], delta);
            delta = buffer[i];
        }
        p[i] = delta.mul_add(-s.lr, p[i]);
    }
}

per_isa! {
    fn rms(s: RmsScalars, p: &mut [f32], g: &[f32], moments: [&mut [f32]; 3]) = rms_body
}

#[inline(always)]
fn sgd_body(
    lr: f32,
    momentum: f32,
    nesterov: bool,
    decay: f32,
    p: &mut [f32],
    g: &[f32],
    buffer: &mut [f32],
) {
    for i in 0..p.len() {
        let mut g = decay.mul_add(p[i], g[i]);
        if !buffer.is_empty() {
            buffer[i] = momentum.mul_add(buffer[i], g);
            g = if nesterov { momentum.mul_add(buffer[i], g) } else { buffer[i] };
        }
        p[i] = g.mul_add(-lr, p[i]);
    }
}

per_isa! {
    fn sgd(
        lr: f32, momentum: f32, nesterov: bool, decay: f32, p: &mut [f32], g: &[f32], buffer: &mut [f32],
    ) = sgd_body
}

/// Moves the parameters by clipped gradients.
pub(crate) fn step(isa: Isa, call: &mut OptimStep<'_>) {
    let n = call.params.len();
    let uses = call.rule.uses();
    let mut used = 0;
    let [a, b, c] = call.moments.each_mut().map(|m| {
        let len = if uses[used] { n } else { 0 };
        used += 1;
        &mut m[..len]
    });
    let (p, g) = (&mut *call.params, &*call.grads);
    if let Some(scalars) = AdamScalars::new(call.rule, call.lr, call.step) {
        return adam(isa, scalars, p, g, a, b);
    }
    match call.rule {
        Rule::Adam { .. } => {}
        Rule::RmsProp { alpha, eps, momentum, weight_decay, .. } => {
            let scalars = RmsScalars {
                alpha,
                one_minus_alpha: 1.0 - alpha,
                eps,
                momentum,
                decay: weight_decay,
                lr: call.lr,
            };
            rms(isa, scalars, p, g, [a, b, c]);
        }
        Rule::Sgd { momentum, nesterov, weight_decay } => {
            sgd(isa, call.lr, momentum, nesterov, weight_decay, p, g, a);
        }
    }
}
