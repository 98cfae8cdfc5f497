//! Extensive-form files from arbitrary text: an error of one line with its place, or a game that survives writing.

#![no_main]

use coact_games::efg;
use coact_games::extensive::{Cfr, CfrOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match efg::read(text) {
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("line ") && !error.contains('\n'), "{error:?}");
        }
        Ok(tree) => {
            assert_eq!(efg::read(&efg::write(&tree)).unwrap(), tree);
            if let Ok(mut cfr) = Cfr::new(&tree, CfrOptions::PLUS) {
                cfr.step();
            }
        }
    }
});
