//! `cargo xtask bench`: builds the `measure` binary of `coact-benches`, prepares the peers that were asked for, and
//! runs it. What is measured and how is in `benches/`.

use std::path::Path;

use crate::args::Args;
use crate::{Failure, Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask bench [SUITE]... [--quick] [--json FILE]

Measures and prints a table. SUITE: act, update, envs, replay, rollout, training; all of them if none is named.

Example: cargo xtask bench update --json update.json";

const SUITES: &[&str] = &["act", "update", "envs", "replay", "rollout", "training"];

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &["--quick"], &["--json", "--peers", "--threads"])?;
    if let Some(word) = args.words.iter().find(|w| !SUITES.contains(&w.as_str())) {
        return Err(Failure::Usage(format!("unknown suite `{word}`; one of: {}", SUITES.join(", "))));
    }
    let mut command =
        process::cargo(root, &["run", "--release", "--quiet", "-p", "coact-benches", "--bin", "measure"]);
    command.arg("--").args(&args.words);
    if args.flag("--quick") {
        command.arg("--quick");
    }
    process::run(&mut command)
}
