//! Line charts as SVG text, styled by the classes of the page that holds them (so that they follow its light
//! or dark colors). Not here: what is plotted, files, other kinds of charts.

use std::fmt::Write as _;

/// Points drawn per line; more are averaged in neighborhoods.
const MAX_POINTS: usize = 400;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
/// More room above, for the name of the vertical axis.
const NAME: f64 = 18.0;
const BOTTOM: f64 = 40.0;

/// One line with an optional band around it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// What it is, shown when pointed at.
    pub label: String,
    /// Which of the page's colors it takes (classes `c0` to `c7`, counted around).
    pub color: usize,
    /// Points by ascending x. A y that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper end at each point, or empty.
    pub band: Vec<(f64, f64)>,
}

/// Lines over a common axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chart {
    /// Width and height in the units of the drawing.
    pub size: (f64, f64),
    /// Below the horizontal axis.
    pub x_label: String,
    /// Above the vertical axis; may be empty where the page around says it.
    pub y_label: String,
    /// Whether points hold logarithms to base ten, horizontally and vertically; axes then show the numbers themselves.
    pub log: (bool, bool),
    /// For readers that cannot see the chart.
    pub description: String,
    /// The lines.
    pub series: Vec<Series>,
    /// A level to compare with, and its name.
    pub level: Option<(f64, String)>,
}

/// Escapes text for HTML and SVG, in content and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Draws a chart. Without a finite point it says that there is nothing to show.
pub fn svg(chart: &Chart) -> String {
    let (width, height) = chart.size;
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(&chart.description)
    );
    let series: Vec<Series> = chart.series.iter().map(thinned).collect();
    match Frame::new(&series, chart) {
        Some(frame) => {
            frame.axes(&mut out, chart);
            for line in &series {
                frame.band(&mut out, line);
            }
            for line in &series {
                frame.line(&mut out, line);
            }
        }
        None => {
            let _ = write!(
                out,
                "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">no data</text>",
                width / 2.0,
                height / 2.0
            );
        }
    }
    out.push_str("</svg>");
    out
}

/// Averages neighbors where a line has more points than a chart can show.
fn thinned(series: &Series) -> Series {
    let n = series.points.len();
    if n <= MAX_POINTS {
        return series.clone();
    }
    let chunk = n.div_ceil(MAX_POINTS);
    let average = |points: &[(f64, f64)]| {
        let known: Vec<_> = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
        let sum = known.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
        (sum.0 / known.len() as f64, sum.1 / known.len() as f64)
    };
    Series {
        points: series.points.chunks(chunk).map(average).filter(|p| p.0.is_finite()).collect(),
        band: Vec::new(),
        ..series.clone()
    }
}

/// The rectangle of a chart and the numbers at its edges.
struct Frame {
    size: (f64, f64),
    top: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    /// Covers every finite point; `None` without one.
    fn new(series: &[Series], chart: &Chart) -> Option<Self> {
        let points = || series.iter().flat_map(|s| &s.points).filter(|p| p.0.is_finite() && p.1.is_finite());
        points().next()?;
        let bands = series.iter().flat_map(|s| &s.band).flat_map(|b| [b.0, b.1]).filter(|v| v.is_finite());
        let level = chart.level.iter().map(|l| l.0).filter(|v| v.is_finite());
        let x = range(points().map(|p| p.0));
        let y = range(points().map(|p| p.1).chain(bands).chain(level));
        let step = tick_step(y, 5.0);
        let y = match chart.log.1 {
            true => y,
            false => ((y.0 / step).floor() * step, (y.1 / step).ceil() * step),
        };
        let top = if chart.y_label.is_empty() { TOP } else { TOP + NAME };
        Some(Self { size: chart.size, top, x, y })
    }

    fn px(&self, x: f64) -> f64 {
        LEFT + (limited(x) - self.x.0) / (self.x.1 - self.x.0) * (self.size.0 - LEFT - RIGHT)
    }

    fn py(&self, y: f64) -> f64 {
        self.top + (self.y.1 - limited(y)) / (self.y.1 - self.y.0) * (self.size.1 - self.top - BOTTOM)
    }

