//! Statistics of reports: interquartile mean, stratified bootstrap intervals, quantiles.
//!
//! Definitions follow common usage: the interquartile mean is `scipy.stats.trim_mean(x, 0.25)`, quantiles are
//! numpy's default (linear), the interval is the percentile bootstrap that resamples runs inside each stratum
//! (task) and never across. Every result is a function of its arguments, random seed included. Results over
//! no values, or over values with a NaN, are NaN. Not here: test statistics, plots.

use coact_core::{Purpose, Stream};

/// Arithmetic mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation of the values as a whole population (divided by n).
pub fn std_population(values: &[f64]) -> f64 {
    (squared_deviations(values) / values.len() as f64).sqrt()
}

/// Standard deviation as the estimate from a sample (divided by n - 1). NaN below two values.
pub fn std_sample(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    (squared_deviations(values) / (values.len() - 1) as f64).sqrt()
}

fn squared_deviations(values: &[f64]) -> f64 {
    let center = mean(values);
    values.iter().map(|v| (v - center) * (v - center)).sum()
}

/// The `q`-quantile, 0 to 1, linear between the two nearest values.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, q)
}

fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    if sorted.iter().any(|v| v.is_nan()) || !(0.0..=1.0).contains(&q) {
        return f64::NAN;
    }
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let below = at as usize;
    let above = (below + 1).min(last);
    let (low, high) = (sorted[below], sorted[above]);
    // Also right where both are the same infinity.
    if low == high { low } else { low + (high - low) * (at - below as f64) }
}

/// Interquartile mean: the mean of what is left when a quarter of the values, rounded down, is cut off at
/// each end. Fewer than four values give the mean.
pub fn iqm(values: &[f64]) -> f64 {
    iqm_in_place(&mut values.to_vec())
}

fn iqm_in_place(values: &mut [f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let cut = values.len() / 4;
    mean(&values[cut..values.len() - cut])
}

/// A point estimate and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The interquartile mean over all values.
    pub iqm: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Interquartile mean over all `strata` together with its 95 % stratified bootstrap interval from `n_reps`
/// resamples. A stratum is one task with one value per run; runs are drawn again inside it.
pub fn iqm_interval(strata: &[&[f64]], n_reps: usize, seed: u64) -> Estimate {
    let all: Vec<f64> = strata.concat();
    let mut stream = Stream::new(seed, Purpose::Bootstrap, 0, 0);
    let mut drawn = Vec::with_capacity(all.len());
    let mut results = Vec::with_capacity(n_reps);
    for _ in 0..n_reps {
        drawn.clear();
        for stratum in strata {
            drawn.extend(stratum.iter().map(|_| stratum[stream.below(stratum.len() as u32) as usize]));
        }
        results.push(iqm_in_place(&mut drawn));
    }
    estimate(iqm(&all), &mut results)
}

/// [`iqm_interval`] at each point of learning curves of one task: `runs[r][t]` is run `r` at point `t`. A
/// resample draws whole runs, so that neighboring points move together.
///
/// # Panics
/// When the runs differ in length.
pub fn iqm_curve(runs: &[Vec<f64>], n_reps: usize, seed: u64) -> Vec<Estimate> {
    let n_points = runs.first().map_or(0, Vec::len);
    assert!(runs.iter().all(|r| r.len() == n_points), "every run needs {n_points} points");
    let mut stream = Stream::new(seed, Purpose::Bootstrap, 0, 0);
    let choices: Vec<usize> =
        (0..n_reps * runs.len()).map(|_| stream.below(runs.len() as u32) as usize).collect();
    let mut drawn = Vec::with_capacity(runs.len());
    let mut results = Vec::with_capacity(n_reps);
    let mut curve = Vec::with_capacity(n_points);
    for t in 0..n_points {
        results.clear();
        for choice in choices.chunks_exact(runs.len()) {
            drawn.clear();
            drawn.extend(choice.iter().map(|&r| runs[r][t]));
            results.push(iqm_in_place(&mut drawn));
        }
        let column: Vec<f64> = runs.iter().map(|r| r[t]).collect();
        curve.push(estimate(iqm(&column), &mut results));
    }
    curve
}

/// Probability that a run of `x` is better than one of `y`, on average over tasks (Agarwal et al. 2021): `x[k]` and `y[k]` are the
/// scores of both on task `k`; ties count one half. The interval is that of [`iqm_interval`]; [`Estimate::iqm`]
/// holds the probability itself.
///
/// # Panics
/// When the numbers of tasks differ.
pub fn probability_of_improvement(x: &[&[f64]], y: &[&[f64]], n_reps: usize, seed: u64) -> Estimate {
    assert_eq!(x.len(), y.len(), "both need scores on the same tasks");
    let mut stream = Stream::new(seed, Purpose::Bootstrap, 0, 0);
    let (mut of_x, mut of_y) = (Vec::new(), Vec::new());
    let mut results = Vec::with_capacity(n_reps);
    for _ in 0..n_reps {
        let tasks = x.iter().zip(y).map(|(x, y)| {
            for (drawn, from) in [(&mut of_x, x), (&mut of_y, y)] {
                drawn.clear();
                drawn.extend(from.iter().map(|_| from[stream.below(from.len() as u32) as usize]));
            }
            chance_of_more(&of_x, &of_y)
        });
        results.push(mean(&tasks.collect::<Vec<_>>()));
    }
    let tasks: Vec<f64> = x.iter().zip(y).map(|(x, y)| chance_of_more(x, y)).collect();
    estimate(mean(&tasks), &mut results)
}

/// Chance that a value of `x` is above one of `y`, both drawn uniformly; ties count one half.
fn chance_of_more(x: &[f64], y: &[f64]) -> f64 {
    let pairs = x.iter().flat_map(|a| y.iter().map(move |b| (a, b)));
    let won: f64 = pairs
        .map(|(a, b)| match a.partial_cmp(b) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Equal) => 0.5,
            Some(std::cmp::Ordering::Less) => 0.0,
            None => f64::NAN,
        })
        .sum();
    won / (x.len() * y.len()) as f64
}

