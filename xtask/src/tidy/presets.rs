//! Every preset of `configs/` is told of and shipped: a file that nobody can find by name is dead.

use std::path::Path;

use super::Fault;

/// Checks that each `configs/NAME.toml` is named in the README and included by a source file of the crates.
pub fn check(root: &Path, paths: &[String]) -> Vec<Fault> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let presets: Vec<&String> =
        paths.iter().filter(|p| p.starts_with("configs/") && p.ends_with(".toml")).collect();
    if presets.is_empty() {
        return Vec::new();
    }
    let readme = read("README.md");
    let is_source = |p: &&String| p.starts_with("crates/") && p.contains("/src/") && p.ends_with(".rs");
    let sources: Vec<String> = paths.iter().filter(is_source).map(|p| read(p)).collect();
    check_each(&presets, &readme, &sources)
}

fn check_each(presets: &[&String], readme: &str, sources: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for path in presets {
        let name = path.trim_start_matches("configs/").trim_end_matches(".toml");
        if !readme.contains(name) {
            faults.push(Fault::new(path, 0, format!("preset `{name}` is not named in README.md")));
        }
        let quoted = format!("\"{name}\"");
        if !sources.iter().any(|text| text.contains(path.as_str()) || text.contains(&quoted)) {
            faults.push(Fault::new(
                path,
                0,
                "no source of crates/ includes it; add it to the list of presets",
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_named_and_included() {
        let path = "configs/climbing.toml".to_owned();
        let include = vec!["include_str!(\"../../../configs/climbing.toml\")".to_owned()];
        assert_eq!(check_each(&[&path], "train `climbing`", &include), []);
        assert_eq!(check_each(&[&path], "", &include).len(), 1);
        assert_eq!(check_each(&[&path], "train `climbing`", &[]).len(), 1);
    }
}
