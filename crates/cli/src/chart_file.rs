//! A chart as a file of its own: SVG with its styles inside.

use std::path::Path;

use coact_runner::write_atomic;

use crate::plot::{Chart, svg};
use crate::{Error, Result};

const STYLE: &str = "<style>text{font:11px sans-serif;fill:#444}.grid{stroke:#ddd}.axis{stroke:#888}\
    path,polyline{fill:none;stroke-width:1.5}.c0{stroke:#2a78d6}.c1{stroke:#d9622b}.c2{stroke:#2f9e62}\
    .c3{stroke:#8a5cc4}.c4{stroke:#b8892b}.c5{stroke:#c0417a}.c6{stroke:#4b9aa6}.c7{stroke:#777}\
    .band{stroke:none;opacity:.2}</style>";

/// The chart as a whole SVG document.
pub fn document(chart: &Chart) -> String {
    let drawing = svg(chart);
    let (width, height) = chart.size;
    let opened = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" ");
    match (drawing.strip_prefix("<svg "), drawing.find('>')) {
        (Some(rest), Some(end)) => {
            let (tag, body) = rest.split_at(end - "<svg ".len() + 1);
            let back = "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";
            format!("{opened}{tag}{STYLE}{back}{body}\n")
        }
        _ => drawing,
    }
}

/// Writes the chart.
///
/// # Errors
/// Wrong usage if the file is not called `.svg`; failure if it cannot be written.
pub fn write(path: &Path, chart: &Chart) -> Result<()> {
    if path.extension().is_none_or(|e| e != "svg") {
        return Err(Error::usage(format!(
            "{} is no SVG file; give a name that ends in .svg",
            path.display()
        )));
    }
    Ok(write_atomic(path, document(chart).as_bytes())?)
}
