//! x^y in f32 with the same bits on every machine: only +, -, *, / in a fixed order and bit operations, free of
//! branches, so that the compiler vectorizes loops over it. The platform's `powf` differs between systems.

/// Adding and subtracting this rounds to an integer and leaves that integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// An exponent in two parts: the first has so few bits that its product with a binary exponent is exact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exponent {
    whole: f32,
    coarse: f32,
    fine: f32,
}

impl Exponent {
    /// `y` must be finite.
    #[inline(always)]
    pub fn new(y: f32) -> Self {
        let coarse = f32::from_bits(y.to_bits() & 0xffff_f000);
        Self { whole: y, coarse, fine: y - coarse }
    }

    /// x^y for normal positive `x`, relative error below 5e-7 while the result is within 2^-100 and 2^100; beyond
    /// that it is kept there.
    #[inline(always)]
    pub fn of(self, x: f32) -> f32 {
        // Mantissa m in [sqrt(1/2), sqrt(2)), x = m 2^e.
        let shifted = x.to_bits().wrapping_sub(0x3f35_04f3);
        let e = (shifted as i32 >> 23) as f32;
        let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
        // log2(m) by the series of atanh; |s| <= 0.1716.
        let s = (m - 1.0) / (m + 1.0);
        let z = s * s;
        let p = 0.320_598_9 * z + 0.412_198_6;
        let p = p * z + 0.577_078_04;
        let p = p * z + 0.961_796_7;
        let p = p * z + 2.885_39;
        let l = s * p;
        // y log2(x) = coarse e + (fine e + y l), the first product exact.
        let (big, small) = (self.coarse * e, self.fine * e + self.whole * l);
        let y = (big + small).clamp(-100.0, 100.0);
        let rounded = y + ROUND;
        let k = rounded - ROUND;
        let r = ((big - k) + small).clamp(-1.0, 1.0) * std::f32::consts::LN_2;
        // |r| <= 0.35 unless clamped: Taylor's series, the first term left out below 5e-9.
        let p = 1.0 / 5_040.0;
        let p = p * r + 1.0 / 720.0;
        let p = p * r + 1.0 / 120.0;
        let p = p * r + 1.0 / 24.0;
        let p = p * r + 1.0 / 6.0;
        let p = p * r + 0.5;
        let p = p * r + 1.0;
        let p = p * r + 1.0;
        p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
    }
}

#[cfg(test)]
mod tests {
    use super::Exponent;

    #[test]
    fn matches_the_platform() {
        let mut worst = 0.0_f64;
        for i in 0..20_000 {
            let x = 10_f32.powf(-7.0 + 14.0 * (i as f32) / 20_000.0);
            for y in [0.0_f32, 0.1, 0.4, 0.5, 0.6, 0.73, 1.0, 2.0, -0.6] {
                let (ours, exact) = (Exponent::new(y).of(x), f64::from(x).powf(f64::from(y)));
                worst = worst.max((f64::from(ours) / exact - 1.0).abs());
            }
        }
        assert!(worst < 5e-7, "relative error {worst}");
        assert_eq!(Exponent::new(0.7).of(1.0), 1.0);
        assert_eq!(Exponent::new(1.0).of(0.25), 0.25);
        assert_eq!(Exponent::new(0.0).of(f32::MIN_POSITIVE), 1.0);
        assert!(Exponent::new(3.0).of(1e38) >= 2_f32.powi(99), "a huge result stays huge");
        assert!(Exponent::new(3.0).of(1e-38) <= 2_f32.powi(-99), "a tiny result stays tiny");
    }
}
