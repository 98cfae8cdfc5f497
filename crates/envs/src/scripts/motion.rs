//! Thinking ahead in the particle world: an agent tries every push in thought and takes the one that costs least.
//!
//! Thoughts follow the rules of [`crate::particle::world`] for the agent's own body: position moves with the old
//! velocity, velocity keeps three quarters and gains the push, speed is clipped. What others do is up to the cost.

use super::{Choice, Draws};

/// Length of a step in seconds.
pub const DT: f32 = 0.1;
/// Share of the velocity that is left after a step.
const KEPT: f32 = 0.75;
/// Moves that every word can be said with.
pub const MOVES: usize = 5;

/// Directions to try: the moves, and those between them where pushes are continuous.
const PUSHES: [[f32; 2]; 9] = [
    [0.0, 0.0],
    [-1.0, 0.0],
    [1.0, 0.0],
    [0.0, -1.0],
    [0.0, 1.0],
    [-1.0, -1.0],
    [-1.0, 1.0],
    [1.0, -1.0],
    [1.0, 1.0],
];

/// Strength of a push by distance, for bodies that do not know their velocity: one and a half overshoots, a half crawls.
const FADE: f32 = 1.0;

/// Strengths to try where pushes are continuous.
const STRENGTHS: [f32; 3] = [1.0, 0.5, 0.2];

/// The agent that thinks, relative to where it is now.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// Place.
    pub at: [f32; 2],
    /// Velocity.
    pub velocity: [f32; 2],
    /// Force of a full push.
    pub accel: f32,
    /// Largest speed.
    pub top: f32,
}

impl Body {
    /// One step under `push`, of which one is a full one.
    pub fn step(&mut self, push: [f32; 2]) {
        self.at = ahead(self.at, DT, self.velocity);
        self.velocity = ahead(self.velocity.map(|v| KEPT * v), DT * self.accel, push);
        let speed = length(self.velocity);
        if speed > self.top {
            self.velocity = self.velocity.map(|v| v * (self.top / speed));
        }
    }
}

/// Writes the push that costs least, of equals the first one; `word` is said along with a discrete move.
pub fn act(action: Choice<'_>, word: u32, mut cost: impl FnMut([f32; 2]) -> f32) {
    let (n, strengths) = match action {
        Choice::Discrete(_) => (MOVES, &STRENGTHS[..1]),
        Choice::Continuous(_) => (PUSHES.len(), &STRENGTHS[..]),
    };
    let (mut chosen, mut least) = ((0, PUSHES[0]), f32::INFINITY);
    for strength in strengths {
        for (i, push) in PUSHES[..n].iter().enumerate() {
            let push = push.map(|p| strength * p);
            let cost = cost(push);
            if cost < least {
                (chosen, least) = ((i, push), cost);
            }
        }
    }
    match action {
        Choice::Discrete(a) => *a = MOVES as u32 * word + chosen.0 as u32,
        Choice::Continuous(components) => write_push(components, chosen.1),
    }
}

/// From `at` along `way`, `share` of it.
pub fn ahead(at: [f32; 2], share: f32, way: [f32; 2]) -> [f32; 2] {
    [at[0] + share * way[0], at[1] + share * way[1]]
}

/// Length of a vector.
pub fn length(v: [f32; 2]) -> f32 {
    (v[0] * v[0] + v[1] * v[1]).sqrt()
}

/// Distance of two places.
pub fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    length([a[0] - b[0], a[1] - b[1]])
}

/// Point `i` of a row of points.
pub fn point(points: &[f32], i: usize) -> [f32; 2] {
    [points[2 * i], points[2 * i + 1]]
}

/// Goes towards `goal` without knowing its own velocity, by pushes that fade with the distance: as strong as the goal is far
/// along an axis where pushes are continuous, as frequent where they are all or nothing.
pub fn drift(goal: [f32; 2], action: Choice<'_>, draws: Draws) {
    let wanted = goal.map(|d| (FADE * d).clamp(-1.0, 1.0));
    match action {
        Choice::Continuous(components) => write_push(components, wanted),
        Choice::Discrete(a) => {
            let whole = (wanted[0].abs() + wanted[1].abs()).max(1.0);
            let draw = draws.now().uniform() * whole;
            let axis = usize::from(draw >= wanted[0].abs());
            let pushes = draw < wanted[0].abs() + wanted[1].abs();
            *a = if pushes { 1 + 2 * axis as u32 + u32::from(wanted[axis] > 0.0) } else { 0 };
        }
    }
}

/// A push as the strengths of the four directions.
fn write_push(components: &mut [f32], push: [f32; 2]) {
    for (axis, strength) in push.into_iter().enumerate() {
        components[1 + 2 * axis] = (-strength).max(0.0);
        components[2 + 2 * axis] = strength.max(0.0);
    }
}
