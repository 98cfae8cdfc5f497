//! What the tests of this workspace share: recorded vectors of reference implementations ([`vectors`], also a
//! program: `cargo run --release -p coact-testkit --bin vectors`) and gradient checks ([`gradient`]).
//!
//! Never published, and nothing here is used by a library or by the binary.

pub mod gradient;
pub mod vectors;
