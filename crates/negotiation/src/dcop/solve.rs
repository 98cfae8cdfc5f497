//! Runs a method on a problem: builds the agents, steps the simulator, watches. Not here: the methods.

use coact_core::nearest::hint;
use coact_messaging::{Agent, Counts, Pacing, Settings, Simulator, Topology};

use super::model::Model;
use super::options::Options;
use super::problem::{Objective, Problem};
use super::{adopt, afb, brute_force, dpop, dsa, maxsum, mgm, mgm2, syncbb};
use crate::{Error, Result};

/// A way to solve a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Dynamic programming over a tree of variables: an optimum.
    Dpop,
    /// Belief propagation: an optimum where constraints form a tree, otherwise often a good assignment.
    MaxSum,
    /// Maximum gain messages: the best mover in each neighborhood moves; cost never rises.
    Mgm,
    /// MGM with pairs that move together.
    Mgm2,
    /// Distributed stochastic search: everybody moves at random where it helps.
    Dsa,
    /// Synchronous branch and bound: an optimum, one agent at a time.
    SyncBb,
    /// Asynchronous best-first search over a tree of variables: an optimum.
    Adopt,
    /// Asynchronous forward bounding: branch and bound along a row, with bounds from all agents after it: an optimum.
    Afb,
    /// All assignments, one by one: an optimum, without messages.
    BruteForce,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 9] = [
        Self::Dpop,
        Self::MaxSum,
        Self::Mgm,
        Self::Mgm2,
        Self::Dsa,
        Self::SyncBb,
        Self::Adopt,
        Self::Afb,
        Self::BruteForce,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpop => "dpop",
            Self::MaxSum => "maxsum",
            Self::Mgm => "mgm",
            Self::Mgm2 => "mgm2",
            Self::Dsa => "dsa",
            Self::SyncBb => "syncbb",
            Self::Adopt => "adopt",
            Self::Afb => "afb",
            Self::BruteForce => "brute-force",
        }
    }

    /// The method of a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] that lists the names.
    pub fn parse(name: &str) -> Result<Self> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            Error::invalid(format!(
                "no method `{name}`: use one of {}{}",
                names.join(", "),
                hint(name, names)
            ))
        })
    }

    /// Whether what it finds is an optimum, if it finishes.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Dpop | Self::SyncBb | Self::Adopt | Self::Afb | Self::BruteForce)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The method came to its end, or to a rest.
    Finished,
    /// A limit of cycles or messages was reached.
    Stopped,
    /// Whoever watched had enough.
    Timeout,
}

impl Status {
    /// As pyDCOP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Stopped => "STOPPED",
            Self::Timeout => "TIMEOUT",
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Cycles, or ticks of methods without cycles.
    pub cycle: u64,
    /// Messages sent.
    pub messages: u64,
    /// Cost of the current assignment, for methods that have one at all times.
    pub cost: Option<f64>,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which method it was.
    pub method: Method,
    /// The value index of each variable.
    pub assignment: Vec<usize>,
    /// Its cost, as the problem counts it.
    pub cost: f64,
    /// Its violations.
    pub violation: usize,
    /// Cycles of local methods; 1 for others, as in pyDCOP.
    pub cycle: u64,
    /// Messages.
    pub counts: Counts,
    /// How the run ended.
    pub status: Status,
    /// Cost after each cycle of local methods, the beginning first. Violations that cost a finite number count in it.
    pub costs: Vec<f64>,
    /// The log, if one was asked for.
    pub log: String,
}

impl Outcome {
    /// The result with the keys that users of pyDCOP know, without `time`.
    pub fn to_json(&self, problem: &Problem) -> serde_json::Value {
        let named = problem.variables.iter().zip(&self.assignment).enumerate();
        let assignment: serde_json::Map<String, serde_json::Value> = named
            .map(|(v, (variable, &value))| {
                (variable.name.clone(), serde_json::json!(problem.value(v, value)))
            })
            .collect();
        serde_json::json!({
            "assignment": assignment,
            "cost": tidy(self.cost),
            "violation": self.violation,
            "msg_count": self.counts.sent,
            "msg_size": self.counts.values,
            "cycle": self.cycle,
            "status": self.status.name(),
        })
    }
}

/// A cost without the dust that sums of binary fractions leave, as in 66.19999999999999.
pub fn tidy(cost: f64) -> f64 {
    let tidy = (cost * 1e9).round() / 1e9;
    // Too large for nine digits after the point.
    if (tidy - cost).abs() <= 1e-9 { tidy } else { cost }
}

/// What a method hands back: assignment, cycles, counts, status, costs, log.
pub(super) struct Found {
    pub assignment: Vec<usize>,
    pub cycle: u64,
    pub counts: Counts,
    pub status: Status,
    pub costs: Vec<f64>,
    pub log: String,
}

