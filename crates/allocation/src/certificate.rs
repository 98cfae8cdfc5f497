//! Independent checks of answers, which share nothing with the methods that find them: only the problem and the
//! answer are read, costs are added up anew, and dual prices prove how far a total can be from the best.

use coact_core::math::pow_f64;

use crate::assignment::{Assignment, Prices};
use crate::matrix::{CostMatrix, Objective, SparseCosts, sum};
use crate::team::{Goal, Team};
use crate::{Error, Result};

/// What the check of an assignment found.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentCertificate {
    /// Total cost, added up from the matrix.
    pub total: f64,
    /// What dual prices prove: no assignment is below this (minimizing) or above it (maximizing). `None` without
    /// prices.
    pub bound: Option<f64>,
    /// Distance of total and bound; 0 within rounding proves the optimum.
    pub gap: Option<f64>,
    /// Largest amount by which prices overstep a pair; the bound has been corrected for it.
    pub max_violation: f64,
}

impl AssignmentCertificate {
    /// Whether the gap is within `tolerance` of the size of the total (at least 1).
    pub fn is_optimal(&self, tolerance: f64) -> bool {
        self.gap.is_some_and(|gap| gap <= tolerance * self.total.abs().max(1.0))
    }
}

/// Checks an assignment of a dense matrix.
///
/// # Errors
/// One line about the first thing that is wrong: shape, partners taken twice, forbidden pairs, a wrong total,
/// an incomplete assignment.
pub fn check_assignment(
    costs: &CostMatrix,
    objective: Objective,
    assignment: &Assignment,
) -> Result<AssignmentCertificate> {
    let pairs =
        (0..costs.n_rows()).flat_map(|i| costs.row(i).iter().enumerate().map(move |(j, &c)| (i, j, c)));
    let at = |row, col| costs.at(row, col);
    check(costs.n_rows(), costs.n_cols(), at, pairs, objective, assignment)
}

/// Checks an assignment of a sparse matrix.
///
/// # Errors
/// As [`check_assignment`].
pub fn check_sparse_assignment(
    costs: &SparseCosts,
    objective: Objective,
    assignment: &Assignment,
) -> Result<AssignmentCertificate> {
    let pairs = (0..costs.n_rows()).flat_map(|i| {
        let (cols, values) = costs.row(i);
        cols.iter().zip(values).map(move |(&j, &c)| (i, j as usize, c))
    });
    let at = |row, col| costs.at(row, col).unwrap_or(f64::INFINITY);
    check(costs.n_rows(), costs.n_cols(), at, pairs, objective, assignment)
}

fn check(
    n_rows: usize,
    n_cols: usize,
    cost: impl Fn(usize, usize) -> f64,
    pairs: impl Iterator<Item = (usize, usize, f64)>,
    objective: Objective,
    assignment: &Assignment,
) -> Result<AssignmentCertificate> {
    let wrong = |text: String| Err(Error::invalid(text));
    if assignment.row_to_col.len() != n_rows {
        return wrong(format!(
            "the assignment has {} rows, the matrix {n_rows}",
            assignment.row_to_col.len()
        ));
    }
    let mut row_of = vec![None; n_cols];
    let (mut total, mut n_pairs) = (0.0, 0);
    for (row, col) in assignment.row_to_col.iter().enumerate() {
        let Some(col) = *col else { continue };
        if col >= n_cols {
            return wrong(format!("row {row} has column {col}, the matrix has {n_cols}"));
        }
        if let Some(other) = row_of[col].replace(row) {
            return wrong(format!("rows {other} and {row} both have column {col}"));
        }
        let c = cost(row, col);
        if !c.is_finite() {
            return wrong(format!("row {row} has column {col}, which is forbidden"));
        }
        total += c;
        n_pairs += 1;
    }
    if n_pairs != n_rows.min(n_cols) {
        return wrong(format!("{n_pairs} pairs are assigned, {} can be", n_rows.min(n_cols)));
    }
    let slack = 1e-9 * total.abs().max(1.0);
    if assignment.total.is_nan() || (total - assignment.total).abs() > slack {
        return wrong(format!("the total is {}, its pairs add up to {total}", assignment.total));
    }
    let Some(prices) = &assignment.prices else {
        return Ok(AssignmentCertificate { total, bound: None, gap: None, max_violation: 0.0 });
    };
    let (bound, max_violation) = dual_bound(n_rows, n_cols, pairs, objective, prices)?;
    let gap = objective.sign() * (total - bound);
    Ok(AssignmentCertificate { total, bound: Some(bound), gap: Some(gap), max_violation })
}

