//! Running the binary and looking at what it leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The binary, in `dir`.
pub fn coact(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coact"));
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command
}

pub fn run(dir: &Path, args: &[&str]) -> Output {
    coact(dir, args).output().unwrap()
}

/// Runs and expects success; returns standard output.
pub fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The object in the last line.
pub fn last_json(output: &str) -> Value {
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

/// Runs and expects exit code `code` and one line on standard error that begins with `error:` and holds `words`.
/// Nothing but what was in `dir` before may be there after.
pub fn refused(dir: &Path, code: i32, args: &[&str], words: &[&str]) {
    let before = entries(dir);
    let output = run(dir, args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?} printed {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: more than one line: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: `{word}` is not in: {text}");
    }
    assert_eq!(entries(dir), before, "{args:?} left something behind");
}

/// Every path below `dir`, sorted.
pub fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        all.push(entry.path());
        if entry.path().is_dir() {
            all.extend(entries(&entry.path()));
        }
    }
    all.sort();
    all
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Arguments of a training run of well under a second, in `out`.
pub fn short_run<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args =
        vec!["train", "climbing", "--quiet", "--json", "--threads", "1", "--out", out, "--env-steps", "1500"];
    args.extend(["--set", "learning_starts=100", "--set", "eval_every=500", "--set", "log_every=100"]);
    args.extend(["--set", "final_eval_episodes=4"]);
    args.extend(more);
    args
}
