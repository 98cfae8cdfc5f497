//! Bertsekas' auction: free rows bid for columns, columns go to the highest bidder, and prices prove the result.
//! All free rows bid at once (the Jacobi form), so bids can be counted out in parallel and the outcome cannot
//! depend on the number of threads. Epsilon falls in phases; prices of one phase start the next.
//!
//! The total is within `n * epsilon` of the optimum, n the shorter side; with integer costs and `epsilon < 1 / n` it is
//! the optimum. Where columns are left over, a reverse auction follows each phase (Bertsekas and Castañon 1992): it
//! brings their prices down to that of the cheapest column that has a row, which the proof needs.

use rayon::prelude::*;

use super::{Assignment, NONE, Oriented, Raw, matching};
use crate::matrix::{CostMatrix, Objective};
use crate::{Error, Result};

/// Free rows times columns below which threads cost more than they bring.
const PARALLEL_WORK: usize = 1 << 16;

/// Settings of [`auction`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuctionOptions {
    /// Least raise of a bid in the last phase. If `None`, `1 / (n + 1)` for integer costs, which makes the result
    /// exact, and else the range of costs times `1e-9 / n`.
    pub epsilon: Option<f64>,
    /// Factor by which epsilon falls from phase to phase; above 1. Bertsekas advises 4 to 10.
    pub scaling: f64,
}

impl Default for AuctionOptions {
    fn default() -> Self {
        Self { epsilon: None, scaling: 5.0 }
    }
}

/// What an auction came to.
#[derive(Debug, Clone, PartialEq)]
pub struct AuctionOutcome {
    /// The assignment, with prices that are dual feasible within epsilon.
    pub assignment: Assignment,
    /// Epsilon of the last phase.
    pub epsilon: f64,
    /// Bids made, over all phases.
    pub n_bids: u64,
    /// Rounds of simultaneous bids, over all phases.
    pub n_rounds: u64,
}

/// Solves by auction on the threads of the current rayon pool.
///
/// # Errors
/// [`Error::Infeasible`] if forbidden pairs leave no complete assignment; [`Error::Invalid`] for an epsilon that
/// is not positive or too small for prices to rise by it.
pub fn auction(costs: &CostMatrix, objective: Objective, options: &AuctionOptions) -> Result<AuctionOutcome> {
    let oriented = Oriented::new(costs, objective);
    let (n, m) = (oriented.n_rows, oriented.n_cols);
    if costs.has_forbidden() {
        matching::complete(&oriented.costs, n, m).map_err(|d| d.into_error(oriented.transposed))?;
    }
    let range = range(&oriented.costs);
    let epsilon = last_epsilon(options, &oriented, range)?;
    let mut floor = Floor {
        values: &oriented.costs,
        n_cols: m,
        range,
        prices: vec![0.0; m],
        row_to_col: vec![NONE; n],
        col_to_row: vec![NONE; m],
        n_bids: 0,
        n_rounds: 0,
    };
    if n > 0 {
        let mut phase_epsilon = (range / 4.0).max(epsilon);
        loop {
            floor.phase(phase_epsilon);
            if phase_epsilon <= epsilon {
                break;
            }
            phase_epsilon = (phase_epsilon / options.scaling).max(epsilon);
        }
    }
    let (n_bids, n_rounds) = (floor.n_bids, floor.n_rounds);
    let raw = floor.into_raw();
    let cost = |row, col| costs.at(row, col);
    let assignment =
        raw.into_assignment(costs.n_rows(), costs.n_cols(), oriented.transposed, objective, cost);
    Ok(AuctionOutcome { assignment, epsilon, n_bids, n_rounds })
}

/// Greatest minus least finite cost.
fn range(costs: &[f64]) -> f64 {
    let finite = costs.iter().copied().filter(|c| c.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
    if low > high { 0.0 } else { high - low }
}

fn last_epsilon(options: &AuctionOptions, problem: &Oriented<'_>, range: f64) -> Result<f64> {
    if !(options.scaling > 1.0 && options.scaling.is_finite()) {
        return Err(Error::invalid(format!("auction scaling is {}; it must be above 1", options.scaling)));
    }
    let n = problem.n_rows.max(1) as f64;
    let largest = problem.costs.iter().filter(|c| c.is_finite()).fold(0.0, |m: f64, c| m.max(c.abs()));
    // Prices stay below about n * range; a raise must not be lost in their last bit.
    let least = (n * range + largest) * f64::EPSILON;
    let epsilon = match options.epsilon {
        Some(epsilon) => epsilon,
        None => {
            let whole = problem.costs.iter().all(|c| c.is_infinite() || c.fract() == 0.0);
            let wanted = if whole { 1.0 / (n + 1.0) } else { range * 1e-9 / n };
            // Costs that are all equal have no range; any raise does.
            if wanted > 0.0 { wanted.max(least) } else { 1.0 }
        }
    };
    if !(epsilon.is_finite() && epsilon > 0.0 && epsilon >= least) {
        let text = format!("auction epsilon is {epsilon}; it must be at least {least:.1e} for these costs");
        return Err(Error::invalid(text));
    }
    Ok(epsilon)
}

/// A bid of a row: the column and the price offered.
#[derive(Clone, Copy)]
struct Bid {
    row: u32,
    col: u32,
    price: f64,
}

struct Floor<'a> {
    /// Costs: what a row pays for a column beside its price.
    values: &'a [f64],
    n_cols: usize,
    range: f64,
    prices: Vec<f64>,
    row_to_col: Vec<u32>,
    col_to_row: Vec<u32>,
    n_bids: u64,
    n_rounds: u64,
}

