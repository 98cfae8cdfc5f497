//! Populations that grow by best responses: policy-space response oracles (Lanctot et al. 2017), of which double oracle
//! (McMahan, Gordon and Blum 2003) is the case with exact equilibria and exact best responses.
//!
//! The game is known only through an [`Oracle`]: it plays policies against each other and answers mixtures of policies by a
//! new policy. A matrix game, a solver of extensive-form games and a learner are all oracles.

use crate::dynamics::{RegretPlay, Rule, multi_replicator_step};
use crate::equilibrium::{lemke_howson, zero_sum};
use crate::error::{Error, Result};
use crate::normal_form::{Mixed, NormalForm, advance};

/// A game as populations of policies see it.
pub trait Oracle {
    /// What a player may do in the whole game.
    type Policy: Clone + PartialEq;

    /// Number of players.
    fn n_players(&self) -> usize;

    /// A policy to start from.
    ///
    /// # Errors
    /// What the oracle cannot do.
    fn first(&mut self, player: usize) -> Result<Self::Policy>;

    /// Expected payoff of each player when these policies meet.
    ///
    /// # Errors
    /// What the oracle cannot do.
    fn payoffs(&mut self, policies: &[&Self::Policy]) -> Result<Vec<f64>>;

    /// A policy for `player` that answers the others' mixtures over their populations, best or at least better.
    ///
    /// # Errors
    /// What the oracle cannot do.
    fn respond(
        &mut self,
        player: usize,
        populations: &[Vec<Self::Policy>],
        mixtures: &Mixed<f64>,
    ) -> Result<Self::Policy>;
}

impl<O: Oracle> Oracle for &mut O {
    type Policy = O::Policy;

    fn n_players(&self) -> usize {
        (**self).n_players()
    }

    fn first(&mut self, player: usize) -> Result<Self::Policy> {
        (**self).first(player)
    }

    fn payoffs(&mut self, policies: &[&Self::Policy]) -> Result<Vec<f64>> {
        (**self).payoffs(policies)
    }

    fn respond(
        &mut self,
        player: usize,
        populations: &[Vec<Self::Policy>],
        mixtures: &Mixed<f64>,
    ) -> Result<Self::Policy> {
        (**self).respond(player, populations, mixtures)
    }
}

/// How mixtures over populations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaSolver {
    /// An equilibrium: by a linear program where the game is zero-sum, else by Lemke-Howson; two players only.
    Nash,
    /// All policies alike, which makes the whole fictitious play.
    Uniform,
    /// Averages of regret matching.
    RegretMatching,
    /// Replicator dynamics kept away from the borders.
    ProjectedReplicator,
}

/// One round's outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct PsroRound {
    /// Mixture over each population.
    pub mixtures: Mixed<f64>,
    /// Expected payoff of each player under the mixtures.
    pub values: Vec<f64>,
    /// Sum over players of what the new responses gain; zero at an equilibrium, if responses are best.
    pub nash_conv: f64,
    /// Players that found a policy not yet in their population.
    pub n_new: usize,
}

/// Populations under growth.
#[derive(Debug)]
pub struct Psro<O: Oracle> {
    oracle: O,
    solver: MetaSolver,
    populations: Vec<Vec<O::Policy>>,
    /// The empirical game.
    game: NormalForm<f64>,
}

impl<O: Oracle> Psro<O> {
    /// Populations of one policy each.
    ///
    /// # Errors
    /// What the oracle cannot do, or a solver that does not fit the number of players.
    pub fn new(mut oracle: O, solver: MetaSolver) -> Result<Self> {
        let n = oracle.n_players();
        if solver == MetaSolver::Nash && n != 2 {
            let reason = format!("it needs two players and the game has {n}; use regret matching");
            return Err(Error::DoesNotApply { method: "nash", reason });
        }
        let populations: Vec<Vec<O::Policy>> =
            (0..n).map(|player| Ok(vec![oracle.first(player)?])).collect::<Result<_>>()?;
        let first: Vec<&O::Policy> = populations.iter().map(|p| &p[0]).collect();
        let payoffs = oracle.payoffs(&first)?;
        let game = NormalForm::new(&vec![1; n], payoffs.into_iter().map(|u| vec![u]).collect())?;
        Ok(Self { oracle, solver, populations, game })
    }

