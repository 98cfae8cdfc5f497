//! Games for `coact solve` and `coact rank`: built-in names, files, standard input.

use std::io::Read;

use coact_games::extensive::games;
use coact_games::{NormalForm, Rational, Scalar, catalog, efg, markov, nfg};
use coact_tabular::problem;
use coact_tabular::result::Source;
use serde_json::{Value, json};

use crate::solve_extensive::{ExtensiveGame, MOST_NODES};
use crate::{Error, Result};

/// A game of any form.
pub enum Game {
    /// Normal form.
    Normal(NormalForm<Rational>),
    /// Extensive form.
    Extensive(Box<ExtensiveGame>),
    /// A Markov game, not read yet.
    Markov(Source),
}

/// Reads a game: `-` for standard input, a built-in name, or a file.
///
/// # Errors
/// Wrong usage if there is no such game, or the text is not a game.
pub fn read(name: &str) -> Result<Game> {
    if games::entry(name).is_some() {
        return extensive(name);
    }
    if problem::is_markov(name) {
        return Ok(Game::Markov(Source::Name(name.into())));
    }
    match source(name)? {
        Some(text) if is_markov(&text) => Ok(Game::Markov(Source::Text(text, 0))),
        Some(text) => parse(name, &text),
        None => catalog::build(name).map(Game::Normal).map_err(Error::usage),
    }
}

/// Whether text holds a Markov game.
fn is_markov(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && serde_json::from_str(text).is_ok_and(|value| markov::file::looks_like_one(&value))
}

/// A built-in game in extensive form.
fn extensive(name: &str) -> Result<Game> {
    let game = games::by_name(name).map_err(Error::usage)?;
    let tree = game.tree(MOST_NODES).map_err(Error::failed)?;
    Ok(Game::Extensive(Box::new(ExtensiveGame { tree, source: Value::from(game.name()) })))
}

/// The text of standard input or a file; none for a built-in name.
fn source(name: &str) -> Result<Option<String>> {
    if name == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| Error::failed(format!("cannot read standard input: {e}")))?;
        return Ok(Some(text));
    }
    if catalog::ALL.iter().any(|entry| entry.name == name) {
        return Ok(None);
    }
    if !std::path::Path::new(name).exists() {
        let names = catalog::ALL.iter().map(|entry| entry.name);
        let names = names.chain(games::ALL.iter().map(|entry| entry.name)).chain(problem::MARKOV_GAMES);
        let hint = coact_core::nearest::hint(name, names);
        return Err(Error::usage(format!(
            "no file and no built-in game is called `{name}`{hint}; `coact list games` shows them"
        )));
    }
    std::fs::read_to_string(name).map(Some).map_err(|e| Error::failed(format!("cannot read {name}: {e}")))
}

fn parse(name: &str, text: &str) -> Result<Game> {
    let fault = |error: coact_games::Error| Error::usage(format!("{name}: {error}"));
    match text.split_whitespace().next() {
        Some("EFG") => {
            let tree = efg::read(text).map_err(fault)?;
            Ok(Game::Extensive(Box::new(ExtensiveGame { tree, source: json!({ "efg": text }) })))
        }
        Some("NFG") => nfg::read(text).map(Game::Normal).map_err(fault),
        Some(word) if word.starts_with('{') => matrices(name, text).map(Game::Normal),
        Some(word) if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            table(name, text).map(Game::Normal)
        }
        _ => Err(Error::usage(format!(
            "{name}: line 1, column 1: expected `NFG`, `EFG`, an object with `A`, or a table of numbers"
        ))),
    }
}

/// `{"A": [[..]], "B": [[..]]}`; without `B` the game is zero-sum.
fn matrices(name: &str, text: &str) -> Result<NormalForm<Rational>> {
    let value: Value = serde_json::from_str(text).map_err(|e| Error::usage(format!("{name}: {e}")))?;
    let matrix = |key: &str| -> Result<Option<(usize, usize, Vec<Rational>)>> {
        let Some(rows) = value.get(key) else { return Ok(None) };
        let fault =
            || Error::usage(format!("{name}: `{key}` must be a list of rows of numbers, all of one length"));
        let rows = rows.as_array().filter(|rows| !rows.is_empty()).ok_or_else(fault)?;
        let n_columns = rows[0].as_array().ok_or_else(fault)?.len();
        let mut entries = Vec::with_capacity(rows.len() * n_columns);
        for row in rows {
            let row = row.as_array().filter(|row| row.len() == n_columns).ok_or_else(fault)?;
            for number in row {
                let text = number.as_str().map_or_else(|| number.to_string(), str::to_string);
                entries.push(Rational::parse(&text).ok_or_else(fault)?);
            }
        }
        Ok(Some((rows.len(), n_columns, entries)))
    };
    let Some((m, n, a)) = matrix("A")? else {
        return Err(Error::usage(format!("{name}: expected an object with the payoffs `A` (and `B`)")));
    };
    let game = match matrix("B")? {
        Some((k, l, b)) if (k, l) == (m, n) => NormalForm::bimatrix(m, n, a, b),
        Some((k, l, _)) => {
            return Err(Error::usage(format!("{name}: `A` is {m}x{n} and `B` is {k}x{l}; give one size")));
        }
        None => NormalForm::zero_sum(m, n, a),
    };
    game.map_err(|e| Error::usage(format!("{name}: {e}")))
}

/// Rows of numbers with commas or blanks: what the row player gets in a zero-sum game.
fn table(name: &str, text: &str) -> Result<NormalForm<Rational>> {
    let mut entries = Vec::new();
    let (mut n_rows, mut width) = (0, 0);
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let before = entries.len();
        for word in line.split([',', ' ', '\t', ';']).filter(|word| !word.trim().is_empty()) {
            let column = 1 + word.as_ptr() as usize - line.as_ptr() as usize;
            let number = Rational::parse(word.trim());
            entries.push(number.ok_or_else(|| {
                let word: String = word.chars().take(30).collect();
                Error::usage(format!(
                    "{name}: line {}, column {column}: expected a number, found `{word}`",
                    at + 1
                ))
            })?);
        }
        n_rows += 1;
        let found = entries.len() - before;
        if n_rows > 1 && found != width {
            return Err(Error::usage(format!(
                "{name}: line {}, column 1: expected {width} numbers as in the first row, found {found}",
                at + 1
            )));
        }
        width = found;
    }
    NormalForm::zero_sum(n_rows, width, entries).map_err(|e| Error::usage(format!("{name}: {e}")))
}
