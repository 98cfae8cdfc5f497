//! Networks over flat parameters, their initialization, optimizers and schedules.
//!
//! The arithmetic lives in `coact-kernels`; this crate gives it names, initial values and a memory. Not here:
//! losses of algorithms, replay, environments.

pub mod agent;
pub mod distribution;
pub mod error;
pub mod grid;
pub mod init;
pub mod mixer;
pub mod mlp;
pub mod optim;
pub mod qnet;
pub mod real;
pub mod schedule;

pub use agent::{AgentNet, AgentNetShape, Cell, CellKind, NetTensor};
pub use error::{Error, Result};
pub use grid::{ConvLayer, GridShape};
pub use init::Init;
pub use mixer::{JointValue, Mixer, MixerInput, MixerKind, MixerShape, QmixWidths, QplexWidths};
pub use mlp::Mlp;
pub use optim::{Optimizer, OptimizerConfig, OptimizerKind};
pub use qnet::{NamedTensor, QNetworks, Sharing};
pub use real::Real;
pub use schedule::Schedule;
