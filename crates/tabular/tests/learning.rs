//! Learners against values that are known exactly.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use coact_tabular::gradient::{self, Groups, Reinforce};
use coact_tabular::joint::coordination::{LEARNERS, games, table};
use coact_tabular::joint::{Explore, TeamLearner, TeamRule, crossing, train as train_team};
use coact_tabular::learn;
use coact_tabular::model::builtin::builtin;
use coact_tabular::model::{Model, ModelBuilder};
use coact_tabular::monte_carlo::{self, Exploration, Visits, Weighting};
use coact_tabular::plan::{self, Method, PlanOptions};
use coact_tabular::schedule::Schedule;
use coact_tabular::simulate::{Simulator, Step, World};
use coact_tabular::td::{self, Learner, Prediction, Rule, Trace};
use proptest::prelude::*;

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

fn uniform(model: &Model) -> Vec<f64> {
    vec![1.0 / model.n_actions() as f64; model.n_states() * model.n_actions()]
}

#[test]
fn every_prediction_finds_the_random_walk() {
    let walk = builtin("walk5").unwrap();
    let policy = uniform(&walk);
    let check =
        |values: &[f64], tolerance: f64| (1..=5).for_each(|s| close(values[s], s as f64 / 6.0, tolerance));
    for visits in [Visits::First, Visits::Every] {
        let settings = monte_carlo::Settings { gamma: 1.0, episodes: 20_000, visits, seed: 1 };
        check(
            &monte_carlo::predict(&mut Simulator::new(&walk, 10_000, 1), &policy, &settings).unwrap(),
            0.02,
        );
    }
    for method in [
        Prediction::NStep(1),
        Prediction::NStep(4),
        Prediction::Lambda(0.8, Trace::Accumulating),
        Prediction::Lambda(0.8, Trace::Replacing),
    ] {
        let mut sim = Simulator::new(&walk, 10_000, 2);
        check(&td::predict(&mut sim, &policy, method, 1.0, 0.005, 0.5, 20_000, 2).unwrap(), 0.04);
    }
}

/// TD(0), one-step TD and TD(lambda = 0) are one rule; TD(lambda = 1) with a terminal reward looks as far as Monte Carlo.
#[test]
fn predictions_coincide_where_they_must() {
    let walk = builtin("walk5").unwrap();
    let run = |method| {
        let mut sim = Simulator::new(&walk, 10_000, 3);
        td::predict(&mut sim, &uniform(&walk), method, 0.9, 0.1, 0.5, 50, 3).unwrap()
    };
    assert_eq!(run(Prediction::NStep(1)), run(Prediction::Lambda(0.0, Trace::Accumulating)));
    let long = run(Prediction::NStep(100_000));
    assert_ne!(long, run(Prediction::NStep(1)));
}

/// A hand-computed episode: 0 -> 1 -> 2 -> end, rewards 1, 2, 4, gamma 0.5, alpha 1, values start at 8.
#[test]
fn n_step_targets_by_hand() {
    let mut b = ModelBuilder::new(4, 1, 0.5);
    b.terminal(3).transition(0, 0, 1, 1.0, 1.0).transition(1, 0, 2, 1.0, 2.0).transition(2, 0, 3, 1.0, 4.0);
    let chain = b.build().unwrap();
    let run = |n, max_steps| {
        let mut sim = Simulator::new(&chain, max_steps, 0);
        td::predict(&mut sim, &[1.0; 4], Prediction::NStep(n), 0.5, 1.0, 8.0, 1, 0).unwrap()[..3].to_vec()
    };
    assert_eq!(run(1, 10), vec![5.0, 6.0, 4.0]);
    assert_eq!(run(2, 10), vec![1.0 + 1.0 + 0.25 * 8.0, 2.0 + 2.0, 4.0]);
    assert_eq!(run(5, 10), vec![3.0, 4.0, 4.0]);
    // Cut after two steps: the last target bootstraps from the state where it was cut.
    assert_eq!(run(5, 2), vec![1.0 + 1.0 + 0.25 * 8.0, 2.0 + 0.5 * 8.0, 8.0]);
}

