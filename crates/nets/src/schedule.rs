//! Values that change over training: learning rate, epsilon, beta.
//!
//! A schedule is a pure function of a counter whose unit the caller names (environment steps or gradient
//! steps); it has no state, so a resumed run needs none.

use crate::{Error, Result};

/// A value as a function of a counter `t`.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Always the same.
    Constant(f64),
    /// A straight line from `from` at 0 to `to` at `over`, then flat.
    Linear {
        /// Value at 0.
        from: f64,
        /// Value from `over` on.
        to: f64,
        /// Length in counts.
        over: u64,
    },
    /// Half a cosine wave from `from` at 0 to `to` at `over`, then flat.
    Cosine {
        /// Value at 0.
        from: f64,
        /// Value from `over` on.
        to: f64,
        /// Length in counts.
        over: u64,
    },
    /// `max(floor, from * (1 - rate)^t)`.
    Exponential {
        /// Value at 0.
        from: f64,
        /// Fraction lost per count.
        rate: f64,
        /// Smallest value.
        floor: f64,
    },
    /// Straight lines through `(t, value)` points, flat outside.
    Piecewise(Vec<(u64, f64)>),
}

impl Schedule {
    /// Straight lines through points.
    ///
    /// # Errors
    /// No point, or counters that do not rise.
    pub fn piecewise(points: Vec<(u64, f64)>) -> Result<Self> {
        let rising = points.windows(2).all(|w| w[0].0 < w[1].0);
        if points.is_empty() || !rising || points.iter().any(|p| !p.1.is_finite()) {
            let rule = "give one point or more as [counter, value], counters rising, values finite";
            return Err(Error::Setting { key: "learning_rate_points", value: format!("{points:?}"), rule });
        }
        Ok(Self::Piecewise(points))
    }

    /// The value at `t`.
    pub fn value(&self, t: u64) -> f64 {
        let fraction = |over: u64| if t >= over { 1.0 } else { t as f64 / over as f64 };
        match self {
            Self::Constant(value) => *value,
            Self::Linear { from, to, over } => {
                let f = fraction(*over);
                if f >= 1.0 { *to } else { from + (to - from) * f }
            }
            Self::Cosine { from, to, over } => {
                let f = fraction(*over);
                to + (from - to) * 0.5 * (1.0 + coact_core::math::cos_turn_f64(0.5 * f))
            }
            Self::Exponential { from, rate, floor } => {
                let exponent = i32::try_from(t).unwrap_or(i32::MAX);
                (from * (1.0 - rate).powi(exponent)).max(*floor)
            }
            Self::Piecewise(points) => piecewise_value(points, t),
        }
    }
}

fn piecewise_value(points: &[(u64, f64)], t: u64) -> f64 {
    let next = points.partition_point(|p| p.0 <= t);
    if next == 0 {
        return points[0].1;
    }
    let (t0, v0) = points[next - 1];
    match points.get(next) {
        Some(&(t1, v1)) => v0 + (v1 - v0) * ((t - t0) as f64 / (t1 - t0) as f64),
        None => v0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: &Schedule, table: &[(u64, f64)]) {
        for &(t, expected) in table {
            let value = schedule.value(t);
            assert!((value - expected).abs() < 1e-12, "{schedule:?} at {t}: {value}, expected {expected}");
        }
    }

    #[test]
    fn values_at_quarters() {
        check(&Schedule::Constant(0.3), &[(0, 0.3), (1000, 0.3)]);
        let linear = Schedule::Linear { from: 1.0, to: 0.0, over: 100 };
        check(&linear, &[(0, 1.0), (25, 0.75), (50, 0.5), (100, 0.0), (1000, 0.0)]);
        let cosine = Schedule::Cosine { from: 1.0, to: 0.0, over: 100 };
        check(&cosine, &[(0, 1.0), (25, 0.853_553_390_593_273_8), (50, 0.5), (100, 0.0), (200, 0.0)]);
        let exponential = Schedule::Exponential { from: 1e-3, rate: 1e-3, floor: 1e-5 };
        check(&exponential, &[(0, 1e-3), (1, 9.99e-4), (2, 9.98001e-4), (100_000, 1e-5)]);
        let piecewise = Schedule::piecewise(vec![(10, 1.0), (20, 0.0), (40, 2.0)]).unwrap();
        check(&piecewise, &[(0, 1.0), (10, 1.0), (15, 0.5), (20, 0.0), (30, 1.0), (40, 2.0), (99, 2.0)]);
    }

    #[test]
    fn a_zero_length_is_at_its_end() {
        assert_eq!(Schedule::Linear { from: 1.0, to: 0.1, over: 0 }.value(0), 0.1);
    }

    #[test]
    fn refuses_points_that_do_not_rise() {
        assert!(Schedule::piecewise(vec![]).is_err());
        assert!(Schedule::piecewise(vec![(5, 1.0), (5, 2.0)]).is_err());
    }
}
