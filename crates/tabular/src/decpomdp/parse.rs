//! Reading `.dpomdp` files.
//!
//! The format of the MADP toolbox (Spaan and Oliehoek 2008), an extension of Cassandra's POMDP format. A header with
//! `agents`, `discount`, `values`, `states`, `start`, `actions`, `observations` in this order, then lines `T:`, `O:` and `R:` in any
//! order; a later line overrides an earlier one. A joint action or observation is `*`, one joint number, or one name,
//! number or `*` an agent. Before a number at the end of a line stands a colon; vectors, matrices, `uniform` and
//! `identity` begin on the next line. `#` starts a comment, blank lines are skipped.
//!
//! `values: cost` is turned into rewards by a change of sign. Entries that no line gives are 0.

use super::{DecPomdp, RewardRow, Row};
use crate::{Error, Result};

/// Most entries that a table may come to hold, and most assignments that the lines of a file may make. A short text
/// with wildcards could ask for any amount of both.
const MAX_ENTRIES: usize = 1 << 24;
const MAX_ASSIGNMENTS: u64 = 1 << 28;

/// A word of the text with its place.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    line: usize,
    column: usize,
    text: &'a str,
}

impl Word<'_> {
    fn error(&self, message: impl Into<String>) -> Error {
        Error::parse(self.line, self.column, message)
    }

    fn number(&self) -> Result<f64> {
        let number = self.text.parse::<f64>().ok().filter(|x| x.is_finite());
        number.ok_or_else(|| self.error(format!("expected a number, found `{}`", self.text)))
    }

    /// A whole number, if it is one at all.
    fn count(&self) -> Option<usize> {
        self.text.parse().ok()
    }
}

/// A line without comment: words, with `:` as words of their own.
#[derive(Debug)]
struct Line<'a> {
    number: usize,
    /// Column after the last character.
    end: usize,
    words: Vec<Word<'a>>,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default();
        let mut words = Vec::new();
        let mut start: Option<(usize, usize)> = None;
        let mut end = 1;
        for (column, (at, c)) in content.char_indices().enumerate() {
            end = column + 2;
            if c.is_whitespace() || c == ':' {
                if let Some((from_column, from)) = start.take() {
                    words.push(Word { line: i + 1, column: from_column, text: &content[from..at] });
                }
                if c == ':' {
                    words.push(Word { line: i + 1, column: column + 1, text: ":" });
                }
            } else if start.is_none() {
                start = Some((column + 1, at));
            }
        }
        if let Some((column, from)) = start {
            words.push(Word { line: i + 1, column, text: &content[from..] });
        }
        if !words.is_empty() {
            out.push(Line { number: i + 1, end, words });
        }
    }
    out
}

/// Reads a problem. Rows are not checked to be distributions, see [`DecPomdp::check`].
///
/// # Errors
/// Line and column where the text stops making sense, and what was expected there.
pub fn parse(text: &str) -> Result<DecPomdp> {
    let lines = lines(text);
    let mut reader = Reader { lines: &lines, at: 0, last_line: text.lines().count() + 1 };
    let mut problem = reader.header()?;
    let mut budget = Budget { entries: 0, assignments: 0 };
    while let Some(line) = reader.next() {
        reader.entry(line, &mut problem, &mut budget)?;
    }
    if problem.cost {
        for row in &mut problem.reward {
            match row {
                RewardRow::Constant(r) => *r = 0.0 - *r,
                RewardRow::Full(r) => r.iter_mut().for_each(|r| *r = 0.0 - *r),
            }
        }
    }
    Ok(problem)
}

struct Budget {
    entries: usize,
    assignments: u64,
}

impl Budget {
    fn assign(&mut self, word: &Word<'_>, n: usize) -> Result<()> {
        self.assignments = self.assignments.saturating_add(n as u64);
        match self.assignments <= MAX_ASSIGNMENTS {
            true => Ok(()),
            false => Err(word.error("the lines up to here set too many entries; use fewer wildcards")),
        }
    }

    fn grow(&mut self, word: &Word<'_>, n: usize) -> Result<()> {
        self.entries = self.entries.saturating_add(n);
        match self.entries <= MAX_ENTRIES {
            true => Ok(()),
            false => Err(word.error(format!("the tables grow beyond {MAX_ENTRIES} entries here"))),
        }
    }
}

struct Reader<'a, 't> {
    lines: &'a [Line<'t>],
    at: usize,
    last_line: usize,
}

impl<'a, 't> Reader<'a, 't> {
    fn next(&mut self) -> Option<&'a Line<'t>> {
        let line = self.lines.get(self.at);
        self.at += 1;
        line
    }

