//! Every preset of `configs/` is built into the binary: a file that no list names is dead.

use std::path::Path;

use super::Fault;

/// Checks that a source file of the crates names each `configs/NAME.toml`, by its path or as `"NAME"`.
pub fn check(root: &Path, paths: &[String]) -> Vec<Fault> {
    let presets: Vec<&String> =
        paths.iter().filter(|p| p.starts_with("configs/") && p.ends_with(".toml")).collect();
    if presets.is_empty() {
        return Vec::new();
    }
    let is_source = |p: &&String| p.starts_with("crates/") && p.contains("/src/") && p.ends_with(".rs");
    let read = |path: &String| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let sources: Vec<String> = paths.iter().filter(is_source).map(read).collect();
    check_each(&presets, &sources)
}

fn check_each(presets: &[&String], sources: &[String]) -> Vec<Fault> {
    let name = |path: &str| path.trim_start_matches("configs/").trim_end_matches(".toml").to_owned();
    let is_named = |path: &str| {
        let quoted = format!("\"{}\"", name(path));
        sources.iter().any(|text| text.contains(path) || text.contains(&quoted))
    };
    let lost = presets.iter().filter(|path| !is_named(path));
    lost.map(|path| Fault::new(path, 0, "no source of crates/ includes it; add it to the list of presets"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_included() {
        let path = "configs/climbing.toml".to_owned();
        for text in ["include_str!(\"../../../configs/climbing.toml\")", "preset!(\"climbing\")"] {
            assert_eq!(check_each(&[&path], &[text.to_owned()]), []);
        }
        assert_eq!(check_each(&[&path], &["\"climbing-slowly\"".to_owned()]).len(), 1);
    }
}
