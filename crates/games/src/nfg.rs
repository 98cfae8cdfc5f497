//! Gambit's `.nfg` files, read and written.
//!
//! `NFG 1 R "title" { "player" ... }`, then either numbers of strategies `{ 2 3 }` or their names
//! `{ { "a" "b" } { "c" "d" "e" } }`, an optional comment in quotes, and the body: all players' payoffs for
//! each profile, or a list of outcomes `{ { "name" 1, 2 } ... }` followed by one outcome number a profile, where 0
//! is the outcome that pays nothing. Profiles are counted with the **first** player's strategy fastest.

use std::fmt::Write as _;

use crate::error::Result;
use crate::normal_form::{NormalForm, Player};
use crate::scalar::{Rational, Scalar, parse_rational};
use crate::text::{Token, Tokens};

/// Reads a game.
///
/// # Errors
/// A line that says where and what is expected there.
pub fn read(text: &str) -> Result<NormalForm<Rational>> {
    let mut tokens = Tokens::new(text);
    tokens.word("NFG", "`NFG 1 R` at the start of a normal-form game")?;
    tokens.word("1", "version `1`")?;
    if !tokens.skip_word("R")? {
        tokens.word("D", "`R` (or `D`)")?;
    }
    let title = tokens.text("the title in quotes")?;
    tokens.open("`{` before the players' names")?;
    let mut names = Vec::new();
    while !tokens.skip_close()? {
        names.push(tokens.text("a player's name in quotes, or `}`")?);
    }
    if names.is_empty() {
        return Err(tokens.fault("at least one player"));
    }
    let players = strategies(&mut tokens, names)?;
    if let Token::Text(_) = tokens.peek()? {
        tokens.text("a comment")?;
    }
    let shape: Vec<usize> = players.iter().map(|p| p.strategies.len()).collect();
    let n_profiles = shape.iter().try_fold(1usize, |n, &k| n.checked_mul(k));
    // Each profile takes at least one character, so a short text cannot ask for a large table.
    let Some(n_profiles) = n_profiles.filter(|&n| n <= text.len()) else {
        return Err(tokens.fault("a payoff or outcome for each of the profiles, but the text is too short"));
    };
    let by_profile = match tokens.peek()? {
        Token::Open => outcomes(&mut tokens, shape.len(), n_profiles)?,
        _ => (0..n_profiles * shape.len()).map(|_| number(&mut tokens)).collect::<Result<_>>()?,
    };
    if *tokens.peek()? != Token::End {
        return Err(tokens.fault("the end of the file after the last payoff"));
    }
    let payoffs = turn(&shape, &by_profile);
    NormalForm::new(&shape, payoffs)?.with_title(title).with_players(players)
}

/// Numbers of strategies, or their names.
fn strategies(tokens: &mut Tokens<'_>, names: Vec<String>) -> Result<Vec<Player>> {
    tokens.open("`{` before the players' strategies")?;
    let mut players = Vec::with_capacity(names.len());
    for name in names {
        let expected = "a number of strategies, or their names in braces, for each player";
        let strategies = match tokens.peek()? {
            Token::Open => {
                tokens.open(expected)?;
                let mut strategies = Vec::new();
                while !tokens.skip_close()? {
                    strategies.push(tokens.text("a strategy's name in quotes, or `}`")?);
                }
                strategies
            }
            Token::Word(_) => {
                let n = tokens.count("a number of strategies below 100000", 100_000)?;
                (1..=n).map(|k| k.to_string()).collect()
            }
            _ => return Err(tokens.fault(expected)),
        };
        if strategies.is_empty() {
            return Err(tokens.fault("at least one strategy for each player"));
        }
        players.push(Player { name, strategies });
    }
    tokens.close("`}` after the last player's strategies")?;
    Ok(players)
}

