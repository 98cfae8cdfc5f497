//! What `coact negotiate` is given: files of all kinds, a folder of GENIUS files, or the name of something built in.

use std::path::{Path, PathBuf};

use coact_core::nearest::hint;
use coact_negotiation::agreement::Agreement;
use coact_negotiation::bargaining::Scenario;
use coact_negotiation::dcop::{File, Problem, generators};
use coact_negotiation::mechanisms::Mechanism;

use crate::text_file::read_text;
use crate::{Error, Result};

/// The laptop purchase of the GENIUS competitions: what buyer and seller want.
const LAPTOP: [(&str, &str); 2] = [
    ("buyer", include_str!("../../../testdata/negotiation/laptop/buyer.xml")),
    ("seller", include_str!("../../../testdata/negotiation/laptop/seller.xml")),
];

/// Something to negotiate about.
pub enum Input {
    /// A constraint problem, and its file.
    Constraints { problem: Box<Problem>, text: String },
    /// A talk between parties.
    Talk(Scenario),
    /// A mechanism, and its file.
    Mechanism { mechanism: Mechanism, text: String },
    /// An agreement on numbers, and its file.
    Agreement { agreement: Agreement, text: String },
}

/// Reads what the command line names.
///
/// # Errors
/// Files that cannot be read or make no sense, with the place of the fault; names that are not known.
pub fn load(inputs: &[PathBuf], seed: u64) -> Result<Input> {
    let input = read(inputs, seed)?;
    if let Input::Talk(scenario) = &input
        && let [alone] = scenario.profiles.as_slice()
    {
        return Err(Error::usage(format!(
            "`{}` has one party, `{}`; expected what two or more want: each in a map with `weights`, or in a file with \
             <weight> elements",
            scenario.name, alone.name
        )));
    }
    Ok(input)
}

fn read(inputs: &[PathBuf], seed: u64) -> Result<Input> {
    let Some(first) = inputs.first() else { return Err(Error::usage("give a file, a folder or a name")) };
    let name = first.display().to_string();
    if inputs.len() == 1 && !first.exists() {
        return built_in(&name, seed);
    }
    let files = if first.is_dir() { folder(first)? } else { inputs.to_vec() };
    if files.iter().all(|file| is_xml(file)) {
        return talk(&first.file_stem().map_or("talk".into(), |stem| stem.to_string_lossy()), &files);
    }
    if let [file] = files.as_slice() {
        let text = read_text(file)?;
        let fault = |error: coact_negotiation::Error| Error::usage(format!("{}: {error}", file.display()));
        return parse(text).map_err(fault);
    }
    let other = files.iter().find(|file| !is_xml(file)).unwrap_or(first);
    Err(Error::usage(format!(
        "{} is no XML file; several files together are GENIUS profiles",
        other.display()
    )))
}

fn is_xml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"))
}

/// The XML files of a folder, by name.
fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    let fault = |e: std::io::Error| Error::failed(format!("cannot read {}: {e}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        if is_xml(&file) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::usage(format!("{} holds no XML files; name a file", path.display())));
    }
    Ok(files)
}

fn talk(name: &str, files: &[PathBuf]) -> Result<Input> {
    let mut texts = Vec::new();
    for file in files {
        let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let text = read_text(file)?;
        // Read alone first, so that a fault names its file.
        coact_negotiation::bargaining::read_genius(&text)
            .map_err(|error| Error::usage(format!("{}: {error}", file.display())))?;
        texts.push((stem, text));
    }
    let pairs: Vec<(&str, &str)> = texts.iter().map(|(stem, text)| (stem.as_str(), text.as_str())).collect();
    Scenario::from_genius(name, &pairs).map(Input::Talk).map_err(Error::usage)
}

/// Files of YAML and JSON say by their keys what they are.
fn parse(text: String) -> coact_negotiation::Result<Input> {
    if Agreement::is_one(&text) {
        return Ok(Input::Agreement { agreement: Agreement::parse(&text)?, text });
    }
    if Mechanism::is_one(&text) {
        return Ok(Input::Mechanism { mechanism: Mechanism::parse(&text)?, text });
    }
    if Scenario::is_one(&text) {
        return Ok(Input::Talk(Scenario::parse(&text)?));
    }
    let problem = File::parse(&text)?.problem()?;
    Ok(Input::Constraints { problem: Box::new(problem), text })
}

fn built_in(name: &str, seed: u64) -> Result<Input> {
    if name == "laptop" {
        return Scenario::from_genius("laptop", &LAPTOP).map(Input::Talk).map_err(Error::failed);
    }
    let names = generators::ALL.map(|generator| generator.name);
    let stem = name.split(':').next().unwrap_or_default();
    if names.contains(&stem) {
        let problem = generators::generate(name, seed).map_err(Error::usage)?;
        let text = problem.to_yaml();
        return Ok(Input::Constraints { problem: Box::new(problem), text });
    }
    if name.contains(['/', '.']) {
        return Err(Error::failed(format!("cannot read {name}: there is no such file")));
    }
    let known = names.into_iter().chain(["laptop"]);
    let list: Vec<&str> = known.clone().collect();
    Err(Error::usage(format!(
        "`{name}` is neither a file nor built in ({}){}",
        list.join(", "),
        hint(stem, known)
    )))
}
