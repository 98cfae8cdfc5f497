//! Initial parameters, drawn from this workspace's own streams, so that a seed names the same network on every
//! machine.

use coact_core::rng::{Purpose, Stream};
use coact_kernels::{Activation, MlpShape, TensorKind};
use serde::{Deserialize, Serialize};

/// How weights start. Norm gains start at 1, norm shifts at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Orthogonal matrices (Saxe et al. 2014), gain sqrt(2) before ReLU, 5/3 before tanh, 1 at the output;
    /// zero biases.
    Orthogonal,
    /// Uniform within sqrt(6 / fan_in) (He et al. 2015) for hidden layers and sqrt(3 / fan_in) at the output;
    /// zero biases.
    Kaiming,
    /// What `torch.nn.Linear` does: weights and biases uniform within 1 / sqrt(fan_in).
    Torch,
}

/// Fills the parameters of one network. `index` names the network, so that no two start equal.
pub fn initialize(shape: &MlpShape, init: Init, seed: u64, index: u32, params: &mut [f32]) {
    initialize_part(shape, init, seed, index, 0, params);
}

/// [`initialize`] of a part of a larger network, whose tensors are number `first` and on.
pub(crate) fn initialize_part(
    shape: &MlpShape,
    init: Init,
    seed: u64,
    index: u32,
    first: u64,
    params: &mut [f32],
) {
    assert_eq!(params.len(), shape.param_count(), "parameters of one network");
    let last = shape.hidden.len();
    for (t, tensor) in shape.tensors().iter().enumerate() {
        let out = &mut params[tensor.offset..tensor.offset + tensor.rows * tensor.cols];
        let mut stream = Stream::new(seed, Purpose::Init, index, first + t as u64);
        let fan_in = if tensor.layer == 0 { shape.input } else { shape.hidden[tensor.layer - 1] };
        match (tensor.kind, init) {
            (TensorKind::NormGain, _) => out.fill(1.0),
            (TensorKind::NormShift, _) => out.fill(0.0),
            (TensorKind::Bias, Init::Torch) | (TensorKind::Weight, Init::Torch) => {
                uniform(out, 1.0 / (fan_in as f64).sqrt(), &mut stream);
            }
            (TensorKind::Bias, _) => out.fill(0.0),
            (TensorKind::Weight, Init::Kaiming) => {
                let numerator = if tensor.layer == last { 3.0 } else { 6.0 };
                uniform(out, (numerator / fan_in as f64).sqrt(), &mut stream);
            }
            (TensorKind::Weight, Init::Orthogonal) => {
                let gain = if tensor.layer == last { 1.0 } else { gain_before(shape.activation) };
                orthogonal(out, tensor.rows, tensor.cols, gain, &mut stream);
            }
        }
    }
}

/// Fills one side of the gates of a recurrent cell of `width` units: `weight` `[K, G H]` and `bias` `[G H]`, from tensors
/// number `first` and `first + 1`. [`Init::Torch`] is what `torch.nn.GRUCell` does, uniform within 1 / sqrt(H); the others
/// fill each gate as an output layer.
pub(crate) fn initialize_gates(
    init: Init,
    width: usize,
    stream: impl Fn(u64) -> Stream,
    first: u64,
    weight: &mut [f32],
    bias: &mut [f32],
) {
    let (gate_width, fan_in) = (bias.len(), weight.len() / bias.len());
    let (mut of_weight, mut of_bias) = (stream(first), stream(first + 1));
    match init {
        Init::Torch => {
            let bound = 1.0 / (width as f64).sqrt();
            uniform(weight, bound, &mut of_weight);
            uniform(bias, bound, &mut of_bias);
        }
        Init::Kaiming => {
            uniform(weight, (3.0 / fan_in as f64).sqrt(), &mut of_weight);
            bias.fill(0.0);
        }
        Init::Orthogonal => {
            let mut gate = vec![0.0; fan_in * width];
            for start in (0..gate_width).step_by(width) {
                orthogonal(&mut gate, fan_in, width, 1.0, &mut of_weight);
                for (row, gate) in weight.chunks_exact_mut(gate_width).zip(gate.chunks_exact(width)) {
                    row[start..start + width].copy_from_slice(gate);
                }
            }
            bias.fill(0.0);
        }
    }
}

/// Fills a convolution, weight `[F, C KY KX]` and bias `[F]`, as a hidden layer; tensors number `first` and `first + 1`.
pub(crate) fn initialize_convolution(
    init: Init,
    activation: Activation,
    stream: impl Fn(u64) -> Stream,
    first: u64,
    weight: &mut [f32],
    bias: &mut [f32],
) {
    let (filters, fan_in) = (bias.len(), weight.len() / bias.len());
    let (mut of_weight, mut of_bias) = (stream(first), stream(first + 1));
    bias.fill(0.0);
    match init {
        Init::Torch => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            uniform(weight, bound, &mut of_weight);
            uniform(bias, bound, &mut of_bias);
        }
        Init::Kaiming => uniform(weight, (6.0 / fan_in as f64).sqrt(), &mut of_weight),
        Init::Orthogonal => orthogonal(weight, filters, fan_in, gain_before(activation), &mut of_weight),
    }
}

