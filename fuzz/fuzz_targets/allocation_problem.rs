//! Problems of allocation: arbitrary text is read or refused with a place in it, and what is read and small is solved
//! by its default method, and the result holds.

#![no_main]

use coact_allocation::Error;
use coact_allocation::input::{Problem, read_problem};
use coact_allocation::methods::{Options, default_method, solve};
use coact_allocation::result::{to_json, verify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let problem = match read_problem(text) {
        Ok(problem) => problem,
        Err(Error::Parse { line, column, .. }) => {
            assert!(line >= 1 && line <= text.lines().count().max(1) + 1 && column >= 1);
            return;
        }
        Err(_) => return,
    };
    let is_large = match &problem {
        Problem::Sparse { costs, .. } => costs.n_rows().max(costs.n_cols()) > 100,
        Problem::Coalition { players, .. } => players.len() > 8,
        _ => text.len() > 2000,
    };
    let options = Options { max_rounds: Some(500), ..Options::default() };
    if is_large {
        return;
    }
    let Ok(answer) = solve(&problem, default_method(&problem), &options) else { return };
    if answer.is_agreed == Some(false) {
        return;
    }
    // Sums of numbers of very different size may miss the tolerance of the check.
    if let Ok(mut result) = to_json(&problem, &answer) {
        result["problem"] = serde_json::json!({ "text": text });
        let _ = verify(&result);
    }
});
