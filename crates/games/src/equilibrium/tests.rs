//! Known games, recorded vectors, and random games of every kind.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::certificate;
use crate::normal_form::{Mixed, NormalForm};
use crate::scalar::{Rational, Scalar, ratio};

fn quiet() -> impl FnMut(usize) -> bool {
    |_| true
}

fn exact(table: &[&[i64]]) -> Vec<Rational> {
    table.iter().flat_map(|row| row.iter().map(|&x| ratio(x, 1))).collect()
}

fn bimatrix(a: &[&[i64]], b: &[&[i64]]) -> NormalForm<Rational> {
    NormalForm::bimatrix(a.len(), a[0].len(), exact(a), exact(b)).unwrap()
}

fn fractions(list: &[(i64, i64)]) -> Vec<Rational> {
    list.iter().map(|&(p, q)| ratio(p, q)).collect()
}

/// Von Stengel's game with more equilibria than the 63 of the 6x6 coordination game.
fn von_stengel() -> NormalForm<Rational> {
    let a: [&[i64]; 6] = [
        &[9504, -660, 19976, -20526, 1776, -8976],
        &[-111771, 31680, -130944, 168124, -8514, 52764],
        &[397584, -113850, 451176, -586476, 29216, -178761],
        &[171204, -45936, 208626, -263076, 14124, -84436],
        &[1303104, -453420, 1227336, -1718376, 72336, -461736],
        &[737154, -227040, 774576, -1039236, 48081, -300036],
    ];
    let b: [&[i64]; 6] = [
        &[72336, 48081, 29216, 14124, 1776, -8514],
        &[-461736, -300036, -178761, -84436, -8976, 52764],
        &[1227336, 774576, 451176, 208626, 19976, -130944],
        &[-1718376, -1039236, -586476, -263076, -20526, 168124],
        &[1303104, 737154, 397584, 171204, 9504, -111771],
        &[-453420, -227040, -113850, -45936, -660, 31680],
    ];
    bimatrix(&a, &b)
}

#[test]
fn von_stengels_game_has_75_equilibria() {
    let game = von_stengel();
    let all = vertex_enumeration(&game, &mut quiet()).unwrap();
    assert_eq!(all.len(), 75);
    let zero = ratio(0, 1);
    for mixed in &all {
        assert!(certificate::gains(&game, mixed).iter().all(|gain| *gain == zero));
    }
    let known = vec![
        fractions(&[(20, 23), (3, 23), (0, 1), (0, 1), (0, 1), (0, 1)]),
        fractions(&[(4, 19), (15, 19), (0, 1), (0, 1), (0, 1), (0, 1)]),
    ];
    assert!(all.contains(&known), "the listed equilibrium");
    assert_eq!(support_enumeration(&game, &mut quiet()).unwrap(), all);
}

#[test]
fn known_equilibria_of_small_games() {
    let unique = bimatrix(
        &[&[160, 205, 44], &[175, 180, 45], &[201, 204, 50], &[120, 207, 49]],
        &[&[2, 2, 2], &[1, 0, 0], &[3, 4, 1], &[4, 1, 2]],
    );
    let expected =
        vec![vec![fractions(&[(0, 1), (0, 1), (3, 4), (1, 4)]), fractions(&[(1, 28), (27, 28), (0, 1)])]];
    assert_eq!(vertex_enumeration(&unique, &mut quiet()).unwrap(), expected);
    assert_eq!(support_enumeration(&unique, &mut quiet()).unwrap(), expected);
    for label in 0..7 {
        let end = lemke_howson(&unique, label, &mut quiet()).unwrap();
        assert_eq!(vec![end.mixed], expected, "label {label}");
    }
    let coordination = bimatrix(&[&[1, 0, 0], &[0, 1, 0], &[0, 0, 1]], &[&[1, 0, 0], &[0, 1, 0], &[0, 0, 1]]);
    assert_eq!(vertex_enumeration(&coordination, &mut quiet()).unwrap().len(), 7);
    let degenerate = bimatrix(&[&[3, 3], &[2, 5], &[0, 6]], &[&[3, 3], &[2, 6], &[3, 1]]);
    let all = vertex_enumeration(&degenerate, &mut quiet()).unwrap();
    let zero = ratio(0, 1);
    assert!(all.iter().all(|m| certificate::gains(&degenerate, m).iter().all(|g| *g == zero)));
    let expected = [
        vec![fractions(&[(1, 1), (0, 1), (0, 1)]), fractions(&[(1, 1), (0, 1)])],
        vec![fractions(&[(1, 1), (0, 1), (0, 1)]), fractions(&[(2, 3), (1, 3)])],
        vec![fractions(&[(0, 1), (1, 3), (2, 3)]), fractions(&[(1, 3), (2, 3)])],
    ];
    assert_eq!(all, expected);
    let trust = bimatrix(&[&[0, 0], &[-1, 1]], &[&[0, 0], &[2, 1]]);
    assert_eq!(pure_equilibria(&trust), [[0, 0]]);
}

