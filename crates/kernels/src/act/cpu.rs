//! `act` on the CPU: blocks of rows through all layers, then the choice row by row.

use super::choose::{Rows, choose_rows};
use super::{Act, ActScratch};
use crate::buffer::Shared;
use crate::mlp::infer_rows;
use crate::td::dueling_q;
use crate::{Cpu, Error, Isa, QShape};
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
    let rows = Rows { first: first * n_sets + set, stride: n_sets, count };
    for (i, q) in q.chunks_exact_mut(out).enumerate() {
        let row = rows.index(i);
        if shape.dueling {
            dueling_q(q, shape.n_actions);
        }
        if let Some(all) = &outputs.q {
            // SAFETY: the row belongs to this block.
            unsafe { all.part(row * shape.n_actions, shape.n_actions) }
                .copy_from_slice(&q[..shape.n_actions]);
        }
    }
    choose_rows(isa, call, &outputs.actions, rows, q)
}
