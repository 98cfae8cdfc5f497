//! Linear programs: maximize `c x` subject to rows `a x <= b`, `a x >= b` or `a x = b`, with variables that are
//! nonnegative unless declared free. Dense, for up to some hundreds of rows and columns; exact in rationals.
//!
//! Two-phase simplex on a condensed dictionary. Entering variables are chosen by largest coefficient. After a run of
//! degenerate pivots, exact numbers go on by Bland's rule, which cannot cycle; floats go on with a right-hand side
//! that is raised a little in every row, which makes ties rare, and return to the true one by the dual simplex method.
//! Float results are checked against the program; where they fail, the last basis is set up afresh, and small programs
//! are solved exactly instead.

use crate::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::scalar::{Rational, Scalar};
use crate::tableau::Tableau;

/// How a row relates to its right-hand side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `a x <= b`.
    AtMost,
    /// `a x >= b`.
    AtLeast,
    /// `a x = b`.
    Equal,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<S> {
    /// One coefficient a variable.
    pub coefficients: Vec<S>,
    /// How the two sides relate.
    pub relation: Relation,
    /// Right-hand side.
    pub bound: S,
}

/// A linear program: maximize `objective . x` under `rows`.
#[derive(Debug, Clone, PartialEq)]
pub struct Program<S> {
    /// One coefficient a variable; the sum is maximized.
    pub objective: Vec<S>,
    /// Constraints.
    pub rows: Vec<Row<S>>,
    /// For each variable, whether it may be negative.
    pub free: Vec<bool>,
}

/// An optimal solution with its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum<S> {
    /// Objective at `primal`.
    pub value: S,
    /// One number a variable.
    pub primal: Vec<S>,
    /// One price a row: at least zero for `AtMost`, at most zero for `AtLeast`, any for `Equal`. The prices'
    /// sum over the bounds equals `value`; their sum over the coefficients is at least the objective for
    /// nonnegative variables, and equal to it for free ones.
    pub dual: Vec<S>,
    /// Pivots taken.
    pub n_pivots: usize,
}

/// What came of a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<S> {
    /// Solved.
    Optimal(Optimum<S>),
    /// No point satisfies all rows.
    Infeasible,
    /// The objective grows without end.
    Unbounded,
}

impl<S: Scalar> Outcome<S> {
    /// The optimum.
    ///
    /// # Errors
    /// If there is none: one line with `what` in it.
    pub fn optimal(self, what: &str) -> Result<Optimum<S>> {
        match self {
            Self::Optimal(optimum) => Ok(optimum),
            Self::Infeasible => Err(Error::invalid(format!("{what} has no solution; check its constraints"))),
            Self::Unbounded => Err(Error::invalid(format!("{what} is unbounded; add the missing bound"))),
        }
    }
}

/// Degenerate pivots in a row after which Bland's rule, or a raised right-hand side, takes over.
const PATIENCE: usize = 12;
/// Violations of the program, relative to its numbers, that a float solution may have.
const FLOAT_TOLERANCE: f64 = 1e-9;
/// Entries up to which a program that floats cannot solve is solved exactly.
const EXACT_RESCUE: usize = 2_500;

impl<S: Scalar> Program<S> {
    /// A program of `n` nonnegative variables without rows.
    pub fn new(objective: Vec<S>) -> Self {
        let free = vec![false; objective.len()];
        Self { objective, rows: Vec::new(), free }
    }

    /// Adds a row.
    pub fn add(&mut self, coefficients: Vec<S>, relation: Relation, bound: S) {
        self.rows.push(Row { coefficients, relation, bound });
    }

