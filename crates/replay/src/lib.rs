//! Replay for multi-agent learning: steps of many environments go in, batches of n-step transitions come out.
//!
//! Three parts, one file each:
//!
//! - the **accumulator** adds up rewards over `n` steps and never crosses the end of an episode;
//! - the **ring** keeps the last transitions, one row of memory a transition (a random one then costs two places in
//!   memory, not one a column); batches come out as struct of arrays, one set of columns a group of agents. An
//!   observation is stored once: the next observation of a record is the observation of a later one, and the
//!   last observations of truncated episodes have a small table of their own;
//! - the **sampler** draws uniformly or by priority. Priorities are integers, so their sums are exact, never
//!   drift, and do not depend on the order of updates.
//!
//! Beside it stand [`RolloutRecorder`], which keeps the steps since the last update for learners on policy, and
//! [`SequenceReplay`], which draws consecutive steps for recurrent learners. Both hand out a [`Rollout`].
//!
//! Not here: learning rules, environments, schedules (`beta` is an argument), threads and files.
//!
//! ```
//! use coact_core::{ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream};
//! use coact_replay::{Batch, Replay, ReplayConfig};
//!
//! # fn main() -> Result<(), coact_replay::Error> {
//! let group = GroupSpec {
//!     name: "team".into(),
//!     n_agents: 2,
//!     obs: vec![ObsField::unbounded("position", 3)],
//!     action: ActionSpace::Discrete { n: 5 },
//!     masked: false,
//! };
//! let spec = EnvSpec {
//!     name: "toy".into(),
//!     version: 1,
//!     groups: vec![group],
//!     state_width: 0,
//!     episode_limit: Some(25),
//!     reward: RewardKind::Common,
//! };
//! let mut replay = Replay::new(&spec, ReplayConfig { n_step: 3, ..ReplayConfig::uniform(1_000, 4) })?;
//! replay.begin(&StepBatch::new(&spec, 4))?;
//! let mut step = StepBatch::new(&spec, 4);
//! step.is_first.fill(false);
//! for _ in 0..100 {
//!     replay.push(&ActionBatch::new(&spec, 4), &step)?;
//! }
//! let mut batch = Batch::new(&spec, 32);
//! replay.sample(&mut Stream::new(0, Purpose::Replay, 0, 0), 32, 0.0, &mut batch)?;
//! assert_eq!(batch.obs_view(0).dim(), (32, 2, 3));
//! # Ok(())
//! # }
//! ```

mod accumulator;
mod batch;
mod check;
mod config;
mod error;
mod finals;
mod power;
mod priority;
mod raw;
mod replay;
mod ring;
mod rollout;
mod sequences;
mod state;

pub use batch::{Batch, GroupColumns};
pub use config::{Prioritized, ReplayConfig, WeightNorm};
pub use error::{Error, Result};
pub use priority::{LEAF_SCALE_BITS, PrioritySums, importance_weights, leaf_of};
pub use raw::{RawGroup, RawReplay};
pub use replay::Replay;
pub use rollout::{GroupRollout, Rollout, RolloutRecorder};
pub use sequences::{SequenceConfig, SequenceReplay, SequenceStart};
