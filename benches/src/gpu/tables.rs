//! Tables of times. T1: kernels on the device, launch by launch, beside the roofline that was measured on it and what was
//! predicted. T2: launches of a call, and what the host adds. T5: updates beside peers. T7: how both devices scale, and where
//! they cross.

use std::collections::BTreeMap;
use std::time::Instant;

use coact_kernels::{
    Activation, Backend, CellKind, CellShape, CpuOptions, Device, LaunchTime, QShape, StepForm,
};
use serde_json::{Value, json};

use super::Run;
use super::work::{Drawn, Rolling, STEPS, Steps, Training};
use crate::contest::{Contest, PeerCall, Run as Calls, Unit, median, params, spread};
use crate::suites::act::Acting;
use crate::suites::kernels::cases::{mix_on, targets_on};
use crate::suites::kernels::predict::{self, H100, Launch};
use crate::suites::network::{AGENTS, OBS, OnBackend, q_shape};
use crate::suites::recurrent::cell_on;
use crate::suites::update::Updating;

/// Calls before anything is timed.
const WARM_UP: u64 = 5;

/// Something to call, on a backend of its own.
enum Work {
    Act(Box<Acting>),
    Update(Box<Updating>),
    Learn(Box<Training>),
    Other(Backend, OnBackend),
}

impl Work {
    fn calls(&mut self, calls: u64) -> Result<(), String> {
        match self {
            Self::Act(work) => work.calls(calls),
            Self::Update(work) => work.calls(calls),
            Self::Learn(work) => work.calls(calls),
            Self::Other(backend, work) => work(backend, calls),
        }
    }

    fn backend(&mut self) -> &mut Backend {
        match self {
            Self::Act(work) => &mut work.backend,
            Self::Update(work) => &mut work.backend,
            Self::Learn(work) => &mut work.backend,
            Self::Other(backend, _) => backend,
        }
    }
}

fn backend(device: Device, threads: usize) -> Result<Backend, String> {
    device.backend(CpuOptions { threads, isa: None }).map(|(backend, _)| backend).map_err(|e| e.to_string())
}

/// A network with two equal hidden layers and the inputs and outputs of `simple_spread`.
fn network(hidden: usize) -> QShape {
    QShape::new(OBS, vec![hidden, hidden], 5, Activation::Relu, false, false)
}

/// A call by name, on a device.
fn work(
    name: &str,
    n: usize,
    agents: usize,
    hidden: usize,
    device: Device,
    threads: usize,
) -> Result<Work, String> {
    let backend = backend(device, threads)?;
    Ok(match name {
        "act" => Work::Act(Box::new(Acting::new(network(hidden), agents, n, 0.05, backend))),
        _ => Work::Update(Box::new(Updating::new(network(hidden), agents, n, false, backend))),
    })
}

/// A call of T1 and T2.
struct Call {
    name: &'static str,
    /// Rows or samples.
    n: usize,
    predicted: Vec<Launch>,
    kind: Kind,
}

/// How a call is made.
#[derive(Clone, Copy)]
enum Kind {
    /// By its name.
    Named,
    /// As steps of a learner that stays on the device.
    Steps(Drawn),
    /// As it is, on any backend.
    Any(fn(usize) -> OnBackend),
}

/// A GRU of 64 units over 26 steps, forward and back through time.
fn gru(rows: usize) -> OnBackend {
    cell_on(CellShape { kind: CellKind::Gru, width: 64 }, 26, rows, true)
}

impl Call {
    /// The call on the device of the run; a learner makes `steps` gradient steps at a time.
    fn work(&self, run: &Run, steps: usize) -> Result<Work, String> {
        let draws = match self.kind {
            Kind::Named => return work(self.name, self.n, AGENTS, 64, run.device, 1),
            Kind::Any(make) => return Ok(Work::Other(backend(run.device, 1)?, make(self.n))),
            Kind::Steps(draws) => draws,
        };
        let how = Steps { a_call: steps, draws, form: StepForm::Graph };
        let training = Training::new(q_shape(), self.n, how, run.small(), backend(run.device, 1)?)?;
        Ok(Work::Learn(Box::new(training)))
    }
}

