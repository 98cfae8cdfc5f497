//! Pictures of negotiations as SVG files: offers among all outcomes with the Pareto frontier, and curves over rounds.

use std::fmt::Write as _;
use std::path::Path;

use coact_negotiation::bargaining::{Negotiation, Rule, Scenario, pareto, point};

use crate::plot::{Chart, Series, escape, short, svg, ticks};
use crate::{Error, Result};

/// The colors of reports, light and dark, without variables of CSS: not every viewer of SVG knows them.
const STYLE: &str = "\
svg{font:13px system-ui,sans-serif}.paper{fill:#fff}text{fill:#667085}\
.title{fill:#1d2430;font-size:17px;font-weight:600}.c0{color:#2563eb}.c1{color:#ea580c}.c2{color:#059669}\
.c3{color:#db2777}.c4{color:#7c3aed}.c5{color:#b7860b}.c6{color:#0891b2}.c7{color:#64748b}\
.outcome{fill:#667085;opacity:.45}.frontier{fill:none;stroke:#059669;stroke-width:2}.efficient{fill:#059669}\
.offers{fill:none;stroke:currentColor;stroke-width:1.5;stroke-dasharray:4 3}.offer{fill:currentColor}\
.agreed{fill:none;stroke:#db2777;stroke-width:3}.grid{stroke:#e4e7ec}.axis,.mark{stroke:#667085}\
.line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}.line .dot{fill:currentColor}\
@media(prefers-color-scheme:dark){.paper{fill:#12151a}text{fill:#98a2b3}.title{fill:#e6e9ee}.c0{color:#6ea0ff}\
.c1{color:#fb923c}.c2{color:#34d399}.c3{color:#f472b6}.c4{color:#a78bfa}.c5{color:#e5b93c}.c6{color:#22d3ee}\
.c7{color:#a3b0c2}.outcome{fill:#98a2b3}.frontier{stroke:#34d399}.efficient{fill:#34d399}.agreed{stroke:#f472b6}\
.grid{stroke:#313843}.axis,.mark{stroke:#98a2b3}}";

/// Outcomes that are drawn; of more, an even selection.
const MOST_OUTCOMES: usize = 4000;

/// Says no to names that are no SVG files, before work is done.
///
/// # Errors
/// Wrong usage.
pub fn check_name(path: &Path) -> Result<()> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        return Ok(());
    }
    Err(Error::usage(format!("{} is no SVG file; give --plot a name that ends in .svg", path.display())))
}

/// A curve over rounds or cycles.
pub fn curve(title: &str, x_label: &str, values: &[f64]) -> String {
    let points = values.iter().enumerate().map(|(i, &value)| (i as f64, value)).collect();
    let series = vec![Series { label: title.into(), points, ..Series::default() }];
    let chart = Chart {
        size: (820.0, 420.0),
        x_label: x_label.into(),
        description: title.into(),
        series,
        level: None,
        ..Chart::default()
    };
    let mut out = opening(820.0, 470.0, title);
    let drawing = svg(&chart);
    // A drawing within a drawing needs its size and place.
    let nested = drawing.replacen("<svg ", "<svg x=\"0\" y=\"44\" width=\"820\" height=\"420\" ", 1);
    let _ = writeln!(out, "{nested}</svg>");
    out
}

fn opening(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\"><title>{0}</title><style>{STYLE}</style><rect class=\"paper\" width=\"100%\" height=\"100%\"/>\
         <text class=\"title\" x=\"58\" y=\"28\">{0}</text>\n",
        escape(title)
    )
}

/// From utilities to places on the paper.
struct Frame {
    most: [f64; 2],
    least: [f64; 2],
}

const LEFT: f64 = 64.0;
const TOP: f64 = 48.0;
const SIDE: f64 = 560.0;

impl Frame {
    fn x(&self, u: f64) -> f64 {
        LEFT + (u - self.least[0]) / (self.most[0] - self.least[0]) * SIDE
    }

    fn y(&self, u: f64) -> f64 {
        TOP + SIDE - (u - self.least[1]) / (self.most[1] - self.least[1]) * SIDE
    }
}

