//! Play without regret: regret matching (Hart and Mas-Colell 2000), regret matching+ (Tammelin 2014) and Hedge (Freund
//! and Schapire 1997), each player against the others' current mixed strategies, all at once.
//!
//! Regret per round is at most `range * sqrt(n / rounds)` for both kinds of regret matching, and about `range *
//! sqrt(2 ln n / rounds)` for Hedge with the rate used where none is given, `sqrt(8 ln n / round) / range`; tests
//! hold each to its bound.

use crate::error::{Error, Result};
use crate::exponential::{exp, ln};
use crate::normal_form::{Mixed, NormalForm, maximum, minimum};

/// How a player turns past regrets into a strategy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// In proportion to positive regrets.
    RegretMatching,
    /// The same with regrets that never fall below zero; averages weigh rounds linearly.
    RegretMatchingPlus,
    /// In proportion to `exp(rate * regret)`; none: the rate that falls with the root of the round.
    Hedge(Option<f64>),
}

/// Play of all players by one rule.
#[derive(Debug, Clone)]
pub struct RegretPlay<'a> {
    game: &'a NormalForm<f64>,
    rule: Rule,
    rounds: u64,
    current: Mixed<f64>,
    /// What the rule goes by.
    regrets: Vec<Vec<f64>>,
    /// Sum over rounds of what each strategy would have earned more.
    missed: Vec<Vec<f64>>,
    weighted: Mixed<f64>,
    weight: f64,
    ranges: Vec<f64>,
}

impl<'a> RegretPlay<'a> {
    /// Play from uniform strategies.
    ///
    /// # Errors
    /// If a rate is not positive and finite.
    pub fn new(game: &'a NormalForm<f64>, rule: Rule) -> Result<Self> {
        if let Rule::Hedge(Some(rate)) = rule
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(Error::invalid(format!("the rate of Hedge is {rate}; give a positive number")));
        }
        let zeros: Mixed<f64> = game.shape().iter().map(|&n| vec![0.0; n]).collect();
        Ok(Self {
            game,
            rule,
            rounds: 0,
            current: game.shape().iter().map(|&n| vec![1.0 / n as f64; n]).collect(),
            regrets: zeros.clone(),
            missed: zeros.clone(),
            weighted: zeros,
            weight: 0.0,
            ranges: (0..game.n_players()).map(|i| maximum(game.table(i)) - minimum(game.table(i))).collect(),
        })
    }

    /// One round.
    pub fn step(&mut self) {
        self.rounds += 1;
        let weight = if self.rule == Rule::RegretMatchingPlus { self.rounds as f64 } else { 1.0 };
        self.weight += weight;
        for (sum, x) in self.weighted.iter_mut().flatten().zip(self.current.iter().flatten()) {
            *sum += weight * x;
        }
        for player in 0..self.game.n_players() {
            let earned = self.game.deviation_payoffs(player, &self.current);
            let value: f64 = earned.iter().zip(&self.current[player]).map(|(u, p)| u * p).sum();
            for (s, u) in earned.iter().enumerate() {
                self.missed[player][s] += u - value;
                let regret = &mut self.regrets[player][s];
                *regret += u - value;
                if self.rule == Rule::RegretMatchingPlus {
                    *regret = regret.max(0.0);
                }
            }
        }
        for player in 0..self.game.n_players() {
            self.react(player);
        }
    }

    fn react(&mut self, player: usize) {
        let (regrets, x) = (&self.regrets[player], &mut self.current[player]);
        match self.rule {
            Rule::RegretMatching | Rule::RegretMatchingPlus => {
                x.iter_mut().zip(regrets).for_each(|(x, r)| *x = r.max(0.0));
            }
            Rule::Hedge(rate) => {
                let best = regrets.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
                let range = if self.ranges[player] > 0.0 { self.ranges[player] } else { 1.0 };
                let falling = (8.0 * ln(x.len() as f64) / (self.rounds + 1) as f64).sqrt() / range;
                let rate = rate.unwrap_or(falling);
                x.iter_mut().zip(regrets).for_each(|(x, r)| *x = exp(rate * (r - best)));
            }
        }
        let sum: f64 = x.iter().sum();
        let n = x.len() as f64;
        x.iter_mut().for_each(|x| *x = if sum > 0.0 { *x / sum } else { 1.0 / n });
    }

    /// The strategies of the next round.
    pub fn current(&self) -> &Mixed<f64> {
        &self.current
    }

    /// The average strategies; uniform before the first round.
    pub fn average(&self) -> Mixed<f64> {
        match self.rounds {
            0 => self.current.clone(),
            _ => self.weighted.iter().map(|x| x.iter().map(|p| p / self.weight).collect()).collect(),
        }
    }

    /// For each player, what the best fixed strategy would have earned more a round.
    pub fn regret_per_round(&self) -> Vec<f64> {
        let best = |missed: &Vec<f64>| maximum(missed) / self.rounds.max(1) as f64;
        self.missed.iter().map(best).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn games() -> Vec<NormalForm<f64>> {
        let mut stream = coact_core::Stream::new(3, coact_core::Purpose::Init, 0, 0);
        let shapes: [&[usize]; 4] = [&[3, 3], &[5, 2], &[2, 3, 2], &[4]];
        let mut random =
            |shape: &[usize]| NormalForm::from_fn(shape, |_, _| stream.uniform_f64() * 10.0 - 3.0).unwrap();
        shapes.iter().map(|shape| random(shape)).collect()
    }

    #[test]
    fn regret_keeps_its_bound() {
        for game in games() {
            for rule in [Rule::RegretMatching, Rule::RegretMatchingPlus, Rule::Hedge(None)] {
                let mut play = RegretPlay::new(&game, rule).unwrap();
                for round in 1..=2000u32 {
                    play.step();
                    for (player, regret) in play.regret_per_round().into_iter().enumerate() {
                        let n = game.shape()[player] as f64;
                        let range = maximum(game.table(player)) - minimum(game.table(player));
                        let bound = match rule {
                            Rule::Hedge(_) => {
                                (2.0 * n.ln() / f64::from(round)).sqrt() + 1.0 / f64::from(round)
                            }
                            _ => (n / f64::from(round)).sqrt(),
                        };
                        assert!(regret <= range * bound + 1e-12, "{rule:?} round {round}: {regret}");
                    }
                }
            }
        }
    }

    #[test]
    fn averages_approach_the_value_in_zero_sum_games() {
        let biased =
            NormalForm::zero_sum(3, 3, vec![0.0, -0.25, 0.5, 0.25, 0.0, -0.05, -0.5, 0.05, 0.0]).unwrap();
        for rule in
            [Rule::RegretMatching, Rule::RegretMatchingPlus, Rule::Hedge(None), Rule::Hedge(Some(0.1))]
        {
            let mut play = RegretPlay::new(&biased, rule).unwrap();
            (0..5000).for_each(|_| play.step());
            assert!(biased.nash_conv(&play.average()) < 0.02, "{rule:?}");
        }
        assert!(RegretPlay::new(&biased, Rule::Hedge(Some(0.0))).is_err());
    }
}