    /// Solves the program.
    ///
    /// # Errors
    /// If tables do not fit each other, a float is not finite, or floats lose their accuracy.
    pub fn solve(&self) -> Result<Outcome<S>> {
        self.check()?;
        let first = self.attempt(None)?;
        if S::EXACT || self.accepts(&first.outcome) {
            return Ok(first.outcome);
        }
        let second = self.attempt(Some(&first.basis))?;
        if self.accepts(&second.outcome) {
            return Ok(second.outcome);
        }
        if self.rows.len() * self.objective.len() > EXACT_RESCUE {
            return Err(Error::Inaccurate { what: "the linear program" });
        }
        let exact = self.convert::<Rational>()?.solve()?;
        Ok(match exact {
            Outcome::Optimal(o) => Outcome::Optimal(Optimum {
                value: S::from_rational(&o.value),
                primal: o.primal.iter().map(S::from_rational).collect(),
                dual: o.dual.iter().map(S::from_rational).collect(),
                n_pivots: o.n_pivots,
            }),
            Outcome::Infeasible => Outcome::Infeasible,
            Outcome::Unbounded => Outcome::Unbounded,
        })
    }

    /// The same program in other numbers.
    ///
    /// # Errors
    /// If a float is not finite.
    pub fn convert<T: Scalar>(&self) -> Result<Program<T>> {
        let one = |x: &S| {
            let exact = x.to_rational().ok_or_else(|| Error::invalid("a coefficient is not finite"))?;
            Ok(T::from_rational(&exact))
        };
        let all = |list: &[S]| list.iter().map(one).collect::<Result<Vec<T>>>();
        let rows = self.rows.iter().map(|row| {
            let coefficients = all(&row.coefficients)?;
            Ok(Row { coefficients, relation: row.relation, bound: one(&row.bound)? })
        });
        Ok(Program {
            objective: all(&self.objective)?,
            rows: rows.collect::<Result<_>>()?,
            free: self.free.clone(),
        })
    }

    fn check(&self) -> Result<()> {
        let n = self.objective.len();
        if self.free.len() != n {
            return Err(Error::Shape { what: "`free`", found: self.free.len(), expected: n });
        }
        if let Some(row) = self.rows.iter().find(|row| row.coefficients.len() != n) {
            return Err(Error::Shape { what: "a row", found: row.coefficients.len(), expected: n });
        }
        let rows = self.rows.iter().flat_map(|row| row.coefficients.iter().chain([&row.bound]));
        if !S::EXACT && !rows.chain(&self.objective).all(|x| x.to_float().is_finite()) {
            return Err(Error::invalid("a coefficient of a linear program is not finite"));
        }
        Ok(())
    }

    /// One run of the simplex method, from the basis of slacks or near another basis.
    fn attempt(&self, basis: Option<&[usize]>) -> Result<Attempt<S>> {
        let mut simplex = Simplex::new(self);
        if let Some(basis) = basis {
            simplex.go_to(basis);
        }
        let outcome = simplex.run(self)?;
        Ok(Attempt { outcome, basis: simplex.tableau.basic })
    }

    /// Whether an optimum in floats satisfies the program and its dual.
    fn accepts(&self, outcome: &Outcome<S>) -> bool {
        let Outcome::Optimal(optimum) = outcome else { return true };
        let primal: Vec<f64> = optimum.primal.iter().map(S::to_float).collect();
        let mut reduced: Vec<f64> = self.objective.iter().map(S::to_float).collect();
        let mut scale: Vec<f64> = reduced.iter().map(|x| x.abs()).collect();
        for (row, y) in self.rows.iter().zip(&optimum.dual) {
            let (mut activity, mut size) = (0.0, row.bound.to_float().abs());
            let y = y.to_float();
            for (j, a) in row.coefficients.iter().enumerate() {
                let a = a.to_float();
                activity += a * primal[j];
                size += (a * primal[j]).abs();
                reduced[j] -= y * a;
                scale[j] += (y * a).abs();
            }
            let excess = activity - row.bound.to_float();
            let wrong = match row.relation {
                Relation::AtMost => excess,
                Relation::AtLeast => -excess,
                Relation::Equal => excess.abs(),
            };
            // Not `wrong > ...`: what is not a number must fail.
            let holds = wrong <= FLOAT_TOLERANCE * size;
            if !holds {
                return false;
            }
        }
        let fits = |j: usize| {
            let excess = if self.free[j] { reduced[j].abs() } else { reduced[j] };
            excess <= FLOAT_TOLERANCE * scale[j] && (self.free[j] || primal[j] >= 0.0)
        };
        (0..primal.len()).all(fits)
    }
}

