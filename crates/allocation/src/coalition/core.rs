//! The core and the least core. The least core divides the worth of all players so that the largest complaint of a
//! coalition, what it is worth less what it gets, is as small as can be; the core is not empty exactly if that is at
//! most 0.
//!
//! The dual of that linear program is solved by a simplex method with one row a player and one for the weights:
//! `max sum w_S v(S) - t v(N)` over weights `w_S >= 0` of proper coalitions that sum to 1 and cover every player
//! equally, `t`. Its columns are never written down: the entering one is the coalition that complains most. The
//! weights (Bondareva and Shapley's balanced collection) prove the result.

use super::CoalitionGame;
use crate::{Error, Result};

/// Pivots after which the search gives up; it takes about as many as there are players.
const MAX_PIVOTS: usize = 10_000;
/// Pivots without progress after which the least coalition enters instead of the one that complains most, which cannot cycle.
const STALL: usize = 50;

/// A division with the smallest largest complaint.
#[derive(Debug, Clone, PartialEq)]
pub struct LeastCore {
    /// What each player gets; sums to the worth of all.
    pub payoffs: Vec<f64>,
    /// The largest complaint: the core is empty exactly if this is above 0.
    pub epsilon: f64,
    /// Coalitions with weights above 0 that prove that no division has a smaller largest complaint: the weights sum to
    /// 1 and cover every player equally.
    pub weights: Vec<(usize, f64)>,
}

impl LeastCore {
    /// Whether the core has a division: `payoffs` is one.
    pub fn core_exists(&self, tolerance: f64) -> bool {
        self.epsilon <= tolerance
    }
}

/// Solves for the least core.
///
/// # Errors
/// [`Error::Invalid`] without players, or if rounding keeps the simplex method from an end.
pub fn least_core(game: &CoalitionGame) -> Result<LeastCore> {
    let n = game.n_players();
    let grand = game.grand();
    match n {
        0 => return Err(Error::invalid("a game without players has no division")),
        1 => {
            let (payoffs, epsilon) = (vec![game.value(grand)], f64::NEG_INFINITY);
            return Ok(LeastCore { payoffs, epsilon, weights: Vec::new() });
        }
        _ => {}
    }
    let scale = (1..=grand).map(|c| game.value(c).abs()).fold(1.0, f64::max);
    // The basis: all single players with equal weights, and t (written as the coalition 0).
    let mut basis: Vec<usize> = (0..n).map(|i| 1 << i).chain([0]).collect();
    let mut weights = vec![1.0 / n as f64; n + 1];
    let (mut best, mut stalled) = (f64::NEG_INFINITY, 0);
    for _ in 0..MAX_PIVOTS {
        let worth: Vec<f64> = basis.iter().map(|&c| worth(game, c)).collect();
        let prices = solve_rows(n, &basis, &worth).ok_or_else(singular)?;
        let (payoffs, epsilon) = (&prices[..n], prices[n]);
        let complaint = |c: usize| game.value(c) - CoalitionGame::share(payoffs, c) - epsilon;
        let mut enters = 0;
        let mut most = 1e-11 * scale;
        for coalition in 1..grand {
            let x = complaint(coalition);
            if x > most {
                (enters, most) = (coalition, x);
                if stalled > STALL {
                    break;
                }
            }
        }
        if enters == 0 {
            let mut weights: Vec<(usize, f64)> =
                basis.iter().copied().zip(weights).filter(|&(c, w)| c != 0 && w > 1e-12).collect();
            weights.sort_unstable_by_key(|w| w.0);
            return Ok(LeastCore { payoffs: payoffs.to_vec(), epsilon, weights });
        }
        let step = solve_columns(n, &basis, &column(n, enters)).ok_or_else(singular)?;
        let ratios = (0..=n).filter(|&k| step[k] > 1e-12).map(|k| (weights[k] / step[k], basis[k], k));
        let leaves = ratios.reduce(|a, b| if (b.0, b.1) < (a.0, a.1) { b } else { a });
        let Some((length, _, at)) = leaves else {
            return Err(singular());
        };
        weights.iter_mut().zip(&step).for_each(|(w, s)| *w = (*w - length * s).max(0.0));
        weights[at] = length;
        basis[at] = enters;
        let total: f64 = basis.iter().zip(&weights).map(|(&c, w)| w * self::worth(game, c)).sum();
        stalled = if total > best + 1e-13 * scale { 0 } else { stalled + 1 };
        best = best.max(total);
    }
    Err(Error::invalid("the least core was not found within its pivots; scale the worths of coalitions"))
}

