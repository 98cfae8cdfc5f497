//! Zero-sum matrix games as they occur in every state of a Markov game: small, many, and solved again and again.
//!
//! The payoffs are mapped to 1..2, where the game is the linear program "maximize the sum of y under A y <= 1, y >= 0"
//! with a feasible start; its dual prices are the row player's strategy. Largest coefficient first, ties to the lowest
//! index, and Bland's rule once that has taken long, so that no game cycles. The tableau is kept, nothing is allocated after
//! the first game of a size. Larger single games, and exact ones, belong to the solvers of normal-form games.

/// Coefficients below this are rounding; payoffs are of size 1 to 2.
const SMALL: f64 = 1e-12;

/// Solves matrix games.
#[derive(Debug, Clone, Default)]
pub struct MatrixGame {
    /// `[m + 1, n + 1]`: the last row is the objective, the last column the right-hand side.
    tableau: Vec<f64>,
    /// What each row stands for: columns are `0..n`, slacks `n..n + m`.
    basic: Vec<usize>,
    /// What each column stands for.
    nonbasic: Vec<usize>,
    /// Strategy of the row player, `[m]`, of the last game solved.
    pub row: Vec<f64>,
    /// Strategy of the column player, `[n]`, of the last game solved.
    pub column: Vec<f64>,
}

impl MatrixGame {
    /// Solves the game of `payoff` `[m, n]` to the row player, who maximizes; returns its value. Strategies are in
    /// `row` and `column`.
    ///
    /// # Panics
    /// A shape that does not fit, or no action of a player.
    pub fn solve(&mut self, payoff: &[f64], m: usize, n: usize) -> f64 {
        assert!(m > 0 && n > 0 && payoff.len() == m * n, "payoff [{}] of a {m} x {n} game", payoff.len());
        self.row.clear();
        self.row.resize(m, 0.0);
        self.column.clear();
        self.column.resize(n, 0.0);
        if let Some((i, j)) = saddle(payoff, n) {
            self.row[i] = 1.0;
            self.column[j] = 1.0;
            return payoff[i * n + j];
        }
        let (low, high) =
            payoff.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        let scale = high - low;
        self.start(payoff, m, n, low, scale);
        self.run(m, n);
        self.read(m, n);
        // The value by the strategies themselves: the mean of what each of them guarantees.
        let guaranteed = (0..n).map(|j| (0..m).map(|i| self.row[i] * payoff[i * n + j]).sum::<f64>());
        let conceded = (0..m).map(|i| (0..n).map(|j| self.column[j] * payoff[i * n + j]).sum::<f64>());
        (guaranteed.fold(f64::INFINITY, f64::min) + conceded.fold(f64::NEG_INFINITY, f64::max)) / 2.0
    }

    fn start(&mut self, payoff: &[f64], m: usize, n: usize, low: f64, scale: f64) {
        let width = n + 1;
        self.tableau.clear();
        self.tableau.resize((m + 1) * width, 0.0);
        for i in 0..m {
            for j in 0..n {
                self.tableau[i * width + j] = 1.0 + (payoff[i * n + j] - low) / scale;
            }
            self.tableau[i * width + n] = 1.0;
        }
        self.tableau[m * width..][..n].fill(-1.0);
        self.basic.clear();
        self.basic.extend(n..n + m);
        self.nonbasic.clear();
        self.nonbasic.extend(0..n);
    }

