//! Grid worlds as text.
//!
//! Settings, one a line, then `map` and the rows of the map. `#` at the start of a setting line opens a comment.
//!
//! ```text
//! gamma 0.99        discount (0.9 if left out)
//! moves 4           4, 8 (diagonals too) or 9 (and stay)
//! step -1           reward of each step (0)
//! bump -1           reward of running into a wall or the border (the step's)
//! slip 0.2          probability of moving to one of the two sides instead, half each; 4 moves only (0)
//! wind 0 0 1 2 1    cells that each column blows upwards
//! letter G reward 1 end
//! letter C reward -100 sends S
//! letter A reward 10 leads a
//! map
//! S..G
//! .##.
//! CC..
//! ```
//!
//! On the map `#` is wall, `.` and `S` are floor; episodes start on an `S`, uniformly if there are several, in the
//! first cell if there is none. Every other letter is floor unless a line says more. `reward` replaces the step's
//! reward on entering the cell (with `leads`: on leaving it); `end` makes it terminal; `sends L` puts who enters it on
//! the cell `L` at once, so that it is no state; `leads L` makes every move from it go to `L`. `L` must be one cell.
//!
//! States are the cells that can be stood on, row by row, named `row,column` from 0. Actions are `up`, `down`, `left`,
//! `right`, then `up-left`, `up-right`, `down-left`, `down-right`, then `stay`.

use std::collections::BTreeMap;

use super::{Model, ModelBuilder};
use crate::{Error, Result};

const MOVES: [(&str, isize, isize); 9] = [
    ("up", -1, 0),
    ("down", 1, 0),
    ("left", 0, -1),
    ("right", 0, 1),
    ("up-left", -1, -1),
    ("up-right", -1, 1),
    ("down-left", 1, -1),
    ("down-right", 1, 1),
    ("stay", 0, 0),
];

/// Actions that a slip may turn each of the first four into.
const SIDES: [[usize; 2]; 4] = [[2, 3], [2, 3], [0, 1], [0, 1]];

/// Cells of the largest map.
const MAX_CELLS: usize = 1 << 20;

#[derive(Debug, Clone, Copy, Default)]
struct Letter {
    reward: Option<f64>,
    end: bool,
    sends: Option<char>,
    leads: Option<char>,
}

#[derive(Debug, Default)]
struct Grid {
    gamma: f64,
    moves: usize,
    step: f64,
    bump: Option<f64>,
    slip: f64,
    wind: Vec<usize>,
    letters: BTreeMap<char, Letter>,
    rows: Vec<Vec<char>>,
    /// First cell and number of cells of each letter.
    places: BTreeMap<char, ((usize, usize), usize)>,
    /// Line of the first row of the map.
    first_line: usize,
}

/// Reads a grid.
///
/// # Errors
/// Line and column where the text stops making sense.
pub fn read_grid(text: &str) -> Result<Model> {
    let mut grid = Grid { gamma: 0.9, moves: 4, ..Grid::default() };
    let mut lines = text.lines().enumerate();
    let mut mapped = false;
    for (i, line) in lines.by_ref() {
        let words = words(line);
        match words.first() {
            None => {}
            Some((_, w)) if w.starts_with('#') => {}
            Some((_, "map")) => {
                mapped = true;
                break;
            }
            Some(_) => grid.setting(i + 1, &words)?,
        }
    }
    if !mapped {
        let end = text.lines().count() + 1;
        return Err(Error::parse(end, 1, "the text ends before `map`; expected a setting or `map`"));
    }
    for (i, line) in lines {
        let row: Vec<char> = line.trim_end().chars().collect();
        if row.is_empty() {
            continue;
        }
        if grid.rows.is_empty() {
            grid.first_line = i + 1;
        }
        grid.push_row(i + 1, row)?;
    }
    if grid.rows.is_empty() {
        return Err(Error::parse(text.lines().count() + 1, 1, "the map has no rows"));
    }
    grid.model()
}

/// Words of a line with their columns, from 1.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut start = None;
    for (column, (at, c)) in line.char_indices().enumerate() {
        match (c.is_whitespace(), start) {
            (false, None) => start = Some((column + 1, at)),
            (true, Some((column, from))) => {
                out.push((column, &line[from..at]));
                start = None;
            }
            _ => {}
        }
    }
    if let Some((column, from)) = start {
        out.push((column, &line[from..]));
    }
    out
}

