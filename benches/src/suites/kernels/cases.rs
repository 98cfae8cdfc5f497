//! Calls of each kernel that no other suite measures by itself: layers forward and backward, convolutions, rows of
//! policies, optimizer steps, targets, mixers.

use std::hint::black_box;

use coact_kernels::{
    Activation, Clip, ConvBackward, ConvCache, ConvForward, ConvShape, Device, DrawRows, Join, MixBackward,
    MixCache, MixForward, MixShape, MlpCache, MlpShape, NextGroup, OptimStep, PolicyRows, PolicyTerms, Rule,
    TdTarget, TdTargetScratch,
};

use crate::contest::Run;
use crate::data;
use crate::suites::network::{AGENTS, OBS, OnBackend, backend, on, q_shape};

/// Layers of the network of `simple_spread`.
pub fn layers() -> MlpShape {
    MlpShape { input: 18, hidden: vec![64, 64], output: 5, activation: Activation::Relu, layer_norm: false }
}

/// A convolution over a small grid.
pub const CONV: ConvShape =
    ConvShape { channels: 4, height: 10, width: 10, filters: 16, kernel: [3, 3], stride: 1, padding: 1 };

/// Calls of all layers, forward, and backward if asked for.
///
/// # Errors
/// What the backend said.
pub fn mlp(rows: usize, backward: bool, threads: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, threads)?;
    let shape = layers();
    let mut rng = data::stream(50);
    let params = data::uniforms(&mut rng, shape.param_count(), -0.2, 0.2);
    let input = data::normals(&mut rng, rows * shape.input);
    let d_output = data::normals(&mut rng, rows * shape.output);
    let (mut output, mut grads) = (vec![0.0; d_output.len()], vec![0.0; params.len()]);
    let mut cache = MlpCache::new();
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            backend.mlp_forward(&shape, &params, rows, &input, &mut cache, &mut output);
            if backward {
                backend.mlp_backward(&shape, &params, rows, &input, &mut cache, &d_output, &mut grads, None);
            }
            black_box((&mut output, &mut grads));
        }
        Ok(())
    }))
}

/// Calls of a convolution, forward, and backward if asked for.
///
/// # Errors
/// What the backend said.
pub fn conv(rows: usize, backward: bool, threads: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, threads)?;
    let (shape, activation) = (CONV, Some(Activation::Relu));
    let mut rng = data::stream(51);
    let params = data::uniforms(&mut rng, shape.param_count(), -0.2, 0.2);
    let input = data::normals(&mut rng, rows * shape.input());
    let d_output = data::normals(&mut rng, rows * shape.output());
    let (mut output, mut grads) = (vec![0.0; d_output.len()], vec![0.0; params.len()]);
    let mut cache = ConvCache::new();
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            let call =
                ConvForward { shape, params: &params, rows, input: &input, activation, output: &mut output };
            backend.conv_forward(&mut cache, call).map_err(|e| e.to_string())?;
            if backward {
                let call = ConvBackward {
                    shape,
                    params: &params,
                    rows,
                    input: &input,
                    activation,
                    output: &output,
                    d_output: &d_output,
                    grads: &mut grads,
                    d_input: None,
                };
                backend.conv_backward(&mut cache, call).map_err(|e| e.to_string())?;
            }
            black_box((&mut output, &mut grads));
        }
        Ok(())
    }))
}

/// Calls of an Adam step with clipping over `n` parameters.
///
/// # Errors
/// What the backend said.
pub fn optim(n: usize, threads: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, threads)?;
    let mut rng = data::stream(52);
    let (mut params, gradient) = (data::normals(&mut rng, n), data::normals(&mut rng, n));
    let (mut grads, mut mean, mut square) = (gradient.clone(), vec![0.0; n], vec![0.0; n]);
    let rule = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false };
    let clip = Clip { global_norm: Some(10.0), ..Clip::default() };
    let mut step = 0;
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            step += 1;
            // Clipping works in place: without this the gradients would shrink from call to call.
            grads.copy_from_slice(&gradient);
            let call = OptimStep {
                rule,
                clip,
                lr: 1e-3,
                step,
                params: &mut params,
                grads: &mut grads,
                moments: [&mut mean, &mut square, &mut []],
                partitions: &[],
                tensors: &[],
            };
            backend.optim_step(call).map_err(|e| e.to_string())?;
        }
        Ok(())
    }))
}

/// Calls that move `n` target parameters a little towards the learned ones.
///
/// # Errors
/// What the backend said.
pub fn blend(n: usize, threads: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, threads)?;
    let mut rng = data::stream(53);
    let (mut target, params) = (data::normals(&mut rng, n), data::normals(&mut rng, n));
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            backend.blend(&mut target, &params, 0.005);
            black_box(&mut target);
        }
        Ok(())
    }))
}

/// Calls that draw an action a row from five logits.
///
/// # Errors
/// What the backend said.
pub fn draw(rows: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, 1)?;
    let mut rng = data::stream(54);
    let (logits, uniform) = (data::normals(&mut rng, rows * 5), data::uniforms(&mut rng, rows, 0.0, 1.0));
    let mut action = vec![0; rows];
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            backend.draw_rows(DrawRows {
                n_actions: 5,
                logits: &logits,
                mask: &[],
                uniform: &uniform,
                action: &mut action,
            });
            black_box(&mut action);
        }
        Ok(())
    }))
}

