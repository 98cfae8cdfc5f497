//! All environments by name: those of `coact_envs`, and problems of allocation and negotiation as environments. What the binary
//! and the Python package offer.
//!
//! * [`all`] and [`find`]: the list, and looking a name up.
//! * [`problem`] and [`Talk`]: what stands behind `allocation` and `bargaining`, for solvers.
//! * [`talks`]: scenarios of negotiations from files, folders and by name.
//!
//! Not here: rules of environments, solving, printing.
//!
//! ```
//! let mut envs = coact_catalog::find("bargaining")?.build(&serde_json::Value::Null, 4)?;
//! assert_eq!(envs.spec().n_agents(), 2);
//! # Ok::<(), coact_core::Error>(())
//! ```

mod problems;
pub mod talks;
pub mod text_file;

use std::sync::LazyLock;

use coact_envs::registry::find_in;
use coact_envs::{EnvEntry, FAMILIES, Found};

pub use problems::{ALLOCATION, AllocationOptions, BARGAINING, BargainingOptions, Talk, problem};

/// Every environment.
pub fn all() -> &'static [EnvEntry] {
    static ALL: LazyLock<Vec<EnvEntry>> =
        LazyLock::new(|| coact_envs::ALL.iter().copied().chain([ALLOCATION, BARGAINING]).collect());
    &ALL
}

/// The environment of a name, or the member of a family of that name.
///
/// # Errors
/// An unknown name; names the nearest one.
pub fn find(name: &str) -> coact_core::Result<Found> {
    find_in(all(), FAMILIES, name)
}
