//! ADOPT (Modi, Shen, Tambe and Yokoo 2005): all agents of a pseudo-tree search at once, best first. Each keeps a
//! lower and an upper bound on the cost of its subtree for each own value, reports them to its parent, and leaves
//! a value only when its lower bound passes a threshold that the parent grants.
//!
//! Agents work in synchronous cycles, as in the published measurements. Costs are whole numbers here (shifted to a
//! least of 0 and scaled to 40 bits), because the method ends on the equality of two bounds. Beyond the paper:
//! constraints of any arity, counted by their lowest variable; and an agent says nothing before it has heard from
//! all of its neighbors above, because bounds without them are wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message, Pacing, Simulator};

use super::model::{Factor, Model};
use super::pseudotree::{PseudoTree, root_orders};
use super::solve::{Found, Progress, Run, Status};
use crate::Result;

/// Stands for no bound at all; three of them can be added.
const UNBOUNDED: i64 = 1 << 61;

/// Values of variables above.
type View = BTreeMap<usize, usize>;

#[derive(Clone)]
enum Mail {
    Value(usize),
    Cost { view: Arc<View>, lower: i64, upper: i64 },
    Threshold { view: Arc<View>, threshold: i64 },
    Terminate(Arc<View>),
}

impl Message for Mail {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Value(_) => 4,
            Self::Cost { view, .. } => 16 + 8 * view.len() as u64,
            Self::Threshold { view, .. } => 8 + 8 * view.len() as u64,
            Self::Terminate(view) => 8 * view.len() as u64,
        }
    }

    fn n_values(&self) -> u64 {
        match self {
            Self::Value(_) => 1,
            Self::Cost { view, .. } => 2 + 2 * view.len() as u64,
            Self::Threshold { view, .. } => 1 + 2 * view.len() as u64,
            Self::Terminate(view) => 2 * view.len() as u64,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Value(value) => write!(line, "value {value}"),
            Self::Cost { lower, upper, .. } => write!(line, "cost {lower} to {upper}"),
            Self::Threshold { threshold, .. } => write!(line, "threshold {threshold}"),
            Self::Terminate(_) => write!(line, "terminate"),
        }
    }
}

/// What a child said about one own value, and the view that this holds for.
#[derive(Clone)]
struct Report {
    lower: i64,
    upper: i64,
    threshold: i64,
    view: View,
}

impl Report {
    fn new() -> Self {
        Self { lower: 0, upper: UNBOUNDED, threshold: 0, view: View::new() }
    }
}

/// A constraint as its lowest variable sees it: costs, own stride, the others with their strides.
type Part = (Vec<i64>, usize, Vec<(usize, usize)>);

struct Node {
    variable: usize,
    unary: Vec<i64>,
    /// Constraints that this variable is the lowest of.
    parts: Vec<Part>,
    parent: Option<usize>,
    children: Vec<usize>,
    above: Vec<usize>,
    below: Vec<usize>,
    view: View,
    /// By own value, then by child.
    reports: Vec<Vec<Report>>,
    threshold: i64,
    value: usize,
    said: Option<usize>,
    told_to_end: bool,
    ended: bool,
}

pub(super) fn solve(run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let orders = root_orders(&model.topology, 16);
    let trees = orders.iter().map(|roots| PseudoTree::new(&model.topology, roots));
    let depth = |tree: &PseudoTree| tree.depth.iter().copied().max();
    let Some(tree) = trees.min_by_key(depth) else {
        return Ok(Found {
            assignment: Vec::new(),
            cycle: 0,
            counts: coact_messaging::Counts::default(),
            status: Status::Finished,
            costs: Vec::new(),
            log: String::new(),
        });
    };
    let nodes = nodes(model, &tree);
    let mut simulator = Simulator::new(model.topology.clone(), run.settings(Pacing::Rounds), nodes)?;
    let status = loop {
        if !simulator.step()? {
            break Status::Finished;
        }
        let progress = Progress { cycle: simulator.time(), messages: simulator.counts().sent, cost: None };
        if progress.messages >= run.options.max_messages {
            break Status::Stopped;
        }
        if !(run.watch)(&progress) {
            break Status::Timeout;
        }
    };
    let (counts, log, cycle) = (simulator.counts(), simulator.take_log(), simulator.time());
    let assignment = simulator.agents().map(|node| node.value).collect();
    Ok(Found { assignment, cycle, counts, status, costs: Vec::new(), log })
}

