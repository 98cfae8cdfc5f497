//! Agents that take up places of a figure: `simple_formation` and `simple_line`, in which agents do not see each other. They
//! read the global state, and all solve the same assignment.

use std::ops::Range;

use coact_core::{EnvSpec, GroupSpec, Result};

use super::assign::Assignment;
use super::motion::{act, distance, point};
use super::particle::cost;
use super::{Choice, Draws, Script, ScriptEntry, Seen, field};
use crate::particle::formation::{RADIUS, circle_turns, first_direction_of};

pub const FORM: ScriptEntry = ScriptEntry {
    envs: &["simple_formation"],
    group: "agent",
    name: "form",
    summary: "goes to its place on the circle in the assignment of smallest total distance (reads the global state)",
    build: |env, group| {
        let turns = circle_turns(group.n_agents);
        let places = move |state: &[f32], n: usize, places: &mut [[f32; 2]]| {
            let center = [state[4 * n], state[4 * n + 1]];
            let first = first_direction_of((0..n).map(|i| here(state, i)), center);
            for (place, turn) in places.iter_mut().zip(&turns) {
                let [cos, sin] = turn.map(|t| t as f32);
                let way = [first[0] * cos - first[1] * sin, first[0] * sin + first[1] * cos];
                *place = [center[0] + RADIUS as f32 * way[0], center[1] + RADIUS as f32 * way[1]];
            }
        };
        build(env, group, Box::new(places))
    },
};

pub const LINE_UP: ScriptEntry = ScriptEntry {
    envs: &["simple_line"],
    group: "agent",
    name: "line_up",
    summary: "goes to its place on the line in the assignment of smallest total distance (reads the global state)",
    build: |env, group| {
        let places = |state: &[f32], n: usize, places: &mut [[f32; 2]]| {
            let (from, to) = (point(&state[4 * n..], 0), point(&state[4 * n..], 1));
            for (i, place) in places.iter_mut().enumerate() {
                let share = i as f32 / (n.max(2) - 1) as f32;
                *place = [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]));
            }
        };
        build(env, group, Box::new(places))
    },
};

/// Writes the places of a figure, from the global state and the number of agents.
type Figure = Box<dyn Fn(&[f32], usize, &mut [[f32; 2]]) + Send>;

struct Places {
    velocity: Range<usize>,
    figure: Figure,
    places: Vec<[f32; 2]>,
    assignment: Assignment,
}

fn build(env: &EnvSpec, group: &GroupSpec, figure: Figure) -> Result<Box<dyn Script>> {
    let n = group.n_agents;
    Ok(Box::new(Places {
        velocity: field(env, group, "velocity")?,
        figure,
        places: vec![[0.0; 2]; n],
        assignment: Assignment::new(n),
    }))
}

/// Place of agent `i` in the global state.
fn here(state: &[f32], i: usize) -> [f32; 2] {
    [state[4 * i], state[4 * i + 1]]
}

impl Script for Places {
    fn act(&mut self, agent: usize, Seen { obs, state }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let n = self.places.len();
        (self.figure)(state, n, &mut self.places);
        for row in 0..n {
            for column in 0..n {
                self.assignment.cost[row * n + column] = distance(here(state, row), self.places[column]);
            }
        }
        let (me, to) = (here(state, agent), self.places[self.assignment.column_of(agent)]);
        let goal = [to[0] - me[0], to[1] - me[1]];
        let velocity = point(&obs[self.velocity.clone()], 0);
        act(action, 0, |push| cost(goal, &[], velocity, push));
    }
}
