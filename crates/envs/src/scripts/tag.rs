//! Prey that flees and hunters that chase, for `simple_tag`: each tries every move for a short while in thought and
//! takes the one that goes best.
//!
//! Hunters in the prey's thought walk straight at it at their top speed; prey in a hunter's thought keeps its velocity
//! and stays on the field; obstacles and edges are costs. Weights and lengths of thoughts were chosen for what prey
//! earns against these hunters while it stays on the field nineteen steps of twenty.

use std::ops::Range;

use coact_core::{EnvSpec, GroupSpec, Result};

use super::motion::{Body, DT, act, ahead, distance, length, point};
use super::{Choice, Draws, Script, ScriptEntry, Seen, field};

/// Radius of an obstacle.
const OBSTACLE: f32 = 0.2;
/// Radius of a hunter.
const HUNTER: f32 = 0.075;
/// Radius of prey.
const PREY: f32 = 0.05;
/// What stands for somebody who is hidden, in environments where one can hide.
const HIDDEN: [f32; 2] = [0.0; 2];
/// Where a hidden hunter is in prey's thought.
const FAR: [f32; 2] = [100.0; 2];
/// What a unit of distance from food costs prey, in units of danger.
const APPETITE: f32 = 5.0;
/// Steps of prey's thought, and for how many of them it pushes.
const FLIGHT: (usize, usize) = (11, 8);
/// Steps of a hunter's thought, and for how many of them it pushes.
const CHASE_STEPS: (usize, usize) = (6, 2);

pub const FLEE: ScriptEntry = ScriptEntry {
    envs: &["simple_tag"],
    group: "agent",
    name: "flee",
    summary: "runs from near hunters, around obstacles, and stays on the field",
    build: |env, group| {
        let n_hunters = env.n_agents() - group.n_agents;
        Ok(Box::new(Flee::new(Sight::of(env, group)?, n_hunters, 0..0)))
    },
};

pub const CHASE: ScriptEntry = ScriptEntry {
    envs: &["simple_tag"],
    group: "adversary",
    name: "chase",
    summary: "runs to where the nearest prey is going, around obstacles",
    build: |env, group| {
        let velocities = field(env, group, "other_velocities")?;
        Ok(Box::new(Chase { sight: Sight::of(env, group)?, velocities, n_hunters: group.n_agents }))
    },
};

/// Where things stand in a row.
pub struct Sight {
    velocity: Range<usize>,
    pub position: Range<usize>,
    obstacles: Range<usize>,
    others: Range<usize>,
}

impl Sight {
    /// Finds the fields of a group.
    pub fn of(env: &EnvSpec, group: &GroupSpec) -> Result<Self> {
        let find = |name| field(env, group, name);
        Ok(Self {
            velocity: find("velocity")?,
            position: find("position")?,
            obstacles: find("obstacles")?,
            others: find("others")?,
        })
    }

    /// What obstacles and edges cost a body of radius `radius` at `at`, relative to where it is now.
    fn hindrance(&self, obs: &[f32], at: [f32; 2], radius: f32) -> f32 {
        let mut cost = 0.0;
        for obstacle in obs[self.obstacles.clone()].chunks_exact(2) {
            let depth = OBSTACLE + radius + 0.02 - distance(at, [obstacle[0], obstacle[1]]);
            cost += 100.0 * depth.max(0.0);
        }
        for (axis, now) in obs[self.position.clone()].iter().enumerate() {
            let beyond = ((now + at[axis]).abs() - 0.9).max(0.0);
            cost += 20.0 * (beyond + beyond * beyond);
        }
        cost
    }
}

/// Prey.
pub struct Flee {
    sight: Sight,
    hunters: Vec<[f32; 2]>,
    food: Range<usize>,
}

impl Flee {
    /// Prey that is drawn to what stands in `food`, if anything does.
    pub fn new(sight: Sight, n_hunters: usize, food: Range<usize>) -> Self {
        Self { sight, hunters: vec![[0.0; 2]; n_hunters], food }
    }

