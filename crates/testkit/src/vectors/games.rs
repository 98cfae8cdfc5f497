//! `games_bimatrix`, `games_zero_sum` and `games_dynamics`: games in normal form.

use coact_games::certificate;
use coact_games::dynamics::{FictitiousPlay, Replicator};
use coact_games::equilibrium::{
    Concept, Dominance, Selection, correlated, iterated_dominance, lemke_howson, pure_equilibria,
    vertex_enumeration, zero_sum,
};
use coact_games::{Mixed, NormalForm, Rational, Scalar};
use serde_json::Value;

use super::case::{count, field, indices, number, numbers, numbers_of, table, table_of};
use super::{Case, Fault};

/// As far as the recorded equilibria and programs are said to agree.
const LISTED: f64 = 1e-6;

fn fault(error: coact_games::Error) -> Fault {
    error.to_string()
}

/// The exact game of two tables of numbers.
fn game(value: &Value) -> Result<NormalForm<Rational>, Fault> {
    let (a, m, n) = table(value, "A")?;
    let b = table_of(value, "B", m, n)?;
    Ok(NormalForm::bimatrix(m, n, a, b).map_err(fault)?.convert())
}

fn floats(mixed: &Mixed<Rational>) -> Mixed<f64> {
    mixed.iter().map(|x| x.iter().map(Scalar::to_float).collect()).collect()
}

pub(crate) fn check_bimatrix(case: &mut Case<'_>) -> Result<(), Fault> {
    let value = case.value;
    let game = game(value)?;
    let (m, n) = (game.shape()[0], game.shape()[1]);
    let mut expected = Vec::new();
    for entry in field(value, "equilibria")?.as_array().ok_or("field `equilibria` is not a list")? {
        expected.push([numbers_of(entry, "row", m)?, numbers_of(entry, "col", n)?].concat());
    }
    let exact = vertex_enumeration(&game, &mut |_| true).map_err(fault)?;
    let zero = Rational::from_int(0);
    for mixed in &exact {
        let gains = certificate::gains(&game, mixed);
        case.check(gains.iter().all(|gain| *gain == zero), || format!("deviating gains {gains:?}"));
    }
    let found: Vec<Vec<f64>> = exact.iter().map(|mixed| floats(mixed).concat()).collect();
    same_set(case, "the exact equilibria", &found, &expected);
    let in_floats = vertex_enumeration(&game.convert::<f64>(), &mut |_| true).map_err(fault)?;
    let in_floats: Vec<Vec<f64>> = in_floats.iter().map(|mixed| mixed.concat()).collect();
    same_set(case, "the equilibria in floats", &in_floats, &expected);
    for label in 0..m + n {
        let end = lemke_howson(&game, label, &mut |_| true).map_err(fault)?.mixed;
        case.check(exact.contains(&end), || format!("Lemke-Howson with label {label} ends elsewhere"));
    }
    check_parts(case, value, &game)
}

/// What a case says beyond its equilibria.
fn check_parts(case: &mut Case<'_>, value: &Value, game: &NormalForm<Rational>) -> Result<(), Fault> {
    let (m, n) = (game.shape()[0], game.shape()[1]);
    let in_floats = game.convert::<f64>();
    if let Some(pure) = value.get("pure") {
        let pure = pure.as_array().ok_or("field `pure` is not a list")?;
        let found: Vec<Value> = pure_equilibria(game).into_iter().map(Value::from).collect();
        let same = found.len() == pure.len() && pure.iter().all(|p| found.contains(p));
        case.check(same, || format!("the pure equilibria are {found:?}, recorded {pure:?}"));
    }
    for (name, concept) in [
        ("max_welfare_correlated_eq", Concept::Correlated),
        ("max_welfare_coarse_correlated_eq", Concept::CoarseCorrelated),
    ] {
        if value.get(name).is_some() {
            let best = correlated(&in_floats, concept, Selection::Welfare).map_err(fault)?;
            case.close(name, best.value, number(value, name)?, LISTED);
        }
    }
    let survivors = "iterated_strict_pure_dominance_survivors";
    if let Some(recorded) = value.get(survivors) {
        let found = iterated_dominance(game, Dominance::Strict).map_err(fault)?;
        let found: Value = found.into_iter().map(Value::from).collect();
        case.check(found == *recorded, || format!("{survivors} are {found}, recorded {recorded}"));
    }
    if value.get("zero_sum_value").is_some() {
        let solution = zero_sum(m, n, in_floats.table(0)).map_err(fault)?;
        case.close("zero_sum_value", solution.value, number(value, "zero_sum_value")?, LISTED);
    }
    Ok(())
}

