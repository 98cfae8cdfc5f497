//! Gradients against finite differences and the `f64` reference; bits against threads and instruction sets.

use super::*;
use crate::{Activation, CpuOptions, Isa};
use coact_core::{Purpose, Stream};

/// Owned buffers of one group.
struct Group {
    shape: QShape,
    n_agents: usize,
    n_sets: usize,
    n_critics: usize,
    params: Vec<f32>,
    target_params: Vec<f32>,
    grads: Vec<f32>,
    obs: Vec<f32>,
    next_obs: Vec<f32>,
    next_mask: Vec<u32>,
    action: Vec<u32>,
    reward: Vec<f32>,
    discount: Vec<f32>,
    valid: Vec<bool>,
}

struct Case {
    groups: Vec<Group>,
    batch: usize,
    weight: Vec<f32>,
    team_reward: Vec<f32>,
    team_discount: Vec<f32>,
    double_q: bool,
    mixer: Mixer,
    loss: Loss,
}

struct Spec {
    shape: QShape,
    n_agents: usize,
    own: bool,
    n_critics: usize,
    masked: bool,
    invalid: bool,
}

fn noise(s: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

fn group(spec: &Spec, batch: usize, s: &mut Stream) -> Group {
    let shape = spec.shape.clone();
    let rows = batch * spec.n_agents;
    let n_sets = if spec.own { spec.n_agents } else { 1 };
    let p = spec.n_critics * n_sets * shape.param_count();
    let (n, d) = (shape.n_actions as u32, shape.mlp.input);
    let next_mask = match spec.masked {
        true => (0..rows).map(|_| 1 << s.below(n) | s.next_u32() & ((1 << n) - 1)).collect(),
        false => Vec::new(),
    };
    Group {
        n_agents: spec.n_agents,
        n_sets,
        n_critics: spec.n_critics,
        params: noise(s, p),
        target_params: noise(s, p),
        grads: vec![9.0; p],
        obs: noise(s, rows * d),
        next_obs: noise(s, rows * d),
        next_mask,
        action: (0..rows).map(|_| s.below(n)).collect(),
        reward: noise(s, rows),
        discount: (0..rows).map(|_| if s.below(5) == 0 { 0.0 } else { 0.9 }).collect(),
        valid: (0..rows).map(|_| !spec.invalid || s.below(4) > 0).collect(),
        shape,
    }
}

impl Case {
    fn new(specs: &[Spec], batch: usize, mixer: Mixer, loss: Loss, double_q: bool) -> Self {
        let mut s = Stream::new(3, Purpose::Init, 0, 0);
        Case {
            groups: specs.iter().map(|spec| group(spec, batch, &mut s)).collect(),
            batch,
            weight: (0..batch).map(|_| s.range(0.2, 1.5)).collect(),
            team_reward: noise(&mut s, batch),
            team_discount: (0..batch).map(|_| if s.below(5) == 0 { 0.0 } else { 0.9 }).collect(),
            double_q,
            mixer,
            loss,
        }
    }

    /// Runs `f` on the call that these buffers make.
    fn with<R>(&mut self, f: impl FnOnce(Update<'_, '_>) -> R) -> (R, Vec<f32>) {
        let mut priority = vec![-1.0; self.batch];
        let mut groups: Vec<_> = self
            .groups
            .iter_mut()
            .map(|g| GroupBatch {
                shape: &g.shape,
                n_agents: g.n_agents,
                n_sets: g.n_sets,
                n_critics: g.n_critics,
                params: &g.params,
                target_params: &g.target_params,
                grads: &mut g.grads,
                obs: &g.obs,
                next_obs: &g.next_obs,
                next_mask: &g.next_mask,
                action: &g.action,
                reward: &g.reward,
                discount: &g.discount,
                valid: &g.valid,
            })
            .collect();
        let result = f(Update {
            groups: &mut groups,
            batch: self.batch,
            weight: &self.weight,
            team_reward: &self.team_reward,
            team_discount: &self.team_discount,
            double_q: self.double_q,
            mixer: self.mixer,
            loss: self.loss,
            priority: &mut priority,
        });
        (result, priority)
    }

    fn run(&mut self, options: CpuOptions) -> Result<(UpdateStats, Vec<f32>), Error> {
        let mut backend = Backend::cpu(options).unwrap();
        backend.always_split();
        let (stats, priority) = self.with(|call| backend.update(&mut UpdateScratch::new(), call));
        Ok((stats?, priority))
    }

    /// Everything an update writes, as bits.
    fn bits(&mut self, options: CpuOptions) -> Vec<u32> {
        let (stats, priority) = self.run(options).unwrap();
        let stats = [stats.loss, stats.q_mean, stats.td_abs_mean, stats.target_mean];
        let grads = self.groups.iter().flat_map(|g| &g.grads);
        grads.chain(&priority).chain(&stats).map(|v| v.to_bits()).collect()
    }
}

fn spec(hidden: Vec<usize>, activation: Activation, layer_norm: bool, dueling: bool) -> Spec {
    let shape = QShape::new(4, hidden, 3, activation, layer_norm, dueling);
    Spec { shape, n_agents: 3, own: false, n_critics: 1, masked: true, invalid: true }
}

/// Every option at least once with each mixer.
fn cases(batch: usize) -> Vec<Case> {
    use Activation::{Relu, Tanh};
    let huber = Loss::Huber { delta: 0.7 };
    let mut out = Vec::new();
    for mixer in [Mixer::Independent, Mixer::Sum] {
        let mut add =
            |specs: &[Spec], loss, double_q| out.push(Case::new(specs, batch, mixer, loss, double_q));
        add(&[spec(vec![8, 5], Relu, false, false)], Loss::Squared, true);
        add(&[Spec { own: true, ..spec(vec![8], Tanh, false, true) }], huber, true);
        add(&[Spec { n_critics: 2, ..spec(vec![7, 6], Relu, true, true) }], huber, false);
        add(
            &[Spec { own: true, n_critics: 2, invalid: false, ..spec(vec![9], Tanh, true, false) }],
            Loss::Squared,
            true,
        );
        let wide = Spec { n_agents: 1, masked: false, ..spec(vec![6], Relu, false, false) };
        add(&[spec(vec![], Relu, false, false), wide], Loss::Squared, true);
    }
    out
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn reference_gradients_match_finite_differences() {
    for (i, mut case) in cases(6).into_iter().enumerate() {
        let (worst, _) = case.with(|call| {
            let params: Vec<_> = call.groups.iter().map(|g| wide(g.params)).collect();
            let targets = reference::targets(&call);
            let grads = reference::outcome(&call, &params, &targets).grads;
            let h = 1e-6;
            let mut worst = 0.0_f64;
            for g in 0..grads.len() {
                for k in 0..grads[g].len() {
                    let at = |shift: f64| {
                        let mut moved = params.clone();
                        moved[g][k] += shift;
                        reference::outcome(&call, &moved, &targets).loss
                    };
                    let numeric = (at(h) - at(-h)) / (2.0 * h);
                    worst = worst.max((numeric - grads[g][k]).abs() / grads[g][k].abs().max(1.0));
                }
            }
            worst
        });
        assert!(worst < 1e-6, "case {i}: off by {worst}");
    }
}

#[test]
fn kernels_match_the_reference() {
    // 150 samples: several chunks of 64, and for one agent a part of a chunk of 256.
    for (i, mut case) in cases(150).into_iter().enumerate() {
        let exact = case.with(|call| reference::update(&call)).0;
        let (stats, priority) = case.run(CpuOptions::default()).unwrap();
        assert!((f64::from(stats.loss) - exact.loss).abs() < 1e-5 * exact.loss, "case {i}: loss");
        for (b, (&a, e)) in priority.iter().zip(&exact.priority).enumerate() {
            assert!((f64::from(a) - e).abs() < 1e-5 * e.max(1.0), "case {i}: priority {b}: {a} or {e}");
        }
        for (g, e) in case.groups.iter().zip(&exact.grads) {
            let size = e.iter().map(|v| v * v).sum::<f64>().sqrt();
            let gap = g.grads.iter().zip(e).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt();
            assert!(gap < 3e-6 * size, "case {i}: gradient off by {gap} of {size}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_instruction_set() {
    for (i, mut case) in cases(150).into_iter().enumerate() {
        let first = case.bits(CpuOptions { threads: 1, isa: Some(Isa::Portable) });
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                let other = case.bits(CpuOptions { threads, isa: Some(isa) });
                assert_eq!(other, first, "case {i}, {isa:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn numbers_that_must_not_count_do_not() {
    for mut case in cases(20) {
        let before = case.bits(CpuOptions::default());
        for g in &mut case.groups {
            let d = g.shape.mlp.input;
            for row in 0..g.valid.len() {
                let ended = match case.mixer {
                    Mixer::Independent => !g.valid[row] || g.discount[row] == 0.0,
                    Mixer::Sum => case.team_discount[row / g.n_agents] == 0.0 || g.discount[row] == 0.0,
                };
                if ended {
                    g.next_obs[row * d..(row + 1) * d].fill(f32::NAN);
                    if !g.next_mask.is_empty() {
                        g.next_mask[row] = 0;
                    }
                }
                if !g.valid[row] {
                    g.obs[row * d..(row + 1) * d].fill(f32::NAN);
                    g.action[row] = 99;
                    g.reward[row] = f32::NAN;
                }
            }
        }
        assert_eq!(case.bits(CpuOptions::default()), before);
    }
}

#[test]
fn a_batch_without_valid_rows_gives_zeros() {
    for mut case in cases(5) {
        for g in &mut case.groups {
            g.valid.fill(false);
        }
        let (stats, priority) = case.run(CpuOptions::default()).unwrap();
        assert_eq!(stats, UpdateStats::default());
        assert_eq!(priority, [0.0; 5]);
        assert!(case.groups.iter().all(|g| g.grads.iter().all(|&v| v == 0.0)));
    }
}

#[test]
fn bad_rows_are_named_and_bad_calls_refused() {
    let mut case = Case::new(
        &[spec(vec![4], Activation::Relu, false, false)],
        9,
        Mixer::Independent,
        Loss::Squared,
        true,
    );
    let g = &mut case.groups[0];
    g.valid.fill(true);
    g.discount.fill(0.9);
    g.action[14] = 3;
    let run = |case: &mut Case| case.run(CpuOptions::default()).map(|_| ());
    assert_eq!(run(&mut case), Err(Error::BadAction { sample: 4, agent: 2, action: 3, n_actions: 3 }));
    case.groups[0].action[14] = 0;
    case.groups[0].next_mask[7] = 0b1000;
    assert_eq!(run(&mut case), Err(Error::NoLegalAction { env: 2, agent: 1 }));
    case.groups[0].next_mask[7] = 1;
    assert_eq!(run(&mut case), Ok(()));
    case.loss = Loss::Huber { delta: 0.0 };
    assert!(matches!(run(&mut case), Err(Error::Setting { .. })));
    case.loss = Loss::Squared;
    case.groups[0].n_critics = 3;
    assert!(matches!(run(&mut case), Err(Error::Shape(_))));
    case.groups[0].n_critics = 2;
    assert!(matches!(run(&mut case), Err(Error::Length { what: "params", .. })));
    case.groups[0].n_critics = 1;
    case.weight.pop();
    assert!(matches!(run(&mut case), Err(Error::Length { what: "weight", .. })));
    case.groups.clear();
    assert!(matches!(run(&mut case), Err(Error::Shape(_))));
}

/// Parameters after fifty rounds of update and optimizer step, as bits.
fn trained(mut case: Case, options: CpuOptions) -> Vec<u32> {
    let mut backend = Backend::cpu(options).unwrap();
    backend.always_split();
    let mut scratch = UpdateScratch::new();
    let mut moments: Vec<_> =
        case.groups.iter().map(|g| [(); 2].map(|()| vec![0.0; g.params.len()])).collect();
    for step in 1..=50 {
        case.with(|call| backend.update(&mut scratch, call)).0.unwrap();
        for (g, [mean, square]) in case.groups.iter_mut().zip(&mut moments) {
            let adam = crate::Rule::Adam {
                beta1: 0.9,
                beta2: 0.999,
                eps: 1e-8,
                weight_decay: 0.0,
                decoupled: false,
            };
            let call = crate::OptimStep {
                rule: adam,
                clip: crate::Clip { global_norm: Some(0.3), ..crate::Clip::default() },
                lr: 0.01,
                step,
                params: &mut g.params,
                grads: &mut g.grads,
                moments: [mean, square, &mut []],
                partitions: &[],
                tensors: &[],
            };
            backend.optim_step(call).unwrap();
            backend.blend(&mut g.target_params, &g.params, 0.05);
        }
    }
    case.groups.iter().flat_map(|g| g.params.iter().chain(&g.target_params)).map(|v| v.to_bits()).collect()
}

#[test]
fn fifty_updates_end_in_the_same_bits_everywhere() {
    for i in 0..cases(70).len() {
        let case = || cases(70).swap_remove(i);
        let first = trained(case(), CpuOptions { threads: 1, isa: Some(Isa::Portable) });
        for isa in Isa::available() {
            let other = trained(case(), CpuOptions { threads: 2, isa: Some(isa) });
            assert_eq!(other, first, "case {i}, {isa:?}");
        }
    }
}

/// Long batches, where threads sum stretches of blocks of their own: 64 or 256 samples a block, 1 to 4 blocks a stretch.
#[test]
fn bits_do_not_depend_on_how_stretches_are_shared() {
    for batch in [64 * 12, 64 * 17 + 5, 64 * 35] {
        for mut case in cases(batch).into_iter().step_by(4) {
            let first = case.bits(CpuOptions { threads: 1, isa: None });
            for threads in [2, 3, 4] {
                assert_eq!(
                    case.bits(CpuOptions { threads, isa: None }),
                    first,
                    "batch {batch}, {threads} threads"
                );
            }
        }
    }
}

/// The order of sums as the contract says it, for one linear layer: rows ascending inside 64 samples of 3 agents, then
/// neighbors first.
#[test]
fn gradient_sums_follow_the_contract_to_the_bit() {
    let mut case = Case::new(
        &[spec(vec![], Activation::Relu, false, false)],
        200,
        Mixer::Independent,
        Loss::Squared,
        false,
    );
    case.groups[0].valid.fill(true);
    case.groups[0].discount.fill(0.0);
    case.run(CpuOptions::default()).unwrap();
    let g = &case.groups[0];
    let chunk = |rows: std::ops::Range<usize>| {
        let mut grads = vec![0.0_f32; g.params.len()];
        for row in rows {
            let x = &g.obs[row * 4..row * 4 + 4];
            let a = g.action[row] as usize;
            let q = (0..4).fold(g.params[12 + a], |sum, k| x[k].mul_add(g.params[k * 3 + a], sum));
            let slope = case.weight[row / 3] * (2.0 * (q - g.reward[row])) * (1.0 / 600.0);
            for k in 0..4 {
                grads[k * 3 + a] = x[k].mul_add(slope, grads[k * 3 + a]);
            }
            grads[12 + a] += slope;
        }
        grads
    };
    let add = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| a + b).collect::<Vec<_>>();
    let (a, b, c, d) = (chunk(0..192), chunk(192..384), chunk(384..576), chunk(576..600));
    assert_eq!(g.grads, add(add(a, b), add(c, d)));
}
