//! `update`: one VDN double-DQN update of three agents that share an 18-64-64-5 network: forward of the online
//! network on both observations and of the target network, targets, squared loss with importance weights, backward,
//! clipping to norm 10, Adam, priorities. And dense tiles, beside the multiply-add peak of one core, measured by
//! independent chains of fused multiply-adds in registers.

use std::hint::black_box;

use coact_kernels::{
    Clip, DenseForward, Device, GroupBatch, Loss, Mixer, OptimStep, Rule, Update, UpdateScratch,
};
use pulp::{Arch, Simd, WithSimd};

use super::Session;
use super::network::{AGENTS, OBS, backend, parameters, q_shape};
use crate::contest::{Bound, Contest, PeerCall, Run, Unit, params};
use crate::data;

/// Batches in rotation.
const POOL: usize = 8;
/// Updates in one call of the peer that loops inside its compiled program.
const SCAN: f64 = 100.0;
/// Batch size, and the ratios meant for JAX and PyTorch.
const CASES: &[(usize, f64, f64)] = &[(32, 2.5, 10.0), (256, 1.7, 3.0), (4096, 1.6, 2.5)];

/// Holds the contests.
///
/// # Errors
/// What a kernel said.
pub fn run(session: &mut Session) -> Result<(), String> {
    for &(batch, jax_goal, torch_goal) in CASES {
        let shape = [("batch", batch as f64), ("agents", AGENTS as f64), ("pool", POOL as f64)];
        let peer = |peer, measure, goal| PeerCall {
            peer,
            measure,
            params: params(&shape),
            items: 1.0,
            variant: "",
            goal,
        };
        let scan = PeerCall {
            params: params(&[&shape[..], &[("scan", SCAN)]].concat()),
            items: SCAN,
            variant: "/scan100",
            ..peer("jax", "update_scan", None)
        };
        let torch = |measure, variant| PeerCall { variant, ..peer("torch", measure, Some(torch_goal)) };
        let device = session.device;
        let ours = session.threads.iter().map(|&threads| Ok((threads, updating(batch, device, threads)?)));
        session.hold(Contest {
            name: format!("update/{}vdn/b{batch}", session.place()),
            unit: Unit::Microseconds,
            items: 1.0,
            goal: None,
            ours: ours.collect::<Result<_, String>>()?,
            peers: vec![
                peer("jax", "update", Some(jax_goal)),
                scan,
                torch("update", ""),
                torch("update_foreach", "/foreach"),
                torch("update_fused", "/fused"),
            ],
            bound: None,
        })?;
    }
    tiles(session)
}

/// A batch as replay hands it over.
struct Columns {
    obs: Vec<f32>,
    next_obs: Vec<f32>,
    action: Vec<u32>,
    team_reward: Vec<f32>,
    team_discount: Vec<f32>,
    discount: Vec<f32>,
    weight: Vec<f32>,
}

fn columns(batch: usize, index: u32) -> Columns {
    let mut rng = data::stream(20 + index);
    let rows = batch * AGENTS;
    let team_discount: Vec<f32> = (0..batch).map(|_| if rng.uniform() < 0.05 { 0.0 } else { 0.99 }).collect();
    Columns {
        obs: data::normals(&mut rng, rows * OBS),
        next_obs: data::normals(&mut rng, rows * OBS),
        action: data::indices(&mut rng, rows, 5),
        team_reward: data::normals(&mut rng, batch),
        discount: team_discount.iter().flat_map(|&d| [d; AGENTS]).collect(),
        team_discount,
        weight: data::uniforms(&mut rng, batch, 0.2, 1.0),
    }
}

/// Calls that make one update of `batch` transitions: gradients, clipping and Adam.
///
/// # Errors
/// What the backend said.
pub fn updating(batch: usize, device: Device, threads: usize) -> Result<Run<'static>, String> {
    calls(batch, device, threads, true)
}

/// Calls that form the gradients of `batch` transitions, and leave parameters as they are.
///
/// # Errors
/// What the backend said.
pub fn gradients(batch: usize, device: Device, threads: usize) -> Result<Run<'static>, String> {
    calls(batch, device, threads, false)
}