    fn run(&mut self, m: usize, n: usize) {
        let width = n + 1;
        let patience = 4 * (m + n);
        // Bland's rule ends by itself; the cap only guards against rounding that undoes its own pivots.
        for n_pivots in 0..patience + (1 << 14) {
            let cost = &self.tableau[m * width..][..n];
            let candidates = (0..n).filter(|&j| cost[j] < -SMALL);
            let entering = if n_pivots < patience {
                candidates.reduce(|best, j| if cost[j] < cost[best] { j } else { best })
            } else {
                candidates.min_by_key(|&j| self.nonbasic[j])
            };
            let Some(column) = entering else { return };
            let ratio = |i: usize| self.tableau[i * width + n] / self.tableau[i * width + column];
            let rows = (0..m).filter(|&i| self.tableau[i * width + column] > SMALL);
            let leaving = rows.reduce(|best, i| match ratio(i).total_cmp(&ratio(best)) {
                std::cmp::Ordering::Less => i,
                std::cmp::Ordering::Equal if self.basic[i] < self.basic[best] => i,
                _ => best,
            });
            // Positive payoffs bound the program, so that a row is always found.
            let Some(row) = leaving else { return };
            self.pivot(row, column, m, n);
        }
    }

    fn pivot(&mut self, row: usize, column: usize, m: usize, n: usize) {
        let width = n + 1;
        let pivot = self.tableau[row * width + column];
        for j in 0..width {
            self.tableau[row * width + j] /= pivot;
        }
        self.tableau[row * width + column] = 1.0 / pivot;
        for i in (0..=m).filter(|&i| i != row) {
            let factor = self.tableau[i * width + column];
            if factor == 0.0 {
                continue;
            }
            for j in (0..width).filter(|&j| j != column) {
                self.tableau[i * width + j] -= factor * self.tableau[row * width + j];
            }
            self.tableau[i * width + column] = -factor / pivot;
        }
        std::mem::swap(&mut self.basic[row], &mut self.nonbasic[column]);
    }

    /// Strategies from the final tableau.
    fn read(&mut self, m: usize, n: usize) {
        let width = n + 1;
        for i in 0..m {
            if self.basic[i] < n {
                self.column[self.basic[i]] = self.tableau[i * width + n].max(0.0);
            }
        }
        for j in 0..n {
            if self.nonbasic[j] >= n {
                self.row[self.nonbasic[j] - n] = self.tableau[m * width + j].max(0.0);
            }
        }
        for strategy in [&mut self.row, &mut self.column] {
            let sum: f64 = strategy.iter().sum();
            strategy.iter_mut().for_each(|p| *p /= sum);
        }
    }
}

/// A cell that is smallest in its row and largest in its column, if there is one.
fn saddle(payoff: &[f64], n: usize) -> Option<(usize, usize)> {
    let m = payoff.len() / n;
    let smallest = |i: usize| {
        let row = &payoff[i * n..][..n];
        (1..n).fold(0, |best, j| if row[j] < row[best] { j } else { best })
    };
    let mut best = (0, smallest(0));
    for i in 1..m {
        let j = smallest(i);
        if payoff[i * n + j] > payoff[best.0 * n + best.1] {
            best = (i, j);
        }
    }
    let value = payoff[best.0 * n + best.1];
    (0..n)
        .find(|&j| payoff[best.0 * n + j] == value && (0..m).all(|i| payoff[i * n + j] <= value))
        .map(|j| (best.0, j))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_games() {
        let mut game = MatrixGame::default();
        assert!(game.solve(&[0.0, -1.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0], 3, 3).abs() < 1e-15);
        game.row.iter().chain(&game.column).for_each(|p| assert!((p - 1.0 / 3.0).abs() < 1e-14));
        let biased = [0.0, -0.25, 0.5, 0.25, 0.0, -0.05, -0.5, 0.05, 0.0];
        assert!(game.solve(&biased, 3, 3).abs() < 1e-15);
        let expected = [1.0 / 16.0, 10.0 / 16.0, 5.0 / 16.0];
        game.row.iter().zip(expected).for_each(|(p, e)| assert!((p - e).abs() < 1e-14));
        assert_eq!(game.solve(&[2.0, 1.0, 5.0, -3.0, -4.0, -2.0], 2, 3), 1.0);
        assert_eq!((game.row[0], game.column[1]), (1.0, 1.0));
        assert_eq!(game.solve(&[7.0; 4], 2, 2), 7.0);
        assert_eq!(game.solve(&[3.0, -1.0], 1, 2), -1.0);
    }
}
