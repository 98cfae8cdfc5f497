//! A reader of JSON that remembers where every value stands, so that a wrong one can be pointed at. Not here: what
//! the values mean.

use super::{Place, expected};
use crate::Result;

/// Values within values; more is refused.
const MAX_DEPTH: usize = 32;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// Keys, where they stand, and values, in the order of the file.
    Object(Vec<(String, Place, Node)>),
}

impl Node {
    /// What the value is, for messages.
    fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Bool(b) => b.to_string(),
            Value::Number(x) => x.to_string(),
            Value::Text(text) => format!("\"{text}\""),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Object(_) => "an object".into(),
        }
    }

    /// An error at this value.
    pub fn not<T>(&self, wanted: impl Into<String>) -> Result<T> {
        expected(self.place, self.describe(), wanted)
    }

    pub fn list(&self, wanted: &str) -> Result<&[Node]> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => self.not(wanted),
        }
    }

    pub fn text(&self, wanted: &str) -> Result<&str> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => self.not(wanted),
        }
    }

    pub fn number(&self, wanted: &str) -> Result<f64> {
        match self.value {
            Value::Number(x) => Ok(x),
            _ => self.not(wanted),
        }
    }

    /// A whole number of at most `most`.
    pub fn count(&self, most: usize, wanted: &str) -> Result<usize> {
        match self.value {
            Value::Number(x) if x >= 0.0 && x.fract() == 0.0 && x <= most as f64 => Ok(x as usize),
            _ => self.not(format!("{wanted}, a whole number from 0 to {most}")),
        }
    }

    /// The value of a key, if the object has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Object(fields) => fields.iter().find(|field| field.0 == key).map(|field| &field.2),
            _ => None,
        }
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str) -> Result<&Node> {
        match self.get(key) {
            Some(node) => Ok(node),
            None => self.not(format!("an object with the key `{key}`")),
        }
    }

    /// Refuses keys that are not among `known`.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        let Value::Object(fields) = &self.value else { return self.not("an object") };
        match fields.iter().find(|field| !known.contains(&field.0.as_str())) {
            Some((key, place, _)) => {
                expected(*place, format!("the key \"{key}\""), format!("one of: {}", known.join(", ")))
            }
            None => Ok(()),
        }
    }
}

/// Reads a whole text as one value.
pub(super) fn parse(text: &str) -> Result<Node> {
    let mut reader = Reader { rest: text.chars(), place: Place { line: 1, column: 1 } };
    let node = reader.value(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(node),
        Some(c) => expected(reader.place, format!("`{c}`"), "the end of the file"),
    }
}

struct Reader<'a> {
    rest: std::str::Chars<'a>,
    place: Place,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }

    /// An error at the next character.
    fn not<T>(&self, wanted: &str) -> Result<T> {
        let found = self.peek().map_or_else(|| "the end of the file".to_string(), |c| format!("`{c}`"));
        expected(self.place, found, wanted)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node> {
        self.skip_space();
        let place = self.place;
        if depth > MAX_DEPTH {
            return expected(place, "deeper nesting", format!("at most {MAX_DEPTH} values within values"));
        }
        let value = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.text()?),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number()?,
            Some(c) if c.is_ascii_alphabetic() => self.word()?,
            _ => return self.not("a value"),
        };
        Ok(Node { place, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.next();
        let mut fields: Vec<(String, Place, Node)> = Vec::new();
        if self.take('}') {
            return Ok(Value::Object(fields));
        }
        loop {
            self.skip_space();
            let place = self.place;
            if self.peek() != Some('"') {
                return self.not("a key in quotes");
            }
            let key = self.text()?;
            if fields.iter().any(|field| field.0 == key) {
                return expected(place, format!("the key \"{key}\" again"), "each key once");
            }
            if !self.take(':') {
                return self.not("`:`");
            }
            let node = self.value(depth + 1)?;
            fields.push((key, place, node));
            if self.take('}') {
                return Ok(Value::Object(fields));
            }
            if !self.take(',') {
                return self.not("`,` or `}`");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        self.next();
        let mut items = Vec::new();
        if self.take(']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(']') {
                return Ok(Value::List(items));
            }
            if !self.take(',') {
                return self.not("`,` or `]`");
            }
        }
    }

    fn text(&mut self) -> Result<String> {
        self.next();
        let mut out = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(out);
                }
                Some('\\') => {
                    self.next();
                    out.push(self.escape()?);
                }
                Some(c) if c >= ' ' => {
                    self.next();
                    out.push(c);
                }
                _ => return self.not("the closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let c = match self.peek() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('u') => return self.code_point(),
            _ => return self.not("an escape such as \\n"),
        };
        self.next();
        Ok(c)
    }

    /// `uXXXX`; halves of surrogate pairs become the replacement character.
    fn code_point(&mut self) -> Result<char> {
        self.next();
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                return self.not("four hexadecimal digits");
            };
            self.next();
            code = code * 16 + digit;
        }
        Ok(char::from_u32(code).unwrap_or('\u{fffd}'))
    }

    fn number(&mut self) -> Result<Value> {
        let place = self.place;
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        {
            self.next();
            text.push(c);
        }
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Value::Number(x)),
            _ => expected(place, format!("`{text}`"), "a number"),
        }
    }

    fn word(&mut self) -> Result<Value> {
        let place = self.place;
        let mut text = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_alphanumeric) {
            self.next();
            text.push(c);
        }
        match text.as_str() {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => expected(place, format!("`{text}`"), "a value; texts stand in quotes"),
        }
    }
}