    fn cost(&mut self, obs: &[f32], push: [f32; 2]) -> f32 {
        let others = obs[self.sight.others.clone()].chunks_exact(2);
        for (hunter, at) in self.hunters.iter_mut().zip(others) {
            *hunter = if at == HIDDEN { FAR } else { [at[0], at[1]] };
        }
        let velocity = point(&obs[self.sight.velocity.clone()], 0);
        let mut own = Body { at: [0.0; 2], velocity, accel: 4.0, top: 1.3 };
        let (mut cost, mut weight) = (0.0, 1.0);
        for t in 0..FLIGHT.0 {
            own.step(if t < FLIGHT.1 { push } else { [0.0; 2] });
            let mut danger = self.sight.hindrance(obs, own.at, PREY);
            for hunter in &mut self.hunters {
                let away = distance(*hunter, own.at);
                let stride = (DT / away.max(DT)).min(1.0);
                *hunter = ahead(*hunter, stride, [own.at[0] - hunter[0], own.at[1] - hunter[1]]);
                let gap = (away - HUNTER - PREY).max(0.0) + 0.3;
                danger += 1.0 / (gap * gap);
            }
            cost += weight * (danger + APPETITE * self.hunger(obs, own.at));
            weight *= 0.95;
        }
        cost
    }
}

impl Flee {
    /// Distance to the nearest food.
    fn hunger(&self, obs: &[f32], at: [f32; 2]) -> f32 {
        let food = obs[self.food.clone()].chunks_exact(2);
        let gaps = food.map(|f| distance(at, [f[0], f[1]]));
        gaps.reduce(f32::min).unwrap_or(0.0)
    }
}

impl Script for Flee {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        act(action, 0, |push| self.cost(obs, push));
    }
}

/// A hunter.
pub struct Chase {
    pub sight: Sight,
    pub velocities: Range<usize>,
    pub n_hunters: usize,
}

impl Chase {
    /// Places and velocities of prey in sight.
    pub fn prey<'a>(&self, obs: &'a [f32]) -> impl Iterator<Item = ([f32; 2], [f32; 2])> + use<'a> {
        let prey = obs[self.sight.others.clone()].chunks_exact(2).skip(self.n_hunters - 1);
        let velocities = obs[self.velocities.clone()].chunks_exact(2);
        let seen = prey.zip(velocities).filter(|(at, _)| *at != HIDDEN);
        seen.map(|(at, v)| ([at[0], at[1]], [v[0], v[1]]))
    }

    /// Place and velocity of the nearest prey, if any is in sight.
    pub fn nearest(&self, obs: &[f32]) -> Option<([f32; 2], [f32; 2])> {
        self.prey(obs).min_by(|a, b| length(a.0).total_cmp(&length(b.0)))
    }

    /// What a push costs against prey at a place with a velocity.
    pub fn cost(&self, obs: &[f32], (mut prey, running): ([f32; 2], [f32; 2]), push: [f32; 2]) -> f32 {
        let now = point(&obs[self.sight.position.clone()], 0);
        let velocity = point(&obs[self.sight.velocity.clone()], 0);
        let mut own = Body { at: [0.0; 2], velocity, accel: 3.0, top: 1.0 };
        let mut cost = 0.0;
        for t in 0..CHASE_STEPS.0 {
            own.step(if t < CHASE_STEPS.1 { push } else { [0.0; 2] });
            let free = ahead(ahead(now, 1.0, prey), DT, running);
            prey = ahead(free.map(|x| x.clamp(-1.0, 1.0)), -1.0, now);
            cost += distance(own.at, prey) + 0.02 * self.sight.hindrance(obs, own.at, HUNTER);
        }
        cost
    }
}

impl Script for Chase {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let prey = self.nearest(obs).unwrap_or_default();
        act(action, 0, |push| self.cost(obs, prey, push));
    }
}