/// Performance profile (Dolan and More 2002; Agarwal et al. 2021): for each threshold the share of runs, over all `strata`,
/// whose score is above it, with its 95 % stratified bootstrap interval. [`Estimate::iqm`] holds the share itself.
pub fn performance_profile(strata: &[&[f64]], thresholds: &[f64], n_reps: usize, seed: u64) -> Vec<Estimate> {
    let mut stream = Stream::new(seed, Purpose::Bootstrap, 0, 0);
    let n: usize = strata.iter().map(|s| s.len()).sum();
    let share = |scores: &[f64], threshold: f64| {
        scores.iter().filter(|&&score| score > threshold).count() as f64 / scores.len() as f64
    };
    let mut results = vec![Vec::with_capacity(n_reps); thresholds.len()];
    let mut drawn = Vec::with_capacity(n);
    for _ in 0..n_reps {
        drawn.clear();
        for stratum in strata {
            drawn.extend(stratum.iter().map(|_| stratum[stream.below(stratum.len() as u32) as usize]));
        }
        results.iter_mut().zip(thresholds).for_each(|(r, &t)| r.push(share(&drawn, t)));
    }
    let all = strata.concat();
    thresholds.iter().zip(&mut results).map(|(&t, results)| estimate(share(&all, t), results)).collect()
}

