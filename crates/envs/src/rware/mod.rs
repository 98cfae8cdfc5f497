//! `rware`: the multi-robot warehouse. Robots bring requested shelves to goals; exact to rware 2.0.0.
//!
//! # Rules
//! Each step every robot does one of 0 nothing, 1 drive forward, 2 turn left, 3 turn right, 4 pick up the shelf
//! underneath or put down the carried one (not on highways). Free robots drive under shelves, carriers do not enter a
//! cell with a shelf. Who may drive where robots get in each other's way: see the source of `moves`. A requested shelf
//! that is on a goal after the move is delivered; another one that is not requested takes its place in the queue.
//!
//! # Names and parameters
//! `rware/tiny-2ag-v2`: tiny, small, medium or large (1, 2, 2 and 3 rows of 3, 3, 5 and 5 columns of shelves), robots,
//! then `-easy` for twice as many requests as robots or `-hard` for half as many. Also the longer names of the
//! original, as in `rware/3s-2x5-8h-4ag-6req-twostage-v2` (sensor range, rows x columns, height, requests, reward), and
//! `rware/custom-2ag-v2` with the option `layout`. Options beyond the name: see [`WarehouseOptions`].
//!
//! # Observation (71 with default options)
//! `flattened`: x, y, carries a shelf, direction (up, down, left, right as a one-hot), is on a highway; then for each
//! cell that the sensors reach, row by row: a robot is there, its direction (up where there is none, as in the
//! original), its message, a shelf is there, it is requested. `dict`: the same with directions as one number 0 to 3.
//!
//! # State
//! x, y, direction (4), carries, has delivered of every robot; x, y of every requested shelf; 1 for each storage place
//! with a shelf.
//!
//! # Rewards and ends
//! `individual`: 1 to the robot that delivers. `global`: 1 to everybody. `two_stage`: 0.5 for the delivery and 0.5 when
//! that shelf is put down again. Truncated after 500 steps, or after `max_inactivity_steps` without a delivery.
//!
//! # Returns
//! See [`ENTRIES`].
//!
//! # Origin
//! Papoudakis et al. 2021; rware 2.0.0 `Warehouse`.

mod batch;
mod layout;
mod moves;
mod name;
mod one;
mod rules;
mod view;

use std::sync::Arc;

use coact_core::{
    ActionSpace, BatchEnv, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::batch::WarehouseBatch;
pub use self::layout::Layout;
pub use self::name::{Size, Task};
pub use self::one::{Situation, WarehouseEnv};
use crate::registry::{EnvEntry, Family, OptionInfo, parse};

/// Who is paid for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardScheme {
    /// The robot that delivers.
    Individual,
    /// Everybody.
    Global,
    /// The robot that delivers, half of it when it puts the shelf down again.
    TwoStage,
}

/// How directions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// As one-hots.
    Flattened,
    /// As one number.
    Dict,
}

/// What a name does not say, or not always.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarehouseOptions {
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
    /// Steps without a delivery after which an episode is truncated.
    pub max_inactivity_steps: Option<u32>,
    /// Who is paid; none for what the name says, or `individual`.
    pub reward: Option<RewardScheme>,
    /// Number of requested shelves; none for what the name says.
    pub request_queue_size: Option<usize>,
    /// Height of groups of shelves; none for what the name says, or 8.
    pub column_height: Option<usize>,
    /// Cells that sensors reach; none for what the name says, or 1.
    pub sensor_range: Option<usize>,
    /// Bits of the message that every robot sends with its action.
    pub msg_bits: u32,
    /// How directions are written.
    pub observation: Observation,
    /// Whether x and y are shares of the floor.
    pub normalised_coordinates: bool,
    /// A floor drawn with `x` (shelf), `.` (highway) and `g` (goal); empty for the named one.
    pub layout: String,
}

impl Default for WarehouseOptions {
    /// The values of `rware-...-v2`.
    fn default() -> Self {
        Self {
            max_steps: 500,
            max_inactivity_steps: None,
            reward: None,
            request_queue_size: None,
            column_height: None,
            sensor_range: None,
            msg_bits: 0,
            observation: Observation::Flattened,
            normalised_coordinates: false,
            layout: String::new(),
        }
    }
}

