//! Optimal strategies of a zero-sum game of two players, by one linear program whose dual is the other side.
//!
//! With payoffs made positive, maximize `sum y` subject to `A y <= 1`; the value is the reciprocal of the maximum,
//! `y` and the prices, scaled to sum to one, are the strategies.

use crate::certificate;
use crate::error::{Error, Result};
use crate::linear::{Program, Relation};
use crate::normal_form::minimum;
use crate::scalar::Scalar;

/// A solution and its proof: each strategy's worst case is the value.
#[derive(Debug, Clone, PartialEq)]
pub struct ZeroSum<S> {
    /// What the row player gets.
    pub value: S,
    /// Row player's strategy; earns at least the value against anything.
    pub row: Vec<S>,
    /// Column player's strategy; gives away at most the value against anything.
    pub column: Vec<S>,
    /// Pivots taken.
    pub n_pivots: usize,
}

/// Gap of the strategies' guarantees, relative to the payoffs' spread, that floats may leave.
const FLOAT_GAP: f64 = 1e-9;

/// Solves the game whose row player gets `table[i, j]` (`[n_rows, n_columns]`) from the column player.
///
/// # Errors
/// If the table is empty or of another size, or floats lose their accuracy.
pub fn zero_sum<S: Scalar>(n_rows: usize, n_columns: usize, table: &[S]) -> Result<ZeroSum<S>> {
    let expected = n_rows * n_columns;
    if table.len() != expected || table.is_empty() {
        return Err(Error::Shape { what: "the payoff table", found: table.len(), expected: expected.max(1) });
    }
    if !S::EXACT && table.iter().any(|u| !u.to_float().is_finite()) {
        return Err(Error::invalid("a payoff is not finite; give numbers only"));
    }
    let low = minimum(table).clone();
    let above: Vec<S> = table.iter().map(|u| u.clone() - &low).collect();
    let unit = S::unit_of(&above);
    let mut program = Program::new(vec![S::one(); n_columns]);
    for row in above.chunks_exact(n_columns) {
        let positive = row.iter().map(|u| u.clone() / &unit + &S::one());
        program.add(positive.collect(), Relation::AtMost, S::one());
    }
    let optimum = program.solve()?.optimal("the program of a zero-sum game")?;
    let (row, column) = (distribution(optimum.dual), distribution(optimum.primal));
    let value = (S::one() / &optimum.value - &S::one()) * &unit + &low;
    if !S::EXACT {
        let (least, most) = certificate::zero_sum_bounds(table, &row, &column);
        let gap = most.to_float() - least.to_float();
        let closed = gap <= FLOAT_GAP * (unit.to_float() + 1e-6 * low.to_float().abs());
        if !closed {
            return Err(Error::Inaccurate { what: "the program of a zero-sum game" });
        }
    }
    Ok(ZeroSum { value, row, column, n_pivots: optimum.n_pivots })
}

/// Scaled to sum one.
fn distribution<S: Scalar>(list: Vec<S>) -> Vec<S> {
    let sum = list.iter().fold(S::zero(), |sum, x| sum + x);
    list.into_iter().map(|x| x / &sum).collect()
}
