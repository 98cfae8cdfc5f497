//! The product on the CPU: columns split into vectors, rows into register tiles, one set of tiles an instruction
//! set.

use super::Product;
use super::lanes::Lanes;
use super::tile::{Raw, columns};
use crate::Isa;

/// Computes the product into `c`, rows `c_row` apart.
pub(crate) fn product(isa: Isa, p: &Product<'_>, c: &mut [f32], c_row: usize) {
    p.check(c, c_row);
    let raw = Raw::new(p, c, c_row);
    match isa {
        // SAFETY: `Backend::cpu` checked that the machine has the set, and the shapes were checked above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::all(&raw) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::all(&raw) },
        // SAFETY: plain Rust runs everywhere, and the shapes were checked above.
        _ => unsafe { portable(&raw) },
    }
}

/// Sixteen columns in four vectors of four: on aarch64 6 x 4 vectors of sums in 32 registers.
unsafe fn portable(g: &Raw) {
    type V = [f32; 4];
    let mut j = 0;
    // SAFETY: columns stay below `n`.
    unsafe {
        while j + 4 * V::W <= g.n {
            columns::<V, 6, 4, false>(g, j, 0);
            j += 4 * V::W;
        }
        while j + V::W <= g.n {
            columns::<V, 8, 1, false>(g, j, 0);
            j += V::W;
        }
        if j < g.n {
            columns::<V, 8, 1, true>(g, j, g.n - j);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::super::x86::{Ymm, Zmm};
    use super::*;

    /// A function of its own a tile size, so that each is compiled once.
    macro_rules! strip {
        ($name:ident, $v:ty, $rows:literal, $vectors:literal, $tail:literal) => {
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            unsafe fn $name(g: &Raw, j: usize, last: usize) {
                // SAFETY: promised by the caller.
                unsafe { columns::<$v, $rows, $vectors, $tail>(g, j, last) }
            }
        };
    }

    // Sums, columns and one broadcast fill at most 29 of 32 registers.
    strip!(four, Zmm, 6, 4, false);
    strip!(four_tail, Zmm, 6, 4, true);
    strip!(three, Zmm, 8, 3, false);
    strip!(three_tail, Zmm, 8, 3, true);
    strip!(two, Zmm, 12, 2, false);
    strip!(two_tail, Zmm, 12, 2, true);
    strip!(one, Zmm, 12, 1, false);
    strip!(one_tail, Zmm, 12, 1, true);
    strip!(half, Ymm, 8, 1, false);
    strip!(half_tail, Ymm, 8, 1, true);

    /// # Safety
    /// The machine has AVX-512, and the product was checked.
    pub(super) unsafe fn all(g: &Raw) {
        let mut j = 0;
        // SAFETY: columns stay below `n`.
        unsafe {
            while j + 64 <= g.n {
                four(g, j, 0);
                j += 64;
            }
            let rest = g.n - j;
            let last = rest % 16;
            match rest {
                0 => {}
                8 => half(g, j, 0),
                1..8 => half_tail(g, j, rest),
                16 => one(g, j, 0),
                9..16 => one_tail(g, j, last),
                32 => two(g, j, 0),
                17..32 => two_tail(g, j, last),
                48 => three(g, j, 0),
                33..48 => three_tail(g, j, last),
                _ => four_tail(g, j, last),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::super::x86::Avx;
    use super::*;

    /// # Safety
    /// The machine has AVX2 and FMA, and the product was checked.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn all(g: &Raw) {
        let mut j = 0;
        // SAFETY: columns stay below `n`.
        unsafe {
            while j + 16 <= g.n {
                columns::<Avx, 6, 2, false>(g, j, 0);
                j += 16;
            }
            match g.n - j {
                0 => {}
                8 => columns::<Avx, 8, 1, false>(g, j, 0),
                rest @ 1..8 => columns::<Avx, 8, 1, true>(g, j, rest),
                rest => columns::<Avx, 6, 2, true>(g, j, rest - 8),
            }
        }
    }
}
