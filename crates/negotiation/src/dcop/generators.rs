//! Problems to order: graph coloring, Ising models, meeting scheduling, sensor networks. The same numbers from the
//! same seed on every machine.

use coact_core::nearest::hint;
use coact_core::{Purpose, Stream};
use coact_messaging::Topology;

use super::problem::{Constraint, Domain, Objective, Problem, Variable};
use super::value::Value;
use crate::{Error, Result};

/// A generator by name: what it makes, and its parameters with their defaults.
#[derive(Debug, Clone, Copy)]
pub struct Generator {
    /// Its name.
    pub name: &'static str,
    /// What it makes, in a line.
    pub about: &'static str,
    /// Its parameters: name, default, meaning.
    pub parameters: &'static [(&'static str, f64, &'static str)],
    make: Make,
}

/// Makes a problem from values of parameters and a seed.
type Make = fn(&dyn Fn(&str) -> f64, u64) -> Result<Problem>;

/// All generators.
pub const ALL: [Generator; 4] = [
    Generator {
        name: "coloring",
        about: "color a random connected graph so that neighbors differ",
        parameters: &[
            ("n", 20.0, "variables"),
            ("colors", 3.0, "colors"),
            ("edges", 0.0, "edges; 0 for twice the variables, or all there can be"),
            ("soft", 0.0, "1: random costs from 0 to 9 for each pair of colors; 0: 1000 for equal ones"),
        ],
        make: |get, seed| {
            coloring(whole(get, "n")?, whole(get, "colors")?, whole(get, "edges")?, get("soft") != 0.0, seed)
        },
    },
    Generator {
        name: "ising",
        about: "spins on a torus with random couplings",
        parameters: &[
            ("rows", 4.0, "rows, at least 3"),
            ("columns", 4.0, "columns, at least 3"),
            ("coupling", 1.6, "greatest coupling"),
            ("field", 0.05, "greatest field on one spin"),
        ],
        make: |get, seed| {
            ising(whole(get, "rows")?, whole(get, "columns")?, get("coupling"), get("field"), seed)
        },
    },
    Generator {
        name: "meetings",
        about: "find times for meetings that share people",
        parameters: &[
            ("meetings", 6.0, "meetings"),
            ("people", 5.0, "people; each attends two meetings"),
            ("slots", 5.0, "times"),
        ],
        make: |get, seed| {
            meetings(whole(get, "meetings")?, whole(get, "people")?, whole(get, "slots")?, seed)
        },
    },
    Generator {
        name: "sensors",
        about: "point sensors of a grid at targets that need two of them each",
        parameters: &[
            ("rows", 3.0, "rows of sensors, at least 2"),
            ("columns", 3.0, "columns of sensors, at least 2"),
            ("targets", 3.0, "targets, each between four sensors"),
        ],
        make: |get, seed| sensors(whole(get, "rows")?, whole(get, "columns")?, whole(get, "targets")?, seed),
    },
];

/// Makes a problem from `name` or `name:key=value,key=value`.
///
/// # Errors
/// [`Error::Invalid`] for a name, key or value that makes no sense.
pub fn generate(text: &str, seed: u64) -> Result<Problem> {
    let (name, settings) = text.split_once(':').unwrap_or((text, ""));
    let names = ALL.map(|generator| generator.name);
    let Some(generator) = ALL.iter().find(|generator| generator.name == name) else {
        let message = format!("no generator `{name}`: use one of {}{}", names.join(", "), hint(name, names));
        return Err(Error::invalid(message));
    };
    let mut values: Vec<(&str, f64)> = generator.parameters.iter().map(|p| (p.0, p.1)).collect();
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let keys = generator.parameters.iter().map(|p| p.0);
        let Some(entry) = values.iter_mut().find(|entry| entry.0 == key) else {
            let list: Vec<&str> = keys.clone().collect();
            let message = format!("`{name}` has no `{key}`: use {}{}", list.join(", "), hint(key, keys));
            return Err(Error::invalid(message));
        };
        entry.1 = value.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| {
            Error::invalid(format!(
                "`{key}` of `{name}` is `{value}`: expected a number as in {key}={}",
                entry.1
            ))
        })?;
    }
    let get = |key: &str| values.iter().find(|entry| entry.0 == key).map_or(0.0, |entry| entry.1);
    let problem = (generator.make)(&get, seed)?;
    problem.check()?;
    Ok(problem)
}

