//! The number that formulas of distributions, returns and losses are written over: `f32` to learn with, `f64` to be
//! compared with reference implementations and finite differences.
//!
//! In `f32` the elementary functions are our own, the same bits on every machine: unfused ones, because code that is compiled
//! for every processor would call a function for each fused multiply-add. In `f64` they are the platform's; nothing that is
//! learned depends on them.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use coact_core::math::{exp_f32, ln_f32};
use coact_kernels::math::tanh_f32;

/// A number with the functions that densities need.
pub trait Real:
    Copy
    + Debug
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Minus infinity: the log-probability of what cannot happen.
    const NEVER: Self;

    /// The nearest number of this type.
    fn of(value: f64) -> Self;
    /// e^x.
    fn exp(self) -> Self;
    /// Natural logarithm of a positive number.
    fn ln(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;

    /// The larger one; `other` if `self` is not a number.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// The smaller one; `other` if `self` is not a number.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    /// ln(1 + e^x) without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.max(Self::ZERO) + (Self::ONE + (-self.abs()).exp()).ln()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEVER: Self = f32::NEG_INFINITY;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp_f32(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        ln_f32(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        tanh_f32(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEVER: Self = f64::NEG_INFINITY;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn abs(self) -> Self {
        f64::abs(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn both_numbers_agree_and_softplus_holds_at_both_ends() {
        for i in -40..40 {
            let x = f64::from(i) * 0.37;
            let near = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-6 * b.abs().max(1.0);
            assert!(near(Real::exp(x as f32), Real::exp(f64::from(x as f32))), "exp({x})");
            assert!(near(Real::tanh(x as f32), Real::tanh(f64::from(x as f32))), "tanh({x})");
            assert!(near(Real::softplus(x as f32), Real::softplus(f64::from(x as f32))), "softplus({x})");
        }
        assert_eq!(Real::softplus(-100.0_f32), 0.0);
        assert_eq!(Real::softplus(100.0_f32), 100.0);
    }
}
