//! Issues, what parties think of their values, and the space of outcomes. Reads the JSON (or YAML) form: a list of
//! `issues` with `name` and `values`, and for each party a map with `weights` and `evaluations`, perhaps `reservation` and
//! `discount`. Not here: the XML of GENIUS.

use crate::yaml::{Data, Node};
use crate::{Error, Result};

/// Outcomes that can be listed.
const MAX_OUTCOMES: u64 = 1 << 24;

/// Something to agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Its name.
    pub name: String,
    /// Its values.
    pub values: Vec<String>,
}

/// What one party thinks of the outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The party's name.
    pub name: String,
    /// What each value of each issue adds to the utility: weight times evaluation.
    pub worth: Vec<Vec<f64>>,
    /// The utility of no agreement.
    pub reservation: f64,
    /// What a utility is worth at the deadline, as a share of its worth at once.
    pub discount: f64,
}

/// Issues and at least one party.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Issues.
    pub issues: Vec<Issue>,
    /// Parties.
    pub profiles: Vec<Profile>,
}

/// All outcomes with all utilities.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// How many values each issue has; the last issue changes fastest.
    pub sizes: Vec<usize>,
    /// Utilities by party, then by outcome.
    pub utilities: Vec<Vec<f64>>,
    /// Utilities of no agreement.
    pub reservations: Vec<f64>,
}

impl Scenario {
    /// Whether a text looks like one: it has the key `issues`.
    pub fn is_one(text: &str) -> bool {
        Node::parse(text).is_ok_and(|node| node.get("issues").is_some())
    }

    /// Reads the JSON form (YAML does as well).
    ///
    /// # Errors
    /// [`Error::Text`] with line, column and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        let root = Node::parse(text)?;
        root.check_keys()?;
        let pairs = root.map("a negotiation")?;
        let name = root.get("name").map_or(Ok("negotiation".into()), |node| node.text("`name`"))?;
        let mut issues = Vec::new();
        for node in root.need("issues", "a negotiation")?.list("`issues`")? {
            let name = node.need("name", "an issue")?.text("`name`")?;
            let values = node.need("values", "an issue")?.list("`values`")?;
            let values = values.iter().map(|value| value.text("a value")).collect::<Result<Vec<_>>>()?;
            if values.is_empty() {
                return Err(Error::text(node.at, "expected an issue with at least one value"));
            }
            issues.push(Issue { name, values });
        }
        let mut profiles = Vec::new();
        for (key, node) in pairs {
            if matches!(node.data, Data::Map(_)) && node.get("weights").is_some() {
                profiles.push(profile(key.text("the name of a party")?, node, &issues)?);
            }
        }
        if profiles.is_empty() {
            return Err(Error::text(root.at, "expected a party: a map with `weights` and `evaluations`"));
        }
        Ok(Self { name, issues, profiles })
    }

    /// The scenario in the JSON form that [`parse`](Self::parse) reads.
    pub fn to_json(&self) -> serde_json::Value {
        let issues: Vec<_> = self
            .issues
            .iter()
            .map(|issue| serde_json::json!({"name": issue.name, "values": issue.values}))
            .collect();
        let parties: Vec<&str> = self.profiles.iter().map(|profile| profile.name.as_str()).collect();
        let mut out = serde_json::json!({"name": self.name, "issues": issues, "parties": parties});
        for profile in &self.profiles {
            // Worth is written as plain numbers: weights of 1 and evaluations that are not divided by anything.
            out[&profile.name] = serde_json::json!({
                "weights": vec![1.0; self.issues.len()],
                "evaluations": profile.worth,
                "normalize": false,
                "reservation": profile.reservation,
                "discount": profile.discount,
            });
        }
        out
    }

    /// All outcomes with their utilities.
    ///
    /// # Errors
    /// [`Error::TooMany`] for more than can be listed.
    pub fn space(&self) -> Result<Space> {
        let sizes: Vec<usize> = self.issues.iter().map(|issue| issue.values.len()).collect();
        let n = sizes.iter().fold(1_u64, |n, &size| n.saturating_mul(size as u64));
        if n.saturating_mul(self.profiles.len() as u64) > MAX_OUTCOMES {
            return Err(Error::TooMany {
                what: format!("the negotiation `{}`", self.name),
                size: n,
                limit: MAX_OUTCOMES / self.profiles.len() as u64,
                advice: "use fewer issues or values",
            });
        }
        let utilities = self.profiles.iter().map(|profile| {
            let mut sums = vec![0.0];
            for worth in &profile.worth {
                sums = sums.iter().flat_map(|sum| worth.iter().map(move |worth| sum + worth)).collect();
            }
            sums
        });
        let utilities = utilities.collect();
        Ok(Space { sizes, utilities, reservations: self.profiles.iter().map(|p| p.reservation).collect() })
    }

    /// The values of an outcome, with the names of their issues.
    ///
    /// # Panics
    /// If there is no such outcome.
    pub fn describe(&self, outcome: usize) -> Vec<(&str, &str)> {
        let mut rest = outcome;
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(self.issues.len());
        for issue in self.issues.iter().rev() {
            pairs.push((&issue.name, &issue.values[rest % issue.values.len()]));
            rest /= issue.values.len();
        }
        assert_eq!(rest, 0, "no outcome {outcome}");
        pairs.reverse();
        pairs
    }
}

