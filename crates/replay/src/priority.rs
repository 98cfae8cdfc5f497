//! Priorities as integers with exact sums.
//!
//! A leaf is `round(p * 2^22)`, at least 1 and at most `2^32 - 1`; 0 stands for "not there". So priorities
//! `p = (|td| + eps)^alpha` from 2.4e-7 to 1024 are told apart, those outside count as the bound. Sums of integers
//! are exact: a root never drifts from its leaves, and no order of updates matters.
//!
//! Sums are kept over 16, 256 and 4096 leaves, and in total: an update adds the difference to four numbers. A draw
//! walks down in steps of 16 without a branch that could be mispredicted; 16 leaves are one cache line.

use crate::power::Exponent;

/// A leaf is a priority times 2 to this power.
pub const LEAF_SCALE_BITS: u32 = 22;

/// Leaves under a sum of the lowest level, and sums under one of the next.
const FAN: usize = 16;
/// Leaves under a sum of the highest level.
const TOP: usize = FAN * FAN * FAN;
/// Leaves that share a smallest one.
const MIN_BLOCK: usize = 64;
/// Values worked on at a time, so that scratch fits the stack.
const CHUNK: usize = 64;

/// The leaf of `(td_abs + eps)^alpha`. `td_abs` and `eps` must be finite and not negative.
pub fn leaf_of(td_abs: f32, eps: f32, alpha: f32) -> u32 {
    round_leaf(leaf_float(td_abs, eps, Exponent::new(alpha)))
}

#[inline(always)]
fn leaf_float(td_abs: f32, eps: f32, alpha: Exponent) -> f32 {
    let x = (td_abs + eps).clamp(f32::MIN_POSITIVE, f32::MAX);
    alpha.of(x) * (1 << LEAF_SCALE_BITS) as f32
}

#[inline(always)]
fn round_leaf(scaled: f32) -> u32 {
    let rounded = (f64::from(scaled) + 0.5) as i64;
    rounded.clamp(1, i64::from(u32::MAX)) as u32
}

/// Writes [`leaf_of`] of every value to `out`.
pub(crate) fn leaves_of(td_abs: &[f32], eps: f32, alpha: f32, out: &mut [u32; CHUNK]) {
    let alpha = Exponent::new(alpha);
    let mut scaled = [0.0; CHUNK];
    for (s, &td) in scaled.iter_mut().zip(td_abs) {
        *s = leaf_float(td, eps, alpha);
    }
    for (o, &s) in out.iter_mut().zip(&scaled[..td_abs.len()]) {
        *o = round_leaf(s);
    }
}

/// Importance weights `(N P)^-beta` divided by that of a transition with leaf `least`: `(least / leaf)^beta`.
/// `leaves` and `least` must not hold 0.
pub fn importance_weights(leaves: &[u32], least: u32, beta: f32, out: &mut [f32]) {
    let (least, beta) = (least as f32, Exponent::new(beta));
    for (o, &leaf) in out.iter_mut().zip(leaves) {
        *o = beta.of((least / leaf as f32).max(f32::MIN_POSITIVE));
    }
}

/// `n` integer leaves with exact sums.
#[derive(Debug, Clone)]
pub struct PrioritySums {
    n: usize,
    /// Padded with zeros to a multiple of [`TOP`].
    leaves: Vec<u32>,
    /// Sums of 16 leaves.
    low: Vec<u64>,
    /// Sums of 256 leaves.
    middle: Vec<u64>,
    /// Sums of 4096 leaves.
    top: Vec<u64>,
    total: u64,
    minima: Option<Minima>,
}

impl PrioritySums {
    /// `n` leaves, all 0.
    pub fn new(n: usize) -> Self {
        let n_top = n.div_ceil(TOP);
        Self {
            n,
            leaves: vec![0; n_top * TOP],
            low: vec![0; n_top * FAN * FAN],
            middle: vec![0; n_top * FAN],
            top: vec![0; n_top],
            total: 0,
            minima: None,
        }
    }

    /// `n` leaves, all 0, whose smallest can be asked for at the cost of slower updates.
    pub fn with_minimum(n: usize) -> Self {
        Self { minima: Some(Minima::new(n)), ..Self::new(n) }
    }

    /// Bytes that `n` leaves take.
    pub(crate) fn bytes(n: u64, with_minimum: bool) -> u64 {
        let n_top = n.div_ceil(TOP as u64);
        let sums = n_top * 8 * (FAN * FAN + FAN + 1) as u64;
        let minima = if with_minimum { n_top * 10 * (TOP / MIN_BLOCK) as u64 } else { 0 };
        n_top * 4 * TOP as u64 + sums + minima
    }

