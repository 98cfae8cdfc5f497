//! Robots and tasks in the plane: who can do what, where, when and after what; and what a plan for them is worth.
//! Classes ND, ID and XD of [ST-SR-IA] and [ST-SR-TA]. Not here: how plans are found.

use std::collections::BTreeSet;

use coact_core::math::pow_f64;

use crate::taxonomy::{Class, Dependency, Horizon, RobotKind, TaskKind};
use crate::{Error, Result};

/// Most robots or tasks; plans are lists of lists, and every method looks at every pair.
pub const MAX_MEMBERS: usize = 100_000;

/// Something to be done by one robot.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What users call it.
    pub name: String,
    /// Where it is done.
    pub position: [f64; 2],
    /// How long it takes; at least 0.
    pub duration: f64,
    /// Earliest time at which it may start; robots wait for it.
    pub earliest: f64,
    /// Latest time at which it may start; may be infinite.
    pub latest: f64,
    /// Abilities that its robot needs.
    pub skills: Vec<String>,
    /// Tasks, by index, that must end before it starts.
    pub after: Vec<usize>,
    /// What it is worth at time 0; at least 0.
    pub reward: f64,
}

impl Task {
    /// A task of reward 1 without duration, window, skills or predecessors.
    pub fn at(name: impl Into<String>, position: [f64; 2]) -> Self {
        Self {
            name: name.into(),
            position,
            duration: 0.0,
            earliest: 0.0,
            latest: f64::INFINITY,
            skills: Vec::new(),
            after: Vec::new(),
            reward: 1.0,
        }
    }
}

/// Somebody who does tasks, one at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Robot {
    /// What users call it.
    pub name: String,
    /// Where it starts.
    pub position: [f64; 2],
    /// Distance per time; above 0.
    pub speed: f64,
    /// Most tasks that it takes.
    pub capacity: usize,
    /// What it is able to do.
    pub skills: Vec<String>,
}

impl Robot {
    /// A robot of speed 1 that takes any number of tasks and has no special skill.
    pub fn at(name: impl Into<String>, position: [f64; 2]) -> Self {
        Self { name: name.into(), position, speed: 1.0, capacity: usize::MAX, skills: Vec::new() }
    }
}

/// What a good plan is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// As many tasks as can be, then the least distance traveled by all robots (MiniSum).
    Travel,
    /// As many tasks as can be, then the earliest end of the last task (MiniMax).
    Makespan,
    /// The greatest sum of `reward * discount^start`, `discount` in (0, 1]; tasks may be left out.
    Reward {
        /// Factor per time until a task starts.
        discount: f64,
    },
}

/// Robots, tasks and a goal, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Team {
    robots: Vec<Robot>,
    tasks: Vec<Task>,
    goal: Goal,
    /// `able[robot * n_tasks + task]`.
    able: Vec<bool>,
    /// What doing one more task is worth (see `bids`).
    pub(crate) base: f64,
}

/// Tasks of each robot, in the order in which it does them.
pub type Paths = Vec<Vec<usize>>;

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Start of each task; `None` for tasks that nobody does.
    pub starts: Vec<Option<f64>>,
    /// Tasks that are done.
    pub n_assigned: usize,
    /// Distance traveled by all robots.
    pub travel: f64,
    /// End of the last task.
    pub makespan: f64,
    /// Sum of discounted rewards; undiscounted where the goal is another.
    pub reward: f64,
}

impl Team {
    /// A team and its tasks.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the robot or task: coordinates that are not finite, times and numbers out of range,
    /// predecessors that are not there or go around in a circle.
    pub fn new(robots: Vec<Robot>, tasks: Vec<Task>, goal: Goal) -> Result<Self> {
        if robots.len().max(tasks.len()) > MAX_MEMBERS {
            return Err(Error::invalid(format!(
                "more than {MAX_MEMBERS} robots or tasks; split the problem"
            )));
        }
        if let Goal::Reward { discount } = goal
            && !(discount > 0.0 && discount <= 1.0)
        {
            return Err(Error::invalid(format!("the discount is {discount}; it lies in (0, 1]")));
        }
        for robot in &robots {
            check_robot(robot)?;
        }
        for task in &tasks {
            check_task(task, tasks.len())?;
        }
        let able = |robot: &Robot, task: &Task| task.skills.iter().all(|skill| robot.skills.contains(skill));
        let able = robots.iter().flat_map(|r| tasks.iter().map(move |t| able(r, t))).collect();
        let mut team = Self { robots, tasks, goal, able, base: 0.0 };
        team.base = team.worth_of_doing();
        if let Some(task) = order_of_precedence(&team.tasks).err() {
            let text = format!("task `{}` comes after itself; break the circle", team.tasks[task].name);
            return Err(Error::invalid(text));
        }
        Ok(team)
    }

