//! Multi-agent environments: one copy at a time, or thousands stepped together, usable without the rest of coact.
//!
//! * [`ALL`] lists every environment, [`FAMILIES`] the patterns of further names; [`find`] looks one up by name and
//!   [`Found::build`] makes a batch of it.
//! * [`Vectorized`] makes a batch of anything that implements [`MultiAgentEnv`].
//! * [`verify::verify_trace`] replays recorded traces of reference implementations.
//! * [`scripts::ALL`] lists fixed policies: opponents, partners and marks.
//! * [`wrappers::wrap`] adds normalization, scaling, agent indices, time limits, groups that play by scripts.
//!
//! Not here: networks, learning, threads of its own beyond rayon's pool, printing, drawing of pixels.
//!
//! ```
//! use coact_core::{ActionBatch, StepBatch};
//!
//! let mut envs = coact_envs::find("simple_spread")?.build(&serde_json::json!({"n_agents": 2}), 8)?;
//! let mut step = StepBatch::new(envs.spec(), envs.n_envs());
//! let actions = ActionBatch::new(envs.spec(), envs.n_envs());
//! envs.reset(7, &mut step)?;
//! envs.step(&actions, &mut step)?;
//! assert_eq!(step.groups[0].obs.len(), 8 * 2 * 12);
//! # Ok::<(), coact_core::Error>(())
//! ```

// Shared test modules name this crate as integration tests do.
#[cfg(test)]
extern crate self as coact_envs;

pub mod cartpole;
pub mod coin;
mod columns;
pub mod golden;
pub mod iterated;
pub mod lane_batch;
pub mod lbf;
pub mod levers;
pub mod matrix;
pub mod overcooked;
pub mod particle;
pub mod predator_prey;
pub mod probe;
pub mod real;
pub mod registry;
pub mod rules;
pub mod rware;
pub mod scripts;
pub mod switch_riddle;
pub mod traffic;
pub mod two_step;
pub mod vectorized;
pub mod verify;
pub mod wrappers;

pub use coact_core::{BatchEnv, Error, MultiAgentEnv, Result};
pub use lane_batch::LaneBatch;
pub use registry::{EnvEntry, Family, Found, OptionInfo};
pub use vectorized::Vectorized;

/// Every environment.
pub static ALL: &[EnvEntry] = &[
    cartpole::ENTRY,
    particle::simple::ENTRY,
    particle::spread::ENTRY,
    particle::speaker_listener::ENTRY,
    particle::adversary::ENTRY,
    particle::tag::ENTRY,
    particle::crypto::ENTRY,
    particle::push::ENTRY,
    particle::reference::ENTRY,
    particle::world_comm::ENTRY,
    particle::formation::ENTRY,
    particle::line::ENTRY,
    particle::treasure::ENTRY,
    lbf::ENTRIES[0],
    lbf::ENTRIES[1],
    lbf::ENTRIES[2],
    rware::ENTRIES[0],
    rware::ENTRIES[1],
    rware::ENTRIES[2],
    overcooked::ENTRY,
    switch_riddle::ENTRY,
    levers::ENTRY,
    predator_prey::ENTRY,
    traffic::ENTRY,
    coin::ENTRY,
    two_step::ENTRY,
    iterated::ENTRIES[0],
    iterated::ENTRIES[1],
    iterated::ENTRIES[2],
    iterated::ENTRIES[3],
    matrix::CLIMBING,
    matrix::PENALTY,
    matrix::MATRIX,
    probe::ONE_VALUE,
    probe::OBS_VALUE,
    probe::TWO_STEP_DISCOUNT,
    probe::TRUNCATE_ONLY,
    probe::TERMINATE_ONLY,
    probe::ACTION_MATTERS,
    probe::MASKED,
    probe::MEMORY,
    probe::TWO_AGENTS_COORDINATE,
    probe::QUADRATIC,
];

/// Tasks whose names follow a pattern; [`ALL`] holds the well-known ones.
pub static FAMILIES: &[Family] = &[lbf::FAMILY, rware::FAMILY, overcooked::FAMILY];

/// The environment registered under `name`, or the member of a family of that name.
///
/// # Errors
/// An unknown name; names the nearest one.
pub fn find(name: &str) -> Result<Found> {
    registry::find_in(ALL, FAMILIES, name)
}
