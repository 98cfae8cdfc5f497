//! Traces of rware against `rware`. All numbers are whole or halves and are compared exactly, in the f32 that the
//! environment uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use coact_core::{Actions, MultiAgentEnv, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{Certificate, Comparison, Tally, flat_numbers, has_stray, read, torn};
use crate::rware::{Config, Layout, Observation, RewardScheme, Situation, Warehouse, WarehouseEnv};

#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
    #[serde(default)]
    conflicts: Vec<Conflict>,
}

#[derive(Debug, Deserialize)]
struct Case {
    config: Given,
    grid_h_w: Option<[usize; 2]>,
    goals_x_y: Option<Vec<[usize; 2]>>,
    highway_rows: Option<Vec<String>>,
    init: Init,
    #[serde(default)]
    obs0: Vec<Value>,
    actions: Vec<Vec<Action>>,
    agents: Vec<Vec<[usize; 4]>>,
    #[serde(default)]
    rewards: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    request_draws: BTreeMap<String, Vec<u16>>,
    #[serde(default)]
    requests_after: BTreeMap<String, Vec<usize>>,
    #[serde(default)]
    obs: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    shelves_moved_final: BTreeMap<String, [usize; 2]>,
    deliveries: Option<usize>,
}

/// A move, or a move and the bits of a message.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Action {
    Move(u32),
    Said(Vec<u32>),
}

