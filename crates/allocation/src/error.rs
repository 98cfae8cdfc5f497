//! What can go wrong here, each as one line that says what to do.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A cost that is not a number the methods can count with.
    #[error(
        "the cost of row {row}, column {col} is {value}; costs lie within 1e100 of 0, and +infinity forbids a pair"
    )]
    Cost {
        /// Row of the cost.
        row: usize,
        /// Column of the cost.
        col: usize,
        /// The cost given.
        value: f64,
    },
    /// A table whose number of values is not rows times columns.
    #[error("{n_values} values do not fill a matrix of {n_rows} rows and {n_cols} columns")]
    Shape {
        /// Values given.
        n_values: usize,
        /// Rows announced.
        n_rows: usize,
        /// Columns announced.
        n_cols: usize,
    },
    /// Forbidden pairs leave no complete assignment (Hall's condition fails).
    #[error("{}; allow more pairs", hall(.side, .members, *.n_choices))]
    Infeasible {
        /// `row` or `column`: what the members are.
        side: &'static str,
        /// Rows (or columns) that cannot all be assigned.
        members: Vec<usize>,
        /// Number of partners that they may take, all together; fewer than members.
        n_choices: usize,
    },
    /// A problem of a class that a method does not solve.
    #[error("{method} does not solve problems of class {class}: {reason}")]
    Unsupported {
        /// Name of the method.
        method: &'static str,
        /// The class, in iTax notation.
        class: String,
        /// What stands in the way, and what to use instead.
        reason: String,
    },
    /// A search that would take more than it was allowed.
    #[error("{what} needs {needed}, allowed are {allowed}; {advice}")]
    TooLarge {
        /// What is large.
        what: String,
        /// What it would take.
        needed: u64,
        /// The limit.
        allowed: u64,
        /// What to do instead.
        advice: &'static str,
    },
    /// A file that does not say what it should.
    #[error("line {line}, column {column}: found {found}, expected {expected}")]
    Parse {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// The simulator of messages refused.
    #[error(transparent)]
    Messaging(#[from] coact_messaging::Error),
}

impl Error {
    /// Shorthand for [`Error::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

/// "rows 0, 3 and 5 have only 2 columns to take between them".
fn hall(side: &str, members: &[usize], n_choices: usize) -> String {
    let other = if side == "row" { "column" } else { "row" };
    let shown: Vec<String> = members.iter().take(8).map(usize::to_string).collect();
    let more = if members.len() > 8 { format!(" and {} more", members.len() - 8) } else { String::new() };
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "no complete assignment: {side}{} {}{more} may take only {n_choices} {other}{} between them",
        plural(members.len()),
        shown.join(", "),
        plural(n_choices)
    )
}
