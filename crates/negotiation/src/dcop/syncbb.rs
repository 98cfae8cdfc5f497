//! SyncBB, synchronous branch and bound (Hirayama and Yokoo 1997): agents in a row; a partial assignment goes
//! forward while it costs less than the best complete one, and back where an agent has no value left.
//!
//! Constraints of any arity are counted by the last of their variables in the row. Costs are shifted so that the
//! least of each table is 0, which makes partial sums bounds also where costs are negative.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message, Topology};

use super::model::{Factor, Model};
use super::solve::{Found, Run, Status};
use crate::Result;

#[derive(Clone)]
enum Mail {
    /// Values of all before, their cost, and the cost to stay below.
    Forward { path: Vec<u32>, cost: f64, bound: f64 },
    /// No value is left here; the bound, and the best assignment if it is new.
    Back { bound: f64, best: Option<Vec<u32>> },
    /// The answer.
    Finish(Vec<u32>),
}

impl Message for Mail {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Forward { path, .. } => 16 + 4 * path.len() as u64,
            Self::Back { best, .. } => 8 + 4 * best.as_ref().map_or(0, Vec::len) as u64,
            Self::Finish(best) => 4 * best.len() as u64,
        }
    }

    fn n_values(&self) -> u64 {
        match self {
            Self::Forward { path, .. } => 2 * path.len() as u64 + 1,
            Self::Back { best, .. } => 1 + 2 * best.as_ref().map_or(0, Vec::len) as u64,
            Self::Finish(best) => 2 * best.len() as u64,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Forward { path, cost, bound } => write!(line, "forward {path:?} cost {cost} bound {bound}"),
            Self::Back { bound, .. } => write!(line, "back bound {bound}"),
            Self::Finish(best) => write!(line, "finish {best:?}"),
        }
    }
}

/// A constraint with the own stride, and places in the row and strides of the others.
type Closing = (Arc<Factor>, usize, Vec<(usize, usize)>);

struct Place {
    unary: Vec<f64>,
    /// Constraints that close here.
    closing: Vec<Closing>,
    is_last: bool,
    tolerance: f64,
    path: Vec<u32>,
    path_cost: f64,
    next: usize,
    bound: f64,
    best: Option<Vec<u32>>,
    value: Option<usize>,
}

pub(super) fn solve(mut run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let order = row(model);
    let n = order.len();
    let mut position = vec![0; n];
    order.iter().enumerate().for_each(|(p, &v)| position[v] = p);
    let mut places: Vec<Place> = order
        .iter()
        .enumerate()
        .map(|(p, &v)| {
            let least = model.unary[v].iter().copied().fold(f64::INFINITY, f64::min);
            Place {
                unary: model.unary[v].iter().map(|cost| cost - least).collect(),
                closing: Vec::new(),
                is_last: p + 1 == n,
                tolerance: model.tolerance,
                path: Vec::new(),
                path_cost: 0.0,
                next: 0,
                bound: f64::INFINITY,
                best: None,
                value: None,
            }
        })
        .collect();
    for factor in &model.factors {
        let at = factor.scope.iter().map(|&v| position[v]).max().unwrap_or(0);
        let strides = || factor.scope.iter().map(|&v| position[v]).zip(factor.strides.iter().copied());
        let own = strides().find(|&(p, _)| p == at).map_or(0, |(_, stride)| stride);
        places[at].closing.push((factor.clone(), own, strides().filter(|&(p, _)| p != at).collect()));
    }
    let (status, mut simulator) = run.events(Topology::line(n)?, places)?;
    let (counts, log) = (simulator.counts(), simulator.take_log());
    // Cut short, the best assignment so far is somewhere on its way back to the first agent.
    let known = simulator.agents().filter_map(|place| Some((place.bound, place.best.clone()?)));
    let best = known.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, best)| best);
    let mut assignment = model.initial.clone();
    if let Some(best) = best {
        order.iter().zip(best).for_each(|(&v, value)| assignment[v] = value as usize);
    }
    if status == Status::Finished {
        for (place, &v) in simulator.agents().zip(&order) {
            assignment[v] = place.value.unwrap_or(assignment[v]);
        }
    }
    Ok(Found { assignment, cycle: 1, counts, status, costs: Vec::new(), log })
}

/// Variables with most neighbors before them come first, so that constraints close early.
pub(super) fn row(model: &Model) -> Vec<usize> {
    let n = model.n_variables();
    let mut n_before = vec![0_usize; n];
    let mut placed = vec![false; n];
    let mut order = Vec::with_capacity(n);
    for _ in 0..n {
        let key = |v: &usize| (n_before[*v], model.topology.neighbors(*v).len(), n - v);
        let Some(v) = (0..n).filter(|&v| !placed[v]).max_by_key(key) else { break };
        placed[v] = true;
        model.topology.neighbors(v).iter().for_each(|&other| n_before[other] += 1);
        order.push(v);
    }
    order
}

impl Place {
    fn begin(&mut self, path: Vec<u32>, cost: f64, bound: f64, context: &mut Context<'_, Mail>) {
        (self.path, self.path_cost, self.bound, self.next) = (path, cost, bound, 0);
        self.best = None;
        self.advance(context);
    }

    fn advance(&mut self, context: &mut Context<'_, Mail>) {
        while self.next < self.unary.len() {
            let value = self.next;
            self.next += 1;
            let mut cost = self.path_cost + self.unary[value];
            for (factor, own, others) in &self.closing {
                let start: usize = others.iter().map(|&(p, stride)| self.path[p] as usize * stride).sum();
                cost += factor.table[start + value * own] - factor.least;
            }
            if cost >= self.bound - self.tolerance {
                continue;
            }
            let mut path = self.path.clone();
            path.push(value as u32);
            if self.is_last {
                self.bound = cost;
                self.best = Some(path);
            } else {
                context.send(context.id() + 1, Mail::Forward { path, cost, bound: self.bound });
                return;
            }
        }
        match (context.id(), &self.best) {
            (0, Some(best)) => self.finish(best.clone(), context),
            (0, None) => {}
            (id, best) => context.send(id - 1, Mail::Back { bound: self.bound, best: best.clone() }),
        }
    }

    fn finish(&mut self, best: Vec<u32>, context: &mut Context<'_, Mail>) {
        self.value = Some(best[context.id()] as usize);
        if !self.is_last {
            context.send(context.id() + 1, Mail::Finish(best));
        }
    }
}

impl Agent for Place {
    type Message = Mail;

    fn on_start(&mut self, context: &mut Context<'_, Mail>) {
        if context.id() == 0 {
            self.begin(Vec::new(), 0.0, f64::INFINITY, context);
        }
    }

    fn on_message(&mut self, _from: usize, message: Mail, context: &mut Context<'_, Mail>) {
        match message {
            Mail::Forward { path, cost, bound } => self.begin(path, cost, bound, context),
            Mail::Back { bound, best } => {
                self.bound = bound;
                if best.is_some() {
                    self.best = best;
                }
                self.advance(context);
            }
            Mail::Finish(best) => self.finish(best, context),
        }
    }
}
