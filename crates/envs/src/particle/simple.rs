//! `simple`: one agent goes to one landmark.
//!
//! # Rules
//! One agent (radius 0.05), one landmark, no contacts; see [`super::world`].
//!
//! # Parameters
//! `max_cycles` (25), `continuous` (false).
//!
//! # Observation (4, unbounded)
//! Velocity (2), landmark relative to itself (2).
//!
//! # Rewards and ends
//! Minus the squared distance to the landmark. Truncated after 25 steps.
//!
//! # Returns
//! Random policy -39.7; a coasting controller -7.2.
//!
//! # Origin
//! mpe2 1.1.1 `simple_v3`.

use coact_core::Result;
use serde::{Deserialize, Serialize};

use super::world::{Body, World, offset};
use super::{Group, Particle, Row, Scenario, points};
use crate::real::Real;
use crate::registry::{EnvEntry, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimpleOptions {
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for SimpleOptions {
    /// The values of `simple_v3`.
    fn default() -> Self {
        Self { max_cycles: 25, continuous: false }
    }
}

/// `simple` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple",
    summary: "one agent goes to one landmark",
    origin: "mpe2 1.1.1 simple_v3",
    options: &[super::MAX_CYCLES, super::CONTINUOUS],
    random_return: -39.7,
    best_known: Some(-7.2),
    batch: |options, n| rules::batch(Simple::new(&parse("simple", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Simple::new(&parse("simple", options)?)?))),
};

/// The scenario.
#[derive(Debug, Clone)]
pub struct Simple;

impl Simple {
    /// Checks the options.
    ///
    /// # Errors
    /// No steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &SimpleOptions) -> Result<Particle<Self>> {
        let world = World::new(vec![Body::agent(0.05, false)], vec![Body::landmark(0.05, false)]);
        let obs = vec![points("velocity", 1), points("landmark", 1)];
        let group = Group { name: "agent", n_agents: 1, obs, n_actions: 5 };
        Particle::assemble(Self, world, vec![group], options.continuous, options.max_cycles)
    }
}

impl Scenario for Simple {
    const NAME: &'static str = "simple";

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let [dx, dy] = offset(world.agent(vars, 0), world.landmark(vars, 0));
        reward[0] = -(dx * dx + dy * dy);
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        row.push(offset(world.landmark(vars, 0), world.agent(vars, agent)));
    }
}
