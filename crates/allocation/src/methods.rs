//! The list of all methods, by the names that users know them by, and one function that runs any of them on any
//! problem that it solves. Not here: how they work.

use coact_messaging::{Latency, Outage, Settings, Topology};

use crate::assignment::{self, Assignment, AuctionOptions, Prices};
use crate::bids::{Bids, ScoreTable};
use crate::cbaa::cbaa_watched;
use crate::cbba::{CbbaOptions, cbba_watched};
use crate::coalition::{LeastCore, Structure, best_structure, least_core, shapley_value};
use crate::consensus::{ConsensusOptions, Outcome, Round, Watch};
use crate::contract_net::{ContractNetOptions, contract_net_watched};
use crate::exact::best_plan_watched;
use crate::generalized::generalized_assignment;
use crate::input::Problem;
use crate::matrix::{CostMatrix, Objective, sum};
use crate::sequential::{greedy, single_item_auction};
use crate::team::Paths;
use crate::{Error, Result};

/// Nodes that a search may take.
const MAX_NODES: u64 = 50_000_000;

/// A method as users see it.
#[derive(Debug, Clone, Copy)]
pub struct MethodEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// Kinds of problems that it solves.
    pub solves: &'static str,
}

const fn entry(name: &'static str, summary: &'static str, solves: &'static str) -> MethodEntry {
    MethodEntry { name, summary, solves }
}

/// All methods.
pub const ALL: &[MethodEntry] = &[
    entry("jonker-volgenant", "shortest augmenting paths; exact, with dual prices", "costs"),
    entry("hungarian", "Kuhn and Munkres; exact, with dual prices", "costs"),
    entry("auction", "Bertsekas, with epsilon scaling; within n * epsilon, with dual prices", "costs"),
    entry("sparse", "shortest augmenting paths over allowed pairs; exact, with dual prices", "costs"),
    entry("greedy", "the best pair of agent and task, again and again", "costs, scores, teams"),
    entry("ssi", "sequential single-item auction", "costs, scores, teams"),
    entry("contract-net", "announce, bid, award, report; bid again after failure", "costs, scores, teams"),
    entry("cbaa", "consensus-based auction, one task an agent", "costs, scores, teams"),
    entry("cbba", "consensus-based bundles", "costs, scores, teams"),
    entry("exact", "the optimum", "costs, scores, teams, generalized assignment"),
    entry("shapley", "what each player adds, on average over all orders", "coalition games"),
    entry("least-core", "the division with the smallest largest complaint", "coalition games"),
    entry("structure", "the best partition into coalitions", "coalition games"),
];

/// Settings of all methods; each takes those that it knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Seed of the network.
    pub seed: u64,
    /// Probability that a message is lost.
    pub loss: f64,
    /// Least and greatest ticks that a message travels.
    pub latency: (u64, u64),
    /// `complete`, `line`, `ring`, `star` or `random`.
    pub topology: String,
    /// Agents that are down from one tick to another, if ever.
    pub outages: Vec<Outage>,
    /// Epsilon of the auction.
    pub epsilon: Option<f64>,
    /// Rounds after which consensus gives up.
    pub max_rounds: Option<u64>,
    /// Whether to keep the log of the network.
    pub log: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            loss: 0.0,
            latency: (1, 1),
            topology: "complete".into(),
            outages: Vec::new(),
            epsilon: None,
            max_rounds: None,
            log: false,
        }
    }
}

/// Who does what.
#[derive(Debug, Clone, PartialEq)]
pub enum Allocation {
    /// Columns of rows, with prices where the method has them.
    Assignment(Assignment),
    /// Tasks of agents in order.
    Paths(Paths),
    /// Agents of tasks.
    Agents(Vec<usize>),
    /// What each player gets, and the proof of the least core.
    Payoffs(Vec<f64>, Option<LeastCore>),
    /// Coalitions.
    Structure(Structure),
}

/// What a method came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Name of the method.
    pub method: &'static str,
    /// Who does what.
    pub allocation: Allocation,
    /// Messages sent; 0 for methods without.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Rounds of bids, of consensus or of pivots; 0 for methods without.
    pub rounds: u64,
    /// Whether agents agreed, for methods in which they must.
    pub is_agreed: Option<bool>,
    /// What an observer saw in each round of a consensus.
    pub trace: Vec<Round>,
    /// The log of the network, if asked for.
    pub log: String,
}

impl Answer {
    fn new(method: &'static str, allocation: Allocation) -> Self {
        Self {
            method,
            allocation,
            messages: 0,
            bytes: 0,
            rounds: 0,
            is_agreed: None,
            trace: Vec::new(),
            log: String::new(),
        }
    }

