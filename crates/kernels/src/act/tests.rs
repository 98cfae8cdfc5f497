//! Values against the `f64` reference; choices against what a user relies on.

use super::*;
use crate::{Activation, CpuOptions, Isa};
use coact_core::{Purpose, Stream};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

/// What a test may change of a call.
struct Inputs<'a> {
    n_sets: usize,
    n_agents: usize,
    obs: &'a [f32],
    mask: &'a [u32],
    alive: &'a [bool],
    exploration: Exploration<'a>,
    seed: u64,
    step: u64,
    first_row: u32,
}

struct Case {
    shape: QShape,
    n_sets: usize,
    n_agents: usize,
    n_envs: usize,
    params: Vec<f32>,
    obs: Vec<f32>,
}

impl Case {
    fn new(shape: QShape, n_envs: usize, n_agents: usize, n_sets: usize) -> Self {
        let params = noise(1, n_sets * shape.param_count());
        let obs = noise(2, n_envs * n_agents * shape.mlp.input);
        Self { shape, n_sets, n_agents, n_envs, params, obs }
    }

    fn small(n_envs: usize, n_agents: usize, n_sets: usize) -> Self {
        Self::new(QShape::new(6, vec![16, 9], 5, Activation::Relu, false, false), n_envs, n_agents, n_sets)
    }

    fn run<'a>(
        &'a self,
        options: CpuOptions,
        change: impl FnOnce(&mut Inputs<'a>),
    ) -> Result<(Vec<u32>, Vec<f32>), Error> {
        let rows = self.n_envs * self.n_agents;
        let (mut actions, mut q) = (vec![77; rows], vec![0.0; rows * self.shape.n_actions]);
        let mut c = Inputs {
            n_sets: self.n_sets,
            n_agents: self.n_agents,
            obs: &self.obs,
            mask: &[],
            alive: &[],
            exploration: Exploration::Greedy,
            seed: 5,
            step: 9,
            first_row: 0,
        };
        change(&mut c);
        let call = Act {
            shape: &self.shape,
            params: &self.params,
            n_sets: c.n_sets,
            n_agents: c.n_agents,
            obs: c.obs,
            mask: c.mask,
            alive: c.alive,
            exploration: c.exploration,
            seed: c.seed,
            step: c.step,
            first_row: c.first_row,
            actions: &mut actions,
            q: Some(&mut q),
        };
        let mut backend = Backend::cpu(options).unwrap();
        backend.always_split();
        backend.act(&mut ActScratch::default(), call)?;
        Ok((actions, q))
    }

    fn greedy(&self) -> (Vec<u32>, Vec<f32>) {
        self.run(CpuOptions::default(), |_| {}).unwrap()
    }
}

#[test]
fn values_match_the_reference_for_shared_and_own_sets() {
    let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    for (n_sets, dueling, layer_norm, activation) in [
        (1, false, false, Activation::Relu),
        (3, true, true, Activation::Relu),
        (3, true, false, Activation::Tanh),
    ] {
        let shape = QShape::new(7, vec![20, 12], 4, activation, layer_norm, dueling);
        let case = Case::new(shape, 70, 3, n_sets);
        let (actions, q) = case.greedy();
        let p = case.shape.param_count();
        for row in 0..210 {
            let set = if n_sets == 1 { 0 } else { row % 3 };
            let params = wide(&case.params[set * p..(set + 1) * p]);
            let exact = reference::q_values(&case.shape, &params, &wide(&case.obs[row * 7..(row + 1) * 7]));
            let mine = &q[row * 4..(row + 1) * 4];
            for (a, b) in mine.iter().zip(&exact) {
                assert!((f64::from(*a) - b).abs() < 2e-5, "row {row}: {a} or {b}");
            }
            assert!(mine.iter().all(|&v| v <= mine[actions[row] as usize]));
        }
    }
}

