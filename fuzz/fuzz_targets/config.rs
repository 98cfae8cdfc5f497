//! Configurations from arbitrary text: an error, or settings that print as text that means the same.

#![no_main]

use coact::config::Layers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (toml, pairs) = text.split_once('\0').unwrap_or((text, ""));
    let mut layers = Layers::default();
    if layers.toml(toml, "fuzz").is_err() {
        return;
    }
    let pairs: Vec<String> = pairs.split('\0').filter(|p| !p.is_empty()).map(String::from).collect();
    if layers.set(&pairs).is_err() {
        return;
    }
    let Ok(config) = layers.resolve() else { return };
    let mut again = Layers::default();
    again.toml(&config.to_toml(), "printed").unwrap();
    assert_eq!(again.resolve().unwrap(), config);
});
