//! `coact rank`: populations of strategies judged by alpha-rank, Elo or Nash averaging, and tournaments.

use std::time::Instant;

use coact_games::extensive::normal_form;
use coact_games::population::{
    AlphaRank, RepeatedStrategy, STRATEGIES, Tournament, alpha_rank, alpha_rank_symmetric, elo_fit,
    nash_averaging, round_robin,
};
use coact_games::{NormalForm, Rational};
use serde_json::{Value, json};

use crate::args::RankArgs;
use crate::console::{note, say};
use crate::game_input::{Game, read};
use crate::plot::{Chart, Series};
use crate::{Error, Result, bars, chart_file};

/// Lines that a picture has room for.
const MOST_LINES: usize = 8;
/// States from which alpha-rank takes seconds and says so.
const LARGE: usize = 600;

/// Ranks strategies.
///
/// # Errors
/// Wrong usage, or numbers that have no ranking.
pub fn rank(args: &RankArgs) -> Result<()> {
    let start = Instant::now();
    if args.game == "axelrod" {
        return tournament(args, start);
    }
    let game = match read(&args.game)? {
        Game::Normal(game) => game,
        Game::Markov(_) => {
            return Err(Error::usage(format!("{} is a Markov game; `coact plan {0}` solves it", args.game)));
        }
        Game::Extensive(game) => normal_form::<Rational>(&game.tree).map_err(Error::usage)?,
    };
    let game = game.convert::<f64>();
    let names = &game.players()[0].strategies;
    let method = args.method.as_str();
    let (mut object, lines) = match method {
        "alpha-rank" => by_alpha_rank(&game, args)?,
        "elo" => {
            let n = square(&game, method)?;
            let ratings = elo_fit(n, game.table(0)).map_err(Error::usage)?;
            draw(args, "Elo rating", names, &ratings)?;
            (json!({"ratings": ratings, "names": names}), ordered(names, &ratings))
        }
        _ => {
            let &[m, n] = game.shape() else {
                return Err(Error::usage("nash-averaging needs a table of rows against columns"));
            };
            let found = nash_averaging(m, n, game.table(0)).map_err(Error::failed)?;
            let object = json!({
                "value": found.value, "row_weights": found.row_weights, "column_weights": found.column_weights,
                "row_skills": found.row_skills, "column_skills": found.column_skills, "names": names,
            });
            draw(args, "Skill of rows against the Nash average", names, &found.row_skills)?;
            (object, ordered(names, &found.row_skills))
        }
    };
    finish(&mut object, lines, args, start);
    Ok(())
}

fn finish(object: &mut Value, lines: Vec<String>, args: &RankArgs, start: Instant) {
    if args.json {
        object["method"] = json!(args.method);
        object["game"] = json!(args.game);
        object["wall_s"] = json!(start.elapsed().as_secs_f64());
        say(object);
    } else {
        lines.iter().for_each(say);
    }
}

/// A square table of one population against itself.
fn square(game: &NormalForm<f64>, method: &str) -> Result<usize> {
    match *game.shape() {
        [m, n] if m == n => Ok(n),
        _ => Err(Error::usage(format!("{method} needs a square table of players against each other"))),
    }
}

