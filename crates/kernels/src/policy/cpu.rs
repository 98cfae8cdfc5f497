//! Sixteen rows at a time, one a lane.

// Loops over one index of several arrays are what the vectorizer sees through best.
#![allow(clippy::needless_range_loop)]

use super::{DrawRows, NO_ACTION, PolicyRows, PolicyTerms};
use crate::isa::per_isa;
use crate::math::{exp_f32, ln_f32};

const LANES: usize = 16;

type Lanes = [f32; LANES];

/// Whether the rows may take action `a`.
#[inline(always)]
fn legality(mask: &[u32], words: usize, rows: [usize; LANES], a: usize) -> [bool; LANES] {
    let mut legal = [true; LANES];
    if words > 0 {
        for i in 0..LANES {
            legal[i] = mask[rows[i] * words + a / 32] >> (a % 32) & 1 == 1;
        }
    }
    legal
}

/// Logits of action `a`.
#[inline(always)]
fn column(logits: &[f32], n: usize, rows: [usize; LANES], a: usize) -> Lanes {
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = logits[rows[i] * n + a];
    }
    out
}

/// One number a row.
#[inline(always)]
fn gather(values: &[f32], rows: [usize; LANES]) -> Lanes {
    column(values, 1, rows, 0)
}

/// The highest legal logit of each row, minus infinity without one; and the first action that has it, or the first legal one
/// where no logit is a number, or [`NO_ACTION`].
#[inline(always)]
fn highest(
    logits: &[f32],
    n: usize,
    mask: &[u32],
    words: usize,
    rows: [usize; LANES],
) -> (Lanes, [u32; LANES]) {
    let (mut top, mut mode) = ([f32::NEG_INFINITY; LANES], [NO_ACTION; LANES]);
    for a in 0..n {
        let (legal, logit) = (legality(mask, words, rows, a), column(logits, n, rows, a));
        for i in 0..LANES {
            let better = legal[i] & ((logit[i] > top[i]) | (mode[i] == NO_ACTION));
            mode[i] = if better { a as u32 } else { mode[i] };
            top[i] = if legal[i] & (logit[i] > top[i]) { logit[i] } else { top[i] };
        }
    }
    (top, mode)
}

