//! Learners of `coact plan` and `coact solve`: what they are made with, their progress, their curves. What they learned is
//! measured against the model or the game, which learners never see.

use coact_games::markov::certificate::assess;
use coact_games::markov::learn::{self as play, MarkovLearner, Rates};
use coact_games::markov::{MarkovGame, MarkovGameBuilder};
use coact_games::{Mixed, NormalForm};
use coact_tabular::joint::JointModel;
use coact_tabular::learn::{self, Learned, MethodEntry, Settings};
use coact_tabular::model::Model;
use coact_tabular::plan::{self, Plan, PlanOptions};
use coact_tabular::problem;
use coact_tabular::result::{self, Source};
use coact_tabular::schedule::Schedule;
use serde_json::json;

use crate::args::{LearnArgs, PlanArgs};
use crate::plan_command::{Answer, policy_lines};
use crate::plot::{Chart, Series};
use crate::progress::Watch;
use crate::{Error, Result};

/// Points of a curve of returns; each is a mean of neighbors.
const CURVE: usize = 200;
/// Steps that learners of Markov games take unless told otherwise.
const STEPS: u64 = 100_000;
/// Measurements on the way, for a picture.
const MEASURED: u64 = 40;

/// Steps, and the sum of gains after them.
type Trace = Vec<(u64, f64)>;

fn settings(args: &PlanArgs) -> Settings {
    let (base, l) = (Settings::default(), &args.learn);
    Settings {
        episodes: l.episodes.unwrap_or(base.episodes),
        max_steps: l.max_steps,
        alpha: l.alpha.unwrap_or(base.alpha),
        epsilon: l.epsilon.unwrap_or(base.epsilon),
        initial: l.initial,
        lambda: l.lambda,
        n_step: l.n_step,
        planned: l.planned,
        beta: l.beta,
        leniency: l.leniency,
        seed: args.seed,
    }
}

/// Learns in a model, with one decision maker or, for methods of teams, several.
///
/// # Errors
/// Wrong usage: settings out of range, or a team method for a model of one.
pub(crate) fn in_model(
    args: &PlanArgs,
    source: &Source,
    model: &Model,
    team: Option<JointModel>,
    method: &MethodEntry,
) -> Result<Answer> {
    let settings = settings(args);
    let mut watch = Watch::new("episodes", Some(f64::from(settings.episodes)), args.quiet);
    let mut observe = |n: u32| {
        watch.tell(n as usize);
    };
    let learned = match &team {
        Some(team) => learn::learn_team(team, method, &settings, &mut observe),
        None if method.is_team() => {
            return Err(Error::usage(format!(
                "{} is for several agents; crossing, climbing and the problems of teams have them",
                method.name
            )));
        }
        None => learn::learn(model, method, &settings, &mut observe),
    };
    watch.finish();
    answer(source, model, method, &settings, &learned.map_err(Error::usage)?)
}

/// The team that a problem by this name is played by, with the model's own discount; none where one decides alone.
pub(crate) fn team_of(source: &Source, model: &Model) -> Result<Option<JointModel>> {
    let Source::Name(name) = source else { return Ok(None) };
    let Some(team) = problem::team_by_name(name).map_err(Error::failed)? else { return Ok(None) };
    JointModel::new(model.clone(), team.n_actions).map(Some).map_err(Error::failed)
}

