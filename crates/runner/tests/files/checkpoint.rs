//! Checkpoints under every kind of damage.

use coact_runner::checkpoint::{CheckpointStore, Loaded};
use coact_runner::error::Error;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const PARTS: [(&str, &[u8]); 3] =
    [("params.safetensors", b"some parameters"), ("replay.bin", &[7; 40]), ("empty", b"")];

fn store(dir: &Path) -> CheckpointStore {
    CheckpointStore::open(dir).unwrap()
}

/// A folder with whole checkpoints of steps 10 and 20, and the path of the second.
fn two() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    store.save(10, &PARTS).unwrap();
    let newest = store.save(20, &PARTS).unwrap();
    (dir, newest)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn assert_falls_back(dir: &Path, newest: &Path, what: &str) -> Loaded {
    let loaded = CheckpointStore::open_read_only(dir).load_newest().unwrap().unwrap();
    assert_eq!(loaded.env_steps, 10, "{what}");
    assert_eq!(loaded.skipped.len(), 1, "{what}");
    assert_eq!(loaded.skipped[0].0, newest, "{what}");
    assert!(!loaded.skipped[0].1.contains('\n'));
    loaded
}

#[test]
fn saves_and_loads_every_byte_in_order() {
    let (dir, newest) = two();
    assert_eq!(newest, dir.path().join("step-000000000020"));
    let loaded = store(dir.path()).load_newest().unwrap().unwrap();
    assert_eq!((loaded.env_steps, loaded.skipped.len()), (20, 0));
    let parts: Vec<(&str, &[u8])> = loaded.parts.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    assert_eq!(parts, PARTS);
    assert_eq!(loaded.part("replay.bin").unwrap(), [7; 40]);
    let missing = loaded.part("optimizer").unwrap_err().to_string();
    assert!(missing.contains("optimizer") && missing.contains("replay.bin"), "{missing}");
    assert_eq!(store(dir.path()).load(10).unwrap().env_steps, 10);
    assert!(store(dir.path()).load(15).unwrap_err().to_string().contains("step-000000000020"));
}

#[test]
fn an_absent_or_empty_folder_has_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("checkpoints");
    assert_eq!(CheckpointStore::open_read_only(&absent).load_newest().unwrap(), None);
    assert!(!absent.exists());
    assert_eq!(store(&absent).load_newest().unwrap(), None);
}

#[test]
fn the_last_ones_and_the_named_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for step in [5, 10, 15, 20, u64::MAX / 2] {
        store.save(step, &PARTS).unwrap();
        if step == 10 {
            store.keep_as("best", 10).unwrap();
        }
    }
    assert_eq!(store.steps().unwrap(), [10, 20, u64::MAX / 2]);
    assert_eq!(store.load_kept("best").unwrap().unwrap().env_steps, 10);
    assert_eq!(store.load_kept("worst").unwrap(), None);
    store.keep_as("best", 20).unwrap();
    let one = CheckpointStore::open(dir.path()).unwrap().keep_last(0);
    one.save(u64::MAX, &PARTS).unwrap();
    assert_eq!(one.steps().unwrap(), [20, u64::MAX]);
    assert!(store.keep_as("best", 11).is_err());
    assert!(store.keep_as("../best", 20).is_err());
    fs::write(dir.path().join("kept-best"), "junk").unwrap();
    assert!(store.load_kept("best").is_err());
}

