//! Matrix games: `climbing`, `penalty` and `matrix` (any payoff table). Everybody moves at once, 25 times.
//!
//! # Rules
//! Each step all players choose an action and are paid by the table; nothing else ever changes.
//! * `climbing`: 3 x 3, common reward; the best cell (0, 0) = 11 is surrounded by -30, the safe equilibrium
//!   (1, 1) pays 7.
//! * `penalty`: 3 x 3, common reward; the best cells (0, 2) and (2, 0) pay 10, (1, 1) pays 2, and (0, 0) and
//!   (2, 2) cost `k`.
//! * `matrix`: a table for two or more players, common or one payoff a player.
//!
//! # Parameters
//! `max_steps` (25) everywhere; `penalty`: `k` (100); `matrix`: `table` (default: the prisoner's dilemma), or
//! `file`, the path of a JSON file with the same content:
//! `{"payoffs": [[11, -30, 0], [-30, 7, 0], [0, 6, 5]]}` for a common reward, nested once a player, or
//! `{"payoffs": [[[-1, -1], [-3, 0]], [[0, -3], [-2, -2]]], "per_player": true}` with one payoff a player
//! innermost.
//!
//! # Observation (1 an agent)
//! `constant`: always 0. There is no global state.
//!
//! # Ends
//! Truncated after 25 steps; no process ends.
//!
//! # Returns
//! Summed over both players, so a common reward counts twice. `climbing`: random -172, best 550 (two times
//! 275), the safe equilibrium 350. `penalty` with k = 100: random -989, best 500, safe 100. `matrix`: random -75, mutual
//! defection (the equilibrium) -100, mutual cooperation -50.
//!
//! # Origin
//! Claus and Boutilier 1998, "The dynamics of reinforcement learning in cooperative multiagent systems".

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, BatchEnv, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind,
    Stream,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Vectorized;
use crate::registry::{EnvEntry, OptionInfo, parse};
use crate::rules::check_actions;

/// Options of `climbing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClimbingOptions {
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for ClimbingOptions {
    fn default() -> Self {
        Self { max_steps: 25 }
    }
}

/// Options of `penalty`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PenaltyOptions {
    /// What the two bad corners cost, at least 0.
    pub k: f64,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for PenaltyOptions {
    fn default() -> Self {
        Self { k: 100.0, max_steps: 25 }
    }
}

/// Options of `matrix`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatrixOptions {
    /// The payoff table, see [`crate::matrix`].
    pub table: Value,
    /// Path of a file that holds the table instead; empty for none.
    pub file: String,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Default for MatrixOptions {
    /// The prisoner's dilemma: cooperate 0, defect 1.
    fn default() -> Self {
        let payoffs = serde_json::json!([[[-1, -1], [-3, 0]], [[0, -3], [-2, -2]]]);
        let table = serde_json::json!({"payoffs": payoffs, "per_player": true});
        Self { table, file: String::new(), max_steps: 25 }
    }
}

const MAX_STEPS: OptionInfo =
    OptionInfo { name: "max_steps", default: "25", explain: "steps after which an episode is truncated" };

/// `climbing` in the list of environments.
pub const CLIMBING: EnvEntry = EnvEntry {
    name: "climbing",
    summary: "3 x 3 common-reward game whose best cell is surrounded by punishment, 25 steps",
    origin: "Claus and Boutilier 1998",
    options: &[MAX_STEPS],
    random_return: -172.22,
    best_known: Some(550.0),
    batch: |options, n| batch(climbing(options)?, n),
    single: |options| Ok(Box::new(climbing(options)?)),
};

/// `penalty` in the list of environments.
pub const PENALTY: EnvEntry = EnvEntry {
    name: "penalty",
    summary: "3 x 3 common-reward game with two best cells and a penalty k for mixing them up, 25 steps",
    origin: "Claus and Boutilier 1998",
    options: &[
        OptionInfo { name: "k", default: "100.0", explain: "what the two bad corners cost" },
        MAX_STEPS,
    ],
    random_return: -988.89,
    best_known: Some(500.0),
    batch: |options, n| batch(penalty(options)?, n),
    single: |options| Ok(Box::new(penalty(options)?)),
};

/// `matrix` in the list of environments.
pub const MATRIX: EnvEntry = EnvEntry {
    name: "matrix",
    summary: "any payoff table for two or more players (default: prisoner's dilemma), 25 steps",
    origin: "normal-form games",
    options: &[
        OptionInfo {
            name: "table",
            default: r#"{"payoffs":[[[-1,-1],[-3,0]],[[0,-3],[-2,-2]]],"per_player":true}"#,
            explain: "payoffs nested once a player; with per_player one payoff a player innermost",
        },
        OptionInfo {
            name: "file",
            default: "\"\"",
            explain: "path of a JSON file that holds the table instead",
        },
        MAX_STEPS,
    ],
    random_return: -75.0,
    best_known: Some(-50.0),
    batch: |options, n| batch(matrix(options)?, n),
    single: |options| Ok(Box::new(matrix(options)?)),
};

