//! `coact plan`: models, teams and Markov games from files, standard input or by name.

use std::io::Read;
use std::time::Instant;

use coact_games::markov::shapley::{self, Form};
use coact_games::markov::{self, MarkovGame};
use coact_runner::write_atomic;
use coact_tabular::decpomdp::{AgentPolicy, DecPomdp, bounds, solve};
use coact_tabular::joint::{JointModel, coordination};
use coact_tabular::learn;
use coact_tabular::model::Model;
use coact_tabular::plan::{self, METHODS, PlanOptions};
use coact_tabular::problem::{self, Problem};
use coact_tabular::result::{self, Source};
use serde_json::{Value, json};

use crate::args::{PlanArgs, SolveArgs};
use crate::chart_file;
use crate::console::say;
use crate::learn as learning;
use crate::plot::{Chart, Series};
use crate::progress::Watch;
use crate::{Error, Result};

/// Methods for teams and for Markov games.
const TEAM_METHODS: [&str; 3] = ["exhaustive", "jesp", "bounds"];
const MARKOV_METHODS: [&str; 2] = ["newton", "shapley"];
/// States shown one by one.
pub(crate) const SHOWN: usize = 25;

/// Episodes of each run of the table of coordination.
const TABLE_EPISODES: u32 = 7_500;

/// Long names of planners.
const LONG_NAMES: [(&str, &str); 6] = [
    ("value-iteration", "vi"),
    ("gauss-seidel", "gs"),
    ("prioritized-sweeping", "prioritized"),
    ("policy-iteration", "pi"),
    ("modified-policy-iteration", "mpi"),
    ("linear-program", "lp"),
];

/// Plans and prints what came of it.
///
/// # Errors
/// Wrong usage for a problem that cannot be read or a method that does not apply; failure of a method.
pub fn plan(args: &PlanArgs) -> Result<()> {
    if args.method.as_deref() == Some("table") {
        return table(args);
    }
    answer(args, &source(args)?, &[])
}

/// `coact solve` of a Markov game: the same as `coact plan`, with the fields that answers of `solve` have.
///
/// # Errors
/// As [`plan`].
pub(crate) fn solve(args: &SolveArgs, source: Source) -> Result<()> {
    if args.exact || args.all {
        return Err(Error::usage(
            "a Markov game has one solution in floats here; leave --exact and --all out",
        ));
    }
    let args = PlanArgs {
        model: args.game.clone(),
        method: args.method.clone(),
        gamma: None,
        horizon: None,
        tolerance: None,
        max_iterations: args.iterations.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        sweeps: None,
        restarts: 1,
        case: 0,
        runs: 1,
        learn: args.learn.clone(),
        seed: args.seed,
        plot: args.plot.clone(),
        out: args.out.clone(),
        quiet: args.quiet,
        json: args.json,
    };
    answer(&args, &source, &["exact", "equilibria"])
}

/// Plans in what a source holds; `more` are fields to add.
fn answer(args: &PlanArgs, source: &Source, more: &[&str]) -> Result<()> {
    let fault = |e: coact_tabular::Error| Error::usage(format!("{}: {e}", args.model));
    let start = Instant::now();
    let mut answer = match source.read(args.gamma).map_err(fault)? {
        Problem::Model(model) => of_model(args, source, &model)?,
        Problem::Team(team) => of_team(args, source, &team)?,
        Problem::Markov(game) => of_markov(args, source, &game)?,
    };
    for &field in more {
        answer.json[field] = match field {
            "equilibria" => json!([answer.json["policy"]]),
            _ => json!(false),
        };
    }
    answer.json["wall_s"] = json!(start.elapsed().as_secs_f64());
    // Files first: a reader of the lines may go away after a few.
    if let Some(path) = &args.plot {
        chart_file::write(path, &answer.chart)?;
    }
    if let Some(path) = &args.out {
        write_atomic(path, format!("{}\n", answer.json).as_bytes())?;
    }
    if !args.quiet {
        answer.lines.iter().for_each(say);
    }
    if args.json {
        say(&answer.json);
    }
    Ok(())
}

/// What is printed, written and drawn.
pub(crate) struct Answer {
    pub(crate) json: Value,
    pub(crate) lines: Vec<String>,
    pub(crate) chart: Chart,
}

fn source(args: &PlanArgs) -> Result<Source> {
    if args.model == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|e| Error::failed(format!("cannot read standard input: {e}")))?;
        return Ok(Source::Text(text, args.case));
    }
    let known = problem::names();
    if known.iter().any(|n| n.0 == args.model) {
        return Ok(Source::Name(args.model.clone()));
    }
    if !std::path::Path::new(&args.model).exists() {
        let hint = coact_core::nearest::hint(&args.model, known.iter().map(|n| n.0));
        let names: Vec<&str> = known.iter().map(|n| n.0).collect();
        return Err(Error::usage(format!(
            "no file and no built-in problem is called `{}`{hint}; built-in: {}",
            args.model,
            names.join(", ")
        )));
    }
    let text = std::fs::read_to_string(&args.model)
        .map_err(|e| Error::failed(format!("cannot read {}: {e}", args.model)))?;
    Ok(Source::Text(text, args.case))
}

