//! The tree laid out for solvers that walk all of it many times: nodes breadth first, so that children stand side by
//! side, and actions of each player in one row.
//!
//! A walk is two flat passes: values from the last node to the first, then regrets by information set. Each number is one
//! sum in the order in which a recursive walk would add, so the bits are those of the textbook walk, on any number of
//! threads. That matters: where actions earn exactly the same, what is played hangs on the last bit.

use std::ops::Range;

use rayon::prelude::*;

use super::tree::{NONE, Tree};
use super::{Profile, Turn};

/// Nodes from which passes use several threads. Leduc has 9,457 and takes 40 us a pass.
const PARALLEL_NODES: usize = 50_000;
/// Nodes, and information sets, of one piece of parallel work.
const PIECE: usize = 2_048;

/// One player's information sets: where their actions and nodes are.
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// First action of each information set, and the end, `[I + 1]`.
    pub(super) first: Vec<u32>,
    /// The own action that leads to each information set, or [`Layout::n_actions`], `[I]`.
    pub(super) parent: Vec<u32>,
    /// First of the nodes of each information set, and the end, `[I + 1]`.
    first_node: Vec<u32>,
    /// Nodes, `[H]`.
    node: Vec<u32>,
    /// Probability that chance leads to each node, `[H]`.
    chance: Vec<f64>,
    /// Last actions of the others before each node, ascending by player, `[H, players - 1]`.
    others: Vec<u32>,
}

/// A tree laid out.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    n_players: usize,
    pub(super) sides: Vec<Side>,
    /// Place in a [`Profile`] of each action, chance last.
    pub(super) slot: Vec<u32>,
    /// First child of each node, and the end; children of a node stand side by side.
    first_child: Vec<u32>,
    /// First action of each node; unused at ends.
    first_action: Vec<u32>,
    /// Nodes that are not ends, ascending.
    inner: Vec<u32>,
    /// Where each level starts among `inner`, and the end.
    levels: Vec<u32>,
}

impl Layout {
    /// Lays out a tree with perfect recall, and gives the payoffs at its ends, `[players][nodes]`.
    pub(super) fn new(tree: &Tree) -> (Self, Vec<Vec<f64>>) {
        let n = tree.n_players();
        let (sets_of, action_of) = actions(tree);
        let mut layout = Self {
            n_players: n,
            sides: Vec::new(),
            slot: vec![0; tree.n_slots()],
            first_child: Vec::new(),
            first_action: Vec::new(),
            inner: Vec::new(),
            levels: vec![0],
        };
        for (slot, &action) in action_of.iter().enumerate() {
            layout.slot[action as usize] = slot as u32;
        }
        let (order, place) = breadth_first(tree);
        let mut level_end = 1;
        let mut next = 1;
        for (i, &node) in order.iter().enumerate() {
            if i == level_end {
                layout.levels.push(layout.inner.len() as u32);
                level_end = next as usize;
            }
            layout.first_child.push(next);
            next += tree.children(node as usize).len() as u32;
            let infoset = tree.infoset_of(node as usize);
            layout.first_action.push(infoset.map_or(0, |i| action_of[tree.slots(i).start]));
            if infoset.is_some() {
                layout.inner.push(i as u32);
            }
        }
        layout.first_child.push(next);
        layout.levels.push(layout.inner.len() as u32);
        let last = tree.last_actions();
        let chance = chance_reach(tree);
        for (player, sets) in sets_of.iter().enumerate() {
            layout.sides.push(side(tree, player, sets, &action_of, &last, &chance, &place));
        }
        (layout, ends(tree, &place))
    }

    /// Number of actions over all information sets and chance events.
    pub(super) fn n_actions(&self) -> usize {
        self.slot.len()
    }

    /// Actions of a player.
    pub(super) fn actions(&self, player: usize) -> Range<usize> {
        let first = &self.sides[player].first;
        first[0] as usize..first[first.len() - 1] as usize
    }

    /// The probabilities of a profile in the order of actions.
    pub(super) fn arrange(&self, profile: &Profile) -> Vec<f64> {
        self.slot.iter().map(|&slot| profile.as_slice()[slot as usize]).collect()
    }

