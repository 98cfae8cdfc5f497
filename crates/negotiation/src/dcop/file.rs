//! Reads pyDCOP's YAML: domains, variables, constraints as formulas or tables, agents. Keeps rules as they are
//! written; [`File::problem`] makes tables of them.
//!
//! Read and kept: name, description, objective, domains (lists and ranges `[1 .. 10]`), variables with cost
//! functions and noise, external variables (fixed at their initial values), intentional constraints (expressions
//! and bodies of functions, `partial`), extensional ones, agents with capacities. Read and checked only:
//! `routes`, `hosting_costs`, `distribution_hints`. Refused: `source`, because it runs Python.

use std::collections::{BTreeMap, BTreeSet};

use coact_core::nearest::hint;

use super::expression::{Expression, Fault};
use super::problem::{Constraint, Domain, MAX_TABLE, MAX_TABLES, Objective, Problem, Variable};
use super::value::Value;
use crate::yaml::{Data, Node, Scalar, origins, shortened};
use crate::{Error, Position, Result};

/// Values of one domain.
const MAX_VALUES: i64 = 1 << 20;

/// A formula with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    expression: Expression,
    /// Where each character comes from.
    origins: Vec<Position>,
    /// For each variable of the expression: a place in the scope, or a fixed value.
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Scope(usize),
    Fixed(Value),
}

impl Formula {
    /// The cost for values of the scope, in its order.
    ///
    /// # Errors
    /// [`Error::Text`] at the part of the formula that fails for these values.
    pub fn cost(&self, values: &[&Value]) -> Result<f64> {
        let take = |argument: &Argument| match argument {
            Argument::Scope(place) => values[*place].clone(),
            Argument::Fixed(value) => value.clone(),
        };
        let taken: Vec<Value> = self.arguments.iter().map(take).collect();
        let context = || {
            let names = self.expression.variables().iter().zip(&taken);
            let list: Vec<String> = names.map(|(name, value)| format!("{name}={value}")).collect();
            if list.is_empty() { String::new() } else { format!(" (with {})", list.join(", ")) }
        };
        let place = |fault: &Fault| self.origins[fault.offset.min(self.origins.len() - 1)];
        let value = self
            .expression
            .evaluate(&taken)
            .map_err(|fault| Error::text(place(&fault), format!("{fault}{}", context())))?;
        match value.number() {
            Some(cost) if !cost.is_nan() => Ok(cost),
            _ => {
                let message = format!("expected a number as cost, found `{value}`{}", context());
                Err(Error::text(self.origins[0], message))
            }
        }
    }
}

/// A constraint as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// The variables that it depends on.
    pub scope: Vec<usize>,
    /// How it gives costs.
    pub kind: RuleKind,
}

/// How a constraint gives costs.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// By a formula.
    Intention(Formula),
    /// By a list of costs, with a default for what is not listed.
    Extension {
        /// Cost of combinations that are not listed.
        default: Option<f64>,
        /// Costs by value indices in the order of the scope.
        entries: BTreeMap<Vec<usize>, f64>,
    },
}

/// A variable as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableEntry {
    /// Its name.
    pub name: String,
    /// Index of its domain.
    pub domain: usize,
    /// Index of its initial value.
    pub initial: Option<usize>,
    /// The cost of its value.
    pub cost: Option<Formula>,
    /// Greatest random addition to that cost.
    pub noise_level: f64,
    /// Other keys, kept as they are written.
    pub extra: Vec<(String, Value)>,
}

/// An agent as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentEntry {
    /// Its name.
    pub name: String,
    /// Its keys, `capacity` among them.
    pub extra: Vec<(String, Value)>,
}

/// A file, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// The name of the problem.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Min or max.
    pub objective: Objective,
    /// Domains.
    pub domains: Vec<Domain>,
    /// Variables.
    pub variables: Vec<VariableEntry>,
    /// Variables that nobody controls, with their values.
    pub externals: Vec<(String, Value)>,
    /// Constraints.
    pub rules: Vec<Rule>,
    /// Agents.
    pub agents: Vec<AgentEntry>,
}

