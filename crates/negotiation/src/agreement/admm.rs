//! ADMM (Boyd, Parikh, Chu, Peleato and Eckstein 2011), in scaled form, for agents with costs of their own:
//!
//! - consensus: minimize `sum f_i(x)`: `x_i = prox_i(z - u_i)`, `z = mean(x_i + u_i)`, `u_i += x_i - z`;
//! - sharing: minimize `sum f_i(x_i) + g(sum x_i)`: `x_i = prox_i(x_i - mean + z - u)`, `z = prox_g/n(mean + u)`, `u += mean - z`;
//! - exchange: minimize `sum f_i(x_i)` with `sum x_i = total`, the case of sharing whose z is `total / n`; the price is `-rho u`.
//!
//! A run ends when the primal and the dual residual are below `sqrt(size) eps_abs + eps_rel * scale` (section 3.3 there).
//! Rounds go through a coordinator, so no simulator is needed; each agent shows only its `x_i`.

use crate::{Error, Result};

/// An agent's cost, known by its proximal step.
pub trait Cost {
    /// The `x` that minimizes `f(x) + rho / 2 * |x - v|^2`, written over `v`.
    fn prox(&self, v: &mut [f64], rho: f64);

    /// The cost itself.
    fn value(&self, x: &[f64]) -> f64;
}

/// `sum over k of quadratic_k / 2 * x_k^2 + linear_k * x_k`, for `low_k <= x_k <= high_k`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    /// Curvatures, from 0 up.
    pub quadratic: Vec<f64>,
    /// Slopes at 0.
    pub linear: Vec<f64>,
    /// Least values; may be infinite.
    pub low: Vec<f64>,
    /// Greatest values; may be infinite.
    pub high: Vec<f64>,
}

impl Cost for Quadratic {
    fn prox(&self, v: &mut [f64], rho: f64) {
        for (k, x) in v.iter_mut().enumerate() {
            *x = ((rho * *x - self.linear[k]) / (rho + self.quadratic[k])).clamp(self.low[k], self.high[k]);
        }
    }

    fn value(&self, x: &[f64]) -> f64 {
        let parts = x.iter().enumerate().map(|(k, x)| 0.5 * self.quadratic[k] * x * x + self.linear[k] * x);
        parts.sum()
    }
}

/// `weight * |x - center|` in one or more dimensions: the cost of a median.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// The weight, from 0 up.
    pub weight: f64,
    /// The center.
    pub center: Vec<f64>,
}

impl Cost for Distance {
    fn prox(&self, v: &mut [f64], rho: f64) {
        let step = self.weight / rho;
        for (x, center) in v.iter_mut().zip(&self.center) {
            let distance = *x - center;
            *x = center + distance.signum() * (distance.abs() - step).max(0.0);
        }
    }

    fn value(&self, x: &[f64]) -> f64 {
        self.weight * x.iter().zip(&self.center).map(|(x, center)| (x - center).abs()).sum::<f64>()
    }
}

/// How ADMM runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The penalty.
    pub rho: f64,
    /// Whether the penalty is doubled or halved where one residual is more than ten times the other.
    pub adaptive: bool,
    /// Absolute tolerance.
    pub eps_abs: f64,
    /// Relative tolerance.
    pub eps_rel: f64,
    /// Rounds after which it stops anyway.
    pub max_rounds: u64,
}

impl Default for Settings {
    /// The values of the paper's examples, with tighter tolerances.
    fn default() -> Self {
        Self { rho: 1.0, adaptive: true, eps_abs: 1e-8, eps_rel: 1e-8, max_rounds: 100_000 }
    }
}

/// Residuals of a round, and what they must come below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residuals {
    /// How far agents are from agreeing.
    pub primal: f64,
    /// How far the agreement moved.
    pub dual: f64,
    /// Bound of the primal residual.
    pub eps_primal: f64,
    /// Bound of the dual residual.
    pub eps_dual: f64,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreed {
    /// Each agent's own numbers.
    pub x: Vec<Vec<f64>>,
    /// What they agree on: the common point, or the mean of the shares.
    pub z: Vec<f64>,
    /// The price of each quantity: the multiplier of the constraint (all agents' mean for consensus).
    pub price: Vec<f64>,
    /// The sum of the agents' costs at `x`, without that of the total.
    pub cost: f64,
    /// Residuals of each round.
    pub residuals: Vec<Residuals>,
    /// Whether both residuals came below their bounds.
    pub converged: bool,
}

