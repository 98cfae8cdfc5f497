//! Replays every recorded vector file of a folder through the code that it covers.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use coact_testkit::vectors::{Report, check};

const USAGE: &str = "\
Usage: vectors [--dir DIR]

Replays every recorded vector file (*.json) of DIR, default testdata/vectors, and prints per file how many cases
passed and failed, and what no code covers yet. Exits with 1 if a case failed, a file could not be read, or nothing
was checked.

Example: vectors --dir testdata/vectors";

/// Failed cases told per file.
const TOLD: usize = 3;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => PathBuf::from("testdata/vectors"),
        ["--dir", dir] => PathBuf::from(dir),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("error: expected `--dir DIR` or nothing\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&dir) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Checks every file; true if all that is covered passed, and something was.
fn run(dir: &Path) -> Result<bool, String> {
    let list = std::fs::read_dir(dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    let mut files = Vec::new();
    for entry in list {
        let path = entry.map_err(|e| format!("cannot list {}: {e}", dir.display()))?.path();
        if path.extension().is_some_and(|e| e == "json") && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!("{} holds no vector file (*.json)", dir.display()));
    }
    files.sort();
    let (mut passed, mut failed, mut broken) = (0, 0, 0);
    for path in &files {
        match read(path) {
            Ok(report) => {
                tell(&report);
                passed += report.passed;
                failed += report.failed;
            }
            Err(error) => {
                println!("{}: cannot be checked: {error}", path.display());
                broken += 1;
            }
        }
    }
    if broken > 0 {
        println!("{broken} of {} files could not be checked", files.len());
    }
    if passed + failed == 0 {
        println!("nothing was checked");
    }
    println!("{passed} passed, {failed} failed");
    Ok(passed > 0 && failed == 0 && broken == 0)
}

fn read(path: &Path) -> Result<Report, String> {
    let text = std::fs::read(path).map_err(|e| e.to_string())?;
    let file = serde_json::from_slice(&text).map_err(|e| format!("not JSON: {e}"))?;
    std::panic::catch_unwind(|| check(&file)).unwrap_or_else(|_| Err("the check itself broke".into()))
}

fn tell(report: &Report) {
    let not_covered = report.not_covered.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if report.passed + report.failed == 0 {
        println!("{}: not covered ({not_covered})", report.name);
        return;
    }
    let rest = if not_covered.is_empty() { String::new() } else { format!(" (not covered: {not_covered})") };
    println!("{}: {} passed, {} failed{rest}", report.name, report.passed, report.failed);
    for failure in report.failures.iter().take(TOLD) {
        println!("  {failure}");
    }
    if report.failures.len() > TOLD {
        println!("  and {} more", report.failures.len() - TOLD);
    }
}
