//! Builds, checks and benchmarks of the coact workspace.
fn main() {}