/// One state that pays 1 for ever, episodes cut after 3 steps, and the same with an end: 1 / (1 - gamma) and 1.
#[test]
fn truncation_bootstraps_and_termination_does_not() {
    let mut b = ModelBuilder::new(1, 1, 0.9);
    b.transition(0, 0, 0, 1.0, 1.0);
    let endless = b.build().unwrap();
    let mut b = ModelBuilder::new(2, 1, 0.9);
    b.terminal(1).transition(0, 0, 1, 1.0, 1.0);
    let ending = b.build().unwrap();
    for rule in [
        Rule::Sarsa,
        Rule::ExpectedSarsa,
        Rule::Q,
        Rule::DoubleQ,
        Rule::NStepSarsa(2),
        Rule::SarsaLambda(0.5),
        Rule::QLambda(0.5),
        Rule::DynaQ(3),
    ] {
        for (model, expected) in [(&endless, 10.0), (&ending, 1.0)] {
            let mut sim = Simulator::new(model, 3, 0);
            let settings = td::Settings { gamma: 0.9, alpha: 0.5, epsilon: 0.1, initial: 3.0, seed: 0 };
            let mut learner = Learner::new(&sim, rule, settings).unwrap();
            td::train(&mut sim, &mut learner, 2_000, &mut |_, _| {});
            assert!((learner.q()[0] - expected).abs() < 1e-6, "{rule:?}: {}", learner.q()[0]);
        }
    }
    let settings = monte_carlo::Settings { gamma: 0.9, episodes: 4_000, visits: Visits::Every, seed: 0 };
    let value = monte_carlo::predict(&mut Simulator::new(&ending, 3, 0), &[1.0; 2], &settings).unwrap();
    close(value[0], 1.0, 1e-12);
    // Averages of bootstrapped returns close in on 10 slowly, but pass what three rewards alone are worth.
    let value = monte_carlo::predict(&mut Simulator::new(&endless, 3, 0), &[1.0], &settings).unwrap();
    assert!(value[0] > 6.0 && value[0] < 10.0, "{value:?}");
    let explore = Explore::Epsilon(0.1);
    for (_, rule) in LEARNERS {
        for (model, expected) in [(&endless, 10.0), (&ending, 1.0)] {
            let team = coact_tabular::joint::JointModel::new(model.clone(), vec![1]).unwrap();
            let mut learner = TeamLearner::new(&team, rule, explore, 0.5, 0).unwrap();
            train_team(&team, &mut learner, 3_000, 3, 0);
            close(learner.value(0, 0), expected, 1e-6);
        }
    }
}

#[test]
fn control_learns_the_cliff() {
    let cliff = builtin("cliff").unwrap();
    let run = |rule, alpha, episodes| {
        let mut sim = Simulator::new(&cliff, 1_000, 4);
        let settings = td::Settings { gamma: 1.0, alpha, epsilon: 0.1, initial: 0.0, seed: 4 };
        let mut learner = Learner::new(&sim, rule, settings).unwrap();
        let returns = td::train(&mut sim, &mut learner, episodes, &mut |_, _| {});
        let policy = learner.policy(&sim);
        let mut greedy = 0.0;
        let mut state = sim.reset();
        loop {
            let step = sim.step(policy[state]);
            greedy += step.reward;
            if step.ends_episode() {
                break;
            }
            state = step.next;
        }
        let last: f64 = returns[returns.len() - 200..].iter().sum::<f64>() / 200.0;
        (greedy, last)
    };
    // The shortest path for off-policy rules, the safe one (17) for SARSA, which earns more while exploring.
    let (q, q_online) = run(Rule::Q, 0.5, 2_000);
    assert_eq!(q, -13.0);
    assert_eq!(run(Rule::DynaQ(5), 0.5, 2_000).0, -13.0);
    // Slower: one has two tables to fill, the other forgets its traces at every random action.
    for rule in [Rule::DoubleQ, Rule::QLambda(0.5)] {
        let (greedy, _) = run(rule, 0.5, 2_000);
        assert!(greedy >= -17.0, "{rule:?}: {greedy}");
    }
    for rule in [Rule::Sarsa, Rule::ExpectedSarsa, Rule::NStepSarsa(3), Rule::SarsaLambda(0.5)] {
        let (greedy, online) = run(rule, 0.1, 4_000);
        assert!((-19.0..=-15.0).contains(&greedy), "{rule:?}: {greedy}");
        assert!(online > q_online + 10.0, "{rule:?}: {online} {q_online}");
    }
}

#[test]
fn dyna_finds_the_way_in_fewer_episodes() {
    let maze = builtin("maze").unwrap();
    let steps = |planned| {
        let mut sim = Simulator::new(&maze, 10_000, 5);
        let settings = td::Settings { gamma: 0.95, alpha: 0.1, epsilon: 0.1, initial: 0.0, seed: 5 };
        let mut learner = Learner::new(&sim, Rule::DynaQ(planned), settings).unwrap();
        let mut total = 0;
        for _ in 0..10 {
            let mut state = sim.reset();
            loop {
                let action = learner.act(&sim, state);
                let step = sim.step(action);
                learner.update(&sim, state, action, &step, 0);
                total += 1;
                if step.ends_episode() {
                    break;
                }
                state = step.next;
            }
        }
        total
    };
    assert!(steps(50) * 3 < steps(0), "{} {}", steps(50), steps(0));
}

