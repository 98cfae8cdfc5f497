//! What is measured on a machine with a GPU, in one go: the comparisons with the CPU, sanitizers, determinism, and tables of
//! kernels, launches, updates and scaling, beside peers in the same run. Behind `cargo xtask cuda measure` and the binary of
//! `cargo xtask cuda bundle`. Everything is written as it came out, as JSON and as a page.

mod checks;
mod facts;
mod page;
mod tables;
mod work;

use std::path::{Path, PathBuf};

use coact_kernels::{Device, gpus};
use serde_json::{Value, json};

use crate::contest::Care;
use crate::peer::Peers;

/// What to do.
#[derive(Debug)]
pub struct Request {
    /// Folder for what comes out.
    pub out: PathBuf,
    /// Folder with the test binary `gpu-tests`, the scripts of peers in `peers`, and `commit.txt`.
    pub bundle: PathBuf,
    /// Number of the device.
    pub ordinal: usize,
    /// Shorter repetitions: a look, not a claim.
    pub quick: bool,
    /// Parts to run, by the names in the record; empty for all. The others stay as an earlier run left them in the folder.
    pub parts: Vec<String>,
    /// Python with the peers' packages.
    pub python: PathBuf,
    /// Peers that shall take part; one whose packages are not there is left out.
    pub peers: Vec<String>,
}

/// One run: what is asked for, the device, and whether it is one.
struct Run {
    request: Request,
    device: Device,
    /// The stand-in driver computes on the processor: nothing that it takes time for is a measurement.
    stand_in: bool,
    care: Care,
}

impl Run {
    /// Small shapes and few repetitions, for a stand-in.
    fn small(&self) -> bool {
        self.stand_in
    }

    fn peers(&self) -> Peers {
        let Request { python, peers, bundle, .. } = &self.request;
        let where_they_run = if self.stand_in { "cpu" } else { "cuda" };
        // The number of threads is the host's: one launches, more do not help.
        Peers::new(python.clone(), peers.clone(), vec![1]).at(bundle.join("peers"), where_they_run)
    }
}

/// A part of the record: its name in the file, and what makes it.
type Part = (&'static str, fn(&Run) -> Result<Value, String>);

/// Every part, in the order in which they run: what would make the rest worthless comes first.
const PARTS: &[Part] = &[
    ("parity", checks::parity),
    ("T10", checks::determinism),
    ("sanitizers", checks::sanitizers),
    ("T1", tables::kernels),
    ("T2", tables::launches),
    ("T4", tables::rollouts),
    ("T5", tables::updates),
    ("T7", tables::scaling),
];

/// What an earlier run left in the folder, if it was on the same device and commit, or nothing. A record of another device or
/// commit goes into a folder of its own there: nothing is lost because something newer is measured.
///
/// # Errors
/// What cannot be moved.
fn begun(out: &Path, facts: &Value) -> Result<Value, String> {
    let text = std::fs::read_to_string(out.join("raw.json")).unwrap_or_default();
    let before: Value = serde_json::from_str(&text).unwrap_or_default();
    let same = ["device", "commit"].iter().all(|name| before["facts"][name] == facts[name]);
    if !before.is_object() {
        return Ok(json!({}));
    }
    if same {
        return Ok(before);
    }
    let word = |name: &str| before["facts"][name].as_str().unwrap_or("unknown").to_owned();
    let (day, commit) = (word("date").chars().take(10).collect::<String>(), word("commit"));
    let place = format!("{day}-{}-{}", word("device"), commit.chars().take(8).collect::<String>());
    let folder = out.join(place.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let text = |e: std::io::Error| format!("cannot move the record before into {}: {e}", folder.display());
    std::fs::create_dir_all(&folder).map_err(text)?;
    for entry in std::fs::read_dir(out).map_err(text)?.flatten().filter(|e| e.path().is_file()) {
        std::fs::rename(entry.path(), folder.join(entry.file_name())).map_err(text)?;
    }
    Ok(json!({}))
}

/// Runs all parts and writes `raw.json` and `README.md` into the folder. A part that fails is written down, and the others
/// run all the same.
///
/// # Errors
/// No device, no folder to write into, or the names of the parts that failed.
pub fn run(request: Request) -> Result<(), String> {
    let gpu = gpus().map_err(|e| e.to_string())?;
    let gpu = gpu.get(request.ordinal).ok_or_else(|| format!("there is no cuda:{}", request.ordinal))?;
    std::fs::create_dir_all(&request.out)
        .map_err(|e| format!("cannot make {}: {e}", request.out.display()))?;
    let stand_in = gpu.name == "stand-in";
    let quick = request.quick || stand_in;
    let run = Run {
        device: Device::Cuda(request.ordinal),
        stand_in,
        care: if quick { Care::QUICK } else { Care { repetitions: 9, min_seconds: 0.1 } },
        request,
    };
    let wanted = |name: &str| run.request.parts.is_empty() || run.request.parts.iter().any(|p| p == name);
    if let Some(part) = run.request.parts.iter().find(|p| !PARTS.iter().any(|(name, _)| name == p)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("unknown part `{part}`; one of: {}", names.join(", ")));
    }
    let facts = facts::collect(&run.request, gpu);
    let mut record = begun(&run.request.out, &facts)?;
    record["stand_in"] = json!(stand_in);
    record["quick"] = json!(quick);
    record["facts"] = facts;
    let mut failed = Vec::new();
    for (name, make) in PARTS.iter().filter(|(name, _)| wanted(name)) {
        eprintln!("{name} ...");
        record[*name] = match make(&run) {
            Ok(value) => value,
            Err(why) => {
                eprintln!("{name} failed: {why}");
                failed.push(*name);
                json!({"failed": why})
            }
        };
        // Clocks, temperature and power as the part left them.
        record["after"][*name] = json!(facts::smi(&run.request));
        // After each part, so that a machine that is taken away leaves what was measured.
        write(&run.request.out, &record)?;
    }
    let out = run.request.out.display();
    if !failed.is_empty() {
        return Err(format!("failed: {}; what came out is in {out}", failed.join(", ")));
    }
    let what =
        if stand_in { "a test of this command on the stand-in driver, no measurement" } else { "measured" };
    println!("{what}: {out}/README.md, {out}/raw.json");
    Ok(())
}

/// The page of a record with nothing in it yet.
pub fn empty_page() -> String {
    page::page(&Value::Null)
}

/// Writes aside and renames, so that no half-written file is left.
fn write(out: &Path, record: &Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(record).map_err(|e| e.to_string())?;
    for (name, text) in [("raw.json", text + "\n"), ("README.md", page::page(record))] {
        let (aside, path) = (out.join(format!("{name}.part")), out.join(name));
        let written = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path));
        written.map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_device_or_commit_is_kept_beside() {
        let dir = tempfile::tempdir().unwrap();
        let facts = |device: &str| json!({"device": device, "commit": "abcdef0123456", "date": "2026-11-22T01:02:03Z"});
        assert_eq!(begun(dir.path(), &facts("H100")).unwrap(), json!({}));
        let record = json!({"facts": facts("H100"), "T1": {"rows": []}});
        write(dir.path(), &record).unwrap();
        assert_eq!(begun(dir.path(), &facts("H100")).unwrap(), record);
        assert_eq!(begun(dir.path(), &facts("H200")).unwrap(), json!({}));
        let kept = dir.path().join("2026-11-22-H100-abcdef01");
        let raw = std::fs::read_to_string(kept.join("raw.json")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&raw).unwrap(), record);
        assert!(kept.join("README.md").exists() && !dir.path().join("raw.json").exists());
    }
}
