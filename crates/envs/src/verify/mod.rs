//! Recorded traces of reference implementations, replayed against ours.
//!
//! A trace file is a JSON object of the format `coact-vectors/1`: a `name`, the `oracle` that produced it, and
//! `cases` with a start, actions, and what the reference said after each step. The rules run twice: in f64, to
//! 1e-9, which shows that they are the same rules, and in f32, the numbers that environments really use, to the
//! tolerances that the file asks for. Not here: reading files, printing.

mod cartpole;
mod lbf;
mod normalizer;
mod particle;
mod record;
mod rware;
mod treasure;

use std::collections::BTreeMap;

use coact_core::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::record::record_trace;

/// The outcome of replaying one trace file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Certificate {
    /// Name in the file, for example `mpe_simple_spread`.
    pub name: String,
    /// Number of cases in the file.
    pub cases: usize,
    /// Cases that agree in f64 and in f32.
    pub passed: usize,
    /// Cases that do not.
    pub failed: usize,
    /// Steps compared in f64.
    pub steps: usize,
    /// Largest difference found in f64, relative to the larger of 1 and the reference.
    pub largest_difference: f64,
    /// The same in f32.
    pub largest_difference_f32: f64,
    /// Package and version that produced the file.
    pub reference: String,
    /// Where the first failed case departs, if one does.
    pub first_failure: Option<String>,
}

/// Replays a trace file against the environment (or normalizer) that its name tells.
///
/// # Errors
/// A file of another format, of an unknown name, or damaged. Disagreement is no error: see
/// [`Certificate::failed`].
pub fn verify_trace(value: &Value) -> Result<Certificate> {
    let format = value.get("format").and_then(Value::as_str).unwrap_or("none");
    if format != "coact-vectors/1" {
        let text = format!("trace file has format `{format}`; it must be `coact-vectors/1`");
        return Err(Error::invalid(text));
    }
    let name = value.get("name").and_then(Value::as_str).unwrap_or("");
    let certificate = replay(value, name)?;
    if certificate.cases == 0 {
        return Err(Error::invalid(format!(
            "trace file {name} has no cases, and so shows nothing; record some"
        )));
    }
    Ok(certificate)
}

fn replay(value: &Value, name: &str) -> Result<Certificate> {
    match name {
        "cartpole" => cartpole::verify(value),
        "lbf" => lbf::verify(value),
        "rware" => rware::verify(value),
        "rl_vecnormalize" => normalizer::verify(value),
        "mpe_collect_treasure" => treasure::verify(value),
        "mpe_simple"
        | "mpe_simple_formation"
        | "mpe_simple_line"
        | "mpe_simple_spread"
        | "mpe_simple_speaker_listener"
        | "mpe_simple_adversary"
        | "mpe_simple_crypto"
        | "mpe_simple_push"
        | "mpe_simple_reference"
        | "mpe_simple_tag"
        | "mpe_simple_world_comm" => particle::verify(value, name),
        other => Err(Error::invalid(format!(
            "no environment replays traces named `{other}`; known: cartpole, lbf, rware, mpe_collect_treasure, \
             mpe_simple, mpe_simple_adversary, mpe_simple_crypto, mpe_simple_formation, mpe_simple_line, mpe_simple_push, mpe_simple_reference, \
             mpe_simple_speaker_listener, mpe_simple_spread, mpe_simple_tag, mpe_simple_world_comm, rl_vecnormalize"
        ))),
    }
}

/// The whole file as a struct.
fn read<T: DeserializeOwned>(value: &Value, name: &str) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|e| Error::invalid(format!("trace file {name}: {e}")))
}

/// All numbers of a nested list in order; NaN, which compares to nothing, for what is no number.
fn flat_numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat_numbers).collect(),
        other => vec![other.as_f64().unwrap_or(f64::NAN)],
    }
}

/// An error about case `case` of a file that contradicts itself.
fn torn(name: &str, case: usize, what: &str) -> Error {
    Error::invalid(format!("trace file {name}, case {case}: {what}; record it again"))
}

