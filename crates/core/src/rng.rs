//! Counter-based random streams: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
//! 1, 2, 3"), keyed by the seed, with a counter that names purpose, index and position.
//!
//! There is no hidden state to lose: a stream is a name, so any thread can draw any part of it, a resumed run
//! goes on where it stopped, and a GPU draws the same numbers. The whole 64-bit seed is the key, so two
//! seeds never share a stream.

/// What a stream is for. Part of the counter, so streams of different purposes never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Initial network parameters.
    Init = 1,
    /// Initial states of episodes.
    Reset = 2,
    /// Randomness inside an environment's step.
    Step = 3,
    /// Exploration.
    Explore = 4,
    /// Sampling from replay.
    Replay = 5,
    /// Evaluation.
    Eval = 6,
    /// Seeds derived from seeds.
    Derive = 7,
    /// Statistics of reports (bootstrap).
    Bootstrap = 8,
    /// Loss and latency of a message between agents (index: directed link, position: its number there).
    Message = 9,
    /// Choices of an agent in a simulated network (index: agent, position: tick).
    Agent = 10,
    /// Settings drawn in a sweep (index: key, position: draw).
    Sweep = 11,
}

const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// One block of Philox4x32-10: four words from a counter and a key.
#[inline(always)]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    let mut round = 0;
    while round < 10 {
        let p0 = u64::from(M0) * u64::from(c0);
        let p1 = u64::from(M1) * u64::from(c2);
        let (n0, n2) = ((p1 >> 32) as u32 ^ c1 ^ k0, (p0 >> 32) as u32 ^ c3 ^ k1);
        c1 = p1 as u32;
        c3 = p0 as u32;
        c0 = n0;
        c2 = n2;
        k0 = k0.wrapping_add(W0);
        k1 = k1.wrapping_add(W1);
        round += 1;
    }
    [c0, c1, c2, c3]
}

/// The key of a seed.
#[inline(always)]
pub fn key_of(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The counter of block `block` of the stream `(purpose, index, position)`. `position` has 56 bits.
#[inline(always)]
pub fn counter_of(purpose: Purpose, index: u32, position: u64, block: u32) -> [u32; 4] {
    [block, position as u32, index, ((purpose as u32) << 24) | ((position >> 32) as u32 & 0x00FF_FFFF)]
}

/// Uniform in [0, 1) with 24 bits, exact in f32.
#[inline(always)]
pub fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Uniform in [0, 1) with 53 bits.
#[inline(always)]
pub fn unit_f64(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    bits as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Uniform in `0..n` by multiply-high; the bias is below `n / 2^32`.
#[inline(always)]
pub fn below(word: u32, n: u32) -> u32 {
    ((u64::from(word) * u64::from(n)) >> 32) as u32
}

/// A seed for a part of a run, derived so that parts never share streams.
pub fn derive_seed(seed: u64, purpose: Purpose, index: u32) -> u64 {
    let w = philox4x32(counter_of(Purpose::Derive, index, purpose as u64, 0), key_of(seed));
    u64::from(w[0]) | (u64::from(w[1]) << 32)
}

/// A sequential reader of one named stream.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    purpose: Purpose,
    index: u32,
    position: u64,
    block: u32,
    words: [u32; 4],
    used: u8,
}

impl Stream {
    /// The stream named `(purpose, index, position)` of `seed`, at its start. By convention `index` is an
    /// environment or agent and `position` an episode or step number.
    pub fn new(seed: u64, purpose: Purpose, index: u32, position: u64) -> Self {
        Self { key: key_of(seed), purpose, index, position, block: 0, words: [0; 4], used: 4 }
    }

    /// Next 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words =
                philox4x32(counter_of(self.purpose, self.index, self.position, self.block), self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.words[self.used as usize];
        self.used += 1;
        word
    }

    /// Next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let low = self.next_u32();
        u64::from(low) | (u64::from(self.next_u32()) << 32)
    }

    /// Uniform in [0, 1), 24 bits.
    #[inline]
    pub fn uniform(&mut self) -> f32 {
        unit_f32(self.next_u32())
    }

    /// Uniform in [0, 1), 53 bits.
    #[inline]
    pub fn uniform_f64(&mut self) -> f64 {
        let high = self.next_u32();
        unit_f64(high, self.next_u32())
    }

    /// Uniform in [low, high).
    #[inline]
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..n`. `n` must not be zero.
    #[inline]
    pub fn below(&mut self, n: u32) -> u32 {
        below(self.next_u32(), n)
    }

    /// Standard normal by Box-Muller, computed in f64 with this workspace's own logarithm and cosine, so
    /// that it is the same number on every machine.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform_f64();
        let v = self.uniform_f64();
        (-2.0 * crate::math::ln_f64(u)).sqrt() * crate::math::cos_turn_f64(v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (`kat_vectors`, philox4x32 10 rounds).
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_differ_by_every_part_of_their_name() {
        let first = |seed, purpose, index, position| Stream::new(seed, purpose, index, position).next_u64();
        let base = first(7, Purpose::Reset, 3, 5);
        let others = [
            first(8, Purpose::Reset, 3, 5),
            first(7 | 1 << 63, Purpose::Reset, 3, 5),
            first(7, Purpose::Step, 3, 5),
            first(7, Purpose::Reset, 4, 5),
            first(7, Purpose::Reset, 3, 6),
            first(7, Purpose::Reset, 3, 5 | 1 << 40),
        ];
        for (i, other) in others.into_iter().enumerate() {
            assert_ne!(base, other, "part {i} of the name does not matter");
        }
    }

    #[test]
    fn normal_has_unit_moments() {
        let mut stream = Stream::new(1, Purpose::Init, 0, 0);
        let n = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = stream.normal();
            sum += x;
            squares += x * x;
        }
        let n = f64::from(n);
        // Five standard errors: 1/sqrt(n) for the mean, sqrt(2/n) for the second moment.
        assert!((sum / n).abs() < 5.0 / n.sqrt());
        assert!((squares / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }
}
