//! What happens around learning: the training loop, evaluation, checkpoints that survive crashes, metrics on disk,
//! TensorBoard event files, tensors that other programs can read, and the statistics of reports.
//!
//! Not here: argument parsing, printing, environments, networks.

pub mod checkpoint;
pub mod durable;
pub mod episodes;
pub mod error;
pub mod evaluate;
pub mod feed;
pub mod metrics;
pub mod observer;
pub mod policy;
pub mod settings;
pub mod state;
pub mod stats;
pub mod tensorboard;
pub mod tensors;
pub mod training;

pub use durable::write_atomic;
pub use error::{Error, Result};
pub use evaluate::{ActFn, Evaluation, Policy, evaluate};
pub use settings::RunSettings;
pub use state::TeamState;
pub use training::{StopReason, Training, train};
