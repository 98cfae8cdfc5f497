//! Matrices of costs and teams as CSV. Fields may stand in double quotes; lines that begin with `#` are skipped.

use super::{Member, Place, Problem, at, expected, join};
use crate::Result;
use crate::matrix::{CostMatrix, FORBIDDEN, MAX_COST, Objective};
use crate::team::{Goal, Robot, Task, Team};

/// Columns of a team that may be given, in any order after `kind`.
const COLUMNS: [&str; 12] = [
    "kind", "name", "x", "y", "speed", "capacity", "skills", "duration", "earliest", "latest", "after",
    "reward",
];

/// A field and where it begins.
struct Field {
    place: Place,
    text: String,
}

pub(super) fn read(text: &str) -> Result<Problem> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() && !line.starts_with('#') {
            rows.push(split(line, index + 1)?);
        }
    }
    match rows.first() {
        None => expected(Place { line: 1, column: 1 }, "an empty file", "a matrix of costs or a team"),
        Some(first) if first[0].text.eq_ignore_ascii_case("kind") => team(&rows),
        Some(_) => matrix(&rows),
    }
}

/// Fields of a line; `""` within quotes is a quote.
fn split(line: &str, number: usize) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    let mut chars = line.chars().peekable();
    let mut column = 1;
    loop {
        while chars.next_if(|c| *c == ' ' || *c == '\t').is_some() {
            column += 1;
        }
        let place = Place { line: number, column };
        let mut text = String::new();
        if chars.next_if_eq(&'"').is_some() {
            column += 1;
            loop {
                column += 1;
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => {
                        column += 1;
                        text.push('"');
                    }
                    Some('"') => break,
                    Some(c) => text.push(c),
                    None => {
                        return expected(place, "a quote without its end", "`\"` at the end of the field");
                    }
                }
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {
                column += 1;
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                column += 1;
                text.push(c);
            }
            text.truncate(text.trim_end().len());
        }
        fields.push(Field { place, text });
        match chars.next() {
            None => return Ok(fields),
            Some(',') => column += 1,
            Some(c) => return expected(Place { line: number, column }, format!("`{c}`"), "a comma"),
        }
    }
}

/// A number, or `None` for what is not one; infinite is only what says so.
fn number(text: &str) -> Option<f64> {
    let x: f64 = text.parse().ok()?;
    let is_too_large = x.is_infinite() && text.contains(|c: char| c.is_ascii_digit());
    (!x.is_nan() && !is_too_large).then_some(x)
}

/// A cost, or `None` for what is not one.
fn cost(text: &str) -> Option<f64> {
    if text.is_empty() || text == "-" {
        return Some(FORBIDDEN);
    }
    number(text).filter(|x| *x == FORBIDDEN || x.abs() <= MAX_COST)
}

fn matrix(rows: &[Vec<Field>]) -> Result<Problem> {
    // A first line of names, and a first column of names, are skipped.
    let is_name = |field: &Field| cost(&field.text).is_none() && field.text.parse::<f64>().is_err();
    let has_header = rows[0].len() > 1 && rows[0].iter().skip(1).all(is_name);
    let body = &rows[usize::from(has_header)..];
    let has_names = body.iter().all(|row| row.len() > 1 && is_name(&row[0])) && !body.is_empty();
    let first = usize::from(has_names);
    let width = body.first().map_or(0, Vec::len);
    let mut costs = Vec::new();
    for row in body {
        if row.len() != width {
            let place = row.get(width).map_or(row[row.len() - 1].place, |field| field.place);
            return expected(
                place,
                format!("{} fields", row.len()),
                format!("{width}, as in the lines before"),
            );
        }
        for field in &row[first..] {
            match cost(&field.text) {
                Some(x) => costs.push(x),
                None => {
                    let wanted = "a cost within 1e100 of 0, or inf for a pair that is forbidden";
                    return expected(field.place, format!("`{}`", field.text), wanted);
                }
            }
        }
    }
    let costs = at(rows[0][0].place, CostMatrix::new(body.len(), width - first.min(width), costs))?;
    Ok(Problem::Costs { costs, objective: Objective::Minimize })
}

/// A line of a team with its columns by name.
struct Line<'a> {
    columns: &'a [usize],
    fields: &'a [Field],
}

