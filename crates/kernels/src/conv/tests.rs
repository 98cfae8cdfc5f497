//! Convolutions against the `f64` reference, the reference against finite differences, bits against each other.

use super::*;
use crate::{CpuOptions, Isa};
use coact_core::{Purpose, Stream};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Kernels of one place and of the whole grid, wider than high, with strides and paddings that leave rests.
fn shapes() -> Vec<ConvShape> {
    let shape = |channels, (height, width), filters, kernel, stride, padding| ConvShape {
        channels,
        height,
        width,
        filters,
        kernel,
        stride,
        padding,
    };
    vec![
        shape(2, (4, 4), 2, [3, 3], 1, 1),
        shape(3, (5, 7), 4, [3, 2], 2, 1),
        shape(1, (6, 5), 9, [1, 1], 1, 0),
        shape(2, (3, 4), 5, [3, 4], 1, 0),
        shape(2, (7, 6), 3, [2, 3], 3, 2),
        shape(1, (1, 1), 1, [3, 3], 2, 1),
        shape(2, (9, 9), 6, [5, 3], 1, 2),
    ]
}

struct Outcome {
    output: Vec<f32>,
    grads: Vec<f32>,
    d_input: Vec<f32>,
}

fn run(backend: &mut Backend, shape: ConvShape, rows: usize, activation: Option<Activation>) -> Outcome {
    let (params, input) = (noise(1, shape.param_count()), noise(2, rows * shape.input()));
    let d_output = noise(3, rows * shape.output());
    let mut cache = ConvCache::new();
    let mut out = Outcome {
        output: vec![9.0; d_output.len()],
        grads: vec![9.0; params.len()],
        d_input: vec![9.0; input.len()],
    };
    let Outcome { output, grads, d_input } = &mut out;
    let call = ConvForward { shape, params: &params, rows, input: &input, activation, output };
    backend.conv_forward(&mut cache, call).unwrap();
    let call = ConvBackward {
        shape,
        params: &params,
        rows,
        input: &input,
        activation,
        output,
        d_output: &d_output,
        grads,
        d_input: Some(d_input),
    };
    backend.conv_backward(&mut cache, call).unwrap();
    out
}

#[test]
fn reference_backward_matches_finite_differences() {
    for shape in shapes() {
        let (params, input) = (wide(&noise(1, shape.param_count())), wide(&noise(2, shape.input())));
        let pick = wide(&noise(3, shape.output()));
        let loss = |params: &[f64], input: &[f64]| -> f64 {
            reference::forward(&shape, params, input).iter().zip(&pick).map(|(a, b)| a * b).sum()
        };
        let mut grads = vec![0.0; params.len()];
        let d_input = reference::backward(&shape, &params, &input, &pick, &mut grads);
        check(&params, &grads, |p| loss(p, &input));
        check(&input, &d_input, |x| loss(&params, x));
    }
}

fn check(at: &[f64], gradient: &[f64], f: impl Fn(&[f64]) -> f64) {
    let h = 1e-4;
    for (i, &g) in gradient.iter().enumerate() {
        let (mut up, mut down) = (at.to_vec(), at.to_vec());
        up[i] += h;
        down[i] -= h;
        let numeric = (f(&up) - f(&down)) / (2.0 * h);
        assert!((numeric - g).abs() < 1e-8 * g.abs().max(1.0), "{i}: {numeric} or {g}");
    }
}

#[test]
fn convolutions_match_the_reference_in_several_chunks() {
    for (index, shape) in shapes().into_iter().enumerate() {
        let rows = if index == 0 { 2 * crate::chunks::CHUNK_ROWS + 3 } else { 3 };
        for activation in [None, Some(Activation::Relu), Some(Activation::Tanh)] {
            let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
            compare(shape, rows, activation, &run(&mut backend, shape, rows, activation));
        }
    }
}

fn compare(shape: ConvShape, rows: usize, activation: Option<Activation>, outcome: &Outcome) {
    let (params, input) = (wide(&noise(1, shape.param_count())), wide(&noise(2, rows * shape.input())));
    let d_output = wide(&noise(3, rows * shape.output()));
    let mut grads = vec![0.0; params.len()];
    let close = |what: &str, found: &[f32], exact: &[f64], tolerance: f64| {
        for (i, (&a, b)) in found.iter().zip(exact).enumerate() {
            let gap = (f64::from(a) - b).abs();
            assert!(
                gap < tolerance * b.abs().max(1.0),
                "{shape:?}, {activation:?}: {what} {i} is {a}, not {b}"
            );
        }
    };
    for row in 0..rows {
        let (x, o) = (row * shape.input(), row * shape.output());
        let (x, o) = (x..x + shape.input(), o..o + shape.output());
        let mut exact = reference::forward(&shape, &params, &input[x.clone()]);
        let mut d = d_output[o.clone()].to_vec();
        for (z, d) in exact.iter_mut().zip(&mut d) {
            match activation {
                Some(Activation::Relu) if *z <= 0.0 => (*z, *d) = (0.0, 0.0),
                Some(Activation::Tanh) => {
                    *z = z.tanh();
                    *d *= 1.0 - *z * *z;
                }
                _ => {}
            }
        }
        close("output", &outcome.output[o], &exact, 1e-5);
        let d_input = reference::backward(&shape, &params, &input[x.clone()], &d, &mut grads);
        close("d_input", &outcome.d_input[x], &d_input, 1e-5);
    }
    close("gradient", &outcome.grads, &grads, 1e-4);
}

#[test]
fn threads_and_instruction_sets_are_invisible() {
    for shape in shapes() {
        for rows in [1, 7, 2 * crate::chunks::CHUNK_ROWS] {
            let mut bits = Vec::new();
            for isa in Isa::available() {
                for threads in [1, 2, 3] {
                    let mut backend = Backend::cpu(CpuOptions { threads, isa: Some(isa) }).unwrap();
                    backend.always_split();
                    let Outcome { output, grads, d_input } =
                        run(&mut backend, shape, rows, Some(Activation::Tanh));
                    bits.push((output, grads, d_input));
                }
            }
            assert!(bits.windows(2).all(|pair| pair[0] == pair[1]), "{rows} rows of {shape:?}");
        }
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let good = shapes().remove(0);
    let refused = |shape: ConvShape, part: &str| {
        let error = shape.check().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    assert!(good.check().is_ok());
    refused(ConvShape { stride: 0, ..good }, "is empty");
    refused(ConvShape { kernel: [3, 7], ..good }, "does not fit a grid of [4, 4] with a padding of 1");
    refused(ConvShape { padding: usize::MAX, ..good }, "too large");
    refused(ConvShape { filters: usize::MAX / 2, ..good }, "too large");
    refused(ConvShape { height: 1 << 20, width: 1 << 20, ..good }, "too large");
}
