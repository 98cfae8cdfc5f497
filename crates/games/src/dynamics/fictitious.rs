//! Fictitious play (Brown 1951): each round everybody replies best to what the others have played so far, all at once,
//! ties to the lowest index. Payoffs are expected against shares of play, so that exact ties may be broken by rounding.

use crate::error::{Error, Result};
use crate::normal_form::{Mixed, NormalForm};

/// Counts of play, and the payoffs of each strategy against them.
#[derive(Debug, Clone)]
pub struct FictitiousPlay<'a> {
    game: &'a NormalForm<f64>,
    counts: Vec<Vec<u64>>,
    rounds: u64,
    /// Shares of play.
    shares: Mixed<f64>,
    /// What each strategy earns against them.
    earned: Vec<Vec<f64>>,
    replies: Vec<usize>,
}

impl<'a> FictitiousPlay<'a> {
    /// Play that starts with one round of this profile.
    ///
    /// # Errors
    /// If the profile does not fit the game.
    pub fn new(game: &'a NormalForm<f64>, first: &[usize]) -> Result<Self> {
        if first.len() != game.n_players() || first.iter().zip(game.shape()).any(|(&s, &n)| s >= n) {
            return Err(Error::invalid("the first profile must name one strategy of each player"));
        }
        let zeros = |&n: &usize| vec![0.0; n];
        let mut play = Self {
            game,
            counts: game.shape().iter().map(|&n| vec![0; n]).collect(),
            rounds: 0,
            shares: game.shape().iter().map(zeros).collect(),
            earned: game.shape().iter().map(zeros).collect(),
            replies: first.to_vec(),
        };
        play.note();
        Ok(play)
    }

    /// Counts `replies` as played.
    fn note(&mut self) {
        self.rounds += 1;
        let total = self.rounds as f64;
        for ((counts, shares), &reply) in self.counts.iter_mut().zip(&mut self.shares).zip(&self.replies) {
            counts[reply] += 1;
            shares.iter_mut().zip(&*counts).for_each(|(share, &count)| *share = count as f64 / total);
        }
    }

    /// One round.
    pub fn step(&mut self) {
        if let [_, n] = *self.game.shape() {
            let (a, b) = (self.game.table(0), self.game.table(1));
            for (earned, row) in self.earned[0].iter_mut().zip(a.chunks_exact(n)) {
                *earned = row.iter().zip(&self.shares[1]).map(|(u, y)| u * y).sum();
            }
            for (j, earned) in self.earned[1].iter_mut().enumerate() {
                *earned = b.iter().skip(j).step_by(n).zip(&self.shares[0]).map(|(u, x)| u * x).sum();
            }
        } else {
            for player in 0..self.game.n_players() {
                self.earned[player] = self.game.deviation_payoffs(player, &self.shares);
            }
        }
        for (reply, earned) in self.replies.iter_mut().zip(&self.earned) {
            *reply = (1..earned.len()).fold(0, |a, b| if earned[b] > earned[a] { b } else { a });
        }
        self.note();
    }

    /// How often each strategy of each player was played.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Shares of play.
    pub fn average(&self) -> Mixed<f64> {
        self.shares.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_approach_the_value_in_zero_sum_games_and_cycle_in_shapleys() {
        let biased =
            NormalForm::zero_sum(3, 3, vec![0.0, -0.25, 0.5, 0.25, 0.0, -0.05, -0.5, 0.05, 0.0]).unwrap();
        let mut play = FictitiousPlay::new(&biased, &[0, 0]).unwrap();
        (0..20_000).for_each(|_| play.step());
        assert!(biased.nash_conv(&play.average()) < 0.01);
        let a = vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let b = vec![0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let shapley = NormalForm::bimatrix(3, 3, a, b).unwrap();
        let mut play = FictitiousPlay::new(&shapley, &[0, 1]).unwrap();
        let mut least = f64::INFINITY;
        for round in 0..20_000 {
            play.step();
            if round > 100 {
                least = least.min(shapley.nash_conv(&play.average()));
            }
        }
        assert!(least > 0.1, "it came within {least} of an equilibrium");
    }

    #[test]
    fn three_players_reach_a_strict_equilibrium() {
        let same = |s: &[usize], _: usize| if s == [1, 1, 1] { 2.0 } else { f64::from(s == [0, 0, 0]) };
        let game = NormalForm::from_fn(&[2, 2, 2], same).unwrap();
        let mut play = FictitiousPlay::new(&game, &[1, 1, 0]).unwrap();
        (0..50).for_each(|_| play.step());
        assert!(play.average().iter().all(|x| x[1] > 0.9));
        assert!(
            FictitiousPlay::new(&game, &[1, 1]).is_err() && FictitiousPlay::new(&game, &[1, 1, 2]).is_err()
        );
    }
}
