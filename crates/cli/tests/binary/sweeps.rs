//! `coact sweep`: its runs are those of `coact train`, however many at a time, and it goes on where it was stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{coact, last_json, refused, run, succeed};

fn result(dir: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir.join("result.json")).unwrap()).unwrap()
}

#[test]
fn the_runs_of_a_sweep_are_those_of_train_and_a_second_call_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let command = [
        "sweep",
        "climbing",
        "--grid",
        "learning_rate=1e-3,3e-3",
        "--grid",
        "hidden=[8],[8, 8]",
        "--seeds",
        "2",
        "--env-steps",
        "900",
        "--jobs",
        "3",
        "--out",
        "all",
        "--quiet",
        "--json",
    ];
    let told = last_json(&succeed(dir.path(), &command));
    assert_eq!((told["runs"].as_u64(), told["points"].as_array().unwrap().len()), (Some(8), 4));
    let returns: Vec<f64> =
        told["points"].as_array().unwrap().iter().map(|p| p["return_iqm"].as_f64().unwrap()).collect();
    assert!(returns.is_sorted_by(|a, b| a >= b), "the best comes first: {returns:?}");

    succeed(
        dir.path(),
        &[
            "train",
            "climbing",
            "--set",
            "learning_rate=3e-3",
            "--set",
            "hidden=[8, 8]",
            "--seed",
            "1",
            "--env-steps",
            "900",
            "--out",
            "one",
            "--quiet",
        ],
    );
    let swept = dir.path().join("all/learning_rate=0.003,hidden=[8,8]/seed1");
    let (one, swept_result) = (result(&dir.path().join("one")), result(&swept));
    assert_eq!(swept_result["params_hash"], one["params_hash"]);
    assert_eq!(swept_result["evaluation"], one["evaluation"]);

    let written = std::fs::metadata(swept.join("result.json")).unwrap().modified().unwrap();
    assert_eq!(last_json(&succeed(dir.path(), &command)), told);
    assert_eq!(std::fs::metadata(swept.join("result.json")).unwrap().modified().unwrap(), written);

    let layout: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("all/marl_eval.json")).unwrap())
            .unwrap();
    let algorithms = layout["climbing"]["climbing"].as_object().unwrap();
    assert_eq!(algorithms.len(), 4, "{:?}", algorithms.keys());
    assert!(algorithms.values().all(|runs| runs["seed_1"]["absolute_metrics"]["return"].is_array()));
    let page = std::fs::read_to_string(dir.path().join("all/report.html")).unwrap();
    assert!(page.contains("Comparison") && page.contains("Performance profile"));
}

#[test]
fn a_report_compares_what_was_run() {
    let dir = tempfile::tempdir().unwrap();
    succeed(
        dir.path(),
        &["sweep", "climbing", "--grid", "algorithm=iql,vdn", "--env-steps", "600", "--out", "s", "--quiet"],
    );
    let runs = ["s/algorithm=iql/seed0", "s/algorithm=vdn/seed0"];
    let told =
        last_json(&succeed(dir.path(), &["report", runs[0], runs[1], "--json", "--marl-eval", "e.json"]));
    let pairs = told["probability_of_improvement"].as_array().unwrap();
    assert_eq!(pairs.len(), 2);
    let chances: f64 = pairs.iter().map(|p| p["probability"].as_f64().unwrap()).sum();
    assert_eq!(chances, 1.0, "one of two is better, or each by half");
    assert!(dir.path().join("e.json").exists());
}

#[test]
fn a_killed_sweep_goes_on_to_the_same_results() {
    let dir = tempfile::tempdir().unwrap();
    let command = |out: &'static str| {
        [
            "sweep",
            "climbing",
            "--seeds",
            "3",
            "--env-steps",
            "6000",
            "--jobs",
            "2",
            "--out",
            out,
            "--quiet",
            "--json",
        ]
    };
    let whole = last_json(&succeed(dir.path(), &command("whole")));
    let mut child = coact(dir.path(), &command("cut")).stdout(std::process::Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let config = dir.path().join("cut/base/seed0/config.toml");
    while !config.exists() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let again = last_json(&succeed(dir.path(), &command("cut")));
    assert_eq!(again["points"][0]["returns"], whole["points"][0]["returns"]);
    for seed in 0..3 {
        let of =
            |out: &str| result(&dir.path().join(format!("{out}/base/seed{seed}")))["params_hash"].clone();
        assert_eq!(of("cut"), of("whole"), "seed {seed}");
    }
}

#[test]
fn what_cannot_be_swept_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], words: &[&str]| refused(dir.path(), 2, &[&["sweep"], args].concat(), words);
    refused(&[], &["say what to train"]);
    refused(&["climbing", "--grid", "learning_rat=1"], &["learning_rate"]);
    refused(&["climbing", "--grid", "batch_size=8,0"], &["batch_size"]);
    refused(&["climbing", "--grid", "algorithm=iql,nope"], &["nope"]);
    refused(&["climbing", "--grid", "gamma=0.9", "--sample", "gamma=0..1"], &["varied twice"]);
    refused(&["climbing", "--sample", "gamma=1..0"], &["ascending"]);
    refused(&["climbing", "--trials", "3"], &["--sample"]);
    refused(&["climbing", "--seeds", "0"], &["--seeds"]);
    refused(&["climbing", "--seeds", "99999999"], &["more than"]);
    let other = tempfile::tempdir().unwrap();
    succeed(other.path(), &["sweep", "climbing", "--env-steps", "300", "--out", "s", "--quiet"]);
    let output = run(other.path(), &["sweep", "climbing", "--env-steps", "301", "--out", "s", "--quiet"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("other settings"));
}
