//! The two best-response polytopes of a bimatrix game, walked along their edges.
//!
//! `P = { x >= 0, B'x <= 1 }` and `Q = { y >= 0, A y <= 1 }`, after payoffs are made positive. A point has label
//! `i` if row `i` is unplayed (in P) or a best response (in Q), and label `m + j` likewise for column `j`; a pair
//! other than (0, 0) with all labels is an equilibrium once x and y are scaled to sum to one. Ties are broken
//! lexicographically, which is the game perturbed a little: no walk cycles and none loses its way.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::normal_form::{NormalForm, minimum};
use crate::scalar::Scalar;
use crate::tableau::Tableau;

/// A set of labels, one bit each.
pub(crate) type Labels = Box<[u64]>;

pub(crate) fn no_labels(n_labels: usize) -> Labels {
    vec![0; n_labels.div_ceil(64)].into()
}

pub(crate) fn toggle(labels: &mut [u64], label: usize) {
    labels[label / 64] ^= 1 << (label % 64);
}

pub(crate) fn has(labels: &[u64], label: usize) -> bool {
    labels[label / 64] >> (label % 64) & 1 == 1
}

/// Builds the hashes of sets of labels.
pub(crate) type ByLabels = BuildHasherDefault<LabelHasher>;

/// A hash of words in a few cycles each: a walk looks up every neighbor of every vertex.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabelHasher(u64);

impl Hasher for LabelHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // Both halves of a product with an odd number without pattern (the golden ratio's fraction).
        let product = u128::from(self.0.rotate_left(5) ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A polytope with the vertex it stands at.
#[derive(Debug, Clone)]
pub(crate) struct Polytope<S: Scalar> {
    pub(crate) tableau: Tableau<S::Dictionary>,
    /// Labels of this polytope's own strategies.
    own: std::ops::Range<usize>,
    /// Labels of its inequalities, one a row of the first dictionary.
    slacks: std::ops::Range<usize>,
    tied: Vec<usize>,
}

/// A vertex: which labels it has, and a basis to find it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vertex {
    /// All labels, of which there are more than the dimension where the game is degenerate.
    pub(crate) labels: Labels,
    /// Nonbasic labels.
    pub(crate) basis: Labels,
}

/// Payoffs as positive whole multiples of a unit (floats: between 1 and 2).
fn positive<S: Scalar>(table: &[S]) -> Vec<S> {
    let low = minimum(table);
    let above: Vec<S> = table.iter().map(|u| u.clone() - low).collect();
    let unit = S::unit_of(&above);
    above.into_iter().map(|u| u / &unit + &S::one()).collect()
}

/// Both polytopes of a game of two players, at their points 0.
///
/// # Errors
/// If the game has another number of players.
pub(crate) fn polytopes<S: Scalar>(
    game: &NormalForm<S>,
    method: &'static str,
) -> Result<(Polytope<S>, Polytope<S>)> {
    let &[m, n] = game.shape() else {
        let reason = format!("it needs two players and the game has {}", game.n_players());
        return Err(Error::DoesNotApply { method, reason });
    };
    let (a, b) = (positive(game.table(0)), positive(game.table(1)));
    let mut p = Vec::with_capacity(n * (m + 1));
    for j in 0..n {
        p.extend((0..m).map(|i| b[i * n + j].clone()));
        p.push(S::one());
    }
    let mut q = Vec::with_capacity(m * (n + 1));
    for row in a.chunks_exact(n) {
        q.extend_from_slice(row);
        q.push(S::one());
    }
    Ok((Polytope::new(0..m, m..m + n, &p), Polytope::new(m..m + n, 0..m, &q)))
}

impl<S: Scalar> Polytope<S> {
    fn new(own: std::ops::Range<usize>, slacks: std::ops::Range<usize>, entries: &[S]) -> Self {
        let table = S::Dictionary::new_even(slacks.len(), own.len() + 1, entries);
        let tableau = Tableau { table, basic: slacks.clone().collect(), nonbasic: own.clone().collect() };
        Self { tableau, own, slacks, tied: Vec::new() }
    }

    fn n_labels(&self) -> usize {
        self.own.len() + self.slacks.len()
    }

    fn right(&self) -> usize {
        self.own.len()
    }

    /// The column of a label that the vertex has, by its basis.
    pub(crate) fn column_of(&self, label: usize) -> Option<usize> {
        self.tableau.nonbasic.iter().position(|&l| l == label)
    }

    /// The row that a walk off along `column` runs into; none if the edge has no end.
    pub(crate) fn leaving(&mut self, column: usize) -> Option<usize> {
        let mut tied = std::mem::take(&mut self.tied);
        self.tableau.table.least_ratios(self.right(), column, self.slacks.len(), &mut tied);
        if tied.len() > 1 {
            self.break_ties(column, &mut tied);
        }
        let row = tied.first().copied();
        self.tied = tied;
        row
    }

    /// Leaves the lexicographically least of rows that tie: their slack columns decide, in the first order.
    fn break_ties(&self, column: usize, tied: &mut Vec<usize>) {
        for slack in self.slacks.clone() {
            match self.column_of(slack) {
                Some(j) if j == column => {}
                Some(j) => {
                    let mut best = tied[0];
                    let mut kept = vec![best];
                    for &row in &tied[1..] {
                        match self.tableau.table.compare_ratios(j, column, row, best) {
                            std::cmp::Ordering::Less => {
                                best = row;
                                kept = vec![row];
                            }
                            std::cmp::Ordering::Equal => kept.push(row),
                            std::cmp::Ordering::Greater => {}
                        }
                    }
                    *tied = kept;
                }
                // Basic: its unit column is positive in its own row and zero in the others.
                None => tied.retain(|&row| self.tableau.basic[row] != slack),
            }
            if tied.len() == 1 {
                return;
            }
        }
    }

