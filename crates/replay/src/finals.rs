//! The table of final observations: one row a truncated episode, shared by the last `n_step` records of that
//! episode, freed when the last of them is overwritten. A row has the seen part of a row of the ring.

use coact_core::StepBatch;

use crate::ring::{Layout, part, part_mut};

/// The table. `R` rows, of which some are free.
#[derive(Debug, Clone)]
pub(crate) struct Finals {
    seen: usize,
    /// `[R, seen]`.
    pub words: Vec<u32>,
    /// Rows that can be taken, the last first.
    pub free: Vec<u32>,
    pub n_rows: usize,
}

impl Finals {
    /// An empty table with memory for `n_rows` rows.
    pub fn new(layout: &Layout, n_rows: usize) -> Self {
        let words = Vec::with_capacity(n_rows * layout.seen);
        Self { seen: layout.seen, words, free: Vec::with_capacity(n_rows), n_rows: 0 }
    }

    /// Bytes of one row.
    pub fn row_bytes(layout: &Layout) -> u64 {
        4 * (layout.seen as u64 + 1)
    }

    /// Takes a row: a free one, or a new one at the end.
    pub fn take(&mut self) -> usize {
        if let Some(free) = self.free.pop() {
            return free as usize;
        }
        self.set_rows(self.n_rows + 1);
        self.n_rows - 1
    }

    /// Makes the table `n_rows` long.
    pub fn set_rows(&mut self, n_rows: usize) {
        self.words.resize(n_rows * self.seen, 0);
        // As many as could ever be free at once, so that freeing never allocates.
        self.free.reserve(n_rows.saturating_sub(self.free.len()));
        self.n_rows = n_rows;
    }

    /// Gives a row back.
    pub fn give(&mut self, row: usize) {
        self.free.push(row as u32);
    }

    /// What is seen in row `at`.
    #[inline]
    pub fn row(&self, at: usize) -> &[u32] {
        part(&self.words, at, self.seen)
    }

    /// Writes what is seen in a row of the ring into row `at`.
    pub fn copy(&mut self, at: usize, row: &[u32]) {
        part_mut(&mut self.words, at, self.seen).copy_from_slice(&row[..self.seen]);
    }

    /// Writes the final observations of environment `env` into row `at`.
    pub fn see(&mut self, at: usize, layout: &Layout, step: &StepBatch, env: usize) {
        layout.see(part_mut(&mut self.words, at, self.seen), step, env, true);
    }
}
