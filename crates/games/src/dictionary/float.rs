//! Dictionaries in `f64`: rows and columns scaled by powers of two, comparisons with a tolerance.

use std::cmp::Ordering;

use super::Dictionary;

/// Entries this small, in a table scaled to 1, count as zero.
const ZERO: f64 = 1e-11;
/// Ratios this close, relative to their size or 1, count as equal.
const TIE: f64 = 1e-12;
/// Size of what [`Dictionary::shake`] adds, in a table scaled to 1; far above [`ZERO`] and [`TIE`].
const SHAKE: f64 = 1e-7;
/// Fractional part of the golden ratio: its multiples are spread evenly over fractions.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Rounds of scaling rows and columns in turn.
const SCALING_ROUNDS: usize = 3;

/// A dictionary in floating point.
#[derive(Debug, Clone)]
pub struct FloatDictionary {
    /// `[n_rows, n_columns]`.
    entries: Vec<f64>,
    n_rows: usize,
    n_columns: usize,
    row_scale: Vec<f64>,
    column_scale: Vec<f64>,
    pivot_row: Vec<f64>,
}

/// The power of two at or below `x`, or 1 where that is none.
fn power_of_two(x: f64) -> f64 {
    if x.is_normal() { f64::from_bits(x.abs().to_bits() & (0x7ff << 52)) } else { 1.0 }
}

impl FloatDictionary {
    fn row(&self, row: usize) -> &[f64] {
        &self.entries[row * self.n_columns..][..self.n_columns]
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.entries[row * self.n_columns + column]
    }

    /// Brings the geometric middle of each row's and column's sizes near 1.
    fn scale(&mut self) {
        let middle = |sizes: &mut dyn Iterator<Item = f64>| {
            let (mut low, mut high) = (f64::INFINITY, 0.0f64);
            for size in sizes.filter(|&s| s > 0.0) {
                low = low.min(size);
                high = high.max(size);
            }
            power_of_two((low * high).sqrt())
        };
        for _ in 0..SCALING_ROUNDS {
            for i in 0..self.n_rows {
                let by = 1.0 / middle(&mut self.row(i).iter().map(|x| x.abs()));
                self.row_scale[i] *= by;
                self.entries[i * self.n_columns..][..self.n_columns].iter_mut().for_each(|x| *x *= by);
            }
            for j in 0..self.n_columns {
                let by = 1.0 / middle(&mut (0..self.n_rows).map(|i| self.at(i, j).abs()));
                self.column_scale[j] /= by;
                (0..self.n_rows).for_each(|i| self.entries[i * self.n_columns + j] *= by);
            }
        }
    }
}

impl Dictionary for FloatDictionary {
    type Value = f64;

    fn new(n_rows: usize, n_columns: usize, entries: &[f64]) -> Self {
        let mut dictionary = Self::new_even(n_rows, n_columns, entries);
        dictionary.scale();
        dictionary
    }

    fn new_even(n_rows: usize, n_columns: usize, entries: &[f64]) -> Self {
        assert_eq!(entries.len(), n_rows * n_columns, "entries of a [{n_rows}, {n_columns}] dictionary");
        assert!(entries.iter().all(|x| x.is_finite()), "a dictionary of numbers that are not finite");
        Self {
            entries: entries.to_vec(),
            n_rows,
            n_columns,
            row_scale: vec![1.0; n_rows],
            column_scale: vec![1.0; n_columns],
            pivot_row: vec![0.0; n_columns],
        }
    }

    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn n_columns(&self) -> usize {
        self.n_columns
    }

    fn pivot(&mut self, row: usize, column: usize) {
        let n = self.n_columns;
        let p = self.at(row, column);
        assert!(p != 0.0, "pivot on a zero at ({row}, {column})");
        let inverse = 1.0 / p;
        let pivot_row = &mut self.pivot_row;
        for (to, &from) in pivot_row.iter_mut().zip(&self.entries[row * n..][..n]) {
            *to = from * inverse;
        }
        pivot_row[column] = inverse;
        for (i, line) in self.entries.chunks_exact_mut(n).enumerate() {
            let factor = line[column];
            if i == row || factor == 0.0 {
                continue;
            }
            line[column] = 0.0;
            for (x, &r) in line.iter_mut().zip(&*pivot_row) {
                *x -= factor * r;
            }
        }
        self.entries[row * n..][..n].copy_from_slice(pivot_row);
        std::mem::swap(&mut self.row_scale[row], &mut self.column_scale[column]);
    }

    fn sign(&self, row: usize, column: usize) -> Ordering {
        let x = self.at(row, column);
        if x.abs() <= ZERO { Ordering::Equal } else { x.total_cmp(&0.0) }
    }

    fn weight(&self, row: usize, column: usize) -> f64 {
        self.at(row, column)
    }

    fn compare_ratios(&self, column: usize, over: usize, a: usize, b: usize) -> Ordering {
        let ratio = |row| self.at(row, column) / self.at(row, over);
        let (x, y): (f64, f64) = (ratio(a), ratio(b));
        if (x - y).abs() <= TIE * (1.0 + x.abs()) { Ordering::Equal } else { x.total_cmp(&y) }
    }

    /// The same as by [`Dictionary::compare_ratios`], with one division a row.
    fn least_ratios(&self, column: usize, over: usize, n_rows: usize, rows: &mut Vec<usize>) {
        rows.clear();
        let mut least = f64::INFINITY;
        for (row, line) in self.entries.chunks_exact(self.n_columns).take(n_rows).enumerate() {
            if line[over] <= ZERO {
                continue;
            }
            let ratio = line[column] / line[over];
            if !rows.is_empty() && (ratio - least).abs() <= TIE * (1.0 + ratio.abs()) {
                rows.push(row);
            } else if rows.is_empty() || ratio < least {
                rows.clear();
                rows.push(row);
                least = ratio;
            }
        }
    }

    fn value(&self, row: usize, column: usize) -> f64 {
        self.at(row, column) * (self.column_scale[column] / self.row_scale[row])
    }

    fn shake(&mut self, from: usize, to: usize, n_rows: usize) -> bool {
        for i in 0..self.n_rows {
            let line = &mut self.entries[i * self.n_columns..][..self.n_columns];
            let raise = if i < n_rows { SHAKE * (1.0 + ((i + 1) as f64 * GOLDEN).fract()) } else { 0.0 };
            line[to] = if i < n_rows { line[from].max(0.0) + raise } else { line[from] };
        }
        self.column_scale[to] = self.column_scale[from];
        true
    }

    fn set_artificial(&mut self, column: usize, rows: &[bool]) {
        for (i, &inside) in rows.iter().enumerate() {
            self.entries[i * self.n_columns + column] = if inside { -1.0 } else { 0.0 };
        }
    }
}
