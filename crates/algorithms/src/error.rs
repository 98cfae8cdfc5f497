//! The error type of this crate.

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in building or running a learner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No algorithm of that name.
    #[error("unknown algorithm `{name}`{hint} (`coact list algorithms` shows all)")]
    UnknownAlgorithm {
        /// The name given.
        name: String,
        /// A nearest-name hint, or nothing.
        hint: String,
    },
    /// The environment is not what the algorithm needs.
    #[error("{algorithm} cannot learn in `{env}`: {reason}")]
    Unsupported {
        /// The algorithm.
        algorithm: &'static str,
        /// The environment.
        env: String,
        /// What is missing and how to get it.
        reason: String,
    },
    /// A setting outside its range, or two that contradict each other.
    #[error("{key} is {value}; {rule}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        rule: &'static str,
    },
    /// Fast mode for an algorithm all of whose kernels are strict.
    #[error(
        "precision is fast, but {algorithm} has no kernels for matrix units; use precision strict (`coact list algorithms` says which have some)"
    )]
    NotFast {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// Settings that do not parse.
    #[error("settings of {algorithm}: {reason}")]
    Settings {
        /// The algorithm.
        algorithm: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Training produced a number that is not finite.
    #[error(
        "{what} is {value} after {grad_steps} gradient steps; lower `learning_rate`, clip gradients or scale rewards"
    )]
    NonFinite {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f32,
        /// Gradient steps taken before.
        grad_steps: u64,
    },
    /// Replay refused.
    #[error(transparent)]
    Replay(#[from] coact_replay::Error),
    /// A network or optimizer refused.
    #[error(transparent)]
    Nets(#[from] coact_nets::Error),
    /// A kernel refused.
    #[error(transparent)]
    Kernel(#[from] coact_kernels::Error),
    /// Data between crates does not fit.
    #[error(transparent)]
    Core(#[from] coact_core::Error),
}
