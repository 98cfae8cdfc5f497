//! Every registered environment plays as it did when its playthrough was reviewed.

#![allow(clippy::unwrap_used)]

use coact_envs::ALL;
use coact_envs::golden::{file_name, playthrough};

/// To write the files anew, run `cargo xtask golden`, or this test with `COACT_GOLDEN=write`; then review the
/// diff.
#[test]
fn playthroughs_are_unchanged() {
    let folder = format!("{}/../../testdata/golden", env!("CARGO_MANIFEST_DIR"));
    let write = std::env::var("COACT_GOLDEN").is_ok_and(|v| v == "write");
    for entry in ALL {
        let path = format!("{folder}/{}", file_name(entry));
        let text = playthrough(entry).unwrap();
        if write {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == reviewed,
            "{path} differs; if the change is meant, write it anew and raise the version"
        );
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, ALL.len(), "{folder} holds a file of an environment that is gone");
}
