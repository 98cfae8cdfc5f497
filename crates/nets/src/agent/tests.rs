//! The network against plain `f64` and finite differences, sequences against single steps, names and first values.

use super::*;
use crate::ConvLayer;
use coact_kernels::{CpuOptions, conv_reference, mlp_reference, recurrent_reference};

fn backend() -> Backend {
    Backend::cpu(CpuOptions::default()).unwrap()
}

fn shapes() -> Vec<AgentNetShape> {
    let cell = |kind| Some(Cell { kind, width: 6 });
    let mut out = Vec::new();
    for cell in [None, cell(CellKind::Gru), cell(CellKind::Lstm)] {
        for (encoder, head, layer_norm) in [(vec![], vec![], false), (vec![7], vec![5], true)] {
            let activation = Activation::Tanh;
            let grid = None;
            out.push(AgentNetShape {
                input: 4,
                grid,
                encoder,
                cell,
                head,
                output: 3,
                activation,
                layer_norm,
            });
        }
        out.push(AgentNetShape { cell, ..with_grid() });
    }
    out
}

/// Two convolutions over a grid of `[2, 4, 3]`, and two numbers beside it.
fn with_grid() -> AgentNetShape {
    let layer = |filters, kernel, padding| ConvLayer { filters, kernel, stride: 1, padding };
    let layers = vec![layer(3, 3, 1), layer(2, 2, 0)];
    let grid = Some(GridShape { channels: 2, height: 4, width: 3, layers });
    let activation = Activation::Tanh;
    AgentNetShape { grid, encoder: vec![6], activation, ..AgentNetShape::linear(26, 3) }
}

/// Five steps of three sequences.
struct Case {
    net: AgentNet,
    params: Vec<f32>,
    obs: Vec<f32>,
    is_first: Vec<bool>,
    memory: Vec<f32>,
}

const STEPS: usize = 5;
const ROWS: usize = 3;

fn noise(index: u32, n: usize) -> Vec<f32> {
    let mut stream = Stream::new(5, Purpose::Init, index, 1000);
    (0..n).map(|_| stream.range(-1.0, 1.0)).collect()
}

impl Case {
    fn new(shape: AgentNetShape) -> Self {
        let net = AgentNet::new(shape).unwrap();
        let mut params = noise(0, net.param_count());
        net.init(Init::Torch, 1, 0, &mut params, 1.0);
        // Norm gains and shifts away from where they start, and no zeros anywhere.
        params.iter_mut().zip(noise(9, net.param_count())).for_each(|(p, n)| *p += 0.2 * n);
        let is_first = (0..STEPS * ROWS).map(|i| [4, 8, 12].contains(&i)).collect();
        let memory = noise(2, ROWS * net.memory_width());
        let obs = noise(1, STEPS * ROWS * net.shape().input);
        Self { net, params, obs, is_first, memory }
    }

