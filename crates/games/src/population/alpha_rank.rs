//! Alpha-rank (Omidshafiei et al. 2019): how often each profile (or strategy of one population) prevails when rare mutants
//! compete with monomorphic populations.
//!
//! Fixation probabilities are kept as logarithms, and the stationary distribution is found by Grassmann-Taksar-Heyman
//! elimination, which subtracts nothing, in floats with an exponent of any size. So every finite `alpha` has its one distribution, to rounding, with
//! neither overflow nor a chain that falls apart numerically. What happens in the limit of large `alpha` is told apart
//! from that: the recurrent classes of the response graph, each with its own distribution.

use rayon::prelude::*;

use super::scaled::Scaled;
use crate::dynamics::{Selection, fixation_log_probability};
use crate::error::{Error, Result};
use crate::exponential::{exp, exp_m1, ln, ln_1p};
use crate::normal_form::NormalForm;

/// Profiles that the elimination may have; its work grows with the cube.
const MAX_STATES: usize = 3000;
/// States from which rows are eliminated by all threads.
const PARALLEL_FROM: usize = 256;

/// A ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct AlphaRank {
    /// States: profiles, or single strategies of one population.
    pub states: Vec<Vec<usize>>,
    /// Share of time in each state.
    pub distribution: Vec<f64>,
    /// What the chain never leaves as `alpha` grows without bound.
    pub recurrent_classes: Vec<RecurrentClass>,
}

/// A set of states that, once entered, is never left in the limit of strong selection.
#[derive(Debug, Clone, PartialEq)]
pub struct RecurrentClass {
    /// Indices into the states.
    pub states: Vec<usize>,
    /// Share of time in each of them.
    pub distribution: Vec<f64>,
}

/// Ranks the strategies of one population that plays a symmetric game, `[n, n]` payoffs of rows against columns. A population
/// has `m` members; fitness is `exp(alpha * payoff)`, payoffs averaged over the others.
///
/// # Errors
/// If numbers make no sense or there are too many strategies.
pub fn alpha_rank_symmetric(n: usize, payoffs: &[f64], alpha: f64, m: usize) -> Result<AlphaRank> {
    check(n, alpha, m, payoffs)?;
    if payoffs.len() != n * n {
        return Err(Error::Shape { what: "the payoff matrix", found: payoffs.len(), expected: n * n });
    }
    let mut chain = Chain::new(n);
    let share = -ln((n.max(2) - 1) as f64);
    for resident in 0..n {
        for mutant in (0..n).filter(|&s| s != resident) {
            let at = |a: usize, b: usize| payoffs[a * n + b];
            let game =
                [at(mutant, mutant), at(mutant, resident), at(resident, mutant), at(resident, resident)];
            let log = fixation_log_probability(&game, m, 1, Selection::Exponential(alpha))?;
            // In the limit the sum in the probability is ruled by its largest term.
            let (mut sum, mut highest) = (0.0, 0.0f64);
            let mut ties = 1.0;
            let size = game.iter().fold(0.0f64, |a, u| a.max(u.abs()));
            for i in 1..m {
                let i = i as f64;
                let k = m as f64;
                let mutants = ((i - 1.0) * game[0] + (k - i) * game[1]) / (k - 1.0);
                sum += (i * game[2] + (k - i - 1.0) * game[3]) / (k - 1.0) - mutants;
                if (sum - highest).abs() <= 1e-12 * size * k {
                    ties += 1.0;
                } else if sum > highest {
                    (highest, ties) = (sum, 1.0);
                }
            }
            let limit = if highest <= 1e-12 * size * m as f64 { 1.0 / ties } else { 0.0 };
            chain.set(resident, mutant, share + log, limit);
        }
    }
    Ok(chain.rank((0..n).map(|s| vec![s]).collect()))
}

/// Ranks the profiles of a game with one population of `m` members a player, of which a mutant in one population competes with
/// the residents against the others' residents.
///
/// # Errors
/// If numbers make no sense or there are too many profiles.
pub fn alpha_rank(game: &NormalForm<f64>, alpha: f64, m: usize) -> Result<AlphaRank> {
    let n = game.n_profiles();
    check(n, alpha, m, &[])?;
    let mut chain = Chain::new(n);
    let n_neighbors: usize = game.shape().iter().map(|&n| n - 1).sum();
    let share = -ln(n_neighbors.max(1) as f64);
    for (from, profile) in game.profiles().enumerate() {
        for (player, &own) in profile.iter().enumerate() {
            let stride = game.stride(player);
            for to in (0..game.shape()[player]).filter(|&s| s != own) {
                let place = from - own * stride + to * stride;
                let more = game.table(player)[place] - game.table(player)[from];
                let limit = match more {
                    d if d > 0.0 => 1.0,
                    d if d < 0.0 => 0.0,
                    _ => 1.0 / m as f64,
                };
                chain.set(from, place, share + log_fixation(alpha * more, m as f64), limit);
            }
        }
    }
    Ok(chain.rank(game.profiles().collect()))
}

