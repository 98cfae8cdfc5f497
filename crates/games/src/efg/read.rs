//! From text to tree.

use std::collections::HashMap;

use num_traits::{One, Zero};

use super::lexer::{Lexer, Number, Place, Token, rounding, shorten};
use crate::extensive::{Tree, TreeBuilder};
use crate::{Error, Rational, Result};

/// Decimals with at least this many digits are taken as rounded: probabilities like 0.33333 need not add up to 1
/// exactly, and are scaled to do so.
const ROUNDED_DECIMALS: u32 = 5;

/// Reads a game.
///
/// # Errors
/// [`Error::Parse`] or [`Error::Inconsistent`], with line and column.
pub fn read(text: &str) -> Result<Tree> {
    let mut lexer = Lexer::new(text)?;
    let mut reader = header(&mut lexer)?;
    loop {
        let place = lexer.place();
        if reader.tree.is_complete() {
            return match lexer.peek() {
                Token::End => reader.tree.finish(),
                other => {
                    Err(place.expected("the end of the file, for the tree is complete", other.describe()))
                }
            };
        }
        const NODE: &str = "a node (`c`, `p` or `t`)";
        match lexer.word(NODE)?.as_str() {
            "c" => reader.chance(&mut lexer)?,
            "p" => reader.decision(&mut lexer)?,
            "t" => reader.end(&mut lexer)?,
            other => return Err(place.expected(NODE, format!("`{}`", shorten(other)))),
        }
    }
}

/// `EFG 2 R "title" { "player" ... } "comment"`
fn header(lexer: &mut Lexer<'_>) -> Result<Reader> {
    let place = lexer.place();
    let first = lexer.word("`EFG`, which starts an extensive-form game")?;
    if first != "EFG" {
        let found = format!("`{}`", shorten(&first));
        return Err(place.expected("`EFG`, which starts an extensive-form game", found));
    }
    let place = lexer.place();
    if lexer.count("the version, 2")? != 2 {
        return Err(place.error("only version 2 of the format can be read"));
    }
    let place = lexer.place();
    let kind = lexer.word("`R`")?;
    if !["R", "D"].contains(&kind.as_str()) {
        return Err(
            place.expected("`R` (or `D` in old files) after the version", format!("`{}`", shorten(&kind)))
        );
    }
    let title = lexer.text("the title in quotes")?;
    lexer.brace(&Token::Open, "`{` before the players")?;
    let place = lexer.place();
    let mut players = Vec::new();
    while *lexer.peek() != Token::Close {
        players.push(lexer.text("a player's name in quotes, or `}`")?);
    }
    lexer.take()?;
    let comment = match lexer.peek() {
        Token::Text(_) => lexer.text("a comment")?,
        _ => String::new(),
    };
    let tree = TreeBuilder::new(title, comment, players).map_err(|e| at(place, e))?;
    Ok(Reader { tree, infosets: HashMap::new(), outcomes: HashMap::new() })
}

/// What was read so far. The maps are only looked up.
struct Reader {
    tree: TreeBuilder,
    /// By player (`None` for chance) and number in the file.
    infosets: HashMap<(Option<usize>, u64), u32>,
    outcomes: HashMap<u64, u32>,
}

impl Reader {
    /// `c "name" event "label" { "action" probability ... } outcome`
    fn chance(&mut self, lexer: &mut Lexer<'_>) -> Result<()> {
        let name = lexer.text("the node's name in quotes")?;
        let place = lexer.place();
        let number = positive(lexer, "the number of the chance event")?;
        let known = self.infosets.get(&(None, number)).copied();
        let event = match (lexer.peek(), known) {
            (Token::Text(_), _) => {
                let label = lexer.text("a label")?;
                let (actions, given) = event_actions(lexer)?;
                let probabilities = probabilities(given);
                match known {
                    None => self.tree.event(label, actions, probabilities).map_err(|e| at(place, e))?,
                    Some(event) => {
                        let old = &self.tree.infosets()[event as usize];
                        let same = old.probabilities == probabilities;
                        self.same(place, event, same, &label, &actions)?
                    }
                }
            }
            (_, Some(event)) => event,
            (_, None) => return Err(undescribed(lexer, "chance event", number)),
        };
        self.infosets.insert((None, number), event);
        let (place, outcome) = (lexer.place(), self.outcome(lexer)?);
        self.tree.branch(&name, event, outcome).map(|_| ()).map_err(|e| at(place, e))
    }

    /// `p "name" player infoset "label" { "action" ... } outcome`
    fn decision(&mut self, lexer: &mut Lexer<'_>) -> Result<()> {
        let name = lexer.text("the node's name in quotes")?;
        let place = lexer.place();
        let player = positive(lexer, "the player's number")?;
        let n = self.tree.n_players();
        let Some(player) = usize::try_from(player - 1).ok().filter(|&p| p < n) else {
            return Err(place.error(format!("player {player} does not exist; the game has {n}")));
        };
        let place = lexer.place();
        let number = positive(lexer, "the number of the information set")?;
        let known = self.infosets.get(&(Some(player), number)).copied();
        let infoset = match (lexer.peek(), known) {
            (Token::Text(_), _) => {
                let label = lexer.text("a label")?;
                let actions = actions(lexer)?;
                match known {
                    None => self.tree.infoset(player, label, actions).map_err(|e| at(place, e))?,
                    Some(infoset) => self.same(place, infoset, true, &label, &actions)?,
                }
            }
            (_, Some(infoset)) => infoset,
            (_, None) => return Err(undescribed(lexer, "information set", number)),
        };
        self.infosets.insert((Some(player), number), infoset);
        let (place, outcome) = (lexer.place(), self.outcome(lexer)?);
        self.tree.branch(&name, infoset, outcome).map(|_| ()).map_err(|e| at(place, e))
    }