    /// The robots.
    pub fn robots(&self) -> &[Robot] {
        &self.robots
    }

    /// The tasks.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// What a good plan is.
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Whether a robot has the skills for a task.
    ///
    /// # Panics
    /// If there is no such robot or task.
    pub fn is_able(&self, robot: usize, task: usize) -> bool {
        assert!(task < self.tasks.len(), "task {task} of {}", self.tasks.len());
        self.able[robot * self.tasks.len() + task]
    }

    /// Whether any task must wait for another.
    pub fn has_precedence(&self) -> bool {
        self.tasks.iter().any(|task| !task.after.is_empty())
    }

    /// The class of this problem.
    pub fn class(&self) -> Class {
        let single = self.robots.iter().all(|robot| robot.capacity <= 1);
        let dependency = match (self.has_precedence(), single) {
            (true, _) => Dependency::CrossSchedule,
            (false, true) => Dependency::None,
            (false, false) => Dependency::InSchedule,
        };
        let horizon =
            if single && !self.has_precedence() { Horizon::Instantaneous } else { Horizon::TimeExtended };
        Class { dependency, robots: RobotKind::SingleTask, tasks: TaskKind::SingleRobot, horizon }
    }

    /// All tasks, each after those that it waits for, else by index.
    pub fn order(&self) -> Vec<usize> {
        // Circles were refused when the team was made.
        order_of_precedence(&self.tasks).unwrap_or_default()
    }

    /// Distance that a robot travels to a task from where it is: from its start, or from a task.
    pub(crate) fn distance(&self, robot: usize, from: Option<usize>, task: usize) -> f64 {
        let a = from.map_or(self.robots[robot].position, |t| self.tasks[t].position);
        let b = self.tasks[task].position;
        length(a[0] - b[0], a[1] - b[1])
    }

    /// Start of a task for a robot that is free at `time` after task `from`, not before `release`. `None` if that is
    /// too late.
    pub(crate) fn start(
        &self,
        robot: usize,
        from: Option<usize>,
        time: f64,
        task: usize,
        release: f64,
    ) -> Option<f64> {
        let arrival = time + self.distance(robot, from, task) / self.robots[robot].speed;
        let start = arrival.max(self.tasks[task].earliest).max(release);
        (start <= self.tasks[task].latest).then_some(start)
    }

    /// What a task is worth if it starts then.
    pub(crate) fn worth(&self, task: usize, start: f64) -> f64 {
        match self.goal {
            Goal::Reward { discount } => self.tasks[task].reward * pow_f64(discount, start),
            _ => self.tasks[task].reward,
        }
    }

    /// Starts of all tasks and the sums over them.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the robot and the task at fault: done twice, skill missing, too many, too late,
    /// before a task that it must wait for.
    pub fn evaluate(&self, paths: &[Vec<usize>]) -> Result<Evaluation> {
        self.check_paths(paths)?;
        let mut out = Evaluation {
            starts: vec![None; self.tasks.len()],
            n_assigned: paths.iter().map(Vec::len).sum(),
            travel: 0.0,
            makespan: 0.0,
            reward: 0.0,
        };
        let mut next = vec![0; paths.len()];
        let mut free_at = vec![0.0; paths.len()];
        let mut n_left = out.n_assigned;
        while n_left > 0 {
            let before = n_left;
            for (robot, path) in paths.iter().enumerate() {
                while let Some(&task) = path.get(next[robot]) {
                    let Some(release) = self.release(task, &out.starts) else { break };
                    let from = next[robot].checked_sub(1).map(|at| path[at]);
                    let Some(start) = self.start(robot, from, free_at[robot], task, release) else {
                        let (r, t) = (&self.robots[robot].name, &self.tasks[task].name);
                        return Err(Error::invalid(format!("robot `{r}` is too late for task `{t}`")));
                    };
                    out.starts[task] = Some(start);
                    out.travel += self.distance(robot, from, task);
                    out.reward += self.worth(task, start);
                    free_at[robot] = start + self.tasks[task].duration;
                    out.makespan = out.makespan.max(free_at[robot]);
                    next[robot] += 1;
                    n_left -= 1;
                }
            }
            if n_left == before {
                let stuck = paths.iter().zip(&next).find_map(|(path, &at)| path.get(at));
                let name = stuck.map_or("", |&task| &self.tasks[task].name);
                return Err(Error::invalid(format!("task `{name}` waits for a task that nobody gets to")));
            }
        }
        Ok(out)
    }

