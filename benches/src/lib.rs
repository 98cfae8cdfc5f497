//! Measuring: ours and a peer's in one run, alternating, medians, ratios. The suites behind `cargo xtask bench` are
//! here; the criterion benchmarks in `benches/` are for watching one kernel while it is changed.
//!
//! Not here: what is fast enough to be claimed. Claims are records, under `record/`.

pub mod contest;
pub mod data;
pub mod gpu;
pub mod peer;
pub mod report;
pub mod suites;

/// The examples of the contributing guide compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../CONTRIBUTING.md")]
pub struct Contributing;
