//! Configuration: presets, files, `--set key=value` and flags, layered into one strict, fully resolved table.
//!
//! Every key is declared once, with its type, default and manual, by the struct that uses it; this module only
//! joins those tables. Unknown keys, two names of one key that disagree, and values of the wrong type are errors
//! that say what would be right.

use std::collections::BTreeMap;

use coact_core::nearest;
use coact_core::settings::Key;
use coact_envs::wrappers::{CommonReward, WrapperConfig};
use coact_kernels::Precision;
use coact_runner::RunSettings;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

coact_core::settings! {
    /// What is trained, where, and through which wrappers.
    pub struct TeamSettings {
        /// Environment, by its registered name (`coact list envs`).
        env: String = "simple_spread".into(),
        /// Options of the environment, a table (`coact list envs` shows them).
        env_options: Map<String, Value> = Map::new(),
        /// Algorithm (`coact list algorithms`).
        algorithm: String = "vdn".into(),
        /// Copies of the environment stepped together in training.
        n_envs: usize = 1,
        /// Seed of everything random. Two seeds give two runs; the same seed gives the same run, bit for bit.
        seed: u64 = 0,
        /// Worker threads; 0 for all cores. Does not change results.
        threads: usize = 0,
        /// Device: "auto", "cpu", "cuda" or "cuda:N". Does not change results.
        device: String = "auto".into(),
        /// How exact kernels are: "strict", the same bits on every device, or "fast": on a GPU, larger shapes on matrix units
        /// in tf32. Changes results, so it enters the hash where it is "fast".
        precision: String = "strict".into(),
        /// Instruction set: "auto", "avx512", "avx2", "neon" or "portable". Does not change results.
        isa: String = "auto".into(),
        /// Compile kernels of a GPU for the widths of each network, where NVIDIA's NVRTC is installed. Does not change results.
        specialize: bool = false,
        /// Subtract the running mean of observations and divide by their running deviation; frozen in evaluation.
        normalize_obs: bool = false,
        /// Divide rewards by the running deviation of the discounted return; logged returns stay raw.
        normalize_returns: bool = false,
        /// Largest absolute value of a normalized observation.
        clip_obs: f32 = 10.0,
        /// Largest absolute value of a normalized reward.
        clip_reward: f32 = 10.0,
        /// Factor on the rewards that the learner sees; logged returns stay raw.
        reward_scaling: f32 = 1.0,
        /// Append a one-hot agent index to observations.
        agent_index: bool = false,
        /// Append the one-hot last action to observations.
        last_action: bool = false,
        /// Give every agent the "sum" or the "mean" of all rewards; "none" leaves each its own.
        common_reward: Option<CommonReward> = None,
        /// Truncate episodes after so many steps; "none" keeps the environment's own limit.
        time_limit: Option<u32> = None,
        /// Groups that play by a script and that the learner neither sees nor moves, a table from group to script, for
        /// example { agent = "flee" }.
        scripted: BTreeMap<String, String> = BTreeMap::new(),
        /// Groups that play by the policy of another run in the same environment and learn no more, a table from group to
        /// run folder, for example { agent = "runs/prey" }.
        frozen: BTreeMap<String, String> = BTreeMap::new(),
    }
}

/// Tables of one environment, which mean nothing to another.
const TABLES: [&str; 3] = ["env_options", "scripted", "frozen"];

/// Keys that do not change results and so do not enter the configuration's hash, and the seed, over which runs of
/// one configuration are compared.
const NOT_HASHED: [&str; 5] = ["seed", "threads", "device", "isa", "specialize"];

/// A checked, fully resolved configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What is trained and where.
    pub team: TeamSettings,
    /// How long, how often, how replay feeds the learner.
    pub run: RunSettings,
    /// The algorithm's own settings, every key present.
    pub algorithm: Value,
}

/// Every key that a configuration of `algorithm` may hold, with the section it is listed under.
pub fn keys(algorithm: &str) -> Vec<(&'static str, &'static Key)> {
    let family = coact_algorithms::find(algorithm).map_or(&[][..], |entry| entry.keys);
    let section = |name, keys: &'static [Key]| keys.iter().map(move |key| (name, key));
    section("team", TeamSettings::KEYS)
        .chain(section("run", RunSettings::KEYS))
        .chain(section("algorithm", family))
        .collect()
}

