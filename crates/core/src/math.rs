//! Elementary functions with the same bits on every machine: only +, -, *, / and sqrt, in a fixed order.
//!
//! The standard library calls the platform's libm, whose last bits differ between systems; a seed would then
//! name a different run on each. Functions here never use fused multiply-add, so that a compiler may
//! vectorize them for any instruction set without changing a bit. (`coact-kernels` has its own fused forms.)

// Constants are written as they were derived; shortened ones would only be harder to compare.
#![allow(clippy::excessive_precision)]

/// 1.5 * 2^23: added to a number below 2^22 it rounds it to an integer, which then stands in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// The integer in the low bits of `k + MAGIC`. A cast would saturate, which no vector instruction does.
#[inline(always)]
fn low_bits(shifted: f32) -> i32 {
    shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as i32
}

/// 2^k for integer `k` in -126..=127 by building the exponent.
#[inline(always)]
fn pow2_f32(k: i32) -> f32 {
    f32::from_bits((k.wrapping_add(127) as u32) << 23)
}

/// e^x in f32, within 2 units in the last place on [-87, 88]; clamps outside. Branch-free.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let k = shifted - MAGIC;
    let r = (x - k * 0.693_359_375) - k * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_1e-1;
    let y = p * (r * r) + r + 1.0;
    y * pow2_f32(low_bits(shifted))
}

/// ln(x) in f32 for normal positive `x`, within 2 units in the last place. Branch-free.
#[inline(always)]
pub fn ln_f32(x: f32) -> f32 {
    let bits = x.to_bits();
    // Mantissa in [sqrt(1/2), sqrt(2)).
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let e = (shifted as i32) >> 23;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let f = m - 1.0;
    let z = f * f;
    let p = 7.037_683_6e-2;
    let p = p * f - 1.151_461e-1;
    let p = p * f + 1.167_699_9e-1;
    let p = p * f - 1.242_014_1e-1;
    let p = p * f + 1.424_932_3e-1;
    let p = p * f - 1.666_805_8e-1;
    let p = p * f + 2.000_071_5e-1;
    let p = p * f - 2.499_999_4e-1;
    let p = p * f + 3.333_333e-1;
    let e = e as f32;
    let y = f * z * p + e * -2.121_944_4e-4 - 0.5 * z;
    f + y + e * 0.693_359_375
}

/// sin(x) and cos(x) in f32 for |x| <= pi/4, the same bits as [`sin_cos_f32`]. Branch-free.
#[inline(always)]
pub fn sin_cos_small_f32(r: f32) -> (f32, f32) {
    let z = r * r;
    let s = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * r + r;
    let c = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    (s, c)
}

/// sin(x) and cos(x) in f32 for |x| <= 8192, within 2 units in the last place near zero. Branch-free.
#[inline(always)]
pub fn sin_cos_f32(x: f32) -> (f32, f32) {
    let shifted = x * std::f32::consts::FRAC_2_PI + MAGIC;
    let q = shifted - MAGIC;
    let r = ((x - q * 1.570_312_5) - q * 4.837_512_969_970_703e-4) - q * 7.549_789_948_768_648e-8;
    let (s, c) = sin_cos_small_f32(r);
    let quadrant = low_bits(shifted) & 3;
    let (a, b) = if quadrant & 1 == 1 { (c, s) } else { (s, c) };
    let sin = if quadrant & 2 == 2 { -a } else { a };
    let cos = if (quadrant + 1) & 2 == 2 { -b } else { b };
    (sin, cos)
}

/// ln(x) in f64 for normal positive `x`, within a few units in the last place (atanh series).
pub fn ln_f64(x: f64) -> f64 {
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(0x3fe6_a09e_667f_3bcd);
    let e = (shifted as i64) >> 52;
    let m = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    // |s| <= 0.1716, so 2 s^(2k+1)/(2k+1) falls below 1e-17 of the sum at k = 10.
    let mut p = 0.0;
    let mut k = 10;
    while k > 0 {
        p = (p + 1.0 / f64::from(2 * k + 1)) * z;
        k -= 1;
    }
    e as f64 * std::f64::consts::LN_2 + 2.0 * s * (1.0 + p)
}

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

