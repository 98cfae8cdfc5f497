//! The suites of `cargo xtask bench`, in a visible list. Each holds a handful of contests.

pub mod act;
mod allocation;
pub mod envs;
mod games;
pub mod kernels;
pub mod network;
pub mod recurrent;
pub mod replay;
mod rollout;
mod training;
pub mod update;

use std::path::PathBuf;

use coact_kernels::Device;

use crate::contest::{Care, Contest, PeerCall, Run, Unit};
use crate::peer::Peers;
use crate::report::{Measurement, head};

/// One suite.
pub struct Suite {
    /// Name on the command line.
    pub name: &'static str,
    /// Holds its contests.
    pub run: fn(&mut Session) -> Result<(), String>,
}

/// Every suite, in the order in which they run.
pub const ALL: &[Suite] = &[
    Suite { name: "kernels", run: kernels::run },
    Suite { name: "act", run: act::run },
    Suite { name: "update", run: update::run },
    Suite { name: "recurrent", run: recurrent::run },
    Suite { name: "envs", run: envs::run },
    Suite { name: "replay", run: replay::run },
    Suite { name: "rollout", run: rollout::run },
    Suite { name: "training", run: training::run },
    Suite { name: "games", run: games::run },
    Suite { name: "allocation", run: allocation::run },
];

/// One run of the measuring binary.
pub struct Session {
    /// How carefully to measure.
    pub care: Care,
    /// Numbers of threads that ours may use, and peers with a thread pool; the faster one counts.
    pub threads: Vec<usize>,
    /// Where `act` and `update` run; the other suites know only the CPU.
    pub device: Device,
    /// What the names of contests must hold; empty for all.
    pub only: String,
    /// Smaller work for a look.
    pub quick: bool,
    /// The `coact` binary, for the suite that trains.
    pub coact: Option<PathBuf>,
    /// Who takes part.
    pub peers: Peers,
    /// What was measured so far.
    pub found: Vec<Measurement>,
}

impl Session {
    /// Part of a name: nothing for the CPU, whose names are older than other devices.
    fn place(&self) -> &'static str {
        if self.on_gpu() { "cuda/" } else { "" }
    }

    fn on_gpu(&self) -> bool {
        matches!(self.device, Device::Cuda(_))
    }

    /// Rows of `act`: more on a GPU, which few rows do not fill.
    fn rows(&self) -> &'static [usize] {
        if self.on_gpu() { &[96, 768, 3072, 24_576, 98_304] } else { &[96, 768, 3072] }
    }

    /// Holds a contest, prints its lines and keeps them; not one whose name was not asked for.
    ///
    /// # Errors
    /// What our side said.
    pub fn hold(&mut self, contest: Contest<'_>) -> Result<(), String> {
        let name = contest.name.clone();
        if !name.contains(&self.only) {
            return Ok(());
        }
        let found = contest.run(self.care, &mut self.peers).map_err(|e| format!("{name}: {e}"))?;
        self.take(found);
        Ok(())
    }

    /// Prints and keeps measurements that were not taken in a contest.
    pub fn take(&mut self, found: Vec<Measurement>) {
        if self.found.is_empty() {
            println!("{}", head());
        }
        for measurement in &found {
            println!("{}", measurement.line());
        }
        self.found.extend(found);
    }
}

/// A contest of ours on one thread against peers.
fn alone<'a>(
    name: String,
    unit: Unit,
    items: f64,
    goal: Option<f64>,
    run: Run<'a>,
    peers: Vec<PeerCall>,
) -> Contest<'a> {
    Contest { name, unit, items, goal, ours: vec![(1, run)], peers, bound: None }
}

/// Makes the calls inside a pool of `threads` threads, for work that asks rayon how many it has.
///
/// # Errors
/// Threads that cannot be started.
fn on_threads<'a>(
    threads: usize,
    mut run: impl FnMut(u64) -> Result<(), String> + Send + 'a,
) -> Result<Run<'a>, String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| e.to_string())?;
    Ok(Box::new(move |calls| pool.install(|| run(calls))))
}