/// Tables whose entries fit 128 bits while products on the way to them now and then do not.
#[test]
fn exact_walks_of_large_games_agree_with_those_in_floats() {
    let mut stream = coact_core::Stream::new(1, coact_core::Purpose::Init, 0, 0);
    let payoff = |_: &[usize], _: usize| ratio(i64::from(stream.below(2001)) - 1000, 1);
    let game = NormalForm::from_fn(&[10, 10], payoff).unwrap();
    let exact = vertex_enumeration(&game, &mut quiet()).unwrap();
    let floats = vertex_enumeration(&game.convert::<f64>(), &mut quiet()).unwrap();
    assert!(exact.len() == floats.len() && exact.len() % 2 == 1, "{} and {}", exact.len(), floats.len());
    for (exact, float) in exact.iter().zip(&floats) {
        assert!(certificate::gains(&game, exact).iter().all(|gain| *gain == ratio(0, 1)));
        let apart = exact.iter().flatten().zip(float.iter().flatten()).map(|(x, y)| (x.to_float() - y).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-9);
    }
}

/// Lists in the tests of Nashpy and Gambit.
#[test]
fn listed_equilibria_of_other_programs() {
    let all = |a: &[&[i64]], b: &[&[i64]]| vertex_enumeration(&bimatrix(a, b), &mut quiet()).unwrap();
    let half = |p: (i64, i64)| fractions(&[p, (p.1 - p.0, p.1)]);
    for (a, b, expected) in [
        ([[1, 0], [-2, 3]], [[3, 2], [-1, 0]], vec![[(1, 1), (1, 1)], [(0, 1), (0, 1)], [(1, 2), (1, 2)]]),
        ([[2, 1], [0, 2]], [[2, 0], [1, 2]], vec![[(1, 1), (1, 1)], [(0, 1), (0, 1)], [(1, 3), (1, 3)]]),
        ([[3, 1], [1, 3]], [[1, 3], [3, 1]], vec![[(1, 2), (1, 2)]]),
    ] {
        let found = all(&[&a[0], &a[1]], &[&b[0], &b[1]]);
        let expected: Vec<Mixed<Rational>> =
            expected.iter().map(|e| e.iter().map(|&p| half(p)).collect()).collect();
        assert!(found.len() == expected.len() && expected.iter().all(|e| found.contains(e)), "{found:?}");
    }
    // Stripped-down poker (Myerson 1991): raise or fold with the high and the low card, against meet or pass; times 2.
    let a: [&[i64]; 4] = [&[0, 2], &[1, 0], &[-3, 0], &[-2, -2]];
    let b: [&[i64]; 4] = [&[0, -2], &[-1, 0], &[3, 0], &[2, 2]];
    let expected = vec![fractions(&[(1, 3), (2, 3), (0, 1), (0, 1)]), fractions(&[(2, 3), (1, 3)])];
    assert_eq!(all(&a, &b), [expected]);
    let pure = zero_sum(2, 3, &fractions(&[(2, 1), (1, 1), (5, 1), (-3, 1), (-4, 1), (-2, 1)])).unwrap();
    assert_eq!((pure.row, pure.column), (half((1, 1)), fractions(&[(0, 1), (1, 1), (0, 1)])));
    assert_eq!(pure.value, ratio(1, 1));
    // One-shot trust: nobody invests, and what the other would do with it is kept at least half of the time.
    let trust = crate::catalog::build("one-shot-trust").unwrap();
    let found = vertex_enumeration(&trust, &mut quiet()).unwrap();
    let support = |x: &Vec<Rational>| x.iter().filter(|p| **p != ratio(0, 1)).count();
    assert_eq!(found.iter().map(|m| (support(&m[0]), support(&m[1]))).collect::<Vec<_>>(), [(1, 1), (1, 2)]);
    assert_eq!(found[1][1], half((1, 2)));
}

