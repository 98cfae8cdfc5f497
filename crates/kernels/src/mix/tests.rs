//! Mixing against the plain definition, its slopes, threads, and what is refused.

use super::*;
use crate::CpuOptions;
use coact_core::{Purpose, Stream};

struct Case {
    shape: MixShape,
    rows: usize,
    params: Vec<f32>,
    q: Vec<f32>,
    state: Vec<f32>,
    d_total: Vec<f32>,
}

impl Case {
    fn new(n_agents: usize, state: usize, embed: usize, hypernet: Option<usize>, rows: usize) -> Self {
        let shape = MixShape { n_agents, state, embed, hypernet };
        let mut s = Stream::new(5, Purpose::Init, rows as u32, embed as u64);
        let mut draw = |n: usize| (0..n).map(|_| s.range(-1.0, 1.0)).collect::<Vec<_>>();
        Self {
            params: draw(shape.param_count()),
            q: draw(rows * n_agents),
            state: draw(rows * state),
            d_total: draw(rows),
            shape,
            rows,
        }
    }

    /// Totals, gradients of the parameters and of the agents' values.
    fn run(&self, backend: &mut Backend, cache: &mut MixCache) -> [Vec<f32>; 3] {
        let mut out = [vec![9.0; self.rows], vec![9.0; self.params.len()], vec![9.0; self.q.len()]];
        let [total, grads, d_q] = &mut out;
        let Self { shape, params, q, state, d_total, .. } = self;
        backend.mix_forward(cache, MixForward { shape: *shape, params, q, state, total }).unwrap();
        let call = MixBackward { shape: *shape, params, q, state, d_total, grads, d_q };
        backend.mix_backward(cache, call).unwrap();
        out
    }

    /// The same by the plain definition.
    fn reference(&self) -> [Vec<f64>; 3] {
        let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let (params, mut grads) = (wide(&self.params), vec![0.0; self.params.len()]);
        let (mut total, mut d_q) = (Vec::new(), Vec::new());
        for r in 0..self.rows {
            let q = wide(&self.q[r * self.shape.n_agents..][..self.shape.n_agents]);
            let state = wide(&self.state[r * self.shape.state..][..self.shape.state]);
            let trace = reference::forward(&self.shape, &params, &q, &state);
            total.push(trace.total);
            let d = f64::from(self.d_total[r]);
            d_q.extend(reference::backward(&self.shape, &params, &q, &trace, d, &mut grads));
        }
        [total, grads, d_q]
    }
}

fn cpu(threads: usize) -> Backend {
    Backend::cpu(CpuOptions { threads, isa: None }).unwrap()
}

fn shapes() -> [(usize, usize, usize, Option<usize>); 5] {
    [(3, 7, 16, Some(12)), (1, 1, 1, None), (2, 9, 5, None), (9, 30, 33, Some(64)), (5, 4, 1, Some(1))]
}

#[test]
fn mixing_and_its_gradients_are_those_of_the_definition() {
    for (agents, state, embed, hypernet) in shapes() {
        for rows in [0, 1, 33] {
            let case = Case::new(agents, state, embed, hypernet, rows);
            let all: usize = case.shape.networks().iter().map(MlpShape::param_count).sum();
            assert_eq!(case.params.len(), all);
            let found = case.run(&mut cpu(1), &mut MixCache::new());
            for (what, (found, expected)) in found.iter().zip(case.reference()).enumerate() {
                assert_eq!(found.len(), expected.len());
                // Rounding grows with what was added up.
                let size = expected.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
                for (i, (&f, e)) in found.iter().zip(expected).enumerate() {
                    let off = (f64::from(f) - e).abs() / size;
                    assert!(off < 3e-6, "{:?}, {rows} rows, output {what} [{i}]: {f} or {e}", case.shape);
                }
            }
        }
    }
}

/// The reference's own gradients, by central differences.
#[test]
fn the_definitions_gradients_are_slopes() {
    let case = Case::new(3, 4, 6, Some(5), 1);
    let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (mut params, mut q, state) = (wide(&case.params), wide(&case.q), wide(&case.state));
    let trace = reference::forward(&case.shape, &params, &q, &state);
    let mut grads = vec![0.0; params.len()];
    let d_q = reference::backward(&case.shape, &params, &q, &trace, 1.0, &mut grads);
    let h = 1e-6;
    for (i, grad) in grads.iter().enumerate() {
        let old = params[i];
        let mut at = |v: f64| {
            params[i] = v;
            reference::forward(&case.shape, &params, &q, &state).total
        };
        let slope = (at(old + h) - at(old - h)) / (2.0 * h);
        at(old);
        assert!((slope - grad).abs() < 1e-6, "parameter {i}: {grad} or {slope}");
    }
    for (i, grad) in d_q.iter().enumerate() {
        let old = q[i];
        let mut at = |v: f64| {
            q[i] = v;
            reference::forward(&case.shape, &params, &q, &state).total
        };
        let slope = (at(old + h) - at(old - h)) / (2.0 * h);
        at(old);
        assert!((slope - grad).abs() < 1e-6 && *grad >= 0.0, "agent {i}: {grad} or {slope}");
    }
}

#[test]
fn threads_are_invisible_in_mixing() {
    let case = Case::new(4, 11, 16, Some(24), 1100);
    let bits = |out: [Vec<f32>; 3]| out.map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>());
    let alone = bits(case.run(&mut cpu(1), &mut MixCache::new()));
    let mut three = cpu(3);
    three.always_split();
    assert!(alone == bits(case.run(&mut three, &mut MixCache::new())));
}

/// One cache serves mixers and rows of any size, one after the other.
#[test]
fn a_cache_serves_other_shapes() {
    let (mut backend, mut cache) = (cpu(1), MixCache::new());
    for (i, (agents, state, embed, hypernet)) in shapes().into_iter().enumerate() {
        let case = Case::new(agents, state, embed, hypernet, 40 - 9 * i);
        assert_eq!(case.run(&mut backend, &mut cache), case.run(&mut cpu(1), &mut MixCache::new()));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut backend, mut cache) = (cpu(1), MixCache::new());
    let case = Case::new(2, 3, 4, None, 5);
    let Case { shape, params, q, state, d_total, .. } = &case;
    let mut total = [0.0; 5];
    let mut forward = |cache: &mut MixCache, shape, state: &[f32]| {
        cpu(1).mix_forward(cache, MixForward { shape, params, q, state, total: &mut total })
    };
    let none = forward(&mut cache, MixShape { embed: 0, ..*shape }, state);
    assert!(none.unwrap_err().to_string().contains("empty layer"));
    let other = forward(&mut cache, MixShape { embed: 3, ..*shape }, state);
    assert!(matches!(other, Err(Error::Length { what: "params", .. })), "{other:?}");
    let few = forward(&mut cache, *shape, &state[1..]);
    assert!(matches!(few, Err(Error::Length { what: "state", .. })), "{few:?}");
    let (mut grads, mut d_q) = (vec![0.0; params.len()], vec![0.0; q.len()]);
    let mut back = |cache: &mut MixCache, d_total: &[f32]| {
        let (grads, d_q) = (&mut grads, &mut d_q);
        backend.mix_backward(cache, MixBackward { shape: *shape, params, q, state, d_total, grads, d_q })
    };
    let early = back(&mut MixCache::new(), d_total).unwrap_err();
    assert!(early.to_string().contains("after forward of None"), "{early}");
    forward(&mut cache, *shape, state).unwrap();
    assert!(matches!(back(&mut cache, &d_total[1..]), Err(Error::Length { what: "d_total", .. })));
    back(&mut cache, d_total).unwrap();
}