fn estimate(iqm: f64, results: &mut [f64]) -> Estimate {
    results.sort_unstable_by(f64::total_cmp);
    Estimate { iqm, low: quantile_of_sorted(results, 0.025), high: quantile_of_sorted(results, 0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interquartile_mean_cuts_a_quarter_at_each_end() {
        assert_eq!(iqm(&[100.0, 2.0, 1.0, -50.0]), 1.5);
        // Five values: int(0.25 * 5) = 1 is cut at each end.
        assert_eq!(iqm(&[5.0, 1.0, 3.0, 2.0, 1000.0]), 10.0 / 3.0);
        assert_eq!(iqm(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0]), 3.5);
        assert_eq!(iqm(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(iqm(&[7.0]), 7.0);
        assert!(iqm(&[]).is_nan());
        assert!(iqm(&[1.0, f64::NAN, 2.0, 3.0]).is_nan());
    }

    #[test]
    fn moments_and_quantiles_have_their_hand_values() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), 5.0);
        assert_eq!(std_population(&values), 2.0);
        assert_eq!(std_sample(&values), (32.0_f64 / 7.0).sqrt());
        assert!(std_sample(&[1.0]).is_nan());
        assert_eq!(quantile(&[3.0, 1.0, 2.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.1), 1.4);
        assert_eq!(quantile(&[1.0, 9.0], 1.0), 9.0);
        assert_eq!(quantile(&[f64::INFINITY; 2], 0.3), f64::INFINITY);
        assert!(quantile(&[1.0], 1.5).is_nan());
        assert!(quantile(&[], 0.5).is_nan());
    }

    /// Two runs in {0, 1}: a resample has mean 0, 1/2 or 1 with chances 1/4, 1/2, 1/4.
    #[test]
    fn the_interval_of_two_runs_is_their_range() {
        let e = iqm_interval(&[&[0.0, 1.0]], 2_000, 1);
        assert_eq!(e, Estimate { iqm: 0.5, low: 0.0, high: 1.0 });
    }

    #[test]
    fn strata_are_never_mixed() {
        // Each stratum is constant, so every resample is the same; mixing would vary the mean.
        let e = iqm_interval(&[&[0.0; 2], &[10.0; 2]], 500, 1);
        assert_eq!(e, Estimate { iqm: 5.0, low: 5.0, high: 5.0 });
        let mixed = iqm_interval(&[&[0.0, 0.0, 10.0, 10.0]], 500, 1);
        assert!(mixed.low < mixed.high);
    }

    /// For n = 3 (nothing is cut) the resampled mean is known exactly: over {0, 1, 2} the sum is 0 with
    /// chance 1/27 > 2.5 % and 6 likewise, so the interval is the full range; with {0, 0, 3} a sum of 9 has
    /// chance 1/27 and a sum of 0 has 8/27.
    #[test]
    fn the_interval_meets_exact_bootstrap_distributions() {
        assert_eq!(iqm_interval(&[&[0.0, 1.0, 2.0]], 50_000, 3), Estimate { iqm: 1.0, low: 0.0, high: 2.0 });
        assert_eq!(iqm_interval(&[&[0.0, 0.0, 3.0]], 50_000, 3), Estimate { iqm: 1.0, low: 0.0, high: 3.0 });
        // Of 1 one and 9 zeros the share of ones in 10 draws exceeds 0.3 with chance 1.3 %, 0.2 with 7 %;
        // the interquartile mean cuts 2 at each end, so of 10 only the ones beyond 2 count: k ones give
        // (k - 2) / 6.
        let mut values = [0.0; 10];
        values[4] = 1.0;
        let e = iqm_interval(&[&values], 50_000, 3);
        assert_eq!((e.iqm, e.low, e.high), (0.0, 0.0, 1.0 / 6.0));
    }

    #[test]
    fn intervals_are_a_function_of_the_seed() {
        let values: Vec<f64> = (0..10).map(|i| f64::from(i * i)).collect();
        let of = |seed| iqm_interval(&[&values], 300, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn improvement_counts_pairs_and_halves_ties() {
        let p = |x: &[f64], y: &[f64]| probability_of_improvement(&[x], &[y], 200, 1).iqm;
        assert_eq!(p(&[2.0, 3.0], &[1.0]), 1.0);
        assert_eq!(p(&[1.0, 3.0], &[2.0, 3.0]), (0.0 + 0.0 + 1.0 + 0.5) / 4.0);
        // Two tasks: their mean, whatever the numbers of runs.
        let both = probability_of_improvement(&[&[2.0], &[0.0; 5]], &[&[1.0], &[1.0; 3]], 200, 1);
        assert_eq!(both, Estimate { iqm: 0.5, low: 0.5, high: 0.5 });
        // One of two runs wins: the resample has chances 1/4, 1/2, 1/4 of 0, 1/2, 1.
        let e = probability_of_improvement(&[&[0.0, 2.0]], &[&[1.0]], 2_000, 1);
        assert_eq!(e, Estimate { iqm: 0.5, low: 0.0, high: 1.0 });
        assert!(p(&[f64::NAN], &[1.0]).is_nan());
    }

    #[test]
    fn a_profile_falls_from_all_to_none() {
        let shares = |t: &[f64]| {
            let profile = performance_profile(&[&[0.1, 0.5], &[0.9, 0.9]], t, 500, 1);
            profile.iter().map(|e| e.iqm).collect::<Vec<_>>()
        };
        assert_eq!(shares(&[0.0, 0.1, 0.5, 0.89, 0.9]), [1.0, 0.75, 0.5, 0.5, 0.0]);
        let middle = performance_profile(&[&[0.1, 0.5], &[0.9, 0.9]], &[0.3], 2_000, 1)[0];
        // The second task always counts with both of its runs.
        assert_eq!((middle.low, middle.high), (0.5, 1.0));
    }

    #[test]
    fn a_curve_is_its_points() {
        let runs = vec![vec![0.0, 5.0], vec![1.0, 6.0], vec![4.0, 9.0], vec![2.0, 7.0], vec![9.0, 14.0]];
        let curve = iqm_curve(&runs, 400, 9);
        let first: Vec<f64> = runs.iter().map(|r| r[0]).collect();
        assert_eq!(curve[0], iqm_interval(&[&first], 400, 9));
        // The second point is the first plus five, drawn with the same runs.
        assert!((curve[1].iqm - curve[0].iqm - 5.0).abs() < 1e-12);
        assert!((curve[1].low - curve[0].low - 5.0).abs() < 1e-12);
        assert!(iqm_curve(&[], 10, 0).is_empty());
        let one = iqm_curve(&[vec![3.0]], 10, 0);
        assert_eq!(one, [Estimate { iqm: 3.0, low: 3.0, high: 3.0 }]);
    }
}
