//! Cost matrices: dense and sparse, checked once where they are made. Not here: how they are read from files.

use crate::{Error, Result};

/// The sum of values; 0 without any, where the sum of the standard library is -0.
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |so_far, value| so_far + value)
}

/// The cost that forbids a pair, whether costs are minimized or maximized.
pub const FORBIDDEN: f64 = f64::INFINITY;

/// Largest magnitude of a cost; sums and differences of such costs never overflow.
pub const MAX_COST: f64 = 1e100;

/// What is good: a small total or a large one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Objective {
    /// The least total cost.
    #[default]
    Minimize,
    /// The greatest total value.
    Maximize,
}

impl Objective {
    /// 1 to minimize, -1 to maximize: what costs are multiplied with.
    pub fn sign(self) -> f64 {
        match self {
            Self::Minimize => 1.0,
            Self::Maximize => -1.0,
        }
    }
}

/// A dense matrix of costs, row-major `[n_rows, n_cols]`. [`FORBIDDEN`] marks pairs that may not be formed.
#[derive(Debug, Clone, PartialEq)]
pub struct CostMatrix {
    n_rows: usize,
    n_cols: usize,
    costs: Vec<f64>,
    has_forbidden: bool,
}

impl CostMatrix {
    /// A matrix of `n_rows` times `n_cols` costs, row after row.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of values differs, [`Error::Cost`] for NaN, negative infinity and
    /// magnitudes above [`MAX_COST`].
    pub fn new(n_rows: usize, n_cols: usize, costs: Vec<f64>) -> Result<Self> {
        if n_rows.checked_mul(n_cols) != Some(costs.len()) {
            return Err(Error::Shape { n_values: costs.len(), n_rows, n_cols });
        }
        if n_rows.max(n_cols) > u32::MAX as usize / 2 {
            return Err(Error::invalid(format!("{} rows or columns are more than 2^31", n_rows.max(n_cols))));
        }
        // Two passes without branches are several times faster than one with.
        let largest = costs.iter().fold(0.0, |m: f64, &c| if c.abs() > m { c.abs() } else { m });
        let n_nan = costs.iter().map(|c| u64::from(c.is_nan())).sum::<u64>();
        let mut has_forbidden = false;
        if largest > MAX_COST || n_nan > 0 {
            let allowed = |c: f64| c == FORBIDDEN || c.abs() <= MAX_COST;
            if let Some(at) = costs.iter().position(|&c| !allowed(c)) {
                return Err(Error::Cost { row: at / n_cols, col: at % n_cols, value: costs[at] });
            }
            has_forbidden = true;
        }
        Ok(Self { n_rows, n_cols, costs, has_forbidden })
    }

    /// A matrix of rows of equal length.
    ///
    /// # Errors
    /// Those of [`CostMatrix::new`]; rows of unequal length.
    pub fn from_rows(rows: &[Vec<f64>]) -> Result<Self> {
        let n_cols = rows.first().map_or(0, Vec::len);
        if let Some(i) = rows.iter().position(|row| row.len() != n_cols) {
            let text = format!("row {i} has {} costs, row 0 has {n_cols}; make them equal", rows[i].len());
            return Err(Error::invalid(text));
        }
        Self::new(rows.len(), n_cols, rows.concat())
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Whether any pair is forbidden.
    pub fn has_forbidden(&self) -> bool {
        self.has_forbidden
    }

    /// All costs, row-major.
    pub fn costs(&self) -> &[f64] {
        &self.costs
    }

    /// Costs of a row, `[n_cols]`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        assert!(row < self.n_rows, "row {row} of {}", self.n_rows);
        &self.costs[row * self.n_cols..(row + 1) * self.n_cols]
    }

    /// The cost of a pair.
    ///
    /// # Panics
    /// If there is no such pair.
    pub fn at(&self, row: usize, col: usize) -> f64 {
        self.row(row)[col]
    }
}

