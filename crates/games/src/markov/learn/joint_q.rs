//! Q-learning over joint actions, with the value of the next state given by a solution of the game there.
//!
//! What: one table `q_i(s, joint)` a player, `q_i += alpha (r_i + gamma V_i(s') - q_i)`, where `V_i(s')` is what player `i` gets
//! in a solution of the matrix game that the tables form in `s'`. The solution of a state is computed when its tables
//! change and played from there on.
//!
//! Solutions ([`Concept`]):
//! * minimax-Q (Littman 1994): the value of the zero-sum game of the player's own table.
//! * Friend-Q and friend-or-foe-Q (Littman 2001): the best joint action with a friend, minimax against a foe.
//! * Nash-Q (Hu and Wellman 2003): a Nash equilibrium, chosen by largest sum of payoffs, ties to the first one found.
//! * Correlated-Q (Greenwald and Hall 2003): a correlated equilibrium that is utilitarian (largest sum), egalitarian (largest
//!   minimum), republican (largest maximum), or libertarian (each player its own largest).
//!
//! Two players, except Friend-Q and correlated-Q. Solutions by a linear program allocate; minimax and friends do not.

use coact_core::Stream;

use super::super::stage::MatrixGame;
use super::super::{MarkovGame, sample};
use super::{MarkovLearner, Rates, Transition};
use crate::equilibrium::{self, correlated, lemke_howson, support_enumeration};
use crate::normal_form::NormalForm;
use crate::{Error, Result};

/// Sums of payoffs (of size 1) that differ by less are equal.
const TIE: f64 = 1e-9;

/// Which correlated equilibrium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Largest sum of payoffs.
    Utilitarian,
    /// Largest smallest payoff.
    Egalitarian,
    /// Largest payoff of any player.
    Republican,
    /// Each player the one it likes best; they play its marginals.
    Libertarian,
}

/// How a state is solved.
#[derive(Debug, Clone, PartialEq)]
pub enum Concept {
    /// Everybody against an adversary.
    Minimax,
    /// Everybody with everybody.
    Friend,
    /// For each of two players, whether the other is a friend.
    FriendOrFoe([bool; 2]),
    /// A Nash equilibrium.
    Nash,
    /// A correlated equilibrium.
    Correlated(Selection),
}

/// The learner of all players.
#[derive(Debug, Clone)]
pub struct JointQ {
    concept: Concept,
    rates: Rates,
    alpha: f64,
    gamma: f64,
    n_states: usize,
    n_actions: Vec<usize>,
    n_joint: usize,
    /// `[players, S, J]`.
    q: Vec<f64>,
    /// `[players, S]`.
    values: Vec<f64>,
    /// For each player `[S, A]`.
    strategies: Vec<Vec<f64>>,
    /// Joint distribution `[S, J]` that is played, for correlated equilibria; empty otherwise.
    correlated: Vec<f64>,
    solver: MatrixGame,
    payoff: Vec<f64>,
}

impl JointQ {
    /// A learner whose tables all start at `initial`, with uniform strategies. Littman starts minimax-Q at 1.
    ///
    /// # Errors
    /// Rates outside 0 to 1, or a concept that needs two players.
    pub fn new(game: &MarkovGame, concept: Concept, rates: Rates, initial: f64) -> Result<Self> {
        rates.check()?;
        let players = game.n_players();
        let any_number = matches!(concept, Concept::Friend | Concept::Correlated(_));
        if players != 2 && !any_number {
            return Err(Error::DoesNotApply {
                method: "a learner of stage games",
                reason: format!(
                    "{concept:?} needs two players, the game has {players}; use Friend or Correlated"
                ),
            });
        }
        let (n_states, n_joint) = (game.n_states(), game.n_joint());
        let terminal = |i: usize| if game.is_terminal(i % n_states) { 0.0 } else { initial };
        let shared = matches!(concept, Concept::Correlated(s) if s != Selection::Libertarian);
        Ok(Self {
            concept,
            rates,
            alpha: rates.alpha,
            gamma: game.gamma(),
            n_states,
            n_actions: game.n_actions().to_vec(),
            n_joint,
            q: vec![initial; players * n_states * n_joint],
            values: (0..players * n_states).map(terminal).collect(),
            strategies: game.n_actions().iter().map(|&n| vec![1.0 / n as f64; n * n_states]).collect(),
            correlated: if shared { vec![1.0 / n_joint as f64; n_states * n_joint] } else { Vec::new() },
            solver: MatrixGame::default(),
            payoff: vec![0.0; n_joint],
        })
    }

