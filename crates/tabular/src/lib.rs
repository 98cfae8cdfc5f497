//! Tabular methods: dynamic programming, Monte Carlo and temporal difference for one and many agents on finite models.
//!
//! * [`model`]: finite Markov decision processes, dense or sparse, from files, grids, environments, or by name.
//! * [`plan`]: value, policy and modified policy iteration, prioritized sweeping, the linear program.
//! * [`certificate`]: how far values and a policy are from the optimum, by code of its own.
//! * [`monte_carlo`], [`td`], [`gradient`]: learning from episodes of a [`simulate::World`].
//! * [`learn`]: all of these by name, with [`schedule`]s of their rates and learning curves.
//! * [`joint`]: several agents with one reward; [`decpomdp`]: the same without seeing the state.
//! * [`problem`], [`result`](mod@result): anything that can be planned, by name or from text; answers as JSON and their check.
//!
//! Not here: neural networks, files and the clock. Numbers are `f64`; randomness comes from named streams, so that the
//! same seed gives the same bits.
//!
//! ```
//! use coact_tabular::{certificate, model::builtin, plan};
//!
//! let model = builtin::builtin("grid5")?;
//! let plan = plan::plan(&model, plan::Method::PolicyIteration, &plan::PlanOptions::default())?;
//! assert!((plan.values[0] - 21.9775).abs() < 1e-4);
//! let proof = certificate::certify(&model, &plan.values, &plan.policy)?;
//! assert!(proof.policy_bound.is_some_and(|loss| loss < 1e-9));
//! # Ok::<(), coact_tabular::Error>(())
//! ```

pub mod certificate;
pub mod decpomdp;
mod error;
mod exponential;
pub mod gradient;
pub mod joint;
pub mod learn;
pub mod model;
pub mod monte_carlo;
pub mod plan;
pub mod problem;
pub mod result;
pub mod schedule;
pub mod simulate;
pub mod td;

pub use error::{Error, Result};
