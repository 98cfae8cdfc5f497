//! `assignment` and `task_allocation`: optimal totals, greedy allocations and their optima.

use coact_allocation::assignment::{
    Assignment, AuctionOptions, auction, best_assignments, hungarian, jonker_volgenant, sparse,
};
use coact_allocation::bids::ScoreTable;
use coact_allocation::cbba::{CbbaOptions, cbba};
use coact_allocation::certificate::{check_assignment, check_plan};
use coact_allocation::exact::best_plan;
use coact_allocation::sequential::{greedy, single_item_auction};
use coact_allocation::team::Paths;
use coact_allocation::{CostMatrix, Goal, Objective, Robot, SparseCosts, Task, Team};
use serde_json::Value;

use super::case::{count, field, indices, number, numbers, table, table_of, text};
use super::{Case, Fault};

/// Totals are sums of a few numbers of moderate size.
const TOLERANCE: f64 = 1e-9;
/// Most pairs that all methods are tried on; above that only the fast ones are.
const ALL_METHODS: usize = 300 * 300;

fn refused(error: coact_allocation::Error) -> Fault {
    format!("our code refuses: {error}")
}

/// `assignment`: the optimal totals by every method, with certificates.
pub(crate) fn check_assignments(case: &mut Case<'_>) -> Result<(), Fault> {
    let (costs, n_rows, n_cols) = table(case.value, "cost")?;
    let costs = CostMatrix::new(n_rows, n_cols, costs).map_err(refused)?;
    let minimum = number(case.value, "min_total")?;
    let maximum = number(case.value, "max_total")?;
    for (objective, expected) in [(Objective::Minimize, minimum), (Objective::Maximize, maximum)] {
        check_all_methods(case, &costs, objective, expected)?;
    }
    let one = field(case.value, "one_optimal_min")?.as_array().ok_or("field `one_optimal_min` is no list")?;
    let mut row_to_col = vec![None; n_rows];
    for pair in one {
        let pair = pair
            .as_array()
            .filter(|p| p.len() == 2)
            .ok_or("a pair of `one_optimal_min` is not two numbers")?;
        let index = |v: &Value, below: usize| {
            v.as_u64()
                .filter(|&i| i < below as u64)
                .map(|i| i as usize)
                .ok_or("a pair lies outside of the matrix")
        };
        row_to_col[index(&pair[0], n_rows)?] = Some(index(&pair[1], n_cols)?);
    }
    let recorded = Assignment { row_to_col, total: minimum, prices: None };
    let certificate = check_assignment(&costs, Objective::Minimize, &recorded);
    case.check(certificate.is_ok(), || format!("the recorded assignment: {certificate:?}"));
    Ok(())
}

fn check_all_methods(
    case: &mut Case<'_>,
    costs: &CostMatrix,
    objective: Objective,
    expected: f64,
) -> Result<(), Fault> {
    // What the prices of an auction prove is within its last epsilon a pair.
    let mut auction_slack = 0.0;
    let mut found = vec![
        ("jonker_volgenant", jonker_volgenant(costs, objective)),
        ("sparse", sparse(&SparseCosts::from_dense(costs), objective)),
    ];
    if costs.costs().len() <= ALL_METHODS {
        found.push(("hungarian", hungarian(costs, objective)));
        let options = AuctionOptions::default();
        let outcome = auction(costs, objective, &options).map_err(refused)?;
        auction_slack = outcome.epsilon * costs.n_rows().min(costs.n_cols()) as f64;
        found.push(("auction", Ok(outcome.assignment)));
        let best = best_assignments(costs, objective, 1).map(|mut list| list.remove(0));
        found.push(("best_assignments", best));
    }
    for (method, assignment) in found {
        let assignment = assignment.map_err(refused)?;
        case.close(&format!("{method} {objective:?}"), assignment.total, expected, TOLERANCE);
        let certificate = check_assignment(costs, objective, &assignment).map_err(refused)?;
        let slack = if method == "auction" { auction_slack } else { 0.0 };
        let allowed = slack + 2.0 * TOLERANCE * certificate.total.abs().max(1.0);
        let proved = certificate.gap.is_none_or(|gap| gap <= allowed);
        case.check(proved, || format!("{method} {objective:?} is not proved: {certificate:?}"));
    }
    Ok(())
}

/// `task_allocation`: greedy and consensus allocations, optima.
pub(crate) fn check_task_allocations(case: &mut Case<'_>) -> Result<(), Fault> {
    match text(case.value, "kind")? {
        "additive" => check_additive(case),
        "time_discounted" => check_discounted(case),
        other => {
            case.not_covered(format!("kind `{other}`"));
            Ok(())
        }
    }
}

