//! `simple_world_comm`: adversaries with a leader that speaks hunt agents that gather food and hide in forests.
//!
//! # Rules
//! Like `simple_tag`, with food that agents touch and forests in which nobody is seen from outside, except by the
//! leader of the adversaries, which says one of four words each step (action = move + 5 * word). Adversaries (radius
//! 0.075, push 3, speed up to 1.0), agents (0.045, 4, 1.3) and obstacles (0.2) collide; food (0.03) and forests (0.3)
//! do not; all lie within +-0.9. See [`super::world`].
//!
//! # Parameters
//! `n_adversaries` (4, the leader included), `n_agents` (2), `n_obstacles` (1), `n_food` (2), `n_forests` (2),
//! `max_cycles` (25), `continuous` (false).
//!
//! # Observation
//! `leadadversary` and `adversary` (34): velocity, position, obstacles, food and forests relative to itself (10), others
//! relative to itself (10), velocities of agents (4), whether it is in each forest (1 or -1), the leader's word (4).
//! `agent` (28): the same to the others, whether it is in each forest, velocities of other agents (2). Another one is
//! shown only if both are in one forest, or neither is in any, or to the leader; else zeros stand for it.
//!
//! # Rewards and ends
//! Adversaries: 5 for every touching pair of agent and adversary minus 0.1 of the distance to the nearest agent. Agents:
//! -5 for each adversary that touches, minus twice the bound of `simple_tag`, 2 for each food that it touches, minus
//! 0.05 of the distance to the nearest food. Truncated after 25 steps.
//!
//! # Returns
//! Random policy: see [`ENTRY`]; scripts on both sides 74 summed. The best return of one side depends on the other.
//!
//! # Origin
//! mpe2 1.1.1 `simple_world_comm_v3`.

use std::ops::Range;

use coact_core::scene::Color;
use coact_core::{ObsField, Result, Stream};
use serde::{Deserialize, Serialize};

use super::tag::bound;
use super::world::{Body, World, distance, offset};
use super::{Group, Particle, Row, Scenario, check_count, points};
use crate::real::Real;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::{self, OneCopy};

/// Options of `simple_world_comm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldCommOptions {
    /// Number of hunters, the leader included.
    pub n_adversaries: usize,
    /// Number of hunted agents.
    pub n_agents: usize,
    /// Number of obstacles.
    pub n_obstacles: usize,
    /// Pieces of food.
    pub n_food: usize,
    /// Number of forests.
    pub n_forests: usize,
    /// Steps after which an episode is truncated.
    pub max_cycles: u32,
    /// Whether actions are strengths and raw words instead of one of some.
    pub continuous: bool,
}

impl Default for WorldCommOptions {
    /// The values of `simple_world_comm_v3`.
    fn default() -> Self {
        Self {
            n_adversaries: 4,
            n_agents: 2,
            n_obstacles: 1,
            n_food: 2,
            n_forests: 2,
            max_cycles: 25,
            continuous: false,
        }
    }
}

/// `simple_world_comm` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "simple_world_comm",
    summary: "adversaries with a leader that speaks hunt agents that gather food and hide in forests",
    origin: "mpe2 1.1.1 simple_world_comm_v3",
    options: &[
        OptionInfo { name: "n_adversaries", default: "4", explain: "number of hunters, the leader included" },
        OptionInfo { name: "n_agents", default: "2", explain: "number of hunted agents" },
        OptionInfo { name: "n_obstacles", default: "1", explain: "number of obstacles" },
        OptionInfo { name: "n_food", default: "2", explain: "pieces of food" },
        OptionInfo { name: "n_forests", default: "2", explain: "number of forests" },
        super::MAX_CYCLES,
        super::CONTINUOUS,
    ],
    random_return: -37.9,
    best_known: None,
    batch: |options, n| rules::copies(WorldComm::new(&parse("simple_world_comm", options)?)?, n),
    single: |options| Ok(Box::new(OneCopy::new(WorldComm::new(&parse("simple_world_comm", options)?)?))),
};

/// The scenario. Extra variables: the leader's word (4).
#[derive(Debug, Clone)]
pub struct WorldComm {
    n_adversaries: usize,
    n_obstacles: usize,
    n_food: usize,
}

