//! Assignment methods against recorded optima, against brute force and against each other.

#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use coact_allocation::assignment::{
    Assignment, AuctionOptions, auction, best_assignments, hungarian, jonker_volgenant, sparse,
};
use coact_allocation::certificate::{check_assignment, check_sparse_assignment};
use coact_allocation::{CostMatrix, Error, FORBIDDEN, Objective, SparseCosts};
use coact_core::rng::{Purpose, Stream};
use proptest::prelude::*;

const BOTH: [Objective; 2] = [Objective::Minimize, Objective::Maximize];

/// The generator with which totals were recorded: values below `modulus`, row-major.
fn lcg(n_rows: usize, n_cols: usize, seed: u32, modulus: u32) -> CostMatrix {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from((state >> 16) % modulus)
    };
    CostMatrix::new(n_rows, n_cols, (0..n_rows * n_cols).map(|_| next()).collect()).unwrap()
}

/// Every exact method, each checked by its certificate.
fn solve_all(costs: &CostMatrix, objective: Objective) -> Vec<Assignment> {
    let by_auction = auction(costs, objective, &AuctionOptions::default()).unwrap();
    let sparse_costs = SparseCosts::from_dense(costs);
    let by_sparse = sparse(&sparse_costs, objective).unwrap();
    let c = check_sparse_assignment(&sparse_costs, objective, &by_sparse).unwrap();
    assert!(c.is_optimal(1e-9), "sparse: {c:?}");
    for exact in [jonker_volgenant, hungarian] {
        let c = check_assignment(costs, objective, &exact(costs, objective).unwrap()).unwrap();
        assert!(c.is_optimal(1e-9), "{c:?}");
    }
    let c = check_assignment(costs, objective, &by_auction.assignment).unwrap();
    let n = costs.n_rows().min(costs.n_cols()) as f64;
    assert!(
        c.gap.unwrap() <= n * by_auction.epsilon * (1.0 + 1e-6) + 1e-9 * c.total.abs().max(1.0),
        "auction: {c:?}"
    );
    let best = best_assignments(costs, objective, 1).unwrap().remove(0);
    vec![
        jonker_volgenant(costs, objective).unwrap(),
        hungarian(costs, objective).unwrap(),
        by_auction.assignment,
        by_sparse,
        best,
    ]
}

#[test]
fn the_generator_gives_the_recorded_optima() {
    assert_eq!(lcg(5, 5, 1, 1000).row(0)[..5], [496.0, 200.0, 46.0, 195.0, 312.0]);
    let cases = [
        (5, 5, 1101.0, 3708.0),
        (10, 10, 1313.0, 8598.0),
        (50, 50, 1557.0, 47775.0),
        (100, 100, 1657.0, 98204.0),
        (200, 200, 1538.0, 198_223.0),
        (30, 50, 777.0, 29121.0),
        (50, 30, 831.0, 29097.0),
    ];
    for (n, m, low, high) in cases {
        let costs = lcg(n, m, 1, 1000);
        for (objective, expected) in BOTH.into_iter().zip([low, high]) {
            let totals: Vec<f64> = solve_all(&costs, objective).iter().map(|a| a.total).collect();
            assert_eq!(totals, [expected; 5], "{n} x {m} {objective:?}");
        }
    }
}

#[test]
fn large_matrices_give_the_recorded_optima() {
    let costs = lcg(500, 500, 1, 1000);
    for (objective, expected) in BOTH.into_iter().zip([1474.0, 498_203.0]) {
        assert_eq!(jonker_volgenant(&costs, objective).unwrap().total, expected);
        assert_eq!(sparse(&SparseCosts::from_dense(&costs), objective).unwrap().total, expected);
    }
    for (n, expected) in [(1000, 101_966.0), (2000, 109_032.0)] {
        let costs = lcg(n, n, 7, 1_000_000);
        let found = jonker_volgenant(&costs, Objective::Minimize).unwrap();
        assert_eq!(found.total, expected);
        assert!(check_assignment(&costs, Objective::Minimize, &found).unwrap().is_optimal(0.0));
    }
}

