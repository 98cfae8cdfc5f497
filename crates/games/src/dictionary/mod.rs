//! Dictionaries: the tables that every pivoting method here works on.
//!
//! A dictionary states basic variables `b_i` through nonbasic ones `n_j`: `b_i + sum_j t[i][j] n_j = 0`, where the
//! right-hand side is one more column whose "variable" is the constant -1. A pivot exchanges the variables of one
//! row and one column in place. Which variable stands where is the caller's business.
//!
//! Two kinds: [`FloatDictionary`] scales rows and columns by powers of two and compares with a tolerance;
//! [`IntegerDictionary`] is exact, without fractions in its inner loop.

mod float;
mod integer;

use std::cmp::Ordering;
use std::fmt::Debug;

pub use float::FloatDictionary;
pub use integer::IntegerDictionary;

/// A table of coefficients under pivoting. Rows and columns have positive scales of their own, which signs and
/// ratios of one column pair do not show, and which [`Dictionary::value`] takes out.
pub trait Dictionary: Clone + Debug + Send {
    /// What an entry is worth.
    type Value;

    /// A dictionary of `[n_rows, n_columns]` entries, row-major.
    ///
    /// # Panics
    /// If the number of entries is another, or a float is not finite.
    fn new(n_rows: usize, n_columns: usize, entries: &[Self::Value]) -> Self;

    /// A dictionary of entries that are all of about one size, so that floats need no scales.
    ///
    /// # Panics
    /// See [`Dictionary::new`].
    fn new_even(n_rows: usize, n_columns: usize, entries: &[Self::Value]) -> Self {
        Self::new(n_rows, n_columns, entries)
    }

    /// Number of rows.
    fn n_rows(&self) -> usize;

    /// Number of columns.
    fn n_columns(&self) -> usize;

    /// Exchanges the variables of a row and a column. Pivoting twice in the same place changes nothing.
    ///
    /// # Panics
    /// If the entry there is zero.
    fn pivot(&mut self, row: usize, column: usize);

    /// Sign of an entry; floats within the tolerance of zero are `Equal`.
    fn sign(&self, row: usize, column: usize) -> Ordering;

    /// Size of an entry in its row's and column's scale, for choosing pivots; its sign may be wrong near zero.
    fn weight(&self, row: usize, column: usize) -> f64;

    /// Compares `t[a][column] / t[a][over]` with `t[b][column] / t[b][over]`, where both `over` are positive;
    /// floats within the tolerance of each other are `Equal`.
    fn compare_ratios(&self, column: usize, over: usize, a: usize, b: usize) -> Ordering;

    /// The rows in which `t[row][column] / t[row][over]` is least, among the first `n_rows` whose `over` is
    /// positive; more than one where ratios tie, none where no row is positive.
    fn least_ratios(&self, column: usize, over: usize, n_rows: usize, rows: &mut Vec<usize>) {
        least_ratios(
            n_rows,
            rows,
            |row| self.sign(row, over).is_gt(),
            |a, b| self.compare_ratios(column, over, a, b),
        );
    }

    /// An entry without scales.
    fn value(&self, row: usize, column: usize) -> Self::Value;

    /// Copies a column to another, raised a little, by another amount in every row, so that none of the first
    /// `n_rows` is at or below zero. False where numbers are exact and need no such thing.
    fn shake(&mut self, _from: usize, _to: usize, _n_rows: usize) -> bool {
        false
    }

    /// Sets a column to `-1` (in the scale of each row) where `rows` says so and to zero elsewhere.
    fn set_artificial(&mut self, column: usize, rows: &[bool]);
}

/// The least of the rows that are in, and those equal to it.
fn least_ratios(
    n_rows: usize,
    rows: &mut Vec<usize>,
    is_in: impl Fn(usize) -> bool,
    compare: impl Fn(usize, usize) -> Ordering,
) {
    rows.clear();
    for row in (0..n_rows).filter(|&row| is_in(row)) {
        match rows.first().map_or(Ordering::Less, |&best| compare(row, best)) {
            Ordering::Less => {
                rows.clear();
                rows.push(row);
            }
            Ordering::Equal => rows.push(row),
            Ordering::Greater => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Rational, Scalar, ratio};

    fn table(seed: u64, n: usize, bound: u32) -> Vec<i64> {
        let mut stream = coact_core::Stream::new(seed, coact_core::Purpose::Init, 0, 0);
        (0..n).map(|_| i64::from(stream.below(2 * bound + 1)) - i64::from(bound)).collect()
    }

    /// Fractions, pivoted by the textbook.
    fn pivot_plainly(t: &mut [Vec<Rational>], row: usize, column: usize) {
        let p = t[row][column].clone();
        let (n_rows, n_columns) = (t.len(), t[0].len());
        let pivot_row: Vec<Rational> = t[row].iter().map(|x| x / &p).collect();
        for i in (0..n_rows).filter(|&i| i != row) {
            let f = t[i][column].clone();
            for j in 0..n_columns {
                t[i][j] = match j == column {
                    true => -(&f / &p),
                    false => &t[i][j] - &f * &pivot_row[j],
                };
            }
        }
        t[row] = pivot_row;
        t[row][column] = p.recip();
    }

    /// Pivots along while entries grow from 64 bits to 128 to any size.
    #[test]
    fn both_kinds_pivot_like_fractions() {
        for (seed, bound) in [(1, 3), (2, 1000), (3, 1_000_000), (4, 2_000_000_000)] {
            let (rows, columns) = (9, 10);
            let entries = table(seed, rows * columns, bound);
            let exact: Vec<Rational> = entries.iter().map(|&x| ratio(x, 1 + (x & 1))).collect();
            let float: Vec<f64> = exact.iter().map(Scalar::to_float).collect();
            let mut plain: Vec<Vec<Rational>> = exact.chunks(columns).map(<[_]>::to_vec).collect();
            let mut integers = IntegerDictionary::new(rows, columns, &exact);
            let mut floats = FloatDictionary::new(rows, columns, &float);
            let zero = ratio(0, 1);
            for k in 0..14 {
                let (row, column) = ((k * 4) % rows, (k * 7) % columns);
                if plain[row][column] == zero {
                    continue;
                }
                pivot_plainly(&mut plain, row, column);
                integers.pivot(row, column);
                floats.pivot(row, column);
                for (i, line) in plain.iter().enumerate() {
                    for (j, expected) in line.iter().enumerate() {
                        assert_eq!(&integers.value(i, j), expected, "entry {i}, {j} after pivot {k}");
                        assert_eq!(integers.sign(i, j), expected.cmp(&zero));
                        let error = (floats.value(i, j) - expected.to_float()).abs();
                        assert!(error <= 1e-7 * expected.to_float().abs().max(1.0), "float off by {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn ratios_compare_exactly_at_any_size() {
        for bound in [5, 2_000_000_000] {
            let entries: Vec<Rational> =
                table(9, 60, bound).iter().map(|&x| ratio(if x == 0 { 1 } else { x }, 1)).collect();
            let mut integers = IntegerDictionary::new(12, 5, &entries);
            for k in 0..4 {
                integers.pivot(k, k);
                for a in 0..12 {
                    for b in 0..12 {
                        if integers.sign(a, 4).is_gt() && integers.sign(b, 4).is_gt() {
                            let ratio_of = |r| integers.value(r, 0) / integers.value(r, 4);
                            let expected = ratio_of(a).cmp(&ratio_of(b));
                            assert_eq!(integers.compare_ratios(0, 4, a, b), expected);
                        }
                    }
                }
            }
        }
    }
}
