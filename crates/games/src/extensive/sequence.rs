//! The sequence form (von Stengel 1996): what a player does, as one number for each sequence of own actions.
//!
//! With perfect recall, a node is reached by a player with the product of the player's own action probabilities, and
//! that product depends only on the player's last own action. So the whole tree folds into a sparse payoff table
//! over sequences, and every pass of a solver into two flat loops: gather the table against the others' numbers,
//! and sweep one player's information sets. Ends of the game with the same sequences are one entry.

use rayon::prelude::*;

use super::Profile;
use super::tree::{NONE, Tree};
use crate::{Result, Scalar};

/// Entries of the payoff table above which it is gathered by several threads. Leduc (3,300 a player) takes 5 us.
const PARALLEL_TERMS: usize = 20_000;
/// Sequences of one piece of parallel work.
const CHUNK: usize = 512;

/// One player's information sets and sequences. Sequence 0 is "nothing yet"; the others are grouped by information
/// set, and information sets come after the sequences that lead to them, breadth first.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Information set in the tree, `[I]`.
    pub infosets: Vec<u32>,
    /// First sequence of each information set, and the number of sequences at the end, `[I + 1]`.
    pub first: Vec<u32>,
    /// The sequence that leads to each information set, `[I]`.
    pub parent: Vec<u32>,
    /// First of the information sets right after each sequence, and the number of information sets at the end.
    pub first_child: Vec<u32>,
    /// Place of each sequence in a [`Profile`], [`u32::MAX`] for sequence 0.
    pub slot: Vec<u32>,
    /// Bounds of levels: information sets with equally many own information sets before them.
    pub levels: Vec<u32>,
}

impl Plan {
    /// Number of information sets.
    pub fn n_infosets(&self) -> usize {
        self.infosets.len()
    }

    /// Number of sequences, the empty one included.
    pub fn n_sequences(&self) -> usize {
        self.slot.len()
    }

    /// Sequences of an information set of this plan.
    pub fn sequences(&self, infoset: usize) -> std::ops::Range<usize> {
        self.first[infoset] as usize..self.first[infoset + 1] as usize
    }

    /// Writes the realization plan of a profile: for each sequence the product of its probabilities.
    pub fn realize<T: Scalar>(&self, profile: &Profile<T>, reach: &mut [T]) {
        let probabilities = profile.as_slice();
        reach[0] = T::one();
        for i in 0..self.n_infosets() {
            let before = reach[self.parent[i] as usize].clone();
            for s in self.sequences(i) {
                reach[s] = before.clone() * &probabilities[self.slot[s] as usize];
            }
        }
    }

    /// Writes the behavior strategy of a realization plan, or of any non-negative weights of sequences that are
    /// proportional at each information set; uniform where all are zero.
    pub fn behave<T: Scalar>(&self, weights: &[T], profile: &mut Profile<T>) {
        let out = profile.as_mut_slice();
        for i in 0..self.n_infosets() {
            let range = self.sequences(i);
            let n = range.len();
            let sum = weights[range.clone()].iter().fold(T::zero(), |a, b| a + b);
            for s in range {
                out[self.slot[s] as usize] = match sum > T::zero() {
                    true => weights[s].clone() / &sum,
                    false => T::one() / &T::from_int(n as i64),
                };
            }
        }
    }
}

/// One player's payoffs: row by own sequence, columns by the sequences of the others.
#[derive(Debug, Clone, PartialEq)]
struct Payoffs<T> {
    /// Start of each row, `[sequences + 1]`.
    row: Vec<u32>,
    /// Sequences of the other players, ascending by player, `[terms, players - 1]`.
    columns: Vec<u32>,
    /// Probability of chance times payoff, `[terms]`.
    value: Vec<T>,
}

/// A game in sequence form, over f64 or rationals.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceForm<T = f64> {
    plans: Vec<Plan>,
    payoffs: Vec<Payoffs<T>>,
}

impl<T: Scalar> SequenceForm<T> {
    /// Folds a tree.
    ///
    /// # Errors
    /// A player who forgets; `method` is named in the message.
    pub fn new(tree: &Tree, method: &'static str) -> Result<Self> {
        Self::shifted(tree, method, &T::zero())
    }

