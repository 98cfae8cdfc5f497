//! Nash averaging (Balduzzi et al. 2018): agents judged by their payoff against the equilibrium of greatest entropy of the
//! zero-sum game "choose an agent". Copies of an agent change nothing, and tasks that teach nothing get no weight.
//!
//! The optimal strategies of each side form a polytope given by linear inequalities. Its point of greatest entropy is
//! `p_i ~ exp(sum_j l_j a_ij)` with `l_j >= 0`; the prices `l` are found by coordinate ascent on the concave dual.

use crate::equilibrium::zero_sum;
use crate::error::Result;
use crate::exponential::{exp, ln};
use crate::linear::{Program, Relation};

/// Weights and what everyone earns against them.
#[derive(Debug, Clone, PartialEq)]
pub struct NashAveraging {
    /// Value of the game.
    pub value: f64,
    /// Weight of each row.
    pub row_weights: Vec<f64>,
    /// Weight of each column.
    pub column_weights: Vec<f64>,
    /// Payoff of each row against the columns' weights.
    pub row_skills: Vec<f64>,
    /// What each column gives away against the rows' weights.
    pub column_skills: Vec<f64>,
}

/// Weighs rows against columns of `table` (`[n_rows, n_columns]`, what the row gets). For agents against each other give an
/// antisymmetric table.
///
/// # Errors
/// If the table does not fit, or floats lose their accuracy.
pub fn nash_averaging(n_rows: usize, n_columns: usize, table: &[f64]) -> Result<NashAveraging> {
    let value = zero_sum(n_rows, n_columns, table)?.value;
    let of_row = |i: usize| table[i * n_columns..][..n_columns].to_vec();
    let of_column = |j: usize| -> Vec<f64> { (0..n_rows).map(|i| table[i * n_columns + j]).collect() };
    let columns: Vec<Vec<f64>> = (0..n_columns).map(of_column).collect();
    let rows: Vec<Vec<f64>> = (0..n_rows).map(|i| of_row(i).iter().map(|u| -u).collect()).collect();
    let row_weights = most_even(&columns, value)?;
    let column_weights = most_even(&rows, -value)?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    Ok(NashAveraging {
        value,
        row_skills: (0..n_rows).map(|i| dot(&of_row(i), &column_weights)).collect(),
        column_skills: columns.iter().map(|column| dot(column, &row_weights)).collect(),
        row_weights,
        column_weights,
    })
}

/// The distribution of greatest entropy that earns at least `value` against each of `lines`.
fn most_even(lines: &[Vec<f64>], value: f64) -> Result<Vec<f64>> {
    let n = lines[0].len();
    let size = lines.iter().flatten().fold(0.0f64, |a, u| a.max(u.abs()));
    if size == 0.0 {
        return Ok(vec![1.0 / n as f64; n]);
    }
    let played = reachable(lines, value, size)?;
    let slack =
        |line: &[f64], p: &[f64]| -> f64 { line.iter().zip(p).map(|(u, p)| (u - value) / size * p).sum() };
    let mut prices = vec![0.0f64; lines.len()];
    let mut p = weigh(lines, value, size, &prices, &played);
    for _ in 0..20_000 {
        let mut worst = 0.0f64;
        for (j, line) in lines.iter().enumerate() {
            let gap = slack(line, &p);
            worst = worst.max(if prices[j] > 0.0 { gap.abs() } else { (-gap).max(0.0) });
            if gap.abs() < 1e-14 || (gap > 0.0 && prices[j] == 0.0) {
                continue;
            }
            // One step of Newton's method along this price.
            let second: f64 =
                line.iter().zip(&p).map(|(u, p)| ((u - value) / size).powi(2) * p).sum::<f64>() - gap * gap;
            if second > 1e-300 {
                let step = (-gap / second).clamp(-2.0, 2.0);
                prices[j] = (prices[j] + step).max(0.0);
                p = weigh(lines, value, size, &prices, &played);
            }
        }
        if worst < 1e-12 {
            break;
        }
    }
    Ok(p)
}

/// Whether each entry is positive in some distribution that earns the value.
fn reachable(lines: &[Vec<f64>], value: f64, size: f64) -> Result<Vec<bool>> {
    let n = lines[0].len();
    let is_played = |i: usize| {
        let mut objective = vec![0.0; n];
        objective[i] = 1.0;
        let mut program = Program::new(objective);
        for line in lines {
            let line = line.iter().map(|u| (u - value) / size).collect();
            program.add(line, Relation::AtLeast, -1e-10);
        }
        program.add(vec![1.0; n], Relation::Equal, 1.0);
        Ok(program.solve()?.optimal("the program of optimal strategies")?.value > 1e-7)
    };
    (0..n).map(is_played).collect()
}

fn weigh(lines: &[Vec<f64>], value: f64, size: f64, prices: &[f64], played: &[bool]) -> Vec<f64> {
    let logit = |i: usize| -> f64 {
        match played[i] {
            true => lines.iter().zip(prices).map(|(line, l)| l * (line[i] - value) / size).sum(),
            false => ln(0.0),
        }
    };
    let logits: Vec<f64> = (0..played.len()).map(logit).collect();
    let best = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let p: Vec<f64> = logits.iter().map(|l| exp(l - best)).collect();
    let sum: f64 = p.iter().sum();
    p.iter().map(|p| p / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-6)
    }

    #[test]
    fn copies_share_the_weight_of_one() {
        let rock = [0.0, -1.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0];
        let plain = nash_averaging(3, 3, &rock).unwrap();
        assert!(close(&plain.row_weights, &[1.0 / 3.0; 3]) && close(&plain.row_skills, &[0.0; 3]));
        // Scissors twice.
        #[rustfmt::skip]
        let copied = [
            0.0, -1.0, 1.0, 1.0,
            1.0, 0.0, -1.0, -1.0,
            -1.0, 1.0, 0.0, 0.0,
            -1.0, 1.0, 0.0, 0.0,
        ];
        let weights = nash_averaging(4, 4, &copied).unwrap().row_weights;
        assert!(close(&weights, &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]), "{weights:?}");
    }

    #[test]
    fn the_best_agent_takes_all_and_equals_share() {
        let transitive = [0.0, 1.0, 2.0, -1.0, 0.0, 1.0, -2.0, -1.0, 0.0];
        let best = nash_averaging(3, 3, &transitive).unwrap();
        assert!(close(&best.row_weights, &[1.0, 0.0, 0.0]) && close(&best.row_skills, &[0.0, -1.0, -2.0]));
        let equal = nash_averaging(2, 3, &[0.0; 6]).unwrap();
        assert!(close(&equal.column_weights, &[1.0 / 3.0; 3]));
        // Agents against tasks; the second task is as hard for both.
        let tasks = nash_averaging(2, 2, &[3.0, 1.0, 2.0, 1.0]).unwrap();
        assert!(close(&tasks.row_weights, &[0.5, 0.5]) && close(&tasks.column_weights, &[0.0, 1.0]));
    }
}