impl Action {
    /// As one number; one that is out of range for what cannot be.
    fn number(&self) -> u32 {
        match self {
            Self::Move(action) => *action,
            Self::Said(parts) => {
                let Some((action, bits)) = parts.split_first() else { return u32::MAX };
                let sound = *action < 5 && bits.len() <= 8 && bits.iter().all(|b| *b < 2);
                let word = bits.iter().rev().fold(0, |word: u32, bit| word << 1 & 0xFF | bit & 1);
                if sound { action + 5 * word } else { u32::MAX }
            }
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Given {
    #[serde(default)]
    shelf_columns: usize,
    #[serde(default)]
    shelf_rows: usize,
    #[serde(default)]
    column_height: usize,
    n_agents: usize,
    request_queue_size: usize,
    sensor_range: usize,
    reward_type: String,
    max_steps: Option<u32>,
    max_inactivity_steps: Option<u32>,
    #[serde(default)]
    msg_bits: u32,
    #[serde(default)]
    normalised_coordinates: bool,
    layout: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Init {
    agents: Vec<[usize; 4]>,
    shelves_x_y: Vec<[usize; 2]>,
    requests: Vec<usize>,
}

/// A single step of robots in each other's way, on the floor of `tiny` unless the first case has another.
#[derive(Debug, Deserialize)]
struct Conflict {
    note: String,
    before: Vec<[usize; 4]>,
    actions: Vec<u32>,
    after: Vec<[usize; 4]>,
    #[serde(default)]
    tie_broken_by_networkx: bool,
    config: Option<Given>,
}

const NAME: &str = "rware";

/// Replays the file. Each conflict counts as a case of one step.
pub(super) fn verify(value: &Value) -> Result<Certificate> {
    let file: File = read(value, NAME)?;
    let mut tally = Tally::new(value, NAME);
    for (index, case) in file.cases.iter().enumerate() {
        check(case).map_err(|what| torn(NAME, index, what))?;
        let mut env = WarehouseEnv::new(Arc::new(warehouse(&case.config)?));
        let situation = Situation {
            robots: case.init.agents.clone(),
            shelves: case.init.shelves_x_y.clone(),
            requests: case.init.requests.clone(),
        };
        env.place(&situation)?;
        tally.add(replay(&mut env, case, index)?, Comparison::default());
    }
    for conflict in &file.conflicts {
        tally.add(resolve(conflict)?, Comparison::default());
    }
    Ok(tally.certificate)
}

fn warehouse(given: &Given) -> Result<Warehouse> {
    let pad = given.sensor_range.clamp(1, 20);
    let layout = match &given.layout {
        Some(plan) => Layout::drawn(plan, pad)?,
        None => Layout::groups(given.shelf_rows, given.shelf_columns, given.column_height, pad)?,
    };
    let config = Config {
        name: NAME.into(),
        n_agents: given.n_agents,
        n_requests: given.request_queue_size,
        sensor_range: given.sensor_range,
        msg_bits: given.msg_bits,
        max_steps: given.max_steps.unwrap_or(u32::MAX),
        max_inactivity_steps: given.max_inactivity_steps,
        reward: match given.reward_type.as_str() {
            "GLOBAL" => RewardScheme::Global,
            "TWO_STAGE" => RewardScheme::TwoStage,
            _ => RewardScheme::Individual,
        },
        observation: Observation::Flattened,
        normalised_coordinates: given.normalised_coordinates,
    };
    Warehouse::new(config, layout)
}

/// Refuses a case that contradicts itself, so that the replay can index freely.
fn check(case: &Case) -> Result<(), &'static str> {
    let (n, n_steps) = (case.config.n_agents, case.actions.len());
    if !["GLOBAL", "INDIVIDUAL", "TWO_STAGE"].contains(&case.config.reward_type.as_str()) {
        return Err("the reward type is none of GLOBAL, INDIVIDUAL, TWO_STAGE");
    }
    if case.agents.len() != n_steps {
        return Err("actions and robots differ in number of steps");
    }
    let strays = has_stray(&case.rewards, n_steps)
        || has_stray(&case.request_draws, n_steps)
        || has_stray(&case.requests_after, n_steps)
        || has_stray(&case.obs, n_steps);
    if strays {
        return Err("a reward, a request or an observation is of a step that there is not");
    }
    let rows = case.actions.iter().map(Vec::len).chain(case.agents.iter().map(Vec::len));
    let rows = rows.chain(case.rewards.values().map(Vec::len)).chain(case.obs.values().map(Vec::len));
    if rows.chain([case.init.agents.len()]).any(|len| len != n) || ![0, n].contains(&case.obs0.len()) {
        return Err("a robot lacks a place, an action, a reward or an observation");
    }
    Ok(())
}

fn replay(env: &mut WarehouseEnv, case: &Case, index: usize) -> Result<Comparison> {
    let n = case.config.n_agents;
    let mut comparison = Comparison::default();
    compare_floor(&mut comparison, env.house().layout(), case);
    compare_obs(&mut comparison, env, 0, &case.obs0);
    let mut requests = &case.init.requests;
    for (t, moves) in case.actions.iter().enumerate() {
        let (step, key) = (t + 1, (t + 1).to_string());
        let actions: Vec<u32> = moves.iter().map(Action::number).collect();
        let mut reward = vec![0.0; n];
        let drawn = case.request_draws.get(&key).map_or(&[][..], |d| d);
        let mut draws = drawn.iter();
        let mut wanting = false;
        let draw = |fits: &dyn Fn(u16) -> bool| match draws.next() {
            Some(id) if fits(*id) => Some(*id),
            _ => {
                wanting = true;
                None
            }
        };
        let given = Actions { discrete: &actions, continuous: &[] };
        let late = env.step_with(given, draw, &mut reward);
        let late = late.map_err(|_| torn(NAME, index, "an action is outside its space"))?;
        let used = !wanting && draws.next().is_none();
        comparison.same(|| format!("replacement requests of step {step} fit and are all used"), used, true);
        let now = env.situation();
        comparison.same(|| format!("robots after step {step}"), &now.robots, &case.agents[t]);
        let nothing = vec![0.0; n];
        let paid: Vec<f64> = reward.iter().map(|r| f64::from(*r)).collect();
        let theirs = case.rewards.get(&key).unwrap_or(&nothing);
        comparison.close(|| format!("rewards of step {step}"), &paid, theirs, (0.0, 0.0));
        // Written where they changed.
        requests = case.requests_after.get(&key).unwrap_or(requests);
        comparison.same(|| format!("requests after step {step}"), &now.requests, requests);
        if let Some(rows) = case.obs.get(&key) {
            compare_obs(&mut comparison, env, step, rows);
        }
        let limit = case.config.max_steps.is_some_and(|limit| step >= limit as usize);
        if case.config.max_inactivity_steps.is_none() {
            comparison.same(|| format!("truncation in step {step}"), late, limit);
        }
        comparison.steps += 1;
    }
    if let Some(deliveries) = case.deliveries {
        // Each is followed by a draw.
        let drawn = case.request_draws.values().map(Vec::len).sum();
        comparison.same(|| "number of deliveries".into(), drawn, deliveries);
    }
    let now = env.situation();
    for (id, place) in &case.shelves_moved_final {
        let shelf = id.parse::<usize>().ok().and_then(|id| now.shelves.get(id.wrapping_sub(1)));
        comparison.same(|| format!("last place of shelf {id}"), shelf, Some(place));
    }
    Ok(comparison)
}

/// Compares size, goals and highways, where the case has them.
fn compare_floor(comparison: &mut Comparison, layout: &Layout, case: &Case) {
    if let Some(size) = case.grid_h_w {
        comparison.same(|| "size of the floor".into(), [layout.height, layout.width], size);
    }
    if let Some(goals) = &case.goals_x_y {
        let place = |cell: &u16| {
            let (x, y) = layout.place(*cell);
            [x, y]
        };
        let ours: Vec<[usize; 2]> = layout.goals.iter().map(place).collect();
        comparison.same(|| "goals".into(), &ours, goals);
    }
    if let Some(rows) = &case.highway_rows {
        let mark = |x, y| if layout.highway[layout.cell(x, y) as usize] { '1' } else { '0' };
        let row = |y| (0..layout.width).map(|x| mark(x, y)).collect::<String>();
        let ours: Vec<String> = (0..layout.height).map(row).collect();
        comparison.same(|| "highways".into(), &ours, rows);
    }
}

fn compare_obs(comparison: &mut Comparison, env: &WarehouseEnv, step: usize, rows: &[Value]) {
    let normalised = env.spec().groups[0].obs[0].high == 1.0;
    for (robot, row) in rows.iter().enumerate() {
        let mut obs = vec![0.0; env.spec().groups[0].obs_width()];
        env.observe(robot, &mut obs);
        let ours: Vec<f64> = obs.iter().map(|x| f64::from(*x)).collect();
        let place = || format!("observation of robot {robot} after step {step}");
        let tolerance = if normalised { 1e-6 } else { 0.0 };
        comparison.close(place, &ours, &flat_numbers(row), (tolerance, 0.0));
    }
}

/// One step of robots in each other's way.
fn resolve(conflict: &Conflict) -> Result<Comparison> {
    let n = conflict.before.len();
    let tiny = Given {
        shelf_columns: 3,
        shelf_rows: 1,
        column_height: 8,
        n_agents: n,
        request_queue_size: 0,
        sensor_range: 1,
        reward_type: "INDIVIDUAL".into(),
        max_steps: None,
        max_inactivity_steps: None,
        msg_bits: 0,
        normalised_coordinates: false,
        layout: None,
    };
    let given = conflict.config.clone().map_or(tiny, |c| Given { n_agents: n, request_queue_size: 0, ..c });
    let house = warehouse(&given)?;
    let mut shelves: Vec<[usize; 2]> = Vec::new();
    for cell in &house.layout().shelves {
        let (x, y) = house.layout().place(*cell);
        shelves.push([x, y]);
    }
    for robot in &conflict.before {
        if let Some(shelf) = robot[3].checked_sub(1).and_then(|id| shelves.get_mut(id)) {
            *shelf = [robot[0], robot[1]];
        }
    }
    if conflict.actions.len() != n || conflict.after.len() != n {
        return Err(torn(NAME, 0, "a conflict lacks a robot or an action"));
    }
    let mut env = WarehouseEnv::new(Arc::new(house));
    env.place(&Situation { robots: conflict.before.clone(), shelves, requests: Vec::new() })?;
    let mut comparison = Comparison { steps: 1, ..Comparison::default() };
    let mut reward = vec![0.0; n];
    let actions = Actions { discrete: &conflict.actions, continuous: &[] };
    env.step_with(actions, |_| None, &mut reward)?;
    let now = env.situation().robots;
    let place = || format!("conflict `{}`", conflict.note);
    if conflict.tie_broken_by_networkx {
        // The reference promises only how many move.
        let moved = |after: &[[usize; 4]]| after.iter().zip(&conflict.before).filter(|(a, b)| a != b).count();
        comparison.same(place, moved(&now), moved(&conflict.after));
    } else {
        comparison.same(place, &now, &conflict.after);
    }
    Ok(comparison)
}
