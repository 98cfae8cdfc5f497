//! Agreements: the mean, and for ADMM the conditions of an optimum: slopes that cancel, quantities that add up, equal
//! incremental costs inside the bounds.

use serde_json::Value;

use super::{Claim, claim, number, text};
use crate::Result;
use crate::agreement::Agreement;

/// What stopping rules leave, as a share of the numbers.
const SLACK: f64 = 1e-5;

pub(super) fn check(problem: &Value, answer: &Value) -> Result<Vec<Claim>> {
    let agreement = Agreement::parse(text(problem, "text")?)?;
    let by_name = |names: &[String]| {
        names.iter().map(|name| number(&answer["values"], name)).collect::<Result<Vec<f64>>>()
    };
    let close = |a: f64, b: f64| (a - b).abs() <= SLACK * a.abs().max(b.abs()).max(1.0);
    if answer["converged"] != true {
        return Ok(vec![Claim {
            claim: "agreed".into(),
            holds: None,
            detail: "the run did not converge".into(),
        }]);
    }
    let names = agreement.names();
    if let Some(values) = agreement.averaged() {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let found = by_name(names)?;
        let holds = found.iter().all(|&value| close(value, mean));
        return Ok(vec![claim("everybody has the mean", holds, format!("mean {mean}"))]);
    }
    let costs = agreement.costs();
    let slope = |i: usize, x: f64| costs[i].quadratic[0] * x + costs[i].linear[0];
    // Bounds push back with whatever it takes.
    let at = |i: usize, x: f64| {
        (x <= costs[i].low[0] + SLACK * x.abs().max(1.0), x >= costs[i].high[0] - SLACK * x.abs().max(1.0))
    };
    let inside = |i: usize, x: f64| x >= costs[i].low[0] - SLACK && x <= costs[i].high[0] + SLACK;
    let Some(total) = agreement.total() else {
        let x = number(answer, "value")?;
        let sum: f64 = (0..costs.len()).map(|i| slope(i, x)).sum();
        let low = (0..costs.len()).any(|i| at(i, x).0);
        let high = (0..costs.len()).any(|i| at(i, x).1);
        let scale: f64 =
            (0..costs.len()).map(|i| slope(i, x).abs().max(costs[i].quadratic[0])).sum::<f64>().max(1.0);
        let holds = (0..costs.len()).all(|i| inside(i, x))
            && (sum.abs() <= SLACK * scale || (sum > 0.0 && low) || (sum < 0.0 && high));
        return Ok(vec![claim("slopes cancel", holds, format!("sum of slopes {sum} at {x}"))]);
    };
    let (x, price) = (by_name(names)?, number(answer, "price")?);
    let sum: f64 = x.iter().sum();
    let balanced = claim("quantities add up", close(sum, total), format!("{sum} of {total}"));
    let mut worst = 0.0_f64;
    for (i, &x) in x.iter().enumerate() {
        let (low, high) = at(i, x);
        let gap = slope(i, x) - price;
        let free = if (low && gap > 0.0) || (high && gap < 0.0) { 0.0 } else { gap.abs() };
        worst = worst.max(if inside(i, x) { free } else { f64::INFINITY });
    }
    let holds = worst <= 10.0 * SLACK * price.abs().max(1.0);
    Ok(vec![
        balanced,
        claim("equal incremental costs", holds, format!("price {price}, greatest gap {worst}")),
    ])
}