/// The asked method, or `otherwise`, as one of those that apply.
fn method<'a>(args: &'a PlanArgs, otherwise: &'a str, known: &[&str]) -> Result<&'a str> {
    let asked = args.method.as_deref().unwrap_or(otherwise);
    let short = LONG_NAMES.iter().find(|(long, _)| *long == asked).map_or(asked, |(_, short)| short);
    if known.contains(&short) {
        return Ok(short);
    }
    let hint = coact_core::nearest::hint(asked, known.iter().copied());
    Err(Error::usage(format!("no method `{asked}` for this problem{hint}; one of: {}", known.join(", "))))
}

/// The asked learner of one reward, if it is one.
fn learner(args: &PlanArgs) -> Option<&'static learn::MethodEntry> {
    args.method.as_deref().and_then(learn::method)
}

/// Planners and learners, for hints.
fn with_learners<'a>(known: impl IntoIterator<Item = &'a str>, teams: bool) -> Vec<&'a str> {
    let learners = learn::METHODS.iter().filter(|m| teams || !m.is_team()).map(|m| m.name);
    known.into_iter().chain(learners).collect()
}

fn planners() -> Vec<&'static str> {
    METHODS.iter().map(|m| m.0).collect()
}

/// Residuals on a logarithmic axis, as powers of ten.
fn residual_chart(name: &str, residuals: &[f64]) -> Chart {
    let points = residuals.iter().enumerate().filter(|(_, r)| **r > 0.0);
    let points = points.map(|(i, r)| ((i + 1) as f64, r.log10())).collect();
    Chart {
        size: (640.0, 360.0),
        x_label: "iteration".into(),
        y_label: format!("residual of {name}"),
        log: (false, true),
        description: format!("residual of {name}"),
        series: vec![Series { label: name.into(), points, ..Series::default() }],
        level: None,
    }
}

fn of_model(args: &PlanArgs, source: &Source, model: &Model) -> Result<Answer> {
    if let Some(entry) = learner(args) {
        return learning::in_model(args, source, model, learning::team_of(source, model)?, entry);
    }
    let name = method(args, "mpi", &with_learners(planners(), false))?;
    let Some(&(_, which, summary)) = METHODS.iter().find(|m| m.0 == name) else {
        return Err(Error::usage(format!("no method `{name}`")));
    };
    let mut options = PlanOptions::default();
    options.tolerance = args.tolerance.unwrap_or(options.tolerance);
    options.max_iterations = args.max_iterations.unwrap_or(options.max_iterations);
    options.evaluation_sweeps = args.sweeps.unwrap_or(options.evaluation_sweeps);
    let mut watch = Watch::new("iterations", None, args.quiet);
    let found = plan::plan_with(model, which, &options, &mut |p| {
        watch.tell(p.iteration);
    });
    watch.finish();
    let found = found.map_err(Error::failed)?;
    let json = result::of_model(name, source, model, &found).map_err(Error::failed)?;
    let mut lines = vec![format!(
        "{} states, {} actions, gamma {}: {summary}, {} iterations",
        model.n_states(),
        model.n_actions(),
        model.gamma(),
        found.iterations
    )];
    lines.push(format!("value of the start {:.9}", result::start_value(model.start(), &found.values)));
    let bound = json["certificate"]["policy_bound"].as_f64();
    let bound =
        bound.map_or("no bound where gamma is 1".into(), |b| format!("the policy loses at most {b:.1e}"));
    lines.push(format!("Bellman residual {:.1e}; {bound}", json["residual"].as_f64().unwrap_or(f64::NAN)));
    lines.extend(policy_lines(model, &found.values, &found.policy));
    Ok(Answer { json, lines, chart: residual_chart(summary, &found.residuals) })
}

/// Value and action of each of the first states.
pub(crate) fn policy_lines(model: &Model, values: &[f64], policy: &[usize]) -> Vec<String> {
    let one = |s: usize| {
        let action = if model.is_terminal(s) { "end".into() } else { model.action_name(policy[s]) };
        format!("  {:<12} {:>16.9}  {action}", model.state_name(s), values[s])
    };
    let mut lines: Vec<String> = (0..model.n_states().min(SHOWN)).map(one).collect();
    if model.n_states() > SHOWN {
        lines.push(format!("  and {} more states; --json gives all", model.n_states() - SHOWN));
    }
    lines
}

