//! Support enumeration for bimatrix games: for each pair of supports of equal size, the strategies that make the other
//! player indifferent over theirs, kept where nothing outside the supports earns more.
//!
//! In a nondegenerate game this finds all equilibria. In a degenerate one it lists those whose supports have
//! equal size and whose indifference equations have a single solution.

use crate::equilibrium::lemke_howson::is_sound;
use crate::equilibrium::vertex::sort;
use crate::error::{Error, Result};
use crate::linear_algebra::solve_square;
use crate::normal_form::{Mixed, NormalForm};
use crate::scalar::Scalar;

/// Probabilities this small count as zero in floats.
const FLOAT_ZERO: f64 = 1e-12;

/// All equilibria with supports of equal size. `observe` hears the number of pairs of supports tried, now and then,
/// and stops the search by saying false.
///
/// # Errors
/// If the game has another number of players than two, or the search was stopped.
pub fn support_enumeration<S: Scalar>(
    game: &NormalForm<S>,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<Mixed<S>>> {
    let &[m, n] = game.shape() else {
        let reason = format!("it needs two players and the game has {}", game.n_players());
        return Err(Error::DoesNotApply { method: "supports", reason });
    };
    let (a, b) = (game.table(0), game.table(1));
    // Payoffs of the player who must be indifferent, as [own, other].
    let of_column: Vec<S> = (0..n * m).map(|k| b[(k % m) * n + k / m].clone()).collect();
    let mut equilibria: Vec<Mixed<S>> = Vec::new();
    let mut tried = 0;
    for size in 1..=m.min(n) {
        let mut rows: Vec<usize> = (0..size).collect();
        loop {
            let mut columns: Vec<usize> = (0..size).collect();
            loop {
                tried += 1;
                if tried % 4096 == 0 && !observe(tried) {
                    return Err(Error::Stopped { what: "support enumeration", after: tried });
                }
                let y = indifferent(a, n, &rows, &columns);
                let x = y.as_ref().and_then(|_| indifferent(&of_column, m, &columns, &rows));
                if let (Some(x), Some(y)) = (x, y) {
                    let mixed = vec![x, y];
                    if is_equilibrium(game, &mixed) && !equilibria.contains(&mixed) {
                        equilibria.push(mixed);
                    }
                }
                if !next_subset(&mut columns, n) {
                    break;
                }
            }
            if !next_subset(&mut rows, m) {
                break;
            }
        }
    }
    sort(&mut equilibria);
    Ok(equilibria)
}

fn is_equilibrium<S: Scalar>(game: &NormalForm<S>, mixed: &Mixed<S>) -> bool {
    match S::EXACT {
        true => game.nash_conv(mixed).is_zero(),
        false => is_sound(game, mixed),
    }
}

/// The mixture over `other` (of `n`), all of it played, that makes all of `own` earn the same.
fn indifferent<S: Scalar>(payoffs: &[S], n: usize, own: &[usize], other: &[usize]) -> Option<Vec<S>> {
    let k = own.len();
    // Unknown: k probabilities. Rows: differences to the first strategy, and the sum.
    let mut matrix = Vec::with_capacity(k * k);
    for &i in &own[1..] {
        matrix.extend(other.iter().map(|&j| payoffs[i * n + j].clone() - &payoffs[own[0] * n + j]));
    }
    matrix.extend(std::iter::repeat_n(S::one(), k));
    let mut right = vec![S::zero(); k];
    right[k - 1] = S::one();
    let weights = solve_square(k, &mut matrix, &mut right).then_some(right)?;
    if weights.iter().any(|w| *w <= S::zero() || w.is_near_zero(FLOAT_ZERO)) {
        return None;
    }
    let mut mixture = vec![S::zero(); n];
    other.iter().zip(weights).for_each(|(&j, w)| mixture[j] = w);
    Some(mixture)
}

/// The next subset of `0..n` of the same size, in lexicographic order; false after the last.
pub(crate) fn next_subset(subset: &mut [usize], n: usize) -> bool {
    let k = subset.len();
    let Some(turn) = (0..k).rev().find(|&i| subset[i] < n - k + i) else { return false };
    subset[turn] += 1;
    for i in turn + 1..k {
        subset[i] = subset[i - 1] + 1;
    }
    true
}
