//! Comparison of algorithms over tasks: probability of improvement, performance profile and sample efficiency, after
//! Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice". Returns of
//! different environments meet on one scale: 0 is the random policy, 1 the best final return of all runs there.

use std::fmt::Write as _;

use coact_runner::stats::{Estimate, iqm_interval, performance_profile, probability_of_improvement};
use serde_json::{Value, json};

use crate::groups::{BOOTSTRAP_SEED, Group, points};
use crate::plot::{Chart, Series, escape, svg};
use crate::report::{RunSummary, distinct, legend};

/// Bootstrap resamples.
const REPS: usize = 2_000;
/// Thresholds of a profile, and points of a curve.
const GRID: usize = 51;

/// The runs of one algorithm, with one choice of settings, in every environment.
struct Variant<'a> {
    label: String,
    color: usize,
    tasks: Vec<(&'a str, Vec<&'a RunSummary>)>,
}

/// Variants in the order of their first group; only runs that have ended count.
fn variants<'a>(groups: &'a [Group<'a>]) -> Vec<Variant<'a>> {
    let mut all: Vec<Variant<'a>> = Vec::new();
    for group in groups {
        let ended: Vec<&RunSummary> = group.runs.iter().copied().filter(|r| r.evaluation.is_some()).collect();
        if ended.is_empty() {
            continue;
        }
        let (label, task) = (group.variant(groups), (group.first().env.as_str(), ended));
        match all.iter_mut().find(|v| v.label == label && v.tasks.iter().all(|(env, _)| *env != task.0)) {
            Some(variant) => variant.tasks.push(task),
            None => all.push(Variant { label, color: all.len(), tasks: vec![task] }),
        }
    }
    all
}

fn final_return(run: &RunSummary) -> f64 {
    run.evaluation.as_ref().map_or(f64::NAN, |e| e.return_mean)
}

/// Final returns of `variant` in each of `envs`.
fn returns(variant: &Variant<'_>, envs: &[&str]) -> Vec<Vec<f64>> {
    let in_env = |env: &&str| {
        let task = variant.tasks.iter().find(|(own, _)| own == env);
        task.map(|(_, runs)| runs.iter().map(|r| final_return(r)).collect()).unwrap_or_default()
    };
    envs.iter().map(in_env).collect()
}

fn strata(values: &[Vec<f64>]) -> Vec<&[f64]> {
    values.iter().map(Vec::as_slice).collect()
}

/// Chance that `x` beats `y`, on average over the environments that both were run in; `None` if there are none.
fn improvement(x: &Variant<'_>, y: &Variant<'_>) -> Option<Estimate> {
    let both = |env: &&str| y.tasks.iter().any(|(other, _)| other == env);
    let envs: Vec<&str> = x.tasks.iter().map(|(env, _)| *env).filter(both).collect();
    let (of_x, of_y) = (returns(x, &envs), returns(y, &envs));
    (!envs.is_empty())
        .then(|| probability_of_improvement(&strata(&of_x), &strata(&of_y), REPS, BOOTSTRAP_SEED))
}

/// Every ordered pair: how probable it is that a run of the first is better than one of the second.
pub fn improvements(groups: &[Group<'_>]) -> Vec<Value> {
    let all = variants(groups);
    let pairs = all.iter().flat_map(|x| all.iter().map(move |y| (x, y))).filter(|(x, y)| x.label != y.label);
    pairs
        .filter_map(|(x, y)| {
            let Estimate { iqm, low, high } = improvement(x, y)?;
            Some(json!({"better": x.label, "than": y.label, "probability": iqm, "low": low, "high": high}))
        })
        .collect()
}

/// Where returns of one environment lie between the random policy (0) and the best run (1).
struct Scale<'a> {
    env: &'a str,
    random: f64,
    best: f64,
}

impl Scale<'_> {
    fn of(&self, value: f64) -> f64 {
        (value - self.random) / (self.best - self.random)
    }
}

fn scales<'a>(all: &[Variant<'a>]) -> Vec<Scale<'a>> {
    let envs = distinct(all.iter().flat_map(|v| v.tasks.iter().map(|(env, _)| *env)));
    let scale = |env: &'a str| {
        let runs =
            || all.iter().flat_map(|v| &v.tasks).filter(move |(own, _)| *own == env).flat_map(|(_, r)| r);
        let random: Vec<f64> =
            runs().filter_map(|r| r.evaluation.as_ref()).map(|e| e.random_return_mean).collect();
        let best = runs().map(|r| final_return(r)).fold(f64::NEG_INFINITY, f64::max);
        Scale { env, random: random.iter().sum::<f64>() / random.len() as f64, best }
    };
    envs.into_iter().map(scale).filter(|s| s.best > s.random).collect()
}