/// The game of von Stengel with a long path and one equilibrium.
#[test]
fn a_long_lemke_howson_path_ends_at_the_only_equilibrium() {
    let a: [&[i64]; 6] = [
        &[-180, 72, -333, 297, -153, 270],
        &[-30, 17, -33, 42, -3, 20],
        &[-81, 36, -126, 126, -36, 90],
        &[90, -36, 126, -126, 36, -81],
        &[20, -3, 42, -33, 17, -30],
        &[270, -153, 297, -333, 72, -180],
    ];
    let b: [&[i64]; 6] = [
        &[72, 36, 17, -3, -36, -153],
        &[-180, -81, -30, 20, 90, 270],
        &[297, 126, 42, -33, -126, -333],
        &[-333, -126, -33, 42, 126, 297],
        &[270, 90, 20, -30, -81, -180],
        &[-153, -36, -3, 17, 36, 72],
    ];
    let game = bimatrix(&a, &b);
    let all = vertex_enumeration(&game, &mut quiet()).unwrap();
    assert_eq!(all.len(), 1);
    let expected = fractions(&[(1, 30), (1, 6), (3, 10), (3, 10), (1, 6), (1, 30)]);
    assert_eq!(all[0][0], expected);
    for label in 0..12 {
        assert_eq!(lemke_howson(&game, label, &mut quiet()).unwrap().mixed, all[0]);
    }
}

#[test]
fn zero_sum_games_of_the_literature() {
    let solve = |n, m, table: &[(i64, i64)]| zero_sum(n, m, &fractions(table)).unwrap();
    let biased = [(0, 1), (-1, 4), (1, 2), (1, 4), (0, 1), (-1, 20), (-1, 2), (1, 20), (0, 1)];
    let solution = solve(3, 3, &biased);
    assert_eq!((&solution.row, &solution.column), (&fractions(&[(1, 16), (10, 16), (5, 16)]), &solution.row));
    assert_eq!(solution.value, ratio(0, 1));
    let saddle = solve(2, 3, &[(2, 1), (1, 1), (5, 1), (-3, 1), (-4, 1), (-2, 1)]);
    assert_eq!(
        (saddle.value, saddle.row[0].clone(), saddle.column[1].clone()),
        (ratio(1, 1), ratio(1, 1), ratio(1, 1))
    );
    assert!(zero_sum::<f64>(0, 0, &[]).is_err() && zero_sum(1, 2, &[1.0]).is_err());
    assert_eq!(zero_sum(1, 1, &[-7.5]).unwrap().value, -7.5);
}

#[test]
fn correlated_programs_find_the_best_joint_distribution() {
    let game = bimatrix(&[&[6, 2], &[7, 0]], &[&[6, 7], &[2, 0]]);
    let best = correlated(&game, Concept::Correlated, Selection::Welfare).unwrap();
    assert_eq!(best.joint, fractions(&[(1, 2), (1, 4), (1, 4), (0, 1)]));
    assert_eq!(best.value, ratio(21, 2));
    let fair = correlated(&game, Concept::Correlated, Selection::Egalitarian).unwrap();
    assert_eq!(fair.value, ratio(21, 4));
    let first = correlated(&game, Concept::Correlated, Selection::Player(0)).unwrap();
    assert_eq!(first.payoffs[0], ratio(7, 1));
    assert!(correlated(&game, Concept::Correlated, Selection::Player(2)).is_err());
    let coarse = correlated(&game, Concept::CoarseCorrelated, Selection::Welfare).unwrap();
    assert!(coarse.value >= best.value);
    assert!(certificate::coarse_correlated_gain(&game, &coarse.joint) <= ratio(0, 1));
}

#[test]
fn commitment_pays() {
    let simple = bimatrix(&[&[2, 4], &[1, 3]], &[&[1, 0], &[0, 1]]);
    let commitment = stackelberg(&simple).unwrap();
    assert_eq!(commitment.payoffs[0], ratio(7, 2));
    assert_eq!(commitment.leader, fractions(&[(1, 2), (1, 2)]));
}

