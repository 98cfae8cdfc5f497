//! Traces of mpe2's `collect_treasure` against ours, and traces of ours. Treasures that appear are part of a trace.

use std::collections::BTreeMap;

use coact_core::{MultiAgentEnv, Purpose, Result, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::record::{file, is_kept};
use super::{Certificate, Comparison, Replayed, Tally, read, torn, widened};
use crate::particle::treasure::{Hunt, Moment, Treasure, TreasureOptions};
use crate::registry::parse;

const NAME: &str = "mpe_collect_treasure";

#[derive(Debug, Deserialize)]
struct File {
    agent_order: Vec<String>,
    /// Options by our names.
    #[serde(default)]
    options: Value,
    cases: Vec<Case>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Case {
    continuous: bool,
    init: Init,
    actions: Vec<Vec<Value>>,
    pos_vel: Vec<Vec<[f64; 4]>>,
    rewards: Vec<Vec<f64>>,
    /// Kind of every collector's load after each step; -1 for none.
    loads: Vec<Vec<i64>>,
    /// By step, treasures that appear in it.
    appears: BTreeMap<String, Vec<Appeared>>,
    obs: BTreeMap<String, Vec<Vec<f64>>>,
    done_at: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Init {
    agents_pos_vel: Vec<[f64; 4]>,
    treasures_pos: Vec<[f64; 2]>,
    treasures_kind: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Appeared {
    treasure: usize,
    pos: [f64; 2],
    kind: u8,
}

/// Replays a file.
pub(super) fn verify(value: &Value) -> Result<Certificate> {
    let file: File = read(value, NAME)?;
    let n_collectors = file.agent_order.iter().filter(|a| a.starts_with("collector")).count();
    let n_treasures = file.cases.first().map_or(0, |c| c.init.treasures_pos.len());
    let make = |continuous| {
        Treasure::new(&TreasureOptions {
            n_collectors,
            n_deposits: file.agent_order.len() - n_collectors,
            n_treasures,
            continuous,
            ..parse(NAME, &file.options)?
        })
    };
    let (discrete, continuous) = (make(false)?, make(true)?);
    let mut tally = Tally::new(value, NAME);
    for (index, case) in file.cases.iter().enumerate() {
        let env = if case.continuous { &continuous } else { &discrete };
        let given = check(env, case).map_err(|what| torn(NAME, index, what))?;
        let (mut margins, mut compare) = (Vec::new(), case.actions.len());
        let exact = |_| (1e-12, 1e-9);
        let wide =
            replay::<f64>(env, case, &given, exact, compare, |now| margins.push(env.hunt().margin(now)));
        // Touching, and the order of distances, are step functions: f32 need not fall on the same side.
        if let Some(step) = margins.iter().position(|m| *m < 1e-4) {
            compare = step;
        }
        let single = replay::<f32>(env, case, &given, |_| (1e-6, 1e-5), compare, |_| ());
        tally.add(wide, single);
    }
    Ok(tally.certificate)
}

/// Actions of a case: discrete ones, and the components of continuous ones, a list a step.
type Given = (Vec<Vec<u32>>, Vec<Vec<f64>>);

/// Refuses a case that does not fit, so that the replay can index freely.
fn check(env: &Treasure, case: &Case) -> std::result::Result<Given, &'static str> {
    let hunt = env.hunt();
    let (n, n_treasures) = (hunt.world.agents.len(), hunt.world.landmarks.len());
    let (init, n_steps) = (&case.init, case.actions.len());
    if init.agents_pos_vel.len() != n
        || init.treasures_pos.len() != n_treasures
        || init.treasures_kind.len() != n_treasures
    {
        return Err("the number of agents or treasures is not that of the file");
    }
    let is_kind = |kind: u8| usize::from(kind) < hunt.n_kinds;
    let sound = |a: &Appeared| a.treasure < n_treasures && is_kind(a.kind);
    if !init.treasures_kind.iter().all(|k| is_kind(*k)) || !case.appears.values().flatten().all(sound) {
        return Err("there is no such treasure, or no such kind");
    }
    if [case.pos_vel.len(), case.rewards.len(), case.loads.len()] != [n_steps; 3] {
        return Err("actions, places, rewards and loads differ in number");
    }
    let full = case.pos_vel.iter().all(|p| p.len() == n)
        && case.rewards.iter().all(|r| r.len() == n)
        && case.loads.iter().all(|l| l.len() == hunt.n_collectors)
        && case.obs.values().all(|rows| rows.len() == n);
    if !full {
        return Err("a step lacks places, rewards, loads or observations");
    }
    let (mut discrete, mut continuous) = (Vec::new(), Vec::new());
    for moves in &case.actions {
        if moves.len() != n {
            return Err("an action is missing");
        }
        let wrong = "an action does not fit its space";
        let (mut symbols, mut strengths) = (vec![0; n], Vec::new());
        for (agent, action) in moves.iter().enumerate() {
            if case.continuous {
                let own: Vec<f64> = serde_json::from_value(action.clone()).map_err(|_| wrong)?;
                if own.len() != 5 {
                    return Err(wrong);
                }
                strengths.extend(own);
            } else {
                symbols[agent] =
                    action.as_u64().filter(|a| *a < 5).and_then(|a| a.try_into().ok()).ok_or(wrong)?;
            }
        }
        discrete.push(symbols);
        continuous.push(strengths);
    }
    Ok((discrete, continuous))
}

fn first<R: Replayed>(hunt: &Hunt, init: &Init) -> Moment<R> {
    let mut now = hunt.moment();
    let places = init.agents_pos_vel.as_flattened().iter().chain(init.treasures_pos.as_flattened());
    now.vars = places.map(|v| R::of(*v)).collect();
    now.kind = init.treasures_kind.iter().map(|k| Some(*k)).collect();
    now
}

fn replay<R: Replayed>(
    env: &Treasure,
    case: &Case,
    (discrete, continuous): &Given,
    tolerance: impl Fn(usize) -> (f64, f64),
    compare: usize,
    mut seen: impl FnMut(&Moment<R>),
) -> Comparison {
    let hunt = env.hunt();
    let n = hunt.world.agents.len();
    let mut comparison = Comparison::default();
    if case.done_at.is_some() {
        comparison.same(|| "step of truncation".into(), env.spec().episode_limit, case.done_at);
    }
    let mut now = first::<R>(hunt, &case.init);
    compare_obs(&mut comparison, env, case, &now, 0, tolerance(0));
    for t in 0..compare {
        let step = t + 1;
        let appears = case.appears.get(&step.to_string());
        let mut missing = None;
        let appear = |treasure: usize| {
            let found = appears.and_then(|all| all.iter().find(|a| a.treasure == treasure));
            if found.is_none() {
                missing = Some(treasure);
            }
            found.map_or(([R::of(0.0); 2], 0), |a| (a.pos.map(R::of), a.kind))
        };
        let strengths: Vec<R> = continuous[t].iter().map(|x| R::of(*x)).collect();
        let mut reward = vec![R::of(0.0); n];
        hunt.advance(&mut now, &discrete[t], &strengths, appear, &mut reward);
        comparison.same(|| format!("treasure that appears in step {step}"), missing, None);
        let tol = tolerance(step);
        let places = || format!("position and velocity after step {step}");
        comparison.close(places, &widened(&now.vars[..4 * n]), case.pos_vel[t].as_flattened(), tol);
        comparison.close(|| format!("rewards of step {step}"), &widened(&reward), &case.rewards[t], tol);
        let loads: Vec<i64> = now.load.iter().map(|l| l.map_or(-1, i64::from)).collect();
        comparison.same(|| format!("loads after step {step}"), &loads, &case.loads[t]);
        compare_obs(&mut comparison, env, case, &now, step, tol);
        seen(&now);
        comparison.steps += 1;
    }
    comparison
}

fn look<R: Replayed>(env: &Treasure, now: &Moment<R>) -> Vec<Vec<f64>> {
    let groups = &env.spec().groups;
    let row = |(agent, (group, _)): (usize, (usize, usize))| {
        let mut obs = vec![R::of(0.0); groups[group].obs_width()];
        env.hunt().observe(now, agent, &mut obs);
        widened(&obs)
    };
    env.spec().agents().enumerate().map(row).collect()
}

fn compare_obs<R: Replayed>(
    comparison: &mut Comparison,
    env: &Treasure,
    case: &Case,
    now: &Moment<R>,
    step: usize,
    tolerance: (f64, f64),
) {
    let Some(rows) = case.obs.get(&step.to_string()) else { return };
    for (agent, (ours, theirs)) in look(env, now).iter().zip(rows).enumerate() {
        let place = || format!("observation of agent {agent} after step {step}");
        comparison.close(place, ours, theirs, tolerance);
    }
}

/// Records episodes with random actions, in f64.
pub(super) fn record(options: &Value, seed: u64, episodes: u32) -> Result<Value> {
    let env = Treasure::new(&parse("collect_treasure", options)?)?;
    let cases = (0..episodes)
        .map(|episode| Ok(json!(episode_of(env.clone(), seed, episode))))
        .collect::<Result<_>>()?;
    let head = Map::from_iter([
        ("agent_order".to_owned(), json!(env.spec().agent_names())),
        ("options".to_owned(), options.clone()),
    ]);
    Ok(file(NAME, head, cases))
}

fn episode_of(mut env: Treasure, seed: u64, episode: u32) -> Case {
    let hunt = env.hunt().clone();
    let n = hunt.world.agents.len();
    let is_continuous = env.spec().groups[0].action.n_continuous() > 0;
    env.reset(&mut Stream::new(seed, Purpose::Reset, 0, u64::from(episode)));
    let mut rng = Stream::new(seed, Purpose::Explore, 0, u64::from(episode));
    let mut places = Stream::new(seed, Purpose::Step, 0, u64::from(episode));
    let mut now: Moment<f64> = hunt.moment();
    now.vars = env.now().vars.iter().map(|v| f64::from(*v)).collect();
    now.kind.clone_from(&env.now().kind);
    let (agents, treasures) = now.vars.split_at(4 * n);
    let rows = |vars: &[f64]| vars.chunks(4).map(|p| [p[0], p[1], p[2], p[3]]).collect::<Vec<_>>();
    let mut case = Case {
        continuous: is_continuous,
        init: Init {
            agents_pos_vel: rows(agents),
            treasures_pos: treasures.chunks(2).map(|p| [p[0], p[1]]).collect(),
            treasures_kind: now.kind.iter().flatten().copied().collect(),
        },
        actions: Vec::new(),
        pos_vel: Vec::new(),
        rewards: Vec::new(),
        loads: Vec::new(),
        appears: BTreeMap::new(),
        obs: BTreeMap::from([("0".to_owned(), look(&env, &now))]),
        done_at: env.spec().episode_limit,
    };
    for step in 1..=env.spec().episode_limit.unwrap_or(25) as usize {
        let discrete: Vec<u32> = (0..n).map(|_| rng.below(5)).collect();
        let n_strengths = if is_continuous { 5 * n } else { 0 };
        let strengths: Vec<f64> = (0..n_strengths).map(|_| f64::from(rng.uniform())).collect();
        case.actions.push(match is_continuous {
            true => strengths.chunks(5).map(|own| json!(own)).collect(),
            false => discrete.iter().map(|a| json!(a)).collect(),
        });
        let mut appeared = Vec::new();
        let appear = |treasure| {
            let (place, kind) = crate::particle::treasure::draw(&mut places, hunt.n_kinds);
            let pos = place.map(f64::from);
            appeared.push(Appeared { treasure, pos, kind });
            (pos, kind)
        };
        let mut reward = vec![0.0; n];
        hunt.advance(&mut now, &discrete, &strengths, appear, &mut reward);
        if !appeared.is_empty() {
            case.appears.insert(step.to_string(), appeared);
        }
        case.rewards.push(reward);
        case.pos_vel.push(rows(&now.vars[..4 * n]));
        case.loads.push(now.load.iter().map(|l| l.map_or(-1, i64::from)).collect());
        if is_kept(step) {
            case.obs.insert(step.to_string(), look(&env, &now));
        }
    }
    case
}
