//! `training`: `coact train spread-vdn` for a while, from the start of the process to its end, evaluations included.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Session;
use crate::contest::{Contest, Run, Unit};

/// Holds the contests.
///
/// # Errors
/// No binary, or what it said.
pub fn run(session: &mut Session) -> Result<(), String> {
    let coact = session.coact.clone().ok_or("no coact binary; give one with --coact")?;
    let env_steps: u64 = if session.quick { 12_000 } else { 150_000 };
    for threads in session.threads.clone() {
        session.hold(Contest {
            name: format!("training/spread-vdn/t{threads}"),
            unit: Unit::PerSecond("env-steps/s"),
            items: env_steps as f64,
            goal: None,
            ours: vec![(threads, training(coact.clone(), env_steps, threads))],
            peers: Vec::new(),
            bound: None,
        })?;
    }
    Ok(())
}

/// Run folders, removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn training(coact: PathBuf, env_steps: u64, threads: usize) -> Run<'static> {
    let name = format!("coact-bench-{}-t{threads}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let mut n = 0;
    Box::new(move |calls| {
        for _ in 0..calls {
            n += 1;
            train(&coact, env_steps, threads, &folder.0.join(n.to_string()))?;
        }
        Ok(())
    })
}

fn train(coact: &Path, env_steps: u64, threads: usize, out: &Path) -> Result<(), String> {
    let mut command = Command::new(coact);
    command.args(["train", "spread-vdn", "--quiet", "--json", "--seed", "1"]);
    command.args(["--env-steps", &env_steps.to_string(), "--threads", &threads.to_string()]);
    let output = command.arg("--out").arg(out).output();
    let output = output.map_err(|e| format!("cannot start {}: {e}", coact.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("coact train failed ({}): {}", output.status, said.trim()));
    }
    Ok(())
}