    /// Solves the empirical game, asks for responses, and adds those that are new.
    ///
    /// # Errors
    /// What the oracle or the solver cannot do.
    pub fn round(&mut self) -> Result<PsroRound> {
        let mixtures = solve_empirical(&self.game, self.solver)?;
        let values = self.game.values(&mixtures);
        let (mut nash_conv, mut responses) = (0.0, Vec::with_capacity(values.len()));
        for (player, value) in values.iter().enumerate() {
            let policy = self.oracle.respond(player, &self.populations, &mixtures)?;
            nash_conv += (self.expected(player, &policy, &mixtures)? - value).max(0.0);
            responses.push(policy);
        }
        let old: Vec<usize> = self.populations.iter().map(Vec::len).collect();
        for (population, policy) in self.populations.iter_mut().zip(responses) {
            if !population.contains(&policy) {
                population.push(policy);
            }
        }
        let n_new = self.populations.iter().zip(&old).filter(|(p, n)| p.len() > **n).count();
        self.fill(&old)?;
        Ok(PsroRound { mixtures, values, nash_conv, n_new })
    }

    /// Payoff of a policy against the others' mixtures.
    fn expected(&mut self, player: usize, policy: &O::Policy, mixtures: &Mixed<f64>) -> Result<f64> {
        let mut shape: Vec<usize> = self.populations.iter().map(Vec::len).collect();
        shape[player] = 1;
        let mut profile = vec![0; shape.len()];
        let mut sum = 0.0;
        loop {
            let weight: f64 =
                (0..shape.len()).filter(|&i| i != player).map(|i| mixtures[i][profile[i]]).product();
            if weight > 0.0 {
                let pick = |i: usize| if i == player { policy } else { &self.populations[i][profile[i]] };
                let policies: Vec<&O::Policy> = (0..shape.len()).map(pick).collect();
                sum += weight * self.oracle.payoffs(&policies)?[player];
            }
            if !advance(&mut profile, &shape) {
                return Ok(sum);
            }
        }
    }

    /// Plays the profiles that the empirical game lacks.
    fn fill(&mut self, old: &[usize]) -> Result<()> {
        let shape: Vec<usize> = self.populations.iter().map(Vec::len).collect();
        let mut tables = vec![Vec::new(); shape.len()];
        let mut profile = vec![0; shape.len()];
        loop {
            let known = profile.iter().zip(old).all(|(s, n)| s < n);
            let payoffs = match known {
                true => (0..shape.len()).map(|i| *self.game.payoff(&profile, i)).collect(),
                false => {
                    let policies: Vec<&O::Policy> =
                        profile.iter().zip(&self.populations).map(|(&s, p)| &p[s]).collect();
                    self.oracle.payoffs(&policies)?
                }
            };
            tables.iter_mut().zip(payoffs).for_each(|(table, u)| table.push(u));
            if !advance(&mut profile, &shape) {
                break;
            }
        }
        self.game = NormalForm::new(&shape, tables)?;
        Ok(())
    }

    /// The policies found so far.
    pub fn populations(&self) -> &[Vec<O::Policy>] {
        &self.populations
    }

    /// Payoffs of all policies against each other.
    pub fn empirical_game(&self) -> &NormalForm<f64> {
        &self.game
    }
}

/// Mixtures over the strategies of an empirical game.
fn solve_empirical(game: &NormalForm<f64>, solver: MetaSolver) -> Result<Mixed<f64>> {
    let uniform = || game.shape().iter().map(|&n| vec![1.0 / n as f64; n]).collect();
    match solver {
        MetaSolver::Uniform => Ok(uniform()),
        MetaSolver::Nash if game.is_constant_sum() => {
            let solution = zero_sum(game.shape()[0], game.shape()[1], game.table(0))?;
            Ok(vec![solution.row, solution.column])
        }
        MetaSolver::Nash => Ok(lemke_howson(game, 0, &mut |_| true)?.mixed),
        MetaSolver::RegretMatching => {
            let mut play = RegretPlay::new(game, Rule::RegretMatching)?;
            (0..2000).for_each(|_| play.step());
            Ok(play.average())
        }
        MetaSolver::ProjectedReplicator => {
            // Shares stay above this floor, and the average over the path is taken.
            const FLOOR: f64 = 1e-6;
            let mut shares: Mixed<f64> = uniform();
            let mut sums: Mixed<f64> = game.shape().iter().map(|&n| vec![0.0; n]).collect();
            let size =
                (0..game.n_players()).flat_map(|i| game.table(i)).fold(1e-12f64, |a, u| a.max(u.abs()));
            for _ in 0..2000 {
                multi_replicator_step(game, &mut shares, 0.1 / size);
                for (x, sums) in shares.iter_mut().zip(&mut sums) {
                    x.iter_mut().for_each(|p| *p = p.max(FLOOR));
                    let total: f64 = x.iter().sum();
                    x.iter_mut().for_each(|p| *p /= total);
                    sums.iter_mut().zip(&*x).for_each(|(s, p)| *s += p);
                }
            }
            sums.iter_mut().for_each(|sums| {
                let total: f64 = sums.iter().sum();
                sums.iter_mut().for_each(|s| *s /= total);
            });
            Ok(sums)
        }
    }
}

