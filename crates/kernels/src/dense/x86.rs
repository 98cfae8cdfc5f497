//! Lanes of x86-64: 512-bit, 256-bit with the masks of AVX-512, and 256-bit of AVX2.

use super::lanes::Lanes;
use std::arch::x86_64::*;

/// Sixteen floats (AVX-512).
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512);

/// Eight floats with AVX-512's masks, for narrow outputs.
#[derive(Clone, Copy)]
pub(super) struct Ymm(__m256);

/// Eight floats (AVX2 and FMA).
#[derive(Clone, Copy)]
pub(super) struct Avx(__m256);

#[inline(always)]
fn mask16(n: usize) -> __mmask16 {
    (((1_u32 << n) - 1) & 0xffff) as __mmask16
}

#[inline(always)]
fn mask8(n: usize) -> __mmask8 {
    (((1_u32 << n) - 1) & 0xff) as __mmask8
}

// SAFETY of all blocks below: the caller promises the instruction set and the memory.
impl Lanes for Zmm {
    const W: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        // SAFETY: see above; masked lanes are not read.
        Self(unsafe { _mm512_maskz_loadu_ps(mask16(n), p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        // SAFETY: see above; masked lanes are not written.
        unsafe { _mm512_mask_storeu_ps(p, mask16(n), self.0) }
    }

    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // SAFETY: see above. MAXPS gives its second operand for NaN and for equal zeros.
        Self(unsafe { _mm512_max_ps(_mm512_setzero_ps(), self.0) })
    }

    #[inline(always)]
    unsafe fn where_positive(self, h: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(h.0, _mm512_setzero_ps());
            Self(_mm512_maskz_mov_ps(positive, self.0))
        }
    }
}

/// The operations that both 256-bit forms share.
macro_rules! common_256 {
    () => {
        const W: usize = 8;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_set1_ps(x) })
        }

        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_loadu_ps(p) })
        }

        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(p, self.0) }
        }

        #[inline(always)]
        unsafe fn fma(self, b: Self, c: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
        }

        #[inline(always)]
        unsafe fn relu(self) -> Self {
            // SAFETY: see above. MAXPS gives its second operand for NaN and for equal zeros.
            Self(unsafe { _mm256_max_ps(_mm256_setzero_ps(), self.0) })
        }

        #[inline(always)]
        unsafe fn where_positive(self, h: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(h.0, _mm256_setzero_ps());
                Self(_mm256_and_ps(positive, self.0))
            }
        }
    };
}

impl Lanes for Ymm {
    common_256!();

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        // SAFETY: see above; masked lanes are not read.
        Self(unsafe { _mm256_maskz_loadu_ps(mask8(n), p) })
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        // SAFETY: see above; masked lanes are not written.
        unsafe { _mm256_mask_storeu_ps(p, mask8(n), self.0) }
    }
}

/// Eight ones, then eight zeros; a window of it is a mask.
static WINDOW: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
unsafe fn window(n: usize) -> __m256i {
    // SAFETY: `n <= 8`, so eight values from `8 - n` lie inside; the instruction set is there.
    unsafe { _mm256_loadu_si256(WINDOW.as_ptr().add(8 - n).cast()) }
}

impl Lanes for Avx {
    common_256!();

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        // SAFETY: see above; masked lanes are not read.
        Self(unsafe { _mm256_maskload_ps(p, window(n)) })
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        // SAFETY: see above; masked lanes are not written.
        unsafe { _mm256_maskstore_ps(p, window(n), self.0) }
    }
}