    /// Folds a tree whose payoffs at every end are larger by `shift`.
    pub(super) fn shifted(tree: &Tree, method: &'static str, shift: &T) -> Result<Self> {
        tree.require_perfect_recall(method)?;
        let (n, last) = (tree.n_players(), tree.last_actions());
        let plans: Vec<Plan> = (0..n).map(|p| plan(tree, p, &last)).collect();
        let mut sequence_of_slot = vec![0; tree.n_slots()];
        for plan in &plans {
            for (s, &slot) in plan.slot.iter().enumerate().skip(1) {
                sequence_of_slot[slot as usize] = s as u32;
            }
        }
        let (keys, values) = ends(tree, &last, &sequence_of_slot, shift);
        let payoffs = (0..n).map(|p| payoffs(p, n, plans[p].n_sequences(), &keys, &values)).collect();
        Ok(Self { plans, payoffs })
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.plans.len()
    }

    /// Information sets and sequences of a player.
    pub fn plan(&self, player: usize) -> &Plan {
        &self.plans[player]
    }

    /// Entries of a player's payoff table.
    pub fn n_terms(&self, player: usize) -> usize {
        self.payoffs[player].value.len()
    }

    /// Entries of a player's payoff table: own sequence, sequences of the others ascending by player, and
    /// probability of chance times payoff.
    pub fn terms(&self, player: usize) -> impl Iterator<Item = (usize, &[u32], &T)> + '_ {
        let (table, width) = (&self.payoffs[player], self.n_players() - 1);
        let rows = (0..self.plans[player].n_sequences())
            .flat_map(|s| (table.row[s] as usize..table.row[s + 1] as usize).map(move |k| (s, k)));
        rows.map(move |(s, k)| (s, &table.columns[k * width..][..width], &table.value[k]))
    }

    /// Writes for each sequence of `player` what it earns at ends right after it, if the player plays towards it and
    /// the others as `reaches` (one realization plan a player; the player's own is not read).
    ///
    /// Each entry is one sum in fixed order, so the bits do not depend on threads.
    pub fn gather(&self, player: usize, reaches: &[impl AsRef<[T]> + Sync], out: &mut [T]) {
        let (table, n) = (&self.payoffs[player], self.n_players());
        let fill = |first: usize, out: &mut [T]| {
            for (i, out) in out.iter_mut().enumerate() {
                let (from, to) = (table.row[first + i] as usize, table.row[first + i + 1] as usize);
                let mut sum = T::zero();
                for k in from..to {
                    let mut term = table.value[k].clone();
                    let columns = &table.columns[k * (n - 1)..][..n - 1];
                    for (j, &column) in columns.iter().enumerate() {
                        let other = j + usize::from(j >= player);
                        term = term * &reaches[other].as_ref()[column as usize];
                    }
                    sum = sum + &term;
                }
                *out = sum;
            }
        };
        let fill_two = |first: usize, out: &mut [T]| {
            let reach = reaches[1 - player.min(1)].as_ref();
            for (i, out) in out.iter_mut().enumerate() {
                let range = table.row[first + i] as usize..table.row[first + i + 1] as usize;
                let mut sum = T::zero();
                for (value, &column) in table.value[range.clone()].iter().zip(&table.columns[range]) {
                    sum = sum + &(value.clone() * &reach[column as usize]);
                }
                *out = sum;
            }
        };
        match (n == 2, table.value.len() >= PARALLEL_TERMS) {
            (true, false) => fill_two(0, out),
            (false, false) => fill(0, out),
            (true, true) => {
                out.par_chunks_mut(CHUNK).enumerate().for_each(|(c, out)| fill_two(c * CHUNK, out));
            }
            (false, true) => out.par_chunks_mut(CHUNK).enumerate().for_each(|(c, out)| fill(c * CHUNK, out)),
        }
    }

    /// Realization plans of a profile, one a player.
    pub fn realize(&self, profile: &Profile<T>) -> Vec<Vec<T>> {
        let reach = |plan: &Plan| {
            let mut reach = vec![T::zero(); plan.n_sequences()];
            plan.realize(profile, &mut reach);
            reach
        };
        self.plans.iter().map(reach).collect()
    }
}

