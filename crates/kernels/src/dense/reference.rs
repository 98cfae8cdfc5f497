//! The product in plain `f64`, and the contract's chain in plain `f32`.

/// `out[i, j] = bias[j] + sum over k of a[i, k] * w[k, j]` in `f64`, for `a` `[m, k]`, `w` `[k, n]`.
pub fn dense_f64(m: usize, k: usize, n: usize, a: &[f64], w: &[f64], bias: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            out[i * n + j] = bias[j] + (0..k).map(|l| a[i * k + l] * w[l * n + j]).sum::<f64>();
        }
    }
    out
}

/// One output as the contract defines it: a chain of fused multiply-adds over `(a, b)` in order, from `start`.
pub fn chain(start: f32, terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    terms.fold(start, |sum, (a, b)| a.mul_add(b, sum))
}
