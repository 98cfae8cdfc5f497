//! Dense Jonker-Volgenant. The tricks that make it fast: the start assigns most rows cheaply; a row of costs is
//! read in one pass that relaxes all distances and finds the next column; a column that was reached is taken out
//! of these passes by a price of minus infinity instead of by a test.

use pulp::Arch;

use super::lanes::{lower, relax, two_least};
use super::{Deficit, NONE, Raw};

/// Passes of the augmenting row reduction; more bring nothing (Jonker and Volgenant use two as well).
const REDUCTIONS: usize = 2;

/// Solves an oriented problem: minimize, `n_rows <= n_cols`, `costs` row-major, +infinity forbids.
pub(super) fn solve(costs: &[f64], n_rows: usize, n_cols: usize) -> Result<Raw, Deficit> {
    let mut state = State::new(costs, n_rows, n_cols);
    if n_rows == 0 {
        return Ok(state.into_raw());
    }
    let arch = Arch::new();
    let mut free: Vec<u32>;
    // Prices of columns without a partner must stay 0, which only square problems can promise after a reduction.
    if n_rows == n_cols {
        arch.dispatch(|| state.reduce_columns());
        free = arch.dispatch(|| state.transfer_reduction());
    } else {
        free = (0..n_rows as u32).collect();
    }
    for _ in 0..REDUCTIONS {
        free = arch.dispatch(|| state.reduce_rows(&free));
    }
    let mut search = Search::new(&state);
    for &row in &free {
        arch.dispatch(|| search.augment(&mut state, row))?;
    }
    Ok(state.into_raw())
}

struct State<'a> {
    costs: &'a [f64],
    n_cols: usize,
    row_to_col: Vec<u32>,
    col_to_row: Vec<u32>,
    /// Prices of the columns.
    prices: Vec<f64>,
}

impl<'a> State<'a> {
    fn new(costs: &'a [f64], n_rows: usize, n_cols: usize) -> Self {
        Self {
            costs,
            n_cols,
            row_to_col: vec![NONE; n_rows],
            col_to_row: vec![NONE; n_cols],
            prices: vec![0.0; n_cols],
        }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &'a [f64] {
        &self.costs[row * self.n_cols..(row + 1) * self.n_cols]
    }

    /// Each column takes its least cost as price and, from the last column to the first, the row that has it if
    /// that is still free.
    #[inline(always)]
    fn reduce_columns(&mut self) {
        let mut row_of = vec![0; self.n_cols];
        self.prices.fill(f64::INFINITY);
        for row in 0..self.row_to_col.len() {
            lower(self.row(row), row as u32, &mut self.prices, &mut row_of);
        }
        for col in (0..self.n_cols).rev() {
            if self.prices[col] == f64::INFINITY {
                self.prices[col] = 0.0;
            } else if self.row_to_col[row_of[col] as usize] == NONE {
                self.row_to_col[row_of[col] as usize] = col as u32;
                self.col_to_row[col] = row_of[col];
            }
        }
    }

    /// Moves what an assigned row saves against its second best column into the price of its column, and
    /// returns the free rows.
    #[inline(always)]
    fn transfer_reduction(&mut self) -> Vec<u32> {
        let mut free = Vec::new();
        for row in 0..self.row_to_col.len() {
            let col = self.row_to_col[row];
            if col == NONE {
                free.push(row as u32);
                continue;
            }
            let found = two_least(self.row(row), &self.prices);
            let slack = if found.at == col as usize { found.second } else { found.least };
            if slack.is_finite() {
                self.prices[col as usize] -= slack;
            }
        }
        free
    }

    /// Each free row takes its best column, lowers its price by the advantage over the second best, and sends
    /// away the row that had it. Returns the rows that are free at the end.
    #[inline(always)]
    fn reduce_rows(&mut self, free: &[u32]) -> Vec<u32> {
        let mut still_free = Vec::new();
        // Rounding can make price wars long; shortest paths settle what is left.
        let mut budget = 4 * self.row_to_col.len() + 64;
        for &first in free {
            let mut row = first;
            loop {
                let found = two_least(self.row(row as usize), &self.prices);
                if !found.second.is_finite() || budget == 0 {
                    still_free.push(row);
                    break;
                }
                budget -= 1;
                let mut col = found.at;
                let before = self.prices[col];
                let after = before - (found.second - found.least);
                let lowered = after < before;
                if lowered {
                    self.prices[col] = after;
                } else if self.col_to_row[col] != NONE {
                    col = self.tied_col(row as usize, col, found.second);
                }
                let owner = self.col_to_row[col];
                self.row_to_col[row as usize] = col as u32;
                self.col_to_row[col] = row;
                if owner == NONE {
                    break;
                }
                self.row_to_col[owner as usize] = NONE;
                if !lowered {
                    still_free.push(owner);
                    break;
                }
                row = owner;
            }
        }
        // Rows of the list may have found a column again.
        still_free.retain(|&row| self.row_to_col[row as usize] == NONE);
        still_free
    }

