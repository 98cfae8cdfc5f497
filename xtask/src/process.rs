//! Child processes: started in the workspace root, shown before they run, and judged by their exit status.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Failure, Result};

/// `cargo` of the toolchain that runs us, in the workspace root.
pub fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    command
}

/// Features that everything of ours is built and tested with. Builds without them are a second set of all crates above
/// `coact-kernels`; the steps `clippy` and `doc` of `cargo xtask ci` compile those without generating code.
pub const FEATURES: [&str; 2] = ["--features", "cuda"];

/// The command as one would type it.
pub fn line_of(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::Run(format!("cannot start `{}`: {error}", line_of(command)))
}

/// Runs the command with our own input and output.
pub fn run(command: &mut Command) -> Result {
    eprintln!("$ {}", line_of(command));
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Run(format!("`{}` failed ({status})", line_of(command))))
}

/// Runs the command and returns what it wrote to its standard output.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|e| cannot_start(command, &e))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Run(format!(
            "`{}` failed ({}): {}",
            line_of(command),
            output.status,
            stderr.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Builds binaries or examples (`what`: `["--bin", "golden"]`, `["--examples"]`) and returns the paths of what was
/// built. Features are those of the whole workspace and of the tests, so that no two builds of ours compile a dependency
/// twice.
pub fn built(root: &Path, profile: &str, what: &[&str]) -> Result<Vec<PathBuf>> {
    let format = "--message-format=json-render-diagnostics";
    let mut command = cargo(root, &["build", "--workspace", "--profile", profile, "--quiet", format]);
    command.args(FEATURES).args(what);
    eprintln!("$ {}", line_of(&command));
    let kind = if what.contains(&"--examples") { "example" } else { "bin" };
    let path = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_kind = message["target"]["kind"].as_array()?.iter().any(|k| k == kind);
        message["executable"].as_str().filter(|_| is_kind).map(PathBuf::from)
    };
    let stdout = command.stderr(Stdio::inherit()).output().map_err(|e| cannot_start(&command, &e))?;
    if !stdout.status.success() {
        return Err(Failure::Run(format!("`{}` failed ({})", line_of(&command), stdout.status)));
    }
    Ok(String::from_utf8_lossy(&stdout.stdout).lines().filter_map(path).collect())
}

/// Builds one binary in `profile` and returns its path. What measures is built for "release"; what checks is built in the
/// profile of the tests ("dev", optimized too), which have built most of what it needs.
pub fn binary(root: &Path, profile: &str, name: &str) -> Result<PathBuf> {
    let built = built(root, profile, &["--bin", name])?;
    built.into_iter().next_back().ok_or_else(|| Failure::Run(format!("cargo built no binary {name}")))
}

/// Whether the command can be started and succeeds; its output is discarded.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Runs the command, passes both of its outputs on, and hands every line of them to `see`.
pub fn tee(command: &mut Command, see: &(impl Fn(&str) + Sync)) -> Result {
    eprintln!("$ {}", line_of(command));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| cannot_start(command, &e))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(stdout, std::io::stdout(), see));
        scope.spawn(|| pass_on(stderr, std::io::stderr(), see));
    });
    let status = child.wait().map_err(|e| cannot_start(command, &e))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Run(format!("`{}` failed ({status})", line_of(command))))
}

fn pass_on(from: Option<impl Read>, mut to: impl Write, see: &impl Fn(&str)) {
    let Some(from) = from else { return };
    for line in BufReader::new(from).split(b'\n').map_while(std::result::Result::ok) {
        let line = String::from_utf8_lossy(&line);
        see(&line);
        // A closed pipe at the other end is no reason to stop the child.
        let _ = writeln!(to, "{line}");
    }
}
