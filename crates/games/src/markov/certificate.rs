//! Proof of a solution of a zero-sum Markov game, by code that shares nothing with the solver and solves no game.
//!
//! For given values and strategies, each player's strategy must secure the values against every single action of the
//! other, one step ahead. If it misses by at most `gap` anywhere, it misses the values by at most `gap / (1 - gamma)` in
//! the whole game; both together enclose the value of the game.
//!
//! For any number of players and any payoffs, [`assess`] computes what stationary strategies earn and what each player
//! could gain alone: against fixed strategies of the others, a player faces a decision process of its own.

use coact_core::math::ln_f64;

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

/// What stationary strategies of all players earn, and what each could gain alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// Value of each state to each player, `[players][S]`.
    pub values: Vec<Vec<f64>>,
    /// Value of each state to each player if it answers best, `[players][S]`.
    pub best: Vec<Vec<f64>>,
    /// Most that each player could gain from the start by another strategy, stationary or not.
    pub gains: Vec<f64>,
}

impl Assessment {
    /// Sum of the gains.
    pub fn nash_conv(&self) -> f64 {
        self.gains.iter().sum()
    }
}

/// Assesses strategies `[players][S, A]`. Values are within `1e-12` of the largest possible one.
///
/// # Errors
/// Shapes that do not fit, strategies that are not distributions, a game that is not discounted.
pub fn assess(game: &MarkovGame, strategies: &[Vec<f64>]) -> Result<Assessment> {
    if game.gamma() >= 1.0 {
        return Err(Error::invalid("only discounted games have this certificate; give a gamma below 1"));
    }
    let n_states = game.n_states();
    let widths = game.n_actions();
    if strategies.len() != widths.len() {
        return Err(Error::invalid(format!("{} strategies for {} players", strategies.len(), widths.len())));
    }
    for (player, (strategy, &width)) in strategies.iter().zip(widths).enumerate() {
        let fits = strategy.len() == n_states * width
            && strategy
                .chunks_exact(width)
                .all(|p| p.iter().all(|&x| x >= 0.0) && (p.iter().sum::<f64>() - 1.0).abs() <= 1e-9);
        if !fits {
            return Err(Error::invalid(format!(
                "the strategy of player {player} is not {n_states} distributions over {width} actions"
            )));
        }
    }
    let mut found = Assessment { values: Vec::new(), best: Vec::new(), gains: Vec::new() };
    for player in 0..widths.len() {
        let alone = Alone::new(game, strategies, player);
        let own = &strategies[player];
        let mean = |state: usize, q: &[f64]| -> f64 {
            own[state * q.len()..][..q.len()].iter().zip(q).map(|(p, q)| p * q).sum()
        };
        let values = alone.values(game, &mean);
        let best = alone.values(game, &|_, q| q.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let gain: f64 =
            game.start().iter().zip(best.iter().zip(&values)).map(|(p, (b, v))| p * (b - v)).sum();
        found.gains.push(gain.max(0.0));
        found.values.push(values);
        found.best.push(best);
    }
    Ok(found)
}

/// The decision process of one player while the others keep to their strategies.
struct Alone {
    n_actions: usize,
    /// `[S, A]`.
    reward: Vec<f64>,
    /// Next states and probabilities of each `[S, A]`.
    outcomes: Vec<Vec<(usize, f64)>>,
}

impl Alone {
    fn new(game: &MarkovGame, strategies: &[Vec<f64>], player: usize) -> Self {
        let n_actions = game.n_actions()[player];
        let n_rows = game.n_states() * n_actions;
        let mut alone = Self { n_actions, reward: vec![0.0; n_rows], outcomes: vec![Vec::new(); n_rows] };
        for state in (0..game.n_states()).filter(|&s| !game.is_terminal(s)) {
            for joint in 0..game.n_joint() {
                let others = (0..strategies.len()).filter(|&i| i != player);
                let weight: f64 = others
                    .map(|i| strategies[i][state * game.n_actions()[i] + game.action_of(joint, i)])
                    .product();
                if weight == 0.0 {
                    continue;
                }
                let row = state * n_actions + game.action_of(joint, player);
                alone.reward[row] += weight * game.reward(player, state, joint);
                for (next, prob) in game.outcomes(state, joint) {
                    match alone.outcomes[row].iter_mut().find(|(known, _)| *known == next) {
                        Some((_, total)) => *total += weight * prob,
                        None => alone.outcomes[row].push((next, weight * prob)),
                    }
                }
            }
        }
        alone
    }

    /// Values `[S]` by sweeps, where `pick` makes a state's value of its actions'.
    fn values(&self, game: &MarkovGame, pick: &dyn Fn(usize, &[f64]) -> f64) -> Vec<f64> {
        let largest = self.reward.iter().fold(0.0_f64, |a, r| a.max(r.abs())) / (1.0 - game.gamma());
        let enough = 1e-12 * largest * (1.0 - game.gamma());
        let mut values = vec![0.0; game.n_states()];
        let mut q = vec![0.0; self.n_actions];
        // Every sweep shrinks the error by gamma; rounding may keep the last change above `enough`.
        let n_sweeps = (ln_f64(1e-13) / ln_f64(game.gamma().max(1e-3))).ceil() as usize + 2;
        for _ in 0..n_sweeps {
            let mut change = 0.0_f64;
            for state in (0..values.len()).filter(|&s| !game.is_terminal(s)) {
                for (action, q) in q.iter_mut().enumerate() {
                    let row = state * self.n_actions + action;
                    let after: f64 = self.outcomes[row].iter().map(|&(next, p)| p * values[next]).sum();
                    *q = self.reward[row] + game.gamma() * after;
                }
                let value = pick(state, &q);
                change = change.max((value - values[state]).abs());
                values[state] = value;
            }
            if change <= enough {
                break;
            }
        }
        values
    }
}
