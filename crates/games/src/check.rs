//! Judges written answers of `coact solve`: reads the game and the claim from the file, and computes from the definition
//! whether it holds. Shares the reader of games and the certificates with the rest of the crate, and no solver.

use serde_json::Value;

use crate::certificate;
use crate::error::{Error, Result};
use crate::nfg;
use crate::normal_form::{Mixed, NormalForm};
use crate::scalar::{Rational, Scalar, parse_rational};

/// Deviations may gain this much, relative to the payoffs' spread, where an answer is in floats.
const FLOAT_GAIN: f64 = 1e-6;
/// And this much of the largest payoff, where all are nearly the same.
const ROUNDING: f64 = 1e-12;

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What the answer claims.
    pub claim: String,
    /// Profiles or distributions that were checked.
    pub checked: usize,
    /// Largest gain from a deviation, over all of them.
    pub largest_gain: f64,
    /// First thing that is wrong, if any is.
    pub failure: Option<String>,
}

/// Checks an answer of kind `solve` about a game in normal form.
///
/// # Errors
/// If the text is not such an answer.
pub fn check_solve(answer: &Value) -> Result<Verdict> {
    let text = |name: &str| {
        let field = answer.get(name).and_then(Value::as_str);
        field.ok_or_else(|| Error::invalid(format!("the answer has no text `{name}`")))
    };
    let game = nfg::read(text("game")?)?;
    let claim = text("claim")?;
    let exact = answer.get("exact").and_then(Value::as_bool).unwrap_or(false);
    let mut verdict = Verdict { claim: claim.to_string(), checked: 0, largest_gain: 0.0, failure: None };
    let mut judge = |result: Result<Rational, String>| {
        verdict.checked += 1;
        match result {
            Ok(gain) => verdict.largest_gain = verdict.largest_gain.max(gain.to_float()),
            Err(failure) => {
                let number = verdict.checked;
                verdict.failure.get_or_insert(format!("answer {number}: {failure}"));
            }
        }
    };
    match claim {
        "nash" | "approximate" | "commitment" => {
            let list = answer.get("equilibria").and_then(Value::as_array);
            let list = list.ok_or_else(|| Error::invalid("the answer has no list `equilibria`"))?;
            let certificates = answer.get("certificate").and_then(|c| c.get("gains"));
            let certificates = certificates.and_then(Value::as_array);
            let values = answer.get("values").and_then(Value::as_array);
            for (k, mixed) in list.iter().enumerate() {
                let stated = certificates.and_then(|c| c.get(k));
                let values = values.and_then(|v| v.get(k));
                judge(check_profile(&game, mixed, stated, values, claim, exact));
            }
        }
        "correlated" | "coarse-correlated" => {
            let joint =
                answer.get("joint").ok_or_else(|| Error::invalid("the answer has no list `joint`"))?;
            let gains = answer["certificate"]["gains"].get(0);
            judge(check_joint(&game, joint, gains, answer["values"].get(0), claim, exact));
        }
        "survivors" => {
            let survivors = answer.get("survivors");
            let survivors = survivors.ok_or_else(|| Error::invalid("the answer has no list `survivors`"))?;
            judge(check_survivors(&game, survivors));
        }
        other => return Err(Error::invalid(format!("nothing here can judge the claim `{other}`"))),
    }
    if let Err(failure) = check_largest(&answer["certificate"]) {
        verdict.failure.get_or_insert(failure);
    }
    Ok(verdict)
}

/// The verdict in words.
///
/// # Errors
/// What is wrong with the answer, or why it is none.
pub fn verify(answer: &Value) -> Result<String> {
    let verdict = check_solve(answer)?;
    match verdict.failure {
        Some(failure) => Err(Error::invalid(failure)),
        None => Ok(format!(
            "{} answers of claim `{}` hold, largest gain of a deviation {:.1e}",
            verdict.checked, verdict.claim, verdict.largest_gain
        )),
    }
}

fn number(value: &Value) -> Result<Rational, String> {
    let exact = match value {
        Value::String(text) => parse_rational(text),
        Value::Number(n) => n.as_f64().and_then(<Rational as Scalar>::from_float),
        _ => None,
    };
    exact.ok_or_else(|| format!("{value} is not a number"))
}

fn numbers(value: &Value) -> Result<Vec<Rational>, String> {
    let list = value.as_array().ok_or("a list of numbers is missing")?;
    list.iter().map(number).collect()
}

