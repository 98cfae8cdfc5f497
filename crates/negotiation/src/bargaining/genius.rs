//! Reads the XML of GENIUS: domains (issues and values) and utility spaces (evaluations, weights, reservation value and
//! discount factor). Values are discrete, or whole numbers with a linear evaluator. Refused: real-valued issues,
//! evaluators of other kinds, and everything with a document type, so that nothing can be expanded.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::scenario::{Issue, Profile, Scenario, worth_of};
use crate::{Error, Position, Result};

/// Values of one integer issue.
const MAX_VALUES: i64 = 1 << 16;
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: usize = 1 << 20;

/// One file: issues, and a profile if it has weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiled {
    /// The issues, by index.
    pub issues: Vec<Issue>,
    /// Where each issue begins.
    pub places: Vec<Position>,
    /// The profile of a utility space; `None` for a domain.
    pub profile: Option<Profile>,
}

/// An issue as it is read.
struct RawIssue {
    at: Position,
    index: i64,
    name: String,
    values: Vec<String>,
    evaluations: Vec<Option<f64>>,
    /// Slope and offset of a linear evaluator.
    linear: Option<(f64, f64)>,
    is_integer: bool,
}

#[derive(Default)]
struct Raw {
    issues: Vec<RawIssue>,
    weights: Vec<(i64, f64, Position)>,
    reservation: Option<f64>,
    discount: Option<f64>,
    /// Whether the innermost open element that counts is an issue.
    in_issue: bool,
}

impl Scenario {
    /// Joins files of GENIUS: domains, which only say what there is, and at least one utility space, each under the name
    /// that is given with it.
    ///
    /// # Errors
    /// [`Error::Text`] with line and column in the file at fault; [`Error::Invalid`] where files speak of different
    /// issues, or none has a profile.
    pub fn from_genius(name: &str, files: &[(&str, &str)]) -> Result<Self> {
        let mut issues: Option<(Vec<Issue>, &str)> = None;
        let mut profiles: Vec<Profile> = Vec::new();
        for &(file, text) in files {
            let read = read_genius(text)?;
            match &issues {
                Some((known, from)) if *known != read.issues => {
                    return Err(other_issues((file, &read), (from, known)));
                }
                Some(_) => {}
                None => issues = Some((read.issues, file)),
            }
            profiles.extend(read.profile.map(|profile| Profile { name: file.to_owned(), ..profile }));
        }
        match issues {
            Some((issues, _)) if !profiles.is_empty() => Ok(Self { name: name.to_owned(), issues, profiles }),
            _ => Err(Error::invalid("no file has weights: give the utility space of each party")),
        }
    }
}

/// The first issue of a file that is not as in the files before.
fn other_issues((file, read): (&str, &Profiled), (from, known): (&str, &[Issue])) -> Error {
    let describe = |issue: &Issue| format!("`{}` with {}", issue.name, issue.values.join(", "));
    let first = read.issues.iter().zip(known).position(|(own, other)| own != other);
    let at = first.unwrap_or(read.issues.len().min(known.len()));
    let wanted = known.get(at).map_or("no more issues".to_owned(), describe);
    let message = match read.issues.get(at).zip(read.places.get(at)) {
        Some((found, place)) => {
            format!("{place}: expected {wanted}, as in `{from}`, found {}", describe(found))
        }
        None => format!("expected {wanted} after the other issues, as in `{from}`"),
    };
    Error::invalid(format!("`{file}`: {message}").replace(char::is_control, " "))
}

