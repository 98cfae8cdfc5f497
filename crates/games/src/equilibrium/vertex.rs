//! All extreme equilibria of a bimatrix game by enumerating the vertices of both best-response polytopes
//! (Mangasarian 1964; Avis, Rosenberg, Savani and von Stengel 2010).
//!
//! In a nondegenerate game these are all equilibria, an odd number. In a degenerate one every equilibrium is a
//! mixture of those listed, and each listed one is an equilibrium. Each vertex is found once, by a depth-first
//! walk that pivots only into vertices not seen before; a vertex's coordinates are computed only if it takes part in
//! an equilibrium. Source of certificates and tests: [`crate::certificate`].

use std::collections::HashMap;

use crate::equilibrium::polytope::{ByLabels, Labels, Polytope, Vertex, no_labels, polytopes, toggle};
use crate::error::Result;
use crate::normal_form::{Mixed, NormalForm};
use crate::scalar::Scalar;

/// All extreme equilibria. `observe` hears the number of vertices found so far, now and then, and stops the search
/// by saying false.
///
/// # Errors
/// If the game has another number of players than two, the search was stopped, or floats lose their way.
pub fn vertex_enumeration<S: Scalar>(
    game: &NormalForm<S>,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<Mixed<S>>> {
    let (mut p, mut q) = polytopes(game, "vertices")?;
    let (at_p, at_q) = (p.clone(), q.clone());
    let of_p = p.vertices(observe)?;
    let of_q = q.vertices(&mut |n| observe(of_p.len() + n))?;
    let n_labels = game.shape()[0] + game.shape()[1];
    let mut pairs = complementary(&of_p, &of_q, n_labels);
    pairs.sort_unstable();
    pairs.dedup();
    let mut equilibria = Vec::with_capacity(pairs.len());
    for (x, y) in pairs {
        let strategies = (strategy_at(&at_p, &of_p[x])?, strategy_at(&at_q, &of_q[y])?);
        if let (Some(x), Some(y)) = strategies {
            equilibria.push(vec![x, y]);
        }
    }
    sort(&mut equilibria);
    Ok(equilibria)
}

/// About how many vertices both polytopes of a random game with `m` and `n` strategies have. Fitted to counts of 10x10
/// and 12x12 games; single games are off by a factor of two.
pub fn expected_vertices(m: usize, n: usize) -> f64 {
    let bases = (1..=m).fold(1.0, |b, i| b * (n + i) as f64 / i as f64);
    bases.powf(0.627)
}

/// Pure strategies first, then by the strategies played; the same for floats and rationals.
pub(crate) fn sort<S: Scalar>(equilibria: &mut [Mixed<S>]) {
    let support = |mixed: &Mixed<S>| -> Vec<bool> { mixed.iter().flatten().map(S::is_zero).collect() };
    equilibria.sort_by(|a, b| {
        let (s, t) = (support(a), support(b));
        let size = |s: &[bool]| s.iter().filter(|&&zero| !zero).count();
        let by_support = size(&s).cmp(&size(&t)).then(s.cmp(&t));
        let numbers = b.iter().flatten().partial_cmp(a.iter().flatten());
        by_support.then(numbers.unwrap_or(std::cmp::Ordering::Equal))
    });
}

fn strategy_at<S: Scalar>(start: &Polytope<S>, vertex: &Vertex) -> Result<Option<Vec<S>>> {
    let mut polytope = start.clone();
    polytope.go_to(&vertex.basis)?;
    Ok(polytope.strategy())
}

/// Pairs of vertices that have all labels between them.
fn complementary(of_p: &[Vertex], of_q: &[Vertex], n_labels: usize) -> Vec<(usize, usize)> {
    let mut all = no_labels(n_labels);
    (0..n_labels).for_each(|l| toggle(&mut all, l));
    let missing = |v: &Vertex| -> Labels { v.labels.iter().zip(&all).map(|(l, a)| a & !l).collect() };
    // Two simple vertices must complement each other exactly; only a degenerate one has labels to spare.
    let simple = |v: &Vertex| v.labels == v.basis;
    let degenerate = |list: &[Vertex]| (0..list.len()).filter(|&i| !simple(&list[i])).collect::<Vec<usize>>();
    let (degenerate_p, degenerate_q) = (degenerate(of_p), degenerate(of_q));
    let by_labels: HashMap<&Labels, usize, ByLabels> =
        of_q.iter().enumerate().filter(|(_, v)| simple(v)).map(|(y, v)| (&v.labels, y)).collect();
    let covers = |w: &Vertex, missing: &Labels| w.labels.iter().zip(missing).all(|(l, m)| m & !l == 0);
    let mut pairs = Vec::new();
    for (x, v) in of_p.iter().enumerate().filter(|(_, v)| simple(v)) {
        let missing = missing(v);
        pairs.extend(by_labels.get(&missing).map(|&y| (x, y)));
        pairs.extend(degenerate_q.iter().filter(|&&y| covers(&of_q[y], &missing)).map(|&y| (x, y)));
    }
    for x in degenerate_p {
        let missing = missing(&of_p[x]);
        pairs.extend((0..of_q.len()).filter(|&y| covers(&of_q[y], &missing)).map(|y| (x, y)));
    }
    pairs
}
