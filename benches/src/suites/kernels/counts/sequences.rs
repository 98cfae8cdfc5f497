//! Counts of recurrent cells over sequences, and of the layers before and behind them.

use coact_kernels::{CellKind, CellShape};

use super::{BARRIER, CACHED, FAR, LOAD, NEXT, flat, launch, plus, tile};
use crate::suites::kernels::predict::Launch;

/// Rows of a chunk, whose gradients are a chain.
const CHUNK: f64 = 256.0;

/// Names of a cell's kernels, and its gates.
fn of(shape: CellShape) -> (&'static str, f64) {
    let name = if shape.kind == CellKind::Gru { "gru" } else { "lstm" };
    (name, shape.gate_width() as f64 / shape.width as f64)
}

/// Threads of a block: a unit of four rows each, 256 at most.
fn threads(tile: f64, width: f64) -> f64 {
    (tile / 4.0 * width / 32.0).ceil().min(8.0) * 32.0
}

/// A tile of rows through all steps. A step: of each unit and four rows `G` chains over `H`, `4 G` multiply-adds and `G + 1`
/// loads a `k`, four of them in flight; `G` exponentials of some 25 instructions a row; one barrier.
pub fn cell_forward(shape: CellShape, steps: usize, rows: usize) -> Vec<Launch> {
    let ((name, gates), h, t, r) = (of(shape), shape.width as f64, steps as f64, rows as f64);
    let tile = tile(r);
    let (columns, threads) = (if shape.kind == CellKind::Gru { 2.0 } else { 3.0 }, threads(tile, h));
    let each = h * (5.0 * gates + 1.0) + 4.0 * (gates * 35.0 + 20.0);
    let chain = h * (5.0 * gates + 1.0 + LOAD) + 4.0 * gates * 35.0 * NEXT / 2.0 + CACHED;
    let items = tile / 4.0 * h;
    let step = ((items / 32.0).ceil() * each, (items / threads).ceil() * chain + BARRIER);
    let written = if shape.kind == CellKind::Gru { gates + 2.0 } else { gates + 3.0 };
    vec![launch(
        &format!("{name}_forward_{tile}"),
        (r / tile).ceil(),
        threads as u32,
        4.0 * tile * columns * h,
        (t * step.0, t * step.1 + FAR),
        t * r * gates * h * (2.0 * h + 25.0),
        4.0 * (t * r * h * (gates + written) + gates * h * (h + 1.0)),
    )]
}

/// Back through time, then gradients of the weights by tile and chunk, and their tree; before it a transpose of the weights.
pub fn cell_backward(shape: CellShape, steps: usize, rows: usize) -> Vec<Launch> {
    let ((name, gates), h, t, r) = (of(shape), shape.width as f64, steps as f64, rows as f64);
    let (tile, weights) = (tile(r), gates * h * h);
    let (threads, is_gru) = (threads(tile, h), shape.kind == CellKind::Gru);
    let memory = if is_gru { 1.0 } else { 2.0 };
    // What gates pass on, some 15 instructions a gate and row; then chains over all gates, four multiply-adds and two loads.
    let close = (4.0 * (gates * 15.0 + 25.0), 4.0 * gates * 15.0 * NEXT / 2.0 + FAR);
    let product = (gates * h * 6.3 + 30.0, gates * h * (6.3 + LOAD / 2.0));
    let (items, one) = (tile / 4.0 * h, plus(close, product));
    let step = ((items / 32.0).ceil() * one.0, (items / threads).ceil() * one.1 + 2.0 * BARRIER);
    let moved = if is_gru { gates + 3.0 + 2.0 * gates } else { gates + 4.0 + gates };
    let transposed = flat("cell_transpose", weights, 0.0, (20.0, FAR + CACHED), 0.0, 8.0 * weights);
    let back = launch(
        &format!("{name}_backward_{tile}"),
        (r / tile).ceil(),
        threads as u32,
        4.0 * tile * (gates + memory) * h,
        (t * step.0, t * step.1 + FAR),
        t * r * gates * h * (2.0 * h + 15.0),
        4.0 * (t * r * h * moved + weights),
    );
    let mut all = vec![transposed, back, grads(&format!("{name}_grads"), t * r, h, gates * h)];
    all.extend(super::tree_over((t * r / CHUNK).ceil(), weights + gates * h));
    all
}

/// Gradients of a weight `[k, n]` over `rows` rows: tiles of 64 by 64 (bias included), chunks of 256 rows.
pub fn grads(name: &str, rows: f64, k: f64, n: f64) -> Launch {
    let (tiles, chunks) = (((k + 1.0) / 64.0).ceil() * (n / 64.0).ceil(), (rows / CHUNK).ceil());
    let chunk = rows.min(CHUNK);
    let cost = (8.0 * 20.0 * chunk, chunk * (20.0 + LOAD) + 400.0);
    let bytes = 4.0 * (rows * (k + n) + chunks * (k + 1.0) * n);
    launch(name, tiles * chunks, 256, 0.0, cost, 2.0 * rows * k * n, bytes)
}

/// One layer `[k, n]` over `rows` rows, in tiles of 32 by 32: 32 `k` at a time through shared memory, 16 loads of it a thread and
/// two barriers for 256 multiply-adds.
fn product(rows: f64, k: f64, n: f64) -> Launch {
    let depths = (k / 32.0).ceil();
    // Sixteen loads with their addresses and stores; then a `k` three loads and eight multiply-adds.
    let depth = (16.0 * 8.0 + 32.0 * 11.5, 16.0 * 8.0 + CACHED + 32.0 * 11.5 + 2.0 * BARRIER);
    launch(
        "mlp_product",
        (rows / 32.0).ceil() * (n / 32.0).ceil(),
        128,
        4.0 * 2.0 * 32.0 * 36.0,
        (4.0 * (depths * depth.0 + 80.0), depths * depth.1 + FAR),
        2.0 * rows * k * n,
        4.0 * (rows * (k + n) + k * n),
    )
}

/// Layers of widths `widths` over many rows, with layer norms where `norm`, forward or backward: a launch each.
pub fn layers(rows: usize, widths: &[usize], norm: bool, backward: bool) -> Vec<Launch> {
    let (r, n_layers) = (rows as f64, widths.len() - 1);
    let mut all = Vec::new();
    // Three passes over a row's sixteen chains forward, four backward; two barriers a sum.
    let normed = |name: &str, n: f64, passes: f64| {
        let turns = (n / 16.0).ceil();
        let cost = (
            8.0 * (passes * turns * 8.0 + 120.0),
            passes * (turns * 12.0 + CACHED) + 4.0 * BARRIER + 40.0 * NEXT,
        );
        launch(name, (r / 16.0).ceil(), 256, 4.0 * 256.0, cost, r * n * 8.0, 4.0 * r * n * (passes + 1.0))
    };
    for (index, pair) in widths.windows(2).enumerate() {
        let (k, n) = (pair[0] as f64, pair[1] as f64);
        let normed_here = norm && index + 1 < n_layers;
        if backward {
            if normed_here {
                all.push(normed("mlp_norm_back", n, 4.0));
            }
            all.push(grads("mlp_grads", r, k, n));
            if index > 0 {
                all.push(product(r, n, k));
            }
        } else {
            all.push(product(r, k, n));
            if normed_here {
                all.push(normed("mlp_norm", n, 3.0));
            }
        }
    }
    all
}
