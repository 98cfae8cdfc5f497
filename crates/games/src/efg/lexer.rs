//! Words, quoted texts and braces, with line and column.

use num_bigint::BigInt;
use num_traits::{One, Pow};

use crate::scalar::parse_rational;
use crate::{Error, Rational, Result};

/// A piece of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// In quotes, without them.
    Text(String),
    /// Letters or digits.
    Word(String),
    Open,
    Close,
    End,
}

impl Token {
    /// The token in words, for errors.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{}\"", shorten(text)),
            Self::Word(word) => format!("`{}`", shorten(word)),
            Self::Open => "`{`".into(),
            Self::Close => "`}`".into(),
            Self::End => "the end of the file".into(),
        }
    }
}

/// Names in files may have line breaks; errors have none.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

/// At most the first 40 characters.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

/// Where a token starts, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// Something here does not fit what came before.
    pub(super) fn error(self, reason: impl Into<String>) -> Error {
        Error::Inconsistent { line: self.line, column: self.column, reason: one_line(reason.into()) }
    }

    /// Something else belongs here.
    pub(super) fn expected(self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        let (expected, found) = (one_line(expected.into()), one_line(found.into()));
        Error::Parse { line: self.line, column: self.column, expected, found }
    }
}

/// A number of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) value: Rational,
    /// Digits after the point, if it was written as a decimal.
    pub(super) decimals: Option<u32>,
}

/// Reads tokens one by one, one ahead.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    next: Place,
    token: Token,
    place: Place,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self> {
        let start = Place { line: 1, column: 1 };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lexer = Self { rest: text.chars().peekable(), next: start, token: Token::End, place: start };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The next token, not taken yet.
    pub(super) fn peek(&self) -> &Token {
        &self.token
    }

    /// Where the next token starts.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<Token> {
        let token = std::mem::replace(&mut self.token, Token::End);
        self.advance()?;
        Ok(token)
    }

    fn unexpected(&self, wanted: &str) -> Error {
        self.place.expected(wanted, self.token.describe())
    }

    /// Takes a quoted text.
    pub(super) fn text(&mut self, wanted: &str) -> Result<String> {
        match self.peek() {
            Token::Text(_) => {}
            _ => return Err(self.unexpected(wanted)),
        }
        match self.take()? {
            Token::Text(text) => Ok(text),
            _ => Ok(String::new()),
        }
    }

    /// Takes a word.
    pub(super) fn word(&mut self, wanted: &str) -> Result<String> {
        match self.peek() {
            Token::Word(_) => {}
            _ => return Err(self.unexpected(wanted)),
        }
        match self.take()? {
            Token::Word(word) => Ok(word),
            _ => Ok(String::new()),
        }
    }

    /// Takes a brace.
    pub(super) fn brace(&mut self, brace: &Token, wanted: &str) -> Result<()> {
        if self.peek() != brace {
            return Err(self.unexpected(wanted));
        }
        self.take().map(|_| ())
    }

    /// Takes a whole number that is not negative.
    pub(super) fn count(&mut self, wanted: &str) -> Result<u64> {
        let place = self.place;
        let word = self.word(wanted)?;
        word.parse().map_err(|_| place.expected(wanted, format!("`{}`", shorten(&word))))
    }

    /// Takes an integer, decimal or fraction.
    pub(super) fn number(&mut self, wanted: &str) -> Result<Number> {
        let place = self.place;
        let word = self.word(wanted)?;
        parse_number(&word).ok_or_else(|| {
            let found = shorten(&word);
            place.expected(wanted, format!("`{found}` (numbers are like 3, -0.25, 1e-3 or 2/3)"))
        })
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.next = Place { line: self.next.line + 1, column: 1 };
        } else {
            self.next.column += 1;
        }
        Some(c)
    }

    fn advance(&mut self) -> Result<()> {
        while self.rest.next_if(|c| c.is_whitespace() || *c == ',').map(|c| self.count_char(c)).is_some() {}
        self.place = self.next;
        self.token = match self.bump() {
            None => Token::End,
            Some('{') => Token::Open,
            Some('}') => Token::Close,
            Some('"') => Token::Text(self.quoted()?),
            Some(first) => {
                let mut word = String::from(first);
                let belongs = |c: &char| !c.is_whitespace() && !matches!(c, '{' | '}' | '"' | ',');
                while let Some(c) = self.rest.next_if(belongs) {
                    self.count_char(c);
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        Ok(())
    }

    /// Moves the place over a character that was taken already.
    fn count_char(&mut self, c: char) {
        if c == '\n' {
            self.next = Place { line: self.next.line + 1, column: 1 };
        } else {
            self.next.column += 1;
        }
    }

    /// The rest of a text after its first quote. A backslash keeps the quote or backslash after it.
    fn quoted(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.bump() {
                None => {
                    return Err(self.place.expected("a `\"` that closes this text", "the end of the file"));
                }
                Some('"') => return Ok(text),
                Some('\\') => match self.rest.peek() {
                    Some('"' | '\\') => text.extend(self.bump()),
                    _ => text.push('\\'),
                },
                Some(c) => text.push(c),
            }
        }
    }
}

/// Exact value of a number as it may stand in a file.
fn parse_number(word: &str) -> Option<Number> {
    let value = parse_rational(word)?;
    let mantissa = word.split(['e', 'E']).next().unwrap_or(word);
    let is_plain = word.len() == mantissa.len() && !word.contains('/');
    let decimals = mantissa.split_once('.').filter(|_| is_plain).map(|(_, fraction)| fraction.len() as u32);
    Some(Number { value, decimals })
}

/// Half a unit in the last place of a decimal.
pub(super) fn rounding(decimals: u32) -> Rational {
    Rational::new(BigInt::one(), BigInt::from(2) * BigInt::from(10).pow(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_counted() {
        let decimals = |word: &str| parse_number(word).map(|n| n.decimals);
        for (word, expected) in
            [("3", None), ("-0.25", Some(2)), ("1/3", None), ("1.5e-3", None), ("2.", Some(0))]
        {
            assert_eq!(decimals(word), Some(expected), "{word}");
        }
        assert_eq!(decimals("1/0"), None);
    }

    #[test]
    fn places_count_lines_and_characters() {
        let mut lexer = Lexer::new("a \"\u{e9}\n\\\"x\" {\n  b}").unwrap();
        let mut found = Vec::new();
        while *lexer.peek() != Token::End {
            found.push((lexer.place().line, lexer.place().column, lexer.take().unwrap().describe()));
        }
        let expected =
            [(1, 1, "`a`"), (1, 3, "\"\u{e9}\n\"x\""), (2, 6, "`{`"), (3, 3, "`b`"), (3, 4, "`}`")];
        assert_eq!(found, expected.map(|(l, c, t)| (l, c, t.to_string())));
    }
}
