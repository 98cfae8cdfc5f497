//! Floor plans of warehouses: where shelves stand, which cells are highways, where goals are.
//!
//! Cells are numbered row by row on a floor that is padded by the sensor range on all sides, so that a robot's view
//! never leaves it. Not here: robots, requests, rules.

use coact_core::{Error, Result};

/// Most cells along a side.
const MAX_SIDE: usize = 200;

/// A warehouse without robots.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Columns of the floor.
    pub width: usize,
    /// Rows of the floor.
    pub height: usize,
    /// Cells of padding on each side.
    pub pad: usize,
    /// Padded cell of every shelf at the start, row by row; shelf ids count from 1.
    pub shelves: Vec<u16>,
    /// Padded cells of the goals, in the order in which they are served.
    pub goals: Vec<u16>,
    /// For each padded cell: whether it is on the floor.
    pub inside: Vec<bool>,
    /// For each padded cell: whether shelves may not be put down there.
    pub highway: Vec<bool>,
    /// For each padded cell: the number of its storage place, in the order of `shelves`; `u16::MAX` for none.
    pub storage: Vec<u16>,
}

impl Layout {
    /// Groups of shelves in `rows` rows and an odd number of `columns`, `column_height` high, as the original makes
    /// them.
    ///
    /// # Errors
    /// An even number of columns, nothing at all, too much.
    pub fn groups(rows: usize, columns: usize, column_height: usize, pad: usize) -> Result<Self> {
        let bad = columns.is_multiple_of(2)
            || rows == 0
            || column_height == 0
            || rows.max(columns).max(column_height) > 50;
        if bad {
            return Err(Error::invalid(format!(
                "rware: {rows} x {columns} groups of height {column_height} make no warehouse; use 1 to 50 rows, an odd \
                 number of columns and a height of 1 to 50"
            )));
        }
        let (height, width) = ((column_height + 1) * rows + 2, 3 * columns + 1);
        let middle = width / 2 - 1..=width / 2;
        let highway = |x: usize, y: usize| {
            let queue = y + column_height + 3 > height && middle.contains(&x);
            x.is_multiple_of(3) || y.is_multiple_of(column_height + 1) || y == height - 1 || queue
        };
        let goals = [(width / 2 - 1, height - 1), (width / 2, height - 1)];
        Self::new(width, height, pad, highway, &goals)
    }

    /// A plan drawn with `x` for shelves, `.` for highways and `g` for goals; blanks are ignored.
    ///
    /// # Errors
    /// Another character (with line and column), rows of different length, no goal.
    pub fn drawn(plan: &str, pad: usize) -> Result<Self> {
        let rows: Vec<Vec<char>> = plan
            .trim()
            .lines()
            .map(|line| line.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect())
            .collect();
        let width = rows.first().map_or(0, Vec::len);
        let refuse = |what: String| Err(Error::invalid(format!("rware: layout: {what}")));
        let mut goals = Vec::new();
        for (y, row) in rows.iter().enumerate() {
            if row.len() != width {
                let (line, cells) = (y + 1, row.len());
                return refuse(format!(
                    "line {line} has {cells} cells, the first has {width}; make it a rectangle"
                ));
            }
            for (x, cell) in row.iter().enumerate() {
                match cell {
                    'g' => goals.push((x, y)),
                    'x' | '.' => {}
                    other => {
                        let (line, column) = (y + 1, x + 1);
                        return refuse(format!(
                            "line {line}, column {column} is `{other}`; use `x`, `.` or `g`"
                        ));
                    }
                }
            }
        }
        if goals.is_empty() {
            return refuse("it has no goal; draw at least one `g`".into());
        }
        Self::new(width, rows.len(), pad, |x, y| rows[y][x] != 'x', &goals)
    }

    fn new(
        width: usize,
        height: usize,
        pad: usize,
        highway: impl Fn(usize, usize) -> bool,
        goals: &[(usize, usize)],
    ) -> Result<Self> {
        if width < 2 || height < 2 || width.max(height) > MAX_SIDE {
            return Err(Error::invalid(format!(
                "rware: a floor of {width} x {height} cells is too small or too large; use 2 to {MAX_SIDE} on a side"
            )));
        }
        let stride = width + 2 * pad;
        let n_cells = stride * (height + 2 * pad);
        let at = |x: usize, y: usize| ((y + pad) * stride + x + pad) as u16;
        let mut layout = Self {
            width,
            height,
            pad,
            shelves: Vec::new(),
            goals: goals.iter().map(|(x, y)| at(*x, *y)).collect(),
            inside: vec![false; n_cells],
            highway: vec![false; n_cells],
            storage: vec![u16::MAX; n_cells],
        };
        for y in 0..height {
            for x in 0..width {
                let cell = at(x, y) as usize;
                layout.inside[cell] = true;
                layout.highway[cell] = highway(x, y);
                if !layout.highway[cell] {
                    layout.storage[cell] = layout.shelves.len() as u16;
                    layout.shelves.push(cell as u16);
                }
            }
        }
        if layout.shelves.is_empty() {
            return Err(Error::invalid("rware: the layout has no shelf; draw at least one `x`"));
        }
        Ok(layout)
    }

    /// Cells of a padded row.
    pub fn stride(&self) -> usize {
        self.width + 2 * self.pad
    }

    /// The padded cell at column `x`, row `y` of the floor.
    pub fn cell(&self, x: usize, y: usize) -> u16 {
        ((y + self.pad) * self.stride() + x + self.pad) as u16
    }

    /// Column and row of a padded cell that is on the floor.
    pub fn place(&self, cell: u16) -> (usize, usize) {
        let stride = self.stride();
        (cell as usize % stride - self.pad, cell as usize / stride - self.pad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_plan_is_the_made_one() {
        let plan = "
            . . . . . . . . . .
            . x x . x x . x x .
            . x x . . . . x x .
            . . . . . . . . . .
            . . . . g g . . . .";
        // The two queue columns reach as high as the last group.
        let made = Layout::groups(1, 3, 2, 1).unwrap();
        let drawn = Layout::drawn(&plan.replace(". x x . x x . x x .", ". x x . . . . x x ."), 1).unwrap();
        assert_eq!(made, drawn);
        assert_eq!((made.width, made.height, made.shelves.len()), (10, 5, 8));
        assert_eq!(made.place(made.goals[0]), (4, 4));
        let tiny = Layout::groups(1, 3, 8, 1).unwrap();
        assert_eq!((tiny.width, tiny.height, tiny.shelves.len()), (10, 11, 32));
    }

    #[test]
    fn bad_plans_are_refused() {
        for (plan, word) in [
            ("..\n.", "line 2"),
            ("gx\nx?", "line 2, column 2"),
            ("..\nx.", "no goal"),
            ("g.\n..", "no shelf"),
            ("g", "too small"),
            ("", "no goal"),
        ] {
            let text = Layout::drawn(plan, 1).unwrap_err().to_string();
            assert!(text.contains(word) && !text.contains('\n'), "{text}");
        }
        assert!(Layout::groups(1, 4, 8, 1).is_err());
    }
}
