//! A problem as tables. Not here: how files look ([`File`](super::File)), how methods see it (the model).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::value::Value;
use crate::{Error, Result};

/// Whether costs are kept down or gains driven up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// Least cost.
    Min,
    /// Greatest gain.
    Max,
}

impl Objective {
    /// `min` or `max`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// The value that no assignment should ever take.
    pub(crate) fn worst(self) -> f64 {
        match self {
            Self::Min => f64::INFINITY,
            Self::Max => f64::NEG_INFINITY,
        }
    }
}

/// Values that a variable can take.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// What its values stand for; means nothing to solvers.
    pub kind: String,
    /// The values, at least one, all different.
    pub values: Vec<Value>,
}

/// A variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Index of its domain.
    pub domain: usize,
    /// Index of the value to begin with.
    pub initial: Option<usize>,
    /// The cost of each value, or empty.
    pub costs: Vec<f64>,
    /// Greatest random addition to its costs while solving.
    pub noise_level: f64,
}

/// A cost that depends on some variables.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// The variables, all different.
    pub scope: Vec<usize>,
    /// A cost for each combination of values, the last variable of the scope changing fastest.
    pub table: Vec<f64>,
}

/// What an assignment costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The sum of all costs that are not violations.
    pub cost: f64,
    /// Constraints and variables whose cost is infinite, or the number that stands for infinity.
    pub violation: usize,
}

/// A problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Min or max.
    pub objective: Objective,
    /// Domains.
    pub domains: Vec<Domain>,
    /// Variables, each with an agent of its own.
    pub variables: Vec<Variable>,
    /// Constraints.
    pub constraints: Vec<Constraint>,
}

/// Entries of one table, and of all together: 128 MiB and 512 MiB.
pub(crate) const MAX_TABLE: u64 = 1 << 24;
pub(crate) const MAX_TABLES: u64 = 1 << 26;

impl Problem {
    /// How many values a variable has.
    ///
    /// # Panics
    /// If there is no such variable.
    pub fn n_values(&self, variable: usize) -> usize {
        self.domains[self.variables[variable].domain].values.len()
    }

    /// The value of a variable by its index.
    ///
    /// # Panics
    /// If there is no such variable or value.
    pub fn value(&self, variable: usize, index: usize) -> &Value {
        &self.domains[self.variables[variable].domain].values[index]
    }

    /// Costs of an assignment of value indices. Constraints that cost `infinity` count as violations.
    ///
    /// # Panics
    /// If the assignment does not fit the problem.
    pub fn cost(&self, assignment: &[usize], infinity: f64) -> Cost {
        assert_eq!(assignment.len(), self.variables.len(), "one value index for each variable");
        let mut total = Cost { cost: 0.0, violation: 0 };
        let constraints = self.constraints.iter().map(|constraint| {
            let place = constraint
                .scope
                .iter()
                .fold(0, |place, &variable| place * self.n_values(variable) + assignment[variable]);
            constraint.table[place]
        });
        let own = self.variables.iter().zip(assignment).filter_map(|(v, &value)| v.costs.get(value).copied());
        for cost in constraints.chain(own) {
            if cost.is_infinite() || cost.abs() == infinity.abs() {
                total.violation += 1;
            } else {
                total.cost += cost;
            }
        }
        total
    }