/// Where rewards are noise around a mean below 0, the maximum over noisy estimates is above 0 and double Q's is not.
#[test]
fn double_q_overestimates_less() {
    let mut b = ModelBuilder::new(5, 10, 1.0);
    b.terminal(2).terminal(3).terminal(4);
    b.transition(0, 0, 1, 1.0, 0.0).transition(0, 1, 2, 1.0, 0.0);
    for action in 0..10 {
        b.transition(1, action, 3, 0.5, 0.9).transition(1, action, 4, 0.5, -1.1);
    }
    let model = b.build().unwrap();
    let left = |rule| {
        let mut total = 0.0;
        for seed in 0..100 {
            let mut sim = Simulator::new(&model, 10, seed);
            let settings = td::Settings { gamma: 1.0, alpha: 0.1, epsilon: 0.1, initial: 0.0, seed };
            let mut learner = Learner::new(&sim, rule, settings).unwrap();
            td::train(&mut sim, &mut learner, 100, &mut |_, _| {});
            total += learner.q()[0];
        }
        total / 100.0
    };
    let (q, double) = (left(Rule::Q), left(Rule::DoubleQ));
    assert!(q > 0.0 && double < q, "{q} {double}");
}

#[test]
fn monte_carlo_control() {
    let lake = builtin("frozenlake-dry").unwrap();
    let best = 0.99_f64.powi(5);
    for (exploration, visits) in [
        (Exploration::ExploringStarts, Visits::First),
        (Exploration::ExploringStarts, Visits::Every),
        (Exploration::EpsilonSoft(0.3), Visits::First),
        (Exploration::EpsilonSoft(0.3), Visits::Every),
    ] {
        let settings = monte_carlo::Settings { gamma: 0.99, episodes: 20_000, visits, seed: 6 };
        let mut sim = Simulator::new(&lake, 100, 6);
        let found = monte_carlo::control(&mut sim, exploration, &settings).unwrap();
        close(value_of(&lake, &found.policy), best, 1e-9);
    }
    let settings = monte_carlo::Settings { gamma: 0.99, episodes: 40_000, visits: Visits::First, seed: 7 };
    let found = monte_carlo::control_off_policy(&mut Simulator::new(&lake, 100, 7), 0.5, &settings).unwrap();
    close(value_of(&lake, &found.policy), best, 1e-9);
}

/// Start value of a deterministic policy.
fn value_of(model: &Model, policy: &[usize]) -> f64 {
    let mut table = vec![0.0; model.n_states() * model.n_actions()];
    policy.iter().enumerate().for_each(|(s, a)| table[s * model.n_actions() + a] = 1.0);
    plan::evaluate(model, &table).unwrap()[0]
}

#[test]
fn importance_sampling_reweights_to_the_target() {
    // Two actions, rewards 1 and 0, then the same again: a target that takes the first with 0.9 is worth 1.8.
    let mut b = ModelBuilder::new(3, 2, 1.0);
    b.terminal(2);
    for s in 0..2 {
        b.transition(s, 0, s + 1, 1.0, 1.0).transition(s, 1, s + 1, 1.0, 0.0);
    }
    let model = b.build().unwrap();
    let (target, behavior) = ([0.9, 0.1, 0.9, 0.1, 0.5, 0.5], [0.5; 6]);
    for weighting in [Weighting::Ordinary, Weighting::Weighted] {
        for visits in [Visits::First, Visits::Every] {
            let settings = monte_carlo::Settings { gamma: 1.0, episodes: 100_000, visits, seed: 8 };
            let mut sim = Simulator::new(&model, 10, 8);
            let value =
                monte_carlo::predict_off_policy(&mut sim, &target, &behavior, weighting, &settings).unwrap();
            close(value[0], 1.8, 0.02);
            close(value[1], 0.9, 0.02);
        }
    }
    let settings = monte_carlo::Settings { gamma: 1.0, episodes: 1, visits: Visits::First, seed: 8 };
    let mut sim = Simulator::new(&model, 10, 8);
    let never = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
    let error = monte_carlo::predict_off_policy(&mut sim, &target, &never, Weighting::Weighted, &settings);
    assert!(error.unwrap_err().to_string().contains("never takes action 1 in state 0"));
}

