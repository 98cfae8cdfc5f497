//! Convolutions on the CPU: patches of one row at a time, which stay in the nearest caches, and products.

use super::{ConvBackward, ConvCache, ConvForward, ConvShape};
use crate::buffer::{Buffer, Shared};
use crate::chunks::CHUNK_ROWS;
use crate::dense::{Finish, Product, Start, product};
use crate::mlp::blocks_of;
use crate::{Activation, Cpu, Isa, rows};
use std::ops::Range;

pub(super) fn forward(cpu: &mut Cpu, cache: &mut ConvCache, call: ConvForward<'_>) {
    let ConvForward { shape, params, rows, input, activation, output } = call;
    let (isa, threads) = (cpu.isa, cpu.parts(rows * shape.multiply_adds()));
    let (block, blocks) = blocks_of(rows, threads);
    let (weight, bias) = params.split_at(shape.filters * shape.patch());
    let patches = Shared::new(&mut cache.patches);
    let output = Shared::new(output);
    cpu.run(threads, blocks, &|b, thread| {
        // SAFETY: each thread has patches of its own.
        let patches = own(unsafe { patches.part(thread, 1) }, &shape);
        for row in b * block..rows.min((b + 1) * block) {
            unfold(&shape, &input[row * shape.input()..], patches);
            // SAFETY: a row belongs to one block.
            let out = unsafe { output.part(row * shape.output(), shape.output()) };
            for (out, &bias) in out.chunks_exact_mut(shape.places()).zip(bias) {
                out.fill(bias);
            }
            let finish = if activation == Some(Activation::Relu) { Finish::Relu } else { Finish::Plain };
            let call = Product {
                m: shape.filters,
                n: shape.places(),
                k: shape.patch(),
                a: weight,
                a_row: shape.patch(),
                a_col: 1,
                b: patches,
                b_row: shape.places(),
                start: Start::Here,
                finish,
            };
            product(isa, &call, out, shape.places());
            if activation == Some(Activation::Tanh) {
                rows::tanh(isa, out);
            }
        }
    });
}

pub(super) fn backward(cpu: &mut Cpu, cache: &mut ConvCache, call: ConvBackward<'_>) {
    let ConvBackward { shape, params, rows, input, activation, output, d_output, grads, d_input } = call;
    let ConvCache { patches, d_sums, sums } = cache;
    let (isa, threads) = (cpu.isa, cpu.parts(2 * rows * shape.multiply_adds()));
    let (block, blocks) = blocks_of(rows, threads);
    let width = shape.output();
    let patches = Shared::new(patches);
    let d_sums = &*d_sums;
    let d_input = d_input.map(Shared::new);
    cpu.run(threads, blocks, &|b, thread| {
        // SAFETY: each thread has patches of its own.
        let patches = own(unsafe { patches.part(thread, 1) }, &shape);
        for row in b * block..rows.min((b + 1) * block) {
            let at = row * width..(row + 1) * width;
            // SAFETY: a row belongs to one block.
            let d = unsafe { d_sums.part(at.start, width) };
            d.copy_from_slice(&d_output[at.clone()]);
            match activation {
                Some(Activation::Relu) => rows::relu_grad(isa, d, &output[at]),
                Some(Activation::Tanh) => rows::tanh_grad(isa, d, &output[at]),
                None => {}
            }
            if let Some(d_input) = &d_input {
                // SAFETY: as above.
                let d_input = unsafe { d_input.part(row * shape.input(), shape.input()) };
                input_grad(isa, &shape, params, d, patches, d_input);
            }
        }
    });
    sums.run(cpu, threads, rows.div_ceil(CHUNK_ROWS), grads, &|part, out| {
        let (t, of) = part.share;
        let filters = shape.filters * t / of..shape.filters * (t + 1) / of;
        // SAFETY: each thread has patches of its own.
        let patches = own(unsafe { patches.part(part.thread, 1) }, &shape);
        let own_rows = part.chunk * CHUNK_ROWS..rows.min((part.chunk + 1) * CHUNK_ROWS);
        weight_grads(isa, &shape, input, d_sums, own_rows, filters, patches, out);
    });
}

fn own<'a>(buffer: &'a mut [Buffer], shape: &ConvShape) -> &'a mut [f32] {
    &mut buffer[0].as_mut_slice()[..shape.patch() * shape.places()]
}

