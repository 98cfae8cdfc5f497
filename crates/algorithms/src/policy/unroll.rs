//! A network over a whole rollout: its outputs for every step, for the observation after the last one, and for the last
//! observations of episodes that a time limit cut.

use coact_kernels::Backend;
use coact_replay::Rollout;

use super::network::{Memories, SetNetwork, Window};
use crate::Result;

/// Outputs of a network of `A` rows a position and `N` outputs a row. Buffers are kept from rollout to rollout.
#[derive(Debug, Default)]
pub(super) struct Unrolled {
    /// `[T, B, A, N]`.
    pub(super) steps: Vec<f32>,
    /// `[B, A, N]`.
    pub(super) last: Vec<f32>,
    /// `[F, A, N]`.
    pub(super) finals: Vec<f32>,
    /// Recurrent states `[B, A, M]` before the observation after the last step, with which the next rollout begins.
    pub(super) memory: Vec<f32>,
    /// Recurrent states `[F, A, M]` that the last observations of cut episodes find.
    final_memory: Vec<f32>,
    never_first: Vec<bool>,
}

impl Unrolled {
    /// Runs `network` over `columns` `[T + 1, B, A, D]` and `finals` `[F, A, D]`, from `memories` on.
    ///
    /// # Errors
    /// A buffer of another length.
    pub(super) fn run(
        &mut self,
        network: &mut SetNetwork,
        backend: &mut Backend,
        params: &[f32],
        columns: &[f32],
        finals: &[f32],
        rollout: &Rollout,
        memories: Memories<'_>,
    ) -> Result<()> {
        let (n_envs, n_ends) = (rollout.n_envs, rollout.ends.len());
        let count = rollout.n_steps * n_envs;
        let (n_agents, m, d) = (network.n_agents, network.memory_width(), network.net.shape().input);
        let n = network.net.shape().output;
        self.steps.resize(count * n_agents * n, 0.0);
        self.last.resize(n_envs * n_agents * n, 0.0);
        self.finals.resize(n_ends * n_agents * n, 0.0);
        self.memory.resize(n_envs * n_agents * m, 0.0);
        self.final_memory.resize(n_ends * n_agents * m, 0.0);
        self.never_first.resize(n_ends, false);
        for set in 0..network.sets.len() {
            let window = Window::all(count, rollout.n_steps);
            network.forward(backend, params, set, columns, window, &rollout.is_first, memories)?;
            scatter(&mut self.steps, network, set, n);
            if m > 0 {
                self.keep_memories(network, set, rollout);
            }
        }
        let stride = n_agents * m;
        let after = &columns[count * n_agents * d..];
        for set in 0..network.sets.len() {
            let memories = Memories { values: &self.memory, stride, offset: 0 };
            let is_first = &rollout.is_first[count..];
            network.forward(backend, params, set, after, Window::all(n_envs, 1), is_first, memories)?;
            scatter(&mut self.last, network, set, n);
            if n_ends > 0 {
                let memories = Memories { values: &self.final_memory, stride, offset: 0 };
                let window = Window::all(n_ends, 1);
                network.forward(backend, params, set, finals, window, &self.never_first, memories)?;
                scatter(&mut self.finals, network, set, n);
            }
        }
        Ok(())
    }

    /// What the observation after the last step, and the last observations of cut episodes, find remembered.
    fn keep_memories(&mut self, network: &SetNetwork, set: usize, rollout: &Rollout) {
        let (n_agents, m, agents) = (network.n_agents, network.memory_width(), network.agents(set));
        let k = agents.len();
        for (i, from) in network.memory_out().chunks_exact(m).enumerate() {
            let row = i / k * n_agents + agents.start + i % k;
            self.memory[row * m..(row + 1) * m].copy_from_slice(from);
        }
        for (f, &(t, env)) in rollout.ends.iter().enumerate() {
            for j in 0..k {
                let row = f * n_agents + agents.start + j;
                let into = &mut self.final_memory[row * m..(row + 1) * m];
                network.net.memory_after(t as usize, env as usize * k + j, into);
            }
        }
    }
}

/// Puts the outputs of set `set` at their agents' places of `into` `[count, A, n]`.
pub(super) fn scatter(into: &mut [f32], network: &SetNetwork, set: usize, n: usize) {
    let (n_agents, agents) = (network.n_agents, network.agents(set));
    if agents.len() == n_agents {
        into.copy_from_slice(&network.out);
        return;
    }
    for (i, from) in network.out.chunks_exact(n).enumerate() {
        let row = i * n_agents + agents.start;
        into[row * n..(row + 1) * n].copy_from_slice(from);
    }
}
