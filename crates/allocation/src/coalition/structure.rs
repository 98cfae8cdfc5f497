//! Coalition structure generation: the partition of the players into coalitions whose worths sum to the most, by
//! dynamic programming over sets of players in `O(3^n)` (Yeh 1986; Rothkopf and others 1998).

use super::CoalitionGame;
use crate::{Error, Result};

/// Most players.
const MAX_PLAYERS: usize = 18;

/// A partition of the players.
#[derive(Debug, Clone, PartialEq)]
pub struct Structure {
    /// Coalitions as bits, by their lowest player.
    pub coalitions: Vec<usize>,
    /// Sum of their worths.
    pub total: f64,
}

/// Finds the best partition.
///
/// # Errors
/// [`Error::TooLarge`] above 18 players.
pub fn best_structure(game: &CoalitionGame) -> Result<Structure> {
    let n = game.n_players();
    if n > MAX_PLAYERS {
        let what = "the best coalition structure, in players".to_string();
        let (needed, allowed) = (n as u64, MAX_PLAYERS as u64);
        return Err(Error::TooLarge { what, needed, allowed, advice: "merge players that belong together" });
    }
    let mut best = vec![0.0; game.grand() + 1];
    let mut first = vec![0; game.grand() + 1];
    for set in 1..=game.grand() {
        // The coalition of the lowest player is chosen; the rest is a smaller problem.
        let lowest = set & set.wrapping_neg();
        let others = set & !lowest;
        (best[set], first[set]) = (f64::NEG_INFINITY, set);
        let mut part = others;
        loop {
            let coalition = part | lowest;
            let total = game.value(coalition) + best[set & !coalition];
            if total > best[set] {
                (best[set], first[set]) = (total, coalition);
            }
            if part == 0 {
                break;
            }
            part = (part - 1) & others;
        }
    }
    let mut left = game.grand();
    let mut coalitions = Vec::new();
    while left > 0 {
        coalitions.push(first[left]);
        left &= !first[left];
    }
    Ok(Structure { total: best[game.grand()], coalitions })
}