/// A list of outcomes and one number a profile; gives payoffs `[profile, player]`.
fn outcomes(tokens: &mut Tokens<'_>, n_players: usize, n_profiles: usize) -> Result<Vec<Rational>> {
    tokens.open("`{` before the outcomes")?;
    let mut outcomes = vec![vec![Rational::from_int(0); n_players]];
    while !tokens.skip_close()? {
        tokens.open("`{` before an outcome, or `}` after the last")?;
        tokens.text("an outcome's name in quotes")?;
        outcomes.push((0..n_players).map(|_| number(tokens)).collect::<Result<_>>()?);
        tokens.skip_comma()?;
        tokens.close("`}` after an outcome's payoffs, one a player")?;
    }
    let mut payoffs = Vec::with_capacity(n_profiles * n_players);
    for _ in 0..n_profiles {
        let outcome = tokens.count("the number of an outcome, one for each profile", outcomes.len() - 1)?;
        payoffs.extend_from_slice(&outcomes[outcome]);
    }
    Ok(payoffs)
}

fn number(tokens: &mut Tokens<'_>) -> Result<Rational> {
    tokens.skip_comma()?;
    match tokens.peek()? {
        Token::Word(word) => match parse_rational(word) {
            Some(number) => {
                tokens.next()?;
                Ok(number)
            }
            None => Err(tokens.fault("a number such as -1, 0.5 or 3/4")),
        },
        _ => Err(tokens.fault("a payoff for each player in each profile")),
    }
}

/// From `[profile, player]` with the first strategy fastest to one row-major table a player.
fn turn<T: Clone>(shape: &[usize], by_profile: &[T]) -> Vec<Vec<T>> {
    let n_profiles: usize = shape.iter().product();
    let n_players = shape.len();
    let places = places(shape);
    let mut order = vec![0; n_profiles];
    for (file, &table) in places.iter().enumerate() {
        order[table] = file;
    }
    let table = |player: usize| -> Vec<T> {
        order.iter().map(|&file| by_profile[file * n_players + player].clone()).collect()
    };
    (0..n_players).map(table).collect()
}

/// For each profile in the order of files, its place in the tables.
fn places(shape: &[usize]) -> Vec<usize> {
    let n_profiles: usize = shape.iter().product();
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    let mut profile = vec![0; shape.len()];
    let mut places = Vec::with_capacity(n_profiles);
    for _ in 0..n_profiles {
        places.push(profile.iter().zip(&strides).map(|(s, stride)| s * stride).sum());
        for (s, &n) in profile.iter_mut().zip(shape) {
            *s += 1;
            if *s < n {
                break;
            }
            *s = 0;
        }
    }
    places
}

