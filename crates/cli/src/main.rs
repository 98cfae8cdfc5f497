//! The `coact` binary.
fn main() {}
