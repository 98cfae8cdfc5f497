//! The classes of allocation problems: Gerkey and Mataric's three axes (2004) and the dependencies of Korsah, Stentz
//! and Dias (iTax, 2013).

use std::fmt;

/// How many tasks a robot does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RobotKind {
    /// ST: one.
    SingleTask,
    /// MT: several.
    MultiTask,
}

/// How many robots a task takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// SR: one.
    SingleRobot,
    /// MR: several; robots form coalitions.
    MultiRobot,
}

/// Whether there is a future to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// IA: each robot gets what it does now.
    Instantaneous,
    /// TA: each robot gets a sequence of tasks over time.
    TimeExtended,
}

/// On what the worth of a robot's task depends; from simple to hard, each class contains those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// ND: on nothing else.
    None,
    /// ID: on the robot's own other tasks (travel, capacity).
    InSchedule,
    /// XD: on tasks of other robots (precedence, synchronization).
    CrossSchedule,
    /// CD: on how other tasks are decomposed.
    Complex,
}

/// A class, displayed as in the literature: `ID[ST-SR-TA]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// The iTax part.
    pub dependency: Dependency,
    /// ST or MT.
    pub robots: RobotKind,
    /// SR or MR.
    pub tasks: TaskKind,
    /// IA or TA.
    pub horizon: Horizon,
}

impl Class {
    /// Linear assignment, `ND[ST-SR-IA]`.
    pub const ASSIGNMENT: Self = Self {
        dependency: Dependency::None,
        robots: RobotKind::SingleTask,
        tasks: TaskKind::SingleRobot,
        horizon: Horizon::Instantaneous,
    };
    /// Generalized assignment, `ID[MT-SR-IA]`: tasks share the capacity of their agent.
    pub const GENERALIZED_ASSIGNMENT: Self =
        Self { dependency: Dependency::InSchedule, robots: RobotKind::MultiTask, ..Self::ASSIGNMENT };
    /// Coalition formation, `CD[ST-MR-IA]`.
    pub const COALITIONS: Self =
        Self { dependency: Dependency::Complex, tasks: TaskKind::MultiRobot, ..Self::ASSIGNMENT };
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dependency = match self.dependency {
            Dependency::None => "ND",
            Dependency::InSchedule => "ID",
            Dependency::CrossSchedule => "XD",
            Dependency::Complex => "CD",
        };
        let robots = if self.robots == RobotKind::SingleTask { "ST" } else { "MT" };
        let tasks = if self.tasks == TaskKind::SingleRobot { "SR" } else { "MR" };
        let horizon = if self.horizon == Horizon::Instantaneous { "IA" } else { "TA" };
        write!(f, "{dependency}[{robots}-{tasks}-{horizon}]")
    }
}
