//! What one agent of a local method knows: its own costs, the constraints that it is part of, and the values that
//! its neighbors told it. Nothing else of the problem is within its reach.

use std::sync::Arc;

use super::model::{Factor, Model};

/// One agent's part of a problem.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub unary: Vec<f64>,
    pub links: Vec<Link>,
    /// Values of the neighbors, in the order of the neighbors.
    pub known: Vec<usize>,
    pub tolerance: f64,
}

/// A constraint as one of its variables sees it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub factor: Arc<Factor>,
    /// How far apart its own values lie in the table.
    pub stride: usize,
    /// The other variables: place among the neighbors, and stride.
    pub others: Vec<(usize, usize)>,
}

impl Local {
    pub fn all(model: &Model) -> Vec<Self> {
        let mut locals: Vec<Self> = (0..model.n_variables())
            .map(|v| Self {
                unary: model.unary[v].clone(),
                links: Vec::new(),
                known: vec![0; model.topology.neighbors(v).len()],
                tolerance: model.tolerance,
            })
            .collect();
        for factor in &model.factors {
            for (i, &v) in factor.scope.iter().enumerate() {
                let neighbors = model.topology.neighbors(v);
                // Everybody in a scope is a neighbor of everybody else in it.
                let slot = |other: usize| neighbors.partition_point(|&n| n < other);
                let others = factor.scope.iter().zip(&factor.strides).enumerate();
                let others =
                    others.filter(|(j, _)| *j != i).map(|(_, (&w, &stride))| (slot(w), stride)).collect();
                locals[v].links.push(Link { factor: factor.clone(), stride: factor.strides[i], others });
            }
        }
        locals
    }

    pub fn n_values(&self) -> usize {
        self.unary.len()
    }

    /// The cost of each own value while the neighbors keep theirs.
    pub fn costs(&self, out: &mut Vec<f64>) {
        out.clear();
        out.extend_from_slice(&self.unary);
        for link in &self.links {
            let start = link.start(&self.known);
            for (value, sum) in out.iter_mut().enumerate() {
                *sum += link.factor.table[start + value * link.stride];
            }
        }
    }

    /// Whether some constraint, at an own value, costs more than it might at best.
    pub fn has_conflict(&self, value: usize) -> bool {
        self.links.iter().any(|link| {
            let cost = link.factor.table[link.start(&self.known) + value * link.stride];
            cost > link.factor.least + self.tolerance
        })
    }
}

impl Link {
    /// Where the table begins for given values of the others.
    pub fn start(&self, known: &[usize]) -> usize {
        self.others.iter().map(|&(slot, stride)| known[slot] * stride).sum()
    }
}

/// The least of some costs, and the values that have it.
pub(super) fn best(costs: &[f64], tolerance: f64, values: &mut Vec<usize>) -> f64 {
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    values.clear();
    values.extend((0..costs.len()).filter(|&value| costs[value] <= least + tolerance));
    least
}
