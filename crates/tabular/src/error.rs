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
    /// Text that does not parse, with the place where it stops making sense.
    #[error("line {line}, column {column}: {message}")]
    Parse {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What was found and what was expected.
        message: String,
    },
    /// Probabilities of one row that do not sum to one.
    #[error("{what} sum to {sum}, not to 1; correct the row, nothing is renormalized in silence")]
    Probabilities {
        /// The row, in words.
        what: String,
        /// What they sum to.
        sum: f64,
    },
    /// A number that must be finite (or a probability within 0 and 1) is not.
    #[error("{what} is {value}; expected {expected}")]
    BadNumber {
        /// The number, in words.
        what: String,
        /// Its value.
        value: f64,
        /// What would do.
        expected: &'static str,
    },
    /// Something too large to be done in reasonable time or memory, with an estimate.
    #[error("{what}: {estimate}; {advice}")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// How large it is.
        estimate: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// A method that does not apply to a problem.
    #[error("{method} does not apply: {reason}")]
    NotApplicable {
        /// The method.
        method: &'static str,
        /// Why not, and what does.
        reason: String,
    },
    /// An iteration that did not settle.
    #[error(
        "{method} did not converge in {iterations} iterations (residual {residual:.3e}); \
         raise max_iterations or the tolerance, or check that every policy ends where gamma is 1"
    )]
    NotConverged {
        /// The method.
        method: &'static str,
        /// Iterations made.
        iterations: usize,
        /// Residual then.
        residual: f64,
    },
}

impl Error {
    /// Shorthand for [`Error::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// Shorthand for [`Error::Parse`].
    pub(crate) fn parse(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self::Parse { line, column, message: message.into() }
    }
}
