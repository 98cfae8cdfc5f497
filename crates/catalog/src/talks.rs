//! Scenarios of negotiations: from files, from folders of GENIUS profiles, and by name.

use std::path::{Path, PathBuf};

use coact_core::nearest::hint;
use coact_core::{Error, Result};
use coact_negotiation::bargaining::{Scenario, read_genius};

use crate::text_file::read_text;

/// Name of the scenario that is built in.
pub const LAPTOP_NAME: &str = "laptop";

/// The laptop purchase of the GENIUS competitions: what buyer and seller want.
const LAPTOP: [(&str, &str); 2] = [
    ("buyer", include_str!("../../../testdata/negotiation/laptop/buyer.xml")),
    ("seller", include_str!("../../../testdata/negotiation/laptop/seller.xml")),
];

/// The scenario of a file, of a folder, or built in under the name `laptop`.
///
/// # Errors
/// Files that cannot be read or make no sense, with the place of the fault; names that are not known; a single party.
pub fn scenario(input: &Path) -> Result<Scenario> {
    let name = input.display().to_string();
    if !input.exists() {
        if name == LAPTOP_NAME {
            return laptop();
        }
        let hint = hint(&name, [LAPTOP_NAME]);
        return Err(Error::invalid(format!(
            "`{name}` is neither a file, a folder nor `{LAPTOP_NAME}`{hint}"
        )));
    }
    let stem = input.file_stem().map_or("talk".into(), |stem| stem.to_string_lossy());
    let found = if input.is_dir() {
        genius(&stem, &xml_files(input)?)?
    } else if is_xml(input) {
        genius(&stem, &[input.to_path_buf()])?
    } else {
        let text = read_text(input)?;
        if !Scenario::is_one(&text) {
            return Err(Error::invalid(format!("{name} is no talk between parties; give a scenario")));
        }
        Scenario::parse(&text).map_err(|e| Error::invalid(format!("{name}: {e}")))?
    };
    check_parties(&found)?;
    Ok(found)
}

/// Refuses a scenario with one party.
///
/// # Errors
/// One party.
pub fn check_parties(scenario: &Scenario) -> Result<()> {
    let [alone] = scenario.profiles.as_slice() else { return Ok(()) };
    Err(Error::invalid(format!(
        "`{}` has one party, `{}`; expected what two or more want: each in a map with `weights`, or in a file with \
         <weight> elements",
        scenario.name, alone.name
    )))
}

/// The scenario that is built in.
///
/// # Errors
/// None; its files are tested.
pub fn laptop() -> Result<Scenario> {
    Scenario::from_genius(LAPTOP_NAME, &LAPTOP).map_err(|e| Error::invalid(e.to_string()))
}

/// Whether a file is named as XML files are.
pub fn is_xml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"))
}

/// The XML files of a folder, by name.
///
/// # Errors
/// A folder that cannot be read or holds none.
pub fn xml_files(path: &Path) -> Result<Vec<PathBuf>> {
    let fault = |e: std::io::Error| Error::invalid(format!("cannot read {}: {e}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        if is_xml(&file) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::invalid(format!("{} holds no XML files; name a file", path.display())));
    }
    Ok(files)
}

/// The scenario of GENIUS profiles, one a file.
///
/// # Errors
/// Files that cannot be read or make no sense.
pub fn genius(name: &str, files: &[PathBuf]) -> Result<Scenario> {
    let mut texts = Vec::new();
    for file in files {
        let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let text = read_text(file)?;
        // Read alone first, so that a fault names its file.
        read_genius(&text).map_err(|error| Error::invalid(format!("{}: {error}", file.display())))?;
        texts.push((stem, text));
    }
    let pairs: Vec<(&str, &str)> = texts.iter().map(|(stem, text)| (stem.as_str(), text.as_str())).collect();
    Scenario::from_genius(name, &pairs).map_err(|e| Error::invalid(e.to_string()))
}
