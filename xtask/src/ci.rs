//! `cargo xtask ci`: what must hold before a change goes in, cheapest check first.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::{Failure, Result, bench, cuda, fuzz, golden, process, python, testing, tidy, vectors};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask ci [--keep-going] [STEP]...

Runs every check, cheapest first, and prints what each took: fmt, tidy, clippy, doc, cuda (check), test, vectors,
golden, examples, python, bench (quick, built as the tests are), fuzz (5 s a target) and deny. Skipped, and said so, where
their tools are not installed: cuda (Python 3 and a C++ compiler), python (Python 3 and packages of its index), fuzz and deny.
Stops at the first failure unless --keep-going is given. Named steps run alone.

Example: cargo xtask ci fmt tidy clippy";

enum Outcome {
    Passed,
    Skipped(String),
}

/// What a step is told.
struct Run<'a> {
    root: &'a Path,
    /// Whether the step `test` is still to come.
    tests_follow: bool,
}

type Step = (&'static str, fn(&Run) -> Result<Outcome>);

/// Every step, cheapest first.
const STEPS: &[Step] = &[
    ("fmt", |run| passed(process::run(&mut process::cargo(run.root, &["fmt", "--all", "--check"])))),
    ("tidy", |run| passed(tidy::run(run.root, &[]))),
    ("clippy", |run| clippy(run.root)),
    ("doc", |run| doc(run.root)),
    ("cuda", cuda_check),
    ("test", |run| passed(testing::run(run.root, &[]))),
    ("vectors", |run| passed(vectors::run(run.root, &[]))),
    ("golden", |run| passed(golden::run(run.root, &[]))),
    ("examples", |run| examples(run.root)),
    ("python", |run| python_package(run.root)),
    ("bench", |run| passed(bench::run(run.root, &["--quick", "--profile", "dev"].map(str::to_owned)))),
    ("fuzz", |run| short_fuzz(run.root)),
    ("deny", |run| deny(run.root)),
];

fn passed(result: Result) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

/// All code with the feature `cuda`, and once more the crate that holds code for builds without it.
fn clippy(root: &Path) -> Result<Outcome> {
    let lint = |what: &[&str]| {
        let mut command = process::cargo(root, &["clippy", "--all-targets", "--locked"]);
        process::run(command.args(what).args(["--", "-D", "warnings"]))
    };
    lint(&[&["--workspace"], &process::FEATURES[..]].concat())?;
    passed(lint(&["--package", "coact-kernels"]))
}

/// Of builds without features, all of whose crates it compiles for that.
fn doc(root: &Path) -> Result<Outcome> {
    let mut command = process::cargo(root, &["doc", "--workspace", "--no-deps", "--locked"]);
    passed(process::run(command.env("RUSTDOCFLAGS", "-D warnings")))
}

/// Runs every example of the library crates; one that does not end or does not succeed is a fault. In the profile of
/// the tests, which have built most of what is needed.
fn examples(root: &Path) -> Result<Outcome> {
    let examples = process::built(root, "dev", &["--examples"])?;
    for example in &examples {
        process::run(Command::new(example).current_dir(root))?;
    }
    Ok(if examples.is_empty() {
        Outcome::Skipped("there are no examples".to_owned())
    } else {
        Outcome::Passed
    })
}

/// All of `cargo xtask cuda check`, but for its tests where those are about to run with all others. It comes before them, for
/// it installs a compiler that they try.
fn cuda_check(run: &Run) -> Result<Outcome> {
    match cuda::missing() {
        Some(why) => Ok(Outcome::Skipped(why.to_owned())),
        None if run.tests_follow => passed(cuda::compiles(run.root)),
        None => passed(cuda::run(run.root, &["check".to_owned()])),
    }
}

fn python_package(root: &Path) -> Result<Outcome> {
    if !python::is_here() {
        return Ok(Outcome::Skipped("install Python 3 with its modules venv and ensurepip".to_owned()));
    }
    match python::prepare(root) {
        Ok(python) => passed(python::test(root, &python, None)),
        // A machine without a package index can still check the rest.
        Err(Failure::Run(why) | Failure::Usage(why)) => Ok(Outcome::Skipped(why)),
    }
}

fn short_fuzz(root: &Path) -> Result<Outcome> {
    if let Some((program, words)) = fuzz::missing() {
        return Ok(Outcome::Skipped(format!("install with: {program} {}", words.join(" "))));
    }
    passed(fuzz::run(root, &["--seconds".to_owned(), "5".to_owned()]))
}

fn deny(root: &Path) -> Result<Outcome> {
    if !process::succeeds(Command::new("cargo").args(["deny", "--version"])) {
        return Ok(Outcome::Skipped("install with: cargo install cargo-deny --locked".to_owned()));
    }
    // Advisories need a database from the network; licenses, bans and sources do not.
    passed(process::run(&mut process::cargo(root, &["deny", "check", "licenses", "bans", "sources"])))
}

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &["--keep-going"], &[])?;
    if let Some(word) = args.words.iter().find(|w| !STEPS.iter().any(|(name, _)| name == w)) {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::Usage(format!("unknown step `{word}`; one of: {}", names.join(", "))));
    }
    let mut rows: Vec<(&str, Duration, String)> = Vec::new();
    let mut failed = Vec::new();
    let named = |name: &str| args.words.is_empty() || args.words.iter().any(|w| w == name);
    for (name, step) in STEPS.iter().filter(|(name, _)| named(name)) {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = step(&Run { root, tests_follow: named("test") });
        let said = match outcome {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::Skipped(why)) => format!("skipped ({why})"),
            Err(Failure::Run(why) | Failure::Usage(why)) => {
                failed.push(*name);
                format!("FAILED: {why}")
            }
        };
        rows.push((name, start.elapsed(), said));
        if !failed.is_empty() && !args.flag("--keep-going") {
            break;
        }
    }
    println!("\n{:<10} {:>9}  outcome", "step", "seconds");
    for (name, took, said) in &rows {
        println!("{name:<10} {:>9.1}  {}", took.as_secs_f64(), said.lines().next().unwrap_or_default());
    }
    let total: Duration = rows.iter().map(|(_, took, _)| *took).sum();
    println!("{:<10} {:>9.1}", "total", total.as_secs_f64());
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("failed: {}", failed.join(", ")).into())
}
