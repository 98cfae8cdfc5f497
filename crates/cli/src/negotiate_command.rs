//! `coact negotiate`: constraint problems, talks between parties, mechanisms and agreements on numbers.

use std::time::{Duration, Instant};

use coact_negotiation::agreement::Agreement;
use coact_negotiation::bargaining::{
    End, Rule, Scenario, Strategy, Terms, is_efficient, negotiate as hold, pareto, point,
};
use coact_negotiation::check::result_file;
use coact_negotiation::dcop::{self, Method, Options, Problem, Progress, Status, tidy};
use coact_negotiation::mechanisms::Mechanism;
use coact_runner::write_atomic;
use serde_json::{Map, Value, json};

use crate::args::NegotiateArgs;
use crate::console::say;
use crate::negotiate_input::{Input, load};
use crate::pulse::Pulse;
use crate::{Error, Result, negotiate_picture};

/// Rounds of an agreement on numbers.
const AGREEMENT_ROUNDS: u64 = 100_000;
/// Methods for talks beside the solution points.
const TALK: &str = "saop";

/// What a command found: the result, lines for people, a picture, a log.
struct Found {
    result: Value,
    lines: Vec<String>,
    picture: Option<String>,
    log: String,
}

/// Solves what the arguments name, and shows it.
///
/// # Errors
/// Inputs that make no sense, methods that do not fit, files that cannot be written.
pub fn negotiate(args: &NegotiateArgs) -> Result<()> {
    if let Some(path) = &args.plot {
        negotiate_picture::check_name(path)?;
    }
    let input = load(&args.inputs, args.seed)?;
    // Constraint problems tell more of themselves.
    let pulse = Pulse::new("negotiating", args.quiet || matches!(input, Input::Constraints { .. }));
    let found = match &input {
        Input::Constraints { problem, text } => constraints(args, problem, text),
        Input::Talk(scenario) => talk(args, scenario),
        Input::Mechanism { mechanism, text } => run_mechanism(args, mechanism, text),
        Input::Agreement { agreement, text } => agree(args, agreement, text),
    };
    pulse.finish();
    let found = found?;
    match (&args.plot, &found.picture) {
        (Some(path), Some(picture)) => write_atomic(path, picture.as_bytes())?,
        (Some(_), None) => return Err(Error::usage("--plot has nothing to draw here; leave it out")),
        (None, _) => {}
    }
    if let Some(path) = &args.log {
        write_atomic(path, found.log.as_bytes())?;
    }
    if let Some(path) = &args.out {
        write_atomic(path, format!("{}\n", found.result).as_bytes())?;
    }
    if !args.quiet {
        found.lines.iter().for_each(say);
    }
    if args.json {
        say(&found.result);
    }
    Ok(())
}

/// Errors of the library: what the user wrote is wrong usage, what cannot be done is a failure.
fn fault(error: coact_negotiation::Error) -> Error {
    use coact_negotiation::Error as E;
    match error {
        E::Text { .. } | E::Invalid(_) => Error::usage(error),
        other => Error::failed(other),
    }
}

fn no_options(args: &NegotiateArgs, agents: bool, params: bool) -> Result<()> {
    if agents && !args.agents.is_empty() {
        return Err(Error::usage("--agents are for talks between parties; leave them out"));
    }
    if params && !args.param.is_empty() {
        return Err(Error::usage("--param is for constraint problems; leave it out"));
    }
    Ok(())
}

fn options(args: &NegotiateArgs) -> Result<Options> {
    let mut options = Options {
        seed: args.seed,
        infinity: args.infinity,
        noise: args.noise,
        log: args.log.is_some(),
        parallel: args.threads != 1,
        memory_limit_bytes: args.memory_mib.saturating_mul(1 << 20),
        ..Options::default()
    };
    for setting in &args.param {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(Error::usage(format!("--param {setting}: write NAME=VALUE")));
        };
        options.set(name, value).map_err(fault)?;
    }
    Ok(options)
}

