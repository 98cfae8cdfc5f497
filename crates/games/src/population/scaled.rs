//! Numbers above zero of any size: a float and a power of `2^512`, with the additions, products and quotients that an
//! elimination without subtractions needs. Not a number type for anything else.

use std::ops::{Add, Div, Mul};

use crate::exponential::exp;

/// `2^256`: floats stay between one over this and this.
const ROOT: f64 = f64::from_bits((1023 + 256) << 52);
/// `2^512`.
const UNIT: f64 = f64::from_bits((1023 + 512) << 52);
/// Natural logarithm of `2^512`.
const LN_UNIT: f64 = 512.0 * std::f64::consts::LN_2;

/// `float * 2^(512 * power)`, or zero. The power is a whole number; as a float it never overflows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaled {
    float: f64,
    power: f64,
}

impl Scaled {
    pub(super) const ZERO: Self = Self { float: 0.0, power: f64::NEG_INFINITY };
    pub(super) const ONE: Self = Self { float: 1.0, power: 0.0 };

    /// `e^log`; zero for minus infinity.
    pub(super) fn from_log(log: f64) -> Self {
        if log == f64::NEG_INFINITY {
            return Self::ZERO;
        }
        let power = (log / LN_UNIT).round();
        // Where a logarithm's own last digit is worth more than a unit, nothing is left to say about the float.
        let rest = if log.abs() < 1e15 { log - power * LN_UNIT } else { 0.0 };
        Self::new(exp(rest), power)
    }

    /// `self / other` as a float, where `other` is at least `self`.
    pub(super) fn over(self, other: Self) -> f64 {
        match self / other {
            Self { power: 0.0, float } => float,
            Self { power: -1.0, float } => float / UNIT,
            _ => 0.0,
        }
    }

    pub(super) fn is_zero(self) -> bool {
        self.float == 0.0
    }

    /// Whether it is above another.
    pub(super) fn exceeds(self, other: Self) -> bool {
        (self.power, self.float) > (other.power, other.float)
    }

    fn new(float: f64, power: f64) -> Self {
        if float >= ROOT {
            Self { float: float / UNIT, power: power + 1.0 }
        } else if float < 1.0 / ROOT {
            Self { float: float * UNIT, power: power - 1.0 }
        } else {
            Self { float, power }
        }
    }
}

impl Add for Scaled {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.power == other.power {
            return Self::new(self.float + other.float, self.power);
        }
        let (high, low) = if self.power > other.power { (self, other) } else { (other, self) };
        if high.power - low.power == 1.0 {
            Self::new(high.float + low.float / UNIT, high.power)
        } else {
            high
        }
    }
}

impl Mul for Scaled {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::new(self.float * other.float, self.power + other.power)
    }
}

impl Div for Scaled {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self::new(self.float / other.float, self.power - other.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exponential::{ln, log_add};

    fn log(x: Scaled) -> f64 {
        ln(x.float) + x.power * LN_UNIT
    }

    #[test]
    fn they_calculate_as_logarithms_do() {
        // Half of a unit is 177.4: the numbers beside it are near each other and have different powers.
        let sizes =
            [0.0, -0.3, 12.0, -177.0, 177.2, 177.7, -354.0, -531.0, 700.0, -1e4, -1e4 + 360.0, 5e7, -5e7];
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * (1.0 + a.abs().max(b.abs()));
        for a in sizes {
            for b in sizes {
                let (x, y) = (Scaled::from_log(a), Scaled::from_log(b));
                assert!(close(log(x + y), log_add(a, b)), "{a} + {b}: {}", log(x + y));
                assert!(close(log(x * y), a + b) && close(log(x / y), a - b), "{a} and {b}");
                assert_eq!(x.exceeds(y), a > b, "{a} above {b}");
                if b >= a {
                    let expected = exp(a - b);
                    // Below 2^-512 it may be zero.
                    assert!(
                        (x.over(y) - expected).abs() <= 1e-7 * expected + 1e-150,
                        "{a} over {b}: {}",
                        x.over(y)
                    );
                }
            }
            let x = Scaled::from_log(a);
            assert!(close(log(x + Scaled::ZERO), a) && (x * Scaled::ZERO).is_zero());
            assert!((Scaled::ZERO + Scaled::ZERO).is_zero() && (Scaled::ZERO / x).is_zero());
            assert_eq!(Scaled::ZERO.over(x), 0.0);
        }
        let far = Scaled::from_log(-1e300);
        assert!(!far.is_zero() && (far * far + far).float.is_finite());
    }
}
