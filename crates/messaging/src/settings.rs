//! How a simulated network behaves, and when it fails. Not here: who is linked with whom
//! (see [`Topology`](crate::Topology)).

use crate::{Error, Result, Topology};

/// When agents act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pacing {
    /// In synchronous rounds: every tick every agent that is up is called, mail or not.
    #[default]
    Rounds,
    /// Only when something happens; time jumps to the next message or timer.
    Events,
}

/// How many ticks a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// Always so many, at least 1.
    Fixed(u64),
    /// Each message on its own, evenly from the first to the second, both included; at least 1.
    Uniform(u64, u64),
}

/// A time during which an agent is down: from tick `from` on, until it returns at tick `until`, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Who.
    pub agent: usize,
    /// The first tick without it.
    pub from: u64,
    /// The tick at which it is back.
    pub until: Option<u64>,
}

/// A time during which messages sent over a link are lost, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOutage {
    /// The two ends.
    pub link: (usize, usize),
    /// The first tick without it.
    pub from: u64,
    /// The first tick with it again.
    pub until: Option<u64>,
}

/// Everything that a run depends on beside topology and agents.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where all randomness comes from.
    pub seed: u64,
    /// When agents act.
    pub pacing: Pacing,
    /// How long messages travel.
    pub latency: Latency,
    /// The probability that a message is lost, each on its own.
    pub loss: f64,
    /// Whether a link delivers messages in the order in which they were sent, as a stream connection does.
    pub in_order: bool,
    /// When agents are down.
    pub outages: Vec<Outage>,
    /// When links are down.
    pub link_outages: Vec<LinkOutage>,
    /// After how many ticks neighbors are told that an agent went down or came back; `None`: never, they have
    /// to find out by timers.
    pub failure_detector: Option<u64>,
    /// Whether a log is kept.
    pub log: bool,
    /// Whether agents are called by the threads of the current rayon pool. Changes nothing but the time it
    /// takes; worth it where one call is long or agents are many.
    pub parallel: bool,
}

impl Default for Settings {
    /// Synchronous rounds over links that deliver everything in the next round, nobody fails, no log.
    fn default() -> Self {
        Self {
            seed: 0,
            pacing: Pacing::Rounds,
            latency: Latency::Fixed(1),
            loss: 0.0,
            in_order: true,
            outages: Vec::new(),
            link_outages: Vec::new(),
            failure_detector: None,
            log: false,
            parallel: false,
        }
    }
}

impl Settings {
    /// Checks every setting against the topology.
    pub(crate) fn check(&self, topology: &Topology) -> Result<()> {
        let wrong = |name, value: String, expected| Err(Error::Setting { name, value, expected });
        if !(0.0..=1.0).contains(&self.loss) {
            return wrong("loss", self.loss.to_string(), "give a probability from 0 to 1");
        }
        let (low, high) = match self.latency {
            Latency::Fixed(ticks) => (ticks, ticks),
            Latency::Uniform(low, high) => (low, high),
        };
        // Ticks are added to times; 2^32 apart keeps sums far from overflow and draws unbiased.
        if low < 1 || high < low || high >= 1 << 32 {
            return wrong("latency", format!("{low}..={high}"), "give ticks from 1 to 2^32, the lower first");
        }
        for outage in &self.outages {
            if outage.agent >= topology.n_agents() {
                return wrong("outage", format!("{outage:?}"), "name an agent that is there");
            }
            if outage.until.is_some_and(|until| until <= outage.from) {
                return wrong("outage", format!("{outage:?}"), "let it end after it begins");
            }
        }
        for outage in &self.link_outages {
            let (a, b) = outage.link;
            let linked = a < topology.n_agents() && topology.neighbors(a).binary_search(&b).is_ok();
            if !linked {
                return wrong("link outage", format!("{outage:?}"), "name two agents that are linked");
            }
        }
        Ok(())
    }

    /// Whether the link between two agents is down at a time.
    pub(crate) fn is_link_down(&self, a: usize, b: usize, time: u64) -> bool {
        self.link_outages.iter().any(|outage| {
            (outage.link == (a, b) || outage.link == (b, a))
                && time >= outage.from
                && outage.until.is_none_or(|until| time < until)
        })
    }
}
