//! What CBAA and CBBA share: the network they run on, when they are finished, and what is recorded of each round.
//! The observer here only watches; agents know nothing of it. [`Progress`] is that of all methods.

use coact_messaging::{Agent, Counts, Latency, Pacing, Settings, Simulator, Topology};

use crate::team::Paths;
use crate::{Error, Result};

/// The network that agents agree over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsensusOptions {
    /// Who talks to whom; everybody to everybody if `None`.
    pub topology: Option<Topology>,
    /// Loss, latency, crashes, seed, log. Pacing is always in rounds.
    pub settings: Settings,
    /// Rounds after which to give up; derived from the bound of the theory, the loss and the last outage if `None`.
    pub max_rounds: Option<u64>,
}

/// One round as an observer sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// Its number; 0 is before any message arrived.
    pub round: u64,
    /// Share of tasks whose winner all agents that are up agree on.
    pub agreement: f64,
    /// Tasks that more than one agent has in its path.
    pub n_conflicts: usize,
    /// Tasks that at least one agent has in its path.
    pub n_assigned: usize,
}

/// What the agents came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Tasks of each agent in the order in which it does them; none for agents that are down.
    pub paths: Paths,
    /// The last round in which anything changed.
    pub n_rounds: u64,
    /// Whether all agents agree and nothing can change any more.
    pub is_agreed: bool,
    /// Messages and bytes.
    pub counts: Counts,
    /// Every round.
    pub rounds: Vec<Round>,
    /// The log of the simulator, if the settings ask for one.
    pub log: String,
}

/// What an observer sees of an agent.
pub(crate) trait Bidder: Agent {
    /// Tasks that it would do.
    fn path(&self) -> &[usize];
    /// Whom it takes for the winner of a task.
    fn winner(&self, task: usize) -> Option<usize>;
    /// The winner's bid, as far as it knows.
    fn bid(&self, task: usize) -> f64;
    /// Whether anything changed since this was last asked.
    fn take_changed(&mut self) -> bool;
}

/// Where a run of a method is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is counted: `rounds`, `ticks`, `nodes`.
    pub unit: &'static str,
    /// How many there were.
    pub count: u64,
    /// Messages sent.
    pub messages: u64,
}

/// Looks at a run now and then.
pub type Watch<'a> = dyn FnMut(&Progress) + 'a;

/// Runs agents until they agree.
pub(crate) fn run<A: Bidder>(
    agents: Vec<A>,
    n_tasks: usize,
    options: &ConsensusOptions,
    watch: &mut Watch<'_>,
) -> Result<Outcome> {
    let n = agents.len();
    let topology = match &options.topology {
        Some(topology) => topology.clone(),
        None => Topology::complete(n)?,
    };
    let Some(diameter) = topology.diameter() else {
        let text = "the agents are not connected, so they cannot agree; add links or solve each part alone";
        return Err(Error::invalid(text));
    };
    let settings = Settings { pacing: Pacing::Rounds, ..options.settings.clone() };
    let latency = match settings.latency {
        Latency::Fixed(ticks) | Latency::Uniform(_, ticks) => ticks,
    };
    let ends = |until: Option<u64>, from: u64| until.unwrap_or(from);
    let outages = settings.outages.iter().map(|o| ends(o.until, o.from));
    let outages = outages.chain(settings.link_outages.iter().map(|o| ends(o.until, o.from)));
    let last_outage = outages.max().unwrap_or(0);
    let max_rounds = options.max_rounds.unwrap_or_else(|| {
        let bound = (n_tasks.max(1) * diameter.max(1)) as f64 * latency as f64;
        last_outage + 200 + (20.0 * bound / (1.0 - settings.loss).max(0.05)) as u64
    });
    let mut simulator = Simulator::new(topology, settings, agents)?;
    let mut out = Outcome {
        paths: Vec::new(),
        n_rounds: 0,
        is_agreed: false,
        counts: Counts::default(),
        rounds: Vec::new(),
        log: String::new(),
    };
    while n > 0 && simulator.step()? {
        let time = simulator.time();
        let mut changed = false;
        for id in 0..n {
            changed |= simulator.agent_mut(id).take_changed();
        }
        let round = observe(&simulator, n_tasks);
        watch(&Progress { unit: "rounds", count: time, messages: simulator.counts().sent });
        out.rounds.push(round);
        if changed {
            out.n_rounds = time;
        }
        // Mail that is still on its way could change minds again; what all agree on cannot.
        let is_settled = time >= out.n_rounds + latency && time > last_outage;
        if is_settled && round.agreement == 1.0 && bids_agree(&simulator, n_tasks) {
            out.is_agreed = true;
            break;
        }
        if time >= max_rounds {
            break;
        }
    }
    out.is_agreed |= n == 0;
    let path = |id: usize| if simulator.is_up(id) { simulator.agent(id).path().to_vec() } else { Vec::new() };
    out.paths = (0..n).map(path).collect();
    out.counts = simulator.counts();
    out.log = simulator.take_log();
    Ok(out)
}

fn observe<A: Bidder>(simulator: &Simulator<A>, n_tasks: usize) -> Round {
    let up: Vec<&A> =
        simulator.agents().enumerate().filter(|(id, _)| simulator.is_up(*id)).map(|(_, a)| a).collect();
    let mut n_claims = vec![0_usize; n_tasks];
    up.iter().flat_map(|agent| agent.path()).for_each(|&task| n_claims[task] += 1);
    let agreed = |task: usize| up.windows(2).all(|pair| pair[0].winner(task) == pair[1].winner(task));
    let n_agreed = (0..n_tasks).filter(|&task| agreed(task)).count();
    Round {
        round: simulator.time(),
        agreement: if n_tasks == 0 { 1.0 } else { n_agreed as f64 / n_tasks as f64 },
        n_conflicts: n_claims.iter().filter(|&&claims| claims > 1).count(),
        n_assigned: n_claims.iter().filter(|&&claims| claims > 0).count(),
    }
}

/// Whether agents that are up agree on bids as well, and every winner is up and has the task.
fn bids_agree<A: Bidder>(simulator: &Simulator<A>, n_tasks: usize) -> bool {
    let up: Vec<usize> = (0..simulator.agents().len()).filter(|&id| simulator.is_up(id)).collect();
    (0..n_tasks).all(|task| {
        let same = up.windows(2).all(|p| simulator.agent(p[0]).bid(task) == simulator.agent(p[1]).bid(task));
        let winner = up.first().and_then(|&id| simulator.agent(id).winner(task));
        same && winner.is_none_or(|w| simulator.is_up(w) && simulator.agent(w).path().contains(&task))
    })
}
