//! The number that the rules of an environment are written over: `f32` for one copy, [`Lanes`] for sixteen
//! copies side by side, `f64` to be compared with a reference implementation.
//!
//! Every operation of [`Lanes`] is the `f32` operation on each lane, so a batch gives the same bits as single
//! copies. Nothing is fused: an instruction set cannot change a bit.

// Loops over one index of several arrays are what the vectorizer sees through best.
#![allow(clippy::needless_range_loop)]

use std::ops::{Add, Div, Mul, Neg, Sub};

use coact_core::math;

/// Copies that one [`Lanes`] holds.
pub const WIDTH: usize = 16;

/// A formula from `I` numbers to `O`.
///
/// Lanes run it in one loop over lanes, which compilers vectorize as a whole; long formulas written operation by
/// operation on [`Lanes`] come out half as fast.
pub trait Formula<const I: usize, const O: usize> {
    /// Computes it.
    fn of<R: Real>(&self, input: [R; I]) -> [R; O];
}

/// A number, or several in lanes, with branch-free comparison and selection.
pub trait Real:
    Copy
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// A truth value, one a lane.
    type Mask: Copy + Send + Sync + 'static;
    /// A discrete action, one a lane.
    type Int: Copy + Send + Sync + 'static;
    /// The number in one lane.
    type One: Real<Mask = bool, Int = u32, One = Self::One> + PartialOrd;
    /// Number of lanes.
    const LANES: usize;

    /// The number in lane `lane`, for what no lanes can share.
    fn lane(self, lane: usize) -> Self::One;
    /// Writes the number in lane `lane`.
    fn set_lane(&mut self, lane: usize, value: Self::One);

    /// A constant in every lane.
    fn of(value: f64) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// e^x.
    fn exp(self) -> Self;
    /// ln(1 + e^x) without overflow.
    fn softplus(self) -> Self;
    /// Sine and cosine for |x| <= pi/4.
    fn sin_cos_small(self) -> (Self, Self);
    /// `formula` of each lane.
    fn each<const I: usize, const O: usize>(formula: &impl Formula<I, O>, input: [Self; I]) -> [Self; O];
    /// Whether `self < other`; false for NaN.
    fn less(self, other: Self) -> Self::Mask;
    /// `yes` where `mask` holds, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// The same truth value in every lane.
    fn mask_of(value: bool) -> Self::Mask;
    /// Both.
    fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Either.
    fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Whether an action is number `k`.
    fn is(action: Self::Int, k: u32) -> Self::Mask;

    /// The smaller one; `other` if either is NaN.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(self.less(other), self, other)
    }

    /// The larger one; `other` if either is NaN.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(other.less(self), self, other)
    }
}

/// Implements the parts that `f32` and `f64` share.
macro_rules! scalar {
    ($t:ty) => {
        type Mask = bool;
        type Int = u32;
        type One = Self;
        const LANES: usize = 1;

        #[inline(always)]
        fn lane(self, _lane: usize) -> Self {
            self
        }
        #[inline(always)]
        fn set_lane(&mut self, _lane: usize, value: Self) {
            *self = value;
        }
        #[inline(always)]
        fn of(value: f64) -> Self {
            value as $t
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            <$t>::sqrt(self)
        }
        #[inline(always)]
        fn abs(self) -> Self {
            <$t>::abs(self)
        }
        #[inline(always)]
        fn each<const I: usize, const O: usize>(f: &impl Formula<I, O>, input: [Self; I]) -> [Self; O] {
            f.of(input)
        }
        #[inline(always)]
        fn less(self, other: Self) -> bool {
            self < other
        }
        #[inline(always)]
        fn select(mask: bool, yes: Self, no: Self) -> Self {
            if mask { yes } else { no }
        }
        #[inline(always)]
        fn mask_of(value: bool) -> bool {
            value
        }
        #[inline(always)]
        fn and(a: bool, b: bool) -> bool {
            a & b
        }
        #[inline(always)]
        fn or(a: bool, b: bool) -> bool {
            a | b
        }
        #[inline(always)]
        fn is(action: u32, k: u32) -> bool {
            action == k
        }
    };
}

impl Real for f32 {
    scalar!(f32);

    #[inline(always)]
    fn exp(self) -> Self {
        math::exp_f32(self)
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        let magnitude = f32::abs(self);
        let top = if self > 0.0 { self } else { 0.0 };
        top + math::ln_f32(1.0 + math::exp_f32(-magnitude))
    }

    #[inline(always)]
    fn sin_cos_small(self) -> (Self, Self) {
        math::sin_cos_small_f32(self)
    }
}

impl Real for f64 {
    scalar!(f64);

    fn exp(self) -> Self {
        f64::exp(self)
    }

    fn softplus(self) -> Self {
        f64::max(self, 0.0) + (-f64::abs(self)).exp().ln_1p()
    }

    fn sin_cos_small(self) -> (Self, Self) {
        f64::sin_cos(self)
    }
}

/// The same variable of [`WIDTH`] copies.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
pub struct Lanes(pub [f32; WIDTH]);

/// A truth value a lane: all bits set, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub struct LaneMask(pub [u32; WIDTH]);

/// A discrete action a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub struct LaneInt(pub [u32; WIDTH]);