struct Attempt<S> {
    outcome: Outcome<S>,
    basis: Vec<usize>,
}

/// Variables `0..n` are the program's, `n..n + m` the slacks of its rows, `n + m` the artificial one.
struct Simplex<S: Scalar> {
    /// `m` rows and the objective; `n` columns, the artificial one, the right-hand side, and in floats the raised one.
    tableau: Tableau<S::Dictionary>,
    n: usize,
    m: usize,
    /// For each variable: may be negative, so it never leaves the basis.
    free: Vec<bool>,
    /// For each variable: is zero, so it never enters the basis.
    fixed: Vec<bool>,
    n_pivots: usize,
    degenerate_run: usize,
    /// Whether ratios are those of the raised right-hand side.
    is_raised: bool,
}

impl<S: Scalar> Simplex<S> {
    fn new(program: &Program<S>) -> Self {
        let (n, m) = (program.objective.len(), program.rows.len());
        let n_columns = n + if S::EXACT { 2 } else { 3 };
        let mut entries = Vec::with_capacity((m + 1) * n_columns);
        for row in &program.rows {
            let flip = row.relation == Relation::AtLeast;
            let oriented = |x: &S| if flip { -x.clone() } else { x.clone() };
            entries.extend(row.coefficients.iter().map(oriented));
            entries.push(S::zero());
            entries.push(oriented(&row.bound));
            entries.extend((n + 2..n_columns).map(|_| S::zero()));
        }
        entries.extend(program.objective.iter().map(|c| -c.clone()));
        entries.extend((n..n_columns).map(|_| S::zero()));
        let mut free = program.free.clone();
        free.resize(n + m + 1, false);
        let mut fixed = vec![false; n + m + 1];
        for (i, row) in program.rows.iter().enumerate() {
            fixed[n + i] = row.relation == Relation::Equal;
        }
        fixed[n + m] = true;
        let tableau = Tableau {
            table: S::Dictionary::new(m + 1, n_columns, &entries),
            basic: (n..n + m).collect(),
            nonbasic: (0..n).chain([n + m]).collect(),
        };
        Self { tableau, n, m, free, fixed, n_pivots: 0, degenerate_run: 0, is_raised: false }
    }

    fn right(&self) -> usize {
        self.n + 1
    }

    /// The right-hand side that ratios are taken of.
    fn ratio_column(&self) -> usize {
        self.right() + usize::from(self.is_raised)
    }

    fn pivot(&mut self, row: usize, column: usize) {
        self.tableau.pivot(row, column);
        self.n_pivots += 1;
    }

    /// Pivots towards a basis, each time on the largest entry that leads there.
    fn go_to(&mut self, basis: &[usize]) {
        let mut wanted = vec![false; self.n + self.m + 1];
        basis.iter().for_each(|&v| wanted[v] = true);
        wanted[self.n + self.m] = false;
        loop {
            let rows = (0..self.m).filter(|&i| !wanted[self.tableau.basic[i]]);
            let columns =
                |i: usize| (0..self.n).filter(|&j| wanted[self.tableau.nonbasic[j]]).map(move |j| (i, j));
            let Some((row, column)) = self.heaviest(rows.flat_map(columns)) else { return };
            self.pivot(row, column);
        }
    }

    /// The place with the entry of largest size, if any is not zero.
    fn heaviest(&self, places: impl Iterator<Item = (usize, usize)>) -> Option<(usize, usize)> {
        let table = &self.tableau.table;
        let sized = places.map(|(i, j)| (table.weight(i, j).abs(), i, j));
        let best = sized.reduce(|a, b| if b.0 > a.0 { b } else { a });
        best.filter(|&(_, i, j)| table.sign(i, j).is_ne()).map(|(_, i, j)| (i, j))
    }