    /// Value of a state to a player.
    pub fn value(&self, player: usize, state: usize) -> f64 {
        self.values[player * self.n_states + state]
    }

    /// Table of a player in a state, `[J]`.
    pub fn q(&self, player: usize, state: usize) -> &[f64] {
        &self.q[(player * self.n_states + state) * self.n_joint..][..self.n_joint]
    }

    /// Distribution over joint actions that is played in a state, for correlated equilibria other than libertarian.
    pub fn correlated(&self, state: usize) -> Option<&[f64]> {
        self.correlated.get(state * self.n_joint..(state + 1) * self.n_joint)
    }

    fn set(&mut self, player: usize, state: usize, value: f64) {
        self.values[player * self.n_states + state] = value;
    }

    fn solve(&mut self, state: usize) -> Result<()> {
        match self.concept.clone() {
            Concept::Minimax => (0..2).for_each(|player| self.foe(player, state)),
            Concept::Friend => (0..self.n_actions.len()).for_each(|player| self.friend(player, state)),
            Concept::FriendOrFoe(friends) => {
                for (player, is_friend) in friends.into_iter().enumerate() {
                    if is_friend { self.friend(player, state) } else { self.foe(player, state) }
                }
            }
            Concept::Nash => self.nash(state)?,
            Concept::Correlated(selection) => self.correlate(state, selection)?,
        }
        Ok(())
    }

    /// Minimax strategy and value of a player's own table.
    fn foe(&mut self, player: usize, state: usize) {
        let (own, other) = (self.n_actions[player], self.n_actions[1 - player]);
        let q = &self.q[(player * self.n_states + state) * self.n_joint..][..self.n_joint];
        for (i, x) in self.payoff.iter_mut().enumerate() {
            let (a, b) = (i / other, i % other);
            *x = if player == 0 { q[a * other + b] } else { q[b * own + a] };
        }
        let value = self.solver.solve(&self.payoff, own, other);
        self.strategies[player][state * own..][..own].copy_from_slice(&self.solver.row);
        self.set(player, state, value);
    }

    /// The player's part of the joint action that its own table likes best.
    fn friend(&mut self, player: usize, state: usize) {
        let q = self.q(player, state);
        let best = (1..q.len()).fold(0, |best, j| if q[j] > q[best] { j } else { best });
        let value = q[best];
        let action = self.action_of(best, player);
        let n = self.n_actions[player];
        let strategy = &mut self.strategies[player][state * n..][..n];
        strategy.fill(0.0);
        strategy[action] = 1.0;
        self.set(player, state, value);
    }

    fn action_of(&self, joint: usize, player: usize) -> usize {
        let after: usize = self.n_actions[player + 1..].iter().product();
        joint / after % self.n_actions[player]
    }

    fn correlate(&mut self, state: usize, selection: Selection) -> Result<()> {
        let players = self.n_actions.len();
        let libertarian = selection == Selection::Libertarian;
        let game = self.stage(state)?;
        let best = |which| -> Result<Vec<f64>> {
            let mut x = correlated(&game, equilibrium::Concept::Correlated, which)?.joint;
            x.iter_mut().for_each(|p| *p = p.max(0.0));
            let total: f64 = x.iter().sum();
            x.iter_mut().for_each(|p| *p /= total);
            Ok(x)
        };
        let mut shared = match selection {
            Selection::Utilitarian => best(equilibrium::Selection::Welfare)?,
            Selection::Egalitarian => best(equilibrium::Selection::Egalitarian)?,
            Selection::Republican | Selection::Libertarian => Vec::new(),
        };
        if matches!(selection, Selection::Republican | Selection::Libertarian) {
            let mut highest = f64::NEG_INFINITY;
            for player in 0..players {
                let x = best(equilibrium::Selection::Player(player))?;
                let value: f64 = x.iter().zip(self.q(player, state)).map(|(x, q)| x * q).sum();
                if libertarian {
                    self.play_marginal(player, state, &x);
                    self.set(player, state, value);
                } else if value > highest {
                    highest = value;
                    shared = x;
                }
            }
        }
        if !libertarian {
            for player in 0..players {
                let value = shared.iter().zip(self.q(player, state)).map(|(x, q)| x * q).sum();
                self.set(player, state, value);
                self.play_marginal(player, state, &shared);
            }
            self.correlated[state * self.n_joint..][..self.n_joint].copy_from_slice(&shared);
        }
        Ok(())
    }