fn of_team(args: &PlanArgs, source: &Source, team: &DecPomdp) -> Result<Answer> {
    if let Some(entry) = learner(args) {
        let model = team.to_mmdp().map_err(Error::usage)?;
        let joint = JointModel::new(model.clone(), team.n_actions()).map_err(Error::failed)?;
        return learning::in_model(args, source, &model, Some(joint), entry);
    }
    let known = with_learners(TEAM_METHODS.into_iter().chain(planners()), true);
    let name = method(args, "exhaustive", &known)?;
    if !TEAM_METHODS.contains(&name) {
        let model = team.to_mmdp().map_err(Error::usage)?;
        return of_model(args, source, &model);
    }
    if name == "bounds" {
        return team_bounds(args, team);
    }
    let horizon = args
        .horizon
        .ok_or_else(|| Error::usage(format!("{name} needs --horizon, for example --horizon 3")))?;
    let total = match name {
        "jesp" => Some(f64::from(args.restarts)),
        _ => Some(solve::exhaustive_work(team, horizon).0),
    };
    let mut watch = Watch::new(if name == "jesp" { "restarts" } else { "best responses" }, total, args.quiet);
    let mut observe = |count: u64, _: f64, _: f64| {
        watch.tell(count as usize);
    };
    let found = match name {
        "jesp" => solve::jesp(team, horizon, args.restarts, args.seed, &mut observe),
        _ => solve::exhaustive(team, horizon, &mut observe),
    };
    watch.finish();
    let found = found.map_err(|e| Error::usage(format!("{}: {e}", args.model)))?;
    let mut json = result::of_team(name, source, team, horizon, &found).map_err(Error::failed)?;
    let upper = bounds::finite(team, horizon).map_err(Error::failed)?;
    json["bounds"] = json!({ "mmdp": upper.mmdp, "qmdp": upper.qmdp, "pomdp": upper.pomdp });
    let mut lines = vec![
        format!("{} agents, {} states, horizon {horizon}: {name}", team.n_agents(), team.n_states()),
        format!("value {:.10}; {} evaluated", found.value, found.n_evaluated),
        format!("no agent gains more than {:.1e} alone", json["residual"].as_f64().unwrap_or(f64::NAN)),
    ];
    let shared = upper.pomdp.map_or("-".into(), |p| format!("{p:.6}"));
    lines.push(format!(
        "upper bounds: {shared} if observations are shared, {:.6} if the state is told after one decision, {:.6} if it is seen",
        upper.qmdp, upper.mmdp
    ));
    for (agent, policy) in found.policies.iter().enumerate() {
        lines.push(format!("agent {agent}"));
        lines.extend(tree_lines(team, agent, policy, horizon).into_iter().take(SHOWN));
    }
    let points = found.history.iter().map(|&(n, v)| (n as f64, v)).collect();
    let chart = Chart {
        size: (640.0, 360.0),
        x_label: if name == "jesp" { "best responses" } else { "joint policies" }.into(),
        y_label: format!("best value found by {name}, horizon {horizon}"),
        description: format!("best value found by {name}"),
        series: vec![Series { label: name.into(), points, ..Series::default() }],
        level: Some((upper.mmdp, "upper bound: state seen".into())),
        ..Chart::default()
    };
    Ok(Answer { json, lines, chart })
}

/// The decision tree of an agent, one line a sequence of observations.
fn tree_lines(team: &DecPomdp, agent: usize, policy: &AgentPolicy, horizon: usize) -> Vec<String> {
    let n = policy.n_observations;
    let mut lines = Vec::new();
    for t in 0..horizon {
        for sequence in 0..n.saturating_pow(t as u32) {
            let seen = (0..t).rev().map(|i| team.observation_name(agent, sequence / n.pow(i as u32) % n));
            let seen: Vec<&str> = seen.collect();
            let after = if seen.is_empty() { "at first".into() } else { seen.join(", ") };
            lines.push(format!("  {after:<40} {}", team.action_name(agent, policy.action(t, sequence))));
        }
        if lines.len() > SHOWN {
            break;
        }
    }
    lines
}

