//! Drawings as files of their own.

use std::path::Path;

use coact_draw::document::document;
use coact_draw::plot::Chart;
use coact_runner::write_atomic;

use crate::{Error, Result};

/// Writes the chart.
///
/// # Errors
/// Wrong usage if the file is not called `.svg`; failure if it cannot be written.
pub fn write(path: &Path, chart: &Chart) -> Result<()> {
    write_svg(path, &document(chart))
}

/// Writes a finished drawing.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_svg(path: &Path, document: &str) -> Result<()> {
    if path.extension().is_none_or(|e| e != "svg") {
        return Err(Error::usage(format!(
            "{} is no SVG file; give a name that ends in .svg",
            path.display()
        )));
    }
    Ok(write_atomic(path, document.as_bytes())?)
}