/// The talk of the first two parties: all outcomes by what they are worth to both, the frontier, everybody's offers, the
/// agreement, and the Nash point.
///
/// # Errors
/// A scenario with too many outcomes, or one party only.
pub fn talk(scenario: &Scenario, negotiation: Option<&Negotiation>, agreed: Option<usize>) -> Result<String> {
    let space = scenario.space().map_err(Error::failed)?;
    let (Some(first), Some(second)) = (space.utilities.first(), space.utilities.get(1)) else {
        return Err(Error::usage("--plot shows two parties; this talk has one"));
    };
    let most = |own: &[f64]| own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = |own: &[f64]| own.iter().copied().fold(0.0, f64::min);
    let pad = |least: f64, most: f64| if most > least { most + 0.03 * (most - least) } else { least + 1.0 };
    let least = [least(first), least(second)];
    let frame = Frame { most: [pad(least[0], most(first)), pad(least[1], most(second))], least };
    let at = |outcome: usize| (frame.x(first[outcome]), frame.y(second[outcome]));
    let mut out = opening(LEFT + SIDE + 210.0, TOP + SIDE + 60.0, &format!("{}: offers", scenario.name));
    axes(&mut out, &frame, [&scenario.profiles[0].name, &scenario.profiles[1].name]);
    for outcome in (0..first.len()).step_by(first.len().div_ceil(MOST_OUTCOMES).max(1)) {
        let (x, y) = at(outcome);
        let _ = write!(out, "<circle class=\"outcome\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
    }
    let frontier = pareto(&space);
    if scenario.profiles.len() == 2 {
        let line: Vec<String> = frontier.iter().map(|&o| format!("{:.1},{:.1}", at(o).0, at(o).1)).collect();
        let _ = write!(out, "<polyline class=\"frontier\" points=\"{}\"/>", line.join(" "));
    }
    for &outcome in &frontier {
        let (x, y) = at(outcome);
        let _ = write!(
            out,
            "<circle class=\"efficient\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{}</title></circle>",
            label(scenario, outcome)
        );
    }
    let mut keys = vec![("outcome key", "outcomes".to_owned()), ("efficient", "Pareto frontier".to_owned())];
    if let Some(negotiation) = negotiation {
        offers(&mut out, scenario, negotiation, &at);
    }
    if let Some(nash) = point(&space, Rule::Nash) {
        let (x, y) = at(nash);
        // Beyond the frame the name would run into the keys; below it the frontier leaves room.
        let (x, y, anchor) =
            if x > LEFT + 0.8 * SIDE { (x - 14.0, y + 20.0, "end") } else { (x + 10.0, y - 8.0, "start") };
        let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">Nash point</text>");
    }
    if let Some(outcome) = agreed {
        let (x, y) = at(outcome);
        let _ = write!(
            out,
            "<circle class=\"agreed\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"11\"><title>agreed: {}</title></circle>",
            label(scenario, outcome)
        );
        keys.push(("agreed", "agreement".to_owned()));
    }
    let colors = ["c0", "c1", "c4", "c5", "c6", "c7"];
    if negotiation.is_some() {
        let names = scenario.profiles.iter().zip(colors.iter().cycle());
        keys.extend(names.map(|(profile, &color)| (color, format!("offers of {}", profile.name))));
    }
    for (i, (class, text)) in keys.iter().enumerate() {
        let y = TOP + 12.0 + 22.0 * i as f64;
        let mark = if class.starts_with('c') { format!("offer {class}") } else { (*class).to_owned() };
        let _ = write!(
            out,
            "<circle class=\"{mark}\" cx=\"{}\" cy=\"{}\" r=\"5\"/><text x=\"{}\" y=\"{y}\">{}</text>",
            LEFT + SIDE + 22.0,
            y - 4.0,
            LEFT + SIDE + 36.0,
            escape(text)
        );
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// Each party's offers as a path, in the order in which they were made.
fn offers(
    out: &mut String,
    scenario: &Scenario,
    negotiation: &Negotiation,
    at: &dyn Fn(usize) -> (f64, f64),
) {
    let colors = ["c0", "c1", "c4", "c5", "c6", "c7"];
    for (party, color) in (0..scenario.profiles.len()).zip(colors.iter().cycle()) {
        let mut own: Vec<usize> = negotiation
            .offers
            .iter()
            .filter(|offer| offer.party == party)
            .map(|offer| offer.outcome)
            .collect();
        own.dedup();
        let line: Vec<String> = own.iter().map(|&o| format!("{:.1},{:.1}", at(o).0, at(o).1)).collect();
        let _ =
            write!(out, "<g class=\"{color}\"><polyline class=\"offers\" points=\"{}\"/>", line.join(" "));
        for (i, &outcome) in own.iter().enumerate().take(MOST_OUTCOMES) {
            let (x, y) = at(outcome);
            let text = label(scenario, outcome);
            let _ = write!(
                out,
                "<circle class=\"offer\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>offer {} of {}: {text}</title></circle>",
                i + 1,
                escape(&scenario.profiles[party].name)
            );
        }
        out.push_str("</g>");
    }
}

fn label(scenario: &Scenario, outcome: usize) -> String {
    let values: Vec<&str> = scenario.describe(outcome).iter().map(|pair| pair.1).collect();
    escape(&values.join(", "))
}

fn axes(out: &mut String, frame: &Frame, names: [&str; 2]) {
    let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
    for u in ticks((frame.least[0], frame.most[0]), 5.0) {
        let (x, below) = (frame.x(u), bottom + 18.0);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
            short(u)
        );
    }
    for v in ticks((frame.least[1], frame.most[1]), 5.0) {
        let (y, beside) = (frame.y(v), LEFT - 8.0);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
             <text x=\"{beside}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y + 4.0,
            short(v)
        );
    }
    let _ = write!(
        out,
        "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>\
         <line class=\"axis\" x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{LEFT}\" y2=\"{bottom}\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">utility of {}</text>\
         <text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">utility of {}</text>",
        LEFT + SIDE / 2.0,
        bottom + 42.0,
        escape(names[0]),
        TOP + SIDE / 2.0,
        escape(names[1])
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pictures_end_in_svg() {
        assert!(check_name(Path::new("a.svg")).is_ok());
        assert!(check_name(Path::new("a.png")).is_err());
    }

    #[test]
    fn curves_are_whole_documents() {
        let text = curve("cost <1>", "cycle", &[3.0, 2.0, f64::INFINITY, 1.0]);
        assert!(text.starts_with("<svg xmlns") && text.trim_end().ends_with("</svg></svg>"));
        assert!(text.contains("cost &lt;1&gt;") && !text.contains("inf"));
    }
}
