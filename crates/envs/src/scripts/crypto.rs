//! Alice, Bob and Eve for `simple_crypto`: a one-time pad of one bit.
//!
//! Goal and key are one of two colors each, drawn apart. Alice says color 0 where they are equal and color 1 where they
//! are not; whoever knows the key knows the goal, and whoever does not knows nothing. Bob is right from the second step on,
//! Eve half the time whatever she does.

use std::ops::Range;

use coact_core::{EnvSpec, GroupSpec, Result};

use super::{Choice, Draws, Script, ScriptEntry, Seen, field};

pub const ALICE: ScriptEntry = ScriptEntry {
    envs: &["simple_crypto"],
    group: "alice",
    name: "encode",
    summary: "says color 0 where goal and key are equal, color 1 where they are not",
    build: |env, group| build(env, group, &["goal_color", "key"]),
};

pub const BOB: ScriptEntry = ScriptEntry {
    envs: &["simple_crypto"],
    group: "bob",
    name: "decode",
    summary: "says the key where Alice said color 0, the other color where she said color 1",
    build: |env, group| build(env, group, &["word", "key"]),
};

pub const EVE: ScriptEntry = ScriptEntry {
    envs: &["simple_crypto"],
    group: "eve",
    name: "repeat",
    summary: "says what Alice said, which is right where she does not encode; silent where words are numbers",
    build: |env, group| build(env, group, &["word"]),
};

fn build(env: &EnvSpec, group: &GroupSpec, fields: &[&str]) -> Result<Box<dyn Script>> {
    let read = fields.iter().map(|name| field(env, group, name)).collect::<Result<_>>()?;
    Ok(Box::new(Cipher { read, listens: fields[0] == "word" }))
}

/// Says the sum, modulo two, of the colors that it reads.
struct Cipher {
    read: Vec<Range<usize>>,
    listens: bool,
}

impl Script for Cipher {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let lit = |field: &Range<usize>| obs[field.clone()].iter().position(|x| *x > 0.5);
        let word = self.read.iter().filter_map(lit).sum::<usize>() % 2;
        match action {
            Choice::Discrete(a) => *a = word as u32,
            Choice::Continuous(components) => {
                // Silence counts as no mistake: the best that Eve can do, and Bob before the first word.
                let guesses = self.listens && (self.read.len() == 1 || lit(&self.read[0]).is_none());
                if !guesses {
                    components[word] = 1.0;
                }
            }
        }
    }
}
