//! What happens around learning: checkpoints that survive crashes, metrics on disk, TensorBoard event files,
//! tensors that other programs can read, and the statistics of reports.
//!
//! Not here: argument parsing, printing, environments, networks.

pub mod checkpoint;
pub mod durable;
pub mod error;
pub mod metrics;
pub mod stats;
pub mod tensorboard;
pub mod tensors;

pub use durable::write_atomic;
pub use error::{Error, Result};
