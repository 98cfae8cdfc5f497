//! Division of labor: assignment, auctions, contract net, consensus-based bundles, coalitions.

pub mod assignment;
pub mod certificate;
mod error;
pub mod matrix;

pub use assignment::{Assignment, Prices};
pub use error::{Error, Result};
pub use matrix::{CostMatrix, FORBIDDEN, Objective, SparseCosts};
