//! YAML as a tree whose every node knows its place in the text. Built on the events of `saphyr-parser`; bounded
//! in depth and size: an alias (`*name`) is a copy of what its anchor (`&name`) marks and counts as that many nodes,
//! so that a few bytes cannot stand for gigabytes. A key `<<` merges maps, as in YAML 1.1. JSON is YAML too, so the JSON
//! inputs of this crate come through here as well.
//!
//! Plain scalars get their types by the rules of YAML 1.1 that PyYAML follows (`yes` is a boolean, `0x1f` a
//! number), except that `1e3` is a number too, as in YAML 1.2 and JSON.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::{Error, Position, Result};

/// Nesting that no honest file comes near.
const MAX_DEPTH: usize = 64;
/// Nodes of one file.
const MAX_NODES: usize = 4_000_000;

/// A node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub at: Position,
    pub data: Data,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    /// Text without quotes: its type follows from what it looks like.
    Plain(String),
    /// Text in quotes or a block: a string.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; keys are scalars and unique.
    Map(Vec<(Node, Node)>),
}

/// A scalar with its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Node {
    /// Reads one document. An empty text is a null.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tree = Tree::default();
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let info = error.info().replace('\n', " ");
                Error::text(position(error.marker()), format!("this is not YAML: {info}"))
            })?;
            tree.take(event, position(&span.start))?;
        }
        Ok(tree.root.unwrap_or(Self { at: Position::START, data: Data::Plain(String::new()) }))
    }

    /// The pairs of a map.
    pub fn map(&self, what: &str) -> Result<&[(Self, Self)]> {
        match &self.data {
            Data::Map(pairs) => Ok(pairs),
            _ => self.expected(&format!("{what}: a map of `name: value` lines")),
        }
    }

    /// The elements of a list.
    pub fn list(&self, what: &str) -> Result<&[Self]> {
        match &self.data {
            Data::List(items) => Ok(items),
            _ => self.expected(&format!("{what}: a list such as [a, b]")),
        }
    }

    /// The value of a key of this map; `None` where there is no such key or this is not a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Data::Map(pairs) = &self.data else { return None };
        pairs.iter().find(|(name, _)| name.text_of().as_deref() == Some(key)).map(|(_, value)| value)
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, what: &str) -> Result<&Self> {
        self.get(key).ok_or_else(|| Error::text(self.at, format!("expected a key `{key}` in {what}")))
    }

    /// A scalar by its type.
    pub fn scalar(&self, what: &str) -> Result<Scalar> {
        match &self.data {
            Data::Plain(text) => Ok(resolve(text)),
            Data::Text(text) => Ok(Scalar::Text(text.clone())),
            _ => self.expected(&format!("{what}: a single value")),
        }
    }

    /// A scalar as it is written, a string or not.
    pub fn text(&self, what: &str) -> Result<String> {
        self.text_of().map_or_else(|| self.expected(&format!("{what}: a text")), Ok)
    }

    fn text_of(&self) -> Option<String> {
        match &self.data {
            Data::Plain(text) | Data::Text(text) => Some(text.clone()),
            Data::List(_) | Data::Map(_) => None,
        }
    }

    /// A number, also one in quotes.
    pub fn number(&self, what: &str) -> Result<f64> {
        let text = match self.scalar(what)? {
            Scalar::Int(value) => return Ok(value as f64),
            Scalar::Float(value) if !value.is_nan() => return Ok(value),
            Scalar::Text(text) => text,
            _ => return self.expected(&format!("{what}: a number")),
        };
        match resolve(text.trim()) {
            Scalar::Int(value) => Ok(value as f64),
            Scalar::Float(value) if !value.is_nan() => Ok(value),
            _ => self.expected(&format!("{what}: a number")),
        }
    }

    /// Whether this is a null or an empty value.
    pub fn is_null(&self) -> bool {
        matches!(&self.data, Data::Plain(text) if resolve(text) == Scalar::Null)
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        let found = match &self.data {
            Data::Plain(text) if text.is_empty() => "nothing".to_owned(),
            Data::Plain(text) | Data::Text(text) => format!("`{}`", shortened(text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
        };
        Err(Error::text(self.at, format!("expected {what}, found {found}")))
    }
}

/// The lines of a text as YAML counts them: a lone carriage return ends one, too.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).collect()
}

