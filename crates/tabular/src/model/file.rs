//! Models as JSON or TOML, read and written.
//!
//! Transitions one by one (unlisted actions are illegal):
//!
//! ```toml
//! gamma = 0.9
//! states = ["cold", "warm", "broken"]      # or a number
//! actions = ["slow", "fast"]               # or a number
//! start = "cold"                           # or a number, or probabilities; state 0 if left out
//! terminal = ["broken"]
//! transitions = [                          # state, action, next state, probability, reward
//!     ["cold", "slow", "cold", 1.0, 1.0],
//!     ["cold", "fast", "warm", 1.0, 2.0],
//!     ["warm", "slow", "cold", 1.0, 1.0],
//!     ["warm", "fast", "broken", 1.0, -10.0],
//! ]
//! ```
//!
//! Or as tables, the form of recorded vectors: `P` `[s][a][s']` and `R` `[s][a]`, `[s][a][s']` or `[s]`. A file of the
//! format `coact-vectors/1` holds such tables in a list `cases`.
//!
//! Not here: text grids (`grid`).

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::{Kernel, Model, ModelBuilder};
use crate::{Error, Result};

/// Reads a model from JSON.
///
/// # Errors
/// Where the text is not JSON of the form above (with line and column), or not a model.
pub fn read_json(text: &str) -> Result<Model> {
    read_case(text, 0)
}

/// Reads a model from JSON; of a file with `cases`, case number `case`.
///
/// # Errors
/// As [`read_json`], or a file without that case.
pub fn read_case(text: &str, case: usize) -> Result<Model> {
    let file: ModelFile = serde_json::from_str(text).map_err(json_error)?;
    if file.transitions.is_some() {
        let _: StrictFile = serde_json::from_str(text).map_err(json_error)?;
    }
    match &file.cases {
        Some(cases) => {
            let file = cases.get(case).ok_or_else(|| {
                Error::invalid(format!(
                    "there is no case {case}; the file has {}, counted from 0",
                    cases.len()
                ))
            })?;
            file.model()
        }
        None if case == 0 => file.model(),
        None => Err(Error::invalid(format!("case {case} of a file without `cases`; leave the case out"))),
    }
}

/// Reads a model from TOML.
///
/// # Errors
/// Where the text is not TOML of the form above (with line and column), or not a model.
pub fn read_toml(text: &str) -> Result<Model> {
    let file: ModelFile = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
    if file.transitions.is_some() {
        let _: StrictFile = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
    }
    file.model()
}

fn json_error(error: serde_json::Error) -> Error {
    let (line, column) = (error.line().max(1), error.column().max(1));
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    Error::parse(line, column, message)
}

fn toml_error(text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = &text.as_bytes()[..at];
    let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|&&b| b != b'\n').count();
    Error::parse(line, column, error.message().replace('\n', "; "))
}

/// State, action, next state, probability, reward.
type Transition = (Ref, Ref, Ref, f64, f64);

/// What a file may hold. Unknown fields are ignored here: recorded vectors carry results beside the tables.
#[derive(Deserialize)]
struct ModelFile {
    gamma: Option<f64>,
    states: Option<CountOrNames>,
    actions: Option<CountOrNames>,
    start: Option<Start>,
    #[serde(default)]
    terminal: Vec<Ref>,
    transitions: Option<Vec<Transition>>,
    #[serde(rename = "P")]
    p: Option<Nest>,
    #[serde(rename = "R")]
    r: Option<Nest>,
    cases: Option<Vec<ModelFile>>,
}

/// The fields of the form with transitions, to refuse misspelled ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed, to refuse unknown fields")]
struct StrictFile {
    format: Option<de::IgnoredAny>,
    name: Option<de::IgnoredAny>,
    gamma: Option<de::IgnoredAny>,
    states: Option<de::IgnoredAny>,
    actions: Option<de::IgnoredAny>,
    start: Option<de::IgnoredAny>,
    terminal: Option<de::IgnoredAny>,
    transitions: Option<de::IgnoredAny>,
}

impl ModelFile {
    fn model(&self) -> Result<Model> {
        let gamma =
            self.gamma.ok_or_else(|| Error::invalid("`gamma` is missing; a model needs its discount"))?;
        match (&self.p, &self.r, &self.transitions) {
            (Some(p), Some(r), None) => self.model_of_tables(p, r, gamma),
            (None, None, Some(transitions)) => self.model_of_transitions(transitions, gamma),
            _ => Err(Error::invalid(
                "a model is either a list `transitions` or tables `P` and `R`, and not both",
            )),
        }
    }

