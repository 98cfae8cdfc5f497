//! Priorities as integers with exact sums.
//!
//! A leaf is `round(p * 2^22)`, at least 1 and at most `2^32 - 1`; 0 stands for "not there". So priorities
//! `p = (|td| + eps)^alpha` from 2.4e-7 to 1024 are told apart, those outside count as the bound. Sums of integers
//! are exact: a root never drifts from its leaves, and no order of updates matters.
//!
//! Sums are kept over 16, 256 and 4096 leaves: an update adds the difference to three numbers. A draw
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
/// Sums that a draw may pass on average: adding up more takes longer than a step down a level.
const WALK: usize = 16;

/// The leaf of `(td_abs + eps)^alpha`. `td_abs` and `eps` must be finite and not negative.
pub fn leaf_of(td_abs: f32, eps: f32, alpha: f32) -> u32 {
    round_leaf(leaf_float(td_abs, eps, Exponent::new(alpha)))
}

#[inline(always)]
fn leaf_float(td_abs: f32, eps: f32, alpha: Exponent) -> f32 {
    let x = (td_abs + eps).clamp(f32::MIN_POSITIVE, f32::MAX);
    alpha.of(x) * (1 << LEAF_SCALE_BITS) as f32
}

/// The nearest integer within bounds: added to 2^52, its bits are the lowest of the sum.
#[inline(always)]
fn round_leaf(scaled: f32) -> u32 {
    let bounded = f64::from(scaled).clamp(1.0, f64::from(u32::MAX));
    (bounded + 4_503_599_627_370_496.0).to_bits() as u32
}

/// Writes [`leaf_of`] of every value to `out`.
#[inline(always)]
pub(crate) fn leaves_of(td_abs: &[f32], eps: f32, alpha: f32, out: &mut [u32; CHUNK]) {
    let alpha = Exponent::new(alpha);
    for (o, &td) in out.iter_mut().zip(td_abs) {
        *o = round_leaf(leaf_float(td, eps, alpha));
    }
}

/// Importance weights `(N P)^-beta` divided by that of a transition with leaf `least`: `(least / leaf)^beta`.
/// `leaves` and `least` must not hold 0.
#[inline(always)]
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

    /// Sum of all leaves, exact. Adds up the sums over 4096 leaves; no update has to wait for the one before it to
    /// change a total.
    pub fn total(&self) -> u64 {
        self.top.iter().sum()
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
    #[inline(always)]
    pub fn set_each(&mut self, entries: impl Iterator<Item = (usize, u32)>) {
        let Self { n, leaves, low, middle, top, minima } = self;
        let leaves = &mut leaves[..*n];
        for (index, leaf) in entries {
            let old = std::mem::replace(&mut leaves[index], leaf);
            let delta = u64::from(leaf).wrapping_sub(u64::from(old));
            for (sums, leaves_under) in [(&mut *low, FAN), (&mut *middle, FAN * FAN), (&mut *top, TOP)] {
                let s = &mut sums[index / leaves_under];
                *s = s.wrapping_add(delta);
            }
            if let Some(minima) = minima {
                minima.note(index, old, leaf);
            }
        }
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
        minima.top.iter().copied().min().filter(|_| self.top.iter().any(|&sum| sum > 0))
    }

    /// The smallest index whose running sum exceeds `mass`.
    ///
    /// # Panics
    /// If `mass` is not below the total.
    pub fn find(&self, mass: u64) -> usize {
        let mut rest = mass;
        let mut top = 0;
        while self.top[top] <= rest {
            rest -= self.top[top];
            top += 1;
        }
        let (mut index, mut rest) = ([top as u32], [rest]);
        descend(&mut index, &mut rest, &self.middle);
        descend(&mut index, &mut rest, &self.low);
        descend(&mut index, &mut rest, &self.leaves);
        index[0] as usize
    }

    /// Replaces each of `masses`, which must ascend, by the smallest index whose running sum exceeds it.
    ///
    /// # Panics
    /// If a mass is not below the total.
    #[inline(always)]
    pub fn find_sorted(&self, masses: &mut [u64]) {
        let Some(&last) = masses.last() else { return };
        assert!(last < self.total(), "mass {last} of a total of {}", self.total());
        // One level a pass: a step down is short, so that many draws are under way at once and the waits for memory
        // and for results overlap.
        // Many draws walk along a lower level, few skip along a higher one.
        let level = if self.low.len() <= WALK * masses.len() {
            &self.low
        } else if self.middle.len() <= WALK * masses.len() {
            &self.middle
        } else {
            &self.top
        };
        let (mut walk, mut before) = (Walk::new(level), 0);
        for masses in masses.chunks_mut(CHUNK) {
            let (mut index, mut rest) = ([0_u32; CHUNK], [0_u64; CHUNK]);
            let (index, rest) = (&mut index[..masses.len()], &mut rest[..masses.len()]);
            for ((index, rest), &mass) in index.iter_mut().zip(rest.iter_mut()).zip(&*masses) {
                debug_assert!(mass >= before, "masses must ascend");
                before = mass;
                (*index, *rest) = walk.find(mass);
            }
            if level.len() == self.top.len() {
                descend(index, rest, &self.middle);
            }
            if level.len() < self.low.len() {
                descend(index, rest, &self.low);
            }
            // Leaves are far away in memory: ask for all lines before the first is needed.
            std::hint::black_box(index.iter().fold(0, |all, &i| all ^ self.leaves[i as usize * FAN]));
            descend(index, rest, &self.leaves);
            for (mass, &index) in masses.iter_mut().zip(&*index) {
                *mass = u64::from(index);
            }
        }
    }

    /// One draw from each of `out.len()` equal parts of the total, in ascending order: the mass of draw `i` is
    /// `(u + i) * total / out.len()`, with `u` in [0, 1). `uniforms` is called to fill consecutive pieces of at most 64.
    ///
    /// # Panics
    /// If every leaf is 0 and a draw is asked for.
    #[inline(always)]
    pub fn stratified(&self, mut uniforms: impl FnMut(&mut [f64]), out: &mut [u64]) {
        if out.is_empty() {
            return;
        }
        let total = self.total();
        assert!(total > 0, "nothing to draw from");
        let width = total as f64 / out.len() as f64;
        for (piece, masses) in out.chunks_mut(CHUNK).enumerate() {
            let mut drawn = [0.0; CHUNK];
            uniforms(&mut drawn[..masses.len()]);
            for (i, (mass, u)) in masses.iter_mut().zip(drawn).enumerate() {
                *mass = (((u + (piece * CHUNK + i) as f64) * width) as u64).min(total - 1);
            }
        }
        self.find_sorted(out);
    }
}