/// For each character of a scalar the place it comes from, and one more for the end. Blanks and line breaks, which
/// folding changes, are passed over on both sides; escapes are taken as they are written.
pub(crate) fn origins(source: &[&str], node: &Node, text: &str) -> Vec<Position> {
    let mut line = node.at.line - 1;
    let mut column = node.at.column - 1;
    let chars_of = |line: usize| source.get(line).map(|text| text.chars().collect::<Vec<_>>());
    let mut chars = chars_of(line).unwrap_or_default();
    match chars.get(column) {
        Some('|' | '>') if matches!(node.data, Data::Text(_)) => {
            line += 1;
            column = 0;
            chars = chars_of(line).unwrap_or_default();
        }
        Some('\'' | '"') if matches!(node.data, Data::Text(_)) => column += 1,
        _ => {}
    }
    let mut places = Vec::with_capacity(text.len() + 1);
    for c in text.chars() {
        if !c.is_whitespace() {
            while chars.get(column).is_none_or(|c| c.is_whitespace()) {
                column += 1;
                if column >= chars.len() {
                    let Some(next) = chars_of(line + 1) else { break };
                    (line, column, chars) = (line + 1, 0, next);
                }
            }
        }
        places.push(Position { line: line + 1, column: column + 1 });
        if !c.is_whitespace() {
            column += 1;
        }
    }
    places.push(Position { line: line + 1, column: column + 1 });
    places
}

/// The first line of a text, not too much of it.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut}...") } else { cut }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// The tree under construction.
#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    n_nodes: usize,
    anchored: BTreeMap<usize, Anchored>,
}

/// A list or map that has begun, with the key that waits for its value, and its anchor (0: none).
struct Open {
    node: Node,
    key: Option<Node>,
    anchor: usize,
}

/// What an anchor marks.
struct Anchored {
    node: Node,
    n_nodes: usize,
    depth: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<()> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                let data = if plain { Data::Plain(text) } else { Data::Text(text) };
                self.finish(Node { at, data }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, Node { at, data: Data::List(Vec::new()) }),
            Event::MappingStart(anchor, _) => self.begin(anchor, Node { at, data: Data::Map(Vec::new()) }),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let node = merged(open.node)?;
                    self.finish(node, open.anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchored.get(&anchor) else {
                    return Err(Error::text(
                        at,
                        "expected a value: this alias stands inside of what it names",
                    ));
                };
                let (n_nodes, depth) = (anchored.n_nodes, anchored.depth);
                self.count(n_nodes, at)?;
                if self.open.len() + depth > MAX_DEPTH {
                    return Err(Error::text(at, format!("expected at most {MAX_DEPTH} levels of nesting")));
                }
                let node = self.anchored[&anchor].node.clone();
                self.place(node)
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Error::text(at, "expected the end of the file: one document is read, not several"))
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, node: Node) -> Result<()> {
        if self.open.len() == MAX_DEPTH {
            return Err(Error::text(node.at, format!("expected at most {MAX_DEPTH} levels of nesting")));
        }
        self.open.push(Open { node, key: None, anchor });
        Ok(())
    }

    fn count(&mut self, n_nodes: usize, at: Position) -> Result<()> {
        self.n_nodes += n_nodes;
        if self.n_nodes > MAX_NODES {
            let text = format!("expected at most {MAX_NODES} values in a file, aliases written out");
            return Err(Error::text(at, text));
        }
        Ok(())
    }

    /// Keeps a finished node for its aliases, if it has an anchor, and puts it where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<()> {
        self.count(1, node.at)?;
        if anchor != 0 {
            let (n_nodes, depth) = node.size();
            // The copy that is kept counts as well.
            self.count(n_nodes, node.at)?;
            self.anchored.insert(anchor, Anchored { node: node.clone(), n_nodes, depth });
        }
        self.place(node)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) -> Result<()> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.data, open.key.take()) {
            (Data::List(items), _) => items.push(node),
            (Data::Map(pairs), Some(key)) => pairs.push((key, node)),
            (_, None) => {
                if node.text_of().is_none() {
                    return node.expected("a key: a single value");
                }
                open.key = Some(node);
            }
            // Only lists and maps are ever open.
            _ => {}
        }
        Ok(())
    }
}

