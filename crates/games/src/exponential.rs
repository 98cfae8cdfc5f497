//! Exponentials and logarithms of `f64` by fixed sums, the same bits on every machine.

use coact_core::math::ln_f64;
pub(crate) use coact_core::math::{exp_f64 as exp, pow_f64 as pow};

/// `e^x - 1`, accurate near zero.
pub(crate) fn exp_m1(x: f64) -> f64 {
    if x.abs() < 0.35 {
        return x * (2..=16).rev().fold(1.0, |sum, n| 1.0 + sum * x / f64::from(n));
    }
    exp(x) - 1.0
}

/// `ln(1 + x)`, accurate near zero.
pub(crate) fn ln_1p(x: f64) -> f64 {
    let u = 1.0 + x;
    if u == 1.0 { x } else { ln_f64(u) * (x / (u - 1.0)) }
}

/// `ln(e^a + e^b)`; either may be minus infinity.
pub(crate) fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    // Beyond 40 the smaller one is below half of the last digit.
    if low == f64::NEG_INFINITY || high - low > 40.0 { high } else { high + ln_1p(exp(low - high)) }
}

/// Natural logarithm; minus infinity at zero.
pub(crate) fn ln(x: f64) -> f64 {
    if x == 0.0 { f64::NEG_INFINITY } else { ln_f64(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_library_to_the_last_digits() {
        let close = |a: f64, b: f64| a == b || ((a - b) / b).abs() < 2e-15;
        for k in -2000..2000 {
            let x = f64::from(k) * 0.355_7;
            assert!(close(exp(x), x.exp()) || x < -700.0, "exp {x}: {} {}", exp(x), x.exp());
            let small = f64::from(k) * 1.7e-4;
            assert!(close(exp_m1(small), small.exp_m1()), "exp_m1 {small}");
            assert!(close(ln_1p(small), small.ln_1p()), "ln_1p {small}");
        }
        assert_eq!((exp(-800.0), exp(800.0), exp(0.0)), (0.0, f64::INFINITY, 1.0));
        assert!((exp(709.5) / 709.5f64.exp() - 1.0).abs() < 1e-14 && exp(-740.0) > 0.0);
        assert_eq!(log_add(f64::NEG_INFINITY, -3.0), -3.0);
        assert!((log_add(1000.0, 1000.0) - 1000.0 - 2f64.ln()).abs() < 1e-12);
    }
}
