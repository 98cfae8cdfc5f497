//! Peers: Python processes that serve measurements over their standard input and output, one JSON object a line
//! (the protocol is in `peers/serve.py`). One process a peer and number of threads, started when it is first asked.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Names of the peers that have a script.
pub const NAMES: &[&str] = &[
    "jax",
    "jaxmarl",
    "jaxmarlenvs",
    "lbforaging",
    "rware",
    "vmas",
    "mpe2",
    "cpprb",
    "gymnasium",
    "torch",
    "scipy",
    "lapx",
    "openspiel",
    "quantecon",
    "nashpy",
    "gambit",
    "mdptoolbox",
];

/// The peers of one run.
pub struct Peers {
    python: PathBuf,
    scripts: PathBuf,
    device: String,
    names: Vec<String>,
    threads: Vec<usize>,
    processes: Vec<(String, usize, Process)>,
    broken: Vec<String>,
}

struct Process {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peers {
    /// Nobody to compare with.
    pub fn none() -> Self {
        Self::new(PathBuf::new(), Vec::new(), vec![1])
    }

    /// The peers `names`, run by `python`; those with a thread pool once for each number in `threads`.
    pub fn new(python: PathBuf, names: Vec<String>, threads: Vec<usize>) -> Self {
        let scripts = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"));
        let device = "cpu".to_owned();
        Self { python, scripts, device, names, threads, processes: Vec::new(), broken: Vec::new() }
    }

    /// The same with scripts in another folder, and where those that can compute on a GPU do so: `cpu` or `cuda`.
    #[must_use]
    pub fn at(mut self, scripts: PathBuf, device: &str) -> Self {
        (self.scripts, self.device) = (scripts, device.to_owned());
        self
    }

    /// Whether this peer takes part.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name) && !self.broken.iter().any(|n| n == name)
    }

    /// Processes of a peer with their numbers of threads; none if it does not take part or cannot be started.
    pub fn of(&mut self, name: &str) -> Vec<(usize, usize)> {
        if !self.has(name) {
            return Vec::new();
        }
        // Plain Python code has no pool.
        let has_pool = matches!(name, "jax" | "jaxmarl" | "torch");
        for &threads in if has_pool { &self.threads[..] } else { &[1] } {
            if self.processes.iter().any(|(n, t, _)| n == name && *t == threads) {
                continue;
            }
            let script = self.scripts.join(format!("peer_{name}.py"));
            match Process::start(&self.python, &script, &self.device, threads) {
                Ok(process) => self.processes.push((name.to_owned(), threads, process)),
                Err(why) => {
                    eprintln!("peer {name} is left out: {why}");
                    self.broken.push(name.to_owned());
                    return Vec::new();
                }
            }
        }
        let all = self.processes.iter().enumerate();
        all.filter(|(_, (n, _, _))| n == name).map(|(i, (_, t, _))| (i, *t)).collect()
    }

    /// Seconds a call of a measurement of process `index`; none, and a word about it, if it failed.
    pub fn time(&mut self, index: usize, measure: &str, params: &Value, min_seconds: f64) -> Option<f64> {
        let (name, _, process) = &mut self.processes[index];
        let request = json!({"measure": measure, "params": params, "min_seconds": min_seconds});
        let failure = match process.ask(&request) {
            Ok(answer) => match (answer["seconds"].as_f64(), answer["calls"].as_f64()) {
                (Some(seconds), Some(calls)) => return Some(seconds / calls),
                _ => answer["error"].as_str().unwrap_or("an answer without numbers").to_owned(),
            },
            Err(why) => why,
        };
        eprintln!("peer {name} failed at {measure} {params}: {failure}");
        None
    }
}

impl Process {
    fn start(python: &Path, script: &Path, device: &str, threads: usize) -> Result<Self, String> {
        let mut child = Command::new(python)
            .arg(script)
            .arg(threads.to_string())
            .env("PEER_DEVICE", device)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", python.display()))?;
        let to = child.stdin.take();
        let from = child.stdout.take().ok_or("its output is closed")?;
        let mut process = Self { child, to, from: BufReader::new(from) };
        process.answer()?;
        Ok(process)
    }

    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let to = self.to.as_mut().ok_or("its input is closed")?;
        writeln!(to, "{request}").map_err(|e| format!("it does not listen: {e}"))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.from.read_line(&mut line).map_err(|e| format!("it does not answer: {e}"))?;
        if line.is_empty() {
            return Err("it ended; are its packages installed?".to_owned());
        }
        serde_json::from_str(&line).map_err(|e| format!("its answer is not JSON ({e}): {}", line.trim()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its loop ends with its input.
        drop(self.to.take());
        let _ = self.child.wait();
    }
}
