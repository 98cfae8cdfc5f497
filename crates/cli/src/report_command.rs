//! `coact report`: one self-contained page about one or many runs.

use crate::Result;
use crate::args::ReportArgs;
use crate::run_folder::RunFolder;

/// stub
pub fn report(_args: &ReportArgs) -> Result<()> {
    Ok(())
}

/// stub
pub fn write_run_report(_folder: &RunFolder) -> Result<()> {
    Ok(())
}
