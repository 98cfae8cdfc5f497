//! What an environment promises: groups of agents, spaces, widths, limits. Plain data.

use serde::{Deserialize, Serialize};

/// What an agent may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ActionSpace {
    /// One of `n` actions, numbered from 0.
    Discrete {
        /// Number of actions.
        n: usize,
    },
    /// A vector of `width` numbers, each within `low..=high`.
    Continuous {
        /// Number of components.
        width: usize,
        /// Lower bound of every component.
        low: f32,
        /// Upper bound of every component.
        high: f32,
    },
}

impl ActionSpace {
    /// Number of discrete actions, or 0 for a continuous space.
    pub fn n_discrete(&self) -> usize {
        match self {
            Self::Discrete { n } => *n,
            Self::Continuous { .. } => 0,
        }
    }

    /// Number of continuous components, or 0 for a discrete space.
    pub fn n_continuous(&self) -> usize {
        match self {
            Self::Discrete { .. } => 0,
            Self::Continuous { width, .. } => *width,
        }
    }
}

/// A named run of components of an observation, with the range that they keep to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObsField {
    /// What it is, for example `velocity`.
    pub name: String,
    /// Number of components.
    pub width: usize,
    /// Smallest value that can occur (may be `-inf`).
    pub low: f32,
    /// Largest value that can occur (may be `inf`).
    pub high: f32,
}

impl ObsField {
    /// A field with bounds.
    pub fn new(name: impl Into<String>, width: usize, low: f32, high: f32) -> Self {
        Self { name: name.into(), width, low, high }
    }

    /// A field without bounds.
    pub fn unbounded(name: impl Into<String>, width: usize) -> Self {
        Self::new(name, width, f32::NEG_INFINITY, f32::INFINITY)
    }
}

/// Agents with the same spaces. Unequal agents are several groups, never padded rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Name, for example `adversaries`.
    pub name: String,
    /// Number of agents, `A`.
    pub n_agents: usize,
    /// Observation layout; its widths add up to `D`.
    pub obs: Vec<ObsField>,
    /// Action space of each agent.
    pub action: ActionSpace,
    /// Whether actions can be illegal at times. If not, the mask column is empty and all are legal.
    pub masked: bool,
}

impl GroupSpec {
    /// Observation width `D`.
    pub fn obs_width(&self) -> usize {
        self.obs.iter().map(|f| f.width).sum()
    }

    /// Words of 32 bits in the legality mask of one agent, 0 if the group has none. Bit `a % 32` of word
    /// `a / 32` is set if action `a` is legal.
    pub fn mask_words(&self) -> usize {
        if self.masked { self.action.n_discrete().div_ceil(32) } else { 0 }
    }
}

/// Whose the reward is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardKind {
    /// Every agent receives the same number at every step.
    Common,
    /// Each agent receives its own.
    PerAgent,
}

/// Everything that a learner, a replay or a runner must know before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvSpec {
    /// Name under which the environment is registered.
    pub name: String,
    /// Rises whenever any observed number changes.
    pub version: u32,
    /// Groups of agents; agents are numbered over all groups in this order.
    pub groups: Vec<GroupSpec>,
    /// Width `S` of the global state for centralized training; 0 if there is none.
    pub state_width: usize,
    /// Steps after which an episode is truncated, if it is.
    pub episode_limit: Option<u32>,
    /// Whose the reward is.
    pub reward: RewardKind,
}

impl EnvSpec {
    /// Number of agents over all groups.
    pub fn n_agents(&self) -> usize {
        self.groups.iter().map(|g| g.n_agents).sum()
    }

    /// For each agent, counted over all groups: its group and its index there.
    pub fn agents(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.groups.iter().enumerate().flat_map(|(g, spec)| (0..spec.n_agents).map(move |a| (g, a)))
    }

    /// Name of each agent, `<group>_<index>` or the group's name where it has one agent.
    pub fn agent_names(&self) -> Vec<String> {
        let name = |(g, a): (usize, usize)| {
            let group = &self.groups[g];
            if group.n_agents == 1 { group.name.clone() } else { format!("{}_{a}", group.name) }
        };
        self.agents().map(name).collect()
    }

    /// Number of continuous action components over all agents.
    pub fn n_continuous(&self) -> usize {
        self.groups.iter().map(|g| g.n_agents * g.action.n_continuous()).sum()
    }
}
