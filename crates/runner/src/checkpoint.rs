//! Checkpoints that are either whole or known to be damaged.
//!
//! A checkpoint is a folder `step-000000012345` of files ("parts") and a `manifest.json` that holds size and
//! SHA-256 of each and, in its last line, of itself. It is written beside its place, every file and the folder
//! are fsynced, then it is renamed into place and the parent is fsynced: once [`CheckpointStore::save`] has
//! returned, a crash or a power cut cannot take it away. Older ones are deleted only then.
//!
//! Loading verifies every byte. What is damaged is named and the one before is used. Not here: what the parts
//! mean.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::durable::{TEMPORARY, folder_of, remove, remove_leftovers, sync_folder, temporary_in, write_new};
use crate::{Error, Result, write_atomic};

/// Version of the format that [`CheckpointStore::save`] writes; all up to it are read.
pub const FORMAT_VERSION: u64 = 1;

const FORMAT: &str = "coact-checkpoint";
const MANIFEST: &str = "manifest.json";
const PREFIX: &str = "step-";
/// A checkpoint that is being replaced by another of the same step.
const REPLACED: &str = ".replaced-";
/// A file that names a checkpoint to keep.
const KEPT: &str = "kept-";
/// Manifests list a handful of files; a larger one is not ours.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// What stands before and behind the manifest's own hash, in every format version.
const SEAL: (&[u8], &[u8]) = (b",\n  \"sha256\": \"", b"\"\n}\n");

/// A folder of checkpoints.
#[derive(Debug)]
pub struct CheckpointStore {
    dir: PathBuf,
    n_keep: usize,
}

/// A checkpoint in memory, verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Environment steps at which it was saved.
    pub env_steps: u64,
    /// Names and bytes, in the order in which they were saved.
    pub parts: Vec<(String, Vec<u8>)>,
    /// Newer checkpoints that are damaged, each with the reason.
    pub skipped: Vec<(PathBuf, String)>,
}

impl Loaded {
    /// The bytes of a part.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn part(&self, name: &str) -> Result<&[u8]> {
        match self.parts.iter().find(|(n, _)| n == name) {
            Some((_, bytes)) => Ok(bytes),
            None => Err(Error::Missing {
                what: format!("the checkpoint of step {}", self.env_steps),
                name: name.to_string(),
                present: self.parts.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

impl CheckpointStore {
    /// Opens `dir` for writing, creates it if need be and removes what killed writers left there. One writer
    /// at a time. Keeps the last two checkpoints; see [`Self::keep_last`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        sync_folder(folder_of(&dir))?;
        remove_leftovers(&dir)?;
        let store = Self { dir, n_keep: 2 };
        store.settle_replaced()?;
        Ok(store)
    }

    /// Opens `dir` for loading only. Touches nothing and needs no right to write; a trainer may be at work.
    pub fn open_read_only(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), n_keep: usize::MAX }
    }

    /// Sets how many of the last checkpoints stay, at least one.
    pub fn keep_last(mut self, n_keep: usize) -> Self {
        self.n_keep = n_keep.max(1);
        self
    }

    /// Saves `parts` (file names and bytes) as the checkpoint of `env_steps` and returns its folder once it is
    /// on the disk. Then the oldest beyond those to keep are deleted, and any of later steps: they belong to a
    /// course of the run that was given up by resuming before them.
    ///
    /// # Errors
    /// When a name is not a plain file name, or when the system refuses (disk full, no right to write). The
    /// checkpoints saved before are then untouched.
    pub fn save(&self, env_steps: u64, parts: &[(&str, &[u8])]) -> Result<PathBuf> {
        check_names(parts)?;
        let name = folder_name(env_steps);
        let target = self.dir.join(&name);
        let temporary = temporary_in(&self.dir, &name);
        let placed =
            write_folder(&temporary, env_steps, parts).and_then(|()| self.place(&temporary, &target));
        if let Err(error) = placed {
            let _ = remove(&temporary);
            return Err(error);
        }
        self.prune(env_steps)?;
        Ok(target)
    }

    /// Keeps the checkpoint of `env_steps` under `name` (for example `best`) until another takes that name.
    ///
    /// # Errors
    /// When there is no such checkpoint, the name is not a plain word, or the system refuses.
    pub fn keep_as(&self, name: &str, env_steps: u64) -> Result<()> {
        if !is_plain(name) {
            return Err(Error::invalid(format!(
                "{name:?} cannot name a checkpoint; use letters, digits, . _ -"
            )));
        }
        let folder = folder_name(env_steps);
        if !self.dir.join(&folder).is_dir() {
            return Err(self.missing(&folder));
        }
        write_atomic(&self.dir.join(format!("{KEPT}{name}")), format!("{folder}\n").as_bytes())
    }

    /// The environment steps of all checkpoints, whole or not, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn steps(&self) -> Result<Vec<u64>> {
        Ok(self.candidates()?.into_iter().map(|(step, _)| step).collect())
    }

