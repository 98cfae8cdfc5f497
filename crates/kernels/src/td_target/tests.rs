//! Targets against the plain definition and those of an update, threads, ended processes, and what is refused.

use super::*;
use crate::{Activation, CpuOptions};
use coact_core::{Purpose, Stream};

struct Group {
    shape: QShape,
    n_agents: usize,
    n_sets: usize,
    n_critics: usize,
    params: Vec<f32>,
    target_params: Vec<f32>,
    next_obs: Vec<f32>,
    next_mask: Vec<u32>,
    reward: Vec<f32>,
    discount: Vec<f32>,
}

impl Group {
    fn next(&self) -> NextGroup<'_> {
        NextGroup {
            shape: &self.shape,
            n_agents: self.n_agents,
            n_sets: self.n_sets,
            n_critics: self.n_critics,
            params: &self.params,
            target_params: &self.target_params,
            next_obs: &self.next_obs,
            next_mask: &self.next_mask,
            reward: &self.reward,
            discount: &self.discount,
        }
    }
}

fn numbers(s: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

/// A discount, or 0 in a third of cases.
fn discounts(s: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| if s.below(3) == 0 { 0.0 } else { s.range(0.5, 1.0) }).collect()
}

fn group(
    s: &mut Stream,
    shape: QShape,
    (agents, sets, critics): (usize, usize, usize),
    batch: usize,
) -> Group {
    let (rows, params) = (batch * agents, critics * sets * shape.param_count());
    let (n, words) = (shape.n_actions, shape.mask_words());
    let mut next_mask: Vec<u32> = (0..rows * words).map(|_| s.next_u32()).collect();
    for row in next_mask.chunks_exact_mut(words) {
        let legal = s.below(n as u32) as usize;
        row[legal / 32] |= 1 << (legal % 32);
    }
    Group {
        n_agents: agents,
        n_sets: sets,
        n_critics: critics,
        params: numbers(s, params),
        target_params: numbers(s, params),
        next_obs: numbers(s, rows * shape.mlp.input),
        next_mask,
        reward: numbers(s, rows),
        discount: discounts(s, rows),
        shape,
    }
}

struct Case {
    groups: Vec<Group>,
    batch: usize,
    reward: Vec<f32>,
    discount: Vec<f32>,
    mixer: MixShape,
    mixer_params: Vec<f32>,
    next_state: Vec<f32>,
}

impl Case {
    /// One group, or two that differ in all.
    fn new(batch: usize, two: bool, critics: usize) -> Self {
        let mut s = Stream::new(3, Purpose::Init, batch as u32, critics as u64);
        let shape = QShape::new(7, vec![16, 9], 4, Activation::Relu, false, critics == 2);
        let mut groups = vec![group(&mut s, shape, (3, if two { 3 } else { 1 }, critics), batch)];
        if two {
            let shape = QShape::new(3, vec![11], 34, Activation::Tanh, true, true);
            groups.push(group(&mut s, shape, (2, 1, 1), batch));
        }
        let agents = groups.iter().map(|g| g.n_agents).sum();
        let mixer = MixShape { n_agents: agents, state: 6, embed: 5, hypernet: two.then_some(8) };
        Self {
            reward: numbers(&mut s, batch),
            discount: discounts(&mut s, batch),
            mixer_params: numbers(&mut s, mixer.param_count()),
            next_state: numbers(&mut s, batch * 6),
            groups,
            batch,
            mixer,
        }
    }

    fn joins(&self) -> [Join<'_>; 3] {
        let (reward, discount) = (&self.reward[..], &self.discount[..]);
        let (params, next_state) = (&self.mixer_params[..], &self.next_state[..]);
        let mixed = Join::Qmix { reward, discount, shape: self.mixer, params, next_state };
        [Join::Each, Join::Sum { reward, discount }, mixed]
    }

    /// Runs `f` with a call of every kind.
    fn calls(&self, mut f: impl FnMut(TdTarget<'_, '_>)) {
        let groups: Vec<_> = self.groups.iter().map(Group::next).collect();
        for (double_q, join) in [false, true].into_iter().flat_map(|d| self.joins().map(|j| (d, j))) {
            let agents: usize = groups.iter().map(|g| g.n_agents).sum();
            let len = if matches!(join, Join::Each) { self.batch * agents } else { self.batch };
            f(TdTarget { groups: &groups, batch: self.batch, double_q, join, target: &mut vec![9.0; len] });
        }
    }
}

