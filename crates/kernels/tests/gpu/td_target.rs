//! `td_target` on a device: targets to the bit, over options, sizes and random shapes.

use super::mix::{backends, numbers};
use coact_core::{Purpose, Stream};
use coact_kernels::{
    Activation, Backend, Error, Join, MixShape, NextGroup, QShape, TdTarget, TdTargetScratch,
};

struct Group {
    shape: QShape,
    /// Agents, sets, critics.
    form: (usize, usize, usize),
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
            n_agents: self.form.0,
            n_sets: self.form.1,
            n_critics: self.form.2,
            params: &self.params,
            target_params: &self.target_params,
            next_obs: &self.next_obs,
            next_mask: &self.next_mask,
            reward: &self.reward,
            discount: &self.discount,
        }
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

fn discounts(s: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| if s.below(4) == 0 { 0.0 } else { s.range(0.5, 1.0) }).collect()
}

fn group(s: &mut Stream, shape: QShape, form: (usize, usize, usize), batch: usize) -> Group {
    let (agents, sets, critics) = form;
    let (rows, words, n) = (batch * agents, shape.mask_words(), shape.n_actions as u32);
    let params = critics * sets * shape.param_count();
    let mut next_mask: Vec<u32> = (0..rows * words).map(|_| s.next_u32()).collect();
    for row in next_mask.chunks_exact_mut(words) {
        let legal = s.below(n) as usize;
        row[legal / 32] |= 1 << (legal % 32);
    }
    let seed = u64::from(s.next_u32());
    let mut out = Group {
        params: numbers(seed, params),
        target_params: numbers(seed + 1, params),
        next_obs: numbers(seed + 2, rows * shape.mlp.input),
        next_mask,
        reward: numbers(seed + 3, rows),
        discount: discounts(s, rows),
        shape,
        form,
    };
    // What does not count is never read.
    for row in (0..rows).filter(|&row| out.discount[row] == 0.0) {
        let d = out.shape.mlp.input;
        out.next_obs[row * d..(row + 1) * d].fill(f32::NAN);
        out.next_mask[row * words..(row + 1) * words].fill(0);
    }
    out
}

impl Case {
    fn new(groups: Vec<Group>, batch: usize, state: usize, embed: usize, hypernet: Option<usize>) -> Self {
        let n_agents = groups.iter().map(|g| g.form.0).sum();
        let mixer = MixShape { n_agents, state, embed, hypernet };
        let mut s = Stream::new(12, Purpose::Init, 0, 0);
        let mut out = Self {
            groups,
            batch,
            reward: numbers(20, batch),
            discount: discounts(&mut s, batch),
            mixer_params: numbers(21, mixer.param_count()),
            next_state: numbers(22, batch * state),
            mixer,
        };
        for b in (0..batch).filter(|&b| out.discount[b] == 0.0) {
            out.next_state[b * state..(b + 1) * state].fill(f32::NAN);
        }
        out
    }

    /// Targets of every way to join, as bits.
    fn run(
        &self,
        backend: &mut Backend,
        scratch: &mut TdTargetScratch,
        double_q: bool,
    ) -> Result<Vec<u32>, Error> {
        let groups: Vec<_> = self.groups.iter().map(Group::next).collect();
        let (reward, discount) = (&self.reward[..], &self.discount[..]);
        let (params, next_state) = (&self.mixer_params[..], &self.next_state[..]);
        let mixed = Join::Qmix { reward, discount, shape: self.mixer, params, next_state };
        let mut out = Vec::new();
        for join in [Join::Each, Join::Sum { reward, discount }, mixed] {
            let columns = if matches!(join, Join::Each) { self.mixer.n_agents } else { 1 };
            let mut target = vec![7.0; self.batch * columns];
            let call = TdTarget { groups: &groups, batch: self.batch, double_q, join, target: &mut target };
            backend.td_target(scratch, call)?;
            out.extend(target.into_iter().map(f32::to_bits));
        }
        Ok(out)
    }

