//! What can go wrong here, each as one line that says what to do.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A topology names an agent that is not there.
    #[error("edge {a}-{b} names an agent outside 0..{n_agents}: number agents from 0")]
    NoSuchAgent {
        /// One end.
        a: usize,
        /// The other end.
        b: usize,
        /// How many agents there are.
        n_agents: usize,
    },
    /// An edge from an agent to itself.
    #[error("edge {0}-{0} joins an agent with itself: use a timer to reach oneself")]
    Loop(usize),
    /// More agents or edges than the counters can name.
    #[error("{0} is more than this simulator can number (2^31): use fewer agents or a sparser topology")]
    TooLarge(&'static str),
    /// The number of agents differs from that of the topology.
    #[error("{agents} agents for a topology of {topology}: give one agent for each place")]
    AgentCount {
        /// Agents given.
        agents: usize,
        /// Places of the topology.
        topology: usize,
    },
    /// A setting that makes no sense.
    #[error("{name} is {value}: {expected}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An agent wrote to somebody whom it has no link to.
    #[error("agent {from} sent to {to}, to whom it has no link: send to its neighbors only")]
    NoLink {
        /// The sender.
        from: usize,
        /// The receiver it named.
        to: usize,
    },
    /// More random edges asked for than a simple graph has room for.
    #[error("{wanted} edges asked of {n_agents} agents: a connected graph has from {least} to {most}")]
    EdgeCount {
        /// Edges asked for.
        wanted: usize,
        /// Agents.
        n_agents: usize,
        /// Edges of a tree.
        least: usize,
        /// Edges of a complete graph.
        most: usize,
    },
}
