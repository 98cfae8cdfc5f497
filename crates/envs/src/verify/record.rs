//! Traces of ours in the format that [`super::verify_trace`] reads: seeded episodes with random actions, in f64 where the
//! rules are written over any number. Not here: files, printing.

use coact_core::{Actions, Error, MultiAgentEnv, Purpose, Result, Stream};
use serde_json::{Map, Value, json};

use crate::cartpole::{CartPole, CartPoleOptions};
use crate::lbf::{Foraging, ForagingOptions, Task};
use crate::particle::{
    Particle, Scenario, adversary, crypto, formation, line, push, reference, simple, speaker_listener,
    spread, tag, world_comm,
};
use crate::registry::parse;
use crate::rules::{ActionsOf, Outcome, Rules};
use crate::rware::{RewardScheme, Warehouse, WarehouseEnv, WarehouseOptions};

/// Steps whose observations are kept.
pub(super) fn is_kept(step: usize) -> bool {
    step <= 1 || step.is_multiple_of(5)
}

/// Records `episodes` episodes of an environment with random actions.
///
/// # Errors
/// An environment whose traces nobody reads, bad options.
pub fn record_trace(name: &str, options: &Value, seed: u64, episodes: u32) -> Result<Value> {
    if name.starts_with("lbf/") || name.starts_with("Foraging-") {
        let given: ForagingOptions = parse(name, options)?;
        let rules = Foraging::new(Task::parse(name)?.configure(&given)?)?;
        if rules.config().grid {
            return Err(Error::invalid(format!("{name}: only lists are recorded; leave out `-grid`")));
        }
        let cases = (0..episodes).map(|e| foraging(&rules, seed, e)).collect();
        return Ok(file("lbf", Map::new(), cases));
    }
    if name.starts_with("rware/") || name.starts_with("rware-") {
        let given: WarehouseOptions = parse(name, options)?;
        let cases = (0..episodes).map(|e| warehouse(name, &given, seed, e)).collect::<Result<Vec<_>>>()?;
        return Ok(file("rware", Map::new(), cases));
    }
    macro_rules! particle {
        ($module:ident, $rules:ident) => {
            particle(&$module::$rules::new(&parse(name, options)?)?, options, seed, episodes)
        };
    }
    match name {
        "cartpole" => cart(options, seed, episodes),
        "simple" => particle!(simple, Simple),
        "simple_adversary" => particle!(adversary, Adversary),
        "simple_crypto" => particle!(crypto, Crypto),
        "simple_formation" => particle!(formation, Formation),
        "simple_line" => particle!(line, Line),
        "collect_treasure" => super::treasure::record(options, seed, episodes),
        "simple_push" => particle!(push, Push),
        "simple_reference" => particle!(reference, Reference),
        "simple_speaker_listener" => particle!(speaker_listener, SpeakerListener),
        "simple_spread" => particle!(spread, Spread),
        "simple_tag" => particle!(tag, Tag),
        "simple_world_comm" => particle!(world_comm, WorldComm),
        other => Err(Error::invalid(format!(
            "traces of `{other}` are not recorded; known: cartpole, collect_treasure, lbf/..., rware/..., simple, \
             simple_adversary, simple_crypto, simple_formation, simple_line, simple_push, simple_reference, simple_speaker_listener, simple_spread, simple_tag, \
             simple_world_comm"
        ))),
    }
}

pub(super) fn file(name: &str, head: Map<String, Value>, cases: Vec<Value>) -> Value {
    let oracle = json!({"package": "coact-envs", "coact-envs": env!("CARGO_PKG_VERSION")});
    let mut whole = Map::new();
    whole.insert("format".into(), json!("coact-vectors/1"));
    whole.insert("name".into(), json!(name));
    whole.insert("oracle".into(), oracle);
    whole.extend(head);
    whole.insert("cases".into(), Value::Array(cases));
    Value::Object(whole)
}

/// First variables of an episode, exact in f64, and the stream of its actions.
fn begin(rules: &impl Rules, seed: u64, episode: u32) -> (Vec<f64>, Stream) {
    let mut vars = vec![0.0_f32; rules.n_vars()];
    rules.begin(&mut Stream::new(seed, Purpose::Reset, 0, u64::from(episode)), &mut vars);
    (vars.into_iter().map(f64::from).collect(), Stream::new(seed, Purpose::Explore, 0, u64::from(episode)))
}

