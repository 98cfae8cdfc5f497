//! The sequence-form linear program (Koller, Megiddo and von Stengel 1996): an equilibrium of a two-player
//! constant-sum game, exactly in rationals or in floats.
//!
//! Variables are the first player's realization plan and one value for each information set of the second; rows
//! say that the plan is one and that values are no more than any action of the second player leaves. Their prices are
//! the second player's plan. Dense, so for games of up to some hundred information sets a player.

use super::sequence::{Plan, SequenceForm};
use super::{Profile, Tree};
use crate::linear::{Program, Relation};
use crate::{Error, Result, Scalar};

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
/// Not two players, payoffs that do not add up to a constant, a player who forgets, or floats that lose their accuracy.
pub fn solve_program<T: Scalar>(tree: &Tree) -> Result<Solution<T>> {
    const METHOD: &str = "sequence-form";
    if tree.n_players() != 2 {
        let reason = format!("it takes two players, the game has {}; use `cfr`", tree.n_players());
        return Err(Error::DoesNotApply { method: METHOD, reason });
    }
    if tree.constant_sum().is_none() {
        let reason = "payoffs do not add up to a constant; use `cfr` and look at its certificate".into();
        return Err(Error::DoesNotApply { method: METHOD, reason });
    }
    let form = SequenceForm::<T>::new(tree, "the sequence-form program")?;
    let optimum = program(&form).solve()?.optimal("the sequence-form program")?;
    let (first, second) = (form.plan(0), form.plan(1));
    let not_negative = |x: &T| if *x < T::zero() { T::zero() } else { x.clone() };
    let x: Vec<T> = optimum.primal[..first.n_sequences()].iter().map(not_negative).collect();
    let prices = &optimum.dual[1 + first.n_infosets()..][..second.n_sequences()];
    let y: Vec<T> = prices.iter().map(not_negative).collect();
    let mut profile = Profile::uniform(tree);
    first.behave(&x, &mut profile);
    second.behave(&y, &mut profile);
    Ok(Solution { profile, value: optimum.value, n_pivots: optimum.n_pivots })
}

/// Maximizes the value of the root; columns are the first player's sequences, then the root and the information sets of the
/// second.
fn program<T: Scalar>(form: &SequenceForm<T>) -> Program<T> {
    let (first, second) = (form.plan(0), form.plan(1));
    let n_sequences = first.n_sequences();
    let n = n_sequences + 1 + second.n_infosets();
    let row = || vec![T::zero(); n];
    let mut objective = row();
    objective[n_sequences] = T::one();
    let mut program = Program::new(objective);
    program.free[n_sequences..].fill(true);
    let mut start = row();
    start[0] = T::one();
    program.add(start, Relation::Equal, T::one());
    for infoset in 0..first.n_infosets() {
        let mut split = row();
        split[first.parent[infoset] as usize] = -T::one();
        first.sequences(infoset).for_each(|s| split[s] = T::one());
        program.add(split, Relation::Equal, T::zero());
    }
    let mut leaves: Vec<Vec<T>> =
        (0..second.n_sequences()).map(|t| after(second, t, n_sequences, n)).collect();
    for (s, columns, value) in form.terms(0) {
        leaves[columns[0] as usize][s] = -value.clone();
    }
    for row in leaves {
        program.add(row, Relation::AtMost, T::zero());
    }
    program
}

/// `value of the information set of sequence t - values right after t`, in the columns of values.
fn after<T: Scalar>(plan: &Plan, sequence: usize, base: usize, n: usize) -> Vec<T> {
    let mut row = vec![T::zero(); n];
    // Information set `i` of the plan has column `base + 1 + i`, the root `base`.
    let own = plan.first.partition_point(|&f| f as usize <= sequence);
    row[base + own] = T::one();
    for i in plan.first_child[sequence]..plan.first_child[sequence + 1] {
        row[base + 1 + i as usize] = -T::one();
    }
    row
}
