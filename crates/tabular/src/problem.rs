//! What can be planned, read from text of any of the known forms or by name: a model, a team that does not see the state,
//! or a Markov game.
//!
//! JSON with `transition` is a Markov game, other JSON a model; text with a line `agents:` is a `.dpomdp` file, with a line
//! `map` a grid; everything else is a model in TOML.

use coact_games::markov::{self, MarkovGame, grid_games, soccer};
use serde_json::Value;

use crate::decpomdp::{self, DecPomdp};
use crate::joint::{JointModel, coordination, crossing};
use crate::model::{self, Model, builtin};
use crate::{Error, Result};

/// Something to plan in.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// One decision maker who sees the state.
    Model(Model),
    /// A team that does not.
    Team(DecPomdp),
    /// Several players who see the state.
    Markov(MarkovGame),
}

/// Built-in Markov games.
pub const MARKOV_GAMES: [&str; 3] = ["soccer", "grid-game-1", "grid-game-2"];

/// Whether a built-in problem is a Markov game.
pub fn is_markov(name: &str) -> bool {
    MARKOV_GAMES.contains(&name)
}

/// Built-in problems: name and one line about each.
pub fn names() -> Vec<(&'static str, &'static str)> {
    let mut names: Vec<_> = builtin::ALL.iter().map(|m| (m.name, m.summary)).collect();
    names.push(("crossing", "two agents cross a 3x3 grid, one decision maker (best value -8)"));
    names.push(("climbing", "climbing game of two agents; with --method table, who learns to coordinate"));
    names.extend(decpomdp::problems::ALL.iter().map(|p| (p.name, p.summary)));
    names.push(("soccer", "Littman's soccer, zero-sum Markov game of 761 states, gamma 0.9"));
    names.push(("grid-game-1", "Hu and Wellman's first grid game, gamma 0.99"));
    names.push(("grid-game-2", "Hu and Wellman's second grid game, gamma 0.99"));
    names
}

/// The built-in problem of that name.
///
/// # Errors
/// No such name, with the nearest one.
pub fn by_name(name: &str) -> Result<Problem> {
    if builtin::ALL.iter().any(|m| m.name == name) {
        return builtin::builtin(name).map(Problem::Model);
    }
    if decpomdp::problems::ALL.iter().any(|p| p.name == name) {
        return decpomdp::problems::problem(name).map(Problem::Team);
    }
    let game = |game: coact_games::Result<MarkovGame>| {
        game.map(Problem::Markov).map_err(|e| Error::invalid(e.to_string()))
    };
    match name {
        "crossing" => Ok(Problem::Model(crossing()?.model)),
        "climbing" => Ok(Problem::Model(coordination::games()[0].model()?.model)),
        "soccer" => game(soccer::soccer(0.9)),
        "grid-game-1" => game(grid_games::grid_game_1(0.99)),
        "grid-game-2" => game(grid_games::grid_game_2(0.99)),
        _ => {
            let known = names();
            let hint = coact_core::nearest::hint(name, known.iter().map(|n| n.0));
            Err(Error::invalid(format!("there is no built-in problem `{name}`{hint}")))
        }
    }
}

/// The team of a built-in model over joint actions; none where a model has one decision maker.
///
/// # Errors
/// None in practice.
pub fn team_by_name(name: &str) -> Result<Option<JointModel>> {
    match name {
        "crossing" => crossing().map(Some),
        "climbing" => coordination::games()[0].model().map(Some),
        _ => Ok(None),
    }
}

/// Reads a problem; of a file with `cases`, case number `case`.
///
/// # Errors
/// Text of none of the forms, with line and column where its form has them.
pub fn read(text: &str, case: usize) -> Result<Problem> {
    let word = |line: &str| {
        line.split(|c: char| c.is_whitespace() || c == ':').next().unwrap_or_default().to_string()
    };
    let starts = |key: &str| text.lines().any(|line| word(line) == key);
    if text.trim_start().starts_with(['{', '[']) {
        let is_game = serde_json::from_str::<Value>(text).is_ok_and(|v| markov::file::looks_like_one(&v));
        if is_game {
            let game = markov::file::read_json(text, case).map_err(|e| Error::invalid(e.to_string()))?;
            return Ok(Problem::Markov(game));
        }
        return model::read_case(text, case).map(Problem::Model);
    }
    if case != 0 {
        return Err(Error::invalid(format!("case {case} of a file that is not JSON; leave the case out")));
    }
    if starts("agents") {
        return decpomdp::parse(text).map(Problem::Team);
    }
    if starts("map") {
        return model::read_grid(text).map(Problem::Model);
    }
    if text.trim().is_empty() {
        return Err(Error::Parse {
            line: 1,
            column: 1,
            message: "the text is empty; expected a problem".into(),
        });
    }
    model::read_toml(text).map(Problem::Model)
}

impl Problem {
    /// The same problem with another discount.
    ///
    /// # Errors
    /// A discount outside 0 to 1.
    pub fn with_gamma(self, gamma: f64) -> Result<Self> {
        match self {
            Self::Model(m) => m.with_gamma(gamma).map(Self::Model),
            Self::Team(t) => t.with_discount(gamma).map(Self::Team),
            Self::Markov(g) => {
                g.with_gamma(gamma).map(Self::Markov).map_err(|e| Error::invalid(e.to_string()))
            }
        }
    }
}
