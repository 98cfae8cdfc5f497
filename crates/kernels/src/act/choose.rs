//! From the values of a block of rows to their actions.

use super::cpu::BLOCK_ROWS;
use super::{Act, Exploration};
use crate::Isa;
use crate::buffer::Shared;
use crate::isa::per_isa;
use crate::math::exp_f32;
use crate::td::{argmax_legal, is_legal};
use coact_core::Purpose;
use coact_core::rng::{below, counter_of, key_of, unit_f32};

/// Which rows of `[E, A]` a block holds.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) first: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl Rows {
    /// Row `i` of the block.
    pub(super) fn index(self, i: usize) -> usize {
        self.first + i * self.stride
    }
}

/// Stands for "no legal action".
pub(super) const NONE: u32 = u32::MAX;

/// Writes the actions of `rows` with values `q` (one row after another, possibly with more columns than actions), which
/// may be overwritten. Returns the first row without a legal action.
pub(super) fn choose_rows(
    isa: Isa,
    call: &Act<'_>,
    actions: &Shared<'_, u32>,
    rows: Rows,
    q: &mut [f32],
) -> Option<usize> {
    let (n, out) = (call.shape.n_actions, call.shape.mlp.output);
    let mut random = [[0; 2]; BLOCK_ROWS];
    let (epsilon, temperature) = match call.exploration {
        Exploration::Greedy => (0.0, None),
        Exploration::EpsilonGreedy { epsilon } | Exploration::Noise { epsilon, .. } => (epsilon, None),
        Exploration::Boltzmann { temperature } => (0.0, Some(temperature)),
    };
    if epsilon > 0.0 || temperature.is_some() {
        let index = call.first_row.wrapping_add(rows.first as u32);
        let random = &mut random[..rows.count];
        random_words(isa, index, rows.stride as u32, call.step, key_of(call.seed), random);
    }
    if let Exploration::Noise { noise, .. } = call.exploration {
        for (i, q) in q.chunks_exact_mut(out).enumerate() {
            for (q, &x) in q.iter_mut().zip(&noise[rows.index(i) * n..(rows.index(i) + 1) * n]) {
                *q += x;
            }
        }
    }
    let mut best = [NONE; BLOCK_ROWS];
    if temperature.is_none() {
        best_rows(isa, call, rows, q, &mut best[..rows.count]);
    }
    let mut failed = None;
    for i in 0..rows.count {
        let row = rows.index(i);
        // SAFETY: the row belongs to this block.
        unsafe { actions.part(row, 1)[0] = best[i] };
        // One test for all that is rare, so that the common row ends here.
        let explores = unit_f32(random[i][0]) < epsilon;
        if !(explores | (best[i] == NONE) | !call.alive.is_empty()) {
            continue;
        }
        let mask = mask_of(call, row);
        let action = if !call.alive.is_empty() && !call.alive[row] {
            (0..n).find(|&a| is_legal(mask, a)).unwrap_or(0) as u32
        } else if let Some(temperature) = temperature {
            boltzmann(&mut q[i * out..i * out + n], mask, temperature, random[i][1]).unwrap_or(NONE)
        } else if explores {
            nth_legal(mask, n, random[i][1]).unwrap_or(NONE)
        } else {
            best[i]
        };
        if action == NONE {
            failed = failed.or(Some(row));
        }
        // SAFETY: as above.
        unsafe { actions.part(row, 1)[0] = action };
    }
    failed
}

#[inline(always)]
fn mask_of<'a>(call: &Act<'a>, row: usize) -> &'a [u32] {
    let words = if call.mask.is_empty() { 0 } else { call.shape.mask_words() };
    &call.mask[row * words..(row + 1) * words]
}