    fn agreed(method: &'static str, outcome: Outcome) -> Self {
        Self {
            messages: outcome.counts.sent,
            bytes: outcome.counts.bytes,
            rounds: outcome.n_rounds,
            is_agreed: Some(outcome.is_agreed),
            trace: outcome.rounds,
            log: outcome.log,
            ..Self::new(method, Allocation::Paths(outcome.paths))
        }
    }
}

/// The method that suits a problem best.
pub fn default_method(problem: &Problem) -> &'static str {
    match problem {
        Problem::Costs { .. } => "jonker-volgenant",
        Problem::Sparse { .. } => "sparse",
        Problem::Team(team) if team.has_precedence() => "ssi",
        Problem::Scores(_) | Problem::Team(_) => "cbba",
        Problem::Generalized { .. } => "exact",
        Problem::Coalition { .. } => "shapley",
    }
}

/// Finds a method by its name.
///
/// # Errors
/// [`Error::Invalid`] that lists all names.
pub fn find(name: &str) -> Result<&'static MethodEntry> {
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
        Error::invalid(format!("no method `{name}`; one of: {}", names.join(", ")))
    })
}

/// Runs a method.
///
/// # Errors
/// An unknown method, one that does not solve this kind of problem, and those of the method.
pub fn solve(problem: &Problem, method: &str, options: &Options) -> Result<Answer> {
    solve_watched(problem, method, options, &mut |_| ())
}

/// [`solve`], with somebody who looks on where a method takes rounds or searches.
///
/// # Errors
/// As there.
pub fn solve_watched(
    problem: &Problem,
    method: &str,
    options: &Options,
    watch: &mut Watch<'_>,
) -> Result<Answer> {
    let method = find(method)?.name;
    match problem {
        Problem::Costs { costs, objective } => solve_costs(costs, *objective, method, options, watch),
        Problem::Sparse { costs, objective } if matches!(method, "sparse" | "exact") => {
            Ok(Answer::new(method, Allocation::Assignment(assignment::sparse(costs, *objective)?)))
        }
        Problem::Scores(table) if method == "exact" => {
            Ok(Answer::new(method, Allocation::Paths(table.optimum()?)))
        }
        Problem::Scores(table) => solve_bids(table, method, options, Vec::new(), problem, watch),
        Problem::Team(team) if method == "exact" => {
            Ok(Answer::new(method, Allocation::Paths(best_plan_watched(team, watch)?)))
        }
        Problem::Team(team) => solve_bids(team, method, options, team.order(), problem, watch),
        Problem::Generalized { costs, loads, capacities } if method == "exact" => {
            let plan = generalized_assignment(costs, loads, capacities, MAX_NODES)?;
            Ok(Answer::new(method, Allocation::Agents(plan.agents)))
        }
        Problem::Coalition { game, .. } => {
            let allocation = match method {
                "shapley" => Allocation::Payoffs(shapley_value(game), None),
                "least-core" => {
                    let core = least_core(game)?;
                    Allocation::Payoffs(core.payoffs.clone(), Some(core))
                }
                "structure" => Allocation::Structure(best_structure(game)?),
                _ => return unsupported(method, problem),
            };
            Ok(Answer::new(method, allocation))
        }
        _ => unsupported(method, problem),
    }
}

fn unsupported<T>(method: &'static str, problem: &Problem) -> Result<T> {
    let solves = find(method)?.solves;
    let reason = format!("it solves {solves}, this is {}; try {}", problem.kind(), default_method(problem));
    Err(Error::Unsupported { method, class: problem.class().to_string(), reason })
}

fn solve_costs(
    costs: &CostMatrix,
    objective: Objective,
    method: &'static str,
    options: &Options,
    watch: &mut Watch<'_>,
) -> Result<Answer> {
    let exact = |assignment: Assignment| Answer::new(method, Allocation::Assignment(assignment));
    match method {
        "jonker-volgenant" | "exact" => Ok(exact(assignment::jonker_volgenant(costs, objective)?)),
        "hungarian" => Ok(exact(assignment::hungarian(costs, objective)?)),
        "sparse" => Ok(exact(assignment::sparse(&crate::SparseCosts::from_dense(costs), objective)?)),
        "auction" => {
            let auction_options = AuctionOptions { epsilon: options.epsilon, ..AuctionOptions::default() };
            let outcome = assignment::auction(costs, objective, &auction_options)?;
            Ok(Answer { rounds: outcome.n_rounds, messages: outcome.n_bids, ..exact(outcome.assignment) })
        }
        _ => {
            let table = scores_of(costs, objective)?;
            let problem = Problem::Costs { costs: costs.clone(), objective };
            let mut answer = solve_bids(&table, method, options, Vec::new(), &problem, watch)?;
            if let Allocation::Paths(paths) = &answer.allocation {
                answer.allocation = Allocation::Assignment(assignment_of(costs, paths)?);
            }
            Ok(answer)
        }
    }
}

