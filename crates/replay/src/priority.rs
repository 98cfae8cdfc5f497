//! Priorities as integers with exact sums over blocks of 64 and of 4096.
//!
//! A leaf is `round(p * 2^22)`, at least 1 and at most `2^32 - 1`; 0 stands for "not there". So priorities
//! `p = (|td| + eps)^alpha` from 2.4e-7 to 1024 are told apart, those outside count as the bound. Sums of integers
//! are exact: a root never drifts from its leaves, and no order of updates matters. An update adds the
//! difference to the block, the block of blocks and the total.

use crate::power::power;

/// A leaf is a priority times 2 to this power.
pub const LEAF_SCALE_BITS: u32 = 22;

const BLOCK: usize = 64;
const SUPER: usize = 4096;

/// The leaf of `(td_abs + eps)^alpha`. `td_abs` and `eps` must be finite and not negative.
#[inline]
pub fn leaf_of(td_abs: f32, eps: f32, alpha: f32) -> u32 {
    round_leaf(leaf_float(td_abs, f64::from(eps), f64::from(alpha)))
}

#[inline(always)]
fn leaf_float(td_abs: f32, eps: f64, alpha: f64) -> f64 {
    power((f64::from(td_abs) + eps).max(f64::MIN_POSITIVE), alpha) * f64::from(1 << LEAF_SCALE_BITS)
}

#[inline(always)]
fn round_leaf(scaled: f64) -> u32 {
    (scaled + 0.5).clamp(1.0, f64::from(u32::MAX)) as u32
}

/// Writes [`leaf_of`] of every value to `out`.
pub(crate) fn leaves_of(td_abs: &[f32], eps: f32, alpha: f32, out: &mut [u32]) {
    let (eps, alpha) = (f64::from(eps), f64::from(alpha));
    let mut scaled = [0.0; BLOCK];
    for (td_abs, out) in td_abs.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        for (s, &td) in scaled.iter_mut().zip(td_abs) {
            *s = leaf_float(td, eps, alpha);
        }
        for (o, &s) in out.iter_mut().zip(&scaled) {
            *o = round_leaf(s);
        }
    }
}

/// Importance weights `(N P)^-beta` divided by that of a transition with leaf `least`: `(least / leaf)^beta`.
/// `leaves` must not hold 0.
pub fn importance_weights(leaves: &[u32], least: u32, beta: f32, out: &mut [f32]) {
    let (least, beta) = (f64::from(least), f64::from(beta));
    for (o, &leaf) in out.iter_mut().zip(leaves) {
        *o = power(least / f64::from(leaf), beta) as f32;
    }
}

/// Smallest leaves of blocks, brought up to date on demand.
#[derive(Debug, Clone)]
struct Minima {
    blocks: Vec<u32>,
    /// Blocks whose smallest leaf rose; each at most once.
    stale: Vec<u32>,
    is_stale: Vec<bool>,
}

/// `n` integer leaves with exact sums.
#[derive(Debug, Clone)]
pub struct PrioritySums {
    leaves: Vec<u32>,
    blocks: Vec<u64>,
    supers: Vec<u64>,
    total: u64,
    minima: Option<Minima>,
}

impl PrioritySums {
    /// `n` leaves, all 0.
    pub fn new(n: usize) -> Self {
        Self {
            leaves: vec![0; n],
            blocks: vec![0; n.div_ceil(BLOCK)],
            supers: vec![0; n.div_ceil(SUPER)],
            total: 0,
            minima: None,
        }
    }

    /// `n` leaves, all 0, whose smallest can be asked for at the cost of slower updates.
    pub fn with_minimum(n: usize) -> Self {
        let n_blocks = n.div_ceil(BLOCK);
        let minima = Minima {
            blocks: vec![u32::MAX; n_blocks],
            stale: Vec::with_capacity(n_blocks),
            is_stale: vec![false; n_blocks],
        };
        Self { minima: Some(minima), ..Self::new(n) }
    }

    /// Bytes that `n` leaves take.
    pub(crate) fn bytes(n: u64, with_minimum: bool) -> u64 {
        4 * n
            + 8 * n.div_ceil(BLOCK as u64)
            + 8 * n.div_ceil(SUPER as u64)
            + if with_minimum { 9 * n.div_ceil(BLOCK as u64) } else { 0 }
    }

