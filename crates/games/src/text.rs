//! Tokens of Gambit's text formats, with their lines and columns.

use crate::error::{Error, Result};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// `{`.
    Open,
    /// `}`.
    Close,
    /// `,`.
    Comma,
    /// A text in quotes, without them; `\"` and `\\` stand for themselves.
    Text(String),
    /// Anything else up to white space, a brace, a comma or a quote.
    Word(&'a str),
    /// The end of the text.
    End,
}

/// Reads a text token by token.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    /// The token looked at, and where it starts.
    ahead: Option<(Token<'a>, usize, usize)>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, column: 1, ahead: None }
    }

    /// Drops `n` bytes, which end at a border between characters.
    fn drop_bytes(&mut self, n: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(n);
        for c in taken.chars() {
            match c {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                _ => self.column += 1,
            }
        }
        self.rest = rest;
        taken
    }

    /// The next token, which stays.
    pub(crate) fn peek(&mut self) -> Result<&Token<'a>> {
        if self.ahead.is_none() {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.drop_bytes(blank);
            let (line, column) = (self.line, self.column);
            let token = self.scan(line, column)?;
            self.ahead = Some((token, line, column));
        }
        match &self.ahead {
            Some((token, ..)) => Ok(token),
            None => Ok(&Token::End),
        }
    }

    fn scan(&mut self, line: usize, column: usize) -> Result<Token<'a>> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let single = match first {
            '{' => Some(Token::Open),
            '}' => Some(Token::Close),
            ',' => Some(Token::Comma),
            _ => None,
        };
        if let Some(token) = single {
            self.drop_bytes(1);
            return Ok(token);
        }
        if first == '"' {
            return self.scan_text(line, column);
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | '"');
        let n = self.rest.find(ends).unwrap_or(self.rest.len());
        Ok(Token::Word(self.drop_bytes(n)))
    }

    fn scan_text(&mut self, line: usize, column: usize) -> Result<Token<'a>> {
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => {
                    self.drop_bytes(at + 1);
                    return Ok(Token::Text(text));
                }
                c => {
                    if escaped && c != '"' && c != '\\' {
                        text.push('\\');
                    }
                    escaped = false;
                    text.push(c);
                }
            }
        }
        let expected = "a closing quote for this text".into();
        Err(Error::Parse { line, column, expected, found: "the end of the file".into() })
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Result<Token<'a>> {
        self.peek()?;
        Ok(self.ahead.take().map_or(Token::End, |(token, ..)| token))
    }

    /// An error at the next token.
    pub(crate) fn fault(&mut self, expected: impl Into<String>) -> Error {
        if let Err(error) = self.peek() {
            return error;
        }
        let (found, line, column) = match &self.ahead {
            Some((token, line, column)) => (describe(token), *line, *column),
            None => ("the end of the file".into(), self.line, self.column),
        };
        Error::Parse { line, column, expected: expected.into(), found }
    }

    /// Takes this word.
    pub(crate) fn word(&mut self, word: &str, expected: &str) -> Result<()> {
        match self.skip_word(word)? {
            true => Ok(()),
            false => Err(self.fault(expected)),
        }
    }

    /// Takes this word if it is next.
    pub(crate) fn skip_word(&mut self, word: &str) -> Result<bool> {
        let is_next = *self.peek()? == Token::Word(word);
        if is_next {
            self.ahead = None;
        }
        Ok(is_next)
    }

    fn skip(&mut self, wanted: &Token<'_>) -> Result<bool> {
        let is_next = self.peek()? == wanted;
        if is_next {
            self.ahead = None;
        }
        Ok(is_next)
    }

    /// Takes `{`.
    pub(crate) fn open(&mut self, expected: &str) -> Result<()> {
        match self.skip(&Token::Open)? {
            true => Ok(()),
            false => Err(self.fault(expected)),
        }
    }

    /// Takes `}`.
    pub(crate) fn close(&mut self, expected: &str) -> Result<()> {
        match self.skip_close()? {
            true => Ok(()),
            false => Err(self.fault(expected)),
        }
    }

    /// Takes `}` if it is next.
    pub(crate) fn skip_close(&mut self) -> Result<bool> {
        self.skip(&Token::Close)
    }

    /// Takes `,` if it is next.
    pub(crate) fn skip_comma(&mut self) -> Result<bool> {
        self.skip(&Token::Comma)
    }

    /// Takes a text in quotes.
    pub(crate) fn text(&mut self, expected: &str) -> Result<String> {
        match self.peek()? {
            Token::Text(_) => match self.next()? {
                Token::Text(text) => Ok(text),
                _ => Err(self.fault(expected)),
            },
            _ => Err(self.fault(expected)),
        }
    }

    /// Takes a whole number up to `limit`.
    pub(crate) fn count(&mut self, expected: &str, limit: usize) -> Result<usize> {
        let n = match self.peek()? {
            Token::Word(word) => word.parse::<usize>().ok().filter(|&n| n <= limit),
            _ => None,
        };
        match n {
            Some(n) => {
                self.ahead = None;
                Ok(n)
            }
            None => Err(self.fault(expected)),
        }
    }
}

fn describe(token: &Token<'_>) -> String {
    let short = |text: &str| text.chars().take(30).collect::<String>();
    match token {
        Token::Open => "`{`".into(),
        Token::Close => "`}`".into(),
        Token::Comma => "`,`".into(),
        Token::Text(text) => format!("the text \"{}\"", short(text).replace('\n', " ")),
        Token::Word(word) => format!("`{}`", short(word)),
        Token::End => "the end of the file".into(),
    }
}
