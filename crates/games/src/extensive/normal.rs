//! The reduced normal form of an extensive game: strategies say what to do wherever the strategy itself leads.
//!
//! Numbers of strategies grow fast, so sizes are counted before anything is built.

use super::Tree;
use super::sequence::{Plan, SequenceForm};
use crate::normal_form::Player;
use crate::{Error, NormalForm, Result, Scalar};

/// Profiles up to which a normal form is built.
const MOST_PROFILES: f64 = 2_000_000.0;

/// Converts a game; `S` may be exact.
///
/// # Errors
/// A player who forgets, or more than two million profiles.
pub fn normal_form<S: Scalar>(tree: &Tree) -> Result<NormalForm<S>> {
    let form = SequenceForm::<S>::new(tree, "conversion to normal form")?;
    let n = form.n_players();
    let profiles: f64 = (0..n).map(|p| count(form.plan(p))).product();
    if profiles > MOST_PROFILES {
        return Err(Error::TooLarge {
            what: "the normal form".into(),
            estimate: profiles,
            unit: "profiles",
            limit: MOST_PROFILES,
            remedy: "solve the game in extensive form, for example with `sequence-form` or `cfr+`".into(),
        });
    }
    let strategies: Vec<Vec<Vec<u32>>> = (0..n).map(|p| strategies(form.plan(p))).collect();
    let shape: Vec<usize> = strategies.iter().map(Vec::len).collect();
    let payoffs = (0..n).map(|p| table(&form, p, &strategies, &shape)).collect();
    let name = |(p, list): (usize, &Vec<Vec<u32>>)| Player {
        name: tree.players()[p].clone(),
        strategies: list.iter().map(|s| label(tree, form.plan(p), s)).collect(),
    };
    let players = strategies.iter().enumerate().map(name).collect();
    NormalForm::new(&shape, payoffs)?.with_title(tree.title()).with_players(players)
}

/// Number of reduced strategies.
fn count(plan: &Plan) -> f64 {
    let mut after = vec![1.0; plan.n_sequences()];
    for infoset in (0..plan.n_infosets()).rev() {
        let here: f64 = plan.sequences(infoset).map(|s| after[s]).sum();
        after[plan.parent[infoset] as usize] *= here;
    }
    after[0]
}

/// Reduced strategies, each as the sequences that it plays, ascending. The first information set varies slowest.
fn strategies(plan: &Plan) -> Vec<Vec<u32>> {
    let mut after: Vec<Vec<Vec<u32>>> = vec![vec![Vec::new()]; plan.n_sequences()];
    for infoset in (0..plan.n_infosets()).rev() {
        let mut here = Vec::new();
        for s in plan.sequences(infoset) {
            for mut rest in std::mem::take(&mut after[s]) {
                rest.push(s as u32);
                here.push(rest);
            }
        }
        let parent = &mut after[plan.parent[infoset] as usize];
        let both = |first: &Vec<u32>| {
            let first = first.clone();
            parent.iter().map(move |second| [&first[..], second].concat())
        };
        *parent = here.iter().flat_map(both).collect();
    }
    let mut all = std::mem::take(&mut after[0]);
    for strategy in &mut all {
        strategy.push(0);
        strategy.sort_unstable();
    }
    all
}

/// Payoffs of a player in every profile.
fn table<S: Scalar>(
    form: &SequenceForm<S>,
    player: usize,
    strategies: &[Vec<Vec<u32>>],
    shape: &[usize],
) -> Vec<S> {
    // Strategies that play a sequence, by player.
    let users: Vec<Vec<Vec<usize>>> = strategies
        .iter()
        .enumerate()
        .map(|(p, list)| {
            let mut users = vec![Vec::new(); form.plan(p).n_sequences()];
            for (i, strategy) in list.iter().enumerate() {
                strategy.iter().for_each(|&s| users[s as usize].push(i));
            }
            users
        })
        .collect();
    let mut table = vec![S::zero(); shape.iter().product()];
    for (own, others, value) in form.terms(player) {
        let mut places = vec![0];
        let mut others = others.iter();
        for p in 0..shape.len() {
            let s = if p == player { own } else { others.next().map_or(0, |&s| s as usize) };
            places =
                places.iter().flat_map(|&at| users[p][s].iter().map(move |i| at * shape[p] + i)).collect();
        }
        for place in places {
            table[place] = value.clone() + &table[place];
        }
    }
    table
}

/// The actions of a strategy in the order of its information sets.
fn label(tree: &Tree, plan: &Plan, strategy: &[u32]) -> String {
    let mut words = Vec::new();
    for &s in &strategy[1..] {
        let infoset = plan.first.partition_point(|&f| f <= s) - 1;
        let action = s - plan.first[infoset];
        words.push(tree.infoset(plan.infosets[infoset] as usize).actions[action as usize].as_str());
    }
    words.join(" ")
}
