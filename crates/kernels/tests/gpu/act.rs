//! `act` on a device: actions and Q-values to the bit.

use coact_core::{Purpose, Stream};
use coact_kernels::{Act, ActScratch, Activation, Backend, CpuOptions, Error, Exploration, QShape};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, Purpose::Init, 0, 0);
    (0..n).map(|_| s.range(-1.0, 1.0)).collect()
}

pub struct Case {
    pub shape: QShape,
    pub n_sets: usize,
    pub n_agents: usize,
    n_envs: usize,
    pub params: Vec<f32>,
    pub obs: Vec<f32>,
    pub mask: Vec<u32>,
    alive: Vec<bool>,
    noise: Vec<f32>,
}

impl Case {
    pub fn new(shape: QShape, n_envs: usize, n_agents: usize, n_sets: usize) -> Self {
        let rows = n_envs * n_agents;
        Self {
            n_sets,
            n_agents,
            n_envs,
            params: noise(1, n_sets * shape.param_count()),
            obs: noise(2, rows * shape.mlp.input),
            mask: Vec::new(),
            alive: Vec::new(),
            noise: noise(4, rows * shape.n_actions),
            shape,
        }
    }

    pub fn plain(n_envs: usize, n_agents: usize) -> Self {
        Self::new(QShape::new(18, vec![64, 64], 5, Activation::Relu, false, false), n_envs, n_agents, 1)
    }

    /// Some actions illegal in every row, some rows dead and without any legal action.
    pub fn masked(mut self) -> Self {
        let n = self.shape.n_actions;
        let rows = self.n_envs * self.n_agents;
        let words = self.shape.mask_words();
        let mut s = Stream::new(3, Purpose::Init, 0, 0);
        self.mask = (0..rows * words).map(|_| s.next_u32()).collect();
        for row in self.mask.chunks_exact_mut(words) {
            let legal = s.below(n as u32) as usize;
            row[legal / 32] |= 1 << (legal % 32);
        }
        self.alive = (0..rows).map(|_| s.below(4) > 0).collect();
        for (row, _) in self.alive.iter().enumerate().filter(|&(row, alive)| !alive && row % 2 == 0) {
            self.mask[row * words..(row + 1) * words].fill(0);
        }
        self
    }

    pub fn call(
        &self,
        backend: &mut Backend,
        exploration: Exploration<'_>,
    ) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let rows = self.n_envs * self.n_agents;
        let (mut actions, mut q) = (vec![77; rows], vec![0.0; rows * self.shape.n_actions]);
        let call = Act {
            shape: &self.shape,
            params: &self.params,
            n_sets: self.n_sets,
            n_agents: self.n_agents,
            obs: &self.obs,
            mask: &self.mask,
            alive: &self.alive,
            exploration,
            seed: 0x1234_5678_9abc_def0,
            step: 1 << 40 | 3,
            first_row: u32::MAX - 20,
            actions: &mut actions,
            q: Some(&mut q),
        };
        backend.act(&mut ActScratch::default(), call)?;
        Ok((actions, q.iter().map(|v| v.to_bits()).collect()))
    }

    pub fn run(&self, backend: &mut Backend) -> Result<Vec<u32>, Error> {
        self.call(backend, Exploration::Greedy).map(|(actions, _)| actions)
    }

    pub fn compare(&self, gpu: &mut Backend) {
        for exploration in [
            Exploration::Greedy,
            Exploration::EpsilonGreedy { epsilon: 0.4 },
            Exploration::Boltzmann { temperature: 0.3 },
            Exploration::Noise { noise: &self.noise, epsilon: 0.2 },
        ] {
            self.compare_one(gpu, exploration);
        }
    }

    fn compare_one(&self, gpu: &mut Backend, exploration: Exploration<'_>) {
        let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
        let want = self.call(&mut cpu, exploration);
        let got = self.call(gpu, exploration);
        let (shape, envs, agents) = (&self.shape, self.n_envs, self.n_agents);
        assert!(want == got, "{shape:?}, {envs} environments of {agents} agents, {} sets", self.n_sets);
    }
}

fn gpu() -> Backend {
    Backend::cuda(0, CpuOptions::default()).unwrap()
}

#[test]
#[ignore = "needs a GPU"]
fn act_on_a_device_over_rows() {
    let mut gpu = gpu();
    for n_envs in [0, 1, 2, 7, 8, 9, 31, 33, 1023, 1025] {
        Case::plain(n_envs, 1).compare(&mut gpu);
    }
    // Tiles of 32 rows, and a last one that is not full.
    Case::plain(4231, 1).compare_one(&mut gpu, Exploration::EpsilonGreedy { epsilon: 0.4 });
}

