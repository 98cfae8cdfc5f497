//! Cuts a text into tokens, with Python's rules of lines and indentation.

use super::Fault;

/// Texts longer than this are no constraints.
const MAX_CHARS: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Int(i64),
    Float(f64),
    Text(String),
    Name(String),
    /// An operator or bracket.
    Sign(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub offset: usize,
}

impl Token {
    /// How errors call it.
    pub fn shown(&self) -> String {
        match &self.kind {
            Kind::Int(value) => format!("`{value}`"),
            Kind::Float(value) => format!("`{value}`"),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Name(name) => format!("`{name}`"),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::Newline => "the end of the line".into(),
            Kind::Indent => "a deeper indentation".into(),
            Kind::Dedent => "the end of the block".into(),
            Kind::End => "the end".into(),
        }
    }
}

/// Longer signs first, so that `**` is not two stars.
const SIGNS: [&str; 41] = [
    "**=", "//=", "<<=", ">>=", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+=", "-=", "*=", "/=", "%=",
    "&=", "|=", "^=", ":=", "->", "+", "-", "*", "/", "%", "<", ">", "=", "(", ")", "[", "]", ",", ":", ";",
    "&", "|", "^", "~",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() > MAX_CHARS {
        return Err(Fault::new(0, format!("expected at most {MAX_CHARS} characters")));
    }
    let mut lexer = Lexer { chars, at: 0, tokens: Vec::new(), indents: vec![0], n_open: 0 };
    lexer.all()?;
    Ok(lexer.tokens)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    tokens: Vec<Token>,
    indents: Vec<usize>,
    /// Open brackets, inside which lines do not end.
    n_open: usize,
}

impl Lexer {
    fn all(&mut self) -> Result<(), Fault> {
        let mut line_begins = true;
        while self.at < self.chars.len() {
            if line_begins && self.n_open == 0 && !self.indentation()? {
                continue;
            }
            line_begins = false;
            let Some(&c) = self.chars.get(self.at) else { break };
            match c {
                '\n' => {
                    if self.n_open == 0 {
                        self.push(Kind::Newline, self.at);
                    }
                    self.at += 1;
                    line_begins = true;
                }
                '\\' if self.chars.get(self.at + 1) == Some(&'\n') => self.at += 2,
                '#' => self.skip_comment(),
                c if c.is_whitespace() => self.at += 1,
                '\'' | '"' => self.text(c)?,
                c if c.is_ascii_digit() || (c == '.' && self.digit_at(self.at + 1)) => self.number()?,
                c if c.is_alphabetic() || c == '_' => self.name(),
                _ => self.sign()?,
            }
        }
        let end = self.chars.len();
        if !matches!(self.tokens.last(), None | Some(Token { kind: Kind::Newline, .. })) {
            self.push(Kind::Newline, end);
        }
        for _ in 1..self.indents.len() {
            self.push(Kind::Dedent, end);
        }
        self.push(Kind::End, end);
        Ok(())
    }

    fn push(&mut self, kind: Kind, offset: usize) {
        self.tokens.push(Token { kind, offset });
    }

    fn digit_at(&self, at: usize) -> bool {
        self.chars.get(at).is_some_and(char::is_ascii_digit)
    }

    fn skip_comment(&mut self) {
        while self.chars.get(self.at).is_some_and(|&c| c != '\n') {
            self.at += 1;
        }
    }

