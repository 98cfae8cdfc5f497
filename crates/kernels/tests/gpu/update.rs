//! `update` on a device: gradients, priorities and measures to the bit, and parameters after many updates.

use coact_core::{Purpose, Stream};
use coact_kernels::{
    Activation, Backend, Clip, CpuOptions, Error, GroupBatch, Loss, Mixer, OptimStep, QShape, Rule, Update,
    UpdateScratch,
};

pub struct Group {
    pub shape: QShape,
    pub n_agents: usize,
    pub n_sets: usize,
    pub n_critics: usize,
    pub params: Vec<f32>,
    pub target_params: Vec<f32>,
    pub grads: Vec<f32>,
    pub obs: Vec<f32>,
    pub next_obs: Vec<f32>,
    pub next_mask: Vec<u32>,
    pub action: Vec<u32>,
    pub reward: Vec<f32>,
    pub discount: Vec<f32>,
    pub valid: Vec<bool>,
}

pub struct Case {
    pub groups: Vec<Group>,
    pub batch: usize,
    pub weight: Vec<f32>,
    pub team_reward: Vec<f32>,
    pub team_discount: Vec<f32>,
    pub mixer: Mixer,
    pub loss: Loss,
    pub double_q: bool,
}

fn noise(s: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

pub fn group(
    shape: QShape,
    n_agents: usize,
    n_sets: usize,
    n_critics: usize,
    batch: usize,
    s: &mut Stream,
) -> Group {
    let rows = batch * n_agents;
    let p = n_critics * n_sets * shape.param_count();
    let (n, words) = (shape.n_actions as u32, shape.mask_words());
    let mut next_mask: Vec<u32> = (0..rows * words).map(|_| s.next_u32()).collect();
    for row in next_mask.chunks_exact_mut(words) {
        let legal = s.below(n) as usize;
        row[legal / 32] |= 1 << (legal % 32);
    }
    let mut g = Group {
        n_agents,
        n_sets,
        n_critics,
        params: noise(s, p),
        target_params: noise(s, p),
        grads: vec![9.0; p],
        obs: noise(s, rows * shape.mlp.input),
        next_obs: noise(s, rows * shape.mlp.input),
        next_mask,
        action: (0..rows).map(|_| s.below(n)).collect(),
        reward: noise(s, rows),
        discount: (0..rows).map(|_| if s.below(5) == 0 { 0.0 } else { 0.9 }).collect(),
        valid: (0..rows).map(|_| s.below(5) > 0).collect(),
        shape,
    };
    // Numbers that must not count.
    let d = g.shape.mlp.input;
    for row in 0..rows {
        if !g.valid[row] {
            g.obs[row * d..(row + 1) * d].fill(f32::NAN);
            g.action[row] = 999;
            g.reward[row] = f32::NAN;
        }
        if g.discount[row] == 0.0 {
            g.next_obs[row * d..(row + 1) * d].fill(f32::NAN);
            g.next_mask[row * words..(row + 1) * words].fill(0);
        }
    }
    g
}

impl Case {
    pub fn new(mixer: Mixer, loss: Loss, double_q: bool, batch: usize) -> (Self, Stream) {
        let mut s = Stream::new(3, Purpose::Init, 0, 0);
        let case = Case {
            groups: Vec::new(),
            batch,
            weight: (0..batch).map(|_| s.range(0.2, 1.5)).collect(),
            team_reward: noise(&mut s, batch),
            team_discount: (0..batch).map(|_| if s.below(5) == 0 { 0.0 } else { 0.9 }).collect(),
            mixer,
            loss,
            double_q,
        };
        (case, s)
    }

    /// Lets `with` have the call; returns what it says, and priorities.
    pub fn call<T>(&mut self, with: impl FnOnce(Update<'_, '_>) -> T) -> (T, Vec<f32>) {
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
        let said = with(Update {
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
        (said, priority)
    }

    pub fn run(&mut self, backend: &mut Backend, scratch: &mut UpdateScratch) -> Result<Vec<u32>, Error> {
        let (stats, priority) = self.call(|update| backend.update(scratch, update));
        let stats = stats?;
        let stats = [stats.loss, stats.q_mean, stats.td_abs_mean, stats.target_mean];
        let grads = self.groups.iter().flat_map(|g| &g.grads);
        Ok(grads.chain(&priority).chain(&stats).map(|v| v.to_bits()).collect())
    }
}

pub fn backends() -> [Backend; 2] {
    [Backend::cpu(CpuOptions::default()).unwrap(), Backend::cuda(0, CpuOptions::default()).unwrap()]
}

/// Every option at least once with each mixer.
pub fn cases(batch: usize) -> Vec<Case> {
    use Activation::{Relu, Tanh};
    let huber = Loss::Huber { delta: 0.7 };
    let shape = QShape::new;
    let mut out = Vec::new();
    for mixer in [Mixer::Independent, Mixer::Sum] {
        for (i, (loss, double_q)) in
            [(Loss::Squared, true), (huber, true), (huber, false), (Loss::Squared, false), (huber, true)]
                .into_iter()
                .enumerate()
        {
            let (mut case, mut s) = Case::new(mixer, loss, double_q, batch);
            let mut add = |shape, agents, sets, critics| {
                let group = group(shape, agents, sets, critics, batch, &mut s);
                case.groups.push(group);
            };
            match i {
                0 => add(shape(18, vec![64, 64], 5, Relu, false, false), 3, 1, 1),
                1 => add(shape(4, vec![13], 3, Tanh, false, true), 3, 3, 1),
                2 => add(shape(7, vec![33, 6], 35, Relu, true, true), 2, 1, 2),
                3 => add(shape(5, vec![9, 70, 3], 2, Tanh, true, false), 3, 3, 2),
                _ => {
                    add(shape(3, vec![], 4, Relu, false, false), 3, 1, 1);
                    add(shape(66, vec![6], 3, Relu, false, true), 1, 1, 1);
                }
            }
            out.push(case);
        }
    }
    out
}

/// Runs on both and compares all that comes out.
fn compare(mut case: Case, cpu: &mut Backend, gpu: &mut Backend, what: &str) {
    let want = case.run(cpu, &mut UpdateScratch::new()).unwrap();
    for g in &mut case.groups {
        g.grads.fill(7.0);
    }
    let got = case.run(gpu, &mut UpdateScratch::new()).unwrap();
    let differ = want.iter().zip(&got).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "{what}, batch {}: of {} numbers", case.batch, want.len());
}

#[test]
#[ignore = "needs a GPU"]
fn updates_on_a_device_over_options_and_batches() {
    let [mut cpu, mut gpu] = backends();
    for batch in [0, 1, 31, 33, 67] {
        for (i, case) in cases(batch).into_iter().enumerate() {
            compare(case, &mut cpu, &mut gpu, &format!("case {i}"));
        }
    }
    for batch in [1023, 1025] {
        for i in [1, 5] {
            compare(cases(batch).swap_remove(i), &mut cpu, &mut gpu, &format!("case {i}"));
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn updates_on_a_device_on_random_shapes() {
    let [mut cpu, mut gpu] = backends();
    let mut s = Stream::new(9, Purpose::Init, 0, 0);
    for i in 0..16 {
        let batch = 1 + s.below(200) as usize;
        let mixer = if s.below(2) == 0 { Mixer::Independent } else { Mixer::Sum };
        let (mut case, mut values) = Case::new(mixer, Loss::Huber { delta: 0.7 }, s.below(2) == 0, batch);
        let n_critics = 1 + s.below(2) as usize;
        for _ in 0..1 + s.below(2) {
            let hidden = (0..s.below(4)).map(|_| 1 + s.below(70) as usize).collect();
            let activation = if s.below(2) == 0 { Activation::Relu } else { Activation::Tanh };
            let (input, n) = (1 + s.below(70) as usize, 1 + s.below(40) as usize);
            let shape = QShape::new(input, hidden, n, activation, s.below(2) == 0, s.below(2) == 0);
            let n_agents = 1 + s.below(4) as usize;
            let n_sets = if s.below(2) == 0 { 1 } else { n_agents };
            case.groups.push(group(shape, n_agents, n_sets, n_critics, batch, &mut values));
        }
        compare(case, &mut cpu, &mut gpu, &format!("shape {i}"));
    }
}

#[test]
#[ignore = "needs a GPU"]
fn a_long_update_on_a_device() {
    let [mut cpu, mut gpu] = backends();
    let (mut case, mut s) = Case::new(Mixer::Independent, Loss::Squared, true, 4300);
    case.groups.push(group(
        QShape::new(6, vec![16], 3, Activation::Relu, true, false),
        1,
        1,
        1,
        4300,
        &mut s,
    ));
    let want = case.run(&mut cpu, &mut UpdateScratch::new()).unwrap();
    assert!(want == case.run(&mut gpu, &mut UpdateScratch::new()).unwrap());
}

/// Parameters after rounds of update, clipping, Adam and a moving target.
fn trained(mut case: Case, backend: &mut Backend, rounds: u64) -> Vec<u32> {
    let mut scratch = UpdateScratch::new();
    let mut moments: Vec<_> =
        case.groups.iter().map(|g| [(); 2].map(|()| vec![0.0; g.params.len()])).collect();
    for step in 1..=rounds {
        case.run(backend, &mut scratch).unwrap();
        for (g, [mean, square]) in case.groups.iter_mut().zip(&mut moments) {
            let rule =
                Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false };
            let call = OptimStep {
                rule,
                clip: Clip { global_norm: Some(0.3), ..Clip::default() },
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
#[ignore = "needs a GPU"]
fn ten_updates_on_a_device_end_in_the_same_parameters() {
    let [mut cpu, mut gpu] = backends();
    for i in [0, 2, 6, 9] {
        let case = || cases(20).swap_remove(i);
        assert!(trained(case(), &mut cpu, 10) == trained(case(), &mut gpu, 10), "case {i}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn bad_rows_are_named_on_a_device() {
    let [_, mut gpu] = backends();
    let mut case = cases(9).swap_remove(0);
    let g = &mut case.groups[0];
    g.valid.fill(true);
    g.discount.fill(0.9);
    g.action.fill(0);
    g.next_mask.fill(31);
    g.action[14] = 5;
    g.next_mask[20] = 0;
    let mut run = |case: &mut Case| case.run(&mut gpu, &mut UpdateScratch::new()).map(|_| ());
    assert_eq!(run(&mut case), Err(Error::BadAction { sample: 4, agent: 2, action: 5, n_actions: 5 }));
    case.groups[0].action[14] = 0;
    assert_eq!(run(&mut case), Err(Error::NoLegalAction { env: 6, agent: 2 }));
    case.groups[0].next_mask[20] = 1;
    assert_eq!(run(&mut case), Ok(()));
}
