//! Division of labor: assignment, auctions, contract net, consensus-based bundles, coalitions.

mod error;

pub use error::{Error, Result};
