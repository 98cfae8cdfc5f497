//! All equilibria of small games for any number of players, support by support.
//!
//! For each choice of supports, the probabilities must make every player indifferent over the own support: as many
//! multilinear equations as unknowns. A box of probabilities is thrown out where interval arithmetic shows that no
//! solution lies in it, solved by Newton's method where Krawczyk's operator (1969) proves exactly one in it, and
//! else cut in two. What is found is refined to rounding, checked against deviations outside the supports, and
//! nothing is lost unless `complete` says so. Equilibria that are not isolated (degenerate games) exhaust the boxes.

use crate::certificate;
use crate::equilibrium::pure_equilibria;
use crate::equilibrium::vertex::sort;
use crate::error::{Error, Result};
use crate::linear_algebra::solve_square;
use crate::normal_form::{Mixed, NormalForm, advance, pure};
use crate::scalar::{Rational, Scalar};

/// Boxes that one choice of supports may take.
const MAX_BOXES: usize = 20_000;
/// Boxes start this much larger than [0, 1], so that solutions on their border are inside.
const MARGIN: f64 = 1.0 / 1024.0;
/// Sides below which a box that is neither empty nor solved is given up.
const MIN_SIDE: f64 = 1e-7;
/// Probabilities this small belong to a smaller support.
const ZERO: f64 = 1e-9;
/// Gains, relative to the payoffs' spread, that a solution may leave.
const GAIN: f64 = 1e-9;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Polynomial {
    /// Equilibria, to rounding.
    pub equilibria: Vec<Mixed<f64>>,
    /// Whether every isolated equilibrium is among them.
    pub complete: bool,
}

/// All isolated equilibria. `observe` hears the number of choices of supports tried, now and then, and stops the
/// search by saying false.
///
/// # Errors
/// If the search was stopped.
pub fn polynomial_supports<S: Scalar>(
    game: &NormalForm<S>,
    observe: &mut dyn FnMut(usize) -> bool,
) -> Result<Polynomial> {
    let floats: NormalForm<f64> = game.convert();
    let mut equilibria: Vec<Mixed<f64>> =
        pure_equilibria(game).iter().map(|profile| pure(game.shape(), profile)).collect();
    let mut complete = true;
    if game.shape().iter().any(|&n| n > 16) {
        return Err(Error::TooLarge {
            what: "support enumeration for many players".into(),
            estimate: game.shape().iter().map(|&n| 2f64.powi(n as i32)).product(),
            unit: "choices of supports",
            limit: 65_536.0,
            remedy: "use `regret-matching` or `correlated`".into(),
        });
    }
    let limits: Vec<usize> = game.shape().iter().map(|&n| (1 << n) - 1).collect();
    let mut masks = vec![0; limits.len()];
    let mut tried = 0;
    loop {
        tried += 1;
        if tried % 16 == 0 && !observe(tried) {
            return Err(Error::Stopped { what: "support enumeration", after: tried });
        }
        let chosen = |(mask, n): (&usize, &usize)| (0..*n).filter(|s| (mask + 1) >> s & 1 == 1).collect();
        let supports: Vec<Vec<usize>> = masks.iter().zip(game.shape()).map(chosen).collect();
        if supports.iter().any(|s: &Vec<usize>| s.len() > 1) && !has_conditional_dominance(&floats, &supports)
        {
            complete &= System::new(&floats.restrict(&supports)).solve(&mut |solution| {
                let mixed = spread(game.shape(), &supports, solution);
                if is_equilibrium(&floats, &mixed) && !equilibria.iter().any(|known| close(known, &mixed)) {
                    equilibria.push(mixed);
                }
            });
        }
        if !advance(&mut masks, &limits) {
            break;
        }
    }
    sort(&mut equilibria);
    Ok(Polynomial { equilibria, complete })
}

/// The exact equilibrium near a float one, if its probabilities are fractions with denominators up to a million.
pub fn rationalize(game: &NormalForm<Rational>, mixed: &Mixed<f64>) -> Option<Mixed<Rational>> {
    let exact: Option<Mixed<Rational>> =
        mixed.iter().map(|x| x.iter().map(|&p| nearest_fraction(p)).collect()).collect();
    let exact = exact?;
    let sums =
        |x: &Vec<Rational>| x.iter().fold(Rational::from_int(0), |s, p| s + p) == Rational::from_int(1);
    let zero = Rational::from_int(0);
    (exact.iter().all(sums) && certificate::gains(game, &exact).iter().all(|gain| *gain == zero))
        .then_some(exact)
}