fn number(line: usize, word: Option<&(usize, &str)>, after: (usize, &str)) -> Result<f64> {
    let Some(&(column, text)) = word else {
        let column = after.0 + after.1.chars().count();
        return Err(Error::parse(line, column, format!("expected a number after `{}`", after.1)));
    };
    text.parse::<f64>()
        .ok()
        .filter(|x| x.is_finite())
        .ok_or_else(|| Error::parse(line, column, format!("`{text}` is not a number")))
}

fn one_char(line: usize, word: Option<&(usize, &str)>, after: (usize, &str)) -> Result<char> {
    let mut chars = word.map_or("", |w| w.1).chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => {
            let column = word.map_or(after.0 + after.1.chars().count(), |w| w.0);
            Err(Error::parse(line, column, format!("expected one letter of the map after `{}`", after.1)))
        }
    }
}

impl Grid {
    fn setting(&mut self, line: usize, words: &[(usize, &str)]) -> Result<()> {
        let key = words[0];
        let extra = |n: usize| match words.get(n) {
            Some((column, w)) => {
                Err(Error::parse(line, *column, format!("unexpected `{w}` after `{}`", key.1)))
            }
            None => Ok(()),
        };
        let value = || number(line, words.get(1), key);
        let within = |x: f64, range: std::ops::RangeInclusive<f64>| match range.contains(&x) {
            true => Ok(x),
            false => {
                let text = format!("`{}` must be from {} to {}", key.1, range.start(), range.end());
                Err(Error::parse(line, words[1].0, text))
            }
        };
        match key.1 {
            "gamma" => self.gamma = within(value()?, 0.0..=1.0)?,
            "step" => self.step = value()?,
            "bump" => self.bump = Some(value()?),
            "slip" => self.slip = within(value()?, 0.0..=1.0)?,
            "moves" => {
                self.moves = match words.get(1).map_or("", |w| w.1) {
                    "4" => 4,
                    "8" => 8,
                    "9" => 9,
                    other => {
                        return Err(Error::parse(line, key.0, format!("moves are 4, 8 or 9, not `{other}`")));
                    }
                }
            }
            "wind" => {
                for word in &words[1..] {
                    let n = word.1.parse::<usize>().ok().filter(|&n| n < 1000);
                    let wrong =
                        || Error::parse(line, word.0, format!("`{}` is not a number of cells", word.1));
                    self.wind.push(n.ok_or_else(wrong)?);
                }
                return Ok(());
            }
            "letter" => return self.letter(line, words),
            other => {
                let known = ["gamma", "moves", "step", "bump", "slip", "wind", "letter", "map"];
                let hint = coact_core::nearest::hint(other, known);
                return Err(Error::parse(line, key.0, format!("unknown setting `{other}`{hint}")));
            }
        }
        extra(2)
    }

    fn letter(&mut self, line: usize, words: &[(usize, &str)]) -> Result<()> {
        let which = one_char(line, words.get(1), words[0])?;
        let mut letter = Letter::default();
        let mut i = 2;
        while let Some(&word) = words.get(i) {
            match word.1 {
                "end" => letter.end = true,
                "reward" => letter.reward = Some(number(line, words.get(i + 1), word)?),
                "sends" => letter.sends = Some(one_char(line, words.get(i + 1), word)?),
                "leads" => letter.leads = Some(one_char(line, words.get(i + 1), word)?),
                other => {
                    let text = format!("unexpected `{other}`; expected reward, end, sends or leads");
                    return Err(Error::parse(line, word.0, text));
                }
            }
            i += if word.1 == "end" { 1 } else { 2 };
        }
        if which == '#' || self.letters.insert(which, letter).is_some() {
            let text = format!("letter `{which}` is a wall or was given before");
            return Err(Error::parse(line, words[1].0, text));
        }
        Ok(())
    }

    fn push_row(&mut self, line: usize, row: Vec<char>) -> Result<()> {
        let width = self.rows.first().map_or(row.len(), Vec::len);
        if row.len() != width {
            let text = format!("this row has {} cells, the first one {width}", row.len());
            return Err(Error::parse(line, row.len().min(width) + 1, text));
        }
        if let Some(i) = row.iter().position(|c| c.is_whitespace()) {
            return Err(Error::parse(line, i + 1, "a map has no blanks; `.` is floor, `#` is wall"));
        }
        if (self.rows.len() + 1) * width > MAX_CELLS {
            return Err(Error::parse(line, 1, format!("the map has more than {MAX_CELLS} cells")));
        }
        for (c, &letter) in row.iter().enumerate() {
            self.places.entry(letter).or_insert(((self.rows.len(), c), 0)).1 += 1;
        }
        self.rows.push(row);
        Ok(())
    }

