//! `coin_game`: two players on a small torus pick up coins; taking the other one's coin costs the other one more than
//! it pays.
//!
//! # Rules
//! A red and a blue player on a torus of 3 x 3 cells move at once: 0 right (column + 1), 1 left, 2 down (row + 1), 3 up, 4
//! stay. Whoever comes to a coin picks it up, both if both do; it then lies somewhere else, drawn uniformly. With `coins`
//! `two` there is always a coin of each color; with `one` there is one coin, and after a pick-up one of the other color.
//!
//! # Parameters
//! `coins` (`two`), `size` (3), `max_steps` (100).
//!
//! # Observation (`4 size^2`)
//! Layers of cells, row by row: itself, the other player, coins of its color, coins of the other color. State: the
//! observation of the red player.
//!
//! # Rewards and ends
//! 1 for each coin that the player picks up, -2 for each of its coins that the other picks up. Truncated after 100 steps.
//!
//! # Returns
//! Two players who take everything get 0 in sum; the best is to take one's own coins only, for which a script gets 121.7.
//!
//! # Origin
//! Lerer and Peysakhovich 2017; `two` as in JaxMARL, `one` as in Foerster et al. 2018 (LOLA).

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde::{Deserialize, Serialize};

use crate::Vectorized;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

/// How many coins there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coins {
    /// One, of alternating color.
    One,
    /// One of each color.
    Two,
}

/// Options of `coin_game`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoinOptions {
    /// How many coins there are.
    pub coins: Coins,
    /// Cells along a side.
    pub size: usize,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for CoinOptions {
    fn default() -> Self {
        Self { coins: Coins::Two, size: 3, max_steps: 100 }
    }
}

/// `coin_game` in the list of environments.
pub const ENTRY: EnvEntry = EnvEntry {
    name: "coin_game",
    summary: "two players pick up coins; taking the other one's coin costs the other one more than it pays",
    origin: "Lerer and Peysakhovich 2017; JaxMARL coin_game",
    options: &[
        OptionInfo {
            name: "coins",
            default: "\"two\"",
            explain: "one (alternating color) or two (one of each)",
        },
        OptionInfo { name: "size", default: "3", explain: "cells along a side" },
        OptionInfo {
            name: "max_steps",
            default: "100",
            explain: "steps after which an episode is truncated",
        },
    ],
    random_return: 0.0,
    best_known: None,
    batch: |options, n| {
        let options = parse("coin_game", options)?;
        Ok(Box::new(Vectorized::new(n, || CoinGame::new(&options))?))
    },
    single: |options| Ok(Box::new(CoinGame::new(&parse("coin_game", options)?)?)),
};

/// Row and column steps of the actions.
const MOVES: [[u32; 2]; 5] = [[0, 1], [0, u32::MAX], [1, 0], [u32::MAX, 0], [0, 0]];
/// Where a coin is that is not there.
const NOWHERE: u32 = u32::MAX;

/// The game. Cells are `row * size + column`; player and coin 0 are red.
#[derive(Debug, Clone)]
pub struct CoinGame {
    spec: EnvSpec,
    options: CoinOptions,
    players: [u32; 2],
    coins: [u32; 2],
    elapsed: u32,
}

impl CoinGame {
    /// Checks the options.
    ///
    /// # Errors
    /// No cells, too many, or no steps.
    pub fn new(options: &CoinOptions) -> Result<Self> {
        let CoinOptions { size, max_steps, .. } = *options;
        if !(2..=64).contains(&size) || max_steps == 0 {
            return Err(Error::invalid(format!(
                "coin_game: size is {size} and max_steps {max_steps}; use a size of 2 to 64 and at least 1 step"
            )));
        }
        let layer = |name: &str| ObsField::new(name, size * size, 0.0, 1.0);
        let obs =
            vec![layer("own_position"), layer("other_position"), layer("own_coin"), layer("other_coin")];
        let action = ActionSpace::Discrete { n: MOVES.len() };
        let spec = EnvSpec {
            name: "coin_game".into(),
            version: 1,
            groups: vec![GroupSpec { name: "player".into(), n_agents: 2, obs, action, masked: false }],
            state_width: 4 * size * size,
            episode_limit: Some(max_steps),
            reward: RewardKind::PerAgent,
        };
        Ok(Self { spec, options: options.clone(), players: [0; 2], coins: [NOWHERE; 2], elapsed: 0 })
    }

    fn n_cells(&self) -> u32 {
        (self.options.size * self.options.size) as u32
    }
}

