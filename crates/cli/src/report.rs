//! One self-contained HTML page about one or many runs: learning curves, final returns, settings, hashes,
//! pictures. The page loads nothing from anywhere and runs no script.
//!
//! Runs that share environment, algorithm and the hash of their configuration (seed left out) form a group:
//! their curves are shown as interquartile mean with a 95 % stratified bootstrap interval. Not here: reading
//! run folders.

use std::fmt::Write as _;

use coact_runner::metrics::Record;
use coact_runner::stats::{Estimate, iqm_interval};
use coact_runner::{Error, Result};

use crate::compare;
use crate::groups::{BOOTSTRAP_SEED, Group, group, group_series, plural, points, setting};
use crate::plot::{Chart, Series, escape, short, svg};

/// Bootstrap resamples for a final value.
pub const FINAL_REPS: usize = 50_000;
/// Metrics that may be the main curve, the best first.
const RETURNS: [&str; 2] = ["eval/return", "train/return"];
/// Metrics to be shown before all others.
const FIRST: [&str; 6] = [
    "train/return",
    "learn/loss",
    "explore/epsilon",
    "speed/env_steps_per_s",
    "learn/q_mean",
    "learn/grad_norm",
];

/// A run as its folder tells it.
#[derive(Debug, Clone, Default)]
pub struct RunSummary {
    /// Name, usually that of its folder.
    pub name: String,
    /// Environment.
    pub env: String,
    /// Algorithm.
    pub algorithm: String,
    /// Seed.
    pub seed: u64,
    /// Environment steps taken.
    pub env_steps: u64,
    /// Seconds of training.
    pub wall_s: f64,
    /// The resolved configuration: keys and values in order.
    pub config: Vec<(String, String)>,
    /// Hash of the configuration without the seed: runs with the same may be averaged.
    pub config_hash: String,
    /// Hash of all parameters after training.
    pub params_hash: String,
    /// What was measured on the way.
    pub metrics: Vec<Record>,
    /// The final evaluation; `None` for a run that has not ended.
    pub evaluation: Option<EvaluationSummary>,
    /// Pictures of the team, in the order in which they are shown.
    pub pictures: Vec<Picture>,
}

/// The final evaluation of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvaluationSummary {
    /// Episodes played.
    pub episodes: u64,
    /// Mean return, summed over agents.
    pub return_mean: f64,
    /// Standard deviation of it over episodes (divided by n).
    pub return_std: f64,
    /// Names of the agents and the mean return of each.
    pub return_per_agent: Vec<(String, f64)>,
    /// Mean return of the random policy, summed over agents.
    pub random_return_mean: f64,
}

/// A picture to embed: GIF or PNG bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// What it shows.
    pub caption: String,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// Makes the page.
///
/// # Errors
/// No runs, or a picture that is neither GIF nor PNG.
pub fn html_report(runs: &[RunSummary]) -> Result<String> {
    if runs.is_empty() {
        return Err(Error::invalid("a report needs at least one run; name a run folder"));
    }
    let groups = group(runs);
    let title = match runs {
        [run] => run.name.clone(),
        _ => format!("{} runs in {} {}", runs.len(), groups.len(), plural(groups.len(), "group")),
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"><title>{}</title>\n<style>{}</style></head>\n\
         <body><main>\n<header><h1>{}</h1>",
        escape(&title),
        include_str!("report.css"),
        escape(&title)
    );
    headline(&mut out, runs);
    out.push_str("</header>\n");
    curves(&mut out, &groups);
    pictures(&mut out, &groups)?;
    if groups.iter().any(|g| g.runs.len() > 1) {
        group_table(&mut out, &groups);
        compare::section(&mut out, &groups);
    }
    run_table(&mut out, &groups);
    other_curves(&mut out, &groups);
    settings(&mut out, &groups);
    hashes(&mut out, &groups);
    let _ = write!(
        out,
        "<footer>coact {}. Returns are undiscounted, in the environment&#39;s own reward, summed over \
         agents.</footer>\n</main></body></html>\n",
        env!("CARGO_PKG_VERSION")
    );
    Ok(out)
}

/// Distinct values in order of appearance.
pub(crate) fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

