//! `games`: iterations of counterfactual regret minimization, equilibria of games in normal form, and plans of finite
//! models. Payoffs and models come from a linear congruential generator that the peers' scripts have too, so all sides
//! solve the same problems. Where some problems of a size are solved in turn, the value is for one of them.

use coact_games::equilibrium::{lemke_howson, vertex_enumeration, zero_sum};
use coact_games::extensive::games::by_name;
use coact_games::extensive::{Cfr, CfrOptions};
use coact_games::{NormalForm, Rational, Scalar};
use coact_tabular::model::{Model, ModelBuilder};
use coact_tabular::plan::{Method, PlanOptions, plan};
use serde_json::json;

use super::{Session, alone};
use crate::contest::{PeerCall, Run, Unit, params};
use crate::data::Lcg;

/// Games of one size that are solved in turn.
const GAMES: u32 = 5;
/// Nodes of Leduc poker: 9,457.
const MOST_NODES: usize = 100_000;
const STATES: usize = 1_000;
const ACTIONS: usize = 4;
/// Outcomes of an action in the sparse model.
const NEXT: usize = 10;
const GAMMA: f64 = 0.95;
const TOLERANCE: f64 = 1e-8;

/// Holds the contests.
///
/// # Errors
/// What a solver said.
pub fn run(session: &mut Session) -> Result<(), String> {
    regret(session)?;
    equilibria(session)?;
    programs(session)?;
    plans(session)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn peer(peer: &'static str, measure: &'static str, params: serde_json::Value, goal: Option<f64>) -> PeerCall {
    PeerCall { peer, measure, params, items: 1.0, variant: "", goal }
}

fn regret(session: &mut Session) -> Result<(), String> {
    for (game, ratio, least) in [("kuhn_poker", 10.0, 450e3), ("leduc_poker", 30.0, 3_450.0)] {
        for (name, options) in [("cfr", CfrOptions::CFR), ("cfr+", CfrOptions::PLUS)] {
            let tree = by_name(game).and_then(|g| g.tree(MOST_NODES)).map_err(text)?;
            let mut solver = Cfr::new(&tree, options).map_err(text)?;
            let run: Run<'_> = Box::new(move |calls| {
                (0..calls).for_each(|_| solver.step());
                Ok(())
            });
            let rival = peer("openspiel", "cfr", json!({"game": game, "plus": name == "cfr+"}), Some(ratio));
            let unit = Unit::PerSecond("iterations/s");
            session.hold(alone(format!("games/{name}/{game}"), unit, 1.0, Some(least), run, vec![rival]))?;
        }
    }
    Ok(())
}

/// Games with payoffs of whole numbers from -100 to 100.
fn integers<S: Scalar>(n: usize) -> Result<Vec<NormalForm<S>>, String> {
    let one = |seed| {
        let mut lcg = Lcg::new(seed);
        let mut table = || (0..n * n).map(|_| S::from_int(i64::from(lcg.below(201)) - 100)).collect();
        let (a, b) = (table(), table());
        NormalForm::bimatrix(n, n, a, b).map_err(text)
    };
    (1..=GAMES).map(one).collect()
}

/// Calls that solve all of some games.
fn each<S: Scalar>(
    games: Vec<NormalForm<S>>,
    solve: impl Fn(&NormalForm<S>) -> coact_games::Result<usize> + 'static,
) -> Run<'static> {
    Box::new(move |calls| {
        for _ in 0..calls {
            for game in &games {
                std::hint::black_box(solve(game).map_err(text)?);
            }
        }
        Ok(())
    })
}

fn equilibria(session: &mut Session) -> Result<(), String> {
    let items = f64::from(GAMES);
    let us = Unit::Microseconds;
    let call = |name, measure, n: usize, goal| {
        let call = peer(name, measure, params(&[("n", n as f64), ("games", items)]), goal);
        PeerCall { items, ..call }
    };
    let all = |game: &NormalForm<Rational>| vertex_enumeration(game, &mut |_| true).map(|found| found.len());
    let all_f64 = |game: &NormalForm<f64>| vertex_enumeration(game, &mut |_| true).map(|found| found.len());
    for n in [6, 10] {
        let exact = vec![call("gambit", "all_exact", n, Some(20.0))];
        let goal = (n == 10).then_some(12_450.0);
        let run = each(integers(n)?, all);
        session.hold(alone(format!("games/all_equilibria/{n}x{n}/exact"), us, items, goal, run, exact))?;
        let mut floats = vec![call("quantecon", "all", n, Some(1.0))];
        if n == 6 {
            // At 10 x 10 its enumeration takes minutes.
            floats.push(call("nashpy", "all", n, None));
        }
        let goal = (n == 10).then_some(4_700.0);
        let run = each(integers(n)?, all_f64);
        session.hold(alone(format!("games/all_equilibria/{n}x{n}/floats"), us, items, goal, run, floats))?;
    }
    for (n, goal) in [(10, None), (50, Some(190.0))] {
        let one = |game: &NormalForm<f64>| lemke_howson(game, 0, &mut |_| true).map(|end| end.n_pivots);
        let mut rivals = vec![call("quantecon", "lemke_howson", n, Some(1.0))];
        if n == 10 {
            // At 50 x 50 it may not come to an end.
            rivals.push(call("nashpy", "lemke_howson", n, None));
        }
        let run = each(integers(n)?, one);
        session.hold(alone(format!("games/one_equilibrium/{n}x{n}"), us, items, goal, run, rivals))?;
    }
    Ok(())
}