fn calls(batch: usize, device: Device, threads: usize, optimize: bool) -> Result<Run<'static>, String> {
    let mut backend = backend(device, threads)?;
    let shape = q_shape();
    let pool: Vec<Columns> = (0..POOL as u32).map(|i| columns(batch, i)).collect();
    let (mut params, target) = (parameters(&shape, 0), parameters(&shape, 1));
    let (mut grads, mut mean, mut square) =
        (vec![0.0; params.len()], vec![0.0; params.len()], vec![0.0; params.len()]);
    let (reward, valid) = (vec![0.0; batch * AGENTS], vec![true; batch * AGENTS]);
    let mut priority = vec![0.0; batch];
    let mut scratch = UpdateScratch::default();
    let tensors: Vec<_> = shape.mlp.tensors().iter().map(coact_kernels::TensorRange::range).collect();
    let rule = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false };
    let clip = Clip { global_norm: Some(10.0), ..Clip::default() };
    let mut step = 0_u64;
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            let from = &pool[step as usize % POOL];
            let group = GroupBatch {
                shape: &shape,
                n_agents: AGENTS,
                n_sets: 1,
                n_critics: 1,
                params: &params,
                target_params: &target,
                grads: &mut grads,
                obs: &from.obs,
                next_obs: &from.next_obs,
                next_mask: &[],
                action: &from.action,
                reward: &reward,
                discount: &from.discount,
                valid: &valid,
            };
            let update = Update {
                groups: &mut [group],
                batch,
                weight: &from.weight,
                team_reward: &from.team_reward,
                team_discount: &from.team_discount,
                double_q: true,
                mixer: Mixer::Sum,
                loss: Loss::Squared,
                priority: &mut priority,
            };
            backend.update(&mut scratch, update).map_err(|e| e.to_string())?;
            step += 1;
            if !optimize {
                black_box(&mut grads);
                continue;
            }
            let optim = OptimStep {
                rule,
                clip,
                lr: 1e-3,
                step,
                params: &mut params,
                grads: &mut grads,
                moments: [&mut mean, &mut square, &mut []],
                partitions: &[],
                tensors: &tensors,
            };
            backend.optim_step(optim).map_err(|e| e.to_string())?;
        }
        Ok(())
    }))
}

/// Chains in flight: more than the latency times the units of any processor so far, fewer than its registers.
const CHAINS: usize = 12;

/// `n` rounds of independent fused multiply-adds.
struct Chains {
    n: u64,
}

impl WithSimd for Chains {
    /// Floating-point operations, and a result that must be used.
    type Output = (u64, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let (factor, term) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut chains = [simd.splat_f32s(0.5); CHAINS];
        for _ in 0..self.n {
            for chain in &mut chains {
                *chain = simd.mul_add_f32s(*chain, factor, term);
            }
        }
        let sum = chains.into_iter().fold(simd.splat_f32s(0.0), |a, b| simd.add_f32s(a, b));
        (self.n * (2 * CHAINS * S::F32_LANES) as u64, simd.reduce_sum_f32s(sum))
    }
}

fn tiles(session: &mut Session) -> Result<(), String> {
    for (inputs, outputs) in [(64, 64), (18, 64), (256, 256)] {
        for rows in [1, 6, 96, 1536] {
            session.hold(Contest {
                name: format!("tile/{inputs}x{outputs}/rows{rows}"),
                unit: Unit::Giga("GFLOP/s"),
                items: (2 * rows * inputs * outputs) as f64,
                goal: None,
                ours: vec![(1, dense(rows, inputs, outputs)?)],
                peers: Vec::new(),
                bound: Some(peak((rows >= 6).then_some(0.95))),
            })?;
        }
    }
    Ok(())
}

/// The multiply-add peak of one core.
pub(super) fn peak(goal: Option<f64>) -> Bound<'static> {
    const ROUNDS: u64 = 1000;
    let arch = Arch::new();
    let run = move |calls| {
        (0..calls).for_each(|_| {
            black_box(arch.dispatch(Chains { n: ROUNDS }));
        });
        Ok(())
    };
    let items = arch.dispatch(Chains { n: ROUNDS }).0 as f64;
    Bound { name: "multiply-add-peak", items, run: Box::new(run), goal }
}

/// Calls of one dense layer.
///
/// # Errors
/// What the backend said.
pub fn dense(rows: usize, inputs: usize, outputs: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, 1)?;
    let mut rng = data::stream(30);
    let input = data::normals(&mut rng, rows * inputs);
    let weight = data::normals(&mut rng, inputs * outputs);
    let bias = data::normals(&mut rng, outputs);
    let mut output = vec![0.0; rows * outputs];
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            let call = DenseForward {
                rows,
                inputs,
                outputs,
                input: &input,
                weight: &weight,
                bias: &bias,
                activation: None,
                output: &mut output,
            };
            backend.dense_forward(call).map_err(|e| e.to_string())?;
            black_box(&mut output);
        }
        Ok(())
    }))
}