    /// The first other column whose reduced cost is `reduced`, preferably without a row.
    #[inline(always)]
    fn tied_col(&self, row: usize, col: usize, reduced: f64) -> usize {
        let costs = self.row(row).iter().zip(&self.prices).enumerate();
        let mut tied = costs.filter(|&(j, (c, p))| j != col && c - p == reduced).map(|(j, _)| j);
        let first = tied.next().unwrap_or(col);
        if self.col_to_row[first] == NONE {
            return first;
        }
        tied.find(|&j| self.col_to_row[j] == NONE).unwrap_or(first)
    }

    fn into_raw(self) -> Raw {
        let price = |(row, &col): (usize, &u32)| {
            self.costs[row * self.n_cols + col as usize] - self.prices[col as usize]
        };
        let row_prices = self.row_to_col.iter().enumerate().map(price).collect();
        Raw { row_to_col: self.row_to_col, row_prices, col_prices: self.prices }
    }
}

/// Scratch of the search for shortest augmenting paths.
struct Search {
    distances: Vec<f64>,
    previous: Vec<u32>,
    /// Columns reached so far with their prices and distances.
    reached: Vec<(u32, f64, f64)>,
    free_cols: Vec<u32>,
}

impl Search {
    fn new(state: &State<'_>) -> Self {
        let free_cols = (0..state.n_cols as u32).filter(|&j| state.col_to_row[j as usize] == NONE).collect();
        Self {
            distances: vec![f64::INFINITY; state.n_cols],
            previous: vec![NONE; state.n_cols],
            reached: Vec::new(),
            free_cols,
        }
    }

    /// Assigns `start` along the shortest path to a free column and moves the prices so that they stay dual
    /// feasible.
    #[inline(always)]
    fn augment(&mut self, state: &mut State<'_>, start: u32) -> Result<(), Deficit> {
        self.distances.fill(f64::INFINITY);
        self.reached.clear();
        let mut row = start;
        let mut offset = 0.0;
        let (length, end) = loop {
            let costs = state.row(row as usize);
            let (least, col) =
                relax(costs, &state.prices, offset, row, &mut self.distances, &mut self.previous);
            if least == f64::INFINITY {
                return Err(self.deficit(state, start));
            }
            let col = self.free_at(state, least, col);
            let owner = state.col_to_row[col];
            if owner == NONE {
                break (least, col);
            }
            let price = std::mem::replace(&mut state.prices[col], f64::NEG_INFINITY);
            self.distances[col] = f64::INFINITY;
            self.reached.push((col as u32, price, least));
            row = owner;
            offset = state.costs[row as usize * state.n_cols + col] - price - least;
        };
        for &(col, price, distance) in &self.reached {
            state.prices[col as usize] = price + (distance - length);
        }
        if let Some(at) = self.free_cols.iter().position(|&c| c as usize == end) {
            self.free_cols.swap_remove(at);
        }
        let mut col = end;
        loop {
            let row = self.previous[col];
            state.col_to_row[col] = row;
            let next = std::mem::replace(&mut state.row_to_col[row as usize], col as u32);
            if row == start {
                return Ok(());
            }
            col = next as usize;
        }
    }

    /// A free column at the same distance as `col` if there is one: it ends the search at once. Where many
    /// columns are free, `col` likely is, and they are not looked through.
    #[inline(always)]
    fn free_at(&self, state: &State<'_>, least: f64, col: usize) -> usize {
        if state.col_to_row[col] == NONE || self.free_cols.len() * 8 > state.n_cols {
            return col;
        }
        let free = self.free_cols.iter().find(|&&c| self.distances[c as usize] == least);
        free.map_or(col, |&c| c as usize)
    }

    /// The rows that were reached, and their columns, of which there is one fewer.
    fn deficit(&self, state: &State<'_>, start: u32) -> Deficit {
        let owners = self.reached.iter().map(|r| state.col_to_row[r.0 as usize] as usize);
        Deficit { members: owners.chain([start as usize]).collect(), n_choices: self.reached.len() }
    }
}