fn constraints(args: &NegotiateArgs, problem: &Problem, text: &str) -> Result<Found> {
    no_options(args, true, false)?;
    let method = Method::parse(args.method.as_deref().unwrap_or("dpop")).map_err(fault)?;
    let options = options(args)?;
    let mut lines = vec![format!(
        "{}: {} variables, {} constraints, {}imize",
        problem.name,
        problem.variables.len(),
        problem.constraints.len(),
        problem.objective.name()
    )];
    if method == Method::Dpop {
        let plan = dcop::dpop_plan(problem).map_err(fault)?;
        lines.push(format!(
            "dpop: induced width {}, largest table {} entries, {} bytes in all, {} messages",
            plan.induced_width, plan.largest_table, plan.bytes, plan.messages
        ));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build().map_err(Error::failed)?;
    let mut watch = Watch::new(args, method);
    let start = Instant::now();
    // Threads of the pool call agents; this one watches.
    let outcome = if options.parallel {
        let seen = std::sync::Mutex::new(&mut watch);
        pool.install(|| {
            dcop::solve(problem, method, &options, &mut |p| {
                seen.lock().is_ok_and(|mut watch| watch.see(method, p))
            })
        })
    } else {
        dcop::solve(problem, method, &options, &mut |p| watch.see(method, p))
    };
    watch.pulse.finish();
    let outcome = outcome.map_err(fault)?;
    let time = start.elapsed().as_secs_f64();
    let mut answer = outcome.to_json(problem);
    answer["time"] = json!(time);
    answer["seed"] = json!(args.seed);
    let claim = match (outcome.status, method) {
        (Status::Finished, method) if method.is_exact() => Some("optimal"),
        (Status::Finished, Method::Mgm | Method::Mgm2) => Some("nobody can gain alone"),
        _ => None,
    };
    answer["claim"] = json!(claim);
    if !outcome.costs.is_empty() {
        answer["costs"] =
            json!(outcome.costs.iter().map(|c| c.is_finite().then_some(*c)).collect::<Vec<_>>());
    }
    let rate = match outcome.counts.sent {
        0 => String::new(),
        sent => format!(" ({:.0} messages a second)", sent as f64 / time.max(1e-9)),
    };
    lines.push(format!(
        "{}: cost {}, {} violations{}; {}, {} cycles, {} messages, {time:.3} s{rate}",
        method.name(),
        tidy(outcome.cost),
        outcome.violation,
        claim.map_or(String::new(), |claim| format!(" ({claim})")),
        outcome.status.name(),
        outcome.cycle,
        outcome.counts.sent
    ));
    for (v, (variable, &value)) in problem.variables.iter().zip(&outcome.assignment).enumerate() {
        lines.push(format!("  {} = {}", variable.name, problem.value(v, value)));
    }
    let curve = || {
        negotiate_picture::curve(
            &format!("{}: cost by {}", problem.name, method.name()),
            "cycle",
            &outcome.costs,
        )
    };
    let picture = (!outcome.costs.is_empty()).then(curve);
    let infinity = args.infinity.is_finite().then_some(args.infinity);
    let source = json!({"text": text, "infinity": infinity});
    let result = result_file("dcop", method.name(), source, answer);
    Ok(Found { result, lines, picture, log: outcome.log })
}

/// Shows progress and ends a run when its time is over.
struct Watch {
    pulse: Pulse,
    end: Option<Instant>,
}

impl Watch {
    fn new(args: &NegotiateArgs, method: Method) -> Self {
        let end = args.timeout.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
        Self { pulse: Pulse::new(method.name(), args.quiet), end }
    }

    fn see(&mut self, method: Method, progress: &Progress) -> bool {
        let text = || {
            let cost = progress.cost.map_or(String::new(), |cost| format!(", cost {}", tidy(cost)));
            format!("{}: cycle {}{cost}", method.name(), progress.cycle)
        };
        self.pulse.tell(text, progress.messages);
        self.end.is_none_or(|end| Instant::now() < end)
    }
}

fn named(scenario: &Scenario, outcome: usize) -> Map<String, Value> {
    scenario.describe(outcome).into_iter().map(|(issue, value)| (issue.to_owned(), json!(value))).collect()
}

fn by_party(scenario: &Scenario, values: &[f64]) -> Map<String, Value> {
    scenario
        .profiles
        .iter()
        .zip(values)
        .map(|(profile, value)| (profile.name.clone(), json!(value)))
        .collect()
}

fn talk(args: &NegotiateArgs, scenario: &Scenario) -> Result<Found> {
    no_options(args, false, true)?;
    let method = args.method.as_deref().unwrap_or(TALK);
    if let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.name() == method) {
        return solution(args, scenario, rule);
    }
    if method != TALK {
        let names: Vec<&str> = [TALK].into_iter().chain(Rule::ALL.map(Rule::name)).collect();
        let hint = coact_core::nearest::hint(method, names.iter().copied());
        return Err(Error::usage(format!("no method `{method}` for talks: use {}{hint}", names.join(", "))));
    }
    let n = scenario.profiles.len();
    let given = if args.agents.is_empty() {
        vec!["boulware".to_owned(), "conceder".to_owned()]
    } else {
        args.agents.clone()
    };
    if given.len() > n || (args.agents.len() == 1 && n > 1) {
        return Err(Error::usage(format!(
            "{} --agents for {n} parties; give one strategy for each",
            given.len()
        )));
    }
    let strategies: Vec<&String> = given.iter().cycle().take(n).collect();
    let strategies_of =
        strategies.iter().map(|name| Strategy::parse(name)).collect::<Result<_, _>>().map_err(fault)?;
    let terms =
        Terms { strategies: strategies_of, n_rounds: args.rounds, seed: args.seed, log: args.log.is_some() };
    let negotiation = hold(scenario, &terms).map_err(fault)?;
    let space = scenario.space().map_err(fault)?;
    let offers: Vec<Value> = negotiation
        .offers
        .iter()
        .map(|offer| {
            let party = &scenario.profiles[offer.party].name;
            json!({"turn": offer.turn, "party": party, "outcome": named(scenario, offer.outcome)})
        })
        .collect();
    let efficient = negotiation.agreement.map(|outcome| is_efficient(&space, outcome));
    let status = match negotiation.end {
        End::Agreement => "agreement",
        End::Deadline => "deadline",
        End::Left => "left",
    };
    let answer = json!({
        "status": status,
        "agreement": negotiation.agreement.map(|outcome| named(scenario, outcome)),
        "utilities": by_party(scenario, &negotiation.utilities),
        "discounted": scenario.profiles.iter().any(|profile| profile.discount < 1.0),
        "pareto_efficient": efficient,
        "rounds": negotiation.n_rounds,
        "agents": strategies,
        "msg_count": negotiation.counts.sent,
        "seed": args.seed,
        "frontier": pareto(&space).iter().map(|&outcome| by_party(scenario, &space.at(outcome))).collect::<Vec<_>>(),
        "offers": offers,
    });
    let mut lines = vec![format!("{}: {} outcomes, {} parties", scenario.name, space.n_outcomes(), n)];
    for (profile, strategy) in scenario.profiles.iter().zip(&strategies) {
        let own =
            negotiation.offers.iter().filter(|offer| scenario.profiles[offer.party].name == profile.name);
        lines.push(format!("  {} ({strategy}) made {} offers", profile.name, own.count()));
    }
    match negotiation.agreement {
        Some(outcome) => {
            lines.push(format!("agreed in round {} of {}:", negotiation.n_rounds, args.rounds));
            lines.extend(
                scenario.describe(outcome).iter().map(|(issue, value)| format!("  {issue}: {value}")),
            );
        }
        None => lines.push(format!("no agreement ({status}) after {} rounds", negotiation.n_rounds)),
    }
    lines.extend(utility_lines(scenario, &negotiation.utilities, efficient));
    let picture = args
        .plot
        .is_some()
        .then(|| negotiate_picture::talk(scenario, Some(&negotiation), negotiation.agreement));
    let result = result_file("bargaining", TALK, scenario.to_json(), answer);
    Ok(Found { result, lines, picture: picture.transpose()?, log: negotiation.log })
}

