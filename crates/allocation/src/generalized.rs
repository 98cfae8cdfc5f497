//! Generalized assignment, class ID[MT-SR-IA]: every task goes to one agent, tasks of an agent share its capacity, and
//! the total cost is least. Exact, by branch and bound over the tasks, those first whose second choice costs most; meant for tens of tasks.

use crate::{CostMatrix, Error, Result};

/// A plan and what proves it.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneralizedPlan {
    /// Agent of each task.
    pub agents: Vec<usize>,
    /// Sum of the costs.
    pub total: f64,
    /// Nodes of the search.
    pub n_nodes: u64,
}

/// Finds the cheapest plan. `costs` and `loads` are `[agent][task]`; a cost of infinity forbids a pair.
///
/// # Errors
/// [`Error::Invalid`] for shapes that differ, loads or capacities below 0, or if no plan fits;
/// [`Error::TooLarge`] after `max_nodes` nodes.
pub fn generalized_assignment(
    costs: &CostMatrix,
    loads: &CostMatrix,
    capacities: &[f64],
    max_nodes: u64,
) -> Result<GeneralizedPlan> {
    let (n_agents, n_tasks) = (costs.n_rows(), costs.n_cols());
    if (loads.n_rows(), loads.n_cols(), capacities.len()) != (n_agents, n_tasks, n_agents) {
        return Err(Error::invalid("costs, loads and capacities must be of the same agents and tasks"));
    }
    let is_load = |x: &f64| *x >= 0.0 && x.is_finite();
    if !loads.costs().iter().chain(capacities).all(is_load) {
        return Err(Error::invalid("loads and capacities must be finite and at least 0"));
    }
    let mut search = Search::new(costs, loads, capacities, max_nodes);
    search.extend(0, 0.0)?;
    match search.best {
        Some((total, by_rank)) => {
            let mut agents = vec![0; n_tasks];
            search.order.iter().zip(by_rank).for_each(|(&task, agent)| agents[task] = agent);
            Ok(GeneralizedPlan { agents, total, n_nodes: search.n_nodes })
        }
        None => Err(Error::invalid("no plan keeps within all capacities; raise one or drop a task")),
    }
}

struct Search<'a> {
    costs: &'a CostMatrix,
    loads: &'a CostMatrix,
    /// Tasks, those first whose second choice costs most.
    order: Vec<usize>,
    /// Least cost of all tasks from a rank on.
    rest: Vec<f64>,
    left: Vec<f64>,
    chosen: Vec<usize>,
    best: Option<(f64, Vec<usize>)>,
    n_nodes: u64,
    max_nodes: u64,
}

impl<'a> Search<'a> {
    fn new(costs: &'a CostMatrix, loads: &'a CostMatrix, capacities: &[f64], max_nodes: u64) -> Self {
        let n_tasks = costs.n_cols();
        let choices = |task: usize| {
            let mut all: Vec<f64> = (0..costs.n_rows()).map(|agent| costs.at(agent, task)).collect();
            all.sort_by(f64::total_cmp);
            let least = all.first().copied().unwrap_or(f64::INFINITY);
            (least, all.get(1).copied().unwrap_or(f64::INFINITY) - least)
        };
        let mut order: Vec<usize> = (0..n_tasks).collect();
        order.sort_by(|&a, &b| choices(b).1.total_cmp(&choices(a).1).then(a.cmp(&b)));
        let mut rest = vec![0.0; n_tasks + 1];
        for rank in (0..n_tasks).rev() {
            rest[rank] = rest[rank + 1] + choices(order[rank]).0;
        }
        let left = capacities.to_vec();
        Self { costs, loads, order, rest, left, chosen: Vec::new(), best: None, n_nodes: 0, max_nodes }
    }

    fn extend(&mut self, rank: usize, cost: f64) -> Result<()> {
        self.n_nodes += 1;
        if self.n_nodes > self.max_nodes {
            let (needed, allowed) = (self.n_nodes, self.max_nodes);
            let what = "generalized assignment, in nodes of its search".to_string();
            return Err(Error::TooLarge {
                what,
                needed,
                allowed,
                advice: "allow more nodes or split the tasks",
            });
        }
        let known = self.best.as_ref().map_or(f64::INFINITY, |best| best.0);
        let Some(&task) = self.order.get(rank) else {
            if cost < known {
                self.best = Some((cost, self.chosen.clone()));
            }
            return Ok(());
        };
        if cost + self.rest[rank] >= known || cost + self.bound(rank) >= known {
            return Ok(());
        }
        let mut agents: Vec<usize> = (0..self.left.len())
            .filter(|&a| self.loads.at(a, task) <= self.left[a] && self.costs.at(a, task).is_finite())
            .collect();
        agents.sort_by(|&a, &b| self.costs.at(a, task).total_cmp(&self.costs.at(b, task)).then(a.cmp(&b)));
        for agent in agents {
            let before = self.left[agent];
            self.left[agent] -= self.loads.at(agent, task);
            self.chosen.push(agent);
            self.extend(rank + 1, cost + self.costs.at(agent, task))?;
            self.chosen.pop();
            self.left[agent] = before;
        }
        Ok(())
    }

    /// Least cost of the tasks from `rank` on, each with an agent that still has room for it alone.
    fn bound(&self, rank: usize) -> f64 {
        let least = |&task: &usize| {
            let agents = (0..self.left.len()).filter(|&a| self.loads.at(a, task) <= self.left[a]);
            agents.map(|a| self.costs.at(a, task)).fold(f64::INFINITY, f64::min)
        };
        self.order[rank..].iter().map(least).sum()
    }
}
