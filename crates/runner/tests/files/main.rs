//! The files of a run: what is written, what is read back, and what damage does.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod checkpoint;
mod crash;
mod support;
mod tensorboard;
mod tensors;
