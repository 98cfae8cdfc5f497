//! What robots offer for tasks: the common ground of greedy methods, auctions and consensus. An offer is a number
//! above 0; the highest wins. Not here: who collects offers and who decides.

use crate::matrix::sum;
use crate::team::{Goal, Paths, Team, length};
use crate::{Error, Result};

/// What an agent bids for a task, and where in its path it would do it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Position in the path.
    pub at: usize,
    /// The bid, above 0.
    pub bid: f64,
}

/// Something that agents can bid on, one task after the other.
pub trait Bids: Sync {
    /// Number of agents.
    fn n_agents(&self) -> usize;

    /// Number of tasks.
    fn n_tasks(&self) -> usize;

    /// Most tasks of an agent.
    fn capacity(&self, agent: usize) -> usize;

    /// The best offer of an agent with `path` for one more task, or `None` if it wants none of it. `starts` holds
    /// what is known of other tasks, for those that wait for them.
    fn offer(&self, agent: usize, path: &[usize], task: usize, starts: &[Option<f64>]) -> Option<Offer>;

    /// Start of a task that has just been put at the end of a path, where tasks wait for each other.
    fn start_of_last(&self, _agent: usize, _path: &[usize], _starts: &[Option<f64>]) -> Option<f64> {
        None
    }

    /// Whether tasks of one agent wait for tasks of another, which agents that decide for themselves cannot know.
    fn is_coupled(&self) -> bool {
        false
    }
}

/// Scores that add up: `score[agent][task]`, whatever else the agent does.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreTable {
    n_agents: usize,
    n_tasks: usize,
    scores: Vec<f64>,
    capacities: Vec<usize>,
}

impl ScoreTable {
    /// Scores row-major, `[n_agents, n_tasks]`; only those above 0 are ever taken. One capacity an agent.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Cost`] for scores that are not finite.
    pub fn new(n_agents: usize, n_tasks: usize, scores: Vec<f64>, capacities: Vec<usize>) -> Result<Self> {
        if n_agents.checked_mul(n_tasks) != Some(scores.len()) {
            return Err(Error::Shape { n_values: scores.len(), n_rows: n_agents, n_cols: n_tasks });
        }
        if capacities.len() != n_agents {
            return Err(Error::invalid(format!("{} capacities for {n_agents} agents", capacities.len())));
        }
        if let Some(at) = scores.iter().position(|s| s.is_nan() || s.abs() > crate::matrix::MAX_COST) {
            return Err(Error::Cost { row: at / n_tasks, col: at % n_tasks, value: scores[at] });
        }
        Ok(Self { n_agents, n_tasks, scores, capacities })
    }

    /// The score of a pair.
    ///
    /// # Panics
    /// If there is no such pair.
    pub fn score(&self, agent: usize, task: usize) -> f64 {
        self.scores[agent * self.n_tasks + task]
    }

    /// Sum of the scores of all pairs.
    pub fn total(&self, paths: &[Vec<usize>]) -> f64 {
        sum(paths.iter().enumerate().flat_map(|(a, path)| path.iter().map(move |&t| self.score(a, t))))
    }

    /// The allocation of the greatest total, by assignment of tasks to copies of agents, one a unit of capacity.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if agents with their capacities times tasks exceed 2^26 pairs.
    pub fn optimum(&self) -> Result<Paths> {
        let owners: Vec<usize> = (0..self.n_agents)
            .flat_map(|a| std::iter::repeat_n(a, self.capacities[a].min(self.n_tasks)))
            .collect();
        let n_pairs = owners.len().saturating_mul(self.n_tasks);
        if n_pairs > 1 << 26 {
            let what = "the optimum of a table of scores".to_string();
            let advice = "lower capacities or use greedy";
            return Err(Error::TooLarge { what, needed: n_pairs as u64, allowed: 1 << 26, advice });
        }
        // What is not worth taking counts 0, and is dropped afterwards.
        let values = owners.iter().flat_map(|&a| (0..self.n_tasks).map(move |t| self.score(a, t).max(0.0)));
        let matrix = crate::CostMatrix::new(owners.len(), self.n_tasks, values.collect())?;
        let best = crate::assignment::jonker_volgenant(&matrix, crate::Objective::Maximize)?;
        let mut paths = vec![Vec::new(); self.n_agents];
        for (row, task) in best.pairs().filter(|&(row, task)| self.score(owners[row], task) > 0.0) {
            paths[owners[row]].push(task);
        }
        Ok(paths)
    }
}

impl Bids for ScoreTable {
    fn n_agents(&self) -> usize {
        self.n_agents
    }

    fn n_tasks(&self) -> usize {
        self.n_tasks
    }

    fn capacity(&self, agent: usize) -> usize {
        self.capacities[agent]
    }

