//! Rubinstein's alternating offers (1982): two parties divide a cake that melts with each refusal, by their
//! discount factors. The subgame-perfect division, and that of finitely many rounds, which tends to it.

use crate::{Error, Result};

/// The share of the one who offers first, for discount factors of the first and the second party.
///
/// # Errors
/// [`Error::Invalid`] unless both lie in `[0, 1)`, or one of them is 1.
pub fn first_share(first: f64, second: f64) -> Result<f64> {
    check(first, second)?;
    if first == 1.0 && second == 1.0 {
        return Err(Error::invalid(
            "two parties that never tire divide the cake in any way: make one impatient",
        ));
    }
    Ok((1.0 - second) / (1.0 - first * second))
}

/// The share of the one who offers first when after `n_rounds` offers both get nothing, by backward induction.
///
/// # Errors
/// [`Error::Invalid`] unless both factors lie in `[0, 1]` and there is a round.
pub fn first_share_in(first: f64, second: f64, n_rounds: usize) -> Result<f64> {
    check(first, second)?;
    if n_rounds == 0 {
        return Err(Error::invalid("no rounds: expected at least one offer"));
    }
    // What the one who offers keeps, from the last round back: all there, and all but what the other is ready to wait for
    // before.
    let factor_of_responder = |round: usize| if round.is_multiple_of(2) { second } else { first };
    Ok((0..n_rounds - 1).rev().fold(1.0, |keeps, round| 1.0 - factor_of_responder(round) * keeps))
}

fn check(first: f64, second: f64) -> Result<()> {
    match [first, second].into_iter().find(|factor| !(0.0..=1.0).contains(factor)) {
        Some(factor) => {
            Err(Error::invalid(format!("a discount factor of {factor}: expected one from 0 to 1")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_theory() {
        for (first, second, share) in [(0.9, 0.8, 0.714_286), (0.95, 0.9, 0.689_655), (0.5, 0.5, 2.0 / 3.0)] {
            assert!((first_share(first, second).unwrap() - share).abs() < 1e-6);
            let finite = first_share_in(first, second, 400).unwrap();
            assert!((finite - first_share(first, second).unwrap()).abs() < 1e-9);
        }
        assert_eq!(first_share_in(0.9, 0.8, 1).unwrap(), 1.0);
        assert!((first_share_in(0.9, 0.8, 2).unwrap() - 0.2).abs() < 1e-12);
        // The responder of the first of three rounds would offer in the second.
        assert!((first_share_in(0.9, 0.8, 3).unwrap() - (1.0 - 0.8 * (1.0 - 0.9))).abs() < 1e-12);
        assert!(
            first_share(1.0, 1.0).is_err()
                && first_share(1.1, 0.5).is_err()
                && first_share(f64::NAN, 0.5).is_err()
        );
        assert!(first_share_in(0.5, 0.5, 0).is_err());
    }
}
