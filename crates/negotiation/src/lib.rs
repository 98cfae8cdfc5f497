//! Negotiation: distributed constraint optimization, bargaining, mechanisms, continuous agreement.
//!
//! - [`dcop`]: agents that find a good joint choice by writing to their neighbors; pyDCOP's files.
//! - [`bargaining`]: parties with their own interests, solution points and alternating offers; GENIUS files.
//! - [`mechanisms`]: auctions and matchings in which the truth pays.
//! - [`agreement`]: averages, consensus and exchange of quantities.
//! - [`check`]: certificates of all of these, checked by code that shares nothing with the solvers.
//!
//! ```
//! use coact_negotiation::dcop::{File, Method, Options, solve};
//!
//! let text = "
//! name: two rooms
//! objective: min
//! domains: {slots: {values: [1 .. 3]}}
//! variables: {a: {domain: slots, cost_function: a}, b: {domain: slots, cost_function: 2 * b}}
//! constraints: {apart: {type: intention, function: 10 if a == b else 0}}
//! ";
//! let problem = File::parse(text)?.problem()?;
//! let outcome = solve(&problem, Method::Dpop, &Options::default(), &mut |_| true)?;
//! assert_eq!((outcome.cost, outcome.counts.sent), (4.0, 2));
//! # Ok::<(), coact_negotiation::Error>(())
//! ```
//!
//! Not here: clocks, files, printing; assignment and teams (that is `coact-allocation`); learning.

pub mod agreement;
pub mod bargaining;
pub mod check;
pub mod dcop;
mod error;
pub mod mechanisms;
mod yaml;

pub use error::{Error, Position, Result};
