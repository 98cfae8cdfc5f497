//! Behavior strategies: at each information set, a distribution over its actions.

use super::tree::Tree;
use crate::{Error, Result, Scalar};

/// One behavior strategy a player, and the probabilities of chance, in one row: the actions of information set `i`
/// stand at [`Tree::slots`]`(i)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile<T = f64> {
    probabilities: Vec<T>,
}

impl<T: Scalar> Profile<T> {
    /// Chance as it is, players uniform.
    pub fn uniform(tree: &Tree) -> Self {
        Self::fill(tree, |_, n| vec![T::one() / &T::from_int(n as i64); n])
    }

    /// Chance as it is, players always taking their first action.
    pub fn first_actions(tree: &Tree) -> Self {
        Self::fill(tree, |_, n| (0..n).map(|a| if a == 0 { T::one() } else { T::zero() }).collect())
    }

    /// Chance as it is, players as `strategy` says for an information set and its number of actions.
    fn fill(tree: &Tree, mut strategy: impl FnMut(usize, usize) -> Vec<T>) -> Self {
        let mut probabilities = Vec::with_capacity(tree.n_slots());
        for (i, infoset) in tree.infosets().iter().enumerate() {
            match infoset.player {
                None => probabilities.extend(infoset.probabilities.iter().map(T::from_rational)),
                Some(_) => probabilities.extend(strategy(i, infoset.actions.len())),
            }
        }
        Self { probabilities }
    }

    /// From one distribution for each information set of players, in the tree's order, chance left out.
    ///
    /// # Errors
    /// Not a distribution for each information set: wrong lengths, negative numbers, or sums that are not 1 (within
    /// 1e-9 in floats).
    pub fn from_rows(tree: &Tree, rows: &[Vec<T>]) -> Result<Self> {
        let decisions = tree.n_decisions();
        if rows.len() != decisions {
            let found = rows.len();
            return Err(Error::Invalid(format!("{found} rows of probabilities; the game has {decisions}")));
        }
        let mut next = rows.iter();
        let profile = Self::fill(tree, |_, _| next.next().cloned().unwrap_or_default());
        let decisions = tree.infosets().iter().filter(|i| i.player.is_some());
        for (infoset, row) in decisions.zip(rows) {
            let sum = row.iter().fold(T::zero(), |a, b| a + b);
            let is_sound = row.iter().all(|p| *p >= T::zero()) && (sum - &T::one()).is_near_zero(1e-9);
            if row.len() != infoset.actions.len() || !is_sound {
                return Err(Error::Invalid(format!(
                    "the row of `{}` is not a distribution over its {} actions",
                    infoset.label,
                    infoset.actions.len()
                )));
            }
        }
        Ok(profile)
    }

    /// All probabilities, chance included.
    pub fn as_slice(&self) -> &[T] {
        &self.probabilities
    }

    /// All probabilities, for those who fill them in.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.probabilities
    }

    /// The distribution at an information set.
    pub fn at(&self, tree: &Tree, infoset: usize) -> &[T] {
        &self.probabilities[tree.slots(infoset)]
    }

    /// The distributions of players, in the tree's order, chance left out.
    pub fn rows(&self, tree: &Tree) -> Vec<Vec<T>> {
        let decisions = (0..tree.n_infosets()).filter(|&i| tree.infoset(i).player.is_some());
        decisions.map(|i| self.at(tree, i).to_vec()).collect()
    }
}
