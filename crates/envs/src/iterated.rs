//! Iterated matrix games: players see what both did last, so that they can answer it.
//!
//! # Rules
//! The same game in normal form, again and again: `iterated_prisoners_dilemma`, `iterated_stag_hunt`,
//! `iterated_chicken`, or `iterated_matrix` with any payoff table or file (see [`crate::matrix`]). In the first two action
//! 0 cooperates (stag), 1 defects (hare); in chicken 0 swerves, 1 goes straight.
//!
//! # Parameters
//! `max_steps` (100); `iterated_matrix` also `table` and `file`.
//!
//! # Observation
//! `first` (1 before the first move), then the last action of each player as a one-hot, its own first. State: the same
//! without the turn.
//!
//! # Rewards and ends
//! What the table pays. Truncated after 100 steps.
//!
//! # Returns
//! Summed over both players: see the entries; the best is the largest sum that the table pays.
//!
//! # Origin
//! Axelrod 1984; normal-form games of the textbooks.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionSpace, Actions, BatchEnv, EnvSpec, GroupSpec, MultiAgentEnv, ObsField, Result, Stream,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Vectorized;
use crate::matrix::{MatrixGame, Table, read_table};
use crate::registry::{EnvEntry, OptionInfo, parse};

/// Options of the named games.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IteratedOptions {
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for IteratedOptions {
    fn default() -> Self {
        Self { max_steps: 100 }
    }
}

/// Options of `iterated_matrix`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IteratedMatrixOptions {
    /// The payoff table, see [`crate::matrix`].
    pub table: Value,
    /// Path of a file that holds the table instead; empty for none.
    pub file: String,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for IteratedMatrixOptions {
    /// Battle of the sexes.
    fn default() -> Self {
        let table = json!({"payoffs": [[[2, 1], [0, 0]], [[0, 0], [1, 2]]], "per_player": true});
        Self { table, file: String::new(), max_steps: 100 }
    }
}

const MAX_STEPS: OptionInfo =
    OptionInfo { name: "max_steps", default: "100", explain: "steps after which an episode is truncated" };

/// An entry for a named game.
macro_rules! entry {
    ($name:literal, $summary:literal, $payoffs:tt, $random:literal, $best:literal) => {
        EnvEntry {
            name: $name,
            summary: $summary,
            origin: "normal-form games",
            options: &[MAX_STEPS],
            random_return: $random,
            best_known: Some($best),
            batch: |options, n| batch(named($name, &json!($payoffs), options)?, n),
            single: |options| Ok(Box::new(named($name, &json!($payoffs), options)?)),
        }
    };
}

/// The iterated games in the list of environments.
pub const ENTRIES: [EnvEntry; 4] = [
    entry!(
        "iterated_prisoners_dilemma",
        "prisoner's dilemma (-1, -3, 0, -2) 100 times, seeing the last moves",
        [[[-1, -1], [-3, 0]], [[0, -3], [-2, -2]]],
        -300.0,
        -200.0
    ),
    entry!(
        "iterated_stag_hunt",
        "stag hunt (4, 0, 3, 3) 100 times, seeing the last moves",
        [[[4, 4], [0, 3]], [[3, 0], [3, 3]]],
        500.0,
        800.0
    ),
    entry!(
        "iterated_chicken",
        "chicken (0, -1, 1, -10) 100 times, seeing the last moves",
        [[[0, 0], [-1, 1]], [[1, -1], [-10, -10]]],
        -500.0,
        0.0
    ),
    EnvEntry {
        name: "iterated_matrix",
        summary: "any payoff table (default: battle of the sexes) 100 times, seeing the last moves",
        origin: "normal-form games",
        options: &[
            OptionInfo {
                name: "table",
                default: r#"{"payoffs":[[[2,1],[0,0]],[[0,0],[1,2]]],"per_player":true}"#,
                explain: "payoffs nested once a player; with per_player one payoff a player innermost",
            },
            OptionInfo {
                name: "file",
                default: "\"\"",
                explain: "path of a JSON file that holds the table instead",
            },
            MAX_STEPS,
        ],
        random_return: 150.0,
        best_known: Some(300.0),
        batch: |options, n| batch(given(options)?, n),
        single: |options| Ok(Box::new(given(options)?)),
    },
];

fn batch(game: Iterated, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    Ok(Box::new(Vectorized::new(n_envs, || Ok(game.clone()))?))
}

fn named(name: &str, payoffs: &Value, options: &Value) -> Result<Iterated> {
    let options: IteratedOptions = parse(name, options)?;
    let table = json!({"payoffs": payoffs, "per_player": true});
    Iterated::new(name, read_table(name, &table, "")?, options.max_steps)
}

fn given(options: &Value) -> Result<Iterated> {
    let name = "iterated_matrix";
    let options: IteratedMatrixOptions = parse(name, options)?;
    Iterated::new(name, read_table(name, &options.table, &options.file)?, options.max_steps)
}

/// A matrix game whose players see the last moves.
#[derive(Debug, Clone)]
pub struct Iterated {
    spec: EnvSpec,
    game: MatrixGame,
    n_actions: Vec<usize>,
}

impl Iterated {
    /// A game of `max_steps` steps.
    ///
    /// # Errors
    /// No steps.
    pub fn new(name: &str, table: Table, max_steps: u32) -> Result<Self> {
        let n_actions = table.n_actions.clone();
        let game = MatrixGame::new(name, table, max_steps)?;
        let width: usize = n_actions.iter().sum();
        let equal = n_actions.windows(2).all(|w| w[0] == w[1]);
        let group = |name: String, n_agents: usize, n: usize| GroupSpec {
            name,
            n_agents,
            obs: vec![
                ObsField::new("first", 1, 0.0, 1.0),
                ObsField::new("own_last_action", n, 0.0, 1.0),
                ObsField::new("other_last_actions", width - n, 0.0, 1.0),
            ],
            action: ActionSpace::Discrete { n },
            masked: false,
        };
        let groups = if equal {
            vec![group("player".into(), n_actions.len(), n_actions[0])]
        } else {
            let each = n_actions.iter().enumerate();
            each.map(|(i, n)| group(format!("player_{i}"), 1, *n)).collect()
        };
        let spec = EnvSpec { groups, state_width: 1 + width, ..game.spec().clone() };
        Ok(Self { spec, game, n_actions })
    }

    /// Writes `first`, then the last actions of the players in the order given.
    fn write(&self, players: impl Iterator<Item = usize>, out: &mut [f32]) {
        out.fill(0.0);
        if self.game.elapsed() == 0 {
            out[0] = 1.0;
            return;
        }
        let mut at = 1;
        for player in players {
            out[at + self.game.last()[player] as usize] = 1.0;
            at += self.n_actions[player];
        }
    }
}

impl MultiAgentEnv for Iterated {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        self.game.reset(rng);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        self.game.step(actions, rng, reward, terminated)
    }

    fn observe(&self, agent: usize, obs: &mut [f32]) {
        let others = (0..self.n_actions.len()).filter(|p| *p != agent);
        self.write(std::iter::once(agent).chain(others), obs);
    }

    fn state(&self, state: &mut [f32]) {
        self.write(0..self.n_actions.len(), state);
    }

    fn scene(&self) -> Scene {
        self.game.scene()
    }

    fn save(&self, out: &mut Writer) {
        self.game.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.game.load(from)
    }
}