/// Each recorded list is found exactly once, and nothing else.
fn same_set(case: &mut Case<'_>, what: &str, found: &[Vec<f64>], expected: &[Vec<f64>]) {
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| (x - y).abs() <= LISTED);
    let once = expected.iter().all(|e| found.iter().filter(|f| near(f, e)).count() == 1);
    case.check(once && found.len() == expected.len(), || {
        format!("{what} are {} and not the {} recorded", found.len(), expected.len())
    });
}

pub(crate) fn check_zero_sum(case: &mut Case<'_>) -> Result<(), Fault> {
    let value = case.value;
    let (a, m, n) = table(value, "A")?;
    let recorded = number(value, "value")?;
    let solution = zero_sum(m, n, &a).map_err(fault)?;
    case.close("the value", solution.value, recorded, 1e-7);
    let (least, most) = certificate::zero_sum_bounds(&a, &solution.row, &solution.column);
    case.check(least >= recorded - LISTED, || format!("the row strategy earns only {least}"));
    case.check(most <= recorded + LISTED, || format!("the column strategy gives away {most}"));
    // The recorded strategies are judged by the same measure, as there may be several.
    for (name, length) in [("row_maximin", m), ("col_minimax", n)] {
        if value.get(name).is_none() {
            continue;
        }
        let strategy = numbers_of(value, name, length)?;
        let is_row = name == "row_maximin";
        let (x, y) = if is_row { (&strategy, &solution.column) } else { (&solution.row, &strategy) };
        let (least, most) = certificate::zero_sum_bounds(&a, x, y);
        let bound = if is_row { recorded - least } else { most - recorded };
        case.check(bound <= 1e-6, || format!("{name} is off by {bound}"));
    }
    Ok(())
}

pub(crate) fn check_dynamics(case: &mut Case<'_>) -> Result<(), Fault> {
    let value = case.value;
    let (a, m, n) = table(value, "A")?;
    if let Some(points) = value.get("euler_replicator") {
        let dt = number(value, "dt")?;
        let mut population = Replicator::new(a.clone(), numbers(value, "x0")?).map_err(fault)?;
        let mut steps = 0;
        for point in points.as_array().ok_or("field `euler_replicator` is not a list")? {
            let t = count(point, "t")?;
            if t < steps || t > 10_000_000 {
                return Err(format!("time {t} does not follow {steps}"));
            }
            (steps..t).for_each(|_| population.step(dt));
            steps = t;
            let expected = numbers_of(point, "x", population.shares().len())?;
            case.all_close(&format!("replicator after {t} steps"), population.shares(), &expected, 1e-9);
        }
    }
    if let Some(points) = value.get("fictitious_play") {
        let b = table_of(value, "B", m, n)?;
        let game = NormalForm::bimatrix(m, n, a, b).map_err(fault)?;
        let mut play = FictitiousPlay::new(&game, &[0, 0]).map_err(fault)?;
        let mut steps = 0;
        for point in points.as_array().ok_or("field `fictitious_play` is not a list")? {
            let t = count(point, "t")?;
            if t < steps || t > 10_000_000 {
                return Err(format!("time {t} does not follow {steps}"));
            }
            (steps..t).for_each(|_| play.step());
            steps = t;
            for (player, name) in ["row_counts", "col_counts"].into_iter().enumerate() {
                let recorded = indices(point, name, t + 2)?;
                let same = recorded.iter().map(|&c| c as u64).eq(play.counts()[player].iter().copied());
                let found = &play.counts()[player];
                case.check(same, || format!("{name} after {t} rounds are {found:?}, recorded {recorded:?}"));
            }
        }
    }
    Ok(())
}