    fn axes(&self, out: &mut String, chart: &Chart) {
        let (right, bottom) = (self.size.0 - RIGHT, self.size.1 - BOTTOM);
        for (tick, text) in labeled(self.y, 5.0, chart.log.1) {
            let y = self.py(tick);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/><text \
                 class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                text
            );
        }
        let n_ticks = (self.size.0 / 110.0).clamp(3.0, 8.0);
        // Where all points stand at whole numbers, such as rounds, halves in between mean nothing.
        let is_whole =
            !chart.log.0 && chart.series.iter().flat_map(|s| &s.points).all(|p| p.0.fract() == 0.0);
        let shown = labeled(self.x, n_ticks, chart.log.0).into_iter();
        for (tick, text) in shown.filter(|(tick, _)| !is_whole || tick.fract() == 0.0) {
            let x = self.px(tick);
            let _ = write!(
                out,
                "<line class=\"mark\" x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{}\"/><text \
                 class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 4.0,
                bottom + 17.0,
                text
            );
        }
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/><text \
             class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            (LEFT + right) / 2.0,
            self.size.1 - 6.0,
            escape(&chart.x_label)
        );
        if !chart.y_label.is_empty() {
            let label = escape(&chart.y_label);
            let _ = write!(out, "<text class=\"label\" x=\"8\" y=\"{}\">{label}</text>", self.top - 12.0);
        }
        if let Some((level, name)) = chart.level.as_ref().filter(|l| l.0.is_finite()) {
            let y = self.py(*level);
            // At the side where the lines keep farther away.
            let (x, anchor) = match self.is_freer_on_the_left(*level, &chart.series) {
                true => (LEFT + 4.0, "start"),
                false => (right - 2.0, "end"),
            };
            let _ = write!(
                out,
                "<line class=\"level\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/><text \
                 class=\"label\" x=\"{x}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                if y < self.top + 16.0 { y + 14.0 } else { y - 5.0 },
                escape(name)
            );
        }
    }

    /// Whether the lines' least distance from a level is larger in the first quarter than in the last.
    fn is_freer_on_the_left(&self, level: f64, series: &[Series]) -> bool {
        let least = |from: f64, to: f64| {
            let points = series.iter().flat_map(|s| &s.points).filter(|p| p.1.is_finite());
            let share = |x: f64| (limited(x) - self.x.0) / (self.x.1 - self.x.0);
            let near = points.filter(|p| (from..=to).contains(&share(p.0)));
            near.map(|p| (self.py(p.1) - self.py(level)).abs()).fold(f64::INFINITY, f64::min)
        };
        least(0.0, 0.25) > least(0.75, 1.0)
    }

    fn band(&self, out: &mut String, series: &Series) {
        if series.band.len() != series.points.len() || series.band.len() < 2 {
            return;
        }
        let ends = series.points.iter().zip(&series.band);
        let known: Vec<(f64, f64, f64)> = ends
            .map(|(p, b)| (p.0, b.0, b.1))
            .filter(|(x, low, high)| x.is_finite() && low.is_finite() && high.is_finite())
            .collect();
        let _ = write!(out, "<polygon class=\"band c{}\" points=\"", series.color % 8);
        let upper = known.iter().map(|k| (k.0, k.2));
        let lower = known.iter().rev().map(|k| (k.0, k.1));
        for (x, y) in upper.chain(lower) {
            let _ = write!(out, "{:.1},{:.1} ", self.px(x), self.py(y));
        }
        out.push_str("\"/>");
    }

    fn line(&self, out: &mut String, series: &Series) {
        let _ =
            write!(out, "<g class=\"line c{}\"><title>{}</title>", series.color % 8, escape(&series.label));
        for part in series.points.split(|p| !p.0.is_finite() || !p.1.is_finite()) {
            match part {
                [] => {}
                [(x, y)] => {
                    let (x, y) = (self.px(*x), self.py(*y));
                    let _ = write!(out, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
                }
                _ => {
                    out.push_str("<polyline points=\"");
                    for (x, y) in part {
                        let _ = write!(out, "{:.1},{:.1} ", self.px(*x), self.py(*y));
                    }
                    out.push_str("\"/>");
                }
            }
        }
        out.push_str("</g>");
    }
}

/// Keeps a value where differences cannot overflow.
fn limited(value: f64) -> f64 {
    value.clamp(-1e300, 1e300)
}

