//! A collector for foraging: all players go to the piece of food that is nearest to all of them together and that
//! they can load, and load it when enough of them stand beside it.
//!
//! Players that see no such food wander, each way for some steps. Reads lists, not grids.

use coact_core::{Error, GroupSpec, Result};

use super::{Choice, Draws, Script, ScriptEntry, Seen};

pub const COLLECT: ScriptEntry = ScriptEntry {
    envs: &["lbf/"],
    group: "player",
    name: "collect",
    summary: "goes to the food that is nearest to all players together and loads it with them",
    build: |env, group| {
        if !group.obs.first().is_some_and(|f| f.name.starts_with("food_")) {
            let text = format!("{}: script `collect` reads lists of food, not grids; drop -grid", env.name);
            return Err(Error::invalid(text));
        }
        Ok(Box::new(Collector::of(group)?))
    },
};

/// Steps for which a wanderer keeps its way, and for which a player that waits for others goes on waiting.
const PATIENCE: u64 = 4;

const LOAD: u32 = 5;

/// The moves as row and column: north, south, west, east are actions 1 to 4.
const MOVES: [[f32; 2]; 4] = [[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]];

struct Collector {
    n_foods: usize,
    n_players: usize,
    /// Numbers a player takes in a row: 2 without its level.
    player_width: usize,
    /// Largest coordinate.
    farthest: f32,
}

impl Collector {
    fn of(group: &GroupSpec) -> Result<Self> {
        let n_foods = group.obs.iter().filter(|f| f.name.starts_with("food_")).count() / 2;
        let n_players = group.n_agents;
        let player_width = (group.obs_width() - 3 * n_foods) / n_players;
        let farthest = group.obs[0].high;
        Ok(Self { n_foods, n_players, player_width, farthest })
    }

    /// Row, column and level of food that is seen.
    fn foods<'a>(&self, obs: &'a [f32]) -> impl Iterator<Item = [f32; 3]> + Clone + use<'a> {
        let foods = obs[..3 * self.n_foods].chunks_exact(3);
        foods.map(|f| [f[0], f[1], f[2]]).filter(|f| f[2] > 0.0)
    }

    /// Row, column and level of players that are seen, itself first. Without levels all have level 1.
    fn players<'a>(&self, obs: &'a [f32]) -> impl Iterator<Item = [f32; 3]> + Clone + use<'a> {
        let width = self.player_width;
        let players = obs[3 * self.n_foods..].chunks_exact(width).take(self.n_players);
        let level = move |p: &[f32]| if width > 2 { p[2] } else { 1.0 };
        players.map(move |p| [p[0], p[1], level(p)]).filter(|p| p[0] >= 0.0)
    }

    /// The food to go to: what the players in sight can load together, with the smallest sum of their distances.
    fn target(&self, obs: &[f32]) -> Option<[f32; 3]> {
        let together: f32 = self.players(obs).map(|p| p[2]).sum();
        let knows_levels = self.player_width > 2;
        let mut best = None;
        let mut least = f32::INFINITY;
        for food in self.foods(obs).filter(|f| !knows_levels || f[2] <= together) {
            let walk: f32 = self.players(obs).map(|p| steps(p, food)).sum();
            if walk < least {
                (best, least) = (Some(food), walk);
            }
        }
        best
    }

    /// Whether a cell can be entered as far as this player sees.
    fn is_free(&self, obs: &[f32], cell: [f32; 2]) -> bool {
        let on_field = cell.iter().all(|c| (0.0..=self.farthest).contains(c));
        let taken = |other: [f32; 3]| other[..2] == cell;
        on_field && !self.foods(obs).any(taken) && !self.players(obs).skip(1).any(taken)
    }

    /// Whether loading `food` now brings it in.
    fn is_enough(&self, obs: &[f32], food: [f32; 3]) -> bool {
        let beside = self.players(obs).filter(|p| steps(*p, food) == 1.0);
        self.player_width == 2 || beside.map(|p| p[2]).sum::<f32>() >= food[2]
    }

    /// The free side of `food` that is nearest to `own`.
    fn side(&self, obs: &[f32], own: [f32; 3], food: [f32; 3]) -> Option<[f32; 3]> {
        let sides = MOVES.iter().map(|m| [food[0] + m[0], food[1] + m[1]]);
        let mut best = None;
        let mut least = f32::INFINITY;
        for side in sides.filter(|side| self.is_free(obs, *side)) {
            let walk = steps(own, [side[0], side[1], 0.0]);
            if walk < least {
                (best, least) = (Some([side[0], side[1], 0.0]), walk);
            }
        }
        best
    }

    /// A move into a free cell that is nearer to `goal`, any of them where there are two. Without one, every other time a
    /// step aside; near others, every fourth time none: players that want one cell would want it forever.
    fn walk(&self, obs: &[f32], own: [f32; 3], goal: [f32; 3], draws: Draws) -> u32 {
        let mut rng = draws.now();
        let (first, aside, waits) = (rng.below(4) as usize, rng.below(2) == 0, rng.below(4) == 0);
        if waits && self.players(obs).skip(1).any(|other| steps(other, own) <= 2.0) {
            return 0;
        }
        let mut fallback = 0;
        for i in 0..4 {
            let way = (first + i) % 4;
            let cell = [own[0] + MOVES[way][0], own[1] + MOVES[way][1]];
            if !self.is_free(obs, cell) {
                continue;
            }
            if steps([cell[0], cell[1], 0.0], goal) < steps(own, goal) {
                return way as u32 + 1;
            }
            fallback = way as u32 + 1;
        }
        if aside { fallback } else { 0 }
    }
}

/// Steps from one cell to another on an empty field.
fn steps(a: [f32; 3], b: [f32; 3]) -> f32 {
    (a[0] - b[0]).abs() + (a[1] - b[1]).abs()
}

impl Script for Collector {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        let Some(own) = self.players(obs).next() else { return };
        let mut intention = draws.held(PATIENCE);
        let way = intention.below(4) as usize;
        let Some(food) = self.target(obs) else {
            *action = self.wander(obs, own, way, intention.below(2) == 0);
            return;
        };
        *action = match steps(own, food) == 1.0 {
            true if self.is_enough(obs, food) => LOAD,
            // Others are on their way.
            true => 0,
            false => match self.side(obs, own, food) {
                Some(side) => self.walk(obs, own, side, draws),
                None => self.walk(obs, own, food, draws),
            },
        };
    }
}

impl Collector {
    /// Beside food that is too heavy, stays while `waits`; else goes its way.
    fn wander(&self, obs: &[f32], own: [f32; 3], way: usize, waits: bool) -> u32 {
        let beside = self.foods(obs).any(|food| steps(own, food) <= 2.0);
        if beside && waits { 0 } else { way as u32 + 1 }
    }
}
