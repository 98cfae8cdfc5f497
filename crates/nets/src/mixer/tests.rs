//! Mixers against plain `f64` forms that read the tensors by their PyTorch names, and their gradients against central
//! differences of those.

use super::*;
use coact_core::{Purpose, Stream};
use coact_kernels::CpuOptions;

const AGENTS: usize = 3;
const STATE: usize = 4;
const ACTIONS: usize = 2;
const JOINT: usize = STATE + AGENTS * ACTIONS;
const ROWS: usize = 5;

/// Tensors in `f64`, by name.
#[derive(Clone)]
struct Tensors(Vec<(String, Vec<usize>, Vec<f64>)>);

impl Tensors {
    fn new(tensors: Vec<NamedTensor>) -> Self {
        let wide = |t: NamedTensor| (t.name, t.shape, t.values.iter().map(|&v| f64::from(v)).collect());
        Self(tensors.into_iter().map(wide).collect())
    }

    fn get(&self, name: String) -> (&[usize], &[f64]) {
        let (_, shape, values) = self.0.iter().find(|t| t.0 == name).unwrap_or_else(|| panic!("no {name}"));
        (shape, values)
    }

    /// A Linear.
    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (shape, weight) = self.get(format!("{name}.weight"));
        let (_, bias) = self.get(format!("{name}.bias"));
        assert_eq!(shape[1], x.len());
        let row = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        weight.chunks(shape[1]).zip(bias).map(|(w, b)| row(w) + b).collect()
    }

    /// A Sequential of two Linears with a ReLU in between.
    fn two_layers(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let hidden: Vec<f64> = self.linear(&format!("{name}.0"), x).iter().map(|h| h.max(0.0)).collect();
        self.linear(&format!("{name}.2"), &hidden)
    }
}

struct Inputs {
    q: Vec<f64>,
    best_q: Vec<f64>,
    state: Vec<f64>,
    joint: Vec<f64>,
}

fn inputs() -> Inputs {
    let mut stream = Stream::new(4, Purpose::Init, 7, 0);
    let mut draw = |n: usize| (0..n).map(|_| f64::from(stream.range(-2.0, 2.0))).collect::<Vec<_>>();
    let q = draw(ROWS * AGENTS);
    let state = draw(ROWS * STATE);
    let mut joint = Vec::new();
    for (r, state) in state.chunks(STATE).enumerate() {
        joint.extend_from_slice(state);
        (0..AGENTS * ACTIONS).for_each(|u| joint.push(f64::from(u8::from((u + r) % 2 == 0))));
    }
    // Some agents chose their best action, others did not.
    let best_q = q.iter().enumerate().map(|(i, q)| if i % 2 == 0 { *q } else { q + 0.7 }).collect();
    Inputs { q, best_q, state, joint }
}

fn single(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&v| v as f32).collect()
}

fn qmix_reference(t: &Tensors, hypernet: bool, q: &[f64], s: &[f64]) -> f64 {
    let hyper = |name: &str| if hypernet { t.two_layers(name, s) } else { t.linear(name, s) };
    let (w1, w2, b1) = (hyper("hyper_w_1"), hyper("hyper_w_final"), t.linear("hyper_b_1", s));
    let m = w2.len();
    let hidden = |j: usize| {
        let x = b1[j] + q.iter().enumerate().map(|(a, q)| q * w1[a * m + j].abs()).sum::<f64>();
        if x > 0.0 { x } else { x.exp() - 1.0 }
    };
    (0..m).map(|j| hidden(j) * w2[j].abs()).sum::<f64>() + t.two_layers("V", s)[0]
}

/// With `advantage` given it stands for the advantages, through which no gradient passes.
fn qplex_reference(t: &Tensors, row: usize, x: &Inputs, advantage: Option<&[f64]>) -> (f64, Vec<f64>) {
    let (q, best) = (&x.q[row * AGENTS..], &x.best_q[row * AGENTS..]);
    let s = &x.state[row * STATE..(row + 1) * STATE];
    let joint = &x.joint[row * JOINT..(row + 1) * JOINT];
    let (w, v) = (t.two_layers("hyper_w_final", s), t.two_layers("V", s));
    let key = t.two_layers("si_weight.key", s);
    let (agents, action) = (t.two_layers("si_weight.agents", s), t.two_layers("si_weight.action", joint));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let own: Vec<f64> = (0..AGENTS).map(|a| w[a].abs() * (q[a] - best[a])).collect();
    let advantage = advantage.unwrap_or(&own);
    let mut total = 0.0;
    for a in 0..AGENTS {
        let head =
            |k: usize| key[k].abs() * sigmoid(agents[k * AGENTS + a]) * sigmoid(action[k * AGENTS + a]);
        let importance: f64 = (0..key.len()).map(head).sum();
        total += w[a].abs() * q[a] + v[a] + advantage[a] * (importance - 1.0);
    }
    (total, own)
}

