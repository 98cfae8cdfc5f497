//! Max-sum (Farinelli, Rogers, Petcu and Jennings 2008), here min-sum: messages between variables and constraints
//! that say how dear each value is. Variables and constraints are agents of their own and take turns; a cycle is
//! one turn of each.
//!
//! A message is damped with the one before it, normalized to a least cost of 0 (sums of it mean nothing), and not
//! sent where it has not changed. Exact where the graph of variables and constraints has no cycle. A little noise
//! separates equal solutions, without which agents may pick values of different ones.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message, Topology};

use super::model::{Factor, add_noise};
use super::solve::{Found, HasValue, Run};
use crate::Result;

/// Costs by value.
#[derive(Clone)]
struct Costs(Arc<[f64]>);

impl Message for Costs {
    fn n_bytes(&self) -> u64 {
        8 * self.0.len() as u64
    }

    fn n_values(&self) -> u64 {
        2 * self.0.len() as u64
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        write!(line, "costs {:?}", self.0)
    }
}

/// What goes over one link: what came last, and what was sent last.
struct Link {
    neighbor: usize,
    incoming: Vec<f64>,
    sent: Option<Vec<f64>>,
}

struct Node {
    kind: Kind,
    links: Vec<Link>,
    damping: f64,
    tolerance: f64,
    /// Whether the last messages differed from those before.
    changed: bool,
    scratch: Vec<Vec<f64>>,
}

enum Kind {
    Variable { costs: Vec<f64>, value: usize },
    Constraint(Arc<Factor>),
}

pub(super) fn solve(run: Run<'_>) -> Result<Found> {
    let (model, options) = (run.model, run.options);
    let n = model.n_variables();
    let mut edges = Vec::new();
    for (f, factor) in model.factors.iter().enumerate() {
        edges.extend(factor.scope.iter().map(|&v| (v, n + f)));
    }
    let topology = Topology::from_edges(n + model.factors.len(), &edges)?;
    let level = options.tie_noise * model.range;
    // Messages need to settle well below the noise, or it could not separate anything.
    let tolerance = (1e-4 * level).max(model.tolerance);
    let node = |id: usize, kind: Kind, sizes: &[usize], neighbors: &[usize]| Node {
        links: neighbors
            .iter()
            .zip(sizes)
            .map(|(&neighbor, &size)| Link { neighbor, incoming: vec![0.0; size], sent: None })
            .collect(),
        scratch: sizes.iter().map(|&size| vec![0.0; size]).collect(),
        damping: options.damping,
        tolerance,
        changed: id < n,
        kind,
    };
    let mut nodes = Vec::with_capacity(topology.n_agents());
    for v in 0..n {
        let mut costs = model.unary[v].clone();
        add_noise(&mut costs, level, options.seed, v as u32, 2);
        let neighbors = topology.neighbors(v);
        let kind = Kind::Variable { value: model.initial[v], costs };
        nodes.push(node(v, kind, &vec![model.sizes[v]; neighbors.len()], neighbors));
    }
    for (f, factor) in model.factors.iter().enumerate() {
        nodes.push(node(n + f, Kind::Constraint(factor.clone()), &factor.sizes, &factor.scope));
    }
    run.cycles(topology, nodes, 2)
}

impl Node {
    /// Computes the messages to all neighbors into `scratch`.
    fn compute(&mut self) {
        match &mut self.kind {
            Kind::Variable { costs, value } => {
                let mut sums = costs.clone();
                for link in &self.links {
                    sums.iter_mut().zip(&link.incoming).for_each(|(sum, cost)| *sum += cost);
                }
                *value = lowest(&sums);
                for (link, out) in self.links.iter().zip(&mut self.scratch) {
                    for ((out, sum), incoming) in out.iter_mut().zip(&sums).zip(&link.incoming) {
                        *out = sum - incoming;
                    }
                }
            }
            Kind::Constraint(factor) => {
                self.scratch.iter_mut().for_each(|out| out.fill(f64::INFINITY));
                let mut places = vec![0; factor.sizes.len()];
                for &cost in &factor.table {
                    let said: f64 =
                        self.links.iter().zip(&places).map(|(link, &place)| link.incoming[place]).sum();
                    for ((link, out), &place) in self.links.iter().zip(&mut self.scratch).zip(&places) {
                        out[place] = out[place].min(cost + (said - link.incoming[place]));
                    }
                    for (place, &size) in places.iter_mut().zip(&factor.sizes).rev() {
                        *place += 1;
                        if *place < size {
                            break;
                        }
                        *place = 0;
                    }
                }
            }
        }
    }

    fn speak(&mut self, context: &mut Context<'_, Costs>) {
        self.compute();
        self.changed = false;
        for (link, out) in self.links.iter_mut().zip(&mut self.scratch) {
            let least = out.iter().copied().fold(f64::INFINITY, f64::min);
            out.iter_mut().for_each(|cost| *cost -= least);
            if let Some(before) = &link.sent {
                for (cost, before) in out.iter_mut().zip(before) {
                    *cost = self.damping * before + (1.0 - self.damping) * *cost;
                }
                let moved =
                    out.iter().zip(before).any(|(cost, before)| (cost - before).abs() > self.tolerance);
                if !moved {
                    continue;
                }
            }
            self.changed = true;
            context.send(link.neighbor, Costs(out.as_slice().into()));
            link.sent.get_or_insert_default().clone_from(out);
        }
    }
}

fn lowest(costs: &[f64]) -> usize {
    (1..costs.len()).fold(0, |best, value| if costs[value] < costs[best] { value } else { best })
}

impl Agent for Node {
    type Message = Costs;

    fn on_start(&mut self, context: &mut Context<'_, Costs>) {
        if matches!(self.kind, Kind::Variable { .. }) {
            self.speak(context);
        }
    }

    fn on_message(&mut self, from: usize, message: Costs, _context: &mut Context<'_, Costs>) {
        if let Some(link) = self.links.iter_mut().find(|link| link.neighbor == from) {
            link.incoming.copy_from_slice(&message.0);
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Costs>) {
        // Constraints speak in odd ticks, variables in even ones.
        if matches!(self.kind, Kind::Constraint(_)) == (context.time() % 2 == 1) {
            self.speak(context);
        }
    }
}

impl HasValue for Node {
    fn value(&self) -> Option<usize> {
        match &self.kind {
            Kind::Variable { value, .. } => Some(*value),
            Kind::Constraint(_) => None,
        }
    }

    fn is_settled(&self) -> bool {
        !self.changed
    }
}