    fn forward(&mut self, backend: &mut Backend, memory_out: Option<&mut [f32]>) -> Vec<f32> {
        let mut out = vec![9.0; STEPS * ROWS * self.net.shape().output];
        let Self { net, params, obs, is_first, memory } = self;
        net.forward(backend, params, STEPS, ROWS, obs, is_first, memory, &mut out, memory_out).unwrap();
        out
    }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Outputs `[T, R, N]` in `f64`, from the pieces' references.
fn exact(case: &Case, params: &[f64], obs: &[f64]) -> Vec<f64> {
    let (trunk, cell, head) = case.net.shape().parts(case.net.trunk.input);
    let width = obs.len() / (STEPS * ROWS);
    let [_, of_trunk, of_cell, of_head] = case.net.ranges();
    let row = |t: usize, r: usize| features(case, params, &obs[(t * ROWS + r) * width..][..width]);
    let before = |t, r| mlp_reference::forward(&trunk, &params[of_trunk.clone()], &row(t, r)).output;
    let Some((cell, head)) = cell.zip(head) else {
        return (0..STEPS * ROWS).flat_map(|i| before(i / ROWS, i % ROWS)).collect();
    };
    let n = head.output;
    let mut out = vec![0.0; STEPS * ROWS * n];
    for r in 0..ROWS {
        let gates: Vec<f64> = (0..STEPS).flat_map(|t| before(t, r)).collect();
        let flags: Vec<bool> = (0..STEPS).map(|t| case.is_first[t * ROWS + r]).collect();
        let m = cell.memory_width();
        let memory = wide(&case.memory[r * m..(r + 1) * m]);
        let steps = recurrent_reference::forward(cell, &params[of_cell.clone()], &gates, &flags, &memory);
        for (t, step) in steps.iter().enumerate() {
            let after = mlp_reference::forward(&head, &params[of_head.clone()], &step.h).output;
            out[(t * ROWS + r) * n..][..n].copy_from_slice(&after);
        }
    }
    out
}

/// What the encoder reads of one observation.
fn features(case: &Case, params: &[f64], obs: &[f64]) -> Vec<f64> {
    let Some(shape) = &case.net.shape().grid else { return obs.to_vec() };
    let (mut grid, beside) = obs.split_at(shape.cells());
    let mut now;
    let mut start = 0;
    for convolution in shape.convolutions(obs.len()).unwrap() {
        let end = start + convolution.param_count();
        now = conv_reference::forward(&convolution, &params[start..end], grid);
        now.iter_mut().for_each(|v| *v = v.tanh());
        (grid, start) = (&now, end);
    }
    [grid, beside].concat()
}

#[test]
fn forward_and_backward_agree_with_f64() {
    for shape in shapes() {
        let name = format!("{shape:?}");
        let mut case = Case::new(shape);
        let mut backend = backend();
        let out = case.forward(&mut backend, None);
        let (params, obs) = (wide(&case.params), wide(&case.obs));
        for (i, (&a, b)) in out.iter().zip(exact(&case, &params, &obs)).enumerate() {
            assert!((f64::from(a) - b).abs() < 1e-5, "{name}: output {i} is {a}, not {b}");
        }
        let pick = noise(3, out.len());
        let (mut grads, mut d_obs) = (vec![9.0; params.len()], vec![9.0; obs.len()]);
        case.net
            .backward(&mut backend, &case.params, &case.obs, &pick, &mut grads, Some(&mut d_obs))
            .unwrap();
        let loss = |params: &[f64], obs: &[f64]| -> f64 {
            exact(&case, params, obs).iter().zip(&pick).map(|(o, &p)| o * f64::from(p)).sum()
        };
        differences(&name, &params, &grads, |p| loss(p, &obs));
        differences(&name, &obs, &d_obs, |o| loss(&params, o));
    }
}

fn differences(name: &str, at: &[f64], gradient: &[f32], f: impl Fn(&[f64]) -> f64) {
    let h = 1e-5;
    for (i, &g) in gradient.iter().enumerate() {
        let (mut up, mut down) = (at.to_vec(), at.to_vec());
        up[i] += h;
        down[i] -= h;
        let numeric = (f(&up) - f(&down)) / (2.0 * h);
        let gap = (numeric - f64::from(g)).abs();
        assert!(gap < 2e-5 * numeric.abs().max(1.0), "{name}: gradient {i} is {g}, not {numeric}");
    }
}

#[test]
fn steps_one_by_one_are_the_sequence_and_memory_is_told() {
    for shape in shapes() {
        let mut case = Case::new(shape);
        let mut backend = backend();
        let mut last = vec![0.0; case.memory.len()];
        let whole = case.forward(&mut backend, Some(&mut last));
        let m = case.net.memory_width();
        let mut told = vec![0.0; STEPS * ROWS * m];
        for (i, told) in told.chunks_exact_mut(m.max(1)).enumerate() {
            case.net.memory_after(i / ROWS, i % ROWS, told);
        }
        let Case { net, params, obs, is_first, memory } = &mut case;
        let (mut out, d) = (vec![0.0; ROWS * 3], net.shape().input);
        for t in 0..STEPS {
            let rows = t * ROWS..(t + 1) * ROWS;
            let obs = &obs[rows.start * d..rows.end * d];
            net.step(&mut backend, params, ROWS, obs, &is_first[rows.clone()], memory, &mut out).unwrap();
            assert_eq!(out, whole[rows.start * 3..rows.end * 3], "step {t} of {:?}", net.shape());
            assert_eq!(memory[..], told[rows.start * m..rows.end * m], "memory after step {t}");
        }
        assert_eq!(*memory, last);
    }
}

#[test]
fn what_came_before_an_episode_does_not_matter_in_it() {
    for shape in shapes().into_iter().filter(|s| s.cell.is_some()) {
        let mut case = Case::new(shape);
        let mut backend = backend();
        let before = case.forward(&mut backend, None);
        // Row 1 begins an episode in step 1, row 2 in step 2, row 0 in step 4.
        case.memory.iter_mut().for_each(|m| *m += 1.0);
        let after = case.forward(&mut backend, None);
        for (i, (a, b)) in before.chunks_exact(3).zip(after.chunks_exact(3)).enumerate() {
            let (t, r) = (i / ROWS, i % ROWS);
            assert_eq!(a == b, t >= [4, 1, 2][r], "step {t} of row {r}");
        }
    }
}

#[test]
fn tensors_cover_the_parameters_and_have_the_names_of_torch() {
    for shape in shapes() {
        let net = AgentNet::new(shape).unwrap();
        let mut next = 0;
        for t in net.tensors() {
            assert_eq!((t.range.start, t.range.len()), (next, t.rows * t.cols), "{}", t.name);
            next = t.range.end;
        }
        assert_eq!(next, net.param_count());
    }
    let net = AgentNet::new(shapes().remove(4)).unwrap();
    let tensors = net.to_torch(&noise(0, net.param_count()));
    let names: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.shape.clone())).collect();
    let expected = [
        ("encoder.0.weight", vec![7, 4]),
        ("encoder.0.bias", vec![7]),
        ("encoder.1.weight", vec![7]),
        ("encoder.1.bias", vec![7]),
        ("rnn.weight_ih", vec![18, 7]),
        ("rnn.bias_ih", vec![18]),
        ("rnn.weight_hh", vec![18, 6]),
        ("rnn.bias_hh", vec![18]),
        ("head.0.weight", vec![5, 6]),
        ("head.0.bias", vec![5]),
        ("head.1.weight", vec![5]),
        ("head.1.bias", vec![5]),
        ("head.3.weight", vec![3, 5]),
        ("head.3.bias", vec![3]),
    ];
    assert_eq!(names, expected);
    let net = AgentNet::new(with_grid()).unwrap();
    let params = noise(0, net.param_count());
    let tensors = net.to_torch(&params);
    let names: Vec<_> = tensors.iter().map(|t| (t.name.as_str(), t.shape.clone())).collect();
    let expected = [
        ("grid.0.weight", vec![3, 2, 3, 3]),
        ("grid.0.bias", vec![3]),
        ("grid.2.weight", vec![2, 3, 2, 2]),
        ("grid.2.bias", vec![2]),
        ("head.0.weight", vec![6, 14]),
        ("head.0.bias", vec![6]),
        ("head.2.weight", vec![3, 6]),
        ("head.2.bias", vec![3]),
    ];
    assert_eq!(names, expected);
    assert_eq!(tensors[0].values, params[..54]);
    // Input 1 of unit 0, and input 0 of unit 1, of the first layer after the convolutions.
    assert_eq!((tensors[4].values[1], tensors[4].values[14]), (params[83 + 6], params[83 + 1]));
}

