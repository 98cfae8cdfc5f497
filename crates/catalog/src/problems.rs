//! `allocation` and `bargaining`: problems that solvers have answers to, as entries of the list.

use std::path::Path;

use coact_allocation::environment::AllocationEnv;
use coact_allocation::input::{Changes, Problem, read_problem};
use coact_core::{Error, Result};
use coact_envs::registry::parse;
use coact_envs::{EnvEntry, OptionInfo, Vectorized};
use coact_negotiation::bargaining::{BargainingEnv, Scenario, Strategy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::talks::scenario;
use crate::text_file::read_text;

/// The problem of `allocation` unless a file is given; its goal is then the reward, discounted by 0.95.
const TWELVE_TASKS: &str = include_str!("../../../examples/allocation/twelve-tasks.csv");
/// What stands for a party that learns in the option `agents` of `bargaining`.
const LEARN: &str = "learn";

/// Options of `allocation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllocationOptions {
    /// Path of a problem, as `coact allocate` reads it; empty for twelve tasks and five robots.
    pub file: String,
    /// `travel`, `makespan` or `reward`; empty for that of the file.
    pub goal: String,
    /// Factor per time for the goal `reward`; 0 for that of the file.
    pub discount: f64,
    /// `min` or `max`, for a matrix of costs; empty for that of the file.
    pub objective: String,
}

impl Default for AllocationOptions {
    fn default() -> Self {
        Self { file: String::new(), goal: String::new(), discount: 0.0, objective: String::new() }
    }
}

/// Options of `bargaining`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BargainingOptions {
    /// File, folder or name of a scenario, as `coact negotiate` takes it.
    pub file: String,
    /// Rounds until the deadline.
    pub rounds: u32,
    /// For each party `learn` or a strategy; empty if all learn.
    pub agents: Vec<String>,
}

impl Default for BargainingOptions {
    fn default() -> Self {
        Self { file: "laptop".into(), rounds: 10, agents: Vec::new() }
    }
}

/// `allocation` in the list of environments.
pub const ALLOCATION: EnvEntry = EnvEntry {
    name: "allocation",
    summary: "agents take tasks of an allocation problem until all are given out, for a common reward",
    origin: "coact; the taxonomy of Korsah, Stentz and Dias 2013",
    options: &[
        OptionInfo {
            name: "file",
            default: "\"\"",
            explain: "problem as `coact allocate` reads it: a team, scores or costs; empty for twelve tasks",
        },
        OptionInfo {
            name: "goal",
            default: "\"\"",
            explain: "travel, makespan or reward; empty for the file's",
        },
        OptionInfo {
            name: "discount",
            default: "0.0",
            explain: "factor per time for rewards; 0 for the file's",
        },
        OptionInfo {
            name: "objective",
            default: "\"\"",
            explain: "min or max, of costs; empty for the file's",
        },
    ],
    random_return: 2.093,
    best_known: Some(3.4235),
    batch: |options, n| {
        let problem = problem(options)?;
        Ok(Box::new(Vectorized::new(n, || allocation(&problem))?))
    },
    single: |options| Ok(Box::new(allocation(&problem(options)?)?)),
};

/// `bargaining` in the list of environments.
pub const BARGAINING: EnvEntry = EnvEntry {
    name: "bargaining",
    summary: "parties make each other offers over the issues of a negotiation, each for its own utility",
    origin: "stacked alternating offers, Aydogan, Festen, Hindriks and Jonker 2017",
    options: &[
        OptionInfo {
            name: "file",
            default: "\"laptop\"",
            explain: "scenario as `coact negotiate` takes it: a file, a folder or a name",
        },
        OptionInfo { name: "rounds", default: "10", explain: "turns of everybody until the deadline" },
        OptionInfo {
            name: "agents",
            default: "[]",
            explain: "for each party learn, boulware, linear, conceder or random; empty if all learn",
        },
    ],
    random_return: 0.665,
    best_known: Some(1.8152),
    batch: |options, n| {
        let talk = Talk::read(options)?;
        Ok(Box::new(Vectorized::new(n, || talk.env())?))
    },
    single: |options| Ok(Box::new(Talk::read(options)?.env()?)),
};

/// The problem that options of `allocation` mean.
///
/// # Errors
/// Options that it does not take, a file that cannot be read or makes no sense.
pub fn problem(options: &Value) -> Result<Problem> {
    let options: AllocationOptions = parse(ALLOCATION.name, options)?;
    let word = |text: &String| (!text.is_empty()).then(|| text.clone());
    let mut changes = Changes {
        goal: word(&options.goal),
        discount: (options.discount != 0.0).then_some(options.discount),
        objective: word(&options.objective),
    };
    let text = if options.file.is_empty() {
        if changes.goal.is_none() {
            changes.discount = changes.discount.or(Some(0.95));
        }
        TWELVE_TASKS.to_owned()
    } else {
        read_text(Path::new(&options.file)).map_err(|e| Error::invalid(format!("allocation: {e}")))?
    };
    let place = if options.file.is_empty() { String::new() } else { format!(" {}:", options.file) };
    let found = read_problem(&text).and_then(|problem| changes.apply(problem));
    found.map_err(|e| Error::invalid(format!("allocation:{place} {e}")))
}

fn allocation(problem: &Problem) -> Result<AllocationEnv> {
    AllocationEnv::new(problem).map_err(|e| Error::invalid(format!("allocation: {e}")))
}

/// A negotiation and who takes part.
#[derive(Debug, Clone)]
pub struct Talk {
    /// What parties want.
    pub scenario: Scenario,
    /// Turns of everybody until the deadline.
    pub rounds: u32,
    /// For each party its strategy; none if it learns.
    pub seats: Vec<Option<Strategy>>,
}

impl Talk {
    /// The negotiation that options of `bargaining` mean.
    ///
    /// # Errors
    /// Options that it does not take, a scenario that cannot be read or makes no sense.
    pub fn read(options: &Value) -> Result<Self> {
        let options: BargainingOptions = parse(BARGAINING.name, options)?;
        let fault = |e: &dyn std::fmt::Display| Error::invalid(format!("bargaining: {e}"));
        let scenario = scenario(Path::new(&options.file)).map_err(|e| fault(&e))?;
        let seat = |name: &String| {
            if name == LEARN { Ok(None) } else { Strategy::parse(name).map(Some).map_err(|e| fault(&e)) }
        };
        let seats = match options.agents.as_slice() {
            [] => vec![None; scenario.profiles.len()],
            agents => agents.iter().map(seat).collect::<Result<_, _>>()?,
        };
        Ok(Self { scenario, rounds: options.rounds, seats })
    }

    fn env(&self) -> Result<BargainingEnv> {
        let env = BargainingEnv::new(&self.scenario, self.rounds, &self.seats);
        env.map_err(|e| Error::invalid(format!("bargaining: {e}")))
    }

    /// The parties that learn.
    pub fn learners(&self) -> impl Iterator<Item = usize> + '_ {
        self.seats.iter().enumerate().filter(|(_, seat)| seat.is_none()).map(|(party, _)| party)
    }
}
