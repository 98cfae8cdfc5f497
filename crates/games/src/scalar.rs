//! Numbers that solvers run on: `f64`, and exact rationals of any size.
//!
//! Solvers are generic over [`Scalar`]; where speed matters they pivot through [`Scalar::Dictionary`], which is a
//! scaled float table for `f64` and a table of integers over one common denominator for [`Rational`].

use std::fmt::{Debug, Display};
use std::ops::{Add, Div, Mul, Neg, Sub};

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

use crate::dictionary::{Dictionary, FloatDictionary, IntegerDictionary};

/// Exact fractions of any size, always in lowest terms.
pub type Rational = num_rational::BigRational;

/// Powers of ten beyond this are refused when numbers are read, so that a short text cannot ask for much memory.
const MAX_EXPONENT: i64 = 400;

/// A number of a game: `f64` or [`Rational`].
pub trait Scalar:
    Clone
    + Debug
    + Display
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Zero
    + One
    + Neg<Output = Self>
    + for<'a> Add<&'a Self, Output = Self>
    + for<'a> Sub<&'a Self, Output = Self>
    + for<'a> Mul<&'a Self, Output = Self>
    + for<'a> Div<&'a Self, Output = Self>
{
    /// Whether arithmetic is exact, so that comparisons need no tolerance.
    const EXACT: bool;

    /// The table that pivoting methods work on.
    type Dictionary: Dictionary<Value = Self>;

    /// The whole number `n`.
    fn from_int(n: i64) -> Self;

    /// The number nearest to `x` (for rationals: exactly `x`); none if `x` is not finite.
    fn from_float(x: f64) -> Option<Self>;

    /// The nearest `f64`.
    fn to_float(&self) -> f64;

    /// The number nearest to an exact one.
    fn from_rational(x: &Rational) -> Self;

    /// The exact value; none if it is not finite.
    fn to_rational(&self) -> Option<Rational>;

    /// A positive number of which all numbers of a list are whole multiples; for floats, their largest size
    /// (1 if all are zero).
    fn unit_of(list: &[Self]) -> Self;

    /// Reads an integer, decimal (`-1.5`, `2e-3`) or fraction (`3/4`).
    fn parse(text: &str) -> Option<Self> {
        parse_rational(text).map(|x| Self::from_rational(&x))
    }

    /// Whether the number is within `tolerance` of zero; exact numbers ignore the tolerance.
    fn is_near_zero(&self, tolerance: f64) -> bool {
        if Self::EXACT { self.is_zero() } else { self.to_float().abs() <= tolerance }
    }
}

impl Scalar for f64 {
    const EXACT: bool = false;

    type Dictionary = FloatDictionary;

    fn from_int(n: i64) -> Self {
        n as f64
    }

    fn from_float(x: f64) -> Option<Self> {
        x.is_finite().then_some(x)
    }

    fn to_float(&self) -> f64 {
        *self
    }

    fn from_rational(x: &Rational) -> Self {
        rational_to_float(x)
    }

    fn to_rational(&self) -> Option<Rational> {
        Rational::from_float(*self)
    }

    fn unit_of(list: &[Self]) -> Self {
        let size = list.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        if size > 0.0 { size } else { 1.0 }
    }
}

impl Scalar for Rational {
    const EXACT: bool = true;

    type Dictionary = IntegerDictionary;

    fn from_int(n: i64) -> Self {
        Self::from_integer(BigInt::from(n))
    }

    fn from_float(x: f64) -> Option<Self> {
        Self::from_float(x)
    }

    fn to_float(&self) -> f64 {
        rational_to_float(self)
    }

    fn from_rational(x: &Rational) -> Self {
        x.clone()
    }

    fn to_rational(&self) -> Option<Rational> {
        Some(self.clone())
    }

    fn unit_of(list: &[Self]) -> Self {
        let denominator = list.iter().fold(BigInt::one(), |l, x| l.lcm(x.denom()));
        let multiples = list.iter().map(|x| x.numer() * (&denominator / x.denom()));
        let common = multiples.fold(BigInt::zero(), |g, x| g.gcd(&x));
        if common.is_zero() { Self::one() } else { Self::new(common, denominator) }
    }
}

