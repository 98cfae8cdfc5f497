//! Linear assignment: partners for the rows of a cost matrix among its columns, one each, at the least or greatest
//! total. The shorter side is assigned completely; class ND[ST-SR-IA] of the taxonomy.
//!
//! Every method but the auction is exact. All but the ranked ones return dual prices, which prove it: see
//! [`crate::certificate`]. Equal inputs give equal answers, ties included, at any number of threads.

pub mod auction;
mod hungarian;
mod jonker_volgenant;
mod lanes;
mod matching;
pub mod ranked;
mod sparse;

use std::borrow::Cow;

use crate::matrix::{CostMatrix, Objective, SparseCosts, sum};
use crate::{Error, Result};

pub use auction::{AuctionOptions, AuctionOutcome, auction};
pub use ranked::best_assignments;

/// "No partner" in arrays of indices.
const NONE: u32 = u32::MAX;

/// Dual prices of an assignment, in the units of its costs. Minimizing, `rows[i] + cols[j] <= cost[i][j]` for every
/// allowed pair, with equality where they are assigned, and prices of the longer side are at most 0, and 0 where
/// it has no partner. Maximizing, the same with the signs turned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prices {
    /// One price a row.
    pub rows: Vec<f64>,
    /// One price a column.
    pub cols: Vec<f64>,
}

/// Who goes with whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Column of each row; `None` only where there are more rows than columns.
    pub row_to_col: Vec<Option<usize>>,
    /// Sum of the costs of the pairs, in the units of the input.
    pub total: f64,
    /// Dual prices, where the method has them.
    pub prices: Option<Prices>,
}

impl Assignment {
    /// The pairs (row, column), by ascending row.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.row_to_col.iter().enumerate().filter_map(|(row, col)| col.map(|col| (row, col)))
    }
}

/// Solves by Jonker and Volgenant's shortest augmenting paths (Computing 38, 1987): column reduction, reduction
/// transfer and augmenting row reduction, then a shortest path for each row that is still free. `O(n^3)`, and the
/// fastest method here for dense matrices.
///
/// # Errors
/// [`Error::Infeasible`] if forbidden pairs leave no complete assignment.
pub fn jonker_volgenant(costs: &CostMatrix, objective: Objective) -> Result<Assignment> {
    solve_dense(costs, objective, jonker_volgenant::solve)
}

/// Solves by the Hungarian method of Kuhn and Munkres in its `O(n^3)` form: row by row, an alternating tree grows
/// along tight pairs, and prices move by the least slack whenever it cannot.
///
/// # Errors
/// [`Error::Infeasible`] if forbidden pairs leave no complete assignment.
pub fn hungarian(costs: &CostMatrix, objective: Objective) -> Result<Assignment> {
    solve_dense(costs, objective, hungarian::solve)
}

/// Solves a sparse problem by shortest augmenting paths over its entries, found with a heap.
///
/// # Errors
/// [`Error::Infeasible`] if the entries hold no complete assignment.
pub fn sparse(costs: &SparseCosts, objective: Objective) -> Result<Assignment> {
    let transposed = costs.n_rows() > costs.n_cols();
    let oriented = costs.oriented(objective.sign(), transposed);
    let raw = sparse::solve(&oriented).map_err(|deficit| deficit.into_error(transposed))?;
    let at = |row, col| costs.at(row, col).unwrap_or(f64::NAN);
    Ok(raw.into_assignment(costs.n_rows(), costs.n_cols(), transposed, objective, at))
}

type DenseSolver = fn(&[f64], usize, usize) -> Result<Raw, Deficit>;

fn solve_dense(costs: &CostMatrix, objective: Objective, solver: DenseSolver) -> Result<Assignment> {
    let oriented = Oriented::new(costs, objective);
    let raw = solver(&oriented.costs, oriented.n_rows, oriented.n_cols)
        .map_err(|deficit| deficit.into_error(oriented.transposed))?;
    let at = |row, col| costs.at(row, col);
    Ok(raw.into_assignment(costs.n_rows(), costs.n_cols(), oriented.transposed, objective, at))
}

/// A matrix turned so that its total is minimized and it has no more rows than columns.
struct Oriented<'a> {
    n_rows: usize,
    n_cols: usize,
    costs: Cow<'a, [f64]>,
    transposed: bool,
}

impl<'a> Oriented<'a> {
    fn new(matrix: &'a CostMatrix, objective: Objective) -> Self {
        let (n_rows, n_cols) = (matrix.n_rows(), matrix.n_cols());
        let transposed = n_rows > n_cols;
        if objective == Objective::Minimize && !transposed {
            return Self { n_rows, n_cols, costs: Cow::Borrowed(matrix.costs()), transposed };
        }
        let turned = |c: f64| if c == f64::INFINITY { c } else { objective.sign() * c };
        let mut costs: Vec<f64>;
        if transposed {
            costs = vec![0.0; n_rows * n_cols];
            for row in 0..n_rows {
                for (col, &c) in matrix.row(row).iter().enumerate() {
                    costs[col * n_rows + row] = turned(c);
                }
            }
            return Self { n_rows: n_cols, n_cols: n_rows, costs: Cow::Owned(costs), transposed };
        }
        costs = matrix.costs().iter().map(|&c| turned(c)).collect();
        Self { n_rows, n_cols, costs: Cow::Owned(costs), transposed }
    }
}

/// What a solver of the oriented problem returns.
struct Raw {
    /// Column of each row.
    row_to_col: Vec<u32>,
    row_prices: Vec<f64>,
    col_prices: Vec<f64>,
}

impl Raw {
    fn into_assignment(
        self,
        n_rows: usize,
        n_cols: usize,
        transposed: bool,
        objective: Objective,
        cost: impl Fn(usize, usize) -> f64,
    ) -> Assignment {
        let mut row_to_col = vec![None; n_rows];
        for (i, &j) in self.row_to_col.iter().enumerate() {
            let (row, col) = if transposed { (j as usize, i) } else { (i, j as usize) };
            row_to_col[row] = Some(col);
        }
        let pairs = row_to_col.iter().enumerate();
        let total = sum(pairs.filter_map(|(row, col)| col.map(|col| cost(row, col))));
        let turn = |prices: Vec<f64>| prices.into_iter().map(|p| objective.sign() * p + 0.0).collect();
        let (rows, cols): (Vec<f64>, Vec<f64>) = (turn(self.row_prices), turn(self.col_prices));
        let (rows, cols) = if transposed { (cols, rows) } else { (rows, cols) };
        debug_assert_eq!((rows.len(), cols.len()), (n_rows, n_cols));
        Assignment { row_to_col, total, prices: Some(Prices { rows, cols }) }
    }
}

/// Rows of an oriented problem that cannot all be assigned.
struct Deficit {
    members: Vec<usize>,
    n_choices: usize,
}

impl Deficit {
    fn into_error(self, transposed: bool) -> Error {
        let side = if transposed { "column" } else { "row" };
        let mut members = self.members;
        members.sort_unstable();
        Error::Infeasible { side, members, n_choices: self.n_choices }
    }
}
