//! Monte Carlo counterfactual regret minimization (Lanctot et al. 2009): external and outcome sampling.
//!
//! An iteration updates every player once, from `batch` walks over the tree with fixed play. External sampling draws the
//! moves of chance and of the others and tries all own moves; outcome sampling draws one whole line of play, own moves
//! with exploration `epsilon`, and weighs it by its probability. Average play: external sampling adds the play of
//! the next player at the nodes that a walk visits; outcome sampling adds the updating player's own, weighted.
//!
//! Walk `k` of an iteration has a random stream of its own and writes a list of changes; lists are applied in order.
//! So the result does not depend on the number of threads.

use coact_core::{Purpose, Stream};
use rayon::prelude::*;

use super::{Profile, Tree, Turn};
use crate::{Error, Result};

/// Walks recurse; deeper trees are refused.
const DEEPEST: usize = 2_000;

/// What a walk samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// Chance and the other players.
    External,
    /// Everything; own moves are uniform with this probability.
    Outcome {
        /// Exploration, above 0 and at most 1; 0.6 is usual.
        epsilon: f64,
    },
}

/// Options of [`SampledCfr`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingOptions {
    /// What is sampled.
    pub sampling: Sampling,
    /// Walks for each player in an iteration; 1 is usual, more can run on several threads.
    pub batch: usize,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl SamplingOptions {
    /// External sampling, one walk at a time.
    pub fn external(seed: u64) -> Self {
        Self { sampling: Sampling::External, batch: 1, seed }
    }

    /// Outcome sampling with exploration 0.6, one walk at a time.
    pub fn outcome(seed: u64) -> Self {
        Self { sampling: Sampling::Outcome { epsilon: 0.6 }, batch: 1, seed }
    }
}

/// Changes that a walk asks for: `(slot, amount)`.
#[derive(Debug, Clone, Default)]
struct Changes {
    regret: Vec<(u32, f64)>,
    sum: Vec<(u32, f64)>,
    scratch: Vec<f64>,
}

/// A running solver.
#[derive(Debug, Clone)]
pub struct SampledCfr<'a> {
    tree: &'a Tree,
    options: SamplingOptions,
    chance: Profile,
    regret: Vec<f64>,
    sum: Vec<f64>,
    changes: Vec<Changes>,
    n_iterations: u64,
}

impl<'a> SampledCfr<'a> {
    /// Starts from uniform play.
    ///
    /// # Errors
    /// A player who forgets; an empty batch; exploration outside (0, 1]; a tree deeper than 2,000 moves.
    pub fn new(tree: &'a Tree, options: SamplingOptions) -> Result<Self> {
        tree.require_perfect_recall("counterfactual regret minimization")?;
        if options.batch == 0 {
            return Err(Error::invalid("a batch of 0 walks learns nothing; take at least 1"));
        }
        if let Sampling::Outcome { epsilon } = options.sampling
            && !(epsilon > 0.0 && epsilon <= 1.0)
        {
            return Err(Error::invalid(format!("exploration {epsilon} is not above 0 and at most 1")));
        }
        let depth = depth(tree);
        if depth > DEEPEST {
            return Err(Error::invalid(format!(
                "the tree is {depth} moves deep; sampling takes at most {DEEPEST}, use `cfr` instead"
            )));
        }
        let zeros = vec![0.0; tree.n_slots()];
        let changes = vec![Changes::default(); options.batch];
        let chance = Profile::uniform(tree);
        Ok(Self { tree, options, chance, regret: zeros.clone(), sum: zeros, changes, n_iterations: 0 })
    }

    /// Iterations made.
    pub fn n_iterations(&self) -> u64 {
        self.n_iterations
    }

    /// One iteration: every player updates once.
    pub fn step(&mut self) {
        for player in 0..self.tree.n_players() {
            let (tree, options, chance, regret) = (self.tree, self.options, &self.chance, &self.regret);
            let first = self.n_iterations * options.batch as u64;
            let walk = |(k, changes): (usize, &mut Changes)| {
                let rng = Stream::new(options.seed, Purpose::Explore, player as u32, first + k as u64);
                let mut walk = Walk { tree, chance: chance.as_slice(), regret, player, rng, changes };
                match options.sampling {
                    Sampling::External => walk.external(0),
                    Sampling::Outcome { epsilon } => walk.outcome(0, epsilon, Reach::default()),
                };
            };
            match options.batch {
                1 => walk((0, &mut self.changes[0])),
                _ => self.changes.par_iter_mut().enumerate().for_each(walk),
            }
            for changes in &mut self.changes {
                changes.regret.drain(..).for_each(|(slot, by)| self.regret[slot as usize] += by);
                changes.sum.drain(..).for_each(|(slot, by)| self.sum[slot as usize] += by);
            }
        }
        self.n_iterations += 1;
    }

    /// Average play so far, the answer.
    pub fn average(&self) -> Profile {
        let mut profile = self.chance.clone();
        for infoset in (0..self.tree.n_infosets()).filter(|&i| self.tree.infoset(i).player.is_some()) {
            let slots = self.tree.slots(infoset);
            let total: f64 = self.sum[slots.clone()].iter().sum();
            if total > 0.0 {
                for slot in slots {
                    profile.as_mut_slice()[slot] = self.sum[slot] / total;
                }
            }
        }
        profile
    }
}

