//! Backward induction (Zermelo, Kuhn): a subgame perfect equilibrium in pure strategies of a game of perfect
//! information, exactly. Ties go to the first action, so that the answer is one of possibly many, always the same.

use num_traits::{One, Zero};

use super::{Profile, Tree, Turn};
use crate::{Error, Rational, Result};

/// What backward induction finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Induction {
    /// Pure strategies, optimal at every node.
    pub profile: Profile<Rational>,
    /// What each player expects.
    pub values: Vec<Rational>,
    /// Whether some player was indifferent somewhere, so that there are other solutions.
    pub has_ties: bool,
}

/// Solves a game of perfect information from its ends.
///
/// # Errors
/// A player who does not know the past.
pub fn backward_induction(tree: &Tree) -> Result<Induction> {
    if !tree.has_perfect_information() {
        let reason = "an information set has several nodes; use `sequence-form` or `cfr`".into();
        return Err(Error::DoesNotApply { method: "backward-induction", reason });
    }
    let n = tree.n_players();
    let mut profile = Profile::<Rational>::first_actions(tree);
    let mut has_ties = false;
    // Values of nodes whose parents are still to come, the next child on top: children follow their parents.
    let mut open: Vec<Vec<Rational>> = Vec::new();
    for node in (0..tree.n_nodes()).rev() {
        let mut value = tree.outcomes()[tree.outcome_of(node)].payoffs.clone();
        if let Some(infoset) = tree.infoset_of(node) {
            let n_children = tree.children(node).len();
            // The first child was visited last.
            let children = open.split_off(open.len() - n_children);
            let below = |a: usize| &children[n_children - 1 - a];
            let slots = tree.slots(infoset);
            match tree.turn(node) {
                Turn::Player(p) => {
                    let mut best = 0;
                    for a in 1..n_children {
                        has_ties |= below(a)[p] == below(best)[p];
                        if below(a)[p] > below(best)[p] {
                            best = a;
                        }
                    }
                    let play = &mut profile.as_mut_slice()[slots];
                    play.fill(Rational::zero());
                    play[best] = Rational::one();
                    value.iter_mut().zip(below(best)).for_each(|(v, c)| *v += c);
                }
                _ => {
                    for (a, probability) in tree.infoset(infoset).probabilities.iter().enumerate() {
                        (0..n).for_each(|p| value[p] += probability * &below(a)[p]);
                    }
                }
            }
        }
        open.push(value);
    }
    Ok(Induction { profile, values: open.pop().unwrap_or_default(), has_ties })
}
