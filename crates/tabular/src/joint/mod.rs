//! Several agents with one reward in a world whose state all of them see: joint models, and what independent learners make of
//! them.
//!
//! * [`JointModel`]: a [`Model`] over joint actions, and how many actions each agent has (a multi-agent MDP). Every
//!   planner of [`crate::plan`] solves it.
//! * [`TeamLearner`]: independent, joint-action, team, distributed, hysteretic and lenient Q-learning.
//! * [`coordination`]: the climbing and penalty games and the table of who learns to coordinate.

pub mod coordination;
mod learners;

pub use learners::{Explore, TeamLearner, TeamRule, play, train};

use crate::model::{Model, ModelBuilder};
use crate::{Error, Result};

/// A model over joint actions, numbered with the last agent's action fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct JointModel {
    /// The model.
    pub model: Model,
    /// Number of actions of each agent; their product is the model's number of actions.
    pub n_actions: Vec<usize>,
}

impl JointModel {
    /// A model whose actions are joint actions of agents with these numbers of own actions.
    ///
    /// # Errors
    /// Numbers whose product is not the model's number of actions.
    pub fn new(model: Model, n_actions: Vec<usize>) -> Result<Self> {
        match n_actions.iter().try_fold(1_usize, |n, &k| n.checked_mul(k)) {
            Some(n) if n == model.n_actions() => Ok(Self { model, n_actions }),
            _ => Err(Error::invalid(format!(
                "agents with {n_actions:?} actions do not make {} joint actions",
                model.n_actions()
            ))),
        }
    }

    /// Number of a joint action.
    pub fn joint(&self, actions: &[usize]) -> usize {
        actions.iter().zip(&self.n_actions).fold(0, |joint, (a, n)| joint * n + a)
    }

    /// What one agent does in a joint action.
    pub fn action_of(&self, joint: usize, agent: usize) -> usize {
        let after: usize = self.n_actions[agent + 1..].iter().product();
        joint / after % self.n_actions[agent]
    }
}

/// Two agents cross a 3x3 grid: the first from the upper left to the lower right corner, the second from the upper right to the
/// lower left. Each goes up, down, left, right or stays; -1 a step for each agent that is not there yet. Where both would enter
/// one cell or trade places, both stay and the team pays 2 more. Who arrives leaves the grid.
///
/// The best value is -8: both take four steps without meeting.
///
/// # Errors
/// None in practice.
pub fn crossing() -> Result<JointModel> {
    const ARRIVED: usize = 9;
    const GOALS: [usize; 2] = [8, 6];
    let to = |cell: usize, way: usize| match (way, cell / 3, cell % 3) {
        (0, 1.., _) => cell - 3,
        (1, 0 | 1, _) => cell + 3,
        (2, _, 1..) => cell - 1,
        (3, _, 0 | 1) => cell + 1,
        _ => cell,
    };
    let mut b = ModelBuilder::new(100, 25, 1.0);
    b.terminal(10 * ARRIVED + ARRIVED).start(2, 1.0);
    for state in 0..100 {
        let cells = [state / 10, state % 10];
        for joint in 0..25 {
            let ways = [joint / 5, joint % 5];
            let target = |i: usize| if cells[i] == ARRIVED { ARRIVED } else { to(cells[i], ways[i]) };
            let mut next = [target(0), target(1)];
            let mut reward = -(cells.iter().filter(|&&c| c != ARRIVED).count() as f64);
            let both = cells[0] != ARRIVED && cells[1] != ARRIVED;
            let trade = next[0] == cells[1] && next[1] == cells[0];
            if both && cells[0] != cells[1] && (next[0] == next[1] || trade) {
                next = cells;
                reward -= 2.0;
            }
            let settled = |i: usize| if next[i] == GOALS[i] { ARRIVED } else { next[i] };
            b.transition(state, joint, 10 * settled(0) + settled(1), 1.0, reward);
        }
    }
    JointModel::new(b.build()?, vec![5, 5])
}