    /// Number of leaves.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are no leaves.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The leaf at `index`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn get(&self, index: usize) -> u32 {
        assert!(index < self.n, "leaf {index} of {}", self.n);
        self.leaves[index]
    }

    /// All leaves.
    pub fn leaves(&self) -> &[u32] {
        &self.leaves[..self.n]
    }

    /// Sum of all leaves, exact.
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Replaces the leaf at `index`; 0 takes it out.
    ///
    /// # Panics
    /// If there is no such leaf.
    #[inline]
    pub fn set(&mut self, index: usize, leaf: u32) {
        self.set_each(std::iter::once((index, leaf)));
    }

    /// Replaces leaves one after the other.
    ///
    /// # Panics
    /// If there is no such leaf.
    #[inline]
    pub fn set_each(&mut self, entries: impl Iterator<Item = (usize, u32)>) {
        let Self { n, leaves, low, middle, top, total, minima } = self;
        let leaves = &mut leaves[..*n];
        let mut sum = *total;
        for (index, leaf) in entries {
            let old = std::mem::replace(&mut leaves[index], leaf);
            let delta = u64::from(leaf).wrapping_sub(u64::from(old));
            for (sums, leaves_under) in [(&mut *low, FAN), (&mut *middle, FAN * FAN), (&mut *top, TOP)] {
                let s = &mut sums[index / leaves_under];
                *s = s.wrapping_add(delta);
            }
            sum = sum.wrapping_add(delta);
            if let Some(minima) = minima {
                minima.note(index, old, leaf);
            }
        }
        *total = sum;
    }

    /// Whether [`PrioritySums::minimum`] may be asked for.
    pub(crate) fn tracks_minimum(&self) -> bool {
        self.minima.is_some()
    }

    /// Smallest leaf that is not 0, if there is one.
    ///
    /// # Panics
    /// If this was not made by [`PrioritySums::with_minimum`].
    pub fn minimum(&mut self) -> Option<u32> {
        let Some(minima) = &mut self.minima else { panic!("made without a minimum") };
        minima.refresh(&self.leaves);
        minima.top.iter().copied().min().filter(|_| self.total > 0)
    }

    /// The smallest index whose running sum exceeds `mass`.
    ///
    /// # Panics
    /// If `mass` is not below the total.
    pub fn find(&self, mass: u64) -> usize {
        let mut found = [mass];
        self.find_sorted(&mut found);
        found[0] as usize
    }

    /// Replaces each of `masses`, which must ascend, by the smallest index whose running sum exceeds it.
    ///
    /// # Panics
    /// If a mass is not below the total.
    pub fn find_sorted(&self, masses: &mut [u64]) {
        let Some(&last) = masses.last() else { return };
        assert!(last < self.total, "mass {last} of a total of {}", self.total);
        debug_assert!(masses.is_sorted(), "masses must ascend");
        // One level a pass: a step down is short, so that many draws are under way at once and the waits for memory
        // and for results overlap.
        self.find_tops(masses);
        for masses in masses.chunks_mut(4 * CHUNK) {
            descend(masses, &self.middle, 44);
            descend(masses, &self.low, 40);
            descend(masses, &self.leaves, 36);
            masses.iter_mut().for_each(|found| *found >>= 32);
        }
    }

    /// Replaces ascending masses by the highest-level sum that each falls into, and what is left of it there.
    fn find_tops(&self, mut masses: &mut [u64]) {
        let mut before = 0;
        for (c, top) in self.top.chunks(64).enumerate() {
            let mut starts = [u64::MAX; 64];
            let mut sum = before;
            for (start, &s) in starts.iter_mut().zip(top) {
                *start = sum;
                sum += s;
            }
            let (here, later) = masses.split_at_mut(masses.partition_point(|&mass| mass < sum));
            for mass in here {
                let mut k = 0;
                for step in [32, 16, 8, 4, 2, 1] {
                    k += if starts[(k + step) & 63] <= *mass { step } else { 0 };
                }
                *mass = ((c * 64 + k) as u64) << 44 | (*mass - starts[k & 63]);
            }
            masses = later;
            if masses.is_empty() {
                break;
            }
            before = sum;
        }
    }

    /// One draw from each of `out.len()` equal parts of the total, in ascending order: the mass of draw `i` is
    /// `(u + i) * total / out.len()`, with `u` in [0, 1) from `uniform`.
    ///
    /// # Panics
    /// If every leaf is 0 and a draw is asked for.
    pub fn stratified(&self, mut uniform: impl FnMut() -> f64, out: &mut [u64]) {
        if out.is_empty() {
            return;
        }
        assert!(self.total > 0, "nothing to draw from");
        let width = self.total as f64 / out.len() as f64;
        for (i, mass) in out.iter_mut().enumerate() {
            *mass = (((uniform() + i as f64) * width) as u64).min(self.total - 1);
        }
        self.find_sorted(out);
    }
}