/// Calls that turn logits into the gradient of a clipped policy loss.
///
/// # Errors
/// What the backend said.
pub fn policy(rows: usize) -> Result<Run<'static>, String> {
    let mut backend = backend(Device::Cpu, 1)?;
    let mut rng = data::stream(55);
    let source = data::normals(&mut rng, rows * 5);
    let mut logits = source.clone();
    let action = data::indices(&mut rng, rows, 5);
    let (old_log_prob, advantage) =
        (data::uniforms(&mut rng, rows, -2.0, -1.0), data::normals(&mut rng, rows));
    let weight = vec![1.0 / rows as f32; rows];
    let mut terms = vec![PolicyTerms::default(); rows];
    Ok(Box::new(move |calls| {
        for _ in 0..calls {
            // The gradient takes the place of the logits.
            logits.copy_from_slice(&source);
            backend.policy_rows(PolicyRows {
                n_actions: 5,
                logits: &mut logits,
                mask: &[],
                action: &action,
                old_log_prob: &old_log_prob,
                advantage: &advantage,
                weight: &weight,
                clip: Some(0.2),
                ent_coef: 0.01,
                terms: &mut terms,
            });
            black_box(&mut terms);
        }
        Ok(())
    }))
}

/// The mixer of a team of `simple_spread` with EPyMARL's widths; the state is all observations.
pub const MIX: MixShape = MixShape { n_agents: AGENTS, state: AGENTS * OBS, embed: 32, hypernet: Some(64) };

/// Calls of the mixer forward, and backward if asked for.
///
/// # Errors
/// What the backend said.
pub fn mix(rows: usize, backward: bool, device: Device, threads: usize) -> Result<Run<'static>, String> {
    Ok(on(backend(device, threads)?, mix_on(rows, backward)))
}

/// The calls of [`mix`], on any backend.
pub fn mix_on(rows: usize, backward: bool) -> OnBackend {
    let mut rng = data::stream(56);
    let params = data::uniforms(&mut rng, MIX.param_count(), -0.2, 0.2);
    let (q, state) =
        (data::normals(&mut rng, rows * MIX.n_agents), data::normals(&mut rng, rows * MIX.state));
    let d_total = data::normals(&mut rng, rows);
    let (mut total, mut grads, mut d_q) = (vec![0.0; rows], vec![0.0; params.len()], vec![0.0; q.len()]);
    let mut cache = MixCache::new();
    Box::new(move |backend, calls| {
        for _ in 0..calls {
            let (params, q, state) = (&params[..], &q[..], &state[..]);
            let call = MixForward { shape: MIX, params, q, state, total: &mut total };
            backend.mix_forward(&mut cache, call).map_err(|e| e.to_string())?;
            if backward {
                let (d_total, grads, d_q) = (&d_total[..], &mut grads[..], &mut d_q[..]);
                let call = MixBackward { shape: MIX, params, q, state, d_total, grads, d_q };
                backend.mix_backward(&mut cache, call).map_err(|e| e.to_string())?;
            }
            black_box((&mut total, &mut grads, &mut d_q));
        }
        Ok(())
    })
}

/// Calls that form double Q-learning's targets of a team of `simple_spread`, summed or mixed.
///
/// # Errors
/// What the backend said.
pub fn targets(batch: usize, mixed: bool, device: Device, threads: usize) -> Result<Run<'static>, String> {
    Ok(on(backend(device, threads)?, targets_on(batch, mixed)))
}

/// The calls of [`targets`], on any backend.
pub fn targets_on(batch: usize, mixed: bool) -> OnBackend {
    let (shape, rows) = (q_shape(), batch * AGENTS);
    let mut rng = data::stream(57);
    let params = data::uniforms(&mut rng, shape.param_count(), -0.2, 0.2);
    let target_params = data::uniforms(&mut rng, shape.param_count(), -0.2, 0.2);
    let mixer_params = data::uniforms(&mut rng, MIX.param_count(), -0.2, 0.2);
    let next_obs = data::normals(&mut rng, rows * OBS);
    let next_state = data::normals(&mut rng, batch * MIX.state);
    let (reward, discount, team) = (data::normals(&mut rng, batch), vec![0.99; rows], vec![0.99; batch]);
    let (mut target, mut scratch) = (vec![0.0; batch], TdTargetScratch::new());
    Box::new(move |backend, calls| {
        for _ in 0..calls {
            let group = NextGroup {
                shape: &shape,
                n_agents: AGENTS,
                n_sets: 1,
                n_critics: 1,
                params: &params,
                target_params: &target_params,
                next_obs: &next_obs,
                next_mask: &[],
                reward: &[],
                discount: &discount,
            };
            let (reward, discount) = (&reward[..], &team[..]);
            let (params, next_state) = (&mixer_params[..], &next_state[..]);
            let join = match mixed {
                true => Join::Qmix { reward, discount, shape: MIX, params, next_state },
                false => Join::Sum { reward, discount },
            };
            let call = TdTarget { groups: &[group], batch, double_q: true, join, target: &mut target };
            backend.td_target(&mut scratch, call).map_err(|e| e.to_string())?;
            black_box(&mut target);
        }
        Ok(())
    })
}
