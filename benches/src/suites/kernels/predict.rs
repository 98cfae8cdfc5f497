//! The time that each kernel for GPUs should take on a stated device, from the counts of `counts.rs`: blocks, threads,
//! registers and shared memory (how many blocks fit a multiprocessor), instructions of a warp (issue), the longest chain of
//! them (latency), bytes, and launches. It is a prediction, says so wherever it is printed, and is there to be held against a
//! measurement.

use coact_kernels::{CellKind, CellShape};
use serde_json::json;

use crate::report::{Measurement, short};
use crate::suites::Session;
use crate::suites::network::AGENTS;

pub use super::counts::{
    By, NOT_MODELLED, act, act_fast, cell_backward, cell_forward, layers, learn, learn_together, mix,
    rollout, td_target, update,
};

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

    /// Blocks of a kernel that the device holds at once.
    pub fn blocks_at_once(&self, launch: &Launch) -> f64 {
        self.multiprocessors * self.resident(launch)
    }

    /// Seconds of a launch, and what they are spent on.
    pub fn predict(&self, launch: &Launch) -> (f64, &'static str) {
        let from_last = if launch.in_graph { self.node } else { self.launch };
        let (seconds, bound) = self.work(launch);
        (from_last + seconds, if from_last > seconds { "launch" } else { bound })
    }

    /// Seconds that the blocks of a launch take, and what they are spent on.
    pub fn work(&self, launch: &Launch) -> (f64, &'static str) {
        let at_once = self.resident(launch);
        let waves = (launch.blocks / (self.multiprocessors * at_once)).ceil().max(1.0);
        let beside = at_once.min((launch.blocks / self.multiprocessors).ceil().max(1.0));
        // Four schedulers issue an instruction of a warp each a clock.
        let issue = waves * beside * launch.instructions / 4.0 / self.clock;
        let latency = waves * launch.chain / self.clock;
        let memory = launch.bytes / self.copy;
        let parts = [(issue, "issue"), (latency, "latency"), (memory, "memory")];
        parts.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or(parts[0])
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

/// What is predicted, by name.
fn calls() -> Vec<(String, Vec<Launch>)> {
    let mut calls: Vec<(String, Vec<Launch>)> = Vec::new();
    for rows in [3, 96, 768, 3072, 24_576, 98_304] {
        calls.push((format!("act/{rows} rows, 18-64-64-5"), act(rows)));
    }
    for rows in [3072, 24_576, 98_304] {
        calls.push((format!("act/{rows} rows, 18-64-64-5, fast"), act_fast(rows)));
    }
    for batch in [32, 256, 1024, 4096, 65_536] {
        calls.push((format!("update/batch {batch}, {AGENTS} agents, 18-64-64-5"), update(batch)));
    }
    for batch in [32, 256, 1024, 65_536] {
        for (draws, prioritized) in [("uniform", false), ("prioritized", true)] {
            calls.push((format!("learn/batch {batch}, {draws} draws"), learn(batch, prioritized)));
        }
    }
    for batch in [32, 256, 1024] {
        calls.push((format!("learn/32 steps of batch {batch} together"), learn_together(batch, false)));
    }
    for (n_envs, steps) in [(1024, 128), (131_072, 128)] {
        for (name, by) in [("policy", By::Strict), ("policy, fast", By::Fast), ("uniform", By::Chance)] {
            calls.push((format!("rollout/{n_envs} envs, {steps} steps, {name}"), rollout(n_envs, steps, by)));
        }
    }
    for batch in [32, 1024] {
        calls.push((format!("mix/batch {batch}, forward"), mix(batch, false)));
        calls.push((format!("mix/batch {batch}, backward"), mix(batch, true)));
        calls.push((format!("td_target/batch {batch}, mixed"), td_target(batch)));
    }
    for (kind, name) in [(CellKind::Gru, "gru"), (CellKind::Lstm, "lstm")] {
        let shape = CellShape { kind, width: 64 };
        let of = format!("{name}/26 steps of 96 rows, 64 units");
        calls.push((format!("{of}, forward"), cell_forward(shape, 26, 96)));
        calls.push((format!("{of}, backward"), cell_backward(shape, 26, 96)));
    }
    for (name, backward) in [("forward", false), ("backward", true)] {
        calls.push((
            format!("mlp {name}/3072 rows, 18-64-64-5"),
            layers(3072, &[18, 64, 64, 5], false, backward),
        ));
    }
    calls
}

/// Prints the predictions, and keeps them.
///
/// # Errors
/// None so far.
pub fn print(session: &mut Session) -> Result<(), String> {
    let mut calls = calls();
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
    for (kernel, why) in NOT_MODELLED {
        println!("not predicted: {kernel} ({why})");
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
}