/// Everything that a run needs beside the agents.
pub(super) struct Run<'a> {
    pub problem: &'a Problem,
    pub model: &'a Model,
    pub options: &'a Options,
    pub watch: &'a mut dyn FnMut(&Progress) -> bool,
}

/// An agent that has a value at all times.
pub(super) trait HasValue: Agent {
    /// Its value; `None` for agents that are no variables.
    fn value(&self) -> Option<usize>;

    /// Whether it would keep its value for good if nobody else moved.
    fn is_settled(&self) -> bool;
}

/// Solves a problem. `watch` is called now and then and ends the run by returning false.
///
/// # Errors
/// [`Error::Invalid`] for options that make no sense, [`Error::Memory`] and [`Error::TooMany`] for problems that an
/// exact method cannot hold.
pub fn solve(
    problem: &Problem,
    method: Method,
    options: &Options,
    watch: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Outcome> {
    options.check()?;
    let model = Model::new(problem, options.seed, options.noise)?;
    let run = Run { problem, model: &model, options, watch };
    let found = match method {
        Method::Dpop => dpop::solve(run),
        Method::MaxSum => maxsum::solve(run),
        Method::Mgm => mgm::solve(run),
        Method::Mgm2 => mgm2::solve(run),
        Method::Dsa => dsa::solve(run),
        Method::SyncBb => syncbb::solve(run),
        Method::Adopt => adopt::solve(run),
        Method::Afb => afb::solve(run),
        Method::BruteForce => brute_force::solve(run),
    }?;
    let cost = problem.cost(&found.assignment, options.infinity);
    Ok(Outcome {
        method,
        cost: cost.cost,
        violation: cost.violation,
        assignment: found.assignment,
        cycle: found.cycle,
        counts: found.counts,
        status: found.status,
        costs: found.costs,
        log: found.log,
    })
}

impl Run<'_> {
    pub fn settings(&self, pacing: Pacing) -> Settings {
        Settings {
            seed: self.options.seed,
            pacing,
            log: self.options.log,
            parallel: self.options.parallel,
            ..Settings::default()
        }
    }

    /// The cost of an assignment as curves show it: violations that are infinite make it infinite.
    fn shown_cost(&self, assignment: &[usize]) -> f64 {
        let cost = self.problem.cost(assignment, f64::INFINITY);
        match (cost.violation, self.problem.objective) {
            (0, _) => cost.cost,
            (_, Objective::Min) => f64::INFINITY,
            (_, Objective::Max) => f64::NEG_INFINITY,
        }
    }

    /// Runs a method in cycles of some ticks until everybody is settled.
    pub fn cycles<A: HasValue>(self, topology: Topology, agents: Vec<A>, ticks: u64) -> Result<Found> {
        let mut simulator = Simulator::new(topology, self.settings(Pacing::Rounds), agents)?;
        let values = |simulator: &Simulator<A>| simulator.agents().filter_map(A::value).collect::<Vec<_>>();
        simulator.run(0)?;
        let mut assignment = values(&simulator);
        let mut costs = vec![self.shown_cost(&assignment)];
        let mut cycle = 0;
        let status = loop {
            if cycle == self.options.max_cycles || simulator.counts().sent >= self.options.max_messages {
                break Status::Stopped;
            }
            simulator.run(simulator.time() + ticks)?;
            cycle += 1;
            assignment = values(&simulator);
            let cost = self.shown_cost(&assignment);
            costs.push(cost);
            if simulator.agents().all(A::is_settled) {
                break Status::Finished;
            }
            let progress = Progress { cycle, messages: simulator.counts().sent, cost: Some(cost) };
            if !(self.watch)(&progress) {
                break Status::Timeout;
            }
        };
        let (counts, log) = (simulator.counts(), simulator.take_log());
        Ok(Found { assignment, cycle, counts, status, costs, log })
    }

    /// Runs a method that is driven by messages until it is quiet. Returns how it ended and the simulator.
    pub fn events<A: Agent>(&mut self, topology: Topology, agents: Vec<A>) -> Result<(Status, Simulator<A>)> {
        let mut simulator = Simulator::new(topology, self.settings(Pacing::Events), agents)?;
        let mut n_steps = 0_u64;
        while simulator.step()? {
            n_steps += 1;
            if simulator.counts().sent >= self.options.max_messages {
                return Ok((Status::Stopped, simulator));
            }
            let progress =
                Progress { cycle: simulator.time(), messages: simulator.counts().sent, cost: None };
            if n_steps.is_multiple_of(256) && !(self.watch)(&progress) {
                return Ok((Status::Timeout, simulator));
            }
        }
        Ok((Status::Finished, simulator))
    }
}
