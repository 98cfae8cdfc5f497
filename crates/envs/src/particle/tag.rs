//! `simple_tag`: slow adversaries hunt faster agents around obstacles.
//!
//! # Rules
//! Adversaries (radius 0.075, push 3, speed up to 1.0), agents (radius 0.05, push 4, speed up to 1.3) and
//! obstacles (radius 0.2, within +-0.9) all collide; see [`super::world`].
//!
//! # Parameters
//! `n_adversaries` (3), `n_agents` (1), `n_obstacles` (2), `curriculum_stage` (null; 0 and 1: agents have half and three
//! quarters of their push and speed; 2: the whole task), `terminate_on_success` (false), `n_agent_neighbors` and
//! `n_landmark_neighbors` (null: all), `max_cycles` (25), `continuous` (false).
//!
//! # Observation (unbounded)
//! Own velocity (2), own position (2), obstacles relative to itself, all other agents relative to itself
//! (adversaries first), velocities of the other agents that are no adversaries: 16 an adversary, 14 an agent.
//! With numbers of neighbors only the nearest ones, nearest first, zeros where there are fewer, and a velocity (zeros for
//! an adversary) for each of the others.
//!
//! # Rewards and ends
//! Adversaries: each +10 for every touching pair of agent and adversary. Agents: -10 for each adversary that
//! touches, and minus `bound(|x|) + bound(|y|)` with bound 0 below 0.9, then 10 (x - 0.9) up to 1, then
//! `min(exp(2 x - 2), 10)`. Truncated after 25 steps; with `terminate_on_success` an episode terminates when every agent is
//! touched by an adversary.
//!
//! # Returns
//! Random policy -3.1 summed (about 4.5 for each adversary and -16.5 for the agent). The best return of one side depends on
//! the other.
//!
//! # Origin
//! mpe2 1.1.1 `simple_tag_v3` ("predator-prey").

use coact_core::Result;
use coact_core::scene::Color;
use serde::{Deserialize, Serialize};