/// One level down: each of `found` holds an index, and in its low `bits` bits the rest of a mass there. Sums over 4096,
/// 256 and 16 leaves and leaves have 44, 40, 36 and 32 bits.
#[inline(always)]
fn descend<T: Copy + Into<u64>>(found: &mut [u64], sums: &[T], bits: u32) {
    for found in found {
        let (above, mut rest) = ((*found >> bits) as usize, *found & ((1 << bits) - 1));
        let index = above * FAN + pick(chunk(sums, above), &mut rest);
        *found = (index as u64) << (bits - 4) | rest;
    }
}

/// The `index`-th 16 values.
#[inline(always)]
fn chunk<T>(values: &[T], index: usize) -> &[T; FAN] {
    match values[index * FAN..].first_chunk() {
        Some(chunk) => chunk,
        None => panic!("sums are padded to whole chunks"),
    }
}

/// The first of 16 values whose running sum exceeds `rest`, which must be below their sum; subtracts from `rest`
/// what comes before. By quarters, then within the quarter.
#[inline(always)]
fn pick<T: Copy + Into<u64>>(values: &[T; FAN], rest: &mut u64) -> usize {
    let at = |i: usize| -> u64 { values[i & (FAN - 1)].into() };
    let quarter = |q: usize| (at(4 * q) + at(4 * q + 1)) + (at(4 * q + 2) + at(4 * q + 3));
    let (ends, q) = three(quarter(0), quarter(1), quarter(2), *rest);
    *rest -= ends;
    let (ends, i) = three(at(4 * q), at(4 * q + 1), at(4 * q + 2), *rest);
    *rest -= ends;
    4 * q + i
}

/// How many of the running sums of three values `rest` reaches, and the last of these sums.
#[inline(always)]
fn three(a: u64, b: u64, c: u64, rest: u64) -> (u64, usize) {
    let ends = [a, a + b, a + b + c];
    let mut passed = 0;
    let mut n = 0;
    for end in ends {
        n += usize::from(end <= rest);
        passed = if end <= rest { end } else { passed };
    }
    (passed, n)
}

/// Smallest leaves over 64 and 4096, brought up to date on demand.
#[derive(Debug, Clone)]
struct Minima {
    low: Vec<u32>,
    top: Vec<u32>,
    /// Blocks whose smallest leaf may have risen; each at most once.
    stale: Vec<u32>,
    is_stale: Vec<bool>,
}

impl Minima {
    fn new(n: usize) -> Self {
        let n_top = n.div_ceil(TOP);
        let n_low = n_top * (TOP / MIN_BLOCK);
        Self {
            low: vec![u32::MAX; n_low],
            top: vec![u32::MAX; n_top],
            stale: Vec::with_capacity(n_low),
            is_stale: vec![false; n_low],
        }
    }

    #[inline]
    fn note(&mut self, index: usize, old: u32, leaf: u32) {
        let block = index / MIN_BLOCK;
        if leaf != 0 && leaf <= self.low[block] {
            self.low[block] = leaf;
            let top = &mut self.top[index / TOP];
            *top = leaf.min(*top);
        } else if old == self.low[block] && !self.is_stale[block] {
            self.is_stale[block] = true;
            self.stale.push(block as u32);
        }
    }

    fn refresh(&mut self, leaves: &[u32]) {
        for &block in &self.stale {
            let block = block as usize;
            self.low[block] = least_of(&leaves[block * MIN_BLOCK..(block + 1) * MIN_BLOCK]);
            self.is_stale[block] = false;
        }
        let per_top = TOP / MIN_BLOCK;
        let mut last = usize::MAX;
        for block in self.stale.drain(..) {
            let top = block as usize / per_top;
            if top != last {
                self.top[top] =
                    self.low[top * per_top..(top + 1) * per_top].iter().copied().min().unwrap_or(u32::MAX);
                last = top;
            }
        }
    }
}

/// The smallest value that is not 0, `u32::MAX` if there is none.
fn least_of(leaves: &[u32]) -> u32 {
    // Zero wraps to the largest number, so it is never the least.
    leaves.iter().fold(u32::MAX, |least, l| least.min(l.wrapping_sub(1))).saturating_add(1)
}
