//! AFB, asynchronous forward bounding (Gershman, Meisels and Zivan 2009): branch and bound over agents in a row, in which
//! whoever has just chosen a value asks all agents after it for the least that the rest will cost them. Their answers
//! arrive while the search already goes on; as soon as they add up to the best known cost, the value is given up.
//!
//! Every assignment carries a stamp, one counter an agent; what belongs to an older stamp than the newest one known is
//! dropped. Beyond the paper: constraints of any arity. One is counted in full by the last of its variables in the row; while
//! some of its variables have no value, the first of these counts its least cost over the others.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message, Topology};

use super::model::{Factor, Model};
use super::solve::{Found, Run, Status};
use super::syncbb::row;
use crate::Result;

type Path = Arc<Vec<u32>>;
/// How often each agent of a path had chosen a value when it was made.
type Stamp = Arc<Vec<u64>>;

#[derive(Clone)]
enum Mail {
    /// Values of all before, and their cost.
    Forward { path: Path, cost: f64, stamp: Stamp },
    /// What would the rest cost you at least?
    Request { path: Path, stamp: Stamp },
    /// This much.
    Estimate { stamp: Stamp, least: f64 },
    /// No value is left here for the path with this stamp; the best assignment that is known.
    Back { stamp: Stamp, bound: f64, best: Option<Path> },
    /// A whole assignment.
    Solution { path: Path, cost: f64 },
    /// The answer.
    Stop(Option<Path>),
}

impl Message for Mail {
    fn n_bytes(&self) -> u64 {
        let known = |best: &Option<Path>| 4 * best.as_ref().map_or(0, |path| path.len()) as u64;
        match self {
            Self::Forward { path, .. } => 8 + 12 * path.len() as u64,
            Self::Request { path, .. } => 12 * path.len() as u64,
            Self::Estimate { stamp, .. } => 8 + 8 * stamp.len() as u64,
            Self::Back { stamp, best, .. } => 8 + 8 * stamp.len() as u64 + known(best),
            Self::Solution { path, .. } => 8 + 4 * path.len() as u64,
            Self::Stop(best) => known(best),
        }
    }

    fn n_values(&self) -> u64 {
        let known = |best: &Option<Path>| 2 * best.as_ref().map_or(0, |path| path.len()) as u64;
        match self {
            Self::Forward { path, .. } => 1 + 3 * path.len() as u64,
            Self::Request { path, .. } => 3 * path.len() as u64,
            Self::Estimate { stamp, .. } => 1 + stamp.len() as u64,
            Self::Back { stamp, best, .. } => 1 + stamp.len() as u64 + known(best),
            Self::Solution { path, .. } => 1 + 2 * path.len() as u64,
            Self::Stop(best) => known(best),
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Forward { path, cost, .. } => write!(line, "forward {path:?} cost {cost}"),
            Self::Request { path, .. } => write!(line, "request {path:?}"),
            Self::Estimate { stamp, least } => write!(line, "estimate {least} for {stamp:?}"),
            Self::Back { stamp, bound, .. } => write!(line, "back {stamp:?} bound {bound}"),
            Self::Solution { path, cost } => write!(line, "solution {path:?} cost {cost}"),
            Self::Stop(_) => write!(line, "stop"),
        }
    }
}

/// A constraint as an agent sees it: places in the row and strides of the others, in the order of the row.
struct Part {
    factor: Arc<Factor>,
    own: usize,
    others: Vec<Other>,
}

struct Other {
    place: usize,
    stride: usize,
    size: usize,
}

struct Place {
    n_places: usize,
    unary: Vec<f64>,
    parts: Vec<Part>,
    tolerance: f64,
    /// Values before, their cost and their stamp.
    path: Path,
    path_cost: f64,
    path_stamp: Stamp,
    next: usize,
    /// The current choice: its stamp, its cost with the path, and what the agents after it have said that the rest costs.
    chosen: Option<(Stamp, f64, f64)>,
    n_choices: u64,
    newest: Stamp,
    bound: f64,
    best: Option<Path>,
    value: Option<usize>,
}

pub(super) fn solve(mut run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let order = row(model);
    let places = places(model, &order);
    let (status, mut simulator) = run.events(Topology::complete(order.len())?, places)?;
    let (counts, log) = (simulator.counts(), simulator.take_log());
    let known = simulator.agents().filter_map(|place| Some((place.bound, place.best.clone()?)));
    let best = known.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, best)| best);
    let mut assignment = model.initial.clone();
    if let Some(best) = best {
        order.iter().zip(best.iter()).for_each(|(&v, &value)| assignment[v] = value as usize);
    }
    if status == Status::Finished {
        for (place, &v) in simulator.agents().zip(&order) {
            assignment[v] = place.value.unwrap_or(assignment[v]);
        }
    }
    Ok(Found { assignment, cycle: 1, counts, status, costs: Vec::new(), log })
}