fn utility_lines(scenario: &Scenario, utilities: &[f64], efficient: Option<bool>) -> Vec<String> {
    let mut lines: Vec<String> = scenario
        .profiles
        .iter()
        .zip(utilities)
        .map(|(profile, utility)| format!("  utility of {}: {utility:.5}", profile.name))
        .collect();
    match efficient {
        Some(true) => {
            lines.push("Pareto efficient: no outcome is better for one and not worse for another".into())
        }
        Some(false) => lines.push("not Pareto efficient".into()),
        None => {}
    }
    lines
}

fn solution(args: &NegotiateArgs, scenario: &Scenario, rule: Rule) -> Result<Found> {
    no_options(args, true, false)?;
    let space = scenario.space().map_err(fault)?;
    let Some(outcome) = point(&space, rule) else {
        return Err(Error::failed("every outcome leaves some party worse off than no agreement"));
    };
    let utilities = space.at(outcome);
    let answer = json!({
        "status": "agreement",
        "agreement": named(scenario, outcome),
        "utilities": by_party(scenario, &utilities),
        "pareto_efficient": true,
        "nash_product": utilities.iter().zip(&space.reservations).map(|(u, d)| u - d).product::<f64>(),
        "welfare": utilities.iter().sum::<f64>(),
        "frontier": pareto(&space).iter().map(|&outcome| by_party(scenario, &space.at(outcome))).collect::<Vec<_>>(),
    });
    let mut lines =
        vec![format!("{}: the {} point of {} outcomes", scenario.name, rule.name(), space.n_outcomes())];
    lines.extend(scenario.describe(outcome).iter().map(|(issue, value)| format!("  {issue}: {value}")));
    lines.extend(utility_lines(scenario, &utilities, Some(true)));
    let picture = args.plot.is_some().then(|| negotiate_picture::talk(scenario, None, Some(outcome)));
    let result = result_file("bargaining", rule.name(), scenario.to_json(), answer);
    Ok(Found { result, lines, picture: picture.transpose()?, log: String::new() })
}