use super::nearest::{keep_nearest, nearest_offsets, order_margin};
use super::world::{Body, World, distance, offset, square};
use super::{
    Group, MOST, Particle, Row, Scenario, check_count, check_neighbors, check_stage, points, some_points,
};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_tag`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagOptions {
    /// Number of hunters.
    pub n_adversaries: usize,
    /// Number of hunted agents.
    pub n_agents: usize,
    /// Number of obstacles.
    pub n_obstacles: usize,
    /// 0, 1: hunted agents are half, three quarters as strong and fast; 2 or none: the whole task.
    pub curriculum_stage: Option<usize>,
    /// Whether an episode terminates when all hunted agents are touched.
    pub terminate_on_success: bool,
    /// Other agents that an agent observes; all if none.
    pub n_agent_neighbors: Option<usize>,
    /// Obstacles that an agent observes; all if none.
    pub n_landmark_neighbors: Option<usize>,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are five strengths instead of one of five.
    pub continuous: bool,
}

impl Default for TagOptions {
    /// The values of `simple_tag_v3`.
    fn default() -> Self {
        Self {
            n_adversaries: 3,
            n_agents: 1,
            n_obstacles: 2,
            curriculum_stage: None,
            terminate_on_success: false,
            n_agent_neighbors: None,
            n_landmark_neighbors: None,
            max_cycles: 25,
            continuous: false,
        }
    }
}

/// `simple_tag` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_tag",
    summary: "slow adversaries hunt faster agents around obstacles",
    origin: "mpe2 1.1.1 simple_tag_v3",
    options: &[
        OptionInfo { name: "n_adversaries", default: "3", explain: "number of hunters" },
        OptionInfo { name: "n_agents", default: "1", explain: "number of hunted agents" },
        OptionInfo { name: "n_obstacles", default: "2", explain: "number of obstacles" },
        super::CURRICULUM_STAGE,
        super::TERMINATE_ON_SUCCESS,
        super::N_AGENT_NEIGHBORS,
        super::N_LANDMARK_NEIGHBORS,
        super::MAX_CYCLES,
        super::CONTINUOUS,
    ],
    random_return: -3.1,
    best_known: None,
    batch: |options, n| rules::batch(Tag::new(&parse("simple_tag", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(Tag::new(&parse("simple_tag", options)?)?))),
};

/// The scenario.
#[derive(Debug, Clone)]
pub struct Tag {
    n_adversaries: usize,
    terminate_on_success: bool,
    n_agent_neighbors: Option<usize>,
    n_landmark_neighbors: Option<usize>,
}

/// Strength and speed of hunted agents in the stages of the curriculum.
const STAGES: [f64; 3] = [0.5, 0.75, 1.0];

impl Tag {
    /// Checks the options.
    ///
    /// # Errors
    /// No adversaries or no agents, too many, or no steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &TagOptions) -> Result<Particle<Self>> {
        let TagOptions {
            n_adversaries, n_agents, n_obstacles, curriculum_stage, max_cycles, continuous, ..
        } = *options;
        let TagOptions { terminate_on_success, n_agent_neighbors, n_landmark_neighbors, .. } = *options;
        check_count(Self::NAME, "n_adversaries", n_adversaries, 1)?;
        check_count(Self::NAME, "n_agents", n_agents, 1)?;
        check_count(Self::NAME, "n_obstacles", n_obstacles, 0)?;
        check_neighbors(Self::NAME, n_agent_neighbors, n_landmark_neighbors)?;
        check_stage(Self::NAME, curriculum_stage, STAGES.len())?;
        let part = STAGES[curriculum_stage.unwrap_or(STAGES.len() - 1)];
        let hunter = Body { accel: 3.0, max_speed: Some(1.0), ..Body::agent(0.075, true) };
        let hunted = Body { accel: 4.0 * part, max_speed: Some(1.3 * part), ..Body::agent(0.05, true) };
        let mut agents = vec![hunter; n_adversaries];
        agents.extend(vec![hunted; n_agents]);
        let world = World::new(agents, vec![Body::landmark(0.2, true); n_obstacles]);
        let obs = |seen_velocities| {
            vec![
                points("velocity", 1),
                points("position", 1),
                some_points("obstacles", n_obstacles, n_landmark_neighbors),
                some_points("others", n_adversaries + n_agents - 1, n_agent_neighbors),
                some_points("other_velocities", seen_velocities, n_agent_neighbors),
            ]
        };
        let groups = vec![
            Group { name: "adversary", n_agents: n_adversaries, obs: obs(n_agents), n_actions: 5 },
            Group { name: "agent", n_agents, obs: obs(n_agents - 1), n_actions: 5 },
        ];
        let scenario = Self { n_adversaries, terminate_on_success, n_agent_neighbors, n_landmark_neighbors };
        Particle::assemble(scenario, world, groups, continuous, max_cycles)
    }

    #[inline(always)]
    fn touch<R: Real>(world: &World, vars: &[R], agent: usize, hunter: usize) -> R::Mask {
        let reach = world.agents[agent].size + world.agents[hunter].size;
        distance(world.agent(vars, hunter), world.agent(vars, agent)).less(R::of(reach))
    }

    /// Whether every hunted agent is touched.
    #[inline(never)]
    fn all_caught<R: Real>(&self, world: &World, vars: &[R]) -> R::Mask {
        let mut all = R::mask_of(true);
        for agent in self.n_adversaries..world.agents.len() {
            let touch = |any, hunter| R::or(any, Self::touch(world, vars, agent, hunter));
            all = R::and(all, (0..self.n_adversaries).fold(R::mask_of(false), touch));
        }
        all
    }

    /// Offsets to the nearest `count` others, then their velocities: zeros for hunters.
    #[inline(never)]
    fn observe_neighbors<R: Real>(
        &self,
        world: &World,
        vars: &[R],
        agent: usize,
        count: usize,
        obs: &mut [R],
    ) {
        let me = world.agent(vars, agent);
        let other = |i: usize, row: &mut [R]| {
            let other = if i < agent { i } else { i + 1 };
            let seen = if other < self.n_adversaries { [R::of(0.0); 2] } else { world.velocity(vars, other) };
            row[..2].copy_from_slice(&offset(world.agent(vars, other), me));
            row[2..].copy_from_slice(&seen);
        };
        let mut rows = [R::of(0.0); 4 * MOST];
        let rows = &mut rows[..4 * count];
        keep_nearest(rows, 4, world.agents.len() - 1, other, |row| square([row[0], row[1]]));
        let (places, velocities) = obs.split_at_mut(2 * count);
        for (i, row) in rows.chunks_exact(4).enumerate() {
            places[2 * i..2 * i + 2].copy_from_slice(&row[..2]);
            velocities[2 * i..2 * i + 2].copy_from_slice(&row[2..]);
        }
    }
}

impl Scenario for Tag {
    const NAME: &'static str = "simple_tag";

    fn landmark_range(&self) -> f32 {
        0.9
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let mut caught = R::of(0.0);
        let (hunters, hunted) = reward.split_at_mut(self.n_adversaries);
        for (i, paid) in hunted.iter_mut().enumerate() {
            let agent = self.n_adversaries + i;
            let me = world.agent(vars, agent);
            let mut touching = R::of(0.0);
            for hunter in 0..self.n_adversaries {
                let touch = Self::touch(world, vars, agent, hunter);
                touching = touching + R::select(touch, R::of(10.0), R::of(0.0));
            }
            caught = caught + touching;
            *paid = -touching - bound(me[0].abs()) - bound(me[1].abs());
        }
        hunters.fill(caught);
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let me = world.agent(vars, agent);
        let n = world.agents.len();
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        row.push(me);
        let n_obstacles = world.landmarks.len();
        if let Some(count) = self.n_landmark_neighbors {
            nearest_offsets(row.take(2 * count), me, n_obstacles, |o| world.landmark(vars, o));
        } else {
            for obstacle in 0..n_obstacles {
                row.push(offset(world.landmark(vars, obstacle), me));
            }
        }
        if let Some(count) = self.n_agent_neighbors {
            return self.observe_neighbors(world, vars, agent, count, row.take(4 * count));
        }
        for other in (0..n).filter(|o| *o != agent) {
            row.push(offset(world.agent(vars, other), me));
        }
        for other in (self.n_adversaries..n).filter(|o| *o != agent) {
            row.push(world.velocity(vars, other));
        }
    }

    #[inline(always)]
    fn accomplished<R: Real>(&self, world: &World, vars: &[R]) -> R::Mask {
        if self.terminate_on_success { self.all_caught(world, vars) } else { R::mask_of(false) }
    }

    fn margin(&self, world: &World, vars: &[f64]) -> f64 {
        match self.n_agent_neighbors.or(self.n_landmark_neighbors) {
            Some(_) => order_margin(world, vars),
            None => f64::INFINITY,
        }
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[(Color(204, 40, 40), "hunter"), (Color(78, 154, 6), "prey"), (Color(110, 110, 110), "obstacle")]
    }

    fn color(&self, agent: usize) -> Color {
        if agent < self.n_adversaries { Color(204, 40, 40) } else { Color(78, 154, 6) }
    }
}

/// What leaving the field costs, for the absolute value of one coordinate.
#[inline(always)]
pub(super) fn bound<R: Real>(x: R) -> R {
    let (edge, one) = (R::of(0.9), R::of(1.0));
    let near = (x - edge) * R::of(10.0);
    let far = (x * R::of(2.0) - R::of(2.0)).exp().min(R::of(10.0));
    R::select(x.less(edge), R::of(0.0), R::select(x.less(one), near, far))
}
