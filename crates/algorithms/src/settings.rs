//! Settings of a family, from the map that a configuration holds.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The settings in `map`; keys that are missing take their defaults.
///
/// # Errors
/// An unknown key or a value of the wrong type; the error names the key.
pub(crate) fn parse<T: DeserializeOwned>(algorithm: &'static str, map: &serde_json::Value) -> Result<T> {
    // One key at a time first, so that the error can name it.
    for (key, value) in map.as_object().into_iter().flatten() {
        let alone = serde_json::Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<T>(alone.into())
            .map_err(|e| Error::Settings { algorithm, reason: format!("{key} = {value}: {e}") })?;
    }
    let own = if map.is_null() { serde_json::Map::new().into() } else { map.clone() };
    serde_json::from_value(own).map_err(|e| Error::Settings { algorithm, reason: e.to_string() })
}

/// All settings, as a map.
///
/// # Errors
/// A number that JSON cannot hold.
pub(crate) fn to_map<T: Serialize>(algorithm: &'static str, settings: &T) -> Result<serde_json::Value> {
    serde_json::to_value(settings).map_err(|e| Error::Settings { algorithm, reason: e.to_string() })
}
