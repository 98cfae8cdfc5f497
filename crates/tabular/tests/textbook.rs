//! Textbook models: values that are printed in books, or that exact computations of others gave.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use coact_tabular::model::Model;
use coact_tabular::model::builtin::{ALL, builtin};
use coact_tabular::plan::{self, METHODS, Method, PlanOptions};
use coact_tabular::{certificate, model};

fn solve(model: &Model, method: Method) -> plan::Plan {
    plan::plan(model, method, &PlanOptions::default()).unwrap()
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

fn named(model: &Model, values: &[f64], name: &str) -> f64 {
    let state = (0..model.n_states()).find(|&s| model.state_name(s) == name).unwrap();
    values[state]
}

fn uniform(model: &Model) -> Vec<f64> {
    let mut policy = vec![0.0; model.n_states() * model.n_actions()];
    for s in 0..model.n_states() {
        let legal: Vec<usize> = (0..model.n_actions()).filter(|&a| model.is_legal(s, a)).collect();
        legal.iter().for_each(|a| policy[s * model.n_actions() + a] = 1.0 / legal.len() as f64);
    }
    policy
}

#[test]
fn every_method_agrees_on_every_built_in_model() {
    for entry in ALL {
        let model = entry.build().unwrap();
        // The larger ones have tests of their own below.
        if model.n_states() > 200 {
            continue;
        }
        let reference = solve(&model, Method::ModifiedPolicyIteration);
        for &(name, method, _) in METHODS {
            let plan = solve(&model, method);
            for (s, (a, b)) in plan.values.iter().zip(&reference.values).enumerate() {
                assert!((a - b).abs() < 1e-6, "{name} on {}, state {s}: {a} and {b}", entry.name);
            }
            let proof = certificate::certify(&model, &plan.values, &plan.policy).unwrap();
            assert!(proof.residual < 1e-8, "{name} on {}: {proof:?}", entry.name);
        }
    }
}

#[test]
fn grid_of_figure_3_5() {
    let m = builtin("grid5").unwrap();
    let optimal = solve(&m, Method::PolicyIteration).values;
    let figure = [
        21.9775, 24.4194, 21.9775, 19.4194, 17.4775, 19.7797, 21.9775, 19.7797, 17.8018, 16.0216, 17.8018,
        19.7797, 17.8018, 16.0216, 14.4194, 16.0216, 17.8018, 16.0216, 14.4194, 12.9775, 14.4194, 16.0216,
        14.4194, 12.9775, 11.6797,
    ];
    optimal.iter().zip(figure).for_each(|(&v, e)| close(v, e, 5.1e-5));
    let random = plan::evaluate(&m, &uniform(&m)).unwrap();
    let figure = [
        3.3090, 8.7893, 4.4276, 5.3224, 1.4922, 1.5216, 2.9923, 2.2501, 1.9076, 0.5474, 0.0508, 0.7382,
        0.6731, 0.3582, -0.4031, -0.9736, -0.4355, -0.3549, -0.5856, -1.1831, -1.8577, -1.3452, -1.2293,
        -1.4229, -1.9752,
    ];
    random.iter().zip(figure).for_each(|(&v, e)| close(v, e, 5.1e-5));
}

#[test]
fn grid_of_figure_4_1_and_its_sweeps() {
    let m = builtin("grid4").unwrap();
    let exact = plan::evaluate(&m, &uniform(&m)).unwrap();
    let figure = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0];
    exact.iter().zip(figure).for_each(|(&v, e)| close(v, f64::from(e), 1e-9));
    assert_eq!(plan::evaluate_sweeps(&m, &uniform(&m), true, 1e-4).unwrap().1, 113);
    assert_eq!(plan::evaluate_sweeps(&m, &uniform(&m), false, 1e-4).unwrap().1, 172);
}

#[test]
fn gambler() {
    let value = |name: &str| solve(&builtin(name).unwrap(), Method::ValueIteration).values;
    let v = value("gambler");
    for (capital, expected) in
        [(25, 0.16), (50, 0.4), (51, 0.40309844), (75, 0.64), (1, 0.00206562), (99, 0.96433297)]
    {
        close(v[capital], expected, 5.1e-9);
    }
    let v = value("gambler-p25");
    for (capital, expected) in [(25, 0.0625), (50, 0.25), (75, 0.4375)] {
        close(v[capital], expected, 1e-8);
    }
    close(solve(&builtin("gambler-p55").unwrap(), Method::PolicyIteration).values[1], 0.18181818, 5.1e-9);
}

#[test]
fn jack() {
    let m = builtin("jack").unwrap();
    let v = solve(&m, Method::PolicyIteration).values;
    for (name, expected) in
        [("0,0", 421.4141), ("10,10", 574.9483), ("20,20", 636.9896), ("20,0", 554.9477), ("0,20", 567.7685)]
    {
        close(named(&m, &v, name), expected, 5.1e-5);
    }
    let m = builtin("jack-modified").unwrap();
    let v = solve(&m, Method::ModifiedPolicyIteration).values;
    close(named(&m, &v, "0,0"), 429.9463, 5.1e-5);
    close(named(&m, &v, "20,20"), 603.5367, 5.1e-5);
}

