//! Division of labor: who does what, decided by one planner, by auctions, or by agents that only talk to their
//! neighbors.
//!
//! - [`assignment`]: one partner each, at the least total (Jonker-Volgenant, Hungarian, auction, sparse, k best).
//! - [`team`], [`bids`], [`sequential`], [`exact`]: robots and tasks in space and time; greedy, auctions, optima.
//! - [`cbaa`], [`cbba`], [`contract_net`]: protocols on the simulator of `coact-messaging`.
//! - [`generalized`]: tasks that share the capacity of their agent.
//! - [`coalition`]: Shapley value, least core, coalition structures.
//! - [`certificate`]: independent checks of answers; [`taxonomy`]: the names of problem classes.
//! - [`environment`]: an allocation problem for learners, and answers of methods on the scale of its returns.
//! - [`input`], [`methods`], [`result`]: problems as text, methods by name, answers as JSON and their check.
//!
//! Not here: learning, pictures, where files lie.

pub mod assignment;
pub mod bids;
pub mod cbaa;
pub mod cbba;
pub mod certificate;
pub mod coalition;
pub mod consensus;
pub mod contract_net;
pub mod environment;
mod error;
pub mod exact;
pub mod generalized;
pub mod input;
pub mod matrix;
pub mod methods;
pub mod result;
pub mod sequential;
pub mod taxonomy;
pub mod team;

pub use assignment::{Assignment, Prices};
pub use error::{Error, Result};
pub use matrix::{CostMatrix, FORBIDDEN, Objective, SparseCosts};
pub use team::{Goal, Robot, Task, Team};