fn observations(rules: &impl Rules, vars: &[f64]) -> Value {
    let spec = rules.spec();
    let row = |(agent, (group, _)): (usize, (usize, usize))| {
        let mut obs = vec![0.0_f64; spec.groups[group].obs_width()];
        rules.observe::<f64>(vars, agent, &mut obs);
        json!(obs)
    };
    spec.agents().enumerate().map(row).collect()
}

/// Random actions of all agents: discrete ones, and the components of continuous ones.
fn draw(rules: &impl Rules, rng: &mut Stream) -> (Vec<u32>, Vec<f64>) {
    let (mut discrete, mut continuous) = (Vec::new(), Vec::new());
    for (group, _) in rules.spec().agents() {
        let action = &rules.spec().groups[group].action;
        discrete.push(if action.n_discrete() > 0 { rng.below(action.n_discrete() as u32) } else { 0 });
        continuous.extend((0..action.n_continuous()).map(|_| f64::from(rng.uniform())));
    }
    (discrete, continuous)
}

/// One step; returns rewards and whether everybody's process ended.
fn advance(rules: &impl Rules, vars: &mut [f64], discrete: &[u32], continuous: &[f64]) -> (Vec<f64>, bool) {
    let n = rules.spec().n_agents();
    let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
    let outcome = Outcome { reward: &mut reward, terminated: &mut terminated };
    let given = ActionsOf { discrete, continuous };
    rules.advance::<f64>(vars, &vec![true; n], given, outcome, &mut vec![0.0; rules.n_scratch()]);
    (reward, !terminated.contains(&false))
}

fn particle<S: Scenario>(rules: &Particle<S>, options: &Value, seed: u64, episodes: u32) -> Result<Value> {
    let (world, n) = (rules.world(), rules.world().agents.len());
    let n_landmarks = world.landmarks.len();
    let limit = rules.spec().episode_limit.unwrap_or(25) as usize;
    let spoken: usize = (0..n).map(|a| rules.scenario().word(a).len()).sum();
    let n_goals = (rules.n_vars() - world.n_vars() - spoken).checked_div(n_landmarks).unwrap_or(0);
    // Leaving the field costs ten times the distance, and obstacles push hard: f32 drifts as in a crowd.
    let kind = if world.landmarks.iter().any(|l| l.collide) { "crowded" } else { "reset" };
    let is_continuous = rules.spec().groups[0].action.n_continuous() > 0;
    let places = |vars: &[f64]| vars[..4 * n].chunks(4).map(|p| json!(p)).collect::<Vec<_>>();
    let words = |vars: &[f64]| {
        let extra = &vars[world.n_vars()..];
        (0..n).map(|a| json!(&extra[rules.scenario().word(a)])).collect::<Vec<_>>()
    };
    let mut cases = Vec::new();
    for episode in 0..episodes {
        let (mut vars, mut rng) = begin(rules, seed, episode);
        let hot = |k: usize| {
            let goal = &vars[world.n_vars() + k * n_landmarks..world.n_vars() + (k + 1) * n_landmarks];
            goal.iter().position(|g| *g > 0.5)
        };
        let goals: Vec<Option<usize>> = (0..n_goals).map(hot).collect();
        let landmarks: Vec<Value> = vars[4 * n..world.n_vars()].chunks(2).map(|p| json!(p)).collect();
        let mut init =
            json!({"agents_pos_vel": places(&vars), "landmarks_pos": landmarks, "agents_comm": words(&vars)});
        match (S::NAME, &goals[..]) {
            ("simple_reference", _) => init["goal_b_landmark_of_agent"] = json!(goals),
            (_, [goal]) => init["goal_landmark"] = json!(goal),
            (_, [goal, key]) => {
                init["goal_landmark"] = json!(goal);
                init["key_landmark"] = json!(key);
            }
            _ => {}
        }
        let mut obs = Map::from_iter([("0".to_string(), observations(rules, &vars))]);
        let (mut actions, mut pos_vel, mut rewards, mut comm) = (vec![], vec![], vec![], vec![]);
        let mut ended = None;
        for step in 1..=limit {
            let (discrete, continuous) = draw(rules, &mut rng);
            let mut raw = &continuous[..];
            let mine = rules.spec().agents().enumerate().map(|(agent, (group, _))| {
                let (own, rest) = raw.split_at(rules.spec().groups[group].action.n_continuous());
                raw = rest;
                if is_continuous { json!(own) } else { json!(discrete[agent]) }
            });
            actions.push(mine.collect::<Vec<_>>());
            let (reward, over) = advance(rules, &mut vars, &discrete, &continuous);
            rewards.push(reward);
            pos_vel.push(places(&vars));
            comm.push(words(&vars));
            if is_kept(step) || step == limit || over {
                obs.insert(step.to_string(), observations(rules, &vars));
            }
            if over {
                ended = Some(step);
                break;
            }
        }
        cases.push(json!({
            "seed": seed, "kind": kind, "continuous": is_continuous, "init": init, "actions": actions,
            "pos_vel": pos_vel, "rewards": rewards, "comm": comm, "obs": obs, "done_at": limit,
            "terminated_at": ended,
        }));
    }
    let names: Vec<String> = rules.spec().agent_names();
    let mut head = Map::new();
    head.insert("agent_order".into(), json!(names));
    head.insert("options".into(), options.clone());
    Ok(file(&format!("mpe_{}", S::NAME), head, cases))
}