    /// `t "name" outcome`
    fn end(&mut self, lexer: &mut Lexer<'_>) -> Result<()> {
        let name = lexer.text("the node's name in quotes")?;
        let (place, outcome) = (lexer.place(), self.outcome(lexer)?);
        self.tree.leaf(&name, outcome).map(|_| ()).map_err(|e| at(place, e))
    }

    /// `0`, or `number "name" { payoff ... }`
    fn outcome(&mut self, lexer: &mut Lexer<'_>) -> Result<u32> {
        let place = lexer.place();
        let number = lexer.count("the number of the outcome")?;
        let known = if number == 0 { Some(0) } else { self.outcomes.get(&number).copied() };
        if !matches!(lexer.peek(), Token::Text(_) | Token::Open) {
            return known.ok_or_else(|| undescribed(lexer, "outcome", number));
        }
        if number == 0 {
            return Err(
                place.error("outcome 0 means no payoffs; give it another number, or leave its payoffs out")
            );
        }
        let label = lexer.text("the outcome's name in quotes")?;
        lexer.brace(&Token::Open, "`{` before the payoffs")?;
        let n = self.tree.n_players();
        let mut payoffs = Vec::new();
        while *lexer.peek() != Token::Close {
            let place = lexer.place();
            payoffs.push(lexer.number("a payoff or `}`")?.value);
            if payoffs.len() > n {
                return Err(place.error(format!("outcome {number} has more than {n} payoffs, one a player")));
            }
        }
        lexer.take()?;
        match known {
            None => {
                let outcome = self.tree.outcome(label, payoffs).map_err(|e| at(place, e))?;
                self.outcomes.insert(number, outcome);
                Ok(outcome)
            }
            Some(outcome) => {
                let old = &self.tree.outcomes()[outcome as usize];
                if old.label != label || old.payoffs != payoffs {
                    return Err(place.error(format!("outcome {number} differs from its first description")));
                }
                Ok(outcome)
            }
        }
    }

    /// Checks a description that is given again.
    fn same(&self, place: Place, known: u32, rest: bool, label: &str, actions: &[String]) -> Result<u32> {
        let old = &self.tree.infosets()[known as usize];
        if !rest || old.label != label || old.actions[..] != *actions {
            let what = if old.player.is_some() { "information set" } else { "chance event" };
            return Err(place.error(format!("this {what} (`{label}`) differs from its first description")));
        }
        Ok(known)
    }
}

fn positive(lexer: &mut Lexer<'_>, wanted: &str) -> Result<u64> {
    let place = lexer.place();
    match lexer.count(wanted)? {
        0 => Err(place.expected(wanted, "`0` (numbers start at 1)")),
        n => Ok(n),
    }
}

fn undescribed(lexer: &Lexer<'_>, what: &str, number: u64) -> Error {
    let found = lexer.peek().describe();
    lexer
        .place()
        .error(format!("{what} {number} appears first here, so its description is needed; found {found}"))
}

/// `{ "action" ... }`
fn actions(lexer: &mut Lexer<'_>) -> Result<Vec<String>> {
    lexer.brace(&Token::Open, "`{` before the actions")?;
    let mut actions = Vec::new();
    while *lexer.peek() != Token::Close {
        actions.push(lexer.text("an action's name in quotes, or `}`")?);
    }
    lexer.take()?;
    Ok(actions)
}

/// `{ "action" probability ... }`
fn event_actions(lexer: &mut Lexer<'_>) -> Result<(Vec<String>, Vec<Number>)> {
    lexer.brace(&Token::Open, "`{` before the outcomes of chance")?;
    let (mut actions, mut given) = (Vec::new(), Vec::new());
    while *lexer.peek() != Token::Close {
        actions.push(lexer.text("an outcome's name in quotes, or `}`")?);
        given.push(lexer.number("a probability")?);
    }
    lexer.take()?;
    Ok((actions, given))
}

/// Probabilities as they are meant: rounded decimals that nearly add up to 1 are scaled.
fn probabilities(given: Vec<Number>) -> Vec<Rational> {
    let sum = given.iter().fold(Rational::zero(), |a, b| a + &b.value);
    let slack = given.iter().fold(Rational::zero(), |slack, number| match number.decimals {
        Some(decimals) if decimals >= ROUNDED_DECIMALS => slack + rounding(decimals),
        _ => slack,
    });
    let off = &sum - Rational::one();
    let scale = !off.is_zero() && off <= slack && -off <= slack;
    given.into_iter().map(|n| if scale { n.value / &sum } else { n.value }).collect()
}

/// The same fault with a place.
fn at(place: Place, error: Error) -> Error {
    match error {
        Error::Invalid(reason) => place.error(reason),
        other => other,
    }
}
