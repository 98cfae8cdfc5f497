//! Both sides of `simple_adversary` and `simple_push`, where one side knows the goal and the other infers it from what
//! the first one does.

use std::ops::Range;

use super::assign::Assignment;
use super::motion::{act, distance, drift, point};
use super::particle::{cost, fields};
use super::{Choice, Draws, Script, ScriptEntry, Seen};

pub const SPLIT: ScriptEntry = ScriptEntry {
    envs: &["simple_adversary"],
    group: "agent",
    name: "split",
    summary: "one at each landmark, in the assignment of smallest total distance: the goal looks like the decoys",
    build: |env, group| {
        let [landmarks, others] = fields(env, group, ["landmarks", "others"])?;
        Ok(Box::new(Split { landmarks, others, assignment: Assignment::new(group.n_agents) }))
    },
};

pub const GUESS: ScriptEntry = ScriptEntry {
    envs: &["simple_adversary"],
    group: "adversary",
    name: "guess",
    summary: "goes to the middle of the landmarks, each counted by how near an agent is to it",
    build: |env, group| {
        let [landmarks, others] = fields(env, group, ["landmarks", "others"])?;
        Ok(Box::new(Guess { landmarks, others }))
    },
};

pub const REACH: ScriptEntry = ScriptEntry {
    envs: &["simple_push"],
    group: "agent",
    name: "reach",
    summary: "goes to the goal and keeps pushing towards it",
    build: |env, group| {
        let [velocity, goal] = fields(env, group, ["velocity", "goal"])?;
        Ok(Box::new(Reach { velocity, goal }))
    },
};

pub const BLOCK: ScriptEntry = ScriptEntry {
    envs: &["simple_push"],
    group: "adversary",
    name: "block",
    summary: "stands on the landmark that the agent is nearest to",
    build: |env, group| {
        let [velocity, landmarks, other] = fields(env, group, ["velocity", "landmarks", "other"])?;
        Ok(Box::new(Block { velocity, landmarks, other }))
    },
};

/// Distance that an agent must be nearer by to count twice as much.
const NEAR: f32 = 0.1;

struct Split {
    landmarks: Range<usize>,
    others: Range<usize>,
    assignment: Assignment,
}

impl Script for Split {
    fn act(&mut self, agent: usize, Seen { obs, .. }: Seen<'_>, draws: Draws, action: Choice<'_>) {
        let (landmarks, others) = (&obs[self.landmarks.clone()], &obs[self.others.clone()]);
        let n = landmarks.len() / 2;
        for row in 0..n {
            // Rows in the order of agents, so that all solve the same problem; the adversary comes first among others.
            let place = match row.cmp(&agent) {
                std::cmp::Ordering::Less => point(others, row + 1),
                std::cmp::Ordering::Equal => [0.0; 2],
                std::cmp::Ordering::Greater => point(others, row),
            };
            for column in 0..n {
                self.assignment.cost[row * n + column] = distance(point(landmarks, column), place);
            }
        }
        drift(point(landmarks, self.assignment.column_of(agent)), action, draws);
    }
}

struct Guess {
    landmarks: Range<usize>,
    others: Range<usize>,
}

impl Script for Guess {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, draws: Draws, action: Choice<'_>) {
        let (landmarks, others) = (&obs[self.landmarks.clone()], &obs[self.others.clone()]);
        let (mut middle, mut total) = ([0.0; 2], 0.0);
        for landmark in landmarks.chunks_exact(2) {
            let gaps = others.chunks_exact(2).map(|o| distance([o[0], o[1]], [landmark[0], landmark[1]]));
            let weight = (NEAR + gaps.fold(f32::INFINITY, f32::min)).powi(-2);
            middle = [middle[0] + weight * landmark[0], middle[1] + weight * landmark[1]];
            total += weight;
        }
        drift(middle.map(|x| x / total), action, draws);
    }
}

struct Reach {
    velocity: Range<usize>,
    goal: Range<usize>,
}

impl Script for Reach {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let (goal, velocity) = (point(&obs[self.goal.clone()], 0), point(&obs[self.velocity.clone()], 0));
        act(action, 0, |push| cost(goal, &[], velocity, push));
    }
}

struct Block {
    velocity: Range<usize>,
    landmarks: Range<usize>,
    other: Range<usize>,
}

impl Script for Block {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let (landmarks, other) = (&obs[self.landmarks.clone()], point(&obs[self.other.clone()], 0));
        let places = landmarks.chunks_exact(2).map(|l| [l[0], l[1]]);
        let nearer = |a: &[f32; 2], b: &[f32; 2]| distance(*a, other).total_cmp(&distance(*b, other));
        let Some(goal) = places.min_by(nearer) else { return };
        let velocity = point(&obs[self.velocity.clone()], 0);
        act(action, 0, |push| cost(goal, &[], velocity, push));
    }
}