    fn run(&mut self, program: &Program<S>) -> Result<Outcome<S>> {
        self.drive_out_equalities();
        self.drive_in_free();
        if !self.find_feasible()? {
            return Ok(Outcome::Infeasible);
        }
        if !self.improve()? {
            return Ok(Outcome::Unbounded);
        }
        Ok(Outcome::Optimal(self.optimum(program)))
    }

    /// Takes the slacks of equalities out of the basis, unless their rows are empty.
    fn drive_out_equalities(&mut self) {
        for row in 0..self.m {
            if self.fixed[self.tableau.basic[row]] {
                let columns = (0..self.n).filter(|&j| !self.fixed[self.tableau.nonbasic[j]]);
                if let Some((row, column)) = self.heaviest(columns.map(|j| (row, j))) {
                    self.pivot(row, column);
                }
            }
        }
    }

    /// Takes free variables into the basis, unless their columns are empty.
    fn drive_in_free(&mut self) {
        for column in 0..self.n {
            if self.free[self.tableau.nonbasic[column]] {
                let rows = (0..self.m).filter(|&i| !self.free[self.tableau.basic[i]]);
                if let Some((row, column)) = self.heaviest(rows.map(|i| (i, column))) {
                    self.pivot(row, column);
                }
            }
        }
    }

    /// Whether a row's basic variable must stay nonnegative.
    fn binds(&self, row: usize) -> bool {
        !self.free[self.tableau.basic[row]]
    }

    /// Phase one. False if there is no feasible point.
    fn find_feasible(&mut self) -> Result<bool> {
        let right = self.right();
        // What is left of equalities has empty rows; their right-hand sides must be zero.
        let empty = |i: &usize| self.fixed[self.tableau.basic[*i]];
        if (0..self.m).filter(empty).any(|i| self.tableau.table.sign(i, right).is_ne()) {
            return Ok(false);
        }
        let negative: Vec<bool> =
            (0..self.m).map(|i| self.binds(i) && self.tableau.table.sign(i, right).is_lt()).collect();
        if !negative.contains(&true) {
            return Ok(true);
        }
        let artificial = self.n;
        let mut rows: Vec<bool> =
            (0..self.m).map(|i| self.binds(i) && !self.fixed[self.tableau.basic[i]]).collect();
        rows.push(false);
        self.tableau.table.set_artificial(artificial, &rows);
        // Of two rows with entry -1 in the artificial column, the one further below zero has the larger ratio.
        let table = &self.tableau.table;
        let candidates = (0..self.m).filter(|&i| negative[i]);
        let lowest = candidates.reduce(|a, b| match table.weight(b, right) < table.weight(a, right) {
            true => b,
            false => a,
        });
        let Some(mut row) = lowest else { return Ok(true) };
        row = (0..self.m).filter(|&i| negative[i]).fold(row, |a, b| self.lower(a, b));
        self.pivot(row, artificial);
        self.degenerate_run = 0;
        while let Some(home) = self.tableau.basic.iter().position(|&v| v == self.n + self.m) {
            if self.tableau.table.sign(home, right).is_eq() {
                return Ok(self.retire_artificial(home));
            }
            let Some(column) = self.entering(home, true) else { return Ok(false) };
            let Some(row) = self.leaving(column, Some(home)) else {
                return Err(Error::Inaccurate { what: "the first phase of a linear program" });
            };
            self.step(row, column)?;
        }
        self.clear_artificial();
        Ok(true)
    }

    /// The row whose right-hand side is lower, both artificial entries being -1.
    fn lower(&self, a: usize, b: usize) -> usize {
        // With equal entries -1 the ratios are the negated right-hand sides, and the comparison asks for
        // positive denominators; the same products with both signs changed compare alike.
        match self.tableau.table.compare_ratios(self.right(), self.n, a, b) {
            std::cmp::Ordering::Less => b,
            _ => a,
        }
    }