fn by_alpha_rank(game: &NormalForm<f64>, args: &RankArgs) -> Result<(Value, Vec<String>)> {
    let n_states = if args.symmetric { game.shape()[0] } else { game.n_profiles() };
    if n_states > LARGE {
        note(format!(
            "alpha-rank of {n_states} states: the work grows with their cube, this may take a minute"
        ));
    }
    let ranks = alpha_ranks(game, args, args.alpha)?;
    let name = |state: &Vec<usize>| -> String {
        let names = state.iter().enumerate().map(|(i, &s)| game.players()[i].strategies[s].as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let names: Vec<String> = ranks.states.iter().map(name).collect();
    let mut lines = ordered(&names, &ranks.distribution);
    lines.push(classes_line(&ranks, &names));
    if let Some(path) = &args.plot {
        chart_file::write(path, &over_alpha(game, args, &names, &ranks.distribution)?)?;
    }
    let classes = ranks.recurrent_classes.iter();
    let classes = classes.map(|c| json!({"states": c.states, "distribution": c.distribution}));
    let object = json!({
        "alpha": args.alpha, "population": args.population, "states": ranks.states, "names": names,
        "distribution": ranks.distribution, "recurrent_classes": classes.collect::<Value>(),
    });
    Ok((object, lines))
}

fn alpha_ranks(game: &NormalForm<f64>, args: &RankArgs, alpha: f64) -> Result<AlphaRank> {
    let ranks = match args.symmetric {
        true => {
            let n = square(game, "alpha-rank of one population")?;
            alpha_rank_symmetric(n, game.table(0), alpha, args.population)
        }
        false => alpha_rank(game, alpha, args.population),
    };
    ranks.map_err(Error::usage)
}

/// Shares of the states that lead in the end, over strengths of selection up to the asked one.
fn over_alpha(game: &NormalForm<f64>, args: &RankArgs, names: &[String], last: &[f64]) -> Result<Chart> {
    // Work grows with the cube of the number of states.
    let n_points: u32 = if names.len() > LARGE { 8 } else { 60 };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| last[b].total_cmp(&last[a]).then(a.cmp(&b)));
    order.truncate(MOST_LINES);
    let mut series: Vec<Series> = order
        .iter()
        .enumerate()
        .map(|(color, &s)| Series { label: names[s].clone(), color, ..Series::default() })
        .collect();
    let top = args.alpha.log10();
    let low = (-2.0_f64).min(top - 2.0);
    for i in 0..=n_points {
        let at = low + (top - low) * f64::from(i) / f64::from(n_points);
        let alpha = if i == n_points { args.alpha } else { 10_f64.powf(at) };
        let ranks = alpha_ranks(game, args, alpha)?;
        order.iter().zip(&mut series).for_each(|(&s, line)| line.points.push((at, ranks.distribution[s])));
    }
    Ok(Chart {
        size: (640.0, 360.0),
        x_label: "strength of selection alpha".into(),
        y_label: format!("share of time in each state, {}", game.title()),
        log: (true, false),
        description: format!("alpha-rank over the strength of selection in {}", game.title()),
        series,
        level: None,
    })
}

/// Draws scores as bars, from the best down, if a picture was asked for.
fn draw(args: &RankArgs, title: &str, names: &[String], scores: &[f64]) -> Result<()> {
    let Some(path) = &args.plot else { return Ok(()) };
    let mut list: Vec<(String, f64)> = names.iter().cloned().zip(scores.iter().copied()).collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    chart_file::write_svg(path, &bars::document(&format!("{title}, {}", args.game), &list))
}

fn classes_line(ranks: &AlphaRank, names: &[String]) -> String {
    let classes = ranks.recurrent_classes.iter().map(|class| {
        let members: Vec<&str> = class.states.iter().take(12).map(|&s| names[s].as_str()).collect();
        let more = if class.states.len() > 12 { " ..." } else { "" };
        format!("{{{}{more}}}", members.join(" | "))
    });
    let n = ranks.recurrent_classes.len();
    format!("{n} recurrent as alpha grows without bound: {}", classes.collect::<Vec<_>>().join(" "))
}

/// From the best down.
fn ordered(names: &[String], scores: &[f64]) -> Vec<String> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    order.iter().map(|&i| format!("{:<width$}  {:>12.6}", names[i], scores[i])).collect()
}

/// The round robin of all strategies for the repeated prisoner's dilemma.
fn tournament(args: &RankArgs, start: Instant) -> Result<()> {
    let strategies: Vec<RepeatedStrategy> =
        STRATEGIES.iter().filter(|s| args.noise > 0.0 || args.random || !s.random).copied().collect();
    let rules = Tournament {
        turns: args.turns,
        repetitions: args.repetitions,
        noise: args.noise,
        seed: args.seed,
        ..Tournament::default()
    };
    let scores = round_robin(&strategies, &rules).map_err(Error::usage)?;
    let n = strategies.len();
    let names: Vec<String> = strategies.iter().map(|s| s.name.to_string()).collect();
    let mean = |row: &[f64]| row.iter().sum::<f64>() / (n * args.turns) as f64;
    let means: Vec<f64> = scores.chunks_exact(n).map(mean).collect();
    let table: Value = scores.chunks_exact(n).map(|row| json!(row)).collect();
    let mut object = json!({"names": names, "scores": table, "mean_per_turn": means, "turns": args.turns});
    draw(args, "Mean score a turn", &names, &means)?;
    finish(&mut object, ordered(&names, &means), args, start);
    Ok(())
}
