//! `coact plan` and `coact verify` of its answers, as a user or a script runs them.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coact"))
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn answer(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(succeed(dir, args).lines().last().unwrap()).unwrap()
}

fn refused(args: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{args:?}: `{word}` is not in: {text}"));
}

#[test]
fn every_kind_of_problem_is_planned_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (args, expected) in [
        (vec!["plan", "frozenlake", "--gamma", "1", "--method", "pi"], 14.0 / 17.0),
        (vec!["plan", "grid5", "--method", "lp"], 21.977485),
        (vec!["plan", "dectiger", "--horizon", "3"], 5.1908125),
        (vec!["plan", "soccer", "--method", "newton"], 0.0),
        (vec!["plan", "crossing", "--method", "value-iteration"], -8.0),
    ] {
        let all = [args.as_slice(), &["--json", "--plot", "chart.svg", "--out", "answer.json"]].concat();
        let found = answer(dir, &all);
        let value = found["start_value"].as_f64().or(found["values"][0].as_f64()).unwrap();
        assert!((value - expected).abs() < 1e-6, "{args:?}: {value}");
        assert!(found["residual"].as_f64().unwrap() < 1e-8 && found["policy"].is_array(), "{args:?}");
        assert!(std::fs::read_to_string(dir.join("chart.svg")).unwrap().starts_with("<svg"));
        succeed(dir, &["verify", "answer.json"]);
        // A claim that is too good is found out.
        let mut forged: Value = found.clone();
        forged["values"][0] = (found["values"][0].as_f64().unwrap() + 0.5).into();
        std::fs::write(dir.join("forged.json"), forged.to_string()).unwrap();
        assert_eq!(run(dir, &["verify", "forged.json"]).status.code(), Some(1), "{args:?}");
    }
}

#[test]
fn files_and_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let grid = "gamma 0.9\nletter G reward 1 end\nmap\nS.G\n";
    std::fs::write(dir.join("grid.txt"), grid).unwrap();
    let file = answer(dir, &["plan", "grid.txt", "--json"]);
    assert_eq!(file["values"], serde_json::json!([0.9, 1.0, 0.0]));
    assert_eq!(file["policy"], serde_json::json!([3, 3, null]));
    let mut child = Command::new(env!("CARGO_BIN_EXE_coact"))
        .args(["plan", "-", "--json", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(grid.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["values"], file["values"]);
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/mdp.json");
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(vectors).unwrap()).unwrap();
    let found = answer(dir, &["plan", vectors, "--case", "3", "--json"]);
    let expected = recorded["cases"][3]["V_opt"][0].as_f64().unwrap();
    assert!((found["values"][0].as_f64().unwrap() - expected).abs() < 1e-7);
}

#[test]
fn bounds_and_the_table_of_coordination() {
    let dir = tempfile::tempdir().unwrap();
    let found = answer(dir.path(), &["plan", "recycling", "--method", "bounds", "--json"]);
    assert!((found["bounds"]["mmdp"].as_f64().unwrap() - 33.847871).abs() < 1e-6);
    let table = answer(dir.path(), &["plan", "climbing", "--method", "table", "--runs", "10", "--json"]);
    let row =
        |game: &str| table["rows"].as_array().unwrap().iter().find(|r| r["game"] == game).unwrap().clone();
    assert_eq!(row("climbing")["optimal"]["team"], 1.0);
    assert!(row("climbing, partly random")["optimal"]["distributed"].as_f64().unwrap() < 0.2);
}

#[test]
fn bad_input_is_one_line() {
    refused(&["plan", "frozenlak"], &["frozenlak", "did you mean `frozenlake`?"]);
    refused(&["plan", "grid5", "--method", "qi"], &["no method `qi`", "vi, gs"]);
    refused(&["plan", "grid5", "--gamma", "2"], &["gamma", "0 to 1"]);
    refused(&["plan", "dectiger"], &["--horizon"]);
    refused(
        &["plan", "dectiger", "--horizon", "5"],
        &["exhaustive search of horizon 5", "best responses", "jesp"],
    );
    refused(&["plan", "grid-game-1"], &["not zero-sum"]);
    refused(&["plan", "grid5", "--plot", "chart.gif"], &["chart.gif", ".svg"]);
    let dir = tempfile::tempdir().unwrap();
    for (text, words) in [
        (
            "gamma = 0.9\nstates = 2\nactions = 1\ntransitions = [[0, 0, 1, 0.5, 1]]\nterminal = [1]\n",
            "sum to 0.5",
        ),
        ("gamma 0.9\nmap\n..\n.\n", "line 4, column 2"),
        ("agents: 2\ndiscount: x\n", "line 2, column 11"),
        ("{\"gamma\": 0.9,\n\"P\": [[[1, tru]]]}", "line 2, column"),
    ] {
        let path = dir.path().join("bad");
        std::fs::write(&path, text).unwrap();
        refused(&["plan", path.to_str().unwrap()], &[words]);
    }
}
