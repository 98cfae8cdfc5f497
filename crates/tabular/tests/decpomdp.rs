//! Team problems: the text format, known optima, bounds, certificates.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use coact_tabular::Error;
use coact_tabular::decpomdp::problems::{ALL, problem};
use coact_tabular::decpomdp::{AgentPolicy, bounds, certificate, parse, solve, write};
use proptest::prelude::*;

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

/// Optimal values of the database of the MADP toolbox, which independent code confirmed.
#[test]
fn known_optima() {
    for (name, discount, horizon, expected) in [
        ("dectiger", 1.0, 2, -4.0),
        ("dectiger", 1.0, 3, 5.1908125),
        ("dectiger-skewed", 1.0, 2, 5.695),
        ("recycling", 1.0, 2, 7.0),
        ("recycling", 0.9, 2, 6.8),
        ("recycling", 1.0, 3, 10.660125),
        ("recycling", 0.9, 3, 9.76470125),
        ("broadcast", 1.0, 2, 2.0),
        ("broadcast", 1.0, 3, 2.99),
        ("gridsmall", 1.0, 2, 0.91),
        ("relay4", 0.95, 2, -1.95),
    ] {
        let p = problem(name).unwrap().with_discount(discount).unwrap();
        let plan = solve::exhaustive(&p, horizon, &mut |_, _, _| {}).unwrap();
        close(plan.value, expected, 1e-7);
        let proof = certificate::certify(&p, horizon, &plan.policies).unwrap();
        close(proof.value, plan.value, 1e-12);
        assert!(proof.gains.iter().all(|&g| g < 1e-12), "{name}: {proof:?}");
        let b = bounds::finite(&p, horizon).unwrap();
        let order = [plan.value, b.pomdp.unwrap(), b.qmdp, b.mmdp];
        assert!(order.windows(2).all(|w| w[0] <= w[1] + 1e-12), "{name}: {order:?}");
    }
}

#[test]
fn bounds_of_fully_observable_teams() {
    let finite = |name: &str, horizon: usize, discount: f64| {
        let p = problem(name).unwrap().with_discount(discount).unwrap();
        bounds::finite(&p, horizon).unwrap().mmdp
    };
    close(finite("dectiger", 6, 1.0), 120.0, 1e-9);
    for (horizon, expected) in [(2, 7.29), (3, 11.1225), (4, 14.069625), (5, 17.530856)] {
        close(finite("recycling", horizon, 1.0), expected, 5.1e-7);
    }
    let infinite =
        |name: &str| bounds::infinite(&problem(name).unwrap().with_discount(0.9).unwrap()).unwrap();
    close(infinite("recycling"), 33.847871, 5.1e-7);
    close(infinite("gridsmall"), 8.904858, 5.1e-7);
    close(infinite("broadcast"), 9.730996, 5.1e-7);
}

#[test]
fn jesp_finds_equilibria_and_often_the_best() {
    for (name, horizon, expected) in
        [("dectiger", 3, 5.1908125), ("gridsmall", 2, 0.91), ("broadcast", 4, 3.89)]
    {
        let p = problem(name).unwrap().with_discount(1.0).unwrap();
        let plan = solve::jesp(&p, horizon, 100, 0, &mut |_, _, _| {}).unwrap();
        let proof = certificate::certify(&p, horizon, &plan.policies).unwrap();
        assert!(proof.gains.iter().all(|&g| g < 1e-9), "{name}: {proof:?}");
        close(plan.value, expected, 1e-9);
    }
    // The horizon that exhaustive search refuses.
    let p = problem("dectiger").unwrap();
    assert!(matches!(solve::exhaustive(&p, 4, &mut |_, _, _| {}), Err(Error::TooLarge { .. })));
    let plan = solve::jesp(&p, 4, 3, 0, &mut |_, _, _| {}).unwrap();
    assert!(plan.value <= 4.8027551563, "{}", plan.value);
}

