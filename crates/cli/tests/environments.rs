//! Allocation and negotiation as environments: listed, trained, evaluated beside the answers of solvers.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "binary/support.rs"]
mod support;

use std::fs;
use std::path::Path;

use coact::environments::{ALLOCATION, BARGAINING, all, find, yardsticks};
use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, RewardKind, StepBatch};
use coact_envs::golden::random_actions;
use coact_runner::{Policy, evaluate};
use serde_json::{Value, json};
use support::{last_json, refused, succeed};

/// Two robots in a corridor and four tasks: whoever takes the nearest task first loses what lies beyond.
const CORRIDOR: &str = "kind,name,x,y,speed,capacity,skills,duration,earliest,latest,after,reward
robot,left,0,0,1,2,,,,,,
robot,right,10,0,1,2,,,,,,
task,a,2,0,,,,1,,,,5
task,b,4,0,,,,1,,,,6
task,c,6,0,,,,1,,,,9
task,d,9,0,,,,1,,,,4
";

#[test]
fn batches_play_alike_from_a_seed_and_go_on_from_a_saved_state() {
    for entry in [ALLOCATION, BARGAINING] {
        let mut env = find(entry.name).unwrap().build(&Value::Null, 3).unwrap();
        assert_eq!(env.spec().name, entry.name);
        let mut step = StepBatch::new(env.spec(), 3);
        let mut actions = ActionBatch::new(env.spec(), 3);
        env.reset(5, &mut step).unwrap();
        let first = step.clone();
        let mut n_ended = 0;
        for t in 0..200 {
            random_actions(&*env, &step, 1, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
            assert!(!step.truncated.contains(&true), "{}: ends are its own", entry.name);
            for e in (0..3).filter(|&e| step.is_first[e]) {
                n_ended += 1;
                let n = env.spec().n_agents();
                assert!(step.groups[0].terminated[e * n..(e + 1) * n].iter().all(|ended| *ended));
                let d = n * env.spec().groups[0].obs_width();
                assert_eq!(
                    step.groups[0].obs[e * d..(e + 1) * d],
                    first.groups[0].obs[..d],
                    "{}",
                    entry.name
                );
            }
            if env.spec().reward == RewardKind::Common {
                let rewards = step.groups[0].reward.chunks(env.spec().n_agents());
                assert!(rewards.into_iter().all(|own| own.iter().all(|r| *r == own[0])));
            }
        }
        assert!(n_ended > 20, "{}: {n_ended} episodes", entry.name);
        let mut saved = Writer::new();
        env.save(&mut saved);
        let bytes = saved.into_bytes();
        let mut other = find(entry.name).unwrap().build(&Value::Null, 3).unwrap();
        let mut other_step = step.clone();
        other.reset(6, &mut other_step).unwrap();
        let mut reader = Reader::new("environment", &bytes);
        other.load(&mut reader).unwrap();
        reader.finish().unwrap();
        other_step = step.clone();
        for t in 200..260 {
            random_actions(&*env, &step, 1, t, &mut actions);
            env.step(&actions, &mut step).unwrap();
            other.step(&actions, &mut other_step).unwrap();
            assert!(step == other_step, "{}: step {t} differs", entry.name);
        }
    }
}

#[test]
fn listed_defaults_and_returns_are_those_of_the_environments() {
    for entry in [ALLOCATION, BARGAINING] {
        let listed: serde_json::Map<String, Value> = entry
            .options
            .iter()
            .map(|o| (o.name.to_string(), serde_json::from_str(o.default).unwrap()))
            .collect();
        let mut one = entry.build(&Value::Null, 32).unwrap();
        let mut same = entry.build(&listed.into(), 32).unwrap();
        assert_eq!(one.spec(), same.spec());
        let returns = |env: &mut dyn coact_core::BatchEnv, episodes: usize| {
            evaluate(env, Policy::Random { seed: 7 }, episodes, 7, |_, _| {}).unwrap().return_mean
        };
        assert_eq!(returns(&mut *one, 200), returns(&mut *same, 200), "{}", entry.name);
        // Three standard errors of 20,000 episodes are 0.006 of the one return and 0.022 of the other.
        let random = returns(&mut *one, 20_000);
        let gap = (random - entry.random_return).abs();
        assert!(gap < 0.025 * entry.random_return, "{}: {random}", entry.name);
        let best = yardsticks(entry.name, &Value::Null).unwrap();
        let most = best.iter().map(|y| y.return_mean).fold(0.0, f64::max);
        let best_known = entry.best_known.unwrap();
        assert!((most - best_known).abs() < 0.01, "{}: {most}, listed is {best_known}", entry.name);
    }
    let text = succeed(Path::new("."), &["list", "envs", "--json"]);
    let names = last_json(&text)["envs"].as_array().unwrap().len();
    assert_eq!(names, all().len());
    assert!(text.contains("\"allocation\"") && text.contains("\"bargaining\""));
}

/// A team that learns in the corridor ends beside the exact plan, which evaluation shows.
#[test]
fn a_team_learns_to_share_tasks_out() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("corridor.csv"), CORRIDOR).unwrap();
    let mut args =
        vec!["train", "--env", "allocation", "--algorithm", "vdn", "--quiet", "--json", "--out", "run"];
    args.extend(["--env-steps", "6000", "--threads", "1", "--seed", "1"]);
    for setting in [
        "env_options.file=corridor.csv",
        "env_options.discount=0.85",
        "learning_starts=300",
        "eval_every=6000",
        "final_eval_episodes=4",
        "hidden=[32]",
        "gamma=1.0",
        "learning_rate=2e-3",
        "target_network_update_freq=100",
        "exploration_fraction=0.6",
        "sharing=separate",
    ] {
        args.extend(["--set", setting]);
    }
    succeed(dir.path(), &args);
    let text = succeed(dir.path(), &["evaluate", "run", "--episodes", "40", "--json"]);
    let out = last_json(&text);
    let yardstick = |name: &str| {
        let all = out["yardsticks"].as_array().unwrap();
        all.iter().find(|y| y["name"] == name).unwrap_or_else(|| panic!("{name}: {all:?}")).clone()
    };
    let exact = yardstick("exact")["return_mean"].as_f64().unwrap();
    let own = out["evaluation"]["return_mean"].as_f64().unwrap();
    let random = out["evaluation"]["random_return_mean"].as_f64().unwrap();
    assert!(
        own <= exact + 1e-5 && own > 0.97 * exact && random < 0.9 * exact,
        "{own} of {exact}, random {random}"
    );
    // The same plan, from the solver's own command.
    let args = [
        "allocate",
        "corridor.csv",
        "--method",
        "exact",
        "--goal",
        "reward",
        "--discount",
        "0.85",
        "--json",
        "--quiet",
    ];
    let total = last_json(&succeed(dir.path(), &args))["total_cost"].as_f64().unwrap();
    // Two robots are paid the share of all rewards, 24.
    assert!((exact - 2.0 * total / 24.0).abs() < 1e-9, "{exact} and {total}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("by exact") && lines[0].contains("by greedy"), "{text}");
    let width = lines[0].len();
    assert!(lines[1..4].iter().all(|line| line.len() == width), "columns stand below their names: {text}");
}

