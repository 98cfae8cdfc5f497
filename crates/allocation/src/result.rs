//! Answers as JSON, and the check of such a file: the problem is read anew from its text, and only
//! [`crate::certificate`] and the checks of coalitions look at the answer, never a method.

use serde_json::{Value, json};

use crate::assignment::{Assignment, Prices};
use crate::certificate::{AssignmentCertificate, check_assignment, check_plan, check_sparse_assignment};
use crate::coalition::{CoalitionGame, LeastCore, check_least_core};
use crate::input::{Changes, Problem, read_problem};
use crate::matrix::sum;
use crate::methods::{Allocation, Answer};
use crate::team::{Goal, Team};
use crate::{Error, Result};

/// Distance from the optimum, relative to the total, that counts as rounding.
const TOLERANCE: f64 = 1e-9;

/// The answer as an object: `method`, `total_cost`, `assignment`, `certificate`, `messages`, `rounds` and more.
///
/// # Errors
/// An answer that does not pass its check.
pub fn to_json(problem: &Problem, answer: &Answer) -> Result<Value> {
    let (total, assignment, certificate) = match (&answer.allocation, problem) {
        (Allocation::Assignment(found), Problem::Costs { costs, objective }) => {
            let c = check_assignment(costs, *objective, found)?;
            (c.total, pairs_json(found), dual_json(&c, found))
        }
        (Allocation::Assignment(found), Problem::Sparse { costs, objective }) => {
            let c = check_sparse_assignment(costs, *objective, found)?;
            (c.total, pairs_json(found), dual_json(&c, found))
        }
        (Allocation::Paths(paths), Problem::Scores(table)) => {
            let total = check_scores(problem, paths)?;
            let unassigned =
                (0..crate::bids::Bids::n_tasks(table)).filter(|t| !paths.iter().flatten().any(|p| p == t));
            let unassigned: Vec<usize> = unassigned.collect();
            (total, json!(paths), json!({ "kind": "recomputed", "total": total, "unassigned": unassigned }))
        }
        (Allocation::Paths(paths), Problem::Team(team)) => {
            let c = check_plan(team, paths)?;
            let total = match team.goal() {
                Goal::Travel => c.travel,
                Goal::Makespan => c.makespan,
                Goal::Reward { .. } => c.reward,
            };
            let unassigned: Vec<&str> = c.unassigned.iter().map(|&t| team.tasks()[t].name.as_str()).collect();
            let certificate = json!({
                "kind": "plan", "travel": c.travel, "makespan": c.makespan, "reward": c.reward,
                "starts": c.starts, "unassigned": unassigned,
            });
            (total, named_paths(team, paths), certificate)
        }
        (Allocation::Agents(agents), Problem::Generalized { .. }) => {
            let total = check_generalized(problem, agents)?;
            (total, json!(agents), json!({ "kind": "recomputed", "total": total }))
        }
        (Allocation::Payoffs(payoffs, core), Problem::Coalition { game, .. }) => {
            let certificate = payoffs_certificate(game, payoffs, core.as_ref())?;
            (game.value(game.grand()), json!(payoffs), certificate)
        }
        (Allocation::Structure(found), Problem::Coalition { game, players }) => {
            let total = check_structure(game, &found.coalitions)?;
            let name = |c: usize| -> Vec<&str> {
                (0..players.len()).filter(|i| c >> i & 1 == 1).map(|i| players[i].as_str()).collect()
            };
            let groups: Vec<Vec<&str>> = found.coalitions.iter().map(|&c| name(c)).collect();
            (total, json!(groups), json!({ "kind": "recomputed", "total": total }))
        }
        _ => return Err(Error::invalid("this answer does not belong to this problem")),
    };
    Ok(json!({
        "format": "coact-result/1", "kind": "allocate", "class": problem.class().to_string(),
        "method": answer.method, "total_cost": total, "assignment": assignment, "certificate": certificate,
        "messages": answer.messages, "bytes": answer.bytes, "rounds": answer.rounds, "agreed": answer.is_agreed,
    }))
}

fn pairs_json(found: &Assignment) -> Value {
    json!(found.pairs().collect::<Vec<_>>())
}

