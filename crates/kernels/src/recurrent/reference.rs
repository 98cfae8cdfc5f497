//! Cells in plain `f64`, one sequence at a time: forward, and backward by the chain rule, gate by gate.

use super::{CellKind, CellShape};

/// One step on the way forward.
#[derive(Debug, Clone)]
pub struct Step {
    /// `h` that the step read.
    pub h_in: Vec<f64>,
    /// `c` that the step read (LSTM).
    pub c_in: Vec<f64>,
    /// Gates after their nonlinearity `[G H]`: `r z n` or `i f g o`.
    pub gates: Vec<f64>,
    /// Hidden side of the gates `[G H]`.
    pub hidden_side: Vec<f64>,
    /// `h` after the step.
    pub h: Vec<f64>,
    /// `c` after the step (LSTM).
    pub c: Vec<f64>,
}

/// Gradients of a sequence.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// Of the parameters `[P]`.
    pub params: Vec<f64>,
    /// Of the input side `[T, G H]`.
    pub input_side: Vec<f64>,
    /// Of the first memory `[M]`.
    pub memory: Vec<f64>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// All steps of one sequence: `input_side` `[T, G H]`, `is_first` `[T]`, `memory` `[M]`.
pub fn forward(
    shape: CellShape,
    params: &[f64],
    input_side: &[f64],
    is_first: &[bool],
    memory: &[f64],
) -> Vec<Step> {
    let (h, width) = (shape.width, shape.gate_width());
    let (mut h_now, mut c_now) = (memory[..h].to_vec(), memory[h..].to_vec());
    let mut steps = Vec::new();
    for (x, &first) in input_side.chunks_exact(width).zip(is_first) {
        if first {
            h_now.fill(0.0);
            c_now.fill(0.0);
        }
        let bias = &params[h * width..];
        let y: Vec<f64> = (0..width)
            .map(|j| bias[j] + (0..h).map(|k| h_now[k] * params[k * width + j]).sum::<f64>())
            .collect();
        let mut gates = vec![0.0; width];
        let (h_in, c_in) = (h_now.clone(), c_now.clone());
        for u in 0..h {
            let at = |gate: usize| gate * h + u;
            let sum = |gate: usize| x[at(gate)] + y[at(gate)];
            match shape.kind {
                CellKind::Gru => {
                    let (r, z) = (sigmoid(sum(0)), sigmoid(sum(1)));
                    let n = (x[at(2)] + r * y[at(2)]).tanh();
                    (gates[at(0)], gates[at(1)], gates[at(2)]) = (r, z, n);
                    h_now[u] = (1.0 - z) * n + z * h_in[u];
                }
                CellKind::Lstm => {
                    let (i, f, g, o) = (sigmoid(sum(0)), sigmoid(sum(1)), sum(2).tanh(), sigmoid(sum(3)));
                    (gates[at(0)], gates[at(1)], gates[at(2)], gates[at(3)]) = (i, f, g, o);
                    c_now[u] = f * c_in[u] + i * g;
                    h_now[u] = o * c_now[u].tanh();
                }
            }
        }
        steps.push(Step { h_in, c_in, gates, hidden_side: y, h: h_now.clone(), c: c_now.clone() });
    }
    steps
}

/// Backward through `steps`, given the gradient `[T, H]` of every `h`.
pub fn backward(
    shape: CellShape,
    params: &[f64],
    steps: &[Step],
    is_first: &[bool],
    d_hidden: &[f64],
) -> Gradients {
    let (h, width) = (shape.width, shape.gate_width());
    let mut out = Gradients {
        params: vec![0.0; params.len()],
        input_side: vec![0.0; steps.len() * width],
        memory: vec![0.0; shape.memory_width()],
    };
    let (mut d_h, mut d_c) = (vec![0.0; h], vec![0.0; h]);
    for (t, step) in steps.iter().enumerate().rev() {
        d_h.iter_mut().zip(&d_hidden[t * h..]).for_each(|(d, more)| *d += more);
        let d_x = &mut out.input_side[t * width..(t + 1) * width];
        let mut d_y = vec![0.0; width];
        let mut d_h_in = vec![0.0; h];
        for u in 0..h {
            let at = |gate: usize| gate * h + u;
            let gate = |index: usize| step.gates[at(index)];
            match shape.kind {
                CellKind::Gru => {
                    let (r, z, n) = (gate(0), gate(1), gate(2));
                    d_x[at(2)] = d_h[u] * (1.0 - z) * (1.0 - n * n);
                    d_x[at(1)] = d_h[u] * (step.h_in[u] - n) * z * (1.0 - z);
                    d_x[at(0)] = d_x[at(2)] * step.hidden_side[at(2)] * r * (1.0 - r);
                    (d_y[at(0)], d_y[at(1)], d_y[at(2)]) = (d_x[at(0)], d_x[at(1)], d_x[at(2)] * r);
                    d_h_in[u] = d_h[u] * z;
                }
                CellKind::Lstm => {
                    let (i, f, g, o) = (gate(0), gate(1), gate(2), gate(3));
                    let tanh_c = step.c[u].tanh();
                    let d_cell = d_c[u] + d_h[u] * o * (1.0 - tanh_c * tanh_c);
                    d_x[at(0)] = d_cell * g * i * (1.0 - i);
                    d_x[at(1)] = d_cell * step.c_in[u] * f * (1.0 - f);
                    d_x[at(2)] = d_cell * i * (1.0 - g * g);
                    d_x[at(3)] = d_h[u] * tanh_c * o * (1.0 - o);
                    (0..4).for_each(|gate| d_y[at(gate)] = d_x[at(gate)]);
                    d_c[u] = d_cell * f;
                }
            }
        }
        for (j, &d) in d_y.iter().enumerate() {
            out.params[h * width + j] += d;
            for k in 0..h {
                out.params[k * width + j] += step.h_in[k] * d;
                d_h_in[k] += params[k * width + j] * d;
            }
        }
        d_h = d_h_in;
        if is_first[t] {
            d_h.fill(0.0);
            d_c.fill(0.0);
        }
    }
    out.memory[..h].copy_from_slice(&d_h);
    let m = out.memory.len();
    out.memory[h..].copy_from_slice(&d_c[..m - h]);
    out
}
