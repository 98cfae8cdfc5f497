//! Evolution in large populations: replicator and logit dynamics, by explicit Euler steps.

use crate::error::{Error, Result};
use crate::exponential::exp;
use crate::normal_form::{Mixed, NormalForm};

fn check_population(n: usize, payoffs: &[f64], x: &[f64]) -> Result<()> {
    if payoffs.len() != n * n {
        return Err(Error::Shape { what: "the payoff matrix", found: payoffs.len(), expected: n * n });
    }
    let is_share = |x: &f64| *x >= 0.0 && x.is_finite();
    if n == 0 || !x.iter().all(is_share) || (x.iter().sum::<f64>() - 1.0).abs() > 1e-6 {
        return Err(Error::invalid(
            "the shares of a population must be nonnegative with sum 1; normalize them",
        ));
    }
    if !payoffs.iter().all(|u| u.is_finite()) {
        return Err(Error::invalid("a payoff is not finite; give numbers only"));
    }
    Ok(())
}

/// `x_i' = x_i ((A x)_i - x'A x)` in one population (Taylor and Jonker 1978).
#[derive(Debug, Clone)]
pub struct Replicator {
    /// `[n, n]`: payoff of the row strategy against the column strategy.
    payoffs: Vec<f64>,
    shares: Vec<f64>,
    fitness: Vec<f64>,
}

impl Replicator {
    /// A population with these shares of `n` strategies and payoffs `[n, n]`.
    ///
    /// # Errors
    /// If the tables do not fit or the shares are not a distribution.
    pub fn new(payoffs: Vec<f64>, shares: Vec<f64>) -> Result<Self> {
        check_population(shares.len(), &payoffs, &shares)?;
        Ok(Self { fitness: vec![0.0; shares.len()], payoffs, shares })
    }

    /// One Euler step over `dt`.
    pub fn step(&mut self, dt: f64) {
        let n = self.shares.len();
        for (f, row) in self.fitness.iter_mut().zip(self.payoffs.chunks_exact(n)) {
            *f = row.iter().zip(&self.shares).map(|(a, x)| a * x).sum();
        }
        let mean: f64 = self.fitness.iter().zip(&self.shares).map(|(f, x)| f * x).sum();
        for (x, f) in self.shares.iter_mut().zip(&self.fitness) {
            *x += dt * *x * (f - mean);
        }
    }

    /// Share of each strategy.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }
}

/// One Euler step of replicator dynamics with one population a player.
///
/// # Panics
/// If the shares do not fit the game.
pub fn multi_replicator_step(game: &NormalForm<f64>, shares: &mut Mixed<f64>, dt: f64) {
    let fitness: Vec<Vec<f64>> = (0..game.n_players()).map(|i| game.deviation_payoffs(i, shares)).collect();
    for (x, fitness) in shares.iter_mut().zip(fitness) {
        let mean: f64 = fitness.iter().zip(&*x).map(|(f, x)| f * x).sum();
        x.iter_mut().zip(&fitness).for_each(|(x, f)| *x += dt * *x * (f - mean));
    }
}

/// The logit choice among payoffs at a temperature: probabilities in proportion to `exp(u / temperature)`.
pub fn logit_response(payoffs: &[f64], temperature: f64, to: &mut [f64]) {
    let best = payoffs.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    to.iter_mut().zip(payoffs).for_each(|(p, u)| *p = exp((u - best) / temperature));
    let sum: f64 = to.iter().sum();
    to.iter_mut().for_each(|p| *p /= sum);
}

/// Logit dynamics (Fudenberg and Levine 1998): shares move towards the logit choice, `x' = logit(A x) - x`. Its rest points
/// are logit quantal response equilibria.
#[derive(Debug, Clone)]
pub struct Logit<'a> {
    game: &'a NormalForm<f64>,
    temperature: f64,
    shares: Mixed<f64>,
}

impl<'a> Logit<'a> {
    /// One population a player, each at uniform shares.
    ///
    /// # Errors
    /// If the temperature is not positive and finite.
    pub fn new(game: &'a NormalForm<f64>, temperature: f64) -> Result<Self> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(Error::invalid(format!("the temperature is {temperature}; give a positive number")));
        }
        let shares = game.shape().iter().map(|&n| vec![1.0 / n as f64; n]).collect();
        Ok(Self { game, temperature, shares })
    }

    /// One Euler step over `dt`. Gives the largest change per unit of time, zero at a rest point.
    pub fn step(&mut self, dt: f64) -> f64 {
        let mut fastest = 0.0f64;
        let payoffs: Vec<Vec<f64>> =
            (0..self.game.n_players()).map(|i| self.game.deviation_payoffs(i, &self.shares)).collect();
        for (x, u) in self.shares.iter_mut().zip(payoffs) {
            let mut choice = vec![0.0; u.len()];
            logit_response(&u, self.temperature, &mut choice);
            for (x, c) in x.iter_mut().zip(choice) {
                fastest = fastest.max((c - *x).abs());
                *x += dt * (c - *x);
            }
        }
        fastest
    }

    /// Shares of each population.
    pub fn shares(&self) -> &Mixed<f64> {
        &self.shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hawks_and_doves_settle_at_the_stable_mixture() {
        // Value 2, cost 4: half hawks.
        let mut population = Replicator::new(vec![-1.0, 2.0, 0.0, 1.0], vec![0.9, 0.1]).unwrap();
        (0..4000).for_each(|_| population.step(0.01));
        assert!((population.shares()[0] - 0.5).abs() < 1e-6);
        assert!(Replicator::new(vec![0.0; 4], vec![0.9, 0.2]).is_err());
        assert!(Replicator::new(vec![0.0; 3], vec![0.5, 0.5]).is_err());
    }

    #[test]
    fn a_dilemma_defects_in_two_populations() {
        let game = NormalForm::bimatrix(2, 2, vec![5.0, 0.0, 10.0, 1.0], vec![5.0, 10.0, 0.0, 1.0]).unwrap();
        let mut shares = vec![vec![0.9, 0.1], vec![0.7, 0.3]];
        (0..3000).for_each(|_| multi_replicator_step(&game, &mut shares, 0.01));
        assert!(shares.iter().all(|x| x[1] > 0.999 && (x[0] + x[1] - 1.0).abs() < 1e-9));
    }

    #[test]
    fn logit_rest_points_solve_their_equation() {
        // One logit equation by hand: in matching pennies with payoffs 2 and 1 the choice at rest is a fixed point.
        let game = NormalForm::zero_sum(2, 2, vec![2.0, -1.0, -1.0, 1.0]).unwrap();
        let mut logit = Logit::new(&game, 0.5).unwrap();
        let mut speed = 1.0;
        (0..20_000).for_each(|_| speed = logit.step(0.05));
        assert!(speed < 1e-9, "still moving at {speed}");
        let y = logit.shares()[1][0];
        let p = 1.0 / (1.0 + ((-y + (1.0 - y) - 2.0 * y + (1.0 - y)) / 0.5).exp());
        assert!((logit.shares()[0][0] - p).abs() < 1e-9);
        assert!(Logit::new(&game, 0.0).is_err());
    }
}