fn dual_json(c: &AssignmentCertificate, found: &Assignment) -> Value {
    match &found.prices {
        Some(prices) => json!({
            "kind": "dual_prices", "bound": c.bound, "gap": c.gap, "max_violation": c.max_violation,
            "optimal": c.is_optimal(TOLERANCE), "row_prices": prices.rows, "col_prices": prices.cols,
        }),
        None => json!({ "kind": "recomputed", "total": c.total }),
    }
}

fn named_paths(team: &Team, paths: &[Vec<usize>]) -> Value {
    let named = team.robots().iter().zip(paths).map(|(robot, path)| {
        let names: Vec<&str> = path.iter().map(|&t| team.tasks()[t].name.as_str()).collect();
        json!({ "robot": robot.name, "tasks": names, "indices": path })
    });
    Value::Array(named.collect())
}

fn payoffs_certificate(game: &CoalitionGame, payoffs: &[f64], core: Option<&LeastCore>) -> Result<Value> {
    let scale = (0..=game.grand()).map(|c| game.value(c).abs()).fold(1.0, f64::max);
    let total: f64 = payoffs.iter().sum();
    if (total - game.value(game.grand())).abs() > TOLERANCE * scale {
        return Err(Error::invalid(format!("payoffs sum to {total}, not to {}", game.value(game.grand()))));
    }
    let Some(core) = core else { return Ok(json!({ "kind": "efficient", "total": total })) };
    check_least_core(game, core, TOLERANCE * scale)?;
    Ok(json!({
        "kind": "balanced_weights", "epsilon": core.epsilon, "core_exists": core.core_exists(TOLERANCE * scale),
        "weights": core.weights,
    }))
}

/// The total of a table's allocation, after a look at owners and capacities.
fn check_scores(problem: &Problem, paths: &[Vec<usize>]) -> Result<f64> {
    let Problem::Scores(table) = problem else { return Err(Error::invalid("not a table of scores")) };
    use crate::bids::Bids;
    let mut taken = vec![false; table.n_tasks()];
    if paths.len() != table.n_agents() {
        return Err(Error::invalid(format!("{} lists for {} agents", paths.len(), table.n_agents())));
    }
    for (agent, path) in paths.iter().enumerate() {
        if path.len() > table.capacity(agent) {
            return Err(Error::invalid(format!("agent {agent} has {} tasks, more than it can", path.len())));
        }
        for &task in path {
            match taken.get_mut(task) {
                Some(taken) if !*taken => *taken = true,
                _ => return Err(Error::invalid(format!("task {task} is not there or assigned twice"))),
            }
        }
    }
    Ok(sum(paths.iter().enumerate().flat_map(|(a, p)| p.iter().map(move |&t| table.score(a, t)))))
}

fn check_generalized(problem: &Problem, agents: &[usize]) -> Result<f64> {
    let Problem::Generalized { costs, loads, capacities } = problem else {
        return Err(Error::invalid("not a generalized assignment"));
    };
    if agents.len() != costs.n_cols() || agents.iter().any(|&a| a >= costs.n_rows()) {
        return Err(Error::invalid("the plan does not name one agent for each task"));
    }
    for (agent, &capacity) in capacities.iter().enumerate() {
        let mine = agents.iter().enumerate().filter(|(_, a)| **a == agent);
        let load: f64 = mine.map(|(task, _)| loads.at(agent, task)).sum();
        if load > capacity * (1.0 + 1e-12) {
            return Err(Error::invalid(format!("agent {agent} carries {load}, its capacity is {capacity}")));
        }
    }
    let total = sum(agents.iter().enumerate().map(|(task, &agent)| costs.at(agent, task)));
    if total.is_finite() { Ok(total) } else { Err(Error::invalid("a pair of the plan is forbidden")) }
}

fn check_structure(game: &CoalitionGame, coalitions: &[usize]) -> Result<f64> {
    let mut all = 0;
    for &coalition in coalitions {
        if coalition == 0 || coalition > game.grand() || all & coalition != 0 {
            return Err(Error::invalid("coalitions overlap or are not there"));
        }
        all |= coalition;
    }
    if all != game.grand() {
        return Err(Error::invalid("a player is in no coalition"));
    }
    Ok(sum(coalitions.iter().map(|&c| game.value(c))))
}