impl MultiAgentEnv for CoinGame {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        let n = self.n_cells();
        self.players = [rng.below(n), rng.below(n)];
        self.coins = [rng.below(n), rng.below(n)];
        if self.options.coins == Coins::One {
            self.coins[rng.below(2) as usize] = NOWHERE;
        }
        self.elapsed = 0;
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        let size = self.options.size as u32;
        for (at, action) in self.players.iter_mut().zip(actions.discrete) {
            let [down, right] = MOVES[*action as usize];
            let (row, col) = (*at / size, *at % size);
            *at = (row.wrapping_add(down).wrapping_add(size) % size) * size
                + col.wrapping_add(right).wrapping_add(size) % size;
        }
        reward.fill(0.0);
        let before = self.coins;
        for (color, coin) in before.into_iter().enumerate() {
            let takers = self.players.map(|at| at == coin);
            for player in (0..2).filter(|p| takers[*p]) {
                reward[player] += 1.0;
                if player != color {
                    reward[color] -= 2.0;
                }
            }
            if takers.contains(&true) {
                let next = rng.below(self.n_cells());
                match self.options.coins {
                    Coins::Two => self.coins[color] = next,
                    Coins::One => (self.coins[color], self.coins[1 - color]) = (NOWHERE, next),
                }
            }
        }
        terminated.fill(false);
        self.elapsed += 1;
        Ok(self.spec.episode_limit.is_some_and(|limit| self.elapsed >= limit))
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let n = self.n_cells() as usize;
        let seen = [self.players[agent], self.players[1 - agent], self.coins[agent], self.coins[1 - agent]];
        for (layer, cell) in obs.chunks_exact_mut(n).zip(seen) {
            if let Some(lit) = layer.get_mut(cell as usize) {
                *lit = 1.0;
            }
        }
    }

    fn state(&self, state: &mut [f32]) {
        self.observe(0, state);
    }

    fn scene(&self) -> Scene {
        let size = self.options.size as u32;
        let side = size as f32;
        let place = |cell: u32| ((cell % size) as f32 + 0.5, side - 0.5 - (cell / size) as f32);
        let mut shapes = Vec::new();
        for cell in 0..self.n_cells() {
            let (x, y) = place(cell);
            let color = Color(236, 240, 244);
            shapes.push(Shape::Rect { x: x - 0.47, y: y - 0.47, width: 0.94, height: 0.94, color });
        }
        let colors = [Color(204, 40, 40), Color(52, 101, 164)];
        for (coin, color) in self.coins.into_iter().zip(colors).filter(|(coin, _)| *coin != NOWHERE) {
            let (x, y) = place(coin);
            shapes.push(Shape::Disc { x, y, radius: 0.4, color: Color(240, 200, 40) });
            shapes.push(Shape::Disc { x, y, radius: 0.32, color });
        }
        for (i, (player, color)) in self.players.into_iter().zip(colors).enumerate() {
            let (x, y) = place(player);
            let x = x + if i == 0 { -0.2 } else { 0.2 };
            let light = Color(255, 255, 255);
            shapes.push(Shape::Rect { x: x - 0.2, y: y - 0.2, width: 0.4, height: 0.4, color: light });
            shapes.push(Shape::Rect { x: x - 0.16, y: y - 0.16, width: 0.32, height: 0.32, color });
        }
        Scene {
            bounds: (-0.1, side + 0.1, -0.1, side + 0.1),
            background: Color(255, 255, 255),
            shapes,
            caption: format!("coin_game, step {}", self.elapsed),
        }
        .with_legend(&[
            (colors[0], "red player and its coin"),
            (colors[1], "blue player and its coin"),
            (Color(240, 200, 40), "round: coin"),
        ])
    }

    fn save(&self, out: &mut Writer) {
        out.u32s(&self.players);
        out.u32s(&self.coins);
        out.u32(self.elapsed);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.u32s(&mut self.players)?;
        from.u32s(&mut self.coins)?;
        self.elapsed = from.u32()?.min(u32::MAX - 1);
        let n = self.n_cells();
        let sound = self.players.iter().all(|p| *p < n) && self.coins.iter().all(|c| *c < n || *c == NOWHERE);
        if sound { Ok(()) } else { Err(from.error("a player or a coin is off the torus")) }
    }
}

#[cfg(test)]
mod tests {
    use coact_core::Purpose;

    use super::*;

    #[test]
    fn coins_pay_their_taker_and_cost_their_owner() {
        let mut rng = Stream::new(0, Purpose::Step, 0, 0);
        // Players, coins, actions; rewards.
        for (players, coins, actions, paid) in [
            ([0, 8], [1, 7], [0, 1], [1.0, 1.0]),
            ([0, 8], [7, 1], [0, 1], [-1.0, -1.0]),
            ([0, 8], [2, 5], [1, 4], [1.0, 0.0]),
            ([0, 8], [5, 2], [1, 3], [1.0 - 2.0, 1.0 - 2.0]),
            ([0, 2], [1, 5], [0, 1], [1.0 - 2.0, 1.0]),
            ([0, 6], [8, 8], [3, 4], [0.0, 0.0]),
        ] {
            let mut game = CoinGame::new(&CoinOptions::default()).unwrap();
            (game.players, game.coins) = (players, coins);
            let mut reward = [0.0; 2];
            let given = Actions { discrete: &actions, continuous: &[] };
            game.step(given, &mut rng, &mut reward, &mut [false; 2]).unwrap();
            assert_eq!(reward, paid, "{players:?} {coins:?} {actions:?}");
        }
    }

    #[test]
    fn one_coin_changes_its_color() {
        let mut game = CoinGame::new(&CoinOptions { coins: Coins::One, ..Default::default() }).unwrap();
        let mut rng = Stream::new(0, Purpose::Step, 0, 0);
        (game.players, game.coins) = ([0, 8], [1, NOWHERE]);
        let given = Actions { discrete: &[0, 4], continuous: &[] };
        game.step(given, &mut rng, &mut [0.0; 2], &mut [false; 2]).unwrap();
        assert!(game.coins[0] == NOWHERE && game.coins[1] < 9);
    }
}
