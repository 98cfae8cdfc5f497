//! The exponential function with the same bits on every machine.

/// `1 / n!` for n from 0.
const INVERSE_FACTORIALS: [f64; 15] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
    1.0 / 87_178_291_200.0,
];

/// `e^x` to about two units in the last place.
pub(crate) fn exp(x: f64) -> f64 {
    if x < -745.0 {
        return 0.0;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    let k = (x * std::f64::consts::LOG2_E).round();
    // ln 2 in two parts, so that the remainder is exact.
    let r = (x - k * 6.931_471_803_691_238e-1) - k * 1.908_214_929_270_587_7e-10;
    let sum = INVERSE_FACTORIALS.iter().rev().fold(0.0, |sum, c| sum * r + c);
    // Two factors: one power of two could underflow where the product does not.
    let half = (k / 2.0).floor();
    let power = |k: f64| f64::from_bits(((1023.0 + k) as u64) << 52);
    sum * power(half) * power(k - half)
}

/// Probabilities in proportion to `exp(x / temperature)`, written into `out`.
pub(crate) fn softmax(x: &[f64], temperature: f64, out: &mut [f64]) {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for (o, &x) in out.iter_mut().zip(x) {
        *o = exp((x - largest) / temperature);
        sum += *o;
    }
    out.iter_mut().for_each(|o| *o /= sum);
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_the_platform() {
        for i in -7400..7090 {
            let x = f64::from(i) * 0.1;
            let (found, expected) = (super::exp(x), x.exp());
            assert!((found - expected).abs() <= 4.0 * f64::EPSILON * expected, "exp({x}) = {found}");
        }
        assert_eq!(super::exp(0.0), 1.0);
        assert_eq!(super::exp(f64::NEG_INFINITY), 0.0);
    }
}
