//! What can go wrong around a run: files, checkpoints, logs.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault of a run's files. Displayed as one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused to read or write.
    #[error("cannot {action} {}: {source}; {}", path.display(), advice(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A checkpoint whose bytes are not those that were saved.
    #[error("checkpoint {} is damaged: {reason}; use an earlier one or a copy", path.display())]
    CheckpointDamaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Checkpoints exist and none of them is whole.
    #[error("no checkpoint in {} is whole ({reasons}); restore one from a copy or start a new run", dir.display())]
    NoWholeCheckpoint {
        /// The folder of checkpoints.
        dir: PathBuf,
        /// Each damaged one with its reason.
        reasons: String,
    },
    /// A whole checkpoint, written by a later program.
    #[error(
        "checkpoint {} has format version {found}, this program reads up to {supported}; use a newer coact",
        path.display()
    )]
    CheckpointNewer {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// Something that was asked for is not in a checkpoint or tensor file.
    #[error("{what} has no {name:?}; it has {present}")]
    Missing {
        /// Where it was looked for.
        what: String,
        /// What was looked for.
        name: String,
        /// What is there instead.
        present: String,
    },
    /// A file that is not what its format demands.
    #[error("{what} is damaged at byte {at}: {reason}; use a copy or write it again")]
    Format {
        /// The kind of file, with its path where known.
        what: String,
        /// Byte offset of the fault.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Values that cannot be written or computed with.
    #[error("{0}")]
    Invalid(String),
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
    /// The learner refused.
    #[error(transparent)]
    Learner(#[from] coact_algorithms::Error),
    /// Replay refused.
    #[error(transparent)]
    Replay(#[from] coact_replay::Error),
    /// An error in data passed between crates.
    #[error(transparent)]
    Core(#[from] coact_core::Error),
}

impl Error {
    /// Shorthand for [`Error::Io`], for use in `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    /// Shorthand for [`Error::Invalid`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

/// What a user can do about a refusal of the system.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space or raise the limit; what was saved before is untouched"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that this user may read and write"
        }
        ErrorKind::NotFound => "check the path",
        ErrorKind::AlreadyExists => "move it away or choose another name",
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => "check that the path is of the right kind",
        _ => "check the disk and the path",
    }
}