fn headline(out: &mut String, runs: &[RunSummary]) {
    let of = |part: fn(&RunSummary) -> &str| escape(&distinct(runs.iter().map(part)).join(", "));
    let _ = write!(out, "<p class=\"lead\">{} in {}", of(|r| &r.algorithm), of(|r| &r.env));
    if let [run] = runs {
        let _ = write!(out, ", seed {}", run.seed);
    }
    out.push_str("</p>\n<div class=\"tiles\">");
    let mut tile = |value: &str, name: &str| {
        let _ = write!(out, "<div class=\"tile\"><b>{value}</b><span>{name}</span></div>");
    };
    if let [run] = runs {
        if let Some(evaluation) = &run.evaluation {
            tile(
                &number(evaluation.return_mean),
                &format!("mean return of {} episodes", evaluation.episodes),
            );
            tile(&number(evaluation.random_return_mean), "random policy");
        } else {
            tile("not finished", "no final evaluation yet");
        }
        tile(&short(run.env_steps as f64), "environment steps");
        tile(&duration(run.wall_s), "of training");
        tile(&short(speed(run)), "environment steps per second");
    } else {
        tile(&runs.len().to_string(), "runs");
        let steps: u64 = runs.iter().map(|r| r.env_steps).fold(0, u64::saturating_add);
        tile(&short(steps as f64), "environment steps in all");
        tile(&duration(runs.iter().map(|r| r.wall_s).sum()), "of training in all");
    }
    out.push_str("</div>");
}