fn answer(
    source: &Source,
    model: &Model,
    method: &MethodEntry,
    settings: &Settings,
    learned: &Learned,
) -> Result<Answer> {
    let Learned { values, policy, returns } = learned;
    let found = Plan {
        values: values.clone(),
        policy: policy.clone(),
        iterations: returns.len(),
        residuals: Vec::new(),
    };
    let mut json = result::of_model(method.name, source, model, &found).map_err(Error::failed)?;
    let at_start = |values: &[f64]| result::start_value(model.start(), values);
    let best = plan::plan(model, plan::Method::ModifiedPolicyIteration, &PlanOptions::default()).ok();
    let worth = worth(model, policy, best.as_ref().map(|plan| plan.policy.as_slice()));
    let best = best.map(|plan| at_start(&plan.values));
    let curve = means(returns);
    let last = &returns[returns.len() - returns.len().div_ceil(10)..];
    let last = last.iter().sum::<f64>() / last.len() as f64;
    json["episodes"] = json!(returns.len());
    json["seed"] = json!(settings.seed);
    json["policy_start_value"] = json!(worth);
    json["optimal_start_value"] = json!(best);
    json["last_returns"] = json!(last);
    json["curve"] = json!(curve);
    let number = |x: Option<f64>| x.map_or("none (it may never end)".into(), |x| format!("{x:.6}"));
    let mut lines = vec![
        format!(
            "{} states, {} actions, gamma {}: {}, {} episodes",
            model.n_states(),
            model.n_actions(),
            model.gamma(),
            method.summary,
            returns.len()
        ),
        format!(
            "value of the start: learned {:.6}; of the greedy policy {}; optimal {}",
            at_start(values),
            number(worth),
            best.map_or("unknown".into(), |x| format!("{x:.6}"))
        ),
        format!("mean discounted return of the last tenth of the episodes, exploring: {last:.6}"),
    ];
    lines.extend(policy_lines(model, values, policy));
    let chart = curve_chart(method.name, returns.len(), curve, best);
    Ok(Answer { json, lines, chart })
}

/// The learning curve. What the first tenth has below all that follows would leave no room for the rest, and is cut.
fn curve_chart(name: &str, n_episodes: usize, mut curve: Vec<(f64, f64)>, best: Option<f64>) -> Chart {
    let least = curve[curve.len() / 10..].iter().fold(f64::INFINITY, |least, p| least.min(p.1));
    let cut = curve.iter().any(|p| p.1 < least);
    curve.iter_mut().for_each(|p| p.1 = p.1.max(least));
    let each = n_episodes.div_ceil(CURVE);
    let of = if each == 1 { String::new() } else { format!(", means of {each} episodes") };
    let cut = if cut { " (cut below)" } else { "" };
    Chart {
        size: (640.0, 360.0),
        x_label: "episode".into(),
        y_label: format!("discounted return of {name}{of}{cut}"),
        description: format!("Discounted return of episodes of {name}"),
        series: vec![Series { label: name.into(), points: curve, ..Series::default() }],
        level: best.map(|best| (best, "optimal".into())),
        ..Chart::default()
    }
}

/// What a policy is worth from the start, exactly; none where it may never end and `gamma` is 1. Where it does not lead,
/// `otherwise` is followed, so that what was never seen does not keep it from ending.
fn worth(model: &Model, policy: &[usize], otherwise: Option<&[usize]>) -> Option<f64> {
    let mut reached: Vec<bool> = model.start().iter().map(|&p| p > 0.0).collect();
    let mut open: Vec<usize> = (0..reached.len()).filter(|&s| reached[s]).collect();
    while let Some(state) = open.pop() {
        let outcomes = model.outcomes(state, policy[state]).filter(|o| o.prob > 0.0);
        for next in outcomes.map(|o| o.next).filter(|_| !model.is_terminal(state)) {
            if !std::mem::replace(&mut reached[next], true) {
                open.push(next);
            }
        }
    }
    let mut played = vec![0.0; model.n_states() * model.n_actions()];
    for (state, row) in played.chunks_exact_mut(model.n_actions()).enumerate() {
        row[if reached[state] { policy } else { otherwise.unwrap_or(policy) }[state]] = 1.0;
    }
    let values = plan::evaluate(model, &played).ok()?;
    Some(result::start_value(model.start(), &values)).filter(|v| v.is_finite())
}

