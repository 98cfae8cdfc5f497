//! `coact allocate` and `coact verify` of its results, as a user runs them.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "binary/support.rs"]
mod support;

use std::fs;

use serde_json::Value;
use support::{folder, last_json, refused, succeed};
use tempfile::TempDir;

const TEAM: &str = include_str!("../../../examples/allocation/twelve-tasks.csv");

fn with(name: &str, text: &str) -> TempDir {
    let dir = folder();
    fs::write(dir.path().join(name), text).unwrap();
    dir
}

#[test]
fn twelve_tasks_are_allocated_by_every_method_and_verified() {
    let dir = with("team.csv", TEAM);
    let text = succeed(dir.path(), &["allocate", "team.csv", "--method", "exact", "--json"]);
    assert!(text.lines().any(|line| line.starts_with("travel ")), "{text}");
    let best = last_json(&text);
    let best = best["total_cost"].as_f64().unwrap();
    for method in ["greedy", "ssi", "contract-net", "cbba", "exact"] {
        let args = ["allocate", "team.csv", "--method", method, "--out", "result.json", "--json", "--quiet"];
        let output = succeed(dir.path(), &args);
        assert_eq!(output.lines().count(), 1, "{output}");
        let result = last_json(&output);
        for key in ["method", "total_cost", "assignment", "certificate", "messages", "rounds"] {
            assert!(!result[key].is_null(), "{method} lacks {key}");
        }
        let tasks: usize = result["assignment"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["tasks"].as_array().unwrap().len())
            .sum();
        assert_eq!(tasks, 12, "{method}");
        assert!(result["total_cost"].as_f64().unwrap() >= best - 1e-9, "{method}");
        let verdict = succeed(dir.path(), &["verify", "result.json"]);
        assert!(verdict.starts_with("ok") && verdict.contains("12 of 12 tasks"), "{verdict}");
    }
}

#[test]
fn cbba_agrees_under_loss_in_a_plot() {
    let dir = with("team.csv", TEAM);
    let args = ["allocate", "team.csv", "--method", "cbba", "--loss", "0.2", "--topology", "ring"];
    let args = [&args[..], &["--plot", "cbba.html", "--log", "cbba.log", "--json"]].concat();
    let result = last_json(&succeed(dir.path(), &args));
    assert_eq!(result["agreed"], true);
    let page = fs::read_to_string(dir.path().join("cbba.html")).unwrap();
    for part in ["<svg", "winners that all agree on", "shelf-a", "class=\"path c4\"", "round</text>"] {
        assert!(page.contains(part), "{part}");
    }
    let log = fs::read_to_string(dir.path().join("cbba.log")).unwrap();
    assert!(log.contains(" lost ") && log.lines().count() > 50);
    for threads in ["1", "3"] {
        succeed(dir.path(), &[&args[..], &["--threads", threads]].concat());
        assert_eq!(log, fs::read_to_string(dir.path().join("cbba.log")).unwrap(), "{threads} threads");
    }
    succeed(dir.path(), &[&args[..], &["--seed", "1"]].concat());
    assert_ne!(log, fs::read_to_string(dir.path().join("cbba.log")).unwrap(), "another seed");
    let crash = ["allocate", "team.csv", "--method", "cbba", "--crash", "2@3", "--json"];
    let result = last_json(&succeed(dir.path(), &crash));
    assert_eq!(result["assignment"][2]["tasks"], serde_json::json!([]));
}

#[test]
fn costs_are_assigned_and_proved() {
    let dir = with("costs.csv", "agent,a,b,c\nr0,4,1,3\nr1,2,0,5\nr2,3,2,2\n");
    fs::write(
        dir.path().join("costs.json"),
        r#"{"costs": [[10, null, null], [null, null, 1], [null, 7, null]]}"#,
    )
    .unwrap();
    for method in ["jonker-volgenant", "hungarian", "auction", "sparse"] {
        for (file, total) in [("costs.csv", 5.0), ("costs.json", 18.0)] {
            let args = ["allocate", file, "--method", method, "--json", "--plot", "costs.svg"];
            let output = succeed(dir.path(), &args);
            let result = last_json(&output);
            assert_eq!(result["total_cost"], total, "{method}");
            assert_eq!(result["certificate"]["kind"], "dual_prices");
            fs::write(dir.path().join("result.json"), output.lines().last().unwrap()).unwrap();
            assert!(succeed(dir.path(), &["verify", "result.json"]).contains("proved"));
        }
    }
    let greatest = ["allocate", "costs.csv", "--objective", "max", "--json"];
    assert_eq!(last_json(&succeed(dir.path(), &greatest))["total_cost"], 11.0);
    let agents = ["allocate", "costs.csv", "--method", "cbba", "--topology", "line", "--json"];
    assert!(last_json(&succeed(dir.path(), &agents))["messages"].as_u64().unwrap() > 0);
}

