//! The point-mass world of mpe2 1.1.1 (`_mpe_utils/core.py`, `World.step`), over any [`Real`].
//!
//! Not here: actions, rewards, observations, words. Per step of 0.1 s: soft contact forces between every pair of
//! entities that collide, then position moves with the old velocity, velocity loses a quarter and gains the
//! force, and speed is clipped. One deviation: two entities at exactly the same place push each other not at
//! all, where the reference divides zero by zero.

use crate::real::{Formula, Real};

/// Length of a step in seconds.
const DT: f64 = 0.1;
/// Share of the velocity that is lost in a step.
const DAMPING: f64 = 0.25;
/// Stiffness of contacts.
const CONTACT_FORCE: f64 = 100.0;
/// Softness of contacts, a length.
const CONTACT_MARGIN: f64 = 1e-3;

/// An agent or a landmark; masses are 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Body {
    /// Radius.
    pub size: f64,
    /// Force of a full push.
    pub accel: f64,
    /// Largest speed, if there is one.
    pub max_speed: Option<f64>,
    /// Whether it pushes and is pushed by others that collide.
    pub collide: bool,
    /// Whether it moves at all.
    pub movable: bool,
}

impl Body {
    /// An agent of `size` with the reference's default push of 5 and no speed limit.
    pub fn agent(size: f64, collide: bool) -> Self {
        Self { size, accel: 5.0, max_speed: None, collide, movable: true }
    }

    /// A landmark.
    pub fn landmark(size: f64, collide: bool) -> Self {
        Self { size, accel: 0.0, max_speed: None, collide, movable: false }
    }
}

/// Two entities that can touch; the second may be a landmark.
#[derive(Debug, Clone, Copy)]
struct Pair {
    a: usize,
    b: usize,
    reach: f64,
}

/// Agents and landmarks, and who collides with whom.
///
/// Variables: `x, y, vx, vy` of every agent, then `x, y` of every landmark.
#[derive(Debug, Clone)]
pub struct World {
    /// Agents, in agent order.
    pub agents: Vec<Body>,
    /// Landmarks.
    pub landmarks: Vec<Body>,
    pairs: Vec<Pair>,
}

impl World {
    /// A world of these bodies.
    pub fn new(agents: Vec<Body>, landmarks: Vec<Body>) -> Self {
        let all: Vec<Body> = agents.iter().chain(&landmarks).copied().collect();
        let pairs = (0..agents.len())
            .flat_map(|a| (a + 1..all.len()).map(move |b| (a, b)))
            .filter(|&(a, b)| all[a].collide && all[b].collide && (all[a].movable || all[b].movable))
            .map(|(a, b)| Pair { a, b, reach: all[a].size + all[b].size })
            .collect();
        Self { agents, landmarks, pairs }
    }

    /// Number of variables.
    pub fn n_vars(&self) -> usize {
        4 * self.agents.len() + 2 * self.landmarks.len()
    }

    /// Place of agent `agent`.
    #[inline(always)]
    pub fn agent<R: Real>(&self, vars: &[R], agent: usize) -> [R; 2] {
        [vars[4 * agent], vars[4 * agent + 1]]
    }

    /// Velocity of agent `agent`.
    #[inline(always)]
    pub fn velocity<R: Real>(&self, vars: &[R], agent: usize) -> [R; 2] {
        [vars[4 * agent + 2], vars[4 * agent + 3]]
    }

    /// Place of landmark `landmark`.
    #[inline(always)]
    pub fn landmark<R: Real>(&self, vars: &[R], landmark: usize) -> [R; 2] {
        let at = 4 * self.agents.len() + 2 * landmark;
        [vars[at], vars[at + 1]]
    }

    /// Place of entity `entity`, agents first.
    #[inline(always)]
    fn entity<R: Real>(&self, vars: &[R], entity: usize) -> [R; 2] {
        match entity.checked_sub(self.agents.len()) {
            None => self.agent(vars, entity),
            Some(landmark) => self.landmark(vars, landmark),
        }
    }

    /// One step under `force` (`x, y` of every agent), which is used up: contact forces are added to it.
    #[inline(always)]
    pub fn step<R: Real>(&self, vars: &mut [R], force: &mut [R]) {
        for pair in &self.pairs {
            let (a, b) = (self.entity(vars, pair.a), self.entity(vars, pair.b));
            let push = R::each(&Contact { reach: pair.reach }, offset(a, b));
            for axis in 0..2 {
                if self.agents[pair.a].movable {
                    force[2 * pair.a + axis] = force[2 * pair.a + axis] + push[axis];
                }
                if pair.b < self.agents.len() && self.agents[pair.b].movable {
                    force[2 * pair.b + axis] = force[2 * pair.b + axis] - push[axis];
                }
            }
        }
        for (agent, body) in self.agents.iter().enumerate().filter(|(_, b)| b.movable) {
            let now = &mut vars[4 * agent..4 * agent + 4];
            now[0] = now[0] + now[2] * R::of(DT);
            now[1] = now[1] + now[3] * R::of(DT);
            let vx = now[2] * R::of(1.0 - DAMPING) + force[2 * agent] * R::of(DT);
            let vy = now[3] * R::of(1.0 - DAMPING) + force[2 * agent + 1] * R::of(DT);
            [now[2], now[3]] = match body.max_speed {
                None => [vx, vy],
                Some(top) => R::each(&SpeedLimit { top }, [vx, vy]),
            };
        }
    }
}

/// Force on the first of two bodies that touch at distance `reach`, from the offset of the first to the second.
struct Contact {
    reach: f64,
}

impl Formula<2, 2> for Contact {
    #[inline(always)]
    fn of<R: Real>(&self, delta: [R; 2]) -> [R; 2] {
        let dist = length(delta);
        let depth = (R::of(self.reach) - dist) * R::of(1.0 / CONTACT_MARGIN);
        let penetration = depth.softplus() * R::of(CONTACT_MARGIN);
        let scale = R::of(CONTACT_FORCE) * penetration / dist.max(R::of(1e-30));
        [delta[0] * scale, delta[1] * scale]
    }
}

/// A velocity, shortened to `top` where it is longer.
struct SpeedLimit {
    top: f64,
}

impl Formula<2, 2> for SpeedLimit {
    #[inline(always)]
    fn of<R: Real>(&self, v: [R; 2]) -> [R; 2] {
        let speed = length(v);
        let over = R::of(self.top).less(speed);
        let scale = R::of(self.top) / speed;
        [R::select(over, v[0] * scale, v[0]), R::select(over, v[1] * scale, v[1])]
    }
}

/// Length of a vector.
#[inline(always)]
pub fn length<R: Real>(v: [R; 2]) -> R {
    square(v).sqrt()
}

/// Square of the length of a vector.
#[inline(always)]
pub fn square<R: Real>(v: [R; 2]) -> R {
    v[0] * v[0] + v[1] * v[1]
}

/// From `from` to `to`.
#[inline(always)]
pub fn offset<R: Real>(to: [R; 2], from: [R; 2]) -> [R; 2] {
    [to[0] - from[0], to[1] - from[1]]
}

/// Distance of two places.
#[inline(always)]
pub fn distance<R: Real>(a: [R; 2], b: [R; 2]) -> R {
    length(offset(a, b))
}
