//! `coact solve` on extensive-form games, and the check of its results by `coact verify`.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use coact_games::extensive::certificate::{Certificate, certify, check};
use coact_games::extensive::games::by_name;
use coact_games::extensive::methods::{self, ITERATIVE, MethodEntry, Settings};
use coact_games::extensive::{Profile, SequenceForm, Tree, assess_plans, backward_induction, solve_program};
use coact_games::{Rational, Scalar, efg};
use coact_runner::write_atomic;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::args::SolveArgs;
use crate::console::{note, say};
use crate::plot::{Chart, Series};
use crate::solve::failure;
use crate::{Error, Result, chart_file};

/// Nodes up to which a built-in game is unfolded.
pub(crate) const MOST_NODES: usize = 5_000_000;
/// Values and gains of floats agree with the independent check up to this share of the largest payoff.
const TOLERANCE: f64 = 1e-9;
/// Information sets up to which the exact program is the default.
const SMALL: usize = 60;

/// A game with where it came from.
pub struct ExtensiveGame {
    /// The tree.
    pub tree: Tree,
    /// The name of a built-in game, or `{"efg": text}`.
    pub source: Value,
}

/// What a method found.
struct Answer {
    /// Probabilities of each information set, as JSON numbers or, if exact, texts.
    rows: Vec<Vec<Value>>,
    certificate: Certificate,
    certificate_json: Value,
    values: Vec<Value>,
    iterations: Option<u64>,
    /// Iterations and NashConv.
    curve: Vec<(f64, f64)>,
}

/// Solves a game in extensive form.
///
/// # Errors
/// A method that is unknown or does not apply, or a plot or result that cannot be written.
pub(crate) fn solve(args: &SolveArgs, game: &ExtensiveGame) -> Result<()> {
    let tree = &game.tree;
    let method = args.method.clone().unwrap_or_else(|| default_method(tree).into());
    if args.all {
        return Err(Error::usage("--all lists the equilibria of games in normal form; leave it out here"));
    }
    let start = Instant::now();
    let answer = match method.as_str() {
        "sequence-form" | "backward-induction" if args.plot.is_some() => {
            return Err(Error::usage(format!("{method} has no iterations to plot; leave out --plot")));
        }
        "sequence-form" if args.exact => program::<Rational>(tree)?,
        "sequence-form" => program::<f64>(tree)?,
        "backward-induction" => induction(tree)?,
        name => {
            let entry = methods::iterative(name).map_err(|_| unknown(name))?;
            if args.exact {
                let text = format!("{name} works in floats; for exact results take --method sequence-form");
                return Err(Error::usage(text));
            }
            iterate(args, tree, entry)?
        }
    };
    let wall_s = start.elapsed().as_secs_f64();
    if let Some(path) = &args.plot {
        chart_file::write(path, &chart(tree, &method, &answer.curve))?;
    }
    let exact = args.exact || method == "backward-induction";
    let result = result(game, &method, exact, &answer, wall_s);
    if let Some(path) = &args.out {
        write_atomic(path, format!("{result}\n").as_bytes())?;
    }
    if args.json {
        say(result);
    } else {
        print(tree, &method, &answer, wall_s);
    }
    Ok(())
}

/// Whether a method for extensive form has this name.
pub(crate) fn knows(name: &str) -> bool {
    ["sequence-form", "backward-induction"].contains(&name) || methods::iterative(name).is_ok()
}

fn unknown(name: &str) -> Error {
    let known: Vec<&str> = ITERATIVE.iter().map(|m| m.name).collect();
    let known = known.join(", ");
    Error::usage(format!(
        "unknown method `{name}` for games in extensive form; one of sequence-form, backward-induction, {known}"
    ))
}

fn default_method(tree: &Tree) -> &'static str {
    if tree.has_perfect_information() {
        "backward-induction"
    } else if tree.n_players() == 2 && tree.n_decisions() <= SMALL && tree.constant_sum().is_some() {
        "sequence-form"
    } else {
        "cfr+"
    }
}

fn program<T: Scalar>(tree: &Tree) -> Result<Answer> {
    let solution = solve_program::<T>(tree).map_err(failure)?;
    answer(tree, &solution.profile)
}

fn induction(tree: &Tree) -> Result<Answer> {
    let solution = backward_induction(tree).map_err(failure)?;
    answer(tree, &solution.profile)
}