/// Reads one file.
///
/// # Errors
/// [`Error::Text`] with line, column and what was expected.
pub fn read_genius(text: &str) -> Result<Profiled> {
    let mut reader = Reader::from_str(text);
    let places = Places::new(text);
    let mut raw = Raw::default();
    let mut open: Vec<String> = Vec::new();
    let mut n_elements = 0;
    loop {
        let at = places.position(reader.buffer_position() as usize);
        let event = reader.read_event().map_err(|error| {
            let at = places.position(reader.error_position() as usize);
            Error::text(at, format!("this is not XML: {error}").replace('\n', " "))
        })?;
        let (element, is_empty) = match &event {
            Event::Start(element) => (element, false),
            Event::Empty(element) => (element, true),
            Event::End(_) => {
                if open.pop().as_deref() == Some("issue") {
                    raw.in_issue = false;
                }
                continue;
            }
            Event::DocType(_) => {
                return Err(Error::text(at, "expected no document type: it is not read here"));
            }
            Event::Eof => break,
            _ => continue,
        };
        n_elements += 1;
        if n_elements > MAX_ELEMENTS || open.len() == MAX_DEPTH {
            let message =
                format!("expected at most {MAX_ELEMENTS} elements and {MAX_DEPTH} levels of nesting");
            return Err(Error::text(at, message));
        }
        let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
        if open.is_empty() && !matches!(name.as_str(), "utility_space" | "negotiation_template") {
            return Err(Error::text(
                at,
                format!("expected <utility_space> or <negotiation_template>, found <{name}>"),
            ));
        }
        raw.take(&Element { name: &name, element, at })?;
        if !is_empty {
            open.push(name);
        } else if name == "issue" {
            raw.in_issue = false;
        }
    }
    if let Some(name) = open.last() {
        return Err(Error::text(
            places.position(text.len()),
            format!("expected </{name}>, found the end of the file"),
        ));
    }
    raw.finish(places.position(text.len()))
}

/// An opening tag.
struct Element<'a> {
    name: &'a str,
    element: &'a BytesStart<'a>,
    at: Position,
}

impl Element<'_> {
    fn attribute(&self, key: &str) -> Result<Option<String>> {
        for attribute in self.element.attributes() {
            let fault = |error: &dyn std::fmt::Display| {
                Error::text(
                    self.at,
                    format!("expected attributes as in name=\"value\": {error}").replace('\n', " "),
                )
            };
            let attribute = attribute.map_err(|error| fault(&error))?;
            if attribute.key.as_ref() == key.as_bytes() {
                return attribute
                    .unescape_value()
                    .map(|value| Some(value.into_owned()))
                    .map_err(|error| fault(&error));
            }
        }
        Ok(None)
    }

    fn need(&self, key: &str) -> Result<String> {
        let missing = || Error::text(self.at, format!("expected an attribute `{key}` in <{}>", self.name));
        self.attribute(key)?.ok_or_else(missing)
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        self.parsed(key, &self.need(key)?)
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str, text: &str) -> Result<T> {
        let wrong = || {
            Error::text(self.at, format!("expected a number for `{key}` in <{}>, found `{text}`", self.name))
        };
        text.trim().parse().map_err(|_| wrong())
    }

    fn finite(&self, key: &str) -> Result<f64> {
        let value: f64 = self.number(key)?;
        let wrong = || Error::text(self.at, format!("expected a finite number for `{key}`, found {value}"));
        if value.is_finite() { Ok(value) } else { Err(wrong()) }
    }
}

impl Raw {
    fn take(&mut self, element: &Element<'_>) -> Result<()> {
        match element.name {
            "issue" => return self.take_issue(element),
            "weight" => self.weights.push((element.number("index")?, element.finite("value")?, element.at)),
            "reservation" => self.reservation = Some(element.finite("value")?),
            "discount_factor" => {
                let value = element.finite("value")?;
                if !(0.0..=1.0).contains(&value) {
                    return Err(Error::text(
                        element.at,
                        format!("expected a discount factor from 0 to 1, found {value}"),
                    ));
                }
                self.discount = Some(value);
            }
            _ => {}
        }
        let Some(issue) = self.issues.last_mut().filter(|_| self.in_issue) else { return Ok(()) };
        match element.name {
            "item" if !issue.is_integer => {
                let value = element.need("value")?;
                if issue.values.contains(&value) {
                    return Err(Error::text(
                        element.at,
                        format!("expected each value once, found `{value}` again"),
                    ));
                }
                issue.values.push(value);
                let evaluation = element.attribute("evaluation")?.filter(|text| !text.trim().is_empty());
                let evaluation = evaluation.map(|_| element.finite("evaluation")).transpose()?;
                issue.evaluations.push(evaluation);
            }
            "range" if issue.is_integer => issue.set_range(element)?,
            "evaluator" => {
                let kind = element.attribute("ftype")?.unwrap_or_else(|| "linear".into());
                if kind != "linear" {
                    return Err(Error::text(
                        element.at,
                        format!("expected a linear evaluator, found `{kind}`"),
                    ));
                }
                let slope =
                    element.attribute("slope")?.map_or(Ok(0.0), |text| element.parsed("slope", &text))?;
                let offset = element.attribute("offset")?.or(element.attribute("parameter0")?);
                let offset = offset.map_or(Ok(0.0), |text| element.parsed("offset", &text))?;
                issue.linear = Some((slope, offset));
            }
            _ => {}
        }
        Ok(())
    }

