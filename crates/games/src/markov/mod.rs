//! Markov (stochastic) games: several players move at once, and where they go next is random.
//!
//! * [`MarkovGame`] holds a finite one as tables; [`soccer`] and [`grid_games`] build well-known ones.
//! * [`shapley`] solves zero-sum games of two players, by Shapley's iteration and by its Newton form.
//! * [`certificate`] proves a solution, by code of its own.
//! * [`learn`] holds the learners: minimax-Q, Nash-Q, correlated-Q, friend-or-foe-Q and WoLF-PHC.
//!
//! Not here: a single decision maker, and teams with one reward (the tabular crate).

pub mod certificate;
pub mod file;
pub mod grid_games;
pub mod learn;
pub mod shapley;
pub mod soccer;
pub mod stage;

use coact_core::Stream;

use crate::{Error, Result};

/// How far probabilities of a row may miss 1 in sum: files round.
const ROW_TOLERANCE: f64 = 1e-6;

/// A finite Markov game as tables. Joint actions are numbered with the last player's action fastest; a terminal state
/// has value 0 and entering it ends the episode.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkovGame {
    n_states: usize,
    n_actions: Vec<usize>,
    n_joint: usize,
    gamma: f64,
    /// Rows `(s, joint)`: `offsets[row]..offsets[row + 1]`.
    offsets: Vec<usize>,
    next: Vec<u32>,
    prob: Vec<f64>,
    /// Expected reward `[players, S, joint]`.
    reward: Vec<f64>,
    terminal: Vec<bool>,
    start: Vec<f64>,
}

/// Collects the outcomes of a [`MarkovGame`].
#[derive(Debug, Clone)]
pub struct MarkovGameBuilder {
    game: MarkovGame,
    /// `(row, next, prob)`.
    entries: Vec<(usize, u32, f64)>,
    fault: Option<Error>,
}

impl MarkovGameBuilder {
    /// A game of so many states with these numbers of actions, one a player.
    pub fn new(n_states: usize, n_actions: &[usize], gamma: f64) -> Self {
        let n_joint = n_actions.iter().try_fold(1_usize, |n, &k| n.checked_mul(k)).unwrap_or(usize::MAX);
        let rows = n_states.checked_mul(n_joint).filter(|&rows| rows <= 1 << 26 && n_actions.len() <= 64);
        let mut fault = None;
        if rows.is_none_or(|rows| rows == 0) || n_actions.is_empty() {
            fault = Some(Error::Invalid(format!(
                "a Markov game of {n_states} states and actions {n_actions:?}; it needs at least one of each, and at \
                 most 2^26 pairs of state and joint action"
            )));
        }
        if !(0.0..=1.0).contains(&gamma) {
            fault = Some(Error::Invalid(format!("gamma is {gamma}; expected a number from 0 to 1")));
        }
        let (n_states, n_joint, rows) =
            if fault.is_some() { (0, 0, 0) } else { (n_states, n_joint, rows.unwrap_or(0)) };
        let mut start = vec![0.0; n_states];
        if let Some(first) = start.first_mut() {
            *first = 1.0;
        }
        let game = MarkovGame {
            n_states,
            n_actions: n_actions.to_vec(),
            n_joint,
            gamma,
            offsets: Vec::new(),
            next: Vec::new(),
            prob: Vec::new(),
            reward: vec![0.0; rows * n_actions.len()],
            terminal: vec![false; n_states],
            start,
        };
        Self { game, entries: Vec::new(), fault }
    }

