//! The crate alone: Q-values and actions of many agents in one call, then one learning step, without any of the rest
//! of coact. `cargo run --release -p coact-kernels --example batched_q_values`
//!
//! The task: each agent sees four numbers and is paid for naming the largest.

#![allow(clippy::print_stdout)]

use coact_core::{Purpose, Stream};
use coact_kernels::{
    Act, ActScratch, Activation, Backend, Clip, CpuOptions, Error, Exploration, GroupBatch, Loss, Mixer,
    OptimStep, QShape, Rule, TensorKind, Update, UpdateScratch,
};

const N_ENVS: usize = 64;
const N_AGENTS: usize = 2;
const ROWS: usize = N_ENVS * N_AGENTS;
const WIDTH: usize = 4;

/// Weights uniform in `±1 / sqrt(inputs)`, biases 0.
fn initial(shape: &QShape, seed: u64) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Init, 0, 0);
    let mut params = vec![0.0; shape.param_count()];
    for tensor in shape.mlp.tensors() {
        if tensor.kind == TensorKind::Weight {
            let bound = 1.0 / (tensor.rows as f32).sqrt();
            params[tensor.range()].fill_with(|| stream.range(-bound, bound));
        }
    }
    params
}

fn main() -> Result<(), Error> {
    let mut backend = Backend::cpu(CpuOptions { threads: 2, isa: None })?;
    println!("{}", backend.describe());
    // One network that all agents share: 4 observations, two hidden layers, one value an action.
    let shape = QShape::new(WIDTH, vec![32, 32], WIDTH, Activation::Relu, false, false);
    let mut params = initial(&shape, 1);
    let (mut grads, mut mean, mut square) =
        (vec![0.0; params.len()], vec![0.0; params.len()], vec![0.0; params.len()]);

    let (mut act_scratch, mut update_scratch) =
        (ActScratch::new(&shape, N_ENVS, N_AGENTS), UpdateScratch::new());
    let mut actions = vec![0; ROWS];
    let mut q = vec![0.0; ROWS * WIDTH];
    let (weight, valid) = (vec![1.0; N_ENVS], vec![true; ROWS]);
    // Every step ends the process: no next value, so the target is the reward.
    let discount = vec![0.0; ROWS];
    let mut priority = vec![0.0; N_ENVS];

    for step in 0..=600 {
        let mut stream = Stream::new(1, Purpose::Step, 0, step);
        let obs: Vec<f32> = (0..ROWS * WIDTH).map(|_| stream.range(-1.0, 1.0)).collect();
        backend.act(
            &mut act_scratch,
            Act {
                shape: &shape,
                params: &params,
                n_sets: 1,
                n_agents: N_AGENTS,
                obs: &obs,
                mask: &[],
                alive: &[],
                exploration: Exploration::EpsilonGreedy { epsilon: 0.2 },
                seed: 1,
                step,
                first_row: 0,
                actions: &mut actions,
                q: Some(&mut q),
            },
        )?;
        let reward: Vec<f32> = obs.chunks(WIDTH).zip(&actions).map(|(o, &a)| o[a as usize]).collect();
        let stats = backend.update(
            &mut update_scratch,
            Update {
                groups: &mut [GroupBatch {
                    shape: &shape,
                    n_agents: N_AGENTS,
                    n_sets: 1,
                    n_critics: 1,
                    params: &params,
                    target_params: &params,
                    grads: &mut grads,
                    obs: &obs,
                    next_obs: &obs,
                    next_mask: &[],
                    action: &actions,
                    reward: &reward,
                    discount: &discount,
                    valid: &valid,
                }],
                batch: N_ENVS,
                weight: &weight,
                team_reward: &[],
                team_discount: &[],
                double_q: true,
                mixer: Mixer::Independent,
                loss: Loss::Huber { delta: 1.0 },
                priority: &mut priority,
            },
        )?;
        backend.optim_step(OptimStep {
            rule: Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false },
            clip: Clip { global_norm: Some(10.0), ..Clip::default() },
            lr: 3e-3,
            step: step + 1,
            params: &mut params,
            grads: &mut grads,
            moments: [&mut mean, &mut square, &mut []],
            partitions: &[],
            tensors: &[],
        })?;
        if step % 100 == 0 {
            let mean_reward = reward.iter().sum::<f32>() / ROWS as f32;
            println!("step {step:3}: loss {:.4}, mean reward {mean_reward:.3}", stats.loss);
        }
    }
    println!(
        "the best of four uniform numbers in [-1, 1] is 0.6 on average; a fifth of the actions is random"
    );
    println!("agent 0 of environment 0: values {:.3?}, action {}", &q[..WIDTH], actions[0]);
    Ok(())
}
