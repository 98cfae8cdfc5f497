//! The built binary, as a user or a script runs it.

#![allow(clippy::unwrap_used)]

mod bad_input;
#[cfg(feature = "cuda")]
mod device;
mod interrupted;
mod presets;
mod resumed;
mod support;
mod sweeps;
