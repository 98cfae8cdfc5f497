//! Games: normal-form, extensive-form and Markov games, equilibria with certificates, dynamics and populations.

pub mod dictionary;
mod error;
pub mod linear;
pub mod scalar;
mod tableau;

pub use error::{Error, Result};
pub use scalar::{Rational, Scalar};