impl Lanes {
    /// Applies `f` to each lane.
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let mut out = [0.0; WIDTH];
        for (o, x) in out.iter_mut().zip(self.0) {
            *o = f(x);
        }
        Self(out)
    }

    /// Applies `f` to each pair of lanes.
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = [0.0; WIDTH];
        for i in 0..WIDTH {
            out[i] = f(self.0[i], other.0[i]);
        }
        Self(out)
    }
}

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Div for Lanes {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

impl Neg for Lanes {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

impl Real for Lanes {
    type Mask = LaneMask;
    type Int = LaneInt;
    type One = f32;
    const LANES: usize = WIDTH;

    #[inline(always)]
    fn lane(self, lane: usize) -> f32 {
        self.0[lane]
    }
    #[inline(always)]
    fn set_lane(&mut self, lane: usize, value: f32) {
        self.0[lane] = value;
    }
    #[inline(always)]
    fn of(value: f64) -> Self {
        Self([value as f32; WIDTH])
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f32::abs)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        self.map(math::exp_f32)
    }
    #[inline(always)]
    fn softplus(self) -> Self {
        self.map(Real::softplus)
    }
    #[inline(always)]
    fn sin_cos_small(self) -> (Self, Self) {
        let (mut sin, mut cos) = ([0.0; WIDTH], [0.0; WIDTH]);
        for i in 0..WIDTH {
            (sin[i], cos[i]) = math::sin_cos_small_f32(self.0[i]);
        }
        (Self(sin), Self(cos))
    }
    #[inline(always)]
    fn each<const I: usize, const O: usize>(f: &impl Formula<I, O>, input: [Self; I]) -> [Self; O] {
        let mut out = [Self([0.0; WIDTH]); O];
        for lane in 0..WIDTH {
            let mut one = [0.0; I];
            for i in 0..I {
                one[i] = input[i].0[lane];
            }
            let result = f.of::<f32>(one);
            for o in 0..O {
                out[o].0[lane] = result[o];
            }
        }
        out
    }
    #[inline(always)]
    fn less(self, other: Self) -> LaneMask {
        let mut out = [0; WIDTH];
        for i in 0..WIDTH {
            out[i] = if self.0[i] < other.0[i] { u32::MAX } else { 0 };
        }
        LaneMask(out)
    }
    #[inline(always)]
    fn select(mask: LaneMask, yes: Self, no: Self) -> Self {
        let mut out = [0.0; WIDTH];
        for i in 0..WIDTH {
            let bits = (mask.0[i] & yes.0[i].to_bits()) | (!mask.0[i] & no.0[i].to_bits());
            out[i] = f32::from_bits(bits);
        }
        Self(out)
    }
    #[inline(always)]
    fn mask_of(value: bool) -> LaneMask {
        LaneMask([if value { u32::MAX } else { 0 }; WIDTH])
    }
    #[inline(always)]
    fn and(a: LaneMask, b: LaneMask) -> LaneMask {
        let mut out = [0; WIDTH];
        for i in 0..WIDTH {
            out[i] = a.0[i] & b.0[i];
        }
        LaneMask(out)
    }
    #[inline(always)]
    fn or(a: LaneMask, b: LaneMask) -> LaneMask {
        let mut out = [0; WIDTH];
        for i in 0..WIDTH {
            out[i] = a.0[i] | b.0[i];
        }
        LaneMask(out)
    }
    #[inline(always)]
    fn is(action: LaneInt, k: u32) -> LaneMask {
        let mut out = [0; WIDTH];
        for i in 0..WIDTH {
            out[i] = if action.0[i] == k { u32::MAX } else { 0 };
        }
        LaneMask(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_give_the_bits_of_single_numbers() {
        let xs = Lanes(std::array::from_fn(|i| (i as f32 - 7.3) * 1.7));
        let ys = Lanes(std::array::from_fn(|i| (i as f32 - 3.1) * -0.9));
        let check = |what: &str, lanes: Lanes, one: &dyn Fn(f32, f32) -> f32| {
            for i in 0..WIDTH {
                assert_eq!(lanes.0[i].to_bits(), one(xs.0[i], ys.0[i]).to_bits(), "{what} in lane {i}");
            }
        };
        check("add", xs + ys, &|x, y| x + y);
        check("div", xs / ys, &|x, y| x / y);
        check("neg", -xs, &|x, _| -x);
        check("sqrt", Real::sqrt(Real::abs(xs)), &|x, _| x.abs().sqrt());
        check("exp", Real::exp(xs), &|x, _| Real::exp(x));
        check("softplus", xs.softplus(), &|x, _| Real::softplus(x));
        check("sin", xs.sin_cos_small().0, &|x, _| x.sin_cos_small().0);
        check("cos", xs.sin_cos_small().1, &|x, _| x.sin_cos_small().1);
        check("min", Real::min(xs, ys), &|x, y| Real::min(x, y));
        check("max", Real::max(xs, ys), &|x, y| Real::max(x, y));
    }

    #[test]
    fn softplus_is_exact_at_both_ends() {
        assert_eq!(Real::softplus(-100.0_f32), 0.0);
        assert_eq!(Real::softplus(100.0_f32), 100.0);
        assert!((Real::softplus(0.0_f64) - std::f64::consts::LN_2).abs() < 1e-15);
        assert!((Real::softplus(1.5_f32) - 1.701_413_3).abs() < 1e-6);
    }
}