    /// All labels of the vertex: those of its basis, and more where the game is degenerate.
    fn labels(&self, basis: &Labels) -> Labels {
        let mut labels = basis.clone();
        for (row, &label) in self.tableau.basic.iter().enumerate() {
            if self.tableau.table.sign(row, self.right()).is_eq() {
                toggle(&mut labels, label);
            }
        }
        labels
    }

    /// All vertices but the point 0, depth first. `observe` hears how many were found so far and may stop the walk.
    ///
    /// All edges of a vertex are followed to their ends when the walk arrives there, so that stepping back needs
    /// labels only: the table comes after, pivot by pivot, when there is a new vertex to go on to.
    ///
    /// # Errors
    /// If it was stopped, or floats lose their way.
    pub(crate) fn vertices(&mut self, observe: &mut dyn FnMut(usize) -> bool) -> Result<Vec<Vertex>> {
        let n_edges = self.own.len();
        let mut basis = no_labels(self.n_labels());
        self.tableau.nonbasic.iter().for_each(|&l| toggle(&mut basis, l));
        let origin = basis.clone();
        let mut visited: HashSet<Labels, ByLabels> = HashSet::default();
        visited.insert(basis.clone());
        // Degenerate vertices, which have several bases.
        let mut seen: HashSet<Labels, ByLabels> = HashSet::default();
        let mut vertices = Vec::new();
        // Pivots from the start to here, and the row at the end of each edge of each vertex on the way.
        let mut trail: Vec<(usize, usize)> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        self.follow_edges(None, &mut ends)?;
        // Pivots by which the table is behind the labels.
        let mut owed: Vec<(usize, usize)> = Vec::new();
        let mut column = 0;
        loop {
            if column == n_edges {
                let Some((row, back)) = trail.pop() else { return Ok(vertices) };
                self.cross(row, back, &mut basis);
                self.tableau.rename(row, back);
                owed.push((row, back));
                ends.truncate(ends.len() - n_edges);
                column = back + 1;
                continue;
            }
            let row = ends[ends.len() - n_edges + column];
            self.cross(row, column, &mut basis);
            if visited.contains(&basis) {
                self.cross(row, column, &mut basis);
                column += 1;
                continue;
            }
            visited.insert(basis.clone());
            owed.drain(..).for_each(|(row, column)| self.tableau.table.pivot(row, column));
            self.tableau.pivot(row, column);
            trail.push((row, column));
            self.follow_edges(Some((row, column)), &mut ends)?;
            column = 0;
            let labels = self.labels(&basis);
            if labels == basis || (labels != origin && seen.insert(labels.clone())) {
                vertices.push(Vertex { labels, basis: basis.clone() });
            }
            let n = visited.len();
            if (n.is_power_of_two() || n.is_multiple_of(1024)) && !observe(n) {
                return Err(Error::Stopped { what: "vertex enumeration", after: n });
            }
        }
    }

    /// Appends the row that each edge runs into; that of the edge we came by is known.
    fn follow_edges(&mut self, came_by: Option<(usize, usize)>, ends: &mut Vec<usize>) -> Result<()> {
        for column in 0..self.own.len() {
            let end = match came_by {
                Some((row, back)) if back == column => Some(row),
                _ => self.leaving(column),
            };
            ends.push(end.ok_or(Error::Inaccurate { what: "the walk along a best-response polytope" })?);
        }
        Ok(())
    }

    /// Exchanges two labels in a set that has one of them; again, and they are back.
    fn cross(&self, row: usize, column: usize, basis: &mut [u64]) {
        toggle(basis, self.tableau.nonbasic[column]);
        toggle(basis, self.tableau.basic[row]);
    }

    /// Goes to the vertex with these nonbasic labels.
    pub(crate) fn go_to(&mut self, wanted: &Labels) -> Result<()> {
        loop {
            let rows = (0..self.slacks.len()).filter(|&i| has(wanted, self.tableau.basic[i]));
            let places = rows.flat_map(|i| {
                (0..self.own.len()).filter(|&j| !has(wanted, self.tableau.nonbasic[j])).map(move |j| (i, j))
            });
            let table = &self.tableau.table;
            let mut open = false;
            let sized = places.inspect(|_| open = true).map(|(i, j)| (table.weight(i, j).abs(), i, j));
            let best = sized.reduce(|a, b| if b.0 > a.0 { b } else { a });
            match best.filter(|&(_, i, j)| table.sign(i, j).is_ne()) {
                Some((_, row, column)) => self.tableau.pivot(row, column),
                None if open => return Err(Error::Inaccurate { what: "a vertex" }),
                None => return Ok(()),
            }
        }
    }

    /// The mixed strategy of the vertex; none at the point 0.
    pub(crate) fn strategy(&self) -> Option<Vec<S>> {
        let mut x = vec![S::zero(); self.own.len()];
        for (row, label) in self.tableau.basic.iter().enumerate() {
            if self.own.contains(label) {
                let value = self.tableau.table.value(row, self.right());
                x[label - self.own.start] = if value < S::zero() { S::zero() } else { value };
            }
        }
        let sum = x.iter().fold(S::zero(), |sum, x| sum + x);
        (!sum.is_zero()).then(|| x.into_iter().map(|x| x / &sum).collect())
    }
}
