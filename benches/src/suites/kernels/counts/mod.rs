//! What each kernel for GPUs does, counted from its source over the network of `simple_spread`: blocks, instructions of a
//! block's warps, its longest chain, operations, and bytes that have to move. A change of a kernel changes its count here.

mod mixers;
mod sequences;

pub use mixers::{mix, td_target};
pub use sequences::{cell_backward, cell_forward, layers};

use super::predict::{H100, Launch};
use crate::suites::network::{self, AGENTS, q_shape};

/// Clocks from a load to its value where the second-level cache has it, and where the memory of the device does.
const CACHED: f64 = 300.0;
const FAR: f64 = 700.0;
/// Clocks from an instruction to the next that needs its result, on average: floats and integers, and doubles.
const NEXT: f64 = 4.0;
const NEXT_DOUBLE: f64 = 8.0;
/// Instructions of ten rounds of Philox.
const PHILOX: f64 = 75.0;
/// Clocks between two rows of weights that a thread waits for, four rows being in flight.
const LOAD: f64 = 10.0;
/// Turns of a scheduler that a product of 16 by 8 by 8 takes its matrix unit, at the 62% that such instructions reach; clocks to
/// the next one with its sums.
const MATRIX: f64 = 6.5;
const MATRIX_NEXT: f64 = 33.0;
/// Clocks for the threads of a block to meet.
const BARRIER: f64 = 40.0;
/// Clocks for all blocks of a grid to meet: an atomic addition, and a load that sees the last one.
const GRID_BARRIER: f64 = 2.0 * FAR + 2.0 * BARRIER;
/// Cells of the replay ring of the learner whose steps are predicted.
const CELLS: usize = 1 << 17;
/// Parameters, or samples, that are summed together.
const SUM_BLOCK: f64 = 512.0;
/// Gradient steps of one cooperative launch.
const STEPS: f64 = 32.0;

/// Kernels of the PTX that no prediction covers, and why.
pub const NOT_MODELLED: &[(&str, &str)] = &[
    ("roofline_fma", "it is the limit that others are held against"),
    ("roofline_copy", "it is the limit that others are held against"),
    ("replay_admit", "it runs once a call, over rows that are new, not once a step"),
    (
        "update_rows_fast_16",
        "gradient steps in fast mode are not counted yet; its layers are those of act_fast_16",
    ),
    (
        "update_rows_fast_32",
        "gradient steps in fast mode are not counted yet; its layers are those of act_fast_32",
    ),
    ("update_grads_fast", "gradient steps in fast mode are not counted yet"),
    ("optim_clip", "only where values or tensors are clipped, which no measured learner does"),
];

/// Instructions of a block, and clocks of its chain.
type Cost = (f64, f64);

/// A dense layer over a tile of `rows` rows, of `nets` networks at once. Tiles of 32 rows: items of four rows by four outputs,
/// `k` times 16 multiply-adds and three other instructions each. Of eight: four rows of one output, `k` times four multiply-adds
/// and some two others, eight rows of weights in flight.
fn layer(rows: f64, k: f64, n: f64, threads: f64, nets: f64) -> Cost {
    let (columns, each, wait) = if rows >= 32.0 { (4.0, 19.0, LOAD) } else { (1.0, 6.5, LOAD / 2.0) };
    let items = nets * rows / 4.0 * (n / columns).ceil();
    let each = each * k + 30.0;
    ((items / 32.0).ceil() * each, (items / threads).ceil() * (each + k * wait) + BARRIER)
}

/// A dense layer on matrix units, by the counts in `fast.cuh`: a warp has all rows of 32 columns (of 16 where that leaves warps
/// idle) and eight of `k` at a time.
fn matrix_layer(rows: f64, k: f64, n: f64, threads: f64) -> Cost {
    let warps = threads / 32.0;
    let tiles = if (n / 32.0).ceil() >= warps { 4.0 } else { 2.0 };
    let (items, eights) = ((n / (8.0 * tiles)).ceil(), (k / 8.0).ceil());
    let products = tiles * rows / 16.0;
    // Two loads each of inputs and weights, conversions, four additions of addresses.
    let others = 4.0 + rows / 4.0 + 2.0 * tiles + 4.0;
    let each = eights * (products * MATRIX + others) + 60.0;
    let wait = eights * (MATRIX_NEXT + LOAD);
    (items * each, (items / warps).ceil() * (each + wait) + BARRIER)
}

