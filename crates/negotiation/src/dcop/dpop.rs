//! DPOP: dynamic programming over a pseudo-tree (Petcu and Faltings 2005). From the leaves up, each agent sends its
//! parent a table: the least cost of everything below for each combination of values above. From the root down,
//! each agent sends its children the values of their separators.
//!
//! Memory is known before it is taken: several trees are compared, the one with the smallest tables is used, and a
//! problem whose tables do not fit is refused with the number of bytes.
//! Sizes of messages are counted as pyDCOP does: entries of a table, two for each value sent down.

use std::fmt;
use std::sync::Arc;

use coact_messaging::{Agent, Context, Message, Topology};

use super::model::{Factor, Model};
use super::options::Options;
use super::problem::Problem;
use super::pseudotree::{PseudoTree, root_orders};
use super::solve::{Found, Run};
use crate::{Error, Result};

/// Trees that are compared.
const N_TREES: usize = 16;

/// What DPOP would need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DpopPlan {
    /// The greatest number of variables in a separator.
    pub induced_width: usize,
    /// Entries of the largest table that is sent, saturating.
    pub largest_table: u64,
    /// Bytes of all tables, with the choices that agents keep, saturating.
    pub bytes: u64,
    /// Messages: two for each variable with a parent.
    pub messages: u64,
    /// How many trees were compared.
    pub n_trees: usize,
}

/// What DPOP would need for a problem.
///
/// # Errors
/// [`Error::Invalid`] for a problem that does not fit together.
pub fn plan(problem: &Problem) -> Result<DpopPlan> {
    Ok(best_tree(&Model::new(problem, 0, false)?).1)
}

/// Bytes of an entry: its cost, and the choice that goes with it.
const ENTRY_BYTES: u64 = 12;

fn best_tree(model: &Model) -> (PseudoTree, DpopPlan) {
    let orders = root_orders(&model.topology, N_TREES);
    let n_trees = orders.len();
    let trees = orders.iter().map(|roots| PseudoTree::new(&model.topology, roots));
    let keyed = trees.map(|tree| (tree.table_entries(&model.sizes), tree));
    let best = keyed.reduce(|best, next| if next.0 < best.0 { next } else { best });
    let ((entries, largest), tree) = best.unwrap_or_else(|| ((0, 0), PseudoTree::new(&model.topology, &[])));
    let plan = DpopPlan {
        induced_width: tree.induced_width(),
        largest_table: largest,
        bytes: entries.saturating_mul(ENTRY_BYTES),
        messages: 2 * tree.parent.iter().flatten().count() as u64,
        n_trees,
    };
    (tree, plan)
}

#[derive(Clone)]
enum Mail {
    /// Least costs by values of the scope.
    Util(Arc<Factor>),
    /// Values of the separator of the receiver, in its order.
    Values(Vec<u32>),
}

impl Message for Mail {
    fn n_bytes(&self) -> u64 {
        match self {
            Self::Util(factor) => 8 * factor.table.len() as u64,
            Self::Values(values) => 4 * values.len() as u64,
        }
    }

    fn n_values(&self) -> u64 {
        match self {
            Self::Util(factor) => factor.table.len() as u64,
            Self::Values(values) => 2 * values.len() as u64,
        }
    }

    fn describe(&self, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Util(factor) => write!(line, "util over {:?}, {} costs", factor.scope, factor.table.len()),
            Self::Values(values) => write!(line, "values {values:?}"),
        }
    }
}

struct Node {
    /// Own number.
    variable: usize,
    size: usize,
    unary: Vec<f64>,
    /// Constraints whose other variables are all above, then tables of children.
    parts: Vec<Arc<Factor>>,
    n_waiting: usize,
    parent: Option<usize>,
    /// Children with their separators.
    children: Vec<(usize, Vec<usize>)>,
    separator: Vec<usize>,
    separator_sizes: Vec<usize>,
    /// The best own value by values of the separator.
    choices: Vec<u32>,
    value: Option<usize>,
}

pub(super) fn solve(mut run: Run<'_>) -> Result<Found> {
    let model = run.model;
    let (tree, plan) = best_tree(model);
    check_memory(&plan, run.options)?;
    let edges: Vec<(usize, usize)> =
        tree.parent.iter().enumerate().filter_map(|(v, parent)| Some((v, (*parent)?))).collect();
    let mut parts: Vec<Vec<Arc<Factor>>> = vec![Vec::new(); model.n_variables()];
    for factor in &model.factors {
        // The lowest variable of a constraint knows the values of all others from above.
        if let Some(&lowest) = factor.scope.iter().max_by_key(|&&v| tree.depth[v]) {
            parts[lowest].push(factor.clone());
        }
    }
    let nodes = parts.into_iter().enumerate().map(|(v, parts)| Node {
        variable: v,
        size: model.sizes[v],
        unary: model.unary[v].clone(),
        parts,
        n_waiting: tree.children[v].len(),
        parent: tree.parent[v],
        children: tree.children[v].iter().map(|&child| (child, tree.separators[child].clone())).collect(),
        separator_sizes: tree.separators[v].iter().map(|&w| model.sizes[w]).collect(),
        separator: tree.separators[v].clone(),
        choices: Vec::new(),
        value: None,
    });
    let nodes = nodes.collect();
    let (status, mut simulator) = run.events(Topology::from_edges(model.n_variables(), &edges)?, nodes)?;
    let (counts, log) = (simulator.counts(), simulator.take_log());
    let assignment = simulator.agents().map(|node| node.value.unwrap_or(0)).collect();
    Ok(Found { assignment, cycle: 1, counts, status, costs: Vec::new(), log })
}

