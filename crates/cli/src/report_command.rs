//! `coact report`: reads run folders and writes one page about them.

use std::path::{Path, PathBuf};

use coact_runner::metrics::read_metrics;
use coact_runner::stats::{Estimate, iqm_interval};
use coact_runner::write_atomic;
use serde_json::{Value, json};

use crate::args::ReportArgs;
use crate::console::{note, say};
use crate::groups::{BOOTSTRAP_SEED, Group, group, plural};
use crate::report::{EvaluationSummary, FINAL_REPS, Picture, RunSummary, html_report};
use crate::run_folder::RunFolder;
use crate::{Error, Result, compare, marl_eval};

/// Writes one page about the runs given.
///
/// # Errors
/// A folder that is not a run, a page that cannot be written.
pub fn report(args: &ReportArgs) -> Result<()> {
    let runs = args.runs.iter().map(|dir| summary(&RunFolder::at(dir))).collect::<Result<Vec<_>>>()?;
    for run in runs.iter().filter(|r| r.evaluation.is_none()) {
        note(format!("{} has not ended; its final table is empty", run.name));
    }
    let out = match (&args.out, &args.runs[..]) {
        (Some(out), _) => out.clone(),
        (None, [only]) => only.join("report.html"),
        (None, _) => PathBuf::from("report.html"),
    };
    write_atomic(&out, html_report(&runs)?.as_bytes())?;
    if let Some(file) = &args.marl_eval {
        write_atomic(file, format!("{:#}\n", marl_eval::json(&runs)).as_bytes())?;
    }
    let groups = group(&runs);
    groups.iter().for_each(|g| say(final_line(g, &groups)));
    say(out.display());
    if args.json {
        say(json!({
            "page": out, "groups": groups.iter().map(|g| final_json(g, &groups)).collect::<Vec<_>>(),
            "probability_of_improvement": compare::improvements(&groups),
        }));
    }
    Ok(())
}

/// The final returns of runs that differ in nothing but the seed.
fn final_json(group: &Group<'_>, groups: &[Group<'_>]) -> Value {
    let returns: Vec<f64> =
        group.runs.iter().filter_map(|r| r.evaluation.as_ref()).map(|e| e.return_mean).collect();
    let Estimate { iqm, low, high } = iqm_interval(&[&returns], FINAL_REPS, BOOTSTRAP_SEED);
    json!({
        "algorithm": group.variant(groups), "env": group.first().env, "returns": returns,
        "return_iqm": iqm, "low": low, "high": high,
    })
}

/// The final return of runs that differ in nothing but the seed.
fn final_line(group: &Group<'_>, groups: &[Group<'_>]) -> String {
    let ended: Vec<&EvaluationSummary> = group.runs.iter().filter_map(|r| r.evaluation.as_ref()).collect();
    let returns: Vec<f64> = ended.iter().map(|e| e.return_mean).collect();
    let slowest = group.runs.iter().map(|r| r.wall_s).fold(0.0, f64::max);
    let label = group.label(groups);
    let name = format!("{label}, {} {}", ended.len(), plural(ended.len(), "run"));
    if returns.is_empty() {
        return format!("{name}: not ended yet");
    }
    let Estimate { iqm, low, high } = iqm_interval(&[&returns], FINAL_REPS, BOOTSTRAP_SEED);
    let random = ended.iter().map(|e| e.random_return_mean).sum::<f64>() / ended.len() as f64;
    format!(
        "{name}: final return {iqm:.2} (interquartile mean, 95 % interval {low:.2} to {high:.2}), random {random:.2}, at most {slowest:.1} s a run"
    )
}

/// Writes `report.html` into a run folder.
///
/// # Errors
/// As [`report`].
pub fn write_run_report(folder: &RunFolder) -> Result<()> {
    let page = html_report(&[summary(folder)?])?;
    Ok(write_atomic(&folder.dir.join("report.html"), page.as_bytes())?)
}

/// What a run folder tells.
///
/// # Errors
/// A folder that is not a run, or holds files that cannot be read.
pub fn summary(folder: &RunFolder) -> Result<RunSummary> {
    let config = folder.config()?;
    let metrics =
        if folder.metrics_file().exists() { read_metrics(&folder.metrics_file())? } else { Vec::new() };
    let result = read_result(&folder.result_file())?;
    let last = metrics.last();
    let name = folder
        .dir
        .file_name()
        .map_or_else(|| folder.dir.display().to_string(), |n| n.to_string_lossy().into());
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let text = |key: &str| result.as_ref().map(|r| plain(&r[key])).unwrap_or_default();
    let whole = |key: &str| result.as_ref().and_then(|r| r[key].as_u64());
    Ok(RunSummary {
        name,
        env: config.team.env.clone(),
        algorithm: config.team.algorithm.clone(),
        seed: config.team.seed,
        env_steps: whole("env_steps").or(last.map(|r| r.env_steps)).unwrap_or_default(),
        wall_s: result
            .as_ref()
            .and_then(|r| r["wall_s"].as_f64())
            .or(last.map(|r| r.wall_s))
            .unwrap_or_default(),
        config: config
            .entries()
            .into_iter()
            .map(|(k, v)| (k.to_string(), crate::config::toml_value(&v)))
            .collect(),
        config_hash: config.hash(),
        params_hash: text("params_hash"),
        evaluation: result.as_ref().and_then(evaluation),
        pictures: pictures(&folder.dir),
        metrics,
    })
}

fn read_result(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let fault = |e: &dyn std::fmt::Display| {
        Error::failed(format!(
            "{} cannot be read: {e}; run `coact train --resume` to write it again",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|e| fault(&e))?;
    serde_json::from_str(&text).map(Some).map_err(|e| fault(&e))
}

fn evaluation(result: &Value) -> Option<EvaluationSummary> {
    let evaluation = result.get("evaluation")?;
    let names = result["agents"].as_array()?.iter().map(|n| n.as_str().unwrap_or_default().to_string());
    let returns = evaluation["return_per_agent"].as_array()?.iter().map(|r| r.as_f64().unwrap_or(f64::NAN));
    Some(EvaluationSummary {
        episodes: evaluation["episodes"].as_u64()?,
        return_mean: evaluation["return_mean"].as_f64()?,
        return_std: evaluation["return_std"].as_f64()?,
        return_per_agent: names.zip(returns).collect(),
        random_return_mean: evaluation["random_return_mean"].as_f64()?,
    })
}

fn pictures(dir: &Path) -> Vec<Picture> {
    let read = |file: &str, caption: &str| {
        let bytes = std::fs::read(dir.join(file)).ok()?;
        Some(Picture { caption: caption.into(), bytes })
    };
    let all = [
        read("play.gif", "One episode of the trained team"),
        read("play.png", "The same episode in six moments"),
    ];
    all.into_iter().flatten().collect()
}
