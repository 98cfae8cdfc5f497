//! Coalitions: what each player of a team is worth (Shapley value), which divisions of its worth are stable (core and
//! least core), and into which coalitions it best splits (coalition structure generation). Class CD[ST-MR-IA].

mod core;
mod shapley;
mod structure;

pub use core::{LeastCore, check_least_core, least_core};
pub use shapley::{SampledShapley, shapley_value, shapley_value_sampled};
pub use structure::{Structure, best_structure};

use crate::{Error, Result};

/// Most players of a game that lists all its coalitions.
pub const MAX_PLAYERS: usize = 24;

/// A game in characteristic form: the worth of every coalition. Coalitions are bits: player `i` is in coalition `c` if
/// `c >> i & 1 == 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct CoalitionGame {
    n_players: usize,
    values: Vec<f64>,
}

impl CoalitionGame {
    /// A game by the worth of each coalition, `[2^n_players]`; the empty one is worth 0.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`MAX_PLAYERS`]; [`Error::Invalid`] for another number of values, values that are
    /// not finite, or an empty coalition that is worth something.
    pub fn new(n_players: usize, values: Vec<f64>) -> Result<Self> {
        too_many(n_players)?;
        if values.len() != 1 << n_players {
            let text =
                format!("{n_players} players have {} coalitions, not {}", 1_u64 << n_players, values.len());
            return Err(Error::invalid(text));
        }
        if let Some(at) = values.iter().position(|v| v.is_nan() || v.abs() > crate::matrix::MAX_COST) {
            return Err(Error::invalid(format!("coalition {at:b} is worth {}; give a number", values[at])));
        }
        if values[0] != 0.0 {
            return Err(Error::invalid(format!("the empty coalition is worth {}; it must be 0", values[0])));
        }
        Ok(Self { n_players, values })
    }

    /// A game by a function of coalitions; the empty one is not asked for.
    ///
    /// # Errors
    /// As [`CoalitionGame::new`].
    pub fn from_fn(n_players: usize, value: impl Fn(usize) -> f64) -> Result<Self> {
        too_many(n_players)?;
        let worth = |coalition: usize| if coalition == 0 { 0.0 } else { value(coalition) };
        Self::new(n_players, (0..1 << n_players).map(worth).collect())
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.n_players
    }

    /// Worth of a coalition.
    ///
    /// # Panics
    /// If there is no such coalition.
    pub fn value(&self, coalition: usize) -> f64 {
        self.values[coalition]
    }

    /// Everybody.
    pub fn grand(&self) -> usize {
        self.values.len() - 1
    }

    /// What a division gives to a coalition.
    pub(crate) fn share(payoffs: &[f64], coalition: usize) -> f64 {
        payoffs.iter().enumerate().filter(|(i, _)| coalition >> i & 1 == 1).map(|(_, x)| x).sum()
    }
}

fn too_many(n_players: usize) -> Result<()> {
    if n_players <= MAX_PLAYERS {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: "a game that lists all coalitions of its players".to_string(),
        needed: n_players as u64,
        allowed: MAX_PLAYERS as u64,
        advice: "sample the Shapley value from a function instead",
    })
}
