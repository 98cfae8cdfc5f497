//! Exact dictionaries: integers over one common denominator, pivoted without fractions (Edmonds 1967, Bareiss
//! 1968): after any pivots every entry is a minor of the first table, and each division leaves no remainder.
//!
//! Entries start as 64-bit numbers and move to 128 bits, then to any size, before a pivot could overflow. In
//! the two small forms an exact division is a multiplication by the inverse of the odd part of the divisor
//! modulo `2^bits` and a shift, so that the inner loop neither branches nor divides.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::Dictionary;
use crate::scalar::Rational;

/// An exact dictionary. An entry is `integer / denominator`, times the scale of its column, over that of its row.
#[derive(Debug, Clone)]
pub struct IntegerDictionary {
    table: Table,
    row_scale: Vec<Rational>,
    column_scale: Vec<Rational>,
    /// Bits that hold every minor of the first table, and so every entry ever; none where that is not known.
    minor_bits: Option<u32>,
}

#[derive(Debug, Clone)]
enum Table {
    Small(Grid<i64>),
    Wide(Grid<i128>),
    Big(Grid<BigInt>),
}

#[derive(Debug, Clone)]
struct Grid<I> {
    /// `[n_rows, n_columns]`.
    entries: Vec<I>,
    n_columns: usize,
    /// Common denominator, positive.
    denominator: I,
    /// For each row, bits that hold the size of each entry.
    row_bits: Vec<u32>,
    pivot_row: Vec<I>,
}

/// An integer of fixed width, with the arithmetic modulo `2^BITS` that exact pivoting needs.
trait Machine: Copy + Ord + Into<BigInt> + ToPrimitive {
    const BITS: u32;
    const ZERO: Self;
    fn negate(self) -> Self;
    /// All bits of the size are below the highest bit of the result, and results can be joined by "or".
    fn spread(self) -> Self;
    fn or(self, other: Self) -> Self;
    fn bits(self) -> u32;
    fn trailing_zeros(self) -> u32;
    /// `self * p - f * r >> shift`, modulo `2^BITS`.
    fn update(self, p: Self, f: Self, r: Self, shift: u32) -> Self;
    /// `self * other` modulo `2^BITS`.
    fn times(self, other: Self) -> Self;
    /// Inverse of the odd part modulo `2^BITS`.
    fn odd_inverse(self) -> Self;
    /// Sign of `self * d - b * c`, where `d` and `b` may be of any sign.
    fn compare_products(self, d: Self, b: Self, c: Self) -> Ordering;
}

macro_rules! machine {
    ($int:ty, $compare:expr) => {
        impl Machine for $int {
            const BITS: u32 = <$int>::BITS;
            const ZERO: Self = 0;

            fn negate(self) -> Self {
                -self
            }

            fn spread(self) -> Self {
                self ^ (self >> (Self::BITS - 1))
            }

            fn or(self, other: Self) -> Self {
                self | other
            }

            fn bits(self) -> u32 {
                Self::BITS - self.spread().leading_zeros()
            }

            fn trailing_zeros(self) -> u32 {
                self.trailing_zeros()
            }

            #[inline(always)]
            fn update(self, p: Self, f: Self, r: Self, shift: u32) -> Self {
                self.wrapping_mul(p).wrapping_sub(f.wrapping_mul(r)) >> shift
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            fn odd_inverse(self) -> Self {
                let odd = self >> self.trailing_zeros();
                // Right to 3 bits; each of Newton's steps doubles them.
                let mut inverse = odd;
                for _ in 0..6 {
                    inverse = inverse.wrapping_mul((2 as Self).wrapping_sub(odd.wrapping_mul(inverse)));
                }
                inverse
            }

            fn compare_products(self, d: Self, b: Self, c: Self) -> Ordering {
                let compare: fn(Self, Self, Self, Self) -> Ordering = $compare;
                compare(self, d, b, c)
            }
        }
    };
}

machine!(i64, |a, d, b, c| (i128::from(a) * i128::from(d)).cmp(&(i128::from(b) * i128::from(c))));
machine!(i128, compare_wide);

/// Sign of `a * d - b * c`, by products of 256 bits.
fn compare_wide(a: i128, d: i128, b: i128, c: i128) -> Ordering {
    let (left, right) = (a.signum() * d.signum(), b.signum() * c.signum());
    let sizes = || {
        wide_product(a.unsigned_abs(), d.unsigned_abs())
            .cmp(&wide_product(b.unsigned_abs(), c.unsigned_abs()))
    };
    left.cmp(&right).then_with(|| if left < 0 { sizes().reverse() } else { sizes() })
}

/// `a * b` as its high and its low half.
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    let low = |x: u128| x & u128::from(u64::MAX);
    let (cross, other) = (low(a) * (b >> 64), (a >> 64) * low(b));
    let least = low(a) * low(b);
    let middle = (least >> 64) + low(cross) + low(other);
    ((a >> 64) * (b >> 64) + (cross >> 64) + (other >> 64) + (middle >> 64), middle << 64 | low(least))
}