/// Checks a result of kind `allocate`: the text of its problem, with what the user changed of it, and its
/// answer. Returns what was checked, in words.
///
/// # Errors
/// One line about the first thing that is missing or wrong.
pub fn verify(result: &Value) -> Result<String> {
    let text = result.pointer("/problem/text").and_then(Value::as_str);
    let text =
        text.ok_or_else(|| Error::invalid("the result has no text of its problem at `problem.text`"))?;
    let word = |key: &str| {
        result.get("problem").and_then(|p| p.get(key)).and_then(Value::as_str).map(str::to_string)
    };
    let discount = result.pointer("/problem/discount").and_then(Value::as_f64);
    let changes = Changes { goal: word("goal"), discount, objective: word("objective") };
    let problem = changes.apply(read_problem(text)?)?;
    let claimed = number(result, "/total_cost")?;
    let (total, words) = check_answer(&problem, result)?;
    if claimed.is_nan() || (claimed - total).abs() > TOLERANCE * total.abs().max(1.0) {
        return Err(Error::invalid(format!("total_cost is {claimed}, recomputed it is {total}")));
    }
    Ok(format!("total_cost {total}, {words}"))
}

fn check_answer(problem: &Problem, result: &Value) -> Result<(f64, String)> {
    let assignment =
        result.get("assignment").ok_or_else(|| Error::invalid("the result has no `assignment`"))?;
    match problem {
        Problem::Costs { costs, objective } => {
            let found = assignment_from(result, assignment, costs.n_rows())?;
            let c = check_assignment(costs, *objective, &found)?;
            Ok((c.total, dual_words(result, &c)?))
        }
        Problem::Sparse { costs, objective } => {
            let found = assignment_from(result, assignment, costs.n_rows())?;
            let c = check_sparse_assignment(costs, *objective, &found)?;
            Ok((c.total, dual_words(result, &c)?))
        }
        Problem::Scores(_) => {
            let total = check_scores(problem, &lists(assignment)?)?;
            Ok((total, "recomputed from the scores, within capacities".into()))
        }
        Problem::Team(team) => check_team_answer(team, assignment, result),
        Problem::Generalized { .. } => {
            let agents = list(assignment)?;
            Ok((check_generalized(problem, &agents)?, "recomputed from the costs, within capacities".into()))
        }
        Problem::Coalition { game, players } => check_coalition_answer(game, players, assignment, result),
    }
}

fn check_team_answer(team: &Team, assignment: &Value, result: &Value) -> Result<(f64, String)> {
    let robots =
        assignment.as_array().ok_or_else(|| Error::invalid("`assignment` is not a list of robots"))?;
    let path = |robot: &Value| {
        robot.get("indices").map_or_else(|| Err(Error::invalid("a robot has no `indices`")), list)
    };
    let paths: Vec<Vec<usize>> = robots.iter().map(path).collect::<Result<_>>()?;
    let c = check_plan(team, &paths)?;
    for (name, found) in [("travel", c.travel), ("makespan", c.makespan), ("reward", c.reward)] {
        let claimed = number(result, &format!("/certificate/{name}"))?;
        if claimed.is_nan() || (claimed - found).abs() > TOLERANCE * found.abs().max(1.0) {
            return Err(Error::invalid(format!("{name} is {claimed}, recomputed it is {found}")));
        }
    }
    let total = match team.goal() {
        Goal::Travel => c.travel,
        Goal::Makespan => c.makespan,
        Goal::Reward { .. } => c.reward,
    };
    let n_done = team.tasks().len() - c.unassigned.len();
    Ok((total, format!("a feasible plan for {n_done} of {} tasks", team.tasks().len())))
}

