//! Agreements as files, in JSON or YAML: `agreement: average`, `consensus` or `exchange`, and `agents` by name with `value`, or
//! with `quadratic`, `linear`, `low` and `high`. Averages may have `links` (pairs of names; everybody with everybody
//! without them), exchanges have a `total`.

use coact_messaging::{Settings, Topology};
use serde_json::{Map, Value, json};

use super::admm::{self, Cost, Quadratic};
use super::average::average;
use crate::yaml::Node;
use crate::{Error, Result};

/// An agreement to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    kind: Kind,
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Average { values: Vec<f64>, topology: Topology },
    Consensus(Vec<Quadratic>),
    Exchange(Vec<Quadratic>, f64),
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq)]
pub struct AgreementAnswer {
    /// Which kind of agreement.
    pub method: &'static str,
    /// `value` or `values`, `price`, `cost`, `rounds`, `converged`, residuals.
    pub answer: Map<String, Value>,
    /// For a curve: spread or primal residual of each round.
    pub curve: Vec<f64>,
}

impl Agreement {
    /// Whether a text looks like one: it has the key `agreement`.
    pub fn is_one(text: &str) -> bool {
        Node::parse(text).is_ok_and(|node| node.get("agreement").is_some())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Text`] with line, column and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        let root = Node::parse(text)?;
        root.check_keys()?;
        let kind = root.need("agreement", "an agreement")?;
        let agents = root.need("agents", "an agreement")?.map("`agents`")?;
        if agents.is_empty() {
            return Err(Error::text(root.at, "expected at least one agent"));
        }
        let names = agents.iter().map(|(key, _)| key.text("a name")).collect::<Result<Vec<_>>>()?;
        let costs = || agents.iter().map(|(_, node)| quadratic(node)).collect::<Result<Vec<_>>>();
        let kind = match kind.text("`agreement`")?.as_str() {
            "average" => {
                let value = |node: &Node| finite(node.get("value").unwrap_or(node), "a value");
                let values = agents.iter().map(|(_, node)| value(node)).collect::<Result<_>>()?;
                Kind::Average { values, topology: links(&root, &names)? }
            }
            "consensus" => Kind::Consensus(costs()?),
            "exchange" => Kind::Exchange(costs()?, finite(root.need("total", "an exchange")?, "`total`")?),
            other => {
                let known = ["average", "consensus", "exchange"];
                let hint = coact_core::nearest::hint(other, known);
                let message = format!("expected average, consensus or exchange, found `{other}`{hint}");
                return Err(Error::text(kind.at, message));
            }
        };
        Ok(Self { kind, names })
    }

    /// The names of the agents.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The values of which the mean is sought, of an average.
    pub fn averaged(&self) -> Option<&[f64]> {
        match &self.kind {
            Kind::Average { values, .. } => Some(values),
            _ => None,
        }
    }

    /// Costs of the agents, none for an average.
    pub fn costs(&self) -> &[Quadratic] {
        match &self.kind {
            Kind::Average { .. } => &[],
            Kind::Consensus(costs) | Kind::Exchange(costs, _) => costs,
        }
    }

    /// The total of an exchange.
    pub fn total(&self) -> Option<f64> {
        match self.kind {
            Kind::Exchange(_, total) => Some(total),
            _ => None,
        }
    }

    /// Which kind it is.
    pub fn method(&self) -> &'static str {
        match &self.kind {
            Kind::Average { .. } => "average",
            Kind::Consensus(_) => "consensus",
            Kind::Exchange(..) => "exchange",
        }
    }

    /// Finds the agreement.
    ///
    /// # Errors
    /// Those of the method.
    pub fn run(&self, max_rounds: u64) -> Result<AgreementAnswer> {
        let by_name = |values: &[f64]| {
            self.names.iter().cloned().zip(values.iter().map(|v| json!(v))).collect::<Map<_, _>>()
        };
        let settings = admm::Settings { max_rounds, ..admm::Settings::default() };
        let (answer, curve) = match &self.kind {
            Kind::Average { values, topology } => {
                let found = average(topology, values, 1e-9, max_rounds, Settings::default())?;
                let answer = json!({
                    "values": by_name(&found.values), "rounds": found.spreads.len() - 1,
                    "converged": found.converged, "msg_count": found.counts.sent,
                });
                (answer, found.spreads)
            }
            Kind::Consensus(costs) => {
                let list: Vec<&dyn Cost> = costs.iter().map(|cost| cost as &dyn Cost).collect();
                let found = admm::consensus(&list, 1, &settings)?;
                let mut answer = report(&found);
                answer["value"] = json!(found.z[0]);
                (answer, found.residuals.iter().map(|r| r.primal).collect())
            }
            Kind::Exchange(costs, total) => {
                let list: Vec<&dyn Cost> = costs.iter().map(|cost| cost as &dyn Cost).collect();
                let found = admm::exchange(&list, &[*total], &settings)?;
                let x: Vec<f64> = found.x.iter().map(|x| x[0]).collect();
                let mut answer = report(&found);
                answer["values"] = json!(by_name(&x));
                answer["price"] = json!(found.price[0]);
                (answer, found.residuals.iter().map(|r| r.primal).collect())
            }
        };
        let answer = answer.as_object().cloned().unwrap_or_default();
        Ok(AgreementAnswer { method: self.method(), answer, curve })
    }
}

fn report(found: &admm::Agreed) -> Value {
    let last = found.residuals.last();
    json!({
        "cost": found.cost, "rounds": found.residuals.len(), "converged": found.converged,
        "primal_residual": last.map(|r| r.primal), "dual_residual": last.map(|r| r.dual),
    })
}

fn finite(node: &Node, what: &str) -> Result<f64> {
    let value = node.number(what)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::text(node.at, format!("expected {what}: a finite number")))
    }
}

fn quadratic(node: &Node) -> Result<Quadratic> {
    let get = |key: &str, default: f64| node.get(key).map_or(Ok(default), |node| node.number(key));
    node.map("an agent: `quadratic`, `linear`, `low`, `high`")?;
    let (curvature, linear) = (get("quadratic", 0.0)?, get("linear", 0.0)?);
    let (low, high) = (get("low", f64::NEG_INFINITY)?, get("high", f64::INFINITY)?);
    let bounded = low.is_finite() && high.is_finite();
    if !(0.0..=f64::MAX).contains(&curvature)
        || !linear.is_finite()
        || low > high
        || (curvature == 0.0 && !bounded)
    {
        let message = "expected `quadratic` from 0 up (above 0 without both bounds), a finite `linear`, and `low` up to `high`";
        return Err(Error::text(node.at, message));
    }
    Ok(Quadratic { quadratic: vec![curvature], linear: vec![linear], low: vec![low], high: vec![high] })
}

fn links(root: &Node, names: &[String]) -> Result<Topology> {
    let Some(node) = root.get("links") else { return Ok(Topology::complete(names.len())?) };
    let mut edges = Vec::new();
    for pair in node.list("`links`")? {
        let ends = pair.list("a link: two names")?.iter().map(|end| {
            let name = end.text("a name")?;
            let hint = || coact_core::nearest::hint(&name, names.iter().map(String::as_str));
            let place = names.iter().position(|known| *known == name);
            place.ok_or_else(|| {
                Error::text(end.at, format!("expected the name of an agent, found `{name}`{}", hint()))
            })
        });
        match ends.collect::<Result<Vec<_>>>()?.as_slice() {
            &[a, b] if a != b => edges.push((a, b)),
            _ => return Err(Error::text(pair.at, "expected a link between two agents, as in [a, b]")),
        }
    }
    Ok(Topology::from_edges(names.len(), &edges)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_kinds_are_read_and_solved() {
        let average = "{agreement: average, agents: {a: 1, b: {value: 3}, c: 8}, links: [[a, b], [b, c]]}";
        let answer = Agreement::parse(average).unwrap().run(10_000).unwrap();
        assert!((answer.answer["values"]["a"].as_f64().unwrap() - 4.0).abs() < 1e-8);
        let consensus =
            "{agreement: consensus, agents: {a: {quadratic: 1, linear: -3}, b: {quadratic: 1, linear: 1}}}";
        let answer = Agreement::parse(consensus).unwrap().run(10_000).unwrap();
        assert!((answer.answer["value"].as_f64().unwrap() - 1.0).abs() < 1e-6);
        let exchange = "{agreement: exchange, total: 10, agents: {a: {quadratic: 1}, b: {quadratic: 3, low: 0, high: 2}}}";
        let answer = Agreement::parse(exchange).unwrap().run(10_000).unwrap();
        assert!((answer.answer["values"]["a"].as_f64().unwrap() - 8.0).abs() < 1e-6);
        assert!((answer.answer["price"].as_f64().unwrap() - 8.0).abs() < 1e-5);
        assert_eq!(answer.answer["converged"], true);
    }

    #[test]
    fn faults_are_placed() {
        let cases = [
            ("{agreement: peace, agents: {a: 1}}", 13),
            ("{agreement: average, agents: {a: x}}", 34),
            ("{agreement: exchange, agents: {a: {quadratic: 1}}}", 1),
            ("{agreement: consensus, agents: {a: {quadratic: -1}}}", 36),
            ("{agreement: average, agents: {a: 1, b: 2}, links: [[a, z]]}", 56),
        ];
        for (text, column) in cases {
            match Agreement::parse(text) {
                Err(Error::Text { at, .. }) => assert_eq!((at.line, at.column), (1, column), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
