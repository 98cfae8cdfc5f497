//! `cargo xtask ptx` and `cargo xtask cuda`: compiles the kernels for NVIDIA GPUs ahead of time, and checks them, without
//! a GPU and without CUDA's toolkit. The compilers are Python packages of pinned versions in `.cuda/`, which git ignores.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::{Failure, Result, process};

mod budget;
mod measure;
mod sim;

/// Help text of `ptx`.
pub const PTX_HELP: &str = "\
Usage: cargo xtask ptx [--check] [--budgets]

Compiles crates/kernels/src/cuda/kernels.cu to kernels.ptx beside it, with NVRTC 12.0 for compute 8.0 (drivers for CUDA
12.0 or newer), and assembles that for 8.0 and 9.0: registers that spill, use of the stack, and registers or static shared
memory beyond the budget.toml beside a kernel, are errors. Prints what each kernel takes beside its budget. The compilers
are Python packages, installed in .cuda/ on first use (60 MB). Commit kernels.ptx with the sources.

  --check    write nothing; fail if the committed kernels.ptx is not what the sources give
  --budgets  write what kernels take now into the budget.toml beside each: for a new kernel, or where more is worth it

Example: cargo xtask ptx";

/// Help text of `cuda`.
pub const CUDA_HELP: &str = "\
Usage: cargo xtask cuda check|test
       cargo xtask cuda sim -- ARGS..
       cargo xtask cuda bundle --out DIR [--profile NAME]
       cargo xtask cuda measure --out DIR [--quick] [--stand-in] [--python PATH] [--peers LIST]
                           [--parts LIST] [--device N]

  check   needs no GPU: `cargo xtask ptx --check`; planted kernels that spill, use the stack or exceed a budget, which
          must be refused; then tests that run every kernel under a stand-in driver (this needs a C++ compiler), compare
          it with the CPU bit for bit, and do so again with faults planted in the kernels, each of which must be found;
          then trains under the stand-in, and compares checkpoints with those of the CPU. The tests are among those of
          `cargo xtask test`
  test    needs a GPU: the same comparisons on it
  bundle  makes a folder to carry to a machine with a GPU, which needs no Rust: stripped binaries for glibc 2.34, PTX,
          scripts of peers; `./gpu-record --out DIR` there is the next command
  measure needs a GPU: the comparisons, sanitizers where they are installed, training again and again, and tables of
          kernels, launches, updates beside PyTorch and JAX, and scaling, written into DIR as README.md and raw.json.
          --stand-in tries the command without a GPU, on small shapes; no time that it writes is a measurement
  sim -- ARGS..
          needs no GPU: builds the stand-in driver and runs `coact ARGS..` against it, for example to see that a run gives
          the hash of the CPU's: `cargo xtask cuda sim -- train spread-vdn --device cuda --set env_steps=2000
          --set learning_starts=1000` and the same with `--device cpu`

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

/// Makes PTX of the entry file `entry` below `sources`.
fn compile(compilers: &Compilers, root: &Path, sources: &Path, entry: &str, out: &Path) -> Result {
    let mut compile = Command::new(&compilers.python);
    compile.arg(root.join("xtask/nvrtc.py")).arg(&compilers.nvrtc).arg(sources).arg(entry).arg(out);
    process::run(&mut compile)
}

/// Runs `ptx`.
pub fn ptx(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &["--check", "--budgets"], &[])?;
    args.no_words()?;
    let sources = root.join("crates/kernels/src");
    let committed = sources.join("cuda/kernels.ptx");
    let compilers = compilers(root)?;
    let check = args.flag("--check");
    let made = if check { root.join(".cuda/kernels.ptx") } else { committed.clone() };
    compile(&compilers, root, &sources, "cuda/kernels.cu", &made)?;
    let mut usage = Vec::new();
    for arch in budget::ARCHITECTURES {
        usage.extend(assemble(&compilers.ptxas, arch, &made)?);
    }
    if args.flag("--budgets") && !check {
        budget::write(&sources, &usage)?;
    }
    let budgets = budget::read(&sources)?;
    print!("{}", budget::table(&budgets, &usage));
    budget::hold(&budgets, &usage).map_err(Failure::Run)?;
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    if read(&made)? != read(&committed)? {
        let text = "kernels.ptx is not what the sources give; run `cargo xtask ptx` and commit it";
        return Err(Failure::Run(text.to_owned()));
    }
    Ok(())
}

/// Assembles for one kind of device, and returns what each kernel takes. Spills and use of the stack are errors.
fn assemble(ptxas: &Path, arch: &str, ptx: &Path) -> Result<Vec<budget::Usage>> {
    let mut command = Command::new(ptxas);
    command.args(["-v", "--warn-on-spills", "--warning-as-error", "-arch", arch, "-o", "/dev/null"]).arg(ptx);
    let output = command.output().map_err(|e| format!("cannot start {}: {e}", ptxas.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::Run(format!("ptxas -arch {arch}: {}", said.trim())));
    }
    budget::usage(arch, &said).map_err(Failure::Run)
}

/// Hands kernels with faults to the compilers, which must refuse each of them: a gate that lets everything through looks
/// like one that finds nothing.
fn refuses_faults(root: &Path) -> Result {
    let compilers = compilers(root)?;
    let sources = root.join("crates/kernels/sim/faults");
    for (entry, expected) in [
        ("spills.cu", "spilled"),
        ("stack.cu", "uses the stack"),
        ("greedy.cu", "registers; its budget is 24"),
    ] {
        let made = root.join(".cuda/fault.ptx");
        compile(&compilers, root, &sources, entry, &made)?;
        let said = match assemble(&compilers.ptxas, "sm_80", &made) {
            Ok(usage) => budget::hold(&budget::parse("faults/budget.toml", FAULT_BUDGET)?, &usage).err(),
            Err(Failure::Run(why) | Failure::Usage(why)) => Some(why),
        };
        match said {
            Some(why) if why.contains(expected) => println!("refused, as it must be: {entry}"),
            other => {
                let why = other.unwrap_or_else(|| "nothing".to_owned());
                let text = format!("the gate said {why:?} to the planted fault {entry}, not {expected:?}");
                return Err(Failure::Run(text));
            }
        }
    }
    Ok(())
}

/// What the planted kernel that takes too much is held against.
const FAULT_BUDGET: &str = "[greedy]\nsm_80 = { registers = 24, shared = 0 }\n";

/// Why `cuda check` cannot run on this machine; none if it can.
pub fn missing() -> Option<&'static str> {
    if !process::succeeds(Command::new("python3").arg("--version")) {
        return Some("install Python 3 with its venv module: the compilers are Python packages");
    }
    if !process::succeeds(Command::new("c++").arg("--version")) {
        return Some("install a C++ compiler (c++): it builds the stand-in driver");
    }
    None
}

/// The half of `cuda check` that is no test of the workspace: the compilers of kernels, and what they must refuse.
///
/// # Errors
/// A tool that is not there, and what [`ptx`] and [`refuses_faults`] find.
pub fn compiles(root: &Path) -> Result {
    if let Some(why) = missing() {
        return Err(Failure::Run(why.to_owned()));
    }
    ptx(root, &["--check".to_owned()])?;
    refuses_faults(root)
}

/// Runs tests of the workspace, from the artifacts of `cargo xtask test`.
fn runs(root: &Path, tests: &[&str]) -> Result {
    let mut command = process::cargo(root, &["test", "--workspace"]);
    process::run(command.args(process::FEATURES).args(tests))
}

/// Runs `cuda`.
pub fn run(root: &Path, args: &[String]) -> Result {
    if args.first().is_some_and(|arg| arg == "sim") {
        return sim::run(root, &args[1..]);
    }
    let args = Args::parse(
        args,
        &["--quick", "--stand-in"],
        &["--out", "--profile", "--python", "--peers", "--parts", "--device"],
    )?;
    match args.words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => {
            compiles(root)?;
            runs(root, &["--test", "gpu"])?;
            runs(root, &["--test", "binary", "device"])
        }
        ["test"] => runs(root, &["--test", "gpu", "--", "--ignored", "--test-threads=1"]),
        ["bundle"] => measure::run_bundle(root, &args),
        ["measure"] => measure::run_measure(root, &args),
        _ => Err(Failure::Usage(CUDA_HELP.to_owned())),
    }
}
