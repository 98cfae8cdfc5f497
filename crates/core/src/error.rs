//! Errors that concern data passing between crates: states that do not decode, batches that do not fit,
//! numbers that are not finite, rows without a legal action.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with data that crosses a crate border. Displayed as one line that says what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A saved state ended early or holds a value that cannot be.
    #[error("saved state of {what} is damaged at byte {at}: {reason}; use an earlier checkpoint")]
    Decode {
        /// What was being read.
        what: &'static str,
        /// Byte offset in the state.
        at: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A value that must be finite is not.
    #[error("{what} of environment {env}, agent {agent} is {value}; fix the environment or its parameters")]
    NonFinite {
        /// Name of the quantity, for example `reward`.
        what: &'static str,
        /// Environment index.
        env: usize,
        /// Agent index, counted over all groups.
        agent: usize,
        /// The offending value.
        value: f32,
    },
    /// An action outside its space.
    #[error(
        "action {action} of environment {env}, agent {agent} is not one of {n_actions}; actions count from 0"
    )]
    BadAction {
        /// Environment index.
        env: usize,
        /// Agent index, counted over all groups.
        agent: usize,
        /// The action given.
        action: u32,
        /// Number of actions.
        n_actions: usize,
    },
    /// A row whose legality mask excludes every action.
    #[error(
        "no legal action for environment {env}, agent {agent}; its mask must leave at least one action (a no-op)"
    )]
    NoLegalAction {
        /// Environment index.
        env: usize,
        /// Agent index, counted over all groups.
        agent: usize,
    },
    /// A count or a size that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Shorthand for [`Error::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}
