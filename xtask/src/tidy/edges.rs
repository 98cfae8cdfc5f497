//! Crate edges: the table of ARCHITECTURE.md against the manifests, in both directions, so that page and code
//! cannot drift apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Fault;
use crate::Result;

const PAGE: &str = "ARCHITECTURE.md";
/// The line above the table.
const MARK: &str = "<!-- crate edges: read by `cargo xtask tidy` -->";

/// What a row of the table permits one crate.
#[derive(Debug, Clone, PartialEq)]
enum Permit {
    Everything,
    These(BTreeSet<String>),
}

impl Permit {
    fn allows(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::These(names) => names.contains(name),
        }
    }
}

/// One row: the crate, what it may use, what its tests may use besides.
#[derive(Debug, PartialEq)]
struct Row {
    line: usize,
    uses: Permit,
    tests: Permit,
}

/// One package of the workspace, with the workspace packages that its manifest names.
#[derive(Debug, Default)]
struct Package {
    manifest: String,
    published: bool,
    uses: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// Every fault between the table, the manifests and their lints.
pub fn check(root: &Path, metadata: &serde_json::Value) -> Result<Vec<Fault>> {
    let page = std::fs::read_to_string(root.join(PAGE)).map_err(|e| format!("cannot read {PAGE}: {e}"))?;
    let table = match table_of(&page) {
        Ok(table) => table,
        Err(fault) => return Ok(vec![fault]),
    };
    let packages = packages_of(root, metadata);
    let mut faults = compare(&table, &packages);
    for package in packages.values() {
        let text = std::fs::read_to_string(root.join(&package.manifest))
            .map_err(|e| format!("cannot read {}: {e}", package.manifest))?;
        faults.extend(check_lints(&package.manifest, &text));
    }
    Ok(faults)
}

fn packages_of(root: &Path, metadata: &serde_json::Value) -> BTreeMap<String, Package> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut packages = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = text(&package["manifest_path"]);
        let manifest =
            Path::new(&manifest).strip_prefix(root).map(|p| p.to_string_lossy().replace('\\', "/"));
        let mut found = Package {
            manifest: manifest.unwrap_or_default(),
            // `publish = false` is an empty list of registries.
            published: package["publish"].as_array().is_none_or(|to| !to.is_empty()),
            ..Package::default()
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["path"].is_string() {
                let of = if dependency["kind"] == "dev" { &mut found.tests } else { &mut found.uses };
                of.insert(text(&dependency["name"]));
            }
        }
        packages.insert(text(&package["name"]), found);
    }
    packages
}

/// Reads the marked table: crate | may use | its tests may also use.
fn table_of(page: &str) -> std::result::Result<BTreeMap<String, Row>, Fault> {
    let lines: Vec<&str> = page.lines().collect();
    let missing = || Fault::new(PAGE, 0, format!("has no table of crate edges; put `{MARK}` above it"));
    let mark = lines.iter().position(|line| line.trim() == MARK).ok_or_else(missing)?;
    let start = mark + 1 + lines[mark + 1..].iter().position(|l| l.starts_with('|')).ok_or_else(missing)?;
    let mut table = BTreeMap::new();
    // The first two lines are the head and the rule.
    for (i, line) in lines.iter().enumerate().skip(start + 2).take_while(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, uses, tests] = cells[..] else {
            return Err(Fault::new(PAGE, i + 1, "this row of the table has not three cells"));
        };
        let permit = |cell| permit_of(cell).map_err(|what| Fault::new(PAGE, i + 1, what));
        let row = Row { line: i + 1, uses: permit(uses)?, tests: permit(tests)? };
        table.insert(name.trim_matches('`').to_owned(), row);
    }
    Ok(table)
}

fn permit_of(cell: &str) -> std::result::Result<Permit, String> {
    match cell {
        "everything" => return Ok(Permit::Everything),
        "nothing" => return Ok(Permit::These(BTreeSet::new())),
        _ => {}
    }
    let mut names = BTreeSet::new();
    for name in cell.split(',').map(str::trim) {
        let inner = name.strip_prefix('`').and_then(|n| n.strip_suffix('`'));
        names.insert(
            inner.ok_or_else(|| format!("`{name}` is not a crate in backticks, everything or nothing"))?,
        );
    }
    Ok(Permit::These(names.into_iter().map(str::to_owned).collect()))
}

