//! Certificates of extensive-form profiles, and their check by other code than the solvers'.
//!
//! A certificate states what each player expects and what a best response would gain. The check recomputes both on
//! the tree, node by node, without sequence form: a player's nodes are taken by number of own moves before them,
//! the deepest first, so that when an information set is decided all that follows is known.

use super::response::assess;
use super::{Profile, Tree, Turn};
use crate::{Error, Result, Scalar};

/// Expected payoffs and gains of best responses, one of each a player.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate<T = f64> {
    /// What each player expects.
    pub values: Vec<T>,
    /// What each player's best response would gain.
    pub gains: Vec<T>,
}

impl<T: Scalar> Certificate<T> {
    /// Sum of the gains: 0 exactly at an equilibrium.
    pub fn nash_conv(&self) -> T {
        self.gains.iter().fold(T::zero(), |a, b| a + b)
    }
}

/// The certificate of a profile, by the solvers' code.
///
/// # Errors
/// A player who forgets.
pub fn certify<T: Scalar>(tree: &Tree, profile: &Profile<T>) -> Result<Certificate<T>> {
    let assessment = assess(tree, profile)?;
    Ok(Certificate { gains: assessment.gains(), values: assessment.values })
}

/// Checks a certificate by walking the tree. Numbers may differ by `tolerance` times the largest payoff; rationals must
/// be equal.
///
/// # Errors
/// A player who forgets, or a number that is not what it should be.
pub fn check<T: Scalar>(
    tree: &Tree,
    profile: &Profile<T>,
    certificate: &Certificate<T>,
    tolerance: f64,
) -> Result<()> {
    let found = recompute(tree, profile)?;
    let largest = tree.outcomes().iter().flat_map(|o| &o.payoffs).map(|p| p.to_float().abs());
    let tolerance = tolerance * largest.fold(1.0, f64::max);
    for (what, claimed, found) in
        [("value", &certificate.values, &found.values), ("gain", &certificate.gains, &found.gains)]
    {
        if claimed.len() != found.len() {
            let (claimed, found) = (claimed.len(), found.len());
            return Err(Error::Shape { what: "the certificate", found: claimed, expected: found });
        }
        for (player, (claimed, found)) in claimed.iter().zip(found).enumerate() {
            // `!near`: a number that is not one must fail.
            if !(claimed.clone() - found).is_near_zero(tolerance) {
                let player = player + 1;
                return Err(Error::invalid(format!(
                    "the {what} of player {player} is stated as {claimed} but is {found}; the result is wrong"
                )));
            }
        }
    }
    Ok(())
}

/// Values and gains of a profile, computed on the tree.
///
/// # Errors
/// A player who forgets.
pub fn recompute<T: Scalar>(tree: &Tree, profile: &Profile<T>) -> Result<Certificate<T>> {
    tree.require_perfect_recall("a certificate")?;
    let (mut values, mut gains) = (Vec::new(), Vec::new());
    for player in 0..tree.n_players() {
        let payoffs: Vec<T> = tree.outcomes().iter().map(|o| T::from_rational(&o.payoffs[player])).collect();
        let value = expected(tree, profile, &payoffs);
        gains.push(best(tree, profile, player, &payoffs) - &value);
        values.push(value);
    }
    Ok(Certificate { values, gains })
}

/// Expected sum of payoffs.
fn expected<T: Scalar>(tree: &Tree, profile: &Profile<T>, payoffs: &[T]) -> T {
    let mut value: Vec<T> = (0..tree.n_nodes()).map(|node| payoffs[tree.outcome_of(node)].clone()).collect();
    for node in (0..tree.n_nodes()).rev() {
        let Some(infoset) = tree.infoset_of(node) else { continue };
        for (&child, p) in tree.children(node).iter().zip(profile.at(tree, infoset)) {
            let share = value[child as usize].clone() * p;
            value[node] = share + &value[node];
        }
    }
    value[0].clone()
}

/// The most that `player` can get against the others.
fn best<T: Scalar>(tree: &Tree, profile: &Profile<T>, player: usize, payoffs: &[T]) -> T {
    let n = tree.n_nodes();
    // Probability that the others and chance lead to a node, and the player's own moves before it.
    let (mut weight, mut own_moves) = (vec![T::one(); n], vec![0usize; n]);
    for node in 0..n {
        let Some(infoset) = tree.infoset_of(node) else { continue };
        let is_own = tree.turn(node) == Turn::Player(player);
        for (&child, p) in tree.children(node).iter().zip(profile.at(tree, infoset)) {
            let child = child as usize;
            weight[child] = if is_own { weight[node].clone() } else { weight[node].clone() * p };
            own_moves[child] = own_moves[node] + usize::from(is_own);
        }
    }
    let mut order: Vec<usize> = (0..n).rev().collect();
    // Stable, so that among equals children still come before parents.
    order.sort_by_key(|&node| std::cmp::Reverse(own_moves[node]));
    let mut value: Vec<T> = (0..n).map(|node| payoffs[tree.outcome_of(node)].clone()).collect();
    let mut of_action = vec![T::zero(); tree.n_slots()];
    for group in order.chunk_by(|&a, &b| own_moves[a] == own_moves[b]) {
        let own = |node: &&usize| tree.turn(**node) == Turn::Player(player);
        for &node in group.iter().filter(own) {
            let Some(infoset) = tree.infoset_of(node) else { continue };
            for (slot, &child) in tree.slots(infoset).zip(tree.children(node)) {
                let share = value[child as usize].clone() * &weight[node];
                of_action[slot] = share + &of_action[slot];
            }
        }
        for &node in group {
            let Some(infoset) = tree.infoset_of(node) else { continue };
            let children = tree.children(node);
            if tree.turn(node) == Turn::Player(player) {
                let slots = tree.slots(infoset);
                let mut choice = 0;
                for a in 1..slots.len() {
                    if of_action[slots.start + a] > of_action[slots.start + choice] {
                        choice = a;
                    }
                }
                value[node] = value[children[choice] as usize].clone() + &value[node];
            } else {
                for (&child, p) in children.iter().zip(profile.at(tree, infoset)) {
                    let share = value[child as usize].clone() * p;
                    value[node] = share + &value[node];
                }
            }
        }
    }
    value[0].clone()
}
