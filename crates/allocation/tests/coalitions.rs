//! Coalitions: known values, axioms, and stability checked by other means.

#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use coact_allocation::coalition::{
    CoalitionGame, best_structure, check_least_core, least_core, shapley_value, shapley_value_sampled,
};
use coact_core::rng::{Purpose, Stream};
use proptest::prelude::*;

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let far = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-12);
    assert!(!far, "{found:?} {expected:?}");
}

/// One left glove, two right ones; a pair is worth 1.
fn gloves() -> CoalitionGame {
    CoalitionGame::from_fn(3, |c| if c & 1 == 1 && c & 6 != 0 { 1.0 } else { 0.0 }).unwrap()
}

fn voting(quota: u32, weights: &[u32]) -> CoalitionGame {
    let weight = |c: usize| (0..weights.len()).filter(|i| c >> i & 1 == 1).map(|i| weights[i]).sum::<u32>();
    CoalitionGame::from_fn(weights.len(), |c| f64::from(u8::from(weight(c) >= quota))).unwrap()
}

#[test]
fn known_values() {
    close(&shapley_value(&gloves()), &[2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]);
    let airport = CoalitionGame::from_fn(3, |c| f64::from(usize::BITS - c.leading_zeros())).unwrap();
    close(&shapley_value(&airport), &[1.0 / 3.0, 5.0 / 6.0, 11.0 / 6.0]);
    close(&shapley_value(&voting(6, &[4, 3, 2, 1])), &[5.0 / 12.0, 0.25, 0.25, 1.0 / 12.0]);
    assert_eq!(shapley_value(&CoalitionGame::new(0, vec![0.0]).unwrap()), Vec::<f64>::new());
}

#[test]
fn known_cores() {
    // The owner of the scarce glove gets everything.
    let core = least_core(&gloves()).unwrap();
    assert!(core.core_exists(1e-9));
    close(&core.payoffs, &[1.0, 0.0, 0.0]);
    // Three players of whom any two decide: each pair complains by 1/3.
    let majority = voting(2, &[1, 1, 1]);
    let core = least_core(&majority).unwrap();
    assert!((core.epsilon - 1.0 / 3.0).abs() < 1e-12 && !core.core_exists(1e-9));
    close(&core.payoffs, &[1.0 / 3.0; 3]);
    let alone = CoalitionGame::new(1, vec![0.0, 7.0]).unwrap();
    assert_eq!(least_core(&alone).unwrap().payoffs, [7.0]);
    assert!(least_core(&CoalitionGame::new(0, vec![0.0]).unwrap()).is_err());
}

fn games() -> impl Strategy<Value = CoalitionGame> {
    (1..7_usize).prop_flat_map(|n| {
        prop::collection::vec(-20..40_i32, 1 << n).prop_map(move |mut v| {
            v[0] = 0;
            CoalitionGame::new(n, v.into_iter().map(f64::from).collect()).unwrap()
        })
    })
}

fn add(a: &CoalitionGame, b: &CoalitionGame) -> CoalitionGame {
    CoalitionGame::from_fn(a.n_players(), |c| a.value(c) + b.value(c)).unwrap()
}