fn profile(name: String, node: &Node, issues: &[Issue]) -> Result<Profile> {
    let weights = node.need("weights", "a party")?;
    let rows = node.need("evaluations", "a party")?;
    let normalize = !matches!(
        node.get("normalize").map(|n| n.scalar("`normalize`")),
        Some(Ok(crate::yaml::Scalar::Bool(false)))
    );
    let number = |key: &str, default: f64| node.get(key).map_or(Ok(default), |node| node.number(key));
    let weight_list = weights.list("`weights`")?;
    let row_list = rows.list("`evaluations`")?;
    for (node, n) in [(weights, weight_list.len()), (rows, row_list.len())] {
        if n != issues.len() {
            return Err(Error::text(
                node.at,
                format!("expected one entry for each of {} issues, found {n}", issues.len()),
            ));
        }
    }
    let mut worth = Vec::with_capacity(issues.len());
    for ((weight, row), issue) in weight_list.iter().zip(row_list).zip(issues) {
        let weight = finite(weight, "a weight")?;
        let evaluations = row.list("evaluations of an issue")?;
        if evaluations.len() != issue.values.len() {
            let message = format!(
                "expected one evaluation for each of {} values of `{}`, found {}",
                issue.values.len(),
                issue.name,
                evaluations.len()
            );
            return Err(Error::text(row.at, message));
        }
        let evaluations =
            evaluations.iter().map(|node| finite(node, "an evaluation")).collect::<Result<Vec<_>>>()?;
        worth.push(if normalize { worth_of(weight, &evaluations) } else { scaled(weight, &evaluations) });
    }
    let (reservation, discount) = (number("reservation", 0.0)?, number("discount", 1.0)?);
    if !(0.0..=1.0).contains(&discount) {
        return Err(Error::text(node.at, format!("expected a discount from 0 to 1, found {discount}")));
    }
    Ok(Profile { name, worth, reservation, discount })
}

fn finite(node: &Node, what: &str) -> Result<f64> {
    let value = node.number(what)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::text(node.at, format!("expected {what}: a finite number")))
    }
}

fn scaled(weight: f64, evaluations: &[f64]) -> Vec<f64> {
    evaluations.iter().map(|evaluation| weight * evaluation).collect()
}

/// The rule of GENIUS: weight times evaluation, as a share of the greatest evaluation of the issue. Weights are taken as
/// they are, whatever their sum.
pub(super) fn worth_of(weight: f64, evaluations: &[f64]) -> Vec<f64> {
    let most = evaluations.iter().copied().fold(0.0, f64::max);
    let share = |evaluation: &f64| if most > 0.0 { weight * (evaluation / most) } else { 0.0 };
    evaluations.iter().map(share).collect()
}

impl Space {
    /// How many outcomes there are.
    pub fn n_outcomes(&self) -> usize {
        self.utilities.first().map_or(0, Vec::len)
    }

    /// Utilities of all parties at an outcome.
    ///
    /// # Panics
    /// If there is no such outcome.
    pub fn at(&self, outcome: usize) -> Vec<f64> {
        self.utilities.iter().map(|own| own[outcome]).collect()
    }
}