    /// Measures the indentation of a line; false for a line without content, which is skipped.
    fn indentation(&mut self) -> Result<bool, Fault> {
        let mut width = 0;
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                ' ' | '\r' => width += 1,
                '\t' => width += 8 - width % 8,
                _ => break,
            }
            self.at += 1;
        }
        match self.chars.get(self.at) {
            None => return Ok(false),
            Some('#') => {
                self.skip_comment();
                self.at += 1;
                return Ok(false);
            }
            Some('\n') => {
                self.at += 1;
                return Ok(false);
            }
            Some(_) => {}
        }
        let deepest = self.indents.last().copied().unwrap_or_default();
        if self.tokens.is_empty() {
            // The first line sets the margin, so that an indented block of text is as good as one at the edge.
            self.indents = vec![width];
        } else if width > deepest {
            self.indents.push(width);
            self.push(Kind::Indent, self.at);
        }
        while self.indents.last().is_some_and(|&deepest| width < deepest) && self.indents.len() > 1 {
            self.indents.pop();
            self.push(Kind::Dedent, self.at);
        }
        if self.indents.last() != Some(&width) {
            return Err(Fault::new(self.at, "expected the indentation of an enclosing block"));
        }
        Ok(true)
    }

    fn text(&mut self, quote: char) -> Result<(), Fault> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            match self.chars.get(self.at) {
                None | Some('\n') => return Err(Fault::new(start, "expected a closing quote")),
                Some(&c) if c == quote => break,
                Some('\\') => {
                    self.at += 1;
                    text.push(match self.chars.get(self.at) {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(&c @ ('\\' | '\'' | '"')) => c,
                        _ => {
                            return Err(Fault::new(
                                self.at - 1,
                                "expected \\n, \\t, \\\\ or a quote after `\\`",
                            ));
                        }
                    });
                }
                Some(&c) => text.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        // Texts side by side are one text.
        if let Some(Token { kind: Kind::Text(before), .. }) = self.tokens.last_mut() {
            before.push_str(&text);
        } else {
            self.push(Kind::Text(text), start);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let radix = match (self.chars[self.at], self.chars.get(self.at + 1)) {
            ('0', Some('x' | 'X')) => 16,
            ('0', Some('b' | 'B')) => 2,
            ('0', Some('o' | 'O')) => 8,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
        }
        let mut digits = String::new();
        let mut is_float = false;
        while let Some(&c) = self.chars.get(self.at) {
            let exponent = radix == 10 && matches!(c, 'e' | 'E') && {
                let next = self.chars.get(self.at + 1);
                self.digit_at(self.at + 1) || (matches!(next, Some('+' | '-')) && self.digit_at(self.at + 2))
            };
            if exponent {
                is_float = true;
                digits.push('e');
                if let Some(&sign @ ('+' | '-')) = self.chars.get(self.at + 1) {
                    digits.push(sign);
                    self.at += 1;
                }
            } else if c == '.' && radix == 10 && !is_float {
                is_float = true;
                digits.push('.');
            } else if c.is_digit(radix) {
                digits.push(c);
            } else if c != '_' {
                break;
            }
            self.at += 1;
        }
        if self.chars.get(self.at).is_some_and(|c| c.is_alphanumeric() || *c == '.') {
            return Err(Fault::new(start, "expected a number"));
        }
        let kind = if is_float {
            digits.parse().map(Kind::Float).map_err(|_| Fault::new(start, "expected a number"))?
        } else {
            let value = i64::from_str_radix(&digits, radix);
            Kind::Int(value.map_err(|_| Fault::new(start, "expected a whole number within 64 bits"))?)
        };
        self.push(kind, start);
        Ok(())
    }

    fn name(&mut self) {
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
            self.at += 1;
        }
        self.push(Kind::Name(self.chars[start..self.at].iter().collect()), start);
    }

    fn sign(&mut self) -> Result<(), Fault> {
        let rest = &self.chars[self.at..];
        let fits = |sign: &&&str| sign.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
        let Some(&sign) = SIGNS.iter().find(fits) else {
            return Err(Fault::new(self.at, format!("expected an operator or a value, found `{}`", rest[0])));
        };
        match sign {
            "(" | "[" => self.n_open += 1,
            ")" | "]" => self.n_open = self.n_open.saturating_sub(1),
            _ => {}
        }
        self.push(Kind::Sign(sign), self.at);
        self.at += sign.len();
        Ok(())
    }
}