/// Double oracle: rounds with exact equilibria until no player gains more than `tolerance` in sum.
///
/// # Errors
/// What the oracle cannot do, or that `max_rounds` were not enough.
pub fn double_oracle<O: Oracle>(
    oracle: &mut O,
    max_rounds: usize,
    tolerance: f64,
) -> Result<(Vec<Vec<O::Policy>>, PsroRound)> {
    let mut psro = Psro::new(&mut *oracle, MetaSolver::Nash)?;
    for _ in 0..max_rounds {
        let before = psro.populations.clone();
        let round = psro.round()?;
        if round.nash_conv <= tolerance || round.n_new == 0 {
            return Ok((before, round));
        }
    }
    Err(Error::Stopped { what: "double oracle", after: max_rounds })
}

/// A game in normal form as an oracle with exact best responses; policies are strategies.
#[derive(Debug)]
pub struct MatrixOracle<'a> {
    /// The game.
    pub game: &'a NormalForm<f64>,
}

impl Oracle for MatrixOracle<'_> {
    type Policy = usize;

    fn n_players(&self) -> usize {
        self.game.n_players()
    }

    fn first(&mut self, _player: usize) -> Result<usize> {
        Ok(0)
    }

    fn payoffs(&mut self, policies: &[&usize]) -> Result<Vec<f64>> {
        let profile: Vec<usize> = policies.iter().map(|&&s| s).collect();
        Ok((0..profile.len()).map(|i| *self.game.payoff(&profile, i)).collect())
    }

    fn respond(&mut self, player: usize, populations: &[Vec<usize>], mixtures: &Mixed<f64>) -> Result<usize> {
        let mut mixed: Mixed<f64> = self.game.shape().iter().map(|&n| vec![0.0; n]).collect();
        for ((x, population), mixture) in mixed.iter_mut().zip(populations).zip(mixtures) {
            population.iter().zip(mixture).for_each(|(&s, p)| x[s] += p);
        }
        let earned = self.game.deviation_payoffs(player, &mixed);
        Ok((1..earned.len()).fold(0, |a, b| if earned[b] > earned[a] { b } else { a }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(shape: &[usize], zero_sum: bool, seed: u64) -> NormalForm<f64> {
        let mut stream = coact_core::Stream::new(seed, coact_core::Purpose::Init, 0, 0);
        let table: Vec<f64> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
        let other = |u: &f64| if zero_sum { -u } else { stream.normal() };
        let second = table.iter().map(other).collect();
        NormalForm::new(shape, vec![table, second]).unwrap()
    }

    #[test]
    fn double_oracle_ends_at_an_equilibrium_of_the_whole_game() {
        for (seed, zero_sum) in [(1, true), (2, true), (3, false), (4, false)] {
            let game = random(&[12, 9], zero_sum, seed);
            let (populations, last) = double_oracle(&mut MatrixOracle { game: &game }, 100, 1e-9).unwrap();
            let mut mixed: Mixed<f64> = game.shape().iter().map(|&n| vec![0.0; n]).collect();
            for ((x, population), p) in mixed.iter_mut().zip(&populations).zip(&last.mixtures) {
                population.iter().zip(p).for_each(|(&s, p)| x[s] = *p);
            }
            assert!(game.nash_conv(&mixed) < 1e-8);
        }
    }

    #[test]
    fn other_solvers_come_close_or_say_why_not() {
        let game = random(&[8, 8], true, 7);
        for solver in [MetaSolver::Uniform, MetaSolver::RegretMatching, MetaSolver::ProjectedReplicator] {
            let mut oracle = MatrixOracle { game: &game };
            let mut psro = Psro::new(&mut oracle, solver).unwrap();
            let first = psro.round().unwrap().nash_conv;
            let last = (0..40).map(|_| psro.round().unwrap().nash_conv).last().unwrap();
            assert!(last < 0.8 * first, "{solver:?}: {first} to {last}");
            let shape: Vec<usize> = psro.populations().iter().map(Vec::len).collect();
            assert_eq!(psro.empirical_game().shape(), shape);
        }
        let three = NormalForm::from_fn(&[2, 2, 2], |s, i| s[i] as f64).unwrap();
        assert!(Psro::new(&mut MatrixOracle { game: &three }, MetaSolver::Nash).is_err());
        let mut oracle = MatrixOracle { game: &three };
        let mut psro = Psro::new(&mut oracle, MetaSolver::RegretMatching).unwrap();
        (0..4).for_each(|_| drop(psro.round().unwrap()));
        assert!(psro.populations().iter().all(|p| p.contains(&1)));
    }
}
