//! Goofspiel (the game of pure strategy) for two players: `k` rounds of sealed bids.
//!
//! Both hold the cards 1 to `k`. In each round a prize of 1 to `k` points is up, and both bid a card at once; the
//! higher bid takes the prize, equal bids nobody. Prizes come in descending, ascending or random order. The last
//! round plays itself. Without knowledge of bids (`hidden`, the usual form) players learn only who won each round.
//! Returns: 1, 0 or -1 for more, equal or fewer points (`win_loss`), or the difference to the mean of the points.
//! Symmetric, so the value is 0.

use std::fmt::Write as _;

use coact_core::ObsField;

use crate::extensive::{Game, Turn};
use crate::{Error, Result};

const MOST_CARDS: usize = 8;

/// Order in which the prizes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prizes {
    /// `k` first.
    Descending,
    /// 1 first.
    Ascending,
    /// Drawn by chance.
    Random,
}

/// The rules.
#[derive(Debug, Clone)]
pub struct Goofspiel {
    k: usize,
    prizes: Prizes,
    hidden: bool,
    win_loss: bool,
}

/// Prizes and bids so far.
#[derive(Debug, Clone, Copy)]
pub struct State {
    prizes: [u8; MOST_CARDS],
    n_prizes: u8,
    /// `[round][player]`, cards counted from 0.
    bids: [[u8; 2]; MOST_CARDS],
    n_bids: u8,
}

impl Goofspiel {
    /// With `cards` cards. `hidden`: bids stay secret. `win_loss`: returns say who won, not by how much.
    ///
    /// # Errors
    /// Fewer than 1 or more than 8 cards.
    pub fn new(cards: usize, prizes: Prizes, hidden: bool, win_loss: bool) -> Result<Self> {
        match cards {
            1..=MOST_CARDS => Ok(Self { k: cards, prizes, hidden, win_loss }),
            _ => Err(Error::Invalid(format!("goofspiel takes 1 to {MOST_CARDS} cards, not {cards}"))),
        }
    }

    fn n_rounds(&self, s: &State) -> usize {
        let _ = self;
        s.n_bids as usize / 2
    }

    /// Plays the last round, in which nobody has a choice.
    fn finish(&self, s: &mut State) {
        let last = self.k - 1;
        if self.n_rounds(s) != last {
            return;
        }
        let all = (self.k * (self.k - 1) / 2) as u8;
        let left = |played: u8| all - played;
        if self.prizes == Prizes::Random {
            s.prizes[last] = left(s.prizes[..last].iter().sum());
            s.n_prizes = self.k as u8;
        }
        for p in 0..2 {
            s.bids[last][p] = left(s.bids[..last].iter().map(|b| b[p]).sum());
        }
        s.n_bids = 2 * self.k as u8;
    }

    fn prize(&self, s: &State, round: usize) -> u8 {
        match self.prizes {
            Prizes::Descending => (self.k - 1 - round) as u8,
            Prizes::Ascending => round as u8,
            Prizes::Random => s.prizes[round],
        }
    }

    /// Who took a round.
    fn winner(s: &State, round: usize) -> Option<usize> {
        let [a, b] = s.bids[round];
        if a == b { None } else { Some(usize::from(b > a)) }
    }

    fn points(&self, s: &State) -> [u32; 2] {
        let mut points = [0; 2];
        for round in 0..self.n_rounds(s) {
            if let Some(winner) = Self::winner(s, round) {
                points[winner] += u32::from(self.prize(s, round)) + 1;
            }
        }
        points
    }

    fn has_bid(s: &State, player: usize, card: u8) -> bool {
        let n = (s.n_bids as usize + 1 - player) / 2;
        s.bids[..n].iter().any(|b| b[player] == card)
    }
}

impl Game for Goofspiel {
    type State = State;

    fn name(&self) -> String {
        let order = match self.prizes {
            Prizes::Descending => "descending",
            Prizes::Ascending => "ascending",
            Prizes::Random => "random",
        };
        let returns = if self.win_loss { "win_loss" } else { "point_difference" };
        format!(
            "goofspiel(imp_info={},num_cards={},points_order={order},returns_type={returns})",
            self.hidden, self.k
        )
    }

    fn n_players(&self) -> usize {
        2
    }

    fn n_actions(&self) -> usize {
        self.k
    }

