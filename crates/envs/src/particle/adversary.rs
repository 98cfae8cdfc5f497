//! `simple_adversary`: good agents stand at the goal and hide which landmark it is; the adversary guesses.
//!
//! # Rules
//! N good agents and N landmarks, one of them the goal; one adversary that does not know it. No contacts; see
//! [`super::world`].
//!
//! # Parameters
//! `n_agents` good agents (2), as many landmarks; `n_agent_neighbors` and `n_landmark_neighbors` (null: all);
//! `max_cycles` (25); `continuous` (false).
//!
//! # Observation (unbounded, no velocities)
//! `adversary` (4 N): landmarks relative to itself (2 N), other agents relative to itself (2 N).
//! `agent` (2 + 4 N): goal relative to itself (2), landmarks (2 N), other agents (2 N). With numbers of neighbors only the
//! nearest ones, nearest first, and zeros where there are fewer.
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

use super::nearest::{nearest_offsets, order_margin};
use super::world::{Body, World, distance, offset};
use super::{
    Group, Particle, Row, Scenario, check_count, check_neighbors, draw_one_hot, goal_place, points,
    some_points,
};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_adversary`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdversaryOptions {
    /// Number of good agents, and of landmarks.
    pub n_agents: usize,
    /// Other agents that an agent observes; all if none.
    pub n_agent_neighbors: Option<usize>,
    /// Landmarks that an agent observes; all if none.
    pub n_landmark_neighbors: Option<usize>,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for AdversaryOptions {
    /// The values of `simple_adversary_v3`.
    fn default() -> Self {
        Self {
            n_agents: 2,
            n_agent_neighbors: None,
            n_landmark_neighbors: None,
            max_cycles: 25,
            continuous: false,
        }
    }
}

/// `simple_adversary` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_adversary",
    summary: "good agents hide from an adversary which landmark is the goal",
    origin: "mpe2 1.1.1 simple_adversary_v3",
    options: &[
        OptionInfo { name: "n_agents", default: "2", explain: "number of good agents, and of landmarks" },
        super::N_AGENT_NEIGHBORS,
        super::N_LANDMARK_NEIGHBORS,
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
    n_agent_neighbors: Option<usize>,
    n_landmark_neighbors: Option<usize>,
}

impl Adversary {
    /// Checks the options.
    ///
    /// # Errors
    /// No good agents, too many, or no steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &AdversaryOptions) -> Result<Particle<Self>> {
        let AdversaryOptions { n_agents: n, n_agent_neighbors, n_landmark_neighbors, max_cycles, continuous } =
            *options;
        check_count(Self::NAME, "n_agents", n, 1)?;
        check_neighbors(Self::NAME, n_agent_neighbors, n_landmark_neighbors)?;
        let world = World::new(vec![Body::agent(0.15, false); n + 1], vec![Body::landmark(0.08, false); n]);
        let seen =
            [some_points("landmarks", n, n_landmark_neighbors), some_points("others", n, n_agent_neighbors)];
        let knowing = [points("goal", 1)].into_iter().chain(seen.clone()).collect();
        let groups = vec![
            Group { name: "adversary", n_agents: 1, obs: seen.to_vec(), n_actions: 5 },
            Group { name: "agent", n_agents: n, obs: knowing, n_actions: 5 },
        ];
        let scenario = Self { n_landmarks: n, n_agent_neighbors, n_landmark_neighbors };
        Particle::assemble(scenario, world, groups, continuous, max_cycles)
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
        let n = self.n_landmarks;
        if let Some(count) = self.n_landmark_neighbors {
            nearest_offsets(row.take(2 * count), me, n, |l| world.landmark(vars, l));
        } else {
            for landmark in 0..n {
                row.push(offset(world.landmark(vars, landmark), me));
            }
        }
        if let Some(count) = self.n_agent_neighbors {
            let other = |i| world.agent(vars, if i < agent { i } else { i + 1 });
            nearest_offsets(row.take(2 * count), me, n, other);
        } else {
            for other in (0..=n).filter(|o| *o != agent) {
                row.push(offset(world.agent(vars, other), me));
            }
        }
    }

    fn margin(&self, world: &World, vars: &[f64]) -> f64 {
        match self.n_agent_neighbors.or(self.n_landmark_neighbors) {
            Some(_) => order_margin(world, vars),
            None => f64::INFINITY,
        }
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[
            (Color(204, 40, 40), "adversary"),
            (Color(52, 101, 164), "agent"),
            (Color(78, 154, 6), "goal"),
            (Color(110, 110, 110), "decoy"),
        ]
    }

    fn color(&self, agent: usize) -> Color {
        if agent == 0 { Color(204, 40, 40) } else { Color(52, 101, 164) }
    }

    fn landmark_color(&self, extra: &[f32], landmark: usize) -> Color {
        if extra[landmark] > 0.5 { Color(78, 154, 6) } else { Color(110, 110, 110) }
    }
}