/// All partitions, by the coalition of the lowest player.
fn best_by_force(game: &CoalitionGame, left: usize) -> f64 {
    if left == 0 {
        return 0.0;
    }
    let lowest = left & left.wrapping_neg();
    let with_lowest = (1..=left).filter(|c| c & !left == 0 && c & lowest != 0);
    with_lowest.map(|c| game.value(c) + best_by_force(game, left & !c)).fold(f64::NEG_INFINITY, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_axioms_hold(game in games()) {
        let n = game.n_players();
        let value = shapley_value(&game);
        prop_assert!((value.iter().sum::<f64>() - game.value(game.grand())).abs() < 1e-9, "efficiency");
        // Player 0 made a dummy that adds exactly 2, and players 0 and 1 made alike.
        let dummy = CoalitionGame::from_fn(n, |c| game.value(c & !1) + if c & 1 == 1 { 2.0 } else { 0.0 }).unwrap();
        prop_assert!((shapley_value(&dummy)[0] - 2.0).abs() < 1e-9, "dummy");
        if n > 1 {
            let swap = |c: usize| (c & !3) | ((c & 1) << 1) | (c >> 1 & 1);
            let alike = CoalitionGame::from_fn(n, |c| game.value(c) + game.value(swap(c))).unwrap();
            let value = shapley_value(&alike);
            prop_assert!((value[0] - value[1]).abs() < 1e-9, "symmetry");
        }
        let sum = shapley_value(&add(&game, &dummy));
        let parts = shapley_value(&dummy);
        prop_assert!((0..n).all(|i| (sum[i] - value[i] - parts[i]).abs() < 1e-9), "additivity");
    }

    #[test]
    fn least_cores_are_proved(game in games()) {
        let core = least_core(&game).unwrap();
        check_least_core(&game, &core, 1e-8).unwrap();
        if game.n_players() > 1 {
            for change in 0..3 {
                let mut wrong = core.clone();
                match change {
                    0 => wrong.epsilon -= 0.1,
                    1 => wrong.payoffs[0] += 0.1,
                    _ => wrong.weights[0].1 += 0.1,
                }
                prop_assert!(check_least_core(&game, &wrong, 1e-8).is_err(), "change {change}");
            }
        }
    }

    #[test]
    fn structures_are_the_best(game in games()) {
        let found = best_structure(&game).unwrap();
        prop_assert_eq!(found.total, best_by_force(&game, game.grand()));
        prop_assert_eq!(found.coalitions.iter().fold(0, |all, c| all | c), game.grand());
        prop_assert_eq!(found.coalitions.iter().sum::<usize>(), game.grand());
        prop_assert_eq!(found.coalitions.iter().map(|&c| game.value(c)).sum::<f64>(), found.total);
    }
}

#[test]
fn samples_come_near_and_know_how_near() {
    let mut stream = Stream::new(1, Purpose::Init, 0, 0);
    let weights: Vec<f64> = (0..10).map(|_| stream.uniform_f64()).collect();
    let worth = |inside: &[bool]| {
        let sum: f64 = inside.iter().zip(&weights).filter(|(i, _)| **i).map(|(_, w)| w).sum();
        sum.sqrt()
    };
    let game =
        CoalitionGame::from_fn(10, |c| worth(&(0..10).map(|i| c >> i & 1 == 1).collect::<Vec<_>>())).unwrap();
    let exact = shapley_value(&game);
    let sampled = shapley_value_sampled(10, 2000, 5, worth).unwrap();
    assert!((sampled.values.iter().sum::<f64>() - game.value(game.grand())).abs() < 1e-9);
    for (i, exact) in exact.iter().enumerate() {
        let error = (sampled.values[i] - exact).abs();
        assert!(error < 4.0 * sampled.standard_errors[i], "player {i}: {error}");
        assert!(error < sampled.error_bound(1.0, 0.01));
    }
    assert!(sampled.error_bound(1.0, 0.01) < 0.04);
    assert_eq!(sampled, shapley_value_sampled(10, 2000, 5, worth).unwrap());
    assert_ne!(sampled, shapley_value_sampled(10, 2000, 6, worth).unwrap());
    assert!(shapley_value_sampled(3, 0, 0, |_| 0.0).is_err());
}

#[test]
fn wrong_games_are_refused() {
    assert!(CoalitionGame::new(2, vec![0.0; 3]).is_err());
    assert!(CoalitionGame::new(1, vec![1.0, 2.0]).is_err());
    assert!(CoalitionGame::new(1, vec![0.0, f64::NAN]).is_err());
    assert!(CoalitionGame::new(40, vec![]).is_err());
    let large = CoalitionGame::from_fn(19, |_| 1.0).unwrap();
    assert!(best_structure(&large).unwrap_err().to_string().contains("18"));
}
