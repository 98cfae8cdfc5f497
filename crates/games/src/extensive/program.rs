//! The sequence-form linear program (Koller, Megiddo and von Stengel 1996): an equilibrium of a two-player
//! constant-sum game, exactly in rationals or in floats.
//!
//! Variables are the first player's realization plan `x` and one value `v` for each information set of the second. With
//! payoffs shifted so that all of the first player's are positive, it pays neither to hold back probability nor to
//! have negative values, so the program needs inequalities and nonnegative variables only, and zero is feasible:
//!
//! - maximize the value of the second player's root, where
//! - an information set of the first player passes on at most what it receives: `sum x(actions) <= x(parent)`,
//! - each sequence `t` of the second bounds the value of its information set by what it leaves to the first:
//!   `v(t) - sum v(information sets right after t) <= sum A(s, t) x(s)`.
//!
//! Prices of the last rows are the second player's realization plan. Symmetries are folded first
//! (`symmetry.rs`), and the rest is solved densely: for games of up to some hundred different
//! information sets a player.

use num_traits::{One, Zero};

use super::response::assess;
use super::sequence::SequenceForm;
use super::symmetry::Sparse;
use super::{Profile, Tree};
use crate::{Error, Rational, Result, Scalar};

const METHOD: &str = "sequence-form";

/// An optimal solution.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution<T> {
    /// Equilibrium strategies.
    pub profile: Profile<T>,
    /// What the first player expects.
    pub value: T,
    /// Pivots that the program took.
    pub n_pivots: usize,
}

/// Solves a two-player constant-sum game by its sequence-form program.
///
/// # Errors
/// Not two players, payoffs that do not add up to a constant, a player who forgets, a game that is too large, or floats that
/// lose their accuracy.
pub fn solve_program<T: Scalar>(tree: &Tree) -> Result<Solution<T>> {
    if tree.n_players() != 2 {
        let reason = format!("it takes two players, the game has {}; use `cfr`", tree.n_players());
        return Err(Error::DoesNotApply { method: METHOD, reason });
    }
    if tree.constant_sum().is_none() {
        let reason = "payoffs do not add up to a constant; use `cfr` and look at its certificate".into();
        return Err(Error::DoesNotApply { method: METHOD, reason });
    }
    let (low, high) = range(tree);
    // As large as the range, so that small payoffs do not drown in the shift.
    let shift = if low == high { Rational::one() - low } else { high - &low - low };
    let form = SequenceForm::<Rational>::shifted(tree, "the sequence-form program", &shift)?;
    let (first, second) = (form.plan(0), form.plan(1));
    let optimum = program(&form).solve::<T>("the sequence-form program")?;
    let not_negative = |x: &T| if *x < T::zero() { T::zero() } else { x.clone() };
    let x: Vec<T> = optimum.primal[..first.n_sequences()].iter().map(not_negative).collect();
    let prices = &optimum.dual[1 + first.n_infosets()..][..second.n_sequences()];
    let y: Vec<T> = prices.iter().map(not_negative).collect();
    let mut profile = Profile::uniform(tree);
    first.behave(&x, &mut profile);
    second.behave(&y, &mut profile);
    // Plans made from behavior are whole ones, which optimal `x` and `y` need not be where nobody comes.
    let value = assess(tree, &profile)?.values.into_iter().next().unwrap_or_else(T::zero);
    Ok(Solution { profile, value, n_pivots: optimum.n_pivots })
}

/// The first player's smallest and largest sum of payoffs at an end of the game.
fn range(tree: &Tree) -> (Rational, Rational) {
    let mut total: Vec<Rational> = Vec::with_capacity(tree.n_nodes());
    let mut range: Option<(Rational, Rational)> = None;
    for node in 0..tree.n_nodes() {
        let before = tree.parent(node).map_or_else(Rational::zero, |p| total[p].clone());
        let sum = before + &tree.outcomes()[tree.outcome_of(node)].payoffs[0];
        if tree.infoset_of(node).is_none() {
            range = Some(match range {
                None => (sum.clone(), sum.clone()),
                Some((low, high)) => (low.min(sum.clone()), high.max(sum.clone())),
            });
        }
        total.push(sum);
    }
    range.unwrap_or_else(|| (Rational::zero(), Rational::zero()))
}

/// Columns are the first player's sequences, then the values of the second player's root and information sets.
fn program(form: &SequenceForm<Rational>) -> Sparse {
    let (first, second) = (form.plan(0), form.plan(1));
    let (root, one) = (first.n_sequences() as u32, Rational::one());
    let mut objective = vec![Rational::zero(); first.n_sequences() + 1 + second.n_infosets()];
    objective[root as usize] = one.clone();
    let base = 1 + first.n_infosets() as u32;
    let mut bounds = vec![Rational::zero(); base as usize + second.n_sequences()];
    bounds[0] = one.clone();
    let mut entries = vec![(0, 0, one.clone()), (base, root, one.clone())];
    for infoset in 0..first.n_infosets() {
        let row = 1 + infoset as u32;
        entries.push((row, first.parent[infoset], -one.clone()));
        entries.extend(first.sequences(infoset).map(|s| (row, s as u32, one.clone())));
    }
    for infoset in 0..second.n_infosets() {
        let column = root + 1 + infoset as u32;
        entries.push((base + second.parent[infoset], column, -one.clone()));
        entries.extend(second.sequences(infoset).map(|t| (base + t as u32, column, one.clone())));
    }
    entries.extend(form.terms(0).map(|(s, columns, value)| (base + columns[0], s as u32, -value.clone())));
    Sparse { objective, bounds, entries }
}
