//! `simple_push`: an adversary keeps an agent away from a goal that it does not know.
//!
//! # Rules
//! Two landmarks, one of them the goal. Agent and adversary (radius 0.05) collide; see [`super::world`].
//!
//! # Parameters
//! `max_cycles` (25), `continuous` (false).
//!
//! # Observation
//! `adversary` (8, unbounded): velocity, landmarks relative to itself (4), the agent. `agent` (19): velocity, goal
//! relative to itself, own color (3: 0.25, and 0.75 in the channel of the goal), landmarks (4), colors of the landmarks
//! (6: 0.1, and 0.9 in their channel), the adversary.
//!
//! # Rewards and ends
//! Agent: minus its distance to the goal. Adversary: that distance minus its own. Truncated after 25 steps.
//!
//! # Returns
//! Random policy -28 summed (about 0.6 and -28.5), scripts on both sides -11.1. The best return of one side depends on
//! the other.
//!
//! # Origin
//! mpe2 1.1.1 `simple_push_v3`.

use coact_core::scene::Color;
use coact_core::{ObsField, Result, Stream};
use serde::{Deserialize, Serialize};

use super::world::{Body, World, distance, offset};
use super::{Group, Particle, Row, Scenario, draw_one_hot, goal_place, points};
use crate::real::Real;
use crate::registry::{EnvEntry, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_push`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushOptions {
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for PushOptions {
    /// The values of `simple_push_v3`.
    fn default() -> Self {
        Self { max_cycles: 25, continuous: false }
    }
}

/// `simple_push` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_push",
    summary: "an adversary keeps an agent away from a goal that it does not know",
    origin: "mpe2 1.1.1 simple_push_v3",
    options: &[super::MAX_CYCLES, super::CONTINUOUS],
    random_return: -28.2,
    best_known: None,
    batch: |options, n| rules::copies(Push::new(&parse("simple_push", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Push::new(&parse("simple_push", options)?)?))),
};

/// The scenario. Extra variables: the goal as a one-hot of 2.
#[derive(Debug, Clone)]
pub struct Push;

const ADVERSARY: usize = 0;
const AGENT: usize = 1;

impl Push {
    /// Checks the options.
    ///
    /// # Errors
    /// No steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &PushOptions) -> Result<Particle<Self>> {
        let world = World::new(vec![Body::agent(0.05, true); 2], vec![Body::landmark(0.05, false); 2]);
        let hunter = vec![points("velocity", 1), points("landmarks", 2), points("other", 1)];
        let hunted = vec![
            points("velocity", 1),
            points("goal", 1),
            ObsField::new("own_color", 3, 0.25, 0.75),
            points("landmarks", 2),
            ObsField::new("landmark_colors", 6, 0.1, 0.9),
            points("other", 1),
        ];
        let groups = vec![
            Group { name: "adversary", n_agents: 1, obs: hunter, n_actions: 5 },
            Group { name: "agent", n_agents: 1, obs: hunted, n_actions: 5 },
        ];
        Particle::assemble(Self, world, groups, options.continuous, options.max_cycles)
    }
}

impl Scenario for Push {
    const NAME: &'static str = "simple_push";

    fn n_extra(&self) -> usize {
        2
    }

    fn draw(&self, rng: &mut Stream, extra: &mut [f32]) {
        draw_one_hot(rng, extra);
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let goal = goal_place(world, vars, &vars[world.n_vars()..]);
        let far = distance(world.agent(vars, AGENT), goal);
        reward[ADVERSARY] = far - distance(world.agent(vars, ADVERSARY), goal);
        reward[AGENT] = -far;
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let goal = &vars[world.n_vars()..];
        let me = world.agent(vars, agent);
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        if agent == AGENT {
            row.push(offset(goal_place(world, vars, goal), me));
            let lit = |chosen: R| R::select(R::of(0.5).less(chosen), R::of(0.75), R::of(0.25));
            row.push([R::of(0.25), lit(goal[0]), lit(goal[1])]);
        }
        for landmark in 0..2 {
            row.push(offset(world.landmark(vars, landmark), me));
        }
        if agent == AGENT {
            row.push([0.1, 0.9, 0.1, 0.1, 0.1, 0.9].map(R::of));
        }
        row.push(offset(world.agent(vars, 1 - agent), me));
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[
            (Color(204, 40, 40), "adversary"),
            (Color(52, 101, 164), "agent"),
            (Color(78, 154, 6), "goal"),
            (Color(110, 110, 110), "other landmark"),
        ]
    }

    fn color(&self, agent: usize) -> Color {
        if agent == ADVERSARY { Color(204, 40, 40) } else { Color(52, 101, 164) }
    }

    fn landmark_color(&self, extra: &[f32], landmark: usize) -> Color {
        if extra[landmark] > 0.5 { Color(78, 154, 6) } else { Color(110, 110, 110) }
    }
}