/// Total, gradients of the parameters as tensors, gradients of `q`, for the loss `sum_r pick_r total_r`.
fn run(kind: MixerKind, seed: u64) -> (Tensors, Inputs, Vec<f32>, Tensors, Vec<f32>, Vec<f64>) {
    let shape = MixerShape { n_agents: AGENTS, state: STATE, joint: JOINT };
    let mut mixer = Mixer::new(kind, shape).unwrap();
    let mut params = vec![0.0; mixer.param_count()];
    mixer.initialize(Init::Torch, seed, 0, 1.0, &mut params);
    let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
    let x = inputs();
    let (q, best_q, state, joint) = (single(&x.q), single(&x.best_q), single(&x.state), single(&x.joint));
    let input = MixerInput { rows: ROWS, q: &q, best_q: &best_q, state: &state, joint: &joint };
    let (mut total, mut grads, mut d_q) = (vec![0.0; ROWS], vec![9.0; params.len()], vec![9.0; q.len()]);
    mixer.forward(&mut backend, &params, input, &mut total).unwrap();
    let pick: Vec<f64> = (0..ROWS).map(|r| 0.5 - r as f64).collect();
    mixer.backward(&mut backend, &params, input, &single(&pick), &mut grads, &mut d_q).unwrap();
    let tensors = Tensors::new(mixer.to_torch(&params));
    (tensors, x, total, Tensors::new(mixer.to_torch(&grads)), d_q, pick)
}

fn check_gradients(
    tensors: &Tensors,
    x: &mut Inputs,
    grads: &Tensors,
    d_q: &[f32],
    loss: impl Fn(&Tensors, &Inputs) -> f64,
) {
    let h = 1e-6;
    let close = |what: String, found: f64, numeric: f64| {
        assert!((found - numeric).abs() < 2e-5 * numeric.abs().max(1.0), "{what}: {found} or {numeric}");
    };
    for (i, grad) in grads.0.iter().enumerate() {
        for k in 0..grad.2.len() {
            let (mut up, mut down) = (tensors.clone(), tensors.clone());
            up.0[i].2[k] += h;
            down.0[i].2[k] -= h;
            let numeric = (loss(&up, x) - loss(&down, x)) / (2.0 * h);
            close(format!("{}[{k}]", grad.0), grad.2[k], numeric);
        }
    }
    for (k, &found) in d_q.iter().enumerate() {
        let old = x.q[k];
        x.q[k] = old + h;
        let up = loss(tensors, x);
        x.q[k] = old - h;
        let down = loss(tensors, x);
        x.q[k] = old;
        close(format!("q[{k}]"), f64::from(found), (up - down) / (2.0 * h));
    }
}

#[test]
fn qmix_is_its_formula_and_its_gradients_are_right() {
    for hypernet in [None, Some(5)] {
        let kind = MixerKind::Qmix(QmixWidths { embed: 11, hypernet });
        let (tensors, mut x, total, grads, d_q, pick) = run(kind, 3);
        let row = |t: &Tensors, x: &Inputs, r: usize| {
            let q = &x.q[r * AGENTS..(r + 1) * AGENTS];
            qmix_reference(t, hypernet.is_some(), q, &x.state[r * STATE..(r + 1) * STATE])
        };
        for (r, &total) in total.iter().enumerate() {
            let expected = row(&tensors, &x, r);
            assert!((f64::from(total) - expected).abs() < 1e-5, "row {r}: {total} or {expected}");
        }
        check_gradients(&tensors, &mut x, &grads, &d_q, |t, x| {
            pick.iter().enumerate().map(|(r, p)| p * row(t, x, r)).sum()
        });
        // Monotonic: more of any agent's value is never less of the team's.
        let signs = d_q.chunks(AGENTS).zip(&pick).all(|(d, &p)| d.iter().all(|&d| f64::from(d) * p >= 0.0));
        assert!(signs);
    }
}