impl<'a> Line<'a> {
    /// A field that is there and not empty.
    fn get(&self, column: &str) -> Option<&'a Field> {
        let at = COLUMNS.iter().position(|c| *c == column)?;
        let place = self.columns.iter().position(|&c| c == at)?;
        self.fields.get(place).filter(|field| !field.text.is_empty())
    }

    fn number(&self, column: &str, default: Option<f64>) -> Result<f64> {
        let Some(field) = self.get(column) else {
            return match default {
                Some(x) => Ok(x),
                None => expected(
                    self.fields[0].place,
                    "a line without it",
                    format!("a number in column `{column}`"),
                ),
            };
        };
        match number(&field.text) {
            Some(x) => Ok(x),
            None => expected(field.place, format!("`{}`", field.text), format!("a number for `{column}`")),
        }
    }

    /// Where the member's name stands, or its line begins.
    fn place(&self) -> Place {
        self.get("name").unwrap_or(&self.fields[0]).place
    }

    fn names(&self, column: &str) -> Vec<(Place, String)> {
        let Some(field) = self.get(column) else { return Vec::new() };
        let parts = field.text.split('|').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| (field.place, part.to_string())).collect()
    }
}

fn team(rows: &[Vec<Field>]) -> Result<Problem> {
    let mut columns = Vec::new();
    for field in &rows[0] {
        match COLUMNS.iter().position(|c| field.text.eq_ignore_ascii_case(c)) {
            Some(at) if columns.contains(&at) => {
                return expected(field.place, format!("`{}` again", field.text), "each column once");
            }
            Some(at) => columns.push(at),
            None => {
                return expected(
                    field.place,
                    format!("`{}`", field.text),
                    format!("one of: {}", COLUMNS.join(", ")),
                );
            }
        }
    }
    let (mut robots, mut tasks, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for fields in &rows[1..] {
        if let Some(extra) = fields.get(columns.len()) {
            return expected(extra.place, "one more field", format!("{} fields", columns.len()));
        }
        let line = Line { columns: &columns, fields };
        match fields[0].text.to_ascii_lowercase().as_str() {
            "robot" => robots.push(Member { place: line.place(), item: robot(&line, robots.len())? }),
            "task" => {
                tasks.push(Member { place: line.place(), item: task(&line, tasks.len())? });
                waits.push(line.names("after"));
            }
            other => return expected(fields[0].place, format!("`{other}`"), "`robot` or `task`"),
        }
    }
    for (task, names) in waits.into_iter().enumerate() {
        for (place, name) in names {
            match tasks.iter().position(|t| t.item.name == name) {
                Some(before) => tasks[task].item.after.push(before),
                None => return expected(place, format!("`{name}`"), "the name of a task"),
            }
        }
    }
    join(robots, tasks, Goal::Travel, rows[0][0].place)
}

/// A robot of a line; each value is checked where it stands.
fn robot(line: &Line<'_>, index: usize) -> Result<Robot> {
    let name = line.get("name").map_or_else(|| format!("robot{index}"), |field| field.text.clone());
    let position = [line.number("x", None)?, line.number("y", None)?];
    let capacity = match line.get("capacity") {
        None => usize::MAX,
        Some(field) => match field.text.parse::<usize>() {
            Ok(capacity) => capacity,
            Err(_) => return expected(field.place, format!("`{}`", field.text), "a number of tasks"),
        },
    };
    let skills = line.names("skills").into_iter().map(|(_, skill)| skill).collect();
    let robot = Robot { name, position, speed: line.number("speed", Some(1.0))?, capacity, skills };
    let alone = Team::new(vec![robot.clone()], Vec::new(), Goal::Travel);
    at(line.fields[0].place, alone).map(|_| robot)
}

fn task(line: &Line<'_>, index: usize) -> Result<Task> {
    let name = line.get("name").map_or_else(|| format!("task{index}"), |field| field.text.clone());
    let task = Task {
        name,
        position: [line.number("x", None)?, line.number("y", None)?],
        duration: line.number("duration", Some(0.0))?,
        earliest: line.number("earliest", Some(0.0))?,
        latest: line.number("latest", Some(f64::INFINITY))?,
        skills: line.names("skills").into_iter().map(|(_, skill)| skill).collect(),
        after: Vec::new(),
        reward: line.number("reward", Some(1.0))?,
    };
    let alone = Team::new(Vec::new(), vec![task.clone()], Goal::Travel);
    at(line.fields[0].place, alone).map(|_| task)
}