/// All agents agree on one point.
///
/// # Errors
/// [`Error::Invalid`] without agents or for settings that make no sense.
pub fn consensus(agents: &[&dyn Cost], n: usize, settings: &Settings) -> Result<Agreed> {
    check(agents, settings)?;
    let mut rho = settings.rho;
    let (mut x, mut u) = (vec![vec![0.0; n]; agents.len()], vec![vec![0.0; n]; agents.len()]);
    let mut z = vec![0.0; n];
    let mut residuals = Vec::new();
    let size = ((agents.len() * n) as f64).sqrt();
    let mut converged = false;
    while !converged && (residuals.len() as u64) < settings.max_rounds {
        for ((x, u), agent) in x.iter_mut().zip(&u).zip(agents) {
            x.iter_mut().zip(&z).zip(u).for_each(|((x, z), u)| *x = z - u);
            agent.prox(x, rho);
        }
        let before = std::mem::replace(&mut z, mean(x.iter().zip(&u).map(|(x, u)| sum(x, u)), n));
        for (x, u) in x.iter().zip(&mut u) {
            u.iter_mut().zip(x).zip(&z).for_each(|((u, x), z)| *u += x - z);
        }
        let apart = x.iter().map(|x| distance(x, &z).powi(2)).sum::<f64>().sqrt();
        let moved = rho * (agents.len() as f64).sqrt() * distance(&z, &before);
        let scale = norm_all(&x).max((agents.len() as f64).sqrt() * norm(&z));
        let round = Residuals {
            primal: apart,
            dual: moved,
            eps_primal: size * settings.eps_abs + settings.eps_rel * scale,
            eps_dual: size * settings.eps_abs + settings.eps_rel * rho * norm_all(&u),
        };
        residuals.push(round);
        converged = is_small(&round);
        let factor = adapt(&round, settings);
        rho *= factor;
        u.iter_mut().flatten().for_each(|u| *u /= factor);
    }
    let price = mean(u.iter().cloned(), n).iter().map(|u| rho * u).collect();
    Ok(Agreed { cost: cost(agents, &x), x, z, price, residuals, converged })
}

/// Agents choose shares; the total has a cost `g` of its own.
///
/// # Errors
/// [`Error::Invalid`] without agents or for settings that make no sense.
pub fn sharing(agents: &[&dyn Cost], g: &dyn Cost, n: usize, settings: &Settings) -> Result<Agreed> {
    let count = agents.len() as f64;
    run_sharing(agents, n, settings, &|v, rho| {
        // g(count z) + count rho / 2 |z - v|^2 in the total s = count z is g(s) + rho / (2 count) |s - count v|^2.
        v.iter_mut().for_each(|v| *v *= count);
        g.prox(v, rho / count);
        v.iter_mut().for_each(|v| *v /= count);
    })
}

/// Agents choose quantities that must add up to `total`. `price` is what a unit of the total is worth.
///
/// # Errors
/// [`Error::Invalid`] without agents, for a total that is not finite, or settings that make no sense.
pub fn exchange(agents: &[&dyn Cost], total: &[f64], settings: &Settings) -> Result<Agreed> {
    if let Some(part) = total.iter().find(|part| !part.is_finite()) {
        return Err(Error::invalid(format!("a total of {part}: expected a finite number")));
    }
    let count = agents.len() as f64;
    run_sharing(agents, total.len(), settings, &|v, _| {
        v.iter_mut().zip(total).for_each(|(v, total)| *v = total / count);
    })
}

