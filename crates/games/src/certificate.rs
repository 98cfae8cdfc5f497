//! Checks of answers, apart from the solvers: each reads the game's payoffs and the answer, and computes from the
//! definition what anyone could still gain. Nothing here pivots, and no solver is called.

use crate::error::{Error, Result};
use crate::normal_form::{Mixed, NormalForm};
use crate::scalar::Scalar;

/// Payoff of a pure profile, found without the game's own arithmetic of indices.
fn payoff<'a, S: Scalar>(game: &'a NormalForm<S>, profile: &[usize], player: usize) -> &'a S {
    let mut place = 0;
    for (i, &s) in profile.iter().enumerate() {
        place = place * game.shape()[i] + s;
    }
    &game.table(player)[place]
}

/// Calls `visit` with each pure profile and its probability, where that is not zero, leaving out the probability of
/// `skip`, whose strategies all count.
fn each_profile<S: Scalar>(
    shape: &[usize],
    mixed: &Mixed<S>,
    skip: Option<usize>,
    visit: &mut dyn FnMut(&[usize], &S),
) {
    let choices: Vec<Vec<usize>> = (0..shape.len())
        .map(|i| (0..shape[i]).filter(|&s| skip == Some(i) || !mixed[i][s].is_zero()).collect())
        .collect();
    if choices.iter().any(Vec::is_empty) {
        return;
    }
    let mut counters = vec![0; shape.len()];
    let mut profile: Vec<usize> = choices.iter().map(|c| c[0]).collect();
    loop {
        let weights = (0..shape.len()).filter(|&i| skip != Some(i)).map(|i| &mixed[i][profile[i]]);
        let weight = weights.fold(S::one(), |product, p| product * p);
        visit(&profile, &weight);
        let Some(turn) = (0..shape.len()).rev().find(|&i| counters[i] + 1 < choices[i].len()) else { return };
        counters[turn] += 1;
        counters[turn + 1..].fill(0);
        (turn..shape.len()).for_each(|i| profile[i] = choices[i][counters[i]]);
    }
}

/// Whether a list is a probability distribution: nonnegative and of sum one (floats: within `1e-9`).
pub fn is_distribution<S: Scalar>(list: &[S]) -> bool {
    let sum = list.iter().fold(S::zero(), |sum, p| sum + p);
    list.iter().all(|p| *p >= S::zero()) && (sum - &S::one()).is_near_zero(1e-9)
}

/// Whether a list holds one distribution a player, each over that player's strategies.
///
/// # Errors
/// What is wrong, in one line.
pub fn check_mixed<S: Scalar>(game: &NormalForm<S>, mixed: &Mixed<S>) -> Result<()> {
    if mixed.len() != game.n_players() {
        let (found, expected) = (mixed.len(), game.n_players());
        return Err(Error::Shape { what: "a profile of mixed strategies", found, expected });
    }
    for (player, x) in mixed.iter().enumerate() {
        let expected = game.shape()[player];
        if x.len() != expected {
            return Err(Error::Shape { what: "a mixed strategy", found: x.len(), expected });
        }
        if !is_distribution(x) {
            let text = format!(
                "the probabilities of player {} are not nonnegative with sum 1; normalize them",
                player + 1
            );
            return Err(Error::invalid(text));
        }
    }
    Ok(())
}

/// For each player, what the best deviation from a mixed profile gains. All zero exactly at a Nash equilibrium.
///
/// # Panics
/// If the profile does not fit the game.
pub fn gains<S: Scalar>(game: &NormalForm<S>, mixed: &Mixed<S>) -> Vec<S> {
    let shape = game.shape();
    let gain = |player: usize| {
        let mut earned = vec![S::zero(); shape[player]];
        each_profile(shape, mixed, Some(player), &mut |profile, weight| {
            let sum = &mut earned[profile[player]];
            *sum = std::mem::replace(sum, S::zero()) + &(weight.clone() * payoff(game, profile, player));
        });
        let own = earned.iter().zip(&mixed[player]);
        let value = own.fold(S::zero(), |sum, (u, p)| sum + &(u.clone() * p));
        let best = earned.into_iter().reduce(|a, b| if b > a { b } else { a });
        best.map_or_else(S::zero, |best| best - &value)
    };
    (0..game.n_players()).map(gain).collect()
}

/// For each player, the expected payoff of a mixed profile.
///
/// # Panics
/// If the profile does not fit the game.
pub fn values<S: Scalar>(game: &NormalForm<S>, mixed: &Mixed<S>) -> Vec<S> {
    let mut values = vec![S::zero(); game.n_players()];
    each_profile(game.shape(), mixed, None, &mut |profile, weight| {
        for (player, value) in values.iter_mut().enumerate() {
            let term = weight.clone() * payoff(game, profile, player);
            *value = std::mem::replace(value, S::zero()) + &term;
        }
    });
    values
}

