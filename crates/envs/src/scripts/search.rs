//! Searchers for `predator_prey`: each walks to places drawn at random until it sees the prey, and then to the prey.

use super::{Choice, Draws, Script, ScriptEntry, Seen};

pub const SEARCH: ScriptEntry = ScriptEntry {
    envs: &["predator_prey"],
    group: "predator",
    name: "search",
    summary: "walks to random places until it sees the prey, then to the prey, and stays there",
    build: |_, group| {
        // Places, two more, prey and predators a cell.
        let width = group.obs[0].width + 2;
        let dim = ((width - 4) as f64).sqrt().round() as usize;
        Ok(Box::new(Searcher {
            dim,
            width,
            side: ((group.obs_width() / width) as f64).sqrt().round() as usize,
        }))
    },
};

const STAY: u32 = 4;

struct Searcher {
    dim: usize,
    /// Numbers a cell in sight.
    width: usize,
    /// Cells in sight along a side.
    side: usize,
}

impl Script for Searcher {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        let (cells, middle) = (self.dim * self.dim, self.side / 2);
        let seen = |cell: usize| &obs[cell * self.width..(cell + 1) * self.width];
        let prey = (0..self.side * self.side).find(|cell| seen(*cell)[cells + 2] > 0.5);
        let own = seen(middle * self.side + middle)[..cells].iter().position(|x| *x > 0.5).unwrap_or(0);
        let (row, col) = (own / self.dim, own % self.dim);
        let (to_row, to_col) = match prey {
            Some(cell) => (row + cell / self.side - middle, col + cell % self.side - middle),
            None => {
                let mut rng = draws.held(self.dim as u64);
                let place = rng.below(cells as u32) as usize;
                (place / self.dim, place % self.dim)
            }
        };
        *action = match (to_row.cmp(&row), to_col.cmp(&col)) {
            (std::cmp::Ordering::Less, _) => 0,
            (std::cmp::Ordering::Greater, _) => 2,
            (_, std::cmp::Ordering::Greater) => 1,
            (_, std::cmp::Ordering::Less) => 3,
            _ => STAY,
        };
    }
}