fn run_sharing(
    agents: &[&dyn Cost],
    n: usize,
    settings: &Settings,
    step: &dyn Fn(&mut [f64], f64),
) -> Result<Agreed> {
    check(agents, settings)?;
    let mut rho = settings.rho;
    let mut x = vec![vec![0.0; n]; agents.len()];
    let (mut u, mut z, mut middle) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut residuals = Vec::new();
    let count = agents.len() as f64;
    let size = (count * n as f64).sqrt();
    let mut converged = false;
    while !converged && (residuals.len() as u64) < settings.max_rounds {
        let before = x.clone();
        for (x, agent) in x.iter_mut().zip(agents) {
            for (k, x) in x.iter_mut().enumerate() {
                *x += z[k] - middle[k] - u[k];
            }
            agent.prox(x, rho);
        }
        middle = mean(x.iter().cloned(), n);
        z = sum(&middle, &u);
        step(&mut z, rho);
        for k in 0..n {
            u[k] += middle[k] - z[k];
        }
        // Each agent's target moves by its own change and that of the mean.
        let moved = x.iter().zip(&before).map(|(x, before)| distance(x, before).powi(2)).sum::<f64>().sqrt();
        let round = Residuals {
            primal: count.sqrt() * distance(&middle, &z),
            dual: rho * moved,
            eps_primal: size * settings.eps_abs
                + settings.eps_rel * norm_all(&x).max(count.sqrt() * norm(&z)),
            eps_dual: size * settings.eps_abs + settings.eps_rel * rho * count.sqrt() * norm(&u),
        };
        residuals.push(round);
        converged = is_small(&round);
        let factor = adapt(&round, settings);
        rho *= factor;
        u.iter_mut().for_each(|u| *u /= factor);
    }
    let price = u.iter().map(|u| -rho * u).collect();
    Ok(Agreed { cost: cost(agents, &x), x, z, price, residuals, converged })
}

fn check(agents: &[&dyn Cost], settings: &Settings) -> Result<()> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    if agents.is_empty() {
        return Err(Error::invalid("no agents: expected at least one"));
    }
    if !(positive(settings.rho) && settings.eps_abs >= 0.0 && settings.eps_rel >= 0.0) {
        return Err(Error::invalid("rho must be a number above 0, tolerances numbers from 0 up"));
    }
    Ok(())
}

fn is_small(round: &Residuals) -> bool {
    round.primal <= round.eps_primal && round.dual <= round.eps_dual
}

/// The factor for the penalty that brings the residuals closer together.
fn adapt(round: &Residuals, settings: &Settings) -> f64 {
    match (round.primal, round.dual) {
        _ if !settings.adaptive => 1.0,
        (primal, dual) if primal > 10.0 * dual => 2.0,
        (primal, dual) if dual > 10.0 * primal => 0.5,
        _ => 1.0,
    }
}

