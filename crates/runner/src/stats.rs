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
