//! Kuhn poker for 2 to 6 players (Kuhn 1950; more than two players after Szafron et al. 2013).
//!
//! A deck of one card more than players, an ante of 1, one card each. In turn, players pass or bet 1 once; after a
//! bet, everybody else once calls (bets) or folds (passes). The highest card among those who bet, or among all if
//! nobody did, takes the pot. Two players: value -1/18 for the first.
//!
//! Information: own card and the moves, for example `0pb`. Observation: who I am, my card, the moves.

use coact_core::ObsField;

use crate::extensive::{Game, Turn};
use crate::{Error, Result};

const MOST_PLAYERS: usize = 6;
const PASS: u8 = 0;
const BET: u8 = 1;

/// The rules.
#[derive(Debug, Clone)]
pub struct Kuhn {
    n: usize,
}

/// Cards dealt so far and moves so far.
#[derive(Debug, Clone, Copy)]
pub struct State {
    cards: [u8; MOST_PLAYERS],
    n_dealt: u8,
    moves: [u8; 2 * MOST_PLAYERS],
    n_moves: u8,
    /// Move at which somebody first bet.
    first_bet: Option<u8>,
}

impl Kuhn {
    /// For `players` players.
    ///
    /// # Errors
    /// Fewer than 2 or more than 6 players.
    pub fn new(players: usize) -> Result<Self> {
        match players {
            2..=MOST_PLAYERS => Ok(Self { n: players }),
            _ => Err(Error::Invalid(format!("kuhn_poker takes 2 to {MOST_PLAYERS} players, not {players}"))),
        }
    }

    /// Whether `player` has put a second chip in.
    fn has_bet(&self, s: &State, player: usize) -> bool {
        (player..s.n_moves as usize).step_by(self.n).any(|m| s.moves[m] == BET)
    }
}

impl Game for Kuhn {
    type State = State;

    fn name(&self) -> String {
        if self.n == 2 { "kuhn_poker".into() } else { format!("kuhn_poker(players={})", self.n) }
    }

    fn n_players(&self) -> usize {
        self.n
    }

    fn n_actions(&self) -> usize {
        2
    }

    fn start(&self) -> State {
        State { cards: [0; 6], n_dealt: 0, moves: [0; 12], n_moves: 0, first_bet: None }
    }

    fn turn(&self, s: &State) -> Turn {
        let (moves, n) = (s.n_moves as usize, self.n);
        if (s.n_dealt as usize) < n {
            return Turn::Chance;
        }
        let end = s.first_bet.map_or(n, |bet| bet as usize + n);
        if moves == end { Turn::Terminal } else { Turn::Player(moves % n) }
    }

    fn legal(&self, _: &State, actions: &mut Vec<u32>) {
        actions.extend([0, 1]);
    }

    fn chance(&self, s: &State, outcomes: &mut Vec<(u32, u64)>) {
        let dealt = &s.cards[..s.n_dealt as usize];
        outcomes.extend((0..=self.n as u8).filter(|c| !dealt.contains(c)).map(|c| (u32::from(c), 1)));
    }

    fn apply(&self, s: &mut State, action: u32) {
        if (s.n_dealt as usize) < self.n {
            s.cards[s.n_dealt as usize] = action as u8;
            s.n_dealt += 1;
            return;
        }
        if action as u8 == BET && s.first_bet.is_none() {
            s.first_bet = Some(s.n_moves);
        }
        s.moves[s.n_moves as usize] = action as u8;
        s.n_moves += 1;
    }

    fn returns(&self, s: &State, returns: &mut [f64]) {
        let in_pot = |p: &usize| s.first_bet.is_none() || self.has_bet(s, *p);
        let winner = (0..self.n).filter(in_pot).max_by_key(|&p| s.cards[p]).unwrap_or(0);
        let mut pot = 0.0;
        for (p, r) in returns.iter_mut().enumerate() {
            let paid = if self.has_bet(s, p) { 2.0 } else { 1.0 };
            *r = -paid;
            pot += paid;
        }
        returns[winner] += pot;
    }

    fn information(&self, s: &State, player: usize, key: &mut String) {
        if player < s.n_dealt as usize {
            key.push(char::from(b'0' + s.cards[player]));
        }
        key.extend(s.moves[..s.n_moves as usize].iter().map(|&m| if m == PASS { 'p' } else { 'b' }));
    }

    fn action_name(&self, s: &State, action: u32, name: &mut String) {
        if (s.n_dealt as usize) < self.n {
            name.push(char::from(b'0' + action as u8));
        } else {
            name.push(if action as u8 == PASS { 'p' } else { 'b' });
        }
    }

    fn layout(&self) -> Vec<ObsField> {
        let n = self.n;
        vec![
            ObsField::new("player", n, 0.0, 1.0),
            ObsField::new("card", n + 1, 0.0, 1.0),
            ObsField::new("moves", 2 * (2 * n - 1), 0.0, 1.0),
        ]
    }

    fn observe(&self, s: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        obs[player] = 1.0;
        if player < s.n_dealt as usize {
            obs[self.n + s.cards[player] as usize] = 1.0;
        }
        for (i, &m) in s.moves[..s.n_moves as usize].iter().enumerate() {
            obs[2 * self.n + 1 + 2 * i + m as usize] = 1.0;
        }
    }
}
