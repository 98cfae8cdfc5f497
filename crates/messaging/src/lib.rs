//! A deterministic simulator of agents that exchange messages: topology, latency, loss, crash and return.

mod error;

pub use error::{Error, Result};