fn cart(options: &Value, seed: u64, episodes: u32) -> Result<Value> {
    let options: CartPoleOptions = parse("cartpole", options)?;
    let rules = CartPole::new(&CartPoleOptions { n_agents: 1, ..options })?;
    let mut cases = Vec::new();
    for episode in 0..episodes {
        let (mut vars, mut rng) = begin(&rules, seed, episode);
        let init = vars.clone();
        let (mut actions, mut states, mut rewards) = (vec![], vec![], vec![]);
        let mut ended = None;
        for step in 1..=rules.spec().episode_limit.unwrap_or(500) {
            let (discrete, _) = draw(&rules, &mut rng);
            let (reward, over) = advance(&rules, &mut vars, &discrete, &[]);
            actions.push(discrete[0]);
            states.push(vars.clone());
            rewards.push(reward[0]);
            if over {
                ended = Some(step);
                break;
            }
        }
        cases.push(json!({
            "integrator": "euler", "init": init, "actions": actions, "states": states, "rewards": rewards,
            "terminated_at": ended,
        }));
    }
    Ok(file("cartpole", Map::new(), cases))
}

fn foraging(rules: &Foraging, seed: u64, episode: u32) -> Value {
    let config = rules.config();
    let n = config.n_players;
    let (mut vars, mut rng) = begin(rules, seed, episode);
    let cells = |vars: &[f64]| vars[..3 * n].chunks(3).map(|p| json!([p[0], p[1]])).collect::<Vec<_>>();
    let foods = |vars: &[f64]| {
        let all = vars[3 * n..vars.len() - 1].chunks(3);
        all.filter(|f| f[2] > 0.0).map(|f| json!(f)).collect::<Vec<_>>()
    };
    let levels: Vec<u32> = vars[..3 * n].chunks(3).map(|p| p[2] as u32).collect();
    let init = json!({
        "players_row_col": cells(&vars), "player_levels": levels, "foods_row_col_level": foods(&vars),
        "food_level_sum_at_spawn": vars[vars.len() - 1],
    });
    let given = json!({
        "players": n, "field": [config.rows, config.cols], "max_num_food": config.n_foods, "sight": config.sight,
        "force_coop": config.coop, "penalty": config.penalty, "normalize_reward": config.normalize_reward,
        "observe_agent_levels": config.observe_agent_levels, "max_episode_steps": config.max_steps,
    });
    let obs0 = observations(rules, &vars);
    let (mut actions, mut players, mut rewards) = (vec![], vec![], vec![]);
    let (mut obs, mut foods_after) = (Map::new(), Map::new());
    let (mut done, mut left) = (config.max_steps, foods(&vars));
    let mut reason = "max_episode_steps";
    for step in 1..=config.max_steps {
        let (discrete, _) = draw(rules, &mut rng);
        let (reward, over) = advance(rules, &mut vars, &discrete, &[]);
        actions.push(discrete);
        players.push(cells(&vars));
        rewards.push(reward);
        if foods(&vars) != left {
            left = foods(&vars);
            foods_after.insert(step.to_string(), json!(left));
        }
        if is_kept(step as usize) {
            obs.insert(step.to_string(), observations(rules, &vars));
        }
        if over {
            (done, reason) = (step, "field empty");
            break;
        }
    }
    json!({
        "seed": seed, "policy": "random", "config": given, "init": init, "obs0": obs0, "actions": actions,
        "players": players, "rewards": rewards, "foods_after": foods_after, "obs": obs, "done_step": done,
        "done_reason": reason,
    })
}

