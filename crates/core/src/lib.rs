//! What every coact crate shares: specs and spaces, the batched step types, seeds and random streams,
//! the environment traits, a small binary codec for exact state, and errors.
//!
//! Not here: threads, files, clocks, devices, networks, or any environment.
//!
//! Shapes in this workspace are row-major and use one set of letters: `E` environments, `A` agents of a
//! group, `D` observation width, `S` state width, `N` actions, `B` batch, `T` time, `H` hidden width.

pub mod codec;
pub mod env;
pub mod error;
pub mod math;
pub mod nearest;
pub mod rng;
pub mod scene;
pub mod settings;
pub mod spec;
pub mod step;

pub use env::{Actions, BatchEnv, MultiAgentEnv};
pub use error::{Error, Result};
pub use rng::{Purpose, Stream};
pub use spec::{ActionSpace, EnvSpec, GroupSpec, ObsField, RewardKind};
pub use step::{ActionBatch, GroupStep, StepBatch};