/// Keys of a file.
const KEYS: [&str; 11] = [
    "name",
    "description",
    "objective",
    "domains",
    "variables",
    "external_variables",
    "constraints",
    "agents",
    "routes",
    "hosting_costs",
    "distribution_hints",
];

impl File {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`Error::Text`] with line, column and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        let root = Node::parse(text)?;
        root.check_keys()?;
        let pairs = root.map("a constraint problem")?;
        for (key, _) in pairs {
            let name = key.text("a key")?;
            if !KEYS.contains(&name.as_str()) {
                let message =
                    format!("expected one of {}, found `{name}`{}", KEYS.join(", "), hint(&name, KEYS));
                return Err(Error::text(key.at, message));
            }
        }
        let what = "a constraint problem";
        let objective = match root.need("objective", what)? {
            node if node.text("`objective`")? == "min" => Objective::Min,
            node if node.text("`objective`")? == "max" => Objective::Max,
            node => {
                let found = node.text("`objective`")?;
                return Err(Error::text(
                    node.at,
                    format!("expected min or max, found `{}`", shortened(&found)),
                ));
            }
        };
        let lines = crate::yaml::lines(text);
        let mut file = Self {
            name: root.need("name", what)?.text("`name`")?,
            description: root
                .get("description")
                .map_or(Ok(String::new()), |node| node.text("`description`"))?,
            objective,
            domains: Vec::new(),
            variables: Vec::new(),
            externals: Vec::new(),
            rules: Vec::new(),
            agents: Vec::new(),
        };
        file.read_domains(&root)?;
        file.read_externals(&root)?;
        file.read_variables(&root, &lines)?;
        file.read_constraints(&root, &lines)?;
        file.read_agents(&root)?;
        file.check_distribution(&root)?;
        Ok(file)
    }

    fn read_domains(&mut self, root: &Node) -> Result<()> {
        for (key, node) in section(root, "domains")? {
            let name = key.text("the name of a domain")?;
            known_keys(node, &["values", "type", "initial_value"], "a domain")?;
            let values = domain_values(node.need("values", &format!("domain `{name}`"))?)?;
            let kind = node.get("type").map_or(Ok(String::new()), |node| node.text("`type`"))?;
            self.domains.push(Domain { name, kind, values });
        }
        Ok(())
    }

    fn domain_of(&self, node: &Node, what: &str) -> Result<usize> {
        let domain = node.need("domain", what)?;
        let name = domain.text("the name of a domain")?;
        self.domains.iter().position(|d| d.name == name).ok_or_else(|| {
            let hint = hint(&name, self.domains.iter().map(|d| d.name.as_str()));
            Error::text(
                domain.at,
                format!("expected a domain of this file, found `{}`{hint}", shortened(&name)),
            )
        })
    }

    /// The index of an initial value. As in pyDCOP, 0 and the like outside the domain mean none.
    fn initial_of(&self, node: &Node, domain: usize) -> Result<Option<usize>> {
        let Some(initial) = node.get("initial_value") else { return Ok(None) };
        let value = Value::from(initial.scalar("`initial_value`")?);
        match self.domains[domain].values.iter().position(|v| v.equals(&value)) {
            None if value.is_true() => Err(Error::text(
                initial.at,
                format!("expected a value of domain `{}`, found `{value}`", self.domains[domain].name),
            )),
            place => Ok(place),
        }
    }

    fn read_externals(&mut self, root: &Node) -> Result<()> {
        for (key, node) in section(root, "external_variables")? {
            let name = key.text("the name of a variable")?;
            let what = format!("external variable `{name}`");
            let domain = self.domain_of(node, &what)?;
            node.need("initial_value", &what)?;
            let Some(initial) = self.initial_of(node, domain)? else {
                return Err(Error::text(node.at, format!("expected a value of its domain for {what}")));
            };
            self.externals.push((name, self.domains[domain].values[initial].clone()));
        }
        Ok(())
    }

    fn read_variables(&mut self, root: &Node, lines: &[&str]) -> Result<()> {
        for (key, node) in section(root, "variables")? {
            let name = key.text("the name of a variable")?;
            if self.externals.iter().any(|(other, _)| *other == name) {
                return Err(Error::text(
                    key.at,
                    format!("expected a new name, `{name}` is an external variable"),
                ));
            }
            let domain = self.domain_of(node, &format!("variable `{name}`"))?;
            let initial = self.initial_of(node, domain)?;
            let cost = match node.get("cost_function") {
                None => None,
                Some(formula) => {
                    let mut scope = Vec::new();
                    let own = |other: &str| (other == name).then_some(Argument::Scope(0));
                    Some(self.formula(formula, lines, &own, &mut scope)?)
                }
            };
            let noise_level = match node.get("noise_level") {
                None => 0.0,
                Some(level) => {
                    let value = level.number("`noise_level`")?;
                    if !(0.0..=f64::MAX).contains(&value) {
                        return Err(Error::text(
                            level.at,
                            format!("expected a noise level from 0 up, found {value}"),
                        ));
                    }
                    value
                }
            };
            let known = ["domain", "initial_value", "cost_function", "noise_level"];
            let extra = extra(node, &known)?;
            self.variables.push(VariableEntry { name, domain, initial, cost, noise_level, extra });
        }
        Ok(())
    }

    /// Compiles a formula. `own` knows names beside the external variables.
    fn formula(
        &self,
        node: &Node,
        lines: &[&str],
        own: &dyn Fn(&str) -> Option<Argument>,
        scope: &mut Vec<usize>,
    ) -> Result<Formula> {
        let text = node.text("a formula")?;
        let origins = origins(lines, node, &text);
        let external =
            |name: &str| self.externals.iter().find(|(other, _)| other == name).map(|e| e.1.clone());
        let is_variable = |name: &str| own(name).is_some() || external(name).is_some();
        let expression = Expression::compile(&text, &is_variable).map_err(|fault| {
            let at = origins[fault.offset.min(origins.len() - 1)];
            let mut message = fault.message;
            if message.starts_with("unknown name") && !message.contains("did you mean") {
                let name = message.split('`').nth(1).unwrap_or_default().to_owned();
                message.push_str(&hint(&name, self.variables.iter().map(|v| v.name.as_str())));
            }
            Error::text(at, message)
        })?;
        let mut arguments = Vec::with_capacity(expression.variables().len());
        for name in expression.variables() {
            arguments.push(match (own(name), external(name)) {
                (Some(Argument::Scope(variable)), _) => {
                    scope.push(variable);
                    Argument::Scope(scope.len() - 1)
                }
                (Some(fixed), _) => fixed,
                (None, Some(value)) => Argument::Fixed(value),
                // The compiler asked about every name.
                (None, None) => Argument::Fixed(Value::None),
            });
        }
        Ok(Formula { expression, origins, arguments })
    }

    fn variable(&self, node: &Node) -> Result<usize> {
        let name = node.text("the name of a variable")?;
        self.variables.iter().position(|v| v.name == name.trim()).ok_or_else(|| {
            let hint = hint(&name, self.variables.iter().map(|v| v.name.as_str()));
            Error::text(
                node.at,
                format!("expected a variable of this file, found `{}`{hint}", shortened(&name)),
            )
        })
    }

    fn read_constraints(&mut self, root: &Node, lines: &[&str]) -> Result<()> {
        let index: BTreeMap<String, usize> =
            self.variables.iter().enumerate().map(|(i, v)| (v.name.clone(), i)).collect();
        for (key, node) in section(root, "constraints")? {
            let name = key.text("the name of a constraint")?;
            if let Some(source) = node.get("source") {
                let message = "expected a constraint without `source`: Python files are not run here, write the \
                               formula into `function`";
                return Err(Error::text(source.at, message));
            }
            let what = format!("constraint `{name}`");
            let kind = node.need("type", &what)?;
            let rule = match kind.text("`type`")?.as_str() {
                "intention" => self.intention(node, &what, lines, &index)?,
                "extensional" => self.extension(node, &what)?,
                other => {
                    let hint = hint(other, ["intention", "extensional"]);
                    let message =
                        format!("expected intention or extensional, found `{}`{hint}", shortened(other));
                    return Err(Error::text(kind.at, message));
                }
            };
            self.rules.push(Rule { name, at: key.at, ..rule });
        }
        Ok(())
    }

    fn intention(
        &self,
        node: &Node,
        what: &str,
        lines: &[&str],
        index: &BTreeMap<String, usize>,
    ) -> Result<Rule> {
        known_keys(node, &["type", "function", "partial"], "an intentional constraint")?;
        let mut fixed = BTreeMap::new();
        if let Some(partial) = node.get("partial") {
            for (key, value) in partial.map("`partial`")? {
                let variable = self.variable(key)?;
                let wanted = Value::from(value.scalar("a value")?);
                let domain = &self.domains[self.variables[variable].domain];
                let Some(known) = domain.values.iter().find(|v| v.equals(&wanted)) else {
                    let message = format!("expected a value of domain `{}`, found `{wanted}`", domain.name);
                    return Err(Error::text(value.at, message));
                };
                fixed.insert(key.text("a variable")?, (known.clone(), key.at));
            }
        }
        let own = |name: &str| match fixed.get(name) {
            Some((value, _)) => Some(Argument::Fixed(value.clone())),
            None => index.get(name).map(|&variable| Argument::Scope(variable)),
        };
        let mut scope = Vec::new();
        let formula = self.formula(node.need("function", what)?, lines, &own, &mut scope)?;
        let unused = fixed.iter().find(|(name, _)| !formula.expression.variables().contains(name));
        if let Some((name, (_, at))) = unused {
            return Err(Error::text(*at, format!("expected a variable of the formula, found `{name}`")));
        }
        Ok(Rule { name: String::new(), at: node.at, scope, kind: RuleKind::Intention(formula) })
    }

    fn extension(&self, node: &Node, what: &str) -> Result<Rule> {
        known_keys(node, &["type", "variables", "values", "default"], "an extensional constraint")?;
        let variables = node.need("variables", what)?;
        let scope: Vec<usize> = match &variables.data {
            Data::List(items) => items.iter().map(|item| self.variable(item)).collect::<Result<_>>()?,
            _ => vec![self.variable(variables)?],
        };
        let mut seen = BTreeSet::new();
        if let Some(again) = scope.iter().find(|&&v| !seen.insert(v)) {
            let name = &self.variables[*again].name;
            return Err(Error::text(
                variables.at,
                format!("expected each variable once, found `{name}` again"),
            ));
        }
        let default = match node.get("default") {
            Some(node) if !node.is_null() => Some(node.number("`default`")?),
            _ => None,
        };
        let mut entries = BTreeMap::new();
        let values = node.need("values", what)?;
        let pairs = if values.is_null() { &[] } else { values.map("`values`")? };
        for (key, combinations) in pairs {
            let cost = key.number("a cost")?;
            for (tokens, offset) in combinations_of(combinations)? {
                let places = self.places(&scope, &tokens, combinations.at, offset)?;
                if entries.insert(places, cost).is_some_and(|before| before != cost) {
                    let list: Vec<&str> = tokens.iter().map(|token| token.0.as_str()).collect();
                    let message =
                        format!("expected one cost for each combination, found `{}` again", list.join(" "));
                    return Err(Error::text(combinations.at, message));
                }
            }
        }
        Ok(Rule { name: String::new(), at: node.at, scope, kind: RuleKind::Extension { default, entries } })
    }

    /// Value indices of one written combination.
    fn places(
        &self,
        scope: &[usize],
        tokens: &[(String, bool)],
        at: Position,
        offset: usize,
    ) -> Result<Vec<usize>> {
        let at = Position { column: at.column + offset, ..at };
        if tokens.len() != scope.len() {
            let message =
                format!("expected {} values in each combination, found {}", scope.len(), tokens.len());
            return Err(Error::text(at, message));
        }
        let place = |(&variable, (token, is_quoted)): (&usize, &(String, bool))| {
            let domain = &self.domains[self.variables[variable].domain];
            let exact = domain.values.iter().position(|value| value.to_string() == *token);
            let typed = || {
                let value = Value::from(crate::yaml::resolve(token));
                domain.values.iter().position(|known| !is_quoted && known.equals(&value))
            };
            exact.or_else(typed).ok_or_else(|| {
                let hint = hint(
                    token,
                    domain.values.iter().filter_map(|value| match value {
                        Value::Text(text) => Some(&**text),
                        _ => None,
                    }),
                );
                Error::text(
                    at,
                    format!("expected a value of domain `{}`, found `{token}`{hint}", domain.name),
                )
            })
        };
        scope.iter().zip(tokens).map(place).collect()
    }

    fn read_agents(&mut self, root: &Node) -> Result<()> {
        let Some(node) = root.get("agents").filter(|node| !node.is_null()) else { return Ok(()) };
        if let Data::List(items) = &node.data {
            let mut seen = BTreeSet::new();
            for item in items {
                let name = item.text("the name of an agent")?;
                // A name that is listed twice is one agent, as in pyDCOP.
                if seen.insert(name.clone()) {
                    self.agents.push(AgentEntry { name, extra: Vec::new() });
                }
            }
            return Ok(());
        }
        for (key, node) in node.map("`agents`")? {
            let extra = if node.is_null() { Vec::new() } else { extra(node, &[])? };
            self.agents.push(AgentEntry { name: key.text("the name of an agent")?, extra });
        }
        Ok(())
    }

    /// Routes, hosting costs and hints steer where computations run. They are checked, and not used here.
    fn check_distribution(&self, root: &Node) -> Result<()> {
        let is_agent = |node: &Node| {
            let name = node.text("the name of an agent")?;
            let known = self.agents.iter().map(|a| a.name.as_str());
            if known.clone().any(|known| known == name) {
                return Ok(());
            }
            let hint = hint(&name, known);
            Err(Error::text(
                node.at,
                format!("expected an agent of this file, found `{}`{hint}", shortened(&name)),
            ))
        };
        let mut routes = BTreeMap::new();
        for (key, node) in section(root, "routes")? {
            if key.text("an agent")? == "default" {
                node.number("`default`")?;
                continue;
            }
            is_agent(key)?;
            for (other, cost) in node.map("routes of an agent")? {
                is_agent(other)?;
                let cost = cost.number("the cost of a route")?;
                let (a, b) = (key.text("an agent")?, other.text("an agent")?);
                if routes
                    .insert((a.clone().min(b.clone()), a.max(b)), cost)
                    .is_some_and(|before| before != cost)
                {
                    return Err(Error::text(
                        other.at,
                        "expected one cost for each pair of agents: routes go both ways",
                    ));
                }
            }
        }
        for (key, node) in section(root, "hosting_costs")? {
            if key.text("an agent")? == "default" {
                node.number("`default`")?;
                continue;
            }
            is_agent(key)?;
            known_keys(node, &["default", "computations"], "hosting costs of an agent")?;
            if let Some(default) = node.get("default") {
                default.number("`default`")?;
            }
            for (_, cost) in section(node, "computations")? {
                cost.number("the cost of hosting")?;
            }
        }
        if let Some(hints) = root.get("distribution_hints").filter(|node| !node.is_null()) {
            for (key, node) in section(hints, "must_host")? {
                is_agent(key)?;
                for item in node.list("what the agent must host")? {
                    item.text("a variable or constraint")?;
                }
            }
        }
        Ok(())
    }

    /// The problem as tables.
    ///
    /// # Errors
    /// [`Error::Text`] where a formula fails or a table has gaps, [`Error::TooMany`] for tables that do not fit
    /// into memory.
    pub fn problem(&self) -> Result<Problem> {
        let mut total = 0;
        let mut variables = Vec::with_capacity(self.variables.len());
        for entry in &self.variables {
            let values = &self.domains[entry.domain].values;
            let costs = match &entry.cost {
                Some(formula) => values.iter().map(|value| formula.cost(&[value])).collect::<Result<_>>()?,
                None => Vec::new(),
            };
            let VariableEntry { name, domain, initial, noise_level, .. } = entry.clone();
            variables.push(Variable { name, domain, initial, costs, noise_level });
        }
        let mut constraints = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let sizes: Vec<usize> = rule.scope.iter().map(|&v| self.values_of(v).len()).collect();
            let size = sizes.iter().fold(1_u64, |size, &n| size.saturating_mul(n as u64));
            total += size.min(MAX_TABLES + 1);
            if size > MAX_TABLE || total > MAX_TABLES {
                return Err(Error::TooMany {
                    what: format!("constraint `{}`", rule.name),
                    size,
                    limit: if size > MAX_TABLE { MAX_TABLE } else { MAX_TABLES },
                    advice: "use smaller domains or split the constraint",
                });
            }
            constraints.push(Constraint {
                name: rule.name.clone(),
                scope: rule.scope.clone(),
                table: self.table(rule, &sizes, size as usize)?,
            });
        }
        let problem = Problem {
            name: self.name.clone(),
            description: self.description.clone(),
            objective: self.objective,
            domains: self.domains.clone(),
            variables,
            constraints,
        };
        problem.check()?;
        Ok(problem)
    }

    /// The values that a variable can take.
    fn values_of(&self, variable: usize) -> &[Value] {
        &self.domains[self.variables[variable].domain].values
    }

    fn table(&self, rule: &Rule, sizes: &[usize], size: usize) -> Result<Vec<f64>> {
        let mut table = Vec::with_capacity(size);
        let mut places = vec![0; sizes.len()];
        for _ in 0..size {
            table.push(self.rule_cost(rule, &places)?);
            for (place, &n) in places.iter_mut().zip(sizes).rev() {
                *place += 1;
                if *place < n {
                    break;
                }
                *place = 0;
            }
        }
        Ok(table)
    }

    /// The cost that a rule gives to value indices of its scope.
    ///
    /// # Errors
    /// [`Error::Text`] where a formula fails or a table has a gap.
    ///
    /// # Panics
    /// If the indices do not fit the scope.
    pub fn rule_cost(&self, rule: &Rule, places: &[usize]) -> Result<f64> {
        let values = || rule.scope.iter().zip(places).map(|(&v, &place)| &self.values_of(v)[place]);
        match &rule.kind {
            RuleKind::Intention(formula) => formula.cost(&values().collect::<Vec<_>>()),
            RuleKind::Extension { default, entries } => {
                entries.get(places).copied().or(*default).ok_or_else(|| {
                    let list: Vec<String> = values().map(Value::to_string).collect();
                    let message = format!(
                        "expected a cost for `{}` in constraint `{}`, or a `default`",
                        list.join(" "),
                        rule.name
                    );
                    Error::text(rule.at, message)
                })
            }
        }
    }
}

