//! Zero-sum Markov games of two players, solved.
//!
//! Shapley's iteration (1953) replaces the value of each state by the value of its matrix game, `v(s) <- val[r(s) +
//! gamma P(s) v]`, a contraction by `gamma`. Its Newton form (Hoffman and Karp 1966; Pollatschek and Avi-Itzhak 1969) solves all
//! matrix games and then the two strategies' own linear equations; it needs few iterations but may go astray, so that
//! a step that does not reduce the residual as much as Shapley's would is replaced by Shapley's.

use super::MarkovGame;
use super::stage::MatrixGame;
use crate::{Error, Result};

/// Most states whose equations are solved by elimination; above, by sweeps.
const MAX_ELIMINATED: usize = 1500;

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Value iteration.
    Shapley,
    /// Policy iteration of both players.
    Newton,
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Largest allowed distance of the values from the true ones.
    pub tolerance: f64,
    /// Most iterations.
    pub max_iterations: usize,
}

impl Default for Options {
    /// 1e-9 and 100,000 iterations.
    fn default() -> Self {
        Self { tolerance: 1e-9, max_iterations: 100_000 }
    }
}

/// Values and stationary strategies of both players.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Value to the first player `[S]`.
    pub values: Vec<f64>,
    /// Strategy of the first player `[S, A]`.
    pub row: Vec<f64>,
    /// Strategy of the second player `[S, B]`.
    pub column: Vec<f64>,
    /// Residual of each iteration.
    pub residuals: Vec<f64>,
}

/// Solves a zero-sum game.
///
/// # Errors
/// A game that is not zero-sum for two players, `gamma` of 1, or no convergence.
pub fn solve(game: &MarkovGame, form: Form, options: &Options) -> Result<Solution> {
    solve_with(game, form, options, &mut |_, _| {})
}

/// [`solve`], telling `observe` the number and the residual of every iteration.
///
/// # Errors
/// As [`solve`].
pub fn solve_with(
    game: &MarkovGame,
    form: Form,
    options: &Options,
    observe: &mut dyn FnMut(usize, f64),
) -> Result<Solution> {
    if !game.is_zero_sum() {
        return Err(Error::Invalid(
            "the game is not zero-sum for two players; use a learner (nash-q, ce-q, friend-or-foe) instead"
                .into(),
        ));
    }
    if game.gamma() >= 1.0 {
        return Err(Error::Invalid("gamma is 1; Shapley's iteration needs a discount below 1".into()));
    }
    let mut all = Stages::new(game);
    let mut values = vec![0.0; game.n_states()];
    let mut residuals = Vec::new();
    let mut residual = all.solve(game, &values);
    for iteration in 1..=options.max_iterations {
        residuals.push(residual);
        observe(iteration, residual);
        let size = values.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
        let enough = options.tolerance * (1.0 - game.gamma());
        if residual <= enough.max(16.0 * f64::EPSILON * size) {
            return Ok(Solution { values, row: all.row, column: all.column, residuals });
        }
        if form == Form::Newton {
            let candidate = all.policy_values(game, &values)?;
            let shapley = all.values.clone();
            let better = all.solve(game, &candidate);
            if better <= game.gamma() * residual {
                values = candidate;
                residual = better;
                continue;
            }
            values = shapley;
        } else {
            values.copy_from_slice(&all.values);
        }
        residual = all.solve(game, &values);
    }
    Err(Error::Invalid(format!(
        "the Markov game is not solved after {} iterations (residual {residual:.3e}); raise the tolerance or \
         max_iterations",
        options.max_iterations
    )))
}

/// The matrix games of all states, solved for some values.
struct Stages {
    solver: MatrixGame,
    payoff: Vec<f64>,
    /// Value of each matrix game.
    values: Vec<f64>,
    row: Vec<f64>,
    column: Vec<f64>,
}

impl Stages {
    fn new(game: &MarkovGame) -> Self {
        let (s, n) = (game.n_states(), game.n_actions());
        Self {
            solver: MatrixGame::default(),
            payoff: vec![0.0; game.n_joint()],
            values: vec![0.0; s],
            row: vec![0.0; s * n[0]],
            column: vec![0.0; s * n[1]],
        }
    }