fn check_coalition_answer(
    game: &CoalitionGame,
    players: &[String],
    assignment: &Value,
    result: &Value,
) -> Result<(f64, String)> {
    if result.get("method").and_then(Value::as_str) == Some("structure") {
        let groups = assignment.as_array().ok_or_else(|| Error::invalid("`assignment` is not a list"))?;
        let mut coalitions = Vec::new();
        for group in groups {
            let names =
                group.as_array().ok_or_else(|| Error::invalid("a coalition is not a list of names"))?;
            let mut coalition = 0;
            for name in names {
                let at = players.iter().position(|p| Some(p.as_str()) == name.as_str());
                coalition |= 1 << at.ok_or_else(|| Error::invalid(format!("there is no player {name}")))?;
            }
            coalitions.push(coalition);
        }
        return Ok((check_structure(game, &coalitions)?, "a partition, recomputed from the values".into()));
    }
    let payoffs = numbers(assignment)?;
    let core = match result.pointer("/certificate/weights") {
        Some(weights) => Some(LeastCore {
            payoffs: payoffs.clone(),
            epsilon: number(result, "/certificate/epsilon")?,
            weights: serde_json::from_value(weights.clone())
                .map_err(|e| Error::invalid(format!("`certificate.weights` cannot be read: {e}")))?,
        }),
        None => None,
    };
    if payoffs.len() != players.len() {
        return Err(Error::invalid(format!("{} payoffs for {} players", payoffs.len(), players.len())));
    }
    payoffs_certificate(game, &payoffs, core.as_ref())?;
    let words =
        if core.is_some() { "the least core, proved by balanced weights" } else { "an efficient division" };
    Ok((game.value(game.grand()), words.into()))
}

fn assignment_from(result: &Value, pairs: &Value, n_rows: usize) -> Result<Assignment> {
    let mut row_to_col = vec![None; n_rows];
    for pair in lists(pairs)? {
        let [row, col] = pair[..] else { return Err(Error::invalid("a pair is not [row, column]")) };
        match row_to_col.get_mut(row) {
            Some(place @ None) => *place = Some(col),
            _ => return Err(Error::invalid(format!("row {row} is not there or assigned twice"))),
        }
    }
    let certificate = result.get("certificate").unwrap_or(&Value::Null);
    let prices = match (certificate.get("row_prices"), certificate.get("col_prices")) {
        (Some(rows), Some(cols)) => Some(Prices { rows: numbers(rows)?, cols: numbers(cols)? }),
        _ => None,
    };
    Ok(Assignment { row_to_col, total: number(result, "/total_cost")?, prices })
}

/// Refuses a claim of the optimum that prices do not prove.
fn dual_words(result: &Value, c: &AssignmentCertificate) -> Result<String> {
    let claims_optimum = result.pointer("/certificate/optimal").and_then(Value::as_bool) == Some(true);
    match c.gap {
        Some(gap) if c.is_optimal(TOLERANCE) => Ok(format!("proved optimal by dual prices, gap {gap:.1e}")),
        Some(gap) if !claims_optimum => Ok(format!("proved within {gap:.3e} of the optimum")),
        None if !claims_optimum => Ok("a complete assignment, recomputed from the costs".into()),
        _ => Err(Error::invalid(format!("it claims the optimum, its prices prove only {:?}", c.bound))),
    }
}

fn number(result: &Value, pointer: &str) -> Result<f64> {
    let value = result.pointer(pointer).and_then(Value::as_f64);
    value.ok_or_else(|| {
        Error::invalid(format!("the result has no number at `{}`", pointer[1..].replace('/', ".")))
    })
}

fn numbers(value: &Value) -> Result<Vec<f64>> {
    let items = value.as_array().and_then(|items| items.iter().map(Value::as_f64).collect());
    items.ok_or_else(|| Error::invalid("a list of numbers is missing in the result"))
}

fn list(value: &Value) -> Result<Vec<usize>> {
    let index = |v: &Value| v.as_u64().and_then(|i| usize::try_from(i).ok());
    let items = value.as_array().and_then(|items| items.iter().map(index).collect());
    items.ok_or_else(|| Error::invalid("a list of indices is missing in the result"))
}

fn lists(value: &Value) -> Result<Vec<Vec<usize>>> {
    let items = value.as_array().ok_or_else(|| Error::invalid("`assignment` is not a list"))?;
    items.iter().map(list).collect()
}
