//! Correlated and coarse correlated equilibria by linear programs over joint distributions (Aumann 1974).

use crate::error::{Error, Result};
use crate::linear::{Program, Relation};
use crate::normal_form::NormalForm;
use crate::scalar::Scalar;

/// When a player may deviate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concept {
    /// After hearing the recommendation.
    Correlated,
    /// Only before hearing it.
    CoarseCorrelated,
}

/// Which equilibrium of the many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Largest sum of payoffs.
    Welfare,
    /// Largest payoff of the player who gets least.
    Egalitarian,
    /// Largest payoff of one player.
    Player(usize),
}

/// A joint distribution with the prices that prove it best.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlated<S> {
    /// Probability of each profile, in the order of the tables.
    pub joint: Vec<S>,
    /// What was maximized.
    pub value: S,
    /// Expected payoff of each player.
    pub payoffs: Vec<S>,
    /// Prices of the constraints, whose sum over the bounds is the value.
    pub dual: Vec<S>,
}

/// Entries of the program's table above which it is refused.
const MAX_ENTRIES: usize = 50_000_000;

/// The best equilibrium of this concept.
///
/// # Errors
/// If the program is too large, no such player exists, or floats lose their accuracy.
pub fn correlated<S: Scalar>(
    game: &NormalForm<S>,
    concept: Concept,
    selection: Selection,
) -> Result<Correlated<S>> {
    let (n_players, n_profiles) = (game.n_players(), game.n_profiles());
    let per_player = |&n: &usize| if concept == Concept::Correlated { n * (n - 1) } else { n };
    let n_rows = game.shape().iter().map(per_player).sum::<usize>() + n_players + 1;
    if n_rows.saturating_mul(n_profiles) > MAX_ENTRIES {
        return Err(Error::TooLarge {
            what: "the program of correlated equilibria".into(),
            estimate: n_rows as f64 * n_profiles as f64,
            unit: "entries",
            limit: MAX_ENTRIES as f64,
            remedy: "take a smaller game".into(),
        });
    }
    let mut objective = match selection {
        Selection::Welfare => (0..n_profiles)
            .map(|k| (0..n_players).fold(S::zero(), |sum, i| sum + &game.table(i)[k]))
            .collect(),
        Selection::Player(player) if player < n_players => game.table(player).to_vec(),
        Selection::Player(player) => {
            return Err(Error::invalid(format!("there is no player {player}; players count from 0")));
        }
        Selection::Egalitarian => vec![S::zero(); n_profiles],
    };
    let egalitarian = selection == Selection::Egalitarian;
    if egalitarian {
        objective.push(S::one());
    }
    let width = objective.len();
    let mut program = Program::new(objective);
    if egalitarian {
        program.free[n_profiles] = true;
        for player in 0..n_players {
            let mut line: Vec<S> = game.table(player).iter().map(|u| -u.clone()).collect();
            line.push(S::one());
            program.add(line, Relation::AtMost, S::zero());
        }
    }
    add_incentives(game, concept, width, &mut program);
    let mut sum = vec![S::one(); n_profiles];
    sum.resize(width, S::zero());
    program.add(sum, Relation::Equal, S::one());
    let optimum = program.solve()?.optimal("the program of correlated equilibria")?;
    let mut joint = optimum.primal;
    joint.truncate(n_profiles);
    let payoff = |player: usize| {
        let terms = game.table(player).iter().zip(&joint).filter(|(_, p)| !p.is_zero());
        terms.fold(S::zero(), |sum, (u, p)| sum + &(u.clone() * p))
    };
    let payoffs = (0..n_players).map(payoff).collect();
    Ok(Correlated { value: optimum.value, payoffs, joint, dual: optimum.dual })
}

/// No deviation gains: one row a player, recommended strategy (or none) and deviation.
fn add_incentives<S: Scalar>(game: &NormalForm<S>, concept: Concept, width: usize, program: &mut Program<S>) {
    for player in 0..game.n_players() {
        let (table, stride, n) = (game.table(player), game.stride(player), game.shape()[player]);
        let strategy = |k: usize| k / stride % n;
        let gain = |k: usize, to: usize| table[k + to * stride - strategy(k) * stride].clone() - &table[k];
        for deviation in 0..n {
            let told: Vec<Option<usize>> = match concept {
                Concept::Correlated => (0..n).filter(|&s| s != deviation).map(Some).collect(),
                Concept::CoarseCorrelated => vec![None],
            };
            for told in told {
                let mut line = vec![S::zero(); width];
                for (k, entry) in line.iter_mut().enumerate().take(table.len()) {
                    if told.is_none_or(|s| s == strategy(k)) {
                        *entry = gain(k, deviation);
                    }
                }
                program.add(line, Relation::AtMost, S::zero());
            }
        }
    }
}
