//! What one more task brings: the rewards of an allocation problem, on one scale for all kinds of problems. Not here:
//! who takes turns, what agents see.

use std::sync::Arc;

use crate::bids::{Bids, ScoreTable};
use crate::input::Problem;
use crate::matrix::{CostMatrix, Objective};
use crate::methods::Allocation;
use crate::team::{Goal, Team, length};
use crate::{Error, Result};

/// Most pairs of agents and tasks of an environment: every agent sees every task.
const MAX_PAIRS: usize = 1 << 14;

/// A task as it would be for an agent that took it now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prospect {
    /// When it would start; 0 for tables.
    pub start: f64,
    /// What decides between agents that want the same task: lower goes first.
    pub rank: f64,
    /// How good it is beside other tasks, from 0 to 1; for observations.
    pub appeal: f64,
}

/// A problem, checked and scaled.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Robots and tasks in the plane.
    Team(Arc<Course>),
    /// Pairs that pay by themselves.
    Table(Arc<Table>),
}

/// A team and the lengths that its rewards and observations are measured in.
#[derive(Debug)]
pub(super) struct Course {
    pub team: Team,
    /// Lower left corner of the box around all positions.
    pub corner: [f64; 2],
    /// Diagonal of that box, at least a tiny length.
    pub diagonal: f64,
    /// No plan without idle time ends later.
    pub horizon: f64,
    /// Sum of all rewards, and the greatest.
    rewards: (f64, f64),
}

/// Pairs of agents and tasks, `[agent][task]`.
#[derive(Debug)]
pub(super) struct Table {
    n_tasks: usize,
    /// What a pair adds to the value; minus infinity where it is not allowed.
    gains: Vec<f64>,
    /// From 0 to 1.
    appeals: Vec<f64>,
    capacities: Vec<usize>,
}

impl Work {
    pub fn new(problem: &Problem) -> Result<Self> {
        let work = match problem {
            Problem::Team(team) => Self::Team(Arc::new(Course::new(team))),
            Problem::Scores(scores) => Self::Table(Arc::new(Table::of_scores(scores))),
            Problem::Costs { costs, objective } => Self::Table(Arc::new(Table::of_costs(costs, *objective))),
            other => {
                let text =
                    format!("{} is no environment; use a team, scores or a matrix of costs", other.kind());
                return Err(Error::invalid(text));
            }
        };
        let (n_agents, n_tasks) = (work.n_agents(), work.n_tasks());
        if n_agents == 0 || n_tasks == 0 || n_agents.saturating_mul(n_tasks) > MAX_PAIRS {
            let text = format!(
                "{n_agents} agents and {n_tasks} tasks; an environment has 1 to {MAX_PAIRS} pairs of both"
            );
            return Err(Error::invalid(text));
        }
        Ok(work)
    }

    pub fn n_agents(&self) -> usize {
        match self {
            Self::Team(course) => course.team.robots().len(),
            Self::Table(table) => table.capacities.len(),
        }
    }

    pub fn n_tasks(&self) -> usize {
        match self {
            Self::Team(course) => course.team.tasks().len(),
            Self::Table(table) => table.n_tasks,
        }
    }

    /// Most tasks that an agent can take.
    pub fn capacity(&self, agent: usize) -> usize {
        let most = match self {
            Self::Team(course) => course.team.capacity(agent),
            Self::Table(table) => table.capacities[agent],
        };
        most.min(self.n_tasks())
    }

    /// The task for an agent whose last task is `from` and which is free at `time`; `None` if it cannot take it.
    pub fn prospect(
        &self,
        agent: usize,
        from: Option<usize>,
        time: f64,
        task: usize,
        starts: &[Option<f64>],
    ) -> Option<Prospect> {
        match self {
            Self::Team(course) => {
                if !course.team.is_able(agent, task) {
                    return None;
                }
                let release = course.team.release(task, starts)?;
                let start = course.team.start(agent, from, time, task, release)?;
                Some(Prospect { start, rank: start, appeal: course.appeal(agent, from, task, start) })
            }
            Self::Table(table) => {
                let at = agent * table.n_tasks + task;
                let gain = table.gains[at];
                let prospect = Prospect { start: 0.0, rank: -gain, appeal: table.appeals[at] };
                (gain > f64::NEG_INFINITY).then_some(prospect)
            }
        }
    }

    /// What taking the task adds to the value of a plan that ends at `makespan` so far.
    pub fn gain(&self, agent: usize, from: Option<usize>, task: usize, start: f64, makespan: f64) -> f64 {
        match self {
            Self::Team(course) => course.gain(agent, from, task, start, makespan),
            Self::Table(table) => table.gains[agent * table.n_tasks + task],
        }
    }

    /// When an agent is free after a task that starts then.
    pub fn end(&self, task: usize, start: f64) -> f64 {
        match self {
            Self::Team(course) => start + course.team.tasks()[task].duration,
            Self::Table(_) => 0.0,
        }
    }

    /// The value of an allocation, as the return of an episode that builds it.
    pub fn value(&self, allocation: &Allocation) -> Result<f64> {
        let paths = match allocation {
            Allocation::Paths(paths) => paths.clone(),
            Allocation::Assignment(found) => {
                found.row_to_col.iter().map(|col| col.iter().copied().collect()).collect()
            }
            _ => return Err(Error::invalid("this answer says nothing about who does which task")),
        };
        match self {
            Self::Team(course) => course.value(&paths),
            Self::Table(table) => table.value(&paths),
        }
    }
}

