//! `coact solve`: equilibria of games, with a certificate.

use std::time::Instant;

use coact_games::equilibrium::expected_vertices;
use coact_games::extensive::normal_form;
use coact_games::solve::{Claim, METHODS, Method, MethodEntry, Options, Solution, solve as run, suitable};
use coact_games::{NormalForm, Rational, Scalar, certificate, nfg};
use coact_runner::write_atomic;
use serde_json::{Value, json};

use crate::args::SolveArgs;
use crate::console::{note, say};
use crate::game_input::{Game, read};
use crate::plot::{Chart, Series};
use crate::progress::Watch;
use crate::{Error, Result, chart_file, learn, plan_command, solve_extensive};

/// Entries of the payoff table up to which methods run exactly also where that was not asked for.
const EXACT_ENTRIES: usize = 225;
/// The same for programs over joint distributions, whose tables are the square of that.
const EXACT_JOINT: usize = 25;
/// Vertices or pairs of supports from which a warning is given; some seconds of work.
const WARN_FROM: f64 = 2e6;

/// Vertices at which a search stops, before it fills the memory of a small machine.
const MOST_VERTICES: usize = 20_000_000;

/// Solves a game.
///
/// # Errors
/// Wrong usage, or a method that does not come to an end.
pub fn solve(args: &SolveArgs) -> Result<()> {
    match read(&args.game)? {
        Game::Normal(game) => match args.method.as_deref().and_then(learn::markov_method) {
            Some(method) => solve_by_learning(&game, method, args),
            None => solve_normal(&game, args),
        },
        Game::Markov(source) => plan_command::solve(args, source),
        Game::Extensive(game) => match args.method.as_deref() {
            // A method for tables of payoffs works on the normal form.
            Some(name) if !solve_extensive::knows(name) && METHODS.iter().any(|entry| entry.name == name) => {
                solve_normal(&normal_form(&game.tree).map_err(Error::usage)?, args)
            }
            _ => solve_extensive::solve(args, &game),
        },
    }
}

fn solve_normal(game: &NormalForm<Rational>, args: &SolveArgs) -> Result<()> {
    let entry = method(game, args)?;
    check_options(entry, args)?;
    let options = Options {
        all: args.all,
        label: args.label,
        iterations: args.iterations.unwrap_or(Options::default().iterations),
        temperature: args.temperature,
        dt: args.dt,
    };
    let limit = if matches!(entry.method, Method::Correlated(..)) { EXACT_JOINT } else { EXACT_ENTRIES };
    let exactly = args.exact || (entry.exact && game.n_profiles() <= limit);
    let start = Instant::now();
    let mut watch = watch(game, entry, args);
    let most = if entry.method == Method::Vertices { MOST_VERTICES } else { usize::MAX };
    let mut observe = |n: usize| watch.tell(n) && n < most;
    let outcome = match exactly {
        true => run(game, entry.method, &options, &mut observe),
        false => run(&game.convert::<f64>(), entry.method, &options, &mut observe).map(exact_text),
    };
    watch.finish();
    let solution = outcome.map_err(failure)?;
    publish(game, entry.name, &solution, args, exactly, start.elapsed().as_secs_f64())
}

/// Lets learners of Markov games play the game over and over.
fn solve_by_learning(
    game: &NormalForm<Rational>,
    method: &coact_games::markov::learn::MethodEntry,
    args: &SolveArgs,
) -> Result<()> {
    if args.exact || args.all {
        return Err(Error::usage(format!(
            "{} learns one profile in floats; leave --exact and --all out",
            method.name
        )));
    }
    let start = Instant::now();
    let floats = game.convert::<f64>();
    let (mixed, trace) = learn::in_normal_form(&floats, method, &args.learn, args.seed, args.quiet)?;
    let solution = Solution {
        claim: Claim::Approximate,
        values: vec![certificate::values(&floats, &mixed)],
        gains: vec![certificate::gains(&floats, &mixed)],
        equilibria: vec![mixed],
        joint: None,
        survivors: None,
        complete: false,
        trace,
    };
    publish(game, method.name, &exact_text(solution), args, false, start.elapsed().as_secs_f64())
}

