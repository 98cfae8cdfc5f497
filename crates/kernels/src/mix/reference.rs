//! Mixing in plain `f64`, one row at a time.

use super::MixShape;
use crate::mlp_reference::{self, Trace};

/// Everything computed on the way forward of one row.
#[derive(Debug, Clone)]
pub struct MixTrace {
    /// The hypernetworks: `w1`, `w2`, `b1`, `V`.
    pub parts: [Trace; 4],
    /// After the ELU `[M]`.
    pub hidden: Vec<f64>,
    /// Value of the team.
    pub total: f64,
}

/// Places of the hypernetworks' parameters.
fn ranges(shape: &MixShape) -> [std::ops::Range<usize>; 4] {
    let mut end = 0;
    shape.networks().map(|network| {
        end += network.param_count();
        end - network.param_count()..end
    })
}

/// One row forward.
pub fn forward(shape: &MixShape, params: &[f64], q: &[f64], state: &[f64]) -> MixTrace {
    let (networks, ranges) = (shape.networks(), ranges(shape));
    let part = |i: usize| mlp_reference::forward(&networks[i], &params[ranges[i].clone()], state);
    let parts = [part(0), part(1), part(2), part(3)];
    let [w1, w2, b1, v] = parts.each_ref().map(|trace| &trace.output);
    let m = shape.embed;
    let sum = |j: usize| b1[j] + q.iter().enumerate().map(|(a, q)| q * w1[a * m + j].abs()).sum::<f64>();
    let hidden: Vec<f64> = (0..m).map(sum).map(|x| if x > 0.0 { x } else { x.exp() - 1.0 }).collect();
    let total = hidden.iter().zip(w2).map(|(h, w)| h * w.abs()).sum::<f64>() + v[0];
    MixTrace { parts, hidden, total }
}

/// One row backward: adds to `grads` `[P]`, returns the gradient of `q` `[A]`.
pub fn backward(
    shape: &MixShape,
    params: &[f64],
    q: &[f64],
    trace: &MixTrace,
    d_total: f64,
    grads: &mut [f64],
) -> Vec<f64> {
    let m = shape.embed;
    let [w1, w2, ..] = trace.parts.each_ref().map(|trace| &trace.output);
    let sign = |w: f64| if w == 0.0 { 0.0 } else { w.signum() };
    let d_w2: Vec<f64> = trace.hidden.iter().zip(w2).map(|(h, &w)| d_total * h * sign(w)).collect();
    let slope = |h: f64| if h > 0.0 { 1.0 } else { h + 1.0 };
    let d_b1: Vec<f64> = trace.hidden.iter().zip(w2).map(|(&h, w)| d_total * w.abs() * slope(h)).collect();
    let d_w1: Vec<f64> = w1.iter().enumerate().map(|(i, &w)| d_b1[i % m] * q[i / m] * sign(w)).collect();
    let d_q = (0..shape.n_agents).map(|a| (0..m).map(|j| d_b1[j] * w1[a * m + j].abs()).sum()).collect();
    let d_outputs = [d_w1, d_w2, d_b1, vec![d_total]];
    for (((network, range), trace), d) in
        shape.networks().iter().zip(ranges(shape)).zip(&trace.parts).zip(&d_outputs)
    {
        mlp_reference::backward(network, &params[range.clone()], trace, d, &mut grads[range]);
    }
    d_q
}