/// Keys of all algorithms, each once.
pub fn all_keys() -> Vec<(&'static str, &'static Key)> {
    let mut all: Vec<(&'static str, &'static Key)> = Vec::new();
    for entry in coact_algorithms::ALL {
        for (section, key) in keys(entry.name) {
            if !all.iter().any(|(_, k)| k.name == key.name) {
                all.push((section, key));
            }
        }
    }
    all
}

/// The key called `name`, or one of whose aliases is `name`.
///
/// # Errors
/// No such key; the error names the nearest.
pub fn find_key(name: &str) -> Result<&'static Key> {
    let all = all_keys();
    let found = all.iter().find(|(_, k)| k.name == name || k.aliases.contains(&name));
    found.map(|(_, key)| *key).ok_or_else(|| {
        let names = all.iter().flat_map(|(_, k)| std::iter::once(k.name).chain(k.aliases.iter().copied()));
        let hint = nearest::hint(name, names);
        Error::usage(format!("unknown key `{name}`{hint} (`coact train --explain all` lists all keys)"))
    })
}

/// Layers of key-value tables, later ones over earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    values: Map<String, Value>,
}

impl Layers {
    /// Lays the keys of a TOML text over what is there. `origin` names it in errors.
    ///
    /// # Errors
    /// Text that is not TOML (duplicate keys included), unknown keys, aliases that disagree.
    pub fn toml(&mut self, text: &str, origin: &str) -> Result<()> {
        let table: toml::Table = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|s| text.bytes().take(s.start).filter(|&b| b == b'\n').count() + 1);
            let at = line.map(|l| format!(" line {l}")).unwrap_or_default();
            Error::usage(format!("{origin}{at}: {}", e.message()))
        })?;
        let pairs =
            table.into_iter().map(|(k, v)| Ok((k, to_json(v, origin)?))).collect::<Result<Vec<_>>>()?;
        self.layer(pairs, origin)
    }

    /// Lays `key=value` pairs over what is there.
    ///
    /// # Errors
    /// A pair without `=`, unknown keys, aliases that disagree.
    pub fn set(&mut self, pairs: &[String]) -> Result<()> {
        let mut values: Vec<(String, Value)> = Vec::new();
        let mut tables: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for pair in pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Error::usage(format!("`--set {pair}` has no value; write `--set key=value`"))
            })?;
            let value = parse_value(value.trim());
            let table = key
                .trim()
                .split_once('.')
                .and_then(|(table, entry)| Some((*TABLES.iter().find(|known| **known == table)?, entry)));
            match table {
                Some((table, entry)) => {
                    let before = || self.values.get(table).and_then(Value::as_object).cloned();
                    let entries = tables.entry(table).or_insert_with(|| before().unwrap_or_default());
                    entries.insert(entry.into(), value);
                }
                None => values.push((key.trim().into(), value)),
            }
        }
        values.extend(tables.into_iter().map(|(table, entries)| (table.into(), entries.into())));
        self.layer(values, "--set")
    }

    /// Lays one key over what is there.
    ///
    /// # Errors
    /// As [`Layers::toml`].
    pub fn one(&mut self, key: &str, value: impl Into<Value>) -> Result<()> {
        self.layer(vec![(key.into(), value.into())], &format!("--{}", key.replace('_', "-")))
    }

    fn layer(&mut self, pairs: Vec<(String, Value)>, origin: &str) -> Result<()> {
        let mut given: BTreeMap<&'static str, (String, Value)> = BTreeMap::new();
        for (name, value) in pairs {
            let key = find_key(&name).map_err(|e| Error::usage(format!("{origin}: {e}")))?;
            let value = coerce(key, value);
            // The same name twice can only come from the command line, where the last one counts.
            if let Some((other, before)) = given.get(key.name)
                && *other != name
                && *before != value
            {
                return Err(Error::usage(format!(
                    "{origin}: `{other}` = {before} and `{name}` = {value} are two names of one setting and disagree; keep one"
                )));
            }
            given.insert(key.name, (name, value));
        }
        let env = |map: &Map<String, Value>| map.get("env").cloned();
        let before = env(&self.values);
        let given_tables = TABLES.map(|table| given.contains_key(table));
        self.values.extend(given.into_iter().map(|(key, (_, value))| (key.to_string(), value)));
        if before.is_some() && before != env(&self.values) {
            for (table, _) in TABLES.iter().zip(given_tables).filter(|(_, given)| !given) {
                self.values.remove(*table);
            }
        }
        Ok(())
    }

    /// Checks every section and fills in defaults.
    ///
    /// # Errors
    /// Values of the wrong type or out of range, settings that contradict each other, an algorithm that does not
    /// exist or a key that is not one of its own.
    pub fn resolve(&self) -> Result<Config> {
        let team: TeamSettings = self.section(TeamSettings::KEYS)?;
        let entry = coact_algorithms::find(&team.algorithm)?;
        let run: RunSettings = self.section(RunSettings::KEYS)?;
        let known = keys(&team.algorithm);
        if let Some(stranger) = self.values.keys().find(|k| !known.iter().any(|(_, key)| key.name == **k)) {
            let text = format!("`{stranger}` is not a setting of algorithm `{}`", team.algorithm);
            return Err(Error::usage(text));
        }
        let own = |k: &Key| self.values.get(k.name).map(|v| (k.name.to_string(), v.clone()));
        let algorithm: Map<String, Value> = entry.keys.iter().filter_map(own).collect();
        let algorithm = (entry.resolve)(&algorithm.into())?;
        if team.n_envs == 0 {
            return Err(Error::usage("n_envs is 0; it must be 1 or more"));
        }
        Ok(Config { team, run: run.checked()?, algorithm })
    }

    fn section<T: serde::de::DeserializeOwned>(&self, keys: &[Key]) -> Result<T> {
        let mut map = Map::new();
        for key in keys {
            let Some(value) = self.values.get(key.name) else { continue };
            map.insert(key.name.into(), value.clone());
            // One key at a time first, so that the error can name it.
            let single: Map<String, Value> = [(key.name.to_string(), value.clone())].into_iter().collect();
            serde_json::from_value::<T>(single.into()).map_err(|e| wrong_type(key, value, &e))?;
        }
        serde_json::from_value(map.into()).map_err(Error::usage)
    }
}

