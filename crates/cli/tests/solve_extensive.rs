//! `coact solve` on games in extensive form, and `coact verify` on its results.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::Value;

fn coact(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coact")).args(args).output().unwrap()
}

/// The last line, as JSON.
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// Exit code and the one line on standard error.
fn fault(args: &[&str]) -> (i32, String) {
    let output = coact(args);
    let text = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
    assert!(!text.contains('\n') && output.stdout.is_empty(), "{text}");
    (output.status.code().unwrap(), text)
}

#[test]
fn kuhn_is_solved_exactly_and_the_result_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kuhn.json");
    let path = path.to_str().unwrap();
    let args = ["solve", "kuhn_poker", "--method", "sequence-form", "--exact", "--json", "--out", path];
    let result = json(&coact(&args));
    assert_eq!(result["values"], serde_json::json!(["-1/18", "1/18"]));
    assert_eq!(result["certificate"]["nash_conv"], "0");
    assert!(coact(&["verify", path]).status.success());
    // An edited probability no longer earns what is stated.
    let mut edited = result.clone();
    for entry in edited["equilibria"][0][0].as_array_mut().unwrap() {
        entry["probabilities"] = serde_json::json!(["1", "0"]);
    }
    std::fs::write(path, edited.to_string()).unwrap();
    let output = coact(&["verify", path]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && text.contains("is stated as"), "{text}");
}

#[test]
fn iterations_are_counted_plotted_and_certified() {
    let folder = tempfile::tempdir().unwrap();
    let (plot, out) = (folder.path().join("leduc.svg"), folder.path().join("leduc.json"));
    let (plot, out) = (plot.to_str().unwrap(), out.to_str().unwrap());
    let args = [
        "solve",
        "leduc_poker",
        "--method",
        "cfr+",
        "--iterations",
        "100",
        "--plot",
        plot,
        "--out",
        out,
        "--json",
        "--quiet",
    ];
    let result = json(&coact(&args));
    let nash_conv = result["certificate"]["nash_conv"].as_f64().unwrap();
    assert!((nash_conv - 0.026832).abs() < 1e-6, "{nash_conv}");
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg xmlns="));
    assert!(coact(&["verify", out]).status.success());
}

#[test]
fn wrong_games_methods_and_files_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forgets.efg");
    let forgets = "EFG 2 R \"x\" { \"A\" }\np \"\" 1 1 \"first\" { \"a\" \"b\" } 0\n\
        p \"\" 1 2 \"later\" { \"c\" \"d\" } 0\nt \"\" 0\nt \"\" 0\np \"\" 1 2 0\nt \"\" 0\nt \"\" 0\n";
    std::fs::write(&path, forgets).unwrap();
    let path = path.to_str().unwrap();
    for (args, code, expected) in [
        (vec!["solve", "chess"], 2, "no built-in game is called `chess`"),
        (vec!["solve", "kuhn_poker(players=9)"], 2, "2 to 6 players"),
        (vec!["solve", "kuhn_poker", "--method", "magic"], 2, "unknown method `magic`"),
        (vec!["solve", "kuhn_poker", "--method", "cfr", "--exact"], 2, "floats"),
        (vec!["solve", "kuhn_poker", "--method", "backward-induction"], 2, "does not apply"),
        (vec!["solve", path, "--method", "cfr"], 2, "imperfect recall"),
        (vec!["solve", "missing.efg"], 2, "called `missing.efg`"),
    ] {
        let (found, text) = fault(&args);
        assert!(found == code && text.contains(expected), "{args:?}: {found} {text}");
    }
}