fn batch(game: MatrixGame, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    Ok(Box::new(Vectorized::new(n_envs, || Ok(game.clone()))?))
}

fn climbing(options: &Value) -> Result<MatrixGame> {
    let options: ClimbingOptions = parse("climbing", options)?;
    let table = [11.0, -30.0, 0.0, -30.0, 7.0, 0.0, 0.0, 6.0, 5.0];
    MatrixGame::new("climbing", Table::common(&[3, 3], &table), options.max_steps)
}

fn penalty(options: &Value) -> Result<MatrixGame> {
    let PenaltyOptions { k, max_steps } = parse("penalty", options)?;
    if !(0.0..=1e6).contains(&k) {
        return Err(Error::invalid(format!("penalty: k is {k}; use 0 to 1e6 (it is subtracted)")));
    }
    let k = -k as f32;
    let table = [k, 0.0, 10.0, 0.0, 2.0, 0.0, 10.0, 0.0, k];
    MatrixGame::new("penalty", Table::common(&[3, 3], &table), max_steps)
}

fn matrix(options: &Value) -> Result<MatrixGame> {
    let options: MatrixOptions = parse("matrix", options)?;
    let table = read_table("matrix", &options.table, &options.file)?;
    MatrixGame::new("matrix", table, options.max_steps)
}

/// The table of the file, if there is one, else the one given.
///
/// # Errors
/// A file that cannot be read, a table that is none.
pub(crate) fn read_table(game: &str, table: &Value, file: &str) -> Result<Table> {
    if file.is_empty() {
        return Table::parse(table).map_err(|e| Error::invalid(format!("{game}: table: {e}")));
    }
    let name = |e: &dyn std::fmt::Display| Error::invalid(format!("{game}: file {file:?}: {e}"));
    let text = std::fs::read_to_string(file).map_err(|e| name(&e))?;
    let value: Value = serde_json::from_str(&text).map_err(|e| name(&e))?;
    Table::parse(&value).map_err(|e| name(&e))
}

/// Payoffs of every joint action, the last player's action fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Number of actions of each player.
    pub n_actions: Vec<usize>,
    /// One payoff a joint action, or one a player and joint action.
    pub payoffs: Vec<f32>,
    /// Whether each player has its own payoff.
    pub per_player: bool,
}

impl Table {
    fn common(n_actions: &[usize], payoffs: &[f32]) -> Self {
        Self { n_actions: n_actions.to_vec(), payoffs: payoffs.to_vec(), per_player: false }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// A description of the first fault.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("must be an object with `payoffs`")?;
        if let Some(key) = object.keys().find(|k| !["payoffs", "per_player"].contains(&k.as_str())) {
            return Err(format!("unknown key `{key}`; use `payoffs` and `per_player`"));
        }
        let payoffs = object.get("payoffs").ok_or("`payoffs` is missing")?;
        let per_player = match object.get("per_player") {
            None => false,
            Some(flag) => flag.as_bool().ok_or("`per_player` must be true or false")?,
        };
        let mut shape = Vec::new();
        let mut level = payoffs;
        while let Value::Array(items) = level {
            shape.push(items.len());
            level = items.first().ok_or("`payoffs` has an empty list")?;
            if shape.len() > 9 {
                return Err("`payoffs` is nested more than 9 deep".into());
            }
        }
        let mut flat = Vec::new();
        flatten(payoffs, &shape, &mut flat)?;
        let n_players = if per_player { shape.pop().unwrap_or(0) } else { shape.len() };
        if n_players != shape.len() || n_players < 2 {
            let depth = shape.len();
            return Err(format!(
                "payoffs nest {depth} actions for {n_players} players; both must agree, 2 or more"
            ));
        }
        Ok(Self { n_actions: shape, payoffs: flat, per_player })
    }

    /// Payoffs of a joint action: one, or one a player.
    fn cell(&self, actions: &[u32]) -> &[f32] {
        let joint = self.n_actions.iter().zip(actions).fold(0, |at, (n, a)| at * n + *a as usize);
        let width = if self.per_player { self.n_actions.len() } else { 1 };
        &self.payoffs[joint * width..(joint + 1) * width]
    }
}

fn flatten(value: &Value, shape: &[usize], flat: &mut Vec<f32>) -> Result<(), String> {
    match (value, shape) {
        (Value::Number(number), []) => {
            let payoff = number.as_f64().unwrap_or(f64::NAN) as f32;
            if !payoff.is_finite() {
                return Err(format!("payoff {number} is not a finite number"));
            }
            flat.push(payoff);
            Ok(())
        }
        (Value::Array(items), [n, rest @ ..]) if items.len() == *n => {
            items.iter().try_for_each(|item| flatten(item, rest, flat))
        }
        _ => Err("`payoffs` must be a full table: lists of equal length down to numbers".into()),
    }
}

