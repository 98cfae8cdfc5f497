//! Saving and restoring a replay to the same bits. Only the filled part is written.

use coact_core::codec::{Reader, Writer};

use crate::error::Result;
use crate::finals::Finals;
use crate::priority::{self, PrioritySums};
use crate::replay::Replay;
use crate::ring::next;

impl Replay {
    /// Appends everything: settings (to be checked on loading), transitions, open records, priorities.
    ///
    /// # Panics
    /// If priorities are lent and older here than the transitions; see [`Replay::store_priorities`].
    pub fn save(&self, out: &mut Writer) {
        out.u64s(&self.fingerprint());
        out.bool(self.begun);
        out.u64(self.pushed);
        out.u32s(&self.accumulator.open);
        let cells = self.filled_cells();
        out.u32s(&self.ring.words[..cells * self.ring.layout.width]);
        out.u64(self.finals.n_rows as u64);
        out.u64(self.finals.free.len() as u64);
        out.u32s(&self.finals.free);
        out.u32s(&self.finals.words);
        if let Some(p) = &self.priorities {
            assert!(!self.lent || self.stored_at == self.pushed, "store the lent priorities before saving");
            out.u32(p.largest);
            out.u32s(&p.sums.leaves()[..cells]);
        }
    }

    /// Restores what [`Replay::save`] wrote, into a replay made with the same spec and settings. Sampling and
    /// pushing then go on to the same bits.
    ///
    /// # Errors
    /// Damaged bytes, or those of a replay with other settings. The replay is empty then.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.clear();
        let result = self.read(from);
        self.stored_at = self.pushed;
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// Forgets everything.
    fn clear(&mut self) {
        self.revision += 1;
        self.loaded += 1;
        self.begun = false;
        self.pushed = 0;
        self.head = 0;
        self.accumulator.open.fill(0);
        self.finals.free.clear();
        self.finals.set_rows(0);
        if let Some(p) = &mut self.priorities {
            p.sums = match p.sums.tracks_minimum() {
                true => PrioritySums::with_minimum(self.ring.geometry.n_cells()),
                false => PrioritySums::new(self.ring.geometry.n_cells()),
            };
            p.largest = priority::leaf_of(1.0, 0.0, p.settings.alpha);
            p.least = None;
        }
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let expected = self.fingerprint();
        let mut found = [0; FINGERPRINT];
        from.u64s(&mut found)?;
        if let Some(i) = (0..FINGERPRINT).find(|&i| found[i] != expected[i]) {
            let text = format!("its {} differs from this replay's", FINGERPRINT_NAMES[i]);
            return Err(from.error(text).into());
        }
        self.begun = from.bool()?;
        self.pushed = from.u64()?;
        let n_envs = self.config.n_envs;
        let n_slots = self.ring.geometry.n_slots as u64;
        if self.pushed > (1 << 62) / n_envs as u64 || (self.pushed > 0 && !self.begun) {
            return Err(from.error(format!("{} pushes cannot be", self.pushed)).into());
        }
        self.head = (self.pushed % n_slots) as usize * n_envs;
        from.u32s(&mut self.accumulator.open)?;
        let most_open = (self.config.n_step as u64 - 1).min(self.pushed);
        if self.accumulator.open.iter().any(|&open| u64::from(open) > most_open) {
            return Err(from.error("more records are open than were pushed").into());
        }
        let cells = self.filled_cells();
        from.u32s(&mut self.ring.words[..cells * self.ring.layout.width])?;
        self.read_finals(from)?;
        self.check_links(from)?;
        self.read_priorities(from)
    }

    fn read_finals(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let n_rows = from.u64()?;
        // Each row belongs to a cell or was freed by one; rows are re-used before new ones are made.
        if n_rows > self.ring.geometry.n_cells() as u64 {
            return Err(from
                .error(format!("{n_rows} final rows are more than there are transitions"))
                .into());
        }
        let n_free = from.u64()?;
        if n_free > n_rows {
            return Err(from.error(format!("{n_free} of {n_rows} final rows are free")).into());
        }
        self.finals.set_rows(n_rows as usize);
        self.finals.free.resize(n_free as usize, 0);
        from.u32s(&mut self.finals.free)?;
        from.u32s(&mut self.finals.words)?;
        Ok(())
    }

