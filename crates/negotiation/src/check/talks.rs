//! Bargaining: utilities of the agreement from the profiles, efficiency and individual rationality over all outcomes, the
//! score of a solution point, and the order of offers.

use serde_json::Value;

use super::{Claim, claim, near, text};
use crate::{Error, Result};

/// Outcomes that are looked at.
const MAX_OUTCOMES: usize = 1 << 22;

struct Parties {
    names: Vec<String>,
    /// By party, issue and value.
    worth: Vec<Vec<Vec<f64>>>,
    reservations: Vec<f64>,
    discounts: Vec<f64>,
}

pub(super) fn check(method: &str, problem: &Value, answer: &Value) -> Result<Vec<Claim>> {
    let issues = list(problem, "issues")?;
    let parties = parties(problem, issues)?;
    let Some(agreed) = answer["agreement"].as_object() else {
        let holds = numbers(&answer["utilities"], &parties.names)?;
        let same = holds.iter().zip(&parties.reservations).zip(&parties.discounts);
        let worth_no_more = same.clone().all(|((found, d), discount)| *found <= d.max(d * discount) + 1e-9);
        return Ok(vec![claim(
            "no agreement, utilities of the reservation",
            worth_no_more,
            format!("{holds:?}"),
        )]);
    };
    let mut chosen = Vec::with_capacity(issues.len());
    for issue in issues {
        let name = text(issue, "name")?;
        let place = list(issue, "values")?.iter().position(|value| agreed.get(name) == Some(value));
        chosen.push(
            place.ok_or_else(|| Error::invalid(format!("the agreement has no value of issue `{name}`")))?,
        );
    }
    let own = parties.utilities(&chosen);
    let claimed = numbers(&answer["utilities"], &parties.names)?;
    let mut claims = Vec::new();
    let discounted = answer["discounted"].as_bool() == Some(true);
    let fits =
        own.iter().zip(&claimed).all(|(own, claimed)| near(*own, *claimed) || (discounted && claimed <= own));
    claims.push(claim("utilities", fits, format!("{own:?} computed, {claimed:?} claimed")));
    let rational = own.iter().zip(&parties.reservations).all(|(own, d)| *own >= d - 1e-9);
    claims.push(claim("individually rational", rational, format!("reservations {:?}", parties.reservations)));
    claims.extend(efficiency(method, &parties, issues, &own, answer)?);
    if let Some(offers) = answer["offers"].as_array() {
        claims.push(order(offers, &parties.names, agreed));
    }
    Ok(claims)
}

/// Whether the agreement is efficient, as claimed, and has the best score of a rule.
fn efficiency(
    method: &str,
    parties: &Parties,
    issues: &[Value],
    own: &[f64],
    answer: &Value,
) -> Result<Vec<Claim>> {
    let sizes: Vec<usize> =
        issues.iter().map(|issue| list(issue, "values").map(<[Value]>::len)).collect::<Result<_>>()?;
    let n = sizes.iter().fold(1_usize, |n, &size| n.saturating_mul(size));
    let claimed = answer["pareto_efficient"].as_bool();
    if n > MAX_OUTCOMES {
        let detail = format!("{n} outcomes are too many to check");
        return Ok(vec![Claim { claim: "Pareto efficient".into(), holds: None, detail }]);
    }
    let all: Vec<Vec<f64>> = (0..n)
        .map(|mut outcome| {
            let mut values: Vec<usize> = sizes
                .iter()
                .map(|&size| {
                    let value = outcome % size;
                    outcome /= size;
                    value
                })
                .collect();
            values.truncate(sizes.len());
            parties.utilities(&values)
        })
        .collect();
    let better = |other: &&Vec<f64>| {
        other.iter().zip(own).all(|(a, b)| *a >= b - 1e-12)
            && other.iter().zip(own).any(|(a, b)| *a > b + 1e-9)
    };
    let dominating = all.iter().find(better);
    let efficient = dominating.is_none();
    let detail = match dominating {
        Some(other) => format!("{other:?} is better for somebody and worse for nobody"),
        None => format!("{n} outcomes tried"),
    };
    let words = if claimed == Some(false) { "not Pareto efficient" } else { "Pareto efficient" };
    let mut claims = Vec::new();
    if let Some(claimed) = claimed {
        claims.push(claim(words, claimed == efficient, detail));
    }
    let rational: Vec<&Vec<f64>> =
        all.iter().filter(|u| u.iter().zip(&parties.reservations).all(|(u, d)| u >= d)).collect();
    let most: Vec<f64> =
        (0..own.len()).map(|i| rational.iter().map(|u| u[i]).fold(f64::NEG_INFINITY, f64::max)).collect();
    if let Some(score) = score_of(method, &parties.reservations, &most) {
        let best = rational.iter().map(|u| score(u)).fold(f64::NEG_INFINITY, f64::max);
        let found = score(own);
        claims.push(claim(
            format!("{method} point"),
            near(best, found),
            format!("score {found}, best {best}"),
        ));
    }
    Ok(claims)
}