/// Starts of up to 64 sums of one level at a time, moved forward as masses rise.
struct Walk<'a> {
    /// Sums after those in `starts`.
    later: &'a [u64],
    /// Index of the first in `starts`.
    first: usize,
    /// Number in `starts`.
    n: usize,
    /// Sum before each; the rest is never reached.
    starts: [u64; 64],
    /// Sum up to and with the last.
    end: u64,
}

impl<'a> Walk<'a> {
    fn new(sums: &'a [u64]) -> Self {
        Self { later: sums, first: 0, n: 0, starts: [u64::MAX; 64], end: 0 }
    }

    /// The sum that `mass` falls into, and what is left of `mass` there. Masses must not descend, and lie below the
    /// total.
    #[inline(always)]
    fn find(&mut self, mass: u64) -> (u32, u64) {
        while mass >= self.end {
            self.advance();
        }
        let mut k = 0;
        for step in [32, 16, 8, 4, 2, 1] {
            k += if self.starts[(k + step) & 63] <= mass { step } else { 0 };
        }
        ((self.first + k) as u32, mass - self.starts[k & 63])
    }

    #[inline(never)]
    fn advance(&mut self) {
        let (here, later) = self.later.split_at(self.later.len().min(64));
        self.first += self.n;
        (self.n, self.later) = (here.len(), later);
        self.starts.fill(u64::MAX);
        for (start, &sum) in self.starts.iter_mut().zip(here) {
            *start = self.end;
            self.end += sum;
        }
    }
}

/// One level down: from sums and what is left of masses there to the sums (or leaves) below.
#[inline(always)]
fn descend<T: Copy + Into<u64>>(index: &mut [u32], rest: &mut [u64], sums: &[T]) {
    let (chunks, _) = sums.as_chunks::<FAN>();
    for (index, rest) in index.iter_mut().zip(rest) {
        let (step, left) = pick(&chunks[*index as usize], *rest);
        (*index, *rest) = (*index * FAN as u32 + step as u32, left);
    }
}

/// The first of 16 values whose running sum exceeds `rest`, which must be below their sum, and `rest` less what comes
/// before. By halves: nothing to mispredict.
#[inline(always)]
fn pick<T: Copy + Into<u64>>(values: &[T; FAN], mut rest: u64) -> (usize, u64) {
    let at = |i: usize| -> u64 { values[i & (FAN - 1)].into() };
    let four = |i: usize| (at(i) + at(i + 1)) + (at(i + 2) + at(i + 3));
    let mut k = 0;
    let mut skip = |sum: u64, n: usize| {
        let passed = sum <= rest;
        rest -= if passed { sum } else { 0 };
        k += if passed { n } else { 0 };
        k
    };
    let i = skip(four(0) + four(4), 8);
    let i = skip(four(i), 4);
    let i = skip(at(i) + at(i + 1), 2);
    skip(at(i), 1);
    (k, rest)
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
