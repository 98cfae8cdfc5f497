//! The committed PTX belongs to the committed sources.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Names and texts of files.
type Sources = Vec<(String, Vec<u8>)>;

/// `.cu` and `.cuh` files below `root`, as names relative to it, with their text, sorted.
fn sources(root: &Path) -> Sources {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "cu" || e == "cuh") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Why `ptx` is not what these sources give; none if its header says that it is.
fn stale(ptx: &str, sources: &[(String, Vec<u8>)]) -> Option<&'static str> {
    let mut lines = ptx.split_inclusive('\n');
    let header: Vec<&str> = lines.by_ref().take(4).map(str::trim_end).collect();
    let body: String = lines.collect();
    let mut hash = Sha256::new();
    for (name, text) in sources {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(text);
        hash.update([0]);
    }
    if header[1] != format!("// sources {}", hex(&hash.finalize())) {
        return Some("sources have changed: run `cargo xtask ptx` and commit kernels.ptx");
    }
    if header[3] != format!("// body {}", hex(&Sha256::digest(body.as_bytes()))) {
        return Some("edited by hand: run `cargo xtask ptx` and commit kernels.ptx");
    }
    let exact = ["--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"];
    (!exact.iter().all(|option| header[2].contains(option))).then_some("not compiled for exact numbers")
}

fn committed() -> String {
    std::fs::read_to_string(root().join("cuda/kernels.ptx")).unwrap()
}

#[test]
fn ptx_is_of_these_sources_and_unedited() {
    assert_eq!(stale(&committed(), &sources(&root())), None);
}

/// The check above finds what it is there for.
#[test]
fn a_stale_or_edited_ptx_is_found() {
    let (ptx, sources) = (committed(), sources(&root()));
    let changed = |change: &dyn Fn(&mut Sources)| {
        let mut other = sources.clone();
        change(&mut other);
        stale(&ptx, &other).unwrap_or("nothing")
    };
    let says = "sources have changed";
    assert!(changed(&|s| s[0].1.push(b' ')).starts_with(says));
    assert!(changed(&|s| s[0].0.push('u')).starts_with(says));
    assert!(changed(&|s| s.truncate(1)).starts_with(says));
    let edited = ptx.replacen("fma.rn.f32", "mad.rn.f32", 1);
    assert!(edited != ptx && stale(&edited, &sources).unwrap().starts_with("edited by hand"));
    let contracted = ptx.replacen("--fmad=false", "--fmad=true", 1);
    assert_eq!(stale(&contracted, &sources), Some("not compiled for exact numbers"));
}

#[test]
fn every_kernel_of_the_ptx_has_a_budget() {
    let ptx = committed();
    let names: Vec<&str> = ptx.split(".entry ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
    assert!(names.contains(&"act_8"), "{names:?}");
    for name in names {
        let heading = format!("\n[{name}]\n");
        assert!(
            crate::GPU_BUDGETS.iter().any(|text| text.contains(&heading)),
            "{name}: name its budget.toml in lib.rs"
        );
    }
}