fn compare(table: &BTreeMap<String, Row>, packages: &BTreeMap<String, Package>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, row) in table {
        if !packages.contains_key(name) {
            faults.push(Fault::new(PAGE, row.line, format!("`{name}` is not a package of the workspace")));
        }
    }
    for (name, package) in packages {
        let Some(row) = table.get(name) else {
            faults.push(Fault::new(PAGE, 0, format!("the table of crate edges has no row for `{name}`")));
            continue;
        };
        let manifest = &package.manifest;
        for used in package.uses.iter().filter(|used| !row.uses.allows(used)) {
            let what = format!("`{name}` uses `{used}`, which the table of {PAGE} does not permit");
            faults.push(Fault::new(manifest, 0, what));
        }
        let permitted = |used: &&String| row.uses.allows(used) || row.tests.allows(used);
        for used in package.tests.iter().filter(|used| !permitted(used)) {
            let what = format!("tests of `{name}` use `{used}`, which the table of {PAGE} does not permit");
            faults.push(Fault::new(manifest, 0, what));
        }
        if let Permit::These(names) = &row.uses {
            for unused in names.difference(&package.uses) {
                let what = format!("permits `{name}` to use `{unused}`, which its manifest does not name");
                faults.push(Fault::new(PAGE, row.line, what));
            }
        }
        let hidden = |used: &&String| packages.get(*used).is_some_and(|p| !p.published);
        for used in package.uses.iter().filter(hidden).filter(|_| package.published) {
            let what = format!("`{name}` is published and uses `{used}`, which is not");
            faults.push(Fault::new(manifest, 0, what));
        }
    }
    faults
}

/// Manifests of the crates that hold `unsafe` and state lints of their own.
const OWN_LINTS: &[&str] = &["crates/kernels/Cargo.toml", "crates/python/Cargo.toml"];

/// Crates take the workspace's lints, but for the homes of `unsafe`.
fn check_lints(manifest: &str, text: &str) -> Option<Fault> {
    if !manifest.starts_with("crates/") {
        return None;
    }
    let value: toml::Table = text.parse().ok()?;
    let lints = value.get("lints").and_then(|l| l.as_table());
    let inherits = lints.is_some_and(|l| l.get("workspace").and_then(toml::Value::as_bool) == Some(true));
    let own = lints.is_some_and(|l| l.get("rust").and_then(|r| r.get("missing_docs")).is_some());
    if inherits || (own && OWN_LINTS.contains(&manifest)) {
        return None;
    }
    Some(Fault::new(manifest, 0, "does not take the workspace's lints; add `[lints] workspace = true`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &str) -> String {
        format!(
            "# House\n\n{MARK}\n\n| crate | may use | its tests may also use |\n|---|---|---|\n{rows}\nAfter | it.\n"
        )
    }

    fn package(uses: &[&str], tests: &[&str], published: bool) -> Package {
        let set = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        Package { manifest: "Cargo.toml".to_owned(), published, uses: set(uses), tests: set(tests) }
    }

    fn check(rows: &str, packages: &[(&str, Package)], expected: &[&str]) {
        let table = table_of(&page(rows)).unwrap();
        let packages = packages.iter().map(|(n, p)| ((*n).to_owned(), package_like(p))).collect();
        let found: Vec<String> = compare(&table, &packages).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (fault, part) in found.iter().zip(expected) {
            assert!(fault.contains(part), "{fault} does not contain {part}");
        }
    }

    fn package_like(p: &Package) -> Package {
        Package {
            manifest: p.manifest.clone(),
            published: p.published,
            uses: p.uses.clone(),
            tests: p.tests.clone(),
        }
    }

    #[test]
    fn table_and_manifests_agree_both_ways() {
        let a = || ("a", package(&[], &[], true));
        let rows = "| `a` | nothing | nothing |\n| `b` | `a` | `t` |\n";
        let rows_t = "| `a` | nothing | nothing |\n| `b` | `a` | `t` |\n| `t` | everything | nothing |\n";
        let t = || ("t", package(&["a"], &[], false));
        check(rows, &[a(), ("b", package(&["a"], &[], true))], &[]);
        check(rows_t, &[a(), ("b", package(&["a"], &["t", "a"], true)), t()], &[]);
        check(
            rows,
            &[("a", package(&["b"], &[], true)), ("b", package(&["a"], &[], true))],
            &["`a` uses `b`"],
        );
        check(rows, &[a(), ("b", package(&[], &[], true))], &["permits `b` to use `a`"]);
        check(rows, &[a()], &["`b` is not a package"]);
        check(rows, &[a(), ("b", package(&["a"], &[], true)), t()], &["no row for `t`"]);
        let leak = ("b", package(&["a", "t"], &[], true));
        check(rows_t, &[a(), leak, t()], &["does not permit", "which is not"]);
        check(rows, &[a(), ("b", package(&["a"], &["b"], true))], &["tests of `b` use `b`"]);
    }

    #[test]
    fn a_damaged_table_is_a_fault() {
        assert!(table_of("# House\n").is_err());
        assert!(table_of(&page("| `a` | nothing |\n")).is_err());
        assert!(table_of(&page("| `a` | b | nothing |\n")).is_err());
    }

    #[test]
    fn lints_are_inherited() {
        assert_eq!(check_lints("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"), None);
        assert_eq!(check_lints("xtask/Cargo.toml", ""), None);
        assert!(check_lints("crates/a/Cargo.toml", "[package]\n").is_some());
        let own = "[lints.rust]\nmissing_docs = \"deny\"\n";
        assert_eq!(check_lints("crates/kernels/Cargo.toml", own), None);
        assert_eq!(check_lints("crates/python/Cargo.toml", own), None);
        assert!(check_lints("crates/a/Cargo.toml", own).is_some());
    }
}
