//! Mechanisms: rules that turn what participants say into an allocation and payments, so that saying the truth is a good
//! idea. Auctions of one item and of bundles, two-sided matching, exchange of houses.

pub mod auctions;
mod input;
pub mod matching;

pub use input::{Mechanism, MechanismAnswer};
