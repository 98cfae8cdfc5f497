//! `cargo xtask tidy`: rules of the house that no compiler checks. Reads text and manifests only; builds nothing.

mod edges;
mod lexer;
mod presets;
mod sources;

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::args::Args;
use crate::{Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask tidy

Checks, without building anything:
- the crates that each crate uses are those of the table in ARCHITECTURE.md, in both directions;
- only packages that may be published are used by packages that are;
- every Rust file opens with `//!`; none is longer than 800 lines;
- no file or module is called utils, common, helpers, *_v2, *_new or *_best;
- no field or argument is called `done` (say terminated, truncated or discount);
- `unsafe` occurs only in crates/kernels and crates/python/src/lend.rs; `todo!`, `unimplemented!` and `dbg!` nowhere;
- every library crate takes the workspace's lints;
- every preset in configs/ is built into the binary;
- no committed file names an absolute path of somebody's machine.

Prints one line a fault, `path:line: what`, and fails if there is one.

Example: cargo xtask tidy";

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    path: String,
    /// Counted from 1; 0 where the whole file is meant.
    line: usize,
    what: String,
}

impl Fault {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Packages of the workspace as `cargo metadata` describes them.
pub fn metadata(root: &Path) -> Result<serde_json::Value> {
    let args = ["metadata", "--no-deps", "--format-version", "1"];
    let text = process::capture(&mut process::cargo(root, &args))?;
    Ok(serde_json::from_str(&text).map_err(|e| format!("cargo metadata is not JSON: {e}"))?)
}

/// Paths that git tracks or would track, relative to the root, with `/`; deleted ones left out.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let mut paths: Vec<String> = process::capture(&mut git)?.lines().map(str::to_owned).collect();
    paths.retain(|path| root.join(path).is_file());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Every fault of these files and of the manifests.
fn check(root: &Path, paths: &[String]) -> Result<Vec<Fault>> {
    let mut faults = edges::check(root, &metadata(root)?)?;
    for path in paths {
        faults.extend(sources::check_name(path));
        // A file that is not text has no lines to check.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        faults.extend(sources::check_text(path, &text));
    }
    faults.extend(presets::check(root, paths));
    faults.sort();
    Ok(faults)
}

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    Args::parse(args, &[], &[])?.no_words()?;
    let paths = files(root)?;
    let faults = check(root, &paths)?;
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => {
            println!("tidy: {} files, no fault", paths.len());
            Ok(())
        }
        n => Err(format!("tidy found {n} faults").into()),
    }
}

#[cfg(test)]
mod tests {
    /// So that the plain test run holds the house rules as well.
    #[test]
    fn the_tree_is_tidy() {
        let root = crate::root();
        let faults = super::check(&root, &super::files(&root).unwrap()).unwrap();
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