fn team_bounds(args: &PlanArgs, team: &DecPomdp) -> Result<Answer> {
    let mut json = json!({ "command": "plan", "method": "bounds", "what": "team", "gamma": team.discount() });
    let mut lines = Vec::new();
    if let Some(horizon) = args.horizon {
        let b = bounds::finite(team, horizon).map_err(Error::usage)?;
        json["horizon"] = json!(horizon);
        json["bounds"] = json!({ "mmdp": b.mmdp, "qmdp": b.qmdp, "pomdp": b.pomdp });
        lines.push(format!("horizon {horizon}, discount {}", team.discount()));
        lines.push(format!("state seen all along        {:.9}", b.mmdp));
        lines.push(format!("state told after a decision {:.9}", b.qmdp));
        lines.push(b.pomdp.map_or("observations shared         (too many)".into(), |p| {
            format!("observations shared         {p:.9}")
        }));
    } else {
        let mmdp = bounds::infinite(team).map_err(Error::usage)?;
        json["bounds"] = json!({ "mmdp": mmdp });
        lines.push(format!("infinite horizon, discount {}: state seen all along {mmdp:.9}", team.discount()));
    }
    Ok(Answer { json, lines, chart: Chart { size: (640.0, 360.0), ..Chart::default() } })
}

fn of_markov(args: &PlanArgs, source: &Source, game: &MarkovGame) -> Result<Answer> {
    if let Some(entry) = args.method.as_deref().and_then(learning::markov_method) {
        return learning::in_markov(args, source, game, entry);
    }
    let learners = markov::learn::METHODS.iter().map(|m| m.name);
    let known: Vec<&str> = MARKOV_METHODS.into_iter().chain(learners).collect();
    let name = method(args, "newton", &known)?;
    let form = if name == "shapley" { Form::Shapley } else { Form::Newton };
    let mut options = shapley::Options::default();
    options.tolerance = args.tolerance.unwrap_or(options.tolerance);
    options.max_iterations = args.max_iterations.unwrap_or(options.max_iterations);
    let mut watch = Watch::new("iterations", None, args.quiet);
    let solution = shapley::solve_with(game, form, &options, &mut |i, _| {
        watch.tell(i);
    });
    watch.finish();
    let solution = solution.map_err(|e| Error::usage(format!("{}: {e}", args.model)))?;
    let json = result::of_markov(name, source, game, &solution).map_err(Error::failed)?;
    let mut lines = vec![format!(
        "{} states, {:?} actions, gamma {}: {name}, {} iterations",
        game.n_states(),
        game.n_actions(),
        game.gamma(),
        solution.residuals.len()
    )];
    let bound = json["certificate"]["value_bound"].as_f64().unwrap_or(f64::NAN);
    lines.push(format!("every value is certified to {bound:.1e}"));
    let strategy = |p: &[f64]| p.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(" ");
    let (m, n) = (game.n_actions()[0], game.n_actions()[1]);
    let starts: Vec<usize> = (0..game.n_states()).filter(|&s| game.start()[s] > 0.0).collect();
    lines.push("start states: value to the first player, strategies".into());
    for &s in starts.iter().take(SHOWN) {
        let (row, column) = (&solution.row[s * m..][..m], &solution.column[s * n..][..n]);
        lines.push(format!(
            "  {s:<6} {:>13.9}  [{}]  [{}]",
            solution.values[s],
            strategy(row),
            strategy(column)
        ));
    }
    Ok(Answer { json, lines, chart: residual_chart(name, &solution.residuals) })
}

/// The table of learners against coordination games.
fn table(args: &PlanArgs) -> Result<()> {
    if args.model != "climbing" {
        return Err(Error::usage(format!(
            "the table of coordination is `coact plan climbing --method table`, not of `{}`",
            args.model
        )));
    }
    if args.runs == 0 || args.runs > 1 << 20 {
        return Err(Error::usage(format!("--runs is {}; expected 1 to 1048576", args.runs)));
    }
    let start = Instant::now();
    let episodes = args.learn.episodes.unwrap_or(TABLE_EPISODES);
    let rows = coordination::table(args.runs, episodes, args.seed).map_err(Error::failed)?;
    if !args.quiet || !args.json {
        say(format!("share of {} runs that end in a best joint action, {episodes} episodes each", args.runs));
        let head: Vec<String> = coordination::LEARNERS.iter().map(|l| format!("{:>14}", l.0)).collect();
        say(format!("{:<24}{}", "", head.concat()));
        for row in &rows {
            let cells: Vec<String> = row.optimal.iter().map(|x| format!("{:>13.1}%", 100.0 * x)).collect();
            say(format!("{:<24}{}", row.game, cells.concat()));
        }
        say(
            "payoffs of the climbing games `partly random` and `fully random` vary: distributed Q-learning must fail there",
        );
    }
    if args.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                let shares =
                    coordination::LEARNERS.iter().zip(row.optimal).map(|(l, x)| (l.0.to_string(), json!(x)));
                json!({ "game": row.game, "optimal": Value::Object(shares.collect()) })
            })
            .collect();
        say(json!({
            "method": "table", "runs": args.runs, "episodes": episodes, "seed": args.seed, "rows": rows,
            "wall_s": start.elapsed().as_secs_f64(),
        }));
    }
    Ok(())
}
