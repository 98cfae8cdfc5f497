//! What there is: the list of environments, their options, and what an environment promises, as plain Python data.

use coact_core::{ActionSpace, EnvSpec, RewardKind};
use coact_envs::OptionInfo;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::Value;

use crate::fault::refuse;

/// Every listed environment: name, summary, origin, options with defaults, returns.
#[pyfunction]
pub fn listed(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let entries = PyList::empty(py);
    for entry in coact_catalog::all() {
        let out = PyDict::new(py);
        out.set_item("name", entry.name)?;
        out.set_item("summary", entry.summary)?;
        out.set_item("origin", entry.origin)?;
        out.set_item("options", options(py, entry.options)?)?;
        out.set_item("random_return", entry.random_return)?;
        out.set_item("best_known_return", entry.best_known)?;
        entries.append(out)?;
    }
    Ok(entries)
}

/// Options that the environment of this name takes, with their defaults as JSON text.
#[pyfunction]
pub fn options_of<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
    options(py, coact_catalog::find(name).map_err(refuse)?.options)
}

fn options<'py>(py: Python<'py>, options: &[OptionInfo]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for option in options {
        out.set_item(option.name, (option.default, option.explain))?;
    }
    Ok(out)
}

/// Options from JSON text.
///
/// # Errors
/// Text that is no JSON.
pub fn parse_options(text: &str) -> PyResult<Value> {
    serde_json::from_str(text).map_err(|e| refuse(format!("options: {e}")))
}

/// Name of each agent, `<group>_<index>` as in PettingZoo.
pub fn agent_names(spec: &EnvSpec) -> Vec<String> {
    spec.agents().map(|(g, a)| format!("{}_{a}", spec.groups[g].name)).collect()
}

/// The promises of an environment as a dictionary.
///
/// # Errors
/// None but those of Python's memory.
pub fn spec_dict<'py>(py: Python<'py>, spec: &EnvSpec) -> PyResult<Bound<'py, PyDict>> {
    let groups = PyList::empty(py);
    for group in &spec.groups {
        let out = PyDict::new(py);
        out.set_item("name", &group.name)?;
        out.set_item("n_agents", group.n_agents)?;
        let layout: Vec<_> = group.obs.iter().map(|f| (f.name.clone(), f.width, f.low, f.high)).collect();
        out.set_item("obs", layout)?;
        out.set_item("masked", group.masked)?;
        match group.action {
            ActionSpace::Discrete { n } => out.set_item("n_actions", n)?,
            ActionSpace::Continuous { width, low, high } => out.set_item("action_box", (width, low, high))?,
        }
        groups.append(out)?;
    }
    let out = PyDict::new(py);
    out.set_item("name", &spec.name)?;
    out.set_item("version", spec.version)?;
    out.set_item("groups", groups)?;
    out.set_item("agents", agent_names(spec))?;
    out.set_item("state_width", spec.state_width)?;
    out.set_item("episode_limit", spec.episode_limit)?;
    out.set_item("common_reward", spec.reward == RewardKind::Common)?;
    Ok(out)
}
