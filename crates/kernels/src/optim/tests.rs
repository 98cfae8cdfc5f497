//! Steps against hand-made numbers, the `f64` reference and values recorded from PyTorch.

use super::*;
use crate::{CpuOptions, Isa};
use serde_json::Value;

fn rules() -> Vec<Rule> {
    let adam =
        |weight_decay, decoupled| Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, decoupled };
    let rms = |momentum, centered, weight_decay| Rule::RmsProp {
        alpha: 0.9,
        eps: 1e-5,
        momentum,
        centered,
        weight_decay,
    };
    let sgd = |momentum, nesterov, weight_decay| Rule::Sgd { momentum, nesterov, weight_decay };
    vec![
        adam(0.0, false),
        adam(0.1, false),
        adam(0.01, true),
        rms(0.0, false, 0.0),
        rms(0.9, false, 0.1),
        rms(0.0, true, 0.0),
        rms(0.9, true, 0.01),
        sgd(0.0, false, 0.0),
        sgd(0.9, false, 0.1),
        sgd(0.9, true, 0.0),
    ]
}

struct State {
    params: Vec<f32>,
    grads: Vec<f32>,
    moments: [Vec<f32>; 3],
}

impl State {
    fn new(params: &[f32]) -> Self {
        let zeros = || vec![0.0; params.len()];
        Self { params: params.to_vec(), grads: zeros(), moments: [zeros(), zeros(), zeros()] }
    }

    fn call(&mut self, rule: Rule, clip: Clip, lr: f32, step: u64) -> OptimStep<'_> {
        let [a, b, c] = &mut self.moments;
        OptimStep {
            rule,
            clip,
            lr,
            step,
            params: &mut self.params,
            grads: &mut self.grads,
            moments: [a, b, c],
            partitions: &[],
            tensors: &[],
        }
    }
}

fn backend(isa: Isa) -> Backend {
    Backend::cpu(CpuOptions { threads: 1, isa: Some(isa) }).unwrap()
}

fn gradient(step: u64, i: usize) -> f32 {
    ((step * 31 + i as u64 * 17) % 23) as f32 / 11.5 - 0.9
}

#[test]
fn steps_follow_the_reference_and_every_set_gives_the_same_bits() {
    let n = 37;
    let start: Vec<f32> = (0..n).map(|i| i as f32 * 0.05 - 0.9).collect();
    for rule in rules() {
        let mut states: Vec<_> = Isa::available().into_iter().map(|isa| (isa, State::new(&start))).collect();
        let mut exact: Vec<f64> = start.iter().map(|&v| f64::from(v)).collect();
        let mut moments = vec![[0.0; 3]; n];
        for step in 1..=20 {
            for (isa, state) in &mut states {
                state.grads = (0..n).map(|i| gradient(step, i)).collect();
                backend(*isa).optim_step(state.call(rule, Clip::default(), 0.01, step)).unwrap();
            }
            for i in 0..n {
                let g = f64::from(gradient(step, i));
                exact[i] = reference::step(rule, f64::from(0.01_f32), step, exact[i], g, &mut moments[i]);
            }
        }
        for (isa, state) in &states {
            assert_eq!(state.params, states[0].1.params, "{isa:?}");
            for (a, b) in state.params.iter().zip(&exact) {
                assert!((f64::from(*a) - b).abs() < 2e-6 * b.abs().max(1.0), "{rule:?}: {a} or {b}");
            }
        }
    }
}

#[test]
fn first_steps_by_hand() {
    let mut state = State::new(&[1.0]);
    state.grads = vec![0.5];
    // The first Adam step is lr against the sign of the gradient.
    backend(Isa::detect()).optim_step(state.call(rules()[0], Clip::default(), 0.1, 1)).unwrap();
    assert!((state.params[0] - 0.9).abs() < 1e-6);
    let mut state = State::new(&[1.0]);
    let nesterov = Rule::Sgd { momentum: 0.5, nesterov: true, weight_decay: 0.0 };
    for step in 1..=2 {
        state.grads = vec![1.0];
        backend(Isa::detect()).optim_step(state.call(nesterov, Clip::default(), 0.125, step)).unwrap();
    }
    // Buffers 1, 1.5; deltas 1 + 0.5, 1 + 0.75.
    assert_eq!(state.params[0], 1.0 - 0.125 * (1.5 + 1.75));
}

fn floats(v: &Value) -> Vec<f32> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn recorded_rule(name: &str, hyper: &Value) -> Rule {
    let get = |key: &str, default: f64| hyper[key].as_f64().unwrap_or(default) as f32;
    let weight_decay = get("weight_decay", if name == "adamw" { 0.01 } else { 0.0 });
    let flag = |key: &str| hyper[key].as_bool().unwrap_or(false);
    if name.starts_with("adam") {
        let beta = |i: usize, default: f64| hyper["betas"][i].as_f64().unwrap_or(default) as f32;
        let (beta1, beta2) = (beta(0, 0.9), beta(1, 0.999));
        Rule::Adam { beta1, beta2, eps: get("eps", 1e-8), weight_decay, decoupled: name == "adamw" }
    } else if name.starts_with("rmsprop") {
        let (alpha, eps) = (get("alpha", 0.99), get("eps", 1e-8));
        Rule::RmsProp { alpha, eps, momentum: get("momentum", 0.0), centered: flag("centered"), weight_decay }
    } else {
        Rule::Sgd { momentum: get("momentum", 0.0), nesterov: flag("nesterov"), weight_decay }
    }
}

