//! Mixing on a device: totals, gradients of the parameters and of the agents' values to the bit.

use coact_core::{Purpose, Stream};
use coact_kernels::{Backend, CpuOptions, Error, MixBackward, MixCache, MixForward, MixShape};

pub fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

pub fn backends() -> [Backend; 2] {
    [Backend::cpu(CpuOptions::default()).unwrap(), Backend::cuda(0, CpuOptions::default()).unwrap()]
}

fn run(
    backend: &mut Backend,
    cache: &mut MixCache,
    shape: MixShape,
    rows: usize,
) -> Result<[Vec<u32>; 3], Error> {
    let params = numbers(1, shape.param_count());
    let (q, state) = (numbers(2, rows * shape.n_agents), numbers(3, rows * shape.state));
    let d_total = numbers(4, rows);
    let (mut total, mut grads, mut d_q) = (vec![7.0; rows], vec![7.0; params.len()], vec![7.0; q.len()]);
    let call = MixForward { shape, params: &params, q: &q, state: &state, total: &mut total };
    backend.mix_forward(cache, call)?;
    let (params, q, state, d_total) = (&params[..], &q[..], &state[..], &d_total[..]);
    let call = MixBackward { shape, params, q, state, d_total, grads: &mut grads, d_q: &mut d_q };
    backend.mix_backward(cache, call)?;
    Ok([total, grads, d_q].map(|v| v.into_iter().map(f32::to_bits).collect()))
}

fn compare(backends: &mut [Backend; 2], cache: &mut MixCache, shape: MixShape, rows: usize) {
    let want = run(&mut backends[0], &mut MixCache::new(), shape, rows).unwrap();
    let got = run(&mut backends[1], cache, shape, rows).unwrap();
    for (what, (want, got)) in ["total", "grads", "d_q"].iter().zip(want.iter().zip(&got)) {
        let differ = want.iter().zip(got).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{what} of {shape:?}, {rows} rows: of {} numbers", want.len());
    }
}

#[test]
#[ignore = "needs a GPU"]
fn mixing_on_a_device_over_rows() {
    let (mut backends, mut cache) = (backends(), MixCache::new());
    let shape = MixShape { n_agents: 3, state: 18, embed: 19, hypernet: Some(16) };
    for rows in [0, 1, 7, 8, 9, 31, 33, 255, 256, 257, 1023, 1025] {
        compare(&mut backends, &mut cache, shape, rows);
    }
    // Tiles of 32 rows, and a last one that is not full.
    let small = MixShape { n_agents: 2, state: 5, embed: 3, hypernet: None };
    compare(&mut backends, &mut cache, small, 4231);
    // Enough tiles of gradients that a thread takes sixteen.
    compare(&mut backends, &mut cache, MixShape { state: 70, hypernet: Some(5), ..small }, 4225);
}

#[test]
#[ignore = "needs a GPU"]
fn mixing_on_a_device_on_random_shapes() {
    let (mut backends, mut cache) = (backends(), MixCache::new());
    let mut s = Stream::new(6, Purpose::Init, 0, 0);
    for (n_agents, state, embed, hypernet) in [
        (1, 1, 1, None),
        (9, 130, 64, Some(64)),
        (4, 48, 32, Some(64)),
        (5, 3, 33, None),
        (2, 70, 1, Some(1)),
    ] {
        compare(&mut backends, &mut cache, MixShape { n_agents, state, embed, hypernet }, 21);
    }
    for _ in 0..16 {
        let shape = MixShape {
            n_agents: 1 + s.below(9) as usize,
            state: 1 + s.below(90) as usize,
            embed: 1 + s.below(64) as usize,
            hypernet: (s.below(2) == 0).then(|| 1 + s.below(70) as usize),
        };
        compare(&mut backends, &mut cache, shape, 1 + s.below(70) as usize);
    }
}

/// What a GPU has no room for, and calls that do not belong together, are refused.
#[test]
#[ignore = "needs a GPU"]
fn mixers_that_do_not_fit_are_refused_on_a_device() {
    let [mut cpu, mut gpu] = backends();
    let wide = MixShape { n_agents: 40, state: 10, embed: 64, hypernet: None };
    let error = run(&mut gpu, &mut MixCache::new(), wide, 3).unwrap_err().to_string();
    assert!(error.contains("too wide for a GPU's shared memory: use the cpu"), "{error}");
    run(&mut cpu, &mut MixCache::new(), wide, 3).unwrap();
    let shape = MixShape { n_agents: 2, state: 3, embed: 4, hypernet: None };
    let (params, q, state) = (numbers(1, shape.param_count()), numbers(2, 10), numbers(3, 15));
    let (params, q, state, mut cache) = (&params[..], &q[..], &state[..], MixCache::new());
    cpu.mix_forward(&mut cache, MixForward { shape, params, q, state, total: &mut [0.0; 5] }).unwrap();
    let (grads, d_q) = (&mut vec![0.0; params.len()], &mut [0.0; 10]);
    let call = MixBackward { shape, params, q, state, d_total: &[1.0; 5], grads, d_q };
    let error = gpu.mix_backward(&mut cache, call).unwrap_err().to_string();
    assert!(error.contains("another device than forward"), "{error}");
}