fn run_mechanism(args: &NegotiateArgs, mechanism: &Mechanism, text: &str) -> Result<Found> {
    no_options(args, true, true)?;
    let method = args.method.as_deref().or(mechanism.methods().first().copied()).unwrap_or_default();
    let found = mechanism.run(method).map_err(fault)?;
    let mut lines = vec![format!("{}:", found.method)];
    lines.extend(answer_lines(&found.answer));
    let result = result_file("mechanism", found.method, json!({"text": text}), Value::Object(found.answer));
    Ok(Found { result, lines, picture: None, log: String::new() })
}

fn agree(args: &NegotiateArgs, agreement: &Agreement, text: &str) -> Result<Found> {
    no_options(args, true, true)?;
    let known = agreement.method();
    if let Some(method) = args.method.as_deref().filter(|method| *method != known) {
        return Err(Error::usage(format!("`{method}` does not fit this file: use {known}")));
    }
    let found = agreement.run(AGREEMENT_ROUNDS).map_err(fault)?;
    let mut lines = vec![format!("{}:", found.method)];
    lines.extend(answer_lines(&found.answer));
    let title = if known == "average" { "distance between the values" } else { "primal residual" };
    let picture = negotiate_picture::curve(title, "round", &found.curve);
    let result = result_file("agreement", found.method, json!({"text": text}), Value::Object(found.answer));
    Ok(Found { result, lines, picture: Some(picture), log: String::new() })
}

fn answer_lines(answer: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in answer {
        match value {
            Value::Object(map) => {
                lines.push(format!("  {key}"));
                lines.extend(map.iter().map(|(name, value)| format!("    {name}: {value}")));
            }
            other => lines.push(format!("  {key}: {other}")),
        }
    }
    lines
}
