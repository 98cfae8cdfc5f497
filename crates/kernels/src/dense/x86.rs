//! Lanes of x86-64: 512-bit, 256-bit with the masks of AVX-512, and 256-bit of AVX2.

use super::lanes::{Lanes, SIGN, TO_EXPONENT};
use std::arch::x86_64::*;

/// Sixteen floats (AVX-512).
#[derive(Clone, Copy)]
pub(crate) struct Zmm(__m512);

/// Eight floats with AVX-512's masks, for narrow outputs.
#[derive(Clone, Copy)]
pub(crate) struct Ymm(__m256);

/// Eight floats (AVX2 and FMA).
#[derive(Clone, Copy)]
pub(crate) struct Avx(__m256);

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

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_sub_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn div(self, b: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_div_ps(self.0, b.0) })
    }

    #[inline(always)]
    unsafe fn at_most(self, limit: f32) -> Self {
        // SAFETY: see above. MINPS gives its second operand for NaN.
        Self(unsafe { _mm512_min_ps(_mm512_set1_ps(limit), self.0) })
    }

    #[inline(always)]
    unsafe fn at_least(self, limit: f32) -> Self {
        // SAFETY: see above. MAXPS gives its second operand for NaN.
        Self(unsafe { _mm512_max_ps(_mm512_set1_ps(limit), self.0) })
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_and_ps(self.0, _mm512_set1_ps(f32::from_bits(!SIGN))) })
    }

    #[inline(always)]
    unsafe fn signed_as(self, x: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let sign = _mm512_and_ps(x.0, _mm512_set1_ps(f32::from_bits(SIGN)));
            Self(_mm512_or_ps(self.0, sign))
        }
    }

    #[inline(always)]
    unsafe fn choose(self, limit: f32, below: Self, above: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, _mm512_set1_ps(limit));
            Self(_mm512_mask_blend_ps(less, above.0, below.0))
        }
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: see above.
        unsafe {
            let bits = _mm512_add_epi32(_mm512_castps_si512(self.0), _mm512_set1_epi32(TO_EXPONENT as i32));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits)))
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

        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_add_ps(self.0, b.0) })
        }

        #[inline(always)]
        unsafe fn sub(self, b: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_sub_ps(self.0, b.0) })
        }

        #[inline(always)]
        unsafe fn mul(self, b: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_mul_ps(self.0, b.0) })
        }

        #[inline(always)]
        unsafe fn div(self, b: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_div_ps(self.0, b.0) })
        }

        #[inline(always)]
        unsafe fn at_most(self, limit: f32) -> Self {
            // SAFETY: see above. MINPS gives its second operand for NaN.
            Self(unsafe { _mm256_min_ps(_mm256_set1_ps(limit), self.0) })
        }

        #[inline(always)]
        unsafe fn at_least(self, limit: f32) -> Self {
            // SAFETY: see above. MAXPS gives its second operand for NaN.
            Self(unsafe { _mm256_max_ps(_mm256_set1_ps(limit), self.0) })
        }

        #[inline(always)]
        unsafe fn abs(self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_and_ps(self.0, _mm256_set1_ps(f32::from_bits(!SIGN))) })
        }

        #[inline(always)]
        unsafe fn signed_as(self, x: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                let sign = _mm256_and_ps(x.0, _mm256_set1_ps(f32::from_bits(SIGN)));
                Self(_mm256_or_ps(self.0, sign))
            }
        }

        #[inline(always)]
        unsafe fn choose(self, limit: f32, below: Self, above: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                let less = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, _mm256_set1_ps(limit));
                Self(_mm256_blendv_ps(above.0, below.0, less))
            }
        }

        #[inline(always)]
        unsafe fn power_of_two(self) -> Self {
            // SAFETY: see above.
            unsafe {
                let bits =
                    _mm256_add_epi32(_mm256_castps_si256(self.0), _mm256_set1_epi32(TO_EXPONENT as i32));
                Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits)))
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
