//! What can go wrong here, each as one line that says what to do.

use std::fmt;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in a text, counted from 1 in lines and characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
}

impl Position {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that cannot be read, or says something that makes no sense.
    #[error("{at}: {message}")]
    Text {
        /// Where.
        at: Position,
        /// What was expected there, and what was found.
        message: String,
    },
    /// An argument that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A problem that an exact method could solve only with more memory than allowed.
    #[error(
        "this problem has induced width {induced_width} in the best of {n_tried} trees: its tables need \
         {need_bytes} bytes, {limit_bytes} are allowed; allow more or use a local method such as mgm or maxsum"
    )]
    Memory {
        /// Greatest number of variables in a separator.
        induced_width: usize,
        /// How many trees were looked at.
        n_tried: usize,
        /// Bytes of all tables together, saturating.
        need_bytes: u64,
        /// Bytes allowed.
        limit_bytes: u64,
    },
    /// A problem with too many combinations to list.
    #[error("{what} has {size} combinations, at most {limit} can be listed: {advice}")]
    TooMany {
        /// What has them.
        what: String,
        /// How many, saturating.
        size: u64,
        /// How many can be listed.
        limit: u64,
        /// What to do instead.
        advice: &'static str,
    },
    /// The simulator refused.
    #[error(transparent)]
    Messaging(#[from] coact_messaging::Error),
}

impl Error {
    /// A fault of a text at a place.
    pub(crate) fn text(at: Position, message: impl Into<String>) -> Self {
        Self::Text { at, message: message.into() }
    }

    /// An argument that makes no sense.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}
