//! Files that are either there in full or not there at all, also after a crash or a power cut.
//!
//! The order is always: write beside the target, fsync, rename onto the target, fsync the folder.
//! Not here: what the files mean.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// What the name of everything unfinished begins with.
pub(crate) const TEMPORARY: &str = ".tmp-";

/// Replaces the file at `path` by `bytes`: after a crash it holds the old content or the new one, in full.
/// A leftover of a writer that was killed begins with `.tmp-`; see [`remove_leftovers`].
///
/// # Errors
/// When the system refuses; the old content then stays and nothing else is left behind.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::invalid(format!("{} does not name a file; give a file path", path.display())));
    };
    let folder = folder_of(path);
    let temporary = loop {
        let candidate = temporary_in(folder, &name.to_string_lossy());
        match write_new(&candidate, bytes) {
            Ok(()) => break candidate,
            Err(Error::Io { action: "create", source, .. }) if source.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let _ = fs::remove_file(&candidate);
                // The user knows the target, not the temporary name.
                return Err(match error {
                    Error::Io { source, .. } => Error::io("write", path)(source),
                    other => other,
                });
            }
        }
    };
    if let Err(source) = fs::rename(&temporary, path) {
        let _ = fs::remove_file(&temporary);
        return Err(Error::io("replace", path)(source));
    }
    sync_folder(folder)
}

/// Removes what killed writers left in `folder`: every entry whose name begins with `.tmp-`. Call it only
/// where no other process is writing.
///
/// # Errors
/// When the folder cannot be read or an entry cannot be removed.
pub fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file, a link or a whole folder.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let is_folder = fs::symlink_metadata(path).map_err(Error::io("inspect", path))?.is_dir();
    let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(Error::io("remove", path))
}

/// A name in `folder` that no other writer of this or another living process uses.
pub(crate) fn temporary_in(folder: &Path, name: &str) -> PathBuf {
    static N_WRITTEN: AtomicU64 = AtomicU64::new(0);
    let n = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{TEMPORARY}{}-{n}-{name}", std::process::id()))
}

/// Creates a file that must not exist, writes it and waits until it is on the disk.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Waits until the names in `folder` are on the disk. Only Unix can and needs to do this.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let handle = File::open(folder).map_err(Error::io("open", folder))?;
        handle.sync_all().map_err(Error::io("sync", folder))?;
    }
    Ok(())
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        write_atomic(&path, b"first").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_target_that_cannot_be_replaced_keeps_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"kept").unwrap();
        let error = write_atomic(&path, b"bytes").unwrap_err().to_string();
        assert!(error.contains("taken") && !error.contains('\n'), "{error}");
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere").join("file");
        let error = write_atomic(&path, b"bytes").unwrap_err().to_string();
        assert!(error.contains("nowhere") && error.contains("check the path"), "{error}");
    }

    #[test]
    fn leftovers_go_and_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".tmp-1-0-x"), b"").unwrap();
        fs::create_dir(folder.path().join(".tmp-2")).unwrap();
        fs::write(folder.path().join(".tmp-2").join("y"), b"").unwrap();
        fs::write(folder.path().join("stays"), b"").unwrap();
        remove_leftovers(folder.path()).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["stays"]);
    }
}
