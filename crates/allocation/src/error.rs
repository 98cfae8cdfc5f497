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
}