/// The simplest fraction within `1e-10`, by continued fractions.
fn nearest_fraction(x: f64) -> Option<Rational> {
    let (mut h, mut k) = ((0i64, 1i64), (1i64, 0i64));
    let mut rest = x;
    for _ in 0..40 {
        let whole = rest.floor();
        if whole.is_nan() || whole.abs() >= 1e6 {
            return None;
        }
        h = (h.1, whole as i64 * h.1 + h.0);
        k = (k.1, whole as i64 * k.1 + k.0);
        if k.1 > 1_000_000 {
            return None;
        }
        if (x - h.1 as f64 / k.1 as f64).abs() < 1e-10 {
            return Some(crate::scalar::ratio(h.1, k.1));
        }
        rest = 1.0 / (rest - whole);
    }
    None
}

/// Whether some strategy of a support earns less than another of the player's strategies whatever the others play in
/// their supports.
fn has_conditional_dominance(game: &NormalForm<f64>, supports: &[Vec<usize>]) -> bool {
    (0..game.n_players()).any(|player| {
        let mut keep = supports.to_vec();
        keep[player] = (0..game.shape()[player]).collect();
        let part = game.restrict(&keep);
        let (stride, n) = (part.stride(player), part.shape()[player]);
        let table = part.table(player);
        let dominated = |own: usize, by: usize| {
            (0..table.len())
                .filter(|k| k / stride % n == own)
                .all(|k| table[k + by * stride - own * stride] > table[k])
        };
        supports[player].iter().any(|&own| (0..n).any(|by| by != own && dominated(own, by)))
    })
}

fn spread(shape: &[usize], supports: &[Vec<usize>], solution: &Mixed<f64>) -> Mixed<f64> {
    let mut mixed: Mixed<f64> = shape.iter().map(|&n| vec![0.0; n]).collect();
    for ((x, support), p) in mixed.iter_mut().zip(supports).zip(solution) {
        support.iter().zip(p).for_each(|(&s, &p)| x[s] = p);
    }
    mixed
}

fn is_equilibrium(game: &NormalForm<f64>, mixed: &Mixed<f64>) -> bool {
    certificate::gains(game, mixed).iter().enumerate().all(|(player, &gain)| {
        let table = game.table(player);
        let spread = crate::normal_form::maximum(table) - crate::normal_form::minimum(table);
        gain <= GAIN * spread
    })
}

fn close(a: &Mixed<f64>, b: &Mixed<f64>) -> bool {
    a.iter().flatten().zip(b.iter().flatten()).all(|(x, y)| (x - y).abs() < 1e-7)
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    const ZERO: Self = Self { low: 0.0, high: 0.0 };

    fn point(x: f64) -> Self {
        Self { low: x, high: x }
    }

    fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }

    fn minus(self, other: Self) -> Self {
        Self { low: self.low - other.high, high: self.high - other.low }
    }

    fn times(self, other: Self) -> Self {
        let products =
            [self.low * other.low, self.low * other.high, self.high * other.low, self.high * other.high];
        let low = products.iter().fold(f64::INFINITY, |a, &b| a.min(b));
        Self { low, high: products.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b)) }
    }

    fn middle(self) -> f64 {
        0.5 * (self.low + self.high)
    }

    fn side(self) -> f64 {
        self.high - self.low
    }
}

/// One player's indifference between the first and another strategy of the support.
struct Equation {
    player: usize,
    /// Differences of payoffs over the other players' supports, `[.., n_j, ..]`.
    differences: Vec<f64>,
}

/// The equations of one choice of supports. Unknowns: for each player all probabilities but the last.
struct System {
    shape: Vec<usize>,
    /// First unknown of each player.
    first: Vec<usize>,
    n: usize,
    equations: Vec<Equation>,
}

