//! Correlated exploration noise: Gaussian, Ornstein-Uhlenbeck, and noise that is orthogonal across agents.
//!
//! A Q-learner adds the noise to action values before the greedy choice, a deterministic actor to its actions. Epsilon-greedy
//! and Boltzmann exploration are elsewhere (in the `act` kernel).

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, Stream};
use serde::{Deserialize, Serialize};

/// Which noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// None.
    None,
    /// Independent normal numbers.
    Gaussian,
    /// Ornstein-Uhlenbeck: reverts to 0 with rate 0.15 per unit of time, 0.01 units a step (the constants of
    /// stable-baselines), so it stays on one side for a while.
    OrnsteinUhlenbeck,
    /// Normal numbers whose directions are orthogonal between the agents of a group: each agent's noise alone is
    /// Gaussian, but no two agents explore in the same direction.
    Orthogonal,
}

const OU_THETA: f64 = 0.15;
const OU_DT: f64 = 0.01;

/// A source of noise for `E` environments, `A` agents and `N` numbers an agent.
#[derive(Debug, Clone)]
pub struct Noise {
    kind: NoiseKind,
    n_agents: usize,
    width: usize,
    /// Standardized noise `[E, A, N]`; for Ornstein-Uhlenbeck also its state.
    values: Vec<f64>,
    /// `values` times the scale, ready for the kernel.
    scaled: Vec<f32>,
}

impl Noise {
    /// A source at rest.
    pub fn new(kind: NoiseKind, n_envs: usize, n_agents: usize, width: usize) -> Self {
        let n = if kind == NoiseKind::None { 0 } else { n_envs * n_agents * width };
        Self { kind, n_agents, width, values: vec![0.0; n], scaled: vec![0.0; n] }
    }

    /// The next noise `[E, A, N]` with standard deviation `scale` (for Ornstein-Uhlenbeck: of its increments
    /// per unit of time). `position` numbers the call, `stream_index` the group.
    pub fn next(&mut self, scale: f64, seed: u64, stream_index: u32, position: u64) -> &[f32] {
        let block = self.n_agents * self.width;
        for (env, values) in self.values.chunks_exact_mut(block.max(1)).enumerate() {
            let index = 0x8000_0000 | (stream_index << 24) | env as u32;
            let mut stream = Stream::new(seed, Purpose::Explore, index, position);
            match self.kind {
                NoiseKind::None => {}
                NoiseKind::Gaussian => values.iter_mut().for_each(|v| *v = stream.normal()),
                NoiseKind::OrnsteinUhlenbeck => {
                    for v in values.iter_mut() {
                        *v += -OU_THETA * *v * OU_DT + OU_DT.sqrt() * stream.normal();
                    }
                }
                NoiseKind::Orthogonal => orthogonal_directions(values, self.width, &mut stream),
            }
        }
        self.scaled.iter_mut().zip(&self.values).for_each(|(s, v)| *s = (scale * v) as f32);
        &self.scaled
    }

    /// Puts what remembers at rest in the environments whose episode begins, `is_first` `[E]`.
    pub fn restart(&mut self, is_first: &[bool]) {
        let block = self.n_agents * self.width;
        if self.kind == NoiseKind::OrnsteinUhlenbeck {
            let rows = self.values.chunks_exact_mut(block).zip(is_first);
            rows.filter(|(_, first)| **first).for_each(|(row, _)| row.fill(0.0));
        }
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Writer) {
        out.f64s(&self.values);
    }

    /// Restores the state.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    pub fn load(&mut self, from: &mut Reader<'_>) -> coact_core::Result<()> {
        from.f64s(&mut self.values)
    }
}

/// Fills rows of `width` numbers with Gaussian vectors whose directions are orthogonal within each run of
/// `width` rows (more cannot be): Gram-Schmidt on Gaussian rows, then each row rescaled to the length of a fresh
/// Gaussian vector, which makes it Gaussian on its own.
fn orthogonal_directions(values: &mut [f64], width: usize, stream: &mut Stream) {
    for run in values.chunks_mut(width * width) {
        for row in 0..run.len() / width {
            let (before, rest) = run.split_at_mut(row * width);
            let current = &mut rest[..width];
            let mut length2 = 0.0;
            for v in current.iter_mut() {
                *v = stream.normal();
                let n = stream.normal();
                length2 += n * n;
            }
            for _ in 0..2 {
                for other in before.chunks_exact(width) {
                    let dot: f64 = current.iter().zip(other).map(|(a, b)| a * b).sum();
                    let norm2: f64 = other.iter().map(|b| b * b).sum();
                    let factor = if norm2 > 0.0 { dot / norm2 } else { 0.0 };
                    current.iter_mut().zip(other).for_each(|(a, b)| *a -= factor * b);
                }
            }
            let norm2: f64 = current.iter().map(|a| a * a).sum();
            let factor = if norm2 > 0.0 { (length2 / norm2).sqrt() } else { 0.0 };
            current.iter_mut().for_each(|a| *a *= factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_noise_is_orthogonal_across_agents_and_gaussian_for_each() {
        let (agents, width, n) = (3, 5, 20_000);
        let mut noise = Noise::new(NoiseKind::Orthogonal, 1, agents, width);
        let mut squares = vec![0.0_f64; agents * width];
        for position in 0..n {
            let values = noise.next(1.0, 4, 0, position).to_vec();
            for a in 0..agents {
                for b in 0..a {
                    let dot: f32 = (0..width).map(|k| values[a * width + k] * values[b * width + k]).sum();
                    assert!(dot.abs() < 1e-5, "agents {a} and {b}: {dot}");
                }
            }
            squares.iter_mut().zip(&values).for_each(|(s, v)| *s += f64::from(*v).powi(2));
        }
        for s in squares {
            // Variance of a squared normal is 2; five standard errors.
            assert!((s / n as f64 - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
        }
    }

    #[test]
    fn gaussian_noise_is_not_orthogonal_and_scales() {
        let mut noise = Noise::new(NoiseKind::Gaussian, 1, 2, 4);
        let one = noise.next(1.0, 4, 0, 7).to_vec();
        let dot: f32 = (0..4).map(|k| one[k] * one[4 + k]).sum();
        assert!(dot.abs() > 1e-3);
        let half = noise.next(0.5, 4, 0, 7);
        assert!(one.iter().zip(half).all(|(a, b)| (0.5 * a - b).abs() < 1e-6));
    }

    #[test]
    fn ornstein_uhlenbeck_remembers_and_resumes() {
        let mut noise = Noise::new(NoiseKind::OrnsteinUhlenbeck, 2, 1, 3);
        let first = noise.next(1.0, 4, 0, 0).to_vec();
        let mut w = Writer::new();
        noise.save(&mut w);
        let second = noise.next(1.0, 4, 0, 1).to_vec();
        // One step moves by about sqrt(dt) = 0.1, far less than an independent draw would.
        assert!(first.iter().zip(&second).all(|(a, b)| (a - b).abs() < 0.6));
        let mut other = Noise::new(NoiseKind::OrnsteinUhlenbeck, 2, 1, 3);
        let bytes = w.into_bytes();
        other.load(&mut Reader::new("noise", &bytes)).unwrap();
        assert_eq!(other.next(1.0, 4, 0, 1), second);
    }
}