/// A parameter that counts something.
fn whole(get: &dyn Fn(&str) -> f64, key: &str) -> Result<usize> {
    let value = get(key);
    if value.fract() == 0.0 && (0.0..=1e6).contains(&value) {
        return Ok(value as usize);
    }
    Err(Error::invalid(format!("`{key}` is {value}: expected a whole number up to a million")))
}

fn at_least(value: usize, least: usize, key: &str) -> Result<()> {
    if value >= least {
        Ok(())
    } else {
        Err(Error::invalid(format!("`{key}` is {value}: expected at least {least}")))
    }
}

fn numbers(name: &str, n: usize) -> Domain {
    Domain { name: name.into(), kind: name.into(), values: (0..n as i64).map(Value::Int).collect() }
}

fn problem(name: String, objective: Objective, domains: Vec<Domain>) -> Problem {
    let (variables, constraints) = (Vec::new(), Vec::new());
    Problem { name, description: String::new(), objective, domains, variables, constraints }
}

fn variable(name: String, domain: usize, costs: Vec<f64>) -> Variable {
    Variable { name, domain, initial: None, costs, noise_level: 0.0 }
}

/// Graph coloring on a random connected graph.
///
/// # Errors
/// [`Error::Invalid`] for sizes that make no sense.
pub fn coloring(n: usize, colors: usize, edges: usize, soft: bool, seed: u64) -> Result<Problem> {
    at_least(n, 1, "n")?;
    at_least(colors, 1, "colors")?;
    let most = n * (n - 1) / 2;
    let edges = if edges == 0 { (2 * n).min(most) } else { edges };
    let graph = Topology::random_connected(n, edges, seed)?;
    let mut problem =
        problem(format!("coloring of {n} nodes"), Objective::Min, vec![numbers("colors", colors)]);
    problem.variables = (0..n).map(|v| variable(format!("v{v}"), 0, Vec::new())).collect();
    let mut stream = Stream::new(seed, Purpose::Init, 1, 0);
    for a in 0..n {
        for &b in graph.neighbors(a).iter().filter(|&&b| b > a) {
            let cost = |i: usize| if i / colors == i % colors { 1000.0 } else { 0.0 };
            let table = 0..colors * colors;
            let table = if soft {
                table.map(|_| f64::from(stream.below(10))).collect()
            } else {
                table.map(cost).collect()
            };
            problem.constraints.push(Constraint { name: format!("c_{a}_{b}"), scope: vec![a, b], table });
        }
    }
    Ok(problem)
}

/// Spins 0 and 1 on a torus: a coupling k costs k where two neighbors agree and -k where they differ, a field r costs
/// r at 0 and -r at 1.
///
/// # Errors
/// [`Error::Invalid`] for sizes that make no sense.
pub fn ising(rows: usize, columns: usize, coupling: f64, field: f64, seed: u64) -> Result<Problem> {
    at_least(rows, 3, "rows")?;
    at_least(columns, 3, "columns")?;
    if rows.saturating_mul(columns) > 1_000_000 {
        return Err(Error::invalid("an Ising model of more than a million spins: use fewer rows or columns"));
    }
    let mut stream = Stream::new(seed, Purpose::Init, 2, 0);
    let mut even = |most: f64| (2.0 * stream.uniform_f64() - 1.0) * most;
    let mut problem =
        problem(format!("Ising model of {rows} x {columns}"), Objective::Min, vec![numbers("spins", 2)]);
    for i in 0..rows * columns {
        let r = even(field);
        problem.variables.push(variable(format!("v_{}_{}", i / columns, i % columns), 0, vec![r, -r]));
    }
    for i in 0..rows * columns {
        let (row, column) = (i / columns, i % columns);
        for other in [row * columns + (column + 1) % columns, (row + 1) % rows * columns + column] {
            let k = even(coupling);
            let name = format!("c_{i}_{other}");
            problem.constraints.push(Constraint { name, scope: vec![i, other], table: vec![k, -k, -k, k] });
        }
    }
    Ok(problem)
}