    fn model_of_transitions(&self, transitions: &[Transition], gamma: f64) -> Result<Model> {
        let missing =
            |what: &str| Error::invalid(format!("`{what}` is missing: give their number or their names"));
        let states = self.states.as_ref().ok_or_else(|| missing("states"))?;
        let actions = self.actions.as_ref().ok_or_else(|| missing("actions"))?;
        // Every state that is not terminal has an outcome; tables are allocated by what is there, not by what is said.
        let given = transitions.len() + self.terminal.len();
        let rows = states.count().saturating_mul(actions.count());
        if states.count() > given || rows > given.saturating_mul(64).saturating_add(4096) {
            return Err(Error::invalid(format!(
                "{} states and {} actions, but only {} transitions and {} terminal states; list them all",
                states.count(),
                actions.count(),
                transitions.len(),
                self.terminal.len()
            )));
        }
        let mut b = ModelBuilder::new(states.count(), actions.count(), gamma);
        for (i, (s, a, n, p, r)) in transitions.iter().enumerate() {
            let at = |part: &str| format!("transitions[{i}], {part}");
            let (s, n) = (states.find(s, &at("state"))?, states.find(n, &at("next state"))?);
            b.transition(s, actions.find(a, &at("action"))?, n, *p, *r);
        }
        for terminal in &self.terminal {
            b.terminal(states.find(terminal, "terminal")?);
        }
        match &self.start {
            None => {}
            Some(Start::One(state)) => {
                b.start(states.find(state, "start")?, 1.0);
            }
            Some(Start::Probabilities(p)) => {
                p.iter().enumerate().for_each(|(s, &p)| {
                    b.start(s, p);
                });
            }
        }
        if let CountOrNames::Names(names) = states {
            b.state_names(names.clone());
        }
        if let CountOrNames::Names(names) = actions {
            b.action_names(names.clone());
        }
        b.build()
    }

    fn model_of_tables(&self, p: &Nest, r: &Nest, gamma: f64) -> Result<Model> {
        let rows = p.list("P")?;
        let n_states = rows.len();
        let n_actions = rows.first().map_or(Ok(0), |row| row.list("P[0]").map(<[Nest]>::len))?;
        super::build::checked_rows(n_states, n_actions)?;
        let mut transition = Vec::new();
        p.flatten("P", &[n_states, n_actions, n_states], &mut transition)?;
        let mut reward = Vec::new();
        match r.depth() {
            1 => {
                let mut of_state = Vec::new();
                r.flatten("R", &[n_states], &mut of_state)?;
                reward.extend(of_state.iter().flat_map(|&x| std::iter::repeat_n(x, n_actions)));
            }
            2 => r.flatten("R", &[n_states, n_actions], &mut reward)?,
            _ => {
                let mut of_next = Vec::new();
                r.flatten("R", &[n_states, n_actions, n_states], &mut of_next)?;
                let rows = transition.chunks_exact(n_states).zip(of_next.chunks_exact(n_states));
                reward.extend(rows.map(|(p, r)| p.iter().zip(r).map(|(p, r)| p * r).sum::<f64>()));
            }
        }
        let mut model = Model::dense(n_states, n_actions, gamma, transition, reward)?;
        for terminal in &self.terminal {
            let state = CountOrNames::Count(n_states).find(terminal, "terminal")?;
            model.terminal[state] = true;
        }
        match &self.start {
            Some(Start::Probabilities(p)) if p.len() == n_states => model.start.clone_from(p),
            Some(Start::Probabilities(p)) => {
                return Err(Error::invalid(format!("`start` has {} numbers for {n_states} states", p.len())));
            }
            Some(Start::One(state)) => {
                model.start.fill(0.0);
                model.start[CountOrNames::Count(n_states).find(state, "start")?] = 1.0;
            }
            None => {}
        }
        model.check()?;
        Ok(model)
    }
}

/// A state or an action: its number or its name.
enum Ref {
    Number(u64),
    Name(String),
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct RefVisitor;
        impl Visitor<'_> for RefVisitor {
            type Value = Ref;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number or the name of a state or an action")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Ref, E> {
                Ok(Ref::Number(v))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Ref, E> {
                u64::try_from(v).map(Ref::Number).map_err(|_| E::custom(format!("{v} is negative")))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Ref, E> {
                Ok(Ref::Name(v.into()))
            }
        }
        d.deserialize_any(RefVisitor)
    }
}

