//! `cargo xtask ptx` and `cargo xtask cuda`: compiles the kernels for NVIDIA GPUs ahead of time, and checks them, without
//! a GPU and without CUDA's toolkit. The compilers are Python packages of pinned versions in `.cuda/`, which git ignores.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::{Failure, Result, process};

/// Help text of `ptx`.
pub const PTX_HELP: &str = "\
Usage: cargo xtask ptx [--check]

Compiles crates/kernels/src/cuda/kernels.cu to kernels.ptx beside it, with NVRTC 12.0 for compute 8.0 (drivers for CUDA
12.0 or newer), and assembles that for 8.0 and 9.0: registers that spill, and use of the stack, are errors. The
compilers are Python packages, installed in .cuda/ on first use (60 MB). Commit kernels.ptx with the sources.

  --check   write nothing; fail if the committed kernels.ptx is not what the sources give

Example: cargo xtask ptx";

/// Help text of `cuda`.
pub const CUDA_HELP: &str = "\
Usage: cargo xtask cuda check|test

  check   needs no GPU: `cargo xtask ptx --check`, then the tests of coact-kernels with its feature `cuda`, which run
          every kernel under a stand-in driver (this needs a C++ compiler) and compare it with the CPU bit for bit
  test    needs a GPU: the same comparisons on it

Example: cargo xtask cuda check";

/// PTX of CUDA 12.0, which drivers of the series 525 and newer take.
const PACKAGES: &[&str] = &["nvidia-cuda-nvrtc-cu12==12.0.140", "nvidia-cuda-nvcc-cu12==12.4.131"];

struct Compilers {
    python: PathBuf,
    nvrtc: PathBuf,
    ptxas: PathBuf,
}

/// The compilers in `.cuda/`, installed if they are not there.
fn compilers(root: &Path) -> Result<Compilers> {
    let home = root.join(".cuda/venv");
    let python = home.join("bin/python");
    let find = |name: &str| find(&home.join("lib"), name, 6);
    if let (Some(nvrtc), Some(ptxas)) = (find("libnvrtc.so.12"), find("ptxas")) {
        return Ok(Compilers { python, nvrtc, ptxas });
    }
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let mut install = Command::new(&python);
    process::run(
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES),
    )?;
    match (find("libnvrtc.so.12"), find("ptxas")) {
        (Some(nvrtc), Some(ptxas)) => Ok(Compilers { python, nvrtc, ptxas }),
        _ => Err(Failure::Run(format!("{} holds no compilers; delete it and try again", home.display()))),
    }
}

/// The file of this name below `folder`, `depth` folders deep at most.
fn find(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            folders.push(path);
        } else if entry.file_name() == name {
            return Some(path);
        }
    }
    if depth == 0 { None } else { folders.iter().find_map(|f| find(f, name, depth - 1)) }
}

/// Runs `ptx`.
pub fn ptx(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &["--check"], &[])?;
    args.no_words()?;
    let sources = root.join("crates/kernels/src");
    let committed = sources.join("cuda/kernels.ptx");
    let Compilers { python, nvrtc, ptxas } = compilers(root)?;
    let made = if args.flag("--check") { root.join(".cuda/kernels.ptx") } else { committed.clone() };
    let mut compile = Command::new(python);
    process::run(compile.arg(root.join("xtask/nvrtc.py")).arg(nvrtc).arg(sources).arg(&made))?;
    for arch in ["sm_80", "sm_90"] {
        assemble(&ptxas, arch, &made)?;
    }
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    if read(&made)? != read(&committed)? {
        let text = "kernels.ptx is not what the sources give; run `cargo xtask ptx` and commit it";
        return Err(Failure::Run(text.to_owned()));
    }
    Ok(())
}

/// Assembles for one kind of device and prints what each kernel takes.
fn assemble(ptxas: &Path, arch: &str, ptx: &Path) -> Result {
    let mut command = Command::new(ptxas);
    command.args(["-v", "--warn-on-spills", "--warning-as-error", "-arch", arch, "-o", "/dev/null"]).arg(ptx);
    let output = command.output().map_err(|e| format!("cannot start {}: {e}", ptxas.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::Run(format!("ptxas -arch {arch}: {}", said.trim())));
    }
    let mut kernel = "";
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("Function properties for ") {
            kernel = rest.trim();
        } else if line.contains("bytes stack frame") && !line.contains(" 0 bytes stack frame") {
            return Err(Failure::Run(format!("{kernel} ({arch}) uses the stack: {}", line.trim())));
        } else if let Some((_, rest)) = line.split_once("Used ") {
            println!("{arch}  {kernel:<20} {}", rest.split(',').next().unwrap_or(rest));
        }
    }
    Ok(())
}

/// Runs `cuda`.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &[], &[])?;
    let features = ["test", "-p", "coact-kernels", "--features", "cuda"];
    match args.words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => {
            ptx(root, &["--check".to_owned()])?;
            process::run(&mut process::cargo(root, &features))
        }
        ["test"] => {
            let on_device = ["--test", "gpu", "--", "--ignored", "--test-threads=1"];
            process::run(&mut process::cargo(root, &[&features[..], &on_device[..]].concat()))
        }
        _ => Err(Failure::Usage(CUDA_HELP.to_owned())),
    }
}