/// Means of neighbors, each at its last episode (from 1).
fn means(returns: &[f64]) -> Vec<(f64, f64)> {
    let each = returns.len().div_ceil(CURVE).max(1);
    let mean = |(i, part): (usize, &[f64])| {
        ((i * each + part.len()) as f64, part.iter().sum::<f64>() / part.len() as f64)
    };
    returns.chunks(each).enumerate().map(mean).collect()
}

/// The learner of Markov games of that name.
pub(crate) fn markov_method(name: &str) -> Option<&'static play::MethodEntry> {
    let name = match name {
        "correlated-q-utilitarian" => "correlated-q",
        "foe-q" => "minimax-q",
        "wolf" => "wolf-phc",
        other => other,
    };
    play::METHODS.iter().find(|m| m.name == name)
}

/// Learns in a Markov game. `observe` gets the learner before each step that is to be measured, and after the last.
fn train(
    game: &MarkovGame,
    method: &play::MethodEntry,
    l: &LearnArgs,
    seed: u64,
    quiet: bool,
    measured: bool,
    observe: &mut dyn FnMut(u64, &dyn MarkovLearner) -> coact_games::Result<()>,
) -> Result<u64> {
    let n_steps = l.steps.unwrap_or(STEPS);
    if n_steps == 0 || l.max_steps == 0 {
        return Err(Error::usage("0 steps, or episodes of 0 steps; give at least one"));
    }
    let wolf = method.name == "wolf-phc";
    let falling = Schedule { start: 1.0, end: 0.01, geometric: true };
    let alpha = l.alpha.unwrap_or(if wolf { Schedule::constant(0.1) } else { falling });
    let epsilon = l.epsilon.unwrap_or(Schedule::constant(if wolf { 0.05 } else { 0.2 }));
    let base = play::Settings::default();
    let friends = (!l.friend.is_empty()).then(|| [1, 2].map(|player| l.friend.contains(&player)));
    if l.friend.iter().any(|player| ![1, 2].contains(player)) {
        return Err(Error::usage("--friend names a player, 1 or 2, who takes the other for a friend"));
    }
    let settings = play::Settings {
        rates: Rates { alpha: alpha.start, alpha_decay: 1.0, alpha_min: 0.0, explore: epsilon.start },
        initial: l.initial.unwrap_or(base.initial),
        friends,
        delta_win: l.delta_win.unwrap_or(base.delta_win),
        delta_lose: l.delta_lose.unwrap_or(base.delta_lose),
        ..base
    };
    let mut learner = method.start(game, &settings).map_err(Error::usage)?;
    let mut watch = Watch::new("steps", Some(n_steps as f64), quiet);
    let mut next = 0;
    let mut before = |step: u64, learner: &mut dyn MarkovLearner| {
        let share = step as f64 / (n_steps - 1).max(1) as f64;
        learner.set_rates(alpha.at(share), epsilon.at(share));
        if step.is_multiple_of(256) {
            watch.tell(step as usize);
        }
        if measured && step == next {
            next = step + (n_steps / MEASURED).max(1);
            observe(step, learner)?;
        }
        Ok(())
    };
    let outcome = play::train_with(game, learner.as_mut(), n_steps, l.max_steps, seed, &mut before);
    watch.finish();
    outcome.and_then(|()| observe(n_steps, learner.as_ref())).map_err(Error::usage)?;
    Ok(n_steps)
}

/// Strategies `[players][S, A]` of a learner.
fn strategies(game: &MarkovGame, learner: &dyn MarkovLearner) -> Vec<Vec<f64>> {
    let of = |player| (0..game.n_states()).flat_map(|s| normal(learner.strategy(player, s))).collect();
    (0..game.n_players()).map(of).collect()
}

/// A strategy without the rounding of many small moves.
fn normal(strategy: &[f64]) -> Vec<f64> {
    let sum: f64 = strategy.iter().sum();
    strategy.iter().map(|p| p / sum).collect()
}