    /// Every record's next observation must exist, and every final row be owned once or free once.
    fn check_links(&self, from: &Reader<'_>) -> Result<()> {
        let Finals { n_rows, free, .. } = &self.finals;
        let mut seen = vec![false; *n_rows];
        let mut claim = |row: usize| match seen.get_mut(row) {
            Some(taken) => !std::mem::replace(taken, true),
            None => false,
        };
        let mut good = free.iter().all(|&row| claim(row as usize));
        let n_envs = self.config.n_envs;
        for time in self.oldest_time()..self.pushed {
            let first = (time % self.ring.geometry.n_slots as u64) as usize * n_envs;
            let later = self.pushed - time;
            for env in 0..n_envs {
                let code = self.ring.next(first + env);
                let may_be_open = later <= u64::from(self.accumulator.open[env]);
                good &= match next::final_row(code) {
                    Some(row) if code & next::OWNER != 0 => claim(row),
                    Some(row) => row < *n_rows,
                    None if code == next::NOWHERE => true,
                    None if code == next::OPEN => may_be_open,
                    None => code as usize == self.config.n_step && u64::from(code) <= later,
                };
                good &= !may_be_open || code == next::OPEN;
            }
        }
        good &= seen.iter().all(|&s| s);
        if good {
            Ok(())
        } else {
            Err(from.error("a transition points to an observation that is not there").into())
        }
    }

    fn read_priorities(&mut self, from: &mut Reader<'_>) -> Result<()> {
        let cells = self.filled_cells();
        let (oldest, newest, pushed) = (self.oldest_time(), self.newest_time(), self.pushed);
        let (n_envs, n_slots) = (self.config.n_envs, self.ring.geometry.n_slots as u64);
        let norm = self.config.normalize_weights_by;
        let Some(p) = &mut self.priorities else { return Ok(()) };
        p.largest = from.u32()?;
        let mut leaves = vec![0; cells];
        from.u32s(&mut leaves)?;
        for (cell, &leaf) in leaves.iter().enumerate() {
            // Time since the cell's record began: 0 for the observation to act on.
            let slot = (cell / n_envs) as u64;
            let age = (pushed + n_slots - slot) % n_slots;
            let stored = (oldest..newest).contains(&pushed.wrapping_sub(age));
            if stored != (leaf != 0) {
                return Err(from.error("a priority is missing or belongs to no transition").into());
            }
            p.sums.set(cell, leaf);
        }
        if p.largest == 0 {
            return Err(from.error("the priority of new transitions is 0").into());
        }
        p.refresh(norm);
        Ok(())
    }

    /// Cells that hold anything, from the first on.
    fn filled_cells(&self) -> usize {
        if !self.begun {
            return 0;
        }
        let slots = (self.pushed + 1).min(self.ring.geometry.n_slots as u64);
        slots as usize * self.config.n_envs
    }

    fn fingerprint(&self) -> [u64; FINGERPRINT] {
        let c = &self.config;
        let alpha_eps =
            c.prioritized.map(|p| u64::from(p.alpha.to_bits()) << 32 | u64::from(p.eps.to_bits()));
        [
            1,
            c.n_envs as u64,
            self.ring.geometry.n_slots as u64,
            c.n_step as u64,
            u64::from(c.gamma.to_bits()),
            u64::from(c.prioritized.is_some()),
            alpha_eps.unwrap_or(0),
            c.normalize_weights_by as u64,
        ]
    }
}

const FINGERPRINT: usize = 8;
const FINGERPRINT_NAMES: [&str; FINGERPRINT] = [
    "format",
    "number of environments",
    "capacity",
    "n_step",
    "gamma",
    "choice between uniform and prioritized sampling",
    "alpha or eps",
    "normalization of weights",
];
