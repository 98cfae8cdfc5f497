//! Python packages of the peers, in a virtual environment of their own under `.peers/`, which git ignores.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, Result, process};

/// A peer, the module that shows whether it is there, and the packages that bring it.
struct Peer {
    name: &'static str,
    module: &'static str,
    packages: &'static [&'static str],
}

const ALL: &[Peer] = &[
    Peer { name: "jax", module: "jax", packages: &["jax", "numpy"] },
    Peer { name: "jaxmarl", module: "jaxmarl", packages: &["jaxmarl", "optax", "numpy"] },
    Peer { name: "jaxmarlenvs", module: "jaxmarl", packages: &["jaxmarl", "numpy"] },
    Peer { name: "lbforaging", module: "lbforaging", packages: &["lbforaging==2.0.0", "numpy"] },
    Peer { name: "rware", module: "rware", packages: &["rware==2.0.0", "numpy"] },
    Peer { name: "vmas", module: "vmas", packages: &["vmas", "torch", "numpy"] },
    Peer { name: "mpe2", module: "mpe2", packages: &["mpe2", "numpy"] },
    Peer { name: "cpprb", module: "cpprb", packages: &["cpprb", "numpy"] },
    Peer { name: "gymnasium", module: "gymnasium", packages: &["gymnasium", "numpy"] },
    Peer { name: "torch", module: "torch", packages: &["torch", "numpy"] },
    Peer { name: "scipy", module: "scipy.optimize", packages: &["scipy", "numpy"] },
    Peer { name: "lapx", module: "lap", packages: &["lapx", "numpy"] },
    Peer { name: "openspiel", module: "pyspiel", packages: &["open_spiel"] },
    Peer { name: "quantecon", module: "quantecon", packages: &["quantecon"] },
    Peer { name: "nashpy", module: "nashpy", packages: &["nashpy"] },
    Peer { name: "gambit", module: "pygambit", packages: &["pygambit>=17.0.0b2"] },
    Peer { name: "mdptoolbox", module: "mdptoolbox", packages: &["pymdptoolbox", "scipy", "numpy"] },
];

/// Prepares the peers named in `list` (separated by commas) and returns the Python to run them with and those that
/// are ready. One that cannot be installed is told of and left out.
pub fn prepare(root: &Path, list: &str) -> Result<(PathBuf, Vec<&'static str>)> {
    let mut wanted = Vec::new();
    for name in list.split(',').filter(|n| !n.is_empty()) {
        let peer = ALL.iter().find(|p| p.name == name).ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|p| p.name).collect();
            Failure::Usage(format!("unknown peer `{name}`; one of: {}", names.join(", ")))
        })?;
        wanted.push(peer);
    }
    let dir = root.join(".peers");
    let python = dir.join("bin/python");
    if !python.exists()
        && let Err(Failure::Run(why)) = process::run(Command::new("python3").args(["-m", "venv"]).arg(&dir))
    {
        eprintln!("no peers: {why}; install Python 3 with its venv module");
        return Ok((python, Vec::new()));
    }
    let ready = wanted.into_iter().filter(|peer| is_ready(&python, peer)).map(|peer| peer.name).collect();
    Ok((python, ready))
}

/// Whether the peer can be imported, after installing it if it could not.
fn is_ready(python: &Path, peer: &Peer) -> bool {
    let imports = || process::succeeds(Command::new(python).arg("-c").arg(format!("import {}", peer.module)));
    if imports() {
        return true;
    }
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(peer.packages);
    let installed = process::run(&mut install);
    if installed.is_ok() && imports() {
        return true;
    }
    eprintln!(
        "peer {} is left out: its packages ({}) cannot be installed",
        peer.name,
        peer.packages.join(", ")
    );
    false
}