impl<I: Machine> Grid<I> {
    /// Pivots, unless an entry might not fit; then nothing has changed.
    #[must_use]
    fn pivot(&mut self, row: usize, column: usize, minor_bits: Option<u32>) -> bool {
        let n = self.n_columns;
        let p = self.entries[row * n + column];
        let divisor = self.denominator;
        let shift = divisor.trailing_zeros();
        // Results are right as soon as they fit once shifted: only their lowest bits are ever computed.
        let always_fits = minor_bits.is_some_and(|bits| bits + shift < I::BITS);
        if !always_fits && !self.next_fits(row, column, shift) {
            return false;
        }
        let negative = p < I::ZERO;
        let (p, inverse) = (if negative { p.negate() } else { p }, divisor.odd_inverse());
        // Both products of an entry take the inverse along, which saves a third one.
        let by_pivot = p.times(inverse);
        for (to, &from) in self.pivot_row.iter_mut().zip(&self.entries[row * n..][..n]) {
            *to = from.times(inverse);
        }
        self.pivot_row[column] = I::ZERO;
        for (i, line) in self.entries.chunks_exact_mut(n).enumerate() {
            if i == row {
                continue;
            }
            let factor = line[column];
            if factor == I::ZERO && p == divisor {
                continue;
            }
            let by = if negative { factor.negate() } else { factor };
            let mut all = I::ZERO;
            for (x, &r) in line.iter_mut().zip(&self.pivot_row) {
                *x = x.update(by_pivot, by, r, shift);
                all = all.or(x.spread());
            }
            line[column] = by.negate();
            self.row_bits[i] = all.or(by.spread()).bits();
        }
        let line = &mut self.entries[row * n..][..n];
        if negative {
            line.iter_mut().for_each(|x| *x = x.negate());
        }
        line[column] = if negative { divisor.negate() } else { divisor };
        self.row_bits[row] = line.iter().map(|x| x.bits()).max().unwrap_or(0);
        self.denominator = p;
        true
    }

    /// Whether the sizes of factors show that no entry after a pivot is too large.
    fn next_fits(&self, row: usize, column: usize, shift: u32) -> bool {
        let n = self.n_columns;
        let size = self.entries[row * n + column].spread().bits();
        (0..self.row_bits.len()).filter(|&i| i != row).all(|i| {
            let factor = self.entries[i * n + column].bits();
            let widest = (self.row_bits[i] + size).max(factor + self.row_bits[row]) + 1;
            widest + 2 + shift < I::BITS + self.denominator.bits()
        })
    }

    fn widen<J: Clone + From<I>>(&self, zero: J) -> Grid<J> {
        Grid {
            entries: self.entries.iter().map(|&x| J::from(x)).collect(),
            n_columns: self.n_columns,
            denominator: J::from(self.denominator),
            row_bits: self.row_bits.clone(),
            pivot_row: vec![zero; self.n_columns],
        }
    }
}

impl Grid<BigInt> {
    fn narrow(&self) -> Option<Grid<i128>> {
        let entries: Vec<i128> = self.entries.iter().map(ToPrimitive::to_i128).collect::<Option<_>>()?;
        let row_bits = |row: &[i128]| row.iter().map(|x| x.bits()).max().unwrap_or(0);
        Some(Grid {
            row_bits: entries.chunks_exact(self.n_columns).map(row_bits).collect(),
            entries,
            n_columns: self.n_columns,
            denominator: self.denominator.to_i128()?,
            pivot_row: vec![0; self.n_columns],
        })
    }

    fn pivot(&mut self, row: usize, column: usize) {
        let n = self.n_columns;
        let line = &mut self.entries[row * n..][..n];
        let negative = line[column].is_negative();
        if negative {
            line.iter_mut().for_each(|x| *x = -std::mem::take(x));
        }
        let p = std::mem::replace(&mut line[column], BigInt::zero());
        self.pivot_row.clone_from_slice(line);
        for (i, line) in self.entries.chunks_exact_mut(n).enumerate() {
            if i == row {
                continue;
            }
            // With a negative pivot the row was negated, and with it the sign of this factor's product.
            let factor = std::mem::take(&mut line[column]);
            for (x, r) in line.iter_mut().zip(&self.pivot_row) {
                if x.is_zero() && (factor.is_zero() || r.is_zero()) {
                    continue;
                }
                *x *= &p;
                if !factor.is_zero() && !r.is_zero() {
                    *x -= &factor * r;
                }
                *x /= &self.denominator;
            }
            line[column] = if negative { factor } else { -factor };
        }
        let divisor = std::mem::replace(&mut self.denominator, p);
        self.entries[row * n + column] = if negative { -divisor } else { divisor };
    }
}

