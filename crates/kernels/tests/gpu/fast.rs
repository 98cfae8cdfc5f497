//! Fast mode on a device: near the definition in `f64` by bounds that follow from the unit roundoff of tf32, the same bits
//! in every run, and strict where shapes are small. Under the stand-in driver also to the bit of what it is a model of.

use super::act::Case;
use coact_kernels::{
    Activation, Backend, CpuOptions, Error, Exploration, MlpShape, Precision, QShape, TensorKind,
    act_reference, gpus,
};

/// Unit roundoff of tf32: ten bits of mantissa are stored, one is implied.
pub const ROUNDOFF: f64 = 1.0 / 2048.0;

/// Rows for tiles of 16, the last one not full.
const ROWS_16: usize = 16 * 132 + 5;

/// Rows for tiles of 32, the last one not full.
const ROWS_32: usize = 32 * 132 + 7;

pub fn backend(precision: Precision) -> Backend {
    Backend::cuda(0, CpuOptions::default()).unwrap().with_precision(precision).unwrap()
}

/// Parameters as a network begins with: weights keep the size of what they multiply, gains are near 1.
fn scaled(mut case: Case) -> Case {
    let sets = case.params.len() / case.shape.param_count();
    for params in case.params.chunks_exact_mut(case.shape.param_count()).take(sets) {
        for tensor in case.shape.mlp.tensors() {
            for p in &mut params[tensor.range()] {
                *p = match tensor.kind {
                    TensorKind::Weight => *p * (6.0 / tensor.rows as f32).sqrt(),
                    TensorKind::Bias | TensorKind::NormShift => *p * 0.1,
                    TensorKind::NormGain => 1.0 + *p * 0.2,
                };
            }
        }
    }
    case
}

/// Inputs, hidden layers, actions, activation, layer norm, dueling, rows of each agent, agents, parameter sets; widths are
/// no multiples of what an instruction takes.
fn cases() -> Vec<Case> {
    use Activation::{Relu, Tanh};
    [
        (18, vec![64, 64], 5, Relu, false, false, ROWS_32, 1, 1),
        (18, vec![64, 64], 5, Relu, false, false, ROWS_16, 1, 1),
        (1, vec![32], 1, Relu, false, false, ROWS_16, 1, 1),
        (33, vec![67, 130], 17, Tanh, false, true, 709, 3, 3),
        (23, vec![33, 47, 61], 6, Relu, true, true, 1417, 3, 1),
        (40, vec![350], 3, Tanh, true, false, ROWS_16, 1, 1),
    ]
    .into_iter()
    .map(|(input, hidden, n, activation, norm, dueling, n_envs, n_agents, n_sets)| {
        let shape = QShape::new(input, hidden, n, activation, norm, dueling);
        scaled(Case::new(shape, n_envs, n_agents, n_sets))
    })
    .collect()
}

/// Actions and Q-values.
fn greedy(case: &Case, backend: &mut Backend) -> (Vec<u32>, Vec<f32>) {
    let (actions, q) = case.call(backend, Exploration::Greedy).unwrap();
    (actions, q.into_iter().map(f32::from_bits).collect())
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Parameters and observation of each row.
fn rows(case: &Case) -> impl Iterator<Item = (Vec<f64>, Vec<f64>)> + '_ {
    let p = case.shape.param_count();
    case.obs.chunks_exact(case.shape.mlp.input).enumerate().map(move |(row, obs)| {
        let set = row % case.n_agents % case.n_sets;
        (wide(&case.params[set * p..(set + 1) * p]), wide(obs))
    })
}

/// The largest error that the outputs of a network without layer norm can have. An input that is off by `e` and then
/// rounded is off by `(1 + u) (|h| + e) - |h|` at most, so is a weight with no error of its own, and products are exact.
/// Sums round after each of the `k` products and at most eight times more, by `2^-23` where a device cuts off.
fn bound(shape: &MlpShape, params: &[f64], row: &[f64]) -> Vec<f64> {
    let (mut h, mut error) = (row.to_vec(), vec![0.0; row.len()]);
    let weights = shape.tensors().into_iter().filter(|t| t.kind == TensorKind::Weight);
    for tensor in weights {
        let (k, n) = (tensor.rows, tensor.cols);
        let (weight, bias) = params[tensor.offset..tensor.offset + k * n + n].split_at(k * n);
        let sums = (k + 8) as f64 * 2.0_f64.powi(-23);
        let (mut next, mut next_error) = (bias.to_vec(), vec![0.0; n]);
        for j in 0..n {
            let mut size = bias[j].abs();
            for i in 0..k {
                let w = weight[i * n + j];
                let largest = (1.0 + ROUNDOFF).powi(2) * (h[i].abs() + error[i]) * w.abs();
                next[j] += h[i] * w;
                next_error[j] += largest - (h[i] * w).abs();
                size += largest;
            }
            next_error[j] += sums * size;
            if tensor.layer < shape.hidden.len() {
                // Neither function is steeper than 1; the polynomial of tanh is off by less than 1e-6.
                next[j] = match shape.activation {
                    Activation::Relu => next[j].max(0.0),
                    Activation::Tanh => next[j].tanh(),
                };
                next_error[j] += 1e-6;
            }
        }
        (h, error) = (next, next_error);
    }
    error
}