/// [`argmax_legal`] of each row, sixteen rows at a time: which action is best is as good as random to a branch
/// predictor, so rows are lanes and nothing branches.
#[inline(always)]
fn best_rows_body(call: &Act<'_>, rows: Rows, q: &[f32], best: &mut [u32]) {
    const LANES: usize = 16;
    let (n, out) = (call.shape.n_actions, call.shape.mlp.output);
    for (block, (q, best)) in q.chunks(LANES * out).zip(best.chunks_mut(LANES)).enumerate() {
        let (mut top, mut at) = ([f32::NEG_INFINITY; LANES], [NONE; LANES]);
        if best.len() == LANES && n <= 32 {
            let mut legal = [u32::MAX; LANES];
            if !call.mask.is_empty() {
                for (i, legal) in legal.iter_mut().enumerate() {
                    *legal = call.mask[rows.index(block * LANES + i)];
                }
            }
            assert!(n <= out && q.len() == LANES * out);
            for a in 0..n {
                // SAFETY: `i < LANES` and `a < n <= out`. Through checked slices the column takes a detour over memory.
                let values: [f32; LANES] = std::array::from_fn(|i| unsafe { *q.get_unchecked(i * out + a) });
                for i in 0..LANES {
                    let better = (values[i] > top[i]) & (legal[i] >> a & 1 == 1);
                    top[i] = if better { values[i] } else { top[i] };
                    at[i] = if better { a as u32 } else { at[i] };
                }
            }
        }
        for (i, (best, at)) in best.iter_mut().zip(at).enumerate() {
            // Nothing legal is above minus infinity, or the rows were few or wide.
            *best = if at == NONE {
                let mask = mask_of(call, rows.index(block * LANES + i));
                argmax_legal(&q[i * out..i * out + n], mask).map_or(NONE, |a| a as u32)
            } else {
                at
            };
        }
    }
}

per_isa! {
    fn best_rows(call: &Act<'_>, rows: Rows, q: &[f32], best: &mut [u32]) = best_rows_body
}

/// Words 0 and 1 of one Philox4x32-10 block a row, for streams `index`, `index + stride`, ...: what
/// [`coact_core::rng::philox4x32`] gives, eight rows at a time.
#[inline(always)]
fn random_words_body(index: u32, stride: u32, step: u64, key: [u32; 2], out: &mut [[u32; 2]]) {
    const LOW: u64 = 0xffff_ffff;
    let name = counter_of(Purpose::Explore, 0, step, 0).map(u64::from);
    let mut next = index;
    for out in out.chunks_mut(8) {
        // Words in the low halves of 64 bits; what the high halves hold does not matter.
        let [mut c0, mut c1, mut c2, mut c3] = name.map(|word| [word; 8]);
        for c in &mut c2 {
            *c = u64::from(next);
            next = next.wrapping_add(stride);
        }
        let [mut k0, mut k1] = key;
        for _ in 0..10 {
            for i in 0..8 {
                let p0 = (c0[i] & LOW) * 0xD251_1F53;
                let p1 = (c2[i] & LOW) * 0xCD9E_8D57;
                (c0[i], c2[i]) = ((p1 >> 32) ^ c1[i] ^ u64::from(k0), (p0 >> 32) ^ c3[i] ^ u64::from(k1));
                (c1[i], c3[i]) = (p1, p0);
            }
            k0 = k0.wrapping_add(0x9E37_79B9);
            k1 = k1.wrapping_add(0xBB67_AE85);
        }
        for (i, out) in out.iter_mut().enumerate() {
            *out = [c0[i] as u32, c1[i] as u32];
        }
    }
}

per_isa! {
    pub(super) fn random_words(
        index: u32, stride: u32, step: u64, key: [u32; 2], out: &mut [[u32; 2]],
    ) = random_words_body
}

/// A uniformly drawn legal action.
fn nth_legal(mask: &[u32], n: usize, word: u32) -> Option<u32> {
    if mask.is_empty() {
        return Some(below(word, n as u32));
    }
    let legal = (0..n).filter(|&a| is_legal(mask, a)).count() as u32;
    if legal == 0 {
        return None;
    }
    (0..n).filter(|&a| is_legal(mask, a)).nth(below(word, legal) as usize).map(|a| a as u32)
}

/// A legal action drawn with probability proportional to `exp(q / temperature)`; `q` becomes the weights.
fn boltzmann(q: &mut [f32], mask: &[u32], temperature: f32, word: u32) -> Option<u32> {
    let best = argmax_legal(q, mask)?;
    let top = q[best];
    let mut total = 0.0;
    for (a, v) in q.iter_mut().enumerate() {
        let weight = exp_f32((*v - top) / temperature);
        // A NaN among the values has no chance.
        *v = if is_legal(mask, a) && weight > 0.0 { weight } else { 0.0 };
        total += *v;
    }
    let aim = unit_f32(word) * total;
    let mut sum = 0.0;
    for (a, &v) in q.iter().enumerate() {
        sum += v;
        if sum > aim {
            return Some(a as u32);
        }
    }
    Some(best as u32)
}