/// Moves on the longest line of play.
fn depth(tree: &Tree) -> usize {
    let mut depth = vec![0; tree.n_nodes()];
    for node in 1..tree.n_nodes() {
        depth[node] = tree.parent(node).map_or(0, |p| depth[p] + 1);
    }
    depth.into_iter().max().unwrap_or(0)
}

/// Probabilities of a line of play: by the updating player, by all others and chance, and of being sampled.
#[derive(Debug, Clone, Copy)]
struct Reach {
    own: f64,
    others: f64,
    sampled: f64,
}

impl Default for Reach {
    fn default() -> Self {
        Self { own: 1.0, others: 1.0, sampled: 1.0 }
    }
}

/// One walk for one player.
struct Walk<'a> {
    tree: &'a Tree,
    chance: &'a [f64],
    regret: &'a [f64],
    player: usize,
    rng: Stream,
    changes: &'a mut Changes,
}

impl Walk<'_> {
    /// Pushes the play at these slots onto the scratch stack.
    fn push_policy(&mut self, slots: std::ops::Range<usize>) {
        let n = slots.len();
        let regret = &self.regret[slots];
        let positive: f64 = regret.iter().map(|r| r.max(0.0)).sum();
        let play = |r: &f64| if positive > 0.0 { r.max(0.0) / positive } else { 1.0 / n as f64 };
        self.changes.scratch.extend(regret.iter().map(play));
    }

    /// The updating player's value of a node, from external sampling.
    fn external(&mut self, node: usize) -> f64 {
        let tree = self.tree;
        let paid = tree.payoffs(tree.outcome_of(node))[self.player];
        let Some(infoset) = tree.infoset_of(node) else { return paid };
        let (slots, children) = (tree.slots(infoset), tree.children(node));
        let Turn::Player(mover) = tree.turn(node) else {
            let a = draw(&self.chance[slots], &mut self.rng);
            return paid + self.external(children[a] as usize);
        };
        let (base, n) = (self.changes.scratch.len(), slots.len());
        self.push_policy(slots.clone());
        if mover != self.player {
            let a = draw(&self.changes.scratch[base..], &mut self.rng);
            if mover == (self.player + 1) % tree.n_players() {
                let play = self.changes.scratch[base..].iter();
                self.changes.sum.extend(slots.map(|s| s as u32).zip(play.copied()));
            }
            self.changes.scratch.truncate(base);
            return paid + self.external(children[a] as usize);
        }
        let mut value = 0.0;
        for (a, &child) in children.iter().enumerate() {
            let of_action = self.external(child as usize);
            self.changes.scratch.push(of_action);
            value += self.changes.scratch[base + a] * of_action;
        }
        let gains = self.changes.scratch[base + n..].iter().map(|v| v - value);
        self.changes.regret.extend(slots.map(|s| s as u32).zip(gains));
        self.changes.scratch.truncate(base);
        paid + value
    }

    /// The updating player's value of a node, estimated from one line of play: unbiased over samples.
    fn outcome(&mut self, node: usize, epsilon: f64, reach: Reach) -> f64 {
        let tree = self.tree;
        let paid = tree.payoffs(tree.outcome_of(node))[self.player];
        let Some(infoset) = tree.infoset_of(node) else { return paid };
        let (slots, children) = (tree.slots(infoset), tree.children(node));
        let Turn::Player(mover) = tree.turn(node) else {
            let a = draw(&self.chance[slots.clone()], &mut self.rng);
            let p = self.chance[slots.start + a];
            let reach = Reach { others: reach.others * p, sampled: reach.sampled * p, ..reach };
            return paid + self.outcome(children[a] as usize, epsilon, reach);
        };
        let (base, n) = (self.changes.scratch.len(), slots.len());
        self.push_policy(slots.clone());
        let is_own = mover == self.player;
        let explore = if is_own { epsilon } else { 0.0 };
        let spread = |p: f64| explore / n as f64 + (1.0 - explore) * p;
        let a = if is_own && self.rng.uniform_f64() < explore {
            self.rng.below(n as u32) as usize
        } else {
            draw(&self.changes.scratch[base..], &mut self.rng)
        };
        let play = self.changes.scratch[base + a];
        let sampled = spread(play);
        let mut next = Reach { sampled: reach.sampled * sampled, ..reach };
        if is_own {
            next.own *= play;
        } else {
            next.others *= play;
        }
        let of_action = self.outcome(children[a] as usize, epsilon, next) / sampled;
        let value = play * of_action;
        if is_own {
            let (weight, share) = (reach.others / reach.sampled, reach.own / reach.sampled);
            for (b, slot) in slots.enumerate() {
                let of_b = if b == a { of_action } else { 0.0 };
                self.changes.regret.push((slot as u32, (of_b - value) * weight));
                self.changes.sum.push((slot as u32, self.changes.scratch[base + b] * share));
            }
        }
        self.changes.scratch.truncate(base);
        paid + value
    }
}

/// Draws an index from a distribution.
fn draw(probabilities: &[f64], rng: &mut Stream) -> usize {
    let mut left = rng.uniform_f64();
    for (i, &p) in probabilities.iter().enumerate() {
        left -= p;
        if left < 0.0 {
            return i;
        }
    }
    // Rounding may leave a little; the last action that can happen takes it.
    probabilities.iter().rposition(|&p| p > 0.0).unwrap_or(0)
}
