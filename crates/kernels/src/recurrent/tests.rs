//! The reference against finite differences, the kernels against the reference, and bits against each other.

use super::*;
use crate::{Activation, CpuOptions, Isa, MlpCache, MlpShape};
use coact_core::{Purpose, Stream};

const KINDS: [CellKind; 2] = [CellKind::Gru, CellKind::Lstm];

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Sequences with episodes that begin at the start, in the middle and at the end.
struct Case {
    shape: CellShape,
    steps: usize,
    rows: usize,
    params: Vec<f32>,
    input_side: Vec<f32>,
    is_first: Vec<bool>,
    memory: Vec<f32>,
    d_hidden: Vec<f32>,
}

impl Case {
    fn new(kind: CellKind, width: usize, steps: usize, rows: usize) -> Self {
        let shape = CellShape { kind, width };
        let n = steps * rows;
        let mut s = Stream::new(9, Purpose::Init, 1, 0);
        Self {
            shape,
            steps,
            rows,
            params: noise(1, shape.param_count()),
            input_side: noise(2, n * shape.gate_width()),
            is_first: (0..n).map(|_| s.below(4) == 0).collect(),
            memory: noise(3, rows * shape.memory_width()),
            d_hidden: noise(4, n * width),
        }
    }

    /// Row `r` of a `[T, R, width]` column, and its flags.
    fn sequence(&self, column: &[f32], r: usize) -> Vec<f64> {
        let width = column.len() / (self.steps * self.rows);
        let at = |t: usize| (t * self.rows + r) * width;
        (0..self.steps).flat_map(|t| wide(&column[at(t)..at(t) + width])).collect()
    }

    fn flags(&self, r: usize) -> Vec<bool> {
        (0..self.steps).map(|t| self.is_first[t * self.rows + r]).collect()
    }

    fn run(&self, backend: &mut Backend, cache: &mut CellCache) -> Outcome {
        let (n, m) = (self.steps * self.rows, self.shape.memory_width());
        let mut hidden = vec![9.0; n * self.shape.width];
        let forward = CellForward {
            shape: self.shape,
            params: &self.params,
            steps: self.steps,
            rows: self.rows,
            input_side: &self.input_side,
            is_first: &self.is_first,
            memory: &self.memory,
            hidden: &mut hidden,
        };
        backend.cell_forward(cache, forward).unwrap();
        let mut grads = vec![9.0; self.params.len()];
        let mut d_input_side = vec![9.0; self.input_side.len()];
        let mut d_memory = vec![9.0; self.rows * m];
        let backward = CellBackward {
            shape: self.shape,
            params: &self.params,
            d_hidden: &self.d_hidden,
            grads: &mut grads,
            d_input_side: &mut d_input_side,
            d_memory: Some(&mut d_memory),
        };
        backend.cell_backward(cache, backward).unwrap();
        Outcome { hidden, grads, d_input_side, d_memory }
    }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    hidden: Vec<f32>,
    grads: Vec<f32>,
    d_input_side: Vec<f32>,
    d_memory: Vec<f32>,
}

#[test]
fn reference_backward_matches_finite_differences() {
    for kind in KINDS {
        let case = Case::new(kind, 3, 7, 1);
        let shape = case.shape;
        let is_first = [false, false, true, false, false, true, false];
        let (params, x) = (wide(&case.params), wide(&case.input_side));
        let (memory, d_hidden) = (wide(&case.memory), wide(&case.d_hidden));
        let loss = |params: &[f64], x: &[f64], memory: &[f64]| -> f64 {
            let steps = reference::forward(shape, params, x, &is_first, memory);
            let h: Vec<f64> = steps.into_iter().flat_map(|s| s.h).collect();
            h.iter().zip(&d_hidden).map(|(h, d)| h * d).sum()
        };
        let steps = reference::forward(shape, &params, &x, &is_first, &memory);
        let exact = reference::backward(shape, &params, &steps, &is_first, &d_hidden);
        // No step before the first reset reaches beyond it, but the first two read the memory.
        assert!(exact.memory.iter().any(|&d| d != 0.0));
        check(&params, &exact.params, &mut |p| loss(p, &x, &memory));
        check(&x, &exact.input_side, &mut |x| loss(&params, x, &memory));
        check(&memory, &exact.memory, &mut |m| loss(&params, &x, m));
    }
}

