//! The measuring binary behind `cargo xtask bench`: runs suites, prints a table, writes JSON.

use std::path::PathBuf;
use std::process::ExitCode;

use coact_benches::contest::Care;
use coact_benches::peer::{NAMES, Peers};
use coact_benches::suites::{ALL, Session, Suite};
use coact_kernels::Device;

struct Request {
    suites: Vec<&'static Suite>,
    session: Session,
    json: Option<PathBuf>,
    plots: Option<PathBuf>,
}

fn parse(args: &[String]) -> Result<Request, String> {
    let mut suites: Vec<&Suite> = Vec::new();
    let mut peers: Vec<String> = Vec::new();
    let (mut python, mut json, mut plots, mut coact) = (PathBuf::from("python3"), None, None, None);
    let (mut quick, mut threads, mut device, mut only) = (false, vec![1, 2], Device::Cpu, String::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().cloned().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--quick" => quick = true,
            "--json" => json = Some(PathBuf::from(value()?)),
            "--plots" => plots = Some(PathBuf::from(value()?)),
            "--python" => python = PathBuf::from(value()?),
            "--coact" => coact = Some(PathBuf::from(value()?)),
            "--threads" => threads = vec![value()?.parse().map_err(|e| format!("--threads: {e}"))?],
            "--device" => device = value()?.parse().map_err(|e| format!("--device: {e}"))?,
            "--only" => only = value()?,
            "--peers" => peers = value()?.split(',').map(str::to_owned).collect(),
            name => {
                let names = || ALL.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
                let suite = ALL.iter().find(|s| s.name == name);
                suites.push(suite.ok_or_else(|| format!("unknown suite `{name}`; one of: {}", names()))?);
            }
        }
    }
    if let Some(name) = peers.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(format!("unknown peer `{name}`; one of: {}", NAMES.join(", ")));
    }
    if suites.is_empty() {
        suites = ALL.iter().collect();
    }
    let care = if quick { Care::QUICK } else { Care::FULL };
    let peers = Peers::new(python, peers, threads.clone());
    Ok(Request {
        suites,
        session: Session { care, threads, device, only, quick, coact, peers, found: Vec::new() },
        json,
        plots,
    })
}

fn measure(request: Request) -> Result<(), String> {
    let Request { suites, mut session, json, plots } = request;
    let mut failed = Vec::new();
    for suite in suites {
        // One suite that cannot run does not take the others with it.
        if let Err(why) = (suite.run)(&mut session) {
            eprintln!("suite {}: {why}", suite.name);
            failed.push(suite.name);
        }
    }
    if let Some(path) = json {
        let all: Vec<_> = session.found.iter().map(coact_benches::report::Measurement::json).collect();
        let text = serde_json::to_string_pretty(&all).map_err(|e| e.to_string())?;
        std::fs::write(&path, text + "\n").map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    if let Some(folder) = plots {
        let charts = coact_benches::suites::envs::charts(&session.found);
        if charts.is_empty() {
            return Err("--plots: nothing of `growth` was measured; run `envs` without --quick".to_owned());
        }
        std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        for (name, chart) in charts {
            let path = folder.join(name);
            let text = coact_draw::document::document(&chart);
            std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
    }
    if failed.is_empty() && session.found.is_empty() {
        return Err(format!("nothing measured has `{}` in its name", session.only));
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed suites: {}", failed.join(", "))) }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let request = match parse(&args) {
        Ok(request) => request,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    match measure(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
