//! Layers forward and backward against the `f64` reference, and the reference against finite differences.

use super::*;
use crate::{Activation, CpuOptions};
use coact_core::{Purpose, Stream};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

fn shapes() -> Vec<MlpShape> {
    let mut out = Vec::new();
    for activation in [Activation::Relu, Activation::Tanh] {
        for layer_norm in [false, true] {
            for hidden in [vec![], vec![7], vec![17, 9]] {
                out.push(MlpShape { input: 5, hidden, output: 3, activation, layer_norm });
            }
        }
    }
    out
}

#[test]
fn reference_backward_matches_finite_differences() {
    for shape in shapes() {
        let params = wide(&noise(1, shape.param_count()));
        let row = wide(&noise(2, shape.input));
        let pick = wide(&noise(3, shape.output));
        let loss = |params: &[f64], row: &[f64]| -> f64 {
            reference::forward(&shape, params, row).output.iter().zip(&pick).map(|(a, b)| a * b).sum()
        };
        let mut grads = vec![0.0; params.len()];
        let d_row = reference::backward(
            &shape,
            &params,
            &reference::forward(&shape, &params, &row),
            &pick,
            &mut grads,
        );
        let h = 1e-6;
        for (i, &g) in grads.iter().enumerate() {
            let (mut up, mut down) = (params.clone(), params.clone());
            up[i] += h;
            down[i] -= h;
            let numeric = (loss(&up, &row) - loss(&down, &row)) / (2.0 * h);
            assert!((numeric - g).abs() < 1e-6 * g.abs().max(1.0), "{shape:?} param {i}: {numeric} or {g}");
        }
        for (i, &g) in d_row.iter().enumerate() {
            let (mut up, mut down) = (row.clone(), row.clone());
            up[i] += h;
            down[i] -= h;
            let numeric = (loss(&params, &up) - loss(&params, &down)) / (2.0 * h);
            assert!((numeric - g).abs() < 1e-6 * g.abs().max(1.0), "{shape:?} input {i}: {numeric} or {g}");
        }
    }
}

#[test]
fn layers_match_the_reference_in_several_chunks() {
    let rows = 2 * CHUNK_ROWS + 3;
    for shape in shapes() {
        let p = shape.param_count();
        let params = noise(1, p);
        let input = noise(2, rows * shape.input);
        let d_out = noise(3, rows * shape.output);
        let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
        let mut cache = MlpCache::new();
        let mut output = vec![0.0; rows * shape.output];
        backend.mlp_forward(&shape, &params, rows, &input, &mut cache, &mut output);
        let (mut grads, mut d_in) = (vec![9.0; p], vec![9.0; input.len()]);
        backend.mlp_backward(&shape, &params, rows, &input, &mut cache, &d_out, &mut grads, Some(&mut d_in));
        let params = wide(&params);
        let mut exact = vec![0.0; p];
        for r in 0..rows {
            let trace = reference::forward(&shape, &params, &wide(&input[r * 5..(r + 1) * 5]));
            for (a, b) in output[r * 3..].iter().zip(&trace.output) {
                assert!((f64::from(*a) - b).abs() < 2e-5, "{shape:?} output of row {r}: {a} or {b}");
            }
            let d = wide(&d_out[r * 3..(r + 1) * 3]);
            let below = reference::backward(&shape, &params, &trace, &d, &mut exact);
            for (a, b) in d_in[r * 5..].iter().zip(&below) {
                assert!(
                    (f64::from(*a) - b).abs() < 1e-4 * b.abs().max(1.0),
                    "{shape:?} input of {r}: {a} or {b}"
                );
            }
        }
        let size = exact.iter().map(|v| v * v).sum::<f64>().sqrt();
        let gap = grads.iter().zip(&exact).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt();
        assert!(gap < 2e-6 * size, "{shape:?}: gradient off by {gap} of {size}");
    }
}

#[test]
fn threads_and_instruction_sets_are_invisible() {
    for rows in [0, 1, 37, CHUNK_ROWS + 3, 2 * CHUNK_ROWS, 9 * CHUNK_ROWS + 100] {
        for (activation, layer_norm) in [(Activation::Relu, false), (Activation::Tanh, true)] {
            let shape = MlpShape { input: 5, hidden: vec![17, 9], output: 3, activation, layer_norm };
            let params = noise(1, shape.param_count());
            let input = noise(2, rows * 5);
            let d_out = noise(3, rows * 3);
            let mut outcomes = Vec::new();
            for isa in crate::Isa::available() {
                for threads in [1, 2, 3] {
                    let mut backend = Backend::cpu(CpuOptions { threads, isa: Some(isa) }).unwrap();
                    backend.always_split();
                    let mut cache = MlpCache::new();
                    let (mut out, mut grads) = (vec![9.0; rows * 3], vec![9.0; params.len()]);
                    let mut d_in = vec![9.0; rows * 5];
                    backend.mlp_forward(&shape, &params, rows, &input, &mut cache, &mut out);
                    let below = Some(&mut d_in[..]);
                    backend
                        .mlp_backward(&shape, &params, rows, &input, &mut cache, &d_out, &mut grads, below);
                    let mut alone = vec![9.0; rows * 5];
                    backend.mlp_backward_input(&shape, &params, rows, &mut cache, &d_out, &mut alone);
                    assert_eq!(alone, d_in, "{rows} rows of {shape:?}: the input's gradient alone");
                    outcomes.push((out, grads, d_in));
                }
            }
            assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{rows} rows of {shape:?}");
        }
    }
}
