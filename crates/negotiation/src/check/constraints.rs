//! Constraint problems: the cost of the assignment from the rules as they are written, and by the method's claim that no
//! single change helps, or that nothing is better at all (by eliminating variables, where tables stay small).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Claim, claim, near, number, text};
use crate::dcop::{self, File, Objective};
use crate::{Error, Result};

/// Entries of one table while variables are eliminated.
const MAX_ENTRIES: usize = 1 << 22;

/// Violations first, then cost, in the direction that is to be kept down.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum {
    violations: u32,
    cost: f64,
}

impl Sum {
    const ZERO: Self = Self { violations: 0, cost: 0.0 };

    fn of(cost: f64, sign: f64) -> Self {
        if cost.is_infinite() {
            Self { violations: 1, cost: 0.0 }
        } else {
            Self { violations: 0, cost: sign * cost }
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { violations: self.violations + other.violations, cost: self.cost + other.cost }
    }

    fn is_less(self, other: Self) -> bool {
        (self.violations, self.cost) < (other.violations, other.cost)
    }
}

pub(super) fn check(method: &str, problem: &Value, answer: &Value) -> Result<Vec<Claim>> {
    let file = File::parse(text(problem, "text")?)?;
    let infinity = problem["infinity"].as_f64().unwrap_or(f64::INFINITY);
    let values = assignment(&file, &answer["assignment"])?;
    let costs = all_costs(&file, &values)?;
    let is_violation = |cost: &&f64| cost.is_infinite() || cost.abs() == infinity.abs();
    let violation = costs.iter().filter(is_violation).count();
    let cost: f64 = costs.iter().filter(|cost| !is_violation(cost)).sum();
    let claimed = number(answer, "cost")?;
    let mut claims = vec![
        claim("cost", near(claimed, cost), format!("{cost} computed, {claimed} claimed")),
        claim(
            "violation",
            answer["violation"].as_u64() == Some(violation as u64),
            format!("{violation} counted, {} claimed", answer["violation"]),
        ),
    ];
    if answer["status"] == "FINISHED" {
        let sign = if file.objective == Objective::Min { 1.0 } else { -1.0 };
        let own = costs.iter().fold(Sum::ZERO, |sum, &cost| sum.plus(Sum::of(cost, sign)));
        match dcop::Method::parse(method) {
            Ok(dcop::Method::Mgm | dcop::Method::Mgm2) => claims.push(alone(&file, &values, sign)?),
            Ok(method) if method.is_exact() => claims.push(optimal(&file, own, sign)?),
            _ => {}
        }
    }
    Ok(claims)
}

/// Value indices from names and JSON values.
fn assignment(file: &File, answer: &Value) -> Result<Vec<usize>> {
    let index = |variable: &dcop::VariableEntry| {
        let wanted = &answer[&variable.name];
        let known = &file.domains[variable.domain].values;
        let place =
            known.iter().position(|value| serde_json::to_value(value).is_ok_and(|value| value == *wanted));
        place.ok_or_else(|| {
            Error::invalid(format!(
                "variable `{}` has {wanted}: expected a value of its domain",
                variable.name
            ))
        })
    };
    file.variables.iter().map(index).collect()
}

/// The cost of every rule and variable.
fn all_costs(file: &File, values: &[usize]) -> Result<Vec<f64>> {
    let rules = file.rules.iter().map(|rule| {
        let places: Vec<usize> = rule.scope.iter().map(|&v| values[v]).collect();
        file.rule_cost(rule, &places)
    });
    let own = file.variables.iter().zip(values).filter_map(|(variable, &value)| {
        let value = &file.domains[variable.domain].values[value];
        Some(variable.cost.as_ref()?.cost(&[value]))
    });
    rules.chain(own).collect()
}

/// Whether no variable alone can lower the cost.
fn alone(file: &File, values: &[usize], sign: f64) -> Result<Claim> {
    let sum = |values: &[usize]| -> Result<Sum> {
        Ok(all_costs(file, values)?.into_iter().fold(Sum::ZERO, |sum, cost| sum.plus(Sum::of(cost, sign))))
    };
    let own = sum(values)?;
    let slack = 1e-9 * own.cost.abs().max(1.0);
    for (v, variable) in file.variables.iter().enumerate() {
        for value in 0..file.domains[variable.domain].values.len() {
            let mut other = values.to_vec();
            other[v] = value;
            let found = sum(&other)?;
            if found.is_less(Sum { cost: own.cost - slack, ..own }) {
                let value = &file.domains[variable.domain].values[value];
                let detail = format!("{} = {value} costs {} less", variable.name, own.cost - found.cost);
                return Ok(claim("nobody can gain alone", false, detail));
            }
        }
    }
    Ok(claim("nobody can gain alone", true, format!("{} variables tried", values.len())))
}

/// A table over some variables, the last changing fastest.
struct Table {
    scope: Vec<usize>,
    sums: Vec<Sum>,
}

/// Whether nothing is better: variables are eliminated one by one, those with the fewest neighbors first.
fn optimal(file: &File, own: Sum, sign: f64) -> Result<Claim> {
    let sizes: Vec<usize> = file.variables.iter().map(|v| file.domains[v.domain].values.len()).collect();
    let too_large =
        || Ok(Claim { claim: "optimal".into(), holds: None, detail: "tables too large to check".into() });
    let mut tables = Vec::new();
    for rule in &file.rules {
        let n = rule.scope.iter().fold(1_usize, |n, &v| n.saturating_mul(sizes[v]));
        if n > MAX_ENTRIES {
            return too_large();
        }
        let cost = |place: usize| file.rule_cost(rule, &places(place, &rule.scope, &sizes));
        let sums = (0..n).map(|place| Ok(Sum::of(cost(place)?, sign))).collect::<Result<_>>()?;
        tables.push(Table { scope: rule.scope.clone(), sums });
    }
    for (v, variable) in file.variables.iter().enumerate() {
        if let Some(formula) = &variable.cost {
            let values = file.domains[variable.domain].values.iter();
            let sums =
                values.map(|value| Ok(Sum::of(formula.cost(&[value])?, sign))).collect::<Result<_>>()?;
            tables.push(Table { scope: vec![v], sums });
        }
    }
    let mut left: BTreeSet<usize> = (0..sizes.len()).collect();
    while !left.is_empty() {
        let joint = |v: usize| -> BTreeSet<usize> {
            tables.iter().filter(|t| t.scope.contains(&v)).flat_map(|t| t.scope.iter().copied()).collect()
        };
        let Some(v) = left.iter().copied().min_by_key(|&v| joint(v).len()) else { break };
        left.remove(&v);
        let mut scope = joint(v);
        scope.remove(&v);
        let scope: Vec<usize> = scope.into_iter().collect();
        let n = scope.iter().fold(1_usize, |n, &w| n.saturating_mul(sizes[w]));
        if n.saturating_mul(sizes[v]) > MAX_ENTRIES {
            return too_large();
        }
        let (with, without): (Vec<Table>, Vec<Table>) =
            tables.into_iter().partition(|t| t.scope.contains(&v));
        let mut sums = Vec::with_capacity(n);
        for place in 0..n {
            let mut known: BTreeMap<usize, usize> =
                scope.iter().copied().zip(places(place, &scope, &sizes)).collect();
            let mut best: Option<Sum> = None;
            for value in 0..sizes[v] {
                known.insert(v, value);
                let entry = |t: &Table| t.sums[t.scope.iter().fold(0, |at, w| at * sizes[*w] + known[w])];
                let sum = with.iter().fold(Sum::ZERO, |sum, t| sum.plus(entry(t)));
                if best.is_none_or(|best| sum.is_less(best)) {
                    best = Some(sum);
                }
            }
            sums.push(best.unwrap_or(Sum::ZERO));
        }
        tables = without;
        tables.push(Table { scope, sums });
    }
    let best = tables.iter().flat_map(|t| &t.sums).fold(Sum::ZERO, |sum, &part| sum.plus(part));
    let holds = best.violations == own.violations && near(best.cost, own.cost);
    Ok(claim("optimal", holds, format!("optimum {} with {} violations", sign * best.cost, best.violations)))
}

/// Value indices at a place of a table.
fn places(mut place: usize, scope: &[usize], sizes: &[usize]) -> Vec<usize> {
    let mut values: Vec<usize> = scope
        .iter()
        .rev()
        .map(|&v| {
            let value = place % sizes[v];
            place /= sizes[v];
            value
        })
        .collect();
    values.reverse();
    values
}
