//! Entries of the list of environments: what each is, which options it takes, how to build it.

use coact_core::{BatchEnv, Error, MultiAgentEnv, Result, nearest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// One option of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OptionInfo {
    /// Key.
    pub name: &'static str,
    /// Default value as JSON text.
    pub default: &'static str,
    /// What it does, in one line.
    pub explain: &'static str,
}

/// A registered environment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EnvEntry {
    /// Name in configurations and on the command line.
    pub name: &'static str,
    /// What happens in it, in one line.
    pub summary: &'static str,
    /// Where its rules come from.
    pub origin: &'static str,
    /// Its options with their defaults.
    pub options: &'static [OptionInfo],
    /// Mean return of the uniformly random policy with default options, summed over agents (a common reward
    /// counts once an agent) and over one episode.
    pub random_return: f64,
    /// Best return known for the default options on the same scale; none where it depends on an opponent.
    pub best_known: Option<f64>,
    /// Builds a batch from checked options.
    #[serde(skip)]
    pub batch: fn(&Value, usize) -> Result<Box<dyn BatchEnv>>,
    /// Builds one copy from checked options.
    #[serde(skip)]
    pub single: fn(&Value) -> Result<Box<dyn MultiAgentEnv>>,
}

impl EnvEntry {
    /// `n_envs` copies, stepped together. `options` is a JSON object, or null for the defaults.
    ///
    /// # Errors
    /// An unknown option (names the nearest one), a bad value, no copies.
    pub fn build(&self, options: &Value, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
        self.check_keys(options)?;
        (self.batch)(options, n_envs)
    }

    /// One copy. `options` is a JSON object, or null for the defaults.
    ///
    /// # Errors
    /// An unknown option (names the nearest one) or a bad value.
    pub fn build_one(&self, options: &Value) -> Result<Box<dyn MultiAgentEnv>> {
        self.check_keys(options)?;
        (self.single)(options)
    }

    fn check_keys(&self, options: &Value) -> Result<()> {
        let keys = || self.options.iter().map(|o| o.name);
        let given = match options {
            Value::Null => return Ok(()),
            Value::Object(map) => map,
            _ => {
                let text = format!("{}: options must be an object of names and values", self.name);
                return Err(Error::invalid(text));
            }
        };
        let Some(unknown) = given.keys().find(|k| !keys().any(|known| known == k.as_str())) else {
            return Ok(());
        };
        let hint = nearest::hint(unknown, keys());
        let known = keys().collect::<Vec<_>>().join(", ");
        let text = format!("{} has no option `{unknown}`{hint}; it takes: {known}", self.name);
        Err(Error::invalid(text))
    }
}

/// Options as the struct that an environment wants; null gives the defaults.
///
/// # Errors
/// The first key whose value does not fit.
pub fn parse<T: DeserializeOwned>(env: &str, options: &Value) -> Result<T> {
    let whole = match options {
        Value::Null => Value::Object(Map::new()),
        other => other.clone(),
    };
    let error = match serde_json::from_value(whole.clone()) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    // Each key alone, to name the one at fault.
    let fits = |key: &String, value: &Value| {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(alone)).is_ok()
    };
    let fault = whole.as_object().and_then(|map| map.iter().find(|(k, v)| !fits(k, v)));
    let place = fault.map(|(key, _)| format!(" `{key}`")).unwrap_or_default();
    Err(Error::invalid(format!("{env}: option{place}: {error}")))
}

/// The environment registered in `all` under `name`.
///
/// # Errors
/// An unknown name; names the nearest one.
pub fn find_in<'a>(all: &'a [EnvEntry], name: &str) -> Result<&'a EnvEntry> {
    let unknown = || {
        let hint = nearest::hint(name, all.iter().map(|e| e.name));
        let known = all.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
        Error::invalid(format!("there is no environment `{name}`{hint}; known: {known}"))
    };
    all.iter().find(|e| e.name == name).ok_or_else(unknown)
}
