//! `kernels`: every kernel by itself, for people who come to benchmark kernels. Per kernel and shape the time of a call,
//! operations, bytes that must move (inputs, parameters and outputs once each), and the share of what bounds it. On the
//! processor that is the measured multiply-add peak or the measured speed of moving as many bytes. Kernels for GPUs are
//! listed with registers and shared memory, and with the time that a model of the device predicts.

pub mod cases;
mod counts;
mod limits;
pub mod predict;

use coact_kernels::{CellKind, CellShape, Device};
use serde_json::json;

use self::limits::Limits;
use super::network::{AGENTS, OBS, q_shape, widths};
use super::recurrent::{cell, layers, network as recurrent_network};
use super::update::{dense, gradients};
use super::{Session, act};
use crate::contest::{Contest, Run, Unit};
use crate::peer::Peers;
use crate::report::short;

/// Calls of a kernel on so many threads.
type Build = Box<dyn Fn(usize) -> Result<Run<'static>, String>>;

/// A kernel in one shape.
struct Case {
    kernel: &'static str,
    shape: String,
    /// Floating-point operations of a call; a multiply-add is two.
    ops: f64,
    /// Bytes that a call must read or write.
    bytes: f64,
    /// Whether it has a GPU kernel.
    on_gpu: bool,
    threads: bool,
    build: Build,
}

/// Multiply-adds of a row of the network, and its parameters.
fn network() -> (f64, f64) {
    (widths().iter().map(|(k, n)| (k * n) as f64).sum(), q_shape().param_count() as f64)
}

fn act_case(kernel: &'static str, rows: usize, build: Build) -> Case {
    let (macs, params) = network();
    Case {
        kernel,
        shape: format!("{rows} rows, 18-64-64-5"),
        ops: 2.0 * macs * rows as f64,
        bytes: 4.0 * (rows as f64 * (OBS as f64 + 1.0) + params),
        on_gpu: true,
        threads: true,
        build,
    }
}

fn acts(device: Device) -> impl Iterator<Item = Case> {
    [3_usize, 96, 768, 3072, 24_576].into_iter().map(move |rows| {
        act_case("act", rows, Box::new(move |threads| act::acting(rows, 0.05, device, threads)))
    })
}

/// `act` on matrix units, for so many rows that they are used. Shares are of what the others can do.
fn fast_acts(device: Device) -> impl Iterator<Item = Case> {
    [3072_usize, 24_576].into_iter().map(move |rows| {
        act_case("act fast", rows, Box::new(move |threads| act::acting_fast(rows, 0.05, device, threads)))
    })
}

fn updates(device: Device) -> impl Iterator<Item = Case> {
    let (macs, params) = network();
    [32_usize, 256, 1024, 4096].into_iter().map(move |batch| {
        let rows = (batch * AGENTS) as f64;
        // Forward three times; gradients of all weights; gradients of the inputs of all layers but the first.
        let passes = 3.0 * macs + macs + (macs - (OBS * 64) as f64);
        Case {
            kernel: "update",
            shape: format!("batch {batch}, {AGENTS} agents, 18-64-64-5"),
            ops: 2.0 * rows * passes,
            bytes: 4.0 * (rows * (2.0 * OBS as f64 + 4.0) + 4.0 * batch as f64 + 3.0 * params),
            on_gpu: true,
            threads: true,
            build: Box::new(move |threads| gradients(batch, device, threads)),
        }
    })
}

fn cells(device: Device) -> impl Iterator<Item = Case> {
    let kinds = [(CellKind::Gru, "gru"), (CellKind::Lstm, "lstm")].into_iter();
    let sizes = [(1_usize, 24_usize, false), (26, 96, false), (26, 96, true)];
    kinds.flat_map(move |kind| sizes.map(|size| (kind, size))).map(
        move |((kind, name), (steps, rows, backward))| {
            let shape = CellShape { kind, width: 64 };
            let (n, gates) = ((steps * rows) as f64, shape.gate_width() as f64);
            let passes = if backward { 3.0 } else { 1.0 };
            let what = if backward { "forward and backward" } else { "forward" };
            Case {
                kernel: name,
                shape: format!("{steps} steps of {rows} rows, 64 units, {what}"),
                ops: 2.0 * passes * n * 64.0 * gates,
                bytes: 4.0 * (passes * n * (gates + 64.0) + shape.param_count() as f64),
                on_gpu: true,
                threads: false,
                build: Box::new(move |_| cell(shape, steps, rows, backward, device)),
            }
        },
    )
}