    /// Loads the newest whole checkpoint; `None` where there is none at all.
    ///
    /// # Errors
    /// When all are damaged, when the newest whole one was written by a later program, or when the folder
    /// cannot be read.
    pub fn load_newest(&self) -> Result<Option<Loaded>> {
        let mut skipped = Vec::new();
        for (env_steps, path) in self.candidates()?.into_iter().rev() {
            match read_folder(&path, env_steps) {
                Ok(parts) => return Ok(Some(Loaded { env_steps, parts, skipped })),
                Err(Fault::Newer(found)) => return Err(newer(path, found)),
                Err(Fault::Damaged(reason)) => skipped.push((path, reason)),
            }
        }
        if skipped.is_empty() {
            return Ok(None);
        }
        let reasons = skipped.iter().map(|(p, r)| format!("{}: {r}", file_name(p))).collect::<Vec<_>>();
        Err(Error::NoWholeCheckpoint { dir: self.dir.clone(), reasons: reasons.join("; ") })
    }

    /// Loads the checkpoint of exactly `env_steps`.
    ///
    /// # Errors
    /// When there is none, when it is damaged, or when it was written by a later program.
    pub fn load(&self, env_steps: u64) -> Result<Loaded> {
        let found = self.candidates()?.into_iter().find(|&(step, _)| step == env_steps);
        let (_, path) = found.ok_or_else(|| self.missing(&folder_name(env_steps)))?;
        match read_folder(&path, env_steps) {
            Ok(parts) => Ok(Loaded { env_steps, parts, skipped: Vec::new() }),
            Err(Fault::Newer(found)) => Err(newer(path, found)),
            Err(Fault::Damaged(reason)) => Err(Error::CheckpointDamaged { path, reason }),
        }
    }

    /// Loads the checkpoint kept under `name`; `None` where nothing has that name.
    ///
    /// # Errors
    /// As [`Self::load`], and when the name's file is damaged.
    pub fn load_kept(&self, name: &str) -> Result<Option<Loaded>> {
        let path = self.dir.join(format!("{KEPT}{name}"));
        if !is_plain(name) || !path.exists() {
            return Ok(None);
        }
        match read_kept(&path) {
            Some(env_steps) => self.load(env_steps).map(Some),
            None => Err(Error::CheckpointDamaged { path, reason: "it does not name a checkpoint".into() }),
        }
    }

    /// Renames a written folder into place and waits until that is on the disk.
    fn place(&self, temporary: &Path, target: &Path) -> Result<()> {
        let replaced = self.dir.join(format!("{REPLACED}{}", file_name(target)));
        let is_taken = fs::symlink_metadata(target).is_ok();
        if is_taken {
            if fs::symlink_metadata(&replaced).is_ok() {
                remove(&replaced)?;
            }
            fs::rename(target, &replaced).map_err(Error::io("replace", target))?;
        }
        if let Err(source) = fs::rename(temporary, target) {
            if is_taken {
                let _ = fs::rename(&replaced, target);
            }
            return Err(Error::io("move into place", target)(source));
        }
        sync_folder(&self.dir)?;
        if is_taken { remove(&replaced) } else { Ok(()) }
    }