/// A time for each meeting: meetings that share somebody must not be at the same time (cost 100 for each such
/// person), and people have preferences (0 to 9 for each time).
///
/// # Errors
/// [`Error::Invalid`] for sizes that make no sense.
pub fn meetings(meetings: usize, people: usize, slots: usize, seed: u64) -> Result<Problem> {
    at_least(meetings, 2, "meetings")?;
    at_least(slots, 1, "slots")?;
    let mut stream = Stream::new(seed, Purpose::Init, 3, 0);
    let mut costs = vec![vec![0.0; slots]; meetings];
    let mut shared = std::collections::BTreeMap::<(usize, usize), f64>::new();
    for _ in 0..people {
        let a = stream.below(meetings as u32) as usize;
        let b = (a + 1 + stream.below(meetings as u32 - 1) as usize) % meetings;
        *shared.entry((a.min(b), a.max(b))).or_default() += 100.0;
        let dislikes: Vec<f64> = (0..slots).map(|_| f64::from(stream.below(10))).collect();
        for meeting in [a, b] {
            costs[meeting].iter_mut().zip(&dislikes).for_each(|(cost, dislike)| *cost += dislike);
        }
    }
    let name = format!("{meetings} meetings of {people} people");
    let mut problem = problem(name, Objective::Min, vec![numbers("slots", slots)]);
    problem.variables =
        costs.into_iter().enumerate().map(|(m, costs)| variable(format!("meeting{m}"), 0, costs)).collect();
    for ((a, b), clash) in shared {
        let table = (0..slots * slots).map(|i| if i / slots == i % slots { clash } else { 0.0 }).collect();
        problem.constraints.push(Constraint { name: format!("people_{a}_{b}"), scope: vec![a, b], table });
    }
    Ok(problem)
}

/// Sensors on a grid; each target lies between four of them and is worth its weight (1 to 10) if two or more look
/// at it. A sensor looks at one of the targets beside it, or at none.
///
/// # Errors
/// [`Error::Invalid`] for sizes that make no sense.
pub fn sensors(rows: usize, columns: usize, targets: usize, seed: u64) -> Result<Problem> {
    at_least(rows, 2, "rows")?;
    at_least(columns, 2, "columns")?;
    let n_cells = (rows - 1).saturating_mul(columns - 1);
    if targets > n_cells || n_cells > 1_000_000 {
        return Err(Error::invalid(format!(
            "{targets} targets for {n_cells} places between sensors: use fewer"
        )));
    }
    let mut stream = Stream::new(seed, Purpose::Init, 4, 0);
    let mut cells: Vec<usize> = (0..n_cells).collect();
    for i in 0..targets {
        let other = i + stream.below((n_cells - i) as u32) as usize;
        cells.swap(i, other);
    }
    cells.truncate(targets);
    let corners = |cell: usize| {
        let first = cell / (columns - 1) * columns + cell % (columns - 1);
        [first, first + 1, first + columns, first + columns + 1]
    };
    let mut problem =
        problem(format!("{targets} targets, {rows} x {columns} sensors"), Objective::Max, Vec::new());
    for sensor in 0..rows * columns {
        let sees = |target: &usize| corners(cells[*target]).contains(&sensor);
        let mut values = vec![Value::text("none")];
        values.extend((0..targets).filter(sees).map(|target| Value::text(&format!("t{target}"))));
        problem.domains.push(Domain { name: format!("targets{sensor}"), kind: "target".into(), values });
        problem.variables.push(variable(format!("s{sensor}"), sensor, Vec::new()));
    }
    for (target, &cell) in cells.iter().enumerate() {
        let weight = f64::from(1 + stream.below(10));
        let scope = corners(cell).to_vec();
        let name = Value::text(&format!("t{target}"));
        let sizes: Vec<usize> = scope.iter().map(|&s| problem.n_values(s)).collect();
        let mut table = Vec::new();
        for place in 0..sizes.iter().product::<usize>() {
            let mut rest = place;
            let mut n_looking = 0;
            for (&sensor, &size) in scope.iter().zip(&sizes).rev() {
                n_looking += usize::from(problem.value(sensor, rest % size).equals(&name));
                rest /= size;
            }
            table.push(if n_looking >= 2 { weight } else { 0.0 });
        }
        problem.constraints.push(Constraint { name: format!("target{target}"), scope, table });
    }
    Ok(problem)
}
