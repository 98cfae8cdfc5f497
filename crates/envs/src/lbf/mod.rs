//! `lbf`: Level-Based Foraging. Players walk on a grid and load food together; exact to lbforaging 2.0.0.
//!
//! # Rules
//! Each step every player does one of 0 nothing, 1 north (row - 1), 2 south, 3 west, 4 east, 5 load. A move off the
//! field or onto food, and a load beside no food, count as nothing. A cell that more than one player wants (those
//! that stay want their own) is entered by none of them; swaps and following succeed. Food is loaded if the levels of
//! the players that load it from its four sides add up to its level or more; it is then gone. As in the original, a
//! player that follows another one whose own move fails ends up in the same cell.
//!
//! # Names and parameters
//! `lbf/Foraging[-grid][-Ns]-RxC-Pp-Ff[-coop][-ind][-pen]-v3`, for example `lbf/Foraging-2s-8x8-2p-2f-coop-v3`: R x C
//! cells, P players, F pieces of food, sight N (without it the whole field), food that needs all players (`coop`),
//! food of level 1 (`ind`), a penalty of 0.1 for a load that fails (`pen`). Options beyond the name: see
//! [`ForagingOptions`].
//!
//! # Observation (`3 F + 3 P`, or `2 P` without levels)
//! Visible food as row, column, level in row-major order, then itself, then the other visible players in their order;
//! what is missing is -1, -1, 0. Rows and columns count from the edge of the window that the sight opens, which is the
//! edge of the field where that is nearer. As in the original, players beyond the sight to the south and east are seen
//! from near the north and west edge. With `grid`: three layers of `(2 N + 1)^2` cells around the player, levels of
//! players, levels of food, and 1 where a cell can be entered.
//!
//! # State
//! Row, column and level of every player and of every piece of food (level 0 once loaded), and the sum of all food
//! levels at the start.
//!
//! # Rewards and ends
//! A load that succeeds pays each of its players `level * food / (sum of their levels * all food)`, so that an episode
//! pays 1 in total (without normalization `level * food`); one that fails costs them `penalty`. Terminated when no food
//! is left, truncated after 50 steps.
//!
//! # Returns
//! See [`ENTRIES`]; the best is 1, paid in full by a team that loads everything in time.
//!
//! # Origin
//! Albrecht and Ramamoorthy 2013; Papoudakis et al. 2021; lbforaging 2.0.0 `ForagingEnv`.

mod masked;
mod name;
mod rules;

use coact_core::{BatchEnv, Error, MultiAgentEnv, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::masked::MaskedForaging;
pub use self::name::Task;
pub use self::rules::{Config, Foraging, GridForaging};
use crate::Vectorized;
use crate::registry::{EnvEntry, Family, OptionInfo, parse};
use crate::rules::{self as one_copy, OneCopy};

/// Levels of players or of pieces of food: one for all, or one each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Levels {
    /// The same bound for all.
    All(u32),
    /// A bound for each, handed out in random order.
    Each(Vec<u32>),
}

/// What a name does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForagingOptions {
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
    /// Whether an episode pays 1 in total.
    pub normalize_reward: bool,
    /// Whether players see levels of players.
    pub observe_agent_levels: bool,
    /// What a failed load costs; none for what the name says.
    pub penalty: Option<f64>,
    /// Lowest player level.
    pub min_player_level: Levels,
    /// Highest player level.
    pub max_player_level: Levels,
    /// Lowest food level.
    pub min_food_level: Levels,
    /// Highest food level; none for the sum of the three lowest players' levels, or for what the name says.
    pub max_food_level: Option<Levels>,
    /// Whether actions that count as nothing are illegal.
    pub mask_actions: bool,
}

impl Default for ForagingOptions {
    /// The values of `Foraging-...-v3`.
    fn default() -> Self {
        Self {
            max_steps: 50,
            normalize_reward: true,
            observe_agent_levels: true,
            penalty: None,
            min_player_level: Levels::All(1),
            max_player_level: Levels::All(2),
            min_food_level: Levels::All(1),
            max_food_level: None,
            mask_actions: false,
        }
    }
}

