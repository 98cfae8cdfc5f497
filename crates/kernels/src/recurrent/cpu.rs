//! Cells on the CPU. Each thread takes some rows through all steps; gradients of the parameters are summed after that.

use super::{CellBackward, CellCache, CellForward, CellKind, CellShape, Tape, gates};
use crate::buffer::Shared;
use crate::chunks::CHUNK_ROWS;
use crate::dense::{Finish, Product, Start, product};
use crate::mlp::weight_grads;
use crate::{Cpu, Isa, rows};

/// Rows of one part: the first, and how many.
fn part_of(rows: usize, part: usize, parts: usize) -> (usize, usize) {
    let (first, end) = (rows * part / parts, rows * (part + 1) / parts);
    (first, end - first)
}

pub(super) fn forward(cpu: &mut Cpu, cache: &CellCache, call: CellForward<'_>) {
    let threads = cpu.parts(call.steps * call.rows * call.shape.multiply_adds());
    let parts = threads.min(call.rows);
    let isa = cpu.isa;
    let CellForward { shape, params, steps, rows, input_side, is_first, memory, hidden } = call;
    let hidden = Shared::new(hidden);
    cpu.run(threads, parts, &|part, _| {
        let (first, count) = part_of(rows, part, parts);
        let run = Rows { isa, shape, params, steps, rows, is_first, tape: &cache.tape, first, count };
        run.forward(input_side, memory, &hidden);
    });
}

pub(super) fn backward(cpu: &mut Cpu, cache: &mut CellCache, call: CellBackward<'_>) {
    let CellCache { tape, steps, rows, is_first, sums, transposed, .. } = cache;
    let (steps, rows, tape) = (*steps, *rows, &*tape);
    let CellBackward { shape, params, d_hidden, grads, d_input_side, d_memory } = call;
    let (h, width) = (shape.width, shape.gate_width());
    let weights = h * width;
    rows::transpose(h, width, &params[..weights], &mut transposed.as_mut_slice()[..weights]);
    let (isa, n) = (cpu.isa, steps * rows);
    let threads = cpu.parts(2 * n * shape.multiply_adds());
    let parts = threads.min(rows);
    let d_x = Shared::new(d_input_side);
    let d_memory = d_memory.map(Shared::new);
    let transposed = &transposed.as_slice()[..weights];
    cpu.run(threads, parts, &|part, _| {
        let (first, count) = part_of(rows, part, parts);
        let run = Rows { isa, shape, params, steps, rows, is_first, tape, first, count };
        run.backward(transposed, d_hidden, &d_x, d_memory.as_ref());
    });
    // SAFETY: all parts have ended, so these are only read now.
    let (h_in, d_y) = unsafe {
        let d_y = match shape.kind {
            CellKind::Gru => tape.d_hidden_side.view(0, n * width),
            CellKind::Lstm => &*d_x.part(0, n * width),
        };
        (tape.h_in.view(0, n * h), d_y)
    };
    sums.run(cpu, threads, n.div_ceil(CHUNK_ROWS), grads, &|part, out| {
        let first = part.chunk * CHUNK_ROWS;
        let count = CHUNK_ROWS.min(n - first);
        let d = &d_y[first * width..][..count * width];
        weight_grads(isa, (h, width), (&h_in[first * h..], h), d, count, out, 0, part.share);
        if part.share.0 == part.share.1 - 1 {
            // SAFETY: only the last caller writes the bias.
            rows::column_sums(isa, width, d, unsafe { out.part(weights, width) });
        }
    });
}

/// Rows `first..first + count` through all steps.
struct Rows<'a> {
    isa: Isa,
    shape: CellShape,
    params: &'a [f32],
    steps: usize,
    rows: usize,
    is_first: &'a [bool],
    tape: &'a Tape,
    first: usize,
    count: usize,
}

