//! Draws follow the priorities, and nothing but the priorities.

use coact_core::{Purpose, Stream};
use coact_replay::{PrioritySums, leaf_of};

/// Upper bound of a chi-square variable with `n` degrees of freedom that is exceeded once in a million
/// (Wilson-Hilferty: 4.75 standard deviations).
fn chi_square_bound(n: f64) -> f64 {
    let spread = 2.0 / (9.0 * n);
    n * (1.0 - spread + 4.75 * spread.sqrt()).powi(3)
}

/// Chi-square of counts against shares; cells that expect fewer than 8 draws are joined.
fn chi_square(counts: &[u64], leaves: &[u32]) -> (f64, f64) {
    let n_draws = counts.iter().sum::<u64>() as f64;
    let total: f64 = leaves.iter().map(|&l| f64::from(l)).sum();
    let (mut sum, mut cells, mut rare) = (0.0, 0.0, (0.0, 0.0));
    let mut add = |found: f64, expected: f64| {
        sum += (found - expected).powi(2) / expected;
        cells += 1.0;
    };
    for (&count, &leaf) in counts.iter().zip(leaves) {
        let expected = n_draws * f64::from(leaf) / total;
        if expected < 8.0 {
            rare = (rare.0 + count as f64, rare.1 + expected);
        } else {
            add(count as f64, expected);
        }
    }
    if rare.1 >= 8.0 {
        add(rare.0, rare.1);
    }
    (sum, cells - 1.0)
}

/// Priorities over twelve decades, `n` of them. Leaves resolve nearly ten; those below count as the smallest.
fn sums_over_decades(n: usize) -> PrioritySums {
    let mut rng = Stream::new(7, Purpose::Replay, 0, n as u64);
    let mut sums = PrioritySums::new(n);
    sums.set_each((0..n).map(|i| (i, leaf_of(10_f32.powf(-9.0 + 12.0 * rng.uniform()), 0.0, 1.0))));
    sums
}

/// A million draws, one from each of `batch_size` parts at a time. Stratified draws spread less than independent ones,
/// so the bound for these holds for them.
fn counts(sums: &PrioritySums, batch_size: usize) -> Vec<u64> {
    let mut rng = Stream::new(1, Purpose::Replay, 0, sums.len() as u64);
    let mut counts = vec![0; sums.len()];
    let mut out = vec![0; batch_size];
    for _ in 0..1_000_000 / batch_size {
        sums.stratified(|drawn| drawn.fill_with(|| rng.uniform_f64()), &mut out);
        out.iter().for_each(|&i| counts[i as usize] += 1);
    }
    counts
}

#[test]
fn a_million_draws_follow_the_priorities() {
    for n in [1, 2, 3, 7, 100, 4097] {
        let sums = sums_over_decades(n);
        for batch_size in if n == 100 { vec![1, 32] } else { vec![1] } {
            let (found, degrees) = chi_square(&counts(&sums, batch_size), sums.leaves());
            if degrees >= 1.0 {
                let bound = chi_square_bound(degrees);
                assert!(found < bound, "n {n}, batch {batch_size}: chi-square {found}, at most {bound}");
            }
        }
    }
}

#[test]
fn the_chi_square_test_notices_a_slight_tilt() {
    let sums = sums_over_decades(100);
    let mut tilted: Vec<u32> = sums.leaves().to_vec();
    let top = (0..100).max_by_key(|&i| tilted[i]).unwrap();
    tilted[top] = (f64::from(tilted[top]) * 0.97) as u32;
    let (found, degrees) = chi_square(&counts(&sums, 1), &tilted);
    assert!(found > chi_square_bound(degrees), "chi-square {found}");
}

#[test]
fn every_stratum_gives_one_draw() {
    let sums = sums_over_decades(500);
    let mut rng = Stream::new(3, Purpose::Replay, 0, 0);
    let mut out = vec![0; 37];
    for _ in 0..200 {
        sums.stratified(|drawn| drawn.fill_with(|| rng.uniform_f64()), &mut out);
        let width = sums.total() as f64 / 37.0;
        for (i, &found) in out.iter().enumerate() {
            let before: u64 = sums.leaves()[..found as usize].iter().map(|&l| u64::from(l)).sum();
            let after = before + u64::from(sums.get(found as usize));
            assert!((before as f64) < (i + 1) as f64 * width && after as f64 > i as f64 * width, "draw {i}");
        }
    }
}

#[test]
fn sums_stay_exact_over_many_updates() {
    let n = 20_001;
    let mut sums = PrioritySums::with_minimum(n);
    let mut rng = Stream::new(9, Purpose::Replay, 0, 0);
    for _ in 0..1_000_000 {
        let leaf = rng.next_u32() >> rng.below(32);
        sums.set(rng.below(n as u32) as usize, leaf);
    }
    let leaves = sums.leaves().to_vec();
    let total: u64 = leaves.iter().map(|&l| u64::from(l)).sum();
    assert_eq!(sums.total(), total);
    assert_eq!(sums.minimum(), leaves.iter().copied().filter(|&l| l > 0).min());
    let mut before = 0;
    for (i, &leaf) in leaves.iter().enumerate() {
        if leaf > 0 {
            assert_eq!(sums.find(before), i, "first mass of leaf {i}");
            assert_eq!(sums.find(before + u64::from(leaf) - 1), i, "last mass of leaf {i}");
        }
        before += u64::from(leaf);
    }
}

#[test]
fn leaves_keep_the_order_of_priorities_and_their_ratio() {
    let alpha = 0.6;
    let mut last = 0;
    for i in 0..1000 {
        let td = 10_f32.powf(-6.0 + 10.0 * i as f32 / 1000.0);
        let leaf = leaf_of(td, 1e-6, alpha);
        assert!(leaf >= last, "leaf of {td}");
        last = leaf;
        let exact = (f64::from(td) + 1e-6).powf(0.6) * f64::from(1 << 22);
        assert!(
            (f64::from(leaf) - exact).abs() <= 0.5 + 1e-6 * exact,
            "leaf of {td}: {leaf}, exactly {exact}"
        );
    }
    assert_eq!(leaf_of(0.0, 0.0, 1.0), 1, "a priority of zero can still be drawn");
    assert_eq!(leaf_of(1e30, 0.0, 1.0), u32::MAX);
    assert_eq!(leaf_of(0.0, 0.0, 0.0), leaf_of(1e30, 1.0, 0.0), "alpha 0 is uniform");
}