/// [`pass`] of one network on matrix units.
fn matrix_pass(rows: f64, layers: &[(f64, f64)], threads: f64) -> Cost {
    let load = pass(rows, &layers[..1], threads, 1.0);
    let (k, n) = layers[0];
    let strict = layer(rows, k, n, threads, 1.0);
    let first = (load.0 - strict.0, load.1 - strict.1);
    layers.iter().fold(first, |cost, &(k, n)| plus(cost, matrix_layer(rows, k, n, threads)))
}

/// A pass over layers `[k, n]` of `nets` networks, loading a tile of inputs of each first.
fn pass(rows: f64, layers: &[(f64, f64)], threads: f64, nets: f64) -> Cost {
    let d = nets * layers.first().map_or(0.0, |l| l.0);
    let first = ((rows * d / 32.0).ceil() * 12.0, (rows * d / threads).ceil() * 12.0 + 600.0);
    layers.iter().fold(first, |cost, &(k, n)| plus(cost, layer(rows, k, n, threads, nets)))
}

fn plus(a: Cost, b: Cost) -> Cost {
    (a.0 + b.0, a.1 + b.1)
}

/// Registers of a kernel on compute 9.0, from the budget that the check holds it to.
fn registers(kernel: &str) -> u32 {
    let find = |text: &str| -> Option<u32> {
        let (_, rest) = text.split_once(&format!("[{kernel}]"))?;
        let (_, rest) = rest.split_once("sm_90 = { registers = ")?;
        rest.split(',').next()?.trim().parse().ok()
    };
    coact_kernels::GPU_BUDGETS.iter().find_map(|text| find(text)).unwrap_or(0)
}

fn widths() -> Vec<(f64, f64)> {
    network::widths().into_iter().map(|(k, n)| (k as f64, n as f64)).collect()
}

fn macs() -> f64 {
    widths().iter().map(|(k, n)| k * n).sum()
}

fn params() -> f64 {
    q_shape().param_count() as f64
}

/// Rows of a tile, as `Network::tile` chooses them.
fn tile(rows: f64) -> f64 {
    if rows >= 32.0 * 132.0 { 32.0 } else { 8.0 }
}

/// Bytes of shared memory of one network: two buffers of the widest layer.
fn shared_of(tile: f64) -> f64 {
    4.0 * 2.0 * 64.0 * (tile + 4.0)
}

fn launch(kernel: &str, blocks: f64, threads: u32, shared: f64, cost: Cost, ops: f64, bytes: f64) -> Launch {
    let (instructions, chain) = cost;
    let (registers, shared) = (registers(kernel), shared as u32);
    let kernel = kernel.to_owned();
    Launch { kernel, blocks, threads, registers, shared, instructions, chain, ops, bytes, in_graph: false }
}

/// A launch with a thread for each of `n`, in blocks of 128 threads that do the same.
fn flat(kernel: &str, n: f64, shared: f64, cost: Cost, ops: f64, bytes: f64) -> Launch {
    launch(kernel, (n / 128.0).ceil(), 128, shared, (4.0 * cost.0, cost.1), ops, bytes)
}

/// `act` over the network of `simple_spread`.
pub fn act(rows: usize) -> Vec<Launch> {
    let r = rows as f64;
    let tile = tile(r);
    // A random block (10 rounds of 6 instructions) and a choice, a thread a row.
    let cost = plus(pass(tile, &widths(), 128.0, 1.0), ((tile / 32.0).ceil() * 160.0, 400.0));
    let bytes = 4.0 * (r * 19.0 + params());
    let name = format!("act_{tile}");
    vec![launch(&name, (r / tile).ceil(), 128, shared_of(tile), cost, 2.0 * macs() * r, bytes)]
}

/// The same in fast mode, where `Network::fast_tile` takes matrix units: from 2,112 rows on.
pub fn act_fast(rows: usize) -> Vec<Launch> {
    let r = rows as f64;
    let tile = if r >= 32.0 * 132.0 { 32.0 } else { 16.0 };
    let cost = plus(matrix_pass(tile, &widths(), 128.0), ((tile / 32.0).ceil() * 160.0, 400.0));
    let bytes = 4.0 * (r * 19.0 + params());
    let name = format!("act_fast_{tile}");
    vec![launch(&name, (r / tile).ceil(), 128, shared_of(tile), cost, 2.0 * macs() * r, bytes)]
}