/// The bound that prices prove, after lowering the prices of the shorter side by the largest violation.
fn dual_bound(
    n_rows: usize,
    n_cols: usize,
    pairs: impl Iterator<Item = (usize, usize, f64)>,
    objective: Objective,
    prices: &Prices,
) -> Result<(f64, f64)> {
    if (prices.rows.len(), prices.cols.len()) != (n_rows, n_cols) {
        let (r, c) = (prices.rows.len(), prices.cols.len());
        let text =
            format!("there are prices of {r} rows and {c} columns, the matrix has {n_rows} and {n_cols}");
        return Err(Error::invalid(text));
    }
    let sign = objective.sign();
    let mut violation: f64 = 0.0;
    for (row, col, c) in pairs.filter(|p| p.2.is_finite()) {
        violation = violation.max(sign * (prices.rows[row] + prices.cols[col] - c));
    }
    let longer = match n_rows.cmp(&n_cols) {
        std::cmp::Ordering::Less => &prices.cols[..],
        std::cmp::Ordering::Equal => &[],
        std::cmp::Ordering::Greater => &prices.rows[..],
    };
    let mut sum: f64 = prices.rows.iter().chain(&prices.cols).sum();
    // A price of the wrong sign on the longer side may be paid at every member at worst.
    sum -= longer.iter().map(|&p| sign * (sign * p).max(0.0)).sum::<f64>();
    let overstep = longer.iter().map(|&p| (sign * p).max(0.0)).fold(violation, f64::max);
    if !overstep.is_finite() || !sum.is_finite() {
        return Err(Error::invalid("a dual price is not finite"));
    }
    // Clearing a wrong sign only makes pairs cheaper to satisfy, so the violation alone corrects the bound.
    let bound = sum - sign * violation * n_rows.min(n_cols) as f64;
    Ok((bound, overstep))
}

/// What the check of a plan for a team found.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanCertificate {
    /// Start of each task; `None` for tasks that nobody does.
    pub starts: Vec<Option<f64>>,
    /// Distance traveled by all robots.
    pub travel: f64,
    /// End of the last task.
    pub makespan: f64,
    /// Sum of rewards, discounted where the goal says so.
    pub reward: f64,
    /// Tasks that nobody does.
    pub unassigned: Vec<usize>,
}

/// Checks a plan: every robot able and within its capacity, every task done once at most, in time and after those
/// that it waits for; and adds up distance, time and reward anew. Starts are found as the least solution of all
/// "not before" conditions at once, not by following the plan.
///
/// # Errors
/// One line about the first thing that is wrong.
pub fn check_plan(team: &Team, paths: &[Vec<usize>]) -> Result<PlanCertificate> {
    let wrong = |text: String| Err(Error::invalid(text));
    let (robots, tasks) = (team.robots(), team.tasks());
    if paths.len() != robots.len() {
        return wrong(format!("{} paths for {} robots", paths.len(), robots.len()));
    }
    let mut robot_of = vec![None; tasks.len()];
    for (r, path) in paths.iter().enumerate() {
        if path.len() > robots[r].capacity {
            return wrong(format!(
                "robot {r} has {} tasks, its capacity is {}",
                path.len(),
                robots[r].capacity
            ));
        }
        for &t in path {
            if t >= tasks.len() {
                return wrong(format!("robot {r} has task {t} of {}", tasks.len()));
            }
            if let Some(skill) = tasks[t].skills.iter().find(|skill| !robots[r].skills.contains(skill)) {
                return wrong(format!("robot {r} has task {t} without the skill `{skill}`"));
            }
            if robot_of[t].replace(r).is_some() {
                return wrong(format!("task {t} is assigned twice"));
            }
        }
    }
    let leg = |r: usize, from: Option<usize>, to: usize| {
        let [x, y] = from.map_or(robots[r].position, |t| tasks[t].position);
        let [to_x, to_y] = tasks[to].position;
        ((x - to_x) * (x - to_x) + (y - to_y) * (y - to_y)).sqrt()
    };
    let mut starts: Vec<f64> = tasks.iter().map(|task| task.earliest).collect();
    // A round in which nothing moves is the end; one more than there are tasks means a circle of waiting.
    let mut n_rounds = 0;
    loop {
        let mut moved = false;
        for (r, path) in paths.iter().enumerate() {
            for (k, &t) in path.iter().enumerate() {
                let from = if k == 0 { None } else { Some(path[k - 1]) };
                let free = from.map_or(0.0, |p| starts[p] + tasks[p].duration);
                let mut start = starts[t].max(free + leg(r, from, t) / robots[r].speed);
                for &p in &tasks[t].after {
                    if robot_of[p].is_none() {
                        return wrong(format!("task {t} waits for task {p}, which nobody does"));
                    }
                    start = start.max(starts[p] + tasks[p].duration);
                }
                moved |= start > starts[t];
                starts[t] = start;
            }
        }
        n_rounds += 1;
        if !moved {
            break;
        }
        if n_rounds > tasks.len() + 1 {
            return wrong("tasks wait for each other in a circle".to_string());
        }
    }
    let assigned = || (0..tasks.len()).filter(|&t| robot_of[t].is_some());
    // Rounding may differ from the plan's own by little.
    if let Some(t) = assigned().find(|&t| starts[t] > tasks[t].latest + 1e-9 * tasks[t].latest.abs().max(1.0))
    {
        return wrong(format!("task {t} starts at {}, which is after {}", starts[t], tasks[t].latest));
    }
    let travel = paths.iter().enumerate().flat_map(|(r, path)| {
        path.iter().enumerate().map(move |(k, &t)| leg(r, if k == 0 { None } else { Some(path[k - 1]) }, t))
    });
    let discount = match team.goal() {
        Goal::Reward { discount } => discount,
        Goal::Travel | Goal::Makespan => 1.0,
    };
    Ok(PlanCertificate {
        travel: sum(travel),
        makespan: assigned().map(|t| starts[t] + tasks[t].duration).fold(0.0, f64::max),
        reward: sum(assigned().map(|t| tasks[t].reward * pow_f64(discount, starts[t]))),
        unassigned: (0..tasks.len()).filter(|&t| robot_of[t].is_none()).collect(),
        starts: (0..tasks.len()).map(|t| robot_of[t].map(|_| starts[t])).collect(),
    })
}
