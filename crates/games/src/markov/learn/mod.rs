//! Learning in Markov games by playing them.
//!
//! [`JointQ`] keeps one table a player over joint actions and values the next state by a solution of the game that the
//! tables form there: minimax-Q, Nash-Q, correlated-Q, friend-or-foe-Q. [`WolfPhc`] keeps a table over own actions only.
//!
//! [`METHODS`] lists them by name.
//!
//! A terminated step is worth its reward and nothing after; an episode that is cut after `max_steps` was truncated, and its
//! last step bootstraps like any other.

mod joint_q;
mod methods;
mod wolf;

pub use joint_q::{Concept, JointQ, Selection};
pub use methods::{METHODS, MethodEntry, Settings};
pub use wolf::WolfPhc;

use coact_core::{Purpose, Stream};

use super::MarkovGame;
use crate::{Error, Result};

/// Rates of a learner. A rate at step `t` is `rate * decay^t`, at least its floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// First learning rate.
    pub alpha: f64,
    /// Factor of the learning rate a step.
    pub alpha_decay: f64,
    /// Floor of the learning rate.
    pub alpha_min: f64,
    /// Probability of a uniformly random action, each player for itself.
    pub explore: f64,
}

impl Default for Rates {
    /// Littman (1994): learning rate 1, times 0.9999954 a step, exploration 0.2.
    fn default() -> Self {
        Self { alpha: 1.0, alpha_decay: 0.9999954, alpha_min: 0.0, explore: 0.2 }
    }
}

impl Rates {
    fn check(&self) -> Result<()> {
        let unit = 0.0..=1.0;
        let all = [self.alpha, self.alpha_decay, self.alpha_min, self.explore];
        match all.iter().all(|x| unit.contains(x)) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("rates {self:?}; all must be from 0 to 1"))),
        }
    }
}

/// One step of all players. J joint actions.
#[derive(Debug, Clone, Copy)]
pub struct Transition<'a> {
    /// State before.
    pub state: usize,
    /// Joint action.
    pub joint: usize,
    /// Reward of each player.
    pub rewards: &'a [f64],
    /// State after.
    pub next: usize,
    /// Whether the process ended with this step.
    pub terminated: bool,
}

/// A learner for all players of a game at once.
pub trait MarkovLearner {
    /// Chooses the actions of all players in `state`, exploring.
    fn act(&mut self, state: usize, rng: &mut Stream, actions: &mut [usize]);

    /// Learns from one step.
    ///
    /// # Errors
    /// A stage game that cannot be solved.
    fn update(&mut self, step: &Transition<'_>) -> Result<()>;

    /// Strategy of one player in a state, without exploration.
    fn strategy(&self, player: usize, state: usize) -> &[f64];

    /// From now on this learning rate (which goes on falling by its factor, if it has one) and this probability of
    /// exploring, for schedules.
    fn set_rates(&mut self, alpha: f64, explore: f64);
}

/// Lets a learner play for `n_steps`; episodes are cut after `max_steps`.
///
/// # Errors
/// A fault of the learner.
pub fn train(
    game: &MarkovGame,
    learner: &mut dyn MarkovLearner,
    n_steps: u64,
    max_steps: u32,
    seed: u64,
) -> Result<()> {
    train_with(game, learner, n_steps, max_steps, seed, &mut |_, _| Ok(()))
}

/// [`train`], with `before` called with the number of each step before it is taken, for schedules and measurements.
///
/// # Errors
/// A fault of the learner or of `before`.
pub fn train_with(
    game: &MarkovGame,
    learner: &mut dyn MarkovLearner,
    n_steps: u64,
    max_steps: u32,
    seed: u64,
    before: &mut dyn FnMut(u64, &mut dyn MarkovLearner) -> Result<()>,
) -> Result<()> {
    let mut explore = Stream::new(seed, Purpose::Explore, 0, 0);
    let mut world = Stream::new(seed, Purpose::Step, 0, 0);
    let mut actions = vec![0; game.n_players()];
    let mut rewards = vec![0.0; game.n_players()];
    let mut state = game.sample_start(&mut world);
    let mut age = 0;
    for step in 0..n_steps {
        before(step, learner)?;
        learner.act(state, &mut explore, &mut actions);
        let joint = game.joint(&actions);
        for (player, reward) in rewards.iter_mut().enumerate() {
            *reward = game.reward(player, state, joint);
        }
        let next = game.sample_next(state, joint, &mut world);
        let terminated = game.is_terminal(next);
        learner.update(&Transition { state, joint, rewards: &rewards, next, terminated })?;
        age += 1;
        state = next;
        if terminated || age >= max_steps {
            state = game.sample_start(&mut world);
            age = 0;
        }
    }
    Ok(())
}
