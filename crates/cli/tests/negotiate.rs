//! `coact negotiate` and `coact verify` on its results, as a user runs them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coact")).current_dir(dir).args(args).output().unwrap()
}

fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn result(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(succeed(dir, args).lines().last().unwrap()).unwrap()
}

fn refused(dir: &Path, code: i32, args: &[&str], words: &[&str]) {
    let output = run(dir, args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: `{word}` is not in: {text}");
    }
}

fn shipped(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../testdata/negotiation", name].iter().collect();
    path.display().to_string()
}

#[test]
fn constraint_problems_keep_the_keys_of_pydcop() {
    let dir = tempfile::tempdir().unwrap();
    let file = shipped("coloring.yaml");
    let out = result(dir.path(), &["negotiate", &file, "--method", "dpop", "--json"]);
    assert_eq!(out["assignment"], json!({"v1": "R", "v2": "G", "v3": "R"}));
    assert!((out["cost"].as_f64().unwrap() + 0.1).abs() < 1e-9);
    assert_eq!((&out["violation"], &out["msg_count"], &out["msg_size"]), (&json!(0), &json!(4), &json!(8)));
    assert_eq!((&out["cycle"], &out["status"]), (&json!(1), &json!("FINISHED")));
    assert!(out["time"].as_f64().unwrap() >= 0.0);
    for method in ["maxsum", "mgm", "mgm2", "dsa", "syncbb", "adopt", "afb", "brute-force"] {
        let args = [
            "negotiate",
            &file,
            "--method",
            method,
            "--seed",
            "3",
            "--quiet",
            "--json",
            "--out",
            "result.json",
        ];
        let out = result(dir.path(), &args);
        assert!(out["cost"].is_number() && out["assignment"]["v2"].is_string(), "{method}: {out}");
        assert!(succeed(dir.path(), &["verify", "result.json"]).starts_with("ok"), "{method}");
    }
}

#[test]
fn a_changed_result_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["negotiate", &shipped("coloring.yaml"), "--method", "dpop", "--json"];
    // What was printed can be checked as it is.
    fs::write(dir.path().join("printed.txt"), succeed(dir.path(), &args)).unwrap();
    assert!(succeed(dir.path(), &["verify", "printed.txt"]).contains("optimal"));
    let mut wrong = result(dir.path(), &args);
    wrong["assignment"]["v1"] = json!("G");
    fs::write(dir.path().join("wrong.json"), wrong.to_string()).unwrap();
    let output = run(dir.path(), &["verify", "wrong.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAILED cost"));
}

#[test]
fn runs_repeat_from_their_seed_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let solved = |threads: &str, seed: &str, log: &str| {
        let args = [
            "negotiate",
            "coloring:n=30,soft=1",
            "--method",
            "dsa",
            "--param",
            "stop_cycle=30",
            "--threads",
            threads,
            "--seed",
            seed,
            "--log",
            log,
            "--quiet",
            "--json",
        ];
        let mut out = result(dir.path(), &args);
        out["time"] = json!(null);
        (out, fs::read_to_string(dir.path().join(log)).unwrap())
    };
    let first = solved("1", "4", "a.log");
    assert!(first.1.lines().count() > 1000);
    assert_eq!(first, solved("3", "4", "b.log"));
    assert_ne!(first.1, solved("1", "5", "c.log").1);
}

