//! Forward and backward of a multilayer perceptron in plain `f64`, one row at a time.

use crate::{Activation, LAYER_NORM_EPS, MlpShape};

/// Everything computed on the way forward of one row.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Inputs of each layer; the first is the row itself.
    pub inputs: Vec<Vec<f64>>,
    /// Normalized sums and `1 / std` of each hidden layer (empty without layer norm).
    pub norms: Vec<(Vec<f64>, f64)>,
    /// Output of the last layer.
    pub output: Vec<f64>,
}

/// One row forward.
pub fn forward(shape: &MlpShape, params: &[f64], row: &[f64]) -> Trace {
    let mut trace = Trace { inputs: vec![row.to_vec()], norms: Vec::new(), output: Vec::new() };
    for l in shape.layers() {
        let x = trace.inputs[l.index].clone();
        let weight = &params[l.weight..l.bias];
        let mut z = super::super::dense::reference::dense_f64(1, l.k, l.n, &x, weight, &params[l.bias..]);
        if !l.hidden {
            trace.output = z;
            break;
        }
        if let Some((gain, shift)) = l.norm {
            let n = l.n as f64;
            let mean = z.iter().sum::<f64>() / n;
            let var = z.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            let inv = 1.0 / (var + f64::from(LAYER_NORM_EPS)).sqrt();
            let xhat: Vec<f64> = z.iter().map(|v| (v - mean) * inv).collect();
            z = (0..l.n).map(|j| xhat[j] * params[gain + j] + params[shift + j]).collect();
            trace.norms.push((xhat, inv));
        }
        trace.inputs.push(match shape.activation {
            Activation::Relu => z.iter().map(|v| v.max(0.0)).collect(),
            Activation::Tanh => z.iter().map(|v| v.tanh()).collect(),
        });
    }
    trace
}

/// One row backward: adds to `grads` `[P]`, returns the gradient of the input.
pub fn backward(
    shape: &MlpShape,
    params: &[f64],
    trace: &Trace,
    d_output: &[f64],
    grads: &mut [f64],
) -> Vec<f64> {
    let mut d = d_output.to_vec();
    for index in (0..shape.n_layers()).rev() {
        let l = shape.layer(index);
        let x = &trace.inputs[index];
        if l.hidden {
            let h = &trace.inputs[index + 1];
            for (d, &h) in d.iter_mut().zip(h) {
                *d *= match shape.activation {
                    Activation::Relu => f64::from(u8::from(h > 0.0)),
                    Activation::Tanh => 1.0 - h * h,
                };
            }
            if let Some((gain, shift)) = l.norm {
                d = norm_backward(&d, &trace.norms[index], params, (gain, shift), grads);
            }
        }
        let mut below = vec![0.0; l.k];
        for (j, &d) in d.iter().enumerate() {
            grads[l.bias + j] += d;
            for k in 0..l.k {
                grads[l.weight + k * l.n + j] += x[k] * d;
                below[k] += params[l.weight + k * l.n + j] * d;
            }
        }
        d = below;
    }
    d
}

fn norm_backward(
    d: &[f64],
    norm: &(Vec<f64>, f64),
    params: &[f64],
    (gain, shift): (usize, usize),
    grads: &mut [f64],
) -> Vec<f64> {
    let (xhat, inv) = norm;
    let n = d.len() as f64;
    let mut scaled = vec![0.0; d.len()];
    for j in 0..d.len() {
        grads[gain + j] += d[j] * xhat[j];
        grads[shift + j] += d[j];
        scaled[j] = d[j] * params[gain + j];
    }
    let mean = scaled.iter().sum::<f64>() / n;
    let slope = scaled.iter().zip(xhat).map(|(a, b)| a * b).sum::<f64>() / n;
    (0..d.len()).map(|j| inv * (scaled[j] - mean - xhat[j] * slope)).collect()
}