    /// Adds an outcome of joint action `joint` in `state`: probability `prob`, and `rewards` (one a player) on the way.
    pub fn outcome(
        &mut self,
        state: usize,
        joint: usize,
        next: usize,
        prob: f64,
        rewards: &[f64],
    ) -> &mut Self {
        if self.fault.is_some() {
            return self;
        }
        let g = &mut self.game;
        let players = g.n_actions.len();
        let inside = state < g.n_states && next < g.n_states && joint < g.n_joint && rewards.len() == players;
        if !inside || !prob.is_finite() || prob < 0.0 || rewards.iter().any(|r| !r.is_finite()) {
            self.fault = Some(Error::Invalid(format!(
                "outcome of state {state}, joint action {joint}, next state {next} with probability {prob} and rewards \
                 {rewards:?} does not fit {} states, {} joint actions and {players} players",
                g.n_states, g.n_joint
            )));
            return self;
        }
        let row = state * g.n_joint + joint;
        for (player, reward) in rewards.iter().enumerate() {
            g.reward[player * g.n_states * g.n_joint + row] += prob * reward;
        }
        if prob > 0.0 {
            self.entries.push((row, next as u32, prob));
        }
        self
    }

    /// Makes a state terminal.
    pub fn terminal(&mut self, state: usize) -> &mut Self {
        match self.game.terminal.get_mut(state) {
            Some(t) => *t = true,
            None => {
                self.fault.get_or_insert(Error::Invalid(format!("there is no state {state} to be terminal")));
            }
        }
        self
    }

    /// Sets where episodes start.
    pub fn start(&mut self, distribution: &[f64]) -> &mut Self {
        self.game.start = distribution.to_vec();
        self
    }

    /// The game.
    ///
    /// # Errors
    /// The first fault of what was added, or probabilities that do not sum to one.
    pub fn build(mut self) -> Result<MarkovGame> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut g = self.game;
        self.entries.sort_by_key(|&(row, next, _)| (row, next));
        let mut last = None;
        for (row, next, prob) in self.entries {
            match g.prob.last_mut() {
                Some(p) if last == Some((row, next)) => *p += prob,
                _ => {
                    while g.offsets.len() <= row {
                        g.offsets.push(g.next.len());
                    }
                    g.next.push(next);
                    g.prob.push(prob);
                }
            }
            last = Some((row, next));
        }
        g.offsets.resize(g.n_states * g.n_joint + 1, g.next.len());
        let total: f64 = g.start.iter().sum();
        if g.start.len() != g.n_states
            || g.start.iter().any(|p| !(0.0..=1.0 + ROW_TOLERANCE).contains(p))
            || (total - 1.0).abs() > ROW_TOLERANCE
        {
            return Err(Error::Invalid(format!(
                "the start distribution has {} entries that sum to {total}; expected {} probabilities that sum to 1",
                g.start.len(),
                g.n_states
            )));
        }
        for row in (0..g.n_states * g.n_joint).filter(|row| !g.terminal[row / g.n_joint]) {
            let sum: f64 = g.prob[g.offsets[row]..g.offsets[row + 1]].iter().sum();
            if (sum - 1.0).abs() > ROW_TOLERANCE {
                return Err(Error::Invalid(format!(
                    "probabilities of state {}, joint action {} sum to {sum}, not to 1; correct the row",
                    row / g.n_joint,
                    row % g.n_joint
                )));
            }
        }
        Ok(g)
    }
}

impl MarkovGame {
    /// A zero-sum game of two players from full tables: `reward` `[S, A, B]` to the first player and `transition`
    /// `[S, A, B, S]`.
    ///
    /// # Errors
    /// Lengths that do not fit, numbers that are not finite, rows that do not sum to one.
    pub fn zero_sum(
        n_states: usize,
        n_actions: [usize; 2],
        gamma: f64,
        reward: &[f64],
        transition: &[f64],
    ) -> Result<Self> {
        let mut b = MarkovGameBuilder::new(n_states, &n_actions, gamma);
        let rows = n_states.saturating_mul(n_actions[0]).saturating_mul(n_actions[1]);
        if reward.len() != rows || transition.len() != rows.saturating_mul(n_states) {
            return Err(Error::Invalid(format!(
                "{} rewards and {} probabilities do not fit {n_states} states and {n_actions:?} actions; expected \
                 [S, A, B] and [S, A, B, S]",
                reward.len(),
                transition.len()
            )));
        }
        for row in 0..rows {
            let (state, joint) = (row / (n_actions[0] * n_actions[1]), row % (n_actions[0] * n_actions[1]));
            for (next, &prob) in transition[row * n_states..][..n_states].iter().enumerate() {
                // Rewards belong to the row, whatever its probabilities sum to after rounding.
                b.outcome(state, joint, next, prob, &[0.0, 0.0]);
            }
        }
        if let Some(bad) = reward.iter().find(|r| !r.is_finite()) {
            return Err(Error::Invalid(format!("a reward is {bad}; all must be finite")));
        }
        let mut game = b.build()?;
        game.reward[..rows].copy_from_slice(reward);
        game.reward[rows..].iter_mut().zip(reward).for_each(|(b, a)| *b = -a);
        Ok(game)
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.n_actions.len()
    }

