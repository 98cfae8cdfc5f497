//! Whether forbidden pairs leave a complete assignment at all: maximum matching by augmenting paths, breadth first.

use super::{Deficit, NONE};

/// Finds a complete matching of the rows over finite costs, or rows that have too few columns.
pub(super) fn complete(costs: &[f64], n_rows: usize, n_cols: usize) -> Result<(), Deficit> {
    let mut col_to_row = vec![NONE; n_cols];
    let mut row_to_col = vec![NONE; n_rows];
    let mut from = vec![NONE; n_cols];
    for start in 0..n_rows {
        from.fill(NONE);
        let mut rows = vec![start];
        let mut at = 0;
        let end = 'search: loop {
            let Some(&row) = rows.get(at) else {
                return Err(Deficit { n_choices: rows.len() - 1, members: rows });
            };
            at += 1;
            let costs = &costs[row * n_cols..(row + 1) * n_cols];
            for (col, _) in costs.iter().enumerate().filter(|(_, c)| c.is_finite()) {
                if from[col] != NONE {
                    continue;
                }
                from[col] = row as u32;
                if col_to_row[col] == NONE {
                    break 'search col;
                }
                rows.push(col_to_row[col] as usize);
            }
        };
        let mut col = end as u32;
        while col != NONE {
            let row = from[col as usize];
            col_to_row[col as usize] = row;
            col = std::mem::replace(&mut row_to_col[row as usize], col);
        }
    }
    Ok(())
}