/// The pairs of a section that may be missing or empty.
fn section<'a>(root: &'a Node, key: &str) -> Result<&'a [(Node, Node)]> {
    match root.get(key) {
        Some(node) if !node.is_null() => node.map(&format!("`{key}`")),
        _ => Ok(&[]),
    }
}

fn known_keys(node: &Node, known: &[&str], what: &str) -> Result<()> {
    for (key, _) in node.map(what)? {
        let name = key.text("a key")?;
        if !known.contains(&name.as_str()) {
            let list = known.join(", ");
            let hint = hint(&name, known.iter().copied());
            return Err(Error::text(
                key.at,
                format!("expected in {what} one of {list}, found `{name}`{hint}"),
            ));
        }
    }
    Ok(())
}

/// Keys beside the known ones whose values are scalars.
fn extra(node: &Node, known: &[&str]) -> Result<Vec<(String, Value)>> {
    let mut extra = Vec::new();
    for (key, value) in node.map("its properties")? {
        let name = key.text("a key")?;
        if let (false, Ok(scalar)) = (known.contains(&name.as_str()), value.scalar(&name)) {
            extra.push((name, scalar.into()));
        }
    }
    Ok(extra)
}

fn domain_values(node: &Node) -> Result<Vec<Value>> {
    if let Data::Plain(_) | Data::Text(_) = &node.data {
        return range(node)?.ok_or_else(|| {
            Error::text(node.at, "expected a list of values such as [R, G, B] or a range such as [1 .. 10]")
        });
    }
    let items = node.list("values of a domain")?;
    if let [only] = items
        && let Some(values) = range(only)?
    {
        return Ok(values);
    }
    if items.is_empty() {
        return Err(Error::text(node.at, "expected at least one value, found an empty list"));
    }
    let mut values: Vec<Value> = Vec::with_capacity(items.len());
    let mut seen = BTreeSet::new();
    for item in items {
        let value = match item.scalar("a value")? {
            Scalar::Null => return Err(Error::text(item.at, "expected a value, found nothing")),
            Scalar::Float(number) if number.is_nan() => {
                return Err(Error::text(item.at, "expected a value, found `.nan`"));
            }
            scalar => Value::from(scalar),
        };
        if !seen.insert((value.kind(), value.to_string())) {
            return Err(Error::text(item.at, format!("expected each value once, found `{value}` again")));
        }
        values.push(value);
    }
    Ok(values)
}