impl System {
    /// The system of a game that has only the supports.
    fn new(part: &NormalForm<f64>) -> Self {
        let shape = part.shape().to_vec();
        let mut first = Vec::with_capacity(shape.len());
        let mut n = 0;
        let mut equations = Vec::new();
        for (player, &k) in shape.iter().enumerate() {
            first.push(n);
            n += k - 1;
            let (table, stride) = (part.table(player), part.stride(player));
            let spread = crate::normal_form::maximum(table) - crate::normal_form::minimum(table);
            let unit = if spread > 0.0 { spread } else { 1.0 };
            for s in 1..k {
                let others = (0..table.len()).filter(|place| place / stride % k == 0);
                let differences = others.map(|place| (table[place + s * stride] - table[place]) / unit);
                equations.push(Equation { player, differences: differences.collect() });
            }
        }
        Self { shape, first, n, equations }
    }

    /// Probabilities of each player's strategies for unknowns in a box.
    fn probabilities(&self, unknowns: &[Interval]) -> Vec<Vec<Interval>> {
        let of = |player: usize| {
            let mut p = unknowns[self.first[player]..][..self.shape[player] - 1].to_vec();
            let sum = p.iter().fold(Interval::ZERO, |sum, &x| sum.plus(x));
            p.push(Interval::point(1.0).minus(sum));
            p
        };
        (0..self.shape.len()).map(of).collect()
    }

    /// An equation's value, or (`except` a player) its coefficients of that player's strategies.
    fn evaluate(&self, equation: &Equation, p: &[Vec<Interval>], except: Option<usize>) -> Vec<Interval> {
        let mut table: Vec<Interval> = equation.differences.iter().map(|&d| Interval::point(d)).collect();
        let players = (0..self.shape.len()).rev().filter(|&j| j != equation.player && Some(j) != except);
        for other in players {
            let inner = match except {
                Some(kept) if kept > other => self.shape[kept],
                _ => 1,
            };
            let n = self.shape[other];
            let outer = table.len() / (n * inner);
            let sum = |place: usize| {
                let (o, i) = (place / inner, place % inner);
                let terms = (0..n).map(|s| table[(o * n + s) * inner + i].times(p[other][s]));
                terms.fold(Interval::ZERO, Interval::plus)
            };
            table = (0..outer * inner).map(sum).collect();
        }
        table
    }

    /// Derivatives of all equations by all unknowns, `[n, n]`.
    fn jacobian(&self, p: &[Vec<Interval>]) -> Vec<Interval> {
        let mut jacobian = vec![Interval::ZERO; self.n * self.n];
        for (row, equation) in self.equations.iter().enumerate() {
            for other in (0..self.shape.len()).filter(|&j| j != equation.player) {
                let by = self.evaluate(equation, p, Some(other));
                let last = by[by.len() - 1];
                for (s, &coefficient) in by[..by.len() - 1].iter().enumerate() {
                    jacobian[row * self.n + self.first[other] + s] = coefficient.minus(last);
                }
            }
        }
        jacobian
    }

    /// Hands each isolated solution over. False if boxes ran out or were given up.
    fn solve(&self, found: &mut dyn FnMut(&Mixed<f64>)) -> bool {
        let mut complete = true;
        let mut open = vec![vec![Interval { low: -MARGIN, high: 1.0 + MARGIN }; self.n]];
        let mut n_boxes = 0;
        while let Some(mut unknowns) = open.pop() {
            n_boxes += 1;
            if n_boxes > MAX_BOXES {
                return false;
            }
            match self.judge(&mut unknowns) {
                Verdict::Empty => {}
                Verdict::One => {
                    let start: Vec<f64> = unknowns.iter().map(|x| x.middle()).collect();
                    if let Some(solution) = self.newton(start) {
                        found(&solution);
                    }
                }
                Verdict::Unknown => {
                    let widest = (0..self.n).fold(0, |a, b| match unknowns[b].side() > unknowns[a].side() {
                        true => b,
                        false => a,
                    });
                    if unknowns[widest].side() < MIN_SIDE {
                        complete = false;
                        continue;
                    }
                    // Not in the middle, where solutions of simple games lie.
                    let middle = unknowns[widest].low + 0.4871 * unknowns[widest].side();
                    let mut upper = unknowns.clone();
                    upper[widest].low = middle;
                    unknowns[widest].high = middle;
                    open.push(upper);
                    open.push(unknowns);
                }
            }
        }
        complete
    }

