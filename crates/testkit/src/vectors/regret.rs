//! `cfr`: NashConv, values and average play of counterfactual regret minimization after numbers of iterations.

use coact_games::extensive::games::by_name;
use coact_games::extensive::{Cfr, CfrOptions, Tree};
use serde_json::Value;

use super::case::{count, field, number, numbers_of, text};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-9;
/// Sizes and lengths that a check may take.
const MOST_NODES: usize = 1_000_000;
const MOST_ITERATIONS: usize = 20_000;

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let (game, solver) = (text(v, "game")?, text(v, "solver")?);
    let options = match solver {
        "cfr" => CfrOptions::CFR,
        "cfr_plus" => CfrOptions::PLUS,
        "dcfr" | "discounted_cfr" => CfrOptions::DISCOUNTED,
        "lcfr" | "linear_cfr" => CfrOptions::LINEAR,
        "cfr_simultaneous" => CfrOptions { alternating: false, ..CfrOptions::CFR },
        other => {
            case.not_covered(format!("solver {other}"));
            return Ok(());
        }
    };
    let Ok(game) = by_name(game) else {
        case.not_covered(format!("game {game}"));
        return Ok(());
    };
    let tree = game.tree(MOST_NODES).map_err(|e| e.to_string())?;
    let points = field(v, "points")?.as_array().ok_or("field `points` is not a list")?;
    let mut cfr = Cfr::new(&tree, options).map_err(|e| e.to_string())?;
    for point in points {
        let n = count(point, "iterations")?;
        if n > MOST_ITERATIONS {
            return Err(format!("{n} iterations are more than {MOST_ITERATIONS}"));
        }
        if cfr.n_iterations() > n as u64 {
            cfr = Cfr::new(&tree, options).map_err(|e| e.to_string())?;
        }
        while cfr.n_iterations() < n as u64 {
            cfr.step();
        }
        let found = cfr.assess();
        let name = format!("{solver} after {n} iterations");
        case.close(&format!("NashConv of {name}"), found.nash_conv(), number(point, "nash_conv")?, TOLERANCE);
        let values = numbers_of(point, "value_to_each_player", tree.n_players())?;
        case.all_close(&format!("values of {name}"), &found.values, &values, TOLERANCE);
    }
    match v.get("final_average_policy") {
        Some(policy) => compare_policy(case, &tree, &cfr, policy),
        None => Ok(()),
    }
}

/// Average play after the last point, by the names of information sets.
fn compare_policy(case: &mut Case<'_>, tree: &Tree, cfr: &Cfr, policy: &Value) -> Result<(), Fault> {
    let policy = policy.as_object().ok_or("field `final_average_policy` is not an object")?;
    let average = cfr.average();
    let mut n_known = 0;
    for (i, infoset) in tree.infosets().iter().enumerate().filter(|(_, i)| i.player.is_some()) {
        let Some(expected) = policy.get(&infoset.label) else { continue };
        let all = expected.as_array().and_then(|l| l.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
        let expected =
            all.ok_or_else(|| format!("policy at `{}` is not a list of numbers", infoset.label))?;
        let what = format!("average policy at `{}`", infoset.label);
        case.all_close(&what, average.at(tree, i), &expected, TOLERANCE);
        n_known += 1;
    }
    if n_known < policy.len() {
        case.not_covered(format!("information sets of {} under other names", tree.title()));
    }
    Ok(())
}