const fn option(name: &'static str, default: &'static str, explain: &'static str) -> OptionInfo {
    OptionInfo { name, default, explain }
}

const OPTIONS: &[OptionInfo] = &[
    option("max_steps", "500", "steps after which an episode is truncated"),
    option("max_inactivity_steps", "null", "steps without a delivery after which an episode is truncated"),
    option("reward", "null", "individual, global or two_stage; null: as named, or individual"),
    option("request_queue_size", "null", "number of requested shelves; null: as named"),
    option("column_height", "null", "height of groups of shelves; null: as named, or 8"),
    option("sensor_range", "null", "cells that sensors reach; null: as named, or 1"),
    option("msg_bits", "0", "bits of the message that every robot sends; action = move + 5 * message"),
    option("observation", "\"flattened\"", "flattened (directions as one-hots) or dict (as one number)"),
    option("normalised_coordinates", "false", "x and y as shares of the floor"),
    option(
        "layout",
        "\"\"",
        "a floor drawn with x (shelf), . (highway) and g (goal) instead of the named one",
    ),
];

const ORIGIN: &str = "rware 2.0.0 Warehouse";

/// All tasks `rware/...`.
pub const FAMILY: Family = Family {
    prefixes: &["rware/", "rware-"],
    pattern: "rware/[Ns-]tiny|small|medium|large|custom[-Hh]-Nag[-easy|-hard]-v2",
    summary: "robots bring requested shelves to goals",
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

/// Tasks of the benchmark papers; best returns are those of MAPPO in Papoudakis et al. 2021.
pub const ENTRIES: [EnvEntry; 3] = [
    entry!("rware/tiny-2ag-v2", "two robots bring requested shelves to goals", 0.02, Some(21.2)),
    entry!("rware/tiny-4ag-v2", "four robots bring requested shelves to goals", 0.13, Some(49.4)),
    entry!(
        "rware/small-4ag-v2",
        "four robots bring requested shelves to goals on a larger floor",
        0.04,
        Some(27.0)
    ),
];

fn batch(name: &str, options: &Value, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
    Ok(Box::new(WarehouseBatch::new(Warehouse::named(name, &parse(name, options)?)?, n_envs)?))
}

fn single(name: &str, options: &Value) -> Result<Box<dyn MultiAgentEnv>> {
    Ok(Box::new(WarehouseEnv::new(Arc::new(Warehouse::named(name, &parse(name, options)?)?))))
}

/// Everything about a task but its floor.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Config {
    pub name: String,
    pub n_agents: usize,
    pub n_requests: usize,
    pub sensor_range: usize,
    pub msg_bits: u32,
    pub max_steps: u32,
    pub max_inactivity_steps: Option<u32>,
    pub reward: RewardScheme,
    pub observation: Observation,
    pub normalised_coordinates: bool,
}

/// A warehouse, ready to be filled: what all copies share.
#[derive(Debug, Clone)]
pub struct Warehouse {
    spec: EnvSpec,
    config: Config,
    layout: Layout,
    /// From a padded cell to the one ahead, by direction.
    ahead: [i16; 4],
    view: view::View,
}

impl Warehouse {
    /// The named task.
    ///
    /// # Errors
    /// A name that is not understood, options that make no warehouse.
    pub fn named(name: &str, options: &WarehouseOptions) -> Result<Self> {
        let task = Task::parse(name)?;
        let sensor_range = options.sensor_range.or(task.sensor_range).unwrap_or(1);
        let pad = check_range(sensor_range)?;
        let height = options.column_height.or(task.column_height).unwrap_or(8);
        let layout = match (task.size, options.layout.is_empty()) {
            (Size::Groups(rows, columns), true) => Layout::groups(rows, columns, height, pad)?,
            (Size::Custom, true) => {
                return Err(Error::invalid(format!("{name}: draw the floor with the option `layout`")));
            }
            (_, false) => Layout::drawn(&options.layout, pad)?,
        };
        let config = Config {
            n_agents: task.n_agents,
            // One shelf must be left to be requested next; the original cannot start with more.
            n_requests: options.request_queue_size.unwrap_or(task.n_requests.min(layout.shelves.len() - 1)),
            sensor_range,
            msg_bits: options.msg_bits,
            max_steps: options.max_steps,
            max_inactivity_steps: options.max_inactivity_steps,
            reward: options.reward.or(task.reward).unwrap_or(RewardScheme::Individual),
            observation: options.observation,
            normalised_coordinates: options.normalised_coordinates,
            name: task.name,
        };
        Self::new(config, layout)
    }

