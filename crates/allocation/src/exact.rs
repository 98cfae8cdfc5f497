//! The best plan of a small team. Robots whose tasks do not wait for each other are planned by dynamic programming:
//! the best path of each robot through each set of tasks, then the best split of the tasks. Tasks that wait for tasks
//! of other robots are planned by branch and bound over schedules in the order of their starts.

use crate::bids::Bids;
use crate::consensus::{Progress, Watch};
use crate::sequential::greedy;
use crate::team::{Goal, Paths, Team};
use crate::{Error, Result};

/// Most tasks for the dynamic program, whose time grows as `3^n`.
pub const MAX_TASKS: usize = 14;
/// Most nodes of a branch and bound.
pub const MAX_NODES: u64 = 20_000_000;

/// Finds a plan that no other surpasses.
///
/// # Errors
/// [`Error::TooLarge`] above [`MAX_TASKS`] tasks, or where branch and bound needs more than [`MAX_NODES`] nodes.
pub fn best_plan(team: &Team) -> Result<Paths> {
    best_plan_watched(team, &mut |_| ())
}

/// [`best_plan`], with somebody who looks on where branch and bound searches.
///
/// # Errors
/// As there.
pub fn best_plan_watched(team: &Team, watch: &mut Watch<'_>) -> Result<Paths> {
    if team.has_precedence() {
        return Search::run(team, watch);
    }
    let n = team.tasks().len();
    if n > MAX_TASKS {
        let what = "the best plan for that many tasks".to_string();
        let (needed, allowed) = (n as u64, MAX_TASKS as u64);
        return Err(Error::TooLarge { what, needed, allowed, advice: "use greedy, ssi or cbba" });
    }
    Ok(split(team, n))
}

/// What a plan or a part of it is worth: tasks done, where as many as possible shall be, then a sum or a time.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Worth {
    n_done: u32,
    score: f64,
}

impl Worth {
    const NOTHING: Self = Self { n_done: 0, score: 0.0 };

    fn with(self, other: Self, goal: Goal) -> Self {
        let score = match goal {
            Goal::Makespan => self.score.min(other.score),
            _ => self.score + other.score,
        };
        Self { n_done: self.n_done + other.n_done, score }
    }
}

/// A way through a set of tasks.
#[derive(Debug, Clone, Copy)]
struct Label {
    end: f64,
    score: f64,
    /// Task and label before this one.
    previous: Option<(usize, usize)>,
}

/// Labels of all sets of tasks (as bits) and last tasks for one robot.
struct Labels<'a> {
    team: &'a Team,
    robot: usize,
    n: usize,
    /// `lists[set * n + last]`.
    lists: Vec<Vec<Label>>,
    /// Whether a later end can ever hurt.
    time_matters: bool,
}

impl<'a> Labels<'a> {
    fn new(team: &'a Team, robot: usize) -> Self {
        let n = team.tasks().len();
        let timeless = match team.goal() {
            Goal::Travel => true,
            Goal::Makespan => false,
            Goal::Reward { discount } => discount == 1.0,
        };
        let time_matters = !timeless || team.tasks().iter().any(|task| task.latest < f64::INFINITY);
        let mut labels = Self { team, robot, n, lists: vec![Vec::new(); n << n], time_matters };
        labels.fill();
        labels
    }

    fn fill(&mut self) {
        let capacity = self.team.robots()[self.robot].capacity;
        if capacity == 0 {
            return;
        }
        for task in 0..self.n {
            self.extend(0, None, Label { end: 0.0, score: 0.0, previous: None }, task);
        }
        for set in 1..1_usize << self.n {
            if set.count_ones() as usize >= capacity {
                continue;
            }
            for last in (0..self.n).filter(|&t| set >> t & 1 == 1) {
                for k in 0..self.lists[set * self.n + last].len() {
                    let mut label = self.lists[set * self.n + last][k];
                    label.previous = Some((last, k));
                    for task in (0..self.n).filter(|&t| set >> t & 1 == 0) {
                        self.extend(set, Some(last), label, task);
                    }
                }
            }
        }
    }

