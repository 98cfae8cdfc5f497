//! A dictionary together with the names of its variables.

use crate::dictionary::Dictionary;

/// A dictionary whose rows and columns know which variable they hold. The last `n_columns - nonbasic.len()`
/// columns (right-hand side, artificial) and the last `n_rows - basic.len()` rows (objective) have none.
#[derive(Debug, Clone)]
pub(crate) struct Tableau<D> {
    pub(crate) table: D,
    /// Variable of each row.
    pub(crate) basic: Vec<usize>,
    /// Variable of each column.
    pub(crate) nonbasic: Vec<usize>,
}

impl<D: Dictionary> Tableau<D> {
    /// Exchanges the variables of a row and a column.
    pub(crate) fn pivot(&mut self, row: usize, column: usize) {
        self.table.pivot(row, column);
        self.rename(row, column);
    }

    /// Exchanges the variables of a row and a column, of which the table has to hear as well.
    pub(crate) fn rename(&mut self, row: usize, column: usize) {
        std::mem::swap(&mut self.basic[row], &mut self.nonbasic[column]);
    }
}
