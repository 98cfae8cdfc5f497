//! All environments by name: those of `coact_envs`, and problems of allocation and negotiation as environments, with
//! what solvers make of the same problem as yardsticks for what was learned.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use coact_allocation::environment::{AllocationEnv, value};
use coact_allocation::input::{Changes, Problem, read_problem};
use coact_allocation::methods::{Options, default_method, solve};
use coact_core::Error as CoreError;
use coact_envs::registry::{find_in, parse};
use coact_envs::{EnvEntry, FAMILIES, Found, OptionInfo, Vectorized};
use coact_negotiation::bargaining::{BargainingEnv, Rule, Scenario, Strategy, best_reply, point};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::negotiate_input::{Input, load};
use crate::text_file::read_text;

/// The problem of `allocation` unless a file is given; its goal is then the reward, discounted by 0.95.
const TWELVE_TASKS: &str = include_str!("../../../examples/allocation/twelve-tasks.csv");
/// What stands for a party that learns in the option `agents` of `bargaining`.
const LEARN: &str = "learn";
/// Most tasks that wait for others for which the exact plan is looked for; its search has no useful bound on time.
const MAX_WAITING: usize = 8;

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

/// Every environment.
pub fn all() -> &'static [EnvEntry] {
    static ALL: LazyLock<Vec<EnvEntry>> =
        LazyLock::new(|| coact_envs::ALL.iter().copied().chain([ALLOCATION, BARGAINING]).collect());
    &ALL
}

/// The environment of a name, or the member of a family of that name.
///
/// # Errors
/// An unknown name; names the nearest one.
pub fn find(name: &str) -> coact_core::Result<Found> {
    find_in(all(), FAMILIES, name)
}

fn problem(options: &Value) -> coact_core::Result<Problem> {
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
        read_text(Path::new(&options.file)).map_err(|e| CoreError::invalid(format!("allocation: {e}")))?
    };
    let place = if options.file.is_empty() { String::new() } else { format!(" {}:", options.file) };
    let found = read_problem(&text).and_then(|problem| changes.apply(problem));
    found.map_err(|e| CoreError::invalid(format!("allocation:{place} {e}")))
}

fn allocation(problem: &Problem) -> coact_core::Result<AllocationEnv> {
    AllocationEnv::new(problem).map_err(|e| CoreError::invalid(format!("allocation: {e}")))
}

/// A negotiation and who takes part.
struct Talk {
    scenario: Scenario,
    rounds: u32,
    seats: Vec<Option<Strategy>>,
}

impl Talk {
    fn read(options: &Value) -> coact_core::Result<Self> {
        let options: BargainingOptions = parse(BARGAINING.name, options)?;
        let fault = |e: &dyn std::fmt::Display| CoreError::invalid(format!("bargaining: {e}"));
        let input = load(&[PathBuf::from(&options.file)], 0).map_err(|e| fault(&e))?;
        let Input::Talk(scenario) = input else {
            return Err(fault(&format!("{} is no talk between parties; give a scenario", options.file)));
        };
        let seat = |name: &String| {
            if name == LEARN { Ok(None) } else { Strategy::parse(name).map(Some).map_err(|e| fault(&e)) }
        };
        let seats = match options.agents.as_slice() {
            [] => vec![None; scenario.profiles.len()],
            agents => agents.iter().map(seat).collect::<Result<_, _>>()?,
        };
        Ok(Self { scenario, rounds: options.rounds, seats })
    }

    fn env(&self) -> coact_core::Result<BargainingEnv> {
        let env = BargainingEnv::new(&self.scenario, self.rounds, &self.seats);
        env.map_err(|e| CoreError::invalid(format!("bargaining: {e}")))
    }

    fn learners(&self) -> impl Iterator<Item = usize> + '_ {
        self.seats.iter().enumerate().filter(|(_, seat)| seat.is_none()).map(|(party, _)| party)
    }
}

/// What a solver's answer to the problem of an environment is worth, on the scale of returns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Yardstick {
    /// The method, or the rule.
    pub name: String,
    /// Return of each agent.
    pub return_per_agent: Vec<f64>,
    /// Their sum, as evaluations count.
    pub return_mean: f64,
}

impl Yardstick {
    fn new(name: &str, return_per_agent: Vec<f64>) -> Self {
        Self { name: name.into(), return_mean: return_per_agent.iter().sum(), return_per_agent }
    }
}

/// Answers of solvers to the problem of an environment; none for environments without one.
///
/// # Errors
/// Options that the environment does not take.
pub fn yardsticks(env: &str, options: &Value) -> coact_core::Result<Vec<Yardstick>> {
    match env {
        name if name == ALLOCATION.name => Ok(plans(&problem(options)?)),
        name if name == BARGAINING.name => agreements(&Talk::read(options)?),
        _ => Ok(Vec::new()),
    }
}

/// Plans of the exact method, of the one that suits the problem best, and of the simplest, where they have one.
fn plans(problem: &Problem) -> Vec<Yardstick> {
    let (is_searched, n_agents) = match problem {
        Problem::Team(team) => {
            (!team.has_precedence() || team.tasks().len() <= MAX_WAITING, team.robots().len())
        }
        Problem::Costs { costs, .. } => (true, costs.n_rows()),
        Problem::Scores(table) => (true, coact_allocation::bids::Bids::n_agents(table)),
        _ => (false, 0),
    };
    let exact = is_searched.then_some("exact");
    let methods = exact.into_iter().chain([default_method(problem), "greedy"]);
    let mut found: Vec<Yardstick> = Vec::new();
    for method in methods {
        // A problem may be too large for one method, or leave another without a whole plan.
        let worth = solve(problem, method, &Options::default()).and_then(|a| value(problem, &a.allocation));
        if let Ok(worth) = worth
            && found.iter().all(|yardstick| yardstick.name != method)
        {
            found.push(Yardstick::new(method, vec![worth; n_agents]));
        }
    }
    found
}

/// The points that theory says parties should agree on, and the best reply to a party that can be foreseen.
fn agreements(talk: &Talk) -> coact_core::Result<Vec<Yardstick>> {
    let fault = |e: coact_negotiation::Error| CoreError::invalid(format!("bargaining: {e}"));
    let space = talk.scenario.space().map_err(fault)?;
    let mut found = Vec::new();
    if let &[a, b] = talk.seats.as_slice()
        && let (Some(strategy), Some(learner)) = (a.or(b), talk.learners().next())
        && let Some(best) = best_reply(&talk.scenario, talk.rounds, learner, strategy).map_err(fault)?
    {
        found.push(Yardstick::new("best-reply", vec![best]));
    }
    for rule in Rule::ALL {
        if let Some(outcome) = point(&space, rule) {
            let own = talk.learners().map(|party| space.utilities[party][outcome]).collect();
            found.push(Yardstick::new(rule.name(), own));
        }
    }
    Ok(found)
}
