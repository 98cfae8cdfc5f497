//! Talks by the rules and by chance, masks, best replies, and what is refused.

use super::super::{Rule, Terms, is_efficient, negotiate, point};
use super::*;

/// Two parties over a price and a color.
fn purchase(discount: f64) -> Scenario {
    let text = format!(
        r#"{{"name": "purchase",
        "issues": [{{"name": "price", "values": ["low", "middle", "high"]}}, {{"name": "color", "values": ["red", "blue"]}}],
        "buyer": {{"weights": [0.7, 0.3], "evaluations": [[3, 2, 0], [1, 3]], "reservation": 0.1, "discount": {discount}}},
        "seller": {{"weights": [0.6, 0.4], "evaluations": [[0, 3, 4], [2, 1]], "reservation": 0.2}}}}"#
    );
    Scenario::parse(&text).unwrap()
}

fn trio() -> Scenario {
    let text = r#"{"issues": [{"name": "day", "values": ["mon", "tue", "wed", "thu"]}],
        "a": {"weights": [1], "evaluations": [[4, 3, 2, 1]]},
        "b": {"weights": [1], "evaluations": [[1, 4, 3, 2]]},
        "c": {"weights": [1], "evaluations": [[2, 3, 4, 0]], "reservation": 0.3}}"#;
    Scenario::parse(text).unwrap()
}

fn strategy(name: &str) -> Option<Strategy> {
    Some(Strategy::parse(name).unwrap())
}

/// Legal actions, by the mask.
fn legal(env: &BargainingEnv, agent: usize) -> Vec<u32> {
    let group = &env.spec().groups[0];
    let mut mask = vec![0; group.mask_words()];
    env.legal(agent, &mut mask);
    let n = group.action.n_discrete() as u32;
    assert!((n..32 * mask.len() as u32).all(|a| mask[a as usize / 32] >> (a % 32) & 1 == 0));
    (0..n).filter(|a| mask[*a as usize / 32] >> (a % 32) & 1 == 1).collect()
}

/// One step; returns rewards and whether the episode is over.
fn step(env: &mut BargainingEnv, discrete: &[u32], rng: &mut Stream) -> (Vec<f32>, bool) {
    let n = env.spec().n_agents();
    let (mut reward, mut terminated) = (vec![f32::NAN; n], vec![false; n]);
    let actions = Actions { discrete, continuous: &[] };
    assert!(!env.step(actions, rng, &mut reward, &mut terminated).unwrap());
    assert_eq!(terminated, vec![!env.alive(0); n]);
    (reward, terminated[0])
}

fn check_view(env: &BargainingEnv) {
    let width = env.spec().groups[0].obs_width();
    for agent in 0..env.spec().n_agents() {
        let mut obs = vec![f32::NAN; width];
        env.observe(agent, &mut obs);
        assert!(obs.iter().all(|x| (0.0..=1.0).contains(x)), "{obs:?}");
    }
    let mut state = vec![f32::NAN; env.spec().state_width];
    env.state(&mut state);
    assert!(state.iter().all(|x| (0.0..=1.0).contains(x)), "{state:?}");
    assert!(!env.scene().shapes.is_empty());
}

fn play_at_random(env: &mut BargainingEnv, seed: u64) -> (Vec<f32>, usize) {
    let mut rng = Stream::new(seed, Purpose::Explore, 0, 0);
    env.reset(&mut rng);
    for n_steps in 1.. {
        check_view(env);
        let discrete: Vec<u32> = (0..env.spec().n_agents())
            .map(|agent| {
                let legal = legal(env, agent);
                legal[rng.below(legal.len() as u32) as usize]
            })
            .collect();
        let (reward, is_over) = step(env, &discrete, &mut rng);
        if is_over {
            check_view(env);
            return (reward, n_steps);
        }
        assert!(reward.iter().all(|r| *r == 0.0));
    }
    unreachable!()
}