#[test]
fn small_cases_of_scipy() {
    let inf = FORBIDDEN;
    let cases: [(&[&[f64]], f64); 6] = [
        (&[&[4.0, 1.0, 3.0], &[2.0, 0.0, 5.0], &[3.0, 2.0, 2.0]], 5.0),
        (&[&[400.0, 150.0, 400.0], &[400.0, 450.0, 600.0], &[300.0, 225.0, 300.0]], 850.0),
        (&[&[400.0, 150.0, 400.0, 1.0], &[400.0, 450.0, 600.0, 2.0], &[300.0, 225.0, 300.0, 3.0]], 452.0),
        (&[&[10.0, 10.0, 8.0], &[9.0, 8.0, 1.0], &[9.0, 7.0, 4.0]], 18.0),
        (&[&[10.0, 10.0, 8.0, 11.0], &[9.0, 8.0, 1.0, 1.0], &[9.0, 7.0, 4.0, 10.0]], 15.0),
        (&[&[10.0, inf, inf], &[inf, inf, 1.0], &[inf, 7.0, inf]], 18.0),
    ];
    for (rows, total) in cases {
        let costs = CostMatrix::from_rows(&rows.iter().map(|r| r.to_vec()).collect::<Vec<_>>()).unwrap();
        for found in solve_all(&costs, Objective::Minimize) {
            assert_eq!(found.total, total, "{rows:?}");
        }
    }
    let costs = CostMatrix::new(3, 3, vec![4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0]).unwrap();
    let found = jonker_volgenant(&costs, Objective::Minimize).unwrap();
    assert_eq!(found.row_to_col, [Some(1), Some(0), Some(2)]);
}

/// The largest set of totals, from all injective maps of the shorter side; forbidden pairs left out. Sorted.
fn all_totals(costs: &CostMatrix, objective: Objective) -> Vec<f64> {
    fn extend(costs: &CostMatrix, wide: bool, at: usize, taken: u32, sum: f64, out: &mut Vec<f64>) {
        let (n, m) = if wide { (costs.n_rows(), costs.n_cols()) } else { (costs.n_cols(), costs.n_rows()) };
        if at == n {
            return out.push(sum);
        }
        for j in (0..m).filter(|j| taken >> j & 1 == 0) {
            let c = if wide { costs.at(at, j) } else { costs.at(j, at) };
            if c.is_finite() {
                extend(costs, wide, at + 1, taken | 1 << j, sum + c, out);
            }
        }
    }
    let mut out = Vec::new();
    extend(costs, costs.n_rows() <= costs.n_cols(), 0, 0, 0.0, &mut out);
    out.sort_by(|a, b| (objective.sign() * a).total_cmp(&(objective.sign() * b)));
    out
}

/// Small matrices of few different values, so that ties, zeros and forbidden pairs abound; no rows or columns too.
fn matrices() -> impl Strategy<Value = CostMatrix> {
    (0..6_usize, 0..6_usize, 1..5_u8).prop_flat_map(|(n, m, kind)| {
        let cost = move |x: i32| match kind {
            1 => f64::from(x % 3),
            2 if x % 3 == 0 => FORBIDDEN,
            3 => f64::from(x) * 0.37 - 17.0,
            _ => f64::from(x) - 50.0,
        };
        prop::collection::vec(0..100_i32, n * m)
            .prop_map(move |v| CostMatrix::new(n, m, v.into_iter().map(cost).collect()).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_method_finds_the_optimum(costs in matrices(), maximize in any::<bool>()) {
        let objective = BOTH[usize::from(maximize)];
        let totals = all_totals(&costs, objective);
        match totals.first() {
            Some(&best) => for found in solve_all(&costs, objective) {
                prop_assert!((found.total - best).abs() < 1e-6, "{} {best}", found.total);
            },
            None => {
                let sparse_costs = SparseCosts::from_dense(&costs);
                for refused in [
                    jonker_volgenant(&costs, objective),
                    hungarian(&costs, objective),
                    sparse(&sparse_costs, objective),
                    auction(&costs, objective, &AuctionOptions::default()).map(|o| o.assignment),
                ] {
                    let Err(Error::Infeasible { side, members, n_choices }) = refused else {
                        panic!("{refused:?}");
                    };
                    // Hall's condition fails where the error says so.
                    let allowed = |i: usize, j: usize| match side {
                        "row" => costs.at(i, j).is_finite(),
                        _ => costs.at(j, i).is_finite(),
                    };
                    let n_others = if side == "row" { costs.n_cols() } else { costs.n_rows() };
                    let choices = (0..n_others).filter(|&j| members.iter().any(|&i| allowed(i, j))).count();
                    prop_assert_eq!(choices, n_choices);
                    prop_assert!(members.len() > n_choices);
                }
            }
        }
    }

    #[test]
    fn the_best_come_in_order_and_none_is_missing(costs in matrices(), k in 0..40_usize) {
        for objective in BOTH {
            let totals = all_totals(&costs, objective);
            if totals.is_empty() {
                continue;
            }
            let found = best_assignments(&costs, objective, k).unwrap();
            prop_assert_eq!(found.len(), k.min(totals.len()));
            for (a, b) in found.iter().zip(&totals) {
                prop_assert!((a.total - b).abs() < 1e-9, "{} {b}", a.total);
                check_assignment(&costs, objective, a).unwrap();
            }
            for (i, a) in found.iter().enumerate() {
                prop_assert!(found[..i].iter().all(|b| b.row_to_col != a.row_to_col), "twice");
            }
        }
    }

    #[test]
    fn an_auction_is_within_n_epsilon(
        n in 1..9_usize, m in 1..9_usize, seed in 0..1000_u32, epsilon in 0.01..300.0_f64, maximize in any::<bool>()
    ) {
        let (costs, objective) = (lcg(n, m, seed, 1000), BOTH[usize::from(maximize)]);
        let best = hungarian(&costs, objective).unwrap().total;
        let options = AuctionOptions { epsilon: Some(epsilon), ..AuctionOptions::default() };
        let found = auction(&costs, objective, &options).unwrap();
        let short = objective.sign() * (found.assignment.total - best);
        let allowed = n.min(m) as f64 * epsilon;
        prop_assert!((0.0..=allowed + 1e-9).contains(&short), "{short} of {allowed}");
        let c = check_assignment(&costs, objective, &found.assignment).unwrap();
        prop_assert!(c.gap.unwrap() <= allowed + 1e-6 && c.max_violation < 1e-9, "{c:?}");
    }
}

#[test]
fn auctions_of_the_recorded_instance() {
    let costs = lcg(100, 100, 1, 1000);
    for (epsilon, at_least) in [(0.009, 98204.0), (1.0, 98104.0), (10.0, 97204.0), (100.0, 88204.0)] {
        let options = AuctionOptions { epsilon: Some(epsilon), ..AuctionOptions::default() };
        let found = auction(&costs, Objective::Maximize, &options).unwrap();
        assert!(found.assignment.total >= at_least && found.assignment.total <= 98204.0, "{epsilon}");
        assert!(found.n_bids >= 100 && found.n_rounds > 0);
    }
}

#[test]
fn an_auction_is_the_same_at_any_number_of_threads() {
    let costs = lcg(300, 320, 5, 100);
    let solve = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| auction(&costs, Objective::Minimize, &AuctionOptions::default()).unwrap())
    };
    let one = solve(1);
    assert_eq!(one, solve(2));
    assert_eq!(one, solve(5));
}

#[test]
fn bad_epsilons_are_refused() {
    let costs = lcg(4, 4, 1, 1000);
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-14] {
        let options = AuctionOptions { epsilon: Some(epsilon), ..AuctionOptions::default() };
        assert!(auction(&costs, Objective::Minimize, &options).is_err(), "{epsilon}");
    }
    for scaling in [1.0, 0.5, f64::NAN] {
        let options = AuctionOptions { scaling, ..AuctionOptions::default() };
        assert!(auction(&costs, Objective::Minimize, &options).is_err(), "{scaling}");
    }
}