    /// The artificial variable is zero but basic: takes it out. True, as the point is feasible.
    fn retire_artificial(&mut self, home: usize) -> bool {
        let columns = (0..=self.n).filter(|&j| !self.fixed[self.tableau.nonbasic[j]]);
        if let Some((row, column)) = self.heaviest(columns.map(|j| (home, j))) {
            self.pivot(row, column);
        }
        self.clear_artificial();
        true
    }

    /// Zeroes the artificial column, so that it never matters again.
    fn clear_artificial(&mut self) {
        if let Some(column) = self.tableau.nonbasic.iter().position(|&v| v == self.n + self.m) {
            self.tableau.table.set_artificial(column, &vec![false; self.m + 1]);
        }
    }

    /// Phase two. False if the objective is unbounded.
    fn improve(&mut self) -> Result<bool> {
        self.degenerate_run = 0;
        let objective = self.m;
        loop {
            while let Some(column) = self.entering(objective, false) {
                let Some(row) = self.leaving(column, None) else { return Ok(false) };
                self.step(row, column)?;
                if self.degenerate_run > PATIENCE && !self.is_raised {
                    self.is_raised = self.tableau.table.shake(self.right(), self.right() + 1, self.m);
                    self.degenerate_run = 0;
                }
            }
            if !std::mem::take(&mut self.is_raised) {
                break;
            }
            self.return_to_bounds()?;
        }
        // A free variable that has no row at all and still a price.
        let loose = |j: &usize| self.free[self.tableau.nonbasic[*j]];
        Ok(!(0..=self.n).filter(loose).any(|j| self.tableau.table.sign(objective, j).is_ne()))
    }

    /// From an optimum of the raised right-hand side to one of the true one: the dual simplex method.
    fn return_to_bounds(&mut self) -> Result<()> {
        let (right, objective) = (self.right(), self.m);
        self.degenerate_run = 0;
        loop {
            let table = &self.tableau.table;
            let rows = (0..self.m).filter(|&i| self.binds(i) && table.sign(i, right).is_lt());
            let Some(row) =
                rows.reduce(|a, b| if table.weight(b, right) < table.weight(a, right) { b } else { a })
            else {
                return Ok(());
            };
            let columns = (0..self.n).filter(|&j| !self.fixed[self.tableau.nonbasic[j]]);
            let columns = columns.filter(|&j| table.sign(row, j).is_lt());
            // How fast the objective falls in terms of the row; prices just below zero are rounding.
            let price = |j: usize| table.weight(objective, j).max(0.0) / -table.weight(row, j);
            let cheapest = columns.reduce(|a, b| match price(a).total_cmp(&price(b)) {
                std::cmp::Ordering::Less => a,
                std::cmp::Ordering::Greater => b,
                std::cmp::Ordering::Equal => {
                    if table.weight(row, b) < table.weight(row, a) {
                        b
                    } else {
                        a
                    }
                }
            });
            let Some(column) = cheapest else { return Err(Error::Inaccurate { what: "a linear program" }) };
            self.step(row, column)?;
        }
    }

    fn step(&mut self, row: usize, column: usize) -> Result<()> {
        let stuck = self.tableau.table.sign(row, self.ratio_column()).is_le();
        self.degenerate_run = if stuck { self.degenerate_run + 1 } else { 0 };
        self.pivot(row, column);
        if !S::EXACT && self.n_pivots > 200 + 60 * (self.n + self.m) {
            return Err(Error::Inaccurate { what: "a linear program" });
        }
        Ok(())
    }

    /// Whether Bland's rule chooses. A raised right-hand side does without it.
    fn uses_bland(&self) -> bool {
        self.degenerate_run > PATIENCE && !self.is_raised
    }

