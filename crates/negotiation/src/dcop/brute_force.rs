//! All assignments, one by one: the yardstick for small problems. Without messages.

use coact_messaging::Counts;

use super::solve::{Found, Progress, Run, Status};
use crate::{Error, Result};

/// Assignments that can be looked at in bearable time.
const MAX_ASSIGNMENTS: u64 = 200_000_000;

pub(super) fn solve(run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let n = model.n_variables();
    let size = model.sizes.iter().fold(1_u64, |size, &n| size.saturating_mul(n as u64));
    if size > MAX_ASSIGNMENTS {
        return Err(Error::TooMany {
            what: "this problem".into(),
            size,
            limit: MAX_ASSIGNMENTS,
            advice: "use dpop, or a local method such as mgm",
        });
    }
    // Constraints by their last variable, so that partial sums can be kept.
    let mut closing: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (f, factor) in model.factors.iter().enumerate() {
        if let Some(&last) = factor.scope.iter().max() {
            closing[last].push(f);
        }
    }
    let mut values = vec![0; n];
    let mut sums = vec![0.0; n + 1];
    let mut best = (f64::INFINITY, values.clone());
    let (mut from, mut n_seen, mut status) = (0, 0_u64, Status::Finished);
    loop {
        for v in from..n {
            let own = model.unary[v][values[v]];
            sums[v + 1] =
                closing[v].iter().fold(sums[v] + own, |sum, &f| sum + model.factors[f].cost(&values));
        }
        if sums[n] < best.0 {
            best = (sums[n], values.clone());
        }
        n_seen += 1;
        let progress = Progress { cycle: n_seen, messages: 0, cost: None };
        if n_seen.is_multiple_of(1 << 16) && !(run.watch)(&progress) {
            status = Status::Timeout;
            break;
        }
        let Some(v) = (0..n).rev().find(|&v| values[v] + 1 < model.sizes[v]) else { break };
        values[v] += 1;
        values[v + 1..].fill(0);
        from = v;
    }
    let (counts, log) = (Counts::default(), String::new());
    Ok(Found { assignment: best.1, cycle: 1, counts, status, costs: Vec::new(), log })
}
