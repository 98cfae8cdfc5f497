//! A learner whose memory stays on a device, against `update`, `optim_step` and `blend` on the processor: parameters,
//! targets, moments, priorities and measures to the bit.

use super::update::{Case, backends, cases};
use coact_core::{Purpose, Stream};
use coact_kernels::{
    Backend, Clip, Draws, Error, GradStep, GroupBatch, OptimStep, ResidentConfig, ResidentGroup,
    ResidentState, RingGroup, RingPriorities, RingView, Rule, StepForm, Update, UpdateScratch,
};
use std::ops::Range;

fn adam(weight_decay: f32, decoupled: bool) -> Rule {
    Rule::Adam { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay, decoupled }
}

/// Rules and clippings, each option at least once.
fn settings() -> Vec<(Rule, Clip)> {
    let none = Clip::default();
    let rms = |momentum, centered, weight_decay| Rule::RmsProp {
        alpha: 0.95,
        eps: 1e-5,
        momentum,
        centered,
        weight_decay,
    };
    let sgd = |momentum, nesterov, weight_decay| Rule::Sgd { momentum, nesterov, weight_decay };
    vec![
        (adam(0.0, false), Clip { global_norm: Some(0.3), ..none }),
        (adam(0.1, false), Clip { tensor_norm: Some(0.2), ..none }),
        (
            adam(0.1, true),
            Clip { value: Some(0.01), tensor_norm: Some(0.1), global_norm: Some(0.2), eps: 1e-3 },
        ),
        (rms(0.0, false, 0.0), none),
        (rms(0.5, true, 0.01), Clip { value: Some(0.02), global_norm: Some(0.1), ..none }),
        (sgd(0.0, false, 0.02), Clip { global_norm: Some(1e6), ..none }),
        (sgd(0.9, false, 0.0), none),
        (sgd(0.9, true, 0.0), Clip { global_norm: Some(0.5), ..none }),
    ]
}

/// All that a learner knows.
struct Memory {
    params: Vec<f32>,
    target_params: Vec<f32>,
    grads: Vec<f32>,
    moments: [Vec<f32>; 3],
}

impl Memory {
    fn new(case: &Case, rule: Rule) -> Self {
        let all = |f: fn(&super::update::Group) -> &Vec<f32>| -> Vec<f32> {
            case.groups.iter().flat_map(|g| f(g).iter().copied()).collect()
        };
        let params = all(|g| &g.params);
        let zeros = vec![0.0; params.len()];
        let moments = rule.uses().map(|used| if used { zeros.clone() } else { Vec::new() });
        Self { target_params: all(|g| &g.target_params), params, grads: zeros, moments }
    }

    fn state(&mut self) -> ResidentState<'_> {
        let [a, b, c] = &mut self.moments;
        ResidentState { params: &mut self.params, target_params: &mut self.target_params, moments: [a, b, c] }
    }

    fn bits(&self) -> Vec<u32> {
        let moments = self.moments.iter().flatten();
        self.params.iter().chain(&self.target_params).chain(moments).map(|v| v.to_bits()).collect()
    }
}

/// Calls `run` with the case as an update of networks with this memory.
fn with_update<T>(
    case: &Case,
    memory: &mut Memory,
    priority: &mut [f32],
    run: impl FnOnce(Update<'_, '_>) -> T,
) -> T {
    let Memory { params, target_params, grads, .. } = memory;
    let (mut grads, mut at) = (&mut grads[..], 0);
    let mut groups = Vec::new();
    for g in &case.groups {
        let range = at..at + g.params.len();
        at = range.end;
        let (own, rest) = std::mem::take(&mut grads).split_at_mut(range.len());
        grads = rest;
        groups.push(GroupBatch {
            shape: &g.shape,
            n_agents: g.n_agents,
            n_sets: g.n_sets,
            n_critics: g.n_critics,
            params: &params[range.clone()],
            target_params: &target_params[range],
            grads: own,
            obs: &g.obs,
            next_obs: &g.next_obs,
            next_mask: &g.next_mask,
            action: &g.action,
            reward: &g.reward,
            discount: &g.discount,
            valid: &g.valid,
        });
    }
    run(Update {
        groups: &mut groups,
        batch: case.batch,
        weight: &case.weight,
        team_reward: &case.team_reward,
        team_discount: &case.team_discount,
        double_q: case.double_q,
        mixer: case.mixer,
        loss: case.loss,
        priority,
    })
}

