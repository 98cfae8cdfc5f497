//! `games_stochastic_zero_sum`: values of zero-sum Markov games by both forms of Shapley's iteration, certified.

use coact_games::markov::certificate::certify;
use coact_games::markov::file::read_json;
use coact_games::markov::shapley::{Form, Options, solve};

use super::case::numbers_of;
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-6;

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let game = read_json(&v.to_string(), 0).map_err(|e| e.to_string())?;
    let expected = numbers_of(v, "value", game.n_states())?;
    for form in [Form::Shapley, Form::Newton] {
        let solution = solve(&game, form, &Options::default()).map_err(|e| e.to_string())?;
        case.all_close(&format!("value by {form:?}"), &solution.values, &expected, TOLERANCE);
        let proof =
            certify(&game, &solution.values, &solution.row, &solution.column).map_err(|e| e.to_string())?;
        case.check(proof.bound <= TOLERANCE, || format!("{form:?}: certified only to {}", proof.bound));
    }
    Ok(())
}