fn recurrent_networks(device: Device) -> impl Iterator<Item = Case> {
    [(CellKind::Gru, "gru network"), (CellKind::Lstm, "lstm network")].into_iter().map(move |(kind, name)| {
        let cell = CellShape { kind, width: 64 };
        let (encoder, head) = layers(cell);
        let (steps, rows, gates) = (26_usize, 96_usize, cell.gate_width());
        let (n, inputs) = ((steps * rows) as f64, OBS * 64);
        // Forward; gradients of all weights; gradients of the inputs of all layers but the first.
        let macs = 3 * (inputs + 64 * gates + 64 * gates + 64 * 5) - inputs;
        let params = (encoder.param_count() + cell.param_count() + head.param_count()) as f64;
        Case {
            kernel: name,
            shape: format!("{steps} steps of {rows} rows, 18-64-{}-5, forward and backward", cell.width),
            ops: 2.0 * n * macs as f64,
            bytes: 4.0 * (n * (OBS as f64 + 2.0 * 5.0) + 2.0 * params),
            on_gpu: true,
            threads: false,
            build: Box::new(move |_| recurrent_network(cell, steps, rows, device)),
        }
    })
}

/// Multiply-adds of a row of the mixer: of the hypernetworks, and of the mixing itself.
fn mixer() -> (f64, f64) {
    let layers = cases::MIX.networks();
    let hyper = layers.iter().flat_map(|network| {
        let widths = [&[network.input], &network.hidden[..], &[network.output]].concat();
        widths.windows(2).map(|w| (w[0] * w[1]) as f64).collect::<Vec<_>>()
    });
    (hyper.sum(), ((cases::MIX.n_agents + 1) * cases::MIX.embed) as f64)
}

fn targets(device: Device) -> impl Iterator<Item = Case> {
    let (macs, params) = network();
    let (hyper, mixing) = mixer();
    [false, true].into_iter().flat_map(move |mixed| {
        [32_usize, 1024, 4096].into_iter().map(move |batch| {
            let (b, rows) = (batch as f64, (batch * AGENTS) as f64);
            let (what, more_ops, more) = match mixed {
                true => {
                    ("mixed", hyper + mixing, b * cases::MIX.state as f64 + cases::MIX.param_count() as f64)
                }
                false => ("summed", 0.0, 0.0),
            };
            Case {
                kernel: "td_target",
                shape: format!("batch {batch}, {AGENTS} agents, 18-64-64-5, {what}"),
                ops: 2.0 * (rows * 2.0 * macs + b * more_ops),
                bytes: 4.0 * (rows * (OBS as f64 + 1.0) + 3.0 * b + 2.0 * params + more),
                on_gpu: true,
                threads: true,
                build: Box::new(move |threads| cases::targets(batch, mixed, device, threads)),
            }
        })
    })
}

fn mixers(device: Device) -> impl Iterator<Item = Case> {
    let ((hyper, mixing), shape) = (mixer(), cases::MIX);
    [(32_usize, false), (1024, false), (32, true), (1024, true), (4096, true)].into_iter().map(
        move |(rows, backward)| {
            let r = rows as f64;
            // Gradients of all weights, and of the inputs of the hypernetworks' second layers.
            let first = (shape.state * (2 * 64 + 2 * shape.embed)) as f64;
            let passes = if backward { 3.0 * (hyper + mixing) - first } else { hyper + mixing };
            let kept = (2 * 64 + shape.embed * (shape.n_agents + 3)) as f64;
            let params = shape.param_count() as f64;
            let bytes = r * ((shape.state + shape.n_agents + 1) as f64 + kept) + params;
            let more =
                if backward { r * (2.0 * kept + (2 * shape.n_agents + 1) as f64) + params } else { 0.0 };
            Case {
                kernel: if backward { "mix both" } else { "mix forward" },
                shape: format!("{rows} rows, {} agents, state {}, 32, 64", shape.n_agents, shape.state),
                ops: 2.0 * r * passes,
                bytes: 4.0 * (bytes + more),
                on_gpu: true,
                threads: true,
                build: Box::new(move |threads| cases::mix(rows, backward, device, threads)),
            }
        },
    )
}