#[test]
fn first_values_follow_their_rule_and_no_two_tensors_are_alike() {
    for shape in shapes() {
        let net = AgentNet::new(shape).unwrap();
        for init in [Init::Torch, Init::Kaiming, Init::Orthogonal] {
            let (mut full, mut small) = (vec![9.0; net.param_count()], vec![9.0; net.param_count()]);
            net.init(init, 3, 0, &mut full, 1.0);
            net.init(init, 3, 0, &mut small, 0.01);
            let weights: Vec<_> =
                net.tensors().into_iter().filter(|t| t.kind == TensorKind::Weight).collect();
            let firsts: Vec<_> = weights.iter().map(|t| full[t.range.start].to_bits()).collect();
            assert!((1..firsts.len()).all(|i| !firsts[..i].contains(&firsts[i])), "{init:?} repeats itself");
            let output = weights.last().unwrap().range.clone();
            for (i, (f, s)) in full.iter().zip(&small).enumerate() {
                let expected = if output.contains(&i) { f * 0.01 } else { *f };
                assert_eq!(*s, expected, "{init:?} {i}");
            }
            for t in net.tensors().iter().filter(|t| t.name.starts_with("rnn.")) {
                let values = &full[t.range.clone()];
                let bound = (1.0_f32 / 6.0).sqrt();
                match (init, t.kind) {
                    (Init::Torch, _) => {
                        let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                        assert!(largest <= bound && largest > 0.6 * bound, "{}", t.name);
                    }
                    (_, TensorKind::Bias) => assert!(values.iter().all(|&v| v == 0.0)),
                    (Init::Orthogonal, _) => orthogonal_gates(values, t.rows, t.cols),
                    _ => {}
                }
            }
        }
    }
}

/// Every gate `[K, 6]` of a weight `[K, G 6]` has an orthonormal shorter side.
fn orthogonal_gates(weight: &[f32], rows: usize, cols: usize) {
    for gate in 0..cols / 6 {
        let at = |k: usize, j: usize| f64::from(weight[k * cols + gate * 6 + j]);
        let short = rows.min(6);
        for a in 0..short {
            for b in 0..=a {
                let dot: f64 = match rows <= 6 {
                    true => (0..6).map(|j| at(a, j) * at(b, j)).sum(),
                    false => (0..rows).map(|k| at(k, a) * at(k, b)).sum(),
                };
                let expected = if a == b { 1.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-6, "gate {gate}, {a} and {b}: {dot}");
            }
        }
    }
}

#[test]
fn layers_without_units_are_refused() {
    let mut shape = AgentNetShape::linear(3, 2);
    shape.cell = Some(Cell { kind: CellKind::Gru, width: 0 });
    let error = AgentNet::new(shape.clone()).unwrap_err().to_string();
    assert_eq!(error, "recurrent_width is 0; a recurrent cell needs at least one unit");
    shape.cell = None;
    shape.encoder = vec![0];
    assert!(AgentNet::new(shape).unwrap_err().to_string().contains("empty layer"));
    let refused = |change: fn(&mut GridShape)| {
        let mut shape = with_grid();
        shape.grid.as_mut().map(change);
        AgentNet::new(shape).unwrap_err().to_string()
    };
    assert!(refused(|g| g.layers.clear()).contains("give at least one convolution"));
    assert!(refused(|g| g.height = 5).contains("[2, 5, 3] in observations of 26"));
    assert!(refused(|g| g.layers[0].kernel = 6).contains("does not fit a grid of [4, 3]"));
    assert!(refused(|g| g.layers[1].stride = 0).contains("is empty"));
    assert!(refused(|g| g.channels = usize::MAX).contains("in observations of 26"));
}
