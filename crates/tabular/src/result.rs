//! Results of planning as JSON, and their check.
//!
//! A result is an object `{"format": "coact-result/1", "kind": "plan", "what": "model" | "team" | "markov" | "profile", ...}` that
//! holds the problem (`source`: its built-in name or its text, and the discount) and the answer with its certificate. [`check`] reads the
//! problem again and recomputes the certificate by the modules `certificate`, which no solver uses; it fails where a
//! claim is better than the truth.

use coact_games::markov;
use serde_json::{Value, json};

use crate::decpomdp::{self, AgentPolicy, solve::TeamPlan};
use crate::model::Model;
use crate::plan::Plan;
use crate::problem::{self, Problem};
use crate::{Error, Result, certificate};

/// Where a problem came from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A built-in name.
    Name(String),
    /// Text, and the number of a case in it.
    Text(String, usize),
}

impl Source {
    /// Reads the problem, with another discount if one is given.
    ///
    /// # Errors
    /// As [`problem::read`] and [`problem::by_name`].
    pub fn read(&self, gamma: Option<f64>) -> Result<Problem> {
        let problem = match self {
            Self::Name(name) => problem::by_name(name)?,
            Self::Text(text, case) => problem::read(text, *case)?,
        };
        match gamma {
            Some(gamma) => problem.with_gamma(gamma),
            None => Ok(problem),
        }
    }

    fn to_json(&self, gamma: f64) -> Value {
        match self {
            Self::Name(name) => json!({ "name": name, "gamma": gamma }),
            Self::Text(text, case) => json!({ "text": text, "case": case, "gamma": gamma }),
        }
    }

    fn of_json(value: &Value) -> Result<(Self, f64)> {
        let gamma = value["gamma"].as_f64();
        let source = match (value["name"].as_str(), value["text"].as_str()) {
            (Some(name), None) => Some(Self::Name(name.into())),
            (None, Some(text)) => Some(Self::Text(text.into(), value["case"].as_u64().unwrap_or(0) as usize)),
            _ => None,
        };
        match (source, gamma) {
            (Some(source), Some(gamma)) => Ok((source, gamma)),
            _ => Err(Error::invalid("`source` needs `gamma` and either `name` or `text`")),
        }
    }
}

fn frame(what: &str, method: &str, source: &Source, gamma: f64) -> Value {
    json!({ "format": "coact-result/1", "kind": "plan", "what": what, "method": method, "source": source.to_json(gamma) })
}

/// The result of planning in a model: `values`, `policy` (actions, null in terminal states), `residual`.
///
/// # Errors
/// Values or a policy that do not fit the model.
pub fn of_model(method: &str, source: &Source, model: &Model, plan: &Plan) -> Result<Value> {
    let proof = certificate::certify(model, &plan.values, &plan.policy)?;
    let mut out = frame("model", method, source, model.gamma());
    let policy = plan.policy.iter().enumerate();
    out["values"] = json!(plan.values);
    out["policy"] = policy.map(|(s, &a)| if model.is_terminal(s) { Value::Null } else { json!(a) }).collect();
    out["residual"] = json!(proof.residual);
    out["certificate"] = json!({
        "residual": proof.residual, "policy_residual": proof.policy_residual,
        "value_bound": proof.value_bound, "policy_bound": proof.policy_bound,
    });
    out["start_value"] = json!(start_value(model.start(), &plan.values));
    out["iterations"] = json!(plan.iterations);
    Ok(out)
}

/// Mean value of the first state.
pub fn start_value(start: &[f64], values: &[f64]) -> f64 {
    start.iter().zip(values).map(|(p, v)| p * v).sum()
}

/// The result of planning for a team: `values` holds the one value, `policy` the actions of each agent after each of its
/// observation sequences, `residual` the largest gain of an agent by another policy.
///
/// # Errors
/// Policies that do not fit the problem.
pub fn of_team(
    method: &str,
    source: &Source,
    problem: &decpomdp::DecPomdp,
    horizon: usize,
    plan: &TeamPlan,
) -> Result<Value> {
    let proof = decpomdp::certificate::certify(problem, horizon, &plan.policies)?;
    let mut out = frame("team", method, source, problem.discount());
    out["horizon"] = json!(horizon);
    out["values"] = json!([plan.value]);
    out["policy"] = plan.policies.iter().map(|p| json!(p.actions)).collect();
    out["residual"] = json!(proof.gains.iter().copied().fold(0.0, f64::max));
    out["certificate"] = json!({ "value": proof.value, "gains": proof.gains });
    out["evaluated"] = json!(plan.n_evaluated);
    Ok(out)
}