/// All that concerns single rows: three passes in lockstep, targets, and gradients down to the first layer.
fn rows(b: f64) -> Launch {
    let (agents, layers) = (AGENTS as f64, widths());
    let rows = b * agents;
    let tile = tile(rows);
    let samples = (tile / agents).floor();
    let hidden: f64 = layers.iter().take(layers.len() - 1).map(|l| l.1).sum();
    let forward = pass(tile, &layers, 384.0, 3.0);
    // Values of the rows, then a thread a row, then one a sample: addresses, rows of the ring, what a row says, the target.
    let targets = (3.0 * 160.0 + 2.0 * 120.0, 4.0 * FAR + 280.0 * NEXT + 2.0 * BARRIER);
    let back: Vec<(f64, f64)> = layers.iter().skip(1).rev().map(|&(k, n)| (n, k)).collect();
    let backward = pass(tile, &back, 384.0, 1.0);
    // Activations go out, and come back where gradients go out.
    let tape = |times: f64| {
        ((tile * hidden / 32.0).ceil() * 8.0 * times, (tile * hidden / 384.0).ceil() * 8.0 * times)
    };
    let cost =
        [forward, targets, backward, tape(3.0), (0.0, CACHED * back.len() as f64)].into_iter().reduce(plus);
    let first = layers.first().map_or(0.0, |(k, n)| k * n);
    let shared = 3.0 * shared_of(tile) + 4.0 * (3.0 * 5.0 * (tile + 4.0) + 4.0 * samples * agents);
    launch(
        &format!("update_rows_{tile}"),
        (b / samples).ceil(),
        384,
        shared,
        cost.unwrap_or_default(),
        2.0 * rows * (4.0 * macs() - first) + rows * 20.0,
        4.0 * (rows * (2.0 * 18.0 + 8.0) + 2.0 * params() + rows * (3.0 * hidden + 5.0)),
    )
}

/// Chunks of a batch, the largest power of two of whole samples with at most 256 rows each: their number, and rows of one.
fn chunks(b: f64) -> (f64, f64) {
    let rows = b * AGENTS as f64;
    let chunk = ((1 << (256 / AGENTS).ilog2()) * AGENTS) as f64;
    ((rows / chunk).ceil(), chunk.min(rows))
}

/// Gradients of weights, chunk by chunk: a thread has one of a tile, or four by four where tiles fill the device.
fn grads(b: f64) -> Launch {
    let (layers, rows, (chunks, chunk)) = (widths(), b * AGENTS as f64, chunks(b));
    let hidden: f64 = layers.iter().take(layers.len() - 1).map(|l| l.1).sum();
    let tiles = |side: f64| -> f64 {
        layers.iter().map(|(k, n)| ((k + side) / side).floor() * (n / side).ceil()).sum()
    };
    let few = tiles(64.0) * chunks < 132.0;
    // A row: one multiply-add and two loads with their addresses; or sixteen, two loads of four numbers and two others.
    let (name, tiles, each, wait) = if few {
        ("update_grads_1", tiles(16.0), 7.0, LOAD)
    } else {
        ("update_grads_4", tiles(64.0), 20.0, LOAD)
    };
    let cost = (8.0 * each * chunk, chunk * (each + wait) + 400.0);
    let bytes = 4.0 * rows * 23.0 + 8.0 * rows * hidden + 4.0 * chunks * params();
    launch(name, tiles * chunks, 256, 0.0, cost, 2.0 * rows * macs(), bytes)
}

/// Instructions and chain of a parameter's tree over chunks: all are added, one after another.
fn tree(chunks: f64) -> Cost {
    (chunks * 6.0 + 10.0, chunks * 3.0 + chunks.log2().ceil().max(0.0) * 30.0 + 600.0)
}

/// The tree over gradients of `len` parameters, where there is more than one chunk.
fn tree_over(chunks: f64, len: f64) -> Option<Launch> {
    let bytes = 4.0 * len * (chunks + 1.0);
    (chunks > 1.0).then(|| flat("update_tree", len, 0.0, tree(chunks), chunks * len, bytes))
}