fn answer<T: Scalar>(tree: &Tree, profile: &Profile<T>) -> Result<Answer> {
    let certificate = certify(tree, profile).map_err(Error::failed)?;
    let list = |numbers: &[T]| numbers.iter().map(to_json).collect::<Vec<Value>>();
    let floats = |numbers: &[T]| numbers.iter().map(Scalar::to_float).collect();
    let nash_conv = certificate.nash_conv();
    let exploitability = nash_conv.clone() / &T::from_int(tree.n_players() as i64);
    Ok(Answer {
        rows: profile.rows(tree).iter().map(|row| list(row)).collect(),
        certificate_json: json!({
            "gains": list(&certificate.gains),
            "nash_conv": to_json(&nash_conv),
            "exploitability": to_json(&exploitability),
        }),
        values: list(&certificate.values),
        certificate: Certificate { values: floats(&certificate.values), gains: floats(&certificate.gains) },
        iterations: None,
        curve: Vec::new(),
    })
}

/// A number, or an exact fraction as text.
fn to_json<T: Scalar>(x: &T) -> Value {
    if T::EXACT { Value::from(x.to_string()) } else { Value::from(x.to_float()) }
}

/// Runs an iterative method, with progress, and measures it at 1, 2, 3, 5, 10, 20, ... iterations.
fn iterate(args: &SolveArgs, tree: &Tree, entry: &MethodEntry) -> Result<Answer> {
    let n = args.iterations.unwrap_or(entry.iterations);
    if n == 0 {
        return Err(Error::usage("--iterations must be at least 1"));
    }
    let settings = Settings { seed: args.seed, batch: args.batch };
    let mut solver = entry.start(tree, settings).map_err(failure)?;
    let form = SequenceForm::new(tree, "a best response").map_err(Error::failed)?;
    let hidden = args.quiet || !std::io::stderr().is_terminal();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(4) };
    let bar = ProgressBar::with_draw_target(Some(n), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:28} {pos}/{len} iterations  {msg}  eta {eta}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut curve = Vec::new();
    let mut spoke = Instant::now();
    while solver.n_iterations() < n {
        solver.step();
        let so_far = solver.n_iterations();
        bar.set_position(so_far);
        if is_milestone(so_far) || so_far == n {
            let nash_conv = assess_plans(&form, &form.realize(&solver.average())).nash_conv();
            curve.push((so_far as f64, nash_conv));
            bar.set_message(format!("NashConv {nash_conv:.3e}"));
            if hidden && !args.quiet && spoke.elapsed() > Duration::from_secs(2) {
                note(format!("{so_far:>10} of {n} iterations  NashConv {nash_conv:.6e}"));
                spoke = Instant::now();
            }
        }
    }
    bar.finish_and_clear();
    let mut answer = answer(tree, &solver.average())?;
    answer.iterations = Some(n);
    answer.curve = curve;
    Ok(answer)
}

/// 1, 2, 3, 5 and 7 times a power of ten.
fn is_milestone(n: u64) -> bool {
    let power = 10u64.pow(n.ilog10());
    [1, 2, 3, 5, 7].contains(&(n / power)) && n.is_multiple_of(power)
}

fn result(game: &ExtensiveGame, method: &str, exact: bool, answer: &Answer, wall_s: f64) -> Value {
    let tree = &game.tree;
    let mut strategies: Vec<Vec<Value>> = vec![Vec::new(); tree.n_players()];
    let decisions = tree.infosets().iter().filter_map(|i| Some((i, i.player?)));
    for ((infoset, player), row) in decisions.zip(&answer.rows) {
        strategies[player].push(json!({
            "infoset": infoset.label, "actions": infoset.actions[..], "probabilities": row,
        }));
    }
    json!({
        "format": "coact-result/1", "kind": "solve", "form": "extensive", "game": game.source,
        "method": method, "exact": exact, "iterations": answer.iterations,
        "equilibria": [strategies], "values": answer.values, "certificate": answer.certificate_json,
        "wall_s": wall_s,
    })
}

fn print(tree: &Tree, method: &str, answer: &Answer, wall_s: f64) {
    let n = tree.n_players();
    let iterations = answer.iterations.map_or_else(String::new, |n| format!(", {n} iterations"));
    say(format!(
        "{}: {n} players, {} nodes, {} information sets; {method}{iterations}, {wall_s:.3} s",
        tree.title(),
        tree.n_nodes(),
        tree.n_decisions()
    ));
    const MOST_ROWS: usize = 40;
    let decisions = tree.infosets().iter().filter(|i| i.player.is_some());
    for (infoset, row) in decisions.zip(&answer.rows).take(MOST_ROWS) {
        let player = infoset.player.map_or("", |p| tree.players()[p].as_str());
        let one = |(a, p): (&String, &Value)| match p {
            Value::String(exact) => format!("{a} {exact}"),
            other => format!("{a} {:.4}", other.as_f64().unwrap_or(f64::NAN)),
        };
        let play: Vec<String> = infoset.actions.iter().zip(row).map(one).collect();
        say(format!("  {player}  {:<12} {}", infoset.label, play.join("  ")));
    }
    if answer.rows.len() > MOST_ROWS {
        say(format!("  ... {} more; --json or --out FILE has all", answer.rows.len() - MOST_ROWS));
    }
    let text =
        |v: &Value| v.as_str().map_or_else(|| format!("{:.9}", v.as_f64().unwrap_or(0.0)), String::from);
    let values: Vec<String> = answer.values.iter().map(text).collect();
    let nash_conv = answer.certificate.nash_conv();
    say(format!("values {}", values.join("  ")));
    say(format!("NashConv {nash_conv:.6e}, exploitability {:.6e}", nash_conv / n as f64));
}