/// Appends the comparison, where there is something to compare.
pub fn section(out: &mut String, groups: &[Group<'_>]) {
    let all = variants(groups);
    if all.len() < 2 {
        return;
    }
    out.push_str("<section><h2>Comparison</h2>");
    improvement_table(out, &all);
    let scales = scales(&all);
    let profiles: Vec<Series> = all.iter().filter_map(|v| profile(v, &scales)).collect();
    let efficiency: Vec<Series> = all.iter().filter_map(|v| efficiency(v, &scales)).collect();
    let charts = [
        (
            "Performance profile",
            "score that a run exceeds",
            "Share of runs whose final return is above a score",
            profiles,
        ),
        (
            "Sample efficiency",
            "share of training",
            "Interquartile mean of the greedy return over training",
            efficiency,
        ),
    ];
    for (title, x_label, what, series) in charts {
        if series.is_empty() {
            continue;
        }
        let _ = write!(out, "<h3>{title}</h3>");
        legend(out, &series);
        let chart = Chart {
            size: (920.0, 300.0),
            x_label: x_label.into(),
            description: what.into(),
            series,
            level: None,
            ..Chart::default()
        };
        let _ = write!(
            out,
            "{}<p class=\"note\">{what}, all environments together. 0 is the random policy, 1 the best final return of \
             all runs here. Bands are 95 % stratified bootstrap intervals.</p>",
            svg(&chart)
        );
    }
    out.push_str("</section>\n");
}

fn improvement_table(out: &mut String, all: &[Variant<'_>]) {
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>probability that a run is better than one of</th>",
    );
    for column in all {
        let _ = write!(
            out,
            "<th class=\"n\"><i class=\"c{}\"></i>{}</th>",
            column.color % 8,
            escape(&column.label)
        );
    }
    out.push_str("</tr></thead><tbody>");
    for row in all {
        let _ = write!(out, "<tr><td><i class=\"c{}\"></i>{}</td>", row.color % 8, escape(&row.label));
        for column in all {
            match improvement(row, column).filter(|_| row.label != column.label) {
                Some(Estimate { iqm, low, high }) => {
                    let _ = write!(out, "<td class=\"n\">{iqm:.2} <small>{low:.2} to {high:.2}</small></td>");
                }
                None => out.push_str("<td class=\"n\">&ndash;</td>"),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn profile(variant: &Variant<'_>, scales: &[Scale<'_>]) -> Option<Series> {
    let envs: Vec<&str> = scales.iter().map(|s| s.env).collect();
    let mut scores = returns(variant, &envs);
    for (scores, scale) in scores.iter_mut().zip(scales) {
        scores.iter_mut().for_each(|score| *score = scale.of(*score));
    }
    scores.retain(|s| !s.is_empty());
    if scores.is_empty() {
        return None;
    }
    let grid: Vec<f64> = (0..GRID).map(|i| i as f64 / (GRID - 1) as f64).collect();
    let shares = performance_profile(&strata(&scores), &grid, REPS, BOOTSTRAP_SEED);
    Some(Series {
        label: variant.label.clone(),
        color: variant.color,
        points: grid.into_iter().zip(shares.iter().map(|e| e.iqm)).collect(),
        band: shares.iter().map(|e| (e.low, e.high)).collect(),
    })
}

/// The greedy return on the common scale after each share of a run's environment steps.
fn efficiency(variant: &Variant<'_>, scales: &[Scale<'_>]) -> Option<Series> {
    let mut curves: Vec<Vec<Vec<f64>>> = Vec::new();
    let mut first = 0.0_f64;
    for (env, runs) in &variant.tasks {
        let Some(scale) = scales.iter().find(|s| s.env == *env) else { continue };
        let mut of_task = Vec::new();
        for run in runs {
            let points = points(run, "eval/return");
            let (Some(start), total) = (points.first(), run.env_steps as f64) else { continue };
            first = first.max(start.0 / total);
            let at = |i: usize| {
                let steps = i as f64 / (GRID - 1) as f64 * total;
                scale.of(last_known(&points, steps))
            };
            of_task.push((0..GRID).map(at).collect());
        }
        if !of_task.is_empty() {
            curves.push(of_task);
        }
    }
    if curves.is_empty() {
        return None;
    }
    let shown = (0..GRID).filter(|&i| i as f64 / (GRID - 1) as f64 >= first);
    let (mut points, mut band) = (Vec::new(), Vec::new());
    for i in shown {
        let values: Vec<Vec<f64>> = curves.iter().map(|task| task.iter().map(|c| c[i]).collect()).collect();
        let Estimate { iqm, low, high } = iqm_interval(&strata(&values), REPS, BOOTSTRAP_SEED);
        points.push((i as f64 / (GRID - 1) as f64, iqm));
        band.push((low, high));
    }
    Some(Series { label: variant.label.clone(), color: variant.color, points, band })
}

/// The last value at or before `x` of points of ascending x; the first one where there is none.
fn last_known(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|p| p.0 <= x);
    points[after.saturating_sub(1)].1
}