/// Gradients of the weights and biases of `filters`: chains over `rows`.
#[allow(clippy::too_many_arguments)]
fn weight_grads(
    isa: Isa,
    shape: &ConvShape,
    input: &[f32],
    d_sums: &Buffer,
    rows: Range<usize>,
    filters: Range<usize>,
    patches: &mut [f32],
    out: &Shared<'_, f32>,
) {
    let (patch, places) = (shape.patch(), shape.places());
    // SAFETY: filters of different parts are disjoint.
    let (weight, bias) = unsafe {
        let bias = out.part(shape.filters * patch + filters.start, filters.len());
        (out.part(filters.start * patch, filters.len() * patch), bias)
    };
    weight.fill(0.0);
    bias.fill(0.0);
    if filters.is_empty() {
        return;
    }
    for row in rows {
        unfold_places(shape, &input[row * shape.input()..], patches);
        // SAFETY: these were written before and are only read now.
        let d = unsafe { d_sums.view(row * shape.output() + filters.start * places, filters.len() * places) };
        let call = Product {
            m: filters.len(),
            n: patch,
            k: places,
            a: d,
            a_row: places,
            a_col: 1,
            b: patches,
            b_row: patch,
            start: Start::Here,
            finish: Finish::Plain,
        };
        product(isa, &call, weight, patch);
        rows::add_row_sums(isa, places, d, bias);
    }
}

/// Gradient of one row of the input, from that of its sums.
fn input_grad(
    isa: Isa,
    shape: &ConvShape,
    params: &[f32],
    d: &[f32],
    patches: &mut [f32],
    d_input: &mut [f32],
) {
    let (patch, places) = (shape.patch(), shape.places());
    let call = Product {
        m: patch,
        n: places,
        k: shape.filters,
        a: params,
        a_row: 1,
        a_col: patch,
        b: d,
        b_row: places,
        start: Start::Zero,
        finish: Finish::Plain,
    };
    product(isa, &call, patches, places);
    d_input.fill(0.0);
    for_each_run(shape, |from, to, len, step| {
        let source = &patches[to..to + len];
        if step == 1 {
            rows::add(isa, &mut d_input[from..from + len], source);
        } else {
            for (i, &d) in source.iter().enumerate() {
                d_input[from + i * step] += d;
            }
        }
    });
}

/// Patches of a row as `[C KY KX, OY OX]`.
fn unfold(shape: &ConvShape, input: &[f32], patches: &mut [f32]) {
    if shape.padding > 0 {
        patches.fill(0.0);
    }
    for_each_run(shape, |from, to, len, step| {
        let patches = &mut patches[to..to + len];
        if step == 1 {
            patches.copy_from_slice(&input[from..from + len]);
        } else {
            for (p, &x) in patches.iter_mut().zip(input[from..].iter().step_by(step)) {
                *p = x;
            }
        }
    });
}

/// Calls `run(from, to, len, step)` for every stretch of a row of the output that one weight reads inside of the grid:
/// `len` inputs from `from`, `step` apart, belong to the patches from `to`. In the order of the patches.
#[inline(always)]
fn for_each_run(shape: &ConvShape, mut run: impl FnMut(usize, usize, usize, usize)) {
    let ConvShape { channels, height, width, kernel, stride, padding, .. } = *shape;
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    let mut to = 0;
    for c in 0..channels {
        for i in 0..kernel[0] {
            for j in 0..kernel[1] {
                // Columns of the output whose input `x stride + j - padding` lies in the grid.
                let low = padding.saturating_sub(j).div_ceil(stride).min(out_width);
                let high = (width + padding).saturating_sub(j).div_ceil(stride).clamp(low, out_width);
                for y in 0..out_height {
                    let row = y * stride + i;
                    if row >= padding && row < height + padding && low < high {
                        let from = (c * height + row - padding) * width + low * stride + j - padding;
                        run(from, to + low, high - low, stride);
                    }
                    to += out_width;
                }
            }
        }
    }
}

/// Patches of a row as `[OY OX, C KY KX]`.
fn unfold_places(shape: &ConvShape, input: &[f32], patches: &mut [f32]) {
    let ConvShape { channels, height, width, kernel, stride, padding, .. } = *shape;
    let mut runs = patches.chunks_exact_mut(kernel[1]);
    for y in 0..shape.out_height() {
        for x in 0..shape.out_width() {
            // Columns of the kernel that lie in the grid.
            let left = x * stride;
            let low = padding.saturating_sub(left).min(kernel[1]);
            let high = (width + padding).saturating_sub(left).clamp(low, kernel[1]);
            for c in 0..channels {
                for (i, run) in (0..kernel[0]).zip(&mut runs) {
                    let row = y * stride + i;
                    if row < padding || row >= height + padding || low == high {
                        run.fill(0.0);
                        continue;
                    }
                    let from = (c * height + row - padding) * width + left + low - padding;
                    run[..low].fill(0.0);
                    run[high..].fill(0.0);
                    run[low..high].copy_from_slice(&input[from..from + high - low]);
                }
            }
        }
    }
}