#[test]
fn a_laptop_is_bought_on_the_frontier_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    for input in ["laptop".to_owned(), shipped("laptop")] {
        let args = [
            "negotiate",
            &input,
            "--agents",
            "boulware,conceder",
            "--plot",
            "l.svg",
            "--out",
            "l.json",
            "--json",
        ];
        let out = result(dir.path(), &args);
        assert_eq!((&out["status"], &out["pareto_efficient"]), (&json!("agreement"), &json!(true)));
        assert_eq!(out["frontier"].as_array().unwrap().len(), 4);
        let picture = fs::read_to_string(dir.path().join("l.svg")).unwrap();
        assert_eq!(picture.matches("class=\"outcome\"").count(), 27);
        assert!(picture.contains("Pareto frontier") && picture.contains("offers of buyer"));
        assert!(picture.contains("text-anchor=\"end\">Nash point"), "the name keeps out of the keys");
        assert!(succeed(dir.path(), &["verify", "l.json"]).contains("Pareto efficient"));
    }
    let out = result(dir.path(), &["negotiate", "laptop", "--method", "nash", "--out", "n.json", "--json"]);
    assert!((out["nash_product"].as_f64().unwrap() - 0.81515).abs() < 1e-5);
    assert!(succeed(dir.path(), &["verify", "n.json"]).contains("nash point"));
}

#[test]
fn mechanisms_and_agreements_run_and_hold() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["auction.yaml", "matching.yaml", "dispatch.yaml"] {
        let out = result(dir.path(), &["negotiate", &shipped(name), "--out", "r.json", "--json"]);
        match name {
            "auction.yaml" => assert_eq!(out["payments"], json!({"ann": 0.0, "bob": 3.0, "eve": 4.0})),
            "matching.yaml" => assert_eq!(out["matching"]["dan"], json!(null)),
            _ => assert_eq!(out["converged"], json!(true)),
        }
        assert!(succeed(dir.path(), &["verify", "r.json"]).starts_with("ok"), "{name}");
    }
}

#[test]
fn curves_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    succeed(
        dir.path(),
        &["negotiate", "coloring:n=20,soft=1", "--method", "mgm", "--plot", "cost.svg", "--quiet"],
    );
    assert!(fs::read_to_string(dir.path().join("cost.svg")).unwrap().contains("<polyline"));
}

#[test]
fn faults_are_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(
        at.join("bad.yaml"),
        "name: x\nobjective: min\ndomains: {d: {values: [1, 2]}}\nvariables:\n  a: {domain: e}\n",
    )
    .unwrap();
    fs::write(at.join("bad.xml"), "<utility_space>\n<issue index=\"1\">\n").unwrap();
    fs::write(at.join("latin.yaml"), b"name: x\nobjective: m\xefn\n").unwrap();
    fs::create_dir(at.join("alone")).unwrap();
    for name in ["buyer.xml", "domain.xml"] {
        fs::copy(shipped("laptop").clone() + "/" + name, at.join("alone").join(name)).unwrap();
    }
    let file = shipped("coloring.yaml");
    refused(at, 2, &["negotiate", "latin.yaml"], &["latin.yaml: line 2, column 13", "0xef", "UTF-8"]);
    refused(at, 2, &["negotiate", "alone"], &["`alone` has one party, `buyer`", "<weight>"]);
    refused(at, 2, &["negotiate", "bad.yaml"], &["bad.yaml", "line 5, column 15", "did you mean `d`"]);
    refused(at, 2, &["negotiate", "bad.xml"], &["bad.xml", "line 2", "name"]);
    refused(at, 1, &["negotiate", "missing.yaml"], &["missing.yaml", "no such file"]);
    refused(at, 2, &["negotiate", "coluring"], &["did you mean `coloring`"]);
    refused(at, 2, &["negotiate", &file, "--method", "dpopp"], &["did you mean `dpop`"]);
    refused(at, 2, &["negotiate", &file, "--param", "dampin=1"], &["did you mean `damping`"]);
    refused(at, 2, &["negotiate", &file, "--plot", "a.png"], &[".svg"]);
    refused(at, 2, &["negotiate", "laptop", "--agents", "boulwar,micro"], &["did you mean `boulware`"]);
    refused(at, 2, &["negotiate", "laptop", "--method", "dpop"], &["saop"]);
    let large = "coloring:n=60,colors=10,edges=900";
    refused(at, 1, &["negotiate", large, "--quiet"], &["induced width", "bytes"]);
    assert_eq!(fs::read_dir(at).unwrap().count(), 4);
}