/// Least and greatest value, apart even where they are equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.map(limited);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let least = low.abs().max(high.abs()).max(1e-30) * 1e-9;
    if high - low > least {
        return (low, high);
    }
    let pad = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
    (low - pad, high + pad)
}

/// A round distance (1, 2 or 5 times a power of ten) that gives about `n` ticks.
fn tick_step((low, high): (f64, f64), n: f64) -> f64 {
    let raw = (high - low) / n;
    let power = 10_f64.powf(raw.log10().floor());
    let factor = match raw / power {
        f if f < 1.5 => 1.0,
        f if f < 3.5 => 2.0,
        f if f < 7.5 => 5.0,
        _ => 10.0,
    };
    (factor * power).max(f64::MIN_POSITIVE)
}

/// About `n` round numbers within `range`, ascending, for the marks of an axis.
pub fn ticks(range: (f64, f64), n: f64) -> Vec<f64> {
    let step = tick_step(range, n);
    let first = (range.0 / step - 1e-6).ceil();
    let last = (range.1 / step + 1e-6).floor();
    let n = (last - first).clamp(0.0, 20.0) as usize;
    (0..=n).map(|i| (first + i as f64) * step).collect()
}

/// Ticks with their texts; `log` where they are logarithms to base ten.
fn labeled(range: (f64, f64), n: f64, log: bool) -> Vec<(f64, String)> {
    if !log {
        return ticks(range, n).into_iter().map(|tick| (tick, short(tick))).collect();
    }
    // Whole powers, every so many; within few of them also their double and fivefold.
    let span = range.1 - range.0;
    let every = (span / n).ceil().max(1.0);
    let factors: &[f64] = if span < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let (first, last) = ((range.0 / every).floor(), (range.1 / every).ceil());
    let powers = (0..=(last - first).clamp(0.0, 40.0) as usize).map(|i| (first + i as f64) * every);
    let all =
        powers.flat_map(|power| factors.iter().map(move |f| (power + f.log10(), f * 10_f64.powf(power))));
    let inside = all.filter(|&(at, _)| at >= range.0 - 1e-9 && at <= range.1 + 1e-9);
    inside.map(|(at, x)| (at, power_text(x))).collect()
}

/// Round numbers over many powers of ten.
fn power_text(x: f64) -> String {
    if (0.00099..9.99e9).contains(&x) { short(x) } else { format!("{x:.0e}") }
}