/// A distribution; in floats its sum may be off by rounding, which is then taken out.
fn distribution(value: &Value, n: usize, exact: bool) -> Result<Vec<Rational>, String> {
    let list = numbers(value)?;
    if list.len() != n {
        return Err(format!("a distribution has {} entries where {n} belong", list.len()));
    }
    let zero = Rational::from_int(0);
    if let Some(negative) = list.iter().find(|p| **p < zero) {
        return Err(format!("a probability is {}", negative.to_float()));
    }
    let sum = list.iter().fold(zero, |sum, p| sum + p);
    let off = (sum.to_float() - 1.0).abs();
    match exact {
        true if sum != Rational::from_int(1) => Err(format!("probabilities sum to {sum}")),
        true => Ok(list),
        false if off > 1e-6 => Err(format!("probabilities sum to {}", sum.to_float())),
        false => Ok(list.iter().map(|p| p / &sum).collect()),
    }
}

/// By how much gains and values may be off: nothing in exact answers; in floats by a share of the largest payoff less the
/// smallest, of any player, and by rounding.
fn slack(game: &NormalForm<Rational>, exact: bool) -> f64 {
    if exact {
        return 0.0;
    }
    let of = |player: usize| {
        let floats = game.table(player).iter().map(Scalar::to_float);
        let (low, high) = floats.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), u| (l.min(u), h.max(u)));
        FLOAT_GAIN * (high - low) + ROUNDING * high.abs().max(low.abs())
    };
    (0..game.n_players()).map(of).fold(0.0, f64::max)
}

fn check_profile(
    game: &NormalForm<Rational>,
    mixed: &Value,
    stated: Option<&Value>,
    values: Option<&Value>,
    claim: &str,
    exact: bool,
) -> Result<Rational, String> {
    let players = mixed.as_array().ok_or("a profile is not a list of strategies")?;
    if players.len() != game.n_players() {
        return Err(format!("a profile has {} strategies for {} players", players.len(), game.n_players()));
    }
    let strategies = players.iter().zip(game.shape()).map(|(x, &n)| distribution(x, n, exact));
    let mixed: Mixed<Rational> = strategies.collect::<Result<_, _>>()?;
    let tolerance = slack(game, exact);
    let gains = certificate::gains(game, &mixed);
    agree("gains", stated, &gains, tolerance)?;
    agree("values", values, &certificate::values(game, &mixed), tolerance)?;
    // A leader who commits may well regret it; only the follower must not.
    let judged = if claim == "commitment" { &gains[1..] } else { &gains[..] };
    let worst = judged.iter().fold(Rational::from_int(0), |a, b| if *b > a { b.clone() } else { a });
    let fails = match exact {
        true => worst > Rational::from_int(0),
        false => worst.to_float() > tolerance,
    };
    if claim != "approximate" && fails {
        return Err(format!("a player gains {} by deviating", worst.to_float()));
    }
    Ok(worst)
}

fn check_joint(
    game: &NormalForm<Rational>,
    joint: &Value,
    stated: Option<&Value>,
    values: Option<&Value>,
    claim: &str,
    exact: bool,
) -> Result<Rational, String> {
    let joint = distribution(joint, game.n_profiles(), exact)?;
    let gain = match claim {
        "correlated" => certificate::correlated_gain(game, &joint),
        _ => certificate::coarse_correlated_gain(game, &joint),
    };
    let tolerance = slack(game, exact);
    agree("gains", stated, std::slice::from_ref(&gain), tolerance)?;
    let zero = Rational::from_int(0);
    let earned = |player: usize| {
        game.table(player).iter().zip(&joint).fold(zero.clone(), |sum, (payoff, p)| sum + payoff * p)
    };
    agree("values", values, &(0..game.n_players()).map(earned).collect::<Vec<_>>(), tolerance)?;
    match gain.to_float() > tolerance {
        true => Err(format!("a player gains {} by deviating", gain.to_float())),
        false => Ok(gain),
    }
}

/// Stated numbers, if there are any, must be those that were found.
fn agree(name: &str, stated: Option<&Value>, found: &[Rational], tolerance: f64) -> Result<(), String> {
    let Some(stated) = stated else { return Ok(()) };
    let stated = numbers(stated)?;
    // Without a tolerance a difference as small as it may be counts: floats would round it to zero.
    let close =
        |(a, b): (&Rational, &Rational)| a == b || (tolerance > 0.0 && (a - b).to_float().abs() <= tolerance);
    if stated.len() == found.len() && stated.iter().zip(found).all(close) {
        return Ok(());
    }
    let found: Vec<f64> = found.iter().map(Scalar::to_float).collect();
    Err(format!("{name} are {found:?}, not as stated"))
}

