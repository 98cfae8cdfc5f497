//! From rules to tree: every position of a [`Game`] once, in preorder, without recursion.

use std::collections::HashMap;

use num_bigint::BigInt;

use super::game::{Game, Turn};
use super::tree::{Tree, TreeBuilder};
use crate::{Error, Rational, Result};

/// Information sets and outcomes seen so far. The maps are only looked up, never walked, so order is that of the walk.
#[derive(Default)]
struct Seen {
    infosets: HashMap<(Option<usize>, String), u32>,
    outcomes: HashMap<Vec<u64>, u32>,
    key: String,
    actions: Vec<u32>,
    events: Vec<(u32, u64)>,
}

/// Unfolds the whole tree of `game`.
///
/// # Errors
/// More nodes than `max_nodes`; no legal action; positions that a player cannot tell apart but that offer different
/// actions; returns that are not finite.
pub fn unfold<G: Game>(game: &G, max_nodes: usize) -> Result<Tree> {
    let players = (1..=game.n_players()).map(|p| format!("Player {p}")).collect();
    let mut tree = TreeBuilder::new(game.name(), "", players)?;
    let mut seen = Seen::default();
    let mut stack = vec![game.start()];
    let mut n_nodes = 0;
    while let Some(state) = stack.pop() {
        n_nodes += 1;
        if n_nodes > max_nodes {
            return Err(Error::Invalid(format!(
                "{} has more than {max_nodes} nodes; choose smaller parameters, or a method that samples",
                game.name()
            )));
        }
        seen.actions.clear();
        match game.turn(&state) {
            Turn::Terminal => {
                let outcome = seen.outcome(game, &state, &mut tree)?;
                tree.leaf("", outcome)?;
            }
            Turn::Chance => {
                let event = seen.event(game, &state, &mut tree)?;
                tree.branch("", event, 0)?;
            }
            Turn::Player(player) => {
                let infoset = seen.infoset(game, &state, player, &mut tree)?;
                tree.branch("", infoset, 0)?;
            }
        }
        for &action in seen.actions.iter().rev() {
            let mut next = state.clone();
            game.apply(&mut next, action);
            stack.push(next);
        }
    }
    tree.finish()
}

impl Seen {
    fn outcome<G: Game>(&mut self, game: &G, state: &G::State, tree: &mut TreeBuilder) -> Result<u32> {
        let mut returns = vec![0.0; game.n_players()];
        game.returns(state, &mut returns);
        // -0 and 0 are one outcome.
        let bits: Vec<u64> = returns.iter().map(|r| (r + 0.0).to_bits()).collect();
        if let Some(&outcome) = self.outcomes.get(&bits) {
            return Ok(outcome);
        }
        let exact = |r: &f64| {
            Rational::from_float(*r)
                .ok_or_else(|| Error::Invalid(format!("{} returns {r}; returns must be finite", game.name())))
        };
        let payoffs = returns.iter().map(exact).collect::<Result<_>>()?;
        let outcome = tree.outcome("", payoffs)?;
        self.outcomes.insert(bits, outcome);
        Ok(outcome)
    }

    fn event<G: Game>(&mut self, game: &G, state: &G::State, tree: &mut TreeBuilder) -> Result<u32> {
        self.events.clear();
        game.chance(state, &mut self.events);
        self.actions.extend(self.events.iter().map(|e| e.0));
        let names = names(game, state, &self.actions);
        self.key.clear();
        for ((_, weight), name) in self.events.iter().zip(&names) {
            self.key.push_str(&format!("{weight} {name} "));
        }
        let key = (None, self.key.clone());
        if let Some(&event) = self.infosets.get(&key) {
            return Ok(event);
        }
        let total: BigInt = self.events.iter().map(|e| BigInt::from(e.1)).sum();
        if total == BigInt::ZERO {
            return Err(Error::Invalid(format!("{} gives chance nothing to do; fix its rules", game.name())));
        }
        let share = |e: &(u32, u64)| Rational::new(e.1.into(), total.clone());
        let event = tree.event("", names, self.events.iter().map(share).collect())?;
        self.infosets.insert(key, event);
        Ok(event)
    }

    fn infoset<G: Game>(
        &mut self,
        game: &G,
        state: &G::State,
        player: usize,
        tree: &mut TreeBuilder,
    ) -> Result<u32> {
        game.legal(state, &mut self.actions);
        self.key.clear();
        game.information(state, player, &mut self.key);
        let names = names(game, state, &self.actions);
        let key = (Some(player), self.key.clone());
        match self.infosets.get(&key) {
            Some(&infoset) if tree.infosets()[infoset as usize].actions[..] == names[..] => Ok(infoset),
            Some(_) => Err(Error::Invalid(format!(
                "{}: player {player} has different actions at positions that look the same (`{}`); fix its rules",
                game.name(),
                self.key
            ))),
            None => {
                let infoset = tree.infoset(player, self.key.clone(), names)?;
                self.infosets.insert(key, infoset);
                Ok(infoset)
            }
        }
    }
}

fn names<G: Game>(game: &G, state: &G::State, actions: &[u32]) -> Vec<String> {
    let name = |&action: &u32| {
        let mut name = String::new();
        game.action_name(state, action, &mut name);
        name
    };
    actions.iter().map(name).collect()
}
