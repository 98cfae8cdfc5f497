//! `cargo xtask cuda bundle` and `cuda measure`: what has to be carried to a machine with a GPU, and the run there. The run
//! itself is the binary `gpu-record` of `coact-benches`, so that it needs no Rust.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::args::Args;
use crate::{Failure, Result, process};

/// The C library that machines with GPUs have at least: glibc 2.34, that of RHEL 9.
const NEWEST_GLIBC: (u32, u32) = (2, 34);

/// Scripts of peers that can compute on a GPU, and what they share.
const SCRIPTS: &[&str] = &["serve.py", "peer_torch.py", "peer_jax.py"];

/// What the folder says about itself.
const README: &str = "\
coact on a GPU: everything that is measured there, in one command. Needs NVIDIA's driver for CUDA 12.0 or newer and glibc 2.34 or
newer; no Rust, no CUDA toolkit. PyTorch and JAX take part where the Python that is named has them.

    ./gpu-record --out record --python /path/to/python3

writes record/README.md and record/raw.json. `./gpu-record --help` lists the options, `./gpu-tests --ignored --test-threads=1`
runs only the comparisons with the processor, `./coact train spread-vdn --device cuda` trains, and `./measure kernels --device
cuda` measures kernels.
";

fn written(path: &Path, result: std::io::Result<()>) -> Result {
    result.map_err(|e| Failure::Run(format!("cannot write {}: {e}", path.display())))
}

/// Builds the comparisons of `coact-kernels` as a binary that runs anywhere.
fn test_binary(root: &Path, profile: &str) -> Result<PathBuf> {
    let mut command = process::cargo(root, &["test", "--workspace", "--test", "gpu", "--no-run", "--quiet"]);
    command.args(process::FEATURES).args(["--profile", profile, "--message-format=json-render-diagnostics"]);
    eprintln!("$ {}", process::line_of(&command));
    let text = process::capture(command.stderr(Stdio::inherit()))?;
    let path = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().filter(|_| message["target"]["name"] == "gpu").map(PathBuf::from)
    };
    text.lines()
        .filter_map(path)
        .next_back()
        .ok_or_else(|| Failure::Run("cargo built no test `gpu`".to_owned()))
}

/// The newest version of glibc that a binary asks for.
fn glibc_of(binary: &[u8]) -> (u32, u32) {
    let mark = b"GLIBC_";
    let mut newest = (0, 0);
    for at in 0..binary.len().saturating_sub(mark.len()) {
        if !binary[at..].starts_with(mark) {
            continue;
        }
        let rest = &binary[at + mark.len()..];
        let end = rest.iter().position(|b| !(b.is_ascii_digit() || *b == b'.')).unwrap_or(rest.len());
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut parts = text.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        newest = newest.max((parts.next().unwrap_or(0), parts.next().unwrap_or(0)));
    }
    newest
}