    fn offer(&self, agent: usize, path: &[usize], task: usize, _: &[Option<f64>]) -> Option<Offer> {
        let bid = self.score(agent, task);
        (bid > 0.0).then_some(Offer { at: path.len(), bid })
    }
}

/// A path put to the test: where it ends and what it brings.
struct Tour {
    travel: f64,
    end: f64,
    reward: f64,
}

impl Team {
    /// Times and sums of a path with `task` put in at `at`; `None` if a task is too late.
    fn tour(&self, robot: usize, path: &[usize], insert: Option<(usize, usize)>) -> Option<Tour> {
        let mut tour = Tour { travel: 0.0, end: 0.0, reward: 0.0 };
        let mut from = None;
        let n = path.len() + usize::from(insert.is_some());
        for k in 0..n {
            let task = match insert {
                Some((at, task)) if k == at => task,
                Some((at, _)) if k > at => path[k - 1],
                _ => path[k],
            };
            let start = self.start(robot, from, tour.end, task, 0.0)?;
            tour.travel += self.distance(robot, from, task);
            tour.reward += self.worth(task, start);
            tour.end = start + self.tasks()[task].duration;
            from = Some(task);
        }
        Some(tour)
    }

    /// More than any sum of travel or any end of a path can be: what doing one more task is worth where as many
    /// as possible shall be done.
    pub(crate) fn worth_of_doing(&self) -> f64 {
        let positions =
            self.robots().iter().map(|r| r.position).chain(self.tasks().iter().map(|t| t.position));
        let mut low = [f64::INFINITY; 2];
        let mut high = [f64::NEG_INFINITY; 2];
        for p in positions {
            (0..2).for_each(|k| (low[k], high[k]) = (low[k].min(p[k]), high[k].max(p[k])));
        }
        let diagonal = if low[0] > high[0] { 0.0 } else { length(high[0] - low[0], high[1] - low[1]) };
        let n = self.tasks().len() as f64;
        match self.goal() {
            Goal::Reward { .. } => 0.0,
            Goal::Travel => 1.0 + 2.0 * (n + 1.0) * diagonal,
            Goal::Makespan => {
                let slowest = self.robots().iter().map(|r| r.speed).fold(f64::INFINITY, f64::min).max(1e-9);
                let work: f64 = self.tasks().iter().map(|t| t.duration).sum();
                let wait = self.tasks().iter().map(|t| t.earliest).fold(0.0, f64::max);
                1.0 + 2.0 * ((n + 1.0) * diagonal / slowest + work + wait)
            }
        }
    }

    fn bid(&self, before: &Tour, after: &Tour) -> f64 {
        match self.goal() {
            Goal::Travel => self.base - (after.travel - before.travel),
            Goal::Makespan => self.base - after.end,
            Goal::Reward { .. } => after.reward - before.reward,
        }
    }

    /// An offer for the end of the path, for tasks that may wait for others.
    fn offer_last(&self, robot: usize, path: &[usize], task: usize, starts: &[Option<f64>]) -> Option<Offer> {
        let release = self.release(task, starts)?;
        let from = path.last().copied();
        let time = match from {
            Some(last) => starts[last]? + self.tasks()[last].duration,
            None => 0.0,
        };
        let start = self.start(robot, from, time, task, release)?;
        let bid = match self.goal() {
            Goal::Travel => self.base - self.distance(robot, from, task),
            Goal::Makespan => self.base - (start + self.tasks()[task].duration),
            Goal::Reward { .. } => self.worth(task, start),
        };
        (bid > 0.0).then_some(Offer { at: path.len(), bid })
    }
}

impl Bids for Team {
    fn n_agents(&self) -> usize {
        self.robots().len()
    }

    fn n_tasks(&self) -> usize {
        self.tasks().len()
    }

    fn capacity(&self, agent: usize) -> usize {
        self.robots()[agent].capacity
    }

    fn offer(&self, agent: usize, path: &[usize], task: usize, starts: &[Option<f64>]) -> Option<Offer> {
        if !self.is_able(agent, task) {
            return None;
        }
        if self.is_coupled() {
            return self.offer_last(agent, path, task, starts);
        }
        let before = self.tour(agent, path, None)?;
        let mut best: Option<Offer> = None;
        for at in 0..=path.len() {
            let Some(after) = self.tour(agent, path, Some((at, task))) else { continue };
            let bid = self.bid(&before, &after);
            if bid > best.map_or(0.0, |b| b.bid) {
                best = Some(Offer { at, bid });
            }
        }
        best
    }

    fn start_of_last(&self, agent: usize, path: &[usize], starts: &[Option<f64>]) -> Option<f64> {
        let (&task, rest) = path.split_last()?;
        let from = rest.last().copied();
        let time = match from {
            Some(last) => starts[last]? + self.tasks()[last].duration,
            None => 0.0,
        };
        self.start(agent, from, time, task, self.release(task, starts)?)
    }

    fn is_coupled(&self) -> bool {
        self.has_precedence()
    }
}
