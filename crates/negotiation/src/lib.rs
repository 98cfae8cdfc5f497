//! Negotiation: distributed constraint optimization, bargaining, mechanisms, continuous agreement.

mod error;

pub use error::{Error, Result};