/// The result of solving a zero-sum Markov game: `values` to the first player, `policy` with both strategies of each
/// state, `residual` the larger gap.
///
/// # Errors
/// A game without such a certificate.
pub fn of_markov(
    method: &str,
    source: &Source,
    game: &markov::MarkovGame,
    solution: &markov::shapley::Solution,
) -> Result<Value> {
    let proof = markov::certificate::certify(game, &solution.values, &solution.row, &solution.column)
        .map_err(|e| Error::invalid(e.to_string()))?;
    let (m, n) = (game.n_actions()[0], game.n_actions()[1]);
    let mut out = frame("markov", method, source, game.gamma());
    out["values"] = json!(solution.values);
    out["policy"] = json!([
        solution.row.chunks_exact(m).collect::<Vec<_>>(),
        solution.column.chunks_exact(n).collect::<Vec<_>>()
    ]);
    out["residual"] = json!(proof.row_gap.max(proof.column_gap));
    out["certificate"] =
        json!({ "row_gap": proof.row_gap, "column_gap": proof.column_gap, "value_bound": proof.bound });
    out["start_value"] = json!(start_value(game.start(), &solution.values));
    out["iterations"] = json!(solution.residuals.len());
    Ok(out)
}

/// The result of learning in a Markov game with any number of players: `policy` with the strategies `[S, A]` of each player,
/// `values` what each state is worth to each player under them, `residual` the largest gain of a player who answers best.
///
/// # Errors
/// A game without such a certificate, or strategies that do not fit it.
pub fn of_profile(
    method: &str,
    source: &Source,
    game: &markov::MarkovGame,
    strategies: &[Vec<f64>],
) -> Result<Value> {
    let proof = markov::certificate::assess(game, strategies).map_err(|e| Error::invalid(e.to_string()))?;
    let mut out = frame("profile", method, source, game.gamma());
    let rows = |(strategy, &n): (&Vec<f64>, &usize)| json!(strategy.chunks_exact(n).collect::<Vec<_>>());
    out["policy"] = strategies.iter().zip(game.n_actions()).map(rows).collect();
    out["values"] = json!(proof.values);
    out["residual"] = json!(proof.gains.iter().copied().fold(0.0, f64::max));
    out["certificate"] = json!({ "gains": proof.gains, "nash_conv": proof.nash_conv() });
    out["start_values"] = proof.values.iter().map(|v| json!(start_value(game.start(), v))).collect();
    Ok(out)
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether every claim holds.
    pub holds: bool,
    /// What holds, or what does not, in one line.
    pub detail: String,
}

/// Checks a result of kind `plan`.
///
/// # Errors
/// An object that is not such a result.
pub fn check(result: &Value) -> Result<Verdict> {
    if result["format"] != "coact-result/1" || result["kind"] != "plan" {
        return Err(Error::invalid("not a result of format `coact-result/1` and kind `plan`"));
    }
    let (source, gamma) = Source::of_json(&result["source"])?;
    match source.read(Some(gamma))? {
        Problem::Model(model) => check_model(result, &model),
        Problem::Team(team) if result["what"] == "model" => check_model(result, &team.to_mmdp()?),
        Problem::Team(team) => check_team(result, &team),
        Problem::Markov(game) if result["what"] == "profile" => check_profile(result, &game),
        Problem::Markov(game) => check_markov(result, &game),
    }
}