fn cpu(threads: usize) -> Backend {
    Backend::cpu(CpuOptions { threads, isa: None }).unwrap()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// Targets of a call, which is left for others to read.
fn run(
    backend: &mut Backend,
    scratch: &mut TdTargetScratch,
    call: &mut TdTarget<'_, '_>,
) -> Result<Vec<f32>, Error> {
    let TdTarget { groups, batch, double_q, join, ref mut target } = *call;
    backend.td_target(scratch, TdTarget { groups, batch, double_q, join, target })?;
    Ok(target.to_vec())
}

#[test]
fn targets_are_those_of_the_definition() {
    let mut scratch = TdTargetScratch::new();
    for (batch, two, critics) in [(0, false, 1), (1, true, 2), (33, false, 1), (40, true, 2), (71, false, 2)]
    {
        Case::new(batch, two, critics).calls(|mut call| {
            let found = run(&mut cpu(1), &mut scratch, &mut call).unwrap();
            let expected = reference::targets(&call);
            assert_eq!(found.len(), expected.len());
            for (i, (&f, e)) in found.iter().zip(expected).enumerate() {
                let off = (f64::from(f) - e).abs() / e.abs().max(1.0);
                assert!(off < 1e-5, "{:?}, double {}, [{i}]: {f} or {e}", call.join, call.double_q);
            }
        });
    }
}

/// [`Backend::update`] forms the same targets: their mean is what it measures.
#[test]
fn an_update_has_the_same_targets() {
    use crate::{GroupBatch, Loss, Mixer, Update, UpdateScratch};
    let case = Case::new(32, false, 2);
    let g = &case.groups[0];
    let (mut grads, mut priority) = (vec![0.0; g.params.len()], vec![0.0; 32]);
    case.calls(|mut call| {
        let mixer = match call.join {
            Join::Each => Mixer::Independent,
            Join::Sum { .. } => Mixer::Sum,
            Join::Qmix { .. } => return,
        };
        let targets = run(&mut cpu(1), &mut TdTargetScratch::new(), &mut call).unwrap();
        let group = GroupBatch {
            shape: &g.shape,
            n_agents: 3,
            n_sets: g.n_sets,
            n_critics: g.n_critics,
            params: &g.params,
            target_params: &g.target_params,
            grads: &mut grads,
            obs: &g.next_obs,
            next_obs: &g.next_obs,
            next_mask: &g.next_mask,
            action: &[0; 96],
            reward: &g.reward,
            discount: &g.discount,
            valid: &[true; 96],
        };
        let update = Update {
            groups: &mut [group],
            batch: 32,
            weight: &[1.0; 32],
            team_reward: &case.reward,
            team_discount: &case.discount,
            double_q: call.double_q,
            mixer,
            loss: Loss::Squared,
            priority: &mut priority,
        };
        let stats = cpu(1).update(&mut UpdateScratch::new(), update).unwrap();
        // In the order of the update: agents of a sample, then samples.
        let width = targets.len() / 32;
        let of = |sample: &[f32]| f64::from(sample.iter().fold(0.0, |sum, t| sum + t));
        let mean = targets.chunks_exact(width).map(of).sum::<f64>() / targets.len() as f64;
        assert_eq!(stats.target_mean, mean as f32, "{mixer:?}, double {}", call.double_q);
    });
}

#[test]
fn threads_are_invisible_in_targets() {
    let mut three = cpu(3);
    three.always_split();
    Case::new(257, true, 2).calls(|mut call| {
        let alone = run(&mut cpu(1), &mut TdTargetScratch::new(), &mut call).unwrap();
        let split = run(&mut three, &mut TdTargetScratch::new(), &mut call).unwrap();
        assert!(bits(&alone) == bits(&split), "{:?}", call.join);
    });
}

/// A discount of 0 means that nothing of the next is read: not observations, masks, or the state.
#[test]
fn an_ended_process_reads_nothing_of_the_next() {
    let mut case = Case::new(12, true, 2);
    let mut before = Vec::new();
    let mut scratch = TdTargetScratch::new();
    case.calls(|mut call| before.push(bits(&run(&mut cpu(1), &mut scratch, &mut call).unwrap())));
    for g in &mut case.groups {
        let (d, words) = (g.shape.mlp.input, g.shape.mask_words());
        for row in (0..12 * g.n_agents).filter(|&row| g.discount[row] == 0.0) {
            g.next_obs[row * d..(row + 1) * d].fill(f32::NAN);
            g.next_mask[row * words..(row + 1) * words].fill(0);
        }
    }
    for b in (0..12).filter(|&b| case.discount[b] == 0.0) {
        case.next_state[b * 6..(b + 1) * 6].fill(f32::NAN);
    }
    let mut before = before.into_iter();
    case.calls(|mut call| {
        let now = bits(&run(&mut cpu(1), &mut scratch, &mut call).unwrap());
        assert_eq!(Some(now), before.next(), "{:?}", call.join);
    });
}

#[test]
fn bad_rows_and_what_does_not_fit_are_refused() {
    let mut case = Case::new(9, true, 1);
    case.discount.fill(0.9);
    case.groups.iter_mut().for_each(|g| g.discount.fill(0.9));
    let mut none = |group: usize, sample: usize, agent: usize| {
        let g = &mut case.groups[group];
        let words = g.shape.mask_words();
        let row = sample * g.n_agents + agent;
        g.next_mask[row * words..(row + 1) * words].fill(0);
    };
    none(1, 4, 1);
    none(0, 7, 0);
    case.calls(|mut call| {
        let error = run(&mut cpu(1), &mut TdTargetScratch::new(), &mut call).unwrap_err();
        assert_eq!(error, Error::NoLegalAction { env: 4, agent: 3 + 1 });
    });
    let groups: Vec<_> = case.groups.iter().map(Group::next).collect();
    let refused = |groups: &[NextGroup<'_>], join, len: usize| {
        let mut target = vec![0.0; len];
        let call = TdTarget { groups, batch: 9, double_q: true, join, target: &mut target };
        cpu(1).td_target(&mut TdTargetScratch::new(), call).unwrap_err().to_string()
    };
    let [_, sum, mixed] = case.joins();
    assert!(refused(&[], Join::Each, 0).contains("without a group"));
    assert!(refused(&groups, Join::Each, 9).contains("target holds 9 elements"));
    assert!(refused(&groups, sum, 45).contains("target holds 45 elements"));
    assert!(refused(&groups[..1], mixed, 9).contains("a mixer of 5 agents for groups of 3"));
    assert!(refused(&[NextGroup { n_critics: 3, ..groups[0] }], sum, 9).contains("3 critics"));
    assert!(refused(&[NextGroup { params: &[], ..groups[0] }], sum, 9).contains("params holds 0"));
}