    fn expect(&mut self, what: &str) -> Result<&'a Line<'t>> {
        let end = self.last_line;
        self.next().ok_or_else(|| Error::parse(end, 1, format!("the text ends; expected {what}")))
    }

    /// The words after `key` and its colon.
    fn key(&mut self, key: &str) -> Result<(&'a Line<'t>, &'a [Word<'t>])> {
        let line = self.expect(&format!("`{key}:`"))?;
        match line.words.as_slice() {
            [first, colon, rest @ ..] if first.text == key && colon.text == ":" => Ok((line, rest)),
            [first, ..] => Err(first.error(format!("expected `{key}:`, found `{}`", first.text))),
            [] => Err(Error::parse(line.number, 1, format!("expected `{key}:`"))),
        }
    }

    fn header(&mut self) -> Result<DecPomdp> {
        let (line, words) = self.key("agents")?;
        let n_agents = match words {
            [one] if one.count().is_some() => one.count().unwrap_or(0),
            names => names.len(),
        };
        if n_agents == 0 || n_agents > 16 {
            return Err(Error::parse(line.number, line.words[0].column, "expected 1 to 16 agents"));
        }
        let (line, words) = self.key("discount")?;
        let [word] = words else {
            return Err(Error::parse(line.number, line.end, "expected one number after `discount:`"));
        };
        let discount = word.number()?;
        if !(0.0..=1.0).contains(&discount) {
            return Err(word.error("expected a discount from 0 to 1"));
        }
        let (line, words) = self.key("values")?;
        let cost = match words {
            [word] if word.text == "reward" => false,
            [word] if word.text == "cost" => true,
            _ => {
                return Err(Error::parse(
                    line.number,
                    line.end,
                    "expected `reward` or `cost` after `values:`",
                ));
            }
        };
        let (line, words) = self.key("states")?;
        let states = names(line, words, "state")?;
        let start = self.start(&states)?;
        let actions = self.of_agents("actions", n_agents)?;
        let observations = self.of_agents("observations", n_agents)?;
        let product = |lists: &[Vec<String>]| lists.iter().try_fold(1_usize, |n, l| n.checked_mul(l.len()));
        let (joint, seen) = (product(&actions), product(&observations));
        let rows = joint.and_then(|j| j.checked_mul(states.len()));
        let (Some(rows), Some(_)) = (rows.filter(|&r| r <= 1 << 20), seen.filter(|&o| o <= 1 << 20)) else {
            return Err(Error::parse(line.number, 1, "too many states, joint actions or joint observations"));
        };
        Ok(DecPomdp {
            discount,
            cost,
            states,
            actions,
            observations,
            start,
            transition: vec![Row::new(); rows],
            observation: vec![Row::new(); rows],
            reward: vec![RewardRow::Constant(0.0); rows],
        })
    }

    fn start(&mut self, states: &[String]) -> Result<Vec<f64>> {
        let n = states.len();
        let line = self.expect("`start:`, `start include:` or `start exclude:`")?;
        let only = |chosen: &[bool]| -> Vec<f64> {
            let count = chosen.iter().filter(|&&c| c).count();
            chosen.iter().map(|&c| if c { 1.0 / count as f64 } else { 0.0 }).collect()
        };
        match line.words.as_slice() {
            [s, how, c, listed @ ..]
                if s.text == "start" && ["include", "exclude"].contains(&how.text) && c.text == ":" =>
            {
                let include = how.text == "include";
                let mut chosen = vec![!include; n];
                for word in listed {
                    chosen[one_of(word, states, "state")?] = include;
                }
                match chosen.contains(&true) {
                    true => Ok(only(&chosen)),
                    false => Err(Error::parse(line.number, line.end, "no state is left to start in")),
                }
            }
            [s, c, rest @ ..] if s.text == "start" && c.text == ":" => match rest {
                [] => {
                    let line = self.expect("`uniform` or the start probabilities")?;
                    match line.words.as_slice() {
                        [word] if word.text == "uniform" => Ok(only(&vec![true; n])),
                        _ => self.numbers(line, n),
                    }
                }
                [word] if word.text == "uniform" => Ok(only(&vec![true; n])),
                [word] if n > 1 || word.count() == Some(0) || states[0] == word.text => {
                    let mut start = vec![0.0; n];
                    start[one_of(word, states, "state")?] = 1.0;
                    Ok(start)
                }
                words => {
                    let line = Line { number: line.number, end: line.end, words: words.to_vec() };
                    self.numbers(&line, n)
                }
            },
            words => Err(words[0].error(format!("expected `start:`, found `{}`", words[0].text))),
        }
    }

    fn of_agents(&mut self, key: &str, n_agents: usize) -> Result<Vec<Vec<String>>> {
        let (_, rest) = self.key(key)?;
        if let Some(word) = rest.first() {
            return Err(
                word.error(format!("expected the {key} of each agent on a line of its own, after this one"))
            );
        }
        let what = key.trim_end_matches('s');
        (0..n_agents)
            .map(|agent| {
                let line = self.expect(&format!("the {key} of agent {agent}"))?;
                names(line, &line.words, what)
            })
            .collect()
    }

    /// `n` numbers from this line on, over as many lines as it takes.
    fn numbers(&mut self, first: &Line<'_>, n: usize) -> Result<Vec<f64>> {
        let mut out = Vec::new();
        let mut take = |words: &[Word<'_>]| -> Result<()> {
            for word in words {
                if out.len() == n {
                    return Err(word.error(format!("expected {n} numbers, found more")));
                }
                out.push(word.number()?);
            }
            Ok(())
        };
        take(&first.words)?;
        let mut have = first.words.len();
        while have < n {
            let line = self.expect(&format!("{n} numbers, {have} of them given"))?;
            take(&line.words)?;
            have += line.words.len();
        }
        Ok(out)
    }

    /// One line `T:`, `O:` or `R:` with what follows it.
    fn entry(&mut self, line: &Line<'_>, problem: &mut DecPomdp, budget: &mut Budget) -> Result<()> {
        let (kind, fields) = match line.words.as_slice() {
            [kind, colon, rest @ ..] if colon.text == ":" && ["T", "O", "R"].contains(&kind.text) => {
                (kind, rest.split(|w| w.text == ":").collect::<Vec<_>>())
            }
            words => {
                return Err(words[0].error(format!("expected `T:`, `O:` or `R:`, found `{}`", words[0].text)));
            }
        };
        let fields: Vec<&[Word<'_>]> = match fields.split_last() {
            Some((last, rest)) if last.is_empty() && !rest.is_empty() => rest.to_vec(),
            _ => fields,
        };
        let joint = joint_of(line, fields[0], &problem.actions, "action")?;
        let states: Vec<Vec<usize>> = fields[1..]
            .iter()
            .take(if kind.text == "T" { 2 } else { 1 })
            .map(|field| states_of(line, field, &problem.states))
            .collect::<Result<_>>()?;
        let mut target = Target { problem, budget, kind, joint };
        match kind.text {
            "T" => self.probabilities(line, &fields, &states, &mut target),
            "O" => self.probabilities(line, &fields, &states, &mut target),
            _ => self.rewards(line, &fields, &states, &mut target),
        }
    }

    /// `T: a [: s [: s' : p]]` and `O: a [: s' [: o : p]]`.
    fn probabilities(
        &mut self,
        line: &Line<'_>,
        fields: &[&[Word<'_>]],
        states: &[Vec<usize>],
        target: &mut Target<'_>,
    ) -> Result<()> {
        let n = target.problem.n_states();
        let observing = target.kind.text == "O";
        let width = if observing { target.problem.n_joint_observations() } else { n };
        let all: Vec<usize> = (0..n).collect();
        match fields.len() {
            1 | 2 => {
                let rows = states.first().unwrap_or(&all);
                let matrix = fields.len() == 1;
                let next = self.expect("`uniform`, `identity` or numbers")?;
                match next.words.as_slice() {
                    [word] if word.text == "uniform" => {
                        let row: Row = (0..width as u32).map(|c| (c, 1.0 / width as f64)).collect();
                        rows.iter().try_for_each(|&s| target.set_row(observing, s, &row))
                    }
                    [word] if word.text == "identity" && matrix && width == n => {
                        rows.iter().try_for_each(|&s| target.set_row(observing, s, &vec![(s as u32, 1.0)]))
                    }
                    _ => {
                        let count = if matrix { n.saturating_mul(width) } else { width };
                        let numbers = self.numbers(next, count)?;
                        for (i, &s) in rows.iter().enumerate() {
                            let from = if matrix { i * width } else { 0 };
                            let row = numbers[from..from + width].iter().enumerate();
                            let row: Row =
                                row.filter(|(_, p)| **p != 0.0).map(|(c, &p)| (c as u32, p)).collect();
                            target.set_row(observing, s, &row)?;
                        }
                        Ok(())
                    }
                }
            }
            3 | 4 => {
                let columns = match observing {
                    true => joint_of(line, fields[2], &target.problem.observations, "observation")?,
                    false => states[1].clone(),
                };
                let p = self.last_number(line, fields.get(3).copied())?;
                states[0].iter().try_for_each(|&s| target.set_entries(observing, s, &columns, p))
            }
            _ => Err(Error::parse(line.number, line.end, "too many fields for a probability")),
        }
    }

    /// The number after the last colon, on this line or alone on the next one.
    fn last_number(&mut self, line: &Line<'_>, field: Option<&[Word<'_>]>) -> Result<f64> {
        match field {
            Some([word]) => word.number(),
            Some([_, extra, ..]) => Err(extra.error(format!("unexpected `{}` after the number", extra.text))),
            _ => match self.next().map(|l| l.words.as_slice()) {
                Some([word]) => word.number(),
                _ => Err(Error::parse(line.number, line.end, "expected a colon and a number")),
            },
        }
    }

    /// `R: a : s : s' : o : r`, `R: a : s : s'` with a vector, `R: a : s` with a matrix.
    fn rewards(
        &mut self,
        line: &Line<'_>,
        fields: &[&[Word<'_>]],
        states: &[Vec<usize>],
        target: &mut Target<'_>,
    ) -> Result<()> {
        let n = target.problem.n_states();
        let width = target.problem.n_joint_observations();
        let next = |field: &[Word<'_>], problem: &DecPomdp| states_of(line, field, &problem.states);
        match fields {
            [_, _] => {
                let first = self.expect("a matrix of rewards")?;
                let table = self.numbers(first, n.saturating_mul(width))?;
                states[0].iter().try_for_each(|&s| {
                    target.set_reward(
                        s,
                        &(0..n).collect::<Vec<_>>(),
                        &(0..width).collect::<Vec<_>>(),
                        &|next, o| table[next * width + o],
                    )
                })
            }
            [_, _, nexts] => {
                let nexts = next(nexts, target.problem)?;
                let first = self.expect("a vector of rewards")?;
                let vector = self.numbers(first, width)?;
                states[0].iter().try_for_each(|&s| {
                    target.set_reward(s, &nexts, &(0..width).collect::<Vec<_>>(), &|_, o| vector[o])
                })
            }
            [_, _, nexts, seen, rest @ ..] if rest.len() <= 1 => {
                let nexts = next(nexts, target.problem)?;
                let seen = joint_of(line, seen, &target.problem.observations, "observation")?;
                let r = self.last_number(line, rest.first().copied())?;
                let everywhere = nexts.len() == n && seen.len() == width;
                states[0].iter().try_for_each(|&s| match everywhere {
                    true => target.set_constant_reward(s, r),
                    false => target.set_reward(s, &nexts, &seen, &|_, _| r),
                })
            }
            _ => Err(Error::parse(
                line.number,
                line.end,
                "expected `R: action : state : next state : observation : r`",
            )),
        }
    }
}

/// Where the entries of a line go.
struct Target<'p> {
    problem: &'p mut DecPomdp,
    budget: &'p mut Budget,
    kind: &'p Word<'p>,
    joint: Vec<usize>,
}

impl Target<'_> {
    fn set_row(&mut self, observing: bool, state: usize, row: &Row) -> Result<()> {
        let n = self.problem.n_states();
        self.budget.assign(self.kind, row.len().max(1) * self.joint.len())?;
        for &joint in &self.joint {
            let table = if observing { &mut self.problem.observation } else { &mut self.problem.transition };
            let old = &mut table[joint * n + state];
            self.budget.grow(self.kind, row.len().saturating_sub(old.len()))?;
            old.clone_from(row);
        }
        Ok(())
    }

    fn set_entries(&mut self, observing: bool, state: usize, columns: &[usize], p: f64) -> Result<()> {
        let n = self.problem.n_states();
        self.budget.assign(self.kind, columns.len() * self.joint.len())?;
        for &joint in &self.joint {
            let table = if observing { &mut self.problem.observation } else { &mut self.problem.transition };
            let row = &mut table[joint * n + state];
            for &column in columns {
                match row.binary_search_by_key(&(column as u32), |e| e.0) {
                    Ok(at) if p == 0.0 => {
                        row.remove(at);
                    }
                    Ok(at) => row[at].1 = p,
                    Err(_) if p == 0.0 => {}
                    Err(at) => {
                        self.budget.grow(self.kind, 1)?;
                        row.insert(at, (column as u32, p));
                    }
                }
            }
        }
        Ok(())
    }

    fn set_constant_reward(&mut self, state: usize, r: f64) -> Result<()> {
        self.budget.assign(self.kind, self.joint.len())?;
        let n = self.problem.n_states();
        for &joint in &self.joint {
            self.problem.reward[joint * n + state] = RewardRow::Constant(r);
        }
        Ok(())
    }

    fn set_reward(
        &mut self,
        state: usize,
        nexts: &[usize],
        seen: &[usize],
        r: &dyn Fn(usize, usize) -> f64,
    ) -> Result<()> {
        let (n, width) = (self.problem.n_states(), self.problem.n_joint_observations());
        self.budget.assign(self.kind, nexts.len() * seen.len() * self.joint.len())?;
        for &joint in &self.joint {
            let row = &mut self.problem.reward[joint * n + state];
            if let RewardRow::Constant(old) = *row {
                self.budget.grow(self.kind, n * width)?;
                *row = RewardRow::Full(vec![old; n * width]);
            }
            if let RewardRow::Full(table) = row {
                for &next in nexts {
                    seen.iter().for_each(|&o| table[next * width + o] = r(next, o));
                }
            }
        }
        Ok(())
    }
}

/// Names of states, actions or observations, or numbers as names where only their count is given.
fn names(line: &Line<'_>, words: &[Word<'_>], what: &str) -> Result<Vec<String>> {
    match words {
        [] => {
            Err(Error::parse(line.number, line.end, format!("expected the number of {what}s or their names")))
        }
        [one] if one.text.starts_with(|c: char| c.is_ascii_digit()) => match one.count() {
            Some(n) if (1..=1 << 16).contains(&n) => Ok((0..n).map(|i| i.to_string()).collect()),
            _ => {
                Err(one.error(format!("expected a number of {what}s from 1 to 65536, found `{}`", one.text)))
            }
        },
        many => {
            let mut seen = std::collections::BTreeSet::new();
            for word in many {
                if !word.text.starts_with(|c: char| c.is_alphabetic()) {
                    return Err(word.error(format!("expected the name of a {what}, found `{}`", word.text)));
                }
                if !seen.insert(word.text) {
                    return Err(word.error(format!("the {what} `{}` was named before", word.text)));
                }
            }
            Ok(many.iter().map(|w| w.text.to_string()).collect())
        }
    }
}

