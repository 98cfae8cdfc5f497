//! What a run tells the outside: records of metrics, progress, checkpoints. Observers cannot change the run,
//! except by asking it to stop.

use std::path::Path;

use crate::metrics::Record;

/// A moment of a run, for progress displays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Environment steps taken.
    pub env_steps: u64,
    /// Environment steps in all.
    pub total_env_steps: u64,
    /// Gradient steps taken.
    pub grad_steps: u64,
    /// Episodes finished.
    pub episodes: u64,
    /// Mean return of the last episodes, summed over agents.
    pub recent_return: Option<f64>,
    /// Greedy return of the last evaluation, summed over agents.
    pub eval_return: Option<f64>,
    /// Environment steps per second since the run or its resume began.
    pub env_steps_per_s: f64,
}

/// Watches a run.
pub trait Observer {
    /// A row of metrics.
    ///
    /// # Errors
    /// What stops the run, for example a full disk.
    fn on_record(&mut self, record: &Record) -> crate::Result<()> {
        let _ = record;
        Ok(())
    }

    /// A moment, several times a second.
    fn on_progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// A checkpoint is about to be written: whatever was recorded so far must be durable first, or a power cut
    /// could leave a checkpoint that is newer than its metrics.
    ///
    /// # Errors
    /// What stops the run, for example a full disk.
    fn before_checkpoint(&mut self) -> crate::Result<()> {
        Ok(())
    }

    /// A checkpoint is durable.
    fn on_checkpoint(&mut self, env_steps: u64, path: &Path) {
        let _ = (env_steps, path);
    }

    /// Asked several times a second; true ends the run after a checkpoint, as an interrupt does.
    fn stop_requested(&mut self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {}
