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
    /// A text that is not what it should be.
    #[error("line {line}, column {column}: expected {expected}, found {found}")]
    Parse {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What belongs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A text whose parts do not fit each other.
    #[error("line {line}, column {column}: {reason}")]
    Inconsistent {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What does not fit.
        reason: String,
    },
    /// A player forgets what was known or done before, and the method cannot have that.
    #[error(
        "{player} forgets at information set `{infoset}` (imperfect recall); {method} needs perfect recall"
    )]
    ImperfectRecall {
        /// What was asked for.
        method: &'static str,
        /// The player who forgets.
        player: String,
        /// The information set whose nodes have different pasts.
        infoset: String,
    },
    /// A method that does not apply to a game.
    #[error("method `{method}` does not apply: {reason}")]
    DoesNotApply {
        /// Name of the method.
        method: &'static str,
        /// Why, and what to use instead.
        reason: String,
    },
    /// A table whose size does not fit a game.
    #[error("{what} has {found} entries where {expected} belong; give one for each")]
    Shape {
        /// Name of the table.
        what: &'static str,
        /// Entries given.
        found: usize,
        /// Entries that belong there.
        expected: usize,
    },
    /// Work beyond a limit that the caller set or that memory sets.
    #[error("{what} needs about {} {unit}, above the limit of {}; {remedy}", readable(*estimate), readable(*limit))]
    TooLarge {
        /// What was asked.
        what: String,
        /// How much it takes.
        estimate: f64,
        /// Unit of the estimate.
        unit: &'static str,
        /// The limit.
        limit: f64,
        /// What to do instead.
        remedy: String,
    },
    /// A long search that its observer ended.
    #[error("{what} was stopped after {after} steps; allow more, or take a method that seeks one answer")]
    Stopped {
        /// What was running.
        what: &'static str,
        /// How far it got.
        after: usize,
    },
    /// Floating point arithmetic that lost its way.
    #[error("{what} lost its accuracy in floating point; solve it in exact arithmetic")]
    Inaccurate {
        /// What was computed.
        what: &'static str,
    },
}

impl Error {
    /// Shorthand for [`Error::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

/// A count, with all its digits only where somebody would read them.
fn readable(count: f64) -> String {
    match count {
        n if n.is_infinite() => "more than 1e308".into(),
        n if n >= 1e8 => format!("{n:.1e}"),
        n => format!("{n:.0}"),
    }
}
