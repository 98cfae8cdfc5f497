//! The time that each kernel for GPUs should take on a stated device, from counts: blocks, threads, registers and shared
//! memory (how many blocks fit a multiprocessor), instructions of a warp (issue), the longest chain of them (latency), bytes,
//! and launches. It is a prediction, says so wherever it is printed, and is there to be held against a measurement.

use serde_json::json;

use crate::report::{Measurement, short};
use crate::suites::Session;
use crate::suites::network::{self, AGENTS, q_shape};

/// A device, by figures that are stated or were measured on one.
#[derive(Debug, Clone, Copy)]
pub struct DeviceModel {
    /// Name.
    pub name: &'static str,
    /// Multiprocessors.
    pub multiprocessors: f64,
    /// Clock in Hz.
    pub clock: f64,
    /// Bytes a second of its memory, as a copy reaches them.
    pub copy: f64,
    /// Floating-point operations a second: 128 lanes a multiprocessor, a multiply-add a clock each.
    pub peak: f64,
    /// Seconds from one launch in a stream to the next.
    pub launch: f64,
    /// Seconds from one node of a graph to the next.
    pub node: f64,
    /// Registers, bytes of shared memory, and threads of a multiprocessor.
    pub registers: u32,
    /// Bytes of shared memory of a multiprocessor.
    pub shared: u32,
    /// Threads of a multiprocessor.
    pub threads: u32,
}

/// NVIDIA H100 SXM: 132 multiprocessors at 1.98 GHz, 66.9 TFLOP/s, 3.0 TB/s copied, some 2.5 us a launch in a stream and
/// 1.3 us a node of a graph.
pub const H100: DeviceModel = DeviceModel {
    name: "NVIDIA H100 SXM (132 multiprocessors, 1.98 GHz, 3.0 TB/s, 2.5 us a launch, 1.3 us a node of a graph)",
    multiprocessors: 132.0,
    clock: 1.98e9,
    copy: 3.0e12,
    peak: 66.9e12,
    launch: 2.5e-6,
    node: 1.3e-6,
    registers: 65_536,
    shared: 228 * 1024,
    threads: 2048,
};

impl DeviceModel {
    /// The share of the roofline that `seconds` reach, and which side of it is nearer.
    pub fn share(&self, ops: f64, bytes: f64, seconds: f64) -> (f64, &'static str) {
        let (by_ops, by_bytes) = (ops / self.peak, bytes / self.copy);
        let bound = if by_ops >= by_bytes { "arithmetic" } else { "memory" };
        (by_ops.max(by_bytes) / seconds, bound)
    }

    /// Blocks of a kernel that a multiprocessor holds at once.
    fn resident(&self, launch: &Launch) -> f64 {
        // Registers are given out by the warp in steps of 256; a block's shared memory has 1 KiB of the system's beside it.
        let warps = launch.threads.div_ceil(32);
        let registers = warps * (launch.registers * 32).next_multiple_of(256);
        let limits = [
            self.registers / registers.max(1),
            self.shared / (launch.shared + 1024),
            self.threads / launch.threads,
            32,
        ];
        f64::from(limits.into_iter().min().unwrap_or(1).max(1))
    }

    /// Seconds of a launch, and what they are spent on.
    pub fn predict(&self, launch: &Launch) -> (f64, &'static str) {
        let from_last = if launch.in_graph { self.node } else { self.launch };
        let at_once = self.resident(launch);
        let full = self.multiprocessors * at_once;
        let waves = (launch.blocks / full).ceil().max(1.0);
        let beside = at_once.min((launch.blocks / self.multiprocessors).ceil().max(1.0));
        // Four schedulers issue an instruction of a warp each a clock.
        let issue = waves * beside * launch.instructions / 4.0 / self.clock;
        let latency = waves * launch.chain / self.clock;
        let memory = launch.bytes / self.copy;
        let parts = [(from_last, "launch"), (issue, "issue"), (latency, "latency"), (memory, "memory")];
        let most = parts.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or(parts[0]);
        (from_last + issue.max(latency).max(memory), most.1)
    }
}