#[test]
fn the_short_corridor_has_its_best_random_policy() {
    let corridor = builtin("corridor").unwrap();
    let groups = Groups::new(vec![0; 4]);
    let mut logits = vec![0.0, 0.0];
    for _ in 0..2_000 {
        let (_, gradient) = gradient::exact(&corridor, &groups, &logits).unwrap();
        logits.iter_mut().zip(gradient).for_each(|(l, g)| *l += 0.05 * g);
    }
    let right = gradient::policy(&corridor, &groups, &logits).unwrap()[1];
    close(right, 2.0 - 2.0_f64.sqrt(), 1e-6);
    close(gradient::exact(&corridor, &groups, &logits).unwrap().0, -11.656854249, 1e-8);
    // Sampled, with and without a baseline.
    for baseline_alpha in [0.0, 0.05] {
        let settings = Reinforce { gamma: 1.0, alpha: 0.0005, baseline_alpha, episodes: 20_000, seed: 9 };
        let mut logits = vec![0.0, 0.0];
        let mut sim = Simulator::new(&corridor, 1_000, 9);
        let returns = gradient::reinforce(&mut sim, &groups, &mut logits, &settings).unwrap();
        let last = returns[15_000..].iter().sum::<f64>() / 5_000.0;
        close(last, -11.66, 0.6);
    }
}

#[test]
fn crossing_without_meeting() {
    let world = crossing().unwrap();
    let plan = plan::plan(&world.model, Method::ValueIteration, &PlanOptions::default()).unwrap();
    close(plan.values[2], -8.0, 1e-9);
    let mut team =
        TeamLearner::new(&world, TeamRule::Distributed(f64::NEG_INFINITY), Explore::Epsilon(0.2), 1.0, 0)
            .unwrap();
    train_team(&world, &mut team, 20_000, 50, 0);
    let mut sim = Simulator::new(&world.model, 50, 0);
    let (mut state, mut return_) = (sim.reset(), 0.0);
    loop {
        let Step { reward, next, terminated, truncated } = sim.step(team.greedy_joint(state));
        return_ += reward;
        if terminated || truncated {
            break;
        }
        state = next;
    }
    // Nearly: the last state off the path may still wait for its best value.
    assert!(return_ >= -9.0, "{return_}");
}

/// Climbing: independent learners find the best cell in about one run of eight, everybody else almost always; where
/// payoffs are random, distributed Q-learning must fail and hysteretic learners need not.
#[test]
fn the_table_of_coordination() {
    let rows = table(40, 7_500, 0).unwrap();
    let share = |game: &str, learner: &str| {
        let row = rows.iter().find(|r| r.game == game).unwrap();
        row.optimal[LEARNERS.iter().position(|l| l.0 == learner).unwrap()]
    };
    assert!(share("climbing", "independent") < 0.25, "{rows:?}");
    for learner in ["team", "distributed", "hysteretic", "lenient"] {
        assert!(share("climbing", learner) > 0.95, "{learner}: {rows:?}");
        assert!(share("penalty -10", learner) > 0.95, "{learner}: {rows:?}");
    }
    assert!(share("climbing, partly random", "distributed") < 0.05, "{rows:?}");
    assert!(share("climbing, fully random", "distributed") < 0.05, "{rows:?}");
    assert!(share("climbing, partly random", "team") > 0.9, "{rows:?}");
    let means: Vec<f64> = (0..9).map(|c| games()[2].mean(c)).collect();
    assert_eq!(means, vec![11.0, -30.0, 0.0, -30.0, 7.0, 6.0, 0.0, 0.0, 5.0]);
    // The same at any number of threads.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| table(10, 500, 3)).unwrap(), table(10, 500, 3).unwrap());
}

