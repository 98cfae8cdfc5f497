//! Scripts from the command line: beside a learner, and alone in `evaluate` and `play`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn coact(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coact")).current_dir(dir).args(args).output().unwrap()
}

fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = coact(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn last_json(output: &str) -> Value {
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

/// A run of hunters against a script, of two seconds at most.
fn short_run<'a>(out: &'a str, env_steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args =
        vec!["train", "fast/simple_tag-mappo", "--quiet", "--json", "--threads", "1", "--out", out];
    args.extend([
        "--env-steps",
        env_steps,
        "--set",
        "n_envs=8",
        "--set",
        "hidden=[16]",
        "--set",
        "final_eval_episodes=8",
    ]);
    args.extend(["--set", "eval_every=800", "--set", "checkpoint_every=800"]);
    args.extend(more);
    args
}

#[test]
fn hunters_learn_while_prey_plays_by_a_script() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let whole = last_json(&succeed(dir, &short_run("whole", "3200", &[])));
    assert_eq!(whole["agents"], serde_json::json!(["adversary_0", "adversary_1", "adversary_2"]));
    let config = std::fs::read_to_string(dir.join("whole/config.toml")).unwrap();
    assert!(config.contains("[scripted]\nagent = \"flee\"\n"), "{config}");
    assert!(dir.join("whole/play.gif").is_file());
    // Another script is another configuration, and gives other hunters.
    let other = last_json(&succeed(dir, &short_run("other", "3200", &["--set", "scripted.agent=noop"])));
    assert_ne!(other["config_hash"], whole["config_hash"]);
    assert_ne!(other["params_hash"], whole["params_hash"]);
    // A team that was trained plays against the same script again.
    let evaluated = last_json(&succeed(dir, &["evaluate", "whole", "--episodes", "4", "--quiet", "--json"]));
    assert_eq!(evaluated["agents"], whole["agents"]);
    succeed(dir, &["play", "whole", "--gif", "whole.gif"]);
}

/// A run that goes on from an earlier checkpoint ends with the bits of one that was not interrupted.
#[test]
fn a_resumed_run_meets_the_same_prey() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for script in ["flee", "uniform"] {
        let set = format!("scripted.agent={script}");
        let whole = last_json(&succeed(dir, &short_run(script, "3200", &["--set", &set])));
        let entries = std::fs::read_dir(dir.join(script).join("checkpoints")).unwrap();
        let mut checkpoints: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
        checkpoints.sort();
        assert!(checkpoints.len() > 1, "{checkpoints:?}");
        std::fs::remove_dir_all(checkpoints.last().unwrap()).unwrap();
        let resumed = last_json(&succeed(dir, &["train", "--resume", script, "--quiet", "--json"]));
        for key in ["params_hash", "env_steps", "episodes", "evaluation"] {
            assert_eq!(resumed[key], whole[key], "{key}, {script}");
        }
    }
}

/// Prey that was trained before, by any algorithm, plays on and learns no more; whatever becomes of its run, one that began
/// against it goes on to the same bits.
#[test]
fn hunters_learn_against_a_frozen_run() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let prey = ["--set", "scripted={ adversary = \"chase\" }"];
    succeed(dir, &short_run("prey", "1600", &prey));
    let frozen = ["--set", "scripted={}", "--set", "frozen.agent=prey"];
    let whole = last_json(&succeed(dir, &short_run("whole", "3200", &frozen)));
    assert_eq!(whole["agents"], serde_json::json!(["adversary_0", "adversary_1", "adversary_2"]));
    let other = last_json(&succeed(dir, &short_run("scripted", "3200", &[])));
    assert_ne!(whole["params_hash"], other["params_hash"]);
    // Another policy in the place of the first, and an earlier checkpoint to go on from.
    std::fs::remove_dir_all(dir.join("prey")).unwrap();
    let prey = [&prey[..], &["--seed", "7"]].concat();
    succeed(dir, &short_run("prey", "1600", &prey));
    let entries = std::fs::read_dir(dir.join("whole/checkpoints")).unwrap();
    let newest = entries.map(|e| e.unwrap().path()).max().unwrap();
    std::fs::remove_dir_all(newest).unwrap();
    let resumed = last_json(&succeed(dir, &["train", "--resume", "whole", "--quiet", "--json"]));
    for key in ["params_hash", "env_steps", "evaluation"] {
        assert_eq!(resumed[key], whole[key], "{key}");
    }
    let refused = |more: &[&str], words: &[&str]| {
        let output = coact(dir, &short_run("refused", "1600", &[&frozen[..2], more].concat()));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.trim_end().lines().count() == 1, "{text}");
        words.iter().for_each(|word| assert!(text.contains(word), "`{word}` is not in: {text}"));
    };
    refused(&["--set", "frozen.agent=absent"], &["absent", "not a run folder"]);
    refused(&["--set", "frozen.agents=prey"], &["`agents`", "did you mean `agent`"]);
    refused(&["--set", "frozen.adversary=prey"], &["prey", "no policy for group `adversary`"]);
    refused(&["--set", "frozen.agent=prey", "--set", "env_options.n_agents=2"], &["prey", "other options"]);
    refused(&["--set", "frozen.agent=prey", "--set", "scripted.agent=flee"], &["`agent`", "twice"]);
}