    /// Fills in the values of inner nodes, `[nodes]`, under `play`, `[actions]`; ends are there already.
    pub(super) fn evaluate(&self, play: &[f64], values: &mut [f64]) {
        let value = |node: usize, base: usize, below: &[f64]| {
            let children = self.first_child[node] as usize..self.first_child[node + 1] as usize;
            let first = self.first_action[node] as usize;
            let play = &play[first..first + children.len()];
            let mut sum = 0.0;
            for (p, v) in play.iter().zip(&below[children.start - base..children.end - base]) {
                sum += p * v;
            }
            sum
        };
        if values.len() < PARALLEL_NODES {
            for &node in self.inner.iter().rev() {
                values[node as usize] = value(node as usize, 0, values);
            }
            return;
        }
        for level in self.levels.windows(2).rev() {
            let inner = &self.inner[level[0] as usize..level[1] as usize];
            let (Some(&first), Some(&last)) = (inner.first(), inner.last()) else { continue };
            let base = last as usize + 1;
            let (upper, lower) = values.split_at_mut(base);
            let chunks = upper[first as usize..].par_chunks_mut(PIECE).enumerate();
            chunks.for_each(|(c, chunk)| {
                let start = first as usize + c * PIECE;
                for (i, v) in chunk.iter_mut().enumerate() {
                    let node = start + i;
                    if self.first_child[node] < self.first_child[node + 1] {
                        *v = value(node, base, lower);
                    }
                }
            });
        }
    }

    /// Adds to the regrets of a player's actions (a row of the player's own actions) what each would have earned beyond
    /// the value of its node, weighed by the others' and chance's way there.
    pub(super) fn add_regrets(&self, player: usize, reach: &[f64], values: &[f64], regret: &mut [f64]) {
        let n_infosets = self.sides[player].parent.len();
        let walk = Regrets { layout: self, player, reach, values };
        match values.len() < PARALLEL_NODES {
            true => walk.add(0..n_infosets, regret),
            false => walk.add_in_pieces(0..n_infosets, regret),
        }
    }

    /// Writes the products of a player's own probabilities up to and with each action.
    pub(super) fn realize(&self, player: usize, play: &[f64], reach: &mut [f64]) {
        let side = &self.sides[player];
        for (infoset, &parent) in side.parent.iter().enumerate() {
            let before = reach[parent as usize];
            for action in side.first[infoset] as usize..side.first[infoset + 1] as usize {
                reach[action] = before * play[action];
            }
        }
    }
}

struct Regrets<'a> {
    layout: &'a Layout,
    player: usize,
    reach: &'a [f64],
    values: &'a [f64],
}

impl Regrets<'_> {
    fn add_in_pieces(&self, infosets: Range<usize>, regret: &mut [f64]) {
        if infosets.len() <= PIECE {
            return self.add(infosets, regret);
        }
        let first = &self.layout.sides[self.player].first;
        let middle = infosets.start + infosets.len() / 2;
        let (low, high) = regret.split_at_mut((first[middle] - first[infosets.start]) as usize);
        rayon::join(
            || self.add_in_pieces(infosets.start..middle, low),
            || self.add_in_pieces(middle..infosets.end, high),
        );
    }

    /// `regret` starts at the first action of the first of `infosets`.
    fn add(&self, infosets: Range<usize>, regret: &mut [f64]) {
        let (layout, side, n_others) =
            (self.layout, &self.layout.sides[self.player], self.layout.n_players - 1);
        let base = side.first[infosets.start] as usize;
        for infoset in infosets {
            let actions = side.first[infoset] as usize - base..side.first[infoset + 1] as usize - base;
            let regret = &mut regret[actions];
            for h in side.first_node[infoset] as usize..side.first_node[infoset + 1] as usize {
                let mut weight = 1.0;
                for &other in &side.others[h * n_others..(h + 1) * n_others] {
                    weight *= self.reach[other as usize];
                }
                weight *= side.chance[h];
                let node = side.node[h] as usize;
                let value = self.values[node];
                let children = &self.values[layout.first_child[node] as usize..][..regret.len()];
                for (r, v) in regret.iter_mut().zip(children) {
                    *r += weight * (v - value);
                }
            }
        }
    }
}