/// Zero-sum games with payoffs in (-1, 1).
fn programs(session: &mut Session) -> Result<(), String> {
    for (n, goal) in [(100, 10_600.0), (200, 53_000.0)] {
        let mut lcg = Lcg::new(n as u32);
        let table: Vec<f64> = (0..n * n).map(|_| 2.0 * lcg.uniform() - 1.0).collect();
        let run: Run<'_> = Box::new(move |calls| {
            (0..calls).try_for_each(|_| zero_sum(n, n, &table).map(|_| ()).map_err(text))
        });
        let rival = peer("scipy", "zero_sum", params(&[("n", n as f64)]), Some(1.0));
        let name = format!("games/zero_sum/{n}x{n}");
        session.hold(alone(name, Unit::Microseconds, 1.0, Some(goal), run, vec![rival]))?;
    }
    Ok(())
}

/// A model in which every action leads anywhere.
fn dense() -> Result<Model, String> {
    let mut lcg = Lcg::new(1);
    let mut p: Vec<f64> = (0..STATES * ACTIONS * STATES).map(|_| lcg.uniform()).collect();
    for row in p.chunks_exact_mut(STATES) {
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
    let reward = (0..STATES * ACTIONS).map(|_| lcg.uniform()).collect();
    Model::dense(STATES, ACTIONS, GAMMA, p, reward).map_err(text)
}

/// A model in which an action leads to ten states, not necessarily different, with equal probability.
fn sparse() -> Result<Model, String> {
    let mut lcg = Lcg::new(2);
    let mut model = ModelBuilder::new(STATES, ACTIONS, GAMMA);
    for row in 0..STATES * ACTIONS {
        let reward = lcg.uniform();
        for _ in 0..NEXT {
            let next = lcg.below(STATES as u32) as usize;
            model.transition(row / ACTIONS, row % ACTIONS, next, 1.0 / NEXT as f64, reward);
        }
    }
    model.build().map_err(text)
}

fn plans(session: &mut Session) -> Result<(), String> {
    let options = PlanOptions { tolerance: TOLERANCE, ..PlanOptions::default() };
    for (name, model, goal) in [("dense", dense()?, 14_500.0), ("sparse", sparse()?, 1_400.0)] {
        let run: Run<'_> = Box::new(move |calls| {
            let one = |_| plan(&model, Method::ModifiedPolicyIteration, &options).map(|_| ()).map_err(text);
            (0..calls).try_for_each(one)
        });
        let params = params(&[
            ("states", STATES as f64),
            ("actions", ACTIONS as f64),
            ("next", NEXT as f64),
            ("gamma", GAMMA),
            ("tolerance", TOLERANCE),
        ]);
        let mut rivals = vec![peer(
            "quantecon",
            if name == "dense" { "mpi_dense" } else { "mpi_sparse" },
            params.clone(),
            Some(1.0),
        )];
        if name == "dense" {
            rivals.push(peer("mdptoolbox", "mpi_dense", params, None));
        }
        let name = format!("games/modified_policy_iteration/{name}");
        session.hold(alone(name, Unit::Microseconds, 1.0, Some(goal), run, rivals))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_those_of_the_scripts() {
        // The first numbers of seed 1, from the generator's definition in Python.
        let game = &integers::<f64>(2).unwrap()[0];
        assert_eq!(game.table(0), [-81.0, -20.0, -18.0, 66.0]);
        assert_eq!(sparse().unwrap().outcomes(0, 0).map(|o| o.prob).sum::<f64>().round(), 1.0);
        assert_eq!(dense().unwrap().n_states(), STATES);
    }
}