const WORDS: usize = 4;
const LEADER: usize = 0;

impl WorldComm {
    /// Checks the options.
    ///
    /// # Errors
    /// No adversaries, agents or food, too many of anything, or no steps.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(options: &WorldCommOptions) -> Result<Particle<Self>> {
        let WorldCommOptions {
            n_adversaries,
            n_agents,
            n_obstacles,
            n_food,
            n_forests,
            max_cycles,
            continuous,
        } = options.clone();
        check_count(Self::NAME, "n_adversaries", n_adversaries, 1)?;
        check_count(Self::NAME, "n_agents", n_agents, 1)?;
        check_count(Self::NAME, "n_obstacles", n_obstacles, 0)?;
        check_count(Self::NAME, "n_food", n_food, 1)?;
        check_count(Self::NAME, "n_forests", n_forests, 0)?;
        let hunter = Body { accel: 3.0, max_speed: Some(1.0), ..Body::agent(0.075, true) };
        let hunted = Body { accel: 4.0, max_speed: Some(1.3), ..Body::agent(0.045, true) };
        let mut agents = vec![hunter; n_adversaries];
        agents.extend(vec![hunted; n_agents]);
        let mut landmarks = vec![Body::landmark(0.2, true); n_obstacles];
        landmarks.extend(vec![Body::landmark(0.03, false); n_food]);
        landmarks.extend(vec![Body::landmark(0.3, false); n_forests]);
        let world = World::new(agents, landmarks);
        let inside = ObsField::new("in_forest", n_forests, -1.0, 1.0);
        let head = [
            points("velocity", 1),
            points("position", 1),
            points("obstacles", n_obstacles),
            points("food", n_food),
            points("forests", n_forests),
            points("others", n_adversaries + n_agents - 1),
        ];
        let with = |tail: Vec<ObsField>| head.iter().cloned().chain(tail).collect::<Vec<_>>();
        let word = ObsField::new("word", WORDS, 0.0, 1.0);
        let hunter = with(vec![points("agent_velocities", n_agents), inside.clone(), word]);
        let hunted = with(vec![inside, points("agent_velocities", n_agents - 1)]);
        let spoken = if continuous { 5 + WORDS } else { 5 * WORDS };
        let mut groups =
            vec![Group { name: "leadadversary", n_agents: 1, obs: hunter.clone(), n_actions: spoken }];
        if n_adversaries > 1 {
            let n_agents = n_adversaries - 1;
            groups.push(Group { name: "adversary", n_agents, obs: hunter, n_actions: 5 });
        }
        groups.push(Group { name: "agent", n_agents, obs: hunted, n_actions: 5 });
        let scenario = Self { n_adversaries, n_obstacles, n_food };
        Particle::assemble(scenario, world, groups, continuous, max_cycles)
    }

    /// Pieces of food among the landmarks.
    fn food(&self) -> Range<usize> {
        self.n_obstacles..self.n_obstacles + self.n_food
    }

    /// Forests among the landmarks.
    fn forests(&self, world: &World) -> Range<usize> {
        self.n_obstacles + self.n_food..world.landmarks.len()
    }

    /// Whether an agent touches a landmark.
    #[inline(always)]
    fn touches<R: Real>(world: &World, vars: &[R], agent: usize, landmark: usize) -> R::Mask {
        let reach = world.agents[agent].size + world.landmarks[landmark].size;
        distance(world.agent(vars, agent), world.landmark(vars, landmark)).less(R::of(reach))
    }

    /// 1 where `agent` sees `other`, else 0.
    #[inline(always)]
    fn sees<R: Real>(&self, world: &World, vars: &[R], agent: usize, other: usize) -> R {
        let (one, zero) = (R::of(1.0), R::of(0.0));
        if agent == LEADER {
            return one;
        }
        let (mut together, mut hidden) = (R::mask_of(false), R::mask_of(false));
        for forest in self.forests(world) {
            let me = Self::touches(world, vars, agent, forest);
            let they = Self::touches(world, vars, other, forest);
            together = R::or(together, R::and(me, they));
            hidden = R::or(hidden, R::or(me, they));
        }
        R::select(together, one, R::select(hidden, zero, one))
    }
}

impl Scenario for WorldComm {
    const NAME: &'static str = "simple_world_comm";
    const TOUCHES_LANDMARKS: bool = true;

