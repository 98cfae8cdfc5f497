//! `coact-nets` by itself: a GRU learns to say, seven steps later, which sign it saw; a network without memory cannot.
//! `cargo run --release -p coact-nets --example recall`.

#![allow(clippy::print_stdout, reason = "an example shows its results")]

use coact_core::rng::{Purpose, Stream};
use coact_kernels::{Backend, CpuOptions};
use coact_nets::{AgentNet, AgentNetShape, Cell, CellKind, Init, Optimizer, OptimizerConfig, Result};

const STEPS: usize = 8;
const ROWS: usize = 64;

fn main() -> Result<()> {
    let cell = Cell { kind: CellKind::Gru, width: 16 };
    for (name, cell) in [("with a GRU", Some(cell)), ("without memory", None)] {
        println!("{name}: mean squared error {:.4}", error_after(cell, 400)?);
    }
    Ok(())
}

/// Mean squared error of the last batch of training. Guessing 0 has 1.
fn error_after(cell: Option<Cell>, grad_steps: u64) -> Result<f64> {
    let mut backend = Backend::cpu(CpuOptions::default())?;
    let mut net = AgentNet::new(AgentNetShape { encoder: vec![16], cell, ..AgentNetShape::linear(2, 1) })?;
    let mut params = vec![0.0; net.param_count()];
    net.init(Init::Orthogonal, 0, 0, &mut params, 1.0);
    let tensors = net.tensors().into_iter().map(|t| t.range).collect();
    let whole = std::iter::once(0..params.len()).collect();
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), params.len(), whole, tensors)?;

    let mut is_first = vec![false; STEPS * ROWS];
    is_first[..ROWS].fill(true);
    let memory = vec![0.0; ROWS * net.memory_width()];
    let mut obs = vec![0.0; STEPS * ROWS * 2];
    let (mut out, mut d_out) = (vec![0.0; STEPS * ROWS], vec![0.0; STEPS * ROWS]);
    let mut grads = vec![0.0; params.len()];
    let mut error = 0.0;
    for batch in 0..grad_steps {
        let mut random = Stream::new(0, Purpose::Step, 0, batch);
        let mut sign = || if random.below(2) == 0 { -1.0_f32 } else { 1.0 };
        // The sign in the first step, then noise; the second number says that it is time to answer.
        obs.chunks_exact_mut(2).for_each(|o| o.copy_from_slice(&[sign(), 0.0]));
        let last = (STEPS - 1) * ROWS;
        obs[2 * last..].chunks_exact_mut(2).for_each(|o| o[1] = 1.0);
        net.forward(&mut backend, &params, STEPS, ROWS, &obs, &is_first, &memory, &mut out, None)?;
        error = 0.0;
        for row in 0..ROWS {
            let miss = out[last + row] - obs[2 * row];
            error += f64::from(miss * miss) / ROWS as f64;
            d_out[last + row] = 2.0 * miss / ROWS as f32;
        }
        net.backward(&mut backend, &params, &obs, &d_out, &mut grads, None)?;
        optimizer.step(&mut backend, 0.01, &mut params, &mut grads)?;
    }
    Ok(error)
}
