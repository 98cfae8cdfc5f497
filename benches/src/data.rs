//! Inputs of benchmarks: random, never zero, the same in every run.

use coact_core::{ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, Stream};

/// A stream of random numbers for inputs; `index` tells inputs of one benchmark apart.
pub fn stream(index: u32) -> Stream {
    Stream::new(0xC0AC7, Purpose::Bootstrap, index, 0)
}

/// The linear congruential generator that the scripts of peers have too (`serve.py`), for inputs that both sides make.
#[derive(Debug, Clone)]
pub struct Lcg(u32);

impl Lcg {
    /// The generator of a seed.
    pub fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// The upper half of the next state.
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }

    /// A whole number below `bound`, which is at most 2^16.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.next() % bound
    }

    /// A number in [0, 1), of two draws, the more significant one first.
    pub fn uniform(&mut self) -> f64 {
        let high = self.next();
        (f64::from(high) + f64::from(self.next()) / 65_536.0) / 65_536.0
    }
}

/// `n` standard normal numbers.
pub fn normals(rng: &mut Stream, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.normal() as f32).collect()
}

/// `n` numbers in [low, high).
pub fn uniforms(rng: &mut Stream, n: usize, low: f32, high: f32) -> Vec<f32> {
    (0..n).map(|_| rng.range(low, high)).collect()
}

/// `n` whole numbers below `bound`.
pub fn indices(rng: &mut Stream, n: usize, bound: u32) -> Vec<u32> {
    (0..n).map(|_| rng.below(bound)).collect()
}

/// An environment with one group of `n_agents` agents, `width` observed numbers and five actions, as
/// `simple_spread` has them for 3 and 18. The reward is common.
pub fn spec(n_agents: usize, width: usize) -> EnvSpec {
    let group = GroupSpec {
        name: "agents".to_owned(),
        n_agents,
        obs: vec![ObsField::unbounded("all", width)],
        action: ActionSpace::Discrete { n: 5 },
        masked: false,
    };
    EnvSpec {
        name: "benchmark".to_owned(),
        version: 1,
        groups: vec![group],
        state_width: 0,
        episode_limit: Some(25),
        reward: RewardKind::Common,
    }
}

/// `n` batches of random discrete actions for `n_envs` copies of `spec`.
pub fn actions(rng: &mut Stream, spec: &EnvSpec, n_envs: usize, n: usize) -> Vec<ActionBatch> {
    let one = |_| {
        let mut batch = ActionBatch::new(spec, n_envs);
        for (column, group) in batch.discrete.iter_mut().zip(&spec.groups) {
            column.iter_mut().for_each(|a| *a = rng.below(group.action.n_discrete() as u32));
        }
        batch
    };
    (0..n).map(one).collect()
}
