//! `cargo xtask vectors`: replays recorded vectors through the code that they cover. What a vector file means is
//! known to the `vectors` binary of `coact-testkit`; this builds it and runs it.

use std::path::Path;
use std::process::Command;

use crate::args::Args;
use crate::{Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask vectors [--dir DIR]

Replays every recorded vector file of DIR (default testdata/vectors) that the code covers: states of reference
environments, targets, optimizers, file formats. Prints passed and failed cases per file and fails if one failed.

Example: cargo xtask vectors --dir testdata/vectors";

/// Runs the command.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &[], &["--dir"])?;
    args.no_words()?;
    let here = std::env::current_dir().map_err(|e| format!("no current directory: {e}"))?;
    let dir = args.option("--dir").map_or_else(|| root.join("testdata/vectors"), |dir| here.join(dir));
    if !dir.is_dir() {
        return Err(format!("no folder {}; give one with --dir", dir.display()).into());
    }
    let mut command = Command::new(process::binary(root, "dev", "vectors")?);
    process::run(command.current_dir(root).arg("--dir").arg(dir))
}