    /// A column whose variable, growing, lowers the basic variable of `row` (phase one) or raises the
    /// objective.
    fn entering(&self, row: usize, lower: bool) -> Option<usize> {
        let table = &self.tableau.table;
        let wanted = if lower { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less };
        let columns = (0..=self.n).filter(|&j| !self.fixed[self.tableau.nonbasic[j]]);
        let columns = columns.filter(|&j| table.sign(row, j) == wanted);
        if self.uses_bland() {
            return columns.min_by_key(|&j| self.tableau.nonbasic[j]);
        }
        let sized = columns.map(|j| (table.weight(row, j).abs(), j));
        sized.reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|(_, j)| j)
    }

    /// The row whose variable first reaches zero; `preferred` wins ties. None if no row bounds the column.
    fn leaving(&self, column: usize, preferred: Option<usize>) -> Option<usize> {
        let table = &self.tableau.table;
        let bounds = self.ratio_column();
        let rows = (0..self.m).filter(|&i| self.binds(i) && table.sign(i, column).is_gt());
        rows.reduce(|a, b| match table.compare_ratios(bounds, column, a, b) {
            std::cmp::Ordering::Less => a,
            std::cmp::Ordering::Greater => b,
            _ if preferred == Some(a) => a,
            _ if preferred == Some(b) => b,
            _ if !S::EXACT && !self.uses_bland() => {
                if table.weight(b, column) > table.weight(a, column) {
                    b
                } else {
                    a
                }
            }
            _ if self.tableau.basic[b] < self.tableau.basic[a] => b,
            _ => a,
        })
    }

    fn optimum(&self, program: &Program<S>) -> Optimum<S> {
        let table = &self.tableau.table;
        let (right, objective) = (self.right(), self.m);
        let mut primal = vec![S::zero(); self.n];
        for (i, &v) in self.tableau.basic.iter().enumerate() {
            if v < self.n {
                // What counts as zero is zero: leftovers of rounding would look large beside each other.
                let x = if table.sign(i, right).is_eq() { S::zero() } else { table.value(i, right) };
                primal[v] = if !self.free[v] && x < S::zero() { S::zero() } else { x };
            }
        }
        let mut dual = vec![S::zero(); self.m];
        for (j, &v) in self.tableau.nonbasic.iter().enumerate() {
            if (self.n..self.n + self.m).contains(&v) {
                let y = if table.sign(objective, j).is_eq() { S::zero() } else { table.value(objective, j) };
                let y = if !self.fixed[v] && y < S::zero() { S::zero() } else { y };
                let flip = program.rows[v - self.n].relation == Relation::AtLeast;
                dual[v - self.n] = if flip { -y } else { y };
            }
        }
        let terms = program.objective.iter().zip(&primal).map(|(c, x)| c.clone() * x);
        let value = terms.fold(S::zero(), |sum, term| sum + &term);
        Optimum { value, primal, dual, n_pivots: self.n_pivots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::ratio;
    use proptest::prelude::*;

    fn program<S: Scalar>(objective: &[i64], rows: &[(&[i64], Relation, i64)]) -> Program<S> {
        let list = |x: &[i64]| x.iter().map(|&x| S::from_int(x)).collect::<Vec<S>>();
        let mut program = Program::new(list(objective));
        for (coefficients, relation, bound) in rows {
            program.add(list(coefficients), *relation, S::from_int(*bound));
        }
        program
    }

    /// Feasible, complementary and equal in value: nothing else is an optimum.
    fn assert_optimal(program: &Program<Rational>, optimum: &Optimum<Rational>) {
        let zero = ratio(0, 1);
        let dot =
            |a: &[Rational], b: &[Rational]| a.iter().zip(b).fold(zero.clone(), |sum, (a, b)| sum + a * b);
        let mut reduced = program.objective.clone();
        let mut price = zero.clone();
        for (row, y) in program.rows.iter().zip(&optimum.dual) {
            let activity = dot(&row.coefficients, &optimum.primal);
            let (feasible, signed) = match row.relation {
                Relation::AtMost => (activity <= row.bound, *y >= zero),
                Relation::AtLeast => (activity >= row.bound, *y <= zero),
                Relation::Equal => (activity == row.bound, true),
            };
            assert!(feasible && signed, "row {row:?} with price {y}: {activity}");
            price += y * &row.bound;
            for (r, a) in reduced.iter_mut().zip(&row.coefficients) {
                *r -= y * a;
            }
        }
        for (j, x) in optimum.primal.iter().enumerate() {
            assert!(program.free[j] || *x >= zero);
            assert!(if program.free[j] { reduced[j] == zero } else { reduced[j] <= zero });
        }
        assert_eq!(price, optimum.value);
        assert_eq!(dot(&program.objective, &optimum.primal), optimum.value);
    }

    #[test]
    fn textbook_programs() {
        use Relation::{AtLeast, AtMost, Equal};
        let solve = |p: &Program<Rational>| match p.solve().unwrap() {
            Outcome::Optimal(o) => {
                assert_optimal(p, &o);
                Some(o.value)
            }
            Outcome::Infeasible => None,
            Outcome::Unbounded => Some(ratio(-999, 1)),
        };
        let p = program(&[3, 5], &[(&[1, 0], AtMost, 4), (&[0, 2], AtMost, 12), (&[3, 2], AtMost, 18)]);
        assert_eq!(solve(&p), Some(ratio(36, 1)));
        let p = program(&[-2, -3], &[(&[1, 1], AtLeast, 4), (&[1, 3], AtLeast, 6), (&[1, -1], Equal, 1)]);
        assert_eq!(solve(&p), Some(ratio(-19, 2)));
        let p = program(&[1, 1], &[(&[1, -1], Equal, 1), (&[2, -2], Equal, 2), (&[1, 1], AtMost, 5)]);
        assert_eq!(solve(&p), Some(ratio(5, 1)), "a redundant equality");
        let p = program(&[1, 1], &[(&[1, -1], Equal, 1), (&[2, -2], Equal, 3)]);
        assert_eq!(solve(&p), None, "contradicting equalities");
        let p = program(&[1], &[(&[1], AtLeast, 3), (&[1], AtMost, 2)]);
        assert_eq!(solve(&p), None);
        let p = program(&[1, 0], &[(&[1, -1], AtMost, 2)]);
        assert_eq!(solve(&p), Some(ratio(-999, 1)), "unbounded");
        // Free variables: maximize the value v of a game with rows (3, 0) and (1, 2).
        let mut p = program(
            &[0, 0, 1],
            &[(&[-3, -1, 1], AtMost, 0), (&[0, -2, 1], AtMost, 0), (&[1, 1, 0], Equal, 1)],
        );
        p.free[2] = true;
        assert_eq!(solve(&p), Some(ratio(3, 2)));
        // Nothing to decide, and no rows at all.
        assert_eq!(solve(&program(&[], &[(&[], AtMost, 1)])), Some(ratio(0, 1)));
        assert_eq!(solve(&program(&[-1], &[])), Some(ratio(0, 1)));
        let mut loose = program::<Rational>(&[1], &[]);
        loose.free[0] = true;
        assert_eq!(solve(&loose), Some(ratio(-999, 1)));
    }

    /// Beale's example cycles under the largest coefficient with naive ties.
    #[test]
    fn degenerate_programs_end() {
        let q = |p, q| ratio(p, q);
        let mut p = Program::new(vec![q(3, 4), q(-150, 1), q(1, 50), q(-6, 1)]);
        p.add(vec![q(1, 4), q(-60, 1), q(-1, 25), q(9, 1)], Relation::AtMost, q(0, 1));
        p.add(vec![q(1, 2), q(-90, 1), q(-1, 50), q(3, 1)], Relation::AtMost, q(0, 1));
        p.add(vec![q(0, 1), q(0, 1), q(1, 1), q(0, 1)], Relation::AtMost, q(1, 1));
        let optimum = p.solve().unwrap().optimal("it").unwrap();
        assert_optimal(&p, &optimum);
        assert_eq!(optimum.value, q(1, 20));
        let float = p.convert::<f64>().unwrap().solve().unwrap().optimal("it").unwrap();
        assert!((float.value - 0.05).abs() < 1e-12);
    }

    #[test]
    fn bad_programs_are_refused() {
        let mut p = program::<f64>(&[1, 1], &[]);
        p.add(vec![1.0], Relation::AtMost, 1.0);
        assert!(matches!(p.solve(), Err(Error::Shape { .. })));
        let mut p = program::<f64>(&[1], &[]);
        p.add(vec![f64::NAN], Relation::AtMost, 1.0);
        assert!(p.solve().is_err());
    }

    fn any_program() -> impl Strategy<Value = Program<Rational>> {
        (1usize..6, 0usize..7).prop_flat_map(|(n, m)| {
            let number = || (-4i64..5).prop_map(|x| ratio(x, 1));
            let relation =
                prop_oneof![4 => Just(Relation::AtMost), 2 => Just(Relation::AtLeast), 1 => Just(Relation::Equal)];
            let row = (prop::collection::vec(number(), n), relation, number())
                .prop_map(|(coefficients, relation, bound)| Row { coefficients, relation, bound });
            let free = prop::collection::vec(prop::bool::weighted(0.2), n);
            (prop::collection::vec(number(), n), prop::collection::vec(row, m), free)
                .prop_map(|(objective, rows, free)| Program { objective, rows, free })
        })
    }

    proptest! {
        /// Small numbers make ties, empty columns, redundant and contradicting rows frequent.
        #[test]
        fn optima_have_proofs_and_floats_agree(program in any_program()) {
            let exact = program.solve().unwrap();
            let float = program.convert::<f64>().unwrap().solve().unwrap();
            match (&exact, &float) {
                (Outcome::Optimal(optimum), Outcome::Optimal(float)) => {
                    assert_optimal(&program, optimum);
                    prop_assert!((optimum.value.to_float() - float.value).abs() < 1e-9);
                }
                (Outcome::Infeasible, Outcome::Infeasible) | (Outcome::Unbounded, Outcome::Unbounded) => {}
                _ => prop_assert!(false, "exact {exact:?}, float {float:?}"),
            }
            // An infeasible program has a feasible relaxation, and a bounded box makes any program bounded.
            let mut boxed = program.clone();
            for j in 0..boxed.objective.len() {
                let mut unit = vec![ratio(0, 1); boxed.objective.len()];
                unit[j] = ratio(1, 1);
                boxed.add(unit.clone(), Relation::AtMost, ratio(50, 1));
                boxed.add(unit, Relation::AtLeast, ratio(-50, 1));
            }
            match boxed.solve().unwrap() {
                Outcome::Optimal(optimum) => assert_optimal(&boxed, &optimum),
                Outcome::Unbounded => prop_assert!(false, "unbounded in a box"),
                Outcome::Infeasible => prop_assert_eq!(exact, Outcome::Infeasible),
            }
        }

        /// The same program in other units of rows, variables and objective.
        #[test]
        fn floats_do_not_mind_units(program in any_program(), up in -9i32..10, down in -9i32..10) {
            let mut scaled = program.convert::<f64>().unwrap();
            let (up, down) = (10f64.powi(up), 10f64.powi(down));
            scaled.objective.iter_mut().for_each(|c| *c *= up);
            for row in &mut scaled.rows {
                row.coefficients.iter_mut().for_each(|a| *a *= down);
                row.bound *= down;
            }
            match (program.solve().unwrap(), scaled.solve().unwrap()) {
                (Outcome::Optimal(exact), Outcome::Optimal(float)) => {
                    let expected = exact.value.to_float() * up;
                    prop_assert!((float.value - expected).abs() <= 1e-9 * up.max(expected.abs()));
                }
                (exact, float) => {
                    prop_assert_eq!(std::mem::discriminant(&exact.convert_kind()), std::mem::discriminant(&float));
                }
            }
        }
    }

    impl Outcome<Rational> {
        fn convert_kind(&self) -> Outcome<f64> {
            match self {
                Self::Optimal(_) => {
                    Outcome::Optimal(Optimum { value: 0.0, primal: vec![], dual: vec![], n_pivots: 0 })
                }
                Self::Infeasible => Outcome::Infeasible,
                Self::Unbounded => Outcome::Unbounded,
            }
        }
    }
}