    fn take_issue(&mut self, element: &Element<'_>) -> Result<()> {
        let kind = match element.attribute("type")? {
            Some(kind) => kind,
            None => element.attribute("vtype")?.unwrap_or_else(|| "discrete".into()),
        };
        let is_integer = match kind.as_str() {
            "discrete" => false,
            "integer" => true,
            other => {
                let message = format!("expected a discrete or integer issue, found `{other}`");
                return Err(Error::text(element.at, message));
            }
        };
        let mut issue = RawIssue {
            at: element.at,
            index: element.number("index")?,
            name: element.need("name")?,
            values: Vec::new(),
            evaluations: Vec::new(),
            linear: None,
            is_integer,
        };
        if is_integer && element.attribute("lowerbound")?.is_some() {
            issue.set_range(element)?;
        }
        if self.issues.iter().any(|other| other.index == issue.index) {
            return Err(Error::text(
                element.at,
                format!("expected each index once, found {} again", issue.index),
            ));
        }
        self.issues.push(issue);
        self.in_issue = true;
        Ok(())
    }

    fn finish(mut self, end: Position) -> Result<Profiled> {
        if self.issues.is_empty() {
            return Err(Error::text(end, "expected at least one <issue>"));
        }
        self.issues.sort_by_key(|issue| issue.index);
        let mut worth = Vec::with_capacity(self.issues.len());
        for issue in &self.issues {
            if issue.values.is_empty() {
                return Err(Error::text(issue.at, format!("expected values for issue `{}`", issue.name)));
            }
            if !self.weights.is_empty() {
                worth.push(self.worth(issue)?);
            }
        }
        if let Some((index, _, at)) =
            self.weights.iter().find(|w| self.issues.iter().all(|issue| issue.index != w.0))
        {
            return Err(Error::text(*at, format!("expected the index of an issue, found {index}")));
        }
        let profile = (!self.weights.is_empty()).then(|| Profile {
            name: String::new(),
            worth,
            reservation: self.reservation.unwrap_or(0.0),
            discount: self.discount.unwrap_or(1.0),
        });
        let places = self.issues.iter().map(|issue| issue.at).collect();
        let issues =
            self.issues.into_iter().map(|issue| Issue { name: issue.name, values: issue.values }).collect();
        Ok(Profiled { issues, places, profile })
    }

    fn worth(&self, issue: &RawIssue) -> Result<Vec<f64>> {
        let mut own = self.weights.iter().filter(|weight| weight.0 == issue.index);
        let Some(&(_, weight, _)) = own.next() else {
            return Err(Error::text(
                issue.at,
                format!("expected a <weight> with index {} for it", issue.index),
            ));
        };
        if let Some((.., at)) = own.next() {
            return Err(Error::text(
                *at,
                format!("expected one weight for each issue, found {} again", issue.index),
            ));
        }
        if issue.is_integer {
            let Some((slope, offset)) = issue.linear else {
                return Err(Error::text(
                    issue.at,
                    format!("expected an <evaluator> for issue `{}`", issue.name),
                ));
            };
            // An evaluator gives numbers from 0 to 1; they are not divided by anything.
            let value = |text: &String| {
                text.parse().map_or(0.0, |x: f64| weight * (offset + slope * x).clamp(0.0, 1.0))
            };
            return Ok(issue.values.iter().map(value).collect());
        }
        let evaluations = issue.evaluations.iter().zip(&issue.values).map(|(evaluation, value)| {
            let missing =
                || Error::text(issue.at, format!("expected an evaluation for `{value}` of `{}`", issue.name));
            evaluation.ok_or_else(missing)
        });
        Ok(worth_of(weight, &evaluations.collect::<Result<Vec<_>>>()?))
    }
}