#[test]
fn a_worse_policy_has_a_gain() {
    let p = problem("dectiger").unwrap();
    let listen = vec![AgentPolicy::new(2, 2), AgentPolicy::new(2, 2)];
    let proof = certificate::certify(&p, 2, &listen).unwrap();
    close(proof.value, -4.0, 1e-12);
    let mut rash = listen.clone();
    rash[0].actions[0] = 1;
    let proof = certificate::certify(&p, 2, &rash).unwrap();
    assert!(proof.value < -40.0 && proof.gains[0] > 40.0, "{proof:?}");
    rash[0].actions.pop();
    assert!(certificate::certify(&p, 2, &rash).is_err());
}

#[test]
fn what_was_written_reads_back() {
    for entry in ALL {
        let p = problem(entry.name).unwrap();
        assert_eq!(parse(&write(&p)).unwrap(), p, "{}", entry.name);
    }
}

/// Everything that the format allows.
const ALL_FORMS: &str = "\
# A comment
agents: 2
discount: 0.95

values: cost
states: s0 s1
start exclude: s1
actions:
go stay
3
observations:
2
left right
T: * :
uniform
T: stay 2 : s1 :
0.25 0.75
T: 0 :
identity
T: go 1 :
0.1 0.9
0.8 0.2
T: * 2 : s0 : * : 0.5
T: 5 : 0 : 1 : 0.5   # joint action 5 is `stay 2`
O: * * :
uniform
O: go * : s1 : 0 left : 1
O: go * : s1 : * right : 0
O: go * : s1 : 1 left : 0.0
O: stay 0 : s0 :
0.1 0.2 0.3 0.4
R: * : * : * : * : 1
R: go 0 : s0 : s1 : * : +4
R: go 0 : s0 : s1 : 0 left : -8
R: stay 1: s1 :
1 2 3 4
5 6 7 8
R: stay 1: s1 : s0 :
9 9 9 9
";

#[test]
fn every_form_of_the_format() {
    let p = parse(ALL_FORMS).unwrap();
    p.check().unwrap();
    assert_eq!((p.n_agents(), p.n_states(), p.n_joint_actions(), p.n_joint_observations()), (2, 2, 6, 4));
    assert_eq!(p.start(), &[1.0, 0.0]);
    let row = |joint, s| p.transitions(joint, s).collect::<Vec<_>>();
    assert_eq!(row(0, 1), vec![(1, 1.0)]);
    assert_eq!(row(1, 0), vec![(0, 0.1), (1, 0.9)]);
    assert_eq!(row(5, 0), vec![(0, 0.5), (1, 0.5)]);
    assert_eq!(row(5, 1), vec![(0, 0.25), (1, 0.75)]);
    assert_eq!(p.observations_at(0, 1).collect::<Vec<_>>(), vec![(0, 1.0)]);
    assert_eq!(p.observations_at(3, 0).map(|o| o.1).collect::<Vec<_>>(), vec![0.1, 0.2, 0.3, 0.4]);
    // Costs become rewards.
    assert_eq!(p.reward(2, 0), -1.0);
}

#[test]
fn faults_carry_their_place() {
    let check = |from: &str, to: &str, line: usize, column: usize, part: &str| {
        assert!(ALL_FORMS.contains(from), "{from}");
        match parse(&ALL_FORMS.replacen(from, to, 1)) {
            Err(Error::Parse { line: l, column: c, message }) => {
                assert_eq!((l, c), (line, column), "{message}");
                assert!(message.contains(part), "{message}");
            }
            other => panic!("{from} -> {to}: {other:?}"),
        }
    };
    check("discount: 0.95", "discount: 1.5", 3, 11, "from 0 to 1");
    check("values: cost\n", "", 5, 1, "expected `values:`");
    check("start exclude: s1", "start exclude: s3", 7, 16, "did you mean");
    check("T: stay 2 : s1", "T: stay 3 : s1", 16, 9, "action 3 is not below 3");
    check("0.25 0.75", "0.25 x", 17, 6, "expected a number, found `x`");
    check("0.25 0.75", "0.25 0.75 1", 17, 11, "expected 2 numbers, found more");
    check("T: 0 :", "T: 6 :", 18, 4, "joint action 6 is not below 6");
    check("T: 0 :", "T: stay :", 18, 4, "expected one action an agent");
    check("O: go * : s1 : 0 left : 1", "O: go * : s1 : 0 lift : 1", 27, 18, "did you mean `left`?");
    check("R: go 0 : s0 : s1 : * : +4", "Q: go 0 : s0 : s1 : * : +4", 33, 1, "expected `T:`, `O:` or `R:`");
    check("R: go 0 : s0 : s1 : * : +4", "R: go 0 : s0 : s1 : * : 4 5", 33, 27, "unexpected `5`");
    let cut = ALL_FORMS.find("9 9 9 9").unwrap();
    assert!(matches!(parse(&ALL_FORMS[..cut + 4]), Err(Error::Parse { line: 40, .. })));
    // Probabilities are checked where something is planned, with names.
    let wrong = parse(&ALL_FORMS.replace("0.25 0.75", "0.25 0.85")).unwrap();
    let error = wrong.check().unwrap_err().to_string();
    assert!(error.contains("T of `stay 2` in state s1 sum to 1.1"), "{error}");
}

