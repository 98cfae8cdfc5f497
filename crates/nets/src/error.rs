//! The error type of this crate.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with networks, optimizers and schedules.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting outside its range.
    #[error("{key} is {value}; {rule}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        rule: &'static str,
    },
    /// Saved tensors that do not fit this network.
    #[error("tensor `{name}`: {reason}; the file belongs to a network of another shape")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A kernel refused the call.
    #[error(transparent)]
    Kernel(#[from] coact_kernels::Error),
}