impl Floor<'_> {
    /// Assigns all rows afresh from the prices of the phase before.
    fn phase(&mut self, epsilon: f64) {
        self.row_to_col.fill(NONE);
        self.col_to_row.fill(NONE);
        let mut free: Vec<u32> = (0..self.row_to_col.len() as u32).collect();
        let mut bids: Vec<Bid> = Vec::with_capacity(free.len());
        let mut highest: Vec<Option<Bid>> = vec![None; self.n_cols];
        while !free.is_empty() {
            bids.clear();
            if free.len() * self.n_cols >= PARALLEL_WORK {
                free.par_iter().map(|&row| self.bid(row, epsilon)).collect_into_vec(&mut bids);
            } else {
                bids.extend(free.iter().map(|&row| self.bid(row, epsilon)));
            }
            self.n_bids += bids.len() as u64;
            self.n_rounds += 1;
            for &bid in &bids {
                let best = &mut highest[bid.col as usize];
                if best.is_none_or(|b| (bid.price, b.row) > (b.price, bid.row)) {
                    *best = Some(bid);
                }
            }
            free.clear();
            for &bid in &bids {
                match highest[bid.col as usize] {
                    Some(best) if best.row == bid.row => {}
                    _ => free.push(bid.row),
                }
            }
            for &bid in &bids {
                if let Some(best) = highest[bid.col as usize].take() {
                    free.extend(self.award(best));
                }
            }
            free.sort_unstable();
        }
        if self.n_cols > self.row_to_col.len() {
            self.reverse(epsilon);
        }
    }

    /// The best column of a row, and the most it may offer: what makes the second best as good, plus epsilon.
    fn bid(&self, row: u32, epsilon: f64) -> Bid {
        let costs = &self.values[row as usize * self.n_cols..(row as usize + 1) * self.n_cols];
        let (mut least, mut second, mut at) = (f64::INFINITY, f64::INFINITY, 0);
        for (col, (cost, price)) in costs.iter().zip(&self.prices).enumerate() {
            let x = cost + price;
            if x < least {
                (least, second, at) = (x, least, col);
            } else if x < second {
                second = x;
            }
        }
        // Any raise between epsilon and the advantage plus epsilon keeps the proof; without a second choice the
        // advantage has no bound.
        let advantage = if second.is_finite() { second - least } else { self.range };
        Bid { row, col: at as u32, price: self.prices[at] + advantage + epsilon }
    }

    /// Gives the column to the bidder; returns the row that loses it.
    fn award(&mut self, bid: Bid) -> Option<u32> {
        self.prices[bid.col as usize] = bid.price;
        self.row_to_col[bid.row as usize] = bid.col;
        let owner = std::mem::replace(&mut self.col_to_row[bid.col as usize], bid.row);
        if owner == NONE {
            return None;
        }
        self.row_to_col[owner as usize] = NONE;
        Some(owner)
    }

    /// Columns without a row that cost more than the cheapest with one bid for rows, or become as cheap.
    fn reverse(&mut self, epsilon: f64) {
        let assigned = self.row_to_col.iter().map(|&col| self.prices[col as usize]);
        let level = assigned.fold(f64::INFINITY, f64::min);
        let mut profits: Vec<f64> = (0..self.row_to_col.len()).map(|row| self.profit(row)).collect();
        let mut queue: Vec<u32> =
            (0..self.n_cols as u32).filter(|&col| self.col_to_row[col as usize] == NONE).collect();
        while let Some(col) = queue.pop() {
            let at = col as usize;
            if self.prices[at] <= level {
                continue;
            }
            let (mut best, mut second, mut row) = (f64::NEG_INFINITY, f64::NEG_INFINITY, 0);
            for (i, profit) in profits.iter().enumerate() {
                let x = -self.values[i * self.n_cols + at] - profit;
                if x > best {
                    (best, second, row) = (x, best, i);
                } else if x > second {
                    second = x;
                }
            }
            if level >= best - epsilon {
                self.prices[at] = level;
                continue;
            }
            let step = (best - level).min(best - second + epsilon);
            self.n_bids += 1;
            self.prices[at] = best - step;
            profits[row] += step;
            let old = std::mem::replace(&mut self.row_to_col[row], col);
            self.col_to_row[at] = row as u32;
            self.col_to_row[old as usize] = NONE;
            queue.push(old);
        }
    }

    fn profit(&self, row: usize) -> f64 {
        let col = self.row_to_col[row] as usize;
        -self.values[row * self.n_cols + col] - self.prices[col]
    }

    fn into_raw(self) -> Raw {
        // Prices are shifted so that columns without a row have at most price 0 in the dual of the assignment.
        let square = self.n_cols == self.row_to_col.len();
        let assigned = self.row_to_col.iter().map(|&col| self.prices[col as usize]);
        let level = if square { 0.0 } else { assigned.fold(f64::INFINITY, f64::min) };
        let level = if level.is_finite() { level } else { 0.0 };
        let dual = |(&price, &row): (&f64, &u32)| {
            if row == NONE && !square { 0.0 } else { level - price }
        };
        let col_prices: Vec<f64> = self.prices.iter().zip(&self.col_to_row).map(dual).collect();
        let least =
            |costs: &[f64]| costs.iter().zip(&col_prices).map(|(c, p)| c - p).fold(f64::INFINITY, f64::min);
        let row_prices = self.values.chunks_exact(self.n_cols.max(1)).map(least).collect();
        Raw { row_to_col: self.row_to_col, row_prices, col_prices }
    }
}
