//! Markov games: known values, certificates, learners against the truth.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use coact_games::markov::certificate::{assess, certify};
use coact_games::markov::grid_games::{self, grid_game_1, grid_game_2};
use coact_games::markov::learn::{
    Concept, JointQ, METHODS, MarkovLearner, Rates, Selection, Settings, WolfPhc, train, train_with,
};
use coact_games::markov::shapley::{Form, Options, solve};
use coact_games::markov::stage::MatrixGame;
use coact_games::markov::{MarkovGame, MarkovGameBuilder, soccer};
use proptest::prelude::*;

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

#[test]
fn soccer_by_both_forms() {
    let game = soccer::soccer(0.9).unwrap();
    assert_eq!(game.n_states(), 761);
    let first = soccer::state(soccer::FIRST_START, soccer::SECOND_START, 0);
    let mut iterations = Vec::new();
    for form in [Form::Shapley, Form::Newton] {
        let solution = solve(&game, form, &Options::default()).unwrap();
        close(solution.values[first], 0.218484, 5e-7);
        close(solution.values[first + 1], -0.218484, 5e-7);
        let proof = certify(&game, &solution.values, &solution.row, &solution.column).unwrap();
        assert!(proof.bound < 1e-8, "{proof:?}");
        // Two states that differ in the ball alone and mirror each other are worth opposite amounts.
        close(solution.values[first] + solution.values[first + 1], 0.0, 1e-9);
        iterations.push(solution.residuals.len());
    }
    assert!(iterations[1] < 25 && iterations[1] < iterations[0] / 2, "{iterations:?}");
}

/// A game of one state that goes on for ever is its matrix game over `1 - gamma`.
fn repeated(payoff: &[f64], n: usize, gamma: f64) -> MarkovGame {
    MarkovGame::zero_sum(1, [payoff.len() / n, n], gamma, payoff, &vec![1.0; payoff.len()]).unwrap()
}

#[test]
fn a_single_state_is_its_matrix_game() {
    let game = repeated(&[0.0, -0.25, 0.5, 0.25, 0.0, -0.05, -0.5, 0.05, 0.1], 3, 0.5);
    let solution = solve(&game, Form::Newton, &Options::default()).unwrap();
    let mut stage = MatrixGame::default();
    let value = stage.solve(&[0.0, -0.25, 0.5, 0.25, 0.0, -0.05, -0.5, 0.05, 0.1], 3, 3);
    close(solution.values[0], 2.0 * value, 1e-12);
}

#[test]
fn recorded_games() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/games_stochastic_zero_sum.json");
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 10);
    fn flat(v: &serde_json::Value, out: &mut Vec<f64>) {
        match v {
            serde_json::Value::Array(list) => list.iter().for_each(|v| flat(v, out)),
            number => out.push(number.as_f64().unwrap()),
        }
    }
    for case in cases {
        let (mut reward, mut transition, mut value) = (Vec::new(), Vec::new(), Vec::new());
        flat(&case["reward"], &mut reward);
        flat(&case["transition"], &mut transition);
        flat(&case["value"], &mut value);
        let shape =
            [&case["reward"], &case["reward"][0], &case["reward"][0][0]].map(|v| v.as_array().unwrap().len());
        let gamma = case["gamma"].as_f64().unwrap();
        let game = MarkovGame::zero_sum(shape[0], [shape[1], shape[2]], gamma, &reward, &transition).unwrap();
        for form in [Form::Shapley, Form::Newton] {
            let solution = solve(&game, form, &Options::default()).unwrap();
            solution.values.iter().zip(&value).for_each(|(&v, &e)| close(v, e, 1e-6));
            assert!(certify(&game, &solution.values, &solution.row, &solution.column).unwrap().bound < 1e-6);
        }
    }
}

#[test]
fn a_wrong_solution_has_a_large_bound() {
    let game = repeated(&[1.0, -1.0, -1.0, 1.0], 2, 0.5);
    let proof = certify(&game, &[0.0], &[0.9, 0.1], &[0.5, 0.5]).unwrap();
    close(proof.row_gap, 0.8, 1e-12);
    close(proof.bound, 1.6, 1e-12);
    assert!(certify(&game, &[0.25], &[0.5, 0.5], &[0.5, 0.5]).unwrap().bound > 0.24);
    assert!(certify(&game, &[0.0], &[0.9, 0.2], &[0.5, 0.5]).is_err());
}

