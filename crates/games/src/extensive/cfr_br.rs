//! CFR-BR (Johanson, Bard, Burch and Bowling 2012): counterfactual regret minimization against opponents who answer current
//! play best.
//!
//! Each iteration, every player's best response to the others' current play is found, all of them before anybody
//! updates; then each player updates its regrets as if the others played those. The average and its weights are those of
//! plain CFR. The first of equal actions is taken as best.

use super::cfr::{Cfr, CfrOptions};
use super::response::{Assessment, best_response};
use super::{Profile, Tree};
use crate::Result;

/// A running solver.
#[derive(Debug, Clone)]
pub struct CfrBr {
    cfr: Cfr,
    uniform: Profile,
}

impl CfrBr {
    /// Starts from uniform play.
    ///
    /// # Errors
    /// A player who forgets.
    pub fn new(tree: &Tree) -> Result<Self> {
        Ok(Self { cfr: Cfr::new(tree, CfrOptions::CFR)?, uniform: Profile::uniform(tree) })
    }

    /// Iterations made.
    pub fn n_iterations(&self) -> u64 {
        self.cfr.n_iterations()
    }

    /// One iteration: every player updates once.
    pub fn step(&mut self) {
        let form = self.cfr.form();
        let current = form.realize(&self.cfr.current());
        let mut responses = self.uniform.clone();
        for player in 0..form.n_players() {
            let (_, reach) = best_response(form, player, &current);
            // Where its own response never comes, what it would do there counts for nobody.
            form.plan(player).behave(&reach, &mut responses);
        }
        self.cfr.step_against(&responses);
    }

    /// Average play so far, the answer.
    pub fn average(&self) -> Profile {
        self.cfr.average()
    }

    /// Values of average play and of best responses to it.
    pub fn assess(&self) -> Assessment {
        self.cfr.assess()
    }
}
