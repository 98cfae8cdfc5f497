//! Commitment of a leader to a mixed strategy to which a follower replies best, ties in the leader's favor: one linear
//! program for each reply (Conitzer and Sandholm 2006).

use crate::error::{Error, Result};
use crate::linear::{Outcome, Program, Relation};
use crate::normal_form::NormalForm;
use crate::scalar::Scalar;

/// A commitment, the reply, and both payoffs.
#[derive(Debug, Clone, PartialEq)]
pub struct Commitment<S> {
    /// Mixed strategy of the leader (player 1).
    pub leader: Vec<S>,
    /// Reply of the follower (player 2).
    pub reply: usize,
    /// Expected payoffs of leader and follower.
    pub payoffs: [S; 2],
    /// For each reply, the best the leader gets with it; none where no commitment makes it a best reply.
    pub by_reply: Vec<Option<S>>,
}

/// The best commitment of player 1 in a game of two.
///
/// # Errors
/// If the game has another number of players than two, or floats lose their accuracy.
pub fn stackelberg<S: Scalar>(game: &NormalForm<S>) -> Result<Commitment<S>> {
    let &[m, n] = game.shape() else {
        let reason = format!("it needs two players and the game has {}", game.n_players());
        return Err(Error::DoesNotApply { method: "stackelberg", reason });
    };
    let (a, b) = (game.table(0), game.table(1));
    let mut best: Option<(S, Vec<S>, usize)> = None;
    let mut by_reply = Vec::with_capacity(n);
    for reply in 0..n {
        let mut program = Program::new((0..m).map(|i| a[i * n + reply].clone()).collect());
        for other in (0..n).filter(|&other| other != reply) {
            let line = (0..m).map(|i| b[i * n + other].clone() - &b[i * n + reply]);
            program.add(line.collect(), Relation::AtMost, S::zero());
        }
        program.add(vec![S::one(); m], Relation::Equal, S::one());
        let Outcome::Optimal(optimum) = program.solve()? else {
            by_reply.push(None);
            continue;
        };
        by_reply.push(Some(optimum.value.clone()));
        if best.as_ref().is_none_or(|(value, ..)| optimum.value > *value) {
            best = Some((optimum.value, optimum.primal, reply));
        }
    }
    let Some((value, leader, reply)) = best else {
        return Err(Error::Inaccurate { what: "the program of a commitment" });
    };
    let earned = leader.iter().enumerate().map(|(i, p)| p.clone() * &b[i * n + reply]);
    let follower = earned.fold(S::zero(), |sum, term| sum + &term);
    Ok(Commitment { leader, reply, payoffs: [value, follower], by_reply })
}