    /// Checks the task; the layout must be padded by the sensor range, and at least by 1.
    ///
    /// # Errors
    /// Counts that make no warehouse.
    pub fn new(config: Config, layout: Layout) -> Result<Self> {
        let within = |what: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::invalid(format!("{}: {what} is {value}; use {least} to {most}", config.name)))
        };
        within("the number of robots", config.n_agents, 1, 250.min(layout.width * layout.height))?;
        within("request_queue_size", config.n_requests, 0, layout.shelves.len() - 1)?;
        within("msg_bits", config.msg_bits as usize, 0, 8)?;
        within("max_steps", config.max_steps as usize, 1, u32::MAX as usize)?;
        within(
            "max_inactivity_steps",
            config.max_inactivity_steps.unwrap_or(1) as usize,
            1,
            u32::MAX as usize,
        )?;
        within("the padding of the layout", layout.pad, check_range(config.sensor_range)?, 20)?;
        let stride = layout.stride() as i16;
        let view = view::View::new(&config, &layout);
        let spec = spec(&config, &layout);
        Ok(Self { spec, view, ahead: [-stride, stride, -1, 1], config, layout })
    }

    /// What the environment promises.
    pub fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// Everything about the task but its floor.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The floor.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether an episode is to be cut.
    fn is_late(&self, elapsed: u32, idle: u32) -> bool {
        self.spec.episode_limit.is_some_and(|limit| elapsed >= limit)
            || self.config.max_inactivity_steps.is_some_and(|most| idle >= most)
    }
}

/// The padding that a sensor range needs.
fn check_range(sensor_range: usize) -> Result<usize> {
    if sensor_range > 20 {
        return Err(Error::invalid(format!("rware: sensor_range is {sensor_range}; use 0 to 20")));
    }
    Ok(sensor_range.max(1))
}

fn spec(config: &Config, layout: &Layout) -> EnvSpec {
    let far = |cells: usize| if config.normalised_coordinates { 1.0 } else { (cells - 1) as f32 };
    let direction = |name: String| match config.observation {
        Observation::Flattened => ObsField::new(name, 4, 0.0, 1.0),
        Observation::Dict => ObsField::new(name, 1, 0.0, 3.0),
    };
    let bit = |name: String| ObsField::new(name, 1, 0.0, 1.0);
    let mut obs = vec![
        ObsField::new("x", 1, 0.0, far(layout.width)),
        ObsField::new("y", 1, 0.0, far(layout.height)),
        bit("carries_shelf".into()),
        direction("direction".into()),
        bit("on_highway".into()),
    ];
    let range = config.sensor_range as i32;
    for (dy, dx) in (-range..=range).flat_map(|dy| (-range..=range).map(move |dx| (dy, dx))) {
        let cell = format!("sensor_{dx}_{dy}");
        obs.push(bit(format!("{cell}_robot")));
        obs.push(direction(format!("{cell}_direction")));
        if config.msg_bits > 0 {
            obs.push(ObsField::new(format!("{cell}_message"), config.msg_bits as usize, 0.0, 1.0));
        }
        obs.push(bit(format!("{cell}_shelf")));
        obs.push(bit(format!("{cell}_requested")));
    }
    let robot = GroupSpec {
        name: "robot".into(),
        n_agents: config.n_agents,
        obs,
        action: ActionSpace::Discrete { n: (rules::N_MOVES as usize) << config.msg_bits },
        masked: false,
    };
    EnvSpec {
        name: config.name.clone(),
        version: 1,
        groups: vec![robot],
        state_width: 8 * config.n_agents + 2 * config.n_requests + layout.shelves.len(),
        episode_limit: Some(config.max_steps),
        reward: match config.reward {
            RewardScheme::Global => RewardKind::Common,
            _ => RewardKind::PerAgent,
        },
    }
}
