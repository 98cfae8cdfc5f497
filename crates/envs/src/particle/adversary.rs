//! `simple_adversary`: good agents stand at the goal and hide which landmark it is; the adversary guesses.
//!
//! # Rules
//! N good agents and N landmarks, one of them the goal; one adversary that does not know it. No contacts; see
//! [`super::world`].
//!
//! # Parameters
//! `n_agents` good agents (2), as many landmarks; `max_cycles` (25); `continuous` (false).
//!
//! # Observation (unbounded, no velocities)
//! `adversary` (4 N): landmarks relative to itself (2 N), other agents relative to itself (2 N).
//! `agent` (2 + 4 N): goal relative to itself (2), landmarks (2 N), other agents (2 N).
//!
//! # Rewards and ends
//! Adversary: minus its distance to the goal. Good agents, all the same: the adversary's distance minus the
//! distance of the nearest good agent. Truncated after 25 steps.
//!
//! # Returns
//! Random policy -13.3 summed (about -29 for the adversary and 8 for each good agent), scripts on both sides 0.6 (about
//! -16.5 and 8.5: decoys keep the adversary between the landmarks). The best return of one side depends on the other.
//!
//! # Origin
//! mpe2 1.1.1 `simple_adversary_v3` ("physical deception").

use coact_core::scene::Color;
use coact_core::{Result, Stream};
use serde::{Deserialize, Serialize};

use super::world::{Body, World, distance, offset};
use super::{Group, Particle, Row, Scenario, check_count, draw_one_hot, goal_place, points};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_adversary`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdversaryOptions {
    /// Number of good agents, and of landmarks.
    pub n_agents: usize,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for AdversaryOptions {
    /// The values of `simple_adversary_v3`.
    fn default() -> Self {
        Self { n_agents: 2, max_cycles: 25, continuous: false }
    }
}

/// `simple_adversary` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_adversary",
    summary: "good agents hide from an adversary which landmark is the goal",
    origin: "mpe2 1.1.1 simple_adversary_v3",
    options: &[
        OptionInfo { name: "n_agents", default: "2", explain: "number of good agents, and of landmarks" },
        super::MAX_CYCLES,
        super::CONTINUOUS,
    ],
    random_return: -13.3,
    best_known: None,
    batch: |options, n| rules::batch(Adversary::new(&parse("simple_adversary", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Adversary::new(&parse("simple_adversary", options)?)?))),
};

/// The scenario. Extra variables: the goal as a one-hot of N.
#[derive(Debug, Clone)]
pub struct Adversary {
    n_landmarks: usize,
}

impl Adversary {
    /// Checks the options.
    ///
    /// # Errors
    /// No good agents, too many, or no steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &AdversaryOptions) -> Result<Particle<Self>> {
        let n = options.n_agents;
        check_count(Self::NAME, "n_agents", n, 1)?;
        let world = World::new(vec![Body::agent(0.15, false); n + 1], vec![Body::landmark(0.08, false); n]);
        let seen = [points("landmarks", n), points("others", n)];
        let knowing = [points("goal", 1)].into_iter().chain(seen.clone()).collect();
        let groups = vec![
            Group { name: "adversary", n_agents: 1, obs: seen.to_vec(), n_actions: 5 },
            Group { name: "agent", n_agents: n, obs: knowing, n_actions: 5 },
        ];
        Particle::assemble(Self { n_landmarks: n }, world, groups, options.continuous, options.max_cycles)
    }
}

impl Scenario for Adversary {
    const NAME: &'static str = "simple_adversary";

    fn n_extra(&self) -> usize {
        self.n_landmarks
    }

    fn draw(&self, rng: &mut Stream, extra: &mut [f32]) {
        draw_one_hot(rng, extra);
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let goal = goal_place(world, vars, &vars[world.n_vars()..]);
        let hunter = distance(world.agent(vars, 0), goal);
        let mut nearest = distance(world.agent(vars, 1), goal);
        for agent in 2..world.agents.len() {
            nearest = distance(world.agent(vars, agent), goal).min(nearest);
        }
        reward.fill(hunter - nearest);
        reward[0] = -hunter;
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let me = world.agent(vars, agent);
        let mut row = Row::new(obs);
        if agent > 0 {
            row.push(offset(goal_place(world, vars, &vars[world.n_vars()..]), me));
        }
        for landmark in 0..self.n_landmarks {
            row.push(offset(world.landmark(vars, landmark), me));
        }
        for other in (0..world.agents.len()).filter(|o| *o != agent) {
            row.push(offset(world.agent(vars, other), me));
        }
    }

    fn color(&self, agent: usize) -> Color {
        if agent == 0 { Color(204, 40, 40) } else { Color(52, 101, 164) }
    }

    fn landmark_color(&self, extra: &[f32], landmark: usize) -> Color {
        if extra[landmark] > 0.5 { Color(78, 154, 6) } else { Color(110, 110, 110) }
    }
}