fn nodes(model: &Model, tree: &PseudoTree) -> Vec<Node> {
    let costs = model.factors.iter().flat_map(|f| f.table.iter().map(|cost| cost - f.least));
    let own = model.unary.iter().flat_map(|own| {
        let least = own.iter().copied().fold(f64::INFINITY, f64::min);
        own.iter().map(move |cost| cost - least)
    });
    let greatest = costs.chain(own).fold(0.0, f64::max);
    let scale = if greatest > 0.0 { (1_u64 << 40) as f64 / greatest } else { 1.0 };
    let whole = |cost: f64, least: f64| ((cost - least) * scale).round() as i64;
    let node = |v: usize| {
        let least = model.unary[v].iter().copied().fold(f64::INFINITY, f64::min);
        let (above, below) =
            model.topology.neighbors(v).iter().partition(|&&w| tree.depth[w] < tree.depth[v]);
        Node {
            variable: v,
            unary: model.unary[v].iter().map(|&cost| whole(cost, least)).collect(),
            parts: Vec::new(),
            parent: tree.parent[v],
            children: tree.children[v].clone(),
            above,
            below,
            view: View::new(),
            reports: vec![vec![Report::new(); tree.children[v].len()]; model.sizes[v]],
            threshold: 0,
            value: 0,
            said: None,
            told_to_end: false,
            ended: false,
        }
    };
    let mut nodes: Vec<Node> = (0..model.n_variables()).map(node).collect();
    for factor in &model.factors {
        let part = |factor: &Factor, lowest: usize| -> Part {
            let strides = || factor.scope.iter().copied().zip(factor.strides.iter().copied());
            let own = strides().find(|&(v, _)| v == lowest).map_or(0, |(_, stride)| stride);
            let table = factor.table.iter().map(|&cost| whole(cost, factor.least)).collect();
            (table, own, strides().filter(|&(v, _)| v != lowest).collect())
        };
        if let Some(&lowest) = factor.scope.iter().max_by_key(|&&v| tree.depth[v]) {
            nodes[lowest].parts.push(part(factor, lowest));
        }
    }
    nodes
}

impl Node {
    /// The cost of an own value with the constraints above, under the current view.
    fn own_cost(&self, value: usize) -> i64 {
        let parts = self.parts.iter().map(|(table, own, others)| {
            let start: usize = others.iter().map(|(v, stride)| self.view[v] * stride).sum();
            table[start + value * own]
        });
        self.unary[value] + parts.sum::<i64>()
    }

    fn lower(&self, value: usize) -> i64 {
        self.own_cost(value) + self.reports[value].iter().map(|report| report.lower).sum::<i64>()
    }

    fn upper(&self, value: usize) -> i64 {
        let below = self.reports[value].iter().map(|report| report.upper);
        below.fold(self.own_cost(value), |sum, upper| sum.saturating_add(upper).min(UNBOUNDED))
    }

    /// The value with the least bound, the current one if it is among them.
    fn least(&self, bound: impl Fn(usize) -> i64) -> (i64, usize) {
        let bounds: Vec<i64> = (0..self.unary.len()).map(bound).collect();
        let least = bounds.iter().copied().min().unwrap_or(0);
        if bounds[self.value] == least {
            return (least, self.value);
        }
        (least, bounds.iter().position(|&bound| bound == least).unwrap_or(0))
    }

    /// Whether two views do not contradict each other.
    fn compatible(a: &View, b: &View) -> bool {
        a.iter().all(|(variable, value)| b.get(variable).is_none_or(|other| other == value))
    }