    fn letter_at(&self, cell: (usize, usize)) -> Letter {
        self.letters.get(&self.rows[cell.0][cell.1]).copied().unwrap_or_default()
    }

    /// The only cell of a letter.
    fn cell_of(&self, letter: char, asked_by: char) -> Result<(usize, usize)> {
        match self.places.get(&letter) {
            Some(&(cell, 1)) if letter != '#' && self.letter_at(cell).sends.is_none() => Ok(cell),
            _ => Err(Error::parse(
                self.first_line,
                1,
                format!(
                    "`{asked_by}` goes to `{letter}`, which must be exactly one cell of the map to stand on"
                ),
            )),
        }
    }

    fn model(&self) -> Result<Model> {
        let width = self.rows[0].len();
        if !self.wind.is_empty() && self.wind.len() != width {
            let text = format!("`wind` has {} columns, the map {width}", self.wind.len());
            return Err(Error::parse(self.first_line, 1, text));
        }
        if self.slip > 0.0 && self.moves != 4 {
            return Err(Error::parse(self.first_line, 1, "`slip` needs `moves 4`"));
        }
        let mut states = BTreeMap::new();
        let mut cells = Vec::new();
        for (r, row) in self.rows.iter().enumerate() {
            for (c, &letter) in row.iter().enumerate() {
                if letter != '#' && self.letter_at((r, c)).sends.is_none() {
                    states.insert((r, c), cells.len());
                    cells.push((r, c));
                }
            }
        }
        let mut b = ModelBuilder::new(cells.len(), self.moves, self.gamma);
        b.action_names(MOVES[..self.moves].iter().map(|m| m.0.to_string()).collect());
        b.state_names(cells.iter().map(|(r, c)| format!("{r},{c}")).collect());
        let starts: Vec<usize> =
            (0..cells.len()).filter(|&s| self.rows[cells[s].0][cells[s].1] == 'S').collect();
        starts.iter().for_each(|&s| {
            b.start(s, 1.0 / starts.len() as f64);
        });
        for (state, &cell) in cells.iter().enumerate() {
            if self.letter_at(cell).end {
                b.terminal(state);
                continue;
            }
            for action in 0..self.moves {
                self.outcomes(&mut b, &states, (state, cell), action)?;
            }
        }
        b.build()
    }

    /// Adds everything that `action` may lead to from a cell.
    fn outcomes(
        &self,
        b: &mut ModelBuilder,
        states: &BTreeMap<(usize, usize), usize>,
        (state, cell): (usize, (usize, usize)),
        action: usize,
    ) -> Result<()> {
        let here = self.letter_at(cell);
        if let Some(to) = here.leads {
            let next = states[&self.cell_of(to, self.rows[cell.0][cell.1])?];
            b.transition(state, action, next, 1.0, here.reward.unwrap_or(self.step));
            return Ok(());
        }
        // A slip turns the chosen action into another move.
        let mut one = |turned: usize, prob: f64| -> Result<()> {
            let (mut cell_after, bumped) = self.moved(cell, turned);
            let entered = self.letter_at(cell_after);
            let own = entered.reward.filter(|_| entered.leads.is_none() && cell_after != cell);
            let reward = own.unwrap_or(if bumped { self.bump.unwrap_or(self.step) } else { self.step });
            if let Some(to) = entered.sends {
                cell_after = self.cell_of(to, self.rows[cell_after.0][cell_after.1])?;
            }
            b.transition(state, action, states[&cell_after], prob, reward);
            Ok(())
        };
        if self.slip == 0.0 {
            return one(action, 1.0);
        }
        one(action, 1.0 - self.slip)?;
        one(SIDES[action][0], self.slip / 2.0)?;
        one(SIDES[action][1], self.slip / 2.0)
    }

    /// Cell after a move and its wind, and whether the move itself met a wall or the border.
    fn moved(&self, cell: (usize, usize), action: usize) -> ((usize, usize), bool) {
        let (_, dr, dc) = MOVES[action];
        let free = |r: isize, c: isize| {
            let inside =
                r >= 0 && c >= 0 && (r as usize) < self.rows.len() && (c as usize) < self.rows[0].len();
            (inside && self.rows[r as usize][c as usize] != '#').then_some((r as usize, c as usize))
        };
        let target = free(cell.0 as isize + dr, cell.1 as isize + dc);
        let mut at = target.unwrap_or(cell);
        for _ in 0..self.wind.get(cell.1).copied().unwrap_or(0) {
            at = free(at.0 as isize - 1, at.1 as isize).unwrap_or(at);
        }
        (at, target.is_none())
    }
}
