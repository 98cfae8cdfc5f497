//! Markov games of two players as JSON, the form of recorded vectors: `gamma`, `transition` `[s][a][b][s']`, and `reward`
//! `[s][a][b]` to the first player (zero-sum) or `rewards` with one such table a player. Optional: `terminal`, a list of
//! states. A file of the format `coact-vectors/1` holds such games in a list `cases`. Other fields are ignored.

use serde_json::Value;

use super::{MarkovGame, MarkovGameBuilder};
use crate::{Error, Result};

/// Reads a game; of a file with `cases`, case number `case`.
///
/// # Errors
/// Text that is not JSON (with line and column), tables that are ragged (with their place), or no game.
pub fn read_json(text: &str, case: usize) -> Result<MarkovGame> {
    let file: Value = serde_json::from_str(text).map_err(|e| Error::Parse {
        line: e.line().max(1),
        column: e.column().max(1),
        expected: "JSON".into(),
        found: e.to_string(),
    })?;
    let game = match file.get("cases").and_then(Value::as_array) {
        Some(cases) => cases.get(case).ok_or_else(|| {
            Error::invalid(format!("there is no case {case}; the file has {}, counted from 0", cases.len()))
        })?,
        None if case == 0 => &file,
        None => {
            return Err(Error::invalid(format!("case {case} of a file without `cases`; leave the case out")));
        }
    };
    of_value(game)
}

/// Whether a JSON object looks like a Markov game.
pub fn looks_like_one(file: &Value) -> bool {
    let game = file.get("cases").and_then(|c| c.get(0)).unwrap_or(file);
    game.get("transition").is_some() && (game.get("reward").is_some() || game.get("rewards").is_some())
}

fn of_value(game: &Value) -> Result<MarkovGame> {
    let missing = |name: &str| Error::invalid(format!("`{name}` is missing; a Markov game needs it"));
    let gamma = game.get("gamma").and_then(Value::as_f64).ok_or_else(|| missing("gamma"))?;
    let transition = game.get("transition").ok_or_else(|| missing("transition"))?;
    let length = |v: Option<&Value>| v.and_then(Value::as_array).map_or(0, Vec::len);
    let (first, row) = (transition.get(0), transition.get(0).and_then(|s| s.get(0)));
    let shape = [length(Some(transition)), length(first), length(row)];
    let [n_states, m, n] = shape;
    let probabilities = flat(transition, &[n_states, m, n, n_states], "transition")?;
    let tables: Vec<Vec<f64>> = match (game.get("reward"), game.get("rewards").and_then(Value::as_array)) {
        (Some(reward), None) => {
            let first = flat(reward, &shape, "reward")?;
            let second = first.iter().map(|r| -r).collect();
            vec![first, second]
        }
        (None, Some(tables)) if tables.len() == 2 => {
            let name = |i: usize| format!("rewards[{i}]");
            tables.iter().enumerate().map(|(i, t)| flat(t, &shape, &name(i))).collect::<Result<_>>()?
        }
        _ => {
            return Err(Error::invalid(
                "give either `reward` or `rewards` with one table for each of two players",
            ));
        }
    };
    let mut b = MarkovGameBuilder::new(n_states, &[m, n], gamma);
    for terminal in game.get("terminal").and_then(Value::as_array).into_iter().flatten() {
        let state = terminal.as_u64().ok_or_else(|| Error::invalid("`terminal` must be a list of states"))?;
        b.terminal(usize::try_from(state).unwrap_or(usize::MAX));
    }
    for (row, prob) in probabilities.chunks_exact(n_states.max(1)).enumerate() {
        // A reward belongs to its row, whatever the probabilities sum to after rounding.
        let total: f64 = prob.iter().sum();
        let rewards = [tables[0][row] / total, tables[1][row] / total];
        for (next, &p) in prob.iter().enumerate() {
            b.outcome(row / (m * n), row % (m * n), next, p, &rewards);
        }
    }
    b.build()
}

/// Numbers of nested lists of this shape, row-major.
fn flat(value: &Value, shape: &[usize], at: &str) -> Result<Vec<f64>> {
    match shape {
        [] => value.as_f64().map(|x| vec![x]).ok_or_else(|| Error::invalid(format!("{at} is not a number"))),
        [n, rest @ ..] => {
            let list = value.as_array().filter(|l| l.len() == *n);
            let list = list.ok_or_else(|| Error::invalid(format!("{at} is not a list of {n} entries")))?;
            let mut out = Vec::new();
            for (i, x) in list.iter().enumerate() {
                out.extend(flat(x, rest, &format!("{at}[{i}]"))?);
            }
            Ok(out)
        }
    }
}
