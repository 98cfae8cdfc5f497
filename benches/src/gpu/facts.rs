//! What a measurement depends on: date, device, driver, clocks, versions, commit.

use std::path::Path;
use std::process::Command;

use coact_kernels::GpuInfo;
use serde_json::{Value, json};

use super::Request;

/// Figures that `nvidia-smi` gives.
const QUERY: &str = "name,driver_version,pstate,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.draw,power.limit,temperature.gpu,persistence_mode,ecc.mode.current,memory.total";

/// What a command prints, trimmed; none if it is not there or fails.
pub fn said(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Versions of what peers use; null where a package is not there.
fn versions(request: &Request) -> Value {
    let version = |module: &str| {
        said(&request.python, &["-c", &format!("import {module}; print({module}.__version__)")])
    };
    json!({
        "python": said(&request.python, &["--version"]),
        "torch": version("torch"),
        "torch_cuda": said(&request.python, &["-c", "import torch; print(torch.version.cuda)"]),
        "jax": version("jax"),
    })
}

/// What `nvidia-smi` says about the device now: its clocks among other things.
pub fn smi(request: &Request) -> Option<String> {
    let query = [&format!("--query-gpu={QUERY}"), "--format=csv", &format!("--id={}", request.ordinal)];
    said(Path::new("nvidia-smi"), &query)
}

/// Everything at once. What is not to be had is null, never left out.
pub fn collect(request: &Request, gpu: &GpuInfo) -> Value {
    let commit = std::fs::read_to_string(request.bundle.join("commit.txt")).ok();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "date": said(Path::new("date"), &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "commit": commit.map(|c| c.trim().to_owned()),
        "device": gpu.name,
        "capability": format!("{}.{}", gpu.capability.0, gpu.capability.1),
        "memory_bytes": gpu.memory,
        "driver_cuda": format!("{}.{}", gpu.driver.0, gpu.driver.1),
        "nvidia_smi": smi(request),
        "processor": processor(),
        "cores": cores,
        "system": said(Path::new("uname"), &["-srm"]),
        "versions": versions(request),
    })
}
