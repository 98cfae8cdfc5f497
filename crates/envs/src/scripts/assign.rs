//! The assignment of agents to landmarks of smallest total distance, on memory that is kept.

use crate::particle::matching::assign;

/// A square problem, of 128 rows at most, as many as there are agents in the particle world.
#[derive(Debug, Clone)]
pub struct Assignment {
    n: usize,
    /// Costs `[N, N]`, rows to columns.
    pub cost: Vec<f32>,
}

impl Assignment {
    /// Memory for `n` rows and columns.
    pub fn new(n: usize) -> Self {
        Self { n, cost: vec![0.0; n * n] }
    }

    /// The column of row `row` in an assignment of smallest total cost.
    pub fn column_of(&self, row: usize) -> usize {
        assign(self.n, |row, column| self.cost[row * self.n + column])[row]
    }
}

#[cfg(test)]
mod tests {
    use coact_core::{Purpose, Stream};

    use super::Assignment;

    fn total(cost: &[f32], n: usize, row: usize, free: &mut Vec<usize>) -> f32 {
        if row == n {
            return 0.0;
        }
        let mut best = f32::INFINITY;
        for i in 0..free.len() {
            let column = free.remove(i);
            best = best.min(cost[row * n + column] + total(cost, n, row + 1, free));
            free.insert(i, column);
        }
        best
    }

    #[test]
    fn totals_are_those_of_trying_all_permutations() {
        for n in 1..=6 {
            let mut assignment = Assignment::new(n);
            for trial in 0..50 {
                let mut rng = Stream::new(1, Purpose::Step, n as u32, trial);
                assignment.cost.iter_mut().for_each(|c| *c = rng.uniform());
                let columns: Vec<usize> = (0..n).map(|row| assignment.column_of(row)).collect();
                let found: f32 = columns.iter().enumerate().map(|(r, c)| assignment.cost[r * n + c]).sum();
                let best = total(&assignment.cost, n, 0, &mut (0..n).collect());
                assert!((found - best).abs() < 1e-5, "{n}: {found}, not {best}");
                assert!((0..n).all(|c| columns.contains(&c)), "{columns:?}");
            }
        }
    }

    #[test]
    fn costs_that_are_no_numbers_end() {
        let mut assignment = Assignment::new(3);
        assignment.cost.fill(f32::NAN);
        assert!(assignment.column_of(2) < 3);
    }
}
