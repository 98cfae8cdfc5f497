//! Both sides of `simple_world_comm`: hunters with a leader that sees everything, and prey that gathers food.
//!
//! Movement is thought out as in [`super::tag`]. Who is hidden in a forest stands as zeros in a row.

use std::ops::Range;

use coact_core::{EnvSpec, GroupSpec, Result};

use super::motion::{MOVES, act, distance, length, point};
use super::tag::{Chase, Flee, Sight};
use super::{Choice, Draws, Script, ScriptEntry, Seen, field};

/// Radius of a forest, and of prey at its edge.
const FOREST: f32 = 0.3 + 0.045;
/// Words of the leader.
const WORDS: usize = 4;

pub const LEAD: ScriptEntry = ScriptEntry {
    envs: &["simple_world_comm"],
    group: "leadadversary",
    name: "lead",
    summary: "chases the nearest prey and says in which forest prey hides: word 1, 2 or 3; word 0 in none",
    build: |env, group| hunter(env, group, true),
};

pub const HUNT: ScriptEntry = ScriptEntry {
    envs: &["simple_world_comm"],
    group: "adversary",
    name: "hunt",
    summary: "chases the nearest prey in sight; without one goes to the forest that the leader's word names",
    build: |env, group| hunter(env, group, false),
};

pub const GATHER: ScriptEntry = ScriptEntry {
    envs: &["simple_world_comm"],
    group: "agent",
    name: "gather",
    summary: "stays near food while hunters in sight are far, runs from near ones and stays on the field",
    build: |env, group| {
        let n_hunters = env.n_agents() - group.n_agents;
        let food = field(env, group, "food")?;
        Ok(Box::new(Flee::new(Sight::of(env, group)?, n_hunters, food)))
    },
};

fn hunter(env: &EnvSpec, group: &GroupSpec, leads: bool) -> Result<Box<dyn Script>> {
    let velocities = field(env, group, "agent_velocities")?;
    let n_hunters = env.n_agents() - velocities.len() / 2;
    let chase = Chase { sight: Sight::of(env, group)?, velocities, n_hunters };
    let (forests, word) = (field(env, group, "forests")?, field(env, group, "word")?);
    Ok(Box::new(Hunter { chase, forests, word, leads }))
}

struct Hunter {
    chase: Chase,
    forests: Range<usize>,
    word: Range<usize>,
    leads: bool,
}

impl Hunter {
    /// The word that names the forest in which prey hides, the nearest such prey's.
    fn hideout(&self, obs: &[f32]) -> usize {
        let (mut word, mut least) = (0, f32::INFINITY);
        for (prey, _) in self.chase.prey(obs) {
            let mut forests = obs[self.forests.clone()].chunks_exact(2).take(WORDS - 1);
            let hidden = forests.position(|f| distance([f[0], f[1]], prey) < FOREST);
            if let Some(forest) = hidden.filter(|_| length(prey) < least) {
                (word, least) = (forest + 1, length(prey));
            }
        }
        word
    }

    /// Where to go while no prey is in sight: the forest that was named, or the middle of the field.
    fn elsewhere(&self, obs: &[f32]) -> [f32; 2] {
        let said = obs[self.word.clone()].iter().position(|x| *x > 0.5).unwrap_or(0);
        let forests = &obs[self.forests.clone()];
        match said {
            1.. if 2 * said <= forests.len() => point(forests, said - 1),
            _ => point(&obs[self.chase.sight.position.clone()], 0).map(|x| -x),
        }
    }
}

impl Script for Hunter {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, mut action: Choice<'_>) {
        let word = if self.leads { self.hideout(obs) } else { 0 };
        if let (Choice::Continuous(components), true) = (&mut action, self.leads) {
            components[MOVES + word] = 1.0;
        }
        let target = self.chase.nearest(obs).unwrap_or((self.elsewhere(obs), [0.0; 2]));
        act(action, word as u32, |push| self.chase.cost(obs, target, push));
    }
}