/// `update` over the network of `simple_spread`, double, values of the agents summed: launch by launch.
pub fn update(batch: usize) -> Vec<Launch> {
    let (b, (chunks, _)) = (batch as f64, chunks(batch as f64));
    let mut launches = vec![rows(b), grads(b)];
    launches.extend(tree_over(chunks, params()));
    launches
}

/// Levels of sums over [`CELLS`] priorities, sixteen of one below a number of the next.
fn levels() -> f64 {
    (CELLS as f64).log(16.0).ceil() - 1.0
}

/// `replay_draw`: one sample a thread.
fn draw(batch: f64, prioritized: bool) -> Launch {
    let agents = AGENTS as f64;
    // A random number; its row, where the next one is, which agents count (three counters each), four addresses.
    let mut cost = (PHILOX + 40.0 + 12.0 * agents, PHILOX * NEXT + 2.0 * FAR + 2.0 * CACHED);
    let mut bytes = batch * (8.0 * 3.0 + 4.0 * 2.0);
    if prioritized {
        // A second random number, the exact total, a division in doubles, and at each level up to sixteen comparisons, the
        // slowest lane deciding: one wait for their line, then the cache of the multiprocessor.
        let nodes = levels() + 1.0;
        let total = (16.0 * 2.0 + 60.0, CACHED + 16.0 * NEXT + 60.0 * NEXT_DOUBLE);
        cost.0 += PHILOX + total.0 + nodes * 16.0 * 5.0;
        cost.1 += PHILOX * NEXT + total.1 + nodes * (CACHED + 16.0 * 40.0);
        bytes += batch * (nodes * 64.0 + 8.0);
    }
    flat("replay_draw", batch, 4.0 * 2.0, cost, 0.0, bytes)
}

/// `replay_priorities`: a power (some 60 operations and a division), then a sum of each level, added to by atomics that
/// nobody waits for.
fn priorities(batch: f64) -> Launch {
    let cost = (150.0 + levels() * 6.0, 2.0 * FAR + 150.0 * NEXT + CACHED);
    flat("replay_priorities", batch, 0.0, cost, batch * 60.0, batch * (4.0 * 4.0 + levels() * 16.0))
}

/// Blocks of parameters, and of samples.
fn sum_blocks(b: f64) -> (f64, f64) {
    ((params() / SUM_BLOCK).ceil(), (b / SUM_BLOCK).ceil())
}

/// Gradients over chunks with their squares, and sums over the samples.
fn sums(b: f64) -> Launch {
    let ((of_params, of_samples), (chunks, _)) = (sum_blocks(b), chunks(b));
    let (each, share) = (tree(chunks), SUM_BLOCK / 128.0);
    // Sixteen chains of 32 doubles, eight loads of shared memory at a time, and their tree.
    let squares = (32.0 * 3.0 + 60.0, 32.0 * NEXT_DOUBLE + 4.0 * 30.0 + 8.0 * NEXT_DOUBLE + 3.0 * BARRIER);
    let cost = (4.0 * share * each.0 + squares.0, each.1 + (share - 1.0) * chunks * 3.0 + squares.1);
    let bytes = 4.0 * params() * (chunks + 1.0) + 16.0 * b;
    let ops = params() * (chunks + 2.0) + 4.0 * b;
    launch("optim_sum", of_params + of_samples, 128, 8.0 * 64.0 + 4.0 * SUM_BLOCK, cost, ops, bytes)
}

/// The norm and the loss from the sums of blocks, then a step of Adam: two divisions and a root a parameter.
fn step(b: f64) -> Launch {
    let (of_params, of_samples) = sum_blocks(b);
    // The first block adds five columns of samples and one of parameters, level by level.
    let tree =
        |n: f64| n.log2().ceil().max(0.0) * (30.0 + BARRIER) + (n / 128.0).ceil() * CACHED + 2.0 * BARRIER;
    let share = SUM_BLOCK / 128.0;
    let cost = (
        4.0 * (share * 90.0 + 6.0 * 40.0),
        5.0 * tree(of_samples) + tree(of_params) + 60.0 * NEXT_DOUBLE + 2.0 * FAR + share * 90.0 * NEXT,
    );
    let room = 8.0 * of_params.max(of_samples);
    // Gradient, parameter and two moments are read, three of them written.
    launch("optim_step", of_params, 128, room, cost, 15.0 * params(), 28.0 * params())
}