#[test]
fn qplex_is_its_formula_and_its_gradients_stop_at_advantages() {
    let kind = MixerKind::Qplex(QplexWidths { hypernet: 6, heads: 3 });
    let (tensors, mut x, total, grads, d_q, pick) = run(kind, 5);
    let mut advantages = Vec::new();
    for (r, &total) in total.iter().enumerate() {
        let (expected, own) = qplex_reference(&tensors, r, &x, None);
        assert!((f64::from(total) - expected).abs() < 1e-5, "row {r}: {total} or {expected}");
        advantages.push(own);
    }
    check_gradients(&tensors, &mut x, &grads, &d_q, |t, x| {
        let row = |(r, p): (usize, &f64)| p * qplex_reference(t, r, x, Some(&advantages[r])).0;
        pick.iter().enumerate().map(row).sum()
    });
}

#[test]
fn the_sum_adds_up_and_has_no_parameters() {
    let (tensors, x, total, _, d_q, pick) = run(MixerKind::Sum, 1);
    assert!(tensors.0.is_empty());
    for r in 0..ROWS {
        let expected: f64 = x.q[r * AGENTS..(r + 1) * AGENTS].iter().sum();
        assert!((f64::from(total[r]) - expected).abs() < 1e-6);
        assert!(d_q[r * AGENTS..(r + 1) * AGENTS].iter().all(|&d| f64::from(d) == pick[r]));
    }
}

#[test]
fn a_joint_value_learns_to_tell_actions_apart() {
    let x = inputs();
    let joint = single(&x.joint);
    let mut value = JointValue::new("Q", JOINT, vec![7]);
    let mut params = vec![0.0; value.param_count()];
    value.initialize(Init::Torch, 2, 0, &mut params);
    let mut backend = Backend::cpu(CpuOptions::default()).unwrap();
    let mut values = vec![0.0; ROWS];
    value.forward(&mut backend, &params, ROWS, &joint, &mut values);
    let mut grads = vec![0.0; params.len()];
    value.backward(&mut backend, &params, ROWS, &joint, &[1.0; ROWS], &mut grads);
    let (tensors, slopes) = (Tensors::new(value.to_torch(&params)), Tensors::new(value.to_torch(&grads)));
    let loss = |t: &Tensors| -> f64 { x.joint.chunks(JOINT).map(|row| t.two_layers("Q", row)[0]).sum() };
    let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
    assert!((sum - loss(&tensors)).abs() < 1e-5);
    for i in 0..slopes.0.len() {
        for k in 0..slopes.0[i].2.len() {
            let (mut up, mut down) = (tensors.clone(), tensors.clone());
            up.0[i].2[k] += 1e-6;
            down.0[i].2[k] -= 1e-6;
            let numeric = (loss(&up) - loss(&down)) / 2e-6;
            assert!((slopes.0[i].2[k] - numeric).abs() < 2e-5 * numeric.abs().max(1.0));
        }
    }
}

#[test]
fn torch_round_trip_keeps_every_bit_and_refuses_what_does_not_fit() {
    let shape = MixerShape { n_agents: AGENTS, state: STATE, joint: JOINT };
    for kind in [
        MixerKind::Qmix(QmixWidths { embed: 4, hypernet: Some(5) }),
        MixerKind::Qmix(QmixWidths { embed: 4, hypernet: None }),
        MixerKind::Qplex(QplexWidths { hypernet: 6, heads: 2 }),
    ] {
        let mixer = Mixer::new(kind, shape).unwrap();
        let mut params = vec![0.0; mixer.param_count()];
        mixer.initialize(Init::Orthogonal, 9, 0, 1.0, &mut params);
        let mut tensors = mixer.to_torch(&params);
        let read = |tensors: &[NamedTensor], out: &mut [f32]| {
            let find = |name: &str| tensors.iter().find(|t| t.name == name);
            mixer.from_torch(|name| find(name).map(|t| (&t.shape[..], &t.values[..])), out)
        };
        let mut back = vec![0.0; params.len()];
        read(&tensors, &mut back).unwrap();
        assert_eq!(back, params);
        tensors[0].shape.reverse();
        assert!(read(&tensors, &mut back).unwrap_err().to_string().contains("hyper_w"));
        let name = tensors.remove(0).name;
        assert!(read(&tensors, &mut back).unwrap_err().to_string().contains(&name));
    }
    let none = MixerKind::Qmix(QmixWidths { embed: 0, hypernet: None });
    assert!(Mixer::new(none, shape).is_err());
}