impl Rows<'_> {
    /// The first of these rows in step `t`.
    fn at(&self, t: usize) -> usize {
        t * self.rows + self.first
    }

    /// `into` `[count, H]`: half `part` of the memory that step `t` reads, which is `memory`'s before the first step
    /// and `before`'s (after step `t - 1`) later.
    fn recall(&self, t: usize, memory: &[f32], part: usize, before: &[f32], into: &mut [f32]) {
        let h = self.shape.width;
        if t > 0 {
            into.copy_from_slice(before);
        } else {
            let m = self.shape.memory_width();
            for (into, memory) in into.chunks_exact_mut(h).zip(memory[self.first * m..].chunks_exact(m)) {
                into.copy_from_slice(&memory[part * h..(part + 1) * h]);
            }
        }
        self.clear_first(t, into);
    }

    /// Zeros rows `[count, H]` where step `t` is the first of an episode.
    fn clear_first(&self, t: usize, rows: &mut [f32]) {
        for (row, &first) in rows.chunks_exact_mut(self.shape.width).zip(&self.is_first[self.at(t)..]) {
            if first {
                row.fill(0.0);
            }
        }
    }

    fn product(&self, a: &[f32], k: usize, b: &[f32], n: usize, start: Start<'_>, out: &mut [f32]) {
        let finish = Finish::Plain;
        let call = Product { m: self.count, n, k, a, a_row: k, a_col: 1, b, b_row: n, start, finish };
        product(self.isa, &call, out, n);
    }

    fn forward(&self, input_side: &[f32], memory: &[f32], hidden: &Shared<'_, f32>) {
        let (h, width, tape) = (self.shape.width, self.shape.gate_width(), self.tape);
        let (weight, bias) = self.params.split_at(h * width);
        for t in 0..self.steps {
            let (at, len) = (self.at(t) * h, self.count * h);
            // These rows of the step before; none at first.
            let (before, before_len) = (self.at(t.saturating_sub(1)) * h, if t > 0 { len } else { 0 });
            let x = &input_side[self.at(t) * width..][..self.count * width];
            // SAFETY: these rows belong to this thread for the length of the pass, and each step has its own floats.
            let (h_in, gates, inner, h_before, out) = unsafe {
                let gates = tape.gates.part(self.at(t) * width, self.count * width);
                let (h_before, out) = (hidden.part(before, before_len), hidden.part(at, len));
                (tape.h_in.part(at, len), gates, tape.inner.part(at, len), h_before, out)
            };
            self.recall(t, memory, 0, h_before, h_in);
            self.product(h_in, h, weight, width, Start::Bias(bias), gates);
            if self.shape.kind == CellKind::Gru {
                gates::gru(self.isa, h, x, gates, inner, h_in, out);
                continue;
            }
            // SAFETY: as above.
            let (c_in, c_before, c) =
                unsafe { (tape.c_in.part(at, len), tape.c.view(before, before_len), tape.c.part(at, len)) };
            self.recall(t, memory, 1, c_before, c_in);
            gates::lstm(self.isa, h, x, gates, c_in, c, inner, out);
        }
    }

    fn backward(
        &self,
        transposed: &[f32],
        d_hidden: &[f32],
        d_x: &Shared<'_, f32>,
        d_memory: Option<&Shared<'_, f32>>,
    ) {
        let (h, width, tape) = (self.shape.width, self.shape.gate_width(), self.tape);
        let (own, len) = (self.first * h, self.count * h);
        let is_lstm = self.shape.kind == CellKind::Lstm;
        // SAFETY: (of all in this function) these rows belong to this thread for the length of the pass, and what the
        // forward pass wrote is only read now.
        let (d_h, d_c, below) = unsafe {
            let d_c = tape.d_c.part(if is_lstm { own } else { 0 }, if is_lstm { len } else { 0 });
            (tape.d_h.part(own, len), d_c, tape.product.part(own, len))
        };
        d_h.fill(0.0);
        d_c.fill(0.0);
        for t in (0..self.steps).rev() {
            let (at, wide, wide_len) = (self.at(t) * h, self.at(t) * width, self.count * width);
            let d_hidden = &d_hidden[at..at + len];
            // SAFETY: see above.
            let (gates, inner, d_x) = unsafe {
                (tape.gates.view(wide, wide_len), tape.inner.view(at, len), d_x.part(wide, wide_len))
            };
            if is_lstm {
                // SAFETY: see above.
                let c_in = unsafe { tape.c_in.view(at, len) };
                gates::lstm_grad(self.isa, h, d_hidden, d_h, d_c, gates, c_in, inner, d_x);
                self.product(d_x, width, transposed, h, Start::Zero, d_h);
                self.clear_first(t, d_c);
            } else {
                // SAFETY: see above.
                let (h_in, d_y) =
                    unsafe { (tape.h_in.view(at, len), tape.d_hidden_side.part(wide, wide_len)) };
                gates::gru_grad(self.isa, h, d_hidden, d_h, gates, inner, h_in, d_x, d_y);
                self.product(d_y, width, transposed, h, Start::Zero, below);
                rows::add(self.isa, d_h, below);
            }
            self.clear_first(t, d_h);
        }
        if let Some(d_memory) = d_memory {
            let m = self.shape.memory_width();
            // SAFETY: see above.
            let rows = unsafe { d_memory.part(self.first * m, self.count * m) };
            for (i, row) in rows.chunks_exact_mut(m).enumerate() {
                row[..h].copy_from_slice(&d_h[i * h..(i + 1) * h]);
                if is_lstm {
                    row[h..].copy_from_slice(&d_c[i * h..(i + 1) * h]);
                }
            }
        }
    }
}