fn warehouse(name: &str, options: &WarehouseOptions, seed: u64, episode: u32) -> Result<Value> {
    let house = Warehouse::named(name, options)?;
    let task = house.config().clone();
    if task.max_inactivity_steps.is_some() || options.observation != crate::rware::Observation::Flattened {
        return Err(Error::invalid(format!(
            "{name}: only flattened observations without max_inactivity_steps are recorded"
        )));
    }
    let layout = house.layout().clone();
    let n = task.n_agents;
    let mut env = WarehouseEnv::new(std::sync::Arc::new(house));
    env.reset(&mut Stream::new(seed, Purpose::Reset, 0, u64::from(episode)));
    let mut rng = Stream::new(seed, Purpose::Explore, 0, u64::from(episode));
    let look = |env: &WarehouseEnv| {
        let row = |robot: usize| {
            let mut obs = vec![0.0; env.spec().groups[0].obs_width()];
            env.observe(robot, &mut obs);
            json!(obs)
        };
        (0..n).map(row).collect::<Value>()
    };
    let start = env.situation();
    let first = look(&env);
    let plan: Vec<String> =
        (0..layout.height).map(|y| (0..layout.width).map(|x| mark(&layout, x, y)).collect()).collect();
    let (mut actions, mut robots) = (vec![], vec![]);
    let (mut rewards, mut draws, mut requests, mut obs) = (Map::new(), Map::new(), Map::new(), Map::new());
    for step in 1..=task.max_steps {
        let said: Vec<u32> = (0..n).map(|_| rng.below(5 << task.msg_bits)).collect();
        let (mut reward, mut drawn) = (vec![0.0; n], Vec::new());
        let mut pick = Stream::new(seed, Purpose::Step, episode, u64::from(step));
        let n_shelves = start.shelves.len() as u32;
        let choose = |fits: &dyn Fn(u16) -> bool| loop {
            let id = 1 + pick.below(n_shelves) as u16;
            if fits(id) {
                drawn.push(id);
                return Some(id);
            }
        };
        env.step_with(Actions { discrete: &said, continuous: &[] }, choose, &mut reward)?;
        let spelled = said.iter().map(|a| match task.msg_bits {
            0 => json!(a),
            bits => {
                let word = (0..bits).map(|b| (a / 5) >> b & 1);
                json!(std::iter::once(a % 5).chain(word).collect::<Vec<_>>())
            }
        });
        actions.push(spelled.collect::<Vec<_>>());
        let now = env.situation();
        robots.push(now.robots);
        if reward.iter().any(|r| *r != 0.0) {
            rewards.insert(step.to_string(), json!(reward));
        }
        if !drawn.is_empty() {
            draws.insert(step.to_string(), json!(drawn));
            requests.insert(step.to_string(), json!(now.requests));
        }
        if is_kept(step as usize) {
            obs.insert(step.to_string(), look(&env));
        }
    }
    let scheme = match task.reward {
        RewardScheme::Individual => "INDIVIDUAL",
        RewardScheme::Global => "GLOBAL",
        RewardScheme::TwoStage => "TWO_STAGE",
    };
    Ok(json!({
        "seed": seed,
        "config": {
            "layout": plan.join("\n"), "n_agents": n, "request_queue_size": task.n_requests,
            "sensor_range": task.sensor_range, "reward_type": scheme, "max_steps": task.max_steps,
            "msg_bits": task.msg_bits, "normalised_coordinates": task.normalised_coordinates,
        },
        "init": {"agents": start.robots, "shelves_x_y": start.shelves, "requests": start.requests},
        "obs0": first, "actions": actions, "agents": robots, "rewards": rewards, "request_draws": draws,
        "requests_after": requests, "obs": obs,
    }))
}

/// A cell as plans draw it.
fn mark(layout: &crate::rware::Layout, x: usize, y: usize) -> char {
    let cell = layout.cell(x, y);
    match (layout.goals.contains(&cell), layout.highway[cell as usize]) {
        (true, _) => 'g',
        (false, true) => '.',
        (false, false) => 'x',
    }
}