/// `$grid` bound to the grid of whatever width.
macro_rules! with_grid {
    ($table:expr, $grid:ident => $body:expr) => {
        match $table {
            Table::Small($grid) => $body,
            Table::Wide($grid) => $body,
            Table::Big($grid) => $body,
        }
    };
}

impl IntegerDictionary {
    fn integer(&self, row: usize, column: usize) -> BigInt {
        match &self.table {
            Table::Small(grid) => grid.entries[row * grid.n_columns + column].into(),
            Table::Wide(grid) => grid.entries[row * grid.n_columns + column].into(),
            Table::Big(grid) => grid.entries[row * grid.n_columns + column].clone(),
        }
    }

    fn denominator(&self) -> BigInt {
        match &self.table {
            Table::Small(grid) => grid.denominator.into(),
            Table::Wide(grid) => grid.denominator.into(),
            Table::Big(grid) => grid.denominator.clone(),
        }
    }
}

/// Bits (with a sign) that hold every minor of a table: by Hadamard none is larger than the product of its rows' lengths.
fn minor_bits(entries: &[BigInt], n_columns: usize) -> Option<u32> {
    let squared = |row: &[BigInt]| -> f64 { row.iter().filter_map(ToPrimitive::to_f64).map(|x| x * x).sum() };
    // A little more than it is, for rounding.
    let rows = entries.chunks_exact(n_columns.max(1)).map(|row| squared(row).max(1.0) * (1.0 + 1e-12));
    let product: f64 = rows.product();
    let exponent = (product.to_bits() >> 52) as u32;
    product.is_finite().then(|| (exponent - 1023) / 2 + 2)
}

/// Scales a row to integers without a common factor; gives the factor.
fn clear_fractions(row: &[Rational], to: &mut Vec<BigInt>) -> Rational {
    let denominator = row.iter().fold(BigInt::one(), |l, x| l.lcm(x.denom()));
    let start = to.len();
    to.extend(row.iter().map(|x| x.numer() * (&denominator / x.denom())));
    let common = to[start..].iter().fold(BigInt::zero(), |g, x| g.gcd(x));
    if common.is_zero() {
        return Rational::one();
    }
    to[start..].iter_mut().for_each(|x| *x /= &common);
    Rational::new(denominator, common)
}

impl Dictionary for IntegerDictionary {
    type Value = Rational;

    fn new(n_rows: usize, n_columns: usize, entries: &[Rational]) -> Self {
        assert_eq!(entries.len(), n_rows * n_columns, "entries of a [{n_rows}, {n_columns}] dictionary");
        let mut integers = Vec::with_capacity(entries.len());
        let row_scale = match n_columns {
            0 => vec![Rational::one(); n_rows],
            _ => entries.chunks_exact(n_columns).map(|row| clear_fractions(row, &mut integers)).collect(),
        };
        let narrow = |x: &BigInt| x.to_i64().filter(|x| x.unsigned_abs() < 1 << 62);
        let row_bits = |i: usize| {
            let row = &integers[i * n_columns..][..n_columns];
            row.iter().map(|x| x.bits() as u32 + 1).max().unwrap_or(1)
        };
        let minor_bits = minor_bits(&integers, n_columns);
        let small: Option<Vec<i64>> = integers.iter().map(narrow).collect();
        let table = match small {
            Some(entries) => Table::Small(Grid {
                entries,
                n_columns,
                denominator: 1,
                row_bits: (0..n_rows).map(row_bits).collect(),
                pivot_row: vec![0; n_columns],
            }),
            None => Table::Big(Grid {
                entries: integers,
                n_columns,
                denominator: BigInt::one(),
                row_bits: vec![0; n_rows],
                pivot_row: vec![BigInt::zero(); n_columns],
            }),
        };
        Self { table, row_scale, column_scale: vec![Rational::one(); n_columns], minor_bits }
    }

    fn n_rows(&self) -> usize {
        self.row_scale.len()
    }

    fn n_columns(&self) -> usize {
        self.column_scale.len()
    }

