//! `coact solve` and `coact verify` for games in normal form, as a user calls them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn coact(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coact")).args(args).output().unwrap()
}

fn answer(args: &[&str]) -> Value {
    let output = coact(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn holds(dir: &Path, answer: &Value) -> bool {
    let path = dir.join("answer.json");
    std::fs::write(&path, answer.to_string()).unwrap();
    coact(&["verify", path.to_str().unwrap()]).status.success()
}

/// Without a terminal a search that takes years says so twice: how many vertices, and after a moment how long.
#[test]
fn long_searches_are_announced_and_measured() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.nfg");
    let payoffs: Vec<String> = (0..3200_u64).map(|i| (i * i * 7919 % 1009).to_string()).collect();
    let text = format!("NFG 1 R \"large\" {{ \"a\" \"b\" }} {{ 40 40 }}\n\n{}", payoffs.join(" "));
    std::fs::write(&path, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_coact"))
        .args(["solve", path.to_str().unwrap(), "--all"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (first, second) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        first.starts_with("warning: method `vertices` on a 40x40 game goes through about 2.8e14"),
        "{first}"
    );
    assert!(second.contains(" vertices in ") && second.contains("all take some"), "{second}");
    assert!(second.ends_with("years"), "{second}");
}

#[test]
fn every_stated_number_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let nash = answer(&["solve", "chicken", "--all", "--exact", "--json"]);
    let joint = answer(&["solve", "chicken", "--method", "correlated", "--json"]);
    let kuhn = answer(&["solve", "kuhn_poker", "--exact", "--json"]);
    let model = answer(&["plan", "frozenlake", "--json"]);
    let team = answer(&["plan", "dectiger", "--horizon", "2", "--json"]);
    let soccer = answer(&["plan", "soccer", "--json"]);
    let learned =
        answer(&["plan", "grid-game-1", "--method", "nash-q", "--steps", "500", "--json", "--quiet"]);
    for result in [&nash, &joint, &kuhn, &model, &team, &soccer, &learned] {
        assert!(holds(dir.path(), result), "{result}");
    }
    for (result, path, value) in [
        (&nash, "/equilibria/1/0/0", json!("1/3")),
        (&nash, "/values/0/0", json!("5")),
        (&nash, "/certificate/gains/0/0", json!("1/100")),
        (&nash, "/certificate/largest_gain", json!(0.5)),
        (&joint, "/joint/0", json!(0.51)),
        (&joint, "/values/0/0", json!(7.0)),
        (&joint, "/certificate/gains/0/0", json!(-1.0)),
        (&kuhn, "/equilibria/0/0/0/probabilities", json!(["1/2", "1/2"])),
        (&kuhn, "/equilibria/0/0/0/actions/0", json!("b")),
        (&kuhn, "/certificate/exploitability", json!("-1/10")),
        (&kuhn, "/certificate/nash_conv", json!("1/10")),
        (&model, "/values/0", json!(0.6)),
        (&model, "/start_value", json!(0.6)),
        (&model, "/residual", json!(0.0)),
        (&model, "/policy/14", json!(3)),
        (&team, "/values/0", json!(-3.9)),
        (&team, "/certificate/value", json!(-3.9)),
        (&team, "/bounds/mmdp", json!(-4.1)),
        (&team, "/policy/0/0", json!(1)),
        (&soccer, "/start_value", json!(0.3)),
        (&soccer, "/certificate/row_gap", json!(-1.0)),
        (&soccer, "/certificate/value_bound", json!(-1.0)),
        (&soccer, "/policy/0/0", json!([0.0, 0.0, 0.0, 0.0, 0.5])),
        (&learned, "/start_values/0", json!(97.1)),
        (&learned, "/certificate/nash_conv", json!(-1.0)),
        (&learned, "/certificate/gains/1", json!(-1.0)),
    ] {
        let mut wrong = result.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        assert_ne!(&wrong, result, "{path}");
        assert!(!holds(dir.path(), &wrong), "{path} of {}", wrong["kind"]);
    }
}

/// All payoffs the same, not a round number in floats: nothing to gain, and rounding is no fault.
#[test]
fn constant_games_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("constant.txt");
    std::fs::write(&path, "0.1 0.1\n0.1 0.1\n").unwrap();
    for method in ["hedge", "zero-sum", "vertices", "coarse-correlated"] {
        let result = answer(&["solve", path.to_str().unwrap(), "--method", method, "--json", "--quiet"]);
        assert!(holds(dir.path(), &result), "{method}: {result}");
    }
}
