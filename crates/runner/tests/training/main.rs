//! Training as a whole: what is learned, what never may go wrong in the loop, what each setting does, and that
//! a run is the same bits however it is computed or interrupted.

#![allow(clippy::unwrap_used)]

mod actor_critic;
mod combinations;
mod decomposition;
mod faulty_environments;
mod feeds;
mod loop_faults;
mod matrix_games;
mod policy;
mod probes;
mod reproducible;
mod settings;
mod support;
mod value_settings;