/// Calls of T1 and T2.
fn calls(run: &Run) -> Vec<Call> {
    let rows: &[usize] = if run.small() { &[3, 96] } else { &[3, 96, 768, 3072, 24_576, 98_304, 786_432] };
    let batches: &[usize] = if run.small() { &[2, 32] } else { &[32, 256, 1024, 8192, 65_536] };
    let call = |name, n, predicted| Call { name, n, predicted, kind: Kind::Named };
    let mut all: Vec<Call> = rows.iter().map(|&n| call("act", n, predict::act(n))).collect();
    all.extend(batches.iter().map(|&n| call("update", n, predict::update(n))));
    for (name, draws) in [("learn", Drawn::Uniformly), ("learn, by priority", Drawn::ByPriority)] {
        let one = |&n: &usize| Call {
            name,
            n,
            predicted: predict::learn(n, draws == Drawn::ByPriority),
            kind: Kind::Steps(draws),
        };
        all.extend(batches.iter().map(one));
    }
    let few = &batches[..2];
    for &n in few {
        let mixed = Kind::Any(|n| mix_on(n, true));
        let predicted = [predict::mix(n, false), predict::mix(n, true)].concat();
        all.push(Call { name: "mix", n, predicted, kind: mixed });
        let targets = Kind::Any(|n| targets_on(n, true));
        all.push(Call { name: "td_target", n, predicted: predict::td_target(n), kind: targets });
        let cell = CellShape { kind: CellKind::Gru, width: 64 };
        let predicted = [predict::cell_forward(cell, 26, n), predict::cell_backward(cell, 26, n)].concat();
        all.push(Call { name: "gru", n, predicted, kind: Kind::Any(gru) });
    }
    all
}

/// Launches of `repetitions` calls, each timed.
fn timed(work: &mut Work, repetitions: usize) -> Result<Vec<Vec<LaunchTime>>, String> {
    work.calls(WARM_UP)?;
    let one = |_| {
        work.backend().time_launches();
        work.calls(1)?;
        work.backend().take_launches().map_err(|e| e.to_string())
    };
    (0..repetitions).map(one).collect()
}

/// T1.
pub fn kernels(run: &Run) -> Result<Value, String> {
    let (rounds, floats) = if run.small() { (1000, 1 << 12) } else { (200_000, 1 << 28) };
    let roofline = backend(run.device, 1)?.roofline(rounds, floats).map_err(|e| e.to_string())?;
    let roofline = roofline.ok_or("the roofline is that of a GPU")?;
    let repetitions = if run.small() { 5 } else { 50 };
    let mut rows = Vec::new();
    for call in calls(run) {
        // Timed launches are no nodes of a graph: one step at a time.
        let mut work = call.work(run, 1)?;
        let mut times: BTreeMap<(usize, &str), Vec<f64>> = BTreeMap::new();
        let mut grids = BTreeMap::new();
        for launches in timed(&mut work, repetitions)? {
            for (i, launch) in launches.iter().enumerate() {
                times.entry((i, launch.kernel)).or_default().push(launch.seconds);
                grids.insert((i, launch.kernel), *launch);
            }
        }
        for ((i, kernel), seconds) in &times {
            let launch = grids[&(*i, *kernel)];
            let middle = median(seconds);
            let mut row = json!({
                "call": call.name, "n": call.n, "kernel": kernel, "us": middle * 1e6, "spread": spread(seconds),
                "blocks": [launch.blocks.0, launch.blocks.1, launch.blocks.2], "threads": launch.threads,
                "shared": launch.shared_bytes, "all_us": seconds.iter().map(|s| s * 1e6).collect::<Vec<_>>(),
            });
            if let Some(p) = call.predicted.iter().find(|p| p.kernel == *kernel) {
                let (ops, bytes) = (p.ops / roofline.flops, p.bytes / roofline.bytes);
                row["registers"] = json!(p.registers);
                row["ops"] = json!(p.ops);
                row["bytes"] = json!(p.bytes);
                row["share"] = json!(ops.max(bytes) / middle);
                row["bound"] = json!(if ops >= bytes { "arithmetic" } else { "memory" });
                let alone = Launch { in_graph: false, ..p.clone() };
                row["predicted_us"] = json!(H100.predict(&alone).0 * 1e6);
            }
            rows.push(row);
        }
    }
    Ok(json!({
        "roofline": {"flops": roofline.flops, "bytes": roofline.bytes},
        "prediction": H100.name,
        "rows": rows,
    }))
}

/// T2.
pub fn launches(run: &Run) -> Result<Value, String> {
    let repetitions = if run.small() { 5 } else { 50 };
    let mut rows = Vec::new();
    for call in calls(run) {
        // A learner's steps are one graph, as in training; what is written is for one of them.
        let steps = if matches!(call.kind, Kind::Steps(_)) { STEPS } else { 1 };
        let mut work = call.work(run, steps)?;
        let all = timed(&mut work, repetitions)?;
        let on_device: Vec<f64> =
            all.iter().map(|launches| launches.iter().map(|l| l.seconds).sum()).collect();
        let mut whole = Vec::new();
        for _ in 0..repetitions {
            let start = Instant::now();
            work.calls(1)?;
            whole.push(start.elapsed().as_secs_f64());
        }
        rows.push(json!({
            "call": call.name, "n": call.n, "steps": steps, "launches": all[0].len() as f64 / steps as f64,
            "whole_us": median(&whole) * 1e6 / steps as f64, "kernels_us": median(&on_device) * 1e6 / steps as f64,
            "predicted_us": call.predicted.iter().map(|p| H100.predict(p).0 * 1e6).sum::<f64>(),
            "spread": spread(&whole),
        }));
    }
    Ok(json!({"rows": rows}))
}