#[test]
fn random_talks_end_with_the_utilities_of_their_outcome() {
    let mut n_without = 0;
    for (scenario, seats) in [
        (purchase(0.8), vec![None, None]),
        (purchase(0.8), vec![strategy("linear"), None]),
        (trio(), vec![None, None, None]),
        (trio(), vec![None, strategy("random"), None]),
    ] {
        let space = scenario.space().unwrap();
        let mut env = BargainingEnv::new(&scenario, 6, &seats).unwrap();
        let mut n_agreed = 0;
        for seed in 0..200 {
            let (reward, n_steps) = play_at_random(&mut env, seed);
            assert!(n_steps <= 6 * scenario.profiles.len());
            let time = f64::from((env.turn - 1) / scenario.profiles.len() as u32) / 5.0;
            for (agent, &party) in env.table.learners.iter().enumerate() {
                let raw = match env.agreement() {
                    Some(outcome) => space.utilities[party][outcome],
                    None => space.reservations[party],
                };
                let own = raw * scenario.profiles[party].discount.powf(time);
                assert!((f64::from(reward[agent]) - own).abs() < 1e-6);
            }
            n_agreed += usize::from(env.agreement().is_some());
        }
        assert!(n_agreed > 20, "{n_agreed} of 200");
        n_without += 200 - n_agreed;
    }
    assert!(n_without > 10, "{n_without} of 800 talks end without an agreement");
}

/// Learners that act as strategies would hold the same negotiation as strategies.
#[test]
fn the_rules_are_those_of_the_protocol() {
    for (scenario, names) in [
        (purchase(0.8), vec!["boulware", "conceder"]),
        (purchase(1.0), vec!["linear", "linear"]),
        (purchase(0.5), vec!["boulware", "boulware"]),
        (trio(), vec!["conceder", "boulware", "linear"]),
    ] {
        for n_rounds in [1, 2, 7, 20] {
            let strategies: Vec<Strategy> = names.iter().map(|name| strategy(name).unwrap()).collect();
            let terms =
                Terms { strategies: strategies.clone(), n_rounds: n_rounds.into(), seed: 3, log: false };
            let expected = negotiate(&scenario, &terms).unwrap();
            for n_learners in 1..=names.len() {
                let seats: Vec<Option<Strategy>> =
                    (0..names.len()).map(|p| (p >= n_learners).then_some(strategies[p])).collect();
                let mut env = BargainingEnv::new(&scenario, n_rounds, &seats).unwrap();
                let space = &env.table.space.clone();
                let parties: Vec<Party> =
                    strategies.iter().enumerate().map(|(p, s)| Party::new(*s, space, p)).collect();
                let mut rng = Stream::new(0, Purpose::Step, 0, 0);
                let utilities = loop {
                    let who = env.whose_turn();
                    let time = time_of(u64::from(env.turn) / names.len() as u64, n_rounds.into());
                    let next = parties[who].offer(time, &mut rng);
                    let mut actions = vec![WAIT; n_learners];
                    actions[who] = match env.standing {
                        Some((_, offered)) if parties[who].accepts(offered, next, time) => ACCEPT,
                        _ => next.unwrap() as u32 + N_BEFORE as u32,
                    };
                    let (reward, is_over) = step(&mut env, &actions, &mut rng);
                    if is_over {
                        break reward;
                    }
                };
                assert_eq!((env.agreement(), env.end), (expected.agreement, Some(expected.end)));
                for (own, expected) in utilities.iter().zip(&expected.utilities) {
                    assert!((f64::from(*own) - expected).abs() < 1e-6);
                }
            }
        }
    }
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} is not {expected:?}");
}