/// Writes a game, with payoffs and not with outcomes. Rationals are written exactly, floats so that they read
/// back to the same bits.
pub fn write<S: Scalar>(game: &NormalForm<S>) -> String {
    let mut text = format!("NFG 1 R {}\n{{", quoted(game.title()));
    for player in game.players() {
        let _ = write!(text, " {}", quoted(&player.name));
    }
    text.push_str(" }\n\n{");
    for player in game.players() {
        text.push_str(" {");
        for strategy in &player.strategies {
            let _ = write!(text, " {}", quoted(strategy));
        }
        text.push_str(" }\n ");
    }
    text.push_str("}\n\"\"\n\n");
    for place in places(game.shape()) {
        let payoffs: Vec<String> = (0..game.n_players()).map(|i| game.table(i)[place].to_string()).collect();
        text.push_str(&payoffs.join(" "));
        text.push('\n');
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::scalar::ratio;
    use proptest::prelude::*;

    const PAYOFFS: &str = r#"NFG 1 R "Selten (IJGT, 75), Figure 2, normal form"
        { "Player 1" "Player 2" } { 3 2 }
        1 1 0 2 0 2 1 1 0 3 2 0"#;
    const OUTCOMES: &str = r#"NFG 1 R "with \"quotes\"" { "A" "B" }
        { { "a" "b" "c" } { "x" "y" } }
        "a comment"
        { { "" 1, 1 } { "two" 0 2 } { "3" 0, 3 } { "" 2, 0 } }
        1 2 2 1 3 4"#;

    #[test]
    fn both_forms_are_read_first_player_fastest() {
        for text in [PAYOFFS, OUTCOMES] {
            let game = read(text).unwrap();
            assert_eq!(game.shape(), [3, 2]);
            let table: Vec<Rational> = [1, 1, 0, 0, 0, 2].iter().map(|&x| ratio(x, 1)).collect();
            assert_eq!(game.table(0), table);
            assert_eq!(game.payoff(&[1, 1], 1), &ratio(3, 1));
        }
        let game = read(OUTCOMES).unwrap();
        assert_eq!((game.title(), game.players()[0].strategies[2].as_str()), ("with \"quotes\"", "c"));
        let null = read("NFG 1 R \"\" { \"A\" } { 2 } { { \"x\" 5 } } 0 1").unwrap();
        assert_eq!(null.table(0), [ratio(0, 1), ratio(5, 1)]);
    }

    #[test]
    fn errors_say_where_and_what() {
        let cases = [
            ("", 1, 1, "NFG"),
            ("NFG 2 R \"\"", 1, 5, "version"),
            ("NFG 1 R\n  title", 2, 3, "title"),
            ("NFG 1 R \"x\" { \"a\" \"b\" }\n{ 2 2 }\n1 2 3 4 5 6 7", 3, 14, "payoff"),
            ("NFG 1 R \"x\" { \"a\" \"b\" }\n{ 2 2 }\n1 2 3 4 5 6 7 8 9", 3, 17, "end of the file"),
            ("NFG 1 R \"x\" { \"a\" \"b\" }\n{ 2 2 }\n1 2 3 4 5 6 x 8", 3, 13, "number"),
            ("NFG 1 R \"x\" { \"a\" }\n{ 99999 }\n1", 3, 1, "profiles"),
            ("NFG 1 R \"x\" { \"a\" \"b\" }\n{ 2 0 }\n1", 2, 7, "strategy"),
            ("NFG 1 R \"x\" { \"a\" }\n{ 2 }\n{ { \"\" 1 } }\n1 2", 4, 3, "outcome"),
            ("NFG 1 R \"x", 1, 9, "closing quote"),
        ];
        for (text, line, column, word) in cases {
            match read(text) {
                Err(Error::Parse { line: l, column: c, expected, .. }) => {
                    assert_eq!((l, c), (line, column), "{text}: expected {expected}");
                    assert!(expected.contains(word), "{text}: expected {expected}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    fn any_game() -> impl Strategy<Value = NormalForm<Rational>> {
        prop::collection::vec(1usize..4, 1..5).prop_flat_map(|shape| {
            let n: usize = shape.iter().product();
            let number = (-1000i64..1000, 1i64..50).prop_map(|(p, q)| ratio(p, q));
            let tables = prop::collection::vec(prop::collection::vec(number, n), shape.len());
            (tables, "[ -~é\n]{0,12}").prop_map(move |(payoffs, title)| {
                let players = shape.iter().enumerate().map(|(i, &n)| Player {
                    name: format!("{title}{i}"),
                    strategies: (0..n).map(|k| format!("s\"{k}\\")).collect(),
                });
                let game = NormalForm::new(&shape, payoffs).unwrap().with_title(title.clone());
                game.with_players(players.collect()).unwrap()
            })
        })
    }

    proptest! {
        #[test]
        fn what_we_write_reads_back(game in any_game()) {
            prop_assert_eq!(&read(&write(&game)).unwrap(), &game);
            let floats = game.convert::<f64>();
            prop_assert_eq!(read(&write(&floats)).unwrap().convert::<f64>(), floats);
        }

        #[test]
        fn no_text_panics(text in "[NFGR1 {}\"0-9/.,\\\\a\n-]{0,60}") {
            let _ = read(&text);
            let _ = read(&format!("NFG 1 R \"\" {{ \"a\" \"b\" }} {text}"));
        }
    }
}