proptest! {
    /// The exact gradient against differences, on random models with shared rows.
    #[test]
    fn gradients_match_differences(
        weights in prop::collection::vec(0_u32..4, 4 * 2 * 4),
        rewards in prop::collection::vec(-3_i32..4, 8),
        group in prop::collection::vec(0_usize..3, 4),
        logits in prop::collection::vec(-1.0..1.0_f64, 6),
        gamma in 0.0..0.95_f64,
    ) {
        let mut b = ModelBuilder::new(4, 2, gamma);
        b.terminal(3).start(0, 0.5).start(1, 0.5);
        for row in 0..6 {
            let w = &weights[row * 4..][..4];
            let total = f64::from(w.iter().sum::<u32>() + 1);
            for (next, &w) in w.iter().enumerate() {
                let p = f64::from(w + u32::from(next == 3)) / total;
                b.transition(row / 2, row % 2, next, p, f64::from(rewards[row]));
            }
        }
        let model = b.build().unwrap();
        let groups = Groups::new(group);
        let logits = logits[..groups.n_groups() * 2].to_vec();
        let (_, gradient) = gradient::exact(&model, &groups, &logits).unwrap();
        for i in 0..logits.len() {
            let at = |d: f64| {
                let mut moved = logits.clone();
                moved[i] += d;
                gradient::exact(&model, &groups, &moved).unwrap().0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            prop_assert!((gradient[i] - difference).abs() < 1e-7, "{i}: {} {difference}", gradient[i]);
        }
    }
}

fn named(name: &str) -> &'static learn::MethodEntry {
    learn::method(name).unwrap()
}

/// Every learner of one finds the way through the dry lake, worth 0.99^5, and says what it did on the way.
#[test]
fn every_named_learner_crosses_the_dry_lake() {
    let lake = builtin("frozenlake-dry").unwrap();
    for method in learn::METHODS.iter().filter(|m| !m.is_team()) {
        let rate = if method.name == "reinforce" { 0.5 } else { 0.2 };
        let epsilon = match method.name {
            // Learns only from where its own policy leads on from a random walk.
            "monte-carlo-off-policy" => "1",
            _ if method.follows_schedules() => "0.5..0.01",
            _ => "0.3",
        };
        let settings = learn::Settings {
            episodes: 3_000,
            max_steps: 100,
            alpha: Schedule::constant(rate),
            epsilon: Schedule::parse(epsilon).unwrap(),
            ..learn::Settings::default()
        };
        let mut heard = 0;
        let learned = learn::learn(&lake, method, &settings, &mut |n| heard = n).unwrap();
        assert_eq!((heard, learned.returns.len()), (3_000, 3_000), "{}", method.name);
        assert!(learned.returns.iter().all(|r| (0.0..=1.0).contains(r)), "{}", method.name);
        close(value_of(&lake, &learned.policy), 0.99_f64.powi(5), 1e-9);
        let again = learn::learn(&lake, method, &settings, &mut |_| {}).unwrap();
        assert_eq!(learned, again, "{}", method.name);
        let other = learn::learn(&lake, method, &learn::Settings { seed: 1, ..settings }, &mut |_| {});
        assert_ne!(learned.returns, other.unwrap().returns, "{}", method.name);
    }
}

/// Every team learns to cross the grid, nearly without meeting, while exploration falls.
#[test]
fn every_named_team_crosses() {
    let team = crossing().unwrap();
    for method in learn::METHODS.iter().filter(|m| m.is_team()) {
        let settings = learn::Settings {
            episodes: 4_000,
            max_steps: 100,
            alpha: Schedule::constant(0.2),
            epsilon: Schedule::parse("0.5..0.02").unwrap(),
            beta: 0.05,
            leniency: 0.02,
            ..learn::Settings::default()
        };
        let learned = learn::learn_team(&team, method, &settings, &mut |_| {}).unwrap();
        let last = learned.returns.iter().rev().take(100).sum::<f64>() / 100.0;
        // At random it takes the whole hundred steps, and costs 170.
        assert!(last > -12.0, "{}: {last}", method.name);
    }
}

#[test]
fn learners_refuse_what_they_cannot_do() {
    let lake = builtin("frozenlake").unwrap();
    let base = learn::Settings { episodes: 3, ..learn::Settings::default() };
    let falling = learn::Settings { epsilon: Schedule::parse("1..0.1").unwrap(), ..base };
    let refused = |name, settings: &learn::Settings| {
        learn::learn(&lake, named(name), settings, &mut |_| {}).unwrap_err().to_string()
    };
    assert!(refused("monte-carlo", &falling).contains("do not change over the episodes"));
    assert!(learn::learn(&lake, named("sarsa"), &falling, &mut |_| {}).is_ok());
    assert!(refused("hysteretic", &base).contains("several agents"));
    assert!(refused("q", &learn::Settings { episodes: 0, ..base }).contains("at least one"));
    assert!(refused("sarsa-lambda", &learn::Settings { lambda: 1.5, ..base }).contains("rates from 0 to 1"));
    assert!(refused("n-step-sarsa", &learn::Settings { n_step: 0, ..base }).contains("at least one step"));
    assert!(learn::method("deep-q").is_none());
}
