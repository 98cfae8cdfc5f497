//! Players of small games: tit for tat where a game is played again and again, and the risk that pays in `two_step`.

use std::ops::Range;

use super::{Choice, Draws, Script, ScriptEntry, Seen, field};

pub const TIT_FOR_TAT: ScriptEntry = ScriptEntry {
    envs: &["iterated_prisoners_dilemma", "iterated_stag_hunt", "iterated_chicken"],
    group: "player",
    name: "tit_for_tat",
    summary: "cooperates first (action 0), then does what the other one did last",
    build: |env, group| Ok(Box::new(TitForTat { other: field(env, group, "other_last_actions")? })),
};

pub const RISK: ScriptEntry = ScriptEntry {
    envs: &["two_step"],
    group: "agent",
    name: "risk",
    summary: "goes to the table that pays 8 only if both do the same, and does it",
    build: |_, _| Ok(Box::new(Risk)),
};

struct TitForTat {
    other: Range<usize>,
}

impl Script for TitForTat {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        // Before the first move nothing is lit.
        *action = obs[self.other.clone()].iter().position(|x| *x > 0.5).unwrap_or(0) as u32;
    }
}

struct Risk;

impl Script for Risk {
    fn act(&mut self, _agent: usize, _seen: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        if let Choice::Discrete(action) = action {
            *action = 1;
        }
    }
}