/// One launch of a kernel.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Name in the PTX.
    pub kernel: String,
    /// Blocks.
    pub blocks: f64,
    /// Threads of a block.
    pub threads: u32,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of shared memory of a block.
    pub shared: u32,
    /// Instructions that the warps of a block issue.
    pub instructions: f64,
    /// Clocks from the first instruction of a block to its last, if nobody else is there.
    pub chain: f64,
    /// Floating-point operations.
    pub ops: f64,
    /// Bytes that have to move.
    pub bytes: f64,
    /// Whether it is a node of a graph.
    pub in_graph: bool,
}

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
/// Clocks for the threads of a block to meet.
const BARRIER: f64 = 40.0;

/// A dense layer over a tile of `rows` rows: items of four rows by four outputs, `k` times 16 multiply-adds and three other
/// instructions each. Instructions of a block, clocks of its chain.
fn layer(rows: f64, k: f64, n: f64, threads: f64) -> (f64, f64) {
    let items = rows / 4.0 * (n / 4.0).ceil();
    let each = 19.0 * k + 30.0;
    ((items / 32.0).ceil() * each, (items / threads).ceil() * (each + k * LOAD) + BARRIER)
}

/// Instructions and chain of a pass over layers `[k, n]`, loading a tile of inputs first.
fn pass(rows: f64, layers: &[(f64, f64)], threads: f64) -> (f64, f64) {
    let d = layers.first().map_or(0.0, |l| l.0);
    let load = (rows * d / 32.0).ceil() * 12.0;
    let first = (load, (rows * d / threads).ceil() * 12.0 + 600.0);
    layers.iter().fold(first, |(instructions, chain), &(k, n)| {
        let (i, c) = layer(rows, k, n, threads);
        (instructions + i, chain + c)
    })
}

