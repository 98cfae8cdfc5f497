//! `coact sweep`: many runs of one base configuration in one process: every point of a grid, or of random draws, with
//! several seeds. Each run has a folder of its own, as if `coact train` had made it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use coact_core::rng::{Purpose, Stream};
use coact_runner::stats::{Estimate, iqm_interval};
use coact_runner::write_atomic;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::args::SweepArgs;
use crate::config::{Config, Layers, find_key, parse_value};
use crate::console::{note, say};
use crate::groups::BOOTSTRAP_SEED;
use crate::report::{FINAL_REPS, html_report};
use crate::run_folder::{RunFolder, build_run};
use crate::train::{Screen, step_bar, stop_flag, train_in};
use crate::{Error, Result, marl_eval, report_command};

/// Runs that one sweep may ask for.
const MAX_RUNS: usize = 100_000;
/// Longest name of a point's folder; longer ones are numbered.
const MAX_NAME: usize = 100;

/// One choice of the settings that are tried.
struct Point {
    name: String,
    settings: Vec<(String, Value)>,
}

/// One run to be made.
struct Job {
    point: usize,
    config: Config,
    dir: PathBuf,
}

/// How a run ended.
enum Outcome {
    Return { return_mean: f64, wall_s: f64 },
    Failed(String),
    Stopped,
}

/// Trains every point with every seed, then compares them.
///
/// # Errors
/// Wrong usage, told before anything is trained; runs that failed.
pub fn sweep(args: &SweepArgs) -> Result<()> {
    let (mut layers, name) = args.base.layers()?;
    if let Some(n) = args.env_steps {
        layers.one("env_steps", n)?;
    }
    let points = points(args)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("sweep-{name}")));
    let jobs = jobs(args, &layers, &points, &out)?;
    for job in &jobs {
        check_folder(job)?;
    }
    if !args.quiet {
        let (n_points, n_runs) = (points.len(), jobs.len());
        note(format!(
            "{n_runs} runs of {n_points} settings in {}, {} at a time",
            out.display(),
            workers(args, n_runs)
        ));
    }
    let outcomes = run_all(args, &jobs);
    let stopped = outcomes.iter().filter(|o| matches!(o, Outcome::Stopped)).count();
    if stopped > 0 {
        note(format!(
            "stopped with {stopped} runs to go; the same command with --out {} goes on",
            out.display()
        ));
        return Ok(());
    }
    let ranking = ranking(&points, &jobs, &outcomes);
    write_pages(&jobs, &outcomes, &out)?;
    tell(args, &ranking, &out, jobs.len());
    let failed: Vec<(&Job, &String)> = jobs
        .iter()
        .zip(&outcomes)
        .filter_map(|(job, o)| if let Outcome::Failed(why) = o { Some((job, why)) } else { None })
        .collect();
    match failed.first() {
        None => Ok(()),
        Some((job, why)) => Err(Error::failed(format!(
            "{} of {} runs failed; the first: {}: {why}",
            failed.len(),
            jobs.len(),
            job.dir.display()
        ))),
    }
}

