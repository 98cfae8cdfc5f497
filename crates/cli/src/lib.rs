//! The `coact` binary as a library: command line, configuration, run folders, pictures, reports.
//!
//! Only this crate parses arguments, prints, and decides on exit codes.

pub mod allocate_command;
mod allocation_picture;
pub mod args;
mod bars;
pub mod chart_file;
mod compare;
pub mod config;
pub mod console;
pub mod environments;
pub mod error;
pub mod evaluate_command;
pub mod fixed_policy;
mod frozen;
pub mod game_input;
mod groups;
mod learn;
pub mod list;
pub mod marl_eval;
pub mod negotiate_command;
mod negotiate_input;
mod negotiate_picture;
pub mod plan_command;
pub mod play;
pub mod presets;
pub mod progress;
mod pulse;
pub mod rank;
pub mod record_command;
pub mod report;
pub mod report_command;
pub mod run_folder;
pub mod solve;
pub mod solve_extensive;
pub mod sweep;
pub mod train;
pub mod verify;

pub use coact_draw::plot;
pub use error::{Error, Result};
