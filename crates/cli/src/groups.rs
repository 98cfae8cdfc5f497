//! Runs that differ in nothing but the seed, and their common curves: interquartile mean and 95 % stratified
//! bootstrap interval over seeds, on the steps that all of them cover. Not here: the page.

use coact_runner::stats::iqm_curve;

use crate::plot::Series;
use crate::report::RunSummary;

/// Bootstrap resamples for a point of a curve.
const CURVE_REPS: usize = 2_000;
/// Seed of the bootstrap: the same runs give the same page.
pub const BOOTSTRAP_SEED: u64 = 0;
/// Points of a group's curve.
const MAX_GRID: usize = 240;

/// Runs that differ in nothing but the seed.
pub struct Group<'a> {
    /// Which of the page's colors it takes.
    pub color: usize,
    /// Its runs, seeds ascending, at least one.
    pub runs: Vec<&'a RunSummary>,
}

impl Group<'_> {
    /// A run that stands for what all share.
    pub fn first(&self) -> &RunSummary {
        self.runs[0]
    }

    /// Algorithm, environment where there are several, and the settings that tell it apart from others of its kind.
    pub fn label(&self, groups: &[Group]) -> String {
        let first = self.first();
        let several = groups.iter().any(|g| g.first().env != first.env);
        let place = if several { format!(" in {}", first.env) } else { String::new() };
        let different = self.differences(groups).map(|d| format!(" ({d})")).unwrap_or_default();
        format!("{}{place}{different}", first.algorithm)
    }

    /// Algorithm and the settings that tell it apart from others of its kind: the same name in every environment where
    /// the same settings were tried.
    pub fn variant(&self, groups: &[Group]) -> String {
        let different = self.differences(groups).map(|d| format!(" ({d})")).unwrap_or_default();
        format!("{}{different}", self.first().algorithm)
    }

    fn differences(&self, groups: &[Group]) -> Option<String> {
        let first = self.first();
        let same = |g: &&Group| g.first().algorithm == first.algorithm && g.first().env == first.env;
        (groups.iter().filter(same).count() > 1).then(|| self.distinction(groups))
    }

    /// The settings in which this group differs from the others of its kind, or its hash.
    fn distinction(&self, groups: &[Group]) -> String {
        let first = self.first();
        let others = groups.iter().map(Group::first);
        let others: Vec<_> = others
            .filter(|o| o.algorithm == first.algorithm && o.env == first.env && !same_group(o, first))
            .collect();
        let mut parts = Vec::new();
        for (key, value) in first.config.iter().filter(|(key, _)| key != "seed") {
            if others.iter().any(|o| setting(o, key) != Some(value)) {
                parts.push(format!("{key} {value}"));
            }
        }
        if parts.is_empty() || parts.len() > 3 {
            first.config_hash.chars().take(8).collect()
        } else {
            parts.join(", ")
        }
    }
}

fn same_group(a: &RunSummary, b: &RunSummary) -> bool {
    a.env == b.env && a.algorithm == b.algorithm && a.config_hash == b.config_hash
}

/// Groups in the order of their first run; seeds ascend inside.
pub fn group(runs: &[RunSummary]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|g| same_group(g.first(), run)) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { color: groups.len(), runs: vec![run] }),
        }
    }
    for group in &mut groups {
        group.runs.sort_by_key(|r| r.seed);
    }
    groups
}

/// The value of a setting.
pub fn setting<'a>(run: &'a RunSummary, key: &str) -> Option<&'a String> {
    run.config.iter().find(|(k, _)| k == key).map(|(_, value)| value)
}

/// The word for `n` of something.
pub fn plural(n: usize, word: &str) -> String {
    if n == 1 { word.to_string() } else { format!("{word}s") }
}

/// Points of a metric over environment steps.
pub fn points(run: &RunSummary, metric: &str) -> Vec<(f64, f64)> {
    run.metrics.iter().filter_map(|r| Some((r.env_steps as f64, r.get(metric)?))).collect()
}

/// A group's line: the run itself, or interquartile mean and interval of its runs.
pub fn group_series(group: &Group, label: String, metric: &str) -> Option<Series> {
    let mut runs: Vec<Vec<(f64, f64)>> = group.runs.iter().map(|r| points(r, metric)).collect();
    runs.retain(|r| r.iter().any(|p| p.1.is_finite()));
    let label = format!("{label}, {} {}", runs.len(), plural(runs.len(), "seed"));
    if runs.len() < 2 {
        return runs.pop().map(|points| Series { label, color: group.color, points, band: Vec::new() });
    }
    let (grid, values) = aligned(&runs);
    let estimates = iqm_curve(&values, CURVE_REPS, BOOTSTRAP_SEED);
    let points = grid.into_iter().zip(estimates.iter().map(|e| e.iqm)).collect();
    let band = estimates.iter().map(|e| (e.low, e.high)).collect();
    Some(Series { label, color: group.color, points, band })
}

/// Brings runs to common steps: those that all cover, each run linear between its own points.
fn aligned(runs: &[Vec<(f64, f64)>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let known = |r: &Vec<(f64, f64)>| r.iter().copied().filter(|p| p.1.is_finite()).collect::<Vec<_>>();
    let runs: Vec<Vec<(f64, f64)>> = runs.iter().map(known).collect();
    let start = runs.iter().filter_map(|r| r.first()).fold(f64::NEG_INFINITY, |a, p| a.max(p.0));
    let end = runs.iter().filter_map(|r| r.last()).fold(f64::INFINITY, |a, p| a.min(p.0));
    let mut grid: Vec<f64> =
        runs.iter().flatten().map(|p| p.0).filter(|x| (start..=end).contains(x)).collect();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    if grid.len() > MAX_GRID {
        let at = |i: usize| grid[i * (grid.len() - 1) / (MAX_GRID - 1)];
        grid = (0..MAX_GRID).map(at).collect();
    }
    let values = runs.iter().map(|run| grid.iter().map(|&x| interpolated(run, x)).collect()).collect();
    (grid, values)
}

/// The value at `x` of a line through points of ascending x. `x` lies between the first and the last.
fn interpolated(run: &[(f64, f64)], x: f64) -> f64 {
    let after = run.partition_point(|p| p.0 < x).min(run.len() - 1);
    let (x1, y1) = run[after];
    let (x0, y0) = run[after.saturating_sub(1)];
    if x1 <= x || x1 <= x0 { y1 } else { y0 + (y1 - y0) * (x - x0) / (x1 - x0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_meet_on_the_steps_that_all_cover() {
        let a = vec![(0.0, 0.0), (10.0, 10.0), (20.0, f64::NAN), (30.0, 30.0)];
        let b = vec![(5.0, 1.0), (25.0, 3.0)];
        let (grid, values) = aligned(&[a, b]);
        assert_eq!(grid, [5.0, 10.0, 25.0]);
        assert_eq!(values, [vec![5.0, 10.0, 25.0], vec![1.0, 1.5, 3.0]]);
        let (grid, values) = aligned(&[vec![(0.0, 1.0)], vec![(5.0, 1.0)]]);
        assert!(grid.is_empty() && values == [vec![], Vec::<f64>::new()], "nothing in common");
        let long: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        let (grid, _) = aligned(&[long.clone(), long]);
        assert_eq!((grid.len(), grid[0], grid[MAX_GRID - 1]), (MAX_GRID, 0.0, 9_999.0));
    }
}