/// `p/q` as a rational.
///
/// # Panics
/// If `q` is zero.
pub fn ratio(p: i64, q: i64) -> Rational {
    Rational::new(BigInt::from(p), BigInt::from(q))
}

/// The `f64` nearest to a fraction, also where numerator and denominator do not fit one.
fn rational_to_float(x: &Rational) -> f64 {
    let (n, d) = (x.numer(), x.denom());
    if n.bits() < 1000 && d.bits() < 1000 {
        // Both convert, and a quotient of two rounded numbers may be one unit off; small ones are exact.
        if n.bits() <= 53 && d.bits() <= 53 {
            return n.to_f64().unwrap_or(0.0) / d.to_f64().unwrap_or(1.0);
        }
    }
    // Keep 64 significant bits of the quotient, with a sticky last bit, then scale by a power of two.
    let shift = d.bits() as i64 - n.bits() as i64 + 64;
    let (numerator, denominator) = match shift >= 0 {
        true => (n.abs() << shift as u64, d.clone()),
        false => (n.abs(), d.clone() << shift.unsigned_abs()),
    };
    let mut quotient = &numerator / &denominator;
    if !(&numerator - &quotient * &denominator).is_zero() && !quotient.bit(0) {
        quotient += 1;
    }
    let magnitude = scale_by_power_of_two(quotient.to_f64().unwrap_or(f64::INFINITY), -shift);
    if n.is_negative() { -magnitude } else { magnitude }
}

/// `x * 2^exponent` without overflow on the way.
fn scale_by_power_of_two(mut x: f64, mut exponent: i64) -> f64 {
    while exponent != 0 && x != 0.0 && x.is_finite() {
        let step = exponent.clamp(-900, 900);
        x *= 2f64.powi(step as i32);
        exponent -= step;
    }
    x
}

/// Reads an integer, decimal or fraction exactly.
pub fn parse_rational(text: &str) -> Option<Rational> {
    if let Some((numerator, denominator)) = text.split_once('/') {
        let denominator = parse_decimal(denominator)?;
        let numerator = parse_decimal(numerator)?;
        return (!denominator.is_zero()).then(|| numerator / denominator);
    }
    parse_decimal(text)
}

fn parse_decimal(text: &str) -> Option<Rational> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits: String = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || digits.len() > 1000 {
        return None;
    }
    if exponent.abs() > MAX_EXPONENT {
        return None;
    }
    let exponent = exponent - fraction.len() as i64;
    let power = BigInt::from(10).pow(exponent.unsigned_abs() as u32);
    let magnitude: BigInt = digits.parse().ok()?;
    let signed = if negative { -magnitude } else { magnitude };
    Some(match exponent >= 0 {
        true => Rational::from_integer(signed * power),
        false => Rational::new(signed, power),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_kinds_are_read_exactly() {
        for (text, expected) in [
            ("0", ratio(0, 1)),
            ("-3", ratio(-3, 1)),
            ("+7/14", ratio(1, 2)),
            ("0.125", ratio(1, 8)),
            (".5", ratio(1, 2)),
            ("5.", ratio(5, 1)),
            ("-1.5e2", ratio(-150, 1)),
            ("2E-3", ratio(1, 500)),
            ("1.5/0.5", ratio(3, 1)),
        ] {
            assert_eq!(parse_rational(text), Some(expected), "{text}");
        }
        for text in ["", "-", ".", "1/0", "1/", "/2", "1e", "e5", "0x1", "1e999999999", "nan", "1 2", "--1"] {
            assert_eq!(parse_rational(text), None, "{text}");
        }
    }

    #[test]
    fn floats_round_trip_through_rationals() {
        for x in [0.0, 1.0, -0.1, 1e-300, 5e-324, f64::MAX, -1.0 / 3.0, 2f64.powi(60) + 4096.0] {
            let exact = <Rational as Scalar>::from_float(x).unwrap();
            assert_eq!(exact.to_float(), x);
        }
        let third = ratio(1, 3);
        assert_eq!(third.to_float(), 1.0 / 3.0);
        let big = Rational::new(BigInt::from(1) << 4000u32, (BigInt::from(3) << 4000u32) + 1);
        assert_eq!(big.to_float(), 1.0 / 3.0);
    }
}