    /// Looks into a box, and shrinks it where that loses nothing.
    fn judge(&self, unknowns: &mut [Interval]) -> Verdict {
        // A solution on the border of a box would never be inside of it.
        for x in unknowns.iter_mut() {
            let by = 0.02 * x.side();
            *x = Interval { low: x.low - by, high: x.high + by };
        }
        for _ in 0..8 {
            let p = self.probabilities(unknowns);
            if p.iter().flatten().any(|x| x.high < -MARGIN || x.low > 1.0 + MARGIN) {
                return Verdict::Empty;
            }
            let excludes = |equation: &Equation| {
                let value = self.evaluate(equation, &p, None)[0];
                value.low > 1e-12 || value.high < -1e-12
            };
            if self.equations.iter().any(excludes) {
                return Verdict::Empty;
            }
            let Some(image) = self.krawczyk(unknowns, &p) else { return Verdict::Unknown };
            let inside = image.iter().zip(&*unknowns).all(|(k, x)| k.low > x.low && k.high < x.high);
            let mut shrunk = false;
            for (x, k) in unknowns.iter_mut().zip(&image) {
                let both = Interval { low: x.low.max(k.low - 1e-13), high: x.high.min(k.high + 1e-13) };
                if both.low > both.high {
                    return Verdict::Empty;
                }
                shrunk |= both.side() < 0.7 * x.side();
                *x = both;
            }
            if inside {
                return Verdict::One;
            }
            if !shrunk {
                break;
            }
        }
        Verdict::Unknown
    }

    /// `c - Y f(c) + (1 - Y J)(X - c)` with `Y` the inverse of the derivative at the middle `c`; none if singular.
    fn krawczyk(&self, unknowns: &[Interval], p: &[Vec<Interval>]) -> Option<Vec<Interval>> {
        let n = self.n;
        let center: Vec<f64> = unknowns.iter().map(|x| x.middle()).collect();
        let points: Vec<Interval> = center.iter().map(|&x| Interval::point(x)).collect();
        let at_center = self.probabilities(&points);
        let derivative: Vec<f64> = self.jacobian(&at_center).iter().map(|x| x.middle()).collect();
        let mut inverse = vec![0.0; n * n];
        for j in 0..n {
            let (mut matrix, mut column) = (derivative.clone(), vec![0.0; n]);
            column[j] = 1.0;
            if !solve_square(n, &mut matrix, &mut column) {
                return None;
            }
            (0..n).for_each(|i| inverse[i * n + j] = column[i]);
        }
        let values: Vec<f64> =
            self.equations.iter().map(|e| self.evaluate(e, &at_center, None)[0].middle()).collect();
        let jacobian = self.jacobian(p);
        let image = (0..n).map(|i| {
            let step: f64 = (0..n).map(|k| inverse[i * n + k] * values[k]).sum();
            let mut sum = Interval::point(center[i] - step);
            for j in 0..n {
                let mut entry = Interval::point(if i == j { 1.0 } else { 0.0 });
                for k in 0..n {
                    entry = entry.minus(Interval::point(inverse[i * n + k]).times(jacobian[k * n + j]));
                }
                sum = sum.plus(entry.times(unknowns[j].minus(Interval::point(center[j]))));
            }
            sum
        });
        Some(image.collect())
    }

    /// Refines to rounding. None if a probability is not positive.
    fn newton(&self, mut x: Vec<f64>) -> Option<Mixed<f64>> {
        for _ in 0..50 {
            let points: Vec<Interval> = x.iter().map(|&x| Interval::point(x)).collect();
            let p = self.probabilities(&points);
            let mut matrix: Vec<f64> = self.jacobian(&p).iter().map(|d| d.low).collect();
            let mut step: Vec<f64> =
                self.equations.iter().map(|e| self.evaluate(e, &p, None)[0].low).collect();
            if !solve_square(self.n, &mut matrix, &mut step) {
                return None;
            }
            x.iter_mut().zip(&step).for_each(|(x, s)| *x -= s);
            if step.iter().all(|s| s.abs() < 1e-15) {
                break;
            }
        }
        let points: Vec<Interval> = x.iter().map(|&x| Interval::point(x)).collect();
        let p = self.probabilities(&points);
        let mixed: Mixed<f64> = p.iter().map(|x| x.iter().map(|p| p.low).collect()).collect();
        mixed.iter().flatten().all(|&p| p > ZERO).then_some(mixed)
    }
}

enum Verdict {
    /// No solution.
    Empty,
    /// Exactly one solution.
    One,
    Unknown,
}