fn peer(peer: &'static str, measure: &'static str, variant: &'static str, given: &[(&str, f64)]) -> PeerCall {
    PeerCall { peer, measure, params: params(given), items: 1.0, variant, goal: None }
}

/// T5: choosing and learning. Ours beside peers whose data is on the device already: `act` with its copies there and back;
/// gradient steps whose parameters and replay stay on the device, batches drawn and gathered there. And ours with copies,
/// and on the processor.
pub fn updates(run: &Run) -> Result<Value, String> {
    let mut peers = run.peers();
    let mut rows = Vec::new();
    let all_rows: &[usize] = if run.small() { &[96] } else { &[96, 3072, 24_576, 786_432] };
    let batches: &[usize] = if run.small() { &[32] } else { &[32, 256, 1024, 8192, 65_536] };
    let pool = 8.0;
    for &n in all_rows {
        let given = [("rows", n as f64), ("pool", pool), ("epsilon", 0.05)];
        let calls = [
            peer("torch", "act", "/eager", &given),
            peer("torch", "act_compiled", "/compiled", &given),
            peer("torch", "act_graph", "/graph", &given),
            peer("torch", "act_compiled_graph", "/compiled-graph", &given),
            peer("jax", "act", "/jit", &given),
        ];
        rows.extend(contest(run, "act", n, calls.into(), &mut peers)?);
    }
    for &batch in batches {
        let given = [("batch", batch as f64), ("agents", AGENTS as f64), ("pool", pool)];
        let scan = [&given[..], &[("scan", 100.0)]].concat();
        let mut calls = vec![
            peer("torch", "update", "/eager", &given),
            peer("torch", "update_foreach", "/foreach", &given),
            peer("torch", "update_fused", "/fused", &given),
            peer("torch", "update_compiled", "/compiled", &given),
            peer("torch", "update_graph", "/graph", &given),
            peer("torch", "update_compiled_graph", "/compiled-graph", &given),
            peer("jax", "update", "/jit", &given),
        ];
        // Several updates in one graph, as ours has 32.
        calls.push(PeerCall { items: pool, ..peer("torch", "update_graphs", "/graph-of-8", &given) });
        calls.push(PeerCall { items: 100.0, ..peer("jax", "update_scan", "/scan100", &scan) });
        rows.extend(contest(run, "update", batch, calls, &mut peers)?);
    }
    Ok(json!({"rows": rows, "peer_failures": peers.take_failures()}))
}

/// T4: steps of `simple_spread` in one launch, with actions of a network on the way and with uniform ones. Nothing is
/// written but the state.
pub fn rollouts(run: &Run) -> Result<Value, String> {
    let (sizes, steps): (&[usize], _) =
        if run.small() { (&[33], 4) } else { (&[1024, 16_384, 131_072, 1_048_576], 128) };
    let repetitions = if run.small() { 5 } else { 20 };
    let mut rows = Vec::new();
    for &n_envs in sizes {
        for (policy, network) in [("18-64-64-5", Some(q_shape())), ("uniform", None)] {
            let mut rolling = Rolling::new(network, n_envs, steps, backend(run.device, 1)?)?;
            rolling.calls(WARM_UP)?;
            let (mut whole, mut on_device, mut kernel) = (Vec::new(), Vec::new(), "");
            for _ in 0..repetitions {
                let start = Instant::now();
                rolling.calls(1)?;
                whole.push(start.elapsed().as_secs_f64());
                rolling.backend.time_launches();
                rolling.calls(1)?;
                let launches = rolling.backend.take_launches().map_err(|e| e.to_string())?;
                on_device.push(launches.iter().map(|l| l.seconds).sum::<f64>());
                kernel = launches.first().map_or("", |l| l.kernel);
            }
            let env_steps = (n_envs * steps) as f64;
            rows.push(json!({
                "policy": policy, "envs": n_envs, "steps": steps, "kernel": kernel,
                "kernel_us": median(&on_device) * 1e6, "whole_us": median(&whole) * 1e6, "spread": spread(&whole),
                "env_steps_per_s": env_steps / median(&whole),
                "goal": if policy == "uniform" { 5e9 } else { 0.5e9 },
            }));
        }
    }
    Ok(json!({"env": "simple_spread, 3 agents", "rows": rows}))
}

