//! `simple_reference`: each of two agents knows the other one's goal and says it.
//!
//! # Rules
//! Three landmarks of different colors; each agent has one of them as its goal, which only the other one knows. Each
//! moves and says one of ten words per step (action = move + 5 * word), heard one step later. No contacts; see
//! [`super::world`].
//!
//! # Parameters
//! `local_ratio` (0.5), `max_cycles` (25), `continuous` (false; then a word is ten raw numbers in 0..=1).
//!
//! # Observation (21)
//! Velocity (2), landmarks relative to itself (6), color of the other agent's goal (3: 0.25, and 0.75 in the channel of
//! the landmark), last word of the other (10).
//!
//! # Rewards and ends
//! `(1 - local_ratio) global + local_ratio local` with local = - distance of the other agent to its goal, and global
//! the mean of both. Truncated after 25 steps.
//!
//! # Returns
//! Summed over both: random policy -57; a controller that is told the goals -16.3.
//!
//! # Origin
//! mpe2 1.1.1 `simple_reference_v3`.

use std::ops::Range;

use coact_core::scene::Color;
use coact_core::{Error, ObsField, Result, Stream};
use serde::{Deserialize, Serialize};

use super::world::{Body, World, distance, offset};
use super::{Group, Particle, Row, Scenario, draw_one_hot, goal_place, points};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_reference`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReferenceOptions {
    /// Weight of the local reward.
    pub local_ratio: f64,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are strengths and raw words instead of one of some.
    pub continuous: bool,
}

impl Default for ReferenceOptions {
    /// The values of `simple_reference_v3`.
    fn default() -> Self {
        Self { local_ratio: 0.5, max_cycles: 25, continuous: false }
    }
}

/// `simple_reference` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_reference",
    summary: "each of two agents knows the other one's goal and says it",
    origin: "mpe2 1.1.1 simple_reference_v3",
    options: &[
        OptionInfo {
            name: "local_ratio",
            default: "0.5",
            explain: "weight of the local reward (the other agent) against the global one (both)",
        },
        super::MAX_CYCLES,
        super::CONTINUOUS,
    ],
    random_return: -57.0,
    best_known: Some(-16.3),
    batch: |options, n| rules::copies(Reference::new(&parse("simple_reference", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Reference::new(&parse("simple_reference", options)?)?))),
};

/// The scenario. Extra variables: for each agent, the goal that it knows (the other one's) as a one-hot of 3; then the
/// words of both (10 each).
#[derive(Debug, Clone)]
pub struct Reference {
    local_ratio: f64,
}

const WORDS: usize = 10;

impl Reference {
    /// Checks the options.
    ///
    /// # Errors
    /// No steps, or a ratio outside 0..=1.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &ReferenceOptions) -> Result<Particle<Self>> {
        let ReferenceOptions { local_ratio, max_cycles, continuous } = *options;
        if !(0.0..=1.0).contains(&local_ratio) {
            let text = format!("{}: local_ratio is {local_ratio}; use 0 to 1", Self::NAME);
            return Err(Error::invalid(text));
        }
        let world = World::new(vec![Body::agent(0.05, false); 2], vec![Body::landmark(0.05, false); 3]);
        let obs = vec![
            points("velocity", 1),
            points("landmarks", 3),
            ObsField::new("goal_color", 3, 0.25, 0.75),
            ObsField::new("word", WORDS, 0.0, 1.0),
        ];
        let n_actions = if continuous { 5 + WORDS } else { 5 * WORDS };
        let groups = vec![Group { name: "agent", n_agents: 2, obs, n_actions }];
        Particle::assemble(Self { local_ratio }, world, groups, continuous, max_cycles)
    }
}

impl Scenario for Reference {
    const NAME: &'static str = "simple_reference";

    fn n_extra(&self) -> usize {
        6 + 2 * WORDS
    }

    fn draw(&self, rng: &mut Stream, extra: &mut [f32]) {
        draw_one_hot(rng, &mut extra[..3]);
        draw_one_hot(rng, &mut extra[3..6]);
        extra[6..].fill(0.0);
    }

    fn word(&self, agent: usize) -> Range<usize> {
        6 + agent * WORDS..6 + (agent + 1) * WORDS
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let extra = &vars[world.n_vars()..];
        let local = |agent: usize| {
            let goal = goal_place(world, vars, &extra[3 * agent..3 * agent + 3]);
            -distance(world.agent(vars, 1 - agent), goal)
        };
        let locals = [local(0), local(1)];
        let shared = (locals[0] + locals[1]) * R::of(0.5) * R::of(1.0 - self.local_ratio);
        for (paid, local) in reward.iter_mut().zip(locals) {
            *paid = shared + local * R::of(self.local_ratio);
        }
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let extra = &vars[world.n_vars()..];
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        for landmark in 0..3 {
            row.push(offset(world.landmark(vars, landmark), world.agent(vars, agent)));
        }
        for chosen in &extra[3 * agent..3 * agent + 3] {
            row.push([R::select(R::of(0.5).less(*chosen), R::of(0.75), R::of(0.25))]);
        }
        row.extend(&extra[self.word(1 - agent)]);
    }

    fn goal_of(&self, extra: &[f32], agent: usize) -> Option<usize> {
        // The other one knows it.
        let goal = &extra[3 * (1 - agent)..];
        goal[..3].iter().position(|g| *g > 0.5)
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[
            (Color(52, 101, 164), "agent 0, a line to its goal"),
            (Color(193, 125, 17), "agent 1"),
            (Color(60, 150, 30), "landmarks in three colors"),
        ]
    }

    fn color(&self, agent: usize) -> Color {
        if agent == 0 { Color(52, 101, 164) } else { Color(193, 125, 17) }
    }

    fn landmark_color(&self, _extra: &[f32], landmark: usize) -> Color {
        [Color(204, 0, 0), Color(60, 150, 30), Color(50, 70, 200)][landmark % 3]
    }
}