    fn compare(&self, [cpu, gpu]: &mut [Backend; 2], scratch: &mut TdTargetScratch) {
        for double_q in [false, true] {
            let want = self.run(cpu, &mut TdTargetScratch::new(), double_q).unwrap();
            let got = self.run(gpu, scratch, double_q).unwrap();
            let differ = want.iter().zip(&got).filter(|(a, b)| a != b).count();
            let shapes: Vec<_> = self.groups.iter().map(|g| (&g.shape, g.form)).collect();
            let what = format!("{shapes:?}, {:?}, batch {}, double {double_q}", self.mixer, self.batch);
            assert_eq!(differ, 0, "{what}: of {} targets", want.len());
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn targets_on_a_device_over_batches() {
    let (mut backends, mut scratch) = (backends(), TdTargetScratch::new());
    let shape = || QShape::new(9, vec![24, 16], 5, Activation::Relu, false, false);
    for batch in [0, 1, 2, 7, 8, 9, 31, 33, 1023, 1025] {
        let mut s = Stream::new(3, Purpose::Init, batch as u32, 0);
        let groups = vec![group(&mut s, shape(), (3, 1, 1), batch)];
        Case::new(groups, batch, 12, 8, Some(16)).compare(&mut backends, &mut scratch);
    }
    // Tiles of 32 rows, some samples a block, and as many as a tile has rows; a last tile that is not full.
    for (batch, agents) in [(1409, 3), (4230, 1)] {
        let mut s = Stream::new(4, Purpose::Init, batch as u32, 0);
        let shape = QShape::new(4, vec![8], 3, Activation::Relu, false, true);
        let groups = vec![group(&mut s, shape, (agents, 1, 2), batch)];
        Case::new(groups, batch, 3, 4, None).compare(&mut backends, &mut scratch);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn targets_on_a_device_over_options() {
    use Activation::{Relu, Tanh};
    let (mut backends, mut scratch) = (backends(), TdTargetScratch::new());
    let shape = QShape::new;
    let mut s = Stream::new(5, Purpose::Init, 0, 0);
    for batch in [5, 37] {
        let mut one = |shape, form| group(&mut s, shape, form, batch);
        let cases = [
            vec![one(shape(18, vec![64, 64], 5, Relu, false, false), (3, 1, 1))],
            vec![one(shape(4, vec![13], 3, Tanh, false, true), (3, 3, 1))],
            vec![one(shape(7, vec![33, 6], 35, Relu, true, true), (9, 1, 2))],
            vec![one(shape(5, vec![9, 70, 3], 2, Tanh, true, false), (4, 4, 2))],
            vec![one(shape(1, vec![], 1, Relu, false, false), (1, 1, 1))],
            // Too wide for passes in lockstep.
            vec![one(shape(20, vec![512], 6, Tanh, true, true), (2, 1, 2))],
            vec![
                one(shape(3, vec![], 4, Relu, false, false), (3, 1, 1)),
                one(shape(66, vec![6], 3, Relu, false, true), (1, 1, 2)),
                one(shape(8, vec![30], 40, Tanh, true, true), (2, 2, 1)),
            ],
        ];
        for (groups, hypernet) in cases.into_iter().zip([Some(64), None, Some(7), None, None, None, Some(33)])
        {
            Case::new(groups, batch, 21, 32, hypernet).compare(&mut backends, &mut scratch);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn targets_on_a_device_on_random_shapes() {
    let (mut backends, mut scratch) = (backends(), TdTargetScratch::new());
    let mut s = Stream::new(7, Purpose::Init, 0, 0);
    for _ in 0..14 {
        let batch = 1 + s.below(60) as usize;
        let mut groups = Vec::new();
        for _ in 0..1 + s.below(2) {
            let hidden = (0..s.below(3)).map(|_| 1 + s.below(70) as usize).collect();
            let activation = if s.below(2) == 0 { Activation::Relu } else { Activation::Tanh };
            let (input, n) = (1 + s.below(70) as usize, 1 + s.below(40) as usize);
            let shape = QShape::new(input, hidden, n, activation, s.below(2) == 0, s.below(2) == 0);
            let agents = 1 + s.below(5) as usize;
            let form = (agents, if s.below(2) == 0 { 1 } else { agents }, 1 + s.below(2) as usize);
            groups.push(group(&mut s, shape, form, batch));
        }
        let (state, embed) = (1 + s.below(80) as usize, 1 + s.below(64) as usize);
        let hypernet = (s.below(2) == 0).then_some(64);
        Case::new(groups, batch, state, embed, hypernet).compare(&mut backends, &mut scratch);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn rows_without_a_legal_next_action_are_named_on_a_device() {
    let [_, mut gpu] = backends();
    let mut s = Stream::new(9, Purpose::Init, 0, 0);
    let shape = || QShape::new(3, vec![5], 4, Activation::Relu, false, false);
    let groups = vec![group(&mut s, shape(), (2, 1, 1), 20), group(&mut s, shape(), (3, 3, 1), 20)];
    let mut case = Case::new(groups, 20, 2, 3, None);
    case.discount.fill(0.9);
    for g in &mut case.groups {
        g.discount.fill(0.9);
        g.next_mask.fill(15);
    }
    case.groups[1].next_mask[11 * 3 + 2] = 16;
    case.groups[0].next_mask[14 * 2] = 0;
    let mut run = |case: &Case| case.run(&mut gpu, &mut TdTargetScratch::new(), true).map(|_| ());
    assert_eq!(run(&case), Err(Error::NoLegalAction { env: 11, agent: 4 }));
    case.groups[1].next_mask[11 * 3 + 2] = 8;
    assert_eq!(run(&case), Err(Error::NoLegalAction { env: 14, agent: 0 }));
    case.groups[0].next_mask[14 * 2] = 1;
    assert_eq!(run(&case), Ok(()));
}

/// What a GPU has no room for is refused, and how many launches there are is known.
#[test]
#[ignore = "needs a GPU"]
fn targets_on_a_device_are_one_launch() {
    let [_, mut gpu] = backends();
    let mut s = Stream::new(10, Purpose::Init, 0, 0);
    let shape = || QShape::new(3, vec![5], 4, Activation::Relu, false, false);
    let groups = vec![group(&mut s, shape(), (3, 1, 1), 40), group(&mut s, shape(), (2, 2, 1), 40)];
    let mut case = Case::new(groups, 40, 2, 3, Some(4));
    gpu.time_launches();
    case.run(&mut gpu, &mut TdTargetScratch::new(), true).unwrap();
    let launches = gpu.take_launches().unwrap();
    // One for each way to join: blocks of two samples, whose six rows of the first group fill a tile of eight best.
    let what: Vec<_> = launches.iter().map(|l| (l.kernel, l.blocks.0)).collect();
    assert_eq!(what, [("td_target_8", 20); 3]);
    case.mixer.state = 3000;
    case.mixer_params = numbers(1, case.mixer.param_count());
    case.next_state = numbers(2, 40 * 3000);
    let error = case.run(&mut gpu, &mut TdTargetScratch::new(), true).unwrap_err().to_string();
    assert!(error.contains("a state of 3000") && error.contains("use the cpu"), "{error}");
}