/// NashConv over iterations.
fn chart(tree: &Tree, method: &str, curve: &[(f64, f64)]) -> Chart {
    let points = curve.iter().filter(|p| p.1 > 0.0).map(|p| (p.0.log10(), p.1.log10())).collect();
    let label = method.to_string();
    Chart {
        size: (640.0, 400.0),
        x_label: format!("iterations of {method}"),
        y_label: format!("NashConv (gains of best responses, summed), {}", tree.title()),
        log: (true, true),
        description: format!("NashConv over iterations of {method} on {}", tree.title()),
        series: vec![Series { label, points, ..Series::default() }],
        level: None,
    }
}

/// Checks a result of [`solve`] with code that shares nothing with the solvers, and says in one line what was checked.
///
/// # Errors
/// A result that is not whole, or whose numbers are not what its strategies earn and lack.
pub(crate) fn verify(result: &Value) -> Result<String> {
    let tree = match &result["game"] {
        Value::String(name) => by_name(name).and_then(|g| g.tree(MOST_NODES)).map_err(Error::failed)?,
        game => {
            let text = game["efg"].as_str().ok_or_else(|| missing("game"))?;
            efg::read(text).map_err(Error::failed)?
        }
    };
    let exact = result["exact"].as_bool().ok_or_else(|| missing("exact"))?;
    let nash_conv = if exact { recheck::<Rational>(&tree, result)? } else { recheck::<f64>(&tree, result)? };
    let method = result["method"].as_str().unwrap_or("?");
    Ok(format!("{} by {method}: values and gains hold, NashConv {nash_conv}", tree.title()))
}

fn missing(field: &str) -> Error {
    Error::failed(format!("the result has no sound `{field}`; make it again with `coact solve`"))
}

fn recheck<T: Scalar>(tree: &Tree, result: &Value) -> Result<String> {
    let exact = T::EXACT;
    let strategies = result["equilibria"][0].as_array().ok_or_else(|| missing("equilibria"))?;
    let mut next = vec![0; tree.n_players()];
    let mut rows = Vec::new();
    for infoset in tree.infosets() {
        let Some(player) = infoset.player else { continue };
        let entry = strategies.get(player).map_or(&Value::Null, |s| &s[next[player]]);
        next[player] += 1;
        if entry["infoset"] != infoset.label.as_str() || entry["actions"] != json!(*infoset.actions) {
            return Err(missing("equilibria"));
        }
        rows.push(numbers::<T>(&entry["probabilities"]).ok_or_else(|| missing("equilibria"))?);
    }
    let profile = Profile::from_rows(tree, &rows).map_err(Error::failed)?;
    let claimed = Certificate {
        values: numbers::<T>(&result["values"]).ok_or_else(|| missing("values"))?,
        gains: numbers::<T>(&result["certificate"]["gains"]).ok_or_else(|| missing("certificate"))?,
    };
    check(tree, &profile, &claimed, TOLERANCE).map_err(Error::failed)?;
    let nash_conv = claimed.nash_conv();
    let mean = nash_conv.clone() / &T::from_int(tree.n_players() as i64);
    for (name, found) in [("nash_conv", &nash_conv), ("exploitability", &mean)] {
        let stated = number::<T>(&result["certificate"][name]).ok_or_else(|| missing("certificate"))?;
        if !(stated.clone() - found).is_near_zero(TOLERANCE) {
            let text = format!("`{name}` is stated as {stated}, which is not what the gains add up to");
            return Err(Error::failed(text));
        }
    }
    Ok(if exact { nash_conv.to_string() } else { format!("{:.1e}", nash_conv.to_float()) })
}

fn numbers<T: Scalar>(list: &Value) -> Option<Vec<T>> {
    list.as_array()?.iter().map(number).collect()
}

fn number<T: Scalar>(value: &Value) -> Option<T> {
    match value {
        Value::String(text) => T::parse(text),
        other => T::from_float(other.as_f64()?),
    }
}