    /// Adds the way on to `task`, unless another is as good; `label.previous` is already that of the new label.
    fn extend(&mut self, set: usize, last: Option<usize>, label: Label, task: usize) {
        if !self.team.is_able(self.robot, task) {
            return;
        }
        let Some(start) = self.team.start(self.robot, last, label.end, task, 0.0) else { return };
        let end = start + self.team.tasks()[task].duration;
        let score = match self.team.goal() {
            Goal::Travel => label.score - self.team.distance(self.robot, last, task),
            Goal::Makespan => -end,
            Goal::Reward { .. } => label.score + self.team.worth(task, start),
        };
        let time_matters = self.time_matters;
        let covers = |a: &Label, end: f64, score: f64| a.score >= score && (!time_matters || a.end <= end);
        let list = &mut self.lists[(set | 1 << task) * self.n + task];
        if list.iter().any(|old| covers(old, end, score)) {
            return;
        }
        let new = Label { end, score, previous: label.previous };
        list.retain(|old| !covers(&new, old.end, old.score));
        list.push(new);
    }

    /// The best way through a whole set, and where it ends.
    fn best(&self, set: usize) -> Option<(f64, usize, usize)> {
        let lasts = (0..self.n).filter(|&t| set >> t & 1 == 1);
        let labels = lasts.flat_map(|last| {
            let list = self.lists[set * self.n + last].iter().enumerate();
            list.map(move |(k, label)| (label.score, last, k))
        });
        labels.reduce(|a, b| if b.0 > a.0 { b } else { a })
    }

    fn path(&self, mut set: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = self.best(set).map(|(_, last, k)| (last, k));
        while let Some((task, k)) = at {
            path.push(task);
            at = self.lists[set * self.n + task][k].previous;
            set &= !(1 << task);
        }
        path.reverse();
        path
    }
}

/// The best split of all tasks among the robots, one robot after the other.
fn split(team: &Team, n: usize) -> Paths {
    let counts = !matches!(team.goal(), Goal::Reward { .. });
    let n_sets = 1_usize << n;
    let mut best = vec![Worth::NOTHING; n_sets];
    let mut chosen: Vec<Vec<usize>> = Vec::new();
    for robot in 0..team.robots().len() {
        let labels = Labels::new(team, robot);
        let worth: Vec<Option<Worth>> = (0..n_sets)
            .map(|set| {
                let n_done = if counts { set.count_ones() } else { 0 };
                labels.best(set).map(|(score, ..)| Worth { n_done, score })
            })
            .collect();
        let mut next = best.clone();
        let mut choice = vec![0; n_sets];
        for set in 1..n_sets {
            let mut part = set;
            while part > 0 {
                if let Some(worth) = worth[part] {
                    let whole = best[set & !part].with(worth, team.goal());
                    if whole > next[set] {
                        (next[set], choice[set]) = (whole, part);
                    }
                }
                part = (part - 1) & set;
            }
        }
        best = next;
        chosen.push(choice);
    }
    let mut paths = vec![Vec::new(); team.robots().len()];
    let mut left = n_sets - 1;
    for (robot, choice) in chosen.iter().enumerate().rev() {
        let part = choice[left];
        if part > 0 {
            paths[robot] = Labels::new(team, robot).path(part);
            left &= !part;
        }
    }
    paths
}

/// Branch and bound over schedules in the order of their starts.
struct Search<'a> {
    team: &'a Team,
    paths: Paths,
    starts: Vec<Option<f64>>,
    best: Worth,
    best_paths: Paths,
    /// Least distance from anywhere to each task.
    nearest: Vec<f64>,
    n_nodes: u64,
}