#[test]
fn faults_are_named() {
    let short = MarkovGame::zero_sum(1, [1, 1], 0.9, &[0.0], &[0.9]).unwrap_err().to_string();
    assert!(short.contains("sum to 0.9"), "{short}");
    assert!(MarkovGame::zero_sum(2, [1, 1], 0.9, &[0.0], &[1.0]).is_err());
    let mut b = MarkovGameBuilder::new(1, &[1, 1], 0.9);
    b.outcome(0, 0, 0, 1.0, &[1.0, 1.0]);
    let general = solve(&b.build().unwrap(), Form::Newton, &Options::default()).unwrap_err().to_string();
    assert!(general.contains("not zero-sum"), "{general}");
    assert!(solve(&repeated(&[0.0], 1, 1.0), Form::Shapley, &Options::default()).is_err());
}

/// Payoffs and next-state weights of a random game of 3 states, 3 x 2 actions.
fn games() -> impl Strategy<Value = (MarkovGame, f64)> {
    let scale = prop_oneof![Just(1.0), Just(1e-9), Just(1e9)];
    let cell = (-3_i32..4, prop::collection::vec(0_u32..3, 3));
    (prop::collection::vec(cell, 18), scale, 0.0..0.95_f64).prop_map(|(cells, scale, gamma)| {
        let reward: Vec<f64> = cells.iter().map(|(r, _)| f64::from(*r) * scale).collect();
        let row = |w: &Vec<u32>| -> Vec<f64> {
            let total = f64::from(w.iter().sum::<u32>() + 1);
            (0..3).map(|s| f64::from(w[s] + u32::from(s == 0)) / total).collect()
        };
        let transition: Vec<f64> = cells.iter().flat_map(|(_, w)| row(w)).collect();
        (MarkovGame::zero_sum(3, [3, 2], gamma, &reward, &transition).unwrap(), scale)
    })
}

proptest! {
    #[test]
    fn both_forms_agree_and_are_certified((game, scale) in games()) {
        let options = Options { tolerance: 1e-9 * scale, ..Options::default() };
        let shapley = solve(&game, Form::Shapley, &options).unwrap();
        let newton = solve(&game, Form::Newton, &options).unwrap();
        for s in 0..3 {
            prop_assert!((shapley.values[s] - newton.values[s]).abs() <= 1e-8 * scale);
        }
        for solution in [shapley, newton] {
            let proof = certify(&game, &solution.values, &solution.row, &solution.column).unwrap();
            prop_assert!(proof.bound <= 1e-7 * scale, "{proof:?}");
        }
    }

    /// What one strategy guarantees must be what the other concedes, for games of any shape with many ties.
    #[test]
    fn matrix_games_are_solved(
        (m, n, payoff) in (1_usize..7, 1_usize..7)
            .prop_flat_map(|(m, n)| (Just(m), Just(n), prop::collection::vec(-2_i32..3, m * n)))
    ) {
        let payoff: Vec<f64> = payoff.into_iter().map(f64::from).collect();
        let mut game = MatrixGame::default();
        let value = game.solve(&payoff, m, n);
        for j in 0..n {
            let secured: f64 = (0..m).map(|i| game.row[i] * payoff[i * n + j]).sum();
            prop_assert!(secured >= value - 1e-12, "{secured} {value}");
        }
        for i in 0..m {
            let conceded: f64 = (0..n).map(|j| game.column[j] * payoff[i * n + j]).sum();
            prop_assert!(conceded <= value + 1e-12, "{conceded} {value}");
        }
    }
}

#[test]
fn minimax_q_learns_rock_paper_scissors() {
    let game = repeated(&[0.0, -1.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0], 3, 0.9);
    let rates = Rates { alpha_decay: 0.9995, ..Rates::default() };
    let mut learner = JointQ::new(&game, Concept::Minimax, rates, 1.0).unwrap();
    train(&game, &mut learner, 20_000, 100, 0).unwrap();
    learner.strategy(0, 0).iter().for_each(|&p| close(p, 1.0 / 3.0, 0.02));
    close(learner.value(0, 0) + learner.value(1, 0), 0.0, 0.2);
}

/// The best correlated equilibrium of chicken pays 10.5 in sum; learned in a game of one step.
#[test]
fn correlated_q_finds_the_best_equilibrium_of_chicken() {
    let payoff = [[6.0, 6.0], [2.0, 7.0], [7.0, 2.0], [0.0, 0.0]];
    let mut b = MarkovGameBuilder::new(2, &[2, 2], 0.9);
    b.terminal(1);
    for (joint, rewards) in payoff.iter().enumerate() {
        b.outcome(0, joint, 1, 1.0, rewards);
    }
    let game = b.build().unwrap();
    let learned = |selection| {
        let rates = Rates { alpha: 0.5, alpha_decay: 1.0, explore: 0.5, ..Rates::default() };
        let mut learner = JointQ::new(&game, Concept::Correlated(selection), rates, 0.0).unwrap();
        train(&game, &mut learner, 2_000, 10, 1).unwrap();
        learner
    };
    let utilitarian = learned(Selection::Utilitarian);
    close(utilitarian.value(0, 0) + utilitarian.value(1, 0), 10.5, 1e-6);
    let expected = [0.5, 0.25, 0.25, 0.0];
    utilitarian.correlated(0).unwrap().iter().zip(expected).for_each(|(&p, e)| close(p, e, 1e-6));
    let egalitarian = learned(Selection::Egalitarian);
    close(egalitarian.value(0, 0).min(egalitarian.value(1, 0)), 5.25, 1e-6);
    let republican = learned(Selection::Republican);
    close(republican.value(0, 0).max(republican.value(1, 0)), 7.0, 1e-6);
    let libertarian = learned(Selection::Libertarian);
    close(libertarian.value(0, 0), 7.0, 1e-6);
    close(libertarian.value(1, 0), 7.0, 1e-6);
    assert!(libertarian.correlated(0).is_none());
}

