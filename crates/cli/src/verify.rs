//! `coact verify`: recorded traces of reference implementations against our environments.

use serde_json::{Value, json};

use crate::args::VerifyArgs;
use crate::console::say;
use crate::{Error, Result};

/// Replays every file and prints a certificate for each.
///
/// # Errors
/// A file that cannot be read, or a trace that is not reproduced.
pub fn verify(args: &VerifyArgs) -> Result<()> {
    let mut failed = 0;
    for path in &args.files {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::failed(format!("cannot read {}: {e}", path.display())))?;
        let trace: Value = serde_json::from_str(&text)
            .map_err(|e| Error::failed(format!("{} is not a JSON trace: {e}", path.display())))?;
        let c = coact_envs::verify::verify_trace(&trace)
            .map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
        failed += c.failed;
        if args.json {
            say(json!({
                "file": path, "name": c.name, "cases": c.cases, "passed": c.passed, "failed": c.failed,
                "steps": c.steps, "largest_difference": c.largest_difference, "reference": c.reference,
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
        return Err(Error::failed(format!("{failed} cases are not reproduced")));
    }
    Ok(())
}