/// For a zero-sum game: what the row strategy earns at least and the column strategy gives away at most. Equal exactly
/// where both are optimal, and then both are the game's value.
///
/// # Panics
/// If the strategies do not fit the table `[x.len(), y.len()]`.
pub fn zero_sum_bounds<S: Scalar>(table: &[S], x: &[S], y: &[S]) -> (S, S) {
    assert_eq!(table.len(), x.len() * y.len(), "a [{}, {}] table", x.len(), y.len());
    let n = y.len();
    let dot = |terms: &mut dyn Iterator<Item = (&S, &S)>| {
        terms.fold(S::zero(), |sum, (a, b)| sum + &(a.clone() * b))
    };
    let columns = (0..n).map(|j| dot(&mut table.iter().skip(j).step_by(n).zip(x)));
    let rows = table.chunks_exact(n).map(|row| dot(&mut row.iter().zip(y)));
    let low = columns.reduce(|a, b| if b < a { b } else { a });
    let high = rows.reduce(|a, b| if b > a { b } else { a });
    (low.unwrap_or_else(S::zero), high.unwrap_or_else(S::zero))
}

/// For a correlated equilibrium `joint` over profiles (in the order of the tables): the largest gain, over players,
/// from playing another strategy than the one recommended, weighted by how often it is recommended. At most
/// zero exactly at a correlated equilibrium.
///
/// # Panics
/// If the distribution does not fit the game.
pub fn correlated_gain<S: Scalar>(game: &NormalForm<S>, joint: &[S]) -> S {
    deviation_gain(game, joint, true)
}

/// The same where a player must decide whether to deviate before the recommendation is heard.
///
/// # Panics
/// If the distribution does not fit the game.
pub fn coarse_correlated_gain<S: Scalar>(game: &NormalForm<S>, joint: &[S]) -> S {
    deviation_gain(game, joint, false)
}

fn deviation_gain<S: Scalar>(game: &NormalForm<S>, joint: &[S], heard: bool) -> S {
    assert_eq!(joint.len(), game.n_profiles(), "a distribution over profiles");
    let shape = game.shape();
    let mut worst = S::zero();
    for player in 0..shape.len() {
        let n = shape[player];
        // Gains [recommended or all, deviation].
        let mut gains = vec![S::zero(); n * n];
        let mut rest = vec![0; shape.len()];
        for weight in joint {
            if !weight.is_zero() {
                let told = rest[player];
                let base = payoff(game, &rest, player).clone();
                let mut other = rest.clone();
                for deviation in 0..n {
                    other[player] = deviation;
                    let more = payoff(game, &other, player).clone() - &base;
                    let sum = &mut gains[if heard { told * n } else { 0 } + deviation];
                    *sum = std::mem::replace(sum, S::zero()) + &(more * weight);
                }
            }
            for i in (0..shape.len()).rev() {
                rest[i] += 1;
                if rest[i] < shape[i] {
                    break;
                }
                rest[i] = 0;
            }
        }
        worst = gains.into_iter().fold(worst, |a, b| if b > a { b } else { a });
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Rational, ratio};

    fn chicken() -> NormalForm<Rational> {
        let list = |x: [i64; 4]| x.iter().map(|&x| ratio(x, 1)).collect();
        NormalForm::bimatrix(2, 2, list([6, 2, 7, 0]), list([6, 7, 2, 0])).unwrap()
    }

    #[test]
    fn gains_are_what_a_deviation_earns() {
        let game = chicken();
        let mixed = vec![vec![ratio(1, 2), ratio(1, 2)], vec![ratio(1, 1), ratio(0, 1)]];
        assert_eq!(gains(&game, &mixed), [ratio(1, 2), ratio(0, 1)]);
        assert_eq!(values(&game, &mixed), [ratio(13, 2), ratio(4, 1)]);
        let third = || vec![ratio(2, 3), ratio(1, 3)];
        assert_eq!(gains(&game, &vec![third(), third()]), [ratio(0, 1), ratio(0, 1)]);
    }

    #[test]
    fn correlation_is_judged_by_both_definitions() {
        let game = chicken();
        let joint = [ratio(1, 2), ratio(1, 4), ratio(1, 4), ratio(0, 1)];
        assert_eq!(correlated_gain(&game, &joint), ratio(0, 1));
        let both_dare = [ratio(0, 1), ratio(0, 1), ratio(0, 1), ratio(1, 1)];
        assert_eq!(correlated_gain(&game, &both_dare), ratio(2, 1));
        let fair = [ratio(1, 1), ratio(0, 1), ratio(0, 1), ratio(0, 1)];
        assert_eq!(correlated_gain(&game, &fair), ratio(1, 1));
        assert_eq!(coarse_correlated_gain(&game, &fair), ratio(1, 1));
    }

    #[test]
    fn distributions_are_told_from_other_lists() {
        assert!(is_distribution(&[0.25, 0.75]) && !is_distribution(&[0.5, 0.4]));
        assert!(!is_distribution(&[1.5, -0.5]) && !is_distribution(&[ratio(1, 3), ratio(1, 3)]));
        assert!(check_mixed(&chicken(), &vec![vec![ratio(1, 1)], vec![]]).is_err());
    }
}