/// e^x in f64, within about two units in the last place; 0 below and infinity above the range of `f64`.
pub fn exp_f64(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x < -745.2 {
        return 0.0;
    }
    if x > 709.79 {
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

/// Whole exponents up to this are powers by multiplication.
const MOST_PRODUCTS: f64 = 64.0;

/// x^y in f64 for `x >= 0` (NaN below). Small whole exponents multiply; others are `e^(y ln x)`, whose relative error grows
/// with the size of `y ln x`, in units of 2e-16.
pub fn pow_f64(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 || x == f64::INFINITY {
        return if (x == 0.0) == (y > 0.0) { 0.0 } else { f64::INFINITY };
    }
    if y.fract() == 0.0 && y.abs() <= MOST_PRODUCTS {
        let (mut n, mut square, mut product) = (y.abs() as u32, x, 1.0);
        while n > 0 {
            if n & 1 == 1 {
                product *= square;
            }
            square *= square;
            n >>= 1;
        }
        return if y > 0.0 { product } else { 1.0 / product };
    }
    // Numbers below the normal ones are raised by 2^54 first.
    let ln = match x < f64::MIN_POSITIVE {
        true => ln_f64(x * 18_014_398_509_481_984.0) - 54.0 * std::f64::consts::LN_2,
        false => ln_f64(x),
    };
    exp_f64(y * ln)
}

/// cos(2 pi v) in f64 for v in [0, 1].
pub fn cos_turn_f64(v: f64) -> f64 {
    // Fold to an eighth of a turn, where the Taylor series needs ten terms.
    let v = if v > 0.5 { 1.0 - v } else { v };
    let (v, sign) = if v > 0.25 { (0.5 - v, -1.0) } else { (v, 1.0) };
    let x = v * std::f64::consts::TAU;
    let z = x * x;
    let mut p = 1.0;
    let mut k = 12;
    while k > 0 {
        p = 1.0 - p * z / f64::from((2 * k - 1) * (2 * k));
        k -= 1;
    }
    sign * p
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulp_gap(a: f32, b: f64) -> f64 {
        let ulp = f64::from(f32::EPSILON) * b.abs().max(f64::from(f32::MIN_POSITIVE));
        (f64::from(a) - b).abs() / ulp
    }

    #[test]
    fn f32_functions_match_f64_ones() {
        for i in 0..200_000 {
            let x = -80.0 + 160.0 * (i as f32) / 200_000.0;
            assert!(ulp_gap(exp_f32(x), f64::from(x).exp()) < 2.0, "exp({x})");
            let y = exp_f32(x);
            let exact = f64::from(y).ln();
            assert!((f64::from(ln_f32(y)) - exact).abs() < 2.5e-7 * exact.abs().max(1e-1), "ln({y})");
            let (s, c) = sin_cos_f32(x);
            assert!((f64::from(s) - f64::from(x).sin()).abs() < 2e-7, "sin({x})");
            if x.abs() <= std::f32::consts::FRAC_PI_4 {
                assert_eq!(sin_cos_small_f32(x), (s, c), "small {x}");
            }
            assert!((f64::from(c) - f64::from(x).cos()).abs() < 2e-7, "cos({x})");
        }
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(ln_f32(1.0), 0.0);
        assert_eq!(sin_cos_f32(0.0), (0.0, 1.0));
    }

    #[test]
    fn f64_functions_match_the_platform() {
        for i in 1..100_000 {
            let x = f64::from(i) * 1e-5;
            assert!((ln_f64(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(1.0), "ln({x})");
            assert!((cos_turn_f64(x) - (x * std::f64::consts::TAU).cos()).abs() < 1e-14, "cos({x})");
        }
    }

    #[test]
    fn exponentials_and_powers_match_the_platform() {
        let close =
            |a: f64, b: f64, ulps: f64| a == b || (a - b).abs() <= ulps * f64::EPSILON * b.abs() + 1e-322;
        for i in -74_500..70_970 {
            let x = f64::from(i) * 1e-2;
            assert!(close(exp_f64(x), x.exp(), 2.0), "exp({x}): {} {}", exp_f64(x), x.exp());
        }
        assert!(exp_f64(f64::NAN).is_nan() && exp_f64(800.0) == f64::INFINITY && exp_f64(-800.0) == 0.0);
        for x in [1e-310, 1e-12, 0.3, 0.99, 1.0, 1.7, 40.0, 1e9] {
            for y in [-3.0, -0.3, 0.0, 0.2, 1.0, 1.5, 2.0, 5.0, 17.25, 63.0] {
                let exact = f64::powf(x, y);
                let ulps = 4.0 + 2.0 * (y * x.ln()).abs();
                assert!(close(pow_f64(x, y), exact, ulps), "{x}^{y}: {} {exact}", pow_f64(x, y));
            }
        }
        for (x, y) in
            [(0.0, 2.0), (0.0, -2.0), (0.0, 0.5), (f64::INFINITY, 1.0), (f64::INFINITY, -0.5), (0.0, 0.0)]
        {
            assert_eq!(pow_f64(x, y), f64::powf(x, y), "{x}^{y}");
        }
        assert!(pow_f64(-1.0, 0.5).is_nan() && pow_f64(0.5, f64::NAN).is_nan());
    }
}
