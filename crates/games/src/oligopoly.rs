//! Firms that compete in quantities (Cournot) or in prices of differentiated goods (Bertrand with logit demand), in closed
//! form, and the games on grids that learners play.

use crate::error::{Error, Result};
use crate::exponential::exp;
use crate::normal_form::NormalForm;
use crate::scalar::{Rational, Scalar};

/// Linear demand `price = intercept - slope * total quantity`, and one cost a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cournot {
    /// Price at which nobody buys.
    pub intercept: f64,
    /// Fall of the price with each unit.
    pub slope: f64,
    /// Cost of a unit.
    pub cost: f64,
}

impl Default for Cournot {
    fn default() -> Self {
        Self { intercept: 100.0, slope: 1.0, cost: 10.0 }
    }
}

impl Cournot {
    /// Each of `n` firms' quantity at equilibrium.
    pub fn nash_quantity(&self, n: usize) -> f64 {
        (self.intercept - self.cost) / (self.slope * (n + 1) as f64)
    }

    /// Profit of all firms together at equilibrium.
    pub fn joint_profit(&self, n: usize) -> f64 {
        let q = self.nash_quantity(n);
        n as f64 * q * (self.intercept - self.slope * n as f64 * q - self.cost)
    }

    /// Quantities of a leader and a follower.
    pub fn leader_and_follower(&self) -> (f64, f64) {
        let monopoly = self.nash_quantity(1);
        (monopoly, monopoly / 2.0)
    }

    /// The game of `n` firms that choose among quantities.
    ///
    /// # Errors
    /// If the game would be too large or a number is not finite.
    pub fn game(&self, n: usize, quantities: &[f64]) -> Result<NormalForm<Rational>> {
        let exact =
            |x: f64| Scalar::from_float(x).ok_or_else(|| Error::invalid("a quantity or cost is not finite"));
        let q: Vec<Rational> = quantities.iter().map(|&q| exact(q)).collect::<Result<_>>()?;
        let (intercept, slope, cost): (Rational, Rational, Rational) =
            (exact(self.intercept)?, exact(self.slope)?, exact(self.cost)?);
        NormalForm::from_fn(&vec![q.len(); n], |profile, player| {
            let total = profile.iter().fold(Rational::from_int(0), |sum, &s| sum + &q[s]);
            &q[profile[player]] * (&intercept - &slope * total - &cost)
        })
    }
}

/// Demand `exp((a - p_i) / mu) / (sum_j exp((a - p_j) / mu) + exp(a0 / mu))` and one cost a unit (Calvano et al. 2020).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bertrand {
    /// Quality of each good.
    pub quality: f64,
    /// Quality of buying nothing.
    pub outside: f64,
    /// Differentiation of goods.
    pub mu: f64,
    /// Cost of a unit.
    pub cost: f64,
    /// Number of firms.
    pub n_firms: usize,
}

impl Default for Bertrand {
    fn default() -> Self {
        Self { quality: 2.0, outside: 0.0, mu: 0.25, cost: 1.0, n_firms: 2 }
    }
}

impl Bertrand {
    /// Profit of firm `own` at these prices.
    pub fn profit(&self, prices: &[f64], own: usize) -> f64 {
        (prices[own] - self.cost) * self.demand(prices, own)
    }

    fn demand(&self, prices: &[f64], own: usize) -> f64 {
        let weight = |p: f64| exp((self.quality - p) / self.mu);
        weight(prices[own]) / (prices.iter().map(|&p| weight(p)).sum::<f64>() + exp(self.outside / self.mu))
    }

    /// The price at which all firms are in equilibrium: the markup is `mu / (1 - own share)`.
    pub fn nash_price(&self) -> f64 {
        self.symmetric_price(|share| 1.0 - share)
    }

    /// The price of greatest joint profit: the markup is `mu / (1 - all firms' share)`.
    pub fn monopoly_price(&self) -> f64 {
        let n = self.n_firms as f64;
        self.symmetric_price(|share| 1.0 - n * share)
    }

    /// Solves `price - cost = mu / rest(share)` by bisection: the left side rises with the price, the right side falls.
    fn symmetric_price(&self, rest: impl Fn(f64) -> f64) -> f64 {
        let (mut low, mut high) = (self.cost, self.cost + 1.0);
        let too_high = |p: f64| (p - self.cost) * rest(self.demand(&vec![p; self.n_firms], 0)) >= self.mu;
        while !too_high(high) && high < 1e9 {
            high = 2.0 * high + 1.0;
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if too_high(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        0.5 * (low + high)
    }

    /// The game on `n` prices from below the equilibrium to above the monopoly, by `xi` of their distance.
    ///
    /// # Errors
    /// If there are fewer than two prices or the game would be too large.
    pub fn game(&self, n: usize, xi: f64) -> Result<(NormalForm<f64>, Vec<f64>)> {
        if n < 2 {
            return Err(Error::invalid("a grid of prices needs at least two"));
        }
        let (nash, monopoly) = (self.nash_price(), self.monopoly_price());
        let (low, high) = (nash - xi * (monopoly - nash), monopoly + xi * (monopoly - nash));
        let grid: Vec<f64> = (0..n).map(|k| low + (high - low) * k as f64 / (n - 1) as f64).collect();
        let game = NormalForm::from_fn(&vec![n; self.n_firms], |profile, player| {
            let prices: Vec<f64> = profile.iter().map(|&s| grid[s]).collect();
            self.profit(&prices, player)
        })?;
        Ok((game, grid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        let cournot = Cournot::default();
        for (n, quantity, profit) in
            [(1, 45.0, 2025.0), (2, 30.0, 1800.0), (3, 22.5, 1518.75), (5, 15.0, 1125.0)]
        {
            assert_eq!((cournot.nash_quantity(n), cournot.joint_profit(n)), (quantity, profit));
        }
        assert_eq!(cournot.leader_and_follower(), (45.0, 22.5));
        let bertrand = Bertrand::default();
        let (nash, monopoly) = (bertrand.nash_price(), bertrand.monopoly_price());
        assert!((nash - 1.472927).abs() < 1e-6 && (monopoly - 1.924981).abs() < 1e-6, "{nash} {monopoly}");
        assert!((bertrand.profit(&[nash; 2], 0) - 0.222927).abs() < 1e-6);
        assert!((bertrand.profit(&[monopoly; 2], 0) - 0.337490).abs() < 1e-6);
    }
}
