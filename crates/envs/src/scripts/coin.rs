//! A player of the coin game who picks up coins of its own color only.

use coact_core::Result;

use super::{Choice, Draws, Script, ScriptEntry, Seen};

pub const OWN: ScriptEntry = ScriptEntry {
    envs: &["coin_game"],
    group: "player",
    name: "own",
    summary: "goes to the coin of its color by a shortest way and around the other one's",
    build: |_, group| -> Result<Box<dyn Script>> {
        Ok(Box::new(Own { size: ((group.obs_width() / 4) as f64).sqrt().round() as usize }))
    },
};

/// Where each action leads: right, left, down, up, stay, as rows and columns of a torus.
const MOVES: [[usize; 2]; 5] = [[0, 1], [0, usize::MAX], [1, 0], [usize::MAX, 0], [0, 0]];

/// What taking the other one's coin counts, in steps of a way.
const TABOO: usize = 1000;

struct Own {
    size: usize,
}

impl Own {
    /// Row and column of the one cell that is lit in layer `layer`, if one is.
    fn place(&self, obs: &[f32], layer: usize) -> Option<[usize; 2]> {
        let cells = self.size * self.size;
        let lit = obs[layer * cells..(layer + 1) * cells].iter().position(|x| *x > 0.5)?;
        Some([lit / self.size, lit % self.size])
    }

    fn step(&self, from: [usize; 2], way: [usize; 2]) -> [usize; 2] {
        let along = |at: usize, by: usize| at.wrapping_add(by).wrapping_add(self.size) % self.size;
        [along(from[0], way[0]), along(from[1], way[1])]
    }

    /// Steps between two cells of the torus.
    fn steps(&self, a: [usize; 2], b: [usize; 2]) -> usize {
        let along = |a: usize, b: usize| a.abs_diff(b).min(self.size - a.abs_diff(b));
        along(a[0], b[0]) + along(a[1], b[1])
    }
}

impl Script for Own {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let (Choice::Discrete(action), Some(own)) = (action, self.place(obs, 0)) else { return };
        let (coin, taboo) = (self.place(obs, 2), self.place(obs, 3));
        let cost = |way: &[usize; 2]| {
            let to = self.step(own, *way);
            // Where both coins lie in one cell there is no other way.
            let takes_other = taboo == Some(to) && coin != taboo;
            coin.map_or(0, |coin| self.steps(to, coin)) + if takes_other { TABOO } else { 0 }
        };
        // Without a coin of its own it stays, unless the other one's falls on it.
        let ways = (0..MOVES.len()).rev();
        *action = ways.min_by_key(|way| cost(&MOVES[*way])).unwrap_or(0) as u32;
    }
}