/// Costs as scores above 0, for agents of one task each; forbidden pairs score 0.
fn scores_of(costs: &CostMatrix, objective: Objective) -> Result<ScoreTable> {
    let sign = objective.sign();
    let finite = costs.costs().iter().filter(|c| c.is_finite()).map(|c| sign * c);
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
    // The dearest pair still scores a hundredth of the range, so that it is taken rather than nothing.
    let lift = if high > low { (high - low) / 100.0 } else { 1.0 };
    let score = |&c: &f64| if c.is_finite() { (high - sign * c) + lift } else { 0.0 };
    let scores = costs.costs().iter().map(score).collect();
    ScoreTable::new(costs.n_rows(), costs.n_cols(), scores, vec![1; costs.n_rows()])
}

fn assignment_of(costs: &CostMatrix, paths: &Paths) -> Result<Assignment> {
    let row_to_col: Vec<Option<usize>> = paths.iter().map(|path| path.first().copied()).collect();
    let n_pairs = row_to_col.iter().flatten().count();
    let wanted = costs.n_rows().min(costs.n_cols());
    if n_pairs < wanted {
        let text = format!("the agents end with {n_pairs} of {wanted} pairs; use jonker-volgenant for all");
        return Err(Error::invalid(text));
    }
    let pairs = row_to_col.iter().enumerate();
    let total = sum(pairs.filter_map(|(row, col)| col.map(|col| costs.at(row, col))));
    Ok(Assignment { row_to_col, total, prices: None::<Prices> })
}

fn topology(name: &str, n: usize, seed: u64) -> Result<Topology> {
    Ok(match name {
        "complete" => Topology::complete(n)?,
        "line" => Topology::line(n)?,
        "ring" => Topology::ring(n)?,
        "star" => Topology::star(n)?,
        "random" => {
            let most = n * n.saturating_sub(1) / 2;
            Topology::random_connected(n, (n + n / 2).min(most), seed)?
        }
        _ => {
            let text = format!("no topology `{name}`; one of: complete, line, ring, star, random");
            return Err(Error::invalid(text));
        }
    })
}

fn solve_bids<B: Bids>(
    bids: &B,
    method: &'static str,
    options: &Options,
    order: Vec<usize>,
    problem: &Problem,
    watch: &mut Watch<'_>,
) -> Result<Answer> {
    let (low, high) = options.latency;
    let settings = Settings {
        seed: options.seed,
        loss: options.loss,
        latency: Latency::Uniform(low, high),
        outages: options.outages.clone(),
        log: options.log,
        ..Settings::default()
    };
    let topology = topology(&options.topology, bids.n_agents(), options.seed)?;
    let diameter = topology.diameter().unwrap_or(0) as u64;
    let consensus = ConsensusOptions {
        topology: Some(topology),
        settings: settings.clone(),
        max_rounds: options.max_rounds,
    };
    // News takes a diameter of hops; each hop is tried again after a loss, and ten times in a row is rare.
    let patience = (diameter + 10) * high;
    let lost_after = if options.outages.is_empty() { None } else { Some(patience) };
    let agreement = CbbaOptions { consensus, lost_after };
    match method {
        "greedy" => {
            let found = greedy(bids);
            let rounds = found.awards.len() as u64;
            Ok(Answer { rounds, ..Answer::new(method, Allocation::Paths(found.paths)) })
        }
        "ssi" => {
            let found = single_item_auction(bids);
            let rounds = found.awards.len() as u64 + 1;
            let answer = Answer::new(method, Allocation::Paths(found.paths));
            Ok(Answer { rounds, messages: found.messages, ..answer })
        }
        "cbaa" => Ok(Answer::agreed(method, cbaa_watched(bids, &agreement, watch)?)),
        "cbba" => Ok(Answer::agreed(method, cbba_watched(bids, &agreement, watch)?)),
        "contract-net" => {
            let options = ContractNetOptions { settings, order, tries: 10, ..ContractNetOptions::default() };
            let found = contract_net_watched(bids, &options, watch)?;
            let answer = Answer::new(method, Allocation::Paths(found.paths));
            let (messages, bytes) = (found.counts.sent, found.counts.bytes);
            Ok(Answer { rounds: found.n_calls, messages, bytes, log: found.log, ..answer })
        }
        _ => unsupported(method, problem),
    }
}