    /// Forgets reports that hold for other values above.
    fn forget_stale(&mut self) {
        for report in self.reports.iter_mut().flatten() {
            if !Self::compatible(&report.view, &self.view) {
                *report = Report::new();
            }
        }
    }

    fn knows_all_above(&self) -> bool {
        self.above.iter().all(|v| self.view.contains_key(v))
    }

    fn take_cost(&mut self, from: usize, mut view: View, lower: i64, upper: i64) {
        let Some(child) = self.children.iter().position(|&child| child == from) else { return };
        let own = view.remove(&self.variable);
        if !self.told_to_end {
            let news = view.iter().filter(|(v, _)| !self.above.contains(v));
            let news: Vec<(usize, usize)> = news.map(|(&v, &value)| (v, value)).collect();
            self.view.extend(news);
            self.forget_stale();
        }
        if let Some(value) = own.filter(|_| Self::compatible(&view, &self.view)) {
            let report = &mut self.reports[value][child];
            (report.lower, report.upper, report.view) = (lower, upper, view);
            report.threshold = report.threshold.clamp(lower, upper);
        }
    }

    /// Shares the threshold among the children at the current value.
    fn allocate(&mut self) {
        let value = self.value;
        let own = self.own_cost(value);
        let granted: i64 = self.reports[value].iter().map(|report| report.threshold).sum();
        let mut missing = self.threshold - own - granted;
        for report in &mut self.reports[value] {
            let step = if missing > 0 {
                missing.min(report.upper - report.threshold)
            } else {
                missing.max(report.lower - report.threshold)
            };
            report.threshold += step;
            missing -= step;
        }
    }

    fn act(&mut self, context: &mut Context<'_, Mail>) {
        let (lower, best_lower) = self.least(|value| self.lower(value));
        let (upper, best_upper) = self.least(|value| self.upper(value));
        self.threshold = self.threshold.max(lower).min(upper);
        if self.threshold == upper {
            self.value = best_upper;
        } else if self.lower(self.value) > self.threshold {
            self.value = best_lower;
        }
        if self.said != Some(self.value) {
            self.said = Some(self.value);
            for &to in &self.below {
                context.send(to, Mail::Value(self.value));
            }
        }
        self.allocate();
        let view = Arc::new(self.view.clone());
        for (&child, report) in self.children.iter().zip(&self.reports[self.value]) {
            context.send(child, Mail::Threshold { view: view.clone(), threshold: report.threshold });
        }
        if self.threshold == upper && (self.told_to_end || self.parent.is_none()) {
            let mut all = self.view.clone();
            all.insert(self.variable, self.value);
            let all = Arc::new(all);
            self.children.iter().for_each(|&child| context.send(child, Mail::Terminate(all.clone())));
            self.ended = true;
        }
        if let Some(parent) = self.parent {
            context.send(parent, Mail::Cost { view, lower, upper });
        }
    }
}

impl Agent for Node {
    type Message = Mail;

    fn on_message(&mut self, from: usize, message: Mail, _context: &mut Context<'_, Mail>) {
        if self.ended {
            return;
        }
        match message {
            Mail::Value(value) if !self.told_to_end => {
                self.view.insert(from, value);
                self.forget_stale();
            }
            Mail::Value(_) => {}
            Mail::Cost { view, lower, upper } => self.take_cost(from, (*view).clone(), lower, upper),
            Mail::Threshold { view, threshold } => {
                // What the parent knows beside this agent's own view is no contradiction.
                if Self::compatible(&view, &self.view) {
                    self.threshold = threshold;
                }
            }
            Mail::Terminate(view) => {
                self.told_to_end = true;
                self.view.extend(view.iter().map(|(&v, &value)| (v, value)));
                self.forget_stale();
            }
        }
    }

    fn on_round(&mut self, context: &mut Context<'_, Mail>) {
        if !self.ended && self.knows_all_above() {
            self.act(context);
        }
    }

    fn is_idle(&self) -> bool {
        self.ended
    }
}