    fn play_marginal(&mut self, player: usize, state: usize, x: &[f64]) {
        let n = self.n_actions[player];
        let actions: Vec<usize> = (0..self.n_joint).map(|joint| self.action_of(joint, player)).collect();
        let strategy = &mut self.strategies[player][state * n..][..n];
        strategy.fill(0.0);
        actions.iter().zip(x).for_each(|(&a, x)| strategy[a] += x);
    }

    /// The tables of a state as a game in normal form, scaled to size 1.
    fn stage(&self, state: usize) -> Result<NormalForm<f64>> {
        let tables: Vec<&[f64]> = (0..self.n_actions.len()).map(|player| self.q(player, state)).collect();
        let largest = tables.iter().flat_map(|t| t.iter()).fold(0.0_f64, |a, x| a.max(x.abs()));
        let scale = if largest > 0.0 { largest.recip() } else { 1.0 };
        let scaled = tables.iter().map(|t| t.iter().map(|q| q * scale).collect()).collect();
        NormalForm::new(&self.n_actions, scaled)
    }

    /// The Nash equilibrium with the largest sum of payoffs, of those with supports of equal size; where there is none (the
    /// tables are degenerate), the one at the end of a Lemke-Howson path.
    fn nash(&mut self, state: usize) -> Result<()> {
        let game = self.stage(state)?;
        let mut best: Option<(f64, Vec<Vec<f64>>)> = None;
        for mixed in support_enumeration(&game, &mut |_| true)? {
            let sum: f64 = game.values(&mixed).iter().sum();
            if best.as_ref().is_none_or(|(b, _)| sum > b + TIE) {
                best = Some((sum, mixed));
            }
        }
        let mixed = match best {
            Some((_, mixed)) => mixed,
            None => lemke_howson(&game, 0, &mut |_| true)?.mixed,
        };
        for (player, strategy) in mixed.iter().enumerate() {
            let n = self.n_actions[player];
            let q = self.q(player, state);
            let profile = |joint: usize| -> f64 {
                mixed[0][joint / self.n_actions[1]] * mixed[1][joint % self.n_actions[1]]
            };
            let value = (0..self.n_joint).map(|joint| profile(joint) * q[joint]).sum();
            self.strategies[player][state * n..][..n].copy_from_slice(strategy);
            self.set(player, state, value);
        }
        Ok(())
    }
}

impl MarkovLearner for JointQ {
    fn act(&mut self, state: usize, rng: &mut Stream, actions: &mut [usize]) {
        let together = self.correlated(state).map(|x| sample(x.iter().copied(), rng));
        for (player, action) in actions.iter_mut().enumerate() {
            let n = self.n_actions[player];
            *action = if rng.uniform_f64() < self.rates.explore {
                rng.below(n as u32) as usize
            } else if let Some(joint) = together {
                self.action_of(joint, player)
            } else {
                sample(self.strategies[player][state * n..][..n].iter().copied(), rng)
            };
        }
    }

    fn update(&mut self, step: &Transition<'_>) -> Result<()> {
        for player in 0..self.n_actions.len() {
            let after = if step.terminated { 0.0 } else { self.value(player, step.next) };
            let q = &mut self.q[(player * self.n_states + step.state) * self.n_joint + step.joint];
            *q += self.alpha * (step.rewards[player] + self.gamma * after - *q);
        }
        self.alpha = (self.alpha * self.rates.alpha_decay).max(self.rates.alpha_min);
        self.solve(step.state)
    }

    fn strategy(&self, player: usize, state: usize) -> &[f64] {
        let n = self.n_actions[player];
        &self.strategies[player][state * n..][..n]
    }

    fn set_rates(&mut self, alpha: f64, explore: f64) {
        self.alpha = alpha;
        self.rates.explore = explore;
    }
}
