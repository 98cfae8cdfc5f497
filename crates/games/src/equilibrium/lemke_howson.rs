//! Lemke-Howson (1964): one equilibrium of a bimatrix game by complementary pivoting, from any dropped label.
//!
//! From a pair with all labels (at first the artificial (0, 0)), drop one label and follow the edges along which
//! only that one is missing; the path ends at another pair with all labels. Lexicographic ratio tests make this
//! hold in degenerate games too. In floats the result is checked, and a run that lost its way is repeated exactly.

use crate::certificate;
use crate::equilibrium::polytope::{Polytope, polytopes};
use crate::equilibrium::vertex::sort;
use crate::error::{Error, Result};
use crate::normal_form::{Mixed, NormalForm};
use crate::scalar::{Rational, Scalar};

/// Gains, relative to the payoffs' spread, that a float result may leave.
const FLOAT_TOLERANCE: f64 = 1e-9;
/// Pivots after which a float path is taken to cycle.
const MAX_FLOAT_PIVOTS: usize = 1_000_000;

/// An equilibrium and the length of the path to it.
#[derive(Debug, Clone, PartialEq)]
pub struct PathEnd<S> {
    /// The equilibrium.
    pub mixed: Mixed<S>,
    /// Pivots taken.
    pub n_pivots: usize,
}

/// A pair of vertices with all labels.
#[derive(Clone)]
struct Pair<S: Scalar> {
    p: Polytope<S>,
    q: Polytope<S>,
}

impl<S: Scalar> Pair<S> {
    /// Follows the path on which `label` is missing. Gives the number of pivots.
    fn follow(&mut self, label: usize, observe: &mut dyn FnMut(usize) -> bool) -> Result<usize> {
        let lost = Error::Inaccurate { what: "Lemke-Howson" };
        let mut entering = label;
        let mut in_p = self.p.column_of(label).is_some();
        for n_pivots in 1.. {
            let polytope = if in_p { &mut self.p } else { &mut self.q };
            let Some(column) = polytope.column_of(entering) else { return Err(lost) };
            let Some(row) = polytope.leaving(column) else { return Err(lost) };
            entering = polytope.tableau.basic[row];
            polytope.tableau.pivot(row, column);
            if entering == label {
                return Ok(n_pivots);
            }
            in_p = !in_p;
            if !S::EXACT && n_pivots > MAX_FLOAT_PIVOTS {
                return Err(lost);
            }
            if n_pivots % 1024 == 0 && !observe(n_pivots) {
                return Err(Error::Stopped { what: "Lemke-Howson", after: n_pivots });
            }
        }
        Err(lost)
    }

    fn mixed(&self) -> Option<Mixed<S>> {
        Some(vec![self.p.strategy()?, self.q.strategy()?])
    }
}

/// The equilibrium at the end of the path from (0, 0) on which `label` is dropped: a row, or the number of rows plus
/// a column. `observe` hears the number of pivots now and then, and stops the search by saying false.
///
/// # Errors
/// If the game has another number of players than two, there is no such label, or the search was stopped.
pub fn lemke_howson<S: Scalar>(
    game: &NormalForm<S>,
    label: usize,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<PathEnd<S>> {
    let (p, q) = polytopes(game, "lemke-howson")?;
    let n_labels: usize = game.shape().iter().sum();
    if label >= n_labels {
        return Err(Error::invalid(format!("label {label} is none of 0 to {}", n_labels - 1)));
    }
    let mut pair = Pair { p, q };
    match pair.follow(label, observe) {
        Ok(n_pivots) => match pair.mixed() {
            Some(mixed) if S::EXACT || is_sound(game, &mixed) => Ok(PathEnd { mixed, n_pivots }),
            _ => exactly(game, label, observe),
        },
        Err(Error::Inaccurate { .. }) if !S::EXACT => exactly(game, label, observe),
        Err(error) => Err(error),
    }
}

fn exactly<S: Scalar>(
    game: &NormalForm<S>,
    label: usize,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<PathEnd<S>> {
    if S::EXACT {
        return Err(Error::Inaccurate { what: "Lemke-Howson" });
    }
    let end = lemke_howson(&game.convert::<Rational>(), label, observe)?;
    let floats = end.mixed.iter().map(|x| x.iter().map(S::from_rational).collect()).collect();
    Ok(PathEnd { mixed: floats, n_pivots: end.n_pivots })
}

/// Whether no player gains more than rounding.
pub(crate) fn is_sound<S: Scalar>(game: &NormalForm<S>, mixed: &Mixed<S>) -> bool {
    certificate::gains(game, mixed).iter().enumerate().all(|(player, gain)| {
        let sizes = game.table(player).iter().map(|u| u.to_float());
        let (low, high) = sizes.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), u| (l.min(u), h.max(u)));
        gain.to_float() <= FLOAT_TOLERANCE * (high - low).max(high.abs().max(low.abs()) * 1e-6)
    })
}

/// All equilibria that paths reach from (0, 0), and from each other, over all labels. Not all equilibria of a game
/// need to be among them.
///
/// # Errors
/// See [`lemke_howson`].
pub fn lemke_howson_all<S: Scalar>(
    game: &NormalForm<S>,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<Mixed<S>>> {
    let (p, q) = polytopes(game, "lemke-howson")?;
    let n_labels: usize = game.shape().iter().sum();
    // Pairs by their bases, which say where a path stands even in degenerate games.
    let bases = |pair: &Pair<S>| {
        let mut bases = [pair.p.tableau.nonbasic.clone(), pair.q.tableau.nonbasic.clone()];
        bases.iter_mut().for_each(|b| b.sort_unstable());
        bases
    };
    let start = Pair { p, q };
    let mut known = std::collections::HashSet::from([bases(&start)]);
    let mut open = vec![start];
    let mut equilibria: Vec<Mixed<S>> = Vec::new();
    while let Some(pair) = open.pop() {
        for label in 0..n_labels {
            let mut end = pair.clone();
            end.follow(label, observe)?;
            if known.insert(bases(&end)) {
                let new = end.mixed().filter(|mixed| S::EXACT || is_sound(game, mixed));
                equilibria.extend(new.filter(|mixed| !equilibria.contains(mixed)));
                open.push(end);
            }
        }
    }
    sort(&mut equilibria);
    Ok(equilibria)
}