    /// Checks what file readers and generators must keep: scopes and sizes that fit, costs that can be summed.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names what does not fit.
    pub fn check(&self) -> Result<()> {
        for domain in &self.domains {
            if domain.values.is_empty() {
                return Err(Error::invalid(format!(
                    "domain `{}` has no values: give it at least one",
                    domain.name
                )));
            }
        }
        for variable in &self.variables {
            let fits = variable.domain < self.domains.len() && {
                let n = self.domains[variable.domain].values.len();
                (variable.costs.is_empty() || variable.costs.len() == n)
                    && variable.initial.is_none_or(|i| i < n)
            };
            if !fits {
                return Err(Error::invalid(format!("variable `{}` does not fit its domain", variable.name)));
            }
        }
        for constraint in &self.constraints {
            let inside = constraint.scope.iter().all(|&v| v < self.variables.len());
            let size = inside.then(|| constraint.scope.iter().map(|&v| self.n_values(v)).product::<usize>());
            let mut scope = constraint.scope.clone();
            scope.sort_unstable();
            if size != Some(constraint.table.len()) || scope.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(Error::invalid(format!(
                    "constraint `{}` does not fit its variables",
                    constraint.name
                )));
            }
        }
        let own = self.variables.iter().map(|v| (&v.name, &v.costs));
        for (name, costs) in self.constraints.iter().map(|c| (&c.name, &c.table)).chain(own) {
            if costs.iter().any(|cost| cost.is_nan() || *cost == -self.objective.worst()) {
                let best = -self.objective.worst();
                let message = format!(
                    "`{name}` has a cost of {best} under `{}`: use finite costs",
                    self.objective.name()
                );
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }

    /// Value indices from values by name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a variable without a value, or with one that its domain lacks.
    pub fn assignment(&self, values: &BTreeMap<String, Value>) -> Result<Vec<usize>> {
        let index = |variable: &Variable| {
            let name = &variable.name;
            let value =
                values.get(name).ok_or_else(|| Error::invalid(format!("variable `{name}` has no value")))?;
            let known = &self.domains[variable.domain].values;
            let place = known.iter().position(|v| v.equals(value) && v.kind() == value.kind());
            let place = place.or_else(|| known.iter().position(|v| v.equals(value)));
            place
                .ok_or_else(|| Error::invalid(format!("`{value}` is not in the domain of variable `{name}`")))
        };
        self.variables.iter().map(index).collect()
    }

    /// The problem as a file of pyDCOP's YAML, with every constraint as a table.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "name: {}", quoted(&self.name));
        if !self.description.is_empty() {
            let _ = writeln!(out, "description: {}", quoted(&self.description));
        }
        let _ = writeln!(out, "objective: {}\n\ndomains:", self.objective.name());
        for domain in &self.domains {
            let values: Vec<String> = domain.values.iter().map(yaml_value).collect();
            let _ = writeln!(out, "  {}:\n    values: [{}]", quoted(&domain.name), values.join(", "));
            if !domain.kind.is_empty() {
                let _ = writeln!(out, "    type: {}", quoted(&domain.kind));
            }
        }
        out.push_str("\nvariables:\n");
        for (v, variable) in self.variables.iter().enumerate() {
            let _ = writeln!(
                out,
                "  {}:\n    domain: {}",
                quoted(&variable.name),
                quoted(&self.domains[variable.domain].name)
            );
            if let Some(initial) = variable.initial {
                let _ = writeln!(out, "    initial_value: {}", yaml_value(self.value(v, initial)));
            }
        }
        out.push_str("\nconstraints:\n");
        for (v, variable) in self.variables.iter().enumerate().filter(|(_, v)| !v.costs.is_empty()) {
            self.yaml_table(&mut out, &format!("cost_of_{}", variable.name), &[v], &variable.costs);
        }
        for constraint in &self.constraints {
            self.yaml_table(&mut out, &constraint.name, &constraint.scope, &constraint.table);
        }
        if self.constraints.is_empty() && self.variables.iter().all(|v| v.costs.is_empty()) {
            out.push_str("  {}\n");
        }
        out.push_str("\nagents:\n");
        for variable in &self.variables {
            let _ = writeln!(out, "  {}: {{}}", quoted(&format!("agent_of_{}", variable.name)));
        }
        out
    }

    fn yaml_table(&self, out: &mut String, name: &str, scope: &[usize], table: &[f64]) {
        let names: Vec<String> = scope.iter().map(|&v| quoted(&self.variables[v].name)).collect();
        let _ = writeln!(
            out,
            "  {}:\n    type: extensional\n    variables: [{}]",
            quoted(name),
            names.join(", ")
        );
        // Equal costs share a line; they are found by their bits.
        let mut lines: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (place, cost) in table.iter().enumerate() {
            lines.entry((cost + 0.0).to_bits()).or_default().push(place);
        }
        let common = lines.iter().max_by_key(|(_, places)| places.len()).map(|(&bits, _)| bits);
        if let Some(bits) = common {
            let _ = writeln!(out, "    default: {}", yaml_number(f64::from_bits(bits)));
            lines.remove(&bits);
        }
        out.push_str(if lines.is_empty() { "    values: {}\n" } else { "    values:\n" });
        for (bits, places) in lines {
            let combinations: Vec<String> =
                places.iter().map(|&place| self.combination(scope, place)).collect();
            let _ = writeln!(
                out,
                "      {}: {}",
                yaml_number(f64::from_bits(bits)),
                quoted(&combinations.join(" | "))
            );
        }
    }

    /// The values at one place of a table, as the file format writes them.
    fn combination(&self, scope: &[usize], mut place: usize) -> String {
        let mut values: Vec<String> = Vec::with_capacity(scope.len());
        for &variable in scope.iter().rev() {
            let n = self.n_values(variable);
            let text = self.value(variable, place % n).to_string();
            let plain = !text.is_empty()
                && !text.contains(|c: char| c.is_whitespace() || matches!(c, '|' | '\'' | '"'));
            values.push(if plain { text } else { format!("'{text}'") });
            place /= n;
        }
        values.reverse();
        values.join(" ")
    }
}

fn yaml_number(value: f64) -> String {
    match value {
        f64::INFINITY => ".inf".into(),
        f64::NEG_INFINITY => "-.inf".into(),
        _ => value.to_string(),
    }
}

fn yaml_value(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Float(number) if !number.is_finite() => yaml_number(*number),
        Value::None => "null".into(),
        other => other.to_string(),
    }
}

/// A text as YAML reads it back: bare where that is safe, otherwise in double quotes, escaped as in JSON.
fn quoted(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_text = matches!(crate::yaml::resolve(text), crate::yaml::Scalar::Text(_));
    if is_text && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(safe) {
        return text.to_owned();
    }
    serde_json::to_string(text).unwrap_or_default()
}
