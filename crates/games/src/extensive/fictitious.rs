//! Fictitious play in extensive form (Heinrich, Lanctot and Silver 2015, XFP).
//!
//! Each iteration, every player best-responds to the average of the others, and averages move towards the responses by
//! `1 / (t + 1)`, starting from uniform play. Averages are taken of realization plans, so that the average strategy
//! earns the average payoff. Converges in two-player zero-sum games. The first of equal actions is taken.

use super::response::{Assessment, assess_plans, best_response};
use super::sequence::SequenceForm;
use super::{Profile, Tree};
use crate::Result;

/// A running solver.
#[derive(Debug, Clone)]
pub struct FictitiousPlay {
    form: SequenceForm<f64>,
    average: Vec<Vec<f64>>,
    uniform: Profile,
    n_iterations: u64,
}

impl FictitiousPlay {
    /// Starts from uniform play.
    ///
    /// # Errors
    /// A player who forgets.
    pub fn new(tree: &Tree) -> Result<Self> {
        let form = SequenceForm::new(tree, "fictitious play in extensive form")?;
        let uniform = Profile::uniform(tree);
        let average = form.realize(&uniform);
        Ok(Self { form, average, uniform, n_iterations: 0 })
    }

    /// Iterations made.
    pub fn n_iterations(&self) -> u64 {
        self.n_iterations
    }

    /// One iteration.
    pub fn step(&mut self) {
        self.n_iterations += 1;
        let n = self.form.n_players();
        let responses: Vec<Vec<f64>> =
            (0..n).map(|p| best_response(&self.form, p, &self.average).1).collect();
        let share = 1.0 / (self.n_iterations as f64 + 1.0);
        for (average, response) in self.average.iter_mut().flatten().zip(responses.iter().flatten()) {
            *average += share * (response - *average);
        }
    }

    /// Average play so far, the answer.
    pub fn average(&self) -> Profile {
        let mut profile = self.uniform.clone();
        for (player, reach) in self.average.iter().enumerate() {
            self.form.plan(player).behave(reach, &mut profile);
        }
        profile
    }

    /// Values of average play and of best responses to it.
    pub fn assess(&self) -> Assessment {
        assess_plans(&self.form, &self.average)
    }
}