/// `ln((1 - e^-u) / (1 - e^-mu))`.
fn log_fixation(u: f64, m: f64) -> f64 {
    // For u < 0 divide both by their large exponentials: e^((m - 1) u) (1 - e^u) / (1 - e^mu).
    let log_one_minus = |x: f64| if x > 0.5 { ln_1p(-exp(-x)) } else { ln(-exp_m1(-x)) };
    let size = u.abs();
    if size * m < 1e-12 {
        return -ln(m);
    }
    let ratio = log_one_minus(size) - log_one_minus(m * size);
    if u > 0.0 { ratio } else { ratio - (m - 1.0) * size }
}

fn check(n: usize, alpha: f64, m: usize, payoffs: &[f64]) -> Result<()> {
    if !(alpha >= 0.0 && alpha.is_finite()) {
        return Err(Error::invalid(format!("alpha is {alpha}; give a finite number that is not negative")));
    }
    if m < 2 {
        return Err(Error::invalid(format!("a population of {m}; give at least 2 members")));
    }
    if !payoffs.iter().all(|u| u.is_finite()) {
        return Err(Error::invalid("a payoff is not finite; give numbers only"));
    }
    if n == 0 || n > MAX_STATES {
        return Err(Error::TooLarge {
            what: "alpha-rank".into(),
            estimate: n as f64,
            unit: "states",
            limit: MAX_STATES as f64,
            remedy: "give at least one and not so many strategies".into(),
        });
    }
    Ok(())
}

/// A Markov chain by logarithms of its transition probabilities between different states, and the same in the limit.
struct Chain {
    n: usize,
    logs: Vec<f64>,
    limit: Vec<f64>,
}

impl Chain {
    fn new(n: usize) -> Self {
        Self { n, logs: vec![f64::NEG_INFINITY; n * n], limit: vec![0.0; n * n] }
    }

    fn set(&mut self, from: usize, to: usize, log: f64, limit: f64) {
        self.logs[from * self.n + to] = log;
        self.limit[from * self.n + to] = limit;
    }

    fn rank(self, states: Vec<Vec<usize>>) -> AlphaRank {
        let distribution = stationary(self.n, &self.logs);
        let recurrent_classes = self.recurrent_classes();
        AlphaRank { states, distribution, recurrent_classes }
    }

    /// The classes of the limit that nothing leaves.
    fn recurrent_classes(&self) -> Vec<RecurrentClass> {
        let component = components(self.n, |i, j| self.limit[i * self.n + j] > 0.0);
        let n_components = component.iter().max().map_or(0, |c| c + 1);
        let mut closed = vec![true; n_components];
        for i in 0..self.n {
            for j in (0..self.n).filter(|&j| self.limit[i * self.n + j] > 0.0) {
                closed[component[i]] &= component[i] == component[j];
            }
        }
        let mut classes: Vec<RecurrentClass> = (0..n_components)
            .filter(|&c| closed[c])
            .map(|c| {
                let states: Vec<usize> = (0..self.n).filter(|&i| component[i] == c).collect();
                let logs = states.iter().flat_map(|&i| states.iter().map(move |&j| (i, j)));
                let logs = logs
                    .map(|(i, j)| if i == j { f64::NEG_INFINITY } else { ln(self.limit[i * self.n + j]) });
                RecurrentClass { distribution: stationary(states.len(), &logs.collect::<Vec<f64>>()), states }
            })
            .collect();
        classes.sort_by_key(|class| class.states[0]);
        classes
    }
}

/// Stationary distribution of an irreducible chain `[n, n]` of logarithms, by elimination of one state after the other.
/// What stands on the diagonal has no say.
fn stationary(n: usize, logs: &[f64]) -> Vec<f64> {
    let mut table: Vec<Scaled> = logs.iter().map(|&log| Scaled::from_log(log)).collect();
    for k in (1..n).rev() {
        let (above, row) = table.split_at_mut(k * n);
        let out = &row[..k];
        let leave = out.iter().fold(Scaled::ZERO, |sum, &x| sum + x);
        let eliminate = |line: &mut [Scaled]| {
            line[k] = line[k] / leave;
            let into = line[k];
            if !into.is_zero() {
                line.iter_mut().zip(out).for_each(|(to, &x)| *to = *to + into * x);
            }
        };
        // Each row by itself, so the same at any number of threads.
        match k > PARALLEL_FROM {
            true => above.par_chunks_mut(n).for_each(eliminate),
            false => above.chunks_mut(n).for_each(eliminate),
        }
    }
    let mut weights = vec![Scaled::ONE; n];
    for k in 1..n {
        weights[k] = (0..k).fold(Scaled::ZERO, |sum, i| sum + weights[i] * table[i * n + k]);
    }
    let highest = weights.iter().fold(Scaled::ZERO, |a, &b| if b.exceeds(a) { b } else { a });
    let shares: Vec<f64> = weights.iter().map(|w| w.over(highest)).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|w| w / sum).collect()
}

