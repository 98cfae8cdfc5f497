//! `cargo xtask test`: every test of the workspace, unit, integration and documentation.

use std::path::Path;
use std::sync::Mutex;

use crate::args::Args;
use crate::{Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask test [FILTER]

Runs every test of the workspace, built with the feature `cuda`, then the documentation tests. Needs no GPU: kernels for one
run under a stand-in driver where a C++ compiler can build it, and say so where there is none. Uses `cargo nextest` where it is installed and
`cargo test` where it is not. Closes with one line that counts both. FILTER runs only tests whose name contains it,
and no documentation tests.

Example: cargo xtask test tidy";

/// Tests counted from the summary lines of `cargo nextest` and `cargo test`.
#[derive(Debug, Default, PartialEq, Clone, Copy)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    /// Adds the numbers of a summary line; other lines change nothing.
    fn add_line(&mut self, line: &str) {
        let line = line.trim_start();
        if !(line.starts_with("test result:") || line.starts_with("Summary [")) {
            return;
        }
        let words: Vec<&str> = line.split([' ', ',', ';', ':', '(', ')']).filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(n) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => self.passed += n,
                "failed" | "timed" => self.failed += n,
                "skipped" | "ignored" => self.skipped += n,
                _ => {}
            }
        }
    }
}

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &[], &[])?;
    let counts = Mutex::new(Counts::default());
    let see = |line: &str| {
        if let Ok(mut counts) = counts.lock() {
            counts.add_line(line);
        }
    };
    let nextest = process::succeeds(&mut process::cargo(root, &["nextest", "--version"]));
    let mut tests = if nextest {
        process::cargo(root, &["nextest", "run", "--workspace", "--no-fail-fast", "--status-level=slow"])
    } else {
        process::cargo(root, &["test", "--workspace", "--tests", "--bins", "--lib", "--no-fail-fast"])
    };
    tests.args(process::FEATURES).args(&args.words);
    let mut result = process::tee(&mut tests, &see);
    if args.words.is_empty() {
        let mut docs = process::cargo(root, &["test", "--workspace", "--doc"]);
        let docs = process::tee(docs.args(process::FEATURES), &see);
        result = result.and(docs);
    }
    let Counts { passed, failed, skipped } = counts.lock().map(|c| *c).unwrap_or_default();
    println!("tests: {passed} passed, {failed} failed, {skipped} skipped");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_both_kinds_of_summary() {
        let mut counts = Counts::default();
        for line in [
            "     Summary [   0.012s] 7 tests run: 5 passed (1 slow), 1 failed, 1 timed out, 2 skipped",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s",
            "test tidy::counts_9_failed ... ok",
        ] {
            counts.add_line(line);
        }
        assert_eq!(counts, Counts { passed: 8, failed: 2, skipped: 3 });
    }
}
