//! The suites of `cargo xtask bench`, in a visible list. Each holds a handful of contests.

mod replay;

use std::path::PathBuf;

use crate::contest::{Care, Contest};
use crate::peer::Peers;
use crate::report::{Measurement, head};

/// One suite.
pub struct Suite {
    /// Name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Holds its contests.
    pub run: fn(&mut Session) -> Result<(), String>,
}

/// Every suite, in the order in which they run.
pub const ALL: &[Suite] = &[Suite {
    name: "replay",
    about: "priority updates, samples, pushes and gathers at a million entries",
    run: replay::run,
}];

/// One run of the measuring binary.
pub struct Session {
    /// How carefully to measure.
    pub care: Care,
    /// Numbers of threads that ours may use; the faster one counts.
    pub threads: Vec<usize>,
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
    /// Holds a contest, prints its lines and keeps them.
    ///
    /// # Errors
    /// What our side said.
    pub fn hold(&mut self, contest: Contest<'_>) -> Result<(), String> {
        let name = contest.name.clone();
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