#[test]
fn coalitions_and_other_problems() {
    let gloves = r#"{"players": ["L", "R1", "R2"], "values": {"L R1": 1, "L R2": 1, "L R1 R2": 1}}"#;
    let dir = with("gloves.json", gloves);
    fs::write(dir.path().join("scores.json"), r#"{"scores": [[3, 9], [8, 1]], "capacity": 1}"#).unwrap();
    let gap = r#"{"costs": [[1, 5], [2, 2]], "loads": [[2, 2], [2, 2]], "capacities": [2, 4]}"#;
    fs::write(dir.path().join("gap.json"), gap).unwrap();
    fs::write(
        dir.path().join("sparse.json"),
        r#"{"n_rows": 2, "n_cols": 2, "entries": [[0, 1, 2], [1, 0, 3]]}"#,
    )
    .unwrap();
    let cases = [
        ("gloves.json", "shapley", 1.0),
        ("gloves.json", "least-core", 1.0),
        ("gloves.json", "structure", 1.0),
        ("scores.json", "exact", 17.0),
        ("scores.json", "cbba", 17.0),
        ("gap.json", "exact", 3.0),
        ("sparse.json", "sparse", 5.0),
    ];
    for (file, method, total) in cases {
        let args = ["allocate", file, "--method", method, "--json", "--out", "result.json"];
        let result = last_json(&succeed(dir.path(), &args));
        assert_eq!(result["total_cost"], total, "{file} {method}");
        succeed(dir.path(), &["verify", "result.json", "--json"]);
    }
}

#[test]
fn edited_results_are_refused() {
    let dir = with("team.csv", TEAM);
    succeed(dir.path(), &["allocate", "team.csv", "--out", "good.json", "--quiet"]);
    let good: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("good.json")).unwrap()).unwrap();
    let edits: [fn(&mut Value); 5] = [
        |r| r["total_cost"] = 1.0.into(),
        |r| r["assignment"][0]["indices"] = serde_json::json!([0, 0]),
        |r| r["certificate"]["makespan"] = 0.5.into(),
        |r| r["problem"]["text"] = "1,2".into(),
        |r| r["kind"] = "dance".into(),
    ];
    for edit in edits {
        let mut bad = good.clone();
        edit(&mut bad);
        fs::write(dir.path().join("bad.json"), bad.to_string()).unwrap();
        let output = support::run(dir.path(), &["verify", "bad.json"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("FAILED"));
    }
}

#[test]
fn wrong_use_is_answered_in_one_line() {
    let dir = with("costs.csv", "1,2\n3,oops\n");
    fs::write(dir.path().join("impossible.json"), "[[1, null], [2, null]]").unwrap();
    fs::write(dir.path().join("team.csv"), TEAM).unwrap();
    let cases: [(&[&str], i32, &[&str]); 10] = [
        (&["costs.csv"], 2, &["costs.csv", "line 2, column 3", "oops", "cost"]),
        (&["nothing.csv"], 2, &["nothing.csv"]),
        (&["impossible.json"], 1, &["rows 0, 1", "1 column"]),
        (&["team.csv", "--method", "magic"], 2, &["magic", "cbba"]),
        (&["team.csv", "--method", "hungarian"], 2, &["hungarian", "a team", "cbba"]),
        (&["team.csv", "--goal", "glory"], 2, &["glory", "makespan"]),
        (&["team.csv", "--plot", "map.bmp"], 2, &["map.bmp", ".svg"]),
        (&["team.csv", "--crash", "2"], 2, &["--crash", "2@10"]),
        (&["team.csv", "--topology", "tree"], 2, &["tree", "ring"]),
        (&["team.csv", "--loss", "1", "--max-rounds", "9"], 1, &["did not agree", "--max-rounds"]),
    ];
    for (args, code, words) in cases {
        refused(dir.path(), code, &[&["allocate"], args].concat(), words);
    }
}