fn places(model: &Model, order: &[usize]) -> Vec<Place> {
    let mut position = vec![0; order.len()];
    order.iter().enumerate().for_each(|(p, &v)| position[v] = p);
    let place = |&v: &usize| {
        let least = model.unary[v].iter().copied().fold(f64::INFINITY, f64::min);
        Place {
            n_places: order.len(),
            unary: model.unary[v].iter().map(|cost| cost - least).collect(),
            parts: Vec::new(),
            tolerance: model.tolerance,
            path: Path::default(),
            path_cost: 0.0,
            path_stamp: Stamp::default(),
            next: 0,
            chosen: None,
            n_choices: 0,
            newest: Stamp::default(),
            bound: f64::INFINITY,
            best: None,
            value: None,
        }
    };
    let mut places: Vec<Place> = order.iter().map(place).collect();
    for factor in &model.factors {
        let scope = || factor.scope.iter().map(|&v| position[v]).zip(&factor.strides).zip(&factor.sizes);
        for ((at, &own), _) in scope() {
            let others = scope().filter(|((p, _), _)| *p != at);
            let mut others: Vec<Other> =
                others.map(|((place, &stride), &size)| Other { place, stride, size }).collect();
            others.sort_by_key(|other| other.place);
            places[at].parts.push(Part { factor: factor.clone(), own, others });
        }
    }
    places
}

impl Part {
    /// The cost above the least for an own value, when the first of the others have the values of `path`: the least over
    /// the rest of them.
    fn least(&self, path: &[u32], value: usize) -> f64 {
        let n_known = self.others.partition_point(|other| other.place < path.len());
        let (known, free) = self.others.split_at(n_known);
        let start = value * self.own
            + known.iter().map(|other| path[other.place] as usize * other.stride).sum::<usize>();
        self.least_of(start, free) - self.factor.least
    }

    fn least_of(&self, start: usize, free: &[Other]) -> f64 {
        match free {
            [] => self.factor.table[start],
            [first, rest @ ..] => (0..first.size)
                .map(|value| self.least_of(start + value * first.stride, rest))
                .fold(f64::INFINITY, f64::min),
        }
    }
}

/// How old one stamp is beside another: the first counter that differs decides.
fn compare(a: &[u64], b: &[u64]) -> Ordering {
    let both = a.iter().zip(b).map(|(a, b)| a.cmp(b));
    both.fold(Ordering::Equal, Ordering::then)
}

impl Place {
    /// Whether a stamp is not outdated; if so, it is taken note of.
    fn is_current(&mut self, stamp: &Stamp) -> bool {
        match compare(stamp, &self.newest) {
            Ordering::Less => false,
            Ordering::Equal if stamp.len() <= self.newest.len() => true,
            Ordering::Equal | Ordering::Greater => {
                self.newest = stamp.clone();
                true
            }
        }
    }

    /// Constraints that end here, and own costs, for an own value after the path.
    fn cost_after_path(&self, id: usize, value: usize) -> f64 {
        let ends_here = |part: &&Part| part.others.last().is_none_or(|other| other.place < id);
        let parts = self.parts.iter().filter(ends_here);
        self.unary[value] + parts.map(|part| part.least(&self.path, value)).sum::<f64>()
    }

    /// The least that own costs and the constraints that this agent counts can come to after `path`.
    fn estimate(&self, id: usize, path: &[u32]) -> f64 {
        // The first variable without a value counts a constraint.
        let is_counted = |part: &&Part| {
            let first_free = part.others.iter().map(|other| other.place).find(|&place| place >= path.len());
            first_free.is_none_or(|place| place > id)
        };
        let of = |value: usize| {
            let parts = self.parts.iter().filter(is_counted);
            self.unary[value] + parts.map(|part| part.least(path, value)).sum::<f64>()
        };
        (0..self.unary.len()).map(of).fold(f64::INFINITY, f64::min)
    }

    /// Whether a cost cannot improve on what is known.
    fn is_hopeless(&self, cost: f64) -> bool {
        cost >= self.bound - self.tolerance
    }

    fn learn(&mut self, cost: f64, path: &Path) {
        if cost < self.bound {
            self.bound = cost;
            self.best = Some(path.clone());
        }
    }

