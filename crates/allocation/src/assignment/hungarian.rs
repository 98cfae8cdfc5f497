//! The Hungarian method. Kept plain: it is the second opinion on the fast solver.

use super::{Deficit, NONE, Raw};

/// Solves an oriented problem: minimize, `n_rows <= n_cols`, `costs` row-major, +infinity forbids.
pub(super) fn solve(costs: &[f64], n_rows: usize, n_cols: usize) -> Result<Raw, Deficit> {
    let mut tree = Tree {
        costs,
        n_cols,
        row_prices: vec![0.0; n_rows],
        col_prices: vec![0.0; n_cols],
        col_to_row: vec![NONE; n_cols],
        slack: vec![f64::INFINITY; n_cols],
        slack_row: vec![NONE; n_cols],
        in_tree: vec![false; n_cols],
    };
    for row in 0..n_rows {
        tree.assign(row)?;
    }
    let mut row_to_col = vec![NONE; n_rows];
    for (col, &row) in tree.col_to_row.iter().enumerate() {
        if row != NONE {
            row_to_col[row as usize] = col as u32;
        }
    }
    Ok(Raw { row_to_col, row_prices: tree.row_prices, col_prices: tree.col_prices })
}

/// The alternating tree of tight pairs that grows from a free row.
struct Tree<'a> {
    costs: &'a [f64],
    n_cols: usize,
    row_prices: Vec<f64>,
    col_prices: Vec<f64>,
    col_to_row: Vec<u32>,
    /// Least reduced cost of a column to any row of the tree.
    slack: Vec<f64>,
    /// The row that has it.
    slack_row: Vec<u32>,
    in_tree: Vec<bool>,
}

impl Tree<'_> {
    fn assign(&mut self, start: usize) -> Result<(), Deficit> {
        self.slack.fill(f64::INFINITY);
        self.in_tree.fill(false);
        let (mut rows, mut cols) = (vec![start], Vec::<usize>::new());
        loop {
            let row = rows[rows.len() - 1];
            let costs = &self.costs[row * self.n_cols..(row + 1) * self.n_cols];
            let mut nearest: Option<usize> = None;
            for (col, &cost) in costs.iter().enumerate().filter(|(col, _)| !self.in_tree[*col]) {
                let reduced = cost - self.row_prices[row] - self.col_prices[col];
                if reduced < self.slack[col] {
                    (self.slack[col], self.slack_row[col]) = (reduced, row as u32);
                }
                if self.slack[col] < nearest.map_or(f64::INFINITY, |best| self.slack[best]) {
                    nearest = Some(col);
                }
            }
            let Some(col) = nearest else {
                return Err(Deficit { members: rows, n_choices: cols.len() });
            };
            self.move_prices(self.slack[col], &rows, &cols);
            self.in_tree[col] = true;
            if self.col_to_row[col] == NONE {
                self.flip(start, col);
                return Ok(());
            }
            rows.push(self.col_to_row[col] as usize);
            cols.push(col);
        }
    }

    /// Makes the nearest column tight: rows of the tree rise by `delta`, its columns fall by it.
    fn move_prices(&mut self, delta: f64, rows: &[usize], cols: &[usize]) {
        rows.iter().for_each(|&row| self.row_prices[row] += delta);
        cols.iter().for_each(|&col| self.col_prices[col] -= delta);
        for (slack, _) in self.slack.iter_mut().zip(&self.in_tree).filter(|(_, inside)| !**inside) {
            *slack -= delta;
        }
    }

    /// Exchanges tight and assigned pairs along the path from the free column back to the start.
    fn flip(&mut self, start: usize, end: usize) {
        let mut col = end;
        loop {
            let row = self.slack_row[col];
            // The column that `row` gives up is the one through which it came into the tree.
            let given_up = self.col_to_row.iter().position(|&r| r == row);
            self.col_to_row[col] = row;
            match given_up {
                Some(next) if row as usize != start => col = next,
                _ => return,
            }
        }
    }
}