/// One part a network if `apart`, else one of all; and a tensor a parameter tensor.
fn ranges(case: &Case, apart: bool) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut parts, mut tensors, mut at) = (Vec::new(), Vec::new(), 0);
    for g in &case.groups {
        for _ in 0..g.n_critics * g.n_sets {
            tensors.extend(g.shape.mlp.tensors().iter().map(|t| at + t.range().start..at + t.range().end));
            parts.push(at..at + g.shape.param_count());
            at += g.shape.param_count();
        }
    }
    (if apart { parts } else { std::iter::once(0..at).collect() }, tensors)
}

fn config(case: &Case, (rule, clip): (Rule, Clip), apart: bool) -> ResidentConfig {
    let (partitions, tensors) = ranges(case, apart);
    let groups = case.groups.iter().map(|g| ResidentGroup {
        shape: g.shape.clone(),
        n_agents: g.n_agents,
        n_sets: g.n_sets,
        n_critics: g.n_critics,
    });
    ResidentConfig {
        groups: groups.collect(),
        double_q: case.double_q,
        mixer: case.mixer,
        loss: case.loss,
        rule,
        clip,
        partitions,
        tensors,
        form: StepForm::Graph,
    }
}

fn step(number: u64) -> GradStep {
    let tau = [None, Some(0.25), Some(1.0)][(number % 3) as usize];
    GradStep { lr: 0.01 / number as f32, step: number, tau }
}

/// What four steps leave and measure on the processor.
fn on_the_processor(backend: &mut Backend, case: &Case, config: &ResidentConfig) -> Vec<u32> {
    let (mut memory, mut scratch) = (Memory::new(case, config.rule), UpdateScratch::new());
    let mut said = Vec::new();
    for number in 1..=4 {
        let mut priority = vec![-1.0; case.batch];
        let stats =
            with_update(case, &mut memory, &mut priority, |u| backend.update(&mut scratch, u)).unwrap();
        let Memory { params, target_params, grads, moments: [a, b, c] } = &mut memory;
        let at = step(number);
        let moved = backend
            .optim_step(OptimStep {
                rule: config.rule,
                clip: config.clip,
                lr: at.lr,
                step: at.step,
                params,
                grads,
                moments: [a, b, c],
                partitions: &config.partitions,
                tensors: &config.tensors,
            })
            .unwrap();
        if let Some(tau) = at.tau {
            backend.blend(target_params, params, tau);
        }
        said.extend([stats.loss, stats.q_mean, stats.td_abs_mean, stats.target_mean, moved.grad_norm]);
        said.extend(priority);
    }
    said.iter().map(|v| v.to_bits()).chain(memory.bits()).collect()
}

fn on_the_device(backend: &mut Backend, case: &Case, config: &ResidentConfig) -> Vec<u32> {
    let mut memory = Memory::new(case, config.rule);
    let mut learner = backend.resident(config).unwrap().unwrap();
    backend.resident_set(&mut learner, memory.state()).unwrap();
    let mut said = Vec::new();
    for number in 1..=4 {
        let mut priority = vec![-1.0; case.batch];
        let learned = with_update(case, &mut memory, &mut priority, |update| {
            backend.resident_step(&mut learner, update, step(number))
        });
        let learned = learned.unwrap();
        let stats = learned.stats;
        said.extend([stats.loss, stats.q_mean, stats.td_abs_mean, stats.target_mean, learned.grad_norm]);
        said.extend(priority);
    }
    memory.params.fill(7.0);
    backend.resident_get(&mut learner, memory.state()).unwrap();
    said.iter().map(|v| v.to_bits()).chain(memory.bits()).collect()
}

