//! Solvers of extensive-form games against known values, each other, and the independent check.

#![allow(clippy::unwrap_used)]

use coact_games::Rational;
use coact_games::extensive::certificate::check;
use coact_games::extensive::games::by_name;
use coact_games::extensive::{
    FictitiousPlay, Profile, SampledCfr, SamplingOptions, Tree, TreePsro, assess, backward_induction,
    certify, solve_program,
};
use coact_games::scalar::ratio;

fn tree(name: &str) -> Tree {
    by_name(name).unwrap().tree(1_000_000).unwrap()
}

#[test]
fn kuhn_is_solved_exactly() {
    let tree = tree("kuhn_poker");
    let solution = solve_program::<Rational>(&tree).unwrap();
    assert_eq!(solution.value, ratio(-1, 18));
    let certificate = certify(&tree, &solution.profile).unwrap();
    assert_eq!(certificate.gains, [ratio(0, 1), ratio(0, 1)]);
    assert_eq!(certificate.values, [ratio(-1, 18), ratio(1, 18)]);
    check(&tree, &solution.profile, &certificate, 0.0).unwrap();
}

#[test]
fn fictitious_play_goes_as_recorded() {
    for (name, table) in [
        // Later on, ties between equally good responses are broken by rounding.
        ("kuhn_poker", vec![(1, 0.625), (10, 0.166667)]),
        ("leduc_poker", vec![(1, 5.20625), (10, 2.347538), (30, 1.087791)]),
    ] {
        let mut solver = FictitiousPlay::new(&tree(name)).unwrap();
        for (point, expected) in table {
            while solver.n_iterations() < point {
                solver.step();
            }
            let found = solver.assess().nash_conv();
            assert!((found - expected).abs() < 1e-6, "{name} {point}: {found}, not {expected}");
        }
    }
}

#[test]
fn sampling_comes_close_at_the_rate_that_others_have() {
    for (name, options, n, bound) in [
        ("kuhn_poker", SamplingOptions::external(1), 10_000, 0.04),
        ("kuhn_poker", SamplingOptions::outcome(1), 10_000, 0.12),
        ("leduc_poker", SamplingOptions::external(1), 10_000, 0.8),
        ("leduc_poker", SamplingOptions::outcome(1), 10_000, 3.07),
    ] {
        let tree = tree(name);
        let mut solver = SampledCfr::new(&tree, options).unwrap();
        (0..n).for_each(|_| solver.step());
        let found = assess(&tree, &solver.average()).unwrap().nash_conv();
        assert!(found < bound, "{name} {options:?}: {found}");
    }
}

#[test]
fn backward_induction_solves_tic_tac_toe() {
    let tree = tree("tic_tac_toe");
    let solution = backward_induction(&tree).unwrap();
    assert_eq!(solution.values, [ratio(0, 1), ratio(0, 1)]);
    assert!(solution.has_ties);
    let profile = Profile::<f64>::from_rows(
        &tree,
        &solution
            .profile
            .rows(&tree)
            .iter()
            .map(|row| row.iter().map(coact_games::Scalar::to_float).collect())
            .collect::<Vec<Vec<f64>>>(),
    )
    .unwrap();
    let certificate = certify(&tree, &profile).unwrap();
    assert_eq!(certificate.gains, [0.0, 0.0]);
    check(&tree, &profile, &certificate, 0.0).unwrap();
}

#[test]
fn programs_in_floats_find_the_values() {
    for (name, value) in
        [("kuhn_poker", -1.0 / 18.0), ("goofspiel", 0.0), ("leduc_poker", -0.085_606_424_078)]
    {
        let tree = tree(name);
        let solution = solve_program::<f64>(&tree).unwrap();
        assert!((solution.value - value).abs() < 1e-9, "{name}: {}", solution.value);
        let certificate = certify(&tree, &solution.profile).unwrap();
        assert!(certificate.nash_conv() < 1e-9, "{name}: {certificate:?}");
        check(&tree, &solution.profile, &certificate, 1e-12).unwrap();
    }
}

/// With exact equilibria of the empirical game populations grow until nobody gains; of three players' games less is known.
#[test]
fn populations_grow_to_an_equilibrium() {
    let tree = tree("kuhn_poker");
    let mut psro = TreePsro::new(&tree).unwrap();
    (0..30).for_each(|_| psro.step());
    let certificate = certify(&tree, &psro.average()).unwrap();
    assert!(certificate.nash_conv() < 1e-9, "{certificate:?}");
    assert!((certificate.values[0] + 1.0 / 18.0).abs() < 1e-9);
    check(&tree, &psro.average(), &certificate, 1e-12).unwrap();
    let three = by_name("kuhn_poker(players=3)").unwrap().tree(100_000).unwrap();
    let nash_conv = |n: usize| {
        let mut psro = TreePsro::new(&three).unwrap();
        (0..n).for_each(|_| psro.step());
        assess(&three, &psro.average()).unwrap().nash_conv()
    };
    assert!(nash_conv(12) < 0.5 * nash_conv(1));
}
