//! A vector of floats as tiles and gates need it, with one implementation an instruction set. All operations are those
//! of IEEE 754 on each lane, so implementations agree to the bit.

/// Lanes of a vector.
pub(crate) trait Lanes: Copy {
    /// Number of lanes.
    const W: usize;

    /// All lanes `x`.
    ///
    /// # Safety
    /// The instruction set is there. (So for all functions here.)
    unsafe fn splat(x: f32) -> Self;

    /// Lanes from memory.
    ///
    /// # Safety
    /// `W` floats at `p` are readable.
    unsafe fn load(p: *const f32) -> Self;

    /// The first `n` lanes (`1..=W`) from memory, the others 0.
    ///
    /// # Safety
    /// `n` floats at `p` are readable.
    unsafe fn load_first(p: *const f32, n: usize) -> Self;

    /// Lanes to memory.
    ///
    /// # Safety
    /// `W` floats at `p` are writable.
    unsafe fn store(self, p: *mut f32);

    /// The first `n` lanes (`1..=W`) to memory; nothing else is touched.
    ///
    /// # Safety
    /// `n` floats at `p` are writable.
    unsafe fn store_first(self, p: *mut f32, n: usize);

    /// `self * b + c` with one rounding.
    ///
    /// # Safety
    /// The instruction set is there.
    unsafe fn fma(self, b: Self, c: Self) -> Self;

    /// 0 where below 0; NaN and -0 stay.
    ///
    /// # Safety
    /// The instruction set is there.
    unsafe fn relu(self) -> Self;

    /// Itself where `h > 0`, else 0.
    ///
    /// # Safety
    /// The instruction set is there.
    unsafe fn where_positive(self, h: Self) -> Self;

    /// Sum, difference, product and quotient.
    ///
    /// # Safety
    /// The instruction set is there. (So for those below.)
    unsafe fn add(self, b: Self) -> Self;
    /// See [`Lanes::add`].
    unsafe fn sub(self, b: Self) -> Self;
    /// See [`Lanes::add`].
    unsafe fn mul(self, b: Self) -> Self;
    /// See [`Lanes::add`].
    unsafe fn div(self, b: Self) -> Self;

    /// `limit` where above it, else itself; NaN stays.
    unsafe fn at_most(self, limit: f32) -> Self;

    /// `limit` where below it, else itself; NaN stays.
    unsafe fn at_least(self, limit: f32) -> Self;

    /// Without its sign.
    unsafe fn abs(self) -> Self;

    /// Itself, which has no sign, with the sign of `x`.
    unsafe fn signed_as(self, x: Self) -> Self;

    /// `below` where less than `limit`, else `above`.
    unsafe fn choose(self, limit: f32, below: Self, above: Self) -> Self;

    /// `2^k` where it is `1.5 * 2^23 + k`.
    unsafe fn power_of_two(self) -> Self;
}

/// Four floats in plain Rust: one vector of NEON.
impl Lanes for [f32; 4] {
    const W: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: promised by the caller; an array needs no more alignment than its floats.
        unsafe { p.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        let mut out = [0.0; 4];
        for (i, o) in out.iter_mut().enumerate().take(n) {
            // SAFETY: `i < n`.
            *o = unsafe { p.add(i).read() };
        }
        out
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { p.cast::<Self>().write(self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        for (i, v) in self.into_iter().enumerate().take(n) {
            // SAFETY: `i < n`.
            unsafe { p.add(i).write(v) }
        }
    }

    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        std::array::from_fn(|i| self[i].mul_add(b[i], c[i]))
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.map(|v| if 0.0 > v { 0.0 } else { v })
    }

    #[inline(always)]
    unsafe fn where_positive(self, h: Self) -> Self {
        std::array::from_fn(|i| if h[i] > 0.0 { self[i] } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + b[i])
    }

    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] - b[i])
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] * b[i])
    }

    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] / b[i])
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: f32) -> Self {
        self.map(|v| if v > limit { limit } else { v })
    }

    #[inline(always)]
    unsafe fn at_least(self, limit: f32) -> Self {
        self.map(|v| if v < limit { limit } else { v })
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(f32::abs)
    }

    #[inline(always)]
    unsafe fn signed_as(self, x: Self) -> Self {
        std::array::from_fn(|i| f32::from_bits(self[i].to_bits() | (x[i].to_bits() & SIGN)))
    }

    #[inline(always)]
    unsafe fn choose(self, limit: f32, below: Self, above: Self) -> Self {
        std::array::from_fn(|i| if self[i] < limit { below[i] } else { above[i] })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        self.map(|v| f32::from_bits(v.to_bits().wrapping_add(TO_EXPONENT) << 23))
    }
}

/// The sign of a float.
pub(super) const SIGN: u32 = 0x8000_0000;

/// Turns the bits of `1.5 * 2^23 + k` into `k` and the bias of the exponent, but for bits that a shift by 23 loses.
pub(super) const TO_EXPONENT: u32 = 127_u32.wrapping_sub(12_582_912.0_f32.to_bits());