#[test]
#[ignore = "needs a GPU"]
fn resident_steps_on_a_device_over_options() {
    let [mut cpu, mut gpu] = backends();
    for batch in [1, 67] {
        for (i, case) in cases(batch).iter().enumerate() {
            let setting = settings()[(i + batch) % settings().len()];
            let config = config(case, setting, i % 2 == 0);
            let (want, got) =
                (on_the_processor(&mut cpu, case, &config), on_the_device(&mut gpu, case, &config));
            let differ = want.iter().zip(&got).filter(|(a, b)| a != b).count();
            assert_eq!(differ, 0, "case {i} of batch {batch}, {setting:?}: of {} numbers", want.len());
        }
    }
    let case = &cases(9)[7];
    for setting in settings() {
        for apart in [false, true] {
            let config = config(case, setting, apart);
            assert!(
                on_the_processor(&mut cpu, case, &config) == on_the_device(&mut gpu, case, &config),
                "{setting:?}"
            );
        }
    }
}

/// Rows that cannot be learned from, a loss and a gradient that are not finite: named, and nothing has moved.
#[test]
#[ignore = "needs a GPU"]
fn a_resident_step_on_a_device_that_is_refused_moves_nothing() {
    let [_, mut gpu] = backends();
    let mut case = cases(9).swap_remove(0);
    let g = &mut case.groups[0];
    g.valid.fill(true);
    g.action.fill(0);
    for value in g.obs.iter_mut().chain(&mut g.reward).filter(|v| v.is_nan()) {
        *value = 0.25;
    }
    // The first input counts for nothing, so that a huge one leaves the loss finite and the gradient not.
    let hidden = g.shape.mlp.hidden[0];
    g.params[..hidden].fill(0.0);
    g.target_params[..hidden].fill(0.0);
    let config = config(&case, settings()[0], false);
    let mut learner = gpu.resident(&config).unwrap().unwrap();
    gpu.resident_set(&mut learner, Memory::new(&case, config.rule).state()).unwrap();
    let mut go = |case: &Case| {
        let mut memory = Memory::new(case, config.rule);
        let before = memory.bits();
        let mut priority = vec![0.0; 9];
        let out =
            with_update(case, &mut memory, &mut priority, |u| gpu.resident_step(&mut learner, u, step(1)));
        gpu.resident_get(&mut learner, memory.state()).unwrap();
        (out, memory.bits() != before)
    };
    case.groups[0].action[14] = 5;
    let bad_action = Error::BadAction { sample: 4, agent: 2, action: 5, n_actions: 5 };
    assert_eq!(go(&case), (Err(bad_action), false));
    case.groups[0].action[14] = 0;
    case.weight[3] = f32::INFINITY;
    let (learned, moved) = go(&case);
    assert!(!learned.unwrap().stats.loss.is_finite() && !moved);
    case.weight[3] = 1.0;
    let input = case.groups[0].shape.mlp.input;
    for row in case.groups[0].obs.chunks_exact_mut(input) {
        row[0] = f32::MAX;
    }
    let (refused, moved) = go(&case);
    assert!(matches!(refused, Err(Error::NonFiniteGradient { tensor: 0, .. })), "{refused:?}");
    assert!(!moved);
    case.groups[0].obs.fill(0.5);
    let (learned, moved) = go(&case);
    assert!(learned.is_ok() && moved, "the step after a refused one moves");
}

/// A ring of random transitions, some of whose agents did not act, and whose episodes end now and then.
struct Ring {
    words: Vec<u32>,
    finals: Vec<u32>,
    groups: Vec<RingGroup>,
    width: usize,
    seen: usize,
    leaves: Vec<u32>,
}

const ENVS: usize = 6;
const SLOTS: usize = 40;