#[test]
fn scripts_are_evaluated_listed_and_filmed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let listed = last_json(&succeed(dir, &["list", "envs", "--json"]));
    let env =
        |name: &str| listed["envs"].as_array().unwrap().iter().find(|e| e["name"] == name).unwrap().clone();
    assert!(env("climbing")["scripted_return"].is_null());
    for name in ["simple", "simple_spread", "simple_tag", "lbf/Foraging-8x8-2p-2f-coop-v3"] {
        let args = ["evaluate", name, "--policy", "scripted", "--episodes", "400", "--quiet", "--json"];
        let played = last_json(&succeed(dir, &args));
        let mean = played["evaluation"]["return_mean"].as_f64().unwrap();
        let error = played["evaluation"]["return_std"].as_f64().unwrap() / 20.0;
        let said = env(name)["scripted_return"].as_f64().unwrap();
        assert!((mean - said).abs() < 4.0 * error + 0.05, "{name}: {mean} +- {error}, listed as {said}");
    }
    assert_eq!(env("simple_tag")["scripts"][1]["name"], "flee");
    let text = succeed(dir, &["evaluate", "simple_tag", "--policy", "flee", "--episodes", "4"]);
    assert!(text.contains("adversary=chase,agent=flee") && text.contains("random"), "{text}");
    let options = ["--set", "n_agents=2", "--json", "--quiet", "--episodes", "4"];
    let two =
        last_json(&succeed(dir, &[&["evaluate", "simple_tag", "--policy", "noop"][..], &options].concat()));
    assert_eq!(two["agents"].as_array().unwrap().len(), 5);
    succeed(
        dir,
        &[
            "play",
            "simple_tag",
            "--policy",
            "agent=flee,adversary=chase",
            "--gif",
            "tag.gif",
            "--png",
            "tag.png",
        ],
    );
    assert!(dir.join("tag.gif").is_file() && dir.join("tag.png").is_file());
    let text = succeed(dir, &["train", "--explain", "scripted"]);
    assert!(text.contains("flee") && text.contains("script"), "{text}");
}

#[test]
fn scripts_that_do_not_exist_are_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let tag = |set: &'static str| vec!["train", "fast/simple_tag-mappo", "--out", "run", "--set", set];
    for (args, words) in [
        (tag("scripted.agent=fle"), &["`fle`", "did you mean `flee`"][..]),
        (tag("scripted.agents=flee"), &["`agents`", "did you mean `agent`"]),
        (tag("scripted.adversary=chase"), &["all groups", "leave one"]),
        (tag("scripted.agent=3"), &["scripted", "string"]),
        (tag("script.agent=flee"), &["script.agent", "unknown key"]),
        (vec!["evaluate", "simple_tag"], &["--policy random", "--policy scripted"]),
        (vec!["evaluate", "simple_tag", "--policy", "chas"], &["`chas`", "did you mean `chase`"]),
        (vec!["evaluate", "absent", "--policy", "chase"], &["absent", "--policy chase"]),
        (vec!["play", "simple_tag", "--policy", "flees"], &["`flees`", "did you mean `flee`"]),
        (vec!["play", "simple_tag", "--policy", "greedy"], &["no trained policy", "--policy random"]),
    ] {
        let output = coact(dir.path(), &args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: {text}");
        words.iter().for_each(|word| assert!(text.contains(word), "{args:?}: `{word}` is not in: {text}"));
    }
}
