//! Counterfactual regret minimization against recorded convergence tables of OpenSpiel 2.0.2.

#![allow(clippy::unwrap_used)]

use coact_games::extensive::games::by_name;
use coact_games::extensive::{Cfr, CfrBr, CfrOptions, Profile, Tree, assess};

fn tree(name: &str) -> Tree {
    by_name(name).unwrap().tree(1_000_000).unwrap()
}

/// NashConv of the average after each of these iterations.
fn curve(name: &str, options: CfrOptions, points: &[u64]) -> Vec<f64> {
    let mut cfr = Cfr::new(&tree(name), options).unwrap();
    let nash_conv = |&point: &u64| {
        while cfr.n_iterations() < point {
            cfr.step();
        }
        cfr.assess().nash_conv()
    };
    points.iter().map(nash_conv).collect()
}

#[track_caller]
fn check(name: &str, options: CfrOptions, decimals: f64, table: &[(u64, f64)]) {
    let points: Vec<u64> = table.iter().map(|t| t.0).collect();
    for (found, (point, expected)) in curve(name, options, &points).into_iter().zip(table) {
        // Recorded with six significant digits, or six decimals.
        let unit = 10f64.powi(expected.log10().floor() as i32 - 5).max(decimals);
        assert!((found - expected).abs() <= 0.501 * unit, "{name} {point}: {found}, not {expected}");
    }
}

#[test]
fn cfr_converges_as_recorded() {
    let kuhn = [
        (1, 0.916667),
        (2, 0.541667),
        (3, 0.388889),
        (5, 0.242778),
        (10, 0.137398),
        (20, 0.0813404),
        (50, 0.0303532),
        (100, 0.016452),
        (200, 0.00665921),
        (300, 0.00606792),
        (500, 0.00233716),
        (1000, 0.00187523),
    ];
    check("kuhn_poker", CfrOptions::CFR, 0.0, &kuhn);
    let leduc = [
        (1, 4.74722),
        (2, 4.12264),
        (3, 3.59761),
        (5, 2.94265),
        (10, 1.77716),
        (20, 0.906291),
        (50, 0.378167),
        (100, 0.191433),
        (200, 0.107677),
        (300, 0.0710482),
        (500, 0.0430144),
        (1000, 0.0236356),
    ];
    check("leduc_poker", CfrOptions::CFR, 0.0, &leduc);
}

#[test]
fn cfr_plus_converges_as_recorded() {
    let kuhn = [
        (1, 0.916667),
        (2, 0.527778),
        (3, 0.282634),
        (5, 0.146689),
        (10, 0.0653742),
        (20, 0.020218),
        (50, 0.0055945),
        (100, 0.00238881),
        (200, 0.000589921),
        (300, 0.000866802),
        (500, 0.000345394),
        (1000, 0.000174731),
    ];
    check("kuhn_poker", CfrOptions::PLUS, 0.0, &kuhn);
    let leduc = [
        (1, 4.74722),
        (2, 4.11583),
        (3, 3.58709),
        (5, 2.74246),
        (10, 1.22088),
        (20, 0.347311),
        (50, 0.0682429),
        (100, 0.026832),
        (200, 0.00992626),
        (300, 0.00458061),
        (500, 0.00187727),
        (1000, 0.000514303),
    ];
    check("leduc_poker", CfrOptions::PLUS, 0.0, &leduc);
}

#[test]
fn discounted_and_linear_cfr_converge_as_recorded() {
    let kuhn = [(1, 0.916667), (10, 0.045558), (100, 0.003333), (300, 0.001393), (1000, 0.000293)];
    check("kuhn_poker", CfrOptions::DISCOUNTED, 1e-6, &kuhn);
    check("leduc_poker", CfrOptions::DISCOUNTED, 1e-6, &[(1, 4.747222), (10, 1.557604), (100, 0.015507)]);
    let kuhn = [(1, 0.916667), (10, 0.042501), (100, 0.002178), (300, 0.000753), (1000, 0.000187)];
    check("kuhn_poker", CfrOptions::LINEAR, 1e-6, &kuhn);
    check("leduc_poker", CfrOptions::LINEAR, 1e-6, &[(1, 4.747222), (10, 1.442130), (100, 0.068979)]);
}