/// A new offer takes back what others had accepted; what was offered once is remembered.
#[test]
fn three_parties_see_who_accepted_and_what_was_offered() {
    let mut env = BargainingEnv::new(&trio(), 4, &[None; 3]).unwrap();
    let mut rng = Stream::new(0, Purpose::Step, 0, 0);
    let state = |env: &BargainingEnv| {
        let mut state = vec![f32::NAN; env.spec().state_width];
        env.state(&mut state);
        state
    };
    let (third, two) = (1.0 / 3.0, 2.0 / 3.0);
    // Monday is the best day for a, the worst for b, and half as good as any for c.
    step(&mut env, &[2, WAIT, WAIT], &mut rng);
    step(&mut env, &[WAIT, ACCEPT, WAIT], &mut rng);
    let mut expected = vec![0.0, 0.0, 1.0, 2.0 / 12.0, 1.0, 0.5, 1.0, 0.0, 0.0, 0.0];
    expected.extend([0.0, 0.0, 0.5, 1.0, 0.0, 0.0]);
    assert_near(&state(&env), &expected);
    let mut obs = vec![0.0; env.spec().groups[0].obs_width()];
    env.observe(2, &mut obs);
    assert_near(&obs[3..12], &[1.0, 2.0 / 12.0, 1.0, 0.5, 0.5, 0.5, 0.0, 0.3, 1.0]);
    // The party that made the offer looks on and has nothing to accept.
    env.observe(0, &mut obs);
    assert_near(&obs[3..12], &[0.0, 2.0 / 12.0, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0, 1.0]);
    // Tuesday, which one party accepts; then Thursday.
    step(&mut env, &[WAIT, WAIT, 3], &mut rng);
    let (_, is_over) = step(&mut env, &[ACCEPT, WAIT, WAIT], &mut rng);
    assert!(!is_over, "one of two others has accepted");
    step(&mut env, &[WAIT, 5, WAIT], &mut rng);
    let mut expected = vec![0.0, 0.0, 1.0, 5.0 / 12.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    expected.extend([two, 1.0, 0.5, 1.0, third, 0.75]);
    assert_near(&state(&env), &expected);
}

#[test]
fn masks_and_errors_hold_to_the_protocol() {
    let mut env = BargainingEnv::new(&purchase(1.0), 3, &[None, None]).unwrap();
    let mut rng = Stream::new(0, Purpose::Step, 0, 0);
    assert_eq!(legal(&env, 0), (2..8).collect::<Vec<_>>());
    assert_eq!(legal(&env, 1), [WAIT]);
    let refused = |env: &BargainingEnv, discrete: [u32; 2], word: &str| {
        let actions = Actions { discrete: &discrete, continuous: &[] };
        let (mut env, mut rng) = (env.clone(), Stream::new(0, Purpose::Step, 0, 0));
        let error = env.step(actions, &mut rng, &mut [0.0; 2], &mut [false; 2]).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{error}");
    };
    refused(&env, [ACCEPT, WAIT], "illegal");
    refused(&env, [WAIT, WAIT], "illegal");
    refused(&env, [2, 2], "illegal");
    refused(&env, [8, WAIT], "not one of 8");
    step(&mut env, &[4, WAIT], &mut rng);
    assert_eq!(legal(&env, 0), [WAIT]);
    assert_eq!(legal(&env, 1), (1..8).collect::<Vec<_>>());
    // Outcome 2 is middle and red: worth 0.7 * 2/3 + 0.3 / 3 to the buyer, 0.6 * 3/4 + 0.4 to the seller.
    let mut obs = vec![0.0; env.spec().groups[0].obs_width()];
    env.observe(1, &mut obs);
    let (low, high) = (0.2, 1.0);
    let offered = (0.85 - low) / (high - low);
    let mut expected = vec![0.0, 1.0, 1.0, 1.0 / 6.0, 1.0, 0.0, offered, offered, 0.0, 0.0, 1.0];
    expected.extend([0.0, 1.0, 0.0, 1.0, 0.0]);
    // What prices and colors add, of 0.8 between the worst outcome and the best.
    expected.extend([0.0, 0.5625, 0.75, 0.25, 0.0]);
    assert_near(&obs, &expected);
    let (reward, is_over) = step(&mut env, &[WAIT, ACCEPT], &mut rng);
    assert!(is_over && env.agreement() == Some(2));
    assert!((reward[0] - 0.566_666_7).abs() < 1e-6 && (reward[1] - 0.85).abs() < 1e-6);
}

/// The most that any sequence of legal actions of a single learner is paid.
fn best_of_all_plays(env: &BargainingEnv) -> f64 {
    let mut best = f64::NEG_INFINITY;
    for action in legal(env, 0) {
        let mut after = env.clone();
        let (reward, is_over) = step(&mut after, &[action], &mut Stream::new(0, Purpose::Step, 0, 0));
        best = best.max(if is_over { f64::from(reward[0]) } else { best_of_all_plays(&after) });
    }
    best
}

#[test]
fn best_replies_are_the_most_that_any_play_is_paid() {
    let mut all = Vec::new();
    for discount in [1.0, 0.6] {
        for name in ["conceder", "linear", "boulware"] {
            for (learner, n_rounds) in [(0, 1), (0, 4), (1, 1), (1, 4)] {
                let scenario = purchase(discount);
                let own = strategy(name).unwrap();
                let best = best_reply(&scenario, n_rounds, learner, own).unwrap().unwrap();
                let mut seats = vec![Some(own); 2];
                seats[learner] = None;
                let env = BargainingEnv::new(&scenario, n_rounds, &seats).unwrap();
                let most = best_of_all_plays(&env);
                assert!((most - best).abs() < 1e-6, "{name} against {learner}: {most}, foreseen {best}");
                all.push((best * 1e6) as i64);
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 4, "{all:?}");
    let scenario = purchase(1.0);
    assert_eq!(best_reply(&scenario, 5, 0, strategy("micro").unwrap()).unwrap(), None);
    assert_eq!(best_reply(&trio(), 5, 0, strategy("linear").unwrap()).unwrap(), None);
}

#[test]
fn solution_points_are_utilities_that_learners_could_have() {
    let scenario = purchase(1.0);
    let space = scenario.space().unwrap();
    let nash = point(&space, Rule::Nash).unwrap();
    assert!(is_efficient(&space, nash));
    let mut env = BargainingEnv::new(&scenario, 2, &[None, None]).unwrap();
    let mut rng = Stream::new(0, Purpose::Step, 0, 0);
    step(&mut env, &[nash as u32 + 2, WAIT], &mut rng);
    let (reward, _) = step(&mut env, &[WAIT, ACCEPT], &mut rng);
    assert!(reward.iter().zip(space.at(nash)).all(|(r, u)| (f64::from(*r) - u).abs() < 1e-6));
}

#[test]
fn a_loaded_moment_goes_on_alike_and_bad_ones_are_refused() {
    let mut env = BargainingEnv::new(&trio(), 4, &[None, strategy("conceder"), None]).unwrap();
    let mut rng = Stream::new(0, Purpose::Step, 0, 0);
    step(&mut env, &[2, WAIT], &mut rng);
    let mut out = Writer::new();
    env.save(&mut out);
    let bytes = out.into_bytes();
    let mut other = BargainingEnv::new(&trio(), 4, &[None, strategy("conceder"), None]).unwrap();
    other.load(&mut Reader::new("environment", &bytes)).unwrap();
    let view =
        |env: &BargainingEnv| (env.turn, env.standing, env.n_accepted, env.end, env.best_received.clone());
    assert_eq!(view(&other), view(&env));
    // Turn 1 belongs to a strategy, turn 12 is past the deadline, party 3 and outcome 4 are not there.
    for (at, value) in [(0, 1_u32), (0, 12), (4, 2), (8, 3), (12, 4), (16, 4), (28, f32::NAN.to_bits())] {
        let mut damaged = bytes.clone();
        damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(other.load(&mut Reader::new("environment", &damaged)).is_err(), "byte {at}");
    }
    // An end after the deadline, and an offer accepted that nobody made.
    for pairs in [[(0, 13_u32), (16, 2)], [(4, 1), (8, u32::MAX)]] {
        let mut damaged = bytes.clone();
        for (at, value) in pairs {
            damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        assert!(other.load(&mut Reader::new("environment", &damaged)).is_err(), "{pairs:?}");
    }
    for cut in 0..bytes.len() {
        assert!(other.load(&mut Reader::new("environment", &bytes[..cut])).is_err());
    }
}

#[test]
fn what_cannot_be_learned_is_refused_in_one_line() {
    let refused = |scenario: &Scenario, n_rounds: u32, seats: &[Option<Strategy>], word: &str| {
        let error = BargainingEnv::new(scenario, n_rounds, seats).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{error}");
    };
    let two = purchase(1.0);
    refused(&two, 0, &[None, None], "0 rounds");
    refused(&two, 5, &[None], "1 seats for 2");
    refused(&two, 5, &[strategy("linear"), strategy("linear")], "leave one to learn");
    refused(&two, 5, &[strategy("micro"), None], "boulware");
    let alone = Scenario { profiles: two.profiles[..1].to_vec(), ..two.clone() };
    refused(&alone, 5, &[None], "1 parties");
    let mut large = two.clone();
    large.issues[0].values = (0..3000).map(|v| v.to_string()).collect();
    large.profiles.iter_mut().for_each(|p| p.worth[0] = vec![0.5; 3000]);
    refused(&large, 5, &[None, None], "6000");
}