/// What a rule makes as great as it can.
type Score<'a> = Box<dyn Fn(&[f64]) -> f64 + 'a>;

fn score_of<'a>(method: &str, d: &'a [f64], most: &'a [f64]) -> Option<Score<'a>> {
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    Some(match method {
        "nash" => Box::new(move |u| u.iter().zip(d).map(|(u, d)| u - d).product()),
        "egalitarian" => Box::new(move |u| least(&mut u.iter().zip(d).map(|(u, d)| u - d))),
        "utilitarian" => Box::new(|u| u.iter().sum()),
        "kalai-smorodinsky" => Box::new(move |u| {
            let shares = u
                .iter()
                .zip(d)
                .zip(most)
                .map(|((u, d), most)| if most > d { (u - d) / (most - d) } else { 1.0 });
            least(&mut { shares })
        }),
        _ => return None,
    })
}

/// Whether parties took turns and the last offer is the agreement.
fn order(offers: &[Value], names: &[String], agreed: &serde_json::Map<String, Value>) -> Claim {
    let mut last_turn = None;
    for offer in offers {
        let turn = offer["turn"].as_u64();
        let party = names.iter().position(|name| offer["party"] == name.as_str());
        let in_turn = turn.is_some_and(|turn| Some((turn % names.len() as u64) as usize) == party);
        if !in_turn || turn <= last_turn {
            return claim("offers in turn", false, format!("{offer} is out of turn"));
        }
        last_turn = turn;
    }
    let holds = offers.last().is_some_and(|offer| offer["outcome"].as_object() == Some(agreed));
    claim("offers in turn, the last one agreed on", holds, format!("{} offers", offers.len()))
}

impl Parties {
    fn utilities(&self, values: &[usize]) -> Vec<f64> {
        let sum = |worth: &Vec<Vec<f64>>| worth.iter().zip(values).map(|(own, &value)| own[value]).sum();
        self.worth.iter().map(sum).collect()
    }
}

fn parties(problem: &Value, issues: &[Value]) -> Result<Parties> {
    let mut parties = Parties { names: vec![], worth: vec![], reservations: vec![], discounts: vec![] };
    for name in list(problem, "parties")? {
        let name = name.as_str().ok_or_else(|| Error::invalid("expected names in `parties`"))?;
        let profile = &problem[name];
        let wrong =
            || Error::invalid(format!("expected an evaluation for each value in the profile of `{name}`"));
        let rows = list(profile, "evaluations")?;
        let weights = list(profile, "weights")?;
        let mut worth = Vec::new();
        for ((row, weight), issue) in rows.iter().zip(weights).zip(issues) {
            let row: Option<Vec<f64>> =
                row.as_array().and_then(|row| row.iter().map(Value::as_f64).collect());
            let row = row.filter(|row| list(issue, "values").is_ok_and(|values| values.len() == row.len()));
            let weight = weight.as_f64().ok_or_else(wrong)?;
            worth.push(row.ok_or_else(wrong)?.into_iter().map(|value| weight * value).collect());
        }
        if worth.len() != issues.len() || profile["normalize"] != false {
            return Err(wrong());
        }
        parties.names.push(name.to_owned());
        parties.worth.push(worth);
        parties.reservations.push(profile["reservation"].as_f64().unwrap_or(0.0));
        parties.discounts.push(profile["discount"].as_f64().unwrap_or(1.0));
    }
    Ok(parties)
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    let list =
        value[key].as_array().ok_or_else(|| Error::invalid(format!("expected a list `{key}` in the result")));
    list.map(Vec::as_slice)
}

fn numbers(value: &Value, names: &[String]) -> Result<Vec<f64>> {
    let number = |name: &String| {
        value[name]
            .as_f64()
            .ok_or_else(|| Error::invalid(format!("expected a number for `{name}` in `utilities`")))
    };
    names.iter().map(number).collect()
}