fn singular() -> Error {
    Error::invalid("the least core cannot be computed: the worths of coalitions differ too much in size")
}

/// What a column of the program is worth; the coalition 0 stands for `t`.
fn worth(game: &CoalitionGame, coalition: usize) -> f64 {
    if coalition == 0 { -game.value(game.grand()) } else { game.value(coalition) }
}

/// A column of the program: its players, and 1 for the sum of weights; `t` takes from every player.
fn column(n: usize, coalition: usize) -> Vec<f64> {
    if coalition == 0 {
        return (0..=n).map(|i| if i < n { -1.0 } else { 0.0 }).collect();
    }
    (0..=n).map(|i| if i == n || coalition >> i & 1 == 1 { 1.0 } else { 0.0 }).collect()
}

/// Prices of the rows at which every column of the basis is worth what it is.
fn solve_rows(n: usize, basis: &[usize], worth: &[f64]) -> Option<Vec<f64>> {
    let rows = basis.iter().map(|&c| column(n, c)).collect();
    solve(rows, worth.to_vec())
}

/// Weights of the columns of the basis that add up to `target`.
fn solve_columns(n: usize, basis: &[usize], target: &[f64]) -> Option<Vec<f64>> {
    let columns: Vec<Vec<f64>> = basis.iter().map(|&c| column(n, c)).collect();
    let rows = (0..=n).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
    solve(rows, target.to_vec())
}

/// Gaussian elimination with row exchanges; `None` for a singular matrix.
fn solve(mut rows: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for k in 0..n {
        let pivot = (k..n).reduce(|a, b| if rows[b][k].abs() > rows[a][k].abs() { b } else { a })?;
        if rows[pivot][k].abs() < 1e-12 {
            return None;
        }
        rows.swap(k, pivot);
        right.swap(k, pivot);
        let (head, tail) = rows.split_at_mut(k + 1);
        let top = &head[k];
        for (row, x) in tail.iter_mut().zip(k + 1..n) {
            let factor = row[k] / top[k];
            if factor != 0.0 {
                row[k..].iter_mut().zip(&top[k..]).for_each(|(a, b)| *a -= factor * b);
                right[x] -= factor * right[k];
            }
        }
    }
    for k in (0..n).rev() {
        let sum: f64 = (k + 1..n).map(|j| rows[k][j] * right[j]).sum();
        right[k] = (right[k] - sum) / rows[k][k];
    }
    Some(right)
}

/// Checks a least core without solving anything: the division sums to the worth of all, no coalition complains more than
/// epsilon, and the weights prove that epsilon cannot be smaller.
///
/// # Errors
/// [`Error::Invalid`] that says what does not hold.
pub fn check_least_core(game: &CoalitionGame, claim: &LeastCore, tolerance: f64) -> Result<()> {
    let wrong = |text: String| Err(Error::invalid(text));
    let (n, grand) = (game.n_players(), game.grand());
    if claim.payoffs.len() != n {
        return wrong(format!("{} payoffs for {n} players", claim.payoffs.len()));
    }
    let differs = |a: f64, b: f64| a.is_nan() || b.is_nan() || (a - b).abs() > tolerance;
    let total: f64 = claim.payoffs.iter().sum();
    if differs(total, game.value(grand)) {
        return wrong(format!("payoffs sum to {total}, all players are worth {}", game.value(grand)));
    }
    for coalition in 1..grand {
        let complaint = game.value(coalition) - CoalitionGame::share(&claim.payoffs, coalition);
        if complaint > claim.epsilon + tolerance {
            return wrong(format!(
                "coalition {coalition:b} complains by {complaint}, claimed {}",
                claim.epsilon
            ));
        }
    }
    if n < 2 {
        return Ok(());
    }
    let covered: Vec<f64> =
        (0..n).map(|i| claim.weights.iter().filter(|w| w.0 >> i & 1 == 1).map(|w| w.1).sum()).collect();
    let sum: f64 = claim.weights.iter().map(|w| w.1).sum();
    let is_proper = claim.weights.iter().all(|&(c, w)| c > 0 && c < grand && w >= 0.0);
    if !is_proper || differs(sum, 1.0) || covered.iter().any(|&c| differs(c, covered[0])) {
        return wrong("the weights are not balanced".to_string());
    }
    let worths: f64 = claim.weights.iter().map(|&(c, w)| w * game.value(c)).sum();
    let bound = worths - covered[0] * game.value(grand);
    if differs(bound, claim.epsilon) {
        return wrong(format!("the weights prove {bound}, claimed is {}", claim.epsilon));
    }
    Ok(())
}
