//! What every registered environment promises, and members of families with other options: shapes, ranges, ends, masks,
//! determinism, exact state, errors.

// Helpers outside #[test] functions unwrap too; rows of several columns are walked by index.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::needless_range_loop)]

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, ActionSpace, BatchEnv, MultiAgentEnv, Purpose, RewardKind, StepBatch, Stream};
use coact_envs::golden::random_actions;
use coact_envs::{ALL, Found};
use serde_json::Value;

mod tasks;

/// A task with its options.
struct Entry {
    name: String,
    options: Value,
    found: Found,
}

fn entries() -> impl Iterator<Item = Entry> {
    tasks::all().into_iter().map(|(name, options)| {
        let found = coact_envs::find(&name).unwrap();
        Entry { name, options, found }
    })
}

fn start(entry: &Entry, seed: u64, n_envs: usize) -> (Box<dyn BatchEnv>, StepBatch, ActionBatch) {
    let mut env = entry.found.build(&entry.options, n_envs).unwrap();
    let mut step = StepBatch::new(env.spec(), n_envs);
    let actions = ActionBatch::new(env.spec(), n_envs);
    env.reset(seed, &mut step).unwrap();
    (env, step, actions)
}

fn check_bounds(entry: &Entry, env: &dyn BatchEnv, step: &StepBatch) {
    for (spec, group) in env.spec().groups.iter().zip(&step.groups) {
        let bounds: Vec<_> = spec.obs.iter().flat_map(|f| vec![(&f.name, f.low, f.high); f.width]).collect();
        for obs in [&group.obs, &group.final_obs] {
            for row in obs.chunks_exact(bounds.len()) {
                for (x, (name, low, high)) in row.iter().zip(&bounds) {
                    let inside = x.is_finite() && (*low..=*high).contains(x) || row.iter().all(|x| *x == 0.0);
                    assert!(inside, "{}: {name} is {x}, declared {low}..={high}", entry.name);
                }
            }
        }
    }
}