/// A repeated matrix game.
#[derive(Debug, Clone)]
pub struct MatrixGame {
    spec: EnvSpec,
    table: Table,
    elapsed: u32,
    last: Vec<u32>,
}

impl MatrixGame {
    /// A game of `max_steps` steps.
    ///
    /// # Errors
    /// No steps.
    pub fn new(name: &str, table: Table, max_steps: u32) -> Result<Self> {
        if max_steps == 0 {
            return Err(Error::invalid(format!("{name}: max_steps is 0; use at least 1")));
        }
        let n_players = table.n_actions.len();
        let group = |name: String, n_agents, n| GroupSpec {
            name,
            n_agents,
            obs: vec![ObsField::new("constant", 1, 0.0, 0.0)],
            action: ActionSpace::Discrete { n },
            masked: false,
        };
        let equal = table.n_actions.windows(2).all(|w| w[0] == w[1]);
        let groups = if equal {
            vec![group("player".into(), n_players, table.n_actions[0])]
        } else {
            let each = table.n_actions.iter().enumerate();
            each.map(|(i, n)| group(format!("player_{i}"), 1, *n)).collect()
        };
        let spec = EnvSpec {
            name: name.into(),
            version: 1,
            groups,
            state_width: 0,
            episode_limit: Some(max_steps),
            reward: if table.per_player { RewardKind::PerAgent } else { RewardKind::Common },
        };
        Ok(Self { spec, table, elapsed: 0, last: vec![0; n_players] })
    }

    /// Steps since the start of the episode.
    pub fn elapsed(&self) -> u32 {
        self.elapsed
    }

    /// The last action of each player.
    pub fn last(&self) -> &[u32] {
        &self.last
    }
}

impl MultiAgentEnv for MatrixGame {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {
        self.elapsed = 0;
        self.last.fill(0);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        match self.table.cell(actions.discrete) {
            [common] => reward.fill(*common),
            own => reward.copy_from_slice(own),
        }
        terminated.fill(false);
        self.last.copy_from_slice(actions.discrete);
        self.elapsed += 1;
        Ok(self.spec.episode_limit.is_some_and(|limit| self.elapsed >= limit))
    }

    fn observe(&self, _agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
    }

    fn scene(&self) -> Scene {
        draw(self)
    }

    fn save(&self, out: &mut Writer) {
        out.u32(self.elapsed);
        out.u32s(&self.last);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.elapsed = from.u32()?;
        from.u32s(&mut self.last)?;
        let fits = self.last.iter().zip(&self.table.n_actions).all(|(a, n)| (*a as usize) < *n);
        if fits { Ok(()) } else { Err(from.error("an action is outside the table")) }
    }
}

/// The table of the first two players' actions, the others at their last ones; the chosen cell is lit.
fn draw(game: &MatrixGame) -> Scene {
    let (rows, columns) = (game.table.n_actions[0], game.table.n_actions[1]);
    let (lit, plain, ink) = (Color(255, 214, 102), Color(236, 240, 244), Color(20, 20, 20));
    let mut shapes = Vec::new();
    let mut joint = game.last.clone();
    let text_of =
        |joint: &[u32]| game.table.cell(joint).iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let mut longest = 4;
    for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
        (joint[0], joint[1]) = (row as u32, column as u32);
        longest = longest.max(text_of(&joint).len());
    }
    // A letter is six sevenths as wide as a capital is high.
    let size = (0.88 / (longest as f32 * 6.0 / 7.0)).min(0.18);
    for row in 0..rows {
        for column in 0..columns {
            let chosen = game.elapsed > 0 && [row, column] == [game.last[0] as usize, game.last[1] as usize];
            let (x, y) = (column as f32, (rows - 1 - row) as f32);
            let color = if chosen { lit } else { plain };
            shapes.push(Shape::Rect { x: x + 0.03, y: y + 0.03, width: 0.94, height: 0.94, color });
            (joint[0], joint[1]) = (row as u32, column as u32);
            let text = text_of(&joint);
            let x = x + 0.5 - text.len() as f32 * size * 3.0 / 7.0;
            shapes.push(Shape::Text { x, y: y + 0.5 - 0.5 * size, size, color: ink, text });
        }
    }
    let title = format!("{}, step {}", game.spec.name, game.elapsed);
    let small = 0.035 * columns as f32;
    let text = "rows: player 0, columns: player 1".into();
    shapes.push(Shape::Text { x: 0.03, y: rows as f32 + 0.08, size: small, color: ink, text });
    Scene {
        bounds: (-0.1, columns as f32 + 0.1, -0.1, rows as f32 + 0.3),
        background: Color(255, 255, 255),
        shapes,
        caption: title,
    }
    .with_legend(&[(lit, "played last"), (plain, "what it pays")])
}