/// Draws, writes and prints an answer, as was asked for.
fn publish(
    game: &NormalForm<Rational>,
    method: &str,
    solution: &Solution<Rational>,
    args: &SolveArgs,
    exactly: bool,
    wall_s: f64,
) -> Result<()> {
    if let Some(path) = &args.plot {
        chart_file::write(path, &convergence(&solution.trace, game.title(), method))?;
    }
    let result = object(game, method, solution, args.exact, exactly, wall_s);
    if let Some(path) = &args.out {
        write_atomic(path, format!("{result}\n").as_bytes())?;
    }
    match args.json {
        true => say(result),
        false => print(game, method, solution, args.exact, wall_s),
    }
    Ok(())
}

/// Methods that do not apply are wrong usage; the rest went wrong on the way.
pub(crate) fn failure(error: coact_games::Error) -> Error {
    match error {
        coact_games::Error::Inaccurate { .. } | coact_games::Error::Stopped { .. } => Error::failed(error),
        other => Error::usage(other),
    }
}

fn method(game: &NormalForm<Rational>, args: &SolveArgs) -> Result<&'static MethodEntry> {
    let name = args.method.as_deref().unwrap_or_else(|| suitable(game, args.all));
    METHODS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let hint = coact_core::nearest::hint(name, METHODS.iter().map(|entry| entry.name));
        Error::usage(format!("no method is called `{name}`{hint}; `coact list methods` shows them"))
    })
}

fn check_options(entry: &MethodEntry, args: &SolveArgs) -> Result<()> {
    if args.exact && !entry.exact {
        return Err(Error::usage(format!(
            "method `{}` works in floating point; leave --exact out",
            entry.name
        )));
    }
    if args.plot.is_some() && (entry.exact || entry.method == Method::DoubleOracle) {
        return Err(Error::usage(format!(
            "method `{}` does not converge step by step; --plot goes with fictitious-play, regret-matching and the like",
            entry.name
        )));
    }
    if !(args.dt > 0.0 && args.dt.is_finite()) {
        return Err(Error::usage(format!("--dt is {}; give a positive number", args.dt)));
    }
    Ok(())
}

/// Warns of long searches, and watches them.
fn watch(game: &NormalForm<Rational>, entry: &MethodEntry, args: &SolveArgs) -> Watch {
    let (unit, expected) = match (entry.method, game.shape()) {
        (Method::Vertices, &[m, n]) => ("vertices", Some(expected_vertices(m, n))),
        (Method::Supports, &[m, n]) => ("pairs of supports", Some(binomial(m + n, m))),
        (Method::Polynomial, shape) => {
            let all = |n: &usize| 2f64.powi(*n as i32) - 1.0;
            ("choices of supports", Some(shape.iter().map(all).product()))
        }
        (Method::LemkeHowson, _) => ("pivots", None),
        _ => ("rounds", args.iterations.map(|n| n as f64)),
    };
    let watch = Watch::new(unit, expected, args.quiet);
    let Some(expected) = expected.filter(|&e| e > WARN_FROM && unit != "rounds") else { return watch };
    let size: Vec<String> = game.shape().iter().map(usize::to_string).collect();
    note(format!(
        "warning: method `{}` on a {} game goes through about {expected:.1e} {unit} (how long that takes is told once it \
         is measured); `--method lemke-howson` without --all finds one equilibrium at once; stop with Ctrl-C",
        entry.name,
        size.join("x")
    ));
    watch.with_forecast()
}

fn binomial(n: usize, k: usize) -> f64 {
    (1..=k).fold(1.0, |b, i| b * (n - k + i) as f64 / i as f64)
}

/// Floats as the rationals that they are, so that one writer serves both.
fn exact_text(solution: Solution<f64>) -> Solution<Rational> {
    let one = |x: &f64| <Rational as Scalar>::from_float(*x).unwrap_or_default();
    let list = |x: &Vec<f64>| x.iter().map(one).collect::<Vec<Rational>>();
    Solution {
        claim: solution.claim,
        equilibria: solution.equilibria.iter().map(|m| m.iter().map(list).collect()).collect(),
        values: solution.values.iter().map(list).collect(),
        gains: solution.gains.iter().map(list).collect(),
        joint: solution.joint.as_ref().map(list),
        survivors: solution.survivors,
        complete: solution.complete,
        trace: solution.trace,
    }
}

fn number(x: &Rational, exact: bool) -> Value {
    if exact { json!(x.to_string()) } else { json!(x.to_float()) }
}

fn numbers(list: &[Rational], exact: bool) -> Value {
    list.iter().map(|x| number(x, exact)).collect()
}