/// Structured matrices, on which shortest paths are long.
#[test]
fn hostile_matrices_are_solved() {
    for n in [1, 7, 40, 130] {
        let product: Vec<f64> = (0..n * n).map(|k| ((k / n + 1) * (k % n + 1)) as f64).collect();
        let equal = vec![3.25; n * n];
        let tiny: Vec<f64> = (0..n * n).map(|k| 1.0 + 1e-15 * ((k * 7919) % 13) as f64).collect();
        let huge: Vec<f64> = (0..n * n).map(|k| if k % 3 == 0 { 1e99 } else { -1e99 }).collect();
        let band: Vec<f64> = (0..n * n)
            .map(|k| if (k / n).abs_diff(k % n) <= 1 { ((k * 31) % 17) as f64 } else { FORBIDDEN })
            .collect();
        for (name, costs) in
            [("product", product), ("equal", equal), ("tiny", tiny), ("huge", huge), ("band", band)]
        {
            let costs = CostMatrix::new(n, n, costs).unwrap();
            for objective in BOTH {
                let fast = jonker_volgenant(&costs, objective).unwrap();
                let c = check_assignment(&costs, objective, &fast).unwrap();
                assert!(c.is_optimal(1e-9), "{name} {n}: {c:?}");
                let plain = hungarian(&costs, objective).unwrap();
                assert!((fast.total - plain.total).abs() <= 1e-9 * plain.total.abs(), "{name} {n}");
            }
        }
    }
}

#[test]
fn expected_cost_of_exponential_matrices() {
    // Parisi's formula: the expected optimum of exponential(1) costs is the sum of 1 / k^2.
    let expected: f64 = (1..=30).map(|k| 1.0 / f64::from(k * k)).sum();
    assert_mean_optimum(30, 400, expected, |x| -(1.0 - x).ln());
}

#[test]
fn expected_cost_of_uniform_matrices() {
    // Its limit, from which matrices of this size are off by less than a hundredth.
    assert_mean_optimum(200, 100, std::f64::consts::PI.powi(2) / 6.0, |x| x);
}

