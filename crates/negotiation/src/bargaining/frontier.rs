//! Solution points on convex sets of two parties: the convex hull of finitely many points (reached by lotteries between two
//! outcomes), or the area under a concave curve. Not here: more than two parties.

use super::solutions::Rule;
use crate::{Error, Result};

/// A point between two outcomes: the first with probability `1 - share`, the second with probability `share`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LotteryPoint {
    /// Utilities.
    pub utilities: [f64; 2],
    /// One outcome.
    pub first: usize,
    /// The other; the same where no lottery is needed.
    pub second: usize,
    /// The probability of the second.
    pub share: f64,
}

/// The upper right border of the convex hull of points, by falling first utility.
pub fn hull(points: &[[f64; 2]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        points[b][0].total_cmp(&points[a][0]).then(points[b][1].total_cmp(&points[a][1])).then(a.cmp(&b))
    });
    let mut kept: Vec<usize> = Vec::new();
    for next in order {
        if kept.last().is_some_and(|&last| points[next][1] <= points[last][1]) {
            continue;
        }
        while let [.., a, b] = kept.as_slice() {
            let (p, q, r) = (points[*a], points[*b], points[next]);
            // Keep the middle one only if it lies outside the line between its neighbors.
            let cross = (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
            if cross > 0.0 {
                break;
            }
            kept.pop();
        }
        kept.push(next);
    }
    kept
}

/// The border of a convex set of utilities.
pub enum Frontier<'a> {
    /// The hull of points.
    Points(&'a [[f64; 2]]),
    /// All that lies under `curve`, which gives the second utility for a first utility between `low` and `high`, is
    /// concave and falls.
    Curve {
        /// Least first utility.
        low: f64,
        /// Greatest first utility.
        high: f64,
        /// The second utility.
        curve: &'a dyn Fn(f64) -> f64,
    },
}

impl Frontier<'_> {
    /// The point that a rule chooses, given the utilities of disagreement; `None` where nothing is better than those
    /// for both. On curves `first`, `second` and `share` mean nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for numbers that are not finite, or a curve without width.
    pub fn point(&self, rule: Rule, disagreement: [f64; 2]) -> Result<Option<LotteryPoint>> {
        let mut numbers: Vec<f64> = disagreement.to_vec();
        match self {
            Self::Points(points) => numbers.extend(points.iter().flatten()),
            Self::Curve { low, high, .. } => numbers.extend([low, high]),
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(Error::invalid("a utility that is not finite: expected numbers"));
        }
        match self {
            Self::Points(points) => Ok(on_hull(points, rule, disagreement)),
            Self::Curve { low, high, curve } if low < high => {
                Ok(on_curve(*low, *high, *curve, rule, disagreement))
            }
            Self::Curve { low, high, .. } => {
                Err(Error::invalid(format!("a curve from {low} to {high}: expected the lower end first")))
            }
        }
    }
}

/// A border as pieces: each is walked by a parameter from 0 to 1 along which the second utility rises.
fn on_hull(points: &[[f64; 2]], rule: Rule, d: [f64; 2]) -> Option<LotteryPoint> {
    let border = hull(points);
    let single = border.first().map(|&only| vec![(only, only)])?;
    let pieces =
        if border.len() == 1 { single } else { border.windows(2).map(|pair| (pair[0], pair[1])).collect() };
    let at = |&(a, b): &(usize, usize), share: f64| {
        let mix = |i: usize| points[a][i] + share * (points[b][i] - points[a][i]);
        LotteryPoint { utilities: [mix(0), mix(1)], first: a, second: b, share }
    };
    // The part of each piece that is rational for both.
    let rational = |piece: &(usize, usize)| {
        let (p, q) = (points[piece.0], points[piece.1]);
        let (mut from, mut to) = (0.0_f64, 1.0_f64);
        for i in 0..2 {
            let slope = q[i] - p[i];
            let cross = (d[i] - p[i]) / slope;
            match slope {
                s if s > 0.0 => from = from.max(cross),
                s if s < 0.0 => to = to.min(cross),
                _ if p[i] < d[i] => to = -1.0,
                _ => {}
            }
        }
        (from <= to).then_some((*piece, from, to))
    };
    let parts: Vec<_> = pieces.iter().filter_map(rational).collect();
    let ends = || parts.iter().flat_map(|(piece, from, to)| [at(piece, *from), at(piece, *to)]);
    let ideal = [0, 1].map(|i| ends().map(|end| end.utilities[i]).fold(f64::NEG_INFINITY, f64::max) - d[i]);
    let candidates = parts.iter().flat_map(|(piece, from, to)| {
        let (p, q) = (points[piece.0], points[piece.1]);
        let (x, y) = (p[0] - d[0], p[1] - d[1]);
        let (dx, dy) = (q[0] - p[0], q[1] - p[1]);
        let inner = match rule {
            Rule::Nash => -(x * dy + y * dx) / (2.0 * dx * dy),
            Rule::KalaiSmorodinsky => (x * ideal[1] - y * ideal[0]) / (dy * ideal[0] - dx * ideal[1]),
            Rule::Egalitarian => (x - y) / (dy - dx),
            Rule::Utilitarian => *from,
        };
        let inner = if inner.is_finite() { inner.clamp(*from, *to) } else { *from };
        [at(piece, inner), at(piece, *from), at(piece, *to)]
    });
    best(candidates, rule, d, ideal)
}

