//! `coact record` and `coact verify` fit each other.

#![allow(clippy::unwrap_used)]

use std::process::Command;

fn coact(dir: &std::path::Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_coact")).current_dir(dir).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_recorded_trace_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "record",
        "lbf/Foraging-5x5-2p-1f-v3",
        "--episodes",
        "3",
        "--out",
        "trace.json",
        "--set",
        "penalty=0.5",
    ];
    let (code, _, errors) = coact(dir.path(), &args);
    assert_eq!(code, Some(0), "{errors}");
    let (code, said, errors) = coact(dir.path(), &["verify", "--json", "trace.json"]);
    assert_eq!(code, Some(0), "{errors}");
    let certificate: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&certificate["cases"], &certificate["failed"]), (&3.into(), &0.into()));
    // Another seed is another trace; what nobody could verify is not recorded.
    coact(dir.path(), &["record", "lbf/Foraging-5x5-2p-1f-v3", "--episodes", "3", "--seed", "1"]);
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert_ne!(read("trace.json"), read("lbf-Foraging-5x5-2p-1f-v3.json"));
    let (code, _, errors) = coact(dir.path(), &["record", "overcooked"]);
    assert!(code == Some(2) && errors.trim_end().lines().count() == 1, "{errors}");
}
