//! Benchmarks of the coact crates.
