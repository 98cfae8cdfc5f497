//! The golden playthroughs behind `cargo xtask golden`: writes them, or compares them with the files.
//!
//! Usage: golden --dir DIR [--bless]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn parse(args: &[String]) -> Result<(PathBuf, bool), String> {
    let (mut dir, mut bless) = (None, false);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--dir" => dir = rest.next().map(PathBuf::from),
            "--bless" => bless = true,
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    Ok((dir.ok_or("--dir DIR says where the playthroughs lie")?, bless))
}

/// What is wrong with the file of one playthrough, if anything.
fn difference(path: &Path, now: &str) -> Option<String> {
    let Ok(then) = std::fs::read_to_string(path) else {
        return Some("there is no file yet".to_owned());
    };
    if then == now {
        return None;
    }
    let mut lines = then.lines().zip(now.lines()).enumerate();
    Some(match lines.find(|(_, (a, b))| a != b) {
        Some((i, (a, b))) => format!("line {}:\n  - {a}\n  + {b}", i + 1),
        None => format!("{} lines where {} were", now.lines().count(), then.lines().count()),
    })
}

fn run(dir: &Path, bless: bool) -> Result<(), String> {
    let cannot =
        |what: &str, path: &Path, e: std::io::Error| format!("cannot {what} {}: {e}", path.display());
    std::fs::create_dir_all(dir).map_err(|e| cannot("create", dir, e))?;
    let mut differ = 0;
    for entry in coact_envs::ALL {
        let now = coact_envs::golden::playthrough(entry).map_err(|e| e.to_string())?;
        let path = dir.join(coact_envs::golden::file_name(entry));
        if bless {
            std::fs::write(&path, &now).map_err(|e| cannot("write", &path, e))?;
        } else if let Some(what) = difference(&path, &now) {
            println!("{}: {what}", entry.name);
            differ += 1;
        }
    }
    let known = |file: &str| coact_envs::ALL.iter().any(|entry| coact_envs::golden::file_name(entry) == file);
    for file in std::fs::read_dir(dir).map_err(|e| cannot("read", dir, e))?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if !known(&name) {
            println!("{name}: no environment of this name; remove its file");
            differ += 1;
        }
    }
    let n = coact_envs::ALL.len();
    if differ == 0 {
        println!("golden: {n} playthroughs {}", if bless { "written" } else { "equal" });
        return Ok(());
    }
    Err(format!(
        "{differ} of {n} playthroughs differ; if that is meant, run `cargo xtask golden --bless`, review the diff, \
         and raise the `version` of what changed"
    ))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match parse(&args).map(|(dir, bless)| run(&dir, bless)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
