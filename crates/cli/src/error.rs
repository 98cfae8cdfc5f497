//! Errors of the binary and their exit codes: 1 the run failed, 2 wrong usage.

use std::fmt;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One line for the user and the exit code that goes with it.
#[derive(Debug)]
pub enum Error {
    /// The command cannot be what was meant: unknown names, settings out of range. Exit code 2.
    Usage(String),
    /// The command was right and did not work out. Exit code 1.
    Failed(String),
}

impl Error {
    /// The process exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }

    /// A usage error.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self::Usage(text.to_string())
    }

    /// A failure.
    pub fn failed(text: impl fmt::Display) -> Self {
        Self::Failed(text.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Failed(text)) = self;
        f.write_str(&text.replace('\n', " "))
    }
}

impl std::error::Error for Error {}

impl From<coact_core::Error> for Error {
    fn from(error: coact_core::Error) -> Self {
        Self::failed(error)
    }
}

impl From<coact_kernels::Error> for Error {
    fn from(error: coact_kernels::Error) -> Self {
        Self::failed(error)
    }
}

impl From<coact_algorithms::Error> for Error {
    fn from(error: coact_algorithms::Error) -> Self {
        use coact_algorithms::Error as E;
        match error {
            E::UnknownAlgorithm { .. }
            | E::Unsupported { .. }
            | E::Setting { .. }
            | E::Settings { .. }
            | E::NotFast { .. } => Self::usage(error),
            E::Nets(coact_nets::Error::Setting { .. }) => Self::usage(error),
            other => Self::failed(other),
        }
    }
}

impl From<coact_runner::Error> for Error {
    fn from(error: coact_runner::Error) -> Self {
        match error {
            coact_runner::Error::Setting { .. } => Self::usage(error),
            other => Self::failed(other),
        }
    }
}

impl From<coact_allocation::Error> for Error {
    fn from(error: coact_allocation::Error) -> Self {
        use coact_allocation::Error as E;
        match error {
            E::Infeasible { .. } | E::TooLarge { .. } => Self::failed(error),
            other => Self::usage(other),
        }
    }
}