/// Learns in a Markov game, and measures what each player could still gain.
///
/// # Errors
/// Wrong usage: settings out of range, or a method for two players.
pub(crate) fn in_markov(
    args: &PlanArgs,
    source: &Source,
    game: &MarkovGame,
    method: &play::MethodEntry,
) -> Result<Answer> {
    let mut curve = Vec::new();
    let mut learned = Vec::new();
    let mut observe = |step: u64, learner: &dyn MarkovLearner| {
        learned = strategies(game, learner);
        curve.push((step as f64, assess(game, &learned)?.nash_conv()));
        Ok(())
    };
    if game.gamma() >= 1.0 {
        return Err(Error::usage("learning in a Markov game needs a discount below 1; give --gamma"));
    }
    let measured = args.plot.is_some();
    let n_steps = train(game, method, &args.learn, args.seed, args.quiet, measured, &mut observe)?;
    let mut json = result::of_profile(method.name, source, game, &learned).map_err(Error::failed)?;
    json["steps"] = json!(n_steps);
    json["seed"] = json!(args.seed);
    json["curve"] = json!(curve);
    let list = |x: &serde_json::Value, digits: usize| {
        let numbers = x.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64);
        numbers.map(|x| format!("{x:.digits$}")).collect::<Vec<_>>().join("  ")
    };
    let mut lines = vec![
        format!(
            "{} states, {:?} actions, gamma {}: {}, {n_steps} steps",
            game.n_states(),
            game.n_actions(),
            game.gamma(),
            method.summary
        ),
        format!("value of the start to each player, as they play: {}", list(&json["start_values"], 6)),
        format!("what each could gain by a best answer: {}", list(&json["certificate"]["gains"], 6)),
        "start states: strategies".into(),
    ];
    let starts = (0..game.n_states()).filter(|&s| game.start()[s] > 0.0);
    for s in starts.take(crate::plan_command::SHOWN) {
        let row = |(strategy, &n): (&Vec<f64>, &usize)| {
            let p: Vec<String> = strategy[s * n..][..n].iter().map(|p| format!("{p:.4}")).collect();
            format!("[{}]", p.join(" "))
        };
        let rows: Vec<String> = learned.iter().zip(game.n_actions()).map(row).collect();
        lines.push(format!("  {s:<6} {}", rows.join("  ")));
    }
    let chart = Chart {
        size: (640.0, 360.0),
        x_label: "step".into(),
        y_label: "gains of best answers, summed".into(),
        description: format!("Sum of what the players could gain over steps of {}", method.name),
        series: vec![Series { label: method.name.into(), points: curve, ..Series::default() }],
        level: Some((0.0, "equilibrium".into())),
        ..Chart::default()
    };
    Ok(Answer { json, lines, chart })
}

/// Learns to play a game in normal form, over and over; gives the strategies, and steps with the sum of gains after them.
///
/// # Errors
/// Wrong usage: settings out of range, or a method for two players.
pub(crate) fn in_normal_form(
    game: &NormalForm<f64>,
    method: &play::MethodEntry,
    l: &LearnArgs,
    seed: u64,
    quiet: bool,
) -> Result<(Mixed<f64>, Trace)> {
    let mut builder = MarkovGameBuilder::new(2, game.shape(), 0.0);
    builder.terminal(1);
    let mut payoffs = vec![0.0; game.n_players()];
    for (joint, profile) in game.profiles().enumerate() {
        (0..game.n_players()).for_each(|i| payoffs[i] = *game.payoff(&profile, i));
        builder.outcome(0, joint, 1, 1.0, &payoffs);
    }
    let repeated = builder.build().map_err(Error::usage)?;
    let mut learned = Vec::new();
    let mut trace = Vec::new();
    let mut observe = |step: u64, learner: &dyn MarkovLearner| {
        learned = (0..game.n_players()).map(|player| normal(learner.strategy(player, 0))).collect();
        trace.push((step.max(1), game.nash_conv(&learned)));
        Ok(())
    };
    train(&repeated, method, l, seed, quiet, true, &mut observe)?;
    Ok((learned, trace))
}
