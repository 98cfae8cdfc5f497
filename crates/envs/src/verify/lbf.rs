//! Traces of lbforaging against `lbf`.

use std::collections::BTreeMap;

use coact_core::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Certificate, Comparison, Replayed, Tally, flat_numbers, has_stray, read, torn, widened};
use crate::lbf::{Config, Foraging, GridForaging};
use crate::rules::{ActionsOf, Outcome, Rules};

#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    config: Given,
    init: Init,
    #[serde(default)]
    obs0: Vec<Value>,
    actions: Vec<Vec<u32>>,
    players: Vec<Vec<[f64; 2]>>,
    rewards: Vec<Vec<f64>>,
    #[serde(default)]
    foods_after: BTreeMap<String, Vec<[f64; 3]>>,
    #[serde(default)]
    obs: BTreeMap<String, Vec<Value>>,
    overlap_steps: Option<Vec<usize>>,
    done_step: Option<usize>,
    done_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Given {
    players: usize,
    field: [usize; 2],
    max_num_food: usize,
    sight: usize,
    #[serde(default)]
    force_coop: bool,
    #[serde(default)]
    penalty: f64,
    normalize_reward: Option<bool>,
    observe_agent_levels: Option<bool>,
    #[serde(default)]
    grid_observation: bool,
    max_episode_steps: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Init {
    players_row_col: Vec<[f64; 2]>,
    player_levels: Vec<u32>,
    foods_row_col_level: Vec<[f64; 3]>,
    food_level_sum_at_spawn: f64,
}

const NAME: &str = "lbf";

/// Replays the file. Everything but rewards is compared exactly, rewards to 1e-6 as the file asks.
pub(super) fn verify(value: &Value) -> Result<Certificate> {
    let file: File = read(value, NAME)?;
    let mut tally = Tally::new(value, NAME);
    for (index, case) in file.cases.iter().enumerate() {
        check(case).map_err(|what| torn(NAME, index, what))?;
        let rules = Foraging::new(configure(case))?;
        if rules.config().grid {
            let rules = GridForaging(rules);
            tally.add(replay::<f64, _>(&rules, case), replay::<f32, _>(&rules, case));
        } else {
            tally.add(replay::<f64, _>(&rules, case), replay::<f32, _>(&rules, case));
        }
    }
    Ok(tally.certificate)
}

fn configure(case: &Case) -> Config {
    let (given, levels) = (&case.config, &case.init.player_levels);
    Config {
        name: NAME.into(),
        rows: given.field[0],
        cols: given.field[1],
        n_players: given.players,
        n_foods: given.max_num_food,
        sight: given.sight,
        coop: given.force_coop,
        grid: given.grid_observation,
        penalty: given.penalty,
        max_steps: given.max_episode_steps.unwrap_or(50),
        normalize_reward: given.normalize_reward.unwrap_or(true),
        observe_agent_levels: given.observe_agent_levels.unwrap_or(true),
        min_player_level: levels.clone(),
        max_player_level: levels.clone(),
        min_food_level: vec![1; given.max_num_food],
        max_food_level: None,
    }
}

/// Refuses a case that contradicts itself, so that the replay can index freely.
fn check(case: &Case) -> Result<(), &'static str> {
    let (n, n_steps, init) = (case.config.players, case.actions.len(), &case.init);
    if init.players_row_col.len() != n || init.player_levels.len() != n {
        return Err("the number of players is not the configuration's");
    }
    if init.foods_row_col_level.len() > case.config.max_num_food {
        return Err("there is more food than the configuration allows");
    }
    if case.players.len() != n_steps || case.rewards.len() != n_steps {
        return Err("actions, places and rewards differ in number");
    }
    let rows = case.actions.iter().map(Vec::len);
    let rows = rows.chain(case.players.iter().map(Vec::len)).chain(case.rewards.iter().map(Vec::len));
    if rows.chain(case.obs.values().map(Vec::len)).any(|len| len != n) {
        return Err("a step lacks an action, a place, a reward or an observation");
    }
    if !case.obs0.is_empty() && case.obs0.len() != n {
        return Err("a first observation is missing");
    }
    if has_stray(&case.obs, n_steps) || has_stray(&case.foods_after, n_steps) {
        return Err("an observation or food is of a step that there is not");
    }
    if case.actions.iter().flatten().any(|a| *a > 5) {
        return Err("an action is above 5");
    }
    Ok(())
}