impl<'a> Search<'a> {
    fn run(team: &'a Team, watch: &mut Watch<'_>) -> Result<Paths> {
        let (n_robots, n_tasks) = (team.robots().len(), team.tasks().len());
        let nearest = (0..n_tasks)
            .map(|task| {
                let robots = (0..n_robots).map(|robot| team.distance(robot, None, task));
                let others = (0..n_tasks).filter(|&t| t != task).map(|t| team.distance(0, Some(t), task));
                if n_robots == 0 { 0.0 } else { robots.chain(others).fold(f64::INFINITY, f64::min) }
            })
            .collect();
        let first = greedy(team).paths;
        let mut search = Self {
            team,
            paths: vec![Vec::new(); n_robots],
            starts: vec![None; n_tasks],
            best: Worth::NOTHING,
            best_paths: vec![Vec::new(); n_robots],
            nearest,
            n_nodes: 0,
        };
        let found = team.evaluate(&first)?;
        search.best = search.worth(found.n_assigned, found.travel, found.makespan, found.reward);
        search.best_paths = first;
        search.extend(Worth::NOTHING, 0.0, watch)?;
        Ok(search.best_paths)
    }

    fn worth(&self, n_done: usize, travel: f64, makespan: f64, reward: f64) -> Worth {
        match self.team.goal() {
            Goal::Travel => Worth { n_done: n_done as u32, score: -travel },
            Goal::Makespan => Worth { n_done: n_done as u32, score: -makespan },
            Goal::Reward { .. } => Worth { n_done: 0, score: reward },
        }
    }

    /// Puts every task that can start at `latest` or later at the end of every path.
    fn extend(&mut self, worth: Worth, latest: f64, watch: &mut Watch<'_>) -> Result<()> {
        self.n_nodes += 1;
        if self.n_nodes.is_multiple_of(1 << 14) {
            watch(&Progress { unit: "nodes", count: self.n_nodes, messages: 0 });
        }
        if self.n_nodes > MAX_NODES {
            let (needed, allowed) = (self.n_nodes, MAX_NODES);
            let what = "the best plan with precedence".to_string();
            return Err(Error::TooLarge { what, needed, allowed, advice: "use greedy, ssi or contract-net" });
        }
        if worth > self.best {
            self.best = worth;
            self.best_paths.clone_from(&self.paths);
        }
        if self.bound(worth, latest) <= self.best {
            return Ok(());
        }
        for task in 0..self.starts.len() {
            if self.starts[task].is_some() {
                continue;
            }
            for robot in 0..self.paths.len() {
                if self.team.offer(robot, &self.paths[robot], task, &self.starts).is_none()
                    || self.paths[robot].len() >= self.team.capacity(robot)
                {
                    continue;
                }
                let from = self.paths[robot].last().copied();
                self.paths[robot].push(task);
                let start = self.team.start_of_last(robot, &self.paths[robot], &self.starts);
                if let Some(start) = start.filter(|&s| s >= latest) {
                    let end = start + self.team.tasks()[task].duration;
                    let step = self.worth(
                        1,
                        self.team.distance(robot, from, task),
                        end,
                        self.team.worth(task, start),
                    );
                    self.starts[task] = Some(start);
                    self.extend(worth.with(step, self.team.goal()), start, watch)?;
                    self.starts[task] = None;
                }
                self.paths[robot].pop();
            }
        }
        Ok(())
    }

    /// More than any plan that begins like this can be worth.
    fn bound(&self, worth: Worth, latest: f64) -> Worth {
        let open = (0..self.starts.len()).filter(|&task| self.starts[task].is_none());
        let mut out = worth;
        for task in open {
            let start = latest.max(self.team.tasks()[task].earliest);
            let end = start + self.team.tasks()[task].duration;
            let step = self.worth(1, self.nearest[task], end, self.team.worth(task, start));
            out = out.with(step, self.team.goal());
        }
        out
    }
}
