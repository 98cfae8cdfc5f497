//! `act`: observations to Q-values to one legal action a row, in one call.
//!
//! Per row: the network forward (`act` of hidden layers and the dueling head fused), legality, exploration. Random
//! numbers are one Philox4x32-10 block a row, named `(Explore, first_row + row, step)`: word 0 decides whether to
//! explore, word 1 which action. Rows go through all layers in blocks that stay in cache.

mod choose;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
pub mod reference;

use crate::buffer::Buffer;
use crate::error::check_len;
use crate::{Backend, Error, QShape};

/// How actions are chosen from values.
#[derive(Debug, Clone, Copy)]
pub enum Exploration<'a> {
    /// The legal action with the highest value, the lowest index of equals.
    Greedy,
    /// With probability `epsilon` a uniformly drawn legal action, else greedy.
    EpsilonGreedy {
        /// In [0, 1].
        epsilon: f32,
    },
    /// Legal actions with probability proportional to `exp(Q / temperature)`.
    Boltzmann {
        /// Above 0.
        temperature: f32,
    },
    /// Epsilon-greedy on `Q + noise`.
    Noise {
        /// `[E, A, N]`.
        noise: &'a [f32],
        /// In [0, 1].
        epsilon: f32,
    },
}

/// One call of [`Backend::act`]. E environments, A agents, D observation width, N actions, W mask words.
#[derive(Debug)]
pub struct Act<'a> {
    /// The network.
    pub shape: &'a QShape,
    /// Parameters `[S, P]`.
    pub params: &'a [f32],
    /// Parameter sets `S`: 1 (shared) or A (one an agent).
    pub n_sets: usize,
    /// Agents `A`.
    pub n_agents: usize,
    /// Observations `[E, A, D]`.
    pub obs: &'a [f32],
    /// Legality `[E, A, W]`: bit `a % 32` of word `a / 32` is set if action `a` is legal. Empty: all legal.
    pub mask: &'a [u32],
    /// `[E, A]`, or empty: all alive. A row that is not alive gets its lowest legal action, or 0, and no error.
    pub alive: &'a [bool],
    /// How to choose.
    pub exploration: Exploration<'a>,
    /// Seed of the run.
    pub seed: u64,
    /// Position in the streams; 56 bits.
    pub step: u64,
    /// Number of row (environment 0, agent 0) in the streams' names; gives groups different numbers.
    pub first_row: u32,
    /// Actions `[E, A]`, written.
    pub actions: &'a mut [u32],
    /// Q-values `[E, A, N]`, written if wanted (without noise).
    pub q: Option<&'a mut [f32]>,
}

impl Act<'_> {
    /// Environments `E`.
    pub fn n_envs(&self) -> usize {
        self.actions.len().checked_div(self.n_agents).unwrap_or(0)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.shape.check()?;
        let (agents, sets) = (self.n_agents, self.n_sets);
        if agents == 0 || (sets != 1 && sets != agents) {
            return Err(Error::Shape(format!(
                "{sets} parameter sets for {agents} agents; use 1 (shared) or one an agent, and at least one agent"
            )));
        }
        let rows = self.n_envs() * agents;
        let n = self.shape.n_actions;
        check_len("actions", "[E, A]", rows, self.actions.len())?;
        check_len("params", "[S, P]", sets * self.shape.param_count(), self.params.len())?;
        check_len("obs", "[E, A, D]", rows * self.shape.mlp.input, self.obs.len())?;
        if !self.mask.is_empty() {
            check_len("mask", "[E, A, W]", rows * self.shape.mask_words(), self.mask.len())?;
        }
        if !self.alive.is_empty() {
            check_len("alive", "[E, A]", rows, self.alive.len())?;
        }
        if let Some(q) = &self.q {
            check_len("q", "[E, A, N]", rows * n, q.len())?;
        }
        self.check_exploration(rows * n)
    }

    fn check_exploration(&self, values: usize) -> Result<(), Error> {
        let unit = |what, value: f32| {
            let inside = (0.0..=1.0).contains(&value);
            if inside { Ok(()) } else { Err(Error::Setting { what, value, must: "in [0, 1]" }) }
        };
        match self.exploration {
            Exploration::Greedy => Ok(()),
            Exploration::EpsilonGreedy { epsilon } => unit("epsilon", epsilon),
            Exploration::Noise { noise, epsilon } => {
                check_len("noise", "[E, A, N]", values, noise.len())?;
                unit("epsilon", epsilon)
            }
            Exploration::Boltzmann { temperature } if temperature > 0.0 && temperature.is_finite() => Ok(()),
            Exploration::Boltzmann { temperature } => {
                Err(Error::Setting { what: "temperature", value: temperature, must: "finite and above 0" })
            }
        }
    }
}

/// Memory of [`Backend::act`]; grows on first use and is then kept.
#[derive(Debug, Default)]
pub struct ActScratch {
    /// One a thread.
    lanes: Vec<Buffer>,
    /// Memory of a GPU.
    #[cfg(feature = "cuda")]
    gpu: cuda::ActMemory,
}

impl ActScratch {
    /// Scratch that already fits calls of this size on one thread. [`ActScratch::default`] grows on first use.
    pub fn new(shape: &QShape, n_envs: usize, n_agents: usize) -> Self {
        let mut scratch = Self::default();
        scratch.fit(shape, n_envs * n_agents, 1);
        scratch
    }

    fn fit(&mut self, shape: &QShape, rows: usize, threads: usize) {
        if self.lanes.len() < threads {
            self.lanes.resize_with(threads, Buffer::new);
        }
        for lane in &mut self.lanes[..threads] {
            lane.fit(cpu::lane_len(shape, rows.min(cpu::BLOCK_ROWS)));
        }
    }
}

impl Backend {
    /// Chooses one action a row.
    ///
    /// # Errors
    /// [`Error::NoLegalAction`] for a living row whose mask allows nothing; [`Error::Length`], [`Error::Shape`] and
    /// [`Error::Setting`] for what does not fit; [`Error::Gpu`] from a GPU. Actions are then unspecified.
    pub fn act(&mut self, scratch: &mut ActScratch, mut call: Act<'_>) -> Result<(), Error> {
        call.check()?;
        match self {
            Backend::Cpu(cpu) => cpu::act(cpu, scratch, &mut call),
            Backend::Cuda(gpu) => gpu.act(scratch, &mut call),
        }
    }
}

#[cfg(test)]
mod tests;