fn speed(run: &RunSummary) -> f64 {
    run.env_steps as f64 / run.wall_s.max(1e-9)
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { "&ndash;".to_string() }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "&ndash;".to_string(),
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 6000.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn curves(out: &mut String, groups: &[Group]) {
    for env in distinct(groups.iter().map(|g| g.first().env.as_str())) {
        let here: Vec<&Group> = groups.iter().filter(|g| g.first().env == env).collect();
        let has = |metric: &str| here.iter().all(|g| g.runs.iter().any(|r| !points(r, metric).is_empty()));
        let metric = RETURNS.into_iter().find(|m| has(m)).unwrap_or(RETURNS[0]);
        let what = if metric == RETURNS[0] { "Greedy return" } else { "Return while training" };
        let series: Vec<Series> =
            here.iter().filter_map(|g| group_series(g, g.label(groups), metric)).collect();
        let random = here.iter().flat_map(|g| &g.runs).find_map(|r| r.evaluation.as_ref());
        let level = random.map(|e| (e.random_return_mean, "random policy".to_string()));
        let _ = writeln!(out, "<section><h2>{what}, {}</h2>", escape(env));
        legend(out, &series);
        let note = if series.iter().any(|s| !s.band.is_empty()) {
            "Lines are interquartile means over seeds, bands 95 % stratified bootstrap intervals."
        } else {
            "One run."
        };
        let chart = Chart {
            size: (920.0, 380.0),
            x_label: "environment steps".to_string(),
            description: format!("{what} over environment steps in {env}"),
            series,
            level,
            ..Chart::default()
        };
        let _ = writeln!(out, "{}<p class=\"note\">{note}</p></section>", svg(&chart));
    }
}

pub(crate) fn legend(out: &mut String, series: &[Series]) {
    out.push_str("<ul class=\"legend\">");
    for line in series {
        let _ = write!(out, "<li class=\"c{}\">{}</li>", line.color % 8, escape(&line.label));
    }
    out.push_str("</ul>");
}

/// All pictures of a single run; of many, the first picture of the best run of each group.
fn pictures(out: &mut String, groups: &[Group]) -> Result<()> {
    let value = |r: &RunSummary| r.evaluation.as_ref().map_or(f64::NEG_INFINITY, |e| e.return_mean);
    let mut chosen: Vec<(String, &Picture)> = Vec::new();
    match groups {
        [group] if group.runs.len() == 1 => {
            chosen.extend(group.first().pictures.iter().map(|p| (p.caption.clone(), p)));
        }
        _ => {
            for group in groups {
                let shown = group.runs.iter().filter(|r| !r.pictures.is_empty());
                // The first of equals: `max_by` would take the last.
                if let Some(run) = shown.rev().max_by(|a, b| value(a).total_cmp(&value(b))) {
                    let caption = format!("{}: {}", run.name, run.pictures[0].caption);
                    chosen.push((caption, &run.pictures[0]));
                }
            }
        }
    }
    if chosen.is_empty() {
        return Ok(());
    }
    out.push_str("<section><h2>The team at work</h2><div class=\"pictures\">");
    for (caption, picture) in chosen {
        let kind = match picture.bytes.as_slice() {
            [b'G', b'I', b'F', b'8', ..] => "gif",
            [0x89, b'P', b'N', b'G', ..] => "png",
            _ => {
                let text = format!("the picture {caption:?} is neither GIF nor PNG; draw it again");
                return Err(Error::invalid(text));
            }
        };
        let (caption, data) = (escape(&caption), base64(&picture.bytes));
        let _ = write!(
            out,
            "<figure><img alt=\"{caption}\" src=\"data:image/{kind};base64,{data}\"><figcaption>{caption}\
             </figcaption></figure>"
        );
    }
    out.push_str("</div></section>\n");
    Ok(())
}

fn group_table(out: &mut String, groups: &[Group]) {
    out.push_str(
        "<section><h2>Final return by group</h2><div class=\"scroll\"><table><thead><tr><th>group</th>\
         <th>environment</th><th class=\"n\">seeds</th><th class=\"n\">interquartile mean</th>\
         <th class=\"n\">95 % interval</th><th class=\"n\">worst</th><th class=\"n\">best</th>\
         <th class=\"n\">random</th></tr></thead><tbody>",
    );
    for group in groups {
        let finals: Vec<&EvaluationSummary> =
            group.runs.iter().filter_map(|r| r.evaluation.as_ref()).collect();
        let returns: Vec<f64> = finals.iter().map(|e| e.return_mean).collect();
        let Estimate { iqm, low, high } = iqm_interval(&[&returns], FINAL_REPS, BOOTSTRAP_SEED);
        let worst = returns.iter().copied().fold(f64::NAN, f64::min);
        let best = returns.iter().copied().fold(f64::NAN, f64::max);
        let interval = if returns.len() > 1 {
            format!("{} to {}", number(low), number(high))
        } else {
            "&ndash;".to_string()
        };
        let _ = write!(
            out,
            "<tr><td><i class=\"c{}\"></i>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\"><b>{}</b></td>\
             <td class=\"n\">{interval}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            group.color % 8,
            escape(&group.label(groups)),
            escape(&group.first().env),
            returns.len(),
            number(iqm),
            number(worst),
            number(best),
            number(finals.first().map_or(f64::NAN, |e| e.random_return_mean))
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn run_table(out: &mut String, groups: &[Group]) {
    out.push_str(
        "<section><h2>Runs</h2><div class=\"scroll\"><table><thead><tr><th>run</th><th>environment</th>\
         <th>algorithm</th><th class=\"n\">seed</th><th class=\"n\">environment steps</th><th class=\"n\">seconds</th>\
         <th class=\"n\">steps/s</th><th class=\"n\">final return</th>\
         <th>per agent</th><th class=\"n\">random</th><th>parameters</th></tr></thead><tbody>",
    );
    for group in groups {
        for run in &group.runs {
            let _ = write!(
                out,
                "<tr><td><i class=\"c{}\"></i>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td \
                 class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
                group.color % 8,
                escape(&run.name),
                escape(&run.env),
                escape(&run.algorithm),
                run.seed,
                grouped(run.env_steps),
                number(run.wall_s),
                short(speed(run))
            );
            match &run.evaluation {
                Some(e) => {
                    let agents: Vec<String> = e
                        .return_per_agent
                        .iter()
                        .map(|(name, value)| format!("{}&nbsp;{}", escape(name), number(*value)))
                        .collect();
                    let _ = write!(
                        out,
                        "<td class=\"n\"><b>{}</b> <small>&plusmn;&nbsp;{}</small></td><td>{}</td><td class=\"n\">{}</td>",
                        number(e.return_mean),
                        number(e.return_std),
                        agents.join("<br>"),
                        number(e.random_return_mean)
                    );
                }
                None => out.push_str("<td class=\"n\" colspan=\"3\">not finished</td>"),
            }
            let hash: String = run.params_hash.chars().take(8).collect();
            let _ = write!(out, "<td><code>{}</code></td></tr>", escape(&hash));
        }
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// A count with spaces between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn other_curves(out: &mut String, groups: &[Group]) {
    let runs = || groups.iter().flat_map(|g| &g.runs);
    let names = runs().flat_map(|r| &r.metrics).flat_map(|r| &r.values).map(|(name, _)| name.as_str());
    let mut seen = std::collections::BTreeSet::new();
    let names: Vec<&str> = names.filter(|n| *n != RETURNS[0] && seen.insert(*n)).collect();
    if names.is_empty() {
        return;
    }
    let (first, rest): (Vec<&str>, Vec<&str>) = {
        let known = FIRST.into_iter().filter(|n| names.contains(n)).collect();
        (known, names.iter().copied().filter(|n| !FIRST.contains(n)).collect())
    };
    out.push_str("<section><h2>Other curves</h2><div class=\"multiples\">");
    first.iter().for_each(|name| small_chart(out, groups, name));
    out.push_str("</div>");
    if !rest.is_empty() {
        let _ = write!(out, "<details><summary>{} more</summary><div class=\"multiples\">", rest.len());
        rest.iter().for_each(|name| small_chart(out, groups, name));
        out.push_str("</div></details>");
    }
    out.push_str("</section>\n");
}

fn small_chart(out: &mut String, groups: &[Group], metric: &str) {
    let series: Vec<Series> =
        groups.iter().filter_map(|g| group_series(g, g.label(groups), metric)).collect();
    if series.is_empty() {
        return;
    }
    let chart = Chart {
        size: (340.0, 200.0),
        x_label: "environment steps".to_string(),
        description: format!("{metric} over environment steps"),
        series,
        level: None,
        ..Chart::default()
    };
    let _ = write!(out, "<figure><figcaption>{}</figcaption>{}</figure>", escape(metric), svg(&chart));
}

fn settings(out: &mut String, groups: &[Group]) {
    let keys = distinct(groups.iter().flat_map(|g| &g.first().config).map(|(key, _)| key.as_str()));
    let keys: Vec<&str> = keys.into_iter().filter(|k| *k != "seed").collect();
    if keys.is_empty() {
        return;
    }
    let differs = |key: &&str| {
        let first = setting(groups[0].first(), key);
        groups.iter().any(|g| setting(g.first(), key) != first)
    };
    let (different, same): (Vec<&str>, Vec<&str>) = keys.into_iter().partition(differs);
    out.push_str("<section><h2>Hyperparameters</h2>");
    if !different.is_empty() {
        out.push_str("<div class=\"scroll\"><table><thead><tr><th>differs</th>");
        for group in groups {
            let _ = write!(
                out,
                "<th><i class=\"c{}\"></i>{}</th>",
                group.color % 8,
                escape(&group.label(groups))
            );
        }
        out.push_str("</tr></thead><tbody>");
        for key in different {
            let _ = write!(out, "<tr class=\"differs\"><td><code>{}</code></td>", escape(key));
            for group in groups {
                let value = setting(group.first(), key).map_or("&ndash;".to_string(), |v| escape(v));
                let _ = write!(out, "<td>{value}</td>");
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>");
    }
    if !same.is_empty() {
        let name = if groups.len() > 1 { "the same in all" } else { "settings" };
        let open = if groups.len() > 1 { "" } else { " open" };
        let _ = write!(out, "<details{open}><summary>{} {name}</summary><dl class=\"settings\">", same.len());
        for key in same {
            let value = setting(groups[0].first(), key).map_or(String::new(), |v| escape(v));
            let _ = write!(out, "<div><dt><code>{}</code></dt><dd>{value}</dd></div>", escape(key));
        }
        out.push_str("</dl></details>");
    }
    out.push_str("</section>\n");
}

fn hashes(out: &mut String, groups: &[Group]) {
    out.push_str(
        "<section><h2>Hashes</h2><p class=\"note\">The same program, configuration and seed give the same \
         parameters, bit for bit, at any number of threads.</p><div class=\"scroll\"><table><thead><tr><th>run</th>\
         <th>configuration</th><th>parameters</th></tr></thead><tbody>",
    );
    for run in groups.iter().flat_map(|g| &g.runs) {
        let _ = write!(
            out,
            "<tr><td>{}</td><td><code>{}</code></td><td><code>{}</code></td></tr>",
            escape(&run.name),
            escape(&run.config_hash),
            escape(&run.params_hash)
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0, |w, i| w << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { digit as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_its_known_answers() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{7f}~", "f34="),
        ];
        for (text, expected) in cases {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1234567).replace('\u{202f}', " "), "1 234 567");
        assert_eq!(grouped(123456).replace('\u{202f}', " "), "123 456");
    }
}
