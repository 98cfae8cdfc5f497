//! Time limit: episodes are truncated earlier than the environment would. Not a termination, ever.
//!
//! The batch itself counts (see [`BatchEnv::limit_episodes`]), because a copy must start its next episode in
//! the step in which it is cut off.

use coact_core::{BatchEnv, Result};

/// `env`, truncated after `max_steps` at the latest.
///
/// # Errors
/// A limit of 0, or an environment that takes none.
pub fn limited(mut env: Box<dyn BatchEnv>, max_steps: u32) -> Result<Box<dyn BatchEnv>> {
    env.limit_episodes(max_steps)?;
    Ok(env)
}
