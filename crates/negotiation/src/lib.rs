//! Negotiation: distributed constraint optimization, bargaining, mechanisms, continuous agreement.

pub mod dcop;
mod error;
mod yaml;

pub use error::{Error, Position, Result};