/// A number in few characters: thousands as k, millions as M, billions as G.
pub fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        a if a >= 1e13 => return format!("{value:.1e}"),
        a if a >= 9.9995e8 => (value / 1e9, "G"),
        a if a >= 9.9995e5 => (value / 1e6, "M"),
        a if a >= 9_999.5 => (value / 1e3, "k"),
        a if a > 0.0 && a < 5e-4 => return format!("{value:.1e}"),
        a if a.is_nan() || a.is_infinite() => return value.to_string(),
        _ => (value, ""),
    };
    // Four significant digits, without zeros at the end.
    let whole = scaled.abs().max(1.0).log10().floor() as usize;
    let text = format!("{scaled:.*}", 3_usize.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}{unit}", if text == "-0" { "0" } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (0.25, "0.25"),
            (-30.0, "-30"),
            (475.25, "475.2"),
            (9_999.0, "9999"),
            (10_000.0, "10k"),
            (123_456.0, "123.5k"),
            (1_000_000.0, "1M"),
            (999_999.0, "1M"),
            (2.5e9, "2.5G"),
            (1e-5, "1.0e-5"),
            (0.0005, "0.001"),
            (1e20, "1.0e20"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text, "{value}");
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 500.0), 5.0), [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
        assert_eq!(ticks((-78.0, -18.0), 5.0), [-70.0, -60.0, -50.0, -40.0, -30.0, -20.0]);
        assert_eq!(ticks((0.0, 0.9), 5.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8]);
    }

    #[test]
    fn the_name_of_a_level_keeps_out_of_the_way() {
        let rising = vec![(0.0, 0.0), (10.0, 50.0), (50.0, 99.0), (100.0, 100.0)];
        let falling = rising.iter().map(|&(x, y)| (100.0 - x, y)).rev().collect();
        for (points, anchor) in [(rising, "start"), (falling, "end")] {
            let series = vec![Series { points, ..Series::default() }];
            let level = Some((100.0, "goal".to_string()));
            let text = svg(&Chart { size: (300.0, 200.0), series, level, ..Chart::default() });
            assert!(text.contains(&format!("text-anchor=\"{anchor}\">goal</text>")), "{text}");
        }
    }

    #[test]
    fn logarithms_are_shown_as_numbers() {
        let texts = |range, n| labeled(range, n, true).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(texts((-6.2, 1.0), 5.0), ["1e-6", "1e-4", "0.01", "1"]);
        assert_eq!(texts((0.0, 6.0), 8.0), ["1", "10", "100", "1000", "10k", "100k", "1M"]);
        assert_eq!(texts((-0.1, 1.1), 5.0), ["1", "2", "5", "10"]);
        assert_eq!(labeled((0.5, 1.5), 5.0, true)[0], (5_f64.log10(), "5".into()));
    }

    #[test]
    fn rounds_have_no_halves() {
        let ticks_of = |step: f64| {
            let points = (0..5).map(|i| (step * f64::from(i), 1.0)).collect();
            let series = vec![Series { points, ..Series::default() }];
            let text = svg(&Chart { size: (820.0, 420.0), series, ..Chart::default() });
            text.split("class=\"mark\"").count() - 1
        };
        assert_eq!((ticks_of(1.0), ticks_of(0.5)), (5, 11));
    }

    #[test]
    fn points_land_where_the_axes_say() {
        let points = vec![(0.0, 0.0), (10.0, 100.0)];
        let series = vec![Series { points, ..Series::default() }];
        let text = svg(&Chart { size: (272.0, 152.0), series, ..Chart::default() });
        // 200 by 100 units remain between the margins.
        assert!(text.contains("<polyline points=\"58.0,112.0 258.0,12.0 \"/>"), "{text}");
    }

    #[test]
    fn gaps_interrupt_lines_and_odd_values_stay_out() {
        let points = vec![
            (0.0, 1.0),
            (1.0, 2.0),
            (2.0, f64::NAN),
            (3.0, 1.0),
            (4.0, f64::INFINITY),
            (5.0, 2.0),
            (6.0, 1.0),
        ];
        let series = vec![Series { points, ..Series::default() }];
        let text = svg(&Chart { size: (300.0, 200.0), series, ..Chart::default() });
        assert_eq!(text.matches("<polyline").count(), 2);
        assert_eq!(text.matches("<circle").count(), 1);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        for values in [vec![], vec![(0.0, f64::NAN)], vec![(f64::NAN, 0.0)]] {
            let series = vec![Series { points: values, ..Series::default() }];
            assert!(svg(&Chart { size: (300.0, 200.0), series, ..Chart::default() }).contains("no data"));
        }
        for y in [0.0, 5.0, -1e300, f64::MAX, f64::MIN_POSITIVE, 1e-320] {
            let series = vec![Series { points: vec![(1.0, y), (1.0, -y)], ..Series::default() }];
            let text = svg(&Chart { size: (300.0, 200.0), series, ..Chart::default() });
            assert!(!text.contains("NaN") && !text.contains("inf"), "{y}: {text}");
            assert!(text.len() < 6000, "{y}");
        }
    }

    #[test]
    fn long_lines_are_averaged() {
        let points = (0..10_000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let thin = thinned(&Series { points, ..Series::default() });
        assert_eq!(thin.points.len(), MAX_POINTS);
        assert_eq!(thin.points[0], (12.0, 12.0 / 25.0));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a href=\"x\">&'\u{0}"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}");
        let series =
            vec![Series { label: "</title><script>".into(), points: vec![(0.0, 0.0)], ..Series::default() }];
        let level = Some((0.0, "<b>".to_string()));
        let chart = Chart {
            size: (9.0, 9.0),
            series,
            level,
            x_label: "<i>".into(),
            y_label: "<p>".into(),
            description: "\"<u>".into(),
            ..Chart::default()
        };
        let text = svg(&chart);
        for tag in ["<script", "<b>", "<i>", "<u>", "<p>"] {
            assert!(!text.contains(tag), "{tag}");
        }
    }
}
