//! What `coact negotiate` is given: files of all kinds, a folder of GENIUS files, or the name of something built in.

use std::path::PathBuf;

use coact_catalog::talks::{LAPTOP_NAME, check_parties, genius, is_xml, laptop, xml_files};
use coact_catalog::text_file::read_text;
use coact_core::nearest::hint;
use coact_negotiation::agreement::Agreement;
use coact_negotiation::bargaining::Scenario;
use coact_negotiation::dcop::{File, Problem, generators};
use coact_negotiation::mechanisms::Mechanism;

use crate::{Error, Result};

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
    if let Input::Talk(scenario) = &input {
        check_parties(scenario).map_err(Error::usage)?;
    }
    Ok(input)
}

fn read(inputs: &[PathBuf], seed: u64) -> Result<Input> {
    let Some(first) = inputs.first() else { return Err(Error::usage("give a file, a folder or a name")) };
    let name = first.display().to_string();
    if inputs.len() == 1 && !first.exists() {
        return built_in(&name, seed);
    }
    let files = if first.is_dir() { xml_files(first).map_err(Error::usage)? } else { inputs.to_vec() };
    if files.iter().all(|file| is_xml(file)) {
        let stem = first.file_stem().map_or("talk".into(), |stem| stem.to_string_lossy());
        return genius(&stem, &files).map(Input::Talk).map_err(Error::usage);
    }
    if let [file] = files.as_slice() {
        let text = read_text(file).map_err(Error::usage)?;
        let fault = |error: coact_negotiation::Error| Error::usage(format!("{}: {error}", file.display()));
        return parse(text).map_err(fault);
    }
    let other = files.iter().find(|file| !is_xml(file)).unwrap_or(first);
    Err(Error::usage(format!(
        "{} is no XML file; several files together are GENIUS profiles",
        other.display()
    )))
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
    if name == LAPTOP_NAME {
        return laptop().map(Input::Talk).map_err(Error::failed);
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
    let known = names.into_iter().chain([LAPTOP_NAME]);
    let list: Vec<&str> = known.clone().collect();
    Err(Error::usage(format!(
        "`{name}` is neither a file nor built in ({}){}",
        list.join(", "),
        hint(stem, known)
    )))
}
