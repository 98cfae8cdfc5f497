//! A team of threads that stays: workers spin for a moment after a job, then sleep. A job is a number of parts that
//! threads claim one by one, so a caller whose workers are late does the parts itself and waits for nobody. Which
//! thread does a part must not matter for the result.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Rounds of waiting before a worker sleeps, some 50 us: longer than the gaps inside an update, shorter than what
/// anyone would notice as load.
const SPINS: u32 = 3000;

/// Rounds of waiting for a part that a worker has begun, before offering the core to others.
const PATIENCE: u32 = 2000;

const ACTIVE: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const EPOCH_SHIFT: u32 = 17;

/// A part and the thread that does it.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

struct Board {
    /// Epoch, whether the job is open, and how many workers are in it.
    state: AtomicU64,
    /// Next part to claim, and the number of parts.
    next: AtomicUsize,
    parts: AtomicUsize,
    /// The job; valid while `state` is open or has active workers.
    job: UnsafeCell<Option<*const Work<'static>>>,
    asleep: Vec<AtomicBool>,
    stop: AtomicBool,
    /// Workers that run.
    begun: AtomicUsize,
    panicked: AtomicBool,
}

// SAFETY: `job` is written only while no worker can be active, and published by `state`.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

impl Board {
    /// Claims and does parts until none is left.
    fn work(&self, job: &Work<'_>, thread: usize) {
        let parts = self.parts.load(Ordering::Relaxed);
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return;
            }
            job(part, thread);
        }
    }

    /// Enters the open job of a new epoch, if there is one.
    fn enter(&self, last: u64) -> Option<u64> {
        let state = self.state.load(Ordering::SeqCst);
        let epoch = state >> EPOCH_SHIFT;
        if state & OPEN == 0 || epoch == last {
            return None;
        }
        let entered = self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed);
        entered.ok().map(|_| epoch)
    }

    fn worker(&self, thread: usize) {
        self.begun.fetch_add(1, Ordering::Release);
        let mut last = 0;
        let mut idle = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(epoch) = self.enter(last) {
                last = epoch;
                idle = 0;
                // SAFETY: an entered job stays valid until this worker leaves it.
                let job = unsafe { (*self.job.get()).map(|job| &*job) };
                if let Some(job) = job
                    && catch_unwind(AssertUnwindSafe(|| self.work(job, thread))).is_err()
                {
                    self.panicked.store(true, Ordering::Relaxed);
                }
                self.state.fetch_sub(1, Ordering::Release);
            } else if idle < SPINS {
                idle += 1;
                std::hint::spin_loop();
            } else {
                let asleep = &self.asleep[thread - 1];
                asleep.store(true, Ordering::SeqCst);
                // A job published before the flag was up would not wake us.
                let state = self.state.load(Ordering::SeqCst);
                let news = state & OPEN != 0 && state >> EPOCH_SHIFT != last;
                if !news && !self.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                asleep.store(false, Ordering::SeqCst);
                idle = 0;
            }
        }
    }
}

/// Closes the job, and waits for workers inside; also if the caller's own part panics.
struct Closing<'a>(&'a Board);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut rounds = 0;
        while self.0.state.load(Ordering::Acquire) & ACTIVE != 0 {
            if rounds < PATIENCE {
                rounds += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// The caller and its workers.
pub(crate) struct Team {
    board: Arc<Board>,
    workers: Vec<JoinHandle<()>>,
    epoch: u64,
}

impl Team {
    /// A team of `threads`, the caller included.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let n = threads.saturating_sub(1);
        let board = Arc::new(Board {
            state: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            parts: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            asleep: (0..n).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        });
        let mut team = Self { board, workers: Vec::with_capacity(n), epoch: 0 };
        for thread in 1..=n {
            let board = Arc::clone(&team.board);
            let builder = std::thread::Builder::new().name(format!("coact-{thread}"));
            // A refused thread drops the team, which ends the workers so far.
            team.workers.push(builder.spawn(move || board.worker(thread))?);
        }
        // A thread that begins takes memory. On a busy machine it might do so long after this, in the middle of a computation
        // that is to take none.
        while team.board.begun.load(Ordering::Acquire) < n {
            std::thread::yield_now();
        }
        Ok(team)
    }

    /// Number of threads, the caller included.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Does `parts` parts: `work(part, thread)`, each once, on any thread. Returns when all are done.
    ///
    /// # Panics
    /// If `work` does.
    pub(crate) fn run(&mut self, parts: usize, work: &Work<'_>) {
        if self.workers.is_empty() || parts <= 1 {
            (0..parts).for_each(|part| work(part, 0));
            return;
        }
        let board = &*self.board;
        // SAFETY: only the lifetime changes; `Closing` keeps this frame until no worker can use the pointer. No worker is
        // active, as the job before was closed.
        unsafe {
            *board.job.get() = Some(std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work));
        }
        board.panicked.store(false, Ordering::Relaxed);
        board.next.store(0, Ordering::Relaxed);
        board.parts.store(parts, Ordering::Relaxed);
        self.epoch += 1;
        board.state.store(self.epoch << EPOCH_SHIFT | OPEN, Ordering::SeqCst);
        for (asleep, worker) in board.asleep.iter().zip(&self.workers).take(parts - 1) {
            if asleep.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        let closing = Closing(board);
        board.work(work, 0);
        drop(closing);
        assert!(!board.panicked.load(Ordering::Relaxed), "a kernel panicked on a worker thread");
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.board.stop.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches panics of its jobs; there is nothing to learn from it here.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Team({} threads)", self.threads())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_in_many_jobs() {
        for threads in [1, 2, 3, 5] {
            let mut team = Team::new(threads).unwrap();
            for job in 0..2000 {
                let parts = job % 7;
                let counts: Vec<_> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                team.run(parts, &|part, thread| {
                    assert!(thread < threads);
                    counts[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts.iter().all(|c| c.load(Ordering::Relaxed) == 1),
                    "job {job}, {threads} threads"
                );
            }
        }
    }

    #[test]
    fn sleeping_workers_wake_for_a_part_that_only_they_can_end() {
        let mut team = Team::new(2).unwrap();
        while !team.board.asleep[0].load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        // Each of two parts waits for the other: one thread alone would never end.
        let met = AtomicUsize::new(0);
        team.run(2, &|_, _| {
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
        });
    }

    #[test]
    fn a_panic_in_any_part_reaches_the_caller_and_the_team_goes_on() {
        let mut team = Team::new(3).unwrap();
        for bad in 0..6 {
            let run = AssertUnwindSafe(|| team.run(6, &|part, _| assert!(part != bad, "part {part}")));
            assert!(catch_unwind(run).is_err());
            let done = AtomicUsize::new(0);
            team.run(6, &|_, _| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.load(Ordering::Relaxed), 6);
        }
    }
}
