//! `rl_schedules`: linear schedules whose numbers stand in the names of the fields.

use coact_nets::Schedule;
use serde_json::Value;

use super::case::{count, number};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-12;
/// Parts of a whole run in which progress is counted, so that rounding stays below the tolerance.
const RUN: f64 = 1e15;

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let fields = case.value.as_object().ok_or("the case is not an object")?;
    for (name, points) in fields {
        if let Some((from, to, over)) = pymarl(name) {
            let schedule = Schedule::Linear { from, to, over };
            for point in list(name, points)? {
                let t = count(point, "t")?;
                case.close(
                    &format!("{name} at {t}"),
                    schedule.value(t as u64),
                    number(point, "eps")?,
                    TOLERANCE,
                );
            }
        } else if let Some((from, to, fraction)) = sb3(name) {
            let schedule = Schedule::Linear { from, to, over: (fraction * RUN).round() as u64 };
            for point in list(name, points)? {
                let rest = number(point, "progress_remaining")?;
                let value = schedule.value(((1.0 - rest) * RUN).round() as u64);
                case.close(&format!("{name} at {rest}"), value, number(point, "eps")?, TOLERANCE);
            }
        } else if name != "seed" {
            case.not_covered(name);
        }
    }
    Ok(())
}

fn list<'a>(name: &str, value: &'a Value) -> Result<&'a Vec<Value>, Fault> {
    value.as_array().ok_or_else(|| format!("field `{name}` is not a list"))
}

/// `pymarl_linear_<from>_to_<to>_over_<counts>`.
fn pymarl(name: &str) -> Option<(f64, f64, u64)> {
    let (from, rest) = name.strip_prefix("pymarl_linear_")?.split_once("_to_")?;
    let (to, over) = rest.split_once("_over_")?;
    Some((from.parse().ok()?, to.parse().ok()?, over.parse().ok()?))
}

/// `sb3_linear_start<from>_end<to>_fraction<of the run>`.
fn sb3(name: &str) -> Option<(f64, f64, f64)> {
    let (from, rest) = name.strip_prefix("sb3_linear_start")?.split_once("_end")?;
    let (to, fraction) = rest.split_once("_fraction")?;
    Some((from.parse().ok()?, to.parse().ok()?, fraction.parse().ok()?))
}