#[inline(always)]
fn block(call: &mut PolicyRows<'_>, words: usize, rows: [usize; LANES], live: usize) {
    let n = call.n_actions;
    let (top, _) = highest(call.logits, n, call.mask, words, rows);
    let (mut total, mut dot) = ([0.0; LANES], [0.0; LANES]);
    for a in 0..n {
        let (legal, logit) = (legality(call.mask, words, rows, a), column(call.logits, n, rows, a));
        for i in 0..LANES {
            let below = logit[i] - top[i];
            let e = exp_f32(below);
            total[i] += if legal[i] { e } else { 0.0 };
            dot[i] = if legal[i] { e.mul_add(below, dot[i]) } else { dot[i] };
        }
    }
    let (mut action, mut chosen) = ([0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        action[i] = call.action[rows[i]];
        chosen[i] = call.logits[rows[i] * n + action[i] as usize];
    }
    let (advantage, weight) = (gather(call.advantage, rows), gather(call.weight, rows));
    let (mut ln_total, mut inverse, mut entropy) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let (mut log_prob, mut loss, mut slope) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let (mut kl, mut clipped) = ([0.0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        ln_total[i] = ln_f32(total[i]);
        inverse[i] = 1.0 / total[i];
        entropy[i] = ln_total[i] - dot[i] * inverse[i];
        log_prob[i] = chosen[i] - top[i] - ln_total[i];
    }
    if let Some(clip) = call.clip {
        let old = gather(call.old_log_prob, rows);
        let (low, high) = (1.0 - clip, 1.0 + clip);
        for i in 0..LANES {
            let log_ratio = log_prob[i] - old[i];
            let ratio = exp_f32(log_ratio);
            let bounded = if ratio > low { ratio } else { low };
            let bounded = if bounded < high { bounded } else { high };
            let (free, held) = (-advantage[i] * ratio, -advantage[i] * bounded);
            loss[i] = if free > held { free } else { held };
            slope[i] = if free >= held { free } else { 0.0 };
            kl[i] = ratio - 1.0 - log_ratio;
            clipped[i] = if (ratio - 1.0).abs() > clip { 1.0 } else { 0.0 };
        }
    } else {
        for i in 0..LANES {
            loss[i] = -advantage[i] * log_prob[i];
            slope[i] = -advantage[i];
        }
    }
    let (mut of_log_prob, mut of_entropy) = ([0.0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        of_log_prob[i] = slope[i] * weight[i];
        of_entropy[i] = -call.ent_coef * weight[i];
    }
    for a in 0..n {
        let (legal, logit) = (legality(call.mask, words, rows, a), column(call.logits, n, rows, a));
        let mut d = [0.0; LANES];
        for i in 0..LANES {
            let below = logit[i] - top[i];
            let prob = exp_f32(below) * inverse[i];
            let pull = of_entropy[i].mul_add(below - ln_total[i] + entropy[i], of_log_prob[i]);
            let own = if action[i] == a as u32 { of_log_prob[i] } else { 0.0 };
            let counts = legal[i] & (weight[i] != 0.0);
            d[i] = if counts { prob.mul_add(-pull, own) } else { 0.0 };
        }
        for i in 0..live {
            call.logits[rows[i] * n + a] = d[i];
        }
    }
    for i in 0..live {
        call.terms[rows[i]] = PolicyTerms {
            log_prob: log_prob[i],
            entropy: entropy[i],
            loss: loss[i],
            kl: kl[i],
            clipped: clipped[i],
        };
    }
}

#[inline(always)]
fn draw_block(call: &mut DrawRows<'_>, words: usize, rows: [usize; LANES], live: usize) {
    let n = call.n_actions;
    let (top, mode) = highest(call.logits, n, call.mask, words, rows);
    if call.uniform.is_empty() {
        for i in 0..live {
            call.action[rows[i]] = mode[i];
        }
        return;
    }
    let mut total = [0.0; LANES];
    for a in 0..n {
        let (legal, logit) = (legality(call.mask, words, rows, a), column(call.logits, n, rows, a));
        for i in 0..LANES {
            let e = exp_f32(logit[i] - top[i]);
            total[i] += if legal[i] { e } else { 0.0 };
        }
    }
    let uniform = gather(call.uniform, rows);
    let (mut sum, mut drawn, mut last) = ([0.0; LANES], [NO_ACTION; LANES], mode);
    for a in 0..n {
        let (legal, logit) = (legality(call.mask, words, rows, a), column(call.logits, n, rows, a));
        for i in 0..LANES {
            let e = if legal[i] { exp_f32(logit[i] - top[i]) } else { 0.0 };
            sum[i] += e;
            // Rounding may leave the sum short of the total; what is left over belongs to the last action that can happen.
            last[i] = if e > 0.0 { a as u32 } else { last[i] };
            let here = (drawn[i] == NO_ACTION) & (sum[i] > uniform[i] * total[i]);
            drawn[i] = if here { a as u32 } else { drawn[i] };
        }
    }
    for i in 0..live {
        call.action[rows[i]] = if drawn[i] == NO_ACTION { last[i] } else { drawn[i] };
    }
}

/// Sixteen rows from `first` on. Lanes without a row compute the last one again and write nothing.
#[inline(always)]
fn rows_from(first: usize, count: usize) -> [usize; LANES] {
    let mut rows = [count - 1; LANES];
    for i in 0..LANES.min(count - first) {
        rows[i] = first + i;
    }
    rows
}

// Plain loops: a closure that is not inlined would be compiled without the instruction set.

#[inline(always)]
fn policy_rows_body(call: &mut PolicyRows<'_>, words: usize) {
    let count = call.action.len();
    for first in (0..count).step_by(LANES) {
        block(call, words, rows_from(first, count), LANES.min(count - first));
    }
}

#[inline(always)]
fn draw_rows_body(call: &mut DrawRows<'_>, words: usize) {
    let count = call.action.len();
    for first in (0..count).step_by(LANES) {
        draw_block(call, words, rows_from(first, count), LANES.min(count - first));
    }
}

per_isa! {
    /// Every row of the call; `words` a row of the mask.
    pub(super) fn policy_rows(call: &mut PolicyRows<'_>, words: usize) = policy_rows_body
}

per_isa! {
    /// Every row of the call; `words` a row of the mask.
    pub(super) fn draw_rows(call: &mut DrawRows<'_>, words: usize) = draw_rows_body
}