/// Numbers a player's information sets and sequences, breadth first.
fn plan(tree: &Tree, player: usize, last: &[u32]) -> Plan {
    let n = tree.n_players();
    // Information sets by the slot that leads to them; NONE leads to those in the last place.
    let mut after: Vec<Vec<u32>> = vec![Vec::new(); tree.n_slots() + 1];
    let mut seen = vec![false; tree.n_infosets()];
    for node in 0..tree.n_nodes() {
        let Some(infoset) = tree.infoset_of(node) else { continue };
        if tree.infoset(infoset).player == Some(player) && !std::mem::replace(&mut seen[infoset], true) {
            let slot = last[node * n + player];
            after[if slot == NONE { tree.n_slots() } else { slot as usize }].push(infoset as u32);
        }
    }
    let mut plan = Plan {
        infosets: Vec::new(),
        first: Vec::new(),
        parent: Vec::new(),
        first_child: Vec::new(),
        slot: vec![NONE],
        levels: vec![0],
    };
    let (mut sequence, mut level_end) = (0, 1);
    while sequence < plan.slot.len() {
        if sequence == level_end {
            plan.levels.push(plan.infosets.len() as u32);
            level_end = plan.slot.len();
        }
        plan.first_child.push(plan.infosets.len() as u32);
        let slot = plan.slot[sequence];
        for &infoset in &after[if slot == NONE { tree.n_slots() } else { slot as usize }] {
            plan.infosets.push(infoset);
            plan.first.push(plan.slot.len() as u32);
            plan.parent.push(sequence as u32);
            plan.slot.extend(tree.slots(infoset as usize).map(|s| s as u32));
        }
        sequence += 1;
    }
    plan.first.push(plan.slot.len() as u32);
    plan.first_child.push(plan.infosets.len() as u32);
    plan.levels.push(plan.infosets.len() as u32);
    plan.levels.dedup();
    plan
}

/// Sequences of all players at each end of the game that can happen, `[ends, players]`, and probability of chance times
/// payoff there, of the same shape.
fn ends<T: Scalar>(tree: &Tree, last: &[u32], sequence_of_slot: &[u32], shift: &T) -> (Vec<u32>, Vec<T>) {
    let n = tree.n_players();
    let probabilities = Profile::<T>::uniform(tree);
    let payoffs: Vec<Vec<T>> =
        tree.outcomes().iter().map(|o| o.payoffs.iter().map(T::from_rational).collect()).collect();
    let mut chance = vec![T::one(); tree.n_nodes()];
    let mut total = vec![T::zero(); tree.n_nodes() * n];
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for node in 0..tree.n_nodes() {
        for p in 0..n {
            let before =
                tree.parent(node).map_or_else(|| shift.clone(), |parent| total[parent * n + p].clone());
            total[node * n + p] = before + &payoffs[tree.outcome_of(node)][p];
        }
        match tree.infoset_of(node) {
            None if chance[node] > T::zero() => {
                let sequence = |&slot: &u32| if slot == NONE { 0 } else { sequence_of_slot[slot as usize] };
                keys.extend(last[node * n..][..n].iter().map(sequence));
                values.extend((0..n).map(|p| chance[node].clone() * &total[node * n + p]));
            }
            None => {}
            Some(infoset) => {
                let is_chance = tree.infoset(infoset).player.is_none();
                for (a, &child) in tree.children(node).iter().enumerate() {
                    let mut p = chance[node].clone();
                    if is_chance {
                        p = p * &probabilities.at(tree, infoset)[a];
                    }
                    chance[child as usize] = p;
                }
            }
        }
    }
    (keys, values)
}

/// The payoff table of one player: equal sequences merged, zeros left out.
fn payoffs<T: Scalar>(player: usize, n: usize, n_sequences: usize, keys: &[u32], values: &[T]) -> Payoffs<T> {
    let key = |&end: &u32| {
        let key = &keys[end as usize * n..][..n];
        (key[player], &key[..player], &key[player + 1..])
    };
    let mut order: Vec<u32> = (0..(keys.len() / n) as u32).collect();
    order.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut table =
        Payoffs { row: Vec::with_capacity(n_sequences + 1), columns: Vec::new(), value: Vec::<T>::new() };
    for same in order.chunk_by(|a, b| key(a) == key(b)) {
        let value = same.iter().fold(T::zero(), |sum, &end| sum + &values[end as usize * n + player]);
        if value == T::zero() {
            continue;
        }
        let (row, before, after) = key(&same[0]);
        while table.row.len() <= row as usize {
            table.row.push(table.value.len() as u32);
        }
        table.columns.extend(before.iter().chain(after));
        table.value.push(value);
    }
    while table.row.len() <= n_sequences {
        table.row.push(table.value.len() as u32);
    }
    table
}
