//! Iterated elimination of dominated strategies.
//!
//! Strict dominance, by pure or by mixed strategies, leaves the same survivors in any order of elimination. Weak
//! dominance does not; here each round removes, for all players at once, what is dominated at its start.

use crate::error::Result;
use crate::linear::{Program, Relation};
use crate::normal_form::NormalForm;
use crate::scalar::Scalar;

/// What counts as dominated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dominance {
    /// Another strategy earns more against everything.
    Strict,
    /// Another strategy never earns less and somewhere more.
    Weak,
    /// A mixture of other strategies earns more against everything.
    StrictMixed,
}

/// Mixtures must earn this much more, relative to the payoffs' spread, when floats are compared.
const FLOAT_MARGIN: f64 = 1e-9;

/// For each player, the strategies that survive.
///
/// # Errors
/// If floats lose their accuracy in a linear program.
pub fn iterated_dominance<S: Scalar>(game: &NormalForm<S>, dominance: Dominance) -> Result<Vec<Vec<usize>>> {
    let mut alive: Vec<Vec<usize>> = game.shape().iter().map(|&n| (0..n).collect()).collect();
    loop {
        let part = game.restrict(&alive);
        let mut next = Vec::with_capacity(alive.len());
        for (player, strategies) in alive.iter().enumerate() {
            let rows = rows(&part, player);
            let mut keep = Vec::with_capacity(strategies.len());
            for (own, &strategy) in strategies.iter().enumerate() {
                if !is_dominated(&rows, own, dominance)? {
                    keep.push(strategy);
                }
            }
            next.push(keep);
        }
        if next == alive {
            return Ok(alive);
        }
        alive = next;
    }
}

/// For each strategy of a player, the payoffs against everything the others may do.
fn rows<S: Scalar>(game: &NormalForm<S>, player: usize) -> Vec<Vec<S>> {
    let (n, stride) = (game.shape()[player], game.stride(player));
    let mut rows = vec![Vec::with_capacity(game.n_profiles() / n); n];
    for (k, u) in game.table(player).iter().enumerate() {
        rows[k / stride % n].push(u.clone());
    }
    rows
}

fn is_dominated<S: Scalar>(rows: &[Vec<S>], own: usize, dominance: Dominance) -> Result<bool> {
    let mut others = (0..rows.len()).filter(|&k| k != own).map(|k| rows[k].iter().zip(&rows[own]));
    Ok(match dominance {
        Dominance::Strict => others.any(|mut pairs| pairs.all(|(theirs, ours)| theirs > ours)),
        Dominance::Weak => others.any(|pairs| {
            let mut better = false;
            let never_worse = pairs.into_iter().all(|(theirs, ours)| {
                better |= theirs > ours;
                theirs >= ours
            });
            never_worse && better
        }),
        Dominance::StrictMixed => {
            others.any(|mut pairs| pairs.all(|(theirs, ours)| theirs > ours)) || by_mixture(rows, own)?
        }
    })
}

/// Maximizes the least advantage of a mixture of the other strategies.
fn by_mixture<S: Scalar>(rows: &[Vec<S>], own: usize) -> Result<bool> {
    let n = rows.len();
    if n < 3 {
        return Ok(false);
    }
    let mut objective = vec![S::zero(); n];
    objective[own] = S::one();
    // The own variable is the advantage; the others are the mixture.
    let mut program = Program::new(objective);
    program.free[own] = true;
    for (k, ours) in rows[own].iter().enumerate() {
        let mut line: Vec<S> = rows.iter().map(|row| ours.clone() - &row[k]).collect();
        line[own] = S::one();
        program.add(line, Relation::AtMost, S::zero());
    }
    let mut sum = vec![S::one(); n];
    sum[own] = S::zero();
    program.add(sum, Relation::Equal, S::one());
    let advantage = program.solve()?.optimal("the program of mixed dominance")?.value;
    let spread = rows.iter().flatten().map(|u| u.to_float().abs()).fold(0.0, f64::max);
    Ok(advantage > S::zero() && !advantage.is_near_zero(FLOAT_MARGIN * spread))
}
