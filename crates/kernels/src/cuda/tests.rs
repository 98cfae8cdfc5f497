//! The committed PTX belongs to the committed sources.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `.cu` and `.cuh` files below `dir`, as names relative to `src`, sorted.
fn sources() -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "cu" || e == "cuh") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                names.push(name);
            }
        }
    }
    names.sort();
    names
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn ptx_is_of_these_sources_and_unedited() {
    let ptx = std::fs::read_to_string(root().join("cuda/kernels.ptx")).unwrap();
    let mut lines = ptx.split_inclusive('\n');
    let header: Vec<&str> = lines.by_ref().take(4).map(str::trim_end).collect();
    let body: String = lines.collect();
    let mut hash = Sha256::new();
    for name in sources() {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(std::fs::read(root().join(&name)).unwrap());
        hash.update([0]);
    }
    let say = "run `cargo xtask ptx` and commit kernels.ptx";
    assert_eq!(header[1], format!("// sources {}", hex(&hash.finalize())), "sources have changed: {say}");
    assert_eq!(
        header[3],
        format!("// body {}", hex(&Sha256::digest(body.as_bytes()))),
        "edited by hand: {say}"
    );
    for option in ["--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"] {
        assert!(header[2].contains(option), "compiled without {option}");
    }
}