fn check(at: &[f64], gradient: &[f64], f: &mut dyn FnMut(&[f64]) -> f64) {
    let h = 1e-6;
    for (i, &g) in gradient.iter().enumerate() {
        let (mut up, mut down) = (at.to_vec(), at.to_vec());
        up[i] += h;
        down[i] -= h;
        let numeric = (f(&up) - f(&down)) / (2.0 * h);
        assert!((numeric - g).abs() < 1e-7 * g.abs().max(1.0), "{i}: {numeric} or {g}");
    }
}

#[test]
fn cells_match_the_reference_in_several_chunks() {
    for kind in KINDS {
        for (width, steps, rows) in [(17, 1, 1), (5, 9, 67), (16, 40, 1), (33, 3, 100)] {
            let case = Case::new(kind, width, steps, rows);
            let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
            let outcome = case.run(&mut backend, &mut CellCache::new());
            compare(&case, &outcome);
        }
    }
}

fn compare(case: &Case, outcome: &Outcome) {
    let (shape, m) = (case.shape, case.shape.memory_width());
    let name = format!("{shape:?}, {} steps of {} rows", case.steps, case.rows);
    let params = wide(&case.params);
    let close = |what: &str, found: &[f64], exact: &[f64]| {
        for (i, (a, b)) in found.iter().zip(exact).enumerate() {
            assert!((a - b).abs() < 2e-4 * b.abs().max(1.0), "{name}: {what} {i} is {a}, not {b}");
        }
    };
    let mut grads = vec![0.0; params.len()];
    for r in 0..case.rows {
        let flags = case.flags(r);
        let memory = wide(&case.memory[r * m..(r + 1) * m]);
        let steps = reference::forward(shape, &params, &case.sequence(&case.input_side, r), &flags, &memory);
        let hidden: Vec<f64> = steps.iter().flat_map(|s| s.h.clone()).collect();
        close("hidden", &case.sequence(&outcome.hidden, r), &hidden);
        let exact = reference::backward(shape, &params, &steps, &flags, &case.sequence(&case.d_hidden, r));
        close("d_input_side", &case.sequence(&outcome.d_input_side, r), &exact.input_side);
        close("d_memory", &wide(&outcome.d_memory[r * m..(r + 1) * m]), &exact.memory);
        grads.iter_mut().zip(&exact.params).for_each(|(g, e)| *g += e);
    }
    let size = grads.iter().map(|v| v * v).sum::<f64>().sqrt();
    let gap = outcome.grads.iter().zip(&grads).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt();
    assert!(gap < 1e-5 * size.max(1.0), "{name}: gradient off by {gap} of {size}");
}

#[test]
fn threads_and_instruction_sets_are_invisible() {
    for kind in KINDS {
        for (width, steps, rows) in [(19, 1, 5), (12, 6, 1), (7, 23, 41)] {
            let case = Case::new(kind, width, steps, rows);
            let mut outcomes = Vec::new();
            for isa in Isa::available() {
                for threads in [1, 2, 3] {
                    let mut backend = Backend::cpu(CpuOptions { threads, isa: Some(isa) }).unwrap();
                    backend.always_split();
                    outcomes.push(case.run(&mut backend, &mut CellCache::new()));
                }
            }
            assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "{:?}, {rows} rows", case.shape);
        }
    }
}

#[test]
fn steps_one_by_one_are_the_sequence() {
    for kind in KINDS {
        let case = Case::new(kind, 6, 8, 3);
        let (shape, m) = (case.shape, case.shape.memory_width());
        let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
        let mut cache = CellCache::new();
        let whole = case.run(&mut backend, &mut cache).hidden;
        let mut memory = case.memory.clone();
        let (units, gates) = (case.rows * 6, case.rows * shape.gate_width());
        for t in 0..case.steps {
            let mut hidden = vec![0.0; units];
            let call = CellForward {
                shape,
                params: &case.params,
                steps: 1,
                rows: case.rows,
                input_side: &case.input_side[t * gates..(t + 1) * gates],
                is_first: &case.is_first[t * case.rows..(t + 1) * case.rows],
                memory: &memory,
                hidden: &mut hidden,
            };
            backend.cell_forward(&mut cache, call).unwrap();
            assert_eq!(hidden, whole[t * units..(t + 1) * units], "{kind:?}, step {t}");
            for (r, memory) in memory.chunks_exact_mut(m).enumerate() {
                memory[..6].copy_from_slice(&hidden[r * 6..(r + 1) * 6]);
                if kind == CellKind::Lstm {
                    memory[6..].copy_from_slice(cache.cell_state(shape, 0, r));
                }
            }
        }
    }
}