fn wrong_type(key: &Key, value: &Value, error: &serde_json::Error) -> Error {
    let reason = error.to_string();
    Error::usage(format!("{} = {value}: {reason} (`coact train --explain {}`)", key.name, key.name))
}

/// A value as a shell user writes it: TOML where it parses, else a string.
pub fn parse_value(text: &str) -> Value {
    let parsed: Option<toml::Table> = toml::from_str(&format!("value = {text}")).ok();
    let value = parsed.and_then(|mut table| table.remove("value"));
    value.and_then(|v| to_json(v, "--set").ok()).unwrap_or_else(|| Value::String(text.into()))
}

fn to_json(value: toml::Value, origin: &str) -> Result<Value> {
    Ok(match value {
        toml::Value::String(s) => s.into(),
        toml::Value::Integer(i) => i.into(),
        toml::Value::Boolean(b) => b.into(),
        toml::Value::Float(f) => serde_json::Number::from_f64(f)
            .map(Value::Number)
            .ok_or_else(|| Error::usage(format!("{origin}: {f} is not a number that a setting can have")))?,
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(|v| to_json(v, origin)).collect::<Result<_>>()?)
        }
        toml::Value::Table(table) => {
            let pairs = table.into_iter().map(|(k, v)| Ok((k, to_json(v, origin)?)));
            Value::Object(pairs.collect::<Result<_>>()?)
        }
        toml::Value::Datetime(d) => {
            return Err(Error::usage(format!("{origin}: {d} is a date, not a setting")));
        }
    })
}