fn check_memory(plan: &DpopPlan, options: &Options) -> Result<()> {
    if plan.bytes > options.memory_limit_bytes {
        return Err(Error::Memory {
            induced_width: plan.induced_width,
            n_tried: plan.n_trees,
            need_bytes: plan.bytes,
            limit_bytes: options.memory_limit_bytes,
        });
    }
    Ok(())
}

impl Node {
    /// Adds up all parts for each combination above, and keeps the least over the own values. The joint table is
    /// never written out.
    fn combine(&mut self) -> Vec<f64> {
        // For each part: stride of the own variable, and of each variable of the separator (0 if absent).
        let strides: Vec<(usize, Vec<usize>)> = self
            .parts
            .iter()
            .map(|part| {
                let stride =
                    |v: usize| part.scope.iter().position(|&w| w == v).map_or(0, |i| part.strides[i]);
                (stride(self.variable), self.separator.iter().map(|&v| stride(v)).collect())
            })
            .collect();
        let n: usize = self.separator_sizes.iter().product();
        let mut least = Vec::with_capacity(n);
        self.choices = Vec::with_capacity(n);
        let mut places = vec![0; self.separator.len()];
        let mut offsets = vec![0; self.parts.len()];
        let mut sums = vec![0.0; self.size];
        for _ in 0..n {
            sums.copy_from_slice(&self.unary);
            for ((part, (own, _)), &offset) in self.parts.iter().zip(&strides).zip(&offsets) {
                if *own == 1 {
                    let row = &part.table[offset..offset + self.size];
                    sums.iter_mut().zip(row).for_each(|(sum, cost)| *sum += cost);
                } else {
                    let row = part.table[offset..].iter().step_by((*own).max(1));
                    sums.iter_mut().zip(row).for_each(|(sum, cost)| *sum += cost);
                }
            }
            let mut best = 0;
            for (value, sum) in sums.iter().enumerate() {
                if *sum < sums[best] {
                    best = value;
                }
            }
            least.push(sums[best]);
            self.choices.push(best as u32);
            for (i, place) in places.iter_mut().enumerate().rev() {
                *place += 1;
                offsets.iter_mut().zip(&strides).for_each(|(offset, (_, s))| *offset += s[i]);
                if *place < self.separator_sizes[i] {
                    break;
                }
                offsets.iter_mut().zip(&strides).for_each(|(offset, (_, s))| *offset -= s[i] * *place);
                *place = 0;
            }
        }
        least
    }

    fn rise(&mut self, context: &mut Context<'_, Mail>) {
        let least = self.combine();
        self.parts.clear();
        match self.parent {
            Some(parent) => {
                let factor = Factor::new(self.separator.clone(), self.separator_sizes.clone(), least);
                context.send(parent, Mail::Util(Arc::new(factor)));
            }
            None => self.choose(&[], context),
        }
    }

    /// Takes the best value for the values above and tells the children.
    fn choose(&mut self, above: &[u32], context: &mut Context<'_, Mail>) {
        let place = above.iter().zip(&self.separator_sizes).fold(0, |place, (&v, n)| place * n + v as usize);
        let value = self.choices[place];
        self.value = Some(value as usize);
        for (child, separator) in &self.children {
            // What a child depends on above is known here: it is this variable, or in the own separator.
            let known = |v: &usize| match self.separator.binary_search(v) {
                Ok(i) => above[i],
                Err(_) => value,
            };
            context.send(*child, Mail::Values(separator.iter().map(known).collect()));
        }
    }
}

impl Agent for Node {
    type Message = Mail;

    fn on_start(&mut self, context: &mut Context<'_, Mail>) {
        if self.n_waiting == 0 {
            self.rise(context);
        }
    }

    fn on_message(&mut self, _from: usize, message: Mail, context: &mut Context<'_, Mail>) {
        match message {
            Mail::Util(factor) => {
                self.parts.push(factor);
                self.n_waiting -= 1;
                if self.n_waiting == 0 {
                    self.rise(context);
                }
            }
            Mail::Values(values) => self.choose(&values, context),
        }
    }
}
