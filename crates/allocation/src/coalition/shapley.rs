//! The Shapley value: what a player adds to those before it, on average over all orders.

use coact_core::rng::{Purpose, Stream};

use super::CoalitionGame;
use crate::{Error, Result};

/// The Shapley value of every player, exact, in `O(2^n n)`.
pub fn shapley_value(game: &CoalitionGame) -> Vec<f64> {
    let n = game.n_players();
    // weights[s] = s! (n - s - 1)! / n!: the share of orders in which exactly a given set of s comes before.
    let mut weights = vec![0.0; n];
    for s in 0..n {
        weights[s] = if s == 0 { 1.0 / n as f64 } else { weights[s - 1] * s as f64 / (n - s) as f64 };
    }
    let mut out = vec![0.0; n];
    for coalition in 0..game.grand() {
        let weight = weights[coalition.count_ones() as usize];
        let value = game.value(coalition);
        for (i, share) in out.iter_mut().enumerate().filter(|(i, _)| coalition >> i & 1 == 0) {
            *share += weight * (game.value(coalition | 1 << i) - value);
        }
    }
    out
}

/// An estimate of the Shapley value.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledShapley {
    /// Mean of what each player added; they sum to the worth of all players.
    pub values: Vec<f64>,
    /// Standard error of each mean.
    pub standard_errors: Vec<f64>,
    /// Orders drawn.
    pub n_orders: usize,
}

impl SampledShapley {
    /// Half-width of an interval around each value that misses the truth with probability `delta` at most, by
    /// Hoeffding's inequality, if what a player adds spans `range` at most. Holds for any number of orders.
    pub fn error_bound(&self, range: f64, delta: f64) -> f64 {
        range * (coact_core::math::ln_f64(2.0 / delta) / (2.0 * self.n_orders as f64)).sqrt()
    }
}

/// Estimates the Shapley value from random orders of the players; `value` is asked for growing sets, given as flags.
/// Any number of players.
///
/// # Errors
/// [`Error::Invalid`] without orders.
pub fn shapley_value_sampled(
    n_players: usize,
    n_orders: usize,
    seed: u64,
    mut value: impl FnMut(&[bool]) -> f64,
) -> Result<SampledShapley> {
    if n_orders == 0 || n_players > u32::MAX as usize {
        return Err(Error::invalid("sampling needs at least one order, and fewer than 2^32 players"));
    }
    let (mut sums, mut squares) = (vec![0.0; n_players], vec![0.0; n_players]);
    let mut order: Vec<usize> = (0..n_players).collect();
    let mut inside = vec![false; n_players];
    for at in 0..n_orders {
        let mut stream = Stream::new(seed, Purpose::Bootstrap, 0, at as u64);
        for i in (1..n_players).rev() {
            order.swap(i, stream.below(i as u32 + 1) as usize);
        }
        inside.fill(false);
        let mut before = 0.0;
        for &player in &order {
            inside[player] = true;
            let after = value(&inside);
            sums[player] += after - before;
            squares[player] += (after - before).powi(2);
            before = after;
        }
    }
    let n = n_orders as f64;
    let error = |(&sum, &square): (&f64, &f64)| {
        let variance = (square - sum * sum / n).max(0.0) / (n - 1.0).max(1.0);
        (variance / n).sqrt()
    };
    let standard_errors = sums.iter().zip(&squares).map(error).collect();
    let values = sums.iter().map(|sum| sum / n).collect();
    Ok(SampledShapley { values, standard_errors, n_orders })
}
