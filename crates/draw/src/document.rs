//! A chart as an SVG document that stands alone, with its styles and a legend inside.

use std::fmt::Write as _;

use crate::plot::{Chart, escape, svg};

const STYLE: &str = "text{font:11px sans-serif;fill:#444}.grid{stroke:#ddd}.axis,.mark{stroke:#888}\
    .level{stroke:#777;stroke-dasharray:5 4}path,polyline{fill:none;stroke-width:1.5}\
    .band{stroke:none;opacity:.2}.dot{stroke:none}";
/// Colors of lines, in turn.
const COLORS: [&str; 8] =
    ["#2a78d6", "#d9622b", "#2f9e62", "#8a5cc4", "#b8892b", "#c0417a", "#4b9aa6", "#777777"];
/// Height of a row of the legend, and width of a letter in it.
const ROW: f64 = 18.0;
const LETTER: f64 = 6.2;

fn style() -> String {
    let color =
        |(i, c): (usize, &&str)| format!(".c{i}{{stroke:{c}}}.c{i} .dot,.band.c{i},.key.c{i}{{fill:{c}}}");
    format!(
        "<style>{}{STYLE}.key{{stroke:none}}</style>",
        COLORS.iter().enumerate().map(color).collect::<String>()
    )
}

/// What each line is, in rows below the chart, where there are several; and their height.
fn legend(chart: &Chart) -> (String, f64) {
    let (width, bottom) = chart.size;
    let mut out = String::new();
    if chart.series.len() < 2 {
        return (out, 0.0);
    }
    let (mut x, mut row) = (58.0, 0.0);
    for series in &chart.series {
        let wide = 34.0 + LETTER * series.label.chars().count() as f64;
        if x + wide > width && x > 58.0 {
            (x, row) = (58.0, row + 1.0);
        }
        let y = bottom + 4.0 + row * ROW;
        let (color, label) = (series.color % COLORS.len(), escape(&series.label));
        let _ = write!(
            out,
            "<rect class=\"key c{color}\" x=\"{x:.1}\" y=\"{y}\" width=\"14\" height=\"3\"/><text x=\"{:.1}\" y=\"{}\">{label}</text>",
            x + 19.0,
            y + 5.0
        );
        x += wide;
    }
    (out, (row + 1.0) * ROW)
}

/// The chart as a whole SVG document.
pub fn document(chart: &Chart) -> String {
    let (width, height) = chart.size;
    let (legend, more) = legend(chart);
    let drawing = svg(chart);
    // The drawing opens with its class and view box; a document is wider by what names the lines.
    let plain = format!("<svg class=\"chart\" viewBox=\"0 0 {width} {height}\"");
    let opened = open(width, height + more);
    let body = drawing.strip_prefix(&plain).and_then(|rest| rest.split_once('>'));
    let (attributes, body) = body.unwrap_or_default();
    let body = body.strip_suffix("</svg>").unwrap_or(body);
    let style = style();
    format!(
        "{opened}{attributes}>{style}<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}{legend}</svg>\n"
    )
}

/// The beginning of a document of this size.
fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" class=\"chart\" \
         viewBox=\"0 0 {width} {height}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Series;

    #[test]
    fn several_lines_have_a_legend_below_and_one_has_none() {
        let line = |label: &str, color| Series {
            label: label.into(),
            color,
            points: vec![(0.0, 1.0), (1.0, 2.0)],
            ..Series::default()
        };
        let chart =
            |series| Chart { size: (300.0, 200.0), series, description: "a > b".into(), ..Chart::default() };
        let one = document(&chart(vec![line("a", 0)]));
        assert!(one.contains("viewBox=\"0 0 300 200\"") && !one.contains("class=\"key"));
        let two = document(&chart(vec![line("a", 0), line("b<", 9), line(&"c".repeat(40), 2)]));
        // Two rows of 18.
        assert!(two.contains("height=\"236\"") && two.contains("viewBox=\"0 0 300 236\""), "{two}");
        assert!(two.contains("class=\"key c1\"") && two.contains(">b&lt;</text>"), "{two}");
        for text in [one, two] {
            assert!(text.starts_with("<svg xmlns=") && text.ends_with("</svg>\n"));
            assert_eq!([text.matches("<svg").count(), text.matches("</svg>").count()], [1, 1]);
            assert_eq!(text.matches('<').count(), text.matches('>').count());
        }
    }
}