    /// Solves all of them; returns the largest difference to `values`.
    fn solve(&mut self, game: &MarkovGame, values: &[f64]) -> f64 {
        let (m, n) = (game.n_actions()[0], game.n_actions()[1]);
        let mut residual = 0.0_f64;
        for state in 0..game.n_states() {
            let (row, column) = (&mut self.row[state * m..][..m], &mut self.column[state * n..][..n]);
            if game.is_terminal(state) {
                self.values[state] = 0.0;
                row.fill(1.0 / m as f64);
                column.fill(1.0 / n as f64);
                continue;
            }
            for (joint, payoff) in self.payoff.iter_mut().enumerate() {
                *payoff = game.action_value(0, state, joint, values);
            }
            self.values[state] = self.solver.solve(&self.payoff, m, n);
            row.copy_from_slice(&self.solver.row);
            column.copy_from_slice(&self.solver.column);
            residual = residual.max((self.values[state] - values[state]).abs());
        }
        residual
    }

    /// Values of both strategies, by elimination or by sweeps from `values`.
    fn policy_values(&self, game: &MarkovGame, values: &[f64]) -> Result<Vec<f64>> {
        let n = game.n_states();
        if n > MAX_ELIMINATED {
            return Ok(self.swept(game, values));
        }
        let mut matrix = vec![0.0; n * n];
        let mut x = vec![0.0; n];
        for state in 0..n {
            matrix[state * n + state] = 1.0;
            if game.is_terminal(state) {
                continue;
            }
            self.each_joint(game, state, |joint, weight| {
                x[state] += weight * game.reward(0, state, joint);
                for (next, prob) in game.outcomes(state, joint).filter(|(next, _)| !game.is_terminal(*next)) {
                    matrix[state * n + next] -= game.gamma() * weight * prob;
                }
            });
        }
        eliminate(&mut matrix, &mut x, n);
        Ok(x)
    }

    fn each_joint(&self, game: &MarkovGame, state: usize, mut f: impl FnMut(usize, f64)) {
        let (m, n) = (game.n_actions()[0], game.n_actions()[1]);
        for a in (0..m).filter(|a| self.row[state * m + a] > 0.0) {
            for b in (0..n).filter(|b| self.column[state * n + b] > 0.0) {
                f(a * n + b, self.row[state * m + a] * self.column[state * n + b]);
            }
        }
    }

    fn swept(&self, game: &MarkovGame, values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        for _ in 0..10_000 {
            let mut change = 0.0_f64;
            for state in (0..game.n_states()).filter(|&s| !game.is_terminal(s)) {
                let mut value = 0.0;
                self.each_joint(game, state, |joint, weight| {
                    value += weight * game.action_value(0, state, joint, &values);
                });
                change = change.max((value - values[state]).abs());
                values[state] = value;
            }
            if change < 1e-14 {
                break;
            }
        }
        values
    }
}

/// Solves `matrix x = x` in place. The matrix is `I - gamma P`, diagonally dominant, so that rows need no exchange.
fn eliminate(matrix: &mut [f64], x: &mut [f64], n: usize) {
    for k in 0..n {
        let (above, below) = matrix.split_at_mut((k + 1) * n);
        let pivot_row = &above[k * n..];
        for (i, row) in below.chunks_exact_mut(n).enumerate() {
            let factor = row[k] / pivot_row[k];
            if factor != 0.0 {
                row[k..].iter_mut().zip(&pivot_row[k..]).for_each(|(a, b)| *a -= factor * b);
                x[k + 1 + i] -= factor * x[k];
            }
        }
    }
    for k in (0..n).rev() {
        let row = &matrix[k * n..][..n];
        let known: f64 = row[k + 1..].iter().zip(&x[k + 1..]).map(|(a, b)| a * b).sum();
        x[k] = (x[k] - known) / row[k];
    }
}
