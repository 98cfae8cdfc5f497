//! Linear programs with their symmetries folded (Grohe, Kersting, Mladenov and Schweitzer 2014, "Dimension reduction
//! via colour refinement").
//!
//! Rows and columns that cannot be told apart, by their coefficients and by the rows and columns they meet, get one color.
//! A program has an optimum in which columns of one color are equal, and one in which rows of one color have equal
//! prices, so one row and one column a color suffice. In poker, suits that differ in name only vanish.

use std::collections::HashMap;

use crate::linear::{Optimum, Program, Relation};
use crate::{Error, Rational, Result, Scalar};

/// Entries of the dense table up to which a program is set up: 100 MB of floats.
const MOST_ENTRIES: usize = 12_000_000;

/// A program of the form: maximize `objective x` where `rows x <= bounds`, `x >= 0`; sparse and exact.
#[derive(Debug, Clone)]
pub(super) struct Sparse {
    pub(super) objective: Vec<Rational>,
    pub(super) bounds: Vec<Rational>,
    /// `(row, column, coefficient)`, at most one for each place.
    pub(super) entries: Vec<(u32, u32, Rational)>,
}

/// Colors of rows and columns, numbered from 0.
struct Colors {
    row: Vec<u32>,
    column: Vec<u32>,
    n_rows: usize,
    n_columns: usize,
}

impl Sparse {
    /// Solves the folded program in numbers of type `S` and unfolds the answer.
    ///
    /// # Errors
    /// No optimum, or floats that lose their accuracy.
    pub(super) fn solve<S: Scalar>(&self, what: &str) -> Result<Optimum<S>> {
        let colors = self.colors();
        let entries = colors.n_rows.saturating_mul(colors.n_columns);
        if entries > MOST_ENTRIES {
            return Err(Error::TooLarge {
                what: what.into(),
                estimate: entries as f64,
                unit: "numbers",
                limit: MOST_ENTRIES as f64,
                remedy: "use `cfr+`".into(),
            });
        }
        let folded = self.fold::<S>(&colors).solve()?.optimal(what)?;
        let sizes = |colors: &[u32], n: usize| {
            let mut sizes = vec![0i64; n];
            colors.iter().for_each(|&c| sizes[c as usize] += 1);
            sizes
        };
        let row_sizes = sizes(&colors.row, colors.n_rows);
        let share = |&c: &u32| folded.dual[c as usize].clone() / &S::from_int(row_sizes[c as usize]);
        Ok(Optimum {
            primal: colors.column.iter().map(|&c| folded.primal[c as usize].clone()).collect(),
            dual: colors.row.iter().map(share).collect(),
            value: folded.value,
            n_pivots: folded.n_pivots,
        })
    }

    /// One row and one column a color: the first row of each, with the coefficients of each color of columns summed.
    fn fold<S: Scalar>(&self, colors: &Colors) -> Program<S> {
        let mut objective = vec![S::zero(); colors.n_columns];
        for (c, &color) in self.objective.iter().zip(&colors.column) {
            let sum = &mut objective[color as usize];
            *sum = S::from_rational(c) + &*sum;
        }
        let first = |colors: &[u32], n: usize| {
            let mut first = vec![u32::MAX; n];
            colors.iter().enumerate().rev().for_each(|(i, &c)| first[c as usize] = i as u32);
            first
        };
        let first_row = first(&colors.row, colors.n_rows);
        let mut rows = vec![vec![S::zero(); colors.n_columns]; colors.n_rows];
        for (row, column, coefficient) in &self.entries {
            let color = colors.row[*row as usize] as usize;
            if first_row[color] == *row {
                let sum = &mut rows[color][colors.column[*column as usize] as usize];
                *sum = S::from_rational(coefficient) + &*sum;
            }
        }
        let mut program = Program::new(objective);
        for (row, &first) in rows.into_iter().zip(&first_row) {
            program.add(row, Relation::AtMost, S::from_rational(&self.bounds[first as usize]));
        }
        program
    }

    /// Refines colors until all rows of a color meet every color of columns with the same coefficients, and the other way
    /// round.
    fn colors(&self) -> Colors {
        let mut numbers = HashMap::new();
        let mut number = |x: &Rational| {
            let next = numbers.len() as u32;
            *numbers.entry(x.clone()).or_insert(next)
        };
        let mut row: Vec<u32> = self.bounds.iter().map(&mut number).collect();
        let mut column: Vec<u32> = self.objective.iter().map(&mut number).collect();
        let mut by_row = vec![Vec::new(); row.len()];
        let mut by_column = vec![Vec::new(); column.len()];
        for (i, j, coefficient) in &self.entries {
            let coefficient = number(coefficient);
            by_row[*i as usize].push((*j, coefficient));
            by_column[*j as usize].push((*i, coefficient));
        }
        let (mut n_rows, mut n_columns) = (0, 0);
        loop {
            let rows = refine(&mut row, &by_row, &column);
            let columns = refine(&mut column, &by_column, &row);
            if (rows, columns) == (n_rows, n_columns) {
                return Colors { row, column, n_rows, n_columns };
            }
            (n_rows, n_columns) = (rows, columns);
        }
    }
}

/// Splits colors by the colors met and the coefficients there; numbers them by first appearance and says how many.
fn refine(colors: &mut [u32], met: &[Vec<(u32, u32)>], others: &[u32]) -> usize {
    let mut seen: HashMap<(u32, Vec<(u32, u32)>), u32> = HashMap::new();
    for (color, met) in colors.iter_mut().zip(met) {
        let mut sign: Vec<(u32, u32)> = met.iter().map(|&(i, c)| (others[i as usize], c)).collect();
        sign.sort_unstable();
        let next = seen.len() as u32;
        *color = *seen.entry((*color, sign)).or_insert(next);
    }
    seen.len()
}