/// A map without its `<<` keys: pairs of the maps named there, unless the map has the key itself. Anything else stays.
fn merged(mut node: Node) -> Result<Node> {
    let Data::Map(pairs) = &mut node.data else { return Ok(node) };
    let is_merge = |pair: &(Node, Node)| pair.0.data == Data::Plain("<<".into());
    if !pairs.iter().any(is_merge) {
        return Ok(node);
    }
    let (merges, mut own): (Vec<_>, Vec<_>) = std::mem::take(pairs).into_iter().partition(is_merge);
    let n_own = own.len();
    let mut known: BTreeSet<String> = own.iter().map(|(key, _)| key_text(&key.data).to_owned()).collect();
    for (_, value) in merges {
        let maps = if let Data::List(maps) = value.data { maps } else { vec![value] };
        for map in maps {
            for (key, value) in map.map("the value of `<<`")? {
                if known.insert(key_text(&key.data).to_owned()) {
                    own.push((key.clone(), value.clone()));
                }
            }
        }
    }
    // As if the merged pairs stood first.
    own.rotate_left(n_own);
    *pairs = own;
    Ok(node)
}

impl Node {
    /// Number of nodes, and of levels of lists and maps.
    fn size(&self) -> (usize, usize) {
        let mut rest = vec![(self, 0)];
        let (mut n_nodes, mut depth) = (0, 0);
        while let Some((node, above)) = rest.pop() {
            n_nodes += 1;
            let here = above + usize::from(matches!(node.data, Data::List(_) | Data::Map(_)));
            depth = depth.max(here);
            match &node.data {
                Data::List(items) => rest.extend(items.iter().map(|item| (item, here))),
                Data::Map(pairs) => rest.extend(pairs.iter().flat_map(|(k, v)| [(k, here), (v, here)])),
                Data::Plain(_) | Data::Text(_) => {}
            }
        }
        (n_nodes, depth)
    }

    /// Refuses maps that name a key twice, which YAML forbids and most readers answer by losing the first.
    pub fn check_keys(&self) -> Result<()> {
        let mut rest = vec![self];
        while let Some(node) = rest.pop() {
            match &node.data {
                Data::List(items) => rest.extend(items),
                Data::Map(pairs) => {
                    let mut keys: Vec<(&Data, Position)> =
                        pairs.iter().map(|(key, _)| (&key.data, key.at)).collect();
                    keys.sort_by(|a, b| key_text(a.0).cmp(key_text(b.0)).then(a.1.cmp(&b.1)));
                    if let Some(pair) =
                        keys.windows(2).find(|pair| key_text(pair[0].0) == key_text(pair[1].0))
                    {
                        let message = format!(
                            "expected each key once, found `{}` again (first on {})",
                            shortened(key_text(pair[1].0)),
                            pair[0].1
                        );
                        return Err(Error::text(pair[1].1, message));
                    }
                    rest.extend(pairs.iter().map(|(_, value)| value));
                }
                Data::Plain(_) | Data::Text(_) => {}
            }
        }
        Ok(())
    }
}

fn key_text(data: &Data) -> &str {
    match data {
        Data::Plain(text) | Data::Text(text) => text,
        Data::List(_) | Data::Map(_) => "",
    }
}