/// Copies a binary, strips it where a tool for that is there, and refuses one that an older C library cannot load.
fn carry(from: &Path, to: &Path) -> Result {
    written(to, std::fs::copy(from, to).map(|_| ()))?;
    if !process::succeeds(Command::new("strip").arg(to)) {
        eprintln!("{} is not stripped: there is no `strip` here", to.display());
    }
    let bytes = std::fs::read(to).map_err(|e| format!("cannot read {}: {e}", to.display()))?;
    let (major, minor) = glibc_of(&bytes);
    if (major, minor) > NEWEST_GLIBC {
        return Err(Failure::Run(format!(
            "{} asks for glibc {major}.{minor}, and machines with GPUs may have 2.34; build on an older system",
            to.display()
        )));
    }
    println!("{:<12} {:>7.1} MB, glibc {major}.{minor}", name_of(to), bytes.len() as f64 * 1e-6);
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Makes the folder that is carried to a machine with a GPU; `profile` is that of cargo.
fn bundle(root: &Path, out: &Path, profile: &str) -> Result {
    let peers = out.join("peers");
    written(&peers, std::fs::create_dir_all(&peers))?;
    for name in ["gpu-record", "measure", "coact"] {
        carry(&process::binary(root, profile, name)?, &out.join(name))?;
    }
    carry(&test_binary(root, profile)?, &out.join("gpu-tests"))?;
    for script in SCRIPTS {
        let to = peers.join(script);
        written(&to, std::fs::copy(root.join("benches/peers").join(script), &to).map(|_| ()))?;
    }
    let ptx = out.join("kernels.ptx");
    written(&ptx, std::fs::copy(root.join("crates/kernels/src/cuda/kernels.ptx"), &ptx).map(|_| ()))?;
    let git = |args: &[&str]| process::capture(Command::new("git").current_dir(root).args(args)).ok();
    let commit = git(&["rev-parse", "HEAD"]).map_or("unknown".to_owned(), |c| c.trim().to_owned());
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| !s.trim().is_empty());
    let note = if changed { " with changes that are not committed" } else { "" };
    for (name, text) in [("commit.txt", format!("{commit}{note}\n")), ("README.txt", README.to_owned())] {
        let path = out.join(name);
        written(&path, std::fs::write(&path, text))?;
    }
    Ok(())
}

/// Runs `cuda bundle`.
pub fn run_bundle(root: &Path, args: &Args) -> Result {
    let out = folder(args)?;
    bundle(root, &out, args.option("--profile").unwrap_or("release"))?;
    println!("carry {} to a machine with a GPU, and there: ./gpu-record --out record", out.display());
    Ok(())
}

/// Where `--out` leads.
fn folder(args: &Args) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|e| format!("no current directory: {e}"))?;
    let out =
        args.option("--out").ok_or_else(|| Failure::Usage("--out DIR says where to write".to_owned()))?;
    Ok(here.join(out))
}

/// Whether the loader can find NVIDIA's driver. The binary asks it properly; this spares building one in vain.
fn has_driver() -> bool {
    let listed =
        process::capture(Command::new("ldconfig").arg("-p")).is_ok_and(|text| text.contains("libcuda.so"));
    let path = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let places = ["/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/wsl/lib", "/usr/local/nvidia/lib64"];
    let mut folders = path.split(':').filter(|p| !p.is_empty()).chain(places);
    listed || folders.any(|f| ["libcuda.so", "libcuda.so.1"].iter().any(|n| Path::new(f).join(n).exists()))
}

/// Runs `cuda measure`.
pub fn run_measure(root: &Path, args: &Args) -> Result {
    let out = folder(args)?;
    let pretend = args.flag("--stand-in");
    if !pretend && !has_driver() {
        let why = "no GPU to compute on: NVIDIA's driver (libcuda) is not installed; carry what `cargo xtask cuda bundle` makes to a \
                   machine with one, or try this command with --stand-in";
        return Err(Failure::Run(why.to_owned()));
    }
    let profile = args.option("--profile").unwrap_or(if pretend { "dev" } else { "release" });
    let folder = root.join(".cuda/bundle");
    bundle(root, &folder, profile)?;
    let mut command = Command::new(folder.join("gpu-record"));
    command.current_dir(root).arg("--out").arg(&out);
    if pretend {
        command.env("LD_LIBRARY_PATH", super::sim::stand_in(root)?);
    }
    if args.flag("--quick") {
        command.arg("--quick");
    }
    for name in ["--python", "--peers", "--parts", "--device"] {
        if let Some(value) = args.option(name) {
            command.args([name, value]);
        }
    }
    process::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_c_library_counts() {
        assert_eq!(glibc_of(b"\0GLIBC_2.2.5\0GLIBC_2.34\0xGLIBC_2.9\0"), (2, 34));
        assert_eq!(glibc_of(b"GLIBC_PRIVATE GLIBC_"), (0, 0));
        assert!(glibc_of(b"GLIBC_2.36") > NEWEST_GLIBC && glibc_of(b"GLIBC_2.4") < NEWEST_GLIBC);
    }
}