/// The answer as one object, which `coact verify` can check.
fn object(
    game: &NormalForm<Rational>,
    method: &str,
    solution: &Solution<Rational>,
    exact: bool,
    exactly: bool,
    wall_s: f64,
) -> Value {
    let mixed = |m: &Vec<Vec<Rational>>| -> Value { m.iter().map(|x| numbers(x, exact)).collect() };
    let largest = solution.gains.iter().flatten().map(Scalar::to_float).fold(0.0, f64::max);
    let gains: Value = solution.gains.iter().map(|g| numbers(g, exact)).collect();
    let mut object = json!({
        "format": "coact-result/1",
        "kind": "solve",
        "form": "normal",
        "title": game.title(),
        "method": method,
        "exact": exact,
        "arithmetic": if exactly { "exact" } else { "float" },
        "claim": solution.claim.name(),
        "complete": solution.complete,
        "equilibria": solution.equilibria.iter().map(mixed).collect::<Value>(),
        "values": solution.values.iter().map(|v| numbers(v, exact)).collect::<Value>(),
        "certificate": {"gains": gains, "largest_gain": largest},
        "game": nfg::write(game),
        "wall_s": wall_s,
    });
    if let Some(joint) = &solution.joint {
        object["joint"] = numbers(joint, exact);
    }
    if let Some(survivors) = &solution.survivors {
        object["survivors"] = json!(survivors);
    }
    object
}

fn print(game: &NormalForm<Rational>, method: &str, solution: &Solution<Rational>, exact: bool, wall_s: f64) {
    let text = |x: &Rational| match exact {
        true => x.to_string(),
        false => format!("{:.9}", x.to_float()).trim_end_matches('0').trim_end_matches('.').to_string(),
    };
    let played = |player: usize, x: &[Rational]| -> String {
        let names = &game.players()[player].strategies;
        let parts = names.iter().zip(x).filter(|(_, p)| p.to_float() != 0.0);
        parts.map(|(name, p)| format!("{name}: {}", text(p))).collect::<Vec<_>>().join("  ")
    };
    let list = |x: &[Rational]| x.iter().map(&text).collect::<Vec<_>>().join(", ");
    for (k, mixed) in solution.equilibria.iter().enumerate() {
        say(format!("{}. payoffs {}", k + 1, list(&solution.values[k])));
        for (player, x) in mixed.iter().enumerate() {
            say(format!("   {:<12} {}", game.players()[player].name, played(player, x)));
        }
    }
    if let Some(joint) = &solution.joint {
        say(format!("payoffs {}", list(&solution.values[0])));
        for (profile, p) in game.profiles().zip(joint).filter(|(_, p)| p.to_float() != 0.0) {
            let names = profile.iter().enumerate().map(|(i, &s)| game.players()[i].strategies[s].as_str());
            say(format!("   ({}) {}", names.collect::<Vec<_>>().join(", "), text(p)));
        }
    }
    for (player, survivors) in solution.survivors.iter().flatten().enumerate() {
        let names = survivors.iter().map(|&s| game.players()[player].strategies[s].as_str());
        say(format!("{:<12} keeps {}", game.players()[player].name, names.collect::<Vec<_>>().join(", ")));
    }
    let largest = solution.gains.iter().flatten().map(Scalar::to_float).fold(0.0, f64::max);
    let n = solution.equilibria.len();
    let what = match solution.claim {
        Claim::Nash if solution.complete => format!("{n} equilibria, and the list is complete"),
        Claim::Nash => format!("{n} equilibria"),
        Claim::Approximate => "an approximation".into(),
        claim => claim.name().to_string(),
    };
    say(format!("{what}; method {method}, largest gain of a deviation {largest:.3e}, {wall_s:.3} s"));
}

fn convergence(trace: &[(u64, f64)], title: &str, method: &str) -> Chart {
    let points = trace.iter().filter(|(round, gain)| *round > 0 && *gain > 0.0);
    let points = points.map(|&(round, gain)| ((round as f64).log10(), gain.max(1e-16).log10()));
    Chart {
        size: (640.0, 360.0),
        x_label: format!("rounds of {method}"),
        y_label: format!("NashConv (gains of best replies, summed), {title}"),
        log: (true, true),
        description: format!("Sum of the players' gains over rounds of {method} in {title}"),
        series: vec![Series { label: method.into(), points: points.collect(), ..Series::default() }],
        level: None,
    }
}