/// The typed value of a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        _ => {}
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Scalar::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Scalar::Text(text.to_owned());
    }
    let bare: String = digits.chars().filter(|&c| c != '_').collect();
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
    let whole = if let Some(hex) = bare.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(binary) = bare.strip_prefix("0b") {
        radix(binary, 2)
    } else if let Some(octal) = bare.strip_prefix("0o") {
        radix(octal, 8)
    } else if bare.len() > 1 && bare.starts_with('0') && bare.bytes().all(|b| b.is_ascii_digit()) {
        radix(&bare, 8)
    } else if bare.bytes().all(|b| b.is_ascii_digit()) {
        bare.parse().ok()
    } else {
        None
    };
    if let Some(value) = whole {
        return Scalar::Int(if negative { -value } else { value });
    }
    let decimal = bare.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    match bare.parse::<f64>() {
        Ok(value) if decimal => Scalar::Float(if negative { -value } else { value }),
        _ => Scalar::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, usize) {
        match Node::parse(text).and_then(|node| node.check_keys()) {
            Err(Error::Text { at, .. }) => (at.line, at.column),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn lines_are_those_that_the_parser_counts() {
        assert_eq!(lines("a\nb\r\nc\rd\r"), ["a", "b", "c", "d"]);
        assert_eq!(lines("a\r\r\nb"), ["a", "", "b"]);
        assert_eq!(lines(""), [""]);
        for text in ["[.\r0.\r#", "a: 1\rb: [\r", "a: 1\r\nb: ]"] {
            let error = Node::parse(text).unwrap_err();
            let Error::Text { at, .. } = &error else { panic!("{error}") };
            assert!(at.line <= lines(text).len() + 1, "{text:?}: {error}");
        }
    }

    #[test]
    fn nodes_know_their_places() {
        let node = Node::parse("a: 1\nb:\n  - x\n  - 'y'\n").unwrap();
        let list = node.get("b").unwrap().list("b").unwrap();
        assert_eq!((list[1].at.line, list[1].at.column), (4, 5));
        assert_eq!(list[0].data, Data::Plain("x".into()));
        assert_eq!(list[1].data, Data::Text("y".into()));
        let error = node.get("a").unwrap().list("`a`").unwrap_err();
        assert_eq!(error.to_string(), "line 1, column 4: expected `a`: a list such as [a, b], found `1`");
    }

    #[test]
    fn scalars_have_the_types_that_python_gives_them() {
        let cases = [
            ("12", Scalar::Int(12)),
            ("-7", Scalar::Int(-7)),
            ("0x1f", Scalar::Int(31)),
            ("1_000", Scalar::Int(1000)),
            ("0.5", Scalar::Float(0.5)),
            ("-.5", Scalar::Float(-0.5)),
            ("1e3", Scalar::Float(1000.0)),
            (".inf", Scalar::Float(f64::INFINITY)),
            ("yes", Scalar::Bool(true)),
            ("False", Scalar::Bool(false)),
            ("~", Scalar::Null),
            ("R", Scalar::Text("R".into())),
            ("1 .. 10", Scalar::Text("1 .. 10".into())),
            ("infinity", Scalar::Text("infinity".into())),
            ("1.2.3", Scalar::Text("1.2.3".into())),
        ];
        for (text, value) in cases {
            assert_eq!(resolve(text), value, "{text}");
        }
    }

    #[test]
    fn aliases_are_copies() {
        let node = Node::parse("a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]\n").unwrap();
        assert_eq!(node.get("a"), node.get("c"));
        assert_eq!(node.get("d").unwrap().list("d").unwrap()[1], *node.get("a").unwrap());
        // Faults inside of a copy point at what is written.
        assert_eq!(node.get("c").unwrap().at, Position { line: 1, column: 4 });
        let merged = Node::parse("base: &base {p: 1, q: 2}\nmine:\n  <<: *base\n  q: 3\n").unwrap();
        let mine = merged.get("mine").unwrap();
        let keys: Vec<_> = mine.map("mine").unwrap().iter().filter_map(|(key, _)| key.text_of()).collect();
        assert_eq!(keys, ["p", "q"]);
        assert_eq!(mine.get("q").unwrap().data, Data::Plain("3".into()));
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut nodes = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        let mut levels = "a0: &a0 [1]\n".to_owned();
        for i in 1..70 {
            let copies = vec![format!("*a{}", i - 1); 10].join(", ");
            nodes += &format!("a{i}: &a{i} [{copies}]\n");
            levels += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
        }
        assert_eq!(fault(&nodes).0, 7);
        assert_eq!(fault(&levels).0, 64);
    }

    #[test]
    fn faults_are_placed() {
        assert_eq!(fault("a: 1\na: 2\n"), (2, 1));
        assert_eq!(fault("a: &x [1, *x]\n"), (1, 11));
        assert_eq!(fault("a: {<<: 1}\n"), (1, 9));
        assert_eq!(fault("a: *x\n").0, 1);
        assert_eq!(fault("a: [1, 2\nb: 3\n").0, 2);
        assert_eq!(fault(&"[".repeat(100)), (1, 65));
        assert_eq!(fault("[1, 2]: 3\n").0, 1);
    }
}
