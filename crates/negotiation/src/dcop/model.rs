//! A problem as methods see it: costs to be kept down, constraints of one variable joined with its own costs,
//! violations as large finite numbers, so that sums and differences stay numbers. Not here: names.

use std::sync::Arc;

use coact_core::{Purpose, Stream};
use coact_messaging::Topology;

use super::problem::{Objective, Problem};
use crate::Result;

/// A cost table over at least two variables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Factor {
    pub scope: Vec<usize>,
    pub sizes: Vec<usize>,
    /// How far apart neighboring values of each variable lie.
    pub strides: Vec<usize>,
    pub table: Vec<f64>,
    pub least: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub sizes: Vec<usize>,
    pub unary: Vec<Vec<f64>>,
    pub factors: Vec<Arc<Factor>>,
    /// Variables that share a constraint.
    pub topology: Topology,
    /// Differences below this are rounding.
    pub tolerance: f64,
    /// The greatest cost that is no violation, less the least, summed over all tables.
    pub range: f64,
    pub initial: Vec<usize>,
}

impl Model {
    /// With `noise`, costs of variables get the random additions that the problem asks for.
    pub fn new(problem: &Problem, seed: u64, noise: bool) -> Result<Self> {
        problem.check()?;
        let n = problem.variables.len();
        let sign = if problem.objective == Objective::Min { 1.0 } else { -1.0 };
        let sizes: Vec<usize> = (0..n).map(|v| problem.n_values(v)).collect();
        let own = problem.variables.iter().map(|v| &v.costs);
        let tables = problem.constraints.iter().map(|c| &c.table).chain(own);
        let range: f64 = tables.map(|table| spread(table)).sum();
        // One violation outweighs all that can be gained elsewhere.
        let violation = 2.0 * range + 1.0;
        let plain = |cost: &f64| if cost.is_infinite() { violation } else { sign * cost };

        let mut unary: Vec<Vec<f64>> = sizes.iter().map(|&size| vec![0.0; size]).collect();
        for (own, variable) in unary.iter_mut().zip(&problem.variables) {
            own.iter_mut().zip(&variable.costs).for_each(|(sum, cost)| *sum += plain(cost));
        }
        let mut factors = Vec::new();
        let mut edges = Vec::new();
        for constraint in &problem.constraints {
            match constraint.scope.as_slice() {
                [] => {}
                &[variable] => {
                    let own = unary[variable].iter_mut().zip(&constraint.table);
                    own.for_each(|(sum, cost)| *sum += plain(cost));
                }
                scope => {
                    for (i, &a) in scope.iter().enumerate() {
                        edges.extend(scope[i + 1..].iter().map(|&b| (a, b)));
                    }
                    let table = constraint.table.iter().map(plain).collect();
                    let sizes = scope.iter().map(|&v| sizes[v]).collect();
                    factors.push(Arc::new(Factor::new(scope.to_vec(), sizes, table)));
                }
            }
        }
        if noise {
            for (v, (own, variable)) in unary.iter_mut().zip(&problem.variables).enumerate() {
                add_noise(own, variable.noise_level, seed, v as u32, 1);
            }
        }
        edges.sort_unstable();
        edges.dedup();
        let initial = (0..n).map(|v| {
            let random = || Stream::new(seed, Purpose::Init, v as u32, 0).below(sizes[v] as u32) as usize;
            problem.variables[v].initial.unwrap_or_else(random)
        });
        let initial = initial.collect();
        let topology = Topology::from_edges(n, &edges)?;
        Ok(Self { sizes, unary, factors, topology, tolerance: 1e-12 * violation, range, initial })
    }

    pub fn n_variables(&self) -> usize {
        self.sizes.len()
    }
}

/// Random additions in `[0, level)` to the costs of a variable.
pub(super) fn add_noise(costs: &mut [f64], level: f64, seed: u64, variable: u32, position: u64) {
    if level > 0.0 {
        let mut stream = Stream::new(seed, Purpose::Init, variable, position);
        costs.iter_mut().for_each(|cost| *cost += level * stream.uniform_f64());
    }
}

/// Greatest less least of the finite numbers.
fn spread(table: &[f64]) -> f64 {
    let finite = table.iter().copied().filter(|cost| cost.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (c.min(l), c.max(h)));
    if high > low { high - low } else { 0.0 }
}

impl Factor {
    pub fn new(scope: Vec<usize>, sizes: Vec<usize>, table: Vec<f64>) -> Self {
        let mut strides = vec![1; sizes.len()];
        for i in (1..sizes.len()).rev() {
            strides[i - 1] = strides[i] * sizes[i];
        }
        let least = table.iter().copied().fold(f64::INFINITY, f64::min);
        Self { scope, sizes, strides, table, least }
    }

    /// The cost for values of all variables of the problem.
    pub fn cost(&self, values: &[usize]) -> f64 {
        let place = self.scope.iter().zip(&self.strides).map(|(&v, stride)| values[v] * stride);
        self.table[place.sum::<usize>()]
    }
}
