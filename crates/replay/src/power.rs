//! x^y with the same bits on every machine: only +, -, *, / on f64 in a fixed order and bit operations, free of
//! branches, so that the compiler vectorizes loops over it. The platform's `powf` differs between systems.

/// Adding and subtracting this rounds to an integer and leaves that integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// x^y for normal positive `x`, relative error below 2e-10; results are kept within 2^-64 and 2^64.
#[inline(always)]
pub(crate) fn power(x: f64, y: f64) -> f64 {
    exp2((y * log2(x)).clamp(-64.0, 64.0))
}

/// log2 of a normal positive number by the series of atanh.
#[inline(always)]
fn log2(x: f64) -> f64 {
    // Mantissa m in [sqrt(1/2), sqrt(2)), x = m 2^e.
    let shifted = x.to_bits().wrapping_add(0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd);
    // The biased exponent as a float: its bits in the mantissa of 2^52.
    let e = f64::from_bits((shifted >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd));
    let s = (m - 1.0) / (m + 1.0);
    // |s| <= 0.1716: the first term left out is below 1e-11 of the sum.
    let z = s * s;
    let p = 1.0 / 11.0;
    let p = p * z + 1.0 / 9.0;
    let p = p * z + 1.0 / 7.0;
    let p = p * z + 1.0 / 5.0;
    let p = p * z + 1.0 / 3.0;
    let p = p * z + 1.0;
    e + (2.0 * std::f64::consts::LOG2_E) * (s * p)
}

/// 2^y for |y| <= 64 by Taylor's series around the nearest integer.
#[inline(always)]
fn exp2(y: f64) -> f64 {
    let rounded = y + ROUND;
    let r = (y - (rounded - ROUND)) * std::f64::consts::LN_2;
    // |r| <= 0.347: the first term left out is below 3e-10.
    let p = 1.0 / 40_320.0;
    let p = p * r + 1.0 / 5_040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    p * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::power;

    #[test]
    fn matches_the_platform() {
        for i in 0..20_000 {
            let x = 10_f64.powf(-6.0 + 12.0 * f64::from(i) / 20_000.0);
            for y in [0.0, 0.1, 0.4, 0.5, 0.6, 0.73, 1.0, 2.0, -0.6] {
                let (ours, theirs) = (power(x, y), x.powf(y));
                assert!((ours / theirs - 1.0).abs() < 4e-10, "{x}^{y}: {ours} and {theirs}");
            }
        }
        assert_eq!(power(1.0, 0.7), 1.0);
        assert_eq!(power(f64::MIN_POSITIVE, 0.0), 1.0);
        assert_eq!(power(f64::MIN_POSITIVE, 1.0), 2_f64.powi(-64));
        assert_eq!(power(3e38, 1.0), 2_f64.powi(64));
    }
}