    /// Ends a replacement that a crash interrupted: the new one stays if it is in place, else the old one.
    fn settle_replaced(&self) -> Result<()> {
        for (name, path) in self.entries()? {
            let Some(original) = name.strip_prefix(REPLACED) else { continue };
            let target = self.dir.join(original);
            if step_of(original).is_none() || fs::symlink_metadata(&target).is_ok() {
                remove(&path)?;
            } else {
                fs::rename(&path, &target).map_err(Error::io("restore", &target))?;
            }
        }
        Ok(())
    }

    /// Deletes what need not be kept now that `newest` is on the disk.
    fn prune(&self, newest: u64) -> Result<()> {
        let mut kept = BTreeSet::new();
        for (name, path) in self.entries()? {
            if name.starts_with(KEPT) {
                kept.extend(read_kept(&path));
            }
        }
        let candidates = self.candidates()?;
        let up_to_newest = candidates.iter().rev().map(|&(step, _)| step).filter(|&s| s <= newest);
        kept.extend(up_to_newest.take(self.n_keep));
        for (step, path) in candidates.into_iter().filter(|(s, _)| !kept.contains(s)) {
            // Out of sight first: a half deleted folder must not look like a damaged checkpoint.
            let gone = temporary_in(&self.dir, &format!("deleted-{step}"));
            fs::rename(&path, &gone).map_err(Error::io("delete", &path))?;
            remove(&gone)?;
        }
        Ok(())
    }

    /// Every checkpoint, whole or not, by ascending step.
    fn candidates(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        let mut replaced = Vec::new();
        for (name, path) in self.entries()? {
            if let Some(step) = step_of(&name) {
                found.push((step, path));
            } else if let Some(step) = name.strip_prefix(REPLACED).and_then(step_of) {
                replaced.push((step, path));
            }
        }
        replaced.retain(|(step, _)| found.iter().all(|(s, _)| s != step));
        found.append(&mut replaced);
        found.sort();
        Ok(found)
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>> {
        let listing = match fs::read_dir(&self.dir) {
            Ok(listing) => listing,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", &self.dir)(error)),
        };
        let mut entries = Vec::new();
        for entry in listing {
            let path = entry.map_err(Error::io("list", &self.dir))?.path();
            let name = file_name(&path);
            if !name.starts_with(TEMPORARY) {
                entries.push((name, path));
            }
        }
        Ok(entries)
    }

    fn missing(&self, folder: &str) -> Error {
        let steps = self.steps().unwrap_or_default();
        let present: Vec<String> = steps.into_iter().map(folder_name).collect();
        let present = if present.is_empty() { "no checkpoint".to_string() } else { present.join(", ") };
        Error::Missing { what: self.dir.display().to_string(), name: folder.to_string(), present }
    }
}

fn newer(path: PathBuf, found: u64) -> Error {
    Error::CheckpointNewer { path, found, supported: FORMAT_VERSION }
}

fn folder_name(env_steps: u64) -> String {
    format!("{PREFIX}{env_steps:012}")
}

/// The step that a folder name means, where it is spelled as [`folder_name`] spells it.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix(PREFIX)?.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_kept(path: &Path) -> Option<u64> {
    let mut text = String::new();
    File::open(path).ok()?.take(256).read_to_string(&mut text).ok()?;
    step_of(text.strip_suffix('\n')?)
}

/// A word that is a plain file name on every system and needs no escape in JSON.
fn is_plain(name: &str) -> bool {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    fits && !name.is_empty() && name.len() <= 128 && !name.starts_with('.')
}

fn check_names(parts: &[(&str, &[u8])]) -> Result<()> {
    for (i, &(name, _)) in parts.iter().enumerate() {
        let again = parts[..i].iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !is_plain(name) || again || name.eq_ignore_ascii_case(MANIFEST) {
            return Err(Error::invalid(format!(
                "{name:?} cannot name a part of a checkpoint; use letters, digits, . _ - and each name once"
            )));
        }
    }
    Ok(())
}