#[test]
fn every_truncation_of_every_file_is_found() {
    let (dir, newest) = two();
    for name in names(&newest) {
        let path = newest.join(&name);
        let bytes = fs::read(&path).unwrap();
        for n in 0..bytes.len() {
            fs::write(&path, &bytes[..n]).unwrap();
            assert_falls_back(dir.path(), &newest, &format!("{name} cut at {n}"));
        }
        fs::write(&path, [&bytes[..], b"\n"].concat()).unwrap();
        assert_falls_back(dir.path(), &newest, &format!("{name} one longer"));
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(store(dir.path()).load_newest().unwrap().unwrap().env_steps, 20);
}

#[test]
fn a_flipped_bit_in_every_byte_of_every_file_is_found() {
    let is_slow = std::env::var_os("COACT_SLOW_TESTS").is_some();
    let (dir, newest) = two();
    for name in names(&newest) {
        let path = newest.join(&name);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            // Every byte; every bit where time allows.
            let bits = if is_slow { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                fs::write(&path, &damaged).unwrap();
                assert_falls_back(dir.path(), &newest, &format!("{name}, byte {at}, bit {bit}"));
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn deleted_swapped_and_foreign_files_are_found() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 8] = [
        ("a part is gone", |p| fs::remove_file(p.join("replay.bin")).unwrap()),
        ("an empty part is gone", |p| fs::remove_file(p.join("empty")).unwrap()),
        ("the manifest is gone", |p| fs::remove_file(p.join("manifest.json")).unwrap()),
        ("everything is gone", |p| {
            fs::remove_dir_all(p).unwrap();
            fs::create_dir(p).unwrap();
        }),
        ("parts are swapped", |p| {
            fs::rename(p.join("replay.bin"), p.join("x")).unwrap();
            fs::rename(p.join("params.safetensors"), p.join("replay.bin")).unwrap();
            fs::rename(p.join("x"), p.join("params.safetensors")).unwrap();
        }),
        ("the manifest is of another checkpoint", |p| {
            let other = p.with_file_name("step-000000000010").join("manifest.json");
            fs::copy(other, p.join("manifest.json")).unwrap();
        }),
        ("a part is a folder", |p| {
            fs::remove_file(p.join("replay.bin")).unwrap();
            fs::create_dir(p.join("replay.bin")).unwrap();
        }),
        ("it is a file", |p| {
            fs::remove_dir_all(p).unwrap();
            fs::write(p, b"junk").unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (dir, newest) = two();
        damage(&newest);
        assert_falls_back(dir.path(), &newest, what);
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let (dir, newest) = two();
    let part = newest.join("replay.bin");
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&part, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    assert_falls_back(dir.path(), &newest, "a link to the right bytes");
    fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &part).unwrap();
    assert_falls_back(dir.path(), &newest, "a link to endless bytes");
}

#[test]
fn none_whole_is_one_clear_error() {
    let (dir, newest) = two();
    fs::write(newest.join("replay.bin"), b"junk").unwrap();
    fs::remove_file(dir.path().join("step-000000000010/manifest.json")).unwrap();
    let error = store(dir.path()).load_newest().unwrap_err().to_string();
    assert!(error.contains("step-000000000010") && error.contains("replay.bin"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert!(matches!(store(dir.path()).load(20), Err(Error::CheckpointDamaged { .. })));
}

/// Replaces the manifest's text and seals it again, as a later program (or a forger) would.
fn reseal(folder: &Path, change: impl Fn(&str) -> String) {
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let (body, _) = text.split_once(",\n  \"sha256\": \"").unwrap();
    let body = change(body);
    let seal: String = Sha256::digest(&body).iter().map(|b| format!("{b:02x}")).collect();
    fs::write(&path, format!("{body},\n  \"sha256\": \"{seal}\"\n}}\n")).unwrap();
}

#[test]
fn a_later_format_is_an_error_and_not_a_fallback() {
    let (dir, newest) = two();
    reseal(&newest, |text| text.replace("\"version\": 1", "\"version\": 2, \"new\": {}"));
    let error = store(dir.path()).load_newest().unwrap_err();
    assert!(matches!(error, Error::CheckpointNewer { found: 2, supported: 1, .. }), "{error}");
    // A version that was changed without its seal is damage.
    let (dir, newest) = two();
    let manifest = newest.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert_falls_back(dir.path(), &newest, "unsealed version");
}

#[test]
fn forged_manifests_reach_no_other_file_and_multiply_nothing() {
    let forgeries: [(&str, &str); 4] = [
        ("\"replay.bin\"", "\"../step-000000000010/replay.bin\""),
        ("\"replay.bin\"", "\"/etc/passwd\""),
        ("\"replay.bin\"", "\"params.safetensors\""),
        ("\"env_steps\": 20", "\"env_steps\": 21"),
    ];
    for (from, to) in forgeries {
        let (dir, newest) = two();
        reseal(&newest, |text| {
            assert!(text.contains(from));
            text.replace(from, to)
        });
        assert_falls_back(dir.path(), &newest, to);
    }
}

#[test]
fn names_that_are_not_plain_are_refused_and_leave_nothing() {
    let (dir, _) = two();
    let store = store(dir.path());
    let before = names(dir.path());
    for name in ["", ".", "..", "a/b", "a\\b", ".hidden", "manifest.json", "Manifest.JSON", "a\"b", "ä"] {
        let error = store.save(30, &[(name, b"")]).unwrap_err().to_string();
        assert!(error.contains("letters"), "{error}");
    }
    assert!(store.save(30, &[("a", b""), ("A", b"")]).is_err());
    assert_eq!(names(dir.path()), before);
}

#[test]
fn leftovers_of_killed_writers_are_never_checkpoints_and_go_at_open() {
    let (dir, newest) = two();
    let leftover = dir.path().join(".tmp-1-0-step-000000000030");
    fs::create_dir(&leftover).unwrap();
    fs::copy(newest.join("manifest.json"), leftover.join("manifest.json")).unwrap();
    let loaded = CheckpointStore::open_read_only(dir.path()).load_newest().unwrap().unwrap();
    assert_eq!((loaded.env_steps, loaded.skipped.len()), (20, 0));
    store(dir.path());
    assert_eq!(names(dir.path()), ["step-000000000010", "step-000000000020"]);
}

#[test]
fn a_step_saved_again_replaces_the_one_before_also_through_a_crash() {
    let (dir, newest) = two();
    store(dir.path()).save(20, &[("params.safetensors", b"others")]).unwrap();
    let load = || CheckpointStore::open_read_only(dir.path()).load_newest().unwrap().unwrap();
    assert_eq!(load().parts, [("params.safetensors".to_string(), b"others".to_vec())]);
    assert_eq!(names(dir.path()).len(), 2);
    // A crash after the old one was moved aside and before the new one was in place.
    let aside = dir.path().join(".replaced-step-000000000020");
    fs::rename(&newest, &aside).unwrap();
    assert_eq!(load().env_steps, 20);
    store(dir.path());
    assert!(newest.exists() && !aside.exists());
    // A crash after the new one was in place.
    fs::create_dir(&aside).unwrap();
    assert_eq!(load().env_steps, 20);
    store(dir.path()).save(20, &PARTS).unwrap();
    assert_eq!(names(dir.path()).len(), 2);
    assert_eq!(load().parts.len(), 3);
}

#[test]
fn a_run_resumed_before_a_damaged_checkpoint_replaces_it() {
    let (dir, newest) = two();
    fs::remove_file(newest.join("empty")).unwrap();
    let store = store(dir.path());
    assert_eq!(store.load_newest().unwrap().unwrap().env_steps, 10);
    store.save(15, &PARTS).unwrap();
    assert_eq!(store.steps().unwrap(), [10, 15], "the damaged later one is gone");
    assert_eq!(store.load_newest().unwrap().unwrap().skipped, []);
}

#[test]
fn a_refusal_of_the_system_leaves_the_old_ones() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, moved) = (parent.path().join("checkpoints"), parent.path().join("moved"));
    let store = store(&dir);
    store.save(20, &PARTS).unwrap();
    fs::rename(&dir, &moved).unwrap();
    let error = store.save(30, &PARTS).unwrap_err().to_string();
    assert!(error.contains("cannot create") && error.contains("check the path"), "{error}");
    assert_eq!(CheckpointStore::open_read_only(&moved).load_newest().unwrap().unwrap().env_steps, 20);
    assert!(CheckpointStore::open(moved.join("step-000000000020/empty/x")).is_err());
}

/// Written by format version 1 and never changed since: old checkpoints load forever.
#[test]
fn version_1_loads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints-v1");
    let loaded = CheckpointStore::open_read_only(dir).load_newest().unwrap().unwrap();
    assert_eq!((loaded.env_steps, loaded.skipped.len()), (7, 0));
    assert_eq!(loaded.part("params.safetensors").unwrap(), b"frozen");
    assert_eq!(loaded.part("counters").unwrap(), [0, 255, 10, 13]);
}
