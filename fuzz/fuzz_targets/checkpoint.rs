//! Checkpoints with files changed, cut, added or removed: what loads is what was saved, or there is an error. And the
//! reader of tensors with arbitrary bytes.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use coact_runner::checkpoint::CheckpointStore;
use coact_runner::tensors::TensorFile;
use libfuzzer_sys::fuzz_target;

const PARTS: &[(&str, &[u8])] = &[("params", b"weights and biases"), ("empty", b""), ("rng", &[7; 40])];

/// A folder with one checkpoint, and its files.
fn saved() -> &'static (tempfile::TempDir, PathBuf, Vec<(PathBuf, Vec<u8>)>) {
    static SAVED: OnceLock<(tempfile::TempDir, PathBuf, Vec<(PathBuf, Vec<u8>)>)> = OnceLock::new();
    SAVED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = CheckpointStore::open(folder.path()).unwrap().save(7, PARTS).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        (folder, path, files)
    })
}

fuzz_target!(|input: &[u8]| {
    let _ = TensorFile::decode(input);
    let [which, kind, at_low, at_high, rest @ ..] = input else { return };
    let (folder, _, files) = saved();
    let (path, whole) = &files[*which as usize % files.len()];
    let at = u16::from_le_bytes([*at_low, *at_high]) as usize % (whole.len() + 1);
    let mut bytes = whole.clone();
    match kind % 5 {
        0 => bytes.truncate(at),
        1 => bytes.splice(at.., rest.iter().copied()).for_each(drop),
        2 => bytes.iter_mut().skip(at).zip(rest).for_each(|(b, r)| *b ^= r),
        3 => bytes = rest.to_vec(),
        _ => bytes.extend(rest),
    }
    std::fs::write(path, &bytes).unwrap();
    let loaded = CheckpointStore::open_read_only(folder.path()).load_newest();
    std::fs::write(path, whole).unwrap();
    match loaded {
        Ok(Some(loaded)) => {
            let same = loaded.parts.iter().map(|(n, b)| (n.as_str(), b.as_slice())).eq(PARTS.iter().copied());
            assert!(same && loaded.env_steps == 7, "a changed checkpoint loads as {loaded:?}");
        }
        Ok(None) => panic!("the checkpoint is gone"),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
});
