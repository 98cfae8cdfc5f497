//! Shortest augmenting paths over the entries of a sparse matrix (the idea of Volgenant's LAPMOD): the same start
//! as the dense solver, then Dijkstra's algorithm with a heap, which touches only what a path can reach.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Deficit, NONE, Raw};
use crate::matrix::SparseCosts;

/// Passes of the augmenting row reduction.
const REDUCTIONS: usize = 2;

/// Solves an oriented problem: minimize, no more rows than columns.
pub(super) fn solve(costs: &SparseCosts) -> Result<Raw, Deficit> {
    let (n_rows, n_cols) = (costs.n_rows(), costs.n_cols());
    let mut state = State {
        costs,
        row_to_col: vec![NONE; n_rows],
        col_to_row: vec![NONE; n_cols],
        prices: vec![0.0; n_cols],
    };
    let mut free: Vec<u32> = (0..n_rows as u32).collect();
    if n_rows == n_cols {
        free = state.reduce_columns();
    }
    for _ in 0..REDUCTIONS {
        free = state.reduce_rows(&free);
    }
    let mut search = Search {
        distances: vec![f64::INFINITY; n_cols],
        previous: vec![NONE; n_cols],
        settled: vec![false; n_cols],
        touched: Vec::new(),
        reached: Vec::new(),
        heap: BinaryHeap::new(),
    };
    for &row in &free {
        search.augment(&mut state, row)?;
    }
    let row_prices = (0..n_rows).map(|row| state.row_price(row)).collect();
    Ok(Raw { row_to_col: state.row_to_col, row_prices, col_prices: state.prices })
}

struct State<'a> {
    costs: &'a SparseCosts,
    row_to_col: Vec<u32>,
    col_to_row: Vec<u32>,
    prices: Vec<f64>,
}

impl State<'_> {
    /// Each column takes its least cost as price and the row that has it, if that is free. Returns the free rows.
    fn reduce_columns(&mut self) -> Vec<u32> {
        let mut row_of = vec![NONE; self.prices.len()];
        self.prices.fill(f64::INFINITY);
        for row in 0..self.row_to_col.len() {
            let (cols, costs) = self.costs.row(row);
            for (&col, &cost) in cols.iter().zip(costs) {
                if cost < self.prices[col as usize] {
                    (self.prices[col as usize], row_of[col as usize]) = (cost, row as u32);
                }
            }
        }
        for col in (0..self.prices.len()).rev() {
            let row = row_of[col];
            if row == NONE {
                self.prices[col] = 0.0;
            } else if self.row_to_col[row as usize] == NONE {
                self.row_to_col[row as usize] = col as u32;
                self.col_to_row[col] = row;
            }
        }
        (0..self.row_to_col.len() as u32).filter(|&row| self.row_to_col[row as usize] == NONE).collect()
    }

    /// Least reduced cost of a row, its column, the second least and its column.
    fn two_least(&self, row: usize) -> (f64, u32, f64, u32) {
        let mut out = (f64::INFINITY, NONE, f64::INFINITY, NONE);
        let (cols, costs) = self.costs.row(row);
        for (&col, &cost) in cols.iter().zip(costs) {
            let x = cost - self.prices[col as usize];
            if x < out.0 {
                out = (x, col, out.0, out.1);
            } else if x < out.2 {
                (out.2, out.3) = (x, col);
            }
        }
        out
    }

    /// Augmenting row reduction, as in the dense solver.
    fn reduce_rows(&mut self, free: &[u32]) -> Vec<u32> {
        let mut still_free = Vec::new();
        let mut budget = 4 * self.row_to_col.len() + 64;
        for &first in free {
            let mut row = first;
            loop {
                let (least, mut col, second, other) = self.two_least(row as usize);
                if !second.is_finite() || budget == 0 {
                    still_free.push(row);
                    break;
                }
                budget -= 1;
                let before = self.prices[col as usize];
                let after = before - (second - least);
                let lowered = after < before;
                if lowered {
                    self.prices[col as usize] = after;
                } else if self.col_to_row[col as usize] != NONE {
                    col = other;
                }
                let owner = std::mem::replace(&mut self.col_to_row[col as usize], row);
                self.row_to_col[row as usize] = col;
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
        still_free.retain(|&row| self.row_to_col[row as usize] == NONE);
        still_free
    }

    fn row_price(&self, row: usize) -> f64 {
        let col = self.row_to_col[row];
        self.costs.at(row, col as usize).map_or(0.0, |cost| cost - self.prices[col as usize])
    }
}

/// A column that a path reaches, at its distance; the nearest comes first out of a heap, then the lowest column.
#[derive(PartialEq)]
struct Near(f64, u32);

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Scratch of the search for shortest augmenting paths.
struct Search {
    distances: Vec<f64>,
    previous: Vec<u32>,
    settled: Vec<bool>,
    touched: Vec<u32>,
    reached: Vec<(u32, f64)>,
    heap: BinaryHeap<Near>,
}

impl Search {
    fn augment(&mut self, state: &mut State<'_>, start: u32) -> Result<(), Deficit> {
        self.reset();
        let (mut row, mut offset) = (start, 0.0);
        let (length, end) = loop {
            let free = self.relax(state, row, offset);
            let Some((distance, col)) = free.or_else(|| self.next()) else {
                let owners = self.reached.iter().map(|r| state.col_to_row[r.0 as usize] as usize);
                let members = owners.chain([start as usize]).collect();
                return Err(Deficit { members, n_choices: self.reached.len() });
            };
            let owner = state.col_to_row[col as usize];
            if owner == NONE {
                break (distance, col);
            }
            self.settled[col as usize] = true;
            self.reached.push((col, distance));
            row = owner;
            offset = state.row_price(row as usize) - distance;
        };
        for &(col, distance) in &self.reached {
            state.prices[col as usize] += distance - length;
        }
        let mut col = end;
        loop {
            let row = self.previous[col as usize];
            state.col_to_row[col as usize] = row;
            let next = std::mem::replace(&mut state.row_to_col[row as usize], col);
            if row == start {
                return Ok(());
            }
            col = next;
        }
    }

    fn reset(&mut self) {
        for &col in &self.touched {
            self.distances[col as usize] = f64::INFINITY;
            self.settled[col as usize] = false;
        }
        self.touched.clear();
        self.reached.clear();
        self.heap.clear();
    }

    /// Offers the columns of a row paths through it. A free column as near as the row itself ends the search.
    fn relax(&mut self, state: &State<'_>, row: u32, offset: f64) -> Option<(f64, u32)> {
        let here = self.reached.last().map_or(f64::NEG_INFINITY, |r| r.1);
        let (cols, costs) = state.costs.row(row as usize);
        for (&col, &cost) in cols.iter().zip(costs) {
            let at = col as usize;
            let x = cost - state.prices[at] - offset;
            if self.settled[at] || x >= self.distances[at] {
                continue;
            }
            if self.distances[at] == f64::INFINITY {
                self.touched.push(col);
            }
            self.distances[at] = x;
            self.previous[at] = row;
            if x <= here && state.col_to_row[at] == NONE {
                return Some((x, col));
            }
            self.heap.push(Near(x, col));
        }
        None
    }

    /// The nearest column that is not settled.
    fn next(&mut self) -> Option<(f64, u32)> {
        while let Some(Near(distance, col)) = self.heap.pop() {
            if !self.settled[col as usize] && distance == self.distances[col as usize] {
                return Some((distance, col));
            }
        }
        None
    }
}