/// Layers of `nets` networks in lockstep by 384 threads: items of four rows by one output with tiles of eight rows (4
/// multiply-adds, two loads and one other a `k`), by four with tiles of 32.
fn lockstep(rows: f64, layers: &[(f64, f64)], nets: f64) -> (f64, f64) {
    let (columns, each) = if rows >= 32.0 { (4.0, 19.0) } else { (1.0, 7.0) };
    layers.iter().fold((0.0, 600.0), |(instructions, chain), &(k, n)| {
        let items = nets * rows / 4.0 * (n / columns).ceil();
        let one = each * k + 30.0;
        let rounds = (items / 384.0).ceil();
        (instructions + (items / 32.0).ceil() * one, chain + rounds * (one + k * LOAD / 4.0) + 2.0 * BARRIER)
    })
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

/// Rows of a tile, as `Network::tile` chooses them.
fn tile(rows: f64) -> f64 {
    if rows >= 32.0 * 132.0 { 32.0 } else { 8.0 }
}

fn shared_of(tile: f64) -> u32 {
    (4.0 * 2.0 * 64.0 * (tile + 4.0)) as u32
}

fn launch(
    kernel: String,
    blocks: f64,
    threads: u32,
    shared: u32,
    cost: (f64, f64),
    ops: f64,
    bytes: f64,
) -> Launch {
    let registers = registers(&kernel);
    let (instructions, chain) = cost;
    Launch { kernel, blocks, threads, registers, shared, instructions, chain, ops, bytes, in_graph: false }
}

/// `act` over the network of `simple_spread`.
pub fn act(rows: usize) -> Vec<Launch> {
    let r = rows as f64;
    let tile = tile(r);
    let mut cost = pass(tile, &widths(), 128.0);
    // A random block (10 rounds of 6 instructions) and a choice, a thread a row.
    cost = (cost.0 + (tile / 32.0).ceil() * 160.0, cost.1 + 400.0);
    let params = q_shape().param_count() as f64;
    let bytes = 4.0 * (r * 19.0 + params);
    let name = format!("act_{tile}");
    vec![launch(name, (r / tile).ceil(), 128, shared_of(tile), cost, 2.0 * macs() * r, bytes)]
}

/// `update` over the network of `simple_spread`, double, values of the agents summed: launch by launch.
pub fn update(batch: usize) -> Vec<Launch> {
    let (b, rows) = (batch as f64, (batch * AGENTS) as f64);
    let (tile, layers, params) = (tile(rows), widths(), q_shape().param_count() as f64);
    let hidden: f64 = layers.iter().take(layers.len() - 1).map(|l| l.1).sum();
    // Whole samples of three agents, three networks of each in lockstep: values, and room for six numbers a row.
    let samples = (tile / AGENTS as f64).floor();
    let blocks = (b / samples).ceil();
    let shared =
        3 * shared_of(tile) + (4.0 * (3.0 * 5.0 * (tile + 4.0) + 4.0 * samples * AGENTS as f64)) as u32;
    let kept = 4.0 * rows * hidden;
    let forward = lockstep(tile, &layers, 3.0);
    // The tape goes out and comes back.
    let tape = (tile * hidden / 32.0).ceil() * 8.0;
    let back: Vec<(f64, f64)> = layers.iter().skip(1).rev().map(|&(k, n)| (n, k)).collect();
    let backward = lockstep(tile, &back, 1.0);
    let row_cost = (
        forward.0 + backward.0 + 3.0 * tape + 400.0,
        // A choice and a target, one after the other.
        forward.1 + backward.1 + 3.0 * tape / 4.0 + 1_500.0,
    );
    // A chunk is the largest power of two of samples with at most 256 rows.
    let chunk = ((1 << (256 / AGENTS).ilog2()) * AGENTS) as f64;
    let (chunks, chunk) = ((rows / chunk).ceil(), chunk.min(rows));
    let grad_tiles = |side: f64| -> f64 {
        layers.iter().map(|(k, n)| ((k + 1.0) / side).ceil() * (n / side).ceil()).sum()
    };
    let few = grad_tiles(64.0) * chunks < 132.0;
    // A thread has a gradient: a multiply-add, two loads and three others a row; or sixteen, with eight loads and two others.
    let (each, a_row, side) = if few { (1, 6.0, 16.0) } else { (4, 26.0, 64.0) };
    let grads = (8.0 * a_row * chunk, chunk * (a_row + LOAD) + 400.0);
    let levels = chunks.log2().ceil().max(0.0);
    let ops = 2.0 * rows;
    let first = layers.first().map_or(0.0, |(k, n)| k * n);
    let mut launches = vec![
        launch(
            format!("update_rows_{tile}"),
            blocks,
            384,
            shared,
            row_cost,
            3.0 * ops * macs() + ops * (macs() - first),
            4.0 * (rows * (2.0 * 18.0 + 15.0) + 2.0 * params) + 3.0 * kept,
        ),
        launch(
            format!("update_grads_{each}"),
            grad_tiles(side) * chunks,
            256,
            0,
            grads,
            ops * macs(),
            4.0 * rows * 23.0 + 2.0 * kept + 4.0 * chunks * params,
        ),
    ];
    // One chunk needs no tree.
    if chunks > 1.0 {
        launches.push(launch(
            "update_tree".to_owned(),
            (params / 128.0).ceil(),
            128,
            0,
            (4.0 * (chunks * 6.0 + 10.0), (chunks * 3.0 + levels * 30.0) + 600.0),
            chunks * params,
            4.0 * params * (chunks + 1.0),
        ));
    }
    launches
}

/// Cells of the replay ring of the learner whose steps are predicted.
pub const CELLS: usize = 1 << 17;

/// A launch with a thread for each of `n`, in blocks of 128 threads that do the same.
fn flat(kernel: &str, n: f64, shared: u32, cost: (f64, f64), ops: f64, bytes: f64) -> Launch {
    launch(kernel.to_owned(), (n / 128.0).ceil(), 128, shared, (4.0 * cost.0, cost.1), ops, bytes)
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
    flat("replay_draw", batch, 4 * 2, cost, 0.0, bytes)
}

/// `replay_priorities`: a power (some 60 operations and a division), then a sum of each level, added to by atomics that
/// nobody waits for.
fn priorities(batch: f64) -> Launch {
    let cost = (150.0 + levels() * 6.0, 2.0 * FAR + 150.0 * NEXT + CACHED);
    flat("replay_priorities", batch, 0, cost, batch * 60.0, batch * (4.0 * 4.0 + levels() * 16.0))
}

/// `optim_clip` (one part) and `optim_step` with Adam.
fn optimize(batch: f64) -> [Launch; 2] {
    let params = q_shape().param_count() as f64;
    // Sixteen chains in doubles over the gradients in one block, and one over the samples in another; eight loads at a time.
    let chain = |n: f64| n * (NEXT_DOUBLE + CACHED / 8.0);
    let longest = chain((params / 16.0).ceil()).max(chain(batch));
    let clip = launch(
        "optim_clip".to_owned(),
        2.0,
        256,
        8 * 257,
        (params.max(batch) / 16.0 * 4.0 + 200.0, longest + FAR),
        2.0 * params + 4.0 * batch,
        4.0 * params + 16.0 * batch,
    );
    // Two divisions and a root; gradient, parameter and two moments read, three of them written.
    let step =
        flat("optim_step", params, 0, (90.0, FAR + CACHED + 90.0 * NEXT), 15.0 * params, 28.0 * params);
    [clip, step]
}

/// A gradient step of a learner that stays on the device, as nodes of a graph: draws from replay, `update`, clipping, Adam,
/// and new priorities where draws are `prioritized`.
pub fn learn(batch: usize, prioritized: bool) -> Vec<Launch> {
    let b = batch as f64;
    let mut nodes = vec![draw(b, prioritized)];
    nodes.extend(update(batch));
    nodes.extend(optimize(b));
    if prioritized {
        nodes.push(priorities(b));
    }
    nodes.into_iter().map(|node| Launch { in_graph: true, ..node }).collect()
}

/// Kernels of the PTX that no prediction covers, and why.
pub const NOT_MODELLED: &[(&str, &str)] = &[
    ("roofline_fma", "it is the limit that others are held against"),
    ("roofline_copy", "it is the limit that others are held against"),
    ("replay_admit", "it runs once a call, over rows that are new, not once a step"),
];

/// Instructions of a step of `simple_spread` with three agents: three pairs of some 70, rewards of 120, motion of 40, flags of
/// 40, and a 25th of a start of 12 draws of 75.
const SPREAD_STEP: f64 = 3.0 * 70.0 + 120.0 + 40.0 + 40.0 + 12.0 * 75.0 / 25.0;
/// Floating-point operations of such a step.
const SPREAD_OPS: f64 = 330.0;

/// A rollout of `steps` steps of `simple_spread`, nothing written but the state; with the network, or with uniform actions.
pub fn rollout(n_envs: usize, steps: usize, network: bool) -> Vec<Launch> {
    let (e, t, agents) = (n_envs as f64, steps as f64, AGENTS as f64);
    let floats = 6.0 * agents + 6.0 * agents + 3.0;
    let bytes = 2.0 * 4.0 * e * (7.0 * agents + 3.0);
    if !network {
        // A random block an agent besides.
        let step = SPREAD_STEP + agents * PHILOX;
        let cost = (4.0 * t * step, t * step * NEXT + 600.0);
        let shared = (4.0 * 128.0 * floats) as u32;
        let blocks = (e / 128.0).ceil();
        return vec![launch("rollout_env".to_owned(), blocks, 128, shared, cost, e * t * SPREAD_OPS, bytes)];
    }
    let tile = tile(e * agents);
    let copies = (tile / agents).floor();
    let mut cost = pass(tile, &widths(), 128.0);
    // One warp chooses for a tile and steps its environments while the others wait.
    cost = (cost.0 + 160.0 + SPREAD_STEP, cost.1 + 400.0 + SPREAD_STEP * NEXT);
    let shared = shared_of(tile) + (4.0 * copies * floats) as u32;
    let ops = e * t * (agents * 2.0 * macs() + SPREAD_OPS);
    let name = format!("rollout_policy_{tile}");
    let bytes = bytes + 4.0 * q_shape().param_count() as f64;
    vec![launch(name, (e / copies).ceil(), 128, shared, (t * cost.0, t * cost.1), ops, bytes)]
}

/// Prints the predictions, and keeps them.
///
/// # Errors
/// None so far.
pub fn print(session: &mut Session) -> Result<(), String> {
    let mut calls: Vec<(String, Vec<Launch>)> = Vec::new();
    for rows in [3, 96, 768, 3072, 24_576, 98_304] {
        calls.push((format!("act/{rows} rows, 18-64-64-5"), act(rows)));
    }
    for batch in [32, 256, 1024, 4096, 65_536] {
        calls.push((format!("update/batch {batch}, {AGENTS} agents, 18-64-64-5"), update(batch)));
    }
    for batch in [32, 256, 1024, 65_536] {
        for (draws, prioritized) in [("uniform", false), ("prioritized", true)] {
            calls.push((format!("learn/batch {batch}, {draws} draws"), learn(batch, prioritized)));
        }
    }
    for (n_envs, steps) in [(1024, 128), (131_072, 128)] {
        calls.push((format!("rollout/{n_envs} envs, {steps} steps, policy"), rollout(n_envs, steps, true)));
        calls.push((format!("rollout/{n_envs} envs, {steps} steps, uniform"), rollout(n_envs, steps, false)));
    }
    calls.retain(|(name, _)| format!("kernels/{name}").contains(&session.only));
    if calls.is_empty() {
        return Ok(());
    }
    println!("\nPREDICTED, not measured: {}", H100.name);
    println!(
        "{:<44} {:<19} {:>7} {:>4} {:>4} {:>7} {:>9} {:>10} {:>9} {:>9} {:>7} bound",
        "call", "kernel", "blocks", "thr", "regs", "shared", "MFLOP", "k-instr", "KiB", "us", "share"
    );
    for (name, launches) in calls {
        let mut total = 0.0;
        for l in &launches {
            let (seconds, bound) = H100.predict(l);
            total += seconds;
            println!(
                "{:<44} {:<19} {:>7} {:>4} {:>4} {:>7} {:>9.2} {:>10} {:>9.1} {:>9.2} {:>6.1}% {bound}",
                name,
                l.kernel,
                l.blocks,
                l.threads,
                l.registers,
                l.shared,
                l.ops * 1e-6,
                short(l.blocks * l.instructions * 1e-3),
                l.bytes / 1024.0,
                seconds * 1e6,
                100.0 * H100.share(l.ops, l.bytes, seconds).0
            );
        }
        if launches.len() > 1 {
            let what = if launches[0].in_graph { "nodes of a graph" } else { "launches" };
            println!("{name:<44} {:<19} {:>78.2}", format!("{} {what}", launches.len()), total * 1e6);
        }
        session.found.push(predicted(&name, &launches, total));
    }
    Ok(())
}

fn predicted(name: &str, launches: &[Launch], seconds: f64) -> Measurement {
    let each = |l: &Launch| {
        let (seconds, bound) = H100.predict(l);
        json!({
            "kernel": l.kernel, "blocks": l.blocks, "threads": l.threads, "registers": l.registers,
            "shared": l.shared, "ops": l.ops, "instructions": l.blocks * l.instructions, "bytes": l.bytes,
            "us": seconds * 1e6, "bound": bound, "in_graph": l.in_graph,
        })
    };
    Measurement {
        name: format!("predicted/{name}"),
        value: seconds * 1e6,
        unit: "us",
        threads: 1,
        spread: 0.0,
        goal: None,
        theirs: None,
        more: json!({
            "predicted": true,
            "device": H100.name,
            "launches": launches.iter().map(each).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One launch of each kernel that is modelled, at least.
    fn modelled() -> Vec<Launch> {
        let rollouts =
            [(64, true), (4096, true), (64, false)].map(|(envs, network)| rollout(envs, 1, network));
        let mut all: Vec<Launch> = rollouts.into_iter().flatten().collect();
        for n in [32, 24_576] {
            all.extend(act(n));
            all.extend(update(n));
            all.extend(learn(n, true));
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
        let ptx = include_str!("../../../../crates/kernels/src/cuda/kernels.ptx");
        let entries =
            ptx.split(".entry ").skip(1).filter_map(|rest| rest.split_once('(').map(|(name, _)| name));
        let entries: Vec<&str> = entries.collect();
        let modelled = modelled();
        let is_modelled = |name: &str| modelled.iter().any(|l| l.kernel == name);
        for name in &entries {
            let named = NOT_MODELLED.iter().any(|(n, _)| n == name);
            assert!(
                is_modelled(name) != named,
                "{name} is to be in `modelled` or in `NOT_MODELLED`, and not in both"
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
        let node = learned.iter().find(|l| l.kernel == "update_td").unwrap();
        let launched = alone.iter().find(|l| l.kernel == "update_td").unwrap();
        assert!((H100.predict(launched).0 - H100.predict(node).0 - 1.2e-6).abs() < 1e-12);
        assert_eq!(learned.len(), alone.len() + 3);
        let prioritized = learn(32, true);
        assert_eq!(prioritized.len(), alone.len() + 4);
        assert!(H100.predict(&prioritized[0]).0 > H100.predict(&learned[0]).0, "walks cost something");
        assert_eq!(levels(), 4.0);
    }

    #[test]
    fn a_launch_costs_its_launch_and_the_worst_of_the_rest() {
        let quiet = Launch {
            kernel: "k".to_owned(),
            blocks: 1.0,
            threads: 128,
            registers: 64,
            shared: 0,
            instructions: 4.0,
            chain: 1.0,
            ops: 0.0,
            bytes: 0.0,
            in_graph: false,
        };
        let us = |l: &Launch| H100.predict(l).0 * 1e6;
        assert!((us(&quiet) - 2.5).abs() < 0.01);
        assert_eq!(H100.predict(&quiet).1, "launch");
        // 3 GB at 3 TB/s.
        let streaming = Launch { bytes: 3e9, ..quiet.clone() };
        assert!((us(&streaming) - 1002.5).abs() < 0.01 && H100.predict(&streaming).1 == "memory");
        // 1.98 million clocks one after another.
        let chained = Launch { chain: 1.98e6, ..quiet.clone() };
        assert!((us(&chained) - 1002.5).abs() < 0.01 && H100.predict(&chained).1 == "latency");
        // Eight blocks of 64 registers and 128 threads fit at once: 132 * 8 is one wave, one more is two.
        assert_eq!(H100.resident(&quiet), 8.0);
        let full = Launch { blocks: 1056.0, chain: 1.98e6, ..quiet.clone() };
        let spilled = Launch { blocks: 1057.0, ..full.clone() };
        assert!((us(&spilled) - 2.5) / (us(&full) - 2.5) > 1.99);
        let heavy = Launch { shared: 100 * 1024, ..quiet };
        assert_eq!(H100.resident(&heavy), 2.0);
    }

    #[test]
    fn operations_are_those_of_the_layers() {
        assert_eq!(act(10)[0].ops, 10.0 * 2.0 * f64::from(18 * 64 + 64 * 64 + 64 * 5));
        let all: f64 = update(32).iter().filter(|l| !l.kernel.ends_with("tree")).map(|l| l.ops).sum();
        assert_eq!(all, 96.0 * 2.0 * (5.0 * 5568.0 - 1152.0));
    }
}
