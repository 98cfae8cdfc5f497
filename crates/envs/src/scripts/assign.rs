//! The assignment of agents to landmarks of smallest total distance, by shortest augmenting paths, on memory that is
//! kept. A script's tool; `coact-allocation` has the general solvers.

/// Memory for square problems of one size.
#[derive(Debug, Clone)]
pub struct Assignment {
    n: usize,
    /// Costs `[N, N]`, rows to columns.
    pub cost: Vec<f32>,
    row_price: Vec<f32>,
    column_price: Vec<f32>,
    /// Row of each column; the row itself counts from 1, 0 is none. Column 0 is where paths begin.
    row_of: Vec<usize>,
    before: Vec<usize>,
    slack: Vec<f32>,
    reached: Vec<bool>,
}

impl Assignment {
    /// Memory for `n` rows and columns.
    pub fn new(n: usize) -> Self {
        Self {
            n,
            cost: vec![0.0; n * n],
            row_price: vec![0.0; n + 1],
            column_price: vec![0.0; n + 1],
            row_of: vec![0; n + 1],
            before: vec![0; n + 1],
            slack: vec![0.0; n + 1],
            reached: vec![false; n + 1],
        }
    }

    /// The column of row `row` in an assignment of smallest total cost.
    pub fn column_of(&mut self, row: usize) -> usize {
        self.row_price.fill(0.0);
        self.column_price.fill(0.0);
        self.row_of.fill(0);
        (1..=self.n).for_each(|row| self.enter(row));
        self.row_of[1..].iter().position(|r| *r == row + 1).unwrap_or(row)
    }

    /// Assigns one more row along the cheapest path that frees a column.
    fn enter(&mut self, row: usize) {
        self.row_of[0] = row;
        self.slack.fill(f32::INFINITY);
        self.reached.fill(false);
        let mut at = 0;
        while self.row_of[at] != 0 {
            self.reached[at] = true;
            let row = self.row_of[at];
            let (mut step, mut next) = (f32::INFINITY, 0);
            for column in (1..=self.n).filter(|c| !self.reached[*c]) {
                let cost = self.cost[(row - 1) * self.n + column - 1];
                let reduced = cost - self.row_price[row] - self.column_price[column];
                if reduced < self.slack[column] {
                    (self.slack[column], self.before[column]) = (reduced, at);
                }
                if self.slack[column] < step {
                    (step, next) = (self.slack[column], column);
                }
            }
            if next == 0 {
                // Costs that are no numbers leave nothing to choose; the row stays where it is.
                return;
            }
            for column in 0..=self.n {
                if self.reached[column] {
                    self.row_price[self.row_of[column]] += step;
                    self.column_price[column] -= step;
                } else {
                    self.slack[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            self.row_of[at] = self.row_of[self.before[at]];
            at = self.before[at];
        }
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
