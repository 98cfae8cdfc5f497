//! What agents who know everything do: they read the global state, and mark what communication can reach at most.

use super::{Choice, Draws, Script, ScriptEntry, Seen};

pub const RANK: ScriptEntry = ScriptEntry {
    envs: &["levers"],
    group: "agent",
    name: "rank",
    summary: "pulls the lever of its rank among the numbers drawn; reads the global state",
    build: |_, _| Ok(Box::new(Rank)),
};

pub const TELL: ScriptEntry = ScriptEntry {
    envs: &["switch_riddle"],
    group: "agent",
    name: "know",
    summary: "tells as soon as all have been in the room; reads the global state",
    build: |_, group| Ok(Box::new(Tell { n: group.n_agents })),
};

struct Rank;

impl Script for Rank {
    fn act(&mut self, agent: usize, Seen { state, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        *action = state.iter().filter(|number| **number < state[agent]).count() as u32;
    }
}

struct Tell {
    n: usize,
}

impl Script for Tell {
    fn act(&mut self, agent: usize, Seen { state, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        // Who is in the room, then who has been there.
        let all = state[self.n..2 * self.n].iter().all(|been| *been > 0.5);
        *action = if state[agent] > 0.5 && all { 2 } else { 0 };
    }
}
