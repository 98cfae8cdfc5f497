//! Games as rules: what solvers, tree search and learners share.
//!
//! [`Game`] is what an author writes: plain functions on a small state. [`AnyGame`] is its erased form, which every
//! game has for free: it unfolds the tree, plays, and becomes an environment.

use coact_core::{MultiAgentEnv, ObsField};

use super::environment::TurnBased;
use super::tree::Tree;
use super::unfold::unfold;
use crate::Result;

/// Who moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Chance, with known probabilities.
    Chance,
    /// A player, counted from 0.
    Player(usize),
    /// Nobody: the game is over.
    Terminal,
}

/// The rules of a game in which one player, or chance, moves at a time. Simultaneous moves are moves that the
/// others do not see until all have moved.
pub trait Game: Send + Sync {
    /// A position, with all that is hidden.
    type State: Clone + Send + Sync;

    /// Name with parameters, for example `kuhn_poker(players=3)`.
    fn name(&self) -> String;

    /// Number of players.
    fn n_players(&self) -> usize;

    /// Number of different actions of players; they are numbered from 0.
    fn n_actions(&self) -> usize;

    /// The first position.
    fn start(&self) -> Self::State;

    /// Who moves.
    fn turn(&self, state: &Self::State) -> Turn;

    /// Appends the legal actions of the player who moves, ascending. Never none.
    fn legal(&self, state: &Self::State, actions: &mut Vec<u32>);

    /// Appends what chance can do, ascending, each with its weight; a probability is a weight over the sum of all.
    fn chance(&self, state: &Self::State, outcomes: &mut Vec<(u32, u64)>);

    /// Makes a move that [`Game::legal`] or [`Game::chance`] offered.
    fn apply(&self, state: &mut Self::State, action: u32);

    /// Writes what each player receives over the whole game, once it is over. Numbers are taken as exact.
    fn returns(&self, state: &Self::State, returns: &mut [f64]);

    /// Appends all that `player` knows, as text: equal texts are one information set.
    fn information(&self, state: &Self::State, player: usize, key: &mut String);

    /// Appends the name of a move that is possible now.
    fn action_name(&self, state: &Self::State, action: u32, name: &mut String);

    /// What [`Game::observe`] writes.
    fn layout(&self) -> Vec<ObsField>;

    /// Writes what `player` knows as numbers, zeros included.
    fn observe(&self, state: &Self::State, player: usize, obs: &mut [f32]);
}

/// A game without its type: for lists of games, commands, and searches that take any game.
pub trait AnyGame: Send + Sync {
    /// Name with parameters.
    fn name(&self) -> String;

    /// Number of players.
    fn n_players(&self) -> usize;

    /// Number of different actions.
    fn n_actions(&self) -> usize;

    /// Unfolds the whole tree.
    ///
    /// # Errors
    /// More nodes than `max_nodes`, or rules that contradict themselves.
    fn tree(&self, max_nodes: usize) -> Result<Tree>;

    /// The first position.
    fn play(&self) -> Box<dyn Position>;

    /// A turn-based environment, see [`TurnBased`].
    ///
    /// # Errors
    /// A game without players or actions.
    fn environment(&self) -> Result<Box<dyn MultiAgentEnv>>;
}

/// A position of any game, which can be played on.
pub trait Position: Send {
    /// Who moves.
    fn turn(&self) -> Turn;
    /// Appends the legal actions of the player who moves.
    fn legal(&self, actions: &mut Vec<u32>);
    /// Appends what chance can do, with weights.
    fn chance(&self, outcomes: &mut Vec<(u32, u64)>);
    /// Makes a move.
    fn apply(&mut self, action: u32);
    /// Writes what each player receives over the game.
    fn returns(&self, returns: &mut [f64]);
    /// Appends all that `player` knows.
    fn information(&self, player: usize, key: &mut String);
    /// Appends the name of a move.
    fn action_name(&self, action: u32, name: &mut String);
    /// A copy to play on from here.
    fn fork(&self) -> Box<dyn Position>;
}

#[derive(Clone)]
struct Playing<G: Game> {
    game: G,
    state: G::State,
}

impl<G: Game + Clone + 'static> Position for Playing<G> {
    fn turn(&self) -> Turn {
        self.game.turn(&self.state)
    }

    fn legal(&self, actions: &mut Vec<u32>) {
        self.game.legal(&self.state, actions);
    }

    fn chance(&self, outcomes: &mut Vec<(u32, u64)>) {
        self.game.chance(&self.state, outcomes);
    }

    fn apply(&mut self, action: u32) {
        self.game.apply(&mut self.state, action);
    }

    fn returns(&self, returns: &mut [f64]) {
        self.game.returns(&self.state, returns);
    }

    fn information(&self, player: usize, key: &mut String) {
        self.game.information(&self.state, player, key);
    }

    fn action_name(&self, action: u32, name: &mut String) {
        self.game.action_name(&self.state, action, name);
    }

    fn fork(&self) -> Box<dyn Position> {
        Box::new(self.clone())
    }
}

impl<G: Game + Clone + 'static> AnyGame for G {
    fn name(&self) -> String {
        Game::name(self)
    }

    fn n_players(&self) -> usize {
        Game::n_players(self)
    }

    fn n_actions(&self) -> usize {
        Game::n_actions(self)
    }

    fn tree(&self, max_nodes: usize) -> Result<Tree> {
        unfold(self, max_nodes)
    }

    fn play(&self) -> Box<dyn Position> {
        Box::new(Playing { state: self.start(), game: self.clone() })
    }

    fn environment(&self) -> Result<Box<dyn MultiAgentEnv>> {
        Ok(Box::new(TurnBased::new(self.clone())?))
    }
}
