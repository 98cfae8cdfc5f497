//! Every instruction set against the contract's chain, bit for bit.

use super::*;
use crate::Isa;
use coact_core::{Purpose, Stream};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

fn chain_of(p: &Product<'_>, i: usize, j: usize, before: f32, h: Option<f32>) -> f32 {
    let start = match p.start {
        Start::Zero => 0.0,
        Start::Bias(b) => b[j],
        Start::Here => before,
    };
    let terms = (0..p.k).map(|k| (p.a[i * p.a_row + k * p.a_col], p.b[k * p.b_row + j]));
    let sum = reference::chain(start, terms);
    match (p.finish, h) {
        (Finish::Relu, _) => sum.max(0.0),
        (Finish::Where(_), Some(h)) if h <= 0.0 => 0.0,
        _ => sum,
    }
}

fn assert_all_sets_agree(m: usize, n: usize, k: usize, transposed: bool) {
    let pad = n + 3;
    let a = noise(1, m * k);
    let b = noise(2, k * pad);
    let bias = noise(3, n);
    let h = noise(4, m * pad);
    let before = noise(5, m * pad);
    let (a_row, a_col) = if transposed { (1, m) } else { (k, 1) };
    for start in [Start::Zero, Start::Bias(&bias), Start::Here] {
        for finish in [Finish::Plain, Finish::Relu, Finish::Where(&h)] {
            let p = Product { m, n, k, a: &a, a_row, a_col, b: &b, b_row: pad, start, finish };
            for isa in Isa::available() {
                let mut c = before.clone();
                product(isa, &p, &mut c, pad);
                for i in 0..m {
                    for j in 0..n {
                        let at = i * pad + j;
                        let want = chain_of(&p, i, j, before[at], Some(h[at]));
                        assert_eq!(c[at].to_bits(), want.to_bits(), "{isa:?} {m}x{n}x{k} at {i},{j}");
                    }
                    let past = i * pad + n..(i + 1) * pad;
                    assert_eq!(c[past.clone()], before[past], "{isa:?} wrote past row {i}");
                }
            }
        }
    }
}

#[test]
fn chains_are_bit_equal_on_odd_shapes() {
    for m in [0, 1, 2, 3, 5, 6, 7, 11, 13, 17, 25] {
        for n in [1, 2, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100] {
            for k in [0, 1, 5, 18] {
                assert_all_sets_agree(m, n, k, (m + n + k) % 2 == 0);
            }
        }
    }
}

#[test]
fn chains_are_bit_equal_on_wide_shapes() {
    for (m, n, k) in [(37, 130, 71), (64, 64, 96), (13, 257, 131), (24, 5, 256)] {
        assert_all_sets_agree(m, n, k, false);
        assert_all_sets_agree(m, n, k, true);
    }
}

#[test]
fn a_nan_passes_through_relu_and_the_f64_reference_is_close() {
    let (m, k, n) = (3, 4, 2);
    let (a, w, bias) = (noise(1, m * k), noise(2, k * n), noise(3, n));
    let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let exact = reference::dense_f64(m, k, n, &wide(&a), &wide(&w), &wide(&bias));
    let mut backend = crate::Backend::cpu(crate::CpuOptions::default()).unwrap();
    let mut out = vec![0.0; m * n];
    let mut run = |input: &[f32], output: &mut [f32], activation| {
        let (weight, bias) = (&w[..], &bias[..]);
        backend.dense_forward(DenseForward {
            rows: m,
            inputs: k,
            outputs: n,
            input,
            weight,
            bias,
            activation,
            output,
        })
    };
    run(&a, &mut out, None).unwrap();
    for (o, e) in out.iter().zip(&exact) {
        assert!((f64::from(*o) - e).abs() < 1e-6);
    }
    let mut bad = a.clone();
    bad[0] = f32::NAN;
    run(&bad, &mut out, Some(Activation::Relu)).unwrap();
    assert!(out[0].is_nan() && out[2].is_finite());
    assert!(run(&a[1..], &mut out, None).is_err());
}
