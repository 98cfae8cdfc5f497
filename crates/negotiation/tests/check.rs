//! Certificates: true results pass, changed ones are caught.

#![allow(clippy::unwrap_used)]

use coact_negotiation::agreement::Agreement;
use coact_negotiation::bargaining::{Rule, Scenario, is_efficient, point};
use coact_negotiation::check::{Checked, check, result_file};
use coact_negotiation::dcop::{File, Method, Options, generators, solve};
use coact_negotiation::mechanisms::Mechanism;
use serde_json::{Value, json};

/// Claims by name that are false.
fn false_claims(checked: &Checked) -> Vec<&str> {
    checked
        .claims
        .iter()
        .filter(|claim| claim.holds == Some(false))
        .map(|claim| claim.claim.as_str())
        .collect()
}

fn with(file: &Value, pointer: &str, value: Value) -> Value {
    let mut other = file.clone();
    *other.pointer_mut(pointer).unwrap() = value;
    other
}

fn solved(text: &str, method: Method) -> Value {
    let problem = File::parse(text).unwrap().problem().unwrap();
    let outcome = solve(&problem, method, &Options::default(), &mut |_| true).unwrap();
    result_file("dcop", method.name(), json!({"text": text}), outcome.to_json(&problem))
}

#[test]
fn costs_optima_and_rests_are_checked() {
    let text = generators::generate("coloring:n=8,colors=3,edges=14,soft=1", 1).unwrap().to_yaml();
    for method in Method::ALL {
        let file = solved(&text, method);
        let checked = check(&file).unwrap();
        assert!(checked.holds(), "{checked:?}");
        let n_claims = if matches!(method, Method::MaxSum | Method::Dsa) { 2 } else { 3 };
        assert_eq!(checked.claims.len(), n_claims, "{method:?}");
    }
    let best = solved(&text, Method::Dpop);
    let cost = best["cost"].as_f64().unwrap();
    assert_eq!(false_claims(&check(&with(&best, "/cost", json!(cost - 1.0))).unwrap()), ["cost"]);
    assert_eq!(false_claims(&check(&with(&best, "/violation", json!(1))).unwrap()), ["violation"]);
    let rest = solved(&text, Method::Dsa);
    let mut claimed = with(&rest, "/method", json!("dpop"));
    claimed["status"] = json!("FINISHED");
    if rest["cost"] != best["cost"] {
        assert_eq!(false_claims(&check(&claimed).unwrap()), ["optimal"]);
    }
    let simple = "{name: n, objective: max, domains: {d: {values: [0, 1]}}, variables: {x: {domain: d, cost_function: x}}}";
    let file = solved(simple, Method::Mgm);
    let worse = with(&with(&file, "/assignment/x", json!(0)), "/cost", json!(0.0));
    assert_eq!(false_claims(&check(&worse).unwrap()), ["nobody can gain alone"]);
    assert!(check(&with(&file, "/assignment/x", json!(7))).is_err());
    assert!(check(&with(&file, "/kind", json!("solve"))).is_err());
}

#[test]
fn points_of_bargaining_are_checked() {
    let text = "{issues: [{name: a, values: [x, y, z]}], p: {weights: [1], evaluations: [[3, 2, 0]]}, q: {weights: [1], evaluations: [[0, 2, 3]]}}";
    let scenario = Scenario::parse(text).unwrap();
    let space = scenario.space().unwrap();
    for rule in Rule::ALL {
        let chosen = point(&space, rule).unwrap();
        let agreement: serde_json::Map<String, Value> = scenario
            .describe(chosen)
            .into_iter()
            .map(|(issue, value)| (issue.into(), json!(value)))
            .collect();
        let u = space.at(chosen);
        let answer = json!({
            "agreement": agreement, "utilities": {"p": u[0], "q": u[1]}, "pareto_efficient": is_efficient(&space, chosen),
        });
        let file = result_file("bargaining", rule.name(), scenario.to_json(), answer);
        assert!(check(&file).unwrap().holds(), "{:?}", check(&file).unwrap());
        assert_eq!(agreement["a"], "y");
        assert_eq!(false_claims(&check(&with(&file, "/utilities/p", json!(0.9))).unwrap()), ["utilities"]);
        assert_eq!(
            false_claims(&check(&with(&file, "/pareto_efficient", json!(false))).unwrap()),
            ["not Pareto efficient"]
        );
        let extreme = with(&file, "/agreement/a", json!("x"));
        let extreme = with(&extreme, "/utilities", json!({"p": 1.0, "q": 0.0}));
        let wrong = check(&extreme).unwrap();
        assert_eq!(false_claims(&wrong), [format!("{} point", rule.name())]);
    }
}

#[test]
fn mechanisms_are_checked() {
    let cases = [
        (
            "{items: [A, B], bids: [{bidder: x, items: [A, B], value: 10}, {bidder: y, items: [A], value: 6}, {bidder: z, items: [B], value: 7}]}",
            "vcg",
            "/payments/y",
            json!(2.0),
            "VCG payments",
        ),
        ("bids: {ann: 3, bob: 5}", "second-price", "/payments/bob", json!(4.0), "payments"),
        ("bids: {ann: 3, bob: 5}", "first-price", "/winner", json!("ann"), "the highest bid wins"),
        (
            "{proposers: {a: [x, y], b: [x, y]}, reviewers: {x: [b, a], y: [a, b]}}",
            "deferred-acceptance",
            "/matching",
            json!({"a": "x", "b": "y"}),
            "stable",
        ),
        (
            "preferences: {a: [b, a, c], b: [a, b, c], c: [a, b, c]}",
            "top-trading-cycles",
            "/assignment",
            json!({"a": "a", "b": "b", "c": "c"}),
            "in the core",
        ),
    ];
    for (text, method, pointer, value, false_claim) in cases {
        let answer = Mechanism::parse(text).unwrap().run(method).unwrap();
        let file = result_file("mechanism", method, json!({"text": text}), json!(answer.answer));
        assert!(check(&file).unwrap().holds(), "{:?}", check(&file).unwrap());
        let wrong = check(&with(&file, pointer, value)).unwrap();
        assert!(false_claims(&wrong).contains(&false_claim), "{wrong:?}");
    }
}

#[test]
fn agreements_are_checked() {
    let cases = [
        ("{agreement: average, agents: {a: 1, b: 3, c: 8}}", "/values/a"),
        (
            "{agreement: consensus, agents: {a: {quadratic: 1, linear: -3}, b: {quadratic: 2, linear: 1, high: 9}}}",
            "/value",
        ),
        (
            "{agreement: exchange, total: 10, agents: {a: {quadratic: 1}, b: {quadratic: 3, low: 0, high: 2}}}",
            "/price",
        ),
        (
            "{agreement: exchange, total: 10, agents: {a: {quadratic: 1}, b: {quadratic: 3, low: 0, high: 2}}}",
            "/values/a",
        ),
    ];
    for (text, pointer) in cases {
        let answer = Agreement::parse(text).unwrap().run(100_000).unwrap();
        let file = result_file("agreement", answer.method, json!({"text": text}), json!(answer.answer));
        assert!(check(&file).unwrap().holds(), "{:?}", check(&file).unwrap());
        let value = file.pointer(pointer).unwrap().as_f64().unwrap();
        assert!(!check(&with(&file, pointer, json!(value + 0.01))).unwrap().holds(), "{text} {pointer}");
    }
}