impl RawIssue {
    fn set_range(&mut self, element: &Element<'_>) -> Result<()> {
        let (low, high): (i64, i64) = (element.number("lowerbound")?, element.number("upperbound")?);
        if high < low || high.checked_sub(low).is_none_or(|n| n >= MAX_VALUES) {
            let message = format!(
                "expected bounds from low to high with at most {MAX_VALUES} values, found {low} to {high}"
            );
            return Err(Error::text(element.at, message));
        }
        self.values = (low..=high).map(|value| value.to_string()).collect();
        Ok(())
    }
}

/// Where bytes stand in a text.
struct Places<'a> {
    text: &'a str,
    /// Where lines begin.
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn position(&self, byte: usize) -> Position {
        let byte = byte.min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= byte).max(1);
        let before = self.text.as_bytes()[self.starts[line - 1]..byte].iter();
        // Characters begin with any byte but 10xxxxxx.
        Position { line, column: before.filter(|&&b| b & 0xC0 != 0x80).count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "<utility_space type=\"any\">
  <objective index=\"0\" etype=\"objective\" type=\"objective\" name=\"root\">
    <issue index=\"2\" type=\"integer\" etype=\"integer\" name=\"days\">
      <range lowerbound=\"1\" upperbound=\"3\"/>
      <evaluator ftype=\"linear\" slope=\"0.25\" offset=\"0.1\"/>
    </issue>
    <issue index=\"1\" type=\"discrete\" etype=\"discrete\" name=\"color &amp; tone\">
      <item index=\"1\" value=\"red\" evaluation=\"2\"/>
      <item index=\"2\" value=\"blue\" evaluation=\"4\"/>
    </issue>
    <weight index=\"1\" value=\"0.6\"></weight>
    <weight index=\"2\" value=\"0.4\"></weight>
  </objective>
  <discount_factor value=\"0.9\"/>
  <reservation value=\"0.3\"/>
</utility_space>
";

    #[test]
    fn a_utility_space_is_read_by_the_index_of_its_issues() {
        let read = read_genius(SMALL).unwrap();
        assert_eq!(read.issues[0].name, "color & tone");
        assert_eq!(read.issues[1].values, ["1", "2", "3"]);
        let profile = read.profile.unwrap();
        assert_eq!(profile.worth[0], [0.3, 0.6]);
        assert!((profile.worth[1][2] - 0.4 * 0.85).abs() < 1e-12);
        assert_eq!((profile.reservation, profile.discount), (0.3, 0.9));
    }

    #[test]
    fn faults_are_placed() {
        let cases = [
            ("<utility_space>", 1, "</utility_space>"),
            ("<html></html>", 1, "<utility_space>"),
            ("<utility_space>\n</objective>", 2, "not XML"),
            ("<utility_space></utility_space>", 1, "<issue>"),
            ("<!DOCTYPE x [<!ENTITY a \"b\">]><utility_space/>", 1, "document type"),
            (&SMALL.replace("\"integer\" etype", "\"real\" etype"), 3, "discrete or integer"),
            (&SMALL.replace("upperbound=\"3\"", "upperbound=\"9999999999\""), 4, "bounds"),
            (&SMALL.replace("evaluation=\"4\"", "evaluation=\"four\""), 9, "number"),
            (&SMALL.replace("evaluation=\"4\"", ""), 7, "evaluation for `blue`"),
            (&SMALL.replace("value=\"blue\"", "value=\"red\""), 9, "again"),
            (&SMALL.replace("<weight index=\"2\"", "<weight index=\"3\""), 3, "index 2"),
            (&SMALL.replace("index=\"2\" type", "index=\"1\" type"), 7, "again"),
            (&SMALL.replace("0.9", "1.9"), 14, "from 0 to 1"),
            (&SMALL.replace("&amp;", "&tone;"), 7, "attributes"),
        ];
        for (text, line, part) in cases {
            match read_genius(text) {
                Err(Error::Text { at, message }) => {
                    assert_eq!(at.line, line, "{message}\n{text}");
                    assert!(message.contains(part) && !message.contains('\n'), "{message}");
                }
                other => panic!("{other:?}: {text}"),
            }
        }
    }
}
