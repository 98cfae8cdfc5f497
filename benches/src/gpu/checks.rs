//! Whether the device computes what the processor does: the comparisons of `coact-kernels`, sanitizers over them, and the
//! same training again and again.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use coact_kernels::{Backend, CpuOptions, Isa};
use serde_json::{Value, json};

use super::Run;
use crate::suites::network::{AGENTS, q_shape};
use crate::suites::update::Updating;

/// Runs the comparisons under `before` (a tool and its options, or nothing) and keeps what they print.
fn tests(run: &Run, before: &[&str], filters: &[&str], file: &str) -> Result<Value, String> {
    let binary = run.request.bundle.join("gpu-tests");
    let binary =
        binary.canonicalize().map_err(|e| format!("{}: {e}; make a bundle again", binary.display()))?;
    let mut words: Vec<PathBuf> = before.iter().map(PathBuf::from).collect();
    words.push(binary);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--ignored", "--test-threads=1"]).args(filters);
    let start = Instant::now();
    let output = command.output().map_err(|e| format!("cannot start {}: {e}", words[0].display()))?;
    let seconds = start.elapsed().as_secs_f64();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let path = run.request.out.join(file);
    std::fs::write(&path, &text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    let line = text.lines().find(|l| l.starts_with("test result:"));
    let line = line.ok_or_else(|| format!("the tests came to no end; see {file}"))?;
    if !output.status.success() {
        return Err(format!("{line} see {file}"));
    }
    if line.contains(" 0 passed") {
        return Err(format!("no test has any of {filters:?} in its name"));
    }
    Ok(json!({"result": line, "seconds": seconds, "file": file}))
}

/// Every kernel against the processor, bit for bit.
pub fn parity(run: &Run) -> Result<Value, String> {
    tests(run, &[], &[], "parity.txt")
}

/// The tool in the places where CUDA installs it.
fn sanitizer() -> Option<PathBuf> {
    let places =
        ["compute-sanitizer", "/usr/local/cuda/bin/compute-sanitizer", "/opt/cuda/bin/compute-sanitizer"];
    let works = |path: &&str| Command::new(path).arg("--version").output().is_ok_and(|o| o.status.success());
    places.into_iter().find(works).map(PathBuf::from)
}

/// Parts of the names of comparisons that together launch every kernel, over odd shapes rather than long batches: a sanitizer
/// takes many times as long.
const SANITIZED: &[&str] = &[
    "over_options",
    "on_random_shapes",
    "over_widths",
    "rows_and_widths",
    "both_forms",
    "carts_on",
    "spread_on",
    "fast_runs",
];

/// Memory, races, barriers and reads of what nobody wrote, where `compute-sanitizer` is there.
pub fn sanitizers(run: &Run) -> Result<Value, String> {
    let Some(tool) = sanitizer() else {
        return Ok(json!({"absent": "compute-sanitizer is not on this machine"}));
    };
    let version = super::facts::said(&tool, &["--version"]);
    let tool = tool.to_string_lossy().into_owned();
    let mut found = Vec::new();
    let mut faults = Vec::new();
    // One that finds a fault does not spare the others.
    for kind in ["memcheck", "racecheck", "synccheck", "initcheck"] {
        let name = format!("--tool={kind}");
        let before = [tool.as_str(), &name, "--error-exitcode=9"];
        match tests(run, &before, SANITIZED, &format!("sanitizer-{kind}.txt")) {
            Ok(mut result) => {
                result["tool"] = json!(kind);
                found.push(result);
            }
            Err(why) => faults.push(format!("{kind}: {why}")),
        }
    }
    let clean: Vec<&str> = found.iter().filter_map(|r| r["tool"].as_str()).collect();
    match faults.is_empty() {
        true => Ok(json!({"version": version, "runs": found})),
        false => Err(format!("{}; clean: {}", faults.join("; "), clean.join(", "))),
    }
}

/// A hash of bits, FNV-1a.
fn hash(params: &[f32]) -> String {
    let bytes = params.iter().flat_map(|p| p.to_bits().to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

/// T10: the hash of the parameters after many updates, on every instruction set, with one thread and two, and twice on the
/// device. All must be one.
pub fn determinism(run: &Run) -> Result<Value, String> {
    let (updates, batch) =
        if run.small() { (20, 32) } else { (if run.request.quick { 1000 } else { 10_000 }, 32) };
    let mut rows = Vec::new();
    let mut add = |place: String, backend: Backend| -> Result<(), String> {
        let mut updating = Updating::new(q_shape(), AGENTS, batch, true, backend);
        updating.calls(updates)?;
        rows.push(json!({"place": place, "hash": hash(&updating.params)}));
        Ok(())
    };
    for isa in Isa::available() {
        for threads in [1, 2] {
            let backend = Backend::cpu(CpuOptions { threads, isa: Some(isa) }).map_err(|e| e.to_string())?;
            add(backend.describe(), backend)?;
        }
    }
    for time in ["first", "second"] {
        let (backend, _) = run.device.backend(CpuOptions::default()).map_err(|e| e.to_string())?;
        add(format!("{} ({time} run)", backend.describe()), backend)?;
    }
    let equal = rows.iter().all(|row| row["hash"] == rows[0]["hash"]);
    let table = json!({"updates": updates, "batch": batch, "rows": rows, "equal": equal});
    if equal { Ok(table) } else { Err(format!("parameters differ: {table}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_changes_a_hash() {
        assert_eq!(hash(&[1.0, 0.0]), hash(&[1.0, 0.0]));
        assert_ne!(hash(&[1.0, 0.0]), hash(&[1.0, -0.0]));
        assert_ne!(hash(&[1.0, 2.0]), hash(&[2.0, 1.0]));
    }
}
