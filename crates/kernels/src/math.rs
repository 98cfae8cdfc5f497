//! Elementary functions in f32 with fused multiply-adds: the same bits on every machine. Branch-free, so that
//! loops over them vectorize.
//!
//! `coact_core::math` has unfused forms for code that must not depend on fused multiply-add being fast.

/// e^x within 1.5 units in the last place on [-87, 88]; clamps outside.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    // Adding 1.5 * 2^23 rounds to nearest and leaves the integer in the low bits.
    let magic = 12_582_912.0_f32;
    let t = x.mul_add(std::f32::consts::LOG2_E, magic);
    let k = t - magic;
    let r = k.mul_add(-0.693_359_4, x);
    let r = k.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    let exponent = t.to_bits().wrapping_sub(magic.to_bits()).wrapping_add(127);
    y * f32::from_bits(exponent << 23)
}

/// ln(x) of normal positive `x`, within 1.5e-7 relative (absolute near 1).
#[inline(always)]
pub fn ln_f32(x: f32) -> f32 {
    // Mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = ((shifted as i32) >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let f = m - 1.0;
    let z = f * f;
    let p = 7.037_683_6e-2_f32;
    let p = p.mul_add(f, -1.151_461e-1);
    let p = p.mul_add(f, 1.167_699_9e-1);
    let p = p.mul_add(f, -1.242_014_1e-1);
    let p = p.mul_add(f, 1.424_932_3e-1);
    let p = p.mul_add(f, -1.666_805_8e-1);
    let p = p.mul_add(f, 2.000_071_5e-1);
    let p = p.mul_add(f, -2.499_999_4e-1);
    let p = p.mul_add(f, 3.333_333e-1);
    let y = (f * z).mul_add(p, e * -2.121_944_4e-4);
    let y = z.mul_add(-0.5, y);
    e.mul_add(0.693_359_4, f + y)
}

/// tanh(x) within 2 units in the last place; exactly odd; exactly 1 from about 9 on.
#[inline(always)]
pub fn tanh_f32(x: f32) -> f32 {
    let z = x * x;
    let p = -5.704_988_7e-3_f32;
    let p = p.mul_add(z, 2.063_908_8e-2);
    let p = p.mul_add(z, -5.373_971_5e-2);
    let p = p.mul_add(z, 1.333_144_2e-1);
    let p = p.mul_add(z, -3.333_328e-1);
    let small = (p * z).mul_add(x, x);
    let large = 1.0 - 2.0 / (exp_f32(2.0 * x.abs()) + 1.0);
    let large = f32::from_bits(large.to_bits() | (x.to_bits() & 0x8000_0000));
    if x.abs() < 0.625 { small } else { large }
}

/// 1 / (1 + e^-x) within 3 units in the last place above -87; clamps below.
#[inline(always)]
pub fn sigmoid_f32(x: f32) -> f32 {
    1.0 / (1.0 + exp_f32(-x))
}

/// The derivative of the absolute value: 1, -1, and 0 at 0.
#[inline(always)]
pub fn sign(w: f32) -> f32 {
    if w > 0.0 {
        1.0
    } else if w < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// A sum, rounded after each addition, in eight interleaved chains and a fixed tree, whatever the width of the machine's vectors.
#[inline(always)]
pub fn sum8(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (i, v) in values.enumerate() {
        lanes[i % 8] += v;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulp_gap(a: f32, b: f64) -> f64 {
        let ulp = f64::from(f32::EPSILON) * b.abs().max(f64::from(f32::MIN_POSITIVE));
        (f64::from(a) - b).abs() / ulp
    }

    #[test]
    fn errors_against_f64_stay_inside_their_bounds() {
        let (mut exp_worst, mut ln_worst, mut tanh_worst) = (0.0_f64, 0.0_f64, 0.0_f64);
        let mut sigmoid_worst = 0.0_f64;
        for i in 0..200_000 {
            let x = -87.0 + 175.0 * (i as f32) / 200_000.0;
            exp_worst = exp_worst.max(ulp_gap(exp_f32(x), f64::from(x).exp()));
            sigmoid_worst = sigmoid_worst.max(ulp_gap(sigmoid_f32(x), 1.0 / (1.0 + f64::from(-x).exp())));
            let y = exp_f32(x * 0.9);
            let exact = f64::from(y).ln();
            ln_worst = ln_worst.max((f64::from(ln_f32(y)) - exact).abs() / exact.abs().max(0.5));
            let x = x / 9.0;
            tanh_worst = tanh_worst.max(ulp_gap(tanh_f32(x), f64::from(x).tanh()));
            let x = x / 100.0;
            tanh_worst = tanh_worst.max(ulp_gap(tanh_f32(x), f64::from(x).tanh()));
        }
        assert!(exp_worst < 1.5, "exp is off by {exp_worst} ulp");
        assert!(ln_worst < 1.5e-7, "ln is off by {ln_worst}");
        assert!(tanh_worst < 2.0, "tanh is off by {tanh_worst} ulp");
        assert!(sigmoid_worst < 3.0, "sigmoid is off by {sigmoid_worst} ulp");
    }

    #[test]
    fn special_values() {
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(-1e9), exp_f32(-87.0));
        assert!(exp_f32(1e9).is_finite());
        assert!(exp_f32(f32::NAN).is_nan());
        assert_eq!(ln_f32(1.0), 0.0);
        assert_eq!(tanh_f32(0.0), 0.0);
        assert_eq!(tanh_f32(20.0), 1.0);
        assert_eq!(tanh_f32(-1e30), -1.0);
        assert!(tanh_f32(f32::NAN).is_nan());
        assert_eq!((sigmoid_f32(0.0), sigmoid_f32(1e30)), (0.5, 1.0));
        assert!(sigmoid_f32(-1e30) < 1e-37 && sigmoid_f32(f32::NAN).is_nan());
        for x in [0.1_f32, 0.6, 0.7, 3.0] {
            assert_eq!(tanh_f32(-x), -tanh_f32(x));
        }
    }
}