    fn start(&self) -> State {
        let mut s = State { prizes: [0; MOST_CARDS], n_prizes: 0, bids: [[0; 2]; MOST_CARDS], n_bids: 0 };
        self.finish(&mut s);
        s
    }

    fn turn(&self, s: &State) -> Turn {
        let rounds = self.n_rounds(s);
        if rounds == self.k {
            Turn::Terminal
        } else if self.prizes == Prizes::Random && s.n_prizes as usize == rounds {
            Turn::Chance
        } else {
            Turn::Player(s.n_bids as usize % 2)
        }
    }

    fn legal(&self, s: &State, actions: &mut Vec<u32>) {
        let player = s.n_bids as usize % 2;
        actions.extend((0..self.k as u8).filter(|&c| !Self::has_bid(s, player, c)).map(u32::from));
    }

    fn chance(&self, s: &State, outcomes: &mut Vec<(u32, u64)>) {
        let gone = &s.prizes[..s.n_prizes as usize];
        outcomes.extend((0..self.k as u8).filter(|c| !gone.contains(c)).map(|c| (u32::from(c), 1)));
    }

    fn apply(&self, s: &mut State, action: u32) {
        if self.turn(s) == Turn::Chance {
            s.prizes[s.n_prizes as usize] = action as u8;
            s.n_prizes += 1;
            return;
        }
        s.bids[s.n_bids as usize / 2][s.n_bids as usize % 2] = action as u8;
        s.n_bids += 1;
        if s.n_bids.is_multiple_of(2) {
            self.finish(s);
        }
    }

    fn returns(&self, s: &State, returns: &mut [f64]) {
        let [a, b] = self.points(s).map(f64::from);
        let gain = if self.win_loss { (a > b) as i32 as f64 - (a < b) as i32 as f64 } else { (a - b) / 2.0 };
        returns[0] = gain;
        returns[1] = -gain;
    }

    fn information(&self, s: &State, player: usize, key: &mut String) {
        let rounds = self.n_rounds(s);
        // Writing to a string cannot fail.
        let _ = write!(key, "P{player}");
        if self.prizes == Prizes::Random {
            key.push_str(" prizes");
            for prize in &s.prizes[..s.n_prizes as usize] {
                let _ = write!(key, " {}", prize + 1);
            }
        }
        key.push_str(" bids");
        for bids in &s.bids[..rounds] {
            let _ = match self.hidden {
                true => write!(key, " {}", bids[player] + 1),
                false => write!(key, " {}:{}", bids[player] + 1, bids[1 - player] + 1),
            };
        }
        if player == 0 && s.n_bids % 2 == 1 {
            let _ = write!(key, " ({})", s.bids[rounds][0] + 1);
        }
        key.push_str(" winners ");
        key.extend((0..rounds).map(|r| Self::winner(s, r).map_or('-', |w| char::from(b'0' + w as u8))));
    }

    fn action_name(&self, _: &State, action: u32, name: &mut String) {
        let _ = write!(name, "{}", action + 1);
    }

    fn layout(&self) -> Vec<ObsField> {
        let k = self.k;
        vec![
            ObsField::new("player", 2, 0.0, 1.0),
            ObsField::new("prizes", k * k, 0.0, 1.0),
            ObsField::new("own_bids", k * k, 0.0, 1.0),
            ObsField::new("other_bids", k * k, 0.0, 1.0),
            ObsField::new("won_lost", 2 * k, 0.0, 1.0),
        ]
    }

    fn observe(&self, s: &State, player: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        let (k, rounds) = (self.k, self.n_rounds(s));
        obs[player] = 1.0;
        let n_prizes = if self.prizes == Prizes::Random { s.n_prizes as usize } else { k.min(rounds + 1) };
        for round in 0..n_prizes {
            obs[2 + k * round + self.prize(s, round) as usize] = 1.0;
        }
        for round in 0..rounds {
            obs[2 + k * k + k * round + s.bids[round][player] as usize] = 1.0;
            if !self.hidden {
                obs[2 + 2 * k * k + k * round + s.bids[round][1 - player] as usize] = 1.0;
            }
            if let Some(winner) = Self::winner(s, round) {
                obs[2 + 3 * k * k + 2 * round + usize::from(winner != player)] = 1.0;
            }
        }
        if player == 0 && s.n_bids % 2 == 1 {
            obs[2 + k * k + k * rounds + s.bids[rounds][0] as usize] = 1.0;
        }
    }
}
