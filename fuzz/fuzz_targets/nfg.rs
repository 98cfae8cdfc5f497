//! Games in normal form as text: what is read writes and reads back the same, and what is not read says where.

#![no_main]

use coact_games::{Error, nfg};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match nfg::read(text) {
        Ok(game) => assert_eq!(nfg::read(&nfg::write(&game)).as_ref(), Ok(&game)),
        Err(error) => {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            assert!(matches!(error, Error::Parse { line: 1.., column: 1.., .. } | Error::TooLarge { .. }), "{error}");
        }
    }
});
