//! What users of bargaining rely on: the known points of the laptop domain, agreements that nobody regrets, the same talk
//! from the same seed.

#![allow(clippy::unwrap_used)]

use coact_negotiation::bargaining::{
    Acceptance, Bidding, End, Frontier, Issue, Negotiation, Profile, Rule, STRATEGIES, Scenario, Strategy,
    Terms, is_efficient, negotiate, pareto, point, read_genius,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

fn laptop() -> Scenario {
    let read = |name: &str| {
        let path = format!("{}/../../testdata/negotiation/laptop/{name}.xml", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let (domain, buyer, seller) = (read("domain"), read("buyer"), read("seller"));
    assert_eq!(read_genius(&domain).unwrap().profile, None);
    Scenario::from_genius("laptop", &[("domain", &domain), ("buyer", &buyer), ("seller", &seller)]).unwrap()
}

#[test]
fn the_laptop_domain_has_its_known_points() {
    let scenario = laptop();
    let space = scenario.space().unwrap();
    assert_eq!(space.n_outcomes(), 27);
    let mut points: Vec<Vec<f64>> = pareto(&space).into_iter().map(|outcome| space.at(outcome)).collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let expected = [[0.72562, 1.00005], [0.85165, 0.94113], [0.87402, 0.87402], [1.00005, 0.81511]];
    assert_eq!(points.len(), 4);
    for (point, expected) in points.iter().zip(expected) {
        assert!((point[0] - expected[0]).abs() < 1e-5 && (point[1] - expected[1]).abs() < 1e-5, "{points:?}");
    }
    let values =
        |outcome: usize| scenario.describe(outcome).iter().map(|pair| pair.1).collect::<Vec<_>>().join(", ");
    let nash = point(&space, Rule::Nash).unwrap();
    assert_eq!(values(nash), "HP, 60 Gb, 19'' LCD");
    assert!((space.at(nash).iter().product::<f64>() - 0.81515).abs() < 1e-5);
    assert_eq!(values(point(&space, Rule::Egalitarian).unwrap()), "HP, 80 Gb, 19'' LCD");
    assert_eq!(values(point(&space, Rule::Utilitarian).unwrap()), "HP, 60 Gb, 19'' LCD");
    // Lotteries between the two middle points would give both a little more.
    let points: Vec<[f64; 2]> = (0..27).map(|o| [space.at(o)[0], space.at(o)[1]]).collect();
    let fair = Frontier::Points(&points).point(Rule::Egalitarian, [0.0; 2]).unwrap().unwrap();
    assert!(fair.utilities[0] >= 0.87402 && (fair.utilities[0] - fair.utilities[1]).abs() < 1e-9);
}

fn talk(scenario: &Scenario, strategies: &[Strategy], n_rounds: u64, seed: u64) -> Negotiation {
    negotiate(scenario, &Terms { strategies: strategies.to_vec(), n_rounds, seed, log: true }).unwrap()
}

fn named(name: &str) -> Strategy {
    Strategy::parse(name).unwrap()
}

#[test]
fn every_pair_of_strategies_talks_by_the_rules() {
    let scenario = laptop();
    let space = scenario.space().unwrap();
    for (a, first) in STRATEGIES {
        for (b, second) in STRATEGIES {
            let talk = talk(&scenario, &[first, second], 100, 3);
            for (turn, offer) in talk.offers.iter().enumerate() {
                assert_eq!((offer.turn, offer.party), (turn as u64, turn % 2), "{a} and {b}");
            }
            match talk.agreement {
                Some(agreed) => {
                    assert_eq!(talk.end, End::Agreement);
                    assert_eq!(talk.offers.last().unwrap().outcome, agreed);
                    assert_eq!(talk.utilities, space.at(agreed));
                    assert_eq!(talk.counts.sent, talk.offers.len() as u64 + 1);
                }
                None => assert_eq!((talk.end, talk.n_rounds), (End::Deadline, 100), "{a} and {b}"),
            }
        }
    }
}

#[test]
fn aspirations_meet_on_the_frontier() {
    let scenario = laptop();
    let space = scenario.space().unwrap();
    for pair in [["boulware", "conceder"], ["linear", "linear"], ["modeling", "modeling"], ["micro", "micro"]]
    {
        let talk = talk(&scenario, &pair.map(named), 200, 1);
        let agreed = talk.agreement.unwrap();
        assert!(is_efficient(&space, agreed), "{pair:?}: {:?}", space.at(agreed));
    }
    // Who gives way gets less.
    let soft = talk(&scenario, &[named("conceder"), named("boulware")], 200, 1);
    let hard = talk(&scenario, &[named("boulware"), named("conceder")], 200, 1);
    assert!(soft.utilities[0] < hard.utilities[0] && soft.utilities[1] > hard.utilities[1]);
}

#[test]
fn a_reservation_is_never_given_up() {
    let mut scenario = laptop();
    for profile in &mut scenario.profiles {
        profile.reservation = 0.9;
    }
    for (name, strategy) in STRATEGIES {
        let talk = talk(&scenario, &[strategy, strategy], 60, 5);
        assert!(talk.utilities.iter().all(|&u| u >= 0.9), "{name}: {talk:?}");
    }
    assert_eq!(point(&scenario.space().unwrap(), Rule::Nash), None);
    for profile in &mut scenario.profiles {
        profile.reservation = 2.0;
    }
    assert_eq!(talk(&scenario, &[named("linear"), named("linear")], 9, 1).end, End::Left);
}

#[test]
fn time_costs_what_the_discount_says() {
    let mut scenario = laptop();
    scenario.profiles[0].discount = 0.5;
    let talk = talk(&scenario, &[named("boulware"), named("boulware")], 101, 1);
    let space = scenario.space().unwrap();
    let raw = space.at(talk.agreement.unwrap());
    let time = (talk.n_rounds - 1) as f64 / 100.0;
    assert!(time > 0.0);
    assert!((talk.utilities[0] - raw[0] * 0.5_f64.powf(time)).abs() < 1e-12);
    assert_eq!(talk.utilities[1], raw[1]);
}

#[test]
fn many_parties_agree_only_together() {
    let issue = |k: usize| Issue { name: format!("i{k}"), values: (0..4).map(|v| v.to_string()).collect() };
    let profile = |p: usize| Profile {
        name: format!("p{p}"),
        worth: (0..3)
            .map(|k| (0..4).map(|v| f64::from(((p * 5 + k * 3 + v * (p + 2)) % 7) as u32) / 18.0).collect())
            .collect(),
        reservation: 0.1,
        discount: 1.0,
    };
    let scenario = Scenario {
        name: "four".into(),
        issues: (0..3).map(issue).collect(),
        profiles: (0..4).map(profile).collect(),
    };
    for name in ["linear", "conceder", "boulware", "modeling", "micro"] {
        let talk = talk(&scenario, &[named(name); 4], 300, 2);
        let agreed = talk.agreement.unwrap();
        assert!(scenario.space().unwrap().at(agreed).iter().all(|&u| u >= 0.1));
        // The last offer and three acceptances, told to three others each.
        assert_eq!(talk.counts.sent, 3 * (talk.offers.last().unwrap().turn + 4), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_talk() {
    let scenario = laptop();
    let strategies = [named("random"), named("micro")];
    assert_eq!(talk(&scenario, &strategies, 50, 7), talk(&scenario, &strategies, 50, 7));
    let picky = Strategy { bidding: Bidding::Random, acceptance: Acceptance::Const(2.0) };
    let logs = [1, 2].map(|seed| talk(&scenario, &[picky; 2], 50, seed).log);
    assert_ne!(logs[0], logs[1]);
}

#[test]
fn wrong_uses_are_named() {
    let scenario = laptop();
    let terms = |strategies: Vec<Strategy>, n_rounds| Terms { strategies, n_rounds, seed: 0, log: false };
    for terms in [terms(vec![named("linear")], 9), terms(vec![named("linear"); 2], 0)] {
        assert!(!negotiate(&scenario, &terms).unwrap_err().to_string().contains('\n'));
    }
    assert!(Strategy::parse("boulwar").unwrap_err().to_string().contains("did you mean `boulware`"));
    let buyer = "<utility_space><issue index=\"1\" name=\"a\"><item value=\"x\" evaluation=\"1\"/></issue><weight index=\"1\" value=\"1\"/></utility_space>";
    let other = buyer.replace("\"x\"", "\"y\"");
    let more = buyer.replace("<weight", "\n <issue index=\"2\" name=\"c\"><item value=\"z\" evaluation=\"1\"/></issue><weight index=\"2\" value=\"1\"/><weight");
    let place = "line 1, column 16: expected `a` with x, as in `first`, found `a` with y";
    let joined = |first: &str, other: &str| {
        Scenario::from_genius("two", &[("first", first), ("b", other)]).unwrap_err().to_string()
    };
    assert_eq!(joined(buyer, &other), format!("`b`: {place}"));
    assert!(joined(buyer, &more).contains("line 2, column 2: expected no more issues"));
    assert!(joined(&more, buyer).contains("`b`: expected `c` with z after the other issues"));
    for text in [
        "{}",
        "{issues: []}",
        "{issues: [{name: a, values: []}]}",
        "{issues: [{name: a, values: [x]}], p: {weights: [1], evaluations: [[1, 2]]}}",
    ] {
        assert!(Scenario::parse(text).is_err(), "{text}");
    }
}

fn random_scenario() -> impl proptest::strategy::Strategy<Value = Scenario> {
    let worth = proptest::collection::vec(proptest::collection::vec(0_u32..6, 3), 2);
    proptest::collection::vec((worth, 0_u32..4), 2..4).prop_map(|parties| Scenario {
        name: "random".into(),
        issues: (0..2)
            .map(|k| Issue { name: format!("i{k}"), values: vec!["a".into(), "b".into(), "c".into()] })
            .collect(),
        profiles: parties
            .into_iter()
            .enumerate()
            .map(|(p, (worth, reservation))| Profile {
                name: format!("p{p}"),
                worth: worth.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect(),
                reservation: f64::from(reservation),
                discount: 1.0,
            })
            .collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The frontier is what no outcome dominates, and every rule chooses from it what nobody would refuse.
    #[test]
    fn rules_choose_efficient_and_rational_outcomes(scenario in random_scenario()) {
        let space = scenario.space().unwrap();
        let frontier = pareto(&space);
        for outcome in 0..space.n_outcomes() {
            let on_it = frontier.iter().any(|&other| space.at(other) == space.at(outcome));
            prop_assert_eq!(on_it, is_efficient(&space, outcome));
        }
        for rule in Rule::ALL {
            if let Some(chosen) = point(&space, rule) {
                prop_assert!(is_efficient(&space, chosen));
                prop_assert!(space.at(chosen).iter().zip(&space.reservations).all(|(u, d)| u >= d));
            } else {
                let refused = |o: usize| space.at(o).iter().zip(&space.reservations).any(|(u, d)| u < d);
                prop_assert!((0..space.n_outcomes()).all(refused));
            }
        }
    }

    /// Nash's point does not change when a party counts in other units.
    #[test]
    fn nash_does_not_depend_on_units(scenario in random_scenario(), factor in 1_u32..9) {
        let mut other = scenario.clone();
        let profile = &mut other.profiles[0];
        profile.worth.iter_mut().flatten().for_each(|worth| *worth *= f64::from(factor));
        profile.reservation *= f64::from(factor);
        let product = |scenario: &Scenario, outcome: usize| {
            let space = scenario.space().unwrap();
            space.at(outcome).iter().zip(&space.reservations).map(|(u, d)| u - d).product::<f64>()
        };
        let choose = |scenario: &Scenario| point(&scenario.space().unwrap(), Rule::Nash);
        match (choose(&scenario), choose(&other)) {
            (Some(a), Some(b)) => prop_assert_eq!(product(&scenario, a), product(&scenario, b)),
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn talks_end_with_what_nobody_refuses(scenario in random_scenario(), a in 0_usize..8, b in 0_usize..8, seed: u64) {
        let strategies: Vec<Strategy> =
            (0..scenario.profiles.len()).map(|p| STRATEGIES[if p == 0 { a } else { b }].1).collect();
        let talk = talk(&scenario, &strategies, 20, seed);
        prop_assert!(talk.utilities.iter().zip(&scenario.profiles).all(|(u, p)| *u >= p.reservation));
    }

    #[test]
    fn no_text_panics(text in "[<>a-z0-9 =\"/&;!-]{0,120}") {
        let _ = read_genius(&text);
        let _ = read_genius(&format!("<utility_space>{text}</utility_space>"));
        let _ = Scenario::parse(&text);
    }
}