fn on_cpu() -> Vec<Case> {
    let (macs, params) = network();
    let case = |kernel, shape: String, ops: f64, bytes: f64, threads, build: Build| Case {
        kernel,
        shape,
        ops,
        bytes: 4.0 * bytes,
        on_gpu: false,
        threads,
        build,
    };
    let mut all = Vec::new();
    for (rows, k, n) in [(96_usize, 64_usize, 64_usize), (1536, 64, 64), (96, 256, 256)] {
        let (r, weights) = (rows as f64, (k * n) as f64);
        let bytes = r * (k + n) as f64 + weights;
        let build: Build = Box::new(move |_| dense(rows, k, n));
        all.push(case("dense", format!("{rows} rows, {k}x{n}"), 2.0 * r * weights, bytes, false, build));
    }
    for (rows, backward) in [(96_usize, false), (3072, false), (96, true), (3072, true)] {
        let (name, passes) = if backward { ("mlp both", 3.0 * macs - 1152.0) } else { ("mlp forward", macs) };
        let r = rows as f64;
        let bytes = r * 23.0 + params + if backward { r * (5.0 + 3.0 * 128.0) + params } else { r * 128.0 };
        let build: Build = Box::new(move |threads| cases::mlp(rows, backward, threads));
        all.push(case(name, format!("{rows} rows, 18-64-64-5"), 2.0 * r * passes, bytes, true, build));
    }
    for backward in [false, true] {
        let (shape, rows) = (cases::CONV, 256_usize);
        let (r, passes) = (rows as f64, if backward { 2.0 } else { 1.0 });
        let ops = 2.0 * passes * r * (shape.output() * shape.patch()) as f64;
        let bytes = passes * r * (shape.input() + shape.output()) as f64 + shape.param_count() as f64;
        let what = if backward { "conv both" } else { "conv forward" };
        let build: Build = Box::new(move |threads| cases::conv(rows, backward, threads));
        all.push(case(what, format!("{rows} rows, 4x10x10, 16 of 3x3"), ops, bytes, true, build));
    }
    for n in [params as usize, 200_000] {
        // Gradients are read twice (norm, step) and written once; two moments and parameters are read and written.
        let build: Build = Box::new(move |threads| cases::optim(n, threads));
        all.push(case(
            "optim",
            format!("adam, {n} parameters"),
            15.0 * n as f64,
            9.0 * n as f64,
            true,
            build,
        ));
        let build: Build = Box::new(move |threads| cases::blend(n, threads));
        all.push(case("blend", format!("{n} parameters"), 3.0 * n as f64, 3.0 * n as f64, true, build));
    }
    // Exponentials and logarithms count as nothing, so that the bound is that of memory.
    let build: Build = Box::new(|_| cases::draw(3072));
    all.push(case("draw", "3072 rows of 5 logits".to_owned(), 3072.0 * 15.0, 3072.0 * 7.0, false, build));
    let build: Build = Box::new(|_| cases::policy(3072));
    all.push(case("policy", "3072 rows of 5 logits".to_owned(), 3072.0 * 40.0, 3072.0 * 24.0, false, build));
    all
}

/// Measures every kernel, then prints what is predicted for a GPU.
///
/// # Errors
/// What a kernel said.
pub fn run(session: &mut Session) -> Result<(), String> {
    let device = session.device;
    let mut all: Vec<Case> = acts(device)
        .chain(updates(device))
        .chain(cells(device))
        .chain(recurrent_networks(device))
        .chain(targets(device))
        .chain(mixers(device))
        .collect();
    if session.on_gpu() {
        all.extend(fast_acts(device));
    } else {
        all.extend(on_cpu());
    }
    all.retain(|case| format!("kernels/{}/{}", case.kernel, case.shape).contains(&session.only));
    let mut limits = Limits::measure(session.care)?;
    if !all.is_empty() {
        println!("{}", head(session, &limits));
    }
    for case in all {
        measure(session, &mut limits, case)?;
    }
    predict::print(session)
}

fn head(session: &Session, limits: &Limits) -> String {
    let bound = if session.on_gpu() {
        format!(
            "a call on the GPU with its copies there and back; shares are of the stated roofline of {}",
            predict::H100.name
        )
    } else {
        format!("one thread of this processor: {:.1} GFLOP/s measured", limits.peak * 1e-9)
    };
    format!(
        "{bound}\n{:<13} {:<52} {:>2} {:>10} {:>6} {:>9} {:>9} {:>9} {:>7} bound",
        "kernel", "shape", "t", "us", "spread", "MFLOP", "KiB", "GFLOP/s", "share"
    )
}

fn measure(session: &mut Session, limits: &mut Limits, case: Case) -> Result<(), String> {
    let name = format!("kernels/{}{}/{}", session.place(), case.kernel, case.shape);
    let counts = if case.threads { session.threads.clone() } else { vec![1] };
    let ours = counts.into_iter().map(|threads| Ok((threads, (case.build)(threads)?)));
    let contest = Contest {
        name,
        unit: Unit::Microseconds,
        items: 1.0,
        goal: None,
        ours: ours.collect::<Result<_, String>>()?,
        peers: Vec::new(),
        bound: None,
    };
    for mut found in contest.run(session.care, &mut Peers::none())? {
        let seconds = found.value * 1e-6;
        let (share, bound) = if session.on_gpu() {
            predict::H100.share(case.ops, case.bytes, seconds)
        } else {
            limits.share(case.ops, case.bytes, found.threads, seconds)?
        };
        println!(
            "{:<13} {:<52} {:>2} {:>10} {:>5.1}% {:>9.3} {:>9.1} {:>9.2} {:>6.1}% {bound}",
            case.kernel,
            case.shape,
            found.threads,
            short(found.value),
            100.0 * found.spread,
            case.ops * 1e-6,
            case.bytes / 1024.0,
            case.ops / seconds * 1e-9,
            100.0 * share
        );
        found.more = json!({"ops": case.ops, "bytes": case.bytes, "share": share, "bound": bound, "has_gpu_kernel": case.on_gpu});
        session.found.push(found);
    }
    Ok(())
}
