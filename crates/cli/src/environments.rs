//! What solvers make of problems that are environments too, as yardsticks for what was learned; and the list of all
//! environments, from `coact_catalog`.

use coact_allocation::environment::value;
use coact_allocation::input::Problem;
use coact_allocation::methods::{Options, default_method, solve};
use coact_catalog::{Talk, problem};
use coact_core::Error as CoreError;
use coact_negotiation::bargaining::{Rule, best_reply, point};
use serde::Serialize;
use serde_json::Value;

pub use coact_catalog::{ALLOCATION, BARGAINING, all, find};

/// Most tasks that wait for others for which the exact plan is looked for; its search has no useful bound on time.
const MAX_WAITING: usize = 8;

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
