//! Problems as JSON values.

use super::json::{Node, Value};
use super::{Member, Place, Problem, at, expected, join};
use crate::Result;
use crate::bids::ScoreTable;
use crate::coalition::CoalitionGame;
use crate::matrix::{CostMatrix, FORBIDDEN, MAX_COST, Objective, SparseCosts};
use crate::team::{Goal, Robot, Task, Team};

/// Most players in a file: few names stand for many coalitions.
const MAX_PLAYERS: usize = 20;

pub(super) fn read(node: &Node) -> Result<Problem> {
    if let Value::List(_) = node.value {
        return Ok(Problem::Costs { costs: matrix(node)?, objective: Objective::Minimize });
    }
    if node.get("loads").is_some() {
        generalized(node)
    } else if let Some(costs) = node.get("costs") {
        node.only(&["costs", "objective"])?;
        Ok(Problem::Costs { costs: matrix(costs)?, objective: objective(node)? })
    } else if node.get("entries").is_some() {
        sparse(node)
    } else if node.get("scores").is_some() {
        scores(node)
    } else if node.get("robots").is_some() || node.get("tasks").is_some() {
        team(node)
    } else if node.get("players").is_some() {
        coalition(node)
    } else {
        node.not("an object with `costs`, `entries`, `scores`, `robots` and `tasks`, or `players`")
    }
}

fn objective(node: &Node) -> Result<Objective> {
    let Some(objective) = node.get("objective") else { return Ok(Objective::Minimize) };
    match objective.text("`min` or `max`")? {
        "min" => Ok(Objective::Minimize),
        "max" => Ok(Objective::Maximize),
        _ => objective.not("`min` or `max`"),
    }
}

/// A table of costs; null forbids.
fn matrix(node: &Node) -> Result<CostMatrix> {
    let rows = node.list("a list of rows")?;
    let mut width = None;
    let mut costs = Vec::new();
    for row in rows {
        let cells = row.list("a row: a list of costs")?;
        if cells.len() != *width.get_or_insert(cells.len()) {
            return row.not(format!("a row of {} costs, as the first", width.unwrap_or(0)));
        }
        for cell in cells {
            costs.push(match cell.value {
                Value::Null => FORBIDDEN,
                Value::Number(x) if x.abs() <= MAX_COST => x,
                _ => return cell.not("a cost within 1e100 of 0, or null for a pair that is forbidden"),
            });
        }
    }
    at(node.place, CostMatrix::new(rows.len(), width.unwrap_or(0), costs))
}

fn numbers(node: &Node, wanted: &str) -> Result<Vec<f64>> {
    node.list(wanted)?.iter().map(|item| item.number(wanted)).collect()
}

fn generalized(node: &Node) -> Result<Problem> {
    node.only(&["costs", "loads", "capacities"])?;
    let costs = matrix(node.need("costs")?)?;
    let loads_node = node.need("loads")?;
    let loads = matrix(loads_node)?;
    let capacities_node = node.need("capacities")?;
    let capacities = numbers(capacities_node, "a list of capacities")?;
    if (loads.n_rows(), loads.n_cols()) != (costs.n_rows(), costs.n_cols()) {
        return loads_node.not(format!("{} rows of {} loads, as costs", costs.n_rows(), costs.n_cols()));
    }
    if capacities.len() != costs.n_rows() {
        return capacities_node.not(format!("{} capacities", costs.n_rows()));
    }
    Ok(Problem::Generalized { costs, loads, capacities })
}

fn sparse(node: &Node) -> Result<Problem> {
    node.only(&["entries", "n_rows", "n_cols", "objective"])?;
    // A row or column costs memory without being written down, so their number is bounded.
    const MOST: usize = 10_000_000;
    let n_rows = node.need("n_rows")?.count(MOST, "the number of rows")?;
    let n_cols = node.need("n_cols")?.count(MOST, "the number of columns")?;
    let list = node.need("entries")?;
    let mut entries = Vec::new();
    for entry in list.list("a list of entries")? {
        let [row, col, cost] = entry.list("[row, column, cost]")? else {
            return entry.not("[row, column, cost]");
        };
        let row = row.count(n_rows.saturating_sub(1), "a row")?;
        let col = col.count(n_cols.saturating_sub(1), "a column")?;
        entries.push((row, col, cost.number("a cost")?));
    }
    let costs = at(list.place, SparseCosts::from_entries(n_rows, n_cols, &entries))?;
    Ok(Problem::Sparse { costs, objective: objective(node)? })
}

fn scores(node: &Node) -> Result<Problem> {
    node.only(&["scores", "capacity"])?;
    let list = node.need("scores")?;
    let table = matrix(list)?;
    let n = table.n_rows();
    let capacities = match node.get("capacity") {
        None => vec![1; n],
        Some(one) if matches!(one.value, Value::Number(_)) => vec![one.count(1 << 40, "a capacity")?; n],
        Some(many) => {
            let items = many.list("a capacity, or one an agent")?;
            if items.len() != n {
                return many.not(format!("{n} capacities, one an agent"));
            }
            items.iter().map(|item| item.count(1 << 40, "a capacity")).collect::<Result<_>>()?
        }
    };
    // What is forbidden is never taken, as are scores of 0.
    let values = table.costs().iter().map(|&s| if s == FORBIDDEN { 0.0 } else { s }).collect();
    Ok(Problem::Scores(at(list.place, ScoreTable::new(n, table.n_cols(), values, capacities))?))
}

