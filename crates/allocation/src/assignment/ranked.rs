//! The k best assignments in order (Murty 1968), each after the first by a single shortest augmenting path (Miller,
//! Stone and Cox 1997). Rows that are left over are padded away by rows without costs, on which nothing branches, so
//! that no assignment comes twice.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Assignment, NONE, Oriented, jonker_volgenant};
use crate::Result;
use crate::matrix::{CostMatrix, Objective, sum};

/// The `k` best assignments, best first; fewer if there are no more. Of equal totals, any order that is the same
/// each time. They carry no prices.
///
/// # Errors
/// [`crate::Error::Infeasible`] if forbidden pairs leave no complete assignment.
pub fn best_assignments(costs: &CostMatrix, objective: Objective, k: usize) -> Result<Vec<Assignment>> {
    let problem = Oriented::new(costs, objective);
    let (n, m) = (problem.n_rows, problem.n_cols);
    if k == 0 {
        return Ok(Vec::new());
    }
    let mut heap = BinaryHeap::new();
    heap.push(root(&problem).map_err(|deficit: super::Deficit| deficit.into_error(problem.transposed))?);
    let mut out = Vec::new();
    let mut n_made = 1;
    while let Some(node) = heap.pop() {
        let mut row_to_col = vec![None; costs.n_rows()];
        for (i, &j) in node.row_to_col[..n].iter().enumerate() {
            let (row, col) = if problem.transposed { (j as usize, i) } else { (i, j as usize) };
            row_to_col[row] = Some(col);
        }
        let pairs = row_to_col.iter().enumerate();
        let total = sum(pairs.filter_map(|(row, col)| col.map(|col| costs.at(row, col))));
        out.push(Assignment { row_to_col, total, prices: None });
        if out.len() == k {
            break;
        }
        for row in node.fixed..n {
            if let Some(child) = branch(&problem, m, &node, row, n_made) {
                n_made += 1;
                heap.push(child);
            }
        }
    }
    Ok(out)
}

/// The best assignment of a part of all assignments.
struct Node {
    total: f64,
    /// Rows below this keep their columns.
    fixed: usize,
    /// Columns that row `fixed` may not take.
    excluded: Vec<u32>,
    /// Of all rows, padding included.
    row_to_col: Vec<u32>,
    prices: Vec<f64>,
    /// Order of making, which settles ties.
    number: u64,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Node {
    /// The least total is the greatest node, because heaps give the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.total.total_cmp(&self.total).then(other.number.cmp(&self.number))
    }
}

/// Solves the whole problem and pads it to a square.
fn root(problem: &Oriented<'_>) -> Result<Node, super::Deficit> {
    let raw = jonker_volgenant::solve(&problem.costs, problem.n_rows, problem.n_cols)?;
    let mut row_to_col = raw.row_to_col;
    let mut taken = vec![false; problem.n_cols];
    row_to_col.iter().for_each(|&col| taken[col as usize] = true);
    row_to_col.extend((0..problem.n_cols as u32).filter(|&col| !taken[col as usize]));
    let total = total(problem, &row_to_col);
    Ok(Node { total, fixed: 0, excluded: Vec::new(), row_to_col, prices: raw.col_prices, number: 0 })
}

fn total(problem: &Oriented<'_>, row_to_col: &[u32]) -> f64 {
    let rows = row_to_col[..problem.n_rows].iter().enumerate();
    rows.map(|(row, &col)| problem.costs[row * problem.n_cols + col as usize]).sum()
}

/// The best assignment that agrees with `node` on rows below `row` and differs on `row`.
fn branch(problem: &Oriented<'_>, m: usize, node: &Node, row: usize, number: u64) -> Option<Node> {
    let zeros;
    let zeros: &[f64] = if problem.n_rows < m {
        zeros = vec![0.0; m];
        &zeros
    } else {
        &[]
    };
    let costs = |i: usize| if i < problem.n_rows { &problem.costs[i * m..(i + 1) * m] } else { zeros };
    let mut excluded = if row == node.fixed { node.excluded.clone() } else { Vec::new() };
    let end = node.row_to_col[row];
    excluded.push(end);
    let mut col_to_row = vec![NONE; m];
    for (i, &col) in node.row_to_col.iter().enumerate() {
        col_to_row[col as usize] = i as u32;
    }
    let mut closed = vec![false; m];
    node.row_to_col[..row].iter().for_each(|&col| closed[col as usize] = true);
    let mut distances = vec![f64::INFINITY; m];
    let mut previous = vec![NONE; m];
    let mut reached: Vec<(u32, f64)> = Vec::new();
    let (mut at, mut offset) = (row, 0.0);
    let length = loop {
        for (col, &cost) in costs(at).iter().enumerate() {
            let barred = closed[col] || (at == row && excluded.contains(&(col as u32)));
            let x = cost - node.prices[col] - offset;
            if !barred && x < distances[col] {
                (distances[col], previous[col]) = (x, at as u32);
            }
        }
        let open = (0..m).filter(|&col| !closed[col] && distances[col] < f64::INFINITY);
        let col = open.min_by(|&a, &b| distances[a].total_cmp(&distances[b]))?;
        if col as u32 == end {
            break distances[col];
        }
        closed[col] = true;
        reached.push((col as u32, distances[col]));
        at = col_to_row[col] as usize;
        offset = costs(at)[col] - node.prices[col] - distances[col];
    };
    let (mut row_to_col, mut prices) = (node.row_to_col.clone(), node.prices.clone());
    reached.iter().for_each(|&(col, distance)| prices[col as usize] += distance - length);
    let mut col = end;
    loop {
        let from = previous[col as usize] as usize;
        let next = std::mem::replace(&mut row_to_col[from], col);
        if from == row {
            break;
        }
        col = next;
    }
    let total = total(problem, &row_to_col);
    Some(Node { total, fixed: row, excluded, row_to_col, prices, number })
}
