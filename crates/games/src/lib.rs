//! Games: normal-form, extensive-form and Markov games, equilibria with certificates, dynamics and populations.

mod error;

pub use error::{Error, Result};
