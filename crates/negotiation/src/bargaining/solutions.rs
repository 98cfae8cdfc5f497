//! Solution points on finite sets: the Pareto frontier, and the outcomes that Nash, Kalai and Smorodinsky, the
//! egalitarian and the utilitarian rule choose.
//!
//! All rules choose among outcomes that give everybody at least the disagreement utility. Ties go to the outcome that
//! is better for the worst-off, then the next (leximin), then to the first; a choice is therefore always efficient.

use std::cmp::Ordering;

use super::scenario::Space;

/// A rule that chooses an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Greatest product of gains over disagreement (Nash 1950).
    Nash,
    /// Greatest least share of what each could gain at most (Kalai and Smorodinsky 1975).
    KalaiSmorodinsky,
    /// Greatest least gain (Kalai 1977).
    Egalitarian,
    /// Greatest sum of utilities.
    Utilitarian,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 4] = [Self::Nash, Self::KalaiSmorodinsky, Self::Egalitarian, Self::Utilitarian];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nash => "nash",
            Self::KalaiSmorodinsky => "kalai-smorodinsky",
            Self::Egalitarian => "egalitarian",
            Self::Utilitarian => "utilitarian",
        }
    }
}

/// The outcomes that no other outcome dominates (at least as good for everybody, better for somebody), by falling
/// utility of the first party. Of outcomes with the same utilities only the first is kept.
pub fn pareto(space: &Space) -> Vec<usize> {
    let mut order: Vec<usize> = (0..space.n_outcomes()).collect();
    let compare = |&a: &usize, &b: &usize| {
        let parties = space.utilities.iter().map(|own| own[b].total_cmp(&own[a]));
        parties.fold(Ordering::Equal, Ordering::then).then(a.cmp(&b))
    };
    order.sort_by(compare);
    // In this order an outcome can only be dominated by an earlier one that is efficient itself.
    let mut kept: Vec<usize> = Vec::new();
    if space.utilities.len() == 2 {
        let mut best = f64::NEG_INFINITY;
        for outcome in order {
            if space.utilities[1][outcome] > best {
                best = space.utilities[1][outcome];
                kept.push(outcome);
            }
        }
        return kept;
    }
    for outcome in order {
        let covers = |&other: &usize| space.utilities.iter().all(|own| own[other] >= own[outcome]);
        if !kept.iter().any(covers) {
            kept.push(outcome);
        }
    }
    kept
}

/// Whether no outcome dominates this one. Looks at all of them.
///
/// # Panics
/// If there is no such outcome.
pub fn is_efficient(space: &Space, outcome: usize) -> bool {
    let dominates = |other: usize| {
        space.utilities.iter().all(|own| own[other] >= own[outcome])
            && space.utilities.iter().any(|own| own[other] > own[outcome])
    };
    !(0..space.n_outcomes()).any(dominates)
}

/// The outcome that a rule chooses, `None` where every outcome leaves somebody worse off than no agreement.
pub fn point(space: &Space, rule: Rule) -> Option<usize> {
    let rational =
        |&outcome: &usize| space.utilities.iter().zip(&space.reservations).all(|(own, d)| own[outcome] >= *d);
    // Every rule rises with everybody's utility, and so chooses on the frontier.
    let candidates: Vec<usize> = pareto(space).into_iter().filter(rational).collect();
    let most: Vec<f64> = space
        .utilities
        .iter()
        .map(|own| candidates.iter().map(|&outcome| own[outcome]).fold(f64::NEG_INFINITY, f64::max))
        .collect();
    let gains = |outcome: usize| -> Vec<f64> {
        space.utilities.iter().zip(&space.reservations).map(|(own, d)| own[outcome] - d).collect()
    };
    let shares = |outcome: usize| -> Vec<f64> {
        let ideal = most.iter().zip(&space.reservations).map(|(most, d)| most - d);
        gains(outcome)
            .iter()
            .zip(ideal)
            .map(|(gain, ideal)| if ideal > 0.0 { gain / ideal } else { 1.0 })
            .collect()
    };
    let score = |outcome: usize| -> f64 {
        match rule {
            Rule::Nash => gains(outcome).iter().product(),
            Rule::KalaiSmorodinsky => shares(outcome).into_iter().fold(f64::INFINITY, f64::min),
            Rule::Egalitarian => gains(outcome).into_iter().fold(f64::INFINITY, f64::min),
            Rule::Utilitarian => space.at(outcome).iter().sum(),
        }
    };
    let sorted = |outcome: usize| {
        let mut list = if rule == Rule::KalaiSmorodinsky { shares(outcome) } else { gains(outcome) };
        list.sort_by(f64::total_cmp);
        list
    };
    let better = |&a: &usize, &b: &usize| {
        let leximin = || {
            let (a, b) = (sorted(a), sorted(b));
            a.iter().zip(&b).map(|(a, b)| a.total_cmp(b)).fold(Ordering::Equal, Ordering::then)
        };
        score(a).total_cmp(&score(b)).then_with(leximin).then(b.cmp(&a))
    };
    candidates.into_iter().max_by(better)
}
