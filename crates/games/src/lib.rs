//! Games: normal-form, extensive-form and Markov games, equilibria with certificates, dynamics and populations.
//!
//! A game in normal form is a [`NormalForm`], in `f64` or in exact [`Rational`]s; [`nfg`] reads and writes Gambit's
//! files and [`catalog`] names built-in games. [`equilibrium`] solves them, and [`certificate`] checks solutions with
//! code that no solver uses. [`dynamics`] and [`population`] let players and strategies adapt. [`linear`] solves linear
//! programs for all of these.

pub mod catalog;
pub mod certificate;
pub mod check;
pub mod congestion;
pub mod dictionary;
pub mod dynamics;
pub mod efg;
pub mod equilibrium;
mod error;
mod exponential;
pub mod extensive;
pub mod linear;
mod linear_algebra;
pub mod markov;
pub mod nfg;
pub mod normal_form;
pub mod oligopoly;
pub mod population;
pub mod scalar;
pub mod solve;
mod tableau;
mod text;

pub use error::{Error, Result};
pub use normal_form::{Mixed, NormalForm, Player};
pub use scalar::{Rational, Scalar};