#[test]
fn shapes_ranges_and_ends_hold() {
    for entry in entries() {
        let (mut env, mut step, mut actions) = start(&entry, 3, 7);
        let spec = env.spec().clone();
        assert_eq!(spec.name.trim_start_matches("lbf/"), entry.name.trim_start_matches("lbf/"));
        assert!(step.is_first.iter().all(|f| *f), "{}: reset gives first observations", entry.name);
        let shape = StepBatch::new(&spec, 7);
        let mut ended = 0;
        let mut age = [0_u32; 7];
        let mut alive_before: Vec<Vec<bool>> = step.groups.iter().map(|g| g.alive.clone()).collect();
        for t in 0..1200 {
            random_actions(&*env, &step, 3, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
            check_bounds(&entry, &*env, &step);
            for e in 0..7 {
                age[e] += 1;
                let mut rewards = Vec::new();
                let mut all_ended = true;
                for (g, group) in spec.groups.iter().enumerate() {
                    for row in e * group.n_agents..(e + 1) * group.n_agents {
                        let column = &step.groups[g];
                        let was_alive = alive_before[g][row];
                        rewards.push(column.reward[row]);
                        assert!(was_alive || !column.terminated[row], "{}: ended twice", entry.name);
                        let paid =
                            was_alive || column.reward[row] == 0.0 || spec.reward == RewardKind::Common;
                        assert!(paid, "{}: a dead agent is paid", entry.name);
                        all_ended &= !was_alive || column.terminated[row];
                        let now = was_alive && !column.terminated[row] || step.is_first[e];
                        assert_eq!(column.alive[row], now, "{}: alive after step {t}", entry.name);
                        alive_before[g][row] = column.alive[row];
                        let words = group.mask_words();
                        let mask = &column.mask[row * words..(row + 1) * words];
                        let legal = |a: usize| mask[a / 32] >> (a % 32) & 1 == 1;
                        let some = words == 0 || (0..group.action.n_discrete()).any(legal);
                        assert!(some || !column.alive[row], "{}: no legal action", entry.name);
                    }
                }
                if spec.reward == RewardKind::Common {
                    assert!(
                        rewards.windows(2).all(|w| w[0] == w[1]),
                        "{}: common reward differs",
                        entry.name
                    );
                }
                let at_limit = spec.episode_limit.is_some_and(|l| age[e] >= l);
                // Warehouses in which nothing happens are left before the limit.
                let is_left = step.truncated[e] && entry.options["max_inactivity_steps"].is_u64();
                assert_eq!(
                    step.truncated[e],
                    (at_limit || is_left) && !all_ended,
                    "{}: truncated",
                    entry.name
                );
                assert_eq!(step.is_first[e], all_ended || step.truncated[e], "{}: is_first", entry.name);
                if step.is_first[e] {
                    ended += 1;
                    age[e] = 0;
                }
            }
        }
        assert!(ended >= 7, "{}: no episode ended", entry.name);
        for (columns, right) in step.groups.iter().zip(&shape.groups) {
            assert_eq!(columns.obs.len(), right.obs.len());
            assert_eq!(columns.mask.len(), right.mask.len());
        }
        assert_eq!(step.state.len(), shape.state.len());
        let scene = env.scene(0);
        assert!(!scene.shapes.is_empty() && scene.bounds.0 < scene.bounds.1, "{}: scene", entry.name);
    }
}

/// Environments that draw nothing.
const STARTS_ALIKE: [&str; 16] = [
    "overcooked",
    "traffic_junction",
    "two_step",
    "iterated_prisoners_dilemma",
    "iterated_stag_hunt",
    "iterated_chicken",
    "iterated_matrix",
    "climbing",
    "penalty",
    "matrix",
    "probe_one_value",
    "probe_two_step_discount",
    "probe_truncate_only",
    "probe_terminate_only",
    "probe_masked",
    "probe_two_agents_coordinate",
];

#[test]
fn seeds_name_runs() {
    for entry in entries() {
        let run = |seed: u64| {
            let (mut env, mut step, mut actions) = start(&entry, seed, 3);
            let mut seen = vec![step.clone()];
            for t in 0..60 {
                random_actions(&*env, &step, 1, t, &mut actions);
                env.step(&actions, &mut step).unwrap();
                seen.push(step.clone());
            }
            seen
        };
        assert!(run(5) == run(5), "{}: the same seed gives another run", entry.name);
        let fixed = start(&entry, 6, 8).1 == start(&entry, 5, 8).1;
        let bare = entry.name.split('/').next().unwrap();
        let drawn = !STARTS_ALIKE.contains(&bare) && entry.options["n_pool"] != 1;
        assert_eq!(drawn, !fixed, "{}: two seeds give one start", entry.name);
        // Cars arrive by chance, but in a row of one that is always full.
        if bare == "traffic_junction" && entry.options["add_rate"] != 1.0 {
            assert!(run(5) != run(6), "{}: two seeds give one run", entry.name);
        }
    }
}

#[test]
fn final_observations_are_those_of_the_ended_episode() {
    for entry in entries() {
        let (mut env, mut step, mut actions) = start(&entry, 9, 2);
        let mut one = entry.found.build_one(&entry.options).unwrap();
        let spec = env.spec().clone();
        let n = spec.n_agents();
        let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
        let (mut episode, mut t) = (0, 0);
        one.reset(&mut Stream::new(9, Purpose::Reset, 0, 0));
        while episode < 3 {
            random_actions(&*env, &step, 2, t, &mut actions);
            let discrete: Vec<u32> =
                spec.agents().map(|(g, a)| actions.discrete[g].get(a).copied().unwrap_or(0)).collect();
            let continuous: Vec<f32> = spec
                .groups
                .iter()
                .zip(&actions.continuous)
                .flat_map(|(g, c)| c[..g.n_agents * g.action.n_continuous()].to_vec())
                .collect();
            env.step(&actions, &mut step).unwrap();
            let given = coact_core::Actions { discrete: &discrete, continuous: &continuous };
            let mut rng = Stream::new(9, Purpose::Step, 0, t);
            let truncated = one.step(given, &mut rng, &mut reward, &mut terminated).unwrap();
            let check = |one: &dyn MultiAgentEnv, reward: &[f32], now: bool| {
                for (agent, (g, a)) in spec.agents().enumerate() {
                    let d = spec.groups[g].obs_width();
                    let mut obs = vec![0.0; d];
                    one.observe(agent, &mut obs);
                    let column = if now { &step.groups[g].obs } else { &step.groups[g].final_obs };
                    assert_eq!(column[a * d..(a + 1) * d], obs, "{}: agent {agent}, step {t}", entry.name);
                    if !now {
                        continue;
                    }
                    assert_eq!(step.groups[g].reward[a], reward[agent], "{}: reward", entry.name);
                }
                let mut state = vec![0.0; spec.state_width];
                one.state(&mut state);
                let column = if now { &step.state } else { &step.final_state };
                assert_eq!(column[..spec.state_width], state, "{}: state", entry.name);
            };
            if step.is_first[0] {
                check(&*one, &reward, false);
                assert_eq!(step.truncated[0], truncated, "{}: truncated", entry.name);
                episode += 1;
                one.reset(&mut Stream::new(9, Purpose::Reset, 0, episode));
            }
            check(&*one, &reward, true);
            t += 1;
        }
    }
}

#[test]
fn a_loaded_state_continues_to_the_same_bits() {
    for entry in entries() {
        let (mut env, mut step, mut actions) = start(&entry, 4, 5);
        for t in 0..33 {
            random_actions(&*env, &step, 4, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
        }
        let mut saved = Writer::new();
        env.save(&mut saved);
        let bytes = saved.into_bytes();
        let (mut other, _, _) = start(&entry, 77, 5);
        let mut reader = Reader::new("environment", &bytes);
        other.load(&mut reader).unwrap();
        reader.finish().unwrap();
        let mut other_step = step.clone();
        for t in 33..90 {
            random_actions(&*env, &step, 4, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
            other.step(&actions, &mut other_step).unwrap();
            assert!(step == other_step, "{}: differs at step {t}", entry.name);
        }
        for cut in 0..bytes.len().min(200) {
            let damaged = other.load(&mut Reader::new("environment", &bytes[..cut]));
            assert!(damaged.is_err(), "{}: accepted {cut} bytes", entry.name);
        }
    }
}

#[test]
fn actions_outside_their_space_are_refused() {
    for entry in entries() {
        let (mut env, mut step, actions) = start(&entry, 1, 3);
        for (g, group) in env.spec().clone().groups.iter().enumerate() {
            let mut bad = actions.clone();
            match group.action {
                ActionSpace::Discrete { n } => *bad.discrete[g].last_mut().unwrap() = n as u32,
                ActionSpace::Continuous { high, .. } => *bad.continuous[g].last_mut().unwrap() = high * 1.01,
            }
            let text = env.step(&bad, &mut step).unwrap_err().to_string();
            assert!(!text.contains("illegal"), "{}: {text}", entry.name);
            assert!(text.contains("environment 2") && !text.contains('\n'), "{}: {text}", entry.name);
        }
    }
}

#[test]
fn bad_options_are_one_line_errors() {
    let refused = |name: &str, options: Value, n_envs: usize, word: &str| {
        let entry = coact_envs::find(name).unwrap();
        let text = entry.build(&options, n_envs).err().expect(word).to_string();
        assert!(text.contains(word) && !text.contains('\n'), "{name}: {text}");
    };
    use serde_json::json;
    refused("cartpole", json!({"n_agent": 2}), 1, "did you mean `n_agents`?");
    refused("cartpole", json!({"n_agents": 0}), 1, "use 1 to 1024");
    refused("cartpole", json!({"n_agents": -1}), 1, "`n_agents`");
    refused("cartpole", json!({"coupling": "rope"}), 1, "spring");
    refused("cartpole", json!({"stiffness": -1.0}), 1, "stiffness");
    refused("cartpole", json!({"max_steps": 0}), 1, "max_steps");
    refused("cartpole", Value::Null, 0, "n_envs is 0");
    refused("cartpole", json!([1]), 1, "object");
    refused("simple_spread", json!({"n_agents": 0}), 1, "n_agents is 0");
    refused("simple_spread", json!({"local_ratio": 1.5}), 1, "local_ratio");
    refused("simple_tag", json!({"n_adversaries": 0}), 1, "n_adversaries");
    refused("simple_tag", json!({"curriculum_stage": 3}), 1, "curriculum_stage is 3; use 0 to 2");
    refused("simple_spread", json!({"n_agent_neighbors": 0}), 1, "n_agent_neighbors is 0");
    refused("simple_adversary", json!({"n_landmark_neighbors": 129}), 1, "n_landmark_neighbors is 129");
    refused("simple_formation", json!({"n_agents": 129}), 1, "n_agents is 129");
    refused("simple_line", json!({"max_cycles": 0}), 1, "max_cycles");
    refused("collect_treasure", json!({"n_deposits": 7}), 1, "n_deposits is 7; use 1 to 6");
    refused("collect_treasure", json!({"max_cycles": 0}), 1, "max_cycles");
    refused("simple", json!({"max_cycles": 0}), 1, "max_cycles");
    refused("simple_reference", json!({"local_ratio": 1.5}), 1, "local_ratio");
    refused("simple_world_comm", json!({"n_food": 0}), 1, "n_food");
    refused("penalty", json!({"k": -5.0}), 1, "k is -5");
    refused("matrix", json!({"file": "/nowhere/table.json"}), 1, "/nowhere/table.json");
    refused("matrix", json!({"table": {"payoffs": [[1, 2], [3]]}}), 1, "full table");
    refused("matrix", json!({"table": {"payoffs": [1, 2]}}), 1, "players");
    refused("matrix", json!({"table": {"payoff": [[1]]}}), 1, "payoffs");
    refused("lbf/Foraging-8x8-2p-2f-fast-v3", Value::Null, 1, "`fast`");
    refused("lbf/Foraging-2x8-2p-2f-v3", Value::Null, 1, "rows is 2");
    refused("lbf/Foraging-8x8-0p-2f-v3", Value::Null, 1, "players is 0");
    refused("lbf/Foraging-8x8-2p-2f-v3", json!({"penalty": -1.0}), 1, "penalty is -1");
    refused("lbf/Foraging-8x8-2p-2f-v3", json!({"max_player_level": [1, 2, 3]}), 1, "give one, or 2");
    refused("lbf/Foraging-8x8-2p-2f-v3", json!({"min_player_level": 3}), 1, "swap them");
    refused("lbf/Foraging-8x8-2p-2f-v3", json!({"max_step": 3}), 1, "did you mean `max_steps`?");
    refused("rware/huge-2ag-v2", Value::Null, 1, "`huge`");
    refused("rware/custom-2ag-v2", Value::Null, 1, "`layout`");
    refused("rware/tiny-0ag-v2", Value::Null, 1, "robots is 0");
    refused("rware/tiny-2ag-v2", json!({"layout": "g.\nx?"}), 1, "line 2, column 2");
    refused("rware/tiny-2ag-v2", json!({"request_queue_size": 32}), 1, "request_queue_size is 32");
    refused("rware/tiny-2ag-v2", json!({"reward": "all"}), 1, "`reward`");
    refused("rware/tiny-2ag-v2", json!({"msg_bits": 9}), 1, "msg_bits is 9");
    refused("simple_spread", json!({"scale": "sum"}), 1, "`scale`");
    refused("overcooked", json!({"layout": "big"}), 1, "cramped_room");
    refused("overcooked/big", Value::Null, 1, "cramped_room");
    refused("switch_riddle", json!({"n_agents": 1}), 1, "n_agents is 1");
    refused("levers", json!({"n_pool": 3}), 1, "n_pool 3");
    refused("predator_prey", json!({"dim": 1}), 1, "dim 2 to 40");
    refused("traffic_junction", json!({"dim": 7}), 1, "7 cells");
    refused("traffic_junction", json!({"add_rate": 1.5}), 1, "add_rate is 1.5");
    refused("coin_game", json!({"coins": "three"}), 1, "`coins`");
    refused("two_step", json!({"steps": 3}), 1, "no option");
    refused("iterated_matrix", json!({"file": "/nowhere/table.json"}), 1, "/nowhere/table.json");
    let text = coact_envs::find("simple_spraed").err().unwrap().to_string();
    assert!(text.contains("did you mean `simple_spread`?"), "{text}");
}

#[test]
fn listed_defaults_are_the_defaults() {
    for entry in ALL {
        let mut default = entry.build(&Value::Null, 2).unwrap();
        default.reset(0, &mut StepBatch::new(default.spec(), 2)).unwrap();
        let listed = entry.options.iter().map(|o| {
            (o.name.to_string(), serde_json::from_str(o.default).unwrap_or_else(|_| o.default.into()))
        });
        let options = Value::Object(listed.collect());
        let explicit = entry.build(&options, 2).unwrap();
        assert_eq!(default.spec(), explicit.spec(), "{}", entry.name);
        let (mut save_a, mut save_b) = (Writer::new(), Writer::new());
        default.save(&mut save_a);
        let mut explicit = explicit;
        let mut step = StepBatch::new(explicit.spec(), 2);
        explicit.reset(0, &mut step).unwrap();
        explicit.save(&mut save_b);
        assert_eq!(save_a.into_bytes(), save_b.into_bytes(), "{}", entry.name);
    }
}

#[test]
fn continuous_actions_move_the_particles() {
    for name in [
        "simple",
        "simple_spread",
        "simple_speaker_listener",
        "simple_adversary",
        "simple_tag",
        "simple_crypto",
        "simple_push",
        "simple_reference",
        "simple_world_comm",
        "simple_formation",
        "simple_line",
        "collect_treasure",
    ] {
        let entry = coact_envs::find(name).unwrap();
        let mut env = entry.build(&serde_json::json!({"continuous": true}), 4).unwrap();
        let mut step = StepBatch::new(env.spec(), 4);
        env.reset(1, &mut step).unwrap();
        let mut actions = ActionBatch::new(env.spec(), 4);
        let before = step.clone();
        for t in 0..30 {
            random_actions(&*env, &step, 8, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
        }
        assert_ne!(before.state, step.state, "{name}");
        let mut bad = actions.clone();
        bad.continuous[0][0] = f32::NAN;
        assert!(env.step(&bad, &mut step).is_err(), "{name} takes NaN");
    }
}