/// Gain of orthogonal weights before a nonlinearity.
fn gain_before(activation: Activation) -> f64 {
    match activation {
        Activation::Relu => std::f64::consts::SQRT_2,
        Activation::Tanh => 5.0 / 3.0,
    }
}

fn uniform(out: &mut [f32], bound: f64, stream: &mut Stream) {
    out.iter_mut().for_each(|w| *w = ((2.0 * stream.uniform_f64() - 1.0) * bound) as f32);
}

/// A `[rows, cols]` matrix whose shorter side is orthonormal up to `gain`: modified Gram-Schmidt, twice, of a
/// Gaussian matrix, in f64.
fn orthogonal(out: &mut [f32], rows: usize, cols: usize, gain: f64, stream: &mut Stream) {
    let (n, width) = (rows.min(cols), rows.max(cols));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(n);
    while basis.len() < n {
        let mut v: Vec<f64> = (0..width).map(|_| stream.normal()).collect();
        for _ in 0..2 {
            for b in &basis {
                let dot: f64 = v.iter().zip(b).map(|(x, y)| x * y).sum();
                v.iter_mut().zip(b).for_each(|(x, y)| *x -= dot * y);
            }
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A dependent draw has probability zero; draw again rather than divide by nothing.
        if norm > 1e-9 {
            v.iter_mut().for_each(|x| *x /= norm);
            basis.push(v);
        }
    }
    for r in 0..rows {
        for c in 0..cols {
            let value = if rows <= cols { basis[r][c] } else { basis[c][r] };
            out[r * cols + c] = (gain * value) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> MlpShape {
        MlpShape { input: 7, hidden: vec![32, 16], output: 5, activation: Activation::Relu, layer_norm: true }
    }

    fn params(init: Init, seed: u64, index: u32) -> Vec<f32> {
        let mut params = vec![0.0; shape().param_count()];
        initialize(&shape(), init, seed, index, &mut params);
        params
    }

    #[test]
    fn orthogonal_weights_have_orthogonal_short_sides() {
        let params = params(Init::Orthogonal, 3, 0);
        let tensors = shape().tensors();
        for t in tensors.iter().filter(|t| t.kind == TensorKind::Weight) {
            let w = &params[t.offset..t.offset + t.rows * t.cols];
            let at =
                |i: usize, k: usize| if t.rows <= t.cols { w[i * t.cols + k] } else { w[k * t.cols + i] };
            let gain2 = if t.layer == 2 { 1.0 } else { 2.0 };
            for i in 0..t.rows.min(t.cols) {
                for j in 0..=i {
                    let dot: f64 =
                        (0..t.rows.max(t.cols)).map(|k| f64::from(at(i, k)) * f64::from(at(j, k))).sum();
                    let expected = if i == j { gain2 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-6, "layer {} rows {i}, {j}: {dot}", t.layer);
                }
            }
        }
    }

    #[test]
    fn seeds_and_networks_differ_and_repeat() {
        for init in [Init::Orthogonal, Init::Kaiming, Init::Torch] {
            assert_eq!(params(init, 1, 0), params(init, 1, 0));
            assert_ne!(params(init, 1, 0), params(init, 2, 0));
            assert_ne!(params(init, 1, 0), params(init, 1, 1));
        }
    }

    #[test]
    fn bounds_and_constants() {
        let tensors = shape().tensors();
        let torch = params(Init::Torch, 1, 0);
        let kaiming = params(Init::Kaiming, 1, 0);
        for t in &tensors {
            let fan_in = [7.0_f32, 32.0, 16.0][t.layer];
            let range = t.offset..t.offset + t.rows * t.cols;
            match t.kind {
                TensorKind::NormGain => assert!(torch[range].iter().all(|&w| w == 1.0)),
                TensorKind::NormShift => assert!(torch[range].iter().all(|&w| w == 0.0)),
                TensorKind::Bias => assert!(kaiming[range].iter().all(|&w| w == 0.0)),
                TensorKind::Weight => {
                    assert!(torch[range.clone()].iter().all(|w| w.abs() <= 1.0 / fan_in.sqrt()));
                    let largest = kaiming[range].iter().fold(0.0_f32, |m, w| m.max(w.abs()));
                    let bound = (if t.layer == 2 { 3.0 } else { 6.0 } / fan_in).sqrt();
                    assert!(largest <= bound && largest > 0.8 * bound);
                }
            }
        }
    }
}