#[test]
fn a_cache_serves_calls_of_other_sizes_and_wrong_lengths_are_refused() {
    let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
    let mut cache = CellCache::new();
    for (kind, steps, rows) in [(CellKind::Lstm, 9, 4), (CellKind::Gru, 2, 2), (CellKind::Lstm, 3, 7)] {
        let case = Case::new(kind, 5, steps, rows);
        assert_eq!(case.run(&mut backend, &mut cache), case.run(&mut backend, &mut CellCache::new()));
    }
    let mut case = Case::new(CellKind::Gru, 5, 2, 2);
    let call = CellBackward {
        shape: case.shape,
        params: &case.params,
        d_hidden: &case.d_hidden,
        grads: &mut [0.0; 90],
        d_input_side: &mut [0.0; 60],
        d_memory: None,
    };
    let error = backend.cell_backward(&mut cache, call).unwrap_err().to_string();
    assert!(
        error.contains("Gru") && error.contains("Lstm") && error.ends_with("go forward with it first"),
        "{error}"
    );
    case.is_first.pop();
    let mut hidden = vec![0.0; 20];
    let call = CellForward {
        shape: case.shape,
        params: &case.params,
        steps: 2,
        rows: 2,
        input_side: &case.input_side,
        is_first: &case.is_first,
        memory: &case.memory,
        hidden: &mut hidden,
    };
    let error = backend.cell_forward(&mut cache, call).unwrap_err();
    assert_eq!(error.to_string(), "is_first holds 3 elements; its shape [T, R] needs 4");
}

#[test]
fn a_network_is_its_parts_and_wrong_shapes_are_refused() {
    let layers = |input, hidden: &[usize], output| MlpShape {
        input,
        hidden: hidden.to_vec(),
        output,
        activation: Activation::Tanh,
        layer_norm: true,
    };
    let case = Case::new(CellKind::Lstm, 5, 4, 3);
    let (cell, n) = (case.shape, case.steps * case.rows);
    let (encoder, head) = (layers(3, &[6], 20), layers(5, &[4], 2));
    let shape = RecurrentShape { encoder: &encoder, cell, head: &head };
    let (params, input) = (noise(5, shape.param_count()), noise(6, n * 3));
    let (of_cell, of_head) = (encoder.param_count(), encoder.param_count() + cell.param_count());
    let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
    let (mut gates, mut hidden, mut want) = (vec![0.0; n * 20], vec![0.0; n * 5], vec![0.0; n * 2]);
    backend.mlp_forward(&encoder, &params[..of_cell], n, &input, &mut MlpCache::new(), &mut gates);
    let mut cells = CellCache::new();
    let call = CellForward {
        shape: cell,
        params: &params[of_cell..of_head],
        steps: case.steps,
        rows: case.rows,
        input_side: &gates,
        is_first: &case.is_first,
        memory: &case.memory,
        hidden: &mut hidden,
    };
    backend.cell_forward(&mut cells, call).unwrap();
    backend.mlp_forward(&head, &params[of_head..], n, &hidden, &mut MlpCache::new(), &mut want);
    let (mut cache, mut output) = (RecurrentCache::new(), vec![0.0; n * 2]);
    let mut forward = |encoder: &MlpShape, cache: &mut RecurrentCache| {
        let call = RecurrentForward {
            shape: RecurrentShape { encoder, cell, head: &head },
            params: &params,
            steps: case.steps,
            rows: case.rows,
            input: &input,
            is_first: &case.is_first,
            memory: &case.memory,
            output: &mut output,
        };
        backend.recurrent_forward(cache, call).map(|()| output.clone())
    };
    assert_eq!(forward(&encoder, &mut cache).unwrap(), want);
    let mut memory = [0.0; 10];
    cache.memory_after(cell, 3, 1, &mut memory);
    assert_eq!(memory[..5], hidden[10 * 5..][..5]);
    assert_eq!(memory[5..], *cells.cell_state(cell, 3, 1));
    let error = forward(&layers(3, &[6], 15), &mut cache).unwrap_err().to_string();
    assert!(
        error.starts_with("a cell of 5 units takes 20 inputs") && error.ends_with("they have 15 and 5"),
        "{error}"
    );
}
