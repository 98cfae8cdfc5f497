//! `cargo xtask`: everything that is done to this workspace, one command each. No shell scripts to keep in step
//! with the code, nothing to install but Rust. What trains and evaluates is the `coact` binary, not this.

mod args;
mod bench;
mod ci;
mod cuda;
mod fuzz;
mod golden;
mod peers;
mod process;
mod python;
mod testing;
mod tidy;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a command did not work.
#[derive(Debug)]
enum Failure {
    /// It was called wrongly: exit code 2.
    Usage(String),
    /// It ran and found something, or could not run: exit code 1.
    Run(String),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Run(text)
    }
}

/// Result of a command or of a part of one.
type Result<T = ()> = std::result::Result<T, Failure>;

/// One command of `cargo xtask`.
struct Task {
    name: &'static str,
    summary: &'static str,
    help: &'static str,
    run: fn(&Path, &[String]) -> Result,
}

/// Every command, in the order of the help.
const ALL: &[Task] = &[
    Task { name: "ci", summary: "everything below, cheapest first", help: ci::HELP, run: ci::run },
    Task {
        name: "tidy",
        summary: "crate edges, module docs, banned names",
        help: tidy::HELP,
        run: tidy::run,
    },
    Task { name: "test", summary: "every test of the workspace", help: testing::HELP, run: testing::run },
    Task { name: "vectors", summary: "replay the recorded vectors", help: vectors::HELP, run: vectors::run },
    Task { name: "golden", summary: "compare golden playthroughs", help: golden::HELP, run: golden::run },
    Task { name: "ptx", summary: "compile the kernels for GPUs", help: cuda::PTX_HELP, run: cuda::ptx },
    Task {
        name: "cuda",
        summary: "check the kernels for GPUs, with or without one",
        help: cuda::CUDA_HELP,
        run: cuda::run,
    },
    Task {
        name: "python",
        summary: "build and test the Python package",
        help: python::HELP,
        run: python::run,
    },
    Task { name: "bench", summary: "measure, alone or beside peers", help: bench::HELP, run: bench::run },
    Task { name: "fuzz", summary: "run every fuzz target for a while", help: fuzz::HELP, run: fuzz::run },
];

/// The root of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

fn overview() -> String {
    let lines: Vec<String> = ALL.iter().map(|t| format!("  {:<8} {}", t.name, t.summary)).collect();
    format!(
        "Usage: cargo xtask COMMAND [OPTIONS]\n\nCommands:\n{}\n\n\
         `cargo xtask COMMAND --help` says what a command does, with an example.",
        lines.join("\n")
    )
}

fn dispatch(args: &[String]) -> Result {
    let Some((name, rest)) = args.split_first() else {
        return Err(Failure::Usage(overview()));
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", overview());
        return Ok(());
    }
    let Some(task) = ALL.iter().find(|t| t.name == name) else {
        let names: Vec<&str> = ALL.iter().map(|t| t.name).collect();
        return Err(Failure::Usage(format!("unknown command `{name}`; one of: {}", names.join(", "))));
    };
    if rest.iter().any(|a| a == "--help" || a == "-h") {
        println!("{}", task.help);
        return Ok(());
    }
    (task.run)(&root(), rest)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
        Err(Failure::Run(text)) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}