/// A buyer finds out what a seller who concedes will give.
#[test]
fn a_buyer_learns_the_best_reply_to_a_conceder() {
    let dir = tempfile::tempdir().unwrap();
    let mut args =
        vec!["train", "--env", "bargaining", "--algorithm", "iql", "--quiet", "--json", "--out", "run"];
    args.extend(["--env-steps", "8000", "--threads", "1"]);
    for setting in [
        "env_options.agents=[\"learn\", \"conceder\"]",
        "env_options.rounds=5",
        "learning_starts=300",
        "eval_every=8000",
        "final_eval_episodes=4",
        "hidden=[32]",
        "gamma=1.0",
        "learning_rate=2e-3",
        "target_network_update_freq=100",
        "exploration_fraction=0.6",
    ] {
        args.extend(["--set", setting]);
    }
    succeed(dir.path(), &args);
    let out = last_json(&succeed(dir.path(), &["evaluate", "run", "--episodes", "40", "--json", "--quiet"]));
    let yardsticks = out["yardsticks"].as_array().unwrap();
    let names: Vec<&str> = yardsticks.iter().map(|y| y["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["best-reply", "nash", "kalai-smorodinsky", "egalitarian", "utilitarian"]);
    let best = yardsticks[0]["return_mean"].as_f64().unwrap();
    let own = out["evaluation"]["return_mean"].as_f64().unwrap();
    let random = out["evaluation"]["random_return_mean"].as_f64().unwrap();
    assert!(own <= best + 1e-5 && own > 0.95 * best, "{own} of {best}");
    assert!(random < 0.8 * best, "random play gets {random} of {best}");
}

/// What nobody trained is shown beside the same answers, of the options that were set.
#[test]
fn fixed_policies_stand_beside_solvers() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("corridor.csv"), CORRIDOR).unwrap();
    let args = ["evaluate", "allocation", "--policy", "random", "--episodes", "20", "--quiet", "--json"];
    let set = ["--set", "file=corridor.csv", "--set", "goal=travel"];
    let [twelve, corridor] = [&[][..], &set].map(|set| {
        let out = last_json(&succeed(dir.path(), &[&args[..], set].concat()));
        let all = out["yardsticks"].as_array().unwrap();
        let names: Vec<&str> = all.iter().map(|y| y["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["exact", "cbba", "greedy"]);
        let best = all[0]["return_mean"].as_f64().unwrap();
        assert!(out["evaluation"]["return_mean"].as_f64().unwrap() < best);
        best
    });
    assert!((twelve - ALLOCATION.best_known.unwrap()).abs() < 0.01, "{twelve}");
    // All four tasks count for both robots, and travel takes off less than one of them.
    assert!(corridor > 6.0 && corridor < 8.0, "{corridor}");
}

#[test]
fn other_environments_have_no_yardsticks_and_wrong_options_are_told() {
    assert!(yardsticks("climbing", &Value::Null).unwrap().is_empty());
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    file("bad.csv", "kind,name,x,y\nrobot,a,zero,0\n");
    file("game.json", r#"{"players": ["a"], "values": {"a": 1}}"#);
    file("talk.yaml", "name: nothing\nobjective: min\n");
    let wrong = |env: &str, setting: &str, words: &[&str]| {
        let setting = format!("env_options.{setting}");
        refused(dir.path(), 2, &["train", "--env", env, "--set", &setting, "--out", "run"], words);
        assert!(!dir.path().join("run").exists());
    };
    wrong("allocation", "file=bad.csv", &["bad.csv: line 2, column 9", "zero"]);
    wrong("allocation", "file=gone.csv", &["gone.csv"]);
    wrong("allocation", "file=game.json", &["coalition game"]);
    wrong("allocation", "goal=speed", &["`speed`", "makespan"]);
    wrong("allocation", "gaol=travel", &["did you mean `goal`?"]);
    wrong("bargaining", "file=talk.yaml", &["talk.yaml", "no talk"]);
    wrong("bargaining", "file=labtop", &["did you mean `laptop`?"]);
    wrong("bargaining", "agents=[\"learn\", \"micro\"]", &["boulware"]);
    wrong("bargaining", "agents=[\"learn\"]", &["1 seats for 2 parties"]);
    wrong("bargaining", "rounds=0", &["0 rounds"]);
    refused(dir.path(), 2, &["train", "--env", "alocation"], &["did you mean `allocation`?"]);
    let film = ["play", "bargaining", "--policy", "random", "--gif", "a.gif", "--png", "a.png", "--json"];
    let out = last_json(&succeed(dir.path(), &film));
    assert!(out["frames"].as_u64().unwrap() > 1);
    assert_eq!(json!("a.gif"), out["gif"]);
}
