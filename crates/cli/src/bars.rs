//! Horizontal bars, one a name, as an SVG document. Not here: lines, and how scores come about.

use std::fmt::Write as _;

use crate::plot::{escape, short};

const WIDTH: f64 = 640.0;
const ROW: f64 = 20.0;
const TOP: f64 = 30.0;
const LETTER: f64 = 6.4;
/// Letters of a name that are shown.
const MOST_LETTERS: usize = 44;
/// Room for the numbers behind the bars.
const NUMBERS: f64 = 60.0;

/// Draws scores from the first to the last; negative ones go left from the line of zero.
pub(crate) fn document(title: &str, scores: &[(String, f64)]) -> String {
    let known = scores.iter().map(|s| s.1).filter(|s| s.is_finite());
    let (low, high) = known.fold((0.0_f64, 0.0_f64), |(l, h), s| (l.min(s), h.max(s)));
    let letters = scores.iter().map(|s| s.0.chars().count()).max().unwrap_or(0).min(MOST_LETTERS);
    let left = 20.0 + LETTER * letters as f64;
    let unit = (WIDTH - left - 2.0 * NUMBERS) / (high - low).max(f64::MIN_POSITIVE);
    let zero = left + NUMBERS / 2.0 - low * unit;
    let height = TOP + ROW * scores.len() as f64 + 10.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"{0}\"><style>text{{font:11px sans-serif;fill:#444}}</style><rect width=\"100%\" \
         height=\"100%\" fill=\"#fff\"/><text x=\"8\" y=\"16\">{0}</text>",
        escape(title)
    );
    for (i, (name, score)) in scores.iter().enumerate() {
        let y = TOP + ROW * i as f64;
        let size = if score.is_finite() { score * unit } else { 0.0 };
        let (from, to) = (zero + size.min(0.0), zero + size.max(0.0));
        let name = escape(&cut(name, letters));
        // Behind the bar: right of one that goes right, left of one that goes left.
        let (at, anchor) = if size < 0.0 { (from - 5.0, "end") } else { (to + 5.0, "start") };
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text><rect x=\"{from:.1}\" y=\"{:.1}\" \
             width=\"{:.1}\" height=\"{}\" fill=\"#2a78d6\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            left - 8.0,
            y + 13.0,
            y + 2.0,
            (to - from).max(0.5),
            ROW - 6.0,
            y + 13.0,
            short(*score)
        );
    }
    let _ = writeln!(
        out,
        "<line x1=\"{zero:.1}\" y1=\"{TOP}\" x2=\"{zero:.1}\" y2=\"{}\" stroke=\"#888\"/></svg>",
        height - 10.0
    );
    out
}

/// A name of at most so many letters.
fn cut(name: &str, letters: usize) -> String {
    match name.chars().count() > letters {
        true => name.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_scores() {
        let scores = [("a<".to_string(), 2.0), ("b".into(), -1.0), ("c".into(), 0.0), ("d".into(), f64::NAN)];
        let text = document("scores", &scores);
        let widths: Vec<f64> = text
            .split("<rect x=")
            .skip(1)
            .map(|part| part.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!((widths[0] / widths[1] - 2.0).abs() < 1e-3 && widths[2..] == [0.5, 0.5], "{widths:?}");
        assert!(text.contains("a&lt;") && !text.contains("NaN\""), "{text}");
        assert!(cut("abcdef", 4) == "abc…" && cut("abcd", 4) == "abcd");
    }
}