fn goal(node: &Node) -> Result<Goal> {
    let discount = node.get("discount").map_or(Ok(1.0), |d| d.number("a discount"))?;
    let Some(goal) = node.get("goal") else {
        return Ok(if node.get("discount").is_some() { Goal::Reward { discount } } else { Goal::Travel });
    };
    match goal.text("a goal")? {
        "travel" => Ok(Goal::Travel),
        "makespan" => Ok(Goal::Makespan),
        "reward" => Ok(Goal::Reward { discount }),
        _ => goal.not("`travel`, `makespan` or `reward`"),
    }
}

fn team(node: &Node) -> Result<Problem> {
    node.only(&["robots", "tasks", "goal", "discount"])?;
    let mut robots = Vec::new();
    for (index, item) in node.need("robots")?.list("a list of robots")?.iter().enumerate() {
        robots.push(Member { place: place_of(item), item: robot(item, index)? });
    }
    let items = node.need("tasks")?.list("a list of tasks")?;
    let mut tasks = Vec::new();
    for (index, item) in items.iter().enumerate() {
        tasks.push(Member { place: place_of(item), item: task(item, index)? });
    }
    for (index, item) in items.iter().enumerate() {
        let Some(after) = item.get("after") else { continue };
        for name in after.list("a list of names of tasks")? {
            let wanted = name.text("the name of a task")?;
            match tasks.iter().position(|task: &Member<Task>| task.item.name == wanted) {
                Some(before) => tasks[index].item.after.push(before),
                None => return name.not("the name of a task"),
            }
        }
    }
    join(robots, tasks, goal(node)?, node.place)
}

fn name_of(node: &Node, what: &str, index: usize) -> Result<String> {
    node.get("name").map_or(Ok(format!("{what}{index}")), |name| name.text("a name").map(str::to_string))
}

/// Where a member's name stands, or its object begins.
fn place_of(node: &Node) -> Place {
    node.get("name").unwrap_or(node).place
}

fn number_of(node: &Node, key: &str, default: f64) -> Result<f64> {
    node.get(key).map_or(Ok(default), |x| x.number("a number"))
}

fn skills_of(node: &Node) -> Result<Vec<String>> {
    let Some(skills) = node.get("skills") else { return Ok(Vec::new()) };
    skills.list("a list of skills")?.iter().map(|s| s.text("a skill").map(str::to_string)).collect()
}

fn position_of(node: &Node) -> Result<[f64; 2]> {
    Ok([node.need("x")?.number("a coordinate")?, node.need("y")?.number("a coordinate")?])
}

fn robot(node: &Node, index: usize) -> Result<Robot> {
    node.only(&["name", "x", "y", "speed", "capacity", "skills"])?;
    let robot = Robot {
        name: name_of(node, "robot", index)?,
        position: position_of(node)?,
        speed: number_of(node, "speed", 1.0)?,
        capacity: node.get("capacity").map_or(Ok(usize::MAX), |c| c.count(1 << 40, "a capacity"))?,
        skills: skills_of(node)?,
    };
    let alone = Team::new(vec![robot.clone()], Vec::new(), Goal::Travel);
    at(node.place, alone).map(|_| robot)
}

fn task(node: &Node, index: usize) -> Result<Task> {
    node.only(&["name", "x", "y", "duration", "earliest", "latest", "skills", "after", "reward"])?;
    let task = Task {
        name: name_of(node, "task", index)?,
        position: position_of(node)?,
        duration: number_of(node, "duration", 0.0)?,
        earliest: number_of(node, "earliest", 0.0)?,
        latest: number_of(node, "latest", f64::INFINITY)?,
        skills: skills_of(node)?,
        after: Vec::new(),
        reward: number_of(node, "reward", 1.0)?,
    };
    let alone = Team::new(Vec::new(), vec![task.clone()], Goal::Travel);
    at(node.place, alone).map(|_| task)
}

fn coalition(node: &Node) -> Result<Problem> {
    node.only(&["players", "values"])?;
    let list = node.need("players")?;
    let mut players: Vec<String> = Vec::new();
    for item in list.list("a list of names")? {
        let name = item.text("the name of a player")?;
        if name.is_empty() || name.contains(char::is_whitespace) || players.iter().any(|p| p == name) {
            return item.not("a name without blanks that no other player has");
        }
        players.push(name.to_string());
    }
    if players.len() > MAX_PLAYERS {
        return list.not(format!("at most {MAX_PLAYERS} players"));
    }
    let worths = node.need("values")?;
    let Value::Object(fields) = &worths.value else {
        return worths.not("an object of coalitions and what they are worth");
    };
    let mut values = vec![0.0; 1 << players.len()];
    let mut known = vec![false; values.len()];
    for (key, place, worth) in fields {
        let mut coalition = 0;
        for name in key.split_whitespace() {
            match players.iter().position(|p| p == name) {
                Some(player) => coalition |= 1 << player,
                None => return expected(*place, format!("`{name}`"), "the name of a player"),
            }
        }
        if std::mem::replace(&mut known[coalition], true) {
            return expected(*place, format!("`{key}` again"), "each coalition once");
        }
        values[coalition] = worth.number("what the coalition is worth")?;
    }
    Ok(Problem::Coalition { game: at(worths.place, CoalitionGame::new(players.len(), values))?, players })
}