/// A sparse matrix of costs in compressed rows. Pairs that are not stored are forbidden.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseCosts {
    n_rows: usize,
    n_cols: usize,
    /// Entries of row `i` are `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    cols: Vec<u32>,
    costs: Vec<f64>,
}

impl SparseCosts {
    /// A matrix from entries (row, column, cost) in any order.
    ///
    /// # Errors
    /// An entry outside of the matrix or given twice; a cost that is not finite or above [`MAX_COST`].
    pub fn from_entries(n_rows: usize, n_cols: usize, entries: &[(usize, usize, f64)]) -> Result<Self> {
        if n_rows.max(n_cols) > u32::MAX as usize / 2 {
            return Err(Error::invalid(format!("{} rows or columns are more than 2^31", n_rows.max(n_cols))));
        }
        let mut starts = vec![0; n_rows + 1];
        for &(row, col, value) in entries {
            if row >= n_rows || col >= n_cols {
                let text = format!("entry ({row}, {col}) lies outside of {n_rows} rows and {n_cols} columns");
                return Err(Error::invalid(text));
            }
            if value.is_nan() || value.abs() > MAX_COST {
                return Err(Error::Cost { row, col, value });
            }
            starts[row + 1] += 1;
        }
        for row in 0..n_rows {
            starts[row + 1] += starts[row];
        }
        let mut sorted: Vec<&(usize, usize, f64)> = entries.iter().collect();
        sorted.sort_by_key(|e| (e.0, e.1));
        if let Some(pair) = sorted.windows(2).find(|w| (w[0].0, w[0].1) == (w[1].0, w[1].1)) {
            return Err(Error::invalid(format!("entry ({}, {}) is given twice", pair[0].0, pair[0].1)));
        }
        let cols = sorted.iter().map(|e| e.1 as u32).collect();
        let costs = sorted.iter().map(|e| e.2).collect();
        Ok(Self { n_rows, n_cols, starts, cols, costs })
    }

    /// The allowed pairs of a dense matrix.
    pub fn from_dense(dense: &CostMatrix) -> Self {
        let (mut starts, mut cols, mut costs) = (vec![0], Vec::new(), Vec::new());
        for row in 0..dense.n_rows() {
            for (col, &cost) in dense.row(row).iter().enumerate().filter(|(_, c)| c.is_finite()) {
                cols.push(col as u32);
                costs.push(cost);
            }
            starts.push(cols.len());
        }
        Self { n_rows: dense.n_rows(), n_cols: dense.n_cols(), starts, cols, costs }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Number of allowed pairs.
    pub fn n_entries(&self) -> usize {
        self.cols.len()
    }

    /// Columns and costs of a row, by ascending column.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> (&[u32], &[f64]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.cols[range.clone()], &self.costs[range])
    }

    /// The cost of a pair, if it is allowed.
    pub fn at(&self, row: usize, col: usize) -> Option<f64> {
        let (cols, costs) = self.row(row);
        cols.binary_search(&(col as u32)).ok().map(|k| costs[k])
    }

    /// The same costs times `sign`, and columns as rows if `transpose`.
    pub(crate) fn oriented(&self, sign: f64, transpose: bool) -> Self {
        let mut out = self.clone();
        out.costs.iter_mut().for_each(|c| *c *= sign);
        if !transpose {
            return out;
        }
        let mut starts = vec![0; self.n_cols + 1];
        self.cols.iter().for_each(|&c| starts[c as usize + 1] += 1);
        for col in 0..self.n_cols {
            starts[col + 1] += starts[col];
        }
        let mut next = starts.clone();
        let (mut cols, mut costs) = (vec![0; self.cols.len()], vec![0.0; self.cols.len()]);
        for row in 0..self.n_rows {
            let (row_cols, row_costs) = out.row(row);
            for (&col, &cost) in row_cols.iter().zip(row_costs) {
                let at = &mut next[col as usize];
                (cols[*at], costs[*at]) = (row as u32, cost);
                *at += 1;
            }
        }
        Self { n_rows: self.n_cols, n_cols: self.n_rows, starts, cols, costs }
    }
}