#[test]
fn dominance_by_rounds() {
    let dilemma = bimatrix(&[&[5, 0], &[10, 1]], &[&[5, 10], &[0, 1]]);
    assert_eq!(iterated_dominance(&dilemma, Dominance::Strict).unwrap(), [[1], [1]]);
    // The middle row is dominated by mixing the others, and by neither alone.
    let mixed = bimatrix(&[&[3, 0], &[1, 1], &[0, 3]], &[&[1, 0], &[0, 1], &[1, 1]]);
    assert_eq!(iterated_dominance(&mixed, Dominance::Strict).unwrap()[0], [0, 1, 2]);
    assert_eq!(iterated_dominance(&mixed, Dominance::StrictMixed).unwrap()[0], [0, 2]);
    let weak = bimatrix(&[&[1, 1], &[1, 0]], &[&[1, 1], &[1, 1]]);
    assert_eq!(iterated_dominance(&weak, Dominance::Strict).unwrap(), [[0, 1], [0, 1]]);
    assert_eq!(iterated_dominance(&weak, Dominance::Weak).unwrap(), [vec![0], vec![0, 1]]);
}

/// McKelvey and McLennan's game: nine equilibria, two of them totally mixed.
#[test]
fn a_game_of_three_players_with_nine_equilibria() {
    let pairs = [[9, 8, 12], [0, 0, 0], [0, 0, 0], [9, 8, 2], [0, 0, 0], [3, 4, 6], [3, 4, 6], [0, 0, 0]];
    let game =
        NormalForm::from_fn(&[2, 2, 2], |s, i| ratio(pairs[s[0] + 2 * s[1] + 4 * s[2]][i], 1)).unwrap();
    let found = polynomial_supports(&game, &mut quiet()).unwrap();
    let first: Vec<[f64; 3]> = found.equilibria.iter().map(|m| [m[0][0], m[1][0], m[2][0]]).collect();
    let expected = [
        [1.0, 1.0, 1.0],
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.5, 0.5, 1.0],
        [1.0 / 3.0, 1.0, 0.25],
        [0.0, 0.25, 1.0 / 3.0],
        [0.5, 0.4, 0.25],
        [0.4, 0.5, 1.0 / 3.0],
    ];
    assert!(found.complete);
    assert_eq!(first.len(), 9, "{first:?}");
    for e in expected {
        assert!(
            first.iter().any(|f| f.iter().zip(&e).all(|(a, b)| (a - b).abs() < 1e-12)),
            "{e:?} in {first:?}"
        );
    }
    let exact: Option<Vec<_>> = found.equilibria.iter().map(|m| rationalize(&game, m)).collect();
    assert_eq!(exact.unwrap().len(), 9);
}

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../testdata/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn table(value: &Value) -> (usize, usize, Vec<f64>) {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    (rows.len(), rows[0].len(), rows.concat())
}

fn same(found: &[Mixed<f64>], expected: &Value) -> bool {
    let expected = expected.as_array().unwrap();
    let close = |mixed: &Mixed<f64>, e: &Value| {
        let list = |v: &Value| serde_json::from_value::<Vec<f64>>(v.clone()).unwrap();
        let listed = [list(&e["row"]), list(&e["col"])].concat();
        mixed.concat().iter().zip(listed).all(|(a, b)| (a - b).abs() < 1e-6)
    };
    found.len() == expected.len()
        && expected.iter().all(|e| found.iter().filter(|m| close(m, e)).count() == 1)
}

#[test]
fn recorded_bimatrix_games() {
    for case in vectors("games_bimatrix")["cases"].as_array().unwrap() {
        let ((m, n, a), (_, _, b)) = (table(&case["A"]), table(&case["B"]));
        let floats = NormalForm::bimatrix(m, n, a.clone(), b).unwrap();
        let game: NormalForm<Rational> = floats.convert();
        let as_floats = |all: Vec<Mixed<Rational>>| -> Vec<Mixed<f64>> {
            all.iter().map(|m| m.iter().map(|x| x.iter().map(Scalar::to_float).collect()).collect()).collect()
        };
        let name = format!("seed {} k {}", case["seed"], case["k"]);
        let expected = &case["equilibria"];
        assert!(same(&as_floats(vertex_enumeration(&game, &mut quiet()).unwrap()), expected), "{name}");
        assert!(same(&vertex_enumeration(&floats, &mut quiet()).unwrap(), expected), "{name} floats");
        // Some of the games tie, and then have equilibria with supports of different sizes.
        let size =
            |e: &Value, of: &str| e[of].as_array().unwrap().iter().filter(|p| **p != 0.0 && **p != 0).count();
        let listed = expected.as_array().unwrap().iter().filter(|e| size(e, "row") == size(e, "col"));
        let listed = Value::from(listed.cloned().collect::<Vec<Value>>());
        assert!(same(&as_floats(support_enumeration(&game, &mut quiet()).unwrap()), &listed), "{name}");
        assert!(same(&support_enumeration(&floats, &mut quiet()).unwrap(), &listed), "{name} floats");
        let pure: Vec<Vec<usize>> = serde_json::from_value(case["pure"].clone()).unwrap();
        assert_eq!(pure_equilibria(&game), pure, "{name}");
        for (concept, key) in [
            (Concept::Correlated, "max_welfare_correlated_eq"),
            (Concept::CoarseCorrelated, "max_welfare_coarse_correlated_eq"),
        ] {
            let found = correlated(&floats, concept, Selection::Welfare).unwrap().value;
            assert!((found - case[key].as_f64().unwrap()).abs() < 1e-6, "{name}: {key} {found}");
        }
        let survivors: Vec<Vec<usize>> =
            serde_json::from_value(case["iterated_strict_pure_dominance_survivors"].clone()).unwrap();
        assert_eq!(iterated_dominance(&game, Dominance::Strict).unwrap(), survivors, "{name}");
        if let Some(value) = case.get("zero_sum_value").and_then(Value::as_f64) {
            assert!((zero_sum(m, n, &a).unwrap().value - value).abs() < 1e-6, "{name}");
        }
    }
}