/// A gradient step of a learner that stays on the device, as nodes of a graph: draws from replay, all that concerns rows,
/// gradients, their sums, Adam, and new priorities where draws are `prioritized`.
pub fn learn(batch: usize, prioritized: bool) -> Vec<Launch> {
    let b = batch as f64;
    let mut nodes = vec![draw(b, prioritized), rows(b), grads(b), sums(b), step(b)];
    if prioritized {
        nodes.push(priorities(b));
    }
    nodes.into_iter().map(|node| Launch { in_graph: true, ..node }).collect()
}

/// 32 such steps as one cooperative launch, which takes tiles of eight rows: the phases one after another, with a barrier of
/// the whole grid behind each.
pub fn learn_together(batch: usize, prioritized: bool) -> Vec<Launch> {
    let phases = learn(batch, prioritized);
    let most = phases.iter().map(|p| p.blocks).fold(0.0, f64::max);
    let of_rows = rows(batch as f64);
    let room = of_rows.shared.max((8.0 * (384.0 + sum_blocks(batch as f64).0)) as u32);
    let mut all = launch("learn_8", most, 384, f64::from(room), (0.0, 0.0), 0.0, 0.0);
    all.blocks = most.min(H100.blocks_at_once(&all));
    for phase in &phases {
        let (seconds, _) =
            H100.work(&Launch { registers: all.registers, shared: all.shared, ..phase.clone() });
        all.instructions += STEPS * phase.instructions * phase.blocks / all.blocks;
        all.chain += STEPS * (seconds * H100.clock + GRID_BARRIER);
        all.ops += STEPS * phase.ops;
        all.bytes += STEPS * phase.bytes;
    }
    vec![all]
}

/// Instructions of a step of `simple_spread` with three agents: three pairs of some 70, rewards of 120, motion of 40, flags of
/// 40, and a 25th of a start of 12 draws of 75.
const SPREAD_STEP: f64 = 3.0 * 70.0 + 120.0 + 40.0 + 40.0 + 12.0 * 75.0 / 25.0;
/// Floating-point operations of such a step.
const SPREAD_OPS: f64 = 330.0;

/// Who chooses in a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    /// A random number.
    Chance,
    /// The network.
    Strict,
    /// The network on matrix units.
    Fast,
}