#[test]
fn a_short_text_cannot_ask_for_much() {
    let header = "agents: 2\ndiscount: 1\nvalues: reward\nstates: 60000\nstart: 0\nactions:\n2\n2\nobservations:\n2\n2\n";
    assert!(matches!(parse(&format!("{header}T: * :\nuniform\n")), Err(Error::Parse { line: 12, .. })));
    assert!(parse(&header.replace("states: 60000", "states: 99999999999")).is_err());
    assert!(parse(&header.replace("2\n2\nobs", "60000\n60000\nobs")).is_err());
}

proptest! {
    #[test]
    fn the_reader_never_panics(text in "(agents: [0-9 a-z]{0,3}\n|[TOR]: [*0-9: .]{0,16}\n|[a-z]{3,9}: [0-9a-z ]{0,9}\n|[0-9. \n]{0,9}){0,14}") {
        let _ = parse(&text);
        let _ = parse(&format!("{}{text}", &ALL_FORMS[..ALL_FORMS.find("T: * :").unwrap()]));
    }

    /// A best response is at least as good as what it replaces, and the checker finds the same value.
    #[test]
    fn jesp_is_certified_on_random_teams(
        weights in prop::collection::vec(1_u32..5, 3 * 3 * 4),
        seen in prop::collection::vec(1_u32..5, 3 * 4 * 4),
        rewards in prop::collection::vec(-3_i32..4, 3 * 4),
        horizon in 1_usize..4,
    ) {
        let mut text = String::from(
            "agents: 2\ndiscount: 0.9\nvalues: reward\nstates: 3\nstart:\nuniform\nactions:\n2\n2\nobservations:\n2\n2\n",
        );
        let row = |w: &[u32]| {
            let total: u32 = w.iter().sum();
            w.iter().map(|&x| (f64::from(x) / f64::from(total)).to_string()).collect::<Vec<_>>().join(" ")
        };
        for joint in 0..4 {
            for s in 0..3 {
                let i = joint * 3 + s;
                text += &format!("T: {joint} : {s} :\n{}\n", row(&weights[i * 3..][..3]));
                text += &format!("O: {joint} : {s} :\n{}\n", row(&seen[i * 4..][..4]));
                text += &format!("R: {joint} : {s} : * : * : {}\n", rewards[i]);
            }
        }
        let p = parse(&text).unwrap();
        let best = solve::exhaustive(&p, horizon, &mut |_, _, _| {}).unwrap();
        let stable = solve::jesp(&p, horizon, 3, 7, &mut |_, _, _| {}).unwrap();
        prop_assert!(stable.value <= best.value + 1e-9);
        for plan in [&best, &stable] {
            let proof = certificate::certify(&p, horizon, &plan.policies).unwrap();
            prop_assert!((proof.value - plan.value).abs() < 1e-9);
            prop_assert!(proof.gains.iter().all(|&g| g < 1e-9), "{proof:?}");
        }
        let b = bounds::finite(&p, horizon).unwrap();
        prop_assert!(best.value <= b.pomdp.unwrap() + 1e-9);
    }
}