#[test]
fn recorded_zero_sum_games() {
    for case in vectors("games_zero_sum")["cases"].as_array().unwrap() {
        let (m, n, a) = table(&case["A"]);
        let value = case["value"].as_f64().unwrap();
        let solution = zero_sum(m, n, &a).unwrap();
        assert!((solution.value - value).abs() < 1e-7);
        let (low, high) = certificate::zero_sum_bounds(&a, &solution.row, &solution.column);
        assert!(low >= value - 1e-6 && high <= value + 1e-6);
    }
}

/// Games with many ties: few different payoffs, one strategy, equal rows.
fn any_bimatrix() -> impl Strategy<Value = NormalForm<Rational>> {
    (1usize..5, 1usize..5, 1i64..30).prop_flat_map(|(m, n, range)| {
        let tables = prop::collection::vec((0..range).prop_map(|x| ratio(x, 1)), 2 * m * n);
        tables
            .prop_map(move |t| NormalForm::bimatrix(m, n, t[..m * n].to_vec(), t[m * n..].to_vec()).unwrap())
    })
}

/// One to four players.
fn any_game() -> impl Strategy<Value = NormalForm<Rational>> {
    prop::collection::vec(1usize..4, 1..5).prop_flat_map(|shape| {
        let n: usize = shape.iter().product();
        let tables = prop::collection::vec(
            prop::collection::vec((-9i64..10).prop_map(|x| ratio(x, 1)), n),
            shape.len(),
        );
        tables.prop_map(move |tables| NormalForm::new(&shape, tables).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_listed_equilibrium_is_one_also_in_degenerate_games(game in any_bimatrix()) {
        let zero = ratio(0, 1);
        let is_one = |m: &Mixed<Rational>| {
            certificate::check_mixed(&game, m).is_ok() && certificate::gains(&game, m).iter().all(|g| *g == zero)
        };
        let all = vertex_enumeration(&game, &mut quiet()).unwrap();
        prop_assert!(!all.is_empty() && all.iter().all(is_one));
        prop_assert!(support_enumeration(&game, &mut quiet()).unwrap().iter().all(is_one));
        for label in 0..game.shape()[0] + game.shape()[1] {
            let end = lemke_howson(&game, label, &mut quiet()).unwrap();
            prop_assert!(is_one(&end.mixed) && all.contains(&end.mixed));
        }
        for profile in pure_equilibria(&game) {
            prop_assert!(all.contains(&crate::normal_form::pure(game.shape(), &profile)));
        }
    }

    /// Payoffs in any unit, and moved by any amount, keep their equilibria.
    #[test]
    fn scale_does_not_matter(game in any_bimatrix(), power in -9i32..10, shift in -100i64..100) {
        let scale = 10f64.powi(power);
        let scaled = NormalForm::<f64>::from_fn(game.shape(), |s, i| {
            (game.payoff(s, i).to_float() + shift as f64) * scale
        }).unwrap();
        let end = lemke_howson(&scaled, 0, &mut quiet()).unwrap();
        prop_assert!(certificate::check_mixed(&scaled, &end.mixed).is_ok());
        let worst = certificate::gains(&scaled, &end.mixed).into_iter().fold(0.0, f64::max);
        prop_assert!(worst <= 1e-7 * scale, "gain {worst} at scale {scale}");
        let found = zero_sum(game.shape()[0], game.shape()[1], scaled.table(0)).unwrap();
        let exact = zero_sum(game.shape()[0], game.shape()[1], game.table(0)).unwrap();
        prop_assert!((found.value / scale - shift as f64 - exact.value.to_float()).abs() < 1e-7);
    }

    #[test]
    fn zero_sum_guarantees_meet(game in any_bimatrix()) {
        let [m, n] = [game.shape()[0], game.shape()[1]];
        let solution = zero_sum(m, n, game.table(0)).unwrap();
        let (low, high) = certificate::zero_sum_bounds(game.table(0), &solution.row, &solution.column);
        prop_assert_eq!(&low, &solution.value);
        prop_assert_eq!(&high, &solution.value);
    }

    #[test]
    fn programs_for_many_players_are_certified(game in any_game()) {
        let zero = ratio(0, 1);
        let correlated_best = correlated(&game, Concept::Correlated, Selection::Welfare).unwrap();
        prop_assert_eq!(certificate::correlated_gain(&game, &correlated_best.joint), zero.clone());
        prop_assert!(certificate::is_distribution(&correlated_best.joint));
        let coarse = correlated(&game, Concept::CoarseCorrelated, Selection::Egalitarian).unwrap();
        prop_assert_eq!(certificate::coarse_correlated_gain(&game, &coarse.joint), zero.clone());
        let least = coarse.payoffs.iter().min().unwrap();
        prop_assert_eq!(least, &coarse.value);
        for profile in pure_equilibria(&game) {
            let welfare = (0..game.n_players()).fold(zero.clone(), |s, i| s + game.payoff(&profile, i));
            prop_assert!(correlated_best.value >= welfare);
            prop_assert!(certificate::gains(&game, &crate::normal_form::pure(game.shape(), &profile)).iter().all(|g| *g == zero));
        }
    }

    /// Survivors of strict dominance hold every equilibrium, and mixtures dominate at least as much.
    #[test]
    fn eliminations_keep_equilibria(game in any_bimatrix()) {
        let strict = iterated_dominance(&game, Dominance::Strict).unwrap();
        let mixed = iterated_dominance(&game, Dominance::StrictMixed).unwrap();
        for (s, m) in strict.iter().zip(&mixed) {
            prop_assert!(!m.is_empty() && m.iter().all(|k| s.contains(k)));
        }
        for equilibrium in vertex_enumeration(&game, &mut quiet()).unwrap() {
            for (x, alive) in equilibrium.iter().zip(&mixed) {
                prop_assert!(x.iter().enumerate().all(|(k, p)| *p == ratio(0, 1) || alive.contains(&k)));
            }
        }
    }

    /// No commitment of the leader to a pure strategy, with the reply it prefers, earns more.
    #[test]
    fn commitments_are_best(game in any_bimatrix()) {
        let best = stackelberg(&game).unwrap();
        let [m, n] = [game.shape()[0], game.shape()[1]];
        let earned = |reply: usize| (0..m).fold(ratio(0, 1), |s, i| s + &best.leader[i] * game.payoff(&[i, reply], 1));
        prop_assert!((0..n).all(|j| earned(j) <= earned(best.reply)));
        for i in 0..m {
            let top = (0..n).map(|j| game.payoff(&[i, j], 1)).max().unwrap();
            for j in (0..n).filter(|&j| game.payoff(&[i, j], 1) == top) {
                prop_assert!(best.payoffs[0] >= *game.payoff(&[i, j], 0));
            }
        }
    }

    /// Two players are a case of many.
    #[test]
    fn polynomial_supports_agree_on_two_players(game in any_bimatrix().prop_filter("small", |g| g.n_profiles() <= 9)) {
        let found = polynomial_supports(&game, &mut quiet()).unwrap();
        for mixed in &found.equilibria {
            let gains = certificate::gains(&game.convert::<f64>(), mixed);
            prop_assert!(gains.iter().all(|&g| g < 1e-7));
        }
        if found.complete {
            for mixed in support_enumeration(&game, &mut quiet()).unwrap() {
                let near = |f: &Mixed<f64>| f.iter().flatten().zip(mixed.iter().flatten()).all(|(a, b)| (a - b.to_float()).abs() < 1e-6);
                prop_assert!(found.equilibria.iter().any(near), "{mixed:?} is not in {found:?}");
            }
        }
    }
}
