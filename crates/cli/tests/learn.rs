//! Learners of `coact plan` and `coact solve`, as a user or a script runs them.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coact")).current_dir(dir).args(args).output().unwrap()
}

fn answer(dir: &Path, args: &[&str]) -> Value {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap()
}

fn refused(args: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: {text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{args:?}: `{word}` is not in: {text}"));
}

#[test]
fn learners_are_measured_drawn_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for args in [
        ["plan", "cliff", "--method", "q-learning", "--episodes", "600", "--alpha", "0.5"],
        ["plan", "windy", "--method", "sarsa-lambda", "--episodes", "2000", "--epsilon", "0.3..0.001:log"],
        ["plan", "crossing", "--method", "hysteretic", "--episodes", "6000", "--epsilon", "0.5..0"],
    ] {
        let all = [&args[..], &["--json", "--quiet", "--plot", "curve.svg", "--out", "answer.json"]].concat();
        let found = answer(dir, &all);
        let gap =
            found["optimal_start_value"].as_f64().unwrap() - found["policy_start_value"].as_f64().unwrap();
        assert!((-1e-6..1.5).contains(&gap), "{args:?}: {gap}");
        let curve = found["curve"].as_array().unwrap();
        assert!(curve.len() <= 200 && curve.len() > 50, "{args:?}");
        assert!(
            curve[0][1].as_f64().unwrap() < found["last_returns"].as_f64().unwrap(),
            "{args:?}: no learning"
        );
        assert!(std::fs::read_to_string(dir.join("curve.svg")).unwrap().contains("discounted return"));
        assert!(run(dir, &["verify", "answer.json"]).status.success(), "{args:?}");
        assert_eq!(found["curve"], answer(dir, &all)["curve"], "{args:?}: another run");
    }
}

#[test]
fn markov_games_are_learned_and_what_is_left_to_gain_is_certified() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let nash =
        ["plan", "grid-game-1", "--method", "nash-q", "--steps", "10000", "--epsilon", "1", "--alpha", "1"];
    let more = ["--json", "--quiet", "--out", "answer.json"];
    let found = answer(dir, &[&nash[..], &more].concat());
    assert!(found["residual"].as_f64().unwrap() < 1e-9, "{}", found["certificate"]);
    assert!((found["start_values"][0].as_f64().unwrap() - 97.0299).abs() < 1e-6);
    assert!(run(dir, &["verify", "answer.json"]).status.success());
    for (pointer, value) in [("/values/1/74", 42.0), ("/policy/0/74/0", 0.5)] {
        let mut forged = found.clone();
        *forged.pointer_mut(pointer).unwrap() = value.into();
        std::fs::write(dir.join("forged.json"), forged.to_string()).unwrap();
        assert_eq!(run(dir, &["verify", "forged.json"]).status.code(), Some(1), "{pointer}");
    }
    // A short run has something left to gain, and cannot say that it has not.
    let mut short =
        answer(dir, &["solve", "soccer", "--method", "minimax-q", "--steps", "2000", "--json", "--quiet"]);
    assert!(short["residual"].as_f64().unwrap() > 0.01 && short["equilibria"][0] == short["policy"]);
    std::fs::write(dir.join("short.json"), short.to_string()).unwrap();
    assert!(run(dir, &["verify", "short.json"]).status.success());
    short["residual"] = 0.001.into();
    std::fs::write(dir.join("short.json"), short.to_string()).unwrap();
    assert_eq!(run(dir, &["verify", "short.json"]).status.code(), Some(1));
}

#[test]
fn games_in_normal_form_are_learned_by_playing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let args =
        ["solve", "matching-pennies", "--method", "wolf-phc", "--steps", "200000", "--json", "--quiet"];
    let found = answer(dir, &[&args[..], &["--plot", "wolf.svg", "--out", "answer.json"]].concat());
    assert!(found["certificate"]["largest_gain"].as_f64().unwrap() < 0.2, "{}", found["equilibria"]);
    assert_eq!(found["claim"], "approximate");
    assert!(std::fs::read_to_string(dir.join("wolf.svg")).unwrap().contains("NashConv"));
    assert!(run(dir, &["verify", "answer.json"]).status.success());
}

#[test]
fn wrong_settings_are_one_line() {
    refused(&["plan", "grid5", "--method", "hysteretic-q"], &["several agents", "crossing"]);
    refused(&["plan", "grid5", "--method", "q-learning", "--alpha", "2"], &["`2` is no rate", "1..0.05"]);
    refused(&["plan", "grid5", "--method", "q-learning", "--episodes", "0"], &["at least one"]);
    refused(&["plan", "grid5", "--method", "monte-carlo", "--epsilon", "1..0"], &["do not change"]);
    refused(&["plan", "grid5", "--method", "q-lerning"], &["did you mean `q-learning`?"]);
    refused(&["plan", "soccer", "--method", "q-learning"], &["no method `q-learning`", "minimax-q"]);
    refused(&["plan", "soccer", "--method", "friend-or-foe-q", "--friend", "3"], &["--friend", "1 or 2"]);
    refused(&["solve", "soccer", "--method", "wolf-phc", "--steps", "0"], &["0 steps"]);
    refused(&["solve", "soccer", "--exact"], &["--exact"]);
    refused(&["solve", "public-goods", "--method", "minimax-q"], &["two players"]);
    refused(&["rank", "soccer"], &["Markov game", "coact plan soccer"]);
}
