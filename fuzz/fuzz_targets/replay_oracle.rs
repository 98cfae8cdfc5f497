//! The replay against a plain oracle that keeps whole episodes: the input decides shapes, settings, episode ends,
//! deaths, restarts, bad input and priorities.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/replay/tests/oracle/mod.rs"]
mod oracle;

fuzz_target!(|tape: &[u8]| oracle::play(tape));