    /// Number of states.
    pub fn n_states(&self) -> usize {
        self.n_states
    }

    /// Number of actions of each player.
    pub fn n_actions(&self) -> &[usize] {
        &self.n_actions
    }

    /// Number of joint actions.
    pub fn n_joint(&self) -> usize {
        self.n_joint
    }

    /// Discount a step.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// The same game with another discount.
    ///
    /// # Errors
    /// A discount outside 0 to 1.
    pub fn with_gamma(mut self, gamma: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&gamma) {
            return Err(Error::Invalid(format!("gamma is {gamma}; expected a number from 0 to 1")));
        }
        self.gamma = gamma;
        Ok(self)
    }

    /// Whether entering `state` ends the episode.
    pub fn is_terminal(&self, state: usize) -> bool {
        self.terminal[state]
    }

    /// Distribution of the first state.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// Expected reward of a player.
    pub fn reward(&self, player: usize, state: usize, joint: usize) -> f64 {
        self.reward[(player * self.n_states + state) * self.n_joint + joint]
    }

    /// Next states with their probabilities.
    pub fn outcomes(&self, state: usize, joint: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let row = state * self.n_joint + joint;
        let range = self.offsets[row]..self.offsets[row + 1];
        self.next[range.clone()].iter().zip(&self.prob[range]).map(|(&n, &p)| (n as usize, p))
    }

    /// Number of a joint action, last player's fastest.
    pub fn joint(&self, actions: &[usize]) -> usize {
        actions.iter().zip(&self.n_actions).fold(0, |joint, (a, n)| joint * n + a)
    }

    /// What a player does in a joint action.
    pub fn action_of(&self, joint: usize, player: usize) -> usize {
        let after: usize = self.n_actions[player + 1..].iter().product();
        joint / after % self.n_actions[player]
    }

    /// Reward now plus discounted `values` `[S]` of what follows, of one player.
    pub fn action_value(&self, player: usize, state: usize, joint: usize, values: &[f64]) -> f64 {
        let after: f64 = self.outcomes(state, joint).map(|(next, p)| p * values[next]).sum();
        self.reward(player, state, joint) + self.gamma * after
    }

    /// Whether there are two players and their rewards cancel, up to rounding.
    pub fn is_zero_sum(&self) -> bool {
        let rows = self.n_states * self.n_joint;
        self.n_players() == 2
            && (0..rows).all(|i| {
                let (a, b) = (self.reward[i], self.reward[rows + i]);
                (a + b).abs() <= 1e-12 * a.abs().max(1.0)
            })
    }

    /// A first state.
    pub fn sample_start(&self, rng: &mut Stream) -> usize {
        sample(self.start.iter().copied(), rng)
    }

    /// A next state.
    pub fn sample_next(&self, state: usize, joint: usize, rng: &mut Stream) -> usize {
        let row = state * self.n_joint + joint;
        let range = self.offsets[row]..self.offsets[row + 1];
        let at = sample(self.prob[range.clone()].iter().copied(), rng);
        self.next[range.start + at] as usize
    }
}

/// An index drawn by its probability; the last one with any takes what rounding leaves.
pub(crate) fn sample(prob: impl Iterator<Item = f64>, rng: &mut Stream) -> usize {
    let mut u = rng.uniform_f64();
    let mut last = 0;
    for (i, p) in prob.enumerate() {
        if p > 0.0 {
            last = i;
            if u < p {
                return i;
            }
            u -= p;
        }
    }
    last
}
