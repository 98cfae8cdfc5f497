//! Tabular methods: dynamic programming, Monte Carlo and temporal difference for one and many agents on finite models.

mod error;

pub use error::{Error, Result};