    /// Number of leaves.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there are no leaves.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The leaf at `index`.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub fn get(&self, index: usize) -> u32 {
        self.leaves[index]
    }

    /// All leaves.
    pub fn leaves(&self) -> &[u32] {
        &self.leaves
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
        let old = std::mem::replace(&mut self.leaves[index], leaf);
        let delta = u64::from(leaf).wrapping_sub(u64::from(old));
        let block = &mut self.blocks[index / BLOCK];
        *block = block.wrapping_add(delta);
        let above = &mut self.supers[index / SUPER];
        *above = above.wrapping_add(delta);
        self.total = self.total.wrapping_add(delta);
        if let Some(minima) = &mut self.minima {
            minima.note(index / BLOCK, old, leaf);
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
        minima.blocks.iter().copied().min().filter(|_| self.total > 0)
    }

    /// The smallest index whose running sum exceeds `mass`.
    ///
    /// # Panics
    /// If `mass` is not below the total.
    pub fn find(&self, mass: u64) -> usize {
        assert!(mass < self.total, "mass {mass} of a total of {}", self.total);
        Walk::new(self).advance(mass)
    }

    /// One draw from each of `out.len()` equal parts of the total, in ascending order: the mass of draw `i` is
    /// `(u + i) * total / out.len()`, with `u` in [0, 1) from `uniform`.
    ///
    /// # Panics
    /// If every leaf is 0 and a draw is asked for.
    pub fn stratified(&self, mut uniform: impl FnMut() -> f64, out: &mut [u64]) {
        assert!(self.total > 0 || out.is_empty(), "nothing to draw from");
        let width = self.total as f64 / out.len() as f64;
        let mut walk = Walk::new(self);
        for (i, out) in out.iter_mut().enumerate() {
            let mass = ((uniform() + i as f64) * width) as u64;
            *out = walk.advance(mass.min(self.total - 1)) as u64;
        }
    }
}

impl Minima {
    #[inline]
    fn note(&mut self, block: usize, old: u32, leaf: u32) {
        let least = &mut self.blocks[block];
        if leaf != 0 && leaf <= *least {
            *least = leaf;
        } else if old == *least && !self.is_stale[block] {
            self.is_stale[block] = true;
            self.stale.push(block as u32);
        }
    }

    fn refresh(&mut self, leaves: &[u32]) {
        for block in self.stale.drain(..) {
            let block = block as usize;
            let leaves = &leaves[block * BLOCK..leaves.len().min((block + 1) * BLOCK)];
            // Zero wraps to the largest number, so it is never the least.
            let least = leaves.iter().fold(u32::MAX, |least, l| least.min(l.wrapping_sub(1)));
            self.blocks[block] = least.saturating_add(1);
            self.is_stale[block] = false;
        }
    }
}

/// A walk through rising masses: it only ever goes forward.
struct Walk<'a> {
    sums: &'a PrioritySums,
    above: usize,
    /// Sum of all leaves before the blocks of `above`.
    before_above: u64,
    block: usize,
    /// Sum of all leaves before `block`.
    before_block: u64,
}

impl<'a> Walk<'a> {
    fn new(sums: &'a PrioritySums) -> Self {
        Self { sums, above: 0, before_above: 0, block: 0, before_block: 0 }
    }

    /// The smallest index whose running sum exceeds `mass`, which is below the total and not below the last.
    #[inline]
    fn advance(&mut self, mass: u64) -> usize {
        let PrioritySums { leaves, blocks, supers, .. } = self.sums;
        let mut moved = false;
        while self.before_above + supers[self.above] <= mass {
            self.before_above += supers[self.above];
            self.above += 1;
            moved = true;
        }
        if moved {
            self.block = self.above * (SUPER / BLOCK);
            self.before_block = self.before_above;
        }
        while self.before_block + blocks[self.block] <= mass {
            self.before_block += blocks[self.block];
            self.block += 1;
        }
        let first = self.block * BLOCK;
        let mut rest = mass - self.before_block;
        for (i, &leaf) in leaves[first..leaves.len().min(first + BLOCK)].iter().enumerate() {
            if rest < u64::from(leaf) {
                return first + i;
            }
            rest -= u64::from(leaf);
        }
        unreachable!("a block sum is not the sum of its leaves")
    }
}