#[test]
fn recorded_pytorch_runs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/rl_optim.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        for (name, run) in case["optimisers"].as_object().unwrap() {
            let rule = recorded_rule(name, &run["hyper"]);
            let lr = run["hyper"]["lr"].as_f64().unwrap() as f32;
            let mut state = State::new(&floats(&case["p0"]));
            let wanted = run["params_after_each_step"].as_array().unwrap();
            for (t, (g, want)) in case["grads"].as_array().unwrap().iter().zip(wanted).enumerate() {
                state.grads = floats(g);
                let call = state.call(rule, Clip::default(), lr, t as u64 + 1);
                backend(Isa::detect()).optim_step(call).unwrap();
                for (a, b) in state.params.iter().zip(floats(want)) {
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{name} step {t}: {a} or {b}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 500, "{seen} steps checked");
}

#[test]
fn clipping_in_order_and_by_part() {
    let sgd = Rule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut state = State::new(&[0.0; 6]);
    state.grads = vec![3.0, -4.0, 0.0, 30.0, 0.0, 40.0];
    let clip = Clip { tensor_norm: Some(10.0), global_norm: Some(2.5), value: Some(35.0), eps: 0.0 };
    let mut call = state.call(sgd, clip, 1.0, 1);
    let (parts, tensors) = ([0..3, 3..6], [0..3, 3..4, 4..6]);
    (call.partitions, call.tensors) = (&parts, &tensors);
    let stats = backend(Isa::detect()).optim_step(call).unwrap();
    assert_eq!(stats.grad_norm, 50.0);
    // 40 -> 35 by value; tensors [3,-4,0] untouched, [30] -> [10], [0,35] -> [0,10]; then 5 -> 2.5 and 14.14 -> 2.5.
    let root = 2.5 / 200.0_f32.sqrt();
    let want = [1.5, -2.0, 0.0, 10.0 * root, 0.0, 10.0 * root];
    for (a, b) in state.params.iter().zip(want) {
        assert!((a + b).abs() < 1e-6, "{a} or -{b}");
    }
    // Recorded rule: scale = min(1, max / (norm + 1e-6)).
    let mut state = State::new(&[0.0; 2]);
    state.grads = vec![0.3, 0.4];
    let clip = Clip { global_norm: Some(0.5), ..Clip::default() };
    backend(Isa::detect()).optim_step(state.call(sgd, clip, 1.0, 1)).unwrap();
    assert!((state.params[0] + 0.3 * 0.5 / 0.500_001).abs() < 1e-7);
}

#[test]
fn a_non_finite_gradient_is_named_and_nothing_moves() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut state = State::new(&[1.0; 5]);
        state.grads = vec![1.0, 1.0, 1.0, bad, 1.0];
        let before = state.params.clone();
        let clip = Clip { value: Some(0.5), ..Clip::default() };
        let mut call = state.call(rules()[0], clip, 0.1, 1);
        let tensors = [0..2, 2..5];
        call.tensors = &tensors;
        let error = backend(Isa::detect()).optim_step(call).unwrap_err();
        assert!(matches!(error, Error::NonFiniteGradient { tensor: 1, .. }), "{error}");
        assert_eq!(state.params, before);
        assert_eq!(state.grads[0], 1.0);
        assert_eq!(state.moments[0], [0.0; 5]);
    }
    // Huge but finite is fine: the norm is taken in f64.
    let mut state = State::new(&[0.0; 2]);
    state.grads = vec![3e38, 3e38];
    let clip = Clip { global_norm: Some(1.0), ..Clip::default() };
    assert!(backend(Isa::detect()).optim_step(state.call(rules()[7], clip, 1.0, 1)).is_ok());
    assert!((state.params[0] + 0.5_f32.sqrt()).abs() < 1e-6);
}

#[test]
fn blending_targets() {
    let mut b = backend(Isa::detect());
    let mut target = vec![1.0, f32::INFINITY];
    b.blend(&mut target, &[3.0, 5.0], 1.0);
    assert_eq!(target, [3.0, 5.0]);
    b.blend(&mut target, &[7.0, 1.0], 0.25);
    assert_eq!(target, [4.0, 4.0]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let mut state = State::new(&[0.0; 3]);
    let mut b = backend(Isa::detect());
    assert!(b.optim_step(state.call(rules()[0], Clip::default(), 0.1, 0)).is_err());
    assert!(b.optim_step(state.call(rules()[0], Clip::default(), f32::NAN, 1)).is_err());
    let clip = Clip { global_norm: Some(0.0), ..Clip::default() };
    assert!(b.optim_step(state.call(rules()[0], clip, 0.1, 1)).is_err());
    let mut call = state.call(rules()[0], Clip::default(), 0.1, 1);
    call.moments[1] = &mut [];
    assert!(matches!(b.optim_step(call), Err(Error::Length { what: "moments[1]", .. })));
    let mut call = state.call(rules()[0], Clip::default(), 0.1, 1);
    let parts = [0..9, 0..1];
    call.partitions = &parts;
    assert!(b.optim_step(call).is_err());
}
