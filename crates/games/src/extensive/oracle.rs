//! A game in extensive form as an oracle for policy-space response oracles: policies are realization plans, responses are
//! exact best responses to the others' mixtures. And these oracles as a method that runs in iterations.

use super::response::{assess_plans, best_response};
use super::sequence::SequenceForm;
use super::{Profile, Tree};
use crate::Result;
use crate::normal_form::Mixed;
use crate::population::{MetaSolver, Oracle, Psro};

/// The oracle of a tree.
#[derive(Debug, Clone)]
pub struct TreeOracle {
    form: SequenceForm<f64>,
    uniform: Profile,
    /// What the players' payoffs add up to, where that is always the same.
    sum: Option<f64>,
}

impl TreeOracle {
    /// Takes a tree.
    ///
    /// # Errors
    /// A player who forgets.
    pub fn new(tree: &Tree) -> Result<Self> {
        let form = SequenceForm::new(tree, "policy-space response oracles")?;
        let sum = tree.constant_sum().as_ref().map(crate::Scalar::to_float);
        Ok(Self { form, uniform: Profile::uniform(tree), sum })
    }

    /// One plan a player, which earns what the mixture does.
    fn mix(&self, populations: &[Vec<Vec<f64>>], mixtures: &Mixed<f64>) -> Vec<Vec<f64>> {
        let one = |(player, (population, mixture)): (usize, (&Vec<Vec<f64>>, &Vec<f64>))| {
            let mut plan = vec![0.0; self.form.plan(player).n_sequences()];
            for (policy, &weight) in population.iter().zip(mixture) {
                plan.iter_mut().zip(policy).for_each(|(sum, x)| *sum += weight * x);
            }
            plan
        };
        populations.iter().zip(mixtures).enumerate().map(one).collect()
    }

    /// A mixture over populations as behavior; uniform where nobody comes.
    pub fn behave(&self, populations: &[Vec<Vec<f64>>], mixtures: &Mixed<f64>) -> Profile {
        let mut profile = self.uniform.clone();
        for (player, plan) in self.mix(populations, mixtures).iter().enumerate() {
            self.form.plan(player).behave(plan, &mut profile);
        }
        profile
    }
}

impl Oracle for TreeOracle {
    type Policy = Vec<f64>;

    fn n_players(&self) -> usize {
        self.form.n_players()
    }

    fn first(&mut self, player: usize) -> Result<Vec<f64>> {
        Ok(self.form.realize(&self.uniform).swap_remove(player))
    }

    fn payoffs(&mut self, policies: &[&Vec<f64>]) -> Result<Vec<f64>> {
        let plans: Vec<Vec<f64>> = policies.iter().map(|&p| p.clone()).collect();
        let mut values = assess_plans(&self.form, &plans).values;
        // Not only up to rounding: empirical games of two players are solved as zero-sum then.
        if let (Some(sum), [first, second]) = (self.sum, &mut values[..]) {
            *second = sum - *first;
        }
        Ok(values)
    }

    fn respond(
        &mut self,
        player: usize,
        populations: &[Vec<Vec<f64>>],
        mixtures: &Mixed<f64>,
    ) -> Result<Vec<f64>> {
        Ok(best_response(&self.form, player, &self.mix(populations, mixtures)).1)
    }
}

/// Policy-space response oracles on a tree, round by round.
#[derive(Debug)]
pub struct TreePsro {
    oracle: TreeOracle,
    psro: Psro<TreeOracle>,
    /// Of the last round.
    mixtures: Mixed<f64>,
    n_iterations: u64,
}

impl TreePsro {
    /// Starts from uniform play. Empirical games are solved exactly where two players' payoffs add up to a constant, else by
    /// regret matching.
    ///
    /// # Errors
    /// A player who forgets.
    pub fn new(tree: &Tree) -> Result<Self> {
        let oracle = TreeOracle::new(tree)?;
        let zero_sum = oracle.n_players() == 2 && oracle.sum.is_some();
        let solver = if zero_sum { MetaSolver::Nash } else { MetaSolver::RegretMatching };
        let psro = Psro::new(oracle.clone(), solver)?;
        let mixtures = vec![vec![1.0]; oracle.n_players()];
        Ok(Self { oracle, psro, mixtures, n_iterations: 0 })
    }

    /// Rounds made.
    pub fn n_iterations(&self) -> u64 {
        self.n_iterations
    }

    /// One round. Where the empirical game cannot be solved the answer stays what it was.
    pub fn step(&mut self) {
        self.n_iterations += 1;
        if let Ok(round) = self.psro.round() {
            self.mixtures = round.mixtures;
        }
    }

    /// The last mixtures over populations, the answer.
    pub fn average(&self) -> Profile {
        self.oracle.behave(self.psro.populations(), &self.mixtures)
    }
}