fn best(
    points: impl Iterator<Item = LotteryPoint>,
    rule: Rule,
    d: [f64; 2],
    ideal: [f64; 2],
) -> Option<LotteryPoint> {
    let score = |point: &LotteryPoint| score(point.utilities, rule, d, ideal);
    points.reduce(|best, next| if score(&next) > score(&best) { next } else { best })
}

fn score(u: [f64; 2], rule: Rule, d: [f64; 2], ideal: [f64; 2]) -> f64 {
    let gain = [u[0] - d[0], u[1] - d[1]];
    let share = |i: usize| if ideal[i] > 0.0 { gain[i] / ideal[i] } else { 1.0 };
    match rule {
        Rule::Nash => gain[0] * gain[1],
        Rule::KalaiSmorodinsky => share(0).min(share(1)),
        Rule::Egalitarian => gain[0].min(gain[1]),
        Rule::Utilitarian => u[0] + u[1],
    }
}

fn on_curve(
    low: f64,
    high: f64,
    curve: &dyn Fn(f64) -> f64,
    rule: Rule,
    d: [f64; 2],
) -> Option<LotteryPoint> {
    let low = low.max(d[0]);
    if low > high || curve(low) < d[1] {
        return None;
    }
    // The curve falls: the greatest first utility that leaves the second party its due, by halving.
    let (mut inside, mut outside) = (low, high);
    if curve(high) >= d[1] {
        inside = high;
    } else {
        for _ in 0..200 {
            let middle = 0.5 * (inside + outside);
            if curve(middle) >= d[1] { inside = middle } else { outside = middle }
        }
    }
    let high = inside;
    let ideal = [high - d[0], curve(low) - d[1]];
    let value = |u: f64| score([u, curve(u)], rule, d, ideal);
    // Every rule has one hill along a concave border.
    let (mut a, mut b) = (low, high);
    for _ in 0..300 {
        let (left, right) = (a + (b - a) / 3.0, b - (b - a) / 3.0);
        if value(left) < value(right) { a = left } else { b = right }
    }
    let u = 0.5 * (a + b);
    Some(LotteryPoint { utilities: [u, curve(u)], first: 0, second: 0, share: 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(point: Option<LotteryPoint>, expected: [f64; 2], tolerance: f64) {
        let u = point.unwrap().utilities;
        assert!(
            (u[0] - expected[0]).abs() < tolerance && (u[1] - expected[1]).abs() < tolerance,
            "{u:?} {expected:?}"
        );
    }

    #[test]
    fn a_cake_is_halved_by_every_rule_that_is_fair() {
        let points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.2, 0.3]];
        assert_eq!(hull(&points), [1, 2]);
        let line = |u: f64| 1.0 - u;
        for frontier in [Frontier::Points(&points), Frontier::Curve { low: 0.0, high: 1.0, curve: &line }] {
            for rule in [Rule::Nash, Rule::KalaiSmorodinsky, Rule::Egalitarian] {
                near(frontier.point(rule, [0.0, 0.0]).unwrap(), [0.5, 0.5], 1e-7);
                near(frontier.point(rule, [0.2, 0.0]).unwrap(), [0.6, 0.4], 1e-7);
            }
            assert_eq!(frontier.point(Rule::Nash, [0.7, 0.7]).unwrap(), None);
        }
    }

    /// One party can get at most 1, the other at most 2: where rules part.
    #[test]
    fn rules_differ_where_parties_do() {
        let points = [[1.0, 0.0], [0.5, 1.5], [0.0, 2.0]];
        let frontier = Frontier::Points(&points);
        // Nash lies at the corner: on the left piece the product u (2 - u) rises to it, on the right one it falls from it.
        near(frontier.point(Rule::Nash, [0.0, 0.0]).unwrap(), [0.5, 1.5], 1e-12);
        // On the line v = 2 u and on v = 3 (1 - u).
        near(frontier.point(Rule::KalaiSmorodinsky, [0.0, 0.0]).unwrap(), [0.6, 1.2], 1e-12);
        near(frontier.point(Rule::Egalitarian, [0.0, 0.0]).unwrap(), [0.75, 0.75], 1e-12);
        let sum = frontier.point(Rule::Utilitarian, [0.0, 0.0]).unwrap().unwrap();
        assert_eq!(sum.utilities[0] + sum.utilities[1], 2.0);
        let lottery = frontier.point(Rule::KalaiSmorodinsky, [0.0, 0.0]).unwrap().unwrap();
        assert_eq!((lottery.first, lottery.second), (0, 1));
        assert!((lottery.share - 0.8).abs() < 1e-12);
    }

    #[test]
    fn a_quarter_circle_is_cut_in_its_middle() {
        let circle = |u: f64| (1.0 - u * u).max(0.0).sqrt();
        let frontier = Frontier::Curve { low: 0.0, high: 1.0, curve: &circle };
        for rule in Rule::ALL {
            near(frontier.point(rule, [0.0, 0.0]).unwrap(), [0.5_f64.sqrt(), 0.5_f64.sqrt()], 1e-6);
        }
        assert!(frontier.point(Rule::Nash, [f64::NAN, 0.0]).is_err());
        assert!(Frontier::Curve { low: 1.0, high: 1.0, curve: &circle }.point(Rule::Nash, [0.0; 2]).is_err());
        assert_eq!(Frontier::Points(&[]).point(Rule::Nash, [0.0; 2]).unwrap(), None);
    }
}