/// Information sets of each player, and the number of each action by its slot: players one after the other, chance last.
fn actions(tree: &Tree) -> (Vec<Vec<u32>>, Vec<u32>) {
    let n = tree.n_players();
    let mut sets_of: Vec<Vec<u32>> = vec![Vec::new(); n + 1];
    for (i, infoset) in tree.infosets().iter().enumerate() {
        sets_of[infoset.player.unwrap_or(n)].push(i as u32);
    }
    let mut action_of = vec![0; tree.n_slots()];
    let slots = sets_of.iter().flatten().flat_map(|&i| tree.slots(i as usize));
    for (action, slot) in slots.enumerate() {
        action_of[slot] = action as u32;
    }
    sets_of.truncate(n);
    (sets_of, action_of)
}

/// Nodes in breadth-first order, and the place of each node there.
fn breadth_first(tree: &Tree) -> (Vec<u32>, Vec<u32>) {
    let mut order = vec![0u32];
    let mut place = vec![0u32; tree.n_nodes()];
    let mut next = 0;
    while next < order.len() {
        place[order[next] as usize] = next as u32;
        order.extend_from_slice(tree.children(order[next] as usize));
        next += 1;
    }
    (order, place)
}

/// Probability that chance leads to each node.
fn chance_reach(tree: &Tree) -> Vec<f64> {
    let probabilities = Profile::<f64>::uniform(tree);
    let mut chance = vec![1.0; tree.n_nodes()];
    for node in 0..tree.n_nodes() {
        let Some(infoset) = tree.infoset_of(node) else { continue };
        let is_chance = tree.turn(node) == Turn::Chance;
        for (&child, p) in tree.children(node).iter().zip(probabilities.at(tree, infoset)) {
            chance[child as usize] = if is_chance { chance[node] * p } else { chance[node] };
        }
    }
    chance
}

/// Payoffs summed along the way to each end, `[players][nodes]`, nodes breadth first.
fn ends(tree: &Tree, place: &[u32]) -> Vec<Vec<f64>> {
    let one = |player: usize| {
        let mut total = vec![0.0; tree.n_nodes()];
        for node in 0..tree.n_nodes() {
            let before = tree.parent(node).map_or(0.0, |p| total[place[p] as usize]);
            total[place[node] as usize] = before + tree.payoffs(tree.outcome_of(node))[player];
        }
        total
    };
    (0..tree.n_players()).map(one).collect()
}

fn side(
    tree: &Tree,
    player: usize,
    sets: &[u32],
    action_of: &[u32],
    last: &[u32],
    chance: &[f64],
    place: &[u32],
) -> Side {
    let n = tree.n_players();
    let action = |slot: u32| if slot == NONE { action_of.len() as u32 } else { action_of[slot as usize] };
    let mut nodes: Vec<Vec<u32>> = vec![Vec::new(); tree.n_infosets()];
    for node in 0..tree.n_nodes() {
        if let (Turn::Player(mover), Some(infoset)) = (tree.turn(node), tree.infoset_of(node))
            && mover == player
        {
            nodes[infoset].push(node as u32);
        }
    }
    let mut side = Side {
        first: Vec::new(),
        parent: Vec::new(),
        first_node: vec![0],
        node: Vec::new(),
        chance: Vec::new(),
        others: Vec::new(),
    };
    let mut end = sets.first().map_or(0, |&i| action_of[tree.slots(i as usize).start]);
    side.first.push(end);
    for &infoset in sets {
        end += tree.slots(infoset as usize).len() as u32;
        side.first.push(end);
        for &node in &nodes[infoset as usize] {
            let before = &last[node as usize * n..][..n];
            side.node.push(place[node as usize]);
            side.chance.push(chance[node as usize]);
            side.others.extend((0..n).filter(|&p| p != player).map(|p| action(before[p])));
        }
        side.first_node.push(side.node.len() as u32);
        // Perfect recall: all nodes have the same last own action.
        let first = nodes[infoset as usize].first().map_or(NONE, |&node| last[node as usize * n + player]);
        side.parent.push(action(first));
    }
    side
}
