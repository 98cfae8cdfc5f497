//! Multi-agent environments: one copy at a time, or thousands stepped together, usable without the rest of coact.
//!
//! * [`ALL`] lists every environment; [`find`] looks one up by name and [`EnvEntry::build`] makes a batch of it.
//! * [`Vectorized`] makes a batch of anything that implements [`MultiAgentEnv`].
//! * [`verify::verify_trace`] replays recorded traces of reference implementations.
//! * [`wrappers::wrap`] adds normalization, scaling, agent indices, time limits.
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

pub mod cartpole;
mod columns;
pub mod golden;
pub mod lane_batch;
pub mod matrix;
pub mod particle;
pub mod probe;
pub mod real;
pub mod registry;
pub mod rules;
pub mod vectorized;
pub mod verify;
pub mod wrappers;

pub use coact_core::{BatchEnv, Error, MultiAgentEnv, Result};
pub use lane_batch::LaneBatch;
pub use registry::{EnvEntry, OptionInfo};
pub use vectorized::Vectorized;

/// Every environment.
pub static ALL: &[EnvEntry] = &[
    cartpole::ENTRY,
    particle::simple::ENTRY,
    particle::spread::ENTRY,
    particle::speaker_listener::ENTRY,
    particle::adversary::ENTRY,
    particle::tag::ENTRY,
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
    probe::TWO_AGENTS_COORDINATE,
];

/// The environment registered under `name`.
///
/// # Errors
/// An unknown name; names the nearest one.
pub fn find(name: &str) -> Result<&'static EnvEntry> {
    registry::find_in(ALL, name)
}
