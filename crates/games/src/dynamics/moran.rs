//! The Moran process: in a finite population one individual at a time reproduces, in proportion to fitness, and its
//! offspring replaces another at random, until one strategy is alone (Moran 1958; Nowak et al. 2004).
//!
//! Two strategies meet, residents and mutants. The probability that `i` mutants take over is computed in closed form,
//! in logarithms, so that no strength of selection overflows.

use coact_core::Stream;

use crate::error::{Error, Result};
use crate::exponential::{exp, ln, log_add};

/// How payoff becomes fitness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Selection {
    /// `exp(strength * payoff)`.
    Exponential(f64),
    /// `1 - strength + strength * payoff`, which must stay positive.
    Linear(f64),
}

/// Payoffs `[mutant vs mutant, mutant vs resident, resident vs mutant, resident vs resident]` averaged over the others of a
/// population of `n` with `i` mutants: mutant's, then resident's.
fn payoffs(game: &[f64; 4], n: usize, i: usize) -> (f64, f64) {
    let [mm, mr, rm, rr] = *game;
    let (i, n) = (i as f64, n as f64);
    let mutant = ((i - 1.0) * mm + (n - i) * mr) / (n - 1.0);
    let resident = (i * rm + (n - i - 1.0) * rr) / (n - 1.0);
    (mutant, resident)
}

/// `ln(resident's fitness / mutant's fitness)`.
fn log_ratio(game: &[f64; 4], n: usize, i: usize, selection: Selection) -> Result<f64> {
    let (mutant, resident) = payoffs(game, n, i);
    match selection {
        Selection::Exponential(strength) => Ok(strength * (resident - mutant)),
        Selection::Linear(strength) => {
            let fitness = |payoff: f64| 1.0 - strength + strength * payoff;
            let (m, r) = (fitness(mutant), fitness(resident));
            if !(m > 0.0 && r > 0.0) {
                let text =
                    format!("fitness is {m} and {r} with {i} mutants; lower the strength of selection");
                return Err(Error::invalid(text));
            }
            Ok(ln(r) - ln(m))
        }
    }
}

/// Logarithm of the probability that `start` mutants among `n` take over; finite for any strength of selection.
///
/// # Errors
/// If `start` is not in `1..n` or fitness is not positive.
pub fn fixation_log_probability(
    game: &[f64; 4],
    n: usize,
    start: usize,
    selection: Selection,
) -> Result<f64> {
    if start == 0 || start >= n || !game.iter().all(|u| u.is_finite()) {
        return Err(Error::invalid(format!("{start} mutants among {n}; both kinds must be there at first")));
    }
    // With g(i) = sum of log ratios up to i: ln sum_{i<start} e^{g(i)} - ln sum_{i<n} e^{g(i)}.
    let (mut term, mut sum, mut taken) = (0.0, 0.0, 0.0);
    for i in 1..n {
        if i == start {
            taken = sum;
        }
        term += log_ratio(game, n, i, selection)?;
        sum = log_add(sum, term);
    }
    Ok(taken - sum)
}

/// Probability that `start` mutants among `n` take over.
///
/// # Errors
/// See [`fixation_log_probability`].
pub fn fixation_probability(game: &[f64; 4], n: usize, start: usize, selection: Selection) -> Result<f64> {
    fixation_log_probability(game, n, start, selection).map(exp)
}

/// Plays the process once. True if the mutants take over.
///
/// # Errors
/// See [`fixation_log_probability`].
pub fn simulate_fixation(
    game: &[f64; 4],
    n: usize,
    start: usize,
    selection: Selection,
    stream: &mut Stream,
) -> Result<bool> {
    fixation_log_probability(game, n, start, selection)?;
    let mut i = start;
    while i > 0 && i < n {
        let ratio = exp(log_ratio(game, n, i, selection)?);
        let mutants = i as f64;
        let residents = (n - i) as f64;
        let mutant_born = stream.uniform_f64() * (mutants + residents * ratio) < mutants;
        let mutant_dies = stream.uniform_f64() * n as f64 <= mutants;
        match (mutant_born, mutant_dies) {
            (true, false) => i += 1,
            (false, true) => i -= 1,
            _ => {}
        }
    }
    Ok(i == n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        let neutral = fixation_probability(&[1.0; 4], 10, 3, Selection::Exponential(5.0)).unwrap();
        assert!((neutral - 0.3).abs() < 1e-14);
        // Constant fitness r: (1 - 1/r) / (1 - 1/r^n).
        let r: f64 = 1.7;
        let constant = fixation_probability(&[r, r, 1.0, 1.0], 20, 1, Selection::Linear(1.0)).unwrap();
        assert!((constant - (1.0 - 1.0 / r) / (1.0 - r.powi(-20))).abs() < 1e-14);
        let hopeless =
            fixation_log_probability(&[0.0, 0.0, 1.0, 1.0], 100, 1, Selection::Exponential(1e6)).unwrap();
        assert!((hopeless + 99e6).abs() < 1.0);
        assert!(fixation_probability(&[0.0; 4], 5, 0, Selection::Linear(0.1)).is_err());
        assert!(fixation_probability(&[-9.0; 4], 5, 1, Selection::Linear(0.5)).is_err());
    }

    #[test]
    fn simulation_agrees() {
        let game = [1.0, 3.0, 0.0, 2.0];
        let expected = fixation_probability(&game, 8, 2, Selection::Exponential(0.3)).unwrap();
        let mut stream = Stream::new(5, coact_core::Purpose::Eval, 0, 0);
        let n = 4000;
        let mut won = 0;
        for _ in 0..n {
            won +=
                u32::from(simulate_fixation(&game, 8, 2, Selection::Exponential(0.3), &mut stream).unwrap());
        }
        let found = f64::from(won) / f64::from(n);
        // Four standard errors.
        assert!((found - expected).abs() < 4.0 * (expected * (1.0 - expected) / f64::from(n)).sqrt());
    }
}
