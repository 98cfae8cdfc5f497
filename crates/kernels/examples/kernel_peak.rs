//! How close the kernels come to the machine: peak multiply-add rate of one core, dense layers, `act` and a VDN update,
//! best of several runs. `cargo run --release -p coact-kernels --example kernel_peak -- [threads] [isa]
//! [dense|act|update]`

#![allow(clippy::print_stdout, clippy::expect_used)]

use coact_kernels::{
    Act, ActScratch, Activation, Backend, Clip, CpuOptions, DenseForward, Exploration, GroupBatch, Isa, Loss,
    Mixer, OptimStep, QShape, Rule, Update, UpdateScratch,
};
use std::time::Instant;

fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        (x >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| 0.3 * next()).collect()
}

/// Seconds of one call: the best of `samples` averages over `calls`.
fn best(samples: usize, calls: usize, mut f: impl FnMut()) -> f64 {
    f();
    let mut least = f64::INFINITY;
    for _ in 0..samples {
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        least = least.min(start.elapsed().as_secs_f64() / calls as f64);
    }
    least
}

/// Multiply-adds on registers alone: `chains` independent sums a vector, GFLOP/s.
#[cfg(target_arch = "x86_64")]
fn peak() -> f64 {
    #[target_feature(enable = "avx512f")]
    fn avx512(n: usize) -> f32 {
        use std::arch::x86_64::*;
        // Hidden from the compiler, which else sees sixteen times the same sum.
        let mut sums = std::hint::black_box([_mm512_set1_ps(0.5); 16]);
        let (a, b) = (_mm512_set1_ps(0.999_9), _mm512_set1_ps(0.000_1));
        for _ in 0..n {
            for s in &mut sums {
                *s = _mm512_fmadd_ps(*s, a, b);
            }
        }
        sums.iter().map(|s| _mm512_reduce_add_ps(*s)).sum()
    }
    #[target_feature(enable = "avx2,fma")]
    fn avx2(n: usize) -> f32 {
        use std::arch::x86_64::*;
        let mut sums = std::hint::black_box([_mm256_set1_ps(0.5); 12]);
        let (a, b) = (_mm256_set1_ps(0.999_9), _mm256_set1_ps(0.000_1));
        for _ in 0..n {
            for s in &mut sums {
                *s = _mm256_fmadd_ps(*s, a, b);
            }
        }
        sums.iter().map(|s| _mm256_cvtss_f32(*s)).sum()
    }
    let n = 20_000;
    let mut sink = 0.0;
    let seconds_and_flops = if Isa::Avx512.is_available() {
        // SAFETY: checked in this line's condition.
        (best(50, 4, || sink += unsafe { avx512(n) }), 2.0 * 16.0 * 16.0)
    } else if Isa::Avx2.is_available() {
        // SAFETY: checked in this line's condition.
        (best(50, 4, || sink += unsafe { avx2(n) }), 2.0 * 12.0 * 8.0)
    } else {
        return f64::NAN;
    };
    std::hint::black_box(sink);
    seconds_and_flops.1 * n as f64 / seconds_and_flops.0 / 1e9
}

#[cfg(not(target_arch = "x86_64"))]
fn peak() -> f64 {
    f64::NAN
}

fn dense(backend: &mut Backend, peak: f64) {
    println!("\ndense forward, bias and ReLU fused: GFLOP/s (share of peak)");
    let shapes = [
        (1, 64, 64),
        (6, 64, 64),
        (96, 16, 16),
        (96, 18, 64),
        (96, 64, 64),
        (96, 64, 5),
        (192, 64, 64),
        (96, 128, 128),
        (96, 128, 16),
        (96, 256, 256),
        (768, 256, 256),
    ];
    for (m, k, n) in shapes {
        let (input, weight, bias) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
        let mut output = vec![0.0; m * n];
        let calls = (10_000_000 / (m * k * n * 2)).clamp(1, 1_000);
        let seconds = best(100, calls, || {
            let call = DenseForward {
                rows: m,
                inputs: k,
                outputs: n,
                input: &input,
                weight: &weight,
                bias: &bias,
                activation: Some(Activation::Relu),
                output: &mut output,
            };
            backend.dense_forward(call).expect("buffers fit");
        });
        let rate = 2.0 * (m * k * n) as f64 / seconds / 1e9;
        println!(
            "  {m:4} rows {k:3} -> {n:3}: {rate:6.1}  ({:4.1} %), {:.1} ns/row",
            100.0 * rate / peak,
            seconds / m as f64 * 1e9
        );
    }
}

