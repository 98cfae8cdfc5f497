//! Checks result files of negotiations: what a solver claims is computed again from the problem in the file, by code that
//! shares only the readers of problems with the solvers.
//!
//! A result file is a JSON object: `format` is `coact-result/1`, `kind` is `negotiate`, `family` says which part of this crate
//! it came from, `method` which method, `problem` holds the text or the profiles; beside these stands what was found.

mod agreements;
mod constraints;
mod mechanisms;
mod talks;

use serde_json::{Value, json};

use crate::{Error, Result};

/// The value of `format`.
pub const FORMAT: &str = "coact-result/1";
/// The value of `kind`.
pub const KIND: &str = "negotiate";

/// Something that a result claims.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What is claimed, in a few words.
    pub claim: String,
    /// Whether it holds; `None` where checking would take too long.
    pub holds: Option<bool>,
    /// What was found.
    pub detail: String,
}

/// All claims of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The part of this crate that the result came from.
    pub family: String,
    /// The method that found it.
    pub method: String,
    /// The claims.
    pub claims: Vec<Claim>,
}

impl Checked {
    /// Whether no claim is false.
    pub fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.holds != Some(false))
    }
}

/// Puts a result file together: an answer, and what it answers.
pub fn result_file(family: &str, method: &str, problem: Value, answer: Value) -> Value {
    let mut file = answer;
    file["format"] = json!(FORMAT);
    file["kind"] = json!(KIND);
    file["family"] = json!(family);
    file["method"] = json!(method);
    file["problem"] = problem;
    file
}

/// Checks a result file.
///
/// # Errors
/// [`Error::Invalid`] for a file that is none, [`Error::Text`] for a problem in it that cannot be read.
pub fn check(file: &Value) -> Result<Checked> {
    if file["format"] != FORMAT || file["kind"] != KIND {
        return Err(Error::invalid(format!("expected a result with format {FORMAT} and kind {KIND}")));
    }
    let (family, method) = (text(file, "family")?, text(file, "method")?);
    let (problem, answer) = (&file["problem"], file);
    let claims = match family {
        "dcop" => constraints::check(method, problem, answer),
        "bargaining" => talks::check(method, problem, answer),
        "mechanism" => mechanisms::check(method, problem, answer),
        "agreement" => agreements::check(problem, answer),
        other => Err(Error::invalid(format!(
            "expected the family dcop, bargaining, mechanism or agreement, found `{other}`"
        ))),
    }?;
    Ok(Checked { family: family.into(), method: method.into(), claims })
}

fn claim(claim: impl Into<String>, holds: bool, detail: impl Into<String>) -> Claim {
    Claim { claim: claim.into(), holds: Some(holds), detail: detail.into() }
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().ok_or_else(|| Error::invalid(format!("expected a text `{key}` in the result")))
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().ok_or_else(|| Error::invalid(format!("expected a number `{key}` in the result")))
}

/// Equal up to the rounding of sums.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}