#[test]
fn lakes() {
    let at = |name: &str, gamma: f64| {
        let m = builtin(name).unwrap().with_gamma(gamma).unwrap();
        let options = PlanOptions { tolerance: 1e-12, ..PlanOptions::default() };
        plan::plan(&m, Method::ModifiedPolicyIteration, &options).unwrap().values
    };
    close(at("frozenlake", 0.9)[0], 0.068890905, 5.1e-10);
    close(at("frozenlake", 0.95)[0], 0.180471578, 5.1e-10);
    let v = at("frozenlake", 0.99);
    let expected = [
        0.542026, 0.498803, 0.470696, 0.456852, 0.558451, 0.0, 0.358348, 0.0, 0.591799, 0.643080, 0.615208,
        0.0, 0.0, 0.741720, 0.862837, 0.0,
    ];
    v.iter().zip(expected).for_each(|(&v, e)| close(v, e, 5.1e-7));
    close(at("frozenlake", 1.0)[0], 14.0 / 17.0, 1e-9);
    close(at("frozenlake8x8", 0.99)[0], 0.414640362, 5.1e-10);
    close(at("frozenlake8x8", 1.0)[0], 1.0, 1e-8);
    close(at("frozenlake-dry", 0.99)[0], 0.99_f64.powi(5), 1e-12);
}

/// Expected return of the start within a number of steps, where `pick` makes a state's value of its actions' values.
fn within(model: &Model, n_steps: usize, pick: &dyn Fn(usize, &[f64]) -> f64) -> f64 {
    let mut values = vec![0.0; model.n_states()];
    for _ in 0..n_steps {
        let q = |s: usize, a: usize| {
            model.outcomes(s, a).map(|o| o.prob * (o.reward + values[o.next])).sum::<f64>()
        };
        let state = |s: usize| match model.is_terminal(s) {
            true => 0.0,
            false => pick(s, &(0..model.n_actions()).map(|a| q(s, a)).collect::<Vec<f64>>()),
        };
        values = (0..model.n_states()).map(state).collect();
    }
    values.iter().zip(model.start()).map(|(v, p)| v * p).sum()
}

/// Returns within the limits of steps of Gymnasium's environments.
#[test]
fn limits_of_steps() {
    let best = |_: usize, q: &[f64]| q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let random = |_: usize, q: &[f64]| q.iter().sum::<f64>() / q.len() as f64;
    let lake = builtin("frozenlake").unwrap();
    close(within(&lake, 100, &best), 0.744190, 5.1e-7);
    close(within(&lake, 100, &random), 0.01394, 5.1e-6);
    let stationary = solve(&lake.clone().with_gamma(0.99).unwrap(), Method::PolicyIteration).policy;
    close(within(&lake, 100, &|s, q| q[stationary[s]]), 0.740165, 5.1e-7);
    let large = builtin("frozenlake8x8").unwrap();
    close(within(&large, 200, &best), 0.913220, 5.1e-7);
    close(within(&large, 100, &best), 0.640719, 5.1e-7);
    close(within(&large, 200, &random), 0.0019, 5.1e-5);
    close(within(&large, 100, &random), 0.0017, 5.1e-5);
    let taxi = builtin("taxi").unwrap();
    close(within(&taxi, 200, &best), 7.93, 1e-9);
    close(within(&taxi, 200, &random), -771.09, 5.1e-3);
}

#[test]
fn walks_and_grids() {
    let start = |name: &str, gamma: f64| {
        let m = builtin(name).unwrap().with_gamma(gamma).unwrap();
        let v = solve(&m, Method::ValueIteration).values;
        v.iter().zip(m.start()).map(|(v, p)| v * p).sum::<f64>()
    };
    close(start("cliff", 1.0), -13.0, 1e-9);
    close(start("cliff", 0.9), -7.458134172, 5.1e-10);
    close(start("cliff", 0.99), -12.247897700, 5.1e-10);
    close(start("cliff-slippery", 1.0), -64.709176, 5.1e-7);
    close(start("taxi", 1.0), 7.93, 1e-9);
    close(start("windy", 1.0), -15.0, 1e-9);
    close(start("windy-king", 1.0), -7.0, 1e-9);
    close(start("maze", 0.95), 0.95_f64.powi(13), 1e-9);
    let walk = solve(&builtin("walk5").unwrap(), Method::PolicyIteration).values;
    (1..=5).for_each(|s| close(walk[s], s as f64 / 6.0, 1e-12));
    let walk = solve(&builtin("walk19").unwrap(), Method::PolicyIteration).values;
    (1..=19).for_each(|s| close(walk[s], s as f64 / 10.0 - 1.0, 1e-12));
}

/// `V_opt`, `Q_opt`, greedy actions and the value of the uniform policy, by every method.
#[test]
fn recorded_models() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/mdp.json"));
    let text = text.unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for (i, case) in cases.iter().enumerate() {
        let m = model::read_case(&text, i).unwrap();
        let number = |v: &serde_json::Value| v.as_f64().unwrap();
        for &(_, method, _) in METHODS {
            let plan = solve(&m, method);
            let q = plan::q_values(&m, &plan.values);
            for s in 0..m.n_states() {
                close(plan.values[s], number(&case["V_opt"][s]), 1e-7);
                (0..m.n_actions()).for_each(|a| {
                    close(q[s * m.n_actions() + a], number(&case["Q_opt"][s][a]), 1e-7);
                });
                if number(&case["action_gap"][s]) > 1e-6 {
                    assert_eq!(plan.policy[s] as u64, case["greedy_action"][s].as_u64().unwrap());
                }
            }
        }
        let value = plan::evaluate(&m, &uniform(&m)).unwrap();
        (0..m.n_states()).for_each(|s| close(value[s], number(&case["V_uniform_policy"][s]), 1e-7));
    }
}
