//! Play that adapts round by round: fictitious play, regret minimization, and evolution.
//!
//! In zero-sum games the averages of [`FictitiousPlay`] and [`RegretPlay`] approach optimal strategies; in any game
//! joint play without regret approaches the coarse correlated equilibria. On Shapley's game fictitious play cycles
//! forever: nothing here promises a Nash equilibrium of a general game.

mod evolution;
mod fictitious;
mod moran;
mod regret;

pub use evolution::{Logit, Replicator, logit_response, multi_replicator_step};
pub use fictitious::FictitiousPlay;
pub use moran::{Selection, fixation_log_probability, fixation_probability, simulate_fixation};
pub use regret::{RegretPlay, Rule};
