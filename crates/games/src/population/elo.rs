//! Elo ratings: the chance that one beats the other is `1 / (1 + 10^((theirs - ours) / 400))`.

use crate::error::{Error, Result};
use crate::exponential::{exp, ln};

/// Points of rating in which odds change by a factor of e: `400 / ln 10`.
const SCALE: f64 = 400.0 / std::f64::consts::LN_10;

/// Expected score of `ours` against `theirs`.
pub fn elo_expected(ours: f64, theirs: f64) -> f64 {
    1.0 / (1.0 + exp((theirs - ours) / SCALE))
}

/// Both ratings after one game with score 1 (won), 0.5 (drawn) or 0 (lost) for `ours`, moved by at most `k`.
pub fn elo_update(ours: f64, theirs: f64, score: f64, k: f64) -> (f64, f64) {
    let by = k * (score - elo_expected(ours, theirs));
    (ours + by, theirs - by)
}

/// Ratings of greatest likelihood, with mean 0, for scores `[n, n]` (points that the row won from the column, over all
/// their games). They are finite if no group of players won every point against the others.
///
/// # Errors
/// If the table does not fit, scores are negative or not finite, or ratings have no finite best.
pub fn elo_fit(n: usize, scores: &[f64]) -> Result<Vec<f64>> {
    if scores.len() != n * n || n == 0 {
        return Err(Error::Shape {
            what: "the table of scores",
            found: scores.len(),
            expected: (n * n).max(1),
        });
    }
    if !scores.iter().all(|s| *s >= 0.0 && s.is_finite()) {
        return Err(Error::invalid("scores must be nonnegative numbers"));
    }
    let beats = |i: usize, j: usize| i != j && scores[i * n + j] > 0.0;
    if !(is_reached(n, beats) && is_reached(n, |i, j| beats(j, i))) {
        let text = "some players never won a point from the others; ratings of greatest likelihood are infinite, \
                    add a drawn game for each pair";
        return Err(Error::invalid(text));
    }
    // Minorization and maximization (Hunter 2004) on strengths, which rises in likelihood with each sweep.
    let mut strengths = vec![1.0f64; n];
    for _ in 0..100_000 {
        let mut change = 0.0f64;
        for i in 0..n {
            let won: f64 = (0..n).filter(|&j| j != i).map(|j| scores[i * n + j]).sum();
            let games = |j: usize| scores[i * n + j] + scores[j * n + i];
            let sum: f64 = (0..n).filter(|&j| j != i).map(|j| games(j) / (strengths[i] + strengths[j])).sum();
            let next = if n == 1 { 1.0 } else { won / sum };
            change = change.max((next / strengths[i] - 1.0).abs());
            strengths[i] = next;
        }
        let mean = exp(strengths.iter().map(|s| ln(*s)).sum::<f64>() / n as f64);
        strengths.iter_mut().for_each(|s| *s /= mean);
        if change < 1e-14 {
            break;
        }
    }
    Ok(strengths.iter().map(|s| SCALE * ln(*s)).collect())
}

/// Whether all are reached from the first along edges.
fn is_reached(n: usize, edge: impl Fn(usize, usize) -> bool) -> bool {
    let mut seen = vec![false; n];
    let mut open = vec![0];
    seen[0] = true;
    while let Some(i) = open.pop() {
        for (j, seen) in seen.iter_mut().enumerate() {
            if !*seen && edge(i, j) {
                *seen = true;
                open.push(j);
            }
        }
    }
    !seen.contains(&false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_say_what_was_scored() {
        assert_eq!(elo_expected(1500.0, 1500.0), 0.5);
        assert!((elo_expected(1900.0, 1500.0) - 10.0 / 11.0).abs() < 1e-12);
        let (a, b) = elo_update(1500.0, 1500.0, 1.0, 32.0);
        assert_eq!((a, b), (1516.0, 1484.0));
        // Two players: the fit reproduces the share of points.
        let fit = elo_fit(2, &[0.0, 75.0, 25.0, 0.0]).unwrap();
        assert!((elo_expected(fit[0], fit[1]) - 0.75).abs() < 1e-12 && (fit[0] + fit[1]).abs() < 1e-9);
        // Three: at the best, each player's expected score equals the real one.
        let scores = [0.0, 6.0, 9.0, 4.0, 0.0, 3.0, 1.0, 7.0, 0.0];
        let fit = elo_fit(3, &scores).unwrap();
        for i in 0..3 {
            let others = || (0..3).filter(|&j| j != i);
            let real: f64 = others().map(|j| scores[i * 3 + j]).sum();
            let expected: f64 = others()
                .map(|j| (scores[i * 3 + j] + scores[j * 3 + i]) * elo_expected(fit[i], fit[j]))
                .sum();
            assert!((real - expected).abs() < 1e-9);
        }
        assert!(elo_fit(2, &[0.0, 5.0, 0.0, 0.0]).is_err() && elo_fit(2, &[1.0]).is_err());
    }
}