/// Package and version of the oracle.
fn reference(value: &Value) -> String {
    let oracle = value.get("oracle");
    let text = |key: &str| oracle.and_then(|o| o.get(key)).and_then(Value::as_str);
    let package = text("package").unwrap_or("unknown");
    match text(package) {
        Some(version) => format!("{package} {version}"),
        None => package.to_string(),
    }
}

/// Comparison of one case in one precision.
#[derive(Debug, Default)]
struct Comparison {
    largest: f64,
    steps: usize,
    failure: Option<String>,
}

impl Comparison {
    /// Compares numbers to an absolute and a relative tolerance; `place` says where they stand.
    fn close(&mut self, place: impl Fn() -> String, ours: &[f64], theirs: &[f64], tolerance: (f64, f64)) {
        if ours.len() != theirs.len() {
            let text = || format!("{}: {} numbers, reference has {}", place(), ours.len(), theirs.len());
            self.failure.get_or_insert_with(text);
            return;
        }
        for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
            let off = (a - b).abs();
            self.largest = self.largest.max(off / b.abs().max(1.0));
            // False for NaN, which fails.
            let agrees = off <= tolerance.0 + tolerance.1 * b.abs();
            if !agrees {
                self.failure.get_or_insert_with(|| format!("{}[{i}] is {a}, reference {b}", place()));
            }
        }
    }

    /// Compares two facts.
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, place: impl Fn() -> String, ours: T, theirs: T) {
        if ours != theirs {
            let text = || format!("{} is {}, reference {}", place(), shown(&ours), shown(&theirs));
            self.failure.get_or_insert_with(text);
        }
    }
}

/// A fact for a person: what may be missing stands as `none` or as it is.
fn shown(fact: &impl std::fmt::Debug) -> String {
    let text = format!("{fact:?}");
    let bare = text.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')'));
    if text == "None" { "none".into() } else { bare.unwrap_or(&text).into() }
}

/// Whether a map by steps has an entry that no step asks for.
fn has_stray<T>(by_step: &BTreeMap<String, T>, n_steps: usize) -> bool {
    let is_step =
        |key: &String| key.parse().is_ok_and(|step: usize| step <= n_steps && *key == step.to_string());
    !by_step.keys().all(is_step)
}

/// Adds cases up to a certificate.
struct Tally {
    certificate: Certificate,
}

impl Tally {
    fn new(value: &Value, name: &str) -> Self {
        let certificate = Certificate {
            name: name.into(),
            cases: 0,
            passed: 0,
            failed: 0,
            steps: 0,
            largest_difference: 0.0,
            largest_difference_f32: 0.0,
            reference: reference(value),
            first_failure: None,
        };
        Self { certificate }
    }

    fn add(&mut self, exact: Comparison, single: Comparison) {
        let c = &mut self.certificate;
        let case = c.cases;
        c.cases += 1;
        c.steps += exact.steps;
        c.largest_difference = c.largest_difference.max(exact.largest);
        c.largest_difference_f32 = c.largest_difference_f32.max(single.largest);
        let failure = match (exact.failure, single.failure) {
            (Some(text), _) => format!("case {case} in f64: {text}"),
            (None, Some(text)) => format!("case {case} in f32: {text}"),
            (None, None) => {
                c.passed += 1;
                return;
            }
        };
        c.failed += 1;
        c.first_failure.get_or_insert(failure);
    }
}

/// A number type that traces are replayed in.
trait Replayed: crate::real::Real<Mask = bool, Int = u32> {
    /// As f64, exactly.
    fn wide(self) -> f64;
}

impl Replayed for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Replayed for f64 {
    fn wide(self) -> f64 {
        self
    }
}

/// Numbers as f64.
fn widened<R: Replayed>(values: &[R]) -> Vec<f64> {
    values.iter().map(|v| v.wide()).collect()
}