/// A rollout of `steps` steps of `simple_spread`, nothing written but the state.
pub fn rollout(n_envs: usize, steps: usize, by: By) -> Vec<Launch> {
    let (e, t, agents) = (n_envs as f64, steps as f64, AGENTS as f64);
    let floats = 6.0 * agents + 6.0 * agents + 3.0;
    let bytes = 2.0 * 4.0 * e * (7.0 * agents + 3.0);
    if by == By::Chance {
        // A random block an agent besides.
        let step = SPREAD_STEP + agents * PHILOX;
        let cost = (4.0 * t * step, t * step * NEXT + 600.0);
        let blocks = (e / 128.0).ceil();
        return vec![launch(
            "rollout_env",
            blocks,
            128,
            4.0 * 128.0 * floats,
            cost,
            e * t * SPREAD_OPS,
            bytes,
        )];
    }
    let tile = if by == By::Fast { tile(e * agents).max(16.0) } else { tile(e * agents) };
    let copies = (tile / agents).floor();
    // One warp chooses for a tile and steps its environments while the others wait.
    let own = (160.0 + SPREAD_STEP, 400.0 + SPREAD_STEP * NEXT);
    let (layers, kind) = match by {
        By::Fast => (matrix_pass(tile, &widths(), 128.0), "_fast"),
        _ => (pass(tile, &widths(), 128.0, 1.0), ""),
    };
    let cost = plus(layers, own);
    let shared = shared_of(tile) + 4.0 * copies * floats;
    let ops = e * t * (agents * 2.0 * macs() + SPREAD_OPS);
    let (name, bytes) = (format!("rollout_policy{kind}_{tile}"), bytes + 4.0 * params());
    vec![launch(&name, (e / copies).ceil(), 128, shared, (t * cost.0, t * cost.1), ops, bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use coact_kernels::{CellKind, CellShape};

    /// One launch of each kernel that is modelled, at least.
    fn modelled() -> Vec<Launch> {
        let mut all = rollout(64, 1, By::Chance);
        for by in [By::Strict, By::Fast] {
            all.extend([64, 4096].into_iter().flat_map(|envs| rollout(envs, 1, by)));
        }
        all.extend([2112, 24_576].into_iter().flat_map(act_fast));
        for n in [32, 24_576] {
            all.extend(act(n));
            all.extend(update(n));
            all.extend(learn(n, true));
        }
        all.extend(learn_together(32, true));
        for kind in [CellKind::Gru, CellKind::Lstm] {
            let shape = CellShape { kind, width: 64 };
            for rows in [96, 4224] {
                all.extend(cell_forward(shape, 2, rows).into_iter().chain(cell_backward(shape, 2, rows)));
            }
        }
        for n in [32, 8192] {
            all.extend([mix(n, false), mix(n, true), td_target(n)].into_iter().flatten());
        }
        for backward in [false, true] {
            all.extend(layers(96, &[18, 64, 64, 5], true, backward));
        }
        all
    }

    #[test]
    fn registers_are_those_of_the_budgets() {
        assert!(modelled().iter().all(|l| l.registers > 0));
        assert_eq!(registers("no_such_kernel"), 0);
    }

    #[test]
    fn every_kernel_is_modelled_or_named_as_not() {
        let ptx = include_str!("../../../../../crates/kernels/src/cuda/kernels.ptx");
        let entries: Vec<&str> =
            ptx.split(".entry ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
        let modelled = modelled();
        for name in &entries {
            let (is_modelled, is_named) =
                (modelled.iter().any(|l| l.kernel == *name), NOT_MODELLED.iter().any(|(n, _)| n == name));
            assert!(
                is_modelled != is_named,
                "{name} is to be in `modelled` or in `NOT_MODELLED`, not in both"
            );
        }
        let gone = modelled.iter().map(|l| l.kernel.as_str()).chain(NOT_MODELLED.iter().map(|(n, _)| *n));
        for name in gone {
            assert!(entries.contains(&name), "{name} is no kernel of the PTX");
        }
    }

    #[test]
    fn nodes_of_a_graph_cost_less_than_launches() {
        let (alone, learned) = (update(32), learn(32, false));
        let of = |all: &[Launch]| all.iter().find(|l| l.kernel == "update_rows_8").cloned().unwrap();
        let saved = H100.predict(&of(&alone)).0 - H100.predict(&of(&learned)).0;
        assert!((saved - 1.2e-6).abs() < 1e-12);
        assert_eq!((alone.len(), learned.len(), learn(32, true).len()), (2, 5, 6));
        assert!(H100.predict(&learn(32, true)[0]).0 > H100.predict(&learned[0]).0, "walks cost something");
        assert_eq!(levels(), 4.0);
        // A cooperative launch pays for its barriers, once for the launch, and for the phases as they are.
        let graph: f64 = learned.iter().map(|l| H100.work(l).0).sum();
        let together = H100.predict(&learn_together(32, false)[0]).0;
        assert!(together > 32.0 * graph && together < 32.0 * (graph + 5.0 * 1.3e-6), "{together} {graph}");
    }

    #[test]
    fn operations_are_those_of_the_layers() {
        assert_eq!(act(10)[0].ops, 10.0 * 2.0 * f64::from(18 * 64 + 64 * 64 + 64 * 5));
        assert_eq!(act_fast(4224)[0].ops, act(4224)[0].ops);
        let ops = |launches: &[Launch], of: &str| -> f64 {
            launches.iter().filter(|l| l.kernel.starts_with(of)).map(|l| l.ops).sum()
        };
        let (macs, first) = (10.0 * 5568.0, 10.0 * 1152.0);
        assert_eq!(ops(&layers(10, &[18, 64, 64, 5], false, false), "mlp_product"), 2.0 * macs);
        let back = layers(10, &[18, 64, 64, 5], false, true);
        assert_eq!((ops(&back, "mlp_product"), ops(&back, "mlp_grads")), (2.0 * (macs - first), 2.0 * macs));
        let gru = cell_backward(CellShape { kind: CellKind::Gru, width: 64 }, 26, 96);
        assert_eq!(ops(&gru, "gru_grads"), 26.0 * 96.0 * 2.0 * 64.0 * 192.0);
        let all = update(32);
        assert_eq!(all[0].ops - 96.0 * 20.0 + all[1].ops, 96.0 * 2.0 * (5.0 * 5568.0 - 1152.0));
    }
}
