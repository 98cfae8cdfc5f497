//! Proof of a solution of a zero-sum Markov game, by code that shares nothing with the solver and solves no game.
//!
//! For given values and strategies, each player's strategy must secure the values against every single action of the
//! other, one step ahead. If it misses by at most `gap` anywhere, it misses the values by at most `gap / (1 - gamma)` in
//! the whole game; both together enclose the value of the game.

use super::MarkovGame;
use crate::{Error, Result};

/// How far the strategies miss the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certificate {
    /// Most by which the first player's strategy secures less than the values, one step ahead.
    pub row_gap: f64,
    /// Most by which the second player's strategy concedes more.
    pub column_gap: f64,
    /// Largest possible distance of the values from the true ones, and of either strategy from its optimum.
    pub bound: f64,
}

/// Computes the certificate of values `[S]` and strategies `[S, A]` and `[S, B]`.
///
/// # Errors
/// Shapes that do not fit, strategies that are not distributions, a game that is not zero-sum for two players or not
/// discounted.
pub fn certify(game: &MarkovGame, values: &[f64], row: &[f64], column: &[f64]) -> Result<Certificate> {
    let n_states = game.n_states();
    let &[m, n] = game.n_actions() else {
        return Err(Error::Invalid("only games of two players have this certificate".into()));
    };
    if !game.is_zero_sum() || game.gamma() >= 1.0 {
        return Err(Error::Invalid("only discounted zero-sum games have this certificate".into()));
    }
    if values.len() != n_states || row.len() != n_states * m || column.len() != n_states * n {
        return Err(Error::Invalid(format!(
            "{} values and strategies of {} and {} numbers do not fit {n_states} states and {m} x {n} actions",
            values.len(),
            row.len(),
            column.len()
        )));
    }
    for (who, strategy, width) in [("first", row, m), ("second", column, n)] {
        for (state, p) in strategy.chunks_exact(width).enumerate() {
            let sum: f64 = p.iter().sum();
            if p.iter().any(|&x| x.is_nan() || x < 0.0) || (sum - 1.0).abs() > 1e-9 {
                return Err(Error::Invalid(format!(
                    "the {who} player's strategy in state {state} is {p:?}; expected probabilities that sum to 1"
                )));
            }
        }
    }
    let (mut row_gap, mut column_gap) = (0.0_f64, 0.0_f64);
    for state in 0..n_states {
        if game.is_terminal(state) {
            if values[state] != 0.0 {
                return Err(Error::Invalid(format!(
                    "terminal state {state} has value {}, not 0",
                    values[state]
                )));
            }
            continue;
        }
        let q = |a: usize, b: usize| -> f64 {
            let joint = a * n + b;
            let mut total = game.reward(0, state, joint);
            for (next, prob) in game.outcomes(state, joint) {
                total += game.gamma() * prob * values[next];
            }
            total
        };
        for b in 0..n {
            let secured: f64 = (0..m).map(|a| row[state * m + a] * q(a, b)).sum();
            row_gap = row_gap.max(values[state] - secured);
        }
        for a in 0..m {
            let conceded: f64 = (0..n).map(|b| column[state * n + b] * q(a, b)).sum();
            column_gap = column_gap.max(conceded - values[state]);
        }
    }
    if !(row_gap.is_finite() && column_gap.is_finite()) {
        return Err(Error::Invalid("a value is not finite".into()));
    }
    Ok(Certificate { row_gap, column_gap, bound: row_gap.max(column_gap) / (1.0 - game.gamma()) })
}