/// `1e6` for a whole number is meant as one; "none" is how files and shells write an absent value.
fn coerce(key: &Key, value: Value) -> Value {
    let whole = ["u64", "u32", "usize", "i64"].iter().any(|t| key.kind.contains(t));
    // Families may share a name; "none" is for those to which it means something, the others refuse it.
    let mut families = coact_algorithms::ALL.iter().flat_map(|e| e.keys);
    let optional = key.kind.starts_with("Option")
        || families.any(|k| k.name == key.name && k.kind.starts_with("Option"));
    match value {
        Value::Number(n) if whole && !key.kind.starts_with("Vec") => {
            let float = n.as_f64().filter(|f| n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15);
            float.map_or(Value::Number(n), |f| Value::from(f as i64))
        }
        Value::String(s) if optional && s == "none" => Value::Null,
        // TOML's integers end at 2^63; larger ones are written as text.
        Value::String(s) if whole => s.parse::<u64>().map_or(Value::String(s), Value::from),
        other => other,
    }
}

impl Config {
    /// All keys with their values, section by section.
    pub fn entries(&self) -> Vec<(&'static str, Value)> {
        let map = |value: serde_json::Result<Value>| value.unwrap_or_default();
        let sections = [
            map(serde_json::to_value(&self.team)),
            map(serde_json::to_value(&self.run)),
            self.algorithm.clone(),
        ];
        let find = |name: &str| sections.iter().find_map(|s| s.get(name).cloned()).unwrap_or_default();
        keys(&self.team.algorithm).into_iter().map(|(_, key)| (key.name, find(key.name))).collect()
    }

    /// As TOML, sections under comments; reading it gives the same configuration.
    pub fn to_toml(&self) -> String {
        let mut text = format!("# config_hash = \"{}\"\n", self.hash());
        let mut section = "";
        let values = self.entries();
        let mut tables = String::new();
        for ((name, key), (_, value)) in keys(&self.team.algorithm).into_iter().zip(values) {
            if name != section {
                section = name;
                text.push_str(&format!("\n# {section}\n"));
            }
            match value {
                Value::Object(map) if map.is_empty() => {}
                Value::Object(map) => {
                    tables.push_str(&format!("\n[{}]\n", key.name));
                    map.iter().for_each(|(k, v)| tables.push_str(&format!("{k} = {}\n", toml_value(v))));
                }
                value => text.push_str(&format!("{} = {}\n", key.name, toml_value(&value))),
            }
        }
        text + &tables
    }

    /// Hash of everything that changes results except the seed: runs with equal hashes may be averaged.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        // Groups that nobody else plays and strict kernels are left out, so that runs from before there was anything else
        // keep their hash.
        let as_ever = |name: &str, value: &Value| match name {
            "scripted" | "frozen" => *value == Value::Object(Map::new()),
            "precision" => value == Precision::Strict.name(),
            _ => false,
        };
        for (name, value) in self.entries() {
            if !NOT_HASHED.contains(&name) && !as_ever(name, &value) {
                hasher.update(format!("{name}={value}\n").as_bytes());
            }
        }
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The wrappers that the settings ask for.
    pub fn wrappers(&self) -> WrapperConfig {
        let team = &self.team;
        WrapperConfig {
            normalize_obs: team.normalize_obs,
            normalize_returns: team.normalize_returns,
            gamma: self.run.gamma,
            clip_obs: team.clip_obs,
            clip_reward: team.clip_reward,
            reward_scaling: team.reward_scaling,
            agent_index: team.agent_index,
            last_action: team.last_action,
            common_reward: team.common_reward,
            time_limit: team.time_limit,
            scripted: team.scripted.clone(),
        }
    }

    /// How exact kernels are to be.
    ///
    /// # Errors
    /// A name that is neither of both.
    pub fn precision(&self) -> Result<Precision> {
        self.team.precision.parse().map_err(Error::usage)
    }

    /// Worker threads, with 0 resolved.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.team.threads == 0 { cores() } else { self.team.threads }
    }
}

/// A JSON value as TOML text. f32 settings print as short decimals, because JSON holds them as f64.
pub fn toml_value(value: &Value) -> String {
    match value {
        Value::Null => "\"none\"".into(),
        Value::Number(n) if n.as_u64().is_some_and(|n| i64::try_from(n).is_err()) => format!("\"{n}\""),
        Value::Number(n) if n.is_f64() => {
            let wide = n.as_f64().unwrap_or_default();
            let narrow = wide as f32;
            if f64::from(narrow) == wide { format!("{narrow:?}") } else { format!("{wide:?}") }
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{k} = {}", toml_value(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}