/// All points: combinations of the grid, each with every draw.
fn points(args: &SweepArgs) -> Result<Vec<Point>> {
    let grid = args.grid.iter().map(|text| parse_grid(text)).collect::<Result<Vec<_>>>()?;
    let ranges = args.sample.iter().map(|text| parse_range(text)).collect::<Result<Vec<_>>>()?;
    if args.trials.is_some() && ranges.is_empty() {
        return Err(Error::usage(
            "--trials counts draws of --sample; say which key to draw, or leave it out",
        ));
    }
    if args.trials == Some(0) || args.seeds == 0 {
        return Err(Error::usage("--trials and --seeds must be 1 or more"));
    }
    let mut keys: Vec<&str> = grid.iter().map(|(k, _)| &**k).chain(ranges.iter().map(|r| &*r.key)).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|w| w[0] == w[1]) {
        return Err(Error::usage(format!(
            "`{}` is varied twice; give all its values in one --grid",
            twice[0]
        )));
    }
    let trials = if ranges.is_empty() { 1 } else { args.trials.unwrap_or(10) };
    let n_points = grid.iter().try_fold(trials, |n, (_, values)| n.checked_mul(values.len()));
    let n_runs = n_points.and_then(|n| n.checked_mul(usize::try_from(args.seeds).ok()?));
    if n_runs.is_none_or(|n| n > MAX_RUNS) {
        return Err(Error::usage(format!(
            "the sweep asks for more than {MAX_RUNS} runs; try fewer values or seeds"
        )));
    }
    let mut all: Vec<Vec<(String, Value)>> = vec![Vec::new()];
    for (key, values) in &grid {
        let longer = |point: Vec<(String, Value)>| {
            values.iter().map(move |v| [&point[..], &[(key.clone(), v.clone())]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    let draws: Vec<Vec<(String, Value)>> = (0..trials)
        .map(|trial| {
            ranges
                .iter()
                .enumerate()
                .map(|(i, r)| (r.key.clone(), r.draw(args.sweep_seed, trial, i)))
                .collect()
        })
        .collect();
    let settings =
        all.iter().flat_map(|point| draws.iter().map(move |draw| [&point[..], &draw[..]].concat()));
    Ok(settings.enumerate().map(|(i, settings)| Point { name: point_name(i, &settings), settings }).collect())
}

/// `KEY=V1,V2,..`; commas inside brackets or quotes belong to a value.
fn parse_grid(text: &str) -> Result<(String, Vec<Value>)> {
    let usage = || Error::usage(format!("`--grid {text}` names no values; write `--grid key=1,2,3`"));
    let (key, list) = text.split_once('=').ok_or_else(usage)?;
    let name = find_key(key.trim())?.name;
    let (mut values, mut depth, mut quoted, mut start) = (Vec::new(), 0_usize, false, 0);
    for (at, c) in list.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                values.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    values.push(&list[start..]);
    if values.iter().any(|v| v.trim().is_empty()) {
        return Err(usage());
    }
    Ok((name.to_owned(), values.into_iter().map(|v| parse_value(v.trim())).collect()))
}

/// A range to draw from.
struct Range {
    key: String,
    low: f64,
    high: f64,
    log: bool,
    whole: bool,
}

/// `KEY=LOW..HIGH`, `KEY=LOW..HIGH:log`.
fn parse_range(text: &str) -> Result<Range> {
    let usage = |why: &str| {
        Error::usage(format!(
            "`--sample {text}`: {why}; write for example `--sample learning_rate=1e-4..1e-2:log`"
        ))
    };
    let (key, range) = text.split_once('=').ok_or_else(|| usage("it has no range"))?;
    let key = find_key(key.trim())?.name.to_owned();
    let (range, log) = match range.split_once(':') {
        Some((range, "log")) => (range, true),
        Some(_) => return Err(usage("after `:` comes `log`")),
        None => (range, false),
    };
    let (low, high) = range.split_once("..").ok_or_else(|| usage("it has no `..`"))?;
    let whole = [low, high].iter().all(|end| end.trim().parse::<i64>().is_ok());
    let number = |end: &str| end.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let (Some(low), Some(high)) = (number(low), number(high)) else {
        return Err(usage("its ends are not numbers"));
    };
    if low > high || log && low <= 0.0 {
        return Err(usage("its ends are not ascending, or not positive where logarithms are drawn"));
    }
    Ok(Range { key, low, high, log, whole })
}

impl Range {
    /// The value of draw `trial`; `index` tells the keys of one draw apart.
    fn draw(&self, seed: u64, trial: usize, index: usize) -> Value {
        let unit = Stream::new(seed, Purpose::Sweep, index as u32, trial as u64).uniform_f64();
        // A whole number has its unit interval around it, so that both ends are drawn as often as the others.
        let (low, high) = if self.whole { (self.low - 0.5, self.high + 0.5) } else { (self.low, self.high) };
        let value = if self.log {
            let low = low.max(self.low * 0.5);
            (low.ln() + unit * (high.ln() - low.ln())).exp()
        } else {
            low + unit * (high - low)
        };
        if self.whole {
            return json!(value.round().clamp(self.low, self.high) as i64);
        }
        // Six digits are as good as all, and can be read.
        json!(format!("{value:.5e}").parse::<f64>().unwrap_or(value))
    }
}

/// The name of a point's folder: its settings, or a number where those are too long for a file name.
fn point_name(index: usize, settings: &[(String, Value)]) -> String {
    if settings.is_empty() {
        return "base".into();
    }
    let parts: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    let plain_char = |c: char| if c.is_ascii_alphanumeric() || "=,.-_[]".contains(c) { c } else { '-' };
    let name: String = parts.join(",").chars().map(plain_char).collect();
    if name.len() <= MAX_NAME { name } else { format!("point-{index:04}") }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Every run, checked as far as can be before any of them begins.
fn jobs(args: &SweepArgs, base: &Layers, points: &[Point], out: &Path) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for (p, point) in points.iter().enumerate() {
        for seed in 0..args.seeds {
            let mut layers = base.clone();
            for (key, value) in &point.settings {
                layers.one(key, value.clone())?;
            }
            layers.one("seed", seed)?;
            layers.one("threads", 1)?;
            let config = layers.resolve()?;
            if seed == 0 {
                build_run(&config)?;
            }
            jobs.push(Job { point: p, config, dir: out.join(&point.name).join(format!("seed{seed}")) });
        }
    }
    Ok(jobs)
}

/// A folder that is there must be one of this very run.
fn check_folder(job: &Job) -> Result<()> {
    let folder = RunFolder::at(&job.dir);
    if !folder.config_file().exists() {
        return Ok(());
    }
    let found = folder.config()?;
    if found.hash() == job.config.hash() && found.team.seed == job.config.team.seed {
        return Ok(());
    }
    let text = format!("{} holds a run with other settings; choose another --out", job.dir.display());
    Err(Error::usage(text))
}

fn workers(args: &SweepArgs, n_runs: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = if args.jobs == 0 { cores } else { args.jobs };
    asked.min(n_runs).max(1)
}

/// Runs all jobs, several at a time, each on a thread of its own.
fn run_all(args: &SweepArgs, jobs: &[Job]) -> Vec<Outcome> {
    let stop = stop_flag();
    let bar = step_bar(jobs.iter().map(|job| job.config.run.env_steps).sum(), args.quiet);
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new((0..jobs.len()).map(|_| None).collect());
    let plain = !args.quiet && !std::io::stderr().is_terminal();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { break };
            let outcome =
                if stop.load(Ordering::Relaxed) { Outcome::Stopped } else { run_one(job, &bar, &stop) };
            if plain && let Outcome::Return { return_mean, wall_s } = &outcome {
                note(format!("{}: greedy return {return_mean:.2} after {wall_s:.1} s", job.dir.display()));
            }
            if let Ok(mut all) = outcomes.lock() {
                all[index] = Some(outcome);
                bar.set_message(summary_line(&all));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers(args, jobs.len()) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let all = outcomes.into_inner().unwrap_or_default();
    all.into_iter()
        .map(|o| o.unwrap_or_else(|| Outcome::Failed("the thread of the run ended".into())))
        .collect()
}

fn summary_line(outcomes: &[Option<Outcome>]) -> String {
    let ended = outcomes.iter().flatten();
    let returns = ended.clone().filter_map(|o| match o {
        Outcome::Return { return_mean, .. } => Some(*return_mean),
        _ => None,
    });
    let best = returns.fold(f64::NEG_INFINITY, f64::max);
    let best = if best.is_finite() { format!("  best {best:.2}") } else { String::new() };
    format!("{} of {} runs{best}", ended.count(), outcomes.len())
}

/// Makes one run, goes on with it, or finds that it has ended.
fn run_one(job: &Job, bar: &ProgressBar, stop: &Arc<AtomicBool>) -> Outcome {
    let attempt = || -> Result<Outcome> {
        let folder = RunFolder::at(&job.dir);
        if folder.result_file().exists() {
            bar.inc(job.config.run.env_steps);
            return ended(&folder);
        }
        // Environments share a pool of threads; each run brings one of its own, of one thread.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(Error::failed)?;
        let run = pool.install(|| build_run(&job.config))?;
        let there = folder.config_file().exists();
        let folder = if there { folder } else { RunFolder::create(Some(&job.dir), "", &job.config)? };
        let screen = Screen::shared(bar.clone(), Arc::clone(stop));
        match pool.install(|| train_in(run, &folder, &job.config, there, screen))? {
            Some(_) => ended(&folder),
            None => Ok(Outcome::Stopped),
        }
    };
    attempt().unwrap_or_else(|e| Outcome::Failed(e.to_string()))
}

/// What the result of a run says.
fn ended(folder: &RunFolder) -> Result<Outcome> {
    let run = report_command::summary(folder)?;
    match &run.evaluation {
        Some(evaluation) => Ok(Outcome::Return { return_mean: evaluation.return_mean, wall_s: run.wall_s }),
        None => Err(Error::failed(format!("{} has no result", folder.dir.display()))),
    }
}

/// A point with the returns of its runs.
struct Ranked<'a> {
    point: &'a Point,
    returns: Vec<f64>,
    estimate: Estimate,
    wall_s: f64,
}

/// The points that have a result, the best interquartile mean first.
fn ranking<'a>(points: &'a [Point], jobs: &[Job], outcomes: &[Outcome]) -> Vec<Ranked<'a>> {
    let ranked = |(p, point): (usize, &'a Point)| {
        let own = jobs.iter().zip(outcomes).filter(|(job, _)| job.point == p);
        let (mut returns, mut wall_s) = (Vec::new(), 0.0_f64);
        for (_, outcome) in own {
            if let Outcome::Return { return_mean, wall_s: seconds } = outcome {
                returns.push(*return_mean);
                wall_s = wall_s.max(*seconds);
            }
        }
        let estimate = iqm_interval(&[&returns], FINAL_REPS.min(5_000), BOOTSTRAP_SEED);
        Ranked { point, returns, estimate, wall_s }
    };
    let mut all: Vec<Ranked<'a>> =
        points.iter().enumerate().map(ranked).filter(|r| !r.returns.is_empty()).collect();
    all.sort_by(|a, b| b.estimate.iqm.total_cmp(&a.estimate.iqm));
    all
}

/// The page about all runs that ended, and their evaluations as JSON.
fn write_pages(jobs: &[Job], outcomes: &[Outcome], out: &Path) -> Result<()> {
    let ended = jobs.iter().zip(outcomes).filter(|(_, o)| matches!(o, Outcome::Return { .. }));
    let runs = ended
        .map(|(job, _)| report_command::summary(&RunFolder::at(&job.dir)))
        .collect::<Result<Vec<_>>>()?;
    if runs.is_empty() {
        return Ok(());
    }
    write_atomic(&out.join("report.html"), html_report(&runs)?.as_bytes())?;
    let text = format!("{:#}\n", marl_eval::json(&runs));
    Ok(write_atomic(&out.join("marl_eval.json"), text.as_bytes())?)
}

fn tell(args: &SweepArgs, ranking: &[Ranked<'_>], out: &Path, n_runs: usize) {
    if !args.quiet || !args.json {
        say(format!("{:>10} {:>22} {:>6} {:>9}  settings", "return", "95 % interval", "seeds", "seconds"));
        for Ranked { point, returns, estimate, wall_s } in ranking {
            let interval = match returns.len() {
                1 => String::new(),
                _ => format!("{:.2} to {:.2}", estimate.low, estimate.high),
            };
            let (iqm, n) = (estimate.iqm, returns.len());
            say(format!("{iqm:>10.2} {interval:>22} {n:>6} {wall_s:>9.1}  {}", point.name));
        }
        let dir = out.display();
        say(format!(
            "{dir}: report.html (curves and comparisons), marl_eval.json, a run folder for each run"
        ));
    }
    if args.json {
        let points = ranking.iter().map(|r| {
            let settings: serde_json::Map<String, Value> = r.point.settings.iter().cloned().collect();
            json!({
                "name": r.point.name, "settings": settings, "returns": r.returns,
                "return_iqm": r.estimate.iqm, "low": r.estimate.low, "high": r.estimate.high,
                "wall_s_max": r.wall_s,
            })
        });
        say(json!({"out": out, "runs": n_runs, "points": points.collect::<Vec<_>>()}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_grid_may_hold_commas_in_brackets() {
        let (key, values) = parse_grid("hidden=[64, 64],[128],\"a,b\"").unwrap();
        assert_eq!((key.as_str(), values), ("hidden", vec![json!([64, 64]), json!([128]), json!("a,b")]));
        for bad in ["hidden", "hidden=", "hidden=1,,2", "hiden=1"] {
            assert!(parse_grid(bad).is_err(), "{bad}");
        }
        assert!(parse_grid("hiden=1").unwrap_err().to_string().contains("hidden"));
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_all_of_it() {
        let draws = |text: &str| -> Vec<f64> {
            let range = parse_range(text).unwrap();
            (0..2_000).map(|trial| range.draw(1, trial, 0).as_f64().unwrap()).collect()
        };
        let log = draws("learning_rate=1e-4..1e-2:log");
        assert!(log.iter().all(|v| (1e-4..=1e-2).contains(v)));
        // Half of the logarithms lie below 1e-3: 2,000 draws, five standard errors.
        let below = log.iter().filter(|v| **v < 1e-3).count() as f64;
        assert!((below - 1_000.0).abs() < 5.0 * 500.0_f64.sqrt(), "{below}");
        let whole = draws("batch_size=3..5");
        let counts = [3.0, 4.0, 5.0].map(|n| whole.iter().filter(|v| **v == n).count());
        assert_eq!(counts.iter().sum::<usize>(), 2_000);
        assert!(counts.iter().all(|&c| c.abs_diff(667) < 110), "{counts:?}");
        assert!(draws("gamma=0.5..0.5").iter().all(|v| *v == 0.5));
        for bad in
            ["gamma", "gamma=1", "gamma=1..0", "gamma=0..1:log", "gamma=a..b", "gamma=0..1:lin", "nope=0..1"]
        {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_file_names() {
        let name = |value: Value| point_name(7, &[("env".into(), value)]);
        assert_eq!(name(json!("lbf/8x8")), "env=lbf-8x8");
        assert_eq!(name(json!("../x y")), "env=..-x-y");
        assert_eq!(name(json!("x".repeat(200))), "point-0007");
        assert_eq!(point_name(0, &[]), "base");
    }
}
