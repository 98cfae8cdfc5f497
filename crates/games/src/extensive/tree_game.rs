//! A tree as a game to play: what was read from a file becomes an environment, like the built-in games.
//!
//! Actions are numbered within their information set. A player knows the own information set while it is the player's
//! turn, and nothing new otherwise: a one-hot observation with a last entry for "wait".

use std::fmt::Write as _;
use std::sync::Arc;

use coact_core::ObsField;
use num_bigint::BigInt;
use num_traits::{One, ToPrimitive};

use super::{Game, Tree, Turn};
use crate::{Rational, Scalar};

/// A tree that can be played.
#[derive(Debug, Clone)]
pub struct TreeGame {
    tree: Arc<Tree>,
    /// Number of each information set among those of its player.
    own_number: Vec<u32>,
    /// Most information sets of a player, and most actions of one.
    width: usize,
    n_actions: usize,
    /// Sums of payoffs along the way, `[nodes, players]`.
    totals: Arc<[f64]>,
    /// Weights of chance by information set.
    weights: Vec<Vec<u64>>,
}

impl TreeGame {
    /// The game of a tree.
    pub fn new(tree: Tree) -> Self {
        let n = tree.n_players();
        let mut counts = vec![0u32; n];
        let mut own_number = Vec::with_capacity(tree.n_infosets());
        for infoset in tree.infosets() {
            own_number.push(infoset.player.map_or(0, |p| counts[p]));
            if let Some(p) = infoset.player {
                counts[p] += 1;
            }
        }
        let players = tree.infosets().iter().filter(|i| i.player.is_some());
        let n_actions = players.map(|i| i.actions.len()).max().unwrap_or(1);
        let mut totals = vec![0.0; tree.n_nodes() * n];
        for node in 0..tree.n_nodes() {
            for p in 0..n {
                let before = tree.parent(node).map_or(0.0, |parent| totals[parent * n + p]);
                totals[node * n + p] = before + tree.payoffs(tree.outcome_of(node))[p];
            }
        }
        let weights = tree.infosets().iter().map(|i| weights(&i.probabilities)).collect();
        let width = counts.into_iter().max().unwrap_or(0) as usize;
        Self { tree: Arc::new(tree), own_number, width, n_actions, totals: totals.into(), weights }
    }
}

/// Whole numbers in the proportion of probabilities; rounded to 2^-53 where the exact ones do not fit 64 bits.
fn weights(probabilities: &[Rational]) -> Vec<u64> {
    let common = probabilities.iter().fold(BigInt::one(), |m, p| num_integer::lcm(m, p.denom().clone()));
    let exact = probabilities.iter().map(|p| (p.numer() * (&common / p.denom())).to_u64());
    let sum_fits = common.to_u64().is_some();
    match exact.collect::<Option<Vec<u64>>>().filter(|_| sum_fits) {
        Some(weights) => weights,
        None => probabilities.iter().map(|p| (p.to_float() * 2f64.powi(53)) as u64).collect(),
    }
}

impl Game for TreeGame {
    type State = u32;

    fn name(&self) -> String {
        self.tree.title().to_string()
    }

    fn n_players(&self) -> usize {
        self.tree.n_players()
    }

    fn n_actions(&self) -> usize {
        self.n_actions
    }

    fn start(&self) -> u32 {
        0
    }

    fn turn(&self, node: &u32) -> Turn {
        self.tree.turn(*node as usize)
    }

    fn legal(&self, node: &u32, actions: &mut Vec<u32>) {
        actions.extend(0..self.tree.children(*node as usize).len() as u32);
    }

    fn chance(&self, node: &u32, outcomes: &mut Vec<(u32, u64)>) {
        if let Some(event) = self.tree.infoset_of(*node as usize) {
            outcomes.extend(self.weights[event].iter().enumerate().map(|(a, &w)| (a as u32, w)));
        }
    }

    fn apply(&self, node: &mut u32, action: u32) {
        if let Some(&child) = self.tree.children(*node as usize).get(action as usize) {
            *node = child;
        }
    }

    fn returns(&self, node: &u32, returns: &mut [f64]) {
        returns.copy_from_slice(&self.totals[*node as usize * returns.len()..][..returns.len()]);
    }

    fn information(&self, node: &u32, player: usize, key: &mut String) {
        let Some(infoset) = self.tree.infoset_of(*node as usize) else { return };
        if self.tree.infoset(infoset).player == Some(player) {
            let label = &self.tree.infoset(infoset).label;
            // Writing to a string cannot fail.
            let _ = write!(key, "{} {label}", self.own_number[infoset]);
        }
    }

    fn action_name(&self, node: &u32, action: u32, name: &mut String) {
        if let Some(infoset) = self.tree.infoset_of(*node as usize) {
            name.push_str(self.tree.infoset(infoset).actions.get(action as usize).map_or("", String::as_str));
        }
    }

    fn layout(&self) -> Vec<ObsField> {
        vec![ObsField::new("infoset", self.width, 0.0, 1.0), ObsField::new("wait", 1, 0.0, 1.0)]
    }

    fn observe(&self, node: &u32, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let infoset = self.tree.infoset_of(*node as usize);
        match infoset.filter(|&i| self.tree.infoset(i).player == Some(player)) {
            Some(infoset) => obs[self.own_number[infoset] as usize] = 1.0,
            None => obs[self.width] = 1.0,
        }
    }
}
