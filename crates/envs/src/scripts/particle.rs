//! Controllers for the cooperative scenarios: each tries every push for one step in thought, coasts for some more, and
//! takes the push that keeps it nearest to its goal.

use std::ops::Range;

use coact_core::{EnvSpec, GroupSpec, Result};

use super::assign::Assignment;
use super::motion::{Body, MOVES, act, distance, point};
use super::{Choice, Draws, Script, ScriptEntry, Seen, field};

/// Steps of a thought.
const HORIZON: usize = 4;
/// Distance of two agents of `simple_spread` below which they are in each other's way: they touch at 0.3.
const ROOM: f32 = 0.35;

pub const SIMPLE: ScriptEntry = ScriptEntry {
    envs: &["simple"],
    group: "agent",
    name: "coast",
    summary: "goes to the landmark and comes to rest there",
    build: |env, group| {
        let [velocity, landmark] = fields(env, group, ["velocity", "landmark"])?;
        Ok(Box::new(Simple { velocity, landmark }))
    },
};

pub const SPREAD: ScriptEntry = ScriptEntry {
    envs: &["simple_spread"],
    group: "agent",
    name: "assign",
    summary: "goes to its landmark in the assignment of smallest total distance",
    build: |env, group| {
        let [velocity, landmarks, others] = fields(env, group, ["velocity", "landmarks", "others"])?;
        Ok(Box::new(Spread { velocity, landmarks, others, assignment: Assignment::new(group.n_agents) }))
    },
};

pub const SPEAKER: ScriptEntry = ScriptEntry {
    envs: &["simple_speaker_listener"],
    group: "speaker",
    name: "say",
    summary: "says which landmark is the goal: word 0, 1 or 2",
    build: |env, group| {
        let [color] = fields(env, group, ["goal_color"])?;
        Ok(Box::new(Speaker { color }))
    },
};

pub const LISTENER: ScriptEntry = ScriptEntry {
    envs: &["simple_speaker_listener"],
    group: "listener",
    name: "follow",
    summary: "goes to the landmark that the last word names, to the middle of all before the first word",
    build: |env, group| {
        let [velocity, landmarks, word] = fields(env, group, ["velocity", "landmarks", "word"])?;
        Ok(Box::new(Listener { velocity, landmarks, word }))
    },
};

pub const REFERENCE: ScriptEntry = ScriptEntry {
    envs: &["simple_reference"],
    group: "agent",
    name: "tell",
    summary: "says the other's goal (word 0, 1 or 2) and goes to the one that the last word names",
    build: |env, group| {
        let [velocity, landmarks, color, word] =
            fields(env, group, ["velocity", "landmarks", "goal_color", "word"])?;
        Ok(Box::new(Reference { listener: Listener { velocity, landmarks, word }, color }))
    },
};

/// Where several observation fields stand.
///
/// # Errors
/// A field that there is not.
pub fn fields<const K: usize>(
    env: &EnvSpec,
    group: &GroupSpec,
    names: [&str; K],
) -> Result<[Range<usize>; K]> {
    let mut found = [const { 0..0 }; K];
    for (range, name) in found.iter_mut().zip(names) {
        *range = field(env, group, name)?;
    }
    Ok(found)
}

/// Distances to `goal` while coasting after `push`, and what being near `others` costs; all relative to here.
pub fn cost(goal: [f32; 2], others: &[f32], velocity: [f32; 2], push: [f32; 2]) -> f32 {
    let mut own = Body { at: [0.0; 2], velocity, accel: 5.0, top: f32::INFINITY };
    own.step(push);
    let mut cost = distance(own.at, goal);
    for _ in 1..HORIZON {
        own.step([0.0; 2]);
        cost += distance(own.at, goal);
        for other in others.chunks_exact(2) {
            cost += 2.0 * (ROOM - distance(own.at, [other[0], other[1]])).max(0.0);
        }
    }
    cost
}

/// Place of the largest number.
fn brightest(numbers: &[f32]) -> usize {
    let better = |best: usize, i: usize| if numbers[i] > numbers[best] { i } else { best };
    (0..numbers.len()).fold(0, better)
}

struct Simple {
    velocity: Range<usize>,
    landmark: Range<usize>,
}

impl Script for Simple {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let goal = point(&obs[self.landmark.clone()], 0);
        let velocity = point(&obs[self.velocity.clone()], 0);
        act(action, 0, |push| cost(goal, &[], velocity, push));
    }
}

struct Spread {
    velocity: Range<usize>,
    landmarks: Range<usize>,
    others: Range<usize>,
    assignment: Assignment,
}

impl Script for Spread {
    fn act(&mut self, agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let (landmarks, others) = (&obs[self.landmarks.clone()], &obs[self.others.clone()]);
        let n = landmarks.len() / 2;
        for row in 0..n {
            // Rows in the order of agents, so that all solve the same problem.
            let place = match row.cmp(&agent) {
                std::cmp::Ordering::Less => point(others, row),
                std::cmp::Ordering::Equal => [0.0; 2],
                std::cmp::Ordering::Greater => point(others, row - 1),
            };
            for column in 0..n {
                self.assignment.cost[row * n + column] = distance(point(landmarks, column), place);
            }
        }
        let goal = point(landmarks, self.assignment.column_of(agent));
        let velocity = point(&obs[self.velocity.clone()], 0);
        act(action, 0, |push| cost(goal, others, velocity, push));
    }
}

struct Speaker {
    color: Range<usize>,
}

impl Script for Speaker {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let word = brightest(&obs[self.color.clone()]);
        match action {
            Choice::Discrete(a) => *a = word as u32,
            Choice::Continuous(components) => components[word] = 1.0,
        }
    }
}

struct Listener {
    velocity: Range<usize>,
    landmarks: Range<usize>,
    word: Range<usize>,
}

impl Listener {
    /// Where to go: the landmark named, the middle of all landmarks while none is.
    fn goal(&self, obs: &[f32]) -> [f32; 2] {
        let (landmarks, word) = (&obs[self.landmarks.clone()], &obs[self.word.clone()]);
        let n = landmarks.len() / 2;
        let said = brightest(word);
        if word[said] > 0.5 && said < n {
            return point(landmarks, said);
        }
        let middle = |axis: usize| landmarks.iter().skip(axis).step_by(2).sum::<f32>() / n as f32;
        [middle(0), middle(1)]
    }

    /// Goes there, saying `word`.
    fn go(&self, obs: &[f32], word: u32, action: Choice<'_>) {
        let (goal, velocity) = (self.goal(obs), point(&obs[self.velocity.clone()], 0));
        act(action, word, |push| cost(goal, &[], velocity, push));
    }
}

impl Script for Listener {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        self.go(obs, 0, action);
    }
}

struct Reference {
    listener: Listener,
    color: Range<usize>,
}

impl Script for Reference {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, mut action: Choice<'_>) {
        let word = brightest(&obs[self.color.clone()]);
        if let Choice::Continuous(components) = &mut action {
            components[MOVES + word] = 1.0;
        }
        self.listener.go(obs, word as u32, action);
    }
}