#[test]
fn friends_reach_their_goals_in_grid_game_1() {
    let game = grid_game_1(0.99).unwrap();
    let rates = Rates { alpha: 1.0, alpha_decay: 1.0, explore: 1.0, ..Rates::default() };
    let mut friends = JointQ::new(&game, Concept::Friend, rates, 0.0).unwrap();
    train(&game, &mut friends, 40_000, 50, 2).unwrap();
    close(friends.value(0, grid_games::START), 100.0 * 0.99_f64.powi(3), 1e-9);
    let mut mixed = JointQ::new(&game, Concept::FriendOrFoe([true, false]), rates, 0.0).unwrap();
    train(&game, &mut mixed, 40_000, 50, 2).unwrap();
    // A foe can stand in the way for ever.
    assert!(mixed.value(1, grid_games::START) < mixed.value(0, grid_games::START) - 50.0);
}

/// Battle of the sexes, played once: of its three equilibria the one with the largest sum is chosen.
#[test]
fn nash_q_chooses_the_best_equilibrium() {
    let payoff = [[3.0, 2.0], [0.0, 0.0], [0.0, 0.0], [2.0, 4.0]];
    let mut b = MarkovGameBuilder::new(2, &[2, 2], 0.9);
    b.terminal(1);
    for (joint, rewards) in payoff.iter().enumerate() {
        b.outcome(0, joint, 1, 1.0, rewards);
    }
    let game = b.build().unwrap();
    let rates = Rates { alpha: 1.0, alpha_decay: 1.0, explore: 1.0, ..Rates::default() };
    let mut learner = JointQ::new(&game, Concept::Nash, rates, 0.0).unwrap();
    train(&game, &mut learner, 200, 10, 1).unwrap();
    assert_eq!((learner.value(0, 0), learner.value(1, 0)), (2.0, 4.0));
    assert_eq!(learner.strategy(0, 0), &[0.0, 1.0]);
    let three =
        MarkovGameBuilder::new(1, &[1, 1, 1], 0.9).outcome(0, 0, 0, 1.0, &[0.0; 3]).clone().build().unwrap();
    assert!(JointQ::new(&three, Concept::Nash, rates, 0.0).is_err());
}

/// Both find their four steps in game 1, whose equilibrium values are unique.
#[test]
fn nash_q_in_grid_game_1() {
    let rates = Rates { alpha: 1.0, alpha_decay: 1.0, explore: 1.0, ..Rates::default() };
    let game = grid_game_1(0.99).unwrap();
    let mut learner = JointQ::new(&game, Concept::Nash, rates, 0.0).unwrap();
    train(&game, &mut learner, 15_000, 50, 4).unwrap();
    (0..2).for_each(|player| close(learner.value(player, grid_games::START), 100.0 * 0.99_f64.powi(3), 1e-6));
}

#[test]
fn barriers_hold_half_of_the_time() {
    let game = grid_game_2(0.99).unwrap();
    let up_right = game.joint(&[0, 3]);
    let outcomes: Vec<(usize, f64)> = game.outcomes(grid_games::START, up_right).collect();
    assert_eq!(outcomes, vec![(9 * 3 + 8, 0.5), (grid_games::START, 0.5)]);
}

#[test]
fn wolf_converges_on_matching_pennies_and_rock_paper_scissors() {
    let rates = Rates { alpha: 0.1, alpha_decay: 1.0, explore: 0.05, ..Rates::default() };
    for (payoff, n) in
        [(vec![1.0, -1.0, -1.0, 1.0], 2_usize), (vec![0.0, -1.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0], 3)]
    {
        let game = repeated(&payoff, n, 0.0);
        let mut learner = WolfPhc::new(&game, rates, 0.002, 0.008, 20_000.0).unwrap();
        train(&game, &mut learner, 400_000, 100, 3).unwrap();
        for player in 0..2 {
            learner.strategy(player, 0).iter().for_each(|&p| close(p, 1.0 / n as f64, 0.05));
            learner.average(player, 0).iter().for_each(|&p| close(p, 1.0 / n as f64, 0.05));
        }
    }
}