#[test]
fn sizes_and_uniform_play_are_as_published() {
    for (name, n_infosets, nash_conv) in [
        ("kuhn_poker", 12, 11.0 / 12.0),
        ("kuhn_poker(players=3)", 48, 2.0625),
        ("leduc_poker", 936, 4.747222222222222),
        ("tic_tac_toe", 294_778, 1.919659391534391),
        ("liars_dice", 24_576, 1.5614886463844804),
    ] {
        let tree = tree(name);
        assert_eq!(tree.n_decisions(), n_infosets, "{name}");
        let found: f64 = assess(&tree, &Profile::uniform(&tree)).unwrap().nash_conv();
        assert!((found - nash_conv).abs() < 1e-9, "{name}: {found}");
    }
}

/// Values of OpenSpiel's tests, given there to ten places.
#[test]
fn cfr_against_best_responses_converges_as_published() {
    for (name, table) in [
        (
            "kuhn_poker",
            [
                0.9166666666666666,
                0.33333333333333337,
                0.3194444444444445,
                0.2604166666666667,
                0.22666666666666674,
            ],
        ),
        (
            "leduc_poker",
            [
                4.747222222222222,
                4.006867283950617,
                3.4090489231017034,
                2.8982539553095172,
                2.5367193593344504,
            ],
        ),
    ] {
        let mut solver = CfrBr::new(&tree(name)).unwrap();
        for (point, expected) in table.into_iter().enumerate() {
            solver.step();
            let found = solver.assess().nash_conv();
            assert!((found - expected).abs() < 1e-10, "{name} {}: {found}, not {expected}", point + 1);
        }
    }
}

/// Players who always take the first action: pass, fold or call, the first free square.
#[test]
fn first_actions_gain_as_published() {
    for (name, nash_conv) in [("kuhn_poker", 2.0), ("leduc_poker", 2.0), ("tic_tac_toe", 2.0)] {
        let tree = tree(name);
        let first = |n: usize| (0..n).map(|a| f64::from(a == 0)).collect::<Vec<f64>>();
        let rows = tree.infosets().iter().filter(|i| i.player.is_some()).map(|i| first(i.actions.len()));
        let profile = Profile::from_rows(&tree, &rows.collect::<Vec<_>>()).unwrap();
        let found: f64 = assess(&tree, &profile).unwrap().nash_conv();
        assert!((found - nash_conv).abs() < 1e-12, "{name}: {found}");
    }
}

/// Bounds of OpenSpiel's tests; exploitability is NashConv over the number of players.
#[test]
fn cfr_comes_as_close_as_published() {
    for (name, options, iterations, bound) in [
        ("kuhn_poker(players=3)", CfrOptions::CFR, 10, 1.0),
        ("kuhn_poker(players=4)", CfrOptions::CFR, 10, 1.0),
        ("leduc_poker", CfrOptions::CFR, 10, 2.0),
        ("goofspiel(points_order=random)", CfrOptions::CFR, 100, 0.2),
        ("goofspiel", CfrOptions::CFR, 1000, 0.02),
    ] {
        let found = curve(name, options, &[iterations])[0];
        assert!(found <= bound, "{name}: {found}");
    }
}

/// What each player secures against its best opponent encloses the value, which OpenSpiel's program gives.
#[test]
fn the_value_of_liars_dice_is_enclosed() {
    let mut cfr = Cfr::new(&tree("liars_dice"), CfrOptions::PLUS).unwrap();
    (0..60).for_each(|_| cfr.step());
    let found = cfr.assess();
    let (low, high) = (-found.best_responses[1], found.best_responses[0]);
    let value = -0.027131782945736;
    assert!(low <= value && value <= high && high - low < 0.03, "{low} to {high}");
}