fn check_additive(case: &mut Case<'_>) -> Result<(), Fault> {
    let (scores, n_agents, n_tasks) = table(case.value, "score")?;
    let capacities = indices(case.value, "capacity", 1 << 32)?;
    let problem = ScoreTable::new(n_agents, n_tasks, scores, capacities).map_err(refused)?;
    let optimum = number(case.value, "optimal_total")?;
    let (pairs, _, width) = table(case.value, "greedy_pairs_in_order")?;
    let recorded: Vec<(usize, usize)> = pairs
        .chunks_exact(width.max(1))
        .map(|pair| (pair[0] as usize, pair[pair.len() - 1] as usize))
        .collect();
    let found = greedy(&problem);
    let awards: Vec<(usize, usize)> = found.awards.iter().map(|award| (award.0, award.1)).collect();
    case.check(width == 2 && awards == recorded, || {
        format!("greedy takes {awards:?}, recorded {recorded:?}")
    });
    case.close(
        "the greedy total",
        problem.total(&found.paths),
        number(case.value, "greedy_total")?,
        TOLERANCE,
    );
    let best = problem.optimum().map_err(refused)?;
    case.close("the optimum", problem.total(&best), optimum, TOLERANCE);
    let agreed = cbba(&problem, &CbbaOptions::default()).map_err(refused)?;
    let by_auction = single_item_auction(&problem).paths;
    for (method, paths) in [("cbba", &agreed.paths), ("the auction", &by_auction)] {
        case.check(sorted(paths) == sorted(&found.paths), || format!("{method} allocates {paths:?}"));
        let total = problem.total(paths);
        case.check(total >= 0.5 * optimum - TOLERANCE, || format!("{method} reaches {total} of {optimum}"));
    }
    Ok(())
}

fn sorted(paths: &Paths) -> Paths {
    let mut paths = paths.clone();
    paths.iter_mut().for_each(|path| path.sort_unstable());
    paths
}

fn check_discounted(case: &mut Case<'_>) -> Result<(), Fault> {
    let team = discounted_team(case.value)?;
    let optimum = number(case.value, "optimal_total")?;
    let found = greedy(&team);
    let recorded = field(case.value, "sga_paths")?.as_array().ok_or("field `sga_paths` is no list")?;
    let recorded: Option<Vec<Vec<usize>>> = recorded
        .iter()
        .map(|path| path.as_array()?.iter().map(|t| t.as_u64().map(|t| t as usize)).collect())
        .collect();
    case.check(recorded.as_ref() == Some(&found.paths), || {
        format!("greedy plans {:?}, recorded {recorded:?}", found.paths)
    });
    let (steps, n_steps, width) = table(case.value, "sga_order_agent_task_gain")?;
    case.check(n_steps == found.awards.len() && width == 3, || "the number of greedy steps differs".into());
    for (step, award) in steps.chunks_exact(width.max(1)).zip(&found.awards) {
        let award = [award.0 as f64, award.1 as f64, award.2];
        case.all_close("a greedy step", &award, step, TOLERANCE);
    }
    let worth = |paths: &Paths| check_plan(&team, paths).map(|c| c.reward).map_err(refused);
    case.close("the greedy total", worth(&found.paths)?, number(case.value, "sga_total")?, TOLERANCE);
    if team.tasks().len() <= coact_allocation::exact::MAX_TASKS {
        let best = best_plan(&team).map_err(refused)?;
        case.close("the optimum", worth(&best)?, optimum, TOLERANCE);
    } else {
        case.not_covered("the optimum of many tasks");
    }
    let agreed = cbba(&team, &CbbaOptions::default()).map_err(refused)?;
    let reached = worth(&agreed.paths)?;
    case.check(agreed.is_agreed && reached >= 0.5 * optimum - TOLERANCE, || {
        format!("cbba reaches {reached} of {optimum}, agreed: {}", agreed.is_agreed)
    });
    Ok(())
}

fn discounted_team(case: &Value) -> Result<Team, Fault> {
    let n_agents = table(case, "agents_xy")?.1;
    let agents = table_of(case, "agents_xy", n_agents, 2)?;
    let rewards = numbers(case, "task_reward")?;
    let tasks = table_of(case, "tasks_xy", rewards.len(), 2)?;
    let capacity = count(case, "capacity_each")?;
    let speed = number(case, "speed")?;
    let robots = agents.chunks_exact(2).enumerate().map(|(i, p)| {
        let place = Robot::at(format!("agent {i}"), [p[0], p[1]]);
        Robot { capacity, speed, ..place }
    });
    let tasks = tasks.chunks_exact(2).zip(&rewards).enumerate().map(|(i, (p, &reward))| {
        let place = Task::at(format!("task {i}"), [p[0], p[1]]);
        Task { reward, ..place }
    });
    let goal = Goal::Reward { discount: number(case, "lambda")? };
    Team::new(robots.collect(), tasks.collect(), goal).map_err(refused)
}
