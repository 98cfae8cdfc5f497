//! `act` on the CPU: blocks of rows through all layers, then the choice row by row.

use super::{Act, ActScratch, Exploration};
use crate::buffer::Shared;
use crate::math::exp_f32;
use crate::mlp::infer_rows;
use crate::td::{argmax_legal, dueling_q, is_legal};
use crate::{Cpu, Error, Isa, QShape};
use coact_core::Purpose;
use coact_core::rng::{below, counter_of, key_of, unit_f32};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of a block: activations of widths up to 256 stay in the second cache level.
pub(super) const BLOCK_ROWS: usize = 96;

/// Floats of scratch for `rows` rows.
pub(super) fn lane_len(shape: &QShape, rows: usize) -> usize {
    let width = shape.mlp.max_width();
    let norm = if shape.mlp.layer_norm { rows * (width + 1) } else { 0 };
    2 * rows * width + norm + rows * shape.mlp.output
}

/// What the threads write, each its own rows.
struct Outputs<'a> {
    actions: Shared<'a, u32>,
    q: Option<Shared<'a, f32>>,
}

pub(super) fn act(cpu: &mut Cpu, scratch: &mut ActScratch, call: &mut Act<'_>) -> Result<(), Error> {
    let rows = call.actions.len();
    scratch.fit(call.shape, rows, cpu.team.threads());
    // Rows of a shared set, environments of one agent's own set.
    let units = rows / call.n_sets;
    let parts = cpu.parts(rows * call.shape.mlp.multiply_adds());
    let block_rows = match parts {
        1 => BLOCK_ROWS,
        _ => units.div_ceil(parts).next_multiple_of(6).min(BLOCK_ROWS),
    };
    let blocks = units.div_ceil(block_rows);
    let outputs = Outputs {
        actions: Shared::new(std::mem::take(&mut call.actions)),
        q: call.q.take().map(Shared::new),
    };
    let lanes = Shared::new(&mut scratch.lanes);
    let failed = AtomicUsize::new(usize::MAX);
    let (isa, call) = (cpu.isa, &*call);
    let work = |part: usize, thread: usize| {
        let (set, first) = (part / blocks, part % blocks * block_rows);
        // SAFETY: each thread has a number, and a lane, of its own.
        let lane = unsafe { &mut lanes.part(thread, 1)[0] };
        let count = block_rows.min(units - first);
        if let Some(row) = block(isa, call, &outputs, lane.as_mut_slice(), set, first, count) {
            failed.fetch_min(row, Ordering::Relaxed);
        }
    };
    if parts == 1 {
        (0..call.n_sets * blocks).for_each(|part| work(part, 0));
    } else {
        cpu.team.run(call.n_sets * blocks, &work);
    }
    match failed.into_inner() {
        usize::MAX => Ok(()),
        row => Err(Error::NoLegalAction { env: row / call.n_agents, agent: row % call.n_agents }),
    }
}

/// Rows `first..first + count` of a set. Returns the first row without a legal action.
fn block(
    isa: Isa,
    call: &Act<'_>,
    outputs: &Outputs<'_>,
    lane: &mut [f32],
    set: usize,
    first: usize,
    count: usize,
) -> Option<usize> {
    let shape = call.shape;
    let (p, d, out) = (shape.param_count(), shape.mlp.input, shape.mlp.output);
    let n_sets = call.n_sets;
    let width = count * shape.mlp.max_width();
    let (ping, lane) = lane.split_at_mut(width);
    let (pong, lane) = lane.split_at_mut(width);
    let (q, norm) = lane.split_at_mut(count * out);
    let params = &call.params[set * p..(set + 1) * p];
    let x = &call.obs[(first * n_sets + set) * d..];
    infer_rows(isa, &shape.mlp, params, (x, n_sets * d), count, [ping, pong, norm], q);
    let mut random = [[0; 2]; BLOCK_ROWS];
    if draws(call.exploration) {
        let index = call.first_row.wrapping_add((first * n_sets + set) as u32);
        random_words(isa, index, n_sets as u32, call.step, key_of(call.seed), &mut random[..count]);
    }
    let mut failed = None;
    for (i, (q, random)) in q.chunks_exact_mut(out).zip(random).enumerate() {
        let row = (first + i) * n_sets + set;
        if shape.dueling {
            dueling_q(q, shape.n_actions);
        }
        let q = &mut q[..shape.n_actions];
        if let Some(all) = &outputs.q {
            // SAFETY: the row belongs to this block.
            unsafe { all.part(row * shape.n_actions, shape.n_actions) }.copy_from_slice(q);
        }
        match choose(call, row, q, random) {
            // SAFETY: as above.
            Some(action) => unsafe { outputs.actions.part(row, 1)[0] = action },
            None => failed = failed.or(Some(row)),
        }
    }
    failed
}

/// Whether choosing needs random numbers.
fn draws(exploration: Exploration<'_>) -> bool {
    match exploration {
        Exploration::Greedy => false,
        Exploration::EpsilonGreedy { epsilon } | Exploration::Noise { epsilon, .. } => epsilon > 0.0,
        Exploration::Boltzmann { .. } => true,
    }
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

crate::isa::per_isa! {
    pub(super) fn random_words(
        index: u32, stride: u32, step: u64, key: [u32; 2], out: &mut [[u32; 2]],
    ) = random_words_body
}

/// The action of a row with values `q`, which may be overwritten. `None`: nothing is legal.
#[inline(always)]
fn choose(call: &Act<'_>, row: usize, q: &mut [f32], random: [u32; 2]) -> Option<u32> {
    let n = q.len();
    let words = if call.mask.is_empty() { 0 } else { n.div_ceil(32) };
    let mask = &call.mask[row * words..(row + 1) * words];
    if !call.alive.is_empty() && !call.alive[row] {
        return Some((0..n).find(|&a| is_legal(mask, a)).unwrap_or(0) as u32);
    }
    let epsilon = match call.exploration {
        Exploration::Greedy => 0.0,
        Exploration::EpsilonGreedy { epsilon } => epsilon,
        Exploration::Boltzmann { temperature } => return boltzmann(q, mask, temperature, random[1]),
        Exploration::Noise { noise, epsilon } => {
            for (q, &x) in q.iter_mut().zip(&noise[row * n..(row + 1) * n]) {
                *q += x;
            }
            epsilon
        }
    };
    if epsilon > 0.0 && unit_f32(random[0]) < epsilon {
        return nth_legal(mask, n, random[1]);
    }
    argmax_legal(q, mask).map(|a| a as u32)
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
