//! `cargo xtask golden`: one reviewed playthrough per environment, kept as text. The playthroughs come from the
//! `golden` binary of `coact-benches`; this builds it and runs it.

use std::path::Path;
use std::process::Command;

use crate::args::Args;
use crate::{Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask golden [--bless]

Plays a fixed episode of every registered environment and compares it with testdata/golden/NAME.txt. A difference
means that trained agents would observe other numbers. With --bless the files are rewritten: review the diff, and
raise the environment's `version` if a number changed.

Example: cargo xtask golden --bless && git diff testdata/golden";

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &["--bless"], &[])?;
    args.no_words()?;
    let mut command = Command::new(process::binary(root, "dev", "golden")?);
    command.current_dir(root).arg("--dir").arg(root.join("testdata/golden"));
    if args.flag("--bless") {
        command.arg("--bless");
    }
    process::run(&mut command)
}
