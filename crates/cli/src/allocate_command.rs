//! `coact allocate`: reads a problem, runs a method, prints who does what, and writes the picture, the result and the
//! log that were asked for.

use std::path::Path;

use coact_allocation::input::{Changes, Problem, read_problem};
use coact_allocation::methods::{Allocation, Answer, Options, default_method, find, solve_watched};
use coact_allocation::result::to_json;
use coact_messaging::Outage;
use coact_runner::write_atomic;
use serde_json::{Value, json};

use crate::allocation_picture::{picture, what_counts};
use crate::args::AllocateArgs;
use crate::console::say;
use crate::pulse::Pulse;
use crate::{Error, Result};

/// Longest text of a problem that the line of `--json` repeats, in bytes; files of `--out` hold any.
const LONGEST_TEXT: usize = 1 << 18;

/// Runs the command.
///
/// # Errors
/// A file that cannot be read or written, a problem that makes no sense or has no solution, agents that do not agree.
pub fn allocate(args: &AllocateArgs) -> Result<()> {
    let text = coact_catalog::text_file::read_text(&args.file).map_err(Error::usage)?;
    let in_file = |e: coact_allocation::Error| Error::usage(format!("{}: {e}", args.file.display()));
    let changes =
        Changes { goal: args.goal.clone(), discount: args.discount, objective: args.objective.clone() };
    let problem = changes.apply(read_problem(&text).map_err(in_file)?)?;
    let method = args.method.as_deref().unwrap_or(default_method(&problem));
    find(method)?;
    if let Some(path) = &args.plot {
        check_picture_name(path)?;
    }
    let options = options(args)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads)
        .build()
        .map_err(|e| Error::failed(format!("cannot start {} threads: {e}", args.threads)))?;
    let mut pulse = Pulse::new(method, args.quiet);
    let start = std::time::Instant::now();
    let answer = pool.install(|| {
        solve_watched(&problem, method, &options, &mut |p| {
            pulse.tell(|| format!("{method}: {} {}", p.count, p.unit), p.messages);
        })
    });
    let time = start.elapsed().as_secs_f64();
    pulse.finish();
    let answer = answer?;
    if answer.is_agreed == Some(false) {
        let n_rounds = answer.trace.last().map_or(0, |round| round.round);
        let text =
            format!("the agents did not agree within {n_rounds} rounds; raise --max-rounds or lower --loss");
        return Err(Error::failed(text));
    }
    let mut result = to_json(&problem, &answer)?;
    result["seed"] = json!(args.seed);
    result["problem"] = problem_json(args, &changes, &text);
    write_files(args, &problem, &answer, &result)?;
    if !args.quiet {
        say_answer(&problem, &answer, &result, time);
    }
    if args.json {
        if text.len() > LONGEST_TEXT
            && let Some(problem) = result["problem"].as_object_mut()
        {
            problem.remove("text");
        }
        say(result);
    }
    Ok(())
}

fn problem_json(args: &AllocateArgs, changes: &Changes, text: &str) -> Value {
    json!({
        "file": args.file, "goal": changes.goal, "discount": changes.discount, "objective": changes.objective,
        "text": text,
    })
}

fn options(args: &AllocateArgs) -> Result<Options> {
    let wrong = |what: &str, value: &str, form: &str| Error::usage(format!("{what} {value} is not {form}"));
    let latency = || -> Option<(u64, u64)> {
        match args.latency.split_once('-') {
            Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
            None => args.latency.parse().ok().map(|ticks| (ticks, ticks)),
        }
    };
    let outage = |text: &String| -> Option<Outage> {
        let (agent, times) = text.split_once('@')?;
        let (from, until) = match times.split_once('-') {
            Some((from, until)) => (from, Some(until.parse().ok()?)),
            None => (times, None),
        };
        Some(Outage { agent: agent.parse().ok()?, from: from.parse().ok()?, until })
    };
    let outages = args.crash.iter().map(|text| {
        outage(text).ok_or_else(|| wrong("--crash", text, "an agent and a round such as 2@10 or 2@10-40"))
    });
    Ok(Options {
        seed: args.seed,
        loss: args.loss,
        latency: latency()
            .ok_or_else(|| wrong("--latency", &args.latency, "a number of ticks, or two as 1-4"))?,
        topology: args.topology.clone(),
        outages: outages.collect::<Result<_>>()?,
        epsilon: args.epsilon,
        max_rounds: args.max_rounds,
        log: args.log.is_some(),
    })
}

/// Pictures are pages or vector graphics.
fn check_picture_name(path: &Path) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html" | "svg") => Ok(()),
        _ => Err(Error::usage(format!("--plot {} must end in .html or .svg", path.display()))),
    }
}

fn write_files(args: &AllocateArgs, problem: &Problem, answer: &Answer, result: &Value) -> Result<()> {
    if let Some(path) = &args.plot {
        let as_page = path.extension().is_some_and(|e| e == "html");
        write_atomic(path, picture(problem, answer, result, as_page)?.as_bytes())?;
    }
    if let Some(path) = &args.out {
        write_atomic(path, format!("{result:#}\n").as_bytes())?;
    }
    if let Some(path) = &args.log {
        write_atomic(path, answer.log.as_bytes())?;
    }
    Ok(())
}

/// The answer for people.
fn say_answer(problem: &Problem, answer: &Answer, result: &Value, time: f64) {
    say(format!("{} on {}, class {}", answer.method, problem.kind(), problem.class()));
    let words = |items: Vec<String>| if items.is_empty() { "-".to_string() } else { items.join(", ") };
    match (&answer.allocation, problem) {
        (Allocation::Paths(paths), Problem::Team(team)) => {
            for (robot, path) in team.robots().iter().zip(paths) {
                let tasks = path.iter().map(|&t| team.tasks()[t].name.clone()).collect();
                say(format!("  {:<12} {}", robot.name, words(tasks)));
            }
        }
        (Allocation::Paths(paths), _) => {
            for (agent, path) in paths.iter().enumerate() {
                say(format!("  agent {agent:<6} {}", words(path.iter().map(usize::to_string).collect())));
            }
        }
        (Allocation::Assignment(found), _) => {
            for (row, col) in found.pairs().take(20) {
                say(format!("  row {row} - column {col}"));
            }
            let n_pairs = found.pairs().count();
            if n_pairs > 20 {
                say(format!("  and {} more; --json or --out for all", n_pairs - 20));
            }
        }
        (Allocation::Agents(agents), _) => {
            for (task, agent) in agents.iter().enumerate() {
                say(format!("  task {task} - agent {agent}"));
            }
        }
        (Allocation::Payoffs(payoffs, _), Problem::Coalition { players, .. }) => {
            for (player, payoff) in players.iter().zip(payoffs) {
                say(format!("  {player:<12} {payoff}"));
            }
        }
        _ => say(format!("  {}", result["assignment"])),
    }
    let mut line = format!("{} {}", what_counts(problem), result["total_cost"]);
    if let Some(gap) = result.pointer("/certificate/gap") {
        line += &format!(", proved within {gap} by dual prices");
    }
    if let Some(left) =
        result.pointer("/certificate/unassigned").and_then(Value::as_array).filter(|l| !l.is_empty())
    {
        line +=
            &format!(", not assigned: {}", left.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    }
    if answer.messages > 0 {
        let a_second = answer.messages as f64 / time.max(1e-9);
        line += &format!(", {} messages ({a_second:.0} a second), {} rounds", answer.messages, answer.rounds);
    }
    say(line);
}