fn numbers(value: &Value, name: &str) -> Result<Vec<f64>> {
    let list = value.as_array().and_then(|l| l.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
    list.ok_or_else(|| Error::invalid(format!("`{name}` is not a list of numbers")))
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value.as_f64().ok_or_else(|| Error::invalid(format!("`{name}` is not a number")))
}

/// Whether a claim is not better than the truth: residuals and gains may only be as small as they are. Sums in another order
/// differ in the last digits of numbers of size `scale`.
fn honest(claimed: f64, found: f64, scale: f64) -> bool {
    found <= claimed * (1.0 + 1e-9) + 1e-12 * scale.max(1e-300)
}

fn size(values: &[f64]) -> f64 {
    values.iter().fold(0.0_f64, |a, v| a.max(v.abs()))
}

/// What is wrong with a number that is stated where another was found; nothing if they agree.
fn differs(stated: &Value, name: &str, found: f64, scale: f64) -> Result<Option<Verdict>> {
    let stated = number(stated, name)?;
    let same = (stated - found).abs() <= 1e-9 * scale.max(1e-300);
    Ok((!same).then(|| Verdict { holds: false, detail: format!("`{name}` is {found}, claimed {stated}") }))
}

fn check_model(result: &Value, model: &Model) -> Result<Verdict> {
    let values = numbers(&result["values"], "values")?;
    let policy = result["policy"].as_array().map(Vec::as_slice).unwrap_or_default();
    let policy: Option<Vec<usize>> =
        policy.iter().map(|a| if a.is_null() { Some(0) } else { a.as_u64().map(|a| a as usize) }).collect();
    let policy = policy.ok_or_else(|| Error::invalid("`policy` is not a list of actions"))?;
    let proof = certificate::certify(model, &values, &policy)?;
    let claims = &result["certificate"];
    let claimed = [
        number(&result["residual"], "residual")?,
        number(&claims["residual"], "certificate.residual")?,
        number(&claims["policy_residual"], "certificate.policy_residual")?,
    ];
    let scale = size(&values) + size(model.reward());
    for (claimed, found) in claimed.into_iter().zip([proof.residual, proof.residual, proof.policy_residual]) {
        if !honest(claimed, found, scale) {
            return Ok(Verdict {
                holds: false,
                detail: format!("a residual is {found:.3e}, claimed {claimed:.3e}"),
            });
        }
    }
    for (name, found) in [("value_bound", proof.value_bound), ("policy_bound", proof.policy_bound)] {
        let slack = scale / (1.0 - model.gamma()).max(f64::EPSILON);
        let ok = match (claims[name].as_f64(), found) {
            (Some(claimed), Some(found)) => honest(claimed, found, slack),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if !ok {
            return Ok(Verdict {
                holds: false,
                detail: format!("{name} is {found:?}, claimed {}", claims[name]),
            });
        }
    }
    let start = start_value(model.start(), &values);
    if let Some(verdict) = differs(&result["start_value"], "start_value", start, scale)? {
        return Ok(verdict);
    }
    let bound = proof
        .policy_bound
        .map_or("no bound at gamma 1".into(), |b| format!("loss of the policy at most {b:.1e}"));
    Ok(Verdict {
        holds: true,
        detail: format!("{} states, Bellman residual {:.1e}, {bound}", values.len(), proof.residual),
    })
}

fn check_team(result: &Value, team: &decpomdp::DecPomdp) -> Result<Verdict> {
    let horizon = result["horizon"].as_u64().unwrap_or(0) as usize;
    let lists = result["policy"].as_array().map(Vec::as_slice).unwrap_or_default();
    let policies: Option<Vec<AgentPolicy>> = lists
        .iter()
        .zip(team.n_observations())
        .map(|(list, n_observations)| {
            let actions =
                list.as_array()?.iter().map(|a| a.as_u64().map(|a| a as usize)).collect::<Option<_>>()?;
            Some(AgentPolicy { n_observations, actions })
        })
        .collect();
    let policies = policies.ok_or_else(|| Error::invalid("`policy` is not a list of actions an agent"))?;
    let proof = decpomdp::certificate::certify(team, horizon, &policies)?;
    let value = number(&result["values"][0], "values[0]")?;
    let scale = value.abs().max(1.0);
    if (value - proof.value).abs() > 1e-9 * scale {
        let detail = format!("the joint policy is worth {}, claimed {value}", proof.value);
        return Ok(Verdict { holds: false, detail });
    }
    if let Some(verdict) = differs(&result["certificate"]["value"], "certificate.value", proof.value, scale)?
    {
        return Ok(verdict);
    }
    let claimed = number(&result["residual"], "residual")?;
    let gain = proof.gains.iter().copied().fold(0.0, f64::max);
    let stated = numbers(&result["certificate"]["gains"], "certificate.gains")?;
    let each = stated.len() == proof.gains.len()
        && stated.iter().zip(&proof.gains).all(|(&claimed, &found)| honest(claimed, found, scale));
    if !each || !honest(claimed, gain, scale) {
        return Ok(Verdict {
            holds: false,
            detail: format!("an agent gains {gain} by another policy, claimed {claimed} of {stated:?}"),
        });
    }
    // Upper bounds below what a joint policy earns are none.
    for (name, bound) in result["bounds"].as_object().into_iter().flatten() {
        if bound.as_f64().is_some_and(|bound| bound < proof.value - 1e-9 * scale) {
            let detail =
                format!("the joint policy is worth {}, above the bound `{name}` of {bound}", proof.value);
            return Ok(Verdict { holds: false, detail });
        }
    }
    Ok(Verdict {
        holds: true,
        detail: format!("value {value} for horizon {horizon}, largest gain of an agent {gain:.1e}"),
    })
}

/// Numbers of the lists in a list.
fn rows(value: &Value, name: &str) -> Result<Vec<f64>> {
    let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Result<Vec<Vec<f64>>> = rows.iter().map(|r| numbers(r, name)).collect();
    Ok(rows?.concat())
}

fn check_profile(result: &Value, game: &markov::MarkovGame) -> Result<Verdict> {
    let strategies: Result<Vec<Vec<f64>>> =
        (0..game.n_players()).map(|player| rows(&result["policy"][player], "policy")).collect();
    let proof = markov::certificate::assess(game, &strategies?).map_err(|e| Error::invalid(e.to_string()))?;
    let gains = numbers(&result["certificate"]["gains"], "certificate.gains")?;
    let claimed = number(&result["residual"], "residual")?;
    for (player, (found, gain)) in proof.values.iter().zip(&proof.gains).enumerate() {
        let values = numbers(&result["values"][player], "values")?;
        let scale = size(found).max(1e-9);
        let off = found.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if values.len() != found.len() || off > 1e-9 * scale {
            let detail = format!("the values of player {} are off by {off:.3e}", player + 1);
            return Ok(Verdict { holds: false, detail });
        }
        let stated = gains.get(player).copied().unwrap_or(f64::NEG_INFINITY).min(claimed);
        if !honest(stated, *gain, 1e3 * scale) {
            let detail =
                format!("player {} gains {gain:.3e} by a best answer, claimed {stated:.3e}", player + 1);
            return Ok(Verdict { holds: false, detail });
        }
    }
    let nash_conv = number(&result["certificate"]["nash_conv"], "certificate.nash_conv")?;
    let scale = proof.values.iter().map(|v| size(v)).fold(1e-9, f64::max);
    if !honest(nash_conv, proof.nash_conv(), 1e3 * scale) {
        let detail = format!("the gains add up to {:.3e}, claimed {nash_conv:.3e}", proof.nash_conv());
        return Ok(Verdict { holds: false, detail });
    }
    for (player, values) in proof.values.iter().enumerate() {
        let start = start_value(game.start(), values);
        if let Some(verdict) = differs(&result["start_values"][player], "start_values", start, scale)? {
            return Ok(verdict);
        }
    }
    Ok(Verdict {
        holds: true,
        detail: format!("{} states, values hold, best answers gain {:.1e}", game.n_states(), claimed),
    })
}

fn check_markov(result: &Value, game: &markov::MarkovGame) -> Result<Verdict> {
    let values = numbers(&result["values"], "values")?;
    let strategy = |player: usize| rows(&result["policy"][player], "policy");
    let proof = markov::certificate::certify(game, &values, &strategy(0)?, &strategy(1)?)
        .map_err(|e| Error::invalid(e.to_string()))?;
    let scale = size(&values).max(1e-9);
    let gap = proof.row_gap.max(proof.column_gap);
    let claims = &result["certificate"];
    for (stated, name, found, scale) in [
        (&result["residual"], "residual", gap, scale),
        (&claims["row_gap"], "certificate.row_gap", proof.row_gap, scale),
        (&claims["column_gap"], "certificate.column_gap", proof.column_gap, scale),
        (&claims["value_bound"], "certificate.value_bound", proof.bound, scale / (1.0 - game.gamma())),
    ] {
        let claimed = number(stated, name)?;
        if !honest(claimed, found, scale) {
            let detail =
                format!("a strategy misses the values: `{name}` is {found:.3e}, claimed {claimed:.3e}");
            return Ok(Verdict { holds: false, detail });
        }
    }
    let start = start_value(game.start(), &values);
    if let Some(verdict) = differs(&result["start_value"], "start_value", start, scale)? {
        return Ok(verdict);
    }
    Ok(Verdict { holds: true, detail: format!("{} states, values within {:.1e}", values.len(), proof.bound) })
}
