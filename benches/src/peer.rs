//! Peers: Python processes that serve measurements over their standard input and output, one JSON object a line
//! (the protocol is in `peers/serve.py`). One process a peer and number of threads, started when it is first asked.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

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

/// How long an answer may take, compilers of peers included. Who takes longer is stopped, so that the rest is measured.
const PATIENCE: Duration = Duration::from_secs(300);

/// The peers of one run.
pub struct Peers {
    python: PathBuf,
    scripts: PathBuf,
    device: String,
    names: Vec<String>,
    threads: Vec<usize>,
    processes: Vec<(String, usize, Process)>,
    broken: Vec<String>,
    failures: Vec<String>,
}

struct Process {
    child: Child,
    to: Option<ChildStdin>,
    /// Lines of its output.
    from: Receiver<String>,
    patience: Duration,
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
        let (processes, broken, failures) = (Vec::new(), Vec::new(), Vec::new());
        Self { python, scripts, device, names, threads, processes, broken, failures }
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
            match Process::start(&self.python, &script, &self.device, threads, PATIENCE) {
                Ok(process) => self.processes.push((name.to_owned(), threads, process)),
                Err(why) => {
                    let line = format!("peer {name} is left out: {why}");
                    eprintln!("{line}");
                    self.failures.push(line);
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
        let line = format!("peer {name} failed at {measure} {params}: {failure}");
        eprintln!("{line}");
        self.failures.push(line);
        None
    }

    /// What went wrong since this was asked last, a line each.
    pub fn take_failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }
}

impl Process {
    fn start(
        python: &Path,
        script: &Path,
        device: &str,
        threads: usize,
        patience: Duration,
    ) -> Result<Self, String> {
        let mut child = Command::new(python)
            .arg(script)
            .arg(threads.to_string())
            .env("PEER_DEVICE", device)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", python.display()))?;
        let to = child.stdin.take();
        let output = child.stdout.take().ok_or("its output is closed")?;
        let (lines, from) = channel();
        // Ends with the output, or when nobody listens any more.
        std::thread::spawn(move || {
            let read = BufReader::new(output).lines().map_while(Result::ok);
            read.map(|line| lines.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        let mut process = Self { child, to, from, patience };
        process.answer()?;
        Ok(process)
    }

    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let to = self.to.as_mut().ok_or("its input is closed")?;
        writeln!(to, "{request}").map_err(|e| format!("it does not listen: {e}"))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value, String> {
        let line = match self.from.recv_timeout(self.patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => {
                return Err("it ended; are its packages installed?".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {
                self.to = None;
                // It may have ended by now.
                let _ = self.child.kill();
                return Err(format!("no answer within {:.0} s; it is stopped", self.patience.as_secs_f64()));
            }
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a script says, by a shell.
    fn said(script: &str, patience_ms: u64) -> Result<Process, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peer.sh");
        std::fs::write(&path, script).unwrap();
        Process::start(Path::new("sh"), &path, "cpu", 1, Duration::from_millis(patience_ms))
    }

    #[test]
    fn a_peer_that_hangs_or_dies_is_left_behind() {
        let mut hangs = said("echo '{}'; read line; read never", 300).unwrap();
        assert!(hangs.ask(&json!({})).unwrap_err().starts_with("no answer within"));
        assert_eq!(hangs.ask(&json!({})).unwrap_err(), "its input is closed");
        drop(hangs);
        let mut dies = said("echo '{}'; read line; exit 3", 60_000).unwrap();
        let why = dies.ask(&json!({})).unwrap_err();
        assert!(why.starts_with("it ended"), "{why}");
        assert!(said("exit 1", 60_000).is_err());
    }

    #[test]
    fn failures_are_kept_for_the_record() {
        let mut peers = Peers::new(PathBuf::from("no-such-python"), vec!["torch".to_owned()], vec![1]);
        assert!(peers.of("torch").is_empty() && peers.of("torch").is_empty());
        let lines = peers.take_failures();
        assert!(lines.len() == 1 && lines[0].starts_with("peer torch is left out: "), "{lines:?}");
        assert!(peers.take_failures().is_empty());
    }
}
