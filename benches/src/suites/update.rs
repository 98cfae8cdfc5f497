//! `update`: one VDN double-DQN update of three agents that share an 18-64-64-5 network: forward of the online
//! network on both observations and of the target network, targets, squared loss with importance weights, backward,
//! clipping to norm 10, Adam, priorities. And dense tiles, beside the multiply-add peak of one core, measured by
//! independent chains of fused multiply-adds in registers.

use std::hint::black_box;

use coact_kernels::{
    Backend, Clip, DenseForward, Device, GroupBatch, Loss, Mixer, OptimStep, QShape, Rule, Update,
    UpdateScratch,
};
use pulp::{Arch, Simd, WithSimd};

use super::Session;
use super::network::{AGENTS, backend, parameters, q_shape};
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

fn columns(shape: &QShape, n_agents: usize, batch: usize, index: u32) -> Columns {
    let mut rng = data::stream(20 + index);
    let rows = batch * n_agents;
    let team_discount: Vec<f32> = (0..batch).map(|_| if rng.uniform() < 0.05 { 0.0 } else { 0.99 }).collect();
    Columns {
        obs: data::normals(&mut rng, rows * shape.mlp.input),
        next_obs: data::normals(&mut rng, rows * shape.mlp.input),
        action: data::indices(&mut rng, rows, shape.n_actions as u32),
        team_reward: data::normals(&mut rng, batch),
        discount: team_discount.iter().flat_map(|&d| std::iter::repeat_n(d, n_agents)).collect(),
        team_discount,
        weight: data::uniforms(&mut rng, batch, 0.2, 1.0),
    }
}

/// Calls that make one update of `batch` transitions: gradients, clipping and Adam.
///
/// # Errors
/// What the backend said.
pub fn updating(batch: usize, device: Device, threads: usize) -> Result<Run<'static>, String> {
    let mut updating = Updating::new(q_shape(), AGENTS, batch, true, backend(device, threads)?);
    Ok(Box::new(move |calls| updating.calls(calls)))
}

/// Calls that form the gradients of `batch` transitions, and leave parameters as they are.
///
/// # Errors
/// What the backend said.
pub fn gradients(batch: usize, device: Device, threads: usize) -> Result<Run<'static>, String> {
    let mut updating = Updating::new(q_shape(), AGENTS, batch, false, backend(device, threads)?);
    Ok(Box::new(move |calls| updating.calls(calls)))
}

/// A network, batches in rotation, and who learns.
pub struct Updating {
    /// Where it runs.
    pub backend: Backend,
    shape: QShape,
    n_agents: usize,
    batch: usize,
    optimize: bool,
    pool: Vec<Columns>,
    /// Parameters of the learned network `[P]`.
    pub params: Vec<f32>,
    target: Vec<f32>,
    grads: Vec<f32>,
    moments: [Vec<f32>; 2],
    reward: Vec<f32>,
    valid: Vec<bool>,
    priority: Vec<f32>,
    scratch: UpdateScratch,
    tensors: Vec<std::ops::Range<usize>>,
    step: u64,
}

impl Updating {
    /// Agents share the parameters; with `optimize`, gradients are clipped and move them.
    pub fn new(shape: QShape, n_agents: usize, batch: usize, optimize: bool, backend: Backend) -> Self {
        let zeros = || vec![0.0; shape.param_count()];
        Self {
            backend,
            n_agents,
            batch,
            optimize,
            pool: (0..POOL as u32).map(|i| columns(&shape, n_agents, batch, i)).collect(),
            params: parameters(&shape, 0),
            target: parameters(&shape, 1),
            grads: zeros(),
            moments: [zeros(), zeros()],
            reward: vec![0.0; batch * n_agents],
            valid: vec![true; batch * n_agents],
            priority: vec![0.0; batch],
            scratch: UpdateScratch::default(),
            tensors: shape.mlp.tensors().iter().map(coact_kernels::TensorRange::range).collect(),
            step: 0,
            shape,
        }
    }

    /// Makes so many calls.
    ///
    /// # Errors
    /// What a kernel said.
    pub fn calls(&mut self, calls: u64) -> Result<(), String> {
        for _ in 0..calls {
            let from = &self.pool[self.step as usize % POOL];
            let group = GroupBatch {
                shape: &self.shape,
                n_agents: self.n_agents,
                n_sets: 1,
                n_critics: 1,
                params: &self.params,
                target_params: &self.target,
                grads: &mut self.grads,
                obs: &from.obs,
                next_obs: &from.next_obs,
                next_mask: &[],
                action: &from.action,
                reward: &self.reward,
                discount: &from.discount,
                valid: &self.valid,
            };
            let update = Update {
                groups: &mut [group],
                batch: self.batch,
                weight: &from.weight,
                team_reward: &from.team_reward,
                team_discount: &from.team_discount,
                double_q: true,
                mixer: Mixer::Sum,
                loss: Loss::Squared,
                priority: &mut self.priority,
            };
            self.backend.update(&mut self.scratch, update).map_err(|e| e.to_string())?;
            self.step += 1;
            if self.optimize {
                self.optimize()?;
            }
            black_box(&mut self.grads);
        }
        Ok(())
    }

    fn optimize(&mut self) -> Result<(), String> {
        let [mean, square] = &mut self.moments;
        let optim = OptimStep {
            rule: Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false },
            clip: Clip { global_norm: Some(10.0), ..Clip::default() },
            lr: 1e-3,
            step: self.step,
            params: &mut self.params,
            grads: &mut self.grads,
            moments: [mean, square, &mut []],
            partitions: &[],
            tensors: &self.tensors,
        };
        self.backend.optim_step(optim).map(|_| ()).map_err(|e| e.to_string())
    }
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
