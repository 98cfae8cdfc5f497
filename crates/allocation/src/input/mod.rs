//! Problems as files: matrices of costs and teams as CSV, every kind of problem as JSON. Every error says in which
//! line and column what was found and what was expected.
//!
//! CSV is a matrix of costs, rows of numbers separated by commas (`inf`, `-` or nothing forbids a pair; a first
//! line and a first column of names are allowed), or a team: a first line of column names that begins with `kind`,
//! then a robot or a task a line. JSON is a list of rows, or an object that holds one of:
//!
//! - `costs` (null forbids), with `objective` (`min` or `max`); with `loads` and `capacities` as well it is a generalized
//!   assignment;
//! - `entries` ([row, column, cost]), `n_rows`, `n_cols`, with `objective`;
//! - `scores` and `capacity` (a number, or one an agent);
//! - `robots` and `tasks`, with `goal` (`travel`, `makespan`, `reward`) and `discount`;
//! - `players` (names) and `values` (names of players separated by blanks, and what they are worth together).

mod csv;
mod json;
mod object;

use std::collections::BTreeSet;

use crate::bids::ScoreTable;
use crate::coalition::CoalitionGame;
use crate::matrix::{CostMatrix, Objective, SparseCosts};
use crate::taxonomy::{Class, Dependency};
use crate::team::{Goal, Robot, Task, Team, order_of_precedence};
use crate::{Error, Result};

/// Longest text that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 30;

/// A problem of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// Rows get columns.
    Costs {
        /// What each pair costs.
        costs: CostMatrix,
        /// Whether the total is to be small or large.
        objective: Objective,
    },
    /// Rows get columns; few pairs are allowed.
    Sparse {
        /// What the allowed pairs cost.
        costs: SparseCosts,
        /// Whether the total is to be small or large.
        objective: Objective,
    },
    /// Agents get as many tasks as they can take, for scores that add up.
    Scores(ScoreTable),
    /// Robots get tasks in space and time.
    Team(Team),
    /// Tasks share the capacity of their agent.
    Generalized {
        /// What each pair costs, `[agent][task]`.
        costs: CostMatrix,
        /// What each task takes of its agent's capacity, `[agent][task]`.
        loads: CostMatrix,
        /// One an agent.
        capacities: Vec<f64>,
    },
    /// What coalitions are worth.
    Coalition {
        /// The game.
        game: CoalitionGame,
        /// Names of the players.
        players: Vec<String>,
    },
}

impl Problem {
    /// The class of the problem.
    pub fn class(&self) -> Class {
        match self {
            Self::Costs { .. } | Self::Sparse { .. } => Class::ASSIGNMENT,
            Self::Scores(_) => Class { dependency: Dependency::InSchedule, ..Class::ASSIGNMENT },
            Self::Team(team) => team.class(),
            Self::Generalized { .. } => Class::GENERALIZED_ASSIGNMENT,
            Self::Coalition { .. } => Class::COALITIONS,
        }
    }

    /// What kind of problem it is, in a word or two.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Costs { .. } => "a matrix of costs",
            Self::Sparse { .. } => "a sparse matrix of costs",
            Self::Scores(_) => "a table of scores",
            Self::Team(_) => "a team",
            Self::Generalized { .. } => "a generalized assignment",
            Self::Coalition { .. } => "a coalition game",
        }
    }
}

/// What a user may want otherwise than the file says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// `travel`, `makespan` or `reward`, of a team.
    pub goal: Option<String>,
    /// Factor per time for rewards of a team, which then is the goal unless another is given.
    pub discount: Option<f64>,
    /// `min` or `max`, of a matrix of costs.
    pub objective: Option<String>,
}