/// Optima of `n` x `n` matrices of independent costs, each `cost` of a uniform number, are `expected` on average.
fn assert_mean_optimum(n: usize, n_matrices: u32, expected: f64, cost: impl Fn(f64) -> f64) {
    let mut stream = Stream::new(11, Purpose::Init, 0, 0);
    let totals: Vec<f64> = (0..n_matrices)
        .map(|_| {
            let costs = (0..n * n).map(|_| cost(stream.uniform_f64())).collect();
            jonker_volgenant(&CostMatrix::new(n, n, costs).unwrap(), Objective::Minimize).unwrap().total
        })
        .collect();
    let mean = totals.iter().sum::<f64>() / f64::from(n_matrices);
    let variance = totals.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / f64::from(n_matrices - 1);
    let standard_error = (variance / f64::from(n_matrices)).sqrt();
    assert!((mean - expected).abs() < 4.0 * standard_error, "{mean} {expected} {standard_error}");
}

#[test]
fn certificates_notice_what_is_wrong() {
    let costs = lcg(6, 8, 3, 50);
    let good = jonker_volgenant(&costs, Objective::Minimize).unwrap();
    assert!(check_assignment(&costs, Objective::Minimize, &good).unwrap().is_optimal(0.0));
    let refused = |change: &dyn Fn(&mut Assignment)| {
        let mut bad = good.clone();
        change(&mut bad);
        check_assignment(&costs, Objective::Minimize, &bad).unwrap_err().to_string()
    };
    assert!(refused(&|a| a.row_to_col[0] = a.row_to_col[1]).contains("rows 0 and 1"));
    assert!(refused(&|a| a.row_to_col[0] = Some(8)).contains("column 8"));
    assert!(refused(&|a| a.row_to_col[2] = None).contains("5 pairs"));
    assert!(refused(&|a| a.total += 1.0).contains("total"));
    assert!(refused(&|a| a.total = f64::NAN).contains("total"));
    assert!(refused(&|a| a.row_to_col.truncate(5)).contains("5 rows"));
    assert!(refused(&|a| a.prices.as_mut().unwrap().rows[0] = f64::NAN).contains("finite"));
    assert!(refused(&|a| a.prices.as_mut().unwrap().cols.truncate(7)).contains("7 columns"));
    // Prices that are too high are corrected for, so they cannot prove anything false.
    let mut bad = good.clone();
    bad.prices.as_mut().unwrap().rows[0] += 5.0;
    let c = check_assignment(&costs, Objective::Minimize, &bad).unwrap();
    assert!(c.max_violation >= 5.0 && c.bound.unwrap() <= good.total && !c.is_optimal(1e-9), "{c:?}");
    let mut worse = good.clone();
    worse.row_to_col.swap(0, 1);
    worse.total = worse.pairs().map(|(i, j)| costs.at(i, j)).sum();
    let c = check_assignment(&costs, Objective::Minimize, &worse).unwrap();
    assert_eq!(c.is_optimal(1e-9), worse.total == good.total);
}

#[test]
fn wrong_matrices_are_refused() {
    let message = |e: Result<CostMatrix, Error>| e.unwrap_err().to_string();
    assert!(message(CostMatrix::new(2, 2, vec![1.0; 3])).contains("3 values"));
    assert!(message(CostMatrix::new(1, 2, vec![1.0, f64::NAN])).contains("column 1"));
    assert!(message(CostMatrix::new(2, 1, vec![1.0, f64::NEG_INFINITY])).contains("row 1"));
    assert!(message(CostMatrix::new(1, 1, vec![1e101])).contains("1e100"));
    assert!(message(CostMatrix::from_rows(&[vec![1.0], vec![]])).contains("row 1"));
    assert!(CostMatrix::new(usize::MAX, 2, vec![]).is_err());
    for bad in [&[(0, 3, 1.0)][..], &[(2, 0, 1.0)], &[(0, 0, 1.0), (0, 0, 2.0)], &[(0, 0, f64::INFINITY)]] {
        assert!(SparseCosts::from_entries(2, 3, bad).is_err(), "{bad:?}");
    }
}

#[test]
fn sparse_rows_and_columns_need_no_order() {
    let entries = [(2, 1, 4.0), (0, 0, 1.0), (1, 2, 2.5), (0, 2, -3.0), (2, 0, 7.0), (3, 1, 0.0)];
    let costs = SparseCosts::from_entries(4, 3, &entries).unwrap();
    assert_eq!(costs.at(0, 2), Some(-3.0));
    assert_eq!(costs.at(0, 1), None);
    for objective in BOTH {
        let found = sparse(&costs, objective).unwrap();
        assert!(check_sparse_assignment(&costs, objective, &found).unwrap().is_optimal(0.0));
    }
    assert_eq!(sparse(&costs, Objective::Minimize).unwrap().total, 3.5);
}