fn cost(agents: &[&dyn Cost], x: &[Vec<f64>]) -> f64 {
    agents.iter().zip(x).map(|(agent, x)| agent.value(x)).sum()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn mean(vectors: impl ExactSizeIterator<Item = Vec<f64>>, n: usize) -> Vec<f64> {
    let count = vectors.len() as f64;
    let total = vectors.fold(vec![0.0; n], |total, vector| sum(&total, &vector));
    total.into_iter().map(|x| x / count).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn norm_all(vectors: &[Vec<f64>]) -> f64 {
    vectors.iter().flatten().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quadratic(curvature: f64, linear: f64, low: f64, high: f64) -> Quadratic {
        Quadratic { quadratic: vec![curvature], linear: vec![linear], low: vec![low], high: vec![high] }
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} instead of {expected}");
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn consensus_of_parabolas_is_their_weighted_mean() {
        // a (x - c)^2 / 2: the minimum is at the mean of the centers by curvature.
        let pairs = [(1.0, 3.0), (2.0, -1.0), (5.0, 4.0)];
        let costs: Vec<Quadratic> = pairs.iter().map(|(a, c)| quadratic(*a, -a * c, -INF, INF)).collect();
        let agents: Vec<&dyn Cost> = costs.iter().map(|c| c as &dyn Cost).collect();
        for adaptive in [false, true] {
            for rho in [0.1, 1.0, 30.0] {
                let agreed =
                    consensus(&agents, 1, &Settings { rho, adaptive, ..Settings::default() }).unwrap();
                assert!(agreed.converged);
                near(agreed.z[0], (3.0 - 2.0 + 20.0) / 8.0);
            }
        }
        let last = consensus(&agents, 1, &Settings::default()).unwrap().residuals.pop().unwrap();
        assert!(last.primal <= last.eps_primal && last.dual <= last.eps_dual);
    }

    #[test]
    fn consensus_of_distances_is_a_median() {
        let costs: Vec<Distance> = [1.0, 2.0, 7.0, 9.0, 50.0]
            .iter()
            .map(|&c| Distance { weight: 1.0, center: vec![c, -c] })
            .collect();
        let agents: Vec<&dyn Cost> = costs.iter().map(|c| c as &dyn Cost).collect();
        let agreed = consensus(&agents, 2, &Settings::default()).unwrap();
        near(agreed.z[0], 7.0);
        near(agreed.z[1], -7.0);
        near(agreed.cost, 2.0 * (6.0 + 5.0 + 2.0 + 43.0));
    }

    /// Three generators share a load of 850: those within their limits run at equal incremental cost.
    #[test]
    fn a_load_is_dispatched_at_equal_incremental_cost() {
        // Curvature b is twice the coefficient of the square.
        let costs = [
            quadratic(2.0 * 0.001_562, 7.92, 150.0, 600.0),
            quadratic(2.0 * 0.001_94, 7.85, 100.0, 400.0),
            quadratic(2.0 * 0.004_82, 7.97, 50.0, 200.0),
        ];
        let agents: Vec<&dyn Cost> = costs.iter().map(|c| c as &dyn Cost).collect();
        let settings = Settings { rho: 0.01, ..Settings::default() };
        let agreed = exchange(&agents, &[850.0], &settings).unwrap();
        assert!(agreed.converged);
        // lambda = (total + sum linear / curvature) / sum 1 / curvature.
        let slopes: f64 = costs.iter().map(|c| 1.0 / c.quadratic[0]).sum();
        let lambda = (850.0 + costs.iter().map(|c| c.linear[0] / c.quadratic[0]).sum::<f64>()) / slopes;
        for (cost, x) in costs.iter().zip(&agreed.x) {
            near(x[0], (lambda - cost.linear[0]) / cost.quadratic[0]);
        }
        near(agreed.price[0], lambda);
        // With a load of 1,100 all three still fit; with 1,190 two of them are at their limits.
        let agreed = exchange(&agents, &[1190.0], &settings).unwrap();
        near(agreed.x[0][0], 600.0);
        near(agreed.x[1][0], 400.0);
        near(agreed.x[2][0], 190.0);
        near(agreed.price[0], 7.97 + 2.0 * 0.004_82 * 190.0);
    }

    /// The total costs S^2 / 2 and the shares (x - c)^2 / 2: x_i = c_i - S with S = sum c / (1 + n).
    #[test]
    fn sharing_weighs_the_total_against_the_shares() {
        let centers = [4.0, 6.0, -2.0];
        let costs: Vec<Quadratic> = centers.iter().map(|c| quadratic(1.0, -c, -INF, INF)).collect();
        let agents: Vec<&dyn Cost> = costs.iter().map(|c| c as &dyn Cost).collect();
        let total = quadratic(1.0, 0.0, -INF, INF);
        let agreed = sharing(&agents, &total, 1, &Settings::default()).unwrap();
        assert!(agreed.converged);
        for (x, c) in agreed.x.iter().zip(centers) {
            near(x[0], c - 2.0);
        }
        near(3.0 * agreed.z[0], 2.0);
    }

    #[test]
    fn wrong_uses_are_refused_and_impossible_totals_do_not_converge() {
        let cost = quadratic(1.0, 0.0, 0.0, 1.0);
        assert!(consensus(&[], 1, &Settings::default()).is_err());
        assert!(consensus(&[&cost], 1, &Settings { rho: 0.0, ..Settings::default() }).is_err());
        assert!(exchange(&[&cost], &[INF], &Settings::default()).is_err());
        let settings = Settings { max_rounds: 300, ..Settings::default() };
        assert!(!exchange(&[&cost], &[5.0], &settings).unwrap().converged);
    }
}
