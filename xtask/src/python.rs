//! `cargo xtask python`: builds the wheel of the Python package, tests it and measures it. Tools and peers are Python packages
//! of pinned versions in `.python/`, which git ignores.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::{Failure, Result, process};

/// Help text.
pub const HELP: &str = "\
Usage: cargo xtask python wheel|test|bench [-k EXPR]

  wheel   builds the release wheel in target/wheels, one for Python 3.10 and newer
  test    builds a wheel, installs it in .python/venv and runs crates/python/tests with pytest, PettingZoo's and
          Gymnasium's own test functions among them; -k runs the tests whose names match EXPR
  bench   builds the release wheel and prints how many steps a second Python gets

maturin, numpy, PettingZoo, Gymnasium and pytest are installed in .python/ on first use, in the versions of
crates/python/requirements.txt. Needs python3 with its venv module.

Example: cargo xtask python test -k seeds";

const CRATE: &str = "crates/python";

/// Whether this machine has a Python that makes virtual environments.
pub fn is_here() -> bool {
    process::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]))
}

/// The Python of the virtual environment, with the packages of requirements.txt.
///
/// # Errors
/// No Python, or packages that cannot be installed.
pub fn prepare(root: &Path) -> Result<PathBuf> {
    let home = root.join(".python/venv");
    let python = home.join("bin/python");
    if !is_here() {
        return Err(Failure::Run(
            "no python3 with the modules venv and ensurepip; install Python 3".to_owned(),
        ));
    }
    let wanted = root.join(CRATE).join("requirements.txt");
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    };
    let (list, installed) = (read(&wanted)?, home.join("requirements.txt"));
    if python.exists() && read(&installed).is_ok_and(|there| there == list) {
        return Ok(python);
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    process::run(Command::new(&python).args(PIP_INSTALL).arg("--requirement").arg(&wanted))?;
    std::fs::write(&installed, list).map_err(|e| format!("cannot write {}: {e}", installed.display()))?;
    Ok(python)
}

const PIP_INSTALL: [&str; 5] = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];

/// Builds the wheel in `profile` into the empty folder `to` and returns its path.
fn build(root: &Path, python: &Path, profile: &str, to: &Path) -> Result<PathBuf> {
    let mut maturin = Command::new(python);
    maturin.current_dir(root).args(["-m", "maturin", "build", "--locked", "--quiet", "--profile", profile]);
    maturin.arg("--interpreter").arg(python).arg("--out").arg(to);
    process::run(maturin.arg("--manifest-path").arg(root.join(CRATE).join("Cargo.toml")))?;
    let fault = |e: std::io::Error| format!("cannot read {}: {e}", to.display());
    let mut wheels = Vec::new();
    for entry in std::fs::read_dir(to).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.extension().is_some_and(|end| end == "whl") {
            let built = path.metadata().and_then(|meta| meta.modified()).map_err(fault)?;
            wheels.push((built, path));
        }
    }
    match wheels.into_iter().max() {
        Some((_, wheel)) => Ok(wheel),
        None => Err(Failure::Run(format!("maturin left no wheel in {}", to.display()))),
    }
}

fn install(python: &Path, wheel: &Path) -> Result {
    process::run(Command::new(python).args(PIP_INSTALL).args(["--force-reinstall", "--no-deps"]).arg(wheel))
}

/// Builds, installs and tests. In the profile of the tests, which have built most of what is needed.
///
/// # Errors
/// A wheel that does not build, or a test that fails.
pub fn test(root: &Path, python: &Path, filter: Option<&str>) -> Result {
    let wheel = build(root, python, "dev", &root.join(".python/wheels"))?;
    install(python, &wheel)?;
    let mut pytest = Command::new(python);
    pytest.current_dir(root.join(CRATE)).args(["-m", "pytest"]);
    if let Some(filter) = filter {
        pytest.args(["-k", filter]);
    }
    process::run(&mut pytest)
}

/// Runs `python`.
pub fn run(root: &Path, args: &[String]) -> Result {
    let args = Args::parse(args, &[], &["-k"])?;
    let [word] = args.words.as_slice() else { return Err(Failure::Usage(HELP.to_owned())) };
    match (word.as_str(), args.option("-k")) {
        ("test", filter) => test(root, &prepare(root)?, filter),
        ("wheel", None) => {
            let wheel = build(root, &prepare(root)?, "release", &root.join("target/wheels"))?;
            println!("{}", wheel.strip_prefix(root).unwrap_or(&wheel).display());
            Ok(())
        }
        ("bench", None) => {
            let python = prepare(root)?;
            install(&python, &build(root, &python, "release", &root.join("target/wheels"))?)?;
            process::run(Command::new(&python).arg(root.join(CRATE).join("examples/throughput.py")))
        }
        _ => Err(Failure::Usage(HELP.to_owned())),
    }
}