impl Course {
    fn new(team: &Team) -> Self {
        let positions =
            || team.robots().iter().map(|r| r.position).chain(team.tasks().iter().map(|t| t.position));
        let fold = |k: usize, f: fn(f64, f64) -> f64, from: f64| positions().map(|p| p[k]).fold(from, f);
        let low = [0, 1].map(|k| fold(k, f64::min, f64::INFINITY));
        let high = [0, 1].map(|k| fold(k, f64::max, f64::NEG_INFINITY));
        let diagonal = length(high[0] - low[0], high[1] - low[1]);
        let diagonal = if diagonal > 1e-9 { diagonal } else { 1e-9 };
        let slowest = team.robots().iter().map(|r| r.speed).fold(f64::INFINITY, f64::min);
        let work: f64 = team.tasks().iter().map(|t| t.duration).sum();
        let wait = team.tasks().iter().map(|t| t.earliest).fold(0.0, f64::max);
        let horizon = team.tasks().len() as f64 * diagonal / slowest + work + wait;
        let rewards = team.tasks().iter().map(|t| t.reward);
        let rewards = (rewards.clone().sum(), rewards.fold(0.0, f64::max));
        Self { team: team.clone(), corner: low, diagonal, horizon, rewards }
    }

    fn gain(&self, robot: usize, from: Option<usize>, task: usize, start: f64, makespan: f64) -> f64 {
        match self.team.goal() {
            Goal::Travel => 1.0 - self.team.distance(robot, from, task) / self.most_travel(),
            Goal::Makespan => {
                let end = start + self.team.tasks()[task].duration;
                1.0 - (end - makespan).max(0.0) / self.horizon
            }
            Goal::Reward { .. } if self.rewards.0 > 0.0 => self.team.worth(task, start) / self.rewards.0,
            Goal::Reward { .. } => 0.0,
        }
    }

    fn most_travel(&self) -> f64 {
        self.team.tasks().len() as f64 * self.diagonal
    }

    fn appeal(&self, robot: usize, from: Option<usize>, task: usize, start: f64) -> f64 {
        let appeal = match self.team.goal() {
            Goal::Travel => 1.0 - self.team.distance(robot, from, task) / self.diagonal,
            Goal::Makespan => 1.0 - (start + self.team.tasks()[task].duration) / self.horizon,
            Goal::Reward { .. } if self.rewards.1 > 0.0 => self.team.worth(task, start) / self.rewards.1,
            Goal::Reward { .. } => 0.0,
        };
        appeal.clamp(0.0, 1.0)
    }

    fn value(&self, paths: &[Vec<usize>]) -> Result<f64> {
        let found = self.team.evaluate(paths)?;
        let n = found.n_assigned as f64;
        Ok(match self.team.goal() {
            Goal::Travel => n - found.travel / self.most_travel(),
            Goal::Makespan => n - found.makespan / self.horizon,
            Goal::Reward { .. } if self.rewards.0 > 0.0 => found.reward / self.rewards.0,
            Goal::Reward { .. } => 0.0,
        })
    }
}

impl Table {
    /// A task pays its share of the sum of what each task could pay at most.
    fn of_scores(scores: &ScoreTable) -> Self {
        let (n_agents, n_tasks) = (scores.n_agents(), scores.n_tasks());
        let best = |task: usize| (0..n_agents).map(|a| scores.score(a, task)).fold(0.0, f64::max);
        let sum: f64 = (0..n_tasks).map(best).sum();
        let most = (0..n_tasks).map(best).fold(0.0, f64::max);
        let pairs = || (0..n_agents).flat_map(|a| (0..n_tasks).map(move |t| scores.score(a, t)));
        let gain = |score: f64| if score > 0.0 { score / sum } else { f64::NEG_INFINITY };
        let appeal = |score: f64| if score > 0.0 { score / most } else { 0.0 };
        Self {
            n_tasks,
            gains: pairs().map(gain).collect(),
            appeals: pairs().map(appeal).collect(),
            capacities: (0..n_agents).map(|a| scores.capacity(a)).collect(),
        }
    }

    /// A pair pays 1 less its cost above the least, as a share of what all pairs together could cost above it.
    fn of_costs(costs: &CostMatrix, objective: Objective) -> Self {
        let (n_rows, n_cols) = (costs.n_rows(), costs.n_cols());
        let pairs = || costs.costs().iter().map(|cost| objective.sign() * cost);
        let finite = || pairs().filter(|cost| cost.is_finite());
        let (low, high) =
            (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let range = if high > low { high - low } else { 1.0 };
        let n_pairs = n_rows.min(n_cols) as f64;
        let gain =
            |c: f64| if c.is_finite() { 1.0 - (c - low) / (range * n_pairs) } else { f64::NEG_INFINITY };
        let appeal = |c: f64| if c.is_finite() { 1.0 - (c - low) / range } else { 0.0 };
        Self {
            n_tasks: n_cols,
            gains: pairs().map(gain).collect(),
            appeals: pairs().map(appeal).collect(),
            capacities: vec![1; n_rows],
        }
    }

    fn value(&self, paths: &[Vec<usize>]) -> Result<f64> {
        if paths.len() != self.capacities.len() || paths.iter().flatten().any(|&task| task >= self.n_tasks) {
            return Err(Error::invalid("this answer belongs to another problem"));
        }
        let pairs = paths.iter().enumerate().flat_map(|(a, path)| path.iter().map(move |&task| (a, task)));
        Ok(pairs.map(|(agent, task)| self.gains[agent * self.n_tasks + task]).sum())
    }
}