impl Changes {
    /// The problem with these changes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a change that makes no sense for the problem, or an unknown word.
    pub fn apply(&self, mut problem: Problem) -> Result<Problem> {
        if let Some(word) = &self.objective {
            let (Problem::Costs { objective, .. } | Problem::Sparse { objective, .. }) = &mut problem else {
                return Err(Error::invalid(
                    "only matrices of costs have an objective; leave --objective out",
                ));
            };
            *objective = match word.as_str() {
                "min" => Objective::Minimize,
                "max" => Objective::Maximize,
                _ => return Err(Error::invalid(format!("no objective `{word}`; one of: min, max"))),
            };
        }
        if self.goal.is_none() && self.discount.is_none() {
            return Ok(problem);
        }
        let Problem::Team(team) = problem else {
            return Err(Error::invalid("only teams have a goal; leave --goal and --discount out"));
        };
        let discount = self.discount.unwrap_or(match team.goal() {
            Goal::Reward { discount } => discount,
            Goal::Travel | Goal::Makespan => 1.0,
        });
        let goal = match self.goal.as_deref() {
            Some("travel") => Goal::Travel,
            Some("makespan") => Goal::Makespan,
            Some("reward") | None => Goal::Reward { discount },
            Some(word) => {
                let text = format!("no goal `{word}`; one of: travel, makespan, reward");
                return Err(Error::invalid(text));
            }
        };
        Ok(Problem::Team(Team::new(team.robots().to_vec(), team.tasks().to_vec(), goal)?))
    }
}

/// Reads a problem; a text that begins with `{` or `[` is JSON, any other CSV.
///
/// # Errors
/// [`Error::Parse`] with line and column.
pub fn read_problem(text: &str) -> Result<Problem> {
    if text.len() > MAX_BYTES {
        return Err(Error::invalid(format!("the file has {} bytes, more than {MAX_BYTES}", text.len())));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().chars().next() {
        Some('{' | '[') => object::read(&json::parse(text)?),
        _ => csv::read(text),
    }
}

/// Where something stands in a file, counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

/// The error that something else was expected there.
fn expected<T>(place: Place, found: impl Into<String>, wanted: impl Into<String>) -> Result<T> {
    let found: String = found.into();
    // One line, whatever stands in the file.
    let mut found: String = found.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if found.chars().count() > 40 {
        found = found.chars().take(40).chain("...".chars()).collect();
    }
    Err(Error::Parse {
        line: place.line,
        column: place.column,
        found,
        expected: wanted.into().replace('\n', " "),
    })
}

/// An error of a constructor, placed in the file.
fn at<T>(place: Place, made: Result<T>) -> Result<T> {
    made.or_else(|error| expected(place, "a problem that does not fit together", error.to_string()))
}

/// A robot or a task, and where the file names it.
struct Member<T> {
    place: Place,
    item: T,
}

/// A team of members whose names are their own and whose tasks do not wait for themselves.
fn join(robots: Vec<Member<Robot>>, tasks: Vec<Member<Task>>, goal: Goal, whole: Place) -> Result<Problem> {
    let named = |what, again: Option<(Place, &String)>| match again {
        Some((place, name)) => {
            expected(place, format!("`{name}` again"), format!("a name that no other {what} has"))
        }
        None => Ok(()),
    };
    named("robot", repeated(robots.iter().map(|m| (m.place, &m.item.name))))?;
    named("task", repeated(tasks.iter().map(|m| (m.place, &m.item.name))))?;
    let places: Vec<Place> = tasks.iter().map(|m| m.place).collect();
    let tasks: Vec<Task> = tasks.into_iter().map(|m| m.item).collect();
    if let Err(task) = order_of_precedence(&tasks) {
        let found = format!("task `{}` after itself", tasks[task].name);
        return expected(places[task], found, "tasks that do not wait for each other in a circle");
    }
    let robots = robots.into_iter().map(|m| m.item).collect();
    Ok(Problem::Team(at(whole, Team::new(robots, tasks, goal))?))
}

/// The first name that was there before, and where.
fn repeated<'a>(mut names: impl Iterator<Item = (Place, &'a String)>) -> Option<(Place, &'a String)> {
    let mut known = BTreeSet::new();
    names.find(|(_, name)| !known.insert(*name))
}
