//! Returns and lengths of episodes as they happen, always in the environment's own reward.

use std::collections::VecDeque;

use coact_core::codec::{Reader, Writer};
use coact_core::{EnvSpec, StepBatch};

/// How many finished episodes the running means cover.
const WINDOW: usize = 100;

/// One finished episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Return of each agent, undiscounted, in the order of [`EnvSpec::agents`].
    pub return_per_agent: Vec<f64>,
    /// Steps.
    pub length: u64,
}

/// Adds up rewards of `E` environments and remembers the last finished episodes.
#[derive(Debug, Clone)]
pub struct EpisodeTracker {
    n_agents: usize,
    group_sizes: Vec<usize>,
    returns: Vec<f64>,
    lengths: Vec<u64>,
    recent: VecDeque<Episode>,
    /// Episodes finished since the start.
    pub finished: u64,
}

impl EpisodeTracker {
    /// A tracker at the start of every episode.
    pub fn new(spec: &EnvSpec, n_envs: usize) -> Self {
        Self {
            n_agents: spec.n_agents(),
            group_sizes: spec.groups.iter().map(|g| g.n_agents).collect(),
            returns: vec![0.0; n_envs * spec.n_agents()],
            lengths: vec![0; n_envs],
            recent: VecDeque::with_capacity(WINDOW + 1),
            finished: 0,
        }
    }

    /// Takes one step in. Calls `ended(env, returns, length)` for each episode that ended.
    pub fn push(&mut self, step: &StepBatch, mut ended: impl FnMut(usize, &[f64], u64)) {
        let mut first_agent = 0;
        for (group, &size) in step.groups.iter().zip(&self.group_sizes) {
            for (env, rewards) in group.raw_reward().chunks_exact(size).enumerate() {
                let at = env * self.n_agents + first_agent;
                let returns = &mut self.returns[at..at + size];
                returns.iter_mut().zip(rewards).for_each(|(sum, r)| *sum += f64::from(*r));
            }
            first_agent += size;
        }
        for env in 0..step.n_envs {
            self.lengths[env] += 1;
            if step.is_first[env] {
                let returns = &mut self.returns[env * self.n_agents..][..self.n_agents];
                ended(env, returns, self.lengths[env]);
                remember(&mut self.recent, returns, self.lengths[env]);
                returns.fill(0.0);
                self.lengths[env] = 0;
                self.finished += 1;
            }
        }
    }

    /// Mean return of each agent over the last finished episodes, or `None` before the first.
    pub fn recent_return_per_agent(&self) -> Option<Vec<f64>> {
        if self.recent.is_empty() {
            return None;
        }
        let mean = |a: usize| {
            self.recent.iter().map(|e| e.return_per_agent[a]).sum::<f64>() / self.recent.len() as f64
        };
        Some((0..self.n_agents).map(mean).collect())
    }

    /// Mean length of the last finished episodes.
    pub fn recent_length(&self) -> Option<f64> {
        let n = self.recent.len();
        (n > 0).then(|| self.recent.iter().map(|e| e.length as f64).sum::<f64>() / n as f64)
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Writer) {
        out.u64(self.finished);
        out.f64s(&self.returns);
        out.u64s(&self.lengths);
        out.u64(self.recent.len() as u64);
        for episode in &self.recent {
            out.f64s(&episode.return_per_agent);
            out.u64(episode.length);
        }
    }

    /// Restores the state.
    ///
    /// # Errors
    /// Damaged or foreign bytes.
    pub fn load(&mut self, from: &mut Reader<'_>) -> coact_core::Result<()> {
        self.finished = from.u64()?;
        from.f64s(&mut self.returns)?;
        from.u64s(&mut self.lengths)?;
        let n = from.u64()?;
        if n > WINDOW as u64 {
            return Err(from.error(format!("{n} recent episodes where at most {WINDOW} belong")));
        }
        self.recent.clear();
        for _ in 0..n {
            let mut episode = Episode { return_per_agent: vec![0.0; self.n_agents], length: 0 };
            from.f64s(&mut episode.return_per_agent)?;
            episode.length = from.u64()?;
            self.recent.push_back(episode);
        }
        Ok(())
    }
}

/// Reuses the oldest entry once the window is full, so that nothing is allocated after warm-up.
fn remember(recent: &mut VecDeque<Episode>, returns: &[f64], length: u64) {
    let recycled = if recent.len() == WINDOW { recent.pop_front() } else { None };
    let mut episode = recycled.unwrap_or_else(|| Episode { return_per_agent: returns.to_vec(), length });
    episode.return_per_agent.copy_from_slice(returns);
    episode.length = length;
    recent.push_back(episode);
}