#[test]
fn a_terminated_step_is_worth_its_reward_and_a_cut_one_bootstraps() {
    // One state that pays 1 for ever: episodes are cut after 3 steps, the value is 1 / (1 - gamma) all the same.
    let mut b = MarkovGameBuilder::new(1, &[1, 1], 0.9);
    b.outcome(0, 0, 0, 1.0, &[1.0, 1.0]);
    let rates = Rates { alpha: 0.5, alpha_decay: 1.0, ..Rates::default() };
    let game = b.build().unwrap();
    let mut learner = JointQ::new(&game, Concept::Friend, rates, 0.0).unwrap();
    train(&game, &mut learner, 2_000, 3, 0).unwrap();
    close(learner.value(0, 0), 10.0, 1e-9);
    // The same with an end: the reward alone.
    let mut b = MarkovGameBuilder::new(2, &[1, 1], 0.9);
    b.terminal(1).outcome(0, 0, 1, 1.0, &[1.0, 1.0]);
    let game = b.build().unwrap();
    let mut learner = JointQ::new(&game, Concept::Friend, rates, 5.0).unwrap();
    train(&game, &mut learner, 2_000, 3, 0).unwrap();
    close(learner.value(0, 0), 1.0, 1e-9);
}

/// Best answers to strategies by hand: a player who always shows heads is beaten in every round.
#[test]
fn assessments_find_what_a_best_answer_gains() {
    let game = repeated(&[1.0, -1.0, -1.0, 1.0], 2, 0.9);
    let even = assess(&game, &[vec![0.5, 0.5], vec![0.5, 0.5]]).unwrap();
    close(even.nash_conv(), 0.0, 1e-12);
    let heads = assess(&game, &[vec![1.0, 0.0], vec![0.25, 0.75]]).unwrap();
    // The first gets 1/4 - 3/4 a round and could get 1/2; the second could get 1. Ten rounds' worth at 0.9.
    close(heads.values[0][0], -5.0, 1e-9);
    close(heads.gains[0], 10.0, 1e-9);
    close(heads.best[1][0], 10.0, 1e-9);
    close(heads.gains[1], 5.0, 1e-9);
    assert!(
        assess(&game, &[vec![1.0, 0.0]]).is_err()
            && assess(&game, &[vec![0.6, 0.6], vec![1.0, 0.0]]).is_err()
    );
    assert!(assess(&repeated(&[1.0], 1, 1.0), &[vec![1.0], vec![1.0]]).is_err());
}

/// What solves a game leaves nothing to gain, and no strategy of soccer is safe that ignores the ball.
#[test]
fn assessments_agree_with_solutions() {
    let game = soccer::soccer(0.9).unwrap();
    let solution = solve(&game, Form::Newton, &Options::default()).unwrap();
    let solved = assess(&game, &[solution.row, solution.column]).unwrap();
    assert!(solved.nash_conv() < 1e-7, "{}", solved.nash_conv());
    solved.values[0].iter().zip(&solution.values).for_each(|(a, b)| close(*a, *b, 1e-7));
    let uniform = vec![0.2; 5 * game.n_states()];
    assert!(assess(&game, &[uniform.clone(), uniform]).unwrap().gains.iter().all(|&g| g > 0.3));
}

/// Every learner by name plays a game with a dominant action for each, to its end.
#[test]
fn every_named_learner_finds_dominant_actions() {
    let mut b = MarkovGameBuilder::new(2, &[2, 2], 0.5);
    b.terminal(1);
    for joint in 0..4 {
        let (a, c) = ((joint / 2) as f64, (joint % 2) as f64);
        b.outcome(0, joint, 1, 1.0, &[a + 0.1 * c, 2.0 * c + 0.1 * a]);
    }
    let game = b.build().unwrap();
    for method in METHODS {
        let rates = Rates { alpha: 0.5, alpha_decay: 1.0, explore: 0.3, ..Rates::default() };
        let settings = Settings { rates, delta_win: 0.05, delta_lose: 0.2, ..Settings::default() };
        let mut learner = method.start(&game, &settings).unwrap();
        let mut steps = 0;
        let mut before = |step: u64, learner: &mut dyn MarkovLearner| {
            steps = step + 1;
            learner.set_rates(0.5, if step < 250 { 0.5 } else { 0.1 });
            Ok(())
        };
        train_with(&game, learner.as_mut(), 500, 10, 7, &mut before).unwrap();
        assert_eq!(steps, 500);
        let learned: Vec<Vec<f64>> =
            (0..2).map(|i| (0..2).flat_map(|s| learner.strategy(i, s).to_vec()).collect()).collect();
        assert!(assess(&game, &learned).unwrap().nash_conv() < 1e-6, "{}: {learned:?}", method.name);
    }
}