#[test]
#[ignore = "needs a GPU"]
fn act_on_a_device_over_options() {
    use Activation::{Relu, Tanh};
    let mut gpu = gpu();
    for (input, hidden, n, activation, norm, dueling) in [
        (1, vec![], 1, Relu, false, false),
        (3, vec![1], 2, Tanh, true, true),
        (17, vec![13, 7], 3, Relu, true, false),
        (31, vec![64], 33, Tanh, false, true),
        (6, vec![16, 9, 5, 3], 40, Relu, true, true),
        (129, vec![257], 11, Tanh, true, false),
        (64, vec![128, 128], 16, Relu, false, true),
        (40, vec![512], 6, Relu, true, true),
    ] {
        let shape = QShape::new(input, hidden, n, activation, norm, dueling);
        for (n_envs, n_agents, n_sets) in [(5, 3, 3), (11, 2, 1)] {
            Case::new(shape.clone(), n_envs, n_agents, n_sets).masked().compare(&mut gpu);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn act_on_a_device_on_random_shapes() {
    let mut gpu = gpu();
    let mut s = Stream::new(8, Purpose::Init, 0, 0);
    for _ in 0..20 {
        let hidden = (0..s.below(4)).map(|_| 1 + s.below(80) as usize).collect();
        let activation = if s.below(2) == 0 { Activation::Relu } else { Activation::Tanh };
        let (input, n) = (1 + s.below(70) as usize, 1 + s.below(40) as usize);
        let shape = QShape::new(input, hidden, n, activation, s.below(2) == 0, s.below(2) == 0);
        let (n_envs, n_agents) = (1 + s.below(70) as usize, 1 + s.below(4) as usize);
        let n_sets = if s.below(2) == 0 { 1 } else { n_agents };
        Case::new(shape, n_envs, n_agents, n_sets).masked().compare(&mut gpu);
    }
}

#[test]
#[ignore = "needs a GPU"]
fn numbers_that_are_not_finite_choose_alike_on_a_device() {
    let shape = QShape::new(3, vec![], 5, Activation::Relu, false, false);
    let mut case = Case::new(shape, 50, 1, 1);
    case.params.iter_mut().for_each(|p| *p = (*p * 3.0).round());
    case.obs.iter_mut().for_each(|x| *x = (*x * 2.0).round());
    case.obs[9] = f32::NAN;
    case.params[15] = f32::NEG_INFINITY;
    case.params[17] = f32::NEG_INFINITY;
    let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
    // A NaN has no bits of its own, so actions only.
    assert_eq!(case.run(&mut gpu()).unwrap(), case.run(&mut cpu).unwrap());
}

#[test]
#[ignore = "needs a GPU"]
fn a_row_without_a_legal_action_is_named_on_a_device() {
    let mut case = Case::plain(50, 3);
    case.mask = vec![31; 150];
    case.mask[7 * 3 + 2] = 0xffe0;
    case.mask[20 * 3] = 0;
    let error = case.run(&mut gpu()).unwrap_err();
    assert_eq!(error, Error::NoLegalAction { env: 7, agent: 2 });
}

/// Changed parameters reach the device, also where they differ only in the sign of a zero.
#[test]
#[ignore = "needs a GPU"]
fn changed_parameters_are_seen_on_a_device() {
    let shape = QShape::new(1, vec![], 1, Activation::Relu, false, false);
    let (mut gpu, mut scratch) = (gpu(), ActScratch::default());
    let mut q = |params: &[f32]| {
        let mut out = [7.0];
        let call = Act {
            shape: &shape,
            params,
            n_sets: 1,
            n_agents: 1,
            obs: &[-0.0],
            mask: &[],
            alive: &[],
            exploration: Exploration::Greedy,
            seed: 0,
            step: 0,
            first_row: 0,
            actions: &mut [0],
            q: Some(&mut out),
        };
        gpu.act(&mut scratch, call).unwrap();
        out[0].to_bits()
    };
    assert_eq!(q(&[1.0, 2.0]), 2.0_f32.to_bits());
    assert_eq!(q(&[1.0, 0.0]), 0.0_f32.to_bits());
    assert_eq!(q(&[1.0, -0.0]), (-0.0_f32).to_bits());
    assert_eq!(q(&[1.0, 3.0]), 3.0_f32.to_bits());
}

/// Launches are named and counted while they are timed, and only then.
#[test]
#[ignore = "needs a GPU"]
fn launches_are_timed_on_a_device() {
    let mut gpu = gpu();
    Case::plain(33, 1).run(&mut gpu).unwrap();
    assert_eq!(gpu.take_launches().unwrap(), []);
    gpu.time_launches();
    Case::plain(33, 1).run(&mut gpu).unwrap();
    Case::plain(5000, 1).run(&mut gpu).unwrap();
    let launches = gpu.take_launches().unwrap();
    let what: Vec<_> = launches.iter().map(|l| (l.kernel, l.blocks.0, l.threads)).collect();
    assert_eq!(what, [("act_8", 5, 128), ("act_32", 157, 128)]);
    assert!(launches.iter().all(|l| l.seconds > 0.0), "{launches:?}");
    Case::plain(33, 1).run(&mut gpu).unwrap();
    assert_eq!(gpu.take_launches().unwrap(), []);
}

/// The bounds are numbers, and the device computed what the processor does.
#[test]
#[ignore = "needs a GPU"]
fn the_roofline_is_measured_on_a_device() {
    let bounds = gpu().roofline(100, 4 * 1021).unwrap().unwrap();
    assert!(bounds.flops.is_finite() && bounds.flops > 0.0 && bounds.bytes > 0.0, "{bounds:?}");
    assert_eq!(Backend::cpu(CpuOptions::default()).unwrap().roofline(1, 4), Ok(None));
}