/// How many there are, or what they are called.
enum CountOrNames {
    Count(usize),
    Names(Vec<String>),
}

impl CountOrNames {
    fn count(&self) -> usize {
        match self {
            Self::Count(n) => *n,
            Self::Names(names) => names.len(),
        }
    }

    fn find(&self, which: &Ref, at: &str) -> Result<usize> {
        match (which, self) {
            (Ref::Number(i), _) if *i < self.count() as u64 => Ok(*i as usize),
            (Ref::Number(i), _) => Err(Error::invalid(format!("{at}: {i} is not below {}", self.count()))),
            (Ref::Name(name), Self::Names(names)) => names.iter().position(|n| n == name).ok_or_else(|| {
                let hint = coact_core::nearest::hint(name, names.iter().map(String::as_str));
                Error::invalid(format!("{at}: there is no `{name}`{hint}"))
            }),
            (Ref::Name(name), Self::Count(_)) => Err(Error::invalid(format!(
                "{at}: `{name}` is a name, but only a number of them was declared"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for CountOrNames {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl<'de> Visitor<'de> for CountVisitor {
            type Value = CountOrNames;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a list of names")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<CountOrNames, E> {
                usize::try_from(v)
                    .map(CountOrNames::Count)
                    .map_err(|_| E::custom(format!("{v} is too large")))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<CountOrNames, E> {
                usize::try_from(v).map(CountOrNames::Count).map_err(|_| E::custom(format!("{v} is negative")))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<CountOrNames, S::Error> {
                let mut names: Vec<String> = Vec::new();
                let mut seen = std::collections::BTreeSet::new();
                while let Some(name) = seq.next_element::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(de::Error::custom(format!("the name `{name}` occurs twice")));
                    }
                    names.push(name);
                }
                Ok(CountOrNames::Names(names))
            }
        }
        d.deserialize_any(CountVisitor)
    }
}

/// Where episodes start.
enum Start {
    One(Ref),
    Probabilities(Vec<f64>),
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct StartVisitor;
        impl<'de> Visitor<'de> for StartVisitor {
            type Value = Start;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a state or a list of probabilities")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Start, E> {
                Ok(Start::One(Ref::Number(v)))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Start, E> {
                u64::try_from(v)
                    .map(|v| Start::One(Ref::Number(v)))
                    .map_err(|_| E::custom(format!("{v} is negative")))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Start, E> {
                Ok(Start::One(Ref::Name(v.into())))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Start, S::Error> {
                let mut p = Vec::new();
                while let Some(x) = seq.next_element()? {
                    p.push(x);
                }
                Ok(Start::Probabilities(p))
            }
        }
        d.deserialize_any(StartVisitor)
    }
}

/// Numbers in nested lists of any depth that the reader allows.
enum Nest {
    Number(f64),
    List(Vec<Nest>),
}

impl Nest {
    fn list(&self, at: &str) -> Result<&[Nest]> {
        match self {
            Self::List(list) => Ok(list),
            Self::Number(_) => Err(Error::invalid(format!("{at} is a number where a list belongs"))),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::List(list) => 1 + list.first().map_or(0, Nest::depth),
        }
    }

    /// Appends all numbers, row-major, checking lengths against `shape`.
    fn flatten(&self, at: &str, shape: &[usize], out: &mut Vec<f64>) -> Result<()> {
        match (self, shape) {
            (Self::Number(x), []) => {
                out.push(*x);
                Ok(())
            }
            (Self::List(list), [n, rest @ ..]) if list.len() == *n => {
                list.iter().enumerate().try_for_each(|(i, x)| x.flatten(&format!("{at}[{i}]"), rest, out))
            }
            (Self::List(list), [n, ..]) => {
                Err(Error::invalid(format!("{at} has {} entries, {n} belong there", list.len())))
            }
            (Self::List(_), []) => Err(Error::invalid(format!("{at} is a list where a number belongs"))),
            (Self::Number(_), _) => Err(Error::invalid(format!("{at} is a number where a list belongs"))),
        }
    }
}

impl<'de> Deserialize<'de> for Nest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct NestVisitor;
        impl<'de> Visitor<'de> for NestVisitor {
            type Value = Nest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a list of numbers")
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Nest, E> {
                match v.is_finite() {
                    true => Ok(Nest::Number(v)),
                    false => Err(E::custom(format!("{v} is not a finite number"))),
                }
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Nest, E> {
                Ok(Nest::Number(v as f64))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Nest, E> {
                Ok(Nest::Number(v as f64))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Nest, S::Error> {
                let mut list = Vec::new();
                while let Some(x) = seq.next_element()? {
                    list.push(x);
                }
                Ok(Nest::List(list))
            }
        }
        d.deserialize_any(NestVisitor)
    }
}

/// The model as JSON that [`read_json`] reads back: tables for a dense kernel, transitions for a sparse one.
pub fn write_json(model: &Model) -> Value {
    let indices: Vec<usize> = (0..model.n_states).filter(|&s| model.terminal[s]).collect();
    let mut file =
        json!({ "format": "coact-mdp/1", "gamma": model.gamma, "start": model.start, "terminal": indices });
    let dense_tables =
        model.legal.is_empty() && model.state_names.is_empty() && model.action_names.is_empty();
    if let (Kernel::Dense(p), true) = (&model.kernel, dense_tables) {
        let (n_s, n_a) = (model.n_states, model.n_actions);
        let rows = |s: usize| -> Vec<&[f64]> { (0..n_a).map(|a| &p[(s * n_a + a) * n_s..][..n_s]).collect() };
        file["P"] = (0..n_s).map(|s| json!(rows(s))).collect();
        file["R"] = model.reward.chunks_exact(n_a).map(|row| json!(row)).collect();
        return file;
    }
    let names = |names: &[String], n: usize| if names.is_empty() { json!(n) } else { json!(names) };
    file["states"] = names(&model.state_names, model.n_states);
    file["actions"] = names(&model.action_names, model.n_actions);
    let pairs = (0..model.n_states).flat_map(|s| (0..model.n_actions).map(move |a| (s, a)));
    file["transitions"] = pairs
        .flat_map(|(s, a)| model.outcomes(s, a).map(move |o| json!([s, a, o.next, o.prob, o.reward])))
        .collect();
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    const RACE: &str = r#"
gamma = 0.9
states = ["cold", "warm", "broken"]
actions = ["slow", "fast"]
start = "warm"
terminal = ["broken"]
transitions = [
    ["cold", "slow", "cold", 1.0, 1.0],
    ["cold", "fast", "warm", 1.0, 2.0],
    ["warm", "slow", "cold", 1, 1],
    ["warm", "fast", "broken", 1.0, -10.0],
]"#;

    #[test]
    fn toml_and_its_json_are_the_same_model() {
        let model = read_toml(RACE).unwrap();
        assert_eq!(model.start(), &[0.0, 1.0, 0.0]);
        assert_eq!(model.state_name(1), "warm");
        assert!(model.is_terminal(2));
        assert_eq!(read_json(&write_json(&model).to_string()).unwrap(), model);
    }

    #[test]
    fn faults_carry_their_place() {
        let check = |text: &str, expected: &str| {
            let error = read_toml(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        };
        check(&RACE.replace("-10.0", "oops"), "line 11, column");
        check(&RACE.replace("terminal", "terminals"), "line 6, column 1: unknown field `terminals`");
        check(
            &RACE.replace("[\"cold\", \"fast\"", "[\"cald\", \"fast\""),
            "transitions[1], state: there is no `cald`; did",
        );
        check(&RACE.replace("1, 1]", "0.5, 1]"), "state warm, action slow sum to 0.5");
        let error =
            read_json("{\"gamma\": 0.9,\n \"P\": [[[1.0, true]]], \"R\": [[1]]}").unwrap_err().to_string();
        assert!(error.starts_with("line 2, column"), "{error}");
        let ragged = read_json(r#"{"gamma": 0.9, "P": [[[1.0, 0.0]]], "R": [[1]]}"#).unwrap_err().to_string();
        assert_eq!(ragged, "P[0][0] has 2 entries, 1 belong there");
    }

    #[test]
    fn rewards_of_next_states_are_averaged() {
        let text = r#"{"gamma": 0.5, "P": [[[0.25, 0.75]], [[0, 1]]], "R": [[[4, 0]], [[0, 8]]]}"#;
        assert_eq!(read_json(text).unwrap().reward(), &[1.0, 8.0]);
    }
}
