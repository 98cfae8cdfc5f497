//! Distributed constraint optimization: variables that belong to agents, costs that depend on a few of them each,
//! and agents that find a good assignment by writing to their neighbors.
//!
//! [`File`] reads the YAML of pyDCOP, [`Problem`] holds it as tables, [`solve`] runs a [`Method`] on the simulator
//! of `coact-messaging`. [`generators`] make problems. Costs are in the terms of the file everywhere in public.
//!
//! Not here: the distribution of computations over machines; files that need Python to run.

mod adopt;
mod afb;
mod brute_force;
mod dpop;
mod dsa;
pub mod expression;
mod file;
pub mod generators;
mod local;
mod maxsum;
mod mgm;
mod mgm2;
mod model;
mod options;
mod problem;
mod pseudotree;
mod solve;
mod syncbb;
mod value;

pub use dpop::DpopPlan;
pub use file::{AgentEntry, File, Formula, Rule, RuleKind, VariableEntry};
pub use options::{DsaVariant, Favor, Options, PARAMETERS};
pub use problem::{Constraint, Cost, Domain, Objective, Problem, Variable};
pub use solve::{Method, Outcome, Progress, Status, solve, tidy};
pub use value::Value;

pub use dpop::plan as dpop_plan;
