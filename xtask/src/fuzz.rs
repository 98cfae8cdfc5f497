//! `cargo xtask fuzz`: every target of `fuzz/` for some seconds each, on nightly with `cargo-fuzz`. Inputs that once
//! broke something are kept under `fuzz/regressions/TARGET/` and run first.

use std::path::Path;
use std::process::Command;

use crate::args::Args;
use crate::{Failure, Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask fuzz [--seconds N] [--install] [TARGET]...

Runs each fuzz target (all of fuzz/fuzz_targets, or those named) for N seconds (default 60), the inputs of
fuzz/regressions/TARGET first. Stops non-zero at the first finding and says where its input lies.
Needs a nightly toolchain and cargo-fuzz; with --install they are installed, otherwise the command that does so is
printed.

Example: cargo xtask fuzz --seconds 10 checkpoint";

const INSTALL_FUZZ: &[&str] = &["install", "cargo-fuzz", "--locked"];
const INSTALL_NIGHTLY: &[&str] = &["toolchain", "install", "nightly", "--profile", "minimal"];

/// What is missing for fuzzing, as the command that installs it.
pub fn missing() -> Option<(&'static str, &'static [&'static str])> {
    if !process::succeeds(Command::new("cargo").args(["+nightly", "--version"])) {
        return Some(("rustup", INSTALL_NIGHTLY));
    }
    // Asked from the nightly cargo, because a toolchain without cargo-fuzz may share the folder of one with it.
    if !process::succeeds(Command::new("cargo").args(["+nightly", "fuzz", "--version"])) {
        return Some(("cargo", INSTALL_FUZZ));
    }
    None
}

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &["--install"], &["--seconds"])?;
    let seconds = args.count("--seconds")?.unwrap_or(60);
    let known = targets(root)?;
    if let Some(name) = args.words.iter().find(|w| !known.contains(w)) {
        return Err(Failure::Usage(format!("no fuzz target `{name}`; one of: {}", known.join(", "))));
    }
    while let Some((program, words)) = missing() {
        if !args.flag("--install") {
            return Err(format!("install what is missing with: {program} {}", words.join(" ")).into());
        }
        process::run(Command::new(program).args(words))?;
    }
    let chosen = if args.words.is_empty() { known } else { args.words };
    for target in &chosen {
        fuzz(root, target, seconds)?;
    }
    println!("{} fuzz targets, {seconds} s each, no finding", chosen.len());
    Ok(())
}

/// Names of the targets: the stems of the files in `fuzz/fuzz_targets`, sorted.
fn targets(root: &Path) -> Result<Vec<String>> {
    let dir = root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&dir).map_err(|e| format!("cannot read {}: {e}", dir.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|e| e.path()));
    let sources = paths.filter(|p| p.extension().is_some_and(|e| e == "rs"));
    let mut names: Vec<String> =
        sources.filter_map(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

/// Regressions once, then `seconds` of new inputs.
fn fuzz(root: &Path, target: &str, seconds: usize) -> Result {
    let fuzz = || {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(["+nightly", "fuzz", "run", target]);
        command
    };
    let regressions = root.join("fuzz/regressions").join(target);
    if regressions.is_dir() {
        process::run(fuzz().arg(&regressions).args(["--", "-runs=0"])).map_err(|e| finding(target, e))?;
    }
    process::run(fuzz().arg("--").arg(format!("-max_total_time={seconds}"))).map_err(|e| finding(target, e))
}

fn finding(target: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Run(text) => Failure::Run(format!(
            "fuzz target `{target}`: {text}; its input is in fuzz/artifacts/{target}, \
             keep it in fuzz/regressions/{target} once the fault is mended"
        )),
        usage @ Failure::Usage(_) => usage,
    }
}