fn act(backend: &mut Backend) {
    println!("\nact 18-64-64-5, epsilon-greedy:");
    let shape = QShape::new(18, vec![64, 64], 5, Activation::Relu, false, false);
    let params = noise(shape.param_count(), 1);
    for n_envs in [1, 32, 256, 1024] {
        let rows = n_envs * 3;
        let obs = noise(rows * 18, 2);
        let mut actions = vec![0; rows];
        let mut scratch = ActScratch::new(&shape, n_envs, 3);
        let mut step = 0;
        let seconds = best(400, 300 / n_envs + 1, || {
            step += 1;
            let call = Act {
                shape: &shape,
                params: &params,
                n_sets: 1,
                n_agents: 3,
                obs: &obs,
                mask: &[],
                alive: &[],
                exploration: Exploration::EpsilonGreedy { epsilon: 0.05 },
                seed: 1,
                step,
                first_row: 0,
                actions: &mut actions,
                q: None,
            };
            backend.act(&mut scratch, call).expect("buffers fit");
        });
        println!("  {rows:5} rows: {:8.2} us, {:6.1} ns/row", seconds * 1e6, seconds / rows as f64 * 1e9);
    }
}

fn update(backend: &mut Backend) {
    println!("\nVDN update 18-64-64-5, 3 agents, shared weights, double Q, with an Adam step:");
    let shape = QShape::new(18, vec![64, 64], 5, Activation::Relu, false, false);
    let p = shape.param_count();
    for batch in [32, 256, 1024, 4096] {
        let rows = batch * 3;
        let mut params = noise(p, 1);
        let target_params = noise(p, 2);
        let (mut grads, mut mean, mut square) = (vec![0.0; p], vec![0.0; p], vec![0.0; p]);
        let (obs, next_obs) = (noise(rows * 18, 3), noise(rows * 18, 4));
        let action: Vec<u32> = (0..rows as u32).map(|i| i * 7 % 5).collect();
        let (reward, discount, valid) = (vec![0.0; rows], vec![0.99; rows], vec![true; rows]);
        let (weight, team_reward, team_discount) = (vec![1.0; batch], noise(batch, 5), vec![0.99; batch]);
        let mut priority = vec![0.0; batch];
        let mut scratch = UpdateScratch::new();
        let mut step = 0;
        let (mut gradient_s, mut optim_s) = (f64::INFINITY, f64::INFINITY);
        let seconds = best(100_000 / batch, 1, || {
            let start = Instant::now();
            let mut groups = [GroupBatch {
                shape: &shape,
                n_agents: 3,
                n_sets: 1,
                n_critics: 1,
                params: &params,
                target_params: &target_params,
                grads: &mut grads,
                obs: &obs,
                next_obs: &next_obs,
                next_mask: &[],
                action: &action,
                reward: &reward,
                discount: &discount,
                valid: &valid,
            }];
            let call = Update {
                groups: &mut groups,
                batch,
                weight: &weight,
                team_reward: &team_reward,
                team_discount: &team_discount,
                double_q: true,
                mixer: Mixer::Sum,
                loss: Loss::Squared,
                priority: &mut priority,
            };
            backend.update(&mut scratch, call).expect("buffers fit");
            gradient_s = gradient_s.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            step += 1;
            let call = OptimStep {
                rule: Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false },
                clip: Clip { global_norm: Some(10.0), ..Clip::default() },
                lr: 1e-4,
                step,
                params: &mut params,
                grads: &mut grads,
                moments: [&mut mean, &mut square, &mut []],
                partitions: &[],
                tensors: &[],
            };
            backend.optim_step(call).expect("gradients are finite");
            optim_s = optim_s.min(start.elapsed().as_secs_f64());
        });
        println!(
            "  batch {batch:4}: {:8.1} us (gradients {:.1}, Adam {:.1})",
            seconds * 1e6,
            gradient_s * 1e6,
            optim_s * 1e6
        );
    }
}

fn main() -> Result<(), coact_kernels::Error> {
    let (mut options, mut only) = (CpuOptions::default(), None);
    for arg in std::env::args().skip(1) {
        match (arg.parse(), arg.parse()) {
            (Ok(threads), _) => options.threads = threads,
            (_, Ok(isa)) => options.isa = Some(isa),
            _ => only = Some(arg),
        }
    }
    let wanted = |section: &str| only.as_deref().is_none_or(|only| only == section);
    let mut backend = Backend::cpu(options)?;
    let peak = peak();
    println!("{}; peak of one core {peak:.1} GFLOP/s", backend.describe());
    if wanted("dense") {
        dense(&mut backend, peak);
    }
    if wanted("act") {
        act(&mut backend);
    }
    if wanted("update") {
        update(&mut backend);
    }
    Ok(())
}