    /// Chooses the next value that may improve on the best, and tells; goes back if there is none.
    fn advance(&mut self, context: &mut Context<'_, Mail>) {
        let id = context.id();
        self.chosen = None;
        if compare(&self.path_stamp, &self.newest) == Ordering::Less {
            // Somebody before has chosen anew; a path that holds this choice is on its way.
            return;
        }
        while self.next < self.unary.len() {
            let value = self.next;
            self.next += 1;
            let cost = self.path_cost + self.cost_after_path(id, value);
            if self.is_hopeless(cost) {
                continue;
            }
            let path: Path = Arc::new(self.path.iter().copied().chain([value as u32]).collect());
            if id + 1 == self.n_places {
                self.learn(cost, &path);
                for to in 0..id {
                    context.send(to, Mail::Solution { path: path.clone(), cost });
                }
                continue;
            }
            self.n_choices += 1;
            let stamp: Stamp = Arc::new(self.path_stamp.iter().copied().chain([self.n_choices]).collect());
            self.newest = stamp.clone();
            self.chosen = Some((stamp.clone(), cost, 0.0));
            context.send(id + 1, Mail::Forward { path: path.clone(), cost, stamp: stamp.clone() });
            for to in id + 1..self.n_places {
                context.send(to, Mail::Request { path: path.clone(), stamp: stamp.clone() });
            }
            return;
        }
        if id > 0 {
            let (stamp, best) = (self.path_stamp.clone(), self.best.clone());
            context.send(id - 1, Mail::Back { stamp, bound: self.bound, best });
            return;
        }
        for to in 1..self.n_places {
            context.send(to, Mail::Stop(self.best.clone()));
        }
        self.stop(id, self.best.clone());
    }

    fn stop(&mut self, id: usize, best: Option<Path>) {
        self.value = best.and_then(|best| best.get(id).map(|&value| value as usize));
    }

    /// Gives the current choice up if what is known of it cannot improve on the best.
    fn reconsider(&mut self, context: &mut Context<'_, Mail>) {
        if self.chosen.as_ref().is_some_and(|(_, cost, rest)| self.is_hopeless(cost + rest)) {
            self.advance(context);
        }
    }
}

impl Agent for Place {
    type Message = Mail;

    fn on_start(&mut self, context: &mut Context<'_, Mail>) {
        if context.id() == 0 {
            self.advance(context);
        }
    }

    fn on_message(&mut self, from: usize, message: Mail, context: &mut Context<'_, Mail>) {
        match message {
            Mail::Forward { path, cost, stamp } => {
                if self.is_current(&stamp) {
                    (self.path, self.path_cost, self.path_stamp, self.next) = (path, cost, stamp, 0);
                    self.advance(context);
                }
            }
            Mail::Request { path, stamp } => {
                if self.is_current(&stamp) {
                    let least = self.estimate(context.id(), &path);
                    context.send(from, Mail::Estimate { stamp, least });
                }
            }
            Mail::Estimate { stamp, least } => {
                if let Some((_, _, rest)) = self.chosen.as_mut().filter(|(chosen, ..)| *chosen == stamp) {
                    *rest += least;
                    self.reconsider(context);
                }
            }
            Mail::Back { stamp, bound, best } => {
                if let Some(best) = best {
                    self.learn(bound, &best);
                }
                if self.chosen.as_ref().is_some_and(|(chosen, ..)| *chosen == stamp) {
                    self.advance(context);
                }
            }
            Mail::Solution { path, cost } => {
                self.learn(cost, &path);
                self.reconsider(context);
            }
            Mail::Stop(best) => self.stop(context.id(), best),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three variables of two values; the cost of the values abc is at the place abc of the table.
    fn part(others: [(usize, usize); 2]) -> Part {
        let table = vec![5.0, 9.0, 2.0, 7.0, 8.0, 4.0, 6.0, 3.0];
        let factor = Arc::new(Factor::new(vec![0, 1, 2], vec![2; 3], table));
        let other = |(place, stride)| Other { place, stride, size: 2 };
        Part { factor, own: 2, others: others.map(other).into() }
    }

    #[test]
    fn parts_count_the_least_over_variables_without_a_value() {
        // The middle variable is this agent's, at place 1.
        let part = part([(0, 4), (2, 1)]);
        assert_eq!([0, 1].map(|value| part.least(&[], value)), [2.0, 0.0]);
        assert_eq!([0, 1].map(|value| part.least(&[1], value)), [2.0, 1.0]);
        assert_eq!([0, 1].map(|value| part.least(&[0, 9, 1], value)), [7.0, 5.0]);
    }

    #[test]
    fn the_first_different_counter_decides_between_stamps() {
        assert_eq!(compare(&[1, 9], &[2, 0]), Ordering::Less);
        assert_eq!(compare(&[2], &[2, 5]), Ordering::Equal);
        assert_eq!(compare(&[2, 6], &[2, 5, 7]), Ordering::Greater);
        assert_eq!(compare(&[], &[4]), Ordering::Equal);
    }
}