    /// End of the predecessors of a task; `None` if one has no start yet.
    pub(crate) fn release(&self, task: usize, starts: &[Option<f64>]) -> Option<f64> {
        let ends = self.tasks[task].after.iter().map(|&p| starts[p].map(|s| s + self.tasks[p].duration));
        ends.latest()
    }

    fn check_paths(&self, paths: &[Vec<usize>]) -> Result<()> {
        if paths.len() != self.robots.len() {
            let text = format!("the plan has {} paths for {} robots", paths.len(), self.robots.len());
            return Err(Error::invalid(text));
        }
        let mut owner = vec![None; self.tasks.len()];
        for (robot, path) in paths.iter().enumerate() {
            let name = &self.robots[robot].name;
            if path.len() > self.robots[robot].capacity {
                let capacity = self.robots[robot].capacity;
                let text = format!("robot `{name}` has {} tasks and capacity {capacity}", path.len());
                return Err(Error::invalid(text));
            }
            for &task in path {
                let Some(taken) = owner.get_mut(task) else {
                    return Err(Error::invalid(format!(
                        "robot `{name}` has task {task}, which is not there"
                    )));
                };
                if taken.replace(robot).is_some() {
                    let text = format!("task `{}` is done twice", self.tasks[task].name);
                    return Err(Error::invalid(text));
                }
                if !self.is_able(robot, task) {
                    let text = format!("robot `{name}` lacks a skill for task `{}`", self.tasks[task].name);
                    return Err(Error::invalid(text));
                }
            }
        }
        Ok(())
    }
}

/// Tasks so that each comes after its predecessors, else by index; or a task of a circle.
pub(crate) fn order_of_precedence(tasks: &[Task]) -> Result<Vec<usize>, usize> {
    let n = tasks.len();
    let mut n_open: Vec<usize> = tasks.iter().map(|task| task.after.len()).collect();
    let mut successors = vec![Vec::new(); n];
    for (task, value) in tasks.iter().enumerate() {
        value.after.iter().for_each(|&before| successors[before].push(task));
    }
    let mut ready: BTreeSet<usize> = (0..n).filter(|&t| n_open[t] == 0).collect();
    let mut order = Vec::with_capacity(n);
    while let Some(task) = ready.pop_first() {
        order.push(task);
        for &next in &successors[task] {
            n_open[next] -= 1;
            if n_open[next] == 0 {
                ready.insert(next);
            }
        }
    }
    let Some(mut task) = n_open.iter().position(|&open| open > 0) else { return Ok(order) };
    // What is left waits for something that is left; going back from one to the next ends in a circle.
    let mut seen = vec![false; n];
    while !std::mem::replace(&mut seen[task], true) {
        task = tasks[task].after.iter().copied().find(|&before| n_open[before] > 0).unwrap_or(task);
    }
    Err(task)
}

/// Length of a way. The standard `hypot` has other bits on other platforms.
pub(crate) fn length(dx: f64, dy: f64) -> f64 {
    (dx * dx + dy * dy).sqrt()
}

/// The greatest of optional times, 0 without any; `None` if one is missing.
trait Latest {
    fn latest(self) -> Option<f64>;
}

impl<I: Iterator<Item = Option<f64>>> Latest for I {
    fn latest(mut self) -> Option<f64> {
        self.try_fold(0.0, |most: f64, end| end.map(|end| most.max(end)))
    }
}

fn check_robot(robot: &Robot) -> Result<()> {
    let wrong = |what: &str| Err(Error::invalid(format!("robot `{}`: {what}", robot.name)));
    if !robot.position.iter().all(|x| x.abs() <= 1e9) {
        return wrong("its position must lie within 1e9 of the origin");
    }
    if !(robot.speed > 1e-9 && robot.speed <= 1e9) {
        return wrong("its speed must lie between 1e-9 and 1e9");
    }
    Ok(())
}

fn check_task(task: &Task, n_tasks: usize) -> Result<()> {
    let wrong = |what: &str| Err(Error::invalid(format!("task `{}`: {what}", task.name)));
    if !task.position.iter().all(|x| x.abs() <= 1e9) {
        return wrong("its position must lie within 1e9 of the origin");
    }
    if !(0.0..=1e9).contains(&task.duration) {
        return wrong("its duration must lie between 0 and 1e9");
    }
    if !(0.0..=1e9).contains(&task.earliest) {
        return wrong("its earliest start must lie between 0 and 1e9");
    }
    if task.latest.is_nan() || task.latest < task.earliest {
        return wrong("its latest start must not be before its earliest");
    }
    if !(0.0..=1e9).contains(&task.reward) {
        return wrong("its reward must lie between 0 and 1e9");
    }
    if task.after.iter().any(|&before| before >= n_tasks) {
        return wrong("it comes after a task that is not there");
    }
    Ok(())
}
