//! Rates that change while something is learned.

use coact_core::math::ln_f64;

use crate::exponential::exp;
use crate::{Error, Result};

/// A rate between 0 and 1 that goes from one number to another over the course of learning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// At the beginning.
    pub start: f64,
    /// At the end.
    pub end: f64,
    /// By equal factors, not by equal differences.
    pub geometric: bool,
}

impl Schedule {
    /// A rate that stays.
    pub const fn constant(rate: f64) -> Self {
        Self { start: rate, end: rate, geometric: false }
    }

    /// Reads `0.1` (constant), `1..0.05` (by equal differences) or `1..0.05:log` (by equal factors).
    ///
    /// # Errors
    /// Text of another form, rates outside 0 to 1, a rate of 0 by equal factors.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = || {
            Error::invalid(format!(
                "`{text}` is no rate; expected a number from 0 to 1 as 0.1, or two as 1..0.05 or (by equal factors, above 0) \
                 1..0.05:log"
            ))
        };
        let (range, geometric) = text.strip_suffix(":log").map_or((text, false), |range| (range, true));
        let (start, end) = range.split_once("..").unwrap_or((range, range));
        let rate = |text: &str| text.trim().parse::<f64>().ok().filter(|x| (0.0..=1.0).contains(x));
        let (Some(start), Some(end)) = (rate(start), rate(end)) else { return Err(fault()) };
        if geometric && (start <= 0.0 || end <= 0.0) {
            return Err(fault());
        }
        Ok(Self { start, end, geometric })
    }

    /// The rate after this share of learning, from 0 to 1.
    pub fn at(&self, share: f64) -> f64 {
        if self.start == self.end {
            return self.start;
        }
        match self.geometric {
            true => self.start * exp(share * ln_f64(self.end / self.start)),
            false => self.start + share * (self.end - self.start),
        }
    }

    /// Whether the rate stays.
    pub fn is_constant(&self) -> bool {
        self.start == self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_go_from_start_to_end() {
        let at = |text: &str, share: f64| Schedule::parse(text).unwrap().at(share);
        assert_eq!([at("0.3", 0.0), at("0.3", 1.0)], [0.3, 0.3]);
        assert_eq!([at("1..0.5", 0.0), at("1..0.5", 0.5), at("1..0.5", 1.0)], [1.0, 0.75, 0.5]);
        assert!(
            (at("1..0.01:log", 0.5) - 0.1).abs() < 1e-15 && (at("1..0.01:log", 1.0) - 0.01).abs() < 1e-15
        );
        assert!(
            Schedule::parse("0.2").unwrap().is_constant() && !Schedule::parse("0..1").unwrap().is_constant()
        );
        for text in
            ["", "2", "-0.1", "0.1..", "..0.1", "1..0:log", "nan", "0.1:log:log", "1..0.5:lin", "1..2"]
        {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
