//! `coact verify`: recorded traces of reference implementations against our environments, and results of other
//! commands against independent checks of their answers.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::console::say;
use crate::{Error, Result, solve_extensive};

/// Format of results.
const RESULT: &str = "coact-result/1";

/// Checks every file and prints a certificate for each.
///
/// # Errors
/// A file that cannot be read, a trace that is not reproduced, or a result that does not hold.
pub fn verify(args: &VerifyArgs) -> Result<()> {
    let mut failed = 0;
    for path in &args.files {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::failed(format!("cannot read {}: {e}", path.display())))?;
        // An answer may follow other lines that its command printed.
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let trace: Value = serde_json::from_str(&text)
            .or_else(|e| serde_json::from_str(last).map_err(|_| e))
            .map_err(|e| Error::failed(format!("{} is not JSON: {e}", path.display())))?;
        if trace.get("format").and_then(Value::as_str) == Some(RESULT) {
            failed += usize::from(!say_result(path, &trace, args.json));
            continue;
        }
        let c = coact_envs::verify::verify_trace(&trace)
            .map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
        failed += c.failed;
        if args.json {
            say(json!({
                "file": path, "name": c.name, "cases": c.cases, "passed": c.passed, "failed": c.failed,
                "steps": c.steps, "largest_difference": c.largest_difference,
                "largest_difference_f32": c.largest_difference_f32, "reference": c.reference,
                "first_failure": c.first_failure,
            }));
            continue;
        }
        let verdict = if c.failed == 0 { "ok    " } else { "FAILED" };
        say(format!(
            "{verdict} {:<28} {} of {} cases, {} steps, largest difference {:.1e}, against {}",
            c.name, c.passed, c.cases, c.steps, c.largest_difference, c.reference
        ));
        if let Some(first) = &c.first_failure {
            say(format!("       {first}"));
        }
    }
    if failed > 0 {
        let cases = if failed == 1 { "case does" } else { "cases do" };
        return Err(Error::failed(format!("{failed} {cases} not hold")));
    }
    Ok(())
}

/// Checks a result and prints what came of it; false if it does not hold.
fn say_result(path: &Path, result: &Value, as_json: bool) -> bool {
    let kind = result.get("kind").and_then(Value::as_str).unwrap_or("none");
    let checked = match kind {
        "negotiate" => negotiation(result, as_json),
        "allocate" => coact_allocation::result::verify(result).map_err(|e| e.to_string()),
        "solve" if result["form"] == "extensive" => {
            solve_extensive::verify(result).map_err(|e| e.to_string())
        }
        "solve" => coact_games::check::verify(result).map_err(|e| e.to_string()),
        "plan" => coact_tabular::result::check(result)
            .map_err(|e| e.to_string())
            .and_then(|verdict| if verdict.holds { Ok(verdict.detail) } else { Err(verdict.detail) }),
        other => Err(format!("results of kind `{other}` are not known")),
    };
    let passed = checked.is_ok();
    let (Ok(words) | Err(words)) = checked;
    if as_json {
        say(json!({ "file": path, "kind": kind, "passed": passed, "detail": words }));
    } else {
        say(format!("{} {} ({kind}): {words}", if passed { "ok    " } else { "FAILED" }, path.display()));
    }
    passed
}

/// All claims of a negotiation, each with what was found.
fn negotiation(result: &Value, as_json: bool) -> std::result::Result<String, String> {
    let checked = coact_negotiation::check::check(result).map_err(|e| e.to_string())?;
    let word = |holds| match holds {
        Some(true) => "ok    ",
        Some(false) => "FAILED",
        None => "open  ",
    };
    let (before, between) = if as_json { ("", "; ") } else { ("\n       ", "") };
    let claims = checked.claims.iter();
    let claims = claims.map(|c| format!("{before}{} {}: {}", word(c.holds), c.claim, c.detail));
    let words = format!(
        "{} by {}{between}{}",
        checked.family,
        checked.method,
        claims.collect::<Vec<_>>().join(between)
    );
    if checked.holds() { Ok(words) } else { Err(words) }
}