/// Strongly connected components, by Kosaraju's two searches; numbers count up from 0.
fn components(n: usize, edge: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let search = |start: usize, seen: &mut [bool], forward: bool, order: &mut Vec<usize>| {
        let mut trail = vec![(start, 0)];
        seen[start] = true;
        while let Some((at, next)) = trail.pop() {
            let follows = |j: usize| if forward { edge(at, j) } else { edge(j, at) };
            match (next..n).find(|&j| !seen[j] && follows(j)) {
                Some(j) => {
                    seen[j] = true;
                    trail.push((at, j + 1));
                    trail.push((j, 0));
                }
                None => order.push(at),
            }
        }
    };
    let (mut seen, mut order) = (vec![false; n], Vec::new());
    for i in 0..n {
        if !seen[i] {
            search(i, &mut seen, true, &mut order);
        }
    }
    let mut component = vec![0; n];
    let (mut seen, mut count) = (vec![false; n], 0);
    for &i in order.iter().rev() {
        if !seen[i] {
            let mut members = Vec::new();
            search(i, &mut seen, false, &mut members);
            members.iter().for_each(|&j| component[j] = count);
            count += 1;
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= tolerance)
    }

    /// Han, Pereira, Santos and Lenaerts 2013, "Good agreements make good friends", with costly commitments.
    #[test]
    fn published_distributions() {
        let (r, t, p, s, delta, eps) = (1.0, 2.0, 0.0, -1.0, 4.0, 0.25);
        #[rustfmt::skip]
        let payoffs = [
            r - eps / 2.0, r - eps, 0.0, s + delta - eps, r - eps,
            r, r, s, s, s,
            0.0, t, p, p, p,
            t - delta, t, p, p, p,
            r, t, p, p, p,
        ];
        let ranks = alpha_rank_symmetric(5, &payoffs, 0.1, 20).unwrap();
        let expected = [0.40966787, 0.07959841, 0.20506998, 0.08505983, 0.2206039];
        assert!(close(&ranks.distribution, &expected, 1e-8), "{:?}", ranks.distribution);
        let rock = [0.0, -1.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0];
        for alpha in [0.0, 1.0, 100.0, 1e6] {
            let ranks = alpha_rank_symmetric(3, &rock, alpha, 50).unwrap();
            assert!(close(&ranks.distribution, &[1.0 / 3.0; 3], 1e-12), "alpha {alpha}");
            assert_eq!(ranks.recurrent_classes.len(), 1);
        }
    }

    #[test]
    fn every_alpha_has_a_finite_distribution_and_the_limit_its_classes() {
        let sexes = NormalForm::bimatrix(2, 2, vec![3.0, 0.0, 0.0, 2.0], vec![2.0, 0.0, 0.0, 3.0]).unwrap();
        let dilemma =
            NormalForm::bimatrix(2, 2, vec![5.0, 0.0, 10.0, 1.0], vec![5.0, 10.0, 0.0, 1.0]).unwrap();
        let biased =
            NormalForm::zero_sum(3, 3, vec![0.0, -0.25, 0.5, 0.25, 0.0, -0.05, -0.5, 0.05, 0.0]).unwrap();
        for alpha in [0.0, 0.1, 1.0, 10.0, 100.0, 1e4, 1e6] {
            for game in [&sexes, &dilemma, &biased] {
                let ranks = alpha_rank(game, alpha, 50).unwrap();
                assert!(ranks.distribution.iter().all(|p| p.is_finite() && *p >= 0.0));
                assert!((ranks.distribution.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        let ranks = alpha_rank(&sexes, 1e6, 50).unwrap();
        assert!(close(&ranks.distribution, &[0.5, 0.0, 0.0, 0.5], 1e-12));
        let classes: Vec<_> = ranks.recurrent_classes.iter().map(|c| c.states.clone()).collect();
        assert_eq!(classes, [[0], [3]]);
        let ranks = alpha_rank(&dilemma, 100.0, 50).unwrap();
        assert!(close(&ranks.distribution, &[0.0, 0.0, 0.0, 1.0], 1e-12));
        let cycle = alpha_rank(&biased, 1e6, 50).unwrap();
        assert_eq!(cycle.recurrent_classes.len(), 1);
        let class = &cycle.recurrent_classes[0];
        for (state, p) in class.states.iter().zip(&class.distribution) {
            assert!((cycle.distribution[*state] - p).abs() < 1e-9);
        }
        assert!(alpha_rank(&sexes, f64::NAN, 50).is_err() && alpha_rank(&sexes, 1.0, 1).is_err());
    }

    /// Against powers of the transition matrix, where those are well conditioned.
    #[test]
    fn elimination_agrees_with_repeated_steps() {
        let mut stream = coact_core::Stream::new(8, coact_core::Purpose::Init, 0, 0);
        let n = 7;
        let logs: Vec<f64> = (0..n * n).map(|_| -3.0 * stream.uniform_f64() - 2.0).collect();
        let found = stationary(n, &logs);
        let mut x = vec![1.0 / n as f64; n];
        for _ in 0..5000 {
            let mut next = x.clone();
            for i in 0..n {
                for j in (0..n).filter(|&j| j != i) {
                    let flow = x[i] * logs[i * n + j].exp();
                    next[i] -= flow;
                    next[j] += flow;
                }
            }
            x = next;
        }
        assert!(close(&found, &x, 1e-10));
    }
}