#[test]
#[ignore = "needs a GPU"]
fn fast_values_on_a_device_are_within_the_bound_of_their_roundoff() {
    let mut fast = backend(Precision::Fast);
    for case in cases().into_iter().filter(|c| !c.shape.mlp.layer_norm && !c.shape.dueling) {
        let (_, q) = greedy(&case, &mut fast);
        for (row, (q, (params, obs))) in q.chunks_exact(case.shape.n_actions).zip(rows(&case)).enumerate() {
            let want = act_reference::q_values(&case.shape, &params, &obs);
            let bound = bound(&case.shape.mlp, &params, &obs);
            for ((q, want), bound) in wide(q).iter().zip(&want).zip(&bound) {
                let error = (q - want).abs();
                assert!(error <= *bound, "{:?}, row {row}: {error} over {bound}", case.shape);
            }
        }
    }
}

/// Rounding errors of a layer are independent, of mean zero and of a share `u / sqrt 3` at most in the root mean square, those
/// of an input and of its weight add up to `u sqrt(2 / 3)` of a sum of terms of random sign, and layers add in squares. An
/// activation or a layer norm enlarges no error beyond what it does to the values themselves. That is about many terms: the
/// network of one input and one output is not among these.
#[test]
#[ignore = "needs a GPU"]
fn fast_values_on_a_device_are_near_the_reference_as_a_whole() {
    let mut fast = backend(Precision::Fast);
    for case in cases().into_iter().filter(|c| c.shape.mlp.input > 1) {
        let (_, q) = greedy(&case, &mut fast);
        let (mut error, mut size) = (0.0, 0.0);
        for (q, (params, obs)) in q.chunks_exact(case.shape.n_actions).zip(rows(&case)) {
            for (q, want) in wide(q).iter().zip(act_reference::q_values(&case.shape, &params, &obs)) {
                error += (q - want) * (q - want);
                size += want * want;
            }
        }
        let relative = (error / size).sqrt();
        let bound = ROUNDOFF * (2.0 * case.shape.mlp.n_layers() as f64 / 3.0).sqrt();
        assert!(bound < 1e-3 && relative <= bound, "{:?}: {relative} over {bound}", case.shape);
        // Strict mode would be within this; then nothing above was tested.
        assert!(relative > 1e-5, "{:?}: {relative}", case.shape);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn fast_greedy_actions_on_a_device_agree_where_the_margin_is_clear() {
    let mut fast = backend(Precision::Fast);
    for case in cases().into_iter().filter(|c| c.shape.n_actions > 1) {
        let (actions, _) = greedy(&case, &mut fast);
        let (mut clear, mut equal) = (0_usize, 0_usize);
        for (&action, (params, obs)) in actions.iter().zip(rows(&case)) {
            let q = act_reference::q_values(&case.shape, &params, &obs);
            let best = (0..q.len()).max_by(|&a, &b| q[a].total_cmp(&q[b])).unwrap();
            let second = (0..q.len()).filter(|&a| a != best).map(|a| q[a]).fold(f64::MIN, f64::max);
            if q[best] - second > 1e-2 {
                clear += 1;
                equal += usize::from(action as usize == best);
            }
        }
        assert!(clear * 10 >= actions.len() * 9, "{:?}: {clear} clear rows", case.shape);
        assert!(equal * 1000 >= clear * 995, "{:?}: {equal} of {clear}", case.shape);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn fast_runs_on_a_device_are_equal() {
    let bits =
        |(actions, q): (Vec<u32>, Vec<f32>)| (actions, q.into_iter().map(f32::to_bits).collect::<Vec<_>>());
    for case in cases().into_iter().filter(|c| c.shape.mlp.input < 20) {
        let once = || bits(greedy(&case, &mut backend(Precision::Fast)));
        assert!(once() == once(), "{:?}", case.shape);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn fast_kernels_on_a_device_are_for_large_shapes_alone() {
    let kernel = |hidden: Vec<usize>, rows, precision| {
        let shape = QShape::new(18, hidden, 5, Activation::Relu, false, false);
        let (case, mut device) = (scaled(Case::new(shape, rows, 1, 1)), backend(precision));
        device.time_launches();
        let got = case.call(&mut device, Exploration::EpsilonGreedy { epsilon: 0.3 });
        let launches = device.take_launches().unwrap();
        assert_eq!(launches.len(), 1);
        let cpu = case.call(
            &mut Backend::cpu(CpuOptions::default()).unwrap(),
            Exploration::EpsilonGreedy { epsilon: 0.3 },
        );
        (launches[0].kernel, launches[0].blocks.0, got == cpu)
    };
    // Strict code gives the processor's bits in fast mode as well.
    assert_eq!(kernel(vec![64, 64], ROWS_32, Precision::Strict), ("act_32", 133, true));
    assert_eq!(kernel(vec![64, 64], ROWS_32, Precision::Fast), ("act_fast_32", 133, false));
    assert_eq!(kernel(vec![64, 64], ROWS_16, Precision::Fast), ("act_fast_16", 133, false));
    assert_eq!(kernel(vec![64, 64], 100, Precision::Fast), ("act_8", 13, true));
    assert_eq!(kernel(vec![31, 64], ROWS_32, Precision::Fast), ("act_32", 133, true));
    assert_eq!(kernel(vec![], ROWS_32, Precision::Fast), ("act_32", 133, true));
    assert_eq!(kernel(vec![615], ROWS_16, Precision::Fast), ("act_8", 265, true));
}

/// Numbers that lie on, beside and between those of tf32 come through two layers as the nearest one, ties away from zero.
#[test]
#[ignore = "needs a GPU"]
fn fast_inputs_on_a_device_are_rounded_to_tf32() {
    let shape = QShape::new(1, vec![32], 1, Activation::Relu, false, false);
    let mut case = Case::new(shape, ROWS_16, 1, 1);
    let (step, half) = (2.0_f32.powi(-10), 2.0_f32.powi(-11));
    let below = f32::from_bits((1.0 + half).to_bits() - 1);
    let known = [
        (1.0 + half, 1.0 + step),
        (-1.0 - half, -1.0 - step),
        (below, 1.0),
        (-below, -1.0),
        (1.0 + 3.0 * half, 1.0 + 2.0 * step),
        (2.0 - half, 2.0),
        (1e30, f32::from_bits((1e30_f32.to_bits() + 0x1000) & !0x1fff)),
        (0.0, 0.0),
    ];
    for (x, (from, _)) in case.obs.iter_mut().zip(known.iter().cycle()) {
        *x = *from;
    }
    // q = relu(x) - relu(-x).
    case.params.fill(0.0);
    case.params[..2].copy_from_slice(&[1.0, -1.0]);
    case.params[64..66].copy_from_slice(&[1.0, -1.0]);
    let (_, q) = greedy(&case, &mut backend(Precision::Fast));
    for (q, (from, want)) in q.iter().zip(known.iter().cycle()) {
        assert_eq!(q, want, "{from}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn a_row_without_a_legal_action_is_named_in_fast_mode_on_a_device() {
    let mut case = Case::plain(1500, 3);
    case.mask = vec![31; 4500];
    case.mask[1007 * 3 + 2] = 0xffe0;
    let error = case.run(&mut backend(Precision::Fast)).unwrap_err();
    assert_eq!(error, Error::NoLegalAction { env: 1007, agent: 2 });
}

fn tf32(v: f32) -> f32 {
    f32::from_bits((v.to_bits() + 0x1000) & !0x1fff)
}

/// What the stand-in computes: chains over k, the even ones of each eight first, from the bias.
fn modelled(shape: &MlpShape, params: &[f32], row: &[f32]) -> Vec<f32> {
    let mut h = row.to_vec();
    for tensor in shape.tensors().into_iter().filter(|t| t.kind == TensorKind::Weight) {
        let (k, n) = (tensor.rows, tensor.cols);
        let (weight, bias) = params[tensor.offset..tensor.offset + k * n + n].split_at(k * n);
        let hidden = tensor.layer < shape.hidden.len();
        let output = |j: usize| {
            let order = (0..k.div_ceil(8)).flat_map(|eight| [0, 2, 4, 6, 1, 3, 5, 7].map(|i| 8 * eight + i));
            let sum =
                order.filter(|&i| i < k).fold(bias[j], |s, i| tf32(h[i]).mul_add(tf32(weight[i * n + j]), s));
            if hidden { sum.max(0.0) } else { sum }
        };
        h = (0..n).map(output).collect();
    }
    h
}

/// In each order of threads. A device adds in an order of its own.
#[test]
#[ignore = "needs the stand-in driver"]
fn fast_values_on_a_device_that_is_a_stand_in_are_those_of_the_model() {
    if gpus().unwrap()[0].name != "stand-in" {
        return;
    }
    let mut fast = backend(Precision::Fast);
    for (input, hidden, n, n_envs) in [
        (18, vec![64, 64], 5, ROWS_32),
        (1, vec![32], 1, ROWS_16),
        (9, vec![77, 40, 65], 70, ROWS_16),
        (9, vec![77, 40, 65], 70, ROWS_32),
    ] {
        let shape = QShape::new(input, hidden, n, Activation::Relu, false, false);
        let case = scaled(Case::new(shape, n_envs, 1, 1));
        let (_, q) = greedy(&case, &mut fast);
        for (row, (q, obs)) in q.chunks_exact(n).zip(case.obs.chunks_exact(input)).enumerate() {
            let want = modelled(&case.shape.mlp, &case.params, obs);
            assert!(q == want, "{:?}, row {row}: {q:?}, not {want:?}", case.shape);
        }
    }
}