impl Ring {
    fn new(case: &Case) -> Self {
        let mut s = Stream::new(5, Purpose::Init, 0, 0);
        let mut seen = 0;
        let mut groups: Vec<RingGroup> = case
            .groups
            .iter()
            .map(|g| {
                let obs = seen;
                let mask = obs + g.n_agents * g.shape.mlp.input;
                seen = mask + g.n_agents * g.shape.mask_words();
                RingGroup { obs, mask: Some(mask), action: 0, reward: 0, discount: 0, valid: 0 }
            })
            .collect();
        let mut width = seen;
        let mut take = |n: usize| {
            width += n;
            width - n
        };
        for (words, g) in groups.iter_mut().zip(&case.groups) {
            words.action = take(g.n_agents);
            words.reward = take(g.n_agents);
            words.discount = take(g.n_agents);
            words.valid = take(g.n_agents.div_ceil(32));
        }
        let width = take(3) + 3;
        let mut words = vec![0; SLOTS * ENVS * width];
        let mut float = move || s.range(-1.0, 1.0).to_bits();
        let mut s = Stream::new(6, Purpose::Init, 0, 0);
        let mut seen_words = |row: &mut [u32]| {
            for (at, g) in groups.iter().zip(&case.groups) {
                let mask = at.mask.unwrap();
                row[at.obs..mask].fill_with(&mut float);
                row[mask..mask + g.n_agents * g.shape.mask_words()].fill(u32::MAX);
            }
        };
        for row in words.chunks_exact_mut(width) {
            seen_words(row);
            for (at, g) in groups.iter().zip(&case.groups) {
                for a in 0..g.n_agents {
                    row[at.action + a] = s.below(g.shape.n_actions as u32);
                    row[at.reward + a] = s.range(-1.0, 1.0).to_bits();
                    row[at.discount + a] = (if s.below(5) == 0 { 0.0_f32 } else { 0.9 }).to_bits();
                }
                row[at.valid] = s.next_u32() & ((1 << g.n_agents) - 1);
            }
            row[width - 3] = if s.below(7) == 0 { 1 << 31 | s.below(4) } else { 1 };
            row[width - 2] = s.range(-1.0, 1.0).to_bits();
            row[width - 1] = 0.9_f32.to_bits();
        }
        let mut finals = vec![0; 4 * seen];
        finals.chunks_exact_mut(seen).for_each(&mut seen_words);
        let leaves = (0..SLOTS * ENVS).map(|_| 1 + s.below(1 << 22)).collect();
        Self { words, finals, groups, width, seen, leaves }
    }

    fn view(&self, prioritized: bool) -> RingView<'_> {
        // The last moment is not complete.
        let mut view = RingView {
            words: &self.words,
            finals: &self.finals,
            final_words: self.finals.len(),
            groups: &self.groups,
            revision: 1,
            width: self.width,
            seen: self.seen,
            next: self.width - 3,
            team_reward: self.width - 2,
            team_discount: self.width - 1,
            n_envs: ENVS,
            n_slots: SLOTS,
            n_step: 1,
            pushed: SLOTS as u64 - 1,
            prioritized: None,
        };
        if prioritized {
            let leaves = &self.leaves;
            view.prioritized =
                Some(RingPriorities { alpha: 0.6, eps: 1e-3, leaves, largest: 1 << 22, revision: 1 });
        }
        view
    }
}

/// What a graph of gradient steps leaves, and what one launch does, on the same draws.
#[test]
#[ignore = "needs a GPU"]
fn both_forms_of_steps_on_a_device_are_equal() {
    let [_, mut gpu] = backends();
    for (i, case) in cases(21).iter().enumerate() {
        let ring = Ring::new(case);
        for prioritized in [false, true] {
            let mut run = |form| {
                let setting = settings()[i % settings().len()];
                let config = ResidentConfig { form, ..config(case, setting, i % 2 == 0) };
                let mut memory = Memory::new(case, config.rule);
                let mut learner = gpu.resident(&config).unwrap().unwrap();
                gpu.resident_set(&mut learner, memory.state()).unwrap();
                let view = ring.view(prioritized);
                let draws = Draws { batch_size: case.batch, seed: 7, position: 3, beta: 0.5 };
                let steps: Vec<GradStep> = (1..=3).map(step).collect();
                let mut learned = Vec::new();
                gpu.resident_learn(&mut learner, &view, draws, &steps, &mut learned).unwrap();
                gpu.resident_learn(&mut learner, &view, draws, &steps[..1], &mut learned).unwrap();
                gpu.resident_get(&mut learner, memory.state()).unwrap();
                let mut leaves = vec![0; ENVS * SLOTS];
                if prioritized {
                    gpu.resident_leaves(&mut learner, &view, &mut leaves).unwrap();
                    assert!(leaves != ring.leaves, "case {i}: no priority was stored");
                }
                (format!("{learned:?}"), memory.bits(), leaves)
            };
            let (graph, together) = (run(StepForm::Graph), run(StepForm::Cooperative));
            assert!(graph.1 != Memory::new(case, settings()[i % settings().len()].0).bits(), "nothing moved");
            assert!(graph == together, "case {i}, prioritized {prioritized}: forms differ");
        }
    }
}
