//! Who learns to coordinate: the climbing and penalty games, and the table of learners against games.
//!
//! Two agents choose one of three actions each and both are paid the same, once an episode (Claus and Boutilier 1998; the
//! stochastic versions: Kapetanakis and Kudenko 2002). The best cell of climbing is surrounded by -30; penalty has two best
//! cells and `k` where the agents miss each other. Where payoffs are random, optimists take the best they saw for what they
//! will get: distributed Q-learning must fail there.
//!
//! Protocol of the table: 7,500 episodes, Boltzmann exploration with temperature `16 * 0.998^episode`, at least 0.05, learning
//! rate 0.1, hysteretic 0.01, leniency 1; a run counts if the greedy joint action at the end is best in the mean.

use rayon::prelude::*;

use coact_core::Purpose;
use coact_core::rng::derive_seed;

use super::{Explore, JointModel, TeamLearner, TeamRule, train};
use crate::Result;
use crate::model::ModelBuilder;

/// A game: for each of the nine cells, row by row, the payoffs that are equally likely.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordination {
    /// Name.
    pub name: String,
    /// Equally likely payoffs of each cell.
    pub cells: [Vec<f64>; 9],
}

/// Learners of the table, in its order.
pub const LEARNERS: [(&str, TeamRule); 6] = [
    ("independent", TeamRule::Independent),
    ("joint-action", TeamRule::JointAction),
    ("team", TeamRule::Team),
    ("distributed", TeamRule::Distributed(0.0)),
    ("hysteretic", TeamRule::Hysteretic(0.01)),
    ("lenient", TeamRule::Lenient(1.0)),
];

/// The games of the table, in its order.
pub fn games() -> Vec<Coordination> {
    let sure =
        |name: &str, cells: [f64; 9]| Coordination { name: name.into(), cells: cells.map(|x| vec![x]) };
    let mut partial = sure("climbing, partly random", [11.0, -30.0, 0.0, -30.0, 7.0, 6.0, 0.0, 0.0, 5.0]);
    partial.cells[4] = vec![14.0, 0.0];
    let fully = [
        [10.0, 12.0],
        [5.0, -65.0],
        [8.0, -8.0],
        [5.0, -65.0],
        [14.0, 0.0],
        [12.0, 0.0],
        [5.0, -5.0],
        [5.0, -5.0],
        [7.0, 3.0],
    ];
    let penalty = |k: f64| sure(&format!("penalty {k}"), [10.0, 0.0, k, 0.0, 2.0, 0.0, k, 0.0, 10.0]);
    vec![
        sure("climbing", [11.0, -30.0, 0.0, -30.0, 7.0, 6.0, 0.0, 0.0, 5.0]),
        partial,
        Coordination { name: "climbing, fully random".into(), cells: fully.map(|c| c.to_vec()) },
        penalty(0.0),
        penalty(-10.0),
        penalty(-100.0),
    ]
}

impl Coordination {
    /// Mean payoff of a cell.
    pub fn mean(&self, joint: usize) -> f64 {
        self.cells[joint].iter().sum::<f64>() / self.cells[joint].len() as f64
    }

    /// Whether no cell pays more in the mean.
    pub fn is_best(&self, joint: usize) -> bool {
        (0..9).all(|other| self.mean(other) <= self.mean(joint))
    }

    /// The game as a joint model of one decision.
    ///
    /// # Errors
    /// None in practice.
    pub fn model(&self) -> Result<JointModel> {
        // One end for each payoff of a cell, so that payoffs stay random instead of becoming their mean.
        let n_ends = self.cells.iter().map(Vec::len).max().unwrap_or(1);
        let mut b = ModelBuilder::new(1 + n_ends, 9, 1.0);
        (1..=n_ends).for_each(|end| {
            b.terminal(end);
        });
        for (joint, payoffs) in self.cells.iter().enumerate() {
            for (i, &payoff) in payoffs.iter().enumerate() {
                b.transition(0, joint, 1 + i, 1.0 / payoffs.len() as f64, payoff);
            }
        }
        JointModel::new(b.build()?, vec![3, 3])
    }
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// Name of the game.
    pub game: String,
    /// Share of runs of each of [`LEARNERS`] that end in a best cell.
    pub optimal: [f64; 6],
}

/// The table from so many runs an entry. The same at any number of threads.
///
/// # Errors
/// None in practice.
pub fn table(runs: u32, episodes: u32, seed: u64) -> Result<Vec<TableRow>> {
    let games = games();
    let models: Vec<JointModel> = games.iter().map(Coordination::model).collect::<Result<_>>()?;
    let explore = Explore::Boltzmann { start: 16.0, decay: 0.998, floor: 0.05 };
    let one = |game: usize, learner: usize, run: u32| -> Result<bool> {
        let rule = LEARNERS[learner].1;
        let index = ((game * LEARNERS.len() + learner) as u32) << 20 | (run & 0xF_FFFF);
        let seed = derive_seed(seed, Purpose::Eval, index);
        let mut team = TeamLearner::new(&models[game], rule, explore, 0.1, seed)?;
        train(&models[game], &mut team, episodes, 1, seed);
        Ok(games[game].is_best(team.greedy_joint(0)))
    };
    let entry = |game: usize, learner: usize| -> Result<f64> {
        let hits: Vec<bool> =
            (0..runs).into_par_iter().map(|run| one(game, learner, run)).collect::<Result<_>>()?;
        Ok(hits.iter().filter(|&&hit| hit).count() as f64 / f64::from(runs.max(1)))
    };
    (0..games.len())
        .map(|game| {
            let mut optimal = [0.0; 6];
            for (learner, share) in optimal.iter_mut().enumerate() {
                *share = entry(game, learner)?;
            }
            Ok(TableRow { game: games[game].name.clone(), optimal })
        })
        .collect()
}
