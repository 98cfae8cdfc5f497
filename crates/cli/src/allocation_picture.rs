//! Pictures of allocations: a map of robots and their paths or a matrix with its chosen pairs, and how agents came to
//! agree round by round. One SVG, alone or within a page. Not here: how the answer was found.

use std::fmt::Write as _;

use coact_allocation::input::Problem;
use coact_allocation::methods::{Allocation, Answer};
use coact_allocation::{Assignment, CostMatrix, Goal, Team};
use serde_json::Value;

use crate::plot::{Chart, Series, escape, short, svg};
use crate::{Error, Result};

const WIDTH: f64 = 900.0;
const MAP_HEIGHT: f64 = 560.0;
const CHART_HEIGHT: f64 = 260.0;
/// Height of the title.
const HEAD: f64 = 46.0;
/// Most rows or columns of a matrix that is drawn.
const MOST_CELLS: usize = 120;
/// Names beyond these would cover each other.
const MOST_NAMES: usize = 60;

/// The same colors as in reports, light and dark.
const STYLE: &str = "\
svg{font:13px system-ui,sans-serif}.paper{fill:#fff}text{fill:#667085}\
.title{fill:#1d2430;font-size:18px;font-weight:600}.name{fill:#1d2430;font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px}.c0{color:#2563eb}\
.c1{color:#ea580c}.c2{color:#059669}.c3{color:#db2777}.c4{color:#7c3aed}.c5{color:#b7860b}.c6{color:#0891b2}\
.c7{color:#64748b}.path{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}\
.task{fill:currentColor}.robot{fill:currentColor;stroke:#1d2430}\
.left{fill:none;stroke:#667085;stroke-dasharray:3 3}.frame{fill:none;stroke:#e4e7ec}.cell{fill:#2563eb}\
.chosen{fill:none;stroke:#ea580c;stroke-width:2}.key{fill:currentColor}.grid{stroke:#e4e7ec}\
.axis,.mark{stroke:#667085}.level{stroke:#667085;stroke-dasharray:5 4}\
.line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
.line .dot{fill:currentColor}@media(prefers-color-scheme:dark){.paper{fill:#12151a}text{fill:#98a2b3}\
.title{fill:#e6e9ee}.name{fill:#e6e9ee;stroke:#12151a}.c0{color:#6ea0ff}.c1{color:#fb923c}.c2{color:#34d399}.c3{color:#f472b6}\
.c4{color:#a78bfa}.c5{color:#e5b93c}.c6{color:#22d3ee}.c7{color:#a3b0c2}.robot{stroke:#e6e9ee}\
.left{stroke:#98a2b3}.frame{stroke:#313843}.cell{fill:#6ea0ff}.chosen{stroke:#fb923c}.grid{stroke:#313843}\
.axis,.mark{stroke:#98a2b3}.level{stroke:#98a2b3}}";

/// Draws the answer; with a page around it if `as_page`.
///
/// # Errors
/// A problem of a kind that has no picture.
pub fn picture(problem: &Problem, answer: &Answer, result: &Value, as_page: bool) -> Result<String> {
    let mut body = String::new();
    let mut height = HEAD;
    match (&answer.allocation, problem) {
        (Allocation::Paths(paths), Problem::Team(team)) => {
            map(&mut body, team, paths, height);
            height += MAP_HEIGHT;
        }
        (Allocation::Assignment(found), Problem::Costs { costs, .. })
            if costs.n_rows().max(costs.n_cols()) <= MOST_CELLS =>
        {
            matrix(&mut body, costs, found, height);
            height += MAP_HEIGHT;
        }
        _ if answer.trace.is_empty() => {
            let text = format!(
                "there is no picture of {} by {}; --plot draws teams, matrices up to {MOST_CELLS} rows, and consensus",
                problem.kind(),
                answer.method
            );
            return Err(Error::usage(text));
        }
        _ => {}
    }
    if !answer.trace.is_empty() {
        agreement(&mut body, answer, height);
        height += CHART_HEIGHT + 40.0;
    }
    let what = what_counts(problem);
    let total = result["total_cost"].as_f64().map_or_else(String::new, |t| format!(", {what} {}", short(t)));
    let title = format!("{} on {}{total}", answer.method, problem.kind());
    let image = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{0}\"><style>{STYLE}</style><rect class=\"paper\" width=\"{WIDTH}\" \
         height=\"{height}\"/><text class=\"title\" x=\"16\" y=\"30\">{0}</text>{body}</svg>\n",
        escape(&title)
    );
    if !as_page {
        return Ok(image);
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>{}</title></head>\n<body>\n{image}</body></html>\n",
        escape(&title)
    ))
}

/// What the total of an answer is a total of.
pub fn what_counts(problem: &Problem) -> &'static str {
    match problem {
        Problem::Team(team) => match team.goal() {
            Goal::Travel => "travel",
            Goal::Makespan => "end of the last task",
            Goal::Reward { .. } => "reward",
        },
        _ => "total",
    }
}

/// Robots as squares, tasks as dots in the color of their robot, paths as lines.
fn map(out: &mut String, team: &Team, paths: &[Vec<usize>], top: f64) {
    let robots = team.robots().iter().map(|r| r.position);
    let points: Vec<[f64; 2]> = robots.chain(team.tasks().iter().map(|t| t.position)).collect();
    let range = |axis: usize| {
        let values = points.iter().map(|p| p[axis]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
    };
    let ((left, right), (low, high)) = (range(0), range(1));
    let (width, height) = (WIDTH - 140.0, MAP_HEIGHT - 90.0);
    // One scale for both axes, so that distances look as long as they are.
    let scale = (width / (right - left).max(1e-9)).min(height / (high - low).max(1e-9));
    let scale = if scale.is_finite() { scale.min(1e6) } else { 1.0 };
    let place = |p: [f64; 2]| {
        let x = WIDTH / 2.0 + (p[0] - (left + right) / 2.0) * scale;
        let y = top + MAP_HEIGHT / 2.0 - 12.0 - (p[1] - (low + high) / 2.0) * scale;
        (x, y)
    };
    let name = |out: &mut String, (x, y): (f64, f64), text: &str| {
        if points.len() <= MOST_NAMES {
            let _ = write!(
                out,
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 9.0,
                y - 7.0,
                escape(text)
            );
        }
    };
    let _ = write!(
        out,
        "<rect class=\"frame\" x=\"12\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        top + 4.0,
        WIDTH - 24.0,
        MAP_HEIGHT - 12.0
    );
    for (index, (robot, path)) in team.robots().iter().zip(paths).enumerate() {
        let color = index % 8;
        let _ = write!(out, "<polyline class=\"path c{color}\" points=\"");
        for p in std::iter::once(robot.position).chain(path.iter().map(|&t| team.tasks()[t].position)) {
            let (x, y) = place(p);
            let _ = write!(out, "{x:.1},{y:.1} ");
        }
        out.push_str("\"/>");
        for (k, &task) in path.iter().enumerate() {
            let (x, y) = place(team.tasks()[task].position);
            let _ = write!(out, "<circle class=\"task c{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>");
            name(out, (x, y), &format!("{}. {}", k + 1, team.tasks()[task].name));
        }
        let (x, y) = place(robot.position);
        let (x0, y0) = (x - 7.0, y - 7.0);
        let _ = write!(
            out,
            "<rect class=\"robot c{color}\" x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"14\" height=\"14\"/>"
        );
        name(out, (x, y), &robot.name);
    }
    for (index, task) in team.tasks().iter().enumerate() {
        if !paths.iter().flatten().any(|&t| t == index) {
            let (x, y) = place(task.position);
            let _ = write!(out, "<circle class=\"left\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>");
            name(out, (x, y), &task.name);
        }
    }
    let _ = write!(
        out,
        "<text x=\"24\" y=\"{}\">squares: robots where they start; dots: tasks, numbered along each path; dashed: nobody's</text>",
        top + MAP_HEIGHT - 18.0
    );
}

/// Costs as shades, chosen pairs framed.
fn matrix(out: &mut String, costs: &CostMatrix, found: &Assignment, top: f64) {
    let (n, m) = (costs.n_rows().max(1), costs.n_cols().max(1));
    let size = ((WIDTH - 40.0) / m as f64).min((MAP_HEIGHT - 20.0) / n as f64).min(60.0);
    let finite = costs.costs().iter().filter(|c| c.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(*c), h.max(*c)));
    let left = (WIDTH - size * m as f64) / 2.0;
    for row in 0..costs.n_rows() {
        for (col, &cost) in costs.row(row).iter().enumerate().filter(|(_, c)| c.is_finite()) {
            let shade = if high > low { 0.06 + 0.74 * ((cost - low) / (high - low)) } else { 0.4 };
            let (x, y) = (left + col as f64 * size, top + row as f64 * size);
            let _ = write!(
                out,
                "<rect class=\"cell\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{size:.1}\" height=\"{size:.1}\" \
                 opacity=\"{shade:.2}\"><title>row {row}, column {col}: {cost}</title></rect>"
            );
        }
    }
    for (row, col) in found.pairs() {
        let (x, y, inner) =
            (left + col as f64 * size + 1.0, top + row as f64 * size + 1.0, (size - 2.0).max(1.0));
        let _ = write!(
            out,
            "<rect class=\"chosen\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{inner:.1}\" height=\"{inner:.1}\"/>"
        );
    }
}

/// Share of tasks that agents agree on, that somebody has, and that more than one has, over rounds.
fn agreement(out: &mut String, answer: &Answer, top: f64) {
    let n_tasks = match &answer.allocation {
        Allocation::Paths(_) | Allocation::Assignment(_) => {
            answer.trace.iter().map(|r| r.n_assigned).max().unwrap_or(0).max(1) as f64
        }
        _ => 1.0,
    };
    let lines = ["winners that all agree on", "tasks that somebody takes", "tasks that several take"];
    let series = lines.iter().enumerate().map(|(color, label)| {
        let value = |k: usize| {
            let round = &answer.trace[k];
            let y = match color {
                0 => round.agreement,
                1 => round.n_assigned as f64 / n_tasks,
                _ => round.n_conflicts as f64 / n_tasks,
            };
            (round.round as f64, 100.0 * y)
        };
        let points = (0..answer.trace.len()).map(value).collect();
        Series { label: (*label).to_string(), color: [2, 0, 1][color], points, band: Vec::new() }
    });
    let chart = Chart {
        size: (WIDTH - 24.0, CHART_HEIGHT),
        x_label: "round".into(),
        description: "share of tasks over rounds".into(),
        series: series.collect(),
        level: Some((100.0, "all, %".into())),
        ..Chart::default()
    };
    let mut x = 60.0;
    for (label, color) in lines.iter().zip([2, 0, 1]) {
        let _ = write!(
            out,
            "<rect class=\"key c{color}\" x=\"{x}\" y=\"{}\" width=\"11\" height=\"11\" rx=\"3\"/><text x=\"{}\" \
             y=\"{}\">{label}</text>",
            top + 6.0,
            x + 18.0,
            top + 16.0
        );
        x += 210.0;
    }
    let place =
        format!("<svg x=\"12\" y=\"{}\" width=\"{}\" height=\"{CHART_HEIGHT}\" ", top + 28.0, WIDTH - 24.0);
    out.push_str(&svg(&chart).replacen("<svg ", &place, 1));
}
