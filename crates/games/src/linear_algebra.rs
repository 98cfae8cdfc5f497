//! Square systems of linear equations, by elimination with the largest pivot.

use crate::scalar::Scalar;

/// Pivots this small, relative to the largest entry, make a float matrix singular.
const FLOAT_SINGULAR: f64 = 1e-13;

/// Solves `matrix x = right` for a `[n, n]` matrix, leaving `x` in `right`. False if the matrix is singular.
pub(crate) fn solve_square<S: Scalar>(n: usize, matrix: &mut [S], right: &mut [S]) -> bool {
    let size = matrix.iter().map(|a| a.to_float().abs()).fold(0.0, f64::max);
    for k in 0..n {
        let heaviest = match S::EXACT {
            true => (k..n).find(|&i| !matrix[i * n + k].is_zero()),
            false => (k..n).reduce(|a, b| {
                let weight = |i: usize| matrix[i * n + k].to_float().abs();
                if weight(b) > weight(a) { b } else { a }
            }),
        };
        let Some(pivot) = heaviest.filter(|&i| !matrix[i * n + k].is_near_zero(FLOAT_SINGULAR * size)) else {
            return false;
        };
        if pivot != k {
            (k..n).for_each(|j| matrix.swap(pivot * n + j, k * n + j));
            right.swap(pivot, k);
        }
        for i in k + 1..n {
            if matrix[i * n + k].is_zero() {
                continue;
            }
            let factor = matrix[i * n + k].clone() / &matrix[k * n + k];
            for j in k + 1..n {
                let term = factor.clone() * &matrix[k * n + j];
                matrix[i * n + j] = matrix[i * n + j].clone() - &term;
            }
            right[i] = right[i].clone() - &(factor * &right[k]);
        }
    }
    for k in (0..n).rev() {
        let mut x = right[k].clone();
        for j in k + 1..n {
            x = x - &(matrix[k * n + j].clone() * &right[j]);
        }
        right[k] = x / &matrix[k * n + k];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::ratio;

    #[test]
    fn systems_are_solved_or_called_singular() {
        let mut matrix: Vec<_> = [0, 2, 1, 1, -1, 0, 3, 0, 1].iter().map(|&x| ratio(x, 1)).collect();
        let mut right: Vec<_> = [7, -1, 6].iter().map(|&x| ratio(x, 1)).collect();
        assert!(solve_square(3, &mut matrix, &mut right));
        assert_eq!(right, [ratio(1, 1), ratio(2, 1), ratio(3, 1)]);
        assert!(!solve_square(2, &mut [1.0, 2.0, 2.0, 4.0], &mut [1.0, 2.0]));
        assert!(solve_square(2, &mut [1e-9, 0.0, 0.0, 1e-9], &mut [1.0, 2.0]));
    }
}
