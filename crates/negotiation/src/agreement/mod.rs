//! Continuous agreement: agents that settle on numbers. Average consensus on the simulator; the alternating direction
//! method of multipliers (ADMM) for consensus, sharing and exchange, with residuals and stopping rules.
//!
//! Not here: discrete choices (see [`dcop`](crate::dcop)), strategic agents (see [`bargaining`](crate::bargaining)).

pub mod admm;
pub mod average;
mod input;

pub use input::{Agreement, AgreementAnswer};