/// The number that a name or a number stands for.
fn one_of(word: &Word<'_>, known: &[String], what: &str) -> Result<usize> {
    if let Some(i) = word.count() {
        return match i < known.len() {
            true => Ok(i),
            false => Err(word.error(format!("{what} {i} is not below {}", known.len()))),
        };
    }
    known.iter().position(|name| name == word.text).ok_or_else(|| {
        let hint = coact_core::nearest::hint(word.text, known.iter().map(String::as_str));
        word.error(format!("there is no {what} `{}`{hint}", word.text))
    })
}

fn states_of(line: &Line<'_>, field: &[Word<'_>], states: &[String]) -> Result<Vec<usize>> {
    match field {
        [word] if word.text == "*" => Ok((0..states.len()).collect()),
        [word] => Ok(vec![one_of(word, states, "state")?]),
        [] => Err(Error::parse(line.number, line.end, "expected a state or `*`")),
        [_, extra, ..] => Err(extra.error(format!("expected one state, found `{}` too", extra.text))),
    }
}

/// Joint numbers that a field stands for, ascending.
fn joint_of(line: &Line<'_>, field: &[Word<'_>], lists: &[Vec<String>], what: &str) -> Result<Vec<usize>> {
    let total: usize = lists.iter().map(Vec::len).product();
    match field {
        [] => Err(Error::parse(line.number, line.end, format!("expected a joint {what} or `*`"))),
        [word] if word.text == "*" => Ok((0..total).collect()),
        [word] if lists.len() > 1 => match word.count() {
            Some(i) if i < total => Ok(vec![i]),
            Some(i) => Err(word.error(format!("joint {what} {i} is not below {total}"))),
            None => {
                Err(word.error(format!("expected one {what} an agent, `*`, or the number of a joint {what}")))
            }
        },
        words if words.len() == lists.len() => {
            let mut joint = vec![0];
            for (word, list) in words.iter().zip(lists) {
                let own = match word.text {
                    "*" => (0..list.len()).collect(),
                    _ => vec![one_of(word, list, what)?],
                };
                joint = joint.iter().flat_map(|j| own.iter().map(move |o| j * list.len() + o)).collect();
            }
            Ok(joint)
        }
        words => Err(words[words.len() - 1].error(format!(
            "expected {} {what}s, one an agent, found {}",
            lists.len(),
            words.len()
        ))),
    }
}
