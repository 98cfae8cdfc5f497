//! What can go wrong with a replay, each as one line that says what to do.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that makes no sense.
    #[error("replay: {0}")]
    Config(String),
    /// The memory is not there.
    #[error(
        "replay of {capacity} transitions needs {bytes} bytes, which this machine cannot give; lower `capacity` (a run: `buffer_size`)"
    )]
    Memory {
        /// Transitions asked for.
        capacity: usize,
        /// Bytes needed.
        bytes: u64,
    },
    /// More rows asked for than are stored.
    #[error(
        "a batch of {batch_size} was asked of a replay that holds {stored} transitions; store more first or ask for fewer"
    )]
    TooFew {
        /// Rows asked for.
        batch_size: usize,
        /// Transitions that can be sampled.
        stored: usize,
    },
    /// Steps before the first observations.
    #[error(
        "no first observations yet; call `begin` with the result of the environment's reset before `push`"
    )]
    NotBegun,
    /// A column of another shape than the spec asks for.
    #[error(
        "{what} has {found} values where {expected} belong; was it made with another spec or number of environments?"
    )]
    Shape {
        /// Which column.
        what: &'static str,
        /// Values that belong there.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// A global state that is not finite.
    #[error("state of environment {env} is {value}; fix the environment or its parameters")]
    NonFiniteState {
        /// Environment index.
        env: usize,
        /// The offending value.
        value: f32,
    },
    /// A priority that is not a number from 0 up.
    #[error(
        "absolute TD error of transition {id} is {value}; it must be finite and not negative (has the loss diverged?)"
    )]
    BadPriority {
        /// Transition.
        id: u64,
        /// The offending value.
        value: f32,
    },
    /// An id that no batch can have held.
    #[error(
        "transition {id} was never sampled, the newest that can be has id {newest}; pass back `Batch::ids`"
    )]
    UnknownId {
        /// The id given.
        id: u64,
        /// The newest id that can be sampled.
        newest: u64,
    },
    /// Priorities given to a replay without.
    #[error("this replay samples uniformly and keeps no priorities; set `prioritized` or do not update them")]
    NotPrioritized,
    /// Data that does not fit or does not decode.
    #[error(transparent)]
    Data(#[from] coact_core::Error),
}