    fn n_extra(&self) -> usize {
        WORDS
    }

    fn draw(&self, _rng: &mut Stream, extra: &mut [f32]) {
        extra.fill(0.0);
    }

    fn landmark_range(&self) -> f32 {
        0.9
    }

    fn word(&self, agent: usize) -> Range<usize> {
        if agent == LEADER { 0..WORDS } else { 0..0 }
    }

    #[inline(always)]
    fn reward<R: Real>(&self, world: &World, vars: &[R], reward: &mut [R]) {
        let (zero, n) = (R::of(0.0), world.agents.len());
        let mut caught = zero;
        let (hunters, hunted) = reward.split_at_mut(self.n_adversaries);
        for (i, earned) in hunted.iter_mut().enumerate() {
            let agent = self.n_adversaries + i;
            let me = world.agent(vars, agent);
            let mut paid = zero;
            for hunter in 0..self.n_adversaries {
                let reach = world.agents[agent].size + world.agents[hunter].size;
                let touch = distance(world.agent(vars, hunter), me).less(R::of(reach));
                paid = paid - R::select(touch, R::of(5.0), zero);
            }
            caught = caught - paid;
            paid = paid - R::of(2.0) * bound(me[0].abs()) - R::of(2.0) * bound(me[1].abs());
            let mut nearest = R::of(f64::from(f32::MAX));
            for food in self.food() {
                let touch = Self::touches(world, vars, agent, food);
                paid = paid + R::select(touch, R::of(2.0), zero);
                nearest = distance(world.landmark(vars, food), me).min(nearest);
            }
            *earned = paid - R::of(0.05) * nearest;
        }
        for (hunter, earned) in hunters.iter_mut().enumerate() {
            let mut nearest = R::of(f64::from(f32::MAX));
            for agent in self.n_adversaries..n {
                nearest = distance(world.agent(vars, agent), world.agent(vars, hunter)).min(nearest);
            }
            *earned = caught - R::of(0.1) * nearest;
        }
    }

    #[inline(always)]
    fn observe<R: Real>(&self, world: &World, vars: &[R], agent: usize, obs: &mut [R]) {
        let (me, n) = (world.agent(vars, agent), world.agents.len());
        let mut row = Row::new(obs);
        row.push(world.velocity(vars, agent));
        row.push(me);
        for landmark in 0..world.landmarks.len() {
            row.push(offset(world.landmark(vars, landmark), me));
        }
        for other in (0..n).filter(|o| *o != agent) {
            let seen = self.sees(world, vars, agent, other);
            row.push(offset(world.agent(vars, other), me).map(|x| x * seen));
        }
        let hunts = agent < self.n_adversaries;
        let inside = |row: &mut Row<'_, R>| {
            for forest in self.forests(world) {
                let here = Self::touches(world, vars, agent, forest);
                row.push([R::select(here, R::of(1.0), R::of(-1.0))]);
            }
        };
        if !hunts {
            inside(&mut row);
        }
        for other in (self.n_adversaries..n).filter(|o| *o != agent) {
            let seen = self.sees(world, vars, agent, other);
            row.push(world.velocity(vars, other).map(|v| v * seen));
        }
        if hunts {
            inside(&mut row);
            row.extend(&vars[world.n_vars()..]);
        }
    }

    fn legend(&self) -> &'static [(Color, &'static str)] {
        &[
            (Color(140, 10, 20), "leader"),
            (Color(214, 60, 50), "hunter"),
            (Color(52, 101, 164), "prey"),
            (Color(150, 90, 10), "food"),
            (Color(180, 222, 150), "forest"),
            (Color(110, 110, 110), "obstacle"),
        ]
    }

    fn color(&self, agent: usize) -> Color {
        match agent {
            LEADER => Color(140, 10, 20),
            _ if agent < self.n_adversaries => Color(214, 60, 50),
            _ => Color(52, 101, 164),
        }
    }

    fn landmark_color(&self, _extra: &[f32], landmark: usize) -> Color {
        match landmark {
            _ if landmark < self.n_obstacles => Color(110, 110, 110),
            _ if self.food().contains(&landmark) => Color(150, 90, 10),
            _ => Color(180, 222, 150),
        }
    }
}
