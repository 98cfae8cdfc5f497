//! Entries of the list of environments: what each is, which options it takes, how to build it. Families of tasks whose
//! names follow a pattern, of which the list holds only the well-known ones.

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
        check_keys(self.name, self.options, options)
    }
}

/// Refuses keys that are no option.
fn check_keys(name: &str, known: &[OptionInfo], options: &Value) -> Result<()> {
    let keys = || known.iter().map(|o| o.name);
    let given = match options {
        Value::Null => return Ok(()),
        Value::Object(map) => map,
        _ => {
            let text = format!("{name}: options must be an object of names and values");
            return Err(Error::invalid(text));
        }
    };
    let Some(unknown) = given.keys().find(|k| !keys().any(|known| known == k.as_str())) else {
        return Ok(());
    };
    let hint = nearest::hint(unknown, keys());
    let known = keys().collect::<Vec<_>>().join(", ");
    let text = format!("{name} has no option `{unknown}`{hint}; it takes: {known}");
    Err(Error::invalid(text))
}

/// Tasks whose names say their sizes, for example `lbf/Foraging-8x8-2p-2f-coop-v3`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Family {
    /// What names begin with.
    pub prefixes: &'static [&'static str],
    /// What names look like.
    pub pattern: &'static str,
    /// What happens in it, in one line.
    pub summary: &'static str,
    /// Where its rules come from.
    pub origin: &'static str,
    /// Options beyond the name.
    pub options: &'static [OptionInfo],
    /// Builds a batch of the named task from checked options.
    #[serde(skip)]
    pub batch: fn(&str, &Value, usize) -> Result<Box<dyn BatchEnv>>,
    /// Builds one copy of the named task from checked options.
    #[serde(skip)]
    pub single: fn(&str, &Value) -> Result<Box<dyn MultiAgentEnv>>,
}

/// An environment that was looked up: a listed one, or a member of a family.
#[derive(Debug, Clone)]
pub struct Found {
    /// The name that was looked up.
    pub name: String,
    /// Its options with their defaults.
    pub options: &'static [OptionInfo],
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Listed(&'static EnvEntry),
    Member(&'static Family),
}

impl Found {
    /// Its entry, if the list has one.
    pub fn entry(&self) -> Option<&'static EnvEntry> {
        match self.source {
            Source::Listed(entry) => Some(entry),
            Source::Member(_) => None,
        }
    }

    /// `n_envs` copies, stepped together. `options` is a JSON object, or null for the defaults.
    ///
    /// # Errors
    /// A name that its family does not understand, an unknown option (names the nearest one), a bad value, no copies.
    pub fn build(&self, options: &Value, n_envs: usize) -> Result<Box<dyn BatchEnv>> {
        check_keys(&self.name, self.options, options)?;
        match self.source {
            Source::Listed(entry) => (entry.batch)(options, n_envs),
            Source::Member(family) => (family.batch)(&self.name, options, n_envs),
        }
    }

    /// One copy. `options` is a JSON object, or null for the defaults.
    ///
    /// # Errors
    /// As [`Found::build`].
    pub fn build_one(&self, options: &Value) -> Result<Box<dyn MultiAgentEnv>> {
        check_keys(&self.name, self.options, options)?;
        match self.source {
            Source::Listed(entry) => (entry.single)(options),
            Source::Member(family) => (family.single)(&self.name, options),
        }
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
    // It quotes what was given, which may be a drawing in several lines.
    let error = error.to_string().replace('\n', "\\n");
    Err(Error::invalid(format!("{env}: option{place}: {error}")))
}

/// The environment registered in `all` under `name`, or the member of a family of that name.
///
/// # Errors
/// An unknown name; names the nearest one.
pub fn find_in(all: &'static [EnvEntry], families: &'static [Family], name: &str) -> Result<Found> {
    let found = |options, source| Found { name: name.into(), options, source };
    if let Some(entry) = all.iter().find(|e| e.name == name) {
        return Ok(found(entry.options, Source::Listed(entry)));
    }
    if let Some(family) = families.iter().find(|f| f.prefixes.iter().any(|p| name.starts_with(p))) {
        return Ok(found(family.options, Source::Member(family)));
    }
    let hint = nearest::hint(name, all.iter().map(|e| e.name));
    let known = all.iter().map(|e| e.name).chain(families.iter().map(|f| f.pattern));
    let known = known.collect::<Vec<_>>().join(", ");
    Err(Error::invalid(format!("there is no environment `{name}`{hint}; known: {known}")))
}
