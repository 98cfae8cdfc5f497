//! The games that come built in, in a list that everybody can read.

mod goofspiel;
mod kuhn;
mod leduc;
mod liars_dice;
mod tic_tac_toe;

pub use goofspiel::{Goofspiel, Prizes};
pub use kuhn::Kuhn;
pub use leduc::Leduc;
pub use liars_dice::LiarsDice;
pub use tic_tac_toe::TicTacToe;

use super::AnyGame;
use crate::{Error, Result};

/// A game by name.
#[derive(Debug)]
pub struct GameEntry {
    /// Name.
    pub name: &'static str,
    /// Other names that are understood.
    pub aliases: &'static [&'static str],
    /// One line on the game.
    pub summary: &'static str,
    /// Parameters with their defaults.
    pub parameters: &'static [(&'static str, &'static str)],
    build: fn(&Parameters<'_>) -> Result<Box<dyn AnyGame>>,
}

/// All built-in extensive-form games.
pub const ALL: &[GameEntry] = &[
    GameEntry {
        name: "kuhn_poker",
        aliases: &["kuhn"],
        summary: "three cards, one bet; value -1/18",
        parameters: &[("players", "2")],
        build: |p| Ok(Box::new(Kuhn::new(p.count("players")?)?)),
    },
    GameEntry {
        name: "leduc_poker",
        aliases: &["leduc"],
        summary: "six cards, two rounds of bets; value -0.085606",
        parameters: &[("players", "2")],
        build: |p| Ok(Box::new(Leduc::new(p.count("players")?)?)),
    },
    GameEntry {
        name: "liars_dice",
        aliases: &["liars-dice"],
        summary: "one die each, bids and bluffs; value -0.027132",
        parameters: &[("sides", "6")],
        build: |p| Ok(Box::new(LiarsDice::new(p.count("sides")?)?)),
    },
    GameEntry {
        name: "goofspiel",
        aliases: &[],
        summary: "sealed bids for prizes; value 0",
        parameters: &[
            ("num_cards", "4"),
            ("points_order", "descending"),
            ("imp_info", "true"),
            ("returns_type", "win_loss"),
        ],
        build: |p| {
            let prizes = match p.get("points_order") {
                "descending" => Prizes::Descending,
                "ascending" => Prizes::Ascending,
                "random" => Prizes::Random,
                other => return Err(p.wrong("points_order", other, "descending, ascending or random")),
            };
            let win_loss = match p.get("returns_type") {
                "win_loss" => true,
                "point_difference" => false,
                other => return Err(p.wrong("returns_type", other, "win_loss or point_difference")),
            };
            let cards = p.count("num_cards")?;
            Ok(Box::new(Goofspiel::new(cards, prizes, p.flag("imp_info")?, win_loss)?))
        },
    },
    GameEntry {
        name: "tic_tac_toe",
        aliases: &["tic-tac-toe"],
        summary: "three in a row; perfect information, value 0",
        parameters: &[],
        build: |_| Ok(Box::new(TicTacToe)),
    },
];

/// The entry of a name, given with or without parameters.
pub fn entry(text: &str) -> Option<&'static GameEntry> {
    let name = text.split('(').next().unwrap_or(text).trim();
    ALL.iter().find(|e| e.name == name || e.aliases.contains(&name))
}

/// The built-in game that `text` names: a name, with parameters in parentheses where the defaults do not suit, for
/// example `kuhn_poker(players=3)`.
///
/// # Errors
/// An unknown name or parameter, or a value that makes no sense.
pub fn by_name(text: &str) -> Result<Box<dyn AnyGame>> {
    let text = text.trim();
    let (name, given) = match text.split_once('(') {
        Some((name, rest)) => {
            let rest = rest.strip_suffix(')').ok_or_else(|| {
                Error::Invalid(format!("`{text}` has no closing parenthesis; write name(key=value,...)"))
            })?;
            (name.trim(), rest)
        }
        None => (text, ""),
    };
    let Some(entry) = entry(name) else {
        let known: Vec<&str> = ALL.iter().map(|e| e.name).collect();
        return Err(Error::Invalid(format!("unknown game `{name}`; one of {}", known.join(", "))));
    };
    let mut parameters = Parameters { entry, given: Vec::new() };
    for pair in given.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (key.trim(), value.trim());
        if !entry.parameters.iter().any(|(known, _)| *known == key) {
            let known: Vec<&str> = entry.parameters.iter().map(|(k, _)| *k).collect();
            let known = if known.is_empty() { "it takes none".into() } else { known.join(", ") };
            return Err(Error::Invalid(format!("{name} has no parameter `{key}`; {known}")));
        }
        parameters.given.push((key, value));
    }
    (entry.build)(&parameters)
}

/// What was given for a game, and its defaults.
struct Parameters<'a> {
    entry: &'a GameEntry,
    given: Vec<(&'a str, &'a str)>,
}

impl<'a> Parameters<'a> {
    /// The value of a parameter; the last one given, else the default.
    fn get(&self, key: &str) -> &'a str {
        let pairs = self.entry.parameters.iter().chain(&self.given);
        pairs.rev().find(|(k, _)| *k == key).map_or("", |(_, v)| *v)
    }

    fn wrong(&self, key: &str, value: &str, wanted: &str) -> Error {
        Error::Invalid(format!("{} cannot take {key}={value}; give {wanted}", self.entry.name))
    }

    fn count(&self, key: &str) -> Result<usize> {
        let value = self.get(key);
        value.parse().map_err(|_| self.wrong(key, value, "a whole number"))
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            "true" | "True" => Ok(true),
            "false" | "False" => Ok(false),
            other => Err(self.wrong(key, other, "true or false")),
        }
    }
}
