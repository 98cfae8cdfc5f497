//! `update` in fast mode on a device: gradients near the definition in `f64`, by bounds that follow from the unit roundoff of
//! tf32; the same bits in every run; strict where batches are small.

use super::fast::{ROUNDOFF, backend};
use super::update::{Case, cases, group};
use coact_kernels::{
    Activation, Backend, CpuOptions, Loss, Mixer, Precision, QShape, TensorKind, UpdateScratch,
    update_reference,
};

/// Inputs, hidden layers, actions, activation, layer norm, dueling, agents, sets, critics, batch, mixer; double Q is off, as the
/// least difference of two values may change whose target is taken.
type Form = (usize, Vec<usize>, usize, Activation, bool, bool, usize, usize, usize, usize, Mixer);

/// Parameters of a size that keeps sums of the size of what they add up, for inputs below 1.
fn case((input, hidden, n, activation, norm, dueling, agents, sets, critics, batch, mixer): Form) -> Case {
    let (mut case, mut s) = Case::new(mixer, Loss::Squared, false, batch);
    let shape = QShape::new(input, hidden, n, activation, norm, dueling);
    let mut g = group(shape, agents, sets, critics, batch, &mut s);
    let variance = if activation == Activation::Relu { 2.0 } else { 1.0 };
    for params in [&mut g.params, &mut g.target_params] {
        for one in params.chunks_exact_mut(g.shape.param_count()) {
            for tensor in g.shape.mlp.tensors() {
                for p in &mut one[tensor.range()] {
                    *p = match tensor.kind {
                        TensorKind::Weight => *p * (3.0 * variance / tensor.rows as f32).sqrt(),
                        TensorKind::Bias | TensorKind::NormShift => *p * 0.1,
                        TensorKind::NormGain => 1.0 + *p * 0.2,
                    };
                }
            }
        }
    }
    case.groups.push(g);
    case
}

/// Tiles of 32 and of 16 rows, sets, critics, chunks that are not full, widths that fill no instruction.
fn forms() -> Vec<Form> {
    use Activation::{Relu, Tanh};
    vec![
        (18, vec![64, 64], 5, Tanh, false, false, 3, 1, 1, 1410, Mixer::Independent),
        (18, vec![64, 64], 5, Relu, false, false, 3, 1, 1, 1410, Mixer::Independent),
        (33, vec![67], 17, Tanh, false, true, 2, 2, 2, 2117, Mixer::Sum),
        (7, vec![35, 97], 3, Tanh, true, false, 3, 1, 1, 707, Mixer::Sum),
    ]
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|v| v * v).sum::<f64>().sqrt()
}

/// Of a network of L layers, in squares of `u sqrt(2 / 3)` as for values: a gradient of weights is L products away from the
/// TD error and the inputs, and the TD error L from the inputs. The slope `1 - h^2` of tanh after layer l is off by `2 h dz`, at
/// most twice what l products make of sums of the size 1. Together `2 L + 4 (1 + .. + L - 1) = 2 L^2`. The slope of ReLU is 0
/// or 1 and wrong where a sum is nearer to 0 than its error: of sums of unit variance a share of at most the error, of those
/// that count twice that, in each hidden layer.
fn bound(shape: &QShape) -> f64 {
    let layers = shape.mlp.n_layers() as f64;
    let hidden = layers - 1.0;
    let slopes = match shape.mlp.activation {
        Activation::Relu => 2.0 * hidden * ROUNDOFF * (2.0 * hidden / 3.0).sqrt(),
        Activation::Tanh => 0.0,
    };
    (ROUNDOFF * ROUNDOFF * (2.0 / 3.0) * 2.0 * layers * layers + slopes).sqrt()
}

#[test]
#[ignore = "needs a GPU"]
fn fast_gradients_on_a_device_are_near_the_reference() {
    for form in forms() {
        let mut case = case(form);
        let shape = case.groups[0].shape.clone();
        let (want, _) = case.call(|update| update_reference::update(&update));
        let (stats, priority) =
            case.call(|update| backend(Precision::Fast).update(&mut UpdateScratch::new(), update).unwrap());
        let (grads, want_grads) = (&case.groups[0].grads, &want.grads[0]);
        // Each tensor by itself, so that none hides behind a larger one.
        let p = shape.param_count();
        for (net, (got, want)) in grads.chunks_exact(p).zip(want_grads.chunks_exact(p)).enumerate() {
            for tensor in shape.mlp.tensors() {
                let (got, want) = (&got[tensor.range()], &want[tensor.range()]);
                let off = norm(got.iter().zip(want).map(|(a, b)| f64::from(*a) - b));
                let (relative, bound) = (off / norm(want.iter().copied()), bound(&shape));
                assert!(relative <= bound, "{shape:?}, network {net}, {tensor:?}: {relative} over {bound}");
                // Strict mode would be within this.
                assert!(
                    tensor.kind != TensorKind::Weight || relative > 1e-5,
                    "{shape:?}, {tensor:?}: {relative}"
                );
            }
        }
        let off = norm(priority.iter().zip(&want.priority).map(|(a, b)| f64::from(*a) - b));
        let relative = off / norm(want.priority.iter().copied());
        assert!(relative <= bound(&shape), "{shape:?}: priorities {relative}");
        let relative = (f64::from(stats.loss) - want.loss).abs() / want.loss;
        assert!(relative <= 2.0 * bound(&shape), "{shape:?}: loss {relative}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn fast_updates_on_a_device_are_equal_and_for_large_batches_alone() {
    for (form, kernels) in forms().into_iter().skip(1).zip([
        &["update_rows_fast_32", "update_grads_fast", "update_tree"],
        &["update_rows_fast_16", "update_grads_fast", "update_tree"],
    ]) {
        let once = || {
            let mut device = backend(Precision::Fast);
            device.time_launches();
            let bits = case(form.clone()).run(&mut device, &mut UpdateScratch::new()).unwrap();
            (bits, device.take_launches().unwrap().iter().map(|l| l.kernel).collect::<Vec<_>>())
        };
        let (first, launches) = once();
        assert_eq!(launches, kernels);
        assert!(first == once().0);
    }
    let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
    for i in [0, 3] {
        let run = |on: &mut Backend| cases(67).swap_remove(i).run(on, &mut UpdateScratch::new()).unwrap();
        assert!(run(&mut cpu) == run(&mut backend(Precision::Fast)), "case {i}");
    }
}