/// The values of `1 .. 10`, both ends included; `None` for anything else.
fn range(node: &Node) -> Result<Option<Vec<Value>>> {
    let text = node.text("a value")?;
    let Some((low, high)) = text.split_once("..") else { return Ok(None) };
    let (Ok(low), Ok(high)) = (low.trim().parse::<i64>(), high.trim().parse::<i64>()) else {
        return Ok(None);
    };
    if high < low || high.checked_sub(low).is_none_or(|n| n >= MAX_VALUES) {
        let message =
            format!("expected a range from low to high with at most {MAX_VALUES} values, found `{text}`");
        return Err(Error::text(node.at, message));
    }
    Ok(Some((low..=high).map(Value::Int).collect()))
}

/// `a b | c d` cut into combinations of tokens, each with the column it begins at and whether it was in quotes.
type Combinations = Vec<(Vec<(String, bool)>, usize)>;

fn combinations_of(node: &Node) -> Result<Combinations> {
    if let Data::List(items) = &node.data {
        // A list of combinations, one a line.
        let parts = items.iter().map(combinations_of).collect::<Result<Vec<_>>>()?;
        return Ok(parts.into_iter().flatten().collect());
    }
    let text = node.text("combinations such as `R G | G R`")?;
    let mut combinations: Combinations = vec![(Vec::new(), 0)];
    let mut chars = text.chars().enumerate().peekable();
    while let Some((i, c)) = chars.next() {
        if c == '|' {
            combinations.push((Vec::new(), i + 1));
            continue;
        }
        if c.is_whitespace() {
            continue;
        }
        let mut token = String::new();
        let is_quoted = matches!(c, '\'' | '"');
        if is_quoted {
            loop {
                match chars.next() {
                    Some((_, end)) if end == c => break,
                    Some((_, inner)) => token.push(inner),
                    None => return Err(Error::text(node.at, "expected a closing quote in a combination")),
                }
            }
        } else {
            token.push(c);
            while let Some((_, next)) = chars.next_if(|(_, c)| !c.is_whitespace() && *c != '|') {
                token.push(next);
            }
        }
        if let Some(last) = combinations.last_mut() {
            last.0.push((token, is_quoted));
        }
    }
    Ok(combinations)
}