/// Ours on the device and on the processor, and peers, in turn.
fn contest(
    run: &Run,
    name: &str,
    n: usize,
    calls: Vec<PeerCall>,
    peers: &mut crate::peer::Peers,
) -> Result<Vec<Value>, String> {
    let ours = |device, threads: usize| -> Result<(usize, Calls<'static>), String> {
        let backend = backend(device, threads)?;
        let run: Calls<'static> = if name == "act" {
            let mut work = Acting::new(q_shape(), AGENTS, n, 0.05, backend);
            Box::new(move |calls| work.calls(calls))
        } else {
            let mut work = Updating::new(q_shape(), AGENTS, n, true, backend);
            Box::new(move |calls| work.calls(calls))
        };
        Ok((threads, run))
    };
    let held = |place: &str, items, ours, calls, peers: &mut crate::peer::Peers| {
        let contest = Contest {
            name: format!("{name}/{place}/{n}"),
            unit: Unit::Microseconds,
            items,
            goal: None,
            ours,
            peers: calls,
            bound: None,
        };
        let found = contest.run(run.care, peers)?;
        Ok::<_, String>(found.iter().map(crate::report::Measurement::json).collect::<Vec<_>>())
    };
    let mut rows = if name == "act" {
        held("cuda", 1.0, vec![ours(run.device, 1)?], calls, peers)?
    } else {
        let stays = |form| -> Result<(usize, Calls<'static>), String> {
            let how = Steps { a_call: STEPS, draws: Drawn::Uniformly, form };
            let mut training = Training::new(q_shape(), n, how, run.small(), backend(run.device, 1)?)?;
            Ok((1, Box::new(move |calls| training.calls(calls))))
        };
        let mut rows = held("resident", STEPS as f64, vec![stays(StepForm::Graph)?], calls, peers)?;
        let together = vec![stays(StepForm::Cooperative)?];
        rows.extend(held("resident-cooperative", STEPS as f64, together, Vec::new(), peers)?);
        rows.extend(held("cuda", 1.0, vec![ours(run.device, 1)?], Vec::new(), peers)?);
        rows
    };
    rows.extend(held("cpu", 1.0, vec![ours(Device::Cpu, 1)?, ours(Device::Cpu, 2)?], Vec::new(), peers)?);
    Ok(rows)
}

/// One axis of T7: which call, what changes, its values.
type Axis = (&'static str, &'static str, &'static [usize]);

const AXES: &[Axis] = &[
    ("act", "rows", &[24, 96, 384, 1536, 6144, 24_576, 98_304]),
    ("act", "hidden", &[32, 64, 128, 256, 512]),
    ("act", "agents", &[1, 4, 16, 64]),
    ("update", "batch", &[8, 32, 128, 512, 2048, 8192, 32_768]),
    ("update", "hidden", &[32, 64, 128, 256, 512]),
    ("update", "agents", &[1, 4, 16, 64]),
];

/// T7, and the first value of an axis from which on the device is faster.
pub fn scaling(run: &Run) -> Result<Value, String> {
    let mut rows = Vec::new();
    let mut crossings = Vec::new();
    for &(name, axis, values) in AXES {
        let values = if run.small() { &values[..2.min(values.len())] } else { values };
        let mut crossing = Value::Null;
        for &value in values {
            let (mut agents, mut hidden) = (AGENTS, 64);
            let mut n = if name == "act" { 64 * AGENTS } else { 256 };
            match axis {
                "hidden" => hidden = value,
                "agents" => agents = value,
                _ => n = value,
            }
            if axis == "agents" && name == "act" {
                n = 64 * agents;
            }
            if run.small() && axis != "rows" && axis != "batch" {
                n = n.min(if name == "act" { 2 * agents.max(12) } else { 8 });
                n -= if name == "act" { n % agents } else { 0 };
            }
            let time = |device, threads| -> Result<f64, String> {
                let mut work = work(name, n, agents, hidden, device, threads)?;
                work.calls(WARM_UP)?;
                let mut calls: Calls<'_> = Box::new(move |calls| work.calls(calls));
                let once = |_| crate::contest::seconds_a_call(&mut calls, run.care.min_seconds);
                Ok(median(&(0..5).map(once).collect::<Result<Vec<_>, _>>()?))
            };
            let (gpu, one, two) = (time(run.device, 1)?, time(Device::Cpu, 1)?, time(Device::Cpu, 2)?);
            if crossing.is_null() && gpu < one.min(two) {
                crossing = json!(value);
            }
            rows.push(json!({
                "call": name, "axis": axis, "value": value, "n": n, "cuda_us": gpu * 1e6,
                "cpu_us": one.min(two) * 1e6, "cpu_threads": if two < one { 2 } else { 1 },
            }));
        }
        crossings.push(json!({"call": name, "axis": axis, "faster_from": crossing}));
    }
    Ok(json!({"rows": rows, "crossings": crossings}))
}