/// The largest gain must be the largest of the gains, which are checked one by one.
fn check_largest(certificate: &Value) -> Result<(), String> {
    let Some(stated) = certificate.get("largest_gain") else { return Ok(()) };
    let lists = certificate["gains"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut largest = 0.0_f64;
    for list in lists {
        largest = numbers(list)?.iter().map(Scalar::to_float).fold(largest, f64::max);
    }
    match number(stated)?.to_float() == largest {
        true => Ok(()),
        false => Err(format!("the largest gain is {largest:e}, not {stated} as stated")),
    }
}

/// Survivors must be strategies, at least one a player, and must hold every pure equilibrium strict enough that nothing
/// could have removed it.
fn check_survivors(game: &NormalForm<Rational>, survivors: &Value) -> Result<Rational, String> {
    let lists: Vec<Vec<usize>> =
        serde_json::from_value(survivors.clone()).map_err(|_| "survivors are not lists of strategies")?;
    if lists.len() != game.n_players() || lists.iter().any(Vec::is_empty) {
        return Err("a player has no strategy left".into());
    }
    if lists.iter().zip(game.shape()).any(|(list, &n)| list.iter().any(|&s| s >= n)) {
        return Err("a survivor is not a strategy of its player".into());
    }
    for profile in game.profiles() {
        let is_strict = (0..game.n_players()).all(|player| {
            (0..game.shape()[player]).filter(|&s| s != profile[player]).all(|s| {
                let mut other = profile.clone();
                other[player] = s;
                game.payoff(&other, player) < game.payoff(&profile, player)
            })
        });
        if is_strict && !profile.iter().zip(&lists).all(|(s, list)| list.contains(s)) {
            return Err(format!("the strict equilibrium {profile:?} was eliminated"));
        }
    }
    Ok(Rational::from_int(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use serde_json::json;

    fn answer(claim: &str, exact: bool) -> Value {
        let game = nfg::write(&catalog::build("chicken").unwrap());
        json!({"format": "coact-result/1", "kind": "solve", "game": game, "claim": claim, "exact": exact})
    }

    #[test]
    fn right_answers_pass_and_wrong_ones_are_named() {
        let mut right = answer("nash", true);
        right["equilibria"] = json!([[["1/2", "1/2"], ["1/2", "1/2"]], [["1", "0"], ["0", "1"]]]);
        right["values"] = json!([["2", "2"], ["4", "1"]]);
        right["certificate"] = json!({"gains": [["0", "0"], ["0", "0"]]});
        let verdict = check_solve(&right).unwrap();
        assert_eq!((verdict.checked, verdict.failure, verdict.largest_gain), (2, None, 0.0));
        assert!(verify(&right).unwrap().starts_with("2 answers of claim `nash` hold"));
        let wrong = [
            ("equilibria", json!([[["1/3", "2/3"], ["1/2", "1/2"]]])),
            ("equilibria", json!([[["1/2", "1/3"], ["1/2", "1/2"]]])),
            ("equilibria", json!([[["1/2", "1/2"]]])),
            ("equilibria", json!([[["3/2", "-1/2"], ["1/2", "1/2"]]])),
            ("values", json!([["2", "3"], ["4", "1"]])),
            ("certificate", json!({"gains": [["0", "1/9"], ["0", "0"]]})),
            ("certificate", json!({"gains": [["0", "0"], ["0", "0"]], "largest_gain": 1e-9})),
        ];
        for (field, value) in wrong {
            let mut wrong = right.clone();
            wrong[field] = value;
            assert!(check_solve(&wrong).unwrap().failure.is_some(), "{field}: {}", wrong[field]);
            assert!(verify(&wrong).is_err());
        }
        let mut joint = answer("correlated", false);
        joint["joint"] = json!([0.0, 0.5, 0.5, 0.0]);
        joint["values"] = json!([[2.5, 2.5]]);
        joint["certificate"] = json!({"gains": [[0.0]], "largest_gain": 0.0});
        assert_eq!(check_solve(&joint).unwrap().failure, None);
        for (field, value) in
            [("values", json!([[2.5, 2.6]])), ("certificate", json!({"gains": [[0.1]], "largest_gain": 0.1}))]
        {
            let mut wrong = joint.clone();
            wrong[field] = value;
            assert!(check_solve(&wrong).unwrap().failure.is_some(), "{field}: {}", wrong[field]);
        }
        joint["joint"] = json!([0.5, 0.25, 0.25, 0.0]);
        assert!(check_solve(&joint).unwrap().failure.is_some());
        let mut survivors = answer("survivors", true);
        survivors["survivors"] = json!([[0], [0, 1]]);
        assert!(check_solve(&survivors).unwrap().failure.is_some());
        assert!(check_solve(&answer("nash", true)).is_err() && check_solve(&answer("wishes", true)).is_err());
        assert!(check_solve(&json!({"game": "NFG"})).is_err());
    }
}
