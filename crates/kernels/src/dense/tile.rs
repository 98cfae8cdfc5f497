//! Register tiles: `MR` rows by `NV` vectors of sums stay in registers while `k` runs. One generic body is compiled
//! for each instruction set and tile size.

use super::lanes::Lanes;
use super::{Finish, Product, Start};

/// A product as bare pointers; null for what is absent.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    pub(super) m: usize,
    pub(super) n: usize,
    k: usize,
    a: *const f32,
    a_row: usize,
    a_col: usize,
    b: *const f32,
    b_row: usize,
    c: *mut f32,
    c_row: usize,
    bias: *const f32,
    /// Sums go on from what is in `c`.
    here: bool,
    relu: bool,
    h: *const f32,
}

impl Raw {
    /// `p` has been checked against `c`.
    pub(super) fn new(p: &Product<'_>, c: &mut [f32], c_row: usize) -> Self {
        let (relu, h) = match p.finish {
            Finish::Plain => (false, std::ptr::null()),
            Finish::Relu => (true, std::ptr::null()),
            Finish::Where(h) => (false, h.as_ptr()),
        };
        Self {
            m: p.m,
            n: p.n,
            k: p.k,
            a: p.a.as_ptr(),
            a_row: p.a_row,
            a_col: p.a_col,
            b: p.b.as_ptr(),
            b_row: p.b_row,
            c: c.as_mut_ptr(),
            c_row,
            bias: match p.start {
                Start::Zero | Start::Here => std::ptr::null(),
                Start::Bias(bias) => bias.as_ptr(),
            },
            here: matches!(p.start, Start::Here),
            relu,
            h,
        }
    }
}

/// Rows `i..i + MR`, columns `j..` of `NV` vectors, the last of which has `last` lanes if `TAIL`.
///
/// # Safety
/// The instruction set of `V` is there, and the tile lies inside the product's slices.
#[inline(always)]
// Plain indices are what the compiler unrolls into registers.
#[allow(clippy::needless_range_loop)]
pub(super) unsafe fn tile<V: Lanes, const MR: usize, const NV: usize, const TAIL: bool>(
    g: &Raw,
    i: usize,
    j: usize,
    last: usize,
) {
    // SAFETY: every address below is element (row < m, column < n) or (k, column < n) of a checked matrix.
    unsafe {
        let load = |p: *const f32, v: usize| {
            if TAIL && v == NV - 1 { V::load_first(p.add(v * V::W), last) } else { V::load(p.add(v * V::W)) }
        };
        let mut sums = [[V::splat(0.0); NV]; MR];
        if !g.bias.is_null() {
            for v in 0..NV {
                let bias = load(g.bias.add(j), v);
                for row in &mut sums {
                    row[v] = bias;
                }
            }
        }
        if g.here {
            for (r, row) in sums.iter_mut().enumerate() {
                for v in 0..NV {
                    row[v] = load(g.c.add((i + r) * g.c_row + j), v);
                }
            }
        }
        // A pointer for each three rows. Hidden from the compiler, which else reaches row after row by one chain of
        // additions: in narrow tiles that takes longer than the multiply-adds (58 instead of 36 cycles a row of
        // 64 -> 5).
        let mut a = [g.a; 4];
        for (third, a) in a.iter_mut().enumerate().take(MR.div_ceil(3)) {
            *a = std::hint::black_box(g.a.add((i + 3 * third) * g.a_row));
        }
        let mut b = g.b.add(j);
        for _ in 0..g.k {
            let mut columns = [V::splat(0.0); NV];
            for v in 0..NV {
                columns[v] = load(b, v);
            }
            for r in 0..MR {
                let x = V::splat(*a[r / 3].add(r % 3 * g.a_row));
                for v in 0..NV {
                    sums[r][v] = x.fma(columns[v], sums[r][v]);
                }
            }
            for a in a.iter_mut().take(MR.div_ceil(3)) {
                *a = a.wrapping_add(g.a_col);
            }
            b = b.wrapping_add(g.b_row);
        }
        for r in 0..MR {
            let at = (i + r) * g.c_row + j;
            for v in 0..NV {
                let mut sum = sums[r][v];
                if g.relu {
                    sum = sum.relu();
                }
                if !g.h.is_null() {
                    sum = sum.where_positive(load(g.h.add(at), v));
                }
                let c = g.c.add(at + v * V::W);
                if TAIL && v == NV - 1 {
                    sum.store_first(c, last);
                } else {
                    sum.store(c);
                }
            }
        }
    }
}

/// All rows of columns `j..` of `NV` vectors: tiles of `MR` rows, then 4, 2 and 1.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
pub(super) unsafe fn columns<V: Lanes, const MR: usize, const NV: usize, const TAIL: bool>(
    g: &Raw,
    j: usize,
    last: usize,
) {
    let mut i = 0;
    // SAFETY: rows stay below `m`.
    unsafe {
        while i + MR <= g.m {
            tile::<V, MR, NV, TAIL>(g, i, j, last);
            i += MR;
        }
        while i + 4 <= g.m {
            tile::<V, 4, NV, TAIL>(g, i, j, last);
            i += 4;
        }
        if i + 2 <= g.m {
            tile::<V, 2, NV, TAIL>(g, i, j, last);
            i += 2;
        }
        if i < g.m {
            tile::<V, 1, NV, TAIL>(g, i, j, last);
        }
    }
}