    fn pivot(&mut self, row: usize, column: usize) {
        assert!(self.sign(row, column).is_ne(), "pivot on a zero at ({row}, {column})");
        let bits = self.minor_bits;
        loop {
            let wider = match &mut self.table {
                Table::Small(grid) => (!grid.pivot(row, column, bits)).then(|| Table::Wide(grid.widen(0))),
                Table::Wide(grid) => {
                    (!grid.pivot(row, column, bits)).then(|| Table::Big(grid.widen(BigInt::zero())))
                }
                Table::Big(grid) => {
                    grid.pivot(row, column);
                    // Where only products on the way were too large, a rare pivot shall not slow down all others.
                    let narrow = bits.filter(|&bits| bits < i128::BITS).and_then(|_| grid.narrow());
                    if let Some(narrow) = narrow {
                        self.table = Table::Wide(narrow);
                    }
                    break;
                }
            };
            match wider {
                Some(wider) => self.table = wider,
                None => break,
            }
        }
        std::mem::swap(&mut self.row_scale[row], &mut self.column_scale[column]);
    }

    fn sign(&self, row: usize, column: usize) -> Ordering {
        match &self.table {
            Table::Small(grid) => grid.entries[row * grid.n_columns + column].cmp(&0),
            Table::Wide(grid) => grid.entries[row * grid.n_columns + column].cmp(&0),
            Table::Big(grid) => grid.entries[row * grid.n_columns + column].cmp(&BigInt::zero()),
        }
    }

    fn weight(&self, row: usize, column: usize) -> f64 {
        with_grid!(&self.table, grid => {
            let entry = &grid.entries[row * grid.n_columns + column];
            let (entry, by) = (entry.to_f64().unwrap_or(0.0), grid.denominator.to_f64().unwrap_or(1.0));
            if entry.is_finite() && by.is_finite() { entry / by } else { f64::MAX.copysign(entry) }
        })
    }

    fn compare_ratios(&self, column: usize, over: usize, a: usize, b: usize) -> Ordering {
        match &self.table {
            Table::Small(grid) => compare_ratios(grid, column, over, a, b),
            Table::Wide(grid) => compare_ratios(grid, column, over, a, b),
            Table::Big(grid) => {
                let at = |row: usize, column: usize| &grid.entries[row * grid.n_columns + column];
                (at(a, column) * at(b, over)).cmp(&(at(b, column) * at(a, over)))
            }
        }
    }

    fn least_ratios(&self, column: usize, over: usize, n_rows: usize, rows: &mut Vec<usize>) {
        match &self.table {
            Table::Small(grid) => least_ratios(grid, column, over, n_rows, rows),
            Table::Wide(grid) => least_ratios(grid, column, over, n_rows, rows),
            Table::Big(grid) => {
                let at = |row: usize, column: usize| &grid.entries[row * grid.n_columns + column];
                super::least_ratios(
                    n_rows,
                    rows,
                    |row| at(row, over).is_positive(),
                    |a, b| (at(a, column) * at(b, over)).cmp(&(at(b, column) * at(a, over))),
                );
            }
        }
    }

    fn value(&self, row: usize, column: usize) -> Rational {
        let entry = Rational::new(self.integer(row, column), self.denominator());
        entry * &self.column_scale[column] / &self.row_scale[row]
    }

    fn set_artificial(&mut self, column: usize, rows: &[bool]) {
        // The column of a variable whose coefficients in the first table are integers: minus the basis' sum.
        self.minor_bits = None;
        match &mut self.table {
            Table::Small(grid) => set_artificial(grid, column, rows),
            Table::Wide(grid) => set_artificial(grid, column, rows),
            Table::Big(grid) => {
                for (i, &inside) in rows.iter().enumerate() {
                    let entry = if inside { -grid.denominator.clone() } else { BigInt::zero() };
                    grid.entries[i * grid.n_columns + column] = entry;
                }
            }
        }
    }
}

fn compare_ratios<I: Machine>(grid: &Grid<I>, column: usize, over: usize, a: usize, b: usize) -> Ordering {
    let at = |row: usize, column: usize| grid.entries[row * grid.n_columns + column];
    at(a, column).compare_products(at(b, over), at(b, column), at(a, over))
}

fn least_ratios<I: Machine>(
    grid: &Grid<I>,
    column: usize,
    over: usize,
    n_rows: usize,
    rows: &mut Vec<usize>,
) {
    let positive = |row: usize| grid.entries[row * grid.n_columns + over] > I::ZERO;
    super::least_ratios(n_rows, rows, positive, |a, b| compare_ratios(grid, column, over, a, b));
}

fn set_artificial<I: Machine>(grid: &mut Grid<I>, column: usize, rows: &[bool]) {
    let minus_one = grid.denominator.negate();
    for (i, &inside) in rows.iter().enumerate() {
        grid.entries[i * grid.n_columns + column] = if inside { minus_one } else { I::ZERO };
        grid.row_bits[i] = grid.row_bits[i].max(minus_one.bits() + 1);
    }
}