#[test]
fn every_instruction_set_and_thread_count_gives_the_same_bits() {
    for activation in [Activation::Relu, Activation::Tanh] {
        let case = Case::new(QShape::new(5, vec![33, 8], 6, activation, true, true), 41, 2, 1);
        let explore = |call: &mut Inputs<'_>| call.exploration = Exploration::Boltzmann { temperature: 0.7 };
        let bits = |q: &[f32]| q.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let (actions, q) = case.run(CpuOptions { threads: 1, isa: Some(Isa::Portable) }, explore).unwrap();
        for isa in Isa::available() {
            for threads in [1, 2, 3, 7] {
                let other = case.run(CpuOptions { threads, isa: Some(isa) }, explore).unwrap();
                assert_eq!(other.0, actions);
                assert_eq!(bits(&other.1), bits(&q), "{isa:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn only_legal_actions_are_taken_under_every_exploration() {
    let case = Case::small(40, 3, 1);
    let rows = 120;
    let mask: Vec<u32> = (0..rows as u32).map(|r| 1 + r % 31).collect();
    let bump = vec![0.3; rows * 5];
    for exploration in [
        Exploration::Greedy,
        Exploration::EpsilonGreedy { epsilon: 0.7 },
        Exploration::Boltzmann { temperature: 2.0 },
        Exploration::Noise { noise: &bump, epsilon: 0.5 },
    ] {
        let (actions, _) = case
            .run(CpuOptions::default(), |call| {
                call.mask = &mask;
                call.exploration = exploration;
            })
            .unwrap();
        for (a, m) in actions.iter().zip(&mask) {
            assert!(m >> a & 1 == 1, "action {a} of mask {m:b} under {exploration:?}");
        }
    }
}

#[test]
fn epsilon_greedy_explores_as_often_as_asked_and_evenly() {
    let case = Case::small(4000, 1, 1);
    let (greedy, _) = case.greedy();
    let mask = vec![0b10110; 4000];
    let (masked_greedy, _) = case.run(CpuOptions::default(), |c| c.mask = &mask).unwrap();
    let (all, _) = case
        .run(CpuOptions::default(), |c| {
            c.mask = &mask;
            c.exploration = Exploration::EpsilonGreedy { epsilon: 1.0 };
        })
        .unwrap();
    for a in [1, 2, 4] {
        let count = all.iter().filter(|&&x| x == a).count() as f64;
        // Five standard deviations of a binomial with n = 4000, p = 1/3.
        assert!((count - 4000.0 / 3.0).abs() < 150.0, "action {a} drawn {count} times");
    }
    let (some, _) = case
        .run(CpuOptions::default(), |c| {
            c.mask = &mask;
            c.exploration = Exploration::EpsilonGreedy { epsilon: 0.3 };
        })
        .unwrap();
    let changed = some.iter().zip(&masked_greedy).filter(|(a, b)| a != b).count() as f64;
    assert!((changed - 4000.0 * 0.3 * 2.0 / 3.0).abs() < 127.0, "{changed} of 4000 explored");
    let (none, _) = case
        .run(CpuOptions::default(), |c| c.exploration = Exploration::EpsilonGreedy { epsilon: 0.0 })
        .unwrap();
    assert_eq!(none, greedy);
}

#[test]
fn boltzmann_draws_in_proportion() {
    let mut case = Case::small(20_000, 1, 1);
    case.obs = case.obs[..6].repeat(20_000);
    let temperature = 0.5;
    let (actions, q) =
        case.run(CpuOptions::default(), |c| c.exploration = Exploration::Boltzmann { temperature }).unwrap();
    let weights: Vec<f64> = q[..5].iter().map(|&v| (f64::from(v) / f64::from(temperature)).exp()).collect();
    let total: f64 = weights.iter().sum();
    for (a, w) in weights.iter().enumerate() {
        let p = w / total;
        let share = actions.iter().filter(|&&x| x as usize == a).count() as f64 / 20_000.0;
        assert!(
            (share - p).abs() < 5.0 * (p * (1.0 - p) / 20_000.0).sqrt() + 1e-9,
            "action {a}: {share} or {p}"
        );
    }
}

#[test]
fn noise_moves_the_choice_but_not_the_values() {
    let case = Case::small(10, 2, 1);
    let (_, plain) = case.greedy();
    let mut bump = vec![0.0; 100];
    bump[3] = 1e6;
    let (actions, q) = case
        .run(CpuOptions::default(), |c| c.exploration = Exploration::Noise { noise: &bump, epsilon: 0.0 })
        .unwrap();
    assert_eq!(actions[0], 3);
    assert_eq!(q, plain);
}

#[test]
fn streams_name_rows_steps_and_seeds() {
    let case = Case::small(200, 1, 1);
    let draw = |first_row: u32, step: u64, seed: u64| {
        let change = |c: &mut Inputs<'_>| {
            c.exploration = Exploration::EpsilonGreedy { epsilon: 1.0 };
            (c.first_row, c.step, c.seed) = (first_row, step, seed);
        };
        case.run(CpuOptions::default(), change).unwrap().0
    };
    let base = draw(0, 0, 0);
    assert_eq!(base, draw(0, 0, 0));
    assert_eq!(base[50..], draw(50, 0, 0)[..150]);
    for other in [draw(0, 1, 0), draw(0, 0, 1), draw(1000, 0, 0)] {
        assert_ne!(base, other);
    }
}

/// Sixteen rows at a time, and the rest one by one: both give the rule of `argmax_legal`.
#[test]
fn batched_choices_are_the_rule_on_each_row() {
    for (n, n_envs) in [(2, 53), (5, 53), (32, 33), (40, 33)] {
        let shape = QShape::new(3, vec![], n, Activation::Relu, false, false);
        let mut case = Case::new(shape, n_envs, 1, 1);
        // Whole numbers, so that there are ties; some are not numbers, some minus infinity.
        case.params.iter_mut().for_each(|p| *p = (*p * 3.0).round());
        case.obs.iter_mut().for_each(|x| *x = (*x * 2.0).round());
        case.obs[9] = f32::NAN;
        for (i, bias) in case.params[3 * n..].iter_mut().enumerate() {
            *bias = if i % 2 == 0 { f32::NEG_INFINITY } else { *bias };
        }
        let words = n.div_ceil(32);
        let mask: Vec<u32> = (0..n_envs * words).map(|i| 1 + i as u32 % 3 + ((i as u32 * 77) << 3)).collect();
        for mask in [&mask[..], &[]] {
            let (actions, q) = case.run(CpuOptions::default(), |c| c.mask = mask).unwrap();
            for row in 0..n_envs {
                let mask = if mask.is_empty() { mask } else { &mask[row * words..(row + 1) * words] };
                let want = crate::td::argmax_legal(&q[row * n..(row + 1) * n], mask);
                assert_eq!(Some(actions[row] as usize), want, "row {row} of {n} actions");
            }
        }
    }
}

#[test]
fn batched_random_numbers_are_those_of_the_named_streams() {
    use coact_core::rng::{counter_of, key_of, philox4x32};
    let (first, step, seed) = (u32::MAX - 20, 1 << 40 | 3, 0x1234_5678_9abc_def0);
    for isa in Isa::available() {
        let mut out = [[0; 2]; 45];
        choose::random_words(isa, first, 3, step, key_of(seed), &mut out);
        for (i, words) in out.iter().enumerate() {
            let index = first.wrapping_add(3 * i as u32);
            let block = philox4x32(counter_of(Purpose::Explore, index, step, 0), key_of(seed));
            assert_eq!(words[..], block[..2], "{isa:?} row {i}");
        }
    }
}

#[test]
fn a_row_without_a_legal_action_is_named_unless_dead() {
    let case = Case::small(50, 3, 3);
    let mut mask = vec![31_u32; 150];
    mask[7 * 3 + 2] = 0xffe0;
    mask[20 * 3] = 0;
    let error = case.run(CpuOptions::default(), |c| c.mask = &mask).unwrap_err();
    assert_eq!(error, Error::NoLegalAction { env: 7, agent: 2 });
    let mut alive = vec![true; 150];
    alive[7 * 3 + 2] = false;
    alive[20 * 3] = false;
    alive[0] = false;
    mask[0] = 0b11000;
    let (actions, _) = case
        .run(CpuOptions::default(), |c| {
            c.mask = &mask;
            c.alive = &alive;
        })
        .unwrap();
    assert_eq!((actions[7 * 3 + 2], actions[20 * 3], actions[0]), (0, 0, 3));
}

#[test]
fn what_does_not_fit_is_refused() {
    let case = Case::small(4, 2, 1);
    let refuse = |change: fn(&mut Inputs<'_>)| case.run(CpuOptions::default(), change).unwrap_err();
    assert!(matches!(refuse(|c| c.obs = &c.obs[1..]), Error::Length { what: "obs", .. }));
    assert!(matches!(refuse(|c| c.n_sets = 2), Error::Length { what: "params", .. }));
    assert!(matches!(refuse(|c| c.n_agents = 0), Error::Shape(_)));
    assert!(matches!(refuse(|c| c.mask = &[1]), Error::Length { what: "mask", .. }));
    assert!(matches!(refuse(|c| c.alive = &[true]), Error::Length { what: "alive", .. }));
    let zero = Exploration::Boltzmann { temperature: 0.0 };
    assert!(matches!(
        case.run(CpuOptions::default(), |c| c.exploration = zero),
        Err(Error::Setting { what: "temperature", .. })
    ));
    let over = Exploration::EpsilonGreedy { epsilon: 1.5 };
    assert!(case.run(CpuOptions::default(), |c| c.exploration = over).is_err());
}
