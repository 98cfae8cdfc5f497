//! Any game as a turn-based environment.
//!
//! All players are agents of one group, `players`. The one whose turn it is chooses among its legal actions; the others have
//! one legal action, the last one (number [`Game::n_actions`]), which does nothing. Chance moves by itself, on the
//! environment's random stream. Rewards are the returns of the game, paid at its end; then every agent terminates.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error as CoreError, GroupSpec, MultiAgentEnv, RewardKind, Stream,
};

use super::game::{Game, Turn};
use crate::{Error, Result};

/// A game played move by move.
pub struct TurnBased<G: Game> {
    game: G,
    spec: EnvSpec,
    start: G::State,
    state: G::State,
    turn: Turn,
    legal: Vec<u32>,
    outcomes: Vec<(u32, u64)>,
    returns: Vec<f64>,
    /// Moves so far, chance included: what [`MultiAgentEnv::save`] writes.
    moves: Vec<u32>,
}

impl<G: Game> TurnBased<G> {
    /// The environment of `game`, at its start before any move of chance.
    ///
    /// # Errors
    /// A game without players or actions.
    pub fn new(game: G) -> Result<Self> {
        let (n_players, n_actions) = (game.n_players(), game.n_actions());
        if n_players == 0 || n_actions == 0 {
            let name = game.name();
            return Err(Error::Invalid(format!(
                "{name} has no players or no actions; there is nothing to play"
            )));
        }
        let group = GroupSpec {
            name: "players".into(),
            n_agents: n_players,
            obs: game.layout(),
            action: ActionSpace::Discrete { n: n_actions + 1 },
            masked: true,
        };
        let spec = EnvSpec {
            name: game.name(),
            version: 1,
            groups: vec![group],
            state_width: 0,
            episode_limit: None,
            reward: RewardKind::PerAgent,
        };
        let start = game.start();
        Ok(Self {
            spec,
            state: start.clone(),
            start,
            turn: Turn::Chance,
            legal: Vec::with_capacity(n_actions),
            outcomes: Vec::new(),
            returns: vec![0.0; n_players],
            moves: Vec::new(),
            game,
        })
    }

    fn apply(&mut self, action: u32) {
        self.game.apply(&mut self.state, action);
        self.moves.push(action);
        self.look();
    }

    /// Notes who moves and what is legal.
    fn look(&mut self) {
        self.turn = self.game.turn(&self.state);
        self.legal.clear();
        if let Turn::Player(_) = self.turn {
            self.game.legal(&self.state, &mut self.legal);
        }
    }

    /// Lets chance move until it is a player's turn or the game is over.
    fn settle(&mut self, rng: &mut Stream) {
        while self.turn == Turn::Chance {
            self.outcomes.clear();
            self.game.chance(&self.state, &mut self.outcomes);
            let total: u128 = self.outcomes.iter().map(|o| u128::from(o.1)).sum();
            // The high part of a 64-bit draw times the total is uniform below it, up to a share of 2^-64.
            let mut left = (u128::from(rng.next_u64()) * total) >> 64;
            let mut chosen = 0;
            for &(outcome, weight) in &self.outcomes {
                chosen = outcome;
                if left < u128::from(weight) {
                    break;
                }
                left -= u128::from(weight);
            }
            self.apply(chosen);
        }
    }
}

impl<G: Game> MultiAgentEnv for TurnBased<G> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        self.state.clone_from(&self.start);
        self.moves.clear();
        self.look();
        self.settle(rng);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> coact_core::Result<bool> {
        reward.fill(0.0);
        terminated.fill(false);
        let idle = self.game.n_actions() as u32;
        let bad = |agent: usize, action: u32| CoreError::BadAction {
            env: 0,
            agent,
            action,
            n_actions: idle as usize + 1,
        };
        for (agent, &action) in actions.discrete.iter().enumerate() {
            let is_legal = match self.turn {
                Turn::Player(p) if p == agent => self.legal.contains(&action),
                _ => action == idle,
            };
            if !is_legal {
                return Err(bad(agent, action));
            }
        }
        if let Turn::Player(player) = self.turn {
            self.apply(actions.discrete[player]);
            self.settle(rng);
        }
        if self.turn == Turn::Terminal {
            self.game.returns(&self.state, &mut self.returns);
            for (reward, r) in reward.iter_mut().zip(&self.returns) {
                *reward = *r as f32;
            }
            terminated.fill(true);
        }
        Ok(false)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        self.game.observe(&self.state, agent, obs);
    }

    fn legal(&self, agent: usize, mask: &mut [u32]) {
        mask.fill(0);
        let idle = [self.game.n_actions() as u32];
        let legal = if self.turn == Turn::Player(agent) { &self.legal[..] } else { &idle };
        for &action in legal {
            mask[action as usize / 32] |= 1 << (action % 32);
        }
    }

    fn alive(&self, _: usize) -> bool {
        self.turn != Turn::Terminal
    }

    fn scene(&self) -> Scene {
        let ink = Color(30, 30, 30);
        let line = |(i, player): (usize, usize)| {
            let mut text = String::new();
            self.game.information(&self.state, player, &mut text);
            Shape::Text { x: 0.2, y: 9.0 - i as f32, size: 0.4, color: ink, text }
        };
        let caption = match self.turn {
            Turn::Player(p) => format!("{}: player {} moves", self.spec.name, p + 1),
            Turn::Chance => format!("{}: chance moves", self.spec.name),
            Turn::Terminal => format!("{}: over, returns {:?}", self.spec.name, self.returns),
        };
        Scene {
            bounds: (0.0, 20.0, 0.0, 10.0),
            background: Color(250, 250, 250),
            shapes: (0..self.game.n_players()).enumerate().map(line).collect(),
            caption,
        }
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.moves.len() as u64);
        self.moves.iter().for_each(|&m| out.u32(m));
    }

    fn load(&mut self, from: &mut Reader<'_>) -> coact_core::Result<()> {
        let n_moves = from.u64()?;
        self.state.clone_from(&self.start);
        self.moves.clear();
        self.look();
        for _ in 0..n_moves {
            let action = from.u32()?;
            let is_possible = match self.turn {
                Turn::Terminal => false,
                Turn::Player(_) => self.legal.contains(&action),
                Turn::Chance => {
                    self.outcomes.clear();
                    self.game.chance(&self.state, &mut self.outcomes);
                    self.outcomes.iter().any(|o| o.0 == action)
                }
            };
            if !is_possible {
                return Err(from.error(format!("move {action} is not possible")));
            }
            self.apply(action);
        }
        if self.turn == Turn::Terminal {
            self.game.returns(&self.state, &mut self.returns);
        }
        Ok(())
    }
}