fn replay<R: Replayed, T: Rules>(rules: &T, case: &Case) -> Comparison {
    let exactly = (0.0, 0.0);
    let n = case.config.players;
    let mut comparison = Comparison::default();
    let mut vars = first_moment::<R>(case, rules.n_vars());
    let mut scratch = vec![R::of(0.0); rules.n_scratch()];
    compare_obs(&mut comparison, rules, &vars, 0, &case.obs0);
    let (mut ended, mut shared) = (None, Vec::new());
    let mut foods = case.init.foods_row_col_level.clone();
    foods.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    for (t, moves) in case.actions.iter().enumerate() {
        let (mut reward, mut terminated) = (vec![R::of(0.0); n], vec![false; n]);
        let actions = ActionsOf { discrete: moves, continuous: &[] };
        let outcome = Outcome { reward: &mut reward, terminated: &mut terminated };
        rules.advance::<R>(&mut vars, &vec![true; n], actions, outcome, &mut scratch);
        let step = t + 1;
        let now = widened(&vars);
        let places: Vec<f64> = now[..3 * n].chunks_exact(3).flat_map(|p| [p[0], p[1]]).collect();
        let theirs = case.players[t].as_flattened();
        comparison.close(|| format!("places of players after step {step}"), &places, theirs, exactly);
        let place = || format!("rewards of step {step}");
        comparison.close(place, &widened(&reward), &case.rewards[t], (1e-6, 0.0));
        // Written where it changed.
        if let Some(changed) = case.foods_after.get(&step.to_string()) {
            foods.clone_from(changed);
        }
        let left: Vec<f64> =
            now[3 * n..now.len() - 1].chunks_exact(3).filter(|f| f[2] > 0.0).flatten().copied().collect();
        comparison.close(|| format!("food after step {step}"), &left, foods.as_flattened(), exactly);
        if (0..n).any(|i| (0..i).any(|j| places[2 * i..2 * i + 2] == places[2 * j..2 * j + 2])) {
            shared.push(step);
        }
        if let Some(rows) = case.obs.get(&step.to_string()) {
            compare_obs(&mut comparison, rules, &vars, step, rows);
        }
        comparison.steps += 1;
        let late = rules.spec().episode_limit.is_some_and(|limit| step >= limit as usize);
        if ended.is_none() && (terminated[0] || late) {
            ended = Some((step, if terminated[0] { "field empty" } else { "max_episode_steps" }));
        }
    }
    if let Some(steps) = &case.overlap_steps {
        comparison.same(|| "steps after which two players share a cell".into(), &shared, steps);
    }
    if let Some(step) = case.done_step {
        comparison.same(|| "last step".into(), ended.map(|e| e.0), Some(step));
        if let Some(reason) = &case.done_reason {
            comparison.same(|| "reason of the end".into(), ended.map(|e| e.1), Some(reason.as_str()));
        }
    } else {
        comparison.same(|| "end".into(), ended, None);
    }
    comparison
}

fn first_moment<R: Replayed>(case: &Case, n_vars: usize) -> Vec<R> {
    let mut vars = Vec::with_capacity(n_vars);
    for (place, level) in case.init.players_row_col.iter().zip(&case.init.player_levels) {
        vars.extend([R::of(place[0]), R::of(place[1]), R::of(f64::from(*level))]);
    }
    let mut foods = case.init.foods_row_col_level.clone();
    foods.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    foods.resize(case.config.max_num_food, [-1.0, -1.0, 0.0]);
    vars.extend(foods.as_flattened().iter().map(|x| R::of(*x)));
    vars.push(R::of(case.init.food_level_sum_at_spawn));
    vars
}

fn compare_obs<R: Replayed>(
    comparison: &mut Comparison,
    rules: &impl Rules,
    vars: &[R],
    step: usize,
    rows: &[Value],
) {
    for (agent, row) in rows.iter().enumerate() {
        let mut obs = vec![R::of(0.0); rules.spec().groups[0].obs_width()];
        rules.observe::<R>(vars, agent, &mut obs);
        let place = || format!("observation of player {agent} after step {step}");
        comparison.close(place, &widened(&obs), &flat_numbers(row), (0.0, 0.0));
    }
}