fn hex_sha256(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn write_folder(folder: &Path, env_steps: u64, parts: &[(&str, &[u8])]) -> Result<()> {
    fs::create_dir(folder).map_err(Error::io("create", folder))?;
    for &(name, bytes) in parts {
        write_new(&folder.join(name), bytes)?;
    }
    write_new(&folder.join(MANIFEST), &manifest(env_steps, parts))?;
    sync_folder(folder)
}

fn manifest(env_steps: u64, parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = format!(
        "{{\n  \"format\": \"{FORMAT}\",\n  \"version\": {FORMAT_VERSION},\n  \"env_steps\": {env_steps},\n  \
         \"files\": ["
    );
    for (i, (name, bytes)) in parts.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (n_bytes, sha256) = (bytes.len(), hex_sha256(bytes));
        let _ = write!(
            text,
            "{comma}\n    {{\"name\": \"{name}\", \"n_bytes\": {n_bytes}, \"sha256\": \"{sha256}\"}}"
        );
    }
    text.push_str("\n  ]");
    let seal = hex_sha256(text.as_bytes());
    [text.as_bytes(), SEAL.0, seal.as_bytes(), SEAL.1].concat()
}

/// Why a folder is not a checkpoint that can be used.
enum Fault {
    Damaged(String),
    Newer(u64),
}

fn damaged<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(reason.into()))
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u64,
    env_steps: u64,
    files: Vec<FileEntry>,
    #[serde(rename = "sha256")]
    _sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    name: String,
    n_bytes: u64,
    sha256: String,
}

fn read_folder(folder: &Path, env_steps: u64) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    if !fs::symlink_metadata(folder).is_ok_and(|m| m.is_dir()) {
        return damaged("it is not a folder");
    }
    let bytes = read_regular(&folder.join(MANIFEST), |n| n <= MAX_MANIFEST_BYTES)?;
    let manifest = read_manifest(&bytes)?;
    if manifest.env_steps != env_steps {
        return damaged(format!("it was saved at step {}", manifest.env_steps));
    }
    let mut parts = Vec::with_capacity(manifest.files.len());
    let mut seen = BTreeSet::new();
    for file in manifest.files {
        // A file listed many times would take many times its size.
        if !is_plain(&file.name) || !seen.insert(file.name.clone()) {
            return damaged(format!("{MANIFEST} names the file {:?}", file.name));
        }
        let bytes = read_regular(&folder.join(&file.name), |n| n == file.n_bytes)?;
        if hex_sha256(&bytes) != file.sha256 {
            return damaged(format!("the checksum of {} does not match", file.name));
        }
        parts.push((file.name, bytes));
    }
    Ok(parts)
}

/// Reads a manifest, its own hash first, so that nothing is concluded from damaged text.
fn read_manifest(bytes: &[u8]) -> Result<Manifest, Fault> {
    let sealed = bytes.strip_suffix(SEAL.1).and_then(|b| b.split_last_chunk::<64>());
    let Some((text, seal)) = sealed.and_then(|(b, seal)| Some((b.strip_suffix(SEAL.0)?, seal))) else {
        return damaged(format!("{MANIFEST} has no end"));
    };
    if hex_sha256(text).as_bytes() != seal {
        return damaged(format!("the checksum of {MANIFEST} does not match"));
    }
    let unreadable = |_| Fault::Damaged(format!("{MANIFEST} is not a manifest"));
    let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
    if head.format != FORMAT || head.version == 0 {
        return damaged(format!("{MANIFEST} is not a manifest"));
    }
    if head.version > FORMAT_VERSION {
        return Err(Fault::Newer(head.version));
    }
    serde_json::from_slice(bytes).map_err(unreadable)
}

/// Reads a regular file whose size `fits`; links, pipes and devices are refused.
fn read_regular(path: &Path, fits: impl Fn(u64) -> bool) -> Result<Vec<u8>, Fault> {
    let name = file_name(path);
    let unreadable = |error: std::io::Error| Fault::Damaged(format!("{name}: {error}"));
    let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return damaged(format!("{name} is not a file"));
    }
    let n_bytes = metadata.len();
    if !fits(n_bytes) {
        return damaged(format!("{name} has {n_bytes} bytes"));
    }
    let mut bytes = Vec::with_capacity(n_bytes as usize);
    let file = File::open(path).map_err(unreadable)?;
    file.take(n_bytes).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 != n_bytes {
        return damaged(format!("{name} ends after {} bytes", bytes.len()));
    }
    Ok(bytes)
}
