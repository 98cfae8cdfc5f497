//! Recorded vectors of reference implementations, replayed through our code.
//!
//! A file is a JSON object of the format `coact-vectors/1` with a `name` that says what it is about and a list
//! `cases`. Any file of the format can be given, with other values than those kept in this repository. Parts of a
//! case that nothing here knows are listed as not covered; fields beyond the known ones are ignored.

mod allocation;
mod case;
mod formats;
mod games;
mod markov_games;
mod mixing;
mod models;
mod modules;
mod optimizers;
mod policy_gradients;
mod regret;
mod replay;
mod schedules;
mod targets;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use case::{Case, Fault};

/// What came of one file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Name in the file.
    pub name: String,
    /// Cases of which every part that the code covers agrees.
    pub passed: usize,
    /// Cases with a part that does not agree or is not whole.
    pub failed: usize,
    /// What the code does not cover: parts of cases, or all of them.
    pub not_covered: BTreeSet<String>,
    /// Where failed cases depart.
    pub failures: Vec<String>,
}

/// Checks one case; faults and parts not covered are noted in it.
type Check = fn(&mut Case<'_>) -> Result<(), Fault>;

/// Files whose cases are checked here, by name.
const CHECKS: &[(&str, Check)] = &[
    ("rl_dqn_targets", targets::check),
    ("rl_nstep", replay::check_n_step),
    ("rl_per", replay::check_priorities),
    ("rl_optim", optimizers::check),
    ("rl_schedules", schedules::check),
    ("nn_modules", modules::check),
    ("games_bimatrix", games::check_bimatrix),
    ("games_zero_sum", games::check_zero_sum),
    ("games_dynamics", games::check_dynamics),
    ("fmt_tensorboard", formats::check_tensorboard),
    ("fmt_safetensors", formats::check_safetensors),
    ("assignment", allocation::check_assignments),
    ("task_allocation", allocation::check_task_allocations),
    ("cfr", regret::check),
    ("mdp", models::check),
    ("games_stochastic_zero_sum", markov_games::check),
    ("rl_gae", policy_gradients::check_gae),
    ("rl_td_lambda", policy_gradients::check_td_lambda),
    ("rl_ppo_loss", policy_gradients::check_ppo_loss),
    ("rl_distributions", policy_gradients::check_distributions),
    ("rl_valuenorm", policy_gradients::check_value_norm),
    ("marl_qmix", mixing::check_qmix),
    ("marl_q_learner", mixing::check_q_learner),
];

/// Files whose cases environments (and the normalizer among their wrappers) replay.
const TRACES: &[&str] = &[
    "cartpole",
    "lbf",
    "rware",
    "mpe_collect_treasure",
    "mpe_simple",
    "mpe_simple_formation",
    "mpe_simple_line",
    "mpe_simple_spread",
    "mpe_simple_speaker_listener",
    "mpe_simple_adversary",
    "mpe_simple_crypto",
    "mpe_simple_push",
    "mpe_simple_reference",
    "mpe_simple_tag",
    "mpe_simple_world_comm",
    "rl_vecnormalize",
];

/// Checks a whole file.
///
/// # Errors
/// One line that says why this is not a vector file.
pub fn check(file: &Value) -> Result<Report, String> {
    let format = file.get("format").and_then(Value::as_str).unwrap_or("none");
    if format != "coact-vectors/1" {
        return Err(format!("its format is `{format}`, not `coact-vectors/1`"));
    }
    let Some(name) = file.get("name").and_then(Value::as_str) else {
        return Err("it has no `name`".into());
    };
    let Some(cases) = file.get("cases").and_then(Value::as_array) else {
        return Err("it has no list `cases`".into());
    };
    if TRACES.contains(&name) {
        return trace(name, file);
    }
    match CHECKS.iter().find(|(known, _)| *known == name) {
        Some((_, check)) => Ok(report(name, cases, *check)),
        None => {
            let not_covered = BTreeSet::from([format!("all {} cases", cases.len())]);
            Ok(Report { name: name.into(), not_covered, ..Report::default() })
        }
    }
}

fn trace(name: &str, file: &Value) -> Result<Report, String> {
    let certificate = coact_envs::verify::verify_trace(file).map_err(|e| e.to_string())?;
    Ok(Report {
        name: name.into(),
        passed: certificate.passed,
        failed: certificate.failed,
        not_covered: BTreeSet::new(),
        failures: certificate.first_failure.into_iter().collect(),
    })
}

fn report(name: &str, cases: &[Value], check: Check) -> Report {
    let mut report = Report { name: name.into(), ..Report::default() };
    for (index, value) in cases.iter().enumerate() {
        let mut case = Case::new(value);
        if let Err(fault) = check(&mut case) {
            case.fault(fault);
        }
        if let Some(fault) = case.first_fault() {
            report.failed += 1;
            let seed = value.get("seed").and_then(Value::as_i64).map(|s| format!(" (seed {s})"));
            report.failures.push(format!("case {index}{}: {fault}", seed.unwrap_or_default()));
        } else if case.compared() > 0 {
            report.passed += 1;
        } else {
            case.not_covered("cases of unknown content");
        }
        report.not_covered.extend(case.into_not_covered());
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<Value> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors");
        let read =
            |path: std::path::PathBuf| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        std::fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap().path())).collect()
    }

    #[test]
    fn every_file_that_is_kept_passes() {
        // Several files may be of one name, with other options.
        let mut covered = BTreeSet::new();
        for file in files() {
            let report = check(&file).unwrap();
            assert_eq!(report.failures, Vec::<String>::new(), "{}", report.name);
            assert_eq!(report.failed, 0, "{}", report.name);
            assert!(report.passed > 0, "{}", report.name);
            covered.insert(report.name);
        }
        assert_eq!(covered.len(), CHECKS.len() + TRACES.len());
    }

    /// Every number, in turn, is moved by more than any tolerance (or flipped, if it is a bool). Inputs
    /// move the outputs with them, so nearly every change must be noticed; rounding to an integer, clipping,
    /// saturated schedules and unused discounts may hide one.
    #[test]
    fn a_changed_number_is_noticed() {
        for file in files() {
            let name = file["name"].as_str().unwrap_or_default().to_string();
            if !CHECKS.iter().any(|(known, _)| *known == name) || name.starts_with("fmt_") {
                continue;
            }
            let cases = file["cases"].as_array().unwrap();
            let (mut noticed, mut changes) = (0, 0);
            let n_leaves = leaves(&cases[0]);
            for leaf in (0..n_leaves).step_by(1 + n_leaves / 150) {
                let mut changed = cases[0].clone();
                if !change(&mut changed, &mut { leaf }) {
                    continue;
                }
                let one = serde_json::json!({"format": "coact-vectors/1", "name": name, "cases": [changed]});
                changes += 1;
                noticed += check(&one).unwrap().failed;
            }
            let share = noticed as f64 / f64::from(changes);
            // Payoffs that nobody plays for, costs of pairs that no optimum takes and values of actions that nobody
            // chooses may change unseen.
            let is_sparse =
                ["nn_modules", "assignment", "task_allocation", "marl_q_learner"].contains(&name.as_str());
            let expected = if is_sparse || name.starts_with("games_") { 0.2 } else { 0.6 };
            assert!(share > expected, "{name}: {noticed} of {changes} changes noticed");
        }
    }

    fn leaves(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(leaves).sum(),
            Value::Object(fields) => fields.values().map(leaves).sum(),
            _ => 1,
        }
    }

    /// Changes the `leaf`-th leaf; false if that is neither number nor bool.
    fn change(value: &mut Value, leaf: &mut usize) -> bool {
        match value {
            Value::Array(items) => items.iter_mut().any(|v| *leaf != usize::MAX && change(v, leaf)),
            Value::Object(fields) => fields.values_mut().any(|v| *leaf != usize::MAX && change(v, leaf)),
            _ if *leaf > 0 => {
                *leaf -= 1;
                false
            }
            other => {
                *leaf = usize::MAX;
                let moved = match other {
                    Value::Bool(b) => Value::from(!*b),
                    Value::Number(n) if n.is_u64() => Value::from(n.as_u64().unwrap() + 1),
                    Value::Number(n) => Value::from(n.as_f64().unwrap() * 1.37 + 0.21),
                    _ => return false,
                };
                *other = moved;
                true
            }
        }
    }

    #[test]
    fn strangers_and_torn_files_are_told_apart() {
        let file = |text: &str| check(&serde_json::from_str(text).unwrap());
        assert!(file("[1]").is_err());
        assert!(file(r#"{"format": "coact-vectors/2", "name": "rl_per", "cases": []}"#).is_err());
        assert!(file(r#"{"format": "coact-vectors/1", "name": "rl_per"}"#).is_err());
        let stranger = file(r#"{"format": "coact-vectors/1", "name": "chess", "cases": [{}]}"#).unwrap();
        assert!(stranger.passed == 0 && stranger.failed == 0 && !stranger.not_covered.is_empty());
        for (name, _) in CHECKS {
            for torn in ["{}", "null", "[]", r#"{"seed": "x", "n": -1}"#] {
                let text = format!(r#"{{"format": "coact-vectors/1", "name": "{name}", "cases": [{torn}]}}"#);
                assert_eq!(file(&text).unwrap().passed, 0, "{name} accepted {torn}");
            }
        }
    }

    /// Fields removed or replaced one by one: never a panic, and never a case that passes unread.
    #[test]
    fn damaged_cases_do_not_panic() {
        for file in files() {
            let name = file["name"].as_str().unwrap_or_default().to_string();
            if !CHECKS.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let case = file["cases"][0].as_object().unwrap().clone();
            for key in case.keys() {
                for wrong in
                    [None, Some(Value::Null), Some(serde_json::json!([[]])), Some(serde_json::json!(-3.5))]
                {
                    let mut damaged = case.clone();
                    match wrong {
                        None => drop(damaged.remove(key)),
                        Some(wrong) => drop(damaged.insert(key.clone(), wrong)),
                    }
                    let one =
                        serde_json::json!({"format": "coact-vectors/1", "name": name, "cases": [damaged]});
                    check(&one).unwrap();
                }
            }
        }
    }
}