const OPTIONS: &[OptionInfo] = &[
    OptionInfo { name: "max_steps", default: "50", explain: "steps after which an episode is truncated" },
    OptionInfo { name: "normalize_reward", default: "true", explain: "an episode pays 1 in total" },
    OptionInfo { name: "observe_agent_levels", default: "true", explain: "players see levels of players" },
    OptionInfo { name: "penalty", default: "null", explain: "what a failed load costs; null: as named" },
    OptionInfo { name: "min_player_level", default: "1", explain: "lowest player level, or a list" },
    OptionInfo { name: "max_player_level", default: "2", explain: "highest player level, or a list" },
    OptionInfo { name: "min_food_level", default: "1", explain: "lowest food level, or a list" },
    OptionInfo {
        name: "max_food_level",
        default: "null",
        explain: "highest food level, or a list; null: as named, or the sum of the three lowest players",
    },
    OptionInfo {
        name: "mask_actions",
        default: "false",
        explain: "moves into walls or food and loads beside no food are illegal instead of nothing",
    },
];

const ORIGIN: &str = "lbforaging 2.0.0 ForagingEnv";

/// All tasks `lbf/Foraging-...`.
pub const FAMILY: Family = Family {
    prefixes: &["lbf/", "Foraging-"],
    pattern: "lbf/Foraging[-grid][-Ns]-RxC-Pp-Ff[-coop][-ind][-pen]-v3",
    summary: "players of different levels load food together",
    origin: ORIGIN,
    options: OPTIONS,
    batch,
    single,
};

/// An entry of the list of environments with its returns.
macro_rules! entry {
    ($name:literal, $summary:literal, $random:literal, $best:expr) => {
        EnvEntry {
            name: $name,
            summary: $summary,
            origin: ORIGIN,
            options: OPTIONS,
            random_return: $random,
            best_known: $best,
            batch: |options, n| batch($name, options, n),
            single: |options| single($name, options),
        }
    };
}

/// Tasks of the benchmark papers; best returns are those of MAA2C and MAPPO in Papoudakis et al. 2021.
pub const ENTRIES: [EnvEntry; 3] = [
    entry!(
        "lbf/Foraging-8x8-2p-2f-coop-v3",
        "two players load two pieces of food that need both",
        0.005,
        Some(1.0)
    ),
    entry!(
        "lbf/Foraging-2s-8x8-2p-2f-coop-v3",
        "two players that see two cells far load two pieces of food that need both",
        0.005,
        Some(1.0)
    ),
    entry!("lbf/Foraging-10x10-3p-3f-v3", "three players load three pieces of food", 0.096, Some(1.0)),
];

fn batch(name: &str, options: &Value, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    let (rules, masked) = build(name, options)?;
    let grid = rules.config().grid;
    Ok(match (masked, grid) {
        (false, false) => return one_copy::batch(rules, n_envs),
        (false, true) => Box::new(Vectorized::new(n_envs, || Ok(OneCopy::new(GridForaging(rules.clone()))))?),
        (true, false) => {
            Box::new(Vectorized::new(n_envs, || Ok(MaskedForaging::new(rules.clone(), rules.clone())))?)
        }
        (true, true) => {
            let make = || Ok(MaskedForaging::new(rules.clone(), GridForaging(rules.clone())));
            Box::new(Vectorized::new(n_envs, make)?)
        }
    })
}

fn single(name: &str, options: &Value) -> Result<Box<dyn MultiAgentEnv>> {
    let (rules, masked) = build(name, options)?;
    let grid = rules.config().grid;
    Ok(match (masked, grid) {
        (false, false) => Box::new(OneCopy::new(rules)),
        (false, true) => Box::new(OneCopy::new(GridForaging(rules))),
        (true, false) => Box::new(MaskedForaging::new(rules.clone(), rules)),
        (true, true) => Box::new(MaskedForaging::new(rules.clone(), GridForaging(rules))),
    })
}

/// The rules of a named task, and whether its actions are masked.
fn build(name: &str, options: &Value) -> Result<(Foraging, bool)> {
    let options: ForagingOptions = parse(name, options)?;
    let task = Task::parse(name)?;
    let masked = options.mask_actions;
    Ok((Foraging::new(task.configure(&options)?)?, masked))
}

/// Bounds of levels for `n`, one each.
fn spread(name: &str, option: &str, levels: &Levels, n: usize) -> Result<Vec<u32>> {
    let each = match levels {
        Levels::All(level) => vec![*level; n],
        Levels::Each(levels) => levels.clone(),
    };
    if each.len() != n {
        let given = each.len();
        return Err(Error::invalid(format!("{name}: {option} lists {given} levels; give one, or {n}")));
    }
    if let Some(level) = each.iter().find(|l| !(1..=1000).contains(*l)) {
        return Err(Error::invalid(format!("{name}: {option} is {level}; use 1 to 1000")));
    }
    Ok(each)
}
