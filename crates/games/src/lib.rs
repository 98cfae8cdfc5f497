//! Games: normal-form, extensive-form and Markov games, equilibria with certificates, dynamics and populations.
//!
//! A game in normal form is a [`NormalForm`], in `f64` or in exact [`Rational`]s; [`nfg`] reads and writes Gambit's
//! files and [`catalog`] names built-in games. [`equilibrium`] solves them, and [`certificate`] checks solutions with
//! code that no solver uses. [`linear`] solves linear programs for all of these.

pub mod certificate;
pub mod dictionary;
pub mod efg;
pub mod equilibrium;
mod error;
pub mod extensive;
pub mod linear;
mod linear_algebra;
pub mod nfg;
pub mod normal_form;
pub mod scalar;
mod tableau;
mod text;

pub use error::{Error, Result};
pub use normal_form::{Mixed, NormalForm, Player};
pub use scalar::{Rational, Scalar};
