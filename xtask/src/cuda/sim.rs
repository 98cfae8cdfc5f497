//! `cargo xtask cuda sim`: the binary on a GPU that is not there. The kernels run under the stand-in driver, on the CPU,
//! thread by thread: for the bits of the path over a device, never for its speed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Result, process};

/// Builds the stand-in and runs `coact` against it, with `args` as its arguments.
///
/// # Errors
/// A compiler that is not there or refuses, a command that fails.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    let folder = stand_in(root)?;
    let mut command = Command::new(process::binary(root, "dev", "coact")?);
    process::run(command.args(args).env("LD_LIBRARY_PATH", folder))
}

/// The folder with the stand-in's `libcuda.so`, built anew, as the tests of `coact-kernels` do.
///
/// # Errors
/// No compiler, or one that refuses.
pub fn stand_in(root: &Path) -> Result<PathBuf> {
    if let Some(why) = super::missing() {
        return Err(Failure::Run(why.to_owned()));
    }
    let kernels = root.join("crates/kernels");
    let folder = root.join(".cuda/stand-in");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let fresh = folder.join(format!("libcuda.so.{}", std::process::id()));
    let mut compiler = Command::new("c++");
    compiler.args([
        "-std=c++17",
        "-O2",
        "-ffp-contract=off",
        "-fPIC",
        "-shared",
        "-Wno-unknown-pragmas",
        "-I",
    ]);
    compiler.arg(kernels.join("src")).arg("-o").arg(&fresh).arg(kernels.join("sim/driver.cpp"));
    process::run(&mut compiler)?;
    std::fs::rename(&fresh, folder.join("libcuda.so")).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
