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

/// 2^k for integer `k` in -1022..=1023 by building the exponent.
fn pow2_f64(k: i32) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// e^x in f64, within 2 units in the last place; 0 below -745.2, infinite above 709.8.
pub fn exp_f64(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-746.0, 710.0);
    let k = (x * std::f64::consts::LOG2_E).round();
    // ln 2 in two parts, so that the product with the first is exact.
    let r = (x - k * 6.931_471_803_691_238_164_90e-1) - k * 1.908_214_929_270_587_700_02e-10;
    // |r| <= 0.3466, so r^14 / 14! falls below 1e-17.
    let mut p = 1.0;
    let mut n = 13;
    while n > 0 {
        p = 1.0 + p * r / f64::from(n);
        n -= 1;
    }
    // Two factors, because 2^k alone may be too small or too large for a normal number.
    let half = k as i32 / 2;
    p * pow2_f64(half) * pow2_f64(k as i32 - half)
}

/// x^y in f64 for `x` of at least 0, and for negative `x` with whole `y`; NaN otherwise. Whole exponents up to 1,024 are
/// repeated products, one half is the square root, others are within about `1 + |y ln x|` units in the last place.
pub fn pow_f64(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let is_whole = y == y.trunc();
    if is_whole && y.abs() <= 1024.0 {
        let power = whole_power(x, y.abs() as u64);
        return if y < 0.0 { 1.0 / power } else { power };
    }
    if x < 0.0 {
        let is_odd = is_whole && y.abs() < 9e15 && y as i64 % 2 != 0;
        return match (is_whole, is_odd) {
            (true, true) => -pow_f64(-x, y),
            (true, false) => pow_f64(-x, y),
            (false, _) => f64::NAN,
        };
    }
    if x == 0.0 || x.is_infinite() {
        return if (x == 0.0) == (y > 0.0) { 0.0 } else { f64::INFINITY };
    }
    if y == 0.5 {
        return x.sqrt();
    }
    let ln = if x < f64::MIN_POSITIVE {
        ln_f64(x * pow2_f64(54)) - 54.0 * std::f64::consts::LN_2
    } else {
        ln_f64(x)
    };
    exp_f64(y * ln)
}

/// x^n by repeated squares.
pub fn whole_power(x: f64, n: u64) -> f64 {
    let (mut rest, mut square, mut product) = (n, x, 1.0);
    while rest > 0 {
        if rest & 1 == 1 {
            product *= square;
        }
        square *= square;
        rest >>= 1;
    }
    product
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
        let close = |a: f64, b: f64, ulps: f64| (a - b).abs() <= ulps * f64::EPSILON * b.abs();
        for i in 0..100_000 {
            let x = -700.0 + 1400.0 * f64::from(i) / 100_000.0;
            assert!(close(exp_f64(x), x.exp(), 2.0), "exp({x})");
            let (base, y) = (f64::from(i % 997 + 1) / 500.0, f64::from(i) / 7000.0 - 5.0);
            let ulps = 4.0 + 2.0 * (y * base.ln()).abs();
            assert!(close(pow_f64(base, y), base.powf(y), ulps), "{base}^{y}");
        }
        assert_eq!((exp_f64(0.0), exp_f64(-746.0), exp_f64(1e9)), (1.0, 0.0, f64::INFINITY));
        assert!(exp_f64(f64::NAN).is_nan() && close(exp_f64(-740.0), (-740.0_f64).exp(), 1e4));
    }

    /// Zeros, infinities, negative and very small bases behave as those of the standard library.
    #[test]
    fn powers_at_the_edges_are_those_of_the_standard() {
        let bases = [0.0, 1.0, 0.5, 2.0, -2.0, -0.5, 1e-310, f64::INFINITY, f64::NAN];
        for x in bases {
            for y in [
                0.0,
                1.0,
                -1.0,
                2.0,
                3.0,
                -3.0,
                0.5,
                -0.5,
                2.5,
                2000.0,
                2001.0,
                -2001.0,
                f64::INFINITY,
                f64::NAN,
            ] {
                let (own, other) = (pow_f64(x, y), x.powf(y));
                let same = own == other || own.is_nan() && other.is_nan();
                assert!(same || (own - other).abs() <= 1e-12 * other.abs(), "{x}^{y} is {own}, not {other}");
            }
        }
        assert_eq!(pow_f64(0.5, 3.0), 0.125);
        assert_eq!(pow_f64(0.0, 7.5), 0.0);
    }
}
